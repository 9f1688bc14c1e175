"""`gatepost drain`, `maintenance` and `ready`: who is taken where, and that no
restart or reload forgets it; `gatepost
reload` and `gatepost route --live`."""

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import tempfile
import threading

import pytest

from gatepost_test import admin, orphans
from gatepost_test.gatepost import (
    REFUSED, SANITIZER_REPORT, backend_entry, environment)
from gatepost_test.ports import free_port
from gatepost_test.scripts import ImapServer

STATE = admin.SOCKET + ".state"


@pytest.fixture
def path(folder):
    """Where the socket is."""
    return os.path.join(folder, admin.SOCKET)


@pytest.fixture
def routes(fake_backend):
    """Three domains, each at a backend of its own."""
    backends = {name: backend_entry(fake_backend(ImapServer()))
                for name in ("b1", "b2", "b3")}
    return {"backends": backends,
            "pools": {"p1": {"backends": ["b1"]},
                      "p2": {"backends": ["b2"]}, "p3": {"backends": ["b3"]}},
            "domains": {"one.test": "p1", "two.test": "p2",
                        "three.test": "p3"}}


@pytest.fixture
def start(gatepost, routes):
    """start(): a Gatepost with an admin socket."""
    return lambda **more: gatepost(
        routes, **{"admin": {"socket": admin.SOCKET}, **more})


@pytest.fixture
def ask(binary, path):
    """ask("drain", "b1", ...): (exit status, output, errors)."""
    def run(name, *arguments):
        done = subprocess.run([binary, name, *arguments, "--socket", path],
                              capture_output=True, text=True, timeout=30,
                              env=environment({}))
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done.returncode, done.stdout, done.stderr
    return run


def mode(path, name):
    """The backend's mode as /status has it."""
    return {one["name"]: one["mode"]
            for one in admin.request(path, "/status").json["backends"]}[name]


def login(server, user):
    """What the login of this user is answered."""
    client = server.secure()
    answer = client.login(user)
    client.abandon()
    return answer


def test_a_drained_backend_keeps_its_sessions_and_takes_no_new_users(
        start, ask):
    server = start()
    client = server.logged_in("a@one.test")

    assert ask("drain", "b1") == (0, "b1 is draining, with 1 sessions\n", "")

    assert b"UNAVAILABLE" in login(server, "new@one.test")
    assert login(server, "x@two.test").startswith(b"OK")
    assert client.command("NOOP")
    client.abandon()


def test_a_backend_in_maintenance_loses_its_sessions(start, ask, path):
    server = start(timeouts={"drain": 0.3})
    client = server.logged_in("a@one.test")
    other = server.logged_in("x@two.test")

    status, output, _ = ask("maintenance", "b1")

    assert status == 0 and output.startswith("b1 is maintenance")
    assert client.read_to_end() == b""
    assert server.session_end(user="a@one.test")["reason"] == "maintenance"
    assert other.command("NOOP")
    assert b"UNAVAILABLE" in login(server, "a@one.test")
    other.abandon()


def test_a_backend_made_ready_takes_users_again(start, ask, path):
    server = start()
    ask("drain", "b1")

    assert ask("ready", "b1") == (0, "b1 is ready, with 0 sessions\n", "")

    assert login(server, "a@one.test").startswith(b"OK")
    assert mode(path, "b1") == "ready"


def test_status_and_metrics_say_why_it_is_out(start, ask, path):
    start()
    ask("drain", "b1")

    assert "draining for 0 s (by command)" in ask("status")[1]
    told = admin.metrics(path)
    assert told['gatepost_backend_mode{backend="b1",mode="draining"}'] == 1
    assert told['gatepost_backend_mode{backend="b1",mode="ready"}'] == 0


def test_each_state_says_since_when_and_why(start, ask, path, routes):
    routes["backends"]["b1"]["state"] = "draining"
    routes["backends"]["b2"]["state"] = "maintenance"
    routes["backends"]["b3"] = {"host": "127.0.0.1", "port": free_port(),
                                "tls": "none"}
    server = start()
    for _ in range(3):
        login(server, "x@three.test")

    def told(name):
        one, = (one for one in admin.request(path, "/status").json["backends"]
                if one["name"] == name)
        assert one["seconds"] >= 0
        return (one["state"], one["mode"], one["mode_why"],
                one["mode_seconds"] is not None)

    table = "routing table"
    assert told("b1") == ("up", "draining", table, True)
    assert told("b2") == ("up", "maintenance", table, True)
    assert told("b3")[0] == "down"
    output = ask("status")[1]
    for name, said in (("b1", r"up for \d+ s \(.+\).* draining for \d+ s "
                              rf"\({table}\)"),
                       ("b2", rf"maintenance for \d+ s \({table}\)"),
                       ("b3", r"down for \d+ s \(.*connection refused\)")):
        assert re.search(rf"{name}: .*{said}", output), output

    ask("ready", "b1")
    ask("maintenance", "b3")

    assert told("b1") == ("up", "ready", "by command", True)
    assert told("b3") == ("down", "maintenance", "by command", True)


def test_a_restart_forgets_no_command(start, ask, path, folder):
    server = start()
    ask("drain", "b1")
    ask("maintenance", "b2")
    ask("drain", "b3")
    ask("ready", "b3")
    assert stat.S_IMODE(os.stat(os.path.join(folder, STATE)).st_mode) == 0o600
    server.begin_stop()
    server.finish_stop()

    start()

    assert [mode(path, name) for name in ("b1", "b2", "b3")] == [
        "draining", "maintenance", "ready"]


@pytest.fixture
def runtime():
    """A folder that its service's stop clears."""
    if not os.access("/run", os.W_OK):
        pytest.skip("only root may write below /run")
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        yield folder


def test_a_stop_that_clears_run_forgets_no_command(start, runtime, tmp_path):
    path = os.path.join(runtime, "admin.sock")
    server = start(admin={"socket": path},
                   env={"STATE_DIRECTORY": str(tmp_path)})
    assert admin.request(path, "/drain?backend=b1", "POST").status == 200
    server.begin_stop()
    server.finish_stop()
    assert os.listdir(runtime) == []

    start(admin={"socket": path}, env={"STATE_DIRECTORY": str(tmp_path)})

    assert mode(path, "b1") == "draining"


@pytest.fixture
def states(tmp_path):
    """What systemd names as the folder of a service's state, and the file that
    is ours there."""
    return {"STATE_DIRECTORY": str(tmp_path)}, tmp_path / "state.json"


def kept_in(file):
    with open(file) as source:
        return json.load(source)["backends"]


def upgrade(server, path):
    orphans.adopt()
    answer = admin.request(path, "/upgrade", "POST", timeout=60)
    assert answer.status == 200, answer.text
    server.follow(answer.json["successor"])


def test_a_restart_that_moves_the_state_forgets_no_command(
        start, runtime, states):
    path = os.path.join(runtime, "admin.sock")
    env, file = states
    former = {"b1": "draining", "b9": "maintenance"}  # b9 may come back
    with open(path + ".state", "w") as out:
        json.dump({"backends": former}, out)

    server = start(admin={"socket": path}, env=env)

    assert mode(path, "b1") == "draining"
    assert kept_in(file) == former
    assert server.wait_log("state-inherited")["file"] == str(file)
    assert admin.request(path, "/ready?backend=b1", "POST").status == 200
    server.begin_stop()
    server.finish_stop()
    start(admin={"socket": path}, env=env)
    assert mode(path, "b1") == "ready"


def test_a_broken_state_file_of_the_former_place_is_no_start(
        binary, folder, settings, routes, runtime, states):
    socket = os.path.join(runtime, "admin.sock")
    for name, text in ((socket + ".state", "{"),
                       ("routes.json", json.dumps(routes)),
                       ("gatepost.json", json.dumps(
                           {**settings, "routes": "routes.json",
                            "admin": {"socket": socket}}))):
        with open(os.path.join(folder, name), "w") as out:
            out.write(text)

    done = subprocess.run(
        [binary, "serve", os.path.join(folder, "gatepost.json")],
        stderr=subprocess.PIPE, text=True, timeout=30,
        env=environment(states[0]))

    assert done.returncode == 1
    assert "admin.sock.state" in done.stderr
    assert not states[1].exists()


@pytest.mark.threads
def test_an_upgrade_that_moves_the_state_forgets_no_command(
        start, ask, path, folder):
    server = start()
    ask("drain", "b1")
    ask("maintenance", "b2")
    ask("ready", "b3")
    server.write_settings({**server.settings, "admin": {
        "socket": admin.SOCKET, "state": "another.json"}})

    upgrade(server, path)

    assert server.wait_log("state-inherited")["file"].endswith("another.json")
    assert kept_in(os.path.join(folder, "another.json")) == {
        "b1": "draining", "b2": "maintenance"}
    ask("ready", "b1")
    assert mode(path, "b1") == "ready"
    server.reload()
    assert mode(path, "b1") == "ready"


@pytest.mark.threads
def test_a_state_that_an_upgrade_cannot_keep_is_told_and_holds(
        start, ask, path):
    server = start()
    ask("drain", "b1")
    server.write_settings({**server.settings, "admin": {
        "socket": admin.SOCKET, "state": "nowhere/state.json"}})

    upgrade(server, path)

    server.wait_log("state-not-kept")
    server.reload()
    assert mode(path, "b1") == "draining"


@pytest.mark.threads
def test_an_upgrade_writes_no_state_that_is_kept(start, ask, path):
    server = start()
    ask("drain", "b1")

    upgrade(server, path)
    server.reload()  # whatever the upgrade logs is in the log by then

    assert mode(path, "b1") == "draining"
    assert not any(line["event"].startswith("state-") for line in server.log)


def test_a_reload_forgets_no_command(start, ask, path, routes):
    server = start()
    ask("drain", "b1")
    routes["backends"]["b1"]["state"] = "maintenance"
    server.write_routes(routes)
    server.reload()

    assert mode(path, "b1") == "draining"


def test_a_backend_that_moves_stays_drained(
        start, ask, path, routes, fake_backend):
    server = start()
    ask("drain", "b1")
    routes["backends"]["b1"] = backend_entry(fake_backend(ImapServer()))
    server.write_routes(routes)
    server.reload()

    assert mode(path, "b1") == "draining"


def test_ready_tells_that_the_table_says_otherwise(start, ask, path, routes):
    routes["backends"]["b1"]["state"] = "draining"
    start()

    status, output, _ = ask("ready", "b1")

    assert status == 0
    assert "the routing table still says draining" in output
    assert mode(path, "b1") == "ready"


@pytest.mark.parametrize("name", ["drain", "maintenance", "ready"])
def test_a_name_that_no_backend_has_is_refused(start, ask, name):
    start()

    status, output, errors = ask(name, "b9")

    assert (status, output) == (1, "")
    assert errors == "gatepost: no backend has this name\n"


@pytest.mark.parametrize("arguments", [[], ["b1", "b2"], ["--user", "a"]])
def test_one_name_is_wanted(start, ask, arguments):
    start()

    assert ask("drain", *arguments)[0] == 2


def test_a_state_that_cannot_be_kept_is_not_set(start, ask, path):
    start(admin={"socket": admin.SOCKET, "state": "nowhere/state.json"})

    status, _, errors = ask("drain", "b1")

    assert status == 1
    assert "nothing was changed" in errors
    assert mode(path, "b1") == "ready"


def test_a_state_file_of_a_place_of_its_own_is_used(start, ask, folder):
    start(admin={"socket": admin.SOCKET, "state": "kept.json"})
    ask("drain", "b1")

    with open(os.path.join(folder, "kept.json")) as kept:
        assert json.load(kept) == {"backends": {"b1": "draining"}}


@pytest.mark.parametrize("content, told", [
    ("", "state"), ("{", "state"), ("[]", "object"), ("{}", "backends"),
    ('{"backends": {"b1": "ready"}}', "draining"),
    ('{"backends": {"b1": 1}}', "b1"), ('{"backends": [], "x": 1}', "x")])
def test_a_broken_state_file_is_no_start(
        binary, folder, settings, routes, content, told):
    for name, text in ((STATE, content), ("routes.json", json.dumps(routes)),
                       ("gatepost.json", json.dumps(
                           {**settings, "routes": "routes.json",
                            "admin": {"socket": admin.SOCKET}}))):
        with open(os.path.join(folder, name), "w") as out:
            out.write(text)

    done = subprocess.run(
        [binary, "serve", os.path.join(folder, "gatepost.json")],
        stderr=subprocess.PIPE, text=True, timeout=30, env=environment({}))

    assert done.returncode == 1
    assert STATE in done.stderr and told in done.stderr
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr


def test_a_command_for_a_backend_that_is_gone_waits_for_it(
        start, ask, path, routes):
    server = start()
    ask("drain", "b3")
    gone = json.loads(json.dumps(routes))
    gone["pools"]["p3"]["backends"] = ["b2"]
    gone["backends"]["b4"] = gone["backends"].pop("b3")
    server.write_routes(gone)
    server.reload()
    server.write_routes(routes)
    server.reload()

    assert mode(path, "b3") == "draining"


def test_another_state_file_wants_a_restart(start, path):
    server = start()
    server.write_settings({**server.settings, "admin": {
        "socket": admin.SOCKET, "state": "another.json"}})

    since = server.mark()
    server.reload(REFUSED)

    assert "$.admin.state" in json.dumps(server.log[since:])


# -- reload ------------------------------------------------------------------

def test_a_reload_by_command_is_in_force_when_it_returns(
        start, ask, path, routes):
    server = start()
    routes["backends"]["b1"]["state"] = "draining"
    server.write_routes(routes)

    assert ask("reload") == (0, "reloaded\n", "")

    assert mode(path, "b1") == "draining"
    assert "the last one was taken" in ask("status")[1]


def test_a_reload_by_command_says_why_it_was_refused(start, ask, routes):
    server = start()
    routes["pools"]["p1"]["backends"] = ["b9"]
    server.write_routes(routes)

    status, output, errors = ask("reload")

    assert (status, errors) == (1, "")
    assert "routes.json: $.pools.p1.backends[0]: found \"b9\"" in output
    assert output.endswith("refused: the former files are still in force\n")
    assert login(server, "a@one.test").startswith(b"OK")


def test_a_table_that_shrank_is_taken_by_force_only(start, ask, routes):
    routes["users"] = {f"u{i}@one.test": "p1" for i in range(50)}
    server = start()
    routes["users"] = {"u1@one.test": "p1"}
    server.write_routes(routes)

    status, output, _ = ask("reload")
    assert status == 1 and "refused" in output
    assert ask("reload", "--force") == (0, "reloaded\n", "")


def test_reloads_by_command_at_once_are_all_answered(start, path):
    server = start()
    answers = []

    def reload():
        answers.append(admin.request(path, "/reload", "POST"))

    crowd = [threading.Thread(target=reload) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()

    assert [answer.status for answer in answers] == [200] * 8
    assert {answer.json["taken"] for answer in answers} == {True}
    server.logged_in("a@one.test").abandon()


def test_a_server_that_drains_takes_no_reload(start, ask):
    server = start()
    client = server.logged_in("a@one.test")
    server.signal(signal.SIGTERM)
    server.wait_log("draining")

    status, output, errors = ask("reload")

    assert (status, output) == (1, "")
    assert errors == "gatepost: the server drains\n"
    client.abandon()


# -- route --live ------------------------------------------------------------

def test_a_live_route_tells_what_the_server_knows(start, ask):
    server = start()
    client = server.logged_in("a@one.test")
    ask("drain", "b1")

    status, output, errors = ask("route", "--live", "A@One.test")

    assert (status, errors) == (0, "")
    assert output.splitlines() == [
        "name:     a@one.test", "rule:     domain one.test",
        "pool:     p1", "hold:     no", "home:     b1",
        "backend:  b1, up, draining, 1 sessions"]
    client.abandon()


def test_a_live_route_of_who_is_not_here_has_no_home(start, ask):
    start()

    told = json.loads(ask("route", "--live", "x@two.test", "--json")[1])

    assert (told["home"], told["pool"]) == (None, "p2")


def test_a_live_route_follows_a_reload(start, ask, routes):
    server = start()
    routes["domains"]["one.test"] = {"pool": "p2", "hold": True}
    server.write_routes(routes)
    ask("reload")

    _, output, _ = ask("route", "--live", "a@one.test")

    assert "pool:     p2" in output and "hold:     yes" in output


def test_a_live_route_finds_users_on_disk(start, ask, routes, folder):
    database = sqlite3.connect(os.path.join(folder, "users.sqlite"))
    database.execute("CREATE TABLE users (user TEXT PRIMARY KEY, pool TEXT, "
                     "hold INTEGER DEFAULT 0) WITHOUT ROWID")
    database.execute("INSERT INTO users VALUES ('d@one.test', 'p3', 0)")
    database.commit()
    database.close()
    routes["users"] = {"file": "users.sqlite"}
    start()

    output = ask("route", "--live", "d@one.test")[1]
    other = ask("route", "--live", "e@one.test")[1]

    assert "rule:     user d@one.test\npool:     p3" in output
    assert "rule:     domain one.test\npool:     p1" in other


@pytest.mark.parametrize("user, told", [
    ("a@nowhere.test", "no rule is for this name"),
    ("a" * 600, "is no user's name")], ids=["nowhere", "too-long"])
def test_a_live_route_that_leads_nowhere_is_told(start, ask, user, told):
    start()

    status, output, errors = ask("route", "--live", user)

    assert (status, output) == (1, "")
    assert told in errors


def test_a_live_route_wants_a_name(start, ask):
    start()

    assert ask("route", "--live")[0] == 2
