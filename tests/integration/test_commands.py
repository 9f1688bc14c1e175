"""The dialogue before login, as a well-behaved client sees it."""

import base64

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer


def plain_response(user, password, authzid=""):
    """The base64 of a PLAIN message."""
    return base64.b64encode(
        f"{authzid}\0{user}\0{password}".encode()).decode()


def capabilities(line):
    """The words of a CAPABILITY line or code."""
    return set(line.upper().replace(b"]", b" ").replace(b"[", b" ").split())


def test_greeting_announces_what_is_parsed(front):
    client = front.secure()
    announced = capabilities(client.greeting)

    assert client.greeting.startswith(b"* OK [CAPABILITY ")
    assert {b"IMAP4REV1", b"SASL-IR", b"AUTH=PLAIN", b"ID"} <= announced
    assert b"LITERAL+" in announced or b"LITERAL-" in announced
    assert not {b"STARTTLS", b"LOGINDISABLED", b"IDLE"} & announced


@pytest.mark.threat("D9")
@pytest.mark.parametrize("login", [b"alice@example.org pw", b'"x" {2}',
                                   b"{1+}\r\nx {2+}\r\npw"])
def test_d9_login_is_taken_where_passwords_are(gatepost, backend, login):
    front = gatepost(routes_to(backend), auth={
        "mechanisms": ["SCRAM-SHA-256"], "delay_max": 0})
    client = front.secure()

    assert b"LOGINDISABLED" in capabilities(client.greeting)
    client.send(b"a LOGIN " + login + b"\r\n")
    assert client.read_line().startswith(b"a NO LOGIN is disabled")
    assert backend.connects == 0


@pytest.mark.threat("C3")
def test_c3_literal_plus_and_minus_are_not_announced_together(front):
    announced = capabilities(front.secure().command("CAPABILITY")[0])

    assert len({b"LITERAL+", b"LITERAL-"} & announced) == 1


@pytest.mark.parametrize("have_it", [None, False, True])
def test_imap4rev2_is_announced_only_where_the_config_says_so(
        gatepost, fake_backend, have_it):
    """Not because one backend was seen to have it."""
    able = fake_backend(ImapServer(b"IMAP4rev2 IMAP4rev1 AUTH=PLAIN"))
    front = gatepost(routes_to(able), upstream=(
        {} if have_it is None else {"imap4rev2": have_it}))
    front.logged_in()
    clients = [front.secure(), front.starttls(), front.connect("starttls")]
    clients[2].read_line()

    for client in clients:
        announced = capabilities(client.command("CAPABILITY")[0])
        assert b"IMAP4REV1" in announced
        assert (b"IMAP4REV2" in announced) == (have_it is True)


def test_capability_and_greeting_say_the_same(front):
    client = front.secure()
    line = client.command("CAPABILITY")[0]
    inside = client.greeting[client.greeting.index(b"["):
                             client.greeting.index(b"]") + 1]

    assert capabilities(line) - {b"*"} == capabilities(inside)


def test_every_announced_mechanism_is_run(front):
    client = front.secure()
    announced = capabilities(client.command("CAPABILITY")[0])

    for name in announced:
        if name.startswith(b"AUTH="):
            client.send(b"m AUTHENTICATE " + name[5:] + b"\r\n")
            assert client.read_line().startswith(b"+ "), name
            client.send(b"*\r\n")
            assert client.read_line().startswith(b"m BAD"), name


def test_a_mechanism_not_announced_is_refused(front):
    client = front.secure()

    assert client.command("AUTHENTICATE EXTERNAL =")[-1].startswith(b"NO")
    assert client.command("AUTHENTICATE XYZ")[-1].startswith(b"NO")


@pytest.mark.parametrize("text", [
    "NOOP", "noop", "CAPABILITY", "ID NIL", 'ID ("name" "x" "version" NIL)',
    "ID ()"])
def test_commands_of_any_state_are_answered(front, text):
    assert front.secure().command(text)[-1].startswith(b"OK")


def test_id_is_answered_with_the_name(front):
    client = front.secure()
    lines = client.command('ID ("name" "curl")')

    assert lines[0].upper().startswith(b"* ID (")
    assert b'("name" "Gatepost")' in lines[0]


def test_id_takes_a_literal(front):
    client = front.secure()

    client.send(b'a ID ("name" {4}\r\n')
    asked = client.read_line()
    client.send(b"curl)\r\n")

    assert asked.startswith(b"+ ")
    assert client.read_reply("a")[-1].startswith(b"a OK")


def test_logout_says_bye_and_ends_with_close_notify(front):
    client = front.secure()

    client.send(b"a LOGOUT\r\n")
    lines = client.read_reply("a")
    rest = client.read_to_end()

    assert lines[0].startswith(b"* BYE")
    assert lines[1].startswith(b"a OK")
    assert rest == b""
    assert client.ended == "fin" and client.saw_close_notify


@pytest.mark.parametrize("how", ["initial", "continued"])
def test_authenticate_plain_logs_in(front, backend, how):
    client = front.secure()
    message = plain_response("alice@example.org", "p w")

    if how == "initial":
        lines = client.command("AUTHENTICATE PLAIN " + message)
        answer = lines[-1]
    else:
        client.send(b"a AUTHENTICATE plain\r\n")
        assert client.read_line() == b"+ \r\n"
        client.send(message.encode() + b"\r\n")
        answer = client.read_line()[2:]

    assert answer.startswith(b"OK [CAPABILITY")
    assert backend.conversation().user == b"alice@example.org"
    assert backend.conversation().password == b"p w"


def test_authenticate_login_logs_in(front, backend):
    client = front.secure()
    client.send(b"a AUTHENTICATE LOGIN\r\n")
    for value in (b"alice@example.org", b"p w"):
        assert client.read_line().startswith(b"+ ")
        client.send(base64.b64encode(value) + b"\r\n")

    assert client.read_line().startswith(b"a OK")
    assert backend.conversation().user == b"alice@example.org"
    assert backend.conversation().password == b"p w"


def test_a_star_cancels_the_exchange_and_nothing_else(front, backend):
    client = front.secure()

    client.send(b"a AUTHENTICATE PLAIN\r\n")
    client.read_line()
    client.send(b"*\r\n")

    assert client.read_line().startswith(b"a BAD")
    assert backend.connects == 0
    assert client.login().startswith(b"OK")


def test_the_clients_tag_is_the_backends_tag(front, backend):
    client = front.secure()

    client.send(b"Tag.77 LOGIN u p\r\n")

    assert client.read_reply("Tag.77")[-1].startswith(b"Tag.77 OK")
    assert b"Tag.77 AUTHENTICATE PLAIN" in backend.received


def test_commands_of_later_states_are_bad_before_login(front):
    client = front.secure()

    for text in ("SELECT INBOX", "LIST \"\" *", "IDLE", "UID FETCH 1 ALL"):
        assert client.command(text)[-1].startswith(b"BAD")


def test_a_tagged_ok_of_login_carries_the_backends_capabilities(front):
    client = front.secure()

    lines = client.command("LOGIN u p")

    assert lines[-1].startswith(
        b"OK [CAPABILITY IMAP4rev1 IDLE X-BACKEND] welcome")
    assert b"Gatepost" not in b"".join(lines)


def test_a_real_session_of_two_shards(gatepost, dovecots, sharded_routes):
    front = gatepost(sharded_routes)

    for user, shard in (("alice", "shard-a"), ("bob", "shard-b")):
        client = front.logged_in(f"{user}@example.org", f"secret-{user}")
        client.command("SELECT INBOX")
        lines = client.command("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")

        assert f"{shard}: hello {user}".encode() in lines[0]
        assert client.command("LOGOUT")[-1].startswith(b"OK")
        assert client.read_to_end() == b""
