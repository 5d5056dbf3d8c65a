"""The session's listener, and the servers that tests get from it."""

import contextlib
import functools
import importlib.util
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pytest_sc_auth.environment import CA_VARIABLES, HeldVariables, without_proxy

if TYPE_CHECKING:
    from fake_server import AuthorizationServer, Credentials, Listener, Options
    from fake_server.key_source import KeySource
    from fake_server.tls import CertificateAuthority
    from pytest_sc_auth.interception import Interception

__all__ = ["ForeignModuleError", "NeighbourError", "ServerFactory", "check_fake_server", "complaints"]

_OURS = str(Path(__file__).parent.parent / "fake_server" / "__init__.py")


class ForeignModuleError(ImportError):
    """Say that another module answers to the name fake_server."""


class NeighbourError(RuntimeError):
    """Say that another plugin keeps this one from what it is asked to do."""


def check_fake_server() -> None:
    """Raise ForeignModuleError when `import fake_server` finds, or found, another module than this distribution's."""
    spec = importlib.util.find_spec("fake_server")
    origin = spec.origin if spec else None
    # The text first: to resolve the paths would cost each test more than its clock does.
    if origin != _OURS and (origin is None or Path(origin).resolve() != Path(_OURS).resolve()):
        raise ForeignModuleError(
            f"import fake_server finds {origin or 'no module'}, not the server that pytest-sc-auth brings ({_OURS}); "
            "rename that module, or take its folder off sys.path"
        )


def _check_sockets() -> None:
    # At every server, not at the first alone: who comes first is a matter of the tests' order.
    import socket  # late: pytest itself does without

    if socket.socket.__module__ == "pytest_socket":
        raise NeighbourError(
            "pytest-socket forbids this test every socket, and sc_auth_server listens on one; allow the tests loopback "
            "and nothing else by --allow-hosts=127.0.0.1, or this one by @pytest.mark.enable_socket"
        )


class ServerFactory:
    """Make running authorization servers on the session's listeners, each under a path of its own.

    `settings` are the suite's options as text; the options given to `make` win over them. `urls` are the production
    URLs, `token_url` and `api_url`, that every server answers by interception. There is one listener for http and one
    for https, which open with their first server; `port` is that of the suite's own scheme.
    """

    def __init__(
        self, settings: Mapping[str, str], *, port: int = 0, urls: Mapping[str, str | None] = MappingProxyType({})
    ) -> None:
        self._lock = threading.RLock()
        self._settings = settings
        self._port = port
        self._urls = urls
        self._listeners: dict[bool, Listener] = {}
        self._servers: dict[AuthorizationServer, Listener] = {}
        self._keys: KeySource | None = None
        self._authority: CertificateAuthority | None = None
        self._interception: Interception | None = None
        self._proxy = HeldVariables(without_proxy)
        self._trust = HeldVariables(lambda: dict.fromkeys(CA_VARIABLES, self._find_authority().ca_file))

    def make(
        self,
        *,
        path: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        **options: Any,
    ) -> "AuthorizationServer":
        """Return a new server with one client registered; it runs until `stop` or the session's end.

        The options are the marker's. Path, id and secret are made where they are not given; `path` begins with a
        slash. While the server runs, loopback is exempted from a proxy of the environment, and the variables that name
        trusted CAs name that of its https. Raises OptionError for an option that is misspelt or has a value it does
        not take, ValueError for a path that is taken or no path, OSError for a port that is, ForeignModuleError when
        another module bears the name fake_server, NeighbourError when pytest-socket lets no socket be opened.
        """
        check_fake_server()
        _check_sockets()
        with self._lock:
            self._find_keys()  # first of all: the key is made while the rest is loaded
            chosen = self._choose(options) if options else self._suites_own
            listener = self._find_listener(chosen.tls)
            server = listener.serve(chosen, path=path)
            self._servers[server] = listener
            try:
                server.register(client_id, client_secret)
                if self._urls:
                    self.intercept(server, self._urls["token_url"], self._urls["api_url"])
            except BaseException:
                self.stop(server)
                raise
            self._settle()
        return server

    def _choose(self, options: Mapping[str, Any]) -> "Options":
        from fake_server import OptionError, Options

        try:
            suite = {name: Options.read_text(name, text) for name, text in self._settings.items()}
        except OptionError as error:
            raise OptionError(f"in pytest's config file, sc_auth_{error}") from error
        return Options.from_mapping({**suite, **options})

    @functools.cached_property
    def _suites_own(self) -> "Options":
        """The options of a server for which nothing else is said: most servers of most suites."""
        return self._choose({})

    def _find_listener(self, tls: bool) -> "Listener":
        if tls not in self._listeners:
            from fake_server import Listener

            port = self._port if tls is self._suites_own.tls else 0
            listener = Listener(port=port, tls=self._find_authority() if tls else None, keys=self._find_keys())
            listener.start()
            self._listeners[tls] = listener
        return self._listeners[tls]

    def _find_keys(self) -> "KeySource":
        if self._keys is None:
            from fake_server.key_source import KeySource

            self._keys = KeySource()
            self._keys.prepare()
        return self._keys

    def _find_authority(self) -> "CertificateAuthority":
        if self._authority is None:
            from fake_server.tls import CertificateAuthority

            self._authority = CertificateAuthority()
        return self._authority

    def intercept(
        self,
        server: "AuthorizationServer",
        token_url: str | None = None,
        api_url: str | None = None,
        *,
        mock: Any = None,
        passthrough: Iterable[str] = (),
    ) -> "Credentials":
        """Let a server answer `requests` calls to production URLs until it stops, as sc_auth_intercept does.

        Raises what `Interception.add` raises.
        """
        with self._lock:
            if self._interception is None:
                from pytest_sc_auth.interception import Interception

                self._interception = Interception()
            self._interception.add(server, token_url, api_url, mock=mock, passthrough=passthrough)
        return server.credentials_of()

    def stop(self, server: "AuthorizationServer") -> None:
        """Answer 404 for a server's URLs from now on."""
        with self._lock:
            listener = self._servers.pop(server, None)
            if listener is None:
                return
            try:
                if self._interception is not None:
                    self._interception.remove(server)
            finally:
                try:
                    listener.unmount(server)
                finally:
                    self._settle()

    def _settle(self) -> None:
        """Hold the environment's variables as the servers that run need them, or give them back."""
        self._proxy.hold(bool(self._servers))
        self._trust.hold(any(server.ca_file for server in self._servers))

    @property
    def servers(self) -> tuple["AuthorizationServer", ...]:
        """The servers that run now."""
        return tuple(self._servers.copy())  # one step: another thread may make or stop a server

    def close(self) -> None:
        """Stop every server, and the listeners."""
        with self._lock, contextlib.ExitStack() as stack:
            if self._keys is not None:
                stack.callback(self._keys.close)
            if self._authority is not None:
                stack.callback(self._authority.close)
            for listener in self._listeners.values():
                stack.callback(listener.stop)
            for server in self.servers:
                stack.callback(self.stop, server)


def complaints(server: "AuthorizationServer") -> str:
    """Return what a test did not do that it had to, at its end: faults that never fired, rules that were bent."""
    lines = [
        f"the fault {armed.name} was armed on the {armed.endpoint} endpoint and never "
        "fired: no request met it; arm it with optional=True where that may be"
        for armed in server.unfired_faults
    ]
    if server.options.strict:
        lines += [f"strict: {rule}" for rule in server.bent_rules]
    return "\n".join(lines)
