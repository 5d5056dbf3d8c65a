"""Who a request says it is, and whether that is so (RFC 6749, section 2.3)."""

import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_plus

from fake_server.assertions import AssertionVerifier
from fake_server.clients import ClientRegistry, RegisteredClient
from fake_server.diagnoses import why_no_basic, why_no_colon, why_unknown_client, why_wrong_scheme, why_wrong_secret
from fake_server.form import Form
from fake_server.refusals import Reason, Refusal

__all__ = ["BASIC_DECODINGS", "CLIENT_AUTH_METHODS", "Authenticator", "Proof", "decode_basic"]

CLIENT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")
_CREDENTIAL_PARAMETERS = ("client_id", "client_secret")


class _Pair(NamedTuple):
    client_id: str
    client_secret: str


class _Presented(NamedTuple):
    """Hold the credentials of a request; Basic may have two right readings, the body has one.

    `as_sent` is what came before anything was form-decoded.
    """

    method: str
    readings: tuple[_Pair, ...]
    as_sent: _Pair


class Proof(NamedTuple):
    """Say which client a request proved to be, and by which method."""

    client: RegisteredClient
    method: str


# By what Basic credentials are as they were sent, and form-decoded.
_READINGS: Mapping[str, Callable[[_Pair, _Pair], tuple[_Pair, ...]]] = {
    "either": lambda as_sent, decoded: (as_sent, decoded),
    "form": lambda as_sent, decoded: (decoded,),
    "raw": lambda as_sent, decoded: (as_sent,),
}
BASIC_DECODINGS = tuple(_READINGS)


@dataclass(frozen=True, kw_only=True)
class Authenticator:
    """Authenticate clients as one server does.

    - `methods`: those by which a client with a secret may authenticate.
    - `first_wins`: credentials in the header and in the body are no error; the header's are read.
    """

    clients: ClientRegistry
    assertions: AssertionVerifier
    methods: Collection[str]
    basic_decoding: str
    first_wins: bool

    def authenticate(self, authorization: str | None, form: Form) -> Proof:
        """Return the client that a request proves to be.

        Raises Refusal for credentials that are missing, doubled, malformed, sent by a method or in a place
        that is not allowed, or wrong.
        """
        parameters = form.parameters
        if misplaced := [name for name in _CREDENTIAL_PARAMETERS if name in form.query]:
            raise Refusal(
                Reason.CREDENTIALS_IN_QUERY,
                f"{' and '.join(misplaced)} came in the URL's query, where logs keep them; "
                "send the Authorization header",
            )
        if "client_assertion" in parameters or "client_assertion_type" in parameters:
            if authorization is not None or "client_secret" in parameters:
                raise Refusal(
                    Reason.MULTIPLE_CREDENTIALS,
                    "the request has a client_assertion and other credentials; send one of them",
                )
            proof = Proof(self.assertions.authenticate(parameters, self.clients), "private_key_jwt")
        else:
            proof = self._prove(self._presented(authorization, form))
        if not proof.client.enabled:
            name = proof.client.client_id
            raise Refusal(Reason.DISABLED_CLIENT, f"the client {name!r} is disabled", client_id=name)
        return proof

    def _presented(self, authorization: str | None, form: Form) -> _Presented:
        # The first that can be read wins, which is the body where the header is no Basic.
        passes_over = self.first_wins and "client_secret" in form.parameters
        if authorization is None or (passes_over and not _is_basic(authorization)):
            presented = _from_body(form)
        else:
            presented = self._from_header(authorization, form.parameters)
        if presented.method not in self.methods:
            raise Refusal(
                Reason.AUTH_METHOD_NOT_ALLOWED,
                f"the client authenticated by {presented.method}; this server allows {' and '.join(self.methods)} only",
            )
        return presented

    def _from_header(self, authorization: str, parameters: Mapping[str, str]) -> _Presented:
        if "client_secret" in parameters and not self.first_wins:
            raise Refusal(
                Reason.MULTIPLE_CREDENTIALS,
                "the request has an Authorization header and a client_secret in its body; send one of them",
            )
        as_sent = _decode_basic(authorization, self.clients)
        decoded = _Pair(unquote_plus(as_sent.client_id), unquote_plus(as_sent.client_secret))
        readings = _READINGS[self.basic_decoding](as_sent, decoded) if decoded != as_sent else (as_sent,)
        presented = _Presented("client_secret_basic", readings, as_sent)
        client_id = parameters.get("client_id")
        if client_id is not None and not self.first_wins and client_id not in (p.client_id for p in presented.readings):
            raise Refusal(
                Reason.MULTIPLE_CREDENTIALS,
                "the client_id in the body is not the one in the Authorization header; send one client_id",
            )
        return presented

    def _prove(self, presented: _Presented) -> Proof:
        known = [(pair, self.clients[pair.client_id]) for pair in presented.readings if pair.client_id in self.clients]
        for pair, client in known:
            if client.has_secret(pair.client_secret):
                return Proof(client, presented.method)
        if not known:
            pair = presented.readings[0]
            raise Refusal(Reason.UNKNOWN_CLIENT, why_unknown_client(pair.client_id, pair.client_secret, self.clients))
        pair, client = known[0]
        others = [other for other in self.clients.values() if other is not client]
        diagnosis = why_wrong_secret(pair.client_secret, presented.as_sent.client_secret, client, others)
        raise Refusal(Reason.WRONG_SECRET, diagnosis, client_id=client.client_id)


def _from_body(form: Form) -> _Presented:
    client_id, client_secret = (form.parameters.get(name) for name in _CREDENTIAL_PARAMETERS)
    if client_id is not None and client_secret is not None:
        pair = _Pair(client_id, client_secret)
        return _Presented("client_secret_post", (pair,), pair)
    reason, name = (
        (Reason.NO_CREDENTIALS, "client_id") if client_id is None else (Reason.MISSING_SECRET, "client_secret")
    )
    raise Refusal(reason, f"the request has no Authorization header, and {form.why_missing(name)}; send one of them")


def _is_basic(authorization: str) -> bool:
    try:
        return bool(_decode_basic(authorization, ()))
    except Refusal:
        return False


def _decode_basic(authorization: str, clients: Collection[str]) -> _Pair:
    try:
        decoded = decode_basic(authorization)
    except ValueError as error:
        raise Refusal(Reason.MALFORMED_BASIC, why_no_basic(authorization.strip().partition(" ")[2].strip())) from error
    if decoded is None:
        raise Refusal(Reason.WRONG_SCHEME, why_wrong_scheme(authorization))
    client_id, colon, client_secret = decoded.partition(":")
    if not colon:
        raise Refusal(Reason.BASIC_WITHOUT_COLON, why_no_colon(decoded, clients))
    return _Pair(client_id, client_secret)


def decode_basic(authorization: str) -> str | None:
    """Return what Basic credentials decode to, None for another scheme. Raises ValueError for what is no base64."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    octets = base64.b64decode(encoded.strip(), validate=True)
    # RFC 7617 names no charset. UTF-8 is what RFC 6749 wants, latin-1 what older clients send.
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
