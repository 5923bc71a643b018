"""What the report says about one system: its verdict, then its pictures, each with what to read off it."""

import numpy as np

import analyses

from ..report import Block, Figure, Paragraph, Section, Subheading, Verdict
from .animation import law_animation
from .calibration_figures import calibration_figure
from .chain_risk import risk_figure
from .density_section import density_blocks, is_memoryless
from .figure_style import title
from .law_figures import band_figure, law_figure, shown_contexts
from .learned_spread import learned_spread
from .report_pictures import Pictures
from .results import SystemResults
from .state_figures import kurtosis_figure, sigma_figure
from .summary import null_table, spelled
from .transition_figures import learned_matrix, transition_figure, true_matrix
from .tree_figure import mixed_law, places_of, tree_figure, typical_state, written

SHOWN = 80
NEAR = 0.03
"""Coverage this close to the level asked for is called right."""


def system_section(r: SystemResults, pictures: Pictures, *, animated: bool) -> Section:
    """Everything about one system."""
    blocks: list[Block] = [Verdict(r.verdict.kind, r.verdict.text, "Verdict."), *_setting(r)]
    if animated:
        blocks.append(_animation(r, pictures))
    blocks += [Subheading("Predicted laws"), _band(r, pictures), _laws(r, pictures)]
    if not r.symbolic and places_of(r) >= 2:
        blocks.append(_tree(r, pictures))
    blocks.append(Subheading("What was learned"))
    if r.symbolic:
        blocks += [_transition(r, pictures), *_risk(r, pictures)]
    elif not r.deterministic:
        blocks += [_sigma(r, pictures), _kurtosis(r, pictures)]
    blocks += [_calibration(r, pictures), null_table(r)]
    if is_memoryless(r):
        blocks += density_blocks(r, pictures)
    return Section(title(r.name), tuple(blocks))


def _setting(r: SystemResults) -> tuple[Paragraph, ...]:
    bins = r.log_mass.shape[2]
    loss = (
        "The true law is a point, so the loss is the distance of the means (published as squared, but absolute)."
        if r.deterministic
        else "The loss is the Bhattacharyya distance to the true law, in nats."
    )
    truth = " Truth: the law given the state itself."
    if r.truth_kind == "given_quantised_past":
        truth = " Truth: the law given the digits that were written of the past."
    observer = f" Ideal observer: {r.observer.name}. It knows: {r.observer.knows}."
    needs = r.observer.effective_samples
    if np.isfinite(needs):
        observer += f" It needs {needs:.0f} items to be as good as the model is at the end."
    return (Paragraph(f"{bins} {'symbols' if r.symbolic else 'bins'}. {loss}{truth}{observer}"),)


def _animation(r: SystemResults, pictures: Pictures) -> Block:
    return pictures.animation(
        f"{r.name}_context",
        law_animation(r),
        f"Moving picture of the model's law of the next value of {title(r.name)}, from 1 item of context to the last",
        "The first series as the model reads on: filled, the model's law of the next value; red, the true law; black, "
        "the ideal observer's. The number of items read stands at the top right. The better the model has learned, the "
        "closer the filled shape comes to the red line, wherever that moves.",
    )


def _band(r: SystemResults, pictures: Pictures) -> Figure:
    return pictures.figure(
        f"{r.name}_band",
        band_figure(r, last=SHOWN),
        f"Heat map of the predicted laws of the last items of {title(r.name)}, with the values that came",
        f"The last {min(SHOWN, r.codes.shape[1] - 1)} items of the first series. Each column is the law of that item "
        "given all before it, darker where the model puts more probability; the red dot is what came. A model that has "
        "learned has the dots on narrow dark patches.",
    )


def _laws(r: SystemResults, pictures: Pictures) -> Figure:
    shown = ", ".join(map(str, shown_contexts(r.codes.shape[1])))
    return pictures.figure(
        f"{r.name}_laws",
        law_figure(r),
        f"Predicted, true and ideal observer's law of {title(r.name)} after {shown} items",
        f"Laws of the next {'symbol' if r.symbolic else 'value'} of the first series after {shown} items: filled, the "
        "model; red, the truth; black, the ideal observer, who knows the kind of system and reads the same digits. "
        "Lines much higher than the model are cut off at the top.",
    )


def _tree(r: SystemResults, pictures: Pictures) -> Figure:
    t = typical_state(r)
    mixed = mixed_law(np.exp(r.log_mass[0, t]), r.edges[0], int(r.codes[0, t]))
    return pictures.figure(
        f"{r.name}_tree",
        tree_figure(r, t=t),
        f"The law of item {t} of {title(r.name)} at one digit, at each further digit, and at mixed resolution",
        f"How digits make a law: item {t} of the first series, written {written(r, 0, t)} (triangle). The model's "
        "probabilities of the first digit (named above the first panel) cut the axis into ten; each further digit "
        f"cuts every bin into ten again. Below, the {len(mixed.density)} bins that reading the number once gives for "
        "nothing: fine along the digits that were written, coarse where it would have taken another. Red: the truth.",
    )


def _transition(r: SystemResults, pictures: Pictures) -> Figure:
    learned, count = learned_matrix(r, 0)
    rows = np.abs(learned - true_matrix(r, 0)).sum(axis=1) / 2
    seen = np.isfinite(rows)
    distance = float(np.average(rows[seen], weights=count[seen]))
    return pictures.figure(
        f"{r.name}_transition",
        transition_figure(r),
        f"Learned and true transition matrix of {title(r.name)} and their difference",
        "Left: the model's laws of the second half of the first series, averaged over the items that follow each "
        "symbol (how many, beside it). Middle: the chain's own matrix. Right: the difference, with the total variation "
        f"of each row: the probability that is misplaced, {distance:.2f} on average where 0 is perfect.",
    )


def _risk(r: SystemResults, pictures: Pictures) -> tuple[Figure, ...]:
    if r.risk is None:
        return ()
    slopes = {name: spelled(e.value, e.low, e.high, 2) for name, e in r.risk.slopes.items()}
    return (
        pictures.figure(
            f"{r.name}_risk",
            risk_figure(r.name, r.risk),
            f"Total-variation risk of {title(r.name)} against context length, for the model, counting and the observer",
            "Total-variation distance between the predicted and the true row of the transition matrix, moving average "
            "over the items. Counting transitions (bigram, add-one) falls as t^(−1/2), dotted; a model that learns the "
            "chain as counting does runs parallel to it. Slopes, with 95 % bootstrap intervals over series: model "
            f"{slopes['model']}, counting {slopes['bigram']}.",
        ),
    )


def _sigma(r: SystemResults, pictures: Pictures) -> Figure:
    spread = learned_spread(r)
    said = f"they lie {spread.ratio:.2g}× as high (median)."
    if np.isfinite(spread.rank_correlation.centre):
        said += f" Rank correlation of learned with true spread inside a series: {_banded(spread.rank_correlation)}."
    if np.isfinite(spread.slope.centre):
        said += f" Slope of ln σ on ln x there: {_banded(spread.slope)}, of the true law {spread.true_slope:.2f}."
    return pictures.figure(
        f"{r.name}_sigma",
        sigma_figure(r),
        f"Standard deviation of the model's laws of {title(r.name)} against the value before, beside the true one",
        "Standard deviation of the laws of the second half of all series against the value before, in the series' own "
        "units (both as shares of the range that the series' digits span, where the noise grows with the value, since "
        "such series differ in scale): dots, the model, one item each; circles, medians of twelve equal groups; red, "
        "the true law. Below the dotted line a law would fit inside one bin. If the model has learned how the noise "
        "depends on the state, the "
        f"circles follow the red line; {said}",
    )


def _banded(band: analyses.Band) -> str:
    return spelled(float(band.centre), float(band.low), float(band.high), 2)


def _kurtosis(r: SystemResults, pictures: Pictures) -> Figure:
    return pictures.figure(
        f"{r.name}_kurtosis",
        kurtosis_figure(r),
        f"Kurtosis of the model's laws of {title(r.name)} against context length",
        "Kurtosis (fourth central moment over squared variance) of the law of every item, all series: dots, the model; "
        "blue line, its running median; red, the true law on the same bins; dotted, 3, which every Gaussian law has. "
        "Above it the model's law has heavier tails, or rare probability far away.",
    )


def _calibration(r: SystemResults, pictures: Pictures) -> Figure:
    c = r.calibration
    at = int(np.argmin(np.abs(c.levels - 0.9)))
    excess = float(c.coverage[at] - c.levels[at])
    width = "about as wide as they should be" if abs(excess) < NEAR else "too wide" if excess > 0 else "too narrow"
    uniform = "no further than chance allows" if c.ks <= c.ks_uniform else "further than chance allows"
    return pictures.figure(
        f"{r.name}_calibration",
        calibration_figure(r),
        f"Calibration of the late laws of {title(r.name)}: PIT histogram, reliability curve, coverage of intervals",
        "Whether the late laws mean what they say; grey: where 95 % of calibrated predictors would lie. Left: where in "
        "its law each value fell; flat if calibrated, a hill if the laws are too wide, a bowl if too narrow. Middle: "
        "how often values were at most the predicted quantile; on the diagonal if calibrated. Right: share of values "
        f"inside central intervals, red what was promised. Here the curve leaves the diagonal by {c.ks:.2g}, {uniform} "
        f"({c.ks_uniform:.2g}), and {c.coverage[at]:.0%} of the values fall inside the {c.levels[at]:.0%} interval: "
        f"{width}. The temperature that would serve best is {c.mass_temperature:.2g} on the law and "
        f"{c.digit_temperature:.2g} on single digits (1: leave it as it is).".replace("%", " %").replace("  %", " %"),
    )
