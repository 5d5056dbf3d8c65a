"""Answers that are held up: until their time is over, or the test is."""

import contextlib
import threading
from collections.abc import Callable, Iterator

__all__ = ["Waiting", "is_delay"]


def is_delay(value: object) -> bool:
    """Tell whether a value is a number of seconds that a thread can wait."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value <= threading.TIMEOUT_MAX  # type: ignore[operator]


class Waiting:
    """Hold up answers until their time is over, or the server's test is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: set[Callable[[], object]] = set()
        self._ends_all = False

    def wait(self, seconds: float) -> None:
        """Wait so long, or until `release`."""
        over = threading.Event()
        with self.ended_by(over.set):
            over.wait(seconds)

    @contextlib.contextmanager
    def ended_by(self, end: Callable[[], object]) -> Iterator[None]:
        """Have `release` call this while the block runs."""
        with self._lock:
            self._ends.add(end)
            is_over = self._ends_all
        if is_over:
            end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.discard(end)

    def release(self, *, and_later: bool = False) -> None:
        """End every wait that is under way, and where it says so those that begin before the next release."""
        with self._lock:
            self._ends_all = and_later
            ends = tuple(self._ends)
        for end in ends:
            end()
