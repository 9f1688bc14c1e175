"""What a service manager hears, and what it is asked to run (row I8)."""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from gatepost_test import admin, orphans
from gatepost_test.gatepost import REFUSED, RELOADED, routes_to

pytestmark = pytest.mark.threads

DEPLOY = os.path.join(os.path.dirname(__file__), "../../deploy")
UNIT = os.path.join(DEPLOY, "gatepost.service")
# 0.2 of it is NotifyAccess=all, which an upgrade in place wants.
EXPOSURE_MAX = 1.6

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # of waitpid: threads, too


class Manager:
    """The manager's end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)

    def hear(self, timeout=10):
        """The next message as a dict, signs of life passed over."""
        deadline = time.monotonic() + timeout
        while True:
            message = self._receive(deadline - time.monotonic())
            if message != {"WATCHDOG": "1"}:
                return message

    def count_signs_of_life(self, seconds):
        """How many came within so many seconds from now on."""
        self._drop_all()
        deadline = time.monotonic() + seconds
        count = 0
        while True:
            try:
                message = self._receive(deadline - time.monotonic())
            except TimeoutError:
                return count
            count += message.get("WATCHDOG") == "1"

    def _drop_all(self):
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)

    def _receive(self, timeout):
        if timeout <= 0:
            raise TimeoutError
        self._socket.settimeout(timeout)
        text = self._socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.split("\n"))

    def close(self):
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    one = Manager(str(tmp_path / "notify"))
    yield one
    one.close()


@pytest.fixture
def start(gatepost, backend, manager):
    def run(watchdog_us=None, **more):
        env = {"NOTIFY_SOCKET": manager.path}
        if watchdog_us:
            env["WATCHDOG_USEC"] = str(watchdog_us)
        return gatepost(routes_to(backend), env=env, **more)
    return run


def test_the_manager_hears_ready_when_clients_can_come(gatepost, backend,
                                                       manager):
    front = gatepost(routes_to(backend), env={"NOTIFY_SOCKET": manager.path},
                     wait=False)

    assert manager.hear() == {"READY": "1", "STATUS": "Serving"}
    assert front.connect("starttls").read_line().startswith(b"* OK")


def test_the_manager_hears_of_a_reload_and_its_end(start, manager):
    front = start()
    manager.hear()
    before_us = time.monotonic_ns() // 1000

    front.signal(signal.SIGHUP)
    first, second = manager.hear(), manager.hear()

    assert first["RELOADING"] == "1"
    assert before_us <= int(first["MONOTONIC_USEC"]) <= (
        time.monotonic_ns() // 1000)
    assert second == {"READY": "1", "STATUS": "Serving"}
    front.wait_log(RELOADED)


def test_the_manager_hears_ready_after_a_reload_that_was_refused(start,
                                                                 manager):
    front = start()
    manager.hear()
    front.write_routes(b"{")

    front.signal(signal.SIGHUP)

    assert manager.hear()["RELOADING"] == "1"
    assert manager.hear() == {
        "READY": "1", "STATUS": "Serving; the last reload was refused"}
    front.wait_log(REFUSED)


def test_the_manager_is_asked_for_the_time_that_a_drain_takes(start, manager):
    front = start(timeouts={"drain": 300})
    manager.hear()

    front.signal(signal.SIGTERM)
    told = manager.hear()

    assert told["STOPPING"] == "1"
    assert int(told["EXTEND_TIMEOUT_USEC"]) > 300 * 1000 * 1000
    assert told["STATUS"] == "Draining for at most 300 s"
    assert front.wait_exit() == 0


def test_the_watchdog_gets_three_signs_of_life_in_its_time(start, manager):
    start(watchdog_us=600_000)

    assert 8 <= manager.count_signs_of_life(2) <= 11


def test_the_watchdog_hears_nothing_where_none_was_asked_for(start, manager):
    start()

    assert manager.count_signs_of_life(0.5) == 0


def waits_in_epoll(pid, thread):
    with open(f"/proc/{pid}/task/{thread}/wchan") as kernel:
        return "poll" in kernel.read()


def worker_threads(front):
    """The threads, but for the main one, that wait in a loop: all two of them,
    which may be at work at first."""
    deadline = time.monotonic() + 5
    while True:
        threads = [int(name) for name in os.listdir(f"/proc/{front.pid}/task")]
        found = [thread for thread in threads
                 if thread != front.pid and waits_in_epoll(front.pid, thread)]
        if len(found) == 2 or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_long(request), ctypes.c_long(thread),
                 ctypes.c_void_p(0), ctypes.c_void_p(0)]
    if libc.ptrace(*arguments) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


@contextlib.contextmanager
def stopped(thread):
    """One thread stands still; SIGSTOP would stop them all."""
    try:
        ptrace(PTRACE_SEIZE, thread)
    except OSError as refusal:
        pytest.skip(f"this system lets us stop no thread: {refusal}")
    ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, thread)


def test_the_watchdog_hears_nothing_while_one_worker_hangs(start, manager):
    front = start(watchdog_us=400_000)
    workers = worker_threads(front)
    if len(workers) != 2:
        pytest.skip("this system does not say which threads are workers")

    for worker in workers:
        assert manager.count_signs_of_life(1) > 0
        with stopped(worker):
            manager.count_signs_of_life(0.7)  # one may have been under way
            assert manager.count_signs_of_life(1) == 0
    assert manager.count_signs_of_life(1) > 0


@pytest.fixture
def upgraded(start, binary, manager, folder):
    """upgraded(): a Gatepost that took over from another, and what the
    manager heard of it."""
    def run(**more):
        orphans.adopt()
        front = start(admin={"socket": admin.SOCKET}, **more)
        manager.hear()
        answer = admin.request(os.path.join(folder, admin.SOCKET), "/upgrade",
                               "POST")
        front.follow(answer.json["successor"])
        heard = {}
        while len(heard) < 3:
            heard.update(manager.hear())
        return front, heard
    return run


def test_the_manager_hears_which_process_took_over(upgraded):
    front, heard = upgraded()

    assert heard == {"READY": "1", "STATUS": "Serving",
                     "MAINPID": str(front.pid)}


def test_the_process_that_took_over_speaks_to_the_manager(upgraded, manager):
    front, _ = upgraded(watchdog_us=400_000)
    assert front.process.wait(10) == 0

    assert manager.count_signs_of_life(1) > 0
    front.signal(signal.SIGTERM)
    assert manager.hear()["STOPPING"] == "1"


def test_the_process_before_says_no_more(upgraded, manager):
    front, _ = upgraded()
    front.process.send_signal(signal.SIGTERM)
    assert front.process.wait(10) == 0

    with pytest.raises(TimeoutError):
        manager.hear(timeout=0.2)


def test_a_manager_that_cannot_be_told_stops_nothing(gatepost, backend):
    front = gatepost(routes_to(backend), env={"NOTIFY_SOCKET": "vsock:2:1"})

    assert front.wait_log("notify-failed")["reason"] == (
        "neither a path nor an abstract name")
    assert front.connect("starttls").read_line().startswith(b"* OK")


@pytest.fixture(scope="module")
def unit(binary, tmp_path_factory):
    """The unit, with the program where it was built: systemd looks for what
    it starts."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path_factory.mktemp("unit") / "gatepost.service"
    with open(UNIT) as source:
        text, count = re.subn(r"(?m)^ExecStart=gatepost ",
                              f"ExecStart={os.path.abspath(binary)} ",
                              source.read())
    assert count == 1
    path.write_text(text)
    return str(path)


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", *arguments], text=True,
                          capture_output=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_systemd_finds_no_fault_in_the_unit(unit):
    assert analyze("verify", "--man=no", unit) == (0, "")


@pytest.mark.parametrize("changes", [
    {},
    # As the unit says: one socket for each worker.
    {"ListenStream=993": "ListenStream=993\nListenStream=993",
     "#ReusePort=": "ReusePort="}])
def test_systemd_finds_no_fault_in_the_unit_of_the_sockets(unit, changes):
    with open(os.path.join(DEPLOY, "gatepost.socket")) as source:
        text = source.read()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = os.path.join(os.path.dirname(unit), "gatepost.socket")
    with open(path, "w") as out:
        out.write(text)

    assert analyze("verify", "--man=no", path) == (0, "")


@pytest.mark.threat("I8")
def test_i8_the_unit_leaves_little_open(unit):
    status, report = analyze("security", "--offline=true", unit)
    exposure = re.search(r"Overall exposure level for .*?: ([0-9.]+)", report)

    assert status == 0, report
    assert float(exposure.group(1)) <= EXPOSURE_MAX, report


def number_in(text, key):
    return int(re.search(rf"(?m)^{key}=(\d+)$", text).group(1))


def test_the_unit_stops_later_than_the_default_drain(unit):
    with open(unit) as source:
        text = source.read()

    assert number_in(text, "TimeoutStopSec") > 30 + 30


@pytest.mark.parametrize("line", [
    "Type=notify", "ExecReload=kill -HUP $MAINPID", "KillMode=mixed",
    "KillSignal=SIGTERM", "Restart=on-failure"])
def test_the_unit_reloads_and_stops_as_the_manual_says(unit, line):
    with open(unit) as source:
        assert line in source.read().splitlines()


def test_the_unit_has_a_watchdog_and_descriptors_for_many(unit):
    with open(unit) as source:
        text = source.read()

    assert 10 <= number_in(text, "WatchdogSec") <= 60
    assert number_in(text, "LimitNOFILE") >= 2 * 250000


def test_the_unit_keeps_what_was_drained_over_a_stop(unit):
    with open(unit) as source:
        text = source.read()

    assert "\nStateDirectory=gatepost\n" in text
    # Where the release before kept it; a restart brings the one after.
    assert "\nRuntimeDirectoryPreserve=restart\n" in text


def test_the_unit_lets_the_process_before_name_its_successor(unit):
    with open(unit) as source:
        assert "\nNotifyAccess=all\n" in source.read()
