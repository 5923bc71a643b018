"""Which comes first, shape or behaviour; and how the transition moves with size."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..resampling import student_quantile


class PowerLaw(NamedTuple):
    """y = prefactor x^exponent, with a 95 % interval of the exponent."""

    exponent: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    prefactor: Float[Array, ""]


def energy_time(
    contexts: Float[Array, " context"], ratio: Float[Array, "*batch context"], share: float = 0.05, least: float = 0.02
) -> Float[Array, "*batch"]:
    """First context at which ``ratio`` is within ``share`` of its fall from the first context to its least value.

    Between contexts it is read off a straight line in ln(context). NaN where it falls by less than ``least``.
    """
    start, low = ratio[..., :1], jnp.min(ratio, axis=-1, keepdims=True)
    level = low + share * (start - low)
    below = ratio <= level
    k = jnp.argmax(below, axis=-1)
    before = jnp.maximum(k - 1, 0)
    a = jnp.take_along_axis(ratio, before[..., None], -1)[..., 0]
    b = jnp.take_along_axis(ratio, k[..., None], -1)[..., 0]
    u = jnp.log(contexts)
    way = jnp.where(a > b, (a - level[..., 0]) / jnp.where(a > b, a - b, 1), 0.0)
    fallen = (start - low)[..., 0] >= least
    return jnp.where(fallen, jnp.exp(u[before] + way * (u[k] - u[before])), jnp.nan)


def size_power_law(sizes: Float[Array, " graph"], breaks: Float[Array, " graph"]) -> PowerLaw:
    """Least squares of ln(break) on ln(size); Student's t with two degrees of freedom less than graphs."""
    x, y = jnp.log(sizes), jnp.log(breaks)
    centred = x - x.mean()
    slope = jnp.sum(centred * y) / jnp.sum(centred**2)
    level = y.mean() - slope * x.mean()
    free = sizes.shape[0] - 2
    error = jnp.sqrt(jnp.sum((y - level - slope * x) ** 2) / max(free, 1) / jnp.sum(centred**2))
    reach = student_quantile(0.975, free) * error if free > 0 else jnp.nan
    return PowerLaw(slope, slope - reach, slope + reach, jnp.exp(level))
