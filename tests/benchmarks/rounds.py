"""How anything here is measured: in turns, so that a noisy machine is noisy for all, and as a ratio of medians."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Figure", "Missing", "take_turns"]


class Missing(Exception):
    """Say what a benchmark cannot do without and this machine has not."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Hold one line of the table; `detail` has the figures that the ratio is of. Without a limit it has no target."""

    what: str
    measured: float
    limit: float | None
    at_most: bool = True
    unit: str = ""
    detail: str = ""

    @classmethod
    def of_times(cls, what: str, ours: float, theirs: float, limit: float, *, shown_in: str = "ms") -> "Figure":
        """Return the ratio of two times in seconds, which are shown in `ms` or `µs`."""
        scale = {"ms": 1e3, "µs": 1e6}[shown_in]
        detail = f"{ours * scale:.3g} / {theirs * scale:.3g} {shown_in}"
        return cls(what=what, measured=ours / theirs, limit=limit, detail=detail)

    @property
    def is_met(self) -> bool:
        if self.limit is None:
            return True
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    @property
    def target(self) -> str:
        if self.limit is None:
            return "–"
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}{self.unit}"

    @property
    def result(self) -> str:
        return f"{self.measured:.3g}{self.unit}{'' if self.is_met else ' (missed)'}"


def take_turns(rounds: int, variants: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Measure each variant once a round, one after the other, and return their medians."""
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, measure in variants.items():
            samples[name].append(measure())
    return {name: statistics.median(values) for name, values in samples.items()}
