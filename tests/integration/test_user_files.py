"""Users in a file of their own, and tables that shrink (issue 5, 5 and 6)."""

import json
import os
import shutil

import pytest

from gatepost_test.gatepost import REFUSED, backend_entry
from gatepost_test.scripts import ImapServer

EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "deploy",
                        "examples")


def lines_of(users):
    """A file of users as a script would write it."""
    lines = [f"{user}\t{pool}\n" for user, pool in users.items()]
    return "".join(["# users\n", *lines, f"# end {len(lines)}\n"]).encode()


def object_of(users):
    return json.dumps(users).encode()


FORMS = {"users.tsv": lines_of, "users.json": object_of}


def put(folder, name, content):
    path = os.path.join(folder, name)
    with open(path + ".new", "wb") as out:
        out.write(content)
    os.replace(path + ".new", path)


def two_pools(one, other, file):
    return {"backends": {"one": backend_entry(one),
                         "other": backend_entry(other)},
            "pools": {"p1": {"backends": ["one"]},
                      "p2": {"backends": ["other"]}},
            "users": {"file": file}}


@pytest.mark.parametrize("file", FORMS)
def test_users_of_a_file_are_moved_by_a_reload(
        gatepost, folder, fake_backend, file):
    one, other = fake_backend(ImapServer()), fake_backend(ImapServer())
    users = {f"user{i}@example.org": "p1" for i in range(9)}
    put(folder, file, FORMS[file](dict(users, **{"Alice@example.org": "p1"})))
    front = gatepost(two_pools(one, other, file))
    session = front.logged_in()
    assert (one.connects, other.connects) == (1, 0)

    put(folder, file, FORMS[file](dict(users, **{"alice@example.org": "p2"})))
    front.reload()

    front.logged_in().abandon()
    assert (one.connects, other.connects) == (1, 1)
    assert session.command("NOOP")[-1].startswith(b"OK")
    stranger = front.secure()
    assert b"AUTHENTICATIONFAILED" in stranger.login("eve@example.org", "x")


def test_a_file_of_users_that_was_cut_changes_nothing(
        gatepost, folder, fake_backend):
    one, other = fake_backend(ImapServer()), fake_backend(ImapServer())
    users = {f"user{i}@example.org": "p1" for i in range(100)}
    whole = lines_of(dict(users, **{"alice@example.org": "p1"}))
    put(folder, "users.tsv", whole)
    front = gatepost(two_pools(one, other, "users.tsv"))

    for cut in (0, 1, len(whole) // 2, len(whole) - 2, len(whole) - 4):
        since = front.mark()
        put(folder, "users.tsv", whole[:cut])
        front.reload(REFUSED)
        logged = json.dumps(front.log[since:])
        assert "users.tsv\"" in logged and "# end" in logged, (cut, logged)

    front.logged_in().abandon()
    assert one.connects == 1


def test_a_table_that_lost_its_users_is_refused_until_it_is_meant(
        gatepost, folder, fake_backend):
    one, other = fake_backend(ImapServer()), fake_backend(ImapServer())
    users = {f"user{i}@example.org": "p1" for i in range(99)}
    put(folder, "users.tsv",
        lines_of(dict(users, **{"alice@example.org": "p2"})))
    front = gatepost(two_pools(one, other, "users.tsv"))

    put(folder, "users.tsv", lines_of(dict(list(users.items())[:79])))
    since = front.mark()
    front.reload(REFUSED)
    logged = json.dumps(front.log[since:])
    assert "79 users, while 100 are in force" in logged
    assert "80 or more" in logged and "max_shrink" in logged
    front.logged_in().abandon()
    front.write_settings(dict(front.settings, max_shrink=100))
    front.reload()

    front.secure().login("user1@example.org", "x")
    assert (one.connects, other.connects) == (1, 1)


def test_a_file_of_users_that_is_missing_is_named(command):
    status, _, errors = command(
        {"backends": {"b": {"host": "::1", "port": 1, "tls": "none"}},
         "pools": {"p": {"backends": ["b"]}},
         "users": {"file": "none.tsv"}}, "check")

    assert status == 1
    assert "routes.json: $.users.file: found \"" in errors
    assert "none.tsv\" (No such file or directory)" in errors


def test_the_large_example_is_good(command, folder):
    with open(os.path.join(EXAMPLES, "large-routes.json"),
              encoding="utf-8") as file:
        routes = json.load(file)
    for backend in routes["backends"].values():
        del backend["ca"]
    shutil.copy(os.path.join(EXAMPLES, "large-users.tsv"), folder)

    status, said, _ = command(routes, "check")
    assert status == 0 and "3 users" in said
    _, said, _ = command(routes, "route", "Bob@example.org")
    assert "shard-b" in said and "hold:     yes" in said
