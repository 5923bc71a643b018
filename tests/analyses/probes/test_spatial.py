import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from analyses.probes import spatial
from analyses.probes.spatial import mantel_null

pytestmark = pytest.mark.slow  # one interpreter is enough: compiling them is dear

morans_i = jax.jit(spatial.morans_i)
distance_matrix = jax.jit(spatial.distance_matrix)
distance_matrix_km = jax.jit(spatial.distance_matrix_km)
representational_similarity = jax.jit(spatial.representational_similarity)
null = jax.jit(mantel_null, static_argnums=3)


def places(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(np.c_[rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))], float)


def test_moran_is_its_definition():
    lonlat, values = places(), jax.random.normal(jax.random.key(0), (60,)) + 5
    weight = np.exp(-0.5 * (np.asarray(distance_matrix_km(lonlat), float) / 2000) ** 2)
    np.fill_diagonal(weight, 0)
    z = np.asarray(values, float) - np.mean(np.asarray(values, float))
    expected = 60 / weight.sum() * sum(weight[i, j] * z[i] * z[j] for i in range(60) for j in range(60)) / (z @ z)
    np.testing.assert_allclose(morans_i(values, lonlat, bandwidth_km=2000.0), expected, rtol=1e-4, atol=1e-6)


def test_moran_without_order_has_mean_minus_one_over_n_minus_one():
    lonlat = places(12)
    rng = np.random.default_rng(1)
    shuffled = jnp.asarray(rng.permuted(np.tile(np.arange(12.0), (4000, 1)), axis=1), jnp.float32)
    moran = jax.vmap(lambda v: morans_i(v, lonlat, bandwidth_km=3000.0))(shuffled)
    assert float(jnp.mean(moran)) == pytest.approx(-1 / 11, abs=4 * float(jnp.std(moran)) / np.sqrt(4000))


def test_a_smooth_map_has_a_high_index_and_a_chessboard_a_negative_one():
    lonlat = jnp.stack(jnp.meshgrid(jnp.arange(8.0), jnp.arange(8.0)), axis=-1).reshape(-1, 2)
    assert float(morans_i(lonlat[:, 1], lonlat, bandwidth_km=80.0)) > 0.75
    board = (lonlat[:, 0] + lonlat[:, 1]) % 2
    assert float(morans_i(board, lonlat, bandwidth_km=40.0)) < -0.9
    assert np.isnan(morans_i(jnp.full(64, 0.1), lonlat, bandwidth_km=80.0))
    assert np.isnan(morans_i(board, lonlat, bandwidth_km=0.01))


@pytest.mark.parametrize("x64", [False, True])
def test_distances_of_all_pairs(x64):
    x = np.random.default_rng(2).normal(size=(20, 5)) + 10
    with jax.enable_x64(x64):
        found = distance_matrix(jnp.asarray(x, float))
        assert found.dtype == (jnp.float64 if x64 else jnp.float32)
    np.testing.assert_allclose(found, squareform(pdist(x)), rtol=1e-12 if x64 else 1e-5)
    np.testing.assert_array_equal(found, found.T)
    assert not np.diagonal(found).any()


def test_similarity_is_spearman_over_pairs():
    """With ties: b lies on a grid. The diagonal is not read."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(15, 4)), np.round(rng.normal(size=(15, 2)))
    apart = [jnp.asarray(squareform(pdist(x)) + 99 * np.eye(15), jnp.float32) for x in (a, b)]
    expected = stats.spearmanr(pdist(a), pdist(b))[0]
    np.testing.assert_allclose(representational_similarity(*apart), expected, atol=1e-5)


def test_rotating_and_stretching_a_map_leaves_it_similar():
    a = jax.random.normal(jax.random.key(5), (15, 3))
    rotation = jnp.linalg.qr(jax.random.normal(jax.random.key(6), (3, 3)))[0]
    assert float(representational_similarity(distance_matrix(a), distance_matrix(4 * a @ rotation))) > 0.9999
    flat = jnp.ones((15, 15)) - jnp.eye(15)
    assert np.isnan(representational_similarity(distance_matrix(a), flat))
    assert np.isnan(null(jax.random.key(0), distance_matrix(a), flat, 3)).all()


def test_mantels_null_is_that_of_permuted_entities():
    """Of 4 entities all 24 permutations can be listed."""
    a, b = (distance_matrix(jax.random.normal(jax.random.key(seed), (4, 2))) for seed in (7, 8))
    orders = np.array(np.meshgrid(*[range(4)] * 4)).reshape(4, -1).T
    orders = orders[[len(set(order)) == 4 for order in orders]]
    permuted = np.asarray(b)[orders[:, :, None], orders[:, None]]
    listed = jax.vmap(representational_similarity, in_axes=(None, 0))(a, jnp.asarray(permuted))
    drawn = np.asarray(null(jax.random.key(9), a, b, 1200))
    values, expected = np.unique(np.round(np.asarray(listed), 3), return_counts=True)
    seen, counts = np.unique(np.round(drawn, 3), return_counts=True)
    np.testing.assert_array_equal(seen, values)
    assert (np.abs(counts - 50 * expected) < 5 * np.sqrt(50 * expected)).all()
    with pytest.raises(ValueError, match="got 0 repeats"):
        mantel_null(jax.random.key(0), a, b, 0)
