"""A client's side of the mechanisms that hold more than a password."""

import base64
import hashlib
import hmac
import secrets

DIGESTS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


def encoded(octets):
    """Base64 of text or bytes, as one word."""
    octets = octets.encode() if isinstance(octets, str) else octets
    return base64.b64encode(octets)


class Scram:
    """RFC 5802 and 7677, with what the server has to prove."""

    def __init__(self, mechanism, user, password, authzid=""):
        self.digest = DIGESTS[mechanism]
        self.password = password.encode()
        self.nonce = secrets.token_hex(12).encode()
        self.header = b"n,%s," % (b"a=" + self._name(authzid) if authzid
                                  else b"")
        self.bare = b"n=%s,r=%s" % (self._name(user), self.nonce)
        self.proof_of_server = None

    @staticmethod
    def _name(text):
        return text.encode().replace(b"=", b"=3D").replace(b",", b"=2C")

    def first(self):
        """The client's first message."""
        return self.header + self.bare

    def _mac(self, key, text):
        return hmac.digest(key, text, self.digest)

    def final(self, challenge):
        """The answer to the server's first message."""
        fields = dict(one.split(b"=", 1) for one in challenge.split(b","))
        assert fields[b"r"].startswith(self.nonce), "another's nonce"
        salted = hashlib.pbkdf2_hmac(
            self.digest, self.password, base64.b64decode(fields[b"s"]),
            int(fields[b"i"]))
        bare = b"c=%s,r=%s" % (encoded(self.header), fields[b"r"])
        text = self.bare + b"," + challenge + b"," + bare
        key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self.digest, key).digest(), text)
        self.proof_of_server = encoded(
            self._mac(self._mac(salted, b"Server Key"), text))
        return bare + b",p=" + encoded(bytes(
            a ^ b for a, b in zip(key, signature)))

    def check(self, last):
        """Whether the server has proved that it knows the password."""
        assert last == b"v=" + self.proof_of_server, last


def _begin(client, mechanism, message, initial):
    """Sends the first message, with the command or after the `+`."""
    if initial:
        client.send(b"x AUTHENTICATE %s %s\r\n" % (mechanism.encode(),
                                                   encoded(message)))
        return
    client.send(b"x AUTHENTICATE %s\r\n" % mechanism.encode())
    assert client.read_line() == b"+ \r\n"
    client.send(encoded(message) + b"\r\n")


def scram(client, mechanism, user, password, authzid="", initial=True):
    """A login by SCRAM; returns the tagged line without its tag. An OK counts
    only from a server that has proved itself."""
    says = Scram(mechanism, user, password, authzid)
    _begin(client, mechanism, says.first(), initial)
    line = client.read_line()
    proved = False
    while line.startswith(b"+ "):
        challenge = base64.b64decode(line[2:], validate=False)
        if challenge.startswith(b"r="):
            answer = says.final(challenge)
        elif challenge.startswith(b"e="):
            answer = b""
        else:
            says.check(challenge)
            proved, answer = True, b""
        client.send(encoded(answer) + b"\r\n")
        line = client.read_line()
    while line.startswith(b"* "):
        line = client.read_line()
    assert proved or not line.startswith(b"x OK"), "OK without a proof"
    return line.removeprefix(b"x ")


def bearer_message(mechanism, user, token):
    """The client's first message of XOAUTH2 or OAUTHBEARER (RFC 7628, 3.1)."""
    if mechanism == "XOAUTH2":
        return f"user={user}\1auth=Bearer {token}\1\1".encode()
    return f"n,a={user},\1auth=Bearer {token}\1\1".encode()


def bearer(client, mechanism, user, token, initial=True):
    """A login by a token; returns (what the server said of a bad token, the
    tagged line without its tag)."""
    _begin(client, mechanism, bearer_message(mechanism, user, token), initial)
    line, reason = client.read_line(), None
    if line.startswith(b"+ "):
        reason = base64.b64decode(line[2:])
        # RFC 7628, 3.2.3; XOAUTH2 has an empty line there.
        client.send(b"\r\n" if mechanism == "XOAUTH2" else b"AQ==\r\n")
        line = client.read_line()
    while line.startswith(b"* "):
        line = client.read_line()
    return reason, line.removeprefix(b"x ")
