"""How far the model's laws are from the truth, item by item, with the resolution floor and the nulls beside them.

Everything here runs in float64 (``jax.enable_x64``), whatever the model ran in.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses
from systems import ContinuousSystem, SymbolicSystem, Trajectory

from ..numerals import Numerals

FLOOR_NODES = 32
HISTOGRAM_SMOOTHING = 0.05


class Scores(NamedTuple):
    """One predictor against the true transition law; ``[time]``, NaN where item t was not predicted.

    ``bhattacharyya``, ``kl`` (truth from model), ``nll`` (of the written number) in nats;
    ``total_variation`` in [0, 1]; ``absolute_deviation`` of the means in display units (the grid spans 10),
    ``squared_deviation`` in their square; ``mean`` and ``sd`` of the law in the series' own units.
    """

    bhattacharyya: np.ndarray
    kl: np.ndarray
    total_variation: np.ndarray
    nll: np.ndarray
    absolute_deviation: np.ndarray
    squared_deviation: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


class Truth(NamedTuple):
    """The law of item t given the full-precision state before it, and what reading digits costs at best.

    ``mass [time, bin]`` is renormalised over the grid, ``outside [time]`` what lay beyond it. The floors are the
    losses of an observer who knows the system but sees the previous value only as it is written: Bhattacharyya
    distance in nats, deviation of the mean in display units. Row 0 is NaN: nothing precedes it.
    """

    mass: np.ndarray
    outside: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    bhattacharyya_floor: np.ndarray
    deviation_floor: np.ndarray


def truth_of(system: ContinuousSystem | SymbolicSystem, path: Trajectory, numerals: Numerals) -> Truth:
    """True law of every item on the numeral grid."""
    with jax.enable_x64(True):
        edges = jnp.asarray(numerals.edges())
        states = jnp.asarray(path.states)[:-1]
        law = _number_truth if isinstance(system, ContinuousSystem) else _symbol_truth
        rows = law(system, states, edges)
        return Truth(*(_after_first(np.asarray(row)) for row in rows))


def score(log_mass: np.ndarray, truth: Truth, codes: np.ndarray, numerals: Numerals) -> Scores:
    """Scores of laws ``[time, bin]`` against the truth and against the numbers that were written."""
    with jax.enable_x64(True):
        rows = _score(
            jnp.asarray(log_mass, jnp.float64),
            jnp.asarray(truth.mass),
            jnp.asarray(truth.mean),
            jnp.asarray(codes),
            jnp.asarray(numerals.edges()),
        )
        return Scores(*(np.asarray(row) for row in rows))


def nulls_of(codes: np.ndarray, numerals: Numerals, *, symbolic: bool) -> dict[str, np.ndarray]:
    """Log masses ``[time, bin]`` of predictors that know no physics; they see the same digits as the model."""
    with jax.enable_x64(True):
        symbols = jnp.asarray(codes)
        if symbolic:
            names, found = ("unigram", "bigram"), _symbol_nulls(symbols, numerals.num_bins)
        else:
            values, edges = jnp.asarray(numerals.decode(codes)), jnp.asarray(numerals.edges())
            names, found = ("histogram", "AR(1)"), _number_nulls(symbols, values, edges)
        return {name: np.asarray(law) for name, law in zip(names, found, strict=True)}


def _after_first(rows: np.ndarray) -> np.ndarray:
    return np.concatenate((np.full((1, *rows.shape[1:]), np.nan), rows))


@functools.partial(jax.jit, static_argnums=1)
def _symbol_nulls(symbols: jax.Array, bins: int) -> tuple[jax.Array, jax.Array]:
    return analyses.unigram(symbols, bins), analyses.bigram(symbols, bins)


@jax.jit
def _number_nulls(symbols: jax.Array, values: jax.Array, edges: jax.Array) -> tuple[jax.Array, jax.Array]:
    histogram = analyses.unigram(symbols, edges.shape[0] - 1, smoothing=HISTOGRAM_SMOOTHING)
    return histogram, analyses.autoregression(values, edges)


@jax.jit
def _number_truth(system: ContinuousSystem, states: jax.Array, edges: jax.Array) -> tuple[jax.Array, ...]:
    width = (edges[-1] - edges[0]) / 10

    def masses(state):
        if system.deterministic:
            return analyses.point_mass(system.transition_mean(state), edges)
        return analyses.bin_masses(functools.partial(system.transition_cdf, state), edges)

    def row(state):
        law = masses(state)
        seen = state[0]
        floor = analyses.bhattacharyya_floor(
            lambda x: masses(state.at[0].set(x)).mass, seen, edges, num_nodes=FLOOR_NODES
        )
        shift = analyses.deviation_floor(
            lambda x: system.transition_mean(state.at[0].set(x)), seen, edges, num_nodes=FLOOR_NODES
        )
        mean, sd = system.transition_mean(state), system.transition_sd(state)
        return law.mass, law.outside, mean, sd, floor, shift / width

    return jax.lax.map(row, states, batch_size=64)


@jax.jit
def _symbol_truth(system: SymbolicSystem, states: jax.Array, edges: jax.Array) -> tuple[jax.Array, ...]:
    centres = (edges[1:] + edges[:-1]) / 2

    def row(state):
        mass = system.transition_row(state)
        mean = mass @ centres
        sd = jnp.sqrt(mass @ (centres - mean) ** 2)
        none = jnp.zeros(())
        return mass, none, mean, sd, none, none

    return jax.vmap(row)(states)


@jax.jit
def _score(
    log_mass: jax.Array, truth: jax.Array, true_mean: jax.Array, codes: jax.Array, edges: jax.Array
) -> tuple[jax.Array, ...]:
    width = (edges[-1] - edges[0]) / 10

    def row(law, truth, true_mean, code):
        moments = analyses.moments(law, edges)
        return (
            analyses.bhattacharyya_distance(law, truth),
            analyses.kl_divergence(law, truth),
            analyses.total_variation(law, truth),
            -law[code],
            analyses.absolute_deviation(moments.mean, true_mean) / width,
            analyses.squared_deviation(moments.mean, true_mean) / width**2,
            moments.mean,
            jnp.sqrt(moments.variance),
        )

    return jax.vmap(row)(log_mass, truth, true_mean, codes)
