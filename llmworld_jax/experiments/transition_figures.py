"""The transition matrix that the model has learned from a chain, beside the one that made the chain."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from analyses.risk import empirical_rows

from .figure_style import RC, WIDTH, late_from, png, pyplot
from .results import SystemResults


def transition_figure(r: SystemResults, seed: int = 0) -> bytes:
    """Learned matrix (mean late law after each symbol), true matrix, and their difference with its total variation."""
    plt = pyplot()
    learned, count = learned_matrix(r, seed)
    true = true_matrix(r, seed)
    n = len(true)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.2 + 0.12 * n), layout="constrained", sharey=True)
        shown: list[Any] = [_matrix(axis, m, "Blues", 0.0, 1.0) for axis, m in zip(axes, (learned, true))]
        difference = learned - true
        reach = max(0.1, float(np.nanmax(np.abs(difference), initial=0)))
        shown.append(_matrix(axes[2], difference, "RdBu_r", -reach, reach))
        for axis, name in zip(axes, ("Learned", "True", "Learned − true")):
            axis.set_title(name)
            axis.set_xlabel("next symbol")
        axes[0].set_ylabel("symbol before (how often, late)")
        axes[0].set_yticks(range(n), [f"{i}  ({int(k)}×)" for i, k in enumerate(count)])
        _total_variations(axes[2], difference)
        figure.colorbar(shown[1], ax=axes[:2], location="bottom", label="probability", aspect=40, shrink=0.7)
        bar = figure.colorbar(shown[2], ax=axes[2], location="bottom", label="difference", aspect=20, shrink=0.8)
        bar.set_ticks([-reach, 0, reach], labels=[f"−{reach:.2g}", "0", f"+{reach:.2g}"])
        return png(figure)


def learned_matrix(r: SystemResults, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the late laws after each symbol, NaN where none came, and how many laws each row is the mean of."""
    found = empirical_rows(jnp.asarray(r.log_mass[seed]), jnp.asarray(r.codes[seed]), start=late_from(r.codes.shape[1]))
    return np.asarray(found.rows), np.asarray(found.num_laws)


def true_matrix(r: SystemResults, seed: int) -> np.ndarray:
    """Rows of the chain, as far as the series has visited them."""
    n = r.truth.mass.shape[2]
    before = r.codes[seed, :-1]
    rows = np.full((n, n), np.nan)
    for symbol in np.unique(before):
        rows[symbol] = r.truth.mass[seed, 1 + np.argmax(before == symbol)]
    return rows


def _matrix(axis: Any, matrix: np.ndarray, colors: str, low: float, high: float) -> Any:
    """A heat map with its numbers; unknown rows stay white with a dash."""
    image = axis.imshow(matrix, cmap=colors, vmin=low, vmax=high, aspect="auto")
    n = len(matrix)
    axis.set_xticks(range(n))
    size = 8 if n <= 5 else 6.5 if n <= 7 else 5
    for i, j in np.ndindex(n, n):
        value = float(matrix[i, j])
        dark = np.isfinite(value) and (value > 0.6 * high or value < 0.6 * low)
        axis.text(
            j,
            i,
            _spelled(value, signed=low < 0),
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else "black",
        )
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return image


def _spelled(value: float, *, signed: bool) -> str:
    if np.isnan(value):
        return "–"
    rounded = round(value, 2) or 0.0  # −0.004 is no −0.00
    return (f"{rounded:+.2f}" if signed and rounded else f"{rounded:.2f}").replace("-", "−")


def _total_variations(axis: Any, difference: np.ndarray) -> None:
    """The total variation of each row, to the right of it."""
    n = len(difference)
    right = axis.secondary_yaxis("right")
    distances = np.abs(difference).sum(axis=1) / 2
    right.set_yticks(range(n), ["–" if np.isnan(d) else f"{d:.2f}" for d in distances], fontsize=8)
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    right.set_ylabel("total variation of the row")
