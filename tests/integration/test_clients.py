"""Real clients, through both listeners, as users of two shards.

| Client | log in | list | select | fetch | append | search |
|---|---|---|---|---|---|---|
| curl | AUTHENTICATE | yes | EXAMINE, SELECT | yes | yes | yes |
| mbsync | LOGIN | as `Patterns *` | yes | by pulling | by pushing | never |
| offlineimap3 | AUTHENTICATE | yes | yes | by pulling | by pushing | never |
| fetchmail | LOGIN | never | yes | yes | never | UNSEEN |
| getmail6 | LOGIN | as `ALL` | EXAMINE | yes | never | yes |
| imaplib | LOGIN | yes | yes | yes | yes | yes |
| openssl s_client | LOGIN, typed | typed | typed | typed | typed | typed |
| gnutls-cli | LOGIN, typed | typed | typed | typed | typed | typed |
| imapflow | AUTHENTICATE | yes | yes | yes | yes | yes |
| imapfilter | LOGIN | yes | yes | yes | yes | yes |
| neomutt | AUTHENTICATE LOGIN | by browsing | yes | yes | yes | yes |
| Thunderbird | AUTHENTICATE | as folders | yes | as shown | yes | never |

mbsync and offlineimap3 compare UIDs by themselves and never search, and
Thunderbird searches in what it has; fetchmail reads the one folder that it
is told to, looks for what is unseen, and delivers locally. getmail6 knows no
STARTTLS: at that listener it is turned away. Each verifies the front's
certificate, and refuses one of an authority that it was not told of; but
offlineimap3 looks at none after STARTTLS. Both shards know both users and
hold other mail for each, so what a client sees tells which server it came
from."""

import os
import subprocess
import uuid

import pytest

from gatepost_test.certs import Authority
from gatepost_test.clients import (
    CLIENTS, NO_STARTTLS, NO_VERIFYING, Visit, getmail, thunderbird)
from gatepost_test.dovecot import Dovecot, stop_all

USERS = {"alice@example.org": "secret-alice", "bob@example.org": "secret-bob"}

# Each client's words for a certificate that nobody it trusts has signed.
DISTRUST = (r"certificate verify failed|local issuer certificate|"
            r"Error in the certificate|UNABLE_TO_VERIFY_LEAF_SIGNATURE|"
            r"asks about a certificate|does not come from a trusted source")

# A desktop program starts slowly where others need the cores.
LIMITS = {thunderbird: 240}


def each_client(but):
    """Each client through each listener, but for what some cannot do after
    STARTTLS."""
    return pytest.mark.parametrize("client, tls", [
        pytest.param(client, tls, id=f"{client.__name__}-{tls}",
                     marks=pytest.mark.limit(LIMITS.get(client, 60)))
        for client in CLIENTS for tls in ("implicit", "starttls")
        if tls == "implicit" or client not in but])


@pytest.fixture(scope="module")
def twins(leaf):
    """Two Dovecots with the same users and different mail: alice's shard is
    the first, bob's the second. Each has a folder named after itself."""
    shards = []
    try:
        for name in ("shard-a", "shard-b"):
            shards.append(Dovecot(name, leaf, USERS))
            for user, password in USERS.items():
                add_folder(shards[-1], user, password, f"only-{name}")
        yield shards
    finally:
        stop_all(shards)


def add_folder(shard, user, password, name):
    subprocess.run(
        ["curl", "--silent", "--fail", "--user", f"{user}:{password}",
         "-X", f"CREATE {name}", f"imap://127.0.0.1:{shard.plain_port}/"],
        stdout=subprocess.DEVNULL, timeout=20, check=True)


@pytest.fixture
def routes(twins):
    """The first shard is reached in clear, the second over TLS."""
    first, second = twins
    return {
        "backends": {
            "a1": {"host": first.host, "port": first.plain_port,
                   "tls": "none"},
            "b1": {"host": second.host, "port": second.tls_port,
                   "tls": "implicit", "tls_name": "localhost",
                   "ca": "ca.pem"}},
        "pools": {"shard-a": {"backends": ["a1"]},
                  "shard-b": {"backends": ["b1"]}},
        "users": {"bob@example.org": "shard-b"},
        "domains": {"example.org": "shard-a"}}


def visit_of(front, tls, user, folder, ca="ca.pem"):
    """A visit that looks for, and leaves, a message never seen before."""
    mark = uuid.uuid4().hex
    place = os.path.join(folder, "client")
    os.mkdir(place)
    return Visit(
        port=front.address(tls)[1], starttls=tls == "starttls", user=user,
        password=USERS[user], ca=os.path.join(folder, ca), folder=place,
        wanted=f"wanted-{mark}",
        message=f"From: client@example.org\r\nDate: Fri, 1 Jan 2021 "
                f"00:00:00 +0000\r\nMessage-ID: <{mark}@example.org>\r\n"
                f"Subject: left-{mark}\r\n\r\nleft\r\n")


def holds(shard, user, text):
    """Whether a message in the user's INBOX on disk contains the text."""
    box = shard.mailbox(user)
    for part in ("new", "cur"):
        for name in os.listdir(f"{box}/{part}"):
            with open(f"{box}/{part}/{name}", encoding="utf-8") as message:
                if text in message.read():
                    return True
    return False


@each_client(but=NO_STARTTLS)
@pytest.mark.parametrize("user, shard", [("alice@example.org", 0),
                                         ("bob@example.org", 1)])
def test_a_client_works_on_its_users_own_server(
        gatepost, twins, routes, folder, client, tls, user, shard):
    front = gatepost(routes)
    mine, other = twins[shard], twins[1 - shard]
    visit = visit_of(front, tls, user, folder)
    for one in twins:
        one.deliver(user, visit.wanted, f"from {one.name}\r\n")

    seen = client(visit)

    assert set(seen) == CLIENTS[client]
    if "list" in seen:
        assert f"only-{mine.name}" in seen["list"]
        assert f"only-{other.name}" not in seen["list"]
    assert seen["select"] >= 2
    assert visit.wanted in seen["fetch"]
    assert f"from {mine.name}" in seen["fetch"]
    assert f"from {other.name}" not in seen["fetch"]
    if "search" in seen:
        assert len(seen["search"]) >= 1
    if "append" in seen:
        assert seen["append"]
        assert holds(mine, user, visit.message.splitlines()[2])
        assert not holds(other, user, visit.message.splitlines()[2])
    ended = front.session_end(user=user)
    assert ended["backend"] == ("a1", "b1")[shard]


@each_client(but=NO_VERIFYING)
def test_a_client_refuses_a_front_that_its_authority_did_not_sign(
        gatepost, twins, routes, folder, client, tls):
    front = gatepost(routes)
    Authority("Another authority").save(folder, "other")
    visit = visit_of(front, tls, "alice@example.org", folder, "other.pem")

    with pytest.raises(Exception, match=DISTRUST):
        client(visit)

    front.wait_log("session-end")
    assert not any(entry.get("user") for entry in front.log)


def test_a_client_without_starttls_is_turned_away(
        gatepost, twins, routes, folder):
    front = gatepost(routes)
    visit = visit_of(front, "starttls", "alice@example.org", folder)

    with pytest.raises(RuntimeError, match="PRIVACYREQUIRED"):
        getmail(visit)

    front.wait_log("session-end")
    assert not any(entry.get("user") for entry in front.log)
