"""Looks at a tree of processes from outside, through /proc alone."""

import os
import struct
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
POLL_SECONDS = 0.02
STEADY_SECONDS = 0.3


class ProcessTree:
    """A process and all that descend from it, at the moment of each call."""

    def __init__(self, root_pid, heap_folder=None):
        self.root_pid = root_pid
        self.heap_folder = heap_folder

    def pids(self):
        children = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                children.setdefault(_parent_of(name), []).append(int(name))
        found = [self.root_pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def pss_bytes(self):
        """Proportional set size: what is shared is divided by its sharers."""
        return sum(_read_pss(pid) for pid in self.pids())

    def cpu_seconds(self):
        """User and system time, exact for who lives and in ticks for children
        that ended. Who starts or ends meanwhile may be missed: wait for the
        rest first."""
        return sum(_read_cpu(pid) for pid in self.pids())

    def held(self):
        """(processes, sockets): what work in progress shows in."""
        return len(self.pids()), self.socket_count()

    def wait_until_steady(self, seconds):
        """Until it holds for a moment what it held before."""
        deadline = time.monotonic() + seconds
        before = None
        while before != self.held() and time.monotonic() < deadline:
            before = self.held()
            time.sleep(STEADY_SECONDS)

    def wait_for_rest(self, held, seconds):
        """Until it holds no more than this; False when it takes too long."""
        deadline = time.monotonic() + seconds
        while any(now > then for now, then in zip(self.held(), held)):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def socket_count(self):
        """Sockets held, each once however many processes hold it."""
        sockets = set()
        for pid in self.pids():
            sockets.update(_sockets_of(f"/proc/{pid}/fd"))
        return len(sockets)

    def heap(self):
        """(bytes, blocks) as bench_heap counts them; None where a process
        does not have the shim."""
        if self.heap_folder is None:
            return None
        total_bytes = total_blocks = 0
        for pid in self.pids():
            try:
                with open(f"{self.heap_folder}/{pid}", "rb") as counts:
                    heap_bytes, blocks = struct.unpack("qq", counts.read(16))
            except (FileNotFoundError, struct.error):
                return None
            total_bytes += heap_bytes
            total_blocks += blocks
        return total_bytes, total_blocks


class Strangers:
    """How much of the machine those took who are no part of this program,
    between the start and the call."""

    def __init__(self):
        self.own = ProcessTree(os.getpid())
        self.busy_before = _read_busy() - self.own.cpu_seconds()
        self.started = time.monotonic()

    def share(self):
        busy = _read_busy() - self.own.cpu_seconds() - self.busy_before
        seconds = time.monotonic() - self.started
        return max(0.0, busy / seconds / os.cpu_count())


class Sample:
    """What a proxy weighs at one moment, and who says how many sessions."""

    def __init__(self, tree, clients_say=0, backend_says=0):
        self.pss = tree.pss_bytes()
        self.heap = tree.heap()
        self.sockets = tree.socket_count()
        self.clients_say = clients_say
        self.backend_says = backend_says


class Slope:
    """Bytes per session between two samples."""

    def __init__(self, low, high):
        sessions = high.clients_say - low.clients_say
        self.pss = (high.pss - low.pss) / sessions
        self.heap = self.blocks = None
        if low.heap is not None and high.heap is not None:
            self.heap = (high.heap[0] - low.heap[0]) / sessions
            self.blocks = (high.heap[1] - low.heap[1]) / sessions


def is_alive(pid):
    """False for one that only waits for its parent to look."""
    stat = _stat_of(pid)
    return stat is not None and stat[0] not in "ZX"


def _read_busy():
    """Seconds that all cores were at work, whoever had them."""
    with open("/proc/stat", encoding="utf-8") as stat:
        user, nice, system, _, _, irq, softirq, steal = map(
            int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def _sockets_of(folder):
    for name in _names_in(folder):
        try:
            target = os.readlink(f"{folder}/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            yield target


def _names_in(folder):
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []  # the process has ended


def _stat_of(pid):
    """The fields of /proc/PID/stat from the third on; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _parent_of(pid):
    stat = _stat_of(pid)
    return -1 if stat is None else int(stat[1])


def _read_cpu(pid):
    """stat's own figure has 10 ms steps; the process's clock has none. The
    number is the one that clock_getcpuclockid(3) would give."""
    stat = _stat_of(pid)
    try:
        own = time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0
    children = 0 if stat is None else int(stat[13]) + int(stat[14])
    return own + children / TICKS_PER_SECOND


def _read_pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no Pss line")
