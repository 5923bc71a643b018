"""The three things that "temperature" means for the law of a number. All leave a law as it is at T = 1.

* **digit**: every softmax of a digit given the digits before it is taken at temperature T, as when sampling text.
* **mass**: the probability of the whole number to the power 1/T. Differs from the digit temperature because the
  normaliser of each prefix is tempered with the prefix.
* **density**: the *height* of each cell to the power 1/T, as arXiv 2402.00795 does after the fact. Equals the mass
  temperature on cells of equal width, and not on mixed-resolution grids.

As T → 0 the first goes to the greedy path of digits, the second to the most probable cell, the third to the cell of
highest density; the three can be different numbers.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .log_space import log_sum_exp

#: Temperatures searched by :func:`best_temperature`, and the number of bracketing nodes (equal steps of ln T).
TEMPERATURE_RANGE = (0.05, 20.0)
NUM_NODES = 25

Transform = Callable[[Float[Array, " bin"], Float[Array, ""]], Float[Array, " bin"]]


class BestTemperature(NamedTuple):
    """The temperature at which the observed values are most probable."""

    temperature: Float[Array, ""]  #: > 1: the laws are over-confident; NaN when not inside the range
    nll: Float[Array, ""]  #: mean −ln mass of the observed cell there, nats
    nll_at_one: Float[Array, ""]  #: the same of the laws as they are; the difference is what calibration gains


def digit_temperature(
    log_mass: Float[Array, " bin"], branch: tuple[int, ...], temperature: float | Float[Array, ""]
) -> Float[Array, " bin"]:
    """Π_k P(d_k | d_1..d_{k−1})^{1/T} / Z(d_1..d_{k−1}), from the complete law of a number.

    ``branch`` = (b_1, .., b_D) are the numbers of children, (10, 10) for two decimal digits; cells are in numeric
    order, the last digit runs fastest.

    Raises:
        ValueError: the product of ``branch`` is not the number of cells, or the temperature is not positive.
    """
    beta = _inverse(temperature)
    num_bins = log_mass.shape[0]
    if not branch or min(branch) < 1 or math.prod(branch) != num_bins:
        raise ValueError(
            f"digit_temperature: got branch {branch} for {num_bins} cells; expected numbers of children with the "
            f"product {num_bins}; use (10,) * digits for decimal numerals"
        )
    prefix, conditionals = log_mass, []
    for children in reversed(branch):
        siblings = prefix.reshape(-1, children)
        conditionals.append(_normalised(_scaled(siblings, beta)))
        prefix = log_sum_exp(siblings)
    law = jnp.zeros_like(prefix)
    for conditional in reversed(conditionals):
        law = (law[:, None] + conditional).reshape(-1)
    return law


def mass_temperature(log_mass: Float[Array, " bin"], temperature: float | Float[Array, ""]) -> Float[Array, " bin"]:
    """m_i^{1/T} / Σ_j m_j^{1/T}.

    Raises:
        ValueError: the temperature is not positive.
    """
    return _normalised(_scaled(log_mass, _inverse(temperature)))


def density_temperature(
    log_mass: Float[Array, " bin"], edges: Float[Array, " bin+1"], temperature: float | Float[Array, ""]
) -> Float[Array, " bin"]:
    """w_i (m_i/w_i)^{1/T} / Σ_j w_j (m_j/w_j)^{1/T}: the published temperature.

    Raises:
        ValueError: the temperature is not positive.
    """
    width = jnp.diff(edges)
    real = width > 0  # padded cells of a mixed grid have neither width nor mass
    log_width = jnp.log(jnp.where(real, width, 1))
    log_height = jnp.where(real, log_mass - log_width, -jnp.inf)
    return _normalised(_scaled(log_height, _inverse(temperature)) + log_width)


def best_temperature(
    log_mass: Float[Array, "time bin"], codes: Int[Array, " time"], transform: Transform
) -> BestTemperature:
    """argmin over T of the mean −ln mass that ``transform(law, T)`` gives the observed cells ``codes``.

    ``transform`` is one of the above with its other arguments bound. For all three the mean is convex in 1/T. Nodes
    over ``TEMPERATURE_RANGE`` bracket the minimum, bisection of the derivative closes in (good to rounding, which a
    comparison of values is not), and one Newton step carries the derivative of ln T with respect to the laws.
    NaN when the best node is at an end, as it is for laws that a temperature does not change, or a value was
    impossible. The temperature is chosen on the values that it is scored on: hold some out.
    """
    legal = (codes >= 0) & (codes < log_mass.shape[1])
    cells = jnp.where(legal, codes, 0)[:, None]

    def loss(log_t: Float[Array, ""], rows: Float[Array, "time bin"]) -> Float[Array, ""]:
        tempered = jax.vmap(transform, in_axes=(0, None))(rows, jnp.exp(log_t))
        score = -jnp.take_along_axis(tempered, cells, axis=1)[:, 0]
        return jnp.mean(jnp.where(legal, score, jnp.nan))

    slope = jax.grad(loss)
    frozen = jax.lax.stop_gradient(log_mass)
    log_t = _bracketed_root(lambda x: loss(x, frozen), lambda x: slope(x, frozen), log_mass.dtype)
    curvature = jax.jvp(lambda x: slope(x, frozen), (log_t,), (jnp.ones_like(log_t),))[1]
    log_t = log_t - slope(log_t, log_mass) / jax.lax.stop_gradient(curvature)
    return BestTemperature(jnp.exp(log_t), loss(log_t, log_mass), loss(jnp.zeros_like(log_t), log_mass))


def _bracketed_root(loss: Callable[[Array], Array], slope: Callable[[Array], Array], dtype: jnp.dtype) -> Array:
    """ln T where ``slope`` changes sign around the best of the nodes; NaN when that is an end or not finite."""
    least, greatest = (math.log(end) for end in TEMPERATURE_RANGE)
    nodes = jnp.linspace(least, greatest, NUM_NODES, dtype=dtype)
    losses = jax.lax.map(loss, nodes)  # one at a time: all at once would hold every law at every temperature
    best = jnp.argmin(losses)
    inside = (best > 0) & (best < NUM_NODES - 1) & jnp.isfinite(losses[best])
    bracket = nodes[jnp.maximum(best - 1, 0)], nodes[jnp.minimum(best + 1, NUM_NODES - 1)]

    def halve(_: Array | int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        rising = slope(middle) > 0
        return jnp.where(rising, low, middle), jnp.where(rising, middle, high)

    low, high = jax.lax.fori_loop(0, jnp.finfo(dtype).nmant, halve, bracket)
    return jnp.where(inside, 0.5 * (low + high), jnp.nan)


def _inverse(temperature: float | Float[Array, ""]) -> float | Float[Array, ""]:
    """1/T; NaN for a traced temperature that is not positive."""
    if not isinstance(temperature, jax.Array):
        if not temperature > 0:
            raise ValueError(
                f"temperature: got {temperature}; expected a positive number; use a small one, 1e-3, for the limit 0"
            )
        return 1 / temperature
    positive = temperature > 0
    return jnp.where(positive, 1 / jnp.where(positive, temperature, 1), jnp.nan)


def _scaled(log_weight: Float[Array, "*rest n"], beta: float | Float[Array, ""]) -> Float[Array, "*rest n"]:
    """β·ln weight, −∞ (with derivative 0) where there is no weight."""
    occupied = ~jnp.isneginf(log_weight)
    return jnp.where(occupied, jnp.where(occupied, log_weight, 0) * beta, -jnp.inf)


def _normalised(log_weight: Float[Array, "*rest n"]) -> Float[Array, "*rest n"]:
    """Subtracts ln Σ over the last axis; a row without any weight stays −∞."""
    total = log_sum_exp(log_weight)[..., None]
    return log_weight - jnp.where(jnp.isneginf(total), 0, total)
