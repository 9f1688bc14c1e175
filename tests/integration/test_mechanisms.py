"""Mechanisms in front of real servers: SCRAM and tokens, which only the
backend can judge, EXTERNAL by a master user, and who the client is by ID and
by the PROXY protocol."""

import json
import os
import subprocess

import pytest

from gatepost_test.certs import CLIENT, Authority
from gatepost_test.cyrus import ADMIN, MASTER, Cyrus
from gatepost_test.dovecot import Dovecot
from gatepost_test.gatepost import routes_to
from gatepost_test.introspection import Introspection
from gatepost_test.mailutils import Mailutils
from gatepost_test.ports import free_port
from gatepost_test.sasl import DIGESTS, bearer, encoded, scram
from gatepost_test.wire import trusting

ALICE, SECRET = "alice@example.org", "secret-alice"
ODD = "a=c,e@example.org"  # what SCRAM has to escape
USERS = {ALICE: SECRET, "bob@example.org": "secret-bob", ODD: "p\u00e4ss"}
FAILED = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
OFFERED = ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2",
           "OAUTHBEARER"]

each_scram = pytest.mark.parametrize("mechanism", DIGESTS)
each_token = pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])

_DOVECOT = """\
auth_mechanisms = plain login scram-sha-1 scram-sha-256 xoauth2 oauthbearer
login_trusted_networks = 127.0.0.1
haproxy_trusted_networks = 127.0.0.1
haproxy_timeout = 3 s
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
service imap-login {{
  inet_listener proxied {{
    port = {proxied}
    haproxy = yes
  }}
  inet_listener proxied_tls {{
    port = {proxied_tls}
    haproxy = yes
    ssl = yes
  }}
}}
"""

_OAUTH2 = """\
introspection_mode = get
introspection_url = {url}
username_attribute = email
active_attribute = active
active_value = true
timeout_msecs = 5000
"""


@pytest.fixture(scope="module")
def tokens():
    """The local server that says which tokens are good."""
    server = Introspection({
        "good-alice": {"active": True, "email": ALICE},
        "expired-alice": {"active": False, "email": ALICE},
        "good-bob": {"active": True, "email": "bob@example.org"}})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def dovecot(leaf, session_folder, tokens):
    """A Dovecot that knows every mechanism and trusts Gatepost's address."""
    os.chmod(session_folder, 0o755)
    with open(f"{session_folder}/oauth2.conf", "w") as out:
        out.write(_OAUTH2.format(url=tokens.url))
    proxied, proxied_tls = free_port(), free_port()
    server = Dovecot("mechanisms", leaf, USERS, more=_DOVECOT.format(
        folder=session_folder, proxied=proxied, proxied_tls=proxied_tls))
    server.proxied, server.proxied_tls = proxied, proxied_tls
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cyrus(leaf):
    """A Cyrus that knows SCRAM and a master user."""
    if os.getuid() != 0:
        pytest.skip("cyrus becomes another user: needs root")
    server = Cyrus(leaf, USERS,
                   mechanisms="PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256")
    yield server
    server.stop()


@pytest.fixture(params=["dovecot", "cyrus"])
def server(request):
    """Either of the two that know SCRAM."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def front_of(gatepost):
    """front_of(server): a Gatepost that offers all but EXTERNAL."""
    def start(server, **entry):
        return gatepost(routes_to(server, **entry),
                        auth={"mechanisms": OFFERED, "delay_max": 0})
    return start


def notes_of(front):
    """What was noted of backends, once all of it is in the log."""
    front.counters()
    return [entry["note"] for entry in front.log
            if entry["event"] == "backend-note"]


def is_in(client):
    return client.command("SELECT INBOX")[-1].startswith(b"OK")


# -- SCRAM -------------------------------------------------------------------

@each_scram
@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_scram_passes_and_each_side_proves_itself(
        front_of, server, mechanism, initial, tls):
    entry = {} if tls == "none" else {"tls_name": "localhost", "ca": "ca.pem"}
    if tls == "implicit":
        entry["port"] = server.tls_port
    front = front_of(server, tls=tls, **entry)
    client = front.secure()

    answer = scram(client, mechanism, ALICE, SECRET, initial=initial)

    assert answer.startswith(b"OK"), answer
    assert is_in(client)
    assert front.wait_log("login")["user"] == ALICE


@each_scram
def test_scram_with_a_wrong_password_is_refused_in_our_words(
        front_of, server, mechanism):
    client = front_of(server).secure()

    assert scram(client, mechanism, ALICE, "wrong") == FAILED
    assert scram(client, mechanism, "nobody@example.org", SECRET) == FAILED
    assert scram(client, mechanism, ALICE, SECRET).startswith(b"OK")


@each_scram
def test_scram_finds_the_way_of_a_name_with_escapes(
        gatepost, dovecot, cyrus, mechanism):
    """The name is read out of the message: elsewhere nobody knows it."""
    routes = routes_to(cyrus)
    routes["backends"]["b2"] = {"host": dovecot.host, "port": dovecot.port,
                                "tls": "none"}
    routes["pools"]["p2"] = {"backends": ["b2"]}
    routes["users"] = {ODD: "p2"}
    front = gatepost(routes, auth={"mechanisms": OFFERED, "delay_max": 0})
    client = front.secure()

    answer = scram(client, mechanism, ODD, USERS[ODD])

    assert answer.startswith(b"OK"), answer
    assert front.wait_log("login")["backend"] == "b2"


@each_scram
def test_scram_by_gsasl(front_of, dovecot, folder, mechanism):
    """GNU SASL's own client, through STARTTLS."""
    port = front_of(dovecot).address("starttls")[1]

    done = subprocess.run(
        ["gsasl", "--imap", f"--connect=127.0.0.1:{port}", "--verbose",
         f"--mechanism={mechanism}", f"--authentication-id={ALICE}",
         f"--password={SECRET}", "--hostname=localhost", "--starttls",
         # It knows no channel binding of TLS 1.3 and gives up over that.
         "--no-cb", f"--x509-ca-file={folder}/ca.pem"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=20,
        check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert b"(server trusted)" in done.stderr


def test_channel_binding_is_never_offered_and_a_backends_offer_is_told(
        front_of, leaf):
    backend = Mailutils(leaf, {ALICE: SECRET})
    try:
        front = front_of(backend)
        client = front.logged_in()
        again = front.logged_in()

        offers = client.greeting + again.greeting
        assert b"AUTH=SCRAM-SHA-256" in offers and b"-PLUS" not in offers
        assert notes_of(front).count("offers-plus") == 1
    finally:
        backend.stop()


# -- tokens ------------------------------------------------------------------

@each_token
@pytest.mark.parametrize("initial", [True, False])
def test_a_good_token_logs_its_user_in(front_of, dovecot, tokens, mechanism,
                                       initial):
    front = front_of(dovecot)
    client = front.secure()

    reason, answer = bearer(client, mechanism, ALICE, "good-alice", initial)

    assert reason is None and answer.startswith(b"OK"), (reason, answer)
    assert is_in(client)
    assert front.wait_log("login")["user"] == ALICE
    assert tokens.asked[-1] == "good-alice"


@each_token
@pytest.mark.parametrize("token", ["expired-alice", "unheard-of"])
def test_a_bad_token_is_told_by_json_and_then_refused(
        front_of, dovecot, mechanism, token):
    client = front_of(dovecot).secure()

    reason, answer = bearer(client, mechanism, ALICE, token)

    assert json.loads(reason)["status"]
    assert answer == FAILED
    assert bearer(client, mechanism, ALICE, "good-alice")[1].startswith(b"OK")


@each_token
def test_a_token_of_somebody_else_is_refused(front_of, dovecot, mechanism):
    client = front_of(dovecot).secure()

    assert bearer(client, mechanism, ALICE, "good-bob")[1] == FAILED


# -- EXTERNAL ----------------------------------------------------------------

@pytest.fixture
def certified(gatepost, settings, folder, cyrus):
    """(front, context): a Gatepost that knows alice by her certificate, in
    front of Cyrus with a master user."""
    people = Authority("People")
    people.save(folder, "people")
    settings["tls"]["client_certificates"] = {"ca": "people.pem"}
    for listener in settings["listeners"]:
        listener["client_certificates"] = True
    with open(os.open(f"{folder}/master", os.O_CREAT | os.O_WRONLY, 0o600),
              "w") as out:
        out.write(MASTER[1] + "\n")
    front = gatepost(
        routes_to(cyrus, master={"user": MASTER[0], "secret": "master"}),
        auth={"mechanisms": ["PLAIN", "LOGIN", "SCRAM-SHA-256", "EXTERNAL"],
              "delay_max": 0})
    context = trusting()
    context.load_cert_chain(*people.issue(
        common_name="x", emails=[ALICE], purpose=CLIENT).save(folder, "alice"))
    return front, context


def test_cyrus_takes_the_master_for_who_has_shown_a_certificate(
        certified, cyrus):
    front, context = certified
    client = front.secure(context)
    marked = front.secure()
    assert scram(marked, "SCRAM-SHA-256", ALICE, SECRET).startswith(b"OK")
    marked.command("CREATE only-alices")

    answer = client.command("AUTHENTICATE EXTERNAL =")[-1]

    assert answer.startswith(b"OK"), answer
    assert is_in(client)
    assert b"only-alices" in b"".join(client.command('LIST "" "*"'))
    assert cyrus.users[ALICE].encode() not in client.raw_received


@pytest.mark.parametrize("way", ["command", "PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_with_a_master_at_cyrus_a_wrong_password_still_fails(certified, way):
    front, context = certified
    client = front.secure(context)

    if way == "command":
        answer = client.login(ALICE, "wrong")
    elif way == "SCRAM-SHA-256":
        answer = scram(client, way, ALICE, "wrong")
    elif way == "PLAIN":
        answer = plain(client, ALICE, "wrong")
    else:
        client.send(b"x AUTHENTICATE LOGIN %s\r\n" % encoded(ALICE))
        client.read_line()
        client.send(encoded("wrong") + b"\r\n")
        answer = client.read_reply("x")[-1][2:]

    assert answer == FAILED
    assert b"EXTERNAL" not in front.secure().greeting


# -- on behalf of somebody else ----------------------------------------------

def plain(client, user, password, authzid=""):
    """AUTHENTICATE PLAIN; returns the tagged line."""
    return client.command(b"AUTHENTICATE PLAIN " + encoded(
        f"{authzid}\0{user}\0{password}"))[-1]


def test_an_authorization_identity_reaches_the_server(front_of, server):
    """Were it dropped on the way, alice would be in as herself."""
    front = front_of(server)
    bob = "bob@example.org"

    assert plain(front.secure(), ALICE, SECRET, bob).startswith(b"NO")
    assert scram(front.secure(), "SCRAM-SHA-256", ALICE, SECRET,
                 bob).startswith(b"NO")
    assert plain(front.secure(), ALICE, SECRET, ALICE).startswith(b"OK")
    assert scram(front.secure(), "SCRAM-SHA-256", ALICE, SECRET,
                 ALICE).startswith(b"OK")


def test_who_may_act_for_another_does_so_through_gatepost(front_of, cyrus):
    """The master user of Cyrus, with its own password, typed by a person."""
    front = front_of(cyrus)
    front.logged_in().command("CREATE only-alices")
    for way in (plain, lambda *words: scram(words[0], "SCRAM-SHA-1",
                                            *words[1:])):
        client = front.secure()

        answer = way(client, *MASTER, ALICE)

        assert answer.startswith(b"OK"), answer
        assert b"only-alices" in b"".join(client.command('LIST "" "*"'))


def test_unauthenticate_of_cyrus_is_not_shown_and_told_of_once(
        front_of, cyrus):
    """It offers that to administrators, after the login."""
    front = front_of(cyrus)
    for _ in range(2):
        client = front.secure()

        lines = client.command("LOGIN %s %s" % ADMIN)

        assert lines[-1].startswith(b"OK"), lines
        assert b"UNAUTHENTICATE" not in b"".join(lines)
        # Asked for later, the list is the server's own.
        assert b"UNAUTHENTICATE" in client.command("CAPABILITY")[0]

    assert notes_of(front).count("offers-unauthenticate") == 1


# -- who the client is -------------------------------------------------------

def last_login(dovecot, since):
    """What Dovecot logged of the login, once it has."""
    for line in dovecot.wait_log(" Login: ", since).splitlines():
        if " Login: " in line:
            found = line
    return found


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_dovecot_logs_the_clients_own_address_by_id(front_of, dovecot, tls):
    entry = {"port": dovecot.tls_port} if tls == "implicit" else {}
    if tls != "none":
        entry.update(tls_name="localhost", ca="ca.pem")
    front = front_of(dovecot, tls=tls, id=True, **entry)
    since = len(dovecot.log())

    client = front.secure(source="127.0.0.9")
    assert client.login(ALICE, SECRET).startswith(b"OK")

    line = last_login(dovecot, since)
    assert f"user=<{ALICE}>" in line and "rip=127.0.0.9," in line


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_dovecot_logs_the_clients_own_address_by_proxy(
        front_of, dovecot, version, tls):
    entry = {"port": dovecot.proxied}
    if tls == "implicit":
        entry = {"port": dovecot.proxied_tls, "tls_name": "localhost",
                 "ca": "ca.pem"}
    front = front_of(dovecot, tls=tls, proxy_protocol=version, **entry)
    since = len(dovecot.log())

    client = front.secure(source="127.0.0.9")
    assert client.login(ALICE, SECRET).startswith(b"OK")

    line = last_login(dovecot, since)
    assert f"user=<{ALICE}>" in line and "rip=127.0.0.9," in line


def test_what_a_client_says_of_its_address_is_not_believed(front_of, dovecot):
    front = front_of(dovecot, id=True, forward_id=True)
    since = len(dovecot.log())

    client = front.secure(source="127.0.0.9")
    client.command('ID ("name" "liar" "x-originating-ip" "192.0.2.66")')
    assert client.login(ALICE, SECRET).startswith(b"OK")

    line = last_login(dovecot, since)
    assert "rip=127.0.0.9," in line
    assert "192.0.2.66" not in dovecot.log()[since:]
