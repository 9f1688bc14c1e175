"""Bytes of one TLS backend that make Gatepost turn to another TLS backend,
in the same turn of its loop: a stranger can bring that about."""

import pytest

from gatepost_test.gatepost import backend_entry
from gatepost_test.scripts import ImapServer

ways = pytest.mark.parametrize("tls", ["implicit", "starttls"])
warmths = pytest.mark.parametrize("warm", [0, 2])


@pytest.fixture
def tls_backend(fake_backend, server_context):
    """tls_backend(tls, ...): a backend that speaks TLS one way or the other;
    `more` is what an ImapServer takes."""
    def make(tls, port=0, capability=b"IMAP4rev1 SASL-IR AUTH=PLAIN", **more):
        if tls == "implicit":
            return fake_backend(ImapServer(capability, **more),
                                tls=server_context(), port=port)
        return fake_backend(ImapServer(capability + b" STARTTLS",
                                       tls=server_context(), **more),
                            port=port)
    return make


def pool_of(backends, **settings):
    names = [f"b{number}" for number in range(len(backends))]
    return {"backends": {name: backend_entry(backend, tls_name="localhost",
                                             ca="ca.pem", **settings)
                         for name, backend in zip(names, backends)},
            "pools": {"p1": {"backends": names, "when_down": "next"}},
            "default": "p1"}


@ways
@warmths
@pytest.mark.threat("C14")
def test_c14_logins_pipelined_behind_refused_ones_are_answered(
        gatepost, tls_backend, tls, warm):
    backends = [tls_backend(tls, accept=lambda *_: False) for _ in range(2)]
    front = gatepost(pool_of(backends, tls=tls, warm=warm), workers=1)
    if warm:
        front.wait_counters(warm_ready=2 * warm)

    for user in range(8):
        with front.secure() as client:
            client.send(b"a LOGIN u%d x\r\nb LOGIN v%d y\r\nc LOGOUT\r\n" %
                        (user, user))
            heard = client.read_to_end(10)
        assert (heard.index(b"a NO [AUTHENTICATIONFAILED]") <
                heard.index(b"b NO [AUTHENTICATIONFAILED]") <
                heard.index(b"c OK")), heard

    assert all(backend.connects for backend in backends)


def bad_after_starttls(conversation, context, line):
    conversation.send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n")
    conversation.send(conversation.read_line().split()[0] + b" OK begin\r\n")
    conversation.start_tls(context)
    conversation.read_line()
    conversation.send(line)


@ways
@warmths
@pytest.mark.threat("E13")
@pytest.mark.parametrize("line", [b"* BYE busy\r\n", b"* PREAUTH hi\r\n",
                                  b"220 mail ESMTP\r\n"])
def test_e13_the_next_tls_backend_is_tried(
        gatepost, fake_backend, tls_backend, server_context, tls, warm, line):
    """What the first says under TLS ends the talk with it."""
    if tls == "implicit":
        dead = tls_backend(tls, greeting=line)
    else:
        context = server_context()
        dead = fake_backend(
            lambda conversation: bad_after_starttls(conversation, context,
                                                    line))
    alive = tls_backend(tls)
    front = gatepost(pool_of([dead, alive], tls=tls, warm=warm), workers=1)

    for user in range(12):
        client = front.logged_in(f"user{user}@example.org")
        assert client.command("NOOP")[-1].startswith(b"OK")

    assert alive.connects >= 12
    assert dead.connects, "no user was the dead backend's"


@ways
def test_warm_connections_to_a_tls_backend_come_back(
        gatepost, tls_backend, tls):
    backend = tls_backend(tls)
    front = gatepost(pool_of([backend], tls=tls, warm=3), workers=1,
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "10"},
                     timeouts={"greeting": 300, "backend_tls": 100,
                               "connect": 50, "handshake": 200,
                               "before_login": 1800})
    front.wait_counters(warm_ready=3)
    backend.refuse()
    for one in backend.conversations:
        one.reset()
    front.wait_log("backend-down")

    tls_backend(tls, port=backend.port)

    front.wait_counters(warm_ready=3, timeout=20)
    assert front.logged_in().command("NOOP")[-1].startswith(b"OK")
