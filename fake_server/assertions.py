"""Clients that sign who they are: private_key_jwt (RFC 7521, section 4.2; RFC 7523, sections 2.2 and 3)."""

import base64
import binascii
import json
import threading
from collections.abc import Mapping
from typing import Any

from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey

from fake_server import jose
from fake_server.clients import ClientRegistry, RegisteredClient
from fake_server.clock import Clock
from fake_server.diagnoses import shorten
from fake_server.jose import Claims
from fake_server.keys import SigningKey
from fake_server.refusals import Reason, Refusal, said

__all__ = ["ASSERTION_ALGS", "ASSERTION_TYPE", "AssertionVerifier"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "Ed": "OKP"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}  # RFC 7518, section 3.4
_LONGEST = 3600  # seconds that an assertion may be good for; Okta allows no more


class AssertionVerifier:
    """Verify one server's client assertions, and remember those that were used until they expire."""

    def __init__(self, clock: Clock, audiences: tuple[str, ...]) -> None:
        self._clock = clock
        self.audiences = audiences
        self._lock = threading.Lock()
        self._used: dict[tuple[str, str], float] = {}

    def authenticate(self, form: Mapping[str, str], clients: ClientRegistry) -> RegisteredClient:
        """Return the client that signed the `client_assertion` of a form. Raises Refusal."""
        assertion_type, assertion = form.get("client_assertion_type"), form.get("client_assertion", "")
        if assertion_type != ASSERTION_TYPE:
            raise Refusal(
                Reason.WRONG_ASSERTION_TYPE,
                f"client_assertion_type is {said(assertion_type, 80)}; send {ASSERTION_TYPE}",
            )
        client = _claimed_client(_unverified(assertion), form, clients)
        try:
            self._check(self._verify(assertion, client), client)
        except Refusal as refusal:
            raise Refusal(refusal.reason, refusal.uncut, client_id=client.client_id) from refusal
        return client

    def _verify(self, assertion: str, client: RegisteredClient) -> Claims:
        def find_key(header: Mapping[str, Any]) -> SigningKey:
            kid, alg = header.get("kid"), header["alg"]
            named = [key for key in client.public_keys if _fits(key, alg) and (kid is None or key.kid in (None, kid))]
            if not named:
                raise Refusal(
                    Reason.ASSERTION_BAD_SIGNATURE,
                    f"no public key of {client.client_id!r} is for the client_assertion's "
                    f"kid {said(kid, 40)} and {alg}",
                )
            if kid is None and len(named) > 1:  # OpenID Connect Core, section 10.1
                raise Refusal(
                    Reason.ASSERTION_BAD_SIGNATURE,
                    f"the client_assertion has no kid, and {client.client_id!r} {len(named)} public keys for {alg}",
                )
            return named[0]

        try:
            return jose.verify(assertion, find_key, ASSERTION_ALGS)
        except BadSignatureError as error:
            raise Refusal(
                Reason.ASSERTION_BAD_SIGNATURE,
                f"the client_assertion is not signed with a key of {client.client_id!r}: another key, or altered",
            ) from error
        except UnsupportedAlgorithmError as error:
            raise Refusal(
                Reason.ASSERTION_WRONG_ALGORITHM,
                f"the client_assertion's alg is not one of {', '.join(ASSERTION_ALGS)}",
            ) from error
        except (JoseError, ValueError) as error:
            raise Refusal(Reason.MALFORMED_ASSERTION, f"the client_assertion cannot be verified: {error}") from error

    def _check(self, claims: Claims, client: RegisteredClient) -> None:
        if claims.get("iss") != claims.get("sub"):
            raise Refusal(
                Reason.ASSERTION_WRONG_ISSUER,
                f"iss and sub must both be the client_id; they are {said(claims.get('iss'))} and "
                f"{said(claims.get('sub'))}",
            )
        audience = claims.get("aud")
        if not any(name in self.audiences for name in (audience if isinstance(audience, list) else [audience])):
            raise Refusal(
                Reason.ASSERTION_WRONG_AUDIENCE,
                f"the client_assertion is for {said(audience, 120)}; its aud must be {self.audiences[0]!r}",
            )
        self._check_times(claims)
        self._check_use(claims, client)

    def _check_times(self, claims: Claims) -> None:
        now = self._clock.time()
        try:
            times = {name: jose.numeric_date(claims, name) for name in ("exp", "iat", "nbf")}
        except ValueError as error:
            raise Refusal(Reason.MALFORMED_ASSERTION, f"the client_assertion's {error}") from error
        expires_at = times["exp"]
        if expires_at is None:
            raise Refusal(Reason.MALFORMED_ASSERTION, "the client_assertion has no exp claim")
        if now >= expires_at:
            raise Refusal(
                Reason.ASSERTION_EXPIRED,
                f"the client_assertion expired {now - expires_at:.0f} s ago by the server's clock",
            )
        if expires_at - now > _LONGEST:
            raise Refusal(
                Reason.ASSERTION_TOO_LONG,
                f"the client_assertion is good for {expires_at - now:.0f} s more; {_LONGEST} s are allowed",
            )
        for name in ("nbf", "iat"):
            begins_at = times[name]
            if begins_at is not None and now < int(begins_at):
                raise Refusal(
                    Reason.ASSERTION_NOT_YET_VALID,
                    f"the client_assertion's {name} is {begins_at - now:.0f} s ahead of the server's clock",
                )

    def _check_use(self, claims: Claims, client: RegisteredClient) -> None:
        name, now = claims.get("jti"), self._clock.time()
        if name is None:
            return
        key = (client.client_id, str(name))
        with self._lock:
            if self._used.get(key, now) > now:
                raise Refusal(
                    Reason.ASSERTION_REPLAYED,
                    f"the jti {said(name)} was used before; sign an assertion for each request",
                )
            self._used = {used: end for used, end in self._used.items() if end > now} | {key: claims["exp"]}


def _fits(key: SigningKey, alg: str) -> bool:
    if isinstance(key, ECKey):
        return key.curve_name == _CURVES.get(alg)
    return key.key_type == _KEY_TYPES.get(alg[:2])


def _unverified(assertion: str) -> Claims:
    try:
        payload = assertion.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError, binascii.Error) as error:
        raise Refusal(
            Reason.MALFORMED_ASSERTION, f"the client_assertion, {len(assertion)} characters, is not a JWT"
        ) from error
    return claims if isinstance(claims, dict) else {}


def _claimed_client(claims: Claims, form: Mapping[str, str], clients: ClientRegistry) -> RegisteredClient:
    """Return the client that an assertion claims to be of, and its client_id in the form, if sent (RFC 7521, 4.2)."""
    subject = claims.get("sub")
    if subject is None:
        raise Refusal(Reason.MALFORMED_ASSERTION, "the client_assertion has no sub claim; it must be the client_id")
    client = clients.get(subject) if isinstance(subject, str) else None
    if client is None:
        raise Refusal(
            Reason.UNKNOWN_CLIENT,
            f"the client_assertion's sub is {shorten(str(subject))}, which is no registered client",
        )
    if form.get("client_id", subject) != subject:
        raise Refusal(
            Reason.ASSERTION_WRONG_ISSUER,
            f"the client_id in the body is not the client_assertion's sub, {subject!r}",
            client_id=client.client_id,
        )
    if not client.public_keys:
        raise Refusal(
            Reason.AUTH_METHOD_NOT_ALLOWED,
            f"{subject!r} is registered without a public key; register(public_key=...) gives it one",
            client_id=client.client_id,
        )
    return client
