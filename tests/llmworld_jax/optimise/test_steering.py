"""Offsets of one length, at the walk's words alone, with the gradient of finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import embed
from llmworld_jax.optimise.seen import Reader, WalkTask, seen_walk
from llmworld_jax.optimise.steering import offsets, steer
from systems.lattices import grid
from systems.walks import random_walk

ADJACENCY = jnp.asarray(grid(2, 3).adjacency, jnp.float32)
TASK = WalkTask(
    random_walk(jax.random.key(0), ADJACENCY, 20), jnp.array([3, 9, 4, 7, 21, 30]), ADJACENCY, jnp.ones(6, bool)
)
COORDINATES = jax.random.normal(jax.random.key(1), (6, 2))
DIRECTIONS = jax.random.normal(jax.random.key(2), (2, 32))


def test_offsets_have_one_length_whatever_makes_them():
    for scale in (1e-3, 1.0, 50.0):
        rows = offsets(scale * DIRECTIONS, COORDINATES, TASK.real)
        assert float(jnp.sqrt(jnp.mean(jnp.sum(rows**2, axis=1)))) == pytest.approx(1, rel=1e-5)
    assert np.linalg.matrix_rank(np.asarray(rows), tol=1e-4) == 2
    some = offsets(DIRECTIONS, COORDINATES, jnp.arange(6) < 4)
    assert float(jnp.sqrt(jnp.mean(jnp.sum(some[:4] ** 2, axis=1)))) == pytest.approx(1, rel=1e-5)


def test_only_the_walks_words_are_moved_and_by_the_dose(tiny_llama):
    model = tiny_llama()
    prompt = embed(model, jnp.array([11, 12, 13, 14]))
    edit = steer(TASK, DIRECTIONS, COORDINATES, layer=0, dose=0.5, norm=3.0, length=2, rows=4)
    inputs = jnp.concatenate((prompt[:2], embed(model, TASK.word_ids[TASK.nodes]), prompt[:2]))
    before, after = (
        np.asarray(forward(model, inputs, taps=("resid_post",), edits=e).taps["resid_post"][0]) for e in ((), (edit,))
    )
    wanted = np.zeros_like(before)
    wanted[2:22] = 1.5 * np.asarray(offsets(DIRECTIONS, COORDINATES, TASK.real))[np.asarray(TASK.nodes)]
    np.testing.assert_allclose(after - before, wanted, atol=1e-4)


def test_no_dose_is_no_change(tiny_llama):
    model, reader = tiny_llama(), Reader(window=10)
    prompt = embed(model, jnp.array([11, 12]))
    edit = steer(TASK, DIRECTIONS, COORDINATES, layer=1, dose=0.0, norm=3.0, length=2, rows=2)
    plain, steered = (seen_walk(model, prompt, 2, TASK, reader, e) for e in ((), (edit,)))
    np.testing.assert_allclose(steered.laws.log_probability, plain.laws.log_probability, atol=1e-6)


@pytest.mark.once
def test_gradient_in_the_directions_is_that_of_finite_differences(tiny_llama):
    with jax.enable_x64(True):
        model = tiny_llama(dtype=jnp.float64)
        prompt, coordinates = embed(model, jnp.array([11, 12])), COORDINATES.astype(jnp.float64)

        @jax.jit
        def value(directions):
            edit = steer(TASK, directions, coordinates, layer=0, dose=0.3, norm=2.0, length=2, rows=2)
            return jnp.mean(seen_walk(model, prompt, 2, TASK, Reader(window=10), (edit,)).laws.log_probability)

        at, way = DIRECTIONS.astype(jnp.float64), jax.random.normal(jax.random.key(3), (2, 32), jnp.float64)
        slope = (value(at + 1e-5 * way) - value(at - 1e-5 * way)) / 2e-5
        np.testing.assert_allclose(jnp.sum(jax.grad(value)(at) * way), slope, rtol=1e-6, atol=1e-10)
