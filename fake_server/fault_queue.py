"""The faults that a test has armed, in the order in which they are to happen."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from fake_server.clock import Clock, instant
from fake_server.faults import ENDPOINTS, FAULTS, Fault
from fake_server.options import nearest

__all__ = ["ArmedFault", "FaultQueue", "Script"]

_PASS = ("good", None)
# What a bare status stands for in a script.
_STATUSES = {
    "token": {400: "invalid_request", 401: "invalid_client"},
    "api": {401: "invalid_token", 403: "insufficient_scope"},
}
_ANY_STATUSES = {429: "rate_limited", 500: "server_error", 503: "temporarily_unavailable"}
_SETTINGS = {setting.name: setting.default for setting in fields(Fault)}
_REFUSALS = "it is for refusals, such as rate_limited or 503"
# What settings that not every fault takes are for.
_FOR = {
    "delay": "it is for slow and dripping; pass transport='slow', too",
    "status": _REFUSALS,
    "retry_after": _REFUSALS,
}
_COUNTS = {"times", "after", "until", "optional", "on"}
Step = Fault | str | int | None
Script = Step | Sequence[Step]


class ArmedFault:
    """Be a fault that waits for its request; `fired` counts how often it came true."""

    def __init__(
        self, fault: Fault | None, endpoint: str, times: int | None, after: int, until: float | None, optional: bool
    ) -> None:
        self.fault = fault
        self.endpoint = endpoint
        self.optional = optional or fault is None
        self.fired = 0
        self._left = times
        self._after = after
        self._until = until

    def __repr__(self) -> str:
        return f"<ArmedFault {self.fault.name if self.fault else 'none'} on {self.endpoint}, fired {self.fired} times>"

    @property
    def name(self) -> str:
        """The fault's name; `good` for a request that a script lets go well."""
        return self.fault.name if self.fault else "good"

    def is_over(self, now: float) -> bool:
        """Tell whether it has fired as often, or for as long, as it was to."""
        return self._left == 0 or (self._until is not None and now >= self._until)

    def fire(self) -> Fault | None:
        """Return the fault for the request that came, or None while it lets requests pass."""
        if self._after:
            self._after -= 1
            return None
        self.fired += 1
        if self._left is not None:
            self._left -= 1
        return self.fault

    def give_back(self) -> None:
        """Wait for another request: the one that came was not the one for it."""
        self.fired -= 1
        if self._left is not None:
            self._left += 1


class FaultQueue:
    """Hold the faults that are armed, in the order in which they are to fire at each endpoint."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[ArmedFault]] = {endpoint: deque() for endpoint in ENDPOINTS}
        self._armed: list[ArmedFault] = []

    def arm(
        self,
        script: Script,
        *,
        on: str,
        times: int | None,
        after: int,
        until: Any,
        optional: bool,
        **settings: Any,
    ) -> list[ArmedFault]:
        """Queue a fault, or a script of them, and return what was queued. Raises ValueError or TypeError."""
        if on not in ENDPOINTS:
            raise ValueError(f"on={on!r} cannot be used: faults are armed on {' or '.join(ENDPOINTS)}")
        for name, count, least in (("times", times, 1), ("after", after, 0)):
            if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < least):
                raise ValueError(f"{name}={count!r} cannot be used: it takes a whole number from {least}")
        end = None if until is None else instant(until)
        steps = _steps(script)
        if not steps:
            raise ValueError("the script has no step; write at least one fault")
        if times is None and len(steps) > 1:
            raise ValueError("times=None cannot be used with a script: its first step would never end")
        if unknown := sorted(set(settings) - set(_SETTINGS)):
            raise ValueError(f"{unknown[0]} is not a setting of a fault; {nearest(unknown[0], {*_SETTINGS, *_COUNTS})}")
        faults = [_find(step, on, settings) for step in steps]
        _check_use(settings, faults)
        armed = [
            ArmedFault(fault, on, times, after if not index else 0, end, optional) for index, fault in enumerate(faults)
        ]
        with self._lock:
            self._waiting[on].extend(armed)
            self._armed.extend(armed)
        return armed

    def take(self, endpoint: str) -> Fault | None:
        """Return the fault that the request at an endpoint is to meet, or None."""
        with self._lock:
            waiting = self._waiting[endpoint]
            while waiting and waiting[0].is_over(self._clock.time()):
                waiting.popleft()
            return waiting[0].fire() if waiting else None

    def give_back(self, fault: Fault) -> None:
        """Let a fault that was taken wait for another request."""
        with self._lock:
            armed = next((armed for armed in reversed(self._armed) if armed.fault is fault and armed.fired), None)
            if armed is None:  # cleared meanwhile
                return
            armed.give_back()
            if armed not in self._waiting[armed.endpoint]:  # another request has found it used up
                self._waiting[armed.endpoint].appendleft(armed)

    def clear(self) -> None:
        """Disarm every fault; none of them fails the test any more."""
        with self._lock:
            for waiting in self._waiting.values():
                waiting.clear()
            self._armed.clear()

    def unfired(self) -> list[ArmedFault]:
        """Return those that never fired and had to."""
        with self._lock:
            return [armed for armed in self._armed if not armed.fired and not armed.optional]


def _steps(script: object) -> list[Any]:
    if script is None or isinstance(script, (Fault, str, int)):
        return [script]
    if isinstance(script, Sequence) and not isinstance(script, bytes):
        return list(script)
    raise ValueError(f"{script!r:.60} is no fault; pass its name, a status, a Fault, or a list of these")


def _check_use(settings: Mapping[str, Any], faults: Sequence[Fault | None]) -> None:
    present = [fault for fault in faults if fault is not None]
    for name, value in settings.items():
        if value != _SETTINGS[name] and not any(fault.takes(name) for fault in present):
            names = " and ".join(fault.name for fault in present) or "a request that goes well"
            way = _FOR.get(name, "name a fault")
            raise ValueError(f"{name}={value!r:.60} has no effect on {names}: {way}")


def _name_of_status(status: int, endpoint: str) -> str:
    known = {**_ANY_STATUSES, **_STATUSES[endpoint]}
    return known.get(status) or ("invalid_request" if status < 500 and endpoint == "token" else "server_error")


def _find(step: Step, endpoint: str, settings: Mapping[str, Any]) -> Fault | None:
    if step in _PASS:
        return None
    if isinstance(step, Fault):
        if endpoint not in step.endpoints:
            raise ValueError(
                f"the fault {step.name} is not for the {endpoint} endpoint; make it with endpoints=({endpoint!r},)"
            )
        return replace(step, **settings)
    if isinstance(step, int) and not isinstance(step, bool):
        # The number as it was written, also where the dialect sends this refusal with another.
        name, settings = _name_of_status(step, endpoint), {"status": step, **settings}
    else:
        name = str(step)
    known = [fault.name for fault in FAULTS.values() if endpoint in fault.endpoints]
    if name not in known:
        elsewhere = FAULTS[name].endpoints[0] if name in FAULTS else None
        hint = f'it is one of on="{elsewhere}"' if elsewhere else nearest(str(step), known)
        raise ValueError(f"{step!r} is not a fault of the {endpoint} endpoint; {hint}")
    return replace(FAULTS[name], **settings)
