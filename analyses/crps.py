"""Proper scores that know the order or the distance of outcomes, in closed form.

All are least in expectation for the true law. In grid units the continuous ranked probability score (CRPS) is what
the absolute deviation becomes for a law instead of a point; see Gneiting and Raftery (2007) for all of them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def crps(
    log_mass: Float[Array, " bin"], edges: Float[Array, " bin+1"], value: float | Float[Array, ""]
) -> Float[Array, ""]:
    """∫ (F(x) − 1{x ≥ y})² dx of the piecewise-constant density at the real value y, in the units of ``edges``.

    F is linear inside a cell, so each integral is length · (p² + pq + q²)/3 of the end values p, q of F (left of y) or
    of 1 − F (right of y). A value off the grid adds its distance to it. Equals E|X − y| − ½E|X − X'|.
    """
    mass, width = jnp.exp(log_mass), jnp.diff(edges)
    below, above = _outside_each_cell(mass)
    left = jnp.clip(value - edges[:-1], 0, width)
    share = left / jnp.where(width > 0, width, 1)  # padded cells of a mixed grid have no width
    at_value, beyond_value = below + mass * share, above + mass * (1 - share)
    integral = left * _mean_square(below, at_value) + (width - left) * _mean_square(above, beyond_value)
    return jnp.sum(integral) + jnp.maximum(edges[0] - value, 0) + jnp.maximum(value - edges[-1], 0)


def crps_binned(
    log_mass: Float[Array, " bin"], edges: Float[Array, " bin+1"], code: Int[Array, ""]
) -> Float[Array, ""]:
    """E[:func:`crps` at Y] for Y uniform in the observed cell ``code``: proper for outcomes known to their cell.

    The observed cell of width w adds w[(p² + q²)/2 + m(p + q)/3 + m²/6], with p and q the masses left and right of it
    and m its own. NaN for a code off the grid.
    """
    mass, width = jnp.exp(log_mass), jnp.diff(edges)
    below, above = _outside_each_cell(mass)
    own = 0.5 * (below**2 + above**2) + mass * (below + above) / 3 + mass**2 / 6
    index = jnp.arange(log_mass.shape[0], dtype=jnp.int32)
    elsewhere = jnp.where(index < code, _mean_square(below, below + mass), _mean_square(above, above + mass))
    score = jnp.sum(width * jnp.where(index == code, own, elsewhere))
    return jnp.where((code >= 0) & (code < log_mass.shape[0]), score, jnp.nan)


def ranked_probability_score(log_mass: Float[Array, " symbol"], code: Int[Array, ""]) -> Float[Array, ""]:
    """Σ_{k<n−1} (P(symbol ≤ k) − 1{code ≤ k})²: the CRPS of ordered symbols one unit apart. NaN for an unknown code."""
    below, above = _outside_each_cell(jnp.exp(log_mass))
    threshold = jnp.arange(log_mass.shape[0] - 1, dtype=jnp.int32)
    score = jnp.sum(jnp.where(code <= threshold, above[:-1], below[1:]) ** 2)
    return jnp.where((code >= 0) & (code < log_mass.shape[0]), score, jnp.nan)


def brier_score(log_mass: Float[Array, " symbol"], code: Int[Array, ""]) -> Float[Array, ""]:
    """Σ_j (m_j − 1{j = code})², in [0, 2]: symbols without an order. NaN for an unknown code."""
    came = jnp.arange(log_mass.shape[0], dtype=jnp.int32) == code
    score = jnp.sum((jnp.exp(log_mass) - came.astype(log_mass.dtype)) ** 2)
    return jnp.where((code >= 0) & (code < log_mass.shape[0]), score, jnp.nan)


def _outside_each_cell(mass: Float[Array, " bin"]) -> tuple[Float[Array, " bin"], Float[Array, " bin"]]:
    """Mass left of each cell and right of it, each added up from its own end so that small tails keep their digits."""
    none = jnp.zeros(1, mass.dtype)
    below = jnp.concatenate([none, jnp.cumsum(mass[:-1])])
    above = jnp.concatenate([jnp.cumsum(mass[:0:-1])[::-1], none])
    return below, above


def _mean_square(start: Array, end: Array) -> Array:
    """Mean of the square of a function that is linear between ``start`` and ``end``."""
    return (start**2 + start * end + end**2) / 3
