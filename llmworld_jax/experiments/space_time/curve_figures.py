"""How many directions, and how many examples, the map needs."""

from typing import Any

import numpy as np

from ..figure_style import MODEL, RC, WIDTH, legend_outside, panel_title, plain_ticks, png, pyplot
from .describing import mean_sd, model_of
from .results import Curve, DatasetResults

LOWEST = -0.1
_COLORS = {"pca": "#9c6b30", "pls": "#9b2c7a"}
_NAMES = {"r2": "R²", "rho": "ρ (Spearman)"}


def counts_rows(curve: Curve) -> bool:
    """Whether a curve runs over training rows (else over components)."""
    return any(word in curve.name.lower() for word in ("train", "row", "size"))


def curve_figure(r: DatasetResults) -> bytes:
    """R² (above) and ρ (below) against the number of components, and of training rows; band: ± sd over folds."""
    parts = [
        (title, label, found)
        for title, label, rows in (
            ("How many directions", "components", False),
            ("How many examples", "training rows", True),
        )
        if (found := [curve for curve in r.curves if counts_rows(curve) == rows])
    ]
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            2, len(parts), figsize=(WIDTH, 5.2), layout="constrained", squeeze=False, sharey="row", sharex="col"
        )
        for column, (title, label, curves) in enumerate(parts):
            panel_title(axes[0, column], title)
            for row, score in enumerate(_NAMES):
                _panel(axes[row, column], r, curves, score)
                axes[row, 0].set_ylabel(f"{_NAMES[score]} of test rows")
            axes[1, column].set_xlabel(label)
        for row, score in enumerate(_NAMES):
            _limits(axes[row, 0], r, score)
        legend_outside(figure, axes.flat)
        return png(figure)


def _panel(axis: Any, r: DatasetResults, curves: list[Curve], score: str) -> None:
    whole, _ = mean_sd(getattr(model_of(r), score))
    axis.axhline(whole, color=MODEL, lw=1.1, ls=(0, (3, 2)), label="model: all directions, all training rows")
    for curve in curves:
        each = getattr(curve, score)
        mean = each.mean(axis=0)
        name = curve.name.lower()
        color = next((color for key, color in _COLORS.items() if key in name), MODEL)
        if len(each) > 1:
            sd = each.std(axis=0, ddof=1)
            axis.fill_between(curve.size, mean - sd, mean + sd, color=color, alpha=0.18, lw=0)
        axis.plot(curve.size, mean, "o-", ms=3.4, lw=1.6, color=color, label=curve.name)
    axis.set_xscale("log")
    plain_ticks(axis.xaxis)
    axis.axhline(0, color="0.75", lw=0.7, zorder=0.5)


def _limits(axis: Any, r: DatasetResults, score: str) -> None:
    means = np.concatenate([getattr(curve, score).mean(axis=0) for curve in r.curves])
    low, high = float(np.nanmin(means)), max(float(np.nanmax(means)), mean_sd(getattr(model_of(r), score))[0])
    axis.set_ylim(max(LOWEST, min(0.0, low) - 0.04), high + 0.1)
