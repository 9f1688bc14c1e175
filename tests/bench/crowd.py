"""Many idle sessions in one proxy: what each costs it and the kernel, what it
does while all are quiet, and whether a login then costs more than before they
came."""

import contextlib
import math
import os
import resource
import statistics
import time

import kernel
import lab as labs
from measure import ProcessTree

LARGE = 250000  # what is computed where it was not held
PORTS = 28232  # of one source address to one backend, by Linux's defaults
SESSIONS_PER_SOURCE = 2500
SOURCES_MAX = 16
LOGIN_SLOTS = 8
REST_SECONDS = 900  # an emulated machine needs minutes to close them
# Descriptors that a proxy needs beside its sessions, by core and at all.
SPARE_PER_CORE = 32
SPARE = 256


def as_many_as_fit(wanted):
    """A proxy has two sockets for each session."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(wanted, (hard - SPARE - SPARE_PER_CORE * os.cpu_count()) // 2)


def sources_for(sessions):
    """How many addresses they come from, and go on from to the backend."""
    return min(SOURCES_MAX, max(8, math.ceil(sessions / SESSIONS_PER_SOURCE)))


def steps_to(sessions):
    return [max(1, sessions * part // 8) for part in (1, 2, 4, 6, 8)]


def with_sources(proxy_class, sessions):
    """One address has too few ports towards one backend for a crowd."""
    if proxy_class.name != "gatepost":
        return proxy_class

    class FromSources(proxy_class):
        def settings(self):
            addresses = [f"127.0.0.{1 + i}"
                         for i in range(sources_for(sessions))]
            return {**super().settings(),
                    "upstream": {"source_addresses": addresses}}

    return FromSources


class Crowd:
    """Comes and goes once in each round; logins are timed before it comes,
    while it is there, and after it has gone. While it is there they are timed
    in turns with those of a twin that holds nobody, since what else the
    machine does changes between rounds. The first time it is weighed."""

    def __init__(self, lab, proxy_class, kind, options):
        self.lab = lab
        self.proxy_class = proxy_class
        self.kind = kind
        self.options = options
        self.alone = []  # seconds of CPU per login, a list for each round
        self.beside = []
        self.to_twin = []  # ratios of batches that followed each other
        self.quiet = []  # of a core
        self.pss = []  # (sessions, bytes)
        self.kernel = None  # a KernelSlope
        self.held = None  # as clients, proxy and backend say
        self.warnings = []

    def measure(self):
        with contextlib.ExitStack() as stack:
            backend = stack.enter_context(labs.Backend(self.lab))
            crowded, twin = [stack.enter_context(
                Counter(self.lab, self.proxy_class, self.kind, backend,
                        self.options)) for _ in range(2)]
            crowded.time_batches()  # the first ones make tables
            twin.time_batches()
            for _ in range(self.options.rounds):
                self.alone.append(crowded.time_batches())
                self._hold(backend, crowded, twin)
            self.alone.append(crowded.time_batches())
            self.warnings += crowded.warnings + twin.warnings

    def _hold(self, backend, crowded, twin):
        proxy = crowded.proxy
        is_first = self.kernel is None
        at_rest = proxy.tree.held()
        backend_rest = ProcessTree(backend.pid).socket_count()
        kernel.wait_for_rest()
        before = kernel.sample()
        with self._start_load(proxy, is_first) as load:
            if is_first:
                self._weigh_steps(proxy.tree, load)
                self.kernel = kernel.KernelSlope(before, kernel.sample(),
                                                 self.options.sessions)
            else:
                load.hear()
                time.sleep(self.options.settle)
            self._watch_quiet(proxy.tree)
            self._compare(load.ask_counts()["open"],
                          (proxy.tree.socket_count() - at_rest[1]) / 2,
                          ProcessTree(backend.pid).socket_count() -
                          backend_rest)
            self._time_in_turns(crowded, twin)
        if not proxy.tree.wait_for_rest(at_rest, REST_SECONDS):
            self.warnings.append("sessions whose clients left stay")
        time.sleep(self.options.settle)

    def _start_load(self, proxy, in_steps):
        steps = self.options.steps if in_steps else [self.options.sessions]
        return labs.IdleLoad(
            self.lab, proxy, steps,
            "--sources", str(sources_for(self.options.sessions)),
            "--parallel", str(self.options.parallel),
            "--tls-max", self.options.tls_max)

    def _weigh_steps(self, tree, load):
        for step in self.options.steps:
            load.hear()
            time.sleep(self.options.settle)
            self.pss.append((step, tree.pss_bytes()))
            if step != self.options.steps[-1]:
                load.tell("next")

    def pss_slope(self):
        return slope_of(self.pss[0], self.pss[-1])

    def pss_steps(self):
        return [slope_of(low, high)
                for low, high in zip(self.pss, self.pss[1:])]

    def _watch_quiet(self, tree):
        before = tree.cpu_seconds()
        started = time.monotonic()
        time.sleep(self.options.quiet)
        self.quiet.append((tree.cpu_seconds() - before) /
                          (time.monotonic() - started))

    def _time_in_turns(self, crowded, twin):
        times = [(crowded.time_batch(), twin.time_batch())
                 for _ in range(self.options.batches)]
        self.beside.append([mine for mine, _ in times])
        self.to_twin += [mine / other for mine, other in times]

    def _compare(self, clients_say, proxy_says, backend_says):
        self.held = f"{clients_say}/{proxy_says:g}/{backend_says}"
        if not (self.options.sessions == clients_say == proxy_says ==
                backend_says):
            self.warnings.append(
                f"asked for {self.options.sessions} sessions, held (client/"
                f"proxy/backend) {self.held}")

    def facts(self):
        return {"proxy": self.proxy_class.name, "backend": self.kind,
                "warnings": self.warnings, "held": self.held,
                "pss": self.pss, "kernel": vars(self.kernel),
                "quiet": self.quiet, "login_alone": self.alone,
                "login_beside": self.beside, "ratios": self.ratios(),
                "ratios_to_twin": self.to_twin}

    def login_alone(self):
        return statistics.median(sum(self.alone, []))

    def login_beside(self):
        return statistics.median(sum(self.beside, []))

    def ratios(self):
        """One of each round, to what was before it and after it."""
        return [statistics.median(held) / statistics.median(
                    self.alone[i] + self.alone[i + 1])
                for i, held in enumerate(self.beside)]


class Counter:
    """A proxy with a load of logins: what CPU each login costs it."""

    def __init__(self, lab, proxy_class, kind, backend, options):
        self.options = options
        self.warnings = []
        self.proxy = proxy_class(lab, kind, backend.ports[kind])
        self.load = labs.Talker(
            lab.program("bench_load"), "login",
            "--connect", f"127.0.0.1:{self.proxy.port}",
            "--parallel", str(LOGIN_SLOTS), "--tls-max", options.tls_max,
            "--sources", str(sources_for(options.sessions)),
            "--count", str(options.logins))
        self.load.hear()  # "ready"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.load.stop()
        self.proxy.stop()

    def time_batches(self):
        return [self.time_batch() for _ in range(self.options.batches)]

    def time_batch(self):
        """Seconds per login."""
        tree = self.proxy.tree
        at_rest = tree.held()
        before = tree.cpu_seconds()
        self.load.tell("next")
        words = self.load.hear()
        done = int(words[words.index("done") + 1])
        if done != self.options.logins:
            self.warnings.append(f"{done} of {self.options.logins} logins "
                                 "were done")
        if not tree.wait_for_rest(at_rest, REST_SECONDS):
            self.warnings.append("sessions of logins stay")
        return (tree.cpu_seconds() - before) / max(1, done)


def slope_of(low, high):
    return (high[1] - low[1]) / (high[0] - low[0])


def print_crowd(crowd, heap, options):
    """`heap` is the Slope of another run, with the shim in it, or None."""
    steps = crowd.pss_steps()
    print(f"{crowd.proxy_class.name}, {crowd.kind} backend, held "
          f"(client/proxy/backend): {crowd.held}")
    print(f"  PSS {crowd.pss_slope():,.0f} bytes per session (steps "
          f"{min(steps):,.0f}-{max(steps):,.0f})" + heap_text(heap))
    print_kernel(crowd.kernel)
    print(f"  all quiet for {options.quiet:g} s: "
          f"{100 * statistics.median(crowd.quiet):.3f} % of a core")
    ratios = crowd.ratios()
    print(f"  CPU of a login: {1e6 * crowd.login_alone():.0f} us with no "
          f"session, {1e6 * crowd.login_beside():.0f} us with "
          f"{options.sessions:,}; ratio {statistics.median(ratios):.3f} "
          f"({min(ratios):.3f}-{max(ratios):.3f}),\n"
          "    and to that of a second process without sessions, in turns, "
          f"{statistics.median(crowd.to_twin):.3f} "
          f"({min(crowd.to_twin):.3f}-{max(crowd.to_twin):.3f})")
    if options.sessions < LARGE:
        print_computed(crowd)
    print(flush=True)


def heap_text(heap):
    if heap is None or heap.heap is None:
        return ""
    return (f"; of malloc's heap {heap.heap:.0f} in {heap.blocks:.1f} "
            "blocks")


def print_kernel(per_session):
    print(f"  kernel {per_session.sockets:,.0f} bytes per session for four "
          f"sockets, {per_session.sockets / 2:,.0f} for the proxy's two (all slabs "
          f"{per_session.slabs:,.0f}, bytes under way {per_session.buffers:,.0f}, "
          f"tables {per_session.vmalloc:,.0f})")
    for name, objects, total in per_session.caches:
        print(f"    {objects:5.2f} {name:<24} {total:>7,.0f}")


def print_computed(crowd):
    gib = 1 << 30
    own = crowd.pss_slope() * LARGE / gib
    theirs = crowd.kernel.sockets / 2 * LARGE / gib
    print(f"  computed, not measured, for {LARGE:,} sessions: {own:.2f} GiB "
          f"in the process, {theirs:.2f} GiB in the kernel for its sockets;\n"
          f"    {2 * LARGE:,} descriptors; "
          f"{math.ceil(LARGE / PORTS)} source addresses towards one backend; "
          f"{crowd.login_alone() * LARGE:.0f} s of a core until all have "
          "logged in")
