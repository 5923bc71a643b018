"""The report page of an in-context graph run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files import write_text
from ...report import Items, Report, Section, Verdict, render
from ..report_pictures import Pictures
from .accuracy_figures import scaling_figure
from .config import GraphConfig
from .results import GraphResults
from .scaling import size_law
from .sections import section_of
from .summary import summary_table

ABOUT = (
    "A language model reads long sequences of ordinary words. Nothing relates the words but who follows whom: they "
    "are the nodes of a graph, dealt out at random, and the sequence is a walk on it. Does the graph appear, in the "
    "model's activations and in what it says next, and is it more than copying?"
)
READING = (
    "The energy ratio R compares neighbours with all pairs, on whole vectors: 1 for words dealt out at random, in "
    "expectation exactly; it changes neither with scale nor with shift. Its null band is made by relabelling nodes.",
    "A node's vector is the mean over its occurrences among the last words before a context length. Nodes that did not "
    "occur there are left out, never filled in.",
    "Accuracy is the probability of all legal next words over the whole vocabulary; small models leave the words now "
    "and then, so the same among the nodes' words stands beside it.",
    "Counters predict from the transitions read so far. A model that does no better than they may be doing what they "
    "do; edges that were never walked are what they cannot know.",
    "The layer that is looked at is the one with the lowest R at the last context: a choice made on the same walks, so "
    "its z is the best of as many as there are layers. Heat map and layer curves show all.",
    "Source: Park et al., arXiv 2501.00070. Llama-3.1-8B is reported there, and in re-runs of it, at an accuracy near "
    "0.90 and R near 0.81 after 1,400 words on the 4×4 grid.",
)


def write_report(
    folder: Path, config: GraphConfig, results: tuple[GraphResults, ...], made_by: Mapping[str, Any]
) -> Path:
    """Pictures in ``folder/figures`` and inlined in ``folder/report.html``; returns the page's path."""
    pictures = Pictures(folder)
    page = Report(
        "In-context graphs",
        (ABOUT, _how_read(config, made_by), *(f"{r.study.key}: {r.verdicts[0][1]}" for r in results)),
        (
            Section("What was found", (*_first_verdicts(results), summary_table(results))),
            *(section_of(r, pictures) for r in results),
            *_scaling(results, pictures),
            Section("How to read the numbers", (Items(READING),)),
        ),
        made_by,
    )
    path = folder / "report.html"
    write_text(path, render(page))
    return path


def _first_verdicts(results: tuple[GraphResults, ...]) -> tuple[Verdict, ...]:
    return tuple(Verdict(kind, f"{r.study.key}: {text}") for r in results for kind, text in r.verdicts[:3])  # type: ignore[arg-type]


def _how_read(config: GraphConfig, made_by: Mapping[str, Any]) -> str:
    model = made_by["model"]
    prefix = {
        "list": "the words listed once in the chat form",
        "words": "the words listed once",
        "none": "nothing",
    }.get(config.prefix, "a text of your own")
    after = "" if not config.separator else f", {config.separator!r} after each word"
    return (
        f"Model {model['id']} in {model['dtype']}; before the walk: {prefix}{after}; window of {config.window} words."
    )


def _scaling(results: tuple[GraphResults, ...], pictures: Pictures) -> tuple[Section, ...]:
    law = size_law(results)
    if law is None:
        return ()
    text = f"Break ∝ nodes^{law.exponent:.2f} (95 %: {law.low:.2f} to {law.high:.2f}) over {len(results)} graphs."
    figure = pictures.figure(
        "scaling", scaling_figure(results), "Break of the accuracy against the number of nodes, both logarithmic.", text
    )
    return (Section("Transition and size", (figure,)),)
