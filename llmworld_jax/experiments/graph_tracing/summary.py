"""The table of a whole run: one row a graph, the model beside what it must beat."""

import numpy as np

from ...report import Table
from .results import GraphResults
from .study import INDEPENDENT
from .verdicts import late

COLUMNS = (
    *("graph (nodes, edges)", "R (z)", "R independent words", "edge AUC", "alignment", "accuracy", "renormalised"),
    *("chance", "best counter", "edge never walked / no edge", "break (words)"),
)
CAPTION = (
    "R: energy ratio at the layer where it is lowest, last context; 1 under relabelled nodes, z against 500 of them. "
    "Alignment: of the first principal plane with the Laplacian's (1 the same). Accuracy: probability of a legal word "
    "over the whole vocabulary, later half; renormalised: among the nodes' words; chance weighs nodes by their visits. "
    "Best counter: the counter of ``counters`` with the highest accuracy in the later half. Edge never walked / no "
    "edge: probability a node, at the same moments. Break: of two straight pieces in ln(context), 95 % of walks drawn "
    "anew."
).replace("``counters``", "the report")


def summary_table(results: tuple[GraphResults, ...]) -> Table:
    """One row a graph."""
    return Table(COLUMNS, tuple(_row(r) for r in results), CAPTION)


def _row(r: GraphResults) -> tuple[str, ...]:
    g, b, t = r.geometry[r.study.main], r.behaviour[r.study.main], r.transition
    at = (r.layer, -1)
    control = f"{r.geometry[INDEPENDENT].ratio[at]:.2f}" if INDEPENDENT in r.geometry else "–"
    counted = max(late(curve) for curve in r.counters.accuracy)
    spread = "" if len(r.spread) < 2 else f" ± {r.spread[:, 0].std(ddof=1):.2f}"
    interval = (
        f"{t.break_at[0]:.0f} ({t.break_at[1]:.0f}–{t.break_at[2]:.0f})" if np.isfinite(t.break_at).all() else "–"
    )
    return (
        f"{r.study.key} ({r.study.graph.num_nodes}, {r.study.graph.num_edges})",
        f"{g.ratio[at]:.2f}{spread} ({g.z[at]:+.1f})",
        control,
        f"{g.auc[at]:.2f}",
        f"{g.alignment[at]:.2f}",
        f"{late(b.accuracy):.2f}",
        f"{late(b.renormalised):.2f}",
        f"{b.chance:.2f}",
        f"{counted:.2f}",
        f"{b.exposure[1, 0]:.3f} / {b.exposure[2, 0]:.3f}",
        interval,
    )
