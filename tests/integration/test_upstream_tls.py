"""TLS towards backends (rows E1-E5, E7, E8): a password never leaves before the
backend has proved who it is."""

import ssl
import threading

import pytest

from gatepost_test.gatepost import routes_to
from gatepost_test.scripts import ImapServer, fixed
from gatepost_test.wire import trusting

PASSWORD = "hunter2-never-in-clear"
NAME = "backend.example.test"
ENCODED = b"AGFsaWNl"  # how the base64 of a PLAIN message of ours begins


@pytest.fixture
def backend_leaf(authority):
    return authority.issue(NAME)


def tls_routes(backend, tls, **settings):
    """Routes to a backend over TLS, verified by the tests' authority."""
    entry = {"tls": tls, "tls_name": NAME, "ca": "ca.pem"}
    entry.update(settings)
    return routes_to(backend, **entry)


def try_login(front):
    """Logs in as alice; returns the tagged answer and all lines."""
    client = front.secure()
    lines = client.command(f"LOGIN alice@example.org {PASSWORD}", 20)
    assert client.command("NOOP")[-1].startswith(b"OK")
    return lines


def assert_unavailable_and_unspoken(front, backend):
    """The login is refused as unavailable; no credential was sent."""
    lines = try_login(front)
    assert lines[-1].startswith(b"NO [UNAVAILABLE]"), lines
    assert len(lines) == 1, lines
    assert PASSWORD.encode() not in backend.received
    assert ENCODED not in backend.received
    assert b"alice" not in backend.received


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_login_passes_over_verified_tls(
        gatepost, fake_backend, server_context, backend_leaf, tls):
    context = server_context(backend_leaf)
    if tls == "implicit":
        backend = fake_backend(ImapServer(), tls=context)
    else:
        backend = fake_backend(ImapServer(
            b"IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR", tls=context))
    front = gatepost(tls_routes(backend, tls))

    answer = try_login(front)[-1]

    assert answer.startswith(b"OK"), answer
    assert backend.conversation().password == PASSWORD.encode()
    assert backend.conversation().sock.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_login_passes_over_tls_to_real_servers(gatepost, dovecots, tls):
    shard = dovecots[0]
    routes = routes_to(shard, tls=tls, tls_name="localhost", ca="ca.pem")
    if tls == "implicit":
        routes["backends"]["b1"]["port"] = shard.tls_port
    front = gatepost(routes)
    client = front.logged_in()

    client.command("SELECT INBOX")
    lines = client.command("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")

    assert b"shard-a: hello alice" in lines[0]


@pytest.mark.threat("E1")
def test_e1_plain_bytes_where_tls_was_due_are_not_believed(
        gatepost, fake_backend):
    backend = fake_backend(fixed(
        b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n"
        b"a OK LOGIN\r\nt1 OK LOGIN\r\n"))
    front = gatepost(tls_routes(backend, "implicit"))

    assert_unavailable_and_unspoken(front, backend)


@pytest.mark.threat("E1")
def test_e1_such_a_backend_is_marked_down(gatepost, fake_backend):
    backend = fake_backend(fixed(b"* OK hi\r\n"))
    front = gatepost(tls_routes(backend, "implicit"))
    for _ in range(3):
        assert_unavailable_and_unspoken(front, backend)
    front.wait_log(lambda entry: "down" in str(entry.get("event")) or
                   entry.get("state") == "down")
    connects = backend.connects

    assert_unavailable_and_unspoken(front, backend)

    assert backend.connects == connects


@pytest.mark.threat("E2")
@pytest.mark.parametrize("injected", [
    b"* OK x\r\n", b"* CAPABILITY IMAP4rev1 X-EVIL\r\nt1 OK in\r\n", b"x",
    b"\n", b"\x16"])
def test_e2_bytes_behind_the_ok_of_starttls_end_the_link(
        gatepost, fake_backend, server_context, backend_leaf, injected):
    context = server_context(backend_leaf)

    def script(conversation):
        conversation.send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(tag + b" OK go\r\n" + injected)
        conversation.start_tls(context)
        ImapServer()(conversation)

    backend = fake_backend(script)
    front = gatepost(tls_routes(backend, "starttls"))

    assert_unavailable_and_unspoken(front, backend)


STRIPPED = {
    "no": [b"%t NO no\r\n"], "bad": [b"%t BAD what\r\n"],
    "continuation": [b"+ go on\r\n"], "bye": [b"* BYE\r\n"],
    "wrong tag": [b"zz OK go\r\n"], "untagged ok": [b"* OK go\r\n"],
    "no tag": [b"OK go\r\n"], "longer tag": [b"%tx OK go\r\n"],
    "lower case no": [b"%t no\r\n"], "empty": [b"\r\n"],
    "okay": [b"%t OKAY\r\n"], "tag alone": [b"%t\r\n"],
}


@pytest.mark.threat("E3")
@pytest.mark.parametrize("kind", STRIPPED)
def test_e3_starttls_refused_in_any_way_sends_no_password(
        gatepost, fake_backend, kind):
    def script(conversation):
        conversation.send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN "
                          b"SASL-IR] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(STRIPPED[kind][0].replace(b"%t", tag))
        conversation.read_to_end()

    backend = fake_backend(script)
    front = gatepost(tls_routes(backend, "starttls"),
                     timeouts={"backend_tls": 1, "greeting": 1})

    assert_unavailable_and_unspoken(front, backend)


@pytest.mark.threat("E3")
@pytest.mark.parametrize("announce", [True, False])
def test_e3_starttls_not_announced_sends_no_password(
        gatepost, fake_backend, announce):
    backend = fake_backend(ImapServer(b"IMAP4rev1 AUTH=PLAIN SASL-IR",
                                      announce=announce))
    front = gatepost(tls_routes(backend, "starttls"))

    assert_unavailable_and_unspoken(front, backend)


@pytest.mark.threat("E3")
def test_e3_starttls_that_the_greeting_keeps_silent_about_is_asked_for(
        gatepost, fake_backend, server_context, backend_leaf):
    backend = fake_backend(ImapServer(
        b"IMAP4rev1 STARTTLS AUTH=PLAIN", announce=False,
        tls=server_context(backend_leaf)))
    front = gatepost(tls_routes(backend, "starttls"))

    assert try_login(front)[-1].startswith(b"OK")


@pytest.mark.threat("E4")
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
@pytest.mark.parametrize("code", [
    b"", b"[CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] "])
def test_e4_a_preauth_greeting_is_a_failure(
        gatepost, fake_backend, server_context, backend_leaf, tls, code):
    backend = fake_backend(
        ImapServer(greeting=b"* PREAUTH " + code + b"welcome\r\n"),
        tls=server_context(backend_leaf) if tls == "implicit" else None)
    front = gatepost(tls_routes(backend, tls) if tls != "none"
                     else routes_to(backend))

    assert_unavailable_and_unspoken(front, backend)


@pytest.mark.threat("E5")
def test_e5_nothing_said_before_tls_reaches_the_client(
        gatepost, fake_backend, server_context, backend_leaf):
    context = server_context(backend_leaf)

    def script(conversation):
        conversation.send(
            b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR "
            b"X-EVIL] hi\r\n")
        tag = conversation.read_line().split()[0]
        conversation.send(b"* OK [ALERT] evil alert\r\n"
                          b"* CAPABILITY IMAP4rev1 X-EVIL\r\n"
                          b"* NO evil\r\n" + tag + b" OK go\r\n")
        conversation.start_tls(context)
        ImapServer(b"IMAP4rev1", reply=b"OK [CAPABILITY IMAP4rev1 X-GOOD] in"
                   ).log_in(conversation)
        conversation.read_to_end()

    backend = fake_backend(script)
    front = gatepost(tls_routes(backend, "starttls"))
    client = front.secure()

    lines = client.command(f"LOGIN alice@example.org {PASSWORD}")

    # Without AUTH=PLAIN after TLS, that of before must not be used.
    assert b"LOGIN" in backend.received
    assert b"AUTHENTICATE" not in backend.received
    assert lines[-1].startswith(b"OK [CAPABILITY IMAP4rev1 X-GOOD]")
    assert b"evil" not in b"".join(lines).lower()


def make_leaf(authority, kind):
    """(certificate, backend name to verify) for a row of E7."""
    plain = {
        "wrong host": ("other.example.test",),
        "suffix": ("example.test",),
        "prefix": ("backend.example.test.evil.test",),
        "wildcard two labels up": ("*.test",),
        "wildcard in the middle": ("backend.*.test",),
        "wildcard within a label": ("b*.example.test",),
        "bare star": ("*",),
        "address as a name": ("127.0.0.1",),
        "nul in the name": ("backend.example.test\0.evil.test",),
    }
    if kind in plain:
        return authority.issue(*plain[kind], common_name="leaf")
    if kind == "expired":
        return authority.issue(NAME, expired=True)
    if kind == "self-signed":
        return authority.issue(NAME, self_signed=True)
    if kind == "unknown authority":
        return type(authority)("stranger").issue(NAME)
    assert kind == "common name only"
    return authority.issue(common_name=NAME, san=False)


@pytest.mark.threat("E7")
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("kind", [
    "wrong host", "suffix", "prefix", "wildcard two labels up",
    "wildcard in the middle", "wildcard within a label", "bare star",
    "nul in the name", "expired", "self-signed", "unknown authority",
    "common name only"])
def test_e7_a_certificate_that_proves_nothing_gets_no_password(
        gatepost, fake_backend, server_context, authority, tls, kind):
    context = server_context(make_leaf(authority, kind))
    backend = (fake_backend(ImapServer(), tls=context) if tls == "implicit"
               else fake_backend(ImapServer(
                   b"IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR", tls=context)))
    front = gatepost(tls_routes(backend, tls))

    assert_unavailable_and_unspoken(front, backend)
    assert backend.connects >= 1
    front.wait_log(lambda entry: entry["level"] in ("warn", "error") and
                   "b1" in str(entry))


@pytest.mark.threat("E7")
@pytest.mark.parametrize("names, verified", [
    (["backend.example.test"], "backend.example.test"),
    (["BACKEND.Example.TEST"], "backend.example.test"),
    (["backend.example.test"], "Backend.EXAMPLE.test"),
    (["*.example.test"], "backend.example.test"),
    (["*.EXAMPLE.test"], "backend.example.test"),
    (["other.test", "backend.example.test"], "backend.example.test")])
def test_e7_a_certificate_of_the_name_is_good(
        gatepost, fake_backend, server_context, authority, names, verified):
    leaf = authority.issue(*names, common_name="leaf")
    backend = fake_backend(ImapServer(), tls=server_context(leaf))
    front = gatepost(tls_routes(backend, "implicit", tls_name=verified))

    assert try_login(front)[-1].startswith(b"OK")


@pytest.mark.threat("E7")
@pytest.mark.parametrize("names, ips, good", [
    ([], ["127.0.0.1"], True), ([], ["127.0.0.2"], False),
    (["127.0.0.1"], [], False), (["*.0.0.1"], [], False)])
def test_e7_an_address_is_verified_by_an_address(
        gatepost, fake_backend, server_context, authority, names, ips, good):
    leaf = authority.issue(*names, ips=ips, common_name="127.0.0.1")
    backend = fake_backend(ImapServer(), tls=server_context(leaf))
    routes = routes_to(backend, tls="implicit", ca="ca.pem")
    front = gatepost(routes)

    answer = try_login(front)[-1]

    assert answer.startswith(b"OK" if good else b"NO [UNAVAILABLE]"), answer
    assert (PASSWORD.encode() == backend.conversation().password) == good


@pytest.mark.threat("E7")
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_e7_the_verified_name_is_sent_as_sni(
        gatepost, fake_backend, server_context, backend_leaf, tls):
    context = server_context(backend_leaf)
    backend = (fake_backend(ImapServer(), tls=context) if tls == "implicit"
               else fake_backend(ImapServer(b"IMAP4rev1 STARTTLS AUTH=PLAIN",
                                            tls=context)))
    front = gatepost(tls_routes(backend, tls))

    try_login(front)

    assert backend.conversation().server_name == NAME


@pytest.mark.threat("E7")
def test_e7_verify_none_accepts_anything_and_says_so_at_start(
        gatepost, fake_backend, server_context, authority):
    leaf = make_leaf(authority, "self-signed")
    backend = fake_backend(ImapServer(), tls=server_context(leaf))

    front = gatepost(routes_to(backend, tls="implicit", verify="none"))

    front.wait_log(lambda entry: entry["level"] == "warn" and
                   "b1" in str(entry) and "verif" in str(entry))
    assert try_login(front)[-1].startswith(b"OK")


@pytest.mark.threat("E7")
def test_e7_a_missing_ca_file_fails_closed(command, fake_backend):
    backend = fake_backend(ImapServer())

    status, output, errors = command(
        tls_routes(backend, "implicit", ca="nothing.pem"), "check")

    assert status == 1
    assert "nothing.pem" in output + errors


@pytest.mark.threat("E7")
def test_e7_a_client_certificate_is_shown_where_one_is_set(
        gatepost, fake_backend, server_context, backend_leaf, authority,
        folder):
    context = server_context(backend_leaf)
    context.load_verify_locations(cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    mine = authority.issue("gatepost.example.test")
    mine.save(folder, "mine")
    seen = []

    def script(conversation):
        seen.append(conversation.sock.getpeercert(True))
        ImapServer()(conversation)

    backend = fake_backend(script, tls=context)
    front = gatepost(tls_routes(backend, "implicit", certificate="mine.pem",
                                key="mine.key"))

    assert try_login(front)[-1].startswith(b"OK")
    assert seen == [mine.der]


def test_cleartext_to_another_host_is_refused_unless_allowed(command):
    def routes(**more):
        entry = {"host": "192.0.2.1", "port": 143, "tls": "none", **more}
        return {"backends": {"b1": entry},
                "pools": {"p1": {"backends": ["b1"]}}, "default": "p1"}

    refused, output, errors = command(routes(), "check")
    allowed, *_ = command(routes(allow_cleartext=True), "check")

    assert refused == 1 and "allow_cleartext" in output + errors
    assert allowed == 0


def test_two_tls_legs_splice_side_by_side(
        gatepost, fake_backend, server_context, backend_leaf):
    backend = fake_backend(ImapServer(), tls=server_context(backend_leaf))
    front = gatepost(tls_routes(backend, "implicit"))
    failures = []

    def run(number):
        try:
            with front.secure() as client:
                client.login(f"user{number}", "p")
                for round_ in range(20):
                    text = f"NOOP {number}-{round_}"
                    assert client.command(text)[-1].startswith(
                        b"OK " + text.encode())
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,))
               for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures


def only_12(context, cipher):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher + ":@SECLEVEL=0")
    return context


@pytest.mark.threat("E8")
@pytest.mark.parametrize("cipher, good", [
    ("ECDHE-RSA-AES128-GCM-SHA256", True), ("ECDHE-RSA-AES128-SHA", False)])
def test_e8_what_old_clients_may_speak_is_not_spoken_to_backends(
        gatepost, fake_backend, server_context, authority, folder, settings,
        cipher, good):
    authority.issue("imap.example.test", key="rsa").save(folder, "tls")
    settings["tls"]["policy"] = "compatible"
    leaf = authority.issue(NAME, key="rsa")
    backend = fake_backend(ImapServer(),
                           tls=only_12(server_context(leaf), cipher))
    front = gatepost(tls_routes(backend, "implicit"))
    old = only_12(trusting(authority), "ECDHE-RSA-AES128-SHA")

    client = front.secure(old)
    answer = client.command(f"LOGIN alice@example.org {PASSWORD}", 20)[-1]

    assert client.tls.cipher()[0] == "ECDHE-RSA-AES128-SHA"
    assert answer.startswith(b"OK" if good else b"NO [UNAVAILABLE]"), answer
    assert (PASSWORD.encode() == backend.conversation().password) == good


@pytest.mark.threat("E8")
def test_e8_who_signs_for_clients_does_not_sign_for_backends(
        gatepost, fake_backend, server_context, authority, folder, settings):
    people = type(authority)("People")
    people.save(folder, "people")
    settings["tls"]["client_certificates"] = {"ca": "people.pem",
                                              "user": "rfc822Name"}
    for listener in settings["listeners"]:
        listener["client_certificates"] = True
    backend = fake_backend(ImapServer(), tls=server_context(people.issue(NAME)))
    front = gatepost(tls_routes(backend, "implicit"))

    assert_unavailable_and_unspoken(front, backend)
