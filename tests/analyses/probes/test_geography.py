import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.probes import geography
from analyses.probes.geography import EARTH_RADIUS_KM, great_circle_km_published
from analyses.probes.targets import sphere_from_degrees

pytestmark = pytest.mark.slow  # one interpreter is enough: compiling them is dear

great_circle_km = jax.jit(geography.great_circle_km)
great_circle_r_squared = jax.jit(geography.great_circle_r_squared, static_argnames="distance")
gradient = jax.jit(jax.grad(geography.great_circle_km))

PARIS, HELSINKI = jnp.array([2.3522, 48.8566]), jnp.array([24.9384, 60.1699])
places = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


def test_paris_to_helsinki():
    assert float(great_circle_km(PARIS, HELSINKI)) == pytest.approx(1908, abs=4)


@settings(max_examples=30, deadline=None)
@given(places, places)
def test_the_angle_between_unit_vectors_is_the_distance(a, b):
    with jax.enable_x64(True):
        a, b = jnp.array(a, jnp.float64), jnp.array(b, jnp.float64)
        u, v = sphere_from_degrees(a), sphere_from_degrees(b)
        angle = jnp.arctan2(jnp.linalg.norm(jnp.cross(u, v)), u @ v)
        np.testing.assert_allclose(great_circle_km(a, b), EARTH_RADIUS_KM * angle, rtol=1e-7, atol=1e-4)


def test_longitude_wraps_and_a_latitude_beyond_the_pole_goes_over_it():
    assert float(great_circle_km(jnp.array([179.5, 0.0]), jnp.array([-179.5, 0.0]))) == pytest.approx(111.2, abs=0.1)
    over, back = jnp.array([10.0, 95.0]), jnp.array([-170.0, 85.0])
    assert float(great_circle_km(over, back)) == pytest.approx(0, abs=2)


def test_the_derivative_is_finite_at_the_place_itself_and_at_its_antipode():
    for other in (PARIS, jnp.array([PARIS[0] - 180, -PARIS[1]]), HELSINKI):
        assert np.isfinite(gradient(PARIS, other)).all()
    assert not gradient(PARIS, PARIS).any()
    north = gradient(HELSINKI, jnp.array([24.9384, 0.0]))
    np.testing.assert_allclose(north, [0, np.pi / 180 * EARTH_RADIUS_KM], rtol=1e-4, atol=1e-2)


def test_the_published_distance_takes_longitude_for_latitude():
    """90° along the equator is a quarter of the globe, read as latitudes too; at 60° north it is not."""
    a, b = jnp.array([0.0, 60.0]), jnp.array([90.0, 60.0])
    assert float(great_circle_km_published(a, b)) == pytest.approx(EARTH_RADIUS_KM * np.pi / 2, rel=1e-5)
    assert float(great_circle_km(a, b)) == pytest.approx(EARTH_RADIUS_KM * 2 * np.arcsin(np.sqrt(0.125)), rel=1e-5)


def test_squared_kilometres_explained():
    """Near the equator, on a small patch, it is R² of both columns pooled."""
    true = 0.1 * jax.random.normal(jax.random.key(0), (50, 2))
    predicted = true + 0.05 * jax.random.normal(jax.random.key(1), (50, 2))
    flat = 1 - jnp.sum((true - predicted) ** 2) / jnp.sum((true - jnp.mean(true, 0)) ** 2)
    np.testing.assert_allclose(great_circle_r_squared(true, predicted), flat, rtol=1e-3)
    swapped = great_circle_r_squared(true[:, ::-1], predicted[:, ::-1], distance=great_circle_km_published)
    np.testing.assert_allclose(swapped, great_circle_r_squared(true, predicted), rtol=1e-5)


def test_only_chosen_places_count_and_one_place_has_no_spread():
    true = jax.random.normal(jax.random.key(2), (20, 2)) * 30
    predicted = true + 1
    weight = jnp.arange(20) < 12
    masked = great_circle_r_squared(true.at[12:].set(jnp.nan), predicted, weight)
    np.testing.assert_allclose(masked, great_circle_r_squared(true[:12], predicted[:12]), rtol=1e-5)
    middle = jnp.broadcast_to(jnp.mean(true, axis=0), true.shape)
    np.testing.assert_allclose(great_circle_r_squared(true, middle), 0, atol=1e-6)
    assert np.isnan(great_circle_r_squared(jnp.full((20, 2), 0.1), predicted))
    assert np.isnan(great_circle_r_squared(true, predicted, jnp.zeros(20)))
