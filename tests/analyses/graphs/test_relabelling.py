"""The permutation null: its mean is one, its p-values are even when nothing is there, and small when something is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, joined, ring, rows_of

A = grid(4)


def distances_of(seeds):
    return jnp.stack([graphs.squared_distances(rows_of(seed, 16)) for seed in seeds])


def test_relabellings_permute_the_seen_nodes_among_themselves():
    seen = jnp.array([True, False, True, True, False, True])
    drawn = np.asarray(graphs.relabellings(jax.random.key(0), seen, 300))
    assert (drawn[:, [1, 4]] == [1, 4]).all()
    assert all(sorted(row) == list(range(6)) for row in drawn.tolist())
    counts = np.array([np.bincount(drawn[:, 0], minlength=6)[[0, 2, 3, 5]]])
    assert abs(counts / 300 - 0.25).max() < 0.1


def test_without_structure_the_mean_is_one_and_p_is_even():
    null = graphs.ratio_null(jax.random.key(1), distances_of(range(120)), A, count=99)
    np.testing.assert_allclose(null.mean, 1, atol=0.03)
    p = np.sort(np.asarray(null.p))
    assert abs(p - (np.arange(120) + 0.5) / 120).max() < 1.63 / np.sqrt(120)  # Kolmogorov-Smirnov at 1 %
    assert abs(np.mean(null.z)) < 0.4


def test_structure_is_found_and_its_opposite_too():
    smooth = graphs.spectral_embedding(A, 2)
    rough = graphs.laplacian_modes(A).vectors[:, -2:]
    null = graphs.ratio_null(jax.random.key(2), jnp.stack([graphs.squared_distances(x) for x in (smooth, rough)]), A)
    assert null.z[0] < -4
    assert null.p[0] == pytest.approx(1 / 201)
    assert null.z[1] > 2
    assert null.p[1] > 0.9


def test_unseen_nodes_stay_out_of_it():
    rows = rows_of(3, 16)
    seen = jnp.arange(16) % 5 > 0
    one = graphs.ratio_null(jax.random.key(0), graphs.squared_distances(jnp.where(seen[:, None], rows, 0)), A, seen)
    two = graphs.ratio_null(jax.random.key(0), graphs.squared_distances(jnp.where(seen[:, None], rows, 1e3)), A, seen)
    np.testing.assert_allclose(one.value, graphs.dirichlet_ratio(rows, A, seen), rtol=1e-4)
    np.testing.assert_allclose(one.mean, 1, atol=0.06)
    np.testing.assert_allclose(one.sd, two.sd, rtol=0.05)
    nan = graphs.ratio_null(
        jax.random.key(0), graphs.squared_distances(jnp.where(seen[:, None], rows, jnp.nan)), A, seen
    )
    np.testing.assert_allclose(nan, one, rtol=0.05)


def test_relabellings_by_a_symmetry_are_ties():
    """R of a star depends on its centre alone: p is the share of centres that are as low, the actual one among them."""
    star = joined(4, [(0, 1), (0, 2), (0, 3)])
    rows = np.stack([rows_of(seed, 4) for seed in range(60)])
    null = graphs.ratio_null(jax.random.key(0), jax.vmap(graphs.squared_distances)(jnp.asarray(rows)), star, count=999)
    from_centre = np.sum((rows[:, :, None] - rows[:, None]) ** 2, axis=-1).sum(axis=-1)
    share = np.mean(from_centre <= from_centre[:, :1] * (1 + 1e-6), axis=1)
    np.testing.assert_allclose(null.p, share, atol=0.06)


def test_one_relabelling_has_no_spread():
    with pytest.raises(ValueError, match="Got 1 relabellings"):
        graphs.ratio_null(jax.random.key(0), distances_of([0]), A, count=1)


def test_any_statistic_and_leading_axes():
    rows = rows_of(4, 16)
    by_function = graphs.permutation_null(jax.random.key(5), rows, A, graphs.dirichlet_ratio, count=50)
    by_distance = graphs.ratio_null(jax.random.key(5), graphs.squared_distances(rows)[None, None], A, count=50)
    assert by_distance.value.shape == (1, 1)
    np.testing.assert_allclose([x.item() for x in by_distance], [float(x) for x in by_function], rtol=1e-3)
    auc = graphs.permutation_null(jax.random.key(5), graphs.spectral_embedding(A, 2), A, graphs.edge_auc, count=50)
    assert auc.value > 0.95
    assert abs(auc.mean - 0.5) < 0.05


def test_nothing_to_say_is_nan():
    null = graphs.ratio_null(jax.random.key(0), jnp.zeros((2, 10, 10)), ring(10), jnp.zeros((2, 10), bool), 20)
    assert np.isnan(null.value).all()
    assert np.isnan(null.p).all()
