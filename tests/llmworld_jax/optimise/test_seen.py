"""What a loss sees does not depend on padding, and its gradients are those of finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs
from llmworld_jax.errors import InputError
from llmworld_jax.models import edits
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import embed
from llmworld_jax.optimise.seen import Reader, WalkTask, placed, scores, seen_walk, slopes_of_tokens
from systems.lattices import grid, path
from systems.walks import random_walk

READER = Reader(window=20, contexts=(12, 30), last=25, filler=(17,))
ADJACENCY = jnp.asarray(grid(2, 3).adjacency, jnp.float32)
IDS = jnp.array([3, 9, 4, 7, 21, 30])


def task(length=30, adjacency=ADJACENCY, ids=IDS, seed=0):
    nodes = random_walk(jax.random.key(seed), adjacency, length)
    return WalkTask(nodes, ids, adjacency, jnp.ones(len(ids), bool))


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


@pytest.fixture(scope="module")
def prompt(model):
    return embed(model, jnp.array([11, 12, 13, 14, 15]))


def test_rows_beyond_the_length_are_never_looked_at(model, prompt):
    read = jax.jit(lambda rows, length: seen_walk(model, rows, length, task(), READER))
    short = read(prompt[:2], 2)
    for rest in (prompt, prompt.at[2:].set(1e3)):
        padded = read(rest, jnp.asarray(2))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), padded, short)


def test_seen_is_what_a_plain_pass_gives(model, prompt):
    seen, one = seen_walk(model, prompt, 5, task(), READER), task()
    inputs = jnp.concatenate((prompt, embed(model, IDS[one.nodes])))
    read = forward(model, inputs, taps=("resid_post",))
    np.testing.assert_allclose(seen.hidden, read.hidden[-25:], atol=2e-5)
    whole = jax.nn.log_softmax(scores(model, seen))
    np.testing.assert_allclose(seen.laws.log_probability, whole[:, IDS], atol=2e-5)
    rows = np.asarray(read.taps["resid_post"][1, 5 + 10 : 5 + 30])
    sized = rows / np.sqrt((rows**2).mean(axis=1, keepdims=True))
    mean = np.stack([sized[np.asarray(one.nodes[10:]) == k].mean(axis=0) for k in range(6)])
    np.testing.assert_allclose(seen.activations.means[2, 1], mean, atol=2e-4)


def test_no_prompt_is_the_walk_alone(model, prompt):
    read = forward(model, IDS[task().nodes])
    np.testing.assert_allclose(seen_walk(model, prompt, 0, task(), READER).hidden, read.hidden[-25:], atol=2e-5)


@pytest.mark.once
def test_vmap_over_lengths_and_graphs_is_a_loop(model, prompt):
    smaller = jnp.zeros((6, 6)).at[:4, :4].set(jnp.asarray(path(4).adjacency, jnp.float32))
    first, second = task(), task(adjacency=ADJACENCY, seed=3)
    second = WalkTask(second.nodes % 4, IDS, smaller, jnp.arange(6) < 4)
    tasks = jax.tree.map(lambda a, b: jnp.stack((a, b)), first, second)
    read = jax.vmap(lambda length, one: seen_walk(model, prompt, length, one, READER))
    many = jax.jit(read)(jnp.array([2, 5]), tasks)
    for k, (length, one) in enumerate(((2, first), (5, second))):
        alone = seen_walk(model, prompt, length, one, READER)
        jax.tree.map(lambda a, b, k=k: np.testing.assert_allclose(a[k], b, atol=3e-4), many, alone)


def test_blocks_stop_the_pass_and_change_nothing_before(model, prompt):
    short = READER._replace(blocks=1, laws=False, filler=())
    found = seen_walk(model, prompt, 5, task(), short)
    whole = seen_walk(model, prompt, 5, task(), READER)
    assert found.laws is None
    np.testing.assert_allclose(found.sums.sums, whole.sums.sums[:2], atol=2e-4)
    with pytest.raises(InputError, match="blocks 9"):
        seen_walk(model, prompt, 5, task(), short._replace(blocks=9))


def energy(seen):
    return graphs.dirichlet_ratio(seen.activations.means[-1, -1], ADJACENCY)


def said(seen):
    return -jnp.mean(seen.laws.log_probability)


def probed(seen):
    return graphs.dirichlet_ratio(seen.probed[-1], ADJACENCY)


LOSSES = (energy, said, probed)


def central(function, x, direction, step=1e-5):
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


@pytest.mark.once
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("remat", [False, True])
def test_gradient_in_the_prompt_is_that_of_finite_differences(tiny_llama, loss, remat):
    with jax.enable_x64(True):
        model = tiny_llama(dtype=jnp.float64)
        vectors = embed(model, jnp.array([11, 12, 13]))
        reader = READER._replace(remat=remat)

        @jax.jit
        def value(rows):
            return loss(seen_walk(model, rows, 3, task(), reader))

        direction = jax.random.normal(jax.random.key(1), vectors.shape, jnp.float64)
        slope = jnp.sum(jax.grad(value)(vectors) * direction)
        np.testing.assert_allclose(slope, central(value, vectors, direction), rtol=1e-6, atol=1e-9)


@pytest.mark.once
@pytest.mark.parametrize("loss", LOSSES[:2])
def test_gradient_in_a_steering_vector_is_that_of_finite_differences(tiny_llama, loss):
    with jax.enable_x64(True):
        model = tiny_llama(dtype=jnp.float64)
        none = jnp.zeros((1, 32))

        @jax.jit
        def value(vector):
            return loss(seen_walk(model, none, 0, task(), READER, (edits.add("resid_post", 0, vector),)))

        vector, direction = jax.random.normal(jax.random.key(2), (2, 32), jnp.float64)
        slope = jnp.sum(jax.grad(value)(vector) * direction)
        np.testing.assert_allclose(slope, central(value, vector, direction), rtol=1e-6, atol=1e-9)


def test_slopes_of_tokens_are_those_of_their_one_hot_rows(tiny_llama):
    with jax.enable_x64(True):
        model = tiny_llama(dtype=jnp.float64)

        def value(rows):
            return energy(seen_walk(model, rows, 2, task(), READER))

        one_hot = jax.nn.one_hot(jnp.array([11, 12]), 40, dtype=jnp.float64)
        slopes = jax.jit(jax.grad(value))(one_hot @ model.embed[...])
        whole = jax.jit(jax.grad(lambda rows: value(rows @ model.embed[...])))(one_hot)
        np.testing.assert_allclose(slopes_of_tokens(model, slopes), whole, atol=1e-10)


def test_placed_rows():
    rows, sequence = jnp.arange(3.0)[:, None], 10 + jnp.arange(4.0)[:, None]
    np.testing.assert_array_equal(placed(rows, jnp.asarray(2), sequence)[:6, 0], [0, 1, 10, 11, 12, 13])
