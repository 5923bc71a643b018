"""How far laws are from the truth and from what was written, item by item.

Everything here runs in float64 (``jax.enable_x64``), whatever the model ran in, on a batch of series at once.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses


class Scores(NamedTuple):
    """One predictor against the true transition law; ``[seed, time]``, NaN where item t was not predicted.

    ``bhattacharyya``, ``kl`` (truth from model), ``nll`` (of the written number) in nats;
    ``total_variation`` in [0, 1]; ``absolute_deviation`` of the means in display units (the grid spans 10),
    ``squared_deviation`` in their square; ``crps`` at the value itself in display units (chains: the Brier score);
    ``mean`` and ``sd`` of the law in the series' own units; ``kurtosis`` is 3 for a Gaussian.
    """

    bhattacharyya: np.ndarray
    kl: np.ndarray
    total_variation: np.ndarray
    nll: np.ndarray
    absolute_deviation: np.ndarray
    squared_deviation: np.ndarray
    crps: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    kurtosis: np.ndarray


class Target(NamedTuple):
    """What a batch of laws is held against: ``mass [seed, time, bin]`` and ``mean`` of the truth, the ``codes`` that
    were written, the ``observed`` values and the ``edges [seed, bin+1]`` of the grids."""

    mass: np.ndarray
    mean: np.ndarray
    codes: np.ndarray
    observed: np.ndarray
    edges: np.ndarray


def score(log_mass: np.ndarray, target: Target, *, symbolic: bool) -> Scores:
    """Scores of the laws ``[seed, time, bin]`` of one predictor."""
    with jax.enable_x64(True):
        rows = _score(symbolic, jnp.asarray(log_mass, jnp.float64), *(jnp.asarray(a) for a in target))
        return Scores(*(np.asarray(row) for row in rows))


def spread_out(laws: np.ndarray, contexts: np.ndarray, steps: int) -> np.ndarray:
    """Laws at a few contexts ``[.., checkpoint, window, bin]`` as rows of all items ``[.., time, bin]``, else NaN."""
    full = np.full((*laws.shape[:-3], steps, laws.shape[-1]), np.nan)
    for k, context in enumerate(contexts):
        full[..., context : context + laws.shape[-2], :] = laws[..., k, :, :]
    return full


@functools.partial(jax.jit, static_argnums=0)
def _score(
    symbolic: bool,
    log_mass: jax.Array,
    truth: jax.Array,
    true_mean: jax.Array,
    codes: jax.Array,
    observed: jax.Array,
    edges: jax.Array,
) -> tuple[jax.Array, ...]:
    def one(edges: jax.Array, *rows: jax.Array) -> tuple[jax.Array, ...]:
        return jax.vmap(functools.partial(_row, symbolic, edges))(*rows)

    return jax.vmap(one)(edges, log_mass, truth, true_mean, codes, observed)


def _row(
    symbolic: bool,
    edges: jax.Array,
    law: jax.Array,
    truth: jax.Array,
    true_mean: jax.Array,
    code: jax.Array,
    observed: jax.Array,
) -> tuple[jax.Array, ...]:
    width = (edges[-1] - edges[0]) / 10
    moments = analyses.moments(law, edges)
    return (
        analyses.bhattacharyya_distance(law, truth),
        analyses.kl_divergence(law, truth),
        analyses.total_variation(law, truth),
        -law[code],
        analyses.absolute_deviation(moments.mean, true_mean) / width,
        analyses.squared_deviation(moments.mean, true_mean) / width**2,
        analyses.brier_score(law, code) if symbolic else analyses.crps(law, edges, observed) / width,
        moments.mean,
        jnp.sqrt(moments.variance),
        moments.kurtosis,
    )
