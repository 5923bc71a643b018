"""Whether the spread of the model's laws follows the state as the true one does, inside each series.

Series of one system can lie on scales that differ a thousandfold, and each is written on a grid of its own. Pooled, any
law that fits its grid would seem to grow with the state; so every slope and correlation is of one series, and the
interval is over series.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

from .figure_style import late_from
from .results import SystemResults

LEAST = 20
"""Items of a series that a regression asks for."""


class LearnedSpread(NamedTuple):
    """Of the late items. ``ratio``: median of learned over true standard deviation, all series.

    ``rank_correlation`` is Spearman's between the two and ``slope`` that of ln σ on ln x (1 for geometric motions), of
    the model and ``true_slope`` of the truth: means over the series, the first two with Student's 95 % interval (NaN
    with one series). NaN where the true spread does not vary, or values are not positive.
    """

    ratio: float
    rank_correlation: analyses.Band
    slope: analyses.Band
    true_slope: float


class _Series(NamedTuple):
    before: np.ndarray
    learned: np.ndarray
    true: np.ndarray


def learned_spread(r: SystemResults) -> LearnedSpread:
    """Learned against true spread of a system of random numbers."""
    every = [_late(r, k) for k in range(r.codes.shape[0])]
    ratios = np.concatenate([one.learned / one.true for one in every])
    enough = [one for one in every if len(one.true) >= LEAST and np.ptp(one.true) > 1e-9 * one.true.max()]
    with jax.enable_x64(True):
        ranks = [float(analyses.spearman(jnp.asarray(one.true), jnp.asarray(one.learned))) for one in enough]
        lines = [_slopes(one) for one in enough if (one.before > 0).all()]
        learned, true = np.array(lines).reshape(-1, 2).T
        ratio = float(np.median(ratios)) if ratios.size else float("nan")
        true_slope = float(np.mean(true)) if true.size else float("nan")
        return LearnedSpread(ratio, _over_series(ranks), _over_series(learned), true_slope)


def _late(r: SystemResults, seed: int) -> _Series:
    first = late_from(r.codes.shape[1])
    learned, true = r.scores.sd[seed, first:], r.truth.sd[seed, first:]
    known = np.isfinite(learned) & (learned > 0) & (true > 0)
    return _Series(r.observed[seed, first - 1 : -1][known], learned[known], true[known])


def _slopes(one: _Series) -> tuple[float, float]:
    """Of ln σ on ln x: the model's and the true one."""
    log_x = jnp.log(jnp.asarray(one.before))
    rows = (analyses.straight_line(log_x, jnp.log(jnp.asarray(sd))) for sd in (one.learned, one.true))
    learned, true = (float(line.slope) for line in rows)
    return learned, true


def _over_series(values: list[float] | np.ndarray) -> analyses.Band:
    if not len(values):
        return analyses.Band(*(np.array(np.nan),) * 3)
    return analyses.mean_interval(jnp.asarray(values))
