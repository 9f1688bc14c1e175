"""Kicks, lists and drains of many sessions at once: whatever happens between
two slices of a look at all of them, each session is met."""

import concurrent.futures
import os
import signal
import time

import pytest

from gatepost_test import admin
from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer

CROWD = 40

pytestmark = pytest.mark.threads


@pytest.fixture
def front(gatepost, fake_backend):
    return gatepost(routes_to(fake_backend(ImapServer())),
                    admin={"socket": admin.SOCKET}, timeouts={"drain": 2})


@pytest.fixture
def ask(front):
    """ask("kick", user="..."): the answer of the admin socket."""
    path = os.path.join(front.folder, admin.SOCKET)

    def post(name, method="POST", **query):
        words = "&".join(f"{key}={value}" for key, value in query.items())
        answer = admin.request(path, f"/{name}?{words}", method)
        assert answer.status == 200, answer.body
        return answer.json
    return post


def users(count):
    return [f"user{number}@example.org" for number in range(count)]


def listed(ask):
    page = ask("sessions", "GET", limit=1000)
    assert page["complete"] is True and page["next"] is None
    return sorted(row["user"] for row in page["sessions"])


def wait_for(is_so):
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_many_kicks_at_once_end_whom_they_mean(front, ask):
    clients = [front.logged_in(user) for user in users(CROWD)]
    gone, left = users(CROWD)[::2], users(CROWD)[1::2]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda user: ask("kick", user=user), gone))

    assert [answer["sessions"] for answer in answers] == [1] * len(gone)
    for client in clients[::2]:
        client.read_to_end(10)
    assert listed(ask) == sorted(left)
    assert all(client.command("NOOP")[-1].startswith(b"OK")
               for client in clients[1::2])


def test_a_kick_over_a_time_ends_the_busy_ones_too(front, ask):
    clients = [front.logged_in(user) for user in users(20)]

    # None has been quiet for so long that it would go first.
    since = time.monotonic()
    assert ask("kick", backend="b1", over=3)["sessions"] == 20
    clients[0].read_to_end(10)
    first = time.monotonic() - since
    for client in clients:
        client.read_to_end(10)

    assert first < 2.5
    assert time.monotonic() - since > 2.5
    wait_for(lambda: listed(ask) == [])


def test_a_kick_over_a_time_spares_who_comes_afterwards(front, ask):
    clients = [front.logged_in("alice@example.org") for _ in range(3)]

    since = time.monotonic()
    assert ask("kick", user="alice@example.org", over=1)["sessions"] == 3
    late = front.logged_in("alice@example.org")
    for client in clients:
        client.read_to_end(10)
    time.sleep(max(0, since + 1.3 - time.monotonic()))

    assert late.command("NOOP")[-1].startswith(b"OK")


def test_who_comes_and_goes_during_a_drain_does_not_hold_it(front):
    clients = [front.logged_in(user) for user in users(20)]
    waiting = [front.secure() for _ in range(10)]

    front.signal(signal.SIGTERM)
    for client in clients[:10]:
        client.abandon()
    for client in waiting:
        assert client.read_to_end(10).startswith(b"* BYE")

    assert front.wait_exit() == 0
