import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.digit_tree import complete_tree, leaf_log_mass, level_sizes
from llmworld_jax.growth import grow, log_mass, unexpanded


def density(branch, states, seed, sharpness=2.0):
    """A known law: random next-digit log-probabilities at the root and at every node, padded by -inf."""
    rng = np.random.default_rng(seed)
    tree = complete_tree(branch)
    laws = [rng.normal(0.0, sharpness, (states, n, b)) for n, b in zip(level_sizes(branch), branch[1:])]
    laws = [jax.nn.log_softmax(jnp.asarray(law, jnp.float32), axis=-1) for law in laws]
    root = rng.normal(0.0, sharpness, (states, branch[0]))
    root = jax.nn.log_softmax(jnp.asarray(root, jnp.float32), axis=-1)
    complete = jax.vmap(leaf_log_mass)(root, tuple(laws))
    widest = max(branch[1:])
    pad = [jnp.pad(a, ((0, 0), (0, 0), (0, widest - a.shape[-1])), constant_values=-jnp.inf) for a in laws]
    return tree, root, jnp.concatenate(pad, axis=1), complete


def look_up(table, node, real, memory):
    """Evaluate prefixes from the table; remember how often each was asked for."""
    each = jnp.arange(node.shape[0])[:, None]
    return table[each, node], memory.at[each, node].add(real.astype(jnp.int32))


@functools.partial(jax.jit, static_argnames=("branch", "max_nodes", "batch"))
def grown(root, table, epsilon, *, branch, max_nodes, batch):
    memory = jnp.zeros(table.shape[:2], jnp.int32)
    tree = complete_tree(branch)
    evaluate = functools.partial(look_up, table)
    growth = grow(evaluate, memory, root, tree, epsilon=epsilon, max_nodes=max_nodes, batch=batch)
    return growth, log_mass(growth, root, tree), unexpanded(growth)


SHAPES = [((4, 3, 2), 5, 9), ((3, 2, 4, 2), 40, 33), ((2, 2, 2, 2), 3, 14)]  # branch, batch, max_nodes


@pytest.mark.slow
@settings(deadline=None, max_examples=30, derandomize=True)
@given(shape=st.sampled_from(SHAPES), epsilon=st.floats(0.0, 0.5, width=32), seed=st.integers(0, 100))
def test_what_is_left_unexpanded_bounds_the_error(shape, epsilon, seed):
    branch, batch, max_nodes = shape
    _, root, table, complete = density(branch, 3, seed)
    growth, mass, left = grown(root, table, epsilon, branch=branch, max_nodes=max_nodes, batch=batch)
    np.testing.assert_allclose(jnp.sum(jnp.exp(mass), axis=-1), 1.0, atol=1e-5)
    distance = 0.5 * jnp.sum(jnp.abs(jnp.exp(mass) - jnp.exp(complete)), axis=-1)
    assert jnp.all(distance <= left + 1e-5)
    assert jnp.all(growth.memory <= 1), "a prefix is evaluated once"
    np.testing.assert_array_equal(jnp.sum(growth.memory, axis=1), growth.used)
    assert jnp.all((growth.used == max_nodes) | (left <= epsilon + 1e-6)), "rounds ran out"


@pytest.mark.parametrize("shape", [((3, 2, 4, 2), 40), ((2, 2, 2, 2), 3)])
def test_with_every_prefix_nothing_is_left(shape):
    branch, batch = shape
    tree, root, table, complete = density(branch, 3, seed=0)
    growth, mass, left = grown(root, table, 0.0, branch=branch, max_nodes=tree.level.size, batch=batch)
    assert growth.used.tolist() == [tree.level.size] * 3
    assert left.tolist() == [0.0] * 3
    np.testing.assert_allclose(mass, complete, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_heaviest_known_prefixes_come_first(batch):
    branch, epsilon, max_nodes = (4, 3, 3), 0.25, 20
    _, root, table, _ = density(branch, 4, seed=1)
    growth, _, left = grown(root, table, epsilon, branch=branch, max_nodes=max_nodes, batch=batch)
    prefixes = [(a,) for a in range(4)] + [(a, b) for a in range(4) for b in range(3)]
    for state in range(4):
        known = {(a,): float(np.exp(root[state, a])) for a in range(4)}
        expanded = set()
        while sum(known.values()) > epsilon and len(expanded) < max_nodes:
            for heavy in sorted(known, key=known.__getitem__, reverse=True)[: min(batch, max_nodes)]:
                mass, row = known.pop(heavy), table[state, prefixes.index(heavy)]
                expanded.add(heavy)
                if len(heavy) == 1:
                    known |= {(*heavy, b): mass * float(np.exp(row[b])) for b in range(3)}
        asked = {prefixes[i] for i in np.flatnonzero(growth.memory[state])}
        assert asked == expanded
        np.testing.assert_allclose(left[state], sum(known.values()), atol=1e-5)


def test_rounds_that_no_state_needs_are_skipped_even_under_vmap():
    branch, batch = (3, 3, 3), 3
    tree, root, table, _ = density(branch, 6, seed=2, sharpness=4.0)
    root, table = root.reshape(2, 3, 3), table.reshape(2, 3, *table.shape[1:])
    rounds = []

    def counted(table, node, real, memory):
        jax.debug.callback(lambda: rounds.append(1))
        return look_up(table, node, real, memory)

    def run(root, table):
        memory = jnp.zeros(table.shape[:2], jnp.int32)
        return grow(functools.partial(counted, table), memory, root, tree, epsilon=0.1, max_nodes=12, batch=batch)

    needed = []
    for one, law in zip(root, table):
        rounds.clear()
        alone = jax.block_until_ready(jax.jit(run)(one, law))
        jax.effects_barrier()
        assert len(rounds) == -(-int(alone.used.max()) // batch) < 4
        needed.append(len(rounds))
    rounds.clear()
    together = jax.block_until_ready(jax.jit(jax.vmap(run))(root, table))
    jax.effects_barrier()
    assert len(rounds) in (max(needed), 2 * max(needed)), "a callback may be counted once a series"
    np.testing.assert_array_equal(together.used[1], alone.used)


def test_a_state_without_law_expands_nothing():
    branch = (3, 2)
    tree, root, table, _ = density(branch, 2, seed=0)
    root = root.at[0].set(-jnp.inf)
    growth, _, left = grown(root, table, 0.0, branch=branch, max_nodes=tree.level.size, batch=2)
    assert growth.used.tolist() == [0, 3]
    assert left.tolist() == [0.0, 0.0]
