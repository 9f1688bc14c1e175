"""Gatepost under test: started on free ports with files of its own, read by
its log, and stopped with every promise of a clean end checked."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

from . import orphans, procfs
from .wire import WireClient

# The log's words for what tests wait for.
STARTED, RELOADED, REFUSED = "started", "reloaded", "reload-refused"

_SUPPRESSIONS = os.path.join(os.path.dirname(os.path.realpath(__file__)),
                             "../tsan.supp")
SANITIZER_REPORT = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|"
    r"UndefinedBehaviorSanitizer|Assertion .* failed")


def sanitizer_of(binary):
    """"address", "thread" or "" by what the binary was built with."""
    with open(binary, "rb") as image:
        symbols = image.read()
    for name, symbol in (("address", b"__asan_init"),
                         ("thread", b"__tsan_init")):
        if symbol in symbols:
            return name
    return ""


def environment(extra):
    """The environment of a run: sanitizers that stop at the first report."""
    env = dict(os.environ)
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:exitcode=99:"
                                   "quarantine_size_mb=4")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.setdefault("TSAN_OPTIONS", "exitcode=66:halt_on_error=1:suppressions="
                                   + _SUPPRESSIONS)
    env.update(extra)
    return env


def backend_entry(backend, **settings):
    """A FakeBackend (or anything with host and port) for routes.json."""
    entry = {"host": backend.host, "port": backend.port, "tls": "none"}
    entry.update(settings)
    return entry


def routes_to(backend, **settings):
    """The smallest routes.json: everybody goes to this backend."""
    return {"backends": {"b1": backend_entry(backend, **settings)},
            "pools": {"p1": {"backends": ["b1"]}}, "default": "p1"}


class Gatepost:
    """One running `gatepost serve`.

    `settings` and `routes` become gatepost.json and routes.json in
    `folder`; the log is read as JSON lines (`log`, `wait_log`)."""

    def __init__(self, binary, folder, settings, routes, env=None,
                 wait=True, descriptors=None, started_by=None):
        self.binary, self.folder = binary, folder
        self.sanitizer = sanitizer_of(binary)
        self.config = os.path.join(folder, "gatepost.json")
        self.settings = settings
        settings.setdefault("routes", "routes.json")
        settings.setdefault("log", {"format": "json", "level": "info"})
        # All clients of a test share an address: only tests of the delay want
        # to wait for each other's failures.
        settings.setdefault("auth", {}).setdefault("delay_max", 0)
        # Tests count who calls their backends: only tests of probes want them.
        settings.setdefault("upstream", {}).setdefault("health",
                                                       {"interval": 0})
        self.write_settings(settings)
        self.write_routes(routes)
        self.log, self.stderr_lines = [], []
        self._clients = []
        self.hearing = threading.Event()  # cleared: nobody reads the log
        self.hearing.set()
        self._logged = threading.Condition()
        # prlimit becomes the program, under limits that hold from its start.
        limits = (["prlimit", f"--nofile={descriptors}:{descriptors}", "--"]
                  if descriptors else [])
        # So does what `started_by` says (activation.py).
        with started_by or contextlib.nullcontext(([], ())) as (first, kept):
            self.process = subprocess.Popen(
                [*first, *limits, binary, "serve", self.config],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, env=environment(env or {}),
                pass_fds=kept)
        self.pid = self.process.pid
        self._successors = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        if wait:
            try:
                self.wait_listening()
            except BaseException:
                self.kill()
                raise

    # -- files -----------------------------------------------------------

    def _write(self, name, content):
        """Puts a file in place in one step, as an operator should."""
        path = os.path.join(self.folder, name)
        with open(path + ".new", "wb") as out:
            out.write(content if isinstance(content, bytes)
                      else json.dumps(content, indent=1).encode())
        os.replace(path + ".new", path)

    def write_settings(self, settings):
        """Replaces gatepost.json (a dict, or bytes as they are)."""
        self._write("gatepost.json", settings)

    def write_routes(self, routes):
        """Replaces routes.json (a dict, or bytes as they are)."""
        self._write("routes.json", routes)

    # -- the log ---------------------------------------------------------

    def _read_log(self):
        for line in self.process.stderr:
            self.hearing.wait()
            text = line.decode("utf-8", "surrogateescape").rstrip("\n")
            try:
                entry = json.loads(text)
            except ValueError:
                entry = None
            with self._logged:
                self.stderr_lines.append(text)
                if isinstance(entry, dict):
                    self.log.append(entry)
                self._logged.notify_all()
        with self._logged:
            self._logged.notify_all()

    @property
    def stderr(self):
        """All of standard error so far."""
        return "\n".join(self.stderr_lines)

    def mark(self):
        """A place in the log, to be given to `wait_log` as `since`."""
        return len(self.log)

    def wait_log(self, wanted, since=0, timeout=10):
        """The first entry from `since` on for which `wanted(entry)` holds;
        a string means: the event of that name."""
        if isinstance(wanted, str):
            event = wanted
            wanted = lambda entry: entry.get("event") == event
        found = []

        def look():
            found[:] = [one for one in self.log[since:] if wanted(one)]
            return found

        with self._logged:
            if not self._logged.wait_for(look, timeout):
                raise AssertionError("the log has no such entry:\n" +
                                     "\n".join(self.stderr_lines[-20:]))
        return found[0]

    def session_end(self, since=0, timeout=10, **fields):
        """The session-end line whose fields have these values."""
        return self.wait_log(
            lambda entry: entry.get("event") == "session-end" and all(
                entry.get(name) == value for name, value in fields.items()),
            since, timeout)

    # -- connections -----------------------------------------------------

    def address(self, tls="implicit", index=0):
        """(host, port) of the index-th listener of this kind."""
        listener = [one for one in self.settings["listeners"]
                    if one["tls"] == tls][index]
        host = {"*": "127.0.0.1", "::": "::1"}.get(listener["address"],
                                                   listener["address"])
        return host, listener["port"]

    def connect(self, tls="implicit", **options):
        """A WireClient on the listener, before any handshake; closed at the
        latest when Gatepost is stopped."""
        self._clients.append(WireClient(self.address(tls), **options))
        return self._clients[-1]

    def secure(self, context=None, server_hostname="imap.example.test",
               session=None, **options):
        """A WireClient after the handshake and the greeting."""
        client = self.connect("implicit", **options)
        client.handshake(context, server_hostname, session)
        client.greeting = client.read_line()
        return client

    def starttls(self, context=None, server_hostname="imap.example.test",
                 **options):
        """A WireClient that came through STARTTLS."""
        client = self.connect("starttls", **options)
        client.greeting = client.read_line()
        client.send(b"s STARTTLS\r\n")
        client.read_reply("s")
        return client.handshake(context, server_hostname)

    def logged_in(self, user="alice@example.org", password="secret-alice",
                  **options):
        """A WireClient whose login was answered with OK."""
        client = self.secure(**options)
        answer = client.login(user, password)
        assert answer.startswith(b"OK"), answer
        return client

    def wait_listening(self, timeout=20):
        """Waits until every listener of the settings is in LISTEN."""
        wanted = set()
        for one in self.settings["listeners"]:
            if one["address"] == "*" or ":" not in one["address"]:
                wanted.add((4, one["port"]))
            if one["address"] == "*" or ":" in one["address"]:
                wanted.add((6, one["port"]))
        deadline = time.monotonic() + timeout
        while not (wanted <= procfs.listening_ports() and
                   STARTED in self.stderr):
            if self.process.poll() is not None:
                self._reader.join(5)
                raise AssertionError(f"ended with {self.process.returncode}:"
                                     f"\n{self.stderr}")
            if time.monotonic() > deadline:
                raise AssertionError("does not listen:\n" + self.stderr)
            time.sleep(0.01)

    # -- what the kernel says --------------------------------------------

    def descriptors(self):
        """Descriptors held now, but for event descriptors: a listening
        socket takes one in reserve, at its first accept."""
        return sum("[eventfd]" not in one
                   for one in procfs.descriptors(self.pid))

    def resting_descriptors(self):
        """Descriptors held once their number stands still for 0.2 s."""
        last, since = self.descriptors(), time.monotonic()
        while time.monotonic() - since < 0.2:
            time.sleep(0.02)
            if self.descriptors() != last:
                last, since = self.descriptors(), time.monotonic()
        return last

    def rss(self):
        """Resident bytes now."""
        return procfs.rss_bytes(self.pid)

    def cpu(self):
        """CPU seconds used so far."""
        return procfs.cpu_seconds(self.pid)

    def wait_descriptors(self, count, timeout=10):
        """Waits until no more than `count` descriptors are held."""
        deadline = time.monotonic() + timeout
        while self.descriptors() > count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.descriptors()} descriptors, "
                                     f"expected at most {count}")
            time.sleep(0.05)

    # -- signals ---------------------------------------------------------

    def signal(self, number):
        """Sends a signal to the process, or to the last that took over."""
        if self._successors:
            os.kill(self.pid, number)
        else:
            self.process.send_signal(number)

    def follow(self, pid):
        """From now on `pid` and signals mean this process, which took over
        from the one before (an upgrade in place); it stays in our care, so
        `orphans.adopt` comes before the upgrade."""
        self._successors.append(pid)
        self.pid = pid

    def reload(self, expect=RELOADED, timeout=20):
        """SIGHUP, then waits for the reload's line in the log (or for
        REFUSED, given as `expect`) and returns it."""
        since = self.mark()
        self.signal(signal.SIGHUP)
        return self.wait_log(expect, since, timeout)

    def counters(self):
        """What was counted so far, by name."""
        since = self.mark()
        self.signal(signal.SIGUSR1)
        return self.wait_log("counters", since)

    def wait_counters(self, timeout=10, **wanted):
        """Waits until these counters have these values; returns all."""
        deadline = time.monotonic() + timeout
        counted = self.counters()
        while any(counted[name] != value for name, value in wanted.items()):
            assert time.monotonic() < deadline, (wanted, counted)
            time.sleep(0.02)
            counted = self.counters()
        return counted

    def wait_exit(self, timeout=20):
        """The exit status, once the process has ended by itself."""
        statuses = [self.process.wait(timeout)]
        for pid in self._successors:
            statuses.append(orphans.wait(pid, timeout))
        self._reader.join(5)
        return max(statuses, key=abs)

    def kill(self):
        """Ends the process, and those that took over, whatever their
        state."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in self._successors:
            orphans.kill(pid)
        self._reader.join(5)

    def begin_stop(self):
        """Leaves all clients and sends SIGTERM; `finish_stop` does the
        rest. Between both lies the time that the listeners take to close."""
        self.hearing.set()
        for client in self._clients:
            client.abandon()
        self._stopping_since = time.monotonic()
        if self._is_running():
            self.signal(signal.SIGTERM)

    def finish_stop(self):
        """Waits for the end (a second SIGTERM after 2 s) and checks it."""
        while self._is_running():
            if time.monotonic() > self._stopping_since + 2:
                self.signal(signal.SIGTERM)
                break
            time.sleep(0.01)
        try:
            status = self.wait_exit()
        except (subprocess.TimeoutExpired, TimeoutError):
            self.kill()
            raise AssertionError("two SIGTERM did not end it:\n" +
                                 self.stderr) from None
        self.check_end(status)

    def _is_running(self):
        """Whether the process that a signal reaches has not ended."""
        if self._successors:
            return orphans.is_running(self.pid)
        return self.process.poll() is None

    def stop(self):
        """SIGTERM and the checks of a clean end."""
        self.begin_stop()
        self.finish_stop()

    def check_end(self, status):
        """Exit 0, no sanitizer report, nothing but log lines on stderr."""
        report = SANITIZER_REPORT.search(self.stderr)
        assert report is None, self.stderr
        assert status == 0, f"exit {status}:\n{self.stderr[-4000:]}"
        if self.settings.get("log", {}).get("format") == "json":
            assert len(self.log) == len(self.stderr_lines), (
                "a line that is not a log entry:\n" + self.stderr[-4000:])
