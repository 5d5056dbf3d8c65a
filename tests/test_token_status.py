"""Introspection (RFC 7662) and revocation (RFC 7009), in every dialect that has them."""

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Options, Reason
from fake_server.dialects import DIALECTS
from fake_server.key_source import KeySource
from fake_server.tokens import fingerprint

NOON = 1772366400
BASIC = ("smart-client", "smart-secret")
WITH_STATUS = [name for name, dialect in DIALECTS.items() if dialect.introspection_path is not None]
ENDPOINTS = ("introspection", "revocation")


@pytest.fixture
def speak(keys: KeySource) -> Callable[..., AuthorizationServer]:
    """Make a server of a dialect with three clients, whose clock stands at noon."""

    def make(dialect: str = "okta", **options: Any) -> AuthorizationServer:
        server = AuthorizationServer(Options(dialect=dialect, **options), base_url="http://idp.test/as", keys=keys)
        server.clock.freeze()
        server.clock.move_to(NOON)
        server.register(*BASIC)
        server.register("other", "other-secret")
        server.register("disabled", "secret")
        return server

    return make


def post(server: AuthorizationServer, endpoint: str, token: str, **request: Any) -> TestResponse:
    """Ask one of the two endpoints about a token; the changes make the request another one."""
    url = {"introspection": server.introspection_url, "revocation": server.revocation_url}[endpoint]
    return Client(server).open(str(url), **{"method": "POST", "data": {"token": token}, "auth": BASIC} | request)


def is_active(server: AuthorizationServer, token: str) -> bool:
    return bool(json.loads(post(server, "introspection", token).data)["active"])


# Introspection

OWN = ["exp", "iat", "sub", "aud", "iss", "jti"]
# What the answer has besides the token's own claims, and the order of all
ACTIVE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "okta": (
        {"token_type": "Bearer", "client_id": "smart-client"},
        ["active", "token_type", "scope", "client_id", *OWN],
    ),
    "rfc6749": ({"token_type": "Bearer"}, ["active", "scope", "client_id", "token_type", *OWN]),
    "sam": ({}, ["iss", "aud", "exp", "nbf", "client_id", "jti", "active", "scope"]),
    "duende": ({}, ["iss", "nbf", "iat", "exp", "aud", "client_id", "jti", "active", "scope"]),
}
ACTIVE["hexagon"] = ACTIVE["okta"]


@pytest.mark.parametrize("dialect", WITH_STATUS)
def test_active_token_is_told_of_with_its_own_claims(speak: Callable[..., AuthorizationServer], dialect: str) -> None:
    server = speak(dialect)
    token = server.mint()

    response = post(server, "introspection", token)

    answer = json.loads(response.data)
    extra, names = ACTIVE[dialect]
    known = jwt.decode(token, options={"verify_signature": False}) | {"active": True, "scope": "ingr.api"} | extra
    assert (response.status_code, response.headers["Content-Type"]) == (200, DIALECTS[dialect].content_type)
    assert list(answer.items()) == [(name, known[name]) for name in names]
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("dialect", WITH_STATUS)
def test_opaque_token_is_told_of_as_a_jwt_is(speak: Callable[..., AuthorizationServer], dialect: str) -> None:
    server = speak(dialect, token_format="opaque")
    token = server.mint("other", lifetime=60)

    answer = json.loads(post(server, "introspection", token).data)

    assert "." not in token
    assert list(answer) == ACTIVE[dialect][1]
    assert (answer["client_id"], answer["exp"]) == ("other", NOON + 60)


def expired(server: AuthorizationServer, token: str) -> str:
    server.clock.advance(hours=1)
    return token


def revoked(server: AuthorizationServer, token: str) -> str:
    server.revoke(token)
    return token


def expired_by_the_test(server: AuthorizationServer, token: str) -> str:
    server.expire_all()
    return token


def of_disabled_client(server: AuthorizationServer, _token: str) -> str:
    token = server.mint("disabled")
    server.clients["disabled"].disable()
    return token


def of_another_issuer(server: AuthorizationServer, _token: str) -> str:
    return server.mint(claims={"iss": "https://elsewhere.test"})


def of_another_audience(server: AuthorizationServer, _token: str) -> str:
    return server.mint(claims={"aud": "another"})


def of_tomorrow(server: AuthorizationServer, _token: str) -> str:
    return server.mint(claims={"nbf": NOON + 1800})


def of_a_key_withdrawn(server: AuthorizationServer, token: str) -> str:
    server.rotate_keys(publish_old=False)
    return token


def altered(_server: AuthorizationServer, token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{signature[::-1]}"


def no_token(_server: AuthorizationServer, _token: str) -> str:
    return "abc"


INACTIVE: list[tuple[Callable[[AuthorizationServer, str], str], Reason, str]] = [
    (expired, Reason.EXPIRED_TOKEN, "the token expired 0 s ago by the server's clock"),
    (expired_by_the_test, Reason.EXPIRED_TOKEN, "the token was expired by the test, before its exp"),
    (revoked, Reason.REVOKED_TOKEN, "the token was revoked"),
    (of_disabled_client, Reason.TOKEN_OF_DISABLED_CLIENT, "the token's client 'disabled' is disabled"),
    (of_another_issuer, Reason.FOREIGN_TOKEN, "the token was issued by 'https://elsewhere.test', not by this server"),
    (of_another_audience, Reason.WRONG_AUDIENCE, "the token is for the audience 'another'"),
    (of_tomorrow, Reason.TOKEN_NOT_YET_VALID, "the token is valid in 1800 s by the server's clock"),
    (of_a_key_withdrawn, Reason.UNKNOWN_SIGNING_KEY, "the token's kid "),
    (altered, Reason.BAD_SIGNATURE, "the token's signature is not this server's"),
    (no_token, Reason.MALFORMED_TOKEN, "what came as a token, 3 characters, is not a JWT"),
]


@pytest.mark.parametrize(("spoil", "reason", "diagnosis"), INACTIVE, ids=[spoil.__name__ for spoil, *_ in INACTIVE])
@pytest.mark.parametrize("dialect", WITH_STATUS)
def test_token_that_is_not_good_is_inactive_and_the_journal_says_why(
    speak: Callable[..., AuthorizationServer],
    dialect: str,
    spoil: Callable[[AuthorizationServer, str], str],
    reason: Reason,
    diagnosis: str,
) -> None:
    server = speak(dialect)
    token = spoil(server, server.mint())

    response = post(server, "introspection", token)

    entry = server.journal[-1]
    assert (response.status_code, response.text) == (200, '{"active":false}')
    assert (entry.endpoint, entry.status, entry.error, entry.reason) == ("introspection", 200, None, reason)
    assert (entry.client_id, entry.token_id) == ("smart-client", fingerprint(token))
    assert str(entry.diagnosis).startswith(diagnosis)


def test_token_of_another_server_is_inactive_here_and_active_there(speak: Callable[..., AuthorizationServer]) -> None:
    here, there = speak(), AuthorizationServer(base_url="http://idp.test/other", keys=KeySource())
    there.register(*BASIC)
    token = there.mint()

    assert (is_active(here, token), is_active(there, token)) == (False, True)
    assert here.journal[-1].reason is Reason.UNKNOWN_SIGNING_KEY


def test_opaque_token_of_another_server_is_inactive(speak: Callable[..., AuthorizationServer]) -> None:
    here, there = speak(token_format="opaque"), speak(token_format="opaque")

    assert is_active(here, there.mint()) is False
    assert here.journal[-1].reason is Reason.FOREIGN_TOKEN


def test_client_that_is_enabled_again_has_its_tokens_back(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()
    token = of_disabled_client(server, "")

    before = is_active(server, token)
    server.clients["disabled"].enable()

    assert (before, is_active(server, token)) == (False, True)


def test_any_client_may_ask_about_any_token(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()

    answer = json.loads(post(server, "introspection", server.mint("other")).data)

    assert answer["client_id"] == "other"
    assert server.journal[-1].client_id == "smart-client"


# Both endpoints

REQUESTS: dict[str, dict[str, Any]] = {
    "no credentials": {"auth": None},
    "other scheme": {"auth": None, "headers": {"Authorization": "Bearer abc"}},
    "wrong secret": {"auth": ("smart-client", "wrong")},
    "unknown client": {"auth": ("stranger", "smart-secret")},
    "disabled": {"auth": ("disabled", "secret")},
    "json": {"data": None, "json": {"token": "abc"}},
    "get": {"method": "GET"},
    "no token": {"data": {"token_type_hint": "access_token"}},
}
CREDENTIALS = ("no credentials", "other scheme", "wrong secret", "unknown client", "disabled")
MISSING = {"no token": (400, "invalid_request")}
OKTA = dict.fromkeys(CREDENTIALS, (401, "invalid_client")) | {"json": (400, "E0000021"), "get": (405, "E0000022")}
RFC6749 = OKTA | {"json": (400, "invalid_request"), "get": (405, "invalid_request")}
BARE = dict.fromkeys(CREDENTIALS, (401, None)) | {"json": (415, None), "get": (405, None)}
CODE = dict.fromkeys(CREDENTIALS, (400, "invalid_client")) | {"json": (415, None), "get": (405, None)}
REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # of introspection, of revocation
    "okta": (OKTA, OKTA),
    "hexagon": (OKTA, OKTA),
    "rfc6749": (RFC6749, RFC6749),
    # The body of sam's 405 is not on record.
    "sam": (BARE | {"get": (405, "invalid_request")}, CODE | {"get": (405, "invalid_request")}),
    "duende": (BARE, CODE | dict.fromkeys(("no credentials", "other scheme"), (400, "invalid_request"))),
}
ROWS = [
    pytest.param(dialect, endpoint, case, *answer, id=f"{dialect}-{endpoint}-{case}")
    for dialect, tables in REFUSALS.items()
    for endpoint, table in zip(ENDPOINTS, tables, strict=True)
    for case, answer in {**table, **MISSING}.items()
]


@pytest.mark.parametrize(("dialect", "endpoint", "case", "status", "error"), ROWS)
def test_refusal_is_the_vendors(
    speak: Callable[..., AuthorizationServer], dialect: str, endpoint: str, case: str, status: int, error: str | None
) -> None:
    server = speak(dialect)
    server.clients["disabled"].disable()

    response = post(server, endpoint, "abc", **REQUESTS[case])

    entry, answer = server.journal[-1], json.loads(response.data or "{}")
    assert (response.status_code, answer.get("error", answer.get("errorCode"))) == (status, error)
    assert (entry.endpoint, entry.status, entry.error) == (endpoint, status, error)
    challenged = status == 401 and dialect in ("okta", "hexagon", "rfc6749")
    assert ("WWW-Authenticate" in response.headers) == challenged
    assert response.headers.get("Allow") == ("POST" if status == 405 else None)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_missing_token_is_explained_by_the_request(speak: Callable[..., AuthorizationServer], endpoint: str) -> None:
    server = speak()

    post(server, endpoint, "", query_string={"token": "abc"})

    entry = server.journal[-1]
    assert (entry.reason, entry.client_id, entry.token_id) == (Reason.MISSING_TOKEN, "smart-client", None)
    assert str(entry.diagnosis).startswith("token came in the URL's query")


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
def test_hint_hides_no_token(speak: Callable[..., AuthorizationServer], hint: str) -> None:
    server = speak()
    token = server.mint()
    form = {"token": token, "token_type_hint": hint}

    introspected = post(server, "introspection", "", data=form)
    post(server, "revocation", "", data=form)

    assert introspected.json is not None
    assert introspected.json["active"] is True
    assert is_active(server, token) is False


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_credentials_may_be_in_the_body(speak: Callable[..., AuthorizationServer], endpoint: str) -> None:
    server = speak()
    form = {"token": server.mint(), "client_id": BASIC[0], "client_secret": BASIC[1]}

    response = post(server, endpoint, "", data=form, auth=None)

    assert (response.status_code, server.journal[-1].client_id) == (200, "smart-client")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_token_is_nowhere_in_the_journal(speak: Callable[..., AuthorizationServer], endpoint: str) -> None:
    server = speak()
    token = server.mint("other")

    for came in (token, token[:-9], f'"{token}"'):
        post(server, endpoint, came)

    assert {exchange.endpoint for exchange in server.journal} == {endpoint}
    assert token[-40:-9] not in repr(list(server.journal))
    assert token[:30] not in repr(list(server.journal))


@pytest.mark.parametrize("path", ["/introspect", "/v1/introspect", "/revoke", "/v1/revoke", "/connect/revocation"])
def test_entra_has_neither_endpoint(speak: Callable[..., AuthorizationServer], path: str) -> None:
    server = speak("entra")

    response = Client(server).post(f"http://idp.test/as{path}", data={"token": "abc"}, auth=BASIC)

    assert (server.introspection_url, server.revocation_url) == (None, None)
    assert response.status_code == 404


# Revocation


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize("dialect", WITH_STATUS)
def test_revoked_token_is_good_nowhere_and_may_be_revoked_twice(
    speak: Callable[..., AuthorizationServer], dialect: str, token_format: str
) -> None:
    server = speak(dialect, token_format=token_format)
    token, kept = server.mint(), server.mint()

    first, second = post(server, "revocation", token), post(server, "revocation", token)

    for response in (first, second):
        assert (response.status_code, response.data) == (200, b"")
        assert "Content-Type" not in response.headers
        assert response.headers["Cache-Control"] == DIALECTS[dialect].token_headers["Cache-Control"]
    assert (is_active(server, token), is_active(server, kept)) == (False, True)
    answer = Client(server).get(server.api.url, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, server.journal[-1].reason) == (401, Reason.REVOKED_TOKEN)


def test_revocation_is_in_the_journal(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()
    token = server.mint()

    post(server, "revocation", token)

    (entry,) = server.journal
    assert (entry.endpoint, entry.method, entry.path, entry.status) == ("revocation", "POST", "/v1/revoke", 200)
    assert (entry.client_id, entry.token_id, entry.reason) == ("smart-client", fingerprint(token), None)


@pytest.mark.parametrize("spoil", [no_token, altered, of_another_issuer, expired, revoked])
def test_token_that_is_not_good_is_revoked_already(
    speak: Callable[..., AuthorizationServer], spoil: Callable[[AuthorizationServer, str], str]
) -> None:
    server = speak()
    token = spoil(server, server.mint())

    response = post(server, "revocation", token)

    assert (response.status_code, response.data) == (200, b"")
    assert server.journal[-1].reason is None


def test_token_of_another_server_is_not_ended_there(speak: Callable[..., AuthorizationServer]) -> None:
    here, there = speak(), AuthorizationServer(base_url="http://idp.test/other", keys=KeySource())
    there.register(*BASIC)
    token = there.mint()

    response = post(here, "revocation", token)

    assert (response.status_code, is_active(there, token)) == (200, True)


@pytest.mark.parametrize("dialect", WITH_STATUS)
def test_token_of_another_client_stays_good(speak: Callable[..., AuthorizationServer], dialect: str) -> None:
    server = speak(dialect)
    token = server.mint("other")

    response = post(server, "revocation", token)

    entry = server.journal[-1]
    assert (response.status_code, json.loads(response.data)["error"]) == (400, "invalid_grant")
    assert entry.reason is Reason.TOKEN_OF_ANOTHER_CLIENT
    assert entry.diagnosis == "the token was issued to 'other', 'smart-client' may not revoke it"
    assert is_active(server, token) is True
