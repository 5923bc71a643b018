"""How fast the loss falls: geometric means of it, and three fits that agree where it is a power law."""

from typing import Any

import numpy as np

from .figure_style import (
    CONTEXT_LABEL,
    FIT,
    FLOOR,
    LOSS_LABEL,
    MODEL,
    RC,
    legend_outside,
    panel_title,
    panels,
    plain_ticks,
    png,
    pyplot,
    title,
)
from .learning import Exponent
from .learning_figures import pages
from .results import Results, SystemResults
from .scaling_fits import ESTIMATORS

FIT_COLORS = dict(zip(ESTIMATORS, (FIT, "#12929e", "#7209b7")))
DASHES = dict(zip(ESTIMATORS, ((0, (1, 1)), (0, (6, 2)), "-")))
MARGIN, WIDEST = 1.3, 3.0
"""A panel ends this factor beyond the intervals, which may leave it themselves where they are wider than ``WIDEST``."""


def scaling_figure(results: Results) -> tuple[bytes, ...]:
    """Means of the loss in geometric bins with their intervals, three fits with their bands, and the exponents."""
    return tuple(_page(page) for page in pages(results))


def _page(page: Results) -> bytes:
    with pyplot().rc_context(RC):
        figure, axes = panels(len(page), height=3.0)
        for axis, r in zip(axes, page, strict=True):
            _panel(axis, r)
        legend_outside(figure, axes, ("model",))
        return png(figure)


def _panel(axis: Any, r: SystemResults) -> None:
    bins = r.fits.bins
    low, high = (np.where(np.isfinite(end), end, bins.mean) for end in (bins.low, bins.high))
    reach = np.maximum([bins.mean - low, high - bins.mean], 0)
    axis.errorbar(bins.context, bins.mean, reach, fmt="o", color=MODEL, ms=4, capsize=2, lw=1, label="model", zorder=4)
    for name, band in r.fits.curves.items():
        color = FIT_COLORS[name]
        if np.isfinite(band.low).any():
            axis.fill_between(band.context, np.maximum(band.low, 1e-12), band.high, color=color, alpha=0.15, lw=0)
        axis.plot(band.context, band.median, color=color, lw=1.3, ls=DASHES[name], label=f"{name} fit")
    if (r.fits.floor > 0).any():
        axis.plot(bins.context, r.fits.floor, color=FLOOR, lw=1.2, ls=(0, (1, 1.5)), label="resolution floor")
    axis.set(xscale="log", yscale="log", xlabel=CONTEXT_LABEL, ylabel=LOSS_LABEL[r.loss_name])
    least, most = bins.mean.min(), bins.mean.max()
    axis.set_ylim(max(low.min(), least / WIDEST) / MARGIN, min(high.max(), most * WIDEST) * MARGIN)
    exponents = (r.fits.published, r.fits.log_log, r.fits.plateau)
    notes = [f"{name}: {spelled(exponent)}" for name, exponent in zip(ESTIMATORS, exponents)]
    panel_title(axis, title(r.name), *notes, colors=tuple(FIT_COLORS.values()))
    plain_ticks(axis.xaxis, axis.yaxis)


def spelled(exponent: Exponent) -> str:
    """``α = −0.53 [−0.60, −0.46]``; the interval where there is one."""
    if not np.isfinite(exponent.value):
        return "no exponent"
    interval = f" [{exponent.low:.2f}, {exponent.high:.2f}]" if np.isfinite(exponent.low) else ""
    return f"α = {exponent.value:.2f}{interval}".replace("-", "−")
