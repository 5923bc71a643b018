"""What the report says about interventions on one dataset."""

import numpy as np

from ...report import Block, Figure, Paragraph, Subheading, Table
from ..figure_style import title
from ..report_pictures import Pictures
from .causal import PINNED_AT, Causal
from .causal_figures import certificate_figure, pinning_figure
from .certificate import spearman
from .certificate_words import SMALL, certificate_verdict, effect_text, neuron_text
from .depth_profile import reach
from .describing import number
from .interventions import worst_contexts

_CONTEXTS = 10
_READS = {
    "up": "neurons that read it (up)", "gate": "neurons that read it (gate)", "down": "neurons that write it",
    "V": "heads that carry it on (V)", "O": "heads that write it (O)", "Q": "heads that ask with it (Q)",
    "K": "heads that are asked by it (K)", "embedding": "words embedded along it",
    "unembedding": "words that it makes likelier",
}  # fmt: skip


def causal_section(c: Causal, pictures: Pictures) -> tuple[Block, ...]:
    """Verdict, dose-response pictures, neurons and weights."""
    shown = shown_certificate(c)
    blocks: list[Block] = [
        Subheading("Does the model use it?"),
        *(certificate_verdict(c.certificates[k], c.table) for k in _first_of_targets(c, shown)),
        _setting(c),
        _certificate(c, shown, pictures),
    ]
    if len(c.certificates) > 1:
        blocks.append(_table(c))
    if c.pins is not None and c.ablation is not None:
        blocks += [_neuron(c, pictures), _contexts(c)]
    return (*blocks, _weights(c))


def shown_certificate(c: Causal) -> int:
    """The one that is drawn: of the first target, after the block nearest a third of the depth."""
    early = len(c.certificates[0].read_out[0, 0]) // 3
    own = [k for k, found in enumerate(c.certificates) if found.target == c.certificates[0].target]
    return min(own, key=lambda k: abs(c.certificates[k].block - early))


def _first_of_targets(c: Causal, shown: int) -> tuple[int, ...]:
    block = c.certificates[shown].block
    return tuple(k for k, found in enumerate(c.certificates) if found.block == block)


def _setting(c: Causal) -> Paragraph:
    found, name = c.certificates[0], title(c.table.key)
    clean = found.score[0, int(np.argmin(np.abs(found.doses)))]
    count = len(c.prompts.entities)
    if not found.measured:
        return Paragraph(
            f"{count} entities of {name} were moved. What the model says of them was not measured: "
            f"{c.prompts.missing}. Probes' read-outs and the divergence of the next-token law are all there is."
        )
    first = c.prompts.entities[0]
    answered = float(found.answered[0, int(np.argmin(np.abs(found.doses)))].mean())
    rho = spearman(clean, c.table.targets[c.prompts.entities, found.target])
    words = ", ".join(f"`{word.strip()}`" for word in c.prompts.words)
    share = f"{100 * found.length / c.distance[0]:.0f} % of the activations' typical distance from their mean"
    return Paragraph(
        f"{count} entities of {name} (short names only) were moved at their last token; the model then went on to the "
        f"end of “{c.table.texts[first]}{c.prompts.suffix}”, where the answers {words} hold {100 * answered:.0f} % of "
        "its next-token law. Their mean value, weighted by probability, is what it says; without any step its rank "
        f"correlation with the truth is {number(rho)} over these entities. A dose of 1 moves the probe's read-out by "
        f"one standard deviation of the target, {effect_text(found.sd, c.table, found.target)}"
        f"{f', by a step of {share}' if np.isfinite(c.distance[0]) else ''}."
    )


def _certificate(c: Causal, k: int, pictures: Pictures) -> Figure:
    found = c.certificates[k]
    last = reach(c.profile)
    depth = (
        f" Beyond layer {last + 1} it is less than a quarter of its largest: by then the entity's token has been read, "
        "however well a probe decodes it there."
        if found.passes and last is not None and last < c.profile.block[-1]
        else ""
    )
    step = (
        f"The activation of the entity's last token at layer {found.block + 1} moved along the probe's direction "
        "(blue) and along random steps of the same length (grey; brown: within the leading components of the "
        "activations, the harder control)."
    )
    heard = "divergence of the whole next-token law: a direction that matters only for this answer changes little else."
    read = "read-out of the probe after the last block, which keeps part of the step whether or not it is used"
    name, drawn = f"{c.table.key}_certificate", certificate_figure(c, k)
    if not found.measured:
        return pictures.figure(
            name, drawn,
            f"Divergence and read-out of {title(c.table.key)} against the dose along the probe's direction, beside "
            "random steps",
            f"{step} Left: {read}. Right: {heard}",
        )  # fmt: skip
    return pictures.figure(
        name, drawn,
        f"Answer, divergence and read-out of {title(c.table.key)} against the dose along the probe's direction, beside "
        "random steps, and the effect against depth",
        f"{step} First: change of the mean answer (band: standard error over entities). Second: {heard} Third: {read}; "
        "dashed, at the last token, to which it must have been carried. Fourth: effect of the same step at other "
        "layers, in standard deviations of the answer for one of dose (band: 95 %, over entities; grey bar: the random "
        f"steps).{depth}",
    )  # fmt: skip


def _table(c: Causal) -> Table:
    rows = []
    for found in c.certificates:
        others = np.abs(found.slope[1:])
        rows.append(
            (
                c.table.target_names[found.target].replace("_", " "), found.block + 1,
                f"{number(found.slope[0])} [{number(found.slope_low)}, {number(found.slope_high)}]",
                float(found.gain), float(others.max()), float(found.p_value), float(found.selectivity_p),
                ("yes" if found.gain >= SMALL else "barely") if found.passes else "no",
            )
        )  # fmt: skip
    return Table(
        ("target", "layer", "slope [95 %]", "sd per sd", "largest random slope", "p", "p (selectivity)", "passes"),
        tuple(rows),
        "The certificate at every layer that was tested. Slope: change of the answer, in the target's unit, for a step "
        "of one standard deviation; p: rank of its size among random steps of the same length. Selectivity is the "
        "slope over the root of the divergence, so that it does not depend on the length of a step.",
    )


def _neuron(c: Causal, pictures: Pictures) -> Figure:
    assert c.neuron is not None
    return pictures.figure(
        f"{c.table.key}_neuron_interventions",
        pinning_figure(c),
        f"Answer about {title(c.table.key)} with a neuron pinned, and loss with it silenced, beside random neurons",
        f"Left: neuron {c.neuron[1]} of block {c.neuron[0]} (blue) held at its mean over names and up to "
        f"{PINNED_AT[-1]:g} of its standard deviations to either side, at every token, beside {len(c.random)} other "
        "neurons of its block held at theirs (grey): change of the mean answer. Right: increase of the loss of the "
        f"whole statement, true answer included, when a neuron is silenced. {neuron_text(c)}",
    )


def _contexts(c: Causal) -> Table:
    assert c.ablation is not None
    rows = []
    for context in worst_contexts(c.ablation, 0, _CONTEXTS):
        pieces = c.pieces[context.prompt]
        before = "".join(pieces[: context.position]).strip()
        rows.append((f"…{before[-40:]}", f"`{pieces[context.position].strip()}`", context.increase))
    return Table(
        ("context", "token", "loss increase, nats"),
        tuple(rows),
        "Where silencing the neuron costs most. Every neuron has such a list; it is the mean, in the picture above, "
        "that tells them apart.",
    )


def _weights(c: Causal) -> Table:
    words = dict(c.words)
    rows = []
    for part in c.parts:
        where = f"`{words[part.name].strip()}`" if part.layer < 0 else f"block {part.layer}, {part.unit}"
        rows.append((_READS[part.name], where, part.score, part.null, part.p_value))
    layer = c.certificates[shown_certificate(c)].block + 1
    return Table(
        ("weights", "strongest", "score", "random 95 %", "p"),
        tuple(rows),
        f"Where the probe's direction at layer {layer} meets the weights: cosine with what single neurons and words "
        "read and write, and the share of it that a head passes on (its matrices scaled to norm 1). Random: the "
        "largest of each of many directions"
        + (" within the leading components of the activations." if np.isfinite(c.distance[0]) else "."),
    )  # fmt: skip
