"""The fault matrix (row E13): what a backend may do, times what its client
does meanwhile, times the kinds of TLS on both legs. Each cell must have the
right answer, leave nothing behind, touch nobody else, and let the next login
in soon. Packets are dropped by the kernel, in a network of the test's own.

With -s each test prints its table; times are Gatepost's seconds."""

import itertools
import os
import threading
import time

import pytest

from gatepost_test import admin, procfs
from gatepost_test.backend import FakeBackend
from gatepost_test.faults import (ANSWER, CAPABILITY, CONNECT, GREETING,
                                  HELLO, LOGIN, SESSION, STARTTLS, Faulty,
                                  Holes)
from gatepost_test.gatepost import backend_entry
from gatepost_test.mortal import Mortal
from gatepost_test.network import own_network
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import WireEnded, quoted

SCALE = 20
PASSWORD = "secret-alice"
FRONTS, BACKS = ("implicit", "starttls"), ("none", "starttls", "implicit")
STAYS, LEAVES, RESETS = "stays", "leaves", "resets"
CLIENTS = (STAYS, LEAVES, RESETS)

# What Gatepost allows for a step, by default, from the login on.
LIMITS = {CONNECT: 5, HELLO: 10, GREETING: 30, STARTTLS: 30, CAPABILITY: 30,
          LOGIN: 60, ANSWER: 60}
# Who has left is waited for so long where a password is out; once logged in,
# a backend that says nothing to the end has so long.
VERDICT, HALF_CLOSED = 20, 60
# Two probes, five seconds apart, after one that still hangs.
NEXT_LOGIN = 25
# What the machine may take for a turn, whatever the clock of Gatepost.
SLACK = 2 * SCALE
# TCP asks after a peer by its own clock, which nothing scales.
KEEPALIVE = {"keepalive": {"idle": 1, "interval": 1, "count": 2},
             "user_timeout": 4}
TCP_GIVES_UP = 6 * SCALE

ROWS = ([("refuses", CONNECT)] +
        [("drops", step) for step in (CONNECT, HELLO, GREETING, STARTTLS,
                                      CAPABILITY, LOGIN, ANSWER, SESSION)] +
        [("resets", step) for step in (CONNECT, HELLO, GREETING, STARTTLS,
                                       CAPABILITY, LOGIN, ANSWER, SESSION)] +
        [("babbles", step) for step in (HELLO, GREETING, STARTTLS, CAPABILITY,
                                        LOGIN, ANSWER)] +
        [("drips", step) for step in (GREETING, CAPABILITY, LOGIN)])
# What the short form tries, in three cells each.
QUICK = [("refuses", CONNECT), ("drops", CONNECT), ("drops", HELLO),
         ("resets", CONNECT), ("resets", GREETING), ("resets", LOGIN),
         ("resets", SESSION), ("babbles", GREETING), ("babbles", LOGIN)]


def has_step(back, step):
    """Whether a dialogue with such a backend comes there."""
    return {HELLO: back != "none", STARTTLS: back == "starttls"}.get(step,
                                                                     True)


def probes_see(kind, step):
    """Dropped packets are those of the probes, too."""
    return kind == "drops" or step in (CONNECT, HELLO, GREETING, STARTTLS,
                                       CAPABILITY)


def lasts(kind, step, client):
    """At most so many seconds pass from the login to the answer, or to the
    end of a session whose client has gone."""
    if kind in ("refuses", "resets", "babbles"):
        return 0
    if step == SESSION:
        return {STAYS: TCP_GIVES_UP, LEAVES: HALF_CLOSED, RESETS: 0}[client]
    if client == STAYS:
        # Each reply has a time of its own.
        return LIMITS[step] * (3 if kind == "drips" else 1)
    return VERDICT if step in (LOGIN, ANSWER) else 0


class Lane:
    """One client with its own backend, user and address: a column of the
    matrix."""

    def __init__(self, number, front_tls, back_tls, client, faulty):
        self.name = f"b{number}"
        self.front_tls, self.back_tls = front_tls, back_tls
        self.client_kind, self.faulty = client, faulty
        self.user = f"{self.name}@example.org"
        self.source = f"127.0.1.{number + 1}"
        self.client = None

    def __str__(self):
        return f"{self.front_tls}/{self.back_tls}/{self.client_kind}"

    def connect(self, gate, timeout=30):
        how = gate.secure if self.front_tls == "implicit" else gate.starttls
        self.client = how(source=self.source, timeout=timeout)
        return self.client

    def meet(self, gate, kind, step):
        """Logs in and lives through the fault; fills `answer` and `took`."""
        self.answer, self.took, self.failure = b"", 0.0, None
        try:
            since = gate.mark()
            client = self.connect(gate)
            start = time.monotonic()
            client.send(b"a LOGIN %s %s\r\n" % (quoted(self.user),
                                                quoted(PASSWORD)))
            if self.client_kind == STAYS:
                self._stay(step)
            else:
                self._go(gate, step, since)
            self.took = (time.monotonic() - start) * SCALE
            if self.client_kind == STAYS and not self.has_session(step):
                assert client.command("NOOP")[-1].startswith(b"OK")
        except Exception as failure:
            self.failure = f"{type(failure).__name__}: {failure}"

    def has_session(self, step):
        return step == SESSION or self.answer.startswith(b"OK")

    def _read_answer(self):
        self.answer = self.client.read_reply("a")[-1][2:].strip()

    def _stay(self, step):
        self._read_answer()
        if step == SESSION:
            self.client.read_to_end()

    def _go(self, gate, step, since):
        if step == SESSION:
            self._read_answer()
        assert self.faulty.reached.wait(10), "nobody came so far"
        if self.client_kind == RESETS:
            self.client.reset()
        else:
            self.client.send_close_notify()
            self.client.abandon()
        gate.session_end(since, 30, peer="%s:%d" % self.client.local)

    def is_right(self, kind, step):
        """Why it is not; None where it is."""
        if self.failure:
            return self.failure
        wanted = b"NO [UNAVAILABLE]"
        if step == SESSION or (kind, step) == ("drips", LOGIN):
            wanted = b"OK"
        if ((self.client_kind == STAYS or step == SESSION) and
                not self.answer.startswith(wanted)):
            return f"answered {self.answer!r}"
        limit = lasts(kind, step, self.client_kind)
        if self.took > limit + SLACK:
            return f"took {self.took:.0f} s of {limit}"
        return None

    def asks_while_down(self, gate, step):
        """What a login hears once the backend was found down, at once."""
        if self.has_session(step):
            self.client.abandon()
            self.connect(gate)
        start = time.monotonic()
        answer = self.client.login(self.user, PASSWORD)
        took = (time.monotonic() - start) * SCALE
        if not answer.startswith(b"NO [UNAVAILABLE]") or took > SLACK:
            self.failure = f"while down {answer!r} after {took:.0f} s"

    def come_back(self, gate, step):
        """Mends the backend and logs in until it works; fills
        `next_login`."""
        try:
            self.faulty.mend()
            since = time.monotonic()
            deadline = since + (NEXT_LOGIN + SLACK) / SCALE
            if self.client_kind != STAYS or self.has_session(step):
                self.client.abandon()
                self.connect(gate)
            while not self._try(gate):
                assert time.monotonic() < deadline, "no login works again"
                time.sleep(0.02)
                self.client.abandon()
                self.connect(gate)
            self.next_login = (time.monotonic() - since) * SCALE
        except Exception as failure:
            self.failure = f"{type(failure).__name__}: {failure}"

    def _try(self, gate):
        return self.client.login(self.user, PASSWORD).startswith(b"OK")


class Others:
    """Users of a backend that is well, at work all the while: one who stays
    and one who keeps logging in. Remembers what took longest."""

    def __init__(self, gate):
        self.gate, self.slowest, self.failure = gate, 0.0, None
        self.client = self._log_in()
        self._stop = threading.Event()

    def _log_in(self):
        client = self.gate.secure(source="127.0.0.9")
        answer = client.login("other@example.org", PASSWORD)
        assert answer.startswith(b"OK"), answer
        return client

    def _work(self):
        try:
            while not self._stop.wait(0.02):
                start = time.monotonic()
                answer = self.client.command("NOOP")[-1]
                assert answer.startswith(b"OK"), answer
                self._log_in().abandon()
                self.slowest = max(self.slowest, time.monotonic() - start)
        except Exception as failure:
            self.failure = f"{type(failure).__name__}: {failure}"

    def __enter__(self):
        self.slowest = 0.0
        self._stop.clear()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        assert self.failure is None, f"others: {self.failure}"


def at_once(act, lanes, *arguments):
    """act(lane, ...) for all lanes, a thread each."""
    threads = [threading.Thread(target=act, args=(lane, *arguments))
               for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Matrix:
    """Gatepost in front of a backend per lane and a good one, and the table
    of what came of each row."""

    HEAD = (f"{'backend':9}{'at':12}{'client':8}{'TLS':>4}  {'answer':18}"
            f"{'after s':>10}  {'down':>6}{'next login s':>13}"
            f"{'left':>6}{'others ms':>11}")

    def __init__(self, gatepost, server_context):
        self.holes = Holes()
        self.lanes = [
            Lane(number, front, back, client,
                 Faulty(back, server_context(), self.holes, 1 / SCALE))
            for number, (front, back, client) in enumerate(
                itertools.product(FRONTS, BACKS, CLIENTS))]
        self.good = FakeBackend(ImapServer())
        self.gate = gatepost(
            self._routes(), {"GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)},
            timeouts=KEEPALIVE, auth={"delay_max": 15}, upstream={"health": {}},
            limits={"backend_logins": 100},
            admin={"socket": admin.SOCKET})
        self.socket = os.path.join(self.gate.folder, admin.SOCKET)
        self.others = Others(self.gate)
        self.wrong, self.lines = [], [self.HEAD]
        time.sleep(0.3)
        self.rest = min(self._count() for _ in range(20))

    def _count(self):
        time.sleep(0.01)
        return self.gate.descriptors()

    def _routes(self):
        entries = {"good": backend_entry(self.good)}
        users = {"other@example.org": "good"}
        for lane in self.lanes:
            trust = ({} if lane.back_tls == "none" else
                     {"ca": "ca.pem", "tls_name": "localhost"})
            entries[lane.name] = backend_entry(lane.faulty, tls=lane.back_tls,
                                               **trust)
            users[lane.user] = lane.name
        return {"backends": entries, "users": users,
                "pools": {name: {"backends": [name]} for name in entries}}

    def stop(self):
        for one in [self.good, *(lane.faulty for lane in self.lanes)]:
            one.stop()

    def lanes_with(self, step, client=None):
        """Those whose dialogue comes to this step, and of this client."""
        return [lane for lane in self.lanes if has_step(lane.back_tls, step)
                and client in (None, lane.client_kind)]

    def run(self, kind, step, lanes, finds_down):
        """One fault in all these lanes at once. With `finds_down` it lasts,
        for clients who stay, until probes have found it."""
        since = self.gate.mark()
        patient = [lane for lane in lanes if finds_down and
                   lane.client_kind == STAYS and probes_see(kind, step)]
        hasty = [lane for lane in lanes if lane not in patient]
        for lane in lanes:
            lane.faulty.break_down(kind, step)
        with self.others:
            at_once(Lane.meet, lanes, self.gate, kind, step)
            at_once(Lane.come_back, hasty, self.gate, step)
            self._find_down(patient, since, step)
            at_once(Lane.come_back, patient, self.gate, step)
        for lane in lanes:
            lane.client.abandon()
        left = self._left_behind(lanes)
        down = {one["backend"] for one in self.gate.log[since:]
                if one.get("event") == "backend-down"}
        for client in CLIENTS:
            mine = [lane for lane in lanes if lane.client_kind == client]
            if mine:
                self._note(kind, step, client, mine, left, down)

    def _find_down(self, lanes, since, step):
        for lane in lanes:
            self.gate.wait_log(
                lambda entry: (entry.get("event") == "backend-down" and
                               entry["backend"] == lane.name), since, 20)
        at_once(Lane.asks_while_down, lanes, self.gate, step)

    def _left_behind(self, lanes):
        """What is still held some seconds after all clients have gone. Probes
        come and go: what was seen free once is not left behind."""
        deadline, left = time.monotonic() + 10, self._leaks(lanes)
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            now = self._leaks(lanes)
            left = {name: min(count, now[name])
                    for name, count in left.items() if name in now}
        return left

    def _leaks(self, lanes):
        told = admin.metrics(self.socket)
        left = {}

        def note(name, value, wanted):
            if value != wanted:
                left[name] = value - wanted

        note("sessions", told["gatepost_sessions_open"], 1)
        note("before login", told["gatepost_sessions_before_login"], 0)
        note("descriptors", max(0, self.gate.descriptors() - self.rest), 0)
        for lane in lanes:
            for name in ("sessions", "logins", "logins_waiting"):
                label = '{backend="%s"}' % lane.name
                note(f"{lane.name} {name}",
                     told[f"gatepost_backend_{name}{label}"], 0)
            note(f"{lane.name} links",
                 procfs.links(self.gate.pid, lane.faulty.port), 0)
            route = admin.request(self.socket, f"/route?user={lane.user}")
            if route.json.get("home"):
                left[f"{lane.name} home"] = 1
        return left

    def _note(self, kind, step, client, lanes, left, down):
        wrong = [f"{kind} at {step}, {lane}: {why}" for lane in lanes
                 if (why := lane.is_right(kind, step))]
        if left:
            wrong.append(f"{kind} at {step}: left behind {left}")
        self.wrong += wrong
        answer = "-"
        if any(lane.answer for lane in lanes):
            answer = os.path.commonprefix(
                [lane.answer for lane in lanes]).decode()
        if step == SESSION:
            answer = "OK, then the end"
        found = sum(lane.name in down for lane in lanes)
        self.lines.append(
            f"{kind:9}{step:12}{client:8}{len(lanes):4}  {answer[:16]:18}"
            f"{spread(lane.took for lane in lanes):>10}  {found:6}"
            f"{spread(getattr(lane, 'next_login', 0) for lane in lanes):>13}"
            f"{sum(left.values()):6.0f}{self.others.slowest * 1000:11.0f}"
            f"{'  WRONG' if wrong else ''}")

    def check(self):
        """Prints the table; fails where a cell was wrong."""
        print("\n" + "\n".join(self.lines))
        counted = self.gate.counters()
        print(f"{counted['accepted']} connections, {counted['logins_ok']} "
              f"logins, {counted['logins_unavailable']} unavailable, "
              f"{counted['logins_delayed']} delayed, "
              f"{counted['dials']} dials, {counted['probes']} probes")
        assert not self.wrong, "\n".join(self.wrong)
        # A backend's fault is nobody's guess.
        assert counted["logins_delayed"] == counted["logins_failed"] == 0


def spread(values):
    values = sorted(values)
    least, most = f"{values[0]:.1f}", f"{values[-1]:.1f}"
    return most if least == most else f"{least}-{most}"


@pytest.fixture
def matrix(gatepost, server_context):
    with own_network():
        made = Matrix(gatepost, server_context)
        try:
            yield made
        finally:
            made.stop()


@pytest.mark.threat("E13")
def test_e13_the_fault_matrix_in_short(matrix):
    """Some faults, each with each client; the kinds of TLS take turns."""
    for turn, (kind, step) in enumerate(QUICK):
        choice = [matrix.lanes_with(step, client) for client in CLIENTS]
        lanes = [lanes[(turn + number) % len(lanes)]
                 for number, lanes in enumerate(choice)]
        matrix.run(kind, step, lanes, finds_down=kind == "refuses")

    matrix.check()


@pytest.mark.slow
@pytest.mark.limit(180)
@pytest.mark.threat("E13")
def test_e13_the_fault_matrix(matrix):
    for kind, step in ROWS:
        matrix.run(kind, step, matrix.lanes_with(step), finds_down=True)

    matrix.check()


class Crowd:
    """Clients who are logged in at a backend that dies; a third of them stays,
    a third leaves and a third resets in that moment."""

    def __init__(self, gate, front_tls, count):
        how = gate.secure if front_tls == "implicit" else gate.starttls
        self.clients = {kind: [] for kind in CLIENTS}
        self.took = {}
        for number in range(count):
            client = how(source=f"127.0.2.{number % 200 + 1}", timeout=30)
            answer = client.login(f"user{number}@example.org", PASSWORD)
            assert answer.startswith(b"OK"), answer
            self.clients[CLIENTS[number % 3]].append(client)

    def live_through(self, since):
        """Fills `took`: when the last of each kind was done with."""
        for client in self.clients[LEAVES]:
            client.abandon()
        self.took[LEAVES] = time.monotonic() - since
        for client in self.clients[RESETS]:
            client.reset()
        self.took[RESETS] = time.monotonic() - since
        for client in self.clients[STAYS]:
            assert client.read_to_end() == b""
            client.abandon()
        self.took[STAYS] = time.monotonic() - since


class Death:
    """Gatepost in front of a backend that can be killed and a good one."""

    HEAD = (f"{'TLS':18}{'sessions':>9}{'ended s':>9}{'all gone s':>12}"
            f"{'next login s':>14}{'left':>6}{'others ms':>11}")

    def __init__(self, gatepost, leaf, folder, front_tls, back_tls):
        self.front_tls, self.back_tls = front_tls, back_tls
        self.mortal = Mortal(back_tls, leaf.save(folder, "backend"))
        self.good = FakeBackend(ImapServer())
        trust = ({} if back_tls == "none" else
                 {"ca": "ca.pem", "tls_name": "localhost"})
        self.gate = gatepost(
            {"backends": {
                "mortal": backend_entry(self.mortal, tls=back_tls, **trust),
                "good": backend_entry(self.good)},
             "pools": {"p1": {"backends": ["mortal"]},
                       "p2": {"backends": ["good"]}},
             "users": {"other@example.org": "p2"}, "default": "p1"},
            {"GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)},
            upstream={"health": {}}, admin={"socket": admin.SOCKET})
        self.others = Others(self.gate)
        self.rest = self.gate.descriptors()

    def stop(self):
        self.good.stop()
        self.mortal.stop()

    def run(self, count):
        """One death with so many sessions; returns the table's line."""
        crowd = Crowd(self.gate, self.front_tls, count)
        with self.others:
            self.mortal.die()
            died = time.monotonic()
            crowd.live_through(died)
            self.gate.wait_counters(timeout=30, sessions_open=1)
            gone = time.monotonic() - died
            self.gate.wait_log("backend-down", timeout=20)
            self.mortal.live()
            next_login = self._come_back(time.monotonic())
        left = self._left()
        return (f"{self.front_tls + '/' + self.back_tls:18}{count:9}"
                f"{max(crowd.took.values()):9.2f}{gone:12.2f}"
                f"{next_login * SCALE:14.1f}{left:6}"
                f"{self.others.slowest * 1000:11.0f}"), left

    def _come_back(self, since):
        while True:
            with self.gate.secure() as client:
                if client.login("user0@example.org", PASSWORD)[:2] == b"OK":
                    return time.monotonic() - since
            assert time.monotonic() < since + (NEXT_LOGIN + SLACK) / SCALE
            time.sleep(0.02)

    def _left(self):
        """Links, descriptors and sessions that are still held."""
        deadline = time.monotonic() + 10
        while True:
            told = admin.metrics(os.path.join(self.gate.folder, admin.SOCKET))
            left = int(max(0, self.gate.descriptors() - self.rest) +
                       procfs.links(self.gate.pid, self.mortal.port) +
                       told['gatepost_backend_sessions{backend="mortal"}'] +
                       told["gatepost_sessions_before_login"])
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)


@pytest.mark.threads
@pytest.mark.threat("E13")
@pytest.mark.parametrize("front_tls, back_tls", [
    ("implicit", "implicit"),
    *(pytest.param(*kinds, marks=pytest.mark.slow) for kinds in (
        ("implicit", "none"), ("implicit", "starttls"), ("starttls", "none"),
        ("starttls", "starttls"), ("starttls", "implicit")))])
def test_e13_a_backend_dies_with_all_its_sessions(
        gatepost, leaf, folder, times, front_tls, back_tls):
    death = Death(gatepost, leaf, folder, front_tls, back_tls)
    try:
        line, left = death.run(times(45, 2000))
    finally:
        death.stop()

    print(f"\n{Death.HEAD}\n{line}")
    assert left == 0
