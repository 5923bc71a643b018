"""Sequences of nodes obey the law that they name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems import walks
from systems.lattices import circulant, grid, star

GRID = grid(3, 3)
A = jnp.asarray(GRID.adjacency)
LONG = 6000


def key(seed=0):
    return jax.random.key(seed)


def legal(walk, adjacency=A):
    return np.asarray(adjacency[walk[:-1], walk[1:]]) > 0


def shares(walk, number=9):
    return np.bincount(np.asarray(walk), minlength=number) / len(walk)


def test_a_walk_goes_along_edges_evenly_and_visits_nodes_by_degree():
    walk = walks.random_walk(key(), A, LONG)
    assert legal(walk).all()
    stationary = GRID.degrees / GRID.degrees.sum()
    np.testing.assert_allclose(shares(walk), stationary, atol=5 * np.sqrt(0.25 / LONG) * 2)
    left = np.asarray(walk[1:])[np.asarray(walk[:-1]) == 4]  # from the middle
    np.testing.assert_allclose(np.bincount(left, minlength=9)[[1, 3, 5, 7]] / len(left), 0.25, atol=0.06)


def test_starts_are_as_asked_and_otherwise_even():
    assert int(walks.random_walk(key(), A, 5, start=7)[0]) == 7
    first = jax.vmap(lambda k: walks.random_walk(k, A, 2)[0])(jax.random.split(key(), 3000))
    np.testing.assert_allclose(shares(first), 1 / 9, atol=4 * np.sqrt(0.1 / 3000))
    np.testing.assert_array_equal(walks.walk_per_start(key(), A, 4)[:, 0], np.arange(9))


def test_restarts_break_the_path_as_often_as_said():
    walk = walks.random_walk(key(), A, LONG, restart=0.5)
    degree = GRID.degrees[np.asarray(walk[:-1])]
    expected = 0.5 * (1 - degree / 9)  # a restart may be a legal move by chance
    assert abs((~legal(walk)).mean() - expected.mean()) < 5 * np.sqrt(0.25 / LONG)


def test_pairs_are_edges_and_nothing_holds_between_them():
    pairs = np.asarray(walks.neighbour_pairs(key(), A, LONG)).reshape(-1, 2)
    edges = np.asarray(A)[pairs[:, 0], pairs[:, 1]]
    assert (edges > 0).all()
    counts = np.zeros((9, 9))
    np.add.at(counts, (pairs[:, 0], pairs[:, 1]), 1)
    np.testing.assert_allclose(counts[np.asarray(A) > 0] / len(pairs), 1 / 24, atol=0.02)
    between = np.asarray(A)[pairs[:-1, 1], pairs[1:, 0]].mean()
    stationary = GRID.degrees / GRID.degrees.sum()
    assert abs(between - stationary @ np.asarray(A) @ stationary) < 0.04
    assert walks.neighbour_pairs(key(), A, 7).shape == (7,)


def test_independent_nodes_come_as_often_as_a_walk_visits_them_and_know_nothing_of_the_last():
    nodes = walks.independent(key(), A, LONG)
    stationary = GRID.degrees / GRID.degrees.sum()
    np.testing.assert_allclose(shares(nodes), stationary, atol=0.03)
    assert abs(legal(nodes).mean() - stationary @ np.asarray(A) @ stationary) < 0.04


def test_shuffled_edges_keep_the_transitions_and_lose_the_path():
    walk = walks.random_walk(key(), A, 2001)
    shuffled = np.asarray(walks.edge_shuffled(key(1), walk))
    assert shuffled.shape == walk.shape
    pairs = shuffled[:2000].reshape(-1, 2)
    had = {tuple(p) for p in np.stack((walk[:-1], walk[1:]), axis=1).tolist()}
    assert {tuple(p) for p in pairs.tolist()} <= had
    assert legal(jnp.asarray(pairs[:-1, 1])).mean() < 0.6  # no path through the seconds
    between = np.asarray(A)[pairs[:-1, 1], pairs[1:, 0]].mean()
    assert between < 0.5


def test_a_mixture_takes_each_graph_as_often_as_said():
    first, second = (jnp.asarray(circulant(7, s).adjacency) for s in (1, 2))
    walk = walks.mixture_walk(key(), first, second, 0.3, LONG)
    by_first, by_second = legal(walk, first), legal(walk, second)
    assert (by_first ^ by_second).all()
    assert abs(by_first.mean() - 0.3) < 5 * np.sqrt(0.21 / LONG)


def test_a_balanced_walk_is_legal_and_visits_more_evenly():
    hub = jnp.asarray(star(7).adjacency)
    plain = np.bincount(walks.random_walk(key(), hub, 600), minlength=7)[1:]
    even = walks.balanced_walk(key(), hub, 600, strength=2.0)
    assert legal(even, hub).all()
    assert np.bincount(even, minlength=7)[1:].std() < 0.3 * plain.std()


@pytest.mark.parametrize(
    "sample",
    [
        lambda k: walks.random_walk(k, A, 30),
        lambda k: walks.neighbour_pairs(k, A, 30),
        lambda k: walks.independent(k, A, 30),
        lambda k: walks.balanced_walk(k, A, 30),
        lambda k: walks.mixture_walk(k, A, A, 0.5, 30),
        lambda k: walks.edge_shuffled(k, jnp.arange(9, dtype=jnp.int32)),
    ],
)
def test_vmap_over_keys_is_a_loop(sample):
    keys = jax.random.split(key(3), 4)
    together = jax.vmap(sample)(keys)
    assert together.dtype == jnp.int32
    for k, row in zip(keys, together):
        np.testing.assert_array_equal(sample(k), row)


def test_another_graph_of_the_same_size_compiles_nothing_new():
    traced = walks.random_walk._cache_size()
    a = walks.random_walk(key(), jnp.asarray(circulant(11, 2).adjacency), 20)
    after = walks.random_walk._cache_size()
    b = walks.random_walk(key(1), jnp.asarray(circulant(11, 3).adjacency), 20)
    assert walks.random_walk._cache_size() == after == traced + 1
    assert not np.array_equal(a, b)
