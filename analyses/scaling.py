"""Power laws of a loss against the context length: estimators that disagree when the curve is not a power law.

All of them answer "what is α in L ~ t^α"; on an exact power law they agree to rounding. They differ in which
part of another curve they listen to:

* ``fit_power_law``, the published one (arXiv 2402.00795): unweighted least squares in the *linear* loss.
  Where L falls from 1 to 0.01, a ten-per-cent error at the start weighs ten thousand times as much as one at
  the end, so the first tens of points decide and a late plateau is invisible.
* ``log_log_slope`` weighs every stretch of ln t equally, so a plateau flattens it. It averages ln L, hence
  describes the *geometric* mean of the fluctuations inside a stretch: with noise of relative variance v it lies
  v/2 below the mean loss, and a v that changes along the curve tilts the slope.
* ``binned_log_log_slope`` takes the logarithm of averages: the mean loss itself, from raw curves that may touch
  zero.
* :func:`analyses.plateau.fit_plateau_law` separates the decay from what it decays to; its exponent is steeper
  than all of these whenever there is a plateau.

The distance between them is a diagnosis, not a nuisance. For intervals, make the estimator (part of) the
statistic of :func:`analyses.resampling.bootstrap_band`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .log_space import safe_sqrt

#: Exponents searched by :func:`fit_power_law`: least, greatest, and spacing of the bracketing grid.
EXPONENT_RANGE = (-8.0, 4.0)
EXPONENT_STEP = 0.05


class PowerLaw(NamedTuple):
    """L(t) = t^exponent / scale."""

    exponent: Float[Array, ""]  #: α
    scale: Float[Array, ""]  #: D_c
    residual_rms: Float[Array, ""]  #: root mean square, of L (fit_power_law) or ln L (log_log_slope)


def power_law(context: Float[Array, " point"], law: PowerLaw) -> Float[Array, " point"]:
    """t^α / D_c at each context length."""
    return context**law.exponent / law.scale


@jax.jit
def fit_power_law(context: Float[Array, " point"], loss: Float[Array, " point"]) -> PowerLaw:
    """argmin over (α, D_c) of Σ (L − t^α / D_c)², unweighted: the published fit, without a start point.

    Variable projection: given α the best 1/D_c is ΣLt^α / Σt^{2α}, so only α is searched. A grid over
    ``EXPONENT_RANGE`` finds the global basin, bisection of the derivative closes in (a root, not a minimum,
    so α is good to rounding), and one Newton step carries the exact derivative of α with respect to the
    data. NaN when the best exponent is not inside the range. ``context`` must be positive; every point
    counts, so cut before calling.
    """
    log_t = jnp.log(context)

    def slope(alpha: Float[Array, ""]) -> Float[Array, ""]:
        return _projection_slope(alpha, log_t, loss)

    frozen_t, frozen_loss = jax.lax.stop_gradient((log_t, loss))
    alpha = _bracketed_root(frozen_t, frozen_loss)
    alpha = alpha - slope(alpha) / jax.lax.stop_gradient(jax.grad(slope)(alpha))
    centre = jnp.mean(log_t)
    shape = jnp.exp(alpha * (log_t - centre))
    amplitude = jnp.sum(loss * shape) / jnp.sum(shape**2)
    residual = loss - amplitude * shape
    return PowerLaw(alpha, jnp.exp(alpha * centre) / amplitude, safe_sqrt(jnp.mean(residual**2)))


def log_log_slope(context: Float[Array, " point"], loss: Float[Array, " point"], *, num_bins: int = 20) -> PowerLaw:
    """Ordinary least squares of ln L on ln t after averaging both inside ``num_bins`` equal stretches of ln
    t.

    The averages stop the many late points from outvoting the few early ones; empty stretches are left out.
    Losses and contexts must be positive.

    Raises:
        ValueError: fewer than two stretches.
    """
    if num_bins < 2:
        raise ValueError(f"log_log_slope: got num_bins {num_bins}; expected at least 2; 10 to 30 is usual")
    x, y = jnp.log(context), jnp.log(loss)
    low, high = jnp.min(x), jnp.max(x)
    stretch = jnp.clip(jnp.floor((x - low) / (high - low) * num_bins), 0, num_bins - 1).astype(jnp.int32)
    count, sum_x, sum_y = (jax.ops.segment_sum(v, stretch, num_bins) for v in (jnp.ones_like(x), x, y))
    used = (count > 0).astype(x.dtype)
    mean_x, mean_y = sum_x / jnp.maximum(count, 1), sum_y / jnp.maximum(count, 1)
    num_used = jnp.sum(used)
    centre_x, centre_y = jnp.sum(used * mean_x) / num_used, jnp.sum(used * mean_y) / num_used
    dx, dy = used * (mean_x - centre_x), used * (mean_y - centre_y)
    alpha = jnp.sum(dx * dy) / jnp.sum(dx**2)
    residual = dy - alpha * dx
    rms = safe_sqrt(jnp.sum(residual**2) / num_used)
    return PowerLaw(alpha, jnp.exp(alpha * centre_x - centre_y), rms)


def binned_log_log_slope(context: Float[Array, " bin"], loss: Float[Array, " bin"]) -> PowerLaw:
    """Ordinary least squares of ln L̄ on ln t, L̄ the mean loss inside bins of
    :func:`analyses.geometric_bins.geometric_bins`.

    Logarithm after averaging (:func:`log_log_slope` averages logarithms). Means and contexts must be positive.
    """
    x, y = jnp.log(context), jnp.log(loss)
    dx, dy = x - jnp.mean(x), y - jnp.mean(y)
    alpha = jnp.sum(dx * dy) / jnp.sum(dx**2)
    return PowerLaw(alpha, jnp.exp(alpha * jnp.mean(x) - jnp.mean(y)), safe_sqrt(jnp.mean((dy - alpha * dx) ** 2)))


def _projection(
    alpha: Float[Array, ""], log_t: Float[Array, " point"], loss: Float[Array, " point"]
) -> Float[Array, ""]:
    """(ΣLt^α)² / Σt^{2α}: the sum of squares explained at α; its maximum is the least-squares exponent."""
    exponent = alpha * log_t
    shape = jnp.exp(exponent - jnp.max(exponent))  # the ratio does not depend on the unit of t
    return jnp.sum(loss * shape) ** 2 / jnp.sum(shape**2)


def _projection_slope(
    alpha: Float[Array, ""], log_t: Float[Array, " point"], loss: Float[Array, " point"]
) -> Float[Array, ""]:
    """½ d ln(projection)/dα: mean of ln t weighted by Lt^α, less that weighted by t^{2α}."""
    exponent = alpha * log_t
    shape = jnp.exp(exponent - jax.lax.stop_gradient(jnp.max(exponent)))
    x = log_t - jnp.mean(log_t)
    return jnp.sum(loss * shape * x) / jnp.sum(loss * shape) - jnp.sum(shape**2 * x) / jnp.sum(shape**2)


def _bracketed_root(log_t: Float[Array, " point"], loss: Float[Array, " point"]) -> Float[Array, ""]:
    """The exponent of the largest projection, by a grid and then bisection of the slope's sign."""
    least, greatest = EXPONENT_RANGE
    num_nodes = round((greatest - least) / EXPONENT_STEP) + 1
    grid = jnp.linspace(least, greatest, num_nodes, dtype=loss.dtype)
    best = jnp.argmax(jax.vmap(_projection, in_axes=(0, None, None))(grid, log_t, loss))
    inside = (best > 0) & (best < num_nodes - 1)
    bracket = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, num_nodes - 1)]

    def halve(_: Array | int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        rising = _projection_slope(middle, log_t, loss) > 0
        return jnp.where(rising, middle, low), jnp.where(rising, high, middle)

    num_halvings = jnp.finfo(loss.dtype).nmant
    low, high = jax.lax.fori_loop(0, num_halvings, halve, bracket)
    return jnp.where(inside, 0.5 * (low + high), jnp.nan)
