"""Connections kept ready for logins: "warm" of routes.json."""

import signal
import threading
import time

import pytest

from gatepost_test import procfs
from gatepost_test.gatepost import REFUSED, backend_entry, routes_to
from gatepost_test.scripts import ImapServer, answer_noop

pytestmark = pytest.mark.threads

ALICE = "LOGIN alice@example.org secret-alice"


def wait_until(condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def open_ones(backend):
    """Connections that the backend has now."""
    return [one for one in backend.conversations if not one.ended.is_set()]


def log_in(front, command=ALICE):
    with front.secure() as client:
        return client.command(command, 20)[-1]


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_logins_take_connections_to_a_real_server(gatepost, dovecots, tls):
    shard = dovecots[0]
    settings = {} if tls == "none" else {"tls_name": "localhost",
                                         "ca": "ca.pem"}
    routes = routes_to(shard, tls=tls, warm=2, **settings)
    if tls == "implicit":
        routes["backends"]["b1"]["port"] = shard.tls_port
    front = gatepost(routes, workers=1)

    for taken in range(1, 4):
        front.wait_counters(warm_ready=2, warm_taken=taken - 1)
        client = front.logged_in()
        client.command("SELECT INBOX")
        lines = client.command("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
        assert b"shard-a: hello alice" in lines[0]

    counted = front.wait_counters(warm_ready=2, warm_taken=3)
    assert counted["warm_missed"] == counted["warm_lost"] == 0


def test_each_worker_keeps_its_own(gatepost, backend):
    front = gatepost(routes_to(backend, warm=3), workers=2)

    front.wait_counters(warm_ready=6)

    assert backend.connects == 6


def test_a_wrong_password_costs_one_connection(gatepost, fake_backend):
    backend = fake_backend(ImapServer(
        accept=lambda user, password: password != b"wrong"))
    front = gatepost(routes_to(backend, warm=1), workers=1)
    client = front.secure()

    front.wait_counters(warm_ready=1)
    answer = client.command("LOGIN alice@example.org wrong", 20)[-1]
    assert answer.startswith(b"NO [AUTHENTICATIONFAILED]")
    front.wait_counters(warm_ready=1)
    assert client.command(ALICE, 20)[-1].startswith(b"OK")
    assert backend.conversation(0).user == backend.conversation(1).user


def test_a_login_dials_when_none_is_ready(gatepost, fake_backend):
    """The first caller, a warm one, is never greeted."""
    serve = ImapServer()

    def script(conversation):
        if conversation is backend.conversations[0]:
            conversation.stall()
        serve(conversation)

    backend = fake_backend(script)
    front = gatepost(routes_to(backend, warm=1), workers=1)
    backend.conversation(0)

    assert log_in(front).startswith(b"OK")
    counted = front.counters()
    assert (counted["warm_missed"], counted["warm_taken"]) == (1, 0)


def test_what_the_backend_closed_is_not_used(gatepost, fake_backend):
    """The first four are closed when told so; then logins go on."""
    serve = ImapServer()
    hang_up = threading.Event()

    def script(conversation):
        if conversation in backend.conversations[:4]:
            conversation.send(serve.greeting)
            hang_up.wait(20)
        else:
            serve(conversation)

    backend = fake_backend(script)
    front = gatepost(routes_to(backend, warm=4), workers=1)
    front.wait_counters(warm_ready=4)

    hang_up.set()
    assert all(one.ended.wait(10) for one in backend.conversations[:4])
    for _ in range(6):
        assert log_in(front).startswith(b"OK")

    front.wait_counters(warm_ready=4, warm_lost=4)


def test_what_was_said_before_a_login_answers_none(gatepost, fake_backend):
    """An answer is sent ahead for every tag that the client may choose: the
    login gets the one that follows it."""
    def script(conversation):
        conversation.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] "
                          b"ready\r\n")
        if conversation in backend.conversations[:2]:
            time.sleep(0.3)
            conversation.send(b"a OK [CAPABILITY IMAP4rev1] injected\r\n" * 3)
            conversation.stall()
        ImapServer(accept=lambda *_: False).log_in(conversation)

    backend = fake_backend(script)
    front = gatepost(routes_to(backend, warm=2), workers=1)
    front.wait_counters(warm_lost=2)

    with front.secure() as client:
        client.send(b"a LOGIN alice@example.org secret\r\n")
        answer = client.read_reply("a")[-1]

    assert b"injected" not in answer
    assert b"NO [AUTHENTICATIONFAILED]" in answer


def test_a_password_is_sent_to_one_connection_only(gatepost, fake_backend):
    """A backend that ends as the password comes: nobody else gets it."""
    serve = ImapServer(b"IMAP4rev1")  # by LOGIN, to be found again

    def script(conversation):
        conversation.send(serve.greeting)
        conversation.read_line()
        conversation.reset()

    backend = fake_backend(script)
    other = fake_backend(serve)
    front = gatepost({
        "backends": {"b1": backend_entry(backend, warm=2),
                     "b2": backend_entry(other, warm=2)},
        "pools": {"p1": {"backends": ["b1", "b2"], "when_down": "next"}},
        "default": "p1"}, workers=1)
    front.wait_counters(warm_ready=4)

    # The pool gives some of these to either.
    answers = [log_in(front, f"LOGIN user{number} secret")
               for number in range(8)]

    refused = [one for one in answers if one.startswith(b"NO [UNAVAILABLE]")]
    assert 0 < len(refused) < 8, answers
    assert backend.received.count(b"secret") == len(refused)
    assert other.received.count(b"secret") == 8 - len(refused)


def test_a_login_that_cannot_be_sent_is_refused_at_once(
        gatepost, fake_backend):
    """A warm connection to a backend that takes no password at all."""
    backend = fake_backend(ImapServer(b"IMAP4rev1 LOGINDISABLED"))
    front = gatepost(routes_to(backend, warm=1), workers=1)
    front.wait_counters(warm_ready=1)

    with front.secure() as client:
        for _ in range(2):
            answer = client.command(ALICE, 20)[-1]
            assert answer.startswith(b"NO [UNAVAILABLE]"), answer
            front.wait_counters(warm_ready=1)
        assert client.command("NOOP")[-1].startswith(b"OK")


def test_none_gets_old(gatepost, fake_backend, server_context):
    """25 s pass in a fraction of one; what is replaced ends cleanly."""
    backend = fake_backend(ImapServer(), tls=server_context())
    front = gatepost(routes_to(backend, warm=2, tls="implicit",
                               tls_name="localhost", ca="ca.pem"),
                     workers=1, env={"GATEPOST_FAULT_CLOCK_SCALE": "100"},
                     timeouts={"connect": 3600, "backend_tls": 3600,
                               "greeting": 3600})
    first = [backend.conversation(index) for index in range(2)]

    assert all(one.ended.wait(10) for one in first)
    assert all(one.saw_close_notify for one in first)
    wait_until(lambda: front.counters()["warm_expired"] >= 4)
    assert front.counters()["warm_lost"] == 0
    wait_until(lambda: len(open_ones(backend)) == 2)


def test_a_reload_that_changes_nothing_keeps_them(gatepost, backend):
    routes = routes_to(backend, warm=3)
    front = gatepost(routes, workers=1)
    front.wait_counters(warm_ready=3)

    routes["users"] = {"bob@example.org": "p1"}
    front.write_routes(routes)
    front.reload()
    assert log_in(front).startswith(b"OK")

    front.wait_counters(warm_ready=3, warm_taken=1)
    assert backend.connects == 4


@pytest.mark.parametrize("change", [
    {"weight": 0}, {"warm": 0}, {"host": "localhost"}])
def test_a_reload_ends_those_of_a_backend_that_changed(
        gatepost, backend, change):
    front = gatepost(routes_to(backend, warm=2), workers=2)
    front.wait_counters(warm_ready=4)

    front.write_routes(routes_to(backend, **{"warm": 2, **change}))
    front.reload()

    assert all(one.ended.wait(10) for one in backend.conversations[:4])
    front.wait_counters(warm_ready=4 if "host" in change else 0)


def test_a_backend_that_is_gone_keeps_none(gatepost, backend, fake_backend):
    front = gatepost(routes_to(backend, warm=2), workers=1)
    front.wait_counters(warm_ready=2)
    other = fake_backend(ImapServer())

    routes = routes_to(other, warm=1)
    routes["backends"]["b9"] = routes["backends"].pop("b1")
    routes["pools"]["p1"]["backends"] = ["b9"]
    front.write_routes(routes)
    front.reload()

    backend.wait_all_ended()
    front.wait_counters(warm_ready=1)
    assert log_in(front).startswith(b"OK")
    assert other.conversation(0).user == b"alice@example.org"


def test_a_drain_ends_them_at_once(gatepost, backend):
    front = gatepost(routes_to(backend, warm=3), workers=2,
                     timeouts={"drain": 20})
    front.wait_counters(warm_ready=6)
    client = front.logged_in()
    front.wait_counters(warm_ready=6)

    front.signal(signal.SIGTERM)

    wait_until(lambda: len(open_ones(backend)) == 1)
    assert client.command("NOOP")[-1].startswith(b"OK")
    front.wait_counters(warm_ready=0)


def test_a_backend_that_comes_back_is_met_again(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend, warm=2), workers=1,
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "10"})
    front.wait_counters(warm_ready=2)
    backend.refuse()
    for one in backend.conversations:
        one.reset()
    front.wait_log("backend-down")
    dials = front.counters()["dials"]
    time.sleep(1)
    assert front.counters()["dials"] - dials <= 6

    back = fake_backend(ImapServer(), port=backend.port)
    front.wait_counters(warm_ready=2, timeout=20)

    assert back.connects == 2
    assert log_in(front).startswith(b"OK")


def test_those_of_a_backend_that_is_down_get_no_login(
        gatepost, fake_backend):
    """It hangs: connections stay, and answer nothing."""
    class Hanging(ImapServer):
        def log_in(self, conversation):
            conversation.read_line()
            conversation.stall()

    hanging = fake_backend(Hanging())
    routes = routes_to(hanging, warm=3)
    routes["backends"]["b2"] = backend_entry(fake_backend(ImapServer()),
                                             weight=1)
    routes["backends"]["b1"]["weight"] = 1000
    routes["pools"]["p1"].update(backends=["b1", "b2"], when_down="next")
    front = gatepost(routes, workers=1, timeouts={"login_reply": 1})
    front.wait_counters(warm_ready=3)
    hanging.refuse()
    assert log_in(front).startswith(b"NO [UNAVAILABLE]")
    front.wait_log("backend-down")
    taken = front.counters()["warm_taken"]

    for _ in range(4):
        assert log_in(front).startswith(b"OK")

    assert front.counters()["warm_taken"] == taken


def test_a_backend_that_keeps_none_is_dialled_once_a_pause(
        gatepost, fake_backend):
    """It greets all who call and closes soon after."""
    serve = ImapServer()

    def script(conversation):
        conversation.send(serve.greeting)
        time.sleep(0.05)

    backend = fake_backend(script)
    front = gatepost(routes_to(backend, warm=8), workers=1)
    front.wait_log("warm-lost")
    time.sleep(3.5)

    # After 1 s and 3 s; the next one comes after 7 s.
    assert 9 <= backend.connects <= 11


# -- descriptors ------------------------------------------------------------

def test_sessions_leave_them_their_descriptors(gatepost, backend):
    without = gatepost(routes_to(backend), workers=1, descriptors=300)
    sessions = without.wait_log("started")["sessions_max"]
    without.write_routes(routes_to(backend, warm=64))
    without.reload()
    without.wait_counters(warm_ready=64)

    assert without.descriptors() <= 300 - 2 * (sessions - 32)
    held = [without.connect("starttls") for _ in range(sessions + 5)]
    wait_until(lambda: without.counters()["sessions_open"] == sessions - 32)
    assert len(held) == sessions + 5


def too_many(backend):
    """For a process with 200 descriptors."""
    routes = routes_to(backend, warm=64)
    for number in range(2):
        routes["backends"][f"other{number}"] = backend_entry(backend, warm=64)
    routes["pools"]["p1"]["backends"] += ["other0", "other1"]
    return routes


def assert_says_too_many(entry):
    assert entry["file"].endswith("routes.json")
    assert entry["path"] == "$.backends"
    assert entry["found"].startswith("192 connections kept warm by 1 worker")
    assert "200 descriptors" in entry["expected"]


def test_more_than_the_descriptors_are_refused_at_start(gatepost, backend):
    front = gatepost(too_many(backend), workers=1, descriptors=200,
                     wait=False)

    assert_says_too_many(front.wait_log("config"))
    assert front.wait_exit() == 1
    front.check_end = lambda status: None  # asserted above
    assert backend.connects == 0


def test_more_than_the_descriptors_are_refused_by_a_reload(
        gatepost, backend):
    front = gatepost(routes_to(backend, warm=1), workers=1, descriptors=200)
    front.wait_counters(warm_ready=1)

    front.write_routes(too_many(backend))
    front.reload(REFUSED)

    assert_says_too_many(front.wait_log("config"))
    front.wait_counters(warm_ready=1)


def test_check_tells_of_too_many(command, backend, settings):
    """So many that no machine allows them."""
    settings["workers"] = 1024
    routes = routes_to(backend, warm=64)
    for number in range(999):
        routes["backends"][f"other{number}"] = backend_entry(backend, warm=64)
    routes["pools"]["p1"]["backends"] += [f"other{number}"
                                          for number in range(999)]

    status, _, errors = command(routes, "check")

    assert status == 1
    assert "$.backends: found 65536000 connections kept warm by 1024 " \
           "workers together, expected at most " in errors


# -- all at once ------------------------------------------------------------

@pytest.mark.limit(120)
def test_logins_reloads_and_endings_at_the_same_time(gatepost, fake_backend,
                                                     times):
    """Every login is answered with OK, whatever ends beside it."""
    backend = fake_backend(ImapServer(after=answer_noop))
    front = gatepost(routes_to(backend, warm=4), workers=2,
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "20"},
                     timeouts={"login_reply": 1200, "before_login": 3600,
                               "handshake": 1200, "connect": 1200,
                               "greeting": 1200})
    done = threading.Event()
    failures = []

    def log_in_often():
        for _ in range(times(15, 200)):
            answer = log_in(front)
            if not answer.startswith(b"OK"):
                failures.append(answer)

    def reload_often():
        for number in range(1000):
            front.write_routes(routes_to(backend, warm=number % 6))
            front.reload()
            if done.wait(0.05):
                return

    workers = [threading.Thread(target=log_in_often) for _ in range(4)]
    reloader = threading.Thread(target=reload_often)
    for one in [*workers, reloader]:
        one.start()
    for one in workers:
        one.join()
    done.set()
    reloader.join()

    assert not failures, failures[:3]
    assert front.counters()["warm_taken"] > 0


def test_nothing_is_left_behind(gatepost, backend):
    """After connections have come and gone, descriptors are what they were."""
    routes = routes_to(backend, warm=0)
    front = gatepost(routes, workers=1)
    assert log_in(front).startswith(b"OK")
    before = front.resting_descriptors()

    for _ in range(3):
        front.write_routes(routes_to(backend, warm=8))
        front.reload()
        front.wait_counters(warm_ready=8)
        front.write_routes(routes)
        front.reload()

    front.wait_counters(warm_ready=0)
    front.wait_descriptors(before)
    assert procfs.descriptors(front.pid)
