"""The protected resource: a Smart API that takes Bearer tokens (RFC 6750) and answers what the test tells it."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.wrappers import Request, Response

from fake_server.diagnoses import why_not_bearer, why_two_tokens
from fake_server.form import FORM, read_body
from fake_server.jose import Claims, compact_json
from fake_server.refusals import Reason, Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug.routing import Map

__all__ = ["CHALLENGES", "Answer", "ProtectedApi", "bearer_token", "json_response", "made_response", "sendable"]

# A callable gets the request and the token's claims, and the rule's variables by name.
Answer = Callable[..., Any]
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Challenge:
    """State how the API refuses; without an error the challenge is bare, or names the realm alone."""

    status: int
    error: str | None = None
    description: str | None = None

    def header(self, scope: str, realm: str | None) -> str:
        """Return the value of WWW-Authenticate (RFC 6750, section 3, which wants one parameter at least)."""
        parameters = {"error": self.error, "error_description": self.description} if self.error else {"realm": realm}
        if self.error == "insufficient_scope":
            parameters["scope"] = scope
        text = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)
        return f"Bearer {text}".rstrip()


def _invalid(description: str) -> Challenge:
    return Challenge(401, "invalid_token", description)


# What the Smart API itself sends is not on record: this is RFC 6750, section 3.1, and no body.
CHALLENGES: Mapping[Reason, Challenge] = {
    Reason.NO_TOKEN: Challenge(401),
    Reason.BODY_CUT_SHORT: Challenge(400, "invalid_request", "The body is shorter than announced"),
    Reason.MULTIPLE_TOKENS: Challenge(400, "invalid_request", "The request carries more than one access token"),
    Reason.MALFORMED_TOKEN: _invalid("The access token is malformed"),
    Reason.WRONG_ALGORITHM: _invalid("The access token is malformed"),
    Reason.WRONG_TOKEN_TYPE: _invalid("The access token is of another type"),
    Reason.UNKNOWN_SIGNING_KEY: _invalid("The access token cannot be verified"),
    Reason.BAD_SIGNATURE: _invalid("The access token cannot be verified"),
    Reason.FOREIGN_TOKEN: _invalid("The access token is from another issuer"),
    Reason.WRONG_AUDIENCE: _invalid("The access token is for another audience"),
    Reason.EXPIRED_TOKEN: _invalid("The access token expired"),
    Reason.TOKEN_NOT_YET_VALID: _invalid("The access token is not valid yet"),
    Reason.REVOKED_TOKEN: _invalid("The access token was revoked"),
    Reason.TOKEN_OF_DISABLED_CLIENT: _invalid("The access token was revoked"),
    Reason.SERVER_FAULT: Challenge(500),
    Reason.UNAVAILABLE: Challenge(503),
    Reason.RATE_LIMITED: Challenge(429),
    Reason.INSUFFICIENT_SCOPE: Challenge(403, "insufficient_scope", "The access token has not the scope needed"),
}


def bearer_token(request: Request) -> str:
    """Return the token that a request presents (RFC 6750, section 2).

    Raises Refusal for none, for one that is not in the Authorization header, and for more than one.
    """
    header = request.headers.get("Authorization")
    elsewhere = [place for place, values in _other_places(request).items() if "access_token" in values]
    if header is None:
        if not elsewhere:
            raise Refusal(Reason.NO_TOKEN, "the request has no Authorization header")
        raise Refusal(Reason.NO_TOKEN, f"the token came in the {elsewhere[0]}; send Authorization: Bearer <token>")
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Refusal(Reason.NO_TOKEN, why_not_bearer(header))
    if elsewhere:
        raise Refusal(Reason.MULTIPLE_TOKENS, f"a token came in the Authorization header and in the {elsewhere[0]}")
    if "," in token:
        raise Refusal(Reason.MULTIPLE_TOKENS, why_two_tokens(token))
    if not token.strip():
        raise Refusal(Reason.NO_TOKEN, "nothing follows Bearer in the Authorization header")
    return token.strip()


def _other_places(request: Request) -> Mapping[str, Mapping[str, str]]:
    read_body(request)  # kept, so that a route can read it again
    request.max_form_memory_size = None
    form = request.form if request.mimetype == FORM else {}  # RFC 6750, section 2.2
    return {"URL's query": request.args, "body": form}


def json_response(members: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with these members as compact JSON."""
    return made_response(compact_json(members), status, "application/json", headers)


def made_response(text: str, status: int, content_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with this text; an empty one has no type."""
    response = _MadeResponse(text, status, headers, content_type=content_type)
    if not text:
        del response.headers["Content-Type"]
    return response


class _MadeResponse(Response):
    """A response of one text whose headers are complete when it is made: most are sent as they are."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if self.status_code != 200 or environ["REQUEST_METHOD"] == "HEAD" or not self.is_sequence:
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return self.response  # type: ignore[return-value]


def sendable(response: Response) -> Response:
    """Return a response of the test's own, its body made. Raises what that raises, and for what HTTP cannot carry.

    A door finds it out when the journal has its entry, and can but hang up.
    """
    response.make_sequence()
    if not all(isinstance(part, bytes) for part in response.response):
        raise TypeError("the body of a response is made of texts and octets")
    if not 200 <= response.status_code <= 999:
        raise ValueError(f"{response.status!r} is no status of an answer")
    head = "".join([response.status, *(text for header in response.headers for text in header)])
    try:
        head.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"HTTP cannot carry {head[error.start]!r} in a status or a header") from error
    return response


class ProtectedApi:
    """Be the API that the tokens are for: `url` is its base, and canned routes answer below it.

    Any path without a route answers 200 and shows the token's claims, so that a test can begin
    without any. The service description at `/description` needs no token.
    """

    def __init__(self, url: str, *, required_scope: str) -> None:
        self.url = url
        self.required_scope = required_scope
        self._lock = threading.Lock()
        self._routes: dict[tuple[str, str], Answer] = {}
        self._map: Map | None = None

    def __repr__(self) -> str:
        return f"<ProtectedApi {self.url}, {len(self._routes)} routes>"

    def route(
        self,
        method: str,
        rule: str,
        answer: Answer | None = None,
        *,
        json: Any = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer a method and a path, below the API's URL, from now on; a route that was there before is replaced.

        `rule` is a path with werkzeug's variables, such as `/Tags/<tag>`. The answer is `json` with `status`
        and `headers` (an empty body without `json`), or what `answer(request, claims, **variables)`
        returns: a werkzeug Response, or data that is sent as JSON. An exception in it is answered by a
        500 and fails the test at its end. Where two rules fit a path equally well, the later one answers.

        Raises ValueError for an unknown method, status or rule, TypeError for an answer that is no callable.
        """
        if not isinstance(method, str) or method.upper() not in _METHODS:
            raise ValueError(f"{method!r} is no method of a route; there are {', '.join(_METHODS)}")
        if not isinstance(rule, str) or not rule.startswith("/"):
            raise ValueError(f"the rule {rule!r} must begin with a slash; it is a path below {self.url}")
        if answer is None:
            answer = _canned(json, HTTPStatus(status), dict(headers or {}))
        elif json is not None or headers is not None or status != 200:
            raise ValueError("a callable makes the whole answer: pass no json, status or headers beside it")
        elif not callable(answer):
            raise TypeError(f"the answer, a {type(answer).__name__}, cannot be called; pass data as json=...")
        from werkzeug.routing import Map, Rule  # late: a suite that only gets tokens does without

        key = (method.upper(), rule)
        with self._lock:
            # The latest first: it wins over one that is there for the same paths.
            routes = {key: answer, **{other: self._routes[other] for other in self._routes if other != key}}
            rules = [Rule(path, methods=[verb], endpoint=(verb, path)) for verb, path in routes]
            try:
                new_map = Map(rules, strict_slashes=False, merge_slashes=False)
            except (LookupError, SyntaxError, TypeError, ValueError) as error:  # werkzeug's, each for its own mistake
                raise ValueError(f"the rule {rule!r} cannot be used: {error}") from error
            self._routes, self._map = routes, new_map

    def get(self, rule: str, answer: Answer | None = None, **canned: Any) -> None:
        """Answer GET on a path, as `route` does."""
        self.route("GET", rule, answer, **canned)

    def post(self, rule: str, answer: Answer | None = None, **canned: Any) -> None:
        """Answer POST on a path, as `route` does."""
        self.route("POST", rule, answer, **canned)

    def put(self, rule: str, answer: Answer | None = None, **canned: Any) -> None:
        """Answer PUT on a path, as `route` does."""
        self.route("PUT", rule, answer, **canned)

    def patch(self, rule: str, answer: Answer | None = None, **canned: Any) -> None:
        """Answer PATCH on a path, as `route` does."""
        self.route("PATCH", rule, answer, **canned)

    def delete(self, rule: str, answer: Answer | None = None, **canned: Any) -> None:
        """Answer DELETE on a path, as `route` does."""
        self.route("DELETE", rule, answer, **canned)

    def respond(self, request: Request, path: str, claims: Claims) -> Response:
        """Return the answer to an authorized request for a path below the API's URL."""
        try:
            if self._map is None:
                raise NotFound
            endpoint, variables = self._map.bind("").match(path, request.method)
        except NotFound:
            return json_response({"method": request.method, "path": path, "claims": claims})
        except MethodNotAllowed as error:
            allowed = ", ".join(sorted(error.valid_methods or ()))
            return json_response({"error": f"the test has routes for {allowed} here"}, 405, {"Allow": allowed})
        answer = self._routes[endpoint](request, claims, **variables)
        return sendable(answer) if isinstance(answer, Response) else json_response(answer)


def _canned(json: Any, status: int, headers: Mapping[str, str]) -> Answer:
    # Encoded once, when the route is made: what cannot be sent fails there, at the test's own line.
    text = "" if json is None else compact_json(json)

    def answer(*_: Any, **_variables: Any) -> Response:
        response = made_response(text, status, "application/json")
        response.headers.update(headers)
        return response

    try:
        sendable(answer())
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"the answer cannot be sent: {error}") from error
    return answer
