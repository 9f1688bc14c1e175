"""What the kernel says about a process and its children."""

import os

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(pid):
    """The process and all that descend from it."""
    found = [pid]
    for parent in found:
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except FileNotFoundError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    found += [int(child) for child in children.read().split()]
            except FileNotFoundError:
                continue
    return found


def descriptors(pid):
    """What the descriptors of the process tree are, as a list such as
    ["socket:[77]", "anon_inode:[eventfd]", "/dev/null"]."""
    found = []
    for one in tree(pid):
        for number in os.listdir(f"/proc/{one}/fd"):
            try:
                found.append(os.readlink(f"/proc/{one}/fd/{number}"))
            except FileNotFoundError:
                continue  # closed meanwhile
    return found


def numbers(pid):
    """The numbers of the descriptors of this process."""
    return [int(one) for one in os.listdir(f"/proc/{pid}/fd")]


def threads(pid):
    """How many threads the process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def rss_bytes(pid):
    """Resident memory of the process tree."""
    total = 0
    for one in tree(pid):
        with open(f"/proc/{one}/statm") as statm:
            total += int(statm.read().split()[1]) * _PAGE
    return total


def cpu_seconds(pid):
    """User and system time that the process tree has used."""
    total = 0
    for one in tree(pid):
        with open(f"/proc/{one}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _listening():
    """(family, port, inode) of every TCP socket in LISTEN. They come first;
    behind them a busy machine has a hundred thousand that linger."""
    for family, name in ((4, "tcp"), (6, "tcp6")):
        with open(f"/proc/net/{name}") as table:
            next(table)
            for row in table:
                fields = row.split()
                if fields[3] != "0A":
                    break
                port = int(fields[1].rsplit(":", 1)[1], 16)
                yield family, port, fields[9]


def listening_ports():
    """Every TCP port in LISTEN, as a set of (family, port)."""
    return {(family, port) for family, port, _ in _listening()}


def listening_inodes(pid):
    """The inodes of the process tree's sockets in LISTEN."""
    return {inode for _, _, inode in _listening()} & _sockets(pid)


def _sockets(pid):
    """The inodes of the sockets that the process tree holds."""
    return {one[8:-1] for one in descriptors(pid)
            if one.startswith("socket:[")}


def links(pid, port):
    """How many TCP connections the process tree holds to a port of IPv4."""
    held, count = _sockets(pid), 0
    with open(f"/proc/{pid}/net/tcp") as table:
        next(table)
        for row in table:
            fields = row.split()
            count += (int(fields[2].rsplit(":", 1)[1], 16) == port and
                      fields[9] in held)
    return count
