"""System calls that fail: what passes costs nobody anything, what does not
ends one session, and never more than that (row G6)."""

import collections
import os
import signal
import subprocess
import threading
import time

import pytest

from gatepost_test import procfs
from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer, echo
from gatepost_test.wire import WireTimeout

# Calls that are made again: a fault of this kind is over when it is told.
PASSING = {
    "read": ("EAGAIN", "EINTR"),
    "write,writev": ("EAGAIN", "EINTR", "ENOBUFS"),
    "accept4": ("EAGAIN", "EINTR", "ECONNABORTED"),
    "epoll_wait,epoll_pwait": ("EINTR",),
}

# Calls on the way to a session, whose failure costs that one, or a moment.
# (What shutdown says only tells what the next read does.)
ON_THE_WAY = {
    "accept4": ("EMFILE", "ENOBUFS"),
    "socket": ("EMFILE", "ENOBUFS"),
    "connect": ("ECONNREFUSED", "EADDRNOTAVAIL", "ENOBUFS"),
    "setsockopt": ("ENOBUFS", "ECONNRESET"),
}

# Calls of a session that stands. Of its sockets only: libuv itself lives by
# reads and writes of its event descriptors.
STANDING = {
    "read": ("ECONNRESET", "ENOBUFS", "ETIMEDOUT"),
    "write,writev": ("EPIPE", "ECONNRESET"),
}


def is_traced(pid):
    """Whether every thread of the process is."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status",
                  encoding="ascii") as status:
            if "TracerPid:\t0\n" in status.read():
                return False
    return True


class Injected:
    """While it lasts, every so-many-th of these calls fails with the error,
    in each thread; `hits` is how many did."""

    def __init__(self, front, calls, error, every, sockets=()):
        self.pid = front.pid
        self.trace = f"{front.folder}/{calls}.{error}.strace"
        paths = [word for one in sockets for word in ("-P", one)]
        self.command = [
            "strace", "-f", "-qq", "-o", self.trace, "-e", "signal=none",
            "-e", f"trace={calls}", *paths, "-e",
            f"inject={calls}:error={error}:when={every}+{every}",
            "-p", str(self.pid)]
        self.hits = 0

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while not is_traced(self.pid):
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        self.process.stderr.close()
        with open(self.trace, encoding="utf-8", errors="replace") as trace:
            self.hits = trace.read().count("(INJECTED)")


def visit(front):
    """A session from its connect to its end, with some bytes each way."""
    with front.secure() as client:
        answer = client.login()
        if not answer.startswith(b"OK"):
            return answer[:17]
        for length in (10, 40000):
            client.send(bytes(length))
            if client.read_exact(length) != bytes(length):
                return "other bytes"
        client.half_close()
        return "OK" if client.read_to_end() == b"" else "more bytes"


def visits(front, count):
    """What became of so many, two at a time."""
    told = collections.Counter()

    def come():
        for _ in range(count // 2):
            try:
                told[visit(front)] += 1
            except WireTimeout:
                told["hangs"] += 1
            except OSError:
                told["ended"] += 1

    pair = [threading.Thread(target=come) for _ in range(2)]
    for one in pair:
        one.start()
    for one in pair:
        one.join()
    return told


@pytest.fixture
def front(gatepost, fake_backend):
    """One whose backend sends everything back."""
    return gatepost(routes_to(fake_backend(ImapServer(after=echo))))


def cases(kinds):
    return [(calls, error) for calls, errors in kinds.items()
            for error in errors]


@pytest.mark.threat("G6")
@pytest.mark.limit(120)
def test_g6_what_passes_is_not_noticed(front, times):
    for calls, error in cases(PASSING):
        with Injected(front, calls, error, every=3) as injected:
            told = visits(front, times(6, 60))

        assert set(told) == {"OK"}, (calls, error, told)
        assert injected.hits, (calls, error)
    front.wait_counters(sessions_open=0)


@pytest.mark.threat("G6")
@pytest.mark.limit(120)
def test_g6_what_fails_on_the_way_costs_one_login(front, times):
    visits(front, 2)
    descriptors = front.resting_descriptors()
    for calls, error in cases(ON_THE_WAY):
        with Injected(front, calls, error, every=3) as injected:
            told = visits(front, times(6, 60))

        assert set(told) <= {"OK", "ended", b"NO [UNAVAILABLE] "}, (
            calls, error, told)
        assert injected.hits and told["OK"] > 0, (calls, error, told)
        assert visits(front, 2) == {"OK": 2}, (calls, error)
        front.wait_counters(sessions_open=0)
        front.wait_descriptors(descriptors)


def sockets_of(front):
    """The names of those that it holds."""
    return {one for one in procfs.descriptors(front.pid)
            if one.startswith("socket:")}


def ends(client):
    """Whether the other side ends it, after whatever it had to say."""
    try:
        client.send(bytes(20000))
        client.read_to_end(10)
    except OSError:
        pass
    return True


@pytest.mark.threat("G6")
@pytest.mark.limit(120)
def test_g6_what_breaks_a_session_ends_both_its_sides(front):
    bystander = front.logged_in("bystander")
    descriptors = front.resting_descriptors()
    others = sockets_of(front)
    for calls, error in cases(STANDING):
        clients = [front.logged_in(f"user{number}") for number in range(4)]
        since = front.mark()
        with Injected(front, calls, error, 1,
                      sockets_of(front) - others) as injected:
            assert all([ends(client) for client in clients]), (calls, error)

        assert injected.hits >= len(clients), (calls, error)
        for number in range(4):
            front.session_end(since, user=f"user{number}")
        front.wait_counters(sessions_open=1)
        front.wait_descriptors(descriptors)
        bystander.send(b"still here")
        assert bystander.read_exact(10) == b"still here"
