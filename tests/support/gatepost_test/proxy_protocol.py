"""Headers of the PROXY protocol, written and read without Gatepost's help."""

import ipaddress
import socket
import struct
from collections import namedtuple

from .backend import Gone

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
UNKNOWN = b"PROXY UNKNOWN\r\n"

AUTHORITY, SSL = 0x02, 0x20
SSL_VERSION, SSL_CIPHER = 0x21, 0x23

# What a header says; source and destination are (host, port) or None.
Header = namedtuple("Header", "version source destination tlvs")


def line(source, destination):
    """A header of version 1."""
    version = ipaddress.ip_address(source[0]).version
    return (f"PROXY TCP{version} {source[0]} {destination[0]} {source[1]} "
            f"{destination[1]}\r\n").encode()


def tlv(kind, value):
    """One TLV of version 2."""
    return struct.pack(">BH", kind, len(value)) + value


def block(source, destination, tlvs=b"", command=0x21):
    """A header of version 2."""
    hosts = [ipaddress.ip_address(one[0]) for one in (source, destination)]
    family = 0x11 if hosts[0].version == 4 else 0x21
    body = (hosts[0].packed + hosts[1].packed +
            struct.pack(">HH", source[1], destination[1]) + tlvs)
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


def read_tlvs(octets):
    """{type: value} of a row of TLVs that must end where the bytes end."""
    found = {}
    while octets:
        kind, length = struct.unpack_from(">BH", octets)
        assert len(octets) >= 3 + length, octets
        assert kind not in found, kind
        found[kind] = octets[3:3 + length]
        octets = octets[3 + length:]
    return found


def read_header(read_exact):
    """The header that comes next; read_exact(count) gives so many bytes and
    not one behind the header is asked for."""
    start = read_exact(6)
    if start == b"PROXY ":
        return _read_line(read_exact)
    fixed = start + read_exact(10)
    assert fixed[:12] == SIGNATURE, fixed
    command, family, length = struct.unpack(">BBH", fixed[12:])
    body = read_exact(length)
    if command == 0x20:
        assert (family, body) == (0, b""), (family, body)
        return Header(2, None, None, {})
    assert command == 0x21 and family in (0x11, 0x21), (command, family)
    size = 4 if family == 0x11 else 16
    hosts = [str(ipaddress.ip_address(body[at:at + size]))
             for at in (0, size)]
    ports = struct.unpack_from(">HH", body, 2 * size)
    return Header(2, (hosts[0], ports[0]), (hosts[1], ports[1]),
                  read_tlvs(body[2 * size + 4:]))


def _read_line(read_exact):
    text = b""
    while not text.endswith(b"\n"):
        text += read_exact(1)
    assert text.endswith(b"\r\n") and len(text) <= 101, text
    fields = text[:-2].decode().split(" ")
    if fields[0] == "UNKNOWN":
        return Header(1, None, None, {})
    family, source, destination, source_port, destination_port = fields
    assert ipaddress.ip_address(source).version == int(family[3:]), text
    return Header(1, (source, int(source_port)),
                  (destination, int(destination_port)), {})


class Proxied:
    """A script for FakeBackend: a server that wants a header before anything
    else, then does what `server` does; with a `tls` context, behind TLS. Each
    conversation keeps its `header`, and in `flight` what had come with it."""

    def __init__(self, server, tls=None):
        self.server, self.tls = server, tls

    def __call__(self, conversation):
        sock = conversation.sock
        conversation.flight = sock.recv(65536, socket.MSG_PEEK)
        conversation.segments = data_segments(sock)
        conversation.header = read_header(
            lambda count: _read_exact(sock, count))
        if self.tls is not None:
            conversation.start_tls(self.tls)
        self.server(conversation)


def _read_exact(sock, count):
    """MSG_WAITALL would not wait: a socket with a timeout does not block."""
    octets = b""
    while len(octets) < count:
        piece = sock.recv(count - len(octets))
        if not piece:
            raise Gone("end of input in a header")
        octets += piece
    return octets


def data_segments(sock):
    """How many segments with data the socket has received."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return struct.unpack_from("=I", info, 152)[0]
