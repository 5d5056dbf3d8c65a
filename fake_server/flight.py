"""How many token requests are under way at once, and the gate that keeps them until all have come."""

import contextlib
import threading

from fake_server.waiting import Waiting, is_delay

__all__ = ["Flight"]


class Flight:
    """Count the token requests under way, and hold them back where a test wants that; `waiting` ends a hold early."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._lock = threading.Lock()
        self._under_way = 0
        self._to_come = 0
        self._barrier: threading.Barrier | None = None

    def hold(self, number: int, moment: float) -> None:
        """Keep the next requests until so many have come, or a moment (seconds) has passed.

        Raises ValueError for a number below 1, or a moment that is no time.
        """
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"hold({number!r}) cannot be used: it takes how many requests are to come, from 1")
        if not is_delay(moment):
            raise ValueError(f"moment={moment!r:.60} cannot be used: it takes a number of seconds from 0")
        with self._lock:
            self._barrier, self._to_come = threading.Barrier(number, timeout=moment), number

    def __enter__(self) -> int:
        """Count a request in; gives how many others are under way."""
        with self._lock:
            others, barrier = self._under_way, self._barrier
            self._under_way += 1
            self._to_come -= 1
            if not self._to_come:
                self._barrier = None  # the next one finds the gate open
        if barrier is not None:
            self._wait_at(barrier)
        return others

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._under_way -= 1

    def _wait_at(self, barrier: threading.Barrier) -> None:
        with contextlib.suppress(threading.BrokenBarrierError), self._waiting.ended_by(barrier.abort):
            barrier.wait()
