"""Many people at work at once on real servers: they log in, select, fetch,
append, search, idle, and log out, for as long as they are told to."""

import random
import re
import threading
import time

from .wire import WireClient

MESSAGE = (b"From: crowd@example.org\r\nSubject: more\r\n\r\n" +
           b"One line of a message that somebody left here.\r\n" * 20)


class Person:
    """One connection at a time. `home` is the name of the server that must
    answer (None: any, but the same for as long as a session lasts); one who
    `stays` logs in once and out at the end."""

    def __init__(self, address, context, user, password, home=None,
                 stays=False):
        self.address, self.context = address, context
        self.user, self.password = user, password
        self.home, self.stays = home, stays
        self.random = random.Random(user)
        self.sessions = self.commands = 0
        self.homes, self.certificates = set(), set()
        self.failure = None

    def live(self, stop):
        """Works until `stop` is set; what goes wrong ends in `failure`."""
        try:
            while True:
                with WireClient(self.address, timeout=45) as client:
                    self._session(client, stop)
                if stop.is_set():
                    return
        except Exception as failure:
            self.failure = f"{self.user}: {failure!r}"

    def _session(self, client, stop):
        client.handshake(self.context)
        self.certificates.add(client.tls.getpeercert()["serialNumber"])
        assert client.read_line().startswith(b"* OK")
        answer = client.login(self.user, self.password)
        if self.home is None and answer.startswith(b"NO [UNAVAILABLE]"):
            # Moved by a reload in mid-login, and so told to try again. Who
            # stays at one server never hears of it.
            time.sleep(self.random.random() * 0.2)
            return
        assert answer.startswith(b"OK"), answer
        self.sessions += 1
        self._do(client, "SELECT INBOX")
        here = self._whose(client)
        assert here == (self.home or here), f"{here} is not {self.home}"
        self.homes.add(here)
        while not stop.is_set():
            time.sleep(self.random.random() * 0.2)
            self.random.choice(WORK)(self, client)
            assert self._whose(client) == here
            if not self.stays and self.random.random() < 0.2:
                break
        self._do(client, "LOGOUT")
        client.read_to_end()
        assert client.saw_close_notify, client.ended

    def _do(self, client, text):
        lines = client.command(text)
        assert lines[-1].startswith(b"OK"), (text, lines)
        self.commands += 1
        return b"".join(lines)

    def _whose(self, client):
        """The server's name, by the subject of the first message."""
        text = self._do(client, "FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
        found = re.search(rb"Subject: ([-\w]+): hello (\S+)\r\n", text)
        assert found and found.group(2).decode() == self.user, text
        return found.group(1).decode()

    def _select(self, client):
        assert b" EXISTS" in self._do(client, "SELECT INBOX")

    def _fetch(self, client):
        assert b"A message." in self._do(client, "FETCH 1 BODY[]")

    def _append(self, client):
        client.send(b"w APPEND INBOX {%d}\r\n" % len(MESSAGE))
        while not client.read_line().startswith(b"+"):
            pass  # news of what others did
        client.send(MESSAGE + b"\r\n")
        assert client.read_reply("w")[-1].startswith(b"w OK")

    def _search(self, client):
        text = self._do(client, "SEARCH SUBJECT hello")
        assert b"* SEARCH 1" in text, text

    def _idle(self, client):
        client.send(b"i IDLE\r\n")
        while not client.read_line().startswith(b"+"):
            pass
        time.sleep(self.random.random() * 0.5)
        client.send(b"DONE\r\n")
        assert client.read_reply("i")[-1].startswith(b"i OK")

    def _noop(self, client):
        self._do(client, "NOOP")


WORK = (Person._select, Person._fetch, Person._append, Person._search,
        Person._idle, Person._noop)


class Crowd:
    """All of them at once, a thread each, while the `with` block runs."""

    def __init__(self, people):
        self.people = people
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=person.live, args=(self._stop,))
            for person in people]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_all_in(self, timeout):
        """Waits until each has logged in at least once."""
        deadline = time.monotonic() + timeout
        while not all(person.sessions for person in self.people):
            assert not self.failures(), self.failures()
            assert time.monotonic() < deadline, "some do not get in"
            time.sleep(0.05)

    def failures(self):
        """What went wrong so far."""
        return [person.failure for person in self.people if person.failure]
