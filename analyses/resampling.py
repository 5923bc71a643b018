"""Uncertainty over independent trajectories: quantile bands and the bootstrap.

The unit that is resampled is the whole trajectory, because points of one trajectory depend on each other.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree


class Band(NamedTuple):
    """A central value and an interval around it, each with the same shape (or tree of shapes)."""

    centre: PyTree[Array]
    low: PyTree[Array]
    high: PyTree[Array]


def quantile_band(curves: Float[Array, "trajectory *shape"], *, coverage: float = 0.9) -> Band:
    """Mean over trajectories, and the central interval that holds ``coverage`` of them, point by point.

    This is the spread *between* trajectories; for the uncertainty of their mean use :func:`bootstrap_band`.

    Raises:
        ValueError: ``coverage`` not in (0, 1).
    """
    low, high = _tails(coverage)
    mean = jnp.mean(curves, axis=0)
    return Band(mean, jnp.quantile(curves, low, axis=0), jnp.quantile(curves, high, axis=0))


def bootstrap(
    key: Key[Array, ""],
    statistic: Callable[[PyTree], PyTree],
    trajectories: PyTree[Array],
    *,
    num_resamples: int = 1000,
    batch_size: int = 50,
) -> PyTree[Array]:
    """``statistic`` of ``num_resamples`` resamples of the trajectories, drawn with replacement.

    ``trajectories`` is an array or tree of arrays with a common leading axis, resampled together. The
    result has a new leading axis [resample]. ``batch_size`` resamples are held in memory at a time.

    Raises:
        ValueError: the leading axes differ, or there are fewer than two trajectories.
    """
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(trajectories)}
    if len(counts) != 1 or min(counts) < 2:
        raise ValueError(
            f"bootstrap: got leading axes {sorted(counts)}; expected the same number >= 2 in every array; "
            "stack independent trajectories along the first axis"
        )
    (num_trajectories,) = counts

    drawn = jax.random.randint(key, (num_resamples, num_trajectories), 0, num_trajectories, jnp.int32)

    def one(chosen: Int[Array, " trajectory"]) -> PyTree:
        return statistic(jax.tree.map(lambda leaf: leaf[chosen], trajectories))

    return jax.lax.map(one, drawn, batch_size=min(batch_size, num_resamples))


def bootstrap_band(
    key: Key[Array, ""],
    statistic: Callable[[PyTree], PyTree],
    trajectories: PyTree[Array],
    *,
    coverage: float = 0.95,
    num_resamples: int = 1000,
) -> Band:
    """``statistic`` of all trajectories, with its percentile bootstrap interval over trajectories.

    With few trajectories the interval is too short: the variance of a resampled mean is (n−1)/n of the
    right one and the tails are not Student's, so at n = 10 a nominal 95 % covers about 90 %.

    Raises:
        ValueError: ``coverage`` not in (0, 1), or as :func:`bootstrap`.
    """
    low, high = _tails(coverage)
    resampled = bootstrap(key, statistic, trajectories, num_resamples=num_resamples)
    return Band(
        statistic(trajectories),
        jax.tree.map(lambda leaf: jnp.quantile(leaf, low, axis=0), resampled),
        jax.tree.map(lambda leaf: jnp.quantile(leaf, high, axis=0), resampled),
    )


def _tails(coverage: float) -> tuple[float, float]:
    if not 0 < coverage < 1:
        raise ValueError(f"band: got coverage {coverage}; expected a number in (0, 1); 0.9 means 90 %")
    return (1 - coverage) / 2, (1 + coverage) / 2
