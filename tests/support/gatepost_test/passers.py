"""Clients that come and go, as a program of their own (many at once want more
than one interpreter): passers.py COUNT STARTTLS_PORT IMPLICIT_PORT SEED."""

import random
import socket
import ssl
import struct
import subprocess
import sys

_IP_BIND_ADDRESS_NO_PORT = 24
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no waiting, so a reset
SOURCES = 200  # each has its own ports
PATIENCE = 30
# The dear kinds (TLS) come once in so many.
DEAR_EVERY = 100


def start(count, starttls, implicit, seed):
    """Clients on their way, as a Popen; wait for status 0."""
    return subprocess.Popen([sys.executable, __file__, str(count),
                             str(starttls), str(implicit), str(seed)])


class Passers:
    """All that come from one program."""

    def __init__(self, starttls, implicit, seed):
        self.starttls, self.implicit = starttls, implicit
        self.random = random.Random(seed)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.hello = self._first_flight()

    def pass_by(self, number):
        """One comes, and goes in one of the ways."""
        kinds = DEAR if number % DEAR_EVERY == 0 else CHEAP
        kinds[number // DEAR_EVERY % len(kinds) if kinds is DEAR
              else number % len(kinds)](self)

    def connect(self, port):
        plug = socket.socket()
        plug.settimeout(PATIENCE)
        plug.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        plug.bind((f"127.0.1.{self.random.randrange(1, SOURCES)}", 0))
        plug.connect(("127.0.0.1", port))
        return plug

    def _first_flight(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()

    def leave(self):
        self.connect(self.starttls).close()

    def reset(self):
        with self.connect(self.starttls) as plug:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def hear_greeting(self):
        with self.connect(self.starttls) as plug:
            plug.recv(4096)

    def say_half_a_command(self):
        with self.connect(self.starttls) as plug:
            plug.sendall(b"a LOGIN {20}\r\nhalf")

    def ask_for_tls_and_leave(self):
        with self.connect(self.starttls) as plug:
            plug.recv(4096)
            plug.sendall(b"a STARTTLS\r\n")

    def say_hello_by_halves(self):
        with self.connect(self.implicit) as plug:
            plug.sendall(self.hello[:len(self.hello) // 2])

    def reset_after_hello(self):
        with self.connect(self.implicit) as plug:
            plug.sendall(self.hello)
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def say_nothing_in_front_of_tls(self):
        self.connect(self.implicit).close()

    def shake_hands(self):
        self._secure().close()

    def fail(self):
        with self._secure() as tls:
            tls.recv(4096)
            tls.sendall(b"a LOGIN user wrong\r\n")
            tls.recv(4096)

    def log_in_and_reset(self):
        with self._secure() as tls:
            self._log_in(tls)
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def log_in_and_out(self):
        with self._secure() as tls:
            self._log_in(tls)
            tls.sendall(b"a LOGOUT\r\n")
            while tls.recv(4096):
                pass

    def leave_in_mid_login(self):
        with self._secure() as tls:
            tls.recv(4096)
            tls.sendall(b"a LOGIN user secret\r\n")

    def _secure(self):
        return self.context.wrap_socket(self.connect(self.implicit))

    def _log_in(self, tls):
        tls.recv(4096)
        tls.sendall(b"a LOGIN user secret\r\n")
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += tls.recv(4096)
        if not answer.startswith(b"a OK"):
            raise RuntimeError(f"LOGIN: {answer}")


CHEAP = (Passers.leave, Passers.reset, Passers.hear_greeting,
         Passers.say_half_a_command, Passers.ask_for_tls_and_leave,
         Passers.say_hello_by_halves, Passers.reset_after_hello,
         Passers.say_nothing_in_front_of_tls)
DEAR = (Passers.shake_hands, Passers.fail, Passers.log_in_and_reset,
        Passers.log_in_and_out, Passers.leave_in_mid_login)


def main():
    count, starttls, implicit, seed = map(int, sys.argv[1:])
    passers = Passers(starttls, implicit, seed)
    for number in range(count):
        passers.pass_by(number)


if __name__ == "__main__":
    main()
