"""The plugins that people have beside this one: each does its part of a test, and a conflict names both sides."""

import re
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]

PROGRAM = """
import requests

def get_token(c, post=requests.post):
    form = {"grant_type": "client_credentials", "scope": c.scope}
    return post(c.token_url, data=form, auth=(c.client_id, c.client_secret)).json()["access_token"]
"""
PRODUCTION = "token_url='https://idp.example.com/v1/token', api_url='https://sc.example.com/v1'"

# The neighbour, what loads it, and a test that uses both.
NEIGHBOURS = [
    (
        "pytest-xdist",
        "-n 2",
        """
        import pytest
        from program import get_token

        @pytest.mark.parametrize("number", range(4))
        def test_it(number, sc_auth_credentials, sc_auth_server):
            assert get_token(sc_auth_credentials)
            assert len(sc_auth_server.journal) == 1
        """,
    ),
    (
        "pytest-randomly",  # which seeds random anew for every test
        "-p randomly --randomly-seed=1",
        """
        import pytest
        from program import get_token

        seen = set()

        @pytest.mark.parametrize("number", range(4))
        def test_it(number, sc_auth_credentials):
            made = {sc_auth_credentials.client_id, sc_auth_credentials.client_secret, get_token(sc_auth_credentials)}
            assert seen.isdisjoint(made)
            seen.update(made)
        """,
    ),
    (
        "pytest-asyncio",
        "-p asyncio -o asyncio_default_fixture_loop_scope=function",
        """
        import asyncio
        import pytest
        from program import get_token

        @pytest.mark.asyncio
        async def test_it(sc_auth_credentials, sc_auth_clock):
            first, second = [await asyncio.to_thread(get_token, sc_auth_credentials) for _ in range(2)]
            await asyncio.sleep(0)
            assert first != second
        """,
    ),
    (
        "anyio",
        "-p anyio",
        """
        import anyio.to_thread
        import pytest
        from program import get_token

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it(sc_auth_credentials, sc_auth_clock):
            assert await anyio.to_thread.run_sync(get_token, sc_auth_credentials)
        """,
    ),
    (
        "pytest-httpx",
        "-p pytest_httpx",
        """
        import httpx
        import pytest
        from program import get_token

        @pytest.mark.httpx_mock(should_mock=lambda request: request.url.host != "127.0.0.1")
        def test_it(httpx_mock, sc_auth_credentials):
            httpx_mock.add_response(url="https://other.example.com/", text="mocked")
            assert get_token(sc_auth_credentials, httpx.post)
            assert httpx.get("https://other.example.com/").text == "mocked"
        """,
    ),
    (
        "respx",
        "-p respx",
        """
        import httpx
        from program import get_token

        def test_it(respx_mock, sc_auth_credentials):
            respx_mock.route(host="127.0.0.1").pass_through()
            respx_mock.get("https://other.example.com/").respond(text="mocked")
            assert get_token(sc_auth_credentials, httpx.post)
            assert httpx.get("https://other.example.com/").text == "mocked"
        """,
    ),
    (
        "requests-mock",
        "-p requests_mock",
        f"""
        import requests
        from program import get_token

        def test_socket(requests_mock, sc_auth_credentials, sc_auth_session, sc_auth_api):
            requests_mock.real_http = True
            requests_mock.get("https://other.example.com/", text="mocked")
            assert get_token(sc_auth_credentials)
            assert sc_auth_session.get(sc_auth_api.url).ok
            assert requests.get("https://other.example.com/").text == "mocked"

        def test_interception(requests_mock, sc_auth_intercept):
            requests_mock.real_http = True
            requests_mock.get("https://other.example.com/", text="mocked")
            assert get_token(sc_auth_intercept({PRODUCTION}))
            assert requests.get("https://other.example.com/").text == "mocked"
        """,
    ),
    (
        "responses",  # no plugin, but people use it by itself
        "",
        f"""
        import requests
        import responses
        from program import get_token

        @responses.activate
        def test_socket(sc_auth_credentials):
            responses.add_passthru("http://127.0.0.1")
            assert get_token(sc_auth_credentials)

        @responses.activate
        def test_interception(sc_auth_intercept):
            responses.get("https://other.example.com/", body="mocked")
            assert get_token(sc_auth_intercept({PRODUCTION}))
            assert requests.get("https://other.example.com/").text == "mocked"
        """,
    ),
    (
        "pytest-socket",
        "-p pytest_socket --disable-socket --allow-hosts=127.0.0.1",
        """
        import socket
        import pytest
        from program import get_token

        def test_it(sc_auth_credentials):
            assert get_token(sc_auth_credentials)
            with socket.socket() as other, pytest.raises(Exception, match='host "127.0.0.2"'):
                other.connect(("127.0.0.2", 9))
        """,
    ),
    (
        "pytest-socket",
        "-p pytest_socket --disable-socket --allow-unix-socket",
        """
        def test_it(sc_auth_clock):
            before = sc_auth_clock.time()
            sc_auth_clock.advance(hours=1)
            assert sc_auth_clock.time() - before == 3600
        """,
    ),
    (
        "pytest-freezer",
        "-p freezer",
        """
        import pytest

        @pytest.mark.freeze_time("2026-03-01 12:00:00")
        def test_freezer(freezer, sc_auth_server, sc_auth_client):
            first = sc_auth_client.token()
            assert sc_auth_server.clock.now().isoformat() == "2026-03-01T12:00:00+00:00"
            freezer.tick(3600)
            assert sc_auth_client.token() != first

        @pytest.mark.freeze_time("2026-03-01 12:00:00")
        def test_clock_begins_there(sc_auth_clock, sc_auth_server):
            sc_auth_clock.advance(hours=1)
            assert sc_auth_server.clock.now().isoformat() == "2026-03-01T13:00:00+00:00"
        """,
    ),
    (
        "time-machine",
        "",
        """
        import datetime
        import time_machine

        NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)

        @time_machine.travel(NOON, tick=False)
        def test_it(sc_auth_server, sc_auth_client):
            first = sc_auth_client.token()
            assert sc_auth_server.clock.now() == NOON
            with time_machine.travel(NOON + datetime.timedelta(hours=1), tick=False):
                assert sc_auth_client.token() != first
        """,
    ),
    (
        "unittest",
        "",
        """
        import unittest
        import pytest
        from program import get_token

        class TestIt(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def fixtures(self, sc_auth_server, sc_auth_credentials, sc_auth_clock):
                self.server, self.credentials, self.clock = sc_auth_server, sc_auth_credentials, sc_auth_clock

            def test_token(self):
                self.assertEqual(self.server.options.token_lifetime, 3600)
                self.assertTrue(get_token(self.credentials))

            @pytest.mark.sc_auth(token_lifetime=60)
            def test_marker(self):
                self.assertEqual(self.server.options.token_lifetime, 60)
        """,
    ),
]


# What would leave something behind in this process, or stop its sockets.
IN_A_PROCESS_OF_ITS_OWN = re.compile("asyncio|freezer|socket|-n ")


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a test file, in its order, with the program beside it; a warning is an error."""

    def run(arguments: str, source: str) -> pytest.RunResult:
        pytester.makepyfile(source, program=PROGRAM)
        start = pytester.runpytest_subprocess if IN_A_PROCESS_OF_ITS_OWN.search(arguments) else pytester.runpytest
        return start("-p", "no:randomly", "-W", "error", *arguments.split())

    return run


@pytest.mark.parametrize(
    ("arguments", "source"), [row[1:] for row in NEIGHBOURS], ids=[name for name, _, _ in NEIGHBOURS]
)
def test_neighbour_and_plugin_serve_one_test(run: Run, arguments: str, source: str) -> None:
    result = run(arguments, source)

    assert list(result.parseoutcomes()) == ["passed"]
    assert result.ret is pytest.ExitCode.OK


def test_all_neighbours_at_once_change_nothing(run: Run) -> None:
    result = run(
        "-n 2 -p asyncio -p freezer -p pytest_httpx -p requests_mock -p respx -p pytest_socket "
        "-o asyncio_default_fixture_loop_scope=function",
        """
        import pytest
        from program import get_token

        @pytest.mark.parametrize("number", range(4))
        def test_it(number, sc_auth_credentials, sc_auth_clock, sc_auth_session, sc_auth_api):
            assert get_token(sc_auth_credentials)
            sc_auth_clock.advance(hours=1)
            assert sc_auth_session.get(sc_auth_api.url).ok
        """,
    )

    result.assert_outcomes(passed=4)


# Conflicts

CONFLICTS: list[Any] = [
    pytest.param(
        "-p pytest_socket --disable-socket",
        """
        import pytest

        def test_first(sc_auth_server): pass

        @pytest.mark.enable_socket
        def test_allowed(sc_auth_server): pass

        def test_last(sc_auth_server): pass
        """,
        {"errors": 2, "passed": 1},
        "pytest-socket forbids this test every socket, and sc_auth_server listens on one; allow the tests loopback and "
        "nothing else by --allow-hosts=127.0.0.1, or this one by @pytest.mark.enable_socket",
        id="pytest-socket",
    ),
    pytest.param(
        "-p pytest_socket --disable-socket",
        "def test_it(sc_auth_clock): pass",
        {"errors": 1},
        "pytest-socket forbids this test every socket, and freezegun opens a pair of them to find asyncio's clock; "
        "allow it by --allow-unix-socket, or hold the time with sc_auth_clock_engine = time-machine",
        id="pytest-socket-and-freezegun",
    ),
    pytest.param(
        "-p requests_mock",
        f"def test_it(requests_mock, sc_auth_intercept): sc_auth_intercept({PRODUCTION})",
        {"failed": 1},
        "requests-mock answers every request before sc_auth_intercept can; set real_http=True on it first, as in "
        "requests_mock.real_http = True: what neither of them knows is refused all the same",
        id="requests-mock-and-interception",
    ),
    pytest.param(
        "-p freezer -o sc_auth_clock_engine=time-machine",
        "def test_it(freezer, sc_auth_clock): pass",
        {"errors": 1},
        "sc_auth_clock holds the time with time-machine, which cannot start while freezegun holds it; end that "
        "freeze_time (pytest-freezer's, it may be), or set sc_auth_clock_engine = freezegun",
        id="pytest-freezer-and-time-machine",
    ),
    pytest.param(
        "-p requests_mock",
        "def test_it(requests_mock, sc_auth_client): sc_auth_client.token()",
        {"failed": 1},
        "E  *requests_mock.exceptions.NoMockAddress: No mock address: POST http://127.0.0.1:*/v1/token",
        id="requests-mock-and-socket",
    ),
    pytest.param(
        "",
        """
        import responses

        @responses.activate
        def test_it(sc_auth_client):
            sc_auth_client.token()
        """,
        {"failed": 1},
        "E  *TokenError: connection_failed: http://127.0.0.1:* did not answer: ConnectionError raised by responses",
        id="responses-and-socket",
    ),
]


@pytest.mark.parametrize(("arguments", "source", "outcomes", "message"), CONFLICTS)
def test_conflict_names_both_sides(
    run: Run, arguments: str, source: str, outcomes: dict[str, int], message: str
) -> None:
    result = run(arguments, source)

    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([message])
