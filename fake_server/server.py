"""The authorization server: clients, tokens, journal and clock behind one WSGI callable."""

import datetime
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from werkzeug.http import http_date
from werkzeug.wrappers import Response

from fake_server.answers import answer_failure
from fake_server.api import ProtectedApi
from fake_server.clients import ClientRegistry, RegisteredClient, new_client_id, new_client_secret
from fake_server.clock import Clock, duration
from fake_server.dialects import Grant
from fake_server.fault_queue import ArmedFault, Script
from fake_server.faults import DOWN, TransportFault
from fake_server.form import FormRequest
from fake_server.hidden import Hidden
from fake_server.journal import ExchangeLog, Journal
from fake_server.key_source import KeySource
from fake_server.keys import read_public_keys
from fake_server.made_once import made_once
from fake_server.options import OptionError, Options, read_grant_types
from fake_server.proof import check_no_hammering, check_renewed_once, check_single_flight, check_token_requests
from fake_server.refusals import Reason
from fake_server.routing import Router
from fake_server.state import ServerState

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["AuthorizationServer", "Credentials"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Credentials:
    """Hold what a client is configured with; the secret is left out of the `repr`.

    Comparing is its own, as pytest would show all the fields of dataclasses that compare themselves.
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    api_url: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and astuple(self) == astuple(other)

    def __hash__(self) -> int:
        return hash(astuple(self))


_date_header = functools.lru_cache(maxsize=1)(http_date)


class Door(Protocol):
    """Be a way by which requests reach a server, and which can be shut."""

    def shut(self) -> None:
        """Let nobody in."""

    def open(self) -> None:
        """Let everybody in again."""


class AuthorizationServer:
    """Be an OAuth 2.0 authorization server for client credentials, and the API that takes its tokens.

    It is a WSGI callable that knows no socket: a `Listener` serves it, `httpx.WSGITransport` or
    `werkzeug.test.Client` call it. `base_url` is where its users find it, and its issuer.
    All state is the instance's own. Raises ValueError for a base that is no URL.
    """

    def __init__(
        self, options: Options | None = None, *, base_url: str = "http://localhost", keys: KeySource | None = None
    ) -> None:
        if options is not None and not isinstance(options, Options):
            raise TypeError(
                f"options is a {type(options).__name__}; pass Options(token_lifetime=60), or Options(**mapping)"
            )
        self._state = ServerState(options or Options(), base_url, keys or KeySource())
        self.options = self._state.options
        self.errors = self._state.errors
        self.doors: list[Door] = []
        self.is_down = False
        self.ca_file: str | None = None

    def __repr__(self) -> str:
        return f"<AuthorizationServer {self.issuer}, {len(self.clients)} clients, {self.journal.total} exchanges>"

    @property
    def clients(self) -> ClientRegistry:
        """The registered clients by their id, in the order of registration."""
        return self._state.clients

    @property
    def api(self) -> ProtectedApi:
        """The API that the tokens are for."""
        return self._state.api

    @property
    def clock(self) -> Clock:
        """This server's time; moving it moves no other server's, nor the process's."""
        return self._state.clock

    @property
    def journal(self) -> Journal:
        """All that was asked and answered."""
        return self._state.journal

    @property
    def issuer(self) -> str:
        """The `iss` of the tokens, and where the metadata is found (RFC 8414, section 2)."""
        return self._state.addresses.issuer

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return self._state.addresses.token_url

    @property
    def jwks_uri(self) -> str:
        """Where the signing keys are published."""
        return self._state.addresses.jwks_uri

    @property
    def introspection_url(self) -> str | None:
        """The introspection endpoint; None in a dialect without one."""
        return self._state.addresses.introspection_url

    @property
    def revocation_url(self) -> str | None:
        """The revocation endpoint; None in a dialect without one."""
        return self._state.addresses.revocation_url

    def publish(self, *, token_url: str | None = None, api_url: str | None = None) -> None:
        """Tell clients other URLs from now on: in the metadata, the tokens and the credentials.

        Whoever gets these requests to the server, such as an interception, asks `path_of` for the path by which
        it knows them. Raises ValueError for what is no URL.
        """
        self._state.publish(token_url, api_url)

    def path_of(self, url: str) -> str | None:
        """Return the path by which the server routes one of its published URLs, or None for another's URL."""
        return self._state.addresses.path_of(url)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self.wsgi_app(environ, start_response)

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        request = FormRequest(environ)
        # WSGI strings hold octets; the request's own path would lack the part that a mount took away.
        octets = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
        if self.is_down:
            raise TransportFault(DOWN, Response(), self._state.waiting)
        path = octets.decode(errors="replace")
        try:
            response = self._router.answer(request, path)
        except TransportFault as disturbance:
            disturbance.response.headers.setdefault("Date", _date_header(int(self.clock.time())))
            raise
        except Exception as error:  # of a dialect or a callable of the test's own: the test is to learn of it
            self._state.keep_error(error)
            response = answer_failure(self._state, request, error)
        response.headers.setdefault("Date", _date_header(int(self.clock.time())))
        return response(environ, start_response)

    @made_once
    def _router(self) -> Router:
        return Router(self._state)

    # Clients

    def register(
        self,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        scopes: Iterable[str] | str | None = None,
        token_lifetime: int | None = None,
        grant_types: Iterable[str] | str = ("client_credentials",),
        public_key: str | bytes | Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | Callable[[Grant], Mapping[str, Any]] | None = None,
    ) -> RegisteredClient:
        """Register a client and return it.

        Id and secret are made where they are not given, `scopes` and `token_lifetime` (seconds) are
        the server's. A client with a `public_key` (JWK, JWK Set or PEM) signs who it is (private_key_jwt,
        RFC 7523), and has no secret unless one is given. `claims` are added to its tokens, as `Options.claims`.
        Raises OptionError for a scope, lifetime, grant type or claims that cannot be, ValueError for an id that
        is taken, a secret that cannot be or a key that cannot be read.
        """
        __tracebackhide__ = True
        public_keys = () if public_key is None else read_public_keys(public_key)
        if client_secret is None:
            client_secret = "" if public_keys else new_client_secret()
        client = RegisteredClient(
            new_client_id() if client_id is None else client_id,
            client_secret,
            scopes=self.options.scopes if scopes is None else self._known_scopes(scopes),
            token_lifetime=(
                self.options.token_lifetime
                if token_lifetime is None
                else Options.read("token_lifetime", token_lifetime)
            ),
            grant_types=read_grant_types(grant_types),
            public_keys=public_keys,
            claims={} if claims is None else Options.read("claims", claims),
        )
        self.clients.add(client)
        return client

    def credentials_of(self, client: RegisteredClient | str | None = None) -> Credentials:
        """Return what a client is to be configured with; the first registered one, unless given or named."""
        found = self._find_client(client)
        return Credentials(
            token_url=self.token_url,
            client_id=found.client_id,
            client_secret=Hidden(found.client_secret),
            scope=self._state.dialect.scope_to_ask(found.scopes, self.options.audience),
            api_url=self.api.url,
        )

    def _find_client(self, client: RegisteredClient | str | None) -> RegisteredClient:
        if isinstance(client, RegisteredClient):
            if self.clients.get(client.client_id) is not client:
                raise ValueError(f"{client!r} is not registered here; there are {list(self.clients)}")
            return client
        if client is not None and (not isinstance(client, str) or client not in self.clients):
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
        Raises ValueError or TypeError for what is none of these.
        """
        found = self._find_client(client)
        if scope is not None and not isinstance(scope, str):
            raise TypeError(f"scope={scope!r} cannot be used: it takes a text of words parted by blanks")
        issued = self._state.issue(
            found,
            found.scopes if scope is None else tuple(scope.split()),
            duration(found.token_lifetime if lifetime is None else lifetime),
            client_auth="private_key_jwt" if found.public_keys else "client_secret_basic",
            overrides={} if claims is None else Options.read("claims", claims),
        )
        return Hidden(issued.value)

    def revoke(self, token: str) -> None:
        """End a token as revoked. Raises ValueError unless this server issued it, TypeError for what is no text."""
        __tracebackhide__ = True
        self._state.tokens.end(token, Reason.REVOKED_TOKEN)

    def expire(self, token: str) -> None:
        """End a token as expired, whatever its `exp` says. Raises as `revoke` does."""
        __tracebackhide__ = True
        self._state.tokens.end(token, Reason.EXPIRED_TOKEN)

    def expire_all(self) -> None:
        """End every token issued so far as expired, whatever their `exp` say."""
        self._state.tokens.expire_all()

    def rotate_keys(self, *, publish_old: bool = True) -> None:
        """Sign with a new key from now on; tokens of the old one stay good only while it is published."""
        self._state.tokens.keys.rotate(publish_old=publish_old)

    # Trouble

    def fail(
        self,
        fault: Script,
        times: int | None = 1,
        on: str = "token",
        *,
        after: int = 0,
        until: datetime.datetime | float | str | None = None,
        optional: bool = False,
        **settings: Any,
    ) -> list[ArmedFault]:
        """Let the next requests at an endpoint, `token` or `api`, go wrong.

        `fault` is a name of the catalogue (`fake_server.FAULTS`), a status such as 503, a `Fault`, or a script: a
        sequence of these in which None or "good" is a request that goes well. Each fires `times` times, None for
        until it is cleared; `after` lets so many requests pass first. `until` ends it at an instant of the server's
        clock, before which it fires at each request unless `times` is more than one. `settings` are fields of the
        fault, such as `delay=0.2` or `retry_after=30`. A fault that never fires fails the test at its end, unless
        it is optional. Raises ValueError for what cannot be.
        """
        if until is not None and times == 1:
            times = None
        return self._state.faults.arm(
            fault, on=on, times=times, after=after, until=until, optional=optional, **settings
        )

    def clear_faults(self) -> None:
        """Disarm every fault; none of them fails the test any more."""
        self._state.faults.clear()

    @property
    def unfired_faults(self) -> list[ArmedFault]:
        """The faults that were armed, never fired, and are not optional."""
        return self._state.faults.unfired()

    def down(self) -> None:
        """Let nobody connect, as when the server is not running; other servers of the same listener go down, too."""
        self.is_down = True
        for door in self.doors:
            door.shut()

    def up(self) -> None:
        """Come back after `down`."""
        self.is_down = False
        for door in self.doors:
            door.open()

    def hold(self, number: int, moment: float = 0.2) -> None:
        """Keep the next token requests until so many have come, or a moment (seconds) has passed.

        Clients that ask at once are seen to do so, and one that asks once waits the moment.
        """
        self._state.flight.hold(number, moment)

    def release(self, *, and_later: bool = False) -> None:
        """End what faults hold up at present: slow answers and hung connections.

        With `and_later` also what they would hold up from now on, until the next release.
        """
        self._state.waiting.release(and_later=and_later)

    # Proof

    def assert_token_requests(self, number: int) -> None:
        """Check that there were so many token requests. Raises AssertionError, which lists them."""
        __tracebackhide__ = True
        check_token_requests(self.journal, number)

    def assert_single_flight(self) -> None:
        """Check that no token was asked for while one was under way, or fresh. Raises AssertionError, as all here."""
        __tracebackhide__ = True
        check_single_flight(self.journal)

    def assert_renewed_once(self) -> None:
        """Check for one renewal: a call refused with 401, one token request, the call with the new token, no loop."""
        __tracebackhide__ = True
        check_renewed_once(self.journal)

    def assert_no_hammering(self, *, min_interval: float) -> None:
        """Check that token requests are at least so many seconds apart, by the server's clock."""
        __tracebackhide__ = True
        check_no_hammering(self.journal, min_interval)

    @property
    def bent_rules(self) -> list[str]:
        """The rules of RFC 6749 and 6750 that clients bent, with the number of the exchange."""
        return [f"exchange {exchange.number}: {rule}" for exchange in self.journal for rule in exchange.bent_rules]

    @property
    def signing_secret(self) -> str | None:
        """The key that signs now, in base64url, where `signing_alg` is HS256; else None, and `jwks_uri` has it.

        No server publishes a shared key: who verifies such tokens must be given it.
        """
        return self._state.tokens.keys.shared_secret()

    # What was asked

    @property
    def token_requests(self) -> ExchangeLog:
        """The exchanges with the token endpoint, oldest first."""
        return self.journal.token_requests

    @property
    def api_requests(self) -> ExchangeLog:
        """The exchanges with the API, oldest first."""
        return self.journal.api_requests
