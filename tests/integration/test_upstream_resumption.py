"""Resumed TLS towards backends (row E9): per backend, name and policy, and
verified again."""

import copy
import os
import signal
import socket
import ssl

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer

PASSWORD = "hunter2-never-in-clear"
NAME = "backend.example.test"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

pytestmark = pytest.mark.threat("E9")


@pytest.fixture
def backend_leaf(authority):
    return authority.issue(NAME)


@pytest.fixture
def tls_of(server_context, backend_leaf):
    """tls_of(version): a backend's context that speaks one version."""
    def make(version="1.3", leaf=backend_leaf):
        context = server_context(leaf)
        context.minimum_version = VERSIONS[version]
        context.maximum_version = VERSIONS[version]
        return context
    return make


def tls_routes(backend, tls="implicit", **settings):
    """Routes to a backend over TLS, verified by the tests' authority."""
    entry = {"tls": tls, "tls_name": NAME, "ca": "ca.pem"}
    entry.update(settings)
    return routes_to(backend, **entry)


def log_in(front):
    """One login and logout; returns the tagged answer."""
    with front.secure() as client:
        answer = client.command(f"LOGIN alice@example.org {PASSWORD}", 20)[-1]
        client.command("NOOP")
        client.command("LOGOUT")
    return answer


def assert_logs_in(front, times=1):
    for _ in range(times):
        answer = log_in(front)
        assert answer.startswith(b"OK"), answer


def resumed(backend):
    """For each connection whether its handshake was a resumed one."""
    return [one.is_resumed for one in backend.conversations]


def backend_handshakes(front):
    """(full, resumed) handshakes with backends as Gatepost counts them."""
    since = front.mark()
    front.signal(signal.SIGUSR1)
    counters = front.wait_log("counters", since)
    return (counters["backend_handshakes_full"],
            counters["backend_handshakes_resumed"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_all_logins_but_the_first_are_resumed(
        gatepost, fake_backend, tls_of, tls, version):
    if tls == "implicit":
        backend = fake_backend(ImapServer(), tls=tls_of(version))
    else:
        backend = fake_backend(ImapServer(
            b"IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR", tls=tls_of(version)))
    front = gatepost(tls_routes(backend, tls))

    assert_logs_in(front, times=6)

    assert resumed(backend) == [False] + [True] * 5
    assert backend_handshakes(front) == (1, 5)
    assert backend.conversation(5).password == PASSWORD.encode()


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_real_server_resumes(gatepost, dovecots, tls):
    shard = dovecots[0]
    routes = routes_to(shard, tls=tls, tls_name="localhost", ca="ca.pem")
    if tls == "implicit":
        routes["backends"]["b1"]["port"] = shard.tls_port
    front = gatepost(routes)

    for _ in range(4):
        with front.logged_in() as client:
            lines = client.command("STATUS INBOX (MESSAGES)")
            assert lines[-1].startswith(b"OK")
            client.command("LOGOUT")

    assert backend_handshakes(front) == (1, 3)


def test_unverified_backends_are_resumed(gatepost, fake_backend, tls_of):
    backend = fake_backend(ImapServer(), tls=tls_of())
    front = gatepost(routes_to(backend, tls="implicit", verify="none"))

    assert_logs_in(front, times=2)

    assert resumed(backend) == [False, True]


def test_a_client_certificate_is_resumed(gatepost, fake_backend, tls_of,
                                         authority, folder):
    context = tls_of()
    context.load_verify_locations(cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    mine = authority.issue("gatepost.example.test")
    mine.save(folder, "mine")
    backend = fake_backend(ImapServer(), tls=context)
    front = gatepost(tls_routes(backend, certificate="mine.pem",
                                key="mine.key"))

    assert_logs_in(front, times=2)

    assert resumed(backend) == [False, True]


def test_a_reload_keeps_sessions_of_what_is_as_it_was(
        gatepost, fake_backend, tls_of):
    backend = fake_backend(ImapServer(), tls=tls_of())
    front = gatepost(tls_routes(backend))
    assert_logs_in(front)

    front.reload()
    assert_logs_in(front)

    assert resumed(backend) == [False, True]


@pytest.mark.parametrize("change", ["verify", "name", "ca"])
def test_another_policy_resumes_nothing(gatepost, fake_backend, tls_of,
                                        authority, change):
    both = authority.issue(NAME, "second.example.test")
    backend = fake_backend(ImapServer(), tls=tls_of(leaf=both))
    routes = tls_routes(backend)
    front = gatepost(routes)
    assert_logs_in(front)
    changed = copy.deepcopy(routes)
    entry = changed["backends"]["b1"]
    if change == "verify":
        del entry["ca"]
        entry["verify"] = "none"
    elif change == "name":
        entry["tls_name"] = "second.example.test"
    else:
        with open(os.path.join(front.folder, "ca.pem"), "a") as bundle:
            bundle.write(type(authority)("one more").pem.decode())

    front.write_routes(changed)
    front.reload()
    assert_logs_in(front, times=2)

    assert resumed(backend) == [False, False, True]


def test_an_authority_taken_away_is_seen_in_spite_of_sessions(
        gatepost, fake_backend, tls_of, authority):
    backend = fake_backend(ImapServer(), tls=tls_of())
    front = gatepost(tls_routes(backend))
    assert_logs_in(front)

    type(authority)("another").save(front.folder)
    front.reload()

    assert log_in(front).startswith(b"NO [UNAVAILABLE]")
    assert backend.conversation(1).password is None


def test_a_certificate_that_changed_is_verified(
        gatepost, fake_backend, tls_of, authority):
    contexts = [tls_of(), tls_of(leaf=authority.issue("other.example.test")),
                tls_of()]

    def script(conversation):
        conversation.start_tls(
            contexts[min(backend.conversations.index(conversation), 2)])
        ImapServer()(conversation)

    backend = fake_backend(script)
    front = gatepost(tls_routes(backend))

    assert_logs_in(front)
    assert log_in(front).startswith(b"NO [UNAVAILABLE]")
    assert backend.conversation(1).password is None
    assert_logs_in(front, times=2)

    assert resumed(backend)[2:] == [False, True]


def offers_a_session(hello):
    """Whether the ClientHello, one record, has a pre_shared_key or a
    session_ticket that is not empty (RFC 8446, 4.2.11; RFC 5077, 3.2)."""
    at = 9 + 2 + 32              # headers, version, random
    at += 1 + hello[at]          # session id
    at += 2 + int.from_bytes(hello[at:at + 2], "big")  # suites
    at += 1 + hello[at] + 2      # compression, length of the extensions
    while at + 4 <= len(hello):
        kind = int.from_bytes(hello[at:at + 2], "big")
        length = int.from_bytes(hello[at + 2:at + 4], "big")
        if kind == 41 or (kind == 35 and length > 0):
            return True
        at += 4 + length
    return False


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", ["close", "garbage", "silence", "no greeting"])
def test_a_backend_that_chokes_on_a_session_is_dialled_without(
        gatepost, fake_backend, tls_of, version, way):
    context = tls_of(version)
    offered = []

    def script(conversation):
        hello = conversation.sock.recv(65536, socket.MSG_PEEK)
        offered.append(offers_a_session(hello))
        if offered[-1] and way == "garbage":
            conversation.send(b"* OK hi\r\n")
        if offered[-1] and way == "silence":
            conversation.linger()
        if offered[-1] and way != "no greeting":
            return
        conversation.start_tls(context)
        if not offered[-1]:
            ImapServer()(conversation)

    backend = fake_backend(script)
    front = gatepost(tls_routes(backend),
                     timeouts={"backend_tls": 2} if way == "silence" else {})
    assert_logs_in(front)

    assert log_in(front).startswith(b"NO [UNAVAILABLE]")
    assert_logs_in(front)

    assert offered == [False, True, False]


def test_a_backend_that_forgets_its_tickets_is_served_all_the_same(
        gatepost, fake_backend, tls_of):
    contexts = [tls_of() for _ in range(4)]

    def script(conversation):
        conversation.start_tls(
            contexts[backend.conversations.index(conversation)])
        ImapServer()(conversation)

    backend = fake_backend(script)
    front = gatepost(tls_routes(backend))

    assert_logs_in(front, times=4)

    assert resumed(backend) == [False] * 4
