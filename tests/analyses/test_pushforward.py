"""Images of uniform laws against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import analyses.pushforward as module

pushforward_masses = jax.jit(module.pushforward_masses)

EDGES = jnp.linspace(0.0, 1.0, 11)


def test_a_line_spreads_its_cell_evenly_whichever_way_it_runs():
    up = pushforward_masses(jnp.linspace(0.25, 0.55, 4), EDGES)
    expected = np.zeros(10)
    expected[2:6] = np.array([0.05, 0.1, 0.1, 0.05]) / 0.3
    np.testing.assert_allclose(up, expected, atol=1e-6)
    np.testing.assert_allclose(pushforward_masses(jnp.linspace(0.55, 0.25, 4), EDGES), expected, atol=1e-6)


@pytest.mark.parametrize(("value", "cell"), [(0.43, 4), (0.0, 0), (0.5, 5)])
def test_a_constant_is_a_point_mass_in_the_cell_that_starts_at_it(value, cell):
    mass = pushforward_masses(jnp.full(4, value), EDGES)
    np.testing.assert_array_equal(mass, np.arange(10) == cell)


def test_a_fold_has_the_law_of_a_square():
    """X uniform on [−1, 1]: P(X² ≤ y) = √y."""
    expected = np.diff(np.sqrt(np.linspace(0, 1, 11)))
    errors = [np.abs(pushforward_masses(jnp.linspace(-1.0, 1.0, n) ** 2, EDGES) - expected).max() for n in (10, 1000)]
    assert errors[0] < 0.02
    assert errors[1] < 1e-3


def test_what_leaves_the_grid_is_forgotten_and_a_whole_image_off_it_has_no_law():
    half = pushforward_masses(jnp.linspace(0.8, 1.2, 4), EDGES)
    np.testing.assert_allclose(half[-2:], [0.5, 0.5], rtol=1e-5)
    assert np.all(np.isnan(pushforward_masses(jnp.linspace(1.5, 1.8, 4), EDGES)))


def test_gradients_are_finite_at_folds_and_point_masses():
    weights = jnp.arange(10.0)
    slope = jax.jit(jax.grad(lambda images: module.pushforward_masses(images, EDGES) @ weights))
    assert np.all(np.isfinite(slope(jnp.array([0.2, 0.35, 0.35, 0.2]))))
    # Moving an even image of four cells' width up by δ moves the mean cell by 10 δ.
    assert float(jnp.sum(slope(jnp.linspace(0.21, 0.61, 4)))) == pytest.approx(10, rel=1e-4)


def test_one_image_is_not_a_piece():
    with pytest.raises(ValueError, match=r"got 1 images; expected at least 2.*use"):
        module.pushforward_masses(jnp.zeros(1), EDGES)
