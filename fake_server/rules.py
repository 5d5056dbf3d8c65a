"""The rules of RFC 6749 and 6750 that a client can bend, and some servers let pass.

The ids are those of tests/test_rfc_*.py. A request is judged by its own words, whatever the server answers: a fault
that a test armed bends no rule of the client's.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from fake_server.clients import RegisteredClient
from fake_server.credentials import decode_basic
from fake_server.form import FORM, FormRequest

__all__ = ["bent_rules"]

_GRANT_TYPE = "client_credentials"
_CREDENTIALS = frozenset({"client_id", "client_secret", "client_assertion"})
_TOKEN = ("token",)
_AUTHENTICATED = ("token", "introspection", "revocation")
_API = ("api",)
# RFC 6749, appendix B, and what some encoders leave as it is, to no harm.
_NEEDS_ENCODING = re.compile(r"[^A-Za-z0-9*._~-]")
# RFC 6749, appendix A.4; RFC 6750, section 2.1
_SCOPE_CHARACTERS = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]*")
_BEARER = re.compile(r"(?i:bearer) +[A-Za-z0-9._~+/-]+=*")


class _Asked(NamedTuple):
    """Hold the words of a request.

    - `is_form`: the body is announced as a form, and is UTF-8.
    - `form`: None where the body is no form, or cannot be read; `parameters` are those of it that have a value.
    - `basic`: what Basic credentials decode to: empty where they do not, None where there are none.
    - `is_raw`: Basic credentials are a client's, and not form-encoded where they had to be.
    """

    method: str
    authorization: str | None
    query: MultiDict[str, str]
    is_form: bool
    form: Sequence[tuple[str, str]] | None
    parameters: Mapping[str, str]
    basic: str | None
    is_raw: bool

    @property
    def is_token_request(self) -> bool:
        return self.method == "POST" and self.form is not None

    @property
    def are_bearer(self) -> Sequence[bool]:
        """Tell of each part of the Authorization header whether it is a right Bearer one."""
        return [] if self.authorization is None else list(map(_is_bearer, self.authorization.split(",")))

    @property
    def token_places(self) -> int:
        return sum(self.are_bearer) + ("access_token" in self.query) + ("access_token" in self.parameters)


@dataclass(frozen=True)
class _Rule:
    name: str
    text: str
    endpoints: tuple[str, ...]
    is_bent: Callable[[_Asked], bool]

    def __str__(self) -> str:
        return f"{self.name} ({self.text})"


def _has_two_proofs(asked: _Asked) -> bool:
    proofs = {"client_secret", "client_assertion"} & set(asked.parameters)
    return len(proofs) + (asked.authorization is not None) > 1


def _has_no_proof(asked: _Asked) -> bool:
    if asked.basic is not None or not asked.is_token_request:
        return False
    return {"client_secret", "client_assertion"}.isdisjoint((*asked.parameters, *asked.query))


def _repeats_a_parameter(asked: _Asked) -> bool:
    pairs = asked.form or ()
    return len({name for name, _ in pairs}) < len(pairs) or len(asked.query) < sum(map(len, asked.query.listvalues()))


def _is_no_form(asked: _Asked) -> bool:
    return asked.method == "POST" and not (asked.is_form and {"grant_type", "scope"}.isdisjoint(asked.query))


def _has_blanks_too_many(asked: _Asked) -> bool:
    scope = asked.parameters.get("scope", "")
    return scope != " ".join(scope.split())


_RULES = (
    _Rule(
        "A02",
        "RFC 6749, section 2.3.1: id and secret are form-encoded before base64",
        _AUTHENTICATED,
        lambda asked: asked.is_raw,
    ),
    _Rule(
        "A04",
        "RFC 6749, section 2.3.1: credentials are never sent in the URL",
        _AUTHENTICATED,
        lambda asked: not _CREDENTIALS.isdisjoint(asked.query),
    ),
    _Rule("A05", "RFC 6749, section 2.3: a request authenticates by one method only", _AUTHENTICATED, _has_two_proofs),
    _Rule(
        "A09",
        "RFC 7617, section 2: Basic credentials are id, colon and secret in base64",
        _AUTHENTICATED,
        lambda asked: asked.basic is not None and ":" not in asked.basic,
    ),
    _Rule(
        "A10",
        "RFC 6749, section 3.2: a token request is a POST",
        _TOKEN,
        lambda asked: asked.method not in ("POST", "OPTIONS"),  # the latter is a browser's, and asks for no token
    ),
    _Rule("A13", "RFC 6749, section 3.2: a parameter is sent once", _AUTHENTICATED, _repeats_a_parameter),
    _Rule(
        "A16",
        "RFC 6749, section 4.4.2: grant_type is client_credentials, in lower case",
        _TOKEN,
        lambda asked: asked.is_token_request and asked.parameters.get("grant_type", "") != _GRANT_TYPE,
    ),
    _Rule(
        "A17",
        "RFC 6749, section 4.4.2: parameters are sent in the body, as application/x-www-form-urlencoded in UTF-8",
        _AUTHENTICATED,
        _is_no_form,
    ),
    _Rule("A18", "RFC 6749, section 4.4.2: the client authenticates", _TOKEN, _has_no_proof),
    _Rule("A20", "RFC 6749, section 3.3: scopes are parted by one space each", _TOKEN, _has_blanks_too_many),
    _Rule(
        "A23",
        "RFC 6749, appendix A.4: a scope is of printable ASCII, without quotation mark and backslash",
        _TOKEN,
        lambda asked: not _SCOPE_CHARACTERS.fullmatch(asked.parameters.get("scope", "")),
    ),
    _Rule(
        "C01",
        "RFC 6750, section 2.1: the Authorization header is Bearer, a blank and the token",
        _API,
        lambda asked: not all(asked.are_bearer),
    ),
    _Rule("C02", "RFC 6750, section 2: a token is sent once, in one place", _API, lambda asked: asked.token_places > 1),
    _Rule(
        "C03",
        "RFC 6750, section 2.2: a token is not sent in the body of a GET",
        _API,
        lambda asked: asked.method in ("GET", "HEAD") and "access_token" in asked.parameters,
    ),
    _Rule(
        "C04",
        "RFC 6750, section 2.3: a token is not sent in the URL",
        _API,
        lambda asked: "access_token" in asked.query,
    ),
)

_BY_ENDPOINT = {
    endpoint: tuple(rule for rule in _RULES if endpoint in rule.endpoints) for endpoint in (*_AUTHENTICATED, *_API)
}


def bent_rules(
    request: FormRequest, endpoint: str, clients: Mapping[str, RegisteredClient], *, reads_raw: bool
) -> tuple[str, ...]:
    """Return the rules that a request bends, each with its id.

    `reads_raw`: the server takes Basic credentials raw only, so that a client has to send them so.
    """
    rules = _BY_ENDPOINT.get(endpoint, ())
    if not rules:
        return ()
    is_form, form = _read_form(request)
    authorization = request.headers.get("Authorization")
    basic = _read_basic(authorization or "")
    asked = _Asked(
        method=request.method,
        authorization=authorization,
        query=request.query,
        is_form=is_form,
        form=form,
        parameters={name: value for name, value in form or () if value},
        basic=basic,
        is_raw=not reads_raw and _is_raw(basic or "", clients),
    )
    return tuple([str(rule) for rule in rules if rule.is_bent(asked)])


def _read_form(request: FormRequest) -> tuple[bool, Sequence[tuple[str, str]] | None]:
    if request.mimetype != FORM or request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        return False, None
    try:
        return True, request.pairs
    except UnicodeDecodeError:
        return False, None
    except HTTPException:  # too large, or cut short
        return True, None


def _is_bearer(part: str) -> bool:
    return _BEARER.fullmatch(part.strip()) is not None


def _read_basic(authorization: str) -> str | None:
    try:
        return decode_basic(authorization)
    except ValueError:
        return ""


def _is_raw(basic: str, clients: Mapping[str, RegisteredClient]) -> bool:
    # Nearly all have nothing to encode but the colon between the two: there is no client to look for.
    if not _NEEDS_ENCODING.search(basic.replace(":", "", 1)):
        return False
    return any(
        basic.startswith(f"{name}:") and client.has_secret(basic[len(name) + 1 :]) for name, client in clients.items()
    )
