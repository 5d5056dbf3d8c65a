"""The protected API's gate: who may come in, and how the others are challenged (RFC 6750)."""

from dataclasses import replace
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from fake_server.answers import CLIP, record, record_refusal
from fake_server.api import CHALLENGES, bearer_token, json_response, sendable
from fake_server.disturbance import armed_refusal, disturb
from fake_server.faults import Fault
from fake_server.form import FormRequest
from fake_server.jose import Claims, header_of
from fake_server.refusals import Reason, Refusal, said
from fake_server.state import ServerState
from fake_server.tokens import fingerprint

__all__ = ["answer_api"]


def answer_api(state: ServerState, request: FormRequest, path: str) -> Response:
    """Answer a request to the protected API for a path below its URL (RFC 6750)."""
    if path == "/description" and request.method in ("GET", "HEAD"):
        record(state, request, "api", 200)
        return json_response(_description(state))
    fault = state.faults.take("api")
    return disturb(state, request, fault, _answer(state, request, path, fault))


def _answer(state: ServerState, request: FormRequest, path: str, fault: Fault | None) -> Response:
    seen: dict[str, Any] = {"fault": fault and fault.name}
    try:
        token = bearer_token(request)
        seen["token_id"] = fingerprint(token)
        claims = state.tokens.decode(token)
        seen["client_id"] = state.dialect.client_of(claims)
        state.check(token, claims)
        _check_type(state, token)
        _check_scope(state, claims)
        if (wanted := armed_refusal(fault, "api")) is not None:
            raise wanted
    except Refusal as refusal:
        return _answer_challenge(state, request, armed_refusal(fault, "api") or refusal, **seen)
    try:
        response = state.api.respond(request, path, claims)
    except HTTPException as error:
        response = sendable(Response.force_type(error.get_response(request.environ)))
    except BaseException as error:
        state.keep_error(error)
        failure = Refusal(Reason.ROUTE_FAILED, f"the test's route raised {type(error).__name__}")
        record_refusal(state, request, "api", failure, status=500, **seen)
        return json_response({"error": "a route of the test raised an exception"}, 500)
    record(state, request, "api", response.status_code, **seen)
    return response


def _check_type(state: ServerState, token: str) -> None:
    allowed = state.dialect.token_types
    if not allowed or state.options.token_format == "opaque":
        return
    came = header_of(token).get("typ")
    if str(came).lower() not in allowed:  # media types know no case (RFC 7515, section 4.1.9)
        raise Refusal(
            Reason.WRONG_TOKEN_TYPE, f"the token's typ is {said(came)}; an access token's is {' or '.join(allowed)}"
        )


def _check_scope(state: ServerState, claims: Claims) -> None:
    scopes = state.dialect.scopes_of(claims)
    enough = {state.api.required_scope} | ({state.options.audience} if state.dialect.audience_scope else set())
    if enough.isdisjoint(scopes):
        granted = " ".join(map(str, scopes))
        raise Refusal(
            Reason.INSUFFICIENT_SCOPE,
            f"the token has the scope {said(granted, CLIP)}; the API demands {state.api.required_scope!r}",
        )


def _answer_challenge(state: ServerState, request: FormRequest, refusal: Refusal, **seen: Any) -> Response:
    challenge = CHALLENGES[refusal.reason]
    if refusal.status is not None:
        challenge = replace(challenge, status=refusal.status)
    record_refusal(state, request, "api", refusal, status=challenge.status, error=challenge.error, **seen)
    response = Response(status=challenge.status)
    if challenge.status < 429:
        response.headers["WWW-Authenticate"] = challenge.header(state.api.required_scope, state.dialect.api_realm)
    del response.headers["Content-Type"]
    return response


def _description(state: ServerState) -> dict[str, str]:
    # The document's members are not on record for Smart Completions; the last two are a sibling API's.
    return {
        "product": "Smart Completions Smart API",
        "version": "v1",
        "baseUri": state.api.url,
        "scope": state.api.required_scope,
        "TokenIssuerUri": state.addresses.issuer,
        "TokenAudience": state.options.audience,
    }
