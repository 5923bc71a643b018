r"""Exact leave-one-out residuals of ridge regression for a whole path of penalties from one eigendecomposition.

For training rows with centred activations :math:`X` [entity, width] and standardised targets :math:`Y` the fit is

.. math:: \hat W = \arg\min_W \lVert Y - XW \rVert^2 + \lambda \lVert W \rVert^2
          = Q (\Lambda + \lambda)^{-1} B, \qquad X^\top X = Q \Lambda Q^\top, \quad Z = XQ, \quad B = Z^\top Y.

Leaving row i out changes its residual to

.. math:: y_i - \hat y_i^{(-i)} = \frac{y_i - \hat y_i}{1 - h_i}, \qquad
          h_i = \sum_j \frac{z_{ij}^2}{\Lambda_j + \lambda} + \frac{1}{n},

1/n for the intercept, so that no row needs a fit of its own. With fewer rows than columns the Gram matrix of rows
:math:`XX^\top = U \Lambda U^\top` is decomposed instead, and with the centring matrix C

.. math:: y_i - \hat y_i = \sum_j (CU)_{ij} \frac{\lambda}{\Lambda_j + \lambda} (U^\top C Y)_j, \qquad
          1 - h_i = \sum_j (CU)_{ij}^2 \frac{\lambda}{\Lambda_j + \lambda},

where nothing cancels however small λ is.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .gram import rows_eigh

#: 1 − h of fewer roundings than this cannot be told from 0 when it comes out of a difference.
_ROUNDINGS = 64


class Centred(NamedTuple):
    """Rows relative to the training rows: ``x`` centred, ``y`` in standard deviations, both 0 off the training rows."""

    x: Float[Array, "entity width"]
    y: Float[Array, "entity target"]
    inside: Bool[Array, " entity"]
    num_rows: Float[Array, ""]
    x_mean: Float[Array, " width"]
    y_mean: Float[Array, " target"]
    y_scale: Float[Array, " target"]


class Spectrum(NamedTuple):
    """Eigenvalues Λ of the smaller Gram matrix, ascending, and the training rows in its eigenvectors."""

    values: Float[Array, " rank"]
    #: Z = XQ [entity, width], or CU [entity, entity] where there are fewer rows than columns.
    rows: Float[Array, "entity rank"]
    #: rowsᵀ Y.
    cross: Float[Array, "rank target"]
    #: Q [width, width], or XᵀU [width, entity] where there are fewer rows than columns.
    basis: Float[Array, "width rank"]


class Selection(NamedTuple):
    """Ridge on leading components at the penalty of least leave-one-out error, for standardised targets."""

    weights: Float[Array, "width target"]
    loo_residuals: Float[Array, "entity target"]
    penalty: Float[Array, ""]
    choice: Int[Array, ""]
    loo_error: Float[Array, " penalty"]


def centred(
    x: Float[Array, "entity width"], y: Float[Array, "entity target"], train: Bool[Array, " entity"] | None
) -> Centred:
    """``x`` less its mean and ``y`` standardised, over the training rows (all if None).

    A target that is constant there gets the scale 1.

    Raises:
        ValueError: ``x`` and ``y`` have different numbers of rows.
    """
    if x.shape[0] != y.shape[0]:
        raise ValueError(
            f"ridge: got {x.shape[0]} rows of activations and {y.shape[0]} of targets; expected as many; "
            "give one row of targets for each entity"
        )
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    x, y = x.astype(dtype), y.astype(dtype)
    inside = jnp.ones(x.shape[0], bool) if train is None else train
    chosen = inside[:, None]
    num_rows = jnp.maximum(jnp.sum(inside), 1).astype(dtype)
    x_mean, x_deviation = _about_mean(x, chosen, num_rows)
    y_mean, y_deviation = _about_mean(y, chosen, num_rows)
    # Rounding of the mean leaves a constant target with a deviation that is not 0: compare the values themselves.
    least = jnp.min(jnp.where(chosen, y, jnp.inf), axis=0)
    varies = jnp.max(jnp.where(chosen, y, -jnp.inf), axis=0) > least
    variance = jnp.where(varies, jnp.sum(y_deviation**2, axis=0) / num_rows, 0)
    y_scale = jnp.sqrt(jnp.where(variance > 0, variance, 1))
    y_standard = jnp.where(variance > 0, y_deviation / y_scale, 0)
    return Centred(x_deviation, y_standard, inside, num_rows, x_mean, y_mean, y_scale)


def spectrum(rows: Centred) -> Spectrum:
    """Eigendecomposition of XᵀX, or of XXᵀ when there are fewer rows than columns."""
    if _is_dual(rows):
        values, vectors, basis = rows_eigh(rows.x.T)
        vectors = jnp.where(rows.inside[:, None], vectors, 0)
        scores = jnp.where(rows.inside[:, None], vectors - jnp.sum(vectors, axis=0) / rows.num_rows, 0)
    else:
        values, basis, scores = rows_eigh(rows.x)
    return Spectrum(values, scores, jnp.matmul(scores.T, rows.y, precision="highest"), basis)


def select(rows: Centred, decomposed: Spectrum, ratios: Float[Array, " penalty"], count: Int[Array, ""]) -> Selection:
    """Ridge on the ``count`` leading components at the ratio of least leave-one-out error; λ = ratio · ΣΛ/count."""
    rank = decomposed.values.shape[0]
    kept = jnp.arange(rank, dtype=jnp.int32) >= rank - count
    scale = jnp.sum(jnp.where(kept, decomposed.values, 0)) / count.astype(rows.x.dtype)
    penalties = ratios.astype(rows.x.dtype) * scale
    residuals, coefficients = jax.vmap(lambda penalty: _left_out(rows, decomposed, penalty, kept))(penalties)
    error = jnp.sum(residuals**2, axis=(1, 2)) / (rows.num_rows * rows.y.shape[1])
    choice = jnp.argmin(error).astype(jnp.int32)
    weights = jnp.matmul(decomposed.basis, coefficients[choice], precision="highest")
    return Selection(weights, residuals[choice], penalties[choice], choice, error)


def in_own_units(
    x: Float[Array, "entity width"], y: Float[Array, "entity target"], rows: Centred, chosen: Selection
) -> Float[Array, "entity target"]:
    """Leave-one-out predictions of training rows and ordinary predictions of the others."""
    elsewhere = jnp.matmul(x - rows.x_mean, chosen.weights * rows.y_scale, precision="highest") + rows.y_mean
    return jnp.where(rows.inside[:, None], y - chosen.loo_residuals * rows.y_scale, elsewhere)


def _is_dual(rows: Centred) -> bool:
    return rows.x.shape[0] < rows.x.shape[1]


def _about_mean(
    values: Float[Array, "entity column"], chosen: Bool[Array, "entity 1"], num_rows: Float[Array, ""]
) -> tuple[Float[Array, " column"], Float[Array, "entity column"]]:
    """Mean of the chosen rows and deviations from it, twice: 1/(1 − h) magnifies what rounding of the first leaves."""
    mean = jnp.sum(jnp.where(chosen, values, 0), axis=0) / num_rows
    deviation = jnp.where(chosen, values - mean, 0)
    rest = jnp.sum(deviation, axis=0) / num_rows
    return mean + rest, jnp.where(chosen, deviation - rest, 0)


def _left_out(
    rows: Centred, decomposed: Spectrum, penalty: Float[Array, ""], kept: Bool[Array, " rank"]
) -> tuple[Float[Array, "entity target"], Float[Array, "rank target"]]:
    """Leave-one-out residuals, and (Λ + λ)⁻¹ times ``cross``, of the kept components.

    A row whose 1 − h is lost in rounding is predicted by the mean of the others: interpolation that cannot be judged
    must not win.
    """
    shifted = decomposed.values + penalty
    used = kept & (shifted > 0)
    inverse = jnp.where(used, 1 / jnp.where(used, shifted, 1), 0)
    coefficients = inverse[:, None] * decomposed.cross
    if _is_dual(rows):
        left = jnp.where(used, penalty * inverse, 1)
        residual = jnp.matmul(decomposed.rows, left[:, None] * decomposed.cross, precision="highest")
        room = jnp.matmul(decomposed.rows**2, left, precision="highest")
        least = jnp.finfo(rows.x.dtype).tiny
    else:
        residual = rows.y - jnp.matmul(decomposed.rows, coefficients, precision="highest")
        room = 1 - 1 / rows.num_rows - jnp.matmul(decomposed.rows**2, inverse, precision="highest")
        least = _ROUNDINGS * jnp.finfo(rows.x.dtype).eps
    known = (room > least)[:, None]
    of_others = rows.y * (rows.num_rows / jnp.maximum(rows.num_rows - 1, 1))
    return jnp.where(known, residual / jnp.where(known, room[:, None], 1), of_others), coefficients
