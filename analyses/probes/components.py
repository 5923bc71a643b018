"""How many directions a probe needs: ridge on leading principal components, and partial least squares.

Both take their directions from the training rows only. Principal components are the directions of most variance,
whatever the targets are; those of partial least squares (PLS) have most covariance with the targets.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .gram import rows_eigh
from .leave_one_out import Centred, Selection, centred, in_own_units, select, spectrum


class ComponentCurve(NamedTuple):
    """A ridge fit on each number of leading principal components."""

    #: Leave-one-out predictions of training rows, ordinary ones of the others.
    predictions: Float[Array, "count entity target"]
    #: Index of the chosen ratio.
    choice: Int[Array, " count"]
    #: Mean squared leave-one-out residual of the standardised targets at the chosen ratio.
    loo_error: Float[Array, " count"]


class LatentCurve(NamedTuple):
    """A partial-least-squares fit with each number of latent directions, in the units of the targets."""

    #: Ordinary predictions of all rows; those of training rows are in sample.
    predictions: Float[Array, "count entity target"]
    weights: Float[Array, "count width target"]
    intercept: Float[Array, "count target"]


def pca_curve(
    x: Float[Array, "entity width"],
    y: Float[Array, "entity target"],
    ratios: Float[Array, " penalty"],
    train: Bool[Array, " entity"] | None,
    counts: tuple[int, ...],
) -> ComponentCurve:
    r"""Ridge on the first k principal components of the training rows, for every k in ``counts``.

    Each k is :func:`analyses.probes.ridge.fit_ridge` of the k scores :math:`Z = XQ_k`: λ = ratio · tr(ZᵀZ)/k, chosen
    by exact leave-one-out error. The components are those of all training rows: a row that is left out has lost its
    target, but not its share in the directions. All k come from one eigendecomposition; k = width is the full ridge.

    Raises:
        ValueError: a count outside 1 … width, or ``x`` and ``y`` have different numbers of rows.
    """
    _check(counts, x.shape[1])
    rows = centred(x, y, train)
    decomposed = spectrum(rows)

    def one(count: Int[Array, ""]) -> ComponentCurve:
        chosen: Selection = select(rows, decomposed, ratios, count)
        return ComponentCurve(in_own_units(x, y, rows, chosen), chosen.choice, chosen.loo_error[chosen.choice])

    return jax.lax.map(one, jnp.asarray(counts, jnp.int32))


def pls_curve(
    x: Float[Array, "entity width"],
    y: Float[Array, "entity target"],
    train: Bool[Array, " entity"] | None,
    counts: tuple[int, ...],
) -> LatentCurve:
    r"""Partial least squares (PLS2, NIPALS) with k latent directions, for every k in ``counts`` from one run.

    ``x`` is centred and not scaled, ``y`` standardised over the training rows. With residuals E of ``x`` and F of
    ``y`` (E = X, F = Y at first), each direction is the unit vector w of most covariance, the leading left singular
    vector of :math:`E^\top F`; then

    .. math:: s = Ew, \quad p = \frac{E^\top s}{s^\top s}, \quad c = \frac{F^\top s}{s^\top s}, \quad
              E \leftarrow E - s p^\top, \quad F \leftarrow F - s c^\top,

    and :math:`W_{\text{fit}} = W (P^\top W)^{-1} C^\top` (Wold, Sjöström and Eriksson 2001, Chemometrics and
    Intelligent Laboratory Systems 58, 109). This is scikit-learn's ``PLSRegression(scale=False)`` of standardised
    targets at convergence. Directions after the covariance is exhausted to rounding add nothing.

    Raises:
        ValueError: a count outside 1 … width, or ``x`` and ``y`` have different numbers of rows.
    """
    _check(counts, x.shape[1])
    rows = centred(x, y, train)
    directions, loadings, slopes = _latent_directions(rows, max(counts))
    # PᵀW is upper triangular with a unit diagonal: the rotation of the first k directions is part of that of all.
    overlap = jnp.matmul(loadings, directions.T, precision="highest")
    rotations = jax.scipy.linalg.solve_triangular(overlap.T, directions, lower=True, unit_diagonal=True)

    def one(count: Int[Array, ""]) -> LatentCurve:
        first = jnp.arange(max(counts), dtype=jnp.int32)[:, None] < count
        weights = jnp.matmul(rotations.T, jnp.where(first, slopes, 0), precision="highest") * rows.y_scale
        predictions = jnp.matmul(x - rows.x_mean, weights, precision="highest") + rows.y_mean
        return LatentCurve(predictions, weights, rows.y_mean - jnp.matmul(rows.x_mean, weights, precision="highest"))

    return jax.lax.map(one, jnp.asarray(counts, jnp.int32))


def explained_variance(
    x: Float[Array, "entity width"], train: Bool[Array, " entity"] | None = None
) -> Float[Array, " width"]:
    """Share of the variance of the training rows along each of their principal components, descending; sums to 1.

    Zeros follow where there are fewer rows than columns, and everywhere if no row differs from another.
    """
    rows = centred(x, x[:, :1], train)
    smaller = rows.x if x.shape[0] >= x.shape[1] else rows.x.T
    values = jnp.sort(rows_eigh(smaller)[0], descending=True)
    whole = jnp.sum(values)
    return jnp.pad(values / jnp.where(whole > 0, whole, 1), (0, x.shape[1] - values.shape[0]))


def _latent_directions(rows: Centred, count: int) -> tuple[Array, Array, Array]:
    """w [component, width], p [component, width] and c [component, target] of :func:`pls_curve`."""
    scale = jnp.linalg.norm(jnp.matmul(rows.x.T, rows.y, precision="highest"))

    def step(residuals: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
        x, y = residuals
        shared = jnp.matmul(x.T, y, precision="highest")
        _, mixtures = jnp.linalg.eigh(jnp.matmul(shared.T, shared, precision="highest"))
        direction = jnp.matmul(shared, mixtures[:, -1], precision="highest")
        length = jnp.linalg.norm(direction)
        alive = length > 16 * jnp.finfo(x.dtype).eps * scale
        direction = jnp.where(alive, direction / jnp.where(alive, length, 1), 0)
        scores = jnp.matmul(x, direction, precision="highest")
        energy = jnp.sum(scores**2)
        unit = scores / jnp.where(energy > 0, energy, 1)
        loading, slope = (jnp.matmul(unit, part, precision="highest") for part in (x, y))
        return (x - scores[:, None] * loading, y - scores[:, None] * slope), (direction, loading, slope)

    return jax.lax.scan(step, (rows.x, rows.y), length=count)[1]


def _check(counts: tuple[int, ...], width: int) -> None:
    if not counts or min(counts) < 1 or max(counts) > width:
        raise ValueError(
            f"components: got counts {counts}; expected at least one, each from 1 to the width {width}; "
            "leave out those beyond the width"
        )
