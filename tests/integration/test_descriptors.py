"""Descriptors run out: by our own clients, or because somebody else takes
them away (row G1). Accepting pauses; it neither spins nor resets who waits,
and goes on when there is room."""

import itertools
import resource
import time

import pytest

from gatepost_test import procfs
from gatepost_test.gatepost import REFUSED, routes_to
from gatepost_test.wire import WireTimeout

pytestmark = pytest.mark.threat("G1")


def is_served(client):
    """Logs in and leaves. The others hear BYE: they were the oldest without a
    login, and more waited."""
    heard = client.read_line()
    try:
        if heard.startswith(b"* OK"):
            client.send(b"s STARTTLS\r\n")
            heard = client.read_line()
        if not heard.startswith(b"* BYE"):
            client.handshake()
            return client.login().startswith(b"OK")
    except ConnectionError:
        pass
    finally:
        client.abandon()
    return False


def first_free(front):
    """The number that its next descriptor gets."""
    taken = set(procfs.numbers(front.pid))
    return next(number for number in itertools.count() if number not in taken)


def take_away(front):
    """From now on the process gets no descriptor more than it has now; returns
    what gives them back. That of a probe is free again in a moment."""
    former = resource.prlimit(front.pid, resource.RLIMIT_NOFILE)
    lowest = first_free(front)
    for _ in range(30):
        time.sleep(0.01)
        lowest = min(lowest, first_free(front))
    resource.prlimit(front.pid, resource.RLIMIT_NOFILE, (lowest, former[1]))
    return lambda: resource.prlimit(front.pid, resource.RLIMIT_NOFILE, former)


def is_quiet(front):
    """Whether it uses no more of a processor than looking up now and then
    takes."""
    before = front.cpu()
    time.sleep(0.6)
    return front.cpu() - before < 0.1


def test_g1_two_hundred_clients_of_64_descriptors_are_all_served(
        gatepost, backend):
    """Each logs in, so that it needs two descriptors, and leaves."""
    front = gatepost(routes_to(backend), {"GATEPOST_FAULT_CLOCK_SCALE": "10"},
                     workers=1, descriptors=64)
    clients = [front.connect("starttls", timeout=30) for _ in range(200)]
    time.sleep(0.3)

    assert is_quiet(front)
    assert front.descriptors() <= 64
    served = sum(is_served(client) for client in clients)

    assert served > 10
    assert front.counters()["accept_pauses"] > 0
    assert front.logged_in().command("NOOP")[-1].startswith(b"OK")


def test_g1_taken_away_by_others_nobody_is_reset_and_all_recovers(
        gatepost, backend):
    front = gatepost(routes_to(backend), workers=1)
    session, waiting = front.logged_in(), front.secure()
    front.resting_descriptors()
    give_back = take_away(front)
    since = front.mark()

    clients = [front.connect("starttls") for _ in range(20)]

    assert is_quiet(front)
    assert session.command("NOOP")[-1].startswith(b"OK")
    with pytest.raises(WireTimeout):
        clients[-1].read_line(0.2)
    failures = [one for one in front.log[since:]
                if one["event"] == "accept-failed"]
    assert 1 <= len(failures) <= 3  # a line, not a flood
    assert waiting.login().startswith(b"NO [UNAVAILABLE]")
    give_back()
    for client in clients:
        assert client.read_line(10).startswith(b"* OK")
    assert waiting.login().startswith(b"OK")


def test_g1_our_want_of_descriptors_is_not_the_backends_fault(
        gatepost, backend):
    front = gatepost(routes_to(backend), {"GATEPOST_FAULT_CLOCK_SCALE": "5"},
                     workers=1,
                     upstream={"health": {"interval": 1, "fall": 1}})
    waiting = front.secure()
    time.sleep(0.3)
    front.resting_descriptors()
    give_back = take_away(front)

    for _ in range(3):
        assert waiting.login().startswith(b"NO [UNAVAILABLE]")
    time.sleep(0.5)
    give_back()

    assert waiting.login().startswith(b"OK")
    assert not [one for one in front.log if one["event"] == "backend-down"]


def test_g1_a_reload_that_cannot_open_its_files_is_refused(gatepost, backend):
    front = gatepost(routes_to(backend), workers=1)
    session = front.logged_in()
    front.resting_descriptors()
    give_back = take_away(front)

    front.reload(expect=REFUSED)

    assert "too many open files" in front.stderr.lower()
    assert session.command("NOOP")[-1].startswith(b"OK")
    give_back()
    front.reload()
    assert front.logged_in().command("NOOP")[-1].startswith(b"OK")
