"""What a token request asks for, and whether it may (RFC 6749, sections 3.2, 3.3 and 4.4.2)."""

import re
from collections import Counter
from collections.abc import Mapping
from urllib.parse import parse_qsl

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wrappers import Request

from fake_server.clients import RegisteredClient
from fake_server.refusals import Reason, Refusal

__all__ = ["MAX_BODY", "check_grant_type", "grant_scopes", "read_body", "read_form"]

MAX_BODY = 64 * 1024
_FORM = "application/x-www-form-urlencoded"
_GRANT_TYPE = "client_credentials"
# RFC 6749, appendix A.4
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")
# OpenID Connect Core, sections 3.1.2.1, 5.4 and 11: scopes that speak of a user, whom this grant does not have.
_OPENID_SCOPES = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})


def read_form(request: Request) -> dict[str, str]:
    """Return the parameters of a form body, the empty ones left out as RFC 6749 section 3.2 demands.

    Raises Refusal for another content type, a body that is too large, cut short or not UTF-8, and
    a parameter that is there twice.
    """
    _check_content_type(request)
    try:
        pairs = parse_qsl(_read_text(request), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise Refusal(Reason.BODY_NOT_UTF8, "a parameter's percent-encoded octets are not UTF-8") from error
    name, times = Counter(name for name, _ in pairs).most_common(1)[0] if pairs else ("", 0)
    if times > 1:
        raise Refusal(Reason.DUPLICATED_PARAMETER, f"the body has {name!r:.60} {times} times; send it once")
    return {name: value for name, value in pairs if value}


def _check_content_type(request: Request) -> None:
    if not request.mimetype:
        raise Refusal(Reason.MISSING_CONTENT_TYPE, f"the request has no Content-Type header; send {_FORM}")
    if request.mimetype != _FORM:
        raise Refusal(
            Reason.WRONG_CONTENT_TYPE, f"the body is announced as {request.mimetype!r:.60}; a token request is {_FORM}"
        )


def read_body(request: Request) -> bytes:
    """Return the body, and keep it in the request. Raises Refusal when it is cut short."""
    try:
        return request.get_data(cache=True)
    except ClientDisconnected as error:
        raise Refusal(Reason.BODY_CUT_SHORT, "the body ended before its Content-Length was reached") from error


def _read_text(request: Request) -> str:
    # One octet more than allowed: werkzeug cuts a body without Content-Length off at its limit, and says nothing.
    request.max_content_length = MAX_BODY + 1
    try:
        body = read_body(request)
        if len(body) > MAX_BODY:
            raise RequestEntityTooLarge
        return body.decode()
    except RequestEntityTooLarge as error:
        raise Refusal(Reason.BODY_TOO_LARGE, f"the body is larger than {MAX_BODY} octets") from error
    except UnicodeDecodeError as error:
        raise Refusal(Reason.BODY_NOT_UTF8, f"octet {error.start} of the body is not UTF-8") from error


def check_grant_type(form: Mapping[str, str], client: RegisteredClient) -> None:
    """Raise Refusal unless the grant type is client_credentials and this client may use it."""
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise Refusal(
            Reason.MISSING_GRANT_TYPE,
            f"the body has no grant_type; send grant_type={_GRANT_TYPE}",
            client_id=client.client_id,
        )
    if grant_type != _GRANT_TYPE:
        raise Refusal(
            Reason.UNSUPPORTED_GRANT_TYPE,
            f"grant_type is {grant_type!r:.60}; this server knows {_GRANT_TYPE}, in lower case",
            client_id=client.client_id,
        )
    if grant_type not in client.grant_types:
        raise Refusal(
            Reason.GRANT_TYPE_NOT_ALLOWED,
            f"{client.client_id!r} is registered for {', '.join(client.grant_types) or 'no grant type'}",
            client_id=client.client_id,
        )


def grant_scopes(
    scope: str | None, client: RegisteredClient, *, known: tuple[str, ...], default: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the scopes to grant, in the order asked for, each once.

    `scope` is the parameter as it came, `known` what the server has, `default` what an absent one
    stands for. Raises Refusal for none at all, one that is malformed, not known, or not for this client.
    """

    def refuse(reason: Reason, diagnosis: str) -> Refusal:
        return Refusal(reason, diagnosis, client_id=client.client_id)

    if scope is None:
        if not default:
            raise refuse(
                Reason.MISSING_SCOPE,
                f"the body has no scope and the server no default_scopes; send scope={' '.join(known)}",
            )
        scopes = default
    elif not _SCOPE.fullmatch(scope):
        raise refuse(Reason.MALFORMED_SCOPE, f"scope {scope!r:.60} is not a list of words parted by one space each")
    else:
        scopes = tuple(dict.fromkeys(scope.split(" ")))
    for name in scopes:
        if name in known:
            if name not in client.scopes:
                raise refuse(
                    Reason.SCOPE_NOT_ALLOWED,
                    f"{client.client_id!r} may have {' '.join(client.scopes) or 'no scope'}, not {name!r}",
                )
        elif name in _OPENID_SCOPES:
            raise refuse(Reason.OPENID_SCOPE, f"{name!r} speaks of a user, whom client_credentials does not have")
        else:
            raise refuse(
                Reason.UNKNOWN_SCOPE, f"{name!r:.60} is not a scope of this server, which has {' '.join(known)}"
            )
    return scopes
