"""The observer of a uniform law against a sum over its unknown ends, its calibration, and its irregular rate."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from analyses.uniform_interval import uniform_interval_predictive

EDGES = np.linspace(-1.0, 3.0, 9)
observe = jax.jit(uniform_interval_predictive, static_argnames="num_ends")


def ends(edges, num):
    """The list of ends under the prior."""
    split = edges[(len(edges) - 1) // 2]
    steps = np.arange(num) / num
    return edges[0] + (split - edges[0]) * steps, edges[-1] - (edges[-1] - split) * steps


@pytest.mark.parametrize("edges", [EDGES, np.array([0.0, 1.0, 3.0, 3.5])])
def test_it_is_the_sum_over_both_ends(edges):
    num_bins = len(edges) - 1
    codes = np.array([num_bins // 2, 1, num_bins - 2, 1, num_bins - 1, 0])
    low, high = (a.ravel() for a in np.meshgrid(*ends(edges, 6)))
    overlap = np.minimum(edges[1:], high[:, None]) - np.maximum(edges[:-1], low[:, None])
    law = np.maximum(overlap, 0) / (high - low)[:, None]
    with jax.enable_x64(True):
        got = np.exp(observe(jnp.asarray(codes), jnp.asarray(edges), num_ends=6))
    weight = np.ones(36)
    for t, code in enumerate(codes):
        np.testing.assert_allclose(got[t], weight @ law / weight.sum(), rtol=1e-10)
        weight = weight * law[:, code]


def sample(rng, num, time, edges, low, high):
    x = low[:, None] + (high - low)[:, None] * rng.uniform(size=(num, time))
    return np.searchsorted(edges, x, side="right") - 1


def test_an_observer_of_its_own_prior_is_calibrated():
    rng, num, time = np.random.default_rng(0), 400, 12
    low, high = (rng.choice(side, num) for side in ends(EDGES, 16))
    codes = sample(rng, num, time, EDGES, low, high)
    mass = np.exp(jax.vmap(partial(observe, edges=jnp.asarray(EDGES, jnp.float32), num_ends=16))(jnp.asarray(codes)))
    own = np.take_along_axis(mass, codes[..., None], axis=2)[..., 0]
    below = np.take_along_axis(np.cumsum(mass, axis=2) - mass, codes[..., None], axis=2)[..., 0]
    pit = below + rng.uniform(size=own.shape) * own
    assert stats.kstest(pit.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(pit[:, -1], "uniform").pvalue > 1e-3
    wide = (codes + rng.uniform(size=own.shape)) / 8  # who thinks the interval is the whole grid
    assert stats.kstest(wide.ravel(), "uniform").pvalue < 1e-6


@pytest.mark.slow
def test_an_end_costs_a_whole_logarithm():
    """No regularity, no ½: the posterior of an end is as wide as 1/T, so two ends cost 2 ln T nats."""
    rng, num, time, edges = np.random.default_rng(1), 120, 161, np.linspace(0.0, 1.0, 1001)
    codes = sample(rng, num, time, edges, np.full(num, 0.2503), np.full(num, 0.7507))
    run = jax.jit(
        lambda rows: jax.lax.map(
            lambda c: jnp.take_along_axis(
                uniform_interval_predictive(c, jnp.asarray(edges, jnp.float32), num_ends=192), c[:, None], axis=1
            )[:, 0],
            rows,
        )
    )
    truth = -np.log(500.4)
    total = (truth - np.asarray(run(jnp.asarray(codes))))[:, 20:160].sum(axis=1)
    assert total.mean() == pytest.approx(2 * np.log(160 / 20), abs=4 * total.std() / np.sqrt(num) + 0.3)


def test_a_grid_needs_two_halves():
    for edges, num in ((jnp.array([0.0, 1.0]), 4), (jnp.linspace(0.0, 1.0, 5), 0)):
        with pytest.raises(ValueError, match=r"uniform_interval_predictive: got .*; expected .*; ?use"):
            uniform_interval_predictive(jnp.array([0]), edges, num_ends=num)
