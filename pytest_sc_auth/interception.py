"""The responses door: `requests` calls to production URLs are answered by a test's server, without a socket."""

import http.client
import inspect
import io
import itertools
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
import responses
import urllib3
from requests.adapters import HTTPAdapter

from fake_server import AuthorizationServer, TransportFault
from fake_server.disturbance import PATIENCE
from fake_server.form import UNDERSCORED
from pytest_sc_auth.servers import NeighbourError

__all__ = ["Interceptor"]

_LOOPBACK = re.compile(r"https?://(127\.[0-9.]+|localhost|\[::1\])([:/?#]|$)")


class Interceptor:
    """Answer `requests` calls to a server's published URLs without a socket, until `close`.

    The mock that is active is joined: it answers what it is told to, and is left as it was. A loopback URL passes, as
    do those that begin with one of `passthrough`; any other fails as responses has it, naming the URL. Raises
    ValueError for a `mock` that is not active and a `passthrough` that no URL can begin with, NeighbourError where
    requests-mock stands before it.
    """

    def __init__(
        self, server: AuthorizationServer, mock: responses.RequestsMock | None, passthrough: Iterable[str]
    ) -> None:
        _check_requests_mock()
        prefixes = (passthrough,) if isinstance(passthrough, str) else tuple(passthrough)
        for prefix in prefixes:
            if not prefix.startswith(("http://", "https://")):
                raise ValueError(f"passthrough={prefix!r} cannot be used: a URL begins with http:// or https://")
        active = _active_mock()
        given = getattr(mock, "mock", mock)  # the module stands for the mock that its functions are of
        if given is not None and given is not active:
            # Or the calls, and the secret with them, would go to the real host.
            raise ValueError(
                "mock= is not active: start it before sc_auth_intercept, by @responses.activate or a with block"
            )
        joined = active
        self._owns_mock = joined is None
        self._mock = joined or responses.RequestsMock(assert_all_requests_are_fired=False)
        self._entrance = _Entrance(server, self._mock)
        self._prefixes: tuple[str | re.Pattern[str], ...] = (_LOOPBACK, *map(_prefix, prefixes))
        self._mock.add(self._entrance)
        for url in self._prefixes:
            self._mock.add_passthru(url)
        if self._owns_mock:
            self._mock.start()

    def close(self) -> None:
        """Let the calls go where they went before."""
        if self._owns_mock:
            self._mock.stop()
        self._mock.remove(self._entrance)
        left = list(self._mock.passthru_prefixes)
        for url in self._prefixes:
            if url in left:  # a mock that has ended has forgotten them
                left.remove(url)
        self._mock.passthru_prefixes = tuple(left)


def _prefix(url: str) -> str | re.Pattern[str]:
    # A bare host ends where the URL does: https://host.example must not let https://host.example.org pass.
    return url if urlsplit(url).path else re.compile(re.escape(url) + "([:/?#]|$)")


def _active_mock() -> responses.RequestsMock | None:
    # responses keeps no list of the mocks that are active; the function by which one replaced requests' own knows it.
    owner = inspect.getclosurevars(HTTPAdapter.send).nonlocals.get("self")
    return owner if isinstance(owner, responses.RequestsMock) else None


def _check_requests_mock() -> None:
    send = requests.Session.send
    if send.__module__ == "requests_mock.mocker" and not inspect.getclosurevars(send).nonlocals["self"].real_http:
        raise NeighbourError(
            "requests-mock answers every request before sc_auth_intercept can; set real_http=True on it first, as in "
            "requests_mock.real_http = True: what neither of them knows is refused all the same"
        )


class _Entrance(responses.BaseResponse):
    """Match the requests that the server has an answer to, whatever their method; a response of the test's own wins."""

    def __init__(self, server: AuthorizationServer, mock: responses.RequestsMock) -> None:
        super().__init__("ANY", server.token_url)
        self._server = server
        self._mock = mock

    # By default those of one URL are equal, and removed together.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def call_count(self) -> int:
        # A mock that asserts that all its requests came must not wait for ours.
        return max(1, len(self.calls))

    def matches(self, request: requests.PreparedRequest) -> tuple[bool, str]:
        url = str(request.url)
        if self._server.path_of(url) is None:
            return False, "URL does not match"
        # Where two responses match, responses removes the first of them.
        before = list(itertools.takewhile(lambda other: other is not self, self._mock.registered()))
        if any(isinstance(other, _Entrance) and other._server.path_of(url) is not None for other in before):
            return False, "an earlier interception answers"
        own = [other for other in self._mock.registered() if not isinstance(other, _Entrance)]
        return not any(other.matches(request)[0] for other in own), "the test's own response answers"

    def get_response(self, request: requests.PreparedRequest) -> Any:
        read_timeout = _read_timeout(getattr(request, "req_kwargs", {}).get("timeout"))
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer[:] = [status, headers]

        environ = self._environ(request, read_timeout)
        sent: float = 1
        try:
            chunks = self._server.wsgi_app(environ, start_response)
        except TransportFault as disturbance:
            sent = _part_sent(disturbance, request, read_timeout)
            chunks = disturbance.response(environ, start_response)
        body = b"".join(chunks)
        status, headers = answer
        return _as_urllib3(status, headers, body[: int(len(body) * sent)], request)

    def _environ(self, request: requests.PreparedRequest, timeout: float | None) -> dict[str, Any]:
        parts = urlsplit(str(request.url))
        body = _octets(request.body)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(self._server.path_of(str(request.url)) or "").decode("latin-1"),
            "QUERY_STRING": parts.query,
            "SERVER_NAME": parts.hostname or "",
            "SERVER_PORT": str(parts.port or (80 if parts.scheme == "http" else 443)),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": parts.netloc.rpartition("@")[2],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": parts.scheme,
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "CONTENT_LENGTH": str(len(body)),
            UNDERSCORED: [name for name in request.headers if "_" in name],
        }
        if timeout is not None:
            environ[PATIENCE] = timeout
        for name, value in request.headers.items():
            if "_" not in name and name.lower() != "content-length":
                key = name.upper().replace("-", "_")
                text = value.decode("latin-1") if isinstance(value, bytes) else value
                environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
        return environ


def _octets(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    return b"".join(map(_octets, body))


def _read_timeout(timeout: Any) -> float | None:
    """Return the seconds that a caller of requests waits for an answer: given as a number, a pair or urllib3's own."""
    if isinstance(timeout, urllib3.Timeout):
        timeout = timeout.clone()
        timeout.start_connect()  # what is left of a total is known once it runs
        timeout = timeout.read_timeout
    elif isinstance(timeout, tuple):
        timeout = timeout[1]
    return timeout if isinstance(timeout, (int, float)) else None


class _Received:
    """Be what requests reads an answer's cookies from."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self.msg = http.client.HTTPMessage()
        for name, value in headers:
            self.msg.add_header(name, value)

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _as_urllib3(
    status: str, headers: Iterable[tuple[str, str]], body: bytes, request: requests.PreparedRequest
) -> urllib3.HTTPResponse:
    code, _, reason = status.partition(" ")
    return urllib3.HTTPResponse(
        body=io.BytesIO(body),
        headers=urllib3.HTTPHeaderDict(headers),
        status=int(code),
        reason=reason,
        preload_content=False,
        original_response=_Received(headers),  # type: ignore[arg-type]
        request_method=request.method,
        enforce_content_length=True,
    )


def _part_sent(disturbance: TransportFault, request: requests.PreparedRequest, timeout: float | None) -> float:
    """Return how much of the body a fault of the connection lets through, or raise what it is for requests' caller."""
    fault = disturbance.fault
    host = urlsplit(str(request.url)).netloc
    if fault.transport in ("hang", "slow"):
        # Without waiting: what the caller would see after its timeout, it sees now. Without one it would wait for ever.
        patience = "no timeout was given, so that this would never end" if timeout is None else f"{timeout:g} s"
        raise requests.ReadTimeout(f"{host}: read timed out ({patience}); {disturbance}", request=request)
    if fault.transport == "dripping":
        return 1
    if fault.transport == "cut_off":
        return 0.5
    raise requests.ConnectionError(f"{host}: {fault.name.replace('_', ' ')}; {disturbance}", request=request)
