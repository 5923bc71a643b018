"""Top-hat smoothing of loss curves."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def moving_average(curve: Float[Array, " time"], window: int) -> Float[Array, " smoothed"]:
    """Mean of every ``window`` consecutive points: length time − window + 1 ("valid" convolution).

    A NaN point makes only the windows that contain it NaN.

    Raises:
        ValueError: the window is empty or longer than the curve.
    """
    _check_window(curve.shape[0], window)
    return jnp.convolve(curve, jnp.full(window, 1 / window, curve.dtype), mode="valid")


def window_centres(num_points: int, window: int, *, published: bool = False) -> Float[Array, " smoothed"]:
    """Where the points of :func:`moving_average` lie, as indices into the curve: i + (window − 1)/2.

    ``published=True`` gives i + window/2, the half-step-late axis of arXiv 2402.00795: its exponents need
    it (the logistic map's −0.883 is −0.857 on the true centres).

    Raises:
        ValueError: the window is empty or longer than the curve.
    """
    _check_window(num_points, window)
    offset = window / 2 if published else (window - 1) / 2
    return jnp.asarray(np.arange(num_points - window + 1) + offset, jnp.result_type(float))


def _check_window(num_points: int, window: int) -> None:
    if not 1 <= window <= num_points:
        raise ValueError(
            f"moving average: got window {window} for {num_points} points; "
            f"expected 1 <= window <= {num_points}; use a shorter window"
        )
