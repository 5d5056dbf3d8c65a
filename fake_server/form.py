"""The form in a request's body, as the token endpoint and its siblings take it (RFC 6749, section 3.2)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, quote

from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.utils import cached_property
from werkzeug.wrappers import Request

from fake_server.diagnoses import why_missing_parameter
from fake_server.environ import BODY, UNDERSCORED
from fake_server.refusals import Reason, Refusal, said

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["FORM", "MAX_BODY", "Form", "FormRequest", "read_body", "read_form"]

_ASCII = bytes(range(128))
MAX_BODY = 64 * 1024
_NOTHING: MultiDict[str, str] = ImmutableMultiDict()
FORM = "application/x-www-form-urlencoded"


class FormRequest(Request):
    """Read the form in a request's body once, for all who look at it; and any octets in its query."""

    def __init__(self, environ: "WSGIEnvironment") -> None:
        super().__init__(environ)
        if not self.query_string.isascii():  # werkzeug raises for what a client should have percent-encoded
            self.query_string = quote(self.query_string, safe=_ASCII).encode()

    @property
    def query(self) -> MultiDict[str, str]:
        """The parameters of the query, which most requests do not have."""
        return self.args if self.query_string else _NOTHING

    @cached_property
    def body(self) -> bytes:
        """The body, as a door has read it, or from the stream. Raises HTTPException as `get_data` does."""
        body: bytes | None = self.environ.get(BODY)
        if body is not None and self.environ["CONTENT_LENGTH"] == str(len(body)):
            return body
        return self.get_data(cache=True)

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """The names and values in their order. Raises UnicodeDecodeError, and HTTPException as `body` does."""
        return parse_qsl(self.body.decode(), keep_blank_values=True, errors="strict")


class Form(NamedTuple):
    """Hold the parameters of a body, and what tells why one is not there: the body's text and the query's names."""

    parameters: Mapping[str, str]
    text: str
    query: frozenset[str]

    def why_missing(self, name: str) -> str:
        """Say why there is no parameter of that name."""
        return why_missing_parameter(name, self.text, self.query) or f"the body has no {name}"


def read_form(request: FormRequest, *, joins_duplicates: bool = False, refuses_nul: bool = False) -> Form:
    """Return a form, the empty parameters left out as RFC 6749 section 3.2 demands.

    A parameter that is there twice is refused, or read as one that is joined by a comma. Raises Refusal for
    that, another content type, and a body that is too large, cut short or not UTF-8.
    """
    _check_content_type(request)
    text = _read_text(request)
    try:
        pairs = request.pairs
    except UnicodeDecodeError as error:
        raise Refusal(Reason.BODY_NOT_UTF8, "a parameter's percent-encoded octets are not UTF-8") from error
    if refuses_nul and any("\0" in value for _, value in pairs):
        raise Refusal(Reason.MALFORMED_REQUEST, "a parameter of the body has a NUL in it")
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters and not joins_duplicates:
            times = sum(other == name for other, _ in pairs)
            way = "send it once, its words parted by blanks" if name == "scope" else "send it once"
            raise Refusal(Reason.DUPLICATED_PARAMETER, f"the body has {said(name)} {times} times; {way}")
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    present = {name: value for name, value in parameters.items() if value}
    return Form(present, text, frozenset(request.query))


def _check_content_type(request: Request) -> None:
    mimetype = request.mimetype
    if mimetype == FORM:
        return
    if mimetype:
        way = "; in requests and httpx pass data=, not json=" if mimetype == "application/json" else ""
        raise Refusal(Reason.WRONG_CONTENT_TYPE, f"the body is announced as {said(mimetype)}; send {FORM}{way}")
    misnamed = next((name for name in request.environ.get(UNDERSCORED, ()) if name.lower() == "content_type"), None)
    cause = f"; {misnamed}, with an underscore, is another header" if misnamed else ""
    raise Refusal(Reason.MISSING_CONTENT_TYPE, f"the request has no Content-Type header; send {FORM}{cause}")


def read_body(request: Request) -> bytes:
    """Return the body, and keep it in the request. Raises Refusal when it is cut short."""
    try:
        return request.get_data(cache=True)
    except ClientDisconnected as error:
        raise _cut_short() from error


def _cut_short() -> Refusal:
    return Refusal(Reason.BODY_CUT_SHORT, "the body ended before its Content-Length was reached")


def _read_text(request: FormRequest) -> str:
    # One octet more than allowed: werkzeug cuts a body without Content-Length off at its limit, and says nothing.
    request.max_content_length = MAX_BODY + 1
    try:
        body = request.body
        if len(body) > MAX_BODY:
            raise RequestEntityTooLarge
        return body.decode()
    except ClientDisconnected as error:
        raise _cut_short() from error
    except RequestEntityTooLarge as error:
        raise Refusal(Reason.BODY_TOO_LARGE, f"the body is larger than {MAX_BODY} octets") from error
    except UnicodeDecodeError as error:
        raise Refusal(Reason.BODY_NOT_UTF8, f"octet {error.start} of the body is not UTF-8") from error
