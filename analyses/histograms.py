"""Laws on a grid of cells: the mass a cumulative distribution puts in each cell, and coarser grids.

A grid is its ascending ``edges`` [bin + 1]; cell i is [edges[i], edges[i+1]). The inside of a cell is never
resolved: everything in this package treats the density there as constant.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float

from .log_space import log_sum_exp


class BinMasses(NamedTuple):
    """A law restricted to a grid."""

    mass: Float[Array, " bin"]  #: probability of each cell given that the value is on the grid; sums to 1
    outside: Float[Array, ""]  #: probability, before renormalising, of falling outside the grid


def bin_masses(cdf: Callable[[Float[Array, ""]], Float[Array, ""]], edges: Float[Array, " edge"]) -> BinMasses:
    """q_i = [F(edges_{i+1}) − F(edges_i)] / [F(last) − F(first)] of a cumulative distribution F.

    ``cdf`` maps one number (in the units of ``edges``) to P(X ≤ x). A law with nothing on the grid has no
    restriction to it: its ``mass`` is NaN and ``outside`` 1. Source: arXiv 2402.00795 (truth masses).
    """
    below = jax.vmap(cdf)(edges)
    # Rounding can make neighbouring values of a flat F decrease by one unit in the last place.
    mass = jnp.maximum(jnp.diff(below), 0)
    inside = jnp.sum(mass)
    return BinMasses(mass / inside, 1 - (below[-1] - below[0]))


def point_mass(value: Float[Array, ""], edges: Float[Array, " edge"]) -> BinMasses:
    """The law of a known value: mass 1 in the cell that holds it (left edge included).

    Outside the grid ``mass`` is NaN and ``outside`` 1, as in :func:`bin_masses`. Not differentiable in
    ``value``.
    """
    one_hot = ((edges[:-1] <= value) & (value < edges[1:])).astype(edges.dtype)
    inside = jnp.sum(one_hot)
    return BinMasses(one_hot / inside, 1 - inside)


def gaussian_log_masses(
    mean: float | Float[Array, ""], sd: float | Float[Array, ""], edges: Float[Array, " edge"]
) -> Float[Array, " edge-1"]:
    """ln of the cell masses of N(mean, sd²), renormalised over the grid; finite however far the tail. sd > 0.

    Differences of Φ vanish beyond a few standard deviations above the mean, so each cell is computed in the
    tail it lies in: ln[Φ(b) − Φ(a)] = ln Φ(b) + ln(1 − exp(ln Φ(a) − ln Φ(b))) with a < b reflected to b ≤ 0.
    """
    z = (edges - mean) / sd
    left, right = z[:-1], z[1:]
    upper_tail = left > 0
    nearest_last = jnp.stack([jnp.where(upper_tail, -right, left), jnp.where(upper_tail, -left, right)])
    outer, inner = log_ndtr(nearest_last)
    log_mass = inner + jnp.log(-jnp.expm1(outer - inner))
    return log_mass - log_sum_exp(log_mass)


def coarsen(log_mass: Float[Array, " bin"], factor: int) -> Float[Array, " coarse"]:
    """Marginal law on a grid ``factor`` times coarser: ln Σ of each run of ``factor`` neighbouring cells.

    With factor = base^k this drops the last k digits of fixed-width numerals; its edges are
    ``edges[::factor]``.

    Raises:
        ValueError: ``factor`` does not divide the number of cells.
    """
    num_bins = log_mass.shape[0]
    if factor < 1 or num_bins % factor:
        raise ValueError(
            f"coarsen: got factor {factor} for {num_bins} cells; expected a divisor of {num_bins}; "
            "use a power of the numeral base"
        )
    return log_sum_exp(log_mass.reshape(num_bins // factor, factor))
