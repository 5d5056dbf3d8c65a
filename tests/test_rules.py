"""The rules of RFC 6749 and 6750: which requests bend them, whatever the server answers, and what strict=True does."""

import base64
import json
from typing import Any

import pytest
from werkzeug.test import Client

from fake_server import AuthorizationServer, Options, RegisteredClient
from fake_server.assertions import ASSERTION_TYPE
from fake_server.key_source import KeySource

GRANT = {"grant_type": "client_credentials", "scope": "ingr.api"}
BASIC = ("smart-client", "smart-secret")
BODY = {"client_id": "smart-client", "client_secret": "smart-secret"}
ASSERTION = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"}
FORM = "application/x-www-form-urlencoded"
TOKEN = "eyJ.x.y"


def bent(server: AuthorizationServer) -> list[str]:
    """Return the ids of the rules that the last request bent."""
    return [rule.partition(" ")[0] for rule in server.journal[-1].bent_rules]


def basic(text: str | bytes, scheme: str = "Basic") -> dict[str, str]:
    octets = text.encode() if isinstance(text, str) else text
    return {"Authorization": f"{scheme} {base64.b64encode(octets).decode()}"}


def bearer(*tokens: str) -> dict[str, str]:
    return {"Authorization": ", ".join(f"Bearer {token}" for token in tokens)}


# The token endpoint


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("request_", "rules"),
    [
        pytest.param({"data": GRANT, "auth": BASIC}, [], id="basic"),
        pytest.param({"data": {**GRANT, **BODY}}, [], id="body"),
        pytest.param({"data": {**GRANT, **ASSERTION}}, [], id="assertion"),
        pytest.param({"data": {**GRANT, "client_id": "smart-client"}, "auth": BASIC}, [], id="client-id-twice"),
        pytest.param({"data": GRANT, "headers": basic(":".join(BASIC), "bAsIc")}, [], id="scheme-in-any-case"),
        pytest.param({"data": {**GRANT, "x": "y", "scope": ""}, "auth": BASIC}, [], id="unknown-and-empty"),
        pytest.param({"data": GRANT, "auth": BASIC, "query_string": {"policy": "b2c"}}, [], id="query-of-the-url"),
        pytest.param(
            {"data": b"grant_type=client_credentials", "content_type": f"{FORM}; charset=UTF-8", "auth": BASIC},
            [],
            id="charset-utf-8",
        ),
        pytest.param({"method": "OPTIONS"}, [], id="options"),
        pytest.param({"data": GRANT, "auth": BASIC, "query_string": BODY}, ["A04"], id="credentials-in-the-query"),
        pytest.param({"data": GRANT, "query_string": BODY}, ["A04"], id="credentials-in-the-query-alone"),
        pytest.param({"data": {**GRANT, **BODY}, "auth": BASIC}, ["A05"], id="header-and-body"),
        pytest.param({"data": {**GRANT, **ASSERTION, **BODY}}, ["A05"], id="secret-and-assertion"),
        pytest.param({"data": {**GRANT, **BODY}, "headers": bearer(TOKEN)}, ["A05"], id="bearer-and-body"),
        pytest.param({"data": GRANT, "headers": {"Authorization": "Basic x:y"}}, ["A09"], id="not-base64"),
        pytest.param({"data": GRANT, "headers": basic("smart-client")}, ["A09"], id="no-colon"),
        pytest.param({"method": "GET", "query_string": {**GRANT, **BODY}}, ["A04", "A10"], id="get"),
        pytest.param({"method": "PUT", "data": GRANT, "auth": BASIC}, ["A10"], id="put"),
        pytest.param(
            {"data": {**GRANT, "scope": ["ingr.api", "ingr.api"]}, "auth": BASIC}, ["A13"], id="parameter-twice"
        ),
        pytest.param({"data": GRANT, "auth": BASIC, "query_string": "a=1&a=2"}, ["A13"], id="twice-in-the-query"),
        pytest.param({"data": {}, "content_type": FORM, "auth": BASIC}, ["A16"], id="no-grant-type"),
        pytest.param(
            {"data": {**GRANT, "grant_type": "Client_Credentials"}, "auth": BASIC}, ["A16"], id="grant-type-in-capitals"
        ),
        pytest.param({"json": GRANT, "auth": BASIC}, ["A17"], id="json"),
        pytest.param({"data": b"grant_type=client_credentials", "auth": BASIC}, ["A17"], id="no-content-type"),
        pytest.param(
            {"data": b"grant_type=client_credentials", "content_type": f"{FORM}; charset=ISO-8859-1", "auth": BASIC},
            ["A17"],
            id="other-charset",
        ),
        pytest.param({"data": b"scope=\xe9", "content_type": FORM, "auth": BASIC}, ["A17"], id="not-utf-8"),
        pytest.param({"data": b"scope=%E9", "content_type": FORM, "auth": BASIC}, ["A17"], id="encoded-not-utf-8"),
        pytest.param({"data": GRANT, "auth": BASIC, "query_string": GRANT}, ["A17"], id="parameters-in-the-query"),
        pytest.param({"data": b"a" * 70_000, "content_type": FORM, "auth": BASIC}, [], id="too-large"),
        pytest.param({"data": GRANT}, ["A18"], id="no-credentials"),
        pytest.param({"data": {**GRANT, "client_id": "smart-client"}}, ["A18"], id="public-client"),
        pytest.param({"data": GRANT, "headers": bearer(TOKEN)}, ["A18"], id="bearer"),
        pytest.param({"data": {**GRANT, "scope": "ingr.api "}, "auth": BASIC}, ["A20"], id="blank-at-the-end"),
        pytest.param({"data": {**GRANT, "scope": "a\tb"}, "auth": BASIC}, ["A20", "A23"], id="tab"),
        pytest.param({"data": {**GRANT, "scope": '"ingr.api"'}, "auth": BASIC}, ["A23"], id="scope-in-quotes"),
    ],
)
def test_token_request_bends_the_rules_that_it_does(
    server: AuthorizationServer, http: Client, request_: dict[str, Any], rules: list[str]
) -> None:
    http.open(server.token_url, **{"method": "POST", **request_})

    assert bent(server) == rules


@pytest.mark.parametrize(
    ("client_id", "client_secret", "sent", "rules"),
    [
        pytest.param("id", "a+b%c:d &£€", "id:a+b%c:d &£€", ["A02"], id="raw"),
        pytest.param("id", "a+b%c:d &£€", "id:a%2Bb%25c%3Ad+%26%C2%A3%E2%82%AC", [], id="encoded"),
        pytest.param("id", "£", b"id:\xa3", ["A02"], id="raw-latin-1"),
        pytest.param("an id", "secret", "an id:secret", ["A02"], id="raw-id"),
        pytest.param("id", "A-b.c_d~e*9", "id:A-b.c_d~e*9", [], id="nothing-to-encode"),
        pytest.param("id", "a b", "id:a b ", [], id="other-secret"),
    ],
)
def test_raw_credentials_bend_a_rule_where_encoding_matters(
    server: AuthorizationServer, http: Client, client_id: str, client_secret: str, sent: str | bytes, rules: list[str]
) -> None:
    server.register(client_id, client_secret)

    http.post(server.token_url, data=GRANT, headers=basic(sent))

    assert bent(server) == rules


def test_raw_credentials_bend_no_rule_where_the_server_wants_them(keys: KeySource) -> None:
    server = AuthorizationServer(Options(basic_decoding="raw"), keys=keys)
    server.register("id", "a+b")

    response = Client(server).post(server.token_url, data=GRANT, headers=basic("id:a+b"))

    assert (response.status_code, bent(server)) == (200, [])


@pytest.mark.parametrize("fault", ["unsupported_grant_type", "invalid_scope", "invalid_request", "invalid_client"])
def test_fault_that_the_test_armed_bends_no_rule(
    server: AuthorizationServer, client: RegisteredClient, http: Client, fault: str
) -> None:
    server.fail(fault)

    response = http.post(server.token_url, data=GRANT, auth=BASIC)

    assert response.status_code >= 400
    assert bent(server) == []


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("endpoint", "request_", "rules"),
    [
        ("introspection", {"data": {"token": TOKEN}, "auth": BASIC}, []),
        ("introspection", {"data": {"token": TOKEN, **BODY}, "auth": BASIC}, ["A05"]),
        ("revocation", {"data": {"token": [TOKEN, TOKEN]}, "auth": BASIC}, ["A13"]),
        ("revocation", {"json": {"token": TOKEN}, "query_string": BODY}, ["A04", "A17"]),
        ("jwks", {}, []),
    ],
)
def test_other_endpoints_have_the_rules_of_authentication_and_forms(
    server: AuthorizationServer, http: Client, endpoint: str, request_: dict[str, Any], rules: list[str]
) -> None:
    urls = {
        "introspection": server.introspection_url,
        "revocation": server.revocation_url,
        "jwks": server.jwks_uri,
    }

    http.post(urls[endpoint] or "", **request_)

    assert bent(server) == rules


# The API


@pytest.mark.parametrize(
    ("request_", "rules"),
    [
        pytest.param({}, [], id="no-token"),
        pytest.param({"headers": bearer(TOKEN)}, [], id="header"),
        pytest.param({"headers": {"Authorization": f"BEARER  {TOKEN}"}}, [], id="two-blanks"),
        pytest.param({"method": "POST", "data": {"access_token": TOKEN}}, [], id="body"),
        pytest.param({"method": "POST", "json": {"access_token": TOKEN}, "headers": bearer(TOKEN)}, [], id="json"),
        pytest.param({"headers": {"Authorization": TOKEN}}, ["C01"], id="no-scheme"),
        pytest.param({"headers": {"Authorization": f"Token {TOKEN}"}}, ["C01"], id="other-scheme"),
        pytest.param({"headers": bearer("")}, ["C01"], id="no-value"),
        pytest.param({"headers": bearer('"eyJ"')}, ["C01"], id="in-quotes"),
        pytest.param({"headers": bearer(json.dumps({"access_token": "x", "a": 1}))}, ["C01"], id="whole-answer"),
        pytest.param({"headers": bearer(TOKEN, TOKEN)}, ["C02"], id="two-tokens"),
        pytest.param(
            {"method": "POST", "data": {"access_token": TOKEN}, "headers": bearer(TOKEN)}, ["C02"], id="header-and-body"
        ),
        pytest.param(
            {"method": "GET", "data": {"access_token": TOKEN}, "content_type": FORM}, ["C03"], id="body-of-a-get"
        ),
        pytest.param({"query_string": {"access_token": TOKEN}}, ["C04"], id="query"),
        pytest.param(
            {"query_string": {"access_token": TOKEN}, "headers": bearer(TOKEN)}, ["C02", "C04"], id="header-and-query"
        ),
    ],
)
def test_call_bends_the_rules_that_it_does(
    server: AuthorizationServer, http: Client, request_: dict[str, Any], rules: list[str]
) -> None:
    http.open(server.api.url + "/Tags", **{"method": "GET", **request_})

    assert bent(server) == rules


# The option


STRICT = """
    import pytest
    import requests

    @pytest.mark.sc_auth(strict={strict}, dialect="{dialect}")
    def test_it(sc_auth_credentials):
        c = sc_auth_credentials
        form = {{"grant_type": "client_credentials", "scope": c.scope, "client_secret": c.client_secret}}
        assert requests.post(c.token_url, data=form, auth=(c.client_id, c.client_secret)).ok
"""


def test_strict_fails_a_test_whose_client_bends_a_rule_that_the_server_lets_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(STRICT.format(strict=True, dialect="duende"))

    result = pytester.runpytest("-p", "no:randomly")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "strict: exchange 1: A05 (RFC 6749, section 2.3: a request authenticates by one method only)",
            "*- sc_auth requests -*",
        ],
        consecutive=True,
    )


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(STRICT.format(strict=False, dialect="duende"), id="not-strict"),
        pytest.param(
            """
            import pytest
            import requests
            from pytest_sc_auth import TokenClient

            @pytest.mark.sc_auth(strict=True)
            def test_it(sc_auth_server, sc_auth_api):
                sc_auth_server.register("an id", "a b+c:d")
                with TokenClient(sc_auth_server.token_url, "an id", "a b+c:d", "ingr.api") as client:
                    assert requests.get(sc_auth_api.url, auth=client.auth).ok
            """,
            id="token-client",
        ),
    ],
)
def test_strict_lets_others_pass(pytester: pytest.Pytester, source: str) -> None:
    pytester.makepyfile(source)

    result = pytester.runpytest("-p", "no:randomly")

    assert result.parseoutcomes() == {"passed": 1}
