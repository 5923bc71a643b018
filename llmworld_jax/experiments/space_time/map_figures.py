"""Where places are, and where a straight line through the model's activations puts them."""

from typing import Any

import numpy as np

from ..figure_style import RC, WIDTH, legend_outside, panel_title, png, pyplot
from .describing import score_line, tested
from .palette import Colored, color_of_each, colored_groups, dot_alpha, dot_size, name_groups
from .results import DatasetResults
from .world_outline import Extent, draw_frame, draw_outline, extent_of

_BESIDE_FROM = 0.5
"""Maps at least so high, as a share of their width, stand side by side."""
LEAST_FOR_MEDIAN = 10


def map_figure(r: DatasetResults) -> bytes:
    """True and predicted positions of every tested place, in the colours of their true groups.

    Large dots are medians of groups of ten or more. Grey points behind the predictions are the true ones.
    """
    extent, groups = extent_of(r.table.targets), colored_groups(r)
    plt = pyplot()
    with plt.rc_context(RC):
        figure, (true, predicted) = _axes(plt, extent)
        known = tested(r)
        _draw(true, r.table.targets, known, groups, extent)
        draw_outline(predicted, r.table.targets)
        _draw(predicted, r.sweep.final, known, groups, extent)
        notes = _notes(r, extent)
        level = [""] * (len(notes) - 1) if extent.ratio >= _BESIDE_FROM else []
        panel_title(true, "True positions", f"{known.sum():,} places", *level)
        panel_title(predicted, "Predicted positions, held out", *notes)
        for axis in (true, predicted):
            axis.label_outer()
        name_groups(true, groups, "true positions")
        legend_outside(figure, (true,))
        return png(figure)


def _notes(r: DatasetResults, extent: Extent) -> tuple[str, ...]:
    outside = extent.outside(r.sweep.final[tested(r)])
    scores = score_line(r) if extent.ratio < _BESIDE_FROM else score_line(r).replace("median error", "error")
    return (scores, f"{outside:,} predictions off the map") if outside else (scores,)


def _axes(plt: Any, extent: Extent) -> tuple[Any, Any]:
    if extent.ratio < _BESIDE_FROM:
        height = 2 * (WIDTH - 0.7) * extent.ratio + 1.9
        figure, axes = plt.subplots(2, 1, figsize=(WIDTH, height), layout="constrained", sharex=True)
    else:
        height = (WIDTH / 2 - 0.4) * extent.ratio + 1.45
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, height), layout="constrained", sharey=True)
    return figure, axes


def _draw(axis: Any, places: np.ndarray, known: np.ndarray, groups: tuple[Colored, ...], extent: Extent) -> None:
    draw_frame(axis, extent)
    colors, count = color_of_each(groups)[known], int(known.sum())
    axis.scatter(*places[known].T, s=dot_size(count), c=colors, alpha=dot_alpha(count), lw=0, rasterized=True)
    for group in groups:
        members = places[known & group.members]
        if len(members) >= LEAST_FOR_MEDIAN and "other" not in group.label:
            axis.plot(*np.median(members, axis=0), "o", ms=8, color=group.color, mec="white", mew=1.3, zorder=3)
