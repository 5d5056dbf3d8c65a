"""The keys that tokens are signed with (RFC 7517)."""

import threading

from joserfc.jwk import RSAKey

__all__ = ["KeySource", "SigningKeys"]

ALGORITHM = "RS256"


class KeySource:
    """Make RSA keys, the first of them once for all servers that share this source.

    A 2048-bit key takes 50 ms on average, and up to three times that: too much for every test.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: RSAKey | None = None
        self._preparation: threading.Thread | None = None

    def prepare(self) -> None:
        """Start to make the shared key in another thread; making one releases the GIL."""
        if self._preparation is None:
            self._preparation = threading.Thread(target=self.shared, name="fake_server-key", daemon=True)
            self._preparation.start()

    def close(self) -> None:
        """Wait for a preparation that is under way."""
        if self._preparation is not None:
            self._preparation.join()

    def shared(self) -> RSAKey:
        """Return the key that every server starts with."""
        with self._lock:
            if self._shared is None:
                self._shared = self.fresh()
            return self._shared

    def fresh(self) -> RSAKey:
        """Return a key that nobody else has."""
        return RSAKey.generate_key(2048, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)


class SigningKeys:
    """Hold one server's keys: the one it signs with, and those it publishes."""

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._lock = threading.RLock()
        self._published: list[RSAKey] = []

    @property
    def current(self) -> RSAKey:
        """Return the key that signs now."""
        return self._keys()[0]

    def rotate(self, *, publish_old: bool) -> None:
        """Sign with a fresh key from now on, and publish the old ones further or not."""
        fresh = self._source.fresh()
        with self._lock:
            self._published = [fresh, *(self._keys() if publish_old else ())]

    def get(self, kid: object) -> RSAKey | None:
        """Return the published key of that id, or None."""
        return next((key for key in self._keys() if key.kid == kid), None)

    def as_jwks(self) -> dict[str, list[dict[str, object]]]:
        """Return the public halves as a JWK Set (RFC 7517, section 5)."""
        return {"keys": [dict(key.as_dict(private=False)) for key in self._keys()]}

    def _keys(self) -> list[RSAKey]:
        # Not when the server is made: most tests of a suite may never need a key.
        with self._lock:
            if not self._published:
                self._published = [self._source.shared()]
            return self._published
