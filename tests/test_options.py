"""The options: their defaults, what each takes and keeps, and what a wrong one is told."""

import dataclasses
from collections import OrderedDict
from typing import Any

import pytest

from fake_server import AuthorizationServer, OptionError, Options
from fake_server.options import nearest

DEFAULTS: dict[str, Any] = {
    "dialect": "okta",
    "scopes": ("ingr.api",),
    "default_scopes": (),
    "audience": "8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915",
    "token_lifetime": 3600,
    "client_auth": ("client_secret_basic", "client_secret_post"),
    "basic_decoding": "either",
    "journal_size": 10_000,
}

A_WHOLE_NUMBER = "a whole number from 1 to 999999999"
WORDS = "words, in a sequence or in one text parted by blanks"
METHODS = "some of client_secret_basic, client_secret_post"

ACCEPTED = [
    ("dialect", "okta", "okta"),
    ("scopes", ("a", "b"), ("a", "b")),
    ("scopes", ["a", "b"], ("a", "b")),
    ("scopes", "a", ("a",)),
    ("scopes", "  a   b\tc\n", ("a", "b", "c")),
    ("scopes", "a,b, c", ("a", "b", "c")),
    ("scopes", ["api://x/.default", "a,b", "!#[]~"], ("api://x/.default", "a,b", "!#[]~")),
    ("audience", "https://api.test/ü", "https://api.test/ü"),
    ("token_lifetime", 1, 1),
    ("token_lifetime", 999_999_999, 999_999_999),
    ("client_auth", "client_secret_post", ("client_secret_post",)),
    ("client_auth", ["client_secret_basic"], ("client_secret_basic",)),
    ("basic_decoding", "form", "form"),
    ("basic_decoding", "raw", "raw"),
    ("journal_size", 1, 1),
]

REFUSED: list[Any] = [
    pytest.param("dialect", "Okta", "one of okta", id="dialect-case"),
    pytest.param("dialect", None, "one of okta", id="dialect-none"),
    pytest.param("dialect", ["okta"], "one of okta", id="dialect-list"),
    pytest.param("scopes", 1, WORDS, id="scopes-number"),
    pytest.param("scopes", None, WORDS, id="scopes-none"),
    pytest.param("scopes", [1], WORDS, id="scopes-of-numbers"),
    pytest.param("scopes", b"ab", WORDS, id="scopes-bytes"),
    pytest.param("scopes", ["a", ""], WORDS, id="scopes-an-empty-one"),
    pytest.param("scopes", ["a", " "], WORDS, id="scopes-a-blank-one"),
    pytest.param("scopes", ["a b"], WORDS, id="scopes-one-of-two-words"),
    pytest.param("scopes", ["a\n"], WORDS, id="scopes-line-feed"),
    pytest.param("scopes", ['a"b'], WORDS, id="scopes-quotation-mark"),
    pytest.param("scopes", "a\\b", WORDS, id="scopes-backslash"),
    pytest.param("scopes", "ä", WORDS, id="scopes-not-ascii"),
    pytest.param("default_scopes", 1, WORDS, id="default-scopes-number"),
    pytest.param("audience", "", "a text that is not empty", id="audience-empty"),
    pytest.param("audience", 7, "a text that is not empty", id="audience-number"),
    pytest.param("audience", "a\nb", "a text that is not empty", id="audience-of-two-lines"),
    pytest.param("token_lifetime", 0, A_WHOLE_NUMBER, id="lifetime-zero"),
    pytest.param("token_lifetime", -1, A_WHOLE_NUMBER, id="lifetime-negative"),
    pytest.param("token_lifetime", 1_000_000_000, A_WHOLE_NUMBER, id="lifetime-too-long"),
    pytest.param("token_lifetime", 60.0, A_WHOLE_NUMBER, id="lifetime-float"),
    pytest.param("token_lifetime", True, A_WHOLE_NUMBER, id="lifetime-bool"),
    pytest.param("token_lifetime", "60", A_WHOLE_NUMBER, id="lifetime-text"),
    pytest.param("token_lifetime", None, A_WHOLE_NUMBER, id="lifetime-none"),
    pytest.param("client_auth", (), METHODS, id="no-client-auth"),
    pytest.param("client_auth", "", METHODS, id="client-auth-empty"),
    pytest.param("client_auth", "private_key_jwt", METHODS, id="client-auth-unknown"),
    pytest.param("client_auth", ("client_secret_basic", "none"), METHODS, id="client-auth-one-unknown"),
    pytest.param("client_auth", 1, METHODS, id="client-auth-number"),
    pytest.param("basic_decoding", "both", "one of either, form, raw", id="decoding"),
    pytest.param("basic_decoding", True, "one of either, form, raw", id="decoding-bool"),
    pytest.param("journal_size", 0, A_WHOLE_NUMBER, id="journal-size-zero"),
]


def test_defaults_are_those_of_the_documentation() -> None:
    assert dataclasses.asdict(Options()) == DEFAULTS


def test_names_are_the_fields() -> None:
    assert Options.names() == tuple(DEFAULTS)


def test_every_option_is_described_in_the_docstring() -> None:
    assert [name for name in Options.names() if f"- `{name}`:" not in str(Options.__doc__)] == []


@pytest.mark.parametrize(("name", "value", "kept"), ACCEPTED)
def test_option_keeps_what_it_takes(name: str, value: Any, kept: Any) -> None:
    options = Options(**{name: value})

    assert getattr(options, name) == kept
    assert Options.read(name, value) == kept
    assert Options.from_mapping({name: value}) == options


def test_default_scopes_are_some_of_the_scopes() -> None:
    options = Options(scopes="a b c", default_scopes="c a")  # type: ignore[arg-type]

    assert options.default_scopes == ("c", "a")


@pytest.mark.parametrize(("name", "value", "expects"), REFUSED)
def test_value_that_an_option_does_not_take_is_an_error_that_says_what_it_takes(
    name: str, value: Any, expects: str
) -> None:
    with pytest.raises(OptionError) as raised:
        Options(**{name: value})

    assert str(raised.value) == f"{name}={value!r} cannot be used: it takes {expects}"


@pytest.mark.parametrize(("name", "value", "expects"), REFUSED)
def test_reading_one_option_is_as_strict(name: str, value: Any, expects: str) -> None:
    with pytest.raises(OptionError) as raised:
        Options.read(name, value)

    assert str(raised.value) == f"{name}={value!r} cannot be used: it takes {expects}"


@pytest.mark.parametrize("scopes", [(), [], "", " , "], ids=repr)
def test_no_scopes_are_an_error(scopes: Any) -> None:
    with pytest.raises(OptionError) as raised:
        Options(scopes=scopes)

    assert str(raised.value) == "scopes is empty; the API demands the first of them, so name one"


def test_default_scope_that_is_no_scope_is_an_error() -> None:
    with pytest.raises(OptionError) as raised:
        Options(scopes=("a", "b"), default_scopes=("d", "a", "c"))

    assert str(raised.value) == "default_scopes has ['c', 'd'], which scopes ('a', 'b') has not"


def test_option_error_is_a_value_error() -> None:
    assert issubclass(OptionError, ValueError)


def test_options_cannot_be_changed() -> None:
    options = Options()

    with pytest.raises(dataclasses.FrozenInstanceError):
        options.token_lifetime = 5  # type: ignore[misc]


def test_options_are_equal_and_hashable_by_what_they_keep() -> None:
    one, other = Options(scopes="a b"), Options(scopes=["a", "b"])  # type: ignore[arg-type]

    assert one == other
    assert hash(one) == hash(other)
    assert one != Options()


def test_options_are_keyword_arguments() -> None:
    with pytest.raises(TypeError, match="positional"):
        Options("okta")  # type: ignore[call-arg]


def test_server_has_the_options_it_was_given() -> None:
    options = Options(token_lifetime=60)

    assert AuthorizationServer(options).options is options
    assert AuthorizationServer().options == Options()


# By name


def test_mapping_without_entries_gives_the_defaults() -> None:
    assert Options.from_mapping({}) == Options()


def test_mapping_of_any_kind_is_read() -> None:
    values = OrderedDict(token_lifetime=60, scopes=["a"])

    assert Options.from_mapping(values) == Options(token_lifetime=60, scopes=("a",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("token_lifetme", "token_lifetme is not an option of sc_auth; did you mean token_lifetime?"),
        ("scope", "scope is not an option of sc_auth; did you mean scopes?"),
        ("Dialect", "Dialect is not an option of sc_auth; did you mean dialect?"),
        (
            "x",
            "x is not an option of sc_auth; there are audience, basic_decoding, client_auth, default_scopes, dialect, "
            "journal_size, scopes, token_lifetime",
        ),
    ],
    ids=["letter", "singular", "case", "nothing-near"],
)
def test_misspelt_option_is_an_error_that_names_the_nearest(name: str, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        Options.from_mapping({"token_lifetime": 60, name: 1})

    assert str(raised.value) == message


def test_wrong_value_in_a_mapping_is_an_error() -> None:
    with pytest.raises(OptionError, match="^token_lifetime='60' cannot be used"):
        Options.from_mapping({"token_lifetime": "60"})


@pytest.mark.parametrize(
    ("name", "known", "question"),
    [
        ("tokens", ["token", "tags"], "did you mean token?"),
        ("zzz", ["token", "tags"], "there are tags, token"),
        ("", ["token"], "there are token"),
    ],
    ids=["near", "far", "empty"],
)
def test_nearest_names_one_or_all(name: str, known: list[str], question: str) -> None:
    assert nearest(name, known) == question


# From text


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("dialect", "okta", "okta"),
        ("scopes", "a, b\nc", ("a", "b", "c")),
        ("default_scopes", "", ()),
        ("audience", "api", "api"),
        ("token_lifetime", "60", 60),
        ("token_lifetime", " 60 ", 60),
        ("client_auth", "client_secret_post", ("client_secret_post",)),
        ("basic_decoding", "raw", "raw"),
        ("journal_size", "5", 5),
    ],
)
def test_text_is_read_as_the_option_needs_it(name: str, text: str, value: Any) -> None:
    assert Options.read_text(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "expects"),
    [
        ("token_lifetime", "an hour", A_WHOLE_NUMBER),
        ("token_lifetime", "60.0", A_WHOLE_NUMBER),
        ("token_lifetime", "", A_WHOLE_NUMBER),
        ("journal_size", "many", A_WHOLE_NUMBER),
        ("dialect", "", "one of okta"),
        ("audience", "", "a text that is not empty"),
        ("client_auth", "none", METHODS),
    ],
)
def test_text_that_is_no_value_is_an_error_that_shows_it(name: str, text: str, expects: str) -> None:
    with pytest.raises(OptionError) as raised:
        Options.read_text(name, text)

    assert str(raised.value) == f"{name}={text!r} cannot be used: it takes {expects}"


@pytest.mark.parametrize("text", ["0", "-5"])
def test_text_of_a_number_out_of_range_is_an_error(text: str) -> None:
    with pytest.raises(OptionError, match=f"^token_lifetime={text} cannot be used"):
        Options.read_text("token_lifetime", text)
