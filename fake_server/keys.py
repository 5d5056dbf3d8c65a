"""The keys that tokens are signed with (RFC 7517)."""

import threading
from collections.abc import Mapping
from types import MappingProxyType

from joserfc.errors import InvalidKeyTypeError, JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from fake_server.key_source import KeySource

__all__ = ["SigningKey", "SigningKeys", "read_public_keys"]

SigningKey = RSAKey | ECKey | OKPKey | OctKey
# Those of the algorithms that a client may sign with.
_CURVES = ("P-256", "P-384", "P-521", "Ed25519", "Ed448")
_PUBLIC_KINDS: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = MappingProxyType(
    {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
)


def read_public_keys(value: object) -> tuple[SigningKey, ...]:
    """Return the public keys of a JWK, a JWK Set or a PEM text; of a private key, its public half.

    Raises ValueError for what is none of these.
    """
    if isinstance(value, (str, bytes)):
        return (_read_pem(value),)
    if isinstance(value, Mapping):
        members = value.get("keys", [value])
        if isinstance(members, list) and members:
            return tuple(map(_read_jwk, members))
    raise ValueError("a public_key is a JWK, a JWK Set, or a text in PEM")


def _read_pem(text: str | bytes) -> SigningKey:
    for kind in _PUBLIC_KINDS.values():
        try:
            key = kind.import_key(text)
        except InvalidKeyTypeError:
            continue
        except TypeError as error:
            raise ValueError(
                "the public_key in PEM is encrypted; pass the public half, which needs no password"
            ) from error
        except ValueError as error:
            raise ValueError("the public_key is no key in PEM") from error
        return _public_half(key)
    raise ValueError("the public_key in PEM is of a kind that signs no JWT")


def _read_jwk(members: object) -> SigningKey:
    kind = _PUBLIC_KINDS.get(str(members.get("kty"))) if isinstance(members, Mapping) else None
    if kind is None or not isinstance(members, Mapping):
        raise ValueError(f"the kty of a JWK in public_key is not one of {', '.join(_PUBLIC_KINDS)}")
    try:
        key = kind.import_key(dict(members))
    except (JoseError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a JWK in public_key cannot be used: {type(error).__name__}") from error
    return _public_half(key)


def _public_half(key: RSAKey | ECKey | OKPKey) -> SigningKey:
    if not isinstance(key, RSAKey) and key.curve_name not in _CURVES:
        raise ValueError(f"the public_key is of the curve {key.curve_name}; assertions take {', '.join(_CURVES)}")
    return type(key).import_key(key.as_dict(private=False))


class SigningKeys:
    """Hold one server's keys: the one it signs with, and those it publishes."""

    def __init__(self, source: KeySource, alg: str = "RS256") -> None:
        self.alg = alg
        self._source = source
        self._lock = threading.RLock()
        self._published: list[SigningKey] = []
        self._withdrawn: set[str] = set()

    @property
    def current(self) -> SigningKey:
        """Return the key that signs now."""
        return self._keys()[0]

    def rotate(self, *, publish_old: bool) -> None:
        """Sign with a fresh key from now on, and publish the old ones further or not."""
        fresh = self._source.fresh(self.alg)
        with self._lock:
            if not publish_old:
                self._withdrawn.update(str(key.kid) for key in self._keys())
            self._published = [fresh, *(self._keys() if publish_old else ())]

    def was_published(self, kid: object) -> bool:
        """Tell whether a key of that id signed here once, and is published no longer."""
        return kid in self._withdrawn

    def get(self, kid: object) -> SigningKey | None:
        """Return the published key of that id, or None."""
        return next((key for key in self._keys() if key.kid == kid), None)

    def shared_secret(self) -> str | None:
        """Return the base64url of the key that signs now, or None where it is not shared but published."""
        if self.alg != "HS256":
            return None
        return str(self.current.as_dict(private=True)["k"])

    def as_jwks(self) -> dict[str, list[dict[str, object]]]:
        """Return the public halves as a JWK Set (RFC 7517, section 5); a key that is shared has none."""
        return {"keys": [dict(key.as_dict(private=False)) for key in self._keys() if not isinstance(key, OctKey)]}

    def _keys(self) -> list[SigningKey]:
        # Not when the server is made: most tests of a suite may never need a key.
        with self._lock:
            if not self._published:
                self._published = [self._source.shared(self.alg)]
            return self._published
