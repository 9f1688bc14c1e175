"""Mechanisms that only the backend can judge: its challenges go to the client,
the client's answers to it, and nothing else of either (protocol.md 17-19)."""

import base64
import threading
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import answer_noop

MECHANISMS = ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-1",
              "SCRAM-SHA-256"]
LIST = (b"IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=SCRAM-SHA-1 "
        b"AUTH=SCRAM-SHA-256 AUTH=PLAIN")
FAILED = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
UNAVAILABLE = b"NO [UNAVAILABLE] Temporarily unavailable, try again later.\r\n"

SCRAM_FIRST = b"n,,n=alice@example.org,r=nonce"
XOAUTH2 = b"user=alice@example.org\x01auth=Bearer token\x01\x01"
BEARER = b"n,a=alice@example.org,\x01auth=Bearer token\x01\x01"
JSON_ERROR = b'{"status":"401","schemes":"bearer"}'


def b64(octets):
    return base64.b64encode(octets)


def asking(*steps, last=b"%t OK [CAPABILITY IMAP4rev1 X-IN] in\r\n",
           capabilities=LIST, after=answer_noop):
    """A backend that sends each step, reads a line after it, and then says
    the last thing."""
    def script(conversation):
        conversation.heard = []
        conversation.send(b"* OK [CAPABILITY " + capabilities + b"] hi\r\n")
        line = conversation.read_line()
        tag = line.split()[0]
        conversation.heard.append(line)
        for step in steps:
            conversation.send(step)
            conversation.heard.append(conversation.read_line())
        conversation.send(last.replace(b"%t", tag))
        after(conversation)
    return script


@pytest.fixture
def relay(gatepost, fake_backend):
    """relay(script, ...) -> (front, backend), every mechanism offered."""
    def start(script, settings=None, routes=None):
        backend = fake_backend(script)
        settings = {"auth": {"mechanisms": MECHANISMS, "delay_max": 0},
                    **(settings or {})}
        front = gatepost(routes_to(backend) if routes is None
                         else routes(backend), **settings)
        return front, backend
    return start


def begin(front, mechanism, message):
    """A client whose exchange has begun; it has not read anything since."""
    client = front.secure()
    client.send(b"a AUTHENTICATE " + mechanism + b" " + b64(message) + b"\r\n")
    return client


@pytest.mark.parametrize("mechanism", [b"SCRAM-SHA-1", b"SCRAM-SHA-256"])
def test_an_exchange_passes_message_by_message(relay, mechanism):
    front, backend = relay(asking(b"+ " + b64(b"r=nonce2,s=c2FsdA==,i=4096")
                                  + b"\r\n", b"+ " + b64(b"v=proof")
                                  + b"\r\n"))
    client = begin(front, mechanism, SCRAM_FIRST)

    assert client.read_line() == (b"+ " + b64(b"r=nonce2,s=c2FsdA==,i=4096")
                                  + b"\r\n")
    client.send(b64(b"c=biws,r=nonce2,p=x") + b"\r\n")
    assert client.read_line() == b"+ " + b64(b"v=proof") + b"\r\n"
    client.send(b"\r\n")

    assert client.read_line().startswith(b"a OK [CAPABILITY IMAP4rev1 X-IN]")
    assert client.command("NOOP")[-1].startswith(b"OK")
    heard = backend.conversations[0].heard
    assert heard[0].split(b" ", 1)[1] == (b"AUTHENTICATE " + mechanism + b" "
                                          + b64(SCRAM_FIRST) + b"\r\n")
    assert heard[1:] == [b64(b"c=biws,r=nonce2,p=x") + b"\r\n", b"\r\n"]


@pytest.mark.parametrize("mechanism, message, answer", [
    (b"XOAUTH2", XOAUTH2, b""), (b"OAUTHBEARER", BEARER, b"AQ==")])
def test_a_token_that_is_refused_gets_its_reason_and_then_a_no(
        relay, mechanism, message, answer):
    front, backend = relay(asking(b"+ " + b64(JSON_ERROR) + b"\r\n",
                                  last=b"%t NO token expired\r\n"))
    client = begin(front, mechanism, message)

    assert client.read_line() == b"+ " + b64(JSON_ERROR) + b"\r\n"
    client.send(answer + b"\r\n")

    assert client.read_line() == b"a " + FAILED
    assert backend.conversations[0].heard[1] == answer + b"\r\n"


def test_everything_may_be_sent_at_once(relay):
    front, backend = relay(asking(b"+ " + b64(b"one") + b"\r\n",
                                  b"+ " + b64(b"two") + b"\r\n"))
    client = front.secure()

    client.send(b"a AUTHENTICATE SCRAM-SHA-1 " + b64(SCRAM_FIRST) + b"\r\n"
                + b64(b"first") + b"\r\n\r\nb NOOP\r\n")

    assert client.read_line() == b"+ " + b64(b"one") + b"\r\n"
    assert client.read_line() == b"+ " + b64(b"two") + b"\r\n"
    assert client.read_line().startswith(b"a OK")
    assert client.read_line().startswith(b"b OK")
    assert backend.conversations[0].heard[1:] == [b64(b"first") + b"\r\n",
                                                  b"\r\n"]


@pytest.mark.parametrize("line", [b"*", b"!!!!", b"YQ", b"Y Q==", b"YR=="])
def test_who_gives_up_may_log_in_again(relay, line):
    front, backend = relay(asking(b"+ " + b64(b"one") + b"\r\n"))
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    client.read_line()

    client.send(line + b"\r\n")

    assert client.read_line().startswith(b"a BAD")
    backend.conversations[0].ended.wait(10)
    assert line + b"\r\n" not in backend.conversations[0].received
    client.send(b"b AUTHENTICATE SCRAM-SHA-1 " + b64(SCRAM_FIRST)
                + b"\r\n\r\n")
    assert client.read_line() == b"+ " + b64(b"one") + b"\r\n"
    assert client.read_line().startswith(b"b OK")


@pytest.mark.threat("E10")
@pytest.mark.parametrize("step", [
    b"+ not base64\r\n", b"+ YR==\r\n", b"+ \xff\r\n", b"+ YQ== \r\n",
    b"+ YQ==\r\n+ YQ==\r\n", b"+ YQ==\r\n%t OK in\r\n",
    b"+ YQ==\r\nx OK in\r\n", b"+ " + b"A" * 40000 + b"\r\n"])
def test_e10_a_challenge_that_is_none_reaches_nobody(relay, step):
    def script(conversation):
        conversation.send(b"* OK [CAPABILITY " + LIST + b"] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(step.replace(b"%t", tag))
        conversation.read_to_end()

    front, backend = relay(script)
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)

    line = client.read_line()
    if line == b"+ YQ==\r\n":  # seen before what came behind it
        line = client.read_line()
    assert line == b"a " + UNAVAILABLE
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert backend.conversations[0].ended.wait(10)


@pytest.mark.threat("E10")
@pytest.mark.parametrize("mechanism, message", [
    (b"SCRAM-SHA-1", SCRAM_FIRST), (b"XOAUTH2", XOAUTH2),
    (b"OAUTHBEARER", BEARER)], ids=["scram", "xoauth2", "oauthbearer"])
def test_e10_an_answer_that_meets_a_refusal_goes_nowhere(
        relay, mechanism, message):
    """The backend refuses while the client has the word, whose answer comes
    before the refusal is told."""
    refuses = threading.Event()

    def script(conversation):
        conversation.send(b"* OK [CAPABILITY " + LIST + b"] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(b"+ YQ==\r\n")
        refuses.wait(10)
        conversation.send(tag + b" NO [AUTHENTICATIONFAILED] no\r\n")
        conversation.read_to_end()

    front, backend = relay(script)
    for number in range(8):
        refuses.clear()
        with begin(front, mechanism, message) as client:
            assert client.read_line() == b"+ YQ==\r\n"
            refuses.set()
            time.sleep(0.0005 * number)
            client.send(b"YWE=\r\n")
            assert client.read_line() == b"a " + FAILED
    assert front.process.poll() is None


@pytest.mark.threat("E10")
def test_e10_a_backend_that_asks_without_end_is_left(relay):
    front, _ = relay(asking(*[b"+ YQ==\r\n"] * 100))
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)

    count = 0
    while (line := client.read_line()).startswith(b"+"):
        client.send(b"YQ==\r\n")
        count += 1

    assert line == b"a " + UNAVAILABLE and count <= 8


@pytest.mark.parametrize("last, answer", [
    (b"* BYE gone\r\n", UNAVAILABLE), (b"", UNAVAILABLE),
    (b"%t NO too late\r\n", FAILED),
    (b"%t BAD what\r\n", FAILED)])  # of the client's own words
def test_a_backend_that_ends_while_the_client_thinks(relay, last, answer):
    def script(conversation):
        conversation.send(b"* OK [CAPABILITY " + LIST + b"] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(b"+ YQ==\r\n")
        relayed.wait(10)
        conversation.send(last.replace(b"%t", tag))

    relayed = threading.Event()
    front, _ = relay(script)
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)

    assert client.read_line() == b"+ YQ==\r\n"
    relayed.set()
    assert client.read_line() == b"a " + answer
    client.send(b"YQ==\r\n")  # it was on its way
    assert client.read_line().startswith(b"* BAD")
    assert client.command("NOOP")[-1].startswith(b"OK")


def test_an_exchange_that_broke_off_leaves_the_next_login_alone(
        gatepost, fake_backend):
    """What is sent behind that login waits for its verdict again."""
    def script(conversation):
        conversation.send(b"* OK [CAPABILITY " + LIST + b"] hi\r\n")
        line = conversation.read_line()
        tag = line.split()[0]
        if b"SCRAM" in line:
            conversation.send(b"+ YQ==\r\n")
            relayed.wait(10)
            conversation.send(tag + b" NO [UNAVAILABLE] later\r\n")
            return
        time.sleep(0.2)
        conversation.send(tag + b" OK [CAPABILITY IMAP4rev1] in\r\n")
        answer_noop(conversation)

    relayed = threading.Event()
    front = gatepost(routes_to(fake_backend(script)),
                     auth={"mechanisms": MECHANISMS, "delay_max": 0})
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    client.read_line()
    relayed.set()
    assert client.read_line().startswith(b"a NO [UNAVAILABLE]")

    client.send(b"b AUTHENTICATE PLAIN " + b64(b"\0u\0p") + b"\r\n")
    client.send(b"c SELECT INBOX\r\n")

    assert client.read_line().startswith(b"b OK")
    assert client.read_line().startswith(b"c OK SELECT INBOX")


def test_alerts_reach_the_user_before_the_challenge(relay):
    front, _ = relay(asking(b"* OK [ALERT] full\r\n+ YQ==\r\n",
                            last=b"* NO [ALERT] fuller\r\n%t OK in\r\n"))
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)

    assert client.read_line() == b"* OK [ALERT] full\r\n"
    assert client.read_line() == b"+ YQ==\r\n"
    client.send(b"\r\n")
    assert client.read_line() == b"* NO [ALERT] fuller\r\n"


def test_a_client_may_think_for_longer_than_a_backend_may(relay):
    front, _ = relay(asking(b"+ YQ==\r\n"),
                     settings={"timeouts": {"login_reply": 0.5}})
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    client.read_line()

    assert client.read_quiet(1.2) == b""
    client.send(b"YQ==\r\n")

    assert client.read_line().startswith(b"a OK")


def test_a_client_that_leaves_takes_the_backend_along(relay):
    front, backend = relay(asking(b"+ YQ==\r\n"))
    before = front.resting_descriptors()
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    client.read_line()

    client.reset()

    assert backend.conversations[0].ended.wait(10)
    front.wait_descriptors(before)


def test_a_mechanism_that_the_backend_lacks_is_our_fault_and_told_once(relay):
    front, backend = relay(asking(capabilities=b"IMAP4rev1 AUTH=PLAIN"))

    for _ in range(2):
        client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
        assert client.read_line() == b"a " + UNAVAILABLE

    front.wait_log(lambda entry: entry.get("reason")
                   == "backend-lacks-mechanism" and entry["level"] == "error")
    since = front.mark()
    front.counters()  # so much later that the notes are in the log
    noted = [entry for entry in front.log if entry["event"] == "backend-note"]
    assert [(one["note"], one["mechanism"]) for one in noted] == [
        ("lacks-mechanism",
         "XOAUTH2,OAUTHBEARER,SCRAM-SHA-1,SCRAM-SHA-256")]
    assert front.wait_log("backend", since)["notes"] == "lacks-mechanism"
    assert b64(SCRAM_FIRST) not in backend.received
    assert b"AUTHENTICATE" not in backend.received


def by_least_sessions(backend, default=True):
    routes = routes_to(backend)
    name = next(iter(routes["pools"]))
    routes["pools"][name]["balance"] = "least-sessions"
    if not default:
        routes["domains"] = {"example.org": routes.pop("default")}
    return routes


NAMELESS = b"n,,\x01auth=Bearer token\x01\x01"


def test_a_token_without_a_user_goes_where_nothing_is_hashed(relay):
    front, backend = relay(asking(), routes=by_least_sessions)
    client = begin(front, b"OAUTHBEARER", NAMELESS)

    assert client.read_line().startswith(b"a OK")
    assert b64(NAMELESS) in backend.conversations[0].heard[0]


@pytest.mark.parametrize("routes", [
    routes_to, lambda backend: by_least_sessions(backend, default=False)])
def test_a_token_without_a_user_is_refused_elsewhere(relay, routes):
    front, backend = relay(asking(), routes=routes)
    client = begin(front, b"OAUTHBEARER", NAMELESS)

    assert client.read_line() == b"a " + FAILED
    assert backend.connects == 0


# -- who is silent, and what is withdrawn ------------------------------------

def test_a_silent_client_keeps_nobody_from_its_backend(relay):
    front, _ = relay(asking(b"+ YQ==\r\n"),
                     settings={"limits": {"backend_logins": 1,
                                          "backend_queue": 0}})
    silent = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    silent.read_line()

    other = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)

    assert other.read_line() == b"+ YQ==\r\n"
    other.send(b"\r\n")
    assert other.read_line().startswith(b"a OK")


def test_silent_clients_do_not_fill_a_backend(relay):
    def with_one_session(backend):
        routes = routes_to(backend)
        next(iter(routes["backends"].values()))["max_sessions"] = 1
        return routes

    front, _ = relay(asking(b"+ YQ==\r\n"), routes=with_one_session)
    silent = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    silent.read_line()

    other = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    assert other.read_line() == b"+ YQ==\r\n"
    other.send(b"\r\n")

    assert other.read_line().startswith(b"a OK")
    silent.send(b"\r\n")
    assert silent.read_line() == b"a " + UNAVAILABLE


class Proving:
    """A backend that takes its time over a proof, 0.2 s or until it may go
    on, and notes how many there are at once."""

    def __init__(self, go=None):
        self.under_way = self.most_under_way = 0
        self.go = go
        self._lock = threading.Lock()

    def __call__(self, conversation):
        conversation.send(b"* OK [CAPABILITY " + LIST + b"] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(b"+ YQ==\r\n")
        conversation.read_line()
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        if self.go is None:
            time.sleep(0.2)
        else:
            assert self.go.wait(20)
        with self._lock:
            self.under_way -= 1
        conversation.send(tag + b" OK in\r\n")
        answer_noop(conversation)


def questioned(front, count):
    """Clients that have read the backend's challenge, one after the other."""
    clients = []
    for _ in range(count):
        clients.append(begin(front, b"SCRAM-SHA-1", SCRAM_FIRST))
        assert clients[-1].read_line() == b"+ YQ==\r\n"
    return clients


def test_proofs_take_their_turns_at_a_busy_backend(relay):
    proving = Proving()
    front, _ = relay(proving, settings={"limits": {"backend_logins": 1}})
    clients = questioned(front, 4)

    for client in clients:
        client.send(b"\r\nn NOOP\r\n")
    for client in clients:
        assert client.read_line().startswith(b"a OK")
        assert client.read_line().startswith(b"n OK")

    assert proving.most_under_way == 1
    assert front.counters()["logins_queued"] == 3


def wait_for(reached, timeout=10):
    deadline = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_proof_too_many_is_told_so(relay):
    go = threading.Event()
    proving = Proving(go)
    front, backend = relay(proving, settings={
        "limits": {"backend_logins": 1, "backend_queue": 1}, "workers": 1})
    clients = questioned(front, 4)

    clients[0].send(b"\r\n")
    wait_for(lambda: proving.under_way)
    clients[1].send(b"\r\n")
    front.wait_counters(logins_queued=1)
    clients[1].abandon()  # whose place in the queue is free again
    front.wait_counters(sessions_open=3)
    clients[2].send(b"\r\n")
    front.wait_counters(logins_queued=2)
    clients[3].send(b"\r\n")

    assert clients[3].read_line() == b"a " + UNAVAILABLE
    go.set()
    assert clients[0].read_line().startswith(b"a OK")
    assert clients[2].read_line().startswith(b"a OK")
    assert backend.conversations[1].ended.wait(5)
    assert not backend.conversations[1].received.endswith(b"\r\n\r\n")
    assert front.counters()["logins_crowded_out"] == 1


def test_a_backend_that_speaks_while_a_proof_waits_is_broken_off(relay):
    """Even if it says OK: it was shown no proof."""
    hasten = threading.Event()

    def hasty(conversation):
        conversation.send(b"* OK [CAPABILITY " + LIST + b"] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(b"+ YQ==\r\n")
        if conversation is not backend.conversations[0]:
            assert hasten.wait(10)
            conversation.send(tag + b" OK in\r\n")
        conversation.stall()

    front, backend = relay(hasty, settings={"limits": {"backend_logins": 1}})
    clients = questioned(front, 2)

    clients[0].send(b"\r\n")  # has the place, and is never answered
    wait_for(lambda: backend.received.count(b"\r\n\r\n"))
    clients[1].send(b"\r\n")
    front.wait_counters(logins_queued=1)
    hasten.set()

    assert clients[1].read_line() == b"a " + UNAVAILABLE


def test_a_client_that_stays_silent_is_told_so(gatepost, fake_backend):
    backend = fake_backend(asking(b"+ YQ==\r\n"))
    front = gatepost(routes_to(backend),
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "10"},
                     auth={"mechanisms": MECHANISMS, "delay_max": 0})
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    client.read_line()

    assert client.read_line() == b"a " + UNAVAILABLE

    assert front.wait_log("login-failed")["reason"] == "client-slow"
    assert backend.conversations[0].ended.wait(10)


@pytest.mark.threat("H4")
def test_h4_a_proof_that_a_backend_repeats_is_not_logged(relay):
    proof = b64(b"c=biws,r=nonce2,p=abcdefghijklmnop")
    front, _ = relay(asking(b"+ YQ==\r\n",
                            last=b"%t NO [X-BAD] proof " + proof + b"\r\n"))
    client = begin(front, b"SCRAM-SHA-1", SCRAM_FIRST)
    client.read_line()

    client.send(proof + b"\r\n")

    assert client.read_line().startswith(b"a NO [X-BAD]")
    front.wait_log("login-failed")
    assert proof.decode() not in front.stderr


def test_a_mechanism_withdrawn_by_a_reload_is_not_taken_any_more(relay):
    front, backend = relay(asking(b"+ YQ==\r\n"))
    client = front.secure()
    front.settings["auth"]["mechanisms"] = ["PLAIN"]
    front.write_settings(front.settings)
    front.reload()

    client.send(b"a AUTHENTICATE SCRAM-SHA-1 " + b64(SCRAM_FIRST) + b"\r\n")

    assert client.read_line() == b"a " + UNAVAILABLE
    assert backend.connects == 0


def test_login_withdrawn_by_a_reload_is_not_taken_any_more(relay):
    front, backend = relay(asking())
    client = front.secure()
    front.settings["auth"]["mechanisms"] = ["XOAUTH2"]
    front.write_settings(front.settings)
    front.reload()

    client.send(b"a LOGIN alice@example.org pw\r\n")

    assert client.read_line() == b"a " + UNAVAILABLE
    assert backend.connects == 0
