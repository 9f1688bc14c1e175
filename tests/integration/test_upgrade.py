"""`gatepost upgrade`: another process takes over, and no client notices."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gatepost_test import admin, orphans, procfs
from gatepost_test.gatepost import (
    RELOADED, SANITIZER_REPORT, Gatepost, backend_entry, environment,
    routes_to)
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer

ALICE, ANNA = "alice@example.org", "anna@example.org"


@pytest.fixture
def path(folder):
    """Where the admin socket is."""
    return os.path.join(folder, admin.SOCKET)


@pytest.fixture
def ask(binary, path):
    """ask("upgrade"): (exit status, output, errors)."""
    def run(*words):
        done = subprocess.run([binary, *words, "--socket", path],
                              capture_output=True, text=True, timeout=50,
                              env=environment({}))
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done.returncode, done.stdout, done.stderr
    return run


@pytest.fixture
def upgrade(ask):
    """upgrade(front): the process that took over, which front follows."""
    def run(front):
        orphans.adopt()
        status, output, errors = ask("upgrade", "--json")
        assert (status, errors) == (0, ""), output + errors + front.stderr
        front.follow(json.loads(output)["successor"])
        return front.pid
    return run


@pytest.fixture
def front(gatepost, fake_backend):
    """A Gatepost in front of one server that takes everybody."""
    return gatepost(routes_to(fake_backend(ImapServer())),
                    admin={"socket": admin.SOCKET})


@pytest.fixture
def real_front(gatepost, sharded_routes):
    """A Gatepost in front of two real servers."""
    return gatepost(sharded_routes, admin={"socket": admin.SOCKET})


@pytest.fixture
def mortal(binary, folder, settings, fake_backend):
    """Likewise with two servers by turns, but whose processes may be killed."""
    settings["admin"] = {"socket": admin.SOCKET}
    settings["timeouts"] = {"drain": 1}
    one = Gatepost(binary, folder, settings, two_servers(fake_backend))
    yield one
    one.kill()


@pytest.fixture
def own_program(binary, folder):
    """A copy of the program, which a test may replace."""
    place = os.path.join(folder, "gatepost")
    shutil.copy(binary, place)
    return place


def replace(place, text):
    """Renames a shell script over the program."""
    with open(place + ".new", "w") as out:
        out.write("#!/bin/sh\n" + text)
    os.chmod(place + ".new", 0o755)
    os.rename(place + ".new", place)


@pytest.fixture
def own_front(own_program, folder, settings, endings, fake_backend, request):
    """own_front(env): a Gatepost of that copy."""
    started = []

    def start(env=None, program=own_program):
        settings["admin"] = {"socket": admin.SOCKET}
        started.append(Gatepost(program, folder, settings,
                                routes_to(fake_backend(ImapServer())), env))
        return started[-1]

    yield start
    for one in started:
        endings.add(request.node.nodeid, one)
    endings.check()




def answers(client):
    """Whether a session is well."""
    return client.command("NOOP")[-1].startswith(b"OK")


# -- what goes on --------------------------------------------------------------

@pytest.mark.threads
def test_another_process_serves_and_the_old_one_ends(front, upgrade):
    old = front.pid

    new = upgrade(front)

    assert new != old
    assert front.process.wait(10) == 0
    assert answers(front.logged_in())


def come_and_go(front, stop, failures, count):
    """Connects, logs in and leaves, all the time."""
    while not stop.is_set():
        try:
            client = front.secure()
            answer = client.login(ALICE, "secret-alice")
            if not answer.startswith(b"OK"):
                failures.append(answer)
            client.command("LOGOUT")
            client.abandon()
            count.append(1)
        except (OSError, AssertionError) as failure:
            failures.append(repr(failure))


@pytest.mark.threads
def test_nobody_is_refused_or_reset_meanwhile(real_front, upgrade, times):
    stop, failures, count = threading.Event(), [], []
    crowd = [threading.Thread(target=come_and_go,
                              args=(real_front, stop, failures, count))
             for _ in range(4)]
    for one in crowd:
        one.start()

    try:
        for _ in range(times(2, 20)):
            upgrade(real_front)
            reached = len(count) + 8
            while len(count) < reached and not failures:
                time.sleep(0.01)
    finally:
        stop.set()
        for one in crowd:
            one.join()

    assert failures == []


@pytest.mark.threads
def test_a_session_lives_on_in_the_old_process(real_front, upgrade):
    client = real_front.logged_in()

    upgrade(real_front)

    assert b"* FLAGS" in b"".join(client.command("SELECT INBOX"))
    assert real_front.process.poll() is None
    client.abandon()
    assert real_front.process.wait(10) == 0


@pytest.mark.threads
def test_who_came_before_can_still_log_in(real_front, upgrade):
    secure, plain = real_front.secure(), real_front.connect("starttls")
    plain.read_line()

    upgrade(real_front)

    assert secure.login(ALICE, "secret-alice").startswith(b"OK")
    plain.send(b"s STARTTLS\r\n")
    plain.read_reply("s")
    plain.handshake()
    assert plain.login(ANNA, "secret-anna").startswith(b"OK")


def test_a_second_upgrade_makes_a_chain(front, upgrade, ask):
    first = front.logged_in("first@one.test")
    upgrade(front)
    second = front.logged_in("second@one.test")

    upgrade(front)

    assert answers(first)
    assert answers(second)
    assert len(json.loads(ask("status", "--json")[1])["predecessors"]) == 2
    first.abandon()
    assert front.process.wait(10) == 0


def test_what_the_new_config_says_is_done(front, upgrade, settings):
    gone = settings["listeners"].pop(1)
    settings["listeners"].append(dict(gone, port=free_port()))
    front.write_settings(settings)

    upgrade(front)

    assert front.connect("starttls").read_line().startswith(b"* OK")
    deadline = time.monotonic() + 10
    while (4, gone["port"]) in procfs.listening_ports():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_who_waits_at_a_listener_that_goes_is_served(gatepost, fake_backend,
                                                     upgrade, settings):
    front = gatepost(routes_to(fake_backend(ImapServer())),
                     admin={"socket": admin.SOCKET}, limits={"sessions": 1})
    inside, waiting = front.logged_in(), front.connect("starttls")
    front.write_settings(dict(settings, listeners=settings["listeners"][:1]))
    upgrade(front)

    inside.abandon()

    assert waiting.read_line().startswith(b"* OK")


def test_an_address_that_was_just_given_up_may_be_wanted_back(
        gatepost, fake_backend, upgrade, settings, folder):
    """While there is no room for who waits at it, it cannot be closed."""
    front = gatepost(routes_to(fake_backend(ImapServer())),
                     admin={"socket": admin.SOCKET}, limits={"sessions": 1})
    inside, waiting = front.logged_in(), front.connect("starttls")
    front.write_settings(dict(settings, listeners=settings["listeners"][:1]))
    front.reload()
    front.write_settings(settings)
    with ThreadPoolExecutor() as pool:
        upgraded = pool.submit(upgrade, front)
        time.sleep(0.5)
        assert not upgraded.done()

        inside.abandon()
        upgraded.result()

    assert waiting.read_line().startswith(b"* OK")
    assert front.connect("starttls").read_line().startswith(b"* OK")


# -- one book for both ---------------------------------------------------------

def two_servers(fake_backend):
    """A pool whose users go to either server by turns."""
    return {"backends": {name: backend_entry(fake_backend(
                ImapServer(name=name.encode()))) for name in ("b1", "b2")},
            "pools": {"p1": {"backends": ["b1", "b2"],
                             "balance": "round-robin"}},
            "default": "p1"}


@pytest.fixture
def turns(gatepost, fake_backend):
    """A Gatepost that deals users out to two servers."""
    return gatepost(two_servers(fake_backend), admin={"socket": admin.SOCKET})


def place_of(front, user):
    """Which server the user's next session comes to."""
    since = front.mark()
    front.logged_in(user)
    return front.wait_log(lambda line: line["event"] == "login" and
                          line["user"] == user, since)["backend"]


def test_users_stay_where_the_old_process_has_them(turns, upgrade):
    users = [f"user{number}@one.test" for number in range(6)]
    before = {user: place_of(turns, user) for user in users}

    upgrade(turns)

    assert {user: place_of(turns, user) for user in users} == before


def test_a_home_is_given_back_when_the_old_process_is_killed(mortal, upgrade):
    users = [f"user{number}@one.test" for number in range(4)]
    before = {user: place_of(mortal, user) for user in users}
    upgrade(mortal)

    mortal.process.kill()
    mortal.wait_log("predecessor-gone")

    # Nobody has sessions any more: each is dealt out anew, the other way round.
    assert {user: place_of(mortal, user)
            for user in reversed(users)} != before


def test_who_moves_leaves_the_old_process(gatepost, fake_backend, upgrade):
    routes = two_servers(fake_backend)
    routes["pools"] = {"p1": {"backends": ["b1"]}, "p2": {"backends": ["b2"]}}
    routes["domains"] = {"one.test": "p1"}
    del routes["default"]
    front = gatepost(routes, admin={"socket": admin.SOCKET})
    client, other = front.logged_in("a@one.test"), front.logged_in("b@one.test")
    upgrade(front)
    routes["users"] = {"a@one.test": "p2"}
    front.write_routes(routes)
    front.reload()

    assert place_of(front, "a@one.test") == "b2"

    assert client.read_to_end() == b""
    assert answers(other)


def test_a_kick_reaches_the_old_process(front, upgrade, ask):
    client, other = front.logged_in("a@one.test"), front.logged_in("b@one.test")
    upgrade(front)

    status, output, _ = ask("kick", "--user", "a@one.test")

    assert (status, output) == (0, "sessions to end: 1\n")
    assert client.read_to_end() == b""
    assert answers(other)


def test_maintenance_reaches_the_old_process(front, upgrade, ask, settings):
    settings["timeouts"] = {"drain": 0}
    front.write_settings(settings)
    front.reload()
    client = front.logged_in()
    upgrade(front)

    assert ask("maintenance", "b1")[0] == 0

    assert client.read_to_end() == b""


# -- after a reload ------------------------------------------------------------

def test_who_is_not_logged_in_is_sent_on_after_a_reload(front, upgrade):
    client = front.secure()
    upgrade(front)

    front.reload()

    assert client.read_line() == b"* BYE [UNAVAILABLE] Try again.\r\n"
    assert client.read_to_end() == b""


class Slow(ImapServer):
    """Says OK when it is told to."""

    def __init__(self):
        super().__init__(accept=self.wait)
        self.asked, self.go = threading.Event(), threading.Event()

    def wait(self, *_):
        self.asked.set()
        return self.go.wait(20)


def await_former_workers(front):
    """A listing is told by the workers of the process before, too, behind what
    they were told by the reload."""
    page = admin.request(os.path.join(front.folder, admin.SOCKET), "/sessions")
    assert page.status == 200, page.text


def test_a_login_under_way_is_let_in_by_no_former_table(
        gatepost, fake_backend, upgrade):
    server = Slow()
    front = gatepost(routes_to(fake_backend(server)),
                     admin={"socket": admin.SOCKET})
    client = front.secure()
    client.send(b"a LOGIN alice@one.test secret\r\n")
    assert server.asked.wait(10)
    upgrade(front)
    front.reload()
    await_former_workers(front)

    server.go.set()

    assert client.read_line().startswith(b"a NO [UNAVAILABLE]")
    assert client.read_line() == b"* BYE [UNAVAILABLE] Try again.\r\n"


# -- what fails ----------------------------------------------------------------

def serves_on(front, pid):
    """Whether the process that was there before is the one that serves."""
    return (front.process.poll() is None and front.pid == pid and
            answers(front.logged_in()))


def test_a_bad_config_changes_nothing_and_is_told(front, ask, settings):
    front.write_settings(dict(settings, workers="many"))

    status, output, _ = ask("upgrade")

    assert status == 1
    assert output.splitlines()[0].endswith(
        'gatepost.json: $.workers: found "many", expected a whole number from '
        '0 to 1024'), output
    assert output.splitlines()[-1] == "not upgraded: the old process serves on"
    assert serves_on(front, front.pid)
    front.write_settings(settings)
    assert ask("reload")[0] == 0


def test_a_listener_that_cannot_be_had_is_told(gatepost, fake_backend, ask,
                                               settings):
    front = gatepost(routes_to(fake_backend(ImapServer())),
                     admin={"socket": admin.SOCKET},
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "20"})
    with contextlib.closing(admin.socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        front.write_settings(dict(settings, listeners=settings["listeners"] + [
            {"address": "127.0.0.1", "port": taken, "tls": "implicit"}]))

        status, output, _ = ask("upgrade")

    assert status == 1
    assert f"cannot listen on 127.0.0.1:{taken}" in output
    assert serves_on(front, front.pid)


@pytest.mark.parametrize("script, word", [
    ("exit 3\n", "its end, with status 3"),
    ("exit 0\n", "its end, with status 0"),
    ("kill -SEGV $$\n", "its end by signal 11"),
])
def test_a_program_that_ends_changes_nothing(own_front, own_program, ask,
                                             script, word):
    front = own_front()
    replace(own_program, script)

    status, output, _ = ask("upgrade")

    assert status == 1
    assert output.splitlines()[0] == (
        f"{own_program}: found {word}, expected a server; its log may say "
        "more")
    assert serves_on(front, front.pid)


def test_a_program_that_hangs_is_ended(own_front, own_program, ask, folder):
    front = own_front({"GATEPOST_FAULT_CLOCK_SCALE": "100"})
    replace(own_program, f"echo $$ > {folder}/hangs\nexec sleep 1000\n")

    status, output, _ = ask("upgrade")

    with open(f"{folder}/hangs") as written:
        assert not os.path.exists(f"/proc/{written.read().strip()}")
    assert status == 1
    assert "found silence" in output
    assert serves_on(front, front.pid)


def test_a_program_that_is_gone_changes_nothing(own_front, own_program, ask):
    front = own_front()
    os.unlink(own_program)

    status, output, _ = ask("upgrade")

    assert status == 1
    assert output.startswith(f"{own_program}: found No such file")
    assert serves_on(front, front.pid)


def test_after_a_failure_an_upgrade_may_succeed(front, ask, upgrade, settings):
    front.write_settings(dict(settings, workers="many"))
    assert ask("upgrade")[0] == 1
    front.write_settings(settings)

    upgrade(front)

    assert front.process.wait(10) == 0


@pytest.fixture
def starting(own_front, own_program, path, folder):
    """A Gatepost whose successor starts, and takes its time; and who asked."""
    front = own_front()
    replace(own_program, f"echo $$ > {folder}/starts\nexec sleep 1000\n")
    asker = subprocess.Popen([front.process.args[0], "upgrade", "--socket",
                              path], executable=f"/proc/{front.pid}/exe",
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=environment({}), text=True)
    while not os.path.exists(f"{folder}/starts") or not (
            os.path.getsize(f"{folder}/starts")):
        time.sleep(0.01)
    with open(f"{folder}/starts") as written:
        yield front, asker, int(written.read())
    asker.kill()
    asker.communicate()


def test_a_second_one_is_refused_meanwhile(starting, ask):
    status, _, errors = ask("upgrade")

    assert (status, errors) == (1, "gatepost: an upgrade is under way\n")


def test_the_end_of_the_server_ends_its_successor(starting):
    front, _, successor = starting

    front.signal(signal.SIGTERM)

    assert front.wait_exit() == 0
    assert not os.path.exists(f"/proc/{successor}")


def test_a_reload_that_was_asked_for_meanwhile_follows(starting):
    front, asker, successor = starting
    since = front.mark()
    front.signal(signal.SIGHUP)

    os.kill(successor, signal.SIGKILL)

    front.wait_log(RELOADED, since)
    assert "its end by signal 9" in asker.communicate(timeout=10)[0]


# -- how both end --------------------------------------------------------------

def test_the_end_of_the_new_process_is_that_of_the_old(front, upgrade):
    client = front.logged_in()
    upgrade(front)
    since = front.mark()

    front.signal(signal.SIGTERM)
    front.wait_log("draining", since)
    front.signal(signal.SIGTERM)

    assert client.read_to_end() == b""
    assert front.wait_exit() == 0


def test_the_new_process_waits_for_the_old_one(front, upgrade, settings):
    settings["timeouts"] = {"drain": 0.6}
    front.write_settings(settings)
    client = front.logged_in()
    new = upgrade(front)

    front.signal(signal.SIGTERM)
    time.sleep(0.3)

    assert orphans.is_running(new)
    assert answers(client)
    assert client.read_to_end() == b""
    client.abandon()
    assert front.wait_exit() == 0


@pytest.fixture
def brisk(gatepost, fake_backend):
    """A Gatepost whose drains are short, and whose successors may say when."""
    return gatepost(routes_to(fake_backend(ImapServer())),
                    admin={"socket": admin.SOCKET}, timeouts={"drain": 0})


def give_time(front, settings, seconds):
    """To those who are replaced, in what is read next."""
    settings["timeouts"] = {"drain": 0, "upgrade_drain": seconds}
    front.write_settings(settings)


def test_the_new_config_gives_the_old_process_a_time(brisk, upgrade, settings):
    client = brisk.logged_in()
    give_time(brisk, settings, 0.3)

    upgrade(brisk)

    assert client.read_to_end() == b""
    client.abandon()
    assert brisk.process.wait(10) == 0


def test_the_new_config_gives_the_old_process_time_without_end(
        brisk, upgrade, settings):
    give_time(brisk, settings, 0.3)
    brisk.reload()
    client = brisk.logged_in()
    give_time(brisk, settings, 0)

    upgrade(brisk)
    time.sleep(0.5)

    assert answers(client)


def test_a_reload_after_the_upgrade_gives_all_before_a_time(
        brisk, upgrade, settings):
    clients = [brisk.logged_in()]
    upgrade(brisk)
    clients.append(brisk.logged_in())
    upgrade(brisk)
    assert all(answers(client) for client in clients)

    since = brisk.mark()
    give_time(brisk, settings, 0.1)
    brisk.reload()

    assert [client.read_to_end() for client in clients] == [b"", b""]
    deadline = time.monotonic() + 10
    while [line["drain_ms"] for line in brisk.log[since:]
           if line["event"] == "upgrade-drain"] != [100, 100]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_old_process_outlives_one_that_is_killed(mortal, upgrade):
    client = mortal.logged_in()
    new = upgrade(mortal)

    orphans.kill(new)
    mortal.wait_log("successor-gone")

    assert answers(client)
    client.abandon()
    assert mortal.process.wait(10) == 0


def test_the_old_process_drains_when_nobody_knows_of_it(mortal, upgrade):
    """The last of three cannot tell it anything once the middle one is gone."""
    client = mortal.logged_in()
    middle = upgrade(mortal)
    newer = mortal.logged_in()
    upgrade(mortal)
    last = mortal.logged_in()

    orphans.kill(middle)
    mortal.wait_log("predecessor-gone")

    assert client.read_to_end() == b""
    assert mortal.process.wait(10) == 0
    newer.abandon()
    assert answers(last)


# -- which program -------------------------------------------------------------

def program_of(pid):
    """The file that it runs."""
    return os.stat(f"/proc/{pid}/exe").st_ino


def test_the_program_is_the_one_on_disk(own_front, own_program, upgrade):
    front = own_front()
    shutil.copy(own_program, own_program + ".new")
    wanted = os.stat(own_program + ".new").st_ino
    os.rename(own_program + ".new", own_program)

    assert program_of(upgrade(front)) == wanted


def test_the_program_is_where_the_link_points(own_front, own_program, upgrade,
                                              folder):
    link, newer = os.path.join(folder, "current"), own_program + "-2"
    os.symlink(own_program, link)
    front = own_front(program=link)
    shutil.copy(own_program, newer)
    os.unlink(link)
    os.symlink(newer, link)

    assert program_of(upgrade(front)) == os.stat(newer).st_ino


def waits(pid):
    """How often the first thread gave the processor up by itself."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(status.read().split("\nvoluntary_ctxt_switches:")[1]
                   .split()[0])


def test_successor_naps_while_it_loads(gatepost, fake_backend, folder,
                                       upgrade):
    users = 50000
    with open(os.path.join(folder, "users.tsv"), "w",
              encoding="ascii") as file:
        file.writelines(f"u{i}@example.org\tall\n" for i in range(users))
        file.write(f"# end {users}\n")
    routes = routes_to(fake_backend(ImapServer()))
    pool = next(iter(routes["pools"].values()))
    front = gatepost(dict(routes, pools={"all": pool}, default="all",
                          users={"file": "users.tsv"}),
                     admin={"socket": admin.SOCKET})
    at_first_start = waits(front.pid)

    assert waits(upgrade(front)) > at_first_start + 50


def test_process_1_is_not_upgraded(gatepost, front, binary, folder, path):
    if os.geteuid() != 0:
        pytest.skip("only root may make a process 1")
    front.stop()
    first = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", binary, "serve",
         front.config], stderr=subprocess.DEVNULL, env=environment({}))
    try:
        deadline = time.monotonic() + 10
        while not os.path.exists(path):
            assert first.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        answer = admin.request(path, "/upgrade", "POST")
    finally:
        first.kill()
        first.wait()

    assert answer.status == 409
    assert answer.json["error"] == (
        "this is process 1: start a new container instead")
