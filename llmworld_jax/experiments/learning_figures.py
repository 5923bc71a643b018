"""Losses against context length: the model between its nulls, its ideal observer and the resolution floor."""

from typing import Any

import numpy as np

from .figure_style import (
    CONTEXT_LABEL,
    FIT,
    FLOOR,
    LOSS_LABEL,
    MODEL,
    NULLS,
    OBSERVER,
    RC,
    WIDTH,
    legend_outside,
    null_style,
    panel_title,
    panels,
    plain_ticks,
    png,
    pyplot,
    title,
)
from .results import Results, SystemResults

PANELS_A_PAGE = 6
DEPTH = 100.0
"""The panels end this factor below the lowest loss of the model."""
ORDER = ("model", "published fit", "ideal observer", "resolution floor", *NULLS)


def pages(results: Results) -> tuple[Results, ...]:
    """The systems, six to a picture."""
    return tuple(results[k : k + PANELS_A_PAGE] for k in range(0, len(results), PANELS_A_PAGE))


def learning_figure(results: Results) -> tuple[bytes, ...]:
    """Loss against context length, a panel a system and six panels a picture.

    Model with the band of its series, all nulls, ideal observer, resolution floor, published power law.
    """
    return tuple(_page(page, _learning_panel) for page in pages(results))


def regret_figure(results: Results) -> tuple[bytes, ...]:
    """Surprise that the model pays beyond the ideal observer, in nats an item, running mean over the context."""
    return tuple(_page(page, _regret_panel) for page in pages(results))


def _page(page: Results, draw: Any) -> bytes:
    with pyplot().rc_context(RC):
        figure, axes = panels(len(page))
        for axis, r in zip(axes, page, strict=True):
            draw(axis, r)
        legend_outside(figure, axes, ORDER)
        return png(figure)


def _learning_panel(axis: Any, r: SystemResults) -> None:
    for name, curve in r.null_curves.items():
        style = null_style(name)
        axis.plot(curve.context, _positive(curve.mean), color=style.color, lw=1.0, ls=style.dashes, label=name)
    for name, sparse in r.sparse_nulls.items():
        style, mean = null_style(name), _mean(sparse.loss)
        middle = sparse.context + (sparse.window - 1) / 2
        axis.plot(middle, mean, color=style.color, lw=0.6, ls=":", marker=style.marker, ms=4, label=name)
    o, c = r.observer_curve, r.curve
    # Under the nulls, since of a chain add-one counting is the observer.
    axis.plot(o.context, _positive(o.mean), color=OBSERVER, lw=1.6, zorder=1.9, label="ideal observer")
    if len(c.each) > 1:
        axis.fill_between(c.context, c.low, c.high, color=MODEL, alpha=0.2, lw=0)
    axis.plot(c.context, c.mean, color=MODEL, lw=2.0, label="model")
    _published_line(axis, r)
    axis.set(xscale="log", yscale="log", xlabel=CONTEXT_LABEL, ylabel=LOSS_LABEL[r.loss_name])
    _limits(axis, r)
    fit = r.fits.published
    panel_title(
        axis, title(r.name), f"published fit: loss ∝ t$^{{{fit.value:.2f}}}$" if np.isfinite(fit.value) else "no fit"
    )
    plain_ticks(axis.xaxis, axis.yaxis)


def _published_line(axis: Any, r: SystemResults) -> None:
    fit = r.fits.published
    if np.isfinite(fit.value):
        line = r.curve.context**fit.value / fit.scale
        axis.plot(r.curve.context, line, color=FIT, lw=1.0, ls=(0, (1, 1)), label="published fit")


def _limits(axis: Any, r: SystemResults) -> None:
    """What the model does fills the panel: an observer or a floor far below would flatten it.

    A floor that lies below is written at the bottom edge instead.
    """
    lowest = float(r.curve.mean[r.curve.mean > 0].min()) / DEPTH
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, lowest), high)
    with np.errstate(invalid="ignore"):
        floor = float(np.nanmean(r.floor)) if np.isfinite(r.floor).any() else 0.0
    if floor > axis.get_ylim()[0]:
        axis.axhline(floor, color=FLOOR, lw=1.2, ls=(0, (1, 1.5)), label="resolution floor")
    elif floor > 0:
        note = f"resolution floor {floor:.0e} ↓".replace("e-0", "e-")
        axis.text(0.02, 0.02, note, transform=axis.transAxes, fontsize=7, color=FLOOR)


def _positive(values: np.ndarray) -> np.ndarray:
    """Zero cannot be drawn on a logarithmic axis: a gap instead."""
    return np.where(values > 0, values, np.nan)


def _mean(loss: np.ndarray) -> np.ndarray:
    """Over seeds, where any is known."""
    known = np.isfinite(loss)
    total = np.where(known, loss, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _regret_panel(axis: Any, r: SystemResults) -> None:
    first = int(np.argmax(np.isfinite(r.observer.regret).all(axis=0)))
    each = np.cumsum(r.observer.regret[:, first:], axis=1)
    context = np.arange(first, first + each.shape[1])
    running = each / np.arange(1, each.shape[1] + 1)
    axis.axhline(0, color=OBSERVER, lw=1, label="ideal observer")
    if len(each) > 1:
        axis.fill_between(context, running.min(axis=0), running.max(axis=0), color=MODEL, alpha=0.2, lw=0)
    axis.plot(context, running.mean(axis=0), color=MODEL, lw=1.8, label="model")
    axis.set(xscale="log", xlabel=CONTEXT_LABEL, ylabel="mean regret so far (nats an item)")
    total = f"in all {each[:, -1].mean():.3g} nats more than the observer over {each.shape[1]} items"
    panel_title(axis, title(r.name), total)
    plain_ticks(axis.xaxis)


def off_grid_figure(results: Results) -> bytes:
    """Probability that the model writes anything but a number of the grid, against context length."""
    plt = pyplot()
    with plt.rc_context(RC):
        rows = -(-len(results) // 3)
        figure, axis = plt.subplots(figsize=(WIDTH, 2.8 + 0.18 * rows), layout="constrained")
        colors = plt.get_cmap("tab10").colors
        for k, r in enumerate(results):
            time = np.arange(1, r.off_grid.shape[1])
            mass = np.maximum(_mean(r.off_grid)[1:], 1e-7)
            axis.plot(time, mass, lw=1.1, color=colors[k % 10], ls=("-", "--", ":")[k // 10 % 3], label=title(r.name))
        axis.set(xscale="log", yscale="log", xlabel=CONTEXT_LABEL, ylabel="probability off the grid")
        plain_ticks(axis.xaxis, axis.yaxis)
        legend_outside(figure, [axis])
        return png(figure)
