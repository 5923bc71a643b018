"""What the report says about one dataset: its verdict, its scores, its pictures, and what to read off them."""

import numpy as np

from ...report import Block, Facts, Figure, Items, Paragraph, Section, Subheading, Verdict
from ..report_pictures import Pictures
from .control_figures import control_figure
from .curve_figures import curve_figure
from .date_figures import date_figure
from .describing import dataset_title, error_text, layers_text, mean_sd, model_of, number, target_label, tested
from .layer_animation import layer_animation
from .layer_figures import cosine_figure, direction_cosines, layer_figure, layer_scores, neighbour_cosine
from .map_figures import map_figure
from .palette import shown_group
from .probing_sections import holdout_blocks, neuron_blocks
from .results import DatasetResults
from .tables import control_table, group_table, score_table


def sections_of(r: DatasetResults, pictures: Pictures, extra: tuple[Block, ...] = ()) -> Section:
    """Everything about one dataset; ``extra`` stands before the notes on its data."""
    blocks: list[Block] = [
        Verdict("good" if r.good else "negative", r.verdict, "Verdict."),
        _setting(r),
        score_table(r),
        _map(r, pictures) if r.table.kind == "place" else _dates(r, pictures),
        Subheading("Against controls"),
        _controls(r, pictures),
        control_table(r),
        *_groups(r),
        Subheading("Layer by layer"),
        _layers(r, pictures),
        _moving(r, pictures),
        _cosines(r, pictures),
    ]
    if r.curves:
        blocks += [Subheading("How much it takes"), _curves(r, pictures)]
    for grouping in r.blocks:
        blocks += holdout_blocks(r, grouping, pictures)
    if r.neurons is not None:
        blocks += neuron_blocks(r, pictures)
    return Section(dataset_title(r), (*blocks, *extra, *_data(r)))


def _setting(r: DatasetResults) -> Paragraph:
    count, targets = int((r.fold >= 0).sum()), [target_label(r.table, k) for k in range(len(r.table.target_names))]
    pieces = " ".join(f"`{token!r}`" for token in r.example)
    return Paragraph(
        f"{len(r.table):,} entities, {count:,} of them tested in {len(r.sweep.chosen)} "
        f"fold{'s' if len(r.sweep.chosen) > 1 else ''}; to be predicted: {' and '.join(targets)}. Prompt kind "
        f"“{r.prompt}”; the first reads {pieces}, and the probe sees the activations of its last token. Controls and "
        f"hold-outs by {r.group}."
    )


def _map(r: DatasetResults, pictures: Pictures) -> Figure:
    s, known = model_of(r), tested(r)
    narrower = r.sweep.final[known].std(axis=0) / r.table.targets[known].std(axis=0)
    return pictures.figure(
        f"{r.table.key}_map",
        map_figure(r),
        f"Two maps of {dataset_title(r)}: true positions, and the positions that held-out probes predict",
        f"Each of the {known.sum():,} places where it is (first map) and where a probe that was not fitted on it puts "
        f"it (second), in the colour of its {shown_group(r)}; large dots are medians of these groups, grey the true "
        f"places: no coast line is drawn. Half of the predictions lie within "
        f"{error_text(s.error, r.table)} of the truth. The nearer a colour's second large dot is to its first, the "
        "better the groups are placed; the more a colour's points keep their shape, the more is known inside them. "
        f"Predictions spread {number(float(narrower[0]))} times as far as the truth from west to east and "
        f"{number(float(narrower[1]))} times from south to north: a ridge probe that knows little stays near the mean.",
    )


def _dates(r: DatasetResults, pictures: Pictures) -> Figure:
    s = model_of(r)
    name = r.table.target_names[0].replace("_", " ")
    return pictures.figure(
        f"{r.table.key}_dates",
        date_figure(r),
        f"Predicted against true {name} of {dataset_title(r)}, whole range and central 95 %",
        f"True and predicted {name}, each by a probe that was not fitted on that entity. Left: all; right: the central "
        "95 % of true values enlarged, since R² is led by the few far away. Large dots: medians of twelve equal groups "
        f"in the order of the truth; on the red line the probe would be right. Median error "
        f"{error_text(s.error, r.table)}; ρ {number(mean_sd(s.rho)[0])}, which unlike R² counts every entity alike.",
    )


def _controls(r: DatasetResults, pictures: Pictures) -> Figure:
    return pictures.figure(
        f"{r.table.key}_controls",
        control_figure(r),
        f"Bars of R² of the model and of every control on {dataset_title(r)}",
        "R² on test rows of the model (blue, dashed line) and of everything that could explain it away. Dots: folds; "
        "whiskers: one standard deviation over folds. A claim about what the model learned needs the blue bar to be "
        "longer than every control below it; “for comparison” and “ceiling” (hatched) are no controls. "
        f"The label “{r.group}” alone would explain {_shares(r.eta_squared)} of the variance.",
    )


def _shares(values: np.ndarray) -> str:
    return " and ".join(f"{100 * float(x):.0f} %" for x in values)


def _groups(r: DatasetResults) -> tuple[Block, ...]:
    named = zip(r.within, r.table.target_names)
    names = " and ".join(f"{number(float(x))} ({name.replace('_', ' ')})" for x, name in named)
    said = Paragraph(
        f"Inside groups: once the mean of each {r.group} is taken out of truth and prediction, they correlate with "
        f"r = {names}. Near 0, the map is one of groups, and there is none inside them."
    )
    table = group_table(r)
    return (said,) if table is None else (said, table)


def _layers(r: DatasetResults, pictures: Pictures) -> Figure:
    mean, _ = layer_scores(r.sweep, "r2")
    best = int(np.argmax(mean))
    untrained = float("nan") if r.twin is None else float(layer_scores(r.twin, "r2")[0].max())
    twin = "" if r.twin is None else f" The untrained twin reaches at most {number(untrained)}."
    return pictures.figure(
        f"{r.table.key}_layers",
        layer_figure(r),
        f"R² and rank correlation of {dataset_title(r)} against layer, with all controls as level lines",
        "Score of a ridge probe of each layer on test rows (blue; band: one standard deviation over folds; dotted: "
        "single targets), the same of the untrained twin, and every other control as a level line, named at the right. "
        f"R² goes from {number(float(mean[0]))} at the token embedding to {number(float(mean[-1]))} after the last "
        f"block and is highest, {number(float(mean[best]))}, at layer {best}; the folds chose "
        f"{layers_text(r.sweep.chosen)} without seeing their test rows (triangles).{twin}",
    )


def _moving(r: DatasetResults, pictures: Pictures) -> Block:
    place = r.table.kind == "place"
    shown = "the places, over the true ones in grey" if place else "the dates, the central 95 % of true values"
    return pictures.animation(
        f"{r.table.key}_by_layer",
        layer_animation(r),
        f"Moving picture of the held-out predictions of {dataset_title(r)} from the token embedding to the last layer",
        f"Held-out predictions of {shown}, by the probe of one layer after the other; layer and R² stand at the top "
        "right. Points that gather in the middle are those of which that layer says little.",
    )


def _cosines(r: DatasetResults, pictures: Pictures) -> Figure:
    found = " and ".join(number(neighbour_cosine(matrix)) for matrix in direction_cosines(r.sweep.directions))
    return pictures.figure(
        f"{r.table.key}_directions",
        cosine_figure(r),
        f"Heat maps of the cosine between probe directions of every two layers for {dataset_title(r)}",
        "Cosine of the directions that the probes of two layers read (fitted on all rows). A dark block: layers that "
        f"share one direction; between successive layers it is {found} on average. Two directions at random would "
        f"typically have one of ±{number(float(1 / np.sqrt(r.sweep.directions.shape[1])))}.",
    )


def _curves(r: DatasetResults, pictures: Pictures) -> Figure:
    return pictures.figure(
        f"{r.table.key}_curves",
        curve_figure(r),
        f"Test score of {dataset_title(r)} against the number of components and of training rows",
        "R² and ρ on test rows, mean over folds (band: one standard deviation). Components are fitted on training rows "
        "only: PCA keeps the directions of largest variance, PLS those that covary most with the targets. Where PCA "
        "needs many and PLS few, the map is in the activations but is not what moves them most. A curve over training "
        "rows that still rises at the right says that more examples would help.",
    )


def _data(r: DatasetResults) -> tuple[Block, ...]:
    return (
        Subheading("Data"),
        Facts({"source": r.table.source, "licence": r.table.licence or "not stated"}),
        *((Items(r.table.faults),) if r.table.faults else ()),
    )
