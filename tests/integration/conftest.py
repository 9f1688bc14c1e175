"""Options and fixtures of the integration tests; see README.md."""

import json
import os
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from gatepost_test.backend import Blackhole, FakeBackend  # noqa: E402
from gatepost_test.certs import Authority  # noqa: E402
from gatepost_test.dovecot import Dovecot, stop_all  # noqa: E402
from gatepost_test.gatepost import (  # noqa: E402
    SANITIZER_REPORT, Gatepost, environment, routes_to, sanitizer_of)
from gatepost_test.ports import free_port  # noqa: E402
from gatepost_test.relay import DelayingRelay  # noqa: E402
from gatepost_test.scripts import ImapServer  # noqa: E402
from gatepost_test.wire import trusting  # noqa: E402

# Every server name that the default certificate of a test is good for.
NAMES = ("imap.example.test", "localhost")


def pytest_addoption(parser):
    parser.addoption("--gatepost", metavar="PATH",
                     help="the binary under test (else GATEPOST_BIN, else "
                          "build/dev/gatepost)")
    parser.addoption("--slow", action="store_true",
                     help="also run the tests marked slow, and long loops")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if item not in slow]
    config.hook.pytest_deselected(items=slow)
    config.left_out = [item.nodeid for item in slow]


def pytest_make_parametrize_id(val):
    """Short names for bytes, which may be long and odd."""
    if isinstance(val, bytes):
        return ascii(val[:24])[1:] + (f"+{len(val) - 24}"
                                      if len(val) > 24 else "")
    return None


def pytest_terminal_summary(terminalreporter, config):
    for name in getattr(config, "left_out", []):
        terminalreporter.write_line(f"left out without --slow: {name}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails by itself after its limit."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else 60
    if item.config.getoption("--slow"):
        seconds *= 10

    def give_up(*_):
        raise TimeoutError(f"over the test's limit of {seconds} s")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session", autouse=True)
def many_descriptors():
    """Our side of thousands of connections, and of threads of backends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="session")
def binary(request):
    """The path of the gatepost under test."""
    path = (request.config.getoption("--gatepost") or
            os.environ.get("GATEPOST_BIN") or
            os.path.join(ROOT, "build", "dev", "gatepost"))
    path = os.path.abspath(path)
    assert os.access(path, os.X_OK), f"{path} is not there: build it first"
    return path


@pytest.fixture(scope="session")
def sanitizer(binary):
    """"address", "thread" or "": what the binary was built with."""
    return sanitizer_of(binary)


@pytest.fixture
def times(request):
    """times(modest, many): how often a loop runs, without and with --slow."""
    slow = request.config.getoption("--slow")
    return lambda modest, many: many if slow else modest


@pytest.fixture(scope="session")
def authority():
    """The authority that signs every good certificate of the tests."""
    return Authority()


@pytest.fixture(scope="session")
def leaf(authority):
    """The default certificate, of front and of backends."""
    return authority.issue(*NAMES, ips=["127.0.0.1", "::1"])


@pytest.fixture(scope="session")
def session_folder():
    """A folder for what lives as long as the run."""
    folder = tempfile.mkdtemp(prefix="gp-run-", dir="/tmp")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(authority, leaf):
    """A folder of the test's own, with ca.pem, tls.pem and tls.key."""
    path = tempfile.mkdtemp(prefix="gp-test-", dir="/tmp")
    authority.save(path)
    leaf.save(path, "tls")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def client_context(authority):
    """A client's TLS context that trusts the authority."""
    return trusting(authority)


@pytest.fixture
def server_context(leaf, session_folder):
    """server_context(leaf): a TLS context for a fake backend."""
    def make(which=leaf):
        stem = f"backend-{id(which):x}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*which.save(session_folder, stem))
        return context
    return make


@pytest.fixture
def fake_backend():
    """fake_backend(script, tls=None): FakeBackends that end with the test."""
    started = []

    def start(script, **options):
        started.append(FakeBackend(script, **options))
        return started[-1]

    yield start
    failures = []
    for one in started:
        try:
            one.stop()
        except Exception as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def backend(fake_backend):
    """The one of tests that want no other."""
    return fake_backend(ImapServer())


@pytest.fixture
def far_away():
    """far_away(backend, delay): the backend, so many seconds away in each
    direction."""
    relays = []

    def put(backend, delay):
        relays.append(DelayingRelay(backend, delay))
        return relays[-1]

    yield put
    for relay in relays:
        relay.stop()


@pytest.fixture
def blackhole():
    """A port that swallows every attempt to connect."""
    hole = Blackhole()
    yield hole
    hole.stop()


@pytest.fixture
def settings(folder):
    """The smallest gatepost.json: one implicit and one STARTTLS listener on
    127.0.0.1, one certificate, two workers. Tests add to it."""
    return {
        "listeners": [
            {"address": "127.0.0.1", "port": free_port(), "tls": "implicit"},
            {"address": "127.0.0.1", "port": free_port(), "tls": "starttls"},
        ],
        "tls": {"certificates": [{"chain": "tls.pem", "key": "tls.key"}]},
        "workers": 2,
    }


class Endings:
    """Processes that were told to end. Their last moments pass beside the
    next tests: an end takes a fraction of a second, and there are hundreds.
    A bad end is an error of a later test, which names the right one."""

    def __init__(self):
        self._waiting = []

    def add(self, name, process):
        """Tells the process, started by the test of this name, to end."""
        process.begin_stop()
        self._waiting.append((name, process))

    def check(self, at_most=0):
        """Checks the oldest ends until no more than so many wait."""
        while len(self._waiting) > at_most:
            name, process = self._waiting.pop(0)
            try:
                process.finish_stop()
            except AssertionError as failure:
                raise AssertionError(f"Gatepost of {name} ended badly: "
                                     f"{failure}") from failure


@pytest.fixture(scope="session")
def endings():
    """Where the processes of tests that are over come to their end."""
    waiting = Endings()
    yield waiting
    waiting.check()


@pytest.fixture
def gatepost(binary, folder, settings, endings, request):
    """gatepost(routes, env={}, **more): a running Gatepost; `more` replaces
    sections of the settings; `started_by` is of activation.py. Stopped, and its end checked, after the test."""
    started = []

    def start(routes, env=None, wait=True, descriptors=None,
              started_by=None, **more):
        settings.update(more)
        started.append(Gatepost(binary, folder, settings, routes, env, wait,
                                descriptors, started_by))
        return started[-1]

    yield start
    for one in started:
        endings.add(request.node.nodeid, one)
    endings.check(at_most=3)


@pytest.fixture
def front(gatepost, backend):
    """In front of the one backend, with settings that say nothing."""
    return gatepost(routes_to(backend))


@pytest.fixture
def command(binary, folder, settings):
    """command(routes, "check"): runs `gatepost NAME CONFIG ARGUMENTS` and
    returns (exit status, output, errors)."""
    def run(routes, name, *arguments):
        settings.setdefault("routes", "routes.json")
        config = os.path.join(folder, "gatepost.json")
        for path, content in ((config, settings),
                              (f"{folder}/routes.json", routes)):
            with open(path, "w") as out:
                json.dump(content, out)
        done = subprocess.run([binary, name, config, *arguments],
                              capture_output=True, text=True, timeout=30,
                              env=environment({}))
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done.returncode, done.stdout, done.stderr
    return run


@pytest.fixture(scope="session")
def dovecots(leaf):
    """Two real shards: alice and anna live on the first, bob and bert on the
    second; passwords are secret-NAME."""
    shards = []
    try:
        for name, users in (("shard-a", ("alice", "anna")),
                            ("shard-b", ("bob", "bert"))):
            shards.append(Dovecot(name, leaf, {
                f"{user}@example.org": f"secret-{user}" for user in users}))
        yield shards
    finally:
        stop_all(shards)


@pytest.fixture
def sharded_routes(dovecots):
    """routes.json for the two Dovecots, over loopback without TLS."""
    first, second = dovecots
    return {
        "backends": {
            "a1": {"host": "127.0.0.1", "port": first.plain_port,
                   "tls": "none"},
            "b1": {"host": "127.0.0.1", "port": second.plain_port,
                   "tls": "none"}},
        "pools": {"shard-a": {"backends": ["a1"]},
                  "shard-b": {"backends": ["b1"]}},
        "users": {f"{user}@example.org": "shard-b"
                  for user in ("bob", "bert")},
        "domains": {"example.org": "shard-a"}}
