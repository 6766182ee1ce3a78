"""Certificates for tests: an authority, and what it signs for servers and clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority", "Signed"]


@dataclass(frozen=True)
class Signed:
    """The files of a certificate and its private key."""

    certificate: Path
    key: Path


class Authority:
    """An authority of its own, in a folder of its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = folder / "ca.pem"
        self._write(self.certificate, self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))

    def sign(self, name: str, names: str = "IP:127.0.0.1,DNS:localhost") -> Signed:
        """Make a key and a certificate for it, valid for `names`."""
        key = ec.generate_private_key(ec.SECP256R1())
        kinds = (each.partition(":") for each in names.split(","))
        valid = [x509.IPAddress(ip_address(text)) if kind == "IP" else x509.DNSName(text) for kind, _, text in kinds]
        signed = Signed(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        self._write(signed.certificate, _named(name), key, x509.SubjectAlternativeName(valid))
        signed.key.write_bytes(_pem(key, serialization.NoEncryption()))
        return signed

    def _write(
        self, path: Path, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> None:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self._key, hashes.SHA256())
        )
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def locked(self, signed: Signed) -> Path:
        """Return a copy of a private key that a password locks."""
        path = signed.key.with_suffix(".locked")
        key = serialization.load_pem_private_key(signed.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        path.write_bytes(_pem(key, serialization.BestAvailableEncryption(b"open")))
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
