"""The tables of one dataset: headline scores, controls, groups, hold-outs and neurons."""

import numpy as np

from ...report import Table
from .control_figures import ordered
from .describing import computed, error_text, layers_text, mean_sd, model_of, number, spread, unit_of_error
from .holdout_figures import largest
from .neuron_figures import neurons_of
from .results import Block, Control, DatasetResults, Scores

LEAST_MEMBERS, MOST_GROUPS, MOST_BLOCKS = 30, 12, 20


def score_table(r: DatasetResults) -> Table:
    """The model's scores at the chosen layer, mean ± standard deviation over folds, beside the MLP probe's."""
    columns: list[tuple[str, Scores]] = [("ridge probe", model_of(r))]
    if r.mlp is not None:
        columns.append(("MLP probe", r.mlp))
    rows = [(name, *(cell(s) for _, s in columns)) for name, cell in _lines(r)]
    own = chosen_layers(r)
    return Table(
        ("score on test rows", *(name for name, _ in columns)),
        tuple(rows),
        f"Mean ± standard deviation over {len(r.sweep.chosen)} fold{'s' if len(r.sweep.chosen) > 1 else ''} of "
        f"{int((r.fold >= 0).sum()):,} entities, which share their training rows, so that ± is no standard error. Each "
        f"fold chose its layer on its training rows alone: {own}.",
    )


def chosen_layers(r: DatasetResults) -> str:
    """``layers 24–30 of 30``."""
    return f"{layers_text(r.sweep.chosen)} of {r.sweep.r2.shape[1] - 1}"


def _lines(r: DatasetResults) -> list:
    lines: list = [("R²", lambda s: spread(s.r2))]
    if len(r.table.target_names) > 1:
        lines += [(f"R², {n}", lambda s, k=k: spread(s.r2_each[:, k])) for k, n in enumerate(r.table.target_names)]
    return [
        *lines,
        ("Spearman's ρ", lambda s: spread(s.rho)),
        ("proximity error (0 perfect, ½ chance)", lambda s: spread(s.proximity)),
        ("median error", lambda s: error_text(s.error, r.table)),
        ("calibration slope (1 calibrated)", lambda s: spread(s.slope)),
    ]


def control_table(r: DatasetResults) -> Table:
    """Every row that the model is held against."""
    return Table(
        ("row", "what it says", "R²", "ρ", "PE", "model's gain in R² [95 %]"),
        tuple(_control(c) for c in ordered(r)),
        "Controls from strong to weak, then what is only for comparison and what a label would give (ceiling). Gain: "
        "the model's R² minus the row's, with a 95 % bootstrap interval over entities; a control is beaten where the "
        "interval lies above 0. PE: proximity error, 0 perfect, ½ chance.",
    )


def _control(c: Control) -> tuple[str | None, ...]:
    name = f"{c.name} (ceiling)" if c.role == "ceiling" else c.name
    if not computed(c):
        return name, f"Not computed: {c.missing or 'no scores'}", None, None, None, None
    s = c.scores
    return name, c.says, spread(s.r2), number(mean_sd(s.rho)[0]), number(mean_sd(s.proximity)[0]), gain_text(c)


def gain_text(c: Control) -> str | None:
    """``0.18 [0.15, 0.21]``; None where it makes no sense."""
    if not np.isfinite(c.gain):
        return None
    return f"{number(c.gain)} [{number(c.gain_low)}, {number(c.gain_high)}]"


def group_table(r: DatasetResults) -> Table | None:
    """Scores inside the largest groups of at least thirty entities; None where there is no such group."""
    large = sorted((g for g in r.by_group if g[1] >= LEAST_MEMBERS), key=lambda g: (-g[1], g[0]))
    if not large:
        return None
    rows = tuple(
        (
            name.replace("_", " "),
            f"{count:,}",
            spread(s.r2),
            spread(s.rho),
            spread(s.proximity),
            number(mean_sd(s.error)[0], 0 if r.table.kind == "place" else 1),
        )
        for name, count, s in large[:MOST_GROUPS]
    )
    shown = f"the {len(rows)} largest of {len(large)}" if len(large) > len(rows) else f"all {len(rows)}"
    return Table(
        (r.group, "entities", "R²", "ρ", "PE", _error_column(r)),
        rows,
        f"Held-out predictions inside single groups ({shown} with at least {LEAST_MEMBERS} entities). R² here is held "
        "against the group's own mean, so that below 0 the group's mean would have been the better guess for each of "
        "its members: a model that only knows which group an entity belongs to has R² of 0 or less in every row.",
    )


def _error_column(r: DatasetResults) -> str:
    unit = unit_of_error(r.table)
    return f"median error ({unit})" if unit else "median error"


def holdout_table(r: DatasetResults, grouping: str) -> Table:
    """The largest blocks with and without their other members in training, and the mean over all blocks."""
    blocks = r.blocks[grouping]
    place = r.table.kind == "place"
    rows = [_block(block, place) for block in largest(blocks, MOST_BLOCKS)]
    rows.append(
        (
            f"mean of all {len(blocks)}",
            f"{sum(len(b.rows) for b in blocks):,}",
            _arrow(mean_over(blocks, "nominal_proximity"), mean_over(blocks, "held_out_proximity"), 2),
            _arrow(mean_over(blocks, "nominal_error"), mean_over(blocks, "held_out_error"), 0),
            *((number(mean_over(blocks, "cosine")),) if place else ()),
            number(mean_over(blocks, "shrinkage")),
        )
    )
    return Table(
        (grouping, "entities", "PE", _error_column(r), *(("cosine",) if place else ()), "reach"),
        tuple(rows),
        "Before the arrow: predicted with the group's other members in training; after it: with the whole group left "
        "out. "
        + ("Cosine: of the true and the predicted way from the training mean to the group's centre. " if place else "")
        + "Reach: how far the predicted centre has moved from the training mean towards the true one; 1 is all the "
        "way, 0 not at all.",
    )


def _block(block: Block, place: bool) -> tuple[str, ...]:
    return (
        block.name.replace("_", " "),
        f"{len(block.rows):,}",
        _arrow(block.nominal_proximity, block.held_out_proximity, 2),
        _arrow(block.nominal_error, block.held_out_error, 0),
        *((number(block.cosine),) if place else ()),
        number(block.shrinkage),
    )


def _arrow(nominal: float, held_out: float, digits: int) -> str:
    return f"{number(nominal, digits)} → {number(held_out, digits)}"


def mean_over(blocks: tuple[Block, ...], field: str) -> float:
    """Mean of one number of every block; NaN where none has it."""
    known = np.array([getattr(block, field) for block in blocks], dtype=float)
    return float(known[np.isfinite(known)].mean()) if np.isfinite(known).any() else float("nan")


def neuron_table(r: DatasetResults) -> Table:
    """The best neuron of every column: on all rows, against chance, and chosen and tested on different rows."""
    n = neurons_of(r)
    rows = []
    for k, name in enumerate(n.names):
        block, neuron = (int(x) for x in n.top[k, 0])
        same = int((n.selected[:, k] == n.top[k, 0]).all(axis=1).sum())
        rows.append(
            (
                name.replace("_", " "),
                f"block {block}, neuron {neuron}",
                number(float(n.rho[block, neuron, k])),
                number(float(n.band[k])),
                spread(n.validated[:, k]),
                number(mean_sd(n.random[:, k])[0]),
                f"{same} of {len(n.selected)}",
            )
        )
    return Table(
        (
            *("target", "best neuron", "ρ, all rows", "best by chance"),
            *("ρ, chosen on training rows", "a neuron of its block", "chosen in folds"),
        ),
        tuple(rows),
        "Spearman's ρ of activation (the gated product, at the last token) and target; blocks count from 0. Best by "
        "chance: the 95 % quantile of the largest |ρ| of all neurons when targets are permuted. Chosen on training "
        "rows: ρ on the test rows of the neuron that was best on the training rows, mean ± standard deviation over "
        "folds, so that choosing the best of thousands does not flatter it. A neuron of its block: the median |ρ| of "
        "that block on the same rows.",
    )
