import jax.numpy as jnp
import numpy as np
import pytest

from analyses import moving_average, window_centres


@pytest.mark.parametrize("window", [1, 2, 7, 30])
def test_a_line_is_its_own_moving_average_at_the_window_centres(window):
    line = 2.0 - 0.5 * jnp.arange(30, dtype=jnp.float32)
    smoothed = moving_average(line, window)
    assert smoothed.shape == (31 - window,)
    np.testing.assert_allclose(smoothed, 2 - 0.5 * window_centres(30, window), atol=1e-4)


def test_the_published_axis_runs_from_half_a_window_to_the_length_less_half_a_window():
    axis = window_centres(1000, 10, published=True)
    assert (float(axis[0]), float(axis[-1])) == (5, 995)
    np.testing.assert_allclose(axis - window_centres(1000, 10), 0.5)


def test_a_window_averages_its_points_and_a_nan_stays_in_its_windows():
    curve = jnp.array([1.0, 5.0, 0.0, 4.0, jnp.nan, 2.0, 6.0])
    np.testing.assert_allclose(moving_average(curve, 2), [3, 2.5, 2, np.nan, np.nan, 4])


@pytest.mark.parametrize("window", [0, 8])
def test_a_window_that_does_not_fit_is_refused(window):
    with pytest.raises(ValueError, match=r"got window .*expected .*; use"):
        moving_average(jnp.zeros(7), window)
    with pytest.raises(ValueError, match=r"got window .*expected .*; use"):
        window_centres(7, window)
