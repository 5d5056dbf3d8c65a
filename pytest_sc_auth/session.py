"""One session of pytest: its server factory, the server of the test that runs, and what a failure's report tells of it.

It is a plugin of its own, which knows the test that runs: a fixture that asks for `request` costs every test more.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from pytest_sc_auth.settings import fixed_port, marked_options, production_urls, suite_settings

if TYPE_CHECKING:
    from fake_server import AuthorizationServer
    from pytest_sc_auth.servers import ServerFactory

__all__ = ["Session", "plain_errors"]

_SECTION = "sc_auth requests"


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Show what is wrong with a test's set-up as one sentence at that test, without our own frames."""
    try:
        yield
    except Exception as error:
        # Late: with the module that has them, a run without our fixtures would load what makes servers.
        from pytest_sc_auth.servers import ForeignModuleError, NeighbourError

        if isinstance(error, (ForeignModuleError, NeighbourError, ValueError)):
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        raise


class _Test:
    """Be the test that runs.

    - `servers`: those that ran in it, with how many exchanges each had when it began; None for one made in it.
    - `has_passed`: its own code has come to its end without a failure.
    - `shown`: what its report tells of the servers already.
    """

    def __init__(self, item: pytest.Item, servers: "tuple[AuthorizationServer, ...]") -> None:
        self.item = item
        self.servers: dict[AuthorizationServer, int | None] = {server: server.journal.total for server in servers}
        self.has_passed = False
        self.shown = ""


class Session:
    """Hold the server factory of one session, and the test that runs in it."""

    def __init__(self) -> None:
        self._config: pytest.Config
        self._factory: ServerFactory | None = None
        self._test: _Test | None = None
        self._is_interrupted = False

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_keyboard_interrupt(self) -> None:
        self._is_interrupted = True

    def run_factory(self) -> Iterator["ServerFactory"]:
        """Make the session's factory, and close it when it is not needed any more."""
        from pytest_sc_auth.servers import ServerFactory, complaints

        config = self._config
        self._factory = factory = ServerFactory(
            suite_settings(config), port=fixed_port(config), urls=production_urls(config)
        )
        yield factory
        # Those that no test has stopped: their own tests are over, and so it is the session that fails.
        servers = factory.servers
        factory.close()
        if self._is_interrupted:  # they may have been in the midst of anything
            return
        for server in servers:
            if server.errors:
                raise server.errors[0]
        if found := "\n".join(filter(None, map(complaints, servers))):
            raise pytest.fail.Exception(found, pytrace=False)

    @pytest.fixture
    def sc_auth_server(self, sc_auth_server_factory: "ServerFactory") -> Iterator["AuthorizationServer"]:
        """This test's own fake authorization server, running, with one client registered.

        Set it up with `@pytest.mark.sc_auth(token_lifetime=60, ...)`; the options are the fields of
        `fake_server.Options`. It checks what it is asked as a real server does, `.journal` tells
        what was asked and why it was refused, `.clock` moves this server's time alone.
        """
        from pytest_sc_auth.servers import complaints

        test = self._test
        assert test is not None  # its set-up has begun
        with plain_errors():
            try:
                server = sc_auth_server_factory.make(**marked_options(test.item))
            except OSError as error:  # the port is busy
                raise ValueError(error.strerror) from error
        yield server
        sc_auth_server_factory.stop(server)
        if server.errors:
            raise server.errors[0]
        if test.has_passed and (found := complaints(server)):
            raise pytest.fail.Exception(found, pytrace=False)

    @property
    def _running_servers(self) -> "tuple[AuthorizationServer, ...]":
        return () if self._factory is None else self._factory.servers

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._test = _Test(item, self._running_servers)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        test, wanted = self._test, item.config.getoption("--sc-auth-report")
        if test is None or test.item is not item:  # another plugin has ended its set-up before ours began
            self._test = test = _Test(item, self._running_servers)
        for server in self._running_servers:
            test.servers.setdefault(server, None)
        if report.when == "call":
            test.has_passed = report.passed
        if report.failed and wanted != "never":
            _explain(report, test)
        elif report.passed and report.when == "call" and wanted == "always":
            report.sc_auth_requests = _rendered(test.servers)  # type: ignore[attr-defined]  # xdist sends it along
        return report

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        for report in terminalreporter.getreports("passed"):
            if text := getattr(report, "sc_auth_requests", ""):
                terminalreporter.section(f"{_SECTION}: {report.nodeid}", sep="-")
                terminalreporter.line(text)


def _explain(report: pytest.TestReport, test: _Test) -> None:
    """Add a section to a failure itself: so it is in JUnit XML, too, where a report's sections are not."""
    text = _rendered(test.servers)
    # A test may fail once more in its teardown.
    if not text or text == test.shown:
        return
    test.shown = text
    add_section: Callable[..., None] | None = getattr(report.longrepr, "addsection", None)
    if add_section is not None:
        add_section(_SECTION, text, sep="-")
    else:  # a text, as for a test that passes and was to fail
        report.longrepr = f"{report.longrepr}\n{f' {_SECTION} ':-^80}\n{text}"


def _rendered(servers: "Mapping[AuthorizationServer, int | None]") -> str:
    used = {server: since for server, since in servers.items() if since is None or server.journal.total > since}
    if not used:
        return ""
    from pytest_sc_auth.report import render_server

    return "\n\n".join(render_server(server, since or 0) for server, since in used.items())
