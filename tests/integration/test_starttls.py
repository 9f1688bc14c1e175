"""Before TLS, on the STARTTLS listener, and the turn to TLS (rows A1-A9)."""

import ssl
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.wire import trusting

SECRET = "tr0ub4dor"


def plain(front):
    """A client that has read the greeting of the STARTTLS listener."""
    client = front.connect("starttls")
    client.greeting = client.read_line()
    return client


def assert_no_tls(client, transcript):
    """The server did not answer a ClientHello."""
    assert b"\x16\x03" not in transcript, transcript
    assert not client.tls or client.tls.version() is None


@pytest.mark.threat("A1")
@pytest.mark.parametrize("extra", [
    b"b NOOP\r\n", b"b", b"\n", b"\0", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_a1_bytes_in_one_write_with_starttls_end_the_connection(
        front, backend, extra):
    client = plain(front)
    hello = client.start_tls()

    client.send_raw(b"a STARTTLS\r\n" + extra)
    try:
        time.sleep(0.05)
        client.send_raw(hello)
    except OSError:
        pass
    client.tls = None
    transcript = client.read_to_end(5)

    assert b"b OK" not in transcript
    assert_no_tls(client, transcript)
    assert backend.connects == 0


@pytest.mark.threat("A1")
def test_a1_a_client_hello_in_one_write_with_starttls_is_refused(front):
    client = plain(front)
    hello = client.start_tls()

    client.send_raw(b"a STARTTLS\r\n" + hello)
    client.tls = None

    assert_no_tls(client, client.read_to_end(5))


@pytest.mark.threat("A1")
def test_a1_the_log_tells_injection_from_an_ordinary_end(front):
    with plain(front) as client:
        client.send(b"a LOGOUT\r\n")
        client.read_to_end()
    ordinary = front.session_end()["reason"]
    since = front.mark()

    with plain(front) as client:
        client.send(b"a STARTTLS\r\nb NOOP\r\n")
        client.read_to_end(5)

    assert front.session_end(since)["reason"] != ordinary


@pytest.mark.threat("A2")
@pytest.mark.parametrize("gap", [0, 0.03, 0.1])
def test_a2_plain_bytes_before_the_client_hello_end_the_connection(
        front, gap):
    injected = b"b NOOP\r\n"
    for split in range(len(injected) + 1):
        client = plain(front)
        client.send(b"a STARTTLS\r\n")
        client.read_reply("a")
        hello = client.start_tls()
        try:
            client.send_raw(injected[:split])
            time.sleep(gap)
            client.send_raw(injected[split:] + hello)
        except OSError:
            pass
        client.tls = None
        transcript = client.read_to_end(5)

        assert b"b OK" not in transcript and b"BAD" not in transcript
        assert_no_tls(client, transcript)


@pytest.mark.threat("A2")
def test_a2_a_client_hello_in_single_bytes_is_taken(front, client_context):
    client = plain(front)
    client.send(b"a STARTTLS\r\n")
    client.read_reply("a")

    client.handshake(client_context, chunk=1, gap=0.001)

    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("A3")
@pytest.mark.parametrize("line", [
    b"a STARTTLS\nb NOOP\n", b"a STARTTLS {5+}\r\nxxxxx\r\n",
    b"a STARTTLS x\r\n", b"a STARTTLS \r\n", b'a STARTTLS ""\r\n'])
def test_a3_starttls_with_anything_in_its_line_is_bad(
        front, client_context, line):
    client = plain(front)

    client.send(line)
    first = client.read_line()
    client.read_quiet(0.1)
    client.send(b"c STARTTLS\r\n")
    then = client.read_line()

    assert b"BAD" in first
    assert then.startswith(b"c OK")
    client.handshake(client_context)
    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("A4")
def test_a4_nothing_is_said_after_the_handshake_until_the_client_speaks(
        front, client_context):
    client = plain(front)
    client.send(b"a AUTHENTICATE PLAIN\r\n")
    first = client.read_reply("a")
    client.send(b"b STARTTLS\r\n")
    client.read_reply("b")
    client.handshake(client_context)

    assert b"OK" not in first[-1] and b"+" not in first[0]
    assert client.read_quiet(0.5) == b""


@pytest.mark.threat("A4")
def test_a4_capabilities_are_made_anew_under_tls(front, client_context):
    client = plain(front)
    before = client.command("CAPABILITY")[0].split()
    client.send(b"b STARTTLS\r\n")
    client.read_reply("b")
    client.handshake(client_context)
    after = client.command("CAPABILITY")[0].split()

    assert b"STARTTLS" in before and b"LOGINDISABLED" in before
    assert not [one for one in before if one.startswith(b"AUTH=")]
    assert b"STARTTLS" not in after and b"LOGINDISABLED" not in after
    assert b"AUTH=PLAIN" in after


@pytest.mark.threat("A4")
def test_a4_bad_commands_before_tls_do_not_count_after_it(
        front, client_context):
    client = plain(front)
    for _ in range(4):
        assert client.command("FOO")[-1].startswith(b"BAD")
    client.send(b"b STARTTLS\r\n")
    client.read_reply("b")
    client.handshake(client_context)

    for _ in range(4):
        assert client.command("FOO")[-1].startswith(b"BAD")
    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("A5")
def test_a5_a_password_in_clear_is_refused_by_one_constant_text(
        gatepost, backend):
    front = gatepost(routes_to(backend),
                     log={"format": "json", "level": "debug"})
    answers = set()
    tries = [f"LOGIN alice@example.org {SECRET}",
             f'LOGIN "nobody@nowhere" "{SECRET}"',
             f"LOGIN alice {{{len(SECRET)}+}}\r\n{SECRET}",
             f"LOGIN {SECRET}", "LOGIN a b " + SECRET, "LOGIN",
             "AUTHENTICATE PLAIN", "AUTHENTICATE NOTHING",
             "AUTHENTICATE PLAIN AGFsaWNlAHRyMHViNGRvcg=="]
    for text in tries:
        with plain(front) as client:
            answers.add(tuple(client.command(text)))
            assert client.command("NOOP")[-1].startswith(b"OK"), text

    assert len(answers) == 1, answers
    assert answers.pop()[0].startswith(b"NO [PRIVACYREQUIRED]")
    assert backend.connects == 0
    assert SECRET not in front.stderr
    assert "AGFsaWNlAHRyMHViNGRvcg" not in front.stderr


@pytest.mark.threat("A5")
def test_a5_a_synchronising_literal_in_clear_meets_no_backend(
        front, backend):
    client = plain(front)

    client.send(b"a LOGIN alice {9}\r\n")
    answer = client.read_line()
    if answer.startswith(b"+"):
        client.send(SECRET.encode() + b"\r\n")
        answer = client.read_line()

    assert answer.startswith(b"a NO [PRIVACYREQUIRED]")
    assert backend.connects == 0


@pytest.mark.threat("A6")
@pytest.mark.parametrize("how", ["secure", "starttls"])
def test_a6_starttls_under_tls_is_bad_and_not_offered(
        front, client_context, how):
    client = getattr(front, how)(client_context)

    offered = client.command("CAPABILITY")[0]
    answer = client.command("STARTTLS")[-1]

    assert b"STARTTLS" not in offered
    assert answer.startswith(b"BAD")
    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("A7", "C15")
@pytest.mark.parametrize("octets", [b"x", b"a NOOP\r\n"])
def test_a7_bytes_do_not_extend_the_time_before_login(
        gatepost, backend, octets):
    front = gatepost(routes_to(backend), timeouts={"before_login": 2})
    client = plain(front)
    start = time.monotonic()

    try:
        while time.monotonic() - start < 6:
            client.send(octets)
            client.read_quiet(0.1)
            if client.ended:
                break
    except OSError:
        pass
    lasted = time.monotonic() - start

    assert 1 <= lasted <= 3.2


@pytest.mark.threat("A7")
def test_a7_a_handshake_after_starttls_has_its_own_deadline(
        gatepost, backend):
    front = gatepost(routes_to(backend), timeouts={"handshake": 1})
    client = plain(front)
    client.send(b"a STARTTLS\r\n")
    client.read_reply("a")
    hello = client.start_tls()
    client.tls = None
    start = time.monotonic()

    try:
        for octet in hello[:-1]:
            client.send_raw(bytes([octet]))
            client.read_quiet(0.05)
            if client.ended:
                break
    except OSError:
        pass

    assert 0.8 <= time.monotonic() - start <= 2.2


@pytest.mark.threat("A8")
@pytest.mark.parametrize("octets", [
    b"a NOOP\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello",
    b"\x80\x2e\x01\x00\x02", b"\0" * 64])
def test_a8_plain_bytes_on_the_tls_port_get_no_imap(front, octets):
    with front.connect() as client:
        client.send_raw(octets)
        transcript = client.read_to_end(5)

    assert b"*" not in transcript and b"BAD" not in transcript
    assert b"BYE" not in transcript and b"OK" not in transcript


@pytest.mark.threat("A8")
@pytest.mark.parametrize("version", [0x0301, 0x0303])
def test_a8_a_client_hello_on_the_plain_port_ends_the_connection(
        front, version):
    client = plain(front)
    hello = bytearray(client.start_tls())
    hello[1:3] = version.to_bytes(2, "big")
    client.tls = None

    client.send_raw(bytes(hello))
    transcript = client.read_to_end(5)

    assert b"BAD" not in transcript and b"OK" not in transcript
    assert_no_tls(client, transcript)


@pytest.mark.threat("A9")
@pytest.mark.parametrize("how", ["starttls", "secure"])
@pytest.mark.parametrize("method", [
    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH"])
def test_a9_http_gets_bye_and_no_echo(front, how, method):
    client = front.secure() if how == "secure" else plain(front)

    client.send(f"{method} /evil HTTP/1.1\r\nHost: evil\r\n"
                f"Cookie: <script>\r\n\r\n".encode())
    transcript = client.read_to_end(5)

    assert transcript.startswith(b"* BYE"), transcript
    assert transcript.count(b"\r\n") == 1
    for word in (method.encode(), b"evil", b"Host", b"script", b"HTTP/1"):
        assert word not in transcript


@pytest.mark.threat("A9", "C6")
def test_a9_a_bad_tag_is_not_echoed_and_counts(front):
    client = plain(front)

    for number in range(5):
        client.send(b"(script)%d NOOP\r\n" % number)
    transcript = client.read_to_end(5)

    assert b"script" not in transcript
    assert transcript.startswith(b"* BAD")
    assert transcript.count(b"* BYE") == 1


def test_starttls_then_login_reaches_the_backend(
        front, backend, client_context):
    client = front.starttls(client_context)

    answer = client.login("alice@example.org", SECRET)

    assert answer.startswith(b"OK [CAPABILITY IMAP4rev1 IDLE X-BACKEND]")
    assert backend.conversation().user == b"alice@example.org"
    assert backend.conversation().password == SECRET.encode()


def test_a_client_that_knows_no_starttls_sees_no_password_mechanism(front):
    client = plain(front)

    assert b"LOGINDISABLED" in client.greeting
    assert b"STARTTLS" in client.greeting
    assert b"AUTH=" not in client.greeting


def test_tls_of_old_versions_is_refused_after_starttls(front):
    client = plain(front)
    client.send(b"a STARTTLS\r\n")
    client.read_reply("a")
    old = trusting(ciphers="ALL:@SECLEVEL=0",
                   minimum=ssl.TLSVersion.TLSv1,
                   maximum=ssl.TLSVersion.TLSv1_1)

    with pytest.raises((ssl.SSLError, ConnectionError)):
        client.handshake(old)
