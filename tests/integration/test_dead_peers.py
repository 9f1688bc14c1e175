"""Peers that are gone without a word: nothing but TCP's keepalive, or data
that is never acknowledged, can tell (design: keepalive on both legs)."""

import ctypes
import socket
import struct
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer

SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)

QUICK = {"keepalive": {"idle": 1, "interval": 1, "count": 2},
         "user_timeout": 4}


def die(sock):
    """From now on the kernel drops whatever comes for this socket, before TCP
    sees it: it answers no probe, like a host that lost its power."""
    program = ctypes.create_string_buffer(RETURN_NOTHING)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                    struct.pack("HxxxxxxP", 1, ctypes.addressof(program)))


@pytest.mark.threat("F5")
def test_f5_keepalive_finds_a_client_that_is_gone(gatepost, fake_backend):
    front = gatepost(routes_to(fake_backend(ImapServer())), timeouts=QUICK)
    client = front.logged_in()

    die(client.sock)

    end = front.session_end(reason="client-failed", timeout=12)
    assert end["detail"] == "connection timed out"


@pytest.mark.threat("F5")
def test_f5_keepalive_finds_a_backend_that_is_gone(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), timeouts=QUICK)
    client = front.logged_in()

    die(backend.conversations[-1].sock)

    end = front.session_end(reason="backend-failed", timeout=12)
    assert end["detail"] == "connection timed out"
    assert client.read_to_end(5) == b""


@pytest.mark.threat("F5")
def test_f5_a_client_that_lives_bears_many_probes(gatepost, fake_backend):
    front = gatepost(routes_to(fake_backend(ImapServer())), timeouts=QUICK)
    client = front.logged_in()

    time.sleep(8)

    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("F5")
def test_f5_a_few_lost_probes_end_nothing(gatepost, fake_backend):
    """The user timeout leaves keepalive its count: away for a while is not
    gone."""
    front = gatepost(routes_to(fake_backend(ImapServer())),
                     timeouts={"keepalive": {"idle": 1, "interval": 1,
                                             "count": 10},
                               "user_timeout": 11})
    client = front.logged_in()

    die(client.sock)
    time.sleep(5)
    client.sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    time.sleep(2)
    assert client.command("NOOP")[-1].startswith(b"OK")
