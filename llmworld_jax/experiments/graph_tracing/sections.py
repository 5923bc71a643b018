"""One section of the report for each graph: verdicts, pictures, tables."""

from ...report import Block, Paragraph, Section, Subheading, Table, Verdict
from ..report_pictures import Pictures
from . import accuracy_figures, energy_figures, map_figures, mechanism_figures
from .behaviour_study import CLASSES
from .looks import reached
from .mechanism_section import mechanism_blocks
from .results import GraphResults
from .study import INDEPENDENT, OTHER, SHUFFLED
from .verdicts import late

SINK = 5.0
_SAYS = {
    INDEPENDENT: "the same words as often, no edges",
    SHUFFLED: "the transitions of the walks as pairs in random order: who follows whom is kept, the path is not",
    OTHER: "walks on a second graph over the same words",
}


def section_of(r: GraphResults, pictures: Pictures) -> Section:
    """Everything about one graph."""
    blocks: list[Block] = [Verdict(kind, text) for kind, text in r.verdicts]  # type: ignore[arg-type]
    if len(r.spread) > 1:
        blocks.append(_placements(r))
    blocks += [_read(r), *_map(r, pictures), *_energy(r, pictures), *_accuracy(r, pictures), *_transition(r, pictures)]
    if r.prior is not None:
        blocks += _prior(r, pictures)
    if r.two is not None:
        blocks += _two(r, pictures)
    if r.mechanism is not None:
        blocks += mechanism_blocks(r, _stem(r), pictures)
    return Section(r.study.key, tuple(blocks))


def _placements(r: GraphResults) -> Table:
    """How much hangs on which word names which node."""
    rows = tuple((k, *values) for k, values in enumerate(r.spread.tolist(), start=1))
    columns = ("placement", f"R, layer {r.layer}", "z", "legal word, later half", "legal among nodes, later half")
    return Table(columns, rows, "The same graph with the words dealt out anew. The layer was chosen on the first.")


def _stem(r: GraphResults) -> str:
    return "".join(c if c.isalnum() else "_" for c in r.study.key)


def _read(r: GraphResults) -> Block:
    study = r.study
    first = study.placements[0].sequences[study.main]
    words = study.placements[0].words
    walk = " ".join(words[node] for node in first.walks[0, :8])
    controls = "; ".join(f"{kind}: {_SAYS[kind]}" for kind in r.behaviour if kind in _SAYS)
    text = (
        f"{study.graph.num_nodes} nodes, {study.graph.num_edges} edges; {len(first.walks)} sequences of "
        f"{first.walks.shape[1]:,} words for each of {len(study.placements)} placement"
        f"{'s' if len(study.placements) > 1 else ''}. The first begins: {walk} …"
    )
    return Paragraph(text + (f" Controls: {controls}." if controls else ""))


def _map(r: GraphResults, pictures: Pictures) -> list[Block]:
    stem, layer = _stem(r), r.plane_layer
    blocks: list[Block] = [
        Subheading("The graph forms"),
        pictures.figure(
            f"{stem}_map", map_figures.map_figure(r),
            f"The nodes' mean vectors of layer {layer} on their first two principal components at growing context, "
            "with the true edges drawn.",
            f"Mean vector of each node at layer {layer}, its last words before the context length, on the first two "
            "principal components; each turned and scaled onto the layout by Procrustes. Lines: true edges. The layer "
            "is the one that aligns best at the last context, a choice by the outcome; a picture of a plane is no "
            "proof, and the whole vectors of all layers are in the next figures.",
        ),
        pictures.animation(
            f"{stem}_forming", map_figures.map_animation(r), "The same, one frame for each context length.",
            "The same plane, one frame a context length.",
        ),
    ]  # fmt: skip
    if r.sink[1:].max() > SINK:
        worst = int(r.sink[1:].argmax()) + 1
        blocks.append(
            Paragraph(
                f"At layer {worst} one token's norm is {r.sink[worst]:.0f} times the median (an attention sink). A "
                "window that holds it is led by it; `--normalise` divides each vector by its size first."
            )
        )
    return blocks


def _energy(r: GraphResults, pictures: Pictures) -> list[Block]:
    stem = _stem(r)
    return [
        Subheading("Energy and shape"),
        pictures.figure(
            f"{stem}_energy", energy_figures.energy_figure(r),
            "Heat map of the energy ratio over layers and contexts, and its course at one layer beside the null.",
            "R = mean squared distance over edges / over all pairs, of the nodes' whole mean vectors: 1 when words are "
            "dealt out at random (band: 95 % of 500 relabellings).",
        ),
        pictures.figure(
            f"{stem}_layers", energy_figures.layers_figure(r),
            "Six measures of shape against the layer at the last context.",
            "Measures of the same means at every layer, at the last context. Alignment compares the first principal "
            "plane with the span of the two smoothest Laplacian modes.",
        ),
        pictures.figure(
            f"{stem}_spectrum", energy_figures.spectrum_figure(r),
            "Share of variance in each group of Laplacian modes.",
            "All of the variance of the node means, mode by mode: what a picture of two components hides. R is the sum "
            "of these shares times their eigenvalues, but for a constant.",
        ),
    ]  # fmt: skip


def _accuracy(r: GraphResults, pictures: Pictures) -> list[Block]:
    stem = _stem(r)
    return [
        Subheading("What it says next"),
        pictures.figure(
            f"{stem}_accuracy", accuracy_figures.accuracy_figure(r),
            "Probability of a legal next word against context, with memorisation curves and counters.",
            "Left: over the whole vocabulary. The formulas are the memorisation baselines of Park et al. (equations 4 "
            "and 5), for independent nodes; beside them the same on these walks. Right: among the nodes' words, beside "
            "predictors that count the transitions read so far.",
        ),
        pictures.figure(
            f"{stem}_divergence", accuracy_figures.divergence_figure(r), "Divergence of the model from every counter.",
            "Mean over walks of the divergence from the model's law over the nodes' words to each counter's.",
        ),
        pictures.figure(
            f"{stem}_exposure", accuracy_figures.exposure_figure(r),
            "Probability of a node by whether its edge was walked.",
            "A copier prefers edges that it saw; a model of the graph would also prefer edges that it did not see to "
            "nodes without an edge. Those are counted at the same moments.",
        ),
        _classes(r),
        _counters(r),
    ]  # fmt: skip


def _classes(r: GraphResults) -> Table:
    rows = tuple(
        (kind, *(f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in b.exposure))
        for kind, b in r.behaviour.items()
    )
    return Table(("sequences", *CLASSES), rows, "Probability a node among the nodes' words, 95 % of walks drawn anew.")


def _counters(r: GraphResults) -> Table:
    rows: list[tuple[str | float | None, ...]] = [
        (kind, late(b.accuracy), late(b.node_mass), late(b.renormalised), late(b.top_valid), late(b.backtrack), None)
        for kind, b in r.behaviour.items()
    ]
    rows += [
        (name, None, None, late(accuracy), None, None, late(divergence))
        for name, accuracy, divergence in zip(r.counters.names, r.counters.accuracy, r.counters.divergence)
    ]
    return Table(
        (
            "later half",
            "legal word",
            "any node's word",
            "legal among nodes",
            "first choice legal",
            "goes back",
            "KL from model",
        ),
        tuple(rows),
        f"Means over walks and the later half of the items. Chance: {r.behaviour[r.study.main].chance:.3f} (degree "
        "over nodes, weighted by visits). Goes back: probability of the word before, over the whole vocabulary.",
    )


def _transition(r: GraphResults, pictures: Pictures) -> list[Block]:
    t, c = r.transition, r.counters
    at, whole = [reached(curve) for curve in c.coverage], [reached(curve, 0.999) for curve in c.largest]
    return [
        Subheading("Transition"),
        pictures.figure(
            f"{_stem(r)}_transition", accuracy_figures.transition_figure(r),
            "Accuracy with two fitted pieces and the energy ratio; lead of the energy at every layer.",
            "Two straight pieces in ln(context), fitted up to saturation. Right: when R has come within 5 % of its "
            "fall, minus the break, for layers where R falls. Walks are drawn anew for both together.",
        ),
        Table(
            ("observed on these walks", "walked once", "walked twice"),
            (("words until half of the edges are walked", *at), ("words until such edges join all nodes", *whole)),
            "Percolation: the part that a walk has seen is connected from its first step, so only edges walked twice "
            f"(or pairs) can tell of a giant component. The fit ends at {t.fitted_to:,} words.",
        ),
    ]  # fmt: skip


def _prior(r: GraphResults, pictures: Pictures) -> list[Block]:
    assert r.prior is not None
    return [
        Subheading("The order that the words bring along"),
        pictures.figure(
            f"{_stem(r)}_prior", mechanism_figures.prior_figure(r, r.prior),
            "Share of variance in each circular plane, for walks, another graph and independent words.",
            "Points on a circle have few planes in all: once the first is the words' own order, the next must look "
            "like another ring. So each plane is held against the same in sequences with another graph, or none.",
        ),
    ]  # fmt: skip


def _two(r: GraphResults, pictures: Pictures) -> list[Block]:
    return [
        Subheading("Two graphs at once"),
        pictures.figure(
            f"{_stem(r)}_two", mechanism_figures.two_figure(r),
            "Energy ratio of both graphs, and overlap of their planes.",
            "A walk whose steps follow either graph. Overlap: of the two directions in the residual stream that carry "
            "each graph's two smoothest modes.",
        ),
    ]  # fmt: skip
