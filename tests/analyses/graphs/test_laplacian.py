"""Eigenvalues in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, path, ring, tree


def test_rings_and_paths_have_their_known_spectra():
    n = 9
    known = np.sort(2 - 2 * np.cos(2 * np.pi * np.arange(n) / n))
    np.testing.assert_allclose(graphs.laplacian_modes(ring(n)).values, known, atol=1e-5)
    known = np.sort(2 - 2 * np.cos(np.pi * np.arange(n) / n))
    np.testing.assert_allclose(graphs.laplacian_modes(path(n)).values, known, atol=1e-5)


def test_a_grid_is_the_sum_of_two_paths():
    line = 2 - 2 * np.cos(np.pi * np.arange(4) / 4)
    known = np.sort((line[:, None] + line).ravel())
    np.testing.assert_allclose(graphs.laplacian_modes(grid(4)).values, known, atol=1e-5)


def test_the_laplacian_sums_squared_differences():
    x = jnp.arange(15.0) ** 1.5
    a = tree()
    np.testing.assert_allclose(x @ graphs.laplacian(a) @ x, 0.5 * jnp.sum(a * (x[:, None] - x) ** 2), rtol=1e-5)


def test_the_embedding_is_smooth_orthonormal_and_without_the_constant():
    z = graphs.spectral_embedding(ring(10), 2)
    np.testing.assert_allclose(z.T @ z, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(z.sum(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(jnp.sum(z**2, axis=1), 0.2, rtol=1e-4)  # a circle


def test_equal_eigenvalues_are_one_group():
    groups = graphs.mode_groups(graphs.laplacian_modes(ring(8)).values)
    np.testing.assert_array_equal(groups, [0, 1, 1, 2, 2, 3, 3, 4])


@pytest.mark.parametrize("asked", [0, 8])
def test_no_more_modes_than_there_are(asked):
    with pytest.raises(ValueError, match=f"Got {asked} modes. Expected 1 to 7"):
        graphs.spectral_embedding(ring(8), asked)
