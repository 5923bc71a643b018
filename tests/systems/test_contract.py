"""The contract of every entry of ``SYSTEMS``: samples obey the stated law, and sampling is pure and jittable.

Statistical tests use 256 paths, each with parameters of its own, and the probability-integral transform
u = F(x' | x), randomised inside the jumps for symbols: u is uniform, given x and given the past u.
"""

import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from systems import SYSTEMS, ContinuousSystem, SymbolicSystem, describe

SEEDS, STEPS = 256, 65
SIGNIFICANCE = 0.005
# Compilation is most of this file's time; unoptimised code compiles in two thirds of it and runs fast enough.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
# Where float32 can still resolve the law; the condition looks at the past only, so it does not tilt the law.
RESOLVED = {"noisy_logistic_map": lambda x: np.abs(x) <= 1}

every_system = pytest.mark.parametrize("name", SYSTEMS)


@functools.cache
def world(name):
    return SYSTEMS[name](jax.random.key(7))


@functools.cache
def worlds(name):
    """A batch of systems with different parameters: random ones drawn anew, fixed ones scaled by 0.9 .. 1."""
    batch = jit(jax.vmap(SYSTEMS[name]))(jax.random.split(jax.random.key(7), SEEDS))
    if isinstance(world(name), SymbolicSystem):
        return batch
    scale = jnp.linspace(0.9, 1.0, SEEDS)
    return jax.tree.map(lambda leaf: (leaf.T * scale).T.astype(leaf.dtype), batch)


@functools.cache
def sampler(name):
    """The jitted, vmapped sampler, and the list that grows by one whenever it is traced."""
    traces = []

    @jit
    @jax.vmap
    def sample(system, key):
        traces.append(name)
        return system.sample(key, STEPS)

    return sample, traces


def keys(seed):
    return jax.random.split(jax.random.key(seed), SEEDS)


@functools.cache
def paths(name):
    return sampler(name)[0](worlds(name), keys(11))


@functools.cache
def uniforms(name):
    """u [seed, time - 1] and the states they are conditioned on [seed, time - 1]."""
    states, observed = paths(name).states[:, :-1], paths(name).observed[:, 1:]
    if isinstance(world(name), SymbolicSystem):
        rows = jit(jax.vmap(lambda system, s: jax.vmap(system.transition_row)(s)))(worlds(name), states)
        upper = np.cumsum(np.asarray(rows, np.float64), axis=-1)
        at = np.asarray(observed)[..., None]
        mass = np.take_along_axis(np.asarray(rows, np.float64), at, -1)[..., 0]
        inside = np.random.default_rng(0).uniform(size=mass.shape)
        u = np.take_along_axis(upper, at, -1)[..., 0] - mass * inside
    else:
        law = jit(jax.vmap(lambda system, s, x: jax.vmap(system.transition_cdf)(s, x)))
        u = np.asarray(law(worlds(name), states, observed), np.float64)
    return u, np.asarray(states[..., 0])


def is_deterministic(name):
    return isinstance(world(name), ContinuousSystem) and world(name).deterministic


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


@every_system
def test_samples_obey_the_stated_law(name):
    if is_deterministic(name):
        states, following = paths(name).states[:, :8], paths(name).observed[:, 1:9]
        slack = 1e-4 * float(jnp.abs(following).max())

        @jit
        @jax.vmap
        def law(system, states, x):
            around = jnp.stack([x - slack, x + slack], axis=-1)
            return jax.vmap(lambda s, edges: jax.vmap(lambda edge: system.transition_cdf(s, edge))(edges))(
                states, around
            )

        cdf = law(worlds(name), states, following)
        np.testing.assert_array_equal(cdf[..., 0], 0)
        np.testing.assert_array_equal(cdf[..., 1], 1)
        return
    u, states = uniforms(name)
    kept = RESOLVED.get(name, np.isfinite)(states)
    assert kept.mean() > 0.9
    assert stats.kstest(u[kept], "uniform").pvalue > SIGNIFICANCE
    assert uniformity_p_value(counts_per_cell(states[kept], u[kept])) > SIGNIFICANCE


@every_system
def test_innovations_are_independent_in_time(name):
    if is_deterministic(name):
        pytest.skip("a deterministic system has no innovations")
    u, states = uniforms(name)
    kept = RESOLVED.get(name, np.isfinite)(states)[:, :-1]
    assert uniformity_p_value(counts_per_cell(u[:, :-1][kept], u[:, 1:][kept])) > SIGNIFICANCE


@every_system
def test_law_is_a_law_with_the_stated_moments(name):
    system, trajectory = world(name), paths(name)
    at = np.asarray(trajectory.states[0, [0, 1, 9]])
    with jax.enable_x64(True):
        if isinstance(system, SymbolicSystem):
            rows = np.asarray(jax.vmap(system.transition_row)(jnp.asarray(at)))
            assert rows.shape == (3, system.num_symbols)
            assert (rows >= 0).all()
            np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
            return
        states = jnp.asarray(at, jnp.float64)
        moments = jit(jax.vmap(lambda s: (system.transition_mean(s), system.transition_sd(s))))(states)
        means, sds = (np.asarray(moment) for moment in moments)
        half_widths = np.maximum(12 * sds, 1.0)
        grids = means[:, None] + half_widths[:, None] * np.linspace(-1, 1, 8001)
        cdf = np.asarray(jit(jax.vmap(lambda s, x: jax.vmap(lambda q: system.transition_cdf(s, q))(x)))(states, grids))
    for x, f, mean, sd, half_width in zip(grids, cdf, means, sds, half_widths, strict=True):
        assert (np.diff(f) >= -1e-12).all()
        np.testing.assert_allclose(f[[0, -1]], [0, 1], atol=1e-9)
        np.testing.assert_allclose(x[-1] - np.trapezoid(f, x), mean, atol=1e-3 * half_width)
        upper_minus_lower = np.where(x > mean, 2 * (x - mean) * (1 - f), 2 * (mean - x) * f)
        variance = np.trapezoid(upper_minus_lower, x)
        assert math.sqrt(variance) == pytest.approx(sd, rel=2e-3, abs=1e-3 if system.deterministic else 0)


@every_system
def test_shapes_times_and_finiteness(name):
    trajectory = paths(name)
    assert trajectory.times.shape == trajectory.observed.shape == (SEEDS, STEPS)
    assert trajectory.states.shape[:2] == (SEEDS, STEPS)
    np.testing.assert_array_equal(trajectory.observed, trajectory.states[..., 0])
    spacing = np.diff(np.asarray(trajectory.times, np.float64), axis=1)
    assert (spacing > 0).all()
    np.testing.assert_allclose(spacing, spacing[:, :1].repeat(STEPS - 1, axis=1), rtol=1e-3)
    # Eight steps: a path that leaves its domain, as the noisy map's may, cannot overflow sooner.
    assert np.isfinite(trajectory.states[:, :8]).all()


@every_system
def test_one_trace_same_key_same_path_other_key_other_path(name):
    sample, traces = sampler(name)
    first = paths(name)
    again, other = sample(worlds(name), keys(11)), sample(worlds(name), keys(12))
    assert len(traces) == 1
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    differs = (np.asarray(first.observed) != np.asarray(other.observed)).any(axis=1)
    assert differs.mean() > 0.95


@every_system
def test_vmap_over_parameters_and_keys_is_the_loop(name):
    single = jit(lambda system, key: system.sample(key, STEPS))
    for i in (0, SEEDS // 2, SEEDS - 1):
        system = jax.tree.map(lambda leaf, i=i: leaf[i], worlds(name))
        looped = single(system, keys(11)[i])
        # Chaos multiplies rounding differences: twelve steps stay comparable.
        for a, b in zip(looped, paths(name), strict=True):
            np.testing.assert_allclose(a[:12], b[i, :12], rtol=1e-3, atol=1e-4)


@every_system
def test_both_precisions(name):
    def abstract(key):
        system = SYSTEMS[name](key)
        trajectory = system.sample(key, 3)
        if isinstance(system, SymbolicSystem):
            return trajectory, system.transition_row(trajectory.states[0])
        state = trajectory.states[0]
        law = (system.transition_cdf(state, 0.3), system.transition_mean(state), system.transition_sd(state))
        return trajectory, law

    number = jnp.int32 if isinstance(world(name), SymbolicSystem) else jnp.float32
    assert paths(name).states.dtype == paths(name).observed.dtype == number
    assert paths(name).times.dtype == jnp.float32
    with jax.enable_x64(True):
        trajectory, law = jax.eval_shape(abstract, jax.random.key(0))
    number = jnp.int32 if isinstance(world(name), SymbolicSystem) else jnp.float64
    assert trajectory.states.dtype == trajectory.observed.dtype == number
    assert trajectory.times.dtype == jnp.float64
    assert {leaf.dtype for leaf in jax.tree.leaves(law)} == {jnp.dtype(jnp.float64)}


@pytest.mark.slow
@every_system
def test_sampling_in_float64(name):
    with jax.enable_x64(True):
        trajectory = jit(lambda key: SYSTEMS[name](key).sample(key, 3))(jax.random.key(0))
        assert np.isfinite(trajectory.states).all()
        assert trajectory.times.dtype == jnp.float64


@every_system
def test_shortest_path_and_refusal(name):
    assert jax.eval_shape(lambda key: world(name).sample(key, 1), jax.random.key(0)).observed.shape == (1,)
    with pytest.raises(ValueError, match=r"Got num_steps=0\. Expected at least 1"):
        world(name).sample(jax.random.key(0), 0)


@every_system
def test_description_is_json(name):
    description = describe(world(name))
    assert json.loads(json.dumps(description)) == description
    assert description["system"] == type(world(name)).__name__
