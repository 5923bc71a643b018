r"""Where a curve turns: a continuous line of two straight pieces in ln(context).

.. math:: y = a + b\,u + c\,\max(0, u - u_0), \qquad u = \ln(\text{context})

For each break u₀ on a grid the rest is least squares; the best break is kept. Fitted over a window that reaches into
saturation the best break is its knee, so the window ends where saturation begins (``pre_saturation``). A break with a
steeper second piece is a transition.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

LEAST = 3
"""Points on either side of a break."""


class TwoSegments(NamedTuple):
    """``break_at`` in context; slopes a unit of ln(context); ``residual`` the root mean square; ``gain`` its square's
    fall against one straight line, 0 to 1."""

    break_at: Float[Array, ""]
    before: Float[Array, ""]
    after: Float[Array, ""]
    intercept: Float[Array, ""]
    residual: Float[Array, ""]
    gain: Float[Array, ""]
    is_transition: Bool[Array, ""]


class TransitionInterval(NamedTuple):
    """Estimate from the mean curve, percentile interval over walks drawn anew, and the share of draws that rise."""

    estimate: TwoSegments
    low: Float[Array, ""]
    high: Float[Array, ""]
    share_rising: Float[Array, ""]


def two_segments(context: Float[Array, " point"], curve: Float[Array, " point"], breaks: int = 200) -> TwoSegments:
    """The best two pieces; breaks leave at least three points on either side."""
    u = jnp.log(context)
    grid = jnp.linspace(u[LEAST - 1], u[-LEAST], breaks)
    shift = u - u.mean()

    def at(u0: Array) -> tuple[Array, Array]:
        basis = jnp.stack((jnp.ones_like(u), shift, jnp.maximum(0, u - u0)), axis=1)
        q, r = jnp.linalg.qr(basis)
        projected = q.T @ curve
        left = curve - q @ projected
        return jnp.sum(left**2), jax.scipy.linalg.solve_triangular(r, projected)

    squares, weights = jax.vmap(at)(grid)
    best = jnp.argmin(squares)
    a, b, c = weights[best]
    line = jnp.sum(shift * curve) / jnp.sum(shift**2)
    straight = jnp.sum((curve - curve.mean() - line * shift) ** 2)
    gain = jnp.where(straight > 0, 1 - squares[best] / jnp.where(straight > 0, straight, 1), 0.0)
    return TwoSegments(jnp.exp(grid[best]), b, b + c, a - b * u.mean(), jnp.sqrt(squares[best] / u.size), gain, c > 0)


def pre_saturation(curve: Float[Array, " point"], share: float = 0.9, final: int = 5) -> Bool[Array, " point"]:
    """Points up to the first at ``share`` of the way from the curve's least to its level over the last ``final``."""
    low, level = jnp.min(curve), jnp.mean(curve[-final:])
    reached = curve >= low + share * (level - low)
    # What came before the least point does not count as reached.
    reached = reached & (jnp.arange(curve.size) >= jnp.argmin(curve))
    stop = jnp.where(jnp.any(reached), jnp.argmax(reached), curve.size)
    return jnp.arange(curve.size) <= stop


def bootstrap_transition(
    key: Key[Array, ""],
    context: Float[Array, " point"],
    curves: Float[Array, "walk point"],
    count: int = 400,
    breaks: int = 200,
) -> TransitionInterval:
    """``two_segments`` of the mean over walks, with 95 % of ``count`` draws of walks with replacement."""
    number = curves.shape[0]
    drawn = jax.random.randint(key, (count, number), 0, number)
    fits = jax.lax.map(lambda who: two_segments(context, curves[who].mean(axis=0), breaks), drawn)
    low, high = jnp.quantile(fits.break_at, jnp.array([0.025, 0.975]))
    return TransitionInterval(
        two_segments(context, curves.mean(axis=0), breaks), low, high, jnp.mean(fits.is_transition)
    )
