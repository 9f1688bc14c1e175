"""Listening sockets that a service manager opened (gatepost.socket)."""

import collections
import concurrent.futures
import contextlib
import os
import shutil
import socket
import ssl
import threading
import time

import pytest

from gatepost_test import procfs
from gatepost_test.activation import handed_over, listening
from gatepost_test.gatepost import STARTED, routes_to
from gatepost_test.ports import free_port
from gatepost_test.wire import WireClient

pytestmark = pytest.mark.threads


@pytest.fixture
def activated(gatepost, backend):
    """activated(sockets, workers): serves STARTTLS on these, which the test
    holds, too."""
    held = []

    def start(sockets, workers=2, address="127.0.0.1", **more):
        held.extend(sockets)
        front = gatepost(
            routes_to(backend), wait=False, started_by=handed_over(sockets),
            workers=workers, listeners=[listener(sockets[0], address)], **more)
        front.wait_log(STARTED, timeout=20)
        return front

    yield start
    for one in held:
        one.close()


def port_of(sock):
    return sock.getsockname()[1]


def listener(sock, address="127.0.0.1"):
    return {"address": address, "port": port_of(sock), "tls": "starttls"}


def greeted(port, host="127.0.0.1"):
    client = WireClient((host, port))
    assert client.read_line().startswith(b"* OK")
    return client


def shares(front, port, count):
    """How many of so many connections each worker served."""
    since = front.mark()
    clients = [greeted(port) for _ in range(count)]
    for client in clients:
        client.abandon()

    def ends():
        return [entry for entry in front.log[since:]
                if entry["event"] == "session-end"]

    wait_for(lambda: len(ends()) >= count)
    return collections.Counter(entry["id"].split("-")[0] for entry in ends())


def wait_for(what):
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def inodes(*sockets):
    return {str(os.fstat(one.fileno()).st_ino) for one in sockets}


@pytest.mark.parametrize("sockets, workers", [
    (1, 4),  # as gatepost.socket has it without ReusePort=
    (3, 2)])
def test_what_cannot_be_parted_is_dealt_to_all_workers_in_turn(
        activated, sockets, workers):
    first = listening(reuse_port=True)
    front = activated(
        [first] + [listening(port=port_of(first), reuse_port=True)
                   for _ in range(sockets - 1)], workers)

    served = shares(front, port_of(first), 12 * workers)

    assert len(served) == workers
    if sockets == 1:
        assert set(served.values()) == {12}


def test_whichever_worker_accepts_deals_to_all(gatepost, backend):
    """Each listener's only socket is another worker's."""
    sockets = [listening() for _ in range(3)]
    front = gatepost(routes_to(backend), started_by=handed_over(sockets),
                     workers=3, listeners=[listener(one) for one in sockets])

    for one in sockets:
        assert set(shares(front, port_of(one), 12).values()) == {4}
        one.close()


def test_only_the_inherited_sockets_listen(activated):
    held = listening()
    inode, = inodes(held)

    front = activated([held], workers=4)

    assert procfs.listening_inodes(front.pid) == {inode}
    assert procfs.descriptors(front.pid).count(f"socket:[{inode}]") == 1


def test_a_socket_for_each_worker_is_its_own(activated):
    """With ReusePort= and a socket unit for each worker, the kernel deals."""
    first = listening(reuse_port=True)
    second = listening(port=port_of(first), reuse_port=True)
    front = activated([first, second])

    served = shares(front, port_of(first), 40)

    assert len(served) == 2
    assert procfs.listening_inodes(front.pid) == inodes(first, second)


def test_one_socket_of_both_families_does_for_a_star(activated):
    front = activated([listening("::", ipv6_only=False)], address="*")
    port = front.settings["listeners"][0]["port"]

    greeted(port).abandon()
    greeted(port, "::1").abandon()

    assert len(procfs.listening_inodes(front.pid)) == 1


def test_the_other_family_is_opened_beside_an_inherited_one(activated):
    front = activated([listening("0.0.0.0")], address="*")
    port = front.settings["listeners"][0]["port"]

    greeted(port).abandon()
    greeted(port, "::1").abandon()


def test_an_inherited_socket_gets_the_options_of_its_listener(activated):
    held = listening()
    held.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)

    def option(level, name):
        return held.getsockopt(level, name)

    front = activated([held], timeouts={"keepalive": {"idle": 77}})

    assert not os.get_blocking(held.fileno())
    assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
    assert option(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    # The server speaks first: who waits for data would wait for ever.
    assert option(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) == 0
    front.write_settings({**front.settings, "listeners": [
        {**listener(held), "tls": "implicit"}]})
    front.reload()
    wait_for(lambda: option(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) > 0)


def test_what_is_not_inherited_is_opened(gatepost, backend):
    held = listening()
    own = {"address": "127.0.0.1", "port": free_port(), "tls": "starttls"}
    gatepost(routes_to(backend), started_by=handed_over([held]),
             listeners=[listener(held), own])

    greeted(port_of(held)).abandon()
    greeted(own["port"]).abandon()
    held.close()


def test_who_waited_before_the_start_is_served(activated):
    held = listening()
    early = WireClient(("127.0.0.1", port_of(held)))

    activated([held])

    assert early.read_line().startswith(b"* OK")
    early.abandon()


def test_systemd_hands_its_socket_over(gatepost, backend):
    if shutil.which("systemd-socket-activate") is None:
        pytest.skip("systemd-socket-activate is not installed")
    port = free_port()
    systemd = ["systemd-socket-activate", f"--listen=127.0.0.1:{port}",
               "--fdname=imap"]
    front = gatepost(
        routes_to(backend), wait=False, workers=4,
        env={"SYSTEMD_LOG_LEVEL": "err"},
        started_by=contextlib.nullcontext((systemd, ())), listeners=[
            {"address": "127.0.0.1", "port": port, "tls": "starttls"}])
    wait_for(lambda: (4, port) in procfs.listening_ports())

    first = WireClient(("127.0.0.1", port), timeout=20)  # starts it

    assert first.read_line().startswith(b"* OK")
    front.wait_log(STARTED)
    assert len(shares(front, port, 8)) == 4
    assert len(procfs.listening_inodes(front.pid)) == 1
    first.abandon()


def test_a_restart_refuses_nobody(gatepost, backend, times):
    """The service manager's socket holds whoever comes between the end of one
    process and the start of the next."""
    held = listening()
    port = port_of(held)
    stop, failures, first_lines = threading.Event(), [], []

    def connect():
        while not stop.is_set():
            try:
                client = WireClient(("127.0.0.1", port), timeout=20)
                first_lines.append(client.read_line()[:5])
                client.abandon()
            except (OSError, AssertionError, EOFError) as failure:
                failures.append(repr(failure))

    def start():
        return gatepost(routes_to(backend), started_by=handed_over([held]),
                        timeouts={"drain": 0.1}, workers=3,
                        listeners=[listener(held)])

    front = start()
    rounds = times(2, 50)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(connect)
        for _ in range(rounds):
            time.sleep(0.2)
            front.stop()
            front = start()
        time.sleep(0.2)
        stop.set()

    assert failures == []
    # A BYE is for who was dealt in the moment of the end, to a worker that
    # had heard of it before.
    assert first_lines.count(b"* BYE") <= 8 * rounds
    assert first_lines.count(b"* OK ") > 100
    held.close()


def test_the_places_of_dealt_connections_come_back(activated):
    front = activated([listening()], workers=4, limits={"sessions": 8})
    port = front.settings["listeners"][0]["port"]
    at_rest = front.descriptors()

    for _ in range(5):  # the next eight come in when the former are gone
        clients = [greeted(port) for _ in range(8)]
        for client in clients:
            client.abandon()

    front.wait_descriptors(at_rest)


def test_dealt_connections_go_by_the_settings_in_force(
        activated, client_context):
    held = listening()
    front = activated([held], workers=4)
    kept = [greeted(port_of(held)) for _ in range(4)]

    front.write_settings({**front.settings, "listeners": [
        {**listener(held), "tls": "implicit"}]})
    front.reload()

    def is_served_by_tls():
        with contextlib.suppress(ssl.SSLError), socket.create_connection(
                ("127.0.0.1", port_of(held)), 10) as plug:
            with client_context.wrap_socket(
                    plug, server_hostname="imap.example.test") as client:
                return client.recv(4) == b"* OK"
        return False

    # Four in a row are one of each worker; each hears of it by itself.
    wait_for(lambda: all([is_served_by_tls() for _ in range(4)]))
    for client in kept:
        assert client.command("NOOP")[-1].startswith(b"OK")
        client.abandon()


def fails_with(gatepost, backend, sockets, listeners, names=None):
    front = gatepost(routes_to(backend), wait=False, listeners=listeners,
                     started_by=handed_over(sockets, names))
    front.check_end = lambda status: None  # asserted here
    assert front.wait_exit() == 1
    for one in sockets:
        one.close()
    return front.wait_log("start-failed")["listener"]


def test_a_socket_that_no_listener_names_stops_the_start(gatepost, backend):
    first, second = listening(), listening()
    port = port_of(second)

    reason = fails_with(gatepost, backend, [first, second], [listener(first)],
                        names=["imap", "sieve"])

    assert reason == (f"descriptor 4 (sieve) listens on 127.0.0.1:{port}, "
                      f"which is no address of listeners")


def test_what_is_no_listening_socket_stops_the_start(gatepost, backend):
    held, idle = listening(), socket.socket()

    reason = fails_with(gatepost, backend, [held, idle], [listener(held)])

    assert reason == ("descriptor 4 of LISTEN_FDS=2 does not listen "
                      "(Accept=no is needed); listening sockets of TCP are "
                      "expected")


def test_two_colons_are_not_given_ipv4_by_an_inherited_socket(
        gatepost, backend):
    both = listening("::", ipv6_only=False)

    reason = fails_with(gatepost, backend, [both], [listener(both, "::")])

    assert "takes IPv4, too" in reason
