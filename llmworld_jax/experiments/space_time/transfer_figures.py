"""Whether two datasets' probes read along one direction: cosine against depth, with what chance gives."""

from typing import Any

import numpy as np

from ..figure_style import MODEL, RC, panel_title, panels, png, pyplot, title
from .describing import number
from .transfer import PairCosines

BAND = 1.96
"""Nulls to either side that hold 95 % of random pairs."""
_LINES: tuple[tuple[str, Any], ...] = ((MODEL, "-"), ("#e07b00", (0, (5, 1.5))), ("#5a9e3f", (0, (1, 1))))


def dataset_name(key: str) -> str:
    """``us_cities`` -> ``US cities``."""
    first, *rest = title(key).split(" ")
    return " ".join((first.upper() if first.lower() in ("us", "nyc") else first, *rest))


def pair_name(pair: PairCosines) -> str:
    """``World cities – US cities``."""
    return f"{dataset_name(pair.a_name)} – {dataset_name(pair.b_name)}"


def cosine_layer_figure(cosines: tuple[PairCosines, ...]) -> bytes:
    """Cosine of two datasets' probe directions by layer, a panel a pair, a line a target, all on one scale.

    Grey: ±1.96/√width, where 95 % of random pairs lie.

    Raises:
        ValueError: no pair.
    """
    if not cosines:
        raise ValueError("Got no pair of datasets. Expected at least one. Draw nothing where there is none.")
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = panels(len(cosines), 2.5)
        figure.get_layout_engine().set(hspace=0.06)
        low, high = _limits(cosines)
        for axis, pair in zip(axes, cosines, strict=True):
            _panel(axis, pair)
            axis.set(ylim=(low, high), xlim=(0, max(len(pair.cosine) - 1, 1)))
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.set_xlabel("layer (0 = token embedding, l = after block l)")
        for axis in axes[::2]:
            axis.set_ylabel("cosine of probe directions")
        return png(figure)


def _limits(cosines: tuple[PairCosines, ...]) -> tuple[float, float]:
    known = np.concatenate([pair.cosine[np.isfinite(pair.cosine)] for pair in cosines])
    band = BAND * max(pair.null for pair in cosines)
    return max(-1.04, min(known.min(initial=0), -band) - 0.06), min(1.04, max(known.max(initial=0), band) + 0.06)


def _panel(axis: Any, pair: PairCosines) -> None:
    panel_title(axis, pair_name(pair), f"grey: 95 % of pairs of random directions, ±{number(BAND * pair.null)}")
    axis.axhspan(-BAND * pair.null, BAND * pair.null, color="0.87", lw=0, zorder=0)
    axis.axhline(0, color="0.6", lw=0.7, zorder=0.5)
    for k, (name, line) in enumerate(zip(pair.target_names, pair.cosine.T, strict=True)):
        color, dashes = _LINES[k % len(_LINES)]
        axis.plot(np.arange(len(line)), line, color=color, ls=dashes, lw=1.7, label=name.replace("_", " "))
    axis.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none")
