"""Distribution functions shared by the systems' closed-form transition laws."""

import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from .base import Real


def point_mass_cdf(x: Real, at: Real) -> Float[Array, ""]:
    """P(X <= x) when X is surely ``at``: a step, continuous from the right."""
    return (jnp.asarray(x) >= at).astype(jnp.result_type(x, at, float))


def gaussian_cdf(x: Real, mean: Real, sd: Real) -> Float[Array, ""]:
    """P(X <= x) for X ~ N(mean, sd^2); where ``sd`` is 0, the point mass it tends to."""
    degenerate = jnp.asarray(sd) == 0
    # Dividing by 1 in the branch not taken keeps gradients free of NaN.
    spread = ndtr((x - mean) / jnp.where(degenerate, 1.0, sd))
    return jnp.where(degenerate, point_mass_cdf(x, mean), spread)
