"""The theorem: least energy under given singular values is reached by the Laplacian's modes, and by descent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, path, ring

VALUES = jnp.array([3.0, 2.0, 1.0])


@pytest.mark.parametrize("adjacency", [path(8), grid(4), ring(10)], ids=["path", "grid", "ring"])
def test_descent_from_random_rows_reaches_the_closed_form_and_aligns(adjacency):
    found = jax.jit(lambda k: graphs.descend_energy(k, adjacency, VALUES, 1500))(jax.random.key(0))
    least = float(graphs.minimal_energy(adjacency, VALUES))
    assert float(found.energy[-1]) == pytest.approx(least, rel=0.02)
    assert float(found.energy[-1]) > least * (1 - 1e-3)
    assert (np.diff(found.energy) < 1e-3).all()
    assert float(graphs.subspace_alignment(found.rows, adjacency, 2)) > 0.97
    np.testing.assert_allclose(jnp.linalg.svd(found.rows)[1], VALUES, rtol=1e-3)
    np.testing.assert_allclose(found.rows.sum(axis=0), 0, atol=1e-2)


def test_the_closed_form_is_its_own_energy_and_no_rotation_has_less():
    a = grid(4)
    rows = graphs.minimal_energy_rows(a, VALUES)
    least = float(graphs.minimal_energy(a, VALUES))
    assert float(graphs.dirichlet_energy(rows, a)) == pytest.approx(least, rel=1e-3)
    for seed in range(20):
        u = jnp.linalg.qr(jnp.asarray(np.random.default_rng(seed).normal(size=(16, 3)) - 0.0, jnp.float32))[0]
        u = jnp.linalg.qr(u - u.mean(axis=0))[0]
        assert float(graphs.dirichlet_energy(u * VALUES, a)) > least


def test_no_more_singular_values_than_modes():
    for of in (
        graphs.minimal_energy,
        graphs.minimal_energy_rows,
        lambda a, s: graphs.descend_energy(jax.random.key(0), a, s),
    ):
        with pytest.raises(ValueError, match=r"Got 3 singular values\. Expected 1 to 2"):
            of(path(3), VALUES)
