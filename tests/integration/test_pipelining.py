"""Whatever the split of the input, the transcript is the same (row C14)."""

import base64
import hashlib
import os
import threading

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer

PIPELINED = b"b SELECT INBOX\r\nc LOGOUT\r\n"
LOGINS = {
    "LOGIN": b"a LOGIN u right\r\n",
    "LOGIN with literals": b"a LOGIN {1+}\r\nu {5+}\r\nright\r\n",
    "AUTHENTICATE": b"a AUTHENTICATE PLAIN " +
                    base64.b64encode(b"\0u\0right") + b"\r\n",
}


@pytest.fixture
def backend(fake_backend):
    return fake_backend(ImapServer(
        accept=lambda user, password: password == b"right"))


@pytest.fixture
def front(gatepost, backend):
    return gatepost(routes_to(backend))


def transcript(client, pieces):
    """All that the client hears for these pieces, each a TLS record."""
    for piece in pieces:
        if piece:
            client.send(piece)
    return client.read_to_end(10)


@pytest.mark.threat("C14", "F1")
@pytest.mark.parametrize("kind", LOGINS)
def test_c14_split_anywhere_a_good_login_gives_one_transcript(
        front, backend, kind):
    octets = LOGINS[kind] + PIPELINED
    whole = transcript(front.secure(), [octets])

    assert b"a OK [CAPABILITY IMAP4rev1 IDLE X-BACKEND]" in whole
    assert b"b OK SELECT INBOX done" in whole and b"c OK" in whole
    for split in range(1, len(octets)):
        seen = transcript(front.secure(), [octets[:split], octets[split:]])
        assert seen == whole, split
    backend.wait_all_ended()
    for one in backend.conversations:
        assert bytes(one.received).endswith(PIPELINED)
        assert one.received.count(b"SELECT") == 1


@pytest.mark.threat("C14")
@pytest.mark.parametrize("kind", LOGINS)
def test_c14_split_anywhere_a_bad_login_gives_one_transcript(
        front, backend, kind):
    octets = LOGINS[kind].replace(b"right", b"wrong").replace(
        base64.b64encode(b"\0u\0right"), base64.b64encode(b"\0u\0wrong"))
    octets += PIPELINED
    whole = transcript(front.secure(), [octets])

    assert b"a NO [AUTHENTICATIONFAILED]" in whole
    assert b"b BAD" in whole and b"* BYE" in whole and b"c OK" in whole
    for split in range(1, len(octets)):
        seen = transcript(front.secure(), [octets[:split], octets[split:]])
        assert seen == whole, split
    backend.wait_all_ended()
    assert b"SELECT" not in backend.received


@pytest.mark.threat("C14")
def test_c14_a_second_login_pipelined_behind_a_bad_one_succeeds(
        front, backend):
    octets = b"a LOGIN u wrong\r\nb LOGIN v right\r\nc LOGOUT\r\n"
    whole = transcript(front.secure(), [octets])

    assert whole.index(b"a NO") < whole.index(b"b OK") < whole.index(b"c OK")
    for split in range(1, len(octets)):
        assert transcript(front.secure(),
                          [octets[:split], octets[split:]]) == whole


@pytest.mark.threat("C14")
def test_c14_byte_by_byte_gives_the_same_transcript(front):
    for octets in (b"a CAPABILITY\r\nb NOOP\r\nc FOO\r\nd ID NIL\r\n"
                   b"e LOGIN u wrong\r\nf LOGOUT\r\n",
                   b"a LOGIN {1+}\r\nu right\r\nb NOOP\r\nc LOGOUT\r\n",
                   b"a AUTHENTICATE PLAIN\r\n*\r\n%n NOOP\r\nb LOGOUT\r\n"):
        whole = transcript(front.secure(), [octets])
        single = transcript(front.secure(),
                            [bytes([octet]) for octet in octets])

        assert whole.endswith(b"\r\n") and b" OK" in whole
        assert single == whole


@pytest.mark.threat("C14")
@pytest.mark.parametrize("fault", [
    {"GATEPOST_FAULT_READ": "1"}, {"GATEPOST_FAULT_WRITE": "1"},
    {"GATEPOST_FAULT_READ": "1", "GATEPOST_FAULT_WRITE": "1"}])
def test_c14_single_byte_reads_and_writes_change_nothing(
        gatepost, backend, client_context, fault):
    front = gatepost(routes_to(backend), env=fault)
    octets = (b"a FOO\r\nb LOGIN u wrong\r\nc LOGIN {1}\r\nu {5+}\r\nright"
              b"\r\nd SELECT INBOX\r\ne LOGOUT\r\n")

    seen = transcript(front.secure(client_context), [octets])

    tags = [line.split(b" ", 1)[0] for line in seen.splitlines()
            if line[:1] not in b"*+"]
    assert tags == [b"a", b"b", b"c", b"d", b"e"], seen


@pytest.mark.threat("C14", "F2")
def test_c14_a_flood_behind_the_login_is_bounded_and_delivered(
        gatepost, fake_backend, sanitizer, times):
    """A client that sends megabytes before the backend answers."""
    answer = threading.Event()
    digest = []

    def slow(user, password):
        return answer.wait(30)

    def take(conversation):
        digest.append(hashlib.sha256(conversation.read_to_end()).digest())

    backend = fake_backend(ImapServer(accept=slow, after=take))
    front = gatepost(routes_to(backend))
    client = front.secure()
    octets = os.urandom(times(16, 64) << 20)
    before = front.rss()
    sender = threading.Thread(
        target=lambda: (client.send(b"a LOGIN u p\r\n"), client.send(octets)))
    sender.start()
    backend.conversation()
    sender.join(1.5)

    held = front.rss() - before
    blocked = sender.is_alive()
    answer.set()
    assert client.read_reply("a", 20)[-1].startswith(b"a OK")
    sender.join(20)
    client.half_close()
    client.read_to_end(20)
    backend.wait_all_ended()

    assert blocked, "nobody stopped reading"
    assert held < (16 if sanitizer else 2) << 20
    assert digest == [hashlib.sha256(octets).digest()]
