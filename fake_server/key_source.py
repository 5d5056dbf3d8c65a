"""Where servers get the keys that they sign with: the first for each algorithm is made once for all of them."""

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

__all__ = ["KeySource"]

_Key: TypeAlias = "RSAKey | ECKey | OKPKey | OctKey"


def _make_rsa_key() -> "RSAKey":
    # All that takes long needs cryptography alone, and releases the GIL: joserfc may be loaded meanwhile.
    from cryptography.hazmat.primitives.asymmetric import rsa

    native = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    from joserfc.jwk import RSAKey

    key = RSAKey.import_key(native, {"use": "sig", "alg": "RS256"})
    key.ensure_kid()
    return key


def _make_ec_key() -> "ECKey":
    from joserfc.jwk import ECKey

    return ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)


def _make_okp_key() -> "OKPKey":
    from joserfc.jwk import OKPKey

    return OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}, auto_kid=True)


def _make_oct_key() -> "OctKey":
    from joserfc.jwk import OctKey

    return OctKey.generate_key(256, {"use": "sig", "alg": "HS256"}, auto_kid=True)


_MAKERS: Mapping[str, Callable[[], _Key]] = MappingProxyType(
    {"RS256": _make_rsa_key, "ES256": _make_ec_key, "EdDSA": _make_okp_key, "HS256": _make_oct_key}
)


class KeySource:
    """Make signing keys, the first for each algorithm once for all servers that share this source.

    A 2048-bit RSA key takes 50 ms on average, and up to three times that: too much for every test.
    """

    def __init__(self) -> None:
        # One for each algorithm: who wants a key that is made in a moment must not wait for RSA's.
        self._locks = {alg: threading.Lock() for alg in _MAKERS}
        self._shared: dict[str, _Key] = {}
        self._preparation: threading.Thread | None = None

    def prepare(self) -> None:
        """Start to make the shared RSA key in another thread."""
        if self._preparation is None:
            # Loaded here: the thread would have to share the GIL with what its caller loads next, and begin late.
            import cryptography.hazmat.primitives.asymmetric.rsa  # noqa: F401

            thread = threading.Thread(target=self.shared, name="fake_server-key", daemon=True)
            thread.start()
            self._preparation = thread

    def close(self) -> None:
        """Wait for a preparation that is under way."""
        if self._preparation is not None:
            self._preparation.join()

    def shared(self, alg: str = "RS256") -> _Key:
        """Return the key for an algorithm that every server starts with."""
        with self._locks[alg]:
            if alg not in self._shared:
                self._shared[alg] = self.fresh(alg)
            return self._shared[alg]

    def fresh(self, alg: str = "RS256") -> _Key:
        """Return a key for an algorithm that nobody else has."""
        return _MAKERS[alg]()
