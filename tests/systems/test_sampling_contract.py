"""The contract of every entry of ``SYSTEMS``: sampling is pure, batched by vmap, compiled once, in both precisions."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems import describe


def test_shapes_times_and_finiteness(entry):
    trajectory = entry.paths
    seeds, steps = trajectory.observed.shape
    assert trajectory.times.shape == (seeds, steps)
    assert trajectory.states.shape[:2] == (seeds, steps)
    spacing = np.diff(np.asarray(trajectory.times, np.float64), axis=1)
    assert (spacing > 0).all()
    np.testing.assert_allclose(spacing, spacing[:, :1].repeat(steps - 1, axis=1), rtol=1e-3)
    # Eight steps: a path that leaves its domain, as the noisy map's may, cannot overflow sooner.
    assert np.isfinite(trajectory.states[:, :8]).all()


def test_another_key_needs_no_new_trace_and_gives_another_path(entry):
    first = entry.paths
    again = entry.sample(entry.batch, entry.keys(11))  # may trace: caches are cleared between modules
    traced = len(entry.traces)
    other = entry.sample(entry.batch, entry.keys(12))
    assert len(entry.traces) == traced >= 1
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    differs = (np.asarray(first.observed) != np.asarray(other.observed)).any(axis=1)
    assert differs.mean() > 0.95


def test_vmap_over_parameters_and_keys_is_the_loop(entry):
    seeds, steps = entry.paths.observed.shape
    single = entry.jit(lambda system, key: system.sample(key, steps))
    for i in (0, seeds // 2, seeds - 1):
        system = jax.tree.map(lambda leaf, i=i: leaf[i], entry.batch)
        looped = single(system, entry.keys(11)[i])
        # Chaos multiplies rounding differences: twelve steps stay comparable.
        for a, b in zip(looped, entry.paths, strict=True):
            np.testing.assert_allclose(a[:12], b[i, :12], rtol=1e-3, atol=1e-4)


def abstract(entry, dtype=None):
    """The types of three steps and of the law given their state, without compiling."""

    def both(key):
        system = entry.make(key)
        trajectory = system.sample(key, 3, dtype=dtype)
        if entry.symbolic:
            return trajectory, system.transition_row(trajectory.states[0])
        state = trajectory.states[0]
        law = (system.transition_cdf(state, 0.3), system.transition_mean(state), system.transition_sd(state))
        return trajectory, law

    trajectory, law = jax.eval_shape(both, jax.random.key(0))
    assert trajectory.states.dtype == trajectory.observed.dtype
    return trajectory.observed.dtype, trajectory.times.dtype, {leaf.dtype for leaf in jax.tree.leaves(law)}


def test_both_precisions_and_float32_where_float64_is_enabled(entry):
    def numbers(dtype):
        return jnp.dtype(jnp.int32) if entry.symbolic else jnp.dtype(dtype)

    assert entry.paths.observed.dtype == numbers(jnp.float32)
    assert entry.paths.times.dtype == jnp.float32
    with jax.enable_x64(True):
        wide, narrow = abstract(entry), abstract(entry, jnp.float32)
    assert wide == (numbers(jnp.float64), jnp.float64, {jnp.dtype(jnp.float64)})
    # The rows of a chain are parameters: they keep the precision they were drawn in.
    assert narrow == (numbers(jnp.float32), jnp.float32, {jnp.dtype(jnp.float64 if entry.symbolic else jnp.float32)})


@pytest.mark.slow
def test_float32_paths_are_the_same_where_float64_is_enabled(entry):
    steps = entry.paths.observed.shape[1]
    with jax.enable_x64(True):
        last = jax.tree.map(lambda leaf: leaf[-1], entry.batch)
        inside = entry.jit(lambda key: last.sample(key, steps, dtype="float32"))(entry.keys(11)[-1])
    for a, b in zip(entry.paths, inside, strict=True):
        assert a.dtype == b.dtype
        # Chaos multiplies rounding differences: eight steps stay comparable.
        np.testing.assert_allclose(a[-1, :8], b[:8], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_sampling_in_float64(entry):
    with jax.enable_x64(True):
        trajectory = entry.jit(lambda key: entry.make(key).sample(key, 3))(jax.random.key(0))
        assert np.isfinite(trajectory.states).all()
        assert trajectory.times.dtype == jnp.float64


def test_shortest_path_and_refusals(entry):
    assert jax.eval_shape(lambda key: entry.system.sample(key, 1), jax.random.key(0)).observed.shape == (1,)
    with pytest.raises(ValueError, match=r"Got num_steps=0\. Expected at least 1"):
        entry.system.sample(jax.random.key(0), 0)
    for dtype in ("float64", "int32", "float16"):
        with pytest.raises(ValueError, match=rf"Got dtype={dtype}\. Expected float32, or float64 where x64"):
            entry.system.sample(jax.random.key(0), 3, dtype=dtype)


def test_description_is_json(entry):
    description = describe(entry.system)
    assert json.loads(json.dumps(description)) == description
    assert description["system"] == type(entry.system).__name__
