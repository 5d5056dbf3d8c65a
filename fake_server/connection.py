"""One connection of the loopback door: what comes in as HTTP/1.1, and how answers and faults go out."""

import contextlib
import io
import logging
import re
import socket
import struct
import sys
import threading
from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.serving import WSGIRequestHandler

from fake_server.answers import SHOWN
from fake_server.api import json_response
from fake_server.environ import environ_of_origin, make_environ, put_body
from fake_server.faults import TransportFault
from fake_server.request_head import RequestHead, Unreadable, read_head
from fake_server.socket_stream import SocketStream
from fake_server.waiting import Waiting
from fake_server.wsgi_call import call_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["Handler"]

_LOG = logging.getLogger("fake_server")
_MAX_BODY = 16 * 1024 * 1024
_MAX_LINE = 65537
_LENGTH = re.compile("[0-9]{1,18}")
_NO_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
# SO_LINGER on, for no time: closing sends a reset.
_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Handler(WSGIRequestHandler):
    """Serve requests on one connection until either side closes it.

    werkzeug's own closes after each answer, because it does not know where an unread body ends. This
    one reads the body first, and sends headers and body in one write: two would wait for each other's
    acknowledgement.
    """

    protocol_version = "HTTP/1.1"
    # Seconds that a client may keep a thread waiting: for what it has announced, and for its next request.
    timeout = 5

    def setup(self) -> None:
        self.connection = self.request
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._stream = SocketStream(self.connection, self.timeout)
        self.rfile = io.BufferedReader(self._stream)
        host, port = self.server.server_address[:2]
        self._origin = environ_of_origin("http" if self.server.ssl_context is None else "https", str(host), port)
        self._origin["REMOTE_ADDR"] = self.client_address[0]

    def finish(self) -> None:
        self.rfile.close()

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.command = ""
        try:
            head = read_head(self.rfile)
            if head is None:
                return
            self.command = head.method
            environ = self._read_rest(head)
        except Unreadable as error:
            self._refuse(error.status, str(error))
            return
        wanted = _tokens(environ, "HTTP_CONNECTION")
        self.close_connection = "close" in wanted or (head.version == "HTTP/1.0" and "keep-alive" not in wanted)
        self._answer(environ)

    def _read_rest(self, head: RequestHead) -> "WSGIEnvironment":
        """Return the request of a head, with its body. Raises Unreadable."""
        try:
            environ = self._make_environ(head)
            if head.version != "HTTP/1.0" and "100-continue" in _tokens(environ, "HTTP_EXPECT"):
                self._stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            put_body(environ, self._read_body(environ))
        except (OSError, ValueError) as error:
            raise Unreadable(f"the request cannot be read: {error}") from error
        return environ

    def _make_environ(self, head: RequestHead) -> "WSGIEnvironment":
        path, _, query = head.target.partition("?")
        authority = ""
        if not path.startswith("/") and "://" in path:  # RFC 9112, section 3.2.2: the absolute form
            _, authority, path, query, _ = urlsplit(head.target)
        environ = make_environ(self._origin, head.method, path, query, head.fields)
        environ["SERVER_PROTOCOL"] = head.version
        if authority:
            environ["HTTP_HOST"] = authority
        return environ

    def _answer(self, environ: "WSGIEnvironment") -> None:
        answer = call_app(self.server.app, environ)
        if answer.disturbance is None:
            self._send(answer.status, answer.headers, answer.body, environ.get(SHOWN))
        else:
            self.close_connection = True
            octets = self._octets(answer.status, answer.headers, answer.body)
            self._misbehave(answer.disturbance, octets, len(answer.body))

    def _misbehave(self, disturbance: TransportFault, octets: bytes, length: int) -> None:
        """Let an answer, whose body has this length, fail on its way, as a fault wants it."""
        transport = disturbance.fault.transport
        if transport == "hang":
            # Until the client leaves, or the server is unmounted, which ends the connection.
            self._stream.wait_for(None)
            with contextlib.suppress(OSError), disturbance.waiting.ended_by(self._hang_up):
                while self.connection.recv(65536):
                    pass
        elif transport == "connection_reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            # Detached, as closing would wait for the files that were made of it, and send an ordinary end first.
            socket.close(self.connection.detach())
        elif transport == "cut_off":
            self._stream.write(octets[: -(length // 2 + 1)])
        elif transport == "dripping":
            self._drip(octets, disturbance.fault.delay, disturbance.waiting)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _drip(self, octets: bytes, delay: float, waiting: Waiting) -> None:
        over = threading.Event()
        with waiting.ended_by(over.set):
            for octet in octets:
                self._stream.write(bytes([octet]))
                over.wait(delay)

    def _read_body(self, environ: "WSGIEnvironment") -> bytes:
        """Return the body. Raises Unreadable where it is too large, ValueError where it has no end, and OSError."""
        if "chunked" in _tokens(environ, "HTTP_TRANSFER_ENCODING"):
            environ.pop("CONTENT_LENGTH", None)  # RFC 9112, section 6.3
            return self._read_chunks()
        length = environ.get("CONTENT_LENGTH", "0")
        if not _LENGTH.fullmatch(length):
            raise ValueError(f"Content-Length is {length!r:.60}")
        _check_size(int(length))
        return self.rfile.read(int(length))

    def _read_chunks(self) -> bytes:
        """Read a chunked body (RFC 9112, section 7.1).

        werkzeug's DechunkedInput knows no extensions and no trailers, and when a large chunk is cut short
        it returns more octets than it has, which crashes CPython 3.11.
        """
        body = bytearray()
        while size := self._read_chunk_size():
            _check_size(len(body) + size)
            body += self.rfile.read(size)
            if self.rfile.readline(3) != b"\r\n":
                raise ValueError("a chunk has not the size announced")
        while (line := self.rfile.readline(_MAX_LINE)) != b"\r\n":
            if not line:
                raise ValueError("the chunked body has no end")
        return bytes(body)

    def _read_chunk_size(self) -> int:
        text = self.rfile.readline(_MAX_LINE).partition(b";")[0].strip()
        if not re.fullmatch(b"[0-9A-Fa-f]{1,16}", text):
            raise ValueError("a chunk has no size")
        return int(text, 16)

    def _send(self, status: str, headers: Iterable[tuple[str, str]], payload: bytes, shown: str | None = None) -> None:
        self._stream.write(self._octets(status, headers, payload))
        # Method and path as the server cleaned them: a client may have put its secret there.
        _LOG.debug("%s: %s", shown or "a request", status)

    def _octets(self, status: str, headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
        names = {name.lower() for name, _ in headers}
        lines = [f"{self.protocol_version} {status}", *(f"{name}: {value}" for name, value in headers)]
        if "content-length" not in names and int(status[:3]) not in _NO_BODY:
            lines.append(f"Content-Length: {len(payload)}")
        if self.close_connection:
            lines.append("Connection: close")
        if self.command == "HEAD":
            payload = b""
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + payload

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Answer a request that is not HTTP, or too large, as JSON, and close."""
        response = json_response({"error": "invalid_request", "error_description": why}, status)
        self._send(f"{status} {status.phrase}", response.headers.to_wsgi_list(), response.get_data())
        self._drain()

    def _drain(self) -> None:
        # To close with octets unread resets the connection, and the client may lose the answer.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self._stream.wait_for(0.5)
            while self.connection.recv(65536):
                pass

    def log(self, type: str, message: str, *args: Any) -> None:
        # werkzeug's log would print to the terminal, and show the query, where a client may have put its secret.
        _LOG.debug("the connection ended: %s", message.partition(":")[0])


def _check_size(size: int) -> None:
    if size > _MAX_BODY:
        raise Unreadable(f"the body is larger than {_MAX_BODY} octets", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _tokens(environ: "WSGIEnvironment", key: str) -> Collection[str]:
    """Return the members of a comma-separated header (RFC 9110, section 5.6.1), in lower case."""
    return [token.strip().lower() for token in environ[key].split(",")] if key in environ else ()
