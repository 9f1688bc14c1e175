"""What stands beside Gatepost is started, watched and compared rightly."""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import socket
import subprocess
import sys
import types

import pytest

import lab as labs
import peers
import report
import work
from measure import ProcessTree, is_alive

BURN = "import time\nwhile time.process_time() < 0.3: pass"
RUN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "run")


class Broken(peers.Proxy):
    name = "broken"

    def command(self):
        return ["sh", "-c", "echo no such thing; exit 1"]


class Forking(peers.Proxy):
    """Listens, and has a child that would outlive it."""

    name = "forking"

    def command(self):
        return [sys.executable, "-c", (
            "import socket, subprocess, time\n"
            "child = subprocess.Popen(['sleep', '60'])\n"
            f"listener = socket.create_server(('127.0.0.1', {self.port}))\n"
            "time.sleep(60)")]


def load_program(name):
    """As a module, though its name has no ending."""
    path = os.path.join(os.path.dirname(RUN), name)
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def weigh_4000(run):
    """In place of a measurement: 4,000 bytes of PSS a session."""
    run.samples = [types.SimpleNamespace(clients_say=count, proxy_says=count,
                                         backend_says=count, heap=None,
                                         pss=count * 4000)
                   for count in (1, 2)]


def outcome_of(name, *pairs):
    """Of one kind of work, with pairs of CPU figures beside haproxy."""
    kind = next(kind for kind in work.all_work() if kind.name == name)
    outcome = report.Outcome(kind, ["gatepost", "haproxy"])
    for number, (mine, theirs) in enumerate(pairs):
        outcome.pairs.append((number, "haproxy", {"cpu": mine, "rate": 1},
                              {"cpu": theirs, "rate": 1}))
    return outcome


def test_cpu_of_a_child_that_ended_counts():
    tree = ProcessTree(os.getpid())
    before = tree.cpu_seconds()

    subprocess.run([sys.executable, "-c", BURN], check=True)

    assert 0.28 <= tree.cpu_seconds() - before < 0.9


def test_cpu_of_a_child_that_runs_counts():
    tree = ProcessTree(os.getpid())
    before = tree.cpu_seconds()

    with subprocess.Popen(
            [sys.executable, "-c", BURN + "\nprint(flush=True)\ninput()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        cpu = tree.cpu_seconds() - before
        child.communicate(b"\n")

    assert 0.28 <= cpu < 0.9


def test_a_socket_more_than_before_is_no_rest():
    tree = ProcessTree(os.getpid())
    held = tree.held()

    with socket.socket():
        has_rested_with_it = tree.wait_for_rest(held, 0)

    assert not has_rested_with_it
    assert tree.wait_for_rest(held, 0)


def test_a_proxy_that_does_not_start_says_why(lab):
    with pytest.raises(RuntimeError, match="no such thing"):
        Broken(lab, "plain", 1)


def test_no_child_outlives_a_stopped_proxy(lab):
    with Forking(lab, "plain", 1) as proxy:
        children = proxy.tree.pids()[1:]

    assert children
    assert not any(map(is_alive, children))


def test_what_is_not_installed_is_named_by_its_package(monkeypatch):
    monkeypatch.setattr(peers.Perdition, "executable", "no-such-program")
    monkeypatch.setattr(peers, "NGINX_MAIL", "/no/such/module")

    packages = peers.missing_packages(["gatepost", "perdition", "nginx",
                                       "nginx-64k"])

    assert packages == ["libnginx-mod-mail", "perdition"]
    with pytest.raises(SystemExit, match="apt-get install .* perdition$"):
        peers.stop_if_missing(["perdition"])


def test_a_build_that_lacks_a_program_says_what_installs_it():
    with pytest.raises(SystemExit, match="no-such-program.*\n.* build bench"):
        labs.stop_without("sh", "no-such-program")


def test_larger_buffers_stand_beside_streams_alone():
    large = [peers.HAProxyLargeBuffer, peers.NginxLargeBuffer]

    seen = {kind.name: [entry.label for entry in
                        kind.entries(peers.Gatepost, large)
                        if entry.proxy_class in large]
            for kind in work.all_work()}

    assert {name: labels for name, labels in seen.items() if labels} == {
        "fetch": ["haproxy-64k", "nginx-64k"],
        "append": ["haproxy-64k", "nginx-64k"],
        "fetch-tls": ["haproxy-64k"]}


def test_a_ratio_is_that_of_neighbours_in_time():
    outcome = outcome_of("login", (1, 2), (10, 10), (100, 400))

    assert outcome.ratios("haproxy", "cpu") == [0.5, 1, 0.25]


def test_a_mark_is_missed_when_the_median_ratio_is():
    met = outcome_of("login", (1, 2), (1, 2), (9, 2))
    missed = outcome_of("login", (1, 2), (9, 10), (9, 10))

    assert not list(report.missed_marks([met]))
    assert len(list(report.missed_marks([missed]))) == 1


def test_an_idle_session_has_a_mark_for_each_kind_of_backend():
    met = report.verdict_on_idle("gatepost", "tls", 6500)
    missed = report.verdict_on_idle("gatepost", "plain", 3501)

    assert met.is_met
    assert str(missed) == "<= 3500 MISSED"
    assert report.verdict_on_idle("haproxy", "plain", 17888) is None


def test_a_missed_mark_is_the_status_of_idle_when_asked_for(
        monkeypatch, capsys):
    idle = load_program("idle")
    monkeypatch.setattr(idle.labs, "Lab", contextlib.nullcontext)
    monkeypatch.setattr(idle, "print_versions", lambda *_: None)
    monkeypatch.setattr(idle.Run, "measure", weigh_4000)

    statuses = []
    for words in (["--check"], []):
        monkeypatch.setattr(sys, "argv", ["idle", "--no-build", *words])
        statuses.append(idle.main())

    assert statuses == [1, 0]
    assert "<= 3500 MISSED" in capsys.readouterr().out


def test_logins_that_the_backend_did_not_see_are_complained_of():
    kind = work.Login("login", "", 5)

    agreed = kind.complaints({"done": 5, "resumed": 0}, {"logins": 5})
    disagreed = kind.complaints({"done": 5, "resumed": 0}, {"logins": 4})

    assert not agreed
    assert disagreed == ["logins that the backend saw: 4, not 5"]


def test_bytes_that_the_backend_did_not_send_are_complained_of():
    kind = work.Stream("fetch", "", 1000, "fetch")
    result = {"bytes": 1000, "wrong": 0}

    assert not kind.complaints(result, {"out": 1005, "in": 9})
    assert kind.complaints(result, {"out": 500, "in": 1005})


def test_gatepost_beside_itself_makes_a_table(pytestconfig, tmp_path):
    samples = tmp_path / "samples.json"

    done = subprocess.run(
        [RUN, "--build", pytestconfig.getoption("--build"), "--no-build",
         "--peer", "other-gatepost", "--rounds", "1", "--scale", "0.02",
         "--work", "login-resumed", "--work", "fetch-tls", "--work", "noop-1",
         "--json", str(samples)],
        check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "CPU ms/login gatepost" in done.stdout
    taken = json.loads(samples.read_text(encoding="utf-8"))["samples"]
    assert [(each["work"], each["peer"]) for each in taken] == [
        ("login-resumed", "other-gatepost"),
        ("fetch-tls", "gatepost, plain backend"),
        ("fetch-tls", "other-gatepost"),
        ("noop-1", "other-gatepost")]
