"""The report page of a dynamics run."""

from pathlib import Path
from typing import Any

from ..files import write_text
from ..report import Block, Paragraph, Report, Section, Verdict, render
from .dynamics_config import DynamicsConfig
from .figure_style import title
from .learning_figures import learning_figure, off_grid_figure, regret_figure
from .report_pictures import Pictures
from .results import Results
from .scaling_figures import scaling_figure
from .scaling_fits import COVERAGE
from .summary import exponent_table, floor_table, summary_table
from .system_section import system_section

ABOUT = (
    "Each series is written as digits and read once by the language model. The digit tree then gives the whole "
    "law of every next value given the values before it, which is compared with the law that generated it.",
)


def write_report(folder: Path, config: DynamicsConfig, results: Results, made_by: dict[str, Any]) -> Path:
    """Pictures in ``folder/figures`` and inlined in ``folder/report.html``; returns the page's path."""
    pictures = Pictures(folder)
    page = Report(
        "In-context dynamics",
        (*ABOUT, _how_read(config, made_by), _outcome(results)),
        (
            Section("What the model learns", (*_verdicts(results), summary_table(results))),
            Section("Learning curves", _learning(config, results, pictures)),
            Section("Scaling", _scaling(results, pictures)),
            Section("Regret", _regret(results, pictures)),
            *(system_section(r, pictures, animated=k == 0) for k, r in enumerate(results)),
            Section("Resolution floors", (_floor_note(), floor_table(results))),
            Section("Mass off the grid", _off_grid(results, pictures)),
        ),
        made_by,
    )
    path = folder / "report.html"
    write_text(path, render(page))
    return path


def _how_read(config: DynamicsConfig, made_by: dict[str, Any]) -> str:
    model = made_by["model"]
    start = "no start token" if config.start_token == "none" else f"start token {config.start_token}"
    return (
        f"{config.seeds} series of {config.steps} items per system, {config.precision} digits a number, {start}, "
        f"items separated by “{config.separator}”; model {model['id']} in {model['dtype']}. Numbers are rescaled by "
        "the whole series' minimum and maximum as published, which lets the grid know the range of the future."
        + (f" {floor[0].upper()}{floor[1:]}." if (floor := made_by.get("precision_floor")) else "")
    )


def _outcome(results: Results) -> str:
    """How many systems got which verdict."""
    labels = [r.verdict.label for r in results]
    counts = [f"{labels.count(label)} × “{label}”" for label in dict.fromkeys(labels)]
    return f"Verdicts on {len(results)} system{'s' if len(results) > 1 else ''}: {', '.join(counts)}."


def _verdicts(results: Results) -> tuple[Verdict, ...]:
    return tuple(Verdict(r.verdict.kind, r.verdict.text, title(r.name)) for r in results)


def _learning(config: DynamicsConfig, results: Results, pictures: Pictures) -> tuple[Block, ...]:
    alt = "Loss against context length, one panel a system"
    caption = (
        f"Loss against context length on logarithmic axes, moving average over {config.window} items (chains: "
        f"{2 * config.window}) and mean over {config.seeds} series; the shade holds the central 90 % of the series. "
        "Blue: the model. Dashed: nulls, which know no physics and read the same digits; those with markers are dear "
        "and known at a few context lengths only. Black: the ideal observer, who knows the kind of system and learns "
        "its parameters. Grey dots: the resolution floor, what reading digits instead of numbers costs one who knows "
        "the system. Dark dots: the power law fitted to the model as published. A model that learns falls to the "
        "right, and has learned the dynamics where it lies below every dashed line."
    )
    return pictures.pages("learning", learning_figure(results), alt, caption)


def _scaling(results: Results, pictures: Pictures) -> tuple[Block, ...]:
    alt = "Three scaling fits of the loss, one panel a system"
    caption = (
        "The model's loss in geometric stretches of context, so that every decade counts alike (dots; bars and "
        f"shades: {COVERAGE * 100:.0f} % intervals over series), and three fits of it. Dotted: the published power "
        "law, led by the first tens of items. Dashed: the slope of ln loss on ln t. Solid: the resolution floor plus a "
        "power law plus a free plateau. A straight line is a power law over the whole range; one that bends and levels "
        "out is a power law above a plateau. Where the three exponents differ by more than their intervals the loss is "
        "no power law, and its exponent depends on the estimator."
    )
    return (*pictures.pages("scaling", scaling_figure(results), alt, caption), exponent_table(results))


def _regret(results: Results, pictures: Pictures) -> tuple[Block, ...]:
    alt = "Regret to the ideal observer, one panel a system"
    caption = (
        "Surprise that the model has paid so far beyond the ideal observer, in nats an item (mean over the items read "
        "and over series; shade: from the lowest to the highest series). At 0, the black line, the model predicts what "
        "comes as well as one who knows the kind of system. A curve that falls as 1/t means that all was paid early; "
        "one that levels out is what the model goes on losing with every item."
    )
    return pictures.pages("regret", regret_figure(results), alt, caption)


def _floor_note() -> Paragraph:
    return Paragraph(
        "The true law is that of the state itself, but the model reads it cut to a few digits. No reader of digits can "
        "come closer to it than the resolution floor; a loss near the floor is no failure of the model."
    )


def _off_grid(results: Results, pictures: Pictures) -> tuple[Block, ...]:
    caption = (
        "Probability that the model would write something else than a number of the grid (another separator, a word, "
        "fewer digits), added up over all digits, mean over series. All laws on this page are conditional on a number "
        "being written; where this is not small, they leave much unsaid."
    )
    return (pictures.figure("off_grid", off_grid_figure(results), "Probability off the grid against context", caption),)
