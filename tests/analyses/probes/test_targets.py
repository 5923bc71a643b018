import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.probes.targets import (
    circle_from_degrees,
    degrees_from_circle,
    degrees_from_sphere,
    sphere_from_degrees,
)

to_sphere, from_sphere = jax.jit(sphere_from_degrees), jax.jit(degrees_from_sphere)
longitudes = st.floats(-180, 180, width=32)
latitudes = st.floats(-89, 89, width=32)


@settings(max_examples=30, deadline=None)
@given(longitudes, latitudes, st.floats(0.015625, 100, width=32))
def test_the_direction_gives_the_place_back_whatever_the_length(longitude, latitude, length):
    place = jnp.array([longitude, latitude], jnp.float32)
    xyz = to_sphere(place)
    np.testing.assert_allclose(jnp.linalg.norm(xyz), 1, rtol=1e-6)
    back = np.asarray(from_sphere(length * xyz))
    assert abs((back[0] - longitude + 180) % 360 - 180) < 2e-3  # 1e-5° of arc, over cos 89°
    assert abs(back[1] - latitude) < 1e-4


@settings(max_examples=30, deadline=None)
@given(longitudes, st.floats(0.015625, 100, width=32))
def test_the_circle_gives_the_angle_back(angle, length):
    back = float(degrees_from_circle(length * circle_from_degrees(jnp.float32(angle))))
    assert abs((back - angle + 180) % 360 - 180) < 1e-4


def test_the_axes_of_the_sphere():
    """(0°, 0°) is x, 90° east is y, the pole is z: longitude first."""
    places = jnp.array([[0.0, 0.0], [90.0, 0.0], [30.0, 90.0]])
    np.testing.assert_allclose(sphere_from_degrees(places), np.eye(3), atol=1e-6)


def test_there_is_no_seam():
    east, west = sphere_from_degrees(jnp.array([[179.999, 10.0], [-179.999, 10.0]]))
    np.testing.assert_allclose(east, west, atol=1e-4)
    middle = np.asarray(degrees_from_sphere(east + west))
    np.testing.assert_allclose(np.abs(middle), [180, 10], atol=1e-4)
    np.testing.assert_allclose(*circle_from_degrees(jnp.array([180.0, -180.0])), atol=1e-6)


def test_a_pole_has_longitude_zero_and_the_centre_is_nowhere():
    poles = sphere_from_degrees(jnp.array([[123.0, 90.0], [-77.0, -90.0]]))
    np.testing.assert_allclose(degrees_from_sphere(poles), [[0, 90], [0, -90]], atol=1e-4)
    assert np.isnan(degrees_from_sphere(jnp.zeros((2, 3)))).all()
    assert np.isnan(degrees_from_circle(jnp.zeros(2)))


def test_double_precision_is_kept():
    with jax.enable_x64(True):
        place = jnp.array([[12.3456789012, -65.4321098765]], jnp.float64)
        np.testing.assert_allclose(degrees_from_sphere(sphere_from_degrees(place)), place, rtol=1e-14)
        assert degrees_from_circle(circle_from_degrees(place)).dtype == jnp.float64
