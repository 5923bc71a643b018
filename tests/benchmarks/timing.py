"""Wall and CPU seconds of calls, interleaved, and how they are reported."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

PAUSE = 0.3  # torch's threads spin for 0.2 s after their work; their CPU time is not to land on the other side


class Times(NamedTuple):
    """Seconds of repeated calls."""

    wall: list[float]
    cpu: list[float]

    def least(self, clock: str = "cpu") -> float:
        return min(getattr(self, clock))

    def middle(self, clock: str = "cpu") -> float:
        return float(np.median(getattr(self, clock)))

    def summary(self) -> dict[str, float]:
        return {f"{clock}_{name}": f(getattr(self, clock)) for clock in self._fields for name, f in _STATISTICS}


_STATISTICS: tuple[tuple[str, Callable[[list[float]], float]], ...] = (
    ("min_s", min),
    ("median_s", lambda seconds: float(np.median(seconds))),
)


def once(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def interleaved(sides: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Times]:
    """``repeats`` rounds A B A B; every side must have run before, so that nothing is compiled here."""
    times = {name: Times([], []) for name in sides}
    for _ in range(repeats):
        for name, function in sides.items():
            time.sleep(PAUSE)
            _, wall, cpu = once(function)
            times[name].wall.append(wall)
            times[name].cpu.append(cpu)
    return times


class Row(NamedTuple):
    """A line of the report. ``ratio`` is peer / ours unless ``what`` says otherwise; ``bar``: what it must reach."""

    what: str
    ours: str
    peer: str
    ratio: float | None
    bar: str
    met: bool | None

    def cells(self) -> list[str]:
        verdict = {True: "met", False: "NOT met", None: ""}[self.met]
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        return [self.what, self.ours, self.peer, ratio, self.bar, verdict]


def table(rows: list[Row]) -> str:
    """The rows as a markdown table."""
    lines = [["measurement", "ours", "peer", "ratio", "bar", ""], ["---"] * 6, *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
