"""A certificate authority for tests: good leaves, and every kind of bad."""

import datetime
import functools
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)

CLIENT, SERVER = (ExtendedKeyUsageOID.CLIENT_AUTH,
                  ExtendedKeyUsageOID.SERVER_AUTH)


@functools.lru_cache
def _rsa_key():
    """One for all RSA leaves, since making it takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _new_key(kind):
    if kind == "rsa":
        return _rsa_key()
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Leaf:
    """A certificate with its key; `save` gives the paths of both files."""

    def __init__(self, certificate, key, issuers):
        self.certificate = certificate
        self.key = key
        self.chain_pem = _pem(certificate) + b"".join(map(_pem, issuers))
        self.key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())
        self.der = certificate.public_bytes(serialization.Encoding.DER)

    def save(self, folder, stem):
        """Writes STEM.pem and STEM.key and returns their paths."""
        chain = os.path.join(folder, stem + ".pem")
        key = os.path.join(folder, stem + ".key")
        with open(chain, "wb") as out:
            out.write(self.chain_pem)
        with open(os.open(key, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600),
                  "wb") as out:
            out.write(self.key_pem)
        return chain, key


class Authority:
    """A root that signs whatever a test wants."""

    def __init__(self, common_name="Gatepost test authority"):
        self.key = _new_key("ecdsa")
        now = datetime.datetime.utcnow()
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name)).issuer_name(_name(common_name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY).not_valid_after(now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.KeyUsage(False, False, False, False, False,
                                         True, True, False, False), True)
            .sign(self.key, hashes.SHA256()))
        self.pem = _pem(self.certificate)

    def issue(self, *names, ips=(), common_name=None, key="ecdsa",
              expired=False, san=True, self_signed=False, emails=(),
              purpose=None, days=20):
        """A leaf for the DNS names and addresses given, for so many days.

        `emails` are rfc822Names; `purpose` is CLIENT or SERVER. `san=False`
        leaves only the common name; `self_signed` makes one that no authority
        vouches for."""
        leaf_key = _new_key(key)
        now = datetime.datetime.utcnow()
        subject = _name(common_name or (names[0] if names else "leaf"))
        issuer = subject if self_signed else self.certificate.subject
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject).issuer_name(issuer)
            .public_key(leaf_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 20 * _DAY)
            .not_valid_after(now + (-_DAY if expired else days * _DAY))
            .add_extension(x509.BasicConstraints(False, None), True))
        if san:
            general = [x509.DNSName(name) for name in names]
            general += [x509.IPAddress(ipaddress.ip_address(ip))
                        for ip in ips]
            general += [x509.RFC822Name(email) for email in emails]
            builder = builder.add_extension(
                x509.SubjectAlternativeName(general), False)
        if purpose is not None:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([purpose]), False)
        signer = leaf_key if self_signed else self.key
        return Leaf(builder.sign(signer, hashes.SHA256()), leaf_key, [])

    def save(self, folder, stem="ca"):
        """Writes STEM.pem and returns its path."""
        path = os.path.join(folder, stem + ".pem")
        with open(path, "wb") as out:
            out.write(self.pem)
        return path
