"""Hosts of a test's own, each a network namespace with an address at the other
end of a cable that can be pulled. Needs root and iproute2; lives inside
`own_network()`, so that no name or address meets those of another test."""

import contextlib
import ctypes
import os
import subprocess

from .dovecot import Dovecot

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def can_lay_cables():
    """Whether this process may make networks and join them."""
    try:
        with Cable(1) as cable, cable.far_end():
            pass
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _move_to(namespace):
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Cable:
    """From the network of this thread to one that it makes, whose `address`
    nothing else has."""

    def __init__(self, number):
        self.address = f"10.99.{number}.2"
        self._near = f"near{number}"
        self._namespace = self._make_namespace()
        self._lay(number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    @staticmethod
    def _make_namespace():
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            if _libc.unshare(_CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            there = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            _move_to(here)
        finally:
            os.close(here)
        return there

    def _lay(self, number):
        _ip("link", "add", self._near, "type", "veth", "peer", "name", "far",
            "netns", f"/proc/{os.getpid()}/fd/{self._namespace}")
        _ip("address", "add", f"10.99.{number}.1/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        with self.far_end():
            _ip("address", "add", f"{self.address}/30", "dev", "far")
            _ip("link", "set", "far", "up")
            _ip("link", "set", "lo", "up")

    @contextlib.contextmanager
    def far_end(self):
        """This thread, and what it starts, live at the other end."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _move_to(self._namespace)
            yield
        finally:
            _move_to(here)
            os.close(here)

    def pull(self):
        """Packets vanish from now on."""
        with self.far_end():
            _ip("link", "set", "far", "down")

    def plug(self):
        """They arrive again."""
        with self.far_end():
            _ip("link", "set", "far", "up")

    def remove(self):
        """The namespace lives on as long as what was started in it."""
        _ip("link", "delete", self._near)
        os.close(self._namespace)


# Everybody may log in by the same password, and thousands may stay: a process
# for each session would take more memory than a test should.
_FOR_EVERYBODY = """\
listen = {address}
passdb {{
  driver = static
  args = password={password}
}}
service imap {{
  service_count = 0
  client_limit = 1000
}}
"""


class FarDovecot(Dovecot):
    """A Dovecot at the other end of a cable, over implicit TLS, that has all
    users, with one password."""

    password = "secret"

    def __init__(self, name, leaf, cable):
        self.host, self.cable = cable.address, cable
        self._read = 0
        with cable.far_end():
            super().__init__(name, leaf, {}, more=_FOR_EVERYBODY.format(
                address=cable.address, password=self.password))

    def entry(self, **settings):
        """This server in routes.json."""
        return {"host": self.host, "port": self.tls_port, "tls": "implicit",
                "ca": "ca.pem", **settings}

    def logins(self):
        """Who has logged in since this was asked last, by its own log."""
        text = self.log()[self._read:]
        text = text[:text.rfind("\n") + 1]
        self._read += len(text)
        return [line.split("user=<", 1)[1].split(">", 1)[0]
                for line in text.splitlines() if " Login: user=<" in line]
