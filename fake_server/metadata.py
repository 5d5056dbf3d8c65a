"""What a server tells about itself: its keys (RFC 7517) and its endpoints (RFC 8414)."""

from werkzeug.wrappers import Response

from fake_server.answers import answer_in_dialect, answer_refusal
from fake_server.assertions import ASSERTION_ALGS
from fake_server.dialects import ServerFacts
from fake_server.form import FormRequest
from fake_server.refusals import Reason, Refusal
from fake_server.state import ServerState

__all__ = ["answer_jwks", "answer_metadata", "answer_unserved"]


def answer_jwks(state: ServerState, _request: FormRequest) -> Response:
    """Publish the keys that verify this server's tokens (RFC 7517, section 5)."""
    return answer_in_dialect(state, state.tokens.keys.as_jwks(), 200, state.dialect.jwks_headers)


def answer_metadata(state: ServerState, _request: FormRequest) -> Response:
    """Describe the server (RFC 8414, section 3). What is not there is left out, never null."""
    unserved = {name: state.addresses.base_url + path for name, path in state.dialect.unserved.items()}
    served = {
        "token_endpoint": state.addresses.token_url,
        "jwks_uri": state.addresses.jwks_uri,
        "introspection_endpoint": state.addresses.introspection_url,
        "revocation_endpoint": state.addresses.revocation_url,
    }
    with_keys = any(client.public_keys for client in state.clients.values())
    api_scope = (state.options.audience,) if state.dialect.audience_scope else ()
    facts = ServerFacts(
        issuer=state.addresses.issuer,
        endpoints={name: url for name, url in {**unserved, **served}.items() if url is not None},
        scopes=state.options.scopes + api_scope,
        client_auth=state.options.client_auth + (("private_key_jwt",) if with_keys else ()),
        assertion_algs=ASSERTION_ALGS,
    )
    return answer_in_dialect(state, {**state.dialect.metadata(facts), **state.dialect.metadata_members}, 200)


def answer_unserved(state: ServerState, request: FormRequest) -> Response:
    """Say that an endpoint of the vendor's is not part of this fake."""
    diagnosis = "the vendor has this endpoint, the fake server has not: it knows client credentials only"
    return answer_refusal(state, request, "other", Refusal(Reason.NOT_SERVED, diagnosis))
