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


def test_an_unseen_node_takes_nothing_from_a_perfect_alignment():
    a, seen = grid(4), jnp.arange(16) % 5 > 0
    z = jnp.where(seen[:, None], graphs.spectral_embedding(a, 2), jnp.nan)
    assert float(graphs.subspace_alignment(z, a, 2, seen)) == pytest.approx(1, abs=1e-3)
    few = jnp.arange(16) < 2
    assert np.isnan(graphs.subspace_alignment(z, a, 2, few))
    assert np.isnan(graphs.subspace_alignment(jnp.ones((16, 3)), a, 2))


def test_later_components_are_found_in_the_modes_that_were_planted():
    """Calendar first, the context's ring second, as in seven days: each pair of components has its own graph."""
    first, second = (graphs.spectral_embedding(ring(7, step), 2) for step in (1, 3))
    rows = jnp.concatenate((3 * first, second), axis=1) @ jnp.linalg.qr(rows_of(0, 20, 4))[0].T
    scores = graphs.principal_components(rows, 4).scores
    found = [
        [float(graphs.alignment_of_scores(scores[:, s], z)) for z in (first, second)] for s in (slice(2), slice(2, 4))
    ]
    np.testing.assert_allclose(found, np.eye(2), atol=1e-3)
    assert float(graphs.alignment_of_scores(scores, first)) == pytest.approx(1, abs=1e-3)
    assert float(graphs.alignment_of_scores(scores[:, :1], first @ rows_of(1, 2, 2) + 4)) == pytest.approx(1, abs=1e-3)
    assert np.isnan(graphs.alignment_of_scores(jnp.ones((7, 2)), first))


def test_alignment_of_scores_with_the_smoothest_modes_is_that_of_rows():
    a, rows, seen = path(9), rows_of(6, 9, 30), jnp.arange(9) != 3
    scores = graphs.principal_components(rows, 2, seen).scores
    by_scores = graphs.alignment_of_scores(scores, graphs.spectral_embedding(a, 2), seen)
    assert float(by_scores) == pytest.approx(float(graphs.subspace_alignment(rows, a, 2, seen)), abs=1e-3)


def test_frames_are_turned_each_onto_the_reference():
    reference = rows_of(7, 9, 2)
    turns = [jnp.linalg.qr(rows_of(k, 2, 2))[0] for k in range(3)]
    frames = jnp.stack([(k + 1) * reference @ turn + k for k, turn in enumerate(turns)]).at[1, 4].set(jnp.nan)
    found = graphs.aligned_sequence(frames, reference)
    for k, frame in enumerate(found):
        known = np.delete(np.arange(9), 4) if k == 1 else np.arange(9)
        np.testing.assert_allclose(frame[known], reference[known], atol=1e-3)
    assert np.isnan(found[1, 4]).all()


@pytest.mark.parametrize("asked", [0, 9])
def test_more_components_than_there_are_is_an_error(asked):
    with pytest.raises(ValueError, match=f"Got {asked} components. Expected 1 to 8"):
        graphs.principal_components(rows_of(0, 9), asked)
