"""Looks at what the kernel holds for sockets, which is no process's memory:
its slabs by name where /proc/slabinfo may be read (by root, mostly), their sum
where it may not, and the pages of bytes under way."""

import os
import time

PAGE = os.sysconf("SC_PAGE_SIZE")
REST_SECONDS = 30
# Fewer objects than this per session are other programs' doing.
LEAST_PER_SESSION = 0.5
# What looking into /proc costs.
NOT_OF_SOCKETS = {"proc_inode_cache"}


def sample():
    """What it holds now."""
    memory = _read_meminfo()
    return {"caches": _read_slabs(),
            "slabs": memory["Slab"],
            "tables": memory["PageTables"],
            "vmalloc": memory["VmallocUsed"],
            "buffers": _read_sockstat("mem") * PAGE}


def wait_for_rest():
    """Sockets that were left die with some delay."""
    before = -1
    deadline = time.monotonic() + REST_SECONDS
    while before != _read_sockstat("alloc") and time.monotonic() < deadline:
        before = _read_sockstat("alloc")
        time.sleep(1)


class KernelSlope:
    """Bytes per session between two samples. Do not look into /proc/PID/fd
    between them: each name that is seen there costs an inode and a dentry."""

    def __init__(self, low, high, sessions):
        self.slabs = (high["slabs"] - low["slabs"]) / sessions
        self.vmalloc = (high["vmalloc"] - low["vmalloc"]) / sessions
        self.buffers = (high["buffers"] - low["buffers"]) / sessions
        self.caches = _cache_slopes(low["caches"], high["caches"], sessions)

    @property
    def sockets(self):
        """The caches that grow with sessions; all slabs where they cannot be
        told apart."""
        if not self.caches:
            return self.slabs
        return sum(total for _, _, total in self.caches)


def _cache_slopes(low, high, sessions):
    """(name, objects, bytes) per session, the largest first."""
    slopes = []
    for name, (objects, size) in high.items():
        per_session = (objects - low.get(name, (0, 0))[0]) / sessions
        if per_session >= LEAST_PER_SESSION and name not in NOT_OF_SOCKETS:
            slopes.append((name, per_session, per_session * size))
    return sorted(slopes, key=lambda slope: -slope[2])


def _read_slabs():
    """By name: objects in use, and the bytes of one with its part of what a
    slab wastes."""
    slabs = {}
    try:
        with open("/proc/slabinfo", encoding="utf-8") as info:
            for line in info.readlines()[2:]:
                words = line.split()
                slabs[words[0]] = (int(words[1]),
                                   int(words[5]) * PAGE / int(words[4]))
    except PermissionError:
        pass
    return slabs


def _read_meminfo():
    with open("/proc/meminfo", encoding="utf-8") as info:
        return {line.split(":")[0]: int(line.split()[1]) * 1024
                for line in info}


def _read_sockstat(key):
    """Of TCP: "alloc", how many there are, or "mem", pages in their queues."""
    with open("/proc/net/sockstat", encoding="utf-8") as stat:
        for line in stat:
            words = line.split()
            if words[0] == "TCP:":
                return int(words[words.index(key) + 1])
    return 0
