"""The kinds of work that proxies are measured at. A station is one proxy that
stands ready for one kind; a batch at it gives a dictionary of figures."""

import contextlib
import os
import time

import lab as labs
from measure import Strangers

REST_SECONDS = 5
LEAD_SECONDS = 0.3
BYTES_SLACK = 1.01
LOGINS_NICE = 19
LATE_SLACK = 1.25
MEGABYTE = 1e6
GIGABYTE = 1e9
MICROSECOND = 1e-6
MILLISECOND = 1e-3


class Measure:
    """One figure of a batch, and how it is printed."""

    def __init__(self, key, title, digits):
        self.key = key
        self.title = title
        self.digits = digits

    def text(self, number):
        return f"{number:.{self.digits}f}"


class Entry:
    """Who takes part in a kind of work, and under which name."""

    def __init__(self, proxy_class, backend_kind, label=None, is_quiet=False):
        self.proxy_class = proxy_class
        self.backend_kind = backend_kind
        self.label = label or proxy_class.name
        self.is_quiet = is_quiet


class Work:
    """Base of all kinds: one proxy on all cores, one load generator."""

    backend_kind = "plain"

    def __init__(self, name, about):
        self.name = name
        self.about = about

    def entries(self, subject, peers):
        """What is measured first, then what it is compared with."""
        found = [Entry(subject, self.backend_kind)]
        for peer in peers:
            if self.suits(peer):
                found.append(Entry(peer, self.backend_kind))
        return found

    def suits(self, peer):
        if self.backend_kind not in peer.backend_kinds:
            return False
        return peer.differs_in is None or self.name in peer.differs_in

    def proxy_cores(self):
        return os.sched_getaffinity(0)

    def load_cores(self):
        return os.sched_getaffinity(0)

    def station(self, lab, entry, backend):
        return Station(lab, self, entry, backend)

    def load_words(self):
        raise NotImplementedError

    def figures(self, result, cpu):
        """What a batch gives; `cpu` is the proxy's, in seconds."""
        raise NotImplementedError

    def complaints(self, result, backend):
        """What does not agree between the client and the backend."""
        raise NotImplementedError


class Login(Work):
    """Connect, TLS, LOGIN, LOGOUT, 64 at a time."""

    measures = (Measure("cpu", "CPU ms/login", 3),
                Measure("rate", "logins/s", 0))

    def __init__(self, name, about, count, *more):
        super().__init__(name, about)
        self.count = count
        self.more = more

    def load_words(self):
        return ["login", "--parallel", "64", "--count", str(self.count),
                *self.more]

    def figures(self, result, cpu):
        return {"cpu": cpu / result["done"] / MILLISECOND,
                "rate": result["done"] / result["seconds"],
                "p50": result["p50"], "p99": result["p99"],
                "resumed": result["resumed"] / result["done"]}

    def complaints(self, result, backend):
        found = expect("logins that clients did", self.count, result["done"])
        found += expect("logins that the backend saw", result["done"],
                        backend["logins"])
        if "--resume" not in self.more:
            found += expect("resumed handshakes", 0, result["resumed"])
        return found


class Stream(Work):
    """Messages of a checked pattern over 8 connections."""

    measures = (Measure("cpu", "CPU s/GB", 3), Measure("rate", "MB/s", 0))

    def __init__(self, name, about, size, direction, backend_kind="plain"):
        super().__init__(name, about)
        self.size = size
        self.direction = direction
        self.backend_kind = backend_kind

    def entries(self, subject, peers):
        found = super().entries(subject, peers)
        if self.backend_kind == "tls":
            found.insert(1, Entry(subject, "plain",
                                  f"{subject.name}, plain backend"))
        return found

    def load_words(self):
        return ["stream", "--parallel", "8", "--direction", self.direction,
                "--bytes", str(self.size)]

    def figures(self, result, cpu):
        return {"cpu": cpu / (result["bytes"] / GIGABYTE),
                "rate": result["bytes"] / MEGABYTE / result["seconds"]}

    def complaints(self, result, backend):
        return (expect("bytes that clients moved", self.size,
                       result["bytes"]) +
                self.compare_bytes(result["bytes"], backend) +
                expect("wrong bytes", 0, result["wrong"]))

    def compare_bytes(self, wanted, backend):
        """The backend counts commands and answers too."""
        key, verb = (("out", "sent") if self.direction == "fetch"
                     else ("in", "got"))
        if wanted <= backend[key] <= wanted * BYTES_SLACK:
            return []
        return [f"the backend {verb} {backend[key]} bytes for {wanted}"]


class Latency(Work):
    """NOOPs, one after the other on each connection."""

    measures = (Measure("p50", "p50 us", 0), Measure("p99", "p99 us", 0),
                Measure("cpu", "CPU us/NOOP", 1))

    def __init__(self, name, about, parallel, count):
        super().__init__(name, about)
        self.parallel = parallel
        self.count = count

    def load_words(self):
        return ["latency", "--parallel", str(self.parallel),
                "--count", str(self.count)]

    def figures(self, result, cpu):
        return {"p50": result["p50"], "p99": result["p99"],
                "cpu": cpu / result["done"] / MICROSECOND}

    def complaints(self, result, backend):
        del backend
        return expect("NOOPs that clients did", self.count, result["done"])


class LatencyUnderLogins(Latency):
    """The same while others log in, at half the rate that saturates. The
    proxy has one core, the clients and the backend have the others."""

    measures = Latency.measures[:2]
    saturating_count = 2000
    login_seconds = 4  # of each batch, from a little before the NOOPs

    def entries(self, subject, peers):
        found = super().entries(subject, peers)
        found.insert(1, Entry(subject, "plain", f"{subject.name}, no logins",
                              is_quiet=True))
        return found

    def proxy_cores(self):
        return {min(os.sched_getaffinity(0))}

    def load_cores(self):
        return os.sched_getaffinity(0) - self.proxy_cores() or (
            self.proxy_cores())  # there is but one

    def figures(self, result, cpu):
        return {**super().figures(result, cpu),
                "login_rate": result.get("login_rate", 0)}

    def complaints(self, result, backend):
        found = super().complaints(result, backend)
        found += expect("logins that the backend saw",
                        result.get("logins", 0), backend["logins"])
        if result.get("seconds_after", 1) < LEAD_SECONDS / 10:
            found.append("the logins ended before the NOOPs")
        seconds = result.get("login_seconds", 0)
        if seconds > self.login_seconds * LATE_SLACK:
            found.append(f"the logins took {seconds:.1f} s, not "
                         f"{self.login_seconds}")
        return found

    def station(self, lab, entry, backend):
        if entry.is_quiet:
            return Station(lab, self, entry, backend)
        return BusyStation(lab, self, entry, backend)


class Station:
    """One proxy with its load generator, ready for batches."""

    def __init__(self, lab, work, entry, backend):
        self.lab = lab
        self.work = work
        self.entry = entry
        self.backend = backend
        self.proxy = self.load = self.held_at_rest = None
        self.started = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.start(stack)
            self.started = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.started.close()

    def start(self, stack):
        """What is entered into the stack ends with the station."""
        kind = self.entry.backend_kind
        self.proxy = stack.enter_context(self.entry.proxy_class(
            self.lab, kind, self.backend.ports[kind],
            cores=self.work.proxy_cores()))
        self.load = stack.enter_context(
            self.start_load(*self.work.load_words()))

    def start_load(self, *words):
        with pinned_to(self.work.load_cores()):
            load = labs.Talker(self.lab.program("bench_load"), *words,
                               "--connect", f"127.0.0.1:{self.proxy.port}",
                               *self.proxy.load_words)
        if load.hear() != ["ready"]:
            load.stop()
            raise RuntimeError(f"bench_load {' '.join(words)}: not ready")
        return load

    def warm_up(self):
        """A first batch that does not count: some start helpers then."""
        self.run_load()
        self.proxy.tree.wait_until_steady(REST_SECONDS)
        self.held_at_rest = self.proxy.tree.held()

    def batch(self):
        """(figures, complaints) of one batch."""
        self.rest()
        cpu = self.proxy.tree.cpu_seconds()
        counts = self.backend.ask_counts()
        logged = self.proxy.logged_sessions()
        strangers = Strangers()
        result = self.run_load()
        stranger_share = strangers.share()
        complaints = self.rest()
        cpu = self.proxy.tree.cpu_seconds() - cpu
        counts = difference(self.backend.ask_counts(), counts)
        complaints += self.work.complaints(result, counts)
        complaints += expect("failures", 0, result["failed"])
        complaints += self.compare_log(logged, counts["accepted"])
        if result.get("done", result.get("bytes")) == 0:
            raise RuntimeError(f"{self.work.name}, {self.entry.label}: "
                               f"nothing was done; {'; '.join(complaints)}; "
                               f"{self.proxy.log_end()}")
        return {**self.work.figures(result, cpu),
                "strangers": stranger_share}, complaints

    def run_load(self):
        self.load.tell("next")
        return read_result(self.load.hear())

    def rest(self):
        """Waits until what a batch began has ended."""
        tree = self.proxy.tree
        if tree.wait_for_rest(self.held_at_rest, REST_SECONDS):
            return []
        return [f"the proxy holds {held_text(tree.held())}, before the batch "
                f"{held_text(self.held_at_rest)}"]

    def compare_log(self, logged_before, accepted):
        """Lines are written by a thread of its own, which may need a
        moment."""
        if logged_before is None:
            return []
        wanted = logged_before + accepted
        deadline = time.monotonic() + REST_SECONDS
        while (self.proxy.logged_sessions() < wanted and
               time.monotonic() < deadline):
            time.sleep(0.02)
        return expect("ends of sessions in the log", wanted,
                      self.proxy.logged_sessions())


class BusyStation(Station):
    """Its proxy serves logins while the NOOPs go through."""

    login_rate = 0
    logins = None

    def start(self, stack):
        super().start(stack)
        self.login_rate = self.find_saturation() // 2
        self.logins = stack.enter_context(self.start_load(
            "login", "--parallel", "256", "--rate", str(self.login_rate),
            "--count", str(self.login_rate * self.work.login_seconds)))
        # Who measures must not wait for who logs in, on the cores they share.
        os.setpriority(os.PRIO_PROCESS, self.logins.pid, LOGINS_NICE)

    def find_saturation(self):
        rates = []
        with self.start_load("login", "--parallel", "64", "--count",
                             str(self.work.saturating_count)) as load:
            for _ in range(3):
                load.tell("next")
                result = read_result(load.hear())
                rates.append(result["done"] / result["seconds"])
        return int(sorted(rates)[1])

    def run_load(self):
        """The NOOPs must lie within the time of the logins."""
        self.logins.tell("next")
        time.sleep(LEAD_SECONDS)
        result = super().run_load()
        ended = time.monotonic()
        logins = read_result(self.logins.hear())
        result["logins"] = logins["done"]
        result["failed"] += logins["failed"]
        result["login_rate"] = logins["done"] / logins["seconds"]
        result["login_seconds"] = logins["seconds"]
        result["seconds_after"] = time.monotonic() - ended
        return result


@contextlib.contextmanager
def pinned_to(cores):
    """Whoever is started within has these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def read_result(words):
    """A dictionary from a line of keys and values."""
    return {words[i]: read_value(words[i + 1])
            for i in range(0, len(words) - 1, 2)}


def read_value(word):
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return word


def held_text(held):
    processes, sockets = held
    return f"{sockets} sockets in {processes} processes"


def difference(after, before):
    return {key: after[key] - before[key] for key in after}


def expect(what, wanted, found):
    """A complaint, or none."""
    return [] if wanted == found else [f"{what}: {found}, not {wanted}"]


def all_work(scale=1.0):
    """Every kind, in the order of the table."""
    def scaled(number):
        return max(1, int(number * scale))

    return [
        Login("login", "full handshakes, TLS 1.3", scaled(2000)),
        Login("login-resumed", "resumed handshakes, TLS 1.3", scaled(2000),
              "--resume"),
        Login("login-tls12", "full handshakes, TLS 1.2", scaled(2000),
              "--tls-max", "1.2"),
        Stream("fetch", "messages to clients", scaled(1 << 30), "fetch"),
        Stream("append", "messages from clients", scaled(1 << 30), "append"),
        Stream("fetch-tls", "messages to clients, TLS backend",
               scaled(1 << 30), "fetch", "tls"),
        Latency("noop-1", "NOOPs, 1 connection", 1, scaled(10000)),
        Latency("noop-16", "NOOPs, 16 connections", 16, scaled(40000)),
        LatencyUnderLogins("noop-logins", "NOOPs, 16 connections, under "
                           "logins", 16, scaled(10000)),
    ]
