"""The harness itself, where a fault would make other tests blind."""

import ssl

import pytest

from gatepost_test.scripts import ImapServer, echo
from gatepost_test.wire import WireClient, WireTimeout, trusting


def test_wire_client_speaks_tls_to_a_scripted_backend(
        fake_backend, server_context, authority):
    backend = fake_backend(ImapServer(after=echo), tls=server_context())

    with WireClient((backend.host, backend.port)) as client:
        client.handshake(trusting(authority), chunk=1)
        greeting = client.read_line()
        answer = client.login("u", 'p"\\')
        client.send(b"hello", chunk=1)

        assert greeting.endswith(b"ready\r\n")
        assert answer.startswith(b"OK [CAPABILITY")
        assert client.read_exact(5) == b"hello"
    assert backend.conversation().user == b"u"
    assert backend.conversation().password == b'p"\\'


def test_wire_client_refuses_a_certificate_of_another_name(
        fake_backend, server_context, authority):
    backend = fake_backend(ImapServer(), tls=server_context())

    with WireClient((backend.host, backend.port)) as client:
        with pytest.raises(ssl.SSLCertVerificationError):
            client.handshake(trusting(authority), "other.example.test")


def test_wire_client_fails_when_nothing_comes(fake_backend):
    backend = fake_backend(lambda conversation: conversation.stall())

    with WireClient((backend.host, backend.port)) as client:
        with pytest.raises(WireTimeout):
            client.read_line(timeout=0.2)


def test_dovecots_know_their_own_users_only(dovecots, authority):
    first, second = dovecots

    for shard, user, right in ((first, "alice", True), (first, "bob", False),
                               (second, "bob", True),
                               (second, "alice", False)):
        with WireClient((shard.host, shard.tls_port)) as client:
            client.handshake(trusting(authority))
            client.read_line()
            answer = client.login(f"{user}@example.org", f"secret-{user}")
            assert answer.startswith(b"OK") == right, answer
            if right:
                client.command("SELECT INBOX")
                lines = client.command("FETCH 1 BODY[HEADER.FIELDS "
                                       "(SUBJECT)]")
                assert shard.name.encode() in lines[0]
