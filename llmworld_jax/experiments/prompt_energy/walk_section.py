"""The choice of the walk, in the report."""

import numpy as np

from ...report import Section, Table, Verdict
from ..figure_style import RC, WIDTH, legend_outside, panel_title, png, pyplot
from ..report_pictures import Pictures
from .table import interval
from .walk_measures import FOUND_ON
from .walk_study import BEST, LEARNED, READ_ON, RELAXED, SEARCHED, WalkChoice

LOOKS = ("#111111", "#5a9e3f", "#e07b00", "#9c6b30", "#7d5ba6", "#00997a", "#d1495b", "#d677b8", "#0b6e99", "#808080")


def walk_section(found: WalkChoice, pictures: Pictures) -> Section:
    """Verdict, curves, table."""
    figure = pictures.figure(
        "walks", walk_figure(found), "Energy ratio and edge AUC against words read, one curve a kind of walk.",
        f"Means over {READ_ON} placements of the words, none of which a walk was found on; layer {found.layer}. Kinds "
        f"with dashes were found against the loss, on {FOUND_ON} other placements.",
    )  # fmt: skip
    return Section("Which walk shows the graph soonest", (_verdict(found), figure, _table(found)))


def walk_figure(found: WalkChoice) -> bytes:
    """R on the left, edge AUC on the right."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3), layout="constrained")
        for k, (name, color) in enumerate(zip(found.names, LOOKS)):
            dashes = (0, (4, 2)) if name in (LEARNED, RELAXED, SEARCHED, BEST) else "-"
            for axis, values in zip(axes, (found.ratio, found.auc)):
                axis.plot(found.contexts, _mean(values[k]), color=color, ls=dashes, lw=1.5, label=name)
        axes[0].axhline(1, color="0.8", lw=0.8)
        axes[1].axhline(0.75, color="0.8", lw=0.8)
        axes[0].set(xlabel="words read", ylabel="energy ratio R")
        axes[1].set(xlabel="words read", ylabel="edge AUC")
        panel_title(axes[0], "Energy")
        panel_title(axes[1], "Neighbours told from others", "line: 0.75")
        legend_outside(figure, axes)
        return png(figure)


def _mean(values: np.ndarray) -> np.ndarray:
    """Over placements; NaN where none has a value."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _verdict(found: WalkChoice) -> Verdict:
    last = found.ratio[:, :, -1]
    base = last[0]
    gains = [interval((base - row).tolist()) for row in last]
    best = int(np.nanargmax([gain.mean for gain in gains]))
    sure = [name for name, gain in zip(found.names, gains) if np.isfinite(gain.half) and gain.mean - gain.half > 0]
    text = (
        f"After {found.contexts[-1]} words R is {base.mean():.2f} for uniform walks, and lowest for "
        f"{found.names[best]} ({last[best].mean():.2f}). Surely below uniform on the same placements: "
        f"{', '.join(sure) if sure else 'none'}."
    )
    return Verdict("good" if sure else "negative", text)


def _table(found: WalkChoice) -> Table:
    rows = []
    for k, name in enumerate(found.names):
        reached = found.reached[k][np.isfinite(found.reached[k])]
        rows.append(
            (
                name,
                str(interval(found.ratio[k, :, -1].tolist())),
                str(interval(found.auc[k, :, -1].tolist())),
                f"{np.median(reached):.0f} ({len(reached)} of {READ_ON})" if len(reached) else f"– (0 of {READ_ON})",
                str(interval(found.renormalised[k].tolist())),
                f"{found.unseen[k, :, -1].mean():.1f}",
                f"{found.spent[k]:,}",
            )
        )
    columns = ("walk", "R", "edge AUC", "words until AUC 0.75", "legal among nodes", "nodes unseen", "passes spent")
    caption = f"After {found.contexts[-1]} words; mean and 95 % over {READ_ON} placements; median where it is reached."
    return Table(columns, tuple(rows), caption)
