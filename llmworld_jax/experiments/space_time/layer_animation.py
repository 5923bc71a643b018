"""The map, or the dates, as they take shape from layer to layer: a GIF with one frame a layer."""

from typing import Any

import numpy as np

from ..animation import DOTS_PER_INCH, Moving, still
from ..figure_style import MODEL, RC, TRUTH, WIDTH, legend_outside, pyplot
from ..flat_gif import gif
from .date_figures import central_range
from .describing import dataset_title, number, target_label, tested, typical_layer
from .layer_figures import layer_scores
from .palette import BEHIND, color_of_each, colored_groups, dot_size, name_groups
from .results import DatasetResults
from .world_outline import draw_frame, draw_outline, extent_of

MOST_POINTS = 1500
"""More would make the file large, not the picture clearer."""


def shown_entities(r: DatasetResults) -> np.ndarray:
    """Indices of tested entities that are drawn, evenly spread over the table."""
    known = np.flatnonzero(tested(r))
    return known[np.unique(np.linspace(0, len(known) - 1, min(MOST_POINTS, len(known))).round().astype(int))]


def layer_animation(r: DatasetResults) -> Moving:
    """Held-out predictions by the probe of each layer, one frame each; the still is the layer that most folds chose."""
    images = _frames(r)
    colors = (MODEL, TRUTH, BEHIND, *(group.color for group in colored_groups(r)))
    return Moving(gif(images, colors), still(images[typical_layer(r)]))


def _frames(r: DatasetResults) -> list[np.ndarray]:
    """Pixels ``[row, column, rgb]`` of each layer."""
    at, place = shown_entities(r), r.table.kind == "place"
    r2, _ = layer_scores(r.sweep, "r2")
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis, points = (_map if place else _dates)(plt, r, at)
        figure.canvas.draw()
        figure.set_layout_engine("none")  # as the first frame was laid out: nothing jumps
        pictures = []
        for layer, predictions in enumerate(r.sweep.predictions):
            drawn = predictions[at] if place else np.column_stack((r.table.targets[at, 0], predictions[at, 0]))
            points.set_offsets(drawn)
            axis.set_title(_said(layer, len(r2) - 1, float(r2[layer])), loc="right", fontweight="bold", color=MODEL)
            figure.canvas.draw()
            pictures.append(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
        plt.close(figure)
        return pictures


def _said(layer: int, last: int, r2: float) -> str:
    return f"{'token embedding' if layer == 0 else f'layer {layer} of {last}'}    R² {number(r2)}"


def _map(plt: Any, r: DatasetResults, at: np.ndarray) -> tuple[Any, Any, Any]:
    extent, groups = extent_of(r.table.targets), colored_groups(r)
    width = min(WIDTH, 5.0 / extent.ratio + 1)
    height = (width - 0.7) * extent.ratio + 1.25
    figure, axis = plt.subplots(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    draw_frame(axis, extent)
    draw_outline(axis, r.table.targets)
    colors = color_of_each(groups)[at]
    points = axis.scatter(*r.table.targets[at].T, s=1.3 * dot_size(len(at)), c=colors, lw=0, zorder=2)
    name_groups(axis, groups, "true positions")
    axis.set_title(dataset_title(r))
    legend_outside(figure, (axis,))
    return figure, axis, points


def _dates(plt: Any, r: DatasetResults, at: np.ndarray) -> tuple[Any, Any, Any]:
    truth = r.table.targets[at, 0]
    limits = central_range(truth)
    figure, axis = plt.subplots(figsize=(5.6, 5.2), dpi=DOTS_PER_INCH, layout="constrained")
    axis.plot(limits, limits, color=TRUTH, lw=1.3, label="predicted = true")
    points = axis.scatter(truth, truth, s=dot_size(len(at)), color=MODEL, lw=0, alpha=0.5, label="one entity, held out")
    axis.set(xlim=limits, ylim=limits, xlabel=f"true {target_label(r.table, 0)}")
    axis.set_ylabel(f"predicted {r.table.target_names[0].replace('_', ' ')}")
    axis.set_title(dataset_title(r))
    legend_outside(figure, (axis,))
    return figure, axis, points
