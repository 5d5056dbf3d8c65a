"""What can go wrong between a client and a server: the catalogue of faults.

A fault acts at one of four moments: it refuses the request, changes what is issued, rewrites the answer, or
disturbs the answer's way to the client.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from werkzeug.wrappers import Response

from fake_server.options import nearest
from fake_server.refusals import Reason
from fake_server.waiting import Waiting, is_delay

__all__ = ["DOWN", "ENDPOINTS", "FAULTS", "Fault", "TransportFault"]

ENDPOINTS = ("token", "api")
# What these fields of a fault can be.
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "kind": ("rejected", "transient", "malformed"),
    "issue": ("expired", "refused", "narrower"),
    "transport": ("slow", "hang", "connection_reset", "no_response", "cut_off", "dripping", "down"),
}
_DELAYED = ("slow", "dripping")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Be one thing that goes wrong: one of the catalogue `FAULTS`, or a test's own.

    - `name`: what it is called in the catalogue, in reports and in test ids.
    - `kind`: `rejected` (the server says no), `transient` (later it may work) or `malformed` (the answer is not
      what it should be).
    - `is_legal`: the answer is a right one all the same, and a client must live with it.
    - `endpoints`: where it can be armed, of `token` and `api`.
    - `reasons`: by endpoint, the reason for which the request is refused, in the dialect's own shape.
    - `rewrite`: makes another answer from the good one, a 200; it may change and return the one it gets.
    - `issue`: how the token differs: `expired`, `refused` or `narrower`.
    - `transport`: what happens on the way: `slow`, `hang`, `connection_reset`, `no_response`, `cut_off`, `dripping`.
    - `delay`: seconds that `slow` waits before the answer, and `dripping` after each octet.
    - `status`: of a refusal, where it is not to be the dialect's own.
    - `retry_after`: the seconds, or the date as HTTP writes it, of a refusal's Retry-After header; None for none.

    Raises ValueError for a value that a field does not take.
    """

    name: str
    kind: str
    is_legal: bool = False
    endpoints: tuple[str, ...] = ("token",)
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    rewrite: Callable[[Response], Response] | None = None
    issue: str | None = None
    transport: str | None = None
    delay: float = 0.0
    status: int | None = None
    retry_after: int | str | None = None

    def __post_init__(self) -> None:
        for name, known in _KNOWN.items():
            value = getattr(self, name)
            if value not in known and (value is not None or name == "kind"):
                raise ValueError(f"{name}={value!r} cannot be used; {nearest(str(value), known)}")
        if (
            not isinstance(self.endpoints, Collection)
            or not self.endpoints
            or not set(self.endpoints) <= set(ENDPOINTS)
        ):
            raise ValueError(f"endpoints={self.endpoints!r} cannot be used: it takes some of {', '.join(ENDPOINTS)}")
        if not isinstance(self.reasons, Mapping) or not all(isinstance(it, Reason) for it in self.reasons.values()):
            raise ValueError(f"reasons={self.reasons!r} cannot be used: it takes a Reason for an endpoint's name")
        if stray := sorted(set(self.reasons) - set(self.endpoints)):
            raise ValueError(f"reasons has {stray[0]!r}, which is none of the fault's endpoints {self.endpoints!r}")
        if self.status is not None and (not isinstance(self.status, int) or not 400 <= self.status <= 599):
            raise ValueError(f"status={self.status!r} cannot be used: a refusal has one from 400 to 599")
        if self.rewrite is not None and not callable(self.rewrite):
            raise ValueError(f"rewrite={self.rewrite!r} cannot be used: it takes a callable that gets a Response")
        if not is_delay(self.delay):
            raise ValueError(f"delay={self.delay!r:.60} cannot be used: it takes a number of seconds from 0")
        if not _is_retry_after(self.retry_after):
            raise ValueError(
                f"retry_after={self.retry_after!r} cannot be used: it takes a whole number of seconds from 0, or a text"
            )

    @property
    def needs_good_answer(self) -> bool:
        """Tell whether it changes an answer that there must be; a refused request is not the one it waits for."""
        return self.rewrite is not None or self.issue is not None

    def takes(self, setting: str) -> bool:
        """Tell whether a setting has an effect on it."""
        if setting == "delay":
            return self.transport in _DELAYED
        return bool(self.reasons) if setting in ("status", "retry_after") else True


def _is_retry_after(value: object) -> bool:
    if isinstance(value, str):
        return value.isprintable() and value.isascii()
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


class TransportFault(ConnectionError):
    """Tell the door to let an answer fail on its way; a door without a socket lets it through as an error.

    `response` is the answer that was to be sent, for those that send a part of it, and `waiting` holds up those
    that never come.
    """

    def __init__(self, fault: Fault, response: Response, waiting: Waiting) -> None:
        super().__init__(f"the test armed the fault {fault.name}")
        self.fault = fault
        self.response = response
        self.waiting = waiting


def _with_body(body: bytes, content_type: str | None = None) -> Callable[[Response], Response]:
    def rewrite(response: Response) -> Response:
        response.set_data(body)
        if content_type is not None:
            response.headers["Content-Type"] = content_type
        return response

    return rewrite


def _with_data(change: Callable[[bytes], bytes]) -> Callable[[Response], Response]:
    def rewrite(response: Response) -> Response:
        response.set_data(change(response.get_data()))
        return response

    return rewrite


def _with_members(change: Callable[[dict[str, Any]], Any]) -> Callable[[Response], Response]:
    return _with_data(lambda data: json.dumps(change(json.loads(data)), separators=(",", ":")).encode())


def _set(name: str, value: Any) -> Callable[[Response], Response]:
    return _with_members(lambda members: {**members, name: value})


def _drop(name: str) -> Callable[[Response], Response]:
    return _with_members(lambda members: {key: value for key, value in members.items() if key != name})


def _as_text(response: Response) -> Response:
    response.headers["Content-Type"] = "text/plain"
    return response


def _refusals(names: Mapping[str, Reason], kind: str) -> Iterable[Fault]:
    return (Fault(name=name, kind=kind, reasons={"token": reason}) for name, reason in names.items())


def _on_both(name: str, reason: Reason, **settings: Any) -> Fault:
    reasons = {"token": reason, "api": reason}
    return Fault(name=name, kind="transient", endpoints=ENDPOINTS, reasons=reasons, **settings)


def _on_the_way(name: str, **settings: Any) -> Fault:
    return Fault(name=name, kind="transient", endpoints=ENDPOINTS, transport=name, **settings)


def _payload(name: str, rewrite: Callable[[Response], Response], *, is_legal: bool = False) -> Fault:
    return Fault(name=name, kind="malformed", rewrite=rewrite, is_legal=is_legal)


_CATALOGUE = (
    *_refusals(
        {
            "invalid_request": Reason.MALFORMED_REQUEST,
            "invalid_client": Reason.WRONG_SECRET,
            "unauthorized_client": Reason.GRANT_TYPE_NOT_ALLOWED,
            "unsupported_grant_type": Reason.UNSUPPORTED_GRANT_TYPE,
            "invalid_scope": Reason.MALFORMED_SCOPE,
            "access_denied": Reason.POLICY_DENIED,
        },
        "rejected",
    ),
    Fault(name="invalid_token", kind="rejected", endpoints=("api",), reasons={"api": Reason.REVOKED_TOKEN}),
    Fault(name="insufficient_scope", kind="rejected", endpoints=("api",), reasons={"api": Reason.INSUFFICIENT_SCOPE}),
    _on_both("server_error", Reason.SERVER_FAULT),
    _on_both("temporarily_unavailable", Reason.UNAVAILABLE),
    _on_both("rate_limited", Reason.RATE_LIMITED, retry_after=1),
    _on_the_way("slow", delay=0.05, is_legal=True),
    _on_the_way("hang"),
    _on_the_way("connection_reset"),
    _on_the_way("no_response"),
    _on_the_way("cut_off"),
    _on_the_way("dripping", is_legal=True),
    _payload("empty_body", _with_body(b"")),
    _payload("html_body", _with_body(b"<!doctype html><title>Sign in</title>", "text/html; charset=utf-8")),
    _payload("truncated_json", _with_data(lambda data: data[: len(data) // 2])),
    _payload("json_array", _with_members(lambda members: [members])),
    _payload("wrong_content_type", _as_text),
    _payload("byte_order_mark", _with_data(lambda data: b"\xef\xbb\xbf" + data)),
    _payload("no_access_token", _drop("access_token")),
    _payload("empty_access_token", _set("access_token", "")),
    _payload("numeric_access_token", _set("access_token", 12345)),
    _payload("no_token_type", _drop("token_type")),
    _payload("foreign_token_type", _set("token_type", "mac")),
    _payload("lowercase_token_type", _set("token_type", "bearer"), is_legal=True),
    _payload("no_expires_in", _drop("expires_in"), is_legal=True),
    _payload("zero_expires_in", _set("expires_in", 0)),
    _payload("negative_expires_in", _set("expires_in", -1)),
    _payload("text_expires_in", _set("expires_in", "an hour")),
    _payload("fractional_expires_in", _set("expires_in", 3599.5)),
    _payload("endless_expires_in", _set("expires_in", 10**18)),
    Fault(name="narrower_scope", kind="malformed", issue="narrower", is_legal=True),
    _payload("extra_members", _set("x_extra", {"nested": [1, "two", {"three": True}]}), is_legal=True),
    # Both answers are well-formed: what is wrong shows at the API.
    Fault(name="expired_token", kind="malformed", issue="expired", is_legal=True),
    Fault(name="refused_token", kind="malformed", issue="refused", is_legal=True),
    Fault(name="redirect", kind="malformed", reasons={"token": Reason.REDIRECTED}),
)
# Not in the catalogue, as it is not armed for a request: `AuthorizationServer.down()`.
DOWN = Fault(name="down", kind="transient", transport="down")
FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _CATALOGUE})
