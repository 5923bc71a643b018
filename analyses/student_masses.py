"""Student's t law on a grid of cells, accurate in the logarithm however far the tail."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import betainc, betaln
from jaxtyping import Array, Float

from .log_space import log_sum_exp

#: Terms of the continued fraction; beyond the point where it is used, twelve agree with float64.
_FRACTION_TERMS = 16


class StudentT(NamedTuple):
    """location + scale · T, T Student with ``dof`` degrees of freedom; scale and dof are positive."""

    location: Float[Array, "*shape"]
    scale: Float[Array, "*shape"]
    dof: Float[Array, "*shape"]


def log_student_tail(t: Float[Array, "*shape"], dof: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """ln P(T > t) for t ≥ 0; −∞ at t = ∞.

    P(T > t) = ½ I_x(a, ½) with x = ν/(ν + t²), a = ν/2, from the library's incomplete beta function while
    that is far from underflow. Beyond, the same function in the logarithm:

    I_x(a, b) = x^a (1 − x)^b / [a B(a, b)] / (1 + d₁/(1 + d₂/(1 + ...))),

    whose fraction converges the faster, the farther the tail (Abramowitz and Stegun 26.5.8).
    """
    dtype = jnp.result_type(t, dof)
    half, a = jnp.broadcast_to(jnp.asarray(0.5, dtype), jnp.shape(t)), dof / 2
    ratio = t * (t / dof)
    x, rest = 1 / (1 + ratio), ratio / (1 + ratio)
    # Near the centre x rounds to 1, but the mass within t, the same function of 1 − x, keeps its digits.
    central = t < 1
    found = betainc(jnp.where(central, half, a), jnp.where(central, a, half), jnp.where(central, rest, x))
    both = jnp.where(central, 1 - found, found)
    is_near = both > jnp.sqrt(jnp.finfo(dtype).tiny)
    # The fraction is evaluated at 0 in the branch not taken, where it is 1.
    far_x = jnp.where(is_near, 0, x)
    prefactor = -a * jnp.log1p(ratio) + half * jnp.log1p(-far_x) - jnp.log(a) - betaln(a, half)
    far = prefactor - jnp.log(_beta_fraction(a, far_x))
    return jnp.where(is_near, jnp.log(jnp.where(is_near, both, 1)), far) - jnp.log(2.0).astype(dtype)


def student_log_masses(law: StudentT, edges: Float[Array, " edge"]) -> Float[Array, " edge-1"]:
    """ln of the cell masses of a Student law, renormalised over the grid; edges may start at −∞.

    As in :func:`analyses.gaussian_log_masses` each cell is computed in the tail it lies in. A cell so narrow
    against its distance that its ends cannot be told apart gets one rounding unit of the tail beyond it.
    """
    z = (edges - law.location) / law.scale
    tail = log_student_tail(jnp.abs(z), jnp.broadcast_to(law.dof, z.shape))
    rest = jnp.log1p(-jnp.exp(tail))
    below, above = jnp.where(z <= 0, tail, rest), jnp.where(z >= 0, tail, rest)
    upper = z[:-1] > 0
    outer, inner = jnp.where(upper, above[1:], below[:-1]), jnp.where(upper, above[:-1], below[1:])
    empty = jnp.isneginf(inner)
    gap = jnp.where(empty, -jnp.inf, outer - jnp.where(empty, 0, inner))
    gap = jnp.minimum(gap, -jnp.finfo(z.dtype).eps)
    log_mass = inner + jnp.log(-jnp.expm1(gap))
    return log_mass - log_sum_exp(log_mass)


def _beta_fraction(a: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1 + d₁/(1 + d₂/(1 + ...)) of I_x(a, ½), from its last term to its first."""
    b = 0.5
    value = jnp.ones_like(x)
    for m in reversed(range(_FRACTION_TERMS)):
        even = (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        value = 1 + odd / (1 + even / value)
    return value
