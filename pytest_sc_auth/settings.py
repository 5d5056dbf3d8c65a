"""Where a test's options come from: the marker, and before it the suite's config file."""

import importlib.util
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import pytest

__all__ = [
    "FAILURES_MARKER",
    "MARKER",
    "add_settings",
    "check_settings",
    "clock_engine",
    "environment_settings",
    "fixed_port",
    "marked_options",
    "production_urls",
    "selected_failures",
    "suite_settings",
]

MARKER = "sc_auth"
FAILURES_MARKER = "sc_auth_failures"
_PREFIX = "sc_auth_"
# The fields of fake_server.Options. They stand here again because pytest wants to know its settings
# when it starts, and importing Options then would cost every run of every suite; a test holds the two alike.
OPTION_NAMES = (
    "audience",
    "basic_decoding",
    "claims",
    "client_auth",
    "default_scopes",
    "dialect",
    "journal_size",
    "scopes",
    "signing_alg",
    "sticky_tokens",
    "strict",
    "tls",
    "token_format",
    "token_lifetime",
)


CLOCK_ENGINES = ("freezegun", "time-machine")
REPORTS = ("failed", "always", "never")
_CLOCK_ENGINE = "clock_engine"
# Settings that are no options of a server, with the type and the help that pytest shows.
_OWN: tuple[tuple[str, Literal["string", "linelist", "bool"], Any, str], ...] = (
    (_CLOCK_ENGINE, "string", None, f"what sc_auth_clock holds the time with: {' or '.join(CLOCK_ENGINES)}"),
    ("token_url", "string", None, "the production token URL, which every server answers by interception"),
    ("api_url", "string", None, "the production API URL, which every server answers by interception"),
    ("env", "linelist", [], "what sc_auth_env sets, in lines such as API_TOKEN_URL = {token_url}"),
    ("forbid_real_credentials", "bool", False, "let sc_auth_env fail where a variable holds another value"),
    ("port", "string", "0", "the port that sc_auth_server listens on; a worker of xdist adds its number"),
)
_NAMES = (*OPTION_NAMES, *(name for name, _, _, _ in _OWN))


def add_settings(parser: pytest.Parser) -> None:
    """Make the `sc_auth_` settings and the `--sc-auth-` options known to pytest."""
    for name in OPTION_NAMES:
        parser.addini(_PREFIX + name, f"the option {name} of every sc_auth_server of the suite", default=None)
    for name, kind, default, text in _OWN:
        parser.addini(_PREFIX + name, text, type=kind, default=default)
    group = parser.getgroup("sc_auth", "pytest-sc-auth")
    group.addoption("--sc-auth-port", metavar="N", help="the port that sc_auth_server listens on (default: a free one)")
    group.addoption(
        "--sc-auth-report",
        choices=REPORTS,
        default=REPORTS[0],
        help="show the requests that a test's servers got: of failed tests (default), always, or never",
    )


def fixed_port(config: pytest.Config) -> int:
    """Return the port of the session's first listener, 0 for a free one. Raises UsageError for no port."""
    text = config.getoption("--sc-auth-port") or _text(config, "port") or "0"
    port = int(text) if re.fullmatch("[0-9]{1,5}", text) else -1
    if not 0 <= port <= 65535:
        raise pytest.UsageError(f"{_PREFIX}port={text!r} cannot be used: it takes a whole number from 0 to 65535")
    worker = re.search("[0-9]+$", os.environ.get("PYTEST_XDIST_WORKER", ""))
    # Where a worker's would be none, the listener says so at the test that needs it.
    return port + int(worker[0]) if port and worker else port


def production_urls(config: pytest.Config) -> dict[str, str | None]:
    """Return the URLs that every server is to answer by interception, or nothing. Raises UsageError for no URL."""
    urls = {name: _text(config, name) or None for name in ("token_url", "api_url")}
    for name, url in urls.items():
        if url is not None and not re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", url):
            raise pytest.UsageError(f"{_PREFIX}{name}={url!r} cannot be used: it takes an http or https URL")
    return urls if any(urls.values()) else {}


def environment_settings(config: pytest.Config) -> tuple[dict[str, str], bool]:
    """Return the mapping of `sc_auth_env`, and whether real credentials are forbidden.

    Raises UsageError for what is no mapping and no truth value.
    """
    try:
        lines, forbids_real = config.getini(_PREFIX + "env"), config.getini(_PREFIX + "forbid_real_credentials")
        if not lines:
            return {}, forbids_real
        from pytest_sc_auth.environment import read_mapping  # late: most suites have no such mapping

        return read_mapping(lines), forbids_real
    except (ValueError, pytest.UsageError) as error:  # of a truth value pytest does not say whose it is
        named = "" if _PREFIX in str(error) else f"{_PREFIX}forbid_real_credentials: "
        raise pytest.UsageError(f"{named}{error}") from error


def clock_engine(config: pytest.Config) -> str:
    """Return the name of the library that holds the process's time.

    Raises UsageError for an unknown one, and for time-machine, which is an extra, where it is not installed.
    """
    engine = _text(config, _CLOCK_ENGINE) or CLOCK_ENGINES[0]
    if engine not in CLOCK_ENGINES:
        raise pytest.UsageError(
            f"{_PREFIX}{_CLOCK_ENGINE}={engine!r} cannot be used: it takes {' or '.join(CLOCK_ENGINES)}"
        )
    if engine != CLOCK_ENGINES[0] and importlib.util.find_spec(engine.replace("-", "_")) is None:
        raise pytest.UsageError(
            f"{_PREFIX}{_CLOCK_ENGINE}={engine!r} cannot be used: it is not installed; "
            f"pip install 'pytest-sc-auth[{engine}]'"
        )
    return engine


def check_settings(config: pytest.Config) -> None:
    """Raise UsageError for a setting of ours that is misspelt or no text.

    pytest's own warning would not name the right one, and in a fixture an error would fail every test.
    """
    with warnings.catch_warnings():
        # pytest 9 deprecates inicfg and has nothing else that tells which settings there are.
        warnings.simplefilter("ignore")
        present = getattr(config, "inicfg", {})
    known = [_PREFIX + name for name in _NAMES]
    for name in present:
        if name.startswith(_PREFIX) and name not in known:
            import difflib  # late: pytest itself does without

            # The prefix, which all share, would make any name look like any other.
            matches = difflib.get_close_matches(name.removeprefix(_PREFIX), _NAMES, n=1)
            hint = f"did you mean {_PREFIX}{matches[0]}?" if matches else f"there are {', '.join(known)}"
            raise pytest.UsageError(f"{name} is not a setting of pytest-sc-auth; {hint}")
    suite_settings(config)
    clock_engine(config)
    fixed_port(config)
    production_urls(config)
    environment_settings(config)


def suite_settings(config: pytest.Config) -> dict[str, str]:
    """Return the options that the config file sets, as text. Raises UsageError for what is not text."""
    settings = {name: _text(config, name) for name in OPTION_NAMES}
    return {name: text for name, text in settings.items() if text is not None}


def _text(config: pytest.Config, name: str) -> str | None:
    """Return a setting, or None where the config file has it not. Raises UsageError for what is not text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pytest 9 deprecates the TOML lists that are refused here
            text = config.getini(_PREFIX + name)
    except (TypeError, pytest.UsageError) as error:  # pytest 9 reads native TOML
        raise pytest.UsageError(f"{error}; write it in quotes") from error
    if text is not None and not isinstance(text, str):
        raise pytest.UsageError(f"{_PREFIX}{name} is {text!r}, which is no text; write it in quotes")
    return text


def marked_options(node: pytest.Item) -> Mapping[str, Any]:
    """Return the arguments of a test's markers; those nearest to the test win.

    Raises ValueError for positional ones.
    """
    options: dict[str, Any] = {}
    for marker in node.iter_markers(MARKER):
        if marker.args:
            raise ValueError(
                f"@pytest.mark.{MARKER} takes options by name, such as token_lifetime=60, not {marker.args!r}"
            )
        options = {**marker.kwargs, **options}
    return options


def selected_failures(node: pytest.Function) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the kinds and names that the nearest `sc_auth_failures` marker wants, and those it excludes.

    Raises ValueError for arguments that it does not take.
    """
    marker = node.get_closest_marker(FAILURES_MARKER)
    if marker is None:
        return (), ()
    if unknown := set(marker.kwargs) - {"exclude"}:
        raise ValueError(f"@pytest.mark.{FAILURES_MARKER} takes kinds, names and exclude=[...], not {sorted(unknown)}")
    exclude = marker.kwargs.get("exclude", ())
    return marker.args, (exclude,) if isinstance(exclude, str) else tuple(exclude)
