"""A name server of the test's own on port 53 of its own network, and an
/etc/resolv.conf that names it. Needs root."""

import contextlib
import ctypes
import os
import socket
import struct
import threading

_CLONE_FS, _CLONE_NEWNS = 0x200, 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)
_A, _CNAME = 1, 5
_FAILED, _NO_NAME = 2, 3

HANGS, FAILS = "hangs", "fails"


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source, target, flags):
    _check(_libc.mount(source.encode() if source else None, target.encode(),
                       None, flags, None))


@contextlib.contextmanager
def own_resolv_conf(folder):
    """This thread, and what it starts, ask 127.0.0.1 for names."""
    path = os.path.join(folder, "resolv.conf")
    with open(path, "w") as out:
        out.write("nameserver 127.0.0.1\noptions timeout:3 attempts:1\n")
    here = os.getcwd()
    with open("/proc/thread-self/ns/mnt", "rb") as former:
        _check(_libc.unshare(_CLONE_NEWNS))
        try:
            _mount(None, "/", _MS_REC | _MS_PRIVATE)
            _mount(path, "/etc/resolv.conf", _MS_BIND)
            yield
        finally:
            # Nobody goes elsewhere who shares a working folder with others.
            _check(_libc.unshare(_CLONE_FS))
            _check(_libc.setns(former.fileno(), _CLONE_NEWNS))
            os.chdir(here)


class NameServer:
    """Answers questions for addresses (A) from `names`: a list of them, or
    bytes as the target of a CNAME that has the address 127.0.0.1. `mood` may
    be HANGS or FAILS. `asked` has every name that was asked for."""

    def __init__(self, names):
        self.names, self.mood, self.asked = names, None, []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket()
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (self._udp, self._tcp):
            one.bind(("127.0.0.1", 53))
        self._tcp.listen()
        for loop in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=loop, daemon=True).start()

    def stop(self):
        """Closes its port."""
        for one in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                question, peer = self._udp.recvfrom(4096)
                if not question:
                    return  # stopped
                answer = self._answer(question)
                if answer is not None and len(answer) > 512:
                    head = bytearray(question[:_end_of(question)])
                    head[2:4] = b"\x83\x80"  # too long: ask by TCP
                    answer = bytes(head[:10]) + b"\0\0" + bytes(head[12:])
                if answer is not None:
                    self._udp.sendto(answer, peer)

    def _serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._tcp.accept()
                with contextlib.suppress(OSError, struct.error), sock:
                    self._converse(sock)

    def _converse(self, sock):
        """Questions for IPv4 and for IPv6 come over one connection."""
        sock.settimeout(5)
        while True:
            size = struct.unpack("!H", sock.recv(2, socket.MSG_WAITALL))[0]
            answer = self._answer(sock.recv(size, socket.MSG_WAITALL))
            if answer is not None:
                sock.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, question):
        name, end = _name_of(question), _end_of(question)
        kind = struct.unpack("!H", question[end - 4:end - 2])[0]
        self.asked.append(name)
        found = self.names.get(name)
        if self.mood == HANGS:
            return None
        code, records = 0, []
        if self.mood == FAILS:
            code = _FAILED
        elif found is None:
            code = _NO_NAME
        elif kind == _A:
            records = _records(found, end)
        return (question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1,
                                           len(records), 0, 0) +
                question[12:end] + b"".join(records))


def _name_of(question):
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]])
        at += 1 + question[at]
    return b".".join(labels).decode("latin-1").lower()


def _end_of(question):
    return question.index(b"\0", 12) + 5


def _records(found, end):
    """For a list of addresses, or for a CNAME of this one odd label."""
    if isinstance(found, list):
        return [_record(12, _A, socket.inet_aton(one)) for one in found]
    target = bytes([len(found)]) + found + b"\x04test\0"
    first = _record(12, _CNAME, target)
    return [first, _record(end + len(first) - len(target), _A,
                           socket.inet_aton("127.0.0.1"))]


def _record(name_at, kind, content):
    return struct.pack("!HHHIH", 0xc000 | name_at, kind, 1, 0,
                       len(content)) + content
