"""Many sessions lose their backend in one moment: their clients come back one
after the other, and to a backend that can bear it (row E14)."""

import os
import select
import signal
import threading
import time

import pytest

from gatepost_test import admin
from gatepost_test.gatepost import routes_to
from gatepost_test.mortal import Mortal
from gatepost_test.scripts import ImapServer

SCALE = 20
SLOWER = 6  # where eleven seconds are to be told from none
QUIET = 5.5  # seconds after which a session is quiet

pytestmark = pytest.mark.threat("E14")


@pytest.fixture
def gate(gatepost, fake_backend):
    """gate(backend, rate, **settings): Gatepost on a clock that runs fast."""
    def start(backend, rate, scale=SCALE, **settings):
        limits = {"disconnect_rate": rate, **settings.pop("limits", {})}
        return gatepost(routes_to(backend), {
            "GATEPOST_FAULT_CLOCK_SCALE": str(scale)}, limits=limits,
            **settings)
    return start


def log_in(front, count, scale=SCALE):
    clients = [front.logged_in(f"user{number}@example.org")
               for number in range(count)]
    time.sleep(QUIET / scale)
    return clients


class Doomed(ImapServer):
    """One whose sessions all end when it dies, as at the death of a process:
    by FIN, or by RST where the kernel has bytes that it had not read."""

    def __init__(self, how="closed"):
        super().__init__(after=self._live)
        self.how = how
        self.end = threading.Event()

    def _live(self, conversation):
        self.end.wait()
        if self.how == "reset":
            conversation.reset()

    def die(self, backend):
        backend.refuse()
        self.end.set()


@pytest.fixture
def doomed():
    server = Doomed()
    yield server
    server.end.set()


def hear(clients, timeout, scale=SCALE, since=None):
    """When each of them heard of its end, in Gatepost's seconds from now (or
    from since), in order."""
    start, heard = since or time.monotonic(), []
    poll, left = select.poll(), len(clients)
    for client in clients:
        poll.register(client.sock, select.POLLIN)
    while left > 0:
        assert time.monotonic() < start + timeout, f"{left} heard nothing"
        for number, _ in poll.poll(100):
            poll.unregister(number)
            heard.append((time.monotonic() - start) * scale)
            left -= 1
    return heard


def wait_held_back(front, count=6):
    """Until at least so many clients do not know yet."""
    deadline = time.monotonic() + 5
    while front.counters()["clients_held_back"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_backend_sessions(front, count):
    """Until the backend has so many."""
    deadline = time.monotonic() + 5
    while admin.metrics(os.path.join(front.folder, admin.SOCKET))[
            'gatepost_backend_sessions{backend="b1"}'] != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def goes_by_the_rate(heard, rate):
    """Whether no more had heard at any moment than a second's worth and those
    who were due since. What delays them makes them fewer."""
    return all(count <= rate * (moment + 1.2)
               for count, moment in enumerate(heard))


@pytest.mark.threads
@pytest.mark.parametrize("how", ["closed", "reset"])
def test_e14_quiet_clients_hear_of_it_at_the_rate(
        gate, fake_backend, doomed, how):
    doomed.how = how
    backend = fake_backend(doomed)
    front = gate(backend, 10)
    clients = log_in(front, 30)

    start = time.monotonic()
    doomed.die(backend)
    heard = hear(clients, 10, since=start)

    assert all(client.read_to_end() == b"" for client in clients)
    assert goes_by_the_rate(heard, 10)
    assert 1.2 < heard[-1] < 2.1 + SCALE / 2
    # Each tenth of a second that the deaths themselves take lets one more
    # go at once.
    assert 10 <= front.counters()["clients_held_back"] <= 20


def test_e14_who_is_at_work_hears_at_once(gate, fake_backend, doomed):
    backend = fake_backend(doomed)
    front = gate(backend, 1, SLOWER)
    clients = log_in(front, 12, SLOWER)
    for client in clients:
        client.send(b"z NOOP\r\n")
    time.sleep(0.2)

    doomed.die(backend)

    assert hear(clients, 10, SLOWER)[-1] < 6
    assert front.counters()["clients_held_back"] == 0


def test_e14_who_speaks_while_held_back_hears_at_once(
        gate, fake_backend, doomed):
    backend = fake_backend(doomed)
    front = gate(backend, 1, SLOWER)
    clients = log_in(front, 12, SLOWER)
    doomed.die(backend)
    wait_held_back(front)

    for client in clients:
        client.send(b"z NOOP\r\n")

    # The last of them would hear after eleven seconds.
    assert hear(clients, 10, SLOWER)[-1] < 6
    assert all(client.read_to_end() == b"" for client in clients)
    assert all(client.saw_close_notify for client in clients)


def test_e14_their_places_are_free_while_they_are_held_back(
        gate, fake_backend, doomed):
    """At the limits, and of their backend."""
    backend = fake_backend(doomed)
    front = gate(backend, 1, admin={"socket": admin.SOCKET},
                 limits={"per_user": 1, "per_address": 12})
    clients = log_in(front, 12)

    doomed.die(backend)
    wait_held_back(front)
    first = select.select([one.sock for one in clients], [], [], 5)[0]
    for client in clients:
        if client.sock in first:
            client.abandon()
    wait_backend_sessions(front, 0)
    assert front.counters()["sessions_open"] > 3
    fake_backend(ImapServer(), port=backend.port)
    again = front.secure()
    assert again.login("user11@example.org").startswith(b"OK")
    route = admin.request(os.path.join(front.folder, admin.SOCKET),
                          "/route?user=user10@example.org")
    assert not route.json.get("home")


def test_e14_a_drain_does_not_wait_for_them(gate, fake_backend, doomed):
    backend = fake_backend(doomed)
    front = gate(backend, 1, SLOWER, timeouts={"drain": 2})
    clients = log_in(front, 12, SLOWER)
    doomed.die(backend)
    wait_held_back(front)

    front.signal(signal.SIGTERM)

    assert hear(clients, 10, SLOWER)[-1] < 6
    assert all(client.read_to_end() == b"" for client in clients)
    assert front.wait_exit() == 0


def test_e14_without_a_rate_all_hear_at_once(gate, fake_backend, doomed):
    backend = fake_backend(doomed)
    front = gate(backend, 0)
    clients = log_in(front, 12)

    doomed.die(backend)

    assert hear(clients, 10)[-1] < SCALE / 2
    assert front.counters()["clients_held_back"] == 0


@pytest.mark.slow
def test_e14_a_backend_that_is_away_is_not_called_by_who_comes_back(
        gate, fake_backend, doomed):
    """A probe in five seconds looks after it; logins do not."""
    backend = fake_backend(doomed)
    front = gate(backend, 1000, upstream={"health": {"interval": 5}})
    clients = log_in(front, 6)
    doomed.die(backend)
    hear(clients, 10)
    front.wait_log("backend-down")
    before = front.counters()["dials"]

    for number in range(6):
        answer = front.secure().login(f"user{number}@example.org")
        assert answer.startswith(b"NO [UNAVAILABLE]")

    assert front.counters()["dials"] == before


@pytest.mark.slow
@pytest.mark.limit(30)
def test_e14_five_thousand_come_back(gate, leaf, folder):
    """The real thing: a process is killed, and whoever hears of it comes back
    and logs in until that works."""
    count, rate, scale = 5000, 250, 4
    mortal = Mortal("none", leaf.save(folder, "backend"))
    try:
        front = gate(mortal, rate, scale, upstream={"health": {}},
                     limits={"backend_logins": 50, "backend_queue": 5000})
        clients = log_in(front, count, scale)
        start = time.monotonic()
        mortal.die()
        heard = hear(clients, 60, scale, start)
        print(f"\n{count} clients heard within {heard[-1]:.1f} s, "
              f"{rate} of them in the first {heard[rate]:.1f} s, "
              f"half of them within {heard[count // 2]:.1f} s")
        assert goes_by_the_rate(heard, rate)
        assert (count / rate - 1) * 0.9 < heard[-1] < count / rate + 10
        for client in clients:
            client.abandon()
        front.wait_log("backend-down", timeout=30)
        mortal.live()
        front.wait_log("backend-up", timeout=20)
        again = [front.secure() for _ in range(500)]
        start = time.monotonic()
        for number, client in enumerate(again):
            client.send(b"a LOGIN user%d@example.org pw\r\n" % number)
        for client in again:
            assert client.read_reply("a")[-1].startswith(b"a OK")
        print(f"500 logins at once, 50 at a time: "
              f"{time.monotonic() - start:.1f} s of the machine")
    finally:
        mortal.stop()
