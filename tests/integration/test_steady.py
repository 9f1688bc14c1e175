"""All that an operator may change, under sessions that idle and logins that
come at a steady rate: the short form of `tests/bench/steady`."""

import pytest

from gatepost_test.changes import Changes, routes_for
from gatepost_test.dovecot import Dovecot
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
        for one in started:
            one.stop()


@pytest.fixture
def changes(gatepost, shards, settings, authority, client_context, times):
    """Changes under a steady load, which ends with the test."""
    del settings["listeners"][1]
    routes = routes_for(shards)
    server = gatepost(routes, admin={"socket": "admin.sock"},
                      timeouts={"drain": times(0.5, 3)})
    with Changes(server, routes, authority, client_context,
                 times(100, 500), times(20, 40),
                 dict(settings["listeners"][0], port=free_port())) as made:
        yield made


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
def test_a_maintenance_ends_its_own_sessions_and_no_login(changes):
    here = sum(changes.idlers.homes().values())

    changes.maintain()

    check(changes)
    # Each was at one of the three, and some came to the next in turn.
    assert changes.idlers.closed >= here
    assert sum(changes.idlers.homes().values()) == here
