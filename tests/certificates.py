"""Certificates for tests: an authority of its own, servers and clients it signs."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, root: Path, name: str = "Dockwright tests") -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.certificate = root / "authority.pem"
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False),
            (_usage(signs_certificates=True), True),
        ]
        self._authority = self._sign(self._key, self._name, extensions)
        self.certificate.write_bytes(self._authority.public_bytes(serialization.Encoding.PEM))

    def server(self, *hosts: str, days: int = 30) -> tuple[Path, Path]:
        """Certificate and key of a server that is reached as any of `hosts`; expired already with negative `days`."""
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        return self._issue(f"server-{hosts[0]}", [(names, False), (_for(ExtendedKeyUsageOID.SERVER_AUTH), False)], days)

    def client(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of a client."""
        return self._issue(name, [(_for(ExtendedKeyUsageOID.CLIENT_AUTH), False)], 30)

    def signer(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """The authority itself, to sign something else than certificates."""
        return self._key, self._authority

    def _issue(self, name: str, extensions: list[tuple[x509.ExtensionType, bool]], days: int) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = [
            *extensions,
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
            (_usage(signs_certificates=False), True),
        ]
        certificate = self._sign(key, _name(name), extensions, days)
        paths = self._root / f"{name}.pem", self._root / f"{name}-key.pem"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def _sign(
        self,
        key: ec.EllipticCurvePrivateKey,
        name: x509.Name,
        extensions: list[tuple[x509.ExtensionType, bool]],
        days: int = 30,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _for(usage: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([usage])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
