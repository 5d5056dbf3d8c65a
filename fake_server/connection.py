"""One connection of the loopback door: what comes in as HTTP/1.1, and how answers and faults go out."""

import contextlib
import io
import logging
import re
import socket
import struct
import sys
import threading
from collections.abc import Iterable
from email.errors import MissingHeaderBodySeparatorDefect
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler

from fake_server.answers import SHOWN
from fake_server.api import json_response
from fake_server.faults import TransportFault, Waiting
from fake_server.form import UNDERSCORED

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["Handler"]

_LOG = logging.getLogger("fake_server")
_MAX_BODY = 16 * 1024 * 1024
_MAX_LINE = 65537
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
    disable_nagle_algorithm = True
    # Seconds that a client may keep a thread waiting: for what it has announced, and for its next request.
    timeout = 5

    def parse_request(self) -> bool:
        if len(self.raw_requestline.split()) == 2:
            # HTTP/0.9 has no header: to look for one would wait for what does not come.
            self.command = ""
            self.send_error(HTTPStatus.BAD_REQUEST, "the request line names no version of HTTP")
            return False
        if not super().parse_request():
            return False
        if any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in self.headers.defects):
            # The parser ends the header there, and what follows would be taken for a body.
            self.send_error(HTTPStatus.BAD_REQUEST, "a line of the header has no name")
            return False
        return True

    def run_wsgi(self) -> None:
        try:
            environ = self.environ = self.make_environ()
            body = self._read_body(environ)
        except (OSError, ValueError) as error:
            self.send_error(HTTPStatus.BAD_REQUEST, f"the request cannot be read: {error}")
            return
        if body is None:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {_MAX_BODY} octets")
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ[UNDERSCORED] = [name for name in self.headers if "_" in name]
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            answer[:] = [status, headers]

        disturbance = None
        try:
            chunks: Any = self.server.app(environ, start_response)
        except TransportFault as fault:
            disturbance = fault
            chunks = fault.response(environ, start_response)
        try:
            payload = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, headers = answer
        if disturbance is None:
            self._send(status, headers, payload, environ.get(SHOWN))
        else:
            self.close_connection = True
            self._misbehave(disturbance, self._octets(status, headers, payload), len(payload))

    def _misbehave(self, disturbance: TransportFault, octets: bytes, length: int) -> None:
        """Let an answer, whose body has this length, fail on its way, as a fault wants it."""
        transport = disturbance.fault.transport
        if transport == "hang":
            # Until the client leaves, or the server is unmounted, which ends the connection.
            self.connection.settimeout(None)
            with contextlib.suppress(OSError), disturbance.waiting.ended_by(self._hang_up):
                while self.connection.recv(65536):
                    pass
        elif transport == "connection_reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            # Detached, as closing would wait for the files that were made of it, and send an ordinary end first.
            socket.close(self.connection.detach())
        elif transport == "cut_off":
            self.wfile.write(octets[: -(length // 2 + 1)])
        elif transport == "dripping":
            self._drip(octets, disturbance.fault.delay, disturbance.waiting)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _drip(self, octets: bytes, delay: float, waiting: Waiting) -> None:
        over = threading.Event()
        with waiting.ended_by(over.set):
            for octet in octets:
                self.wfile.write(bytes([octet]))
                over.wait(delay)

    def _read_body(self, environ: "WSGIEnvironment") -> bytes | None:
        """Return the body, or None when it is too large. Raises ValueError where its end cannot be found."""
        if environ.get("wsgi.input_terminated"):
            body = self._read_chunks()
            environ["CONTENT_LENGTH"] = str(len(body or b""))
            return body
        lengths = self.headers.get_all("Content-Length", ["0"])
        if len(lengths) > 1 or not re.fullmatch("[0-9]{1,18}", lengths[0]):
            raise ValueError(f"Content-Length is {', '.join(lengths)!r:.60}")
        length = int(lengths[0])
        return self.rfile.read(length) if length <= _MAX_BODY else None

    def _read_chunks(self) -> bytes | None:
        """Read a chunked body (RFC 9112, section 7.1).

        werkzeug's DechunkedInput knows no extensions and no trailers, and when a large chunk is cut short
        it returns more octets than it has, which crashes CPython 3.11.
        """
        body = bytearray()
        while size := self._read_chunk_size():
            if len(body) + size > _MAX_BODY:
                return None
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
        self.wfile.write(self._octets(status, headers, payload))
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

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not HTTP, or too large, as JSON, and close."""
        if code == HTTPStatus.HTTP_VERSION_NOT_SUPPORTED:
            code = HTTPStatus.BAD_REQUEST  # the client's mistake; a 5xx may make it try again
        self.close_connection = True
        self.command = self.command or "GET"
        self.path = getattr(self, "path", "")
        reason = HTTPStatus(code)
        response = json_response({"error": "invalid_request", "error_description": (message or reason.phrase)}, code)
        self._send(f"{code} {reason.phrase}", response.headers.to_wsgi_list(), response.get_data())
        self._drain()

    def _drain(self) -> None:
        # To close with octets unread resets the connection, and the client may lose the answer.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(0.5)
            while self.connection.recv(65536):
                pass

    def log(self, type: str, message: str, *args: Any) -> None:
        # werkzeug's log would print to the terminal, and show the query, where a client may have put its secret.
        _LOG.debug("the connection ended: %s", message.partition(":")[0])
