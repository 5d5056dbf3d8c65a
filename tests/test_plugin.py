"""The plugin as users meet it: in test files of their own, run by pytest."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import pytest
import requests

from fake_server import ProtectedApi
from pytest_sc_auth.session import plain_errors

Run = Callable[..., pytest.RunResult]

FIXTURES = {
    "sc_auth_api": "The API that the tokens are for: *",
    "sc_auth_client": "A working TokenClient of this test's server: *",
    "sc_auth_clock": "Time, held still for the process and the servers together: *",
    "sc_auth_credentials": "What to configure the code under test with: *",
    "sc_auth_env": "The environment variables of `sc_auth_env` in the config file, *",
    "sc_auth_failure": "One failure of the token endpoint, armed: *",
    "sc_auth_intercept": "Let this test's server answer production URLs: *",
    "sc_auth_server": "This test's own fake authorization server, running, with one client registered.",
    "sc_auth_server_factory": "Make authorization servers of any lifetime, as tmp_path_factory makes paths.",
    "sc_auth_session": "A requests.Session that sends a Bearer token with each request, *",
    "sc_auth_token": "A valid access token, as text, made without a request; *",
}

# Two tests that leave behind what they can, and look for what the other has left.
TWO_TESTS = """
    import pytest
    import requests

    seen = []

    @pytest.mark.parametrize("number", [1, 2])
    def test_it(number, sc_auth_server, sc_auth_credentials, sc_auth_client, sc_auth_api):
        for earlier in seen:
            assert requests.post(earlier.token_url).status_code == 404
            assert requests.get(earlier.api_url).status_code == 404
            assert earlier.client_id not in sc_auth_server.clients
            assert earlier.client_secret != sc_auth_credentials.client_secret
        seen.append(sc_auth_credentials)
        auth = sc_auth_client.auth
        assert requests.get(sc_auth_api.url + "/Tags", auth=auth).json()["path"] == "/Tags"
        assert len(sc_auth_server.journal) == 2
        assert len(sc_auth_server.clients) == 1
        sc_auth_api.get("/Tags", status=418)
        sc_auth_server.register("left-behind")
        sc_auth_server.clock.advance(days=1)
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a test file, in its order; a warning is an error."""

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest("-p", "no:randomly", "-W", "error", *arguments)

    return run


# The fixtures


def test_fixtures_belong_to_one_server(run: Run) -> None:
    result = run(
        """
        import requests

        def test_it(
            sc_auth_server, sc_auth_credentials, sc_auth_client, sc_auth_token, sc_auth_session, sc_auth_api
        ):
            sc_auth_api.get("/Tags", json=["P-101"])
            headers = {"Authorization": f"Bearer {sc_auth_token}"}

            assert requests.get(f"{sc_auth_credentials.api_url}/Tags", headers=headers).json() == ["P-101"]
            assert sc_auth_session.get(f"{sc_auth_api.url}/Tags").json() == ["P-101"]
            assert list(sc_auth_server.clients) == [sc_auth_credentials.client_id] == [sc_auth_client.client_id]
            assert sc_auth_credentials == sc_auth_server.credentials_of()
            assert len(sc_auth_server.token_requests) == 1
        """
    )

    result.assert_outcomes(passed=1)


def test_requests_of_ours_go_past_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, sc_auth_session: requests.Session, sc_auth_api: ProtectedApi
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    # The token's request goes first, with the client's own session.
    assert sc_auth_session.get(sc_auth_api.url).status_code == 200


def test_tests_share_nothing_and_a_late_request_finds_nobody(run: Run) -> None:
    result = run(TWO_TESTS)

    result.assert_outcomes(passed=2)


def test_tests_share_nothing_in_two_processes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_one=TWO_TESTS, test_two=TWO_TESTS)

    result = pytester.runpytest_subprocess("-n", "2", "--dist", "loadfile", "-W", "error")

    result.assert_outcomes(passed=4)
    assert result.ret is pytest.ExitCode.OK


def test_server_of_the_session_keeps_its_state(run: Run) -> None:
    result = run(
        """
        import pytest

        @pytest.fixture(scope="session")
        def shared(sc_auth_server_factory):
            return sc_auth_server_factory.make(token_lifetime=86400)

        @pytest.mark.parametrize("number", [1, 2])
        @pytest.mark.sc_auth(token_lifetime=60)
        def test_it(shared, sc_auth_server, number):
            shared.register()
            assert len(shared.clients) == 1 + number
            assert len(sc_auth_server.clients) == 1
            assert (shared.options.token_lifetime, sc_auth_server.options.token_lifetime) == (86400, 60)
        """
    )

    result.assert_outcomes(passed=2)


def test_clock_is_given_back_to_the_next_test(run: Run) -> None:
    result = run(
        """
        import datetime

        def test_first(sc_auth_server, sc_auth_clock):
            sc_auth_clock.move_to("2100-01-01T00:00:00Z")
            assert sc_auth_server.clock.now().year == 2100

        def test_second(sc_auth_server):
            assert datetime.datetime.now().year < 2100
            assert sc_auth_server.clock.now().year < 2100
        """
    )

    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("caught", ["", "assert answer.status_code == 500"], ids=["unseen", "status-asserted"])
def test_route_that_raises_fails_its_test_and_no_other(run: Run, caught: str) -> None:
    result = run(
        f"""
        def broken(request, claims):
            raise LookupError("no tags")

        def test_it(sc_auth_session, sc_auth_api):
            sc_auth_api.get("/Tags", broken)
            answer = sc_auth_session.get(sc_auth_api.url + "/Tags")
            {caught}

        def test_other(sc_auth_token): pass
        """
    )

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", ">*raise LookupError(*", "E *LookupError: no tags"])
    result.stdout.no_fnmatch_line("*plugin.py*")


OWN_CODE = {
    "route": """
        def test_it(sc_auth_session, sc_auth_api):
            sc_auth_api.get("/Tags", lambda request, claims: pytest.fail("the tags are wrong"))
            answer = sc_auth_session.get(sc_auth_api.url + "/Tags")
    """,
    "claims": """
        @pytest.mark.sc_auth(claims=lambda grant: pytest.fail("the tags are wrong"))
        def test_it(sc_auth_credentials):
            c = sc_auth_credentials
            form = {"grant_type": "client_credentials", "scope": c.scope}
            answer = requests.post(c.token_url, data=form, auth=(c.client_id, c.client_secret))
    """,
}


@pytest.mark.parametrize("source", OWN_CODE.values(), ids=OWN_CODE)
def test_fail_in_the_tests_own_code_fails_the_test(run: Run, source: str) -> None:
    result = run("import pytest, requests\n" + textwrap.dedent(source) + "    assert answer.status_code == 500\n")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "E *Failed: the tags are wrong"])


def test_secret_that_cannot_be_registered_is_not_shown(run: Run) -> None:
    result = run(
        """
        def test_it(sc_auth_server):
            secret = bytes([115, 51, 99, 114, 51, 116])
            sc_auth_server.register("a", secret)
        """,
        "--tb=long",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *ValueError: the client_secret of 'a' is no text, but of the type bytes"])
    assert "s3cr3t" not in result.stdout.str()


# What is left behind


@pytest.mark.parametrize("ending", ["pass", "assert False", "sc_auth_server_factory.make()"])
def test_no_thread_and_no_socket_is_left(run: Run, ending: str) -> None:
    before = set(threading.enumerate())

    result = run(
        f"""
        def test_it(sc_auth_server_factory, sc_auth_session, sc_auth_api, sc_auth_clock):
            print("url:", sc_auth_session.get(sc_auth_api.url).url)
            {ending}
        """,
        "-s",
    )

    assert result.ret is (pytest.ExitCode.TESTS_FAILED if "False" in ending else pytest.ExitCode.OK)
    assert set(threading.enumerate()) <= before
    url = result.stdout.str().partition("url: ")[2].split()[0]
    with pytest.raises(requests.ConnectionError):
        requests.get(url)


def test_clock_alone_opens_no_socket(run: Run) -> None:
    result = run(
        """
        import threading

        before = set(threading.enumerate())

        def test_it(sc_auth_clock):
            assert set(threading.enumerate()) <= before
        """
    )

    result.assert_outcomes(passed=1)


def test_error_that_is_no_mistake_in_the_set_up_is_shown_as_it_is() -> None:
    with pytest.raises(LookupError, match="of the test's own"), plain_errors():
        raise LookupError("of the test's own")


# Beside hooks and fixtures of the suite's own

EARLY_SKIP = """
    import pytest

    @pytest.hookimpl({kind}=True)
    def pytest_runtest_setup(item):
        if "skipped" in item.name:
            pytest.skip("before all others")
        {rest}
"""


@pytest.mark.parametrize(("kind", "rest"), [("tryfirst", ""), ("wrapper", "return (yield)")])
@pytest.mark.parametrize("names", [("skipped", "other"), ("failing", "skipped")], ids=["first", "later"])
def test_set_up_that_ends_before_ours_is_no_error(
    run: Run, pytester: pytest.Pytester, kind: str, rest: str, names: tuple[str, str]
) -> None:
    pytester.makeconftest(EARLY_SKIP.format(kind=kind, rest=rest))
    tests = {
        "skipped": "def test_skipped(): pass",
        "other": "def test_other(sc_auth_client): assert sc_auth_client.token().value",
        "failing": "def test_failing(sc_auth_client): assert not sc_auth_client.token().value",
    }

    result = run("\n".join(tests[name] for name in names))

    failed = int("failing" in names)
    result.assert_outcomes(passed=1 - failed, failed=failed, skipped=1)
    assert sum("- sc_auth requests -" in line for line in result.outlines) == failed


def test_fixture_of_a_plugin_of_the_suite_overrides_ours(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("pytest_plugins = ['own_fixtures']")
    pytester.makepyfile(
        own_fixtures="""
        import pytest

        @pytest.fixture
        def sc_auth_server(sc_auth_server):
            sc_auth_server.register("own")
            return sc_auth_server
        """
    )

    result = run("def test_it(sc_auth_server): assert 'own' in sc_auth_server.clients")

    result.assert_outcomes(passed=1)


def test_hook_of_the_suite_sees_our_section_in_the_report(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if report.failed:
                assert "sc_auth requests" in report.longreprtext
            return report
        """
    )

    result = run("def test_it(sc_auth_client): assert not sc_auth_client.token().value")

    result.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("server", "end"),
    [("sc_auth_server", "raise KeyboardInterrupt"), ("sc_auth_server_factory.make()", "pytest.exit('enough')")],
    ids=["test's", "session's"],
)
def test_faults_of_a_run_that_is_interrupted_are_no_complaint(pytester: pytest.Pytester, server: str, end: str) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        def test_it({server.partition(".")[0]}):
            {server}.fail("rate_limited")
            {end}
        """
    )

    result = pytester.runpytest_subprocess("-p", "no:randomly")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*never fired*")
    assert "Traceback" not in result.stderr.str()


def test_dialect_that_raises_does_so_in_the_set_up(run: Run) -> None:
    result = run(
        """
        import dataclasses
        import pytest
        from fake_server import DIALECTS

        OWN = dataclasses.replace(DIALECTS["okta"], audience=lambda issuer, audience: {}["none"])

        @pytest.mark.sc_auth(dialect=OWN)
        def test_it(sc_auth_server): pass
        """
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_it*", "E * KeyError: 'none'"])


# What pytest tells of it


def test_fixtures_read_as_documentation(run: Run) -> None:
    result = run("", "--fixtures")

    shown = [line for line in result.outlines if line.startswith("sc_auth_")]
    assert sorted(line.split()[0] for line in shown) == list(FIXTURES)
    for name, sentence in FIXTURES.items():
        result.stdout.fnmatch_lines([f"{name}[ ]*-- *pytest_sc_auth*.py:*", f"    {sentence}"], consecutive=True)
    result.stdout.no_fnmatch_line("sc_auth_* no docstring available*")


def test_marker_is_explained(run: Run) -> None:
    result = run("", "--markers")

    result.stdout.fnmatch_lines(
        "@pytest.mark.sc_auth(**options): set up this test's sc_auth_server, such as token_lifetime=60; "
        "the options are the fields of fake_server.Options."
    )


@pytest.mark.parametrize(("marker", "outcome"), [("sc_auth", {"passed": 1}), ("sc_outh", {"errors": 1})])
def test_marker_is_known_where_markers_are_strict(run: Run, marker: str, outcome: dict[str, int]) -> None:
    result = run(
        f"""
        import pytest

        @pytest.mark.{marker}(token_lifetime=60)
        def test_it(sc_auth_token): pass
        """,
        "--strict-markers",
    )

    result.assert_outcomes(**outcome)


# What it costs who does not use it

LOADED = """
import sys, pytest

class Report:
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self):
        print("modules:", *sorted(sys.modules))

pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Report()])
"""


def test_plugin_imports_nothing_until_a_fixture_is_used(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*arguments: str) -> set[str]:
        process = subprocess.run(
            [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True, timeout=30
        )
        return set(process.stdout.partition("modules: ")[2].splitlines()[0].split())

    pytester.makepyfile("def test_it(): pass")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    without, with_plugin = loaded(), loaded("-p", "pytest_sc_auth.plugin")

    ours = {"pytest_sc_auth", *(f"pytest_sc_auth.{name}" for name in ("plugin", "session", "settings"))}
    assert with_plugin - without == ours


@pytest.mark.parametrize(
    ("trouble", "shown"),
    [
        ("server.fail('hang')", "the fault hang was armed on the token endpoint and never fired: *"),
        ("server.errors.append(LookupError('of a route'))", "E * LookupError: of a route"),
    ],
    ids=["unfired", "route"],
)
def test_server_of_the_factory_fails_the_run_at_its_end(run: Run, trouble: str, shown: str) -> None:
    result = run(f"""
        def test_it(sc_auth_server_factory):
            server = sc_auth_server_factory.make()
            {trouble}
    """)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([shown])
