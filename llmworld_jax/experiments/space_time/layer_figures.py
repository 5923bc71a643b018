"""What each layer knows: score against depth with every control, and how probe directions turn from layer to layer."""

from typing import Any

import numpy as np

from ..figure_style import MODEL, RC, WIDTH, panel_title, png, pyplot
from .describing import computed, kind_of, layers_text, listed, mean_sd, number
from .margin_labels import Label, label_right
from .palette import control_color
from .results import Control, DatasetResults, Sweep

LOWEST = -0.1
"""Scores further down are written, not drawn: they would flatten everything else."""
_NAMES = {"r2": "R²", "rho": "ρ (Spearman)"}


def layer_scores(sweep: Sweep, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over folds ``[layer]`` of "r2" or "rho", averaged over targets."""
    each = getattr(sweep, score).mean(axis=2)
    spread = each.std(axis=0, ddof=1) if len(each) > 1 else np.zeros(each.shape[1])
    return each.mean(axis=0), spread


def layer_figure(r: DatasetResults) -> bytes:
    """R² and ρ of the test rows against layer, the untrained twin beside it, every other control as a level line.

    The band is one standard deviation over folds; triangles mark the layers that the folds chose.
    """
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 6.4), sharex=True)
        figure.subplots_adjust(left=0.09, right=0.7, top=0.93, bottom=0.07, hspace=0.28)
        for axis, score in zip(axes, _NAMES):
            _panel(axis, r, score)
        axes[0].annotate(
            f"▲ {layers_text(r.sweep.chosen)}, chosen on training rows", (0, 1), (0, 5), "axes fraction",
            "offset points", fontsize=8, color="0.3",
        )  # fmt: skip
        axes[0].set_title("R² of test rows by layer", pad=17)
        axes[1].set_title("Rank correlation of test rows by layer")
        axes[1].set_xlabel("layer (0 = token embedding, l = after block l)")
        return png(figure)


def _panel(axis: Any, r: DatasetResults, score: str) -> None:
    mean, spread = layer_scores(r.sweep, score)
    layer, low = np.arange(len(mean)), float(np.nanmin(mean - spread))
    labels = [Label(float(mean[-1]), f"model {number(float(mean[-1]))}", MODEL, bold=True)]
    if r.twin is not None:
        twin, lowest = _twin(axis, r, score)
        labels.append(twin)
        low = min(low, lowest)
    for control in _level(r):
        value, _ = mean_sd(getattr(control.scores, score))
        if not np.isfinite(value):  # constant predictions have no rank correlation
            continue
        color = control_color(control)
        axis.axhline(value, color=color, lw=1.1, ls=(0, (2, 1.5)) if control.role == "ceiling" else (0, (5, 2)))
        labels.append(Label(value, f"{control.name} {number(value)}", color))
    if r.sweep.r2.shape[2] > 1:
        for name, line in zip(r.table.target_names, getattr(r.sweep, score).mean(axis=0).T):
            axis.plot(layer, line, color=MODEL, lw=0.8, ls=":")
            labels.append(Label(float(line[-1]), f"{name} {number(float(line[-1]))}", MODEL))
    axis.fill_between(layer, mean - spread, mean + spread, color=MODEL, alpha=0.2, lw=0)
    axis.plot(layer, mean, color=MODEL, lw=2, zorder=3)
    axis.set(ylabel=f"{_NAMES[score]} of test rows", xlim=(0, len(mean) - 1))
    axis.xaxis.get_major_locator().set_params(integer=True)
    _limits(axis, labels, low, float(np.nanmax(mean + spread)))
    chosen = np.unique(r.sweep.chosen)
    axis.plot(
        chosen, np.zeros(len(chosen)), "^", ms=6, color=MODEL, transform=axis.get_xaxis_transform(), clip_on=False
    )
    bottom, top = axis.get_ylim()
    label_right(axis, [label for label in labels if bottom <= label.at <= top])


def _level(r: DatasetResults) -> list[Control]:
    """Controls that are one number each: all but the model itself and what has a curve of its own."""
    curves = {"model", "twin"} if r.twin is not None else {"model"}
    return [c for c in r.controls if computed(c) and kind_of(c) not in curves]


def _twin(axis: Any, r: DatasetResults, score: str) -> tuple[Label, float]:
    """The curve of the untrained twin: its label and how low it goes."""
    assert r.twin is not None
    mean, spread = layer_scores(r.twin, score)
    control = next((c for c in r.controls if kind_of(c) == "twin"), None)
    color, name = (control_color(control), control.name) if control else ("#a04000", "untrained twin")
    layer = np.arange(len(mean))
    axis.fill_between(layer, mean - spread, mean + spread, color=color, alpha=0.15, lw=0)
    axis.plot(layer, mean, color=color, lw=1.5)
    return Label(float(mean[-1]), f"{name} {number(float(mean[-1]))}", color), float(np.nanmin(mean - spread))


def _limits(axis: Any, labels: list[Label], low: float, high: float) -> None:
    lowest = min(low, *(label.at for label in labels))
    highest = max(high, *(label.at for label in labels), 0.1)
    axis.set_ylim(max(lowest - 0.02, LOWEST), min(1.02, highest + 0.06))
    axis.axhline(0, color="0.75", lw=0.7, zorder=0.5)
    if below := [label.text for label in labels if label.at < LOWEST]:
        note = f"below: {listed(below)} ↓"
        axis.text(0.01, 0.02, note, transform=axis.transAxes, fontsize=7, color="0.35")


def direction_cosines(directions: np.ndarray) -> np.ndarray:
    """Cosines ``[target, layer, layer]`` of probe directions ``[layer, width, target]``; NaN for a zero direction."""
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    unit = np.where(length > 0, directions / np.where(length > 0, length, 1), np.nan)
    return np.einsum("lwt,mwt->tlm", unit, unit)


def cosine_figure(r: DatasetResults) -> bytes:
    """Cosine of the probe directions of every two layers, a panel a target."""
    cosines = direction_cosines(r.sweep.directions)
    plt = pyplot()
    with plt.rc_context(RC):
        count = len(cosines)
        height = 3.4 if count > 1 else 4.4
        figure, axes = plt.subplots(1, count, figsize=(WIDTH, height), layout="constrained", squeeze=False)
        for axis, matrix, name in zip(axes.flat, cosines, r.table.target_names):
            image = axis.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", origin="lower", interpolation="nearest")
            panel_title(axis, name.replace("_", " ").capitalize(), _neighbours(matrix))
            axis.set(xlabel="layer", ylabel="layer")
            for line in (axis.xaxis, axis.yaxis):
                line.get_major_locator().set_params(integer=True)
        figure.colorbar(image, ax=list(axes.flat), label="cosine of probe directions", shrink=0.8, pad=0.02)
        return png(figure)


def neighbour_cosine(matrix: np.ndarray) -> float:
    """Mean cosine of successive layers."""
    return float(np.nanmean(np.diagonal(matrix, 1))) if len(matrix) > 1 else float("nan")


def _neighbours(matrix: np.ndarray) -> str:
    return f"successive layers: {number(neighbour_cosine(matrix))} on average"
