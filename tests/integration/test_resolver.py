"""Backends by name, in front of a name server of the test's own (row E15):
what it says is asked for again and again, off the loops, and is nothing but
addresses."""

import time

import pytest

from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.nameserver import (FAILS, HANGS, NameServer,
                                      own_resolv_conf)
from gatepost_test.network import own_network
from gatepost_test.scripts import ImapServer

SCALE = 20
INTERVAL = 4
NAME = "imap.backend.test"
RESOLVER_ANSWER_MAX = 64
ODD = b'x\r\na OK in\r\n* BYE "\0%n'

pytestmark = pytest.mark.threat("E15")


class Place:
    """Where a backend of the table is said to be."""

    def __init__(self, host, port):
        self.host, self.port = host, port


@pytest.fixture
def names(folder):
    """A name server, in a network of the test's own."""
    with own_network(), own_resolv_conf(folder):
        server = NameServer({})
        yield server
        server.stop()


@pytest.fixture
def named(gatepost):
    """named(backend): Gatepost that calls the backend by its name."""
    def start(backend, host=NAME, others=None, **settings):
        routes = routes_to(Place(host, backend.port), allow_cleartext=True)
        routes["backends"].update(others or {})
        for name in others or {}:
            routes["pools"][name] = {"backends": [name]}
            routes.setdefault("users", {})[f"{name}@example.org"] = name
        return gatepost(
            routes, {"GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)},
            upstream={"resolve_interval": INTERVAL,
                      "health": {"interval": 0}}, **settings)
    return start


def log_in(front, user="alice@example.org"):
    """The answer, and how long it took."""
    start = time.monotonic()
    with front.secure() as client:
        return client.login(user), time.monotonic() - start


def eventually_logs_in(front, timeout=5):
    deadline = time.monotonic() + timeout
    while not log_in(front)[0].startswith(b"OK"):
        assert time.monotonic() < deadline, "the name is never found"
        time.sleep(0.05)


def wait_asked(names, more):
    """Until so many more questions have come."""
    wanted, deadline = len(names.asked) + more, time.monotonic() + 10
    while len(names.asked) < wanted:
        assert time.monotonic() < deadline, "nobody asks"
        time.sleep(0.02)


def test_e15_a_name_without_an_address_is_unavailable_until_it_has_one(
        named, names, fake_backend):
    backend = fake_backend(ImapServer())
    front = named(backend)

    answer, took = log_in(front)
    assert answer.startswith(b"NO [UNAVAILABLE]")
    assert took < 2
    assert backend.connects == 0
    names.names[NAME] = ["127.0.0.1"]
    eventually_logs_in(front)


def test_e15_a_thousand_addresses_are_no_more_than_a_few(
        named, names, fake_backend):
    backend = fake_backend(ImapServer(), host="0.0.0.0")
    names.names[NAME] = [f"127.7.{number // 250}.{number % 250 + 1}"
                         for number in range(1000)]
    front = named(backend)
    eventually_logs_in(front)
    before = front.resting_descriptors(), front.counters()["dials"]

    clients = [front.logged_in() for _ in range(3)]

    assert len({one.sock.getsockname()[0]
                for one in backend.conversations[-3:]}) == 1
    assert front.counters()["dials"] == before[1] + 3
    for client in clients:
        client.abandon()
    front.wait_descriptors(before[0])


def test_e15_when_all_of_a_thousand_fail_it_comes_to_an_end(
        named, names, fake_backend):
    """All of them refuse; so many at most are tried."""
    backend = fake_backend(ImapServer())
    backend.refuse()
    names.names[NAME] = [f"127.7.{number // 250}.{number % 250 + 1}"
                         for number in range(1000)]
    front = named(backend)
    asked = front.mark()
    while not any(one["event"] == "dial-failed" for one in front.log):
        answer, took = log_in(front)
        assert answer.startswith(b"NO [UNAVAILABLE]")
        assert took < 3

    assert "refused" in front.wait_log("dial-failed", asked)["reason"]
    assert front.counters()["dials"] <= RESOLVER_ANSWER_MAX


@pytest.mark.parametrize("how", [
    "hangs", "dies", pytest.param("fails", marks=pytest.mark.slow),
    pytest.param("forgets", marks=pytest.mark.slow)])
def test_e15_the_last_good_answer_is_kept(named, names, fake_backend, how):
    backend = fake_backend(ImapServer())
    names.names[NAME] = ["127.0.0.1"]
    front = named(backend)
    eventually_logs_in(front)

    if how == "forgets":
        del names.names[NAME]
    elif how == "dies":
        names.stop()
    else:
        names.mood = {"fails": FAILS, "hangs": HANGS}[how]
    if how != "dies":
        wait_asked(names, 2)
    time.sleep(2 * INTERVAL / SCALE)

    answer, took = log_in(front)
    assert answer.startswith(b"OK")
    assert took < 1


def test_e15_a_name_server_that_hangs_delays_nobody(
        named, names, fake_backend):
    """Neither the start, nor sessions, nor logins elsewhere, nor a reload,
    nor the end."""
    good, unknown = fake_backend(ImapServer()), fake_backend(ImapServer())
    names.mood = HANGS
    front = named(unknown, others={"good": backend_entry(good)})
    client = front.logged_in("good@example.org")
    slowest, end = 0, time.monotonic() + 0.8

    while time.monotonic() < end:
        start = time.monotonic()
        assert client.command("NOOP")[-1].startswith(b"OK")
        assert log_in(front, "good@example.org")[0].startswith(b"OK")
        slowest = max(slowest, time.monotonic() - start)

    assert slowest < 2  # the resolver waits for three seconds
    assert log_in(front)[0].startswith(b"NO [UNAVAILABLE]")
    front.reload()
    assert client.command("NOOP")[-1].startswith(b"OK")


def test_e15_who_moves_is_found_at_the_new_address(
        named, names, fake_backend):
    old = fake_backend(ImapServer(), host="127.0.0.5")
    new = fake_backend(ImapServer(), host="127.0.0.6", port=old.port)
    names.names[NAME] = ["127.0.0.5"]
    front = named(old)
    eventually_logs_in(front)
    stays = front.logged_in()

    names.names[NAME] = ["127.0.0.6"]
    deadline = time.monotonic() + 5
    while new.connects == 0:
        assert time.monotonic() < deadline
        assert log_in(front, "bob@example.org")[0].startswith(b"OK")
        time.sleep(0.05)

    assert stays.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.parametrize("odd", [ODD, b"evil.example", b"x" * 63])
def test_e15_what_else_stands_in_an_answer_goes_nowhere(
        named, names, fake_backend, folder, odd):
    backend = fake_backend(ImapServer())
    names.names[NAME] = odd
    front = named(backend, log={"format": "json", "level": "debug"})
    wait_asked(names, 2)

    with front.secure() as client:
        lines = client.command("LOGIN alice@example.org pw")

    assert lines[-1].startswith((b"OK", b"NO [UNAVAILABLE]"))
    told = backend.received + b"".join(lines) + front.stderr.encode()
    assert odd not in told and b"evil" not in told and b"xxxx" not in told


def test_e15_only_the_tables_names_are_asked_for(
        named, names, fake_backend):
    """Whatever users call themselves, and whatever addresses they have."""
    backend = fake_backend(ImapServer())
    names.names[NAME] = ["127.0.0.1"]
    front = named(backend)
    eventually_logs_in(front)

    for user in ("a@evil.example", "evil.example", "a@127.0.0.1", "a@b.test"):
        assert log_in(front, user)[0].startswith(b"OK")
    wait_asked(names, 2)

    assert set(names.asked) == {NAME}


@pytest.mark.parametrize("host", ["a b", "a\r\nb", "a\0b", "a\"b", "a/b",
                                  "", "x" * 256, "a%nb", "b\u00fccher.test"])
def test_e15_odd_names_are_refused_at_load(command, host):
    status, output, errors = command(routes_to(Place(host, 143)), "check")

    assert status == 1
    assert "$.backends.b1.host" in output + errors
