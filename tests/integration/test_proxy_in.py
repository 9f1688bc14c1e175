"""PROXY protocol from balancers in front: who the client is comes before
TLS and before the greeting, from listed networks only, and nobody else gets
a word."""

import signal
import ssl
import time

import pytest

from gatepost_test import proxy_protocol
from gatepost_test.gatepost import routes_to
from gatepost_test.ports import free_port
from gatepost_test.wire import WireClient, WireEnded, trusting

CLIENT, BALANCER = ("192.0.2.7", 40007), ("198.51.100.1", 993)
CLIENT6, BALANCER6 = ("2001:db8::7", 40007), ("2001:db8::1", 993)
PEER, PEER6 = "192.0.2.7:40007", "[2001:db8::7]:40007"

HEADERS = {
    "line of IPv4": (proxy_protocol.line(CLIENT, BALANCER), PEER),
    "line of IPv6": (proxy_protocol.line(CLIENT6, BALANCER6), PEER6),
    "block of IPv4": (proxy_protocol.block(CLIENT, BALANCER), PEER),
    "block of IPv6": (proxy_protocol.block(CLIENT6, BALANCER6), PEER6),
    "block with TLVs": (proxy_protocol.block(
        CLIENT, BALANCER,
        proxy_protocol.tlv(2, b"imap.example.test") +
        proxy_protocol.tlv(0x20, b"\1\0\0\0\0" +
                           proxy_protocol.tlv(0x21, b"TLSv1.3"))), PEER),
}
NOBODY = {
    "LOCAL": proxy_protocol.LOCAL,
    "UNKNOWN": proxy_protocol.UNKNOWN,
    "UNSPEC": proxy_protocol.SIGNATURE + b"\x21\x00\x00\x00",
}
HOWS = ["implicit", "starttls"]

of_headers = pytest.mark.parametrize("header, peer", HEADERS.values(),
                                     ids=HEADERS.keys())
of_hows = pytest.mark.parametrize("how", HOWS)


def listeners(trusted, address="127.0.0.1"):
    return [{"address": address, "port": free_port(), "tls": how,
             "proxy_from": trusted} for how in HOWS]


@pytest.fixture
def balanced(gatepost, backend):
    """balanced(trusted=[...], **more): Gatepost behind such balancers."""
    def start(trusted=("127.0.0.1",), env=None, **more):
        more.setdefault("listeners", listeners(list(trusted)))
        return gatepost(routes_to(backend), env, **more)
    return start


def greet(client, how, before=b"", context=None):
    """From the first byte to the dialogue under TLS; `before` leaves in one
    segment with whatever the client says first."""
    if how == "implicit":
        client.send_raw(before + client.start_tls(context or trusting()))
        client.finish_handshake(b"")
        assert client.read_line().startswith(b"* OK")
        return
    client.send_raw(before)
    assert client.read_line().startswith(b"* OK")
    client.send_raw(b"s STARTTLS\r\n")
    client.read_reply("s")
    client.handshake(context or trusting())


def log_in(front, how, header, **options):
    client = front.connect(how, **options)
    greet(client, how, header)
    assert client.login("alice@example.org", "secret").startswith(b"OK")
    return client


def hears_nothing(client):
    """The connection ends without a byte for the client."""
    try:
        octets = client.read_to_end()
    except (ConnectionError, OSError):
        octets = b""
    return octets == b"" and not client.raw_received and client.ended


@of_hows
@of_headers
def test_a_header_names_the_client(balanced, how, header, peer):
    front = balanced()

    log_in(front, how, header).abandon()

    assert front.wait_log("login")["peer"] == peer
    assert front.session_end(peer=peer)["user"] == "alice@example.org"


@pytest.mark.parametrize("header, peer", [HEADERS["line of IPv6"],
                                          HEADERS["block with TLVs"]],
                         ids=["line", "block"])
@of_hows
def test_a_header_may_come_in_any_two_pieces(balanced, how, header, peer):
    front = balanced()

    for at in range(1, len(header) + 1):
        client = front.connect(how)
        client.send_raw(header[:at])
        if at % 7 == 0:
            time.sleep(0.02)
        greet(client, how, header[at:])
        client.abandon()

    for at in range(1, len(header) + 1):
        assert front.wait_log(
            lambda entry: entry.get("event") == "session-end",
            at - 1)["peer"] == peer
    assert front.counters()["proxy_refused"] == 0


@of_hows
@of_headers
def test_a_header_may_come_byte_by_byte(balanced, how, header, peer):
    front = balanced()
    client = front.connect(how)

    client.send_raw(header, chunk=1, gap=0.002)
    greet(client, how)
    client.login("alice@example.org", "secret")

    assert front.wait_log("login")["peer"] == peer


@of_hows
def test_any_split_of_reads_leads_to_the_same_end(balanced, how):
    """Reads of one byte: the header's end meets TLS at every offset."""
    front = balanced(env={"GATEPOST_FAULT_READ": "1"})

    log_in(front, how, proxy_protocol.block(CLIENT, BALANCER))

    assert front.wait_log("login")["peer"] == PEER


def test_commands_behind_a_header_wait_for_the_greeting(balanced):
    front = balanced()
    client = front.connect("starttls")

    client.send_raw(proxy_protocol.line(CLIENT, BALANCER) +
                    b"a CAPABILITY\r\nb NOOP\r\n")

    assert client.read_line().startswith(b"* OK")
    assert client.read_line().startswith(b"* CAPABILITY")
    assert client.read_line().startswith(b"a OK")
    assert client.read_line().startswith(b"b OK")


@of_hows
def test_no_byte_is_said_before_the_header(balanced, how):
    front = balanced()
    client = front.connect(how)

    assert client.read_quiet(0.3) == b""
    client.send_raw(proxy_protocol.line(CLIENT, BALANCER)[:-1])
    assert client.read_quiet(0.3) == b""
    client.send_raw(b"\n")
    greet(client, how)


@pytest.mark.threat("D11")
@of_hows
@of_headers
def test_a_header_from_elsewhere_is_not_read(balanced, how, header, peer):
    front = balanced(trusted=["127.0.0.2", "2001:db8::/32"])
    client = front.connect(how)

    client.send_raw(header + b"a CAPABILITY\r\n")

    assert hears_nothing(client)
    end = front.session_end()
    assert end["reason"] == "proxy-untrusted"
    assert end["peer"] == "%s:%d" % client.local
    front.wait_counters(proxy_refused=1)


@pytest.mark.threat("D11")
@of_hows
def test_who_is_not_listed_gets_no_greeting_either(balanced, how):
    front = balanced(trusted=["127.0.0.2"])
    client = front.connect(how)

    client.send_raw(b"\x16")  # a deferred accept waits for a byte

    assert hears_nothing(client)
    front.wait_counters(sessions_open=0, timeout=1)  # though we stay


def test_networks_of_both_families_are_trusted(balanced):
    front = balanced(listeners=listeners(["10.0.0.0/8", "::1", "127.0.0.0/8"],
                                         "*"))
    port = front.settings["listeners"][0]["port"]

    for address in ("127.0.0.1", "::1"):
        client = WireClient((address, port))
        greet(client, "implicit", proxy_protocol.block(CLIENT, BALANCER))
        client.abandon()

    assert front.counters()["proxy_refused"] == 0


LIES = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a command": b"a CAPABILITY\r\n",
    "small letters": b"proxy TCP4 192.0.2.7 198.51.100.1 1 993\r\n",
    "no end": b"PROXY TCP4 " + b"1" * 107,
    "no CR": b"PROXY UNKNOWN\n",
    "a port too large": b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 993\r\n",
    "families mixed": b"PROXY TCP4 192.0.2.7 2001:db8::1 1 993\r\n",
    "another version": b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c",
    "another command": b"\r\n\r\n\0\r\nQUIT\n\x22\x11\x00\x0c",
    "datagrams": b"\r\n\r\n\0\r\nQUIT\n\x21\x12\x00\x0c",
    "too short": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0b",
    "too long": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    "TLV too long": proxy_protocol.block(CLIENT, BALANCER, b"\x02\x00\x09x"),
    "TLV cut": proxy_protocol.block(CLIENT, BALANCER, b"\x02\x00"),
    "wrong checksum": proxy_protocol.block(CLIENT, BALANCER,
                                           b"\x03\x00\x04\0\0\0\0"),
}


@pytest.mark.threat("D11")
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@of_hows
def test_what_is_no_header_ends_the_connection(balanced, how, lie):
    front = balanced()
    client = front.connect(how)

    client.send_raw(lie)

    assert hears_nothing(client)
    end = front.session_end()
    assert end["reason"] == "proxy-header"
    assert end["detail"]
    front.wait_counters(proxy_refused=1)


@pytest.mark.threat("B10")
@pytest.mark.parametrize("start", [b"P", b"PROXY TCP4 192.0.2.7 ",
                                   proxy_protocol.SIGNATURE,
                                   proxy_protocol.LOCAL[:-1]],
                         ids=["one byte", "line", "signature", "all but one"])
@of_hows
def test_half_a_header_holds_its_place_for_a_while_only(balanced, how, start):
    front = balanced(timeouts={"proxy_header": 1})
    held = front.descriptors()
    client = front.connect(how)
    client.send_raw(start)
    began = time.monotonic()

    assert hears_nothing(client)

    assert 0.8 < time.monotonic() - began < 5
    assert front.session_end()["reason"] == "proxy-timeout"
    front.wait_descriptors(held + 1)  # one in reserve since the first accept
    counted = front.wait_counters(proxy_refused=1, sessions_open=0)
    assert counted["timeouts"] == 1


@pytest.mark.threat("B10")
def test_bytes_do_not_prolong_the_time_for_a_header(balanced):
    front = balanced(timeouts={"proxy_header": 1})
    client = front.connect("starttls")
    began = time.monotonic()

    with pytest.raises(OSError):
        client.send_raw(b"PROXY UNKNOWN " + b"x" * 90, chunk=1, gap=0.05)
        client.send_raw(b"x", chunk=1)

    assert time.monotonic() - began < 4


@of_hows
@pytest.mark.parametrize("header", NOBODY.values(), ids=NOBODY.keys())
def test_a_balancer_may_speak_for_itself(balanced, how, header):
    front = balanced()

    client = log_in(front, how, header)

    assert front.wait_log("login")["peer"] == "%s:%d" % client.local


@of_hows
def test_a_balancers_checks_are_not_told(balanced, how):
    """Header and close, header and greeting, and (where that is seen at all)
    nothing and close."""
    front = balanced()

    for what in ("nothing", "header", "greeting", "end"):
        client = front.connect(how)
        if what == "greeting":
            greet(client, how, proxy_protocol.LOCAL)
        elif what == "end":
            client.send_raw(proxy_protocol.LOCAL)
            client.sock.shutdown(1)
            client.read_to_end()
        elif what == "header":
            client.send_raw(proxy_protocol.LOCAL)
        client.abandon()
    log_in(front, how, proxy_protocol.line(CLIENT, BALANCER)).abandon()

    front.session_end(peer=PEER)
    front.wait_counters(sessions_open=0)
    told = [entry for entry in front.log if entry["event"] == "session-end"]
    assert [entry["peer"] for entry in told] == [PEER]
    counted = front.counters()
    assert counted["proxy_refused"] == counted["handshake_failures"] == 0


def test_checks_are_told_at_debug(balanced):
    front = balanced(log={"format": "json", "level": "debug"})
    client = front.connect("starttls")

    client.send_raw(proxy_protocol.LOCAL)
    client.read_line()
    client.abandon()

    assert front.session_end()["reason"] in ("client-closed", "client-failed")
    assert front.wait_log("proxy-header")["via"] == "%s:%d" % client.local


@pytest.mark.threat("G2")
@of_hows
def test_limits_go_by_the_real_address(balanced, how):
    front = balanced(limits={"per_address": 1})
    here = proxy_protocol.line(CLIENT, BALANCER)
    there = proxy_protocol.line(("192.0.2.8", 1), BALANCER)
    log_in(front, how, here)

    log_in(front, how, there)

    again = front.connect(how)
    again.send_raw(here)
    heard = again.read_to_end()
    assert heard == b"" or heard.startswith(b"* BYE [UNAVAILABLE]")
    end = front.session_end()
    assert (end["reason"], end["peer"]) == ("limit", PEER)


@pytest.mark.threat("G2")
@of_hows
def test_a_balancers_checks_take_nobodys_place(balanced, how):
    front = balanced(limits={"per_address": 1})

    clients = [front.connect(how) for _ in range(3)]
    for client in clients:
        greet(client, how, proxy_protocol.LOCAL)

    assert front.counters()["refused_limit"] == 0


@pytest.mark.threat("G2")
@of_hows
@pytest.mark.parametrize("name", ["UNKNOWN", "UNSPEC"])
def test_who_is_not_named_is_limited_as_the_balancer(balanced, how, name):
    """It may be anybody, unlike a balancer that says that it is itself."""
    front = balanced(limits={"per_address": 2})
    clients = [front.connect(how) for _ in range(3)]

    for client in clients[:2]:
        greet(client, how, NOBODY[name])
    clients[2].send_raw(NOBODY[name])

    heard = clients[2].read_to_end()
    assert heard == b"" or heard.startswith(b"* BYE [UNAVAILABLE]")
    assert front.session_end()["reason"] == "limit"


def test_tls_behind_a_header_is_verified_as_ever(balanced, client_context):
    front = balanced()
    client = front.connect("implicit")

    greet(client, "implicit", proxy_protocol.block(CLIENT, BALANCER),
          client_context)

    assert client.tls.version() == "TLSv1.3"


def test_tls_1_2_and_resumption_work_behind_a_header(balanced):
    front = balanced()
    context = trusting(maximum=ssl.TLSVersion.TLSv1_2)
    header = proxy_protocol.block(CLIENT, BALANCER)
    first = front.connect("implicit")
    greet(first, "implicit", header, context)

    second = front.connect("implicit")
    second.send_raw(header + second.start_tls(context,
                                              session=first.tls.session))
    second.finish_handshake(b"")

    assert second.tls.session_reused


@pytest.mark.threat("D11")
@of_headers
def test_a_listener_without_balancers_takes_no_header(gatepost, backend,
                                                      header, peer):
    front = gatepost(routes_to(backend), limits={"bad_commands": 1})
    secure, clear = front.connect("implicit"), front.connect("starttls")

    secure.send_raw(header + secure.start_tls())
    with pytest.raises((WireEnded, ssl.SSLError, ConnectionError)):
        secure.finish_handshake(b"")
    clear.send_raw(header)
    answers = clear.read_to_end()

    assert peer.encode() not in answers
    assert b"BAD" in answers or b"BYE" in answers, answers
    for _ in range(2):
        assert front.session_end()["peer"].startswith("127.0.0.1:")
    assert all(entry.get("peer") != peer for entry in front.log)


def test_a_drain_does_not_wait_for_headers(balanced):
    front = balanced()
    client = WireClient(front.address("starttls"))
    front.wait_counters(sessions_open=1)
    began = time.monotonic()

    front.signal(signal.SIGTERM)

    assert hears_nothing(client)
    assert front.wait_exit() == 0
    assert time.monotonic() - began < 4.5  # timeouts.proxy_header is 5 s


def test_who_is_accepted_last_hears_of_a_drain(balanced):
    """Between accept and header, a stop gives time for the header."""
    front = balanced()
    client = WireClient(front.address("starttls"))
    front.wait_counters(sessions_open=1)

    front.signal(signal.SIGTERM)
    front.wait_log("draining")
    client.send_raw(proxy_protocol.line(CLIENT, BALANCER))

    assert client.read_line().startswith(b"* BYE [UNAVAILABLE]")
    assert front.session_end()["peer"] == PEER
