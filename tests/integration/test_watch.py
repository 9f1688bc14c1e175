""""watch": true: files that are renamed into place, and links that turn."""

import json
import os
import time

import pytest

from gatepost_test import admin
from gatepost_test.gatepost import REFUSED, RELOADED, routes_to
from gatepost_test.layouts import Certbot, Volume, replace
from gatepost_test.ports import free_port
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


def test_without_it_no_file_is_watched(gatepost, fake_backend):
    routes = routes_to(fake_backend(ImapServer()))
    front = gatepost(routes)
    since = front.mark()
    front.write_routes(routes)
    time.sleep(CALM)
    assert not reloads(front, since)


# -- certificates, and whatever else is named ------------------------------


def serving(certificates, **more):
    """The section tls for these entries."""
    return {"tls": {"certificates": certificates, **more}}


def served(front, server_hostname="imap.example.test"):
    """The certificate that a new client is shown."""
    with front.secure(server_hostname=server_hostname) as client:
        return client.tls.getpeercert(True)


@pytest.fixture
def fresh(authority):
    """fresh(): a certificate that nobody has seen."""
    return lambda: authority.issue("imap.example.test")


@pytest.fixture
def watched(gatepost, fake_backend):
    """watched(**settings): a Gatepost that watches."""
    return lambda **more: gatepost(routes_to(fake_backend(ImapServer())),
                                   watch=True, **more)


@pytest.mark.parametrize("by", ["chain", "directory"])
def test_a_renewal_by_certbot_is_one_reload(watched, folder, leaf, fresh, by):
    certbot = Certbot(folder, "imap.example.test", leaf)
    front = watched(**serving([
        {"directory": "live"} if by == "directory" else
        {"chain": certbot.path("fullchain"), "key": certbot.path("privkey")}]))
    counts = []

    for renewed in (fresh(), fresh()):
        since = front.mark()
        certbot.renew(renewed)
        front.wait_log(RELOADED, since)
        assert served(front) == renewed.der
        counts.append(len(reloads(front, since)))

    # More only where our own renewal was held up in its middle.
    assert 1 in counts


def test_a_renewal_by_halves_waits_for_the_other(watched, folder, leaf, fresh):
    certbot = Certbot(folder, "imap.example.test", leaf)
    front = watched(**serving([{"directory": "live"}]))
    renewed = fresh()
    since = front.mark()
    certbot.add(renewed)

    certbot.turn("privkey")
    front.wait_log(REFUSED, since)
    assert served(front) == leaf.der

    since = front.mark()
    certbot.turn("fullchain")
    front.wait_log(RELOADED, since)
    assert served(front) == renewed.der


def test_a_name_that_certbot_adds_is_served(watched, folder, leaf, authority):
    Certbot(folder, "imap.example.test", leaf)
    front = watched(**serving([{"directory": "live"}]))
    added = authority.issue("added.example.test")
    since = front.mark()

    Certbot(folder, "added.example.test", added)
    front.wait_log(RELOADED, since)

    assert served(front, "added.example.test") == added.der


def test_all_files_of_a_volume_change_at_once(watched, folder, leaf, fresh):
    def files(which):
        return {"tls.crt": which.chain_pem, "tls.key": which.key_pem}

    volume = Volume(f"{folder}/volume", files(leaf))
    front = watched(**serving([{"chain": volume.path("tls.crt"),
                                "key": volume.path("tls.key")}]))

    for renewed in (fresh(), fresh()):
        since = front.mark()
        volume.write(files(renewed))
        front.wait_log(RELOADED, since)
        assert served(front) == renewed.der
        assert not [one for one in front.log[since:]
                    if one.get("event") == REFUSED]


def test_a_volume_of_the_configuration_itself(watched, folder, fake_backend):
    front = watched()

    def files(backend):
        return {"gatepost.json": json.dumps(front.settings).encode(),
                "routes.json": json.dumps(routes_to(backend)).encode()}

    routes = Volume(f"{folder}/volume", files(fake_backend(ImapServer())))
    for name in ("gatepost.json", "routes.json"):
        os.symlink(f"volume/{name}", f"{folder}/link")
        since = front.mark()
        os.rename(f"{folder}/link", f"{folder}/{name}")
        front.wait_log(RELOADED, since)

    last = fake_backend(ImapServer())
    since = front.mark()
    routes.write(files(last))
    front.wait_log(RELOADED, since)
    front.logged_in()
    assert last.connects == 1


def test_every_file_that_is_named_is_watched(
        gatepost, fake_backend, settings, folder, authority, leaf):
    secrets = {"master": b"secret", "probe": b"secret",
               "token": b"x" * 40 + b"\n", "tickets": os.urandom(80)}
    pems = {"tls.pem": leaf.chain_pem, "tls.key": leaf.key_pem,
            "people.pem": authority.pem, "backends.pem": authority.pem,
            "ours.pem": leaf.chain_pem, "ours.key": leaf.key_pem}
    for name, content in {**secrets, **pems}.items():
        replace(f"{folder}/{name}", content)
    settings["tls"]["client_certificates"] = {"ca": "people.pem"}
    settings["tls"]["ticket_keys"] = ["tickets"]
    settings["listeners"][0]["client_certificates"] = True
    front = gatepost(routes_to(
        fake_backend(ImapServer()), tls="implicit", ca="backends.pem",
        certificate="ours.pem", key="ours.key",
        master={"user": "master", "secret": "master"},
        probe={"user": "probe", "secret": "probe"}),
        watch=True, admin={"socket": admin.SOCKET, "token": "token", "listen": {
            "address": "127.0.0.1", "port": free_port()}})

    for name, content in {**secrets, **pems}.items():
        since = front.mark()
        replace(f"{folder}/{name}", content)
        front.wait_log(RELOADED, since)


def test_a_folder_that_is_put_in_place_as_a_whole(watched, folder, leaf,
                                                  fresh):
    for name, which in (("certs", leaf), ("certs.new", fresh())):
        os.mkdir(f"{folder}/{name}")
        which.save(f"{folder}/{name}", "a")
    front = watched(**serving([{"chain": "certs/a.pem", "key": "certs/a.key"}]))
    since = front.mark()

    os.rename(f"{folder}/certs", f"{folder}/certs.old")
    os.rename(f"{folder}/certs.new", f"{folder}/certs")
    front.wait_log(RELOADED, since)
    last = fresh()
    since = front.mark()
    replace(f"{folder}/certs/a.key", last.key_pem)
    replace(f"{folder}/certs/a.pem", last.chain_pem)
    front.wait_log(RELOADED, since)

    assert served(front) == last.der


def test_what_a_refused_config_asks_for_is_waited_for(watched, folder, fresh):
    front = watched()
    renewed = fresh()
    since = front.mark()
    front.write_settings({**front.settings, **serving(
        [{"chain": "later/a.pem", "key": "later/a.key"}])})
    front.wait_log(REFUSED, since)

    since = front.mark()
    os.mkdir(f"{folder}/beside")
    renewed.save(f"{folder}/beside", "a")
    os.rename(f"{folder}/beside", f"{folder}/later")
    front.wait_log(RELOADED, since)

    assert served(front) == renewed.der
