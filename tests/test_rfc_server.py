"""The RFC requirements that bind the server and the API, over HTTP; the ids are test_rfc.py's rows.

The server speaks `rfc6749` where nothing else is said. A test with `but` in its name holds a vendor's departure, and
says where it is on record.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Listener, OptionError, Options
from fake_server.key_source import KeySource
from fake_server.tls import CertificateAuthority

NOON = 1772366400
BASIC = ("smart-client", "smart-secret")
FORM = "application/x-www-form-urlencoded"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# RFC 6749, appendices A.7 and A.8
TEXT = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]*")

NewServer = Callable[..., AuthorizationServer]
Forge = Callable[..., str]


@pytest.fixture
def new_server(keys: KeySource) -> NewServer:
    """Make a server with one client, whose clock stands at noon."""

    def make(dialect: str = "rfc6749", *, base_url: str = "http://idp.test/as", **options: Any) -> AuthorizationServer:
        server = AuthorizationServer(Options(dialect=dialect, **options), base_url=base_url, keys=keys)
        server.clock.freeze()
        server.clock.move_to(NOON)
        server.register(*BASIC)
        return server

    return make


@pytest.fixture
def rfc(new_server: NewServer) -> AuthorizationServer:
    """A server in the dialect of the RFCs."""
    return new_server()


@pytest.fixture
def forge(rfc: AuthorizationServer, keys: KeySource) -> Forge:
    """Sign, with the server's own key, a token that is good but for the claims and headers given; None leaves out."""
    private = keys.shared().as_dict(private=True)

    def sign(claims: Mapping[str, Any] | None = None, **header: Any) -> str:
        claims = jwt.decode(rfc.mint(), options={"verify_signature": False}) | dict(claims or {})
        present = {name: value for name, value in claims.items() if value is not None}
        headers = {"typ": "at+jwt", "kid": private["kid"], **header}
        return jwt.encode(present, jwt.PyJWK(private).key, "RS256", headers)

    return sign


def ask(server: AuthorizationServer, form: Mapping[str, Any] | None = None, **request: Any) -> TestResponse:
    """Send a token request that is good but for the parameters and the parts of the request given; None leaves out."""
    good = {"grant_type": "client_credentials", "scope": server.credentials_of("smart-client").scope}
    parameters = {name: value for name, value in {**good, **(form or {})}.items() if value is not None}
    url = server.token_url + request.pop("query", "")
    return Client(server).open(url, **{"method": "POST", "data": parameters, "auth": BASIC} | request)


def authorized_by(value: str) -> dict[str, Any]:
    return {"auth": None, "headers": {"Authorization": value}}


def basic(text: str, scheme: str = "Basic") -> dict[str, Any]:
    return authorized_by(f"{scheme} {base64.b64encode(text.encode()).decode()}")


def in_body(client_secret: str = "smart-secret") -> dict[str, Any]:
    return {"form": {"client_id": "smart-client", "client_secret": client_secret}, "auth": None}


def outcome(response: TestResponse) -> tuple[int, str | None]:
    return response.status_code, members(response).get("error") if response.data else None


def members(response: TestResponse) -> dict[str, Any]:
    answer = json.loads(response.data)
    assert isinstance(answer, dict)
    return answer


def call(server: AuthorizationServer, token: str | None, **request: Any) -> TestResponse:
    """Send a token to the API, or none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return Client(server).open(server.api.url + "/Tags", **{"headers": headers} | request)


def challenge(response: TestResponse) -> tuple[int, str | None]:
    """Return the status and the error of a challenge of the API."""
    assert response.www_authenticate.type == "bearer"
    return response.status_code, response.www_authenticate.get("error")


def asked(server: AuthorizationServer, url: str | None, token: str | None, **request: Any) -> TestResponse:
    """Ask for a token's introspection or revocation."""
    assert url is not None
    data = {"token": token, **request.pop("form", {})} if token is not None else {}
    return Client(server).open(url, **{"method": "POST", "data": data, "auth": BASIC} | request)


def introspected(server: AuthorizationServer, token: str, **request: Any) -> dict[str, Any]:
    return members(asked(server, server.introspection_url, token, **request))


def published_keys(server: AuthorizationServer) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = members(Client(server).get(server.jwks_uri))["keys"]
    return keys


def metadata(server: AuthorizationServer) -> dict[str, Any]:
    return members(Client(server).get(server.issuer + "/.well-known/oauth-authorization-server"))


def verified(server: AuthorizationServer, token: str) -> dict[str, Any]:
    """Return the claims of a token, verified as any API would, but for the time, which is the server's."""
    keys = jwt.PyJWKSet.from_dict({"keys": published_keys(server)})
    header = jwt.get_unverified_header(token)
    claims: dict[str, Any] = jwt.decode(
        token,
        keys[header["kid"]].key,
        algorithms=[header["alg"]],
        audience=server.options.audience,
        issuer=server.issuer,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    return claims


# A: the token request (RFC 6749, sections 2.3, 3.2, 3.3 and 4.4)


def test_A01_basic_is_accepted(rfc: AuthorizationServer) -> None:
    assert ask(rfc).status_code == 200


@pytest.mark.parametrize("basic_decoding", ["form", "either"])
def test_A02_form_encoded_credentials_are_decoded(new_server: NewServer, basic_decoding: str) -> None:
    server = new_server(basic_decoding=basic_decoding)
    server.register(" %&+£€", "a+b%c:d &£€")

    response = ask(server, **basic("+%25%26%2B%C2%A3%E2%82%AC:a%2Bb%25c%3Ad+%26%C2%A3%E2%82%AC"))

    assert response.status_code == 200
    assert server.token_requests[-1].client_id == " %&+£€"


@pytest.mark.parametrize(
    ("client_auth", "expected"),
    [
        (("client_secret_basic", "client_secret_post"), (200, None)),
        (("client_secret_post",), (200, None)),
        (("client_secret_basic",), (401, "invalid_client")),
    ],
)
def test_A03_credentials_in_the_body_are_accepted_as_configured(
    new_server: NewServer, client_auth: tuple[str, ...], expected: tuple[int, str | None]
) -> None:
    server = new_server(client_auth=client_auth)

    assert outcome(ask(server, **in_body())) == expected


@pytest.mark.parametrize("auth", [None, BASIC], ids=["alone", "beside-the-header"])
@pytest.mark.parametrize("query", ["?client_id=smart-client&client_secret=smart-secret", "?client_secret=smart-secret"])
def test_A04_credentials_in_the_uri_are_refused(rfc: AuthorizationServer, query: str, auth: Any) -> None:
    assert outcome(ask(rfc, auth=auth, query=query)) == (400, "invalid_request")


TWICE = {
    "body": {"client_id": "smart-client", "client_secret": "smart-secret"},
    "assertion": {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "x"},
}


@pytest.mark.parametrize("form", TWICE.values(), ids=list(TWICE))
def test_A05_credentials_twice_are_an_invalid_request(rfc: AuthorizationServer, form: dict[str, str]) -> None:
    assert outcome(ask(rfc, form)) == (400, "invalid_request")


def test_A05_but_okta_says_so_with_401(new_server: NewServer) -> None:
    # okta/okta-developer-docs@468de9c, oauth2-error-codes.json: multiple_client_credentials
    assert outcome(ask(new_server("okta"), TWICE["body"])) == (401, "invalid_request")


@pytest.mark.parametrize("dialect", ["sam", "duende"])
def test_A05_but_identityserver_reads_the_first(new_server: NewServer, dialect: str) -> None:
    # IdentityServer3@e6024dd, DuendeSoftware/products@18193b5: the first parser that finds a secret wins.
    server = new_server(dialect)

    assert ask(server, TWICE["body"] | {"client_secret": "wrong"}).status_code == 200
    assert outcome(ask(server, TWICE["body"], auth=("smart-client", "wrong"))) == (400, "invalid_client")


def test_A07_server_with_tls_answers_nobody_without(keys: KeySource) -> None:
    authority = CertificateAuthority()
    with contextlib.closing(authority), Listener(tls=authority, keys=keys) as listener, requests.Session() as session:
        session.trust_env, session.verify = False, authority.ca_file
        server = listener.serve(Options(dialect="rfc6749", tls=True))
        server.register(*BASIC)
        form = {"grant_type": "client_credentials", "scope": "ingr.api"}

        told = session.get(server.issuer + "/.well-known/oauth-authorization-server").json()
        answer = session.post(server.token_url, data=form, auth=BASIC)
        with pytest.raises(requests.ConnectionError):
            session.post(server.token_url.replace("https:", "http:"), data=form, auth=BASIC)

    urls = [server.api.url, *(value for value in told.values() if "://" in str(value))]
    assert answer.status_code == 200
    assert [exchange.status for exchange in server.journal] == [200]
    assert {urlsplit(url).scheme for url in urls} == {"https"}
    assert len(urls) >= 5


def test_A07_but_without_tls_plain_http_is_served_on_loopback() -> None:
    with Listener() as listener:
        assert listener.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("scheme", ["basic", "Basic", "BASIC"])
def test_A08_scheme_has_no_case(rfc: AuthorizationServer, scheme: str) -> None:
    assert ask(rfc, **basic("smart-client:smart-secret", scheme)).status_code == 200


def test_A09_credentials_are_split_at_the_first_colon(rfc: AuthorizationServer) -> None:
    rfc.register("a", "b:c:")
    rfc.register("d:e", "f:g")

    assert ask(rfc, **basic("a:b:c:")).status_code == 200
    assert ask(rfc, **basic("d%3Ae:f:g")).status_code == 200
    assert outcome(ask(rfc, **basic("d:e:f:g"))) == (401, "invalid_client")


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_A10_other_methods_than_post_issue_no_token(rfc: AuthorizationServer, method: str) -> None:
    response = ask(rfc, method=method)

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


def test_A10_but_duende_says_invalid_request(new_server: NewServer) -> None:
    # IdentityServer4@5e40bd1, DuendeSoftware/products@18193b5
    assert outcome(ask(new_server("duende"), method="GET")) == (400, "invalid_request")


@pytest.mark.parametrize(("default_scopes", "expected"), [(("ingr.api",), (200, None)), ((), (400, "invalid_scope"))])
@pytest.mark.parametrize("scope", ["", None], ids=["empty", "omitted"])
def test_A11_empty_parameter_is_as_omitted(
    new_server: NewServer, scope: str | None, default_scopes: tuple[str, ...], expected: tuple[int, str | None]
) -> None:
    server = new_server(default_scopes=default_scopes)

    assert outcome(ask(server, {"scope": scope})) == expected


def test_A12_unknown_parameters_are_ignored(rfc: AuthorizationServer) -> None:
    assert ask(rfc, {"example": "1", "acr_values": ""}).status_code == 200


REPEATED = {
    "equal": {"scope": ["ingr.api", "ingr.api"]},
    "different": {"scope": ["ingr.api", "other"]},
    "grant-type": {"grant_type": ["client_credentials", "client_credentials"]},
    "unknown": {"example": ["1", "2"]},
}


@pytest.mark.parametrize("form", REPEATED.values(), ids=list(REPEATED))
def test_A13_repeated_parameter_is_an_invalid_request(rfc: AuthorizationServer, form: dict[str, list[str]]) -> None:
    assert outcome(ask(rfc, form)) == (400, "invalid_request")


@pytest.mark.parametrize("dialect", ["sam", "duende"])
@pytest.mark.parametrize(
    ("form", "error"),
    [(REPEATED["grant-type"], "unsupported_grant_type"), (REPEATED["equal"], "invalid_scope")],
    ids=["grant-type", "scope"],
)
def test_A13_but_identityserver_joins_the_values(
    new_server: NewServer, dialect: str, form: dict[str, list[str]], error: str
) -> None:
    # IdentityServer3@e6024dd, IdentityServer4@5e40bd1: NameValueCollection puts a comma between them.
    assert outcome(ask(new_server(dialect), form)) == (400, error)


def test_A14_token_url_has_no_fragment_and_may_have_a_query(rfc: AuthorizationServer) -> None:
    assert urlsplit(metadata(rfc)["token_endpoint"]).fragment == ""
    assert ask(rfc, query="?tenant=7").status_code == 200


def test_A15_public_client_gets_no_token(rfc: AuthorizationServer) -> None:
    assert outcome(ask(rfc, {"client_id": "smart-client"}, auth=None)) == (401, "invalid_client")
    assert outcome(ask(rfc, auth=("smart-client", ""))) == (401, "invalid_client")
    with pytest.raises(ValueError, match="client_secret"):
        rfc.register("public", "")


@pytest.mark.parametrize(
    ("grant_type", "error"),
    [
        (None, "invalid_request"),
        ("", "invalid_request"),
        ("Client_Credentials", "unsupported_grant_type"),
        ("client_credentials ", "unsupported_grant_type"),
        ("password", "unsupported_grant_type"),
    ],
)
def test_A16_grant_type_is_client_credentials_exactly(
    rfc: AuthorizationServer, grant_type: str | None, error: str
) -> None:
    assert outcome(ask(rfc, {"grant_type": grant_type})) == (400, error)


@pytest.mark.parametrize("dialect", ["sam", "duende"])
def test_A16_but_identityserver_calls_none_unsupported(new_server: NewServer, dialect: str) -> None:
    # IdentityServer3@e6024dd, DuendeSoftware/products@18193b5
    assert outcome(ask(new_server(dialect), {"grant_type": None})) == (400, "unsupported_grant_type")


NO_FORMS: dict[str, dict[str, Any]] = {
    "json": {"data": None, "json": {"grant_type": "client_credentials", "scope": "ingr.api"}},
    "multipart": {"content_type": "multipart/form-data"},
    "text": {"data": b"grant_type=client_credentials&scope=ingr.api", "content_type": "text/plain"},
}


@pytest.mark.parametrize(
    "request_",
    [
        *NO_FORMS.values(),
        {"data": b"grant_type=client_credentials"},
        {"data": b"grant_type=client_credentials&scope=\xff", "content_type": FORM},
        {"data": b"grant_type=client_credentials&scope=%FF", "content_type": FORM},
    ],
    ids=[*NO_FORMS, "no-type", "not-utf8", "not-utf8-encoded"],
)
def test_A17_body_that_is_no_form_is_an_invalid_request(rfc: AuthorizationServer, request_: dict[str, Any]) -> None:
    assert outcome(ask(rfc, **request_)) == (400, "invalid_request")


@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=UTF-8", f"{FORM};charset=utf-8", FORM.upper()])
def test_A17_form_may_name_its_charset(rfc: AuthorizationServer, content_type: str) -> None:
    body = b"grant_type=client_credentials&scope=ingr.api"

    assert ask(rfc, data=body, content_type=content_type).status_code == 200


@pytest.mark.parametrize("request_", NO_FORMS.values(), ids=list(NO_FORMS))
@pytest.mark.parametrize(
    ("dialect", "status", "answer"),
    [
        # Kong/volcano-agent-sdk#21
        ("okta", 400, {"errorCode": "E0000021"}),
        # IdentityServer3@e6024dd
        ("sam", 415, {"ErrorMessage": "The body must be a form."}),
        # MicrosoftDocs/azure-docs#43780
        ("entra", 400, {"error": "invalid_request", "error_codes": [900144]}),
    ],
)
def test_A17_but_vendors_have_an_answer_of_their_own(
    new_server: NewServer, dialect: str, status: int, answer: dict[str, Any], request_: dict[str, Any]
) -> None:
    response = ask(new_server(dialect), **request_)

    assert response.status_code == status
    assert members(response).items() >= answer.items()


@pytest.mark.parametrize(
    "request_",
    [
        {"auth": None},
        authorized_by(""),
        authorized_by("Bearer smart-secret"),
        {"auth": None, "form": {"client_id": "smart-client"}},
        {"auth": None, "form": {"client_secret": "smart-secret"}},
        {"auth": None, "form": {"client_id": "smart-client", "client_secret": ""}},
        basic("smart-client"),
        basic(":smart-secret"),
    ],
    ids=["nothing", "empty-header", "bearer", "id-alone", "secret-alone", "empty-secret", "no-colon", "no-id"],
)
def test_A18_request_without_client_authentication_never_succeeds(
    rfc: AuthorizationServer, request_: dict[str, Any]
) -> None:
    assert outcome(ask(rfc, **request_)) == (401, "invalid_client")


def test_A19_there_is_no_refresh_token(rfc: AuthorizationServer) -> None:
    assert "refresh_token" not in members(ask(rfc))


def test_A20_scopes_have_case_and_no_order(new_server: NewServer) -> None:
    server = new_server(scopes=("ingr.api", "ingr.admin"))

    granted = [
        members(ask(server, {"scope": scope}))["scope"] for scope in ("ingr.api ingr.admin", "ingr.admin ingr.api")
    ]

    assert [set(scope.split(" ")) for scope in granted] == [{"ingr.api", "ingr.admin"}] * 2
    assert outcome(ask(server, {"scope": "INGR.API"})) == (400, "invalid_scope")


def test_A21_omitted_scope_is_the_default_or_invalid(new_server: NewServer) -> None:
    scopes = ("ingr.api", "ingr.admin")

    with_default = new_server(scopes=scopes, default_scopes=("ingr.admin",))
    without_default = new_server(scopes=scopes)

    assert members(ask(with_default, {"scope": None}))["scope"] == "ingr.admin"
    assert outcome(ask(without_default, {"scope": None})) == (400, "invalid_scope")


def test_A21_but_duende_grants_all_scopes(new_server: NewServer) -> None:
    # IdentityServer4@5e40bd1, DuendeSoftware/products@18193b5
    server = new_server("duende", scopes=("ingr.api", "ingr.admin"))

    assert members(ask(server, {"scope": None}))["scope"] == "ingr.api ingr.admin"


def test_A21_but_entra_says_invalid_request(new_server: NewServer) -> None:
    # AADSTS900144, as several recordings have it
    response = ask(new_server("entra"), {"scope": None})

    assert outcome(response) == (400, "invalid_request")
    assert members(response)["error_codes"] == [900144]


@pytest.mark.parametrize(
    ("scope", "granted"), [(None, "ingr.admin"), ("ingr.api", "ingr.api"), ("ingr.api ingr.api", "ingr.api")]
)
def test_A22_scope_of_the_answer_is_what_was_granted(new_server: NewServer, scope: str | None, granted: str) -> None:
    server = new_server(scopes=("ingr.api", "ingr.admin"), default_scopes=("ingr.admin",))

    assert members(ask(server, {"scope": scope}))["scope"] == granted


@pytest.mark.parametrize("dialect", ["sam", "entra"])
def test_A22_but_sam_and_entra_never_say(new_server: NewServer, dialect: str) -> None:
    # IdentityServer3@e6024dd; azure-sdk-for-js recordings, where the scope asked for is not one that is granted
    assert "scope" not in members(ask(new_server(dialect)))


@pytest.mark.parametrize(
    "scope", ['ingr"api', "ingr\\api", "ingr.api\t", "ingr.api\n", "ingr.\x7fapi", "ingr.äpi", "\0"]
)
def test_A23_scope_with_another_character_is_invalid(rfc: AuthorizationServer, scope: str) -> None:
    assert outcome(ask(rfc, {"scope": scope})) == (400, "invalid_scope")


# B: the answer (RFC 6749, sections 5.1 and 5.2)

# Every kind of refusal, with the status and the error.
REFUSED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "json": (400, "invalid_request", NO_FORMS["json"]),
    "repeated": (400, "invalid_request", {"form": REPEATED["equal"]}),
    "in-the-query": (400, "invalid_request", {"query": "?client_secret=smart-secret"}),
    "no-credentials": (401, "invalid_client", {"auth": None}),
    "no-base64": (401, "invalid_client", authorized_by("Basic !")),
    "unknown-client": (401, "invalid_client", {"auth": ('str\\an"ger', "smart-secret")}),
    "wrong-secret": (401, "invalid_client", {"auth": ("smart-client", "wrong")}),
    "no-grant-type": (400, "invalid_request", {"form": {"grant_type": None}}),
    "wrong-grant-type": (400, "unsupported_grant_type", {"form": {"grant_type": 'pass"word'}}),
    "not-allowed": (400, "unauthorized_client", {"auth": ("no-grants", "secret")}),
    "no-scope": (400, "invalid_scope", {"form": {"scope": None}}),
    "wrong-scope": (400, "invalid_scope", {"form": {"scope": "oth\\er"}}),
    "wrong-resource": (400, "invalid_target", {"form": {"resource": 'http://other.test/"'}}),
    "get": (405, "invalid_request", {"method": "GET"}),
}


def test_B01_answer_is_json_with_token_and_type(rfc: AuthorizationServer) -> None:
    response = ask(rfc)

    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert members(response)["token_type"] == "Bearer"
    assert isinstance(members(response)["access_token"], str)


def test_B02_expires_in_is_a_number_of_seconds_from_the_answer(new_server: NewServer) -> None:
    server = new_server(token_lifetime=60)

    answer = members(ask(server))

    assert answer["expires_in"] == 60
    assert verified(server, answer["access_token"])["exp"] == NOON + 60


def test_B02_but_entra_counts_from_a_second_before(new_server: NewServer) -> None:
    # azure-sdk-for-js recordings
    assert members(ask(new_server("entra")))["expires_in"] == 3599


def test_B03_and_B04_token_must_not_be_stored(rfc: AuthorizationServer) -> None:
    response = ask(rfc)

    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"


@pytest.mark.parametrize("dialect", ["okta", "hexagon", "sam", "duende", "entra"])
def test_B03_and_B04_hold_in_every_dialect(new_server: NewServer, dialect: str) -> None:
    response = ask(new_server(dialect))

    assert response.cache_control.no_store
    assert response.headers["Pragma"] == "no-cache"


@pytest.mark.parametrize(("status", "error", "request_"), REFUSED.values(), ids=list(REFUSED))
def test_B07_and_B10_error_is_json_of_the_characters_allowed(
    rfc: AuthorizationServer, status: int, error: str, request_: dict[str, Any]
) -> None:
    rfc.register("no-grants", "secret", grant_types=())

    response = ask(rfc, **request_)

    assert outcome(response) == (status, error)
    assert response.mimetype == "application/json"
    assert list(members(response)) == ["error", "error_description"]
    assert TEXT.fullmatch(members(response)["error_description"])
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")


def test_B07_but_sam_lets_errors_be_stored(new_server: NewServer) -> None:
    # IdentityServer3@e6024dd: the headers are those of a success only.
    response = ask(new_server("sam"), {"grant_type": "password"})

    assert response.status_code == 400
    assert not {"Cache-Control", "Pragma"} & set(response.headers.keys())


@pytest.mark.parametrize(
    "request_", [{"auth": ("smart-client", "wrong")}, authorized_by("Bearer x"), authorized_by("Basic !")]
)
def test_B08_invalid_client_after_a_header_is_challenged(rfc: AuthorizationServer, request_: dict[str, Any]) -> None:
    response = ask(rfc, **request_)

    assert outcome(response) == (401, "invalid_client")
    assert response.headers["WWW-Authenticate"] == 'Basic realm="http://idp.test/as"'


@pytest.mark.parametrize(
    ("dialect", "status"),
    [
        ("sam", 400),  # IdentityServer3@e6024dd: 400 always, and no challenge
        ("duende", 400),  # DuendeSoftware/products@18193b5: likewise
        ("entra", 401),  # dotnet/AspNetCore.Docs#22325 shows the headers: no challenge
    ],
)
def test_B08_but_vendors_do_not_challenge(new_server: NewServer, dialect: str, status: int) -> None:
    response = ask(new_server(dialect), auth=("smart-client", "wrong"))

    assert outcome(response) == (status, "invalid_client")
    assert "WWW-Authenticate" not in response.headers


def test_B09_invalid_client_after_a_body_is_challenged_too(rfc: AuthorizationServer) -> None:
    response = ask(rfc, **in_body("wrong"))

    assert outcome(response) == (401, "invalid_client")
    assert response.www_authenticate.type == "basic"


def test_B10_but_entra_sends_line_ends(new_server: NewServer) -> None:
    # MicrosoftDocs/azure-docs#43780
    description = members(ask(new_server("entra"), {"grant_type": None}))["error_description"]

    assert re.search(r"\r\nTrace ID: .*\r\nCorrelation ID: .*\r\nTimestamp: ", description)


def test_B11_error_uri_of_entra_is_a_uri(new_server: NewServer) -> None:
    error_uri = members(ask(new_server("entra"), {"grant_type": None}))["error_uri"]

    assert re.fullmatch(r"https://[\w./-]+\?code=\d+", error_uri, re.ASCII)


def test_B12_unauthorized_client_is_for_who_has_authenticated(rfc: AuthorizationServer) -> None:
    rfc.register("no-grants", "secret", grant_types=())

    assert outcome(ask(rfc, auth=("no-grants", "secret"))) == (400, "unauthorized_client")
    assert outcome(ask(rfc, auth=("no-grants", "wrong"))) == (401, "invalid_client")
    assert outcome(ask(rfc, {"grant_type": "password"}, auth=("smart-client", "wrong"))) == (401, "invalid_client")


def test_B12_but_entra_says_it_of_an_unknown_client(new_server: NewServer) -> None:
    # Azure/azure-sdk-for-python#8314
    response = ask(new_server("entra"), auth=("stranger", "wrong"))

    assert outcome(response) == (400, "unauthorized_client")
    assert members(response)["error_codes"] == [700016]


def test_B13_unknown_client_and_wrong_secret_look_the_same(rfc: AuthorizationServer) -> None:
    unknown = ask(rfc, auth=("stranger", "smart-secret"))
    wrong = ask(rfc, auth=("smart-client", "wrong"))

    assert outcome(unknown) == (401, "invalid_client")
    assert (unknown.status_code, unknown.data, unknown.headers) == (wrong.status_code, wrong.data, wrong.headers)


def test_B13_but_okta_tells_them_apart(new_server: NewServer) -> None:
    # wiki.nci.nih.gov, page 454362131: an unknown client is answered in the words of Okta's own API.
    server = new_server("okta")
    unknown = members(ask(server, auth=("stranger", "smart-secret")))
    wrong = members(ask(server, auth=("smart-client", "wrong")))

    assert list(unknown) == ["errorCode", "errorSummary", "errorLink", "errorId", "errorCauses"]
    assert list(wrong) == ["error", "error_description"]
    assert unknown["errorCode"] == wrong["error"] == "invalid_client"


def test_B14_known_resource_is_the_tokens_audience(rfc: AuthorizationServer) -> None:
    # RFC 8707, section 2: the server may map the resource to a name of its own.
    for resource in (rfc.api.url, rfc.options.audience):
        token = members(ask(rfc, {"resource": resource}))["access_token"]

        assert verified(rfc, token)["aud"] == rfc.options.audience
        assert call(rfc, token).status_code == 200


@pytest.mark.parametrize("dialect", ["rfc6749", "duende"])
def test_B14_unknown_resource_is_an_invalid_target(new_server: NewServer, dialect: str) -> None:
    assert outcome(ask(new_server(dialect), {"resource": "http://other.test"})) == (400, "invalid_target")


# C: the token at the API (RFC 6750)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_C01_token_is_read_from_the_header(rfc: AuthorizationServer, scheme: str) -> None:
    assert call(rfc, None, headers={"Authorization": f"{scheme} {rfc.mint()}"}).status_code == 200


@pytest.mark.parametrize(
    "request_", [{"query_string": {"access_token": "x"}}, {"method": "POST", "data": {"access_token": "x"}}]
)
def test_C02_two_tokens_are_an_invalid_request(rfc: AuthorizationServer, request_: dict[str, Any]) -> None:
    assert challenge(call(rfc, rfc.mint(), **request_)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "part"), [("POST", "data"), ("GET", "data"), ("POST", "json")], ids=["form", "get", "json"]
)
def test_C03_token_in_the_body_is_no_token(rfc: AuthorizationServer, method: str, part: str) -> None:
    # To take one from a form is allowed, not demanded; this API has the header only.
    assert challenge(call(rfc, None, method=method, **{part: {"access_token": rfc.mint()}})) == (401, None)


def test_C04_token_in_the_query_is_no_token(rfc: AuthorizationServer) -> None:
    assert challenge(call(rfc, None, query_string={"access_token": rfc.mint()})) == (401, None)


# Of each kind of token that the API refuses, how it is made.
BAD_TOKENS: dict[str, Callable[[AuthorizationServer], str]] = {
    "malformed": lambda server: "opaque",
    "expired": lambda server: server.mint(lifetime=0),
    "revoked": lambda server: revoked(server),
    "bad-signature": lambda server: altered(server.mint()),
    "foreign": lambda server: server.mint(claims={"iss": "http://other.test"}),
    "other-audience": lambda server: server.mint(claims={"aud": "other"}),
    "not-yet-valid": lambda server: server.mint(claims={"nbf": NOON + 1}),
}
bad_tokens = pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=list(BAD_TOKENS))


def revoked(server: AuthorizationServer) -> str:
    token = server.mint()
    server.revoke(token)
    return token


def altered(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def challenges(server: AuthorizationServer) -> Iterator[TestResponse]:
    """Send every kind of request that the API refuses."""
    yield call(server, None)
    yield call(server, None, headers={"Authorization": "Basic eDp5"})
    yield call(server, None, query_string={"access_token": "x"})
    yield call(server, server.mint(), query_string={"access_token": "x"})
    yield call(server, server.mint(scope="other"))
    for make in BAD_TOKENS.values():
        yield call(server, make(server))


def test_C05_challenge_has_the_scheme_and_a_parameter(rfc: AuthorizationServer) -> None:
    for response in challenges(rfc):
        assert re.match(r'Bearer \w+="', response.headers["WWW-Authenticate"])


def test_C05_but_okta_challenges_without_a_parameter(new_server: NewServer) -> None:
    # Okta's answer to a request without a token is not on record; RFC 6750's own example in section 3 has a realm.
    assert call(new_server("okta"), None).headers["WWW-Authenticate"] == "Bearer"


def test_C06_parameters_of_a_challenge_occur_once(rfc: AuthorizationServer) -> None:
    for response in challenges(rfc):
        names = re.findall(r'(\w+)="', ", ".join(response.headers.getlist("WWW-Authenticate")))

        assert len(names) == len(set(names))


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}], ids=["nothing", "basic"])
def test_C07_request_without_a_token_is_told_no_error(rfc: AuthorizationServer, headers: dict[str, str]) -> None:
    response = call(rfc, None, headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="Smart API"'


def test_C08_malformed_request_is_an_invalid_request(rfc: AuthorizationServer) -> None:
    token = rfc.mint()

    response = call(rfc, token, headers={"Authorization": f"Bearer {token}, Bearer {token}"})

    assert challenge(response) == (400, "invalid_request")


@bad_tokens
def test_C09_bad_token_is_an_invalid_token(
    rfc: AuthorizationServer, make: Callable[[AuthorizationServer], str]
) -> None:
    assert challenge(call(rfc, make(rfc))) == (401, "invalid_token")


def test_C10_missing_scope_is_named(rfc: AuthorizationServer) -> None:
    response = call(rfc, rfc.mint(scope="other"))

    assert challenge(response) == (403, "insufficient_scope")
    assert response.www_authenticate["scope"] == "ingr.api"


def test_C11_rejected_token_is_told_an_error(rfc: AuthorizationServer) -> None:
    for response in challenges(rfc):
        has_token = response.request.headers.get("Authorization", "").startswith("Bearer ")

        assert ("error" in response.www_authenticate.parameters) is has_token


def test_C12_challenge_has_the_characters_allowed(rfc: AuthorizationServer) -> None:
    for response in challenges(rfc):
        assert re.fullmatch(r'Bearer( \w+="[\x20\x21\x23-\x5B\x5D-\x7E]*",?)+', response.headers["WWW-Authenticate"])


def test_C13_expiry_and_scope_of_every_token_are_checked(rfc: AuthorizationServer) -> None:
    token = members(ask(rfc))["access_token"]
    rfc.clock.advance(seconds=3599)

    assert call(rfc, token).status_code == 200
    assert call(rfc, rfc.mint(scope="other")).status_code == 403
    rfc.clock.advance(seconds=1)
    assert challenge(call(rfc, token)) == (401, "invalid_token")


def test_C14_every_401_is_challenged(rfc: AuthorizationServer) -> None:
    wrong: dict[str, Any] = {"auth": ("smart-client", "wrong")}

    answers = [
        ask(rfc, **wrong),
        ask(rfc, auth=None),
        asked(rfc, rfc.introspection_url, "x", **wrong),
        asked(rfc, rfc.revocation_url, "x", auth=None),
        call(rfc, "x"),
    ]

    assert [response.status_code for response in answers] == [401] * 5
    assert [response.www_authenticate.type for response in answers] == ["basic"] * 4 + ["bearer"]


def test_C14_but_duendes_introspection_has_a_bare_401(new_server: NewServer) -> None:
    # IdentityServer4@5e40bd1, DuendeSoftware/products@18193b5
    server = new_server("duende")

    response = asked(server, server.introspection_url, "x", auth=("smart-client", "wrong"))

    assert (response.status_code, response.data) == (401, b"")
    assert "WWW-Authenticate" not in response.headers


def test_C15_token_lives_an_hour_and_has_one_audience(rfc: AuthorizationServer) -> None:
    claims = verified(rfc, members(ask(rfc))["access_token"])

    assert claims["exp"] - claims["iat"] == 3600
    assert claims["aud"] == rfc.options.audience


# D: revocation (RFC 7009)


def test_D01_access_token_can_be_revoked(rfc: AuthorizationServer) -> None:
    # There are no refresh tokens (A19).
    token = members(ask(rfc))["access_token"]

    response = asked(rfc, rfc.revocation_url, token)

    assert (response.status_code, response.data) == (200, b"")
    assert challenge(call(rfc, token)) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"data": {}}, 400),
        ({"data": {"token": ""}}, 400),
        ({"data": {"token_type_hint": "access_token"}}, 400),
        ({"data": None, "json": {"token": "x"}}, 400),
        ({"method": "GET"}, 405),
    ],
    ids=["nothing", "empty", "hint", "json", "get"],
)
def test_D02_request_is_a_posted_form_with_a_token(
    rfc: AuthorizationServer, request_: dict[str, Any], status: int
) -> None:
    assert outcome(asked(rfc, rfc.revocation_url, rfc.mint(), **request_)) == (status, "invalid_request")


@pytest.mark.parametrize("hint", ["access_token", "refresh_token"])
def test_D03_wrong_hint_hides_no_token(rfc: AuthorizationServer, hint: str) -> None:
    token = rfc.mint()

    response = asked(rfc, rfc.revocation_url, token, form={"token_type_hint": hint})

    assert response.status_code == 200
    assert call(rfc, token).status_code == 401


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (None, (401, "invalid_client")),
        (("smart-client", "wrong"), (401, "invalid_client")),
        (("other", "secret"), (400, "invalid_grant")),
    ],
    ids=["nobody", "wrong-secret", "another-client"],
)
def test_D04_token_is_revoked_by_its_client_only(
    rfc: AuthorizationServer, auth: Any, expected: tuple[int, str]
) -> None:
    rfc.register("other", "secret")
    token = rfc.mint("smart-client")

    response = asked(rfc, rfc.revocation_url, token, auth=auth)

    assert outcome(response) == expected
    assert call(rfc, token).status_code == 200


@bad_tokens
@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "example"}], ids=["no-hint", "unknown-hint"])
def test_D05_invalid_token_is_revoked_already(
    rfc: AuthorizationServer, make: Callable[[AuthorizationServer], str], hint: dict[str, str]
) -> None:
    response = asked(rfc, rfc.revocation_url, make(rfc), form=hint)

    assert (response.status_code, response.data) == (200, b"")


# E: introspection (RFC 7662)


@pytest.mark.parametrize("auth", [None, ("smart-client", "wrong"), ("stranger", "smart-secret")])
def test_E01_introspection_is_for_clients(rfc: AuthorizationServer, auth: Any) -> None:
    response = asked(rfc, rfc.introspection_url, rfc.mint(), auth=auth)

    assert outcome(response) == (401, "invalid_client")
    assert response.www_authenticate.type == "basic"


@bad_tokens
def test_E02_bad_token_is_not_active_and_nothing_more(
    rfc: AuthorizationServer, make: Callable[[AuthorizationServer], str]
) -> None:
    response = asked(rfc, rfc.introspection_url, make(rfc))

    assert response.status_code == 200
    assert members(response) == {"active": False}


def test_E02_token_of_another_server_is_not_active(rfc: AuthorizationServer, new_server: NewServer) -> None:
    other = new_server(base_url="http://idp.test/other")

    assert introspected(rfc, other.mint()) == {"active": False}


def test_E03_members_agree_with_the_token(rfc: AuthorizationServer) -> None:
    token = members(ask(rfc))["access_token"]

    assert introspected(rfc, token) == {"active": True, "token_type": "Bearer", **verified(rfc, token)}


@pytest.mark.parametrize("hint", ["refresh_token", "example"])
def test_E04_wrong_hint_hides_no_token(rfc: AuthorizationServer, hint: str) -> None:
    assert introspected(rfc, rfc.mint(), form={"token_type_hint": hint})["active"] is True


# F: metadata (RFC 8414)


def test_F01_required_members_are_there(new_server: NewServer) -> None:
    server = new_server(base_url="https://idp.test/as")

    document = metadata(server)

    assert document["issuer"] == "https://idp.test/as"
    assert document["token_endpoint"] == server.token_url == "https://idp.test/as/token"
    assert document["response_types_supported"] == ["code"]


@pytest.mark.parametrize("dialect", ["rfc6749", "okta", "hexagon", "sam", "duende", "entra"])
def test_F02_nothing_is_empty_or_null(new_server: NewServer, dialect: str) -> None:
    assert [name for name, value in metadata(new_server(dialect)).items() if value in (None, "", [], {})] == []


def test_F03_well_known_is_inserted_and_appended() -> None:
    with Listener() as listener, requests.Session() as session:
        session.trust_env = False
        server = listener.serve(Options(dialect="rfc6749"), path="/oauth2/as1")
        places = [
            f"{listener.url}/.well-known/oauth-authorization-server/oauth2/as1",
            f"{listener.url}/.well-known/openid-configuration/oauth2/as1",
            f"{listener.url}/oauth2/as1/.well-known/openid-configuration",
        ]

        issuers = [session.get(place, timeout=10).json()["issuer"] for place in places]

    assert issuers == [server.issuer] * 3


@pytest.mark.parametrize("base_url", ["http://idp.test", "http://idp.test/", "http://idp.test/oauth2/as1/"])
@pytest.mark.parametrize("dialect", ["rfc6749", "okta", "sam", "duende", "entra"])
def test_F04_issuer_is_one_in_its_url_the_document_and_the_token(
    new_server: NewServer, dialect: str, base_url: str
) -> None:
    server = new_server(dialect, base_url=base_url)

    assert metadata(server)["issuer"] == server.issuer
    assert jwt.decode(server.mint(), options={"verify_signature": False})["iss"] == server.issuer
    assert not server.issuer.endswith("/")


@pytest.mark.parametrize("endpoint", ["token", "introspection", "revocation"])
def test_F05_auth_methods_are_named_with_their_algorithms(
    new_server: NewServer, keys: KeySource, endpoint: str
) -> None:
    methods = f"{endpoint}_endpoint_auth_methods_supported"
    algs = f"{endpoint}_endpoint_auth_signing_alg_values_supported"
    server = new_server(client_auth=("client_secret_post",))
    before = metadata(server)
    server.register("signer", public_key=keys.shared().as_dict(private=False))

    after = metadata(server)

    assert before[methods] == ["client_secret_post"]
    assert algs not in before
    assert after[methods] == ["client_secret_post", "private_key_jwt"]
    assert {"RS256", "ES256"} < set(after[algs])
    assert not {"none", "HS256"} & set(after[algs])


def test_F06_document_is_json(rfc: AuthorizationServer) -> None:
    response = Client(rfc).get(rfc.issuer + "/.well-known/oauth-authorization-server")

    assert (response.status_code, response.content_type) == (200, "application/json")


# G: keys and JSON Web Tokens (RFC 7515, 7517, 7519 and 8725)


@pytest.mark.parametrize(("alg", "kty"), [("RS256", "RSA"), ("ES256", "EC"), ("EdDSA", "OKP")])
def test_G01_keys_are_public_and_have_ids_of_their_own(new_server: NewServer, alg: str, kty: str) -> None:
    server = new_server(signing_alg=alg)
    server.rotate_keys()

    published = published_keys(server)

    assert [key["kty"] for key in published] == [kty] * 2
    assert len({key["kid"] for key in published}) == 2
    assert not any({"d", "p", "q", "dp", "dq", "qi", "k"} & set(key) for key in published)


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"exp": NOON + 1}, 200),
        ({"exp": NOON + 0.5}, 200),
        ({"exp": NOON}, 401),
        ({"exp": "tomorrow"}, 401),
        ({"nbf": NOON}, 200),
        ({"nbf": NOON + 1}, 401),
    ],
)
def test_G02_token_is_good_from_nbf_to_exp(rfc: AuthorizationServer, claims: dict[str, Any], status: int) -> None:
    assert call(rfc, rfc.mint(claims=claims)).status_code == status


@pytest.mark.parametrize(
    ("audience", "status"),
    [
        pytest.param(["other", "{own}"], 200, id="one-of-two"),
        pytest.param("{own}", 200, id="text"),
        pytest.param(["other"], 401, id="other"),
        pytest.param([], 401, id="none"),
        pytest.param("{own}0", 401, id="longer"),
        pytest.param(None, 401, id="absent"),
    ],
)
def test_G03_audience_is_a_text_or_a_list_with_the_api(rfc: AuthorizationServer, audience: Any, status: int) -> None:
    filled = json.loads(json.dumps(audience).replace("{own}", rfc.options.audience))

    assert call(rfc, rfc.mint(claims={"aud": filled})).status_code == status


def without_signature(server: AuthorizationServer) -> str:
    claims = jwt.decode(server.mint(), options={"verify_signature": False})
    return jwt.encode(claims, "", "none", {"typ": "at+jwt", "kid": published_keys(server)[0]["kid"]})


def signed_with_the_public_key(server: AuthorizationServer) -> str:
    # By hand: PyJWT knows the trick, and signs nothing with a public key.
    (key,) = published_keys(server)
    pem = jwt.PyJWK(key).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = json.dumps({"typ": "at+jwt", "alg": "HS256", "kid": key["kid"]})
    text = f"{base64url(header.encode())}.{server.mint().split('.')[1]}"
    return f"{text}.{base64url(hmac.new(pem, text.encode(), hashlib.sha256).digest())}"


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def signed_with_an_unknown_key(server: AuthorizationServer) -> str:
    token = server.mint()
    server.rotate_keys(publish_old=False)
    return token


@pytest.mark.parametrize(
    "make",
    [without_signature, signed_with_the_public_key, signed_with_an_unknown_key, BAD_TOKENS["bad-signature"]],
    ids=["none", "public-key", "unknown-kid", "altered"],
)
def test_G04_forged_token_is_rejected(rfc: AuthorizationServer, make: Callable[[AuthorizationServer], str]) -> None:
    assert challenge(call(rfc, make(rfc))) == (401, "invalid_token")


def test_G05_every_token_has_an_id_of_its_own(rfc: AuthorizationServer) -> None:
    ids = {verified(rfc, members(ask(rfc))["access_token"])["jti"] for _ in range(10)}

    assert len(ids) == 10


# H: JWT access tokens (RFC 9068)


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_H01_token_is_signed_and_its_type_is_at_jwt(new_server: NewServer, alg: str) -> None:
    server = new_server(signing_alg=alg)
    token = members(ask(server))["access_token"]

    header = jwt.get_unverified_header(token)

    assert (header["typ"], header["alg"]) == ("at+jwt", alg)
    assert verified(server, token)


def test_H01_tokens_are_never_unsigned() -> None:
    with pytest.raises(OptionError, match="signing_alg"):
        Options(dialect="rfc6749", signing_alg="none")


@pytest.mark.parametrize(
    ("dialect", "typ"),
    [
        ("okta", None),  # okta/okta-developer-docs@4bcae26: alg and kid only
        ("sam", "JWT"),  # IdentityServer3@e6024dd
        ("entra", "JWT"),  # MicrosoftDocs/entra-docs, access-token-claims-reference.md
    ],
)
def test_H01_but_vendors_have_another_type(new_server: NewServer, dialect: str, typ: str | None) -> None:
    assert jwt.get_unverified_header(new_server(dialect).mint()).get("typ") == typ


def test_H02_token_has_the_required_claims(rfc: AuthorizationServer) -> None:
    claims = verified(rfc, members(ask(rfc))["access_token"])

    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= set(claims)
    assert claims["sub"] == claims["client_id"] == "smart-client"


@pytest.mark.parametrize(
    ("dialect", "absent", "client_claim"),
    [
        ("okta", {"client_id"}, "cid"),  # vets-api, token_200.yml
        ("sam", {"sub", "iat"}, "client_id"),  # IdentityServer3@e6024dd
        ("duende", {"sub"}, "client_id"),  # IdentityServer4@5e40bd1, whose test counts the claims
        ("entra", {"client_id", "jti"}, "azp"),  # MicrosoftDocs/entra-docs, access-token-claims-reference.md
    ],
)
def test_H02_but_vendors_leave_claims_out(
    new_server: NewServer, dialect: str, absent: set[str], client_claim: str
) -> None:
    claims = jwt.decode(new_server(dialect).mint(), options={"verify_signature": False})

    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} - set(claims) == absent
    assert claims[client_claim] == "smart-client"


def test_H03_scope_is_a_text(new_server: NewServer) -> None:
    server = new_server(scopes=("ingr.api", "ingr.admin"))

    token = members(ask(server, {"scope": "ingr.admin ingr.api"}))["access_token"]

    assert verified(server, token)["scope"] == "ingr.admin ingr.api"


@pytest.mark.parametrize(
    ("dialect", "claim", "one", "two"),
    [
        ("okta", "scp", ["a"], ["a", "b"]),  # vets-api, token_200.yml
        ("sam", "scope", "a", ["a", "b"]),  # IdentityServer3@e6024dd
        ("duende", "scope", ["a"], ["a", "b"]),  # IdentityServer4@5e40bd1
        ("entra", "roles", ["a"], ["a", "b"]),  # MicrosoftDocs/entra-docs, access-token-claims-reference.md
    ],
)
def test_H03_but_vendors_have_lists(new_server: NewServer, dialect: str, claim: str, one: Any, two: Any) -> None:
    server = new_server(dialect)

    tokens = [server.mint(scope=scope) for scope in ("a", "a b")]

    assert [jwt.decode(token, options={"verify_signature": False})[claim] for token in tokens] == [one, two]


@pytest.mark.parametrize(
    ("typ", "status"),
    [("at+jwt", 200), ("application/at+jwt", 200), ("AT+JWT", 200), ("JWT", 401), ("dpop+jwt", 401), (None, 401)],
)
def test_H04_api_rejects_a_token_of_another_type(
    rfc: AuthorizationServer, forge: Forge, typ: str | None, status: int
) -> None:
    response = call(rfc, forge(typ=typ))

    assert response.status_code == status
    assert status == 200 or challenge(response) == (401, "invalid_token")


def test_H04_opaque_token_has_no_type(new_server: NewServer) -> None:
    server = new_server(token_format="opaque")

    assert call(server, server.mint()).status_code == 200


@pytest.mark.parametrize("dialect", ["okta", "hexagon", "sam", "duende", "entra"])
def test_H04_but_the_apis_of_other_dialects_take_their_own(new_server: NewServer, dialect: str) -> None:
    server = new_server(dialect)

    assert call(server, server.mint()).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "http://idp.test/as/"},
        {"iss": "HTTP://idp.test/as"},
        {"iss": None},
        {"aud": "other"},
        {"exp": NOON},
        {"exp": None},
    ],
    ids=["slash", "case", "no-iss", "aud", "exp", "no-exp"],
)
def test_H05_issuer_audience_and_expiry_are_checked(
    rfc: AuthorizationServer, forge: Forge, claims: dict[str, Any]
) -> None:
    assert call(rfc, forge()).status_code == 200
    assert challenge(call(rfc, forge(claims))) == (401, "invalid_token")


# I: clients that sign who they are (RFC 7521, section 4.2; RFC 7523)


@pytest.fixture
def signed_request(rfc: AuthorizationServer, keys: KeySource) -> Callable[..., dict[str, Any]]:
    """Make the token request of a client that signs, good but for the claims and parameters given; None leaves out."""
    private = keys.shared().as_dict(private=True)
    rfc.register("signer", public_key=keys.shared().as_dict(private=False))

    def make(claims: Mapping[str, Any] | None = None, *, key: Any = private, alg: str = "RS256") -> dict[str, Any]:
        good = {"iss": "signer", "sub": "signer", "aud": rfc.token_url, "exp": NOON + 60, "jti": "1"}
        changed = {name: value for name, value in {**good, **(claims or {})}.items() if value is not None}
        assertion = jwt.encode(changed, jwt.PyJWK(key).key if key else "", alg)
        return {"auth": None, "form": {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}}

    return make


SignedRequest = Callable[..., dict[str, Any]]


def test_I01_one_jwt_of_the_right_type_is_accepted(rfc: AuthorizationServer, signed_request: SignedRequest) -> None:
    response = ask(rfc, **signed_request())

    assert response.status_code == 200
    assert verified(rfc, members(response)["access_token"])["client_id"] == "signer"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda jwt: {"client_assertion_type": None}, (400, "invalid_request")),
        (lambda jwt: {"client_assertion_type": "jwt-bearer"}, (400, "invalid_request")),
        (lambda jwt: {"client_assertion": [jwt, jwt]}, (400, "invalid_request")),
        (lambda jwt: {"client_assertion": f"{jwt} {jwt}"}, (401, "invalid_client")),
        (lambda jwt: {"client_assertion": None}, (401, "invalid_client")),
    ],
    ids=["no-type", "wrong-type", "repeated", "two", "none"],
)
def test_I01_anything_else_is_refused(
    rfc: AuthorizationServer, signed_request: SignedRequest, change: Callable[[str], Any], expected: tuple[int, str]
) -> None:
    request = signed_request()
    request["form"] |= change(request["form"]["client_assertion"])

    assert outcome(ask(rfc, **request)) == expected


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "other"},
        {"iss": None},
        {"sub": "stranger"},
        {"sub": None},
        {"sub": "smart-client", "iss": "smart-client"},
        {"aud": "http://other.test/token"},
        {"aud": None},
        {"exp": None},
        {"exp": NOON},
        {"nbf": NOON + 1},
    ],
    ids=str,
)
def test_I02_and_I04_wrong_claim_is_an_invalid_client(
    rfc: AuthorizationServer, signed_request: SignedRequest, claims: dict[str, Any]
) -> None:
    assert outcome(ask(rfc, **signed_request(claims))) == (401, "invalid_client")


def test_I02_audience_is_the_token_endpoint_or_the_server(
    rfc: AuthorizationServer, signed_request: SignedRequest
) -> None:
    for n, audience in enumerate((rfc.token_url, rfc.issuer, ["http://other.test", rfc.issuer])):
        assert ask(rfc, **signed_request({"aud": audience, "jti": str(n)})).status_code == 200


def test_I02_and_I04_wrong_signature_is_an_invalid_client(
    rfc: AuthorizationServer, keys: KeySource, signed_request: SignedRequest
) -> None:
    other = keys.fresh().as_dict(private=True)

    assert outcome(ask(rfc, **signed_request(key=other))) == (401, "invalid_client")
    assert outcome(ask(rfc, **signed_request(key=None, alg="none"))) == (401, "invalid_client")


def test_I03_assertion_is_good_once(rfc: AuthorizationServer, signed_request: SignedRequest) -> None:
    request = signed_request()

    assert [outcome(ask(rfc, **request)) for _ in range(2)] == [(200, None), (401, "invalid_client")]
    assert ask(rfc, **signed_request({"jti": "2"})).status_code == 200


@pytest.mark.parametrize(
    ("claims", "status"),
    [({"exp": NOON + 3600}, 200), ({"exp": NOON + 3601}, 401), ({"iat": NOON}, 200), ({"iat": NOON + 60}, 401)],
    ids=str,
)
def test_I03_assertion_far_ahead_is_refused(
    rfc: AuthorizationServer, signed_request: SignedRequest, claims: dict[str, Any], status: int
) -> None:
    assert ask(rfc, **signed_request(claims)).status_code == status


@pytest.mark.parametrize("dialect", ["sam", "duende"])
def test_I04_but_identityserver_says_so_with_400(new_server: NewServer, dialect: str) -> None:
    # IdentityServer3@e6024dd, DuendeSoftware/products@18193b5: 400 always
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "x"}

    assert outcome(ask(new_server(dialect), form, auth=None)) == (400, "invalid_client")


@pytest.mark.parametrize(
    ("client_id", "expected"), [("signer", (200, None)), ("smart-client", (401, "invalid_client"))]
)
def test_I05_client_id_in_the_body_is_the_assertions(
    rfc: AuthorizationServer, signed_request: SignedRequest, client_id: str, expected: tuple[int, str | None]
) -> None:
    request = signed_request()
    request["form"]["client_id"] = client_id

    assert outcome(ask(rfc, **request)) == expected
