"""Names of lines beside their ends, to the right of a panel, moved apart where they would meet."""

from typing import Any, NamedTuple

import numpy as np


class Label(NamedTuple):
    """What stands beside the right edge at height ``at`` (in the panel's units)."""

    at: float
    text: str
    color: str
    bold: bool = False


def apart(heights: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """The nearest heights in the same order that lie at least ``gap`` apart, inside [low, high] if there is room.

    Neighbours that are too close move away from their common middle (pooling, as in isotonic regression).
    """
    order = np.argsort(heights, kind="stable")
    wanted = heights[order] - gap * np.arange(len(order))
    pools: list[tuple[float, int]] = []
    for value in wanted:
        mean, size = float(value), 1
        while pools and pools[-1][0] > mean:
            before, of = pools.pop()
            mean, size = (mean * size + before * of) / (size + of), size + of
        pools.append((mean, size))
    placed = np.repeat([mean for mean, _ in pools], [size for _, size in pools]) if pools else wanted
    placed = np.clip(placed, low, max(low, high - gap * (len(order) - 1))) + gap * np.arange(len(order))
    found = np.empty(len(order))
    found[order] = placed
    return found


def label_right(axis: Any, labels: list[Label], size: float = 7.5) -> None:
    """Write ``labels`` to the right of a panel whose limits and size are final, each tied to its height by a line."""
    if not labels:
        return
    low, high = axis.get_ylim()
    inches = axis.get_position().height * axis.figure.get_figheight()
    gap = 1.25 * size / 72 / max(inches, 0.1) * (high - low)
    heights = np.array([label.at for label in labels])
    for label, y in zip(labels, apart(heights, gap, low, high), strict=True):
        line = dict(arrowstyle="-", color=label.color, lw=0.6, shrinkA=0, shrinkB=0, relpos=(0, 0.5))
        axis.annotate(
            label.text,
            (1, label.at),
            (1.025, y),
            *(("axes fraction", "data"),) * 2,
            line,
            annotation_clip=False,
            fontsize=size,
            color=label.color,
            va="center",
            fontweight="bold" if label.bold else "normal",
        )
