"""When things were, and when a straight line through the model's activations says they were."""

from typing import Any

import numpy as np
from scipy import stats

from ..figure_style import MODEL, RC, TRUTH, WIDTH, legend_outside, panel_title, png, pyplot
from .describing import number, score_line, target_label, tested
from .palette import dot_alpha, dot_size
from .results import DatasetResults

CENTRAL = 0.95
GROUPS = 12
"""Equal groups whose medians are shown."""


def central_range(values: np.ndarray) -> tuple[float, float]:
    """Where the central 95 % of values lie, with a margin of 2 % of it."""
    low, high = np.quantile(values, ((1 - CENTRAL) / 2, (1 + CENTRAL) / 2))
    margin = 0.02 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def medians(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median truth and median prediction of twelve equal groups of entities in the order of their truth."""
    parts = [part for part in np.array_split(np.argsort(truth, kind="stable"), GROUPS) if part.size]
    return np.array([np.median(truth[p]) for p in parts]), np.array([np.median(predicted[p]) for p in parts])


def date_figure(r: DatasetResults) -> bytes:
    """Predicted against true value of the first target: all tested entities, and the central 95 % enlarged."""
    known = tested(r)
    truth, predicted = r.table.targets[known, 0], r.sweep.final[known, 0]
    plt = pyplot()
    with plt.rc_context(RC):
        figure, (whole, zoomed) = plt.subplots(1, 2, figsize=(WIDTH, 3.9), layout="constrained")
        both = np.concatenate((truth, predicted))
        margin = 0.03 * (np.ptp(both) or 1.0)
        everything = (float(both.min() - margin), float(both.max() + margin))
        _panel(whole, truth, predicted, everything)
        panel_title(whole, f"All {known.sum():,}", score_line(r).replace("median error", "error"))
        central = central_range(truth)
        inside = (truth >= central[0]) & (truth <= central[1])
        _panel(zoomed, truth[inside], predicted[inside], central)
        panel_title(zoomed, "The central 95 %", _central_note(truth[inside], predicted[inside], central))
        label = target_label(r.table, 0)
        for axis in (whole, zoomed):
            axis.set(xlabel=f"true {label}", ylabel=f"predicted {r.table.target_names[0].replace('_', ' ')}")
        legend_outside(figure, (whole,))
        return png(figure)


def _central_note(truth: np.ndarray, predicted: np.ndarray, limits: tuple[float, float]) -> str:
    rho = float(stats.spearmanr(truth, predicted).statistic) if np.ptp(truth) > 0 else float("nan")
    outside = int(((predicted < limits[0]) | (predicted > limits[1])).sum())
    return f"ρ {number(rho)} among these" + (f"    {outside:,} predictions outside" if outside else "")


def _panel(axis: Any, truth: np.ndarray, predicted: np.ndarray, limits: tuple[float, float]) -> None:
    count = len(truth)
    axis.scatter(
        *(truth, predicted), s=dot_size(count), color=MODEL, alpha=dot_alpha(count) / 2, lw=0, rasterized=True,
        label="one entity, held out",
    )  # fmt: skip
    axis.plot(limits, limits, color=TRUTH, lw=1.3, label="predicted = true")
    middles = medians(truth, predicted)
    axis.plot(*middles, "o", ms=4.5, color=MODEL, mec="white", mew=0.8, label="medians of twelve equal groups")
    axis.set(xlim=limits, ylim=limits)
    axis.locator_params(nbins=6)
