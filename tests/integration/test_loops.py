"""Routes that lead back to Gatepost: a backend at an address of our own is
not dialled, and a login that goes round through others comes to an end."""

import os
import shutil

import pytest

from gatepost_test.gatepost import Gatepost, backend_entry, routes_to
from gatepost_test.network import own_network
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer

pytestmark = pytest.mark.threat("D10")

OURS = "would reach ourselves"


class Place:
    """Where a backend of the table is said to be."""

    def __init__(self, host, port):
        self.host, self.port = host, port


def route_to(place, security="implicit", **more):
    """Everybody goes there; whoever is there would be believed."""
    return routes_to(place, tls=security, verify="none", **more)


def listen(address, port=None, how="implicit"):
    return {"address": address, "port": port or free_port(), "tls": how}


def assert_refused(front, client, host, port):
    answer = client.login("alice@example.org", "secret-alice")

    assert answer.startswith(b"NO [UNAVAILABLE]"), answer
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert front.wait_log("dial-failed")["reason"] == f"{where} {OURS}"


@pytest.mark.parametrize("how", ["implicit", "starttls"])
@pytest.mark.parametrize("version", [None, "v1", "v2"])
def test_a_route_to_our_own_listener_is_refused(
        gatepost, settings, how, version):
    port = settings["listeners"][how == "starttls"]["port"]
    more = {"proxy_protocol": version} if version else {}
    front = gatepost(route_to(Place("127.0.0.1", port), how, **more))

    assert_refused(front, front.secure(), "127.0.0.1", port)


def test_it_costs_neither_descriptors_nor_the_backends_health(
        gatepost, settings):
    port = settings["listeners"][0]["port"]
    front = gatepost(route_to(Place("127.0.0.1", port)))
    client = front.secure()
    held = front.resting_descriptors()

    for _ in range(9):
        answer = client.login("alice@example.org", "secret-alice")
        assert answer.startswith(b"NO [UNAVAILABLE]")

    assert front.resting_descriptors() == held
    counted = front.counters()
    assert counted["accepted"] == 1
    assert counted["dials"] == 0
    assert all(OURS in one["reason"] for one in front.log
               if one["event"] == "dial-failed")
    assert not any("down" in one["event"] for one in front.log)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "0.0.0.0",
                                  "::", "localhost"])
def test_a_listener_on_all_addresses_has_them_all(gatepost, host):
    port = free_port()
    front = gatepost(route_to(Place(host, port)),
                     listeners=[listen("*", port)])
    client = front.secure()

    answer = client.login("alice@example.org", "secret-alice")

    assert answer.startswith(b"NO [UNAVAILABLE]"), answer
    assert OURS in front.wait_log("dial-failed")["reason"]
    assert front.counters()["accepted"] == 1


def test_addresses_of_the_host_beyond_loopback_count(gatepost):
    port = free_port()
    with own_network(ipv6=["2001:db8::5"]):
        front = gatepost(route_to(Place("2001:db8::5", port)),
                         listeners=[listen("*", port)])

        assert_refused(front, front.secure(), "2001:db8::5", port)


def test_any_address_may_be_bound_but_is_not_ours(gatepost, fake_backend):
    """ip_nonlocal_bind, which hosts with moving addresses have on, must not
    make every backend with our port look like ourselves."""
    port = free_port()
    with own_network():
        with open("/proc/sys/net/ipv4/ip_nonlocal_bind", "w") as setting:
            setting.write("1")
        front = gatepost(route_to(Place("192.0.2.1", port)),
                         listeners=[listen("*", port)])
        client = front.secure()

        client.login("alice@example.org", "secret-alice")

        assert "unreachable" in front.wait_log("dial-failed")["reason"]


def test_another_address_with_our_port_is_not_ours(gatepost, fake_backend):
    backend = fake_backend(ImapServer(), host="127.0.0.2")
    front = gatepost(routes_to(backend),
                     listeners=[listen("127.0.0.1", backend.port)])

    front.logged_in()

    assert backend.connects == 1


def test_our_address_with_another_port_is_not_ours(gatepost, fake_backend):
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend), listeners=[listen("*")])

    front.logged_in()

    assert backend.connects == 1


def test_the_other_backends_of_a_pool_are_tried(
        gatepost, settings, fake_backend):
    backend = fake_backend(ImapServer())
    ours = Place("127.0.0.1", settings["listeners"][0]["port"])
    front = gatepost({
        "backends": {"b1": backend_entry(ours, tls="implicit", verify="none"),
                     "b2": backend_entry(backend)},
        "pools": {"p1": {"backends": ["b1", "b2"], "when_down": "next"}},
        "default": "p1"})

    for number in range(8):
        front.logged_in(f"user{number}@example.org").abandon()

    assert backend.connects == 8
    assert any(OURS in one.get("reason", "") for one in front.log)


def test_warm_connections_are_not_made_to_ourselves(gatepost, settings):
    port = settings["listeners"][0]["port"]
    front = gatepost(route_to(Place("127.0.0.1", port), warm=4))

    assert OURS in front.wait_log("warm-dial-failed")["reason"]
    assert front.counters()["accepted"] == 0


@pytest.fixture
def chain(binary, folder, authority, leaf):
    """chain(count, **backend): so many Gateposts, each of which sends its
    users to the next and the last one to the first."""
    started, folders = [], []

    def start(count, **backend):
        ports = [free_port() for _ in range(count)]
        for number, port in enumerate(ports):
            place = os.path.join(folder, str(number))
            os.mkdir(place)
            folders.append(place)
            leaf.save(place, "tls")
            following = Place("127.0.0.1", ports[(number + 1) % count])
            started.append(Gatepost(
                binary, place,
                {"listeners": [listen("127.0.0.1", port)],
                 "tls": {"certificates": [{"chain": "tls.pem",
                                           "key": "tls.key"}]},
                 "workers": 1, "auth": {"delay_max": 0}},
                route_to(following, **backend)))
        return started

    yield start
    for one in started:
        one.stop()
    for place in folders:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("count", [2, 3])
def test_a_ring_of_proxies_ends_by_its_count(chain, count):
    ring = chain(count, id=True)
    held = [one.resting_descriptors() for one in ring]
    client = ring[0].secure()

    answer = client.login("alice@example.org", "secret-alice")

    assert answer.startswith(b"NO [UNAVAILABLE]"), answer
    dials = sum(one.counters()["dials"] for one in ring)
    assert 0 < dials <= 5  # as the first one said
    loops = [one for front in ring for one in front.log
             if one.get("reason") == "proxy-loop"]
    assert len(loops) == 1
    client.abandon()
    for one, before in zip(ring, held):
        one.wait_descriptors(before + 1)  # one in reserve since an accept


def test_a_ring_ends_again_and_again(chain):
    ring = chain(2, id=True)
    client = ring[0].secure()

    for _ in range(5):
        answer = client.login("alice@example.org", "secret-alice")
        assert answer.startswith(b"NO [UNAVAILABLE]"), answer

    assert sum(one.counters()["dials"] for one in ring) <= 25
