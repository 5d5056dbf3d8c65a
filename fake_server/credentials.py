"""Who a request says it is, and whether that is so (RFC 6749, section 2.3)."""

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from fake_server.clients import ClientRegistry, RegisteredClient
from fake_server.refusals import Reason, Refusal

__all__ = ["BASIC_DECODINGS", "CLIENT_AUTH_METHODS", "authenticate"]

CLIENT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")
BASIC_DECODINGS = ("either", "form", "raw")
_CREDENTIAL_PARAMETERS = ("client_id", "client_secret")


@dataclass(frozen=True)
class _Pair:
    client_id: str
    client_secret: str


@dataclass(frozen=True)
class _Presented:
    """Hold the credentials of a request; Basic may have two right readings, the body has one."""

    method: str
    readings: tuple[_Pair, ...]


def authenticate(
    authorization: str | None,
    form: Mapping[str, str],
    query: Collection[str],
    clients: ClientRegistry,
    *,
    methods: Collection[str],
    basic_decoding: str,
) -> RegisteredClient:
    """Return the client that a request proves to be.

    `query` holds the names of the query's parameters. Raises Refusal for credentials that are
    missing, doubled, malformed, sent by a method or in a place that is not allowed, or wrong.
    """
    if misplaced := [name for name in _CREDENTIAL_PARAMETERS if name in query]:
        raise Refusal(
            Reason.CREDENTIALS_IN_QUERY,
            f"{' and '.join(misplaced)} came in the URL's query, where logs keep them; send the Authorization header",
        )
    presented = _presented(authorization, form, basic_decoding)
    if presented.method not in methods:
        raise Refusal(
            Reason.AUTH_METHOD_NOT_ALLOWED,
            f"the client authenticated by {presented.method}; this server allows {' and '.join(methods)} only",
        )
    return _find_client(presented, clients)


def _presented(authorization: str | None, form: Mapping[str, str], basic_decoding: str) -> _Presented:
    if authorization is None:
        return _from_body(form)
    if "client_secret" in form:
        raise Refusal(
            Reason.MULTIPLE_CREDENTIALS,
            "the request has an Authorization header and a client_secret in its body; send one of them",
        )
    presented = _Presented("client_secret_basic", _from_basic(authorization, basic_decoding))
    if "client_id" in form and form["client_id"] not in (pair.client_id for pair in presented.readings):
        raise Refusal(
            Reason.MULTIPLE_CREDENTIALS,
            "the client_id in the body is not the one in the Authorization header; send one client_id",
        )
    return presented


def _from_body(form: Mapping[str, str]) -> _Presented:
    missing = [name for name in _CREDENTIAL_PARAMETERS if name not in form]
    if not missing:
        return _Presented("client_secret_post", (_Pair(form["client_id"], form["client_secret"]),))
    if len(missing) == len(_CREDENTIAL_PARAMETERS):
        diagnosis = "the request has no Authorization header, and no client_id and client_secret in its body"
    else:
        diagnosis = f"the request has no Authorization header, and its body has no {missing[0]}"
    raise Refusal(Reason.NO_CREDENTIALS, diagnosis)


def _from_basic(authorization: str, decoding: str) -> tuple[_Pair, ...]:
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        raise Refusal(
            Reason.WRONG_SCHEME,
            f"the Authorization header's scheme is {_shorten(scheme)}; the token endpoint takes Basic",
        )
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(Reason.MALFORMED_BASIC, f"what follows Basic is not base64: {error}") from error
    client_id, colon, client_secret = _as_text(decoded).partition(":")
    if not colon:
        raise Refusal(
            Reason.BASIC_WITHOUT_COLON,
            "the base64 after Basic holds no colon; encode client_id:client_secret, in one piece",
        )
    raw = _Pair(client_id, client_secret)
    if decoding == "raw":
        return (raw,)
    form = _form_decoded(raw)
    return (form,) if decoding == "form" or form == raw else (raw, form)


def _as_text(octets: bytes) -> str:
    # RFC 7617 names no charset. UTF-8 is what RFC 6749 wants, latin-1 what older clients send.
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _form_decoded(pair: _Pair) -> _Pair:
    return _Pair(unquote_plus(pair.client_id), unquote_plus(pair.client_secret))


def _find_client(presented: _Presented, clients: ClientRegistry) -> RegisteredClient:
    known = [(pair, clients[pair.client_id]) for pair in presented.readings if pair.client_id in clients]
    if not known:
        raise Refusal(Reason.UNKNOWN_CLIENT, _why_unknown(presented.readings[0], clients))
    for pair, client in known:
        if client.has_secret(pair.client_secret):
            if not client.enabled:
                raise Refusal(
                    Reason.DISABLED_CLIENT, f"the client {client.client_id!r} is disabled", client_id=client.client_id
                )
            return client
    pair, client = known[0]
    raise Refusal(Reason.WRONG_SECRET, _why_wrong(pair.client_secret, client), client_id=client.client_id)


def _why_unknown(pair: _Pair, clients: ClientRegistry) -> str:
    # What came as client_id may be a secret in the wrong place, so it is not shown whole.
    registered = ", ".join(repr(client_id) for client_id in clients) or "none"
    return f"no client is registered as {_shorten(pair.client_id)}; registered: {registered}"


def _why_wrong(client_secret: str, client: RegisteredClient) -> str:
    came, registered = len(client_secret), len(client.client_secret)
    if came != registered:
        return f"the secret of {client.client_id!r} is wrong: {came} characters came, {registered} are registered"
    return f"the secret of {client.client_id!r} is wrong, though its length ({came} characters) is right"


def _shorten(text: str) -> str:
    return repr(text) if len(text) <= 4 else f"{text[:4]!r}… ({len(text)} characters)"
