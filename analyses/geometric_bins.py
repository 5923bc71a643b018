"""Averages of a loss inside geometric stretches of the context length.

A learning curve has a thousand late points and ten early ones; on the scale on which power laws are straight every
octave should count alike. Averaging the *raw* loss first, and only then taking a logarithm or fitting a law, keeps the
target the mean loss itself. A moving average does not: it bends the first points of a convex curve upwards, and
neighbouring points share their noise.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class GeometricBins(NamedTuple):
    """Stretches of context lengths, empty ones left out; made by :func:`geometric_bins`."""

    context: Float[Array, " bin"]  #: geometric mean of the context lengths inside
    average: Float[Array, "bin point"]  #: rows sum to one: ``average @ loss`` is the mean loss inside

    def means(self, losses: Float[Array, "*rows point"]) -> Float[Array, "*rows bin"]:
        """Mean of every curve inside every stretch. Linear, so means over trajectories commute with it."""
        return losses @ self.average.T.astype(losses.dtype)


def geometric_bins(context: np.ndarray, *, num_bins: int = 20) -> GeometricBins:
    """``num_bins`` stretches of equal ratio from the least to the greatest context length.

    ``context [point]`` is a concrete array (which stretches are empty decides the shape). Over a stretch of width
    Δ = ln(end/start) the mean of t^α differs from its value at the geometric mean by the factor 1 + α²Δ²/24: under
    0.3 % for 20 bins over two decades and |α| ≤ 1, and nearly the same in every bin, so exponents do not feel it.

    Raises:
        ValueError: fewer than two stretches, or context lengths that are not positive or all equal.
    """
    lengths = np.asarray(context, np.float64)
    if num_bins < 2:
        raise ValueError(f"geometric_bins: got num_bins {num_bins}; expected at least 2; use 10 to 30")
    if lengths.size < 2 or not lengths.min() > 0 or lengths.min() == lengths.max():
        raise ValueError(
            f"geometric_bins: got {lengths.size} context lengths that begin {lengths[:3].tolist()}; "
            "expected at least two different positive ones; use counts of items read, from 1 on"
        )
    x = np.log(lengths)
    stretch = np.floor((x - x.min()) / (x.max() - x.min()) * num_bins).clip(0, num_bins - 1)
    inside = stretch[None, :] == np.unique(stretch)[:, None]
    average = inside / inside.sum(axis=1, keepdims=True)
    dtype = jnp.result_type(float)
    return GeometricBins(jnp.asarray(np.exp(average @ x), dtype), jnp.asarray(average, dtype))
