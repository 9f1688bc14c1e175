"""The admin socket, spoken to by hand: bytes in, bytes out."""

import json
import socket

SOCKET = "admin.sock"


class Answer:
    """One HTTP answer: status, headers in lower case, body."""

    def __init__(self, octets):
        head, _, self.body = octets.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = dict(
            (name.lower(), value.strip()) for name, _, value in
            (line.partition(":") for line in lines))

    @property
    def text(self):
        """The body as text, which it must be."""
        return self.body.decode("utf-8")

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.text)


def connect(path, timeout=20):
    """A connection to the socket."""
    plug = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    plug.settimeout(timeout)
    plug.connect(path)
    return plug


def read_all(plug):
    """What comes until the other side ends."""
    received = b""
    try:
        while piece := plug.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def exchange(path, octets, timeout=20):
    """The bytes that are answered to these, to their end."""
    with connect(path, timeout) as plug:
        try:
            plug.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return read_all(plug)


def request(path, target, method="GET", host="localhost", headers=(),
            timeout=20):
    """The Answer to one request."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}",
             "Connection: close", *headers, "", ""]
    return Answer(exchange(path, "\r\n".join(lines).encode(), timeout))


def metrics(path):
    """/metrics as a dict: 'name{labels}' to float."""
    answer = request(path, "/metrics")
    assert answer.status == 200, answer.body
    samples = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    return samples
