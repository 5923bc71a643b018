"""Predictors that do not read: what counting and one straight line achieve on the same series.

Every row t is ln of a law of item t that uses items before t only, so it can be compared with a language
model's law of the same item.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .polynomial import polynomial_autoregression


def unigram(symbols: Int[Array, " time"], num_symbols: int, *, smoothing: float = 1.0) -> Float[Array, "time symbol"]:
    """ln[(count of j among items < t + s) / (t + s·n)]: how often each symbol has been seen.

    With numbers' cell codes for symbols this is the running histogram; ``smoothing`` s = 1 is usual for a few
    symbols, s = 0.05 for 100 cells. Item 0 gets the uniform law.

    Raises:
        ValueError: ``smoothing`` not positive.
    """
    _check_smoothing(smoothing)
    seen = jax.nn.one_hot(symbols, num_symbols, dtype=jnp.result_type(float))
    return _log_rows(jnp.cumsum(seen, axis=0) - seen, smoothing)


def bigram(symbols: Int[Array, " time"], num_symbols: int, *, smoothing: float = 1.0) -> Float[Array, "time symbol"]:
    """ln of the add-``smoothing`` frequencies of what followed the symbol s_{t−1} among pairs before t.

    Row t is [N(s_{t−1} → j) + s] / [N(s_{t−1} → ·) + s·n] over the pairs (s_{i−1}, s_i) with i < t; rows 0
    and 1, and rows whose last symbol is new, are uniform. Memory is time² plus time × symbol.

    Raises:
        ValueError: ``smoothing`` not positive.
    """
    _check_smoothing(smoothing)
    dtype = jnp.result_type(float)
    time = symbols.shape[0]
    index = jnp.arange(time, dtype=jnp.int32)
    before = jnp.roll(symbols, 1)
    # follows[t, i]: item i < t came after the same symbol as item t did (item 0 came after nothing).
    follows = (before[:, None] == before) & (index < index[:, None]) & (index > 0)
    counts = follows.astype(dtype) @ jax.nn.one_hot(symbols, num_symbols, dtype=dtype)
    return _log_rows(counts, smoothing)


def autoregression(values: Float[Array, " time"], edges: Float[Array, " edge"]) -> Float[Array, "time edge-1"]:
    """ln cell masses of N(a + b·x_{t−1}, σ²), with (a, b, σ) from least squares on the pairs before t.

    σ² is the residual sum of squares over (pairs − 2), but never below w²/12 for the mean cell width w:
    values known to one cell support no sharper law. Before three pairs exist (rows 0 to 3) the law is
    uniform over the grid.
    """
    return polynomial_autoregression(values, edges, 1)


def _log_rows(counts: Float[Array, "time symbol"], smoothing: float) -> Float[Array, "time symbol"]:
    weight = counts + smoothing
    return jnp.log(weight) - jnp.log(jnp.sum(weight, axis=1, keepdims=True))


def _check_smoothing(smoothing: float) -> None:
    if not smoothing > 0:
        raise ValueError(
            f"smoothing: got {smoothing}; expected a positive number; use 1 for symbols, 0.05 for 100 cells"
        )
