"""The loopback door: one socket that serves many authorization servers, each under a path of its own."""

import contextlib
import io
import logging
import re
import secrets
import selectors
import socket
import threading
from collections.abc import Iterable
from email.errors import MissingHeaderBodySeparatorDefect
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, select_address_family

from fake_server.api import json_response
from fake_server.keys import KeySource
from fake_server.options import Options
from fake_server.server import WELL_KNOWN, AuthorizationServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Listener"]

_LOG = logging.getLogger("fake_server")
_MAX_BODY = 16 * 1024 * 1024
_MAX_LINE = 65537
_NO_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
# What needs no percent-encoding: the path is found as it is in the issuer and in the request.
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


class _Handler(WSGIRequestHandler):
    """Serve requests on one connection until either side closes it.

    werkzeug's own closes after each answer, because it does not know where an unread body ends. This
    one reads the body first, and sends headers and body in one write: two would wait for each other's
    acknowledgement.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30  # seconds that a client may keep a thread waiting for its next octet

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
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            answer[:] = [status, headers]

        chunks: Any = self.server.app(environ, start_response)
        try:
            payload = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, headers = answer
        self._send(status, headers, payload)

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

    def _send(self, status: str, headers: Iterable[tuple[str, str]], payload: bytes) -> None:
        names = {name.lower() for name, _ in headers}
        lines = [f"{self.protocol_version} {status}", *(f"{name}: {value}" for name, value in headers)]
        if "content-length" not in names and int(status[:3]) not in _NO_BODY:
            lines.append(f"Content-Length: {len(payload)}")
        if self.close_connection:
            lines.append("Connection: close")
        if self.command == "HEAD":
            payload = b""
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + payload)
        _LOG.debug("%s %s: %s", self.command, self.path.partition("?")[0], status)

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


class _Server(ThreadedWSGIServer):
    """Serve each connection in a thread, and know them all, so that a stop ends them."""

    def __init__(self, host: str, port: int, app: Any) -> None:
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        # werkzeug would print and call sys.exit() on a busy port: it is given a socket that listens already.
        with socket.create_server((host, port), family=select_address_family(host, port), backlog=128) as listening:
            super().__init__(host, port, app, _Handler, fd=listening.fileno())
        self._wake, self._woken = socket.socketpair()

    def serve_until_woken(self) -> None:
        """Accept connections until `stop`; unlike `serve_forever` it does not look at a flag twice a second."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._woken for key, _ in selector.select()):
                    return
                self._handle_request_noblock()  # type: ignore[attr-defined]

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="fake_server-connection",
            daemon=True,
        )
        with self._lock:
            self._connections[thread] = request
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        # The last thing that a connection's thread does.
        with self._lock:
            self._connections.pop(threading.current_thread(), None)
            super().shutdown_request(request)

    def stop(self, thread: threading.Thread) -> None:
        """End the accepting thread and every connection, whatever its client is doing."""
        self._wake.send(b"x")
        thread.join()
        self.server_close()
        with self._lock:
            connections = dict(self._connections)
            for connection in connections.values():
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for connection_thread in connections:
            connection_thread.join(timeout=5)
        self._wake.close()
        self._woken.close()


class Listener:
    """Listen on a socket and serve any number of authorization servers, mounted while it runs.

    `with Listener() as listener: server = listener.serve(Options(...))`. Port 0 takes a free one. Servers
    share one signing key, made once, until they rotate it.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self._port = port
        self._keys = KeySource()
        self._mounts: dict[str, AuthorizationServer] = {}
        self._running: tuple[_Server, threading.Thread] | None = None

    def __repr__(self) -> str:
        return f"<Listener {self.url if self._running else 'stopped'}, {len(self.servers)} servers>"

    def __enter__(self) -> "Listener":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Tell whether the socket is open."""
        return self._running is not None

    @property
    def url(self) -> str:
        """The URL of the socket's root, without a slash at its end. Raises RuntimeError when it is not open."""
        if self._running is None:
            raise RuntimeError("the listener is not running; call start() first")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._running[0].port}"

    @property
    def servers(self) -> tuple[AuthorizationServer, ...]:
        """The servers that are mounted, in the order of their mounting."""
        return tuple(dict.fromkeys(self._mounts.values()))

    def start(self) -> None:
        """Open the socket and accept connections in a thread. Raises OSError, which names the port, when it is busy."""
        if self._running is not None:
            return
        try:
            server = _Server(self._host, self._port, self._dispatch)
        except OSError as error:
            why = str(error.strerror).partition(" (while")[0]  # what follows names the address again
            raise OSError(
                error.errno,
                f"port {self._port} of {self._host} cannot be opened ({why}); "
                "end the program that uses it, or take port 0 for a free one",
            ) from error
        thread = threading.Thread(target=server.serve_until_woken, name="fake_server-listener", daemon=True)
        thread.start()
        self._running = server, thread
        self._keys.prepare()

    def stop(self) -> None:
        """Close the socket and every connection; the servers keep their state. Without effect when it is stopped."""
        if self._running is None:
            return
        server, thread = self._running
        self._running = None
        server.stop(thread)
        self._keys.close()

    def serve(self, options: Options | None = None, *, path: str | None = None) -> AuthorizationServer:
        """Make a server under a path of its own, or the one given (`""` is the root), and mount it.

        Raises ValueError for a path that is taken, or is not made of slashes and plain words.
        """
        path = f"/aus{secrets.token_hex(9)[:17]}" if path is None else path.rstrip("/")
        if not _PATH.fullmatch(path):
            raise ValueError(f"the path {path!r} cannot be used; write a slash before each word, as in /as/one")
        if path in self._mounts:
            raise ValueError(f"a server is mounted at {path!r} already; choose another path")
        server = AuthorizationServer(options, base_url=self.url + path, keys=self._keys)
        for mount in _paths(path):
            self._mounts[mount] = server
        return server

    def unmount(self, server: AuthorizationServer) -> None:
        """Answer 404 for a server's paths from now on; without effect when it is not mounted."""
        # A copy: another thread may mount a server meanwhile.
        for path in [path for path, mounted in tuple(self._mounts.items()) if mounted is server]:
            del self._mounts[path]

    def _dispatch(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # werkzeug's DispatcherMiddleware looks a mount up twice, between which another thread may unmount it.
        path = environ["PATH_INFO"]
        mount = max((mount for mount in tuple(self._mounts) if f"{path}/".startswith(f"{mount}/")), key=len, default="")
        app = self._mounts.get(mount, _nothing_here)
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = mount, path[len(mount) :]
        return app(environ, start_response)


def _paths(path: str) -> tuple[str, ...]:
    # RFC 8414's form of a well-known URL has the server's path behind it.
    return path, *(name + path for name in WELL_KNOWN)


def _nothing_here(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    members = {
        "error": "not_found",
        "error_description": "No authorization server is mounted at this path: its test is over, or the URL is wrong.",
    }
    return json_response(members, 404)(environ, start_response)
