"""All that an operator may change, under sessions that idle and logins that
come at a steady rate: the short form of `tests/bench/steady`."""

import shutil

import pytest

from gatepost_test.changes import Changes, routes_for
from gatepost_test.dovecot import Dovecot, stop_all
from gatepost_test.gatepost import Gatepost
from gatepost_test.ports import free_port
from gatepost_test.steady import ANYBODY

SHARDS = ("shard-a", "shard-b", "shard-c")

pytestmark = pytest.mark.threads


@pytest.fixture(scope="module")
def shards(leaf):
    """Three Dovecots that take anybody."""
    started = []
    try:
        for name in SHARDS:
            started.append(Dovecot(name, leaf, {},
                                   more=ANYBODY.format(name=name)))
        yield started
    finally:
        stop_all(started)


@pytest.fixture
def changes(binary, folder, shards, settings, authority, client_context,
            endings, request, times):
    """Changes under a steady load, which ends with the test. The binary is a
    copy, since it is replaced."""
    settings["admin"] = {"socket": "admin.sock"}
    # More than a visit takes: one that a maintenance meets becomes a session
    # that it ends, and would be counted as a failed login.
    settings["timeouts"] = {"drain": times(1.5, 3)}
    routes = routes_for(shards)
    server = Gatepost(shutil.copy(binary, folder), folder, settings, routes)
    try:
        with Changes(server, routes, authority, client_context,
                     times(100, 500), times(20, 40),
                     dict(settings["listeners"][0], port=free_port())) as made:
            yield made
    finally:
        endings.add(request.node.nodeid, server)
        endings.check(at_most=3)


def check(changes):
    """That no user has noticed anything, and that there were users."""
    for row in changes.rows:
        print(row)
    assert not changes.faults()
    assert all(row.logins and not row.failed + row.lost
               for row in changes.rows)


@pytest.mark.limit(120)
def test_no_user_notices_reloads_renewals_and_drains(changes, times):
    changes.reload(times(20, 300))
    changes.renew(times(3, 30))
    changes.drain()

    check(changes)
    assert not changes.idlers.closed


@pytest.mark.limit(120)
def test_no_user_notices_upgrades_in_place(changes, times):
    """What is changed afterwards holds for the sessions of all processes."""
    changes.upgrade(times(2, 10))
    changes.reload(2)
    changes.drain()
    changes.leave()

    check(changes)
    assert not changes.idlers.closed


@pytest.mark.limit(120)
def test_a_maintenance_ends_its_own_sessions_and_no_login(changes):
    """Also those that are in the hands of a process before an upgrade."""
    here = sum(changes.idlers.homes().values())
    changes.upgrade(1)

    changes.maintain()

    check(changes)
    # Each was at one of the three, and some came to the next in turn.
    assert changes.idlers.closed >= here
    assert sum(changes.idlers.homes().values()) == here
