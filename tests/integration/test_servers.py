"""Real servers behind Gatepost, each reached in clear, by STARTTLS and by
implicit TLS.

| Server | before the login | after a login |
|---|---|---|
| Dovecot | SASL-IR, LITERAL+, AUTH=PLAIN, LOGIN | a code with what it can |
| Cyrus | the same | the same, with LOGINDISABLED, AUTH= and MAILBOX-REFERRALS |
| Courier | AUTH=PLAIN, AUTH=LOGIN, no SASL-IR | no list unless asked for |
| Mailutils | no list in the greeting, LITERAL+, twenty AUTH= | no list, STARTTLS still in it when asked for |

Courier answers a wrong password after five seconds. Mailutils ends its OK to
AUTHENTICATE by a bare LF, which is no end of a line: it is logged in to by
LOGIN, which takes no 8 bit. Users live in a domain per kind of TLS, so that
one Gatepost serves all three."""

import base64
import os
import time
import uuid

import pytest

from gatepost_test.courier import Courier
from gatepost_test.cyrus import Cyrus
from gatepost_test.dovecot import Dovecot
from gatepost_test.gatepost import routes_to
from gatepost_test.mailutils import Mailutils
from gatepost_test.wire import quoted

KINDS = ("none", "starttls", "implicit")
SECRETS = {"alice": "secret-alice",
           "quentin": 'a "quoted" back\\slash and spaces',
           "ulla": "p\u00e4ssw\u00f6rd"}
USERS = {f"{name}@{kind}.test": secret
         for kind in KINDS for name, secret in SECRETS.items()}
FAILED = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
OURS = {b"IMAP4rev1", b"SASL-IR", b"LITERAL-", b"ID", b"AUTH=PLAIN",
        b"AUTH=LOGIN"}
MISLEADING = (b"STARTTLS", b"LOGINDISABLED", b"AUTH=", b"UNAUTHENTICATE",
              b"LOGIN-REFERRALS", b"MAILBOX-REFERRALS")

SERVERS = {
    "dovecot": lambda leaf: Dovecot("dovecot", leaf, USERS),
    "cyrus": lambda leaf: Cyrus(leaf, USERS),
    "courier": lambda leaf: Courier(leaf, USERS),
    "mailutils": lambda leaf: Mailutils(leaf, USERS)}

each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module", params=SERVERS)
def server(request, leaf):
    """One of the four."""
    if request.param in ("cyrus", "courier") and os.getuid() != 0:
        pytest.skip(f"{request.param} becomes another user: needs root")
    one = SERVERS[request.param](leaf)
    yield one
    one.stop()


@pytest.fixture
def front(gatepost, server):
    """A Gatepost that finds the server by each kind of TLS."""
    backends = {}
    for kind in KINDS:
        port = server.tls_port if kind == "implicit" else server.plain_port
        backends[kind] = {"host": server.host, "port": port, "tls": kind}
        if kind != "none":
            backends[kind].update(tls_name="localhost", ca="ca.pem")
    return gatepost({
        "backends": backends,
        "pools": {kind: {"backends": [kind]} for kind in KINDS},
        "domains": {f"{kind}.test": kind for kind in KINDS}})


def in_base64(*parts):
    return base64.b64encode(b"\0".join(
        part.encode() if isinstance(part, str) else part for part in parts))


def log_in(front, kind, name="alice"):
    """(client, all lines of the reply)."""
    client = front.secure()
    user = f"{name}@{kind}.test"
    lines = client.command(b"LOGIN %s %s" % (quoted(user),
                                             quoted(USERS[user])))
    assert lines[-1].startswith(b"OK"), lines
    return client, lines


# -- the login ---------------------------------------------------------------

def by_login(client, user, password):
    return client.command(b"LOGIN %s %s" % (quoted(user),
                                            quoted(password)))[-1]


def by_login_with_literals(client, user, password):
    octets = password.encode()
    return client.command(b"LOGIN {%d+}\r\n%s {%d+}\r\n%s" % (
        len(user), user.encode(), len(octets), octets))[-1]


def by_plain(client, user, password):
    return client.command(b"AUTHENTICATE PLAIN " +
                          in_base64("", user, password))[-1]


def by_plain_in_steps(client, user, password):
    client.send(b"p AUTHENTICATE PLAIN\r\n")
    assert client.read_line() == b"+ \r\n"
    client.send(in_base64("", user, password) + b"\r\n")
    return client.read_reply("p")[-1][2:]


def by_auth_login(client, user, password):
    client.send(b"p AUTHENTICATE LOGIN\r\n")
    for part in (user, password):
        assert client.read_line().startswith(b"+ ")
        client.send(in_base64(part) + b"\r\n")
    return client.read_reply("p")[-1][2:]


WAYS = [by_login, by_login_with_literals, by_plain, by_plain_in_steps,
        by_auth_login]


@each_kind
def test_every_way_to_log_in_leads_to_the_mailbox(front, kind):
    for way in WAYS:
        client = front.secure()
        user = f"alice@{kind}.test"

        answer = way(client, user, USERS[user])

        assert answer.startswith(b"OK"), (way.__name__, answer)
        assert client.command("SELECT INBOX")[-1].startswith(b"OK")
        assert client.command("LOGOUT")[-1].startswith(b"OK")


@each_kind
@pytest.mark.parametrize("name", ["quentin", "ulla"])
def test_every_byte_of_a_password_reaches_the_server(
        front, server, kind, name):
    # 8 bit goes by AUTHENTICATE, whose OK imap4d ends by LF: not believed.
    is_lost = name == "ulla" and isinstance(server, Mailutils)
    ways = WAYS if name == "quentin" else WAYS[1:]  # RFC 3501, 9: no 8 bit
    for way in ways:
        client = front.secure()
        user = f"{name}@{kind}.test"

        answer = way(client, user, USERS[user])

        expected = b"NO [UNAVAILABLE]" if is_lost else b"OK"
        assert answer.startswith(expected), (way.__name__, answer)


def test_a_wrong_password_is_told_in_our_words_and_may_be_mended(front):
    """All three kinds side by side, since a server may take its time."""
    clients = {kind: front.secure() for kind in KINDS}

    for kind, client in clients.items():
        client.send(b"w LOGIN alice@%s.test wrong\r\n" % kind.encode())

    for kind, client in clients.items():
        assert client.read_reply("w", 20) == [b"w " + FAILED]
        user = f"alice@{kind}.test"
        assert by_login(client, user, USERS[user]).startswith(b"OK")


def test_a_user_whom_the_server_does_not_know_hears_the_same(front):
    clients = [front.secure() for _ in KINDS]

    for kind, client in zip(KINDS, clients):
        client.send(b"w AUTHENTICATE PLAIN %s\r\n" % in_base64(
            "", f"nobody@{kind}.test", "secret-alice"))

    for client in clients:
        assert client.read_reply("w", 20) == [b"w " + FAILED]


# -- capabilities ------------------------------------------------------------

def listed(line):
    """The capabilities in a line that has some, as a list."""
    start = line.index(b"CAPABILITY ") + len(b"CAPABILITY ")
    return line[start:].split(b"]")[0].split()


@each_kind
def test_capabilities_are_honest_before_and_after_the_login(front, kind):
    client = front.secure()
    told = [set(listed(client.greeting)),
            set(listed(client.command("CAPABILITY")[0]))]
    assert told[0] == told[1] == OURS

    user = f"alice@{kind}.test"
    lines = client.command(b"LOGIN %s %s" % (quoted(user),
                                             quoted(USERS[user])))

    lists = [listed(line) for line in lines if b"CAPABILITY " in line]
    assert len(lists) == 1, lines
    assert b"IMAP4rev1" in lists[0] and b"NAMESPACE" in lists[0]
    assert not [one for one in lists[0] if one.startswith(MISLEADING)]
    assert not [one for one in lists[0] if one.startswith(b"IMAP4rev2")]


def test_a_server_that_offers_referrals_is_told_of_once(front, server):
    """Dovecot offers them before the login, Cyrus after it."""
    for kind in KINDS * 2:
        log_in(front, kind)[0].command("LOGOUT")

    front.counters()  # so much later that the notes are in the log
    noted = [entry["backend"] for entry in front.log
             if entry["event"] == "backend-note"]
    offers = isinstance(server, (Dovecot, Cyrus))
    assert sorted(noted) == (sorted(KINDS) if offers else [])
    assert all("turn referrals off" in entry["hint"] for entry in front.log
               if entry["event"] == "backend-note")
    shown = front.wait_log(lambda entry: entry["event"] == "backend" and
                           entry["backend"] == "none")
    assert shown.get("notes") == ("offers-referrals" if offers else None)


@pytest.mark.parametrize("make", [
    lambda leaf: Dovecot("quiet", leaf, USERS, more="imap_capability = "
                         "IMAP4rev1 SASL-IR ID ENABLE IDLE NAMESPACE\n"),
    lambda leaf: Cyrus(leaf, USERS,
                       more="suppress_capabilities: MAILBOX-REFERRALS\n")],
    ids=["dovecot", "cyrus"])
def test_referrals_are_switched_off_as_the_hint_says(gatepost, leaf, make):
    one = make(leaf)
    try:
        front = gatepost(routes_to(one))
        log_in(front, "none")[0].command("LOGOUT")

        front.counters()  # so much later that notes are in the log
        assert "backend-note" not in [entry["event"] for entry in front.log]
    finally:
        one.stop()


@pytest.mark.threat("E6")
def test_e6_a_referral_of_dovecot_leads_nowhere(gatepost, leaf):
    """Its table of users says where carol is, and that she is not here."""
    shard = Dovecot("refers", leaf, {
        "carol@example.org": "secret-carol::::::nologin=y host=evil.test"})
    try:
        front = gatepost(routes_to(shard))
        client = front.secure()

        lines = client.command("LOGIN carol@example.org secret-carol")

        assert lines[-1].startswith(b"NO [UNAVAILABLE]"), lines
        assert b"evil" not in b"".join(lines)
        front.wait_log(lambda entry: "backend-referral" in str(entry))
    finally:
        shard.stop()


# -- the mailbox -------------------------------------------------------------

def message_of(mark):
    """A message with long lines, 8 bit and a line of a dot."""
    body = [b"." * 3, b".", b"p\xc3\xa4 \xff\xfe", b"x" * 900, b"a0 OK done",
            b"* BYE", b""] * 30
    return b"\r\n".join([b"From: a@example.org", b"Subject: " + mark, b"",
                         *body])


def append(client, message):
    """Puts it into the INBOX; the server asks for the octets."""
    client.send(b"l APPEND INBOX {%d}\r\n" % len(message))
    assert client.read_line().startswith(b"+")
    client.send(message + b"\r\n")
    lines = client.read_reply("l")
    assert lines[-1].startswith(b"l OK"), lines


def fetch_last(client):
    """The last message of the INBOX, byte for byte."""
    lines = client.command("SELECT INBOX")
    count = [line for line in lines if b" EXISTS" in line][0].split()[1]
    lines = client.command(b"FETCH %s BODY.PEEK[]" % count)
    line = [line for line in lines if b"BODY[]" in line][0]
    start, octets = line.split(b"\r\n", 1)
    return octets[:int(start[start.rindex(b"{") + 1:-1])]


@each_kind
def test_what_is_appended_is_fetched_byte_for_byte(front, kind):
    client = log_in(front, kind)[0]
    message = message_of(uuid.uuid4().hex.encode())

    append(client, message)

    assert fetch_last(client) == message
    assert fetch_last(log_in(front, kind)[0]) == message


@each_kind
def test_commands_pipelined_behind_the_login_are_answered_in_order(
        front, kind):
    client = front.secure()
    user = f"alice@{kind}.test"

    client.send(b"a LOGIN %s %s\r\nb SELECT INBOX\r\nc NOOP\r\nd LOGOUT\r\n" %
                (quoted(user), quoted(USERS[user])))

    tagged = [line for line in client.read_to_end().splitlines()
              if line[:2] in (b"a ", b"b ", b"c ", b"d ")]
    assert [line[:5] for line in tagged] == [b"a OK ", b"b OK ", b"c OK ",
                                             b"d OK "]


@each_kind
def test_idle_ends_when_the_client_says_so(front, kind):
    client, lines = log_in(front, kind)
    assert any(b"IDLE" in line for line in lines)
    client.command("SELECT INBOX")

    client.send(b"i IDLE\r\n")
    assert client.read_line().startswith(b"+")
    client.send(b"DONE\r\n")

    assert client.read_reply("i")[-1].startswith(b"i OK")


def test_a_new_message_is_told_to_who_idles(front, server):
    looks_when_asked = isinstance(server, Mailutils)
    client = log_in(front, "implicit")[0]
    client.command("SELECT INBOX")
    client.send(b"i IDLE\r\n")
    client.read_until(b"+")
    client.read_line()
    if looks_when_asked:
        time.sleep(1.1)  # it goes by the mailbox's time, in seconds

    append(log_in(front, "none")[0], b"Subject: for another\r\n\r\n")
    append(log_in(front, "implicit")[0], b"Subject: for us\r\n\r\n")

    if looks_when_asked:
        client.send(b"DONE\r\ni NOOP\r\n")
    assert b"EXISTS" in client.read_until(b"EXISTS\r\n", 20)
