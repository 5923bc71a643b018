"""What a run amounts to, in sentences that can turn out either way."""

from typing import NamedTuple

import numpy as np

from .results import Behaviour, Geometry, GraphResults, Mechanism, Prior, Transition
from .study import INDEPENDENT, SHUFFLED, Study

LATE = 0.5
"""Late items: those after this share of the sequence."""
P_LEVEL = 0.01
Z_LEVEL = -2.3  # about as rare, for a placement on which the layer was not chosen


class Said(NamedTuple):
    """``kind`` is "good", "neutral" or "negative"."""

    kind: str
    text: str


def late(curve: np.ndarray) -> float:
    """Mean of the later half of ``[walk, time]`` or ``[time]``."""
    return float(np.nanmean(curve[..., round(LATE * curve.shape[-1]) :]))


def shape_verdict(layer: int, main: str, geometry: dict[str, Geometry], spread: np.ndarray) -> Said:
    """Whether the means have the graph's shape, more than the control without edges, and on every placement.

    Args:
        spread: ``[placement, ...]``, R and z at ``layer`` first.
    """
    g = geometry[main]
    r, z, p = float(g.ratio[layer, -1]), float(g.z[layer, -1]), float(g.p[layer, -1])
    text = (
        f"Energy ratio {r:.2f} at layer {layer} (relabelled 1.00 ± {g.null_sd[layer, -1]:.2f}, z {z:+.1f}, p {p:.3f})"
    )
    if INDEPENDENT in geometry:
        control = geometry[INDEPENDENT]
        best = int(np.nanargmin(control.ratio[:, -1]))
        text += f"; independent words {control.ratio[layer, -1]:.2f} there, at best {control.ratio[best, -1]:.2f}"
        beaten = bool(g.ratio_high[layer, -1] < control.ratio_low[layer, -1])
    else:
        beaten = True
    low = spread[:, 1] < Z_LEVEL
    if len(spread) > 1:
        every = ", ".join(f"{ratio:.2f}" for ratio in spread[:, 0])
        text += f"; the {len(spread)} placements have {every} there, {low.sum()} of them below z {Z_LEVEL:.1f}"
    if p < P_LEVEL and beaten and not low[1:].all():
        return Said("neutral", f"The representations take the shape of the graph on some placements only. {text}.")
    if p < P_LEVEL and beaten:
        return Said("good", f"The representations take the shape of the graph. {text}.")
    if beaten and INDEPENDENT in geometry:
        return Said(
            "neutral", f"The representations move towards the graph, but not beyond a random placement. {text}."
        )
    return Said("negative", f"The representations do not take the shape of the graph beyond its controls. {text}.")


def behaviour_verdict(behaviour: dict[str, Behaviour], main: str) -> Said:
    """Whether legal words are preferred."""
    b = behaviour[main]
    text = (
        f"In the later half a legal word has probability {late(b.accuracy):.2f} of the whole vocabulary, "
        f"{late(b.renormalised):.2f} among the nodes' words (chance {b.chance:.2f}"
    )
    if INDEPENDENT in behaviour:
        text += f", independent words {late(behaviour[INDEPENDENT].renormalised):.2f}"
    if SHUFFLED in behaviour:
        text += f", shuffled edges {late(behaviour[SHUFFLED].renormalised):.2f}"
    each = np.nanmean(b.renormalised, axis=1)
    clear = each.mean() - 2 * each.std(ddof=1) / np.sqrt(len(each)) > b.chance
    if clear:
        return Said("good", f"The model follows the edges. {text}).")
    return Said("negative", f"The model does not follow the edges. {text}).")


def inference_verdict(b: Behaviour) -> Said:
    """Whether edges that were never walked are preferred to nodes without an edge at the same moments."""
    seen, unseen, none = b.exposure
    if not np.isfinite(unseen).all() or not np.isfinite(none).all():
        return Said("neutral", "Too few moments with an edge that was never walked to tell inference from copying.")
    text = f"An edge never walked has {unseen[0]:.3f} a node, no edge at the same moments {none[0]:.3f}"
    if np.isfinite(seen[0]):
        text += f", an edge walked before {seen[0]:.3f}"
    if unseen[1] > none[2]:
        return Said("good", f"Edges that were never walked are inferred. {text}.")
    return Said("negative", f"Edges that were never walked are not inferred: this is copying. {text}.")


def transition_verdict(t: Transition, layer: int) -> Said:
    """Whether there is a transition, and what comes first."""
    if not np.isfinite(t.break_at).all():
        return Said("neutral", "No transition could be fitted.")
    slope = f"slopes {t.before[0]:.3f} and {t.after[0]:.3f} a unit of ln(context)"
    at = f"{t.break_at[0]:.0f} words (95 %: {t.break_at[1]:.0f} to {t.break_at[2]:.0f})"
    sudden = t.share_rising > 0.975
    first = (
        f"The accuracy turns upwards at {at}, {slope}"
        if sudden
        else f"The accuracy rises without a sure break; the best is at {at}, {slope}"
    )
    lead = t.lead[:, layer]
    if not np.isfinite(lead).all():
        return Said("neutral", f"{first}. Energy does not fall at layer {layer}.")
    span = f"{lead[0]:+.0f} words against that break (95 %: {lead[1]:+.0f} to {lead[2]:+.0f})"
    if not sudden:
        return Said("neutral", f"{first}, so no order can be told (the energy has fallen at {span}).")
    order = "energy first" if lead[2] < 0 else "accuracy first" if lead[1] > 0 else "no order can be told"
    return Said("good" if lead[2] < 0 else "neutral", f"{first}. The energy has fallen at {span}: {order}.")


def mechanism_verdict(m: Mechanism) -> Said:
    """What remains when the predecessor is taken out."""
    p = m.predecessor
    rows = dict(zip(p.names, p.ratio))
    whole, alone = p.ratio[0], rows["current word alone, the previous one regressed out"]
    share = (1 - alone) / (1 - whole) if whole < 1 else np.nan
    text = (
        f"R of a node's mean {whole:.2f}, with the previous word regressed out {alone:.2f}, read after a neutral "
        f"filler {p.probe_ratio[-1]:.2f}; random vectors mixed once with their neighbours {p.ratio[-1]:.2f}"
    )
    if np.isfinite(share) and share > 0.25:
        return Said(
            "neutral",
            f"The word before explains part of the geometry, not all ({share:.0%} of the fall is left). {text}.",
        )
    return Said("negative", f"The word before explains the geometry. {text}.")


def causal_verdict(m: Mechanism) -> Said:
    """Whether exchanging coordinates in the first plane moves predictions more than a random change as long."""
    s = m.swap
    gain = s.towards - s.clean[0]
    best = int(np.argmax(gain[:, 0]))
    random, error = gain[best, -1], s.standard_error[best]
    text = (
        f"Layer {s.layers[best]}: the new node's neighbours get {s.clean[0]:.3f} unchanged, {s.towards[best, 0]:.3f} "
        f"with PC 1–2 exchanged, {s.towards[best, 1]:.3f} with PC 3–4, {s.towards[best, 2]:.3f} with all directions, "
        f"{s.towards[best, -1]:.3f} with a random change as long as PC 1–2's"
    )
    if gain[best, 0] - random > 2 * np.hypot(error[0], error[-1]):
        return Said("good", f"The first plane is used. {text}.")
    return Said("negative", f"The first plane is not used more than a random direction. {text}.")


def prior_verdict(prior: Prior, step: int, main: str, layer: int) -> Said:
    """Whether the plane of the context's ring holds more than in independent words."""
    from .prior_study import gain_of_step

    if INDEPENDENT not in prior.kinds:
        return Said("neutral", "Without controls nothing can be said of the context's ring.")
    gain = gain_of_step(prior, main, step, INDEPENDENT)[:, -1]
    at = int(np.flatnonzero(prior.steps == step)[0])
    power = prior.power[prior.kinds.index(main), layer, -1]
    own = int(np.flatnonzero(prior.steps == 1)[0])
    text = (
        f"The step-{step} plane holds {power[at]:.2f} of the variance at layer {layer} ({gain[layer]:+.2f} against "
        f"independent words; largest {np.nanmax(gain):+.2f} at layer {int(np.nanargmax(gain))}), the words' own order "
        f"{power[own]:.2f}"
    )
    return Said("good" if gain[layer] > 0.05 else "negative", f"{text}.")


def verdicts_of(study: Study, found: GraphResults) -> tuple[tuple[str, str], ...]:
    """Every sentence about one graph, the shape first."""
    from .prior_study import circular_step

    said = [
        shape_verdict(found.layer, study.main, found.geometry, found.spread),
        behaviour_verdict(found.behaviour, study.main),
        inference_verdict(found.behaviour[study.main]),
        transition_verdict(found.transition, found.layer),
    ]
    if found.mechanism is not None:
        said += [mechanism_verdict(found.mechanism), causal_verdict(found.mechanism)]
    step = circular_step(study.graph)
    if found.prior is not None and step is not None:
        said.append(prior_verdict(found.prior, step, study.main, found.layer))
    return tuple((one.kind, one.text) for one in said)
