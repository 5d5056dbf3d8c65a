"""Every way in which a request can be refused."""

import enum
import re

__all__ = ["Reason", "Refusal", "clip", "said"]

# No `repr` has these characters.
_SAID = re.compile("\x02([0-9]+) (.*?)\x03", re.DOTALL)


def said(value: object, most: int = 60) -> str:
    """Return what a client said, for a diagnosis. It is marked, and cut to so many characters by `clip`.

    Half a secret would not be found: who shows a diagnosis takes the secrets out before.
    """
    return f"\x02{most} {value!r}\x03"


def clip(diagnosis: str) -> str:
    """Return a diagnosis in which all that a client said is cut to its length."""
    return _SAID.sub(lambda found: found[2][: int(found[1])], diagnosis)


class Reason(enum.Enum):
    """Say why a request was refused; the dialect decides how that looks on the wire."""

    # what HTTP asks of any request
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_SERVED = "not_served"
    MISSING_CONTENT_TYPE = "missing_content_type"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    BODY_TOO_LARGE = "body_too_large"
    BODY_CUT_SHORT = "body_cut_short"
    BODY_NOT_UTF8 = "body_not_utf8"
    DUPLICATED_PARAMETER = "duplicated_parameter"

    # who asks (RFC 6749, section 2.3)
    NO_CREDENTIALS = "no_credentials"
    MISSING_SECRET = "missing_secret"
    CREDENTIALS_IN_QUERY = "credentials_in_query"
    MULTIPLE_CREDENTIALS = "multiple_credentials"
    WRONG_SCHEME = "wrong_scheme"
    MALFORMED_BASIC = "malformed_basic"
    BASIC_WITHOUT_COLON = "basic_without_colon"
    AUTH_METHOD_NOT_ALLOWED = "auth_method_not_allowed"
    UNKNOWN_CLIENT = "unknown_client"
    WRONG_SECRET = "wrong_secret"
    DISABLED_CLIENT = "disabled_client"

    # a client that signs who it is (RFC 7521, section 4.2; RFC 7523, section 3)
    WRONG_ASSERTION_TYPE = "wrong_assertion_type"
    MALFORMED_ASSERTION = "malformed_assertion"
    ASSERTION_WRONG_ALGORITHM = "assertion_wrong_algorithm"
    ASSERTION_BAD_SIGNATURE = "assertion_bad_signature"
    ASSERTION_WRONG_ISSUER = "assertion_wrong_issuer"
    ASSERTION_WRONG_AUDIENCE = "assertion_wrong_audience"
    ASSERTION_EXPIRED = "assertion_expired"
    ASSERTION_NOT_YET_VALID = "assertion_not_yet_valid"
    ASSERTION_TOO_LONG = "assertion_too_long"
    ASSERTION_REPLAYED = "assertion_replayed"

    # what is asked for (RFC 6749, sections 3.3 and 4.4.2)
    MISSING_GRANT_TYPE = "missing_grant_type"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    GRANT_TYPE_NOT_ALLOWED = "grant_type_not_allowed"
    MISSING_SCOPE = "missing_scope"
    MALFORMED_SCOPE = "malformed_scope"
    OPENID_SCOPE = "openid_scope"
    UNKNOWN_SCOPE = "unknown_scope"
    SCOPE_NOT_ALLOWED = "scope_not_allowed"
    SCOPE_WITHOUT_RESOURCE = "scope_without_resource"
    MULTIPLE_RESOURCES = "multiple_resources"
    UNKNOWN_RESOURCE = "unknown_resource"

    # the token that is to be introspected or revoked (RFC 7662 and RFC 7009, sections 2.1)
    MISSING_TOKEN = "missing_token"
    TOKEN_OF_ANOTHER_CLIENT = "token_of_another_client"

    # the token at the API (RFC 6750, section 3.1)
    NO_TOKEN = "no_token"
    MULTIPLE_TOKENS = "multiple_tokens"
    MALFORMED_TOKEN = "malformed_token"
    WRONG_ALGORITHM = "wrong_algorithm"
    WRONG_TOKEN_TYPE = "wrong_token_type"
    UNKNOWN_SIGNING_KEY = "unknown_signing_key"
    BAD_SIGNATURE = "bad_signature"
    FOREIGN_TOKEN = "foreign_token"
    WRONG_AUDIENCE = "wrong_audience"
    EXPIRED_TOKEN = "expired_token"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    REVOKED_TOKEN = "revoked_token"
    TOKEN_OF_DISABLED_CLIENT = "token_of_disabled_client"
    INSUFFICIENT_SCOPE = "insufficient_scope"

    # what happens without the client's doing, when a test wants it
    MALFORMED_REQUEST = "malformed_request"
    POLICY_DENIED = "policy_denied"
    SERVER_FAULT = "server_fault"
    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    REDIRECTED = "redirected"
    REDIRECT_FOLLOWED = "redirect_followed"

    # a callable of the test's own raised an exception
    ROUTE_FAILED = "route_failed"
    CLAIMS_FAILED = "claims_failed"
    ANSWER_FAILED = "answer_failed"


class Refusal(Exception):
    """Refuse a request, for a reason that the wire may learn and a diagnosis that only the test's author reads.

    `client_id` is the registered client that asked, where that is known; `status` is the answer's, where it is not to
    be the dialect's own. No secret or token is in the diagnosis, but what a client `said` in the wrong place, which is
    whole in `uncut`.
    """

    def __init__(
        self, reason: Reason, diagnosis: str, *, client_id: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(f"{reason.value}: {clip(diagnosis)}")
        self.reason = reason
        self.diagnosis = clip(diagnosis)
        self.uncut = diagnosis
        self.client_id = client_id
        self.status = status
