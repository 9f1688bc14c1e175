"""Handshakes that stop, break or crawl, and TLS that ends by force
(rows B10, B11, B12, B14)."""

import ssl
import time

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer, sink
from gatepost_test.wire import WireEnded, trusting


def hello_to(front):
    """What a client says first. Its own connection would be accepted seconds
    later, since it is silent, and be counted with the others."""
    with front.connect() as silent:
        return silent.start_tls()


@pytest.mark.threat("B10")
def test_b10_thousands_of_half_client_hellos_end_at_the_deadline(
        gatepost, backend, times):
    count = times(2000, 5000)
    front = gatepost(routes_to(backend), timeouts={"handshake": 3})
    hello = hello_to(front)
    front.secure().abandon()
    before = front.resting_descriptors()
    start = time.monotonic()

    clients = []
    for _ in range(count):
        client = front.connect()
        client.send_raw(hello[:len(hello) // 2])
        clients.append(client)
    opened = time.monotonic() - start
    held = 0
    while held < count * 0.8 and time.monotonic() - start < 2.9:
        held = front.descriptors() - before  # accepting lags a little
    good = front.secure()
    assert good.command("NOOP")[-1].startswith(b"OK")
    good.abandon()
    front.wait_descriptors(before, timeout=opened + 8)

    if opened < 2.5:
        assert held >= count * 0.8
    assert time.monotonic() - start < opened + 6
    for client in clients:
        assert client.read_to_end(1) is not None
        client.abandon()


@pytest.mark.threat("B10")
def test_b10_memory_of_half_handshakes_is_given_back(
        gatepost, backend, sanitizer):
    front = gatepost(routes_to(backend), timeouts={"handshake": 1})
    hello = hello_to(front)
    sizes, resting = [], front.resting_descriptors()
    for _ in range(3):
        clients = [front.connect() for _ in range(300)]
        for client in clients:
            client.send_raw(hello[:-1])
        deadline = time.monotonic() + 5
        while front.descriptors() < resting + 250:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for client in clients:
            client.tls = None
            client.read_to_end(4)
            client.abandon()
        front.wait_descriptors(resting + 10)
        sizes.append(front.rss())

    assert sizes[-1] - sizes[1] < (32 if sanitizer else 4) << 20, sizes


class Budget:
    """A client whose connection is cut after so many sent bytes."""

    def __init__(self, client, count):
        self.client, self.left = client, count
        self.spent = 0
        self._send = client.send_raw
        client.send_raw = self.send

    def send(self, octets, chunk=None, gap=0):
        octets = octets[:self.left] if self.left is not None else octets
        self._send(octets)
        self.spent += len(octets)
        if self.left is not None:
            self.left -= len(octets)
            if self.left == 0:
                raise WireEnded("cut here")


@pytest.mark.limit(120)
@pytest.mark.threat("B11")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("how", ["implicit", "starttls"])
def test_b11_a_handshake_cut_anywhere_harms_nobody(
        gatepost, backend, version, how):
    front = gatepost(routes_to(backend))
    context = trusting(minimum=version, maximum=version)

    def begin():
        client = front.connect(how)
        if how == "starttls":
            client.read_line()
            client.send(b"a STARTTLS\r\n")
            client.read_reply("a")
        return client

    whole = begin()
    budget = Budget(whole, None)
    whole.handshake(context)
    whole.abandon()
    total = budget.spent
    bystander = front.secure()
    before = front.resting_descriptors()

    points = sorted({1 + total * step // 150 for step in range(150)})
    for number, point in enumerate(points):
        client = begin()
        Budget(client, min(point, total))
        with pytest.raises(WireEnded):
            client.handshake(context)
        if number % 3 == 0:
            client.abandon()
        elif number % 3 == 1:
            client.reset()
        else:
            client.half_close(notify=False)
            client.abandon()

    front.wait_descriptors(before)
    assert bystander.command("NOOP")[-1].startswith(b"OK")
    assert backend.connects == 0


@pytest.mark.threat("B11")
def test_b11_a_client_hello_with_any_byte_broken_harms_nobody(
        gatepost, backend, times):
    front = gatepost(routes_to(backend))
    bystander = front.secure()
    before = front.resting_descriptors()
    hello = hello_to(front)

    for index in range(0, len(hello), times(3, 1)):
        client = front.connect()
        broken = bytearray(hello)
        broken[index] ^= 0xff
        client.send_raw(bytes(broken))
        client.half_close(notify=False)
        client.abandon()

    front.wait_descriptors(before)
    assert bystander.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("B12")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_b12_records_in_single_bytes_are_served(gatepost, backend, version):
    front = gatepost(routes_to(backend))
    client = front.connect()
    client.handshake(trusting(minimum=version, maximum=version), chunk=1)
    client.read_line()
    records = client.seal(b"a LOGIN u p\r\n")
    client.send_raw(records, chunk=1)
    login = client.read_reply("a")
    client.send_raw(client.seal(b"b NOOP\r\n"), chunk=1)

    assert login[-1].startswith(b"a OK")
    assert client.read_reply("b")[-1].startswith(b"b OK")


@pytest.mark.threat("B12", "F4")
def test_b12_half_a_record_costs_no_cpu(gatepost, backend):
    front = gatepost(routes_to(backend))
    clients = []
    for stage in ("handshake", "before login", "spliced"):
        for _ in range(10):
            client = front.connect()
            if stage == "handshake":
                client.send_raw(client.start_tls()[:100])
            else:
                client.handshake()
                client.read_line()
                if stage == "spliced":
                    client.login()
                client.send_raw(client.seal(b"a NOOP\r\n")[:9])
            clients.append(client)
    time.sleep(0.3)
    before = front.cpu()

    time.sleep(2)

    assert front.cpu() - before <= 0.05


@pytest.mark.threat("B12")
def test_b12_a_slow_stream_of_single_bytes_costs_little_cpu(
        gatepost, backend, sanitizer):
    front = gatepost(routes_to(backend))
    client = front.logged_in()
    records = client.seal(b"a NOOP " + b"x" * 400 + b"\r\n")
    before = front.cpu()

    client.send_raw(records, chunk=1, gap=0.004)
    client.read_reply("a")

    assert front.cpu() - before < (0.5 if sanitizer else 0.1)


@pytest.mark.threat("B14")
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_b14_a_cut_in_the_middle_of_append_forges_nothing(
        gatepost, fake_backend, how):
    backend = fake_backend(ImapServer(after=sink))
    front = gatepost(routes_to(backend))
    client = front.logged_in()
    clean = front.logged_in()
    begun = b"a APPEND INBOX {1000}\r\n" + b"x" * 500

    client.send(begun)
    conversation = backend.conversation()
    deadline = time.monotonic() + 5
    while not conversation.received.endswith(begun):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if how == "rst":
        client.reset()
    else:
        client.half_close(notify=False)
    assert conversation.ended.wait(5)
    cut = front.session_end()
    since = front.mark()
    clean.half_close()
    clean.read_to_end()

    assert conversation.received.endswith(begun)
    assert cut["reason"] != front.session_end(since)["reason"]


@pytest.mark.threat("B14")
def test_b14_a_record_cut_in_its_middle_delivers_nothing_of_it(
        gatepost, fake_backend):
    backend = fake_backend(ImapServer(after=sink))
    front = gatepost(routes_to(backend))
    client = front.logged_in()
    client.send(b"whole")

    client.send_raw(client.seal(b"a DELETE INBOX\r\n")[:-1])
    client.half_close(notify=False)

    assert backend.conversation().ended.wait(5)
    assert backend.conversation().received.endswith(b"whole")


@pytest.mark.threat("B14")
def test_b14_a_real_server_stores_no_truncated_message(
        gatepost, dovecots, sharded_routes):
    front = gatepost(sharded_routes)
    client = front.logged_in("anna@example.org", "secret-anna")
    other = front.logged_in("anna@example.org", "secret-anna")
    count = other.command("STATUS INBOX (MESSAGES)")[0]

    client.send(b"a APPEND INBOX {100}\r\n")
    assert client.read_line().startswith(b"+")
    client.send(b"Subject: cut\r\n\r\n" + b"x" * 30)
    client.half_close(notify=False)
    client.abandon()
    front.session_end(user="anna@example.org")

    assert other.command("STATUS INBOX (MESSAGES)")[0] == count


@pytest.mark.threat("B9")
def test_b9_records_that_fail_to_open_end_only_their_session(
        gatepost, backend):
    front = gatepost(routes_to(backend))
    client, bystander = front.secure(), front.secure()
    record = client.seal(b"a NOOP\r\n")

    client.send_raw(record)
    assert client.read_reply("a")[-1].startswith(b"a OK")
    client.send_raw(record * 50)
    client.read_to_end(5)

    assert client.ended
    assert bystander.command("NOOP")[-1].startswith(b"OK")
