"""A backend made of a script: it says what the test wants, records every
byte it got, and counts who called."""

import socket
import ssl
import threading
import time

from .ports import bind_free
from .wire import mind_truncation, set_reset_on_close


class Gone(ConnectionError):
    """The other side (or the end of the test) ended the connection."""


class Conversation:
    """One accepted connection, in the hands of a script."""

    def __init__(self, sock, stopping):
        self.sock = sock
        self.stopping = stopping
        self.received = bytearray()  # every byte read, plaintext
        self.server_name = None      # the SNI, once TLS is up
        self.is_resumed = None       # the handshake, once TLS is up
        self.saw_close_notify = False  # the other side ended TLS cleanly
        self.authzid = self.user = self.password = None
        self.ended = threading.Event()
        self._unread = bytearray()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(60)

    def start_tls(self, context):
        """Does the server's side of a TLS handshake."""
        def note_name(_, name, __):
            self.server_name = name

        context.sni_callback = note_name
        mind_truncation(context)
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True,
                                            suppress_ragged_eofs=False)
        except (OSError, ssl.SSLError) as error:
            raise Gone(str(error)) from error
        self.is_resumed = self.sock.session_reused

    def send(self, octets):
        """Sends everything."""
        try:
            self.sock.sendall(octets)
        except (OSError, ValueError) as error:
            raise Gone(str(error)) from error

    def _fill(self):
        try:
            octets = self.sock.recv(65536)
        except (OSError, ValueError) as error:
            raise Gone(str(error)) from error
        if not octets:
            self.saw_close_notify = isinstance(self.sock, ssl.SSLSocket)
            raise Gone("end of input")
        if len(self.received) < 64 << 20:
            self.received += octets
        self._unread += octets

    def read_line(self):
        """One line with its CRLF."""
        while b"\n" not in self._unread:
            self._fill()
        return self.read_exact(self._unread.index(b"\n") + 1)

    def read_exact(self, count):
        """Exactly so many bytes."""
        while len(self._unread) < count:
            self._fill()
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    def read_some(self):
        """What is there, at least a byte; b"" at the end of the input."""
        if not self._unread:
            try:
                self._fill()
            except Gone:
                return b""
        return self.read_exact(len(self._unread))

    def read_to_end(self):
        """Everything until the other side ends its direction."""
        octets = bytearray()
        while True:
            piece = self.read_some()
            if not piece:
                return bytes(octets)
            octets += piece

    def stall(self):
        """Says nothing until the other side leaves or the test ends."""
        while not self.stopping.is_set():
            if not self.read_some():
                raise Gone("left during a stall")
        raise Gone("the test ended")

    def linger(self):
        """Reads and says nothing until the test ends, whatever the other
        side does."""
        self.read_to_end()
        self.stopping.wait()

    def half_close(self):
        """Ends our direction; TLS says close_notify first."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(0)
            try:
                self.sock.unwrap()
            except (OSError, ValueError):
                pass
            self.sock.settimeout(60)
        # SSLSocket.shutdown would make the socket plain for reading, too.
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def reset(self):
        """Ends the connection by RST."""
        set_reset_on_close(self.sock)
        self.sock.close()


class FakeBackend:
    """A listener on loopback that runs `script(conversation)` per caller."""

    def __init__(self, script, tls=None, host="127.0.0.1", port=0,
                 backlog=1024):
        self.script = script
        self.tls = tls
        self.conversations = []
        self.failures = []
        self._stopping = threading.Event()
        self._arrived = threading.Condition()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port:
            self._listener.bind((host, port))
        else:
            bind_free(self._listener, host)
        self._listener.listen(backlog)
        self.host, self.port = host, self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connects(self):
        """How many connections were accepted so far."""
        return len(self.conversations)

    @property
    def received(self):
        """Everything that any connection got, in order of connecting."""
        return b"".join(bytes(one.received) for one in self.conversations)

    def conversation(self, index=0, timeout=10):
        """The index-th accepted connection, waited for."""
        with self._arrived:
            if not self._arrived.wait_for(
                    lambda: len(self.conversations) > index, timeout):
                raise AssertionError(f"backend saw {self.connects} calls, "
                                     f"expected {index + 1}")
        return self.conversations[index]

    def wait_all_ended(self, timeout=10):
        """Waits until every script is over."""
        deadline = time.monotonic() + timeout
        for one in list(self.conversations):
            if not one.ended.wait(max(0, deadline - time.monotonic())):
                raise AssertionError("a backend connection is still open")

    def _accept(self):
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            conversation = Conversation(sock, self._stopping)
            with self._arrived:
                self.conversations.append(conversation)
                self._arrived.notify_all()
            threading.Thread(target=self._run, args=(conversation,),
                             daemon=True).start()

    def _run(self, conversation):
        try:
            if self.tls is not None:
                conversation.start_tls(self.tls)
            self.script(conversation)
        except Gone:
            pass
        except Exception as error:  # a fault of the script fails the test
            self.failures.append(error)
        finally:
            conversation.sock.close()
            conversation.ended.set()

    def refuse(self):
        """Closes the listener: from now on callers are refused."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def stop(self):
        """Ends everything; raises what a script raised."""
        self._stopping.set()
        self.refuse()
        for conversation in self.conversations:
            try:
                conversation.sock.shutdown(socket.SHUT_RDWR)
            except (OSError, ValueError):
                pass
        for failure in self.failures:
            raise failure


class Blackhole:
    """A port on loopback where SYNs are dropped: its queue is full and
    nobody accepts."""

    def __init__(self):
        self._listener = socket.socket()
        bind_free(self._listener, "127.0.0.1")
        self._listener.listen(0)
        self.host, self.port = self._listener.getsockname()
        self._fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))
            self._fillers.append(filler)

    def stop(self):
        """Gives the port back."""
        for one in [self._listener, *self._fillers]:
            one.close()
