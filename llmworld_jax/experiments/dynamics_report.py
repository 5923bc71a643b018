"""The report page of a dynamics run."""

from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_bytes, write_text
from ..report import Figure, Items, Paragraph, Report, Section, Table, Verdict, render
from .dynamics import Results, SystemResults
from .dynamics_config import DynamicsConfig
from .dynamics_figures import LOSS_LABEL, band_figure, law_figure, learning_figure, off_grid_figure, title
from .learning import Exponent

ABOUT = (
    "Each series is written as digits and read once by the language model. The digit tree then gives the whole "
    "law of every next value given the values before it, which is compared with the law that generated it.",
)


def write_report(folder: Path, config: DynamicsConfig, results: Results, made_by: dict[str, Any]) -> Path:
    """Figures as PNG in ``folder/figures`` and inlined in ``folder/report.html``; returns the page's path."""
    pictures = {"learning": learning_figure(results), "off_grid": off_grid_figure(results)}
    for r in results:
        pictures[f"{r.name}_band"] = band_figure(r)
        pictures[f"{r.name}_laws"] = law_figure(r)
    for name, content in pictures.items():
        write_bytes(folder / "figures" / f"{name}.png", content)
    page = Report(
        "In-context dynamics",
        (*ABOUT, _how_read(config, made_by)),
        (
            Section("What the model learns", (*_verdicts(results), summary_table(results))),
            Section(
                "Learning curves",
                (
                    Figure(
                        pictures["learning"],
                        "Loss against context length for every system",
                        _curve_note(config),
                    ),
                    exponent_table(results),
                ),
            ),
            *(_system_section(r, pictures) for r in results),
            Section("Mass off the grid", (_off_grid_note(), Figure(pictures["off_grid"], "Off-grid mass"))),
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
    )


def _verdicts(results: Results) -> tuple[Verdict, ...]:
    return tuple(Verdict(r.verdict.kind, r.verdict.text, title(r.name)) for r in results)


def summary_table(results: Results) -> Table:
    """One row a system: early and late loss, floor, best null, off-grid mass."""
    rows = []
    for r in results:
        best = min(r.verdict.nulls, key=r.verdict.nulls.__getitem__)
        rows.append(
            (
                title(r.name),
                "|Δ mean|" if r.deterministic else "D_B",
                f"{r.verdict.early:.3g}",
                f"{r.verdict.late:.3g}",
                f"{r.verdict.ratio:.1f}×",
                f"{r.verdict.floor:.2g}",
                f"{r.verdict.nulls[best]:.3g} ({best})",
                f"{np.nanmedian(r.off_grid):.1%}",
            )
        )
    return Table(
        ("system", "loss", "early", "late", "early / late", "floor", "best null, late", "off grid, median"),
        tuple(rows),
        "Early: the first twenty items after the fifth; late: the last fifth of the series. D_B is the Bhattacharyya "
        "distance in nats; |Δ mean| is in display units, in which the grid spans 10. The floor is the loss of an "
        "observer who knows the system but reads only the written digits of the value before.",
    )


def exponent_table(results: Results) -> Table:
    """Both exponents with their bootstrap intervals over seeds."""
    rows = tuple((title(r.name), _with_interval(r.published), _with_interval(r.log_log)) for r in results)
    return Table(
        ("system", "published fit", "log–log slope"),
        rows,
        "Exponent α of loss ∝ t^α with its 95 % bootstrap interval over series. The published fit is least squares in "
        "linear loss and is led by the first tens of items; the log–log slope weighs every stretch of ln t alike. "
        "With few series the intervals are too short.",
    )


def _with_interval(e: Exponent) -> str:
    if not np.isfinite(e.value):
        return "no fit"
    return f"{e.value:.2f}" + (f" [{e.low:.2f}, {e.high:.2f}]" if np.isfinite(e.low) else "")


def _curve_note(config: DynamicsConfig) -> str:
    return (
        f"Moving average over {config.window} items (chains: {2 * config.window}), mean over {config.seeds} series; "
        "the shade holds the central 90 % of the series."
    )


def _system_section(r: SystemResults, pictures: dict[str, bytes]) -> Section:
    items = r.log_mass.shape[2]
    note = f"{items} bins; the loss is the {LOSS_LABEL[r.loss_name]}."
    if r.deterministic:
        note += (
            " The true law is a point, so the distance of the means is followed, as published (where it is called "
            "squared but is absolute)."
        )
    return Section(
        title(r.name),
        (
            Paragraph(r.verdict.text),
            Figure(pictures[f"{r.name}_band"], f"Predicted law of the last items of {title(r.name)}", note),
            Figure(
                pictures[f"{r.name}_laws"],
                f"Predicted and true law of {title(r.name)} at four context lengths",
                "The first series: the model's complete law against the true one.",
            ),
        ),
    )


def _off_grid_note() -> Items:
    return Items(
        (
            "The probability that the model would write something else than a number of the grid, added up over all "
            "digits. The laws above are conditional on a number being written.",
        )
    )
