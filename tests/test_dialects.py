"""The dialects beside Okta's and RFC 6749's: what each answers, the tokens, the documents, and one of a user's own."""

import dataclasses
import json
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Dialect, ErrorAnswer, Listener, OptionError, Options, Reason
from fake_server.dialects import DIALECTS
from fake_server.key_source import KeySource

NOON = 1772366400
BASE_URL = "http://idp.test/as"
AUDIENCE = "8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915"
TENANT = "6f1c2d84-9b3e-4a57-8d20-c5e7f01a9b36"
PRINCIPAL = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{TENANT}/smart-client"))
BASIC = ("smart-client", "smart-secret")
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Which members an error has
CODE = ["error"]
OAUTH = ["error", "error_description"]
MESSAGE = ["ErrorMessage"]
OKTA = ["errorCode", "errorSummary", "errorLink", "errorId", "errorCauses"]
AADSTS = [*OAUTH, "error_codes", "timestamp", "trace_id", "correlation_id"]
AADSTS_URI = [*AADSTS, "error_uri"]


@pytest.fixture
def speak(keys: KeySource) -> Callable[..., AuthorizationServer]:
    """Make a server of a dialect with a client for every refusal, whose clock stands at noon."""

    def make(dialect: str | Dialect, **options: Any) -> AuthorizationServer:
        scopes = options.pop("scopes", ("ingr.api", "ingr.admin"))
        server = AuthorizationServer(Options(dialect=dialect, scopes=scopes, **options), base_url=BASE_URL, keys=keys)
        server.clock.freeze()
        server.clock.move_to(NOON)
        server.register(*BASIC, scopes="ingr.api")
        server.register("both", "secret", scopes=scopes)
        server.register("disabled", "secret").disable()
        server.register("no-grants", "secret", grant_types=())
        server.register("no-scopes", "secret", scopes=())
        return server

    return make


def ask(
    server: AuthorizationServer, *, url: str | None = None, form: dict[str, Any] | None = None, **request: Any
) -> TestResponse:
    """Send a token request that is right but for the changes; a parameter that is None is left out."""
    right = {"grant_type": "client_credentials", "scope": server.credentials_of().scope}
    data = {name: value for name, value in (right | (form or {})).items() if value is not None}
    return Client(server).open(url or server.token_url, **{"method": "POST", "data": data, "auth": BASIC} | request)


def members(response: TestResponse) -> dict[str, Any]:
    """Return the members of a JSON object, in the order in which they came."""
    answer = json.loads(response.data)
    assert isinstance(answer, dict)
    return answer


def authorized_by(value: str) -> dict[str, Any]:
    return {"auth": None, "headers": {"Authorization": value}}


# Refusals

CASES: dict[str, dict[str, Any]] = {
    "get": {"method": "GET"},
    "no media type": {"data": b"grant_type=client_credentials"},
    "json": {"data": None, "json": {"grant_type": "client_credentials"}},
    "not utf-8": {"data": b"\xff", "content_type": "application/x-www-form-urlencoded"},
    "scope twice": {"form": {"scope": ["ingr.api", "ingr.api"]}},
    "grant_type twice": {"form": {"grant_type": ["client_credentials", "client_credentials"]}},
    "no credentials": {"auth": None},
    "no secret": {"auth": None, "form": {"client_id": "smart-client"}},
    "in the query": {"query_string": {"client_id": "smart-client"}},
    "two secrets": {"form": {"client_secret": "smart-secret"}},
    "other scheme": authorized_by("Bearer abc"),
    "no base64": authorized_by("Basic !"),
    "no colon": authorized_by("Basic YWJj"),
    "other method": {"auth": None, "form": {"client_id": "smart-client", "client_secret": "smart-secret"}},
    "unknown client": {"auth": ("stranger", "smart-secret")},
    "wrong secret": {"auth": ("smart-client", "wrong")},
    "disabled": {"auth": ("disabled", "secret")},
    "no jwt": {"auth": None, "form": {"client_assertion_type": JWT_BEARER, "client_assertion": "abc"}},
    "assertion type": {"auth": None, "form": {"client_assertion_type": "other", "client_assertion": "abc"}},
    "no grant_type": {"form": {"grant_type": None}},
    "other grant_type": {"form": {"grant_type": "password"}},
    "no grant": {"auth": ("no-grants", "secret")},
    "no scope": {"form": {"scope": None}},
    "no scope to give": {"form": {"scope": None}, "auth": ("no-scopes", "secret")},
    "malformed scope": {"form": {"scope": " ingr.api"}},
    "unknown scope": {"form": {"scope": "INGR.API"}},
    "openid": {"form": {"scope": "openid"}},
    "other's scope": {"form": {"scope": "ingr.admin"}},
    "two resources": {"form": {"scope": f"{AUDIENCE}/.default other/.default"}},
    "other resource": {"form": {"scope": "other/.default"}},
    "other target": {"form": {"resource": "https://other.test"}},
    "target twice": {"form": {"resource": [AUDIENCE, AUDIENCE]}},
}
UNREADABLE = ("other scheme", "no base64", "no colon")
WRONG_CLIENT = ("no secret", "other method", "unknown client", "wrong secret", "disabled", "no jwt")
WRONG_SCOPE = ("scope twice", "malformed scope", "unknown scope", "openid", "other's scope", "no scope to give")
WRONG_GRANT = ("no grant_type", "other grant_type", "grant_type twice")

# Facts: sections 3.2 and 4; what is not on record is as RFC 6749 has it, with its two members.
REFUSALS: dict[str, list[tuple[int, str | None, list[str], tuple[str, ...]]]] = {
    "sam": [
        (405, "invalid_request", OAUTH, ("get",)),
        (415, None, MESSAGE, ("no media type", "json")),
        (400, "invalid_client", CODE, ("no credentials", *UNREADABLE, *WRONG_CLIENT)),
        (400, "unsupported_grant_type", CODE, WRONG_GRANT),
        (400, "unauthorized_client", CODE, ("no grant",)),
        (400, "invalid_scope", CODE, ("no scope", *WRONG_SCOPE)),
        (400, "invalid_request", OAUTH, ("not utf-8", "in the query", "assertion type")),
    ],
    "duende": [
        (400, "invalid_request", CODE, ("get", "no media type", "json", "not utf-8", "no credentials", *UNREADABLE)),
        (400, "invalid_client", CODE, WRONG_CLIENT),
        (400, "unsupported_grant_type", CODE, WRONG_GRANT),
        (400, "unauthorized_client", CODE, ("no grant",)),
        (400, "invalid_scope", CODE, WRONG_SCOPE),
        (400, "invalid_target", CODE, ("other target", "target twice")),
        (400, "invalid_request", OAUTH, ("in the query", "assertion type")),
    ],
    "entra": [
        (400, "invalid_request", AADSTS_URI, ("no media type", "json", "no credentials", "no grant_type", "no scope")),
        (400, "unauthorized_client", AADSTS_URI, ("unknown client",)),
        (401, "invalid_client", AADSTS, ("no secret",)),
        (401, "invalid_client", AADSTS_URI, ("wrong secret",)),
        (400, "unsupported_grant_type", AADSTS, ("other grant_type",)),
        (400, "invalid_scope", AADSTS, ("malformed scope", "unknown scope", "openid", "two resources")),
        (400, "invalid_resource", AADSTS_URI, ("other resource",)),
        (405, "invalid_request", OAUTH, ("get",)),
        (401, "invalid_client", OAUTH, (*UNREADABLE, "other method", "disabled", "no jwt")),
        (400, "invalid_request", OAUTH, ("not utf-8", "scope twice", "in the query", "two secrets", "assertion type")),
        (400, "unauthorized_client", OAUTH, ("no grant",)),
    ],
    "hexagon": [
        (405, "E0000022", OKTA, ("get",)),
        (400, "E0000021", OKTA, ("no media type", "json")),
        (401, "invalid_client", OKTA, ("unknown client",)),
        (401, "invalid_client", OAUTH, ("no credentials", "wrong secret", *UNREADABLE)),
        (401, "invalid_request", OAUTH, ("two secrets",)),
        (400, "invalid_scope", OAUTH, ("no scope", "unknown scope", "openid")),
        (400, "access_denied", OAUTH, ("other's scope",)),
    ],
}
ERROR_HEADERS = {
    "sam": ("application/json; charset=utf-8", None, None),
    "duende": ("application/json; charset=UTF-8", "no-store, no-cache, max-age=0", "no-cache"),
    "entra": ("application/json; charset=utf-8", "no-store, no-cache", "no-cache"),
    "hexagon": ("application/json;charset=UTF-8", "no-cache, no-store", "no-cache"),
}
ROWS = [
    pytest.param(dialect, case, status, error, names, id=f"{dialect}-{case}")
    for dialect, answers in REFUSALS.items()
    for status, error, names, cases in answers
    for case in cases
]


@pytest.mark.parametrize(("dialect", "case", "status", "error", "names"), ROWS)
def test_refusal_has_the_vendors_status_error_members_and_headers(
    speak: Callable[..., AuthorizationServer], dialect: str, case: str, status: int, error: str | None, names: list[str]
) -> None:
    server = speak(dialect, client_auth=("client_secret_basic",))

    response = ask(server, **CASES[case])

    answer = members(response)
    assert (response.status_code, list(answer)) == (status, names)
    assert answer.get("error", answer.get("errorCode")) == error
    assert (server.journal[-1].status, server.journal[-1].error) == (status, error)
    headers = ("Content-Type", "Cache-Control", "Pragma")
    assert tuple(response.headers.get(name) for name in headers) == ERROR_HEADERS[dialect]
    assert ("WWW-Authenticate" in response.headers) == (dialect == "hexagon" and status == 401)


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("json", 900144),
        ("no credentials", 900144),
        ("no grant_type", 900144),
        ("no scope", 900144),
        ("no secret", 7000218),
        ("unknown client", 700016),
        ("wrong secret", 7000215),
        ("other grant_type", 70003),
        ("malformed scope", 70011),
        ("unknown scope", 1002012),
        ("two resources", 700022),
        ("other resource", 500011),
    ],
)
def test_entra_frames_the_description_with_its_number_ids_and_time(
    speak: Callable[..., AuthorizationServer], case: str, code: int
) -> None:
    answer = members(ask(speak("entra"), **CASES[case]))

    first, *frame = answer["error_description"].split("\r\n")
    assert first.startswith(f"AADSTS{code}: ")
    assert frame == [
        f"Trace ID: {uuid.UUID(answer['trace_id'])}",
        f"Correlation ID: {uuid.UUID(answer['correlation_id'])}",
        "Timestamp: 2026-03-01 12:00:00Z",
    ]
    assert answer["trace_id"] != answer["correlation_id"]
    assert (answer["error_codes"], answer["timestamp"]) == ([code], "2026-03-01 12:00:00Z")
    assert answer.get("error_uri") in (None, f"https://login.microsoftonline.com/error?code={code}")


@pytest.mark.parametrize("dialect", ["sam", "duende"])
def test_secret_in_the_header_wins_over_the_one_in_the_body(
    speak: Callable[..., AuthorizationServer], dialect: str
) -> None:
    server = speak(dialect)
    body = {"client_id": "both", "client_secret": "wrong"}

    response = ask(server, form=body)

    assert (response.status_code, server.journal[-1].client_id) == (200, "smart-client")


# Success

ANSWERS: dict[str, dict[str, Any]] = {
    "sam": {"access_token": "…", "expires_in": 3600, "token_type": "Bearer"},
    "duende": {"access_token": "…", "expires_in": 3600, "token_type": "Bearer", "scope": "ingr.api"},
    "entra": {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "…"},
    "hexagon": {"token_type": "Bearer", "expires_in": 3600, "access_token": "…", "scope": "ingr.api"},
}
CACHE_CONTROL = {
    "sam": "no-store, no-cache, private, max-age=0",
    "duende": "no-store, no-cache, max-age=0",
    "entra": "no-store, no-cache",
    "hexagon": "no-store",
}


@pytest.mark.parametrize("dialect", ANSWERS)
def test_token_response_has_the_vendors_members_and_headers(
    speak: Callable[..., AuthorizationServer], dialect: str
) -> None:
    response = ask(speak(dialect))

    answer = members(response)
    assert response.status_code == 200
    assert list((answer | {"access_token": "…"}).items()) == list(ANSWERS[dialect].items())
    assert response.headers["Content-Type"] == ERROR_HEADERS[dialect][0]
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == (CACHE_CONTROL[dialect], "no-cache")


def test_entra_sends_its_security_headers(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak("entra")

    for response in (ask(server), ask(server, **CASES["wrong secret"])):
        assert (response.headers["Expires"], response.headers["X-Content-Type-Options"]) == ("-1", "nosniff")
        assert response.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def verified(server: AuthorizationServer, token: str) -> dict[str, Any]:
    """Return the claims of a token, after PyJWT has verified it with the published keys, but for the time."""
    published = jwt.PyJWKSet.from_dict(members(Client(server).get(server.jwks_uri)))
    claims: dict[str, Any] = jwt.decode(
        token,
        published[jwt.get_unverified_header(token)["kid"]],
        ["RS256"],
        audience=f"{server.issuer}/resources" if server.options.dialect == "sam" else AUDIENCE,
        issuer=server.issuer,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    return claims


@pytest.mark.parametrize(
    ("dialect", "names"),
    [
        ("sam", ["typ", "alg", "x5t", "kid"]),
        ("duende", ["alg", "kid", "typ"]),
        ("entra", ["typ", "alg", "kid"]),
        ("hexagon", ["kid", "alg"]),
    ],
)
def test_token_has_the_vendors_header(
    speak: Callable[..., AuthorizationServer], dialect: str, names: list[str]
) -> None:
    server = speak(dialect)
    (key,) = members(Client(server).get(server.jwks_uri))["keys"]

    header = jwt.get_unverified_header(members(ask(server))["access_token"])

    typ = "at+jwt" if dialect == "duende" else "JWT"
    known = {"alg": "RS256", "kid": key["kid"], "x5t": key["kid"], "typ": typ}
    assert list(header.items()) == [(name, known[name]) for name in names]


CLAIMS: dict[str, dict[str, Any]] = {
    "sam": {
        "iss": f"{BASE_URL}/sam/oauth",
        "aud": f"{BASE_URL}/sam/oauth/resources",
        "exp": NOON + 3600,
        "nbf": NOON,
        "client_id": "smart-client",
        "scope": "ingr.api",
        "jti": r"[0-9A-F]{32}",
    },
    "duende": {
        "iss": BASE_URL,
        "nbf": NOON,
        "iat": NOON,
        "exp": NOON + 3600,
        "aud": AUDIENCE,
        "scope": ["ingr.api"],
        "client_id": "smart-client",
        "jti": r"[0-9A-F]{32}",
    },
    "entra": {
        "aud": AUDIENCE,
        "iss": f"{BASE_URL}/{TENANT}/v2.0",
        "iat": NOON,
        "nbf": NOON,
        "exp": NOON + 3600,
        "aio": r"[\w-]{40}",
        "azp": "smart-client",
        "azpacr": "1",
        "idp": f"{BASE_URL}/{TENANT}/v2.0",
        "oid": PRINCIPAL,
        "rh": r"1\.[\w-]{40}\.",
        "roles": ["ingr.api"],
        "sub": PRINCIPAL,
        "tid": TENANT,
        "uti": r"[\w-]{22}",
        "ver": "2.0",
    },
    "hexagon": {
        "ver": 1,
        "jti": r"AT\.[\w-]{43}",
        "iss": BASE_URL,
        "aud": AUDIENCE,
        "iat": NOON,
        "exp": NOON + 3600,
        "cid": "smart-client",
        "scp": ["ingr.api"],
        "sub": "smart-client",
        "ingr.session_id": "20260301T120000000Z",
    },
}


@pytest.mark.parametrize("dialect", CLAIMS)
def test_token_has_the_vendors_claims_in_order(speak: Callable[..., AuthorizationServer], dialect: str) -> None:
    server = speak(dialect)

    claims, other = (verified(server, members(ask(server))["access_token"]) for _ in range(2))

    for name in {"jti", "aio", "rh", "uti"} & set(claims):  # of each token alone
        assert re.fullmatch(CLAIMS[dialect][name], claims[name], re.ASCII)
        assert claims[name] != other[name]
        claims[name] = CLAIMS[dialect][name]
    assert list(claims.items()) == list(CLAIMS[dialect].items())


@pytest.mark.parametrize(
    ("dialect", "scopes"),
    [
        ("sam", ["ingr.admin", "ingr.api"]),
        ("duende", ["ingr.admin", "ingr.api"]),
        ("entra", ["ingr.api", "ingr.admin"]),  # as the application's roles are, whatever is asked for
        ("hexagon", ["ingr.admin", "ingr.api"]),
    ],
)
def test_two_scopes_are_a_list_in_the_token(
    speak: Callable[..., AuthorizationServer], dialect: str, scopes: list[str]
) -> None:
    server = speak(dialect)
    scope = server.credentials_of("both").scope if dialect == "entra" else "ingr.admin ingr.api"

    claims = verified(server, members(ask(server, auth=("both", "secret"), form={"scope": scope}))["access_token"])

    assert claims[DIALECTS[dialect].scope_claim] == scopes


def test_entra_leaves_roles_out_where_there_are_none_and_names_a_signed_assertion(
    speak: Callable[..., AuthorizationServer],
) -> None:
    server = speak("entra")
    # RFC 8037, appendix A.2
    public_key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    server.register("signer", public_key=public_key)

    assert "roles" not in verified(server, server.mint("no-scopes"))
    assert verified(server, server.mint("signer"))["azpacr"] == "2"
    assert verified(server, server.mint("signer"))["sub"] != PRINCIPAL


@pytest.mark.parametrize(
    ("dialect", "scope", "granted"),
    [
        ("sam", AUDIENCE, AUDIENCE),
        ("hexagon", AUDIENCE, [AUDIENCE]),
        ("hexagon", f"{AUDIENCE} ingr.api", [AUDIENCE, "ingr.api"]),
        ("entra", f"api://{AUDIENCE}/.default", ["ingr.api"]),
    ],
)
def test_audience_is_a_scope_that_opens_the_api(
    speak: Callable[..., AuthorizationServer], dialect: str, scope: str, granted: object
) -> None:
    server = speak(dialect)

    token = members(ask(server, form={"scope": scope}))["access_token"]

    assert verified(server, token)[DIALECTS[dialect].scope_claim] == granted
    answer = Client(server).get(server.api.url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


# What tells the vendors apart, a row a difference


def answer_to(case: str) -> Callable[[AuthorizationServer], tuple[Any, ...]]:
    """Observe the status and error that a case is answered with, and Entra's number or the vendor's own member."""

    def observe(server: AuthorizationServer) -> tuple[Any, ...]:
        response = ask(server, **CASES[case])
        answer = members(response)
        own = ["errorCode"] if "errorCode" in answer else answer.get("error_codes", [])
        return response.status_code, answer.get("error", answer.get("errorCode")), *own

    return observe


def claims_of(server: AuthorizationServer) -> dict[str, Any]:
    return verified(server, members(ask(server))["access_token"])


def claims_equal(*values: Any) -> Callable[[AuthorizationServer], dict[str, Any]]:
    return lambda server: {name: value for name, value in claims_of(server).items() if value in values}


REFUSED_CLIENT = (401, "invalid_client")
DIFFERENCES: dict[str, tuple[Callable[[AuthorizationServer], Any], dict[str, Any]]] = {
    "bad secret": (
        answer_to("wrong secret"),
        {
            "okta": REFUSED_CLIENT,
            "sam": (400, "invalid_client"),
            "duende": (400, "invalid_client"),
            "entra": (401, "invalid_client", 7000215),
            "rfc6749": REFUSED_CLIENT,
        },
    ),
    "unknown client": (
        answer_to("unknown client"),
        {
            "okta": (401, "invalid_client", "errorCode"),
            "sam": (400, "invalid_client"),
            "duende": (400, "invalid_client"),
            "entra": (400, "unauthorized_client", 700016),
            "rfc6749": REFUSED_CLIENT,
        },
    ),
    "missing grant_type": (
        answer_to("no grant_type"),
        {
            "okta": (400, "invalid_request"),
            "sam": (400, "unsupported_grant_type"),
            "duende": (400, "unsupported_grant_type"),
            "entra": (400, "invalid_request", 900144),
            "rfc6749": (400, "invalid_request"),
        },
    ),
    "missing scope": (
        answer_to("no scope"),
        {
            "okta": (400, "invalid_scope"),
            "sam": (400, "invalid_scope"),
            "duende": (200, None),
            "entra": (400, "invalid_request", 900144),
            "rfc6749": (400, "invalid_scope"),
        },
    ),
    "wrong media type": (
        answer_to("json"),
        {
            "okta": (400, "E0000021", "errorCode"),
            "sam": (415, None),
            "duende": (400, "invalid_request"),
            "entra": (400, "invalid_request", 900144),
            "rfc6749": (400, "invalid_request"),
        },
    ),
    "scope in the answer": (
        lambda server: members(ask(server)).get("scope"),
        {"okta": "ingr.api", "sam": None, "duende": "ingr.api", "entra": None, "rfc6749": "ingr.api"},
    ),
    "scopes in the token": (
        claims_equal("ingr.api", ["ingr.api"]),
        {
            "okta": {"scp": ["ingr.api"]},
            "sam": {"scope": "ingr.api"},
            "duende": {"scope": ["ingr.api"]},
            "entra": {"roles": ["ingr.api"]},
            "rfc6749": {"scope": "ingr.api"},
        },
    ),
    "client in the token": (
        lambda server: list(claims_equal("smart-client")(server)),
        {
            "okta": ["cid", "sub"],
            "sam": ["client_id"],
            "duende": ["client_id"],
            "entra": ["azp"],
            "rfc6749": ["sub", "client_id"],
        },
    ),
    "typ": (
        lambda server: jwt.get_unverified_header(members(ask(server))["access_token"]).get("typ"),
        {"okta": None, "sam": "JWT", "duende": "at+jwt", "entra": "JWT", "rfc6749": "at+jwt"},
    ),
    "expires_in": (
        lambda server: members(ask(server))["expires_in"],
        {"okta": 3600, "sam": 3600, "duende": 3600, "entra": 3599, "rfc6749": 3600},
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("topic", DIFFERENCES)
def test_vendors_differ(speak: Callable[..., AuthorizationServer], topic: str, dialect: str) -> None:
    observe, expected = DIFFERENCES[topic]

    # Hexagon's is an Okta server.
    assert observe(speak(dialect)) == expected[dialect.replace("hexagon", "okta")]


def test_request_without_scope_is_granted_all_that_the_client_may_have(
    speak: Callable[..., AuthorizationServer],
) -> None:
    server = speak("duende")

    answer = members(ask(server, auth=("both", "secret"), form={"scope": None}))

    assert answer["scope"] == "ingr.api ingr.admin"


# Paths and documents

PATHS: dict[str, tuple[str, str, str, str | None, str | None]] = {
    # issuer, token, keys, introspection, revocation, below the base URL
    "okta": ("", "/v1/token", "/v1/keys", "/v1/introspect", "/v1/revoke"),
    "hexagon": ("", "/v1/token", "/v1/keys", "/v1/introspect", "/v1/revoke"),
    "rfc6749": ("", "/token", "/jwks", "/introspect", "/revoke"),
    "sam": (
        "/sam/oauth",
        "/sam/oauth/connect/token",
        "/sam/oauth/.well-known/jwks",
        "/sam/oauth/connect/introspect",
        "/sam/oauth/connect/revocation",
    ),
    "duende": (
        "",
        "/connect/token",
        "/.well-known/openid-configuration/jwks",
        "/connect/introspect",
        "/connect/revocation",
    ),
    "entra": (
        f"/{TENANT}/v2.0",
        f"/{TENANT}/oauth2/v2.0/token",
        f"/{TENANT}/discovery/v2.0/keys",
        None,
        None,
    ),
}
SERVED = ("token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint")


@pytest.mark.parametrize("base_url", ["http://idp.test", "http://idp.test/as", "https://idp.test:8443/oauth2/aus1"])
@pytest.mark.parametrize("dialect", PATHS)
def test_metadata_has_the_vendors_urls_at_every_well_known_place(keys: KeySource, dialect: str, base_url: str) -> None:
    server = AuthorizationServer(Options(dialect=dialect), base_url=base_url, keys=keys)
    http, path = Client(server), urlsplit(server.issuer).path

    documents = [
        members(http.get(place))
        for name in ("oauth-authorization-server", "openid-configuration")
        for place in (f"{path}/.well-known/{name}", f"/.well-known/{name}{path}")
    ]

    issuer, *served = (None if below is None else base_url + below for below in PATHS[dialect])
    assert documents[1:] == documents[:1] * 3
    assert documents[0]["issuer"] == server.issuer == issuer
    assert [documents[0].get(name) for name in SERVED] == served
    own = (server.token_url, server.jwks_uri, server.introspection_url, server.revocation_url)
    assert own == tuple(served)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", ["", "/as/one"])
def test_metadata_is_found_behind_a_socket(dialect: str, path: str) -> None:
    with Listener() as listener:
        server = listener.serve(Options(dialect=dialect), path=path)
        origin = listener.url
        below = server.issuer.removeprefix(origin)

        found = [
            requests.get(origin + place, timeout=10).json()
            for place in (
                f"{below}/.well-known/openid-configuration",
                f"/.well-known/openid-configuration{below}",
                f"/.well-known/oauth-authorization-server{below}",
            )
        ]

    assert [document["issuer"] for document in found] == [server.issuer] * 3
    assert all(document["authorization_endpoint"].startswith(f"{origin}/") for document in found)


ENTRA_URL = f"{BASE_URL}/{TENANT}"
DOCUMENTS: dict[str, dict[str, Any]] = {
    "sam": {
        "authorization_endpoint": f"{BASE_URL}/sam/oauth/connect/authorize",
        "userinfo_endpoint": f"{BASE_URL}/sam/oauth/connect/userinfo",
        "end_session_endpoint": f"{BASE_URL}/sam/oauth/connect/endsession",
        "check_session_iframe": f"{BASE_URL}/sam/oauth/connect/checksession",
        "scopes_supported": ["ingr.api", "ingr.admin", AUDIENCE],
        "response_modes_supported": ["form_post", "query", "fragment"],
        "subject_types_supported": ["public"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    },
    "duende": {
        "authorization_endpoint": f"{BASE_URL}/connect/authorize",
        "userinfo_endpoint": f"{BASE_URL}/connect/userinfo",
        "end_session_endpoint": f"{BASE_URL}/connect/endsession",
        "check_session_iframe": f"{BASE_URL}/connect/checksession",
        "device_authorization_endpoint": f"{BASE_URL}/connect/deviceauthorization",
        "backchannel_authentication_endpoint": f"{BASE_URL}/connect/ciba",
        "pushed_authorization_request_endpoint": f"{BASE_URL}/connect/par",
        "scopes_supported": ["ingr.api", "ingr.admin"],
        "response_modes_supported": ["form_post", "query", "fragment"],
        "subject_types_supported": ["public"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "request_parameter_supported": True,
    },
    "entra": {
        "authorization_endpoint": f"{ENTRA_URL}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{ENTRA_URL}/oauth2/v2.0/devicecode",
        "end_session_endpoint": f"{ENTRA_URL}/oauth2/v2.0/logout",
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "request_uri_parameter_supported": False,
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
    },
    "okta": {
        "authorization_endpoint": f"{BASE_URL}/v1/authorize",
        "registration_endpoint": f"{BASE_URL}/v1/clients",
        "end_session_endpoint": f"{BASE_URL}/v1/logout",
        "device_authorization_endpoint": f"{BASE_URL}/v1/device/authorize",
        "pushed_authorization_request_endpoint": f"{BASE_URL}/v1/par",
        "scopes_supported": ["ingr.api", "ingr.admin"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["public"],
        "claims_supported": ["ver", "jti", "iss", "aud", "iat", "exp", "cid", "uid", "scp", "sub"],
        "code_challenge_methods_supported": ["S256"],
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": ["RS256"],
    },
}
DOCUMENTS["hexagon"] = DOCUMENTS["okta"] | {"scopes_supported": ["ingr.api", "ingr.admin", AUDIENCE]}


@pytest.mark.parametrize("dialect", DOCUMENTS)
def test_metadata_lists_what_the_vendor_lists(speak: Callable[..., AuthorizationServer], dialect: str) -> None:
    server = speak(dialect)

    document = members(Client(server).get(f"{server.issuer}/.well-known/openid-configuration"))

    methods = ["client_secret_basic", "client_secret_post"]
    siblings = [] if dialect == "entra" else ["introspection", "revocation"]
    common = {
        "issuer": server.issuer,
        **{name: document[name] for name in SERVED if name in document},
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["code"],
        **{f"{name}_endpoint_auth_methods_supported": methods for name in ["token", *siblings]},
    }
    assert document == common | DOCUMENTS[dialect]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_endpoint_that_the_fake_does_not_have_says_so(speak: Callable[..., AuthorizationServer], dialect: str) -> None:
    server = speak(dialect)
    document = members(Client(server).get(f"{server.issuer}/.well-known/openid-configuration"))
    unserved = [url for name, url in document.items() if name.endswith(("_endpoint", "_iframe")) and name not in SERVED]

    answers = [Client(server).open(url, method=method) for url in unserved for method in ("GET", "POST")]

    assert len(unserved) == len(DIALECTS[dialect].unserved) >= 1
    assert {answer.status_code for answer in answers} == {501}
    assert {members(answer)["error"] for answer in answers} == {"not_implemented"}
    assert members(answers[0])["error_description"] == "This fake server does not have the endpoint."
    assert server.journal[-1].reason is Reason.NOT_SERVED


@pytest.mark.parametrize("dialect", DIALECTS)
def test_token_path_of_the_fake_is_there_besides_the_vendors(
    speak: Callable[..., AuthorizationServer], dialect: str
) -> None:
    server = speak(dialect)

    answers = [ask(server, url=url) for url in (f"{BASE_URL}/v1/token", server.token_url)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [exchange.endpoint for exchange in server.journal] == ["token", "token"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_is_null(speak: Callable[..., AuthorizationServer], dialect: str) -> None:
    server = speak(dialect, claims={"cid": None, "client_id": None, "azp": None, "jti": None})
    http, token = Client(server), members(ask(server))["access_token"]
    places = (f"{server.issuer}/.well-known/openid-configuration", server.jwks_uri, f"{BASE_URL}/nowhere")

    answers = [http.get(place) for place in places] + [ask(server, **case) for case in CASES.values()]
    if server.introspection_url is not None:
        answers.append(http.post(server.introspection_url, data={"token": token}, auth=BASIC))
        assert members(answers[-1])["active"] is True

    assert [answer.text for answer in answers if "null" in answer.text] == []


# Options


@pytest.mark.parametrize("dialect", ["okta", "hexagon", "sam", "entra"])
@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "HS256"])
def test_algorithm_that_the_vendor_does_not_sign_with_is_refused(dialect: str, alg: str) -> None:
    with pytest.raises(
        OptionError, match=f"^signing_alg='{alg}' cannot be used: the dialect {dialect} signs with RS256"
    ):
        Options(dialect=dialect, signing_alg=alg)


def test_default_scopes_are_granted_by_all_but_entra(speak: Callable[..., AuthorizationServer]) -> None:
    statuses = {
        dialect: ask(speak(dialect, default_scopes=("ingr.api",)), **CASES["no scope"]).status_code
        for dialect in DIALECTS
    }

    assert statuses == dict.fromkeys(DIALECTS, 200) | {"entra": 400}


# A dialect of a user's own


def test_dialect_of_ones_own_answers_as_the_rfcs_where_it_states_nothing(
    speak: Callable[..., AuthorizationServer],
) -> None:
    server = speak(Dialect(name="mine", token_path="/oauth/token"))

    assert server.token_url == f"{BASE_URL}/oauth/token"
    assert list(members(ask(server))) == ["access_token", "token_type", "expires_in", "scope"]
    assert ask(server, auth=("smart-client", "wrong")).status_code == 401


def test_dialect_of_ones_own_may_be_a_vendors_with_other_errors(speak: Callable[..., AuthorizationServer]) -> None:
    answer = ErrorAnswer(status=403, error="nope", description="", body=lambda answer, _now: {"code": answer.error})
    server = speak(dataclasses.replace(DIALECTS["okta"], name="mine", errors={Reason.WRONG_SECRET: answer}))

    response = ask(server, auth=("smart-client", "wrong"))

    assert (response.status_code, response.json) == (403, {"code": "nope"})
    assert list(members(ask(server))) == ["token_type", "expires_in", "access_token", "scope"]
    # What it does not state is RFC 6749's.
    assert list(members(ask(server, auth=("stranger", "x")))) == OAUTH


@pytest.mark.parametrize("dialect", ["sam", "duende"])
@pytest.mark.parametrize("header", ["Bearer x", "Basic ?", "Basic eA=="], ids=["scheme", "base64", "colon"])
def test_identityserver_passes_over_a_header_that_it_cannot_read(
    speak: Callable[..., AuthorizationServer], dialect: str, header: str
) -> None:
    form = {"client_id": "smart-client", "client_secret": "smart-secret"}

    response = ask(speak(dialect), form=form, **authorized_by(header))

    assert response.status_code == 200


def test_method_that_duende_answers_with_400_at_its_token_endpoint_is_a_405_elsewhere(
    speak: Callable[..., AuthorizationServer],
) -> None:
    server = speak("duende")

    assert ask(server, method="GET").status_code == 400
    assert ask(server, url=server.jwks_uri).status_code == 405


@pytest.mark.parametrize(("dialect", "error"), [("duende", "invalid_request"), ("sam", "invalid_scope")])
def test_nul_in_the_scope_makes_duendes_request_malformed(
    speak: Callable[..., AuthorizationServer], dialect: str, error: str
) -> None:
    response = ask(speak(dialect), form={"scope": "\0"})

    assert (response.status_code, members(response)) == (400, {"error": error})


def test_own_dialects_type_of_content_is_said_once(speak: Callable[..., AuthorizationServer]) -> None:
    headers = {"content-type": "text/plain", "Content-Length": "1", "X-Own": "yes"}
    server = speak(Dialect(name="mine", content_type="application/problem+json", error_headers=headers))

    response = ask(server, form={"scope": "unknown"})

    assert response.status_code == 400
    assert response.headers.getlist("Content-Type") == ["application/problem+json"]
    assert response.headers.getlist("Content-Length") == [str(len(response.data))]
    assert response.headers["X-Own"] == "yes"
