"""The control table as a picture: what the model must beat, each with the spread over folds."""

import textwrap
from typing import Any

import numpy as np

from ..figure_style import MODEL, RC, WIDTH, png, pyplot
from .describing import computed, kind_of, mean_sd, spread
from .palette import control_color
from .results import Control, DatasetResults

LOWEST = -0.15
"""Bars that go further down are cut and their value is written."""
_ROLES = {"model": 0, "control": 1, "note": 2, "ceiling": 3}
_SAID = {"note": "for comparison", "ceiling": "ceiling"}


def ordered(r: DatasetResults) -> list[Control]:
    """The model, controls from strong to weak, what is only for comparison, ceilings; missing ones last."""

    def place(control: Control) -> tuple[bool, int, float]:
        there = computed(control)
        return not there, _ROLES.get(control.role, 2), -mean_sd(control.scores.r2)[0] if there else 0.0

    return sorted(r.controls, key=place)


def control_figure(r: DatasetResults) -> bytes:
    """R² of every row as a bar: dots are folds, the whisker one standard deviation, the line the model's mean."""
    rows = ordered(r)
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 0.7 + 0.34 * len(rows)), layout="constrained")
        for place, control in enumerate(rows):
            if computed(control):
                _bar(axis, place, control)
            else:
                why = textwrap.shorten(control.missing or "no scores", 70, placeholder=" …")
                axis.text(0.01, place, f"not computed: {why}", va="center", fontsize=7.5, color="0.45", style="italic")
        _frame(axis, rows)
        return png(figure)


def _bar(axis: Any, place: int, control: Control) -> None:
    values = control.scores.r2[np.isfinite(control.scores.r2)]
    mean, sd = mean_sd(values)
    own = kind_of(control) == "model"
    axis.barh(
        place, max(mean, LOWEST), height=0.64, color=control_color(control), alpha=0.95 if own else 0.5, lw=0,
        hatch="///" if control.role == "ceiling" else None, edgecolor="white",
    )  # fmt: skip
    if len(values) > 1:
        axis.errorbar(max(mean, LOWEST), place, xerr=sd, color="0.15", lw=1, capsize=2.5)
        shown = values[values >= LOWEST]
        axis.plot(shown, np.full(len(shown), place - 0.2), "o", ms=2.2, color="0.15", alpha=0.6)
    right = max(mean + (sd if np.isfinite(sd) else 0), values.max(), 0)
    axis.annotate(
        spread(values), (right, place), (5, 0), textcoords="offset points", va="center", fontsize=8,
        fontweight="bold" if own else "normal",
    )  # fmt: skip


def _frame(axis: Any, rows: list[Control]) -> None:
    scores = {kind_of(c): mean_sd(c.scores.r2)[0] for c in reversed(rows) if computed(c)}
    if "model" in scores:
        axis.axvline(scores["model"], color=MODEL, lw=1, ls=(0, (3, 2)), zorder=0.5)
    axis.axvline(0, color="0.5", lw=0.8)
    names = [f"{c.name} ({_SAID[c.role]})" if c.role in _SAID else c.name for c in rows]
    axis.set_yticks(range(len(rows)), [textwrap.fill(name, 34) for name in names])
    for label, control in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if control.role == "model" else "normal")
    highest = max([mean_sd(c.scores.r2)[0] for c in rows if computed(c)], default=0.5)
    axis.set(xlabel="R² of test rows", xlim=(max(LOWEST, min(0, *scores.values(), 0) - 0.04), max(0.3, highest) * 1.22))
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
