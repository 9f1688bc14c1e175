"""Servers that cannot be had here, as a table of scripted dialogues: Microsoft
Exchange and Microsoft 365, Gmail, IceWarp, CommuniGate Pro, FirstClass and
Mirapoint. Each entry names what it was written from (`dialogues`)."""

import base64

import pytest

from gatepost_test.dialogues import (DIALOGUES, LOGIN, PASSWORD, PLAIN, TOKEN,
                                     Scripted)
from gatepost_test.gatepost import routes_to
from gatepost_test.wire import quoted

MISLEADING = (b"STARTTLS", b"LOGINDISABLED", b"AUTH=", b"UNAUTHENTICATE",
              b"LOGIN-REFERRALS", b"MAILBOX-REFERRALS", b"SASL-IR")

each_dialogue = pytest.mark.parametrize(
    "dialogue", DIALOGUES, ids=[one.name for one in DIALOGUES])


@pytest.fixture
def backend(fake_backend, server_context, dialogue):
    """The server of the dialogue."""
    context = server_context()
    return fake_backend(Scripted(dialogue, context),
                        tls=context if dialogue.tls == "implicit" else None)


@pytest.fixture
def front(gatepost, backend, dialogue):
    """A Gatepost that offers passwords and tokens in front of it."""
    name = ({} if dialogue.tls == "none"
            else {"tls_name": "localhost", "ca": "ca.pem"})
    return gatepost(
        routes_to(backend, tls=dialogue.tls, **name),
        auth={"mechanisms": ["PLAIN", "LOGIN", "XOAUTH2"], "delay_max": 0})


def token_of(dialogue):
    return f"user={dialogue.user}\1auth=Bearer {TOKEN}\1\1".encode()


def log_in(client, dialogue):
    """All lines of the reply, the tagged one without its tag."""
    if not dialogue.by_token:
        return client.command(b"LOGIN %s %s" % (quoted(dialogue.user),
                                                quoted(PASSWORD)))
    client.send(b"x AUTHENTICATE XOAUTH2 " +
                base64.b64encode(token_of(dialogue)) + b"\r\n")
    if dialogue.challenge:
        assert client.read_line() == b"+ " + dialogue.challenge + b"\r\n"
        client.send(b"\r\n")
    lines = client.read_reply("x")
    lines[-1] = lines[-1][2:]
    return lines


@each_dialogue
def test_the_client_hears_what_makes_it_do_the_right_thing(
        front, backend, dialogue):
    client = front.secure()

    lines = log_in(client, dialogue)

    assert lines[-1].startswith(dialogue.heard), lines
    if dialogue.heard == b"OK ":
        check_success(client, dialogue, lines)
    else:
        assert len(lines) == 1, lines
        assert client.command("NOOP")[-1].startswith(b"OK")
    check_what_was_sent(backend.conversations[-1], dialogue)


def check_success(client, dialogue, lines):
    """Its list, honest, in the OK, and untagged where the server did so."""
    lists = [line.partition(b"CAPABILITY ")[2].partition(b"]")[0].split()
             for line in lines if b"CAPABILITY " in line]
    honest = [one for one in dialogue.after.split()
              if not one.startswith(MISLEADING)]
    assert b"CAPABILITY " in lines[-1]
    assert all(told == honest for told in lists), lists
    assert len(lists) == 1 + dialogue.answer.count(b"* CAPABILITY")
    for command, says in dialogue.later:
        client.send(b"l " + command + b"\r\n")
        assert client.read_line() == says.replace(b"%t", b"l")


def check_what_was_sent(conversation, dialogue):
    assert (conversation.way or b"") == dialogue.way
    if dialogue.by_token:
        assert conversation.token == token_of(dialogue)
    elif dialogue.way:
        assert conversation.user == dialogue.user.encode()
        assert conversation.password == PASSWORD.encode()
    else:
        assert PASSWORD.encode() not in conversation.received


@each_dialogue
def test_every_dialogue_names_what_it_was_written_from(dialogue):
    assert dialogue.sources and all(len(one) > 20 for one in dialogue.sources)
    assert dialogue.way in (LOGIN, PLAIN, b"XOAUTH2", b"")
