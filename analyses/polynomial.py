"""Autoregression on a polynomial of the last value: least squares on the past, one row at a time."""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from .histograms import gaussian_log_masses
from .log_space import safe_sqrt

#: A mean further than this many grid spans from the grid's middle is drawn in to there: a polynomial fitted on a
#: narrow past may send it so far that rounding leaves no cell any mass.
FARTHEST_MEAN = 100.0

#: What of a power is left beside the lower ones is rounding when below this many units in the last place of it.
ROUNDING = 64


def polynomial_autoregression(
    values: Float[Array, " time"], edges: Float[Array, " edge"], degree: int
) -> Float[Array, "time edge-1"]:
    """ln cell masses of N(Σ_k a_k·x_{t−1}^k, σ²), k = 0..``degree``, by least squares on the pairs before t.

    σ² is the residual sum of squares over (pairs − degree − 1), but never below w²/12 for the mean cell
    width w: values known to one cell support no sharper law. Before ``degree`` + 2 pairs exist (rows 0 to
    ``degree`` + 2) the law is uniform over the grid. Powers that the past cannot tell from lower ones (too
    few distinct values) are left out. Degree 1 is :func:`analyses.nulls.autoregression`, degree 2 the
    "quad" baseline of arXiv 2402.00795, which lets a spurious zero and no degrees of freedom into its σ.

    Raises:
        ValueError: ``degree`` < 1.
    """
    if degree < 1:
        raise ValueError(f"polynomial_autoregression: got degree {degree}; expected at least 1; use 1 or 2")
    centre, span = 0.5 * (edges[0] + edges[-1]), edges[-1] - edges[0]
    grid = (edges - centre) / span
    y = (values - centre) / span  # a fixed map, so no row sees the future
    powers = jnp.vander(2 * y, degree + 1, increasing=True)  # of numbers in [−1, 1]
    blind_rows = min(degree + 3, y.shape[0])
    # Row t has the pairs up to item t − 1, which are factors[t − 2].
    factors = _running_factors(jnp.concatenate([powers[:-1], y[1:, None]], axis=1))[blind_rows - 2 : -1]
    num_pairs = jnp.arange(factors.shape[0]) + blind_rows - 1
    coefficients, squares = jax.vmap(_solve)(factors)
    mean = jnp.sum(coefficients * powers[blind_rows - 1 : -1], axis=1)
    resolution = jnp.mean(jnp.diff(grid)) ** 2 / 12
    sd = jnp.sqrt(jnp.maximum(squares / (num_pairs - degree - 1), resolution))
    mean = jnp.clip(mean, -FARTHEST_MEAN, FARTHEST_MEAN)
    fitted = jax.vmap(gaussian_log_masses, in_axes=(0, 0, None))(mean, sd, grid)
    uniform = jnp.broadcast_to(jnp.log(jnp.diff(grid)), (blind_rows, grid.shape[0] - 1))
    return jnp.concatenate([uniform, fitted])


def _running_factors(rows: Float[Array, "pair column"]) -> Float[Array, "pair column column"]:
    """The triangular factor R of the first 1, 2, ... rows: RᵀR is their matrix of squares and products.

    Givens rotations take the rows in one by one. Products of raw powers would square the condition number.
    """
    num_columns = rows.shape[1]

    def absorb(factor: Array, row: Array) -> tuple[Array, Array]:
        for k in range(num_columns):
            length = safe_sqrt(factor[k, k] ** 2 + row[k] ** 2)
            turns = length > 0
            divisor = jnp.where(turns, length, 1)
            cosine, sine = jnp.where(turns, factor[k, k] / divisor, 1), row[k] / divisor
            rotated = cosine * factor[k] + sine * row
            row = cosine * row - sine * factor[k]
            factor = factor.at[k].set(rotated)
        return factor, factor

    return jax.lax.scan(absorb, jnp.zeros((num_columns, num_columns), rows.dtype), rows)[1]


def _solve(factor: Float[Array, "column column"]) -> tuple[Float[Array, " power"], Float[Array, ""]]:
    """Least-squares coefficients of the last column on the others, and the residual sum of squares."""
    triangle, target = factor[:-1, :-1], factor[:, -1]
    size = jnp.linalg.norm(jax.lax.stop_gradient(triangle), axis=0)
    # With m distinct values power m and all above it lie in the span of those below, so the first one ends it.
    told_apart = jnp.diagonal(triangle) > ROUNDING * jnp.finfo(factor.dtype).eps * size
    known = jnp.cumprod(told_apart.astype(jnp.int32)) > 0
    triangle = jnp.where(known[:, None], triangle, jnp.eye(known.shape[0], dtype=factor.dtype))
    coefficients = solve_triangular(triangle, jnp.where(known, target[:-1], 0))
    unexplained = jnp.sum(jnp.where(known, 0, target[:-1]) ** 2) + target[-1] ** 2
    return coefficients, unexplained
