"""What a prompt changes: score against depth under every prompt, and every prompt's probe under every other."""

import textwrap
from typing import Any

import numpy as np

from ..figure_style import MODEL, RC, WIDTH, panel_title, png, pyplot
from .describing import mean_sd, number
from .margin_labels import Label, label_right
from .prompt_comparison import PromptComparison

LOWEST = -0.1
"""Scores further down are cut: they would flatten everything else."""
_COLORS = (MODEL, "#e07b00", "#5a9e3f", "#9b2c7a", "#a04000", "#566573")
_DASHES: tuple[Any, ...] = ("-", (0, (6, 1.5)), (0, (3, 1.2)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1)))
_NAMES = {"r2": "R²", "rho": "ρ (Spearman)"}


def prompt_name(key: str) -> str:
    """``empty_all_caps`` -> ``empty all caps``."""
    return key.replace("_", " ")


def prompt_layer_figure(c: PromptComparison) -> bytes:
    """R² and ρ of test rows against layer, one line a prompt; the band is one standard deviation over folds.

    Triangles mark the layers that the folds chose, the grey line the layer at which prompts are crossed.
    """
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 5.6), sharex=True)
        figure.subplots_adjust(left=0.09, right=0.76, top=0.92, bottom=0.08, hspace=0.22)
        for axis, score in zip(axes, _NAMES):
            _panel(axis, c, score)
        panel_title(axes[0], "R² of test rows by layer", "▲ chosen on training rows    ┊ layer of the crossed probes")
        axes[1].set_title("Rank correlation of test rows by layer")
        axes[1].set_xlabel("layer (0 = token embedding, l = after block l)")
        return png(figure)


def _panel(axis: Any, c: PromptComparison, score: str) -> None:
    each = getattr(c, score)
    mean = each.mean(axis=1)
    sd = each.std(axis=1, ddof=1) if each.shape[1] > 1 else np.zeros_like(mean)
    layer, labels = np.arange(mean.shape[1]), []
    axis.axvline(c.layer, color="0.4", lw=1, ls=":", zorder=0.5, clip_on=False)
    axis.axhline(0, color="0.75", lw=0.7, zorder=0.5)
    for k, key in enumerate(c.keys):
        color, first = _COLORS[k % len(_COLORS)], k == 0
        axis.fill_between(layer, mean[k] - sd[k], mean[k] + sd[k], color=color, alpha=0.14, lw=0)
        dashes = _DASHES[k % len(_DASHES)]
        axis.plot(layer, mean[k], color=color, lw=2 if first else 1.5, ls=dashes, zorder=3 + first)
        at = np.unique(c.chosen[k])
        axis.plot(at, mean[k, at], "^", ms=5, color=color, zorder=5, clip_on=False)
        labels.append(Label(float(mean[k, -1]), f"{prompt_name(key)} {number(float(mean[k, -1]))}", color, first))
    bottom = max(min(float(np.nanmin(mean - sd)), 0) - 0.02, LOWEST)
    top = min(1.02, max(float(np.nanmax(mean + sd)), 0.1) + 0.06)
    axis.set(ylabel=f"{_NAMES[score]} of test rows", xlim=(0, max(mean.shape[1] - 1, 1)), ylim=(bottom, top))
    axis.xaxis.get_major_locator().set_params(integer=True)
    label_right(axis, [label._replace(at=max(label.at, bottom)) for label in labels if np.isfinite(label.at)])


def prompt_matrix_figure(c: PromptComparison) -> bytes:
    """Every prompt's probe (row) under every prompt (column): R² as it is and with the mean shift undone, and ρ.

    A shift of all predictions of a fold leaves their ranks, so that ρ is one and the same with and without it.
    """
    plt = pyplot()
    shown = (("R², as it is", c.raw_r2), ("R², mean shift undone", c.centred_r2), ("ρ (either way)", c.raw_rho))
    matrices = [each.mean(axis=2) for _, each in shown]
    top = max(0.1, *(float(matrix[np.isfinite(matrix)].max(initial=0)) for matrix in matrices))
    with plt.rc_context(RC):
        height = 1.5 + max(1.0, 0.4 * len(c.keys))
        figure, axes = plt.subplots(1, 3, figsize=(WIDTH, height), layout="constrained", sharey=True)
        for axis, matrix, (name, _) in zip(axes, matrices, shown, strict=True):
            image = _matrix(axis, matrix, top)
            axis.set_title(name, fontsize=9)
            axis.set_xlabel("tested under")
            axis.set_xticks(range(len(c.keys)), [prompt_name(key) for key in c.keys], rotation=35, ha="right")
        axes[0].set_yticks(range(len(c.keys)), [textwrap.fill(prompt_name(key), 13) for key in c.keys])
        axes[0].set_ylabel("trained under")
        figure.colorbar(image, ax=list(axes), label="R² or ρ", shrink=0.9, pad=0.01, extend="min", extendfrac=0.08)
        return png(figure)


def _matrix(axis: Any, matrix: np.ndarray, top: float) -> Any:
    import matplotlib as mpl

    colors = mpl.colormaps["YlGnBu"].with_extremes(under="#e3c9c4", bad="#eeeeee")
    image = axis.imshow(matrix, vmin=0, vmax=top, cmap=colors, interpolation="nearest", aspect="auto")
    for (row, column), value in np.ndenumerate(matrix):
        axis.text(
            column, row, cell_text(float(value)), ha="center", va="center", fontsize=7.5 if len(matrix) < 5 else 7,
            color="white" if value > 0.6 * top else "0.1", fontweight="bold" if row == column else "normal",
        )  # fmt: skip
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return image


def cell_text(value: float) -> str:
    """``0.42``, ``−3.7``, ``−37``, ``<−99``: short enough for a cell."""
    return "<−99" if value < -99 else number(value, 2 if abs(value) < 1 else 1 if abs(value) < 10 else 0)


def same_and_other(scores: np.ndarray) -> tuple[float, float]:
    """Mean of ``[train prompt, test prompt, fold]`` where both prompts are one, and where they are two."""
    same = np.eye(len(scores), dtype=bool)
    return mean_sd(scores[same])[0], mean_sd(scores[~same])[0]
