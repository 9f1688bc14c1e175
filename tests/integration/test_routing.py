"""Who goes where: names, precedence, and what is only data (row D2)."""

import pytest

from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.scripts import ImapServer

NAMES = ("alpha", "beta", "gamma", "delta")


@pytest.fixture
def backends(fake_backend):
    return {name: fake_backend(ImapServer(name=name.encode()))
            for name in NAMES}


@pytest.fixture
def routes(backends):
    """A pool of one backend per name; the rules are the tests'."""
    return {"backends": {f"b-{name}": backend_entry(backend)
                         for name, backend in backends.items()},
            "pools": {name: {"backends": [f"b-{name}"]} for name in NAMES}}


def reached(front, backends, user):
    """The name of the backend that a real login of the user reaches, or the
    refusal."""
    before = {name: one.connects for name, one in backends.items()}
    with front.secure() as client:
        client.send(b"a LOGIN {%d+}\r\n%s pw\r\n" % (len(user), user))
        answer = client.read_reply("a")[-1][2:]
    grown = [name for name, one in backends.items()
             if one.connects > before[name]]
    if answer.startswith(b"OK"):
        assert len(grown) == 1
        assert backends[grown[0]].conversations[-1].user == user
        return grown[0]
    assert not grown
    return answer


def told(command, routes, user):
    """The backend that `gatepost route` names for the user."""
    status, output, errors = command(routes, "route", user)
    assert status == 0, errors
    named = [name for name in NAMES if f"b-{name}" in output]
    assert len(named) == 1, output
    return named[0]


def test_one_person_reaches_one_backend_however_the_name_is_written(
        gatepost, command, backends, routes, settings):
    routes["users"] = {"Alice@EXAMPLE.org": "beta"}
    routes["default"] = "alpha"
    settings["auth"] = {"username": {"default_domain": "Example.org"}}
    front = gatepost(routes)

    for user in ("Alice@Example.org", "alice@example.org", "alice", "ALICE"):
        assert reached(front, backends, user.encode()) == "beta"
        assert told(command, routes, user) == "beta"
        _, output, _ = command(routes, "route", user)
        assert "alice@example.org" in output


def test_one_person_has_one_place_in_a_hash_pool(
        gatepost, command, backends, routes, settings):
    routes["pools"]["all"] = {"backends": [f"b-{name}" for name in NAMES]}
    routes["default"] = "all"
    settings["auth"] = {"username": {"default_domain": "example.org"}}
    front = gatepost(routes)
    places = set()

    for person in ("alice", "bob", "carol", "dave", "erin", "frank"):
        seen = {reached(front, backends, form.encode()) for form in (
            person, person.upper(), f"{person}@example.org",
            f"{person.title()}@EXAMPLE.Org")}
        assert len(seen) == 1
        output = command(routes, "route", person)[1]
        first = min((output.index(f"b-{name}"), name) for name in NAMES
                    if f"b-{name}" in output)
        assert seen == {first[1]}, output
        places |= seen

    assert len(places) > 1


def test_precedence_is_user_domain_longest_wildcard_default(
        gatepost, command, backends, routes):
    routes.update(
        users={"ann@mx.example.net": "alpha"},
        domains={"example.org": "beta", "*.example.net": "gamma",
                 "*.deep.example.net": "alpha", "mx.example.net": "beta"},
        default="delta")
    front = gatepost(routes)
    expected = {
        "ann@mx.example.net": "alpha", "ben@mx.example.net": "beta",
        "ben@EXAMPLE.ORG": "beta", "ben@sub.example.org": "delta",
        "ben@a.example.net": "gamma", "ben@a.b.example.net": "gamma",
        "ben@x.deep.example.net": "alpha", "ben@example.net": "delta",
        "ben@deep.example.net": "gamma", "ben@other.test": "delta",
        "ann": "delta", "ben@notexample.net": "delta"}

    for user, name in expected.items():
        assert reached(front, backends, user.encode()) == name, user
        assert told(command, routes, user) == name, user


@pytest.mark.threat("D2")
@pytest.mark.parametrize("user", [
    "*@x", "*@example.net", "%@example.org", "../alice@example.org",
    "alice@example.org\\", " alice@example.org", "alice@example.org ",
    "alice@@example.org", "alice@x@example.net", "a*ice@example.org",
    "alice@example.org.", "alice@*.example.net", "alice@example_org",
    "alice@exampleXorg", "a.ice@example.org", "alice@.example.net",
    "alice%example.org", "{user}", "$(id)@x", "alice\u00e9@example.org",
    "\uff41lice@example.org", "alice\uff20example.org"])
def test_d2_a_strange_name_is_data_and_nobody_elses_rule(
        gatepost, command, backends, routes, user):
    routes.update(users={"alice@example.org": "alpha"},
                  domains={"*.example.net": "gamma"}, default="delta")
    front = gatepost(routes)

    seen = reached(front, backends, user.encode())

    # The last separator splits, and a wildcard takes any labels before it.
    wild = user.rpartition("@")[2].endswith(".example.net")
    assert seen in (("gamma", "delta") if wild else ("delta",)), seen
    assert told(command, routes, user) == seen


@pytest.mark.threat("D2")
def test_d2_the_last_separator_splits(gatepost, backends, routes):
    routes.update(domains={"c.test": "alpha", "b.test": "gamma"},
                  default="delta")
    front = gatepost(routes)

    assert reached(front, backends, b"a@b.test@c.test") == "alpha"


@pytest.mark.threat("D2")
@pytest.mark.parametrize("user", [b"@", b"@example.org", b"alice@", b""])
def test_d2_an_empty_part_is_refused_or_default(
        gatepost, backends, routes, user):
    routes.update(users={"alice@example.org": "alpha"}, default="delta")
    front = gatepost(routes)

    seen = reached(front, backends, user)

    assert seen == "delta" or seen.startswith((b"NO", b"BAD")), seen


@pytest.mark.threat("D2")
@pytest.mark.parametrize("length", [512, 513, 600, 1000, 1100, 4000, 8192])
def test_d2_a_long_name_is_refused_or_default(
        gatepost, backends, routes, length):
    routes.update(default="delta")
    front = gatepost(routes)

    seen = reached(front, backends, b"a@" + b"d" * (length - 2))

    assert seen == "delta" or seen.startswith((b"NO", b"BAD"))
    assert (length > 512) == (seen != "delta")


@pytest.mark.threat("D2")
def test_d2_a_megabyte_of_domain_ends_the_session(
        gatepost, backends, routes):
    front = gatepost(dict(routes, default="delta"))
    client = front.secure()

    try:
        client.send(b"a LOGIN a@" + b"d" * 1000000 + b" pw\r\n")
    except OSError:
        pass
    transcript = client.read_to_end(5)

    assert b" OK" not in transcript
    assert all(one.connects == 0 for one in backends.values())


@pytest.mark.threat("D3")
def test_d3_no_name_takes_longer_among_a_hundred_thousand(
        gatepost, backends, routes, sanitizer):
    """Less than a millisecond each, whatever the name: labels without end,
    and what a regular expression would stumble over."""
    routes.update(
        users={f"user{number}@example.org": "alpha"
               for number in range(100000)},
        domains={"*." + "a." * labels + "test": "gamma"
                 for labels in range(1, 100)},
        default="delta")
    front = gatepost(routes)
    dots = b"x@" + b"a." * 253 + b"test"
    hostile = [b"%d" % number + dots[1:-1] + b"x" for number in range(5)]

    def cost(names):
        for name in names:  # what a first use costs is not the name's
            reached(front, backends, name)
        before = front.cpu()
        for _ in range(8):
            for name in names:
                reached(front, backends, name)
        return front.cpu() - before

    plain = cost([b"user%d@example.org" % number for number in range(5)])
    odd = cost(hostile)

    assert odd - plain < 40 * 0.001 * (5 if sanitizer else 1), (plain, odd)
    assert reached(front, backends, dots) == "gamma"
    for name in (b"a" * 512, b"(a+)+" * 100, b"a@" * 255, hostile[0]):
        assert reached(front, backends, name) == "delta"
    assert reached(front, backends, b"a" * 8192).startswith((b"NO", b"BAD"))


def test_further_separators_split_and_the_master_part_is_cut(
        gatepost, command, backends, routes, settings):
    routes.update(users={"alice@example.org": "beta"}, default="delta")
    settings["auth"] = {"username": {"separators": "@%",
                                     "master_separator": "*"}}
    front = gatepost(routes)

    for user in ("alice%example.org", "alice@example.org*admin"):
        assert reached(front, backends, user.encode()) == "beta"
        assert told(command, routes, user) == "beta"


def test_case_keep_tells_names_apart(
        gatepost, command, backends, routes, settings):
    routes.update(users={"Alice@example.org": "beta"}, default="delta")
    settings["auth"] = {"username": {"case": "keep"}}
    front = gatepost(routes)

    assert reached(front, backends, b"Alice@example.org") == "beta"
    assert reached(front, backends, b"alice@example.org") == "delta"


def test_route_says_rule_pool_backend_and_who_is_next(command, routes):
    routes["pools"]["all"] = {"backends": [f"b-{name}" for name in NAMES]}
    routes["domains"] = {"example.org": "all"}

    status, output, _ = command(routes, "route", "Alice@Example.org")

    assert status == 0
    for word in ("alice@example.org", "domain example.org", "all"):
        assert word in output
    # The backend and the one that would be next: two of the four.
    assert sum(f"b-{name}" in output for name in NAMES) == 2


def test_route_of_a_user_without_a_rule_fails(command, routes):
    routes["users"] = {"alice@example.org": "alpha"}

    status, output, errors = command(routes, "route", "bob@example.org")

    assert status != 0
    assert output + errors


def test_keys_that_become_equal_are_refused_by_name(command, routes):
    routes["users"] = {"Alice@example.org": "alpha",
                       "alice@EXAMPLE.org": "beta"}

    status, output, errors = command(routes, "check")

    assert status == 1
    assert "Alice@example.org" in output + errors
    assert "alice@EXAMPLE.org" in output + errors


def test_the_real_shards_hold_their_own_users(
        gatepost, command, dovecots, sharded_routes, settings):
    settings["auth"] = {"username": {"default_domain": "example.org"}}
    sharded_routes["users"]["bob@example.org"] = {
        "pool": "shard-b", "login_as": "{user}"}
    sharded_routes["domains"]["example.org"] = {
        "pool": "shard-a", "login_as": "{user}"}
    front = gatepost(sharded_routes)

    for user in ("Alice@Example.org", "alice@example.org", "alice"):
        client = front.logged_in(user, "secret-alice")
        client.command("SELECT INBOX")
        shown = client.command("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
        assert b"shard-a: hello alice" in shown[0]
        assert "a1" in command(sharded_routes, "route", user)[1]
    client = front.logged_in("BOB", "secret-bob")
    client.command("SELECT INBOX")
    shown = client.command("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
    assert b"shard-b: hello bob" in shown[0]
    assert front.secure().login("bob@example.org", "secret-alice").startswith(
        b"NO [AUTHENTICATIONFAILED]")


def test_check_is_silent_about_a_good_config(command, fake_backend):
    status, _, errors = command(routes_to(fake_backend(ImapServer())),
                                "check")

    assert status == 0 and "error" not in errors.lower()
