"""Whom a backend takes: "state" of routes.json, at start and by reload."""

import time

import pytest

from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.scripts import ImapServer

pytestmark = pytest.mark.threads

GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] Ready.\r\n"


@pytest.fixture
def backends(fake_backend):
    return [fake_backend(ImapServer()), fake_backend(ImapServer())]


def two(backends, states=("ready", "ready"), when_down="next", **pool):
    names = ["b1", "b2"]
    return {"backends": {name: backend_entry(backend, state=state)
                         for name, backend, state
                         in zip(names, backends, states)},
            "pools": {"p1": {"backends": names, "when_down": when_down,
                             **pool}},
            "default": "p1"}


def login(front, user="alice@example.org"):
    client = front.secure()
    return client, client.command(f"LOGIN {user} secret")[-1]


def ends_since(front, mark, count):
    """The log's lines of so many sessions that maintenance ended."""
    def is_one(entry):
        return (entry.get("event") == "session-end" and
                entry["reason"] == "maintenance")

    front.wait_log(lambda _: sum(map(is_one, front.log[mark:])) >= count)
    return [one for one in front.log[mark:] if is_one(one)]


def set_states(front, backends, *states, **pool):
    front.write_routes(two(backends, states, **pool))
    front.reload()


@pytest.mark.parametrize("balance", ["hash", "least-sessions"])
@pytest.mark.parametrize("state", ["draining", "maintenance"])
def test_who_is_new_goes_to_the_next(gatepost, backends, state, balance):
    front = gatepost(two(backends, (state, "ready"), balance=balance))

    for number in range(8):
        client, answer = login(front, f"user{number}@example.org")
        assert answer.startswith(b"OK"), answer
        client.abandon()

    assert [one.connects for one in backends] == [0, 8]


@pytest.mark.parametrize("state", ["draining", "maintenance"])
def test_without_a_next_it_is_unavailable(gatepost, backends, state):
    front = gatepost(two(backends, (state, state), "refuse"))

    client, answer = login(front)

    assert answer.startswith(b"NO [UNAVAILABLE]")
    assert client.command("NOOP")[-1].startswith(b"OK")
    reason = {"draining": "backend-draining",
              "maintenance": "backend-in-maintenance"}[state]
    assert front.wait_log("login-failed")["reason"] == reason
    assert [one.connects for one in backends] == [0, 0]


def test_draining_keeps_its_sessions(gatepost, backends):
    front = gatepost(two(backends))
    client, _ = login(front)

    set_states(front, backends, "draining", "draining")
    time.sleep(0.3)

    assert client.command("NOOP")[-1].startswith(b"OK")
    assert login(front, "other")[1].startswith(b"NO [UNAVAILABLE]")


def test_maintenance_closes_its_sessions_alone(gatepost, backends):
    front = gatepost(two(backends), timeouts={"drain": 0.2})
    users = [f"user{number}@example.org" for number in range(12)]
    clients = {user: login(front, user)[0] for user in users}
    first = backends[0].connects
    assert 0 < first < 12
    mark = front.mark()

    set_states(front, backends, "maintenance", "ready")
    ended = ends_since(front, mark, first)

    assert {one["backend"] for one in ended} == {"b1"}
    for one in ended:
        client = clients.pop(one["user"])
        assert client.read_to_end() == b"" and client.saw_close_notify
    assert len(clients) == 12 - first
    for client in clients.values():
        assert client.command("NOOP")[-1].startswith(b"OK")


def test_maintenance_spreads_over_the_drain_time(gatepost, backends):
    front = gatepost(two(backends), timeouts={"drain": 1.5})
    for number in range(12):
        login(front, f"user{number}@example.org")
    mark = front.mark()
    start = time.monotonic()

    set_states(front, backends, "maintenance", "maintenance")
    ends_since(front, mark, 12)

    assert time.monotonic() - start > 1


def test_ready_again_in_time_spares_the_rest(gatepost, backends):
    front = gatepost(two(backends), timeouts={"drain": 60})
    clients = [login(front, f"user{number}@example.org")[0]
               for number in range(6)]

    set_states(front, backends, "maintenance", "maintenance")
    set_states(front, backends, "ready", "ready")
    time.sleep(0.3)

    for client in clients:
        assert client.command("NOOP")[-1].startswith(b"OK")
    assert login(front)[1].startswith(b"OK")


def test_maintenance_ends_who_is_logging_in(gatepost, fake_backend):
    def never_answers(conversation):
        conversation.send(GREETING)
        conversation.read_line()
        conversation.stall()

    backend = fake_backend(never_answers)
    front = gatepost(routes_to(backend), timeouts={"drain": 0.1})
    client = front.secure()
    client.send(b"a LOGIN alice secret\r\n")
    backend.conversation()

    front.write_routes(routes_to(backend, state="maintenance"))
    front.reload()

    assert client.read_to_end(5).startswith(b"* BYE [UNAVAILABLE]")


def test_the_log_tells_of_each_change(gatepost, backends):
    front = gatepost(two(backends))
    mark = front.mark()

    set_states(front, backends, "draining", "ready")

    line = front.wait_log("backend-mode", since=mark)
    assert line["backend"] == "b1"
    assert line["mode"] == "draining"
    assert line["reason"] == "routing table"
