"""The score of a law at the value that came: no truth needed."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def negative_log_likelihood(
    log_mass: Float[Array, " bin"],
    edges: Float[Array, " bin+1"],
    observed: Int[Array, ""],
    *,
    density: bool = True,
) -> Float[Array, ""]:
    """−ln(m_b / w_b) of the observed cell b, in nats per unit of ``edges``; −ln m_b with ``density=False``.

    The density form can be compared between grids of different widths, the mass form is the code length of
    the written number. ``observed`` is the index of the cell; an index off the grid gives NaN.
    """
    legal = (observed >= 0) & (observed < log_mass.shape[0])
    cell = jnp.where(legal, observed, 0)
    width = edges[cell + 1] - edges[cell]
    score = jnp.log(width) - log_mass[cell] if density else -log_mass[cell]
    return jnp.where(legal, score, jnp.nan)
