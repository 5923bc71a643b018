"""Planes against planes: turned, scaled, hidden, random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, path, ring, rows_of


@pytest.mark.parametrize("adjacency", [grid(4), ring(10), path(7)], ids=["grid", "ring", "path"])
def test_the_spectral_embedding_aligns_with_itself_however_it_is_turned(adjacency):
    z = graphs.spectral_embedding(adjacency, 2)
    turn = jnp.linalg.qr(rows_of(0, 30, 2))[0]
    hidden = 3 * z @ rows_of(1, 2, 2) @ turn.T + 5
    assert float(graphs.subspace_alignment(hidden, adjacency, 2)) == pytest.approx(1, abs=1e-3)


def test_rough_modes_do_not_align_and_random_rows_by_chance():
    a = grid(4)
    rough = graphs.laplacian_modes(a).vectors[:, -2:]
    assert float(graphs.subspace_alignment(rough, a, 2)) < 1e-3
    found = jax.vmap(lambda k: graphs.subspace_alignment(jax.random.normal(k, (16, 200)), a, 2))(
        jax.random.split(jax.random.key(0), 200)
    )
    assert abs(float(found.mean()) - 2 / 15) < 0.02


def test_where_k_cuts_a_pair_of_equal_eigenvalues_either_of_them_is_smooth():
    z = graphs.spectral_embedding(ring(10), 2)
    for way in (0, 1):
        assert float(graphs.subspace_alignment(z[:, way : way + 1], ring(10), 1)) == pytest.approx(1, abs=1e-3)


def test_components_are_those_of_numpy_and_unseen_nodes_have_none():
    rows, seen = rows_of(2, 12), jnp.arange(12) != 4
    found = graphs.principal_components(jnp.where(seen[:, None], rows, 1e4), 3, seen)
    kept = np.delete(np.asarray(rows), 4, axis=0)
    left, values, right = np.linalg.svd(kept - kept.mean(axis=0), full_matrices=False)
    scores = np.delete(np.asarray(found.scores), 4, axis=0)
    np.testing.assert_allclose(np.abs(scores), np.abs(left[:, :3] * values[:3]), rtol=2e-2, atol=2e-2)
    np.testing.assert_allclose(found.share, (values**2 / np.sum(values**2))[:3], rtol=1e-2)
    np.testing.assert_allclose(np.abs(found.directions @ right[:3].T), np.eye(3), atol=2e-2)
    assert np.isnan(found.scores[4]).all()


def test_procrustes_undoes_turning_mirroring_scaling_and_shifting():
    target = rows_of(3, 9, 2)
    turn = jnp.linalg.qr(rows_of(4, 2, 2))[0] @ jnp.diag(jnp.array([1.0, -1.0]))
    found = graphs.procrustes(0.3 * target @ turn + 8, target)
    np.testing.assert_allclose(found.aligned, target, atol=1e-3)
    assert float(found.disparity) == pytest.approx(0, abs=1e-4)
    assert 0.3 < float(graphs.procrustes(rows_of(5, 9, 2), target).disparity) <= 1


def test_procrustes_without_unseen_nodes():
    target, seen = rows_of(3, 9, 2), jnp.arange(9) > 1
    source = jnp.where(seen[:, None], 2 * target + 1, jnp.nan)
    found = graphs.procrustes(source, target, seen)
    np.testing.assert_allclose(found.aligned[2:], target[2:], atol=1e-4)
    assert np.isnan(found.aligned[:2]).all()
