"""A network of the test's own: loopback alone, with the ports and addresses
that the test says. Needs the right to make one (root has it)."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import time

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_IFF_UP = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS,
                    struct.pack("16sh14x", b"lo", _IFF_UP))


def _add_ipv6(address):
    request = struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, address),
                          128, socket.if_nametoindex("lo"))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFADDR, request)


def _wait_for(address):
    """The kernel lends a new address only once a thread of its own has looked
    whether it is somebody else's: not at once on a machine at work."""
    deadline = time.monotonic() + 10
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        while True:
            try:
                sock.bind((address, 0))
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)


@contextlib.contextmanager
def own_network(ports=None, ipv6=()):
    """This thread, and what it starts, live in a network with `ports` (first,
    last) for outgoing calls and the `ipv6` addresses beside 127.0.0.0/8."""
    with open("/proc/thread-self/ns/net", "rb") as former:
        _check(_libc.unshare(_CLONE_NEWNET))
        try:
            _raise_loopback()
            if ports is not None:
                with open("/proc/sys/net/ipv4/ip_local_port_range",
                          "w") as setting:
                    setting.write("%d %d" % ports)
            for address in ipv6:
                _add_ipv6(address)
            for address in ipv6:
                _wait_for(address)
            yield
        finally:
            _check(_libc.setns(former.fileno(), _CLONE_NEWNET))
