"""Limits refuse politely, count rightly, and give back what they took."""

import time

import pytest

from gatepost_test.gatepost import STARTED, routes_to
from gatepost_test.network import own_network
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import WireTimeout


pytestmark = pytest.mark.threads


@pytest.fixture
def backend(fake_backend):
    return fake_backend(ImapServer(
        accept=lambda user, password: password != b"wrong"))


def is_refused(front, source=None, how="starttls"):
    """Whether a new connection hears BYE (or nothing) instead of OK."""
    client = front.connect(how, source=source)
    try:
        if how == "implicit":
            client.handshake()
        line = client.read_line(3)
    except (ConnectionError, OSError):
        return True
    finally:
        client.abandon()
    assert line.startswith((b"* OK", b"* BYE")), line
    return line.startswith(b"* BYE")


def eventually(condition, timeout=5):
    """Waits until the condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@pytest.mark.threat("G2")
@pytest.mark.parametrize("how", ["starttls", "implicit"])
def test_per_address(gatepost, backend, how):
    front = gatepost(routes_to(backend), limits={"per_address": 3})
    held = [front.secure() if how == "implicit" else front.connect(how)
            for _ in range(3)]
    for client in held:
        if how == "starttls":
            assert client.read_line().startswith(b"* OK")

    assert is_refused(front, how=how)
    assert not is_refused(front, "127.0.0.2", how)
    held.pop().reset()
    eventually(lambda: not is_refused(front, how=how))


@pytest.mark.threat("G2")
def test_exempt_networks_are_not_counted(gatepost, backend):
    front = gatepost(routes_to(backend), limits={
        "per_address": 1, "exempt": ["127.0.0.8/30"]})
    held = [front.connect("starttls", source="127.0.0.9")
            for _ in range(4)]

    assert all(one.read_line().startswith(b"* OK") for one in held)
    held.append(front.connect("starttls"))
    assert held[-1].read_line().startswith(b"* OK")
    assert is_refused(front)


def test_exempt_networks_have_no_limit_at_all(gatepost, fake_backend):
    """Many at once, as a webmail server is, and each limit at its least."""
    def take_time(*_):
        time.sleep(0.2)
        return True

    backend = fake_backend(ImapServer(accept=take_time))
    front = gatepost(routes_to(backend), workers=1, limits={
        "per_address": 1, "per_user": 1, "per_user_and_address": 1,
        "accept_rate": 1, "before_login": 1, "backend_logins": 1,
        "backend_queue": 0, "exempt": ["127.0.0.8/30"]})

    webmail = [front.secure(source="127.0.0.9") for _ in range(6)]
    for client in webmail:
        client.send(b"a LOGIN alice@x.org pw\r\n")
    for client in webmail:
        assert client.read_reply("a")[-1].startswith(b"a OK")

    other = front.secure()  # and counts for nobody else
    assert other.login("alice@x.org").startswith(b"OK")
    assert is_refused(front)
    time.sleep(1.1)  # a token of accept_rate
    another = front.secure(source="127.0.0.2")
    assert another.login("alice@x.org").startswith(b"NO [LIMIT]")


def test_per_user(gatepost, backend):
    front = gatepost(routes_to(backend), limits={"per_user": 2})
    held = [front.logged_in("Alice@x.org"), front.logged_in("alice@X.org")]

    client = front.secure()
    assert client.login("alice@x.org").startswith(b"NO [LIMIT]")
    assert backend.conversation(2).ended.wait(5)
    assert client.login("bob@x.org").startswith(b"OK")
    # Who does not know the password learns nothing of the limit.
    assert front.secure().login("alice@x.org", "wrong").startswith(
        b"NO [AUTHENTICATIONFAILED]")
    held.pop().reset()
    eventually(lambda: front.secure().login("alice@x.org").startswith(b"OK"))


def test_per_user_and_address(gatepost, backend):
    front = gatepost(routes_to(backend), limits={"per_user_and_address": 1})
    held = [front.logged_in("alice@x.org")]

    assert front.secure().login("alice@x.org").startswith(b"NO [LIMIT]")
    held.append(front.secure(source="127.0.0.2"))
    assert held[-1].login("alice@x.org").startswith(b"OK")
    held.append(front.secure())
    assert held[-1].login("bob@x.org").startswith(b"OK")


def test_a_failed_login_is_not_counted_against_the_user(gatepost, backend):
    front = gatepost(routes_to(backend), limits={"per_user": 1})

    for _ in range(4):
        assert front.secure().login("alice@x.org", "wrong").startswith(
            b"NO [AUTHENTICATIONFAILED]")

    assert front.secure().login("alice@x.org").startswith(b"OK")


def test_accept_rate(gatepost, backend):
    front = gatepost(routes_to(backend), limits={"accept_rate": 10})
    time.sleep(1.2)
    start = time.monotonic()

    answered = sum(not is_refused(front) for _ in range(60))
    lasted = time.monotonic() - start

    assert 5 <= answered <= 10 * (lasted + 1) + 2
    assert answered < 60 or lasted > 4
    time.sleep(1.2)
    assert not is_refused(front)


@pytest.mark.threat("G1")
def test_sessions(gatepost, backend):
    """Over the limit a client waits or hears BYE; room that comes free is
    used."""
    front = gatepost(routes_to(backend), limits={"sessions": 5}, workers=1)
    held = [front.logged_in(f"u{number}") for number in range(5)]
    one_more = front.connect("starttls")

    try:
        served = one_more.read_line(1).startswith(b"* OK")
    except (WireTimeout, ConnectionError):
        served = False
    assert not served
    for client in held:
        assert client.command("NOOP")[-1].startswith(b"OK")
    before = front.cpu()
    time.sleep(1)
    assert front.cpu() - before < 0.05
    for client in held:
        client.reset()
    eventually(lambda: not is_refused(front))


@pytest.mark.threat("G1")
def test_g1_few_descriptors_neither_spin_nor_reset(
        binary, backend, folder, settings, gatepost):
    """With 64 descriptors, 80 clients: some are served, nobody is reset,
    and all are served once the first have gone."""
    front = gatepost(routes_to(backend), workers=1, descriptors=64)
    clients = [front.connect("starttls") for _ in range(80)]
    time.sleep(0.5)
    before = front.cpu()
    time.sleep(1)

    assert front.cpu() - before < 0.1
    assert front.descriptors() <= 64
    served = refused = 0
    for client in clients:
        line = client.read_line(10)
        served += line.startswith(b"* OK")
        refused += line.startswith(b"* BYE")
        client.abandon()
    assert served > 10 and served + refused == 80
    assert not is_refused(front)


def test_the_soft_descriptor_limit_is_raised_and_logged(gatepost, backend):
    front = gatepost(routes_to(backend))
    with open(f"/proc/{front.pid}/limits", encoding="ascii") as limits:
        row = next(line for line in limits if "open files" in line).split()

    assert row[3] == row[4]
    started = front.wait_log(STARTED)
    assert 0 < started["sessions_max"] < int(row[4])


def test_line_and_literal_limits_of_the_settings(gatepost, backend):
    front = gatepost(routes_to(backend),
                     limits={"line": 1024, "literal": 1024})
    client = front.secure()

    client.send(b"a LOGIN u {1025}\r\n")
    assert not client.read_line().startswith(b"+")
    other = front.secure()
    other.send(b"a NOOP " + b"x" * 2000 + b"\r\n")
    assert b"BYE" in other.read_to_end(5)


def test_refused_connections_free_everything(gatepost, backend):
    front = gatepost(routes_to(backend), limits={"per_address": 1})
    held = front.secure()
    before = front.resting_descriptors()

    for _ in range(50):
        assert is_refused(front)

    front.wait_descriptors(before)
    assert held.command("NOOP")[-1].startswith(b"OK")


def test_ipv6_addresses_are_counted_per_64(
        gatepost, fake_backend, settings):
    here, beside, elsewhere = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2",
                               "2001:db8:0:2::1")
    with own_network(ipv6=[here, beside, elsewhere]):
        settings["listeners"][1]["address"] = "::1"
        front = gatepost(routes_to(fake_backend(ImapServer())),
                         limits={"per_address": 2})
        held = [front.connect("starttls", source=one)
                for one in (here, beside)]
        for client in held:
            assert client.read_line().startswith(b"* OK")

        assert is_refused(front, here)
        assert is_refused(front, beside)
        assert not is_refused(front, elsewhere)
