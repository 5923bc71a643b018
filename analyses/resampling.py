"""Uncertainty over independent trajectories: quantile bands and the bootstrap.

The unit that is resampled is the whole trajectory, because points of one trajectory depend on each other.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

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
    drawn = _draw(key, trajectories, num_resamples)
    return _of_chosen(statistic, trajectories, drawn, min(batch_size, num_resamples))


def centre_and_resamples(
    key: Key[Array, ""],
    statistic: Callable[[PyTree], PyTree],
    trajectories: PyTree[Array],
    *,
    num_resamples: int = 1000,
    batch_size: int = 50,
) -> tuple[PyTree[Array], PyTree[Array]]:
    """``statistic`` of the trajectories as they are, and what :func:`bootstrap` gives, from one compiled body.

    Raises:
        ValueError: as :func:`bootstrap`.
    """
    drawn = _draw(key, trajectories, num_resamples)
    everyone = jnp.arange(drawn.shape[1], dtype=jnp.int32)
    padding = -num_resamples % batch_size or batch_size  # whole batches: a remainder would be compiled on its own
    chosen = jnp.concatenate((jnp.broadcast_to(everyone, (padding, drawn.shape[1])), drawn))
    values = _of_chosen(statistic, trajectories, chosen, batch_size)
    return jax.tree.map(lambda leaf: leaf[0], values), jax.tree.map(lambda leaf: leaf[padding:], values)


def _draw(key: Key[Array, ""], trajectories: PyTree[Array], num_resamples: int) -> Int[Array, "resample trajectory"]:
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(trajectories)}
    if len(counts) != 1 or min(counts) < 2:
        raise ValueError(
            f"bootstrap: got leading axes {sorted(counts)}; expected the same number >= 2 in every array; "
            "stack independent trajectories along the first axis"
        )
    (num_trajectories,) = counts
    return jax.random.randint(key, (num_resamples, num_trajectories), 0, num_trajectories, jnp.int32)


def _of_chosen(
    statistic: Callable[[PyTree], PyTree],
    trajectories: PyTree[Array],
    chosen: Int[Array, "resample trajectory"],
    batch_size: int,
) -> PyTree[Array]:
    def one(members: Int[Array, " trajectory"]) -> PyTree:
        return statistic(jax.tree.map(lambda leaf: leaf[members], trajectories))

    return jax.lax.map(one, chosen, batch_size=batch_size)


#: How :func:`bootstrap_band` turns resamples into an interval.
IntervalMethod = Literal["percentile", "expanded", "student", "outer"]


def bootstrap_band(
    key: Key[Array, ""],
    statistic: Callable[[PyTree], PyTree],
    trajectories: PyTree[Array],
    *,
    coverage: float = 0.95,
    num_resamples: int = 1000,
    method: IntervalMethod = "percentile",
) -> Band:
    """``statistic`` of all trajectories, with a bootstrap interval over trajectories by :func:`resampled_interval`.

    Raises:
        ValueError: ``coverage`` not in (0, 1), an unknown ``method``, or as :func:`bootstrap`.
    """
    _tails(coverage)
    centre, resampled = centre_and_resamples(key, statistic, trajectories, num_resamples=num_resamples)
    size = jax.tree.leaves(trajectories)[0].shape[0]
    return resampled_interval(centre, resampled, size, coverage=coverage, method=method)


def resampled_interval(
    centre: PyTree[Array],
    resampled: PyTree[Array],
    num_trajectories: int,
    *,
    coverage: float = 0.95,
    method: IntervalMethod = "outer",
) -> Band:
    """Interval of a statistic from its values [resample, ...] on resamples of n trajectories.

    With few trajectories the *percentile* interval is too short twice over: a resampled mean varies by
    (n−1)/n of what it should, and the tails are normal where Student's are due.

    *expanded* (Hesterberg 2015, The American Statistician 69, 371) takes the quantiles further out, at
    Φ(−√(n/(n−1)) t), t the Student quantile with n − 1 degrees of freedom. Like the percentile interval it
    follows skewed laws and never leaves the range of the statistic (a plateau stays ≥ 0). It cannot leave
    the range of the resamples either, hence covers at most about 1 − 2^(1−n): 94 % at n = 5, 75 % at n = 3.

    *student* is centre ± t √(n/(n−1)) sd(resampled): it reaches as far as it must, but is symmetric.

    *outer* takes the wider of the last two at either end, each being too short where the other is not. Measured
    coverage of a planted exponent (:func:`analyses.plateau.fit_plateau_law`, four curves, nominal 90 %):

        n     percentile   expanded   student   outer
        3        64 %         –         –       92 %
        5        77 %        88 %       89 %     91 %
        7        82 %        90 %       90 %     93 %
        10       82 %        88 %       88 %     90 %

    Raises:
        ValueError: ``coverage`` not in (0, 1), an unknown ``method``, or fewer than two trajectories.
    """
    low, high = _tails(coverage)
    if method not in get_args(IntervalMethod):
        raise ValueError(f"interval: got method {method!r}; expected one of {get_args(IntervalMethod)}; use expanded")
    if num_trajectories < 2:
        raise ValueError(f"interval: got {num_trajectories} trajectories; expected at least 2; use 5 or more")
    widening = math.sqrt(num_trajectories / (num_trajectories - 1))
    reach = student_quantile(high, num_trajectories - 1) * widening
    if method in ("expanded", "outer"):
        low = 0.5 * math.erfc(reach / math.sqrt(2))
        high = 1 - low

    def ends(middle: Array, drawn: Array) -> tuple[Array, Array]:
        spread = reach * jnp.std(drawn, axis=0)
        if method == "student":
            return middle - spread, middle + spread
        quantiles = jnp.quantile(drawn, low, axis=0), jnp.quantile(drawn, high, axis=0)
        if method != "outer":
            return quantiles
        return jnp.minimum(quantiles[0], middle - spread), jnp.maximum(quantiles[1], middle + spread)

    pairs = jax.tree.map(ends, centre, resampled)
    return Band(centre, *jax.tree.transpose(jax.tree.structure(centre), jax.tree.structure((0, 0)), pairs))


def student_quantile(probability: float, degrees_of_freedom: int) -> float:
    """Where Student's distribution function is ``probability``; a plain number: levels are chosen before tracing.

    P(|T| < √ν tan θ) is a finite sum of powers of cos θ for whole ν (Abramowitz and Stegun 26.7.3–4); θ is bisected.
    """
    low, high, inside = 0.0, math.pi / 2, abs(2 * probability - 1)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _student_mass(middle, degrees_of_freedom) < inside else (low, middle)
    return math.copysign(math.sqrt(degrees_of_freedom) * math.tan(low), probability - 0.5)


def _student_mass(theta: float, dof: int) -> float:
    """P(|T| < √ν tan θ)."""
    odd = dof % 2
    term, total, square = (math.cos(theta) if odd else 1.0), 0.0, math.cos(theta) ** 2
    for k in range(1 + odd, dof, 2):
        total += term
        term *= square * k / (k + 1)
    series = math.sin(theta) * total
    return 2 / math.pi * (theta + series) if odd else series


def _tails(coverage: float) -> tuple[float, float]:
    if not 0 < coverage < 1:
        raise ValueError(f"band: got coverage {coverage}; expected a number in (0, 1); 0.9 means 90 %")
    return (1 - coverage) / 2, (1 + coverage) / 2
