"""The variables that the code under test reads: set, refused and put back, by the project's own mapping."""

import dataclasses
import os
from collections.abc import Callable

import pytest

from fake_server import Credentials
from pytest_sc_auth.environment import FIELDS, check_no_real_values, environment_for, read_mapping, without_proxy

Run = Callable[..., pytest.RunResult]

CREDENTIALS = Credentials(
    token_url="http://127.0.0.1:1/v1/token",
    client_id="id",
    client_secret="secret",
    scope="a b",
    api_url="http://127.0.0.1:1/api",
)
LINES = ("sc_auth_env =", "  SMART_TOKEN_URL = {token_url}", "  SMART_LOGIN = {client_id}:{client_secret}")


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a test file, with these lines in its config file."""

    def run(source: str, *lines: str) -> pytest.RunResult:
        pytester.makeini("\n".join(["[pytest]", *lines]))
        pytester.makepyfile(source)
        return pytester.runpytest("-p", "no:randomly", "-W", "error")

    return run


# The mapping


def test_fields_are_those_of_the_credentials() -> None:
    assert FIELDS == tuple(field.name for field in dataclasses.fields(Credentials))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("X = {token_url}", {"X": "http://127.0.0.1:1/v1/token"}),
        ("X={client_id}:{client_secret}", {"X": "id:secret"}),
        ("X = {api_url}/Tags?a=b", {"X": "http://127.0.0.1:1/api/Tags?a=b"}),
        ("X = {{{scope}}}", {"X": "{a b}"}),
        ("X = fixed", {"X": "fixed"}),
    ],
    ids=["field", "two", "equals", "braces", "text"],
)
def test_line_sets_a_variable(line: str, expected: dict[str, str]) -> None:
    assert environment_for(read_mapping([line]), CREDENTIALS) == expected


@pytest.mark.parametrize("line", ["X", "X =", "= {token_url}", "MY VARIABLE = {token_url}"])
def test_line_of_another_shape_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is not of the shape") as error:
        read_mapping(["Y = {scope}", line])

    assert str(error.value) == f"{line!r} in sc_auth_env is not of the shape NAME = {{token_url}}"


def test_variable_that_is_set_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="sc_auth_env sets X twice"):
        read_mapping(["X = {scope}", "Y = {scope}", "X = {token_url}"])


@pytest.mark.parametrize(
    "template",
    ["{tokenurl}", "{}", "{0}", "{token_url", "{token_url.x}", "{token_url[x]}", "{token_url!x}", "{token_url:%%}"],
)
def test_template_without_such_a_field_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="the fields are") as error:
        read_mapping([f"X = {template}"])

    assert str(error.value) == (
        f"X in sc_auth_env has {template!r}; the fields are "
        "{token_url}, {client_id}, {client_secret}, {scope}, {api_url}"
    )


@pytest.mark.parametrize(
    ("present", "shown"),
    [
        ({}, None),
        ({"X": "fake"}, None),
        ({"X": ""}, None),
        ({"Z": "r3al"}, None),
        ({"X": "r3al"}, "X holds a value"),
        ({"X": "r3al", "Y": "r3al"}, "X and Y hold a value"),
    ],
    ids=["unset", "fake", "empty", "other", "one", "two"],
)
def test_real_value_is_refused_without_showing_it(present: dict[str, str], shown: str | None) -> None:
    try:
        check_no_real_values({"X": "fake", "Y": "fake"}, present)
        message = None
    except ValueError as error:
        message = str(error)

    assert message == (
        shown
        and f"{shown} that is not the fake server's, and sc_auth_forbid_real_credentials is on; "
        "unset it before the tests"
    )


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ({}, None),
        ({"no_proxy": "x.test"}, None),
        ({"HTTP_PROXY": ""}, None),
        ({"HTTP_PROXY": "http://p"}, "127.0.0.1,localhost,::1"),
        ({"https_proxy": "http://p", "no_proxy": "x.test"}, "x.test,127.0.0.1,localhost,::1"),
        ({"ALL_PROXY": "http://p", "no_proxy": "x", "NO_PROXY": "y"}, "x,y,127.0.0.1,localhost,::1"),
        ({"all_proxy": "http://p", "no_proxy": "x", "NO_PROXY": "x"}, "x,127.0.0.1,localhost,::1"),
        ({"http_proxy": "http://p", "NO_PROXY": "*"}, "*"),
        ({"http_proxy": "http://p", "NO_PROXY": "127.0.0.1,localhost,::1"}, "127.0.0.1,localhost,::1"),
    ],
    ids=["neither", "no-proxy", "empty", "upper", "lower", "both", "twice", "all-hosts", "already"],
)
def test_loopback_is_kept_from_a_proxy(present: dict[str, str], expected: str | None) -> None:
    assert without_proxy(present) == ({} if expected is None else {"no_proxy": expected, "NO_PROXY": expected})


# The fixture


def test_variables_are_set_for_the_test_and_put_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMART_LOGIN", "before")
    monkeypatch.delenv("SMART_TOKEN_URL", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "x.test")
    monkeypatch.delenv("no_proxy", raising=False)

    result = run(
        """
        import os
        import requests

        def test_with(sc_auth_env, sc_auth_credentials):
            credentials = sc_auth_credentials
            assert sc_auth_env["SMART_TOKEN_URL"] == os.environ["SMART_TOKEN_URL"] == credentials.token_url
            assert os.environ["SMART_LOGIN"] == f"{credentials.client_id}:{credentials.client_secret}"
            assert requests.post(os.environ["SMART_TOKEN_URL"]).status_code == 400

        def test_without():
            assert os.environ["SMART_LOGIN"] == "before"
            assert "SMART_TOKEN_URL" not in os.environ
            assert (os.environ["NO_PROXY"], "no_proxy" in os.environ) == ("x.test", False)
        """,
        *LINES,
    )

    result.assert_outcomes(passed=2)


def test_variables_have_the_production_urls_of_the_suite(run: Run) -> None:
    result = run(
        """
        def test_it(sc_auth_env):
            assert sc_auth_env["SMART_TOKEN_URL"] == "https://idp.example.com/v1/token"
        """,
        *LINES,
        "sc_auth_token_url = https://idp.example.com/v1/token",
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("setting", "outcome"), [("true", {"errors": 1}), ("false", {"passed": 1})], ids=["forbidden", "allowed"]
)
def test_real_credentials_are_refused_where_they_are_forbidden(
    run: Run, monkeypatch: pytest.MonkeyPatch, setting: str, outcome: dict[str, int]
) -> None:
    monkeypatch.setenv("SMART_LOGIN", "r3al:s3cret")

    result = run("def test_it(sc_auth_env): pass", *LINES, f"sc_auth_forbid_real_credentials = {setting}")

    result.assert_outcomes(**outcome)
    assert ("SMART_LOGIN holds a value that is not the fake server's" in result.stdout.str()) == (setting == "true")
    result.stdout.no_fnmatch_line("*s3cret*")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("env = SMART_TOKEN_URL", "'SMART_TOKEN_URL' in sc_auth_env is not of the shape NAME = {token_url}"),
        ("env = X = {secret}", "X in sc_auth_env has '{secret}'; the fields are {token_url}, *"),
        ("forbid_real_credentials = perhaps", "sc_auth_forbid_real_credentials: *'perhaps'*"),
    ],
    ids=["shape", "field", "truth"],
)
def test_bad_setting_ends_the_run_at_once(run: Run, setting: str, message: str) -> None:
    result = run("def test_it(): pass", f"sc_auth_{setting}")

    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_without_a_mapping_it_says_what_to_write(run: Run) -> None:
    result = run("def test_it(sc_auth_env): pass")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at setup of test_it*", "*add sc_auth_env with lines such as SMART_API_TOKEN_URL = {token_url}"]
    )


def test_loopback_is_kept_from_a_proxy_wherever_a_server_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    result = run(
        """
        import os
        import pytest
        import requests

        @pytest.fixture(scope="module")
        def shared(sc_auth_server_factory):
            server = sc_auth_server_factory.make()
            yield server
            sc_auth_server_factory.stop(server)

        def test_shared(shared, sc_auth_server):
            assert requests.get(shared.jwks_uri).ok

        def test_shared_again(shared):
            assert requests.get(shared.jwks_uri).ok
            assert os.environ["NO_PROXY"] == "127.0.0.1,localhost,::1"
        """
    )

    result.assert_outcomes(passed=2)
    assert "NO_PROXY" not in os.environ


def test_loopback_is_kept_from_a_proxy_that_is_set_while_a_server_runs(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    result = run(
        """
        import pytest
        import requests

        @pytest.fixture(autouse=True)
        def proxy(sc_auth_server_factory, monkeypatch):
            sc_auth_server_factory.make()
            monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

        def test_it(sc_auth_env):
            assert requests.post(sc_auth_env["SMART_TOKEN_URL"]).status_code == 400
        """,
        *LINES,
    )

    result.assert_outcomes(passed=1)
