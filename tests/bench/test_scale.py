"""What scale says of a million users and of a hundred thousand sessions, in the
size of a test."""

import os
import re
import subprocess

import lab as labs

USERS = 100000
SCALE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "scale")


def test_a_user_takes_little_memory_in_either_form(lab):
    done = subprocess.run(
        [SCALE, "--no-build", "--build", lab.build_folder, "--only", "table",
         "--table-users", str(USERS)],
        capture_output=True, text=True, timeout=100, check=False)

    each = [float(text) for text in re.findall(
        r"([0-9.]+) bytes a user beside the name .malloc", done.stdout)]
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("ok table: tsv ")
    assert len(each) == 2 and all(12 < one < 30 for one in each), done.stdout


def test_a_look_at_many_sessions_leaves_the_loop_its_turns(lab):
    done = subprocess.run(
        [lab.program("bench_sweeps"), "30000"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, timeout=60, check=True)

    longest = dict(re.findall(r"(\S+) longest_us (\d+)", done.stdout))
    assert len(longest) == 5, done.stdout
    assert all(int(one) < 5000 for one in longest.values()), done.stdout


def test_homes_are_handed_over_while_users_log_in(lab):
    done = subprocess.run(
        [lab.program("bench_handover"), "3000"], capture_output=True,
        text=True, timeout=60, check=True)

    found = labs.pairs(done.stdout.split())
    assert found["homes"] == 3000 and found["refused"] == 0, done.stdout
    assert found["logins"] > 10 and found["login_us"] > 0, done.stdout
    assert found["lock_us"] <= found["give_us"], done.stdout
