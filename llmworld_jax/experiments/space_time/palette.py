"""The colours of space and time: of groups of entities, and of every row of the control table."""

from typing import Any, NamedTuple

import numpy as np

from ..figure_style import FLOOR, MODEL, OBSERVER
from .describing import kind_of
from .results import Control, DatasetResults

BEHIND = "#c9ced4"
"""True points behind predictions."""
OTHER = "#8d9499"
MOST_GROUPS = 8
_COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17a2b8", "#e377c2")
_CONTROLS = {
    "model": MODEL,
    "twin": "#a04000",
    "embedding": "#5a9e3f",
    "mean embedding": "#00997a",
    "ngrams": "#e07b00",
    "tokens": "#b39700",
    "shuffled": "#566573",
    "task": "#9b2c7a",
    "mlp": "#7d5ba6",
    "ceiling": OBSERVER,
}


class Colored(NamedTuple):
    """One colour and the entities that have it."""

    label: str
    color: str
    members: np.ndarray


def control_color(control: Control) -> str:
    """Every control has one colour in all figures; those without one of their own are grey."""
    return _CONTROLS.get(kind_of(control), FLOOR)


def shown_group(r: DatasetResults) -> str:
    """The group that colours points: continents where they are known, else that of the controls."""
    return "continent" if "continent" in r.table.groups else r.group


def colored_groups(r: DatasetResults) -> tuple[Colored, ...]:
    """The eight largest groups in the order of their names, and all others together, in grey, last."""
    labels = r.table.groups[shown_group(r)]
    names, count = np.unique(labels, return_counts=True)
    largest = sorted(str(name) for name in names[np.lexsort((names, -count))[:MOST_GROUPS]])
    found = [Colored(name.replace("_", " "), color, labels == name) for name, color in zip(largest, _COLORS)]
    others = ~np.isin(labels, largest)
    if others.any():
        number = len(names) - len(largest)
        found.append(Colored(f"{number} other{'s' if number > 1 else ''}", OTHER, others))
    return tuple(found)


def color_of_each(groups: tuple[Colored, ...]) -> np.ndarray:
    """``[entity, rgb]``."""
    from matplotlib.colors import to_rgb

    colors = np.full((len(groups[0].members), 3), to_rgb(OTHER))
    for group in groups:
        colors[group.members] = to_rgb(group.color)
    return colors


def name_groups(axis: Any, groups: tuple[Colored, ...], behind: str = "") -> None:
    """Entries for a legend: one a group, and ``behind`` for what stands behind in grey."""
    for group in groups:
        axis.plot([], [], "o", ms=4, color=group.color, label=group.label)
    if behind:
        axis.plot([], [], "o", ms=4, color=BEHIND, label=behind)


def dot_size(count: int) -> float:
    """Area of a point such that thousands can be told apart and tens can be seen."""
    return float(np.clip(9000 / max(count, 1), 2.5, 16))


def dot_alpha(count: int) -> float:
    """Opacity that lets denser places look denser."""
    return float(np.clip(1500 / max(count, 1), 0.25, 0.8))
