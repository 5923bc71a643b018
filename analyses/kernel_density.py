"""Kernel density estimates whose kernel has a shape, and the estimate that resembles a given law most.

    K_s(x) = κs / [2Γ(1/s)] · exp(−(κ|x|)^s),   κ = √(Γ(3/s) / Γ(1/s)), so that the variance is 1.

s = 1 is the Laplace and s = 2 the Gaussian kernel, s → ∞ the box, and s < 1 a peak with long tails. The estimate
from x_0 .. x_{n−1} is (1/nh) Σ K_s((x − x_i)/h); its cell masses are exact, through the regularised incomplete
gamma function. Bandwidths h have the unit of ``edges``. Source: arXiv 2410.05218 ("bespoke" estimator).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaincc, gammaln
from jaxtyping import Array, Bool, Float, Int

from .divergences import kl_divergence
from .log_space import safe_log

#: Bandwidths searched by :func:`fit_kernel`, in display units (tenths of the grid), and shapes: as published.
BANDWIDTH_RANGE = (1e-3, 100.0)
SHAPE_RANGE = (0.05, 10.0)
#: The published start of the search; here one of several.
START = (0.05, 2.0)
GRID = (32, 16)
STRIPS = 2
STEPS = 60
STILL = 1e-9  # a move in (ln h, ln s) that ends the descent
AT_BOUND = 1e-4  # in ln h and ln s

FAR = 800.0  # Γ(a, 800) is below the least float64 for every a of the range


class KernelFit(NamedTuple):
    """The kernel whose estimate is nearest to a law."""

    bandwidth: Float[Array, ""]  #: h, the standard deviation of the kernel, in the unit of the edges
    shape: Float[Array, ""]  #: s
    divergence: Float[Array, ""]  #: KL(law‖estimate) left over, in nats
    at_bound: Bool[Array, ""]  #: h or s ended at an end of its range: there is no best kernel inside


def log_kernel(x: Float[Array, "*shape"], shape: float | Float[Array, ""]) -> Float[Array, "*shape"]:
    """ln K_s(x) of the kernel of unit variance."""
    log_scale = _log_scale(shape)
    apart = x != 0
    log_x = jnp.log(jnp.where(apart, jnp.abs(x), 1))
    power = jnp.where(apart, jnp.exp(shape * (log_scale + log_x)), 0)
    return log_scale + jnp.log(0.5 * shape) - gammaln(1 / jnp.asarray(shape)) - power


def kernel_density(
    samples: Float[Array, " sample"],
    edges: Float[Array, " edge"],
    bandwidth: float | Float[Array, ""],
    shape: float | Float[Array, ""],
) -> Float[Array, " edge-1"]:
    """ln cell masses of the estimate from any samples on any grid, renormalised over the grid.

    Memory is sample × edge. For numbers that are known to their cell of an even grid,
    :func:`counts_density` gives the same at a fraction of the cost.
    """
    z = (edges - samples[:, None]) / bandwidth
    tail = _upper_tail(jnp.abs(z), shape)
    left, right = tail[:, :-1], tail[:, 1:]
    around = (z[:, :-1] < 0) & (z[:, 1:] > 0)
    # Cells on one side of the sample are differences of the nearer tail, which keeps far ones exact.
    mass = jnp.where(around, 1 - left - right, jnp.abs(left - right))
    return _normalised(jnp.sum(mass, axis=0))


def counts_density(
    counts: Float[Array, " bin"],
    edges: Float[Array, " bin+1"],
    bandwidth: float | Float[Array, ""],
    shape: float | Float[Array, ""],
) -> Float[Array, " bin"]:
    """ln cell masses of the estimate from ``counts`` of samples at the centres of *equal* cells.

    Counts may be any weights; all zero gives NaN. Renormalised over the grid. Differentiable in everything.
    """
    num_bins = counts.shape[0]
    width = (edges[-1] - edges[0]) / num_bins
    boundary = (jnp.arange(num_bins, dtype=counts.dtype) + 0.5) * (width / bandwidth)
    tail = _upper_tail(boundary, shape)
    own = 1 - 2 * tail[0]
    by_distance = jnp.concatenate([own[None], tail[:-1] - tail[1:]])
    index = np.arange(num_bins)
    return _normalised(by_distance[np.abs(index[:, None] - index)] @ counts)


def counts_before(codes: Int[Array, " time"], num_bins: int) -> Float[Array, "time bin"]:
    """How often each cell occurs among the items before t, one row a t."""
    seen = jax.nn.one_hot(codes, num_bins, dtype=jnp.result_type(float))
    return jnp.cumsum(seen, axis=0) - seen


def running_kernel_density(
    codes: Int[Array, " time"],
    edges: Float[Array, " edge"],
    bandwidth: Float[Array, " time"],
    shape: Float[Array, " time"],
) -> Float[Array, "time edge-1"]:
    """ln masses of item t from the items before it, with the kernel (h_t, s_t); item 0 gets the uniform law.

    A row whose bandwidth is NaN is uniform too. The cells must be equal.
    """
    counts = counts_before(codes, edges.shape[0] - 1)
    known = (jnp.sum(counts, axis=1) > 0) & ~jnp.isnan(bandwidth)
    filled = jnp.where(known[:, None], counts, 1)
    width = jnp.where(known, bandwidth, 1)
    law = jax.vmap(counts_density, in_axes=(0, None, 0, 0))(filled, edges, width, shape)
    uniform = -jnp.log(jnp.asarray(counts.shape[1], law.dtype))
    return jnp.where(known[:, None], law, uniform)


def silverman_bandwidth(counts: Float[Array, " bin"], edges: Float[Array, " bin+1"]) -> Float[Array, ""]:
    """h = σ̂ (4/3n)^{1/5}: the best Gaussian kernel if the samples were Gaussian. NaN for fewer than two.

    σ̂ is the sample standard deviation (n − 1) of the cell centres, at least w/√12: a number known to one cell
    of width w supports no sharper law. Source: Silverman 1986, as in SciPy's ``gaussian_kde``.
    """
    centre = 0.5 * (edges[1:] + edges[:-1])
    n = jnp.sum(counts)
    enough = n > 1
    mean = counts @ centre / jnp.where(enough, n, 2)
    variance = counts @ (centre - mean) ** 2 / jnp.where(enough, n - 1, 1)
    resolution = jnp.mean(jnp.diff(edges)) ** 2 / 12
    sd = jnp.sqrt(jnp.maximum(variance, resolution))
    return jnp.where(enough, sd * (4 / (3 * jnp.where(enough, n, 2))) ** 0.2, jnp.nan)


def silverman(codes: Int[Array, " time"], edges: Float[Array, " edge"]) -> Float[Array, "time edge-1"]:
    """ln masses of item t by a Gaussian kernel of Silverman's bandwidth on the items before it.

    Rows 0 and 1, before two items are known, are uniform. The cells must be equal.
    """
    counts = counts_before(codes, edges.shape[0] - 1)
    bandwidth = jax.vmap(silverman_bandwidth, in_axes=(0, None))(counts, edges)
    return running_kernel_density(codes, edges, bandwidth, jnp.full_like(bandwidth, 2.0))


@jax.jit
def fit_kernel(
    log_mass: Float[Array, " bin"], counts: Float[Array, " bin"], edges: Float[Array, " bin+1"]
) -> KernelFit:
    """argmin over (h, s) of KL(law‖estimate), for a law ``log_mass`` that is read as an estimate from ``counts``.

    Searched in (ln h, ln s) inside the published ranges: a grid finds the best start in each of ``STRIPS``
    strips of s, the published start is added, and from each of them damped Fisher scoring descends; the best
    end is returned. Where many kernels give the same masses (all h far below a cell) it is one of them. The
    cells must be equal. Not differentiable. NaN law or empty counts: NaN.
    """
    law, counts = jax.lax.stop_gradient((jnp.exp(log_mass), counts))
    unit = (edges[-1] - edges[0]) / 10
    dtype = law.dtype
    low, high = (jnp.log(jnp.stack([h * unit, jnp.asarray(s, dtype)])) for h, s in zip(BANDWIDTH_RANGE, SHAPE_RANGE))

    def log_estimate(position: Float[Array, " 2"]) -> Float[Array, " bin"]:
        bandwidth, shape = jnp.exp(position)
        return counts_density(counts, edges, bandwidth, shape)

    def divergence(position: Float[Array, " 2"]) -> Float[Array, ""]:
        return kl_divergence(log_estimate(position), law)

    axes = [jnp.linspace(low[i], high[i], GRID[i], dtype=dtype) for i in (0, 1)]
    nodes = jnp.stack(jnp.meshgrid(*axes), axis=-1)  # [shape, bandwidth, 2]
    strips = nodes.reshape(STRIPS, -1, 2)
    value = jax.lax.map(divergence, nodes.reshape(-1, 2), batch_size=64).reshape(STRIPS, -1)
    best = jnp.take_along_axis(strips, jnp.argmin(value, axis=1)[:, None, None], axis=1)[:, 0]
    published = jnp.log(jnp.stack([START[0] * unit, jnp.asarray(START[1], dtype)]))
    starts = jnp.concatenate([best, published[None]])
    ends, left = jax.vmap(lambda start: _descend(log_estimate, law, start, low, high))(starts)
    position, rest = ends[jnp.argmin(left)], jnp.min(left)
    found = jnp.isfinite(rest)
    at_bound = found & jnp.any((position < low + AT_BOUND) | (position > high - AT_BOUND))
    bandwidth, shape = jnp.where(found, jnp.exp(position), jnp.nan)
    return KernelFit(bandwidth, shape, jnp.where(found, jnp.maximum(rest, 0), jnp.nan), at_bound)


class _Search(NamedTuple):
    """The best point so far with what the next step needs, and how far that step is trusted."""

    position: Array  # (ln h, ln s)
    value: Array
    slope: Array  # gradient of the divergence
    information: Array  # Fisher information of the estimate
    damping: Array
    moved: Array


def _descend(log_estimate, law: Array, start: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Fisher scoring with Levenberg–Marquardt damping inside a box: (position, divergence) at the end."""

    def with_itself(position: Array) -> tuple[Array, Array]:
        log_mass = log_estimate(position)
        return log_mass, log_mass

    def step(at: _Search) -> _Search:
        position = jnp.clip(at.position + _damped_move(at, low, high), low, high)
        score, log_mass = jax.jacfwd(with_itself, has_aux=True)(position)  # [bin, 2]
        information = score.T @ (jnp.exp(log_mass)[:, None] * score)
        value = kl_divergence(log_mass, law)
        moved = jnp.max(jnp.abs(position - at.position))
        better = _Search(position, value, -law @ score, information, at.damping / 8, moved)
        worse = at._replace(damping=at.damping * 8, moved=moved)
        return jax.tree.map(lambda new, old: jnp.where(value < at.value, new, old), better, worse)

    def restless(state: tuple[Array, _Search]) -> Array:
        count, at = state
        return (count < STEPS) & ((at.moved > STILL) | (count < 2))

    # Without slope the first step stays where it is, which evaluates the start; the second one moves.
    zero = jnp.zeros_like(start)
    unknown = _Search(start, jnp.asarray(jnp.inf, law.dtype), zero, jnp.outer(zero, zero), zero[0] + 1e-2, zero[0])
    _, last = jax.lax.while_loop(
        restless, lambda state: (state[0] + 1, step(state[1])), (jnp.asarray(0, jnp.int32), unknown)
    )
    return last.position, last.value


def _damped_move(at: _Search, low: Array, high: Array) -> Array:
    """−(F + damping·diag F)⁻¹ slope, at most 1 in each coordinate."""
    # A coordinate at the end of its range that wants to leave is held; the other moves alone.
    free = ~(((at.position <= low) & (at.slope > 0)) | ((at.position >= high) & (at.slope < 0)))
    diagonal = jnp.diag(at.information) * (1 + at.damping) + jnp.finfo(at.slope.dtype).eps
    off = jnp.where(jnp.all(free), at.information[0, 1], 0)
    determinant = diagonal[0] * diagonal[1] - off**2
    move = -(diagonal[::-1] * at.slope - off * at.slope[::-1]) / determinant
    return jnp.clip(jnp.where(free, move, 0), -1, 1)


def _log_scale(shape: float | Array) -> Array:
    """ln κ, κ = √(Γ(3/s) / Γ(1/s))."""
    inverse = 1 / jnp.asarray(shape)
    return 0.5 * (gammaln(3 * inverse) - gammaln(inverse))


def _upper_tail(x: Float[Array, "*rest"], shape: float | Array) -> Float[Array, "*rest"]:
    """P(X > x) under K_s for x ≥ 0: ½ Γ(1/s, (κx)^s) / Γ(1/s). Its derivative at 0 is taken to be 0."""
    apart = x > 0
    exponent = shape * (_log_scale(shape) + jnp.log(jnp.where(apart, x, 1)))
    least = np.log(jnp.finfo(x.dtype).tiny)
    z = jnp.exp(jnp.clip(exponent, least, np.log(FAR)))
    return jnp.where(apart, 0.5 * gammaincc(1 / jnp.asarray(shape, x.dtype), z), 0.5)


def _normalised(mass: Float[Array, " bin"]) -> Float[Array, " bin"]:
    return safe_log(mass) - jnp.log(jnp.sum(mass))
