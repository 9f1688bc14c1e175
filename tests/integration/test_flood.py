"""Floods of connections (row G2): caps per address and of all, and whoever has
waited longest without a login makes room, whatever it waits for."""

import base64
import os
import sqlite3
import time

import pytest

from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.scripts import ImapServer, fixed

SCALE = 5
AGE = 1.1 / SCALE  # nobody who is younger has to go
GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n"
FLOODERS = [f"127.0.3.{number}" for number in range(1, 41)]
OWNER = "127.0.4.1"

pytestmark = pytest.mark.threat("G2")


@pytest.fixture
def front(gatepost):
    """front(routes, **settings): Gatepost on a clock that runs fast."""
    def start(routes, **settings):
        return gatepost(routes, {"GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)},
                        **settings)
    return start


def wait_turned_away(gate, count):
    deadline = time.monotonic() + 10
    while True:
        counted = gate.counters()
        if counted["refused_limit"] + counted["evicted"] >= count:
            return
        assert time.monotonic() < deadline, counted
        time.sleep(0.02)


def test_g2_a_flood_from_forty_addresses(front, fake_backend):
    """Each has its cap, all have one, and the owner logs in all the while."""
    backend = fake_backend(ImapServer())
    gate = front(routes_to(backend), limits={"per_address": 3,
                                             "before_login": 60})
    session = gate.logged_in(source=OWNER)
    held, answers = [], []
    for number, source in enumerate(FLOODERS * 5):
        held.append(gate.connect("starttls", source=source))
        if number < 60:  # one by one: a worker makes room among its own only
            answers.append(held[-1].read_line())
    answers += [client.read_line() for client in held[60:120]]

    # Three of each address came in, and were evicted by turns or are there.
    assert all(one.startswith((b"* OK", b"* BYE [UNAVAILABLE]"))
               for one in answers)
    wait_turned_away(gate, 140)
    assert gate.counters()["sessions_before_login"] <= 60
    time.sleep(AGE)
    for _ in range(3):
        mark = gate.mark()
        with gate.secure(source=OWNER) as client:
            assert client.login().startswith(b"OK")
        gate.session_end(mark, user="alice@example.org")  # a place is free
    assert session.command("NOOP")[-1].startswith(b"OK")


def test_g2_one_address_has_no_more_than_its_cap(front, fake_backend):
    """However fast it comes and goes."""
    gate = front(routes_to(fake_backend(ImapServer())),
                 limits={"per_address": 3})

    for _ in range(30):
        clients = [gate.connect("starttls", source=FLOODERS[0])
                   for _ in range(5)]
        heard = [client.read_line() for client in clients]
        assert sum(one.startswith(b"* OK") for one in heard) <= 3
        for client in clients:
            client.reset()

    gate.wait_counters(sessions_open=0)
    assert gate.connect("starttls", source=FLOODERS[0]).read_line().startswith(
        b"* OK")


class Holds:
    """Keeps one client waiting in a state, until it makes room for another."""

    def __init__(self, fake_backend, server_context, blackhole, folder):
        self.fake_backend, self.blackhole = fake_backend, blackhole
        self.folder, self.context = folder, server_context()

    def backend(self, state):
        """(whom to call, by which TLS)."""
        if state == "dial":
            return self.blackhole, "none"
        scripts = {
            "backend tls": lambda one: one.stall(),
            "backend greeting": lambda one: one.stall(),
            "backend starttls": fixed(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] "
                                      b"x\r\n", None),
            "login reply": fixed(GREETING, None),
            "refusal held back": ImapServer(accept=lambda *_: False)}
        tls = {"backend tls": "implicit", "backend starttls": "starttls"}
        return (self.fake_backend(scripts.get(state, ImapServer())),
                tls.get(state, "none"))

    def table(self, state):
        """The routing table."""
        backend, tls = self.backend(state)
        more = {} if tls == "none" else {"verify": "none"}
        routes = routes_to(backend, tls=tls, **more)
        if state == "lookup on disk":
            path = os.path.join(self.folder, "users.sqlite")
            self.lock = sqlite3.connect(path, isolation_level=None)
            self.lock.execute("CREATE TABLE users(user TEXT PRIMARY KEY, "
                              "pool TEXT NOT NULL, "
                              "hold INTEGER NOT NULL DEFAULT 0)")
            routes["users"] = {"file": "users.sqlite"}
        return routes


STATES = ["handshake", "half a command", "dial", "backend tls",
          "login reply", "lookup on disk", "refusal held back"]
MORE_STATES = ["secure", "half a sasl exchange", "backend greeting",
               "backend starttls"]


def reach(gate, state):
    if state == "handshake":
        client = gate.connect()
        client.send_raw(client.start_tls()[:100])
        client.tls = None
        return client
    client = gate.secure()
    if state == "half a command":
        client.send(b"a LOGIN u {5+}\r\nab")
    elif state == "half a sasl exchange":
        client.send(b"a AUTHENTICATE PLAIN\r\n" +
                    base64.b64encode(b"\0u\0p")[:4])
    elif state != "secure":
        client.send(b"a LOGIN alice@example.org wrong\r\n")
    return client


@pytest.mark.parametrize("state", STATES + [
    pytest.param(state, marks=pytest.mark.slow) for state in MORE_STATES])
def test_g2_the_oldest_goes_whatever_it_is_at(
        front, fake_backend, server_context, blackhole, folder, state):
    holds = Holds(fake_backend, server_context, blackhole, folder)
    gate = front(holds.table(state), workers=1, limits={"before_login": 1},
                 auth={"delay_max": 15 if state == "refusal held back" else 0})
    if state == "lookup on disk":
        holds.lock.execute("BEGIN EXCLUSIVE")
    if state == "refusal held back":
        with gate.secure() as first:
            first.login("alice@example.org", "another")
    gate.wait_counters(sessions_open=0)
    before = gate.resting_descriptors()
    oldest = reach(gate, state)
    gate.wait_counters(sessions_before_login=1)
    time.sleep(AGE)

    newcomer = gate.connect("starttls")

    assert newcomer.read_line().startswith(b"* OK")
    heard = oldest.read_to_end(5)
    assert heard == b"" or b"* BYE [UNAVAILABLE]" in heard
    assert gate.counters()["evicted"] == 1
    newcomer.abandon()
    oldest.abandon()
    if state == "lookup on disk":
        holds.lock.execute("COMMIT")
    gate.wait_counters(sessions_open=0)
    gate.wait_descriptors(before)
