"""Ideal observers of linear Gaussian systems: the class is known, every coefficient and the noise are not.

Each reads ``codes`` [time], the cells in which the numbers were written, takes the centre of a cell for the value, and
gives ln masses [time, bin] of the exact posterior predictive of :mod:`analyses.conjugate`, row t from items before t.
Rows before the first prediction are uniform over the grid. Units are those of the grid: its middle is 0 and its span
1, or the logarithm.

A centre is off the value by a uniform error of variance w²/12, w the width of a cell. The regression takes it for part
of the noise. Against :mod:`analyses.cell_filter`, which reads cells as cells, a random walk pays for this 0.12 nats an
item at σ = w/2, 0.03 at σ = w, 0.002 at σ = 1.5 w and nothing at 3 w.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .conjugate import running_regression, weak_prior
from .student_masses import StudentT, student_log_masses

#: Scale of the noise under the prior, a Cauchy scale: spans of the grid, or units of relative growth.
NOISE = 0.1
#: Spread of a coefficient under the prior, in units of the noise: a drift, and any other.
DRIFT_SPREAD = 1.0
SPREAD = 100.0


def linear_predictive(
    codes: Int[Array, " time"], edges: Float[Array, " edge"], order: int
) -> Float[Array, "time edge-1"]:
    """x_t = c + φ₁ x_{t−1} + ... + φ_p x_{t−p} + σ ε for the ``order`` p: 0 independent Gaussians, 1 the
    Ornstein–Uhlenbeck process at equal intervals, 2 an autoregression of second order.

    Prior: c and φ_i ~ N(0, (100 σ)²), σ² ~ InverseGamma(½, ½ 0.1²). It knows nothing of stationarity. Rows 0 to
    p − 1 are uniform.

    Raises:
        ValueError: a negative order.
    """
    if order < 0:
        raise ValueError(f"linear_predictive: got order {order}; expected at least 0; use 0 for independent values")
    x, grid = _centred(codes, edges)
    time = x.shape[0]
    lags = [x[order - lag : max(order, time) - lag] for lag in range(1, order + 1)]
    features = jnp.stack([jnp.ones_like(x[order:]), *lags], axis=1)
    laws, _ = running_regression(weak_prior(order + 1, spread=SPREAD, noise=NOISE), features, x[order:])
    return _after(order, laws, grid, time)


def random_walk_predictive(codes: Int[Array, " time"], edges: Float[Array, " edge"]) -> Float[Array, "time edge-1"]:
    """x_t = x_{t−1} + μ + σ ε: Brownian motion with drift at equal intervals.

    Prior: μ ~ N(0, σ²), a drift no larger than the steps, σ² ~ InverseGamma(½, ½ 0.1²). Row 0 is uniform.
    """
    x, grid = _centred(codes, edges)
    steps, _ = running_regression(
        weak_prior(1, spread=DRIFT_SPREAD, noise=NOISE), jnp.ones_like(x[1:, None]), jnp.diff(x)
    )
    return _after(1, steps._replace(location=x[:-1] + steps.location), grid, x.shape[0])


def geometric_walk_predictive(codes: Int[Array, " time"], edges: Float[Array, " edge"]) -> Float[Array, "time edge-1"]:
    """ln x_t = ln x_{t−1} + μ + σ ε: geometric Brownian motion; a random walk in the logarithm, same prior.

    Values are positive, so cells below 0 get no mass, and of a cell that holds 0 the positive part counts. The noise of
    writing is not small here: it is w/x in the logarithm, whatever σ.
    """
    positive = jnp.maximum(edges, 0)
    centres = jnp.maximum(0.5 * (positive[1:] + positive[:-1]), jnp.finfo(edges.dtype).tiny)
    log_x = jnp.log(centres[codes])
    log_edges = jnp.where(positive > 0, jnp.log(jnp.where(positive > 0, positive, 1)), -jnp.inf)
    steps, _ = running_regression(
        weak_prior(1, spread=DRIFT_SPREAD, noise=NOISE), jnp.ones_like(log_x[1:, None]), jnp.diff(log_x)
    )
    return _after(1, steps._replace(location=log_x[:-1] + steps.location), log_edges, codes.shape[0], edges)


def proportional_walk_predictive(
    codes: Int[Array, " time"], edges: Float[Array, " edge"]
) -> Float[Array, "time edge-1"]:
    """x_t = x_{t−1} + μ + σ x_{t−1} ε: the "geometric" Brownian motion of arXiv 2402.00795, whose drift is added.

    A regression of the step on a constant with known relative noise scale s = √E[x²] over the last value's cell. Zero
    must be the zero of ``edges``. Prior: μ ~ N(0, (σ/10)²) in spans of the grid, σ² ~ InverseGamma(½, ½ 0.1²).
    Row 0 is uniform.
    """
    span = edges[-1] - edges[0]
    centres = 0.5 * (edges[1:] + edges[:-1])
    x, width = centres[codes] / span, (jnp.diff(edges) / span)[codes]
    scales = jnp.sqrt(x**2 + width**2 / 12)[:-1]
    prior = weak_prior(1, spread=DRIFT_SPREAD / 10, noise=NOISE)
    steps, _ = running_regression(prior, jnp.ones_like(x[1:, None]), jnp.diff(x), scales)
    return _after(1, steps._replace(location=x[:-1] + steps.location), edges / span, x.shape[0])


def _centred(codes: Int[Array, " time"], edges: Float[Array, " edge"]) -> tuple[Array, Array]:
    """Cell centres and edges in units where the grid is [−½, ½]."""
    grid = (edges - 0.5 * (edges[0] + edges[-1])) / (edges[-1] - edges[0])
    return (0.5 * (grid[1:] + grid[:-1]))[codes], grid


def _after(
    first: int, laws: StudentT, grid: Float[Array, " edge"], time: int, plain: Float[Array, " edge"] | None = None
) -> Float[Array, "time edge-1"]:
    """Masses of the laws, after ``first`` rows that are uniform on the ``plain`` grid."""
    width = jnp.diff(grid if plain is None else plain)
    uniform = jnp.broadcast_to(jnp.log(width / jnp.sum(width)), (min(first, time), width.shape[0]))
    return jnp.concatenate([uniform, jax.vmap(student_log_masses, in_axes=(0, None))(laws, grid)])
