"""What a group label alone explains: does the probe know more of a place than its country, of a death its century?

``group`` [entity] are codes in [0, num_groups); give rows without a group a code of their own, or weight 0. Groups
without a row are allowed, so that one compiled program serves every split. For ``weight`` and ``train`` (the same
thing under another name) see :mod:`analyses.probes.subsets`.

Source: the critique of arXiv 2310.02207 in arXiv 2603.04317; control tasks from Hewitt & Liang 2019, arXiv 1909.03368.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from .scores import pearson
from .subsets import Weight, chosen_mean, chosen_sum, permutation_among, ratio, row_weights, varies


def group_means(
    y: Float[Array, "entity target"], group: Int[Array, " entity"], num_groups: int, weight: Weight = None
) -> Float[Array, "group target"]:
    r"""Mean of the chosen rows of every group; a group without any gets the mean of all chosen rows.

    .. math:: c_g = \sum_i w_i [g_i = g]\, y_i / \sum_i w_i [g_i = g]
    """
    w = row_weights(weight, y)
    middle = chosen_mean(y, w)
    counted = jax.ops.segment_sum(w, group, num_groups)[:, None]
    off = jnp.where((w > 0)[:, None], w[:, None] * (y - middle), 0)  # about the mean: fewer digits are lost
    return middle + jax.ops.segment_sum(off, group, num_groups) / jnp.where(counted > 0, counted, 1)


def group_mean_oracle(
    y: Float[Array, "entity target"], group: Int[Array, " entity"], num_groups: int, train: Weight = None
) -> Float[Array, "entity target"]:
    """Predictions of one who knows each entity's group and the training rows' means, and nothing else.

    Groups unseen in training are predicted by the training mean. A probe below this oracle may know only the group.
    """
    return group_means(y, group, num_groups, train)[group]


def eta_squared(
    y: Float[Array, "entity target"], group: Int[Array, " entity"], num_groups: int, weight: Weight = None
) -> Float[Array, " target"]:
    r"""Share η² of the variance of the chosen rows that lies between groups; NaN for a constant column.

    .. math:: η^2 = 1 - \sum_i w_i (y_i - c_{g_i})^2 / \sum_i w_i (y_i - \bar y)^2

    It is R² of :func:`group_mean_oracle` fitted and scored on the same rows: with few rows a group it is too high.
    """
    w = row_weights(weight, y)
    within = chosen_sum((y - group_mean_oracle(y, group, num_groups, w)) ** 2, w)
    return jnp.where(varies(y, w), 1 - ratio(within, chosen_sum((y - chosen_mean(y, w)) ** 2, w)), jnp.nan)


def within_group_correlation(
    true: Float[Array, "entity target"],
    predicted: Float[Array, "entity target"],
    group: Int[Array, " entity"],
    num_groups: int,
    weight: Weight = None,
) -> Float[Array, " target"]:
    """Pearson's correlation after both sides lost the means of their groups, taken over the chosen rows.

    Near 0: the probe knows the group and nothing inside it. A group with one row contributes nothing. NaN where
    either side is the same within every group, as the predictions of :func:`group_mean_oracle` are.
    """
    w = row_weights(weight, true)
    inside = [y - group_mean_oracle(y, group, num_groups, w) for y in (true, predicted)]
    both = _varies_within(true, group, num_groups, w) & _varies_within(predicted, group, num_groups, w)
    return jnp.where(both, pearson(inside[0], inside[1], w), jnp.nan)


def remove_group_means(
    x: Float[Array, "entity width"], group: Int[Array, " entity"], num_groups: int, train: Weight = None
) -> Float[Array, "entity width"]:
    """Activations without what a one-hot code of the group explains linearly, the regression fitted on ``train``.

    x_i − c_{g_i}: whatever a probe reads from the rest is not the group. Groups unseen in training lose the
    training mean.
    """
    return x - group_mean_oracle(x, group, num_groups, train)


def replace_by_group_means(
    x: Float[Array, "entity width"], group: Int[Array, " entity"], num_groups: int, train: Weight = None
) -> Float[Array, "entity width"]:
    """The other part of :func:`remove_group_means`: c_{g_i}, the mean training activation of each entity's group.

    A probe that scores as well on this needs nothing but the group.
    """
    return group_mean_oracle(x, group, num_groups, train)


def permuted_centroids(
    key: Key[Array, ""], y: Float[Array, "entity target"], group: Int[Array, " entity"], num_groups: int
) -> Float[Array, "entity target"]:
    r"""The control task of Hewitt & Liang for groups: every group is moved, whole, to the place of a random other one.

    .. math:: y'_i = y_i - c_{g_i} + c_{π(g_i)}

    π is a uniformly random permutation of the groups that have rows, which may leave some where they are. A probe
    that does as well on y' as on y memorises which group is where; selectivity is R² on y minus R² on y'.
    """
    occupied = jax.ops.segment_sum(jnp.ones_like(group), group, num_groups) > 0
    centre = group_means(y, group, num_groups)
    return y - centre[group] + centre[permutation_among(key, occupied)][group]


def _varies_within(
    y: Float[Array, "entity target"], group: Int[Array, " entity"], num_groups: int, weight: Float[Array, " entity"]
) -> Bool[Array, " target"]:
    """Two chosen rows of one group differ: asked of the values, as rounding leaves a constant with a variance."""
    chosen = (weight > 0)[:, None]
    high = jax.ops.segment_max(jnp.where(chosen, y, -jnp.inf), group, num_groups)
    low = jax.ops.segment_min(jnp.where(chosen, y, jnp.inf), group, num_groups)
    return jnp.any(~(high <= low), axis=0)
