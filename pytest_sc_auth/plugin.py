"""The fixtures, the marker and the settings: what pytest sees.

pytest imports this module at every start, so it imports nothing that pytest has not loaded; what a
fixture needs is imported when the first test asks for it.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sc_auth.session import Session, plain_errors
from pytest_sc_auth.settings import (
    FAILURES_MARKER,
    MARKER,
    add_settings,
    check_settings,
    clock_engine,
    environment_settings,
    selected_failures,
    suite_settings,
)

if TYPE_CHECKING:
    import requests

    from fake_server import AuthorizationServer, Credentials
    from fake_server.api import ProtectedApi
    from pytest_sc_auth.failures import Failure
    from pytest_sc_auth.servers import ServerFactory
    from pytest_sc_auth.time_control import ProcessClock
    from pytest_sc_auth.token_client import TokenClient


_SERVERS = "sc_auth_servers"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    add_settings(parser)
    # As early as this plugin itself: what is registered later overrides its fixtures, and sees what its hooks did.
    pluginmanager.register(Session(), _SERVERS)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**options): set up this test's sc_auth_server, such as token_lifetime=60; "
        "the options are the fields of fake_server.Options.",
    )
    config.addinivalue_line(
        "markers",
        f"{FAILURES_MARKER}(*kinds_or_names, exclude=[...]): choose the failures that a test which asks for "
        "sc_auth_failure runs with; the kinds are rejected, transient and malformed.",
    )
    check_settings(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    settings = suite_settings(config)
    return "sc_auth: " + ", ".join(f"{name}={text!r}" for name, text in settings.items()) if settings else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sc_auth_failure" in metafunc.fixturenames:
        from pytest_sc_auth.failures import select_failures

        with plain_errors():
            failures = select_failures(*selected_failures(metafunc.definition))
        metafunc.parametrize("sc_auth_failure", failures, ids=str, indirect=True)


@pytest.fixture(scope="session")
def sc_auth_server_factory(request: pytest.FixtureRequest) -> Iterator["ServerFactory"]:
    """Make authorization servers of any lifetime, as tmp_path_factory makes paths.

    `make(**options)` returns a running server with one client registered; it stops with `stop(server)`
    or the session. All share one socket, which opens with the first.
    """
    session = request.config.pluginmanager.get_plugin(_SERVERS)
    assert isinstance(session, Session)
    yield from session.run_factory()


@pytest.fixture
def sc_auth_credentials(sc_auth_server: "AuthorizationServer") -> "Credentials":
    """What to configure the code under test with: `.token_url .client_id .client_secret .scope .api_url`."""
    return sc_auth_server.credentials_of()


@pytest.fixture
def sc_auth_client(
    sc_auth_server: "AuthorizationServer", sc_auth_credentials: "Credentials"
) -> Iterator["TokenClient"]:
    """A working TokenClient of this test's server: `.token()` gets, keeps and renews a token.

    Use it where the test needs tokens and the code under test does not fetch them itself.
    """
    import requests

    from pytest_sc_auth.token_client import TokenClient

    with requests.Session() as session:
        session.trust_env = False  # the server is on loopback: no proxy, no ~/.netrc, and a faster call
        session.verify = sc_auth_server.ca_file or True
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
def sc_auth_session(
    sc_auth_server: "AuthorizationServer", sc_auth_client: "TokenClient"
) -> Iterator["requests.Session"]:
    """A requests.Session that sends a Bearer token with each request, and renews it when it has expired."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        session.verify = sc_auth_server.ca_file or True
        session.auth = sc_auth_client.auth
        yield session


@pytest.fixture
def sc_auth_api(sc_auth_server: "AuthorizationServer") -> "ProtectedApi":
    """The API that the tokens are for: `.url`, and canned routes such as `.get("/Tags", json={"value": []})`.

    It checks the token of every request; a path without a route answers with the token's claims.
    """
    return sc_auth_server.api


@pytest.fixture
def sc_auth_intercept(
    sc_auth_server: "AuthorizationServer", sc_auth_server_factory: "ServerFactory"
) -> "Callable[..., Credentials]":
    """Let this test's server answer production URLs: `intercept(token_url="https://…/v1/token", api_url="https://…")`.

    The code under test keeps its URLs; `requests` calls to them open no socket. Issuer, metadata and `api.url` are
    the production ones, and the credentials with them are returned. Your own `responses` mocks are joined whenever they
    start; name one by `mock=` and it must be active. `passthrough=[...]` lists hosts, and beginnings of URLs, that are
    really called; loopback always is. Any other URL fails as with responses. Tokens, credentials and variables from
    before have the earlier URLs.
    """

    def intercept(
        token_url: str | None = None, api_url: str | None = None, *, mock: Any = None, passthrough: Iterable[str] = ()
    ) -> "Credentials":
        with plain_errors():
            return sc_auth_server_factory.intercept(
                sc_auth_server, token_url, api_url, mock=mock, passthrough=passthrough
            )

    return intercept


@pytest.fixture
def sc_auth_env(pytestconfig: pytest.Config, sc_auth_credentials: "Credentials") -> Iterator[dict[str, str]]:
    """The environment variables of `sc_auth_env` in the config file, set to the fake's values for this test.

    Lines such as `SMART_API_TOKEN_URL = {token_url}` name any field of `sc_auth_credentials`. Where a proxy is set,
    loopback is exempted from it. With `sc_auth_forbid_real_credentials = true` a variable that holds another value is
    an error. Everything is put back.
    """
    from fake_server.hidden import Hidden
    from pytest_sc_auth.environment import check_no_real_values, environment_for, without_proxy

    mapping, forbids_real = environment_settings(pytestconfig)
    with plain_errors():
        environment = environment_for(mapping, sc_auth_credentials)
        if not mapping:
            raise ValueError(
                "the config file says nothing about what sc_auth_env is to set; add sc_auth_env with lines such as "
                "SMART_API_TOKEN_URL = {token_url}"
            )
        if forbids_real:
            check_no_real_values(environment)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment, **without_proxy()}.items():
            patch.setenv(name, value)
        yield {name: Hidden(value) for name, value in environment.items()}


@pytest.fixture
def sc_auth_failure(request: pytest.FixtureRequest, sc_auth_server: "AuthorizationServer") -> "Failure":
    """One failure of the token endpoint, armed: the test runs once for each in the catalogue.

    `.name`, `.kind` (rejected, transient or malformed) and `.is_legal` let the test say what it expects.
    `@pytest.mark.sc_auth_failures("transient", exclude=["hang"])` selects them by kind or name.
    """
    failure: Failure = request.param
    sc_auth_server.fail(failure.name, times=None)
    return failure


@pytest.fixture
def sc_auth_clock(pytestconfig: pytest.Config, sc_auth_server_factory: "ServerFactory") -> Iterator["ProcessClock"]:
    """Time, held still for the process and the servers together: `.now() .time() .advance(...) .move_to(...)`.

    It begins at the present. `advance(hours=1)` is an hour that passes, for the code under test, the
    server, the API and the token client alike; `sc_auth_server.clock` moves the server alone.
    """
    with contextlib.ExitStack() as stack:
        with plain_errors():
            from pytest_sc_auth.servers import check_fake_server

            check_fake_server()
            from pytest_sc_auth.time_control import ProcessClock

            clock = ProcessClock(lambda: sc_auth_server_factory.servers, engine=clock_engine(pytestconfig))
            stack.enter_context(clock)
        yield clock
