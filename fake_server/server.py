"""The authorization server: clients, tokens, journal and clock behind one WSGI callable."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from werkzeug.http import http_date
from werkzeug.wrappers import Request, Response

from fake_server.clients import RegisteredClient, new_client_id, new_client_secret
from fake_server.endpoints import answer_api, answer_jwks, answer_metadata, answer_refusal, answer_token
from fake_server.journal import ExchangeLog
from fake_server.keys import KeySource
from fake_server.options import OptionError, Options
from fake_server.refusals import Reason, Refusal
from fake_server.state import ServerState

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["WELL_KNOWN", "AuthorizationServer", "Credentials"]

# RFC 8414, section 3, and OpenID Connect Discovery, section 4.
WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Hold what a client is configured with; the secret is left out of the `repr`."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    api_url: str


class _Endpoint(NamedTuple):
    name: str
    methods: tuple[str, ...]
    answer: Callable[[ServerState, Request], Response]


def _endpoints(state: ServerState) -> dict[str, _Endpoint]:
    base, dialect = state.base_path, state.dialect
    metadata = _Endpoint("other", ("GET", "HEAD"), answer_metadata)
    return {
        base + dialect.token_path: _Endpoint("token", ("POST",), answer_token),
        base + dialect.jwks_path: _Endpoint("other", ("GET", "HEAD"), answer_jwks),
        # Okta and others append the well-known name to the issuer, RFC 8414 inserts it before the path.
        **{base + name: metadata for name in WELL_KNOWN},
        **{name + base: metadata for name in WELL_KNOWN},
    }


class AuthorizationServer:
    """Be an OAuth 2.0 authorization server for client credentials, and the API that takes its tokens.

    It is a WSGI callable that knows no socket: a `Listener` serves it, `httpx.WSGITransport` or
    `werkzeug.test.Client` call it. `base_url` is where its users find it, and its issuer.
    All state is the instance's own.
    """

    def __init__(
        self, options: Options | None = None, *, base_url: str = "http://localhost", keys: KeySource | None = None
    ) -> None:
        self._state = state = ServerState(options or Options(), base_url.rstrip("/"), keys or KeySource())
        self.options = state.options
        self.issuer = state.issuer
        self.token_url = state.token_url
        self.jwks_uri = state.jwks_uri
        self.api = state.api
        self.clients = state.clients
        self.clock = state.clock
        self.journal = state.journal
        self.errors = state.errors
        self._endpoints = _endpoints(state)

    def __repr__(self) -> str:
        return f"<AuthorizationServer {self.issuer}, {len(self.clients)} clients, {self.journal.total} exchanges>"

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self.wsgi_app(environ, start_response)

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        request = Request(environ)
        # WSGI strings hold octets; the request's own path would lack the part that a mount took away.
        octets = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
        response = self._answer(request, octets.decode(errors="replace"))
        response.headers.setdefault("Date", http_date(self.clock.time()))
        return response(environ, start_response)

    def _answer(self, request: Request, path: str) -> Response:
        api_path = urlsplit(self.api.url).path
        if path == api_path or path.startswith(api_path + "/"):
            return answer_api(self._state, request, path.removeprefix(api_path))
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            diagnosis = f"{path[:200]!r} is no path of this server; its token URL is {self.token_url}"
            return answer_refusal(self._state, request, "other", Refusal(Reason.NOT_FOUND, diagnosis))
        if request.method not in endpoint.methods:
            allowed = ", ".join(endpoint.methods)
            refusal = Refusal(
                Reason.METHOD_NOT_ALLOWED, f"{request.method[:40]} came; this endpoint takes {allowed} only"
            )
            response = answer_refusal(self._state, request, endpoint.name, refusal)
            response.headers["Allow"] = allowed
            return response
        return endpoint.answer(self._state, request)

    # Clients

    def register(
        self,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        scopes: Iterable[str] | str | None = None,
        token_lifetime: int | None = None,
        grant_types: Iterable[str] | str = ("client_credentials",),
    ) -> RegisteredClient:
        """Register a client and return it.

        Id and secret are made where they are not given, `scopes` and `token_lifetime` (seconds) are
        the server's. Raises OptionError for a scope or lifetime that cannot be, ValueError for an id
        that is taken.
        """
        client = RegisteredClient(
            new_client_id() if client_id is None else client_id,
            new_client_secret() if client_secret is None else client_secret,
            scopes=self._known_scopes(self.options.scopes if scopes is None else scopes),
            token_lifetime=Options.read(
                "token_lifetime", self.options.token_lifetime if token_lifetime is None else token_lifetime
            ),
            grant_types=tuple(grant_types.split() if isinstance(grant_types, str) else grant_types),
        )
        self.clients.add(client)
        return client

    def credentials_of(self, client: RegisteredClient | str | None = None) -> Credentials:
        """Return what a client is to be configured with; the first registered one, unless given or named."""
        found = self._find_client(client)
        return Credentials(
            token_url=self.token_url,
            client_id=found.client_id,
            client_secret=found.client_secret,
            scope=" ".join(found.scopes),
            api_url=self.api.url,
        )

    def _find_client(self, client: RegisteredClient | str | None) -> RegisteredClient:
        if isinstance(client, RegisteredClient):
            if self.clients.get(client.client_id) is not client:
                raise ValueError(f"{client!r} is not registered here; there are {list(self.clients)}")
            return client
        if client is not None and client not in self.clients:
            raise ValueError(f"no client {client!r} is registered; there are {list(self.clients)}")
        if not self.clients:
            raise ValueError("no client is registered; call register() first")
        return self.clients[client or next(iter(self.clients))]

    def _known_scopes(self, scopes: Iterable[str] | str) -> tuple[str, ...]:
        words: tuple[str, ...] = Options.read("scopes", scopes)
        if unknown := [scope for scope in words if scope not in self.options.scopes]:
            raise OptionError(f"{unknown} are not scopes of this server, which has {list(self.options.scopes)}")
        return words

    # Tokens

    def mint(
        self,
        client: RegisteredClient | str | None = None,
        *,
        scope: str | None = None,
        lifetime: float | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return an access token without HTTP: the first registered client's, unless given or named.

        `scope` is any text of words parted by blanks, also one that the server would not grant, and
        `lifetime` any number of seconds, also a negative one. `claims` are set, or left out where None.
        """
        found = self._find_client(client)
        scopes = found.scopes if scope is None else tuple(scope.split())
        value, _ = self._state.issue(found, scopes, found.token_lifetime if lifetime is None else lifetime, claims)
        return value

    def revoke(self, token: str) -> None:
        """End a token as revoked. Raises ValueError unless this server issued it."""
        self._state.tokens.end(token, Reason.REVOKED_TOKEN)

    def expire(self, token: str) -> None:
        """End a token as expired, whatever its `exp` says. Raises ValueError unless this server issued it."""
        self._state.tokens.end(token, Reason.EXPIRED_TOKEN)

    def expire_all(self) -> None:
        """End every token issued so far as expired, whatever their `exp` say."""
        self._state.tokens.expire_all()

    def rotate_keys(self, *, publish_old: bool = True) -> None:
        """Sign with a new key from now on; tokens of the old one stay good only while it is published."""
        self._state.tokens.keys.rotate(publish_old=publish_old)

    # What was asked

    @property
    def token_requests(self) -> ExchangeLog:
        """The exchanges with the token endpoint, oldest first."""
        return self.journal.token_requests

    @property
    def api_requests(self) -> ExchangeLog:
        """The exchanges with the API, oldest first."""
        return self.journal.api_requests
