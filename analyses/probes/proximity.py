"""Proximity error of arXiv 2310.02207: how many others' predictions lie nearer to the truth than one's own.

0 is perfect and ½ is chance, as for predictions independent of the truth p_i and p_j are as likely to be the nearer
one. The published error counts "strictly nearer" only, and among n rows including the row itself. A predictor that
says the same of everyone is then perfect, since no one is nearer. Here a tie counts half, and the row itself is left
out: a constant predictor gets exactly ½. ``strict=True`` gives the published count.

A row that is not chosen by ``weight`` is compared with the chosen ones, all of them others to it. NaN for a row whose
truth or prediction is NaN or that has no others. Not to be read alone: it hides the size of errors (a desk of
headlines with R² < −1 had 0.3).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .subsets import Weight, ratio, row_weights


def proximity_error(
    true: Float[Array, "entity target"],
    predicted: Float[Array, "entity target"],
    weight: Weight = None,
    *,
    distance: Callable[[Float[Array, " target"], Float[Array, " target"]], Float[Array, ""]],
    block: int = 256,
    strict: bool = False,
) -> Float[Array, " entity"]:
    r"""Share of the other chosen rows whose prediction is nearer to the truth of row i, a tie counting half.

    .. math:: \mathrm{PE}_i = \frac{1}{n - 1} \sum_{j \ne i}
        [d(t_i, p_j) < d(t_i, p_i)] + \tfrac12 [d(t_i, p_j) = d(t_i, p_i)]

    n is the number of chosen rows. ``strict``: :math:`\frac1n \sum_j [d(t_i, p_j) < d(t_i, p_i)]`, as published.

    Args:
        distance: of a truth [target] and a prediction [target], in any units; only the order matters.
        block: rows compared at a time; memory is a few times block · n numbers, time is O(n²).

    Raises:
        ValueError: ``block`` < 1.
    """
    if block < 1:
        raise ValueError(f"proximity_error: got block {block}; expected at least 1; use 256")
    count = true.shape[0]
    w = row_weights(weight, predicted)
    pairs = jax.vmap(jax.vmap(distance, in_axes=(None, 0)), in_axes=(0, None))

    def of_block(index: Int[Array, " block"]) -> tuple[Array, Array, Array]:
        apart = pairs(true[index], predicted)
        # Read from the same array: computed apart, a row's own distance may differ in its last digit.
        own = jnp.take_along_axis(apart, index[:, None], axis=1)
        same = jnp.all(predicted[index][:, None] == predicted, axis=-1)
        nearer, tied = (apart < own) & ~same, (apart == own) | same
        by_weight = [jnp.matmul(rows.astype(w.dtype), w, precision="highest") for rows in (nearer, tied)]
        return by_weight[0], by_weight[1], jnp.isnan(own[:, 0])

    size = max(1, min(block, count))
    rows = jnp.arange(-(-count // size) * size, dtype=jnp.int32) % max(1, count)  # whole blocks: one compilation
    sums = jax.lax.map(of_block, rows.reshape(-1, size))
    nearer, tied, unknown = (array.reshape(-1)[:count] for array in sums)
    return jnp.where(unknown, jnp.nan, _share(nearer, tied, w, strict))


def proximity_error_line(
    true: Float[Array, " entity"], predicted: Float[Array, " entity"], weight: Weight = None, *, strict: bool = False
) -> Float[Array, " entity"]:
    """:func:`proximity_error` for d = |t − p|, by sorting: O(n log n) time, O(n) memory.

    A prediction is nearer to t_i than p_i if it lies strictly between p_i and its mirror image 2 t_i − p_i. Only for
    ties across the mirror can rounding make it differ from the other function.
    """
    w = row_weights(weight, predicted)
    order = jnp.argsort(predicted)
    places = predicted[order]
    up_to = jnp.concatenate((jnp.zeros(1, w.dtype), jnp.cumsum(w[order])))
    mirror = 2 * true - predicted
    low, high = jnp.minimum(predicted, mirror), jnp.maximum(predicted, mirror)
    inside = up_to[jnp.searchsorted(places, high, side="left")] - up_to[jnp.searchsorted(places, low, side="right")]
    closed = up_to[jnp.searchsorted(places, high, side="right")] - up_to[jnp.searchsorted(places, low, side="left")]
    nearer = jnp.maximum(inside, 0)  # minus the number of ties where the interval is a point
    return jnp.where(jnp.isnan(mirror), jnp.nan, _share(nearer, closed - nearer, w, strict))


def _share(
    nearer: Float[Array, " entity"], tied: Float[Array, " entity"], weight: Float[Array, " entity"], strict: bool
) -> Float[Array, " entity"]:
    """The error from the weight of the nearer rows and of the tied rows, among which a chosen row finds itself."""
    total = jnp.sum(weight)
    if strict:
        return ratio(nearer, total)
    itself = jnp.minimum(weight, 1)
    return ratio(nearer + 0.5 * (tied - itself), total - itself)
