"""A certificate authority for https on loopback, which no system trusts unless it is told to."""

import ssl
import tempfile
from pathlib import Path

import trustme

__all__ = ["CertificateAuthority"]

_NAMES = ("127.0.0.1", "localhost", "::1")


class CertificateAuthority:
    """Make a CA and a certificate for 127.0.0.1, localhost and ::1; `ca_file` is what a client is to trust.

    The certificates are good from the year 2000 to 3000, so that a frozen time does not end them. `close` removes
    the file.
    """

    def __init__(self) -> None:
        authority = trustme.CA()
        self._folder = tempfile.TemporaryDirectory(prefix="fake_server-")
        self.ca_file = str(Path(self._folder.name) / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*_NAMES).configure_cert(self.context)

    def __repr__(self) -> str:
        return f"<CertificateAuthority {self.ca_file}>"

    def close(self) -> None:
        """Remove the file."""
        self._folder.cleanup()
