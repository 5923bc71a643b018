r"""Ridge from sums over rows, so that folds and hold-outs are subtractions instead of passes over the data.

The sums of products about fixed points c and e,

.. math:: S_{xx} = \sum_i (x_i - c)(x_i - c)^\top, \quad S_{xy} = \sum_i (x_i - c)(y_i - e)^\top, \quad
          s_x = \sum_i (x_i - c), \; \ldots

are all that a ridge fit and its squared error on those rows depend on; the centred Gram matrix is
:math:`S_{xx} - s_x s_x^\top / n`. Sums over disjoint rows add, so a fit without a block of rows is the fit from the
total less the block, and memory does not grow with the number of rows. The points c and e are there against
cancellation only: means over some of the rows do.

In float32 rounding of the sums is of the order of 1e-7 to 1e-6 of each feature's own sum of squares. Features of
outlying size do not spoil the others, but a direction across features that has less variance than that is lost, where
:func:`analyses.probes.ridge.fit_ridge` still has the rows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .gram import gram_eigh

_CHUNK = 32  # rows; a group costs at most this many rows of padding


class RowSums(NamedTuple):
    """Sums over rows of x − c, y − e and their products; batches and blocks add a leading axis to every field."""

    count: Float[Array, "*block"]  # type: ignore[assignment]  # mypy sees the method of tuples
    x: Float[Array, "*block width"]
    y: Float[Array, "*block target"]
    xx: Float[Array, "*block width width"]
    xy: Float[Array, "*block width target"]
    yy: Float[Array, "*block target"]
    centre_x: Float[Array, "*block width"]
    centre_y: Float[Array, "*block target"]


class SumsFit(NamedTuple):
    """A ridge fit, in the units of the targets; a path or blocks add a leading axis to every field."""

    weights: Float[Array, "*block width target"]
    intercept: Float[Array, "*block target"]
    penalty: Float[Array, "*block"]


class FoldFit(NamedTuple):
    """The ridge of all folds at the penalty of least K-fold error."""

    weights: Float[Array, "width target"]
    intercept: Float[Array, " target"]
    penalty: Float[Array, ""]
    #: Index of the chosen ratio.
    choice: Int[Array, ""]
    #: Mean squared error on the fold left out, over rows and targets, in variances of the targets.
    fold_error: Float[Array, " penalty"]
    #: The choice is the first or the last ratio: the grid may be too short.
    at_edge: Bool[Array, ""]


def row_sums(
    x: Float[Array, "entity width"],
    y: Float[Array, "entity target"],
    weight: Float[Array, " entity"] | Bool[Array, " entity"] | None,
    centre_x: Float[Array, " width"],
    centre_y: Float[Array, " target"],
) -> RowSums:
    """Sums over rows, each counted ``weight`` times (once if None). Rows of weight 0 may hold anything, even NaN."""
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    weight = jnp.ones(x.shape[0], dtype) if weight is None else weight.astype(dtype)
    used = (weight != 0)[:, None]
    centre_x, centre_y = centre_x.astype(dtype), centre_y.astype(dtype)
    x = jnp.where(used, x.astype(dtype) - centre_x, 0)
    y = jnp.where(used, y.astype(dtype) - centre_y, 0)
    weighted = weight[:, None] * x
    return RowSums(
        count=jnp.sum(weight),
        x=jnp.sum(weighted, axis=0),
        y=jnp.matmul(weight, y, precision="highest"),
        xx=jnp.matmul(weighted.T, x, precision="highest"),
        xy=jnp.matmul(weighted.T, y, precision="highest"),
        yy=jnp.matmul(weight, y**2, precision="highest"),
        centre_x=centre_x,
        centre_y=centre_y,
    )


def add(a: RowSums, b: RowSums) -> RowSums:
    """Sums over the rows of both; the centres must be the same and are those of ``a``."""
    both = jax.tree.map(jnp.add, a, b)
    return both._replace(centre_x=a.centre_x, centre_y=a.centre_y)


def subtract(a: RowSums, b: RowSums) -> RowSums:
    """Sums over the rows of ``a`` that are not in ``b``, all of whose rows are in ``a``; centres as for :func:`add`."""
    rest = jax.tree.map(jnp.subtract, a, b)
    return rest._replace(centre_x=a.centre_x, centre_y=a.centre_y)


def total(sums: RowSums) -> RowSums:
    """Sums over the rows of all blocks along the leading axis."""
    whole = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums)
    return whole._replace(centre_x=sums.centre_x[0], centre_y=sums.centre_y[0])


def grouped_row_sums(
    x: Float[Array, "entity width"],
    y: Float[Array, "entity target"],
    group: Int[Array, " entity"],
    num_groups: int,
    centre_x: Float[Array, " width"],
    centre_y: Float[Array, " target"],
) -> RowSums:
    """:func:`row_sums` of every group, along a leading axis; rows of a group outside 0 … num_groups − 1 are left out.

    Memory is the result's [group, width, width]; work is that of one pass over the rows, whatever the number of
    groups: rows are sorted by group and cut into short chunks of one group each.
    """
    members, owner = _chunks(group, num_groups)

    def count_in(sums: RowSums, chunk: tuple[Array, Array]) -> tuple[RowSums, None]:
        rows, label = chunk
        there = rows < x.shape[0]
        rows = jnp.where(there, rows, 0)
        part = row_sums(x[rows], y[rows], there, centre_x, centre_y)
        return jax.tree.map(lambda sum_, more: sum_.at[label].add(more), sums, part), None

    one = jax.eval_shape(row_sums, x, y, None, centre_x, centre_y)
    start = jax.tree.map(lambda leaf: jnp.zeros((num_groups, *leaf.shape), leaf.dtype), one)
    sums, _ = jax.lax.scan(count_in, start, (members, owner))
    centres = (jnp.broadcast_to(c.astype(sums.x.dtype), (num_groups, *c.shape)) for c in (centre_x, centre_y))
    return RowSums(*sums[:-2], *centres)


def _chunks(group: Int[Array, " entity"], num_groups: int) -> tuple[Int[Array, "chunk row"], Int[Array, " chunk"]]:
    """Rows of every chunk, padded by the number of rows, and the group that owns it."""
    size = group.shape[0]
    label = jnp.where((group >= 0) & (group < num_groups), group, num_groups).astype(jnp.int32)
    order = jnp.argsort(label).astype(jnp.int32)
    label = label[order]
    counts = jnp.bincount(label, length=num_groups).astype(jnp.int32)  # the rows that are left out fall off the end
    lengths = -(-counts // _CHUNK)
    ends, first = jnp.cumsum(lengths), jnp.cumsum(counts) - counts
    rank = jnp.arange(size, dtype=jnp.int32) - jnp.append(first, 0)[label]
    num_chunks = size // _CHUNK + num_groups
    chunk = jnp.where(label < num_groups, jnp.append(ends - lengths, 0)[label] + rank // _CHUNK, num_chunks)
    members = jnp.full((num_chunks, _CHUNK), size, jnp.int32).at[chunk, rank % _CHUNK].set(order, mode="drop")
    owner = jnp.searchsorted(ends, jnp.arange(num_chunks, dtype=jnp.int32), side="right")
    return members, jnp.minimum(owner, num_groups - 1).astype(jnp.int32)


def fit_from_sums(sums: RowSums, ratio: Float[Array, ""]) -> SumsFit:
    r"""Ridge of the rows of ``sums`` with :math:`\lambda = r \, \mathrm{tr}(X^\top X) / d`; NaN for no rows.

    From a Cholesky factor, or as :func:`path_from_sums` where rounding has left none.
    """
    gram, cross, penalty = _normal_equations(sums, ratio)
    factor = jnp.linalg.cholesky(gram + penalty * jnp.eye(gram.shape[0], dtype=gram.dtype))
    definite = jnp.all(jnp.isfinite(factor))

    def by_factor() -> Float[Array, "width target"]:
        return jax.scipy.linalg.cho_solve((factor, True), cross)

    def by_eigenvectors() -> Float[Array, "width target"]:
        return _path(gram, cross, penalty[None])[0]

    return _with_intercept(sums, jax.lax.cond(definite, by_factor, by_eigenvectors), penalty)


def path_from_sums(sums: RowSums, ratios: Float[Array, " penalty"]) -> SumsFit:
    """:func:`fit_from_sums` at every ratio, along a leading axis, from one eigendecomposition (in float32 three)."""
    gram, cross, penalties = _normal_equations(sums, ratios)
    return jax.vmap(lambda w, penalty: _with_intercept(sums, w, penalty))(_path(gram, cross, penalties), penalties)


def error_from_sums(
    weights: Float[Array, "width target"], intercept: Float[Array, " target"], sums: RowSums
) -> Float[Array, " target"]:
    r"""Mean of :math:`(y - x W - b)^2` over the rows of ``sums``, in squared units of the targets; NaN for no rows.

    Digits are lost where the error is much smaller than the spread of the targets about ``centre_y``.
    """
    return _squared_error(weights, intercept, sums) / sums.count


def fold_choice(fold_sums: RowSums, ratios: Float[Array, " penalty"]) -> FoldFit:
    """Choose the ratio by the error on each fold of the fit to the others, then fit to all folds.

    ``fold_sums`` has a leading axis [fold]. Each fit's λ is the ratio times its own tr(XᵀX)/width. Targets count by
    their variance over all folds, one that is constant not at all. One fold is held in memory at a time.
    """
    whole = total(fold_sums)

    def left_out(fold: RowSums) -> Float[Array, "penalty target"]:
        fits = path_from_sums(subtract(whole, fold), ratios)
        return jax.vmap(lambda w, b: _squared_error(w, b, fold))(fits.weights, fits.intercept)

    squares = jnp.sum(jax.lax.map(left_out, fold_sums), axis=0) / whole.count
    variance = whole.yy / whole.count - (whole.y / whole.count) ** 2
    # What is left of a constant target after the subtraction is rounding.
    varies = variance > 64 * jnp.finfo(variance.dtype).eps * whole.yy / whole.count
    error = jnp.mean(jnp.where(varies, squares / jnp.where(varies, variance, 1), 0), axis=1)
    choice = jnp.argmin(error).astype(jnp.int32)
    best = fit_from_sums(whole, ratios[choice])
    at_edge = (choice == 0) | (choice == ratios.shape[0] - 1)
    return FoldFit(best.weights, best.intercept, best.penalty, choice, error, at_edge)


def holdout_fits(block_sums: RowSums, ratio: Float[Array, ""]) -> SumsFit:
    """:func:`fit_from_sums` without each block in turn, along the leading axis [block]; one at a time in memory."""
    whole = total(block_sums)
    return jax.lax.map(lambda block: fit_from_sums(subtract(whole, block), ratio), block_sums)


def _normal_equations(
    sums: RowSums, ratios: Float[Array, "*penalty"]
) -> tuple[Float[Array, "width width"], Float[Array, "width target"], Float[Array, "*penalty"]]:
    """XᵀX, XᵀY and λ."""
    mean = sums.x / sums.count
    gram, cross = sums.xx - mean[:, None] * sums.x, sums.xy - mean[:, None] * sums.y
    return gram, cross, ratios.astype(gram.dtype) * jnp.maximum(jnp.trace(gram), 0) / gram.shape[0]


def _path(
    gram: Float[Array, "width width"], cross: Float[Array, "width target"], penalties: Float[Array, " penalty"]
) -> Float[Array, "penalty width target"]:
    values, basis = gram_eigh(gram)
    shifted = values + penalties[:, None]
    inverse = jnp.where(shifted > 0, 1 / jnp.where(shifted > 0, shifted, 1), 0)
    rotated = inverse[:, :, None] * jnp.matmul(basis.T, cross, precision="highest")
    return jnp.matmul(basis, rotated, precision="highest")


def _with_intercept(sums: RowSums, weights: Float[Array, "width target"], penalty: Float[Array, ""]) -> SumsFit:
    mean_x, mean_y = sums.centre_x + sums.x / sums.count, sums.centre_y + sums.y / sums.count
    return SumsFit(weights, mean_y - jnp.matmul(mean_x, weights, precision="highest"), penalty)


def _squared_error(
    weights: Float[Array, "width target"], intercept: Float[Array, " target"], sums: RowSums
) -> Float[Array, " target"]:
    """Sum of squared errors: with v = y − e and u = x − c the residual is v − uW − g, g the offset at (c, e)."""
    offset = intercept + jnp.matmul(sums.centre_x, weights, precision="highest") - sums.centre_y
    curved = jnp.sum(weights * jnp.matmul(sums.xx, weights, precision="highest"), axis=0)
    mixed = jnp.sum(weights * sums.xy, axis=0)
    linear = sums.y - jnp.matmul(sums.x, weights, precision="highest")
    return jnp.maximum(sums.yy - 2 * mixed + curved - 2 * offset * linear + sums.count * offset**2, 0)
