"""Listening sockets that outlive the process: an upgrade in place takes them
over, whatever the number of workers and whatever its listeners are."""

import collections
import concurrent.futures
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from gatepost_test import admin, orphans, procfs
from gatepost_test.activation import handed_over, listening
from gatepost_test.gatepost import REFUSED, STARTED, routes_to
from gatepost_test.network import own_network
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import WireClient

pytestmark = pytest.mark.threads


@pytest.fixture
def start(gatepost, fake_backend, folder):
    """start(...): as gatepost(...), with administration."""
    orphans.adopt()
    backend = fake_backend(ImapServer())

    def run(**more):
        front = gatepost(routes_to(backend), wait=False,
                         admin={"socket": admin.SOCKET}, **more)
        front.wait_log(STARTED, timeout=20)
        return front
    return run


def take_over(front, **changes):
    """Has a process with these settings take over."""
    front.settings.update(changes)
    front.write_settings(front.settings)
    answer = admin.request(os.path.join(front.folder, admin.SOCKET),
                           "/upgrade", "POST", timeout=60)
    assert answer.status == 200, answer.text
    front.follow(answer.json["successor"])


def upgrade(front, **changes):
    """The same; waits until the former process listens no more."""
    former = front.pid
    take_over(front, **changes)
    wait_for(lambda: not sockets_of(former))


def wait_for(what, timeout=15):
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sockets_of(pid):
    """Those that listen; none if the process has ended."""
    try:
        return procfs.listening_inodes(pid)
    except FileNotFoundError:
        return set()


def listener(port, address="127.0.0.1"):
    return {"address": address, "port": port, "tls": "starttls"}


def greeted(port, host="127.0.0.1"):
    client = WireClient((host, port))
    assert client.read_line().startswith(b"* OK")
    return client


def shares(front, port, count):
    """How many of so many connections each worker served."""
    since = front.mark()
    for client in [greeted(port) for _ in range(count)]:
        client.abandon()

    def ends():
        return [entry for entry in front.log[since:]
                if entry["event"] == "session-end"]

    wait_for(lambda: len(ends()) >= count)
    return collections.Counter(entry["id"].split("-")[0] for entry in ends())


class Connects:
    """Clients that come all the time, and what they saw."""

    def __init__(self, port, count=4):
        self._port, self._stop = port, threading.Event()
        self.seen = collections.Counter()
        self._threads = [threading.Thread(target=self._run)
                         for _ in range(count)]

    def _run(self):
        seen = collections.Counter()
        while not self._stop.is_set():
            try:
                client = WireClient(("127.0.0.1", self._port), timeout=20)
                seen[client.read_line()[:5]] += 1
                client.abandon()
                time.sleep(0.001)  # or nobody else has a turn
            except (OSError, EOFError, AssertionError) as failure:
                seen[repr(failure)] += 1
        self.seen.update(seen)

    def __enter__(self):
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for one in self._threads:
            one.join()


def test_all_workers_serve_whatever_the_number_of_sockets(start):
    port = free_port()
    front = start(workers=2, listeners=[listener(port)])
    sockets = sockets_of(front.pid)

    with Connects(port) as connects:
        for workers in (5, 1, 3):
            upgrade(front, workers=workers)

            assert len(shares(front, port, 20 * workers)) >= workers
            assert sockets_of(front.pid) == sockets
    assert set(connects.seen) == {b"* OK "}


def test_a_service_managers_socket_goes_on_from_process_to_process(start):
    held = listening()
    port = held.getsockname()[1]
    front = start(workers=3, listeners=[listener(port)],
                  started_by=handed_over([held]))
    sockets = sockets_of(front.pid)

    with Connects(port) as connects:
        for _ in range(2):
            upgrade(front)

    assert set(connects.seen) == {b"* OK "}
    assert len(shares(front, port, 12)) == 3
    assert sockets_of(front.pid) == sockets
    held.close()


def test_who_comes_at_the_end_waits_for_the_service_manager(start):
    held = listening()
    port = held.getsockname()[1]
    front = start(workers=2, listeners=[listener(port)],
                  started_by=handed_over([held]), timeouts={"drain": 2})
    for _ in range(2):
        upgrade(front)
    inside = WireClient(("127.0.0.1", port))
    inside.read_line()
    since = front.mark()
    os.kill(front.pid, signal.SIGTERM)
    front.wait_log("draining", since)
    time.sleep(0.1)

    with socket.create_connection(("127.0.0.1", port), 0.5) as late:
        with pytest.raises(TimeoutError):
            late.recv(1)

    inside.abandon()
    held.close()


@pytest.fixture
def low_socket():
    """One that only root may open."""
    try:
        network = own_network()
        network.__enter__()
    except PermissionError:
        pytest.skip("no right to make a network: root has it")
    try:
        with listening(port=143) as held:
            yield held
    finally:
        network.__exit__(None, None, None)


@contextlib.contextmanager
def without_low_ports(held):
    with handed_over([held]) as (first, kept):
        yield [*first, "setpriv", "--inh-caps=-net_bind_service",
               "--bounding-set=-net_bind_service", "--"], kept


def test_rights_that_were_given_up_are_not_missed(start, low_socket):
    """A port that neither process may open goes on."""
    front = start(listeners=[listener(143)],
                  started_by=without_low_ports(low_socket))
    since = front.mark()
    front.write_settings({**front.settings, "listeners": [
        listener(143), listener(142)]})
    front.reload(REFUSED)
    assert ":142" in str(front.log[since:])

    with Connects(143) as connects:
        upgrade(front)

    assert set(connects.seen) == {b"* OK "}
    greeted(143).abandon()


def test_listeners_that_change_by_an_upgrade(start):
    gone, wider, come = free_port(), free_port(), free_port()
    front = start(listeners=[listener(gone), listener(wider)])

    with Connects(wider) as connects:
        upgrade(front, listeners=[listener(wider, "*"), listener(come)])

        greeted(wider, "127.0.0.1").abandon()
        greeted(wider, "::1").abandon()
        greeted(come).abandon()
        with pytest.raises(ConnectionRefusedError):
            greeted(gone)
    connects.seen.pop(b"* OK ")
    # That moment of an address and "*" is in the manual.
    assert all("reset" in one for one in connects.seen), connects.seen


def test_nobody_in_the_queue_of_a_gone_listener_is_reset(start):
    kept, gone = free_port(), free_port()
    front = start(listeners=[listener(kept), listener(gone)],
                  limits={"sessions": 2})
    inside = [greeted(kept) for _ in range(2)]
    waiting = [WireClient(("127.0.0.1", gone), timeout=20) for _ in range(5)]
    leaving = threading.Timer(0.5, lambda: [one.abandon() for one in inside])
    leaving.start()

    take_over(front, listeners=[listener(kept)])

    def see_greeting(client):
        line = client.read_line()
        client.abandon()
        return line

    with concurrent.futures.ThreadPoolExecutor(len(waiting)) as pool:
        for line in pool.map(see_greeting, waiting):
            assert line.startswith(b"* OK")
    leaving.join()


def test_a_refused_upgrade_leaves_all_sockets_as_they_were(start):
    port, taken = free_port(), listening()
    front = start(listeners=[listener(port)])
    sockets = sockets_of(front.pid)

    with Connects(port) as connects:
        front.write_settings({**front.settings, "workers": 5, "listeners": [
            {**listener(port), "tls": "implicit"},
            listener(taken.getsockname()[1])]})
        answer = admin.request(os.path.join(front.folder, admin.SOCKET),
                               "/upgrade", "POST", timeout=60)

        assert answer.status != 200
        assert "another program listens there" in answer.text
        assert sockets_of(front.pid) == sockets
    assert set(connects.seen) == {b"* OK "}
    taken.close()
