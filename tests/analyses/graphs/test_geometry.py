"""Distances on the graph in closed form; measures at their ends and at chance."""

import itertools

import jax
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
    x = np.asarray(rows)
    distance = [np.linalg.norm(x[i] - x[j]) for i, j in pairs]
    i, j = np.transpose(pairs)
    length, resistance = (np.asarray(of(a))[i, j] for of in (graphs.path_lengths, graphs.resistance_distances))
    assert float(found.pearson) == pytest.approx(stats.pearsonr(distance, length)[0], abs=1e-3)
    assert float(found.spearman) == pytest.approx(stats.spearmanr(distance, length)[0], abs=1e-3)
    assert float(found.resistance) == pytest.approx(stats.pearsonr(distance, resistance)[0], abs=1e-3)


def test_distance_dependence_is_one_for_the_same_distances_and_small_for_none():
    line = jnp.arange(9.0)[:, None]
    assert float(graphs.distance_dependence(line, path(9))) == pytest.approx(1, abs=1e-3)
    many = jax.vmap(graphs.distance_dependence, (0, None))(jnp.stack([rows_of(k, 36, 200) for k in range(3)]), grid(6))
    planted = graphs.spectral_embedding(grid(6), 2)
    assert float(many.max()) < float(graphs.distance_dependence(planted, grid(6))) - 0.2


def test_auc_and_precision_at_their_ends_and_at_chance():
    a = grid(4)
    r, c = jnp.divmod(jnp.arange(16), 4)
    drawn = jnp.stack((r, c), axis=1).astype(jnp.float32)
    assert float(graphs.edge_auc(drawn, a)) == 1
    assert float(graphs.reconstruction_precision(drawn, a)) == 1
    assert float(graphs.edge_auc(jnp.ones((16, 2)), a)) == 0.5  # all ties
    assert float(graphs.reconstruction_precision(jnp.ones((16, 2)), a)) == pytest.approx(24 / 120)
    random = jnp.stack([rows_of(k, 16) for k in range(40)])
    for of, chance in ((graphs.edge_auc, 0.5), (graphs.reconstruction_precision, 24 / 120)):
        found = jax.vmap(of, (0, None))(random, a)
        assert abs(float(found.mean()) - chance) < 0.05


def test_auc_leaves_out_what_was_not_seen():
    a, seen = grid(4), jnp.arange(16) < 10
    rows = rows_of(3, 16)
    kept = graphs.edge_auc(rows[:10], a[:10, :10])
    assert float(graphs.edge_auc(jnp.where(seen[:, None], rows, 1e3), a, seen)) == pytest.approx(float(kept), abs=1e-6)


def test_auc_and_precision_are_their_definitions_with_ties():
    """Of eight rows of integers the mean is exact, and so are ties."""
    a, rows = ring(8), jnp.asarray(np.random.default_rng(0).integers(0, 2, (8, 3)), jnp.float32)
    pairs = list(itertools.combinations(range(8), 2))
    x, joined = np.asarray(rows), np.asarray(a)
    length = {(i, j): int(np.sum((x[i] - x[j]) ** 2)) for i, j in pairs}
    edges, others = [p for p in pairs if joined[p]], [p for p in pairs if not joined[p]]
    wins = [(length[e] < length[o]) + 0.5 * (length[e] == length[o]) for e in edges for o in others]
    assert float(graphs.edge_auc(rows, a)) == pytest.approx(np.mean(wins))
    random, hits = np.random.default_rng(1), []
    for _ in range(2000):  # ties broken at random
        order = sorted(pairs, key=lambda p: (length[p], random.random()))
        hits.append(np.mean([joined[p] for p in order[: len(edges)]]))
    assert float(graphs.reconstruction_precision(rows, a)) == pytest.approx(np.mean(hits), abs=0.01)


def test_a_graph_in_two_parts():
    """Inside a part distances are its own; between parts there is neither path nor conductance."""
    a = jnp.zeros((9, 9)).at[:5, :5].set(path(5)).at[5:, 5:].set(ring(4))
    found = graphs.resistance_distances(a)
    np.testing.assert_allclose(found[:5, :5], graphs.resistance_distances(path(5)), atol=1e-4)
    np.testing.assert_allclose(found[5:, 5:], graphs.resistance_distances(ring(4)), atol=1e-4)
    assert np.isinf(found[:5, 5:]).all()
    rows = jnp.concatenate((rows_of(0, 5, 3), 50 + rows_of(1, 4, 3)))
    correlations = graphs.distance_correlations(rows, a)
    assert float(correlations.spearman) > 0.5
    assert np.isnan(correlations.pearson)
    assert np.isnan(graphs.distance_dependence(rows, a))
