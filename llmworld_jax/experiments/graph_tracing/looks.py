"""One colour a kind of sequence, a counter, a plane; the words of axes; the layers that are drawn."""

from typing import Any

import numpy as np

from ..figure_style import FLOOR, MODEL, OBSERVER, plain_ticks
from .behaviour_study import COUNTERS
from .study import INDEPENDENT, MIXTURE, OTHER, SHUFFLED

TWIN = "untrained twin"
KINDS = {INDEPENDENT: "#9c6b30", SHUFFLED: "#9b2c7a", OTHER: "#5a9e3f", MIXTURE: "#5a9e3f", TWIN: "#a04000"}
DASHES: dict[str, Any] = {
    INDEPENDENT: (0, (5, 2)),
    SHUFFLED: (0, (2, 1)),
    OTHER: (0, (7, 1.5, 1.5, 1.5)),
    MIXTURE: (0, (7, 1.5, 1.5, 1.5)),
    TWIN: (0, (1, 1)),
}
COUNTED = dict(zip(COUNTERS, ("#e07b00", "#5a9e3f", "#00997a", "#7d5ba6", "#b39700")))
PLANES = (MODEL, "#e07b00", OBSERVER, FLOOR, "#b0b6bb")
CONTEXT = "context length (words read)"
LAYER = "layer (0: token embedding)"


def color_of(kind: str) -> str:
    """The colour of a kind of sequence."""
    return KINDS.get(kind, MODEL)


def dashes_of(kind: str) -> Any:
    """The dashes of a kind of sequence."""
    return DASHES.get(kind, "-")


def reached(curve: np.ndarray, level: float = 0.5) -> float:
    """Words read when a curve ``[time]`` first reaches ``level``; NaN where it never does."""
    at = np.flatnonzero(curve >= level)
    return float(at[0] + 1) if at.size else np.nan


def contexts_axis(axis: Any) -> None:
    """A logarithmic axis of contexts with plain numbers."""
    axis.set_xscale("log")
    axis.set_xlabel(CONTEXT)
    plain_ticks(axis.xaxis)


def smoothed(curve: np.ndarray, share: float = 0.06) -> tuple[np.ndarray, np.ndarray]:
    """Contexts and means of a curve ``[time]`` over windows that grow with the context, for a logarithmic axis."""
    known = np.flatnonzero(np.isfinite(curve))
    total = np.concatenate(([0.0], np.cumsum(curve[known])))
    at = np.unique(np.geomspace(1, len(known), 160).round().astype(int))
    low, high = (
        np.maximum(at - np.maximum(1, at * share).astype(int), 0),
        np.minimum(at + np.maximum(1, at * share).astype(int), len(known)),
    )
    return known[np.minimum(at, len(known)) - 1] + 1, (total[high] - total[low]) / (high - low)
