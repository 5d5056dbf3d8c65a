"""The protected API: how it challenges (RFC 6750), and what it answers to who may come in."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from werkzeug.exceptions import Conflict, abort
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request, Response

from fake_server import AuthorizationServer, Options, ProtectedApi, Reason, RegisteredClient
from fake_server.api import CHALLENGES
from fake_server.key_source import KeySource

NOON = 1772366400
FORM = "application/x-www-form-urlencoded"

CallApi = Callable[..., TestResponse]


@pytest.fixture
def token(server: AuthorizationServer, client: RegisteredClient) -> str:
    """A good token."""
    return server.mint(client)


# The challenge, for every reason there is

Ask = Callable[[AuthorizationServer, CallApi], TestResponse]


def with_claims(**claims: Any) -> Ask:
    return lambda server, call_api: call_api(server.mint(claims=claims))


def with_ended(end: Callable[[AuthorizationServer, str], None]) -> Ask:
    def ask(server: AuthorizationServer, call_api: CallApi) -> TestResponse:
        token = server.mint()
        end(server, token)
        return call_api(token)

    return ask


def altered(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


BARE = "Bearer"
INVALID = 'Bearer error="invalid_token", error_description='
BAD_REQUEST = 'Bearer error="invalid_request", error_description='

# One request for each reason, with the status and the header of its answer.
EXAMPLES: dict[Reason, tuple[Ask, int, str]] = {
    Reason.NO_TOKEN: (lambda server, call_api: call_api(None), 401, BARE),
    Reason.BODY_CUT_SHORT: (
        lambda server, call_api: call_api(
            server.mint(), method="POST", data=b"tag", environ_overrides={"CONTENT_LENGTH": "10"}
        ),
        400,
        BAD_REQUEST + '"The body is shorter than announced"',
    ),
    Reason.MULTIPLE_TOKENS: (
        lambda server, call_api: call_api(server.mint(), query_string={"access_token": "x"}),
        400,
        BAD_REQUEST + '"The request carries more than one access token"',
    ),
    Reason.MALFORMED_TOKEN: (
        lambda server, call_api: call_api("opaque"),
        401,
        INVALID + '"The access token is malformed"',
    ),
    Reason.WRONG_ALGORITHM: (
        lambda server, call_api: call_api("eyJhbGciOiJub25lIn0.e30."),
        401,
        INVALID + '"The access token is malformed"',
    ),
    Reason.UNKNOWN_SIGNING_KEY: (
        lambda server, call_api: call_api("eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.eA"),
        401,
        INVALID + '"The access token cannot be verified"',
    ),
    Reason.BAD_SIGNATURE: (
        lambda server, call_api: call_api(altered(server.mint())),
        401,
        INVALID + '"The access token cannot be verified"',
    ),
    Reason.FOREIGN_TOKEN: (
        with_claims(iss="http://other.test"),
        401,
        INVALID + '"The access token is from another issuer"',
    ),
    Reason.WRONG_AUDIENCE: (with_claims(aud="other"), 401, INVALID + '"The access token is for another audience"'),
    Reason.EXPIRED_TOKEN: (with_claims(exp=NOON), 401, INVALID + '"The access token expired"'),
    Reason.TOKEN_NOT_YET_VALID: (with_claims(nbf=NOON + 1), 401, INVALID + '"The access token is not valid yet"'),
    Reason.REVOKED_TOKEN: (
        with_ended(AuthorizationServer.revoke),
        401,
        INVALID + '"The access token was revoked"',
    ),
    Reason.TOKEN_OF_DISABLED_CLIENT: (
        with_ended(lambda server, token: server.clients["smart-client"].disable()),
        401,
        INVALID + '"The access token was revoked"',
    ),
    Reason.INSUFFICIENT_SCOPE: (
        with_claims(scp=["other"]),
        403,
        'Bearer error="insufficient_scope", error_description="The access token has not the scope needed", '
        'scope="ingr.api"',
    ),
}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("reason", EXAMPLES, ids=lambda reason: reason.value)
def test_refusal_has_the_status_and_the_challenge_of_its_reason(
    server: AuthorizationServer, call_api: CallApi, reason: Reason
) -> None:
    ask, status, challenge = EXAMPLES[reason]

    response = ask(server, call_api)

    assert server.api_requests[-1].reason is reason
    assert response.status_code == status
    assert response.headers.getlist("WWW-Authenticate") == [challenge]
    assert response.data == b""
    assert "Content-Type" not in response.headers


def test_every_reason_to_challenge_has_an_example() -> None:
    of_another_dialect = {Reason.WRONG_TOKEN_TYPE}
    of_a_fault = {Reason.SERVER_FAULT, Reason.UNAVAILABLE, Reason.RATE_LIMITED}

    assert set(EXAMPLES) == set(CHALLENGES) - of_another_dialect - of_a_fault


@pytest.mark.usefixtures("client")
def test_challenge_names_the_first_scope_of_the_server(keys: KeySource) -> None:
    server = AuthorizationServer(Options(scopes=("first", "second")), keys=keys)
    server.register()
    headers = [{"Authorization": f"Bearer {server.mint(scope=scope)}"} for scope in ("first", "second")]

    accepted, refused = [Client(server).get(server.api.url + "/Tags", headers=header) for header in headers]

    assert (accepted.status_code, refused.status_code) == (200, 403)
    assert refused.www_authenticate["scope"] == "first"


# Where the token is looked for


@pytest.mark.parametrize("template", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", "  Bearer {}  "])
def test_token_is_read_from_the_authorization_header(
    server: AuthorizationServer, http: Client, token: str, template: str
) -> None:
    response = http.get(server.api.url + "/Tags", headers={"Authorization": template.format(token)})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("request_", "diagnosis"),
    [
        pytest.param({}, "the request has no Authorization header", id="nothing"),
        pytest.param(
            {"headers": {"Authorization": ""}},
            "the Authorization header is empty; send Authorization: Bearer <token>",
            id="empty-header",
        ),
        pytest.param(
            {"headers": {"Authorization": "Basic c21hcnQ6c2VjcmV0"}},
            "the Authorization header's scheme is Basic, not Bearer",
            id="basic",
        ),
        pytest.param(
            {"headers": {"Authorization": "{token}"}},
            "the token stands in the Authorization header without Bearer before it",
            id="without-bearer",
        ),
        pytest.param(
            {"headers": {"Authorization": "Bearer:{token}"}},
            "a blank, and nothing else, must part Bearer and the token",
            id="with-a-colon",
        ),
        pytest.param(
            {"headers": {"Authorization": "Bearer"}},
            "nothing follows Bearer in the Authorization header",
            id="bearer-alone",
        ),
        pytest.param(
            {"headers": {"Authorization": "Bearer  "}},
            "nothing follows Bearer in the Authorization header",
            id="bearer-and-blanks",
        ),
        pytest.param(
            {"query_string": {"access_token": "{token}"}},
            "the token came in the URL's query; send Authorization: Bearer <token>",
            id="query",
        ),
        pytest.param(
            {"method": "POST", "data": {"access_token": "{token}"}},
            "the token came in the body; send Authorization: Bearer <token>",
            id="body",
        ),
    ],
)
def test_request_without_a_token_in_its_header_is_challenged_without_an_error(
    server: AuthorizationServer, http: Client, token: str, request_: dict[str, Any], diagnosis: str
) -> None:
    filled: dict[str, Any] = {
        name: {key: text.format(token=token) for key, text in value.items()} if isinstance(value, dict) else value
        for name, value in request_.items()
    }

    response = http.open(server.api.url + "/Tags", **filled)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == BARE
    assert server.api_requests[-1].reason is Reason.NO_TOKEN
    assert server.api_requests[-1].diagnosis == diagnosis


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        pytest.param({"query_string": {"access_token": "x"}}, "URL's query", id="query"),
        pytest.param({"query_string": "access_token="}, "URL's query", id="query-empty"),
        pytest.param({"method": "POST", "data": {"access_token": "x"}}, "body", id="body"),
        pytest.param({"method": "POST", "data": b"access_token=%ff", "content_type": FORM}, "body", id="body-not-utf8"),
    ],
)
def test_second_token_elsewhere_is_a_bad_request(
    server: AuthorizationServer, call_api: CallApi, token: str, request_: dict[str, Any], where: str
) -> None:
    response = call_api(token, **request_)

    assert response.status_code == 400
    assert response.www_authenticate["error"] == "invalid_request"
    assert server.api_requests[-1].reason is Reason.MULTIPLE_TOKENS
    assert server.api_requests[-1].diagnosis == f"a token came in the Authorization header and in the {where}"


def test_two_tokens_in_the_header_are_a_bad_request(server: AuthorizationServer, http: Client, token: str) -> None:
    # Two header fields of one name reach a server as one, parted by a comma.
    response = http.get(server.api.url + "/Tags", headers={"Authorization": f"Bearer {token},Bearer {token}"})

    assert response.status_code == 400
    assert server.api_requests[-1].reason is Reason.MULTIPLE_TOKENS
    assert server.api_requests[-1].diagnosis == "the Authorization header came twice, or holds two tokens"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"json": {"access_token": "x"}}, id="json"),
        pytest.param({"data": b"access_token=x", "content_type": "text/plain"}, id="text"),
        pytest.param({"data": {"access_token": "x"}, "content_type": "multipart/form-data"}, id="multipart"),
        pytest.param({"data": {"tag": "access_token"}}, id="form-with-another-name"),
        pytest.param(
            {"data": {f"field{n}": "x" for n in range(1001)}, "content_type": "multipart/form-data"}, id="many"
        ),
        pytest.param({"data": {"tag": "x" * 1_000_000}}, id="large-form"),
        pytest.param({"data": b"x" * 1_000_000}, id="large"),
    ],
)
def test_body_that_is_no_form_with_a_token_is_let_through(
    call_api: CallApi, token: str, request_: dict[str, Any]
) -> None:
    response = call_api(token, method="POST", **request_)

    assert response.status_code == 200


# The default answer, and the description


def test_path_without_a_route_shows_the_request_and_the_claims(
    server: AuthorizationServer, call_api: CallApi, token: str
) -> None:
    response = call_api(token, "/Tags/7?page=2", method="PUT")

    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.json is not None
    assert list(response.json) == ["method", "path", "claims"]
    assert (response.json["method"], response.json["path"]) == ("PUT", "/Tags/7")
    assert response.json["claims"]["cid"] == "smart-client"
    assert response.json["claims"]["iss"] == server.issuer


@pytest.mark.parametrize("path", ["", "/", "/a/b/c", "//Tags", "/Tags/", "/%C3%9C", "/%FF", "/a%0Ab"])
def test_any_path_has_the_default_answer(call_api: CallApi, token: str, path: str) -> None:
    response = call_api(token, path)

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["method"] == "GET"


def test_path_that_only_begins_like_the_api_is_none_of_its(server: AuthorizationServer, http: Client) -> None:
    response = http.get(server.api.url + "0/Tags")

    assert response.status_code == 404
    assert len(server.api_requests) == 0


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer opaque"}], ids=["no-token", "bad-token"])
def test_description_needs_no_token(server: AuthorizationServer, http: Client, headers: dict[str, str]) -> None:
    response = http.get(server.api.url + "/description", headers=headers)

    assert response.status_code == 200
    assert response.json == {
        "product": "Smart Completions Smart API",
        "version": "v1",
        "baseUri": "http://idp.test/as/sc/datalake/v1",
        "scope": "ingr.api",
        "TokenIssuerUri": "http://idp.test/as",
        "TokenAudience": "8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915",
    }


def test_description_is_open_to_head(server: AuthorizationServer, http: Client) -> None:
    response = http.head(server.api.url + "/description")

    assert response.status_code == 200
    assert response.data == b""


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/description"), ("GET", "/description/x"), ("GET", "/x/description")]
)
def test_nothing_but_the_description_is_open(call_api: CallApi, method: str, path: str) -> None:
    response = call_api(None, path, method=method)

    assert response.status_code == 401


# Canned routes


def test_canned_route_answers_its_json_as_it_is(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.get("/Tags", json={"tags": [{"name": "Ü-1"}], "next": None})

    response = call_api(token, "/Tags")

    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.data == b'{"tags":[{"name":"\\u00dc-1"}],"next":null}'


@pytest.mark.parametrize("status", [201, HTTPStatus.CREATED, 204, 404, 429, 503])
def test_canned_route_has_its_status_and_headers(
    server: AuthorizationServer, call_api: CallApi, token: str, status: int
) -> None:
    server.api.get("/Tags", status=status, headers={"Retry-After": "7", "X-Page": "2"})

    response = call_api(token, "/Tags")

    assert response.status_code == status
    assert response.headers["Retry-After"] == "7"
    assert response.headers["X-Page"] == "2"
    assert response.data == b""
    assert "Content-Type" not in response.headers


def test_canned_header_replaces_the_usual_one(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.get("/Tags", json=[], headers={"content-type": "application/hal+json"})

    response = call_api(token, "/Tags")

    assert response.headers.getlist("Content-Type") == ["application/hal+json"]


@pytest.mark.parametrize("json", [[], {}, 0, False, "", "text"], ids=repr)
def test_empty_json_is_still_json(server: AuthorizationServer, call_api: CallApi, token: str, json: Any) -> None:
    server.api.get("/Tags", json=json)

    response = call_api(token, "/Tags")

    assert response.json == json
    assert response.content_type == "application/json"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_every_method_has_a_route_of_its_own(
    server: AuthorizationServer, call_api: CallApi, token: str, method: str
) -> None:
    for name in ("get", "post", "put", "patch", "delete"):
        getattr(server.api, name)("/Tags", json=name)

    response = call_api(token, "/Tags", method=method.upper())

    assert response.json == method


def test_route_takes_a_method_in_any_case(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.route("post", "/Tags", json=1)

    assert call_api(token, "/Tags", method="POST").json == 1


def test_head_is_answered_by_the_route_for_get(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.get("/Tags", json=[1, 2], headers={"X-Total": "2"})

    response = call_api(token, "/Tags", method="HEAD")

    assert response.status_code == 200
    assert response.headers["X-Total"] == "2"
    assert response.data == b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])
def test_method_without_a_route_on_a_path_that_has_some_is_405(
    server: AuthorizationServer, call_api: CallApi, token: str, method: str
) -> None:
    server.api.put("/Tags", json=1)
    server.api.post("/Tags", json=2)

    response = call_api(token, "/Tags", method=method)

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST, PUT"
    assert method == "HEAD" or response.json == {"error": "the test has routes for POST, PUT here"}
    assert server.api_requests[-1].status == 405


def test_route_needs_a_token_before_anything_else(server: AuthorizationServer, call_api: CallApi) -> None:
    called: list[Request] = []
    server.api.get("/Tags", lambda request, claims: called.append(request))

    statuses = [call_api(None, "/Tags").status_code, call_api("opaque", "/Tags", method="POST").status_code]

    assert statuses == [401, 401]
    assert called == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("/Tags", "/Tags", id="same-text"),
        pytest.param("/Tags/<tag>", "/Tags/<tag>", id="same-rule"),
        pytest.param("/Tags/<tag>", "/Tags/<name>", id="other-name"),
    ],
)
def test_later_route_replaces_the_earlier_one(
    server: AuthorizationServer, call_api: CallApi, token: str, first: str, second: str
) -> None:
    path = first.replace("<tag>", "7")

    server.api.get(first, json="first")
    server.api.get(second, json="second")
    replaced = call_api(token, path)
    server.api.get(first, json="third")
    replaced_again = call_api(token, path)

    assert replaced.json == "second"
    assert replaced_again.json == "third"


@pytest.mark.parametrize("order", [1, -1], ids=["exact-first", "exact-last"])
def test_exact_route_wins_over_a_variable(
    server: AuthorizationServer, call_api: CallApi, token: str, order: int
) -> None:
    for rule in ["/Tags/latest", "/Tags/<tag>"][::order]:
        server.api.get(rule, json=rule)

    assert call_api(token, "/Tags/latest").json == "/Tags/latest"
    assert call_api(token, "/Tags/7").json == "/Tags/<tag>"


def test_changing_the_data_afterwards_changes_no_answer(
    server: AuthorizationServer, call_api: CallApi, token: str
) -> None:
    tags, headers = ["a"], {"X-Page": "1"}
    server.api.get("/Tags", json=tags, headers=headers)

    tags.append("b")
    headers["X-Page"] = "2"
    response = call_api(token, "/Tags")

    assert response.json == ["a"]
    assert response.headers["X-Page"] == "1"


def test_routes_that_threads_add_at_once_are_all_there(
    server: AuthorizationServer, call_api: CallApi, token: str
) -> None:
    def add(first: int) -> None:
        for number in range(first, first + 10):
            server.api.get(f"/Tags/{number}", json=number)

    threads = [threading.Thread(target=add, args=(first,)) for first in range(0, 40, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [call_api(token, f"/Tags/{number}").json for number in range(40)] == list(range(40))


# Routes with a callable


def test_callable_gets_the_request_and_the_claims(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    def answer(request: Request, claims: dict[str, Any]) -> dict[str, Any]:
        return {"query": request.args, "sent": request.get_json(), "by": claims["cid"]}

    server.api.post("/Tags", answer)
    response = call_api(token, "/Tags?page=2", method="POST", json={"name": "a"})

    assert response.status_code == 200
    assert response.json == {"query": {"page": "2"}, "sent": {"name": "a"}, "by": "smart-client"}


def test_callable_can_read_a_form_that_was_searched_for_tokens(
    server: AuthorizationServer, call_api: CallApi, token: str
) -> None:
    server.api.post("/Tags", lambda request, claims: [request.form["name"], request.get_data(as_text=True)])

    response = call_api(token, "/Tags", method="POST", data={"name": "a"})

    assert response.json == ["a", "name=a"]


def test_callable_can_read_a_large_field(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.post("/Tags", lambda request, claims: len(request.form["name"]))
    large = b"x" * 600_000  # werkzeug's own limit is 500,000
    data = b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + large + b"\r\n--B--\r\n"

    response = call_api(token, "/Tags", method="POST", data=data, content_type="multipart/form-data; boundary=B")

    assert response.json == 600_000


def test_callable_gets_the_variables_of_the_rule(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.get("/Tags/<tag>/values/<int:number>", lambda request, claims, **variables: variables)

    response = call_api(token, "/Tags/%C3%9C-1/values/7")

    assert response.json == {"tag": "Ü-1", "number": 7}


def test_variable_that_does_not_fit_is_no_match(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.get("/Tags/<int:number>", json="number")

    response = call_api(token, "/Tags/seven")

    assert response.json is not None
    assert response.json["path"] == "/Tags/seven"


def test_variable_of_path_takes_slashes_as_they_are(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.get("/files/<path:name>", lambda request, claims, name: name)

    assert call_api(token, "/files/a//b").json == "a//b"


@pytest.mark.parametrize(("rule", "path"), [("/Tags", "/Tags/"), ("/Tags/", "/Tags"), ("/", ""), ("/", "/")])
def test_slash_at_the_end_makes_no_difference(
    server: AuthorizationServer, call_api: CallApi, token: str, rule: str, path: str
) -> None:
    server.api.get(rule, json="canned")

    response = call_api(token, path)

    assert (response.status_code, response.json) == (200, "canned")


def test_double_slash_is_another_path(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.get("/Tags/7", json="canned")

    response = call_api(token, "/Tags//7")

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["path"] == "/Tags//7"


def test_canned_answer_may_have_variables(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.delete("/Tags/<tag>", status=204)

    assert call_api(token, "/Tags/7", method="DELETE").status_code == 204


@pytest.mark.parametrize("data", [{"a": 1}, [1, 2], ["a", 201], "text", 0, None], ids=repr)
def test_data_of_a_callable_is_sent_as_json(
    server: AuthorizationServer, call_api: CallApi, token: str, data: Any
) -> None:
    server.api.get("/Tags", lambda request, claims: data)

    response = call_api(token, "/Tags")

    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.json == data


def test_response_of_a_callable_is_sent_as_it_is(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    headers = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}
    server.api.get("/Tags", lambda request, claims: Response("<tags/>", 203, headers, content_type="text/xml"))

    response = call_api(token, "/Tags")

    assert (response.status_code, response.text, response.mimetype) == (203, "<tags/>", "text/xml")
    assert response.headers.getlist("Date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]
    assert server.api_requests[-1].status == 203


def test_claims_that_a_callable_changes_are_its_own(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.api.get("/Tags", lambda request, claims: claims.clear())

    call_api(token, "/Tags")

    assert call_api(token, "/Tags").status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (lambda: abort(404), 404, "Not Found"),
        (lambda: abort(Response("gone", 410)), 410, "gone"),
        (lambda: (_ for _ in ()).throw(Conflict("busy")), 409, "busy"),
    ],
    ids=["abort", "abort-with-response", "raise"],
)
def test_http_exception_of_a_callable_is_its_answer(
    server: AuthorizationServer, call_api: CallApi, token: str, error: Callable[[], Any], status: int, text: str
) -> None:
    server.api.get("/Tags", lambda request, claims: next(error()))

    response = call_api(token, "/Tags")

    assert response.status_code == status
    assert text in response.text
    assert server.api_requests[-1].status == status
    assert server.errors == []


def test_exception_of_a_callable_is_a_500_and_kept_for_the_test(
    server: AuthorizationServer, call_api: CallApi, token: str
) -> None:
    error = KeyError("the secret of the test")

    def answer(request: Request, claims: dict[str, Any]) -> None:
        raise error

    server.api.get("/Tags", answer)
    response = call_api(token, "/Tags")

    assert response.status_code == 500
    assert response.json == {"error": "a route of the test raised an exception"}
    assert server.errors == [error]
    assert error.__traceback__ is not None
    assert server.api_requests[-1].status == 500
    assert server.api_requests[-1].reason is Reason.ROUTE_FAILED
    assert server.api_requests[-1].diagnosis == "the test's route raised KeyError"
    assert server.api_requests[-1].client_id == "smart-client"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda request, claims: b"octets", id="no-json"),
        pytest.param(lambda request: {}, id="too-few-parameters"),
        pytest.param(lambda request, claims, tag: {}, id="too-many-parameters"),
        pytest.param(lambda request, claims: assert_never_called(), id="assertion"),
        pytest.param(lambda request, claims: Response(map(int, ["1", "x"])), id="body-that-raises"),  # type: ignore[arg-type]
        pytest.param(lambda request, claims: Response(["a", 3]), id="body-with-a-number"),  # type: ignore[arg-type]
        pytest.param(lambda request, claims: Response(headers={"X-Price": "3 \u20ac"}), id="header-not-latin"),
        pytest.param(lambda request, claims: Response(status="200 \u20ac"), id="status-not-latin"),
        pytest.param(lambda request, claims: Response(status=100), id="status-before-the-answer"),
        pytest.param(lambda request, claims: Response(status=99), id="status-of-two-digits"),
        pytest.param(lambda request, claims: abort(Response(headers={"X-Price": "3 \u20ac"})), id="abort-not-latin"),
    ],
)
def test_callable_that_cannot_answer_is_a_500_and_kept_for_the_test(
    server: AuthorizationServer, call_api: CallApi, token: str, answer: Callable[..., Any]
) -> None:
    server.api.get("/Tags", answer)

    response = call_api(token, "/Tags")

    assert response.status_code == 500
    assert len(server.errors) == 1


def assert_never_called() -> None:
    raise AssertionError("called")


# What a route does not take

UNSENDABLE = "the answer cannot be sent:"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        pytest.param(
            ("HEAD", "/Tags"),
            {},
            ValueError,
            "'HEAD' is no method of a route; there are GET, POST, PUT, PATCH, DELETE",
            id="method",
        ),
        pytest.param(
            ("GET", "Tags"),
            {},
            ValueError,
            "the rule 'Tags' must begin with a slash; it is a path below http://idp.test/as/sc/datalake/v1",
            id="no-slash",
        ),
        pytest.param(
            ("GET", "http://idp.test/as/sc/datalake/v1/Tags"),
            {},
            ValueError,
            "the rule 'http://idp.test/as/sc/datalake/v1/Tags' must begin with a slash; "
            "it is a path below http://idp.test/as/sc/datalake/v1",
            id="whole-url",
        ),
        pytest.param(("GET", "/Tags"), {"status": 99}, ValueError, "99 is not a valid HTTPStatus", id="status"),
        pytest.param(
            ("GET", "/Tags", dict),
            {"json": {}},
            ValueError,
            "a callable makes the whole answer: pass no json, status or headers beside it",
            id="callable-and-json",
        ),
        pytest.param(
            ("GET", "/Tags", dict),
            {"status": 201},
            ValueError,
            "a callable makes the whole answer: pass no json, status or headers beside it",
            id="callable-and-status",
        ),
        pytest.param(
            ("GET", "/Tags", dict),
            {"headers": {}},
            ValueError,
            "a callable makes the whole answer: pass no json, status or headers beside it",
            id="callable-and-headers",
        ),
        pytest.param(
            ("GET", "/Tags", {"tags": []}),
            {},
            TypeError,
            "the answer, a dict, cannot be called; pass data as json=...",
            id="data-in-the-place-of-a-callable",
        ),
        pytest.param(("GET", "/Tags"), {"json": {1, 2}}, TypeError, None, id="no-json"),
        pytest.param(
            ("GET", "/Tags"),
            {"status": 100},
            ValueError,
            f"{UNSENDABLE} '100 CONTINUE' is no status of an answer",
            id="100",
        ),
        pytest.param(
            ("GET", "/Tags"),
            {"headers": {"X-Price": "3 \u20ac"}},
            ValueError,
            f"{UNSENDABLE} HTTP cannot carry '\u20ac' in a status or a header",
            id="header-not-latin",
        ),
        pytest.param(("GET", "/Tags"), {"headers": {"X": "a\r\nY: b"}}, ValueError, None, id="header-of-two-lines"),
        pytest.param(("GET", "/Tags"), {"headers": {3: "x"}}, ValueError, None, id="header-a-number"),
        pytest.param(("GET", "/Tags/<"), {}, ValueError, None, id="half-a-variable"),
        pytest.param(
            ("GET", "/Tags/<number:tag>"),
            {},
            ValueError,
            "the rule '/Tags/<number:tag>' cannot be used: the converter 'number' does not exist",
            id="unknown-converter",
        ),
        pytest.param(("GET", "/Tags/<int(least=1):tag>"), {}, ValueError, None, id="unknown-argument"),
        pytest.param(("GET", "/Tags/<tag>/<tag>"), {}, ValueError, None, id="variable-twice"),
    ],
)
def test_route_that_cannot_be_is_an_error_and_leaves_the_others(
    server: AuthorizationServer,
    call_api: CallApi,
    token: str,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    message: str | None,
) -> None:
    server.api.get("/Tags", json="before")

    with pytest.raises(error) as raised:
        server.api.route(*arguments, **options)

    server.api.get("/later", json="later")
    assert message in (None, str(raised.value))
    assert call_api(token, "/Tags").json == "before"
    assert call_api(token, "/later").json == "later"


def test_repr_shows_the_url_and_the_number_of_routes() -> None:
    api = ProtectedApi("http://idp.test/api", required_scope="ingr.api")
    api.get("/Tags", json=[])

    assert repr(api) == "<ProtectedApi http://idp.test/api, 1 routes>"
