"""One user, one backend: while a user has a session, the next login goes to
the same server; where it cannot, the user's sessions are closed first."""

import base64
import json
import os
import random
import select
import socket
import subprocess
import threading
import time

import pytest

from gatepost_test import admin, orphans
from gatepost_test.gatepost import backend_entry, environment
from gatepost_test.scripts import ImapServer

pytestmark = pytest.mark.threads

USER = "alice@example.org"
BALANCES = ["hash", "least-sessions", "round-robin"]


def is_over(sock):
    """Whether the other side has ended it, read or not."""
    try:
        return (bool(select.select([sock], [], [], 0)[0]) and
                sock.recv(1, socket.MSG_PEEK) == b"")
    except (OSError, ValueError):
        return True


class Board:
    """Who is logged in at which of some servers; remembers each user that was
    at two of them at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.open = []  # (user, server, conversation)
        self.clashes = []

    def enter(self, server, conversation):
        with self.lock:
            for user, other, former in self.open:
                if (user == conversation.user and other is not server and
                        not is_over(former.sock)):
                    self.clashes.append(user)
            self.open.append((conversation.user, server, conversation))


class Watched(ImapServer):
    """Tells the board of each login, before the client hears of it."""

    def __init__(self, board):
        super().__init__()
        self.board = board

    def _try_login(self, conversation, tag, name, rest):
        good = super()._try_login(conversation, tag, name, rest)
        self.board.enter(self, conversation)
        return good


@pytest.fixture
def board():
    found = Board()
    yield found
    assert not found.clashes


@pytest.fixture
def backends(fake_backend, board):
    return [fake_backend(Watched(board)) for _ in range(2)]


def routes(backends, changes=None, **pool):
    entries = {f"b{at}": backend_entry(backend)
               for at, backend in enumerate(backends)}
    for name, change in (changes or {}).items():
        entries[name].update(change)
    return {"backends": entries,
            "pools": {"p1": {"backends": list(entries), **pool}},
            "default": "p1"}


def login(front, user=USER):
    client = front.secure()
    return client, client.command(f"LOGIN {user} secret", 20)[-1]


def place(front, backends, user=USER):
    """Logs in; returns the client and which backend it came to."""
    before = [one.connects for one in backends]
    client, answer = login(front, user)
    assert answer.startswith(b"OK"), answer
    at, = (at for at, was in enumerate(before)
           if backends[at].connects > was)
    return client, at


def leave_all(front, clients):
    for client in clients:
        client.abandon()
    front.wait_counters(sessions_open=0)


def reload(front, *arguments, **pool):
    front.write_routes(routes(*arguments, **pool))
    front.reload()


def closed(client):
    return client.read_to_end(10) == b""


@pytest.mark.parametrize("balance", ["least-sessions", "round-robin"])
def test_the_next_login_goes_where_the_first_is(gatepost, backends, balance):
    front = gatepost(routes(backends, balance=balance))

    homes = {place(front, backends)[1] for _ in range(6)}
    others = {place(front, backends, f"user{number}@example.org")[1]
              for number in range(4)}

    assert len(homes) == 1
    assert others == {0, 1} or balance == "least-sessions"


@pytest.mark.parametrize("balance", ["least-sessions", "round-robin"])
def test_stores_that_allow_more_spread_a_user(gatepost, fake_backend, balance):
    backends = [fake_backend(ImapServer()), fake_backend(ImapServer())]
    front = gatepost(routes(backends, balance=balance,
                            one_backend_per_user=False))

    clients = [login(front)[0] for _ in range(6)]

    assert [one.connects for one in backends] == [3, 3]
    leave_all(front, clients)


def test_stores_that_allow_more_hash_a_user_wherever_sessions_are(
        gatepost, fake_backend):
    """The hash names one; a session that is still elsewhere holds nobody."""
    backends = [fake_backend(ImapServer()), fake_backend(ImapServer())]
    pool = {"balance": "hash", "when_down": "next",
            "one_backend_per_user": False}
    front = gatepost(routes(backends, **pool))
    first, home = place(front, backends)
    second, again = place(front, backends)
    assert again == home

    reload(front, backends, {f"b{home}": {"state": "draining"}}, **pool)
    third, refuge = place(front, backends)
    reload(front, backends, **pool)
    fourth, back = place(front, backends)

    assert (refuge, back) == (1 - home, home)
    clients = [first, second, third, fourth]
    assert all(client.command("NOOP")[-1].startswith(b"OK")
               for client in clients)
    leave_all(front, clients)


def test_many_logins_at_once_meet_at_one_backend(gatepost, backends):
    front = gatepost(routes(backends, balance="round-robin"))
    answers = []

    def log_in():
        answers.append(login(front)[1])

    threads = [threading.Thread(target=log_in) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(answer.startswith(b"OK") for answer in answers)
    assert sorted(one.connects for one in backends) == [0, 12]


@pytest.mark.parametrize("when_down", ["next", "refuse"])
@pytest.mark.parametrize("balance", BALANCES)
def test_a_drain_keeps_users_together(gatepost, backends, balance, when_down):
    pool = {"balance": balance, "when_down": when_down}
    front = gatepost(routes(backends, **pool))
    first, home = place(front, backends)

    reload(front, backends, {f"b{home}": {"state": "draining"}}, **pool)
    second, again = place(front, backends)

    assert again == home
    assert first.command("NOOP")[-1].startswith(b"OK")
    leave_all(front, [first, second])
    if (balance, when_down) == ("hash", "refuse"):
        assert login(front)[1].startswith(b"NO [UNAVAILABLE]")
    else:
        assert place(front, backends)[1] != home


@pytest.mark.parametrize("balance", BALANCES)
def test_failback_waits_for_the_last_session(gatepost, backends, balance):
    pool = {"balance": balance, "when_down": "next"}
    front = gatepost(routes(backends, **pool))
    first, home = place(front, backends)
    leave_all(front, [first])
    reload(front, backends, {f"b{home}": {"state": "maintenance"}}, **pool)
    first, refuge = place(front, backends)
    assert refuge != home

    reload(front, backends, **pool)
    others = [place(front, backends) for _ in range(3)]

    assert {at for _, at in others} == {refuge}
    leave_all(front, [first, *(client for client, _ in others)])
    if balance == "hash":
        assert place(front, backends)[1] == home


@pytest.mark.parametrize("balance", BALANCES)
def test_a_weight_that_changes_moves_nobody_who_is_here(
        gatepost, backends, balance):
    users = [f"user{number}@example.org" for number in range(8)]
    front = gatepost(routes(backends, balance=balance))
    homes = {user: place(front, backends, user) for user in users}
    assert {at for _, at in homes.values()} == {0, 1}

    reload(front, backends, {"b0": {"weight": 1000}}, balance=balance)
    again = {user: place(front, backends, user) for user in users}

    for user, (client, at) in homes.items():
        assert again[user][1] == at
        assert client.command("NOOP")[-1].startswith(b"OK")
    leave_all(front, [client for client, _ in [*homes.values(),
                                               *again.values()]])
    # An empty one has the least sessions, whatever its weight.
    if balance != "least-sessions":
        assert {place(front, backends, user)[1] for user in users} == {0}


@pytest.mark.parametrize("change", [{"state": "maintenance"}, {"weight": 0}])
def test_who_must_move_is_closed_first(gatepost, backends, change):
    front = gatepost(routes(backends, when_down="next"),
                     timeouts={"drain": 3600})
    clients = [place(front, backends) for _ in range(3)]
    home = clients[0][1]
    mark = front.mark()

    reload(front, backends, {f"b{home}": change}, when_down="next")
    _, moved = place(front, backends)

    assert moved != home
    assert all(closed(client) for client, _ in clients)
    assert front.session_end(since=mark)["reason"] == "moved"


def test_who_must_move_is_closed_in_the_process_before_too(
        gatepost, backends, binary, folder):
    orphans.adopt()
    front = gatepost(routes(backends[:1]), admin={"socket": admin.SOCKET})
    client, _ = place(front, backends)
    done = subprocess.run(
        [binary, "upgrade", "--json", "--socket",
         os.path.join(folder, admin.SOCKET)], capture_output=True, timeout=50,
        env=environment({}), check=True)
    front.follow(json.loads(done.stdout)["successor"])

    table = routes(backends)
    table["pools"]["p1"]["backends"] = ["b1"]
    front.write_routes(table)
    front.reload()
    _, moved = place(front, backends)

    assert moved == 1
    assert closed(client)


def test_a_changed_route_moves_the_user(gatepost, backends):
    front = gatepost(routes(backends))
    client, home = place(front, backends)
    stranger, _ = place(front, backends, "bob@example.org")

    table = routes(backends)
    table["pools"]["p2"] = {"backends": [f"b{1 - home}"]}
    table["users"] = {USER: "p2"}
    front.write_routes(table)
    front.reload()
    _, moved = place(front, backends)

    assert moved != home
    assert closed(client)
    assert stranger.command("NOOP")[-1].startswith(b"OK")


def test_a_backend_that_is_down_is_left(gatepost, backends):
    front = gatepost(routes(backends, balance="round-robin",
                            when_down="next"))
    client, home = place(front, backends)
    backends[home].refuse()
    for number in range(12):
        _, answer = login(front, f"user{number}@example.org")
        assert answer.startswith(b"OK")
    front.wait_log("backend-down")

    _, moved = place(front, backends)

    assert moved != home
    assert closed(client)


def test_a_full_home_sends_nobody_elsewhere(gatepost, backends):
    front = gatepost(
        routes(backends, {"b0": {"max_sessions": 1}, "b1": {"weight": 0}},
               when_down="next"),
        env={"GATEPOST_FAULT_CLOCK_SCALE": "10"})
    client, home = place(front, backends)
    assert home == 0
    reload(front, backends, {"b0": {"max_sessions": 1}}, when_down="next")

    _, answer = login(front)

    assert answer.startswith(b"NO [UNAVAILABLE]")
    assert front.wait_log("login-failed")["reason"] == "other-sessions-remain"
    assert client.command("NOOP")[-1].startswith(b"OK")
    assert backends[1].connects == 0


def fill(client):
    """Sends until nobody takes any more."""
    client.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        while True:
            client.send(bytes(1 << 18))


class Sluggish(Watched):
    """Reads nothing of a session for a while, and never closes it."""

    def __init__(self, board, seconds):
        super().__init__(board)
        self.seconds, self.after = seconds, self.stay

    def stay(self, conversation):
        time.sleep(self.seconds)
        conversation.linger()


def test_who_is_leaving_a_server_is_none_of_its_sessions(
        gatepost, fake_backend, board, folder):
    """A login that waits until others have left it is not ended with them."""
    backends = [fake_backend(Sluggish(board, 1.2)) for _ in range(2)]
    path = os.path.join(folder, admin.SOCKET)
    front = gatepost(routes(backends, when_down="next"),
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "4"},
                     timeouts={"drain": 0}, admin={"socket": admin.SOCKET})
    client, home = place(front, backends)
    fill(client)
    admin.request(path, f"/maintenance?backend=b{home}", "POST")
    front.session_end(user=USER)
    mover = front.secure()

    mover.send(f"a LOGIN {USER} secret\r\n".encode())
    while not (waiting := admin.request(
            path, f"/sessions?user={USER}").json["sessions"]):
        time.sleep(0.01)
    admin.request(path, f"/kick?backend=b{home}", "POST")

    assert waiting[0]["backend"] is None
    assert mover.read_reply("a")[-1].startswith(b"a OK")


def test_a_session_that_ends_slowly_is_waited_for(
        gatepost, fake_backend, board, folder):
    """What it had sent is flushed to the old server first, and the server has
    its time to close."""
    old = fake_backend(Sluggish(board, 1.2))
    new = fake_backend(ImapServer())
    path = os.path.join(folder, admin.SOCKET)
    front = gatepost(routes([old]), env={"GATEPOST_FAULT_CLOCK_SCALE": "4"},
                     admin={"socket": admin.SOCKET})
    client, _ = login(front)
    fill(client)
    admin.request(path, f"/kick?user={USER}", "POST")
    front.session_end(reason="kicked")

    front.write_routes(routes([new]))
    front.reload()
    began = time.monotonic()
    _, answer = login(front)

    assert answer.startswith(b"OK"), answer
    assert (time.monotonic() - began) * 4 > 3
    assert new.connects == 1


@pytest.mark.parametrize("ended_by", ["a kick", "its table"])
def test_a_login_that_is_ended_keeps_its_home_until_the_server_heard(
        gatepost, fake_backend, folder, ended_by):
    """The server has the password, and may just be opening the mailbox."""
    asked, go, close = (threading.Event() for _ in range(3))

    def judge(*_):
        asked.set()
        return go.wait(10)

    old = fake_backend(ImapServer(accept=judge,
                                  after=lambda _: close.wait(10)))
    new = fake_backend(ImapServer())
    path = os.path.join(folder, admin.SOCKET)
    front = gatepost(routes([old]), admin={"socket": admin.SOCKET})
    client = front.secure()
    client.send(f"a LOGIN {USER} secret\r\n".encode())
    assert asked.wait(10)

    if ended_by == "a kick":
        admin.request(path, f"/kick?user={USER}", "POST")
        client.read_to_end()
        front.session_end(reason="kicked")
    else:
        front.write_routes(routes([new]))
        front.reload()
        go.set()
        front.wait_log("login-failed")
    home = admin.request(path, f"/route?user={USER}").json["home"]
    go.set()
    close.set()

    assert home == "b0"
    old.wait_all_ended()
    assert login(front)[1].startswith(b"OK")


def test_no_order_of_changes_puts_a_user_at_two_backends(
        gatepost, backends, board):
    chance = random.Random(7)
    pool = {"balance": "round-robin", "when_down": "next"}
    front = gatepost(routes(backends, **pool), timeouts={"drain": 0.2})
    clients = [None, None]

    for _ in range(60):
        if chance.random() < 0.4:
            states = {f"b{at}": {"state": chance.choice(
                ["ready", "ready", "draining", "maintenance"])}
                for at in range(2)}
            states[f"b{chance.randrange(2)}"]["weight"] = chance.choice([0, 1])
            reload(front, backends, states, **pool)
        at = chance.randrange(2)
        if clients[at] is not None:
            clients[at].abandon()
        clients[at], answer = login(front)
        assert answer.startswith((b"OK", b"NO [UNAVAILABLE]")), answer

    assert sum(one.connects for one in backends) > 20
    assert not board.clashes


def test_logins_at_once_leave_a_dead_backend_together(gatepost, backends):
    front = gatepost(routes(backends, when_down="next"))
    client, home = place(front, backends)
    leave_all(front, [client])
    backends[home].refuse()
    answers = []

    def log_in():
        answers.append(login(front)[1])

    threads = [threading.Thread(target=log_in) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(answer.startswith(b"OK") for answer in answers)
    assert backends[1 - home].connects == 6


# -- who has proved nothing --------------------------------------------------

def by_plain(front, authzid, user, source):
    message = base64.b64encode(f"{authzid}\0{user}\0guess".encode()).decode()
    client = front.secure(source=source)
    return client.command(f"AUTHENTICATE PLAIN {message}", 20)[-1]


def test_a_name_alone_ends_nobodys_sessions(gatepost, backends):
    """Weight 0 sends the user elsewhere, but whoever has not shown to be the
    user is sent to where the user is."""
    front = gatepost(routes(backends), auth={"delay_max": 15})
    assert by_plain(front, "", "mallory@example.org",
                    "127.0.0.3").startswith(b"OK")
    before = [one.connects for one in backends]
    client = front.secure(source="127.0.0.2")
    assert client.command(f"LOGIN {USER} secret", 20)[-1].startswith(b"OK")
    home, = (at for at, was in enumerate(before)
             if backends[at].connects > was)
    reload(front, backends, {f"b{home}": {"weight": 0}})

    for authzid, user, source in (("", USER, "127.0.0.4"),
                                  (USER, "mallory@example.org", "127.0.0.3")):
        by_plain(front, authzid, user, source)
        assert client.command("NOOP")[-1].startswith(b"OK")

    # From where the user has logged in before, it is the user's own doing.
    again = front.secure(source="127.0.0.2")
    assert again.command(f"LOGIN {USER} secret", 20)[-1].startswith(b"OK")
    assert closed(client)


@pytest.fixture
def down(gatepost, fake_backend):
    """(front, the user's session, its server, which takes nobody new by now,
    the other server): the user has logged in from 127.0.0.2."""
    accept = {"accept": lambda user, password: password == b"secret"}
    servers = [fake_backend(ImapServer(**accept)) for _ in range(2)]
    front = gatepost(routes(servers, when_down="next"),
                     auth={"delay_max": 15})
    client = front.secure(source="127.0.0.2")
    assert client.command(f"LOGIN {USER} secret", 20)[-1].startswith(b"OK")
    home = servers[0] if servers[0].connects else servers[1]
    home.refuse()
    for number in range(12):
        login(front, f"user{number}@example.org")
    front.wait_log("backend-down")
    other, = (one for one in servers if one is not home)
    return front, client, home, other


def test_the_password_moves_a_user_whose_address_is_new(down):
    """The old server is down, though it may still serve old sessions."""
    front, client, _, other = down
    before = other.connects

    mover = front.secure(source="127.0.0.9")
    answer = mover.command(f"LOGIN {USER} secret", 20)[-1]

    assert answer.startswith(b"OK"), answer
    assert closed(client)
    assert other.connects == before + 1
    assert mover.command("NOOP")[-1].startswith(b"OK")
    again = front.secure(source="127.0.0.7")
    assert again.command(f"LOGIN {USER} secret", 20)[-1].startswith(b"OK")
    assert mover.command("NOOP")[-1].startswith(b"OK")


def test_many_move_in_at_once(down):
    front, client, _, other = down
    answers, movers = [], []

    def move_in(number):
        movers.append(front.secure(source=f"127.0.0.{20 + number}"))
        answers.append(movers[-1].command(f"LOGIN {USER} secret", 20)[-1])

    threads = [threading.Thread(target=move_in, args=(number,))
               for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(answer.startswith(b"OK") for answer in answers), answers
    assert closed(client)
    assert all(one.command("NOOP")[-1].startswith(b"OK") for one in movers)


@pytest.mark.parametrize("authzid, user, password", [
    ("", USER, "guess"), (USER, "mallory@example.org", "secret")])
def test_a_wrong_password_moves_nobody(down, authzid, user, password):
    front, client, _, _ = down
    message = base64.b64encode(
        f"{authzid}\0{user}\0{password}".encode()).decode()

    stranger = front.secure(source="127.0.0.9")
    answer = stranger.command(f"AUTHENTICATE PLAIN {message}", 20)[-1]

    assert answer.startswith(b"NO ")
    assert client.command("NOOP")[-1].startswith(b"OK")


def test_a_server_that_speaks_before_its_client_gets_none(down):
    """What it says would have to be kept while the others are closed."""
    front, client, _, other = down
    other.script.reply = b"OK [CAPABILITY IMAP4rev1] in\r\n* 1 EXISTS"

    mover = front.secure(source="127.0.0.9")
    answer = mover.command(f"LOGIN {USER} secret", 20)[-1]

    assert answer.startswith(b"NO [UNAVAILABLE]")
    assert client.command("NOOP")[-1].startswith(b"OK")


def test_who_waits_for_leave_goes_by_the_table_of_then(gatepost, fake_backend):
    old = fake_backend(ImapServer(accept=lambda user, password: False))
    new = fake_backend(ImapServer())
    front = gatepost(routes([old]), auth={"delay_max": 1})
    assert login(front)[1].startswith(b"NO [AUTHENTICATIONFAILED]")
    client = front.secure()

    client.send(f"a LOGIN {USER} right\r\n".encode())  # waits for a second
    front.write_routes(routes([new]))
    front.reload()

    assert client.read_reply("a")[-1].startswith(b"a OK")
    assert (old.connects, new.connects) == (1, 1)


def test_a_maintenance_ends_no_login_that_goes_elsewhere(
        gatepost, fake_backend, folder):
    """It waits, for longer than the maintenance lasts, until the server has
    closed what was open there."""
    holds, asked, go = (threading.Event() for _ in range(3))

    def judge(*_):
        asked.set()
        return not holds.is_set() or go.wait(10)

    backends = [fake_backend(ImapServer(accept=judge)) for _ in range(2)]
    path = os.path.join(folder, admin.SOCKET)
    front = gatepost(routes(backends, when_down="next"),
                     admin={"socket": admin.SOCKET}, timeouts={"drain": 0.5})
    client, home = place(front, backends)
    leave_all(front, [client])
    holds.set()
    asked.clear()
    with front.secure() as client:
        client.send(f"a LOGIN {USER} secret\r\n".encode())
        assert asked.wait(10)
        admin.request(path, f"/kick?user={USER}", "POST")
        client.read_to_end()
    holds.clear()
    admin.request(path, f"/maintenance?backend=b{home}", "POST")

    client = front.secure()
    client.send(f"a LOGIN {USER} secret\r\n".encode())
    early = client.read_quiet(1.5)
    go.set()

    assert (early, client.ended) == (b"", None)
    assert client.read_reply("a")[-1].startswith(b"a OK")
    assert backends[1 - home].connects == 1


@pytest.fixture
def waiting(gatepost, fake_backend, folder):
    """(front, the admin socket, a client that has proved its password at a
    server, that server's name, the event that lets it in): it waits for a
    login at the old server, which is down and lets nobody go."""
    holds, asked, go = (threading.Event() for _ in range(3))

    def judge(user, password):
        asked.set()
        if holds.is_set():
            go.wait(10)
        return password == b"secret"

    backends = [fake_backend(ImapServer(accept=judge)) for _ in range(2)]
    front = gatepost(routes(backends, when_down="next"),
                     admin={"socket": admin.SOCKET}, auth={"delay_max": 15},
                     timeouts={"drain": 0.2}, limits={"backend_logins": 9})
    _, home = place(front, backends)
    holds.set()
    asked.clear()
    hanging = front.secure()
    hanging.send(f"a LOGIN {USER} secret\r\n".encode())
    assert asked.wait(10)
    holds.clear()
    backends[home].refuse()
    for number in range(12):
        login(front, f"user{number}@example.org")
    front.wait_log("backend-down")
    asked.clear()
    client = front.secure(source="127.0.0.9")
    client.send(f"a LOGIN {USER} secret\r\n".encode())
    assert asked.wait(10)
    time.sleep(0.2)
    yield (front, os.path.join(folder, admin.SOCKET), client, f"b{1 - home}",
           go)
    go.set()


def test_a_maintenance_ends_who_waits_there_for_the_others(waiting):
    _, path, client, there, go = waiting

    admin.request(path, f"/maintenance?backend={there}", "POST")
    early = client.read_quiet(1)
    go.set()

    assert b"a OK" not in early + client.read_quiet(2)
    assert client.ended is not None


def test_who_waits_for_the_others_keeps_nobody_from_logging_in(waiting):
    _, path, client, there, go = waiting

    under_way = {entry["name"]: entry["logins"] for entry in
                 admin.request(path, "/status").json["backends"]}
    go.set()

    assert under_way[there] == 0
    assert client.read_reply("a")[-1].startswith(b"a OK")


def test_a_login_under_way_does_not_fail_for_a_maintenance(
        gatepost, fake_backend, folder):
    """It becomes a session that the maintenance ends with the others."""
    asked, go = threading.Event(), threading.Event()

    def judge(*_):
        asked.set()
        return go.wait(10)

    path = os.path.join(folder, admin.SOCKET)
    front = gatepost(routes([fake_backend(ImapServer(accept=judge))]),
                     admin={"socket": admin.SOCKET}, timeouts={"drain": 2})
    client = front.secure()
    client.send(f"a LOGIN {USER} secret\r\n".encode())
    assert asked.wait(10)

    admin.request(path, "/maintenance?backend=b0", "POST")
    go.set()

    assert client.read_reply("a")[-1].startswith(b"a OK")
    assert client.read_to_end() == b""


def test_a_maintenance_gives_logins_under_way_its_whole_time(
        gatepost, fake_backend, folder):
    """Also where nobody else is left whom it could end first."""
    asked, go = [], threading.Event()

    def judge(user, _):
        asked.append(user)
        return go.wait(20)

    path = os.path.join(folder, admin.SOCKET)
    front = gatepost(routes([fake_backend(ImapServer(accept=judge))]),
                     admin={"socket": admin.SOCKET}, timeouts={"drain": 6})
    clients = [front.secure() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(b"a LOGIN user%d@example.org secret\r\n" % number)
    while len(asked) < len(clients):
        time.sleep(0.01)

    admin.request(path, "/maintenance?backend=b0", "POST")
    time.sleep(1)  # by now three of them would have had to go
    go.set()

    for client in clients:
        assert client.read_reply("a")[-1].startswith(b"a OK")
