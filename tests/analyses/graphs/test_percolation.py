"""What was seen of a graph, against sets of edges and scipy's connected components."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from analyses.graphs import percolation
from analyses.graphs.percolation import component_sizes, edge_coverage, first_time, largest_component, susceptibility

NODES = 7
RING = np.roll(np.eye(NODES), 1, axis=1) + np.roll(np.eye(NODES), -1, axis=1)
A = jnp.asarray(RING, jnp.float32)
ITEMS = st.lists(st.integers(0, NODES - 1), min_size=15, max_size=15)
TIMES = st.integers(1, 3)


def seen_graphs(items, times):
    """The graph of edges seen ``times``, after every item."""
    counts, graphs = np.zeros((NODES, NODES)), [np.zeros((NODES, NODES), bool)]
    for a, b in itertools.pairwise(items):
        counts[a, b] += 1
        counts[b, a] += 1
        graphs.append((counts >= times) & (RING > 0))
    return graphs


def sizes(graph):
    return np.sort(np.bincount(connected_components(graph)[1]))


@settings(max_examples=40, deadline=None)
@given(ITEMS, TIMES)
def test_curves_are_those_of_the_edges_seen(items, times):
    """``items`` need not be a walk: steps between others than neighbours count for nothing."""
    graphs, walk = seen_graphs(items, times), jnp.array(items)
    np.testing.assert_allclose(edge_coverage(walk, A, times), [g.sum() / 2 / NODES for g in graphs], rtol=1e-6)
    largest = [sizes(g)[-1] / NODES for g in graphs]
    np.testing.assert_allclose(largest_component(walk, A, times), largest, rtol=1e-6)
    rest = [sizes(g)[:-1] for g in graphs]
    expected = [(r**2).sum() / r.sum() if r.size else 0 for r in rest]
    np.testing.assert_allclose(susceptibility(walk, A, times), expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12))
def test_parts_are_those_of_scipy_and_stand_at_their_smallest_node(edges):
    graph = np.zeros((9, 9), bool)
    for a, b in edges:
        graph[a, b] = graph[b, a] = True
    count, labels = connected_components(graph)
    expected = np.zeros(9)
    for part in range(count):
        nodes = np.flatnonzero(labels == part)
        expected[nodes[0]] = len(nodes)
    np.testing.assert_array_equal(component_sizes(jnp.asarray(graph)), expected)


def test_the_longest_line_is_one_part():
    """Labels have to travel along all of it."""
    line = jnp.asarray(np.eye(64, k=1) + np.eye(64, k=-1) > 0)[::-1, ::-1]
    assert component_sizes(line)[0] == 64
    halves = line.at[31, 32].set(False).at[32, 31].set(False)
    assert component_sizes(halves)[jnp.array([0, 32])].tolist() == [32, 32]


def test_the_trace_of_a_walk_is_connected_from_the_start():
    """Hence the largest part of edges seen once counts the nodes visited, and nothing else."""
    steps = np.random.default_rng(0).choice([-1, 1], 30)
    walk = np.cumsum(np.concatenate(([0], steps))) % NODES
    visited = [len(set(walk[: t + 1])) / NODES for t in range(len(walk))]
    np.testing.assert_allclose(largest_component(jnp.asarray(walk), A), visited, rtol=1e-6)
    np.testing.assert_allclose(susceptibility(jnp.asarray(walk), A) > 0, np.array(visited) < 1)
    assert (largest_component(jnp.asarray(walk), A, 2) <= largest_component(jnp.asarray(walk), A)).all()


def test_a_batch_is_a_loop_and_programs_are_shared():
    walks = jnp.asarray(np.random.default_rng(1).integers(0, NODES, (3, 20)))
    for function in (edge_coverage, largest_component, susceptibility):
        single = jnp.stack([function(walk, A) for walk in walks])
        programs = function._cache_size()
        function(walks[0] + 1, A)
        assert function._cache_size() == programs
        np.testing.assert_allclose(jax.vmap(function, in_axes=(0, None))(walks, A), single, rtol=1e-6)


def test_half_of_the_grid_is_seen_after_as_many_items_as_was_measured():
    """4 x 4 grid: half of the edges at 27 items, 71 % at 50, 91 % at 100 on average."""
    rng, at = np.random.default_rng(2), np.arange(16)
    beside = np.abs(at[:, None] // 4 - at // 4) + np.abs(at[:, None] % 4 - at % 4) == 1
    walks = [rng.integers(0, 16, 100)]
    for _ in range(99):
        walks.append(np.array([rng.choice(np.flatnonzero(beside[node])) for node in walks[-1]]))
    grid = jnp.asarray(beside, jnp.float32)
    mean = jax.vmap(lambda walk: edge_coverage(walk, grid))(jnp.asarray(np.stack(walks, axis=1))).mean(axis=0)
    assert float(first_time(mean, 0.5)) == pytest.approx(27, abs=2)
    np.testing.assert_allclose(mean[jnp.array([49, 99])], [0.71, 0.91], atol=0.02)


def test_the_first_time_counts_items_and_may_never_come():
    curve = jnp.array([0.0, 0.2, 0.6, 0.4, 0.8])
    assert [float(first_time(curve, level)) for level in (0.0, 0.5, 0.8)] == [1, 3, 5]
    assert np.isnan(first_time(curve, 0.9))
    assert percolation.first_time(curve, jnp.array(0.6)) == 3
