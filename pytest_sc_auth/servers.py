"""The session's listener, and the servers that tests get from it."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_server import AuthorizationServer, Listener
    from fake_server.tls import CertificateAuthority

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

    `settings` are the suite's options as text; the options given to `make` win over them. There is one listener
    for http and one for https, which open with their first server; `port` is that of the first to open.
    """

    def __init__(self, settings: Mapping[str, str], *, port: int = 0) -> None:
        self._settings = settings
        self._port = port
        self._listeners: dict[bool, Listener] = {}
        self._authority: CertificateAuthority | None = None

    def make(self, **options: Any) -> "AuthorizationServer":
        """Return a new server with one client registered; it runs until `stop` or the session's end.

        The options are the marker's. Raises OptionError for one that is misspelt or has a value it
        does not take, ForeignModuleError when another module bears the name fake_server,
        NeighbourError when pytest-socket lets no socket be opened.
        """
        check_fake_server()
        _check_sockets()
        from fake_server import Options

        suite = {name: Options.read_text(name, text) for name, text in self._settings.items()}
        chosen = Options.from_mapping({**suite, **options})
        server = self._find_listener(chosen.tls).serve(chosen)
        server.register()
        return server

    def _find_listener(self, tls: bool) -> "Listener":
        if tls not in self._listeners:
            from fake_server import Listener

            if tls and self._authority is None:
                from fake_server.tls import CertificateAuthority

                self._authority = CertificateAuthority()
            port = 0 if self._listeners else self._port
            listener = Listener(port=port, tls=self._authority if tls else None)
            listener.start()
            self._listeners[tls] = listener
        return self._listeners[tls]

    def stop(self, server: "AuthorizationServer") -> None:
        """Answer 404 for a server's URLs from now on."""
        for listener in self._listeners.values():
            listener.unmount(server)

    @property
    def servers(self) -> tuple["AuthorizationServer", ...]:
        """The servers that run now."""
        return tuple(server for listener in self._listeners.values() for server in listener.servers)

    def close(self) -> None:
        """Stop every server, and the listeners."""
        for listener in self._listeners.values():
            listener.stop()
        if self._authority is not None:
            self._authority.close()


def complaints(server: "AuthorizationServer") -> str:
    """Return what a test did not do that it had to, at its end: faults that never fired, rules that were bent."""
    lines = [
        f"the fault {armed.fault.name if armed.fault else 'good'} was armed on the {armed.endpoint} endpoint and never "
        "fired: no request met it; arm it with optional=True where that may be"
        for armed in server.unfired_faults
    ]
    if server.options.strict:
        lines += [f"strict: {rule}" for rule in server.bent_rules]
    return "\n".join(lines)
