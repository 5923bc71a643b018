"""The report page of a space-and-time run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files import write_text
from ...report import Block, Items, Paragraph, Report, Section, Verdict, render
from ..report_pictures import Pictures
from .causal_section import causal_section
from .comparison_sections import prompt_blocks, transfer_section
from .config import SpaceTimeConfig
from .dataset import Found
from .describing import dataset_title, listed, mean_sd, model_of, number
from .results import DatasetResults
from .sections import sections_of
from .space_time import SpaceTime
from .summary import summary_table

ABOUT = (
    "A language model reads the names of places, people or events, one at a time. A linear map from its activations "
    "at the last token of the name to where or when the thing was is fitted on some of them and tested on others. "
    "What this shows is decided by controls: the same probe on an untrained network, on the model's input, and on the "
    "letters of the name."
)
READING = (
    "R² is one minus the squared error over the variance of the test rows, averaged over targets; a few entities far "
    "away can lead it, so Spearman's ρ stands beside it.",
    "The proximity error of an entity is the share of the other predictions that lie nearer to its true value than its "
    "own does (ties count half): 0 is perfect, ½ is chance, also for a probe that always says the same.",
    "Errors of places are great-circle distances with longitude and latitude in their order; the code of Gurnee and "
    "Tegmark exchanged the two, so its kilometres and proximity errors cannot be compared with these.",
    "Layer and penalty are chosen on training rows by exact leave-one-out error; test rows choose nothing.",
    "± is the standard deviation over folds, which share training rows; intervals of gains are bootstraps over "
    "entities.",
    "That a probe can read something does not say that the model uses it; only interventions can say that.",
)


def write_report(
    folder: Path,
    config: SpaceTimeConfig,
    found: SpaceTime,
    made_by: Mapping[str, Any],
) -> Path:
    """Pictures in ``folder/figures`` and inlined in ``folder/report.html``; returns the page's path."""
    pictures = Pictures(folder)
    results = tuple(one.results for one in found.datasets)
    page = Report(
        "Space and time",
        (ABOUT, _how_read(config, found, made_by), *(_outcome(r) for r in results)),
        (
            Section("What the probes find", (*_verdicts(results), summary_table(results))),
            *(sections_of(one.results, pictures, _further(one, pictures)) for one in found.datasets),
            *((transfer_section(found.transfers, found.cosines, pictures),) if found.cosines else ()),
            Section("How to read the numbers", (Items(READING),)),
        ),
        made_by,
    )
    path = folder / "report.html"
    write_text(path, render(page))
    return path


def _further(one: Found, pictures: Pictures) -> tuple[Block, ...]:
    """What other prompts and interventions say, and how a large dataset was read."""
    blocks: list[Block] = []
    if one.prompts is not None:
        blocks += prompt_blocks(one.prompts, dataset_title(one.results), pictures)
    if one.causal is not None:
        blocks += causal_section(one.causal, pictures)
    if one.stream is not None:
        s = one.stream
        blocks.append(
            Paragraph(
                f"Too large to be held at once: the names were read in one stream of {s.tokens:,} tokens "
                f"({s.tokens_per_second:,.0f} a second), which kept {s.bytes_of_sums / 1e6:,.0f} MB of sums over "
                f"training rows and {s.bytes_of_test_rows / 1e6:,.0f} MB of test rows. One split; the penalty is "
                "chosen by five folds of the training rows; neurons, curves and hold-outs need a smaller sample "
                "(`--entities`)."
            )
        )
    return tuple(blocks)


def _how_read(config: SpaceTimeConfig, found: SpaceTime, made_by: Mapping[str, Any]) -> str:
    model = made_by["model"]
    split = f"{config.folds} random folds" if config.split == "random" else "the files' own split"
    streamed = [dataset_title(one.results) for one in found.datasets if one.stream is not None]
    if streamed and config.split == "random":
        split += f" (only the first of {listed(streamed)})"
    start = {"newline": "a newline", "bos": "the start token", "none": "nothing"}.get(
        config.start_token, f"token {config.start_token}"
    )
    return (
        f"Model {model['id']} in {model['dtype']}; {split}; {start} before each prompt; prompts: "
        f"{listed(list(config.prompts))}."
    )


def _outcome(r: DatasetResults) -> str:
    s = model_of(r)
    return f"{dataset_title(r)}: R² {number(mean_sd(s.r2)[0])}, ρ {number(mean_sd(s.rho)[0])}. {r.verdict}"


def _verdicts(results: tuple[DatasetResults, ...]) -> tuple[Verdict, ...]:
    return tuple(Verdict("good" if r.good else "negative", r.verdict, f"{dataset_title(r)}.") for r in results)
