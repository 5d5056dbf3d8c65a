"""The session's listener, and the servers that tests get from it."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_server import AuthorizationServer, Listener

__all__ = ["ForeignModuleError", "ServerFactory", "check_fake_server"]


class ForeignModuleError(ImportError):
    """Say that another module answers to the name fake_server."""


def check_fake_server() -> None:
    """Raise ForeignModuleError when `import fake_server` finds, or found, another module than this distribution's."""
    ours = Path(__file__).resolve().parent.parent / "fake_server" / "__init__.py"
    spec = importlib.util.find_spec("fake_server")
    origin = spec.origin if spec else None
    if origin is None or Path(origin).resolve() != ours:
        raise ForeignModuleError(
            f"import fake_server finds {origin or 'no module'}, not the server that pytest-sc-auth brings ({ours}); "
            "rename that module, or take its folder off sys.path"
        )


class ServerFactory:
    """Make running authorization servers on the session's one listener, each under a path of its own.

    `settings` are the suite's options as text; the options given to `make` win over them. The
    listener opens with the first server.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._listener: Listener | None = None

    def make(self, **options: Any) -> "AuthorizationServer":
        """Return a new server with one client registered; it runs until `stop` or the session's end.

        The options are the marker's. Raises OptionError for one that is misspelt or has a value it
        does not take, ForeignModuleError when another module bears the name fake_server.
        """
        check_fake_server()
        from fake_server import Listener, Options

        suite = {name: Options.read_text(name, text) for name, text in self._settings.items()}
        chosen = Options.from_mapping({**suite, **options})
        if self._listener is None:
            self._listener = Listener()
            self._listener.start()
        server = self._listener.serve(chosen)
        server.register()
        return server

    def stop(self, server: "AuthorizationServer") -> None:
        """Answer 404 for a server's URLs from now on."""
        if self._listener is not None:
            self._listener.unmount(server)

    @property
    def servers(self) -> tuple["AuthorizationServer", ...]:
        """The servers that run now."""
        return self._listener.servers if self._listener is not None else ()

    def close(self) -> None:
        """Stop every server, and the listener."""
        if self._listener is not None:
            self._listener.stop()
