"""Looks at a tree of processes from outside, through /proc alone."""

import os
import struct


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

    def socket_count(self):
        """Sockets held, each once however many processes hold it."""
        sockets = set()
        for pid in self.pids():
            folder = f"/proc/{pid}/fd"
            for name in os.listdir(folder):
                try:
                    target = os.readlink(f"{folder}/{name}")
                except FileNotFoundError:
                    continue
                if target.startswith("socket:"):
                    sockets.add(target)
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


def _parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return -1


def _read_pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no Pss line")
