"""The responses door: `requests` calls to production URLs are answered by a test's server, without a socket."""

import inspect
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

import requests
import responses
from requests.adapters import HTTPAdapter
from responses.registries import OrderedRegistry
from urllib3 import Retry
from urllib3.exceptions import HTTPError, MaxRetryError

from fake_server import AuthorizationServer
from pytest_sc_auth.entrance import Entrance
from pytest_sc_auth.servers import NeighbourError

__all__ = ["Interception"]

_LOOPBACK = re.compile(r"https?://(127\.[0-9.]+|localhost|\[::1\])([:/?#]|$)", re.IGNORECASE)
_HOST = r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"
_LISTED = re.compile(rf"((?P<scheme>https?)://)?(?P<host>{_HOST})(?P<port>:[0-9]+)?(?P<path>/\S*)?", re.IGNORECASE)


class Interception:
    """Answer `requests` calls to servers' published URLs without a socket, while there are such servers.

    Every responses mock takes part, whenever it starts and ends: a response of its own wins, the servers answer what
    it has none for, loopback and listed URLs pass, and it refuses all others, as responses does, naming the URL.
    Where none is active, one of ours is. Of two servers with the same URL the later one answers.
    """

    def __init__(self) -> None:
        self._entrances: dict[AuthorizationServer, Entrance] = {}
        self._passing: dict[AuthorizationServer, tuple[re.Pattern[str], ...]] = {}
        self._ground: _Ground | None = None
        self._hooked: dict[str, Any] = {}

    def add(
        self,
        server: AuthorizationServer,
        token_url: str | None = None,
        api_url: str | None = None,
        *,
        mock: Any = None,
        passthrough: Iterable[str] = (),
    ) -> None:
        """Publish a server's URLs, which it answers from now on; URLs that begin with one of `passthrough` pass.

        Raises ValueError for what is no URL, a first call without any, a `mock` that is not active and a `passthrough`
        that is no host and no URL, NeighbourError where requests-mock stands before responses; and changes nothing.
        """
        _check_requests_mock()
        _check_active(mock)
        is_one = isinstance(passthrough, str) or not isinstance(passthrough, Iterable)
        beginnings = list(map(_beginning, (passthrough,) if is_one else passthrough))
        if token_url is None and api_url is None and server not in self._entrances:
            raise ValueError("sc_auth_intercept needs a URL to answer: token_url, api_url or both")
        server.publish(token_url=token_url, api_url=api_url)
        if not self._hooked:
            self._hook()
        self._passing[server] = (*self._passing.get(server, ()), *beginnings)
        self._entrances.pop(server, None)  # its place is the latest again
        self._entrances[server] = Entrance(server)
        self._settle()

    def remove(self, server: AuthorizationServer) -> None:
        """Let the calls to a server's URLs go where they went before. Without effect for one that was not added."""
        self._passing.pop(server, None)
        if self._entrances.pop(server, None) is not None:
            self._settle()

    def _settle(self) -> None:
        """See to it that a mock is active while there are servers, and that nothing of ours is left without any."""
        active = _active_mock()
        if self._entrances:
            if active is None:  # an earlier one of ours, if there is one, was displaced
                self._ground = _Ground(self._entrances)
                self._ground.start()
            return
        ground = self._ground
        if ground is not None and active is ground:
            self._ground = None
            ground.stop()
        elif getattr(HTTPAdapter.send, "__module__", None) == HTTPAdapter.__module__:  # ours was displaced
            self._ground = None
        # Below what another has put over it, ours is still there, and lets everything pass until that is gone.
        if self._ground is None:
            self._unhook()

    def _hook(self) -> None:
        """Stand where every mock looks for its response to a request, where it sends the answer, and where it ends."""
        hooks: dict[str, Any] = {"_find_match": self._find_match, "_on_request": self._send, "stop": self._stop}
        if missing := [name for name in hooks if not hasattr(responses.RequestsMock, name)]:
            raise NeighbourError(
                f"the installed responses has no RequestsMock.{missing[0]}, where sc_auth_intercept stands; take a "
                "version of responses that this pytest-sc-auth knows, or a newer pytest-sc-auth"
            )
        for name, hook in hooks.items():
            self._hooked[name] = getattr(responses.RequestsMock, name)
            setattr(responses.RequestsMock, name, _as_method(hook))

    def _find_match(self, mock: responses.RequestsMock, request: requests.PreparedRequest) -> Any:
        url = str(request.url)
        entrance = self._entrance_of(url)
        is_ours = entrance is not None or self._passes(url)
        if is_ours and not _may_be_asked(mock, request):
            found, reasons = None, []
        else:
            found, reasons = self._hooked["_find_match"](mock, request)
        if found is None and is_ours and entrance is None:
            raise _Passes
        return found or entrance, reasons

    def _send(
        self, mock: Any, adapter: HTTPAdapter, request: Any, *, retries: Retry | None = None, **settings: Any
    ) -> Any:
        """Send a request as often as the adapter's retries say; with `retries` it is responses that sends it again."""
        left = retries or adapter.max_retries
        while True:
            try:
                return self._hooked["_on_request"](mock, adapter, request, retries=left, **settings)
            except _Passes:
                break
            except (requests.ConnectionError, requests.ReadTimeout) as error:
                try:
                    left = _one_retry_less(left, error)
                except requests.RequestException as last:
                    if retries is None:
                        raise
                    raise _GivenUp(last) from None  # or the call that began it would count the error again
            except _GivenUp as given_up:
                if retries is None:
                    raise given_up.error from None
                raise
        return mock._real_send(adapter, request, **settings)

    def _stop(self, mock: responses.RequestsMock, allow_assert: bool = True) -> None:
        try:
            self._hooked["stop"](mock, allow_assert=allow_assert)
        finally:
            self._settle()

    def _unhook(self) -> None:
        for name, original in self._hooked.items():
            setattr(responses.RequestsMock, name, original)
        self._hooked = {}

    def _entrance_of(self, url: str) -> Entrance | None:
        entrances = self._entrances.copy().values()  # another thread may add or remove a server meanwhile
        return next((entrance for entrance in reversed(entrances) if entrance.leads_from(url)), None)

    def _passes(self, url: str) -> bool:
        listed = (pattern for patterns in self._passing.copy().values() for pattern in patterns)
        return bool(self._entrances) and any(pattern.match(url) for pattern in (_LOOPBACK, *listed))


class _Ground(responses.RequestsMock):
    """Be the mock where there is none other; without servers it lets everything pass."""

    def __init__(self, servers: Collection[AuthorizationServer]) -> None:
        super().__init__(assert_all_requests_are_fired=False)
        self._servers = servers

    def _on_request(self, adapter: Any, request: Any, *, retries: Any = None, **sent: Any) -> Any:
        self.calls.reset()  # nobody looks at them, and they hold what was sent
        if not self._servers:
            real_send: Any = self._real_send
            return real_send(adapter, request, **sent)
        return super()._on_request(adapter, request, retries=retries, **sent)


class _Passes(Exception):
    """Say that a request is to go out."""


class _GivenUp(Exception):
    """Carry the error of a request that is not to be tried again out of responses' own retries."""

    def __init__(self, error: requests.RequestException) -> None:
        self.error = error


def _as_method(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that a class gives its instance to."""
    return lambda mock, *arguments, **settings: hook(mock, *arguments, **settings)


def _may_be_asked(mock: responses.RequestsMock, request: requests.PreparedRequest) -> bool:
    """Tell whether a mock can look for a response of its own; one that keeps an order forgets it if asked in vain."""
    if not isinstance(mock.get_registry(), OrderedRegistry):
        return True
    return any(own.matches(request)[0] for own in mock.registered()[:1])


def _one_retry_less(retries: Retry, error: requests.RequestException) -> Retry:
    """Return what is left of the retries of a caller's adapter, or raise the error where it has none for it.

    As urllib3 counts at a socket, by the error of its own that requests' error carries; without its pauses.
    """
    cause = error.args[0] if error.args else None
    request = error.request
    if not isinstance(request, requests.PreparedRequest) or not isinstance(cause, HTTPError):
        raise error
    host: Any = urlsplit(str(request.url)).netloc  # urllib3 has a pool here, and only writes it down
    try:
        return retries.increment(request.method, request.path_url, error=cause, _pool=host)
    except MaxRetryError as exhausted:
        raise requests.ConnectionError(exhausted, request=request) from error
    except HTTPError:  # one that is not to be tried again
        raise error from None


def _beginning(entry: object) -> re.Pattern[str]:
    """Return what matches the URLs that begin with an entry; one without a path stands for its whole host."""
    found = _LISTED.fullmatch(entry) if isinstance(entry, str) else None
    if found is None:
        raise ValueError(
            f"passthrough={entry!r} cannot be used: it takes hosts and the beginnings of http or https URLs, such as "
            "'login.example.com' or 'https://api.example.com/v2/'"
        )
    scheme, host, port, path = found.group("scheme", "host", "port", "path")
    # A host ends where the URL does: https://host.example must not let https://host.example.org pass.
    end = re.escape(path) if path else "(?::[0-9]+)?(?=[/?#]|$)" if port is None else "(?=[/?#]|$)"
    return re.compile(f"(?i:{scheme or 'https?'}://{re.escape(host + (port or ''))}){end}")


def _check_active(mock: Any) -> None:
    given = getattr(mock, "mock", mock)  # the module stands for the mock that its functions are of
    if given is None:
        return
    if not isinstance(given, responses.RequestsMock):
        raise ValueError(f"mock={mock!r} cannot be used: it takes a responses.RequestsMock, or the module responses")
    if given._patcher is None:
        raise ValueError(
            "mock= is not active: start it before sc_auth_intercept, by @responses.activate or a with block"
        )


def _active_mock() -> responses.RequestsMock | None:
    # responses keeps no list of the mocks that are active; the function by which one replaced requests' own knows it.
    send = HTTPAdapter.send
    owner = inspect.getclosurevars(send).nonlocals.get("self") if inspect.isfunction(send) else None
    return owner if isinstance(owner, responses.RequestsMock) else None


def _check_requests_mock() -> None:
    send = requests.Session.send
    if send.__module__ == "requests_mock.mocker" and not inspect.getclosurevars(send).nonlocals["self"].real_http:
        raise NeighbourError(
            "requests-mock answers every request before sc_auth_intercept can; set real_http=True on it first, as in "
            "requests_mock.real_http = True: what neither of them knows is refused all the same"
        )
