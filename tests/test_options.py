"""The options: their defaults, what each takes and keeps, and what a wrong one is told."""

import dataclasses
from collections import OrderedDict
from typing import Any

import pytest

from fake_server import AuthorizationServer, Dialect, Grant, OptionError, Options
from fake_server.dialects import DIALECTS
from fake_server.options import nearest

DEFAULTS: dict[str, Any] = {
    "dialect": "okta",
    "scopes": ("ingr.api",),
    "default_scopes": (),
    "audience": "8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915",
    "token_lifetime": 3600,
    "token_format": "jwt",
    "signing_alg": "RS256",
    "claims": {},
    "client_auth": ("client_secret_basic", "client_secret_post"),
    "basic_decoding": "either",
    "sticky_tokens": None,
    "strict": False,
    "tls": False,
    "journal_size": 10_000,
}

A_WHOLE_NUMBER = "a whole number from 1 to 999999999"
WORDS = "words, in a sequence or in one text parted by blanks"
METHODS = "some of client_secret_basic, client_secret_post"
DIALECT = "a Dialect, or one of okta, hexagon, rfc6749, sam, duende, entra"
CLAIMS = "a mapping of names to JSON values, or a callable that gets the Grant"
SECONDS = "a whole number of seconds from 0, or None"
OWN_DIALECT = Dialect(name="own")


def no_claims(grant: Grant) -> dict[str, Any]:
    return {}


ACCEPTED = [
    ("dialect", "okta", "okta"),
    ("dialect", OWN_DIALECT, OWN_DIALECT),
    ("scopes", ("a", "b"), ("a", "b")),
    ("scopes", ["a", "b"], ("a", "b")),
    ("scopes", "a", ("a",)),
    ("scopes", "  a   b\tc\n", ("a", "b", "c")),
    ("scopes", "a,b, c", ("a", "b", "c")),
    ("scopes", ["api://x/.default", "a,b", "!#[]~"], ("api://x/.default", "a,b", "!#[]~")),
    ("audience", "https://api.test/ü", "https://api.test/ü"),
    ("token_lifetime", 1, 1),
    ("token_lifetime", 999_999_999, 999_999_999),
    ("token_format", "opaque", "opaque"),
    ("claims", {"tenant": [1, None]}, {"tenant": [1, None]}),
    ("claims", no_claims, no_claims),
    ("client_auth", "client_secret_post", ("client_secret_post",)),
    ("client_auth", ["client_secret_basic"], ("client_secret_basic",)),
    ("basic_decoding", "form", "form"),
    ("basic_decoding", "raw", "raw"),
    ("sticky_tokens", 0, 0),
    ("sticky_tokens", None, None),
    ("strict", True, True),
    ("tls", True, True),
    ("journal_size", 1, 1),
]

REFUSED: list[Any] = [
    pytest.param("dialect", "Okta", DIALECT, id="dialect-case"),
    pytest.param("dialect", None, DIALECT, id="dialect-none"),
    pytest.param("dialect", ["okta"], DIALECT, id="dialect-list"),
    pytest.param("dialect", Dialect, DIALECT, id="dialect-the-class"),
    pytest.param("scopes", 1, WORDS, id="scopes-number"),
    pytest.param("scopes", None, WORDS, id="scopes-none"),
    pytest.param("scopes", [1], WORDS, id="scopes-of-numbers"),
    pytest.param("scopes", b"ab", WORDS, id="scopes-bytes"),
    pytest.param("scopes", {"a"}, WORDS, id="scopes-set"),
    pytest.param("scopes", {"a": 1}, WORDS, id="scopes-mapping"),
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
    pytest.param("token_format", "JWT", "one of jwt, opaque", id="token-format"),
    pytest.param("signing_alg", "rs256", "one of RS256, ES256, EdDSA, HS256", id="alg-in-lower-case"),
    pytest.param("signing_alg", "none", "one of RS256, ES256, EdDSA, HS256", id="alg-none"),
    pytest.param("claims", None, CLAIMS, id="claims-none"),
    pytest.param("claims", [("a", 1)], CLAIMS, id="claims-pairs"),
    pytest.param("claims", {1: "a"}, CLAIMS, id="claims-name-a-number"),
    pytest.param("claims", {"a": {1, 2}}, CLAIMS, id="claims-no-json"),
    pytest.param("client_auth", (), METHODS, id="no-client-auth"),
    pytest.param("client_auth", "", METHODS, id="client-auth-empty"),
    pytest.param("client_auth", "private_key_jwt", METHODS, id="client-auth-unknown"),
    pytest.param("client_auth", ("client_secret_basic", "none"), METHODS, id="client-auth-one-unknown"),
    pytest.param("client_auth", 1, METHODS, id="client-auth-number"),
    pytest.param("basic_decoding", "both", "one of either, form, raw", id="decoding"),
    pytest.param("basic_decoding", True, "one of either, form, raw", id="decoding-bool"),
    pytest.param("sticky_tokens", -1, SECONDS, id="sticky-negative"),
    pytest.param("sticky_tokens", True, SECONDS, id="sticky-bool"),
    pytest.param("strict", "true", "True or False", id="strict-text"),
    pytest.param("tls", 1, "True or False", id="tls-number"),
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


# Of every type that TOML, JSON and a slip of the hand give
ODD = [None, True, 3, -1, 1.5, float("nan"), "x", b"x", [], (), [[]], {"x": 1j}, {"x"}, object(), Options]
TAKEN: dict[str, list[Any]] = {
    "scopes": ["x"],
    "default_scopes": [[], ()],
    "audience": ["x"],
    "token_lifetime": [3],
    "claims": [Options],
    "sticky_tokens": [None, 3],
    "strict": [True],
    "tls": [True],
    "journal_size": [3],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{number}")
        for name in DEFAULTS
        for number, value in enumerate(ODD)
        if repr(value) not in map(repr, TAKEN.get(name, []))
    ],
)
def test_value_of_another_type_is_an_option_error_whatever_the_option(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{name}(=| has| is)"):
        Options(**{name: value})


@pytest.mark.parametrize("scopes", [(), [], "", " , "], ids=repr)
def test_no_scopes_are_an_error(scopes: Any) -> None:
    with pytest.raises(OptionError) as raised:
        Options(scopes=scopes)

    assert str(raised.value) == "scopes is empty; the API demands the first of them, so name one"


def test_default_scope_that_is_no_scope_is_an_error() -> None:
    with pytest.raises(OptionError) as raised:
        Options(scopes=("a", "b"), default_scopes=("d", "a", "c"))

    assert str(raised.value) == "default_scopes has ['c', 'd'], which scopes ('a', 'b') has not"


RS256_ONLY = ["okta", "hexagon", "sam", "entra"]


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "HS256"])
@pytest.mark.parametrize("dialect", RS256_ONLY)
def test_alg_that_the_dialect_does_not_sign_with_is_an_error(dialect: str, alg: str) -> None:
    with pytest.raises(OptionError) as raised:
        Options(dialect=dialect, signing_alg=alg)

    assert str(raised.value) == (
        f"signing_alg={alg!r} cannot be used: the dialect {dialect} signs with RS256 only; "
        "take another dialect, such as rfc6749"
    )


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA", "HS256"])
@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name not in RS256_ONLY])
def test_other_dialects_sign_with_every_alg(dialect: str, alg: str) -> None:
    assert Options(dialect=dialect, signing_alg=alg).signing_alg == alg


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
    assert hash(Options(dialect=OWN_DIALECT, claims={"a": 1})) == hash(Options())


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
            "x is not an option of sc_auth; there are audience, basic_decoding, claims, client_auth, default_scopes, "
            "dialect, journal_size, scopes, signing_alg, sticky_tokens, strict, tls, token_format, token_lifetime",
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
        ("token_format", "opaque", "opaque"),
        ("signing_alg", "EdDSA", "EdDSA"),
        ("claims", '{"tenant": 7, "sub": null}', {"tenant": 7, "sub": None}),
        ("sticky_tokens", "300", 300),
        ("strict", "true", True),
        ("strict", " False ", False),
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
        ("dialect", "", DIALECT),
        ("signing_alg", "none", "one of RS256, ES256, EdDSA, HS256"),
        ("claims", "tenant=7", CLAIMS),
        ("sticky_tokens", "", SECONDS),
        ("strict", "yes", "True or False"),
        ("audience", "", "a text that is not empty"),
        ("client_auth", "none", METHODS),
    ],
)
def test_text_that_is_no_value_is_an_error_that_shows_it(name: str, text: str, expects: str) -> None:
    with pytest.raises(OptionError) as raised:
        Options.read_text(name, text)

    assert str(raised.value) == f"{name}={text!r} cannot be used: it takes {expects}"


@pytest.mark.parametrize("text", ["[1]", "7", "null"])
def test_claims_that_are_json_and_no_object_are_an_error(text: str) -> None:
    with pytest.raises(OptionError, match=f"cannot be used: it takes {CLAIMS}$"):
        Options.read_text("claims", text)


@pytest.mark.parametrize("text", ["0", "-5"])
def test_text_of_a_number_out_of_range_is_an_error(text: str) -> None:
    with pytest.raises(OptionError, match=f"^token_lifetime={text} cannot be used"):
        Options.read_text("token_lifetime", text)
