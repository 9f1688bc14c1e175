"""A steady load on real servers, and every mishap under it: sessions that
idle for as long as it lasts, and logins at a steady rate beside them."""

import collections
import itertools
import select
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 30
PASSWORD = "secret"
SOURCES = [f"127.0.0.{number}" for number in range(2, 34)]
# Real servers take any user of this password, and say who they are.
ANYBODY = """\
imap_id_send = name {name}
passdb {{
  driver = static
  args = password=secret
}}
"""

Mishap = collections.namedtuple("Mishap", "at phase what user text")
Login = collections.namedtuple("Login", "began took user home")


class Ended(Exception):
    """The connection ended, or the answer was not OK; says what came."""


class Client:
    """One connection over TLS; `home` is the server that took its login,
    which `took` so many seconds from the connect to the OK."""

    def __init__(self, address, context, user, source):
        self.user, self.home, self.took = user, None, None
        self.began = time.monotonic()
        self._unread = self._last = b""
        plug = socket.create_connection(address, PATIENCE, (source, 0))
        try:
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = context.wrap_socket(
                plug, server_hostname="imap.example.test")
        except BaseException:
            plug.close()
            raise

    def log_in(self):
        """Reads the greeting and logs in; `home` is known afterwards."""
        greeting = self._line()
        if not greeting.startswith(b"* OK"):
            raise Ended(f"greeted by {greeting}")
        self.ask(f"LOGIN {self.user} {PASSWORD}")
        self.took = time.monotonic() - self.began

    def find_home(self):
        """Asks the server for its name."""
        answer = b"".join(self.ask("ID NIL"))
        self.home = answer.split(b'"name" "', 1)[1].split(b'"')[0].decode()

    def ask(self, text):
        """The lines of the answer, of which the last is a tagged OK."""
        self.socket.sendall(f"a {text}\r\n".encode())
        return self._answer(text.split()[0])

    def idle(self):
        """Returns once the server has begun to idle."""
        self.socket.sendall(b"a IDLE\r\n")
        while not (line := self._line()).startswith(b"+"):
            if line.startswith(b"a "):
                raise Ended(f"IDLE: {line}")

    def rise(self):
        """Ends the idling."""
        self.socket.sendall(b"DONE\r\n")
        self._answer("DONE")

    def leave(self):
        """LOGOUT, up to the end of the connection."""
        self.ask("LOGOUT")
        if more := self.socket.recv(4096):
            raise Ended(f"after LOGOUT: {more}")

    def hear(self):
        """Takes what has come; raises Ended or OSError at the end."""
        self.socket.setblocking(False)
        try:
            while True:
                if not (more := self.socket.recv(4096)):
                    raise Ended(f"ended, after {self._unread}")
                self._unread = (self._unread + more)[-200:]
        except ssl.SSLWantReadError:
            pass
        finally:
            self.socket.settimeout(PATIENCE)

    def close(self):
        """Without a word."""
        self.socket.close()

    def _answer(self, name):
        lines = [self._line()]
        while not lines[-1].startswith(b"a "):
            lines.append(self._line())
        if not lines[-1].startswith(b"a OK"):
            raise Ended(f"{name}: {lines[-1]}")
        return lines

    def _line(self):
        while b"\n" not in self._unread:
            if not (more := self.socket.recv(4096)):
                raise Ended(f"ended, after {self._last}{self._unread}")
            self._unread += more
        self._last, _, self._unread = self._unread.partition(b"\n")
        return self._last


class Load:
    """What both kinds of clients share: where to, as whom, and what went
    wrong so far."""

    def __init__(self, address, context):
        self.address, self.context = address, context
        self.phase = "start"
        self.mishaps = []
        self._began = time.monotonic()
        self._sources = itertools.cycle(SOURCES)

    def client(self, user):
        """A Client that is logged in, and its home known."""
        client = Client(self.address, self.context, user, next(self._sources))
        try:
            client.log_in()
            client.find_home()
        except BaseException:
            client.close()
            raise
        return client

    def tell(self, what, user, text):
        """Something went wrong, now."""
        self.mishaps.append(Mishap(round(time.monotonic() - self._began, 3),
                                   self.phase, what, user, str(text)))


class Idlers:
    """Sessions that idle; one that ends is lost, unless it may."""

    def __init__(self, load):
        self.load = load
        self.clients = {}  # by user
        self.closed = 0  # those that might end, and did
        self.lost = 0
        self._by_descriptor = {}
        self._allowed = set()
        self._poll = select.epoll()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def open(self, users, at_a_time=8):
        """A session for each of the users; those that fail are mishaps."""
        with ThreadPoolExecutor(at_a_time) as pool:
            list(pool.map(self._open_one, users))

    def close(self, users):
        """These leave by LOGOUT."""
        for user in users:
            with self._lock:
                if user not in self.clients:
                    continue
                client = self._forget(user)
            try:
                client.rise()
                client.leave()
            except (Ended, OSError) as fault:
                self._count_lost(client, fault)
            client.close()

    def wake_all(self):
        """Each is asked whether it is there, in front of its server."""
        for user in list(self.clients):
            with self._lock:
                client = self.clients.get(user)
                if client is None:
                    continue
                try:
                    client.rise()
                    client.idle()
                except (Ended, OSError) as fault:
                    self._end(client, fault)

    def homes(self):
        """How many sessions there are at each server."""
        with self._lock:
            return collections.Counter(
                one.home for one in self.clients.values())

    def home_of(self, user):
        """Where the user's session is; None where there is none."""
        client = self.clients.get(user)
        return client.home if client else None

    def allow_end_at(self, *homes):
        """Sessions at these servers may end; without names, none may."""
        with self._lock:
            self._allowed = set(homes)

    def stop(self):
        """Lets go of all that are left."""
        self._stop.set()
        self._thread.join()
        for user in list(self.clients):
            self._forget(user).close()
        self._poll.close()

    def _open_one(self, user):
        try:
            client = self.load.client(user)
            client.idle()
        except (Ended, OSError) as fault:
            self.load.tell("failed login", user, fault)
            return
        with self._lock:
            self.clients[user] = client
            self._by_descriptor[client.socket.fileno()] = client
            self._poll.register(client.socket, select.EPOLLIN)

    def _watch(self):
        while not self._stop.wait(0.05):
            with self._lock:
                for descriptor, _ in self._poll.poll(0):
                    self._hear(self._by_descriptor[descriptor])

    def _hear(self, client):
        try:
            client.hear()
        except (Ended, OSError) as fault:
            self._end(client, fault)

    def _end(self, client, fault):
        self._forget(client.user)
        if client.home in self._allowed:
            self.closed += 1
        else:
            self._count_lost(client, fault)
        client.close()

    def _count_lost(self, client, fault):
        self.lost += 1
        self.load.tell("lost session", f"{client.user} at {client.home}",
                       fault)

    def _forget(self, user):
        client = self.clients.pop(user)
        del self._by_descriptor[client.socket.fileno()]
        self._poll.unregister(client.socket)
        return client


class Paced:
    """Visits at a steady rate for as long as the `with` block runs. What is
    due late is done late: the rate that was reached is told by `count`."""

    def __init__(self, load, users, rate, threads):
        self.load, self.rate = load, rate
        self.count = self.failed = 0
        self._stop = threading.Event()
        self._due = itertools.count()
        self._lock = threading.Lock()
        # No user is in the hands of two threads.
        self._threads = [
            threading.Thread(target=self._run, args=(users[i::threads],))
            for i in range(threads)]

    def __enter__(self):
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def visit(self, user):
        """One visit; raises Ended or OSError when it fails."""
        raise NotImplementedError

    def wait(self, count, timeout=60):
        """Waits for so many more, failed ones too."""
        deadline = time.monotonic() + timeout
        wanted = self.count + self.failed + count
        while self.count + self.failed < wanted:
            assert time.monotonic() < deadline, "nobody comes any more"
            time.sleep(0.02)

    def _run(self, users):
        for user in itertools.cycle(users):
            with self._lock:
                due = self._began + next(self._due) / self.rate
            if self._stop.wait(max(0, due - time.monotonic())):
                return
            self._visit(user)

    def _visit(self, user):
        failed = 0
        try:
            self.visit(user)
        except (Ended, OSError) as fault:
            failed = 1
            self.load.tell(f"failed {self.what}", user, fault)
        with self._lock:
            self.failed += failed
            self.count += 1 - failed


class Logins(Paced):
    """Each logs in and out; `done` has them all."""

    what = "login"

    def __init__(self, load, users, rate, threads=4):
        super().__init__(load, users, rate, threads)
        self.done = []

    def visit(self, user):
        client = self.load.client(user)
        try:
            client.leave()
        finally:
            client.close()
        self.done.append(Login(client.began, client.took, user, client.home))


class Knocks(Paced):
    """Each connects to a listener that speaks first, is greeted, and goes."""

    what = "greeting"

    def __init__(self, load, address, rate, threads=2):
        super().__init__(load, SOURCES, rate, threads)
        self.address = address

    def visit(self, user):
        with socket.create_connection(self.address, PATIENCE,
                                      (user, 0)) as plug:
            if not (greeting := plug.recv(4096)).startswith(b"* OK"):
                raise Ended(f"greeted by {greeting}")
            plug.sendall(b"a LOGOUT\r\n")
            answer = b""
            while more := plug.recv(4096):
                answer += more
            if b"a OK" not in answer:
                raise Ended(f"LOGOUT: {answer}")
