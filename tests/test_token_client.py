"""The token client: what it sends, what it makes of every answer, and how long it keeps a token."""

import base64
import contextlib
import copy
import datetime
import io
import json
import logging
import pickle
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from fake_server import AuthorizationServer
from pytest_sc_auth import AccessToken, BearerAuth, ProcessClock, TokenClient, TokenError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)
SECRET = "correct horse+battery/staple"
GOOD = {"access_token": "token-1", "token_type": "Bearer", "expires_in": 3600}
INVALID_TOKEN = {"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'}

NewClient = Callable[..., TokenClient]


def _json(members: Any, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(members), status, headers, content_type="application/json")


@dataclass
class Endpoint:
    """Answer every request as the test lays it down, and keep what was asked."""

    url: str = ""
    answer: Callable[[Request], Response] = lambda request: _json(GOOD)
    requests: list[Request] = field(default_factory=list)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        request.get_data(cache=True)
        self.requests.append(request)
        return self.answer(request)(environ, start_response)

    def answer_in_turn(self, *responses: Response) -> None:
        left = iter(responses)
        self.answer = lambda request: next(left)


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def _served() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    server = make_server("127.0.0.1", 0, endpoint, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.port}/v1/token"
    yield endpoint
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A token endpoint, or an API, that answers what the test wants."""
    with _served() as endpoint:
        yield endpoint


@pytest.fixture
def other_host(endpoint: Endpoint) -> Iterator[Endpoint]:
    """Another one, at another port, which is another host to requests."""
    with _served() as other:
        yield other


@pytest.fixture
def raw_answer() -> Iterator[Callable[[bytes], str]]:
    """Make a token URL whose server answers the first request with these octets and closes the connection."""
    with contextlib.ExitStack() as stack:

        def serve(octets: bytes) -> str:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer() -> None:
                connection, _ = listening.accept()
                with connection, connection.makefile("rb") as sent:
                    while sent.readline().strip():
                        pass
                    connection.sendall(octets)
                    connection.shutdown(socket.SHUT_WR)
                    sent.read()

            thread = threading.Thread(target=answer)
            thread.start()
            stack.callback(thread.join)
            return f"http://127.0.0.1:{listening.getsockname()[1]}/v1/token"

        yield serve


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A token URL whose server takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/token"


@pytest.fixture
def refused_url() -> str:
    """A token URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}/v1/token"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    """Make token clients of a URL, closed when the test ends."""
    with contextlib.ExitStack() as stack:

        def make(
            url: str,
            client_id: str = "smart-client",
            client_secret: str = SECRET,
            scope: str | None = "ingr.api",
            **options: Any,
        ) -> TokenClient:
            return stack.enter_context(TokenClient(url, client_id, client_secret, scope, **options))

        yield make


@pytest.fixture
def clock(sc_auth_clock: ProcessClock) -> ProcessClock:
    """The process's clock, at noon of the first of March 2026."""
    sc_auth_clock.move_to(NOON)
    return sc_auth_clock


@pytest.fixture
def real_client(sc_auth_server: AuthorizationServer, new_client: NewClient) -> TokenClient:
    """A token client of a real server."""
    credentials = sc_auth_server.credentials_of()
    return new_client(
        credentials.token_url, credentials.client_id, credentials.client_secret, credentials.scope, leeway=30
    )


# What is sent


def test_request_is_a_client_credentials_grant(endpoint: Endpoint, new_client: NewClient) -> None:
    new_client(endpoint.url, scope="ingr.api other").token()

    request = endpoint.requests[0]
    assert request.method == "POST"
    assert request.path == "/v1/token"
    assert request.mimetype == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    assert request.form.to_dict(flat=False) == {
        "grant_type": ["client_credentials"],
        "scope": ["ingr.api other"],
    }


@pytest.mark.parametrize("scope", [None, ""])
def test_no_scope_is_left_out_of_the_request(endpoint: Endpoint, new_client: NewClient, scope: str | None) -> None:
    new_client(endpoint.url, scope=scope).token()

    assert "scope" not in endpoint.requests[0].form


def test_query_of_the_token_url_is_kept(endpoint: Endpoint, new_client: NewClient) -> None:
    new_client(endpoint.url + "?tenant=7").token()

    assert endpoint.requests[0].args.to_dict() == {"tenant": "7"}


def _sent_credentials(endpoint: Endpoint) -> str:
    scheme, _, encoded = endpoint.requests[0].headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(encoded).decode()


# The text of RFC 6749, appendix B, and its encoding there.
APPENDIX_B = " %&+£€"
APPENDIX_B_ENCODED = "+%25%26%2B%C2%A3%E2%82%AC"


@pytest.mark.parametrize(
    ("options", "client_id", "client_secret", "sent"),
    [
        pytest.param({}, APPENDIX_B, APPENDIX_B, f"{APPENDIX_B_ENCODED}:{APPENDIX_B_ENCODED}", id="form-by-default"),
        pytest.param({"encoding": "form"}, "a:b", "c:d", "a%3Ab:c%3Ad", id="form-colons"),
        pytest.param({"encoding": "raw"}, APPENDIX_B, APPENDIX_B, f"{APPENDIX_B}:{APPENDIX_B}", id="raw"),
        pytest.param({"encoding": "raw"}, "a", "c:d", "a:c:d", id="raw-colon-in-secret"),
        pytest.param({}, "a", "", "a:", id="empty-secret"),
    ],
)
def test_credentials_are_encoded(
    endpoint: Endpoint, new_client: NewClient, options: Any, client_id: str, client_secret: str, sent: str
) -> None:
    new_client(endpoint.url, client_id, client_secret, **options).token()

    assert _sent_credentials(endpoint) == sent


@pytest.mark.sc_auth(basic_decoding="form")
@pytest.mark.parametrize("secret", [APPENDIX_B, "100%", "a+b c", "a:b", "ü"])
def test_form_encoded_secret_is_understood(
    sc_auth_server: AuthorizationServer, new_client: NewClient, secret: str
) -> None:
    sc_auth_server.register("odd client:1", secret)

    token = new_client(sc_auth_server.token_url, "odd client:1", secret).token()

    assert token.scope == "ingr.api"


@pytest.mark.sc_auth(basic_decoding="raw")
def test_raw_secret_is_understood(sc_auth_server: AuthorizationServer, new_client: NewClient) -> None:
    sc_auth_server.register("odd client", "100%+ :ü")

    token = new_client(sc_auth_server.token_url, "odd client", "100%+ :ü", encoding="raw").token()

    assert token.scope == "ingr.api"


@pytest.fixture
def netrc(tmp_path: Path) -> None:
    """A ~/.netrc that has another login for this host."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login intruder password other\n")


@pytest.mark.usefixtures("netrc")
def test_netrc_does_not_replace_the_credentials(endpoint: Endpoint, new_client: NewClient) -> None:
    new_client(endpoint.url, "smart-client", "smart-secret").token()

    assert requests.get(endpoint.url, timeout=5).ok  # this one is replaced: the file is read
    assert endpoint.requests[1].authorization is not None
    assert endpoint.requests[1].authorization.username == "intruder"
    assert _sent_credentials(endpoint) == "smart-client:smart-secret"


@pytest.mark.usefixtures("netrc")
def test_netrc_does_not_replace_the_token(endpoint: Endpoint, new_client: NewClient) -> None:
    client = new_client(endpoint.url)

    requests.get(endpoint.url, auth=client.auth, timeout=5)

    assert endpoint.requests[-1].headers["Authorization"] == "Bearer token-1"


def test_session_with_an_auth_of_its_own_sends_the_clients_credentials(
    endpoint: Endpoint, new_client: NewClient
) -> None:
    with requests.Session() as session:
        session.auth = ("intruder", "other")
        session.headers["Authorization"] = "Bearer old"

        new_client(endpoint.url, "smart-client", "smart-secret", session=session).token()

    assert _sent_credentials(endpoint) == "smart-client:smart-secret"


def test_one_session_serves_the_client_and_its_own_bearer_auth(
    sc_auth_server: AuthorizationServer, new_client: NewClient
) -> None:
    credentials = sc_auth_server.credentials_of()
    with requests.Session() as session:
        session.auth = new_client(
            credentials.token_url, credentials.client_id, credentials.client_secret, credentials.scope, session=session
        ).auth

        response = session.get(sc_auth_server.api.url + "/Tags")

    assert response.status_code == 200
    assert len(sc_auth_server.token_requests) == 1


class _ClosingSession(requests.Session):
    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


def test_session_of_the_caller_stays_open(endpoint: Endpoint, new_client: NewClient) -> None:
    with _ClosingSession() as session:
        with new_client(endpoint.url, session=session) as client:
            client.token()

        assert not session.closed


def test_closed_client_drops_its_connections(sc_auth_server: AuthorizationServer, new_client: NewClient) -> None:
    credentials = sc_auth_server.credentials_of()
    client = new_client(credentials.token_url, credentials.client_id, credentials.client_secret, credentials.scope)
    client.token()

    client.close()  # an open connection would end in a ResourceWarning, and so in an error

    assert client.fetch().token_type == "Bearer"  # closed is not dead: requests opens what it needs


# What a token is


@pytest.mark.usefixtures("clock")
def test_token_is_what_the_server_gave(sc_auth_server: AuthorizationServer, real_client: TokenClient) -> None:
    token = real_client.token()

    assert token.token_type == "Bearer"
    assert token.scope == "ingr.api"
    assert token.expires_at == NOON + datetime.timedelta(seconds=3600)
    with requests.Session() as session:
        answer = session.get(sc_auth_server.api.url, headers={"Authorization": f"Bearer {token.value}"})
    assert answer.status_code == 200


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({"token_type": "bearer"}, {"token_type": "bearer"}, id="type-in-lower-case"),
        pytest.param({"scope": "less"}, {"scope": "less"}, id="other-scope"),
        pytest.param({}, {"scope": "ingr.api"}, id="scope-as-asked"),
        pytest.param({"scope": None}, {"scope": "ingr.api"}, id="scope-null"),
        pytest.param({"extra": [1], "refresh_token": "r"}, {"value": "token-1"}, id="unknown-members"),
        pytest.param({"expires_in": 1}, {"expires_at": NOON + datetime.timedelta(seconds=1)}, id="one-second"),
        pytest.param({"access_token": "!~" * 5000}, {"value": "!~" * 5000}, id="long-token"),
    ],
)
def test_answer_is_read(
    endpoint: Endpoint, new_client: NewClient, members: dict[str, Any], expected: dict[str, Any]
) -> None:
    endpoint.answer = lambda request: _json(GOOD | members)

    token = new_client(endpoint.url).token()

    assert {name: getattr(token, name) for name in expected} == expected


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=UTF-8", "Application/JSON ; charset=utf-8", "application/json; charset=x"],
)
def test_parameters_of_the_content_type_do_not_matter(
    endpoint: Endpoint, new_client: NewClient, content_type: str
) -> None:
    endpoint.answer = lambda request: Response(json.dumps(GOOD), headers={"Content-Type": content_type})

    token = new_client(endpoint.url).token()

    assert token.value == "token-1"


def test_token_without_expires_in_is_kept(clock: ProcessClock, endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answer = lambda request: _json({"access_token": "token-1", "token_type": "Bearer"})
    client = new_client(endpoint.url)

    first = client.token()
    clock.advance(days=365)
    second = client.token()

    assert first.expires_at is None
    assert second is first


def test_lifetime_counts_from_the_request(clock: ProcessClock, endpoint: Endpoint, new_client: NewClient) -> None:
    def answer_late(request: Request) -> Response:
        clock.advance(10)
        return _json(GOOD)

    endpoint.answer = answer_late

    token = new_client(endpoint.url).token()

    assert token.expires_at == NOON + datetime.timedelta(seconds=3600)


# What a server can do wrong


def _without(name: str) -> dict[str, Any]:
    return {member: value for member, value in GOOD.items() if member != name}


@pytest.mark.parametrize(
    ("body", "description"),
    [
        pytest.param(b"", "the answer's body is not a JSON object", id="empty"),
        pytest.param(b"{", "the answer's body is not a JSON object", id="cut-short"),
        pytest.param(b"[]", "the answer's body is not a JSON object", id="array"),
        pytest.param(b"[{}]", "the answer's body is not a JSON object", id="array-of-objects"),
        pytest.param(b"null", "the answer's body is not a JSON object", id="null"),
        pytest.param(b'"token-1"', "the answer's body is not a JSON object", id="text"),
        pytest.param(b"access_token=token-1&token_type=Bearer", "the answer's body is not a JSON object", id="form"),
        pytest.param(b"\xff\xfe\xff", "the answer's body is not a JSON object", id="not-utf-8"),
        pytest.param(b"[" * 100_000, "the answer's body is not a JSON object", id="nested-too-deep"),
        pytest.param(b"{}", "the answer has no access_token that could be sent", id="no-members"),
        *[
            pytest.param(json.dumps(members).encode(), description, id=name)
            for name, members, description in [
                ("no-token", _without("access_token"), "the answer has no access_token that could be sent"),
                ("token-null", GOOD | {"access_token": None}, "the answer has no access_token that could be sent"),
                ("token-number", GOOD | {"access_token": 1}, "the answer has no access_token that could be sent"),
                ("token-empty", GOOD | {"access_token": ""}, "the answer has no access_token that could be sent"),
                ("token-blank", GOOD | {"access_token": "a b"}, "the answer has no access_token that could be sent"),
                ("token-newline", GOOD | {"access_token": "a\n"}, "the answer has no access_token that could be sent"),
                ("token-umlaut", GOOD | {"access_token": "ä"}, "the answer has no access_token that could be sent"),
                ("no-type", _without("token_type"), "the answer's token_type is None, not Bearer"),
                ("type-number", GOOD | {"token_type": 1}, "the answer's token_type is 1, not Bearer"),
                ("type-mac", GOOD | {"token_type": "mac"}, "the answer's token_type is 'mac', not Bearer"),
                ("scope-array", GOOD | {"scope": ["ingr.api"]}, "the answer's scope is not a text"),
                *[
                    (
                        f"expires-in-{value}",
                        GOOD | {"expires_in": value},
                        f"the answer's expires_in is {value!r}, not a whole number of seconds above 0",
                    )
                    for value in (None, "3600", 3600.0, True, 0, -1, [], float("nan"))
                ],
                (
                    "expires-in-beyond-datetime",
                    GOOD | {"expires_in": 10**12},
                    "the answer's expires_in reaches beyond the year 9999",
                ),
                (
                    "expires-in-beyond-float",
                    GOOD | {"expires_in": 10**400},
                    "the answer's expires_in reaches beyond the year 9999",
                ),
            ]
        ],
    ],
)
def test_malformed_answer_is_refused(endpoint: Endpoint, new_client: NewClient, body: bytes, description: str) -> None:
    endpoint.answer = lambda request: Response(body, content_type="application/json")
    client = new_client(endpoint.url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert (caught.value.error, caught.value.status) == ("invalid_response", 200)
    assert caught.value.description == description


@pytest.mark.parametrize("content_type", ["text/html", "text/json", "application/jsonp", "application/jose", ""])
def test_answer_that_is_not_announced_as_json_is_refused(
    endpoint: Endpoint, new_client: NewClient, content_type: str
) -> None:
    endpoint.answer = lambda request: Response(json.dumps(GOOD), headers={"Content-Type": content_type})
    client = new_client(endpoint.url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert caught.value.error == "invalid_response"
    assert caught.value.description == "the answer is not announced as application/json"


HTML = "<html><title>Service unavailable</title></html>"
OKTA_ERROR = {
    "errorCode": "invalid_client",
    "errorSummary": "No such client.",
    "errorLink": "invalid_client",
    "errorId": "oae1",
    "errorCauses": [],
}


@pytest.mark.parametrize(
    ("response", "error", "description"),
    [
        pytest.param(
            _json({"error": "invalid_scope", "error_description": "No such scope."}, 400),
            "invalid_scope",
            "No such scope.",
            id="oauth",
        ),
        pytest.param(_json({"error": "invalid_client"}, 401), "invalid_client", "no description", id="no-description"),
        pytest.param(
            _json({"error": "e", "error_description": {"a": 1}}, 400), "e", "{'a': 1}", id="description-object"
        ),
        pytest.param(_json(OKTA_ERROR, 401), "invalid_client", "No such client.", id="okta"),
        pytest.param(_json(OKTA_ERROR | {"error": ""}, 401), "invalid_client", "No such client.", id="okta-too"),
        pytest.param(
            _json({"error": "x" * 200, "error_description": "y" * 1000}, 400), "x" * 100, "y" * 500, id="clipped"
        ),
        pytest.param(
            Response('{"error":"slow_down"}', 429, content_type="text/plain"),
            "slow_down",
            "no description",
            id="error-announced-as-text",
        ),
        *[
            pytest.param(response, "invalid_response", "the answer is neither a token nor an OAuth error", id=name)
            for name, response in [
                ("html-503", Response(HTML, 503, content_type="text/html")),
                ("html-announced-as-json", Response(HTML, 502, content_type="application/json")),
                ("empty-500", Response(b"", 500)),
                ("no-content", Response(status=204)),
                ("token-with-201", _json(GOOD, 201)),
                ("not-modified", Response(status=304)),
                ("error-object", _json({"error": {"code": "Unauthorized"}}, 401)),
                ("error-number", _json({"error": 7}, 400)),
                ("no-error", _json({"message": "Forbidden"}, 403)),
                ("array", _json(["invalid_client"], 400)),
            ]
        ],
    ],
)
def test_refusal_is_a_token_error(
    endpoint: Endpoint, new_client: NewClient, response: Response, error: str, description: str
) -> None:
    endpoint.answer = lambda request: response
    client = new_client(endpoint.url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert (caught.value.error, caught.value.description) == (error, description)
    assert caught.value.status == response.status_code


def test_error_names_everything_in_one_line(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answer = lambda request: _json({"error": "invalid_client", "error_description": "Wrong secret."}, 401)
    client = new_client(endpoint.url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert str(caught.value) == "invalid_client: Wrong secret. (HTTP 401)"
    assert repr(caught.value) == "TokenError('invalid_client', 'Wrong secret.', 401)"


@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error_can_be_copied(duplicate: Callable[[TokenError], TokenError]) -> None:
    copied = duplicate(TokenError("timeout", "no answer"))

    assert (copied.error, copied.description, copied.status) == ("timeout", "no answer", None)
    assert str(copied) == "timeout: no answer"


def test_wrong_secret_is_refused_by_a_real_server(sc_auth_server: AuthorizationServer, new_client: NewClient) -> None:
    credentials = sc_auth_server.credentials_of()
    client = new_client(credentials.token_url, credentials.client_id, "wrong", credentials.scope)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert (caught.value.error, caught.value.status) == ("invalid_client", 401)


def test_unknown_client_is_refused_by_a_real_server(sc_auth_server: AuthorizationServer, new_client: NewClient) -> None:
    client = new_client(sc_auth_server.token_url, "nobody")

    with pytest.raises(TokenError) as caught:
        client.token()

    assert (caught.value.error, caught.value.status) == ("invalid_client", 401)
    assert caught.value.description != "no description"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(endpoint: Endpoint, other_host: Endpoint, new_client: NewClient, status: int) -> None:
    endpoint.answer = lambda request: Response(status=status, headers={"Location": other_host.url})
    client = new_client(endpoint.url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert (caught.value.error, caught.value.status) == ("invalid_response", status)
    assert "redirects, which is not followed" in caught.value.description
    assert other_host.requests == []
    assert len(endpoint.requests) == 1


def test_silent_server_is_a_timeout(silent_url: str, new_client: NewClient) -> None:
    client = new_client(silent_url, timeout=0.05)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert (caught.value.error, caught.value.status) == ("timeout", None)
    assert str(caught.value) == f"timeout: no answer from {silent_url} within 0.05 s"


def test_refused_connection_is_named(refused_url: str, new_client: NewClient) -> None:
    client = new_client(refused_url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert (caught.value.error, caught.value.status) == ("connection_failed", None)
    assert str(caught.value) == f"connection_failed: {refused_url} did not answer: Connection refused"


def test_error_that_the_caller_was_handling_is_not_the_reason(refused_url: str, new_client: NewClient) -> None:
    client = new_client(refused_url)

    with pytest.raises(TokenError, match="did not answer: Connection refused$"):
        try:
            raise FileNotFoundError(2, "No such file or directory")
        except FileNotFoundError:
            client.token()


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="closed-without-answer"),
        pytest.param(b"HTTP/1.1 200", id="closed-in-the-status-line"),
        pytest.param(b"220 smtp.example.com ready\r\n", id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="broken-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", id="two-lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", id="not-gzip"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", id="body-cut-short"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n{}", id="too-many-headers"),
    ],
)
def test_broken_connection_is_a_token_error(
    raw_answer: Callable[[bytes], str], new_client: NewClient, octets: bytes
) -> None:
    url = raw_answer(octets)
    client = new_client(url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert (caught.value.error, caught.value.status) == ("connection_failed", None)
    assert caught.value.description.startswith(f"{url} did not answer: ")


def test_hook_that_raises_for_the_status_does_not_hide_the_refusal(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answer = lambda request: _json({"error": "invalid_client"}, 401)
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **kwargs: response.raise_for_status())
        client = new_client(endpoint.url, session=session)

        with pytest.raises(TokenError) as caught:
            client.token()

    assert (caught.value.error, caught.value.status) == ("invalid_client", 401)


def test_client_recovers_from_a_failure(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answer_in_turn(Response(HTML, 503), _json(GOOD))
    client = new_client(endpoint.url)

    with pytest.raises(TokenError):
        client.token()

    assert client.token().value == "token-1"


# How long a token is kept


def test_token_is_kept(endpoint: Endpoint, new_client: NewClient) -> None:
    client = new_client(endpoint.url)

    first, second = client.token(), client.token()

    assert second is first
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("lifetime", "leeway", "renewed_after"),
    [
        pytest.param(3600, 30, 3570, id="leeway"),
        pytest.param(3600, 0, 3600, id="no-leeway"),
        pytest.param(60, 30, 30, id="leeway-of-half-a-lifetime"),
        pytest.param(58, 30, 29, id="never-more-than-half-a-lifetime"),
        pytest.param(10, 3600, 5, id="leeway-of-many-lifetimes"),
        pytest.param(10, float("inf"), 5, id="endless-leeway"),
    ],
)
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_token_is_renewed_the_leeway_before_its_expiry(
    clock: ProcessClock,
    endpoint: Endpoint,
    new_client: NewClient,
    lifetime: int,
    leeway: float,
    renewed_after: int,
    offset: int,
) -> None:
    endpoint.answer = lambda request: _json(GOOD | {"expires_in": lifetime})
    client = new_client(endpoint.url, leeway=leeway)
    client.token()

    clock.advance(renewed_after + offset)
    client.token()

    assert len(endpoint.requests) == (1 if offset < 0 else 2)


def test_leeway_is_half_a_minute_by_default(clock: ProcessClock, endpoint: Endpoint, new_client: NewClient) -> None:
    client = new_client(endpoint.url)
    client.token()

    clock.advance(3569)
    client.token()
    kept = len(endpoint.requests)
    clock.advance(1)
    client.token()

    assert (kept, len(endpoint.requests)) == (1, 2)


def test_renewed_token_has_a_lifetime_of_its_own(
    clock: ProcessClock, sc_auth_server: AuthorizationServer, real_client: TokenClient
) -> None:
    first = real_client.token()

    clock.advance(hours=1)
    second = real_client.token()

    assert second.value != first.value
    assert second.expires_at == NOON + datetime.timedelta(hours=2)
    assert real_client.token() is second
    assert len(sc_auth_server.token_requests) == 2


def test_failed_renewal_keeps_no_old_token(clock: ProcessClock, endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answer_in_turn(_json(GOOD), Response(HTML, 503), _json(GOOD | {"access_token": "token-2"}))
    client = new_client(endpoint.url)
    client.token()
    clock.advance(hours=1)

    with pytest.raises(TokenError):
        client.token()

    assert client.token().value == "token-2"


def test_fetch_asks_whatever_is_kept(sc_auth_server: AuthorizationServer, real_client: TokenClient) -> None:
    first = real_client.token()

    second = real_client.fetch()

    assert second.value != first.value
    assert real_client.token() is second
    assert len(sc_auth_server.token_requests) == 2


def test_failed_fetch_leaves_the_kept_token(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answer_in_turn(_json(GOOD), Response(HTML, 503))
    client = new_client(endpoint.url)
    first = client.token()

    with pytest.raises(TokenError):
        client.fetch()

    assert client.token() is first


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        pytest.param((), 2, id="any"),
        pytest.param(("token-1",), 2, id="this-one"),
        pytest.param(("token-0",), 1, id="another"),
    ],
)
def test_forgotten_token_is_asked_for_again(
    endpoint: Endpoint, new_client: NewClient, arguments: tuple[str, ...], asked: int
) -> None:
    client = new_client(endpoint.url)
    client.token()

    client.forget(*arguments)
    client.token()

    assert len(endpoint.requests) == asked


@pytest.mark.parametrize("arguments", [(), ("token-1",)])
def test_nothing_can_be_forgotten(endpoint: Endpoint, new_client: NewClient, arguments: tuple[str, ...]) -> None:
    client = new_client(endpoint.url)

    client.forget(*arguments)

    assert client.token().value == "token-1"


# Threads

THREADS = 16


@pytest.fixture
def slow_endpoint(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose answer leaves when a second request has come, which none should, or all have had time to."""
    second_came = threading.Event()
    plain = endpoint.answer

    def answer(request: Request) -> Response:
        if len(endpoint.requests) > 1:
            second_came.set()
        second_came.wait(timeout=0.3)
        return plain(request)

    endpoint.answer = answer
    return endpoint


def _in_threads(call: Callable[[], Any]) -> list[Any]:
    """Return what each of the threads got, all starting together: a value or an error."""
    barrier = threading.Barrier(THREADS)

    def run() -> Any:
        barrier.wait()
        try:
            return call()
        except TokenError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(run) for _ in range(THREADS)]
    return [future.result() for future in futures]


def test_threads_share_one_request(slow_endpoint: Endpoint, new_client: NewClient) -> None:
    client = new_client(slow_endpoint.url)

    tokens = _in_threads(client.token)

    assert len(slow_endpoint.requests) == 1
    assert {id(token) for token in tokens} == {id(client.token())}


def test_threads_share_one_renewal(
    clock: ProcessClock, sc_auth_server: AuthorizationServer, real_client: TokenClient
) -> None:
    real_client.token()
    clock.advance(hours=1)

    tokens = _in_threads(real_client.token)

    assert len({token.value for token in tokens}) == 1
    assert len(sc_auth_server.token_requests) == 2


def test_threads_share_one_failure(endpoint: Endpoint, new_client: NewClient, request: pytest.FixtureRequest) -> None:
    endpoint.answer = lambda request: _json({"error": "invalid_client", "error_description": "No."}, 401)
    slow_endpoint: Endpoint = request.getfixturevalue("slow_endpoint")
    client = new_client(slow_endpoint.url)

    errors = _in_threads(client.token)

    assert len(slow_endpoint.requests) == 1
    assert {str(error) for error in errors} == {"invalid_client: No. (HTTP 401)"}
    assert len({id(error) for error in errors}) == THREADS  # one object in many threads would mix up tracebacks


def test_threads_renew_a_refused_token_once(sc_auth_server: AuthorizationServer, real_client: TokenClient) -> None:
    real_client.token()
    sc_auth_server.expire_all()

    def get() -> int:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(sc_auth_server.api.url, auth=real_client.auth).status_code

    statuses = _in_threads(get)

    assert statuses == [200] * THREADS
    assert len(sc_auth_server.token_requests) == 2


# BearerAuth


@pytest.fixture
def session(real_client: TokenClient) -> Iterator[requests.Session]:
    """A session that sends the tokens of a real server."""
    with requests.Session() as session:
        session.auth = real_client.auth
        yield session


def test_auth_sends_the_token(
    sc_auth_server: AuthorizationServer, real_client: TokenClient, session: requests.Session
) -> None:
    response = session.get(sc_auth_server.api.url)

    assert isinstance(real_client.auth, BearerAuth)
    assert response.status_code == 200
    assert response.request.headers["Authorization"] == f"Bearer {real_client.token().value}"
    assert len(sc_auth_server.token_requests) == 1


def test_auth_renews_a_token_that_the_api_refuses(
    sc_auth_server: AuthorizationServer, session: requests.Session
) -> None:
    session.get(sc_auth_server.api.url)
    sc_auth_server.expire_all()

    response = session.get(sc_auth_server.api.url)
    later = session.get(sc_auth_server.api.url)

    assert response.status_code == 200
    assert [first.status_code for first in response.history] == [401]
    assert response.request.headers["Authorization"] == later.request.headers["Authorization"]
    assert len(sc_auth_server.token_requests) == 2


class Api:
    """An API and its token endpoint on one canned server; the tokens are numbered."""

    def __init__(self, endpoint: Endpoint, *answers: Response) -> None:
        self.tokens = 0
        self.requests: list[Request] = []
        self.url = endpoint.url.replace("/v1/token", "/api")
        self._answers = iter(answers)
        endpoint.answer = self._answer

    def _answer(self, request: Request) -> Response:
        if request.path == "/v1/token":
            self.tokens += 1
            return _json(GOOD | {"access_token": f"token-{self.tokens}"})
        self.requests.append(request)
        return next(self._answers, Response("good"))

    @property
    def sent(self) -> list[str | None]:
        return [request.headers.get("Authorization") for request in self.requests]


def _refusing(challenge: str | None = 'Bearer error="invalid_token"', status: int = 401) -> Response:
    return Response("refused", status, {"WWW-Authenticate": challenge} if challenge is not None else None)


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer error="invalid_token"',
        "Bearer error=invalid_token",
        'bearer realm="api", error="invalid_token", error_description="expired"',
        'Bearer realm="api",error = "invalid_token"',
        'Negotiate, Bearer realm="api", error="invalid_token"',
        "BEARER ERROR=INVALID_TOKEN",
    ],
)
def test_invalid_token_is_renewed(endpoint: Endpoint, new_client: NewClient, challenge: str) -> None:
    api = Api(endpoint, _refusing(challenge))

    response = requests.get(api.url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.text == "good"
    assert api.sent == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_refusing(None), id="no-challenge"),
        pytest.param(_refusing("Bearer"), id="bare-challenge"),
        pytest.param(_refusing('Bearer realm="invalid_token"'), id="realm"),
        pytest.param(_refusing('Bearer error="insufficient_scope"'), id="other-error"),
        pytest.param(_refusing('Bearer error="invalid_token_type"'), id="longer-error"),
        pytest.param(_refusing('DPoP error="invalid_token"'), id="other-scheme"),
        pytest.param(_refusing(status=403), id="403"),
        pytest.param(_refusing(status=400), id="400"),
        pytest.param(_refusing(status=503), id="503"),
    ],
)
def test_other_refusal_is_not_renewed(endpoint: Endpoint, new_client: NewClient, answer: Response) -> None:
    api = Api(endpoint, answer)

    response = requests.get(api.url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.status_code == answer.status_code
    assert api.sent == ["Bearer token-1"]
    assert api.tokens == 1


def test_renewal_is_tried_once(endpoint: Endpoint, new_client: NewClient) -> None:
    api = Api(endpoint, *[_refusing() for _ in range(5)])

    response = requests.get(api.url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.status_code == 401
    assert api.sent == ["Bearer token-1", "Bearer token-2"]
    assert api.tokens == 2


def test_next_request_renews_again(endpoint: Endpoint, new_client: NewClient) -> None:
    api = Api(endpoint, _refusing(), Response("good"), _refusing())
    with requests.Session() as session:
        session.auth = new_client(endpoint.url).auth

        answers = [session.get(api.url).text for _ in range(2)]

    assert answers == ["good", "good"]
    assert api.sent == ["Bearer token-1", "Bearer token-2", "Bearer token-2", "Bearer token-3"]


def test_failed_renewal_is_a_token_error(sc_auth_server: AuthorizationServer, session: requests.Session) -> None:
    session.get(sc_auth_server.api.url)
    sc_auth_server.expire_all()
    next(iter(sc_auth_server.clients.values())).rotate_secret()

    with pytest.raises(TokenError) as caught:
        session.get(sc_auth_server.api.url)

    assert (caught.value.error, caught.value.status) == ("invalid_client", 401)


def _text_file() -> io.StringIO:
    return io.StringIO("payload")


def _read_on() -> io.BytesIO:
    body = io.BytesIO(b"not sent: payload")
    body.seek(10)
    return body


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        pytest.param(lambda: b"payload", b"payload", id="bytes"),
        pytest.param(lambda: "payload", b"payload", id="text"),
        pytest.param(lambda: {"a": "b c"}, b"a=b+c", id="form"),
        pytest.param(lambda: io.BytesIO(b"payload"), b"payload", id="file"),
        pytest.param(_text_file, b"payload", id="text-file"),
        pytest.param(_read_on, b"payload", id="file-from-its-position"),
        pytest.param(lambda: None, b"", id="none"),
    ],
)
def test_body_is_sent_again(endpoint: Endpoint, new_client: NewClient, body: Callable[[], Any], sent: bytes) -> None:
    api = Api(endpoint, _refusing())

    response = requests.post(api.url, data=body(), auth=new_client(endpoint.url).auth, timeout=5)

    assert response.text == "good"
    assert [request.get_data() for request in api.requests] == [sent, sent]


class _Stream:
    """A body that can be read and not sought, as a pipe."""

    def __init__(self, octets: bytes) -> None:
        self._file = io.BytesIO(octets)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def tell(self) -> int:
        raise OSError("this is a pipe")


class _OneWay(_Stream):
    """A body that tells where it is and cannot go back."""

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int) -> int:
        raise io.UnsupportedOperation("seek")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: iter([b"pay", b"load"]), id="generator"),
        pytest.param(lambda: _Stream(b"payload"), id="pipe"),
        pytest.param(lambda: _OneWay(b"payload"), id="one-way"),
    ],
)
def test_body_that_cannot_be_sent_again_gets_the_refusal(
    endpoint: Endpoint, new_client: NewClient, body: Callable[[], Any]
) -> None:
    api = Api(endpoint, _refusing())

    response = requests.post(api.url, data=body(), auth=new_client(endpoint.url).auth, timeout=5)

    assert response.status_code == 401
    assert api.sent == ["Bearer token-1"]


def test_token_is_dropped_though_its_request_cannot_be_sent_again(endpoint: Endpoint, new_client: NewClient) -> None:
    api = Api(endpoint, _refusing())
    auth = new_client(endpoint.url).auth

    requests.post(api.url, data=iter([b"payload"]), auth=auth, timeout=5)
    requests.get(api.url, auth=auth, timeout=5)

    assert api.sent == ["Bearer token-1", "Bearer token-2"]


def test_redirect_to_another_host_gets_no_token(
    endpoint: Endpoint, other_host: Endpoint, new_client: NewClient
) -> None:
    api = Api(endpoint, Response(status=302, headers={"Location": other_host.url}))
    other_host.answer = lambda request: _refusing()

    response = requests.get(api.url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.status_code == 401
    assert ["Authorization" in request.headers for request in other_host.requests] == [False]
    assert api.tokens == 1


def test_redirect_on_the_same_host_is_renewed(endpoint: Endpoint, new_client: NewClient) -> None:
    api = Api(endpoint, Response(status=302, headers={"Location": "/elsewhere"}), _refusing())

    response = requests.get(api.url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.text == "good"
    assert [request.path for request in api.requests] == ["/api", "/elsewhere", "/elsewhere"]
    assert api.sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_renewed_request_that_is_redirected_is_not_renewed_again(endpoint: Endpoint, new_client: NewClient) -> None:
    redirect = Response(status=302, headers={"Location": "/elsewhere"})
    api = Api(endpoint, _refusing(), redirect, _refusing(), _refusing())

    response = requests.get(api.url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.status_code == 401
    assert api.sent == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_streamed_answer_can_be_read_after_a_renewal(endpoint: Endpoint, new_client: NewClient) -> None:
    api = Api(endpoint, _refusing())

    with requests.get(api.url, auth=new_client(endpoint.url).auth, timeout=5, stream=True) as response:
        chunks = b"".join(response.iter_content(2))

    assert chunks == b"good"


# Secrets


def test_repr_tells_who_and_where(new_client: NewClient) -> None:
    client = new_client("http://user:word@idp.test/v1/token?key=hidden", "smart-client", SECRET, "ingr.api")

    assert repr(client) == "<TokenClient 'smart-client' of http://idp.test/v1/token, scope 'ingr.api'>"
    assert repr(client.auth) == f"<BearerAuth of {client!r}>"


def test_repr_of_a_token_leaves_its_value_out() -> None:
    token = AccessToken(value="token-1", token_type="Bearer", scope="ingr.api", expires_at=NOON)

    assert "token-1" not in repr(token)
    assert "token-1" not in str(token)
    assert "ingr.api" in repr(token)


ENCODED_SECRET = "correct+horse%2Bbattery%2Fstaple"
BASIC = base64.b64encode(f"smart-client:{ENCODED_SECRET}".encode()).decode()


@pytest.mark.parametrize("member", ["error", "error_description", "errorSummary"])
@pytest.mark.parametrize("echoed", [SECRET, ENCODED_SECRET, BASIC], ids=["raw", "form", "basic"])
def test_secret_that_the_server_echoes_is_left_out(
    endpoint: Endpoint, new_client: NewClient, member: str, echoed: str
) -> None:
    members = {"error": "invalid_client"} | {member: f"who is {echoed}?"}
    endpoint.answer = lambda request: _json(members, 401)
    client = new_client(endpoint.url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert "who is …?" in (caught.value.error, caught.value.description)
    assert echoed not in str(caught.value)


def test_empty_secret_leaves_the_description_whole(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answer = lambda request: _json({"error": "invalid_client", "error_description": "No secret."}, 401)
    client = new_client(endpoint.url, client_secret="")

    with pytest.raises(TokenError) as caught:
        client.token()

    assert caught.value.description == "No secret."


@pytest.mark.parametrize("member", ["token_type", "expires_in"])
def test_token_in_the_wrong_member_is_not_shown_whole(endpoint: Endpoint, new_client: NewClient, member: str) -> None:
    endpoint.answer = lambda request: _json(GOOD | {member: "0123456789abcdef"})
    client = new_client(endpoint.url)

    with pytest.raises(TokenError) as caught:
        client.token()

    assert "0123456789" in str(caught.value)
    assert "0123456789ab" not in str(caught.value)


def test_url_in_a_message_has_no_query_and_no_user(new_client: NewClient, refused_url: str) -> None:
    client = new_client(refused_url.replace("http://", "http://user:word@") + "?key=hidden")

    with pytest.raises(TokenError) as caught:
        client.token()

    assert caught.value.description == f"{refused_url} did not answer: Connection refused"


def test_log_has_no_secret_and_no_token(
    caplog: pytest.LogCaptureFixture,
    sc_auth_server: AuthorizationServer,
    real_client: TokenClient,
    session: requests.Session,
) -> None:
    caplog.set_level(logging.DEBUG)
    session.get(sc_auth_server.api.url)
    sc_auth_server.expire_all()
    session.get(sc_auth_server.api.url)

    token = real_client.token().value
    secret = sc_auth_server.credentials_of().client_secret

    assert "/v1/token" in caplog.text
    assert token not in caplog.text
    assert secret not in caplog.text
    assert base64.b64encode(f"{real_client.client_id}:{secret}".encode()).decode() not in caplog.text


FAILING_TESTS = """
    import socket

    import pytest
    import requests

    from pytest_sc_auth import TokenClient

    SECRET = "".join(["sup", "3r", "s3cret"])  # in no source line that a traceback quotes


    @pytest.fixture
    def client_of():
        clients = []

        def make(url):
            clients.append(TokenClient(url + "?key=" + SECRET, "smart-client", SECRET))
            return clients[-1]

        yield make
        for client in clients:
            client.close()


    def test_refused_connection(client_of):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client_of(url).token()


    def test_silent_server(client_of):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = client_of(f"http://127.0.0.1:{listening.getsockname()[1]}")
            client.timeout = 0.05
            client.token()


    def test_wrong_secret(client_of, sc_auth_server):
        sc_auth_server.register("smart-client", "other")
        client_of(sc_auth_server.token_url).token()


    @pytest.mark.parametrize("members", [{"expires_in": "1"}, {"token_type": "mac"}, {"scope": 1}, {"expires_in": 10**13}])
    def test_malformed_answer(client_of, malformed_url, members):
        client_of(malformed_url(members)).token()


    def test_failed_renewal(sc_auth_server, sc_auth_session):
        sc_auth_session.get(sc_auth_server.api.url)
        sc_auth_server.expire_all()
        next(iter(sc_auth_server.clients.values())).disable()
        sc_auth_session.get(sc_auth_server.api.url)
"""


@pytest.mark.parametrize("arguments", [(), ("--showlocals",), ("--showlocals", "--tb=long")], ids=" ".join)
def test_failed_test_shows_no_secret_and_no_token(
    pytester: pytest.Pytester, endpoint: Endpoint, arguments: tuple[str, ...]
) -> None:
    token = "".join(["good", "-t0ken"])

    class Malformed:
        @pytest.fixture
        def malformed_url(self) -> Callable[[dict[str, Any]], str]:
            """Make a URL whose answer has a token, and members that are wrong."""

            def url(members: dict[str, Any]) -> str:
                endpoint.answer = lambda request: _json(GOOD | {"access_token": token} | members)
                return endpoint.url

            return url

    pytester.makepyfile(FAILING_TESTS)

    result = pytester.inline_run("-p", "no:randomly", *arguments, plugins=[Malformed()])

    reports = [report for report in result.getreports("pytest_runtest_logreport") if report.when == "call"]
    texts = [str(report.longrepr) for report in reports]
    assert [report.outcome for report in reports] == ["failed"] * 8
    assert all("TokenError" in text for text in texts)
    shown = "\n".join(texts)
    secret = "".join(["sup", "3r", "s3cret"])
    assert secret not in shown
    assert base64.b64encode(b"smart-client").decode()[:14] not in shown
    assert token not in shown
    assert "Basic " not in shown
    assert "eyJ" not in shown


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"token_url": "idp.test/v1/token"}, "'://idp.test/v1/token' is not an http", id="no-scheme"),
        pytest.param({"token_url": "ftp://idp.test/token"}, "is not an http or https URL", id="other-scheme"),
        pytest.param({"token_url": "https:///v1/token"}, "is not an http or https URL", id="no-host"),
        pytest.param({"token_url": ""}, "is not an http or https URL", id="empty-url"),
        pytest.param({"token_url": "http://idp.test/#x"}, "must not have a fragment", id="fragment"),
        pytest.param({"client_id": ""}, "client_id must not be empty", id="empty-client-id"),
        pytest.param({"timeout": 0}, "timeout=0 must be above 0", id="no-timeout"),
        pytest.param({"timeout": -1}, "timeout=-1 must be above 0", id="negative-timeout"),
        pytest.param({"timeout": float("nan")}, "timeout=nan must be above 0", id="timeout-nan"),
        pytest.param({"timeout": float("inf")}, "timeout=inf must be above 0", id="endless-timeout"),
        pytest.param({"leeway": -1}, "leeway=-1 not below 0", id="negative-leeway"),
        pytest.param({"leeway": float("nan")}, "leeway=nan not below 0", id="leeway-nan"),
        pytest.param({"encoding": "base64"}, "encoding='base64' is not known; there are form, raw", id="encoding"),
        pytest.param({"encoding": "raw", "client_id": "a:b"}, "use encoding='form'", id="colon-in-a-raw-id"),
    ],
)
def test_argument_that_cannot_be_used_is_an_error(arguments: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"token_url": "http://idp.test/v1/token", "client_id": "a", "client_secret": SECRET}

    with pytest.raises(ValueError, match="") as caught:
        TokenClient(**good | arguments)

    assert message in str(caught.value)
    assert SECRET not in str(caught.value)


def test_wrong_url_in_a_message_has_no_password() -> None:
    with pytest.raises(ValueError, match="is not an http or https URL") as caught:
        TokenClient("ftp://user:word@idp.test/?key=hidden", "a", SECRET)

    assert "word" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_scope_and_secret_may_be_positional_and_the_rest_may_not() -> None:
    with pytest.raises(TypeError):
        TokenClient("http://idp.test", "a", "b", "c", 10)  # type: ignore[misc]
