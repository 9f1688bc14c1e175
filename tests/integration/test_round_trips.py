"""What a login costs when its backend is far away, in round trips: each step
that is saved is seen as one less.

The relay counts how often Gatepost had to wait for the backend, the connecting
included, from the dial to the tagged OK. One test takes the time as well."""

import ssl
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer

FAR = 0.01   # seconds in each direction: 20 ms there and back
VERY = 0.05

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture
def far_backend(fake_backend, far_away, server_context):
    """far_backend(tls, version): (relay, backend), a server far away."""
    def make(tls, version="1.3", announce=True, delay=FAR):
        context = None
        if tls != "none":
            context = server_context()
            context.minimum_version = VERSIONS[version]
            context.maximum_version = VERSIONS[version]
        capability = b"IMAP4rev1 AUTH=PLAIN SASL-IR"
        if tls == "starttls":
            capability += b" STARTTLS"
        backend = fake_backend(
            ImapServer(capability, announce=announce,
                       tls=context if tls == "starttls" else None),
            tls=context if tls == "implicit" else None)
        return far_away(backend, delay), backend
    return make


def routes_far(relay, tls, **settings):
    if tls != "none":
        settings.update(tls_name="localhost", ca="ca.pem")
    return routes_to(relay, tls=tls, **settings)


def log_in(front):
    """One login, let go again; returns how long its answer took."""
    with front.secure() as client:
        since = time.monotonic()
        answer = client.command("LOGIN alice@example.org secret", 20)[-1]
        took = time.monotonic() - since
        assert answer.startswith(b"OK"), answer
        client.command("LOGOUT")
    return took


def round_trips_of_a_dial(front, relay):
    """Of a login that dials."""
    before = len(relay.connections)
    with front.logged_in():
        assert len(relay.connections) == before + 1
        return relay.connections[-1].round_trips()


def round_trips_of_a_warm_login(front, relay):
    """Of a login that takes one of the connections that are there."""
    front.wait_counters(warm_ready=2)
    before, since = list(relay.connections), relay.now()
    with front.logged_in():
        return sum(one.round_trips(since) for one in before)


@pytest.mark.parametrize("tls, version, expected", [
    # connecting (2, since the backend speaks first), login
    ("none", None, 3),
    # connecting, two of the handshake, of which the second brings the
    # greeting, login
    ("implicit", "1.3", 4),
    ("implicit", "1.2", 4),
    # connecting (2), STARTTLS, the handshake, its end with CAPABILITY, login
    ("starttls", "1.3", 6),
    # the handshake's second half brings nothing but its end
    ("starttls", "1.2", 7),
])
def test_a_login_that_dials(gatepost, far_backend, tls, version, expected):
    relay, _ = far_backend(tls, version)
    front = gatepost(routes_far(relay, tls))

    assert round_trips_of_a_dial(front, relay) == expected


@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_capabilities_in_the_greeting_save_one(gatepost, far_backend, tls):
    silent, _ = far_backend(tls, announce=False)
    telling, _ = far_backend(tls, announce=True)
    front = gatepost(routes_far(silent, tls))

    asked = round_trips_of_a_dial(front, silent)
    front.write_routes(routes_far(telling, tls))
    front.reload()

    assert round_trips_of_a_dial(front, telling) == asked - 1


@pytest.mark.parametrize("tls, version, saved", [
    # Where the client speaks first, it need not wait for the server's end
    # of the handshake any more.
    ("starttls", "1.2", 1),
    # The server greets when it has the client's end of the handshake, and
    # that has come one round trip after its own whether resumed or not.
    ("implicit", "1.2", 0),
    # Full or resumed, TLS 1.3 takes one.
    ("implicit", "1.3", 0),
    ("starttls", "1.3", 0),
])
def test_a_resumed_handshake(gatepost, far_backend, tls, version, saved):
    relay, backend = far_backend(tls, version)
    front = gatepost(routes_far(relay, tls))

    full = round_trips_of_a_dial(front, relay)
    resumed = round_trips_of_a_dial(front, relay)

    assert [one.is_resumed for one in backend.conversations] == [False, True]
    assert resumed == full - saved


@pytest.mark.parametrize("tls, version", [
    ("none", None), ("implicit", "1.2"), ("implicit", "1.3"),
    ("starttls", "1.2"), ("starttls", "1.3")])
def test_a_warm_connection_leaves_the_login_alone(
        gatepost, far_backend, tls, version):
    relay, _ = far_backend(tls, version, announce=False)
    front = gatepost(routes_far(relay, tls, warm=2), workers=1)

    assert round_trips_of_a_warm_login(front, relay) == 1
    assert round_trips_of_a_warm_login(front, relay) == 1


def test_the_time_is_that_of_the_round_trips(gatepost, far_backend):
    """Dialled, four take at least their time; warm, the best of some logins
    takes less than two, though both cores be busy."""
    relay, _ = far_backend("implicit", delay=VERY)
    front = gatepost(routes_far(relay, "implicit"), workers=1)
    dialled = min(log_in(front) for _ in range(3))
    front.write_routes(routes_far(relay, "implicit", warm=2))
    front.reload()

    warm = []
    while len(warm) < 10 and min(warm, default=1) >= 3 * VERY:
        front.wait_counters(warm_ready=2)
        warm.append(log_in(front))

    assert dialled >= 8 * VERY
    assert 2 * VERY <= min(warm) < 4 * VERY, warm
