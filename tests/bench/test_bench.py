"""The load generator against the cheap backend, with no proxy between: each
mode does what it was asked for, counts it right, and sees what is wrong."""

import socket
import ssl
import subprocess
import threading

import pytest

import lab as labs

TLS12_CIPHER = "ECDHE-ECDSA-AES128-GCM-SHA256"
TLS13_CIPHER = "TLS_AES_128_GCM_SHA256"

BOTH_KINDS = pytest.mark.parametrize("kind", ["plain", "tls"])
BOTH_DIRECTIONS = pytest.mark.parametrize("direction", ["fetch", "append"])
BOTH_VERSIONS = pytest.mark.parametrize("version, cipher", [
    ("1.2", TLS12_CIPHER), ("1.3", TLS13_CIPHER)])


def options_for(kind):
    return ["--plain"] if kind == "plain" else []


def batch(talker):
    talker.tell("next")
    words = talker.hear()
    return {words[i]: number(words[i + 1]) for i in range(0, len(words), 2)}


def number(word):
    try:
        return float(word) if "." in word else int(word)
    except ValueError:
        return word


@BOTH_VERSIONS
def test_a_full_login_resumes_nothing(backend, load, version, cipher):
    talker = load("login", backend.ports["tls"], "--count", "20",
                  "--parallel", "4", "--tls-max", version)

    result = batch(talker)

    assert list(result) == ["done", "failed", "resumed", "seconds", "p50",
                            "p99", "version", "cipher"]
    assert (result["done"], result["failed"], result["resumed"]) == (20, 0, 0)
    assert (result["version"], result["cipher"]) == (f"TLSv{version}", cipher)
    assert 0 < result["p50"] <= result["p99"] <= result["seconds"] * 1e6
    counts = backend.ask_counts()
    assert (counts["logins"], counts["resumed"]) == (20, 0)


@BOTH_VERSIONS
def test_every_login_of_a_batch_resumes(backend, load, version, cipher):
    talker = load("login", backend.ports["tls"], "--count", "20",
                  "--parallel", "4", "--tls-max", version, "--resume")
    assert backend.ask_counts()["resumed"] == 0

    results = [batch(talker), batch(talker)]

    for result in results:
        assert (result["done"], result["resumed"]) == (20, 20)
        assert result["cipher"] == cipher
    assert backend.ask_counts()["resumed"] == 40


def test_logins_without_tls_say_so(backend, load):
    talker = load("login", backend.ports["plain"], "--plain", "--count", "9")

    result = batch(talker)

    assert (result["done"], result["version"]) == (9, "plain")


def test_logins_at_a_rate_start_when_they_are_due(backend, load):
    talker = load("login", backend.ports["plain"], "--plain", "--count", "41",
                  "--rate", "100")

    result = batch(talker)

    assert result["done"] == 41
    assert 0.4 <= result["seconds"]


def test_a_login_that_waits_for_a_slot_has_waited_since_it_was_due(
        backend, load):
    talker = load("login", backend.ports["tls"], "--parallel", "1",
                  "--count", "100", "--rate", "100000")

    result = batch(talker)

    assert result["done"] == 100
    assert result["p99"] > result["seconds"] * 1e6 * 0.5


def test_logins_that_nobody_answers_fail(lab, load, capfd):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        talker = load("login", closed.getsockname()[1], "--count", "20")

        result = batch(talker)

    assert (result["done"], result["failed"]) == (0, 20)
    assert "connection refused" in capfd.readouterr().err


def test_a_server_with_another_cipher_is_told_from_the_others(
        lab, load, capfd):
    with Server(serve_login, tls_context(lab)) as port:
        talker = load("login", port, "--count", "1", "--parallel", "1")

        result = batch(talker)

    assert (result["done"], result["failed"]) == (0, 1)
    assert "TLS_AES_256_GCM_SHA384" in capfd.readouterr().err


@BOTH_KINDS
@BOTH_DIRECTIONS
def test_a_stream_moves_all_bytes(backend, load, kind, direction):
    talker = load("stream", backend.ports[kind], *options_for(kind),
                  "--parallel", "3", "--bytes", "1000001",
                  "--direction", direction)
    before = backend.ask_counts()

    results = [batch(talker), batch(talker)]

    for result in results:
        assert list(result) == ["bytes", "wrong", "failed", "seconds"]
        assert (result["bytes"], result["wrong"], result["failed"]) == (
            1000001, 0, 0)
    after = backend.ask_counts()
    way = "out" if direction == "fetch" else "in"
    assert 0 < after[way] - before[way] - 2000002 < 1000


@BOTH_KINDS
def test_one_wrong_byte_of_a_fetch_is_found(lab, load, kind):
    with labs.Talker(lab.program("bench_backend"), "--corrupt",
                     "--chain", lab.chain, "--key", lab.key) as backend:
        ports = dict([backend.hear(), backend.hear()])
        talker = load("stream", ports[kind], *options_for(kind),
                      "--parallel", "3", "--bytes", "300000")

        result = batch(talker)

    assert (result["bytes"], result["wrong"]) == (300000, 3)


@pytest.mark.parametrize("spoil, answer", [
    (lambda row: row, b"a OK"),
    (lambda row: row[:150000] + b"\n" + row[150001:], b"a NO wrong 1\r\n"),
    (lambda row: row[1:] + row[:1], b"a NO wrong "),
], ids=["none", "one", "shifted"])
def test_wrong_bytes_of_an_append_are_found(backend, spoil, answer):
    with socket.create_connection(("127.0.0.1", backend.ports["plain"])) as raw:
        file = raw.makefile("rwb")
        say(file, b"a LOGIN joe secret\r\n")
        row = fetch(file, 77, 200000)

        said = say(file, b"a APPEND pattern.77 {200000+}\r\n" +
                   spoil(row) + b"\r\n")

    assert said.startswith(answer)


def test_wrong_bytes_that_the_backend_found_are_told(load):
    with Server(serve_refusal) as port:
        talker = load("stream", port, "--plain", "--parallel", "1",
                      "--bytes", "1000", "--direction", "append")

        result = batch(talker)

    assert (result["bytes"], result["wrong"], result["failed"]) == (1000, 5, 0)


def test_two_places_of_the_pattern_differ(backend):
    with socket.create_connection(("127.0.0.1", backend.ports["plain"])) as raw:
        file = raw.makefile("rwb")
        say(file, b"a LOGIN joe secret\r\n")

        here, there = fetch(file, 0, 65536), fetch(file, 65536, 65536)

    assert sum(a == b for a, b in zip(here, there)) < 65536 / 32


@BOTH_KINDS
def test_latency_asks_as_often_as_it_was_told(backend, load, kind):
    talker = load("latency", backend.ports[kind], *options_for(kind),
                  "--parallel", "3", "--count", "100")

    result = batch(talker)

    assert list(result) == ["done", "failed", "p50", "p99", "max"]
    assert (result["done"], result["failed"]) == (100, 0)
    assert 0 < result["p50"] <= result["p99"] <= result["max"]


def test_connections_that_are_lost_count_as_failed(lab, load):
    with labs.Backend(lab) as backend:
        stream = load("stream", backend.ports["plain"], "--plain",
                      "--parallel", "3", "--bytes", "3")
        latency = load("latency", backend.ports["plain"], "--plain",
                       "--parallel", "3", "--count", "10")

    assert batch(stream)["failed"] == 3
    assert batch(latency)["failed"] == 10


@pytest.mark.parametrize("words", [
    ["login"],
    ["login", "--connect", "127.0.0.1:1", "--count", "0"],
    ["login", "--connect", "127.0.0.1:1", "--tls-max", "1.1"],
    ["stream", "--connect", "127.0.0.1:1", "--direction", "down"],
    ["nothing", "--connect", "127.0.0.1:1"],
], ids=" ".join)
def test_a_bad_command_line_is_refused(lab, words):
    ended = subprocess.run([lab.program("bench_load"), *words],
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=10)

    assert ended.returncode == 1
    assert ended.stderr != b""


def say(file, bytes_):
    """The tagged answer to one command."""
    file.write(bytes_)
    file.flush()
    while True:
        line = file.readline()
        if not line or line.startswith(b"a "):
            return line


def fetch(file, position, size):
    file.write(b"a FETCH 1 BODY[]<%d.%d>\r\n" % (position, size))
    file.flush()
    assert file.readline() == (
        b"* 1 FETCH (BODY[]<%d> {%d}\r\n" % (position, size))
    row = file.read(size)
    assert (file.readline(), file.readline()) == (b")\r\n", b"a OK done\r\n")
    return row


def tls_context(lab):
    """Its first choice is AES-256, as OpenSSL's is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(lab.chain, lab.key)
    return context


def serve_login(client):
    client.sendall(b"* OK ready\r\n")
    client.recv(100)
    client.sendall(b"a OK in\r\n")


def serve_refusal(client):
    serve_login(client)
    file = client.makefile("rb")
    file.readline()
    file.readline()
    client.sendall(b"a NO wrong 5\r\n")


class Server:
    """Serves one connection by a function."""

    def __init__(self, serve, context=None):
        self.serve = serve
        self.context = context
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(10)
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.socket.close()
        self.thread.join()

    def _run(self):
        client, _ = self.socket.accept()
        client.settimeout(10)
        if self.context:
            client = self.context.wrap_socket(client, server_side=True)
        with client:
            self.serve(client)
