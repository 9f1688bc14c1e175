"""What an operator asks reaches the processes from before upgrades, too:
status, sessions and kick, and orders about backends."""

import os
import signal
import socket
import subprocess
import time

import pytest

from gatepost_test import admin, orphans
from gatepost_test.backend import FakeBackend
from gatepost_test.gatepost import (
    SANITIZER_REPORT, Gatepost, environment, routes_to)
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer

TOKEN = "a-token-of-some-length"
ALL = "everywhere@example.org"


class Chain:
    """A Gatepost in front of one backend, and those that took its place: the
    first of `processes` is the oldest. In each are two sessions, one of a user
    of its own and one of a user who has one in each."""

    def __init__(self, binary, folder, listeners, length):
        orphans.adopt()
        self.path = os.path.join(folder, admin.SOCKET)
        self.port = free_port()
        self.processes, self.clients = [], []
        where = os.path.join(folder, "token")
        with open(where, "w") as out:
            out.write(TOKEN)
        os.chmod(where, 0o600)
        self.backend = FakeBackend(ImapServer())
        self.server = Gatepost(binary, folder, {
            **listeners, "timeouts": {"drain": 0.3}, "admin": {
                "socket": admin.SOCKET, "token": "token",
                "listen": {"address": "127.0.0.1", "port": self.port}}},
            routes_to(self.backend))
        self._log_in()
        for _ in range(1, length):
            self.upgrade()

    def _log_in(self):
        number = len(self.processes)
        self.processes.append(self.server.pid)
        self.clients.append({user: self.server.logged_in(user) for user in (
            f"user{number}@example.org", ALL)})

    def upgrade(self):
        """Has one more process take over."""
        answer = self.ask("/upgrade", "POST", timeout=60)
        assert answer.status == 200, answer.text
        self.server.follow(answer.json["successor"])
        self._log_in()

    def ask(self, target, method="GET", timeout=20):
        """The Answer to a request."""
        return admin.request(self.path, target, method, timeout=timeout)

    def command(self, name, *arguments):
        """(exit status, output, errors) of `gatepost NAME`."""
        done = subprocess.run(
            [self.server.binary, name, "--socket", self.path, *arguments],
            capture_output=True, text=True, timeout=60, env=environment({}))
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done.returncode, done.stdout, done.stderr

    def stop(self):
        """Ends all of it."""
        self.server.stop()
        self.backend.stop()


@pytest.fixture(scope="module")
def still(binary, session_folder, authority, leaf):
    """A Chain of three, of which the tests only hear."""
    folder = os.path.join(session_folder, "upgrade-admin")
    os.mkdir(folder)
    authority.save(folder)
    leaf.save(folder, "tls")
    chain = Chain(binary, folder, listeners(), 3)
    yield chain
    chain.stop()


@pytest.fixture
def chain(binary, folder):
    """chain(length): a Chain of so many processes."""
    made = []

    def make(length):
        made.append(Chain(binary, folder, listeners(), length))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def listeners():
    """What a Gatepost listens on."""
    return {"listeners": [{"address": "127.0.0.1", "port": free_port(),
                           "tls": "implicit"}],
            "tls": {"certificates": [{"chain": "tls.pem", "key": "tls.key"}]},
            "workers": 2}


def sessions_by_pages(chain, limit, choice=""):
    """All rows, read by pages of so many, each of which must be full."""
    rows, after = [], ""
    while True:
        page = chain.ask(f"/sessions?limit={limit}{choice}{after}").json
        assert page["complete"] is True
        rows += page["sessions"]
        if page["next"] is None:
            return rows
        assert len(page["sessions"]) == limit
        after = f"&after={page['next']}"


def wait_for(claim):
    """Until it holds."""
    deadline = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- status ------------------------------------------------------------------

def test_status_tells_of_every_process(still):
    first, second, third = still.processes

    told = still.ask("/status").json

    assert (told["pid"], told["state"]) == (third, "serving")
    assert told["sessions"]["open"] == 2
    assert [(process["pid"], process["state"], process["sessions"]["open"])
            for process in told["predecessors"]] == [
                (second, "retired", 2), (first, "retired", 2)]
    for process in told["predecessors"]:
        assert 0 <= process["retired_seconds"] <= process["uptime"]
        assert process["version"] == told["version"]


def test_the_command_prints_every_process(still):
    first, second, _ = still.processes

    status, output, errors = still.command("status")

    assert (status, errors) == (0, "")
    assert [int(line.split()[1]) for line in output.splitlines()
            if line.startswith("process ")] == [second, first]
    assert output.count(" retired for ") == 2
    assert output.count("; 2 sessions, of them 0 before login\n") == 2


def test_a_process_that_does_not_answer_is_told_as_such(still):
    _, second, third = still.processes
    os.kill(second, signal.SIGSTOP)
    try:
        told = still.ask("/status?wait=1000").json
        page = still.ask("/sessions?wait=1000").json
        kick = still.ask("/kick?user=nobody&wait=1000", "POST").json
    finally:
        os.kill(second, signal.SIGCONT)

    assert told["predecessors"] == [{"pid": second, "state": "silent"}]
    assert page["complete"] is False
    assert {session["process"] for session in page["sessions"]} == {third}
    assert kick == {"sessions": 0, "complete": False}


# -- sessions ----------------------------------------------------------------

@pytest.mark.parametrize("limit", [1, 2, 4, 1000])
def test_sessions_of_all_processes_come_by_pages(still, limit):
    order = {process: at for at, process in enumerate(still.processes[::-1])}

    rows = sessions_by_pages(still, limit)

    assert sorted((row["process"], row["user"]) for row in rows) == sorted(
        (process, user) for number, process in enumerate(still.processes)
        for user in (f"user{number}@example.org", ALL))
    assert len({(row["process"], row["id"]) for row in rows}) == 6
    turns = [order[row["process"]] for row in rows]
    assert turns == sorted(turns), "the newest process comes first"


def test_sessions_can_be_chosen_in_all_processes(still):
    def who(choice):
        return [row["process"] for row in sessions_by_pages(still, 1, choice)]

    assert who(f"&user={ALL}") == still.processes[::-1]
    assert who("&user=user0@example.org") == still.processes[:1]
    assert who("&backend=nowhere") == []


def test_the_command_lists_the_sessions_of_every_process(still):
    status, output, errors = still.command("sessions", "--user", ALL)

    assert (status, errors) == (0, "")
    assert [int(line.partition(":")[0]) for line in output.splitlines()] == (
        still.processes[::-1])


def test_a_page_of_a_process_that_has_ended_is_empty(still):
    page = still.ask("/sessions?after=1:0-0").json

    assert (page["sessions"], page["next"]) == ([], None)


@pytest.mark.parametrize("after", ["1:", ":0-0", "x:0-0", "1:0", "1:1:0-0",
                                   "-1:0-0", "99999999999:0-0"])
def test_a_place_that_no_page_gave_is_refused(still, after):
    assert still.ask(f"/sessions?after={after}").status == 400


def test_a_page_goes_on_behind_an_upgrade(chain):
    mine = chain(2)
    page = mine.ask("/sessions?limit=1").json

    mine.upgrade()
    rest = mine.ask(f"/sessions?after={page['next']}").json

    assert [row["process"] for row in rest["sessions"]] == [
        mine.processes[1], mine.processes[0], mine.processes[0]]


# -- kick, orders ------------------------------------------------------------

@pytest.mark.threads
def test_a_kick_ends_a_users_sessions_in_all_processes(chain):
    mine = chain(3)

    told = mine.command("kick", "--user", ALL)

    assert told == (0, "sessions to end: 3\n", "")
    for number, clients in enumerate(mine.clients):
        assert clients[ALL].read_to_end() == b""
        clients[f"user{number}@example.org"].command("NOOP")


def test_maintenance_ends_sessions_in_all_processes(chain):
    mine = chain(3)

    assert mine.command("maintenance", "b1")[0] == 0

    for client in (one for some in mine.clients for one in some.values()):
        assert client.read_to_end() == b""
        client.abandon()
    # Whoever has no session any more is gone, and told of no more.
    wait_for(lambda: mine.ask("/status").json["predecessors"] == [])


def test_a_table_that_sets_maintenance_holds_for_all_processes(chain):
    mine = chain(2)
    routes = routes_to(mine.backend)
    for backend in routes["backends"].values():
        backend["state"] = "maintenance"
    mine.server.write_routes(routes)

    assert mine.command("reload")[0] == 0

    for client in (one for some in mine.clients for one in some.values()):
        assert client.read_to_end() == b""


def test_an_order_that_comes_too_late_is_refused(chain):
    """By a connection that the process had before it retired."""
    mine = chain(1)
    early = [admin.connect(mine.path) for _ in range(3)]
    for plug, target in zip(early, ("/drain?backend=b1", "/reload",
                                    "/upgrade")):
        plug.sendall(f"POST {target} HTTP/1.1\r\n".encode())
    mine.upgrade()

    for plug in early:
        plug.sendall(b"Host: localhost\r\n\r\n")
    answers = [admin.Answer(admin.read_all(plug)) for plug in early]

    assert [answer.status for answer in answers] == [503, 503, 409]
    assert {answer.json["error"] for answer in answers} == {
        "another process serves by now: ask again"}
    for plug in early:
        plug.close()


# -- the sockets -------------------------------------------------------------

def test_the_sockets_outlive_their_maker(chain):
    mine = chain(1)
    inode = os.lstat(mine.path).st_ino

    mine.upgrade()
    for client in mine.clients[0].values():
        client.abandon()
    wait_for(lambda: mine.server.process.poll() is not None)

    assert os.lstat(mine.path).st_ino == inode
    assert mine.ask("/status").json["pid"] == mine.server.pid
    assert by_tcp(mine.port)["pid"] == mine.server.pid
    for client in mine.clients[1].values():
        client.abandon()
    mine.server.signal(signal.SIGTERM)
    mine.server.wait_exit()
    assert not os.path.lexists(mine.path)


def test_a_socket_of_another_name_takes_the_place_of_the_first(chain):
    mine = chain(1)
    former, mine.path = mine.path, mine.path + "2"

    mine.server.settings["admin"]["socket"] += "2"
    mine.server.write_settings(mine.server.settings)
    answer = admin.request(former, "/upgrade", "POST", timeout=60).json
    mine.server.follow(answer["successor"])

    told = mine.ask("/status").json
    assert told["pid"] == mine.server.pid
    assert [one["pid"] for one in told["predecessors"]] == mine.processes
    assert not os.path.lexists(former)


def test_a_successor_without_its_sockets_is_refused(chain):
    mine = chain(1)
    inode = os.lstat(mine.path).st_ino
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        mine.server.settings["admin"]["listen"]["port"] = (
            other.getsockname()[1])
        mine.server.write_settings(mine.server.settings)

        answer = mine.ask("/upgrade", "POST", timeout=60)

    assert answer.status == 409
    assert "another program listens there" in " ".join(answer.json["reasons"])
    assert os.lstat(mine.path).st_ino == inode
    assert mine.ask("/status").json["pid"] == mine.server.pid
    assert by_tcp(mine.port)["pid"] == mine.server.pid


def by_tcp(port):
    """The status as whoever has the token hears it."""
    with socket.create_connection(("127.0.0.1", port), 10) as plug:
        plug.sendall(b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     b"Authorization: Bearer " + TOKEN.encode() +
                     b"\r\n\r\n")
        return admin.Answer(admin.read_all(plug)).json
