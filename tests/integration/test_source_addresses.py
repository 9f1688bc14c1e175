"""upstream.source_addresses: which of our addresses a backend sees, and that
each of them has all ports towards each backend."""

import collections
import contextlib
import socket

import pytest

from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.network import own_network
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import IP_BIND_ADDRESS_NO_PORT

TWO = {"source_addresses": ["127.0.0.2", "127.0.0.3"]}
FOREIGN = "192.0.2.9"

PORTS = (45000, 45007)
PORT_COUNT = PORTS[1] - PORTS[0] + 1


@pytest.fixture
def few_ports():
    """A network in which an address has PORT_COUNT ports for calls."""
    with own_network(PORTS):
        yield


def peers(backend):
    """How often the backend was called from which address."""
    return collections.Counter(one.sock.getpeername()[0]
                               for one in backend.conversations)


def log_in(front, user, number):
    """The answer to a login; each client has an address, and so its ports,
    of its own."""
    client = front.secure(source=f"127.1.0.{number}")
    return client.login(user, "secret")


def call(backend, source):
    """A connection of somebody else's from this address."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    sock.connect((backend.host, backend.port))
    return sock


def test_backends_are_called_from_each_address_in_turn(
        gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), upstream=TWO)

    for _ in range(6):
        front.logged_in()

    assert peers(backend) == {"127.0.0.2": 3, "127.0.0.3": 3}


def test_warm_connections_come_from_them_too(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    gatepost(routes_to(backend, warm=4), workers=1, upstream=TWO)

    backend.conversation(3)

    assert peers(backend) == {"127.0.0.2": 2, "127.0.0.3": 2}


def test_turns_are_each_backends_own(gatepost, fake_backend):
    """Two backends called by turns see both addresses each."""
    first, second = fake_backend(ImapServer()), fake_backend(ImapServer())
    front = gatepost(two_backends(first, second), upstream=TWO)

    for _ in range(4):
        front.logged_in("a@first.test")
        front.logged_in("a@second.test")

    assert peers(first) == peers(second) == {"127.0.0.2": 2, "127.0.0.3": 2}


def test_without_addresses_the_kernel_chooses(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), upstream={"source_addresses": []})

    front.logged_in()

    assert peers(backend) == {"127.0.0.1": 1}


def test_ipv6_is_called_from_ipv6(gatepost, fake_backend):
    with own_network(ipv6=["fd00::2", "fd00::3"]):
        backend = fake_backend(ImapServer(), host="::1")
        front = gatepost(routes_to(backend), upstream={
            "source_addresses": ["127.0.0.2", "fd00::2", "fd00::3"]})

        for _ in range(4):
            front.logged_in()

    assert peers(backend) == {"fd00::2": 2, "fd00::3": 2}


def test_a_family_without_addresses_is_called_all_the_same(
        gatepost, fake_backend):
    backend = fake_backend(ImapServer(), host="::1")
    front = gatepost(routes_to(backend), upstream=TWO)

    front.logged_in()

    assert peers(backend) == {"::1": 1}


def test_a_reload_changes_the_addresses(gatepost, fake_backend, settings):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), upstream=TWO)
    front.logged_in()

    settings["upstream"] = {"source_addresses": ["127.0.0.4"]}
    front.write_settings(settings)
    front.reload()
    front.logged_in()
    front.logged_in()

    assert peers(backend) == {"127.0.0.2": 1, "127.0.0.4": 2}


def test_two_addresses_carry_twice_the_ports(
        gatepost, fake_backend, few_ports):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), upstream=TWO)

    answers = [log_in(front, "a@example.org", number)
               for number in range(1, 2 * PORT_COUNT + 1)]

    assert all(answer.startswith(b"OK") for answer in answers), answers
    assert peers(backend) == {"127.0.0.2": PORT_COUNT, "127.0.0.3": PORT_COUNT}


def test_a_full_address_passes_the_call_on(gatepost, fake_backend, few_ports):
    """Others hold all ports of one of two; every login gets through."""
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), upstream=TWO)
    with contextlib.ExitStack() as held:
        for _ in range(PORT_COUNT):
            held.enter_context(call(backend, "127.0.0.2"))

        answers = [log_in(front, "a@example.org", number)
                   for number in range(1, PORT_COUNT + 1)]
        called = peers(backend)

    assert all(answer.startswith(b"OK") for answer in answers), answers
    assert called == {"127.0.0.2": PORT_COUNT, "127.0.0.3": PORT_COUNT}


def test_no_free_port_is_not_the_backends_fault(
        gatepost, fake_backend, few_ports):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), upstream=TWO)
    for number in range(1, 2 * PORT_COUNT + 1):
        log_in(front, "a@example.org", number)

    answers = [log_in(front, "a@example.org", 100 + number)
               for number in range(4)]

    assert all(answer.startswith(b"NO [UNAVAILABLE]")
               for answer in answers), answers
    failed = front.wait_log("dial-failed")
    assert failed["reason"] == ("connect: address not available "
                                "on our side")
    assert "backend-down" not in front.stderr


def test_one_address_has_all_its_ports_towards_each_backend(
        gatepost, fake_backend, few_ports):
    """IP_BIND_ADDRESS_NO_PORT: bound the plain way, a port would be taken
    for one connection, whoever its peer is."""
    first, second = fake_backend(ImapServer()), fake_backend(ImapServer())
    front = gatepost(two_backends(first, second),
                     upstream={"source_addresses": ["127.0.0.2"]})

    answers = [log_in(front, user, number)
               for user, base in (("a@first.test", 0), ("a@second.test", 50))
               for number in range(base + 1, base + PORT_COUNT + 1)]

    assert all(answer.startswith(b"OK") for answer in answers), answers
    assert peers(first) == peers(second) == {"127.0.0.2": PORT_COUNT}


def test_an_address_of_another_host_is_passed_over(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), upstream={
        "source_addresses": [FOREIGN, "127.0.0.2"]})

    for _ in range(4):
        front.logged_in()

    assert peers(backend) == {"127.0.0.2": 4}
    warned = front.wait_log("config")
    assert warned["path"] == "$.upstream.source_addresses[0]"


def test_check_warns_of_an_address_of_another_host(command, settings):
    settings["upstream"] = {"source_addresses": ["127.0.0.2", FOREIGN]}
    routes = {"backends": {"b1": {"host": "127.0.0.1", "port": 143,
                                  "tls": "none"}},
              "pools": {"p1": {"backends": ["b1"]}}, "default": "p1"}

    status, said, problems = command(routes, "check")

    assert status == 0 and "1 warning" in said
    assert ("gatepost.json: warning: $.upstream.source_addresses[1]: found "
            f"{FOREIGN}, which cannot be used now" in problems)
    assert "127.0.0.2" not in problems


def two_backends(first, second):
    return {"backends": {"b1": backend_entry(first),
                         "b2": backend_entry(second)},
            "pools": {"p1": {"backends": ["b1"]}, "p2": {"backends": ["b2"]}},
            "domains": {"first.test": "p1", "second.test": "p2"}}
