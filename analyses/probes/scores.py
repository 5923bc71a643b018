"""How good predictions are, column by column. For ``weight`` and for what gives NaN see :mod:`analyses.probes.subsets`.

No single score is enough: R² is ruled by outliers, rank correlation is blind to scale and offset, and both are blind
to predictions pulled towards the mean, which the slope of the calibration shows.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .subsets import Weight, chosen_mean, chosen_sum, ratio, row_weights, varies


def r_squared(
    true: Float[Array, "entity target"], predicted: Float[Array, "entity target"], weight: Weight = None
) -> Float[Array, " target"]:
    r"""Share of the variance explained, about the mean of the chosen rows themselves.

    .. math:: R^2 = 1 - \sum_i w_i (t_i - p_i)^2 / \sum_i w_i (t_i - \bar t)^2

    Negative for predictions worse than that mean. A subset has a smaller spread than the whole, so R² of groups does
    not average to R² of all. NaN for a constant truth.
    """
    w = row_weights(weight, true)
    error = chosen_sum((true - predicted) ** 2, w)
    spread = chosen_sum((true - chosen_mean(true, w)) ** 2, w)
    return jnp.where(varies(true, w), 1 - ratio(error, spread), jnp.nan)


def pearson(
    true: Float[Array, "entity target"], predicted: Float[Array, "entity target"], weight: Weight = None
) -> Float[Array, " target"]:
    r"""Linear correlation; NaN where either side is constant.

    .. math:: \sum_i w_i (t_i - \bar t)(p_i - \bar p) /
        \sqrt{\sum_i w_i (t_i - \bar t)^2 \sum_i w_i (p_i - \bar p)^2}
    """
    w = row_weights(weight, true)
    both = varies(true, w) & varies(predicted, w)
    return jnp.where(both, jnp.sum(unit_columns(true, w) * unit_columns(predicted, w), axis=0), jnp.nan)


def spearman(
    true: Float[Array, "entity target"], predicted: Float[Array, "entity target"], weight: Weight = None
) -> Float[Array, " target"]:
    """Rank correlation: :func:`pearson` of the :func:`rank` of both sides, ties sharing their average rank.

    NaN where either side is constant.
    """
    ranks = jax.vmap(rank, in_axes=(1, None), out_axes=1)
    return pearson(ranks(true, weight), ranks(predicted, weight), weight)


def calibration_slope(
    true: Float[Array, "entity target"], predicted: Float[Array, "entity target"], weight: Weight = None
) -> Float[Array, " target"]:
    r"""Slope of the least-squares line of the truth on the prediction.

    .. math:: b = \sum_i w_i (p_i - \bar p)(t_i - \bar t) / \sum_i w_i (p_i - \bar p)^2

    1 is calibrated; above 1 the predictions are pulled too far towards their mean, below 1 they overshoot.
    NaN where either side is constant.
    """
    w = row_weights(weight, true)
    off = predicted - chosen_mean(predicted, w)
    slope = ratio(chosen_sum(off * (true - chosen_mean(true, w)), w), chosen_sum(off**2, w))
    return jnp.where(varies(true, w) & varies(predicted, w), slope, jnp.nan)


def mean_absolute_error(
    true: Float[Array, "entity target"], predicted: Float[Array, "entity target"], weight: Weight = None
) -> Float[Array, " target"]:
    """Σ_i w_i |t_i − p_i| / Σ_i w_i, in the target's units. A constant truth will do; only without a row is it NaN."""
    return chosen_mean(jnp.abs(true - predicted), row_weights(weight, true))


def rank(values: Float[Array, " entity"], weight: Weight = None) -> Float[Array, " entity"]:
    r"""Ranks from 1 among the chosen rows; equal values share the average of their ranks.

    .. math:: r_i = \sum_j w_j [x_j < x_i] + \tfrac12 \left(1 + \sum_j w_j [x_j = x_i]\right)

    By one sort, O(n log n). A row of weight 0 is told where it would come between the others, half a rank in. NaN
    keeps NaN. Sums of weights must be exact: float32 holds up to 16 million rows.
    """
    index = jnp.arange(values.shape[0], dtype=jnp.int32)
    x, place = jax.lax.sort((values, index), num_keys=1)
    counted = row_weights(weight, values)[place]
    total = jnp.cumsum(counted)
    edge = jnp.ones(min(1, values.shape[0]), bool)
    first = jnp.concatenate((edge, x[1:] != x[:-1]))  # of a run of equal values
    last = jnp.concatenate((first[1:], edge))
    below = jax.lax.cummax(jnp.where(first, total - counted, 0))
    up_to = jax.lax.cummin(jnp.where(last, total, jnp.inf), reverse=True)
    ranks = jnp.zeros_like(values).at[place].set(0.5 * (below + up_to + 1), unique_indices=True)
    return jnp.where(jnp.isnan(values), jnp.nan, ranks)


def unit_columns(
    columns: Float[Array, "entity column"], weight: Float[Array, " entity"]
) -> Float[Array, "entity column"]:
    r"""Columns whose dot products are correlations; a constant column becomes 0, as does a row of weight 0.

    .. math:: u_i = \sqrt{w_i} (x_i - \bar x) / \sqrt{\sum_j w_j (x_j - \bar x)^2}
    """
    off = columns - chosen_mean(columns, weight)
    length = jnp.sqrt(chosen_sum(off**2, weight))
    chosen, spread = (weight > 0)[:, None], varies(columns, weight)
    return jnp.where(chosen & spread, jnp.sqrt(weight)[:, None] * ratio(off, jnp.where(spread, length, 1)), 0)
