"""Which comes first, shape or behaviour; and how the transition moves with size."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..resampling import centre_and_resamples, resampled_interval, student_quantile


class Lead(NamedTuple):
    """Energy's time less accuracy's, in context, by layer: negative where the shape comes first; 95 % interval."""

    estimate: Float[Array, " layer"]
    low: Float[Array, " layer"]
    high: Float[Array, " layer"]


class PowerLaw(NamedTuple):
    """y = prefactor x^exponent, with a 95 % interval of the exponent."""

    exponent: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    prefactor: Float[Array, ""]


@functools.partial(jax.jit, static_argnames=("share", "least"))
def energy_time(
    contexts: Float[Array, " context"], ratio: Float[Array, "*batch context"], share: float = 0.05, least: float = 0.02
) -> Float[Array, "*batch"]:
    """First context at which ``ratio`` is within ``share`` of its fall from the first context to its least value.

    Between contexts it is read off a straight line in ln(context). NaN where it falls by less than ``least``. A ratio
    that falls to the end has its least value there, so the time is then near the last context whatever it is.

    Raises:
        ValueError: ``share`` not in [0, 1), or contexts that are not those of the ratio.
    """
    if not 0 <= share < 1 or contexts.shape[0] != ratio.shape[-1]:
        raise ValueError(
            f"Got share {share}, {contexts.shape[0]} contexts and ratios at {ratio.shape[-1]}. Expected a share in "
            "[0, 1) and as many ratios as contexts. Correct them."
        )
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


def lead(
    key: Key[Array, ""],
    contexts: Float[Array, " context"],
    ratios: Float[Array, "placement layer context"],
    breaks: Float[Array, " placement"],
    count: int = 500,
) -> Lead:
    r"""When the energy is down, less when the accuracy turns, with placements of the words drawn anew ``count`` times.

    .. math:: t_E(\bar R) - \bar t_A

    R̄ is the mean ratio over placements (:func:`energy_time`), t̄_A the mean break. The interval is that of
    :func:`analyses.resampled_interval`: with three placements it reaches twice as far as with many, since it has to
    make up for a spread that three values hardly show, and with two it says next to nothing. NaN at a layer where some
    draw does not fall.

    Raises:
        ValueError: fewer than two placements, or a break for another number of them.
    """
    if ratios.shape[0] != breaks.shape[0] or ratios.shape[0] < 2:
        raise ValueError(
            f"Got ratios of {ratios.shape[0]} placements and {breaks.shape[0]} breaks. Expected two or more of each, "
            "and as many. Place the words anew more often."
        )
    return _lead(key, contexts, ratios, breaks, count=count)


@functools.partial(jax.jit, static_argnames="count")
def _lead(key: Array, contexts: Array, ratios: Array, breaks: Array, *, count: int) -> Lead:
    def difference(chosen: tuple[Array, Array]) -> Array:
        return energy_time(contexts, chosen[0].mean(axis=0)) - chosen[1].mean()

    centre, drawn = centre_and_resamples(key, difference, (ratios, breaks), num_resamples=count)
    return Lead(*resampled_interval(centre, drawn, breaks.shape[0]))


@jax.jit
def size_power_law(
    sizes: Float[Array, " graph"], breaks: Float[Array, " graph"], errors: Float[Array, " graph"] | None = None
) -> PowerLaw:
    """Least squares of ln(break) on ln(size), with Student's t of two degrees of freedom less than graphs.

    ``errors`` are standard errors of the breaks, in context: each point then counts by (break / error)². They only
    weigh; how far the exponent reaches is judged by the scatter about the line. NaN interval for two graphs.

    Raises:
        ValueError: fewer than two graphs.
    """
    if sizes.shape[0] < 2:
        raise ValueError(f"Got {sizes.shape[0]} graph. Expected two or more. Add graphs of another size.")
    x, y = jnp.log(sizes), jnp.log(breaks)
    weight = jnp.ones_like(y) if errors is None else (breaks / errors) ** 2
    weight = weight / weight.sum()
    middle, height = jnp.sum(weight * x), jnp.sum(weight * y)
    spread = jnp.sum(weight * (x - middle) ** 2)
    slope = jnp.sum(weight * (x - middle) * (y - height)) / spread
    free = sizes.shape[0] - 2
    scatter = jnp.sum(weight * (y - height - slope * (x - middle)) ** 2)
    reach = student_quantile(0.975, free) * jnp.sqrt(scatter / free / spread) if free > 0 else jnp.nan
    return PowerLaw(slope, slope - reach, slope + reach, jnp.exp(height - slope * middle))
