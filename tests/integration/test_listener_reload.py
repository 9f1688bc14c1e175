"""Listeners that a reload opens, changes and gives up."""

import concurrent.futures
import json
import os
import socket
import threading
import time

import pytest

from gatepost_test.gatepost import REFUSED, routes_to
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import WireClient

pytestmark = pytest.mark.threads


@pytest.fixture
def front(gatepost, fake_backend):
    return gatepost(routes_to(fake_backend(ImapServer())), workers=2)


def listener(port=None, **changes):
    """A listener of the kind that greets in clear."""
    return {"address": "127.0.0.1", "port": port or free_port(),
            "tls": "starttls", **changes}


def with_listeners(front, *more):
    """The settings of the start with these listeners beside theirs."""
    return dict(front.settings,
                listeners=[*front.settings["listeners"], *more])


def reload_with(front, *more):
    front.write_settings(with_listeners(front, *more))
    front.reload()


def greeting(port, host="127.0.0.1"):
    with WireClient((host, port)) as client:
        return client.read_line()


def wait_closed(port):
    """Waits until connections there are refused."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            return
        assert time.monotonic() < deadline, "it is still listened there"
        time.sleep(0.02)


def sockets_of(pid):
    """The sockets that a process holds, by their inodes."""
    links = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return {link for link in links if link.startswith("socket:")}


def test_a_reload_opens_and_closes_listeners(front):
    port = free_port()
    before = sockets_of(front.pid)

    reload_with(front, listener(port))
    session = WireClient(("127.0.0.1", port))
    assert session.read_line().startswith(b"* OK")
    reload_with(front)
    wait_closed(port)

    # Who came through it is not touched, and the others' sockets are the same.
    assert session.command("NOOP")[-1].startswith(b"OK")
    session.abandon()
    front.logged_in().abandon()
    front.resting_descriptors()
    assert sockets_of(front.pid) >= before


def test_nobody_in_the_queue_of_a_gone_listener_is_reset(
        gatepost, fake_backend):
    port = free_port()
    front = gatepost(routes_to(fake_backend(ImapServer())), workers=2,
                     limits={"sessions": 2})
    reload_with(front, listener(port))
    inside = [front.logged_in() for _ in range(2)]
    waiting = [WireClient(("127.0.0.1", port)) for _ in range(20)]

    reload_with(front)
    time.sleep(0.3)  # longer than a queue without anybody is waited for
    for client in inside:
        client.abandon()

    def see_greeting(client):
        with client:
            return client.read_line()

    with concurrent.futures.ThreadPoolExecutor(len(waiting)) as pool:
        for line in pool.map(see_greeting, waiting):
            assert line.startswith(b"* OK")
    wait_closed(port)


def test_steady_connects_notice_no_listener_that_comes_or_goes(
        front, times):
    kept = front.address("starttls")[1]
    come = [free_port() for _ in range(2)]
    failures, stop, served = [], threading.Event(), [0]

    def connect():
        while not stop.is_set():
            try:
                assert greeting(kept).startswith(b"* OK")
                served[0] += 1
            except Exception as failure:
                failures.append(failure)

    threads = [threading.Thread(target=connect) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(times(6, 200)):
            port = come[number % 2]
            reload_with(front, listener(port))
            for _ in range(5):
                assert greeting(port).startswith(b"* OK")
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert not failures, failures[:3]
    assert served[0] > 10


def test_one_address_that_cannot_be_had_refuses_the_whole_reload(front):
    descriptors = front.resting_descriptors()
    free = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        front.write_settings(with_listeners(
            front, listener(free), listener(taken)))
        since = front.mark()
        front.reload(REFUSED)
    logged = json.dumps(front.log[since:])
    path = f"$.listeners[{len(front.settings['listeners']) + 1}]"

    assert path in logged and f"127.0.0.1:{taken}" in logged, logged
    assert "another program listens there" in logged
    with pytest.raises(ConnectionRefusedError):
        greeting(free)
    front.logged_in().abandon()
    front.wait_descriptors(descriptors)


def test_a_listener_that_comes_back_at_once_is_had(front):
    port = free_port()
    for _ in range(3):
        reload_with(front, listener(port))
        assert greeting(port).startswith(b"* OK")
        reload_with(front)


def test_an_address_may_give_way_to_all_of_its_port(front):
    port = free_port()
    reload_with(front, listener(port))

    reload_with(front, listener(port, address="*"))
    assert greeting(port, "127.0.0.7").startswith(b"* OK")
    assert greeting(port, "::1").startswith(b"* OK")
    reload_with(front, listener(port))
    assert greeting(port).startswith(b"* OK")


def test_a_kept_listener_goes_by_new_settings_on_the_old_socket(front):
    port = free_port()
    reload_with(front, listener(port, tls="implicit"))
    front.resting_descriptors()
    before = sockets_of(front.pid)

    reload_with(front, listener(port))
    began = time.monotonic()
    assert greeting(port).startswith(b"* OK")
    assert time.monotonic() - began < 2  # the kernel waits for no first word

    reload_with(front, listener(port, proxy_from=["10.0.0.0/8"]))
    with WireClient(("127.0.0.1", port)) as client:
        assert client.read_to_end(5) == b""

    reload_with(front, listener(port, tls="implicit"))
    with WireClient(("127.0.0.1", port)) as client:
        client.handshake()
        assert client.read_line().startswith(b"* OK")
    front.resting_descriptors()
    assert sockets_of(front.pid) == before


def test_listeners_that_come_and_go_leak_no_descriptor(front, times):
    port = free_port()
    reload_with(front, listener(port))
    reload_with(front)
    wait_closed(port)
    before = front.resting_descriptors()

    for number in range(times(8, 300)):
        reload_with(front, *[listener(port)] * (number % 2))
    wait_closed(port) if number % 2 == 0 else reload_with(front)
    wait_closed(port)

    front.wait_descriptors(before)
