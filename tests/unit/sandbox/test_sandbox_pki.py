"""Certificates: a chain that verifies, the names that Kubernetes reads, and nothing issued twice."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from sandbox import pki


@pytest.fixture
def authority(tmp_path: Path) -> pki.Authority:
    return pki.Authority(tmp_path / "ca", "test")


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_server_certificate_verifies_for_its_names_only(authority: pki.Authority) -> None:
    issued = authority.server("server", names=("kubernetes.default.svc", "127.0.0.1"))
    builder = PolicyBuilder().store(Store([load(authority.certificate)]))
    builder.build_server_verifier(x509.DNSName("kubernetes.default.svc")).verify(load(issued.certificate), [])
    with pytest.raises(VerificationError):
        builder.build_server_verifier(x509.DNSName("elsewhere")).verify(load(issued.certificate), [])


def test_another_authority_does_not_vouch_for_a_client(authority: pki.Authority, tmp_path: Path) -> None:
    stranger = pki.Authority(tmp_path / "other", "test")
    issued = load(stranger.client("client", common_name="admin").certificate)
    issued.verify_directly_issued_by(load(stranger.certificate))
    with pytest.raises(InvalidSignature):
        issued.verify_directly_issued_by(load(authority.certificate))


def test_a_client_certificate_carries_user_and_groups(authority: pki.Authority) -> None:
    subject = load(authority.client("dpu0", common_name="metalplane:dpu:dpu0", organizations=("a", "b")).certificate)
    values = {
        oid: [item.value for item in subject.subject.get_attributes_for_oid(oid)]
        for oid in (
            NameOID.COMMON_NAME,
            NameOID.ORGANIZATION_NAME,
        )
    }
    assert values == {NameOID.COMMON_NAME: ["metalplane:dpu:dpu0"], NameOID.ORGANIZATION_NAME: ["a", "b"]}


def test_what_still_fits_is_kept_and_what_does_not_is_issued_again(authority: pki.Authority) -> None:
    first = authority.server("server", names=("127.0.0.1",)).certificate.read_bytes()
    again = pki.Authority(authority.directory, "test")
    assert again.server("server", names=("127.0.0.1",)).certificate.read_bytes() == first
    assert again.server("server", names=("127.0.0.1", "localhost")).certificate.read_bytes() != first


def test_a_certificate_without_its_key_is_issued_again(authority: pki.Authority) -> None:
    issued = authority.client("client", common_name="admin")
    issued.key.unlink()
    issued = authority.client("client", common_name="admin")
    ssl.create_default_context().load_cert_chain(issued.certificate, issued.key)


def test_private_keys_are_for_their_owner_only(authority: pki.Authority, tmp_path: Path) -> None:
    issued = authority.client("client", common_name="admin")
    pki.ssh_key(tmp_path / "id_ed25519", "test")
    for key in (issued.key, tmp_path / "id_ed25519", pki.signing_key(tmp_path / "tokens.key")):
        assert key.stat().st_mode & 0o777 == 0o600


def test_an_ssh_key_is_made_once(tmp_path: Path) -> None:
    line = pki.ssh_key(tmp_path / "id_ed25519", "someone")
    assert line.startswith("ssh-ed25519 ")
    assert line.endswith(" someone")
    assert pki.ssh_key(tmp_path / "id_ed25519", "someone") == line
