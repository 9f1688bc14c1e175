"""TLS towards clients: certificates by SNI, ALPN, versions, ciphers,
tickets, early data (rows B1, B2, B5, B7, B13)."""

import os
import signal
import ssl
import subprocess

import pytest

from gatepost_test import openssl
from gatepost_test.gatepost import routes_to
from gatepost_test.wire import trusting

ONLY_12 = {"minimum": ssl.TLSVersion.TLSv1_2,
           "maximum": ssl.TLSVersion.TLSv1_2}
ONLY_13 = {"minimum": ssl.TLSVersion.TLSv1_3}
VERSIONS = {"TLSv1.2": ONLY_12, "TLSv1.3": ONLY_13}


@pytest.fixture
def sites(authority, folder, settings):
    """Certificates for two names, a wildcard, and RSA beside ECDSA."""
    leaves = {
        "site1": authority.issue("site1.example.test"),
        "site2": authority.issue("site2.example.test"),
        "wild": authority.issue("*.wild.example.test"),
        "exact": authority.issue("exact.wild.example.test"),
        "rsa": authority.issue("both.example.test", key="rsa"),
        "ecdsa": authority.issue("both.example.test", key="ecdsa"),
    }
    for stem, leaf in leaves.items():
        leaf.save(folder, stem)
    settings["tls"] = {"certificates": [
        {"chain": f"{stem}.pem", "key": f"{stem}.key"} for stem in leaves]}
    return leaves


def served(front, name, **options):
    """The certificate (DER) that a client asking for this name is shown."""
    with front.secure(trusting(**options), name) as client:
        return client.tls.getpeercert(True)


@pytest.mark.parametrize("name, expected", [
    ("site1.example.test", "site1"), ("site2.example.test", "site2"),
    ("SITE2.Example.TEST", "site2"), ("a.wild.example.test", "wild"),
    ("A.WILD.example.test", "wild"), ("exact.wild.example.test", "exact"),
    ("a.b.wild.example.test", "site1"), ("wild.example.test", "site1"),
    ("unknown.example.test", "site1"), (None, "site1")])
def test_sni_picks_exact_then_wildcard_then_the_first(
        gatepost, backend, sites, name, expected):
    front = gatepost(routes_to(backend))

    assert served(front, name) == sites[expected].der


@pytest.mark.parametrize("ciphers, expected", [
    ("ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa")])
def test_rsa_and_ecdsa_serve_one_name(
        gatepost, backend, sites, ciphers, expected):
    front = gatepost(routes_to(backend))

    assert served(front, "both.example.test", ciphers=ciphers,
                  **ONLY_12) == sites[expected].der


def test_a_directory_of_certificates_serves_each_name(
        gatepost, backend, authority, folder, settings):
    names = ("d1.example.test", "d2.example.test")
    os.mkdir(f"{folder}/many")
    leaves = {}
    for name in names:
        leaves[name] = authority.issue(name)
        leaves[name].save(f"{folder}/many", name)
        os.rename(f"{folder}/many/{name}.pem", f"{folder}/many/{name}.crt")
    settings["tls"]["certificates"].append({"directory": "many"})

    front = gatepost(routes_to(backend))

    for name in names:
        assert served(front, name) == leaves[name].der


@pytest.mark.threat("B2")
@pytest.mark.parametrize("name", ["site2.example.test.", "x" * 60 + ".test",
                                  "a" * 63 + "." + "b" * 63 + ".test"])
def test_b2_odd_server_names_are_served_something(
        gatepost, backend, sites, name):
    front = gatepost(routes_to(backend))

    assert served(front, name) in [leaf.der for leaf in sites.values()]


@pytest.mark.threat("B1")
@pytest.mark.parametrize("how", ["secure", "starttls"])
@pytest.mark.parametrize("version", VERSIONS)
def test_b1_alpn_without_imap_is_a_fatal_alert(
        front, authority, how, version):
    context = trusting(authority, alpn=["http/1.1", "h2"],
                       **VERSIONS[version])
    client = front.connect("implicit" if how == "secure" else "starttls")
    if how == "starttls":
        client.read_line()
        client.send(b"a STARTTLS\r\n")
        client.read_reply("a")
    before = len(client.raw_received)

    with pytest.raises(ssl.SSLError):
        client.handshake(context)

    alert = bytes(client.raw_received[before:])
    assert alert[0] == 21 and alert[5:7] == b"\x02\x78", alert


@pytest.mark.threat("B1")
def test_b1_refused_alpn_offers_are_counted_with_what_was_offered(
        front, authority):
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            front.connect().handshake(trusting(authority,
                                               alpn=["http/1.1", "h2"]))

    front.signal(signal.SIGUSR1)

    counted = front.wait_log("alpn-refused")
    assert "http/1.1" in counted["offered"]
    assert counted["count"] == 2


@pytest.mark.threat("B1")
@pytest.mark.parametrize("offer, chosen", [
    (["imap"], "imap"), (["http/1.1", "imap"], "imap"), (None, None)])
def test_b1_alpn_with_imap_or_without_an_offer_is_accepted(
        front, authority, offer, chosen):
    options = {"alpn": offer} if offer else {}

    client = front.secure(trusting(authority, **options))

    assert client.tls.selected_alpn_protocol() == chosen
    assert client.command("NOOP")[-1].startswith(b"OK")


@pytest.mark.threat("B13")
@pytest.mark.parametrize("version", VERSIONS)
def test_b13_current_versions_are_accepted(front, authority, version):
    client = front.secure(trusting(authority, **VERSIONS[version]))

    assert client.tls.version() == version
    assert client.login().startswith(b"OK")


@pytest.mark.threat("B13")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1,
                                     ssl.TLSVersion.TLSv1_1])
def test_b13_old_versions_are_refused_by_alert(front, version):
    client = front.connect()
    old = trusting(ciphers="ALL:@SECLEVEL=0", minimum=version,
                   maximum=version)

    with pytest.raises(ssl.SSLError):
        client.handshake(old)

    assert client.raw_received[0] == 21
    assert client.raw_received[6] == 70  # protocol_version


@pytest.mark.threat("B13")
@pytest.mark.parametrize("key, cipher, accepted", [
    ("rsa", "ECDHE-RSA-AES128-GCM-SHA256", True),
    ("rsa", "ECDHE-RSA-AES256-GCM-SHA384", True),
    ("rsa", "ECDHE-RSA-CHACHA20-POLY1305", True),
    ("ecdsa", "ECDHE-ECDSA-AES128-GCM-SHA256", True),
    ("rsa", "ECDHE-RSA-AES128-SHA", False),
    ("rsa", "ECDHE-RSA-AES256-SHA384", False),
    ("ecdsa", "ECDHE-ECDSA-AES128-SHA", False),
    ("rsa", "AES128-GCM-SHA256", False),
    ("rsa", "AES256-SHA", False),
    ("rsa", "DHE-RSA-AES128-GCM-SHA256", False)])
def test_b13_modern_takes_ephemeral_aead_only(
        gatepost, backend, authority, folder, key, cipher, accepted):
    authority.issue("imap.example.test", key=key).save(folder, "tls")
    front = gatepost(routes_to(backend))
    context = trusting(authority, ciphers=cipher + ":@SECLEVEL=0", **ONLY_12)

    if accepted:
        assert front.secure(context).tls.cipher()[0] == cipher
    else:
        with pytest.raises(ssl.SSLError):
            front.connect().handshake(context)


@pytest.mark.threat("B13")
@pytest.mark.parametrize("cipher, accepted", [
    ("ECDHE-RSA-AES128-SHA", True), ("ECDHE-RSA-AES128-GCM-SHA256", True),
    ("AES128-SHA", False), ("AES128-GCM-SHA256", False)])
def test_b13_compatible_adds_ephemeral_cbc_and_no_more(
        gatepost, backend, authority, folder, settings, cipher, accepted):
    authority.issue("imap.example.test", key="rsa").save(folder, "tls")
    settings["tls"]["policy"] = "compatible"
    front = gatepost(routes_to(backend))
    context = trusting(authority, ciphers=cipher + ":@SECLEVEL=0", **ONLY_12)

    if accepted:
        assert front.secure(context).tls.cipher()[0] == cipher
    else:
        with pytest.raises(ssl.SSLError):
            front.connect().handshake(context)


def get_session(front, context, name):
    """A ticket from a full handshake for this name."""
    with front.secure(context, name) as client:
        client.command("NOOP")  # a TLS 1.3 ticket rides with or before it
        assert client.tls.session.has_ticket
        assert not client.tls.session_reused
        return client.tls.session


def is_resumed(front, context, name, session):
    """Whether a handshake with this ticket is short; it must succeed."""
    with front.secure(context, name, session) as client:
        assert client.command("NOOP")[-1].startswith(b"OK")
        return client.tls.session_reused


@pytest.mark.threads
@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_is_good_at_every_worker(
        gatepost, backend, authority, version):
    front = gatepost(routes_to(backend), workers=4)
    context = trusting(authority, **VERSIONS[version])

    for _ in range(3):
        session = get_session(front, context, "imap.example.test")
        assert all(is_resumed(front, context, "imap.example.test", session)
                   for _ in range(12))


@pytest.mark.threads
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("change", ["nothing", "routes", "settings"])
def test_a_ticket_outlives_a_reload(
        gatepost, backend, authority, version, change):
    front = gatepost(routes_to(backend))
    context = trusting(authority, **VERSIONS[version])
    session = get_session(front, context, "imap.example.test")
    if change == "routes":
        front.write_routes(dict(routes_to(backend), users={"x@y": "p1"}))
    elif change == "settings":
        front.write_settings(dict(front.settings,
                                  limits={"bad_commands": 7}))

    front.reload()

    assert is_resumed(front, context, "imap.example.test", session)


@pytest.mark.threads
@pytest.mark.threat("B5")
@pytest.mark.parametrize("version", VERSIONS)
def test_b5_a_ticket_dies_with_its_certificate(
        gatepost, backend, authority, folder, version):
    front = gatepost(routes_to(backend))
    context = trusting(authority, **VERSIONS[version])
    session = get_session(front, context, "imap.example.test")
    authority.issue("imap.example.test").save(folder, "tls")

    front.reload()

    assert not is_resumed(front, context, "imap.example.test", session)


@pytest.mark.threat("B5")
@pytest.mark.parametrize("version", VERSIONS)
def test_b5_a_ticket_of_one_site_is_no_good_at_another(
        gatepost, backend, authority, sites, version):
    front = gatepost(routes_to(backend))
    context = trusting(None, **VERSIONS[version])
    session = get_session(front, context, "site1.example.test")

    assert not is_resumed(front, context, "site2.example.test", session)
    session = get_session(front, context, "site1.example.test")
    assert is_resumed(front, context, "site1.example.test", session)


@pytest.mark.threat("B5")
@pytest.mark.parametrize("version", VERSIONS)
def test_b5_a_ticket_of_another_policy_is_no_good(
        gatepost, backend, authority, settings, version):
    front = gatepost(routes_to(backend))
    context = trusting(authority, **VERSIONS[version])
    session = get_session(front, context, "imap.example.test")
    settings["tls"]["policy"] = "compatible"
    front.write_settings(settings)

    front.reload()

    assert not is_resumed(front, context, "imap.example.test", session)


@pytest.mark.threat("B5", "B1")
@pytest.mark.parametrize("version", VERSIONS)
def test_b5_a_resumed_session_has_its_alpn_checked_again(
        front, authority, version):
    good = trusting(authority, **VERSIONS[version])
    session = get_session(front, good, "imap.example.test")
    good.set_alpn_protocols(["http/1.1"])

    with pytest.raises(ssl.SSLError):
        front.connect().handshake(good, session=session)


@pytest.mark.threat("B7")
def test_b7_no_ticket_allows_early_data(front, folder):
    path = openssl.save_session(front.address(), folder, "ticket")

    with open(path, "rb") as saved:
        session = saved.read()

    assert b"SESSION" in session
    text = subprocess.run(["openssl", "sess_id", "-in", path, "-text",
                           "-noout"], stdout=subprocess.PIPE, check=True)
    assert b"Max Early Data: 0" in text.stdout


@pytest.mark.threat("B7")
def test_b7_early_data_that_comes_all_the_same_is_not_run(
        front, backend, folder):
    path = openssl.save_session(front.address(), folder, "ticket")
    with open(path, "rb") as saved:
        forged = openssl.allow_early_data(saved.read())
    with open(path, "wb") as saved:
        saved.write(forged)
    with open(f"{folder}/early", "wb") as early:
        early.write(b"e LOGIN early secret\r\n")

    output = openssl.s_client(
        front.address(), "-tls1_3", "-sess_in", path, "-early_data",
        f"{folder}/early", "-no_ign_eof", "-crlf", send=b"a LOGOUT\n")

    assert b"Early data was rejected" in output, output
    assert b"e OK" not in output and b"e NO" not in output
    assert backend.connects == 0


def test_close_notify_comes_with_every_end(front):
    for ending in (b"a LOGOUT\r\n", b"GET / HTTP/1.1\r\n"):
        client = front.secure()
        client.send(ending)
        client.read_to_end()

        # close_notify first, then FIN: read_to_end saw both.
        assert client.ended == "fin"
        assert client.saw_close_notify


def test_renegotiation_is_refused(front):
    output = openssl.s_client(front.address(), "-tls1_2", send=b"R\n")

    assert b"RENEGOTIATING" in output
    assert b"error" in output.lower()
