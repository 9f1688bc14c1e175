"""Clients and backends that vanish at every state (row D7)."""

import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer, echo, fixed
from gatepost_test.wire import WireEnded

GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n"


def reach(front, state):
    """A client that has brought its session to the state."""
    if state == "accepted":
        return front.connect("starttls")
    if state == "greeted":
        client = front.connect("starttls")
        client.read_line()
        return client
    if state == "starttls":
        client = reach(front, "greeted")
        client.send(b"a STARTTLS\r\n")
        client.read_reply("a")
        return client
    if state == "half a hello":
        client = reach(front, "starttls")
        client.send_raw(client.start_tls()[:100])
        return client
    if state == "hello sent":
        client = front.connect()
        client.send_raw(client.start_tls())
        return client
    client = front.secure()
    if state == "half a command":
        client.send(b"a LOGIN u {5+}\r\nab")
    elif state == "half a sasl exchange":
        client.send(b"a AUTHENTICATE PLAIN\r\n")
        client.read_line()
        client.send(b"AGEA")
    elif state == "logged out":
        client.send(b"a LOGOUT\r\n")
    elif state != "secure":
        client.send(b"a LOGIN u p\r\nb NOOP\r\n")
    return client


BEFORE_LOGIN = ["accepted", "greeted", "starttls", "half a hello",
                "hello sent", "secure", "half a command",
                "half a sasl exchange", "logged out"]


def backend_for(state, fake_backend, blackhole):
    """(host and port of the backend, tls) that holds a login there."""
    if state == "dial":
        return blackhole, "none"
    scripts = {
        "backend tls": lambda one: one.stall(),
        "backend greeting": lambda one: one.stall(),
        "backend starttls": fixed(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] x"
                                  b"\r\n", None),
        "login reply": fixed(GREETING, None),
        "half a login reply": fixed(GREETING, None, b"a OK [CAPAB"),
        "capability": fixed(GREETING, None, b"a OK in\r\n", None),
        "login refused": ImapServer(accept=lambda *_: False),
        "spliced": ImapServer(after=echo),
        "backend gone": ImapServer(after=lambda one: None),
        "backend reset": ImapServer(after=lambda one: one.reset()),
        "backend half-closed": ImapServer(
            after=lambda one: (one.half_close(), one.stall())),
        "pouring": ImapServer(after=lambda one: [
            one.send(b"x" * 65536) for _ in range(1000)]),
    }
    tls = {"backend tls": "implicit", "backend starttls": "starttls"}
    return fake_backend(scripts[state]), tls.get(state, "none")


DURING_LOGIN = ["dial", "backend tls", "backend greeting",
                "backend starttls", "login reply", "half a login reply",
                "capability", "login refused", "spliced", "backend gone",
                "backend reset", "backend half-closed", "pouring"]

ENDINGS = {
    "reset": lambda client: client.reset(),
    "close": lambda client: client.abandon(),
    "half-close": lambda client: (client.half_close(notify=False),
                                  client.abandon()),
}


def cut_many(front, state, count):
    """Reaches the state and ends there, in every way and after a while of
    none to a few milliseconds."""
    for number in range(count):
        try:
            client = reach(front, state)
            if number % 4:
                time.sleep(0.001 * (number % 4))
            list(ENDINGS.values())[number % len(ENDINGS)](client)
        except (ConnectionError, WireEnded):
            pass


def serves(front):
    """Whether a new client is greeted and answered."""
    with front.secure() as client:
        return client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("D7", "C9")
@pytest.mark.parametrize("state", BEFORE_LOGIN)
def test_d7_clients_that_vanish_before_login_leave_nothing(
        gatepost, fake_backend, times, state):
    front = gatepost(routes_to(fake_backend(ImapServer())))
    front.secure().abandon()
    before = front.resting_descriptors()

    cut_many(front, state, times(60, 1000))

    front.wait_descriptors(before)
    assert serves(front)


@pytest.mark.threads
@pytest.mark.threat("D7")
@pytest.mark.parametrize("state", DURING_LOGIN)
def test_d7_clients_that_vanish_during_or_after_login_leave_nothing(
        gatepost, fake_backend, blackhole, times, state):
    backend, tls = backend_for(state, fake_backend, blackhole)
    front = gatepost(routes_to(backend, tls=tls),
                     timeouts={"half_closed": 2})
    front.secure().abandon()
    before = front.resting_descriptors()

    cut_many(front, state, times(60, 1000))

    front.wait_descriptors(before, 15)
    assert serves(front)


@pytest.mark.threat("D7")
@pytest.mark.parametrize("tls", ["none", "implicit", "starttls"])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_d7_backends_that_vanish_after_any_byte_leave_nothing(
        gatepost, fake_backend, server_context, times, tls, how):
    """The backend sends only so many bytes of its conversation."""
    context = server_context()
    left = [0]

    class Cut(Exception):
        """The budget is used up."""

    def limited(conversation):
        budget, send = [left[0]], conversation.send

        def send_some(octets):
            send(octets[:budget[0]])
            budget[0] -= len(octets)
            if budget[0] < 0:
                raise Cut

        conversation.send = send_some
        try:
            ImapServer(b"IMAP4rev1 STARTTLS AUTH=PLAIN", tls=context,
                       after=echo)(conversation)
        except Cut:
            if how == "reset" and tls == "none":
                conversation.reset()

    backend = fake_backend(limited,
                           tls=context if tls == "implicit" else None)
    front = gatepost(routes_to(backend, tls=tls, ca="ca.pem",
                               tls_name="localhost")
                     if tls != "none" else routes_to(backend),
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "50"},
                     timeouts={"handshake": 900, "before_login": 3600,
                               "connect": 300, "greeting": 900,
                               "backend_tls": 900, "login_reply": 900})
    front.secure().abandon()
    before = front.resting_descriptors()
    answers = set()

    for count in range(0, 160, times(5, 1)):
        left[0] = count
        with front.secure() as client:
            client.send(b"a LOGIN u p\r\n")
            answers.add(client.read_reply("a")[-1][:17])

    assert b"a NO [UNAVAILABLE" in answers
    front.wait_descriptors(before)
    assert serves(front)


@pytest.mark.threat("D7")
def test_d7_a_client_that_leaves_during_the_dial_frees_the_backend(
        gatepost, fake_backend):
    backend = fake_backend(lambda one: one.stall())
    front = gatepost(routes_to(backend))
    client = front.secure()
    client.send(b"a LOGIN u p\r\n")
    conversation = backend.conversation()

    client.reset()

    assert conversation.ended.wait(3)
