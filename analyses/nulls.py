"""Predictors that do not read: what counting and one straight line achieve on the same series.

Every row t is ln of a law of item t that uses items before t only, so it can be compared with a language
model's law of the same item.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .histograms import gaussian_log_masses


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
    centre, span = 0.5 * (edges[0] + edges[-1]), edges[-1] - edges[0]
    grid = (edges - centre) / span
    y = (values - centre) / span  # a fixed map, so no row sees the future
    past = _running_sums(y[:-1], y[1:])
    # Row t has the pairs up to item t − 1, which are past[t − 2]; rows 4, 5, ... have at least three.
    fitted_past = jax.tree.map(lambda leaf: leaf[2:-1], past)
    resolution = jnp.mean(jnp.diff(grid)) ** 2 / 12
    mean, sd = jax.vmap(_line, in_axes=(0, 0, None))(fitted_past, y[3:-1], resolution)
    fitted = jax.vmap(gaussian_log_masses, in_axes=(0, 0, None))(mean, sd, grid)
    uniform = jnp.broadcast_to(jnp.log(jnp.diff(grid)), (min(4, y.shape[0]), grid.shape[0] - 1))
    return jnp.concatenate([uniform, fitted])


class _PairSums(NamedTuple):
    """Count, means and centred sums of a set of pairs (x, y)."""

    num_pairs: Array
    mean_x: Array
    mean_y: Array
    xx: Array
    xy: Array
    yy: Array


def _running_sums(x: Float[Array, " pair"], y: Float[Array, " pair"]) -> _PairSums:
    """Sums over the pairs up to and including each one, updated without the cancellation of raw squares."""

    def add(sums: _PairSums, pair: tuple[Array, Array]) -> tuple[_PairSums, _PairSums]:
        num_pairs = sums.num_pairs + 1
        dx, dy = pair[0] - sums.mean_x, pair[1] - sums.mean_y
        mean_x, mean_y = sums.mean_x + dx / num_pairs, sums.mean_y + dy / num_pairs
        rest_x, rest_y = pair[0] - mean_x, pair[1] - mean_y
        grown = _PairSums(
            num_pairs, mean_x, mean_y, sums.xx + dx * rest_x, sums.xy + dx * rest_y, sums.yy + dy * rest_y
        )
        return grown, grown

    zero = jnp.zeros((), x.dtype)
    return jax.lax.scan(add, _PairSums(zero, zero, zero, zero, zero, zero), (x, y))[1]


def _line(sums: _PairSums, x: Float[Array, ""], resolution: Float[Array, ""]) -> tuple[Array, Array]:
    """Least-squares mean at x and residual sd, at least √resolution; slope 0 when the past never moved."""
    moves = sums.xx > 0
    slope = jnp.where(moves, sums.xy / jnp.where(moves, sums.xx, 1), 0)
    variance = (sums.yy - slope * sums.xy) / (sums.num_pairs - 2)
    return sums.mean_y + slope * (x - sums.mean_x), jnp.sqrt(jnp.maximum(variance, resolution))


def _log_rows(counts: Float[Array, "time symbol"], smoothing: float) -> Float[Array, "time symbol"]:
    weight = counts + smoothing
    return jnp.log(weight) - jnp.log(jnp.sum(weight, axis=1, keepdims=True))


def _check_smoothing(smoothing: float) -> None:
    if not smoothing > 0:
        raise ValueError(
            f"smoothing: got {smoothing}; expected a positive number; use 1 for symbols, 0.05 for 100 cells"
        )
