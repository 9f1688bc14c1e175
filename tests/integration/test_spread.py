"""How four real Dovecots, each in a network of its own, share users out: 2,000
of them with --slow, some hundred otherwise. Who logged in where is what the
servers' own logs say. Each test prints what it saw (-s shows it)."""

import collections
import concurrent.futures
import json
import os
import shutil
import time

import pytest

from gatepost_test import admin
from gatepost_test.cables import Cable, FarDovecot, can_lay_cables
from gatepost_test.dovecot import stop_all
from gatepost_test.gatepost import Gatepost
from gatepost_test.network import own_network
from gatepost_test.ports import free_port
from gatepost_test.wire import WireClient, trusting

SERVERS = 4
WEIGHTS = (1, 1, 2, 4)
AT_A_TIME = 8  # logins

pytestmark = pytest.mark.limit(120)


@pytest.fixture(scope="module")
def servers(authority):
    """Four Dovecots; the tests' thread lives in the network between them."""
    try:
        outer = own_network()
        outer.__enter__()
    except PermissionError:
        pytest.skip("no right to make networks: root has it")
    cables, dovecots = [], []
    try:
        if not can_lay_cables():
            pytest.skip("no right to lay cables between networks")
        cables = [Cable(number + 1) for number in range(SERVERS)]
        leaf = authority.issue("far.example.test",
                               ips=[cable.address for cable in cables])
        dovecots = [FarDovecot(f"d{number + 1}", leaf, cable)
                    for number, cable in enumerate(cables)]
        yield dovecots
    finally:
        stop_all(dovecots)
        for cable in cables:
            cable.remove()
        outer.__exit__(None, None, None)


@pytest.fixture
def users(times):
    return [f"user{number}@example.org"
            for number in range(times(120, 2000))]


@pytest.fixture
def put_in_front(binary, folder, endings, request):
    """put_in_front(servers, weights, **pool): a Gatepost of its own that asks
    after its backends' health every second."""
    started = []

    def start(servers, weights=(1,) * SERVERS, **pool):
        place = os.path.join(folder, f"gatepost-{len(started)}")
        shutil.copytree(folder, place, ignore=lambda _, names: [
            name for name in names if name.startswith("gatepost-")])
        routes = {
            "backends": {server.name: server.entry(weight=weight)
                         for server, weight in zip(servers, weights)},
            "pools": {"all": {"backends": [server.name for server in servers],
                              **pool}},
            "default": "all"}
        started.append(Gatepost(binary, place, settings(), routes))
        return started[-1]

    yield start
    for one in started:
        endings.add(request.node.nodeid, one)
    endings.check(at_most=3)


def settings():
    return {
        "listeners": [{"address": "127.0.0.1", "port": free_port(),
                       "tls": "implicit"}],
        "tls": {"certificates": [{"chain": "tls.pem", "key": "tls.key"}]},
        "admin": {"socket": admin.SOCKET},
        "upstream": {"health": {"interval": 1, "fall": 1, "rise": 1}},
        "timeouts": {"connect": 1},
        "workers": 2}


class People:
    """Everybody who has logged in; they leave with the `with` block."""

    def __init__(self, front, users):
        self.address, self.context = front.address(), trusting()
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            self.clients = list(pool.map(self._log_in, users))

    def _log_in(self, user):
        client = WireClient(self.address, timeout=60)
        client.handshake(self.context)
        client.read_line()
        answer = client.login(user, FarDovecot.password)
        assert answer.startswith(b"OK"), (user, answer)
        return client

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.abandon()


def homes_of(servers, count):
    """user -> the server's name, once so many have logged in."""
    homes, deadline = {}, time.monotonic() + 10
    while len(homes) < count:
        assert time.monotonic() < deadline, f"{len(homes)} of {count}"
        for server in servers:
            for user in server.logins():
                assert homes.setdefault(user, server.name) == server.name
        time.sleep(0.02)
    return homes


def send_home(front, servers, users):
    """Everybody logs in and leaves; user -> the server's name."""
    with People(front, users):
        homes = homes_of(servers, len(users))
    wait_until(lambda: sessions(front) == 0)
    return homes


def sessions(front):
    path = os.path.join(front.folder, admin.SOCKET)
    return admin.metrics(path)["gatepost_sessions_open"]


def wait_until(is_so, seconds=30):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state_of(front, name):
    """What `gatepost status` would say of the backend."""
    path = os.path.join(front.folder, admin.SOCKET)
    status = json.loads(admin.request(path, "/status").body)
    found, = (one for one in status["backends"] if one["name"] == name)
    return found["state"]


def counts(homes, servers):
    found = collections.Counter(homes.values())
    return [found[server.name] for server in servers]


def say(what, seen, wanted):
    print(f"{what}: {seen}, by weight {[round(one, 1) for one in wanted]}")


def by_weight(total, weights):
    return [total * weight / sum(weights) for weight in weights]


def assert_near(seen, wanted):
    """Within 10 % where there are thousands; chance weighs more among few:
    four deviations of what an even draw would give."""
    total = sum(wanted)
    for one, share in zip(seen, wanted):
        slack = 4 * (share * (1 - share / total)) ** 0.5
        if total >= 2000:
            slack = min(slack, 0.1 * share)
        assert abs(one - share) <= slack, (seen, wanted)


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), WEIGHTS])
def test_hash_spreads_by_weight_and_two_gateposts_agree(
        servers, users, put_in_front, weights):
    first, second = [put_in_front(servers, weights) for _ in range(2)]

    homes = send_home(first, servers, users)
    again = send_home(second, servers, users)

    wanted = by_weight(len(users), weights)
    say("hash", counts(homes, servers), wanted)
    assert_near(counts(homes, servers), wanted)
    assert again == homes


def test_hash_by_domain_keeps_domains_together(servers, times, put_in_front):
    domains = [f"d{number}.example" for number in range(times(40, 500))]
    front = put_in_front(servers, hash_by="domain")

    homes = send_home(front, servers, [
        f"user{number}@{domain}" for domain in domains for number in range(4)])

    shared = {domain: {homes[f"user{number}@{domain}"] for number in range(4)}
              for domain in domains}
    assert all(len(names) == 1 for names in shared.values())
    seen = counts({domain: name for domain, (name,) in shared.items()},
                  servers)
    wanted = by_weight(len(domains), (1,) * SERVERS)
    say("domains", seen, wanted)
    assert_near(seen, wanted)


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), WEIGHTS])
def test_least_sessions_fills_by_weight(servers, users, put_in_front, weights):
    front = put_in_front(servers, weights, balance="least-sessions")

    with People(front, users):
        seen = counts(homes_of(servers, len(users)), servers)

    wanted = by_weight(len(users), weights)
    say("least-sessions", seen, wanted)
    # Logins under way are not counted yet: as many may go astray.
    assert all(abs(one - share) <= AT_A_TIME
               for one, share in zip(seen, wanted)), (seen, wanted)


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), WEIGHTS])
def test_round_robin_takes_turns_by_weight(
        servers, users, put_in_front, weights):
    front = put_in_front(servers, weights, balance="round-robin")

    seen = counts(send_home(front, servers, users), servers)

    wanted = by_weight(len(users), weights)
    say("round-robin", seen, wanted)
    assert all(abs(one - share) < 1 for one, share in zip(seen, wanted)), (
        seen, wanted)


def moved(before, after):
    return {user for user in before if before[user] != after[user]}


def test_one_server_out_moves_its_own_users_and_back_in_only_those_back(
        servers, users, put_in_front):
    lost = servers[1]
    front = put_in_front(servers, when_down="next")
    other = put_in_front(servers, when_down="next")
    homes = send_home(front, servers, users)
    its_own = {user for user in users if homes[user] == lost.name}

    lost.cable.pull()
    try:
        for one in (front, other):
            wait_until(lambda: state_of(one, lost.name) == "down")
        without = send_home(front, servers, users)
        assert send_home(other, servers, users) == without
    finally:
        lost.cable.plug()
    for one in (front, other):
        wait_until(lambda: state_of(one, lost.name) == "up")
    back = send_home(front, servers, users)

    print(f"out: {len(moved(homes, without))} moved, {len(its_own)} were its "
          f"own, now {counts(without, servers)}; back in: "
          f"{len(moved(without, back))} moved, {len(moved(homes, back))} are "
          f"elsewhere than before")
    assert moved(homes, without) == its_own
    assert moved(without, back) == its_own
    assert back == homes
