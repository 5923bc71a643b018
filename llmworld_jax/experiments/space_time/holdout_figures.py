"""Whole groups left out of training: where, or when, the probe puts what it has seen none of."""

from typing import Any

import numpy as np

from ..figure_style import FLOOR, MODEL, OBSERVER, RC, TRUTH, WIDTH, legend_outside, png, pyplot
from .describing import number, target_label
from .palette import dot_size
from .results import Block, DatasetResults
from .world_outline import draw_frame, draw_outline, extent_of, is_world

COLUMNS, MOST = 4, 20
MOST_ERRORS = 30
_TRUE, _LEFT_OUT = "true", "predicted, whole group left out"


def largest(blocks: tuple[Block, ...], most: int = MOST) -> tuple[Block, ...]:
    """The blocks of most entities, in that order; of equal ones the first by name."""
    return tuple(sorted(blocks, key=lambda block: (-len(block.rows), block.name))[:most])


def holdout_figure(r: DatasetResults, grouping: str) -> bytes:
    """Small multiples of places, or strips of times, one for each of the twenty largest blocks of a grouping."""
    blocks = largest(r.blocks[grouping])
    return _maps(r, blocks) if r.table.kind == "place" else _strips(r, blocks)


def _maps(r: DatasetResults, blocks: tuple[Block, ...]) -> bytes:
    extent = extent_of(np.concatenate((r.table.targets, *(b.training_mean[None] for b in blocks))))
    columns = min(COLUMNS, len(blocks))
    rows = -(-len(blocks) // columns)
    plt = pyplot()
    with plt.rc_context(RC):
        height = rows * ((WIDTH - 0.4) / columns * min(extent.ratio, 1.3) + 0.36) + 0.45
        figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), layout="constrained", squeeze=False)
        for axis in list(axes.flat)[len(blocks) :]:
            axis.remove()
        for axis, block in zip(axes.flat, blocks):
            draw_frame(axis, extent, labels=False)
            draw_outline(axis, r.table.targets, 0.6 if is_world(extent) else 1.5)
            _block(axis, r, block)
        for color, label in ((TRUTH, _TRUE), (MODEL, _LEFT_OUT)):
            axes[0, 0].plot([], [], "o", ms=4, color=color, label=label)
        figure.supxlabel("longitude", fontsize=8.5)
        figure.supylabel("latitude", fontsize=8.5)
        legend_outside(figure, list(axes.flat)[:1], (_TRUE, _LEFT_OUT))
        return png(figure)


def _block(axis: Any, r: DatasetResults, block: Block) -> None:
    size = 0.6 * dot_size(4 * len(block.rows))
    axis.scatter(*block.held_out.T, s=size, color=MODEL, alpha=0.6, lw=0)
    axis.scatter(*r.table.targets[block.rows].T, s=size, color=TRUTH, alpha=0.6, lw=0)
    axis.plot(*block.training_mean, "x", ms=6, mew=1.6, color=OBSERVER, label="mean of the training places", ls="")
    axis.set_title(f"{_short(spelled_name(block))} ({len(block.rows)})", fontsize=8, pad=11)
    note = f"PE {number(block.nominal_proximity)} → {number(block.held_out_proximity)}"
    axis.annotate(note, (0, 1), (0, 3), "axes fraction", "offset points", fontsize=7, color="0.3")


def spelled_name(block: Block) -> str:
    """Its label without underscores."""
    return block.name.replace("_", " ")


def _short(name: str) -> str:
    return name if len(name) <= 17 else f"{name[:16]}…"


def _strips(r: DatasetResults, blocks: tuple[Block, ...]) -> bytes:
    rows = sorted(blocks, key=lambda block: float(np.median(r.table.targets[block.rows, 0])))
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.31 * len(rows)), layout="constrained")
        for place, block in enumerate(rows):
            truth = r.table.targets[block.rows, 0]
            axis.fill_betweenx(
                (place - 0.4, place + 0.4), truth.min(), truth.max(), color=TRUTH, alpha=0.3, lw=0, label="true range"
            )
            _strip(axis, place - 0.15, block.nominal[:, 0], FLOOR, "predicted, others of the group known")
            _strip(axis, place + 0.18, block.held_out[:, 0], MODEL, _LEFT_OUT)
            axis.plot(block.training_mean[0], place, "x", ms=5, mew=1.4, color=OBSERVER, ls="", label="training mean")
        axis.set_yticks(range(len(rows)), [f"{spelled_name(block)} ({len(block.rows)})" for block in rows])
        axis.set(xlabel=target_label(r.table, 0), xlim=_limits(r, rows), ylim=(len(rows) - 0.4, -0.6))
        axis.tick_params(axis="y", length=0)
        legend_outside(figure, (axis,))
        return png(figure)


def _strip(axis: Any, place: float, values: np.ndarray, color: str, label: str) -> None:
    """Line: central 80 %; thick: central 50 %; dot: median."""
    low, left, middle, right, high = np.quantile(values, (0.1, 0.25, 0.5, 0.75, 0.9))
    axis.hlines(place, low, high, color=color, lw=1)
    axis.hlines(place, left, right, color=color, lw=3.4, label=label)
    axis.plot(middle, place, "o", ms=5.5, color=color, mec="white", mew=1.2)


def _limits(r: DatasetResults, rows: list[Block]) -> tuple[float, float]:
    """All true ranges, and as far as the central 80 % of predictions reach."""
    truth = np.concatenate([r.table.targets[block.rows, 0] for block in rows])
    reach = np.concatenate([np.quantile(p[:, 0], (0.1, 0.9)) for b in rows for p in (b.nominal, b.held_out)])
    low, high = min(truth.min(), reach.min()), max(truth.max(), reach.max())
    margin = 0.02 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def holdout_error_figure(r: DatasetResults, grouping: str) -> bytes:
    """Proximity error of every block with and without its other members in training, joined by a line."""
    blocks = sorted(largest(r.blocks[grouping], MOST_ERRORS), key=lambda block: block.held_out_proximity)
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 1.0 + 0.19 * len(blocks)), layout="constrained")
        place = np.arange(len(blocks))
        nominal = np.array([block.nominal_proximity for block in blocks])
        held_out = np.array([block.held_out_proximity for block in blocks])
        axis.axvline(0.5, color=OBSERVER, lw=0.9, ls=(0, (1, 1.5)), label="chance")
        axis.hlines(place, nominal, held_out, color="0.7", lw=1.4)
        axis.plot(nominal, place, "o", ms=4.5, color=FLOOR, label="others of the group in training")
        axis.plot(held_out, place, "o", ms=4.5, color=MODEL, label="whole group left out")
        axis.set_yticks(place, [f"{spelled_name(block)} ({len(block.rows)})" for block in blocks], fontsize=7.5)
        axis.set(xlabel="proximity error (0 perfect, ½ chance)", ylim=(len(blocks) - 0.4, -0.6))
        axis.set_xlim(0, max(0.56, float(np.nanmax((nominal, held_out))) + 0.04))
        axis.tick_params(axis="y", length=0)
        axis.grid(True, axis="x", color="#e8ebee", lw=0.6)
        axis.set_axisbelow(True)
        legend_outside(figure, (axis,))
        return png(figure)
