"""Who guesses passwords waits, longer each time, and nobody else does."""

import base64
import json
import os
import random
import statistics
import threading
import time

import pytest

from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.network import own_network
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer

pytestmark = pytest.mark.threads

SCALE = 6  # a real second is six
SLACK = 1.9  # what a login may take besides, in seconds of that clock: less
# than lies between two delays
REFUSED = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
PUT_OFF = b"NO [UNAVAILABLE]"
ATTACKER, OWNER, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.4"


class Judge(ImapServer):
    """Knows one password, and when it was asked about which."""

    def __init__(self, right=b"right", takes=0, **options):
        super().__init__(accept=self.judge, **options)
        self.right, self.takes, self.asked = right, takes, []
        self.under_way = self.most_under_way = 0
        self._lock = threading.Lock()

    def judge(self, user, password):
        with self._lock:
            self.asked.append((time.monotonic(), user, password))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        time.sleep(self.takes)
        with self._lock:
            self.under_way -= 1
        return password == self.right


@pytest.fixture
def judge():
    return Judge()


@pytest.fixture
def front(gatepost, fake_backend, judge):
    """front(**settings): Gatepost with delays, on the scaled clock."""
    def start(**settings):
        settings.setdefault("auth", {"delay_max": 15})
        return gatepost(routes_to(fake_backend(judge)), env={
            "GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)}, **settings)
    return start


def log_in(front, password, user="alice@x.org", source=None, timeout=10):
    """Logs in on a new connection; (answer, seconds of the scaled clock)."""
    client = front.secure(source=source)
    before = time.monotonic()
    answer = client.login(user, password, timeout)
    lasted = (time.monotonic() - before) * SCALE
    client.abandon()
    return answer, lasted


def is_delay(lasted, waits):
    """Whether so long a login was delayed by so much, and not by the next
    longer delay, which is twice that."""
    return waits <= lasted + 0.05 and lasted < waits + max(SLACK, 0.8 * waits)


def guess(front, password, user="alice@x.org", source=None, waits=0):
    """A wrong password that is answered after so many seconds."""
    answer, lasted = log_in(front, password, user, source)
    assert answer == REFUSED
    assert is_delay(lasted, waits), (password, lasted)


def log_in_well(front, user="alice@x.org", source=None, waits=0):
    answer, lasted = log_in(front, "right", user, source)
    assert answer.startswith(b"OK"), answer
    assert is_delay(lasted, waits), lasted


def attack(front, user="alice@x.org", source=ATTACKER):
    """Wrong passwords until the delay is at its longest."""
    for number, waits in enumerate((0, 2, 4, 8)):
        guess(front, f"guess {number}", user, source, waits)


@pytest.mark.threat("D5")
def test_delay_grows_before_the_backend_is_asked(front, judge):
    gate = front()

    began = time.monotonic()
    for number, waits in enumerate((0, 2, 4, 8, 15, 15)):
        guess(gate, f"guess {number}", f"user{number}@x.org", waits=waits)

    asked = [(one[0] - began) * SCALE for one in judge.asked]
    gaps = [later - sooner for sooner, later in zip(asked, asked[1:])]
    assert all(map(is_delay, gaps, (2, 4, 8, 15, 15))), gaps
    assert gate.counters()["logins_delayed"] == 5


@pytest.mark.threat("D5")
def test_who_leaves_before_the_answer_has_guessed_all_the_same(front, judge):
    """Backends say OK at once and delay a NO: who is gone by then knows."""
    judge.takes = 0.3
    gate = front()

    for number in range(3):
        client = gate.secure()
        client.send(b"a LOGIN alice@x.org guess%d\r\n" % number)
        while len(judge.asked) <= number:
            time.sleep(0.01)
        client.abandon()
        gate.wait_counters(sessions_open=0)
    judge.takes = 0

    guess(gate, "another", "bob@x.org", waits=8)


@pytest.mark.threat("D5")
def test_a_deadline_gives_no_guess_for_free(front, judge):
    """Who guesses so late that our time limit comes before the answer."""
    judge.takes = 0.5
    gate = front(timeouts={"before_login": 6})
    late = [gate.secure() for _ in range(3)]
    time.sleep(0.7)

    for number, client in enumerate(late):
        client.send(b"a LOGIN alice@x.org guess%d\r\n" % number)
    for client in late:
        assert client.read_to_end(5).startswith(b"* BYE")
    judge.takes = 0

    client = gate.secure()
    client.send(b"a LOGIN bob@x.org another\r\n")
    assert client.read_to_end(5).startswith(b"* BYE")  # before its 8 s are over
    assert len(judge.asked) == 3


def test_sessions_that_an_operator_ends_charge_nobody(front, judge):
    """Their passwords may have been right."""
    judge.takes = 1
    gate = front(timeouts={"drain": 0})
    clients = [gate.secure() for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(b"a LOGIN user%d@x.org right\r\n" % number)
    while len(judge.asked) < 3:
        time.sleep(0.01)

    path = os.path.join(gate.folder, "routes.json")
    with open(path, encoding="utf-8") as file:
        routes = json.load(file)
    backend, = routes["backends"].values()
    for state in ("maintenance", "ready"):
        backend["state"] = state
        gate.write_routes(routes)
        gate.reload()
        for client in clients:
            client.read_to_end(10)
    judge.takes = 0

    log_in_well(gate, waits=0)


@pytest.mark.threat("D5")
@pytest.mark.parametrize("separator", [None, "*"])
def test_guesses_at_a_master_are_not_spread_over_users(front, judge,
                                                       separator):
    """What counts is whose password it is, not whom it would open."""
    rules = {"delay_max": 15}
    if separator:
        rules["username"] = {"master_separator": separator}
    gate = front(auth=rules)

    for number, waits in enumerate((0, 2, 4)):
        client = gate.secure(source=f"127.0.0.{20 + number}")
        before = time.monotonic()
        if separator:
            answer = client.login(f"u{number}@x.org*root", f"pw{number}")
        else:
            answer = client.command("AUTHENTICATE PLAIN " + base64.b64encode(
                b"u%d@x.org\0root\0pw%d" % (number, number)).decode(), 10)[-1]
        lasted = (time.monotonic() - before) * SCALE
        assert answer == REFUSED
        assert is_delay(lasted, waits), lasted


@pytest.mark.threat("D5")
def test_a_master_is_the_same_in_whatever_way_the_name_is_written(front):
    gate = front(auth={"delay_max": 15, "username": {
        "default_domain": "x.org", "separators": "@%"}})

    for number, (name, waits) in enumerate(
            (("root", 0), ("ROOT%x.org", 2), ("root@X.org", 4))):
        client = gate.secure(source=f"127.0.0.{20 + number}")
        before = time.monotonic()
        answer = client.command("AUTHENTICATE PLAIN " + base64.b64encode(
            f"u{number}\0{name}\0pw{number}".encode()).decode(), 10)[-1]
        lasted = (time.monotonic() - before) * SCALE
        assert answer == REFUSED
        assert is_delay(lasted, waits), lasted


@pytest.mark.threat("D5")
def test_delay_max_is_the_longest(front):
    gate = front(auth={"delay_max": 3})

    for number, waits in enumerate((0, 2, 3, 3)):
        guess(gate, f"guess {number}", waits=waits)


@pytest.mark.threat("D5")
def test_parallel_connections_do_not_get_round_it(front, judge):
    """A hundred at once, each on again with another password as soon as it
    is answered; another session does not notice, nor another address."""
    judge.takes = 0.02
    gate = front(workers=1, limits={"login_tries": 100})
    bystander = gate.logged_in("bob@x.org", "right", source=OWNER)
    clients = [gate.secure() for _ in range(100)]
    judge.asked.clear()
    stop = time.monotonic() + 3
    answers, slowest = [], 0

    def guess_on(client, name):
        for number in range(10):
            if time.monotonic() > stop:
                return
            answers.append(client.login("alice@x.org", f"{name} {number}"))

    threads = [threading.Thread(target=guess_on, args=(client, name))
               for name, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    while time.monotonic() < stop:
        before = time.monotonic()
        assert bystander.command("NOOP")[-1].startswith(b"OK")
        slowest = max(slowest, time.monotonic() - before)
        time.sleep(0.05)
    others, lasted = log_in(gate, "right", "carol@x.org", STRANGER)
    for thread in threads:
        thread.join(10)
    for client in clients:
        client.abandon()

    assert others.startswith(b"OK") and lasted < SLACK
    assert slowest < 0.5
    guesses = [one for one in judge.asked if one[1] == b"alice@x.org"]
    assert 2 <= len(guesses) <= 16 + 3 * SCALE / 15 + 2, len(guesses)
    assert set(answer[:16] for answer in answers) <= {REFUSED[:16],
                                                      PUT_OFF}, answers
    assert answers.count(REFUSED) <= len(guesses)
    assert gate.counters()["logins_put_off"] > 80


@pytest.mark.threat("D5")
def test_other_addresses_do_not_wait(front):
    gate = front()
    attack(gate)

    log_in_well(gate, "bob@x.org", source=OWNER)
    guess(gate, "wrong", "bob@x.org", source=STRANGER)


@pytest.mark.threat("D5")
def test_ipv6_addresses_count_by_their_64(front):
    here, beside, elsewhere = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2",
                               "2001:db8:0:2::1")
    with own_network(ipv6=[here, beside, elsewhere]):
        gate = front(listeners=[
            {"address": "::1", "port": free_port(), "tls": "implicit"}])

        guess(gate, "wrong", "u1@x.org", here)
        guess(gate, "wrong", "u2@x.org", beside, waits=2)
        guess(gate, "wrong", "u3@x.org", elsewhere)


@pytest.mark.threat("D5")
def test_user_under_attack_waits_elsewhere_but_not_at_home(front):
    gate = front()
    log_in_well(gate, source=OWNER)
    attack(gate)

    log_in_well(gate, source=OWNER)
    log_in_well(gate, source=STRANGER, waits=15)
    log_in_well(gate, source=STRANGER)


@pytest.mark.threat("D5")
def test_success_does_not_clear_the_address(front):
    gate = front()
    attack(gate, "alice@x.org")

    log_in_well(gate, "mallory@x.org", ATTACKER, waits=15)
    guess(gate, "guess 5", "bob@x.org", ATTACKER, waits=15)


@pytest.mark.threat("D5")
def test_success_does_not_clear_the_user_elsewhere(front):
    gate = front()
    attack(gate, "alice@x.org")

    log_in_well(gate, "alice@x.org", OWNER, waits=15)
    guess(gate, "guess 5", "alice@x.org", STRANGER, waits=15)


@pytest.mark.threat("D5")
def test_same_wrong_password_counts_once(front):
    """A forgotten phone locks nobody out."""
    gate = front()
    log_in_well(gate, source=STRANGER)
    guess(gate, "old password")
    for _ in range(4):
        guess(gate, "old password", waits=2)

    log_in_well(gate, waits=2)
    log_in_well(gate, source=STRANGER)
    guess(gate, "another", waits=2)
    guess(gate, "a third", waits=4)


@pytest.mark.threat("D5")
@pytest.mark.parametrize("refusal, counts", [
    (b"NO [AUTHENTICATIONFAILED] no", True),
    (b"NO wrong", True),
    (b"NO [UNAVAILABLE] later", False),
    (b"NO [INUSE] busy", False),
    (b"NO [EXPIRED] too old", False),
    (b"NO [PRIVACYREQUIRED] not so", False),
    (b"NO [AUTHORIZATIONFAILED] not as that one", False),
    (b"NO [CONTACTADMIN] ask", False),
    (b"NO [LIMIT] too many", False),
])
def test_only_wrong_passwords_count(front, judge, refusal, counts):
    judge.refusal = refusal
    gate = front()

    log_in(gate, "one")
    log_in(gate, "two")
    _, lasted = log_in(gate, "three")

    assert lasted > 3.9 if counts else lasted < SLACK, lasted


def test_right_password_over_a_limit_does_not_count(front):
    gate = front(limits={"per_user": 1})
    held = gate.logged_in("alice@x.org", "right", source=OWNER)

    for _ in range(4):
        answer, lasted = log_in(gate, "right", source=STRANGER)
        assert answer.startswith(b"NO [LIMIT]") and lasted < SLACK
    held.abandon()


def test_backend_that_is_gone_does_not_count(gatepost, fake_backend, judge):
    backend = fake_backend(judge)
    backend.stop()
    gate = gatepost(routes_to(backend), auth={"delay_max": 15}, env={
        "GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)})

    for number in range(4):
        answer, lasted = log_in(gate, f"guess {number}")
        assert answer.startswith(PUT_OFF) and lasted < SLACK
    assert gate.counters()["logins_delayed"] == 0


@pytest.mark.threat("D5")
def test_unknown_user_counts_as_a_wrong_password(
        gatepost, fake_backend, judge):
    routes = {"backends": {"b1": backend_entry(fake_backend(judge))},
              "pools": {"p1": {"backends": ["b1"]}},
              "users": {"alice@x.org": "p1"}}
    gate = gatepost(routes, auth={"delay_max": 15}, workers=1, env={
        "GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)})
    guess(gate, "wrong")  # a sample of how long a refusal takes

    for number, waits in enumerate((2, 4, 8)):
        guess(gate, f"guess {number}", "nobody@y.org", waits=waits)


@pytest.mark.threat("D5")
def test_exempt_networks_never_wait(front):
    gate = front(limits={"exempt": ["127.0.0.2/31"]})

    for number in range(8):
        guess(gate, f"guess {number}", source=OWNER)
    guess(gate, "another", source=STRANGER)


def test_without_delay_max_nobody_waits(front):
    gate = front(auth={"delay_max": 0})

    for number in range(8):
        guess(gate, f"guess {number}")


@pytest.mark.threat("D5")
def test_reload_forgets_no_failure(front):
    gate = front()
    attack(gate)

    gate.settings["limits"] = {"login_tries": 5}
    gate.write_settings(gate.settings)
    gate.reload()

    guess(gate, "guess 4", source=ATTACKER, waits=15)


@pytest.mark.threat("D5")
def test_delay_is_shared_by_all_workers(front, judge):
    """Which worker a connection comes to is the kernel's choice: over many,
    each has had some."""
    gate = front(workers=4)
    for number in range(4):
        log_in(gate, f"guess {number}", source=ATTACKER)

    began = time.monotonic()
    clients = [gate.secure(source=ATTACKER) for _ in range(12)]
    for number, client in enumerate(clients):
        client.send(b'a LOGIN alice@x.org "again %d"\r\n' % number)
    answers = [client.read_reply("a")[-1] for client in clients]

    assert sum(b"UNAVAILABLE" in answer for answer in answers) == 11
    assert (time.monotonic() - began) * SCALE >= 14.9
    assert len(judge.asked) == 5


def test_client_that_leaves_while_it_waits_asks_no_backend(front, judge):
    gate = front()
    attack(gate)
    asked = len(judge.asked)

    client = gate.secure(source=ATTACKER)
    client.send(b"a LOGIN alice@x.org again\r\n")
    time.sleep(0.3)
    since = gate.mark()
    client.abandon()
    gate.session_end(since, reason="client-truncated", user=None)

    time.sleep(1.6)
    assert len(judge.asked) == asked


@pytest.mark.threat("D4")
@pytest.mark.parametrize("takes, unlike", [(0.2, 0.2), (0, 0.5)])
def test_d4_unknown_user_takes_as_long_as_a_wrong_password(
        gatepost, fake_backend, takes, unlike):
    """The same words after the same time, whether the backend delays a
    refusal or is faster than our timers."""
    judge = Judge(takes=takes)
    routes = {"backends": {"b1": backend_entry(fake_backend(judge))},
              "pools": {"p1": {"backends": ["b1"]}},
              "users": {"alice@x.org": "p1"}}
    gate = gatepost(routes, limits={"login_tries": 100}, workers=1)
    client = gate.secure()
    answers = {client.login("alice@x.org", "wrong")}  # a sample
    known, unknown = [], []

    def guess_by_turns(name):
        for number in range(15):
            if number % 4 == 0:  # a connection may try so many
                client = gate.secure()
            for user, times in (("alice@x.org", known),
                                ("eve@x.org", unknown)):
                time.sleep(random.uniform(0, 0.03))
                before = time.monotonic()
                answers.add(client.login(user, f"guess {name} {number}"))
                times.append(time.monotonic() - before)

    threads = [threading.Thread(target=guess_by_turns, args=(name,))
               for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(known) == len(unknown) == 60
    one, other = statistics.median(known), statistics.median(unknown)
    assert abs(one - other) < unlike * max(one, other), (one, other)
    assert answers == {REFUSED}
    assert {user for _, user, _ in judge.asked} == {b"alice@x.org"}


@pytest.mark.threat("D4")
def test_d4_next_delay_does_not_tell_users_apart(gatepost, fake_backend,
                                                 judge):
    """Whether a login counts that its client has left does not depend on
    whom it was for."""
    judge.takes = 0.2
    routes = {"backends": {"b1": backend_entry(fake_backend(judge))},
              "pools": {"p1": {"backends": ["b1"]}},
              "users": {"alice@x.org": "p1", "bob@x.org": "p1"}}
    gate = gatepost(routes, auth={"delay_max": 15}, workers=1, env={
        "GATEPOST_FAULT_CLOCK_SCALE": str(SCALE)})
    log_in(gate, "a sample", "bob@x.org", STRANGER)
    lasted = []

    for user, source in (("alice@x.org", ATTACKER), ("eve@x.org", OWNER)):
        client = gate.secure(source=source)
        client.send(b"a LOGIN %s left\r\n" % user.encode())
        time.sleep(0.05)
        client.abandon()
        gate.wait_counters(sessions_open=0)
        lasted.append(log_in(gate, "next", "new-" + user, source)[1])

    assert abs(lasted[0] - lasted[1]) < SLACK, lasted


class TestLoginsAtABackend:
    """limits.backend_logins and limits.backend_queue."""

    def many(self, gate, count, source=None):
        """So many logins at once; their answers."""
        clients = [gate.secure(source=source) for _ in range(count)]
        for number, client in enumerate(clients):
            client.send(b"a LOGIN user%d@x.org right\r\n" % number)
        answers = [client.read_reply("a")[-1] for client in clients]
        for client in clients:
            client.abandon()
        return answers

    def test_so_many_are_under_way_at_a_time(self, front, judge):
        judge.takes = 0.05
        gate = front(auth={"delay_max": 0}, limits={"backend_logins": 2})

        answers = self.many(gate, 12)

        assert all(answer.startswith(b"a OK") for answer in answers)
        assert judge.most_under_way == 2
        assert gate.counters()["logins_queued"] == 10

    def test_queue_is_short(self, front, judge):
        judge.takes = 0.2
        gate = front(auth={"delay_max": 0}, limits={
            "backend_logins": 1, "backend_queue": 2})

        answers = self.many(gate, 6)

        assert sum(answer.startswith(b"a OK") for answer in answers) == 3
        assert sum(answer.startswith(b"a NO [UNAVAILABLE]")
                   for answer in answers) == 3
        assert gate.counters()["logins_crowded_out"] == 3

    def test_nobody_waits_longer_than_five_seconds(self, front, judge):
        judge.takes = 1.2
        gate = front(auth={"delay_max": 0}, workers=1, limits={
            "backend_logins": 1})
        first = gate.secure()
        first.send(b"a LOGIN one@x.org right\r\n")
        time.sleep(0.1)

        answer, lasted = log_in(gate, "right")

        assert answer.startswith(b"NO [UNAVAILABLE]")
        assert 5 <= lasted + 0.05 and lasted < 5 + SLACK
        assert first.read_reply("a")[-1].startswith(b"a OK")

    def test_place_is_free_when_a_client_leaves(self, front, judge):
        judge.takes = 1
        gate = front(auth={"delay_max": 0}, workers=1, limits={
            "backend_logins": 1, "backend_queue": 1})
        first, second = gate.secure(), gate.secure()
        first.send(b"a LOGIN one@x.org right\r\n")
        while not judge.asked:
            time.sleep(0.01)
        second.send(b"a LOGIN two@x.org right\r\n")
        gate.wait_counters(logins_queued=1)
        second.abandon()
        gate.wait_counters(sessions_open=1)
        first.abandon()
        gate.wait_counters(sessions_open=0)

        answer, _ = log_in(gate, "right", "three@x.org")

        assert answer.startswith(b"OK"), answer
        assert gate.counters()["logins_queued"] == 1  # not the third
        assert [user for _, user, _ in judge.asked] == [b"one@x.org",
                                                        b"three@x.org"]


class TestHouseFull:
    """The oldest connection without a login makes room."""

    def idle(self, gate, count, how="starttls"):
        clients = []
        for _ in range(count):
            client = gate.connect(how)
            assert client.read_line().startswith(b"* OK")
            clients.append(client)
            time.sleep(0.02)
        return clients

    @pytest.mark.threat("G2")
    def test_oldest_goes_when_no_session_is_left(self, front):
        gate = front(workers=1, limits={"sessions": 4})
        held = gate.logged_in(password="right")
        idle = self.idle(gate, 3)
        time.sleep(0.2)  # none has just come

        log_in_well(gate, "bob@x.org")

        assert idle[0].read_line().startswith(b"* BYE [UNAVAILABLE] ")
        for client in idle[1:]:
            assert client.command("NOOP")[-1].startswith(b"OK")
        assert held.command("NOOP")[-1].startswith(b"OK")
        assert gate.session_end(reason="evicted")
        assert gate.counters()["evicted"] == 1

    @pytest.mark.threat("G2")
    def test_nobody_goes_who_has_just_come(self, gatepost, fake_backend,
                                           judge):
        gate = gatepost(routes_to(fake_backend(judge)), workers=1,
                        limits={"sessions": 2})
        idle = self.idle(gate, 2)
        late = gate.connect("starttls")

        time.sleep(0.3)
        assert gate.counters()["evicted"] == 0
        assert late.read_line().startswith(b"* OK")
        assert idle[0].read_line().startswith(b"* BYE")

    @pytest.mark.threat("G2")
    def test_logged_in_sessions_never_go(self, front):
        gate = front(workers=1, limits={"sessions": 2})
        held = [gate.logged_in(f"u{number}@x.org", "right")
                for number in range(2)]
        late = gate.connect("starttls")

        time.sleep(0.5)
        assert all(client.command("NOOP")[-1].startswith(b"OK")
                   for client in held)
        held[0].reset()
        assert late.read_line().startswith(b"* OK")
        assert gate.counters()["evicted"] == 0

    @pytest.mark.threat("G2")
    def test_house_of_idlers_serves_who_logs_in(self, front):
        """A stranger who keeps all places busy keeps nobody out."""
        gate = front(workers=2, limits={"sessions": 20})
        stop = threading.Event()

        def occupy():
            held = []
            while not stop.is_set():
                try:
                    held.append(gate.connect("starttls", source=ATTACKER))
                    time.sleep(0.02)
                except OSError:
                    time.sleep(0.05)
            for client in held:
                client.abandon()

        thread = threading.Thread(target=occupy)
        thread.start()
        try:
            time.sleep(1)
            for number in range(5):
                answer, _ = log_in(gate, "right", f"u{number}@x.org", OWNER)
                assert answer.startswith(b"OK"), answer
        finally:
            stop.set()
            thread.join(10)

    @pytest.mark.threat("G2")
    @pytest.mark.parametrize("how", ["starttls", "implicit"])
    def test_oldest_goes_when_too_many_are_before_login(self, front, how):
        gate = front(workers=1, limits={"before_login": 3})
        held = [gate.logged_in(f"u{number}@x.org", "right")
                for number in range(5)]
        idle = [gate.secure() if how == "implicit" else gate.connect(how)
                for _ in range(3)]
        time.sleep(0.2)

        log_in_well(gate, "bob@x.org")

        if how == "starttls":
            assert idle[0].read_line().startswith(b"* OK")
        assert idle[0].read_line().startswith(b"* BYE [UNAVAILABLE] ")
        assert all(client.command("NOOP")[-1].startswith(b"OK")
                   for client in held)
        assert gate.counters()["evicted"] == 1

    @pytest.mark.threat("G2")
    def test_too_many_at_once_are_turned_away(self, gatepost, fake_backend,
                                              judge):
        gate = gatepost(routes_to(fake_backend(judge)), workers=1,
                        limits={"before_login": 2})
        idle = self.idle(gate, 2)

        late = gate.connect("starttls")

        assert late.read_line().startswith(b"* BYE [UNAVAILABLE]")
        assert all(client.command("NOOP")[-1].startswith(b"OK")
                   for client in idle)
        assert gate.session_end(reason="limit", detail="before_login")

    @pytest.mark.threat("G2")
    def test_exempt_networks_are_always_let_in(self, gatepost, fake_backend,
                                               judge):
        gate = gatepost(routes_to(fake_backend(judge)), workers=1,
                        limits={"before_login": 2, "accept_rate": 3,
                                "exempt": ["127.0.0.2/31"]})
        for _ in range(10):
            client = gate.connect("starttls", source=OWNER)
            assert client.read_line().startswith(b"* OK")
        self.idle(gate, 2)

        assert gate.connect("starttls").read_line().startswith(b"* BYE")

    @pytest.mark.threat("G2")
    def test_who_is_not_counted_makes_no_room(self, front):
        gate = front(workers=1, limits={"before_login": 2,
                                        "exempt": ["127.0.0.2/31"]})
        spared = gate.connect("starttls", source=OWNER)
        assert spared.read_line().startswith(b"* OK")
        idle = self.idle(gate, 2)
        time.sleep(0.2)

        log_in_well(gate)

        assert idle[0].read_line().startswith(b"* BYE")
        assert spared.command("NOOP")[-1].startswith(b"OK")

    @pytest.mark.threat("G2")
    def test_who_is_leaving_stands_in_nobody_s_way(self, gatepost,
                                                   fake_backend, judge):
        """However many ended connections their clients hold open."""
        gate = gatepost(routes_to(fake_backend(judge)), workers=1,
                        limits={"before_login": 3})
        for _ in range(70):
            leaving = gate.connect("starttls")
            leaving.read_line()
            assert leaving.command("LOGOUT")[-1].startswith(b"OK")
        idle = self.idle(gate, 3)
        time.sleep(1.1)

        assert gate.connect("starttls").read_line().startswith(b"* OK")
        assert idle[0].read_line().startswith(b"* BYE")

    @pytest.mark.threat("G2")
    def test_client_may_go_in_the_middle_of_its_login(self, front, judge):
        judge.takes = 1
        gate = front(workers=1, limits={"sessions": 1})
        client = gate.secure()
        client.send(b"a LOGIN alice@x.org right\r\n")
        time.sleep(0.3)

        late = gate.connect("starttls")

        assert late.read_line().startswith(b"* OK")
        assert client.read_line().startswith(b"* BYE")
        time.sleep(1)
        assert late.command("NOOP")[-1].startswith(b"OK")
