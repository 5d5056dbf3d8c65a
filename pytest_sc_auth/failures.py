"""The failure matrix: a test that asks for `sc_auth_failure` runs once for each failure in the catalogue."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["FAILURES", "Failure", "select_failures"]


@dataclass(frozen=True)
class Failure:
    """Be one failure of the token endpoint, which is armed while the test runs.

    - `kind`: `rejected` (the server says no), `transient` (later it may work) or `malformed` (the answer is not
      what it should be).
    - `is_legal`: the answer is a right one all the same, and the code under test must live with it.
    """

    name: str
    kind: str
    is_legal: bool

    def __str__(self) -> str:
        return self.name


# The token endpoint's part of fake_server.FAULTS. It stands here again because pytest wants the parameters
# when it collects, and importing fake_server then would cost every run; a test holds the two alike.
_REJECTED = "invalid_request invalid_client unauthorized_client unsupported_grant_type invalid_scope access_denied"
_TRANSIENT = "server_error temporarily_unavailable rate_limited slow hang connection_reset no_response cut_off dripping"
_MALFORMED = (
    "empty_body html_body truncated_json json_array wrong_content_type byte_order_mark no_access_token "
    "empty_access_token numeric_access_token no_token_type foreign_token_type lowercase_token_type no_expires_in "
    "zero_expires_in negative_expires_in text_expires_in fractional_expires_in endless_expires_in narrower_scope "
    "extra_members expired_token refused_token redirect"
)
_LEGAL = frozenset(
    "slow dripping lowercase_token_type no_expires_in narrower_scope extra_members expired_token refused_token".split()
)
FAILURES: Mapping[str, Failure] = {
    name: Failure(name, kind, name in _LEGAL)
    for kind, names in (("rejected", _REJECTED), ("transient", _TRANSIENT), ("malformed", _MALFORMED))
    for name in names.split()
}
_KINDS = ("rejected", "transient", "malformed")


def select_failures(wanted: Iterable[str], exclude: Iterable[str]) -> list[Failure]:
    """Return the failures of these kinds and names, all where none is given, less those that are excluded.

    Raises ValueError, which names the nearest one, for what is neither kind nor name, and where none is left.
    """
    left = (_names(wanted) or set(FAILURES)) - _names(exclude)
    if not left:
        raise ValueError("exclude leaves no failure to run the test with; exclude fewer")
    return [failure for name, failure in FAILURES.items() if name in left]


def _names(words: Iterable[str]) -> set[str]:
    names: set[str] = set()
    for word in (words,) if isinstance(words, str) else words:
        found = {name for name, failure in FAILURES.items() if word in (name, failure.kind)}
        if not found:
            matches = difflib.get_close_matches(str(word), [*_KINDS, *FAILURES], n=1)
            hint = f"did you mean {matches[0]}?" if matches else f"there are the kinds {', '.join(_KINDS)}"
            raise ValueError(f"{word!r} is no failure and no kind of them; {hint}")
        names |= found
    return names
