"""Much at once, in front of two real Dovecots: large messages, many
sessions, many reloads. The first shard is reached in clear, the second over
TLS; both know all users and hold other mail for each."""

import base64
import hashlib
import os
import random
import re
import time

import pytest

from gatepost_test import procfs
from gatepost_test.crowd import Crowd, Person
from gatepost_test.dovecot import Dovecot, stop_all

LARGE = 100 << 20
MIB = 1 << 20

SHARDS = ("shard-a", "shard-b")
CROWD = 50  # users; every fifth is moved from shard to shard
MOVED = {f"user{number}@example.org" for number in range(4, CROWD, 5)}
LETTER_BOXES = [f"{shard}-{use}@example.org" for shard in SHARDS
                for use in ("append", "stall", "idle")]
USERS = {user: f"secret-{user}" for user in
         [f"user{number}@example.org" for number in range(CROWD)] +
         LETTER_BOXES}

each_shard = pytest.mark.parametrize("shard", [0, 1], ids=["plain", "tls"])


@pytest.fixture(scope="module")
def shards(leaf):
    """Two Dovecots that both know all users."""
    started = []
    try:
        for name in SHARDS:
            started.append(Dovecot(name, leaf, USERS))
        yield started
    finally:
        stop_all(started)


def home_of(user, moved_to=0):
    """The index of the user's shard."""
    if user in MOVED:
        return moved_to
    if user.startswith("shard-"):
        return SHARDS.index(user[:7])
    return int(re.match(r"user(\d+)", user).group(1)) % 2


def routes_for(shards, moved_to=0):
    """Users by name, and as many strangers that a leak of tables shows."""
    first, second = shards
    table = {user: SHARDS[home_of(user, moved_to)] for user in USERS}
    table.update((f"stranger{number}@example.net", "shard-a")
                 for number in range(1000))
    return {
        "backends": {
            "a1": {"host": first.host, "port": first.plain_port,
                   "tls": "none"},
            "b1": {"host": second.host, "port": second.tls_port,
                   "tls": "implicit", "tls_name": "localhost",
                   "ca": "ca.pem"}},
        # Each user is several people here, some of whom are moved to and fro:
        # with one backend per user they would end each other's sessions.
        "pools": {"shard-a": {"backends": ["a1"],
                              "one_backend_per_user": False},
                  "shard-b": {"backends": ["b1"],
                              "one_backend_per_user": False}},
        "users": table}


def large_message(seed):
    """100 MiB of lines that no compressor or repeat could fake."""
    head = f"From: large@example.org\r\nSubject: large {seed}\r\n\r\n"
    source, parts, size = random.Random(seed), [head.encode()], len(head)
    while size < LARGE:
        text = base64.encodebytes(source.randbytes(57 << 14))
        parts.append(text.replace(b"\n", b"\r\n"))
        size += len(parts[-1])
    return b"".join(parts)[:LARGE - 2] + b"\r\n"


def sha256(octets):
    return hashlib.sha256(octets).hexdigest()


def fetched_sha256(client, count):
    """The hash of the literal that a FETCH under way brings."""
    line = client.read_line(60)
    while b"BODY[]" not in line:
        line = client.read_line(60)
    assert line.endswith(b"{%d}\r\n" % count), line
    digest = hashlib.sha256()
    while count:
        octets = client.read_exact(min(count, MIB), 60)
        digest.update(octets)
        count -= len(octets)
    return digest.hexdigest()


def stored_sha256(shard, user, size):
    """The hash of the one large message on the server's disk, with the line
    ends that it has on the wire."""
    found = []
    for part in ("new", "cur"):
        folder = f"{shard.mailbox(user)}/{part}"
        found += [f"{folder}/{name}" for name in os.listdir(folder)
                  if os.path.getsize(f"{folder}/{name}") > size // 2]
    assert len(found) == 1, found
    with open(found[0], "rb") as message:
        octets = message.read()
    if b"\r\n" not in octets[:1000]:
        octets = octets.replace(b"\n", b"\r\n")
    return sha256(octets)


def append(client, user_text):
    """APPEND, reading meanwhile; the tagged line's text."""
    client.send(b"a APPEND INBOX {%d}\r\n" % len(user_text))
    assert client.read_line().startswith(b"+")
    heard = bytearray()
    view = memoryview(user_text)
    client.exchange(
        [view[at:at + MIB] for at in range(0, len(view), MIB)] + [b"\r\n"],
        heard.extend, 90, lambda: b"\r\na " in b"\r\n" + heard and
        heard.endswith(b"\r\n"))
    return re.search(rb"(?:^|\n)a ([^\r]*)\r\n", heard).group(1)


@each_shard
@pytest.mark.limit(150)
def test_100_mb_keep_every_byte_on_the_way_in_and_out(
        gatepost, shards, client_context, shard):
    front = gatepost(routes_for(shards))
    user = f"{SHARDS[shard]}-append@example.org"
    message = large_message(shard)
    wanted = sha256(message)
    client = front.logged_in(user, USERS[user], context=client_context)
    client.command("SELECT INBOX")
    memory = front.rss()

    answer = append(client, message)
    client.send(b"f FETCH 2 BODY.PEEK[]\r\n")
    got = fetched_sha256(client, LARGE)

    assert answer.startswith(b"OK"), answer
    assert stored_sha256(shards[shard], user, LARGE) == wanted
    assert got == wanted
    assert client.read_reply("f")[-1].startswith(b"f OK")
    assert front.rss() - memory < (40 if front.sanitizer else 4) * MIB
    client.abandon()
    ended = front.session_end(user=user)
    assert ended["backend"] == ("a1", "b1")[shard]


@each_shard
@pytest.mark.limit(150)
def test_who_stops_reading_100_mb_costs_no_memory(
        gatepost, shards, client_context, shard):
    front = gatepost(routes_for(shards))
    user = f"{SHARDS[shard]}-stall@example.org"
    shards[shard].deliver(user, "large", large_message(shard + 2).decode())
    client = front.logged_in(user, USERS[user], context=client_context,
                             rcvbuf=65536)
    client.command("SELECT INBOX")
    number = client.command("SEARCH LARGER 1000000")[0].split()[-1].decode()
    size = int(re.search(rb"RFC822.SIZE (\d+)", client.command(
        f"FETCH {number} RFC822.SIZE")[0]).group(1))
    before, samples = front.rss(), []

    client.send(f"f FETCH {number} BODY.PEEK[]\r\n".encode())
    for _ in range(30):
        time.sleep(0.1)
        samples.append(front.rss() - before)
    got = fetched_sha256(client, size)

    assert max(samples) < (34 if front.sanitizer else 2) * MIB, samples
    assert got == stored_sha256(shards[shard], user, LARGE)
    assert client.read_reply("f")[-1].startswith(b"f OK")


@each_shard
def test_a_new_message_reaches_another_clients_idle(
        gatepost, shards, client_context, shard):
    front = gatepost(routes_for(shards))
    user = f"{SHARDS[shard]}-idle@example.org"
    idler = front.logged_in(user, USERS[user], context=client_context)
    count = int(re.search(rb"\* (\d+) EXISTS", b"".join(
        idler.command("SELECT INBOX"))).group(1))
    idler.send(b"i IDLE\r\n")
    assert idler.read_line().startswith(b"+")
    writer = front.starttls(client_context)
    assert writer.login(user, USERS[user]).startswith(b"OK")

    assert append(writer, b"Subject: news\r\n\r\nhello\r\n").startswith(b"OK")

    idler.read_until(b"* %d EXISTS\r\n" % (count + 1))
    idler.send(b"DONE\r\n")
    assert idler.read_reply("i")[-1].startswith(b"i OK")
    assert b"hello" in b"".join(idler.command(f"FETCH {count + 1} BODY[]"))


def test_an_idle_of_half_an_hour_and_more_stays_awake(
        gatepost, shards, client_context):
    """600 times as fast: 3.3 seconds are 33 minutes to Gatepost."""
    roomy = {"before_login": 36000, "greeting": 3600, "handshake": 3600,
             "connect": 3600, "backend_tls": 3600, "login_reply": 3600}
    front = gatepost(routes_for(shards), timeouts=roomy,
                     env={"GATEPOST_FAULT_CLOCK_SCALE": "600"})
    idlers = []
    for name in SHARDS:
        user = f"{name}-idle@example.org"
        idlers.append(front.logged_in(user, USERS[user],
                                      context=client_context))
        idlers[-1].command("SELECT INBOX")
        idlers[-1].send(b"i IDLE\r\n")
        assert idlers[-1].read_line().startswith(b"+")

    time.sleep(3.3)
    for shard, name in zip(shards, SHARDS):
        shard.deliver(f"{name}-idle@example.org", "late")

    for idler in idlers:
        idler.read_until(b" EXISTS\r\n")  # Dovecot says "Still here" too
        idler.send(b"DONE\r\n")
        assert idler.read_reply("i")[-1].startswith(b"i OK")


# -- 200 sessions and 200 reloads ------------------------------------------

def crowd_of(front, context, count):
    """`count` people; every tenth stays for the whole time, and nobody who
    is moved does."""
    people = []
    for number in range(count):
        user = f"user{number % CROWD}@example.org"
        home = None if user in MOVED else SHARDS[home_of(user)]
        people.append(Person(front.address(), context, user, USERS[user],
                             home, stays=home and number % 10 < 2))
    return Crowd(people)


def put(folder, leaf):
    """Puts a certificate in place as an operator should: by rename."""
    chain, key = leaf.save(folder, "next")
    os.replace(chain, f"{folder}/tls.pem")
    os.replace(key, f"{folder}/tls.key")


def reload_often(front, shards, folder, leaves, count, seconds):
    """`count` reloads spread over the time, each with other routes and
    another certificate."""
    start = time.monotonic()
    for number in range(1, count + 1):
        front.write_routes(routes_for(shards, number % 2))
        put(folder, leaves[number % 2])
        front.reload(timeout=40)
        left = start + number * seconds / count - time.monotonic()
        time.sleep(max(left, 0))


def wait_all_ended(front):
    """Waits until each login's session ended, and says by what."""
    deadline = time.monotonic() + 20
    while True:
        logins = [entry for entry in front.log if entry["event"] == "login"]
        ends = [entry for entry in front.log
                if entry["event"] == "session-end" and entry.get("backend")]
        if len(logins) == len(ends):
            return {entry["reason"] for entry in ends}
        assert time.monotonic() < deadline, "sessions do not end"
        time.sleep(0.05)


@pytest.mark.limit(240)
def test_200_sessions_at_work_bear_200_reloads(
        gatepost, shards, folder, leaf, authority, client_context,
        sanitizer, times):
    """A first, short crowd brings memory and descriptors to what such a crowd
    leaves behind; the second, longer one must not leave more."""
    people, reloads, seconds = 200, times(200, 1000), times(15, 150)
    if sanitizer:
        people, reloads, seconds = 40, 30, 8
    leaves = [leaf, authority.issue("imap.example.test", "localhost")]
    front = gatepost(routes_for(shards))
    with crowd_of(front, client_context, people) as crowd:
        crowd.wait_all_in(60)
        reload_often(front, shards, folder, leaves, 20, 3)
    assert not crowd.failures()
    wait_all_ended(front)
    descriptors = front.resting_descriptors()
    assert descriptors < 40, "the first crowd left some"
    memory = procfs.rss_bytes(front.pid)

    with crowd_of(front, client_context, people) as crowd:
        crowd.wait_all_in(60)
        reload_often(front, shards, folder, leaves, reloads, seconds)

    assert not crowd.failures()
    sessions = sum(person.sessions for person in crowd.people)
    commands = sum(person.commands for person in crowd.people)
    print(f"{sessions} sessions, {commands} commands")
    assert sessions > people * 1.5
    assert {1} == {person.sessions for person in crowd.people
                   if person.stays}
    assert len(set().union(*(one.certificates for one in crowd.people))) == 2
    assert set(SHARDS) == set().union(*(
        one.homes for one in crowd.people if one.home is None))
    assert wait_all_ended(front) == {"backend-closed"}
    assert front.resting_descriptors() == descriptors
    grown = procfs.rss_bytes(front.pid) - memory
    print(f"{grown} bytes more")
    assert grown < (64 if sanitizer else 2) * MIB
