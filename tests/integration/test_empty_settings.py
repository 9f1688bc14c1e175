"""What is empty or missing never means "everybody" or "anything": such files
are refused at the start and by a reload (row H8)."""

import json
import os
import subprocess

import pytest

from gatepost_test.gatepost import REFUSED, environment, routes_to
from gatepost_test.scripts import ImapServer

EMPTY_FILE = "empty.pem"


def backend(**more):
    """A change of the one backend."""
    return lambda settings, routes: routes["backends"]["b1"].update(more)


def table(**more):
    """A change of the routing table."""
    return lambda settings, routes: routes.update(more)


def config(**more):
    """A change of the process configuration."""
    return lambda settings, routes: settings.update(more)


def listener(**more):
    """A change of the first listener."""
    return lambda settings, routes: settings["listeners"][0].update(more)


def tls(**more):
    """A change of the section of certificates."""
    return lambda settings, routes: settings["tls"].update(more)


def certificate_users(settings, routes):
    """Clients are asked for certificates, of nobody's making."""
    settings["tls"]["client_certificates"] = {"ca": EMPTY_FILE}
    settings["listeners"][0]["client_certificates"] = True
    settings["auth"] = {"mechanisms": ["PLAIN", "EXTERNAL"]}


# Name: (the change, where the fault is said to be).
CASES = {
    "no listener": (config(listeners=[]), "$.listeners"),
    "no certificate": (tls(certificates=[]), "$.tls.certificates"),
    "certificate without a file": (
        tls(certificates=[{"chain": "", "key": "tls.key"}]),
        "$.tls.certificates[0].chain"),
    "empty certificate": (
        tls(certificates=[{"chain": EMPTY_FILE, "key": "tls.key"}]),
        EMPTY_FILE),
    "no policy": (tls(policy=""), "$.tls.policy"),
    "no ticket key": (tls(ticket_keys=[]), "$.tls.ticket_keys"),
    "empty ticket key": (tls(ticket_keys=[EMPTY_FILE]), EMPTY_FILE),
    "nobody's client certificates": (certificate_users, EMPTY_FILE),
    "no table": (config(routes=""), "$.routes"),
    "no mechanism": (config(auth={"mechanisms": []}), "$.auth.mechanisms"),
    "mechanism without a name": (config(auth={"mechanisms": [""]}),
                                 "$.auth.mechanisms[0]"),
    "no separators": (config(auth={"username": {"separators": ""}}),
                      "$.auth.username.separators"),
    "no default domain": (config(auth={"username": {"default_domain": ""}}),
                          "$.auth.username.default_domain"),
    "no master separator": (
        config(auth={"username": {"master_separator": ""}}),
        "$.auth.username.master_separator"),
    "no balancer": (listener(proxy_from=[]), "$.listeners[0].proxy_from"),
    "balancer without an address": (listener(proxy_from=[""]),
                                    "$.listeners[0].proxy_from[0]"),
    "listener without an address": (listener(address=""),
                                    "$.listeners[0].address"),
    "listener without a kind": (listener(tls=""), "$.listeners[0].tls"),
    "exempt without an address": (config(limits={"exempt": [""]}),
                                  "$.limits.exempt[0]"),
    "no admin socket": (config(admin={"socket": ""}), "$.admin.socket"),
    "no admin address": (config(admin={"socket": "admin.sock", "listen": {
        "address": "", "port": 9143}}), "$.admin.listen.address"),
    "no backend": (table(backends={}), "$.backends"),
    "missing backend": (table(pools={"p1": {"backends": ["b2"]}}),
                        "$.pools.p1.backends[0]"),
    "empty pool": (table(pools={"p1": {"backends": []}}),
                   "$.pools.p1.backends"),
    "no pool": (table(pools={}), "$.pools"),
    "empty default": (table(default=""), "$.default"),
    "empty rule": (table(users={"a@b.test": ""}), "$.users"),
    "empty rules": (table(users={"a@b.test": {}}), "$.users"),
    "user without a name": (table(users={"": "p1"}), "$.users"),
    "domain without a name": (table(domains={"": "p1"}), "$.domains"),
    "wildcard of everything": (table(domains={"*": "p1"}), "$.domains"),
    "wildcard without a domain": (table(domains={"*.": "p1"}), "$.domains"),
    "empty new name": (
        table(users={"a@b.test": {"pool": "p1", "login_as": ""}}),
        "login_as"),
    "host without a name": (backend(host=""), "$.backends.b1.host"),
    "backend of no kind": (backend(tls=""), "$.backends.b1.tls"),
    "authority without a file": (backend(tls="implicit", ca=""),
                                 "$.backends.b1.ca"),
    "empty authority": (backend(tls="implicit", ca=EMPTY_FILE), EMPTY_FILE),
    "missing authority": (backend(tls="implicit", ca="nothing.pem"),
                          "nothing.pem"),
    "verified by no name": (backend(tls="implicit", tls_name=""),
                            "$.backends.b1.tls_name"),
    "verified in no way": (backend(tls="implicit", verify=""),
                           "$.backends.b1.verify"),
    "master without a name": (
        backend(master={"user": "", "secret": "secret"}),
        "$.backends.b1.master.user"),
    "master without a secret": (
        backend(master={"user": "master", "secret": EMPTY_FILE}),
        "$.backends.b1.master.secret"),
    "probe without a secret": (
        backend(probe={"user": "probe", "secret": EMPTY_FILE}),
        "$.backends.b1.probe.secret"),
}


@pytest.fixture
def spoil(folder, settings, fake_backend):
    """spoil(case): good files, but for this change."""
    def write(change):
        routes = routes_to(fake_backend(ImapServer()))
        settings.setdefault("routes", "routes.json")
        for name in (EMPTY_FILE, "secret"):
            with open(f"{folder}/{name}", "w", encoding="ascii") as out:
                out.write("" if name == EMPTY_FILE else "secret\n")
            os.chmod(f"{folder}/{name}", 0o600)
        change(settings, routes)
        for name, content in (("gatepost.json", settings),
                              ("routes.json", routes)):
            with open(f"{folder}/{name}", "w", encoding="ascii") as out:
                json.dump(content, out)
    return write


def refusal(binary, name, path):
    """What the command says when it does not like the files."""
    done = subprocess.run([binary, name, path], capture_output=True, text=True,
                          timeout=10, env=environment({}), check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.threat("H8")
@pytest.mark.parametrize("case", CASES)
def test_h8_what_is_empty_is_refused_at_the_start(binary, folder, spoil, case):
    change, where = CASES[case]
    spoil(change)

    for name in ("check", "serve"):
        assert where in refusal(binary, name, f"{folder}/gatepost.json"), name


@pytest.mark.threat("H8")
def test_h8_files_that_are_whole_are_taken(binary, folder, spoil):
    """That is, it was the change that was refused."""
    spoil(lambda settings, routes: None)

    done = subprocess.run([binary, "check", f"{folder}/gatepost.json"],
                          capture_output=True, timeout=10,
                          env=environment({}), check=False)
    assert done.returncode == 0


@pytest.mark.threat("H8")
def test_h8_what_is_empty_replaces_nothing(gatepost, fake_backend):
    front = gatepost(routes_to(fake_backend(ImapServer())))

    for case in ("empty pool", "missing backend", "no separators"):
        settings = json.loads(json.dumps(front.settings))
        routes = routes_to(fake_backend(ImapServer()))
        CASES[case][0](settings, routes)
        front.write_settings(settings)
        front.write_routes(routes)
        front.reload(REFUSED)
        front.logged_in().abandon()
