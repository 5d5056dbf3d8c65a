"""The dialect of an Okta custom authorization server, the one that the Smart API's documentation describes.

Statuses, error codes, members and their order are Okta's published error catalogue's and recordings'; the
descriptions are this project's own. Where no answer of Okta's is on record (another scheme than Basic, a client_id
without a secret, a deactivated application, a malformed scope, a body that is too large, cut short or not UTF-8, an
assertion's other faults than those below, the value of WWW-Authenticate, a 200's headers), RFC 6749's is sent.
"""

import datetime
from collections.abc import Mapping
from types import MappingProxyType

from fake_server.dialects.dialect import Dialect
from fake_server.dialects.identifiers import random_text
from fake_server.dialects.rfc6749 import oauth
from fake_server.dialects.terms import ErrorAnswer, Grant, Members
from fake_server.refusals import Reason

__all__ = ["OKTA"]


def _body(answer: ErrorAnswer, _now: datetime.datetime) -> Members:
    """Return the members that Okta's own API has for errors, and the token endpoint for some."""
    return {
        "errorCode": answer.error,
        "errorSummary": answer.description,
        "errorLink": answer.error,
        "errorId": "oae" + random_text(16),
        "errorCauses": [],
    }


def _okta(status: int, error: str, description: str) -> ErrorAnswer:
    return ErrorAnswer(status=status, error=error, description=description, body=_body)


def _rate_headers(now: datetime.datetime) -> Members:
    # A bucket is filled again every 60 s or so; the limit is the endpoint's and the subscription's.
    reset = int(now.timestamp()) + 60
    return {"X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(reset)}


_WRONG_MEDIA = _okta(400, "E0000021", "The request's Content-Type or Accept is not supported.")
_UNREADABLE = oauth(401, "invalid_client", "The Authorization header cannot be decoded.")

_ERRORS: Mapping[Reason, ErrorAnswer] = MappingProxyType(
    {
        Reason.NOT_FOUND: _okta(404, "E0000007", "There is nothing at this address."),
        Reason.METHOD_NOT_ALLOWED: _okta(405, "E0000022", "This endpoint does not take the request's method."),
        Reason.MISSING_CONTENT_TYPE: _WRONG_MEDIA,
        Reason.WRONG_CONTENT_TYPE: _WRONG_MEDIA,
        Reason.DUPLICATED_PARAMETER: oauth(400, "invalid_request", "A parameter occurs more than once."),
        Reason.NO_CREDENTIALS: oauth(401, "invalid_client", "The request carries no client credentials."),
        Reason.CREDENTIALS_IN_QUERY: oauth(400, "invalid_request", "Client credentials may not be in the query."),
        # 401 with invalid_request is what Okta's catalogue and a recording have; its API's description says 400.
        Reason.MULTIPLE_CREDENTIALS: oauth(401, "invalid_request", "The request carries client credentials twice."),
        Reason.MALFORMED_BASIC: _UNREADABLE,
        Reason.BASIC_WITHOUT_COLON: _UNREADABLE,
        Reason.AUTH_METHOD_NOT_ALLOWED: oauth(401, "invalid_client", "The client did not authenticate as it must."),
        Reason.UNKNOWN_CLIENT: _okta(401, "invalid_client", "The client_id is not a known one."),
        Reason.WRONG_SECRET: oauth(401, "invalid_client", "The client_secret is not the right one."),
        Reason.WRONG_ASSERTION_TYPE: oauth(400, "invalid_request", "The client_assertion_type is not supported."),
        Reason.MALFORMED_ASSERTION: oauth(401, "invalid_client", "The client_assertion cannot be read."),
        Reason.ASSERTION_BAD_SIGNATURE: oauth(401, "invalid_client", "The client_assertion has a wrong signature."),
        Reason.ASSERTION_WRONG_AUDIENCE: oauth(401, "invalid_client", "The client_assertion is not for this endpoint."),
        Reason.ASSERTION_EXPIRED: oauth(401, "invalid_client", "The client_assertion expired."),
        Reason.ASSERTION_REPLAYED: oauth(401, "invalid_client", "The client_assertion was used before."),
        Reason.MISSING_GRANT_TYPE: oauth(400, "invalid_request", "The grant_type parameter is missing."),
        Reason.UNSUPPORTED_GRANT_TYPE: oauth(400, "unsupported_grant_type", "The grant_type is not supported."),
        Reason.GRANT_TYPE_NOT_ALLOWED: oauth(400, "unauthorized_client", "The client may not use this grant_type."),
        Reason.MISSING_SCOPE: oauth(400, "invalid_scope", "The scope parameter is missing and has no default."),
        Reason.OPENID_SCOPE: oauth(400, "invalid_scope", "OpenID scopes are not for client credentials."),
        Reason.UNKNOWN_SCOPE: oauth(400, "invalid_scope", "A scope is not one of this server's."),
        # access_denied, not invalid_scope: the access policy drops the scope.
        Reason.SCOPE_NOT_ALLOWED: oauth(400, "access_denied", "The policy denies a scope to this client."),
        Reason.POLICY_DENIED: oauth(401, "access_denied", "The policy denies the request."),
        Reason.SERVER_FAULT: oauth(500, "server_error", "The server met an unexpected condition."),
        # 400 is the catalogue's status.
        Reason.UNAVAILABLE: oauth(400, "temporarily_unavailable", "The server cannot answer at present."),
        Reason.RATE_LIMITED: ErrorAnswer(
            status=429, error="E0000047", description="Too many requests came.", body=_body, headers=_rate_headers
        ),
        Reason.MISSING_TOKEN: oauth(400, "invalid_request", "The token parameter is missing."),
    }
)


def _new_token_id() -> str:
    return "AT." + random_text(32)


def _jwt_header(kid: str, alg: str) -> Members:
    # No typ: Okta's header has these two and nothing else.
    return {"kid": kid, "alg": alg}


def _claims(grant: Grant) -> Members:
    return {
        "ver": 1,
        "jti": grant.token_id,
        "iss": grant.issuer,
        "aud": grant.audience,
        "iat": grant.issued_at,
        "exp": grant.expires_at,
        "cid": grant.client_id,
        "scp": list(grant.scopes),
        "sub": grant.client_id,
    }


def _token_response(grant: Grant, value: str) -> Members:
    return {
        "token_type": "Bearer",
        "expires_in": grant.expires_at - grant.issued_at,
        "access_token": value,
        "scope": " ".join(grant.scopes),
    }


def _introspection(token: Members, client_id: str | None, scopes: tuple[str, ...]) -> Members:
    # Without username and uid, which are a user's.
    known = ("exp", "iat", "sub", "aud", "iss", "jti")
    return {
        "active": True,
        "token_type": "Bearer",
        "scope": " ".join(scopes),
        "client_id": client_id,
        **{name: token[name] for name in known if name in token},
    }


OKTA = Dialect(
    name="okta",
    token_path="/v1/token",
    jwks_path="/v1/keys",
    introspection_path="/v1/introspect",
    revocation_path="/v1/revoke",
    unserved={
        "authorization_endpoint": "/v1/authorize",
        "registration_endpoint": "/v1/clients",
        "end_session_endpoint": "/v1/logout",
        "device_authorization_endpoint": "/v1/device/authorize",
        "pushed_authorization_request_endpoint": "/v1/par",
    },
    errors=_ERRORS,
    content_type="application/json;charset=UTF-8",
    error_headers={"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"},
    jwks_headers={"Cache-Control": "max-age=3832304, must-revalidate"},
    resource_parameter=False,
    api_realm=None,
    signing_algs=("RS256",),
    new_token_id=_new_token_id,
    jwt_header=_jwt_header,
    claims=_claims,
    client_claim="cid",
    scope_claim="scp",
    token_response=_token_response,
    introspection=_introspection,
    metadata_members={
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["public"],
        # uid is a user's, and in no token of client credentials.
        "claims_supported": ["ver", "jti", "iss", "aud", "iat", "exp", "cid", "uid", "scp", "sub"],
        "code_challenge_methods_supported": ["S256"],
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": ["RS256"],
    },
)
