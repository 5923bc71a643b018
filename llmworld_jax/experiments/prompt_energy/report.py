"""The report page of an optimisation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files import write_text
from ...report import Block, Items, Paragraph, Report, Section, Subheading, Table, Verdict, render
from ..report_pictures import Pictures
from . import figures
from .config import EnergyConfig
from .law_section import law_section
from .results import Results
from .steering_section import steering_section
from .table import BEHAVIOUR, GEOMETRY, SOUNDNESS, new_words, summary_table, table_of, transfer_table
from .theorem import least_energy, theorem_figure
from .token_section import token_section
from .verdicts import verdicts_of
from .walk_section import walk_section

ABOUT = (
    "A few vectors before a random walk over words are trained by gradients through the model: for an energy that says "
    "how far the words' representations have taken the shape of the graph, or for what is said next. Then every prompt "
    "reads the same held-out walks. If the geometry made the behaviour, lower energy would bring better prediction."
)
READING = (
    "R is the mean squared distance of neighbours over that of all pairs, of mean token vectors normalised to one root "
    "mean square: 1 without structure, in expectation exactly under relabelled nodes. It cannot fall by shrinking, but "
    "it can by collapse onto one line, so the effective rank, the spread about the mean and the largest token norm "
    "stand beside it.",
    "R behind a filler: each word is read once more after the walk and a full stop, when all have the same word "
    "before. Token vectors that merely hold the word before draw the graph too, since neighbours share predecessors.",
    "R relabelled, lowest of 20: the same vectors, on graphs with the nodes' names mixed. A target that is met as well "
    "by these is met by any graph.",
    "Every training step draws new words, a new placement and a new walk. Eight of the paper's sixteen words are never "
    "trained on; tests with new words use all sixteen. Held-out graphs were in no training.",
    "Edges that were never walked are what no counter of transitions can know; nodes without an edge are counted at "
    "the same moments.",
    "Random tokens: the best of as many as the run says, by the loss of the objective on one step's walks.",
    "Intervals are Student's t over seeds, 95 %; a single seed has none, and then nothing is called sure.",
    "Soft prompts lie off the tokens. The nearest tokens are shown with the distance relative to that of the next "
    "token; a prompt whose nearest tokens are those that it began with is a small push, not a text.",
)


def write_report(folder: Path, config: EnergyConfig, results: Results, made_by: Mapping[str, Any]) -> Path:
    """Pictures in ``folder/figures`` and inlined in ``folder/report.html``; returns the page's path."""
    pictures = Pictures(folder)
    verdicts = tuple(Verdict(kind, text) for kind, text in verdicts_of(results))  # type: ignore[arg-type]
    page = Report(
        "Prompts against an energy",
        (ABOUT, _how(config, results, made_by)),
        (
            Section("What was found", (*verdicts, summary_table(results))),
            *_prompts(results, pictures),
            *((steering_section(results.steering, pictures),) if results.steering is not None else ()),
            *((law_section(results.laws, pictures),) if results.laws is not None else ()),
            *((token_section(results.tokens, pictures),) if results.tokens else ()),
            *((walk_section(results.walks, pictures),) if results.walks is not None else ()),
            Section("The least energy, without a model", _theorem(config, results, pictures)),
            Section("How to read the numbers", (Items(READING),)),
        ),
        made_by,
    )
    path = folder / "report.html"
    write_text(path, render(page))
    return path


def _how(config: EnergyConfig, results: Results, made_by: Mapping[str, Any]) -> str:
    return (
        f"Model {made_by['model']['id']} in {made_by['model']['dtype']}; {config.seeds} runs of each objective, "
        f"{config.steps} steps of {config.walks} walk{'s' if config.walks > 1 else ''} of {config.length} words; "
        f"energies at layer {results.layer}, over the last {config.window} words; tests on {config.test_walks} walks "
        f"of {config.test_length} words."
    )


def _prompts(results: Results, pictures: Pictures) -> tuple[Section, ...]:
    if not results.trials:
        return ()
    return (
        Section("Training", _training(results, pictures)),
        Section("Before and after", _pictures(results, pictures)),
        Section("The sceptic's table", _tables(results)),
        Section("The vectors as tokens", _tokens(results)),
    )


def _training(results: Results, pictures: Pictures) -> tuple[Block, ...]:
    return (
        pictures.figure(
            "loss", figures.loss_figure(results), "Loss against the step, one panel an objective.",
            "Loss before each step on that step's own walks, which no earlier step read: thin lines are runs, the "
            "thick one their mean, smoothed.",
        ),
    )  # fmt: skip


def _pictures(results: Results, pictures: Pictures) -> tuple[Block, ...]:
    return (
        pictures.figure(
            "maps", figures.map_figure(results), "Principal plane of the node means before and after training.",
            f"Node means at layer {results.layer} on their first two principal components, turned onto the layout by "
            "Procrustes, with the true edges; first seed of each objective, words that were not trained on.",
        ),
        pictures.figure(
            "dissociation", figures.dissociation_figure(results),
            "Energy ratio against the probability of a legal word, a point a prompt, on every test set.",
            "Every prompt on the same held-out walks. If geometry made behaviour, points would lie on a falling line.",
        ),
        pictures.figure(
            "curves", figures.accuracy_figure(results),
            "Probability of a legal word against context, and energy ratio against layer, for every prompt.",
            "Left: over the whole vocabulary, smoothed over 15 words. Right: at the last context; bands span seeds.",
        ),
    )  # fmt: skip


def _tables(results: Results) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for test in results.worlds.tests:
        blocks.append(Subheading(test.name[0].upper() + test.name[1:]))
        blocks.append(table_of(results, test.name, GEOMETRY, f"Shape at layer {results.layer}, last context."))
        blocks.append(table_of(results, test.name, BEHAVIOUR, "What is said next; words counted from the first."))
        if test.name == new_words(results):
            caption = "What would make a low energy empty: few directions, no spread, one token that leads."
            blocks.append(table_of(results, test.name, SOUNDNESS, caption))
    blocks += [Subheading("Elsewhere"), transfer_table(results)]
    return tuple(blocks)


def _tokens(results: Results) -> tuple[Block, ...]:
    rows = []
    for objective, read in results.nearest.items():
        for k, text in enumerate(read.texts):
            values = (float(read.distance[k]), float(read.length[k]), float(read.moved[k]))
            rows.append((objective, str(k + 1), repr(text), *values))
    columns = ("objective", "vector", "nearest token", "distance / gap", "length", "moved")
    low, high = float(results.norms.low), float(results.norms.high)
    caption = (
        f"First run of each objective. Lengths are kept between {low:.2f} and {high:.2f}, where 99 % of the vocabulary "
        "lies. Distance / gap: to the nearest token over that token's to the next one. Moved: from where it began."
    )
    return (Paragraph("What the trained vectors stand for, if for anything."), Table(columns, tuple(rows), caption))


def _theorem(config: EnergyConfig, results: Results, pictures: Pictures) -> tuple[Block, ...]:
    blocks: list[Block] = []
    rows: list[tuple[str | float | None, ...]] = []
    for k, graph in enumerate(results.worlds.graphs):
        found = least_energy(graph, config.seed)
        rows.append((graph.name, float(found.energy[-1]), found.least, *(float(c) for c in found.captured)))
        if k == 0:
            blocks.append(
                pictures.figure(
                    "theorem", theorem_figure(graph, found),
                    "Energy of free vectors with and without their sizes held, and the plane in which they end.",
                    "Free vectors that descend the energy, no model involved. With their singular values held they end "
                    "as the Laplacian's modes and draw the graph, whatever they began as; with nothing held they "
                    "collapse. So a low energy by itself says little, and R is what prompts are trained on.",
                )
            )  # fmt: skip
    sizes = [f"direction {k + 1}" for k in range(max(len(row) for row in rows) - 3)]
    filled = tuple((*row, *(None,) * (3 + len(sizes) - len(row))) for row in rows)
    caption = "Share of each direction that lies in the Laplacian's modes of its own eigenvalue (1: the theorem holds)."
    blocks.append(Table(("graph", "energy reached", "least energy", *sizes), filled, caption))
    return tuple(blocks)
