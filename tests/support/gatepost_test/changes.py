"""What an operator may change without a user noticing, done under a steady
load: each method is one kind of change, and returns a Row of figures."""

import collections
import contextlib
import json
import os
import shutil
import subprocess
import time

from . import orphans
from .gatepost import environment
from .steady import Client, Ended, Idlers, Knocks, Load, Logins

SERVER_NAMES = ("imap.example.test", "localhost")
# After a change, before the next: what it broke is seen in them.
SETTLE_LOGINS = 10
# For each login so many connections that are only greeted.
KNOCKS = 5
# Beyond its own time. Not much, or logins that move their users will have
# ended what it forgot.
MAINTENANCE_SECONDS = 5
PREDECESSOR_SECONDS = 30
# Reloads between two changes of the listeners, each of which may wait until a
# queue was accepted empty.
LISTENER_TURN = 50

Row = collections.namedtuple(
    "Row", "what times seconds greeted logins failed lost closed p50 p99 "
    "longest")


def routes_for(shards):
    """All users at all servers, in front of which is no TLS, TLS from the
    start or STARTTLS. Half of the users are where a hash says, half where
    their first session came to be."""
    kinds = (("none", "plain_port"), ("implicit", "tls_port"),
             ("starttls", "plain_port"))
    backends = {
        shard.name: {"host": shard.host, "port": getattr(shard, port),
                     "tls": tls, "tls_name": "localhost", "ca": "ca.pem"}
        for shard, (tls, port) in zip(shards, kinds * len(shards))}
    for entry in backends.values():
        if entry["tls"] == "none":
            del entry["tls_name"], entry["ca"]
    names = list(backends)
    return {"backends": backends,
            "pools": {"by-hash": {"backends": names, "when_down": "next"},
                      "by-turns": {"backends": names, "when_down": "next",
                                   "balance": "round-robin"}},
            "domains": {"hash.test": "by-hash", "turns.test": "by-turns"}}


def users_called(name, count):
    """Half of them in either domain."""
    return [f"{name}{number}@{('hash', 'turns')[number % 2]}.test"
            for number in range(count)]


class Changes:
    """A Gatepost under load, and its operator; a context manager, at whose
    end the load has stopped. `server` is a Gatepost with an admin socket,
    started with `routes`; `spare` is one listener more, which comes and
    goes."""

    def __init__(self, server, routes, authority, context, sessions, rate,
                 spare):
        self.server, self.routes, self.authority = server, routes, authority
        self.spare = spare
        self.rows = []
        self.wrong = []  # what was seen that is no mishap of a user's
        self._turn = 0
        self.load = Load(server.address(), context)
        self.idlers = Idlers(self.load)
        self.users = users_called("idler", sessions)
        self.goers = users_called("goer", max(40, int(rate) * 8))
        # Who has a session logs in beside it, and so do others.
        both = [user for pair in zip(self.users, self.goers) for user in pair]
        self.logins = Logins(self.load, both + self.goers[sessions:], rate)
        self.knocks = Knocks(self.load, server.address("starttls"),
                             rate * KNOCKS)

    def __enter__(self):
        try:
            self.idlers.open(self.users)
            self.logins.__enter__()
            self.knocks.__enter__()
        except BaseException:
            self.idlers.stop()
            raise
        return self

    def __exit__(self, *_):
        self.knocks.__exit__()
        self.logins.__exit__()
        self.idlers.stop()

    # -- the kinds of change ---------------------------------------------

    def rest(self, logins):
        """Nothing at all, for so many logins: what the others stand beside."""
        with self._row("no change", 1):
            self.logins.wait(logins)

    def reload(self, times):
        """Reloads of a table and of settings that are never the same."""
        with self._row("reload", times):
            for _ in range(times):
                self._turn += 1
                self._write_another()
                self.command("reload")
            self._settle()

    def renew(self, times):
        """New certificates under the old names, which the next login sees."""
        with self._row("certificate renewal", times):
            for _ in range(times):
                leaf = self.authority.issue(*SERVER_NAMES)
                leaf.save(self.server.folder, "tls")
                self.command("reload")
                self._expect(self._seen_certificate() == leaf.der,
                             "a login saw the old certificate")
            self._settle()

    def drain(self):
        """Each backend is drained and made ready: nobody new comes to it
        meanwhile, and who is there stays."""
        with self._row("drain and ready", len(self.routes["backends"])):
            for name in self.routes["backends"]:
                self.command("drain", name)
                since = time.monotonic()
                self._settle()
                self._judge_drained(name, since)
                self.command("ready", name)
            self._settle()

    def maintain(self):
        """Each backend is put into maintenance, which ends its sessions and
        no others, and made ready; who was ended comes back."""
        with self._row("maintenance", len(self.routes["backends"])):
            for name in self.routes["backends"]:
                self.idlers.allow_end_at(name)
                self.command("maintenance", name)
                self._wait_left(name)
                self.idlers.allow_end_at()
                self._return()
                self.command("ready", name)
            self._settle()

    def upgrade(self, times):
        """Another file is renamed over the binary, which takes over, after
        one that could not. A part of the sessions comes again each time, so
        that each process has some; all of them are known to the last one."""
        orphans.adopt()
        with self._row("upgrade in place", times):
            for turn in range(times):
                self._be_refused()
                self._replace_binary()
                answer = json.loads(self.command("upgrade", "--json"))
                self.server.follow(answer["successor"])
                self._come_again(self.users[turn::times + 1])
                self._settle()
            self._expect(len(self.status()["predecessors"]) == times,
                         "a predecessor is not known, or has ended")
            self._judge_listing()

    def leave(self):
        """All sessions end by LOGOUT, while logins go on."""
        with self._row("all leave", 1):
            self.idlers.close(self.users)
            self._settle()
            self._wait_alone()

    # -- what is seen ----------------------------------------------------

    def command(self, *words):
        """What `gatepost WORDS` printed."""
        done = self._run(*words)
        self._expect(done.returncode == 0,
                     f"gatepost {' '.join(words)}: {done.stderr}")
        return done.stdout

    def status(self):
        """What `gatepost status` knows."""
        return json.loads(self.command("status", "--json"))

    def faults(self):
        """All that should not have been, as lines."""
        return self.wrong + [f"{one.at} s, {one.phase}: {one.what}, "
                             f"{one.user}: {one.text}"
                             for one in self.load.mishaps]

    def _run(self, *words):
        path = os.path.join(self.server.folder,
                            self.server.settings["admin"]["socket"])
        return subprocess.run(
            [self.server.binary, *words, "--socket", path],
            capture_output=True, text=True, timeout=120, check=False,
            env=environment({}))

    def _expect(self, is_so, otherwise):
        if not is_so:
            self.wrong.append(f"{self.load.phase}: {otherwise}")

    @contextlib.contextmanager
    def _row(self, what, times):
        """Counts what happens meanwhile. At its end each session is asked
        whether it is there still."""
        self.load.phase = what
        began, mark = time.monotonic(), len(self.logins.done)
        failed = self.logins.failed + self.knocks.failed
        greeted = self.knocks.count
        lost, closed = self.idlers.lost, self.idlers.closed
        yield
        self.idlers.wake_all()
        done = self.logins.done[mark:]
        self._judge_together(done)
        took = sorted(one.took * 1000 for one in done) or [0]
        self.rows.append(Row(
            what, times, time.monotonic() - began,
            self.knocks.count - greeted, len(done),
            self.logins.failed + self.knocks.failed - failed, self.idlers.lost - lost,
            self.idlers.closed - closed, took[len(took) // 2],
            took[len(took) * 99 // 100], took[-1]))

    def _settle(self):
        self.logins.wait(SETTLE_LOGINS)

    # -- details of the changes ------------------------------------------

    def _write_another(self):
        settings = dict(self.server.settings)
        settings["limits"] = {"bad_commands": 5 + self._turn % 2}
        if self._turn // LISTENER_TURN % 2:
            settings["listeners"] = [*settings["listeners"], self.spare]
        self.server.write_settings(settings)
        self.server.write_routes(dict(self.routes, users={
            f"nobody{self._turn}@hash.test": "by-turns"}))

    def _seen_certificate(self):
        client = Client(self.load.address, self.load.context,
                        "seer@hash.test", "127.0.0.1")
        try:
            client.log_in()
            client.leave()
            return client.socket.getpeercert(True)
        except (Ended, OSError) as fault:
            self.load.tell("failed login", client.user, fault)
            return None
        finally:
            client.close()

    def _judge_together(self, logins):
        """Whoever has a session comes to where that is."""
        for one in logins:
            idler = self.idlers.clients.get(one.user)
            if idler and idler.began + idler.took < one.began:
                self._expect(idler.home == one.home,
                             f"{one.user} is at {idler.home}, and came to "
                             f"{one.home}")

    def _judge_drained(self, name, since):
        for one in self.logins.done:
            if one.began > since and one.home == name:
                self._expect(self.idlers.home_of(one.user) == name,
                             f"{one.user} came to {name}, which was drained")

    def _wait_left(self, name):
        deadline = (time.monotonic() + MAINTENANCE_SECONDS +
                    self.server.settings["timeouts"]["drain"])
        while self.idlers.homes()[name]:
            if time.monotonic() > deadline:
                self._expect(False, f"sessions stay at {name}")
                return
            time.sleep(0.05)

    def _be_refused(self):
        self.server.write_settings(dict(self.server.settings, typo=1))
        done = self._run("upgrade")
        self._expect(done.returncode == 1 and "$.typo" in done.stdout,
                     f"an upgrade with a typo was not refused: {done}")
        self.server.write_settings(self.server.settings)

    def _replace_binary(self):
        shutil.copy(self.server.binary, self.server.binary + ".new")
        os.replace(self.server.binary + ".new", self.server.binary)

    def _come_again(self, users):
        self.idlers.close(users)
        self.idlers.open(users)

    def _judge_listing(self):
        listed = {json.loads(line)["user"] for line in
                  self.command("sessions", "--json").splitlines()}
        self._expect(set(self.idlers.clients) <= listed,
                     "sessions of predecessors are not listed")

    def _wait_alone(self):
        deadline = time.monotonic() + PREDECESSOR_SECONDS
        while self.status()["predecessors"]:
            if time.monotonic() > deadline:
                self._expect(False, "a predecessor without sessions stays")
                return
            time.sleep(0.05)

    def _return(self):
        here = set(self.idlers.clients)
        self.idlers.open([user for user in self.users if user not in here])
