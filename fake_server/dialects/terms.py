"""The terms in which a dialect is spoken: what is granted, what a server is, how one refusal looks."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ErrorAnswer", "Grant", "Members", "ServerFacts"]

Members = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """State what a token is issued for; instants are Unix seconds.

    `client_auth` is the method by which the client proved who it is.
    """

    token_id: str
    issuer: str
    audience: str
    client_id: str
    client_auth: str
    scopes: tuple[str, ...]
    issued_at: int
    expires_at: int


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """State what a metadata document tells about a server; `endpoints` are URLs by their metadata name."""

    issuer: str
    endpoints: Mapping[str, str]
    scopes: tuple[str, ...]
    client_auth: tuple[str, ...]
    assertion_algs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ErrorAnswer:
    """State how one refusal looks on the wire; `body` makes the JSON members from it and the server's time.

    Without any member the answer has no body. `headers` makes the answer's own from the server's time.
    """

    status: int
    error: str
    description: str
    body: "Callable[[ErrorAnswer, datetime.datetime], Members]"
    headers: "Callable[[datetime.datetime], Mapping[str, str]]" = lambda _now: {}
