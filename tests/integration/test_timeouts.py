"""Every timeout of the table is seen to act, on a clock that runs fast, and
not to act before its time."""

import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer, fixed

SCALE = 20  # a real second is 20


def measure(act, *errors):
    """Scaled seconds that `act` takes."""
    start = time.monotonic()
    try:
        act()
    except errors:
        pass
    return (time.monotonic() - start) * SCALE


@pytest.fixture
def fast(gatepost):
    """fast(routes, **settings): a Gatepost whose clock runs SCALE times."""
    def start(routes, **settings):
        return gatepost(routes, {"GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)},
                        **settings)
    return start


def test_handshake_20_s_by_default(fast, backend):
    front = fast(routes_to(backend))
    client = front.connect()
    client.send_raw(client.start_tls()[:50])
    client.tls = None

    assert 18 <= measure(lambda: client.read_to_end(5)) <= 28


def test_before_login_180_s_by_default(gatepost, backend):
    scale = 60
    front = gatepost(routes_to(backend),
                     {"GATEPOST_FAULT_CLOCK_SCALE": str(scale)})
    start = time.monotonic()
    client = front.connect("starttls")

    client.read_to_end(6)

    assert 175 <= (time.monotonic() - start) * scale <= 195


def test_before_login_ends_with_bye(fast, backend):
    front = fast(routes_to(backend), timeouts={"before_login": 20})

    assert front.secure().read_to_end(5).startswith(b"* BYE")


def test_connect(fast, blackhole):
    front = fast(routes_to(blackhole), timeouts={"connect": 20})
    client = front.secure()

    assert 18 <= measure(client.login) <= 30


def test_backend_tls(fast, fake_backend):
    backend = fake_backend(lambda one: one.stall())
    front = fast(routes_to(backend, tls="implicit"),
                 timeouts={"backend_tls": 20})
    client = front.secure()

    assert 18 <= measure(client.login) <= 30


def test_greeting(fast, fake_backend):
    backend = fake_backend(lambda one: one.stall())
    front = fast(routes_to(backend), timeouts={"greeting": 20})
    client = front.secure()

    assert 18 <= measure(client.login) <= 30


def test_login_reply(fast, fake_backend):
    backend = fake_backend(fixed(
        b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n", None))
    front = fast(routes_to(backend), timeouts={"login_reply": 20})
    client = front.secure()

    assert 18 <= measure(client.login) <= 30
    assert client.command("NOOP")[-1].startswith(b"OK")


def test_login_reply_waits_for_a_backend_that_delays_failures(
        fast, fake_backend):
    backend = fake_backend(ImapServer(
        accept=lambda *_: time.sleep(17 / SCALE) or True))
    front = fast(routes_to(backend))

    assert front.secure().login().startswith(b"OK")


def test_idle_is_off_by_default(gatepost, backend):
    front = gatepost(routes_to(backend),
                     {"GATEPOST_FAULT_CLOCK_SCALE": "2000"},
                     timeouts={"before_login": 7200, "handshake": 3600,
                               "connect": 3600, "greeting": 3600,
                               "login_reply": 3600})
    client = front.logged_in()

    time.sleep(2.5)  # 83 minutes

    assert client.command("NOOP")[-1].startswith(b"OK")


def test_idle_where_set_ends_a_silent_session_and_no_other(
        gatepost, backend):
    scale = 600
    front = gatepost(routes_to(backend),
                     {"GATEPOST_FAULT_CLOCK_SCALE": str(scale)},
                     timeouts={"idle": 1860, "before_login": 7200,
                               "handshake": 3600, "connect": 3600,
                               "greeting": 3600, "login_reply": 3600})
    silent = front.logged_in("u1")
    start = time.monotonic()
    busy = front.logged_in("u2")

    while time.monotonic() - start < 1860 / scale * 1.4:
        assert busy.command("NOOP")[-1].startswith(b"OK")
        time.sleep(0.1)
        if silent.ended is None and silent.read_quiet(0.001) == b"":
            if silent.ended:
                lasted = (time.monotonic() - start) * scale

    assert silent.ended
    assert 1800 <= lasted <= 2300
    assert front.session_end(user="u1")["reason"]


def test_half_closed_60_s_by_default(fast, fake_backend):
    backend = fake_backend(ImapServer(after=lambda one: (
        one.half_close(), one.stall())))
    front = fast(routes_to(backend))
    client = front.logged_in()
    client.read_to_end(1.5)
    before = front.resting_descriptors()

    lasted = measure(lambda: front.wait_descriptors(before - 1, 8))

    assert 20 <= lasted <= 75


def test_a_peer_that_never_closes_is_closed_after_the_bye(
        gatepost, backend):
    """Who is told BYE and stays is not kept (design, decision 8: 2 s)."""
    front = gatepost(routes_to(backend))
    client = front.secure()
    before = front.resting_descriptors()
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    client.read_until(b"\r\n")

    front.wait_descriptors(before - 1, 5)
