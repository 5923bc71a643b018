"""What the model says next, beside chance, memorisation and counting."""

from typing import Any

import numpy as np

from ..figure_style import FLOOR, MODEL, OBSERVER, RC, WIDTH, legend_outside, panel_title, plain_ticks, png, pyplot
from .behaviour_study import CLASSES
from .looks import CONTEXT, COUNTED, color_of, contexts_axis, dashes_of, reached, smoothed
from .results import GraphResults

EXACT = ("#566573", "#99a3a8")


def accuracy_figure(r: GraphResults) -> bytes:
    """Left: over the whole vocabulary, with memorisation. Right: among the nodes' words, with counters."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.3), layout="constrained", sharey=True)
        for kind, b in r.behaviour.items():
            style = {"color": color_of(kind), "ls": dashes_of(kind), "lw": 1.8, "label": f"model: {kind}"}
            axes[0].plot(*smoothed(b.accuracy.mean(axis=0)), **style)
            axes[1].plot(*smoothed(b.renormalised.mean(axis=0)), **style)
        main = r.behaviour[r.study.main]
        axes[0].plot(
            *smoothed(main.node_mass.mean(axis=0)), color=MODEL, lw=1, ls=(0, (1, 1)), label="model: mass on node words"
        )
        _memorised(axes[0], r)
        for k, name in enumerate(r.counters.names):
            axes[1].plot(*smoothed(r.counters.accuracy[k]), color=COUNTED.get(name, FLOOR), lw=1.1, label=name)
        axes[1].axhline(main.chance, color=FLOOR, lw=0.9, ls=":", label="chance (degree / nodes)")
        panel_title(axes[0], "Probability of a legal word", "over the whole vocabulary")
        panel_title(axes[1], "The same among the nodes' words", "beside counters of the same walks")
        axes[0].set(ylabel="probability of a neighbour", ylim=(0, 1.02))
        for axis in axes:
            contexts_axis(axis)
        legend_outside(figure, axes)
        return png(figure)


def _memorised(axis: Any, r: GraphResults) -> None:
    time = np.arange(1, r.counters.seen.shape[1] + 1)
    for k, (word, color) in enumerate(zip(("once", "twice"), EXACT)):
        axis.plot(
            time, r.counters.formula[k], color=color, lw=1, ls=(0, (4, 1.5, 1, 1.5)), label=f"seen {word}: formula"
        )
        axis.plot(*smoothed(r.counters.seen[k]), color=color, lw=1, label=f"seen {word}: these walks")


def divergence_figure(r: GraphResults) -> bytes:
    """How far the model's law over the nodes is from every counter's, item by item."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 3.1), layout="constrained")
        for k, name in enumerate(r.counters.names):
            axis.plot(*smoothed(r.counters.divergence[k]), color=COUNTED.get(name, FLOOR), lw=1.5, label=name)
        axis.set(ylabel="KL(model ‖ counter), nats", ylim=(0, None))
        contexts_axis(axis)
        panel_title(axis, "Is it a counter?", "0: the model says what the counter says")
        legend_outside(figure, (axis,))
        return png(figure)


def exposure_figure(r: GraphResults) -> bytes:
    """Probability a node by what was seen of its edge: only edges never walked tell inference from copying."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 2.9), layout="constrained")
        kinds = list(r.behaviour)
        for k, kind in enumerate(kinds):
            value, low, high = r.behaviour[kind].exposure.T
            at = np.arange(len(CLASSES)) + (k - (len(kinds) - 1) / 2) * 0.8 / len(kinds)
            axis.bar(at, value, 0.8 / len(kinds), color=color_of(kind), label=kind)
            axis.errorbar(at, value, (value - low, high - value), fmt="none", color=OBSERVER, lw=0.9, capsize=2)
        axis.axhline(1 / r.study.graph.num_nodes, color=FLOOR, lw=0.9, ls=":", label="1 / nodes")
        axis.set_xticks(range(len(CLASSES)), CLASSES)
        axis.set_ylabel("probability of such a node")
        panel_title(
            axis, "Copying or inference?", "among the nodes' words, from word 25 on; bars: walks drawn anew, 95 %"
        )
        legend_outside(figure, (axis,))
        return png(figure)


def transition_figure(r: GraphResults) -> bytes:
    """Left: accuracy with its two pieces, and R. Right: how long before the break R has fallen, at every layer."""
    t, main = r.transition, r.behaviour[r.study.main]
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained", width_ratios=(1.25, 1))
        axis = axes[0]
        at, curve = smoothed(main.accuracy.mean(axis=0))
        axis.plot(at, curve, color=MODEL, lw=1.8, label="accuracy")
        _pieces(axis, r, at, curve)
        axis.axvspan(t.break_at[1], t.break_at[2], color=OBSERVER, alpha=0.1, lw=0, label="break, 95 %")
        axis.set_ylabel("probability of a legal word", color=MODEL)
        contexts_axis(axis)
        beside = axis.twinx()
        beside.plot(
            r.study.contexts,
            r.geometry[r.study.main].ratio[r.layer],
            "o-",
            ms=3,
            color="#d1495b",
            lw=1.3,
            label="energy ratio R (right)",
        )
        beside.set_ylabel(f"R, layer {r.layer}", color="#d1495b")
        beside.spines["right"].set_visible(True)
        panel_title(axis, "Transition", f"fitted up to {t.fitted_to} words, where accuracy saturates")
        _lead(axes[1], r)
        legend_outside(figure, (axis, beside, axes[1]))
        return png(figure)


def _pieces(axis: Any, r: GraphResults, at: np.ndarray, curve: np.ndarray) -> None:
    t = r.transition
    if not np.isfinite(t.break_at[0]):
        return
    inside = at[at <= t.fitted_to]
    u, b = np.log(inside), np.log(t.break_at[0])
    shape = t.before[0] * (u - b) + (t.after[0] - t.before[0]) * np.maximum(0, u - b)
    level = np.mean(curve[: len(inside)] - shape)
    axis.plot(inside, level + shape, color=OBSERVER, lw=1.1, ls=(0, (3, 1.5)), label="two pieces")


def _lead(axis: Any, r: GraphResults) -> None:
    value, low, high = r.transition.lead
    layers = np.arange(len(value))
    known = np.isfinite(value)
    axis.axvline(0, color="0.6", lw=0.9)
    axis.errorbar(
        value[known], layers[known], xerr=np.abs(np.stack((value - low, high - value)))[:, known], fmt="o", ms=3,
        lw=0.9, color=MODEL, label="R has fallen, minus the break",
    )  # fmt: skip
    axis.set(xlabel="words (left of 0: energy first)", ylabel="layer", ylim=(-0.5, len(layers) - 0.5))
    panel_title(axis, "Which comes first?", "95 % of walks drawn anew")


def scaling_figure(results: tuple[GraphResults, ...]) -> bytes:
    """Break of the accuracy, and where half of the edges were walked, against the number of nodes."""
    size = np.array([r.study.graph.num_nodes for r in results])
    breaks = np.stack([r.transition.break_at for r in results])
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 3.2), layout="constrained")
        low, high = np.abs(breaks[:, 0] - breaks[:, 1]), np.abs(breaks[:, 2] - breaks[:, 0])
        axis.errorbar(size, breaks[:, 0], (low, high), fmt="o", color=MODEL, label="break of the accuracy, 95 %")
        axis.plot(
            size,
            [reached(r.counters.coverage[0]) for r in results],
            "s",
            color="#e07b00",
            label="half of the edges walked",
        )
        for r, x, y in zip(results, size, breaks[:, 0]):
            axis.annotate(r.study.key, (x, y), (4, 4), textcoords="offset points", fontsize=7)
        axis.set(xscale="log", yscale="log", xlabel="nodes", ylabel=CONTEXT)
        plain_ticks(axis.yaxis)
        axis.set_xticks(size, [str(n) for n in size])
        axis.set_xticks((), minor=True)
        panel_title(axis, "Transition and size")
        legend_outside(figure, (axis,))
        return png(figure)
