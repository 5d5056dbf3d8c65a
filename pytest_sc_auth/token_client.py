"""A client of the token endpoint, as a careful program has one; it knows nothing of the fake server."""

import base64
import datetime
import math
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any
from urllib.parse import quote_plus, urlsplit

import requests
from requests.auth import AuthBase

from pytest_sc_auth.bearer_auth import BearerAuth
from pytest_sc_auth.token_response import AccessToken, TokenError, invalid, read_token

__all__ = ["TokenClient"]


def _form_encoded(client_id: str, client_secret: str) -> str:
    return f"{quote_plus(client_id)}:{quote_plus(client_secret)}"


def _raw(client_id: str, client_secret: str) -> str:
    return f"{client_id}:{client_secret}"


_ENCODINGS: Mapping[str, Callable[[str, str], str]] = MappingProxyType({"form": _form_encoded, "raw": _raw})


class _ClientAuth(AuthBase):
    """Authenticate the client by HTTP Basic (RFC 6749, section 2.3.1).

    As an `auth` object, not a header: requests would replace a header by an entry of ~/.netrc. It refuses
    redirects, too: requests reads a Location though it is not to follow it, and raises ValueError for a broken one.
    """

    def __init__(self, credentials: str) -> None:
        self.encoded = base64.b64encode(credentials.encode()).decode()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Basic {self.encoded}"
        request.register_hook("response", _refuse_redirect)  # type: ignore[no-untyped-call]  # in types-requests
        return request


def _refuse_redirect(response: requests.Response, **kwargs: Any) -> None:
    if response.is_redirect:
        response.close()
        raise invalid("the token endpoint redirects, which is not followed: the secret would go along", response)


class TokenClient:
    """Get tokens by client credentials (RFC 6749, section 4.4), keep them, and renew them in time.

    - `scope`: words parted by blanks; None asks for the server's default.
    - `timeout`: seconds to wait for the connection, and for each part of the answer.
    - `leeway`: how many seconds before its expiry a token is renewed; never more than half its lifetime.
    - `session`: the `requests.Session` to use, which stays the caller's; without one, an own one is made.
    - `encoding`: of id and secret in the Basic header: `form` as RFC 6749 section 2.3.1 demands, or
      `raw` for a server that does not decode them.

    Safe to share between threads. Raises ValueError for a URL or a value that cannot be used.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        scope: str | None = None,
        *,
        timeout: float = 10,
        leeway: float = 30,
        session: requests.Session | None = None,
        encoding: str = "form",
    ) -> None:
        __tracebackhide__ = True
        _check_types(token_url=token_url, client_id=client_id, client_secret=client_secret, scope=scope or "")
        _check(token_url, client_id, timeout, leeway, encoding)
        self.token_url = token_url
        self.client_id = client_id
        self.scope = scope
        self.timeout = timeout
        self.leeway = leeway
        self._secret = client_secret
        self._client_auth = _ClientAuth(_ENCODINGS[encoding](client_id, client_secret))
        self._session = requests.Session() if session is None else session
        self._owns_session = session is None
        self._lock = threading.Lock()
        self._cached: tuple[AccessToken, float | None] | None = None
        self._attempts = 0
        # What the last attempt's TokenError said; the error itself would keep its caller's objects alive.
        self._failure: tuple[Any, ...] | None = None

    def __repr__(self) -> str:
        return f"<TokenClient {self.client_id!r} of {_public(self.token_url)}, scope {self.scope!r}>"

    def __enter__(self) -> "TokenClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless the session is the caller's."""
        if self._owns_session:
            self._session.close()

    @property
    def auth(self) -> BearerAuth:
        """An `auth` for requests that sends the token and renews it."""
        return BearerAuth(self)

    def token(self) -> AccessToken:
        """Return a token that is good for more than the leeway, from the cache or the server.

        However many threads ask at once, one request is made, and its failure is everybody's.
        Raises TokenError.
        """
        __tracebackhide__ = True
        attempts = self._attempts
        token = self._good_token()
        if token is not None:
            return token
        with self._lock:
            token = self._good_token()
            if token is not None:
                return token
            if self._failure is not None and self._attempts != attempts:
                raise TokenError(*self._failure)
            return self._fetch()

    def fetch(self) -> AccessToken:
        """Return a new token from the server, whatever the cache holds. Raises TokenError."""
        __tracebackhide__ = True
        with self._lock:
            return self._fetch()

    def forget(self, value: str | None = None) -> None:
        """Drop the cached token; where a value is given, only if it is that one."""
        with self._lock:
            if value is None or (self._cached is not None and self._cached[0].value == value):
                self._cached = None

    def _good_token(self) -> AccessToken | None:
        cached = self._cached
        if cached is None:
            return None
        token, renew_at = cached
        return token if renew_at is None or _wall_time() < renew_at else None

    def _fetch(self) -> AccessToken:
        __tracebackhide__ = True
        asked_at = _wall_time()
        self._failure = None
        try:
            response = self._post()
            token, lifetime = read_token(response, scope=self.scope, asked_at=asked_at, hide=self._without_secret)
        except TokenError as error:
            self._failure = error.args
            # Without its cause and the frames below: they hold the secret and the token, and pytest would show them.
            error.__context__ = None
            raise error.with_traceback(None) from None
        finally:
            self._attempts += 1
        renew_at = None if lifetime is None else asked_at + lifetime - min(self.leeway, lifetime / 2)
        self._cached = token, renew_at
        return token

    def _post(self) -> requests.Response:
        __tracebackhide__ = True
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        url = _public(self.token_url)
        handled = sys.exc_info()[1]
        try:
            return self._session.post(
                self.token_url,
                data=form,
                auth=self._client_auth,
                headers={"Accept": "application/json"},
                timeout=self.timeout,
                allow_redirects=False,  # the secret must not go where the server points
            )
        except requests.RequestException as error:
            if error.response is not None:  # a hook of the caller's session has raised an error for its status
                return error.response
            cause = _innermost(error, handled)
            # An answer that stops halfway is a ConnectionError to requests.
            if isinstance(error, requests.Timeout) or isinstance(cause, TimeoutError):
                raise TokenError("timeout", f"no answer from {url} within {self.timeout:g} s") from error
            # What the system said; the other texts of the chain may hold the URL's query, or what was sent.
            reason = (cause.strerror if isinstance(cause, OSError) else None) or _raised_by(cause)
            raise TokenError("connection_failed", f"{url} did not answer: {reason}") from error

    def _without_secret(self, text: str) -> str:
        for shape in (self._client_auth.encoded, quote_plus(self._secret), self._secret):
            text = text.replace(shape, "…") if shape else text
        return text


def _check_types(**texts: object) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            kind = type(text).__name__  # the value may be a secret
            raise ValueError(f"{name} is no text, but of the type {kind}: is the setting that holds it set?")


def _check(token_url: str, client_id: str, timeout: float, leeway: float, encoding: str) -> None:
    parts = urlsplit(token_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"token_url {_public(token_url)!r} is not an http or https URL")
    if parts.fragment:
        raise ValueError("token_url must not have a fragment (RFC 6749, section 3.2)")
    if not client_id:
        raise ValueError("client_id must not be empty")
    are_numbers = all(isinstance(it, (int, float)) and not isinstance(it, bool) for it in (timeout, leeway))
    if not (are_numbers and 0 < timeout < math.inf and leeway >= 0):
        raise ValueError(f"timeout={timeout!r} must be above 0 and leeway={leeway!r} not below 0 seconds")
    if encoding not in _ENCODINGS:
        raise ValueError(f"encoding={encoding!r} is not known; there are {', '.join(_ENCODINGS)}")
    if encoding == "raw" and ":" in client_id:
        raise ValueError("a client_id with a colon cannot be sent raw (RFC 7617, section 2); use encoding='form'")


def _public(url: str) -> str:
    """Return a URL without what may be secret in it: user, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _wall_time() -> float:
    # Not time.time(): freezegun answers that from a pool thread with the real time.
    return datetime.datetime.now().timestamp()


def _innermost(error: BaseException, handled: BaseException | None) -> BaseException:
    """Return where a chain of errors began, but for `handled`, which the caller was at when it asked for a token."""
    while error.__context__ is not None and error.__context__ is not handled:
        error = error.__context__
    return error


def _raised_by(error: BaseException) -> str:
    """Return an error's type and the package that raised it: it may be a mock that stands in the network's place."""
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return " raised by ".join([type(error).__name__, *(module.partition(".")[0] for module in modules[-1:])])
