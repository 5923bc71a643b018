"""What a loss says in words: does it fall, and which nulls are beaten, tied or better. Over independent series.

Every comparison is paired by series: the mean of ln(loss / null's loss) with Student's interval. The words:

    learns               the loss falls, and every null is beaten
    ties null            it falls, and no null is better, but some cannot be told apart
    learns, null better  it falls and beats what ignores the order of the past, but some null is better
    does not learn       it does not fall, or is no better than what ignores the order of the past

With one series there are no intervals and the signs decide.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

EARLY = (5, 25)
LATE_SHARE = 0.2
FALLS_BELOW = 0.8
ORDER_FREE = ("unigram", "shuffled context", "random weights")
LEAST_LOSS = 1e-9

Label = Literal["learns", "ties null", "learns, null better", "does not learn"]
Kind = Literal["good", "neutral", "negative"]
Outcome = Literal["beaten", "tied", "better"]
KINDS: dict[Label, Kind] = {
    "learns": "good",
    "ties null": "neutral",
    "learns, null better": "neutral",
    "does not learn": "negative",
}


class SparseLoss(NamedTuple):
    """A predictor that is dear to evaluate, so known at a few context lengths only.

    ``loss [seed, checkpoint]`` is the mean over the items ``context .. context + window - 1``, each predicted after
    training on (or reading) the first ``context`` items.
    """

    context: np.ndarray
    loss: np.ndarray
    window: int


class Comparison(NamedTuple):
    """The model against one null, late in the series. ``ratio`` is model / null, a geometric mean over series."""

    null: float
    ratio: float
    low: float
    high: float
    outcome: Outcome


class Verdict(NamedTuple):
    """What the losses say. ``late_low`` and ``late_high`` are a 95 % interval over series (NaN with one)."""

    label: Label
    kind: Kind
    text: str
    early: float
    late: float
    late_low: float
    late_high: float
    ratio: float
    floor: float
    nulls: dict[str, Comparison]

    @property
    def best_null(self) -> str:
        """The null of least late loss."""
        return min(self.nulls, key=lambda name: self.nulls[name].null)


def verdict(
    loss: np.ndarray,
    nulls: dict[str, np.ndarray],
    sparse: dict[str, SparseLoss],
    floor: np.ndarray,
    *,
    memoryless: bool = False,
) -> Verdict:
    """Compare early and late loss ``[seed, time]``, and late loss with every null and the resolution floor.

    ``memoryless``: the truth does not depend on the past, so what ignores its order is the right null, not a trivial
    one.
    """
    start = max(EARLY[0], int(np.argmax(np.isfinite(loss).all(axis=0))))
    steps = loss.shape[1]
    late_from = max(start, round((1 - LATE_SHARE) * steps))
    early_each = loss[:, start : min(start + EARLY[1] - EARLY[0], steps)].mean(axis=1)
    late_each = loss[:, late_from:].mean(axis=1)
    compared = {name: compare(late_each, rows[:, late_from:].mean(axis=1)) for name, rows in nulls.items()}
    for name, one in sparse.items():
        at = int(one.context[-1])
        compared[name] = compare(loss[:, at : at + one.window].mean(axis=1), one.loss[:, -1])
    fall = compare(late_each, early_each)
    falls = fall.outcome == "beaten" and fall.ratio < FALLS_BELOW
    label = _label(falls, compared, memoryless)
    late = _interval(late_each)
    early, ratio = float(early_each.mean()), float(early_each.mean() / late_each.mean())
    until = min(start + EARLY[1] - EARLY[0], steps)
    spread = f"{early:.3g} after {start}–{until} items to {late[0]:.3g} at the end"
    moved = f"the loss falls {ratio:.1f}×, from {spread}" if falls else f"no clear fall of the loss: {spread}"
    text = f"{label.capitalize()}: {moved}{_held(compared)}."
    return Verdict(label, KINDS[label], text, early, *late, ratio, float(np.nanmean(floor[:, late_from:])), compared)


def compare(model: np.ndarray, null: np.ndarray) -> Comparison:
    """Losses of the same series ``[seed]``, paired."""
    gap = np.log(np.maximum(model, LEAST_LOSS)) - np.log(np.maximum(null, LEAST_LOSS))
    centre, low, high = _interval(gap)
    alone = len(gap) == 1
    below, above = (centre if alone else high) < 0, (centre if alone else low) > 0
    outcome: Outcome = "beaten" if below else "better" if above else "tied"
    return Comparison(float(null.mean()), float(np.exp(centre)), float(np.exp(low)), float(np.exp(high)), outcome)


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    with jax.enable_x64(True):
        band = _mean_interval(jnp.asarray(values))
        return float(band.centre), float(band.low), float(band.high)


_mean_interval = jax.jit(analyses.mean_interval)


def _label(falls: bool, compared: dict[str, Comparison], memoryless: bool) -> Label:
    outcomes = {c.outcome for c in compared.values()}
    if not falls:
        return "does not learn"
    if outcomes <= {"beaten"}:
        return "learns"
    if "better" not in outcomes:
        return "ties null"
    trivial = [c.outcome for name, c in compared.items() if name in ORDER_FREE]
    return "learns, null better" if memoryless or set(trivial) <= {"beaten"} else "does not learn"


def _held(compared: dict[str, Comparison]) -> str:
    names: dict[str, list[str]] = {"beaten": [], "tied": [], "better": []}
    for name, one in compared.items():
        names[one.outcome].append(name)
    parts = []
    if names["beaten"]:
        everything = len(names["beaten"]) == len(compared)
        parts.append(
            f"below {'every null (' if everything else ''}{_listed(names['beaten'])}{')' if everything else ''}"
        )
    if names["tied"]:
        parts.append(f"level with {_listed(names['tied'])}")
    if names["better"]:
        parts.append(f"{_listed(names['better'])} predict{'s' if len(names['better']) == 1 else ''} better")
    return "".join(f"; {part}" for part in parts)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
