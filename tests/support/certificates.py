"""Certificates of an authority of its own, as openssl makes them."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates(NamedTuple):
    """Files: the authority's certificate, and the cluster's own with its key."""

    authority: Path
    own: Path
    key: Path

    def get_security_options(self, *roles: str) -> dict[str, str]:
        """What Dask's `Security` takes for these roles."""
        found = {"tls_ca_file": str(self.authority)}
        for role in roles:
            found |= {f"tls_{role}_cert": str(self.own), f"tls_{role}_key": str(self.key)}
        return found

    def get_dask_environment(self, role: str) -> dict[str, str]:
        """The same for one role as Dask reads it from the environment."""
        base = "DASK_DISTRIBUTED__COMM__TLS"
        return {
            f"{base}__CA_FILE": str(self.authority),
            f"{base}__{role.upper()}__CERT": str(self.own),
            f"{base}__{role.upper()}__KEY": str(self.key),
        }


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, and a certificate for 127.0.0.1, in a folder."""
    folder.mkdir()
    now = datetime.datetime.now(datetime.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    found = Certificates(folder / "ca.pem", folder / "own.pem", folder / "key.pem")
    for path, subject, public, extension in (
        (found.authority, root, root_key.public_key(), x509.BasicConstraints(ca=True, path_length=None)),
        (found.own, name, key.public_key(), address),
    ):
        built = x509.CertificateBuilder().subject_name(subject).issuer_name(root).public_key(public)
        built = built.serial_number(x509.random_serial_number()).not_valid_before(now)
        built = built.not_valid_after(now + datetime.timedelta(days=1))
        made = built.add_extension(extension, critical=False).sign(root_key, hashes.SHA256())
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    found.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return found
