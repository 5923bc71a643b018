"""What the report says about groups that were left out, and about single neurons."""

from ...report import Block, Subheading
from ..report_pictures import Pictures
from .describing import dataset_title, listed, mean_sd, number
from .holdout_figures import MOST, MOST_ERRORS, holdout_error_figure, holdout_figure
from .neuron_figures import neuron_figure, neurons_of
from .results import DatasetResults
from .tables import holdout_table, mean_over, neuron_table


def holdout_blocks(r: DatasetResults, grouping: str, pictures: Pictures) -> tuple[Block, ...]:
    """Whole groups left out of training: pictures and table. Nothing where no group is large enough."""
    blocks = r.blocks[grouping]
    if not blocks:
        return ()
    place = r.table.kind == "place"
    nominal, held_out = mean_over(blocks, "nominal_proximity"), mean_over(blocks, "held_out_proximity")
    shown = min(MOST, len(blocks))
    what = (
        "Red: its true places; blue: where a probe puts them that has seen no other member of it; cross: the mean of "
        "the training places, where a probe that knows nothing would put all. PE is the proximity error before and "
        "after leaving the group out."
        if place
        else "Red: the true range; blue: the predictions of a probe that has seen no other member of it; grey: of one "
        "that has (thin: central 80 %; thick: central half; dot: median); cross: the mean of the training rows, where "
        "a probe that knows nothing would put all."
    )
    return (
        Subheading(f"Without a whole {grouping}"),
        pictures.figure(
            f"{r.table.key}_without_{grouping}",
            holdout_figure(r, grouping),
            f"Predictions of {dataset_title(r)} for {shown} groups ({grouping}) that were left out of training",
            f"The {shown} largest groups, each left out whole. {what} A map that is more than a list of groups has the "
            f"blue near the red. {_reach(r, grouping)}",
        ),
        pictures.figure(
            f"{r.table.key}_without_{grouping}_errors",
            holdout_error_figure(r, grouping),
            f"Proximity error of each {grouping} of {dataset_title(r)} with and without the group in training",
            f"Proximity error of the {min(MOST_ERRORS, len(blocks))} largest groups with their other members in "
            "training (grey) and without (blue); the longer the line, the more of the map was the group itself. Mean "
            f"over all {len(blocks)}: {number(nominal)} before, {number(held_out)} after; chance is ½.",
        ),
        holdout_table(r, grouping),
    )


def _reach(r: DatasetResults, grouping: str) -> str:
    reach = mean_over(r.blocks[grouping], "shrinkage")
    said = f"Here the centre of the predictions moves {100 * reach:.0f} % of the way from the mean to the true centre"
    if r.table.kind != "place":
        return f"{said}, on average."
    cosine = number(mean_over(r.blocks[grouping], "cosine"))
    return f"{said}, in a direction whose cosine with the true one is {cosine}, on average."


def neuron_blocks(r: DatasetResults, pictures: Pictures) -> tuple[Block, ...]:
    """Single neurons: picture and table."""
    n = neurons_of(r)
    beyond = [
        f"{name.replace('_', ' ')} ({number(mean_sd(n.validated[:, k])[0])} on test rows)"
        for k, name in enumerate(n.names)
        if mean_sd(n.validated[:, k])[0] > n.band[k]
    ]
    said = f"On rows that did not choose it the best neuron stays beyond that line for: {listed(beyond)}."
    return (
        Subheading("Single neurons"),
        pictures.figure(
            f"{r.table.key}_neurons",
            neuron_figure(r),
            f"The neuron that follows each target of {dataset_title(r)} best, and the histogram of all neurons",
            "Left: activation of the neuron of largest |ρ| against the target, one point an entity. Right: |ρ| of all "
            "neurons on a logarithmic scale; the dashed line is what the best of so many reaches by chance (permuted "
            f"targets, 95 %). {said} That a neuron follows the target does not say that the model uses it.",
        ),
        neuron_table(r),
    )
