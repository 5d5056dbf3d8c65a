"""The fixtures, the marker and the settings: what pytest sees.

pytest imports this module at every start, so it imports nothing that pytest has not loaded; what a
fixture needs is imported when the first test asks for it.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_sc_auth.servers import ForeignModuleError, ServerFactory, check_fake_server
from pytest_sc_auth.settings import MARKER, add_settings, check_settings, marked_options, suite_settings

if TYPE_CHECKING:
    import requests

    from fake_server import AuthorizationServer, Credentials
    from fake_server.api import ProtectedApi
    from pytest_sc_auth.time_control import ProcessClock
    from pytest_sc_auth.token_client import TokenClient


def pytest_addoption(parser: pytest.Parser) -> None:
    add_settings(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**options): set up this test's sc_auth_server, such as token_lifetime=60; "
        "the options are the fields of fake_server.Options.",
    )
    check_settings(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    settings = suite_settings(config)
    return "sc_auth: " + ", ".join(f"{name}={text!r}" for name, text in settings.items()) if settings else None


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Show what is wrong with a test's set-up as one sentence at that test, without our own frames."""
    try:
        yield
    except (ForeignModuleError, ValueError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def sc_auth_server_factory(pytestconfig: pytest.Config) -> Iterator[ServerFactory]:
    """Make authorization servers of any lifetime, as tmp_path_factory makes paths.

    `make(**options)` returns a running server with one client registered; it stops with `stop(server)`
    or the session. All share one socket, which opens with the first.
    """
    factory = ServerFactory(suite_settings(pytestconfig))
    yield factory
    factory.close()


@pytest.fixture
def sc_auth_server(
    request: pytest.FixtureRequest, sc_auth_server_factory: ServerFactory
) -> Iterator["AuthorizationServer"]:
    """This test's own fake authorization server, running, with one client registered.

    Set it up with `@pytest.mark.sc_auth(token_lifetime=60, ...)`; the options are the fields of
    `fake_server.Options`. It checks what it is asked as a real server does, `.journal` tells
    what was asked and why it was refused, `.clock` moves this server's time alone.
    """
    with _plain_errors():
        server = sc_auth_server_factory.make(**marked_options(request.node))
    yield server
    sc_auth_server_factory.stop(server)
    if server.errors:
        raise server.errors[0]


@pytest.fixture
def sc_auth_credentials(sc_auth_server: "AuthorizationServer") -> "Credentials":
    """What to configure the code under test with: `.token_url .client_id .client_secret .scope .api_url`."""
    return sc_auth_server.credentials_of()


@pytest.fixture
def sc_auth_client(sc_auth_credentials: "Credentials") -> Iterator["TokenClient"]:
    """A working TokenClient of this test's server: `.token()` gets, keeps and renews a token.

    Use it where the test needs tokens and the code under test does not fetch them itself.
    """
    import requests

    from pytest_sc_auth.token_client import TokenClient

    with requests.Session() as session:
        session.trust_env = False  # the server is on loopback: no proxy, no ~/.netrc, and a faster call
        yield TokenClient(
            sc_auth_credentials.token_url,
            sc_auth_credentials.client_id,
            sc_auth_credentials.client_secret,
            sc_auth_credentials.scope,
            session=session,
        )


@pytest.fixture
def sc_auth_token(sc_auth_server: "AuthorizationServer") -> str:
    """A valid access token, as text, made without a request; `sc_auth_server.mint(...)` makes others."""
    return sc_auth_server.mint()


@pytest.fixture
def sc_auth_session(sc_auth_client: "TokenClient") -> Iterator["requests.Session"]:
    """A requests.Session that sends a Bearer token with each request, and renews it when it has expired."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        session.auth = sc_auth_client.auth
        yield session


@pytest.fixture
def sc_auth_api(sc_auth_server: "AuthorizationServer") -> "ProtectedApi":
    """The API that the tokens are for: `.url`, and canned routes such as `.get("/Tags", json={"value": []})`.

    It checks the token of every request; a path without a route answers with the token's claims.
    """
    return sc_auth_server.api


@pytest.fixture
def sc_auth_clock(sc_auth_server_factory: ServerFactory) -> Iterator["ProcessClock"]:
    """Time, held still for the process and the servers together: `.now() .time() .advance(...) .move_to(...)`.

    It begins at the present. `advance(hours=1)` is an hour that passes, for the code under test, the
    server, the API and the token client alike; `sc_auth_server.clock` moves the server alone.
    """
    with _plain_errors():
        check_fake_server()
    from pytest_sc_auth.time_control import ProcessClock

    with ProcessClock(lambda: sc_auth_server_factory.servers) as clock:
        yield clock
