"""Power by mode: it sums to one, gives the energy back, and finds what was planted."""

import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, path, ring, rows_of, tree


@pytest.mark.parametrize("adjacency", [grid(4), ring(7), tree(), path(5)], ids=["grid", "ring", "tree", "path"])
def test_the_powers_sum_to_one_and_their_mean_eigenvalue_is_the_energy_ratio(adjacency):
    number = len(adjacency)
    rows = rows_of(0, number, 11) + 50
    power = graphs.graph_fourier_power(rows, adjacency)
    assert power.shape == (number - 1,)
    assert float(power.sum()) == pytest.approx(1, rel=1e-3)
    values = graphs.laplacian_modes(adjacency).values[1:]
    ratio = (number - 1) / adjacency.sum() * jnp.sum(power * values)
    assert float(ratio) == pytest.approx(float(graphs.dirichlet_ratio(rows, adjacency)), rel=2e-3)


def test_a_planted_mode_has_all_the_power():
    modes = graphs.laplacian_modes(path(6)).vectors
    power = graphs.graph_fourier_power(modes[:, 3:4] * jnp.array([[2.0, -1.0]]), path(6))
    np.testing.assert_allclose(power, np.eye(5)[2], atol=1e-5)


@pytest.mark.parametrize("number", [7, 8])
def test_every_harmonic_has_its_plane(number):
    assert float(graphs.circulant_power(rows_of(1, number)).sum()) == pytest.approx(1, rel=1e-4)
    for step in range(1, number // 2 + 1):
        angle = 2 * jnp.pi * step * jnp.arange(number) / number
        power = graphs.circulant_power(jnp.stack((jnp.cos(angle), jnp.sin(angle)), axis=1) + 3)
        np.testing.assert_allclose(power, np.eye(number // 2)[step - 1], atol=1e-5)


def test_independent_points_spread_evenly_over_the_planes_by_their_dimensions():
    rows = rows_of(2, 8, 20_000)
    np.testing.assert_allclose(graphs.circulant_power(rows), np.array([2, 2, 2, 1]) / 7, atol=0.01)


@pytest.mark.parametrize(("number", "step", "harmonic"), [(7, 1, 1), (7, 3, 2), (7, 2, 3), (9, 4, 2), (10, 3, 3)])
def test_a_ring_is_a_circle_in_its_harmonic_which_is_its_smoothest_mode(number, step, harmonic):
    assert graphs.ring_harmonic(number, step) == harmonic
    power = graphs.circulant_power(graphs.spectral_embedding(ring(number, step), 2))
    assert float(power[harmonic - 1]) == pytest.approx(1, abs=1e-4)


def test_a_step_that_makes_several_rings_has_none():
    with pytest.raises(ValueError, match="common divisor"):
        graphs.ring_harmonic(8, 2)
