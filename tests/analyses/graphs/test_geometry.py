"""Distances on the graph in closed form; measures at their ends and at chance."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from analyses import graphs

from .shapes import grid, path, ring, rows_of, tree


def test_path_lengths_are_those_of_the_graph():
    rows, columns = np.divmod(np.arange(16), 4)
    known = np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns)
    np.testing.assert_array_equal(graphs.path_lengths(grid(4)), known)
    apart = np.abs(np.arange(9)[:, None] - np.arange(9))
    np.testing.assert_array_equal(graphs.path_lengths(ring(9)), np.minimum(apart, 9 - apart))
    assert np.isinf(graphs.path_lengths(jnp.zeros((2, 2)))[0, 1])


def test_resistance_is_length_on_a_tree_and_parallel_on_a_ring():
    np.testing.assert_allclose(graphs.resistance_distances(tree()), graphs.path_lengths(tree()), atol=1e-3)
    apart = np.abs(np.arange(8)[:, None] - np.arange(8))
    np.testing.assert_allclose(graphs.resistance_distances(ring(8)), apart * (8 - apart) / 8, atol=1e-4)


@pytest.mark.parametrize("dropped", [0, 3])
def test_correlations_are_those_of_scipy_over_the_pairs_that_were_seen(dropped):
    rows, a = rows_of(0, 16, 3), grid(4)
    seen = jnp.arange(16) >= dropped
    found = graphs.distance_correlations(jnp.where(seen[:, None], rows, jnp.nan), a, seen)
    pairs = [p for p in itertools.combinations(range(16), 2) if min(p) >= dropped]
    distance = [float(np.linalg.norm(rows[i] - rows[j])) for i, j in pairs]
    length = [float(graphs.path_lengths(a)[p]) for p in pairs]
    resistance = [float(graphs.resistance_distances(a)[p]) for p in pairs]
    assert float(found.pearson) == pytest.approx(stats.pearsonr(distance, length)[0], abs=1e-3)
    assert float(found.spearman) == pytest.approx(stats.spearmanr(distance, length)[0], abs=1e-3)
    assert float(found.resistance) == pytest.approx(stats.pearsonr(distance, resistance)[0], abs=1e-3)


def test_distance_dependence_is_one_for_the_same_distances_and_small_for_none():
    line = jnp.arange(9.0)[:, None]
    assert float(graphs.distance_dependence(line, path(9))) == pytest.approx(1, abs=1e-3)
    many = [float(graphs.distance_dependence(rows_of(k, 36, 200), grid(6))) for k in range(3)]
    planted = graphs.spectral_embedding(grid(6), 2)
    assert max(many) < float(graphs.distance_dependence(planted, grid(6))) - 0.2


def test_auc_and_precision_at_their_ends_and_at_chance():
    a = grid(4)
    r, c = jnp.divmod(jnp.arange(16), 4)
    drawn = jnp.stack((r, c), axis=1).astype(jnp.float32)
    assert float(graphs.edge_auc(drawn, a)) == 1
    assert float(graphs.reconstruction_precision(drawn, a)) == 1
    assert float(graphs.edge_auc(jnp.ones((16, 2)), a)) == 0.5  # all ties
    random = [graphs.edge_auc(rows_of(k, 16), a) for k in range(40)]
    assert abs(np.mean(random) - 0.5) < 0.05
    random = [graphs.reconstruction_precision(rows_of(k, 16), a) for k in range(40)]
    assert abs(np.mean(random) - 24 / 120) < 0.06


def test_auc_leaves_out_what_was_not_seen():
    a, seen = grid(4), jnp.arange(16) < 10
    rows = rows_of(3, 16)
    kept = graphs.edge_auc(rows[:10], a[:10, :10])
    assert float(graphs.edge_auc(jnp.where(seen[:, None], rows, 1e3), a, seen)) == pytest.approx(float(kept), abs=1e-6)
