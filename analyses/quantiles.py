"""Quantiles of a piecewise-constant density, exact to the cell's inside."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def quantile(
    log_mass: Float[Array, " bin"], edges: Float[Array, " bin+1"], level: float | Float[Array, ""]
) -> Float[Array, ""]:
    """The smallest x of the support with F(x) ≥ level, where F is linear inside each cell.

    Level 0 gives the left end of the first cell with mass, level 1 the right end of the last one; a level
    outside [0, 1] gives NaN. Differentiable in ``log_mass``, ``edges`` and ``level``; ``vmap`` over levels.
    """
    mass = jnp.exp(log_mass)
    cumulative = jnp.cumsum(mass)
    level = level * cumulative[-1]
    # A cell without mass cannot hold a quantile, even where the cumulative mass already equals the level.
    cell = jnp.argmax((cumulative >= level) & (mass > 0))
    below = cumulative[cell] - mass[cell]
    inside = jnp.clip((level - below) / mass[cell], 0, 1)
    value = edges[cell] + inside * (edges[cell + 1] - edges[cell])
    legal = (level >= 0) & (level <= cumulative[-1])
    return jnp.where(legal, value, jnp.nan)
