"""What the tests share: a server behind the plain WSGI door, and the requests they send to it."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

# Loaded before pytester takes note of the modules there are, so that its runs in this process share
# them: cryptography cannot be loaded twice, and httpx keeps the errors of the httpcore that it found first.
import freezegun  # noqa: F401
import httpcore  # noqa: F401
import pytest
import requests  # noqa: F401
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Listener, RegisteredClient
from fake_server.key_source import KeySource

pytest_plugins = ["pytester"]

NOON = "2026-03-01T12:00:00+00:00"


@pytest.fixture
def pytester(
    pytester: pytest.Pytester, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """pytester, whose runs go without the plugins that this suite goes without, unless a test loads them by -p."""
    blocked = [word for word in pytestconfig.getini("addopts") if word.startswith("-pno:")]
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(blocked))
    for name in ("CI", "BUILD_NUMBER"):  # in which pytest writes a longer summary
        monkeypatch.delenv(name, raising=False)
    return pytester


@pytest.fixture(scope="session")
def keys() -> KeySource:
    """The key that all servers begin with: each of its own would cost each test 50 ms."""
    return KeySource()


@pytest.fixture
def listener(keys: KeySource) -> Iterator[Listener]:
    """A listener that runs, and whose key is made already."""
    with Listener(keys=keys) as listener:
        yield listener


@pytest.fixture
def server(keys: KeySource) -> AuthorizationServer:
    """A server whose clock stands at noon of the first of March 2026."""
    server = AuthorizationServer(base_url="http://idp.test/as", keys=keys)
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


@pytest.fixture
def call_api(server: AuthorizationServer, http: Client) -> Callable[..., TestResponse]:
    """Send a request to a path of the API, with the token in the Authorization header unless it is None."""

    def call(token: str | None, path: str = "/Tags", *, method: str = "GET", **request: Any) -> TestResponse:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return http.open(server.api.url + path, method=method, headers=headers, **request)

    return call


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """While a block runs, the system gives no thread."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    @contextmanager
    def hold() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            yield

    return hold


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that take turns as often as they can, so that one which lacks a lock is found out."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
