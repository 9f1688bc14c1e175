"""`gatepost sessions` and `gatepost kick`, and what they ask of workers."""

import json
import os
import subprocess
import threading
import time

import pytest

from gatepost_test import admin
from gatepost_test.gatepost import (
    SANITIZER_REPORT, backend_entry, environment)
from gatepost_test.scripts import ImapServer

pytestmark = pytest.mark.threads


@pytest.fixture
def path(folder):
    """Where the socket is."""
    return os.path.join(folder, admin.SOCKET)


@pytest.fixture
def server(gatepost, fake_backend):
    """Two backends: alice's domain goes to b1, bob's to b2."""
    backends = {name: backend_entry(fake_backend(ImapServer()))
                for name in ("b1", "b2")}
    return gatepost(
        {"backends": backends,
         "pools": {"p1": {"backends": ["b1"]}, "p2": {"backends": ["b2"]}},
         "domains": {"one.test": "p1", "two.test": "p2"}},
        admin={"socket": admin.SOCKET})


@pytest.fixture
def ask(binary, path):
    """ask("sessions", ...): (exit status, output, errors)."""
    def run(name, *arguments):
        done = subprocess.run([binary, name, "--socket", path, *arguments],
                              capture_output=True, text=True, timeout=30,
                              env=environment({}))
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done.returncode, done.stdout, done.stderr
    return run


def rows(path, query=""):
    """All pages of /sessions as one list."""
    found, after = [], None
    while True:
        target = f"/sessions?{query}" + (f"&after={after}" if after else "")
        answer = admin.request(path, target)
        assert answer.status == 200, answer.body
        page = answer.json
        assert page["complete"] is True
        found += page["sessions"]
        after = page["next"]
        if after is None:
            return found


def wait_rows(path, count, query=""):
    """The rows, once there are so many."""
    deadline = time.monotonic() + 10
    while len(found := rows(path, query)) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


# -- sessions ----------------------------------------------------------------

def test_a_session_is_listed_with_what_is_known_of_it(server, path):
    client = server.logged_in("Alice@one.test")

    row, = rows(path)

    assert row["user"] == "alice@one.test"
    assert (row["backend"], row["state"], row["tls"]) == (
        "b1", "spliced", True)
    assert row["peer"].startswith("127.0.0.1:")
    client.abandon()


def test_who_has_not_logged_in_is_listed_too(server, path):
    clients = [server.secure(), server.connect("starttls")]
    clients[1].read_line()

    found = wait_rows(path, 2)

    assert {row["state"] for row in found} == {"command"}
    assert {row["tls"] for row in found} == {True, False}
    assert {row["user"] for row in found} == {None}
    for client in clients:
        client.abandon()


def test_who_is_logging_in_is_listed_with_user_and_backend(
        gatepost, blackhole, path):
    server = gatepost(
        {"backends": {"b1": {"host": blackhole.host, "port": blackhole.port,
                             "tls": "none"}},
         "pools": {"p1": {"backends": ["b1"]}}, "default": "p1"},
        admin={"socket": admin.SOCKET})
    client = server.secure()
    client.send(b"a LOGIN alice@one.test secret\r\n")

    row, = wait_rows(path, 1, "user=alice@one.test")

    assert (row["state"], row["backend"]) == ("login", "b1")
    client.abandon()


def test_pages_hold_each_session_once(server, path):
    clients = [server.logged_in(f"u{i}@one.test") for i in range(13)]

    for limit in (1, 2, 5, 13, 1000):
        found = rows(path, f"limit={limit}")
        assert sorted(row["user"] for row in found) == sorted(
            f"u{i}@one.test" for i in range(13)), limit
        assert len({row["id"] for row in found}) == 13
    for client in clients:
        client.abandon()


def test_sessions_are_chosen_by_user_and_backend(server, ask):
    clients = [server.logged_in(name) for name in
               ("a@one.test", "a@one.test", "b@one.test", "c@two.test")]

    def users(*arguments):
        status, output, errors = ask("sessions", "--json", *arguments)
        assert (status, errors) == (0, "")
        return sorted(json.loads(line)["user"]
                      for line in output.splitlines())

    assert users() == ["a@one.test", "a@one.test", "b@one.test", "c@two.test"]
    assert users("--user", "A@One.Test") == ["a@one.test"] * 2
    assert users("--backend", "b2") == ["c@two.test"]
    assert users("--backend", "b2", "--user", "a@one.test") == []
    assert users("--backend", "no-such") == []
    for client in clients:
        client.abandon()


def test_sessions_are_printed_a_line_each(server, ask):
    client = server.logged_in("alice@one.test")

    status, output, errors = ask("sessions")

    assert (status, errors) == (0, "")
    line, = output.splitlines()
    words = line.split()
    assert words[1:3] == ["alice@one.test", "b1"]
    assert "spliced for " in line and "quiet for " in line
    client.abandon()


@pytest.mark.parametrize("query", [
    "limit=0", "limit=1001", "limit=x", "limit=-1", "limit=99999999999999999",
    "after=1", "after=x-1", "after=1-", "after=-1",
    "after=1-99999999999999999999", "user=" + "a" * 600])
def test_bad_choices_are_refused(server, path, query):
    answer = admin.request(path, f"/sessions?{query}")

    assert answer.status == 400
    assert answer.json["error"]


def test_a_page_behind_the_last_is_empty(server, path):
    answer = admin.request(path, "/sessions?after=4294967295-0")

    assert answer.json == {"sessions": [], "next": None, "complete": True,
                           "process": server.pid}


# -- kick --------------------------------------------------------------------

def test_a_kicked_user_is_gone_and_nobody_else(server, ask, path):
    hers = [server.logged_in("alice@one.test") for _ in range(3)]
    other = server.logged_in("bob@one.test")

    status, output, errors = ask("kick", "--user", "Alice@One.test")

    assert (status, output, errors) == (0, "sessions to end: 3\n", "")
    for client in hers:
        assert client.read_to_end() == b"", "text in a splice"
    assert [row["user"] for row in wait_rows(path, 1)] == ["bob@one.test"]
    assert server.session_end(user="alice@one.test")["reason"] == "kicked"
    server.wait_log(lambda entry: entry["event"] == "kick" and
                    entry["user"] == "Alice@One.test")
    other.abandon()


def test_a_kicked_backend_loses_its_sessions_only(server, ask, path):
    first = server.logged_in("a@one.test")
    second = server.logged_in("b@two.test")

    assert ask("kick", "--backend", "b1")[:2] == (0, "sessions to end: 1\n")

    assert first.read_to_end() == b""
    assert [row["backend"] for row in wait_rows(path, 1)] == ["b2"]
    second.abandon()


@pytest.mark.parametrize("whom", [("--user", "alice@one.test"),
                                  ("--backend", "b1")])
def test_who_is_logging_in_is_kicked_with_a_bye(
        gatepost, blackhole, ask, whom):
    server = gatepost(
        {"backends": {"b1": {"host": blackhole.host, "port": blackhole.port,
                             "tls": "none"}},
         "pools": {"p1": {"backends": ["b1"]}}, "default": "p1"},
        admin={"socket": admin.SOCKET})
    client = server.secure()
    client.send(b"a LOGIN alice@one.test secret\r\n")
    deadline = time.monotonic() + 10
    while not ask("sessions", *whom)[1]:
        assert time.monotonic() < deadline

    assert ask("kick", *whom)[0] == 0

    assert client.read_to_end().startswith(b"* BYE [UNAVAILABLE]")


def test_a_kick_takes_the_time_that_it_is_given(server, ask, path):
    clients = [server.logged_in(f"u{i}@one.test") for i in range(8)]

    assert ask("kick", "--backend", "b1", "--over", "2")[1] == (
        "sessions to end: 8\n")

    time.sleep(0.3)
    assert len(rows(path)) >= 4
    wait_rows(path, 0)
    for client in clients:
        client.abandon()


@pytest.mark.parametrize("arguments, told", [
    ([], '"user" or "backend" says whom'), (["--over", "5"], "says whom"),
    (["--user", "a", "--over", "x"], '"over"'),
    (["--user", "a" * 600], '"user" is no')])
def test_a_kick_that_names_nobody_is_refused(server, ask, arguments, told):
    client = server.logged_in("a@one.test")

    status, output, errors = ask("kick", *arguments)

    assert (status, output) == (1, "")
    assert told in errors
    client.abandon()


@pytest.mark.parametrize("whom", [
    "user=", "user", "user=a%00b", "us%00er=a@one.test", "usr=b@one.test",
    "user=b@one.test&user=c@one.test"])
def test_a_kick_that_is_not_understood_ends_nobody(server, path, whom):
    client = server.logged_in("a@one.test")

    answer = admin.request(path, f"/kick?{whom}&backend=b1", "POST")

    assert answer.status == 400
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert not [entry for entry in server.log if entry["event"] == "kick"]
    client.abandon()


def test_a_kick_wants_a_post(server, path):
    client = server.logged_in("a@one.test")

    answer = admin.request(path, "/kick?user=a@one.test")

    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert len(rows(path)) == 1
    client.abandon()


def test_who_is_being_kicked_is_listed_until_the_end(server, path):
    """Pages that are turned while a kick goes on name nobody twice, whoever
    leaves, and leave nobody out who stays."""
    stays = {f"s{i}@two.test" for i in range(6)}
    goes = {f"g{i}@one.test" for i in range(12)}
    clients = [server.logged_in(user) for user in sorted(stays | goes)]

    admin.request(path, "/kick?backend=b1&over=2", "POST")
    sizes, found = [], rows(path, "limit=2")
    while len(found) > len(stays):
        users = [row["user"] for row in found]
        assert len(users) == len(set(users))
        assert stays <= set(users) <= stays | goes
        sizes.append(len(found))
        time.sleep(0.02)
        found = rows(path, "limit=2")

    assert {row["user"] for row in found} == stays
    assert len(set(sizes)) > 2 and sizes == sorted(sizes, reverse=True)
    for client in clients:
        client.abandon()


# -- under load --------------------------------------------------------------

def test_listing_and_kicking_under_logins_harms_nobody(server, path, times):
    """Logins of two users at work, one of whom is kicked all the while."""
    until = time.monotonic() + times(3, 30)
    faults, logins = [], []

    def stay():
        while time.monotonic() < until:
            client = server.logged_in("bob@two.test")
            client.send(b"n NOOP\r\n")
            if b"OK" not in client.read_line():
                faults.append("bob")
            client.abandon()
            logins.append(1)

    def come_and_go():
        while time.monotonic() < until:
            try:
                server.secure().login("alice@one.test", "secret-alice")
            except (OSError, EOFError, AssertionError):
                pass

    def look():
        while time.monotonic() < until:
            rows(path, "limit=3")
            admin.metrics(path)

    def kick():
        while time.monotonic() < until:
            admin.request(path, "/kick?user=alice@one.test&over=1", "POST")
            admin.request(path, "/kick?backend=b1", "POST")

    crowd = [threading.Thread(target=work)
             for work in (stay, stay, come_and_go, come_and_go, look, kick)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()

    assert not faults
    assert len(logins) > 2
    server.logged_in("alice@one.test").abandon()


def test_a_server_ends_while_it_is_asked(server, path):
    clients = [server.logged_in(f"u{i}@one.test") for i in range(4)]
    stop = threading.Event()

    def look():
        while not stop.is_set():
            try:
                admin.exchange(path, b"GET /sessions HTTP/1.1\r\n"
                                     b"Host: localhost\r\n\r\n", timeout=10)
            except OSError:
                return

    crowd = [threading.Thread(target=look) for _ in range(4)]
    for one in crowd:
        one.start()
    server.begin_stop()
    server.finish_stop()
    stop.set()
    for one in crowd:
        one.join()
    for client in clients:
        client.abandon()
