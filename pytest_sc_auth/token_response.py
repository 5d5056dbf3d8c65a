"""What a client makes of the token endpoint's answer: a token (RFC 6749, section 5.1), or an error that says why."""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

__all__ = ["AccessToken", "TokenError", "invalid", "read_token"]

# RFC 6749, appendix A.12, less the space that a header could not carry.
_TOKEN = re.compile(r"[\x21-\x7E]+")


class TokenError(Exception):
    """Say that no token was to be had, and why.

    - `error`: the server's error code (RFC 6749, section 5.2), or for what is no answer of that kind
      `timeout`, `connection_failed`, or `invalid_response`.
    - `description`: a sentence, the server's own or this client's.
    - `status`: of the HTTP answer; None where there was none.
    """

    def __init__(self, error: str, description: str, status: int | None = None) -> None:
        super().__init__(error, description, status)
        self.error = error
        self.description = description
        self.status = status

    def __str__(self) -> str:
        return f"{self.error}: {self.description}" + (f" (HTTP {self.status})" if self.status else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class AccessToken:
    """Hold a token as the server gave it; `value` is left out of the `repr`.

    Comparing is its own, as pytest would show all the fields of dataclasses that compare themselves.

    `scope` is what was granted, which is what was asked for where the server does not say.
    `expires_at` is aware UTC, or None where the server does not say.
    """

    value: str = field(repr=False)
    token_type: str
    scope: str | None
    expires_at: datetime.datetime | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccessToken) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def _fields(self) -> tuple[Any, ...]:
        return self.value, self.token_type, self.scope, self.expires_at


def invalid(description: str, response: requests.Response) -> TokenError:
    """Return the error that says what is wrong with an answer that is none of RFC 6749."""
    return TokenError("invalid_response", description, response.status_code)


def read_token(
    response: requests.Response, *, scope: str | None, asked_at: float, hide: Callable[[str], str]
) -> tuple[AccessToken, int | None]:
    """Return the token of an answer, and its lifetime in seconds where the answer has one.

    `scope` is what was asked for, `asked_at` when, in Unix seconds; `hide` takes secrets out of the server's own words.
    Raises TokenError.
    """
    members = _json_object(response)
    if response.status_code != 200:
        raise _refusal(response, members, hide)
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise invalid("the answer is not announced as application/json", response)
    if members is None:
        raise invalid("the answer's body is not a JSON object", response)
    lifetime = _lifetime(members, response)
    token = AccessToken(
        value=_value(members, response),
        token_type=_token_type(members, response),
        scope=_scope(members, response) or scope,
        expires_at=_expires_at(asked_at, lifetime, response),
    )
    return token, lifetime


def _refusal(response: requests.Response, members: Mapping[str, Any] | None, hide: Callable[[str], str]) -> TokenError:
    # Okta answers an unknown client in the words of its own API, errorCode and errorSummary.
    error = members and (members.get("error") or members.get("errorCode"))
    if not members or not isinstance(error, str):
        return invalid("the answer is neither a token nor an OAuth error", response)
    description = str(members.get("error_description") or members.get("errorSummary") or "no description")
    return TokenError(hide(error)[:100], hide(description)[:500], response.status_code)


def _json_object(response: requests.Response) -> dict[str, Any] | None:
    try:
        members = response.json()
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _value(members: Mapping[str, Any], response: requests.Response) -> str:
    value = members.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise invalid("the answer has no access_token that could be sent", response)
    return value


def _token_type(members: Mapping[str, Any], response: requests.Response) -> str:
    token_type = members.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise invalid(f"the answer's token_type is {token_type!r:.12}, not Bearer", response)
    return token_type


def _scope(members: Mapping[str, Any], response: requests.Response) -> str | None:
    scope = members.get("scope")
    if scope is not None and not isinstance(scope, str):
        raise invalid("the answer's scope is not a text", response)
    return scope


def _lifetime(members: Mapping[str, Any], response: requests.Response) -> int | None:
    lifetime = members.get("expires_in")
    if lifetime is None and "expires_in" not in members:
        return None
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or lifetime <= 0:
        raise invalid(f"the answer's expires_in is {lifetime!r:.12}, not a whole number of seconds above 0", response)
    return lifetime


def _expires_at(asked_at: float, lifetime: int | None, response: requests.Response) -> datetime.datetime | None:
    if lifetime is None:
        return None
    try:
        return datetime.datetime.fromtimestamp(asked_at + lifetime, datetime.timezone.utc)
    except (OverflowError, ValueError, OSError) as error:
        raise invalid("the answer's expires_in reaches beyond the year 9999", response) from error
