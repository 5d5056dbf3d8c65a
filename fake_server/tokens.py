"""The tokens that a server issues, verifies and ends (RFC 7519, RFC 6750)."""

import math
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any

from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError

from fake_server import jose
from fake_server.clock import Clock
from fake_server.diagnoses import why_cut_signature, why_no_jwt
from fake_server.jose import Claims
from fake_server.keys import SigningKey, SigningKeys
from fake_server.opaque_tokens import OpaqueTokens, digest
from fake_server.refusals import Reason, Refusal, said

__all__ = ["TokenStore", "fingerprint"]


_STRAY = "does the code under test keep tokens in a module, from one test to the next?"


def fingerprint(value: str) -> str:
    """Return twelve hexadecimal digits that name a token and do not give it away."""
    return digest(value).hex()[:12]


class TokenStore:
    """Sign tokens, verify them, and remember which have ended before their time.

    A JWT says itself what it is good for, so those that run to their end are not kept; of an opaque token
    nobody knows but the server, so all are.
    """

    def __init__(
        self, keys: SigningKeys, clock: Clock, *, issuer: str, audience: str, token_format: str = "jwt"
    ) -> None:
        self.keys = keys
        self._clock = clock
        self.issuer = issuer
        self.audience = audience
        self._opaque = OpaqueTokens() if token_format == "opaque" else None
        self._lock = threading.Lock()
        self._ended: dict[str, Reason] = {}
        self._latest_issued_at = -math.inf
        self._expired_up_to: float | None = None
        self._issued_since: set[str] = set()

    def issue(self, make_header: Callable[[str, str], Mapping[str, Any]], claims: Claims) -> str:
        """Return a signed JWT, whose header is made of the key's `kid` and `alg`, or an opaque token."""
        value = self._sign(make_header, claims) if self._opaque is None else self._keep(claims, self._opaque)
        with self._lock:
            self._latest_issued_at = max(self._latest_issued_at, _issued_at(claims))
            if self._looks_expired_with_all(claims):
                self._issued_since.add(fingerprint(value))
        return value

    def _keep(self, claims: Claims, issued: OpaqueTokens) -> str:
        value = secrets.token_urlsafe(32)
        issued.add(value, claims)
        return value

    def _sign(self, make_header: Callable[[str, str], Mapping[str, Any]], claims: Claims) -> str:
        key = self.keys.current
        return jose.sign(make_header(str(key.kid), self.keys.alg), claims, key)

    def check(self, value: str, claims: Claims) -> None:
        """Raise Refusal unless a decoded token is this server's, for its API, and good now."""
        self._check_issuer(claims)
        self._check_audience(claims)
        self._check_times(claims)
        self._check_end(fingerprint(value), claims)

    def end(self, value: str, reason: Reason) -> None:
        """End one token early. Raises ValueError unless this server issued it."""
        __tracebackhide__ = True
        if not isinstance(value, str):
            raise TypeError(f"a token is a text, not an {type(value).__name__}; of an AccessToken pass its .value")
        try:
            self._check_issuer(self.decode(value))
        except Refusal as refusal:
            # Without its cause, whose frames hold the token.
            raise ValueError(f"this is no token of this server: {refusal.diagnosis}") from None
        self.end_own(value, reason)

    def end_own(self, value: str, reason: Reason) -> None:
        """End a token early that is known to be this server's, whatever its claims say."""
        with self._lock:
            self._ended[fingerprint(value)] = reason

    def expire_all(self) -> None:
        """End every token issued so far."""
        with self._lock:
            self._expired_up_to = self._latest_issued_at
            self._issued_since = set()

    def decode(self, value: str) -> Claims:
        """Return the claims of a token that was signed with one of this server's keys. Raises Refusal."""
        if self._opaque is not None:
            return self._look_up(value, self._opaque)
        try:
            return jose.verify(value, self._find_key, (self.keys.alg,))
        except BadSignatureError as error:
            cause = why_cut_signature(value, self.keys.alg)
            raise Refusal(
                Reason.BAD_SIGNATURE, cause or "the token's signature is not this server's: it was altered or forged"
            ) from error
        except UnsupportedAlgorithmError as error:
            raise Refusal(Reason.WRONG_ALGORITHM, f"the token is not signed with {self.keys.alg}") from error
        except (JoseError, ValueError) as error:
            raise Refusal(
                Reason.MALFORMED_TOKEN,
                f"what came as a token, {len(value)} characters, is not a JWT: {why_no_jwt(value) or error}",
            ) from error

    def _look_up(self, value: str, issued: OpaqueTokens) -> Claims:
        claims = issued.get(value)
        if claims is None:
            raise Refusal(
                Reason.FOREIGN_TOKEN,
                f"this server has issued no such token ({len(value)} characters came, its own have 43): {_STRAY}",
            )
        return claims

    def _find_key(self, header: Mapping[str, Any]) -> SigningKey:
        kid = header.get("kid")
        key = self.keys.get(kid)
        if key is None:
            withdrawn = isinstance(kid, str) and self.keys.was_published(kid)
            cause = "rotate_keys(publish_old=False) has withdrawn it" if withdrawn else "it is another issuer's token"
            raise Refusal(
                Reason.UNKNOWN_SIGNING_KEY, f"the token's kid {said(kid)} is not among this server's keys: {cause}"
            )
        return key

    def _check_issuer(self, claims: Claims) -> None:
        if claims.get("iss") != self.issuer:
            issuer = said(claims.get("iss"), 120)
            raise Refusal(
                Reason.FOREIGN_TOKEN, f"the token was issued by {issuer}, not by this server, {self.issuer!r}: {_STRAY}"
            )

    def _check_audience(self, claims: Claims) -> None:
        audience = claims.get("aud")
        if self.audience not in (audience if isinstance(audience, list) else [audience]):
            raise Refusal(
                Reason.WRONG_AUDIENCE,
                f"the token is for the audience {said(audience, 120)}, the API is {self.audience!r}",
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
    return value if jose.is_seconds(value) else -math.inf


def _numeric_date(claims: Claims, name: str) -> float | None:
    try:
        return jose.numeric_date(claims, name)
    except ValueError as error:
        raise Refusal(Reason.MALFORMED_TOKEN, f"the token's {error}") from error
