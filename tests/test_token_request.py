"""Token requests: how the form is read, what may be asked for, what is granted, and which fault comes first."""

from typing import Any

import pytest
from werkzeug.test import Client

from fake_server import AuthorizationServer, Exchange, Options, Reason, RegisteredClient
from fake_server.form import MAX_BODY
from fake_server.key_source import KeySource

FORM = "application/x-www-form-urlencoded"
GRANT = b"grant_type=client_credentials&scope=ingr.api"
BASIC = ("smart-client", "smart-secret")

pytestmark = pytest.mark.usefixtures("client")


def ask(server: AuthorizationServer, body: Any = GRANT, **request: Any) -> Exchange:
    """Send a body to the token endpoint, and return what the journal says about it."""
    response = Client(server).post(server.token_url, **{"data": body, "content_type": FORM, "auth": BASIC} | request)
    entry = server.token_requests[-1]
    assert response.json is not None
    assert ("access_token" in response.json) is (response.status_code == 200) is (entry.reason is None)
    return entry


# The content type


@pytest.mark.parametrize(
    "content_type",
    [FORM, FORM.upper(), f"{FORM}; charset=UTF-8", f"{FORM};charset=iso-8859-1", f" {FORM} ; x=y"],
)
def test_form_is_accepted_however_its_type_is_written(server: AuthorizationServer, content_type: str) -> None:
    assert ask(server, content_type=content_type).status == 200


@pytest.mark.parametrize(
    ("request_", "reason", "diagnosis"),
    [
        pytest.param(
            {"content_type": None},
            Reason.MISSING_CONTENT_TYPE,
            "the request has no Content-Type header; send application/x-www-form-urlencoded",
            id="none",
        ),
        pytest.param({"content_type": ""}, Reason.MISSING_CONTENT_TYPE, None, id="empty"),
        pytest.param(
            # the header as the Smart API's documentation writes it
            {"content_type": None, "headers": {"content_type": FORM}},
            Reason.MISSING_CONTENT_TYPE,
            None,
            id="underscore",
        ),
        pytest.param(
            {"content_type": "application/json"},
            Reason.WRONG_CONTENT_TYPE,
            "the body is announced as 'application/json'; send application/x-www-form-urlencoded; "
            "in requests and httpx pass data=, not json=",
            id="json",
        ),
        pytest.param({"content_type": "multipart/form-data; boundary=b"}, Reason.WRONG_CONTENT_TYPE, None, id="parts"),
        pytest.param({"content_type": "text/plain"}, Reason.WRONG_CONTENT_TYPE, None, id="text"),
        pytest.param({"content_type": FORM + "x"}, Reason.WRONG_CONTENT_TYPE, None, id="longer"),
        pytest.param({"content_type": f"{FORM}, {FORM}"}, Reason.WRONG_CONTENT_TYPE, None, id="twice"),
    ],
)
def test_other_content_type_is_refused(
    server: AuthorizationServer, request_: dict[str, Any], reason: Reason, diagnosis: str | None
) -> None:
    entry = ask(server, **request_)

    assert entry.reason is reason
    assert diagnosis in (None, entry.diagnosis)


# The body


def padded(size: int) -> bytes:
    return GRANT + b"&pad=".ljust(size - len(GRANT), b"x")


def test_largest_body_is_accepted(server: AuthorizationServer) -> None:
    assert MAX_BODY == 65536
    assert ask(server, padded(MAX_BODY)).status == 200


@pytest.mark.parametrize("size", [MAX_BODY + 1, 10 * MAX_BODY])
def test_larger_body_is_refused(server: AuthorizationServer, size: int) -> None:
    entry = ask(server, padded(size))

    assert entry.reason is Reason.BODY_TOO_LARGE
    assert entry.diagnosis == "the body is larger than 65536 octets"


CHUNKED = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}


@pytest.mark.parametrize(
    ("body", "environ", "reason", "diagnosis"),
    [
        pytest.param(padded(MAX_BODY), CHUNKED, None, None, id="chunked"),
        pytest.param(
            padded(MAX_BODY + 1),
            CHUNKED,
            Reason.BODY_TOO_LARGE,
            "the body is larger than 65536 octets",
            id="chunked-and-too-large",
        ),
        pytest.param(padded(10 * MAX_BODY), CHUNKED, Reason.BODY_TOO_LARGE, None, id="chunked-and-far-too-large"),
        pytest.param(GRANT, {"CONTENT_LENGTH": ""}, Reason.MISSING_GRANT_TYPE, None, id="no-length"),
        pytest.param(
            GRANT,
            {"CONTENT_LENGTH": "999"},
            Reason.BODY_CUT_SHORT,
            "the body ended before its Content-Length was reached",
            id="cut-short",
        ),
    ],
)
def test_body_is_read_as_far_as_it_goes(
    server: AuthorizationServer,
    body: bytes,
    environ: dict[str, Any],
    reason: Reason | None,
    diagnosis: str | None,
) -> None:
    entry = ask(server, body, environ_overrides=environ)

    assert entry.reason is reason
    assert diagnosis in (None, entry.diagnosis)


@pytest.mark.parametrize(
    ("body", "diagnosis"),
    [
        (GRANT + b"&a=\xe4", "octet 47 of the body is not UTF-8"),
        (GRANT.decode().encode("utf-16"), "octet 0 of the body is not UTF-8"),
        (GRANT + b"&a=%E4", "a parameter's percent-encoded octets are not UTF-8"),
        (GRANT + b"&%FF=a", "a parameter's percent-encoded octets are not UTF-8"),
        (GRANT + b"&a=%ED%A0%80", "a parameter's percent-encoded octets are not UTF-8"),
    ],
    ids=["octet", "utf-16", "percent-encoded", "name", "half-a-surrogate-pair"],
)
def test_body_that_is_not_utf_8_is_refused(server: AuthorizationServer, body: bytes, diagnosis: str) -> None:
    entry = ask(server, body)

    assert entry.reason is Reason.BODY_NOT_UTF8
    assert entry.diagnosis == diagnosis


# The parameters


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"scope=ingr.api&grant_type=client_credentials", id="other-order"),
        pytest.param(b"grant%5Ftype=client%5Fcredentials&scope=%69ngr.api", id="percent-encoded"),
        pytest.param(GRANT + b"&resource=x&SCOPE=y&=z&w", id="unknown-ones"),
        pytest.param(GRANT + "&ü=ü".encode(), id="unknown-one-beyond-ascii"),
        pytest.param(GRANT + b"&client_id=&client_secret=", id="empty-ones"),
        pytest.param(b"&" + GRANT + b"&&", id="nothing-between-ampersands"),
    ],
)
def test_parameters_that_do_not_matter_are_ignored(server: AuthorizationServer, body: bytes) -> None:
    entry = ask(server, body)

    assert (entry.status, entry.grant_type, entry.scope) == (200, "client_credentials", "ingr.api")


@pytest.mark.parametrize(
    ("body", "diagnosis"),
    [
        (GRANT + b"&scope=ingr.api", "the body has 'scope' 2 times; send it once, its words parted by blanks"),
        (GRANT + b"&grant_type=password&grant_type=", "the body has 'grant_type' 3 times; send it once"),
        (GRANT + b"&sc%6Fpe=other", "the body has 'scope' 2 times; send it once, its words parted by blanks"),
        (GRANT + b"&scope=", "the body has 'scope' 2 times; send it once, its words parted by blanks"),
        (GRANT + b"&x=1&x=2", "the body has 'x' 2 times; send it once"),
        (GRANT + b"&client_secret=a&client_secret=b", "the body has 'client_secret' 2 times; send it once"),
    ],
    ids=["same-value", "thrice", "encoded-name", "empty", "unknown", "secret"],
)
def test_parameter_that_is_there_twice_is_refused(server: AuthorizationServer, body: bytes, diagnosis: str) -> None:
    entry = ask(server, body)

    assert entry.reason is Reason.DUPLICATED_PARAMETER
    assert entry.diagnosis == diagnosis


def test_parameters_in_the_query_are_none_of_the_form(server: AuthorizationServer) -> None:
    entry = ask(server, b"scope=ingr.api", query_string={"grant_type": "client_credentials"})

    assert entry.reason is Reason.MISSING_GRANT_TYPE


# The grant type


@pytest.mark.parametrize(
    ("body", "reason", "diagnosis"),
    [
        pytest.param(
            b"scope=ingr.api",
            Reason.MISSING_GRANT_TYPE,
            "the body has no grant_type; send grant_type=client_credentials",
            id="missing",
        ),
        pytest.param(b"grant_type=&scope=ingr.api", Reason.MISSING_GRANT_TYPE, None, id="empty"),
        pytest.param(b"", Reason.MISSING_GRANT_TYPE, None, id="empty-body"),
        pytest.param(b'{"grant_type": "client_credentials"}', Reason.MISSING_GRANT_TYPE, None, id="json-body"),
        pytest.param(
            b"grant_type=password",
            Reason.UNSUPPORTED_GRANT_TYPE,
            "grant_type is 'password'; this server knows client_credentials only, in lower case",
            id="other",
        ),
        pytest.param(b"grant_type=Client_Credentials", Reason.UNSUPPORTED_GRANT_TYPE, None, id="capitals"),
        pytest.param(b"grant_type=client_credentials+", Reason.UNSUPPORTED_GRANT_TYPE, None, id="blank"),
        pytest.param(b"grant_type=client_credentials%00", Reason.UNSUPPORTED_GRANT_TYPE, None, id="nul"),
    ],
)
def test_other_grant_type_is_refused(
    server: AuthorizationServer, body: bytes, reason: Reason, diagnosis: str | None
) -> None:
    entry = ask(server, body)

    assert (entry.reason, entry.client_id) == (reason, "smart-client")
    assert diagnosis in (None, entry.diagnosis)


@pytest.mark.parametrize(
    ("grant_types", "diagnosis"),
    [
        ((), "'other' is registered for no grant type, not for client_credentials"),
        (
            ("authorization_code", "refresh_token"),
            "'other' is registered for authorization_code, refresh_token, not for client_credentials",
        ),
    ],
    ids=["none", "others"],
)
def test_client_may_use_its_own_grant_types_only(
    server: AuthorizationServer, grant_types: tuple[str, ...], diagnosis: str
) -> None:
    server.register("other", "secret", grant_types=grant_types)

    entry = ask(server, auth=("other", "secret"))

    assert (entry.reason, entry.client_id) == (Reason.GRANT_TYPE_NOT_ALLOWED, "other")
    assert entry.diagnosis == diagnosis


# The scope

SCOPES = Options(scopes=("ingr.api", "B1C2", "api://x/.default"), default_scopes=("B1C2", "ingr.api"))


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("ingr.api", "ingr.api"),
        ("B1C2 ingr.api", "B1C2 ingr.api"),
        ("ingr.api B1C2", "ingr.api B1C2"),
        ("ingr.api ingr.api", "ingr.api"),
        ("api://x/.default", "api://x/.default"),
        ("", "B1C2 ingr.api"),
        (None, "B1C2 ingr.api"),
    ],
)
def test_scope_in_the_answer_is_what_was_granted(
    keys: KeySource, client: RegisteredClient, scope: str | None, granted: str
) -> None:
    server = AuthorizationServer(SCOPES, keys=keys)
    server.register(*BASIC)
    form = {"grant_type": "client_credentials"} | ({} if scope is None else {"scope": scope})

    response = Client(server).post(server.token_url, data=form, auth=BASIC)

    assert response.json is not None
    assert response.json["scope"] == granted


REFUSED_SCOPES: list[Any] = [
    pytest.param(
        None,
        Reason.MISSING_SCOPE,
        "the body has no scope, and the server has no default_scopes; send scope=ingr.api",
        id="missing",
    ),
    pytest.param("", Reason.MISSING_SCOPE, None, id="empty"),
    pytest.param(
        " ingr.api ",
        Reason.MALFORMED_SCOPE,
        "scope ' ingr.api ' is not words parted by one space each: it has a blank too many",
        id="blanks-around",
    ),
    pytest.param("ingr.api  ingr.api", Reason.MALFORMED_SCOPE, None, id="two-blanks"),
    pytest.param(" ", Reason.MALFORMED_SCOPE, None, id="blank"),
    pytest.param("ingr.api\n", Reason.MALFORMED_SCOPE, None, id="line-feed"),
    pytest.param("ingr.api\tingr.api", Reason.MALFORMED_SCOPE, None, id="tab"),
    pytest.param('"ingr.api"', Reason.MALFORMED_SCOPE, None, id="quotation-marks"),
    pytest.param("ingr\\api", Reason.MALFORMED_SCOPE, None, id="backslash"),
    pytest.param("ingr.äpi", Reason.MALFORMED_SCOPE, None, id="not-ascii"),
    pytest.param(
        "openid", Reason.OPENID_SCOPE, "'openid' speaks of a user, whom client_credentials does not have", id="openid"
    ),
    pytest.param("ingr.api offline_access", Reason.OPENID_SCOPE, None, id="offline-access"),
    pytest.param(
        "other",
        Reason.UNKNOWN_SCOPE,
        "'other' is not a scope of this server, which has ingr.api ingr.admin",
        id="unknown",
    ),
    pytest.param("ingr.api other", Reason.UNKNOWN_SCOPE, None, id="unknown-beside-a-known-one"),
    pytest.param("INGR.API", Reason.UNKNOWN_SCOPE, None, id="capitals"),
    pytest.param("ingr.api,ingr.admin", Reason.UNKNOWN_SCOPE, None, id="comma"),
    pytest.param(
        "ingr.admin", Reason.SCOPE_NOT_ALLOWED, "'smart-client' may have ingr.api, not 'ingr.admin'", id="not-allowed"
    ),
    pytest.param("ingr.api ingr.admin", Reason.SCOPE_NOT_ALLOWED, None, id="not-allowed-beside-an-allowed-one"),
]


@pytest.mark.parametrize(("scope", "reason", "diagnosis"), REFUSED_SCOPES)
def test_scope_that_cannot_be_granted_is_refused(
    keys: KeySource, scope: str | None, reason: Reason, diagnosis: str | None
) -> None:
    server = AuthorizationServer(Options(scopes=("ingr.api", "ingr.admin")), keys=keys)
    server.register(*BASIC, scopes="ingr.api")

    entry = ask(server, {"grant_type": "client_credentials"} | ({} if scope is None else {"scope": scope}))

    assert (entry.reason, entry.client_id) == (reason, "smart-client")
    assert diagnosis in (None, entry.diagnosis)


def test_default_scope_is_for_those_who_may_have_it(keys: KeySource) -> None:
    server = AuthorizationServer(SCOPES, keys=keys)
    server.register(*BASIC, scopes=())

    entry = ask(server, b"grant_type=client_credentials")

    assert entry.reason is Reason.SCOPE_NOT_ALLOWED
    assert entry.diagnosis == "'smart-client' may have no scope, not 'B1C2'"


def test_openid_scope_is_granted_where_the_server_has_it(keys: KeySource) -> None:
    server = AuthorizationServer(Options(scopes=("profile",)), keys=keys)
    server.register(*BASIC)

    assert ask(server, b"grant_type=client_credentials&scope=profile").status == 200


# Which fault comes first


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        pytest.param({"content_type": "text/plain", "body": b"\xff"}, Reason.WRONG_CONTENT_TYPE, id="content-type"),
        pytest.param({"body": b"scope=a&scope=b", "auth": None}, Reason.DUPLICATED_PARAMETER, id="form"),
        pytest.param({"body": b"grant_type=x&scope=y", "auth": None}, Reason.NO_CREDENTIALS, id="no-credentials"),
        pytest.param(
            {"body": b"grant_type=x&scope=y", "auth": ("smart-client", "x")}, Reason.WRONG_SECRET, id="wrong-secret"
        ),
        pytest.param({"body": b"grant_type=x&scope=y"}, Reason.UNSUPPORTED_GRANT_TYPE, id="grant-type"),
        pytest.param({"body": b"scope=y"}, Reason.MISSING_GRANT_TYPE, id="no-grant-type"),
    ],
)
def test_first_of_two_faults_is_the_reason(
    server: AuthorizationServer, request_: dict[str, Any], reason: Reason
) -> None:
    assert ask(server, **request_).reason is reason


def test_refused_request_leaves_the_next_one_alone(server: AuthorizationServer) -> None:
    refused = ask(server, padded(MAX_BODY + 1))
    accepted = ask(server)

    assert (refused.status, accepted.status) == (413, 200)
