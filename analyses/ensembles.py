"""How good an ensemble of forecasts is: proper scores of samples, and how often their bands hold the truth.

Members are draws from one predictive law, whatever made them; a single forecast is an ensemble of one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .log_space import safe_sqrt


class RolloutScores(NamedTuple):
    """Of sample paths against what came, at every lead time; average over series before reading them."""

    crps: Float[Array, " step"]  #: as :func:`ensemble_crps`, in the values' units
    absolute_error: Float[Array, " step"]  #: of the members' median
    inside: Bool[Array, "coverage step"]  #: the truth lies in the central interval of this coverage
    width: Float[Array, "coverage step"]  #: of that interval


def ensemble_crps(
    members: Float[Array, " member"], truth: Float[Array, ""] | float, *, fair: bool = True
) -> Float[Array, ""]:
    r"""Continuous ranked probability score of a sample, in the values' units; less is better.

    .. math:: \frac1M \sum_i |x_i - y| - \frac{1}{2 M (M - 1)} \sum_{i, j} |x_i - x_j|

    ``fair`` estimates the score of the law that the members are drawn from, without bias; else M² takes the place
    of M (M − 1), which is the score ∫ (F̂(x) − [x ≥ y])² dx of the members' own staircase F̂, for one member |x − y|.

    Raises:
        ValueError: fewer than two members for the fair score.

    Source: Ferro 2014 (fair scores); Gneiting & Raftery 2007, section 4.2.
    """
    count = members.shape[0]
    _check_fair(count, fair)
    rank = 2 * jnp.arange(1, count + 1, dtype=members.dtype) - count - 1
    spread = jnp.sum(rank * jnp.sort(members))  # = ½ Σ_ij |x_i − x_j|
    return jnp.mean(jnp.abs(members - truth)) - spread / _pairs(count, fair)


def energy_score(
    members: Float[Array, "member *shape"], truth: Float[Array, "*shape"], *, fair: bool = True
) -> Float[Array, ""]:
    r"""The score of :func:`ensemble_crps` for vectors: Euclidean norms take the place of absolute values.

    .. math:: \frac1M \sum_i \|x_i - y\| - \frac{1}{2 M (M - 1)} \sum_{i, j} \|x_i - x_j\|

    All axes after the first are one vector: [member, channel] scores how channels go together at one time,
    [member, step, channel] whole paths. Bring the channels to comparable units first.

    Raises:
        ValueError: fewer than two members for the fair score.
    """
    count = members.shape[0]
    _check_fair(count, fair)
    x = members.reshape(count, -1)
    between = safe_sqrt(jnp.sum((x[:, None] - x) ** 2, axis=-1))
    off = safe_sqrt(jnp.sum((x - truth.reshape(-1)) ** 2, axis=-1))
    return jnp.mean(off) - 0.5 * jnp.sum(between) / _pairs(count, fair)


def rollout_scores(
    paths: Float[Array, "path step"], truth: Float[Array, " step"], *, coverages: tuple[float, ...] = (0.5, 0.9)
) -> RolloutScores:
    """CRPS (fair), error of the median, and what central intervals hold, at every lead time.

    The interval of coverage c lies between the members' quantiles (1 − c) / 2 and (1 + c) / 2.

    Raises:
        ValueError: fewer than two paths, lengths that differ, or a coverage not in (0, 1).
    """
    if paths.shape[1:] != truth.shape:
        raise ValueError(
            f"rollout_scores: got paths of {paths.shape[1]} steps and a truth of {truth.shape[0]}; expected as many; "
            "cut one of them"
        )
    if not all(0 < c < 1 for c in coverages):
        raise ValueError(f"rollout_scores: got coverages {coverages}; expected numbers in (0, 1); 0.9 means 90 %")
    crps = jax.vmap(ensemble_crps, in_axes=(1, 0))(paths, truth)
    level = jnp.asarray(coverages, paths.dtype)
    low, high = jnp.quantile(paths, (1 - level) / 2, axis=0), jnp.quantile(paths, (1 + level) / 2, axis=0)
    error = jnp.abs(jnp.median(paths, axis=0) - truth)
    return RolloutScores(crps, error, (low <= truth) & (truth <= high), high - low)


def _pairs(count: int, fair: bool) -> int:
    return count * (count - 1 if fair else count)


def _check_fair(count: int, fair: bool) -> None:
    if count < 2 and fair:
        raise ValueError(f"ensemble: got {count} member; expected at least 2; use fair=False for a single forecast")
