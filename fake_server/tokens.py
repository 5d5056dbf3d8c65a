"""The tokens that a server issues, verifies and ends (RFC 7519, RFC 6750)."""

import hashlib
import json
import math
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any, TypeGuard

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import GuestProtocol, RSAKey

from fake_server.clock import Clock
from fake_server.keys import ALGORITHM, SigningKeys
from fake_server.refusals import Reason, Refusal

__all__ = ["Claims", "TokenStore", "fingerprint"]

Claims = dict[str, Any]
# RFC 7515, section 7.1; without padding, or one token would have several spellings.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


def fingerprint(value: str) -> str:
    """Return twelve hexadecimal digits that name a token and do not give it away."""
    return hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()[:12]


class TokenStore:
    """Sign tokens, verify them, and remember which have ended before their time.

    A JWT says itself what it is good for, so those that run to their end are not kept.
    """

    def __init__(self, keys: SigningKeys, clock: Clock, *, issuer: str, audience: str) -> None:
        self.keys = keys
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._lock = threading.Lock()
        self._ended: dict[str, Reason] = {}
        self._latest_issued_at = -math.inf
        self._expired_up_to: float | None = None
        self._issued_since: set[str] = set()

    def issue(self, header: Mapping[str, Any], claims: Claims) -> str:
        """Return a signed JWT; its `alg` and `kid` are the caller's to put into the header."""
        # The header's key, as they may be rotated between the two.
        key = self.keys.get(header["kid"]) or self.keys.current
        value = jwt.encode(dict(header), claims, key, algorithms=[ALGORITHM], default_type=None)
        with self._lock:
            self._latest_issued_at = max(self._latest_issued_at, _issued_at(claims))
            if self._looks_expired_with_all(claims):
                self._issued_since.add(fingerprint(value))
        return value

    def check(self, value: str, claims: Claims) -> None:
        """Raise Refusal unless a decoded token is this server's, for its API, and good now."""
        self._check_issuer(claims)
        self._check_audience(claims)
        self._check_times(claims)
        self._check_end(fingerprint(value), claims)

    def end(self, value: str, reason: Reason) -> None:
        """End one token early. Raises ValueError unless this server issued it."""
        try:
            self._check_issuer(self.decode(value))
        except Refusal as refusal:
            raise ValueError(f"this is no token of this server: {refusal.diagnosis}") from refusal
        with self._lock:
            self._ended[fingerprint(value)] = reason

    def expire_all(self) -> None:
        """End every token issued so far."""
        with self._lock:
            self._expired_up_to = self._latest_issued_at
            self._issued_since = set()

    def decode(self, value: str) -> Claims:
        """Return the claims of a token that was signed with one of this server's keys. Raises Refusal."""
        try:
            if not _COMPACT.fullmatch(value):
                raise ValueError("it is not three parts of base64url, parted by dots")
            claims = json.loads(jws.deserialize_compact(value, self._find_key, algorithms=[ALGORITHM]).payload)
            if not isinstance(claims, dict):
                raise ValueError("its payload is no JSON object")
            return claims
        except BadSignatureError as error:
            raise Refusal(
                Reason.BAD_SIGNATURE, "the token's signature is not this server's: it was altered or forged"
            ) from error
        except UnsupportedAlgorithmError as error:
            raise Refusal(Reason.WRONG_ALGORITHM, f"the token is not signed with {ALGORITHM}") from error
        except (JoseError, ValueError) as error:
            raise Refusal(
                Reason.MALFORMED_TOKEN, f"what came as a token, {len(value)} characters, is not a JWT: {error}"
            ) from error

    def _find_key(self, signature: GuestProtocol) -> RSAKey:
        kid = signature.headers().get("kid")
        key = self.keys.get(kid)
        if key is None:
            raise Refusal(
                Reason.UNKNOWN_SIGNING_KEY,
                f"the token's kid {kid!r:.60} is not among this server's keys: "
                "it is another issuer's token, or the keys were rotated",
            )
        return key

    def _check_issuer(self, claims: Claims) -> None:
        if claims.get("iss") != self._issuer:
            raise Refusal(
                Reason.FOREIGN_TOKEN,
                f"the token was issued by {claims.get('iss')!r:.120}, not by this server, {self._issuer!r}: "
                "does the code under test keep tokens in a module, from one test to the next?",
            )

    def _check_audience(self, claims: Claims) -> None:
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise Refusal(
                Reason.WRONG_AUDIENCE, f"the token is for the audience {audience!r:.120}, the API is {self._audience!r}"
            )

    def _check_times(self, claims: Claims) -> None:
        now = self._clock.time()
        expires_at = _numeric_date(claims, "exp")
        if expires_at is None:
            raise Refusal(Reason.MALFORMED_TOKEN, "the token has no exp claim")
        if now >= expires_at:
            raise Refusal(Reason.EXPIRED_TOKEN, f"the token expired {now - expires_at:.0f} s ago by the server's clock")
        not_before = _numeric_date(claims, "nbf")
        if not_before is not None and now < not_before:
            raise Refusal(
                Reason.TOKEN_NOT_YET_VALID, f"the token is valid in {not_before - now:.0f} s by the server's clock"
            )

    def _check_end(self, name: str, claims: Claims) -> None:
        ended = self._ended.get(name)
        if ended is Reason.REVOKED_TOKEN:
            raise Refusal(ended, "the token was revoked")
        if ended is Reason.EXPIRED_TOKEN or self._is_expired_with_all(name, claims):
            raise Refusal(Reason.EXPIRED_TOKEN, "the token was expired by the test, before its exp")

    def _is_expired_with_all(self, name: str, claims: Claims) -> bool:
        with self._lock:
            return self._looks_expired_with_all(claims) and name not in self._issued_since

    def _looks_expired_with_all(self, claims: Claims) -> bool:
        # iat counts whole seconds, and the clock may be moved back: it cannot tell every later token
        # from an earlier one, so the later ones that look earlier are remembered.
        return self._expired_up_to is not None and _issued_at(claims) <= self._expired_up_to


def _issued_at(claims: Claims) -> float:
    value = claims.get("iat")
    return value if _is_seconds(value) else -math.inf


def _is_seconds(value: object) -> TypeGuard[float]:
    # JSON's numbers have no bounds, and Python reads NaN.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _numeric_date(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None or _is_seconds(value):
        return value
    raise Refusal(Reason.MALFORMED_TOKEN, f"the token's {name} claim is {value!r:.60}, not a number of seconds")
