"""Odd names, odd strings and odd IDs before login (rows C9-C12)."""

import base64

import pytest

from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import quoted


def by_quoted(client, user):
    client.send(b"a LOGIN " + quoted(user) + b" p\r\n")


def by_literal(client, user):
    client.send(b"a LOGIN {%d+}\r\n" % len(user) + user + b" p\r\n")


def by_plain(client, user):
    client.send(b"a AUTHENTICATE PLAIN " +
                base64.b64encode(b"\0" + user + b"\0p") + b"\r\n")


ODD_NAMES = {
    "truncated": b"j\xc3",
    "stray continuation": b"\xb6rg",
    "overlong slash": b"a\xc0\xafb",
    "overlong at": b"a\xc1\x80b",
    "surrogate": b"a\xed\xa0\x80b",
    "beyond unicode": b"a\xf4\x90\x80\x80b",
    "never utf-8": b"\xfe\xff",
    "composed": "j\u00f6rg@example.org".encode(),
    "decomposed": "jo\u0308rg@example.org".encode(),
    "fullwidth at": "joerg\uff20example.org".encode(),
    "fullwidth letters": "\uff21\uff22@example.org".encode(),
    "dotless i": "\u0131\u0130@example.org".encode(),
    "sharp s": "stra\u00dfe@example.org".encode(),
    "right to left": "\u202ea@example.org".encode(),
    "zero width": "a\u200bb@example.org".encode(),
    "longest": "\u00e9".encode() * 256,
}


@pytest.mark.threat("C10")
@pytest.mark.parametrize("send", [by_quoted, by_literal, by_plain])
@pytest.mark.parametrize("name", list(ODD_NAMES))
def test_c10_a_name_reaches_the_backend_octet_for_octet(
        front, backend, send, name):
    client = front.secure()

    send(client, ODD_NAMES[name])

    assert client.read_reply("a")[-1].startswith(b"a OK")
    assert backend.conversation().user == ODD_NAMES[name]


@pytest.mark.threat("C10")
def test_c10_names_that_look_alike_are_not_the_same(gatepost, fake_backend):
    one, other = fake_backend(ImapServer()), fake_backend(ImapServer())
    routes = routes_to(one)
    routes["backends"]["other"] = backend_entry(other)
    routes["pools"]["other"] = {"backends": ["other"]}
    routes["users"] = {"j\u00f6rg@example.org": "other"}
    front = gatepost(routes)

    for name in ("jo\u0308rg@example.org", "j\u00f6rg\uff20example.org"):
        assert front.secure().login(name, "p").startswith(b"OK")
    assert (one.connects, other.connects) == (2, 0)
    assert front.secure().login("j\u00f6rg@EXAMPLE.org", "p").startswith(b"OK")
    assert (one.connects, other.connects) == (2, 1)


@pytest.mark.threat("C11")
@pytest.mark.parametrize("sent, meant", [
    (rb'"te\\\"st@x"', rb'te\"st@x'), (rb'"\\"', b"\\"), (rb'"\""', b'"'),
    (rb'"\\\\"', rb"\\"), (rb'"a\\nb"', rb"a\nb"), (b'" a "', b" a "),
    (b"{4+}\r\n\\\"\\\\", b'\\"\\\\'), (b'{2+}\r\n""', b'""')])
def test_c11_only_quoted_strings_are_unescaped(front, backend, sent, meant):
    client = front.secure()

    client.send(b"a LOGIN " + sent + b" " + sent + b"\r\n")

    assert client.read_reply("a")[-1].startswith(b"a OK")
    assert backend.conversation().user == meant
    assert backend.conversation().password == meant


@pytest.mark.threat("C11")
@pytest.mark.parametrize("argument", [
    rb'"\n"', rb'"\x"', rb'"a\"', rb'"\ "', b'"a\0b"', b'"a\rb"', b'"a"b',
    b'"a', b'""x', b'"a" "b"'])
def test_c11_any_other_escape_is_bad(front, backend, argument):
    client = front.secure()

    client.send(b"a LOGIN " + argument + b" p\r\n")

    assert client.read_line().startswith((b"a BAD", b"* BAD"))
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert backend.connects == 0


@pytest.mark.threat("C11")
def test_c11_a_line_end_within_quotes_smuggles_no_command(front, backend):
    client = front.secure()

    client.send(b'a LOGIN "u\r\nb LOGIN v w\r\n')

    assert client.read_line().startswith(b"a BAD")
    assert client.read_reply("b")[-1].startswith(b"b OK")
    assert backend.conversation().user == b"v"
    assert backend.connects == 1


@pytest.mark.threat("C9")
@pytest.mark.parametrize("message", [
    b"\0" + b"u" * 65536, b"\0u\0" + b"p" * 65536, b"x" * 65536])
def test_c9_a_message_of_64_kib_ends_only_this_session(
        front, backend, message):
    client = front.secure()

    client.send(b"a AUTHENTICATE PLAIN\r\n" + base64.b64encode(message) +
                b"\r\n")

    assert b"BYE" in client.read_to_end(5)
    assert backend.connects == 0
    assert front.secure().login("u", "p").startswith(b"OK")


@pytest.mark.threat("C9")
def test_c9_an_exchange_that_was_cancelled_leaves_nothing(front, backend):
    client = front.secure()

    for _ in range(4):
        client.send(b"a AUTHENTICATE LOGIN bWFsbG9yeQ==\r\n")
        assert client.read_line().startswith(b"+ ")
        client.send(b"*\r\n")
        assert client.read_line().startswith(b"a BAD")
    client.send(b"b AUTHENTICATE PLAIN AHUAcA==\r\n")

    assert client.read_reply("b")[-1].startswith(b"b OK")
    assert backend.conversation().user == b"u"
    assert backend.conversation().authzid == b""


@pytest.mark.threat("C12")
def test_c12_an_id_of_a_mebibyte_ends_the_session(front):
    client = front.secure()
    before = front.rss()

    client.send(b'a ID ("name" "' + b"x" * 2 ** 20)

    assert b"BYE" in client.read_to_end(5)
    assert front.rss() - before < 4 * 2 ** 20


@pytest.mark.threat("C12")
def test_c12_an_id_is_neither_logged_nor_passed_on_by_default(
        gatepost, fake_backend):
    server = ImapServer(capability=b"IMAP4rev1 SASL-IR AUTH=PLAIN ID")
    backend = fake_backend(server)
    front = gatepost(routes_to(backend),
                     log={"format": "json", "level": "debug"})
    client = front.secure()

    assert client.command('ID ("name" "Peeping\x1b[2JTom")')[-1].startswith(
        (b"OK", b"BAD"))
    assert client.command('ID ("name" "PeepingTom")')[-1].startswith(b"OK")
    assert client.login("u", "p").startswith(b"OK")
    client.command("LOGOUT")
    client.abandon()

    front.session_end(user="u")
    assert b"Peeping" not in bytes(backend.conversation().received)
    assert "Peeping" not in str(front.log)
