"""JSON Web Tokens in their compact form (RFC 7515, section 7.1), signed and verified by joserfc."""

import base64
import json
import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeGuard

from joserfc import jws
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwk import GuestProtocol

from fake_server.keys import SigningKey
from fake_server.refusals import said

__all__ = ["Claims", "compact_json", "header_of", "is_seconds", "numeric_date", "sign", "verify"]

Claims = dict[str, Any]
# Without padding, or one token would have several spellings.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class _Registry(jws.JWSRegistry):
    """Allow the algorithms given; joserfc's own warns of EdDSA, which every server with such a key still names so."""

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()) or name not in self.algorithms:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


# Headers that it does not know are ignored (RFC 7515, section 4).
_SIGNING = _Registry(algorithms=list(jws.JWSRegistry.algorithms), strict_check_header=False)
# As json.dumps, which would make an encoder at each call.
compact_json = json.JSONEncoder(separators=(",", ":")).encode


def sign(header: Mapping[str, Any], claims: Claims, key: SigningKey) -> str:
    """Return a JWT; the algorithm is the header's."""
    # joserfc signs; its own serialization looks at each header and key anew, which are the server's own here.
    signing_input = b".".join(_base64url(compact_json(part).encode()) for part in (dict(header), claims))
    signature = _SIGNING.get_alg(header["alg"]).sign(signing_input, key)
    return b".".join((signing_input, _base64url(signature))).decode()


def _base64url(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def verify(value: str, find_key: Callable[[Mapping[str, Any]], SigningKey], algs: Collection[str]) -> Claims:
    """Return the claims of a JWT whose signature is good; `find_key` gets its header.

    Raises joserfc's errors, ValueError for what is no JWT, and what `find_key` raises.
    """
    if not _COMPACT.fullmatch(value):
        raise ValueError("it is not three parts of base64url, parted by dots")

    def find(signature: GuestProtocol) -> SigningKey:
        return find_key(signature.headers())

    try:
        # joserfc looks at the algorithm first of all: of "none" there is no key to look for.
        registry = _Registry(algorithms=algs, strict_check_header=False)  # RFC 7515, section 4: others are ignored
        claims = json.loads(jws.deserialize_compact(value, find, registry=registry).payload)
    except (RecursionError, ValueError) as error:
        raise ValueError(f"it cannot be read: {error}") from error
    if not isinstance(claims, dict):
        raise ValueError("its payload is no JSON object")
    return claims


def header_of(value: str) -> dict[str, Any]:
    """Return the header of a JWT that was verified before."""
    return jws.extract_compact(value.encode()).headers()


def is_seconds(value: object) -> TypeGuard[float]:
    """Tell whether a claim is a time; JSON's numbers have no bounds, and Python reads NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a claim in Unix seconds, or None (RFC 7519, section 2). Raises ValueError for what is no number."""
    value = claims.get(name)
    if value is None or is_seconds(value):
        return value
    raise ValueError(f"{name} claim is {said(value)}, not a number of seconds")
