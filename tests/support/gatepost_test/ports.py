"""Free loopback ports, below the range the kernel hands to outgoing calls."""

import errno
import os
import random
import socket

_given = {}  # what holds the claim, by port; the oldest first


def _is_free(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"),
                            (socket.AF_INET6, "::")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def _claim(port):
    """What keeps it ours until it is closed: another run of the tests may have
    chosen it too, and not be listening yet. None if it is another's."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0gatepost-test-port-{port}")
    except OSError:
        claim.close()
        return None
    return claim


def _own_range():
    """The ports of this process: tests that run side by side never meet, not
    even on a port that one of them has just left."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    size = 12000 // count
    first = 20000 + int(worker.removeprefix("gw")) % count * size
    return range(first, first + size)


def free_port():
    """A port that is free on IPv4 and IPv6, and not among those that were given
    out lately, which may be listened on later. Below those that the kernel
    gives to clients."""
    ports = _own_range()
    while len(_given) > len(ports) // 2:
        _given.pop(next(iter(_given))).close()
    for _ in range(1000):
        port = random.choice(ports)
        if port in _given or not _is_free(port):
            continue
        if (claim := _claim(port)) is not None:
            _given[port] = claim
            return port
    raise RuntimeError("no free port found")


def bind_free(sock, host):
    """Binds to a free port; another program may be quicker than we are."""
    for _ in range(50):
        try:
            sock.bind((host, free_port()))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise RuntimeError("no port stays free")
