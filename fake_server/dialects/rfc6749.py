"""The standards' own dialect, which is every other's starting point.

Statuses and codes are RFC 6749's, section 5.2; the token is RFC 9068's, introspection RFC 7662's,
revocation RFC 7009's and the metadata RFC 8414's.
"""

import datetime
from collections.abc import Mapping
from types import MappingProxyType

from fake_server.dialects.identifiers import random_text
from fake_server.dialects.terms import ErrorAnswer, Grant, Members, ServerFacts
from fake_server.refusals import Reason

__all__ = ["ERRORS", "claims", "introspection", "jwt_header", "metadata", "new_token_id", "oauth", "token_response"]


def oauth(status: int, error: str, description: str) -> ErrorAnswer:
    """Return an answer with the members of RFC 6749, section 5.2."""
    return ErrorAnswer(status=status, error=error, description=description, body=_body)


def _body(answer: ErrorAnswer, _now: datetime.datetime) -> Members:
    return {"error": answer.error, "error_description": answer.description}


# One answer for an unknown client and a wrong secret: who guesses must not learn which it was.
_NO_CLIENT = oauth(401, "invalid_client", "The client is unknown, or its credentials are wrong.")
_UNREADABLE = oauth(401, "invalid_client", "The Authorization header cannot be decoded.")
_NO_FORM = oauth(400, "invalid_request", "The body must be application/x-www-form-urlencoded.")
_BAD_ASSERTION = oauth(401, "invalid_client", "The client_assertion is not accepted.")
_BAD_SCOPE = oauth(400, "invalid_scope", "The scope is unknown, malformed, or not for this client.")

ERRORS: Mapping[Reason, ErrorAnswer] = MappingProxyType(
    {
        Reason.NOT_FOUND: oauth(404, "not_found", "There is nothing at this address."),
        Reason.METHOD_NOT_ALLOWED: oauth(405, "invalid_request", "This endpoint does not take the request's method."),
        Reason.NOT_SERVED: oauth(501, "not_implemented", "This fake server does not have the endpoint."),
        Reason.MISSING_CONTENT_TYPE: _NO_FORM,
        Reason.WRONG_CONTENT_TYPE: _NO_FORM,
        # RFC 9110, section 15.5.14
        Reason.BODY_TOO_LARGE: oauth(413, "invalid_request", "The body is larger than this endpoint takes."),
        Reason.BODY_CUT_SHORT: oauth(400, "invalid_request", "The body is shorter than announced."),
        Reason.BODY_NOT_UTF8: oauth(400, "invalid_request", "The body is not encoded in UTF-8."),
        Reason.DUPLICATED_PARAMETER: oauth(400, "invalid_request", "A parameter occurs more than once."),
        Reason.NO_CREDENTIALS: oauth(401, "invalid_client", "The request carries no client credentials."),
        Reason.MISSING_SECRET: oauth(401, "invalid_client", "The request carries no client credentials."),
        Reason.CREDENTIALS_IN_QUERY: oauth(400, "invalid_request", "Client credentials may not be in the query."),
        Reason.MULTIPLE_CREDENTIALS: oauth(400, "invalid_request", "The request carries client credentials twice."),
        Reason.WRONG_SCHEME: oauth(401, "invalid_client", "The Authorization scheme is not supported."),
        Reason.MALFORMED_BASIC: _UNREADABLE,
        Reason.BASIC_WITHOUT_COLON: _UNREADABLE,
        Reason.AUTH_METHOD_NOT_ALLOWED: oauth(401, "invalid_client", "The client did not authenticate as it must."),
        Reason.UNKNOWN_CLIENT: _NO_CLIENT,
        Reason.WRONG_SECRET: _NO_CLIENT,
        Reason.DISABLED_CLIENT: _NO_CLIENT,
        # RFC 7521, section 4.2, and RFC 7523, section 3.2
        Reason.WRONG_ASSERTION_TYPE: oauth(400, "invalid_request", "The client_assertion_type is not supported."),
        Reason.MALFORMED_ASSERTION: _BAD_ASSERTION,
        Reason.ASSERTION_WRONG_ALGORITHM: _BAD_ASSERTION,
        Reason.ASSERTION_BAD_SIGNATURE: _BAD_ASSERTION,
        Reason.ASSERTION_WRONG_ISSUER: _BAD_ASSERTION,
        Reason.ASSERTION_WRONG_AUDIENCE: _BAD_ASSERTION,
        Reason.ASSERTION_EXPIRED: _BAD_ASSERTION,
        Reason.ASSERTION_NOT_YET_VALID: _BAD_ASSERTION,
        Reason.ASSERTION_TOO_LONG: _BAD_ASSERTION,
        Reason.ASSERTION_REPLAYED: _BAD_ASSERTION,
        Reason.MISSING_GRANT_TYPE: oauth(400, "invalid_request", "The grant_type parameter is missing."),
        Reason.UNSUPPORTED_GRANT_TYPE: oauth(400, "unsupported_grant_type", "The grant_type is not supported."),
        Reason.GRANT_TYPE_NOT_ALLOWED: oauth(400, "unauthorized_client", "The client may not use this grant_type."),
        Reason.MISSING_SCOPE: oauth(400, "invalid_scope", "The scope parameter is missing and has no default."),
        Reason.MALFORMED_SCOPE: _BAD_SCOPE,
        Reason.OPENID_SCOPE: _BAD_SCOPE,
        Reason.UNKNOWN_SCOPE: _BAD_SCOPE,
        Reason.SCOPE_NOT_ALLOWED: _BAD_SCOPE,
        Reason.SCOPE_WITHOUT_RESOURCE: _BAD_SCOPE,
        Reason.MULTIPLE_RESOURCES: _BAD_SCOPE,
        # RFC 8707, section 2
        Reason.UNKNOWN_RESOURCE: oauth(400, "invalid_target", "The resource is not one of this server's."),
        Reason.CLAIMS_FAILED: oauth(500, "server_error", "The test's own claims raised an exception."),
        Reason.MALFORMED_REQUEST: oauth(400, "invalid_request", "The request is malformed."),
        Reason.POLICY_DENIED: oauth(400, "access_denied", "The policy denies the request."),
        Reason.SERVER_FAULT: oauth(500, "server_error", "The server met an unexpected condition."),
        Reason.UNAVAILABLE: oauth(503, "temporarily_unavailable", "The server cannot answer at present."),
        # RFC 6585, section 4, has no code for the body.
        Reason.RATE_LIMITED: oauth(429, "temporarily_unavailable", "Too many requests came."),
        Reason.REDIRECTED: ErrorAnswer(status=307, error="", description="", body=lambda _answer, _now: {}),
        Reason.REDIRECT_FOLLOWED: oauth(400, "invalid_request", "This is not the token endpoint."),
        # RFC 7009, section 2.1, names no code: RFC 6749's for a grant "issued to another client".
        Reason.MISSING_TOKEN: oauth(400, "invalid_request", "The token parameter is missing."),
        Reason.TOKEN_OF_ANOTHER_CLIENT: oauth(400, "invalid_grant", "The token was issued to another client."),
    }
)


def new_token_id() -> str:
    """Return an id that no other token has."""
    return random_text(24)


def jwt_header(kid: str, alg: str) -> Members:
    """Return the JOSE header of RFC 9068, section 2.1."""
    return {"typ": "at+jwt", "alg": alg, "kid": kid}


def claims(grant: Grant) -> Members:
    """Return the claims of RFC 9068, section 2.2."""
    return {
        "iss": grant.issuer,
        "exp": grant.expires_at,
        "aud": grant.audience,
        "sub": grant.client_id,
        "client_id": grant.client_id,
        "iat": grant.issued_at,
        "jti": grant.token_id,
        "scope": " ".join(grant.scopes),
    }


def token_response(grant: Grant, value: str) -> Members:
    """Return the members of RFC 6749, section 5.1."""
    return {
        "access_token": value,
        "token_type": "Bearer",
        "expires_in": grant.expires_at - grant.issued_at,
        "scope": " ".join(grant.scopes),
    }


def introspection(token: Members, client_id: str | None, scopes: tuple[str, ...]) -> Members:
    """Return what RFC 7662, section 2.2, tells of an active token, from its claims."""
    known = ("exp", "iat", "nbf", "sub", "aud", "iss", "jti")
    return {
        "active": True,
        "scope": " ".join(scopes),
        "client_id": client_id,
        "token_type": "Bearer",
        **{name: token[name] for name in known if name in token},
    }


def metadata(facts: ServerFacts) -> Members:
    """Return the document of RFC 8414, section 2."""
    methods = list(facts.client_auth)
    algs = list(facts.assertion_algs) if "private_key_jwt" in methods else []
    auth: Members = {}
    # Revocation's too: left out, its methods would be client_secret_basic alone.
    for name in ("token", "introspection", "revocation"):
        if f"{name}_endpoint" in facts.endpoints:
            auth[f"{name}_endpoint_auth_methods_supported"] = methods
            auth |= {f"{name}_endpoint_auth_signing_alg_values_supported": algs} if algs else {}
    return {
        "issuer": facts.issuer,
        **facts.endpoints,
        "response_types_supported": ["code"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": list(facts.scopes),
        **auth,
    }
