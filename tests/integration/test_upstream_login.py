"""The login at the backend: what is sent, which answers count, and what the
client hears (rows D1, D6, E6, E10-E13, design "Failover" and "Answers to a
failed login")."""

import base64
import time

import pytest

from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.scripts import ImapServer, fixed

AUTH_PLAIN = b"IMAP4rev1 AUTH=PLAIN SASL-IR"
GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n"
FIXED = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"


def answering(*pieces, greeting=GREETING):
    """A script: greeting, reads the login, then says the pieces; `%t` in
    them is the tag of the login."""
    def script(conversation):
        conversation.send(greeting)
        tag = conversation.read_line().split()[0]
        for piece in pieces:
            conversation.send(piece.replace(b"%t", tag))
        conversation.after = conversation.read_to_end()
    return script


def login(front, user="alice@example.org", password="pw", timeout=20):
    """(client, all lines of the reply)."""
    client = front.secure()
    return client, client.command(f'LOGIN "{user}" "{password}"', timeout)


# -- what is sent ------------------------------------------------------------

SECRETS = [b"", b"a b", b'q"uo\\te', b"{5}", b"{5+}", b"*", b"%", b"(", b")",
           b"p\xc3\xa4ss", b"\xff\xfe", b"tab\there", b"x" * 2000, b"\\",
           b'"', b"[", b"]", b"~", b"\x7f", b"NIL", b"+", b"="]


@pytest.mark.threat("D1")
@pytest.mark.parametrize("capability", [
    b"IMAP4rev1 AUTH=PLAIN SASL-IR", b"IMAP4rev1 AUTH=PLAIN", b"IMAP4rev1",
    b"IMAP4rev1 LITERAL+", b"IMAP4rev1 LITERAL-"])
def test_d1_every_byte_of_a_password_arrives_as_it_was(
        gatepost, fake_backend, capability):
    backend = fake_backend(ImapServer(capability))
    front = gatepost(routes_to(backend))

    for number, secret in enumerate(SECRETS):
        client = front.secure()
        client.send(b"a LOGIN u {%d+}\r\n" % len(secret) + secret + b"\r\n")
        answer = client.read_reply("a")[-1]

        if secret == b"" and not answer.startswith(b"a OK"):
            assert answer.startswith((b"a NO", b"a BAD"))
            number -= 1
            continue
        assert answer.startswith(b"a OK"), (secret, answer)
        seen = backend.conversations[-1]
        assert seen.password == secret and seen.user == b"u"


@pytest.mark.threat("D1")
@pytest.mark.parametrize("capability", [AUTH_PLAIN, b"IMAP4rev1",
                                        b"IMAP4rev1 LITERAL+"])
@pytest.mark.parametrize("argument", ["user", "password"])
@pytest.mark.parametrize("octets", [
    b"u\r\nx NOOP\r\n", b"u\r\nx LOGOUT", b"u\nx NOOP", b"u\rx", b"u\0x"])
def test_d1_line_ends_in_a_credential_never_become_commands(
        gatepost, fake_backend, capability, argument, octets):
    backend = fake_backend(ImapServer(capability))
    front = gatepost(routes_to(backend))
    client = front.secure()
    user, password = ((octets, b"pw") if argument == "user"
                      else (b"u", octets))

    client.send(b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (
        len(user), user, len(password), password))
    answer = client.read_reply("a")[-1]

    if argument == "user" or b"\0" in octets:
        assert answer.startswith((b"a NO", b"a BAD"))
        assert backend.connects == 0
    else:
        assert answer.startswith((b"a NO", b"a BAD", b"a OK"))
        for one in backend.conversations:
            assert one.password == octets
    for one in backend.conversations:
        assert b"x NOOP" not in one.received.splitlines()[0]


@pytest.mark.threat("D6")
def test_d6_a_good_login_after_a_bad_one_uses_its_own_data(
        gatepost, fake_backend):
    backend = fake_backend(ImapServer(
        accept=lambda user, password: password == b"right"))
    front = gatepost(routes_to(backend))
    client = front.secure()

    first = client.login("alice-with-a-long-name@example.org",
                         "wrong-and-much-longer")
    second = client.login("bob@x.org", "right")

    assert first.startswith(b"NO [AUTHENTICATIONFAILED]")
    assert second.startswith(b"OK")
    last = backend.conversations[-1]
    assert (last.user, last.password) == (b"bob@x.org", b"right")
    assert backend.connects == 2
    assert b"alice" not in last.received and b"wrong" not in last.received
    assert backend.conversation().ended.wait(5)


@pytest.mark.threat("D6")
@pytest.mark.parametrize("first", [
    b"a AUTHENTICATE PLAIN\r\n*\r\n", b"a AUTHENTICATE PLAIN !!\r\n",
    b"a LOGIN onlyuser\r\n", b"a AUTHENTICATE LOGIN\r\nYWxpY2U=\r\n*\r\n"])
def test_d6_what_was_given_up_leaves_nothing_behind(
        gatepost, fake_backend, first):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend))
    client = front.secure()

    client.send(first)
    client.read_reply("a")
    answer = client.login("bob", "pw")

    assert answer.startswith(b"OK")
    assert backend.conversations[-1].user == b"bob"
    assert b"alice" not in backend.received


def test_login_as_sends_another_name(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    routes = routes_to(backend)
    routes["users"] = {"bob@example.org": {"pool": "p1",
                                           "login_as": "robert"}}
    routes["domains"] = {
        "*.example.net": {"pool": "p1", "login_as": "{local}"},
        "two.test": {"pool": "p1", "login_as": "{domain}/{local}"},
        "three.test": {"pool": "p1", "login_as": "{user}"}}
    front = gatepost(routes)

    for user, sent in (("Bob@Example.org", b"robert"),
                       ("Carl@mx.example.net", b"carl"),
                       ("Eve@Two.test", b"two.test/eve"),
                       ("Fay@Three.test", b"fay@three.test"),
                       ("Dora@Example.ORG", b"Dora@Example.ORG")):
        assert login(front, user)[1][-1].startswith(b"OK")
        assert backend.conversations[-1].user == sent


def test_login_as_never_drops_whom_a_client_asks_to_act_for(
        gatepost, fake_backend):
    """That is the user whose rule it is."""
    backend = fake_backend(ImapServer())
    routes = routes_to(backend)
    routes["default"] = {"pool": "p1", "login_as": "at-{local}"}
    front = gatepost(routes)
    message = base64.b64encode(b"carl@x.org\0bob@x.org\0pw").decode()

    answer = front.secure().command(f"AUTHENTICATE PLAIN {message}")[-1]

    assert answer.startswith(b"OK")
    assert backend.conversation().authzid == b"at-carl"
    assert backend.conversation().user == b"bob@x.org"
    assert backend.conversation().password == b"pw"


# -- capabilities -----------------------------------------------------------

@pytest.mark.parametrize("names", [("able", "literal", "bare"),
                                   ("bare", "literal", "able")])
def test_each_backends_own_capabilities_decide(
        gatepost, fake_backend, names):
    """One client, refused at each in turn, and let in at the last."""
    lists = {"able": b"IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+",
             "literal": b"IMAP4rev1 LITERAL+", "bare": b"IMAP4rev1"}
    backends = {name: fake_backend(ImapServer(
        lists[name], accept=lambda user, password: password == b'p"\t',
        reply=b"OK in", after=telling(b"X-" + name.encode())))
        for name in names}
    front = gatepost({
        "backends": {name: backend_entry(backends[name]) for name in names},
        "pools": {name: {"backends": [name]} for name in names},
        "domains": {f"{name}.test": name for name in names}},
        limits={"login_tries": 9})
    client = front.secure()

    def log_in(name, password):
        client.send(b"a LOGIN u@%s.test {%d+}\r\n%s\r\n" % (
            name.encode(), len(password), password))
        return client.read_reply("a")[-1]

    for name in names:
        assert log_in(name, b'w"\t').startswith(b"a NO")
    answer = log_in(names[-1], b'p"\t')

    assert answer.startswith(b"a OK [CAPABILITY IMAP4rev1 X-%s]" %
                             names[-1].encode()), answer
    heads = {"able": b"a AUTHENTICATE PLAIN ", "literal": b"a LOGIN ",
             "bare": b"a LOGIN "}
    for name in names:
        sent = bytes(backends[name].conversation().received)
        assert sent.startswith(heads[name]), sent
        assert (b"{3+}\r\n" in sent) == (name == "literal"), sent
        assert (b"{3}\r\n" in sent) == (name == "bare"), sent


def telling(word):
    """After the login: a list with the word in it, when asked."""
    def after(conversation):
        while True:
            tag = conversation.read_line().split()[0]
            conversation.send(b"* CAPABILITY IMAP4rev1 " + word + b"\r\n" +
                              tag + b" OK done\r\n")
    return after


def test_what_a_backend_could_is_not_believed_of_the_next(
        gatepost, fake_backend):
    """The first tells what it can and hangs up before the login."""
    def script(conversation):
        conversation.send(b"* OK hi\r\n")
        conversation.read_line()
        conversation.send(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN "
                          b"LITERAL+ ID\r\n")

    first, second = fake_backend(script), fake_backend(ImapServer(
        b"IMAP4rev1", announce=False))
    routes = two(first, second)
    for name, weight in (("b1", 1000), ("b2", 1)):
        routes["backends"][name].update(id=True, weight=weight)
    front = gatepost(routes)

    for number in range(8):
        answer = login(front, f"user{number}@x.org", "p\t")[1][-1]
        assert answer.startswith(b"OK"), answer

    assert first.connects > 0
    for one in second.conversations:
        assert b"AUTHENTICATE" not in one.received
        assert b"+}" not in one.received and b" ID " not in one.received


@pytest.mark.threat("E12")
def test_e12_a_code_with_the_ok_passes_once(gatepost, fake_backend):
    backend = fake_backend(ImapServer(
        reply=b"OK [CAPABILITY IMAP4rev1 X-ONE] hello there"))
    front = gatepost(routes_to(backend))

    lines = login(front)[1]

    assert lines == [b"OK [CAPABILITY IMAP4rev1 X-ONE] hello there\r\n"]


@pytest.mark.threat("E12")
@pytest.mark.parametrize("both", [False, True])
def test_e12_an_untagged_list_passes_once(gatepost, fake_backend, both):
    code = b"[CAPABILITY IMAP4rev1 X-TWO] " if both else b""
    backend = fake_backend(ImapServer(
        untagged=b"* CAPABILITY IMAP4rev1 X-TWO\r\n",
        reply=b"OK " + code + b"hello"))
    front = gatepost(routes_to(backend))

    lines = login(front)[1]

    text = b"".join(lines)
    assert b"X-TWO" in text and b"X-BACKEND" not in text
    assert text.count(b"* CAPABILITY") <= 1
    assert lines[-1].startswith(b"OK ")
    assert lines[-1].count(b"CAPABILITY") <= 1


@pytest.mark.threat("E12")
def test_e12_a_list_that_was_not_volunteered_is_asked_for(
        gatepost, fake_backend):
    asked = []

    def after(conversation):
        line = conversation.read_line()
        asked.append(line)
        tag = line.split()[0]
        conversation.send(b"* CAPABILITY IMAP4rev1 X-LATE\r\n" + tag +
                          b" OK done\r\n")
        conversation.read_to_end()

    backend = fake_backend(ImapServer(reply=b"OK hello", after=after))
    front = gatepost(routes_to(backend))
    client = front.secure()

    client.send(b"mine LOGIN u p\r\n")
    lines = client.read_reply("mine")

    assert lines[-1].startswith(b"mine OK [CAPABILITY IMAP4rev1 X-LATE]")
    assert b"CAPABILITY" in asked[0] and not asked[0].startswith(b"mine ")
    assert len(lines) == 1
    assert client.read_quiet(0.2) == b""


@pytest.mark.threat("E12")
def test_e12_pipelined_commands_wait_for_the_list(gatepost, fake_backend):
    """The list is asked for before what the client pipelined goes out."""
    lines = []

    def after(conversation):
        for _ in range(2):
            line = conversation.read_line()
            lines.append(line)
            tag = line.split()[0]
            if b"CAPABILITY" in line:
                conversation.send(b"* CAPABILITY IMAP4rev1 X-LATE\r\n")
            conversation.send(tag + b" OK done\r\n")
        conversation.read_to_end()

    backend = fake_backend(ImapServer(reply=b"OK hello", after=after))
    front = gatepost(routes_to(backend))
    client = front.secure()

    client.send(b"a LOGIN u p\r\nb SELECT INBOX\r\n")
    reply = client.read_reply("b")

    assert lines[1] == b"b SELECT INBOX\r\n"
    assert reply[0].startswith(b"a OK [CAPABILITY IMAP4rev1 X-LATE]")
    assert len(reply) == 2


def test_an_alert_during_the_login_reaches_the_client(
        gatepost, fake_backend):
    backend = fake_backend(ImapServer(
        untagged=b"* OK [ALERT] disk is full\r\n"))
    front = gatepost(routes_to(backend))

    lines = login(front)[1]

    assert b"* OK [ALERT] disk is full\r\n" in lines


def test_a_continuation_without_space_is_taken(gatepost, fake_backend):
    def script(conversation):
        conversation.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN "
                          b"LOGINDISABLED] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(b"+\r\n")
        conversation.read_line()
        conversation.send(tag + b" OK [CAPABILITY IMAP4rev1] in\r\n")
        conversation.read_to_end()

    front = gatepost(routes_to(fake_backend(script)))

    assert login(front)[1][-1].startswith(b"OK")


# -- answers to a failed login ----------------------------------------------

@pytest.mark.parametrize("reply, heard", [
    (b"%t NO [LIMIT] Too many.\r\n", b"NO [LIMIT] Too many.\r\n"),
    (b"%t NO [EXPIRED] Change it.\r\n", b"NO [EXPIRED] Change it.\r\n"),
    (b"%t NO [INUSE] Later.\r\n", b"NO [INUSE] Later.\r\n"),
    (b"%t NO [X-NEW 5] What.\r\n", b"NO [X-NEW 5] What.\r\n"),
    (b"%t NO [UNAVAILABLE] Down.\r\n", b"NO [UNAVAILABLE] Down.\r\n"),
    (b"%t NO [AUTHORIZATIONFAILED] No.\r\n",
     b"NO [AUTHORIZATIONFAILED] No.\r\n"),
    (b"%t NO [AUTHENTICATIONFAILED] No such user alice.\r\n", FIXED),
    (b"%t NO [authenticationfailed] x\r\n", FIXED),
    (b"%t NO No such user alice.\r\n", FIXED),
    (b"%t NO\r\n", FIXED)])
def test_answer_to_a_failed_login(gatepost, fake_backend, reply, heard):
    backend = fake_backend(answering(reply))
    front = gatepost(routes_to(backend))

    client, lines = login(front)

    assert lines == [heard]
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert client.ended is None


@pytest.mark.threat("E6")
@pytest.mark.parametrize("reply", [
    b"%t NO [REFERRAL imap://{0}/] go there\r\n",
    b"%t NO [referral imap://alice;AUTH=*@{0}/] go there\r\n",
    b"* BYE [REFERRAL imap://{0}/] go there\r\n",
    b"* NO [REFERRAL imap://{0}/] x\r\n%t NO [REFERRAL imap://{0}/] x\r\n"])
def test_e6_a_referral_is_neither_followed_nor_shown(
        gatepost, fake_backend, reply):
    elsewhere = fake_backend(ImapServer())
    reply = reply.replace(b"{0}", b"127.0.0.1:%d" % elsewhere.port)
    backend = fake_backend(answering(reply))
    front = gatepost(routes_to(backend))

    client, lines = login(front)

    assert lines[0].startswith(b"NO [UNAVAILABLE]") and len(lines) == 1
    assert b"127.0.0.1" not in lines[0] and b"there" not in lines[0]
    assert b"REFERRAL" not in lines[0].upper()
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert elsewhere.connects == 0


@pytest.mark.threat("E6")
@pytest.mark.parametrize("greeting", [True, False])
def test_e6_a_referral_beside_success_is_not_shown(
        gatepost, fake_backend, greeting):
    """RFC 2221, 4.2: in the greeting or in the tagged OK, as advice."""
    elsewhere = fake_backend(ImapServer())
    code = b"[REFERRAL imap://127.0.0.1:%d/] there" % elsewhere.port
    backend = fake_backend(
        ImapServer(greeting=b"* OK " + code + b"\r\n") if greeting
        else ImapServer(reply=b"OK " + code))
    front = gatepost(routes_to(backend))

    client, lines = login(front)

    assert lines[-1].startswith(b"OK")
    assert b"REFERRAL" not in b"".join(lines).upper()
    assert b"127.0.0.1" not in b"".join(lines)
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert elsewhere.connects == 0


@pytest.mark.threat("E6")
def test_e6_an_untagged_referral_is_not_shown(gatepost, fake_backend):
    backend = fake_backend(ImapServer(
        untagged=b"* OK [REFERRAL imap://evil.test/] x\r\n"))
    front = gatepost(routes_to(backend))

    assert b"evil" not in b"".join(login(front)[1])


@pytest.mark.parametrize("script", [
    answering(b"%t NO [PRIVACYREQUIRED] tls first\r\n"),
    answering(b"%t BAD what\r\n"),
    answering(b"", greeting=b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x"
                            b"\r\n")])
def test_a_fault_of_our_own_config_is_unavailable_and_an_error_in_the_log(
        gatepost, fake_backend, script):
    backend = fake_backend(script)
    front = gatepost(routes_to(backend))

    lines = login(front)[1]

    assert len(lines) == 1 and lines[0].startswith(b"NO [UNAVAILABLE]")
    assert b"tls first" not in lines[0] and b"what" not in lines[0]
    front.wait_log(lambda entry: entry["level"] == "error")


def test_the_original_of_an_uncoded_no_goes_to_the_log(
        gatepost, fake_backend):
    backend = fake_backend(answering(b"%t NO quota of shard 7 is odd\r\n"))
    front = gatepost(routes_to(backend))

    login(front)

    front.wait_log(lambda entry: "quota of shard 7 is odd" in str(entry))


@pytest.mark.parametrize("reply, heard", [
    (b"%t NO The account is not paid for.\r\n",
     b"NO The account is not paid for.\r\n"),
    (b"%t NO [AUTHENTICATIONFAILED] No such user alice.\r\n", FIXED),
    (b"%t NO [LIMIT] Too many.\r\n", b"NO [LIMIT] Too many.\r\n"),
    (b"%t NO\r\n", FIXED)])
def test_an_uncoded_no_passes_where_the_config_says_so(
        gatepost, fake_backend, reply, heard):
    front = gatepost(routes_to(fake_backend(answering(reply))),
                     auth={"uncoded_no": "pass"})

    assert login(front)[1] == [heard]


@pytest.mark.parametrize("rules, who", [
    ("users", "alice@example.org"), ("domains", "example.org"),
    ("domains", "*.org")])
def test_who_is_held_is_told_to_come_later(
        gatepost, fake_backend, rules, who):
    backend = fake_backend(ImapServer())
    routes = routes_to(backend)
    routes[rules] = {who: {"pool": "p1", "hold": True}}
    front = gatepost(routes)

    client, lines = login(front)

    assert len(lines) == 1 and lines[0].startswith(b"NO [UNAVAILABLE]")
    assert backend.connects == 0
    assert client.login("bob@example.net").startswith(b"OK")


@pytest.mark.parametrize("text", [
    b"x" * 3000, b"bell\x07 and \x1b[2J", b"8bit \xff\xfe"])
def test_a_coded_no_passes_printable_and_bounded(
        gatepost, fake_backend, text):
    backend = fake_backend(answering(b"%t NO [LIMIT] " + text + b"\r\n"))
    front = gatepost(routes_to(backend))

    line = login(front)[1][0]

    assert line.startswith(b"NO [LIMIT]") and line.endswith(b"\r\n")
    assert len(line) <= 600
    assert all(32 <= octet < 127 for octet in line[:-2])


def test_three_failed_tries_end_with_bye(gatepost, fake_backend):
    backend = fake_backend(ImapServer(accept=lambda *_: False))
    front = gatepost(routes_to(backend))
    client = front.secure()

    for _ in range(2):
        assert client.login() == FIXED
    client.send(b"z LOGIN u p\r\n")
    transcript = client.read_to_end(5)

    assert transcript.startswith(b"z " + FIXED)
    assert b"* BYE" in transcript
    assert backend.connects == 3


def test_unavailable_is_not_a_try(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    backend.refuse()
    front = gatepost(routes_to(backend))
    client = front.secure()

    for _ in range(6):
        assert client.login().startswith(b"NO [UNAVAILABLE]")

    assert client.command("NOOP")[-1].startswith(b"OK")


def test_no_rule_and_no_default_refuses_as_a_wrong_password(
        gatepost, fake_backend):
    backend = fake_backend(ImapServer(accept=lambda *_: False))
    routes = routes_to(backend)
    del routes["default"]
    routes["users"] = {"alice@example.org": "p1"}
    front = gatepost(routes)

    known = login(front, "alice@example.org")[1]
    unknown = login(front, "nobody@example.org")[1]

    assert known == unknown == [FIXED]
    assert backend.connects == 1


# -- what is no success -----------------------------------------------------

@pytest.mark.threat("E11")
@pytest.mark.parametrize("reply", [
    b"zz OK in\r\n", b"* OK in\r\n", b"OK in\r\n", b"%tx OK in\r\n",
    b"x%t OK in\r\n", b"%t OKAY in\r\n", b"%t BAD in\r\n", b"* BYE in\r\n",
    b"%t  OK in\r\n", b"%t PREAUTH in\r\n", b"+ OK in\r\n",
    b"* %t OK in\r\n", b"%t\r\n", b"\r\n", b"%t OK in", b"%t\tOK in\r\n",
    b"* BYE now\r\n%t OK in\r\n", b"%t OK in\n"])
def test_e11_only_our_tag_and_ok_begin_the_splice(
        gatepost, fake_backend, reply):
    """Each reply is followed by the end of the backend's input."""
    def script(conversation):
        conversation.send(GREETING)
        tag = conversation.read_line().split()[0]
        conversation.send(reply.replace(b"%t", tag))

    backend = fake_backend(script)
    front = gatepost(routes_to(backend), timeouts={"login_reply": 2})
    client = front.secure()

    client.send(b"a LOGIN u p\r\nb NOOP\r\n")
    lines = client.read_reply("b")

    assert lines[0].startswith(b"a NO [UNAVAILABLE]"), lines
    assert lines[-1].startswith(b"b OK")
    assert b"NOOP" not in backend.received


@pytest.mark.threat("E11")
def test_e11_the_end_of_input_is_no_success(gatepost, fake_backend):
    backend = fake_backend(answering())
    backend.script = lambda one: (one.send(GREETING), one.read_line())
    front = gatepost(routes_to(backend))

    assert login(front)[1][0].startswith(b"NO [UNAVAILABLE]")


# -- garbage ----------------------------------------------------------------

@pytest.mark.threat("E10")
@pytest.mark.parametrize("greeting", [
    b"", b"\r\n", b"garbage\r\n", b"\0\0\0\0\r\n", b"* BYE no\r\n",
    b"* NO no\r\n", b"220 smtp.example.test ESMTP\r\n", b"+OK POP3\r\n",
    b"* OK", b"*OK hi\r\n", b"* OK {5}\r\nhello\r\n",
    b"\x16\x03\x01\x02\x00", b"a OK hi\r\n", b"SSH-2.0-x\r\n",
    b"* OK [CAPABILITY " + b"A" * 9000 + b"] hi\r\n",
    b"HTTP/1.1 400 Bad\r\n\r\n", b"* PREAUTHX hi\r\n"])
def test_e10_a_bad_greeting_is_unavailable(gatepost, fake_backend, greeting):
    backend = fake_backend(fixed(greeting))
    front = gatepost(routes_to(backend), timeouts={"greeting": 1})

    client, lines = login(front)

    assert len(lines) == 1 and lines[0].startswith(b"NO [UNAVAILABLE]")
    assert b"AUTHENTICATE" not in backend.received
    assert b" LOGIN" not in backend.received
    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("E10")
@pytest.mark.parametrize("reply", [
    b"* X {9999999999}\r\n", b"%t OK {5}\r\nhello\r\n", b"* LIST {3}\r\nx",
    b"\xff" * 100 + b"\r\n", b"* OK " + b"x" * 9000 + b"\r\n",
    b"%t NO [LIMIT] " + b"x" * 9000 + b"\r\n", b"* \0\0\0\r\n" * 20000,
    b"* OK still\r\n" * 20000, b"+ more\r\n" * 5])
def test_e10_garbage_for_a_login_reply_is_unavailable(
        gatepost, fake_backend, reply):
    backend = fake_backend(answering(reply))
    front = gatepost(routes_to(backend), timeouts={"login_reply": 2})

    client, lines = login(front)

    assert lines[-1].startswith(b"NO [UNAVAILABLE]"), lines[-1][:80]
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert client.ended is None


@pytest.mark.threat("E10")
def test_e10_two_tagged_replies_are_one_and_data(gatepost, fake_backend):
    """After the tagged OK the backend's bytes are the user's own."""
    backend = fake_backend(answering(
        b"%t NO [LIMIT] first\r\n%t OK second\r\n"))
    front = gatepost(routes_to(backend))

    client, lines = login(front)

    assert lines == [b"NO [LIMIT] first\r\n"]
    assert client.read_quiet(0.3) == b""


@pytest.mark.threat("E10")
@pytest.mark.parametrize("phase", ["greeting", "reply"])
def test_e10_an_endless_line_is_cut_off(
        gatepost, fake_backend, sanitizer, phase):
    sent = []

    def script(conversation):
        if phase == "reply":
            conversation.send(GREETING)
            conversation.read_line()
        for _ in range(16384):  # 1 GB, if anybody takes it
            conversation.send(b"x" * 65536)
            sent.append(65536)

    backend = fake_backend(script)
    front = gatepost(routes_to(backend))
    before = front.rss()

    lines = login(front)[1]

    assert lines[0].startswith(b"NO [UNAVAILABLE]")
    assert backend.conversation().ended.wait(10)
    assert sum(sent) < 32 << 20
    assert front.rss() - before < (16 if sanitizer else 4) << 20


@pytest.mark.threat("E10")
@pytest.mark.parametrize("phase", ["greeting", "reply"])
def test_e10_a_byte_at_a_time_does_not_extend_the_deadline(
        gatepost, fake_backend, phase):
    def script(conversation):
        if phase == "reply":
            conversation.send(GREETING)
            conversation.read_line()
        conversation.send(b"* OK ")
        for _ in range(200):
            conversation.send(b"x")
            time.sleep(0.1)

    backend = fake_backend(script)
    front = gatepost(routes_to(backend),
                     timeouts={"greeting": 2, "login_reply": 2})
    start = time.monotonic()

    lines = login(front)[1]

    assert lines[0].startswith(b"NO [UNAVAILABLE]")
    assert 1.5 < time.monotonic() - start < 4


# -- dead backends and failover ---------------------------------------------

def two(first, second, when_down="next", balance="hash"):
    """routes.json with a pool of two."""
    return {"backends": {"b1": backend_entry(first),
                         "b2": backend_entry(second)},
            "pools": {"p1": {"backends": ["b1", "b2"],
                             "when_down": when_down, "balance": balance}},
            "default": "p1"}


@pytest.mark.threat("E13")
@pytest.mark.parametrize("fault", ["refused", "reset", "closed", "blackhole",
                                   "name", "silent"])
def test_e13_a_dead_backend_is_unavailable(
        gatepost, fake_backend, blackhole, fault):
    scripts = {"reset": lambda one: one.reset(),
               "closed": lambda one: None,
               "silent": lambda one: one.stall()}
    backend = fake_backend(scripts.get(fault, ImapServer()))
    routes = routes_to(blackhole if fault == "blackhole" else backend)
    if fault == "refused":
        backend.refuse()
    if fault == "name":
        routes["backends"]["b1"].update(
            host="no-such-host.invalid", allow_cleartext=True)
    front = gatepost(routes, timeouts={"connect": 1, "greeting": 1})
    start = time.monotonic()

    client, lines = login(front)

    assert len(lines) == 1 and lines[0].startswith(b"NO [UNAVAILABLE]")
    assert b"AUTHENTICATIONFAILED" not in lines[0]
    assert time.monotonic() - start < 4
    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("E13")
@pytest.mark.parametrize("fault", ["refused", "blackhole", "greeting bye",
                                   "greeting closed", "preauth"])
def test_e13_before_credentials_the_next_backend_is_tried(
        gatepost, fake_backend, blackhole, fault):
    scripts = {"greeting bye": fixed(b"* BYE down\r\n"),
               "greeting closed": lambda one: None,
               "preauth": fixed(b"* PREAUTH hi\r\n")}
    dead = fake_backend(scripts.get(fault, ImapServer()))
    if fault == "refused":
        dead.refuse()
    alive = fake_backend(ImapServer())
    front = gatepost(two(blackhole if fault == "blackhole" else dead, alive),
                     timeouts={"connect": 1})

    for number in range(12):
        answer = login(front, f"user{number}@example.org")[1][-1]
        assert answer.startswith(b"OK"), answer

    assert alive.connects == 12
    if fault not in ("refused", "blackhole"):
        assert dead.connects >= 1, "no user was the dead backend's"


@pytest.mark.threat("E13")
def test_e13_when_down_refuse_never_moves_a_user(gatepost, fake_backend):
    dead, alive = fake_backend(ImapServer()), fake_backend(ImapServer())
    dead.refuse()
    front = gatepost(two(dead, alive, "refuse"))

    answers = [login(front, f"user{number}@example.org")[1][-1]
               for number in range(24)]

    refused = sum(one.startswith(b"NO [UNAVAILABLE]") for one in answers)
    assert 0 < refused < 24
    assert alive.connects == 24 - refused


@pytest.mark.threat("E13")
@pytest.mark.parametrize("ending", [
    "closed", "reset", "bye", "garbage", "silent", "wrong tag"])
def test_e13_after_credentials_no_other_backend_is_tried(
        gatepost, fake_backend, ending):
    def script(conversation):
        conversation.send(GREETING)
        conversation.read_line()
        if ending == "reset":
            conversation.reset()
        elif ending == "silent":
            conversation.stall()
        elif ending != "closed":
            conversation.send({"bye": b"* BYE gone\r\n",
                               "garbage": b"\0\1\2\3\r\n",
                               "wrong tag": b"zz OK in\r\n"}[ending])
            conversation.read_to_end()

    first, second = fake_backend(script), fake_backend(script)
    front = gatepost(two(first, second), timeouts={"login_reply": 1})

    for number in range(3):
        lines = login(front, f"user{number}@example.org")[1]
        assert lines[-1].startswith(b"NO [UNAVAILABLE]"), lines
        assert first.connects + second.connects == number + 1


@pytest.mark.threat("E13")
@pytest.mark.parametrize("reply", [b"%t NO\r\n", b"%t NO [LIMIT] x\r\n",
                                   b"* BYE x\r\n"])
def test_e13_failed_logins_do_not_count_towards_health(
        gatepost, fake_backend, reply):
    backend = fake_backend(answering(reply))
    front = gatepost(routes_to(backend))

    for count in range(1, 9):
        login(front)
        assert backend.connects == count


@pytest.mark.threat("E13")
def test_e13_a_backend_that_comes_back_is_used_again(
        gatepost, fake_backend):
    dead = fake_backend(ImapServer())
    dead.refuse()
    front = gatepost(routes_to(dead), env={"GATEPOST_FAULT_CLOCK_SCALE": "20"})
    for _ in range(4):
        assert login(front)[1][-1].startswith(b"NO [UNAVAILABLE]")

    fake_backend(ImapServer(), port=dead.port)
    deadline = time.monotonic() + 5
    answer = b""
    while time.monotonic() < deadline and not answer.startswith(b"OK"):
        answer = login(front)[1][-1]
        time.sleep(0.05)

    assert answer.startswith(b"OK")


def test_weight_zero_is_chosen_for_nobody(gatepost, fake_backend):
    idle, busy = fake_backend(ImapServer()), fake_backend(ImapServer())
    routes = two(idle, busy)
    routes["backends"]["b1"]["weight"] = 0
    front = gatepost(routes)

    for number in range(16):
        assert login(front, f"user{number}@x.org")[1][-1].startswith(b"OK")

    assert idle.connects == 0


@pytest.mark.threads
def test_least_sessions_levels_the_load(gatepost, fake_backend):
    backends = [fake_backend(ImapServer()), fake_backend(ImapServer())]
    front = gatepost(two(*backends, balance="least-sessions"))

    clients = [login(front, f"user{number}@x.org")[0]
               for number in range(12)]

    assert [one.connects for one in backends] == [6, 6]
    for client in clients:
        client.abandon()


def test_a_user_of_a_hash_pool_always_reaches_one_backend(
        gatepost, fake_backend):
    backends = [fake_backend(ImapServer()), fake_backend(ImapServer())]
    front = gatepost(two(*backends))

    for user in (f"user{number}@example.org" for number in range(6)):
        before = [one.connects for one in backends]
        for _ in range(3):
            login(front, user)[0].abandon()
        grown = sorted(one.connects - was
                       for one, was in zip(backends, before))
        assert grown == [0, 3]


def test_both_address_families_of_a_name_are_tried(gatepost, fake_backend):
    """localhost is ::1 and 127.0.0.1; the backend has only one of them."""
    backend = fake_backend(ImapServer())
    routes = routes_to(backend)
    routes["backends"]["b1"]["host"] = "localhost"
    front = gatepost(routes)

    for _ in range(4):
        assert login(front)[1][-1].startswith(b"OK")
