"""Many idle sessions in one proxy: what each costs it and the kernel, what it
does while all are quiet, and whether a login then costs more than before they
came."""

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
REST_SECONDS = 120
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
    while it is there, and after it has gone. The first time it is weighed."""

    def __init__(self, lab, proxy_class, kind, options):
        self.lab = lab
        self.proxy_class = proxy_class
        self.kind = kind
        self.options = options
        self.alone = []  # seconds of CPU per login, a list for each round
        self.beside = []
        self.quiet = []  # of a core
        self.pss = []  # (sessions, bytes)
        self.kernel = None  # a KernelSlope
        self.held = None  # as clients, proxy and backend say
        self.warnings = []

    def measure(self):
        with labs.Backend(self.lab) as backend, self.proxy_class(
                self.lab, self.kind, backend.ports[self.kind]) as proxy, \
                self._start_logins(proxy) as logins:
            self._time_logins(proxy, logins)  # the first ones make tables
            for _ in range(self.options.rounds):
                self.alone.append(self._time_logins(proxy, logins))
                self._hold(backend, proxy, logins)
            self.alone.append(self._time_logins(proxy, logins))

    def _hold(self, backend, proxy, logins):
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
            self.beside.append(self._time_logins(proxy, logins))
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

    def _start_logins(self, proxy):
        load = labs.Talker(
            self.lab.program("bench_load"), "login",
            "--connect", f"127.0.0.1:{proxy.port}",
            "--parallel", str(LOGIN_SLOTS), "--tls-max", self.options.tls_max,
            "--sources", str(sources_for(self.options.sessions)),
            "--count", str(self.options.logins))
        load.hear()  # "ready"
        return load

    def _time_logins(self, proxy, logins):
        return [self._time_batch(proxy.tree, logins)
                for _ in range(self.options.batches)]

    def _time_batch(self, tree, logins):
        at_rest = tree.held()
        before = tree.cpu_seconds()
        logins.tell("next")
        words = logins.hear()
        done = int(words[words.index("done") + 1])
        if done != self.options.logins:
            self.warnings.append(f"{done} of {self.options.logins} logins "
                                 "were done")
        if not tree.wait_for_rest(at_rest, REST_SECONDS):
            self.warnings.append("sessions of logins stay")
        return (tree.cpu_seconds() - before) / max(1, done)

    def _compare(self, clients_say, proxy_says, backend_says):
        self.held = f"{clients_say}/{proxy_says:g}/{backend_says}"
        if not (self.options.sessions == clients_say == proxy_says ==
                backend_says):
            self.warnings.append(
                f"asked for {self.options.sessions} sessions, held (client/"
                f"proxy/backend) {self.held}")

    def login_alone(self):
        return statistics.median(sum(self.alone, []))

    def login_beside(self):
        return statistics.median(sum(self.beside, []))

    def ratios(self):
        """One of each round, to what was before it and after it."""
        return [statistics.median(held) / statistics.median(
                    self.alone[i] + self.alone[i + 1])
                for i, held in enumerate(self.beside)]


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
          f"({min(ratios):.3f}-{max(ratios):.3f})")
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
