"""The graph as it forms: node means on their first principal plane, at growing context."""

from typing import Any

import numpy as np

from ..animation import DOTS_PER_INCH, Moving, still
from ..figure_style import MODEL, OBSERVER, RC, WIDTH, panel_title, png, pyplot
from ..flat_gif import gif
from .results import GraphResults

PANELS = 4
EDGE = "#c9ced4"
MOST_NAMED = {5.5: 20, 8.5: 49}
"""So many words can be told apart at a size of letters."""


def chosen_contexts(r: GraphResults, count: int = PANELS) -> tuple[int, ...]:
    """Indices of contexts at which every node was seen (else all), spread from the first to the last."""
    whole = [k for k in range(len(r.planes)) if np.isfinite(r.planes[k]).all()] or list(range(len(r.planes)))
    return tuple(whole[k] for k in sorted({round(x) for x in np.linspace(0, len(whole) - 1, count)}))


def map_figure(r: GraphResults) -> bytes:
    """Small multiples over contexts, the true edges drawn between the nodes."""
    chosen = chosen_contexts(r)
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            1, len(chosen), figsize=(WIDTH, WIDTH / max(len(chosen), 3) + 0.75), layout="constrained", squeeze=False
        )
        for axis, k in zip(axes[0], chosen):
            limits = _limits(r, k)
            _draw(axis, r, k, limits, 5.5)
            g = r.geometry[r.study.main]
            at = (r.plane_layer, k)
            notes = (f"R {g.ratio[at]:.2f}, in the plane {g.plane_ratio[at]:.2f}", f"alignment {g.alignment[at]:.2f}")
            panel_title(axis, f"{r.study.contexts[k]:,} words", *notes)
        axes[0, 0].set_ylabel("PC 2, turned onto the layout")
        for axis in axes[0]:
            axis.set_xlabel("PC 1")
        return png(figure)


def map_animation(r: GraphResults) -> Moving:
    """One frame a context; the still is the last."""
    whole = chosen_contexts(r, len(r.planes))
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(5.2, 5.2), dpi=DOTS_PER_INCH, layout="constrained")
        images = []
        limits = np.max([_limits(r, k) for k in whole], axis=0)
        for k in whole:
            axis.clear()
            _draw(axis, r, k, limits, 8.5)
            axis.set(xlabel="PC 1", ylabel="PC 2, turned onto the layout")
            axis.set_title(f"{r.study.key}, layer {r.plane_layer}")
            axis.set_title(f"after {r.study.contexts[k]:,} words", loc="right", color=MODEL, fontweight="bold")
            figure.canvas.draw()
            figure.set_layout_engine("none")  # as the first frame was laid out: nothing jumps
            images.append(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
        plt.close(figure)
    return Moving(gif(images, (MODEL, EDGE, OBSERVER)), still(images[-1]))


def _limits(r: GraphResults, k: int) -> float:
    return 1.18 * float(np.nanmax(np.abs(r.planes[k] - np.nanmean(r.planes[k], axis=0)))) or 1.0


def _draw(axis: Any, r: GraphResults, k: int, limits: Any, size: float) -> None:
    points = r.planes[k] - np.nanmean(r.planes[k], axis=0)
    for i, j in r.study.graph.edges:
        axis.plot(*points[[i, j]].T, color=EDGE, lw=1.2, zorder=1)
    axis.scatter(*points.T, s=14, color=MODEL, lw=0, zorder=2)
    words = r.study.placements[0].words
    for point, word in zip(points, words) if len(words) <= MOST_NAMED[size] else ():
        if np.isfinite(point).all():
            axis.annotate(word, point, (0, 3), textcoords="offset points", ha="center", fontsize=size, color=OBSERVER)
    axis.set(xlim=(-limits, limits), ylim=(-limits, limits), xticks=(), yticks=())
    axis.set_aspect("equal")
    for side in ("left", "bottom"):
        axis.spines[side].set_color("0.8")
