""""watch": true: files that are renamed into place."""

import json
import os
import time

import pytest

from gatepost_test.gatepost import REFUSED, RELOADED, routes_to
from gatepost_test.scripts import ImapServer

# Longer than the watch waits for more renames.
CALM = 0.6

pytestmark = pytest.mark.threads


@pytest.fixture
def watching(gatepost, fake_backend):
    """Gatepost that watches, and its routes."""
    routes = routes_to(fake_backend(ImapServer()))
    return gatepost(routes, watch=True), routes


def reloads(front, since):
    return [entry for entry in front.log[since:]
            if entry.get("event") in (RELOADED, REFUSED)]


def test_a_renamed_table_takes_effect_by_itself(watching, fake_backend):
    front, _ = watching
    other = fake_backend(ImapServer())
    since = front.mark()

    front.write_routes(routes_to(other))
    front.wait_log(RELOADED, since)

    front.logged_in()
    assert other.connects == 1


def test_a_renamed_config_takes_effect_and_may_end_the_watch(watching):
    front, routes = watching
    since = front.mark()
    front.write_settings(dict(front.settings, watch=False))
    front.wait_log(RELOADED, since)

    since = front.mark()
    front.write_routes(routes)
    time.sleep(CALM)
    assert not reloads(front, since)


def test_a_file_of_users_elsewhere_is_watched_too(watching):
    front, routes = watching
    os.mkdir(f"{front.folder}/people")
    users = f"{front.folder}/people/users.json"
    with open(users, "w", encoding="ascii") as out:
        json.dump({"alice": "p1"}, out)
    since = front.mark()
    front.write_routes(dict(routes, users={"file": "people/users.json"}))
    front.wait_log(RELOADED, since)

    since = front.mark()
    with open(users + ".new", "w", encoding="ascii") as out:
        json.dump({"alice": "p1", "bob": "p1"}, out)
    os.replace(users + ".new", users)
    front.wait_log(RELOADED, since)


def test_what_is_written_in_place_is_left_alone(watching):
    front, _ = watching
    since = front.mark()

    with open(f"{front.folder}/routes.json", "r+b") as out:
        out.truncate(10)
    os.utime(f"{front.folder}/routes.json")
    another = f"{front.folder}/another.json"
    with open(another + ".new", "wb"):
        pass
    os.rename(another + ".new", another)
    time.sleep(CALM)

    assert not reloads(front, since)
    front.logged_in()


def test_renames_at_once_are_one_reload_and_none_is_missed(watching):
    front, routes = watching
    since = front.mark()
    for number in range(20):
        front.write_routes(dict(routes, users={f"u{number}": "p1"}))
        front.write_settings(front.settings)
    front.wait_log(RELOADED, since)
    time.sleep(CALM)
    assert len(reloads(front, since)) <= 2


def test_a_bad_file_is_refused_and_its_successor_taken(watching):
    front, routes = watching
    since = front.mark()
    front.write_routes(b"{")
    front.wait_log(REFUSED, since)

    since = front.mark()
    front.write_routes(routes)
    front.wait_log(RELOADED, since)


def test_a_swapped_volume_counts(watching):
    front, _ = watching
    since = front.mark()
    for version in ("1", "2"):
        os.symlink(f"..version-{version}", f"{front.folder}/..data_tmp")
        os.rename(f"{front.folder}/..data_tmp", f"{front.folder}/..data")
    front.wait_log(RELOADED, since)


def test_without_it_no_file_is_watched(gatepost, fake_backend):
    routes = routes_to(fake_backend(ImapServer()))
    front = gatepost(routes)
    since = front.mark()
    front.write_routes(routes)
    time.sleep(CALM)
    assert not reloads(front, since)
