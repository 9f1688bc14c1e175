"""Counts what Gatepost does for a login, in numbers that a busy machine does
not change: system calls, as strace sees them, and instructions in user space,
as valgrind does. Both start Gatepost under their tool. What was added while
the load generator ran a batch, less what a smaller batch added, is the cost of
so many logins: what a process does anyway falls out."""

import collections
import json
import os
import re
import shutil
import signal
import subprocess
import time

import lab as labs
from measure import ProcessTree

# So that a machine of more cores counts the same.
WORKERS = 2
PATIENCE_SECONDS = 600
QUIET_SECONDS = 0.3
POLL_SECONDS = 0.02

# This signal makes Gatepost log its counters, which no login does: the end of
# that function is where callgrind writes down what it has counted.
MARK_SIGNAL = signal.SIGUSR1
MARK_FUNCTION = "server_log_counters"

# BoringSSL and glibc choose code by what the processor can do. Without AVX and
# what came later, and glibc without SSSE3 too, they choose the same on every
# x86-64 that has AES-NI.
SAME_PROCESSOR = {
    "OPENSSL_ia32cap": "~0x1800000000000000:~0xffffffffffffffff",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,"
                      "-AVX_Fast_Unaligned_Load,-ERMS,-BMI1,-BMI2,-SSE4_2,"
                      "-SSSE3",
}


class CannotCount(Exception):
    """The tool is missing or may not work here; says what to do."""


class Counted:
    """Gatepost under a tool, with the files that a measurement wants; a
    context manager."""

    binary = "gatepost"

    def __init__(self, lab, routes, workers=WORKERS, environment=None):
        self.lab = lab
        self.folder = lab.new_folder()
        self.port = labs.free_port()
        self.log = self._path("log")
        self._write("routes.json", routes)
        self._write("gatepost.json", self._settings(workers))
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*self.tool(), lab.program(self.binary), "serve",
                 self._path("gatepost.json")],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.tree = ProcessTree(self.process.pid)
        wait_until(self._listens, "Gatepost does not listen")
        time.sleep(QUIET_SECONDS)
        self.sockets_at_rest = self.tree.socket_count()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """The tool ends with the program."""
        for pid in reversed(self.tree.pids()):
            _kill(pid)
        self.process.wait(labs.STOP_SECONDS)

    def tool(self):
        """What stands before the command."""
        return []

    def take(self):
        """What was counted since the last call, by name."""
        raise NotImplementedError

    def rest(self):
        """Until all sessions are gone."""
        wait_until(lambda: self.tree.socket_count() <= self.sockets_at_rest,
                   "Gatepost keeps sessions that ended")
        time.sleep(QUIET_SECONDS)

    def _settings(self, workers):
        return {
            "workers": workers,
            "listeners": [{"address": "127.0.0.1", "port": self.port,
                           "tls": "implicit"}],
            "tls": {"certificates": [{"chain": self.lab.chain,
                                      "key": self.lab.key}]},
            "routes": "routes.json",
            "upstream": {"health": {"interval": 0}},  # logins alone count
        }

    def _listens(self):
        if self.process.poll() is None:
            return labs.is_listening(self.port)
        with open(self.log, encoding="utf-8") as log:
            raise RuntimeError(f"Gatepost did not start:\n{log.read()}")

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _write(self, name, content):
        with open(self._path(name), "w", encoding="utf-8") as file:
            json.dump(content, file)


class Traced(Counted):
    """Under strace; counts system calls, of all threads."""

    def __init__(self, *arguments, **more):
        _check_strace()
        self.read_to = 0
        super().__init__(*arguments, **more)

    def tool(self):
        return ["strace", "-f", "-qq", "-s", "0", "-e", "signal=none",
                "-o", self._path("trace")]

    def take(self):
        calls, self.read_to = read_trace(self._path("trace"), self.read_to)
        return calls


class Simulated(Counted):
    """Under callgrind; counts instructions in user space, of all threads, by
    the file that holds the code."""

    def __init__(self, *arguments, **more):
        _check_program("valgrind")
        self.dumps = 0
        self.functions = {}
        super().__init__(*arguments, **more, environment=SAME_PROCESSOR)

    def tool(self):
        return ["valgrind", "--tool=callgrind", "--quiet", "--fair-sched=yes",
                f"--dump-after={MARK_FUNCTION}",
                "--callgrind-out-file=" + self._path("callgrind")]

    def take(self):
        self.process.send_signal(MARK_SIGNAL)
        self.dumps += 1
        path = self._path(f"callgrind.{self.dumps}")
        wait_until(lambda: _is_whole(path), "callgrind does not see "
                   f"{MARK_FUNCTION}: is the program stripped?")
        costs, self.functions = read_dump(path)
        os.unlink(path)
        return costs


class LoginLoad(labs.Talker):
    """The load generator in mode login."""

    def __init__(self, lab, proxy, count, parallel, *more):
        self.count = count
        super().__init__(lab.program("bench_load"), "login", "--connect",
                         f"127.0.0.1:{proxy.port}", "--count", str(count),
                         "--parallel", str(parallel), *more)
        self.hear()  # "ready"

    def run_batch(self):
        self.tell("next")
        words = self.hear()
        result = dict(zip(words[::2], words[1::2]))
        if int(result["done"]) != self.count or int(result["failed"]) != 0:
            raise RuntimeError(f"of {self.count} logins: {' '.join(words)}")
        return result


def cost_of_login(proxy, load, small=1, large=3):
    """The counts of one login by name, from batches of different size. Run
    one before: the first login is not like the others."""
    proxy.take()
    added = []
    for batches in (small, large):
        for _ in range(batches):
            load.run_batch()
        proxy.rest()
        added.append((proxy.take(), batches * load.count))
    return per_unit(*added[0], *added[1])


def per_unit(small, small_units, large, large_units, scale=1):
    """What one unit costs, or so many, by name: the slope between two."""
    units = (large_units - small_units) / scale
    return {name: (large[name] - small[name]) / units
            for name in small | large}


def without_boringssl(parts):
    return {name: count for name, count in parts.items()
            if not name.startswith(("libcrypto", "libssl"))}


def plain_routes(lab, backend, kind):
    config = {"host": "127.0.0.1", "port": backend.ports[kind], "tls": "none"}
    if kind == "tls":
        config.update(tls="implicit", tls_name="localhost", ca=lab.ca)
    return {"backends": {"cheap": config},
            "pools": {"all": {"backends": ["cheap"]}}, "default": "all"}


def read_trace(path, begin):
    """Calls by name from there to the end of the last whole line, and where
    that is. One that another thread interrupts is told in two lines, of which
    the second names no call."""
    with open(path, "rb") as trace:
        trace.seek(begin)
        text = trace.read()
    text = text[:text.rfind(b"\n") + 1]
    names = re.findall(rb"^\d+ +([a-z]\w*)\(", text, re.M)
    return (collections.Counter(name.decode() for name in names),
            begin + len(text))


class Function:
    """What callgrind knows of one: calls, and instructions in it and below."""

    def __init__(self):
        self.calls = 0
        self.instructions = 0


def read_dump(path):
    """Reads callgrind's format: "ob=" and "fn=" say where the costs below
    belong; "calls=" stands before a line with what the callee, named by
    "cfn=", cost all in all. Returns costs by object and functions by name."""
    names = {}
    costs = collections.Counter()
    functions = collections.defaultdict(Function)
    place = callee = None
    is_of_callee = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, equals, value = line.rstrip("\n").partition("=")
            if equals and key in ("ob", "cfn"):
                name = _unfold(names, key[-2:], value)
                if key == "ob":
                    place = os.path.basename(name)
                else:
                    callee = name
            elif equals and key in ("cob", "fn"):
                _unfold(names, key[-2:], value)
            elif key == "calls":
                functions[callee].calls += int(value.split()[0])
                is_of_callee = True
            elif line[:1] in "0123456789+-*":
                words = line.split()
                cost = int(words[1]) if len(words) > 1 else 0
                if is_of_callee:
                    functions[callee].instructions += cost
                else:
                    costs[place] += cost
                is_of_callee = False
    return costs, functions


def _unfold(names, kind, value):
    """A name stands beside its number once, later the number alone."""
    number, _, name = value.partition(" ")
    if name:
        names[kind, number] = name
    return names[kind, number]


def wait_until(is_so, otherwise):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise)
        time.sleep(POLL_SECONDS)


def _is_whole(path):
    try:
        with open(path, "rb") as dump:
            dump.seek(0, os.SEEK_END)
            dump.seek(max(0, dump.tell() - 100))
            return b"\ntotals: " in dump.read()
    except FileNotFoundError:
        return False


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _check_strace():
    _check_program("strace")
    trial = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"],
                           capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        raise CannotCount(
            f"strace may not trace here ({trial.stderr.strip()}): in a "
            "container, allow it by --cap-add=SYS_PTRACE")


def _check_program(name):
    if shutil.which(name) is None:
        raise CannotCount(f"{name} is not installed: deploy/packages install "
                          "budget")
