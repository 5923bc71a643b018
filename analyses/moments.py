"""Moments of a piecewise-constant density."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Moments(NamedTuple):
    """Mean, variance, standardised third and fourth central moments, and the mode, in grid units."""

    mean: Float[Array, ""]
    variance: Float[Array, ""]
    skewness: Float[Array, ""]  #: E[(X−μ)³]/σ³; NaN when the variance is 0
    kurtosis: Float[Array, ""]  #: E[(X−μ)⁴]/σ⁴, 3 for a Gaussian (not the excess); NaN when the variance is 0
    mode: Float[Array, ""]  #: centre of the cell of highest density; not differentiable


def moments(log_mass: Float[Array, " bin"], edges: Float[Array, " bin+1"], *, within_bin: bool = True) -> Moments:
    """Moments of the density m_i / w_i on cells with centres c_i and widths w_i.

    With δ = c − μ and U uniform on ±w/2: E(δ+U)² = δ² + w²/12, E(δ+U)³ = δ³ + δw²/4 and
    E(δ+U)⁴ = δ⁴ + δ²w²/2 + w⁴/80. ``within_bin=False`` puts each cell's mass at its centre, as the published
    code of arXiv 2402.00795 does; a cell as wide as a digit then hides a variance of w²/12.
    """
    mass = jnp.exp(log_mass)
    centre = 0.5 * (edges[1:] + edges[:-1])
    full_width = edges[1:] - edges[:-1]
    width = full_width if within_bin else jnp.zeros_like(full_width)
    mean = jnp.sum(mass * centre)
    delta = centre - mean
    variance = jnp.sum(mass * (delta**2 + width**2 / 12))
    third = jnp.sum(mass * (delta**3 + delta * width**2 / 4))
    fourth = jnp.sum(mass * (delta**4 + (delta * width) ** 2 / 2 + width**4 / 80))
    spread = variance > 0
    divisor = jnp.where(spread, variance, 1)
    return Moments(
        mean=mean,
        variance=variance,
        skewness=jnp.where(spread, third / divisor**1.5, jnp.nan),
        kurtosis=jnp.where(spread, fourth / divisor**2, jnp.nan),
        mode=_mode(jax.lax.stop_gradient(log_mass), centre, full_width),
    )


def _mode(
    log_mass: Float[Array, " bin"], centre: Float[Array, " bin"], width: Float[Array, " bin"]
) -> Float[Array, ""]:
    # Padded cells of a mixed grid have no width and no mass: their density is nothing, not 0/0.
    real = width > 0
    log_density = jnp.where(real, log_mass - jnp.log(jnp.where(real, width, 1)), -jnp.inf)
    mode = centre[jnp.argmax(log_density)]
    return jnp.where(jnp.any(jnp.isnan(log_mass)), jnp.nan, mode)
