r"""Ridge probes: a linear map from activations to targets, its penalty chosen by exact leave-one-out error.

Everything here is for one layer and one split; ``jax.vmap`` or ``jax.lax.map`` gives more in one call. The algebra is
that of :mod:`analyses.probes.leave_one_out`.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .leave_one_out import centred, in_own_units, select, spectrum


class RidgeFit(NamedTuple):
    """A fitted linear map, in the units of the targets, and how its penalty was chosen."""

    weights: Float[Array, "width target"]
    intercept: Float[Array, " target"]
    #: λ = ratio · tr(XᵀX) / width.
    penalty: Float[Array, ""]
    #: Index of the chosen ratio.
    choice: Int[Array, ""]
    #: Mean squared leave-one-out residual of the standardised targets, over training rows and targets.
    loo_error: Float[Array, " penalty"]
    #: What the other training rows say of a training row; the ordinary prediction of any other row.
    loo_predictions: Float[Array, "entity target"]
    #: The choice is the first or the last ratio: the grid may be too short.
    at_edge: Bool[Array, ""]


@runtime_checkable
class LinearMap(Protocol):
    """Any fit with weights [width, target] and an intercept [target]."""

    @property
    def weights(self) -> Array: ...
    @property
    def intercept(self) -> Array: ...


def relative_penalties(count: int = 25, low: float = -6.0, high: float = 2.0) -> Float[Array, " penalty"]:
    """``count`` ratios from 10^low to 10^high, evenly spaced in their logarithm; the penalty is λ = ratio · tr(XᵀX)/d.

    A grid relative to the mean eigenvalue means the same at every layer and width. An absolute one runs into both its
    ends, because the norm of the residual stream grows with depth.

    Raises:
        ValueError: fewer than one ratio, or ``low`` not below ``high``.
    """
    if count < 1 or not low < high:
        raise ValueError(
            f"relative_penalties: got count {count}, low {low}, high {high}; expected count >= 1 and low < high; "
            "give the exponents of ten of both ends"
        )
    return jnp.logspace(low, high, count)


def fit_ridge(
    x: Float[Array, "entity width"],
    y: Float[Array, "entity target"],
    ratios: Float[Array, " penalty"],
    train: Bool[Array, " entity"] | None = None,
) -> RidgeFit:
    r"""Ridge with an intercept and the penalty of least exact leave-one-out error.

    .. math:: \min_{W, b} \sum_{i \in \text{train}} \lVert y_i - x_i W - b \rVert^2 + \lambda \lVert W \rVert^2,
              \qquad \lambda = r \, \mathrm{tr}(X^\top X) / d,

    X the centred training rows (all rows if ``train`` is None), r one of ``ratios``. One λ is shared by the targets,
    each standardised over the training rows. Other rows have no influence, not even when they are NaN. A target that
    is constant on the training rows is predicted by its constant. At fixed λ this is scikit-learn's ``RidgeCV``
    without folds.

    Work is an eigendecomposition of min(entity, width)³ (in float32 a second one); memory is a few times ``x`` and
    [penalty, entity, target]. Differentiable in ``y`` at the chosen penalty; in ``x`` only while no two eigenvalues
    coincide.

    In float32, predictions agree with float64 to 1e-3 standard deviations of the target, also with eigenvalues over
    nine orders of magnitude. Worse is measured only with width ≤ entity and about as many training rows as columns or
    fewer, for penalties below 1e-4 of the mean eigenvalue: there 1 − h is a small difference. Where it is lost
    altogether, the leave-one-out prediction is the mean of the other rows. An offset of ``x`` costs its own digits:
    with a mean of 10^k standard deviations, k of them.

    Raises:
        ValueError: ``x`` and ``y`` have different numbers of rows.
    """
    rows = centred(x, y, train)
    chosen = select(rows, spectrum(rows), ratios, jnp.asarray(x.shape[1], jnp.int32))
    weights = chosen.weights * rows.y_scale
    intercept = rows.y_mean - jnp.matmul(rows.x_mean, weights, precision="highest")
    at_edge = (chosen.choice == 0) | (chosen.choice == ratios.shape[0] - 1)
    predictions = in_own_units(x, y, rows, chosen)
    return RidgeFit(weights, intercept, chosen.penalty, chosen.choice, chosen.loo_error, predictions, at_edge)


def predict(fit: LinearMap, x: Float[Array, "entity width"]) -> Float[Array, "entity target"]:
    """x W + b, in the units of the targets."""
    return jnp.matmul(x, fit.weights, precision="highest") + fit.intercept
