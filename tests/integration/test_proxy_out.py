"""PROXY protocol towards backends: who the client is comes before anything
else, and is what the client and its TLS said."""

import ssl
import struct

import pytest

from gatepost_test import proxy_protocol
from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.ports import free_port
from gatepost_test.proxy_protocol import Proxied
from gatepost_test.scripts import ImapServer, echo
from gatepost_test.wire import WireClient, trusting

VERSIONS, SECURITIES = ["v1", "v2"], ["none", "starttls", "implicit"]

of_versions = pytest.mark.parametrize("version", VERSIONS)
of_securities = pytest.mark.parametrize("security", SECURITIES)


def entry(backend, version="v2", security="none", **more):
    if security != "none":
        more["ca"] = "ca.pem"
    return backend_entry(backend, tls=security, proxy_protocol=version, **more)


@pytest.fixture
def proxied(fake_backend, server_context):
    """proxied(security): a backend that wants headers."""
    def start(security="none", after=None, **options):
        knobs = {"after": after} if after else {}
        if security == "starttls":
            knobs["tls"] = server_context()
        return fake_backend(Proxied(
            ImapServer(**knobs),
            server_context() if security == "implicit" else None), **options)
    return start


@pytest.fixture
def front_of(gatepost):
    """front_of(backend, version, security): Gatepost before it."""
    def start(backend, version="v2", security="none", env=None, **more):
        routes = routes_to(backend)
        routes["backends"]["b1"] = entry(backend, version, security)
        return gatepost(routes, env, **more)
    return start


def tls_facts(header):
    """What the TLVs say of TLS: (server name, version, cipher)."""
    details = header.tlvs[proxy_protocol.SSL]
    client, verified = struct.unpack(">BI", details[:5])
    inner = proxy_protocol.read_tlvs(details[5:])
    assert client == 1  # TLS, without a certificate of the client's
    assert verified != 0
    assert set(inner) == {proxy_protocol.SSL_VERSION,
                          proxy_protocol.SSL_CIPHER}
    return (header.tlvs.get(proxy_protocol.AUTHORITY),
            inner[proxy_protocol.SSL_VERSION].decode(),
            inner[proxy_protocol.SSL_CIPHER].decode())


@of_versions
@of_securities
def test_the_header_comes_first(front_of, proxied, version, security):
    backend = proxied(security)
    front = front_of(backend, version, security)

    client = front.logged_in()

    header = backend.conversation().header
    assert header.version == int(version[1])
    assert header.source == client.local
    assert header.destination == front.address()


def test_version_1_tells_addresses_only(front_of, proxied):
    backend = proxied()
    front_of(backend, "v1").logged_in()

    assert backend.conversation().header.tlvs == {}


@of_versions
def test_header_and_client_hello_leave_in_one_segment(
        front_of, proxied, version):
    backend = proxied("implicit")
    front_of(backend, version, "implicit").logged_in()

    conversation = backend.conversation()
    assert b"\x16\x03\x01" in conversation.flight
    assert conversation.segments == 1


@of_versions
@of_securities
def test_what_follows_is_the_session(front_of, proxied, version, security):
    backend = proxied(security, after=echo)
    client = front_of(backend, version, security).logged_in()

    client.send(b"x" * 100000)

    assert client.read_exact(100000) == b"x" * 100000


@of_versions
@of_securities
def test_a_header_that_leaves_byte_by_byte_is_whole(
        front_of, proxied, version, security):
    backend = proxied(security)
    front = front_of(backend, version, security,
                     env={"GATEPOST_FAULT_WRITE": "1"})

    client = front.logged_in()

    assert backend.conversation().header.source == client.local


@pytest.mark.parametrize("how", ["implicit", "starttls"])
@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_version_2_tells_of_the_clients_tls(front_of, proxied, how, maximum):
    backend = proxied()
    front = front_of(backend)
    context = trusting(maximum=maximum)
    client = (front.secure(context) if how == "implicit"
              else front.starttls(context))

    client.login("alice@example.org", "secret-alice")

    assert tls_facts(backend.conversation().header) == (
        b"imap.example.test", client.tls.version(), client.tls.cipher()[0])


def test_who_asks_for_no_name_has_none_told(front_of, proxied):
    backend = proxied()
    front_of(backend).logged_in(server_hostname=None)

    header = backend.conversation().header
    assert proxy_protocol.AUTHORITY not in header.tlvs
    assert tls_facts(header)[1] == "TLSv1.3"


@of_versions
def test_clients_of_ipv6_are_told_as_such(front_of, proxied, version):
    backend = proxied()
    port = free_port()
    front = front_of(backend, version, listeners=[
        {"address": "::1", "port": port, "tls": "implicit"}])

    client = front.logged_in()

    header = backend.conversation().header
    assert header.source == client.local[:2]
    assert header.destination == ("::1", port)


@of_versions
def test_what_a_balancer_told_is_passed_on(front_of, proxied, version):
    backend = proxied()
    front = front_of(backend, version, listeners=[
        {"address": "127.0.0.1", "port": free_port(), "tls": "implicit",
         "proxy_from": ["127.0.0.1"]}])
    client = front.connect()
    client.send_raw(proxy_protocol.line(("2001:db8::7", 7),
                                        ("2001:db8::1", 993)))
    client.handshake()
    client.read_line()

    client.login("alice@example.org", "secret-alice")

    header = backend.conversation().header
    assert header.source == ("2001:db8::7", 7)
    assert header.destination == ("2001:db8::1", 993)


@of_versions
def test_who_came_by_a_balancers_own_call_is_the_balancer(
        front_of, proxied, version):
    backend = proxied()
    front = front_of(backend, version, listeners=[
        {"address": "127.0.0.1", "port": free_port(), "tls": "implicit",
         "proxy_from": ["127.0.0.1"]}])
    client = front.connect()
    client.send_raw(proxy_protocol.LOCAL)
    client.handshake()
    client.read_line()

    client.login("alice@example.org", "secret-alice")

    assert backend.conversation().header.source == client.local
    assert backend.conversation().header.destination == front.address()


@of_versions
@of_securities
def test_the_next_backend_is_told_too(
        gatepost, proxied, fake_backend, version, security):
    """The first takes the header and hangs up, or does not listen at all."""
    rude = fake_backend(lambda conversation: conversation.reset())
    deaf = fake_backend(ImapServer())
    deaf.refuse()
    backend = proxied(security)
    front = gatepost({
        "backends": {"b1": entry(rude, version, security),
                     "b2": entry(deaf, version, security),
                     "b3": entry(backend, version, security)},
        "pools": {"p1": {"backends": ["b1", "b2", "b3"],
                         "when_down": "next"}},
        "default": "p1"})

    clients = [front.logged_in(f"user{number}@example.org")
               for number in range(6)]

    assert {backend.conversation(number).header.source
            for number in range(6)} == {one.local for one in clients}


def test_a_second_try_after_a_refusal_is_told_again(front_of, fake_backend):
    backend = fake_backend(Proxied(ImapServer(
        accept=lambda user, password: password == b"secret-alice")))
    front = front_of(backend)
    client = front.secure()

    assert client.login("alice@example.org", "wrong").startswith(b"NO")
    assert client.login("alice@example.org", "secret-alice").startswith(b"OK")

    headers = [backend.conversation(number).header for number in (0, 1)]
    assert [one.source for one in headers] == [client.local] * 2


@of_securities
def test_a_backend_that_refuses_does_not_hold_a_header_up(
        front_of, fake_backend, security):
    backend = fake_backend(ImapServer())
    front = front_of(backend, "v2", security)
    backend.refuse()
    client = front.secure()

    answer = client.login("alice@example.org", "secret-alice")

    assert answer.startswith(b"NO [UNAVAILABLE]")
    assert "refused" in front.wait_log("dial-failed")["reason"]


def test_who_is_not_to_be_told_is_not(gatepost, fake_backend, proxied):
    plain, told = fake_backend(ImapServer()), proxied()
    front = gatepost({
        "backends": {"b1": backend_entry(plain), "b2": entry(told)},
        "pools": {"p1": {"backends": ["b1"]}, "p2": {"backends": ["b2"]}},
        "domains": {"plain.test": "p1", "told.test": "p2"}})

    front.logged_in("a@plain.test")
    client = front.logged_in("a@told.test")

    assert plain.conversation().received.startswith(b"t1 ")
    assert told.conversation().header.source == client.local


def test_a_listener_on_all_addresses_tells_the_one_called(front_of, proxied):
    backend = proxied()
    port = free_port()
    front = front_of(backend, listeners=[
        {"address": "*", "port": port, "tls": "implicit"}])

    for number, host in enumerate(("127.0.0.5", "::1")):
        client = WireClient((host, port))
        client.handshake()
        client.read_line()
        client.login("alice@example.org", "secret-alice")
        header = backend.conversation(number).header
        assert header.source == client.local[:2]
        assert header.destination == (host, port)
        client.abandon()
    assert front.counters()["logins_ok"] == 2
