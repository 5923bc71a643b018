"""Pictures of interventions: what follows the dose, at which depth, and what single neurons do."""

from typing import Any

import numpy as np

from ..figure_style import FLOOR, MODEL, OBSERVER, RC, TRUTH, WIDTH, legend_outside, panel_title, png, pyplot
from .causal import PINNED_AT, Causal
from .certificate import ISOTROPIC, SPANNED, Certificate
from .describing import number
from .interventions import mean_increase

SPAN_COLOR = "#9c6b30"
_LOOKS = {
    ISOTROPIC: (FLOOR, "random step"),
    SPANNED: (SPAN_COLOR, "random step among activations"),
}


def certificate_figure(c: Causal, k: int = 0) -> bytes:
    """Answer, divergence and read-out against the dose, and the effect against depth; certificate ``k``.

    Without a question that has answers of one token there is no answer to draw: divergence and read-out only.
    """
    found = c.certificates[k]
    rows = 2 if found.measured else 1
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(rows, 2, figsize=(WIDTH, 2.7 * rows), squeeze=False, layout="constrained")
        _divergence_panel(axes[0, 1], found)
        _read_out_panel(axes[-1, 0], found)
        if found.measured:
            _answer_panel(axes[0, 0], c, found)
            _depth_panel(axes[1, 1], c, found)
        for axis in {axes[0, 0], axes[0, 1], axes[-1, 0]}:
            axis.set_xlabel("dose, standard deviations of the target")
        legend_outside(figure, axes.flat, order=("probe's direction",))
        return png(figure)


def _curves(axis: Any, c: Certificate, curves: np.ndarray, tested: str) -> None:
    """One line a direction, the tested one on top; ``curves [direction, dose]``."""
    for kind, (color, label) in _LOOKS.items():
        rows = [row for row, of in zip(curves, c.kinds) if of == kind]
        for n, row in enumerate(rows):
            axis.plot(c.doses, row, color=color, lw=0.8, alpha=0.55, label=label if n == 0 else None)
    axis.plot(c.doses, curves[0], "o-", color=MODEL, ms=3.6, lw=1.8, label=tested)


def _answer_panel(axis: Any, c: Causal, found: Certificate) -> None:
    name, unit = c.table.target_names[found.target].replace("_", " "), c.table.units[found.target]
    panel_title(axis, "What it then says")
    axis.set_ylabel(f"change of {name}" + (f" ({unit})" if unit else ""))
    axis.axhline(0, color="0.8", lw=0.8, zorder=0)
    change = found.score - found.score[:, [int(np.argmin(np.abs(found.doses)))]]
    _curves(axis, found, change.mean(axis=2), "probe's direction")
    if change.shape[2] > 1:
        error = change[0].std(axis=1, ddof=1) / np.sqrt(change.shape[2])
        mean = change[0].mean(axis=1)
        axis.fill_between(found.doses, mean - error, mean + error, color=MODEL, alpha=0.18, lw=0)


def _divergence_panel(axis: Any, found: Certificate) -> None:
    panel_title(axis, "How much else changes")
    heard = found.divergence.mean(axis=2)
    _curves(axis, found, np.where(found.doses == 0, np.nan, np.maximum(heard, 1e-9)), "probe's direction")
    axis.set(yscale="log", ylabel="KL from the clean run (nats)")


def _read_out_panel(axis: Any, found: Certificate) -> None:
    panel_title(axis, "What later probes read")
    axis.axhline(0, color="0.8", lw=0.8, zorder=0)
    _curves(axis, found, found.read_out[:, :, -1, 0], "probe's direction")
    if found.measured:  # else the name is all that is read, and its last token the last of all
        at_last = found.read_out[0, :, -1, 1]
        axis.plot(
            found.doses, at_last, "s--", color=MODEL, ms=3, lw=1.2, label="probe's direction, read at the last token"
        )
    axis.set_ylabel("read-out after the last block (sd)")


def _depth_panel(axis: Any, c: Causal, found: Certificate) -> None:
    p = c.profile
    layer = p.block + 1
    panel_title(axis, "Where the step is made")
    axis.axhline(0, color="0.8", lw=0.8, zorder=0)
    if np.isfinite(p.low).all():
        axis.fill_between(layer, p.low, p.high, color=MODEL, alpha=0.18, lw=0)
    axis.plot(layer, p.gain, "o-", color=MODEL, ms=3.6, lw=1.6)
    if found.target == 0 and len(found.slope) > 1:
        others = found.slope[1:] / found.sd
        axis.vlines(found.block + 1, others.min(), others.max(), color=FLOOR, lw=5, alpha=0.6)
        axis.plot([found.block + 1], [found.gain], "D", ms=6, color=TRUTH, label="against random steps (grey)")
    axis.set(xlabel="layer after which the step is made", ylabel="answer, sd per sd of dose")


def pinning_figure(c: Causal) -> bytes:
    """The answer against the value to which a neuron is pinned, and the loss when it is silenced."""
    if c.pins is None or c.ablation is None or c.neuron is None:
        raise ValueError(f"Got no pinned neuron of {c.table.key}. Expected a run with one. Draw no neuron.")
    plt = pyplot()
    with plt.rc_context(RC):
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.1), layout="constrained")
        _pin_panel(left, c)
        _ablation_panel(right, c)
        legend_outside(figure, (left, right))
        return png(figure)


def _pin_panel(axis: Any, c: Causal) -> None:
    assert c.pins is not None
    assert c.neuron is not None
    change = (c.pins.score - c.pins.clean_score)[..., 0].mean(axis=2)
    panel_title(axis, "Pinned at every token")
    axis.axhline(0, color="0.8", lw=0.8, zorder=0)
    for n, row in enumerate(change[1:]):
        axis.plot(
            PINNED_AT, row, color=FLOOR, lw=0.9, alpha=0.7, label="random neurons of its block" if n == 0 else None
        )
    axis.plot(
        PINNED_AT, change[0], "o-", color=MODEL, ms=3.6, lw=1.8, label=f"block {c.neuron[0]}, neuron {c.neuron[1]}"
    )
    name, unit = c.table.target_names[0].replace("_", " "), c.table.units[0]
    axis.set(xlabel="pinned at its mean + … sd over names", ylabel=f"change of {name}" + (f" ({unit})" if unit else ""))


def _ablation_panel(axis: Any, c: Causal) -> None:
    assert c.ablation is not None
    rows = mean_increase(c.ablation)
    order = np.concatenate(([0], 1 + np.argsort(-rows[1:, 0])))
    panel_title(axis, "Silenced")
    axis.axvline(0, color=OBSERVER, lw=0.8, zorder=0)
    for at, k in enumerate(order):
        color = MODEL if k == 0 else FLOOR
        axis.plot(rows[k, 1:], [at, at], color=color, lw=1.4)
        axis.plot([rows[k, 0]], [at], "o", color=color, ms=4)
    axis.set(yticks=[], ylim=(len(order) - 0.5, -0.5), xlabel="loss increase, nats a token (95 % interval)")
    axis.set_ylabel("neurons")
    axis.locator_params(axis="x", nbins=5)
    worst = float(np.nanmax(c.ablation.increase[0]))
    axis.annotate(
        f"its worst token: +{number(worst)}", (1, 1), (0, 4), "axes fraction", "offset points", ha="right", fontsize=8,
        color="0.3",
    )  # fmt: skip
