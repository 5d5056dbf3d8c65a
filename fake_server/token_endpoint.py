"""The token endpoint (RFC 6749, section 4.4)."""

from typing import Any
from urllib.parse import urlsplit

from werkzeug.wrappers import Response

from fake_server.answers import answer_in_dialect, answer_refusal, record
from fake_server.clients import RegisteredClient
from fake_server.disturbance import armed_refusal, disturb
from fake_server.faults import Fault
from fake_server.form import FormRequest, read_form
from fake_server.refusals import Reason, Refusal
from fake_server.state import Issued, ServerState
from fake_server.token_request import check_grant_type, check_resource, grant_scopes
from fake_server.tokens import fingerprint

__all__ = ["ELSEWHERE", "answer_elsewhere", "answer_token"]

# Where the fault `redirect` points to.
ELSEWHERE = "/elsewhere/v1/token"


def answer_token(state: ServerState, request: FormRequest) -> Response:
    """Issue a token to the client itself (RFC 6749, section 4.4), unless the test wants otherwise."""
    came_after = state.journal.total
    with state.flight as overlapping:
        fault = state.faults.take("token")
        seen: dict[str, Any] = {"overlapping": overlapping, "came_after": came_after, "fault": fault and fault.name}
        try:
            client, method, scopes = _read(state, request, seen)
            if (wanted := armed_refusal(fault, "token")) is not None:
                raise wanted
            issued = _issue(state, client, method, scopes, fault)
        except Refusal as refusal:
            refusal = armed_refusal(fault, "token") or refusal
            if fault is not None and fault.needs_good_answer:
                state.faults.give_back(fault)
                fault = seen["fault"] = None
            response = answer_refusal(state, request, "token", refusal, **seen)
            if response.status_code == 307:
                response.headers["Location"] = _elsewhere(state)
        else:
            response = _answer_grant(state, request, issued, seen)
        return disturb(state, request, fault, response)


def _read(
    state: ServerState, request: FormRequest, seen: dict[str, Any]
) -> tuple[RegisteredClient, str, tuple[str, ...]]:
    """Return who asks, how it proved that, and for which scopes, and note in `seen` what the journal is to know."""
    dialect = state.dialect
    form = read_form(request, joins_duplicates=dialect.joins_duplicates, refuses_nul=dialect.refuses_nul)
    parameters = form.parameters
    seen |= {name: parameters[name] for name in ("grant_type", "scope") if name in parameters}
    proof = state.authenticator.authenticate(request.headers.get("Authorization"), form)
    seen["client_id"] = proof.client.client_id
    check_grant_type(form, proof.client)
    if dialect.resource_parameter:
        check_resource(form, (state.audience, state.api.url))
    return proof.client, proof.method, grant_scopes(form, proof.client, state.options)


def _issue(
    state: ServerState, client: RegisteredClient, method: str, scopes: tuple[str, ...], fault: Fault | None
) -> Issued:
    variant = fault.issue if fault is not None else None
    if variant == "narrower":
        scopes = scopes[:-1] or ("limited",)
    # As if it had been issued so long ago that its life is over; `expires_in` does not tell.
    age = client.token_lifetime + 1 if variant == "expired" else 0
    try:
        if variant is None:
            issued = state.issue_or_repeat(client, scopes, client_auth=method)
        else:
            issued = state.issue(client, scopes, client.token_lifetime, client_auth=method, age=age)
    except BaseException as error:  # of a callable that the test gave for claims
        state.keep_error(error)
        raise Refusal(Reason.CLAIMS_FAILED, f"the test's claims raised {type(error).__name__}") from error
    if variant == "refused":
        state.tokens.end_own(issued.value, Reason.REVOKED_TOKEN)
    return issued


def _answer_grant(state: ServerState, request: FormRequest, issued: Issued, seen: dict[str, Any]) -> Response:
    record(state, request, "token", 200, token_id=fingerprint(issued.value), token_expires_at=issued.ends_at, **seen)
    members = state.dialect.token_response(issued.grant, issued.value)
    return answer_in_dialect(state, members, 200, state.dialect.token_headers)


def _elsewhere(state: ServerState) -> str:
    # Another name of the same host is another host to a client.
    parts = urlsplit(state.addresses.base_url)
    other = "localhost" if parts.hostname == "127.0.0.1" else "elsewhere.invalid"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{other}{port}{parts.path}{ELSEWHERE}"


def answer_elsewhere(state: ServerState, request: FormRequest) -> Response:
    """Take note of a client that followed the redirect of a token request."""
    secret = "Authorization" in request.headers or not request.form.keys().isdisjoint(
        ("client_secret", "client_assertion")
    )
    along = "with its credentials" if secret else "without its credentials"
    diagnosis = f"the client followed a redirect of the token endpoint to another host, {along}"
    return answer_refusal(state, request, "other", Refusal(Reason.REDIRECT_FOLLOWED, diagnosis))
