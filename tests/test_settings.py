"""Where a test's options come from: the config file, then the markers from the module down to the test."""

import os
import socket
from collections.abc import Callable

import pytest

from fake_server import Options
from pytest_sc_auth.settings import OPTION_NAMES, fixed_port

native_toml = pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest reads [tool.pytest] since 9")

Run = Callable[..., pytest.RunResult]

ONE_TEST = """
    def test_it(sc_auth_server):
        options = sc_auth_server.options
        print("options:", options.token_lifetime, options.scopes, options.default_scopes, options.audience)
"""

SETTINGS = {
    "audience": ("https://api.test", "https://api.test"),
    "basic_decoding": ("raw", "raw"),
    "claims": ('{"tenant": "x"}', {"tenant": "x"}),
    "client_auth": ("client_secret_post", ("client_secret_post",)),
    "default_scopes": ("ingr.api", ("ingr.api",)),
    "dialect": ("okta", "okta"),
    "journal_size": ("5", 5),
    "scopes": ("ingr.api, reports", ("ingr.api", "reports")),
    "signing_alg": ("RS256", "RS256"),
    "sticky_tokens": ("60", 60),
    "strict": ("true", True),
    "tls": ("true", True),
    "token_format": ("opaque", "opaque"),
    "token_lifetime": ("60", 60),
}
OWN = ["clock_engine", "token_url", "api_url", "env", "forbid_real_credentials", "port"]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a test file, with a config file of that name and text."""

    def run(source: str, config: tuple[str, str] = ("pytest.ini", "[pytest]"), *arguments: str) -> pytest.RunResult:
        name, text = config
        pytester.path.joinpath(name).write_text(text)
        pytester.makepyfile(source)
        return pytester.runpytest("-p", "no:randomly", "-W", "error", "-s", *arguments)

    return run


def ini(*lines: str) -> tuple[str, str]:
    return "pytest.ini", "\n".join(["[pytest]", *lines])


def pyproject(table: str, line: str) -> tuple[str, str]:
    return "pyproject.toml", f"[{table}]\n{line}"


def test_names_are_the_fields_of_the_options() -> None:
    assert list(OPTION_NAMES) == sorted(Options.names())


# The config file


@pytest.mark.parametrize("name", OPTION_NAMES)
def test_every_option_is_a_setting(run: Run, name: str) -> None:
    text, value = SETTINGS[name]

    result = run(
        f"def test_it(sc_auth_server): assert sc_auth_server.options.{name} == {value!r}",
        ini(f"sc_auth_{name} = {text}"),
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(f"sc_auth: {name}={text!r}")


@pytest.mark.parametrize(
    "config",
    [
        ini("sc_auth_token_lifetime = 60", "sc_auth_scopes =", "  a", "  b"),
        pyproject("tool.pytest.ini_options", 'sc_auth_token_lifetime = 60\nsc_auth_scopes = "a b"'),
        pytest.param(
            pyproject("tool.pytest", 'sc_auth_token_lifetime = "60"\nsc_auth_scopes = "a b"'), marks=native_toml
        ),
    ],
    ids=["ini", "toml-as-ini", "toml"],
)
def test_settings_are_read_from_any_config_file_of_pytest(run: Run, config: tuple[str, str]) -> None:
    result = run(ONE_TEST, config)

    result.stdout.fnmatch_lines("*options: 60 ('a', 'b') () *")


def test_setting_is_overridden_on_the_command_line(run: Run) -> None:
    result = run(ONE_TEST, ini("sc_auth_token_lifetime = 60"), "-o", "sc_auth_token_lifetime=90")

    result.stdout.fnmatch_lines(["sc_auth: token_lifetime='90'", "*options: 90 *"])


def test_header_is_silent_without_a_setting(run: Run) -> None:
    result = run(ONE_TEST)

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("sc_auth:*")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sc_auth_token_lifetme", "did you mean sc_auth_token_lifetime?"),
        ("sc_auth_scope", "did you mean sc_auth_scopes?"),
        ("sc_auth_nonsense", f"there are {', '.join(f'sc_auth_{name}' for name in [*OPTION_NAMES, *OWN])}"),
    ],
    ids=["letter", "plural", "far-off"],
)
@pytest.mark.parametrize("flag", ["-v", "--strict-config"])
def test_misspelt_setting_ends_the_run_at_once_and_names_the_right_one(
    run: Run, flag: str, name: str, hint: str
) -> None:
    result = run(ONE_TEST, ini(f"{name} = 60"), flag)

    assert result.ret is pytest.ExitCode.USAGE_ERROR
    assert result.errlines[0] == f"ERROR: {name} is not a setting of pytest-sc-auth; {hint}"
    result.stdout.no_fnmatch_line("*options:*")


@pytest.mark.parametrize(
    ("config", "value"),
    [
        (pyproject("tool.pytest.ini_options", 'sc_auth_scopes = ["a", "b"]'), "['a', 'b']"),
        pytest.param(pyproject("tool.pytest", 'sc_auth_scopes = ["a", "b"]'), "['a', 'b']", marks=native_toml),
        pytest.param(pyproject("tool.pytest", "sc_auth_token_lifetime = 60"), "60", marks=native_toml),
        pytest.param(pyproject("tool.pytest", "sc_auth_port = 8400"), "8400", marks=native_toml),
        (
            pyproject("tool.pytest.ini_options", 'sc_auth_token_url = ["https://idp.example.com"]'),
            "https://idp.example.com",
        ),
    ],
    ids=["list-as-ini", "list", "number", "port", "url"],
)
def test_setting_that_is_no_text_ends_the_run_at_once(run: Run, config: tuple[str, str], value: str) -> None:
    result = run(ONE_TEST, config, "-q")

    assert result.ret is pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [result.errlines[0]]
    assert result.errlines[0].startswith("ERROR: ")
    assert value in result.errlines[0]
    assert result.errlines[0].endswith("; write it in quotes")


def test_setting_of_a_wrong_value_is_shown_at_the_test(run: Run) -> None:
    result = run(ONE_TEST, ini("sc_auth_token_lifetime = soon"))

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_it*",
            "in pytest's config file, sc_auth_token_lifetime='soon' cannot be used: it takes a whole number *",
            "*short test summary info*",
        ],
        consecutive=True,
    )


def test_settings_are_explained_in_the_help(run: Run) -> None:
    result = run(ONE_TEST, ini(), "--help")

    result.stdout.fnmatch_lines([f"  sc_auth_{name} (string):*" for name in OPTION_NAMES])


# The marker


def test_marker_wins_over_the_setting_of_its_option_alone(run: Run) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.sc_auth(token_lifetime=90)
        def test_it(sc_auth_server):
            print("options:", sc_auth_server.options.token_lifetime, sc_auth_server.options.audience)
        """,
        ini("sc_auth_token_lifetime = 60", "sc_auth_audience = suite"),
    )

    result.stdout.fnmatch_lines("*options: 90 suite*")


def test_nearest_marker_wins(run: Run) -> None:
    result = run(
        """
        import pytest

        pytestmark = pytest.mark.sc_auth(token_lifetime=1, audience="module", journal_size=1)

        def lifetime(server):
            return server.options.token_lifetime, server.options.audience, server.options.journal_size

        def test_module(sc_auth_server):
            assert lifetime(sc_auth_server) == (1, "module", 1)

        @pytest.mark.sc_auth(token_lifetime=2, audience="class")
        class TestClass:
            def test_class(self, sc_auth_server):
                assert lifetime(sc_auth_server) == (2, "class", 1)

            @pytest.mark.sc_auth(token_lifetime=3)
            @pytest.mark.sc_auth(token_lifetime=4)
            def test_function(self, sc_auth_server):
                assert lifetime(sc_auth_server) == (4, "class", 1)

            @pytest.mark.parametrize("expected", [pytest.param(5, marks=pytest.mark.sc_auth(token_lifetime=5))])
            def test_parameter(self, sc_auth_server, expected):
                assert lifetime(sc_auth_server) == (expected, "class", 1)
        """
    )

    result.assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("token_lifetme=60", "token_lifetme is not an option of sc_auth; did you mean token_lifetime?"),
        ("zzz=60", f"zzz is not an option of sc_auth; there are {', '.join(OPTION_NAMES)}"),
        (
            "token_lifetime='60'",
            "token_lifetime='60' cannot be used: it takes a whole number from 1 to 999999999",
        ),
        ("scopes=()", "scopes is empty; the API demands the first of them, so name one"),
        ("60", "@pytest.mark.sc_auth takes options by name, such as token_lifetime=60, not (60,)"),
    ],
    ids=["misspelt", "unknown", "ill-typed", "contradictory", "positional"],
)
def test_wrong_option_is_shown_in_one_line_at_the_marked_test(run: Run, arguments: str, message: str) -> None:
    result = run(
        f"""
        import pytest

        @pytest.mark.sc_auth({arguments})
        def test_it(sc_auth_token): pass

        def test_other(sc_auth_token): pass
        """
    )

    result.assert_outcomes(errors=1, passed=1)
    shown = result.stdout.str().partition("ERROR at setup of test_it")[2].splitlines()
    assert shown[1] == message
    assert "short test summary info" in shown[2]


@pytest.mark.parametrize("name", OPTION_NAMES)
def test_marker_takes_every_option(run: Run, name: str) -> None:
    _, value = SETTINGS[name]

    result = run(
        f"""
        import pytest

        @pytest.mark.sc_auth({name}={value!r})
        def test_it(sc_auth_server): assert sc_auth_server.options.{name} == {value!r}
        """,
        ini(),
        "--strict-markers",
    )

    result.assert_outcomes(passed=1)


# The port


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.fixture
def port() -> int:
    """A port that is free with the next one, and below those that systems give to whoever asks for any."""
    offset = os.getpid() % 1000 * 10
    return next(port for port in range(20000 + offset, 30000, 2) if is_free(port) and is_free(port + 1))


PORT_TEST = """
    import os

    def test_it(sc_auth_server):
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        assert sc_auth_server.issuer.split("/")[2] == f"127.0.0.1:{%d + worker}"
"""


@pytest.mark.parametrize(
    ("setting", "arguments"),
    [("sc_auth_port = {}", []), ("", ["--sc-auth-port={}"]), ("sc_auth_port = 1", ["--sc-auth-port={}"])],
    ids=["setting", "option", "option-over-setting"],
)
def test_first_listener_has_the_fixed_port(
    pytester: pytest.Pytester, port: int, setting: str, arguments: list[str]
) -> None:
    pytester.makeini("[pytest]\n" + setting.format(port))
    pytester.makepyfile(PORT_TEST % port)

    result = pytester.runpytest("-W", "error", *(argument.format(port) for argument in arguments))

    result.assert_outcomes(passed=1)


def test_workers_add_their_number_to_the_port(pytester: pytest.Pytester, port: int) -> None:
    pytester.makepyfile(test_one=PORT_TEST % port, test_two=PORT_TEST % port)

    result = pytester.runpytest_subprocess("-n", "2", "--dist", "each", "-W", "error", f"--sc-auth-port={port}")

    result.assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("text", "worker", "expected"),
    [
        ("", None, 0),
        ("0", "gw3", 0),
        ("8400", None, 8400),
        ("8400", "gw0", 8400),
        ("8400", "gw3", 8403),
        ("8400", "remote", 8400),
    ],
)
def test_port_of_a_worker(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, text: str, worker: str | None, expected: int
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    config = pytester.parseconfig(f"--sc-auth-port={text}")
    if worker is not None:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)

    assert fixed_port(config) == expected


@pytest.mark.parametrize("text", ["http", "-1", "65536", "8400.5", "²"])
def test_port_that_is_none_ends_the_run_at_once(run: Run, text: str) -> None:
    result = run(ONE_TEST, ini(f"sc_auth_port = {text}"))

    assert result.ret is pytest.ExitCode.USAGE_ERROR
    assert result.errlines[0] == (
        f"ERROR: sc_auth_port={text!r} cannot be used: it takes a whole number from 0 to 65535"
    )


def test_busy_port_is_one_sentence_at_the_test(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # of the run that this test is in
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        result = run(ONE_TEST, ini(f"sc_auth_port = {port}"))

    result.assert_outcomes(errors=1)
    shown = result.stdout.str().partition("ERROR at setup of test_it")[2].splitlines()
    assert shown[1].startswith(f"port {port} of 127.0.0.1 cannot be opened (")
    assert shown[1].endswith("); end the program that uses it, or take port 0 for a free one")
    assert "short test summary info" in shown[2]


def test_url_and_client_are_the_same_in_every_session(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    result = run(
        f"""
        def test_it(sc_auth_server_factory):
            c = sc_auth_server_factory.make(path="/idp", client_id="my-app", client_secret="s").credentials_of()
            assert (c.token_url, c.client_id) == ("http://127.0.0.1:{port}/idp/v1/token", "my-app")
        """,
        ini(f"sc_auth_port = {port}"),
    )

    result.assert_outcomes(passed=1)


def test_worker_beyond_the_last_port_is_told_so_at_its_tests(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw7")

    result = run("def test_with(sc_auth_server): pass\ndef test_without(): pass", ini("sc_auth_port = 65530"))

    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_with*", "*65537*"])
