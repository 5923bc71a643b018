import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from analyses.probes import directions
from analyses.probes.directions import composition, random_directions

cosine_matrix = jax.jit(directions.cosine_matrix)
read_out_dose = jax.jit(directions.read_out_dose)


def test_cosines_of_all_pairs_and_none_with_nothing():
    a, b = jax.random.normal(jax.random.key(0), (3, 5)), jax.random.normal(jax.random.key(1), (4, 5))
    found = cosine_matrix(a, b.at[2].set(0))
    np.testing.assert_allclose(found[:, [0, 1, 3]], 1 - cdist(a, np.asarray(b)[[0, 1, 3]], "cosine"), atol=1e-6)
    np.testing.assert_array_equal(found[:, 2], 0)
    np.testing.assert_allclose(jnp.diagonal(cosine_matrix(a, 7 * a)), 1, rtol=1e-6)
    np.testing.assert_allclose(composition(-a[0], b), -cosine_matrix(a, b)[0], rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e15])
def test_a_dose_moves_the_reading_by_sd_and_no_shorter_step_does(scale):
    w = scale * jax.random.normal(jax.random.key(2), (20,))
    step = read_out_dose(w, 2.5)
    np.testing.assert_allclose(jnp.sum((w / scale) * (step * scale)), 2.5, rtol=1e-5)
    other = random_directions(jax.random.key(3), 50, 20)
    reach = other @ (w / scale)
    as_far = jnp.linalg.norm(other * (2.5 / reach)[:, None], axis=1)
    assert float(jnp.min(as_far)) > float(jnp.linalg.norm(step * scale))
    assert np.isnan(read_out_dose(jnp.zeros(4), 1.0)).all()


def test_random_directions_are_isotropic_and_of_exact_length():
    drawn = random_directions(jax.random.key(4), 4000, 3, 2.0)
    np.testing.assert_allclose(jnp.linalg.norm(drawn, axis=1), 2, rtol=1e-6)
    np.testing.assert_allclose(jnp.mean(drawn, axis=0), 0, atol=5 * 2 / np.sqrt(3 * 4000))
    np.testing.assert_allclose(drawn.T @ drawn / 4000, 4 / 3 * np.eye(3), atol=0.1)
    # Archimedes: on the sphere every coordinate is uniform.
    assert float(jnp.mean(jnp.abs(drawn[:, 0]) < 1)) == pytest.approx(0.5, abs=0.04)


def test_the_length_sets_the_dtype_and_nothing_is_refused():
    with jax.enable_x64(True):
        assert random_directions(jax.random.key(0), 2, 3, jnp.float32(1.0)).dtype == jnp.float32
        assert random_directions(jax.random.key(0), 2, 3).dtype == jnp.float64
        assert read_out_dose(jnp.ones(3, jnp.float64), 1.0).dtype == jnp.float64
    for count, width in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match="random_directions: got"):
            random_directions(jax.random.key(0), count, width)
