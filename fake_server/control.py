"""One server's methods over HTTP, for tests that run in another process, in whichever language."""

import dataclasses
import datetime
import enum
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from fake_server.api import json_response, made_response
from fake_server.clients import RegisteredClient
from fake_server.fault_queue import ArmedFault
from fake_server.options import nearest
from fake_server.server import AuthorizationServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Control"]

# What the methods raise for arguments that they do not take; JSON may have any type in any place.
_MISTAKES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def _of_client(method: str) -> Callable[[AuthorizationServer], Callable[..., Any]]:
    def bind(server: AuthorizationServer) -> Callable[..., Any]:
        def call(client_id: str, **given: Any) -> Any:
            return getattr(server.clients[server.credentials_of(client_id).client_id], method)(**given)

        return call

    return bind


# What a POST does, by its path: the method that gets the members of the body as its arguments.
_ACTIONS: Mapping[str, Callable[[AuthorizationServer], Callable[..., Any]]] = {
    "register": lambda server: server.register,
    "clients/disable": _of_client("disable"),
    "clients/enable": _of_client("enable"),
    "clients/rotate_secret": _of_client("rotate_secret"),
    "mint": lambda server: server.mint,
    "revoke": lambda server: server.revoke,
    "expire": lambda server: server.expire,
    "expire_all": lambda server: server.expire_all,
    "rotate_keys": lambda server: server.rotate_keys,
    "fail": lambda server: server.fail,
    "clear_faults": lambda server: server.clear_faults,
    "hold": lambda server: server.hold,
    "release": lambda server: server.release,
    "clock/advance": lambda server: server.clock.advance,
    "clock/move_to": lambda server: server.clock.move_to,
    "clock/freeze": lambda server: server.clock.freeze,
    "clock/unfreeze": lambda server: server.clock.unfreeze,
    "api/route": lambda server: server.api.route,
    "assert_token_requests": lambda server: server.assert_token_requests,
    "assert_single_flight": lambda server: server.assert_single_flight,
    "assert_renewed_once": lambda server: server.assert_renewed_once,
    "assert_no_hammering": lambda server: server.assert_no_hammering,
}
# What a GET tells, by its path.
_READINGS: Mapping[str, Callable[[AuthorizationServer], Any]] = {
    "bent_rules": lambda server: server.bent_rules,
    "clients": lambda server: list(server.clients.values()),
    "clock": lambda server: {"now": server.clock.now(), "is_frozen": server.clock.is_frozen},
    "journal": lambda server: list(server.journal),
    "journal/api": lambda server: list(server.api_requests),
    "journal/token": lambda server: list(server.token_requests),
    "unfired_faults": lambda server: server.unfired_faults,
}


class Control:
    """Be a WSGI application by which a test in another process has one server do what it would call itself.

    `POST /fail` with the JSON object `{"fault": "rate_limited", "times": 2}` is `server.fail("rate_limited", times=2)`;
    `GET /journal` is `server.journal`, and `GET /` lists all there is. What a method returns is the answer's
    `result`. A mistake is answered by 400, an assertion that fails by 409, each with a `message`. Whoever knows
    its URL can have tokens: it is for loopback, or for a path that nobody can guess.
    """

    def __init__(self, server: AuthorizationServer) -> None:
        self._server = server

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        name = request.path.strip("/")
        if not name:
            return _result({"GET": sorted(_READINGS), "POST": sorted(_ACTIONS)})
        if name in _ACTIONS:
            return self._act(name, request) if request.method == "POST" else _refuse_method(name, "POST")
        if name in _READINGS:
            return _result(_READINGS[name](self._server)) if request.method == "GET" else _refuse_method(name, "GET")
        return _mistake(f"there is no {name!r:.60}; {nearest(name, [*_ACTIONS, *_READINGS])}", 404)

    def _act(self, name: str, request: Request) -> Response:
        method = _ACTIONS[name](self._server)
        try:
            arguments = _read_arguments(request.get_data())
            inspect.signature(method).bind(**arguments)
            return _result(method(**arguments))
        except AssertionError as error:
            return json_response({"error": "assertion_failed", "message": str(error)}, 409)
        except _MISTAKES as error:
            return _mistake(f"{name}: {error}", 400)


def _read_arguments(body: bytes) -> dict[str, Any]:
    try:
        arguments = json.loads(body or b"{}")
    except (RecursionError, ValueError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ValueError("the body is not a JSON object, whose members are the arguments")
    return arguments


def _result(value: Any) -> Response:
    return made_response(json.dumps({"result": value}, default=_plain), 200, "application/json")


def _mistake(message: str, status: int) -> Response:
    return json_response({"error": "invalid_request", "message": message}, status)


def _refuse_method(name: str, allowed: str) -> Response:
    response = _mistake(f"{name} takes {allowed} only", 405)
    response.headers["Allow"] = allowed
    return response


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a value: of a client its settings, of an exchange its facts."""
    if isinstance(value, RegisteredClient):
        names = ("client_id", "client_secret", "scopes", "token_lifetime", "grant_types", "enabled")
        return {name: getattr(value, name) for name in names}
    if isinstance(value, ArmedFault):
        return {"fault": value.name, "endpoint": value.endpoint, "fired": value.fired, "optional": value.optional}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
