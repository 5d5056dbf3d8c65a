"""The process's time and the servers' together."""

import datetime
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import freezegun

from fake_server import AuthorizationServer
from fake_server.clock import duration, instant, wall_time

__all__ = ["ProcessClock"]


class ProcessClock:
    """Hold the time still for the whole process, and move it on together with the servers' clocks.

    It begins at the present, cut to the whole second: tokens count whole seconds, and so no test
    sits on a fraction of one. A server that was skewed by its own clock keeps its skew.
    """

    def __init__(self, servers: Callable[[], Iterable[AuthorizationServer]]) -> None:
        self._servers = servers
        # pytest measures how long tests take with clocks that freezegun would freeze.
        self._freezer = freezegun.freeze_time(_utc(int(wall_time())), ignore=["_pytest.timing"])
        self._frozen: Any = None

    def __repr__(self) -> str:
        return f"<ProcessClock {self.now().isoformat()}>"

    def __enter__(self) -> "ProcessClock":
        self._frozen = self._freezer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._freezer.stop()

    def time(self) -> float:
        """Return the time in Unix seconds."""
        return wall_time()

    def now(self) -> datetime.datetime:
        """Return the time as an aware datetime in UTC."""
        return _utc(wall_time())

    def advance(
        self,
        amount: float | datetime.timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Let time pass: seconds, a timedelta, or units that are added up; back, where negative.

        Raises TypeError or ValueError, and moves nothing, when the amount is no finite number or
        leads out of the years 1 to 9999, RuntimeError when another freeze_time, begun later, holds the time.
        """
        self._move(duration(amount, days=days, hours=hours, minutes=minutes, seconds=seconds))

    def move_to(self, moment: datetime.datetime | float | str) -> None:
        """Set the time to an aware datetime, Unix seconds or ISO 8601 text with a time zone.

        Raises TypeError or ValueError, and moves nothing, for anything else; RuntimeError as `advance` does.
        """
        self._move(instant(moment) - wall_time())

    def _move(self, step: float) -> None:
        moment, ours = _utc(instant(wall_time() + step)), self._frozen()
        self._frozen.move_to(moment)
        if self.now() != moment:
            self._frozen.move_to(ours)
            raise RuntimeError(
                f"a freeze_time that began after sc_auth_clock holds the time at {self.now().isoformat()}; "
                "move that one, or use sc_auth_clock.move_to in its place"
            )
        for server in self._servers():
            if server.clock.is_frozen:  # the others follow by themselves
                server.clock.advance(step)


def _utc(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
