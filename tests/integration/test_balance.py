"""How pools share users out: balance, backups, most sessions, slow start."""

import collections
import time

import pytest

from gatepost_test.gatepost import backend_entry
from gatepost_test.scripts import ImapServer

pytestmark = pytest.mark.threads


@pytest.fixture
def backends(fake_backend):
    return [fake_backend(ImapServer()) for _ in range(3)]


def routes(backends, changes=None, **pool):
    """One pool of b1, b2, ...; changes: what else their entries say."""
    names = [f"b{number}" for number in range(1, len(backends) + 1)]
    entries = {name: backend_entry(backend)
               for name, backend in zip(names, backends)}
    for name, change in (changes or {}).items():
        entries[name].update(change)
    return {"backends": entries, "pools": {"p1": {"backends": names, **pool}},
            "default": "p1"}


def login(front, user="alice@example.org"):
    client = front.secure()
    return client, client.command(f"LOGIN {user} secret")[-1]


def connects(backends):
    return [one.connects for one in backends]


def test_round_robin_takes_turns(gatepost, backends):
    front = gatepost(routes(backends, {"b2": {"weight": 2}},
                            balance="round-robin"))

    for number in range(12):
        assert login(front, f"user{number}@x.org")[1].startswith(b"OK")

    assert connects(backends) == [3, 6, 3]


def test_round_robin_passes_over_who_drains(gatepost, backends):
    front = gatepost(routes(backends, {"b1": {"state": "draining"}},
                            balance="round-robin"))

    for number in range(8):
        assert login(front, f"user{number}@x.org")[1].startswith(b"OK")

    assert connects(backends) == [0, 4, 4]


@pytest.mark.parametrize("balance", ["hash", "least-sessions", "round-robin"])
def test_a_backup_waits_until_no_other_is_up(gatepost, backends, balance):
    front = gatepost(routes(backends, {"b3": {"backup": True}},
                            balance=balance, when_down="next"))
    for number in range(6):
        assert login(front, f"user{number}@x.org")[1].startswith(b"OK")
    assert backends[2].connects == 0

    backends[0].refuse()
    backends[1].refuse()

    for number in range(6):
        assert login(front, f"other{number}@x.org")[1].startswith(b"OK")
    assert backends[2].connects == 6


@pytest.mark.parametrize("balance", ["hash", "least-sessions", "round-robin"])
def test_a_full_backend_is_passed_over(gatepost, backends, balance):
    front = gatepost(routes(backends[:2], {"b1": {"max_sessions": 2}},
                            balance=balance, when_down="next"))

    clients = [login(front, f"user{number}@x.org") for number in range(10)]

    assert all(answer.startswith(b"OK") for _, answer in clients)
    assert connects(backends[:2]) == [2, 8]


def test_a_full_backend_is_unavailable_where_there_is_no_next(
        gatepost, backends):
    front = gatepost(routes(backends[:1], {"b1": {"max_sessions": 1}}))
    first, answer = login(front)
    assert answer.startswith(b"OK")

    second, answer = login(front, "bob@example.org")
    assert answer.startswith(b"NO [UNAVAILABLE]")
    assert front.wait_log("login-failed")["reason"] == "backend-full"

    mark = front.mark()
    first.abandon()
    front.session_end(since=mark)
    assert second.command("LOGIN bob@example.org secret")[-1].startswith(b"OK")


BALANCES = ("hash", "least-sessions", "round-robin")


def by_domain(backends, when_down, **first):
    """A pool of each balance for a domain of that name, of the same b1, b2."""
    entries = {f"b{number}": backend_entry(backend)
               for number, backend in enumerate(backends[:2], 1)}
    entries["b1"].update(first)
    return {"backends": entries,
            "pools": {balance: {"backends": list(entries), "balance": balance,
                                "when_down": when_down}
                      for balance in BALANCES},
            "domains": {f"{balance}.org": balance for balance in BALANCES}}


def is_out(front, backend, why):
    """Whether it takes nobody any more, for this reason."""
    if why == "down":
        return any(one.get("event") == "backend-down" for one in front.log)
    return why != "full" or backend.connects == 1


@pytest.mark.parametrize("when_down", ["next", "refuse"])
@pytest.mark.parametrize("why", ["down", "draining", "maintenance", "full"])
def test_when_down_holds_whatever_takes_a_backend_out(
        gatepost, backends, why, when_down):
    well, out = backends[1], backends[0]
    first = {"draining": {"state": "draining"}, "full": {"max_sessions": 1},
             "maintenance": {"state": "maintenance"}}.get(why, {})
    front = gatepost(by_domain(backends, when_down, **first))
    if why == "down":
        out.refuse()
    others = (f"other{number}@round-robin.org" for number in range(40))
    while not is_out(front, out, why):
        login(front, next(others))
    calls = connects(backends)

    answers = {balance: [login(front, f"u{number}@{balance}.org")[1]
                         for number in range(8)] for balance in BALANCES}

    refused = {balance: sum(one.startswith(b"NO [UNAVAILABLE]")
                            for one in lines)
               for balance, lines in answers.items()}
    assert out.connects == calls[0]
    assert well.connects == calls[1] + 24 - sum(refused.values())
    # Only where a user has one place can that place be missed.
    assert [refused[one] for one in BALANCES[1:]] == [0, 0]
    assert (0 < refused["hash"] < 8) is (when_down == "refuse")


def test_who_fails_to_log_in_fills_nothing(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    front = gatepost(routes([backend], {"b1": {"max_sessions": 1}}))
    backend.refuse()
    assert login(front)[1].startswith(b"NO [UNAVAILABLE]")
    fake_backend(ImapServer(), port=backend.port)

    assert login(front)[1].startswith(b"OK")


def test_a_domain_stays_together(gatepost, backends):
    front = gatepost(routes(backends, hash_by="domain"))
    homes = collections.defaultdict(set)

    for domain in ("a.org", "b.org", "c.org", "d.org", "e.org", "f.org"):
        for user in ("alice", "bob", "carol"):
            before = connects(backends)
            assert login(front, f"{user}@{domain}")[1].startswith(b"OK")
            homes[domain] |= {at for at, was in enumerate(before)
                              if backends[at].connects > was}

    assert {len(home) for home in homes.values()} == {1}
    assert len(set.union(*homes.values())) > 1


def test_who_comes_back_starts_slowly(gatepost, fake_backend, backends):
    """From a drain as well as from the dead."""
    def table(state):
        return routes(backends, {"b1": {"state": state}}, when_down="next",
                      balance="round-robin", slow_start=3600)

    dead = backends[2]
    dead.refuse()
    front = gatepost(table("draining"),
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "1000"},
                     # Minutes of that clock are no time for anything.
                     timeouts=dict.fromkeys(
                         ("handshake", "before_login", "connect", "greeting",
                          "login_reply"), 86400))
    for number in range(40):
        if is_out(front, dead, "down"):
            break
        assert login(front, f"early{number}@x.org")[1].startswith(b"OK")
    assert is_out(front, dead, "down")
    # The other one's own slow start is over after this.
    time.sleep(4)
    risen = fake_backend(ImapServer(), port=dead.port)
    front.write_routes(table("ready"))
    front.reload()

    for number in range(30):
        assert login(front, f"user{number}@x.org")[1].startswith(b"OK")

    assert backends[0].connects < 8
    assert 0 < risen.connects < 8


def homes_of(front, backends, users):
    """Which backend each user got, by its index."""
    homes = {}
    for user in users:
        before = connects(backends)
        client, answer = login(front, user)
        assert answer.startswith(b"OK"), answer
        client.abandon()
        homes[user], = (at for at, was in enumerate(before)
                        if backends[at].connects > was)
    return homes


def test_two_gateposts_agree_and_only_a_lost_ones_users_move(
        gatepost, backends):
    users = [f"user{number}@example.org" for number in range(24)]
    whole = routes(backends, when_down="next")
    first = gatepost(whole)
    homes = homes_of(first, backends, users)
    assert set(homes.values()) == {0, 1, 2}
    first.stop()
    front = gatepost(whole)
    assert homes_of(front, backends, users) == homes

    front.write_routes(routes(backends, {"b2": {"state": "draining"}},
                              when_down="next"))
    front.reload()
    without = homes_of(front, backends, users)
    front.write_routes(whole)
    front.reload()

    assert 1 not in without.values()
    assert {user for user in users if without[user] != homes[user]} == {
        user for user in users if homes[user] == 1}
    assert homes_of(front, backends, users) == homes
