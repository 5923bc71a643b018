"""Observers by lists of hypotheses: systems whose posterior has no closed form, filtered cell by cell.

Every function takes ``(system, codes [time], edges, states)`` and gives the posterior ``[time, ...]``. The prior
is uniform over the list. Of ``system`` nothing is used but what a docstring names, of ``states`` nothing at all. The
filters run in float32, which is far finer than the lists.
"""

import dataclasses

import jax
import jax.numpy as jnp

import analyses
from analyses import CellPosterior
from systems import DoubleWell, GeometricBrownianMotion, LogisticMap, NoisyLogisticMap

LEAK = 1e-6
"""Share of the uniform law in every prediction: what is impossible costs at most ln(bins / LEAK)."""
FINE = 256
"""Beyond so many edges fewer pieces of a cell do."""


@jax.jit
def logistic_map(system: LogisticMap, codes: jax.Array, edges: jax.Array, states: jax.Array) -> CellPosterior:
    """x' = r x (1 − x), r anywhere in an interval of the grid's spacing: then the true path never is impossible."""
    low, high = 3.0, 4.0
    # What blurs the map, an interval of r or a piece of a cell, is balanced: finer cells need finer intervals.
    num, num_pieces = (512, 32) if edges.shape[0] <= FINE else (2048, 8)
    half = (high - low) / (num - 1) / 2

    def cdf(r, left, right, y):
        ends = left * (1 - left), right * (1 - right)
        top = jnp.where((left < 0.5) & (right > 0.5), 0.25, jnp.maximum(*ends))
        return analyses.uniform_cdf((r - half) * jnp.minimum(*ends), (r + half) * top, y)

    r = jnp.linspace(low, high, num, dtype=jnp.float32)
    return _filtered(cdf, r, codes, edges, num_pieces=num_pieces)


@jax.jit
def noisy_logistic_map(
    system: NoisyLogisticMap, codes: jax.Array, edges: jax.Array, states: jax.Array
) -> CellPosterior:
    """x' = r y (1 − y), y = x + σε, each step with r at either end of an interval: x' never exceeds r/4, and a list of
    single values of r would call a value just above one of these bounds impossible."""
    low, high, num = 3.5, 4.0, 34
    half = (high - low) / (num - 1) / 2

    def cdf(theta, x, y):
        r, sigma = theta
        ends = [NoisyLogisticMap(r=end, sigma=sigma).transition_cdf(x[None], y) for end in (r - half, r + half)]
        return (ends[0] + ends[1]) / 2

    grid = _product(jnp.linspace(low, high, num), jnp.geomspace(0.004, 0.05, 25))
    return _filtered(analyses.averaged_cdf(cdf, 1), grid, codes, edges, num_pieces=3 if edges.shape[0] <= FINE else 2)


@jax.jit
def geometric_brownian_motion(
    system: GeometricBrownianMotion, codes: jax.Array, edges: jax.Array, states: jax.Array
) -> CellPosterior:
    """ln x' = ln x + σ(z + ε), by its cells: a path spends long where cells are wide against the value."""

    def cdf(theta, x, y):
        z, sigma = theta
        known = GeometricBrownianMotion(drift=z * sigma + sigma**2 / 2, sigma=sigma, interval=1.0)
        return known.transition_cdf(jnp.maximum(x, jnp.finfo(x.dtype).tiny)[None], y)

    grid = _product(jnp.linspace(-1.0, 1.0, 21), jnp.geomspace(0.02, 1.0, 30))
    return _filtered(analyses.averaged_cdf(cdf, 1), grid, codes, edges, num_pieces=8 if edges.shape[0] <= FINE else 2)


@jax.jit
def double_well(system: DoubleWell, codes: jax.Array, edges: jax.Array, states: jax.Array) -> CellPosterior:
    """The Euler chain between wells at ±1; ``interval`` and ``num_substeps`` of ``system`` are known, a and σ not.

    The law is smooth over cells of two or more digits: the middle of a cell stands for it.
    """

    def cdf(theta, x, y):
        a, sigma = theta
        return dataclasses.replace(system, a=a, sigma=sigma).transition_cdf(x[None], y)

    grid = _product(jnp.geomspace(0.25, 2.5, 10), jnp.geomspace(0.2, 1.2, 18))
    return _filtered(analyses.averaged_cdf(cdf, 1), grid, codes, edges, num_pieces=1)


def _product(*axes: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(axis.ravel().astype(jnp.float32) for axis in jnp.meshgrid(*axes))


def _filtered(cdf, hypotheses, codes: jax.Array, edges: jax.Array, *, num_pieces: int) -> CellPosterior:
    """Under a prior uniform over the hypotheses."""
    num = jax.tree.leaves(hypotheses)[0].shape[0]
    prior, edges = jnp.zeros(num, jnp.float32), edges.astype(jnp.float32)
    return analyses.cell_filter(cdf, hypotheses, prior, codes, edges, num_pieces=num_pieces, leak=LEAK)
