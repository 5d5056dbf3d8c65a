"""Faults: what each does to an answer, when it fires, and what is said of one that cannot be."""

import base64
import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import NOON
from werkzeug.http import parse_date
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from fake_server import FAULTS, AuthorizationServer, Fault, Options, Reason, RegisteredClient, TransportFault
from fake_server.clock import instant
from fake_server.key_source import KeySource

Ask = Callable[[], TestResponse]
CallApi = Callable[..., TestResponse]

# The statuses of invalid_request, invalid_client, and so on, in their order.
REFUSALS = (
    "invalid_request",
    "invalid_client",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
)
STATUSES = {
    "rfc6749": (400, 401, 400, 400, 400, 400, 500, 503),
    "okta": (400, 401, 400, 400, 400, 401, 500, 400),
    "entra": (400, 401, 400, 400, 400, 400, 500, 503),
    "sam": (400, 400, 400, 400, 400, 400, 500, 503),
    "duende": (400, 400, 400, 400, 400, 400, 500, 503),
}
# How the members of a good answer change; None is left out.
MEMBERS: dict[str, dict[str, Any]] = {
    "no_access_token": {"access_token": None},
    "empty_access_token": {"access_token": ""},
    "numeric_access_token": {"access_token": 12345},
    "no_token_type": {"token_type": None},
    "foreign_token_type": {"token_type": "mac"},
    "lowercase_token_type": {"token_type": "bearer"},
    "no_expires_in": {"expires_in": None},
    "zero_expires_in": {"expires_in": 0},
    "negative_expires_in": {"expires_in": -1},
    "text_expires_in": {"expires_in": "an hour"},
    "fractional_expires_in": {"expires_in": 3599.5},
    "endless_expires_in": {"expires_in": 10**18},
    "extra_members": {"x_extra": {"nested": [1, "two", {"three": True}]}},
    "narrower_scope": {"scope": "limited"},
    "expired_token": {},
    "refused_token": {},
}
JSON = "application/json;charset=UTF-8"
GOOD = '{"token_type":"Bearer","expires_in":3600,"access_token":"T1","scope":"ingr.api"}'
BODIES = {
    "empty_body": (JSON, ""),
    "html_body": ("text/html; charset=utf-8", "<!doctype html><title>Sign in</title>"),
    "truncated_json": (JSON, GOOD[: len(GOOD) // 2]),
    "json_array": (JSON, f"[{GOOD}]"),
    "wrong_content_type": ("text/plain", GOOD),
    "byte_order_mark": (JSON, f"\ufeff{GOOD}"),
}
CHALLENGES = {
    "invalid_token": (401, 'Bearer error="invalid_token", error_description="The access token was revoked"'),
    "insufficient_scope": (
        403,
        'Bearer error="insufficient_scope", error_description="The access token has not the scope needed", '
        'scope="ingr.api"',
    ),
    "server_error": (500, None),
    "temporarily_unavailable": (503, None),
    "rate_limited": (429, None),
}


def ask_of(server: AuthorizationServer) -> TestResponse:
    form = {"grant_type": "client_credentials", "scope": server.credentials_of().scope}
    return Client(server).post(server.token_url, data=form, auth=("smart-client", "smart-secret"))


@pytest.fixture
def ask(server: AuthorizationServer, client: RegisteredClient) -> Ask:
    """Ask the server for a token, as its client does."""
    return lambda: ask_of(server)


def speaking(dialect: str, keys: KeySource, **options: Any) -> AuthorizationServer:
    server = AuthorizationServer(Options(dialect=dialect, **options), base_url="http://idp.test/as", keys=keys)
    server.register("smart-client", "smart-secret")
    return server


def members_of(response: TestResponse) -> dict[str, Any]:
    members = response.json
    assert isinstance(members, dict)
    return members


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


# Refusals


@pytest.mark.parametrize(
    ("dialect", "name", "status"),
    [(dialect, name, status) for dialect, row in STATUSES.items() for name, status in zip(REFUSALS, row, strict=True)],
)
def test_refusal_is_the_dialects_own(keys: KeySource, dialect: str, name: str, status: int) -> None:
    server = speaking(dialect, keys)
    server.fail(name)

    refused, good = ask_of(server), ask_of(server)

    assert (refused.status_code, members_of(refused)["error"]) == (status, name)
    assert ("WWW-Authenticate" in refused.headers) is (status == 401 and dialect != "entra")
    assert "Retry-After" not in refused.headers
    assert good.status_code == 200


@pytest.mark.parametrize(
    ("dialect", "member", "limits"),
    [("rfc6749", ("error", "temporarily_unavailable"), []), ("okta", ("errorCode", "E0000047"), ["600", "0"])],
)
def test_rate_limit_has_the_dialects_headers_besides_retry_after(
    keys: KeySource, dialect: str, member: tuple[str, str], limits: list[str]
) -> None:
    server = speaking(dialect, keys)
    server.clock.freeze()
    server.fail("rate_limited")

    response = ask_of(server)

    assert response.status_code == 429
    assert member in members_of(response).items()
    assert response.headers["Retry-After"] == "1"
    reset = [str(int(server.clock.time()) + 60)] if limits else []
    assert [value for name, value in response.headers if name.startswith("X-Rate-Limit")] == limits + reset


@pytest.mark.parametrize(
    ("name", "retry_after"),
    [("rate_limited", 30), ("temporarily_unavailable", 120), ("server_error", "Sun, 01 Mar 2026 12:01:00 GMT")],
)
def test_retry_after_is_what_the_test_says(
    server: AuthorizationServer, ask: Ask, name: str, retry_after: int | str
) -> None:
    server.fail(name, retry_after=retry_after)

    assert ask().headers["Retry-After"] == str(retry_after)
    assert "Retry-After" not in ask().headers


def test_redirect_points_to_another_host_and_has_no_body(server: AuthorizationServer, ask: Ask) -> None:
    server.fail("redirect")

    response = ask()

    assert (response.status_code, response.data) == (307, b"")
    assert response.headers["Location"] == "http://elsewhere.invalid/as/elsewhere/v1/token"
    assert server.token_requests[-1].reason is Reason.REDIRECTED


@pytest.mark.parametrize(
    ("request_", "along"),
    [
        ({"auth": ("smart-client", "smart-secret")}, "with its credentials"),
        ({"data": {"client_secret": "smart-secret"}}, "with its credentials"),
        ({"data": {"client_assertion": "x.y.z"}}, "with its credentials"),
        ({"data": {"grant_type": "client_credentials"}}, "without its credentials"),
    ],
    ids=["basic", "secret-in-body", "assertion", "none"],
)
def test_client_that_follows_the_redirect_is_recorded(
    server: AuthorizationServer, ask: Ask, http: Client, request_: dict[str, Any], along: str
) -> None:
    server.fail("redirect")
    path = urlsplit(ask().headers["Location"]).path

    response = http.post(path, **request_)

    assert response.status_code == 400
    assert server.journal[-1].reason is Reason.REDIRECT_FOLLOWED
    assert server.journal[-1].diagnosis == (
        f"the client followed a redirect of the token endpoint to another host, {along}"
    )


def test_journal_shows_the_fault_and_what_the_test_wanted(server: AuthorizationServer, ask: Ask) -> None:
    server.fail(["invalid_scope", "truncated_json"])
    ask()
    ask()

    assert [exchange.fault for exchange in server.token_requests] == ["invalid_scope", "truncated_json"]
    assert str(server.token_requests[0]) == (
        "12:00:00  POST /v1/token  client smart-client  grant_type=client_credentials  scope=ingr.api  "
        "→ 400 invalid_scope  fault invalid_scope  why: the test armed the fault invalid_scope"
    )


# Answers with status 200


@pytest.mark.parametrize(("name", "changes"), MEMBERS.items(), ids=MEMBERS)
def test_members_of_the_answer_are_changed(
    server: AuthorizationServer, ask: Ask, name: str, changes: dict[str, Any]
) -> None:
    server.fail(name)
    changed, good = ask(), ask()

    expected = {**members_of(good), **changes}
    expected = {member: value for member, value in expected.items() if value is not None}
    expected |= {"access_token": members_of(changed)["access_token"]} if "access_token" not in changes else {}
    assert (changed.status_code, members_of(changed)) == (200, expected)
    assert changed.headers["Content-Type"] == JSON
    assert changed.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("name", "content_type", "body"), [(name, *row) for name, row in BODIES.items()], ids=BODIES)
def test_body_of_the_answer_is_changed(
    server: AuthorizationServer, ask: Ask, monkeypatch: pytest.MonkeyPatch, name: str, content_type: str, body: str
) -> None:
    monkeypatch.setattr("fake_server.tokens.TokenStore.issue", lambda self, header, claims: "T1")
    server.fail(name)

    response = ask()

    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    assert response.data.decode() == body
    assert response.headers["Content-Length"] == str(len(response.data))


@pytest.mark.parametrize("dialect", STATUSES)
def test_changed_members_are_json_in_every_dialect(keys: KeySource, dialect: str) -> None:
    server = speaking(dialect, keys)
    server.fail("text_expires_in")

    changed, good = ask_of(server), ask_of(server)

    assert members_of(changed).keys() == members_of(good).keys()
    assert members_of(changed)["expires_in"] == "an hour"
    assert changed.headers["Content-Type"] == good.headers["Content-Type"]


def test_request_that_is_refused_anyway_is_answered_as_ever(server: AuthorizationServer, ask: Ask) -> None:
    server.clients["smart-client"].rotate_secret()
    server.fail("html_body")

    response = ask()

    assert (response.status_code, response.headers["Content-Type"]) == (401, JSON)
    assert server.token_requests[-1].reason is Reason.WRONG_SECRET


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize(
    ("name", "active", "status", "reason", "ends"),
    [
        ("expired_token", False, 401, Reason.EXPIRED_TOKEN, -1),
        ("refused_token", False, 401, Reason.REVOKED_TOKEN, 3600),
        ("narrower_scope", True, 403, Reason.INSUFFICIENT_SCOPE, 3600),
    ],
)
def test_token_that_the_api_does_not_take_is_good_to_look_at(
    keys: KeySource, token_format: str, name: str, active: bool, status: int, reason: Reason, ends: int
) -> None:
    server = speaking("okta", keys, token_format=token_format)
    server.clock.freeze()
    server.fail(name)
    http = Client(server)

    members = members_of(ask_of(server))
    token = members["access_token"]
    api = http.get(server.api.url, headers={"Authorization": f"Bearer {token}"})
    known = http.post(server.introspection_url, data={"token": token}, auth=("smart-client", "smart-secret"))

    assert members["expires_in"] == 3600
    assert (api.status_code, members_of(known)["active"]) == (status, active)
    assert server.api_requests[-1].reason is reason
    issued = server.token_requests[-1]
    assert issued.token_expires_at is not None
    assert issued.token_expires_at.timestamp() == int(server.clock.time()) + ends


@pytest.mark.parametrize("dialect", STATUSES)
def test_expired_token_is_an_old_one_in_every_dialect(keys: KeySource, dialect: str) -> None:
    server = speaking(dialect, keys)
    server.fail("expired_token")

    expired, good = [claims_of(members_of(ask_of(server))["access_token"]) for _ in range(2)]

    assert expired.keys() == good.keys()
    age = good["exp"] - expired["exp"]
    assert age >= 3601
    assert all(good[name] - expired[name] == age for name in ("iat", "nbf") if name in good)


def test_narrower_scope_lacks_the_last_of_several(keys: KeySource) -> None:
    server = speaking("rfc6749", keys, scopes=["ingr.api", "reports"])
    server.fail("narrower_scope")

    assert members_of(ask_of(server))["scope"] == "ingr.api"


# At the API


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(("name", "status", "challenge"), [(name, *row) for name, row in CHALLENGES.items()])
def test_api_fails_a_request_with_a_good_token(
    server: AuthorizationServer, call_api: CallApi, name: str, status: int, challenge: str | None
) -> None:
    server.fail(name, on="api")
    token = server.mint()

    failed, good = call_api(token), call_api(token)

    assert (failed.status_code, failed.headers.get("WWW-Authenticate"), failed.data) == (status, challenge, b"")
    assert failed.headers.get("Retry-After") == ("1" if name == "rate_limited" else None)
    assert good.status_code == 200
    assert [exchange.fault for exchange in server.api_requests] == [name, None]


@pytest.mark.usefixtures("client")
def test_api_without_faults_keeps_those_of_the_token_endpoint(
    server: AuthorizationServer, call_api: CallApi, ask: Ask
) -> None:
    server.fail("server_error", on="token")
    server.fail("temporarily_unavailable", on="api")

    assert (call_api(server.mint()).status_code, ask().status_code) == (503, 500)


# When it fires


@pytest.mark.parametrize(
    ("script", "settings", "statuses"),
    [
        ("server_error", {}, [500, 200, 200, 200]),
        ("server_error", {"times": 3}, [500, 500, 500, 200]),
        ("server_error", {"times": None}, [500, 500, 500, 500]),
        ("server_error", {"after": 2}, [200, 200, 500, 200]),
        ("server_error", {"after": 1, "times": 2}, [200, 500, 500, 200]),
        ([500, 429, "good"], {}, [500, 429, 200, 200]),
        ([None, 400, "good", 401], {}, [200, 400, 200, 401]),
        (["rate_limited", FAULTS["server_error"]], {"times": 2}, [429, 429, 500, 500]),
        ([500, None, 500], {"after": 1}, [200, 500, 200, 500]),
        (("server_error",), {}, [500, 200, 200, 200]),
    ],
    ids=str,
)
def test_script_fires_in_its_order(
    server: AuthorizationServer, ask: Ask, script: Any, settings: dict[str, Any], statuses: list[int]
) -> None:
    server.fail(script, **settings)

    assert [ask().status_code for _ in range(4)] == statuses


@pytest.mark.parametrize(
    ("status", "dialect", "endpoint", "name"),
    [
        (400, "rfc6749", "token", "invalid_request"),
        (401, "rfc6749", "token", "invalid_client"),
        (429, "rfc6749", "token", "rate_limited"),
        (500, "rfc6749", "token", "server_error"),
        (503, "rfc6749", "token", "temporarily_unavailable"),
        (401, "okta", "api", "invalid_token"),
        (403, "okta", "api", "insufficient_scope"),
        (429, "okta", "api", "rate_limited"),
        (500, "okta", "api", "server_error"),
        (503, "okta", "api", "temporarily_unavailable"),
    ],
)
def test_status_stands_for_a_fault(keys: KeySource, status: int, dialect: str, endpoint: str, name: str) -> None:
    server = speaking(dialect, keys)
    server.fail(status, on=endpoint)

    if endpoint == "token":
        response = ask_of(server)
    else:
        response = Client(server).get(server.api.url, headers={"Authorization": f"Bearer {server.mint()}"})

    assert (response.status_code, server.journal[-1].fault) == (status, name)


@pytest.mark.parametrize("until", ["2026-03-01T12:01:00Z", instant(NOON) + 60], ids=["text", "seconds"])
def test_fault_ends_at_an_instant_of_the_servers_clock(
    server: AuthorizationServer, ask: Ask, until: str | float
) -> None:
    server.fail("server_error", times=None, until=until)
    server.fail("invalid_scope")

    before = ask().status_code
    server.clock.advance(seconds=59)
    last = ask().status_code
    server.clock.advance(seconds=1)

    assert [before, last, ask().status_code, ask().status_code] == [500, 500, 400, 200]


def test_next_fault_waits_for_the_one_before(server: AuthorizationServer, ask: Ask) -> None:
    server.fail("server_error")
    server.fail("invalid_scope")

    assert [ask().status_code for _ in range(3)] == [500, 400, 200]


def test_cleared_fault_neither_fires_nor_is_missed(server: AuthorizationServer, ask: Ask) -> None:
    server.fail("server_error", times=None)
    server.fail("invalid_token", on="api")
    ask()

    server.clear_faults()

    assert ask().status_code == 200
    assert server.unfired_faults == []


def test_fault_that_never_fired_is_missed_unless_it_is_optional(server: AuthorizationServer, ask: Ask) -> None:
    first, good, last = server.fail(["server_error", "good", "html_body"], times=2)
    (optional,) = server.fail("invalid_token", on="api", optional=True)

    ask()

    assert (first.fired, good.fired, last.fired, optional.fired) == (1, 0, 0, 0)
    assert server.unfired_faults == [last]
    assert (repr(first), repr(good)) == (
        "<ArmedFault server_error on token, fired 1 times>",
        "<ArmedFault none on token, fired 0 times>",
    )


# A fault of the test's own


def test_own_fault_rewrites_the_answer(server: AuthorizationServer, ask: Ask) -> None:
    def announce_xml(response: Response) -> Response:
        response.headers["Content-Type"] = "text/xml"
        return response

    server.fail(Fault(name="xml", kind="malformed", rewrite=announce_xml))

    assert ask().headers["Content-Type"] == "text/xml"
    assert server.token_requests[-1].fault == "xml"


def test_own_fault_refuses_at_the_endpoints_it_names(server: AuthorizationServer, ask: Ask, call_api: CallApi) -> None:
    reasons = {"token": Reason.DISABLED_CLIENT, "api": Reason.TOKEN_OF_DISABLED_CLIENT}
    fault = Fault(name="suspended", kind="rejected", endpoints=("token", "api"), reasons=reasons)

    server.fail(fault)
    server.fail(fault, on="api", retry_after=5)

    assert ask().status_code == 401
    response = call_api(server.mint())
    assert (response.status_code, response.headers["Retry-After"]) == (401, "5")


@pytest.mark.usefixtures("client")
def test_own_fault_changes_the_apis_answer(server: AuthorizationServer, call_api: CallApi) -> None:
    fault = Fault(name="teapot", kind="malformed", endpoints=("api",), rewrite=lambda _: Response("tea", 418))
    server.fail(fault, on="api")

    assert call_api(server.mint()).status_code == 418


def test_own_rewrite_that_raises_is_the_tests_error(server: AuthorizationServer, ask: Ask) -> None:
    def broken(response: Response) -> Response:
        raise LookupError("no answer")

    server.fail(Fault(name="broken", kind="malformed", rewrite=broken))

    response = ask()

    assert (response.status_code, response.json) == (
        500,
        {"error": "the rewrite of the fault broken raised an exception"},
    )
    assert [str(error) for error in server.errors] == ["no answer"]


def test_own_rewrite_that_cannot_be_sent_is_the_tests_error(server: AuthorizationServer, ask: Ask) -> None:
    server.fail(Fault(name="broken", kind="malformed", rewrite=lambda _: Response(headers={"X-Price": "3 \u20ac"})))

    assert ask().status_code == 500
    assert [str(error) for error in server.errors] == ["HTTP cannot carry '\u20ac' in a status or a header"]


# What cannot be


@pytest.mark.parametrize(
    ("script", "settings", "message"),
    [
        ("truncated_jsn", {}, "'truncated_jsn' is not a fault of the token endpoint; did you mean truncated_json?"),
        (
            "invalid_tokn",
            {"on": "api"},
            "'invalid_tokn' is not a fault of the api endpoint; did you mean invalid_token?",
        ),
        ("invalid_client", {"on": "api"}, "'invalid_client' is not a fault of the api endpoint; "),
        ([503, "gud"], {}, "'gud' is not a fault of the token endpoint; there are access_denied, "),
        (200, {}, "status=200 cannot be used: a refusal has one from 400 to 599"),
        (True, {}, "True is not a fault of the token endpoint; "),
        ("slow", {"on": "tokens"}, "on='tokens' cannot be used: faults are armed on token or api"),
        ("slow", {"times": 0}, "times=0 cannot be used: it takes a whole number from 1"),
        ("slow", {"times": True}, "times=True cannot be used: it takes a whole number from 1"),
        ("slow", {"after": -1}, "after=-1 cannot be used: it takes a whole number from 0"),
        ("slow", {"after": 1.5}, "after=1.5 cannot be used: it takes a whole number from 0"),
        ("slow", {"dellay": 1}, "dellay is not a setting of a fault; did you mean delay?"),
        ("slow", {"time": 2}, "time is not a setting of a fault; did you mean times?"),
        ("slow", {"delay": -1}, "delay=-1 cannot be used: it takes a number of seconds from 0"),
        ("slow", {"delay": "x"}, "delay='x' cannot be used: it takes a number of seconds from 0"),
        ("slow", {"delay": None}, "delay=None cannot be used: it takes a number of seconds from 0"),
        ("slow", {"delay": True}, "delay=True cannot be used: it takes a number of seconds from 0"),
        ("slow", {"delay": float("inf")}, "delay=inf cannot be used: it takes a number of seconds from 0"),
        (
            "hang",
            {"delay": 1},
            "delay=1 has no effect on hang: it is for slow and dripping; pass transport='slow', too",
        ),
        (503, {"delay": 0.1}, "delay=0.1 has no effect on temporarily_unavailable: it is for slow and dripping; "),
        (["hang", 500], {"delay": 1}, "delay=1 has no effect on hang and server_error: it is for slow and "),
        ("good", {"delay": 1}, "delay=1 has no effect on a request that goes well: it is for slow and dripping; "),
        (None, {"kind": "rejected"}, "kind='rejected' has no effect on a request that goes well: name a fault"),
        ("slow", {"status": 503}, "status=503 has no effect on slow: it is for refusals, such as rate_limited or 503"),
        ("json_array", {"retry_after": 9}, "retry_after=9 has no effect on json_array: it is for refusals, such as "),
        (
            503,
            {"retry_after": -1},
            "retry_after=-1 cannot be used: it takes a whole number of seconds from 0, or a text",
        ),
        (503, {"retry_after": 0.5}, "retry_after=0.5 cannot be used: it takes a whole number of seconds from 0, or a "),
        (503, {"retry_after": "9\r\nX: y"}, r"retry_after='9\r\nX: y' cannot be used: it takes a whole number of "),
        (503, {"reasons": {"token": "wrong_secret"}}, "reasons={'token': 'wrong_secret'} cannot be used: it takes a "),
        (503, {"reasons": 3}, "reasons=3 cannot be used: it takes a Reason for an endpoint's name"),
        (503, {"endpoints": 3}, "endpoints=3 cannot be used: it takes some of token, api"),
        ("slow", {"rewrite": 3}, "rewrite=3 cannot be used: it takes a callable that gets a Response"),
        (3.5, {}, "3.5 is no fault; pass its name, a status, a Fault, or a list of these"),
        (b"slow", {}, "b'slow' is no fault; pass its name, a status, a Fault, or a list of these"),
        ({"slow"}, {}, "{'slow'} is no fault; pass its name, a status, a Fault, or a list of these"),
        ("slow", {"until": "noon"}, "'noon' is not an instant in ISO 8601; "),
        ([], {}, "the script has no step; write at least one fault"),
        ([503, 500], {"times": None}, "times=None cannot be used with a script: its first step would never end"),
        (FAULTS["html_body"], {"on": "api"}, "the fault html_body is not for the api endpoint; make it with "),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:24],
)
def test_fault_that_cannot_be_is_an_error_at_its_line(
    server: AuthorizationServer, ask: Ask, script: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        server.fail(script, **settings)

    assert server.unfired_faults == []
    assert ask().status_code == 200


def test_setting_has_an_effect_on_one_step_of_a_script_at_least(server: AuthorizationServer, ask: Ask) -> None:
    server.fail([429, "json_array"], retry_after=9)
    server.fail(503, transport="slow", delay=0.001)
    server.fail("json_array", delay=0, retry_after=None)  # which is how it is anyway

    answers = [ask() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [429, 200, 503, 200]
    assert answers[0].headers["Retry-After"] == "9"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "transent"}, "kind='transent' cannot be used; did you mean transient?"),
        ({"kind": None}, "kind=None cannot be used; there are malformed, rejected, transient"),
        ({"issue": "expire"}, "issue='expire' cannot be used; did you mean expired?"),
        ({"transport": "cutoff"}, "transport='cutoff' cannot be used; did you mean cut_off?"),
        ({"endpoints": "api"}, "endpoints='api' cannot be used: it takes some of token, api"),
        ({"endpoints": ()}, "endpoints=() cannot be used: it takes some of token, api"),
        ({"delay": float("nan")}, "delay=nan cannot be used: it takes a number of seconds from 0"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_own_fault_with_a_wrong_field_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Fault(**{"name": "own", "kind": "malformed", **settings})


def test_catalogue_is_read_only_and_named_by_its_faults() -> None:
    assert [fault.name for fault in FAULTS.values()] == list(FAULTS)
    with pytest.raises(TypeError):
        FAULTS["own"] = FAULTS["slow"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAULTS["slow"].delay = 1.0  # type: ignore[misc]


def test_every_fault_of_the_catalogue_is_tested() -> None:
    tested = {*REFUSALS, "rate_limited", "redirect", *MEMBERS, *BODIES, *CHALLENGES}

    # Those are in test_connection.py.
    assert {name for name, fault in FAULTS.items() if fault.transport is None} == tested


# The door without a socket


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("name", ["hang", "connection_reset", "no_response", "cut_off", "dripping"])
@pytest.mark.parametrize("endpoint", ["token", "api"])
def test_transport_fault_is_an_error_without_a_socket(server: AuthorizationServer, endpoint: str, name: str) -> None:
    server.fail(name, on=endpoint)
    url = server.token_url if endpoint == "token" else server.api.url

    with httpx.Client(transport=httpx.WSGITransport(server)) as http, pytest.raises(ConnectionError) as error:
        http.post(url, auth=("smart-client", "smart-secret"))

    assert isinstance(error.value, TransportFault)
    assert str(error.value) == f"the test armed the fault {name}"
    assert error.value.fault.name == server.journal[-1].fault == name


def test_server_that_is_down_is_an_error_without_a_socket(server: AuthorizationServer, ask: Ask) -> None:
    server.down()

    with pytest.raises(TransportFault, match="^the test armed the fault down$"):
        ask()
    server.up()

    assert ask().status_code == 200
    assert server.journal.total == 1


def test_slow_answer_comes_without_a_socket_too(
    server: AuthorizationServer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("fake_server.faults.Waiting.wait", lambda self, seconds: waits.append(seconds))
    server.fail("slow", delay=7)
    server.fail("slow")

    assert [ask().status_code for _ in range(3)] == [200, 200, 200]
    assert waits == [7, 0.05]


def test_date_is_the_servers_where_an_answer_failed(server: AuthorizationServer, ask: Ask) -> None:
    server.fail("server_error")

    date = parse_date(ask().headers["Date"])

    assert date is not None
    assert date.timestamp() == instant(NOON)


@pytest.mark.parametrize("dialect", ["okta", "sam"])
def test_status_in_a_script_goes_out_as_it_was_written(keys: KeySource, dialect: str) -> None:
    server = AuthorizationServer(Options(dialect=dialect), keys=keys)
    credentials = server.credentials_of(server.register())
    form = {"grant_type": "client_credentials", "scope": credentials.scope}
    auth = (credentials.client_id, credentials.client_secret)

    server.fail([503, 401, "good"])
    statuses = [Client(server).post(server.token_url, data=form, auth=auth).status_code for _ in range(3)]

    assert statuses == [503, 401, 200]
    assert [exchange.status for exchange in server.token_requests] == [503, 401, 200]


def test_fault_until_an_instant_fires_at_each_request_before_it(keys: KeySource) -> None:
    server = AuthorizationServer(keys=keys)
    server.clock.freeze()
    http = Client(server)

    server.fail("server_error", until=server.clock.time() + 60)
    statuses = [http.post(server.token_url).status_code for _ in range(2)]
    server.clock.advance(60)

    assert statuses == [500, 500]
    assert http.post(server.token_url).status_code == 400


@pytest.mark.parametrize("status", [402, 404, 418, 502, 504])
@pytest.mark.parametrize("endpoint", ["token", "api"])
def test_any_status_of_a_refusal_can_be_sent(keys: KeySource, endpoint: str, status: int) -> None:
    server = AuthorizationServer(keys=keys)
    url = server.token_url if endpoint == "token" else server.api.url

    server.fail(status, on=endpoint)

    assert Client(server).post(url).status_code == status


def test_fault_of_the_other_endpoint_is_named_with_it(keys: KeySource) -> None:
    message = """'invalid_token' is not a fault of the token endpoint; it is one of on="api\""""

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        AuthorizationServer(keys=keys).fail("invalid_token")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reasons": {"tokn": Reason.WRONG_SECRET}}, "reasons has 'tokn'"),
        ({"reasons": {"api": Reason.REVOKED_TOKEN}}, "reasons has 'api'"),
        ({"status": 200}, "status=200 cannot be used"),
        ({"status": "503"}, "status='503' cannot be used"),
    ],
    ids=["misspelt-endpoint", "other-endpoint", "success", "text"],
)
def test_fault_that_could_not_happen_is_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Fault(name="own", kind="rejected", **fields)


def test_rewrite_that_returns_nothing_fails_the_test_by_name(keys: KeySource) -> None:
    server = AuthorizationServer(keys=keys)
    credentials = server.credentials_of(server.register())
    server.fail(Fault(name="own", kind="malformed", rewrite=lambda response: response.set_data(b"")))  # type: ignore[arg-type,return-value]
    form = {"grant_type": "client_credentials", "scope": credentials.scope}

    response = Client(server).post(server.token_url, data=form, auth=(credentials.client_id, credentials.client_secret))

    assert response.status_code == 500
    assert "a rewrite returns the response" in str(server.errors[0])


def test_refused_token_is_refused_also_with_an_issuer_of_the_tests_own(keys: KeySource) -> None:
    server = AuthorizationServer(Options(claims={"iss": "https://other.test"}), keys=keys)
    credentials = server.credentials_of(server.register())
    server.fail("refused_token")
    form = {"grant_type": "client_credentials", "scope": credentials.scope}

    response = Client(server).post(server.token_url, data=form, auth=(credentials.client_id, credentials.client_secret))

    assert response.status_code == 200
    assert server.errors == []


@pytest.mark.parametrize("moment", [-1, float("nan"), float("inf"), "x", None, True])
def test_hold_for_no_time_is_an_error(keys: KeySource, moment: Any) -> None:
    with pytest.raises(ValueError, match=f"^moment={moment!r} cannot be used: it takes a number of seconds from 0$"):
        AuthorizationServer(keys=keys).hold(2, moment)


@pytest.mark.parametrize("name", ["no_access_token", "expired_token"])
def test_fault_of_an_answer_waits_for_a_request_that_gets_one(keys: KeySource, name: str) -> None:
    server = AuthorizationServer(keys=keys)
    credentials = server.credentials_of(server.register())
    form = {"grant_type": "client_credentials", "scope": credentials.scope}
    http = Client(server)
    (armed,) = server.fail(name)

    http.post(server.token_url, data=form, auth=(credentials.client_id, "wrong"))
    assert (armed.fired, server.token_requests[-1].fault) == (0, None)

    http.post(server.token_url, data=form, auth=(credentials.client_id, credentials.client_secret))
    assert (armed.fired, server.token_requests[-1].fault) == (1, name)


def test_fault_that_is_given_back_stands_before_those_behind_it(keys: KeySource) -> None:
    server = AuthorizationServer(keys=keys)
    queue = server._state.faults
    server.fail("no_access_token", times=None)
    first = queue.take("token")
    assert first is not None

    queue.give_back(first)

    assert queue.take("token") is first
    server.clear_faults()
    queue.give_back(first)
    assert queue.take("token") is None


def test_fault_that_was_found_used_up_meanwhile_waits_again(keys: KeySource) -> None:
    server = AuthorizationServer(keys=keys)
    queue = server._state.faults
    server.fail("no_access_token")
    first = queue.take("token")
    assert first is not None
    assert queue.take("token") is None

    queue.give_back(first)

    assert queue.take("token") is first
