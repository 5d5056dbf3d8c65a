"""What becomes of a token after its issue: introspection (RFC 7662) and revocation (RFC 7009)."""

from typing import Any

from werkzeug.wrappers import Response

from fake_server.answers import answer_in_dialect, answer_refusal, record
from fake_server.clients import RegisteredClient
from fake_server.form import FormRequest, read_form
from fake_server.jose import Claims
from fake_server.refusals import Reason, Refusal, said
from fake_server.state import ServerState
from fake_server.tokens import fingerprint

__all__ = ["answer_introspection", "answer_revocation"]


def answer_introspection(state: ServerState, request: FormRequest) -> Response:
    """Tell whether a token is good, and for what (RFC 7662, section 2)."""
    seen: dict[str, Any] = {}
    try:
        token, _ = _read_token(state, request, seen)
    except Refusal as refusal:
        return answer_refusal(state, request, "introspection", refusal, **seen)
    try:
        claims = state.verify(token)
        known = state.dialect.introspection(claims, state.dialect.client_of(claims), state.dialect.scopes_of(claims))
        members = {name: value for name, value in known.items() if value is not None}
        record(state, request, "introspection", 200, **seen)
    except Refusal as refusal:
        # Why it is not good, the answer does not say (RFC 7662, section 2.2); the journal does.
        members = {"active": False}
        record(state, request, "introspection", 200, reason=refusal.reason, diagnosis=refusal.uncut, **seen)
    return answer_in_dialect(state, members, 200, state.dialect.token_headers)


def answer_revocation(state: ServerState, request: FormRequest) -> Response:
    """End a token at the wish of its client (RFC 7009, section 2); an unknown one is ended already."""
    seen: dict[str, Any] = {}
    try:
        token, client = _read_token(state, request, seen)
        claims = _claims_of_own(state, token)
        if claims is not None:
            _check_owner(state, claims, client)
            state.tokens.end(token, Reason.REVOKED_TOKEN)
    except Refusal as refusal:
        return answer_refusal(state, request, "revocation", refusal, **seen)
    record(state, request, "revocation", 200, **seen)
    return answer_in_dialect(state, {}, 200, state.dialect.token_headers)


def _read_token(state: ServerState, request: FormRequest, seen: dict[str, Any]) -> tuple[str, RegisteredClient]:
    """Return the token of a form and the client that asks, and note in `seen` what the journal is to know.

    The hint of its type is not read: there is one type, and a wrong hint must not hide a token.
    """
    form = read_form(request, joins_duplicates=state.dialect.joins_duplicates, refuses_nul=state.dialect.refuses_nul)
    authorization = request.headers.get("Authorization")
    client = state.authenticator.authenticate(authorization, form).client
    seen["client_id"] = client.client_id
    token = form.parameters.get("token")
    if token is None:
        raise Refusal(Reason.MISSING_TOKEN, f"{form.why_missing('token')}; send token=<the token>")
    seen["token_id"] = fingerprint(token)
    return token, client


def _claims_of_own(state: ServerState, token: str) -> Claims | None:
    try:
        claims = state.tokens.decode(token)
    except Refusal:
        return None
    return claims if claims.get("iss") == state.addresses.issuer else None


def _check_owner(state: ServerState, claims: Claims, client: RegisteredClient) -> None:
    owner = state.dialect.client_of(claims)
    if owner != client.client_id:
        raise Refusal(
            Reason.TOKEN_OF_ANOTHER_CLIENT,
            f"the token was issued to {said(owner)}, {client.client_id!r} may not revoke it",
        )
