"""After the login: bytes, pressure, half-closes, idling (rows F1-F5, F7)."""

import hashlib
import os
import random
import socket
import threading
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer, echo, sink

PIECE = 1 << 20


def pattern(count, seed=7):
    """`count` bytes in pieces that no compressor or repeat could fake."""
    source = random.Random(seed)
    while count:
        size = min(count, PIECE)
        yield source.randbytes(size)
        count -= size


def digest_of(pieces):
    """SHA-256 over the pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def pouring(count, seed=7):
    """After login: sends the pattern and ends."""
    def after(conversation):
        for piece in pattern(count, seed):
            conversation.send(piece)
    return after


@pytest.fixture(params=["plain", "tls"])
def backend_kind(request, fake_backend, server_context):
    """start(after) -> (backend, routes): over plain TCP and over TLS."""
    def start(after, **knobs):
        server = ImapServer(after=after, **knobs)
        if request.param == "plain":
            backend = fake_backend(server)
            return backend, routes_to(backend)
        backend = fake_backend(server, tls=server_context())
        return backend, routes_to(backend, tls="implicit", ca="ca.pem",
                                  tls_name="localhost")
    return start


def limit_for(sanitizer, plain):
    """RSS may grow by so much; sanitizers hold freed memory back."""
    return (plain + (32 if sanitizer else 0)) << 20


class Digest:
    """Takes bytes, keeps their hash and the first few of them."""

    def __init__(self, skip_until=b""):
        self.hash, self.count = hashlib.sha256(), 0
        self.head, self._marker = b"", skip_until

    def take(self, octets):
        """Hashes what comes behind the marker."""
        if self._marker:
            self.head += octets
            if self._marker not in self.head:
                return
            end = self.head.index(self._marker) + len(self._marker)
            self.head, octets = self.head[:end], self.head[end:]
            self._marker = b""
        self.hash.update(octets)
        self.count += len(octets)


def random_pieces(pieces, seed):
    """The same bytes in pieces of 1 to 70000."""
    chooser = random.Random(seed)
    for piece in pieces:
        while piece:
            size = chooser.randint(1, 70000)
            yield piece[:size]
            piece = piece[size:]


def wait_for(condition, timeout=10):
    """Waits until the condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def still(measure, seconds=0.5):
    """Waits until a measure has not changed for so long."""
    last, since = measure(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.05)
        if measure() != last:
            last, since = measure(), time.monotonic()
    return last


@pytest.mark.limit(120)
@pytest.mark.threat("F1", "F7")
def test_f1_every_byte_passes_once_and_in_order(
        gatepost, backend_kind, times):
    """The client pipelines behind its login, the backend writes behind its
    OK; then both go on in random pieces at the same time."""
    count = times(12, 512) << 20
    early = b"* early bytes behind the OK\r\n"
    got = []

    def after(conversation):
        digest = hashlib.sha256()
        for piece in random_pieces(pattern(count // 2, 8), 1):
            conversation.send(piece)
        for piece in iter(conversation.read_some, b""):
            digest.update(piece)
        got.append(digest.hexdigest())
        for piece in random_pieces(pattern(count // 2, 10), 1):
            conversation.send(piece)

    _, routes = backend_kind(after, reply=b"OK [CAPABILITY IMAP4rev1] in"
                             b"\r\n" + early[:-2])
    front = gatepost(routes)
    client = front.secure()
    seen = Digest(early)
    first = next(pattern(PIECE, 11))

    def pieces():
        yield b"a LOGIN u p\r\n" + first[:9000]
        yield first[9000:]
        yield from random_pieces(pattern(count, 9), 2)

    client.exchange(pieces(), seen.take, 100,
                    enough=lambda: seen.count >= count // 2)
    client.half_close()
    client.exchange([], seen.take, 100)

    assert seen.head == b"a OK [CAPABILITY IMAP4rev1] in\r\n" + early
    both = [*pattern(count // 2, 8), *pattern(count // 2, 10)]
    assert seen.hash.hexdigest() == digest_of(both)
    assert got == [digest_of([first, *pattern(count, 9)])]


@pytest.mark.threat("F1")
@pytest.mark.parametrize("split", range(1, 40, 3))
def test_f1_the_backends_ok_split_anywhere_loses_nothing(
        gatepost, fake_backend, split):
    """The tagged OK and what follows it in two writes."""
    def script(conversation):
        conversation.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] "
                          b"hi\r\n")
        tag = conversation.read_line().split()[0]
        octets = tag + b" OK [CAPABILITY IMAP4rev1] in\r\n* 1 EXISTS\r\n"
        conversation.send(octets[:split])
        time.sleep(0.02)
        conversation.send(octets[split:])
        echo(conversation)

    front = gatepost(routes_to(fake_backend(script)))
    client = front.secure()

    client.send(b"a LOGIN u p\r\nhello")

    expected = b"a OK [CAPABILITY IMAP4rev1] in\r\n* 1 EXISTS\r\nhello"
    assert client.read_exact(len(expected)) == expected


@pytest.mark.threat("F1")
@pytest.mark.parametrize("fault", [
    {"GATEPOST_FAULT_READ": "1"}, {"GATEPOST_FAULT_WRITE": "1"},
    {"GATEPOST_FAULT_READ": "7", "GATEPOST_FAULT_WRITE": "5"}])
def test_f1_short_reads_and_writes_lose_nothing(
        gatepost, backend_kind, fault):
    _, routes = backend_kind(echo)
    front = gatepost(routes, env=fault)
    client = front.logged_in()
    octets = b"".join(pattern(30000))
    seen = Digest()

    client.exchange([octets], seen.take, 40,
                    enough=lambda: seen.count >= len(octets))

    assert seen.hash.hexdigest() == digest_of([octets])


@pytest.mark.limit(120)
@pytest.mark.threat("F2")
def test_f2_a_client_that_stops_reading_leaves_memory_flat(
        gatepost, backend_kind, sanitizer, times):
    count = times(64, 200) << 20
    _, routes = backend_kind(pouring(count))
    front = gatepost(routes)
    front.logged_in().abandon()
    before = front.rss()
    client = front.secure(rcvbuf=65536)
    client.send(b"a LOGIN u p\r\n")
    client.read_reply("a")

    time.sleep(1.5)
    stalled = front.rss() - before
    seen = Digest()
    client.exchange([], seen.take, 100)

    assert stalled < limit_for(sanitizer, 4)
    assert front.rss() - before < limit_for(sanitizer, 4)
    assert seen.count == count
    assert seen.hash.hexdigest() == digest_of(pattern(count))


@pytest.mark.limit(120)
@pytest.mark.threat("F2")
def test_f2_a_backend_that_stops_reading_leaves_memory_flat(
        gatepost, backend_kind, sanitizer):
    count, go_on, got = 64 << 20, threading.Event(), []

    def after(conversation):
        go_on.wait(60)
        digest = hashlib.sha256()
        for piece in iter(conversation.read_some, b""):
            digest.update(piece)
        got.append(digest.hexdigest())

    _, routes = backend_kind(after)
    front = gatepost(routes)
    client = front.logged_in()
    before = front.rss()
    sent = [0]

    def pieces():
        for piece in pattern(count):
            sent[0] += len(piece)
            yield piece

    sender = threading.Thread(target=client.exchange, args=(
        pieces(), lambda octets: None, 100, lambda: True))
    sender.start()
    held = still(lambda: sent[0], 1)
    grown = front.rss() - before
    go_on.set()
    sender.join(90)
    client.half_close()
    client.read_to_end(30)

    assert held < count, "nobody stopped reading"
    assert grown < limit_for(sanitizer, 4)
    assert got == [digest_of(pattern(count))]


@pytest.mark.threat("F2")
def test_f2_stops_and_starts_of_the_reader_lose_nothing(
        gatepost, backend_kind):
    count = 16 << 20
    _, routes = backend_kind(pouring(count))
    front = gatepost(routes)
    client = front.secure(rcvbuf=16384)
    client.send(b"a LOGIN u p\r\n")
    client.read_reply("a")
    digest = hashlib.sha256()
    left = count

    for pause in range(16):
        time.sleep(0.05)
        digest.update(client.read_exact(PIECE, 20))
        left -= PIECE
    assert left == 0
    assert client.read_to_end(10) == b""

    assert digest.hexdigest() == digest_of(pattern(count))


@pytest.mark.threat("F3")
def test_f3_a_client_that_ends_its_side_still_gets_everything(
        gatepost, backend_kind):
    count, got = 4 << 20, []

    def after(conversation):
        got.append(conversation.read_to_end())
        for piece in pattern(count):
            conversation.send(piece)

    backend, routes = backend_kind(after)
    front = gatepost(routes)
    client = front.logged_in()
    before = front.resting_descriptors()

    client.send(b"last words")
    client.half_close()
    seen = Digest()
    client.exchange([], seen.take, 30)

    assert got == [b"last words"]
    assert seen.hash.hexdigest() == digest_of(pattern(count))
    assert client.saw_close_notify
    front.wait_descriptors(before - 2)
    assert backend.connects == 1


@pytest.mark.threat("F3")
def test_f3_a_backend_that_ends_its_side_still_gets_everything(
        gatepost, backend_kind):
    count, got = 4 << 20, []

    def after(conversation):
        conversation.send(b"* BYE last words\r\n")
        conversation.half_close()
        digest = hashlib.sha256()
        for piece in iter(conversation.read_some, b""):
            digest.update(piece)
        got.append(digest.hexdigest())

    _, routes = backend_kind(after)
    front = gatepost(routes)
    client = front.secure()
    client.send(b"a LOGIN u p\r\n")
    client.read_reply("a")
    before = front.resting_descriptors()

    assert client.read_line() == b"* BYE last words\r\n"
    client.read_to_end(5)
    assert client.saw_close_notify
    for piece in pattern(count):
        client.send_raw(client.seal(piece))
    client.half_close()

    wait_for(lambda: got, 10)
    assert got == [digest_of(pattern(count))]
    front.wait_descriptors(before - 2)


@pytest.mark.threat("F3")
@pytest.mark.parametrize("who", ["client", "backend"])
def test_f3_half_a_session_ends_after_its_time(
        gatepost, fake_backend, who):
    def after(conversation):
        if who == "backend":
            conversation.half_close()
        conversation.linger()

    backend = fake_backend(ImapServer(after=after))
    front = gatepost(routes_to(backend), timeouts={"half_closed": 2})
    client = front.logged_in()
    before = front.resting_descriptors()
    start = time.monotonic()

    if who == "client":
        client.half_close()
    front.wait_descriptors(before - 2, 6)

    assert 1.5 < time.monotonic() - start < 4.5


@pytest.mark.threat("F3")
@pytest.mark.parametrize("who", ["client", "backend"])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_f3_one_side_that_dies_ends_the_other(
        gatepost, fake_backend, who, how):
    go = threading.Event()

    def after(conversation):
        if who == "client":
            conversation.read_to_end()
        elif how == "reset":
            go.wait(10)
            conversation.reset()
        else:
            go.wait(10)

    backend = fake_backend(ImapServer(after=after))
    front = gatepost(routes_to(backend))
    client = front.logged_in()
    before = front.resting_descriptors()

    if who == "backend":
        go.set()
        client.read_to_end(5)
        client.abandon()
    elif how == "reset":
        client.reset()
    else:
        client.half_close()
        client.abandon()

    assert backend.conversation().ended.wait(5)
    front.wait_descriptors(before - 2)
    front.session_end()


@pytest.mark.threat("F4")
def test_f4_stalled_sessions_cost_no_cpu(
        gatepost, fake_backend, times, sanitizer):
    """Both sides full, nobody reads, on many sessions."""
    backend = fake_backend(ImapServer(after=pouring(64 << 20)))
    front = gatepost(routes_to(backend))
    clients = []
    for number in range(times(60, 1000)):
        client = front.secure(rcvbuf=4096)
        client.send(b"a LOGIN u%d p\r\n" % number)
        clients.append(client)
    still(lambda: round(front.cpu(), 1), 1)
    before = front.cpu()

    time.sleep(3)

    assert front.cpu() - before <= 0.06
    for client in clients:
        client.reset()


@pytest.mark.threat("F4")
def test_f4_a_half_closed_and_blocked_session_costs_no_cpu(
        gatepost, fake_backend):
    def after(conversation):
        conversation.half_close()
        time.sleep(8)

    backend = fake_backend(ImapServer(after=after))
    front = gatepost(routes_to(backend))
    client = front.logged_in()
    client.read_to_end(2)
    time.sleep(0.3)
    before = front.cpu()

    time.sleep(2)

    assert front.cpu() - before <= 0.03


@pytest.mark.threat("F5")
@pytest.mark.parametrize("timeouts", [{}, {"idle": 2100}])
def test_f5_an_idle_of_thirty_one_minutes_survives(
        gatepost, backend_kind, timeouts):
    """600 times as fast: 31.5 minutes are 3.15 seconds."""
    def after(conversation):
        tag = conversation.read_line().split()[0]
        conversation.send(b"+ idling\r\n")
        time.sleep(31.5 * 60 / 600)
        conversation.send(b"* 2 EXISTS\r\n")
        assert conversation.read_line() == b"DONE\r\n"
        conversation.send(tag + b" OK idled\r\n")
        conversation.read_to_end()

    _, routes = backend_kind(after)
    # The deadlines before the login run as fast; they are made roomy.
    front = gatepost(routes, env={"GATEPOST_FAULT_CLOCK_SCALE": "600"},
                     timeouts=dict({"before_login": 7200, "greeting": 3600,
                                    "handshake": 3600, "connect": 3600,
                                    "backend_tls": 3600,
                                    "login_reply": 3600}, **timeouts))
    client = front.logged_in()

    client.send(b"i IDLE\r\n")
    assert client.read_line() == b"+ idling\r\n"
    assert client.read_line(8) == b"* 2 EXISTS\r\n"
    client.send(b"DONE\r\n")

    assert client.read_line() == b"i OK idled\r\n"


def kernel_timers():
    """{(local port, remote port): (kind, seconds)}; kind 02 is keepalive."""
    timers = {}
    with open("/proc/net/tcp", encoding="ascii") as table:
        next(table)
        for row in table:
            fields = row.split()
            local, remote = (int(field.rsplit(":", 1)[1], 16)
                             for field in fields[1:3])
            kind, when = fields[5].split(":")
            timers[local, remote] = (
                kind, int(when, 16) / os.sysconf("SC_CLK_TCK"))
    return timers


def wait_keepalive(ours, idle):
    """Until the sockets, and there are some, count down from `idle`."""
    deadline = time.monotonic() + 10
    while True:
        timers = [timer for ports, timer in kernel_timers().items()
                  if ours(*ports)]
        if timers and all(kind == "02" and idle - 15 <= when <= idle
                          for kind, when in timers):
            return
        assert time.monotonic() < deadline, timers
        time.sleep(0.05)


@pytest.mark.threat("F5")
@pytest.mark.parametrize("idle", [None, 40])
def test_f5_keepalive_is_on_at_both_legs(gatepost, fake_backend, idle):
    """At the client's from the accept; at the backend's once the session has
    lasted a minute, which here is a second."""
    backend = fake_backend(ImapServer())
    front = gatepost(routes_to(backend),
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "60"},
                     timeouts={"keepalive": {"idle": idle}} if idle else {})
    client = front.logged_in()

    wait_keepalive(lambda local, remote: remote == client.local[1] and
                   local == front.address()[1], idle or 300)
    wait_keepalive(lambda local, remote: remote == backend.port and
                   local != backend.port, idle or 300)


def test_new_mail_reaches_an_idling_client(
        gatepost, dovecots, sharded_routes):
    front = gatepost(sharded_routes)
    idler = front.logged_in("bert@example.org", "secret-bert")
    idler.command("SELECT INBOX")
    idler.send(b"i IDLE\r\n")
    assert idler.read_line().startswith(b"+")
    writer = front.logged_in("bert@example.org", "secret-bert")
    message = b"Subject: news\r\n\r\nhello\r\n"

    writer.send(b"a APPEND INBOX {%d}\r\n" % len(message))
    assert writer.read_line().startswith(b"+")
    writer.send(message + b"\r\n")
    assert writer.read_reply("a")[-1].startswith(b"a OK")

    assert b"EXISTS" in idler.read_line(10)
    idler.send(b"DONE\r\n")
    assert idler.read_reply("i")[-1].startswith(b"i OK")


@pytest.mark.threat("F6")
def test_f6_what_is_spliced_is_not_inspected(gatepost, fake_backend):
    backend = fake_backend(ImapServer(after=echo))
    front = gatepost(routes_to(backend))
    client = front.logged_in()
    odd = (b"a APPEND x {2147483648}\r\n" + bytes(range(256)) * 20 +
           b"GET / HTTP/1.1\r\n" + b"(" * 40000 + b"STARTTLS\r\n")

    client.send(odd)

    assert client.read_exact(len(odd)) == odd


def test_both_legs_end_with_close_notify(
        gatepost, fake_backend, server_context):
    backend = fake_backend(ImapServer(after=sink), tls=server_context())
    front = gatepost(routes_to(backend, tls="implicit", ca="ca.pem",
                               tls_name="localhost"))
    client = front.logged_in()

    client.half_close()
    client.read_to_end(5)

    assert client.saw_close_notify
    assert backend.conversation().ended.wait(5)
    assert backend.conversation().saw_close_notify


def test_small_writes_are_not_delayed(gatepost, fake_backend):
    backend = fake_backend(ImapServer(after=echo))
    front = gatepost(routes_to(backend))
    client = front.logged_in()
    assert client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    start = time.monotonic()
    for _ in range(50):
        client.send(b"x")
        client.send(b"y")
        client.read_exact(2)

    assert time.monotonic() - start < 1


def test_bytes_each_way_are_counted(gatepost, fake_backend):
    backend = fake_backend(ImapServer(after=sink))
    front = gatepost(routes_to(backend))
    first, second = front.logged_in("u1"), front.logged_in("u2")

    first.send(b"x" * 100000)
    for client in (first, second):
        client.half_close()
        client.read_to_end(5)
    big, small = (front.session_end(user=user) for user in ("u1", "u2"))

    numbers = {key for key in big if isinstance(big[key], int) and
               big[key] - small.get(key, 0) == 100000}
    assert numbers, (big, small)
