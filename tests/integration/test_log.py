"""What the log says of a session, and what it never says (row H4)."""

import base64
import os
import re
import ssl
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import WireEnded, trusting

DEBUG = {"format": "json", "level": "debug"}
TEXT = {"format": "text", "level": "debug"}
SECRET = "S3cr3t-of-the-moment"


@pytest.fixture
def backend(fake_backend):
    return fake_backend(ImapServer(
        accept=lambda user, password: b"wrong" not in password))


def values(entry):
    """All values of a log entry, as strings."""
    return [str(value) for value in entry.values()]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_the_session_line_has_everything(
        gatepost, backend, authority, version):
    pinned = getattr(ssl.TLSVersion, version.replace(".", "_"))
    front = gatepost(routes_to(backend))
    client = front.secure(trusting(authority, minimum=pinned,
                                   maximum=pinned))
    started = time.monotonic()
    client.login("Alice@Example.org", SECRET)
    client.command("NOOP")
    time.sleep(0.2)
    client.command("LOGOUT")
    client.read_to_end()
    client.abandon()
    lasted = time.monotonic() - started
    end = front.session_end()
    said = values(end)
    cipher = client.tls.cipher()[0]

    def letters(name):
        """OpenSSL's and the registry's names of a cipher, made alike."""
        return re.sub("TLS_|_WITH|[^A-Z0-9]", "", name)

    assert f"127.0.0.1:{client.local[1]}" in said or (
        "127.0.0.1" in said and str(client.local[1]) in said)
    assert version in said
    assert letters(end["cipher"]) == letters(cipher)
    assert "imap.example.test" in said
    assert "alice@example.org" in said
    assert "b1" in said
    assert end["reason"] and end["id"]
    assert any(isinstance(value, int) and
               lasted * 500 <= value <= lasted * 1500 + 200
               for key, value in end.items() if "ms" in key), end


@pytest.mark.parametrize("how", ["implicit", "starttls"])
def test_a_session_that_never_logs_in_has_its_line_too(
        gatepost, backend, how):
    front = gatepost(routes_to(backend))
    client = front.connect(how)
    if how == "implicit":
        client.handshake()
    client.read_line()
    client.send(b"a LOGOUT\r\n")
    client.read_to_end()
    client.abandon()

    end = front.session_end()

    assert any(str(client.local[1]) in value for value in values(end))
    assert "b1" not in values(end)


def test_the_reason_tells_ends_apart(gatepost, backend):
    front = gatepost(routes_to(backend), timeouts={"before_login": 2})
    reasons = {}

    def note(name):
        reasons[name] = front.session_end(since)["reason"]

    for name in ("logout", "left", "cut", "http", "tries", "commands",
                 "deadline", "plain on tls", "hello on plain", "no alpn"):
        since = front.mark()
        if name in ("plain on tls", "no alpn"):
            client = front.connect()
        elif name == "hello on plain":
            client = front.connect("starttls")
            client.read_line()
        else:
            client = front.secure()
        if name == "logout":
            client.send(b"a LOGOUT\r\n")
        elif name == "left":
            client.half_close()
        elif name == "cut":
            client.reset()
        elif name == "http":
            client.send(b"GET / HTTP/1.1\r\n\r\n")
        elif name == "tries":
            for tag in b"abc":
                client.send(b"%c LOGIN u wrong\r\n" % tag)
        elif name == "commands":
            client.send(b"a FOO\r\n" * 5)
        elif name == "plain on tls":
            client.send_raw(b"a NOOP\r\n" * 10)
        elif name == "hello on plain":
            hello = client.start_tls()
            client.tls = None
            client.send_raw(hello)
        elif name == "no alpn":
            with pytest.raises(ssl.SSLError):
                client.handshake(trusting(alpn=["h2"]))
        note(name)

    told_apart = {reasons[name] for name in (
        "logout", "http", "tries", "commands", "deadline")}
    assert len(told_apart) == 5, reasons
    assert reasons["left"] != reasons["logout"]
    assert reasons["cut"] != reasons["logout"]
    assert all(reasons.values())


HOSTILE = [b"x\r\nFAKE", b"x\nFAKE", b"\x1b[2J", b"a\0b", b"\x9b31m",
           b"u\xe2\x80\xaeevil", b'x" level="error', b"x\\", b"\xff\xfe",
           b"x\x7f", b"\x08\x08\x08", b"%s%n", b"y" * 500, b"=", b"a b",
           b"\xe2\x80\xa8line", b"<b>", b"'; --"]


def test_there_is_a_worker_for_each_core_that_may_be_used(gatepost, backend):
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        front = gatepost(routes_to(backend), workers=0)
    finally:
        os.sched_setaffinity(0, allowed)

    assert front.wait_log("started")["workers"] == 1


@pytest.mark.threat("H4")
@pytest.mark.parametrize("log", [DEBUG, TEXT], ids=["json", "text"])
def test_h4_no_user_name_forges_or_colours_a_line(gatepost, backend, log):
    front = gatepost(routes_to(backend), log=log)

    for user in HOSTILE:
        with front.secure() as client:
            client.send(b"a LOGIN {%d+}\r\n%s wrong\r\n" % (len(user), user))
            client.read_reply("a")
            client.send(b"b AUTHENTICATE PLAIN " + base64.b64encode(
                b"\0" + user.replace(b"\0", b"") + b"\0wrong") + b"\r\n")
            client.read_reply("b")
            client.send(b'c ID ("name" {%d+}\r\n' % len(user) + user +
                        b")\r\n")
            client.send(user.replace(b"\n", b"") + b" NOOP\r\n")
            client.send(b"d LOGOUT\r\n")
            client.read_to_end(5)
    time.sleep(0.3)

    raw = front.stderr.encode("utf-8", "surrogateescape")
    line_start = (rb"\{" if log is DEBUG else
                  rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
                  rb"(error|warn|info|debug) [a-z-]+")
    for line in raw.split(b"\n"):
        assert re.match(line_start, line), line
        assert not re.search(rb"[\x00-\x1f\x7f]", line), line
        assert len(line) <= 2048
    assert b"\xe2\x80\xae" not in raw  # right-to-left override
    assert b"y" * 300 not in raw
    if log is TEXT:
        assert not re.search(rb"[\x80-\xff]", raw)
        assert b'level="error' not in raw.replace(b'\\"', b"'")


@pytest.mark.threat("H4")
@pytest.mark.parametrize("log", [DEBUG, TEXT], ids=["json", "text"])
def test_h4_no_secret_is_logged_at_any_level(
        gatepost, fake_backend, log):
    backend = fake_backend(ImapServer(
        b"IMAP4rev1", accept=lambda user, password: b"good" in user))
    front = gatepost(routes_to(backend), log=log)
    forms = [b"LOGIN u " + SECRET.encode(),
             b'LOGIN "u" "' + SECRET.encode() + b'"',
             b"LOGIN u {%d+}\r\n%s" % (len(SECRET), SECRET.encode()),
             b"LOGIN " + SECRET.encode(),
             b"LOGIN u x " + SECRET.encode(),
             b"AUTHENTICATE PLAIN " + base64.b64encode(
                 b"\0u\0" + SECRET.encode()),
             b"AUTHENTICATE PLAIN " + base64.b64encode(SECRET.encode()),
             b"AUTHENTICATE XX " + base64.b64encode(SECRET.encode()),
             b"LOGIN good " + SECRET.encode(),
             SECRET.encode() + b" u p"]
    for form in forms:
        for how in ("implicit", "starttls"):
            client = front.connect(how)
            if how == "implicit":
                client.handshake()
            client.read_line()
            client.send(b"a " + form + b"\r\n")
            client.read_until(b"\r\n")
            client.abandon()
    client = front.secure()
    client.send(b"a AUTHENTICATE LOGIN\r\ndQ==\r\n" +
                base64.b64encode(SECRET.encode()) + b"\r\n")
    client.read_reply("a")
    front.stop()

    log_text = front.stderr
    assert SECRET not in log_text
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + SECRET.encode())
        assert encoded[4:-4].decode() not in log_text
    assert base64.b64encode(b"\0u\0" + SECRET.encode()
                            ).decode()[:24] not in log_text
    assert SECRET.encode().hex() not in log_text.lower()


@pytest.mark.threat("H4")
def test_h4_a_backends_words_are_escaped_in_the_log(gatepost, fake_backend):
    backend = fake_backend(ImapServer(
        accept=lambda *_: False,
        refusal=b"NO \x1b[31mred\x07\xe2\x80\xae and " + b"z" * 1000))
    front = gatepost(routes_to(backend), log=TEXT)

    with front.secure() as client:
        client.login()
    time.sleep(0.3)
    front.stop()

    raw = front.stderr.encode("utf-8", "surrogateescape")
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", raw)
    assert b"red" in raw
    assert b"z" * 300 not in raw


@pytest.mark.threat("H4")
def test_h4_a_server_name_and_an_alpn_offer_are_escaped(gatepost, backend):
    front = gatepost(routes_to(backend), log=TEXT)
    client = front.connect()
    context = trusting(alpn=["x\n2026 info FAKE", "\x1b[2J"])

    try:
        client.handshake(context, "imap.example.test")
    except (OSError, WireEnded):
        pass
    hello = front.connect()
    octets = hello.start_tls(None, "imap.example.test")
    hello.send_raw(octets.replace(b"imap.example.test",
                                  b"imap\n\x1b[2J \"x=\"st"))
    hello.read_quiet(0.3)
    hello.abandon()
    front.stop()

    for line in front.stderr.split("\n"):
        assert re.match(r"\d{4}-\d\d-\d\dT", line), line
        assert "\x1b" not in line


@pytest.mark.threat("H5")
def test_h5_a_log_nobody_reads_stops_no_session(gatepost, backend):
    """Standard error is a full pipe; sessions go on, lines are counted."""
    front = gatepost(routes_to(backend), log=DEBUG)
    front.hearing.clear()

    for number in range(500):
        with front.secure() as client:
            client.login(f"user{number}" + "x" * 400, "wrong")
    with front.secure() as client:
        answer = client.login("late")
    front.hearing.set()

    assert answer.startswith(b"OK")
    assert front.wait_log("log-dropped")["count"] > 0
