"""The commands that need no running server: check, route, --version, --help,
and what they answer to wrong usage."""

import copy
import os
import subprocess

import pytest

from gatepost_test.gatepost import environment

ROUTES = {
    "backends": {
        "a1": {"host": "10.0.0.11", "port": 143, "tls": "starttls",
               "tls_name": "a1.example.org", "ca": "ca.pem"},
        "a2": {"host": "a2.example.org", "port": 993, "tls": "implicit",
               "ca": "ca.pem", "weight": 2},
        "b1": {"host": "127.0.0.1", "port": 143, "tls": "none"},
        "b2": {"host": "::1", "port": 143, "tls": "none"}},
    "pools": {"shard-a": {"backends": ["a1", "a2"]},
              "shard-b": {"backends": ["b1", "b2"], "when_down": "next",
                          "balance": "least-sessions"}},
    "users": {"alice@example.org": "shard-a",
              "bob@example.org": {"pool": "shard-b", "login_as": "bob"}},
    "domains": {"example.org": "shard-a",
                "*.example.net": {"pool": "shard-b",
                                  "login_as": "{local}"},
                "example.net": "shard-b"}}


@pytest.fixture
def routes():
    return copy.deepcopy(ROUTES)


@pytest.fixture
def run(binary):
    """run(ARGUMENTS...): (exit status, output, errors)."""
    def start(*arguments, **options):
        options.setdefault("stdout", subprocess.PIPE)
        done = subprocess.run([binary, *arguments], stderr=subprocess.PIPE,
                              text=True, timeout=30, env=environment({}),
                              **options)
        return done.returncode, done.stdout, done.stderr
    return start


def fields(output):
    """The lines of `route` as a dict."""
    return {line[:9].strip(): line[10:] for line in output.splitlines()}


# -- check -----------------------------------------------------------------

def test_check_counts_what_a_good_config_holds(command, routes, folder):
    status, output, errors = command(routes, "check")

    assert (status, errors) == (0, "")
    assert output == (f"{folder}/gatepost.json: ok, 2 listeners, "
                      "1 certificate, 4 backends, 2 users, 3 domains, "
                      "0 warnings\n")


def test_check_prints_the_problems_of_all_files(
        command, routes, settings, folder, authority):
    authority.issue("other.example.test").save(folder, "other")
    settings["tls"]["certificates"] += [
        {"chain": "absent.pem", "key": "tls.key"},
        {"chain": "other.pem", "key": "tls.key"}]
    routes["backends"]["b1"]["port"] = 70000
    routes["users"]["carol@example.org"] = "shard-c"

    status, output, errors = command(routes, "check")

    lines = errors.splitlines()
    assert status == 1
    assert len(lines) == 4, errors
    assert any("gatepost.json: $.tls.certificates[1].chain: found "
               f'"{folder}/absent.pem" (No such file or directory), expected '
               "a file that can be read" in line for line in lines)
    assert any(f"{folder}/tls.key: " in line for line in lines)
    assert any("$.backends.b1.port: found 70000, expected " in line
               for line in lines)
    assert any("shard-c" in line for line in lines)
    assert output == f"{folder}/gatepost.json: 4 errors, 0 warnings\n"


def test_check_goes_on_after_a_fault_of_the_settings(
        command, routes, settings, folder):
    settings["listners"] = []
    settings["tls"]["certificates"].append({"chain": "absent.pem",
                                            "key": "tls.key"})
    routes["backends"]["b1"]["port"] = 70000

    status, output, errors = command(routes, "check")

    assert status == 1
    assert '$.listners: found an unknown key, expected "listeners"' in errors
    assert "absent.pem" in errors
    assert "$.backends.b1.port: " in errors
    assert output == f"{folder}/gatepost.json: 3 errors, 0 warnings\n"


def test_check_names_a_config_file_that_is_missing(run):
    status, output, errors = run("check", "/absent/gatepost.json")

    assert status == 1
    assert errors == ("/absent/gatepost.json: found No such file or "
                      "directory, expected a file that can be read\n")
    assert output == "/absent/gatepost.json: 1 error, 0 warnings\n"


def test_check_warns_of_a_key_that_everybody_may_read(
        command, routes, folder):
    os.chmod(f"{folder}/tls.key", 0o644)

    status, output, errors = command(routes, "check")

    assert status == 0
    assert (f'$.tls.certificates[0].key: found "{folder}/tls.key", which '
            "everybody may read") in errors
    assert output.endswith(", 1 warning\n")


def test_check_reads_folders_as_certbot_leaves_them(
        command, routes, settings, folder, authority):
    for name in ("one.example.test", "two.example.test"):
        archive = f"{folder}/archive/{name}"
        live = f"{folder}/live/{name}"
        os.makedirs(archive)
        os.makedirs(live)
        authority.issue(name).save(archive, "1")
        os.symlink(f"{archive}/1.pem", f"{live}/fullchain.pem")
        os.symlink(f"{archive}/1.key", f"{live}/privkey.pem")
    with open(f"{folder}/live/README", "w") as out:
        out.write("These are symbolic links.\n")
    settings["tls"]["certificates"].append({"directory": "live"})

    status, output, errors = command(routes, "check")

    assert (status, errors) == (0, "")
    assert ", 3 certificates, " in output


def test_check_reads_regular_files_only(command, routes, settings, folder):
    os.mkfifo(f"{folder}/pipe")
    settings["tls"]["certificates"] = [{"chain": "pipe", "key": "."}]

    status, _, errors = command(routes, "check")

    assert status == 1
    assert f'"{folder}/pipe" (not a regular file)' in errors
    assert "(Is a directory)" in errors


@pytest.mark.parametrize("content, mode, fault", [
    (b"", 0o600, "an empty file"), (b"\n", 0o600, "an empty file"),
    (b"secret\n", 0o604, "a file that everybody may read"),
    (b"a\0b", 0o600, "a NUL byte"), (b"a\nb\n", 0o600, "more than one line"),
    (b"x" * 1025, 0o600, "more than 1024 bytes"),
    (None, 0, "(No such file or directory)")])
def test_check_refuses_a_masters_secret_that_is_none(
        command, routes, folder, content, mode, fault):
    routes["backends"]["a1"]["master"] = {"user": "m", "secret": "sub/master"}
    os.makedirs(f"{folder}/sub")
    if content is not None:
        with open(f"{folder}/sub/master", "wb") as out:
            out.write(content)
        os.chmod(f"{folder}/sub/master", mode)

    status, _, errors = command(routes, "check")

    assert status == 1
    (line,) = [line for line in errors.splitlines() if "warning" not in line]
    assert line.startswith(f"{folder}/routes.json: $.backends.a1.master."
                           "secret: found ")
    assert fault in line


def test_check_holds_settings_and_table_together(
        command, routes, settings, folder):
    settings["auth"] = {"mechanisms": ["PLAIN", "SCRAM-SHA-256"]}
    settings["listeners"].append({"address": "*", "port": 143,
                                  "tls": "starttls"})
    routes["pools"]["shard-b"]["master"] = {"user": "m", "secret": "master"}
    with open(os.open(f"{folder}/master", os.O_CREAT | os.O_WRONLY, 0o600),
              "w") as out:
        out.write("secret\n")

    status, output, errors = command(routes, "check")

    assert status == 1
    assert ('$.users["bob@example.org"].login_as: found login_as, while '
            "$.auth.mechanisms offers SCRAM or a token") in errors
    assert ("warning: $.backends.b1.host: found an address where Gatepost "
            "itself listens") in errors
    assert ('warning: $.pools["shard-b"].master: found a master user whom no '
            "login uses") in errors
    assert "1 error, 3 warnings" in output


def test_check_wants_what_external_needs(command, routes, settings, folder):
    settings["auth"] = {"mechanisms": ["EXTERNAL"]}
    settings["listeners"][0]["client_certificates"] = True

    status, output, errors = command(routes, "check")

    assert status == 1
    assert ("$.auth.mechanisms: found EXTERNAL without a CA of clients"
            in errors)
    assert "$.listeners[0].client_certificates: found true" in errors

    settings["tls"]["client_certificates"] = {"ca": "ca.pem"}
    status, output, errors = command(routes, "check")

    assert status == 0
    assert [line.split(": ")[2] for line in errors.splitlines()] == [
        '$.pools["shard-a"].master', '$.pools["shard-b"].master']


@pytest.mark.parametrize("content, fault", [
    (None, "$.tls.client_certificates.ca: found "), (b"", "people.pem: "),
    (b"no certificate", "people.pem: ")])
def test_check_reads_the_ca_of_clients(
        command, routes, settings, folder, content, fault):
    settings["auth"] = {"mechanisms": ["EXTERNAL"]}
    settings["listeners"][0]["client_certificates"] = True
    settings["tls"]["client_certificates"] = {"ca": "people.pem"}
    if content is not None:
        with open(f"{folder}/people.pem", "wb") as out:
            out.write(content)

    status, _, errors = command(routes, "check")

    assert status == 1
    (line,) = [line for line in errors.splitlines() if "warning" not in line]
    assert fault in line


# -- route -----------------------------------------------------------------

def test_route_gives_one_answer_for_all_spellings(command, routes, settings):
    settings["auth"] = {"username": {"default_domain": "example.org"}}
    answers = []

    for user in ("Alice@Example.org", "alice@example.org", "alice"):
        status, output, errors = command(routes, "route", user)
        assert (status, errors) == (0, "")
        told = fields(output)
        assert told.pop("login as:") == f"{user}, as the client sent it"
        answers.append(told)

    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["name:"] == "alice@example.org"
    assert answers[0]["rule:"] == "user alice@example.org"
    assert answers[0]["pool:"] == ("shard-a (balance hash, when_down "
                                   "refuse)")
    assert answers[0]["hold:"] == "no"


@pytest.mark.parametrize("user, rule, login_as", [
    ("bob@example.org", "user bob@example.org", 'bob, from "bob"'),
    ("Zoe@Example.ORG", "domain example.org",
     "Zoe@Example.ORG, as the client sent it"),
    ("Ann@mx.example.net", "wildcard domain *.example.net",
     'ann, from "{local}"'),
    ("eve@elsewhere.test", "no user and no domain matches, so default",
     "eve@elsewhere.test, as the client sent it")])
def test_route_names_the_rule(command, routes, user, rule, login_as):
    routes["default"] = "shard-b"

    status, output, _ = command(routes, "route", user)

    assert status == 0
    assert fields(output)["rule:"] == rule
    assert fields(output)["login as:"] == login_as


def test_route_tells_backend_and_reason(command, routes):
    lines = {"a1": "a1 at 10.0.0.11:143, STARTTLS, verified as "
                   "a1.example.org",
             "a2": "a2 at a2.example.org:993, implicit TLS, verified as "
                   "a2.example.org"}
    weights = {"a1": 1, "a2": 2}
    seen = set()

    for number in range(20):
        _, output, _ = command(routes, "route", f"u{number}@example.org")
        told = fields(output)
        name = told["backend:"].split()[0]
        other = {"a1": "a2", "a2": "a1"}[name]
        assert told["backend:"] == lines[name]
        assert told["why:"] == ("first of 2 by the hash of backend and name; "
                                f"weight {weights[name]} of 3")
        assert told["next:"] == (
            "none while that one is down (when_down refuse); "
            f"{other} once it is taken out of the pool")
        seen.add(name)

    assert seen == {"a1", "a2"}


def test_route_keeps_its_word_about_who_is_next(command, routes):
    _, output, _ = command(routes, "route", "alice@example.org")
    first = fields(output)["backend:"].split()[0]
    routes["backends"][first]["weight"] = 0

    _, output, _ = command(routes, "route", "alice@example.org")

    told = fields(output)
    assert told["backend:"].split()[0] != first
    assert told["why:"] == ("the only backend of the pool with a weight "
                            "above 0")
    assert told["next:"] == "none"


def test_route_names_who_is_next_where_the_pool_goes_on(command, routes):
    _, output, _ = command(routes, "route", "bob@example.org")

    told = fields(output)
    hosts = {"b1": "127.0.0.1:143", "b2": "[::1]:143"}
    name = told["backend:"].split()[0]
    other = {"b1": "b2", "b2": "b1"}[name]
    assert told["backend:"] == f"{name} at {hosts[name]}, no TLS"
    assert told["next:"] == f"{other}, when that one is down"


@pytest.mark.parametrize("state, takes, since", [
    ("draining", "draining, so it takes nobody without a session there",
     "since that one is draining"),
    ("maintenance", "maintenance, so it takes nobody",
     "since that one is in maintenance")])
def test_route_tells_of_a_state(command, routes, state, takes, since):
    routes["backends"]["b1"]["state"] = state
    routes["backends"]["b2"]["state"] = state

    status, output, _ = command(routes, "route", "bob@example.org")

    told = fields(output)
    assert status == 0
    assert told["state:"] == takes
    other = {"b1": "b2", "b2": "b1"}[told["backend:"].split()[0]]
    assert told["next:"] == f"{other}, {since}"


def test_route_refuses_where_nobody_is_taken(command, routes):
    for name in ("a1", "a2"):
        routes["backends"][name]["state"] = "maintenance"

    status, output, _ = command(routes, "route", "alice@example.org")

    assert status == 1
    assert fields(output)["refused:"] == "for the reason above"


@pytest.mark.parametrize("pool, why", [
    ({"balance": "round-robin"}, "one of 2 that take turns; weight 1 of 2"),
    ({"balance": "hash", "hash_by": "domain"},
     "first of 2 by the hash of backend and domain; weight 1 of 2"),
    ({"balance": "least-sessions", "slow_start": 5},
     "first of 2 while all have no sessions; weight 1 of 2")])
def test_route_tells_of_each_balance(command, routes, pool, why):
    routes["pools"]["shard-b"] = {"backends": ["b1", "b2"], **pool}

    _, output, _ = command(routes, "route", "bob@example.org")

    told = fields(output)
    assert told["pool:"] == (f"shard-b (balance {pool['balance']}, when_down "
                             "refuse)")
    assert told["why:"] == why


def test_route_tells_of_backups_and_most_sessions(command, routes):
    routes["backends"]["b2"]["backup"] = True
    routes["backends"]["b1"]["max_sessions"] = 50

    _, output, _ = command(routes, "route", "bob@example.org")

    told = fields(output)
    assert told["backend:"].startswith("b1 ")
    assert told["why:"] == ("the only backend of the pool with a weight above "
                            "0 and no backup")
    assert told["most:"] == "50 sessions"
    assert told["next:"] == "b2, when that one is down"


def test_route_tells_what_a_backend_learns_of_the_client(command, routes):
    for name, told in (("b1", {"proxy_protocol": "v1"}),
                       ("b2", {"proxy_protocol": "v2", "id": True,
                               "forward_id": True})):
        routes["backends"][name].update(told)
    routes["backends"]["a1"]["id"] = True
    seen = set()

    for user in [f"u{number}@{domain}" for number in range(20)
                 for domain in ("example.org", "example.net")]:
        _, output, _ = command(routes, "route", user)
        told = fields(output)
        seen.add((told["backend:"].split()[0], told.get("client:")))

    assert seen == {
        ("a1", "told by ID"), ("a2", None), ("b1", "told by PROXY v1"),
        ("b2", "told by PROXY v2 and ID with what the client's own says")}


def test_route_names_the_master_user(command, routes):
    routes["pools"]["shard-b"]["backends"] = ["b1"]
    users = []

    for change in ({}, {"pools": "shard-b"}, {"backends": "b1"}):
        for section, name in change.items():
            routes[section][name]["master"] = {"user": f"of {section}",
                                               "secret": "absent"}
        _, output, _ = command(routes, "route", "bob@example.org")
        users.append(fields(output).get("master:"))

    assert users == [None, "of pools, set by the pool, for EXTERNAL only",
                     "of backends, set by the backend, for EXTERNAL only"]


def test_route_says_that_no_rule_matches(command, routes):
    status, output, _ = command(routes, "route", "eve@elsewhere.test")

    assert status == 1
    assert fields(output)["refused:"].startswith("no rule is for this name")


def test_route_says_that_a_user_is_held(command, routes):
    routes["users"]["alice@example.org"] = {"pool": "shard-a", "hold": True}

    status, output, _ = command(routes, "route", "alice@example.org")

    assert status == 1
    assert fields(output)["hold:"] == "yes"
    assert "refused:" in fields(output)


def test_route_says_that_no_backend_may_be_chosen(command, routes):
    for name in ("b1", "b2"):
        routes["backends"][name]["weight"] = 0

    status, output, _ = command(routes, "route", "bob@example.org")

    assert status == 1
    assert fields(output)["backend:"] == ("none: every backend of the pool "
                                          "has weight 0")
    assert "refused:" in fields(output)


def test_route_says_that_login_as_gives_no_name(command, routes):
    status, output, _ = command(routes, "route", "@mx.example.net")

    assert status == 1
    assert fields(output)["login as:"] == ('"{local}" gives no name that can '
                                           "be sent")
    assert "refused:" in fields(output)


def test_route_says_that_a_name_is_none(command, routes):
    status, output, _ = command(routes, "route", "a\x1b[2Jb")

    assert status == 1
    assert set(fields(output)) == {"refused:"}
    assert "\x1b" not in output


def test_route_needs_no_certificate(command, routes, folder):
    os.unlink(f"{folder}/tls.pem")
    os.unlink(f"{folder}/ca.pem")

    status, _, errors = command(routes, "route", "alice@example.org")

    assert (status, errors) == (0, "")


def test_route_prints_what_is_wrong_with_the_table(command, routes):
    routes["default"] = "nowhere"

    status, output, errors = command(routes, "route", "alice@example.org")

    assert (status, output) == (1, "")
    assert "$.default: found " in errors


# -- the program -----------------------------------------------------------

@pytest.mark.parametrize("arguments, complaint", [
    ((), "a command is missing"),
    (("frob",), 'unknown command "frob"'),
    (("check",), 'too few arguments for "check"'),
    (("check", "a", "b"), 'too many arguments for "check"'),
    (("serve",), 'too few arguments for "serve"'),
    (("route", "a"), 'too few arguments for "route"')])
def test_wrong_usage_ends_in_2(run, arguments, complaint):
    status, output, errors = run(*arguments)

    assert (status, output) == (2, "")
    assert errors.startswith(f"gatepost: {complaint}\n")
    assert "Usage: gatepost serve CONFIG" in errors


@pytest.mark.parametrize("arguments", [
    ("--help",), ("-h",), ("check", "--help")])
def test_help_is_no_error(run, arguments):
    status, output, errors = run(*arguments)

    assert (status, errors) == (0, "")
    assert output.startswith("Usage: gatepost serve CONFIG")


def test_version_names_the_libraries(run):
    status, output, errors = run("--version")

    assert (status, errors) == (0, "")
    assert [line.split()[0] for line in output.splitlines()] == [
        "Gatepost", "BoringSSL", "libuv", "Jansson", "libmicrohttpd"]


def test_an_answer_that_could_not_be_written_is_no_success(run):
    with open("/dev/full", "w") as full:
        status, _, errors = run("--version", stdout=full)

    assert status == 1
    assert "cannot write to standard output" in errors
