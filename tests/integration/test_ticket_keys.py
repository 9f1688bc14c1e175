"""Ticket keys in files: machines behind one name resume each other's sessions,
and a reload takes and drops keys (rows B5, B6)."""

import json
import os
import ssl
import time

import pytest

from gatepost_test import admin, orphans
from gatepost_test.gatepost import REFUSED, Gatepost, routes_to
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import trusting

pytestmark = pytest.mark.threads

NAME = "imap.example.test"
OTHER = "localhost"
VERSIONS = {"TLSv1.2": {"minimum": ssl.TLSVersion.TLSv1_2,
                        "maximum": ssl.TLSVersion.TLSv1_2},
            "TLSv1.3": {"minimum": ssl.TLSVersion.TLSv1_3}}


@pytest.fixture(params=VERSIONS)
def context(authority, request):
    """A client's, for one version of TLS."""
    return trusting(authority, **VERSIONS[request.param])


@pytest.fixture
def machine(binary, folder, leaf, fake_backend, endings, request):
    """machine("a", "b"): a Gatepost whose settings name these files of keys,
    with its own settings and all else alike."""
    routes = routes_to(fake_backend(ImapServer()))
    started = []

    def start(*keys, **tls):
        place = os.path.join(folder, f"machine-{len(started)}")
        os.mkdir(place)
        leaf.save(place, "tls")
        tls.setdefault("certificates", [{"chain": "tls.pem",
                                         "key": "tls.key"}])
        started.append(Gatepost(binary, place, {
            "listeners": [{"address": "127.0.0.1", "port": free_port(),
                           "tls": "implicit"}],
            "tls": with_keys(tls, folder, keys), "workers": 2,
            "admin": {"socket": admin.SOCKET}}, routes))
        return started[-1]

    yield start
    for one in started:
        endings.add(request.node.nodeid, one)
    endings.check(at_most=3)


def with_keys(tls, folder, keys):
    paths = [os.path.join(folder, key) for key in keys]
    return {**tls, **({"ticket_keys": paths} if paths else {})}


@pytest.fixture
def keys(folder):
    """Files a, b and c, as `openssl rand 80` makes them."""
    for name in ("a", "b", "c"):
        write_key(os.path.join(folder, name), os.urandom(80))


def write_key(path, content, mode=0o600):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode),
              "wb") as out:
        out.write(content)
    os.chmod(path, mode)


def set_keys(server, folder, *names):
    """A reload after which the settings name these files."""
    tls = {name: value for name, value in server.settings["tls"].items()
           if name != "ticket_keys"}
    server.settings["tls"] = with_keys(tls, folder, names)
    server.write_settings(server.settings)
    server.reload()


def get_session(server, context, name=NAME):
    """What a full handshake leaves to a client."""
    with server.secure(context, name) as client:
        client.command("NOOP")  # a TLS 1.3 ticket rides with or before it
        assert client.tls.session.has_ticket
        assert not client.tls.session_reused
        return client.tls.session


def resumes(server, context, session, name=NAME):
    """Whether a handshake with this ticket is short; it must succeed."""
    with server.secure(context, name, session) as client:
        assert client.command("NOOP")[-1].startswith(b"OK")
        return client.tls.session_reused


def test_machines_with_one_key_resume_each_others_sessions(
        machine, keys, context):
    first, second, alone = machine("a"), machine("a"), machine()

    session = get_session(first, context)

    assert all(resumes(second, context, session) for _ in range(4))
    assert not resumes(alone, context, session)
    assert resumes(first, context, get_session(second, context))


def test_keys_change_on_one_machine_after_another_and_no_session_is_lost(
        machine, keys, folder, context):
    servers = [machine("a", "b"), machine("a", "b")]
    old = get_session(servers[0], context)

    set_keys(servers[0], folder, "b", "a", "c")
    new = get_session(servers[0], context)

    for server in servers:  # the second seals with a still
        assert resumes(server, context, old)
        assert resumes(server, context, new)
    set_keys(servers[1], folder, "b", "a", "c")
    assert resumes(servers[1], context, old)
    for server in servers:
        set_keys(server, folder, "c", "b")
        assert not resumes(server, context, old)
        assert resumes(server, context, new)


@pytest.mark.threat("B6")
def test_b6_a_dropped_key_opens_nothing_and_a_kept_one_all(
        machine, keys, folder, context):
    server = machine("a", "b")
    old = get_session(server, context)

    set_keys(server, folder, "b", "a")
    assert resumes(server, context, old)
    new = get_session(server, context)
    set_keys(server, folder, "b")

    assert not resumes(server, context, old)
    assert resumes(server, context, new)
    set_keys(server, folder)
    assert not resumes(server, context, new)


def test_a_reload_that_changes_no_key_forgets_no_ticket(
        machine, keys, folder, context):
    server = machine("a")
    session = get_session(server, context)
    os.rename(f"{folder}/a", f"{folder}/moved")

    set_keys(server, folder, "moved")

    assert resumes(server, context, session)


def twin_of_a(path):
    """A file with the name of key a, and other secrets."""
    with open(os.path.join(os.path.dirname(path), "a"), "rb") as first:
        write_key(path, first.read(16) + os.urandom(64))


# Name: (what becomes of the second file, what is said of it).
FAULTS = {
    "short": (lambda path: write_key(path, os.urandom(48)),
              "48 bytes, a key of AES-128"),
    "long": (lambda path: write_key(path, os.urandom(81)), "81 bytes"),
    "empty": (lambda path: write_key(path, b""), "0 bytes"),
    "exposed": (lambda path: os.chmod(path, 0o604), "everybody may read"),
    "twin": (twin_of_a, "its name, as"),
    "gone": (os.remove, "No such file")}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_with_a_fault_leaves_the_keys_as_they_were(
        machine, keys, folder, authority, fault):
    spoil, said = FAULTS[fault]
    context = trusting(authority)
    server = machine("a", "b")
    session = get_session(server, context)
    write_key(f"{folder}/a", os.urandom(80))
    spoil(f"{folder}/b")
    since = server.mark()

    server.reload(REFUSED)

    told = json.dumps(server.log[since:])
    assert "$.tls.ticket_keys[1]" in told and f"{folder}/b" in told
    assert said.lower() in told.lower()
    assert resumes(server, context, session)


def test_a_key_that_nobody_changed_is_warned_of_and_serves(
        machine, keys, folder, authority):
    long_ago = time.time() - 30 * 24 * 3600
    os.utime(f"{folder}/b", (long_ago, long_ago))
    server = machine("a", "b")
    assert "days ago" not in server.stderr

    set_keys(server, folder, "b", "a")

    warned = server.wait_log(lambda entry: "days ago" in str(entry))
    assert warned["level"] == "warn"
    context = trusting(authority)
    assert resumes(server, context, get_session(server, context))


@pytest.mark.threat("B5")
def test_b5_a_ticket_of_another_machine_is_bound_to_its_certificate(
        machine, keys, authority, folder, context):
    pairs = []
    for name in (NAME, OTHER):
        authority.issue(name).save(folder, name)
        pairs.append({"chain": f"{folder}/{name}.pem",
                      "key": f"{folder}/{name}.key"})
    first = machine("a", certificates=pairs)
    turned = machine("a", certificates=pairs[::-1])

    session = get_session(first, context)

    assert resumes(turned, context, session)
    assert not resumes(turned, context, get_session(first, context), OTHER)
    assert not resumes(machine("a"), context, get_session(first, context))


@pytest.mark.threat("B5")
def test_b5_a_ticket_of_another_machine_is_bound_to_its_policy(
        machine, keys, context):
    first, other = machine("a"), machine("a", policy="compatible")

    assert not resumes(other, context, get_session(first, context))


def test_a_successor_reads_the_files_and_no_other_key_opens(
        machine, keys, folder, context):
    orphans.adopt()
    server, elsewhere = machine(), machine("b", "a")
    own = get_session(server, context)
    server.settings["tls"] = with_keys(server.settings["tls"], folder,
                                       ("a", "b"))
    server.write_settings(server.settings)

    answer = admin.request(os.path.join(server.folder, admin.SOCKET),
                           "/upgrade", "POST", timeout=60)
    assert answer.status == 200, answer.text
    server.follow(answer.json["successor"])

    assert not resumes(server, context, own)
    assert resumes(server, context, get_session(elsewhere, context))
    assert resumes(elsewhere, context, get_session(server, context))
