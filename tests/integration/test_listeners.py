"""Addresses: both families, one of them, and mapped ones."""

import socket

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.ports import free_port
from gatepost_test.wire import WireClient


def listen(settings, address):
    """Listeners of both kinds on the address; returns their ports."""
    ports = [free_port(), free_port()]
    settings["listeners"] = [
        {"address": address, "port": ports[0], "tls": "implicit"},
        {"address": address, "port": ports[1], "tls": "starttls"}]
    return ports


def greeting(host, port, implicit):
    """The greeting there."""
    with WireClient((host, port)) as client:
        if implicit:
            client.handshake()
        return client.read_line()


def test_star_is_both_families(gatepost, backend, settings):
    ports = listen(settings, "*")
    gatepost(routes_to(backend))

    for host in ("127.0.0.1", "::1", "127.0.0.5"):
        for port, implicit in zip(ports, (True, False)):
            assert greeting(host, port, implicit).startswith(b"* OK")


def test_two_colons_are_ipv6_only(gatepost, backend, settings):
    ports = listen(settings, "::")
    gatepost(routes_to(backend))

    assert greeting("::1", ports[1], False).startswith(b"* OK")
    with pytest.raises(ConnectionRefusedError):
        greeting("127.0.0.1", ports[1], False)


def test_two_colons_leave_the_ipv4_port_to_others(
        gatepost, backend, settings):
    ports = listen(settings, "::")
    settings["listeners"].append({"address": "0.0.0.0", "port": ports[1],
                                  "tls": "starttls"})
    gatepost(routes_to(backend))

    assert greeting("127.0.0.1", ports[1], False).startswith(b"* OK")
    assert greeting("::1", ports[1], False).startswith(b"* OK")


def test_one_address_is_only_that(gatepost, backend, settings):
    ports = listen(settings, "127.0.0.3")
    gatepost(routes_to(backend))

    assert greeting("127.0.0.3", ports[1], False).startswith(b"* OK")
    with pytest.raises(ConnectionRefusedError):
        greeting("127.0.0.1", ports[1], False)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_log_names_the_peer_of_either_family(
        gatepost, backend, settings, host):
    ports = listen(settings, "*")
    front = gatepost(routes_to(backend))

    with WireClient((host, ports[1])) as client:
        client.read_line()
        port = client.local[1]

    wanted = f"[::1]:{port}" if host == "::1" else f"127.0.0.1:{port}"
    assert front.session_end()["peer"] == wanted


def test_a_port_in_use_stops_the_start_with_its_name(
        gatepost, backend, settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings["listeners"][0]["port"]))
        other.listen()
        front = gatepost(routes_to(backend), wait=False)
        status = front.wait_exit()

    assert status == 1
    assert str(settings["listeners"][0]["port"]) in front.stderr
    front.check_end = lambda status: None  # asserted above


@pytest.mark.threads
def test_all_workers_take_their_share(gatepost, backend):
    front = gatepost(routes_to(backend), workers=4)
    clients = [front.logged_in(f"u{number}") for number in range(64)]

    for client in clients:
        assert client.command("NOOP")[-1].startswith(b"OK")
    with open(f"/proc/{front.pid}/status", encoding="ascii") as status:
        threads = next(int(line.split()[1]) for line in status
                       if line.startswith("Threads"))
    assert threads >= 4
