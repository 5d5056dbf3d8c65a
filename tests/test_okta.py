"""The dialect of Okta: every answer of the token endpoint, the token itself, the keys and the metadata."""

import json
import re
from typing import Any

import jwt
import pytest
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Options, Reason
from fake_server.api import CHALLENGES
from fake_server.key_source import KeySource

NOON = 1772366400
ISSUER = "http://idp.test/as"
AUDIENCE = "8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915"
BASIC = ("smart-client", "smart-secret")
GRANT = {"grant_type": "client_credentials", "scope": "ingr.api"}
OAUTH = ["error", "error_description"]
OKTA = ["errorCode", "errorSummary", "errorLink", "errorId", "errorCauses"]


@pytest.fixture
def okta(keys: KeySource) -> AuthorizationServer:
    """A server with a client for every reason, whose clock stands at noon."""
    options = Options(scopes=("ingr.api", "ingr.admin"), client_auth=("client_secret_basic",))
    okta = AuthorizationServer(options, base_url=ISSUER, keys=keys)
    okta.clock.freeze()
    okta.clock.move_to(NOON)
    okta.register(*BASIC, scopes="ingr.api")
    okta.register("disabled", "secret").disable()
    okta.register("no-grants", "secret", grant_types=())
    okta.register("failing", "secret", claims=lambda grant: {"tenant": 1 / 0})
    return okta


def ask(server: AuthorizationServer, *, path: str = "/v1/token", method: str = "POST", **request: Any) -> TestResponse:
    return Client(server).open(server.issuer + path, method=method, **{"data": GRANT, "auth": BASIC} | request)


def members(response: TestResponse) -> dict[str, Any]:
    """Return the members of a JSON object, in the order in which they came."""
    answer = json.loads(response.data)
    assert isinstance(answer, dict)
    return answer


def authorized_by(value: str) -> dict[str, Any]:
    return {"auth": None, "headers": {"Authorization": value}}


# Refusals, as the vendor's catalogue and recordings have them

REFUSALS: list[tuple[Reason, int, str, list[str], dict[str, Any]]] = [
    (Reason.NOT_FOUND, 404, "E0000007", OKTA, {"path": "/v1/tokens"}),
    (Reason.METHOD_NOT_ALLOWED, 405, "E0000022", OKTA, {"method": "GET"}),
    (Reason.MISSING_CONTENT_TYPE, 400, "E0000021", OKTA, {"data": b"grant_type=client_credentials"}),
    (Reason.WRONG_CONTENT_TYPE, 400, "E0000021", OKTA, {"data": None, "json": GRANT}),
    (Reason.BODY_TOO_LARGE, 413, "invalid_request", OAUTH, {"data": {"scope": "x" * 65536}}),
    (Reason.BODY_CUT_SHORT, 400, "invalid_request", OAUTH, {"environ_overrides": {"CONTENT_LENGTH": "999"}}),
    (
        Reason.BODY_NOT_UTF8,
        400,
        "invalid_request",
        OAUTH,
        {"data": b"\xff", "content_type": "application/x-www-form-urlencoded"},
    ),
    (Reason.DUPLICATED_PARAMETER, 400, "invalid_request", OAUTH, {"data": {"scope": ["ingr.api", "ingr.api"]}}),
    (Reason.NO_CREDENTIALS, 401, "invalid_client", OAUTH, {"auth": None}),
    (Reason.MISSING_SECRET, 401, "invalid_client", OAUTH, {"auth": None, "data": GRANT | {"client_id": "disabled"}}),
    (Reason.CREDENTIALS_IN_QUERY, 400, "invalid_request", OAUTH, {"query_string": {"client_id": "smart-client"}}),
    (Reason.MULTIPLE_CREDENTIALS, 401, "invalid_request", OAUTH, {"data": GRANT | {"client_secret": "smart-secret"}}),
    (Reason.WRONG_SCHEME, 401, "invalid_client", OAUTH, authorized_by("Bearer abc")),
    (Reason.MALFORMED_BASIC, 401, "invalid_client", OAUTH, authorized_by("Basic !")),
    (Reason.BASIC_WITHOUT_COLON, 401, "invalid_client", OAUTH, authorized_by("Basic YWJj")),
    (
        Reason.AUTH_METHOD_NOT_ALLOWED,
        401,
        "invalid_client",
        OAUTH,
        {"auth": None, "data": GRANT | {"client_id": "smart-client", "client_secret": "smart-secret"}},
    ),
    (Reason.UNKNOWN_CLIENT, 401, "invalid_client", OKTA, {"auth": ("stranger", "smart-secret")}),
    (Reason.WRONG_SECRET, 401, "invalid_client", OAUTH, {"auth": ("smart-client", "wrong")}),
    (Reason.DISABLED_CLIENT, 401, "invalid_client", OAUTH, {"auth": ("disabled", "secret")}),
    (Reason.MISSING_GRANT_TYPE, 400, "invalid_request", OAUTH, {"data": {"scope": "ingr.api"}}),
    (Reason.UNSUPPORTED_GRANT_TYPE, 400, "unsupported_grant_type", OAUTH, {"data": {"grant_type": "password"}}),
    (Reason.GRANT_TYPE_NOT_ALLOWED, 400, "unauthorized_client", OAUTH, {"auth": ("no-grants", "secret")}),
    (Reason.MISSING_SCOPE, 400, "invalid_scope", OAUTH, {"data": GRANT | {"scope": ""}}),
    (Reason.MALFORMED_SCOPE, 400, "invalid_scope", OAUTH, {"data": GRANT | {"scope": " ingr.api"}}),
    (Reason.OPENID_SCOPE, 400, "invalid_scope", OAUTH, {"data": GRANT | {"scope": "openid"}}),
    (Reason.UNKNOWN_SCOPE, 400, "invalid_scope", OAUTH, {"data": GRANT | {"scope": "other"}}),
    (Reason.SCOPE_NOT_ALLOWED, 400, "access_denied", OAUTH, {"data": GRANT | {"scope": "ingr.admin"}}),
    (Reason.CLAIMS_FAILED, 500, "server_error", OAUTH, {"auth": ("failing", "secret")}),
]

# The reasons of other endpoints, other dialects, clients with a key, and faults that a test arms.
ELSEWHERE = {
    *(set(CHALLENGES) - {Reason.BODY_CUT_SHORT}),
    *(reason for reason in Reason if "ASSERTION" in reason.name),
    Reason.NOT_SERVED,
    Reason.ANSWER_FAILED,
    Reason.MISSING_TOKEN,
    Reason.TOKEN_OF_ANOTHER_CLIENT,
    Reason.SCOPE_WITHOUT_RESOURCE,
    Reason.MULTIPLE_RESOURCES,
    Reason.UNKNOWN_RESOURCE,
    Reason.MALFORMED_REQUEST,
    Reason.POLICY_DENIED,
    Reason.REDIRECTED,
    Reason.REDIRECT_FOLLOWED,
    Reason.ROUTE_FAILED,
}


@pytest.mark.parametrize(
    ("reason", "status", "error", "names", "request_"), REFUSALS, ids=[reason.value for reason, *_ in REFUSALS]
)
def test_refusal_has_the_status_error_members_and_headers_of_its_reason(
    okta: AuthorizationServer, reason: Reason, status: int, error: str, names: list[str], request_: dict[str, Any]
) -> None:
    response = ask(okta, **request_)

    entry, answer = okta.journal[-1], members(response)
    assert (entry.reason, entry.status, entry.error) == (reason, status, error)
    assert response.status_code == status
    assert list(answer) == names
    assert answer[names[0]] == error
    assert response.headers.getlist("Content-Type") == ["application/json;charset=UTF-8"]
    assert response.headers.getlist("Cache-Control") == ["no-cache, no-store"]
    assert response.headers.getlist("Pragma") == ["no-cache"]
    assert response.headers.getlist("WWW-Authenticate") == ([f'Basic realm="{ISSUER}"'] if status == 401 else [])
    # RFC 6749, section 5.2: no quotation mark, no backslash, ASCII
    assert re.fullmatch(r"[\x20\x21\x23-\x5B\x5D-\x7E]+", answer[names[1]])


def test_every_reason_of_the_token_endpoint_with_a_secret_has_an_example() -> None:
    assert {reason for reason, *_ in REFUSALS} == set(Reason) - ELSEWHERE


def test_body_of_an_oauth_error_in_full(okta: AuthorizationServer) -> None:
    response = ask(okta, auth=("smart-client", "wrong"))

    assert response.text == '{"error":"invalid_client","error_description":"The client_secret is not the right one."}'


def test_body_of_an_error_of_the_vendors_own_in_full(okta: AuthorizationServer) -> None:
    first, second = members(ask(okta, auth=("stranger", "x"))), members(ask(okta, auth=("stranger", "x")))

    assert first == {
        "errorCode": "invalid_client",
        "errorSummary": "The client_id is not a known one.",
        "errorLink": "invalid_client",
        "errorId": first["errorId"],
        "errorCauses": [],
    }
    assert re.fullmatch(r"oae[\w-]{22}", first["errorId"], re.ASCII)
    assert second["errorId"] != first["errorId"]


# Success


def verified(server: AuthorizationServer, token: str) -> dict[str, Any]:
    """Return the claims of a token, after PyJWT has verified it with the published keys, but for the time."""
    published = jwt.PyJWKSet.from_dict(members(Client(server).get(server.jwks_uri)))
    claims: dict[str, Any] = jwt.decode(
        token,
        published[jwt.get_unverified_header(token)["kid"]],
        ["RS256"],
        audience=AUDIENCE,
        issuer=server.issuer,
        options={"verify_exp": False, "verify_iat": False},
    )
    return claims


def test_token_response_has_its_members_in_order(okta: AuthorizationServer) -> None:
    response = ask(okta)

    answer = members(response)
    assert response.status_code == 200
    assert list(answer.items()) == [
        ("token_type", "Bearer"),
        ("expires_in", 3600),
        ("access_token", answer["access_token"]),
        ("scope", "ingr.api"),
    ]
    assert response.headers.getlist("Content-Type") == ["application/json;charset=UTF-8"]
    assert response.headers.getlist("Cache-Control") == ["no-store"]
    assert response.headers.getlist("Pragma") == ["no-cache"]
    assert "WWW-Authenticate" not in response.headers


def test_token_has_the_vendors_header_and_claims_in_order(okta: AuthorizationServer) -> None:
    token = members(ask(okta))["access_token"]

    claims = verified(okta, token)
    (key,) = members(Client(okta).get(okta.jwks_uri))["keys"]
    assert list(jwt.get_unverified_header(token).items()) == [("kid", key["kid"]), ("alg", "RS256")]
    assert list(claims.items()) == [
        ("ver", 1),
        ("jti", claims["jti"]),
        ("iss", ISSUER),
        ("aud", AUDIENCE),
        ("iat", NOON),
        ("exp", NOON + 3600),
        ("cid", "smart-client"),
        ("scp", ["ingr.api"]),
        ("sub", "smart-client"),
    ]


def test_every_token_has_an_id_of_its_own(okta: AuthorizationServer) -> None:
    ids = [verified(okta, members(ask(okta))["access_token"])["jti"] for _ in range(10)]

    assert len(set(ids)) == 10
    assert all(re.fullmatch(r"AT\.[\w-]{43}", token_id, re.ASCII) for token_id in ids)


def test_token_follows_the_servers_clock(okta: AuthorizationServer) -> None:
    okta.clock.advance(hours=-5, seconds=0.75)

    claims = verified(okta, members(ask(okta))["access_token"])

    assert (claims["iat"], claims["exp"]) == (NOON - 5 * 3600, NOON - 4 * 3600)


def test_token_lives_as_long_as_its_clients_do(okta: AuthorizationServer) -> None:
    okta.register("brief", "secret", token_lifetime=60)

    answer = members(ask(okta, auth=("brief", "secret")))

    claims = verified(okta, answer["access_token"])
    assert (answer["expires_in"], claims["exp"] - claims["iat"], claims["cid"]) == (60, 60, "brief")
    assert members(ask(okta))["expires_in"] == 3600


def test_granted_scopes_are_a_list_in_the_token_and_a_text_in_the_answer(okta: AuthorizationServer) -> None:
    okta.register("both", "secret")

    answer = members(ask(okta, auth=("both", "secret"), data=GRANT | {"scope": "ingr.admin ingr.api"}))

    assert answer["scope"] == "ingr.admin ingr.api"
    assert verified(okta, answer["access_token"])["scp"] == ["ingr.admin", "ingr.api"]


def test_token_of_a_rotated_key_is_verified_by_the_published_keys(okta: AuthorizationServer) -> None:
    before = members(ask(okta))["access_token"]
    okta.rotate_keys()
    after = members(ask(okta))["access_token"]

    assert verified(okta, before)["cid"] == verified(okta, after)["cid"] == "smart-client"


# Keys and metadata


def test_keys_may_be_kept_as_the_vendor_says(okta: AuthorizationServer) -> None:
    response = ask(okta, path="/v1/keys", method="GET")

    assert okta.jwks_uri == f"{ISSUER}/v1/keys"
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert response.headers["Cache-Control"] == "max-age=3832304, must-revalidate"


@pytest.mark.parametrize(
    ("origin", "path"), [("http://idp.test", ""), ("http://idp.test", "/as"), ("https://idp.test:8443", "/oauth2/aus1")]
)
@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
@pytest.mark.parametrize("place", ["{origin}{path}/.well-known/{name}", "{origin}/.well-known/{name}{path}"])
def test_metadata_is_the_vendors_and_the_same_at_every_place(
    keys: KeySource, origin: str, path: str, name: str, place: str
) -> None:
    options = Options(scopes=("ingr.api", "B1C2"), client_auth=("client_secret_post",))
    base_url = origin + path
    server = AuthorizationServer(options, base_url=base_url, keys=keys)

    response = Client(server).get(place.format(origin=origin, path=path, name=name))

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert list(members(response).items()) == [
        ("issuer", base_url),
        ("authorization_endpoint", f"{base_url}/v1/authorize"),
        ("registration_endpoint", f"{base_url}/v1/clients"),
        ("end_session_endpoint", f"{base_url}/v1/logout"),
        ("device_authorization_endpoint", f"{base_url}/v1/device/authorize"),
        ("pushed_authorization_request_endpoint", f"{base_url}/v1/par"),
        ("token_endpoint", f"{base_url}/v1/token"),
        ("jwks_uri", f"{base_url}/v1/keys"),
        ("introspection_endpoint", f"{base_url}/v1/introspect"),
        ("revocation_endpoint", f"{base_url}/v1/revoke"),
        ("response_types_supported", ["code"]),
        ("grant_types_supported", ["client_credentials"]),
        ("scopes_supported", ["ingr.api", "B1C2"]),
        ("token_endpoint_auth_methods_supported", ["client_secret_post"]),
        ("introspection_endpoint_auth_methods_supported", ["client_secret_post"]),
        ("revocation_endpoint_auth_methods_supported", ["client_secret_post"]),
        ("response_modes_supported", ["query", "fragment", "form_post"]),
        ("subject_types_supported", ["public"]),
        ("claims_supported", ["ver", "jti", "iss", "aud", "iat", "exp", "cid", "uid", "scp", "sub"]),
        ("code_challenge_methods_supported", ["S256"]),
        ("request_parameter_supported", True),
        ("request_object_signing_alg_values_supported", ["RS256"]),
    ]


@pytest.mark.parametrize("base_url", ["http://idp.test/as", "http://idp.test/as/", "http://idp.test", "http://[::1]:1"])
def test_issuer_is_one_in_the_metadata_the_token_and_the_server(keys: KeySource, base_url: str) -> None:
    server = AuthorizationServer(base_url=base_url, keys=keys)
    server.register()
    metadata = members(Client(server).get(f"{server.issuer}/.well-known/oauth-authorization-server"))

    claims = verified(server, server.mint())

    assert metadata["issuer"] == claims["iss"] == server.issuer == base_url.rstrip("/")
    assert (metadata["token_endpoint"], metadata["jwks_uri"]) == (server.token_url, server.jwks_uri)


def test_claims_of_a_token_are_those_that_the_metadata_names_but_for_a_users(okta: AuthorizationServer) -> None:
    metadata = members(ask(okta, path="/.well-known/openid-configuration", method="GET"))

    assert list(verified(okta, okta.mint())) == [name for name in metadata["claims_supported"] if name != "uid"]
