"""What a token request asks for, and whether it may (RFC 6749, sections 3.3 and 4.4.2)."""

import re
from collections.abc import Collection

from fake_server.clients import RegisteredClient
from fake_server.diagnoses import why_malformed_scope, why_no_scope
from fake_server.form import Form
from fake_server.options import Options
from fake_server.refusals import Reason, Refusal, said

__all__ = ["check_grant_type", "check_resource", "grant_scopes"]

_GRANT_TYPE = "client_credentials"
_RESOURCE_SCOPE = "/.default"
# RFC 6749, appendix A.4
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")
# OpenID Connect Core, sections 3.1.2.1, 5.4 and 11: scopes that speak of a user, whom this grant does not have.
_OPENID_SCOPES = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})


def check_grant_type(form: Form, client: RegisteredClient) -> None:
    """Raise Refusal unless the grant type is client_credentials and this client may use it."""
    grant_type = form.parameters.get("grant_type")
    if grant_type is None:
        raise Refusal(Reason.MISSING_GRANT_TYPE, f"{form.why_missing('grant_type')}; send grant_type={_GRANT_TYPE}")
    if grant_type != _GRANT_TYPE:
        raise Refusal(
            Reason.UNSUPPORTED_GRANT_TYPE,
            f"grant_type is {said(grant_type)}; this server knows {_GRANT_TYPE} only, in lower case",
        )
    if grant_type not in client.grant_types:
        raise Refusal(
            Reason.GRANT_TYPE_NOT_ALLOWED,
            f"{client.client_id!r} is registered for {', '.join(client.grant_types) or 'no grant type'}, "
            f"not for {_GRANT_TYPE}",
        )


def check_resource(form: Form, known: Collection[str]) -> None:
    """Raise Refusal when the token is asked for another resource than the API (RFC 8707, section 2)."""
    resource = form.parameters.get("resource")
    if resource is not None and resource not in known:
        raise Refusal(
            Reason.UNKNOWN_RESOURCE,
            f"resource is {said(resource, 120)}; this server has {' and '.join(map(repr, known))}",
        )


def grant_scopes(form: Form, client: RegisteredClient, options: Options) -> tuple[str, ...]:
    """Return the scopes to grant, in the order asked for, each once.

    Raises Refusal for none at all, one that is malformed, not known, or not for this client.
    """
    scope, dialect = form.parameters.get("scope"), options.spoken()
    if scope is not None and not _SCOPE.fullmatch(scope):
        raise Refusal(
            Reason.MALFORMED_SCOPE,
            f"scope {said(scope)} is not words parted by one space each: {why_malformed_scope(scope)}",
        )
    default = options.default_scopes or (client.scopes if dialect.grants_all_scopes else ())
    if scope is None and (dialect.resource_scopes or not default):
        # The dialect whose scopes name a resource has no use for defaults.
        default_too = "" if dialect.resource_scopes else ", and the server has no default_scopes"
        send = dialect.scope_to_ask(client.scopes or options.scopes, options.audience)
        raise Refusal(Reason.MISSING_SCOPE, f"{form.why_missing('scope')}{default_too}; send scope={send}")
    asked = default if scope is None else tuple(dict.fromkeys(scope.split(" ")))
    if dialect.resource_scopes:
        _check_resource_scopes(asked, options.audience)
        return client.scopes
    api = (options.audience,) if dialect.audience_scope else ()
    for name in asked:
        _check_scope(name, client, known=options.scopes + api, allowed=client.scopes + api, audience=options.audience)
    return asked


def _check_scope(
    name: str, client: RegisteredClient, *, known: tuple[str, ...], allowed: tuple[str, ...], audience: str
) -> None:
    if name in allowed:
        return
    if name in known:
        raise Refusal(
            Reason.SCOPE_NOT_ALLOWED,
            f"{client.client_id!r} may have {' '.join(client.scopes) or 'no scope'}, not {name!r}",
        )
    if name in _OPENID_SCOPES:
        raise Refusal(Reason.OPENID_SCOPE, f"{name!r} speaks of a user, whom client_credentials does not have")
    cause = why_no_scope(name, known, audience)
    raise Refusal(
        Reason.UNKNOWN_SCOPE,
        f"{said(name)} is not a scope of this server, which has {' '.join(known)}" + (f"; {cause}" if cause else ""),
    )


def _check_resource_scopes(asked: tuple[str, ...], audience: str) -> None:
    for name in asked:
        if not name.endswith(_RESOURCE_SCOPE):
            raise Refusal(
                Reason.SCOPE_WITHOUT_RESOURCE, f"scope is {said(name)}; send scope={audience}{_RESOURCE_SCOPE}"
            )
    if len(asked) > 1:
        raise Refusal(Reason.MULTIPLE_RESOURCES, f"scope names {len(asked)} resources; a token is for one of them")
    resource = asked[0].removesuffix(_RESOURCE_SCOPE)
    if resource not in (audience, f"api://{audience}"):
        raise Refusal(Reason.UNKNOWN_RESOURCE, f"the scope's resource is {said(resource)}; the API is {audience!r}")
