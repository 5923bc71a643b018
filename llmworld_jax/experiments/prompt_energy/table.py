"""The sceptic's table: every prompt, trained or not, beside every way of being fooled."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from scipy import stats

from ...report import Table
from .prompts import Prompt
from .results import Results
from .testing import BINS, Scores

EARLY, LATE = (50, 100), (200, 400)
Measure = Callable[[Scores, int], float]


class Interval(NamedTuple):
    """Mean over seeds and half of its 95 % interval (Student's t); NaN half of a single value."""

    mean: float
    half: float

    def __str__(self) -> str:
        if not np.isfinite(self.mean):
            return "–"
        return f"{self.mean:.2f}" + (f" ± {self.half:.2f}" if np.isfinite(self.half) else "")


def interval(values: Iterable[float]) -> Interval:
    """``Interval`` of independent values; those that are no number do not count."""
    known = np.array([v for v in values if np.isfinite(v)])
    if not known.size:
        return Interval(np.nan, np.nan)
    if known.size == 1:
        return Interval(float(known[0]), np.nan)
    half = stats.t.ppf(0.975, known.size - 1) * known.std(ddof=1) / np.sqrt(known.size)
    return Interval(float(known.mean()), float(half))


def between(curve: np.ndarray, items: tuple[int, int]) -> float:
    """Mean over items ``items[0]`` to ``items[1]`` - 1; NaN where the curve ends before."""
    part = curve[items[0] : items[1]]
    return float(part.mean()) if part.size else float("nan")


MEASURES: dict[str, Measure] = {
    "R": lambda s, layer: float(s.ratio[layer, -1]),
    "R relabelled, lowest of 20": lambda s, layer: float(s.relabelled[layer].min()),
    "R behind filler": lambda s, layer: float(s.probe_ratio[layer]),
    "edge AUC": lambda s, layer: float(s.auc[layer]),
    "alignment": lambda s, layer: float(s.alignment[layer]),
    "effective rank": lambda s, layer: float(s.effective_rank[layer]),
    "spread": lambda s, layer: float(s.spread[layer]),
    "largest norm": lambda s, layer: float(s.sink[layer]),
    "legal word, 50–100": lambda s, layer: between(s.accuracy, EARLY),
    "legal word, 200–400": lambda s, layer: between(s.accuracy, LATE),
    "legal among nodes, 200–400": lambda s, layer: between(s.renormalised, LATE),
    "edge walked before": lambda s, layer: float(s.exposure[0]),
    "edge never walked": lambda s, layer: float(s.exposure[1]),
    "no edge": lambda s, layer: float(s.exposure[2]),
    "nats a word": lambda s, layer: float(s.surprise[BINS[1] :].mean()),
}
"""Of one prompt on one test set at the layer whose energy is minimised."""
GEOMETRY = ("R", "R relabelled, lowest of 20", "R behind filler", "edge AUC", "alignment")
SOUNDNESS = ("effective rank", "spread", "largest norm")
BEHAVIOUR = (
    "legal word, 50–100", "legal word, 200–400", "legal among nodes, 200–400", "edge walked before",
    "edge never walked", "no edge", "nats a word",
)  # fmt: skip
BRIEF = (
    "R",
    "R behind filler",
    "alignment",
    "legal word, 50–100",
    "legal word, 200–400",
    "edge never walked",
    "no edge",
)


def grouped(results: Results) -> dict[str, list[dict[str, Scores]]]:
    """Scores by name of the prompt, one entry a seed, in the order in which they were made."""
    found: dict[str, list[dict[str, Scores]]] = {}
    for prompt, scores in zip(results.prompts, results.scores):
        found.setdefault(prompt.name, []).append(scores)
    return found


def measured(group: list[dict[str, Scores]], test: str, measure: str, layer: int) -> Interval:
    """One cell."""
    return interval([MEASURES[measure](scores[test], layer) for scores in group])


def table_of(results: Results, test: str, measures: tuple[str, ...], caption: str) -> Table:
    """One row a prompt on one test set."""
    rows = tuple(
        (name, str(len(group)), *(str(measured(group, test, m, results.layer)) for m in measures))
        for name, group in grouped(results).items()
    )
    return Table(("prompt", "seeds", *measures), rows, caption)


def summary_table(results: Results) -> Table:
    """The main columns on the first graph with words that no prompt was trained on."""
    test = new_words(results)
    return table_of(
        results, test, BRIEF,
        f"{test}; layer {results.layer}, mean and 95 % over seeds. R: energy ratio, 1 without structure. Edge never "
        "walked and no edge: probability a node among the nodes' words, at the same moments.",
    )  # fmt: skip


def new_words(results: Results) -> str:
    """Name of the first test with words that were not trained on."""
    return results.worlds.tests[len(results.worlds.graphs)].name


def transfer_table(results: Results) -> Table:
    """R and accuracy of every prompt on every test set."""
    tests = [test.name for test in results.worlds.tests]
    rows = []
    for name, group in grouped(results).items():
        cells = []
        for test in tests:
            cells.append(str(measured(group, test, "R", results.layer)))
            cells.append(str(measured(group, test, "legal word, 50–100", results.layer)))
        rows.append((name, *cells))
    columns = [f"{test}: {what}" for test in tests for what in ("R", "legal word")]
    return Table(("prompt", *columns), tuple(rows), "R at the last context; legal word over items 50 to 100.")


def in_one_line(prompt: Prompt, scores: Scores, layer: int) -> str:
    """A row of the table, to be shown while the run goes on."""
    shown = ("R", "R behind filler", "legal word, 50–100", "edge never walked", "no edge")
    return f"{prompt.name}, seed {prompt.seed}: " + "; ".join(
        f"{name} {MEASURES[name](scores, layer):.2f}" for name in shown
    )
