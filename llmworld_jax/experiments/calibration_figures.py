"""Whether the model's probabilities can be taken at their word: PIT values, reliability, coverage of intervals."""

from typing import Any

import numpy as np

from .figure_style import FLOOR, MODEL, RC, TRUTH, WIDTH, legend_outside, png, pyplot
from .results import SystemResults

PIT_BINS = 20
RELIABILITY_POINTS = 101
INSIDE = 0.95


def calibration_figure(r: SystemResults) -> bytes:
    """Histogram of the late PIT values, their reliability curve, and the coverage of central intervals."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained")
        pit = late_pit(r)
        _histogram_panel(left, pit)
        _reliability_panel(middle, pit, r)
        _coverage_panel(right, r)
        legend_outside(figure, (left, middle, right))
        return png(figure)


def late_pit(r: SystemResults) -> np.ndarray:
    """The late PIT values of all seeds, in one row."""
    late = r.calibration.pit[:, r.calibration.first :]
    return late[np.isfinite(late)]


def uniform_band(count: int, share: float) -> tuple[float, float]:
    """Densities between which a histogram bin of ``count`` independent uniform values falls with 95 % probability.

    Each bin holds a binomial number of them, of mean count·share; the band is its normal approximation.
    """
    half = 1.96 * np.sqrt((1 - share) / (share * count))
    return max(0.0, 1 - half), 1 + half


def _histogram_panel(axis: Any, pit: np.ndarray) -> None:
    edges = np.linspace(0, 1, PIT_BINS + 1)
    density = np.histogram(pit, edges)[0] / max(pit.size, 1) * PIT_BINS
    axis.stairs(density, edges, fill=True, color=MODEL, alpha=0.75, label="model")
    axis.axhspan(
        *uniform_band(max(pit.size, 1), 1 / PIT_BINS), color=FLOOR, alpha=0.3, lw=0, label="95 % if calibrated"
    )
    axis.axhline(1, color=TRUTH, lw=1, label="perfectly calibrated")
    axis.set(title="PIT histogram", xlabel="share of the law below what came", ylabel="density", xlim=(0, 1))


def _reliability_panel(axis: Any, pit: np.ndarray, r: SystemResults) -> None:
    level = np.linspace(0, 1, RELIABILITY_POINTS)
    found = np.searchsorted(np.sort(pit), level, side="right") / max(pit.size, 1)
    margin = r.calibration.ks_uniform
    axis.fill_between(level, np.maximum(level - margin, 0), np.minimum(level + margin, 1), color=FLOOR, alpha=0.3, lw=0)
    axis.plot(level, level, color=TRUTH, lw=1)
    axis.plot(level, found, color=MODEL, lw=1.6)
    axis.set(title="Reliability", xlabel="predicted P(value ≤ x)", ylabel="share of values that were ≤ x")
    axis.set(xlim=(0, 1), ylim=(0, 1))


def _coverage_panel(axis: Any, r: SystemResults) -> None:
    c = r.calibration
    place = np.arange(len(c.levels))
    axis.bar(place, c.coverage, width=0.65, color=MODEL, alpha=0.75)
    axis.hlines(c.levels, place - 0.42, place + 0.42, color=TRUTH, lw=1.6)
    half = 1.96 * np.sqrt(c.levels * (1 - c.levels) / max(late_pit(r).size, 1))
    axis.bar(place, 2 * half, bottom=c.levels - half, width=0.84, color=FLOOR, alpha=0.3, lw=0)
    axis.set_xticks(place, [f"{level:.0%}".replace("%", " %") for level in c.levels])
    axis.set(title="Coverage", xlabel="central interval", ylabel="share of values inside", ylim=(0, 1.02))
