"""Whether the spread of the model's laws follows the state as the true one does."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

from .figure_style import late_from
from .results import SystemResults

LEAST = 20
"""Items that a regression asks for."""


class LearnedSpread(NamedTuple):
    """Of the late items of all series. ``ratio``: median of learned over true standard deviation.

    ``rank_correlation`` is Spearman's between the two, ``slope`` and ``true_slope`` those of ln σ on ln x (1 for
    geometric motions); NaN where the true spread does not vary, or values are not positive.
    """

    ratio: float
    rank_correlation: float
    slope: float
    slope_error: float
    true_slope: float


def learned_spread(r: SystemResults) -> LearnedSpread:
    """Learned against true spread of a system of random numbers."""
    first = late_from(r.codes.shape[1])
    learned, true = r.scores.sd[:, first:].ravel(), r.truth.sd[:, first:].ravel()
    before = r.observed[:, first - 1 : -1].ravel()
    known = np.isfinite(learned) & (learned > 0) & (true > 0)
    learned, true, before = learned[known], true[known], before[known]
    nan = float("nan")
    ratio = float(np.median(learned / true)) if known.any() else nan
    if known.sum() < LEAST or np.ptp(true) < 1e-9 * true.max():
        return LearnedSpread(ratio, nan, nan, nan, nan)
    with jax.enable_x64(True):
        rank = float(analyses.spearman(jnp.asarray(true), jnp.asarray(learned)))
        if (before <= 0).any():
            return LearnedSpread(ratio, rank, nan, nan, nan)
        log_x = jnp.log(jnp.asarray(before))
        own = analyses.straight_line(log_x, jnp.log(jnp.asarray(learned)))
        real = analyses.straight_line(log_x, jnp.log(jnp.asarray(true)))
    return LearnedSpread(ratio, rank, float(own.slope), float(own.slope_error), float(real.slope))
