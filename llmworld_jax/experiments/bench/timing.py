r"""Seconds of many calls in turn, and what is said of them.

A round calls every side once, ours and theirs alternately, so that what else the machine does meets all of them. Of
two sides the ratio is taken round by round,

.. math:: r = \operatorname{median}_i\, \frac{s_i^{\text{theirs}}}{s_i^{\text{ours}}},

and the spread is from the least to the greatest of the rounds.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

CPU_PAUSE = 0.3
"""Seconds between sides on a CPU: torch's threads spin for 0.2 s after their work, on the cores the other needs."""

Call = Callable[[], Any]
"""Returns only when its result is there."""


class Quantity(NamedTuple):
    """Median of the rounds, and the least and the greatest."""

    middle: float
    low: float
    high: float


def quantity(values: Iterable[float]) -> Quantity:
    """``Quantity`` of one value a round."""
    rounds = np.asarray(list(values), np.float64)
    return Quantity(float(np.median(rounds)), float(rounds.min()), float(rounds.max()))


def timed(call: Call) -> tuple[Any, float]:
    """What a call returns, and its wall seconds."""
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def interleaved(sides: Mapping[str, Call], repeats: int, pause: float) -> dict[str, np.ndarray]:
    """Wall seconds ``[round]`` of every side; each must have been called before, so that all is compiled and warm."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, call in sides.items():
            time.sleep(pause)
            seconds[name].append(timed(call)[1])
    return {name: np.array(each) for name, each in seconds.items()}
