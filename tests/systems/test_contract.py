"""The contract of every entry of ``SYSTEMS``: samples obey the stated law, and the law is one.

Statistical tests use 256 paths, each with parameters of its own, and the probability-integral transform
u = F(x' | x), randomised inside the jumps for symbols: u is uniform, given x and given the past u.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

# Some fifty tests: one false alarm in twenty choices of the keys.
SIGNIFICANCE = 0.001


def counts_per_cell(x, u, cells=8):
    """Table of u's cells within groups of equal size in x; groups emptied by ties are left out."""
    group = np.searchsorted(np.quantile(x, np.linspace(0, 1, cells + 1)[1:-1]), x)
    cell = np.minimum((u * cells).astype(int), cells - 1)
    table = np.zeros((cells, cells))
    np.add.at(table, (group, cell), 1)
    return table[table.sum(axis=1) > 0]


def uniformity_p_value(table):
    """Chi-square test that every row of counts is uniform."""
    expected = table.sum(axis=1, keepdims=True) / table.shape[1]
    statistic = ((table - expected) ** 2 / expected).sum()
    return stats.chi2.sf(statistic, table.shape[0] * (table.shape[1] - 1))


def test_samples_obey_the_stated_law(entry):
    if entry.deterministic:
        states, following = entry.paths.states[:, :8], entry.paths.observed[:, 1:9]
        slack = 1e-4 * float(jnp.abs(following).max())

        @entry.jit
        @jax.vmap
        def law(system, states, x):
            around = jnp.stack([x - slack, x + slack], axis=-1)
            return jax.vmap(lambda s, edges: jax.vmap(lambda edge: system.transition_cdf(s, edge))(edges))(
                states, around
            )

        cdf = law(entry.batch, states, following)
        np.testing.assert_array_equal(cdf[..., 0], 0)
        np.testing.assert_array_equal(cdf[..., 1], 1)
        return
    u, states, resolved = entry.uniforms
    assert resolved.mean() > 0.9
    assert stats.kstest(u[resolved], "uniform").pvalue > SIGNIFICANCE
    assert uniformity_p_value(counts_per_cell(states[resolved], u[resolved])) > SIGNIFICANCE


def test_innovations_are_independent_in_time(entry):
    if entry.deterministic:
        pytest.skip("a deterministic system has no innovations")
    u, _, resolved = entry.uniforms
    kept = resolved[:, :-1]
    assert uniformity_p_value(counts_per_cell(u[:, :-1][kept], u[:, 1:][kept])) > SIGNIFICANCE


def test_law_is_a_law_with_the_stated_moments(entry):
    system = entry.system
    at = np.asarray(entry.paths.states[0, [0, 1, 9]])
    with jax.enable_x64(True):
        if entry.symbolic:
            rows = np.asarray(jax.vmap(system.transition_row)(jnp.asarray(at)))
            assert rows.shape == (3, system.num_symbols)
            assert (rows >= 0).all()
            np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
            return

        @entry.jit
        @jax.vmap
        def law(state):
            mean, sd = system.transition_mean(state), system.transition_sd(state)
            half_width = jnp.maximum(12 * sd, 1.0)
            x = mean + half_width * jnp.linspace(-1.0, 1.0, 8001)
            return x, jax.vmap(lambda q: system.transition_cdf(state, q))(x), mean, sd, half_width

        laws = map(np.asarray, law(jnp.asarray(at, jnp.float64)))
    for x, f, mean, sd, half_width in zip(*laws, strict=True):
        assert (np.diff(f) >= -1e-12).all()
        np.testing.assert_allclose(f[[0, -1]], [0, 1], atol=1e-9)
        np.testing.assert_allclose(x[-1] - np.trapezoid(f, x), mean, atol=1e-3 * half_width)
        upper_minus_lower = np.where(x > mean, 2 * (x - mean) * (1 - f), 2 * (mean - x) * f)
        variance = np.trapezoid(upper_minus_lower, x)
        assert math.sqrt(variance) == pytest.approx(sd, rel=2e-3, abs=1e-3 if system.deterministic else 0)


def test_seen_components_of_the_state_are_past_observations(entry):
    """...as many as the system says, and no others."""
    states = np.asarray(entry.paths.states)
    np.testing.assert_array_equal(entry.paths.observed, states[..., 0])
    if entry.symbolic:
        return
    past = [bool((states[:, k:, k] == states[:, : states.shape[1] - k, 0]).all()) for k in range(states.shape[-1])]
    assert past == [k < entry.system.seen for k in range(states.shape[-1])]
