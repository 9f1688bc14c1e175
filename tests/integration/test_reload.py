"""SIGHUP: all or nothing, and no session notices (rows H1-H3)."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from gatepost_test import procfs
from gatepost_test.gatepost import (
    REFUSED, RELOADED, backend_entry, routes_to)
from gatepost_test.scripts import ImapServer

pytestmark = pytest.mark.threads


def routes_with(change):
    """A function that makes broken routes out of good ones."""
    def make(routes):
        routes = json.loads(json.dumps(routes))
        change(routes)
        return json.dumps(routes).encode()
    return make


def text_with(old, new):
    """Broken routes by a change of the text itself."""
    def make(routes):
        text = json.dumps(routes).encode()
        assert old in text
        return text.replace(old, new, 1)
    return make


def entry(routes):
    """The one backend of the routes."""
    return routes["backends"]["b1"]


# Name: (how it is broken, what the log must say beside the file's name).
BROKEN_ROUTES = {
    "empty file": (lambda routes: b"", ""),
    "no json": (lambda routes: b"hello", "line"),
    "cut off": (lambda routes: json.dumps(routes).encode()[:-5], "line"),
    "trailing garbage": (lambda routes: json.dumps(routes).encode() + b"}",
                         "line"),
    "an array": (lambda routes: b"[]", "$"),
    "nul byte": (text_with(b'"p1"', b'"p\0"'), ""),
    "escaped nul": (text_with(b'"p1"', b'"p\\u0000"'), ""),
    "bad utf-8": (text_with(b'"p1"', b'"p\xff"'), ""),
    "duplicate key": (text_with(b'"backends"',
                                b'"default": "p1", "default"'), "default"),
    "depth bomb": (lambda routes: b'{"backends":' + b"[" * 100000, ""),
    "huge integer": (text_with(b'"port": ', b'"port": 99999999999999999999'),
                     ""),
    "huge exponent": (text_with(b'"port": ', b'"weight": 1e999, "port": '),
                      ""),
    "unknown key": (routes_with(lambda routes: routes.update(polls={})),
                    "$.polls"),
    "unknown backend key": (
        routes_with(lambda routes: entry(routes).update(prot=1)),
        "$.backends.b1.prot"),
    "wrong type": (routes_with(lambda routes: entry(routes).update(
        port="993x")), "$.backends.b1.port"),
    "port out of range": (routes_with(lambda routes: entry(routes).update(
        port=65536)), "$.backends.b1.port"),
    "port nought": (routes_with(lambda routes: entry(routes).update(port=0)),
                    "$.backends.b1.port"),
    "tls unknown": (routes_with(lambda routes: entry(routes).update(
        tls="maybe")), "$.backends.b1.tls"),
    "no host": (routes_with(lambda routes: entry(routes).pop("host")),
                "$.backends.b1"),
    "pool of nobody": (routes_with(lambda routes: routes["pools"]["p1"]
                                   .update(backends=["b9"])),
                       "$.pools.p1.backends[0]"),
    "empty pool": (routes_with(lambda routes: routes["pools"]["p1"].update(
        backends=[])), "$.pools.p1.backends"),
    "default of no pool": (routes_with(lambda routes: routes.update(
        default="p9")), "$.default"),
    "user of no pool": (routes_with(lambda routes: routes.update(
        users={"a@b": "p9"})), "$.users"),
    "equal users": (routes_with(lambda routes: routes.update(
        users={"a@b": "p1", "A@B": "p1"})), "$.users"),
    "unknown brace": (routes_with(lambda routes: routes.update(
        users={"a@b": {"pool": "p1", "login_as": "{evil}"}})), "login_as"),
    "cleartext abroad": (routes_with(lambda routes: entry(routes).update(
        host="192.0.2.1")), "$.backends.b1"),
    "missing ca": (routes_with(lambda routes: entry(routes).update(
        tls="implicit", ca="nothing.pem")), "nothing.pem"),
}


@pytest.mark.threat("H1")
@pytest.mark.limit(180)
def test_h1_no_broken_routing_table_replaces_a_good_one(
        gatepost, fake_backend):
    backend, newer = fake_backend(ImapServer()), fake_backend(ImapServer())
    good = routes_to(backend)
    front = gatepost(good)
    session = front.logged_in()
    descriptors = front.resting_descriptors()

    for name, (break_it, said) in BROKEN_ROUTES.items():
        since = front.mark()
        front.write_routes(break_it(routes_to(newer)))
        front.reload(REFUSED)
        logged = json.dumps(front.log[since:])

        assert "routes.json" in logged, name
        assert said in logged, (name, logged)
        assert '"error"' in logged
        with front.logged_in():
            pass
    assert newer.connects == 0
    assert session.command("NOOP")[-1].startswith(b"OK")
    front.write_routes(routes_to(newer))
    front.reload()
    with front.logged_in():
        pass
    assert newer.connects == 1
    front.wait_descriptors(descriptors + 2)


@pytest.mark.threat("H1")
def test_h1_no_broken_settings_replace_good_ones(gatepost, fake_backend):
    front = gatepost(routes_to(fake_backend(ImapServer())))
    good = json.loads(json.dumps(front.settings))
    broken = {
        "$.tls": {"tls": None}, "$.listeners": {"listeners": []},
        "$.limits.line": {"limits": {"line": -1}},
        "$.timeouts.idle": {"timeouts": {"idle": 60}},
        "$.limits.lines": {"limits": {"lines": 1}},
        "$.workers": {"workers": "many"},
        "$.log.level": {"log": {"level": "loud", "format": "json"}},
        "$.auth.mechanisms": {"auth": {"mechanisms": ["SCRAM-SHA-1-PLUS"]}},
        "$.tls.certificates[0].chain": {"tls": {"certificates": [
            {"chain": "nothing.pem", "key": "tls.key"}]}},
        "nothing.json": {"routes": "nothing.json"}}

    for said, change in broken.items():
        since = front.mark()
        front.write_settings(dict(good, **change))
        front.reload(REFUSED)
        logged = json.dumps(front.log[since:])
        last = said.rpartition(".")[2]

        assert said in logged or (last == "chain" and "nothing.pem" in
                                  logged), (said, logged)
        with front.logged_in():
            pass


@pytest.mark.threat("H1")
@pytest.mark.parametrize("name", ["duplicate key", "depth bomb", "unknown "
                                  "key", "huge integer", "cut off"])
def test_h1_check_and_serve_refuse_what_a_reload_refuses(
        command, gatepost, fake_backend, name):
    routes = routes_to(fake_backend(ImapServer()))
    front = gatepost(routes)
    front.write_routes(BROKEN_ROUTES[name][0](routes))

    for subcommand in ("check", "serve"):
        done = subprocess.run([front.binary, subcommand, front.config],
                              capture_output=True, timeout=20, check=False)
        assert done.returncode == 1, subcommand
        assert b"routes.json" in done.stdout + done.stderr


@pytest.mark.threat("H1")
def test_h1_check_prints_every_problem(command, fake_backend, settings):
    routes = routes_to(fake_backend(ImapServer()))
    routes["backends"]["b1"]["port"] = 0
    routes["defualt"] = "p1"
    status, output, errors = command(routes, "check")
    settings["limits"] = {"line": "long"}
    settings["timeouts"] = {"idle": 5}
    again, more_output, more_errors = command(routes, "check")

    text = output + errors + more_output + more_errors
    assert status == again == 1
    for said in ("$.backends.b1.port", "$.defualt", '"default"',
                 "$.limits.line", "$.timeouts.idle", "gatepost.json",
                 "routes.json"):
        assert said in text, (said, text)


@pytest.mark.threat("H2")
@pytest.mark.limit(120)
def test_h2_reload_under_load_keeps_every_session_on_its_backend(
        gatepost, fake_backend, times):
    """Routes swap between two backends while clients come, work and go."""
    backends = [fake_backend(ImapServer(reply=b"OK [CAPABILITY IMAP4rev1] "
                                        b"at-%d" % number))
                for number in range(2)]
    tables = [routes_to(one) for one in backends]
    for number, table in enumerate(tables):
        table["backends"] = {f"b{number}": table["backends"]["b1"]}
        table["pools"]["p1"]["backends"] = [f"b{number}"]
    front = gatepost(tables[0])
    lasting = [front.logged_in(f"lasting{number}") for number in range(10)]
    descriptors = front.resting_descriptors()
    stop, failures, logins = threading.Event(), [], [0]

    def come_and_go(number):
        try:
            while not stop.is_set():
                with front.secure() as client:
                    answer = client.login(f"u{number}")
                    if answer.startswith(b"NO [UNAVAILABLE]"):
                        continue  # the table changed in the midst of it
                    assert answer.startswith(b"OK"), answer
                    for turn in range(5):
                        # Nobody hears what was said to somebody else.
                        own = f"NOOP {number}-{turn}-{logins[0]}".encode()
                        assert own in client.command(own)[-1]
                    client.command("LOGOUT")
                logins[0] += 1
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=come_and_go, args=(number,))
               for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(times(20, 1000)):
            front.write_routes(tables[(number + 1) % 2])
            front.reload()
            before = backends[(number + 1) % 2].connects
            with front.secure() as client:
                answer = client.login("after")
            assert answer.endswith(b"at-%d\r\n" % ((number + 1) % 2))
            assert backends[(number + 1) % 2].connects > before
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert not failures
    assert logins[0] > 10
    for client in lasting:
        assert client.command("NOOP")[-1].startswith(b"OK")
    assert backends[0].conversation(0).ended.is_set() is False
    front.wait_descriptors(descriptors + 4)


@pytest.mark.threat("H2")
def test_h2_many_reloads_leak_neither_memory_nor_descriptors(
        gatepost, fake_backend, sanitizer, times):
    backend = fake_backend(ImapServer())
    routes = routes_to(backend)
    routes["users"] = {f"user{number}@example.org": "p1"
                       for number in range(2000)}
    front = gatepost(routes)
    for _ in range(10):
        front.reload()
    time.sleep(0.3)
    front.resting_descriptors()
    descriptors, memory = procfs.descriptors(front.pid), front.rss()
    threads = procfs.threads(front.pid)

    for _ in range(times(30, 300)):
        front.reload()
    time.sleep(0.3)

    assert len(procfs.descriptors(front.pid)) == len(descriptors)
    assert procfs.threads(front.pid) == threads
    assert procfs.tree(front.pid) == [front.pid], "a child, or what is left"
    assert front.rss() - memory < (64 if sanitizer else 3) << 20


class SlowLogin:
    """A login at b1 that a reload comes in the midst of."""

    def __init__(self, gatepost, fake_backend):
        self.go = threading.Event()
        self.backend = fake_backend(
            ImapServer(accept=lambda *_: self.go.wait(20)))
        self.other = fake_backend(ImapServer())
        self.routes = routes_to(self.backend)
        self.routes["backends"]["b2"] = backend_entry(self.other)
        self.routes["pools"]["p2"] = {"backends": ["b2"]}
        self.routes["users"] = {"early": "p2"}
        self.front = gatepost(self.routes)
        self.client, self.early = self.front.secure(), self.front.secure()
        self.client.send(b"a LOGIN u p\r\n")
        self.backend.conversation()

    def answer_after(self, change):
        """How the login ends when the table changes meanwhile."""
        routes = json.loads(json.dumps(self.routes))
        change(routes)
        self.front.write_routes(routes)
        self.front.reload()
        self.front.reload()
        self.go.set()
        return self.client.read_reply("a")[-1]


def no_weight(routes):
    routes["pools"]["p1"]["backends"] = ["b1", "b2"]
    routes["backends"]["b1"]["weight"] = 0


SAME_ANSWERS = {
    "nothing": lambda routes: None,
    "another user": lambda routes: routes["users"].update(other="p2"),
    "another rule": lambda routes: routes["users"].update(u="p1"),
    "another pool": lambda routes: (
        routes["pools"].update(p3={"backends": ["b1"]}),
        routes.update(default="p3")),
    "a backend beside it": lambda routes: routes["pools"]["p1"].update(
        backends=["b1", "b2"], balance="least-sessions"),
}


OTHER_ANSWERS = {
    "another backend": lambda routes: routes.update(default="p2"),
    "a rule of their own": lambda routes: routes["users"].update(u="p2"),
    "hold": lambda routes: routes["users"].update(
        u={"pool": "p1", "hold": True}),
    "no rule": lambda routes: routes.pop("default"),
    "another name": lambda routes: routes["users"].update(
        u={"pool": "p1", "login_as": "{user}-moved"}),
    "a backend that moved": lambda routes: routes["backends"]["b1"].update(
        host="127.0.0.2"),
    "no weight": no_weight,
}


@pytest.mark.threat("H2")
@pytest.mark.parametrize("change", SAME_ANSWERS)
def test_h2_a_reload_in_the_middle_of_a_login_harms_nothing(
        gatepost, fake_backend, change):
    slow = SlowLogin(gatepost, fake_backend)

    assert slow.answer_after(SAME_ANSWERS[change]).startswith(b"a OK")

    assert slow.client.command("NOOP")[-1].startswith(b"OK")
    # Who was connected but had not logged in yet gets the new table.
    assert slow.early.login("early").startswith(b"OK")
    assert slow.other.connects == 1


@pytest.mark.threat("H2")
@pytest.mark.parametrize("change", OTHER_ANSWERS)
def test_h2_a_login_ends_that_the_table_sends_elsewhere_meanwhile(
        gatepost, fake_backend, change):
    slow = SlowLogin(gatepost, fake_backend)

    answer = slow.answer_after(OTHER_ANSWERS[change])

    assert answer.startswith(b"a NO [UNAVAILABLE]"), answer
    failed = slow.front.wait_log("login-failed")
    assert (failed["reason"], failed["user"]) == ("route-changed", "u")
    assert slow.backend.conversation(0).ended.wait(5)
    # The password was right: the connection is kept, for another try.
    assert slow.early.login("early").startswith(b"OK")
    assert slow.client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("H2")
def test_h2_a_burst_of_signals_ends_in_the_last_state(
        gatepost, fake_backend):
    first, last = fake_backend(ImapServer()), fake_backend(ImapServer())
    front = gatepost(routes_to(first))

    for _ in range(50):
        front.signal(signal.SIGHUP)
    front.write_routes(routes_to(last))
    since = front.mark()
    front.signal(signal.SIGHUP)
    front.wait_log(RELOADED, since)
    time.sleep(0.3)

    assert front.secure().login().startswith(b"OK")
    assert last.connects == 1


@pytest.mark.threat("H3")
@pytest.mark.parametrize("fault", ["mismatch", "no key", "garbage", "empty",
                                   "expired"])
def test_h3_a_bad_certificate_on_reload_leaves_the_old_one(
        gatepost, fake_backend, authority, folder, leaf, fault):
    front = gatepost(routes_to(fake_backend(ImapServer())))
    stranger = authority.issue("imap.example.test",
                               expired=fault == "expired")
    if fault in ("mismatch", "expired"):
        stranger.save(folder, "new")
    if fault == "mismatch":
        with open(f"{folder}/new.key", "wb") as key:
            key.write(leaf.key_pem)
    if fault == "no key":
        stranger.save(folder, "new")
        os.unlink(f"{folder}/new.key")
    if fault in ("garbage", "empty"):
        stranger.save(folder, "new")
        with open(f"{folder}/new.pem", "wb") as chain:
            chain.write(b"-----BEGIN" if fault == "garbage" else b"")
    front.write_settings(dict(front.settings, tls={"certificates": [
        {"chain": "new.pem", "key": "new.key"}]}))
    if fault == "expired":
        # An old certificate is worth a warning; which one is served is the
        # operator's word.
        since = front.mark()
        front.reload()
        assert "expired" in json.dumps(front.log[since:])
        return

    front.reload(REFUSED)

    assert "new." in front.stderr
    with front.secure() as client:
        assert client.tls.getpeercert(True) == leaf.der


@pytest.mark.threat("H3")
def test_h3_certificates_to_be_seen_to_are_counted_and_warned_of(
        gatepost, fake_backend, authority, folder, settings):
    bad = {"expired": authority.issue("a.example.test", expired=True),
           "ending": authority.issue("b.example.test", days=13),
           "nameless": authority.issue(common_name="c", san=False)}
    for name, leaf in bad.items():
        leaf.save(folder, name)
        settings["tls"]["certificates"].append(
            {"chain": f"{name}.pem", "key": f"{name}.key"})
    front = gatepost(routes_to(fake_backend(ImapServer())))
    said = {"expired.pem": "an expired certificate",
            "ending.pem": "expires within 14 days",
            "nameless.pem": "covers no host name"}

    # At the start, and by each reload while nothing is done about it.
    for since in (0, front.mark()):
        if since:
            front.reload()
        logged = [json.dumps(entry) for entry in front.log[since:]]
        for name, words in said.items():
            assert any(name in line and words in line for line in logged), name
        front.wait_counters(certificates_expired=1, certificates_expiring=1,
                            certificates_nameless=1)

    del settings["tls"]["certificates"][1:]
    front.write_settings(settings)
    since = front.mark()
    front.reload()
    assert ".pem" not in json.dumps(front.log[since:])
    front.wait_counters(certificates_expired=0, certificates_expiring=0,
                        certificates_nameless=0)


@pytest.mark.threat("H3")
def test_h3_a_new_certificate_is_served_to_new_sessions_only(
        gatepost, fake_backend, authority, folder, leaf):
    front = gatepost(routes_to(fake_backend(ImapServer())))
    session = front.logged_in()
    fresh = authority.issue("imap.example.test")
    fresh.save(folder, "tls")

    front.reload()

    with front.secure() as client:
        assert client.tls.getpeercert(True) == fresh.der
    assert session.command("NOOP")[-1].startswith(b"OK")


def test_settings_take_effect_on_reload(gatepost, fake_backend):
    front = gatepost(routes_to(fake_backend(
        ImapServer(accept=lambda *_: False))))

    front.write_settings(dict(front.settings, limits={"login_tries": 1}))
    front.reload()
    client = front.secure()
    client.send(b"a LOGIN u p\r\n")

    assert b"* BYE" in client.read_to_end(5)


RESTARTS = {
    "$.workers": lambda settings: settings.update(workers=3),
    "$.admin.socket": lambda settings: settings.update(
        admin={"socket": "another.sock"}),
}


def test_what_only_a_restart_changes_is_refused_by_name(
        gatepost, fake_backend):
    front = gatepost(routes_to(fake_backend(ImapServer())))
    good = json.loads(json.dumps(front.settings))

    for path, change in RESTARTS.items():
        settings = json.loads(json.dumps(good))
        change(settings)
        front.write_settings(settings)
        since = front.mark()
        front.reload(REFUSED)

        assert f'"{path}"' in json.dumps(front.log[since:]), path
        front.logged_in()


def test_connections_survive_reloads_in_the_accept_queue(
        gatepost, fake_backend):
    """Clients that connect during reloads are all served."""
    front = gatepost(routes_to(fake_backend(ImapServer())), workers=4)
    failures, stop = [], threading.Event()

    def connect():
        while not stop.is_set():
            try:
                with front.connect("starttls") as client:
                    assert client.read_line().startswith(b"* OK")
            except Exception as failure:
                failures.append(failure)

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(10):
            front.write_settings(dict(front.settings, limits={
                "bad_commands": 2 + number}))
            front.reload()
            time.sleep(0.02)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert not failures, failures[:3]


def test_health_outlives_a_reload(gatepost, fake_backend):
    backend = fake_backend(lambda conversation: None)
    front = gatepost(routes_to(backend))
    client = front.secure()
    for _ in range(3):
        assert client.login().startswith(b"NO [UNAVAILABLE]")
    connects = backend.connects

    front.reload()
    assert front.secure().login().startswith(b"NO [UNAVAILABLE]")

    assert backend.connects == connects


def test_a_backend_that_is_taken_out_keeps_its_sessions(
        gatepost, fake_backend):
    old, new = fake_backend(ImapServer()), fake_backend(ImapServer())
    front = gatepost(routes_to(old))
    session = front.logged_in()

    front.write_routes({"backends": {"other": backend_entry(new)},
                        "pools": {"p1": {"backends": ["other"]}},
                        "default": "p1"})
    front.reload()

    assert session.command("NOOP")[-1].startswith(b"OK")
    front.logged_in().abandon()
    assert (old.connects, new.connects) == (1, 1)
