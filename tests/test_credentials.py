"""Client authentication: which credentials are right, in which spelling and place, and why others are refused."""

import base64
from typing import Any
from urllib.parse import quote_plus

import pytest
from werkzeug.test import Client

from fake_server import AuthorizationServer, Exchange, Options, Reason, RegisteredClient
from fake_server.key_source import KeySource

GRANT = {"grant_type": "client_credentials", "scope": "ingr.api"}
BODY = {"client_id": "smart-client", "client_secret": "smart-secret"}


def basic(text: str | bytes, scheme: str = "Basic") -> str:
    octets = text.encode() if isinstance(text, str) else text
    return f"{scheme} {base64.b64encode(octets).decode()}"


RIGHT = basic("smart-client:smart-secret")


def ask(
    server: AuthorizationServer,
    authorization: str | None = None,
    body: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
) -> Exchange:
    """Ask for a token, and return what the journal says about it."""
    headers = {} if authorization is None else {"Authorization": authorization}
    response = Client(server).post(
        server.token_url, data=GRANT | (body or {}), headers=headers, query_string=query or {}
    )
    entry = server.token_requests[-1]
    assert response.json is not None
    assert ("access_token" in response.json) is (response.status_code == 200) is (entry.reason is None)
    return entry


# What is accepted


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("authorization", "body"),
    [
        pytest.param(RIGHT, {}, id="basic"),
        pytest.param(RIGHT.replace("Basic", "basic"), {}, id="lower-case"),
        pytest.param(RIGHT.replace("Basic", "BASIC"), {}, id="upper-case"),
        pytest.param(RIGHT.replace(" ", "   "), {}, id="more-blanks"),
        pytest.param(f" {RIGHT} ", {}, id="blanks-around"),
        pytest.param(RIGHT, {"client_id": "smart-client"}, id="same-client-id-in-the-body"),
        pytest.param(RIGHT, {"client_id": "", "client_secret": ""}, id="empty-ones-in-the-body"),
        pytest.param(None, BODY, id="body"),
    ],
)
def test_right_credentials_are_accepted(
    server: AuthorizationServer, authorization: str | None, body: dict[str, str]
) -> None:
    entry = ask(server, authorization, body)

    assert (entry.status, entry.reason, entry.client_id) == (200, None, "smart-client")


# RFC 6749, appendix B, has the last of these; with "+" and "%" the two readings differ.
@pytest.mark.parametrize("decoding", ["either", "form", "raw"])
@pytest.mark.parametrize("secret", ["a+b", "100%25", "a b", "a:b:c", "ü", " %&+£€"])
def test_basic_is_read_as_the_option_says(keys: KeySource, decoding: str, secret: str) -> None:
    server = AuthorizationServer(Options(basic_decoding=decoding), keys=keys)
    server.register("client+1", secret)

    raw = ask(server, basic(f"client+1:{secret}"))
    form = ask(server, basic(f"client%2B1:{quote_plus(secret)}"))

    assert (raw.status, form.status) == (401 if decoding == "form" else 200, 401 if decoding == "raw" else 200)


@pytest.mark.parametrize("decoding", ["either", "form", "raw"])
def test_default_client_is_the_same_in_every_reading(keys: KeySource, decoding: str) -> None:
    server = AuthorizationServer(Options(basic_decoding=decoding), keys=keys)
    client = server.register()
    pair = f"{client.client_id}:{client.client_secret}"

    assert quote_plus(pair) == pair.replace(":", "%3A")
    assert ask(server, basic(pair)).client_id == client.client_id


def test_credentials_in_latin_1_are_understood(server: AuthorizationServer) -> None:
    server.register("smart-client", "größer£")

    assert ask(server, basic("smart-client:größer£".encode("latin-1"))).status == 200


@pytest.mark.parametrize(("secret", "client_id"), [("first", "a+b"), ("second", "a b")])
def test_secret_decides_where_the_readings_name_two_clients(
    server: AuthorizationServer, secret: str, client_id: str
) -> None:
    server.register("a+b", "first")
    server.register("a b", "second")

    assert ask(server, basic(f"a+b:{secret}")).client_id == client_id


def test_client_id_in_the_body_may_be_the_decoded_one(server: AuthorizationServer) -> None:
    server.register("a b", "secret")

    assert ask(server, basic("a+b:secret"), {"client_id": "a b"}).client_id == "a b"


def test_body_credentials_are_never_decoded_twice(server: AuthorizationServer) -> None:
    server.register("smart-client", "a+b")

    assert ask(server, body={"client_id": "smart-client", "client_secret": "a+b"}).status == 200
    assert ask(server, body={"client_id": "smart-client", "client_secret": "a%2Bb"}).reason is Reason.WRONG_SECRET


# What is refused

WRONG: list[Any] = [
    pytest.param(
        {},
        Reason.NO_CREDENTIALS,
        "the request has no Authorization header, and the body has no client_id; send one of them",
        id="none",
    ),
    pytest.param(
        {"body": {"client_id": "smart-client"}},
        Reason.MISSING_SECRET,
        "the request has no Authorization header, and the body has no client_secret; send one of them",
        id="body-without-secret",
    ),
    pytest.param(
        {"body": {"client_secret": "smart-secret"}},
        Reason.NO_CREDENTIALS,
        "the request has no Authorization header, and the body has no client_id; send one of them",
        id="body-without-id",
    ),
    pytest.param({"body": BODY | {"client_secret": ""}}, Reason.MISSING_SECRET, None, id="body-with-empty-secret"),
    pytest.param(
        {"authorization": "Bearer abc"},
        Reason.WRONG_SCHEME,
        "the Authorization header's scheme is Bearer; the token endpoint takes Basic",
        id="bearer",
    ),
    pytest.param({"authorization": RIGHT.removeprefix("Basic ")}, Reason.WRONG_SCHEME, None, id="no-scheme"),
    pytest.param({"authorization": RIGHT.replace(" ", "")}, Reason.WRONG_SCHEME, None, id="no-blank"),
    pytest.param({"authorization": ""}, Reason.WRONG_SCHEME, None, id="empty-header"),
    pytest.param({"authorization": "Basic a"}, Reason.MALFORMED_BASIC, None, id="no-base64"),
    pytest.param({"authorization": RIGHT[:-1]}, Reason.MALFORMED_BASIC, None, id="cut-short"),
    pytest.param({"authorization": "Basic smart-client:smart-secret"}, Reason.MALFORMED_BASIC, None, id="not-encoded"),
    pytest.param({"authorization": "Basic £"}, Reason.MALFORMED_BASIC, None, id="not-ascii"),
    pytest.param({"authorization": f"{RIGHT}, {RIGHT}"}, Reason.MALFORMED_BASIC, None, id="twice"),
    pytest.param(
        {"authorization": basic("smart-client")},
        Reason.BASIC_WITHOUT_COLON,
        "the base64 after Basic holds the client_id 'smart-client' alone; encode client_id:client_secret",
        id="no-colon",
    ),
    pytest.param({"authorization": "Basic"}, Reason.BASIC_WITHOUT_COLON, None, id="nothing-after-the-scheme"),
    pytest.param(
        {"authorization": basic("smart-client%3Asmart-secret")}, Reason.BASIC_WITHOUT_COLON, None, id="encoded-colon"
    ),
    pytest.param(
        {"authorization": basic("stranger:smart-secret")},
        Reason.UNKNOWN_CLIENT,
        "no client is registered as 'stra'… (8 characters); registered: 'smart-client'",
        id="unknown",
    ),
    pytest.param({"authorization": basic("Smart-Client:smart-secret")}, Reason.UNKNOWN_CLIENT, None, id="case-of-id"),
    pytest.param({"authorization": basic(" smart-client:smart-secret")}, Reason.UNKNOWN_CLIENT, None, id="blank-in-id"),
    pytest.param({"authorization": basic(":smart-secret")}, Reason.UNKNOWN_CLIENT, None, id="empty-id"),
    pytest.param({"body": BODY | {"client_id": "x"}}, Reason.UNKNOWN_CLIENT, None, id="unknown-in-the-body"),
    pytest.param(
        {"authorization": basic("smart-client:wrong")},
        Reason.WRONG_SECRET,
        "the secret of 'smart-client' is wrong: 5 characters came, 12 are registered",
        id="wrong",
    ),
    pytest.param(
        {"authorization": basic("smart-client:other-secret")},
        Reason.WRONG_SECRET,
        "the secret of 'smart-client' is wrong, though its length (12 characters) is right",
        id="wrong-of-the-right-length",
    ),
    pytest.param({"authorization": basic("smart-client:smart-secret\n")}, Reason.WRONG_SECRET, None, id="line-feed"),
    pytest.param({"authorization": basic("smart-client:")}, Reason.WRONG_SECRET, None, id="empty-secret"),
    pytest.param(
        {"authorization": basic("smart-client::smart-secret")}, Reason.WRONG_SECRET, None, id="split-at-first-colon"
    ),
    pytest.param({"body": BODY | {"client_secret": "x"}}, Reason.WRONG_SECRET, None, id="wrong-in-the-body"),
    pytest.param(
        {"authorization": RIGHT, "body": BODY},
        Reason.MULTIPLE_CREDENTIALS,
        "the request has an Authorization header and a client_secret in its body; send one of them",
        id="basic-and-body",
    ),
    pytest.param(
        {"authorization": "Bearer abc", "body": BODY}, Reason.MULTIPLE_CREDENTIALS, None, id="bearer-and-body"
    ),
    pytest.param(
        {"authorization": RIGHT, "body": {"client_id": "other"}},
        Reason.MULTIPLE_CREDENTIALS,
        "the client_id in the body is not the one in the Authorization header; send one client_id",
        id="another-client-id-in-the-body",
    ),
    pytest.param(
        {"query": BODY},
        Reason.CREDENTIALS_IN_QUERY,
        "client_id and client_secret came in the URL's query, where logs keep them; send the Authorization header",
        id="query",
    ),
    pytest.param(
        {"authorization": RIGHT, "query": {"client_id": "smart-client"}},
        Reason.CREDENTIALS_IN_QUERY,
        None,
        id="basic-and-id-in-the-query",
    ),
    pytest.param(
        {"body": BODY, "query": {"client_secret": ""}},
        Reason.CREDENTIALS_IN_QUERY,
        None,
        id="body-and-empty-secret-in-the-query",
    ),
]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(("request_", "reason", "diagnosis"), WRONG)
def test_wrong_credentials_are_refused_for_their_reason(
    server: AuthorizationServer, request_: dict[str, Any], reason: Reason, diagnosis: str | None
) -> None:
    entry = ask(server, **request_)

    assert entry.reason is reason
    assert diagnosis in (None, entry.diagnosis)


def test_server_without_clients_says_so(server: AuthorizationServer) -> None:
    entry = ask(server, RIGHT)

    assert entry.reason is Reason.UNKNOWN_CLIENT
    assert entry.diagnosis == "no client is registered at all; call register() first"


def test_query_without_credentials_does_not_matter(server: AuthorizationServer, client: RegisteredClient) -> None:
    assert ask(server, RIGHT, query={"tenant": "a"}).status == 200


def test_disabled_client_is_refused_until_it_is_enabled(server: AuthorizationServer, client: RegisteredClient) -> None:
    client.disable()
    disabled = ask(server, RIGHT)
    client.enable()
    enabled = ask(server, RIGHT)

    assert (disabled.reason, disabled.client_id) == (Reason.DISABLED_CLIENT, "smart-client")
    assert disabled.diagnosis == "the client 'smart-client' is disabled"
    assert enabled.status == 200


def test_wrong_secret_of_a_disabled_client_is_a_wrong_secret(
    server: AuthorizationServer, client: RegisteredClient
) -> None:
    client.disable()

    assert ask(server, basic("smart-client:wrong")).reason is Reason.WRONG_SECRET


@pytest.mark.parametrize(
    ("allowed", "accepted", "refused"),
    [
        ("client_secret_basic", {"authorization": RIGHT}, {"body": BODY}),
        ("client_secret_post", {"body": BODY}, {"authorization": RIGHT}),
    ],
)
def test_server_may_allow_one_way_to_authenticate(
    keys: KeySource, allowed: str, accepted: dict[str, Any], refused: dict[str, Any]
) -> None:
    server = AuthorizationServer(Options(client_auth=(allowed,)), keys=keys)
    server.register("smart-client", "smart-secret")

    assert ask(server, **accepted).status == 200
    assert ask(server, **refused).reason is Reason.AUTH_METHOD_NOT_ALLOWED


def test_refused_way_to_authenticate_is_named(keys: KeySource) -> None:
    server = AuthorizationServer(Options(client_auth=("client_secret_basic",)), keys=keys)

    entry = ask(server, body=BODY)

    assert entry.diagnosis == (
        "the client authenticated by client_secret_post; this server allows client_secret_basic only"
    )


def test_clients_of_one_server_are_unknown_to_another(server: AuthorizationServer, keys: KeySource) -> None:
    other = AuthorizationServer(keys=keys)
    other.register("smart-client", "smart-secret")

    assert ask(other, RIGHT).status == 200
    assert ask(server, RIGHT).reason is Reason.UNKNOWN_CLIENT
