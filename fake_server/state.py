"""What one server holds: all its endpoints read and write this, and nothing else."""

import datetime
import threading
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from fake_server.addresses import Addresses
from fake_server.api import ProtectedApi
from fake_server.assertions import AssertionVerifier
from fake_server.clients import ClientRegistry, RegisteredClient
from fake_server.clock import Clock, utc
from fake_server.credentials import Authenticator
from fake_server.dialects import Grant
from fake_server.fault_queue import FaultQueue
from fake_server.flight import Flight
from fake_server.jose import Claims, numeric_date
from fake_server.journal import Journal
from fake_server.key_source import KeySource
from fake_server.keys import SigningKeys
from fake_server.made_once import made_once
from fake_server.options import Options
from fake_server.refusals import Reason, Refusal
from fake_server.tokens import TokenStore
from fake_server.waiting import Waiting

__all__ = ["Issued", "ServerState"]


class Issued(NamedTuple):
    """Hold a token, what was granted by it, and when it ends, aware UTC, where it says so.

    Its own `exp` counts: with claims of the test's, it may not be what `expires_in` tells.
    """

    value: str
    grant: Grant
    ends_at: datetime.datetime | None


class ServerState:
    """Hold one server's settings, clients, tokens, journal, clock and API, each made when it is first needed.

    Most tests need a few of them, and there is a new server for each test. Raises ValueError for a base that is no URL.
    """

    def __init__(self, options: Options, base_url: str, key_source: KeySource) -> None:
        self.options = options
        self.dialect = options.spoken()
        self.addresses = Addresses.below(base_url, self.dialect)
        self.audience = self._find_audience()
        self.errors: list[BaseException] = []
        self._key_source = key_source
        self._sticky_lock = threading.Lock()
        self._sticky: dict[tuple[str, tuple[str, ...]], Issued] = {}

    @made_once
    def clock(self) -> Clock:
        return Clock()

    @made_once
    def clients(self) -> ClientRegistry:
        return ClientRegistry()

    @made_once
    def journal(self) -> Journal:
        return Journal(self.options.journal_size)

    @made_once
    def waiting(self) -> Waiting:
        return Waiting()

    @made_once
    def flight(self) -> Flight:
        return Flight(self.waiting)

    @made_once
    def faults(self) -> FaultQueue:
        return FaultQueue(self.clock)

    @made_once
    def api(self) -> ProtectedApi:
        return ProtectedApi(self.addresses.api_url, required_scope=self.options.scopes[0])

    @made_once
    def tokens(self) -> TokenStore:
        return TokenStore(
            SigningKeys(self._key_source, self.options.signing_alg),
            self.clock,
            issuer=self.addresses.issuer,
            audience=self.audience,
            token_format=self.options.token_format,
        )

    @made_once
    def authenticator(self) -> Authenticator:
        return Authenticator(
            clients=self.clients,
            assertions=AssertionVerifier(self.clock, self.addresses.assertion_audiences),
            methods=self.options.client_auth,
            basic_decoding=self.options.basic_decoding,
            first_wins=self.dialect.first_credentials_win,
        )

    def _find_audience(self) -> str:
        """Return the `aud` of the tokens and of the API."""
        return self.dialect.audience(self.addresses.issuer, self.options.audience)

    def keep_error(self, error: BaseException) -> None:
        """Keep an error of the test's own code, which the test raises at its end: `pytest.fail()` is one, too.

        What ends the program is nobody's error, and is raised.
        """
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            raise error
        self.errors.append(error)

    def publish(self, token_url: str | None, api_url: str | None) -> None:
        """Tell clients other URLs from now on. Raises ValueError for what is no URL."""
        self.addresses = self.addresses.published(token_url, api_url)
        self.audience = self._find_audience()
        self.api.url = self.addresses.api_url
        self.tokens.issuer, self.tokens.audience = self.addresses.issuer, self.audience
        self.authenticator.assertions.audiences = self.addresses.assertion_audiences

    def issue_or_repeat(self, client: RegisteredClient, scopes: tuple[str, ...], *, client_auth: str) -> Issued:
        """Return a new token, or with `sticky_tokens` the last one again while it is good for longer than that."""
        margin = self.options.sticky_tokens
        if margin is None:
            return self.issue(client, scopes, client.token_lifetime, client_auth=client_auth)
        with self._sticky_lock:  # or those who ask at once would get a token each
            key = client.client_id, scopes
            if key in self._sticky:
                last, now = self._sticky[key], int(self.clock.time())
                if now < last.grant.expires_at - margin and self._is_good(last.value):
                    return last._replace(grant=replace(last.grant, issued_at=now))
            self._sticky[key] = self.issue(client, scopes, client.token_lifetime, client_auth=client_auth)
            return self._sticky[key]

    def _is_good(self, token: str) -> bool:
        try:
            self.verify(token)
        except Refusal:
            return False
        return True

    def issue(
        self,
        client: RegisteredClient,
        scopes: tuple[str, ...],
        lifetime: float,
        *,
        client_auth: str,
        overrides: Mapping[str, Any] = MappingProxyType({}),
        age: int = 0,
    ) -> Issued:
        """Return a new token, as of `age` seconds ago.

        The suite's, the client's and the caller's own claims are set over the dialect's, or leave one out where None.
        """
        issued_at = int(self.clock.time()) - age
        grant = Grant(
            token_id=self.dialect.new_token_id(),
            issuer=self.addresses.issuer,
            audience=self.audience,
            client_id=client.client_id,
            client_auth=client_auth,
            scopes=scopes,
            issued_at=issued_at,
            expires_at=issued_at + int(lifetime),
        )
        claims = self.dialect.claims(grant)
        for extra in (self.options.claims, client.claims, overrides):
            claims |= extra(grant) if callable(extra) else extra
        claims = {name: value for name, value in claims.items() if value is not None}
        return Issued(self.tokens.issue(self.dialect.jwt_header, claims), grant, _end_of(claims))

    def verify(self, token: str) -> Claims:
        """Return the claims of a token that is good now. Raises Refusal."""
        claims = self.tokens.decode(token)
        self.check(token, claims)
        return claims

    def check(self, token: str, claims: Claims) -> None:
        """Raise Refusal unless a decoded token is good now, and its client is."""
        self.tokens.check(token, claims)
        client = self.clients.get(self.dialect.client_of(claims) or "")
        if client is not None and not client.enabled:
            raise Refusal(Reason.TOKEN_OF_DISABLED_CLIENT, f"the token's client {client.client_id!r} is disabled")


def _end_of(claims: Claims) -> datetime.datetime | None:
    try:
        end = numeric_date(claims, "exp")
        return None if end is None else utc(end)
    except ValueError:
        return None
