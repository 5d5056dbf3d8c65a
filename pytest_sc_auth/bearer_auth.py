"""How a token goes along with a request to the API, and a new one where the API wants no more of it (RFC 6750)."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import requests
from requests.auth import AuthBase

if TYPE_CHECKING:
    from pytest_sc_auth.token_client import TokenClient

__all__ = ["BearerAuth"]

# RFC 6750, section 3; another scheme's challenge may stand before it.
_INVALID_TOKEN = re.compile(r"""\bbearer\b.*\berror\s*=\s*"?invalid_token\b""", re.IGNORECASE | re.DOTALL)


class BearerAuth(AuthBase):
    """Send a client's token with each request, and once more with a new one when the API says invalid_token."""

    def __init__(self, client: "TokenClient") -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<BearerAuth of {self._client!r}>"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        __tracebackhide__ = True
        token = self._client.token().value
        header = f"Bearer {token}"
        request.headers["Authorization"] = header
        rewind = _rewinder(request.body)

        def renew(response: requests.Response, **kwargs: Any) -> requests.Response:
            __tracebackhide__ = True
            # A redirect to another host has lost the header, and must not get a token for its 401.
            is_own = response.request.headers.get("Authorization") == header
            if response.status_code != 401 or not is_own or not _says_invalid_token(response):
                return response
            self._client.forget(token)
            return self._send_again(response, **kwargs) if rewind() else response

        request.register_hook("response", renew)  # type: ignore[no-untyped-call]  # in types-requests
        return request

    def _send_again(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        __tracebackhide__ = True
        response.content  # noqa: B018  read to its end, so that the connection can be used again
        response.close()
        request = response.request.copy()
        request.headers["Authorization"] = f"Bearer {self._client.token().value}"
        # The adapter calls no hooks: a second 401 ends here.
        again: requests.Response = response.connection.send(request, **kwargs)
        again.history.append(response)
        again.request = request
        return again


def _says_invalid_token(response: requests.Response) -> bool:
    return _INVALID_TOKEN.search(response.headers.get("WWW-Authenticate", "")) is not None


def _rewinder(body: Any) -> Callable[[], bool]:
    """Return a function that makes a body ready to be sent again and tells whether it could."""
    if body is None or isinstance(body, (bytes, str)):
        return lambda: True
    try:
        start = body.tell()
    except (AttributeError, OSError):
        return lambda: False

    def rewind() -> bool:
        try:
            body.seek(start)
        except (AttributeError, OSError, ValueError):  # there is no way back, or the file is closed by now
            return False
        return True

    return rewind
