"""The dialect of an Okta custom authorization server, the one that the Smart API's documentation describes.

Statuses, error codes, members and their order are Okta's published error catalogue's and recordings'; the
descriptions are this project's own. Where no answer of Okta's is on record, RFC 6749's is sent and a
comment says so.
"""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fake_server.dialects.dialect import Dialect, ErrorAnswer, Grant, ServerFacts, oauth_error
from fake_server.refusals import Reason

__all__ = ["OKTA"]


def _okta_error(answer: ErrorAnswer) -> dict[str, Any]:
    """Return the body that Okta's own API has for errors, and the token endpoint for some."""
    return {
        "errorCode": answer.error,
        "errorSummary": answer.description,
        "errorLink": answer.error,
        "errorId": "oae" + secrets.token_urlsafe(16),
        "errorCauses": [],
    }


def _oauth(status: int, error: str, description: str) -> ErrorAnswer:
    return ErrorAnswer(status=status, error=error, description=description, body=oauth_error)


def _okta(status: int, error: str, description: str) -> ErrorAnswer:
    return ErrorAnswer(status=status, error=error, description=description, body=_okta_error)


_ERRORS: Mapping[Reason, ErrorAnswer] = MappingProxyType(
    {
        Reason.NOT_FOUND: _okta(404, "E0000007", "There is nothing at this address."),
        Reason.METHOD_NOT_ALLOWED: _okta(405, "E0000022", "This endpoint does not take the request's method."),
        Reason.MISSING_CONTENT_TYPE: _okta(400, "E0000021", "The request's Content-Type or Accept is not supported."),
        Reason.WRONG_CONTENT_TYPE: _okta(400, "E0000021", "The request's Content-Type or Accept is not supported."),
        # Okta's answers to these three are not on record: RFC 6749, and RFC 9110 section 15.5.14 for the size.
        Reason.BODY_TOO_LARGE: _oauth(413, "invalid_request", "The body is larger than this endpoint takes."),
        Reason.BODY_CUT_SHORT: _oauth(400, "invalid_request", "The body is shorter than announced."),
        Reason.BODY_NOT_UTF8: _oauth(400, "invalid_request", "The body is not encoded in UTF-8."),
        Reason.DUPLICATED_PARAMETER: _oauth(400, "invalid_request", "A parameter occurs more than once."),
        Reason.NO_CREDENTIALS: _oauth(401, "invalid_client", "The request carries no client credentials."),
        Reason.CREDENTIALS_IN_QUERY: _oauth(400, "invalid_request", "Client credentials may not be in the query."),
        # 401 with invalid_request is what Okta's catalogue and a recording have.
        Reason.MULTIPLE_CREDENTIALS: _oauth(401, "invalid_request", "The request carries client credentials twice."),
        # Okta's answer to another scheme is not on record.
        Reason.WRONG_SCHEME: _oauth(401, "invalid_client", "The Authorization scheme is not supported."),
        Reason.MALFORMED_BASIC: _oauth(401, "invalid_client", "The Authorization header cannot be decoded."),
        Reason.BASIC_WITHOUT_COLON: _oauth(401, "invalid_client", "The Authorization header cannot be decoded."),
        Reason.AUTH_METHOD_NOT_ALLOWED: _oauth(401, "invalid_client", "The client did not authenticate as it must."),
        Reason.UNKNOWN_CLIENT: _okta(401, "invalid_client", "The client_id is not a known one."),
        Reason.WRONG_SECRET: _oauth(401, "invalid_client", "The client_secret is not the right one."),
        # Okta's answer to a deactivated application is not on record.
        Reason.DISABLED_CLIENT: _oauth(401, "invalid_client", "The client is not active."),
        Reason.MISSING_GRANT_TYPE: _oauth(400, "invalid_request", "The grant_type parameter is missing."),
        Reason.UNSUPPORTED_GRANT_TYPE: _oauth(400, "unsupported_grant_type", "The grant_type is not supported."),
        Reason.GRANT_TYPE_NOT_ALLOWED: _oauth(400, "unauthorized_client", "The client may not use this grant_type."),
        Reason.MISSING_SCOPE: _oauth(400, "invalid_scope", "The scope parameter is missing and has no default."),
        # Okta's answer to a scope outside the grammar is not on record.
        Reason.MALFORMED_SCOPE: _oauth(400, "invalid_scope", "The scope is malformed."),
        Reason.OPENID_SCOPE: _oauth(400, "invalid_scope", "OpenID scopes are not for client credentials."),
        Reason.UNKNOWN_SCOPE: _oauth(400, "invalid_scope", "A scope is not one of this server's."),
        # access_denied, not invalid_scope: the access policy drops the scope.
        Reason.SCOPE_NOT_ALLOWED: _oauth(400, "access_denied", "The policy denies a scope to this client."),
    }
)


def _new_token_id() -> str:
    return "AT." + secrets.token_urlsafe(32)


def _jwt_header(kid: str, alg: str) -> dict[str, Any]:
    # No typ: Okta's header has these two and nothing else.
    return {"kid": kid, "alg": alg}


def _claims(grant: Grant) -> dict[str, Any]:
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


def _client_of(claims: dict[str, Any]) -> str | None:
    client_id = claims.get("cid")
    return client_id if isinstance(client_id, str) else None


def _scopes_of(claims: dict[str, Any]) -> tuple[str, ...]:
    scopes = claims.get("scp")
    return tuple(scopes) if isinstance(scopes, list) else ()


def _token_response(grant: Grant, value: str) -> dict[str, Any]:
    return {
        "token_type": "Bearer",
        "expires_in": grant.expires_at - grant.issued_at,
        "access_token": value,
        "scope": " ".join(grant.scopes),
    }


def _metadata(facts: ServerFacts) -> dict[str, Any]:
    return {
        "issuer": facts.issuer,
        "token_endpoint": facts.token_endpoint,
        "jwks_uri": facts.jwks_uri,
        "response_types_supported": ["token"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": list(facts.scopes),
        "token_endpoint_auth_methods_supported": list(facts.client_auth),
        "claims_supported": ["ver", "jti", "iss", "aud", "iat", "exp", "cid", "scp", "sub"],
    }


OKTA = Dialect(
    name="okta",
    token_path="/v1/token",
    jwks_path="/v1/keys",
    errors=_ERRORS,
    content_type="application/json;charset=UTF-8",
    error_headers={"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"},
    # The headers of Okta's success are not on record: these are RFC 6749's, section 5.1.
    token_headers={"Cache-Control": "no-store", "Pragma": "no-cache"},
    jwks_headers={"Cache-Control": "max-age=3832304, must-revalidate"},
    new_token_id=_new_token_id,
    jwt_header=_jwt_header,
    claims=_claims,
    client_of=_client_of,
    scopes_of=_scopes_of,
    token_response=_token_response,
    metadata=_metadata,
)
