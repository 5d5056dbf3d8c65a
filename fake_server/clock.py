"""The server's one source of time."""

import datetime
import sys
import threading

__all__ = ["Clock", "duration", "instant", "utc", "wall_time"]


def wall_time() -> float:
    """Return the process's wall clock in Unix seconds, whoever froze it and whichever thread asks.

    freezegun's `time.time()` looks at the five calling frames and answers a pool thread with the
    real time; its `datetime.now()` does not look. The naive pair `now().timestamp()` also cancels
    its `tz_offset`, and is exact on the real clock in the hour that summer time repeats (PEP 495).
    """
    return datetime.datetime.now().timestamp()


def duration(
    amount: float | datetime.timedelta | None = None,
    *,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
) -> float:
    """Return a length of time in seconds; what is given in several units is added up.

    Raises TypeError when nothing or no number is given, ValueError for one that is not finite.
    """
    if isinstance(amount, datetime.timedelta):
        amount = amount.total_seconds()
    elif amount is None:
        if not (days or hours or minutes or seconds):
            raise TypeError("no length of time given: pass seconds, a timedelta, or days=, hours=, minutes=, seconds=")
        amount = 0
    return _finite(amount) + _finite(days) * 86400 + _finite(hours) * 3600 + _finite(minutes) * 60 + _finite(seconds)


def instant(moment: datetime.datetime | float | str) -> float:
    """Return a moment in Unix seconds, from an aware datetime, Unix seconds or ISO 8601 text.

    Raises TypeError for anything else, ValueError for a datetime without a time zone, a number
    that is not finite, or a moment outside the years 1 to 9999.
    """
    if isinstance(moment, str):
        moment = _parse_iso(moment)
    if isinstance(moment, datetime.datetime):
        if moment.utcoffset() is None:
            raise ValueError(f"{moment.isoformat()!r} has no time zone; write it with +00:00 or tzinfo=timezone.utc")
        moment = moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, (int, float)):
        raise TypeError(f"{moment!r} is no moment; pass an aware datetime, Unix seconds or ISO 8601 text")
    seconds = _finite(moment)
    utc(seconds)
    return seconds


def _parse_iso(text: str) -> datetime.datetime:
    try:
        # Python 3.10 does not read the Z that 3.11 does.
        return datetime.datetime.fromisoformat(text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an instant in ISO 8601; write 2026-01-31T12:00:00+00:00") from error


def _finite(number: float) -> float:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{number!r} is no number of seconds; pass an int, a float or a timedelta")
    # An int may be larger than any float; "not <=" is true of NaN, too.
    if not abs(number) <= sys.float_info.max:
        raise ValueError(f"{number!r:.60} is not finite; a clock moves by a number of seconds")
    return float(number)


def utc(seconds: float) -> datetime.datetime:
    """Return Unix seconds as an aware datetime. Raises ValueError outside the years 1 to 9999."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (OverflowError, ValueError, OSError) as error:
        raise ValueError(f"{seconds!r} lies outside the years 1 to 9999 that a datetime can hold") from error


class Clock:
    """Tell the server's time: the process's wall clock until it is moved or frozen.

    It follows freezegun and time-machine, whoever started them. Moving it moves this server alone:
    to the code under test that is clock skew, or a token that died early.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0
        self._frozen_at: float | None = None

    def __repr__(self) -> str:
        return f"<Clock {self.now().isoformat()}{' frozen' if self.is_frozen else ''}>"

    @property
    def is_frozen(self) -> bool:
        """Tell whether the clock stands still."""
        return self._frozen_at is not None

    def time(self) -> float:
        """Return the time in Unix seconds."""
        frozen_at = self._frozen_at
        return wall_time() + self._offset if frozen_at is None else frozen_at

    def now(self) -> datetime.datetime:
        """Return the time as an aware datetime in UTC."""
        return utc(self.time())

    def advance(
        self,
        amount: float | datetime.timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Move the clock on by seconds, a timedelta, or units that are added up; back, where negative.

        Raises TypeError or ValueError, and stays where it is, when the amount is no finite number
        or leads out of the years 1 to 9999.
        """
        step = duration(amount, days=days, hours=hours, minutes=minutes, seconds=seconds)
        with self._lock:
            self._set(self.time() + step, self._offset + step)

    def move_to(self, moment: datetime.datetime | float | str) -> None:
        """Set the clock to an aware datetime, Unix seconds or ISO 8601 text with a time zone.

        Raises TypeError or ValueError, and stays where it is, for anything else.
        """
        seconds = instant(moment)
        with self._lock:
            self._set(seconds, seconds - wall_time())

    def freeze(self) -> None:
        """Stop the clock where it stands."""
        with self._lock:
            self._frozen_at = self.time()

    def unfreeze(self) -> None:
        """Let the clock run on from where it stands."""
        with self._lock:
            if self._frozen_at is not None:
                self._offset = self._frozen_at - wall_time()
                self._frozen_at = None

    def _set(self, seconds: float, offset: float) -> None:
        utc(seconds)
        if self._frozen_at is None:
            self._offset = offset
        else:
            self._frozen_at = seconds
