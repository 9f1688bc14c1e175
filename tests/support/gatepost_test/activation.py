"""Listening sockets that are handed over as a service manager does it
(sd_listen_fds(3))."""

import contextlib
import fcntl
import os
import socket

from .ports import bind_free

FIRST = 3  # where the program looks for them


def listening(host="127.0.0.1", port=None, reuse_port=False, ipv6_only=True,
              backlog=4096):
    """A listening socket, on a free port where none is named."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, ipv6_only)
    if port is None:
        bind_free(sock, host)
    else:
        sock.bind((host, port))
    sock.listen(backlog)
    return sock


@contextlib.contextmanager
def handed_over(sockets, names=None):
    """The beginning of a command line that becomes the program behind it with
    these as its descriptors from 3 on, and the descriptors that the child has
    to keep for it. Blocking, as systemd leaves them."""
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 100) for one in sockets]
    moves = "".join(f"exec {FIRST + i}<&{fd} {fd}<&-; "
                    for i, fd in enumerate(high))
    script = (f'{moves}export LISTEN_FDS={len(high)} LISTEN_PID=$$; '
              f'exec "$@"')
    named = [f"LISTEN_FDNAMES={':'.join(names)}"] if names else []
    for one in sockets:
        os.set_blocking(one.fileno(), True)
    try:
        yield ["env", *named, "bash", "-c", script, "bash"], high
    finally:
        for fd in high:
            os.close(fd)
