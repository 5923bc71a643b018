"""What may be said after all controls: does the energy fall, does the behaviour follow, and of which graph is it?"""

import numpy as np

from .prompts import START
from .results import Results, Trial
from .table import Interval, grouped, interval, measured, new_words

EARLY = "legal word, 50–100"
LAST_STEPS = 10
Said = tuple[str, str]


def verdicts_of(results: Results) -> tuple[Said, ...]:
    """Kind (``good``, ``neutral``, ``negative``) and text of each."""
    groups = grouped(results)
    said: list[Said] = []
    for objective in (t.objective for t in results.trials):
        names = [name for name in groups if name == objective or name.startswith(f"{objective},")]
        for name in names:
            if objective in ("accuracy", "likelihood"):
                said.append(_behaviour(results, name))
            elif objective in ("energy", "contrast", "probe"):
                said.append(_energy(results, name, "R behind filler" if objective == "probe" else "R"))
    said += other_graph(results.trials)
    return tuple(said)


def above(found: Interval, base: float) -> bool:
    """Whether the whole interval lies above; never for a single value."""
    return bool(np.isfinite(found.half) and found.mean - found.half > base)


def below(found: Interval, base: float) -> bool:
    """Whether the whole interval lies below; never for a single value."""
    return bool(np.isfinite(found.half) and found.mean + found.half < base)


def _pair(results: Results, name: str, test: str, measure: str) -> tuple[float, Interval]:
    groups = grouped(results)
    return (
        measured(groups[START], test, measure, results.layer).mean,
        measured(groups[name], test, measure, results.layer),
    )


def _behaviour(results: Results, name: str) -> Said:
    test = new_words(results)
    base, found = _pair(results, name, test, EARLY)
    flat, ratio = _pair(results, name, test, "R")
    elsewhere = []
    for other in results.worlds.tests:
        if other.name.endswith("held out"):
            before, after = _pair(results, name, other.name, EARLY)
            elsewhere.append(f"{other.graph.name} {before:.2f} to {after}")
    text = f"Trained on {name}, a legal word after 50 to 100 goes from {base:.2f} to {found} on words never trained on"
    text += f"; on graphs never trained on: {', '.join(elsewhere)}" if elsewhere else ""
    text += f". R goes from {flat:.2f} to {ratio}"
    if below(ratio, flat):
        text += "."
    elif above(ratio, flat):
        text += ": prediction improves while the geometry gets flatter."
    else:
        text += ", no sure change."
    return ("good" if above(found, base) else "neutral"), text


def _energy(results: Results, name: str, measure: str) -> Said:
    test = new_words(results)
    base, found = _pair(results, name, test, measure)
    before, after = _pair(results, name, test, EARLY)
    what = "R" if measure == "R" else "R behind a filler, where no word before can tell of neighbours,"
    text = f"Trained on {name}, {what} goes from {base:.2f} to {found} on words never trained on"
    if not below(found, base):
        return "neutral", f"{text}: no sure fall. A legal word after 50 to 100: {before:.2f} to {after}."
    if below(after, before):
        return "negative", f"{text}, and a legal word falls from {before:.2f} to {after}: low energy does not make it."
    if above(after, before):
        return "good", f"{text}, and a legal word rises from {before:.2f} to {after}; see the controls before a cause."
    return "negative", f"{text}, and a legal word stays ({before:.2f} to {after}): the behaviour does not follow."


def other_graph(trials: tuple[Trial, ...]) -> list[Said]:
    """The sceptic's first row: on fresh walks, can a relabelled graph be drawn as well?"""
    curves = {t.objective: t.trained.loss for t in trials}
    if "energy" not in curves or "wrong" not in curves:
        return []
    (first, right), (start, wrong) = (
        (interval(curves[name][:, :LAST_STEPS].mean(axis=1)), interval(curves[name][:, -LAST_STEPS:].mean(axis=1)))
        for name in ("energy", "wrong")
    )
    text = (
        f"On fresh walks R of the true graph goes from {first} to {right}, that of relabelled nodes from {start} to "
        f"{wrong}"
    )
    if not below(right, first.mean - first.half):
        return [("neutral", f"{text}: no sure fall to compare.")]
    if right.mean + right.half < wrong.mean - wrong.half:
        return [("good", f"{text}: the prompt draws this graph and not any.")]
    share = (start.mean - wrong.mean) / (first.mean - right.mean)
    return [("negative", f"{text}, {share:.0%} of the true fall: the fall is not of this graph alone.")]
