"""A user is moved to another server by the recipe of the manual page (MOVING A
USER) while that user logs in all the time; who was where is said by the
servers' own logs."""

import collections
import contextlib
import json
import os
import re
import subprocess
import threading
import time

import pytest

from gatepost_test import admin, orphans
from gatepost_test.dovecot import Dovecot, stop_all
from gatepost_test.gatepost import (
    SANITIZER_REPORT, backend_entry, environment)
from gatepost_test.wire import WireClient, WireTimeout, trusting

USER, PASSWORD = "alice@example.org", "secret-alice"

# Seconds of Unix time, of what Dovecot's master has read from its processes.
STAMPS = 'log_timestamp = "%s.%{usecs} "\n'
BEGUN = re.compile(r"^([\d.]+) imap-login: Info: Login: user=<alice@.*"
                   r"session=<([^>]*)>", re.M)
ENDED = re.compile(r"^([\d.]+) imap\(alice@[^)]*\)<\d+><([^>]*)>: Info: "
                   r"(?:Disconnected|Logged out)", re.M)

Stay = collections.namedtuple("Stay", "server begun ended")


class Server(Dovecot):
    """A shard that tells who was logged in when."""

    def __init__(self, name, leaf, **more):
        super().__init__(name, leaf, {USER: PASSWORD},
                         more=STAMPS + more.pop("more", ""), **more)

    def come_up(self):
        super().come_up()
        self._hurry_log()

    def _hurry_log(self):
        """Who stamps the lines gets the processor before those who wrote them
        go on, where we have the right to say so: what is late in the log is
        late by this process alone."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as children:
            for pid in map(int, children.read().split()):
                with open(f"/proc/{pid}/comm", encoding="ascii") as name:
                    if name.read() == "log\n":
                        with contextlib.suppress(PermissionError):
                            os.setpriority(os.PRIO_PROCESS, pid, -20)

    def stays(self):
        """Each of the user's sessions; `ended` is None while it lasts."""
        log = self.log()
        ends = {name: float(at) for at, name in ENDED.findall(log)}
        # Two processes of Dovecot's tell of the begin and of the end, and the
        # former may be heard last.
        return [Stay(self, min(float(at), ends.get(name, float(at))),
                     ends.get(name)) for at, name in BEGUN.findall(log)]

    def has_user(self):
        """Whether anybody is there now."""
        return any(not one.ended for one in self.stays())

    def wait_empty(self, timeout=10):
        """Until nobody is there any more, as `doveadm who` would have it."""
        deadline = time.monotonic() + timeout
        while open_stays := [one for one in self.stays() if not one.ended]:
            assert time.monotonic() < deadline, open_stays
            time.sleep(0.005)


@pytest.fixture
def servers(leaf):
    """The user's mail is at the first; the second knows the user."""
    pair = []
    try:
        for name in ("shard-a", "shard-b"):
            pair.append(Server(name, leaf))
        subprocess.run(["rm", "-r", pair[1].mailbox(USER)], check=True)
        yield pair
    finally:
        stop_all(pair)


@pytest.fixture
def path(folder):
    """Where the socket is."""
    return os.path.join(folder, admin.SOCKET)


@pytest.fixture
def run(binary, path):
    """run("kick", "--user", ...): what the command printed."""
    def ask(name, *arguments):
        done = subprocess.run([binary, name, *arguments, "--socket", path],
                              capture_output=True, text=True, timeout=30,
                              env=environment({}), check=False)
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        assert done.returncode == 0, done.stderr
        return done.stdout
    return ask


def table(servers, rule):
    """routes.json with this rule for the user."""
    return {"backends": {one.name: backend_entry(one) for one in servers},
            "pools": {one.name: {"backends": [one.name]} for one in servers},
            "users": {USER: rule}}


def all_stays(servers):
    """The sessions at all of them, in order of their begin."""
    return sorted((stay for one in servers for stay in one.stays()),
                  key=lambda stay: stay.begun)


class Crowd:
    """Clients of one user that log in, store a message, and leave, or are
    ended, again and again."""

    def __init__(self, front, count):
        self.front, self.stop = front, threading.Event()
        self.stored, self.told, self.faults = set(), collections.Counter(), []
        self._names = iter(range(1 << 30))
        self._context = trusting()
        self._threads = [threading.Thread(target=self._work)
                         for _ in range(count)]

    def __enter__(self):
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for one in self._threads:
            one.join()

    def _work(self):
        while not self.stop.is_set():
            try:
                with WireClient(self.front.address()) as client:
                    client.handshake(self._context)
                    client.read_line()
                    self._visit(client)
            except WireTimeout as fault:
                self.faults.append(fault)
            except OSError:
                self.told["ended"] += 1

    def _visit(self, client):
        answer = client.login(USER, PASSWORD)
        if not answer.startswith(b"OK"):
            self.told[answer[:17]] += 1
            time.sleep(0.01)
            return
        self.told["OK"] += 1
        name = next(self._names)
        message = b"Subject: mail %d\r\n\r\n.\r\n" % name
        client.send(b"s APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))
        if client.read_reply("s")[-1].startswith(b"s OK"):
            self.stored.add(name)
        time.sleep(name % 4 / 100)
        if name % 2:
            client.command("LOGOUT")

    def wait_login(self, timeout=10):
        """Until one more login was granted."""
        had, deadline = self.told["OK"], time.monotonic() + timeout
        while self.told["OK"] == had:
            assert time.monotonic() < deadline, self.told
            time.sleep(0.005)


def stored_at(server):
    """The numbers of the messages that the user's mailbox holds."""
    found = []
    for part in ("new", "cur"):
        folder = f"{server.mailbox(USER)}/{part}"
        for name in os.listdir(folder):
            with open(f"{folder}/{name}") as message:
                found += re.findall(r"^Subject: mail (\d+)", message.read(),
                                    re.M)
    return sorted(map(int, found))


class Commands:
    """What an operator types."""

    def __init__(self, run):
        self.run = run

    def reload(self):
        self.run("reload")

    def kick(self):
        self.run("kick", "--user", USER)

    def has_home(self):
        return "\nhome:" in self.run("route", "--live", USER)


class Requests:
    """What these commands ask, without a process for each."""

    def __init__(self, path):
        self.path = path

    def _ask(self, target, method="POST"):
        answer = admin.request(self.path, target, method)
        assert answer.status == 200, answer.body
        return answer

    def reload(self):
        self._ask("/reload")

    def kick(self):
        self._ask(f"/kick?user={USER}")

    def has_home(self):
        return bool(self._ask(f"/route?user={USER}", "GET").json["home"])


def wait_gone(orders, timeout=10):
    """Until no server has a session of the user."""
    deadline = time.monotonic() + timeout
    while orders.has_home():
        assert time.monotonic() < deadline, "somebody stays"
        time.sleep(0.002)


class Mover:
    """Moves the user from one server to the other."""

    def __init__(self, front, servers):
        self.front, self.servers = front, servers
        self.syncs = []  # (begun, ended, old, new)
        self.held = []   # seconds for which the user could not log in

    def move(self, orders, old, new):
        begun = time.monotonic()
        self.front.write_routes(table(self.servers, {"pool": old.name,
                                                     "hold": True}))
        orders.reload()
        orders.kick()
        wait_gone(orders)
        old.wait_empty()
        sync = time.time()
        os.rename(old.mailbox(USER), new.mailbox(USER))
        self.syncs.append((sync, time.time(), old, new))
        self.front.write_routes(table(self.servers, new.name))
        orders.reload()
        self.held.append(time.monotonic() - begun)

    def check(self):
        """Between two moves there are sessions at one server only, and
        during a sync there are none."""
        stays = all_stays(self.servers)
        syncs, home = iter(self.syncs), self.servers[0]
        next_sync = next(syncs, None)
        for stay in stays:
            while next_sync and stay.begun > next_sync[0]:
                assert stay.begun > next_sync[1], (stay, next_sync)
                home = next_sync[3]
                next_sync = next(syncs, None)
            assert stay.server is home, stay
            assert not next_sync or stay.ended < next_sync[0], stay
        return len(stays)


@pytest.mark.limit(120)
def test_a_user_who_logs_in_all_the_time_is_moved_again_and_again(
        gatepost, servers, path, run, times):
    front = gatepost(table(servers, servers[0].name),
                     admin={"socket": admin.SOCKET})
    mover, orders = Mover(front, servers), Requests(path)

    with Crowd(front, 3) as crowd:
        for number in range(times(20, 1000)):
            crowd.wait_login()
            time.sleep(number % 5 / 50)
            mover.move(Commands(run) if number == 0 else orders,
                       servers[number % 2], servers[(number + 1) % 2])
        crowd.wait_login()
    wait_gone(orders)
    for one in servers:
        one.wait_empty()

    sessions = mover.check()
    assert not crowd.faults
    assert set(crowd.told) <= {"OK", "ended", b"NO [UNAVAILABLE] "}, crowd.told
    found = stored_at(mover.syncs[-1][3])
    assert len(found) == len(set(found))
    assert crowd.stored <= set(found)
    held = sorted(mover.held)
    print(f"{len(mover.syncs)} moves, {sessions} sessions by the servers' "
          f"logs, {len(crowd.stored)} messages stored and none lost; "
          f"{dict(crowd.told)}; held for {held[len(held) // 2] * 1000:.0f} ms "
          f"(median), {held[-1] * 1000:.0f} ms (most)")


@pytest.mark.limit(120)
def test_a_user_is_moved_whose_sessions_an_upgrade_left_behind(
        gatepost, servers, path, run):
    """The process before holds sessions, and may have logins under way."""
    orphans.adopt()
    front = gatepost(table(servers, servers[0].name),
                     admin={"socket": admin.SOCKET})
    mover = Mover(front, servers)

    with Crowd(front, 2) as crowd:
        for number in range(3):
            old, new = servers[number % 2], servers[(number + 1) % 2]
            client = front.logged_in(USER, PASSWORD)
            front.follow(json.loads(run("upgrade", "--json"))["successor"])
            crowd.wait_login()
            mover.move(Commands(run), old, new)
            assert client.read_to_end() == b""
            crowd.wait_login()
            assert not old.has_user()
    wait_gone(Requests(path))
    for one in servers:
        one.wait_empty()

    mover.check()
    assert not crowd.faults
    assert crowd.stored <= set(stored_at(mover.syncs[-1][3]))


def clashes(stays):
    """Sessions that began while one at the other server went on."""
    found, last = [], {}
    for stay in stays:
        found += [(stay, other) for server, other in last.items()
                  if server is not stay.server and other.ended > stay.begun]
        former = last.get(stay.server)
        if not former or former.ended < stay.ended:
            last[stay.server] = stay
    return found


class Pair:
    """Two sessions of the user, held while others come and go."""

    def __init__(self, front, servers):
        self.front, self.servers, self.clients = front, servers, []

    def log_in(self):
        for client in self.clients:
            client.abandon()
        deadline = time.monotonic() + 10
        self.clients = []
        while len(self.clients) < 2:
            client = self.front.secure()
            if client.login(USER, PASSWORD).startswith(b"OK"):
                self.clients.append(client)
            assert time.monotonic() < deadline

    def are_well(self):
        return all(client.command("NOOP")[-1].startswith(b"OK")
                   for client in self.clients)

    def place(self):
        """The one server that both are at. The last lines of a log that tell
        who has left another are awaited."""
        deadline = time.monotonic() + 10
        while len(places := [one for one in self.servers
                             if one.has_user()]) != 1:
            assert time.monotonic() < deadline, all_stays(self.servers)
            time.sleep(0.01)
        return places[0]


@pytest.mark.limit(120)
def test_drain_down_and_up_never_put_a_user_at_two_servers(
        gatepost, servers, path, run):
    table_of_both = {
        "backends": {one.name: backend_entry(one) for one in servers},
        "pools": {"both": {"backends": [one.name for one in servers],
                           "when_down": "next"}},
        "default": "both"}
    front = gatepost(table_of_both, {"GATEPOST_FAULT_CLOCK_SCALE": "5"},
                     admin={"socket": admin.SOCKET})
    pair, orders = Pair(front, servers), Requests(path)

    with Crowd(front, 2) as crowd:
        pair.log_in()
        home = pair.place()
        other, = (one for one in servers if one is not home)

        run("drain", home.name)
        for _ in range(3):
            crowd.wait_login()
        assert pair.are_well() and pair.place() is home
        while not other.has_user():
            orders.kick()
            crowd.wait_login()
        pair.log_in()

        run("ready", home.name)
        for _ in range(3):
            crowd.wait_login()
        assert pair.are_well() and pair.place() is other

        other.go_down()
        crowd.wait_login()
        pair.log_in()
        assert pair.place() is home

        other.come_up()
        for _ in range(3):
            crowd.wait_login()
        assert pair.are_well() and pair.place() is home
    for client in pair.clients:
        client.abandon()
    for one in servers:
        one.wait_empty()

    assert not crowd.faults
    stays = all_stays(servers)
    assert len({stay.server.name for stay in stays}) == 2
    assert not clashes(stays)
