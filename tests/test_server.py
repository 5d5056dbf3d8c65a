"""The authorization server as its users see it: clients, tokens, keys, and what it answers beside its endpoints."""

import base64
import dataclasses
from collections.abc import Callable
from typing import Any
from wsgiref.validate import validator

import httpx
import jwt
import pytest
from werkzeug.test import Client, TestResponse

from fake_server import (
    DIALECTS,
    AuthorizationServer,
    Credentials,
    Grant,
    OptionError,
    Options,
    Reason,
    RegisteredClient,
)
from fake_server.key_source import KeySource

NOON = 1772366400
FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials", "scope": "ingr.api"}
SCOPES = Options(scopes=("ingr.api", "B1C2"), token_lifetime=900)

CallApi = Callable[..., TestResponse]
Fetch = Callable[[], TestResponse]


@pytest.fixture
def fetch(server: AuthorizationServer, client: RegisteredClient, http: Client) -> Fetch:
    """Ask for a token with the secret that the client had at first."""
    return lambda: http.post(server.token_url, data=GRANT, auth=("smart-client", "smart-secret"))


def token_of(response: TestResponse) -> str:
    assert response.json is not None
    return str(response.json["access_token"])


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


# Clients


def test_client_registered_without_arguments_has_all_that_the_server_has(keys: KeySource) -> None:
    server = AuthorizationServer(SCOPES, keys=keys)

    client = server.register()

    assert server.clients == {client.client_id: client}
    assert client.scopes == ("ingr.api", "B1C2")
    assert client.token_lifetime == 900
    assert client.grant_types == ("client_credentials",)
    assert client.enabled


def test_default_client_is_another_on_every_server(keys: KeySource) -> None:
    clients = [AuthorizationServer(keys=keys).register() for _ in range(3)]

    assert len({client.client_id for client in clients}) == 3
    assert len({client.client_secret for client in clients}) == 3


@pytest.mark.parametrize("scopes", ["B1C2", ("B1C2",), ["B1C2"]], ids=["text", "tuple", "list"])
def test_client_has_what_it_is_registered_with(keys: KeySource, scopes: Any) -> None:
    server = AuthorizationServer(SCOPES, keys=keys)

    client = server.register("a", "b", scopes=scopes, token_lifetime=60, grant_types=[])

    assert (client.client_id, client.client_secret, client.scopes) == ("a", "b", ("B1C2",))
    assert (client.token_lifetime, client.grant_types) == (60, ())


def test_grant_types_may_be_one_text(server: AuthorizationServer) -> None:
    client = server.register(grant_types="client_credentials refresh_token")

    assert client.grant_types == ("client_credentials", "refresh_token")


def test_grant_type_may_be_a_uri(server: AuthorizationServer) -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"

    assert server.register(grant_types=[device]).grant_types == (device,)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        pytest.param(
            {"client_id": "smart-client"},
            ValueError,
            "a client 'smart-client' is registered already; choose another client_id",
            id="taken",
        ),
        pytest.param(
            {"client_id": ""},
            ValueError,
            "'' cannot be a client_id: it takes a printable text that is not empty",
            id="empty-id",
        ),
        pytest.param(
            {"client_id": "a", "client_secret": ""},
            ValueError,
            "the client_secret of 'a' must not be empty",
            id="empty-secret",
        ),
        pytest.param(
            {"scopes": "ingr.api other"},
            OptionError,
            "['other'] are not scopes of this server, which has ['ingr.api']",
            id="unknown-scope",
        ),
        pytest.param(
            {"grant_types": "passwrd"},
            OptionError,
            "grant_types has 'passwrd', which is neither known nor a URI; did you mean password?",
            id="misspelt-grant-type",
        ),
        pytest.param(
            {"grant_types": 3},
            OptionError,
            "grant_types=3 cannot be used: it takes words, in a sequence or in one text parted by blanks",
            id="no-grant-types",
        ),
        pytest.param(
            {"client_secret": b"S3CRET"},
            ValueError,
            "the client_secret of 'a' is no text, but of the type bytes",
            id="secret-of-octets",
        ),
        pytest.param(
            {"scopes": 1},
            OptionError,
            "scopes=1 cannot be used: it takes words, in a sequence or in one text parted by blanks",
            id="no-scopes",
        ),
        pytest.param(
            {"claims": {"a": b"octets"}},
            OptionError,
            "claims={'a': b'octets'} cannot be used: it takes a mapping of names to JSON values, "
            "or a callable that gets the Grant",
            id="claims",
        ),
        pytest.param(
            {"token_lifetime": 0},
            OptionError,
            "token_lifetime=0 cannot be used: it takes a whole number from 1 to 999999999",
            id="lifetime",
        ),
    ],
)
def test_registering_a_client_that_cannot_be_is_an_error(
    server: AuthorizationServer, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        server.register(**{"client_id": "a", **arguments})

    assert str(raised.value) == message
    assert list(server.clients) == ["smart-client"]


def test_credentials_are_what_a_client_is_configured_with(keys: KeySource) -> None:
    server = AuthorizationServer(SCOPES, base_url="http://idp.test/as", keys=keys)
    first, second = server.register("first", "secret"), server.register("second", "other", scopes="B1C2")

    assert server.credentials_of() == Credentials(
        token_url="http://idp.test/as/v1/token",
        client_id="first",
        client_secret="secret",
        scope="ingr.api B1C2",
        api_url="http://idp.test/as/sc/datalake/v1",
    )
    assert server.credentials_of("first") == server.credentials_of(first) == server.credentials_of()
    assert server.credentials_of("second") == server.credentials_of(second)
    assert server.credentials_of(second).scope == "B1C2"


@pytest.mark.usefixtures("client")
def test_credentials_cannot_be_changed(server: AuthorizationServer) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        server.credentials_of().scope = "other"  # type: ignore[misc]


@pytest.mark.parametrize("ask", [AuthorizationServer.credentials_of, AuthorizationServer.mint])
@pytest.mark.parametrize(
    ("name", "registered", "message"),
    [
        (None, False, "no client is registered; call register() first"),
        ("other", False, "no client 'other' is registered; there are []"),
        ("other", True, "no client 'other' is registered; there are ['smart-client']"),
        ("", True, "no client '' is registered; there are ['smart-client']"),
    ],
)
def test_client_that_is_not_there_is_an_error(
    server: AuthorizationServer, ask: Callable[..., object], name: str | None, registered: bool, message: str
) -> None:
    if registered:
        server.register("smart-client", "smart-secret")

    with pytest.raises(ValueError, match="client") as raised:
        ask(server, name)

    assert str(raised.value) == message


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("ask", [AuthorizationServer.credentials_of, AuthorizationServer.mint])
def test_client_of_another_server_is_an_error(
    server: AuthorizationServer, keys: KeySource, ask: Callable[..., object]
) -> None:
    theirs = AuthorizationServer(keys=keys).register("smart-client", "smart-secret")

    with pytest.raises(ValueError, match="client") as raised:
        ask(server, theirs)

    assert str(raised.value) == (
        "<RegisteredClient 'smart-client', scopes 'ingr.api'> is not registered here; there are ['smart-client']"
    )


def test_rotated_secret_is_the_only_one_that_is_right(
    server: AuthorizationServer, client: RegisteredClient, http: Client, fetch: Fetch
) -> None:
    before = fetch()
    secret = client.rotate_secret()
    after, renewed = fetch(), http.post(server.token_url, data=GRANT, auth=("smart-client", secret))

    assert [response.status_code for response in (before, after, renewed)] == [200, 401, 200]
    assert server.token_requests[1].reason is Reason.WRONG_SECRET
    assert server.credentials_of().client_secret == secret


# Tokens


def test_minted_token_is_like_a_fetched_one(server: AuthorizationServer, fetch: Fetch) -> None:
    fetched, minted = claims_of(token_of(fetch())), claims_of(server.mint())

    assert list(minted) == list(fetched)
    assert minted | {"jti": None} == fetched | {"jti": None}
    assert minted["jti"] != fetched["jti"]


def test_minted_token_is_that_of_the_client_given_or_named_or_the_first(keys: KeySource) -> None:
    server = AuthorizationServer(SCOPES, keys=keys)
    server.register("first")
    second = server.register("second", scopes="B1C2", token_lifetime=60)

    claims = claims_of(server.mint(second))

    assert (claims["cid"], claims["scp"], claims["exp"] - claims["iat"]) == ("second", ["B1C2"], 60)
    assert claims_of(server.mint("second"))["cid"] == "second"
    assert claims_of(server.mint())["cid"] == "first"


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ({"scope": "other  more"}, {"scp": ["other", "more"]}),
        ({"scope": ""}, {"scp": []}),
        ({"lifetime": 60}, {"exp": NOON + 60}),
        ({"lifetime": 0}, {"exp": NOON}),
        ({"lifetime": -60}, {"exp": NOON - 60}),
        ({"lifetime": 1.75}, {"exp": NOON + 1}),
        ({"claims": {"sub": "anna", "ingr.session_id": [1]}}, {"sub": "anna", "ingr.session_id": [1]}),
        ({"lifetime": 60, "claims": {"exp": 7}}, {"exp": 7}),
    ],
    ids=repr,
)
def test_minted_token_has_what_it_is_minted_with(
    server: AuthorizationServer, arguments: dict[str, Any], changes: dict[str, Any]
) -> None:
    plain = claims_of(server.mint())

    claims = claims_of(server.mint(**arguments))

    assert claims == plain | changes | {"jti": claims["jti"]}


NO_SECONDS = "is no number of seconds; pass an int, a float or a timedelta"
NO_CLAIMS = "it takes a mapping of names to JSON values, or a callable that gets the Grant"


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"lifetime": "x"}, TypeError, f"'x' {NO_SECONDS}"),
        ({"lifetime": True}, TypeError, f"True {NO_SECONDS}"),
        ({"lifetime": float("nan")}, ValueError, "nan is not finite; a clock moves by a number of seconds"),
        ({"lifetime": float("inf")}, ValueError, "inf is not finite; a clock moves by a number of seconds"),
        ({"scope": ["a"]}, TypeError, "scope=['a'] cannot be used: it takes a text of words parted by blanks"),
        ({"scope": 3}, TypeError, "scope=3 cannot be used: it takes a text of words parted by blanks"),
        ({"claims": "x"}, OptionError, f"claims='x' cannot be used: {NO_CLAIMS}"),
        ({"claims": {"a": b"x"}}, OptionError, f"claims={{'a': b'x'}} cannot be used: {NO_CLAIMS}"),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_token_that_cannot_be_minted_is_an_error_that_says_why(
    server: AuthorizationServer, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        server.mint(**arguments)

    assert str(raised.value) == message


@pytest.mark.parametrize("options", [{"token_lifetime": 60}, "okta", 3, Options], ids=str)
def test_server_takes_options_and_nothing_else(options: Any) -> None:
    with pytest.raises(
        TypeError, match=rf"^options is a {type(options).__name__}; pass Options\(token_lifetime=60\), or "
    ):
        AuthorizationServer(options)


@pytest.mark.parametrize(
    "url", ["", "idp.test", "ftp://idp.test", "http://idp.test/?a=b", "http://idp .test", b"http://a"]
)
def test_base_that_is_no_url_is_an_error(url: Any) -> None:
    with pytest.raises(ValueError, match=f"^base_url={url!r} cannot be used: it takes an http".replace("?", r"\?")):
        AuthorizationServer(base_url=url)


@pytest.mark.usefixtures("client")
def test_claim_of_none_is_left_out(server: AuthorizationServer) -> None:
    claims = {"exp": None, "absent": None}

    assert list(claims_of(server.mint(claims=claims))) == ["ver", "jti", "iss", "aud", "iat", "cid", "scp", "sub"]
    assert claims == {"exp": None, "absent": None}


@pytest.mark.usefixtures("client")
def test_minting_is_no_request(server: AuthorizationServer) -> None:
    server.mint()

    assert len(server.journal) == 0


# Claims of the test's own

CLAIMS: list[Any] = [
    pytest.param({"tenant": 7}, {}, {"tenant": 7}, id="servers"),
    pytest.param({}, {"tenant": 8}, {"tenant": 8}, id="clients"),
    pytest.param({"tenant": 7, "plant": "A"}, {"tenant": 8}, {"tenant": 8, "plant": "A"}, id="client-over-server"),
    pytest.param({"tenant": 7}, {"tenant": None}, {}, id="none-takes-the-servers-away"),
    pytest.param({"sub": "anna"}, {}, {"sub": "anna"}, id="in-place-of-the-dialects"),
    pytest.param(lambda grant: {"tenant": f"of {grant.client_id}"}, {}, {"tenant": "of smart-client"}, id="callable"),
    pytest.param(
        {},
        lambda grant: {"until": grant.expires_at, "for": list(grant.scopes), "by": grant.client_auth},
        {"until": NOON + 3600, "for": ["ingr.api"], "by": "client_secret_basic"},
        id="callable-of-the-client",
    ),
]


@pytest.mark.parametrize(("of_server", "of_client", "added"), CLAIMS)
def test_token_has_the_claims_of_the_options_and_of_its_client(
    keys: KeySource, of_server: Any, of_client: Any, added: dict[str, Any]
) -> None:
    server = AuthorizationServer(Options(claims=of_server), keys=keys)
    server.clock.freeze()
    server.clock.move_to(NOON)
    server.register("smart-client", "smart-secret", claims=of_client)

    response = Client(server).post(server.token_url, data=GRANT, auth=("smart-client", "smart-secret"))

    claims = claims_of(token_of(response))
    expected = {"iss": server.issuer, "cid": "smart-client", "sub": "smart-client"} | added
    assert {name: claims[name] for name in claims if name in {*expected, "tenant"}} == expected


def test_claim_of_none_is_in_no_token_of_the_server(keys: KeySource) -> None:
    server = AuthorizationServer(Options(claims={"ver": None, "scp": None}), keys=keys)
    server.register()

    assert list(claims_of(server.mint())) == ["jti", "iss", "aud", "iat", "exp", "cid", "sub"]
    assert claims_of(server.mint(claims={"ver": 2}))["ver"] == 2


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param(lambda grant: {"tenant": 1 / 0}, id="raises"),
        pytest.param(lambda grant: 7, id="no-mapping"),
        pytest.param(lambda grant: {"tenant": {1, 2}}, id="no-json"),
        pytest.param(lambda: {}, id="no-parameter"),
    ],
)
@pytest.mark.parametrize("place", ["server", "client"])
def test_callable_for_claims_that_fails_is_a_500_and_kept_for_the_test(
    keys: KeySource, claims: Callable[..., Any], place: str
) -> None:
    server = AuthorizationServer(Options(claims=claims if place == "server" else {}), keys=keys)
    server.register("smart-client", "smart-secret", claims=claims if place == "client" else {})

    response = Client(server).post(server.token_url, data=GRANT, auth=("smart-client", "smart-secret"))

    (error,), entry = server.errors, server.token_requests[-1]
    assert (response.status_code, entry.reason, entry.error) == (500, Reason.CLAIMS_FAILED, "server_error")
    assert entry.diagnosis == f"the test's claims raised {type(error).__name__}"
    with pytest.raises(type(error)):
        server.mint()


# How tokens end


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda server, token: server.revoke(token), Reason.REVOKED_TOKEN),
        (lambda server, token: server.expire(token), Reason.EXPIRED_TOKEN),
        (lambda server, token: server.expire_all(), Reason.EXPIRED_TOKEN),
        (lambda server, token: server.clock.advance(3600), Reason.EXPIRED_TOKEN),
        (lambda server, token: server.rotate_keys(publish_old=False), Reason.UNKNOWN_SIGNING_KEY),
    ],
    ids=["revoke", "expire", "expire-all", "time", "rotate-keys"],
)
def test_client_whose_token_ended_fetches_a_good_one(
    server: AuthorizationServer,
    fetch: Fetch,
    call_api: CallApi,
    end: Callable[[AuthorizationServer, str], None],
    reason: Reason,
) -> None:
    token = token_of(fetch())
    assert call_api(token).status_code == 200

    end(server, token)

    assert call_api(token).status_code == 401
    assert server.api_requests[-1].reason is reason
    assert call_api(token_of(fetch())).status_code == 200


def test_disabled_client_neither_fetches_nor_uses_a_token_until_it_is_enabled(
    server: AuthorizationServer, client: RegisteredClient, fetch: Fetch, call_api: CallApi
) -> None:
    token = token_of(fetch())

    client.disable()
    disabled = fetch().status_code, call_api(token).status_code
    client.enable()
    enabled = fetch().status_code, call_api(token).status_code

    assert (disabled, enabled) == ((401, 401), (200, 200))
    assert server.token_requests[1].reason is Reason.DISABLED_CLIENT
    assert server.api_requests[0].reason is Reason.TOKEN_OF_DISABLED_CLIENT


# Paths and methods


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1/token",
        "/as",
        "/as/",
        "/as/v1/token/",
        "/as/v1/Token",
        "/as/v1//token",
        "/as/as/v1/token",
        "/other/v1/token",
        "/.well-known/oauth-authorization-server",
        "/as/.well-known/other",
        "/as/ü",
        "/as/%FF",
    ],
)
def test_unknown_path_is_not_found_in_json(server: AuthorizationServer, http: Client, path: str, method: str) -> None:
    response = http.open("http://idp.test" + path, method=method)

    assert response.status_code == 404
    assert response.mimetype == "application/json"
    assert method == "HEAD" or isinstance(response.json, dict)
    assert "Allow" not in response.headers
    assert server.journal[-1].reason is Reason.NOT_FOUND


def test_unknown_path_is_told_the_token_url(server: AuthorizationServer, http: Client) -> None:
    http.get("http://idp.test/v1/token?client_secret=smart-secret")

    assert server.journal[-1].diagnosis == (
        "'/v1/token' is no path of this server; its token URL is http://idp.test/as/v1/token"
    )


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
READ_ONLY = [
    "/as/v1/keys",
    "/as/.well-known/oauth-authorization-server",
    "/as/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server/as",
    "/.well-known/openid-configuration/as",
]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        *(("/as/v1/token", method, "POST") for method in METHODS if method != "POST"),
        *((path, method, "GET, HEAD") for path in READ_ONLY for method in METHODS if method not in ("GET", "HEAD")),
    ],
)
def test_other_method_is_not_allowed_and_told_which_are(
    server: AuthorizationServer, http: Client, path: str, method: str, allowed: str
) -> None:
    response = http.open(path, method=method, data=GRANT, auth=("smart-client", "smart-secret"))

    assert response.status_code == 405
    assert response.headers.getlist("Allow") == [allowed]
    assert server.journal[-1].reason is Reason.METHOD_NOT_ALLOWED
    assert server.journal[-1].diagnosis == f"{method!r} came; this endpoint takes {allowed} only"


@pytest.mark.parametrize("path", READ_ONLY)
def test_head_has_the_headers_of_get_and_no_body(http: Client, path: str) -> None:
    got, asked = http.get("http://idp.test" + path), http.head("http://idp.test" + path)

    assert (got.status_code, asked.status_code) == (200, 200)
    assert asked.headers == got.headers
    assert (bool(got.data), asked.data) == (True, b"")


# The clock


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/token", "POST", 400),
        ("/v1/token", "GET", 405),
        ("/v1/keys", "GET", 200),
        ("/.well-known/openid-configuration", "GET", 200),
        ("/sc/datalake/v1/Tags", "GET", 401),
        ("/sc/datalake/v1/description", "GET", 200),
        ("/other", "GET", 404),
    ],
)
def test_date_of_every_answer_is_the_servers(
    server: AuthorizationServer, http: Client, path: str, method: str, status: int
) -> None:
    first = http.open(server.issuer + path, method=method)
    server.clock.advance(days=-1, seconds=-0.5)
    second = http.open(server.issuer + path, method=method)

    assert (first.status_code, second.status_code) == (status, status)
    assert first.headers.getlist("Date") == ["Sun, 01 Mar 2026 12:00:00 GMT"]
    assert second.headers.getlist("Date") == ["Sat, 28 Feb 2026 11:59:59 GMT"]


# The WSGI door


@pytest.mark.usefixtures("client")
def test_server_keeps_to_the_rules_of_wsgi(server: AuthorizationServer) -> None:
    http, auth = Client(validator(server)), ("smart-client", "smart-secret")

    fetched = http.post(server.token_url, data=GRANT, auth=auth, buffered=True)
    called = http.get(server.api.url, headers={"Authorization": f"Bearer {token_of(fetched)}"}, buffered=True)
    asked = http.head(server.jwks_uri, buffered=True)
    missed = http.get("/elsewhere", buffered=True)

    assert [it.status_code for it in (fetched, called, asked, missed)] == [200, 200, 200, 404]


# Whatever a client sends is no fault of the server's.
BASIC = {"Authorization": "Basic c21hcnQtY2xpZW50OnNtYXJ0LXNlY3JldA=="}
SURROGATE = b"%ED%A0%80"
ODD_REQUESTS: list[Any] = [
    pytest.param({"query_string": "a=%00&client_id=%00"}, id="nul-in-the-query"),
    pytest.param({"query_string": b"%FF=\xff".decode("latin-1")}, id="query-not-utf-8"),
    pytest.param({"query_string": "&".join(f"p{number}=1" for number in range(10_000))}, id="10000-in-the-query"),
    pytest.param({"data": b"\0" * 1000}, id="nul-body"),
    pytest.param({"data": b"grant_type=client_credentials%00&scope=%00&token=%00"}, id="nul-in-the-values"),
    pytest.param({"data": b"grant_type=" + SURROGATE + b"&token=" + SURROGATE}, id="surrogate-in-the-values"),
    pytest.param({"data": b"\xff\xfe&scope=\xc3"}, id="body-not-utf-8"),
    pytest.param({"data": "&".join(f"p{number}=1" for number in range(10_000))}, id="10000-parameters"),
    pytest.param({"data": "p=1&" * 10_000}, id="one-parameter-10000-times"),
    pytest.param({"data": b"[" * 100_000, "content_type": "application/json"}, id="json-100000-deep"),
    pytest.param({"data": b'{"a":' * 13_000}, id="json-13000-deep-in-a-form"),
    pytest.param({"data": b"%" * 60_000}, id="percent-signs"),
    pytest.param({"data": b"x" * 5_000_000}, id="five-megabytes"),
    pytest.param({"data": b"--b", "content_type": "multipart/form-data; boundary=b"}, id="half-a-part"),
    pytest.param({"content_type": "\xff;\xff=\xfe"}, id="content-type-not-ascii"),
    pytest.param({"headers": {"Authorization": "Basic \xff\xfe"}}, id="basic-not-ascii"),
    pytest.param({"headers": {"Authorization": "Basic AAAAADoA"}}, id="basic-of-nuls"),
    pytest.param({"headers": {"Authorization": "Basic 7aCAOu2ggA=="}}, id="basic-of-surrogates"),
    pytest.param({"headers": {"Authorization": "Basic " + "Ojo6" * 20_000}}, id="basic-of-colons"),
    pytest.param({"headers": {"Authorization": "Bearer \xed\xa0\x80.\0.\xff"}}, id="bearer-of-surrogates"),
    pytest.param({"headers": {"Authorization": "Bearer " + "eyJ" * 20_000}}, id="bearer-of-60000-characters"),
    pytest.param({"headers": {"Authorization": "Bearer " + "." * 60_000}}, id="bearer-of-dots"),
    pytest.param({"headers": {"Authorization": " "}}, id="blank-header"),
    pytest.param({"headers": BASIC, "data": b"grant_type=client_credentials&scope=%7F"}, id="scope-of-a-control"),
    pytest.param({"headers": BASIC, "data": b"token=" + b"eyJ" * 20_000}, id="token-of-60000-characters"),
    pytest.param({"environ_overrides": {"CONTENT_LENGTH": "-1"}}, id="length-negative"),
    pytest.param({"environ_overrides": {"CONTENT_LENGTH": "many"}}, id="length-no-number"),
    pytest.param({"environ_overrides": {"CONTENT_LENGTH": "9" * 5000}}, id="length-endless"),
    pytest.param({"environ_overrides": {"REQUEST_METHOD": "P\0ST\xff"}}, id="method"),
]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "path",
    ["/v1/token", "/v1/introspect", "/v1/revoke", "/v1/keys", "/sc/datalake/v1/Tags", "/\0\xff"],
    ids=["token", "introspection", "revocation", "keys", "api", "unknown"],
)
@pytest.mark.parametrize("request_", ODD_REQUESTS)
def test_odd_request_is_answered_and_is_no_fault_of_the_servers(
    server: AuthorizationServer, http: Client, path: str, request_: dict[str, Any]
) -> None:
    response = http.post(server.issuer + path, **{"content_type": FORM} | request_)

    assert response.status_code < 500
    assert server.journal[-1].status == response.status_code
    assert str(server.journal[-1]).isprintable()


def test_httpx_fetches_and_uses_a_token_without_a_socket(server: AuthorizationServer) -> None:
    credentials = server.credentials_of(server.register())

    with httpx.Client(transport=httpx.WSGITransport(app=server)) as http:
        answer = http.post(
            credentials.token_url, data=GRANT, auth=httpx.BasicAuth(credentials.client_id, credentials.client_secret)
        ).json()
        called = http.get(credentials.api_url, headers={"Authorization": f"Bearer {answer['access_token']}"})

    assert called.json()["claims"]["cid"] == credentials.client_id


# What is shown


def test_repr_shows_the_issuer_and_counts(server: AuthorizationServer, fetch: Fetch) -> None:
    fetch()

    assert repr(server) == "<AuthorizationServer http://idp.test/as, 1 clients, 1 exchanges>"


def test_repr_of_credentials_has_all_but_the_secret(server: AuthorizationServer, client: RegisteredClient) -> None:
    assert repr(server.credentials_of()) == (
        "Credentials(token_url='http://idp.test/as/v1/token', client_id='smart-client', "
        "scope='ingr.api', api_url='http://idp.test/as/sc/datalake/v1')"
    )


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "shown",
    [lambda it: it, lambda it: it.clients, lambda it: it.clients["smart-client"], lambda it: it.credentials_of()],
    ids=["server", "clients", "client", "credentials"],
)
def test_nothing_that_is_shown_has_a_secret(
    server: AuthorizationServer, shown: Callable[[AuthorizationServer], object]
) -> None:
    thing = shown(server)

    for text in (repr(thing), str(thing), f"{thing}"):
        assert "smart-secret" not in text
        assert base64.b64encode(b"smart-secret").decode() not in text


def test_dialect_that_raises_answers_500_and_keeps_the_error_for_the_test(keys: KeySource) -> None:
    def response_of(grant: Grant, value: str) -> dict[str, Any]:
        raise LookupError("no such member")

    server = AuthorizationServer(
        Options(dialect=dataclasses.replace(DIALECTS["okta"], token_response=response_of)), keys=keys
    )
    credentials = server.credentials_of(server.register())
    form = {"grant_type": "client_credentials", "scope": credentials.scope}

    response = Client(server).post(server.token_url, data=form, auth=(credentials.client_id, credentials.client_secret))

    assert response.status_code == 500
    assert response.json == {"error": "server_error", "error_description": "The test's own code raised an exception."}
    assert [type(error) for error in server.errors] == [LookupError]
    assert server.journal[-1].reason is Reason.ANSWER_FAILED


def test_token_object_in_place_of_its_text_is_an_error_that_says_so(server: AuthorizationServer) -> None:
    with pytest.raises(TypeError, match=r"^a token is a text, not an object; of an AccessToken pass its \.value$"):
        server.expire(object())  # type: ignore[arg-type]


@pytest.mark.usefixtures("client")
def test_octet_that_a_query_must_not_have_is_no_error_of_the_server(server: AuthorizationServer, http: Client) -> None:
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    answer = http.post(
        "/as/v1/token", data=form, auth=("smart-client", "smart-secret"), environ_overrides={"QUERY_STRING": "a=\x80"}
    )

    assert answer.status_code == 200
    assert server.errors == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_program_is_no_error_of_the_test(server: AuthorizationServer, error: type[BaseException]) -> None:
    def end(request: Any, claims: Any) -> Any:
        raise error

    server.register()
    server.api.get("/Tags", end)
    headers = {"Authorization": f"Bearer {server.mint()!s}"}

    with pytest.raises(error):
        Client(server).get(f"{server.api.url}/Tags", headers=headers)

    assert server.errors == []
