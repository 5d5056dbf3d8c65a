"""The dialect of Microsoft Entra ID, version 2.0 of its token endpoint and tokens.

Statuses, codes and members are its documentation's and recordings'; the descriptions are this project's own, in
the frame that Entra puts around them. What is not on record (duplicates, credentials sent twice or in the query, a
header that cannot be decoded, another scheme, the status of a GET, a disabled client, another grant type than the
client's, bad assertions) is answered as RFC 6749 has it. Headers that carry an id of the request are left out.
"""

import datetime
import functools
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType

from fake_server.dialects.dialect import Dialect, no_challenge
from fake_server.dialects.identifiers import random_text
from fake_server.dialects.terms import ErrorAnswer, Grant, Members
from fake_server.refusals import Reason

__all__ = ["ENTRA", "entra_tenant"]

_TENANT = "6f1c2d84-9b3e-4a57-8d20-c5e7f01a9b36"
# What the vendor answers with in place of a page of its own.
_ERROR_PAGE = "https://login.microsoftonline.com/error?code="


def _body(code: int, *, has_page: bool) -> Callable[[ErrorAnswer, datetime.datetime], Members]:
    def body(answer: ErrorAnswer, now: datetime.datetime) -> Members:
        trace, correlation, timestamp = str(uuid.uuid4()), str(uuid.uuid4()), f"{now:%Y-%m-%d %H:%M:%SZ}"
        lines = (
            f"AADSTS{code}: {answer.description}",
            f"Trace ID: {trace}",
            f"Correlation ID: {correlation}",
            f"Timestamp: {timestamp}",
        )
        return {
            "error": answer.error,
            # RFC 6749 allows no line ends here; Entra sends them.
            "error_description": "\r\n".join(lines),
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            **({"error_uri": f"{_ERROR_PAGE}{code}"} if has_page else {}),
        }

    return body


def _aadsts(status: int, error: str, code: int, description: str, *, has_page: bool = False) -> ErrorAnswer:
    return ErrorAnswer(status=status, error=error, description=description, body=_body(code, has_page=has_page))


def _missing(parameter: str) -> ErrorAnswer:
    return _aadsts(400, "invalid_request", 900144, f"The body has no parameter '{parameter}'.", has_page=True)


_ERRORS: Mapping[Reason, ErrorAnswer] = MappingProxyType(
    {
        # Seen for a body of JSON: no parameter is found in it. Its announced type alone is not on record.
        Reason.MISSING_CONTENT_TYPE: _missing("grant_type"),
        Reason.WRONG_CONTENT_TYPE: _missing("grant_type"),
        Reason.NO_CREDENTIALS: _missing("client_id"),
        Reason.MISSING_SECRET: _aadsts(
            401, "invalid_client", 7000218, "The body has neither 'client_assertion' nor 'client_secret'."
        ),
        Reason.UNKNOWN_CLIENT: _aadsts(
            400, "unauthorized_client", 700016, "The tenant has no application of this id.", has_page=True
        ),
        Reason.WRONG_SECRET: _aadsts(
            401, "invalid_client", 7000215, "The client secret is not the right one.", has_page=True
        ),
        Reason.MISSING_GRANT_TYPE: _missing("grant_type"),
        Reason.UNSUPPORTED_GRANT_TYPE: _aadsts(
            400, "unsupported_grant_type", 70003, "The grant type is not supported."
        ),
        Reason.MISSING_SCOPE: _missing("scope"),
        Reason.MALFORMED_SCOPE: _aadsts(400, "invalid_scope", 70011, "The scope is not valid."),
        Reason.SCOPE_WITHOUT_RESOURCE: _aadsts(
            400, "invalid_scope", 1002012, "A scope of client credentials is the resource's id and '/.default'."
        ),
        # The documentation has its status and number; the code is RFC 6749's.
        Reason.MULTIPLE_RESOURCES: _aadsts(400, "invalid_scope", 700022, "The scope names more than one resource."),
        Reason.UNKNOWN_RESOURCE: _aadsts(
            400, "invalid_resource", 500011, "The tenant has no resource of this name.", has_page=True
        ),
    }
)

_HEADERS = {
    "Cache-Control": "no-store, no-cache",
    "Pragma": "no-cache",
    "Expires": "-1",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}


def _new_token_id() -> str:
    return random_text(16)


def _jwt_header(kid: str, alg: str) -> Members:
    return {"typ": "JWT", "alg": alg, "kid": kid}


def _claims(tenant: str, grant: Grant) -> Members:
    # The service principal: an id of its own, the same in all tokens of the client.
    principal = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}/{grant.client_id}"))
    return {
        "aud": grant.audience,
        "iss": grant.issuer,
        "iat": grant.issued_at,
        "nbf": grant.issued_at,
        "exp": grant.expires_at,
        "aio": random_text(30),
        "azp": grant.client_id,
        "azpacr": "2" if grant.client_auth == "private_key_jwt" else "1",
        "idp": grant.issuer,
        "oid": principal,
        "rh": f"1.{random_text(30)}.",
        **({"roles": list(grant.scopes)} if grant.scopes else {}),
        "sub": principal,
        "tid": tenant,
        "uti": grant.token_id,
        "ver": "2.0",
    }


def _token_response(grant: Grant, value: str) -> Members:
    # Entra counts from a second before it answers.
    expires_in = max(grant.expires_at - grant.issued_at - 1, 0)
    return {"token_type": "Bearer", "expires_in": expires_in, "ext_expires_in": expires_in, "access_token": value}


def entra_tenant(tenant: str) -> Dialect:
    """Return the dialect of one tenant, whose id its paths and its tokens have.

    With the id of your own tenant, `login.microsoftonline.com`'s URLs can be intercepted.
    """
    return Dialect(
        name="entra",
        issuer_path=f"/{tenant}/v2.0",
        token_path=f"/{tenant}/oauth2/v2.0/token",
        jwks_path=f"/{tenant}/discovery/v2.0/keys",
        introspection_path=None,
        revocation_path=None,
        unserved={
            "authorization_endpoint": f"/{tenant}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"/{tenant}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"/{tenant}/oauth2/v2.0/logout",
        },
        errors=_ERRORS,
        challenge=no_challenge,
        content_type="application/json; charset=utf-8",
        token_headers=_HEADERS,
        error_headers=_HEADERS,
        resource_scopes=True,
        resource_parameter=False,
        signing_algs=("RS256",),
        new_token_id=_new_token_id,
        jwt_header=_jwt_header,
        claims=functools.partial(_claims, tenant),
        client_claim="azp",
        scope_claim="roles",
        token_response=_token_response,
        metadata_members={
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "request_uri_parameter_supported": False,
            "http_logout_supported": True,
            "frontchannel_logout_supported": True,
        },
    )


ENTRA = entra_tenant(_TENANT)
