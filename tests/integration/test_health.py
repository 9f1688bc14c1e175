"""Probes of backends: "upstream.health", and "probe" of routes.json. Time
runs SCALE times as fast."""

import itertools
import os
import signal
import time

import pytest

from gatepost_test.dovecot import Dovecot
from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.proxy_protocol import Proxied
from gatepost_test.scripts import ImapServer, sink

SCALE = 40
INTERVAL, FALL, RISE = 8, 3, 2
ALICE = "LOGIN alice@example.org secret-alice"
DATABASE_DEAD = b"NO [UNAVAILABLE] internal error"

pytestmark = pytest.mark.threads


class Recorder(ImapServer):
    """A small IMAP server that notes when it was called."""

    def __init__(self, **knobs):
        super().__init__(**knobs)
        self.calls = []

    def __call__(self, conversation):
        self.calls.append(time.monotonic())
        super().__call__(conversation)


@pytest.fixture
def probing(gatepost):
    """probing(routes, interval=...): Gatepost that probes."""
    def start(routes, workers=2, timeouts=None, scale=SCALE, **health):
        rules = {"interval": INTERVAL, "timeout": 60, "rise": RISE,
                 "fall": FALL}
        return gatepost(routes, {"GATEPOST_FAULT_CLOCK_SCALE": str(scale)},
                        workers=workers, timeouts=timeouts or {},
                        log={"format": "json", "level": "debug"},
                        upstream={"health": {**rules, **health}})
    return start


@pytest.fixture
def probe_user(folder):
    """A probe user for routes.json, whose secret is in a file."""
    path = os.path.join(folder, "probe-secret")
    with open(path, "w", opener=lambda name, flags: os.open(
            name, flags, 0o600)) as out:
        out.write("let-me-see\n")
    return {"user": "probe@example.org", "secret": "probe-secret"}


def intervals(count):
    """So many intervals in real seconds."""
    return count * INTERVAL / SCALE


def state_of(front, name="b1"):
    """The last word of the log on this backend."""
    since = front.mark()
    front.signal(signal.SIGUSR1)
    return front.wait_log(lambda entry: entry.get("event") == "backend" and
                          entry["backend"] == name, since)


def wait_probes(front, count, name="b1", timeout=20):
    """Waits until the backend was probed so often; returns its line."""
    deadline = time.monotonic() + timeout
    state = state_of(front, name)
    while state["probes"] < count:
        assert time.monotonic() < deadline, state
        time.sleep(0.02)
        state = state_of(front, name)
    return state


def log_in(front, command=ALICE):
    with front.secure() as client:
        return client.command(command, 20)[-1]


def test_a_probe_asks_for_the_capabilities_and_leaves(probing, fake_backend):
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend))

    wait_probes(front, 3)

    first = backend.conversation(0)
    assert first.ended.wait(10)
    assert first.received == b"G2 CAPABILITY\r\nG4 LOGOUT\r\n"
    counted = front.counters()
    assert counted["probes"] >= 3
    assert counted["probe_failures"] == counted["dials"] == 0
    assert counted["logins_ok"] == counted["sessions_open"] == 0


def test_it_probes_by_default(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend),
                     {"GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)},
                     upstream={"health": {}})

    wait_probes(front, 2)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_probe_goes_through_tls(probing, fake_backend, server_context, tls):
    knobs = {"tls": server_context()} if tls == "starttls" else {}
    backend = fake_backend(
        ImapServer(**knobs),
        tls=server_context() if tls == "implicit" else None)
    front = probing(routes_to(backend, tls=tls, ca="ca.pem"))

    state = wait_probes(front, 3)

    assert state["state"] == "up" and state["probe_failures"] == 0
    first = backend.conversation(0)
    assert first.ended.wait(10)
    assert first.received.endswith(b"G2 CAPABILITY\r\nG4 LOGOUT\r\n")


def test_a_certificate_that_is_no_good_takes_it_down(
        probing, fake_backend, server_context):
    backend = fake_backend(ImapServer(), tls=server_context())
    front = probing(routes_to(backend, tls="implicit", ca="ca.pem",
                              tls_name="other.example.test"))

    down = front.wait_log("backend-down")

    assert down["reason"].startswith("TLS")


@pytest.mark.threat("E13")
def test_e13_a_death_is_found_before_any_login(probing, fake_backend):
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend))
    wait_probes(front, 1)

    backend.refuse()
    died = time.monotonic()
    down = front.wait_log("backend-down")
    took = time.monotonic() - died

    assert "refused" in down["reason"]
    assert took < intervals(FALL) + 1
    client = front.secure()
    since = front.mark()
    assert client.command(ALICE, 20)[-1].startswith(b"NO [UNAVAILABLE]")
    assert front.wait_log("login-failed", since)["reason"] == "no-backend-up"
    assert front.counters()["dials"] == 0
    state = state_of(front)
    assert state["state"] == "down" and state["reason"] == down["reason"]


@pytest.mark.threat("E13")
def test_e13_a_return_is_found_before_any_login(probing, fake_backend):
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend))
    backend.refuse()
    front.wait_log("backend-down")

    again = fake_backend(ImapServer(), port=backend.port)
    front.wait_log("backend-up")

    assert again.connects >= RISE
    assert front.counters()["dials"] == 0
    assert log_in(front).startswith(b"OK")


def test_no_login_is_let_through_while_probes_look(probing, fake_backend):
    """Without probes one login in five seconds would be."""
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend))
    backend.refuse()
    front.wait_log("backend-down")
    client = front.secure()

    for _ in range(4):
        time.sleep(6 / SCALE)
        assert client.command(ALICE, 20)[-1].startswith(b"NO [UNAVAILABLE]")

    assert front.counters()["dials"] == 0


def test_one_that_hangs_goes_down(probing, fake_backend):
    backend = fake_backend(lambda conversation: conversation.stall())
    front = probing(routes_to(backend), timeout=4)

    down = front.wait_log("backend-down")

    assert down["reason"] == "probe: dial: timeout"
    assert backend.connects >= FALL


def test_one_that_answers_no_connect_goes_down(probing, blackhole):
    front = probing(routes_to(blackhole), timeout=4)

    assert "timeout" in front.wait_log("backend-down")["reason"]


def test_failed_logins_connections_count_too(probing, fake_backend):
    backend = fake_backend(lambda conversation: conversation.reset())
    front = probing(routes_to(backend), scale=1, interval=3600, fall=2)
    client = front.secure()

    for _ in range(2):
        assert client.command(ALICE, 20)[-1].startswith(b"NO [UNAVAILABLE]")

    front.wait_log("backend-down")
    assert state_of(front)["probe_failures"] == 0


def test_a_probe_user_logs_in(probing, fake_backend, probe_user):
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend, probe=probe_user))

    state = wait_probes(front, 3)

    first = backend.conversation(0)
    assert first.ended.wait(10)
    assert (first.user, first.password) == (b"probe@example.org",
                                            b"let-me-see")
    assert first.received.endswith(b"G4 LOGOUT\r\n")
    assert state["state"] == "up" and state["sessions"] == 0
    counted = front.counters()
    assert counted["logins_ok"] == counted["logins_failed"] == 0
    assert "let-me-see" not in front.stderr


@pytest.mark.parametrize("refusal", [DATABASE_DEAD, b"NO try later",
                                     b"BAD what"])
def test_a_dead_user_database_is_found_by_a_login(
        probing, fake_backend, probe_user, refusal):
    backend = fake_backend(ImapServer(accept=lambda *_: False,
                                      refusal=refusal))
    front = probing(routes_to(backend, probe=probe_user))

    down = front.wait_log("backend-down")

    assert down["reason"].startswith("probe: login: backend-")


def test_a_login_that_hangs_takes_it_down(probing, fake_backend, probe_user):
    def script(conversation):
        conversation.send(serve.greeting)
        while b"AUTHENTICATE" not in conversation.read_line():
            conversation.send(b"* CAPABILITY " + serve.capability +
                              b"\r\nG2 OK done\r\n")
        conversation.stall()

    serve = ImapServer()
    front = probing(routes_to(fake_backend(script), probe=probe_user),
                    timeout=4)

    assert (front.wait_log("backend-down")["reason"] ==
            "probe: login: timeout")


def test_logins_greetings_do_not_hide_a_dead_database(
        probing, fake_backend, probe_user):
    """A real login that is greeted between two probes proves less than they
    do."""
    backend = fake_backend(ImapServer(accept=lambda *_: False,
                                      refusal=DATABASE_DEAD))
    front = probing(routes_to(backend, probe=probe_user))

    def is_down():
        return any(one["event"] == "backend-down" for one in front.log)

    deadline = time.monotonic() + 20
    while not is_down():
        assert time.monotonic() < deadline
        assert log_in(front).startswith(b"NO [UNAVAILABLE]")


def test_scattered_failures_of_dials_take_no_well_backend_down(
        probing, fake_backend, probe_user):
    """Dials that go well in between end the row, also where probes log in."""
    server, dials = ImapServer(), itertools.count(1)

    def script(conversation):
        if next(dials) % 4 == 0:
            conversation.send(b"* BYE too many\r\n")
        else:
            server(conversation)

    front = probing(routes_to(fake_backend(script), probe=probe_user),
                    scale=1)
    answers = [log_in(front) for _ in range(8 * FALL)]

    assert len([one for one in answers if one.startswith(b"OK")]) >= 5 * FALL
    assert not [one for one in front.log if one["event"] == "backend-down"]


def test_without_a_probe_user_a_dead_database_is_not_seen(
        probing, fake_backend):
    backend = fake_backend(ImapServer(accept=lambda *_: False,
                                      refusal=DATABASE_DEAD))
    front = probing(routes_to(backend))

    assert wait_probes(front, FALL + 2)["state"] == "up"


@pytest.mark.parametrize("refusal", [
    b"NO [AUTHENTICATIONFAILED] no", b"NO [EXPIRED] no",
    b"NO [AUTHORIZATIONFAILED] no"])
def test_a_wrong_password_of_the_probe_takes_nobody_down(
        probing, fake_backend, probe_user, refusal):
    """Who judges it has looked it up."""
    backend = fake_backend(ImapServer(
        accept=lambda user, _: user != b"probe@example.org",
        refusal=refusal))
    front = probing(routes_to(backend, probe=probe_user))

    state = wait_probes(front, FALL + 2)

    assert state["state"] == "up" and state["probe_failures"] == 0
    assert state["notes"] == "refuses-probe"
    assert sum(one["event"] == "backend-note" for one in front.log) == 1
    assert log_in(front).startswith(b"OK")


def test_wrong_passwords_of_users_take_nobody_down(probing, fake_backend):
    backend = fake_backend(ImapServer(accept=lambda *_: False))
    front = probing(routes_to(backend), interval=3600)

    for _ in range(FALL + 2):
        assert b"AUTHENTICATIONFAILED" in log_in(front)

    assert state_of(front)["state"] == "up"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_proxy_header_of_a_probe_names_nobody(
        probing, fake_backend, version):
    backend = fake_backend(Proxied(ImapServer()))
    front = probing(routes_to(backend, proxy_protocol=version))

    state = wait_probes(front, 3)

    assert state["state"] == "up" and state["probe_failures"] == 0
    header = backend.conversation(0).header
    assert (header.version, header.source) == (int(version[1]), None)


def test_the_pauses_differ(probing, fake_backend):
    server = Recorder()
    front = probing(routes_to(fake_backend(server)), scale=20)

    wait_probes(front, 8)

    pauses = [after - before for before, after in
              zip(server.calls, server.calls[1:])]
    assert max(pauses) - min(pauses) > 0.02


def test_two_backends_are_not_in_step(probing, fake_backend):
    servers = [Recorder() for _ in range(6)]
    entries = {f"b{index}": backend_entry(fake_backend(server))
               for index, server in enumerate(servers)}
    front = probing({"backends": entries,
                     "pools": {"p1": {"backends": list(entries)}},
                     "default": "p1"})

    for name in entries:
        wait_probes(front, 1, name)

    first = sorted(server.calls[0] for server in servers)
    assert first[-1] - first[0] > intervals(0.1)


def test_one_worker_probes_for_all(probing, fake_backend):
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend), workers=4)
    wait_probes(front, 1)
    before = backend.connects

    time.sleep(intervals(4))

    # Pauses last three quarters of an interval at least.
    assert 1 <= backend.connects - before <= 6


def test_without_an_interval_nobody_is_probed(probing, fake_backend):
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend), interval=0)

    time.sleep(intervals(3))

    assert backend.connects == 0
    backend.refuse()
    client = front.secure()
    for _ in range(3):
        assert client.command(ALICE, 20)[-1].startswith(b"NO [UNAVAILABLE]")
    front.wait_log("backend-down")
    fake_backend(ImapServer(), port=backend.port)
    time.sleep(6 / SCALE)
    assert log_in(front).startswith(b"OK")
    front.wait_log("backend-up")


@pytest.mark.threat("H7")
def test_h7_a_drain_ends_the_probes(probing, fake_backend):
    backend = fake_backend(ImapServer(after=sink))
    front = probing(routes_to(backend), workers=1, timeouts={"drain": 3600})
    client = front.logged_in()
    wait_probes(front, 1)

    front.signal(signal.SIGTERM)
    front.wait_log("draining")
    time.sleep(intervals(1))
    before = backend.connects
    time.sleep(intervals(3))

    assert backend.connects == before
    client.abandon()
    assert front.wait_exit() == 0


def test_a_reload_changes_who_is_probed(probing, fake_backend):
    old, new = fake_backend(ImapServer()), fake_backend(ImapServer())
    front = probing(routes_to(old))
    wait_probes(front, 1)

    front.write_routes(routes_to(new))
    front.reload()
    wait_probes(front, 2)
    before = old.connects
    wait_probes(front, 5)

    assert old.connects == before
    new.conversation(4)


def test_a_reload_can_turn_probes_off_and_on(probing, fake_backend):
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend))
    wait_probes(front, 1)

    front.settings["upstream"]["health"]["interval"] = 0
    front.write_settings(front.settings)
    front.reload()
    time.sleep(intervals(1))
    before = backend.connects
    time.sleep(intervals(3))
    assert backend.connects == before

    front.settings["upstream"]["health"]["interval"] = INTERVAL
    front.write_settings(front.settings)
    front.reload()
    wait_probes(front, before + 2)


def test_reloads_do_not_keep_a_hung_one_from_being_found(
        probing, fake_backend):
    backend = fake_backend(lambda conversation: conversation.stall())
    front = probing(routes_to(backend), timeout=20)

    def is_down():
        return any(one["event"] == "backend-down" for one in front.log)

    deadline = time.monotonic() + 20
    while not is_down():
        front.reload()
        assert time.monotonic() < deadline

    assert FALL <= backend.connects <= FALL + 2


def test_probes_leave_no_descriptors_behind(probing, fake_backend):
    backend = fake_backend(ImapServer())
    front = probing(routes_to(backend))
    wait_probes(front, 2)
    before = front.descriptors()

    wait_probes(front, 6)

    front.wait_descriptors(before + 1)


def test_probes_take_their_descriptors_from_the_sessions(
        gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    entries = {f"b{index}": backend_entry(backend) for index in range(20)}
    routes = {"backends": entries,
              "pools": {"p1": {"backends": list(entries)}}, "default": "p1"}

    def sessions(interval):
        front = gatepost(routes, descriptors=400, workers=1,
                         upstream={"health": {"interval": interval}})
        try:
            return front.wait_log("started")["sessions_max"]
        finally:
            front.stop()

    # Two of each backend; a session has two.
    assert sessions(0) - sessions(3600) == len(entries)


def test_a_secret_that_all_may_read_is_refused(
        command, folder, fake_backend, probe_user):
    os.chmod(os.path.join(folder, "probe-secret"), 0o644)

    status, output, errors = command(
        routes_to(fake_backend(ImapServer()), probe=probe_user), "check")

    assert status == 1
    assert "$.backends.b1.probe.secret" in output + errors
    assert "let-me-see" not in output + errors


def change_mode(path, mode):
    """Such that Dovecot, which looks at the time, opens the file anew."""
    os.chmod(path, mode)
    changed = os.stat(path).st_mtime + 10
    os.utime(path, (changed, changed))


@pytest.mark.threat("E13")
def test_e13_a_real_user_database_that_dies_is_found(
        probing, probe_user, leaf):
    """It greets all the while, and lets nobody in."""
    server = Dovecot("probed", leaf, {"probe@example.org": "let-me-see",
                                      "alice@example.org": "secret-alice"})
    table = f"{server.folder}/users"
    try:
        front = probing(routes_to(server, probe=probe_user), scale=10,
                        interval=2)
        state = wait_probes(front, 2)
        assert state["state"] == "up" and state["probe_failures"] == 0
        assert "notes" not in state

        change_mode(table, 0)
        down = front.wait_log("backend-down")
        assert down["reason"] == "probe: login: backend-no"
        assert log_in(front).startswith(b"NO [UNAVAILABLE]")
        change_mode(table, 0o644)
        front.wait_log("backend-up")
        assert log_in(front).startswith(b"OK")
    finally:
        server.stop()
