"""Prompts before series of numbers, in the report."""

import numpy as np

from ...report import Section, Table, Verdict
from ..figure_style import RC, WIDTH, panel_title, png, pyplot
from ..report_pictures import Pictures
from .law_study import HELD_OUT, LAW_LOSSES, MEASURES, TRAINING, LawPrompts

COLORS = ("#0b6e99", "#5a9e3f", "#e07b00", "#d1495b")
SMOOTH = 8


def law_section(found: LawPrompts, pictures: Pictures) -> Section:
    """Verdict, losses, and a table for each system."""
    figure = pictures.figure(
        "law_losses", law_figure(found), "Loss against step, one panel a loss.",
        f"Loss of one series drawn from {TRAINING} at every step (thin), smoothed (thick).",
    )  # fmt: skip
    tables = tuple(_table(found, k) for k in range(len(found.systems)))
    return Section("Prompts before series of numbers", (_verdict(found), figure, *tables))


def law_figure(found: LawPrompts) -> bytes:
    """One panel an objective."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, len(LAW_LOSSES), figsize=(WIDTH, 2.3), layout="constrained")
        for axis, name, label, curve, color in zip(axes, LAW_LOSSES, MEASURES, found.loss, COLORS):
            steps = np.arange(1, len(curve) + 1)
            axis.plot(steps, curve, color=color, lw=0.6, alpha=0.4)
            window = np.ones(min(SMOOTH, len(curve)))
            smooth = np.convolve(curve, window, "valid") / len(window)
            axis.plot(steps[len(window) - 1 :], smooth, color=color, lw=1.8)
            axis.set(xlabel="step", ylabel=label)
            panel_title(axis, name.capitalize() if name != "kl" and name != "crps" else name.upper())
        return png(figure)


def _verdict(found: LawPrompts) -> Verdict:
    own = []
    for k, name in enumerate(LAW_LOSSES):
        row = found.names.index(name)
        gain = found.value[0, :, k] - found.value[row, :, k]
        sure = gain > found.half[row, :, k]
        own.append((name, gain, sure))
    trained = ", ".join(f"{name} {gain[0]:+.2f}{'' if sure[0] else ' (not sure)'}" for name, gain, sure in own)
    text = f"Gains on held-out series of {found.systems[0]}, each in its own measure: {trained}"
    for j, system in enumerate(found.systems[1:], start=1):
        text += f"; on {system}, never trained on: " + ", ".join(
            f"{name} {gain[j]:+.2f}{'' if sure[j] else ' (not sure)'}" for name, gain, sure in own
        )
    return Verdict("good" if all(sure[0] for _, _, sure in own) else "neutral", text + ".")


def _table(found: LawPrompts, system: int) -> Table:
    rows = []
    for k, name in enumerate(found.names):
        cells = [f"{found.value[k, system, m]:.3f}" + _half(found, k, system, m) for m in range(len(MEASURES))]
        rows.append((name, *cells))
    what = "trained on" if system == 0 else "never trained on"
    caption = (
        f"{found.systems[system]}, {what}; means over {HELD_OUT} held-out series, ± half the 95 % interval of the "
        "difference to no prompt. Distances are to the true transition law; CRPS in display units (the grid spans 10)."
    )
    return Table(("prompt", *MEASURES), tuple(rows), caption)


def _half(found: LawPrompts, prompt: int, system: int, measure: int) -> str:
    return "" if prompt == 0 else f" ± {found.half[prompt, system, measure]:.3f}"
