"""A state that is put away and taken up again goes on as it would have; runs in a batch are runs alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from llmworld_jax.optimise.descent import adam, begin, descend


def noisy(parameters, key):
    return jnp.sum((parameters - 3 + 0.1 * jax.random.normal(key, parameters.shape)) ** 2)


OPTIMISER = adam(0.1)
step = jax.jit(functools.partial(descend, loss=noisy, optimiser=OPTIMISER))


def after(state, steps):
    losses = []
    for _ in range(steps):
        made = step(state)
        state = made.state
        losses.append(float(made.loss))
    return state, losses


def test_descends():
    state, losses = after(begin(jnp.zeros(3), OPTIMISER, jax.random.key(0)), 120)
    np.testing.assert_allclose(state.parameters, 3, atol=0.15)
    assert losses[-1] < 0.01 * losses[0]


def test_the_random_stream_belongs_to_the_step():
    start = begin(jnp.zeros(3), OPTIMISER, jax.random.key(0))
    whole, losses = after(start, 8)
    half, first = after(start, 4)
    again, second = after(half, 4)
    np.testing.assert_array_equal(again.parameters, whole.parameters)
    assert first + second == losses
    assert len(set(losses)) == 8
    other, _ = after(begin(jnp.zeros(3), OPTIMISER, jax.random.key(1)), 8)
    assert not np.array_equal(other.parameters, whole.parameters)


def test_runs_in_a_batch_are_runs_alone():
    keys = jax.random.split(jax.random.key(2), 3)
    states = jax.vmap(lambda key: begin(jnp.zeros(3), OPTIMISER, key))(keys)
    many = jax.vmap(step)(jax.vmap(step)(states).state)
    for k, key in enumerate(keys):
        alone = step(step(begin(jnp.zeros(3), OPTIMISER, key)).state)
        np.testing.assert_allclose(many.state.parameters[k], alone.state.parameters, rtol=1e-6)
        np.testing.assert_allclose(many.slope[k], alone.slope, rtol=1e-6)


def test_project_is_applied_last():
    made = descend(begin(jnp.ones(3), OPTIMISER, jax.random.key(0)), noisy, OPTIMISER, lambda p: jnp.clip(p, 0, 1.02))
    np.testing.assert_allclose(made.state.parameters, 1.02)
