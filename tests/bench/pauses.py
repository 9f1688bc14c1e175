"""How long sessions wait for an answer while Gatepost has something to do with
all of its users, or with all of its other sessions."""

import concurrent.futures
import http.client
import os
import socket
import ssl
import struct
import subprocess
import time

import counts
import crowd
import lab as labs

PAUSE_MS_MAX = 5
PAUSE_SESSIONS = 8
PAUSE_GAP_SECONDS = 0.0005
SWEPT_SESSIONS = 100000
SWEEPS = 5
KICK_ROUNDS = 3
SOCKET = "admin.sock"
HOMES = 100000
HANDOVERS = 5
HANDOVER_MS_MAX = 1000


def check_sweeps(lab, *_):
    """With more sessions than there can be descriptors, all of one worker:
    turns of its loop, in the processor's time. What a sweep does it does each
    time, what a machine does in between it does not: the best of some runs."""
    longest = {}
    for _ in range(SWEEPS):
        done = subprocess.run(
            [lab.program("bench_sweeps"), str(SWEPT_SESSIONS)], check=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in done.stdout.splitlines():
            name, _, turn_us, _, all_us = line.split()
            longest.setdefault(name, []).append(
                (int(turn_us) / 1000, int(all_us) / 1000))
    for name, times in longest.items():
        turn_ms, all_ms = map(min, zip(*times))
        print(f"   {name}, {SWEPT_SESSIONS:,} sessions: a turn of the loop "
              f"took {turn_ms:.2f} ms at most, all turns {all_ms:.0f} ms",
              flush=True)
    worst = max(min(turn for turn, _ in times) for times in longest.values())
    return worst <= PAUSE_MS_MAX, (
        f"the longest turn of the loop took {worst:.2f} ms, at most "
        f"{PAUSE_MS_MAX} wanted")


def check_handover(lab, *_):
    """Two processes of an upgrade in place, as far as users' homes go: how long
    until the second has all of them, how long a lock is held that logins want,
    and how long those wait that log in meanwhile. The best of some runs."""
    rows = []
    for _ in range(HANDOVERS):
        done = subprocess.run([lab.program("bench_handover"), str(HOMES)],
                              check=True, stdout=subprocess.PIPE, text=True)
        rows.append(labs.pairs(done.stdout.split()))
    give, lock, login = (sorted(one[name] / 1000 for one in rows)
                         for name in ("give_us", "lock_us", "login_us"))
    print(f"   {HOMES:,} homes handed over, in ms: {row(give)}; a lock of "
          f"{lock[0]:.2f} to {lock[-1]:.2f}; longest of the logins meanwhile: "
          f"{row(login)}", flush=True)
    is_ok = (give[0] <= HANDOVER_MS_MAX and lock[0] <= PAUSE_MS_MAX and
             not any(one["refused"] for one in rows))
    return is_ok, (
        f"{HOMES:,} homes took {give[0]:.0f} ms, and a lock {lock[0]:.2f} ms, "
        f"at most {HANDOVER_MS_MAX} and {PAUSE_MS_MAX} wanted, and no login "
        f"refused: {sum(one['refused'] for one in rows)}")


def check_kick_pause(lab, backend, _):
    """With as many real sessions as descriptors allow, all of one worker: how
    long its loop works between two looks at its sockets, and what others wait,
    while they are listed, and ended all at once."""
    sessions = crowd.as_many_as_fit(SWEPT_SESSIONS) - 4 * PAUSE_SESSIONS
    pauses = {}
    for _ in range(KICK_ROUNDS):
        with labs.Backend(lab) as own_backend, \
                Watched(lab, backend, own_backend) as proxy:
            watch_one_crowd(lab, proxy, own_backend, sessions, pauses)
    for name, found in pauses.items():
        turns, noops = zip(*found)
        print(f"   while {sessions:,} sessions are {name}: longest turn of "
              f"the loop, in ms: {row(turns)}; longest NOOP: {row(noops)}",
              flush=True)
    worst = max(min(turn for turn, _ in found) for found in pauses.values())
    return worst <= PAUSE_MS_MAX, (
        f"the longest turn of the loop took {worst:.2f} ms, at most "
        f"{PAUSE_MS_MAX} wanted")


def watch_one_crowd(lab, proxy, own_backend, sessions, pauses):
    sources = str(crowd.sources_for(sessions))
    with labs.IdleLoad(lab, proxy, [sessions], "--sources", sources) as load:
        load.hear()
        watchers = [Session(proxy.port, i, "watch.test")
                    for i in range(PAUSE_SESSIONS)]
        come_first(os.getpid(), proxy.process.pid, own_backend.pid)
        for name, path in (
                ("left alone", None),
                ("listed", "/sessions?limit=1000"),
                ("looked at for one user", "/sessions?user=nobody@a.test"),
                ("kicked", "/kick?backend=cheap")):
            proxy.turns.begin()
            noop = pause_while(proxy, watchers, path)
            pauses.setdefault(name, []).append((proxy.turns.take(), noop))


def pause_while(proxy, watchers, path):
    """The longest NOOP until that is answered and done."""
    if path is None:
        since = time.monotonic()
        return longest_noop(watchers, lambda: time.monotonic() > since + 2)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(proxy.ask, path)
        return longest_noop(watchers, lambda: answer.done() and (
            "/kick" not in path or proxy.holds_only(PAUSE_SESSIONS)))


class Turns:
    """What libbench_turns.so keeps of a process."""

    SLOT = struct.Struct("QQQ")

    def __init__(self, lab):
        self.path = os.path.join(lab.new_folder(), "turns")
        self.environment = {"LD_PRELOAD": lab.program("libbench_turns.so"),
                            "BENCH_TURNS": self.path}
        self.pid = None  # its own loop has no sessions

    def begin(self):
        """Forgets what was."""
        self._take_all()

    def take(self):
        """The longest since then, in milliseconds."""
        return self.take_both()[0]

    def take_both(self):
        """That, and the longest that a thread worked between two naps; 0 where
        none napped."""
        longest, between_naps = self._take_all()
        if longest == 0:
            raise RuntimeError("libbench_turns.so has seen no turn")
        return longest / 1e6, between_naps / 1e6

    def _take_all(self):
        found = [(0, 0)]
        with open(self.path, "r+b", buffering=0) as file:
            slots = list(self.SLOT.iter_unpack(file.read()))
            for index, (thread, *longest_ns) in enumerate(slots):
                if thread != self.pid:
                    found.append(longest_ns)
                file.seek(index * self.SLOT.size + 8)
                file.write(bytes(16))
        return tuple(map(max, zip(*found)))


class Watched(counts.Counted):
    """Gatepost with one worker, and a backend of the watchers' own."""

    def __init__(self, lab, backend, own_backend):
        routes = counts.plain_routes(lab, backend, "plain")
        routes["backends"]["other"] = dict(
            routes["backends"]["cheap"], port=own_backend.ports["plain"])
        routes["pools"]["watch"] = {"backends": ["other"]}
        routes["domains"] = {"watch.test": "watch"}
        self.turns = Turns(lab)
        super().__init__(lab, routes, workers=1,
                         environment=self.turns.environment)
        self.turns.pid = self.process.pid

    def _settings(self, workers):
        settings = super()._settings(workers)
        settings["admin"] = {"socket": SOCKET}
        settings["upstream"]["source_addresses"] = [
            f"127.0.0.{1 + i}" for i in range(crowd.SOURCES_MAX)]
        return settings

    def ask(self, path):
        """What the admin socket answers."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self._path(SOCKET))
        connection.request("POST" if "/kick" in path else "GET", path)
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def holds_only(self, sessions):
        """Looked up rarely, since it takes long."""
        if time.monotonic() < getattr(self, "looks_at", 0):
            return False
        self.looks_at = time.monotonic() + 0.2
        return (self.tree.socket_count() <=
                self.sockets_at_rest + 2 * sessions + 2)


class Session:
    """One that is logged in; it begins on either worker."""

    def __init__(self, port, number, domain="example.org"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(
            socket.create_connection(("127.0.0.1", port), 30))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._hear()  # the greeting
        self._ask(f"LOGIN user{number}@{domain} secret")

    def noop(self):
        """In milliseconds."""
        since = time.monotonic()
        self._ask("NOOP")
        return (time.monotonic() - since) * 1000

    def _ask(self, command):
        self.socket.sendall(f"a {command}\r\n".encode())
        answer = self._hear()
        if b"a OK" not in answer:
            raise RuntimeError(f"{command}: {answer}")

    def _hear(self):
        heard = b""
        while not heard.endswith(b"\r\n"):
            more = self.socket.recv(4096)
            if not more:
                raise RuntimeError(f"a session ended: {heard}")
            heard += more
        return heard


def row(times):
    return ", ".join(f"{one:.1f}" for one in sorted(times))


def come_first(*pids):
    """What else the machine does is not measured, as far as it gives way to
    these; without the right to it, it is. A session's programs are weighed
    together before they are one by one (autogroup)."""
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as group:
            group.write("-20")
    except OSError:
        pass  # kernels have it or not
    try:
        for pid in pids:
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.setpriority(os.PRIO_PROCESS, int(thread), -20)
    except PermissionError:
        print("   without the right to come before other programs: what they "
              "do is part of each pause")


def longest_noop(sessions, is_over):
    """In milliseconds, of all until then."""
    longest = 0
    while not is_over():
        longest = max(longest, *(session.noop() for session in sessions))
        time.sleep(PAUSE_GAP_SECONDS)
    return longest
