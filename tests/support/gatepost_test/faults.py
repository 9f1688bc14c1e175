"""Backends that fail, each in one way and at one step of the dialogue, and
packets that are dropped for real (nftables, in a network of the test's own)."""

import random
import socket
import subprocess
import threading

from .backend import FakeBackend, Gone

# Where something may go wrong, in the order in which a login comes there.
CONNECT, HELLO, GREETING, STARTTLS, CAPABILITY, LOGIN, ANSWER, SESSION = (
    "connect", "hello", "greeting", "starttls", "capability", "login",
    "answer", "session")

NOISE = random.Random(9051).randbytes(300) + b"\r\n"

_TABLE = """\
table inet faults {
    set holes { type inet_service; }
    chain come {
        type filter hook input priority 0;
        tcp dport @holes drop
        tcp sport @holes drop
    }
}
"""


def _nft(*words, text=None):
    done = subprocess.run(["nft", *words], input=text, text=True,
                          capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr


class Holes:
    """Ports of this network from and to which the kernel drops every packet:
    nobody answers, nobody hears. Only inside `own_network`."""

    def __init__(self):
        _nft("-f", "-", text=_TABLE)

    def open(self, port):
        """From now on."""
        _nft("add", "element", "inet", "faults", "holes", f"{{ {port} }}")

    def close(self, port):
        """Packets come through again."""
        _nft("delete", "element", "inet", "faults", "holes", f"{{ {port} }}")


class Faulty:
    """A small IMAP server on one port, with or without TLS, which is well
    until `break_down` and again after `mend`. `second` is how long one lasts
    for Gatepost, whose clock may run faster."""

    def __init__(self, tls, context, holes, second=1.0):
        self.tls, self.context = tls, context
        self.holes, self.second = holes, second
        self.fault = None  # (kind, step)
        self.reached = threading.Event()  # somebody has met the fault
        self._mended = threading.Event()
        self._lock = threading.Lock()
        self._is_hole = False
        self._listener = FakeBackend(self)
        self._former = []
        self.host, self.port = self._listener.host, self._listener.port

    # -- what the test does -------------------------------------------------

    def break_down(self, kind, step):
        """From now on, whoever comes to this step meets this fault."""
        self.reached.clear()
        self._mended.clear()
        self.fault = (kind, step)
        if kind == "refuses":
            self._listener.refuse()
        elif (kind, step) == ("drops", CONNECT):
            self._fall_into_hole()
        else:
            return
        self.reached.set()

    def mend(self):
        """All is well again."""
        with self._lock:
            fault, self.fault = self.fault, None
            if self._is_hole:
                self.holes.close(self.port)
            self._is_hole = False
        self._mended.set()
        if fault is not None and fault[0] == "refuses":
            self._former.append(self._listener)
            self._listener = FakeBackend(self, port=self.port)

    def stop(self):
        """Ends everything; raises what went wrong in here."""
        self._mended.set()
        for one in [*self._former, self._listener]:
            one.stop()

    # -- the dialogue ---------------------------------------------------------

    def __call__(self, conversation):
        self._at(CONNECT, conversation)
        if self.tls == "implicit":
            self._handshake(conversation)
        self._at(GREETING, conversation)
        conversation.send(b"* OK ready\r\n")
        while self._serve(conversation):
            pass

    def _handshake(self, conversation):
        if self.fault is not None and self.fault[1] == HELLO:
            conversation.sock.recv(1, socket.MSG_PEEK)
            self._at(HELLO, conversation)
        conversation.start_tls(self.context)

    def _serve(self, conversation):
        """One command; False at the last."""
        tag, _, rest = conversation.read_line().rstrip(b"\r\n").partition(b" ")
        name = rest.partition(b" ")[0].upper()
        if name == b"STARTTLS":
            self._at(STARTTLS, conversation)
            conversation.send(tag + b" OK go\r\n")
            self._handshake(conversation)
            return True
        if name == b"CAPABILITY":
            self._at(CAPABILITY, conversation)
            offers = b"" if self.tls != "starttls" else b" STARTTLS"
            conversation.send(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN" +
                              offers + b"\r\n")
        elif name in (b"AUTHENTICATE", b"LOGIN"):
            self._log_in(conversation, tag)
            return True
        elif name == b"LOGOUT":
            conversation.send(b"* BYE bye\r\n")
        conversation.send(tag + b" OK done\r\n")
        return name != b"LOGOUT"

    def _log_in(self, conversation, tag):
        self._at(LOGIN, conversation)
        text = tag + b" OK [CAPABILITY IMAP4rev1] in\r\n"
        if self.fault is not None and self.fault[1] == ANSWER:
            conversation.send(text[:len(tag) + 9])
            self._at(ANSWER, conversation)
            text = text[len(tag) + 9:]
        conversation.send(text)
        self._at(SESSION, conversation)

    # -- the faults -----------------------------------------------------------

    def _at(self, step, conversation):
        fault = self.fault
        if fault is None or fault[1] != step:
            return
        _ACTS[fault[0]](self, conversation)

    def _reset(self, conversation):
        conversation.reset()
        self.reached.set()
        raise Gone("reset")

    def _fall_into_hole(self):
        with self._lock:
            if self.fault is not None and not self._is_hole:
                self.holes.open(self.port)
                self._is_hole = True

    def _drop(self, conversation):
        self._fall_into_hole()
        self.reached.set()
        self._mended.wait()
        raise Gone("forgotten")

    def _babble(self, conversation):
        conversation.send(NOISE)
        self.reached.set()
        conversation.stall()

    def _drip(self, conversation):
        """From here on one byte a second."""
        send = conversation.send

        def send_slowly(octets):
            for at in range(len(octets)):
                if self._mended.wait(self.second):
                    raise Gone("mended in mid-word")
                send(octets[at:at + 1])

        conversation.send = send_slowly
        self.reached.set()


_ACTS = {"resets": Faulty._reset, "drops": Faulty._drop,
         "babbles": Faulty._babble, "drips": Faulty._drip}
