"""What every figure of the experiments shares: one colour a predictor, one width, PNG bytes that repeat.

Matplotlib is imported when a figure is made, never before.
"""

import io
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

MODEL, TRUTH, OBSERVER, FLOOR, FIT = "#0b6e99", "#d1495b", "#111111", "#808080", "#04314a"
WIDTH = 7.0
DOTS_PER_INCH = 170
LINE_HEIGHT = 10.5
"""Points from line to line of small print."""
LETTERS = 112
"""About as many as stand in a line of a legend of the full width."""
RC = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.dpi": 100,
    "figure.titlesize": 10,
    "figure.titleweight": "bold",
    "savefig.dpi": DOTS_PER_INCH,
}
CONTEXT_LABEL = "context length (items read)"
LOSS_LABEL = {
    "bhattacharyya": "Bhattacharyya distance (nats)",
    "absolute_deviation": "|Δ mean| (display units of 10)",
}
LATE_SHARE = 0.5
"""Figures of what was learned show the items after this share of the series."""


class Null(NamedTuple):
    """How one null is drawn: its colour, its dashes, and its marker where it is known at a few contexts only."""

    color: str
    dashes: tuple[float, tuple[float, ...]] = (0, (4, 2))
    marker: str = "o"


NULLS = {
    "unigram": Null("#9c6b30", (0, (5, 2))),
    "bigram": Null("#5a9e3f", (0, (3, 1.5))),
    "AR(1)": Null("#e07b00", (0, (7, 2))),
    "quadratic AR(1)": Null("#b39700", (0, (7, 1.5, 1.5, 1.5))),
    "kernel": Null("#7d5ba6", (0, (2, 1))),
    "parrot D=1": Null("#d677b8", (0, (4, 1.5, 1, 1.5))),
    "parrot D=2": Null("#9b2c7a", (0, (4, 1.5, 1, 1.5, 1, 1.5))),
    "neural AR(1)": Null("#00997a", marker="s"),
    "shuffled context": Null("#566573", marker="^"),
    "random weights": Null("#a04000", marker="X"),
}
"""Every null has one look in all figures."""
_SPELLED = {
    **{word: word.capitalize() for word in ("brownian", "gaussian", "markov", "lorenz")},
    **{"iid": "independent", "henon": "Hénon", "rossler": "Rössler", "ar2": "AR(2)"},
    "ornstein_uhlenbeck": "Ornstein–Uhlenbeck",
}
_UNKNOWN_NULL = Null("#999999", (0, (1, 1)), "D")


def null_style(name: str) -> Null:
    """The look of a null; those without one of their own are grey."""
    return NULLS.get(name, _UNKNOWN_NULL)


def title(name: str) -> str:
    """``noisy_logistic_map`` -> ``Noisy logistic map``; names of people keep their capitals."""
    if name in _SPELLED:
        name = _SPELLED[name]
    words = [_SPELLED.get(word, word) for word in name.split("_")]
    return " ".join((words[0][:1].upper() + words[0][1:], *words[1:]))


def panel_title(axis: Any, name: str, *notes: str, colors: tuple[str, ...] = ()) -> None:
    """A bold heading, and under it lines of small print, above the data."""
    axis.set_title(name, pad=6 + LINE_HEIGHT * len(notes))
    for k, (note, color) in enumerate(zip(reversed(notes), reversed(colors or ("0.3",) * len(notes)))):
        axis.annotate(note, (0, 1), (0, 5 + LINE_HEIGHT * k), "axes fraction", "offset points", fontsize=8, color=color)


def pyplot() -> Any:
    """Matplotlib with a backend that needs no screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def png(figure: Any) -> bytes:
    """The figure as PNG bytes; the figure is closed. Equal figures give equal bytes."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def panels(count: int, height: float = 2.6) -> tuple[Any, list[Any]]:
    """A figure of ``count`` panels in two columns (one panel: one column), each ``height`` inches high."""
    columns = min(2, count)
    rows = -(-count // columns)
    figure, axes = pyplot().subplots(
        rows, columns, figsize=(WIDTH, height * rows + 0.6), squeeze=False, layout="constrained"
    )
    for axis in list(axes.flat)[count:]:
        axis.remove()
    return figure, list(axes.flat)[:count]


def legend_outside(figure: Any, axes: Iterable[Any], order: Iterable[str] = ()) -> None:
    """One legend above all panels, so that it covers no data; each label once, those of ``order`` first."""
    found: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            found.setdefault(label, handle)
    labels = [name for name in order if name in found]
    labels += [name for name in found if name not in labels]
    if labels:
        columns = max(k for k in range(1, len(labels) + 1) if k == 1 or _legend_width(labels, k) <= LETTERS)
        legend = figure.legend([found[name] for name in labels], labels, loc="outside upper center", ncols=columns)
        for handle in legend.legend_handles:
            handle.set_alpha(1 if handle.get_alpha() is None else max(handle.get_alpha(), 0.5))


def _legend_width(labels: list[str], columns: int) -> int:
    """Letters in the longest line of a legend, which is filled column by column; a handle is as wide as nine."""
    return sum(max(map(len, part)) + 9 for part in np.array_split(labels, columns))


def plain_ticks(*axes: Any) -> None:
    """Few, plain numbers on the logarithmic ones of these axes, whether they span half a decade or six."""
    from matplotlib import ticker

    for axis in axes:
        if axis.get_scale() != "log":
            continue
        low, high = axis.get_view_interval()
        decades = np.log10(high / low)
        subs = (1.0, 2.0, 5.0) if decades < 1.7 else (1.0, 3.0) if decades < 2.6 else (1.0,)
        axis.set_major_locator(ticker.LogLocator(subs=subs))
        axis.set_major_formatter(ticker.FuncFormatter(plain_number))
        axis.set_minor_formatter(ticker.NullFormatter())


def plain_number(value: float, _: int | None = None) -> str:
    """0.001, 0.5, 20, 10⁻⁵, 3·10⁻⁴: a number as one reads it on an axis."""
    if not value or 9e-4 < abs(value) < 1e5:
        return f"{value:g}"
    digits, exponent = f"{value:.0e}".split("e")
    factor = "" if digits == "1" else rf"{digits}\cdot"
    return f"${factor}10^{{{int(exponent)}}}$"


def late_from(steps: int) -> int:
    """First of the late items."""
    return max(1, round(LATE_SHARE * steps))
