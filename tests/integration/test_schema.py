"""The JSON schemas and the loaders have one opinion on every document.

An editor goes by config/*.schema.json, Gatepost by its loaders. Each document
below is put to both; BEYOND holds what a schema cannot say, where the loader
alone refuses.
"""

import copy
import json
import os
import re
import subprocess

import jsonschema
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "deploy", "examples")
SCHEMA_FILES = {"settings": "gatepost.schema.json",
                "routes": "routes.schema.json"}

ABSENT = object()


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return json.load(file)


SCHEMAS = {kind: read("config", name) for kind, name in SCHEMA_FILES.items()}
FULL = {"settings": read("deploy", "examples", "full.json"),
        "routes": read("deploy", "examples", "full-routes.json")}
SMALLEST = {"settings": read("deploy", "examples", "smallest.json"),
            "routes": read("deploy", "examples", "smallest-routes.json")}


def changed(document, path, value):
    """A copy with the value at the path, whose steps are keys and indexes."""
    document = copy.deepcopy(document)
    *way, last = path
    inner = document
    for step in way:
        inner = inner[step]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    return document


@pytest.fixture(scope="module")
def verdict(request):
    """verdict(kind, documents): a (is_good, reasons) from the loader each."""
    gatepost = (request.config.getoption("--gatepost") or
                os.environ.get("GATEPOST_BIN") or
                os.path.join(ROOT, "build", "dev", "gatepost"))
    tool = os.path.join(os.path.dirname(os.path.abspath(gatepost)), "tests",
                        "config_verdict")
    assert os.access(tool, os.X_OK), f"{tool} is not there: build it first"

    def ask(kind, documents):
        lines = "".join(json.dumps(one) + "\n" for one in documents)
        done = subprocess.run([tool, kind], input=lines, text=True,
                              capture_output=True, timeout=50, check=True)
        answers = done.stdout.split("\n\n")[:-1]
        assert len(answers) == len(documents)
        return [(answer.split("\n")[0] == "good", answer.split("\n")[1:])
                for answer in answers]

    return ask


def schema_takes(kind, document):
    return jsonschema.Draft7Validator(SCHEMAS[kind]).is_valid(document)


# (path, good values, bad values): one member of the full example each.
def text(maximum):
    return (["a", "a b", "ä" * maximum],
            ["", "a\nb", "\x7f", "a" * (maximum + 1), 1, None, True, [], {}])


def whole(low, high):
    return ([low, high, float(low)],
            [low - 1, high + 1, low + 0.5, str(low), None, True, [], {}])


def seconds(low=0.001, high=86400):
    return ([low, 1, 1.5, high],
            [-1, high + 1, "1", None, False, [], {}] +
            ([] if low == 0 else [0, low / 2]))


def choice(*words):
    return (list(words), ["", words[0].swapcase(), words[0] + " ", 1, None,
                          True, [words[0]], {}])


NETWORKS = ([["10.0.0.1"], ["10.0.0.0/8", "::/0", "2001:db8::/32"],
             ["10.0.0.1", "10.0.0.1"]],
            [None, "10.0.0.0/8", {}, True, [1], [None], [""], ["x"],
             ["10.0.0.0/"], ["10.0.0.0/8/8"], ["10.0.0.0/+8"], ["localhost"],
             ["*"], ["10.0.0.1\n"]])
MECHANISMS = ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "EXTERNAL",
              "SCRAM-SHA-1", "SCRAM-SHA-256"]
FLAG = ([True, False], [0, 1, "true", None, [], {}])
OBJECT = ([], [1, "x", None, True, [], [{}]])

SETTINGS = [
    ([], ([], [[], 1, None, "x", True])),
    (["$schema"], (["", "x"], [1, None, {}])),
    (["listeners"], ([], [ABSENT, [], {}, None, "*", [{}], [1]])),
    (["listeners", 0], OBJECT),
    (["listeners", 0, "address"],
     (["*", "127.0.0.1", "::1", "2001:DB8::1"],
      [ABSENT, "", "**", "x", "x.y", "localhost", "1", 1, None])),
    (["listeners", 0, "port"], whole(1, 65535)),
    (["listeners", 0, "port"], ([], [ABSENT, "993"])),
    (["listeners", 0, "tls"], choice("implicit", "starttls")),
    (["listeners", 0, "tls"], ([], [ABSENT, "none"])),
    (["listeners", 0, "client_certificates"],
     ([True], [False, ABSENT, 0, "true", None, [], {}])),
    (["listeners", 1, "client_certificates"], FLAG),
    (["listeners", 3, "proxy_from"], NETWORKS),
    (["listeners", 3, "proxy_from"],
     ([ABSENT, ["10.0.0.1"] * 1000], [[], ["10.0.0.1"] * 1001])),
    (["tls"], ([], [ABSENT, {}, [], None])),
    (["tls", "certificates"],
     ([[{"directory": "d"}]],
      [ABSENT, [], {}, None, [{}], [1], [{"chain": "c"}], [{"key": "k"}],
       [{"directory": "d", "chain": "c"}], [{"directory": "d", "key": "k"}],
       [{"directory": "d", "chain": "c", "key": "k"}],
       [{"directory": "d", "other": 1}]])),
    (["tls", "certificates", 0, "chain"], text(4095)),
    (["tls", "certificates", 0, "key"], text(4095)),
    (["tls", "certificates", 2, "directory"], text(4095)),
    (["tls", "policy"], choice("modern", "compatible")),
    (["tls", "client_certificates"],
     ([{"ca": "c"}], [ABSENT, {}, [], None, "c", True,
                      {"user": "rfc822Name"}])),
    (["tls", "client_certificates", "ca"], text(4095)),
    (["tls", "client_certificates", "ca"], ([], [ABSENT])),
    (["tls", "client_certificates", "user"],
     choice("rfc822Name", "commonName")),
    (["tls", "client_certificates", "user"], ([ABSENT], ["email"])),
    (["tls", "ticket_keys"],
     ([ABSENT, ["k"], ["k", "k"], ["k"] * 16],
      [[], ["k"] * 17, None, "k", True, {}, ["k", 1], [None]])),
    (["tls", "ticket_keys", 0], text(4095)),
    (["routes"], text(4095)),
    (["routes"], ([], [ABSENT])),
    (["max_shrink"], whole(0, 100)),
    (["watch"], FLAG),
    (["workers"], whole(0, 1024)),
    (["auth"], OBJECT),
    (["auth", "mechanisms"],
     ([["PLAIN"], ["LOGIN"], ["LOGIN", "PLAIN"], ["XOAUTH2"], MECHANISMS],
      [[], ["PLAIN", "PLAIN"], ["plain"], "PLAIN", None, [1], [None],
       ["PLAIN", "LOGIN", "PLAIN"], ["SCRAM-SHA-1-PLUS"],
       ["SCRAM-SHA-256-PLUS"], ["SCRAM-SHA-512"], ["scram-sha-1"],
       ["GSSAPI"], ["ANONYMOUS"], ["CRAM-MD5"], MECHANISMS + ["PLAIN"]])),
    (["auth", "mechanisms"],
     ([[mechanism] for mechanism in MECHANISMS], [])),
    (["auth", "uncoded_no"], choice("generic", "pass")),
    (["auth", "delay_max"],
     ([0, 0.5, 15], [-1, 15.1, 16, "1", None, True, [], {}])),
    (["auth", "username"], OBJECT),
    (["auth", "username", "case"], choice("lower", "keep")),
    (["auth", "username", "default_domain"],
     (["x", "EXAMPLE.org", "ä.org", "a" * 255],
      ["", "a b", "a@b", "a%b", "a\tb", "a" * 256, 1, None])),
    (["auth", "username", "separators"],
     (["@", "@%+:#/!|^&=~?;,$", "%@"],
      ["", "%", "@.", "@a", "@ ", "@-", "@" * 17, 1, None, ["@"]])),
    (["auth", "username", "master_separator"],
     (["*", "+", "$"], ["", "@", "**", "a", ".", " ", "ä", 1, None])),
    (["limits"], OBJECT),
    (["limits", "line"], whole(512, 65536)),
    (["limits", "literal"], whole(512, 65536)),
    (["limits", "login_tries"], whole(1, 100)),
    (["limits", "bad_commands"], whole(1, 1000)),
    (["limits", "wrong_state_commands"], whole(1, 1000)),
    (["limits", "sessions"], whole(0, 100000000)),
    (["limits", "per_address"], whole(0, 100000000)),
    (["limits", "per_user"], whole(0, 100000000)),
    (["limits", "per_user_and_address"], whole(0, 100000000)),
    (["limits", "accept_rate"], whole(0, 100000000)),
    (["limits", "before_login"], whole(0, 100000000)),
    (["limits", "backend_logins"], whole(0, 100000000)),
    (["limits", "backend_queue"], whole(0, 100000000)),
    (["limits", "disconnect_rate"], whole(0, 100000000)),
    (["limits", "exempt"], NETWORKS),
    (["limits", "exempt"], ([[]], [])),
    (["timeouts"], OBJECT),
    (["timeouts", "handshake"], seconds()),
    (["timeouts", "before_login"], seconds()),
    (["timeouts", "proxy_header"], seconds()),
    (["timeouts", "connect"], seconds()),
    (["timeouts", "backend_tls"], seconds()),
    (["timeouts", "greeting"], seconds()),
    (["timeouts", "login_reply"], seconds()),
    (["timeouts", "idle"],
     ([0, 1860, 1860.5, 86400],
      [-1, 0.0001, 1, 1859, 1859.9, 86401, "0", None, False])),
    (["timeouts", "half_closed"], seconds()),
    (["timeouts", "drain"], seconds(0)),
    (["timeouts", "upgrade_drain"], seconds(0, 2592000)),
    (["timeouts", "user_timeout"], seconds(0)),
    (["timeouts", "keepalive"], OBJECT),
    (["timeouts", "keepalive", "idle"], whole(1, 32767)),
    (["timeouts", "keepalive", "interval"], whole(1, 32767)),
    (["timeouts", "keepalive", "count"], whole(1, 127)),
    (["upstream"], OBJECT),
    (["upstream", "resolve_interval"], seconds(1)),
    (["upstream", "health"], OBJECT),
    (["upstream", "health", "interval"],
     ([0, 1, 1.5, 3600], [-1, 0.0001, 0.9, 3601, "0", None, False])),
    (["upstream", "health", "timeout"],
     ([1, 1.5, 3600], [-1, 0, 0.9, 3601, "1", None, False])),
    (["upstream", "health", "rise"], whole(1, 100)),
    (["upstream", "health", "fall"], whole(1, 100)),
    (["upstream", "source_addresses"],
     ([[], ["10.0.0.1"], ["2001:DB8::1", "10.0.0.1"], ["ff::1", "::1"],
       ["fe8::1", "fec0::1"], ["223.255.255.255", "240.0.0.1"],
       ["::ffff:10.0.0.1"], [f"10.0.0.{i}" for i in range(64)]],
      [None, "10.0.0.1", {}, True, [1], [None], [""], ["*"], ["1"],
       ["localhost"], ["10.0.0.0/8"], ["10.0.0.1\n"],
       ["0.0.0.0"], ["::"], ["224.0.0.1"], ["239.255.255.255"],
       ["255.255.255.255"], ["ff02::1"], ["FE80::1"], ["febf::1"],
       ["10.0.0.1", "10.0.0.2", "10.0.0.1"],
       [f"10.0.0.{i}" for i in range(65)]])),
    (["upstream", "imap4rev2"], FLAG),
    (["admin"], ([], [{}, None, "/run/x", []])),
    (["admin", "socket"], (["/run/x", "x"], ["", "a\nb", 1, None])),
    (["admin", "listen"], ([], [ABSENT, {}, None, "127.0.0.1:1", []])),
    (["admin", "listen", "address"],
     (["*", "10.0.0.1", "::1"], ["", "a", 1, None, "localhost"])),
    (["admin", "listen", "port"], whole(1, 65535)),
    (["admin", "state"], (["/run/x", "x"], ["", "a\nb", 1, None])),
    (["admin", "token"], (["/run/x", "x"], ["", "a\nb", 1, None])),
    (["admin", "hosts"],
     ([[], ["a"], ["a-b.example.org", "LOCAL_1"], ["a" * 253],
       ["h"] * 16],
      [None, "a", {}, [1], [None], [""], ["a:80"], ["a\n"], ["a b"], ["ä"],
       ["a" * 254], ["h"] * 17])),
    (["log"], OBJECT),
    (["log", "level"], choice("error", "warn", "info", "debug")),
    (["log", "format"], choice("text", "json")),
]

NAME = (["a", "ä" * 128, "a b"], ["", "a\n", "\x1b[2J", "a" * 129])
TLS_FREE = {"host": "127.0.0.1", "port": 1, "tls": "none"}


MASTER = {"user": "m", "secret": "s"}


def tls_free(**more):
    return dict(TLS_FREE, **more)


def with_tls(**more):
    return dict({"host": "h", "port": 1, "tls": "implicit"}, **more)


def master(path, key="master"):
    """The rows of whoever may have a master user, or one for probes."""
    way = path + [key]
    return [(way, ([MASTER, ABSENT], [{}, [], None, "m", True])),
            (way + ["user"], text(512)), (way + ["user"], ([], [ABSENT])),
            (way + ["secret"], text(4095)),
            (way + ["secret"], ([], [ABSENT]))]


RULE = (["main", {"pool": "main"}, {"pool": "main", "login_as": "x"},
         {"pool": "main", "hold": True}],
        ["", 1, None, True, [], ["main"], {}, {"login_as": "x"},
         {"pool": 1}, {"pool": None}, {"pool": ""},
         {"pool": "main", "other": 1}])

BACKEND = ["backends", "imap-1"]

ROUTES = [
    ([], ([], [[], 1, None, "x", True])),
    (["$schema"], (["", "x"], [1, None, {}])),
    (["backends"], ([], [ABSENT, {}, [], None, "x"])),
    (BACKEND,
     ([with_tls(), with_tls(tls="starttls"), tls_free(),
       tls_free(host="::1"), tls_free(host="localhost"),
       tls_free(host="LocalHost"), tls_free(host="127.255.0.9"),
       tls_free(host="0:0:0:0:0:0:0:1"), tls_free(host="0000:0::0:0001"),
       tls_free(host="::0.0.0.1"), tls_free(host="::ffff:127.0.0.1"),
       tls_free(host="0:0::FFFF:7f00:1"),
       tls_free(host="0:0:0:0:0:ffff:7F12::"),
       tls_free(host="10.0.0.1", allow_cleartext=True),
       tls_free(allow_cleartext=False), with_tls(allow_cleartext=True),
       with_tls(certificate="c", key="k"), with_tls(verify="none"),
       with_tls(verify="full", ca="c"), tls_free(weight=0),
       with_tls(master=MASTER), tls_free(master=MASTER),
       with_tls(verify="none", probe=MASTER),
       tls_free(host="10.0.0.1", allow_cleartext=True, probe=MASTER),
       tls_free(host="::ffff:127.0.0.1", master=MASTER),
       with_tls(proxy_protocol="v1"), with_tls(proxy_protocol="v2", warm=0),
       with_tls(id=True), with_tls(id=True, forward_id=True),
       with_tls(id=True, warm=1), with_tls(forward_id=False),
       with_tls(proxy_protocol="v2", id=True, forward_id=True,
                master=MASTER)],
      [{}, [], None, "x", 1, with_tls(certificate="c"), with_tls(key="k"),
       with_tls(verify="none", ca="c"), tls_free(host="10.0.0.1"),
       tls_free(host="imap"), tls_free(host="127.0.0.1.example.org"),
       tls_free(host="localhost."), tls_free(host="::2"),
       tls_free(host="::11"), tls_free(host="1::1"),
       tls_free(host="::127.0.0.1"), tls_free(host="::ffff:10.0.0.1"),
       tls_free(host="::ffff:8f00:1"), tls_free(host="::1:ffff:7f00:1"),
       tls_free(host="10.0.0.1", allow_cleartext=False), tls_free(ca="c"),
       tls_free(tls_name="n"), tls_free(verify="none"),
       tls_free(verify="full"), tls_free(certificate="c", key="k"),
       with_tls(verify="none", master=MASTER),
       tls_free(host="10.0.0.1", allow_cleartext=True, master=MASTER),
       with_tls(proxy_protocol="v1", warm=1),
       with_tls(proxy_protocol="v2", warm=64),
       with_tls(forward_id=True), with_tls(id=False, forward_id=True),
       with_tls(tsl=1)])),
    (BACKEND + ["host"],
     (["imap", "10.0.0.1", "::1", "a.b-c_d.", "A9"],
      [ABSENT, "", "a b", "a/b", "a@b", "a%b", "[::1]", "ä", "a\n", 1, None,
       "a" * 256])),
    (BACKEND + ["port"], whole(1, 65535)),
    (BACKEND + ["port"], ([], [ABSENT])),
    (BACKEND + ["tls"], choice("implicit", "starttls")),
    (BACKEND + ["tls"], ([], [ABSENT, "none", "ssl"])),
    (BACKEND + ["tls_name"],
     (["imap", "10.0.0.1", "::1"], ["", "*.x", "a b", "ä", 1, None])),
    (BACKEND + ["ca"], text(4095)),
    (BACKEND + ["verify"], choice("full")),
    (BACKEND + ["verify"], ([], [True, False, "none"])),
    (BACKEND + ["allow_cleartext"], FLAG),
    (BACKEND + ["certificate"], text(4095)),
    (BACKEND + ["key"], text(4095)),
    (BACKEND + ["weight"], whole(0, 1000)),
    (BACKEND + ["warm"], whole(0, 64)),
    (BACKEND + ["max_sessions"], whole(0, 1000000)),
    (["backends", "imap-local", "backup"], FLAG),
    (BACKEND + ["state"], choice("ready", "draining", "maintenance")),
    (["backends", "imap-2", "proxy_protocol"], choice("v1", "v2")),
    (["backends", "imap-2", "proxy_protocol"], ([ABSENT], ["v3", 2])),
    (BACKEND + ["id"], ([True], [False, ABSENT, 0, 1, "true", None, [], {}])),
    (["backends", "imap-2", "id"], FLAG),
    (BACKEND + ["forward_id"], FLAG),
    *master(BACKEND),
    *master(BACKEND, "probe"),
    (["pools"], ([], [ABSENT, {}, [], None, "x"])),
    (["pools", "main"],
     ([{"backends": ["imap-1"]}], [{}, [], None, "x", ["imap-1"]])),
    (["pools", "main", "backends"],
     ([["imap-1"], ["imap-2", "imap-1"]],
      [ABSENT, [], {}, None, "imap-1", [""], [1], [None],
       ["imap-1", "imap-1"]])),
    (["pools", "main", "balance"],
     (["hash", ABSENT],
      ["least-sessions", "round-robin", "Hash", "", True, None, []])),
    (["pools", "replicated", "balance"],
     (["least-sessions", "round-robin"], ["hash", ABSENT, "random", 1])),
    (["pools", "main", "hash_by"], choice("user", "domain")),
    (["pools", "replicated", "hash_by"], ([], ["user", "domain"])),
    (["pools", "replicated", "slow_start"],
     ([0, 0.5, 3600], [-1, 3601, "1", None, True, []])),
    (["pools", "replicated", "one_backend_per_user"], FLAG),
    (["pools", "main", "slow_start"], ([0], [1, 0.5])),
    (["pools", "main", "when_down"], choice("refuse", "next")),
    *master(["pools", "replicated"]),
    (["users"], ([ABSENT, {}], [[], None, "main", 1])),
    (["users"],
     ([{"file": "u.json"}, {"file": "u.tsv"}, {"file": "/a/u.tsv"},
       {"file": "u.sqlite"}, {"file": "u", "format": "sqlite"},
       {"file": "u", "format": "json"}, {"file": "u", "format": "tsv"},
       {"file": "u.tsv", "format": "json"}, {"file": {"pool": "main"}},
       {"file": "main", "a": "main"}, {"format": "main"},
       {"file": {"pool": "main"}, "format": "main"}],
      [{"file": "u"}, {"file": "u.csv"}, {"file": "main"}, {"file": ""},
       {"file": "utsv"}, {"file": "u.tsv "}, {"file": "u.TSV"},
       {"file": 1}, {"file": None}, {"file": ["u.tsv"]},
       {"file": "a\nb.tsv"}, {"file": "a" * 4092 + ".tsv"},
       {"file": "u.tsv", "format": ""}, {"file": "u.tsv", "format": None},
       {"file": "u.tsv", "format": "csv"}, {"file": "u.db"},
       {"file": "u", "format": "SQLite"}, {"file": 1, "format": "tsv"}])),
    (["users", "alice@example.org"], RULE),
    (["users", "bob@example.org", "pool"], (["main"], [ABSENT, 1, None])),
    (["users", "bob@example.org", "login_as"],
     (["x", "{user}", "{local}/{domain}", "ä" * 512],
      ["", "{", "}", "{}", "{users}", "{User}", "{user", "user}", "{{user}}",
       "a\nb", "a" * 513, 1, None, {}])),
    (["users", "bob@example.org", "hold"], FLAG),
    (["domains"], ([ABSENT, {}], [[], None, "main", 1])),
    (["domains", "example.org"], RULE),
    (["default"], ([ABSENT], [])),
    (["default"], RULE),
]

# Keys of the objects whose keys are names: (path, good keys, bad keys).
KEYS = [
    (["backends"], with_tls(), NAME),
    (["pools"], {"backends": ["imap-1"]}, NAME),
    (["users"], "main",
     (["x", "a@b", "*", "%", "../", "a@b@c", "@", " x", "ä", "a" * 512],
      ["", "a\nb", "\x7f", "a" * 513])),
    (["domains"], "main",
     (["org", "a.b.c", "*.org", "*.a.b", "ä.org", "-", "a" * 255],
      ["", "*", "*.", ".", ".org", "org.", "a..b", "*org", "a.*.org", "**.a",
       "*.*.a", "a@b", "a b", "a\n", "a" * 256])),
]

# What a schema cannot say: it takes these, and the loader does not.
BEYOND = [
    ("settings", ["listeners", 1, "address"], "1:2"),
    ("settings", ["listeners", 1, "address"], "1.2.3"),
    ("settings", ["listeners", 1, "address"], "a.b"),
    ("settings", ["listeners", 1],
     {"address": "::", "port": 993, "tls": "starttls"}),
    ("settings", ["limits", "exempt"], ["10.0.0.1/8"]),
    ("settings", ["limits", "exempt"], ["10.0.0.0/33"]),
    ("settings", ["listeners", 3, "proxy_from"], ["10.0.0.1/8"]),
    ("settings", ["listeners", 3, "proxy_from"], ["1.2.3"]),
    ("settings", ["auth", "username", "master_separator"], "%"),
    ("settings", ["admin", "socket"], "/" + "a" * 107),
    ("settings", ["upstream", "source_addresses"], ["1.2.3"]),
    ("settings", ["upstream", "source_addresses"], ["10.0.0.1:993"]),
    ("settings", ["upstream", "source_addresses"], ["0::0"]),
    ("settings", ["upstream", "source_addresses"], ["::ffff:224.0.0.1"]),
    ("settings", ["upstream", "source_addresses"], ["::1", "0::1"]),
    ("settings", ["upstream", "source_addresses"],
     ["10.0.0.1", "::ffff:10.0.0.1"]),
    ("routes", BACKEND + ["host"], "10.0.0.256"),
    ("routes", BACKEND + ["host"], "a:b"),
    ("routes", ["pools", "main", "backends"], ["imap-9"]),
    ("routes", ["pools", "old", "master"], MASTER),
    ("routes", ["pools", "lab", "master"], MASTER),
    ("routes", ["default"], "mian"),
    ("routes", ["users"], {"a@b": "main", "A@B": "main"}),
    ("routes", ["users"], {"file": "u.tsv", "fromat": "tsv"}),
    ("routes", ["domains"], {"a": "main", "A": "main"}),
    ("routes", ["users"], {"ä" * 512: "main"}),
]


def table():
    """(kind, document, is_good, name) for every row above."""
    for kind, rows in (("settings", SETTINGS), ("routes", ROUTES)):
        for path, (good, bad) in rows:
            for is_good, values in ((True, good), (False, bad)):
                for value in values:
                    document = (changed(FULL[kind], path, value) if path
                                else value)
                    yield kind, document, is_good, (path, value)
    for path, value, (good, bad) in KEYS:
        for is_good, keys in ((True, good), (False, bad)):
            for key in keys:
                document = changed(FULL["routes"], path + [key], value)
                yield "routes", document, is_good, (path, key)
    for path in objects("settings") + objects("routes"):
        kind, *way = path
        document = changed(FULL[kind], way + ["surprise"], 1)
        yield kind, document, False, (way, "surprise")


def objects(kind):
    """The way to every object with a fixed set of keys."""
    found = []

    def walk(value, path):
        if isinstance(value, dict):
            if path not in (["backends"], ["pools"], ["users"], ["domains"]):
                found.append([kind] + path)
            for key, inner in value.items():
                walk(inner, path + [key])
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                walk(inner, path + [index])

    walk(FULL[kind], [])
    return found


def short(value):
    shown = "absent" if value is ABSENT else ascii(value)
    return shown if len(shown) < 100 else shown[:100] + "..."


@pytest.mark.threat("H1")
@pytest.mark.parametrize("kind", ["settings", "routes"])
def test_schema_and_loader_have_one_verdict(verdict, kind):
    rows = [row for row in table() if row[0] == kind]
    answers = verdict(kind, [document for _, document, _, _ in rows])

    wrong = []
    for (_, document, is_good, name), (is_taken, why) in zip(rows, answers):
        by_schema = schema_takes(kind, document)
        if (by_schema, is_taken) != (is_good, is_good):
            wrong.append(f"{name[0]} {short(name[1])}: expected {is_good}, "
                         f"schema {by_schema}, loader {is_taken} {why}")
    assert wrong == []
    assert len(rows) > 200


@pytest.mark.parametrize("kind, path, value", BEYOND, ids=short)
def test_the_loader_refuses_what_a_schema_cannot_say(
        verdict, kind, path, value):
    document = changed(FULL[kind], path, value)

    (is_taken, why), = verdict(kind, [document])

    assert schema_takes(kind, document)
    assert not is_taken and why


@pytest.mark.parametrize("name", sorted(
    name for name in os.listdir(EXAMPLES) if name.endswith(".json")))
def test_every_example_is_good(verdict, name):
    kind = "routes" if name.endswith("-routes.json") else "settings"
    document = read("deploy", "examples", name)

    (is_taken, why), = verdict(kind, [document])

    assert is_taken, why
    assert schema_takes(kind, document)
    other = (document["routes"] if kind == "settings" else
             document.get("users", {}).get("file", name))
    assert os.path.exists(os.path.join(EXAMPLES, other))


def test_the_smallest_example_cannot_be_smaller():
    for kind, document in SMALLEST.items():
        for key in document:
            smaller = changed(document, [key], ABSENT)
            assert not schema_takes(kind, smaller) or key == "default"


@pytest.mark.parametrize("kind", ["settings", "routes"])
def test_schemas_are_schemas(kind):
    jsonschema.Draft7Validator.check_schema(SCHEMAS[kind])


def schema_objects(kind):
    """Each object of the schema that names its keys, with its properties."""
    found = []

    def walk(schema):
        if isinstance(schema, dict):
            if schema.get("additionalProperties") is False:
                found.append(schema["properties"])
            for inner in schema.values():
                walk(inner)
        elif isinstance(schema, list):
            for inner in schema:
                walk(inner)

    walk(SCHEMAS[kind])
    return found


@pytest.mark.parametrize("kind", ["settings", "routes"])
def test_schema_and_loader_know_the_same_keys(verdict, kind):
    """A key that is near none makes the loader list all that it knows."""
    ways = [path[1:] for path in objects(kind)]
    strange = "q" * 60

    answers = verdict(kind, [changed(FULL[kind], way + [strange], 1)
                             for way in ways])

    known = {tuple(sorted(re.findall(r'"(.*?)"', line.split(
        "expected one of ")[1])))
             for _, why in answers for line in why if strange in line}
    assert known == {tuple(sorted(keys)) for keys in schema_objects(kind)}


@pytest.mark.parametrize("kind", ["settings", "routes"])
def test_the_full_example_shows_every_key(kind):
    shown = set()

    def walk(value):
        if isinstance(value, dict):
            shown.update(value)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(FULL[kind])

    assert {key for keys in schema_objects(kind) for key in keys} <= shown


@pytest.mark.parametrize("kind", ["settings", "routes"])
def test_every_key_is_described(kind):
    for keys in schema_objects(kind):
        for key, schema in keys.items():
            assert "description" in schema, key
