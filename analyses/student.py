"""The interval of a mean of few independent values."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .resampling import Band, student_quantile


def mean_interval(values: Float[Array, " n"], *, coverage: float = 0.95) -> Band:
    """Mean of independent values and x̄ ± t_{n−1} s/√n; the ends are NaN for fewer than two values.

    Exact for Gaussian values at every n ≥ 2, where the percentile bootstrap is too short.

    Raises:
        ValueError: ``coverage`` not in (0, 1).
    """
    if not 0 < coverage < 1:
        raise ValueError(f"mean_interval: got coverage {coverage}; expected a number in (0, 1); 0.95 means 95 %")
    n = values.shape[0]
    mean = jnp.mean(values)
    if n < 2:
        return Band(mean, jnp.full_like(mean, jnp.nan), jnp.full_like(mean, jnp.nan))
    half = student_quantile((1 + coverage) / 2, n - 1) * jnp.std(values, ddof=1) / jnp.sqrt(float(n))
    return Band(mean, mean - half, mean + half)
