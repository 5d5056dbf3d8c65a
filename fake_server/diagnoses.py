"""What was wrong with a request, as its own words show: for the test's author, never for the wire.

Each function gets what came and what would have been right, and returns a sentence, or None where it sees no
cause. No secret and no token is in any of them.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from urllib.parse import unquote_plus

from fake_server.clients import RegisteredClient

__all__ = [
    "shorten",
    "why_cut_signature",
    "why_malformed_scope",
    "why_missing_parameter",
    "why_no_basic",
    "why_no_colon",
    "why_no_jwt",
    "why_no_scope",
    "why_not_bearer",
    "why_two_tokens",
    "why_unknown_client",
    "why_wrong_scheme",
    "why_wrong_secret",
]

_QUOTES = "\"'"
_TO_BASIC = str.maketrans("-_", "+/")
# Shown whole; another word in their place may be a secret.
_SCHEMES = frozenset({"basic", "bearer", "digest", "dpop", "negotiate", "ntlm", "token"})
# What clients.new_client_id makes.
_MADE_ID = re.compile("0oa[0-9a-f]{17}")
# The base64url characters of each algorithm's signature; RSA's with a key of 2048 bits.
_SIGNATURE_LENGTHS = {"RS256": 342, "ES256": 86, "EdDSA": 86, "HS256": 43}


def shorten(text: str) -> str:
    """Return the beginning of what may be a secret in the wrong place."""
    return repr(text) if len(text) <= 4 else f"{text[:4]!r}… ({_characters(text)})"


def _characters(text: str) -> str:
    return "1 character" if len(text) == 1 else f"{len(text)} characters"


# What a text looks like that only needs to be undone to be the right one.
_DISGUISES: tuple[tuple[Callable[[str], str], str], ...] = (
    (lambda text: text.removesuffix("\n").removesuffix("\r"), "ends in a newline"),
    (str.rstrip, "ends in white space"),
    (str.lstrip, "begins with white space"),
    (str.strip, "has white space around it"),
    (lambda text: text.strip(_QUOTES), "is in quotes"),
    (lambda text: text.removeprefix("\ufeff"), "begins with a byte order mark"),
    (lambda text: text[::2] if set(text[1::2]) == {"\0"} else text, "is in UTF-16, not UTF-8"),
    # A form and, in most settings, Basic undo one encoding before this is asked.
    (unquote_plus, "is percent-encoded once too often"),
    (lambda text: unquote_plus(unquote_plus(text)), "is percent-encoded more than once"),
    (lambda text: _base64_text(text) or text, "is base64-encoded"),
)


def _disguise(came: str, right: str) -> str | None:
    return next((name for undo, name in _DISGUISES if came != right and undo(came) == right), None)


def _base64_text(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def why_wrong_secret(came: str, as_sent: str, client: RegisteredClient, others: Iterable[RegisteredClient]) -> str:
    """Explain a secret that is not the client's; `as_sent` is it before anything was decoded."""
    right, name = client.client_secret, repr(client.client_id)
    counts = f"{_characters(came)} came, {len(right)} are registered"
    if not right:
        return f"{name} has no secret: it was registered with a public_key, and must send a client_assertion"
    if not came:
        return f"the secret of {name} came empty: is the setting that holds it set?"
    if disguise := _disguise(came, right):
        return f"the secret of {name} {disguise}: {counts}"
    if as_sent == right:
        return (
            f"the secret of {name} came raw, and is form-decoded here: send it form-encoded (RFC 6749, section 2.3.1)"
        )
    if came in client.earlier_secrets:
        return f"the secret that came for {name} is an earlier one: it was rotated since"
    if came == client.client_id:
        return f"the client_id {name} came as the secret, too"
    for other in others:
        if came == other.client_secret:
            return f"the secret that came for {name} is that of {other.client_id!r}"
    if came.lower() == right.lower():
        return f"the secret of {name} is right but for upper and lower case"
    if right.startswith(came):
        return f"the secret of {name} is cut short: {counts}"
    if right in came:
        return f"the secret of {name} has something before or after it: {counts}"
    if len(came) != len(right):
        return f"the secret of {name} is wrong: {counts}"
    return f"the secret of {name} is wrong, though its length ({_characters(came)}) is right"


def why_unknown_client(client_id: str, client_secret: str, clients: Mapping[str, RegisteredClient]) -> str:
    """Explain a client_id that is not registered. It is not shown whole, as it may be a secret."""
    if not clients:
        return "no client is registered at all; call register() first"
    registered = f"registered: {', '.join(map(repr, clients))}"
    if not client_id:
        return f"the client_id came empty: is the setting that holds it set? {registered}"
    for known, client in clients.items():
        if client_id == client.client_secret:
            if client_secret == known:
                return f"client_id and client_secret of {known!r} are swapped"
            return f"the secret of {known!r} came as the client_id"
        if disguise := _disguise(client_id, known):
            return f"the client_id {known!r} {disguise}: {_characters(client_id)} came, it has {len(known)}"
        if client_id.lower() == known.lower():
            return f"the client_id {known!r} came in another case"
    stray = "; is it that of another test's server, kept from there?" if _MADE_ID.fullmatch(client_id) else ""
    return f"no client is registered as {shorten(client_id)}; {registered}{stray}"


def why_wrong_scheme(authorization: str) -> str:
    """Explain an Authorization header whose scheme is not Basic."""
    scheme, _, rest = authorization.strip().partition(" ")
    if not scheme:
        return "the Authorization header is empty; send Basic and the base64 of client_id:client_secret"
    if not rest and scheme.lower() not in _SCHEMES:
        return "the Authorization header has no scheme; write Basic and a blank before what is there"
    return f"the Authorization header's scheme is {_scheme(scheme)}; the token endpoint takes Basic"


def _scheme(scheme: str) -> str:
    return scheme if scheme.lower() in _SCHEMES else shorten(scheme)


def why_no_basic(encoded: str) -> str:
    """Explain what follows `Basic` and is not base64."""
    if encoded.lower().startswith("basic "):
        return "the word Basic came twice in the Authorization header"
    if "," in encoded:
        return "the Authorization header came twice, or holds two credentials"
    if ":" in encoded:
        return "what follows Basic is client_id:client_secret itself; encode it in base64"
    if re.search(r"\s", encoded):
        return (
            "what follows Basic has white space in it; send the base64 in one piece: "
            "some encoders break lines after 76 characters"
        )
    if re.search("[_-]", encoded) and ":" in (_base64_text(_padded(encoded.translate(_TO_BASIC))) or ""):
        return "the base64 after Basic is of the URL alphabet, with - and _; Basic takes the one with + and /"
    if re.fullmatch(r"[A-Za-z0-9+/]+=*", encoded) and len(encoded) % 4:
        return f"the base64 after Basic lacks padding (=) or its end: {_characters(encoded)} came, no multiple of four"
    strange = next((character for character in encoded if not re.match(r"[A-Za-z0-9+/=]", character)), "=")
    return f"what follows Basic is not base64: it has {strange!r} where that cannot be"


def _padded(encoded: str) -> str:
    bare = encoded.rstrip("=")
    return bare + "=" * (-len(bare) % 4)


def why_no_colon(decoded: str, clients: Collection[str]) -> str:
    """Explain decoded Basic credentials without a colon."""
    if not decoded:
        return "nothing follows Basic in the Authorization header"
    if ":" in (_base64_text(decoded) or ""):
        return "the credentials after Basic are base64-encoded twice"
    if ":" in unquote_plus(decoded):
        return "the colon after Basic is percent-encoded; encode client_id and client_secret, and then join them by :"
    if decoded in clients:
        return f"the base64 after Basic holds the client_id {decoded!r} alone; encode client_id:client_secret"
    return "the base64 after Basic holds no colon; encode client_id:client_secret, in one piece"


def why_missing_parameter(name: str, body: str, query: Collection[str]) -> str | None:
    """Explain why a form has no parameter of that name."""
    if name in query:
        return f"{name} came in the URL's query, and belongs in the body"
    if body.lstrip()[:1] in ("{", "[") and _is_json(body):
        return f"the body is JSON, not a form, and so has no {name}"
    if re.search(rf"(^|&){name}=(&|$)", body):
        return f"{name} is empty in the body"
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True  # what is nested that deep is nothing else
    except ValueError:
        return False
    return True


def why_malformed_scope(scope: str) -> str:
    """Explain a scope that is not words parted by one space each (RFC 6749, appendix A.4)."""
    strange = re.search(r'[^\x20-\x7E]|["\\]', scope)
    return f"it has {strange[0]!r} in it" if strange else "it has a blank too many"


def why_no_scope(name: str, known: Collection[str], audience: str) -> str | None:
    """Explain a scope that the server does not have."""
    if name == audience:
        return "it is the audience, which the dialects hexagon and sam take for a scope"
    if name.endswith("/.default"):
        return "scopes that end in /.default are the dialect entra's"
    for scope in known:
        if scope.lower() == name.lower():
            return f"scopes are case-sensitive: send {scope!r}"
    for mark, cause in (
        (",", "scopes are parted by blanks, not by commas"),
        (";", "scopes are parted by blanks, not by semicolons"),
        ("+", "the blanks were encoded twice: + stands in the value"),
        ("%20", "the blanks were encoded twice: %20 stands in the value"),
    ):
        if mark in name and set(filter(None, name.split(mark))) <= set(known):
            return cause
    return next((f"{scope!r} {found}" for scope in known if (found := _disguise(name, scope))), None)


def why_not_bearer(authorization: str) -> str:
    """Explain an Authorization header whose scheme is not Bearer."""
    scheme, _, rest = authorization.strip().partition(" ")
    if not scheme:
        return "the Authorization header is empty; send Authorization: Bearer <token>"
    if scheme.strip(_QUOTES) != scheme:
        return "the Authorization header is in quotes"
    if scheme.lower().startswith("bearer"):
        return "a blank, and nothing else, must part Bearer and the token"
    if not rest and scheme.lower() not in _SCHEMES:
        return "the token stands in the Authorization header without Bearer before it"
    return f"the Authorization header's scheme is {_scheme(scheme)}, not Bearer"


def why_two_tokens(value: str) -> str:
    """Explain what follows `Bearer` and has a comma in it."""
    if value.startswith("{"):
        return "what follows Bearer is the token endpoint's whole answer; send its access_token alone"
    return "the Authorization header came twice, or holds two tokens"


def why_no_jwt(value: str) -> str | None:
    """Explain what came as a token and is no JWT."""
    if value.strip(_QUOTES) != value:
        return "it is in quotes"
    if value in ("None", "null", "undefined", "nil"):
        return f"it is the word {value!r}: the code under test sent a token that it has not got"
    if value.startswith("<"):
        return "it is an object's repr, or a placeholder: is a method not called?"
    if value.lower().startswith("bearer"):
        return "it begins with Bearer once more"
    if re.search(r"\s", value):
        return "it has white space in it"
    if value.startswith("eyJ") and value.count(".") < 2:
        return f"it is cut short: {value.count('.') + 1} of 3 parts came"
    return None


def why_cut_signature(value: str, alg: str) -> str | None:
    """Explain a signature that is not as long as its algorithm makes it."""
    came, right = len(value.rpartition(".")[2]), _SIGNATURE_LENGTHS[alg]
    if came == right:
        return None
    cause = "is cut short" if came < right else "has something after it"
    return f"the token {cause}: its signature has {came} characters, {right} are right"
