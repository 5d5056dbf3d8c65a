"""The loopback door: one socket that serves many authorization servers, each under a path of its own."""

import errno
import ipaddress
import re
import socket
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from werkzeug.serving import select_address_family

from fake_server.addresses import WELL_KNOWN
from fake_server.api import json_response
from fake_server.dialects.identifiers import random_hex
from fake_server.key_source import KeySource
from fake_server.options import Options
from fake_server.server import AuthorizationServer
from fake_server.socket_server import SocketServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from fake_server.tls import CertificateAuthority

__all__ = ["Listener", "warning_of"]

_BACKLOG = 128
# A name, or an address, of IPv6 with its zone.
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?")
# What needs no percent-encoding, and is not taken for a step up: it is the same in the issuer and in the request.
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


def warning_of(host: str) -> str | None:
    """Return what is to be said of an address by which other machines can reach a server, or None."""
    try:
        is_loopback = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        is_loopback = host.lower() == "localhost"
    return None if is_loopback else f"{host} can be reached from other machines; this is a server for tests"


class Listener:
    """Listen on a socket and serve any number of authorization servers, mounted while it runs.

    `with Listener() as listener: server = listener.serve(Options(...))`. Port 0 takes a free one. Servers
    share one signing key, made once, until they rotate it; so do listeners with the same `keys`. With `tls` it speaks
    https, by a certificate of that authority. Raises ValueError for what is no host or port; a host that other machines
    can reach is warned of at the start.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: "CertificateAuthority | None" = None,
        keys: KeySource | None = None,
    ) -> None:
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise ValueError(f"host={host!r} cannot be used: it takes an address, such as 127.0.0.1")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise ValueError(f"port={port!r} cannot be used: it takes a whole number from 0 to 65535")
        if tls is not None and not hasattr(tls, "context"):
            raise ValueError(
                f"tls={tls!r} cannot be used: it takes a CertificateAuthority, which is in fake_server.tls"
            )
        self._tls = tls
        self._host = host
        self._port = port
        self._keys = keys or KeySource()
        self._mounts: dict[str, WSGIApplication] = {}
        self._running: SocketServer | None = None
        self._shut: socket.socket | None = None

    def __repr__(self) -> str:
        return f"<Listener {self.url if self.is_running else 'stopped'}, {len(self.servers)} servers>"

    def __enter__(self) -> "Listener":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Tell whether the socket is open, or shut for a while."""
        return self._running is not None or self._shut is not None

    @property
    def url(self) -> str:
        """The URL of the socket's root, without a slash at its end. Raises RuntimeError when it is not open."""
        if not self.is_running:
            raise RuntimeError("the listener is not running; call start() first")
        scheme = "https" if self._tls else "http"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._bound_port}"

    @property
    def servers(self) -> tuple[AuthorizationServer, ...]:
        """The servers that are mounted, in the order of their mounting."""
        mounted = self._mounts.copy().values()  # one step: another thread may mount a server
        return tuple(app for app in mounted if isinstance(app, AuthorizationServer))

    def start(self) -> None:
        """Open the socket and accept connections in threads.

        Raises OSError, which names the port, when it is busy, and RuntimeError where the system gives no thread.
        """
        if self.is_running:
            return
        if (warning := warning_of(self._host)) is not None:
            warnings.warn(warning, stacklevel=2)
        try:
            family = select_address_family(self._host, self._port)
            listening = socket.create_server((self._host, self._port), family=family, backlog=_BACKLOG)
        except OSError as error:
            why = str(error.strerror).partition(" (while")[0]  # what follows names the address again
            is_elsewhere = error.errno in (errno.EADDRNOTAVAIL, socket.EAI_NONAME, socket.EAI_AGAIN)
            way = (
                "take an address of this machine, such as 127.0.0.1"
                if is_elsewhere
                else "end the program that uses it, or take port 0 for a free one"
            )
            raise OSError(error.errno, f"port {self._port} of {self._host} cannot be opened ({why}); {way}") from error
        self._run(listening)
        self._keys.prepare()

    def _run(self, listening: socket.socket) -> None:
        for mounted in self.servers:
            mounted.release()
        server = SocketServer(listening, self._dispatch, self._tls.context if self._tls else None)
        self._bound_port = server.port
        try:
            server.start()
        except BaseException:
            server.stop()
            raise
        self._running = server

    def shut(self) -> None:
        """Refuse connections from now on, and end those there are, of all servers; the port is kept in use."""
        if self._running is None:
            return
        family, address = self._running.socket.family, self._running.socket.getsockname()
        self._end(self._running)
        # Bound and not listening: who connects is refused, and no other program is given the port as a free one.
        self._shut = socket.socket(family)
        self._shut.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._shut.bind(address)

    def open(self) -> None:
        """Accept connections again after `shut`."""
        if self._shut is None:
            return
        self._shut.listen(_BACKLOG)
        listening, self._shut = self._shut, None
        self._run(listening)

    def stop(self) -> None:
        """Close the socket and every connection; the servers keep their state. Without effect when it is stopped."""
        if self._shut is not None:
            self._shut.close()
            self._shut = None
        if self._running is not None:
            self._end(self._running)
        self._keys.close()

    def _end(self, server: SocketServer) -> None:
        self._running = None
        for mounted in self.servers:
            mounted.release(and_later=True)  # a request that is being answered may come to its wait after this
        server.stop()

    def serve(self, options: Options | None = None, *, path: str | None = None) -> AuthorizationServer:
        """Make a server under a path of its own, or the one given (`""` is the root), and mount it.

        Raises ValueError for a path that is taken, or is not made of slashes and plain words, and for `tls` where
        this listener speaks http, RuntimeError while another server is down.
        """
        path = f"/aus{random_hex(9)[:17]}" if path is None else path.rstrip("/")
        self._check_path(path)
        if self._shut is not None:
            down = next(repr(server) for server in self.servers if server.is_down)
            raise RuntimeError(f"{down} is down, and with it the port that all servers share; call its up() first")
        server = AuthorizationServer(options, base_url=self.url + path, keys=self._keys)
        if server.options.tls and self._tls is None:
            raise ValueError(
                "tls=True cannot be used: this listener speaks http; "
                "make it with tls=CertificateAuthority(), which is in fake_server.tls"
            )
        server.doors.append(self)
        server.ca_file = self._tls.ca_file if self._tls else None
        self._mounts[path] = server
        return server

    def mount(self, app: "WSGIApplication", *, path: str) -> None:
        """Let a WSGI application of another kind answer below a path. Raises ValueError as `serve` does."""
        self._check_path(path)
        self._mounts[path] = app

    def _check_path(self, path: str) -> None:
        if not _PATH.fullmatch(path):
            raise ValueError(f"the path {path!r} cannot be used; write a slash before each word, as in /as/one")
        if path in self._mounts:
            raise ValueError(f"a server is mounted at {path!r} already; choose another path")

    def unmount(self, server: AuthorizationServer) -> None:
        """Answer 404 for a server's paths from now on, and end what it holds up."""
        # A copy: another thread may mount a server meanwhile.
        for path in [path for path, mounted in self._mounts.copy().items() if mounted is server]:
            del self._mounts[path]
        if self in server.doors:
            if server.is_down:
                server.up()
            server.doors.remove(self)
        server.release(and_later=True)

    def _dispatch(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # werkzeug's DispatcherMiddleware looks a mount up twice, between which another thread may unmount it.
        path = environ["PATH_INFO"]
        # RFC 8414's form of a well-known URL has the server's path behind it.
        name = next(filter(path.startswith, WELL_KNOWN), "")
        mount = path.removeprefix(name)
        while (app := self._mounts.get(mount)) is None and mount:
            mount = mount.rpartition("/")[0]
        if app is None:
            return _nothing_here(environ, start_response)
        mount = name + mount
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = mount, path[len(mount) :]
        return app(environ, start_response)


def _nothing_here(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    members = {
        "error": "not_found",
        "error_description": "No authorization server is mounted at this path: its test is over, or the URL is wrong.",
    }
    return json_response(members, 404)(environ, start_response)
