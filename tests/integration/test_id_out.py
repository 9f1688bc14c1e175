"""ID towards backends: who the client is, in one list that no client writes
into, before the login (protocol.md 25)."""

import re

import pytest

from gatepost_test import proxy_protocol
from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer

KNOWS_ID = b"IMAP4rev1 ID SASL-IR AUTH=PLAIN"
OURS = [b"x-originating-ip", b"x-originating-port", b"x-connected-ip",
        b"x-connected-port", b"x-session-id", b"x-proxy-ttl"]
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|NIL')


@pytest.fixture
def backend(fake_backend):
    return fake_backend(ImapServer(KNOWS_ID))


def ids(conversation):
    """The list of pairs of each ID that a backend was sent."""
    lists = []
    for line in bytes(conversation.received).split(b"\r\n"):
        _, _, text = line.partition(b" ")
        if text.startswith(b"ID "):
            words = [match[1] for match in WORD.finditer(text)]
            lists.append(list(zip(words[::2], words[1::2], strict=True)))
    return lists


def only_id(conversation):
    """The pairs of the one ID, which came before the login."""
    (pairs,) = ids(conversation)
    received = bytes(conversation.received)
    assert received.index(b" ID (") < received.index(b" AUTHENTICATE ")
    return pairs


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_a_backend_is_told_who_the_client_is(
        gatepost, fake_backend, server_context, tls):
    context = server_context()
    backend = fake_backend(
        ImapServer(b"IMAP4rev1 ID STARTTLS SASL-IR AUTH=PLAIN"
                   if tls == "starttls" else KNOWS_ID, tls=context),
        tls=context if tls == "implicit" else None)
    more = {} if tls == "none" else {"ca": "ca.pem"}
    front = gatepost(routes_to(backend, tls=tls, id=True, **more))

    client = front.logged_in(source="127.0.0.9")

    pairs = only_id(backend.conversation())
    assert [name for name, _ in pairs] == OURS
    told = dict(pairs)
    host, port = front.address()
    assert told[b"x-originating-ip"] == b"127.0.0.9"
    assert told[b"x-originating-port"] == b"%d" % client.local[1]
    assert told[b"x-connected-ip"] == host.encode()
    assert told[b"x-connected-port"] == b"%d" % port
    assert told[b"x-proxy-ttl"] == b"5"
    assert (told[b"x-session-id"].decode() ==
            str(front.wait_log("login")["id"]))


def test_only_who_wants_it_and_knows_it_is_told(gatepost, fake_backend):
    wants, knows = fake_backend(ImapServer()), fake_backend(
        ImapServer(KNOWS_ID))
    front = gatepost({
        "backends": {"b1": backend_entry(wants, id=True),
                     "b2": backend_entry(knows)},
        "pools": {"p1": {"backends": ["b1"]}, "p2": {"backends": ["b2"]}},
        "domains": {"wants.test": "p1", "knows.test": "p2"}})

    front.logged_in("a@wants.test")
    front.logged_in("a@knows.test")

    assert ids(wants.conversation()) == ids(knows.conversation()) == []


@pytest.mark.parametrize("forwards", [False, True])
def test_what_a_client_says_goes_on_only_with_forward_id(
        gatepost, backend, forwards):
    front = gatepost(routes_to(backend, id=True, forward_id=forwards))
    client = front.secure()

    client.command('ID ("name" "old")')
    client.send(b'i ID ("name" {4+}\r\ncurl "version" NIL "o\\"s" "a\\\\b")'
                b"\r\n")
    assert client.read_reply("i")[-1].startswith(b"i OK")
    assert client.login().startswith(b"OK")

    pairs = only_id(backend.conversation())
    assert [name for name, _ in pairs[:6]] == OURS
    assert pairs[6:] == ([(b"name", b"curl"), (b"version", None),
                          (b'o\\"s', b"a\\\\b")] if forwards else [])


@pytest.mark.threat("D11")
@pytest.mark.parametrize("name", [
    b"x-originating-ip", b"X-Originating-IP", b"x-originating-port",
    b"x-connected-ip", b"X-CONNECTED-PORT", b"x-session-id", b"x-proxy-ttl",
    b"x-session-ext-id", b"x-forward-user", b"x-originating-user"])
@pytest.mark.parametrize("form", [b'"%s"', b"{%d+}\r\n%s"])
def test_what_only_a_proxy_may_say_is_dropped(gatepost, backend, name, form):
    front = gatepost(routes_to(backend, id=True, forward_id=True))
    client = front.secure(source="127.0.0.9")

    key = form % ((len(name), name) if form.startswith(b"{") else name)
    client.send(b'i ID ("name" "liar" ' + key + b' "192" "os" "x")\r\n')
    assert client.read_reply("i")[-1].startswith(b"i OK")
    assert client.login().startswith(b"OK")

    pairs = only_id(backend.conversation())
    assert [one for one, _ in pairs] == [*OURS, b"name", b"os"]
    assert dict(pairs)[b"x-originating-ip"] == b"127.0.0.9"
    assert b"192" not in [value for _, value in pairs]


def test_all_of_it_is_one_id_of_30_pairs_at_most(gatepost, backend):
    front = gatepost(routes_to(backend, id=True, forward_id=True))
    client = front.secure()
    pairs = " ".join(f'"k{number}" "v{number}"' for number in range(30))

    assert client.command(f"ID ({pairs})")[-1].startswith(b"OK")
    assert client.login().startswith(b"OK")

    told = only_id(backend.conversation())
    assert [name for name, _ in told] == OURS + [
        b"k%d" % number for number in range(24)]


def test_a_second_try_is_told_again(gatepost, fake_backend):
    backend = fake_backend(ImapServer(
        KNOWS_ID, accept=lambda user, password: password == b"right"))
    front = gatepost(routes_to(backend, id=True, forward_id=True))
    client = front.secure()

    client.command('ID ("name" "first")')
    assert client.login(password="wrong").startswith(b"NO")
    client.command('ID ("name" "second")')
    assert client.login(password="right").startswith(b"OK")

    told = [only_id(backend.conversation(number)) for number in (0, 1)]
    assert [one[6:] for one in told] == [[(b"name", b"first")],
                                         [(b"name", b"second")]]
    assert told[0][:6] == told[1][:6]


def test_what_a_balancer_told_is_passed_on(gatepost, backend):
    front = gatepost(routes_to(backend, id=True), listeners=[
        {"address": "127.0.0.1", "port": free_port(), "tls": "implicit",
         "proxy_from": ["127.0.0.1"]}])
    client = front.connect()
    client.send_raw(proxy_protocol.line(("2001:db8::7", 7),
                                        ("2001:db8::1", 993)))
    client.handshake()
    client.read_line()

    assert client.login().startswith(b"OK")

    told = dict(only_id(backend.conversation()))
    assert [told[name] for name in OURS[:4]] == [
        b"2001:db8::7", b"7", b"2001:db8::1", b"993"]


@pytest.mark.threat("D10")
@pytest.mark.parametrize("came, goes", [
    ("2", b"1"), ("5", b"4"), ("9", b"5"), ("x", b"5"), ("1", None),
    ("0", None)])
def test_each_passage_lowers_the_ttl_until_it_is_refused(
        gatepost, backend, came, goes):
    front = gatepost(routes_to(backend, id=True))
    client = front.secure()

    client.command(f'ID ("x-proxy-ttl" "{came}")')
    answer = client.login()

    if goes is None:
        assert answer.startswith(b"NO [UNAVAILABLE]"), answer
        assert backend.connects == 0
    else:
        assert dict(only_id(backend.conversation()))[b"x-proxy-ttl"] == goes
