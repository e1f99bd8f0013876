"""The certificates of a sandbox: who is who on its TLS connections.

Three authorities, so that none can stand in for another: ``cluster`` signs the API server and every client of it,
``front-proxy`` only the API server's own certificate towards aggregated API servers, ``function`` both sides of the
engine's calls of composition functions. Everything here may be run again: what is there and still fits is kept.
"""

import datetime
import ipaddress
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALIDITY = datetime.timedelta(days=365)
_CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Credential:
    """A private key and the certificate for it, both PEM files."""

    certificate: Path
    key: Path


class Authority:
    """One certificate authority, kept in a directory of its own: ``ca.crt``, ``ca.key`` and what it issued."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.certificate = directory / "ca.crt"
        self._key_path = directory / "ca.key"
        directory.mkdir(parents=True, exist_ok=True)
        if not (self.certificate.exists() and self._key_path.exists()):
            key = ec.generate_private_key(ec.SECP256R1())
            subject = _name(name, ())
            builder = _builder(subject, subject, key.public_key(), validity=10 * VALIDITY)
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
            _write(self._key_path, _private_pem(key))
            _write(self.certificate, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def client(self, name: str, *, common_name: str, organizations: Sequence[str] = ()) -> Credential:
        """A client's credential; Kubernetes reads the common name as user and the organizations as groups."""
        return self._issue(name, _name(common_name, organizations), (), ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, name: str, *, names: Sequence[str]) -> Credential:
        """A server's credential for DNS names and IP addresses."""
        return self._issue(name, _name(names[0], ()), names, ExtendedKeyUsageOID.SERVER_AUTH)

    def _issue(
        self, name: str, subject: x509.Name, alternatives: Sequence[str], usage: x509.ObjectIdentifier
    ) -> Credential:
        issued = Credential(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        if _fits(issued, subject, alternatives):
            return issued
        ca_key = serialization.load_pem_private_key(self._key_path.read_bytes(), password=None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        ca = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, ca.subject, key.public_key(), validity=VALIDITY)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(text) for text in alternatives]), critical=False
            )
        # The key first: a certificate whose key is missing or older is issued again.
        issued.certificate.unlink(missing_ok=True)
        _write(issued.key, _private_pem(key))
        _write(issued.certificate, builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return issued


def signing_key(path: Path) -> Path:
    """A key pair for service-account tokens: the private PEM at ``path``, the public one beside it as ``.pub``."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _write(path.with_suffix(".pub"), public)
        _write(path, _private_pem(key))
    return path


def ssh_key(path: Path, comment: str) -> str:
    """An Ed25519 key pair for ssh at ``path`` and ``path``.pub; returns the line for ``authorized_keys``."""
    public_path = path.with_name(f"{path.name}.pub")
    if not (path.exists() and public_path.exists()):
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        _write(path, private)
        _write(public_path, public + f" {comment}\n".encode())
    return public_path.read_text().strip()


def as_directory(credential: Credential, authority: Path, directory: Path) -> Path:
    """The credential under the names that a TLS directory of our processes has: tls.crt, tls.key, ca.crt."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, source in (("tls.crt", credential.certificate), ("tls.key", credential.key), ("ca.crt", authority)):
        shutil.copy(source, directory / name)
    return directory


def _fits(issued: Credential, subject: x509.Name, alternatives: Sequence[str]) -> bool:
    if not (issued.certificate.exists() and issued.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(issued.certificate.read_bytes())
    now = datetime.datetime.now(datetime.UTC)
    if certificate.subject != subject or certificate.not_valid_after_utc - now < VALIDITY / 4:
        return False
    if not alternatives:
        return True
    present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(present) == [_alternative(text) for text in alternatives]


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, *, validity: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by the owner alone."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    scratch.rename(path)
