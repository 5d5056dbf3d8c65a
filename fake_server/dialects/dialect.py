"""What a dialect is made of: the words in which one vendor's server answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fake_server.refusals import Reason

__all__ = ["Dialect", "ErrorAnswer", "Grant", "ServerFacts", "oauth_error"]

Members = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """State what a token is issued for; instants are Unix seconds."""

    token_id: str
    issuer: str
    audience: str
    client_id: str
    scopes: tuple[str, ...]
    issued_at: int
    expires_at: int


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """State what a metadata document tells about a server."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    scopes: tuple[str, ...]
    client_auth: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ErrorAnswer:
    """State how one refusal looks on the wire; `body` makes the JSON members from it."""

    status: int
    error: str
    description: str
    body: "Callable[[ErrorAnswer], Members]"


def oauth_error(answer: ErrorAnswer) -> Members:
    """Return an error body as RFC 6749 section 5.2 has it."""
    return {"error": answer.error, "error_description": answer.description}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """State how one vendor's authorization server answers; all of it is data, or a function of its arguments.

    `errors` has an answer for every Reason of the token endpoint. `claims` and `jwt_header` make the
    token, `client_of` and `scopes_of` read it again, `token_response` makes the 200's members in their order.
    Paths are below the issuer.
    """

    name: str
    token_path: str
    jwks_path: str
    errors: Mapping[Reason, ErrorAnswer]
    content_type: str
    error_headers: Mapping[str, str]
    token_headers: Mapping[str, str]
    jwks_headers: Mapping[str, str]
    new_token_id: Callable[[], str]
    jwt_header: Callable[[str, str], Members]
    claims: Callable[[Grant], Members]
    client_of: Callable[[Members], str | None]
    scopes_of: Callable[[Members], tuple[str, ...]]
    token_response: Callable[[Grant, str], Members]
    metadata: Callable[[ServerFacts], Members]
