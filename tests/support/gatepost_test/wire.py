"""A client that is nothing but a socket: it sends any bytes in any pieces,
may turn to TLS at any moment, and can cut the connection at any byte."""

import itertools
import select
import socket
import ssl
import struct
import time


IP_BIND_ADDRESS_NO_PORT = 24


class WireTimeout(AssertionError):
    """What was expected did not come in time."""


class WireEnded(ConnectionError):
    """The other side ended the connection before what was expected came."""


def set_reset_on_close(sock):
    """Makes the next close of the socket send RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))


def _wait(sock, events, seconds):
    """The events that came, 0 after the time; any descriptor number."""
    poll = select.poll()
    poll.register(sock, events)
    return next((seen for _, seen in poll.poll(seconds * 1000)), 0)


def quoted(text):
    """An IMAP quoted string of text or bytes."""
    octets = text.encode() if isinstance(text, str) else text
    escaped = octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + escaped + b'"'


def mind_truncation(context):
    """Tells an end without close_notify from one with it, where Python by
    default takes both for clean."""
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF


def trusting(authority=None, **settings):
    """A client's TLS context that trusts the authority (anybody if None).

    Settings: minimum, maximum (ssl.TLSVersion), ciphers, alpn (list)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=authority.pem.decode())
    if "ciphers" in settings:
        context.set_ciphers(settings["ciphers"])
    if "minimum" in settings:
        context.minimum_version = settings["minimum"]
    if "maximum" in settings:
        context.maximum_version = settings["maximum"]
    if "alpn" in settings:
        context.set_alpn_protocols(settings["alpn"])
    return context


class WireClient:
    """One connection. Plain until `handshake`; then `send` and the readers
    go through TLS, while `send_raw` still reaches the socket itself."""

    def __init__(self, address, timeout=10, source=None, rcvbuf=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source is not None:
            # A port of this address towards this peer, not for all of them.
            self.sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            self.sock.bind((source, 0))
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local = self.sock.getsockname()
        self.timeout = timeout
        self.tls = None
        self.raw_received = bytearray()
        self.ended = None  # "fin", "close_notify", "rst", "alert: NAME"
        self.saw_close_notify = False
        self._incoming = self._outgoing = None
        self._buffer = bytearray()
        self._tags = (f"t{number}" for number in itertools.count(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.abandon()

    # -- sending ---------------------------------------------------------

    def send_raw(self, octets, chunk=None, gap=0):
        """Puts bytes on the socket, in pieces of `chunk`, `gap` s apart."""
        for start in range(0, len(octets), chunk or max(len(octets), 1)):
            self.sock.sendall(octets[start:start + chunk] if chunk
                              else octets)
            if gap:
                time.sleep(gap)

    def send(self, octets, chunk=None, gap=0):
        """Sends bytes, through TLS once that is up (a record per piece)."""
        if self.tls is None:
            self.send_raw(octets, chunk, gap)
            return
        for start in range(0, len(octets), chunk or max(len(octets), 1)):
            self.send_raw(self.seal(octets[start:start + chunk] if chunk
                                    else octets))
            if gap:
                time.sleep(gap)

    def seal(self, octets):
        """The TLS records that carry these bytes, not yet sent."""
        view = memoryview(octets)
        while view:
            view = view[self.tls.write(view):]
        return self._outgoing.read()

    # -- TLS -------------------------------------------------------------

    def start_tls(self, context=None, server_hostname="imap.example.test",
                  session=None):
        """Begins a handshake and returns the ClientHello, not yet sent."""
        context = context or trusting()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        mind_truncation(context)
        self.tls = context.wrap_bio(self._incoming, self._outgoing,
                                    server_hostname=server_hostname,
                                    session=session)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def handshake(self, context=None, server_hostname="imap.example.test",
                  session=None, chunk=None, gap=0):
        """Does a TLS handshake; every flight leaves in pieces of `chunk`."""
        flight = self.start_tls(context, server_hostname, session)
        return self.finish_handshake(flight, chunk, gap)

    def finish_handshake(self, flight, chunk=None, gap=0):
        """Goes on with a handshake that `start_tls` began."""
        deadline = time.monotonic() + self.timeout
        while True:
            self.send_raw(flight, chunk, gap)
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                flight = self._outgoing.read()
                if not flight and not self._fill(deadline):
                    raise WireEnded(f"handshake ended by {self.ended}")
                continue
            except ssl.SSLError:
                self.send_raw(self._outgoing.read())
                raise
            self.send_raw(self._outgoing.read(), chunk, gap)
            return self

    # -- receiving -------------------------------------------------------

    def _fill(self, deadline):
        """Reads from the socket once; False at the connection's end."""
        left = deadline - time.monotonic()
        if left <= 0 or not _wait(self.sock, select.POLLIN, left):
            raise WireTimeout(f"nothing came; got {bytes(self._buffer)!r}")
        try:
            octets = self.sock.recv(65536)
        except ConnectionResetError:
            octets, self.ended = b"", "rst"
        if not octets:
            self.ended = self.ended if self.ended == "rst" else "fin"
            if self._incoming is not None:
                self._incoming.write_eof()
            return False
        if self.tls is None:
            self._buffer += octets
        else:
            self._incoming.write(octets)
        if len(self.raw_received) < 1 << 20:
            self.raw_received += octets
        return True

    def _decrypt(self):
        """Moves plaintext to the buffer; notes a close_notify."""
        while self.tls is not None and not self.saw_close_notify:
            try:
                octets = self.tls.read(65536)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                octets = b""
            except ssl.SSLEOFError:
                break
            except ssl.SSLError as error:
                if error.reason != "UNEXPECTED_EOF_WHILE_READING":
                    self.ended = f"alert: {error.reason}"
                break
            if not octets:
                self.ended = "close_notify"
                self.saw_close_notify = True
                break
            self._buffer += octets
        if self.tls is not None:
            answer = self._outgoing.read()
            if answer:
                try:
                    self.send_raw(answer)
                except OSError:
                    pass

    def _more(self, deadline):
        """Waits for bytes in the buffer; False at the connection's end."""
        had = len(self._buffer)
        self._decrypt()
        while len(self._buffer) == had:
            if self.ended:
                return False
            alive = self._fill(deadline)
            self._decrypt()
            if not alive and len(self._buffer) == had:
                return False
        return True

    def _take(self, count):
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def read_until(self, marker, timeout=None):
        """Everything up to and with the marker."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while marker not in self._buffer:
            if not self._more(deadline):
                raise WireEnded(f"{self.ended} before {marker!r}; "
                                f"got {bytes(self._buffer)!r}")
        return self._take(self._buffer.index(marker) + len(marker))

    def read_line(self, timeout=None):
        """One line with its CRLF."""
        return self.read_until(b"\r\n", timeout)

    def read_exact(self, count, timeout=None):
        """Exactly so many bytes."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while len(self._buffer) < count:
            if not self._more(deadline):
                raise WireEnded(f"{self.ended} after {len(self._buffer)} of "
                                f"{count} bytes")
        return self._take(count)

    def read_to_end(self, timeout=None):
        """Everything until the other side ends; see `ended` for how."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while self._more(deadline):
            pass
        # After close_notify the FIN is still to come; it is part of the end.
        while self.ended == "close_notify":
            try:
                if not self._fill(deadline):
                    break
            except WireTimeout:
                break
        return self._take(len(self._buffer))

    def read_quiet(self, seconds):
        """What comes within the time, for tests that expect silence."""
        deadline = time.monotonic() + seconds
        try:
            while self._more(deadline):
                pass
        except WireTimeout:
            pass
        return self._take(len(self._buffer))

    def exchange(self, pieces, take, timeout, enough=lambda: False):
        """Sends the pieces and reads meanwhile, in one thread (a TLS object
        bears no two). What is read goes to `take`. Ends when the other side
        does, or when all was sent and `enough()`."""
        deadline = time.monotonic() + timeout
        pieces, pending, all_sent = iter(pieces), b"", False
        while True:
            self._decrypt()
            if self._buffer:
                take(self._take(len(self._buffer)))
            if self.ended or (all_sent and enough()):
                return
            if not pending and not all_sent:
                piece = next(pieces, None)
                all_sent = piece is None
                if piece:
                    pending = (self.seal(piece) if self.tls is not None
                               else piece)
            left = deadline - time.monotonic()
            if left <= 0:
                raise WireTimeout("the exchange did not end")
            ready = _wait(self.sock,
                          select.POLLIN | (select.POLLOUT if pending else 0),
                          min(left, 0.05) if all_sent else left)
            if ready & select.POLLOUT:
                sent = self.sock.send(pending, socket.MSG_DONTWAIT)
                pending = pending[sent:]
            if ready & ~select.POLLOUT:
                self._fill(deadline)

    # -- IMAP ------------------------------------------------------------

    def read_reply(self, tag, timeout=None):
        """All lines up to and with the tagged one; literals stay inside."""
        if isinstance(tag, str):
            tag = tag.encode()
        lines = []
        while True:
            line = self.read_line(timeout)
            while line.endswith(b"}\r\n") and b"{" in line:
                count = line[line.rindex(b"{") + 1:-3]
                if not count.isdigit():
                    break
                line += self.read_exact(int(count), timeout)
                line += self.read_line(timeout)
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines

    def command(self, text, timeout=None):
        """Sends a command under a new tag; returns the lines of its reply,
        the tagged one last and without its tag."""
        if isinstance(text, str):
            text = text.encode()
        tag = next(self._tags).encode()
        self.send(tag + b" " + text + b"\r\n")
        lines = self.read_reply(tag, timeout)
        lines[-1] = lines[-1][len(tag) + 1:]
        return lines

    def login(self, user="alice@example.org", password="secret-alice",
              timeout=None):
        """LOGIN with quoted strings; returns the tagged line's text."""
        return self.command(b"LOGIN %s %s" % (quoted(user), quoted(password)),
                            timeout)[-1]

    # -- ending ----------------------------------------------------------

    def send_close_notify(self):
        """Says by TLS that nothing more will come; reading goes on."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.send_raw(self._outgoing.read())

    def half_close(self, notify=True):
        """Ends this side's direction; the other one stays open."""
        if self.tls is not None and notify:
            self._decrypt()
            self.send_close_notify()
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends the connection by RST."""
        set_reset_on_close(self.sock)
        self.sock.close()

    def abandon(self):
        """Closes the socket without a word."""
        self.sock.close()
