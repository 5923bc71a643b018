"""Whether a predictor's spread follows the state: the heteroscedasticity that one constant cannot fake.

Geometric Brownian motion has σ ∝ x, the noisy logistic map σ ∝ |1 − 2x| (arXiv 2402.00795, learned σ against x).
States are in the system's own units: the affine map to the written numbers has a shift, and no power law survives a
shift. Standard errors hold for independent residuals; for intervals over trajectories use
:func:`analyses.resampling.bootstrap_band`.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .log_space import safe_sqrt


class Line(NamedTuple):
    """Weighted least squares y ≈ intercept + slope·x."""

    slope: Float[Array, ""]
    intercept: Float[Array, ""]
    slope_error: Float[Array, ""]  #: standard error for independent residuals
    r_squared: Float[Array, ""]  #: share of the weighted variance of y explained
    rank_correlation: Float[Array, ""]  #: Spearman's ρ, unweighted: any increasing relation gives 1


class SpreadSlope(NamedTuple):
    """Exponent of σ ∝ x^slope by two estimators that can disagree."""

    line: Line  #: least squares of ln σ on ln x; geometric Brownian motion has slope 1, constant σ has slope 0
    theil_sen: Float[Array, ""]  #: median slope of all pairs: a minority of wild laws does not move it


class Proportion(NamedTuple):
    """y ≈ slope·x through the origin."""

    slope: Float[Array, ""]  #: Σ w x y / Σ w x²; 1 when the predicted spread is the true one
    slope_error: Float[Array, ""]  #: standard error for independent residuals
    correlation: Float[Array, ""]  #: Pearson's, weighted; blind to the slope and to a constant excess
    rank_correlation: Float[Array, ""]  #: Spearman's ρ, unweighted


class BinnedStatistic(NamedTuple):
    """Quartiles of y in cells of x; NaN in empty cells."""

    median: Float[Array, " bin"]
    low: Float[Array, " bin"]  #: lower quartile
    high: Float[Array, " bin"]  #: upper quartile
    num_points: Float[Array, " bin"]


def straight_line(
    x: Float[Array, " point"], y: Float[Array, " point"], weight: Float[Array, " point"] | None = None
) -> Line:
    """Least squares of y on x, for example of the predicted spread on the true one (slope 1, intercept 0).

    Weights are relative precisions, 1/variance; a weight of 0 leaves a point out, except from the rank correlation.
    NaN for a constant x.
    """
    share = _shares(y, weight)
    centre_x, centre_y = jnp.sum(share * x), jnp.sum(share * y)
    dx, dy = x - centre_x, y - centre_y
    xx, xy, yy = jnp.sum(share * dx**2), jnp.sum(share * dx * dy), jnp.sum(share * dy**2)
    slope = xy / xx
    residual = jnp.sum(share * (dy - slope * dx) ** 2)
    error = safe_sqrt(residual / xx / (jnp.sum((share > 0).astype(y.dtype)) - 2))
    return Line(slope, centre_y - slope * centre_x, error, 1 - residual / yy, spearman(x, y))


def theil_sen(
    x: Float[Array, " point"], y: Float[Array, " point"], weight: Float[Array, " point"] | None = None
) -> Float[Array, ""]:
    """Median over all pairs of (y_j − y_i)/(x_j − x_i), pairs weighted by w_i·w_j; unmoved by up to 29 % of outliers.

    Pairs of equal x are left out; NaN if there are no others. Memory is point²/2.
    """
    first, second = np.triu_indices(x.shape[0], 1)
    share = jnp.ones_like(y) if weight is None else weight
    run = x[second] - x[first]
    moves = run != 0
    slope = (y[second] - y[first]) / jnp.where(moves, run, 1)
    return _weighted_median(slope, jnp.where(moves, share[first] * share[second], 0))


def spread_slope(
    state: Float[Array, " point"], sd: Float[Array, " point"], weight: Float[Array, " point"] | None = None
) -> SpreadSlope:
    """Slope of ln ``sd`` on ln ``state``; both must be positive, ``state`` in the system's own units."""
    log_state, log_sd = jnp.log(state), jnp.log(sd)
    return SpreadSlope(straight_line(log_state, log_sd, weight), theil_sen(log_state, log_sd, weight))


def proportion(
    x: Float[Array, " point"], y: Float[Array, " point"], weight: Float[Array, " point"] | None = None
) -> Proportion:
    """Least squares of y on x through the origin, weighted as in :func:`straight_line`."""
    share = _shares(y, weight)
    xx = jnp.sum(share * x**2)
    slope = jnp.sum(share * x * y) / xx
    residual = jnp.sum(share * (y - slope * x) ** 2)
    error = safe_sqrt(residual / xx / (jnp.sum((share > 0).astype(y.dtype)) - 1))
    return Proportion(slope, error, _correlation(x, y, share), spearman(x, y))


def vee_fit(
    state: Float[Array, " point"],
    sd: Float[Array, " point"],
    *,
    rate: float | Float[Array, ""],
    noise_sd: float | Float[Array, ""],
    weight: Float[Array, " point"] | None = None,
) -> Proportion:
    """``sd`` against noise_sd·rate·|1 − 2x|, the first-order spread of r y(1 − y) with y = x + noise.

    ``state`` and ``sd`` in the units of the map (x in [0, 1]); an ``sd`` in other units multiplies the slope by their
    ratio and changes neither correlation. At x = ½ the exact spread is √2·noise_sd²·rate, not 0.
    """
    return proportion(noise_sd * rate * jnp.abs(1 - 2 * state), sd, weight)


def binned_statistic(
    x: Float[Array, " point"], y: Float[Array, " point"], edges: Float[Array, " edge"]
) -> BinnedStatistic:
    """Median and quartiles of y over the points with x in [edges[i], edges[i+1]), and how many there are.

    Points outside the edges belong to no cell. A NaN in y makes its cell NaN. Memory is bin × point.
    """
    member = (x >= edges[:-1, None]) & (x < edges[1:, None])
    count = jnp.sum(member, axis=1)
    # Members first, in order: the quantiles of a cell are then positions in its row, whatever its count.
    ordered = jnp.sort(jnp.where(member, y, jnp.inf), axis=1)
    missing = (count == 0) | jnp.any(member & jnp.isnan(y), axis=1)

    def at(level: float) -> Array:
        position = level * jnp.maximum(count - 1, 0)
        before = jnp.floor(position).astype(jnp.int32)
        after = jnp.minimum(before + 1, jnp.maximum(count - 1, 0))
        low, high = (jnp.take_along_axis(ordered, i[:, None], axis=1)[:, 0] for i in (before, after))
        value = low + jnp.where(after > before, (position - before) * (high - low), 0)
        return jnp.where(missing, jnp.nan, value).astype(y.dtype)

    return BinnedStatistic(at(0.5), at(0.25), at(0.75), count.astype(y.dtype))


def spearman(x: Float[Array, " point"], y: Float[Array, " point"]) -> Float[Array, ""]:
    """Pearson correlation of the ranks, ties at their mean rank; NaN for constants and NaNs. Not differentiable."""
    missing = jnp.any(jnp.isnan(x) | jnp.isnan(y))
    rho = _correlation(_ranks(x), _ranks(y), _shares(y, None))
    return jnp.where(missing, jnp.nan, rho)


def _ranks(x: Float[Array, " point"]) -> Float[Array, " point"]:
    ordered = jnp.sort(x)
    less, up_to = (jnp.searchsorted(ordered, x, side=side) for side in ("left", "right"))
    # Centred, so that long series keep their low digits in single precision.
    return (0.5 * (less + up_to - x.shape[0])).astype(x.dtype)


def _correlation(x: Float[Array, " point"], y: Float[Array, " point"], share: Float[Array, " point"]) -> Array:
    dx, dy = x - jnp.sum(share * x), y - jnp.sum(share * y)
    return jnp.sum(share * dx * dy) / (safe_sqrt(jnp.sum(share * dx**2)) * safe_sqrt(jnp.sum(share * dy**2)))


def _shares(y: Float[Array, " point"], weight: Float[Array, " point"] | None) -> Float[Array, " point"]:
    """Weights that sum to 1."""
    return jnp.full_like(y, 1 / y.shape[0]) if weight is None else weight / jnp.sum(weight)


def _weighted_median(value: Float[Array, " n"], weight: Float[Array, " n"]) -> Float[Array, ""]:
    """Where the cumulative weight crosses one half; the middle of two values where it stops exactly there."""
    order = jnp.argsort(jnp.where(weight > 0, value, jnp.inf))  # what does not weigh goes last
    cumulative = jnp.cumsum(weight[order])
    half = 0.5 * cumulative[-1]
    low, high = jnp.argmax(cumulative >= half), jnp.argmax(cumulative > half)
    missing = jnp.any(jnp.isnan(value)) | ~(half > 0)
    return jnp.where(missing, jnp.nan, 0.5 * (value[order[low]] + value[order[high]]))
