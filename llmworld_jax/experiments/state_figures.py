"""What the model knows about the noise: its standard deviation against the state, its kurtosis over the context."""

from typing import Any

import numpy as np

from .figure_style import (
    CONTEXT_LABEL,
    FLOOR,
    MODEL,
    RC,
    TRUTH,
    WIDTH,
    late_from,
    legend_outside,
    plain_ticks,
    png,
    pyplot,
)
from .results import SystemResults

GROUPS = 12
GAUSSIAN_KURTOSIS = 3.0


def sigma_figure(r: SystemResults) -> bytes:
    """Standard deviation of the late laws against the value before, with that of the true law."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 3.3), layout="constrained")
        first = late_from(r.codes.shape[1])
        seen = np.isfinite(r.scores.sd[:, first:])
        rows = r.observed[:, first - 1 : -1], r.scores.sd[:, first:], r.truth.sd[:, first:]
        proportional = scales_with_state(rows[0][seen], rows[2][seen])
        # Series of such a system differ in scale, and pooled they would hide what happens inside each.
        unit = np.ptp(r.edges, axis=1)[:, None] if proportional else np.ones((len(r.edges), 1))
        before, learned, true = ((a / unit)[seen] for a in rows)
        axis.plot(before, learned, ".", color=MODEL, ms=3.5, alpha=0.35, mew=0, label="model, one item each")
        axis.plot(*_grouped(before, learned), "o-", color=MODEL, ms=4, lw=1.3, label="model, median of a twelfth")
        order = np.argsort(before)
        axis.plot(before[order], true[order], color=TRUTH, lw=1.5, label="true law")
        one_bin = float((np.diff(r.edges, axis=1) / unit).mean()) / np.sqrt(12)
        axis.axhline(one_bin, color=FLOOR, lw=1, ls=":", label="a law inside one bin")
        note = " / written range" if proportional else ""
        if proportional:
            axis.set(xscale="log", yscale="log")
        else:
            axis.set_ylim(0, 1.1 * max(float(np.quantile(learned, 0.995)), float(true.max())))
        axis.set(xlabel=f"value before{note}", ylabel=f"standard deviation of the next value{note}")
        plain_ticks(axis.xaxis, axis.yaxis)
        legend_outside(figure, [axis])
        return png(figure)


def scales_with_state(before: np.ndarray, sd: np.ndarray) -> bool:
    """Whether the noise is proportional to a positive state, as in geometric Brownian motion: log–log then shows a
    line of slope 1."""
    if before.size == 0 or before.min() <= 0 or before.max() < 2 * before.min():
        return False
    ratio = sd / before
    return bool(ratio.min() > 0 and ratio.max() < 1.01 * ratio.min())


def _grouped(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians of both in groups of equal size, in the order of x."""
    order = np.argsort(x, kind="stable")
    parts = [part for part in np.array_split(order, GROUPS) if part.size]
    return np.array([np.median(x[p]) for p in parts]), np.array([np.median(y[p]) for p in parts])


def kurtosis_figure(r: SystemResults, window: int = 20) -> bytes:
    """Kurtosis of the model's law against context length, beside that of the true law and of any Gaussian law."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 2.9), layout="constrained")
        first = int(np.argmax(np.isfinite(r.scores.kurtosis).any(axis=0)))
        time = np.arange(first, r.codes.shape[1])
        each = r.scores.kurtosis[:, first:]
        axis.plot(
            np.tile(time, len(each)), each.ravel(), ".", color=MODEL, ms=3, alpha=0.25, mew=0, label="model, one item"
        )
        axis.plot(time, _running_median(each, window), color=MODEL, lw=1.6, label=f"model, median of {window} items")
        if not r.deterministic:
            true = law_kurtosis(r.truth.mass[:, first:], r.edges)
            axis.plot(time, _running_median(true, window), color=TRUTH, lw=1.2, label="true law on the same bins")
        axis.axhline(GAUSSIAN_KURTOSIS, color=FLOOR, lw=1, ls=":", label="3, any Gaussian law")
        axis.set(xscale="log", yscale="log", xlabel=CONTEXT_LABEL, ylabel="kurtosis of the law")
        axis.set_ylim(*_central(each, 0.005))
        plain_ticks(axis.xaxis, axis.yaxis)
        legend_outside(figure, [axis])
        return png(figure)


def _central(values: Any, share: float) -> tuple[float, float]:
    """A range that holds all but ``share`` of the values at each end, and the Gaussian's 3."""
    low, high = np.nanquantile(values, (share, 1 - share))
    return min(low, GAUSSIAN_KURTOSIS) * 0.9, max(high, GAUSSIAN_KURTOSIS) * 1.2


def _running_median(rows: np.ndarray, window: int) -> np.ndarray:
    """Median over the seeds and the last ``window`` items (fewer at the start)."""
    columns = range(rows.shape[1])
    return np.array([np.nanmedian(rows[:, max(0, t + 1 - window) : t + 1]) for t in columns])


def law_kurtosis(mass: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """E[(X−μ)⁴]/σ⁴ of densities that are constant in each bin; ``mass [seed, time, bin]``, ``edges [seed, bin+1]``."""
    centre, width = (edges[:, 1:] + edges[:, :-1])[:, None] / 2, np.diff(edges)[:, None]
    delta = centre - (mass * centre).sum(axis=-1, keepdims=True)
    variance = (mass * (delta**2 + width**2 / 12)).sum(axis=-1)
    fourth = (mass * (delta**4 + delta**2 * width**2 / 2 + width**4 / 80)).sum(axis=-1)
    return fourth / variance**2
