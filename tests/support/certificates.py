"""Certificates of an authority of its own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trustme


class Certificates(NamedTuple):
    """Files: the authority's certificate, and the cluster's own with its key."""

    authority: Path
    own: Path
    key: Path

    def get_security_options(self, *roles: str) -> dict[str, str]:
        """Return the arguments of Dask's `Security` for these roles."""
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
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    found = Certificates(folder / "ca.pem", folder / "own.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(found.authority)
    (own,) = issued.cert_chain_pems
    own.write_to_path(found.own)
    issued.private_key_pem.write_to_path(found.key)
    return found
