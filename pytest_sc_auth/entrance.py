"""A server as a response of responses: a request of requests becomes a WSGI call, and its answer requests' own."""

import io
from typing import Any
from urllib.parse import urlsplit

import requests
import responses
import urllib3
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from fake_server import AuthorizationServer, TransportFault
from fake_server.addresses import host_of
from fake_server.disturbance import PATIENCE
from fake_server.environ import environ_of_origin, make_environ, put_body
from fake_server.wsgi_call import Answer, call_app

__all__ = ["Entrance"]


class Entrance(responses.BaseResponse):
    """Answer a request, whatever its method, as the server does; a fault of the connection is requests' error."""

    def __init__(self, server: AuthorizationServer) -> None:
        super().__init__("ANY", server.token_url)
        self._server = server

    def leads_from(self, url: str) -> bool:
        """Tell whether a URL is one of the server's."""
        return self._server.path_of(url) is not None

    def get_response(self, request: requests.PreparedRequest) -> Any:
        self.calls.reset()  # responses keeps them for a mock's `calls`, and for nobody here
        read_timeout = _read_timeout(getattr(request, "req_kwargs", {}).get("timeout"))
        answer = call_app(self._server.wsgi_app, self._environ(request, read_timeout))
        sent = 1.0 if answer.disturbance is None else _part_sent(answer.disturbance, request, read_timeout)
        return _as_urllib3(answer, int(len(answer.body) * sent), request)

    def _environ(self, request: requests.PreparedRequest, timeout: float | None) -> dict[str, Any]:
        url = str(request.url)
        parts = urlsplit(url)
        fields = [
            (name, value.decode("latin-1") if isinstance(value, bytes) else value)
            for name, value in request.headers.items()
            if name.lower() != "content-length"
        ]
        if "Host" not in request.headers:
            fields.append(("Host", parts.netloc.rpartition("@")[2]))
        scheme, host, port = host_of(parts)
        origin = environ_of_origin(scheme, host or "", port or 0)
        path = self._server.path_of(url) or ""
        environ = make_environ(origin, str(request.method), path, parts.query, fields)
        put_body(environ, _octets(request.body))
        if timeout is not None:
            environ[PATIENCE] = timeout
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

    def __init__(self, headers: urllib3.HTTPHeaderDict) -> None:
        self.msg = headers

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _as_urllib3(answer: Answer, length: int, request: requests.PreparedRequest) -> urllib3.HTTPResponse:
    """Return an answer of which so many octets of the body come."""
    code, _, reason = answer.status.partition(" ")
    received = urllib3.HTTPHeaderDict(answer.headers)
    return urllib3.HTTPResponse(
        body=io.BytesIO(answer.body[:length]),
        headers=received,
        status=int(code),
        reason=reason,
        preload_content=False,
        original_response=_Received(received),  # type: ignore[arg-type]
        request_method=request.method,
        enforce_content_length=True,
    )


_PART_SENT = {"dripping": 1, "cut_off": 0.5}


def _part_sent(disturbance: TransportFault, request: requests.PreparedRequest, timeout: float | None) -> float:
    """Return how much of the body a fault of the connection lets through, or raise what it is for requests' caller.

    As from a socket, the error carries urllib3's, by which retries are counted.
    """
    fault, host = disturbance.fault, urlsplit(str(request.url)).netloc
    if fault.transport in _PART_SENT:
        return _PART_SENT[fault.transport]
    what = f"{fault.name.replace('_', ' ')}; {disturbance}"
    if fault.transport == "down":
        raise requests.ConnectionError(NewConnectionError(host, what), request=request)  # type: ignore[arg-type]
    if fault.transport in ("connection_reset", "no_response"):
        raise requests.ConnectionError(ProtocolError(f"{host}: {what}"), request=request)
    # Without waiting: what the caller would see after its timeout, it sees now. Without one it would wait for ever.
    patience = "no timeout was given, so that this would never end" if timeout is None else f"{timeout:g} s"
    late = ReadTimeoutError(host, request.path_url, f"read timed out ({patience}); {disturbance}")  # type: ignore[arg-type]
    raise requests.ReadTimeout(late, request=request)
