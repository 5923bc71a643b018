"""What interventions amount to, in words, whichever way they went."""

import numpy as np

from ...entities.table import EntityTable
from ...report import Verdict
from .causal import Causal
from .certificate import MONOTONE, Certificate
from .describing import number
from .interventions import mean_increase

#: An answer that moves by less than this share of the read-out is called small.
SMALL = 0.01


def certificate_verdict(c: Certificate, table: EntityTable) -> Verdict:
    """Whether a direction is used, by how much, and against what."""
    name, layer = table.target_names[c.target].replace("_", " "), c.block + 1
    if not c.measured:
        kept = number(float(c.read_out[0, -1, -1, 0] / c.doses[-1]))
        said = (
            f"Nothing was asked, so it is not known whether the model uses the probe's direction of {name}. Of each "
            f"standard deviation at layer {layer}, the probe after the last block reads {kept}."
        )
        return Verdict("neutral", said, "Not measured.")
    effect = (
        f"for a step of one standard deviation ({effect_text(c.sd, table, c.target)}) along the probe's direction at "
        f"layer {layer} the answer moves by {effect_text(c.slope[0], table, c.target)} "
        f"[{number(c.slope_low)}, {number(c.slope_high)}]"
    )
    others = np.abs(c.slope[1:])
    against = (
        f"the largest of {len(others)} random steps of the same length moves it by {number(float(others.max()))} "
        f"(p = {number(c.p_value)})"
    )
    selective = (
        f"For the change that it makes to everything the model says, it changes the answer more than "
        f"{int(np.sum(c.selectivity[1:] < c.selectivity[0]))} of them."
    )
    if c.passes and c.gain >= SMALL:
        return Verdict("good", f"The model uses the direction of {name}: {effect}; {against}. {selective}", "Holds.")
    if c.passes:
        said = f"The model hardly uses the direction of {name}: {effect}; {against}. {selective}"
        return Verdict("neutral", said, "Holds, barely.")
    return Verdict(
        "negative", f"No use of the direction of {name} is shown: {effect}; {against}{_why(c)}.", "Not shown."
    )


def _why(c: Certificate) -> str:
    reasons = []
    if c.slope[0] <= 0:
        reasons.append("it moves the wrong way")
    beaten_by = int(np.sum(np.abs(c.slope[1:]) >= abs(c.slope[0])))
    if beaten_by:
        reasons.append(f"{beaten_by} of the random steps move it as much")
    if c.monotone < MONOTONE:
        reasons.append(f"the last probe's read-out does not follow the dose (ρ {number(c.monotone)})")
    return "".join(f"; {reason}" for reason in reasons)


def effect_text(value: float, table: EntityTable, target: int) -> str:
    """``3.93 degrees``, ``22.9 years``."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{number(float(value), digits)} {table.units[target]}".strip()


def neuron_text(c: Causal) -> str:
    """What pinning and silencing show."""
    assert c.pins is not None
    assert c.ablation is not None
    change = (c.pins.score - c.pins.clean_score)[..., 0].mean(axis=2)
    span = change[:, -1] - change[:, 0]
    larger = int(np.sum(np.abs(span[1:]) >= abs(span[0])))
    count = len(span) - 1
    said = (
        f"From the lowest to the highest value the answer moves by {effect_text(float(span[0]), c.table, 0)}, "
        f"{'more than with any other neuron' if not larger else f'no more than with {larger} of the {count} others'}"
        f" (largest of them {effect_text(float(np.abs(span[1:]).max()), c.table, 0)})"
    )
    against = np.sign(span[0]) * np.sign(c.rho) < 0
    said += (
        f"; yet against its correlation with the target (ρ {number(c.rho)}): it is read out, if at all, the other way."
        if against and not larger
        else f". Its correlation with the target over names is ρ {number(c.rho)}."
    )
    rows = mean_increase(c.ablation)
    beyond = int(np.sum(rows[1:, 0] >= rows[0, 0]))
    return (
        f"{said} Silenced, it costs {number(float(rows[0, 0]), 4)} nats a token [{number(float(rows[0, 1]), 4)}, "
        f"{number(float(rows[0, 2]), 4)}], {beyond} of the {count} others cost as much."
    )
