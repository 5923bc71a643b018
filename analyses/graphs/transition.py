r"""Where a curve turns: a continuous line of two straight pieces in ln(context).

.. math:: y = a + b\,u + c\,\max(0, u - u_0), \qquad u = \ln(\text{context})

For each break u₀ on a grid the rest is least squares; the best break is kept. Fitted over a window that reaches into
saturation the best break is its knee, so the window ends where saturation begins (:func:`pre_saturation`). A break with
a steeper second piece, larger than chance gives, is a transition.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from ..resampling import centre_and_resamples, resampled_interval

LEAST = 3
"""Points at a break or on either side of it."""

CHANCE = 6.0
"""5 % of straight lines with independent Gaussian errors have c > 0 and a larger F (simulated, 12 to 300 points)."""


class TwoSegments(NamedTuple):
    """``break_at`` in context; slopes a unit of ln(context); ``intercept`` a; ``residual`` the root mean square;
    ``gain`` its square's fall against one straight line, 0 to 1.

    ``is_transition``: the second piece is steeper, and F = (n - 4) gain / (1 - gain) exceeds 6, which 5 % of straight
    lines with independent errors do. Errors that go along with each other, as a moving average's, exceed it more often.
    """

    break_at: Float[Array, ""]
    before: Float[Array, ""]
    after: Float[Array, ""]
    intercept: Float[Array, ""]
    residual: Float[Array, ""]
    gain: Float[Array, ""]
    is_transition: Bool[Array, ""]


class TransitionInterval(NamedTuple):
    """Fit of the mean curve, 95 % interval of its break in context, and the share of draws of walks whose second piece
    is steeper."""

    estimate: TwoSegments
    low: Float[Array, ""]
    high: Float[Array, ""]
    share_rising: Float[Array, ""]


def two_segments(context: Float[Array, " point"], curve: Float[Array, " point"], breaks: int = 200) -> TwoSegments:
    """The best two pieces; the ``breaks`` tried run from the third point to the last but two, evenly in ln(context).

    Raises:
        ValueError: fewer than six points, or contexts that are not positive and ascending.
    """
    if context.shape[0] < 2 * LEAST:
        raise ValueError(f"Got {context.shape[0]} points. Expected {2 * LEAST} or more. Read longer sequences.")
    # By numpy: within a trace jnp would make a tracer of the verdict on known contexts.
    if not isinstance(context, jax.core.Tracer) and not (np.diff(np.asarray(context), prepend=0.0) > 0).all():
        raise ValueError("Got contexts that do not ascend from above 0. Expected so. Sort them, and leave 0 out.")
    return _two_segments(context, curve, breaks=breaks)


@functools.partial(jax.jit, static_argnames="breaks")
def _two_segments(context: Array, curve: Array, *, breaks: int) -> TwoSegments:
    u = jnp.log(context)
    grid = jnp.linspace(u[LEAST - 1], u[-LEAST], breaks)
    shift, level = u - u.mean(), curve.mean()
    curve = curve - level
    product = functools.partial(jnp.matmul, precision="highest")

    def at(u0: Array) -> tuple[Array, Array]:
        basis = jnp.stack((jnp.ones_like(u), shift, jnp.maximum(0, u - u0)), axis=1)
        q, r = jnp.linalg.qr(basis)
        projected = product(q.T, curve)
        return jnp.sum((curve - product(q, projected)) ** 2), jax.scipy.linalg.solve_triangular(r, projected)

    squares, weights = jax.vmap(at)(grid)
    best = jnp.argmin(squares)
    a, b, c = weights[best]
    line = jnp.sum(shift * curve) / jnp.sum(shift**2)
    straight = jnp.sum((curve - line * shift) ** 2)
    # What rounding leaves of an exact line is no curvature.
    rounding = u.size * (8 * jnp.finfo(u.dtype).eps * (jnp.max(jnp.abs(curve)) + jnp.abs(level))) ** 2
    curved = straight > rounding
    gain = jnp.clip(jnp.where(curved, 1 - squares[best] / jnp.where(curved, straight, 1), 0.0), 0, 1)
    sure = (u.size - 4) * gain > CHANCE * (1 - gain)
    return TwoSegments(
        break_at=jnp.exp(grid[best]),
        before=b,
        after=b + c,
        intercept=level + a - b * u.mean(),
        residual=jnp.sqrt(squares[best] / u.size),
        gain=gain,
        is_transition=(c > 0) & sure,
    )


@functools.partial(jax.jit, static_argnames=("share", "final"))
def pre_saturation(curve: Float[Array, " point"], share: float = 0.9, final: int = 5) -> Bool[Array, " point"]:
    """Points up to the first at ``share`` of the way from the curve's least to its level over the last ``final``.

    Noise reaches the level early: smooth the curve before (:func:`moving_average`). A curve that never rises is kept
    whole.

    Raises:
        ValueError: ``share`` not in (0, 1], or ``final`` not between 1 and the number of points.
    """
    if not 0 < share <= 1 or not 1 <= final <= curve.shape[0]:
        raise ValueError(
            f"Got share {share} and the last {final} of {curve.shape[0]} points. Expected a share in (0, 1] and at "
            "most all points. Choose others."
        )
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
    count: int = 500,
    breaks: int = 200,
) -> TransitionInterval:
    """:func:`two_segments` of the mean over walks, with an interval from ``count`` draws of walks with replacement.

    The interval is that of :func:`analyses.resampled_interval` in ln(context), as wide as few walks need, cut to the
    contexts read. It holds for these words on these nodes: walks of one placement share what the placement does.

    Raises:
        ValueError: fewer than two walks, or as :func:`two_segments`.
    """
    if curves.shape[0] < 2:
        raise ValueError(f"Got {curves.shape[0]} walk. Expected two or more. Read more walks.")
    estimate = two_segments(context, curves.mean(axis=0), breaks)
    return _interval(key, context, curves, estimate, count=count, breaks=breaks)


@functools.partial(jax.jit, static_argnames=("count", "breaks"))
def _interval(
    key: Array, context: Array, curves: Array, estimate: TwoSegments, *, count: int, breaks: int
) -> TransitionInterval:
    def fitted(chosen: Array) -> TwoSegments:
        return _two_segments(context, chosen.mean(axis=0), breaks=breaks)

    _, drawn = centre_and_resamples(key, fitted, curves, num_resamples=count)
    band = resampled_interval(jnp.log(estimate.break_at), jnp.log(drawn.break_at), curves.shape[0])
    low, high = (jnp.clip(jnp.exp(end), context[0], context[-1]) for end in (band.low, band.high))
    return TransitionInterval(estimate, low, high, jnp.mean(drawn.after > drawn.before))
