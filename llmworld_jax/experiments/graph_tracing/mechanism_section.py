"""How it is done: the part of a graph's section on mechanism."""

import numpy as np

from ...report import Block, Items, Subheading, Table
from ..report_pictures import Pictures
from . import mechanism_figures
from .results import GraphResults


def mechanism_blocks(r: GraphResults, stem: str, pictures: Pictures) -> list[Block]:
    """Heads, predecessors and swaps; pictures are named after ``stem``."""
    m = mechanism_figures.mechanism_of(r)
    p, a = m.predecessor, m.ablation
    parts = tuple((n, *values) for n, *values in zip(p.names, p.ratio, p.auc, p.alignment))
    probes = tuple(
        (f"read after a neutral filler, {c:,} words", *values)
        for c, *values in zip(p.probe_contexts, p.probe_ratio, p.probe_auc, p.probe_alignment)
    )
    silenced = tuple(
        (name, accuracy[-1], renormalised[-1], ratio)
        for name, accuracy, renormalised, ratio in zip(a.names, a.accuracy, a.renormalised, a.ratio)
    )
    return [
        Subheading("How it is done"),
        pictures.figure(
            f"{stem}_heads", mechanism_figures.heads_figure(r),
            "Scores of heads and the cost of silencing them.",
            "Heads are scored on repeated random tokens and silenced by zeroing their outputs; as many heads drawn at "
            "random are the control.",
        ),
        Table(("silenced", "accuracy, last bin", "legal among nodes, last bin", f"R, layer {m.layer}"), silenced),
        Table(
            (f"layer {m.layer}", "R", "edge AUC", "alignment"), (*parts, *probes),
            f"Token vectors as current word + previous word explain {p.explained:.0%} of their variance, the current "
            f"word alone {p.explained_by_current:.0%}.",
        ),
        pictures.figure(
            f"{stem}_swap", mechanism_figures.swap_figure(r),
            "Probability of the new node's neighbours after coordinates are exchanged, by layer and dose.",
            "At one layer the last word's coordinates in a subspace become those of a node neither equal nor adjacent "
            "to it. The random change has the length of that in PC 1–2.",
        ),
        Items(_swap_lines(r)),
    ]  # fmt: skip


def _swap_lines(r: GraphResults) -> tuple[str, ...]:
    s = mechanism_figures.mechanism_of(r).swap
    best = int(np.argmax(s.towards[:, 2]))
    lines = [
        f"Unchanged: neighbours of the new node {s.clean[0]:.3f}, of the old {s.clean[1]:.3f}; first choice legal for "
        f"the new {s.clean[2]:.2f}, among the first three {s.clean[3]:.2f}."
    ]
    lines += [
        f"{name} exchanged at layer {s.layers[best]}: {s.towards[best, k]:.3f} and {s.away[best, k]:.3f}; "
        f"{s.hit1[best, k]:.2f}, {s.hit3[best, k]:.2f}; the change is {s.norms[best, k]:.2f} of the vector's length."
        for k, name in enumerate(s.planes)
    ]
    if s.everywhere is not None:
        parts = ", ".join(f"{name} {v:.3f} ± {e:.3f}" for name, (v, e) in zip(s.planes, s.everywhere))
        lines.append(f"Exchanged at every occurrence of the node, neighbours of the new node: {parts}.")
    return tuple(lines)
