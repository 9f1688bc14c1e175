"""Client certificates and EXTERNAL: who is asked, who is believed, and that
nobody else is ever logged in by a master user (rows B5, B15, D9)."""

import base64
import hashlib
import hmac
import os
import ssl
import subprocess
import tempfile

import pytest

from gatepost_test.certs import CLIENT, SERVER, Authority
from gatepost_test.dovecot import Dovecot
from gatepost_test.gatepost import backend_entry, routes_to
from gatepost_test.openssl import s_client
from gatepost_test.scripts import ImapServer
from gatepost_test.wire import WireEnded, trusting

ALICE = "alice@example.org"
MASTER, SECRET = "gatepost", "the-masters-secret"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
LISTENERS = ("implicit", "starttls")
NOT_OFFERED = (b"NO", b"BAD")


def encoded(octets):
    """Base64 of text or bytes, as one word."""
    octets = octets.encode() if isinstance(octets, str) else octets
    return base64.b64encode(octets)


# -- the world ---------------------------------------------------------------

@pytest.fixture(scope="session")
def people():
    """Who signs the certificates of clients."""
    return Authority("People")


@pytest.fixture(scope="session")
def alice(people):
    """Alice's certificate; its common name is another user."""
    return people.issue(common_name="bob@example.org", emails=[ALICE],
                        purpose=CLIENT)


@pytest.fixture
def asking(gatepost, settings, folder, people):
    """asking(routes): a Gatepost that asks for certificates on the listeners
    of these kinds."""
    def start(routes, user="rfc822Name", asks=LISTENERS,
              mechanisms=("PLAIN", "LOGIN", "EXTERNAL"), **more):
        people.save(folder, "people")
        settings["tls"]["client_certificates"] = {"ca": "people.pem",
                                                  "user": user}
        for listener in settings["listeners"]:
            if listener["tls"] in asks:
                listener["client_certificates"] = True
        with open(os.open(f"{folder}/master", os.O_CREAT | os.O_WRONLY,
                          0o600), "w") as out:
            out.write(SECRET + "\n")
        return gatepost(routes, auth={"mechanisms": list(mechanisms)}, **more)
    return start


@pytest.fixture
def showing(folder):
    """showing(leaf): a client's TLS context that shows this certificate."""
    def make(leaf, **options):
        context = trusting(**options)
        context.load_cert_chain(*leaf.save(folder, f"client-{id(leaf):x}"))
        return context
    return make


def by_master(backend, **more):
    """routes.json with a master user for this backend."""
    return routes_to(backend, master={"user": MASTER, "secret": "master"},
                     **more)


@pytest.fixture
def backend(fake_backend):
    """Lets the master in, and nobody else."""
    return fake_backend(ImapServer(
        accept=lambda user, password: (user, password) ==
        (MASTER.encode(), SECRET.encode())))


@pytest.fixture
def front(asking, backend):
    return asking(by_master(backend))


def connect(front, listener, context=None):
    """A client after its handshake, on either kind of listener."""
    return (front.secure(context) if listener == "implicit"
            else front.starttls(context))


def mechanisms(client):
    """The AUTH= words of the capability list."""
    words = client.command("CAPABILITY")[0].split()
    return {word[5:] for word in words if word.startswith(b"AUTH=")}


def external(client, authzid=b"=", initial=True):
    """AUTHENTICATE EXTERNAL; returns the tagged line. authzid is base64."""
    if initial:
        return client.command(b"AUTHENTICATE EXTERNAL " + authzid)[-1]
    client.send(b"x AUTHENTICATE EXTERNAL\r\n")
    line = client.read_line()
    if not line.startswith(b"+"):
        return line[2:]
    client.send((b"" if authzid == b"=" else authzid) + b"\r\n")
    return client.read_reply("x")[-1][2:]


def refusal(front, context, listener="implicit"):
    """How a handshake with this context ended."""
    try:
        client = connect(front, listener, context)
        client.read_to_end()
    except ssl.SSLError as error:
        return error.reason
    except WireEnded as error:
        return str(error)
    return client.ended


# -- who is asked ------------------------------------------------------------

def test_clients_are_asked_only_where_the_listener_says_so(asking, backend):
    front = asking(by_master(backend), asks=["implicit"])
    quiet = asking_of(front.address("starttls"), "-starttls", "imap")
    asked = asking_of(front.address("implicit"))

    assert b"No client certificate CA names sent" in quiet
    assert b"Acceptable client certificate CA names\nCN = People\n" in asked


def asking_of(address, *arguments):
    """What s_client saw, in TLS 1.2 as in 1.3."""
    seen = [s_client(address, *arguments, version)
            for version in ("-tls1_2", "-tls1_3")]
    for text in seen:
        assert b"CONNECTED" in text and b"Cipher is (NONE)" not in text
    return seen[0] + seen[1]


def test_gnutls_is_asked_only_where_the_listener_says_so(
        asking, backend, alice, folder):
    front = asking(by_master(backend), asks=["implicit"])
    chain, key = alice.save(folder, "alice")

    def run(listener, *arguments):
        host, port = front.address(listener)
        return subprocess.run(
            ["gnutls-cli", "--no-ca-verification", "--x509certfile", chain,
             "--x509keyfile", key, "-p", str(port), *arguments, host],
            input=b"a CAPABILITY\r\nb LOGOUT\r\n", stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=20, check=False).stdout

    asked = run("implicit")
    quiet = run("starttls", "--starttls-proto=imap")

    assert b"Successfully sent 1 certificate(s)" in asked
    assert b"AUTH=EXTERNAL" in asked
    assert b"Successfully sent" not in quiet
    assert b"AUTH=EXTERNAL" not in quiet and b"AUTH=PLAIN" in quiet


@pytest.mark.parametrize("listener", LISTENERS)
def test_who_shows_none_logs_in_by_password(asking, fake_backend, listener):
    front = asking(by_master(fake_backend(ImapServer())))

    with connect(front, listener) as client:
        assert mechanisms(client) == {b"PLAIN", b"LOGIN"}
        assert client.login(ALICE, "own").startswith(b"OK")


# -- who gets in -------------------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("listener", LISTENERS)
def test_a_certificate_logs_its_user_in_through_the_master(
        front, backend, alice, showing, listener, version):
    context = showing(alice, minimum=VERSIONS[version],
                      maximum=VERSIONS[version])

    with connect(front, listener, context) as client:
        assert mechanisms(client) == {b"PLAIN", b"LOGIN", b"EXTERNAL"}
        assert external(client).startswith(b"OK")
        assert client.command("NOOP")[-1].startswith(b"OK")

    seen = backend.conversation()
    assert (seen.authzid, seen.user, seen.password) == (
        ALICE.encode(), MASTER.encode(), SECRET.encode())
    end = front.session_end()
    assert end["user"] == ALICE and SECRET not in front.stderr


def test_a_master_may_be_of_the_pool_or_of_one_of_its_backends(
        asking, fake_backend, alice, showing, folder):
    """The backend's own goes before the pool's."""
    one, other = (fake_backend(ImapServer()) for _ in range(2))
    routes = routes_to(one)
    routes["backends"]["b2"] = backend_entry(
        other, master={"user": "its-own", "secret": "its-own"})
    routes["pools"]["p1"] = {
        "backends": ["b1", "b2"], "balance": "least-sessions",
        "one_backend_per_user": False,
        "master": {"user": MASTER, "secret": "master"}}
    with open(os.open(f"{folder}/its-own", os.O_CREAT | os.O_WRONLY,
                      0o600), "w") as out:
        out.write("another")
    front = asking(routes)

    for _ in range(2):
        assert external(front.secure(showing(alice))).startswith(b"OK")

    seen = [(item.authzid, item.user, item.password)
            for item in (one.conversation(), other.conversation())]
    assert seen == [
        (ALICE.encode(), MASTER.encode(), SECRET.encode()),
        (ALICE.encode(), b"its-own", b"another")]


def test_the_greeting_names_external_to_who_has_shown_one(
        front, alice, showing):
    assert b"AUTH=EXTERNAL" in front.secure(showing(alice)).greeting
    assert b"AUTH=EXTERNAL" not in front.secure().greeting


def test_a_long_chain_in_small_pieces_is_as_good(front, backend, people,
                                                 showing):
    names = [f"device-{number}.people.example.org" for number in range(450)]
    large = people.issue(*names, emails=[ALICE], purpose=CLIENT)
    assert 12000 < len(large.der) < 16000

    for chunk in (16, 1000, 1 << 20):
        with front.connect() as client:
            client.handshake(showing(large), chunk=chunk)
            client.read_line()
            assert external(client).startswith(b"OK")


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("authzid", [b"", b"alice@example.org",
                                     b"ALICE@Example.ORG"])
def test_the_users_own_name_may_be_asked_for(front, backend, alice, showing,
                                             authzid, initial):
    with front.secure(showing(alice)) as client:
        assert external(client, encoded(authzid) or b"=",
                        initial).startswith(b"OK")

    assert backend.conversation().authzid == ALICE.encode()


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("authzid", [
    b"bob@example.org", b"alice", b"alice@example.org.", b"gatepost",
    b"alice@example.org\xc2\xa0", b"*"])
def test_another_name_is_not_authorized(front, backend, alice, showing,
                                        authzid, initial):
    with front.secure(showing(alice)) as client:
        answer = external(client, encoded(authzid), initial)

        assert answer.startswith(b"NO [AUTHORIZATIONFAILED]"), answer
        assert external(client).startswith(b"OK")
    assert backend.connects == 1


@pytest.mark.parametrize("message", [b"%%%", encoded(b"alice\0bob"),
                                     encoded(b"alice\r\n")])
def test_a_malformed_name_is_refused(front, backend, alice, showing, message):
    with front.secure(showing(alice)) as client:
        assert external(client, message).startswith(NOT_OFFERED)
    assert backend.connects == 0


def test_the_common_name_is_the_user_where_the_config_says_so(
        asking, backend, people, showing):
    front = asking(by_master(backend), user="commonName")
    carol = people.issue(common_name="carol", emails=["dave@example.org"])

    with front.secure(showing(carol)) as client:
        assert external(client).startswith(b"OK")
    assert backend.conversation().authzid == b"carol"


def test_curl_logs_in_by_its_certificate(front, backend, alice, folder):
    chain, key = alice.save(folder, "alice")
    host, port = front.address()
    run = subprocess.run(
        ["curl", "--silent", "--show-error", "--verbose", "--insecure",
         "--cert", chain, "--key", key, "--user", f"{ALICE}:",
         "--login-options", "AUTH=EXTERNAL", "--request", "NOOP",
         f"imaps://{host}:{port}/"],
        capture_output=True, timeout=20, check=False)

    assert run.returncode == 0, run.stderr
    assert b"AUTHENTICATE EXTERNAL" in run.stderr
    assert backend.conversation().authzid == ALICE.encode()


# -- who does not ------------------------------------------------------------

def bad_leaf(kind, people):
    """A certificate that must not be believed."""
    if kind == "foreign":
        return Authority("Others").issue(common_name="x", emails=[ALICE])
    if kind == "false":  # the right name, and not the right key
        return Authority("People").issue(common_name="x", emails=[ALICE])
    return people.issue(common_name="x", emails=[ALICE],
                        expired=kind == "expired",
                        self_signed=kind == "self-signed",
                        purpose=SERVER if kind == "server" else CLIENT)


@pytest.mark.threat("B15")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind, alert, why", [
    ("expired", "SSLV3_ALERT_CERTIFICATE_EXPIRED", "expired"),
    ("foreign", "TLSV1_ALERT_UNKNOWN_CA", "unable to get local issuer"),
    ("false", "", "signature"),
    ("self-signed", "TLSV1_ALERT_UNKNOWN_CA", "self signed"),
    ("server", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "purpose")])
def test_b15_a_certificate_that_is_not_believed_ends_the_handshake(
        front, backend, people, showing, kind, alert, why, version):
    context = showing(bad_leaf(kind, people), minimum=VERSIONS[version],
                      maximum=VERSIONS[version])

    for listener in LISTENERS:
        since = front.mark()
        ended = refusal(front, context, listener)
        assert alert in ended and "ALERT" in ended, ended
        end = front.session_end(since, reason="handshake-failed")
        assert why in end["detail"], end
    assert backend.connects == 0


@pytest.mark.threat("B15")
@pytest.mark.parametrize("user, recipe", [
    ("rfc822Name", {"common_name": ALICE}),
    ("rfc822Name", {"common_name": "x", "emails": [ALICE, "b@example.org"]}),
    ("rfc822Name", {"common_name": "x", "emails": ["a\x01b@example.org"]}),
    ("commonName", {"common_name": "ali\tce", "emails": [ALICE]})])
def test_b15_a_certificate_without_the_name_is_nobodys(
        asking, backend, people, showing, user, recipe):
    front = asking(by_master(backend), user=user)
    context = showing(people.issue(**recipe))

    for initial in (True, False):
        for authzid in (b"=", encoded(ALICE)):
            with front.secure(context) as client:
                assert mechanisms(client) == {b"PLAIN", b"LOGIN"}
                assert external(client, authzid,
                                initial).startswith(NOT_OFFERED)
    assert backend.connects == 0


@pytest.mark.threat("B15", "D9")
@pytest.mark.parametrize("listener", LISTENERS)
def test_b15_a_typed_name_is_never_taken(front, backend, listener):
    with connect(front, listener) as client:
        for initial in (True, False):
            for authzid in (b"=", encoded(ALICE)):
                assert external(client, authzid,
                                initial).startswith(NOT_OFFERED)
    assert backend.connects == 0


@pytest.mark.threat("D9")
def test_d9_external_is_off_by_default(asking, backend, alice, showing):
    front = asking(by_master(backend), mechanisms=["PLAIN", "LOGIN"])

    with front.secure(showing(alice)) as client:
        assert mechanisms(client) == {b"PLAIN", b"LOGIN"}
        assert external(client).startswith(NOT_OFFERED)
    assert backend.connects == 0


@pytest.mark.threat("D9")
def test_d9_external_is_not_offered_in_clear(front, backend):
    with front.connect("starttls") as client:
        greeting = client.read_line()
        assert b"AUTH=" not in greeting and mechanisms(client) == set()
        assert external(client, encoded(ALICE)).startswith(NOT_OFFERED)
    assert backend.connects == 0


def test_no_master_is_no_login(asking, fake_backend, alice, showing):
    backend = fake_backend(ImapServer())
    front = asking(routes_to(backend))

    with front.secure(showing(alice)) as client:
        assert external(client).startswith(b"NO [UNAVAILABLE]")
    assert backend.received == b""


# -- tickets -----------------------------------------------------------------

def session_of(client):
    """The session that could be resumed, once whatever comes has come."""
    assert client.command("NOOP")[-1].startswith(b"OK")
    return client.tls.session


@pytest.mark.threat("B5")
@pytest.mark.parametrize("version", VERSIONS)
def test_b5_a_ticket_from_elsewhere_saves_nobody_the_certificate(
        asking, backend, alice, showing, version):
    front = asking(by_master(backend), asks=["starttls"])
    context = showing(alice, minimum=VERSIONS[version],
                      maximum=VERSIONS[version])
    with front.secure(context) as client:
        session = session_of(client)
        assert session.has_ticket
        assert mechanisms(client) == {b"PLAIN", b"LOGIN"}
    with front.secure(context, session=session) as again:
        assert again.tls.session_reused

    client = front.connect("starttls")
    client.read_line()
    client.send(b"s STARTTLS\r\n")
    client.read_reply("s")
    client.handshake(context, session=session)

    assert not client.tls.session_reused
    assert external(client).startswith(b"OK")


@pytest.mark.threat("B5")
@pytest.mark.parametrize("version", VERSIONS)
def test_b5_who_was_asked_has_nothing_to_resume(asking, backend, alice,
                                                showing, version):
    front = asking(by_master(backend), asks=["implicit"])
    context = showing(alice, minimum=VERSIONS[version],
                      maximum=VERSIONS[version])
    with front.secure(context) as client:
        session = session_of(client)
        assert not session.has_ticket

    for listener in LISTENERS:
        client = front.connect(listener)
        if listener == "starttls":
            client.read_line()
            client.send(b"s STARTTLS\r\n")
            client.read_reply("s")
        client.handshake(context, session=session)
        assert not client.tls.session_reused
        if listener == "implicit":
            client.read_line()
        assert (b"EXTERNAL" in mechanisms(client)) == (listener == "implicit")


def test_a_reload_swaps_the_authority(front, alice, showing, folder):
    new = Authority("New people")
    with front.secure(showing(alice)) as client:
        assert external(client).startswith(b"OK")
    new.save(folder, "people")
    front.reload()

    assert "UNKNOWN_CA" in refusal(front, showing(alice))
    leaf = new.issue(common_name="x", emails=[ALICE], purpose=CLIENT)
    with front.secure(showing(leaf)) as client:
        assert external(client).startswith(b"OK")


def test_an_authority_that_a_reload_drops_lets_nobody_in_any_more(
        front, backend, alice, showing, folder):
    """Also who showed a certificate of it before."""
    client = front.secure(showing(alice))
    Authority("New people").save(folder, "people")
    front.reload()

    assert external(client).startswith(b"NO [UNAVAILABLE]")
    assert backend.connects == 0


# -- a master behind, and a wrong password ----------------------------------

EVERY = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-1",
         "SCRAM-SHA-256", "EXTERNAL")
DIGESTS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


class Scram:
    """A client's side of RFC 5802."""

    def __init__(self, digest, user, password):
        self.digest, self.password = digest, password.encode()
        self.bare = b"n=%s,r=clientnonce" % user.encode()

    def first(self):
        return b"n,," + self.bare

    def _mac(self, key, text):
        return hmac.digest(key, text, self.digest)

    def final(self, challenge):
        """The answer to the server's first message."""
        fields = dict(one.split(b"=", 1) for one in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac(
            self.digest, self.password, base64.b64decode(fields[b"s"]),
            int(fields[b"i"]))
        bare = b"c=biws,r=" + fields[b"r"]
        key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self.digest, key).digest(),
                              self.bare + b"," + challenge + b"," + bare)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        return bare + b",p=" + base64.b64encode(proof)


def messages(mechanism, user, password):
    """What the client says: a first message, then answers to challenges."""
    user_octets, secret = user.encode(), password.encode()
    if mechanism == "PLAIN":
        yield b"\0" + user_octets + b"\0" + secret
    elif mechanism == "LOGIN":
        yield user_octets
        yield secret
    elif mechanism == "XOAUTH2":
        yield b"user=%s\1auth=Bearer %s\1\1" % (user_octets, secret)
        yield b""
    elif mechanism == "OAUTHBEARER":
        yield b"n,a=%s,\1auth=Bearer %s\1\1" % (user_octets, secret)
        yield b"\1"
    else:
        scram = Scram(DIGESTS[mechanism], user, password)
        challenge = yield scram.first()
        yield scram.final(base64.b64decode(challenge))
        yield b""


def authenticate(client, mechanism, user, password):
    """AUTHENTICATE by any mechanism; returns the tagged line."""
    says = messages(mechanism, user, password)
    client.send(b"x AUTHENTICATE %s %s\r\n" % (mechanism.encode(),
                                               encoded(next(says)) or b"="))
    while True:
        line = client.read_line()
        if not line.startswith(b"+"):
            return line.removeprefix(b"x ")
        client.send(encoded(says.send(line[2:].strip())) + b"\r\n")


def log_in(client, way, user, password):
    """The command LOGIN, or a mechanism."""
    if way == "command":
        return client.login(user, password)
    return authenticate(client, way, user, password)


class Doorman:
    """A script that knows every mechanism and lets only the master in."""

    def __init__(self):
        self.secret_seen = []

    def __call__(self, conversation):
        offers = " ".join(f"AUTH={name}" for name in EVERY[:-1])
        conversation.send(f"* OK [CAPABILITY IMAP4rev1 SASL-IR {offers}] "
                          "hi\r\n".encode())
        while True:
            tag, _, rest = conversation.read_line().strip().partition(b" ")
            name, _, arguments = rest.partition(b" ")
            if name == b"LOGOUT":
                return
            if name == b"AUTHENTICATE":
                arguments = base64.b64decode(arguments.split()[-1])
            is_master = SECRET.encode() in arguments
            self.secret_seen.append(is_master)
            if is_master:
                conversation.send(tag + b" OK [CAPABILITY IMAP4rev1] in\r\n")
                conversation.read_to_end()
                return
            conversation.send(tag + b" NO [AUTHENTICATIONFAILED] no\r\n")


@pytest.mark.parametrize("has_certificate", [True, False])
@pytest.mark.parametrize("way", ["command", *EVERY[:-1]])
def test_with_a_master_behind_a_wrong_password_stays_wrong(
        asking, fake_backend, alice, showing, way, has_certificate):
    doorman = Doorman()
    front = asking(by_master(fake_backend(doorman)), mechanisms=EVERY)
    context = showing(alice) if has_certificate else None

    with front.secure(context) as client:
        answer = log_in(client, way, ALICE, "wrong")

        assert answer.startswith(b"NO [AUTHENTICATIONFAILED]"), answer
    assert doorman.secret_seen == [False]
    with front.secure(showing(alice)) as client:
        assert external(client).startswith(b"OK")
    assert doorman.secret_seen == [False, True]


def begun(client, ending):
    """EXTERNAL as far as it may go without a login."""
    if ending == "refused":
        assert external(client, encoded("bob@example.org")).startswith(b"NO")
        return
    client.send(b"x AUTHENTICATE EXTERNAL\r\n")
    assert client.read_line().startswith(b"+")
    client.send(b"*\r\n" if ending == "cancelled" else b"%%%\r\n")
    assert client.read_line().startswith(b"x BAD")


@pytest.mark.parametrize("ending", ["cancelled", "malformed", "refused"])
@pytest.mark.parametrize("way", ["command", *EVERY[:-1]])
def test_nothing_is_left_of_an_external_that_came_to_nothing(
        asking, fake_backend, alice, showing, way, ending):
    doorman = Doorman()
    front = asking(by_master(fake_backend(doorman)), mechanisms=EVERY)

    with front.secure(showing(alice)) as client:
        begun(client, ending)
        answer = log_in(client, way, ALICE, "wrong")

        assert answer.startswith(b"NO [AUTHENTICATIONFAILED]"), answer
    assert doorman.secret_seen == [False]


# -- a real Dovecot ----------------------------------------------------------

_OAUTH = """\
auth_mechanisms = plain login scram-sha-1 scram-sha-256 xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""


@pytest.fixture(scope="module")
def oauth_folder():
    """For Dovecot's settings of tokens: it has no key, so none is good."""
    with tempfile.TemporaryDirectory(prefix="gp-oauth-", dir="/tmp") as path:
        os.chmod(path, 0o755)
        with open(f"{path}/oauth2.conf", "w") as out:
            out.write("introspection_mode = local\n"
                      f"local_validation_key_dict = fs:posix:prefix={path}/\n")
        yield path


@pytest.fixture(scope="module")
def dovecot(leaf, oauth_folder):
    """Knows alice and bob, and a master."""
    server = Dovecot(
        "mastered", leaf, {ALICE: "secret-alice", "bob@example.org": "b"},
        masters={MASTER: SECRET}, more=_OAUTH.format(folder=oauth_folder))
    yield server
    server.stop()


def subject_of_first(client):
    """The subject of the first message in INBOX."""
    assert client.command("SELECT INBOX")[-1].startswith(b"OK")
    return b"".join(client.command("FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]"))


@pytest.mark.parametrize("listener", LISTENERS)
def test_dovecot_shows_alice_her_own_mail(asking, dovecot, alice, showing,
                                          listener):
    front = asking(by_master(dovecot))

    with connect(front, listener, showing(alice)) as client:
        answer = external(client)
        assert answer.startswith(b"OK"), answer
        assert f"hello {ALICE}".encode() in subject_of_first(client)


@pytest.mark.parametrize("way", ["command", *EVERY[:-1]])
def test_dovecot_with_a_master_refuses_a_wrong_password(
        asking, dovecot, alice, showing, way):
    front = asking(by_master(dovecot), mechanisms=EVERY)

    for context in (None, showing(alice)):
        for user in (ALICE, MASTER):
            with front.secure(context) as client:
                answer = log_in(client, way, user, "wrong")
                assert answer.startswith(b"NO [AUTHENTICATIONFAILED]"), answer
    with front.secure(showing(alice)) as client:
        assert external(client).startswith(b"OK")


@pytest.mark.parametrize("way", ["command", "PLAIN", "LOGIN", "SCRAM-SHA-1",
                                 "SCRAM-SHA-256"])
def test_dovecot_with_a_master_takes_a_users_own_password(
        asking, dovecot, alice, showing, way):
    front = asking(by_master(dovecot), mechanisms=EVERY)

    for context in (None, showing(alice)):
        with front.secure(context) as client:
            answer = log_in(client, way, "bob@example.org", "b")
            assert answer.startswith(b"OK"), answer
            assert b"hello bob@example.org" in subject_of_first(client)
