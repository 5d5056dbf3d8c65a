"""The settings of a server, listed once for the marker, the config files and the command line."""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from fake_server.credentials import BASIC_DECODINGS, CLIENT_AUTH_METHODS
from fake_server.dialects import DIALECTS, SIGNING_ALGS, Dialect, Grant

__all__ = ["TOKEN_FORMATS", "OptionError", "Options", "nearest", "read_claims", "read_grant_types"]

TOKEN_FORMATS = ("jwt", "opaque")
# RFC 6749, sections 1.3 and 6; any other is a URI (section 4.5).
_GRANT_TYPES = ("authorization_code", "client_credentials", "implicit", "password", "refresh_token")


class OptionError(ValueError):
    """Say that an option is misspelt or its value cannot be used."""


@dataclass(frozen=True)
class _Kind:
    """Say what values an option takes: `read` returns the value to keep, or raises ValueError."""

    expects: str
    read: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str


# RFC 6749, appendix A.4: no blank, no quotation mark, no backslash, ASCII.
_WORD = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


def _read_words(value: Any) -> tuple[str, ...]:
    if isinstance(value, (Set, Mapping)):  # has no first one
        raise ValueError
    words = tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(value)
    if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words):
        raise ValueError
    return words


def _read_methods(value: Any) -> tuple[str, ...]:
    methods = _read_words(value)
    if not methods or not set(methods) <= set(CLIENT_AUTH_METHODS):
        raise ValueError
    return methods


def _read_whole_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**9:
        raise ValueError
    return value


def _read_name(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError
    return value


def _read_seconds_or_none(value: Any) -> int | None:
    if value is None or (not isinstance(value, bool) and isinstance(value, int) and 0 <= value < 10**9):
        seconds: int | None = value
        return seconds
    raise ValueError


def _read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _flag_from_text(text: str) -> bool:
    return {"true": True, "false": False}[text.strip().lower()]


def _read_dialect(value: Any) -> str | Dialect:
    if not isinstance(value, Dialect) and value not in DIALECTS:
        raise ValueError
    found: str | Dialect = value
    return found


def read_claims(value: Any) -> Any:
    """Return claims to add to tokens: a mapping that can be JSON, or a callable. Raises ValueError or TypeError."""
    if callable(value):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError
    json.dumps(dict(value))
    return dict(value)


def read_grant_types(value: Any) -> tuple[str, ...]:
    """Return the grant types that a client may use. Raises OptionError, which names the nearest for a misspelt one."""
    try:
        words = _read_words(value)
    except (TypeError, ValueError) as error:
        raise _wrong("grant_types", _WORDS, value) from error
    for word in words:
        if word not in _GRANT_TYPES and ":" not in word:
            raise OptionError(
                f"grant_types has {word!r}, which is neither known nor a URI; {nearest(word, _GRANT_TYPES)}"
            )
    return words


def _one_of(names: Iterable[str]) -> _Kind:
    known = tuple(names)

    def read(value: Any) -> str:
        if value not in known:
            raise ValueError
        return str(value)

    return _Kind(f"one of {', '.join(known)}", read)


_WORDS = _Kind("words, in a sequence or in one text parted by blanks", _read_words)
_SECONDS_OR_NONE = _Kind("a whole number of seconds from 0, or None", _read_seconds_or_none, int)
_FLAG = _Kind("True or False", _read_flag, _flag_from_text)
_DIALECT = _Kind(f"a Dialect, or one of {', '.join(DIALECTS)}", _read_dialect)
_CLAIMS = _Kind("a mapping of names to JSON values, or a callable that gets the Grant", read_claims, json.loads)
_WHOLE_NUMBER = _Kind("a whole number from 1 to 999999999", _read_whole_number, from_text=int)


def _option(kind: _Kind, default: Any) -> Any:
    # What may hold a mapping is compared, and left out of the hash.
    is_hashable = kind not in (_DIALECT, _CLAIMS)
    return dataclasses.field(default_factory=lambda: default, hash=is_hashable, metadata={"kind": kind})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Set up a server. Every field can be given to the marker, as `sc_auth_<field>` in a config file, or in TOML.

    - `dialect`: whose answers the server gives: a name, or a `Dialect` of your own.
    - `scopes`: the scopes there are; the first is the one that the API demands.
    - `default_scopes`: what a request without `scope` is granted; with none it is refused.
    - `audience`: the `aud` of the tokens and of the API.
    - `token_lifetime`: seconds from a token's issue to its expiry.
    - `token_format`: `jwt`, or `opaque` for a random text that only introspection explains.
    - `signing_alg`: what JWTs are signed with; some dialects allow RS256 only.
    - `claims`: claims to add to every token, or to leave out where None: a mapping, or a callable that
      gets the `Grant` and returns one.
    - `client_auth`: how clients with a secret may authenticate (RFC 6749, section 2.3.1).
    - `basic_decoding`: how Basic credentials are read: form-decoded as RFC 6749 says, raw as many
      clients send them, or either.
    - `sticky_tokens`: hand the same token out again, with a shrinking `expires_in`, until so many seconds before its
      end; None for a new one at each request.
    - `strict`: fail a test whose client bends a rule of RFC 6749 or 6750, even where the server lets it pass.
    - `tls`: serve over https, by a certificate of a CA for tests (`AuthorizationServer.ca_file`).
    - `journal_size`: how many requests the journal keeps of all, and of the token endpoint's and the API's.

    Raises OptionError for a value that an option does not take.
    """

    dialect: str | Dialect = _option(_DIALECT, "okta")
    scopes: tuple[str, ...] = _option(_WORDS, ("ingr.api",))
    default_scopes: tuple[str, ...] = _option(_WORDS, ())
    audience: str = _option(_Kind("a text that is not empty", _read_name), "8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915")
    token_lifetime: int = _option(_WHOLE_NUMBER, 3600)
    token_format: str = _option(_one_of(TOKEN_FORMATS), "jwt")
    signing_alg: str = _option(_one_of(SIGNING_ALGS), "RS256")
    claims: Mapping[str, Any] | Callable[[Grant], Mapping[str, Any]] = _option(_CLAIMS, {})
    client_auth: tuple[str, ...] = _option(
        _Kind(f"some of {', '.join(CLIENT_AUTH_METHODS)}", _read_methods), CLIENT_AUTH_METHODS
    )
    basic_decoding: str = _option(_one_of(BASIC_DECODINGS), "either")
    sticky_tokens: int | None = _option(_SECONDS_OR_NONE, None)
    strict: bool = _option(_FLAG, False)
    tls: bool = _option(_FLAG, False)
    journal_size: int = _option(_WHOLE_NUMBER, 10_000)

    def __post_init__(self) -> None:
        for name, kind in _kinds().items():
            object.__setattr__(self, name, _read(name, kind, getattr(self, name)))
        if unknown := set(self.default_scopes) - set(self.scopes):
            raise OptionError(f"default_scopes has {sorted(unknown)}, which scopes {self.scopes!r} has not")
        if not self.scopes:
            raise OptionError("scopes is empty; the API demands the first of them, so name one")
        dialect = self.spoken()
        if self.signing_alg not in dialect.signing_algs:
            raise OptionError(
                f"signing_alg={self.signing_alg!r} cannot be used: the dialect {dialect.name} signs with "
                f"{', '.join(dialect.signing_algs)} only; take another dialect, such as rfc6749"
            )

    def spoken(self) -> Dialect:
        """Return the dialect itself, where it was given by its name, too."""
        return DIALECTS[self.dialect] if isinstance(self.dialect, str) else self.dialect

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Options":
        """Return the options of these names. Raises OptionError, which names the nearest one for a misspelt name."""
        for name in values:
            if name not in _kinds():
                raise OptionError(f"{name} is not an option of sc_auth; {nearest(name, _kinds())}")
        return cls(**values)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the options' names."""
        return tuple(_kinds())

    @classmethod
    def read(cls, name: str, value: Any) -> Any:
        """Return a value as the option of that name keeps it. Raises OptionError."""
        return _read(name, _kinds()[name], value)

    @classmethod
    def read_text(cls, name: str, text: str) -> Any:
        """Return the value of one option from text, as config files give it. Raises OptionError."""
        kind = _kinds()[name]
        try:
            value = kind.from_text(text)
        except (KeyError, ValueError) as error:
            raise _wrong(name, kind, text) from error
        return _read(name, kind, value)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the question that names the likeliest of the known names, or the list of all."""
    import difflib  # late: who writes no name wrong does without

    names = sorted(known)
    matches = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {matches[0]}?" if matches else f"there are {', '.join(names)}"


@functools.cache
def _kinds() -> Mapping[str, _Kind]:
    return {field.name: field.metadata["kind"] for field in dataclasses.fields(Options)}


def _read(name: str, kind: _Kind, value: Any) -> Any:
    try:
        return kind.read(value)
    except (TypeError, ValueError) as error:
        raise _wrong(name, kind, value) from error


def _wrong(name: str, kind: _Kind, value: Any) -> OptionError:
    return OptionError(f"{name}={value!r} cannot be used: it takes {kind.expects}")
