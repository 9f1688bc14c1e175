"""Hostile bytes before login, under TLS (rows C1-C8, C13)."""

import base64
import itertools
import threading
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.wire import WireEnded


def read_refusal(client):
    """What comes after a refused line: BAD (and the session goes on), or
    BYE and the end."""
    first = client.read_line()
    assert b"BAD" in first or b"BYE" in first, first
    return first


@pytest.mark.threat("C1")
@pytest.mark.parametrize("literal", [
    "{4294967297}", "{18446744073709551616}", "{-1}", "{+10}", "{10++}",
    "{}", "{+}", "{99999999999999999999}", "{8193}", "{ 5}", "{5 }", "{0x5}",
    "{2147483648}", "{5", "{5}x", "~{5}", "{9223372036854775807}"])
def test_c1_a_bad_literal_length_is_never_asked_for(front, backend, literal):
    client = front.secure()

    client.send(f"a LOGIN u {literal}\r\n".encode())
    first = read_refusal(client)

    assert not first.startswith(b"+")
    if b"BYE" not in first:
        rest = client.read_quiet(0.1)
        if not client.ended:
            assert client.command("NOOP")[-1].startswith(b"OK")
        else:
            assert b"BYE" in rest
    assert backend.connects == 0


@pytest.mark.threat("C1")
def test_c1_a_leading_zero_is_refused_or_decimal(front, backend):
    client = front.secure()

    client.send(b"a LOGIN u {010}\r\n")
    first = client.read_line()
    if first.startswith(b"+"):
        client.send(b"0123456789\r\n")
        assert client.read_reply("a")[-1].startswith(b"a OK")
        assert backend.conversation().password == b"0123456789"
    else:
        assert b"BAD" in first or b"BYE" in first


@pytest.mark.threat("C2")
@pytest.mark.parametrize("before", [
    b"a FOO ", b"a LOGIN ", b"a NOOP ", b"%n ", b"a ",
    b'a LOGIN "open ', b"a SELECT ", b"a ID (", b"a AUTHENTICATE PLAIN ",
    b"a STARTTLS ", b"a LOGOUT ", b"a LOGIN u p ", b"",
    b'a LOGIN "bad\\escape" ', b"a \xff\xff "])
def test_c2_the_body_of_a_refused_literal_is_no_command(
        front, backend, before):
    body = b"x\r\nb LOGIN u p\r\n"
    client = front.secure()

    client.send(before + b"{%d+}\r\n" % len(body) + body + b"\r\n"
                b"c NOOP\r\n")
    try:
        transcript = client.read_until(b"c OK", 5)
    except WireEnded as ended:
        transcript = str(ended).encode()

    assert b"b OK" not in transcript and b"b NO" not in transcript
    assert b"b BAD" not in transcript
    assert backend.connects == 0


@pytest.mark.threat("C2")
@pytest.mark.parametrize("size", [8193, 100000, 4294967296 + 20])
def test_c2_the_body_of_a_literal_over_the_limit_is_no_command(
        front, backend, size):
    client = front.secure()
    body = b"x\r\nb LOGIN u p\r\nc NOOP\r\n"

    client.send(b"a LOGIN u {%d+}\r\n" % size + body * 10)
    transcript = client.read_quiet(0.5)
    try:
        client.send((body * 8000)[:max(0, min(size, 100000) - 10 *
                                       len(body))] + b"\r\nd NOOP\r\n")
        transcript += client.read_quiet(0.5)
    except OSError:
        pass

    for answer in (b"b OK", b"b NO", b"b BAD", b"c OK", b"c BAD"):
        assert answer not in transcript
    assert b"a BAD" in transcript or b"BYE" in transcript
    assert b"d OK" in transcript or client.ended
    assert backend.connects == 0


@pytest.mark.threat("C3")
@pytest.mark.parametrize("user_form, password_form", list(itertools.product(
    ("atom", "quoted", "sync", "nonsync"), repeat=2)))
def test_c3_login_takes_every_form_of_argument(
        front, backend, user_form, password_form):
    client = front.secure()
    client.send(b"a LOGIN")
    for form, value in ((user_form, b"u@example.org"),
                        (password_form, b"pass.word")):
        if form == "atom":
            client.send(b" " + value)
        elif form == "quoted":
            client.send(b' "' + value + b'"')
        elif form == "nonsync":
            client.send(b" {%d+}\r\n" % len(value) + value)
        else:
            client.send(b" {%d}\r\n" % len(value))
            assert client.read_line().startswith(b"+ ")
            client.send(value)
    client.send(b"\r\n")

    assert client.read_reply("a")[-1].startswith(b"a OK")
    assert backend.conversation().user == b"u@example.org"
    assert backend.conversation().password == b"pass.word"


FORMS = [b"%s", b'"%s"', b"{%d}\r\n%s", b"{%d+}\r\n%s"]


def in_form(form, value):
    """The value in one of the forms."""
    return form % ((len(value), value) if b"%d" in form else value)


@pytest.mark.threat("C3")
def test_c3_every_form_is_the_same_at_every_split(front, backend):
    """All of a login at once, and cut at each of its bytes: what is asked
    for, the answers, and what the backend hears are the same."""
    def run(octets, cut):
        client = front.secure()
        client.send(octets[:cut])
        if cut % 8 == 1:
            time.sleep(0.002)
        client.send(octets[cut:])
        heard = client.read_reply("a")
        client.abandon()
        seen = backend.conversations[-1]
        assert (seen.user, seen.password) == (b"u@example.org", b"pass.word")
        return heard

    for user_form, password_form in itertools.product(FORMS, repeat=2):
        octets = b'i ID ("name" {4}\r\ncurl {2+}\r\nos NIL)\r\n' \
            b"a LOGIN %s %s\r\n" % (in_form(user_form, b"u@example.org"),
                                    in_form(password_form, b"pass.word"))
        whole = run(octets, 0)
        assert whole[-1].startswith(b"a OK"), whole
        for cut in range(1 + len(whole) % 3, len(octets), 3):
            assert run(octets, cut) == whole, (octets, cut)


@pytest.mark.threat("C3")
@pytest.mark.parametrize("size", [1, 4096])
def test_c3_a_literal_of_the_announced_size_is_taken(front, backend, size):
    client = front.secure()
    password = b"x" * size

    client.send(b"a LOGIN u {%d+}\r\n" % size + password + b"\r\n")

    assert client.read_reply("a")[-1].startswith(b"a OK")
    assert backend.conversation().password == password


@pytest.mark.threat("C3")
def test_c3_a_synchronising_literal_of_the_limit_is_taken(front, backend):
    client = front.secure()
    client.send(b"a LOGIN u {8192}\r\n")
    assert client.read_line().startswith(b"+ ")
    client.send(b"y" * 8192 + b"\r\n")

    assert client.read_reply("a")[-1].startswith(b"a OK")
    assert backend.conversation().password == b"y" * 8192


@pytest.mark.threat("C4", "C5")
@pytest.mark.parametrize("octets", [
    b"a NOOP " + b"(" * 200000, b"a ID (" * 30000, b"a LOGIN " + b"(" * 20000,
    b"x" * 20000, b"a " + b"y" * 20000, b"a LOGIN " + b"u" * 20000,
    b'a LOGIN "' + b"u" * 20000, b"{" * 20000, b"a AUTHENTICATE PLAIN "
    + b"A" * 20000])
def test_c4_c5_an_endless_line_is_ended_at_once(front, octets):
    client = front.secure()
    start = time.monotonic()

    try:
        client.send(octets)
    except OSError:
        pass
    transcript = client.read_to_end(5)

    assert time.monotonic() - start < 4
    assert b" OK" not in transcript
    if len(octets) < 60000 and client.ended != "rst":
        assert b"BYE" in transcript, transcript
    else:
        assert client.ended


@pytest.mark.threat("C5")
@pytest.mark.parametrize("how", ["secure", "starttls"])
def test_c5_the_bye_of_an_endless_line_arrives(front, how):
    client = front.connect("starttls") if how == "starttls" else None
    if client is None:
        client = front.secure()
    else:
        client.read_line()

    client.send(b"a NOOP " + b"x" * 17000)
    transcript = client.read_to_end(5)

    assert b"* BYE" in transcript
    assert client.ended == "fin"


@pytest.mark.threat("C4", "C5", "G4")
def test_c4_c5_endless_lines_do_not_grow_memory(front, sanitizer):
    for _ in range(20):  # what a first use allocates is no growth
        one = front.secure()
        one.send(b"a NOOP " + b"(" * 15000)
        one.reset()
    clients = [front.secure() for _ in range(100)]
    before = front.rss()

    for client in clients:
        client.send(b"a NOOP " + b"(" * 15000)
        client.read_quiet(0.001)
    grown = front.rss() - before

    assert grown < len(clients) * 65536 * (3 if sanitizer else 1)


@pytest.mark.threat("C5")
def test_c5_ten_megabytes_without_a_line_end_are_not_kept(front, sanitizer):
    client = front.secure()
    before = front.rss()

    start = time.monotonic()
    try:
        for _ in range(640):
            client.send(b"x" * 16384)
    except OSError:
        pass
    client.read_to_end(5)

    assert time.monotonic() - start < 5
    assert front.rss() - before < (8 if sanitizer else 2) << 20


@pytest.mark.threat("C6", "C7")
@pytest.mark.parametrize("line", [
    b"a\0%n%s LOGIN u p", b"%n%n NOOP", b"\xff NOOP", b"a+b NOOP",
    b"+ NOOP", b"* NOOP", b"(a NOOP", b'"a" NOOP', b"a\\b NOOP",
    b"x" * 1000 + b" NOOP", b"", b" ", b" NOOP", b"a{ NOOP", b"\x1b[2J NOOP",
    b"a\x7f NOOP"])
def test_c6_an_invalid_tag_is_bad_and_not_echoed(front, backend, line):
    client = front.secure()

    client.send(line + b"\r\n")
    answer = client.read_line()

    assert answer.startswith(b"* BAD"), answer
    assert line[:20] not in answer or len(line) < 2
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert backend.connects == 0


@pytest.mark.threat("C6")
def test_c6_eight_bit_and_nul_in_a_command_are_bad(front):
    client = front.secure()

    for line in (b"a NO\xffOP", b"b NO\0OP", b"c NOOP\0", b"d LOGIN u\0x p"):
        client.send(line + b"\r\n")
        answer = client.read_line()
        assert answer[:5] in (line[:1] + b" BAD", b"* BAD"), answer


@pytest.mark.threat("C7", "H4")
def test_c7_format_strings_are_data(gatepost, backend):
    front = gatepost(routes_to(backend),
                     log={"format": "json", "level": "debug"})
    client = front.secure()
    hostile = "%n%s%x%p%99999d"

    client.command(f'ID ("{hostile}" "{hostile}")')
    answer = client.login(hostile, hostile + "pw")
    client.command("LOGOUT")
    client.abandon()

    assert answer.startswith(b"OK")
    assert backend.conversation().user == hostile.encode()
    assert front.session_end(user=hostile)


@pytest.mark.threat("C8")
@pytest.mark.parametrize("response", [
    b"!!!!", b"AGEAYg", b"AGEAY=A=", b"A", b" AGEAYg==", b"AGEAYg== ",
    b"AGEA\tYg==", b"AGEAYg===", b"=AGEAYg=", b"AGEA\0Yg==",
    b"\xff\xff\xff\xff", b"AGEA Yg==", b"AG-AYg==", b"AGEAYh=="])
def test_c8_bad_base64_is_a_tagged_bad(front, backend, response):
    client = front.secure()

    client.send(b"a AUTHENTICATE PLAIN\r\n")
    client.read_line()
    client.send(response + b"\r\n")
    answer = client.read_line()

    assert answer.startswith(b"a BAD"), answer
    assert backend.connects == 0
    assert client.login("a", "b").startswith(b"OK")


@pytest.mark.threat("C8")
@pytest.mark.parametrize("message", [
    b"", b"ab", b"\0a", b"\0a\0", b"\0\0b", b"\0a\0b\0c", b"x\0", b"\0",
    b"\0a\nb\0c"])
def test_c8_a_plain_message_out_of_shape_is_refused(front, backend, message):
    client = front.secure()
    initial = base64.b64encode(message) or b"="

    client.send(b"a AUTHENTICATE PLAIN " + initial + b"\r\n")
    answer = client.read_line()

    assert answer.startswith((b"a BAD", b"a NO")), answer
    assert backend.connects == 0 or message == b"\0a\0"
    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("D8")
@pytest.mark.parametrize("how", ["initial", "continued"])
def test_d8_no_length_is_found_by_a_nul_that_is_not_there(
        front, backend, how):
    """"AGFi" is NUL and "ab": one NUL, and nothing behind it. A decoder that
    looked for the second would read on into what the longer one left."""
    client = front.secure()
    whole = b"\0alice@example.org\0secret-of-alice"

    for message in (b"\0ab", b"ab", b"ab\0", b"\0", b"a\0b", whole[:5],
                    whole[:whole.rindex(b"\0")], b"\0" + b"a" * 1024):
        client.send(b"x AUTHENTICATE PLAIN " + base64.b64encode(
            whole + b"\0") + b"\r\n")
        assert client.read_line().startswith(b"x BAD")
        encoded = base64.b64encode(message)
        if how == "initial":
            client.send(b"a AUTHENTICATE PLAIN " + encoded + b"\r\n")
        else:
            client.send(b"a AUTHENTICATE PLAIN\r\n")
            assert client.read_line().startswith(b"+")
            client.send(encoded + b"\r\n")
        answer = client.read_line()
        assert answer.startswith(b"a BAD"), (message, answer)
        client.abandon()
        client = front.secure()

    assert backend.connects == 0


@pytest.mark.threat("C8")
def test_c8_one_bad_response_leaves_other_sessions_alone(
        front, backend, times):
    clients = [front.secure() for _ in range(times(150, 1000))]
    for client in clients:
        client.send(b"a AUTHENTICATE PLAIN\r\n")
        assert client.read_line().startswith(b"+")
    middle = clients.pop(len(clients) // 2)

    middle.send(b"!!!!\r\n")

    assert middle.read_line().startswith(b"a BAD")
    for client in clients:
        client.send(b"AGEAYg==\r\n")
    for client in clients:
        assert client.read_reply("a")[-1].startswith(b"a OK")
    assert backend.connects == len(clients)


@pytest.mark.threat("C13")
@pytest.mark.parametrize("between", [None, "NOOP", "CAPABILITY", "ID NIL"])
def test_c13_five_unknown_commands_end_the_session(front, between):
    client = front.secure()

    for _ in range(4):
        assert client.command("FOO")[-1].startswith(b"BAD")
        if between:
            assert client.command(between)[-1].startswith(b"OK")
    client.send(b"z FOO\r\n")
    transcript = client.read_to_end(5)

    assert b"* BYE" in transcript


@pytest.mark.threat("C13")
def test_c13_pipelined_unknown_commands_count_alike(front):
    client = front.secure()

    client.send(b"".join(b"a%d FOO\r\n" % number for number in range(50)))
    transcript = client.read_to_end(5)

    assert transcript.count(b" BAD") <= 5
    assert transcript.count(b"* BYE") == 1


@pytest.mark.threat("C13")
def test_c13_twenty_known_commands_in_the_wrong_state_are_borne(front):
    client = front.secure()

    for _ in range(19):
        assert client.command("SELECT INBOX")[-1].startswith(b"BAD")
    client.send(b"z SELECT INBOX\r\n")
    transcript = client.read_to_end(5)

    assert b"* BYE" in transcript


@pytest.mark.threat("C13")
def test_c13_limits_are_those_of_the_settings(gatepost, backend):
    front = gatepost(routes_to(backend),
                     limits={"bad_commands": 2, "wrong_state_commands": 3})
    unknown, early = front.secure(), front.secure()

    unknown.send(b"a FOO\r\nb FOO\r\nc NOOP\r\n")
    early.send(b"a IDLE\r\nb IDLE\r\nc IDLE\r\nd NOOP\r\n")

    assert b"c OK" not in unknown.read_to_end(5)
    seen = early.read_to_end(5)
    assert seen.count(b"BAD") >= 2 and b"d OK" not in seen


@pytest.mark.threat("C12")
def test_c12_an_id_out_of_bounds_is_refused(front):
    client = front.secure()
    pairs = " ".join(f'"k{number}" "v"' for number in range(31))

    assert client.command(f"ID ({pairs})")[-1].startswith(b"BAD")
    assert client.command('ID ("a" "%s")' % ("v" * 1025))[-1].startswith(
        b"BAD")


@pytest.mark.threat("C9")
def test_c9_a_client_that_leaves_in_the_middle_frees_everything(
        front, times):
    pieces = [b"a AUTHENTICATE PLAIN\r\n", b"AGEA", b"Yg==", b"\r\n"]
    front.secure().abandon()
    before = front.resting_descriptors()

    for _ in range(times(5, 200)):
        for count in range(len(pieces) + 1):
            client = front.secure()
            client.send(b"".join(pieces[:count]))
            client.abandon()

    front.wait_descriptors(before)


def test_many_clients_at_once_are_served(front):
    failures = []

    def run(number):
        try:
            with front.secure() as client:
                assert client.login(f"u{number}", "p").startswith(b"OK")
                assert client.command("NOOP")[-1].startswith(b"OK")
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,))
               for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
