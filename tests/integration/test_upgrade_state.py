"""What a successor knows from its start: who has failed, who is where, who
counts, which backends are down or drained; and what it hears of the process
before it."""

import itertools
import os
import signal
import subprocess
import time

import pytest

from gatepost_test import admin, orphans
from gatepost_test.gatepost import backend_entry, environment, routes_to
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer

pytestmark = pytest.mark.threads

SCALE = 6  # of the clock, where delays are looked at
USER = "alice@example.org"


@pytest.fixture
def backends(fake_backend):
    return [fake_backend(ImapServer(
        accept=lambda user, password: password != b"wrong"))
        for _ in range(2)]


@pytest.fixture
def front(gatepost):
    """front(routes, **settings): Gatepost with an admin socket."""
    orphans.adopt()

    def start(routes, **settings):
        settings.setdefault("timeouts", {"drain": 0.3})
        return gatepost(routes, admin={"socket": admin.SOCKET}, **settings)

    return start


def by_turns(backends, **pool):
    """Users come to be where the next turn is."""
    names = [f"b{number}" for number in range(1, len(backends) + 1)]
    return {"backends": dict(zip(names, map(backend_entry, backends))),
            "pools": {"p1": {"backends": names, "balance": "round-robin",
                             **pool}},
            "default": "p1"}


def socket_of(server):
    return os.path.join(server.folder, admin.SOCKET)


def upgrade(server):
    answer = admin.request(socket_of(server), "/upgrade", "POST", timeout=60)
    assert answer.status == 200, answer.text
    server.follow(answer.json["successor"])


def status_of(server, name):
    """What is known of the backend."""
    answer = admin.request(socket_of(server), "/status").json
    return next(one for one in answer["backends"] if one["name"] == name)


def command(server, *words):
    done = subprocess.run([server.binary, *words, "--socket",
                           socket_of(server)], capture_output=True, text=True,
                          timeout=60, env=environment({}), check=False)
    assert done.returncode == 0, done.stderr


def log_in(server, password="secret", user=USER, source=None):
    """(client, answer, seconds of the scaled clock)."""
    client = server.secure(source=source)
    began = time.monotonic()
    answer = client.login(user, password, 30)
    return client, answer, (time.monotonic() - began) * SCALE


def eventually(condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def place_of(backends):
    """Which of them has a session more since the last look."""
    seen = [0] * len(backends)

    def look():
        new = [one.connects for one in backends]
        where = [number for number, (now, then) in enumerate(zip(new, seen))
                 if now > then]
        seen[:] = new
        return where

    return look


def test_who_guessed_waits_on_and_who_is_at_home_does_not(front, backends):
    server = front(routes_to(backends[0]), auth={"delay_max": 15},
                   env={"GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)})
    _, answer, _ = log_in(server, source="127.0.0.3")
    assert answer.startswith(b"OK")
    for number in range(3):  # then it is 8 s, and 4 s after a minute
        _, answer, _ = log_in(server, "wrong", f"user{number}@x.org",
                              "127.0.0.2")
        assert answer.startswith(b"NO [AUTHENTICATIONFAILED]"), answer
    log_in(server, "wrong", USER, "127.0.0.4")

    upgrade(server)

    assert log_in(server, user="bob@x.org", source="127.0.0.2")[2] >= 3.9
    assert log_in(server, source="127.0.0.5")[2] >= 1.9
    assert log_in(server, source="127.0.0.3")[2] < 1.9


def test_a_guess_at_the_predecessor_is_heard_of(front, backends):
    server = front(routes_to(backends[0]), auth={"delay_max": 15},
                   env={"GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)})
    early = server.secure(source="127.0.0.2")

    upgrade(server)
    answer = early.login(USER, "wrong", 30)

    assert answer.startswith(b"NO [AUTHENTICATIONFAILED]"), answer
    # It is told behind the answer; each of these is new at the address.
    strangers = (f"bob{number}@x.org" for number in itertools.count())
    eventually(lambda: log_in(server, user=next(strangers),
                              source="127.0.0.2")[2] >= 1.9)


def test_sessions_of_both_processes_count_together(front, backends):
    server = front(routes_to(backends[0]), limits={"per_user": 2})
    first = server.logged_in(USER)
    early = server.secure()

    upgrade(server)
    second = server.logged_in(USER)

    assert log_in(server)[1].startswith(b"NO [LIMIT]")
    assert early.login(USER, "secret").startswith(b"NO [LIMIT]")
    first.abandon()
    eventually(lambda: log_in(server)[1].startswith(b"OK"))
    second.abandon()


def test_what_a_killed_predecessor_held_is_free(front, backends):
    server = front(by_turns(backends), limits={"per_user": 1})
    former = server.process
    server.logged_in(USER)

    upgrade(server)
    assert log_in(server)[1].startswith(b"NO [LIMIT]")
    former.kill()

    eventually(lambda: log_in(server)[1].startswith(b"OK"))
    former.wait()
    former.returncode = 0  # it ended as it was meant to


def test_a_user_stays_where_sessions_of_either_process_are(front, backends):
    server = front(by_turns(backends))
    look = place_of(backends)
    clients = [server.logged_in(USER)]
    home = look()
    early = [server.secure() for _ in range(2)]

    upgrade(server)
    clients += [server.logged_in(USER) for _ in range(3)]
    assert look() == home
    assert early[0].login(USER, "secret").startswith(b"OK")
    assert look() == home
    bob = server.logged_in("bob@example.org")
    home = look()
    assert early[1].login("bob@example.org", "secret").startswith(b"OK")
    assert look() == home

    for client in [*clients, *early, bob]:
        client.abandon()
    eventually(lambda: route_home(server, USER) is None)


def route_home(server, user):
    """Where sessions of the user are, as the last process knows it."""
    return admin.request(socket_of(server), f"/route?user={user}").json["home"]


def test_no_word_of_the_successor_is_no_login(front, backends):
    """What would have been granted is given back when the word comes."""
    server = front(by_turns(backends))
    early = [server.secure() for _ in range(3)]
    upgrade(server)

    os.kill(server.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for client in early:
            assert client.login(USER, "secret").startswith(b"NO [UNAVAILABLE]")
        assert time.monotonic() - began < 3  # one waited, two were told at once
    finally:
        os.kill(server.pid, signal.SIGCONT)

    eventually(lambda: route_home(server, USER) is None)
    assert early[0].login(USER, "secret").startswith(b"OK")
    assert route_home(server, USER) is not None
    early[0].abandon()
    eventually(lambda: route_home(server, USER) is None)


def test_sessions_at_a_full_backend_count(front, backends):
    routes = routes_to(backends[0])
    routes["backends"]["b1"]["max_sessions"] = 2
    server = front(routes)
    first, second = server.logged_in("a@x.org"), server.logged_in("b@x.org")

    upgrade(server)

    assert status_of(server, "b1")["sessions"] == 2
    assert log_in(server, user="c@x.org")[1].startswith(b"NO [UNAVAILABLE]")
    first.abandon()
    eventually(lambda: log_in(server, user="c@x.org")[1].startswith(b"OK"))
    second.abandon()


def test_tickets_of_the_predecessor_are_good(front, backends, client_context):
    server = front(routes_to(backends[0]))
    client = server.secure(client_context)
    client.login(USER, "secret")  # the ticket has come by then
    session = client.tls.session
    assert session.has_ticket

    upgrade(server)

    again = server.secure(client_context, session=session)
    assert again.tls.session_reused


def test_a_backend_is_as_it_was_since_then_and_why(front, backends):
    routes = by_turns(backends, when_down="refuse")
    routes["backends"]["gone"] = {"host": "127.0.0.1", "port": free_port(),
                                  "tls": "none"}
    routes["pools"]["p2"] = {"backends": ["gone"]}
    routes["domains"] = {"gone.test": "p2"}
    server = front(routes)
    for _ in range(3):
        assert log_in(server, user="x@gone.test")[1].startswith(
            b"NO [UNAVAILABLE]")
    command(server, "drain", "b2")
    before = [status_of(server, name) for name in ("gone", "b2")]
    assert [before[0]["state"], before[1]["mode"]] == ["down", "draining"]
    time.sleep(1.1)  # since then, not since the upgrade

    upgrade(server)

    after = [status_of(server, name) for name in ("gone", "b2")]
    for name in ("state", "why", "mode", "mode_why"):
        assert [one[name] for one in after] == [one[name] for one in before]
    assert after[0]["seconds"] >= before[0]["seconds"] + 1
    assert after[1]["mode_seconds"] >= before[1]["mode_seconds"] + 1
    look = place_of(backends)
    for number in range(4):
        server.logged_in(f"user{number}@x.org")
    assert look() == [0]
    command(server, "ready", "b2")
    assert status_of(server, "b2")["mode"] == "ready"
