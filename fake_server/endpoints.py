"""The endpoints: each turns a request into an answer and an entry of the journal.

The entry is written before the answer leaves, so that who has the answer finds the entry.
"""

from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from fake_server.api import CHALLENGES, bearer_token, json_response
from fake_server.credentials import authenticate
from fake_server.dialects import ServerFacts
from fake_server.refusals import Reason, Refusal
from fake_server.state import ServerState
from fake_server.token_request import check_grant_type, grant_scopes, read_form
from fake_server.tokens import Claims, fingerprint

__all__ = ["answer_api", "answer_jwks", "answer_metadata", "answer_refusal", "answer_token"]

_CLIP = 200  # characters of a client's own words that the journal keeps


def answer_token(state: ServerState, request: Request) -> Response:
    """Issue a token to the client itself (RFC 6749, section 4.4)."""
    asked: dict[str, str] = {}
    options = state.options
    try:
        form = read_form(request)
        asked = {name: form[name][:_CLIP] for name in ("grant_type", "scope") if name in form}
        client = authenticate(
            request.headers.get("Authorization"),
            form,
            request.args,
            state.clients,
            methods=options.client_auth,
            basic_decoding=options.basic_decoding,
        )
        check_grant_type(form, client)
        scopes = grant_scopes(form.get("scope"), client, known=options.scopes, default=options.default_scopes)
    except Refusal as refusal:
        return answer_refusal(state, request, "token", refusal, **asked)
    value, grant = state.issue(client, scopes, client.token_lifetime)
    _record(state, request, "token", 200, client_id=client.client_id, token_id=fingerprint(value), **asked)
    return _in_dialect(state, state.dialect.token_response(grant, value), 200, state.dialect.token_headers)


def answer_jwks(state: ServerState, _request: Request) -> Response:
    """Publish the keys that verify this server's tokens (RFC 7517, section 5)."""
    return _in_dialect(state, state.tokens.keys.as_jwks(), 200, state.dialect.jwks_headers)


def answer_metadata(state: ServerState, _request: Request) -> Response:
    """Describe the server (RFC 8414, section 3)."""
    facts = ServerFacts(
        issuer=state.issuer,
        token_endpoint=state.token_url,
        jwks_uri=state.jwks_uri,
        scopes=state.options.scopes,
        client_auth=state.options.client_auth,
    )
    return _in_dialect(state, state.dialect.metadata(facts), 200)


def answer_refusal(state: ServerState, request: Request, endpoint: str, refusal: Refusal, **asked: str) -> Response:
    """Refuse a request in the words of the server's dialect."""
    answer = state.dialect.errors[refusal.reason]
    _record_refusal(state, request, endpoint, refusal, status=answer.status, error=answer.error, **asked)
    response = _in_dialect(state, answer.body(answer), answer.status, state.dialect.error_headers)
    if answer.status == 401:
        # RFC 9110, section 15.5.2. What Okta puts in is not on record; RFC 7617 wants a realm.
        response.headers["WWW-Authenticate"] = f'Basic realm="{state.issuer}"'
    return response


def _in_dialect(
    state: ServerState, members: dict[str, Any], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    return json_response(members, status, headers, content_type=state.dialect.content_type)


def answer_api(state: ServerState, request: Request, path: str) -> Response:
    """Answer a request to the protected API for a path below its URL (RFC 6750)."""
    if path == "/description" and request.method in ("GET", "HEAD"):
        _record(state, request, "api", 200)
        return json_response(_description(state))
    seen: dict[str, Any] = {}
    try:
        token = bearer_token(request)
        seen["token_id"] = fingerprint(token)
        claims = state.tokens.decode(token)
        seen["client_id"] = state.dialect.client_of(claims)
        state.tokens.check(token, claims)
        _check_client(state, claims)
        _check_scope(state, claims)
    except Refusal as refusal:
        return _answer_challenge(state, request, refusal, **seen)
    try:
        response = state.api.respond(request, path, claims)
    except HTTPException as error:
        response = Response.force_type(error.get_response(request.environ))
    except Exception as error:
        state.errors.append(error)
        failure = Refusal(Reason.ROUTE_FAILED, f"the test's route raised {type(error).__name__}")
        _record_refusal(state, request, "api", failure, status=500, **seen)
        return json_response({"error": "a route of the test raised an exception"}, 500)
    _record(state, request, "api", response.status_code, **seen)
    return response


def _check_client(state: ServerState, claims: Claims) -> None:
    client = state.clients.get(state.dialect.client_of(claims) or "")
    if client is not None and not client.enabled:
        raise Refusal(Reason.TOKEN_OF_DISABLED_CLIENT, f"the token's client {client.client_id!r} is disabled")


def _check_scope(state: ServerState, claims: Claims) -> None:
    scopes = state.dialect.scopes_of(claims)
    if state.api.required_scope not in scopes:
        granted = " ".join(map(str, scopes))
        raise Refusal(
            Reason.INSUFFICIENT_SCOPE,
            f"the token has the scope {granted!r:.{_CLIP}}; the API demands {state.api.required_scope!r}",
        )


def _answer_challenge(state: ServerState, request: Request, refusal: Refusal, **seen: Any) -> Response:
    challenge = CHALLENGES[refusal.reason]
    _record_refusal(state, request, "api", refusal, status=challenge.status, error=challenge.error, **seen)
    response = Response(status=challenge.status)
    response.headers["WWW-Authenticate"] = challenge.header(state.api.required_scope)
    del response.headers["Content-Type"]
    return response


def _description(state: ServerState) -> dict[str, str]:
    # The document's members are not on record for Smart Completions; the last two are a sibling API's.
    return {
        "product": "Smart Completions Smart API",
        "version": "v1",
        "baseUri": state.api.url,
        "scope": state.api.required_scope,
        "TokenIssuerUri": state.issuer,
        "TokenAudience": state.options.audience,
    }


def _record(state: ServerState, request: Request, endpoint: str, status: int, **facts: Any) -> None:
    # Without the query, where a client may have put its secret.
    path = (request.root_path + request.path).removeprefix(state.base_path)
    state.journal.record(
        clock=state.clock,
        endpoint=endpoint,
        method=request.method[:_CLIP],
        path=path[:_CLIP],
        status=status,
        **facts,
    )


def _record_refusal(
    state: ServerState, request: Request, endpoint: str, refusal: Refusal, *, status: int, **facts: Any
) -> None:
    facts.setdefault("client_id", refusal.client_id)
    _record(state, request, endpoint, status, reason=refusal.reason, diagnosis=refusal.diagnosis, **facts)
