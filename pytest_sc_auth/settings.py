"""Where a test's options come from: the marker, and before it the suite's config file."""

import difflib
import warnings
from collections.abc import Mapping
from typing import Any

import pytest

__all__ = ["MARKER", "add_settings", "check_settings", "marked_options", "suite_settings"]

MARKER = "sc_auth"
_PREFIX = "sc_auth_"
# The fields of fake_server.Options. They stand here again because pytest wants to know its settings
# when it starts, and importing Options then would cost every run of every suite; a test holds the two alike.
OPTION_NAMES = (
    "audience",
    "basic_decoding",
    "client_auth",
    "default_scopes",
    "dialect",
    "journal_size",
    "scopes",
    "token_lifetime",
)


def add_settings(parser: pytest.Parser) -> None:
    """Make `sc_auth_<option>` known to pytest."""
    for name in OPTION_NAMES:
        parser.addini(_PREFIX + name, f"the option {name} of every sc_auth_server of the suite", default=None)


def check_settings(config: pytest.Config) -> None:
    """Raise UsageError for a setting of ours that is misspelt or no text.

    pytest's own warning would not name the right one, and in a fixture an error would fail every test.
    """
    with warnings.catch_warnings():
        # pytest 9 deprecates inicfg and has nothing else that tells which settings there are.
        warnings.simplefilter("ignore")
        present = getattr(config, "inicfg", {})
    known = [_PREFIX + name for name in OPTION_NAMES]
    for name in present:
        if name.startswith(_PREFIX) and name not in known:
            # The prefix, which all share, would make any name look like any other.
            matches = difflib.get_close_matches(name.removeprefix(_PREFIX), OPTION_NAMES, n=1)
            hint = f"did you mean {_PREFIX}{matches[0]}?" if matches else f"there are {', '.join(known)}"
            raise pytest.UsageError(f"{name} is not a setting of pytest-sc-auth; {hint}")
    suite_settings(config)


def suite_settings(config: pytest.Config) -> dict[str, str]:
    """Return the options that the config file sets, as text. Raises UsageError for what is not text."""
    settings = {}
    for name in OPTION_NAMES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pytest 9 deprecates the TOML lists that are refused here
                text = config.getini(_PREFIX + name)
        except (TypeError, pytest.UsageError) as error:  # pytest 9 reads native TOML
            raise pytest.UsageError(f"{error}; write it in quotes") from error
        if text is None:
            continue
        if not isinstance(text, str):
            raise pytest.UsageError(f"{_PREFIX}{name} is {text!r}, which is no text; write it in quotes")
        settings[name] = text
    return settings


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
