"""The process's time and the servers' together."""

import datetime
import socket
import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol

from fake_server import AuthorizationServer
from fake_server.clock import duration, instant, wall_time
from pytest_sc_auth.servers import NeighbourError

__all__ = ["ProcessClock"]


class _Engine(Protocol):
    """Hold the process's time at a moment from `start` to `stop`."""

    def start(self) -> None: ...
    def move_to(self, moment: datetime.datetime) -> None: ...
    def stop(self) -> None: ...


class _Freezegun:
    """Replace the names that modules have for the time."""

    def __init__(self, moment: datetime.datetime) -> None:
        import freezegun  # here: an engine that is not chosen is not loaded

        # pytest measures how long tests take, and asyncio how long it waits, with clocks that would stand still.
        self._freezer = freezegun.freeze_time(moment, ignore=["_pytest.timing"], real_asyncio=True)

    def start(self) -> None:
        _check_sockets()  # before: a start that fails half-way would leave the time held
        self._frozen = self._freezer.start()

    def move_to(self, moment: datetime.datetime) -> None:
        self._frozen.move_to(moment)

    def stop(self) -> None:
        self._freezer.stop()


class _TimeMachine:
    """Change what the interpreter's own functions answer; the monotonic clocks run on."""

    def __init__(self, moment: datetime.datetime) -> None:
        import time_machine  # here: it is an extra

        self._moment = moment
        # A number, and then steps: a datetime in UTC would set the process's time zone, too.
        self._travel = time_machine.travel(moment.timestamp(), tick=False)

    def start(self) -> None:
        if datetime.datetime.__module__ == "freezegun.api":
            raise NeighbourError(
                "sc_auth_clock holds the time with time-machine, which cannot start while freezegun holds it; end that "
                "freeze_time (pytest-freezer's, it may be), or set sc_auth_clock_engine = freezegun"
            )
        self._traveller = self._travel.start()

    def move_to(self, moment: datetime.datetime) -> None:
        self._traveller.shift(moment - self._moment)
        self._moment = moment

    def stop(self) -> None:
        self._travel.stop()


def _check_sockets() -> None:
    if socket.socket.__module__ != "pytest_socket":
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pytest-socket's, of the socket that it forbids
            for end in socket.socketpair():
                end.close()
    except Exception as error:
        raise NeighbourError(
            "pytest-socket forbids this test every socket, and freezegun opens a pair of them to find asyncio's clock; "
            "allow it by --allow-unix-socket, or hold the time with sc_auth_clock_engine = time-machine"
        ) from error


_ENGINES: dict[str, Callable[[datetime.datetime], _Engine]] = {"freezegun": _Freezegun, "time-machine": _TimeMachine}


class ProcessClock:
    """Hold the time still for the whole process, and move it on together with the servers' clocks.

    It begins at the present, cut to the whole second: tokens count whole seconds, and so no test
    sits on a fraction of one. A server that was skewed by its own clock keeps its skew.

    `engine` is freezegun or time-machine. Raises ImportError where that is not installed; to enter it raises
    NeighbourError where the engine is time-machine and freezegun holds the time.
    """

    def __init__(self, servers: Callable[[], Iterable[AuthorizationServer]], *, engine: str = "freezegun") -> None:
        self._servers = servers
        self._moment = _utc(int(wall_time()))
        self._engine = _ENGINES[engine](self._moment)

    def __repr__(self) -> str:
        return f"<ProcessClock {self.now().isoformat()}>"

    def __enter__(self) -> "ProcessClock":
        self._engine.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._engine.stop()

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
        leads out of the years 1 to 9999, RuntimeError when a freeze_time or travel, begun later, holds the time.
        """
        self._move(duration(amount, days=days, hours=hours, minutes=minutes, seconds=seconds))

    def move_to(self, moment: datetime.datetime | float | str) -> None:
        """Set the time to an aware datetime, Unix seconds or ISO 8601 text with a time zone.

        Raises TypeError or ValueError, and moves nothing, for anything else; RuntimeError as `advance` does.
        """
        self._move(instant(moment) - wall_time())

    def _move(self, step: float) -> None:
        moment = _utc(instant(wall_time() + step))
        self._engine.move_to(moment)
        if self.now() != moment:
            self._engine.move_to(self._moment)
            raise RuntimeError(
                f"a freeze_time or travel that began after sc_auth_clock holds the time at {self.now().isoformat()}; "
                "move that one, or use sc_auth_clock.move_to in its place"
            )
        self._moment = moment
        for server in self._servers():
            if server.clock.is_frozen:  # the others follow by themselves
                server.clock.advance(step)


def _utc(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
