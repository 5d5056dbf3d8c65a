"""The dialects of the IdentityServer family: `sam` (IdentityServer3) and `duende` (IdentityServer4 and Duende).

`sam` is Hexagon's Smart API Manager, which no page names as IdentityServer3: its paths and the members of its
answers are that server's. Statuses, codes and members are those of the servers' published sources: every token
error is 400, with nothing but its code, and none is a challenge; so a disabled client, another method and a bad
assertion are answered as a wrong secret is. What is not on record (credentials in the query, another
client_assertion_type, the body of a 405 of `sam`, a body too large or cut short, a token that is missing or
another client's) is answered as the RFCs have it, and so is what `sam` makes of octets that are not UTF-8.
"""

import datetime

from fake_server.dialects.dialect import Dialect, no_challenge
from fake_server.dialects.identifiers import random_hex
from fake_server.dialects.terms import ErrorAnswer, Grant, Members
from fake_server.refusals import Reason

__all__ = ["DUENDE", "SAM"]

_CONNECT_PATHS = {
    "authorization_endpoint": "/connect/authorize",
    "userinfo_endpoint": "/connect/userinfo",
    "end_session_endpoint": "/connect/endsession",
    "check_session_iframe": "/connect/checksession",
}
_METADATA = {
    "frontchannel_logout_supported": True,
    "frontchannel_logout_session_supported": True,
    "response_modes_supported": ["form_post", "query", "fragment"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "subject_types_supported": ["public"],
    "code_challenge_methods_supported": ["plain", "S256"],
}


def _body(answer: ErrorAnswer, _now: datetime.datetime) -> Members:
    # The description is left out where there is none, which is so for nearly all.
    return {"error": answer.error}


def _message(answer: ErrorAnswer, _now: datetime.datetime) -> Members:
    return {"ErrorMessage": answer.description}


def _error(error: str, status: int = 400) -> ErrorAnswer:
    return ErrorAnswer(status=status, error=error, description="", body=_body)


def _nothing(_answer: ErrorAnswer, _now: datetime.datetime) -> Members:
    return {}


def _bare(status: int) -> ErrorAnswer:
    return ErrorAnswer(status=status, error="", description="", body=_nothing)


_WRONG_CLIENT = _error("invalid_client")
_WRONG_GRANT = _error("unsupported_grant_type")
_WRONG_SCOPE = _error("invalid_scope")
_NO_CLIENT = (
    Reason.NO_CREDENTIALS,
    Reason.WRONG_SCHEME,
    Reason.MALFORMED_BASIC,
    Reason.BASIC_WITHOUT_COLON,
)
_BAD_CLIENT = (
    Reason.MISSING_SECRET,
    Reason.AUTH_METHOD_NOT_ALLOWED,
    Reason.UNKNOWN_CLIENT,
    Reason.WRONG_SECRET,
    Reason.DISABLED_CLIENT,
    Reason.MALFORMED_ASSERTION,
    *(reason for reason in Reason if reason.name.startswith("ASSERTION_")),
)
_NO_FORM = (Reason.MISSING_CONTENT_TYPE, Reason.WRONG_CONTENT_TYPE)

# What both answer; what is left out is not on record.
_ERRORS = {
    **dict.fromkeys(_BAD_CLIENT, _WRONG_CLIENT),
    Reason.MISSING_GRANT_TYPE: _WRONG_GRANT,
    Reason.UNSUPPORTED_GRANT_TYPE: _WRONG_GRANT,
    Reason.GRANT_TYPE_NOT_ALLOWED: _error("unauthorized_client"),
    **dict.fromkeys(
        (
            Reason.MISSING_SCOPE,
            Reason.MALFORMED_SCOPE,
            Reason.OPENID_SCOPE,
            Reason.UNKNOWN_SCOPE,
            Reason.SCOPE_NOT_ALLOWED,
        ),
        _WRONG_SCOPE,
    ),
    # What only a fault of the test's brings about: the codes are the RFC's, the shape is IdentityServer's.
    Reason.MALFORMED_REQUEST: _error("invalid_request"),
    Reason.POLICY_DENIED: _error("access_denied"),
    Reason.SERVER_FAULT: _error("server_error", 500),
    Reason.UNAVAILABLE: _error("temporarily_unavailable", 503),
    Reason.RATE_LIMITED: _error("temporarily_unavailable", 429),
}
_BARE_401 = dict.fromkeys((*_NO_CLIENT, *_BAD_CLIENT), _bare(401))


def _resources(issuer: str, _audience: str) -> str:
    return f"{issuer}/resources"


def _sam_header(kid: str, alg: str) -> Members:
    # The key's id is its certificate's thumbprint, and so both are the same.
    return {"typ": "JWT", "alg": alg, "x5t": kid, "kid": kid}


def _sam_claims(grant: Grant) -> Members:
    return {
        "iss": grant.issuer,
        "aud": grant.audience,
        "exp": grant.expires_at,
        "nbf": grant.issued_at,
        "client_id": grant.client_id,
        "scope": grant.scopes[0] if len(grant.scopes) == 1 else list(grant.scopes),
        # A setting of the server's. Without it two tokens of one second are the same token.
        "jti": grant.token_id,
    }


def _sam_response(grant: Grant, value: str) -> Members:
    return {"access_token": value, "expires_in": grant.expires_at - grant.issued_at, "token_type": "Bearer"}


def _duende_header(kid: str, alg: str) -> Members:
    return {"alg": alg, "kid": kid, "typ": "at+jwt"}


def _duende_claims(grant: Grant) -> Members:
    return {
        "iss": grant.issuer,
        "nbf": grant.issued_at,
        "iat": grant.issued_at,
        "exp": grant.expires_at,
        "aud": grant.audience,
        "scope": list(grant.scopes),
        "client_id": grant.client_id,
        "jti": grant.token_id,
    }


def _duende_response(grant: Grant, value: str) -> Members:
    return {**_sam_response(grant, value), "scope": " ".join(grant.scopes)}


def _introspection(token: Members, _client_id: str | None, scopes: tuple[str, ...]) -> Members:
    # The token's own claims first, but for its scopes.
    return {name: value for name, value in token.items() if name != "scope"} | {
        "active": True,
        "scope": " ".join(scopes),
    }


def _new_token_id() -> str:
    return random_hex(16).upper()


SAM = Dialect(
    name="sam",
    issuer_path="/sam/oauth",
    token_path="/sam/oauth/connect/token",
    jwks_path="/sam/oauth/.well-known/jwks",
    introspection_path="/sam/oauth/connect/introspect",
    revocation_path="/sam/oauth/connect/revocation",
    unserved={name: f"/sam/oauth{path}" for name, path in _CONNECT_PATHS.items()},
    errors={
        **_ERRORS,
        **dict.fromkeys(_NO_CLIENT, _WRONG_CLIENT),
        **dict.fromkeys(
            _NO_FORM, ErrorAnswer(status=415, error="", description="The body must be a form.", body=_message)
        ),
    },
    introspection_errors=_BARE_401,
    challenge=no_challenge,
    content_type="application/json; charset=utf-8",
    token_headers={"Cache-Control": "no-store, no-cache, private, max-age=0", "Pragma": "no-cache"},
    error_headers={},
    joins_duplicates=True,
    first_credentials_win=True,
    audience_scope=True,
    resource_parameter=False,
    signing_algs=("RS256",),
    new_token_id=_new_token_id,
    audience=_resources,
    jwt_header=_sam_header,
    claims=_sam_claims,
    token_response=_sam_response,
    introspection=_introspection,
    metadata_members=_METADATA,
)

_DUENDE_HEADERS = {"Cache-Control": "no-store, no-cache, max-age=0", "Pragma": "no-cache"}
# Introspection and revocation answer 405 and 415 without a body, introspection bad credentials, too.
_DUENDE_SERVICE_ERRORS = {
    Reason.METHOD_NOT_ALLOWED: _bare(405),
    **dict.fromkeys(_NO_FORM, _bare(415)),
}

DUENDE = Dialect(
    name="duende",
    token_path="/connect/token",
    jwks_path="/.well-known/openid-configuration/jwks",
    introspection_path="/connect/introspect",
    revocation_path="/connect/revocation",
    unserved={
        **_CONNECT_PATHS,
        "device_authorization_endpoint": "/connect/deviceauthorization",
        "backchannel_authentication_endpoint": "/connect/ciba",
        "pushed_authorization_request_endpoint": "/connect/par",
    },
    errors={
        **_ERRORS,
        **dict.fromkeys((*_NO_CLIENT, *_NO_FORM), _error("invalid_request")),
        Reason.BODY_NOT_UTF8: _error("invalid_request"),
        Reason.UNKNOWN_RESOURCE: _error("invalid_target"),
    },
    token_errors={Reason.METHOD_NOT_ALLOWED: _error("invalid_request")},
    introspection_errors={**_DUENDE_SERVICE_ERRORS, **_BARE_401},
    revocation_errors=_DUENDE_SERVICE_ERRORS,
    challenge=no_challenge,
    content_type="application/json; charset=UTF-8",
    token_headers=_DUENDE_HEADERS,
    error_headers=_DUENDE_HEADERS,
    joins_duplicates=True,
    first_credentials_win=True,
    grants_all_scopes=True,
    refuses_nul=True,
    new_token_id=_new_token_id,
    jwt_header=_duende_header,
    claims=_duende_claims,
    introspection=_introspection,
    token_response=_duende_response,
    # Without dpop_signing_alg_values_supported: this fake takes no DPoP proof, and would mislead who reads it.
    metadata_members={
        **_METADATA,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "request_parameter_supported": True,
    },
)
