"""Diagnoses: each way to go wrong that a request shows is told in one sentence, without a secret and without a token.

A row is a request, the reason it is refused for, and the sentence in the journal, word for word.
"""

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.test import Client

from fake_server import AuthorizationServer, Exchange, Listener, Options, Reason
from fake_server.diagnoses import shorten
from fake_server.key_source import KeySource

NOON = 1772366400
FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials", "scope": "ingr.api"}
SECRET = "Smart->Secret~1x"  # of which base64 has a plus, and needs padding
OTHER_SECRET, EARLIER_SECRET = "Other/Secret?2", "Earlier$Secret"
SECRETS = (SECRET, OTHER_SECRET, EARLIER_SECRET)


def in_base64(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def basic(text: str | bytes) -> dict[str, Any]:
    return authorized_by(f"Basic {in_base64(text)}")


def authorized_by(value: str) -> dict[str, Any]:
    return {"headers": {"Authorization": value}}


def posted(client_id: str = "smart-client", client_secret: str = SECRET, **more: str) -> dict[str, Any]:
    return {"data": GRANT | {"client_id": client_id, "client_secret": client_secret} | more}


PAIR = f"smart-client:{SECRET}"
URL_SAFE = base64.urlsafe_b64encode(PAIR.encode()).decode()
JSON = json.dumps(GRANT | {"client_id": "smart-client", "client_secret": SECRET}, indent=2)
WRONG = "the secret of 'smart-client' "
NO_CREDENTIALS = "the request has no Authorization header, and "


@pytest.fixture
def idp(keys: KeySource) -> AuthorizationServer:
    """A server with two clients, one of whom had another secret before, and one who signs who he is."""
    idp = AuthorizationServer(Options(scopes=("ingr.api", "ingr.admin")), base_url="http://idp.test/as", keys=keys)
    idp.clock.freeze()
    idp.clock.move_to(NOON)
    idp.register("smart-client", EARLIER_SECRET).rotate_secret(SECRET)
    idp.register("other-client", OTHER_SECRET)
    idp.register("signing-client", public_key=dict(keys.shared().as_dict(private=False)))
    return idp


def ask(server: AuthorizationServer, request: dict[str, Any]) -> Exchange:
    """Ask for a token, and return what the journal says about it."""
    Client(server).post(server.token_url, **{"data": GRANT} | request)
    return server.token_requests[-1]


# The token endpoint

TOKEN_REQUESTS: list[tuple[str, dict[str, Any], Reason, str]] = [
    # The secret
    (
        "newline-after-the-secret",
        basic(PAIR + "\n"),
        Reason.WRONG_SECRET,
        WRONG + "ends in a newline: 17 characters came, 16 are registered",
    ),
    (
        "newline-of-windows-in-the-body",
        posted(client_secret=SECRET + "\r\n"),
        Reason.WRONG_SECRET,
        WRONG + "ends in a newline: 18 characters came, 16 are registered",
    ),
    (
        "blank-after-the-secret",
        basic(PAIR + " "),
        Reason.WRONG_SECRET,
        WRONG + "ends in white space: 17 characters came, 16 are registered",
    ),
    (
        "blank-before-the-secret",
        posted(client_secret=" " + SECRET),
        Reason.WRONG_SECRET,
        WRONG + "begins with white space: 17 characters came, 16 are registered",
    ),
    (
        "blanks-around-the-secret",
        posted(client_secret=f" {SECRET}\n"),
        Reason.WRONG_SECRET,
        WRONG + "has white space around it: 18 characters came, 16 are registered",
    ),
    (
        "secret-in-quotes",
        posted(client_secret=f'"{SECRET}"'),
        Reason.WRONG_SECRET,
        WRONG + "is in quotes: 18 characters came, 16 are registered",
    ),
    (
        "byte-order-mark",
        posted(client_secret="\ufeff" + SECRET),
        Reason.WRONG_SECRET,
        WRONG + "begins with a byte order mark: 17 characters came, 16 are registered",
    ),
    (
        "secret-encoded-twice-in-the-body",
        posted(client_secret="Smart-%3ESecret~1x"),
        Reason.WRONG_SECRET,
        WRONG + "is percent-encoded once too often: 18 characters came, 16 are registered",
    ),
    (
        "secret-encoded-twice-in-basic",
        basic("smart-client:Smart-%253ESecret~1x"),
        Reason.WRONG_SECRET,
        WRONG + "is percent-encoded more than once: 20 characters came, 16 are registered",
    ),
    (
        "secret-in-base64",
        posted(client_secret=in_base64(SECRET)),
        Reason.WRONG_SECRET,
        WRONG + "is base64-encoded: 24 characters came, 16 are registered",
    ),
    (
        "secret-of-another-client",
        basic(f"smart-client:{OTHER_SECRET}"),
        Reason.WRONG_SECRET,
        "the secret that came for 'smart-client' is that of 'other-client'",
    ),
    (
        "earlier-secret",
        basic(f"smart-client:{EARLIER_SECRET}"),
        Reason.WRONG_SECRET,
        "the secret that came for 'smart-client' is an earlier one: it was rotated since",
    ),
    (
        "id-twice",
        basic("smart-client:smart-client"),
        Reason.WRONG_SECRET,
        "the client_id 'smart-client' came as the secret, too",
    ),
    (
        "secret-in-lower-case",
        posted(client_secret=SECRET.lower()),
        Reason.WRONG_SECRET,
        WRONG + "is right but for upper and lower case",
    ),
    (
        "secret-cut-short",
        basic("smart-client:Smart"),
        Reason.WRONG_SECRET,
        WRONG + "is cut short: 5 characters came, 16 are registered",
    ),
    (
        "secret-cut-to-a-letter",
        basic("smart-client:S"),
        Reason.WRONG_SECRET,
        WRONG + "is cut short: 1 character came, 16 are registered",
    ),
    (
        "comment-after-the-secret",
        posted(client_secret=SECRET + " # of the test tenant"),
        Reason.WRONG_SECRET,
        WRONG + "has something before or after it: 37 characters came, 16 are registered",
    ),
    (
        "empty-secret-in-basic",
        basic("smart-client:"),
        Reason.WRONG_SECRET,
        WRONG + "came empty: is the setting that holds it set?",
    ),
    (
        "other-secret",
        basic("smart-client:changeme"),
        Reason.WRONG_SECRET,
        WRONG + "is wrong: 8 characters came, 16 are registered",
    ),
    (
        "other-secret-of-the-same-length",
        basic("smart-client:Smart->Secret~2x"),
        Reason.WRONG_SECRET,
        WRONG + "is wrong, though its length (16 characters) is right",
    ),
    (
        "client-without-a-secret",
        posted("signing-client"),
        Reason.WRONG_SECRET,
        "'signing-client' has no secret: it was registered with a public_key, and must send a client_assertion",
    ),
    # The client_id
    (
        "swapped-in-basic",
        basic(f"{SECRET}:smart-client"),
        Reason.UNKNOWN_CLIENT,
        "client_id and client_secret of 'smart-client' are swapped",
    ),
    (
        "swapped-in-the-body",
        posted(SECRET, "smart-client"),
        Reason.UNKNOWN_CLIENT,
        "client_id and client_secret of 'smart-client' are swapped",
    ),
    (
        "secret-twice",
        posted(SECRET, SECRET),
        Reason.UNKNOWN_CLIENT,
        "the secret of 'smart-client' came as the client_id",
    ),
    (
        "newline-after-the-id",
        posted("smart-client\n"),
        Reason.UNKNOWN_CLIENT,
        "the client_id 'smart-client' ends in a newline: 13 characters came, it has 12",
    ),
    (
        "id-in-upper-case",
        posted("SMART-CLIENT"),
        Reason.UNKNOWN_CLIENT,
        "the client_id 'smart-client' came in another case",
    ),
    (
        "utf-16",
        basic(PAIR.encode("utf-16-le")),
        Reason.UNKNOWN_CLIENT,
        "the client_id 'smart-client' is in UTF-16, not UTF-8: 24 characters came, it has 12",
    ),
    (
        "empty-id-in-basic",
        basic(f":{SECRET}"),
        Reason.UNKNOWN_CLIENT,
        "the client_id came empty: is the setting that holds it set? "
        "registered: 'smart-client', 'other-client', 'signing-client'",
    ),
    (
        "unknown-id",
        posted("stranger"),
        Reason.UNKNOWN_CLIENT,
        "no client is registered as 'stra'… (8 characters); "
        "registered: 'smart-client', 'other-client', 'signing-client'",
    ),
    (
        "id-of-another-server",
        posted("0oa0123456789abcdef0"),
        Reason.UNKNOWN_CLIENT,
        "no client is registered as '0oa0'… (20 characters); "
        "registered: 'smart-client', 'other-client', 'signing-client'; "
        "is it that of another test's server, kept from there?",
    ),
    # The Authorization header
    (
        "base64-of-the-url-alphabet",
        authorized_by(f"Basic {URL_SAFE}"),
        Reason.MALFORMED_BASIC,
        "the base64 after Basic is of the URL alphabet, with - and _; Basic takes the one with + and /",
    ),
    (
        "base64-of-the-url-alphabet-without-padding",
        authorized_by(f"Basic {URL_SAFE.rstrip('=')}"),
        Reason.MALFORMED_BASIC,
        "the base64 after Basic is of the URL alphabet, with - and _; Basic takes the one with + and /",
    ),
    (
        "base64-without-padding",
        authorized_by(f"Basic {in_base64(PAIR).rstrip('=')}"),
        Reason.MALFORMED_BASIC,
        "the base64 after Basic lacks padding (=) or its end: 39 characters came, no multiple of four",
    ),
    (
        "not-encoded-at-all",
        authorized_by(f"Basic {PAIR}"),
        Reason.MALFORMED_BASIC,
        "what follows Basic is client_id:client_secret itself; encode it in base64",
    ),
    (
        "encoded-twice",
        basic(in_base64(PAIR)),
        Reason.BASIC_WITHOUT_COLON,
        "the credentials after Basic are base64-encoded twice",
    ),
    (
        "base64-in-lines",
        authorized_by(f"Basic {in_base64(PAIR)[:16]} {in_base64(PAIR)[16:]}"),
        Reason.MALFORMED_BASIC,
        "what follows Basic has white space in it; send the base64 in one piece: "
        "some encoders break lines after 76 characters",
    ),
    (
        "scheme-twice",
        authorized_by(f"Basic Basic {in_base64(PAIR)}"),
        Reason.MALFORMED_BASIC,
        "the word Basic came twice in the Authorization header",
    ),
    (
        "header-twice",
        authorized_by(f"Basic {in_base64(PAIR)}, Basic {in_base64(PAIR)}"),
        Reason.MALFORMED_BASIC,
        "the Authorization header came twice, or holds two credentials",
    ),
    (
        "base64-in-quotes",
        authorized_by(f'Basic "{in_base64(PAIR)}"'),
        Reason.MALFORMED_BASIC,
        "what follows Basic is not base64: it has '\"' where that cannot be",
    ),
    (
        "dash-and-no-base64",
        authorized_by("Basic smart-client"),
        Reason.MALFORMED_BASIC,
        "what follows Basic is not base64: it has '-' where that cannot be",
    ),
    (
        "padding-in-the-middle",
        authorized_by("Basic c21h=cnQ"),
        Reason.MALFORMED_BASIC,
        "what follows Basic is not base64: it has '=' where that cannot be",
    ),
    (
        "nothing-after-basic",
        authorized_by("Basic "),
        Reason.BASIC_WITHOUT_COLON,
        "nothing follows Basic in the Authorization header",
    ),
    (
        "colon-percent-encoded",
        basic("smart-client%3ASecret"),
        Reason.BASIC_WITHOUT_COLON,
        "the colon after Basic is percent-encoded; encode client_id and client_secret, and then join them by :",
    ),
    (
        "id-alone",
        basic("smart-client"),
        Reason.BASIC_WITHOUT_COLON,
        "the base64 after Basic holds the client_id 'smart-client' alone; encode client_id:client_secret",
    ),
    (
        "secret-alone",
        basic(SECRET),
        Reason.BASIC_WITHOUT_COLON,
        "the base64 after Basic holds no colon; encode client_id:client_secret, in one piece",
    ),
    (
        "no-scheme",
        authorized_by(in_base64(PAIR)),
        Reason.WRONG_SCHEME,
        "the Authorization header has no scheme; write Basic and a blank before what is there",
    ),
    (
        "empty-header",
        authorized_by(""),
        Reason.WRONG_SCHEME,
        "the Authorization header is empty; send Basic and the base64 of client_id:client_secret",
    ),
    (
        "bearer",
        authorized_by("Bearer opaque"),
        Reason.WRONG_SCHEME,
        "the Authorization header's scheme is Bearer; the token endpoint takes Basic",
    ),
    (
        "secret-for-a-scheme",
        authorized_by(f"{SECRET} smart-client"),
        Reason.WRONG_SCHEME,
        "the Authorization header's scheme is 'Smar'… (16 characters); the token endpoint takes Basic",
    ),
    # The body
    (
        "json",
        {"data": JSON, "content_type": "application/json"},
        Reason.WRONG_CONTENT_TYPE,
        f"the body is announced as 'application/json'; send {FORM}; in requests and httpx pass data=, not json=",
    ),
    (
        "json-announced-as-a-form",
        {"data": JSON, "content_type": FORM},
        Reason.NO_CREDENTIALS,
        NO_CREDENTIALS + "the body is JSON, not a form, and so has no client_id; send one of them",
    ),
    (
        "json-announced-as-a-form-beside-basic",
        {"data": JSON, "content_type": FORM} | basic(PAIR),
        Reason.MISSING_GRANT_TYPE,
        "the body is JSON, not a form, and so has no grant_type; send grant_type=client_credentials",
    ),
    (
        "not-quite-json",
        {"data": "{" * 60_000, "content_type": FORM} | basic(PAIR),
        Reason.MISSING_GRANT_TYPE,
        "the body has no grant_type; send grant_type=client_credentials",
    ),
    (
        "json-too-deep-to-read",
        {"data": "[" * 32_000 + "]" * 32_000, "content_type": FORM} | basic(PAIR),
        Reason.MISSING_GRANT_TYPE,
        "the body is JSON, not a form, and so has no grant_type; send grant_type=client_credentials",
    ),
    (
        "no-credentials",
        {},
        Reason.NO_CREDENTIALS,
        NO_CREDENTIALS + "the body has no client_id; send one of them",
    ),
    (
        "no-secret",
        {"data": GRANT | {"client_id": "smart-client"}},
        Reason.MISSING_SECRET,
        NO_CREDENTIALS + "the body has no client_secret; send one of them",
    ),
    (
        "empty-secret-in-the-body",
        posted(client_secret=""),
        Reason.MISSING_SECRET,
        NO_CREDENTIALS + "client_secret is empty in the body; send one of them",
    ),
    (
        "grant-type-in-the-query",
        {"data": {"scope": "ingr.api"}, "query_string": {"grant_type": "client_credentials"}} | basic(PAIR),
        Reason.MISSING_GRANT_TYPE,
        "grant_type came in the URL's query, and belongs in the body; send grant_type=client_credentials",
    ),
    # The scope
    (
        "scope-in-the-query",
        {"data": {"grant_type": "client_credentials"}, "query_string": {"scope": "ingr.api"}} | basic(PAIR),
        Reason.MISSING_SCOPE,
        "scope came in the URL's query, and belongs in the body, and the server has no default_scopes; "
        "send scope=ingr.api ingr.admin",
    ),
    (
        "scope-in-another-case",
        posted(scope="Ingr.API"),
        Reason.UNKNOWN_SCOPE,
        "'Ingr.API' is not a scope of this server, which has ingr.api ingr.admin; "
        "scopes are case-sensitive: send 'ingr.api'",
    ),
    (
        "scopes-joined-by-commas",
        posted(scope="ingr.api,ingr.admin"),
        Reason.UNKNOWN_SCOPE,
        "'ingr.api,ingr.admin' is not a scope of this server, which has ingr.api ingr.admin; "
        "scopes are parted by blanks, not by commas",
    ),
    (
        "scopes-joined-by-semicolons",
        posted(scope="ingr.api;ingr.admin;"),
        Reason.UNKNOWN_SCOPE,
        "'ingr.api;ingr.admin;' is not a scope of this server, which has ingr.api ingr.admin; "
        "scopes are parted by blanks, not by semicolons",
    ),
    (
        "plus-encoded-twice",
        posted(scope="ingr.api+ingr.admin"),
        Reason.UNKNOWN_SCOPE,
        "'ingr.api+ingr.admin' is not a scope of this server, which has ingr.api ingr.admin; "
        "the blanks were encoded twice: + stands in the value",
    ),
    (
        "percent-encoded-twice",
        posted(scope="ingr.api%20ingr.admin"),
        Reason.UNKNOWN_SCOPE,
        "'ingr.api%20ingr.admin' is not a scope of this server, which has ingr.api ingr.admin; "
        "the blanks were encoded twice: %20 stands in the value",
    ),
    (
        "scope-in-single-quotes",
        posted(scope="'ingr.api'"),
        Reason.UNKNOWN_SCOPE,
        "\"'ingr.api'\" is not a scope of this server, which has ingr.api ingr.admin; 'ingr.api' is in quotes",
    ),
    (
        "audience-for-a-scope",
        posted(scope="8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915"),
        Reason.UNKNOWN_SCOPE,
        "'8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915' is not a scope of this server, which has ingr.api ingr.admin; "
        "it is the audience, which the dialects hexagon and sam take for a scope",
    ),
    (
        "scope-of-entra",
        posted(scope="api://tags/.default"),
        Reason.UNKNOWN_SCOPE,
        "'api://tags/.default' is not a scope of this server, which has ingr.api ingr.admin; "
        "scopes that end in /.default are the dialect entra's",
    ),
    (
        "scope-with-nothing-to-say-about",
        posted(scope="tags,ingr.api"),
        Reason.UNKNOWN_SCOPE,
        "'tags,ingr.api' is not a scope of this server, which has ingr.api ingr.admin",
    ),
    (
        "scope-in-double-quotes",
        posted(scope='"ingr.api"'),
        Reason.MALFORMED_SCOPE,
        "scope '\"ingr.api\"' is not words parted by one space each: it has '\"' in it",
    ),
    (
        "blank-after-the-scope",
        posted(scope="ingr.api "),
        Reason.MALFORMED_SCOPE,
        "scope 'ingr.api ' is not words parted by one space each: it has a blank too many",
    ),
    (
        "scopes-in-a-list",
        {"data": GRANT | {"scope": ["ingr.api", "ingr.admin"]}} | basic(PAIR),
        Reason.DUPLICATED_PARAMETER,
        "the body has 'scope' 2 times; send it once, its words parted by blanks",
    ),
]


@pytest.mark.parametrize(
    ("request_", "reason", "diagnosis"),
    [(request, reason, diagnosis) for _, request, reason, diagnosis in TOKEN_REQUESTS],
    ids=[name for name, *_ in TOKEN_REQUESTS],
)
def test_refused_token_request_is_told_its_cause(
    idp: AuthorizationServer, request_: dict[str, Any], reason: Reason, diagnosis: str
) -> None:
    entry = ask(idp, request_)

    assert (entry.reason, entry.diagnosis) == (reason, diagnosis)
    assert not any(secret in str(entry) for secret in (*SECRETS, "changeme", in_base64(PAIR)))


@pytest.mark.parametrize(
    ("decoding", "secret", "diagnosis"),
    [
        ("form", "Smart+Secret", "came raw, and is form-decoded here: send it form-encoded (RFC 6749, section 2.3.1)"),
        ("form", "Smart%252BSecret", "is percent-encoded once too often: 14 characters came, 12 are registered"),
        ("raw", "Smart%2BSecret", "is percent-encoded once too often: 14 characters came, 12 are registered"),
    ],
    ids=["raw-for-form", "twice-for-form", "form-for-raw"],
)
def test_secret_in_the_wrong_encoding_is_told_which_is_right(
    keys: KeySource, decoding: str, secret: str, diagnosis: str
) -> None:
    server = AuthorizationServer(Options(basic_decoding=decoding), keys=keys)
    server.register("smart-client", "Smart+Secret")

    entry = ask(server, basic(f"smart-client:{secret}"))

    assert (entry.reason, entry.diagnosis) == (Reason.WRONG_SECRET, WRONG + diagnosis)


def test_server_without_clients_says_so(keys: KeySource) -> None:
    entry = ask(AuthorizationServer(keys=keys), basic(PAIR))

    assert entry.reason is Reason.UNKNOWN_CLIENT
    assert entry.diagnosis == "no client is registered at all; call register() first"


def test_missing_scope_of_entra_is_told_what_to_send(keys: KeySource) -> None:
    server = AuthorizationServer(Options(dialect="entra", audience="api://tags", default_scopes="ingr.api"), keys=keys)  # type: ignore[arg-type]
    server.register("smart-client", SECRET)

    entry = ask(server, posted(scope=""))

    assert entry.reason is Reason.MISSING_SCOPE
    assert entry.diagnosis == "scope is empty in the body; send scope=api://tags/.default"


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """A socket, as no WSGI door hands on the names of headers with an underscore."""
    with Listener() as listener:
        yield listener


@pytest.mark.parametrize(
    ("headers", "diagnosis"),
    [
        ({"content_type": FORM}, "; content_type, with an underscore, is another header"),
        ({"Content_Type": FORM, "X_Other": "1"}, "; Content_Type, with an underscore, is another header"),
        ({"X_Other": "1"}, ""),
    ],
    ids=["underscore", "capitals", "other"],
)
def test_header_with_an_underscore_is_told_to_be_another(
    listener: Listener, headers: dict[str, str], diagnosis: str
) -> None:
    server = listener.serve()
    address = urlsplit(server.token_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)

    connection.request("POST", address.path, b"grant_type=client_credentials", headers)
    status = connection.getresponse().status
    connection.close()

    (entry,) = server.token_requests
    assert (status, entry.reason) == (400, Reason.MISSING_CONTENT_TYPE)
    assert entry.diagnosis == f"the request has no Content-Type header; send {FORM}{diagnosis}"


# The API


@dataclass(frozen=True)
class Case:
    """What is at hand for a request: the server, a good token of its, and the source of its keys."""

    idp: AuthorizationServer
    token: str
    keys: KeySource

    def minted(self, **claims: Any) -> str:
        return self.idp.mint(claims=claims)

    def of_another_server(self) -> str:
        other = AuthorizationServer(base_url="http://idp.test/earlier", keys=self.keys)
        other.register()
        return other.mint()

    def with_signature(self, change: Callable[[str], str]) -> str:
        head, _, signature = self.token.rpartition(".")
        return f"{head}.{change(signature)}"


NO_JWT = "what came as a token, {length} characters, is not a JWT: "
BY_CLOCK = " by the server's clock"
API_REQUESTS: list[tuple[str, Callable[[Case], str], Reason, str]] = [
    (
        "of-another-server",
        lambda it: f"Bearer {it.of_another_server()}",
        Reason.FOREIGN_TOKEN,
        "the token was issued by 'http://idp.test/earlier', not by this server, 'http://idp.test/as': "
        "does the code under test keep tokens in a module, from one test to the next?",
    ),
    (
        "expired",
        lambda it: f"Bearer {it.minted(exp=NOON - 7)}",
        Reason.EXPIRED_TOKEN,
        "the token expired 7 s ago" + BY_CLOCK,
    ),
    (
        "not-yet-valid",
        lambda it: f"Bearer {it.minted(nbf=NOON + 60)}",
        Reason.TOKEN_NOT_YET_VALID,
        "the token is valid in 60 s" + BY_CLOCK,
    ),
    (
        "altered-in-its-signature",
        lambda it: f"Bearer {it.with_signature(lambda text: ('B' if text[0] == 'A' else 'A') + text[1:])}",
        Reason.BAD_SIGNATURE,
        "the token's signature is not this server's: it was altered or forged",
    ),
    (
        "without-bearer",
        lambda it: it.token,
        Reason.NO_TOKEN,
        "the token stands in the Authorization header without Bearer before it",
    ),
    (
        "bearer-with-a-colon",
        lambda it: f"Bearer: {it.token}",
        Reason.NO_TOKEN,
        "a blank, and nothing else, must part Bearer and the token",
    ),
    (
        "bearer-without-a-blank",
        lambda it: f"Bearer{it.token}",
        Reason.NO_TOKEN,
        "a blank, and nothing else, must part Bearer and the token",
    ),
    ("in-quotes", lambda it: f'Bearer "{it.token}"', Reason.MALFORMED_TOKEN, NO_JWT + "it is in quotes"),
    ("header-in-quotes", lambda it: f"'Bearer {it.token}'", Reason.NO_TOKEN, "the Authorization header is in quotes"),
    (
        "empty-header",
        lambda it: " ",
        Reason.NO_TOKEN,
        "the Authorization header is empty; send Authorization: Bearer <token>",
    ),
    (
        "basic",
        lambda it: f"Basic {in_base64(PAIR)}",
        Reason.NO_TOKEN,
        "the Authorization header's scheme is Basic, not Bearer",
    ),
    (
        "unknown-scheme",
        lambda it: f"access_token {it.token}",
        Reason.NO_TOKEN,
        "the Authorization header's scheme is 'acce'… (12 characters), not Bearer",
    ),
    (
        "scheme-alone",
        lambda it: "Token",
        Reason.NO_TOKEN,
        "the Authorization header's scheme is Token, not Bearer",
    ),
    (
        "cut-short-in-the-middle",
        lambda it: f"Bearer {it.token[: len(it.token) // 3]}",
        Reason.MALFORMED_TOKEN,
        NO_JWT + "it is cut short: 2 of 3 parts came",
    ),
    (
        "cut-short-in-its-header",
        lambda it: f"Bearer {it.token[:20]}",
        Reason.MALFORMED_TOKEN,
        NO_JWT + "it is cut short: 1 of 3 parts came",
    ),
    (
        "cut-short-in-its-signature",
        lambda it: f"Bearer {it.token[:-2]}",
        Reason.BAD_SIGNATURE,
        "the token is cut short: its signature has 340 characters, 342 are right",
    ),
    (
        "something-after-it",
        lambda it: f"Bearer {it.token}AAAA",
        Reason.BAD_SIGNATURE,
        "the token has something after it: its signature has 346 characters, 342 are right",
    ),
    (
        "bearer-twice",
        lambda it: f"Bearer Bearer {it.token}",
        Reason.MALFORMED_TOKEN,
        NO_JWT + "it begins with Bearer once more",
    ),
    (
        "none",
        lambda it: "Bearer None",
        Reason.MALFORMED_TOKEN,
        NO_JWT + "it is the word 'None': the code under test sent a token that it has not got",
    ),
    (
        "method-not-called",
        lambda it: "Bearer <bound method TokenClient.token of …>".encode().decode("latin-1"),
        Reason.MALFORMED_TOKEN,
        NO_JWT + "it is an object's repr, or a placeholder: is a method not called?",
    ),
    ("two-words", lambda it: f"Bearer {it.token} 3600", Reason.MALFORMED_TOKEN, NO_JWT + "it has white space in it"),
    (
        "opaque",
        lambda it: "Bearer opaque",
        Reason.MALFORMED_TOKEN,
        NO_JWT + "it is not three parts of base64url, parted by dots",
    ),
    (
        "whole-answer",
        lambda it: f"Bearer {{'access_token': '{it.token}', 'expires_in': 3600}}",
        Reason.MULTIPLE_TOKENS,
        "what follows Bearer is the token endpoint's whole answer; send its access_token alone",
    ),
    (
        "header-twice",
        lambda it: f"Bearer {it.token}, Bearer {it.token}",
        Reason.MULTIPLE_TOKENS,
        "the Authorization header came twice, or holds two tokens",
    ),
]


@pytest.mark.parametrize(
    ("authorization", "reason", "diagnosis"),
    [(authorization, reason, diagnosis) for _, authorization, reason, diagnosis in API_REQUESTS],
    ids=[name for name, *_ in API_REQUESTS],
)
def test_refused_api_request_is_told_its_cause(
    idp: AuthorizationServer, keys: KeySource, authorization: Callable[[Case], str], reason: Reason, diagnosis: str
) -> None:
    case = Case(idp, idp.mint("smart-client"), keys)
    header = authorization(case)

    Client(idp).get(idp.api.url + "/Tags", headers={"Authorization": header})

    entry, presented = idp.api_requests[-1], header.removeprefix("Bearer").strip()
    assert entry.reason is reason
    assert entry.diagnosis == diagnosis.format(length=len(presented))
    assert case.token not in str(entry)
    assert not any(part in str(entry) for part in presented.split(".") if len(part) > 20)


# What is shown of a word that may be a secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "''"),
        ("abcd", "'abcd'"),
        ("abcde", "'abcd'… (5 characters)"),
        ("a\nb'\ud800" * 10_000, '"a\\nb\'"… (50000 characters)'),
    ],
    ids=["empty", "four", "five", "huge"],
)
def test_no_more_than_four_characters_are_shown(text: str, shown: str) -> None:
    assert shorten(text) == shown
