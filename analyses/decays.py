"""Least squares in relative units for floor + A·e^{−rx} + c with A, c ≥ 0: the solver behind laws with a plateau.

With x = ln t this is a power law, with x = t an exponential. The errors of a loss grow with the loss itself, so the
residual of every bin is measured in units of the law's own value there. Dividing by the *data* instead would favour
the bins that happen to lie low (a bias of about twice the relative variance, larger early, hence in the exponent);
minimising Σ(L/m − 1)² would favour high laws. What is minimised is the deviance

    D(m) = mean over bins of L/m − 1 − ln(L/m) ≈ ½ (L/m − 1)²,

whose stationary points are those of Σ (L − m)²/m² with the weights held fixed. It is a strictly proper score of a
mean: whatever the distribution of L, the expectation of L/m + ln m is least at m = E L.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

#: Iterations of the reweighting at a fixed rate, and of the search for the rate.
REWEIGHTINGS = 4
REFINEMENTS = 12


class Decay(NamedTuple):
    """m = floor + amplitude · e^{−rate·x} + constant."""

    rate: Float[Array, ""]
    amplitude: Float[Array, ""]
    constant: Float[Array, ""]
    deviance: Float[Array, ""]  #: D, about half the mean squared relative residual
    inside: Bool[Array, ""]  #: the loss falls (or rises) at a rate inside the searched range


def relative_deviance(loss: Float[Array, " bin"], model: Float[Array, " bin"]) -> Float[Array, ""]:
    """Mean of L/m − 1 − ln(L/m) over bins: 0 where the law is met, dimensionless, finite for L > 0."""
    excess = loss / model - 1
    return jnp.mean(excess - jnp.log1p(excess))


def fit_levels(
    shape: Float[Array, " bin"],
    loss: Float[Array, " bin"],
    floor: Float[Array, " bin"],
    *,
    constant: Bool[Array, ""] | bool = True,
    reweightings: int = REWEIGHTINGS,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, " bin"]]:
    """(A, c, m) of m = floor + A·shape + c, both ≥ 0 (c = 0 unless ``constant``), by iterated reweighting.

    The first weights are those of the data; losses must be positive.
    """
    zero = jnp.zeros((), loss.dtype)
    first = jnp.maximum(loss, _tiny(loss))
    return jax.lax.fori_loop(
        0, reweightings, lambda _, state: _levels(shape, loss, floor, state[2], constant), (zero, zero, first)
    )


def fit_decay(
    x: Float[Array, " bin"],
    loss: Float[Array, " bin"],
    floor: Float[Array, " bin"],
    rates: Float[Array, " node"],
    *,
    constant: Bool[Array, ""] | bool = True,
) -> Decay:
    """argmin of the deviance over A ≥ 0, c ≥ 0 (c = 0 unless ``constant``) and the rate, without a start point.

    Variable projection: at every node of ``rates`` (increasing) the levels are solved for, the best node brackets the
    rate, Gauss–Newton steps with the levels projected out find it, and one exact Newton step makes it good to rounding
    and carries the derivative with respect to ``loss`` and ``floor``. x ≥ 0; A is the height at x = 0.
    """
    frozen_loss, frozen_floor = jax.lax.stop_gradient((loss, floor))

    def node(rate: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, " bin"]]:
        *_, model = fit_levels(jnp.exp(-rate * x), frozen_loss, frozen_floor, constant=constant)
        return relative_deviance(frozen_loss, model), model

    deviances, models = jax.vmap(node)(rates)
    best, last = jnp.argmin(deviances), rates.shape[0] - 1
    bracket = rates[jnp.maximum(best - 1, 0)], rates[jnp.minimum(best + 1, last)]

    def refine(_: Array | int, state: tuple[Array, ...]) -> tuple[Array, ...]:
        rate, _, _, model = state
        levels = _levels(jnp.exp(-rate * x), frozen_loss, frozen_floor, model, constant)
        return jnp.clip(rate + _rate_step(x, frozen_loss, rate, *levels), *bracket), *levels

    zero = jnp.zeros((), loss.dtype)
    rate, *_, model = jax.lax.fori_loop(0, REFINEMENTS, refine, (rates[best], zero, zero, models[best]))
    amplitude, level, _ = _levels(jnp.exp(-rate * x), frozen_loss, frozen_floor, model, constant)
    point = _newton_step(x, loss, floor, jnp.stack((rate, amplitude, level)), bracket)
    deviance = relative_deviance(loss, _decay(x, floor, point))
    return Decay(point[0], point[1], point[2], deviance, (best > 0) & (best < last) & (amplitude > 0))


def _tiny(loss: Float[Array, " bin"]) -> Float[Array, ""]:
    """Keeps a law that vanishes from dividing by zero."""
    return jnp.finfo(loss.dtype).eps * jnp.max(jnp.abs(loss))


def _decay(x: Float[Array, " bin"], floor: Float[Array, " bin"], point: Float[Array, " 3"]) -> Float[Array, " bin"]:
    return floor + point[1] * jnp.exp(-point[0] * x) + point[2]


def _levels(
    shape: Float[Array, " bin"],
    loss: Float[Array, " bin"],
    floor: Float[Array, " bin"],
    model: Float[Array, " bin"],
    constant: Bool[Array, ""] | bool,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, " bin"]]:
    """Weighted least squares of loss − floor on (shape, 1), both coefficients ≥ 0; weights 1/model²."""
    weight, excess = 1 / model**2, loss - floor
    total, sum_shape = jnp.sum(weight), jnp.sum(weight * shape)
    only_shape = jnp.maximum(jnp.sum(weight * shape * excess) / jnp.sum(weight * shape**2), 0)
    only_level = jnp.maximum(jnp.sum(weight * excess) / total, 0)
    centred = shape - sum_shape / total
    slope = jnp.sum(weight * centred * excess) / jnp.sum(weight * centred**2)
    offset = (jnp.sum(weight * excess) - slope * sum_shape) / total
    falls, lifted = slope > 0, offset > 0
    amplitude = jnp.where(constant, jnp.where(falls, jnp.where(lifted, slope, only_shape), 0), only_shape)
    level = jnp.where(constant, jnp.where(falls, jnp.maximum(offset, 0), only_level), 0)
    return amplitude, level, jnp.maximum(floor + amplitude * shape + level, _tiny(loss))


def _rate_step(
    x: Float[Array, " bin"],
    loss: Float[Array, " bin"],
    rate: Float[Array, ""],
    amplitude: Float[Array, ""],
    level: Float[Array, ""],
    model: Float[Array, " bin"],
) -> Float[Array, ""]:
    """Gauss–Newton step of the rate: residual on ∂m/∂rate, less what a change of the free levels explains."""
    weight = 1 / model**2
    share = weight / jnp.sum(weight) * (level > 0)
    shape = jnp.exp(-rate * x)
    column = -amplitude * x * shape
    centred = shape - jnp.sum(share * shape)
    column = column - jnp.sum(share * column)
    column = column - centred * jnp.sum(weight * column * centred) / jnp.sum(weight * centred**2)
    size = jnp.sum(weight * column**2)
    return jnp.sum(weight * column * (loss - model)) / jnp.where(size > 0, size, 1)


def _newton_step(
    x: Float[Array, " bin"],
    loss: Float[Array, " bin"],
    floor: Float[Array, " bin"],
    point: Float[Array, " 3"],
    bracket: tuple[Float[Array, ""], Float[Array, ""]],
) -> Float[Array, " 3"]:
    """(rate, A, c) after one step with the exact second derivatives, levels at zero held; not taken if it worsens.

    Only the gradient depends on the data under differentiation: that makes the derivative of the minimum exact.
    """
    frozen_loss, frozen_floor, point = jax.lax.stop_gradient((loss, floor, point))
    rate, amplitude, level = point
    shape = jnp.exp(-rate * x)
    free = jnp.stack((amplitude > 0, amplitude > 0, level > 0)).astype(loss.dtype)
    jacobian = jnp.stack((-amplitude * x * shape, shape, jnp.ones_like(x))) * free[:, None]

    def first(loss: Float[Array, " bin"], floor: Float[Array, " bin"]) -> Float[Array, " bin"]:
        model = floor + amplitude * shape + level
        return (model - loss) / model**2

    model, slope = frozen_floor + amplitude * shape + level, first(frozen_loss, frozen_floor)
    hessian = (jacobian * ((2 * frozen_loss - model) / model**3)) @ jacobian.T
    bend = jnp.sum(slope * amplitude * x**2 * shape) * free[0]
    twist = -jnp.sum(slope * x * shape) * free[0]
    hessian = hessian.at[0, 0].add(bend).at[0, 1].add(twist).at[1, 0].add(twist) + jnp.diag(1 - free)
    moved = point - _solve(hessian, jacobian @ first(loss, floor))
    moved = jnp.stack((jnp.clip(moved[0], *bracket), *jnp.maximum(moved[1:], 0)))
    after = relative_deviance(frozen_loss, _decay(x, frozen_floor, jax.lax.stop_gradient(moved)))
    return jnp.where(after <= relative_deviance(frozen_loss, model) + jnp.finfo(loss.dtype).eps, moved, point)


def _solve(matrix: Float[Array, "3 3"], vector: Float[Array, " 3"]) -> Float[Array, " 3"]:
    """Symmetric 3 × 3 system by cofactors, rows and columns scaled first."""
    scale = jnp.sqrt(jnp.abs(jnp.diag(matrix)))
    scaled = matrix / scale[:, None] / scale[None, :]
    cofactors = jnp.stack([jnp.cross(scaled[i - 2], scaled[i - 1]) for i in range(3)])
    return cofactors @ (vector / scale) / jnp.dot(scaled[0], cofactors[0]) / scale
