"""What a dialect is made of; whatever it does not state is as the RFCs have it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fake_server.dialects import rfc6749
from fake_server.dialects.terms import ErrorAnswer, Grant, Members, ServerFacts
from fake_server.refusals import Reason

__all__ = ["SIGNING_ALGS", "Dialect", "no_challenge"]

SIGNING_ALGS = ("RS256", "ES256", "EdDSA", "HS256")
_NO_STORE: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store", "Pragma": "no-cache"})


def _basic_challenge(realm: str) -> str | None:
    return f'Basic realm="{realm}"'


def no_challenge(_realm: str) -> None:
    """Send no WWW-Authenticate with a 401."""


def _same_audience(_issuer: str, audience: str) -> str:
    return audience


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """State how one vendor's authorization server answers; all of it is data, or a function of its arguments.

    Paths are below the server's base URL.

    - `issuer_path`: what the issuer has behind the base URL.
    - `token_path`, `jwks_path`, `introspection_path`, `revocation_path`: None for an endpoint the vendor has not.
    - `unserved`: endpoints that the vendor's metadata lists and this fake does not have, by their metadata name.
    - `errors`: the answers to refusals; `token_errors`, `introspection_errors` and `revocation_errors` are those
      endpoints' own. For a reason that is left out, the answer is `rfc6749`'s.
    - `challenge`: makes the WWW-Authenticate of a 401 from the issuer; `no_challenge` for no such header.
    - `joins_duplicates`: a parameter that came twice is read as one, parted by a comma, instead of refused.
    - `first_credentials_win`: credentials in the header and the body are no error; the header's are read.
    - `grants_all_scopes`: a request without scope gets all that the client may have.
    - `refuses_nul`: a parameter with a NUL makes the whole request malformed.
    - `resource_scopes`: scopes are asked for as `<audience>/.default`, and granted as the client's roles.
    - `audience_scope`: the audience is itself the name of a scope, which stands for the API.
    - `resource_parameter`: RFC 8707's `resource` is looked at.
    - `signing_algs`: those that the vendor signs with.
    - `audience`: makes the tokens' `aud` from the issuer and `Options.audience`.
    - `api_realm`: what the API's challenge names to a request without a token; None for a bare challenge.
    - `token_types`: the `typ` that a JWT must have at the API (RFC 9068, section 4), in lower case; none for any.
    - `jwt_header`, `claims`: make the token; `client_claim` and `scope_claim` name where it has its client and scopes.
    - `token_response`: makes the 200's members, in their order.
    - `introspection`: makes the members for an active token from its claims, client and scopes.
    - `metadata`: makes the document; `metadata_members` are what the vendor's has besides.
    """

    name: str
    issuer_path: str = ""
    token_path: str = "/token"
    jwks_path: str = "/jwks"
    introspection_path: str | None = "/introspect"
    revocation_path: str | None = "/revoke"
    unserved: Mapping[str, str] = field(default_factory=lambda: {"authorization_endpoint": "/authorize"})
    errors: Mapping[Reason, ErrorAnswer] = field(default_factory=dict)
    token_errors: Mapping[Reason, ErrorAnswer] = field(default_factory=dict)
    introspection_errors: Mapping[Reason, ErrorAnswer] = field(default_factory=dict)
    revocation_errors: Mapping[Reason, ErrorAnswer] = field(default_factory=dict)
    challenge: Callable[[str], str | None] = _basic_challenge
    content_type: str = "application/json"
    token_headers: Mapping[str, str] = field(default_factory=lambda: _NO_STORE)
    error_headers: Mapping[str, str] = field(default_factory=lambda: _NO_STORE)
    jwks_headers: Mapping[str, str] = field(default_factory=dict)
    joins_duplicates: bool = False
    first_credentials_win: bool = False
    grants_all_scopes: bool = False
    refuses_nul: bool = False
    resource_scopes: bool = False
    audience_scope: bool = False
    resource_parameter: bool = True
    signing_algs: tuple[str, ...] = SIGNING_ALGS
    new_token_id: Callable[[], str] = rfc6749.new_token_id
    audience: Callable[[str, str], str] = _same_audience
    api_realm: str | None = "Smart API"
    token_types: tuple[str, ...] = ()
    jwt_header: Callable[[str, str], Members] = rfc6749.jwt_header
    claims: Callable[[Grant], Members] = rfc6749.claims
    client_claim: str = "client_id"
    scope_claim: str = "scope"
    token_response: Callable[[Grant, str], Members] = rfc6749.token_response
    introspection: Callable[[Members, str | None, tuple[str, ...]], Members] = rfc6749.introspection
    metadata: Callable[[ServerFacts], Members] = rfc6749.metadata
    metadata_members: Mapping[str, Any] = field(default_factory=dict)

    def error(self, reason: Reason, endpoint: str) -> ErrorAnswer:
        """Return how a refusal for that reason looks at the endpoint `token`, `introspection` or `revocation`."""
        own = {
            "token": self.token_errors,
            "introspection": self.introspection_errors,
            "revocation": self.revocation_errors,
        }
        return own.get(endpoint, {}).get(reason) or self.errors.get(reason) or rfc6749.ERRORS[reason]

    def client_of(self, claims: Members) -> str | None:
        """Return the id of the client that a token was issued to, or None."""
        client_id = claims.get(self.client_claim)
        return client_id if isinstance(client_id, str) else None

    def scopes_of(self, claims: Members) -> tuple[str, ...]:
        """Return the scopes of a token, whether its claim is a text or a list."""
        scopes = claims.get(self.scope_claim)
        if isinstance(scopes, str):
            return tuple(scopes.split())
        return tuple(map(str, scopes)) if isinstance(scopes, list) else ()

    def scope_to_ask(self, scopes: tuple[str, ...], audience: str) -> str:
        """Return the `scope` parameter by which a client asks for these scopes."""
        return f"{audience}/.default" if self.resource_scopes else " ".join(scopes)
