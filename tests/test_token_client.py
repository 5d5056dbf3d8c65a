"""The token client: what it sends, what it makes of every answer, and how long it keeps a token."""

import base64
import contextlib
import copy
import datetime
import io
import json
import logging
import pickle
import re
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
ENCODED_SECRET = "correct+horse%2Bbattery%2Fstaple"
BASIC = base64.b64encode(f"smart-client:{ENCODED_SECRET}".encode()).decode()
GOOD = {"access_token": "token-1", "token_type": "Bearer", "expires_in": 3600}

NewClient = Callable[..., TokenClient]
RawAnswer = Callable[..., str]


def _json(members: Any, status: int = 200) -> Response:
    return Response(json.dumps(members), status, content_type="application/json")


@dataclass(repr=False)
class Endpoint:
    """A token endpoint and an API that answer in turn as the test lays it down, and then well; tokens are numbered."""

    url: str
    api_url: str
    answers: list[Response] = field(default_factory=list)
    api_answers: list[Response] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    api_requests: list[Request] = field(default_factory=list)
    delay: Callable[[], object] = lambda: None

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        request.get_data(cache=True)
        answer = self._token_answer if request.path == "/v1/token" else self._api_answer
        return answer(request)(environ, start_response)

    def _token_answer(self, request: Request) -> Response:
        self.requests.append(request)
        self.delay()
        return self.answers.pop(0) if self.answers else _json(GOOD | {"access_token": f"token-{len(self.requests)}"})

    def _api_answer(self, request: Request) -> Response:
        self.api_requests.append(request)
        return self.api_answers.pop(0) if self.api_answers else Response("good")

    @property
    def sent_tokens(self) -> list[str]:
        return [request.headers.get("Authorization", "").removeprefix("Bearer ") for request in self.api_requests]


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def _served() -> Iterator[Endpoint]:
    endpoint = Endpoint("", "")
    server = make_server("127.0.0.1", 0, endpoint, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.port}/v1/token"
    endpoint.api_url = f"http://127.0.0.1:{server.port}/api"
    yield endpoint
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A token endpoint and an API that answer what the test wants."""
    with _served() as endpoint:
        yield endpoint


@pytest.fixture
def raw_answer() -> Iterator[RawAnswer]:
    """Make a token URL whose server answers one request with these octets, and then closes the connection or stalls."""
    is_over = threading.Event()
    with contextlib.ExitStack() as stack:

        def serve(octets: bytes, *, stalls: bool = False) -> str:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listening.settimeout(5)

            def answer() -> None:
                connection, _ = listening.accept()
                connection.settimeout(5)
                with connection, connection.makefile("rb") as sent:
                    lines = iter(lambda: sent.readline().strip(), b"")
                    headers = dict(line.split(b": ") for line in lines if b": " in line)
                    sent.read(int(headers[b"Content-Length"]))  # with octets unread, closing would be a reset
                    connection.sendall(octets)
                    if stalls:
                        is_over.wait(5)

            thread = threading.Thread(target=answer)
            thread.start()
            stack.callback(thread.join)
            stack.callback(is_over.set)
            return f"http://127.0.0.1:{listening.getsockname()[1]}/v1/token"

        yield serve


@pytest.fixture
def refused_url() -> str:
    """A token URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}/v1/token"


@pytest.fixture(autouse=True)
def netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The path of this test's own ~/.netrc; and no proxy is asked."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"


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


# What is sent


def test_request_is_a_client_credentials_grant(endpoint: Endpoint, new_client: NewClient) -> None:
    new_client(endpoint.url + "?tenant=7", scope="ingr.api other").token()

    (request,) = endpoint.requests
    assert (request.method, request.full_path) == ("POST", "/v1/token?tenant=7")
    assert request.mimetype == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    assert request.form.to_dict(flat=False) == {"grant_type": ["client_credentials"], "scope": ["ingr.api other"]}


@pytest.mark.parametrize("scope", [None, ""])
def test_no_scope_is_left_out_of_the_request(endpoint: Endpoint, new_client: NewClient, scope: str | None) -> None:
    new_client(endpoint.url, scope=scope).token()

    assert "scope" not in endpoint.requests[0].form


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
        pytest.param({"encoding": "raw"}, APPENDIX_B, "c:d", f"{APPENDIX_B}:c:d", id="raw"),
        pytest.param({}, "a", "", "a:", id="empty-secret"),
    ],
)
def test_credentials_are_encoded(
    endpoint: Endpoint, new_client: NewClient, options: Any, client_id: str, client_secret: str, sent: str
) -> None:
    new_client(endpoint.url, client_id, client_secret, **options).token()

    assert _sent_credentials(endpoint) == sent


@pytest.mark.parametrize(
    "encoding",
    [
        pytest.param("form", marks=pytest.mark.sc_auth(basic_decoding="form")),
        pytest.param("raw", marks=pytest.mark.sc_auth(basic_decoding="raw")),
    ],
)
def test_encoded_credentials_are_understood(
    sc_auth_server: AuthorizationServer, new_client: NewClient, encoding: str
) -> None:
    sc_auth_server.register("odd client", "100%+ :ü")

    token = new_client(sc_auth_server.token_url, "odd client", "100%+ :ü", encoding=encoding).token()

    assert token.scope == "ingr.api"


def test_netrc_replaces_neither_credentials_nor_token(endpoint: Endpoint, new_client: NewClient, netrc: Path) -> None:
    netrc.write_text("machine 127.0.0.1 login intruder password other\n")

    requests.get(endpoint.api_url, auth=new_client(endpoint.url).auth, timeout=5)
    requests.get(endpoint.api_url, timeout=5)  # shows that the file is read

    assert _sent_credentials(endpoint) == f"smart-client:{ENCODED_SECRET}"
    assert endpoint.sent_tokens[0] == "token-1"
    assert endpoint.sent_tokens[1].startswith("Basic ")


def test_session_with_an_auth_of_its_own_sends_the_clients_credentials(
    endpoint: Endpoint, new_client: NewClient
) -> None:
    with requests.Session() as session:
        session.auth = ("intruder", "other")
        session.headers.update({"Authorization": "Bearer old", "User-Agent": "acme"})

        new_client(endpoint.url, session=session).token()

    assert endpoint.requests[0].headers["User-Agent"] == "acme"
    assert _sent_credentials(endpoint) == f"smart-client:{ENCODED_SECRET}"


def test_one_session_serves_the_client_and_its_own_auth(endpoint: Endpoint, new_client: NewClient) -> None:
    with requests.Session() as session:
        session.auth = new_client(endpoint.url, session=session).auth

        response = session.get(endpoint.api_url)

    assert response.text == "good"
    assert endpoint.sent_tokens == ["token-1"]
    assert len(endpoint.requests) == 1


def test_client_closes_a_session_of_its_own_only(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[requests.Session] = []
    monkeypatch.setattr(requests.Session, "close", lambda session: closed.append(session))
    session = requests.Session()

    with TokenClient("http://idp.test", "a", "b"), TokenClient("http://idp.test", "a", "b", session=session):
        pass

    (own,) = closed
    assert own is not session


# What a token is


@pytest.mark.usefixtures("clock")
def test_token_is_what_the_server_gave(sc_auth_server: AuthorizationServer, sc_auth_client: TokenClient) -> None:
    token = sc_auth_client.token()

    assert (token.token_type, token.scope) == ("Bearer", "ingr.api")
    assert token.expires_at == NOON + datetime.timedelta(seconds=3600)
    answer = requests.get(sc_auth_server.api.url, headers={"Authorization": f"Bearer {token.value}"}, timeout=5)
    assert answer.status_code == 200


def _as(content_type: str) -> Response:
    return Response(json.dumps(GOOD), headers={"Content-Type": content_type})


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(_json(GOOD | {"token_type": "bearer"}), {"token_type": "bearer"}, id="type-in-lower-case"),
        pytest.param(_json(GOOD | {"scope": "less"}), {"scope": "less"}, id="other-scope"),
        pytest.param(_json(GOOD), {"scope": "ingr.api"}, id="scope-as-asked"),
        pytest.param(_json(GOOD | {"scope": None}), {"scope": "ingr.api"}, id="scope-null"),
        pytest.param(_json(GOOD | {"extra": [1]}), {"value": "token-1"}, id="unknown-member"),
        pytest.param(
            _json(GOOD | {"expires_in": 1}), {"expires_at": NOON + datetime.timedelta(seconds=1)}, id="one-second"
        ),
        pytest.param(_json(GOOD | {"access_token": "!~" * 5000}), {"value": "!~" * 5000}, id="long-token"),
        pytest.param(_as("Application/JSON ; charset=utf-8"), {"value": "token-1"}, id="charset"),
        pytest.param(_as("application/json;charset=x"), {"value": "token-1"}, id="unknown-charset"),
    ],
)
def test_answer_is_read(
    endpoint: Endpoint, new_client: NewClient, answer: Response, expected: dict[str, object]
) -> None:
    endpoint.answers = [answer]

    token = new_client(endpoint.url).token()

    assert {name: getattr(token, name) for name in expected} == expected


def test_token_without_expires_in_is_kept(clock: ProcessClock, endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answers = [_json({"access_token": "token-1", "token_type": "Bearer"})]
    client = new_client(endpoint.url)

    first = client.token()
    clock.advance(days=365)
    second = client.token()

    assert first.expires_at is None
    assert second is first


def test_lifetime_counts_from_the_request(clock: ProcessClock, endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.delay = lambda: clock.advance(10)
    client = new_client(endpoint.url, leeway=0)

    token = client.token()
    clock.advance(3590)

    assert token.expires_at == NOON + datetime.timedelta(seconds=3600)
    assert client.token() is not token


# What a server can do wrong


def _refused(client: TokenClient) -> TokenError:
    with pytest.raises(TokenError) as caught:
        client.token()
    return caught.value


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        *[
            pytest.param(Response(body, content_type="application/json"), "JSON object", id=name)
            for name, body in [
                ("empty", b""),
                ("cut-short", b"{"),
                ("array", b"[]"),
                ("null", b"null"),
                ("not-utf-8", b"\xff\xfe\xff"),
                ("nested-too-deep", b"[" * 100_000),
            ]
        ],
        *[
            pytest.param(_as(content_type), "application/json", id=f"as-{content_type or 'nothing'}")
            for content_type in ("text/html", "text/json", "application/jsonp", "")
        ],
        pytest.param(_json({"token_type": "Bearer"}), "access_token", id="no-token"),
        pytest.param(_json({"access_token": "token-1"}), "token_type", id="no-type"),
        *[
            pytest.param(_json(GOOD | {member: value}), member, id=f"{member}-{json.dumps(value):.12}")
            for member, values in {
                "access_token": (None, 1, "", "a b", "a\n", "ä"),
                "token_type": (1, "mac"),
                "scope": (["ingr.api"],),
                "expires_in": (None, "3600", 3600.0, True, 0, 10**12, 10**400),
            }.items()
            for value in values
        ],
    ],
)
def test_malformed_answer_is_refused(endpoint: Endpoint, new_client: NewClient, answer: Response, named: str) -> None:
    endpoint.answers = [answer]

    error = _refused(new_client(endpoint.url))

    assert (error.error, error.status) == ("invalid_response", 200)
    assert named in error.description


OKTA_ERROR = {"errorCode": "invalid_client", "errorSummary": "No such client.", "errorId": "oae1", "errorCauses": []}


@pytest.mark.parametrize(
    ("answer", "error", "description"),
    [
        pytest.param(
            _json({"error": "invalid_scope", "error_description": "Unknown."}, 400),
            "invalid_scope",
            "Unknown.",
            id="oauth",
        ),
        pytest.param(_json({"error": "invalid_client"}, 401), "invalid_client", "no description", id="no-description"),
        pytest.param(_json({"error": "e", "error_description": [1]}, 400), "e", "[1]", id="description-array"),
        pytest.param(_json(OKTA_ERROR, 401), "invalid_client", "No such client.", id="okta"),
        pytest.param(
            _json({"error": "x" * 101, "error_description": "y" * 501}, 400), "x" * 100, "y" * 500, id="clipped"
        ),
        pytest.param(Response('{"error":"slow_down"}', 429), "slow_down", "no description", id="announced-as-text"),
        *[
            pytest.param(answer, "invalid_response", "the answer is neither a token nor an OAuth error", id=name)
            for name, answer in [
                ("html", Response("<html>Service unavailable</html>", 503, content_type="text/html")),
                ("no-content", Response(status=204)),
                ("token-with-201", _json(GOOD, 201)),
                ("error-object", _json({"error": {"code": "Unauthorized"}}, 401)),
                ("no-error", _json({"message": "Forbidden"}, 403)),
                ("array", _json(["invalid_client"], 400)),
            ]
        ],
    ],
)
def test_refusal_is_a_token_error(
    endpoint: Endpoint, new_client: NewClient, answer: Response, error: str, description: str
) -> None:
    endpoint.answers = [answer]

    refused = _refused(new_client(endpoint.url))

    assert (refused.error, refused.description, refused.status) == (error, description, answer.status_code)


def test_error_names_everything_in_one_line() -> None:
    error = TokenError("invalid_client", "Wrong secret.", 401)

    assert str(error) == "invalid_client: Wrong secret. (HTTP 401)"
    assert str(TokenError("timeout", "no answer")) == "timeout: no answer"
    assert repr(error) == "TokenError('invalid_client', 'Wrong secret.', 401)"


@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error_can_be_copied(duplicate: Callable[[TokenError], TokenError]) -> None:
    copied = duplicate(TokenError("timeout", "no answer", 504))

    assert (copied.error, copied.description, copied.status) == ("timeout", "no answer", 504)


@pytest.mark.parametrize(("client_id", "secret"), [("smart-client", "wrong"), ("nobody", SECRET)])
def test_wrong_credentials_are_refused_by_a_real_server(
    sc_auth_server: AuthorizationServer, new_client: NewClient, client_id: str, secret: str
) -> None:
    sc_auth_server.register("smart-client", SECRET)

    error = _refused(new_client(sc_auth_server.token_url, client_id, secret))

    assert (error.error, error.status) == ("invalid_client", 401)
    assert error.description != "no description"


@pytest.mark.parametrize("location", ["/api", "http://[", "http://\xe4/"], ids=["good", "no-url", "not-utf-8"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(raw_answer: RawAnswer, new_client: NewClient, status: int, location: str) -> None:
    head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"

    error = _refused(new_client(raw_answer(head.encode("latin-1"))))  # a second request would get no answer

    assert (error.error, error.status) == ("invalid_response", status)
    assert "redirects, which is not followed" in error.description


@pytest.mark.parametrize("octets", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], ids=["at-once", "halfway"])
def test_server_that_stalls_is_a_timeout(raw_answer: RawAnswer, new_client: NewClient, octets: bytes) -> None:
    url = raw_answer(octets, stalls=True)

    error = _refused(new_client(url, timeout=0.05))

    assert (error.error, error.status) == ("timeout", None)
    assert error.description == f"no answer from {url} within 0.05 s"


def test_timeout_that_a_mock_raises_is_a_timeout(monkeypatch: pytest.MonkeyPatch, new_client: NewClient) -> None:
    def send(*args: Any, **kwargs: Any) -> None:
        raise requests.ConnectTimeout

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)

    error = _refused(new_client("http://idp.test/v1/token"))

    assert (error.error, error.status) == ("timeout", None)


def test_error_that_the_caller_was_handling_is_not_the_reason(refused_url: str, new_client: NewClient) -> None:
    try:
        raise FileNotFoundError(2, "No such file or directory")
    except FileNotFoundError:
        error = _refused(new_client(refused_url))

    assert error.description == f"{refused_url} did not answer: Connection refused"


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="closed-without-answer"),
        pytest.param(b"220 smtp.example.com ready\r\n", id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="broken-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", id="not-gzip"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", id="body-cut-short"),
    ],
)
def test_broken_connection_is_a_token_error(raw_answer: RawAnswer, new_client: NewClient, octets: bytes) -> None:
    url = raw_answer(octets)

    error = _refused(new_client(url))

    assert (error.error, error.status) == ("connection_failed", None)
    assert error.description.startswith(f"{url} did not answer: ")


def test_hook_that_raises_for_the_status_does_not_hide_the_refusal(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answers = [_json({"error": "invalid_client"}, 401)]
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **kwargs: response.raise_for_status())

        error = _refused(new_client(endpoint.url, session=session))

    assert (error.error, error.status) == ("invalid_client", 401)


# How long a token is kept


@pytest.mark.parametrize(
    ("lifetime", "options", "renewed_after"),
    [
        pytest.param(3600, {}, 3570, id="default-leeway"),
        pytest.param(3600, {"leeway": 0}, 3600, id="no-leeway"),
        pytest.param(60, {"leeway": 30}, 30, id="leeway-of-half-a-lifetime"),
        pytest.param(58, {"leeway": 30}, 29, id="never-more-than-half-a-lifetime"),
        pytest.param(10, {"leeway": float("inf")}, 5, id="endless-leeway"),
    ],
)
def test_token_is_renewed_the_leeway_before_its_expiry(
    clock: ProcessClock, endpoint: Endpoint, new_client: NewClient, lifetime: int, options: Any, renewed_after: int
) -> None:
    endpoint.answers = [_json(GOOD | {"expires_in": lifetime})]
    client = new_client(endpoint.url, **options)
    first = client.token()

    clock.advance(renewed_after - 1)
    kept = client.token()
    clock.advance(1)
    renewed = client.token()

    assert kept is first
    assert renewed.value == "token-2"
    assert len(endpoint.requests) == 2


def test_renewed_token_has_a_lifetime_of_its_own(
    clock: ProcessClock, sc_auth_server: AuthorizationServer, sc_auth_client: TokenClient
) -> None:
    first = sc_auth_client.token()

    clock.advance(hours=1)
    second = sc_auth_client.token()

    assert second.value != first.value
    assert second.expires_at == NOON + datetime.timedelta(hours=2)
    assert sc_auth_client.token() is second
    assert len(sc_auth_server.token_requests) == 2


def test_failed_renewal_keeps_no_old_token(clock: ProcessClock, endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answers = [_json(GOOD), Response(status=503)]
    client = new_client(endpoint.url)
    client.token()
    clock.advance(hours=1)

    error = _refused(client)

    assert error.status == 503
    assert client.token().value == "token-3"


def test_fetch_asks_whatever_is_kept(endpoint: Endpoint, new_client: NewClient) -> None:
    client = new_client(endpoint.url)
    client.token()

    second = client.fetch()

    assert second.value == "token-2"
    assert client.token() is second


def test_failed_fetch_leaves_the_kept_token(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answers = [_json(GOOD), Response(status=503)]
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

    def wait_for_a_second() -> None:
        if len(endpoint.requests) > 1:
            second_came.set()
        second_came.wait(timeout=0.3)

    endpoint.delay = wait_for_a_second
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
    clock: ProcessClock, sc_auth_server: AuthorizationServer, sc_auth_client: TokenClient
) -> None:
    sc_auth_client.token()
    clock.advance(hours=1)

    tokens = _in_threads(sc_auth_client.token)

    assert len({token.value for token in tokens}) == 1
    assert len(sc_auth_server.token_requests) == 2


def test_threads_share_one_failure(slow_endpoint: Endpoint, new_client: NewClient) -> None:
    slow_endpoint.answers = [_json({"error": "invalid_client", "error_description": "No."}, 401)]
    client = new_client(slow_endpoint.url)

    errors = _in_threads(client.token)

    assert len(slow_endpoint.requests) == 1
    assert {str(error) for error in errors} == {"invalid_client: No. (HTTP 401)"}
    assert len({id(error) for error in errors}) == THREADS  # one object in many threads would mix up tracebacks


def test_threads_renew_a_refused_token_once(sc_auth_server: AuthorizationServer, sc_auth_client: TokenClient) -> None:
    sc_auth_client.token()
    sc_auth_server.expire_all()

    def get() -> int:
        return requests.get(sc_auth_server.api.url, auth=sc_auth_client.auth, timeout=5).status_code

    statuses = _in_threads(get)

    assert statuses == [200] * THREADS
    assert len(sc_auth_server.token_requests) == 2


# The auth for requests


def test_auth_sends_the_token(sc_auth_server: AuthorizationServer, sc_auth_client: TokenClient) -> None:
    response = requests.get(sc_auth_server.api.url, auth=sc_auth_client.auth, timeout=5)

    assert isinstance(sc_auth_client.auth, BearerAuth)
    assert response.status_code == 200
    assert response.request.headers["Authorization"] == f"Bearer {sc_auth_client.token().value}"
    assert len(sc_auth_server.token_requests) == 1


def test_auth_renews_a_token_that_the_api_refuses(
    sc_auth_server: AuthorizationServer, sc_auth_session: requests.Session
) -> None:
    sc_auth_session.get(sc_auth_server.api.url)
    sc_auth_server.expire_all()

    response = sc_auth_session.get(sc_auth_server.api.url)
    later = sc_auth_session.get(sc_auth_server.api.url)

    assert response.status_code == 200
    assert [first.status_code for first in response.history] == [401]
    assert response.request.headers["Authorization"] == later.request.headers["Authorization"]
    assert len(sc_auth_server.token_requests) == 2


def _refusing(challenge: str | None = 'Bearer error="invalid_token"', status: int = 401) -> Response:
    return Response("refused", status, {} if challenge is None else {"WWW-Authenticate": challenge})


def _redirecting(location: str) -> Response:
    return Response(status=302, headers={"Location": location})


@pytest.mark.parametrize(
    "challenge",
    [
        "Bearer error=invalid_token",
        'bearer realm="api",error = "invalid_token", error_description="expired"',
        'Negotiate, Bearer realm="api", error="invalid_token"',
        "BEARER ERROR=INVALID_TOKEN",
    ],
)
def test_invalid_token_is_renewed(endpoint: Endpoint, new_client: NewClient, challenge: str) -> None:
    endpoint.api_answers = [_refusing(challenge)]

    response = requests.get(endpoint.api_url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.text == "good"
    assert endpoint.sent_tokens == ["token-1", "token-2"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_refusing(None), id="no-challenge"),
        pytest.param(_refusing('Bearer realm="invalid_token"'), id="realm"),
        pytest.param(_refusing('Bearer error="insufficient_scope"'), id="other-error"),
        pytest.param(_refusing('Bearer error="invalid_token_type"'), id="longer-error"),
        pytest.param(_refusing('DPoP error="invalid_token"'), id="other-scheme"),
        pytest.param(_refusing(status=403), id="403"),
    ],
)
def test_other_refusal_is_not_renewed(endpoint: Endpoint, new_client: NewClient, answer: Response) -> None:
    endpoint.api_answers = [answer]

    response = requests.get(endpoint.api_url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.status_code == answer.status_code
    assert endpoint.sent_tokens == ["token-1"]
    assert len(endpoint.requests) == 1


def test_each_request_is_renewed_once(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.api_answers = [_refusing() for _ in range(3)]
    with requests.Session() as session:
        session.auth = new_client(endpoint.url).auth

        statuses = [session.get(endpoint.api_url).status_code for _ in range(2)]

    assert statuses == [401, 200]
    assert endpoint.sent_tokens == ["token-1", "token-2", "token-2", "token-3"]


@pytest.mark.parametrize(("body", "sent"), [(b"payload", b"payload"), ({"a": "b c"}, b"a=b+c")], ids=["bytes", "form"])
def test_body_is_sent_again(endpoint: Endpoint, new_client: NewClient, body: Any, sent: bytes) -> None:
    endpoint.api_answers = [_refusing()]

    requests.post(endpoint.api_url, data=body, auth=new_client(endpoint.url).auth, timeout=5)

    assert [request.get_data() for request in endpoint.api_requests] == [sent, sent]


def test_file_is_sent_again_from_where_it_stood(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.api_answers = [_refusing()]
    file = io.BytesIO(b"not sent: payload")
    file.seek(10)

    requests.post(endpoint.api_url, data=file, auth=new_client(endpoint.url).auth, timeout=5)

    assert [request.get_data() for request in endpoint.api_requests] == [b"payload", b"payload"]


class _Pipe(io.BytesIO):
    def tell(self) -> int:
        raise OSError(29, "Illegal seek")


class _OneWay(io.BytesIO):
    """A body that tells where it is and cannot go back."""

    def seek(self, position: int, whence: int = 0, /) -> int:
        raise io.UnsupportedOperation("seek")


class _SelfClosing(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        octets = super().read(size)
        if not octets:
            self.close()
        return octets


@pytest.mark.parametrize(
    "new_body",
    [lambda octets: iter([octets]), _Pipe, _OneWay, _SelfClosing],
    ids=["iterator", "pipe", "one-way", "closed"],
)
def test_body_that_cannot_be_sent_again_gets_the_refusal_and_the_next_request_a_new_token(
    endpoint: Endpoint, new_client: NewClient, new_body: Callable[[bytes], Any]
) -> None:
    endpoint.api_answers = [_refusing()]
    auth = new_client(endpoint.url).auth

    refused = requests.post(endpoint.api_url, data=new_body(b"payload"), auth=auth, timeout=5)
    later = requests.post(endpoint.api_url, data=new_body(b"payload"), auth=auth, timeout=5)

    assert (refused.status_code, later.status_code) == (401, 200)
    assert endpoint.sent_tokens == ["token-1", "token-2"]


def test_redirect_to_another_host_gets_no_token(endpoint: Endpoint, new_client: NewClient) -> None:
    with _served() as other:
        endpoint.api_answers = [_redirecting(other.api_url)]
        other.api_answers = [_refusing()]

        response = requests.get(endpoint.api_url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.status_code == 401
    assert ["Authorization" in request.headers for request in other.api_requests] == [False]
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("answers", "status", "sent"),
    [
        pytest.param([_redirecting("/b"), _refusing()], 200, [1, 1, 2], id="before"),
        # requests makes the redirect of the first request, and so of the old token.
        pytest.param([_refusing(), _redirecting("/b"), _refusing()], 200, [1, 2, 1, 2], id="after"),
        pytest.param([_refusing(), _redirecting("/b"), _refusing(), _refusing()], 401, [1, 2, 1, 2], id="in-vain"),
    ],
)
def test_redirected_request_is_renewed_with_one_new_token(
    endpoint: Endpoint, new_client: NewClient, answers: list[Response], status: int, sent: list[int]
) -> None:
    endpoint.api_answers = answers.copy()

    response = requests.get(endpoint.api_url, auth=new_client(endpoint.url).auth, timeout=5)

    assert response.status_code == status
    assert endpoint.sent_tokens == [f"token-{number}" for number in sent]
    assert len(endpoint.requests) == 2


# Secrets


def test_repr_tells_who_and_where() -> None:
    client = TokenClient("http://user:word@idp.test/v1/token?key=hidden", "smart-client", SECRET, "ingr.api")

    assert repr(client) == "<TokenClient 'smart-client' of http://idp.test/v1/token, scope 'ingr.api'>"
    assert repr(client.auth) == f"<BearerAuth of {client!r}>"


def test_repr_of_a_token_leaves_its_value_out() -> None:
    token = AccessToken(value="token-1", token_type="Bearer", scope="ingr.api", expires_at=None)

    assert repr(token) == "AccessToken(token_type='Bearer', scope='ingr.api', expires_at=None)"


@pytest.mark.parametrize("member", ["error", "error_description", "errorSummary"])
@pytest.mark.parametrize("echoed", [SECRET, ENCODED_SECRET, BASIC], ids=["raw", "form", "basic"])
def test_secret_that_the_server_echoes_is_left_out(
    endpoint: Endpoint, new_client: NewClient, member: str, echoed: str
) -> None:
    endpoint.answers = [_json({"error": "invalid_client"} | {member: f"who is {echoed}?"}, 401)]

    error = _refused(new_client(endpoint.url))

    assert "who is …?" in (error.error, error.description)
    assert echoed not in str(error)


def test_empty_secret_leaves_the_description_whole(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answers = [_json({"error": "invalid_client", "error_description": "No secret."}, 401)]

    error = _refused(new_client(endpoint.url, client_secret=""))

    assert error.description == "No secret."


@pytest.mark.parametrize("member", ["token_type", "expires_in"])
def test_token_in_the_wrong_member_is_not_shown_whole(endpoint: Endpoint, new_client: NewClient, member: str) -> None:
    endpoint.answers = [_json(GOOD | {member: "0123456789abcdef"})]

    error = _refused(new_client(endpoint.url))

    assert "0123456789" in error.description
    assert "0123456789ab" not in error.description


def test_log_has_no_secret_and_no_token(
    caplog: pytest.LogCaptureFixture, endpoint: Endpoint, new_client: NewClient
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.api_answers = [_refusing()]

    requests.get(endpoint.api_url, auth=new_client(endpoint.url).auth, timeout=5)

    assert "/v1/token" in caplog.text
    assert not [word for word in (SECRET, ENCODED_SECRET, BASIC, "token-1", "token-2") if word in caplog.text]


def _shown(caught: pytest.ExceptionInfo[BaseException]) -> str:
    """Return what pytest prints of a failed test with --showlocals."""
    return str(caught.getrepr(showlocals=True))


def _hidden_in(shown: str) -> list[str]:
    return [word for word in (SECRET, ENCODED_SECRET, BASIC, "token-1") if word in shown]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_json(GOOD | {"scope": 1}), id="malformed"),
        pytest.param(_json(GOOD | {"expires_in": 10**12}), id="year-10000"),
        pytest.param(_json({"error": "invalid_client"}, 401), id="refusal"),
        pytest.param(_redirecting("/b"), id="redirect"),
    ],
)
def test_failed_test_shows_no_secret_and_no_token(endpoint: Endpoint, new_client: NewClient, answer: Response) -> None:
    endpoint.answers = [answer]
    client = new_client(f"{endpoint.url}?key={SECRET}")

    with pytest.raises(TokenError) as caught:
        client.token()

    assert "<Response" in _shown(caught)  # the locals are there
    assert _hidden_in(_shown(caught)) == []


def test_refused_connection_shows_no_secret(refused_url: str, new_client: NewClient) -> None:
    client = new_client(refused_url.replace("//", f"//user:{ENCODED_SECRET}@") + f"?key={SECRET}")

    with pytest.raises(TokenError) as caught:
        client.token()

    assert str(caught.value) == f"connection_failed: {refused_url} did not answer: Connection refused"
    assert _hidden_in(_shown(caught)) == []
    assert caught.value.__context__ is None  # which holds the request


def test_failed_renewal_shows_no_secret_and_no_token(endpoint: Endpoint, new_client: NewClient) -> None:
    endpoint.answers = [_json(GOOD), _json({"error": "invalid_client"}, 401)]
    endpoint.api_answers = [_refusing()]
    auth = new_client(endpoint.url).auth

    with pytest.raises(TokenError) as caught:
        requests.get(endpoint.api_url, auth=auth, timeout=5)

    assert (caught.value.error, caught.value.status) == ("invalid_client", 401)
    assert _hidden_in(_shown(caught)) == []


def test_unusable_argument_shows_no_secret() -> None:
    with pytest.raises(ValueError, match="colon") as caught:
        TokenClient("http://idp.test", "a:b", SECRET, encoding="raw")

    assert _hidden_in(_shown(caught)) == []


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"token_url": "idp.test/v1/token"}, "'://idp.test/v1/token' is not an http", id="no-scheme"),
        pytest.param(
            {"token_url": "ftp://user:word@idp.test/?key=hidden"},
            "token_url 'ftp://idp.test/' is not an http or https URL",
            id="other-scheme",
        ),
        pytest.param({"token_url": "https://:443/v1/token"}, "is not an http or https URL", id="no-host"),
        pytest.param({"token_url": ""}, "is not an http or https URL", id="empty-url"),
        pytest.param({"token_url": "http://idp.test/#x"}, "must not have a fragment", id="fragment"),
        pytest.param({"client_id": ""}, "client_id must not be empty", id="empty-client-id"),
        *[
            pytest.param(
                {name: value},
                f"{name} is no text, but of the type {type(value).__name__}: is the setting that holds it set?",
                id=f"{name}-{value!r}",
            )
            for name, values in {
                "token_url": (None, b"http://idp.test"),
                "client_id": (None, 3),
                "client_secret": (None, 3, b"octets"),
                "scope": (3, ["a"]),
            }.items()
            for value in values
        ],
        pytest.param({"timeout": "10"}, "timeout='10' must be above 0", id="timeout-text"),
        pytest.param({"timeout": None}, "timeout=None must be above 0", id="timeout-none"),
        pytest.param({"leeway": True}, "leeway=True not below 0", id="leeway-bool"),
        pytest.param({"timeout": 0}, "timeout=0 must be above 0", id="no-timeout"),
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

    with pytest.raises(ValueError, match=re.escape(message)):
        TokenClient(**good | arguments)
