"""What the tests share: a server behind the plain WSGI door, and the requests they send to it."""

# Loaded before pytester takes note of the modules there are, so that its runs in this process share
# them: cryptography cannot be loaded twice.
import freezegun  # noqa: F401
import pytest
import requests  # noqa: F401
from werkzeug.test import Client

from fake_server import AuthorizationServer, RegisteredClient

pytest_plugins = ["pytester"]

NOON = "2026-03-01T12:00:00+00:00"


@pytest.fixture
def server() -> AuthorizationServer:
    """A server whose clock stands at noon of the first of March 2026."""
    server = AuthorizationServer(base_url="http://idp.test/as")
    server.clock.freeze()
    server.clock.move_to(NOON)
    return server


@pytest.fixture
def client(server: AuthorizationServer) -> RegisteredClient:
    """The server's one client."""
    return server.register("smart-client", "smart-secret")


@pytest.fixture
def http(server: AuthorizationServer) -> Client:
    """An HTTP client of the server, without a socket."""
    return Client(server)
