"""What one server holds: all its endpoints read and write this, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fake_server.api import ProtectedApi
from fake_server.clients import ClientRegistry, RegisteredClient
from fake_server.clock import Clock
from fake_server.dialects import DIALECTS, Dialect, Grant
from fake_server.journal import Journal
from fake_server.keys import ALGORITHM, KeySource, SigningKeys
from fake_server.options import Options
from fake_server.tokens import TokenStore

__all__ = ["ServerState"]

_API_PATH = "/sc/datalake/v1"


@dataclass
class ServerState:
    """Hold one server's settings, clients, tokens, journal, clock and API."""

    options: Options
    issuer: str
    key_source: KeySource
    clock: Clock = field(default_factory=Clock)
    clients: ClientRegistry = field(default_factory=ClientRegistry)
    errors: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dialect: Dialect = DIALECTS[self.options.dialect]
        self.base_path = urlsplit(self.issuer).path
        self.token_url = self.issuer + self.dialect.token_path
        self.jwks_uri = self.issuer + self.dialect.jwks_path
        self.journal = Journal(self.options.journal_size)
        self.api = ProtectedApi(self.issuer + _API_PATH, required_scope=self.options.scopes[0])
        self.tokens = TokenStore(
            SigningKeys(self.key_source), self.clock, issuer=self.issuer, audience=self.options.audience
        )

    def issue(
        self,
        client: RegisteredClient,
        scopes: tuple[str, ...],
        lifetime: float,
        overrides: Mapping[str, Any] | None = None,
    ) -> tuple[str, Grant]:
        """Return a new token and what it grants; `overrides` are claims to set, or to leave out where None."""
        issued_at = int(self.clock.time())
        grant = Grant(
            token_id=self.dialect.new_token_id(),
            issuer=self.issuer,
            audience=self.options.audience,
            client_id=client.client_id,
            scopes=scopes,
            issued_at=issued_at,
            expires_at=issued_at + int(lifetime),
        )
        claims = self.dialect.claims(grant)
        if overrides:
            claims = {name: value for name, value in (claims | dict(overrides)).items() if value is not None}
        header = self.dialect.jwt_header(str(self.tokens.keys.current.kid), ALGORITHM)
        return self.tokens.issue(header, claims), grant
