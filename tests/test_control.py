"""The control API: a server's methods over HTTP, what they answer, and what they say to mistakes."""

import datetime
import json
from typing import Any

import jwt
import pytest
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Reason
from fake_server.control import Control

FORM = {"grant_type": "client_credentials", "scope": "ingr.api"}


@pytest.fixture
def server(server: AuthorizationServer) -> AuthorizationServer:
    """A server with one client, at a clock that stands still."""
    server.register("one", "one-secret")
    server.clock.move_to("2026-01-31T12:00:00+00:00")
    server.clock.freeze()
    return server


class Remote:
    """Ask the control API, as a test in another process would."""

    def __init__(self, server: AuthorizationServer) -> None:
        self._http = Client(Control(server))

    def post(self, action: str, body: str | bytes | None = None, **arguments: Any) -> TestResponse:
        return self._http.post(f"/{action}", data=json.dumps(arguments) if body is None else body)

    def get(self, reading: str) -> TestResponse:
        return self._http.get(f"/{reading}")

    def result_of(self, action: str, **arguments: Any) -> Any:
        answer = self.post(action, **arguments)
        assert answer.status_code == 200, answer.json
        return (answer.json or {})["result"]


@pytest.fixture
def remote(server: AuthorizationServer) -> Remote:
    return Remote(server)


def ask(server: AuthorizationServer, client_id: str = "one", client_secret: str = "one-secret") -> TestResponse:
    return Client(server).post("/as/v1/token", data=FORM, auth=(client_id, client_secret))


def call_api(server: AuthorizationServer, token: str, path: str = "") -> TestResponse:
    url = server.api.url.removeprefix("http://idp.test") + path
    return Client(server).get(url, headers={"Authorization": f"Bearer {token}"})


# What there is


def test_root_lists_what_there_is(remote: Remote) -> None:
    listed = remote.get("").json["result"]  # type: ignore[index]

    assert sorted(listed) == ["GET", "POST"]
    assert {"clock", "journal", "journal/token"} <= set(listed["GET"])
    assert {"fail", "clock/advance", "register"} <= set(listed["POST"])


# Clients and tokens


def test_client_is_registered_with_what_is_given_and_shown(remote: Remote, server: AuthorizationServer) -> None:
    registered = remote.result_of("register", client_id="two", client_secret="two-secret", token_lifetime=60)

    assert registered == {
        "client_id": "two",
        "client_secret": "two-secret",
        "scopes": ["ingr.api"],
        "token_lifetime": 60,
        "grant_types": ["client_credentials"],
        "enabled": True,
    }
    assert ask(server, "two", "two-secret").json["expires_in"] == 60  # type: ignore[index]
    assert remote.get("clients").json["result"][1] == registered  # type: ignore[index]


def test_client_is_disabled_enabled_and_given_another_secret(remote: Remote, server: AuthorizationServer) -> None:
    remote.result_of("clients/disable", client_id="one")
    while_disabled = ask(server).status_code
    remote.result_of("clients/enable", client_id="one")
    secret = remote.result_of("clients/rotate_secret", client_id="one")

    assert (while_disabled, ask(server).status_code) == (401, 401)
    assert ask(server, "one", secret).status_code == 200
    assert remote.result_of("clients/rotate_secret", client_id="one", client_secret="mine") == "mine"


def test_token_is_minted_with_what_is_given(remote: Remote, server: AuthorizationServer) -> None:
    token = remote.result_of("mint", client="one", lifetime=60, claims={"tenant": "a"})

    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["tenant"], claims["exp"] - claims["iat"]) == ("a", 60)
    assert call_api(server, token).status_code == 200


@pytest.mark.parametrize(
    ("action", "reason"),
    [("revoke", Reason.REVOKED_TOKEN), ("expire", Reason.EXPIRED_TOKEN), ("expire_all", Reason.EXPIRED_TOKEN)],
)
def test_token_is_ended(remote: Remote, server: AuthorizationServer, action: str, reason: Reason) -> None:
    token = server.mint()

    remote.result_of(action, **({} if action == "expire_all" else {"token": str(token)}))

    assert call_api(server, token).status_code == 401
    assert server.api_requests[-1].reason is reason


def test_keys_are_rotated(remote: Remote, server: AuthorizationServer) -> None:
    token = server.mint()

    remote.result_of("rotate_keys", publish_old=False)

    assert call_api(server, token).status_code == 401


# Trouble and time


def test_fault_is_armed_told_of_and_disarmed(remote: Remote, server: AuthorizationServer) -> None:
    armed = remote.result_of("fail", fault=["rate_limited", None], retry_after=7)
    answer = ask(server)

    assert armed == [
        {"fault": "rate_limited", "endpoint": "token", "fired": 0, "optional": False},
        {"fault": "good", "endpoint": "token", "fired": 0, "optional": True},
    ]
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert remote.get("unfired_faults").json == {"result": []}
    remote.result_of("fail", fault=503)
    assert [fault["fault"] for fault in remote.get("unfired_faults").json["result"]] == [  # type: ignore[index]
        "temporarily_unavailable"
    ]
    remote.result_of("clear_faults")
    assert ask(server).status_code == 200


def test_clock_is_moved_and_told(remote: Remote, server: AuthorizationServer) -> None:
    token = server.mint()

    remote.result_of("clock/advance", hours=1, seconds=1)

    assert remote.get("clock").json == {"result": {"now": "2026-01-31T13:00:01+00:00", "is_frozen": True}}
    assert call_api(server, token).status_code == 401
    remote.result_of("clock/move_to", moment="2030-01-01T00:00:00Z")
    assert server.clock.now() == datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    remote.result_of("clock/unfreeze")
    assert not server.clock.is_frozen
    remote.result_of("clock/freeze")
    assert server.clock.is_frozen


def test_requests_are_held_and_released(remote: Remote, server: AuthorizationServer) -> None:
    remote.result_of("hold", number=1, moment=0)

    remote.result_of("release")

    assert ask(server).status_code == 200


# The API


def test_route_answers_as_told(remote: Remote, server: AuthorizationServer) -> None:
    remote.result_of("api/route", method="GET", rule="/Tags", json={"value": []}, status=206)

    answer = call_api(server, server.mint(), "/Tags")
    assert (answer.status_code, answer.json) == (206, {"value": []})


# What was asked, and whether it was right


def test_journal_has_all_facts_of_each_exchange_and_no_secret(remote: Remote, server: AuthorizationServer) -> None:
    ask(server, client_secret="one-secret\n")
    token = ask(server).json["access_token"]  # type: ignore[index]
    call_api(server, token)

    whole, tokens, calls = (remote.get(reading) for reading in ("journal", "journal/token", "journal/api"))

    refused, granted, called = whole.json["result"]  # type: ignore[index]
    assert tokens.json == {"result": [refused, granted]}
    assert calls.json == {"result": [called]}
    assert (refused["number"], refused["status"], refused["error"], refused["reason"], refused["client_id"]) == (
        1,
        401,
        "invalid_client",
        "wrong_secret",
        "one",
    )
    assert "newline" in refused["diagnosis"]
    assert granted["instant"] == "2026-01-31T12:00:00+00:00"
    assert granted["token_expires_at"] == "2026-01-31T13:00:00+00:00"
    assert granted["token_id"] == called["token_id"]
    assert token not in whole.text
    assert "one-secret" not in whole.text


def test_bent_rules_are_told(remote: Remote, server: AuthorizationServer) -> None:
    Client(server).post("/as/v1/token?client_id=one", data=FORM)

    assert any("A04" in rule for rule in remote.get("bent_rules").json["result"])  # type: ignore[index]


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("assert_token_requests", {"number": 1}),
        ("assert_single_flight", {}),
        ("assert_no_hammering", {"min_interval": 1}),
    ],
)
def test_assertion_that_holds_is_a_result_and_one_that_fails_a_conflict(
    remote: Remote, server: AuthorizationServer, action: str, arguments: dict[str, Any]
) -> None:
    ask(server)
    assert remote.result_of(action, **arguments) is None

    ask(server)
    answer = remote.post(action, **arguments)

    assert answer.status_code == 409
    assert answer.json["error"] == "assertion_failed"  # type: ignore[index]
    assert "POST /v1/token" in answer.json["message"]  # type: ignore[index]


def test_renewal_that_did_not_happen_is_a_conflict(remote: Remote) -> None:
    assert remote.post("assert_renewed_once").status_code == 409


# Mistakes


@pytest.mark.parametrize(
    ("action", "body", "said"),
    [
        ("fail", '{"fault": "rate_limted"}', "fail: 'rate_limted' is not a fault of the token endpoint; did you mean"),
        ("fail", '{"fault": "rate_limited", "tims": 2}', "tims is not a setting of a fault; did you mean times?"),
        ("fail", "{}", "fail: missing a required argument: 'fault'"),
        ("register", '{"scope": "ingr.api"}', "register: got an unexpected keyword argument 'scope'"),
        ("register", '{"client_id": "one"}', "a client 'one' is registered already"),
        ("register", '{"client_id": 5}', "5 cannot be a client_id"),
        ("register", '{"scopes": 5}', "scopes=5 cannot be used"),
        ("clients/disable", '{"client_id": "nobody"}', "no client 'nobody' is registered; there are ['one']"),
        ("clients/disable", '{"client_id": ["one"]}', "no client ['one'] is registered"),
        ("clients/disable", "{}", "missing a required argument: 'client_id'"),
        ("clock/advance", "{}", "no length of time given"),
        ("clock/advance", '{"seconds": "60"}', "'60' is no number of seconds"),
        ("clock/advance", '{"seconds": 1e400}', "is not finite"),
        ("revoke", '{"token": "no-token"}', "this is no token of this server"),
        ("api/route", '{"method": "GET", "rule": "Tags"}', "must begin with a slash"),
        ("api/route", '{"method": 5, "rule": "/Tags"}', "5 is no method of a route"),
        ("api/route", '{"method": "GET", "rule": 5}', "the rule 5 must begin with a slash"),
        ("mint", '["one"]', "the body is not a JSON object"),
        ("mint", "client=one", "the body is not JSON"),
        ("mint", "[" * 100_000, "the body is not JSON"),
        ("mint", b"\xff", "the body is not JSON"),
    ],
)
def test_mistake_is_named_and_changes_nothing(
    remote: Remote, server: AuthorizationServer, action: str, body: str | bytes, said: str
) -> None:
    answer = remote.post(action, body)

    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"  # type: ignore[index]
    assert said in answer.json["message"]  # type: ignore[index]
    assert ask(server).status_code == 200
    assert list(server.clients) == ["one"]


def test_unknown_name_is_not_found_and_the_nearest_is_named(remote: Remote) -> None:
    answer = remote.post("clock/advanse")

    assert answer.status_code == 404
    assert answer.json["message"] == "there is no 'clock/advanse'; did you mean clock/advance?"  # type: ignore[index]


@pytest.mark.parametrize(("name", "method", "allowed"), [("fail", "GET", "POST"), ("journal", "POST", "GET")])
def test_other_method_is_refused(server: AuthorizationServer, name: str, method: str, allowed: str) -> None:
    answer = Client(Control(server)).open(f"/{name}", method=method)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert answer.json == {"error": "invalid_request", "message": f"{name} takes {allowed} only"}


def test_control_is_not_in_the_journal(remote: Remote, server: AuthorizationServer) -> None:
    remote.post("mint")
    remote.get("journal")

    assert list(server.journal) == []
