"""How it is done: heads, what their loss costs, predecessors, and coordinates exchanged."""

from typing import Any

import numpy as np

from ..figure_style import FLOOR, MODEL, OBSERVER, RC, WIDTH, legend_outside, panel_title, plain_ticks, png, pyplot
from .looks import CONTEXT, LAYER, PLANES, color_of, dashes_of
from .results import GraphResults, Mechanism, Prior

_CONDITIONS = ("#111111", "#e6a36b", "#c25a00", "#8fc1d9", "#0b6e99", "#9a9a9a", "#9b2c7a", "#d9a5cb")


def mechanism_of(r: GraphResults) -> Mechanism:
    """The mechanism of a run. Raises ValueError where it did not look for one."""
    if r.mechanism is None:
        raise ValueError(f"Got no mechanism of {r.study.key}. Expected a run that looked for one. Draw none.")
    return r.mechanism


def heads_figure(r: GraphResults) -> bytes:
    """Scores of all heads, and what silencing the best ones does to accuracy and energy."""
    m = mechanism_of(r)
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 3.4), layout="constrained", width_ratios=(1, 1.25, 1.1))
        axes[0].scatter(m.previous.ravel(), m.induction.ravel(), s=9, color=MODEL, lw=0, alpha=0.6)
        axes[0].set(xlabel="previous-token score", ylabel="induction score", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        panel_title(axes[0], "All heads", "on repeated random tokens")
        a = m.ablation
        middle = np.sqrt(np.maximum(a.bins[:-1], 1) * a.bins[1:])
        for k, name in enumerate(a.names):
            axes[1].plot(middle, a.renormalised[k], "o-", ms=2.5, lw=1.4, color=_CONDITIONS[k % 8], label=name)
            axes[2].plot(a.ratio_by_layer[k], lw=1.4, color=_CONDITIONS[k % 8])
        axes[1].set(xscale="log", xlabel=CONTEXT, ylabel="legal among node words")
        plain_ticks(axes[1].xaxis)
        axes[2].set(xlabel=LAYER, ylabel="energy ratio R")
        panel_title(axes[1], "Accuracy without", "heads or directions")
        panel_title(axes[2], "Energy without", "last context")
        legend_outside(figure, axes)
        return png(figure)


def swap_figure(r: GraphResults) -> bytes:
    """Legal moves of the node put in, against layer and dose."""
    s = mechanism_of(r).swap
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3), layout="constrained", sharey=True)
        for k, name in enumerate(s.planes):
            axes[0].errorbar(
                s.layers, s.towards[:, k], s.standard_error[:, k], fmt="o-", ms=3, lw=1.4, color=PLANES[k], label=name
            )
            axes[1].plot(s.doses, s.dosed[:, k], "o-", ms=3, lw=1.4, color=PLANES[k])
        for axis in axes:
            axis.axhline(s.clean[0], color=OBSERVER, lw=0.9, ls=":", label="nothing changed")
        axes[0].set(xlabel="layer changed, at the last word", ylabel="probability of the new node's neighbours")
        axes[1].set(xlabel="dose (1: the other node's mean)")
        panel_title(axes[0], "Coordinates exchanged", f"{s.trials} trials; bars: ± one standard error of the change")
        panel_title(axes[1], f"Dose, layer {s.layers[len(s.layers) // 2]}")
        legend_outside(figure, axes)
        return png(figure)


def prior_figure(r: GraphResults, prior: Prior) -> bytes:
    """Share of the variance in each circular plane, at every layer (above) and, at one layer, every context (below)."""
    names = {1: "Ring of step 1 (own)"}
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(2, len(prior.steps), figsize=(WIDTH, 4.6), layout="constrained", sharey=True)
        for k, step in enumerate(prior.steps):
            for kind, power in zip(prior.kinds, prior.power):
                style: dict[str, Any] = {"color": color_of(kind), "ls": dashes_of(kind), "lw": 1.5, "label": kind}
                axes[0, k].plot(power[:, -1, k], **style)
                axes[1, k].plot(r.study.contexts, power[r.layer, :, k], **style)
            for axis in axes[:, k]:
                axis.axhline(1 / len(prior.steps), color=FLOOR, lw=0.8, ls=":", label="even")
            panel_title(axes[0, k], names.get(int(step), f"Ring of step {step}"))
            axes[0, k].set_xlabel(LAYER)
            axes[1, k].set(xscale="log", xlabel=CONTEXT)
            plain_ticks(axes[1, k].xaxis)
        axes[0, 0].set_ylabel(f"share at {r.study.contexts[-1]:,} words")
        axes[1, 0].set_ylabel(f"share at layer {r.layer}")
        legend_outside(figure, axes.flat)
        return png(figure)


def two_figure(r: GraphResults) -> bytes:
    """R of both graphs of a mixture, and the overlap of the planes that carry them."""
    two = r.two
    if two is None or r.study.other is None:
        raise ValueError(f"Got no mixture of {r.study.key}. Expected a run with --mixture. Draw none.")
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.0), layout="constrained")
        for name, ratio, color in ((r.study.key, two.first, MODEL), (r.study.other.name, two.second, "#5a9e3f")):
            axes[0].plot(ratio[:, -1], lw=1.6, color=color, label=f"R of {name}")
        axes[0].axhline(1, color=FLOOR, lw=0.8, ls=":", label="chance")
        axes[0].set(xlabel=LAYER, ylabel="energy ratio R")
        axes[1].plot(two.overlap[:, -1], lw=1.6, color=OBSERVER, label="overlap of their planes")
        axes[1].set(xlabel=LAYER, ylabel="0: orthogonal, 1: the same", ylim=(0, 1))
        panel_title(axes[0], "Two graphs at once", f"{r.study.contexts[-1]:,} words")
        panel_title(axes[1], "Do they share a plane?")
        legend_outside(figure, axes)
        return png(figure)
