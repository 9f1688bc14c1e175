"""A million clients that come and go leave nothing behind."""

import os
import time

import pytest

from gatepost_test import admin, passers, procfs
from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer

PROGRAMS = 2
# Until what a burst left was given back (a minute), and closed sockets are.
AFTERMATH_SECONDS = 130


@pytest.fixture
def server(gatepost, fake_backend):
    """One that logs no session: a million lines are of no interest here."""
    backend = fake_backend(ImapServer(
        accept=lambda _, password: password == b"secret"))
    started = gatepost(routes_to(backend), admin={"socket": admin.SOCKET})
    started.write_settings(dict(started.settings, log={
        "format": "json", "level": "warn"}))
    started.signal(1)
    wait_metric(started, "gatepost_reloads_ok_total", 1)
    return started


def metrics(server):
    return admin.metrics(os.path.join(server.folder, admin.SOCKET))


def wait_metric(server, name, value):
    deadline = time.monotonic() + 30
    while (found := metrics(server)[name]) != value:
        assert time.monotonic() < deadline, f"{name} is {found}"
        time.sleep(0.05)


def let_pass(server, count):
    """So many clients come and go, and their sessions end."""
    running = [passers.start(count // PROGRAMS, server.address("starttls")[1],
                             server.address("implicit")[1], seed)
               for seed in range(PROGRAMS)]
    assert [one.wait() for one in running] == [0] * PROGRAMS
    wait_metric(server, "gatepost_sessions_open", 0)


@pytest.mark.threat("G8")
@pytest.mark.limit(180)
def test_g8_clients_that_come_and_go_leave_nothing_behind(
        server, sanitizer, times):
    """What a connection leaves would be there by the million. A single handle
    that is left makes the end of the process a bad one (`worker_join`)."""
    million = 100000 if sanitizer else 1000000
    few, many = times(1000, million // 10), times(4000, million)
    let_pass(server, few)
    time.sleep(times(0, AFTERMATH_SECONDS))
    descriptors, memory = server.resting_descriptors(), server.rss()
    accepted = metrics(server)["gatepost_accepted_total"]

    let_pass(server, many)

    time.sleep(times(0, AFTERMATH_SECONDS))
    accepted = metrics(server)["gatepost_accepted_total"] - accepted
    grown = server.rss() - memory
    print(f"{accepted:.0f} connections: {grown} bytes more")
    assert server.resting_descriptors() == descriptors
    # Who says nothing in front of TLS may have gone before the accept.
    assert accepted > many * 0.8
    assert grown < (64 if sanitizer else 2) << 20
    assert procfs.tree(server.pid) == [server.pid]
