"""The fake server as an application for a WSGI server of its own, such as gunicorn."""

from typing import Any

from fake_server.key_source import KeySource
from fake_server.options import Options
from fake_server.server import AuthorizationServer

__all__ = ["create_app"]


def create_app(base_url: str, client_id: str, client_secret: str, **options: Any) -> AuthorizationServer:
    """Return a server with one client, whose users find it at `base_url`; the options are the fields of Options.

    Its signing key is made at once: processes that are forked afterwards, as gunicorn's with `--preload`, take each
    other's tokens where these are JWTs. Journal, clock and revocations are each process's own, and a fault of the
    connection is that WSGI server's 500. Raises OptionError and ValueError for what cannot be.
    """
    chosen, keys = Options.from_mapping(options), KeySource()
    keys.shared(chosen.signing_alg)
    server = AuthorizationServer(chosen, base_url=base_url, keys=keys)
    server.register(client_id, client_secret)
    return server
