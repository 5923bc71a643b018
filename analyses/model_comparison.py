"""Which law does a learning curve follow? Five laws under one error model, judged on trajectories they have not seen.

Every law is floor(t) + A f(t) + c with A, c ≥ 0 and the floor known, fitted by the same relative deviance
(:mod:`analyses.decays`) to the same geometric bins, so that scores differ by the shape of the law alone:

    power            A t^α                     plateau fixed at the floor; may also rise
    power_plateau    A t^α + c
    exponential      A e^{−t/τ} + c
    logarithmic      a − b ln t                as A ln(T/t) + c, T the last bin: above the floor throughout
    constant         c                         nothing is learned

A straight line on log–log paper is weak evidence: over two decades a logarithm or a plateau bends little, and the
residuals of neighbouring bins are correlated, because they come from the same trajectories. Criteria that count bins
as independent (AICc) therefore sound too certain; leaving whole trajectories out does not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .decays import Decay, fit_decay, fit_levels, relative_deviance
from .plateau import DECAY_RANGE, FREE_RANGE, NUM_NODES

#: The laws, in the order of every array here.
MODELS = ("power", "power_plateau", "exponential", "logarithmic", "constant")
#: Numbers fitted by each.
NUM_PARAMETERS = (2, 3, 3, 2, 1)
#: Rates 1/τ searched, in units of one over the span of contexts.
EXPONENTIAL_RANGE = (0.1, 1000.0)
_REWEIGHTINGS = 30


class ModelFits(NamedTuple):
    """Every law of ``MODELS`` fitted to one curve; a number that a law does not have is NaN."""

    rate: Float[Array, " model"]  #: α of the power laws, 1/τ of the exponential
    amplitude: Float[Array, " model"]  #: A; of the powers at t = 1, of the exponential at t = 0, b of the logarithm
    constant: Float[Array, " model"]  #: c; of the logarithm a, the value at t = 1
    deviance: Float[Array, " model"]  #: about half the mean squared relative residual
    aicc_weight: Float[Array, " model"]  #: sums to one; treats bins as independent
    excess: Float[Array, "model bin"]  #: the law above the floor


class ModelComparison(NamedTuple):
    """Held-out scores of ``MODELS``, in relative units: 0.005 is a law that is off by another 10 % (½·0.1²)."""

    score: Float[Array, " model"]  #: mean held-out L/m + ln m less that of the winner, ≥ 0
    error: Float[Array, " model"]  #: standard error of that difference over trajectories; 0 for the winner
    winner: Int[Array, ""]  #: index into ``MODELS`` of the best score
    simplest: Int[Array, ""]  #: the law with the fewest numbers within one standard error of the winner
    fits: ModelFits  #: to the mean of all trajectories


def fit_models(
    context: Float[Array, " bin"],
    loss: Float[Array, " bin"],
    floor: Float[Array, " bin"] | Float[Array, ""] | float = 0.0,
) -> ModelFits:
    """Each law by least relative deviance. Rates are clipped to the searched ranges, which still predicts.

    AICc = B ln D + 2k + 2k(k+1)/(B−k−1) for B bins, deviance D, and k parameters with the size of the errors among
    them.
    """
    floor = jnp.broadcast_to(jnp.asarray(floor, loss.dtype), loss.shape)
    log_t, start, span = jnp.log(context), context[0], context[-1] - context[0]
    x = jnp.stack((log_t - log_t[0], log_t - log_t[0], (context - start) / span))
    nodes = np.stack([np.linspace(*FREE_RANGE, NUM_NODES)]
                     + [np.geomspace(*ends, NUM_NODES) for ends in (DECAY_RANGE, EXPONENTIAL_RANGE)])  # fmt: skip

    def decay(x: Array, rates: Array, constant: Array) -> Decay:
        return fit_decay(x, loss, floor, rates, constant=constant)

    decays = jax.vmap(decay)(x, jnp.asarray(nodes, loss.dtype), jnp.arange(3) > 0)
    levels = [
        fit_levels(shape, loss, floor, constant=constant, reweightings=_REWEIGHTINGS)
        for shape, constant in ((x[0, -1] - x[0], True), (jnp.ones_like(loss), False))
    ]
    (fall, last, logarithm), (mean, _, flat) = levels
    excess = decays.amplitude[:, None] * jnp.exp(-decays.rate[:, None] * x) + decays.constant[:, None]
    law = jnp.concatenate((floor + excess, logarithm[None], flat[None]))
    deviance = jax.vmap(lambda row: relative_deviance(loss, row))(law)
    unknown = jnp.asarray(jnp.nan, loss.dtype)
    power, plateau, exponential = decays.rate / jnp.stack((-jnp.ones_like(span), -jnp.ones_like(span), span))
    origin = jnp.exp(jnp.stack((-power * log_t[0], -plateau * log_t[0], exponential * start)))
    return ModelFits(
        jnp.stack((power, plateau, exponential, unknown, unknown)),
        jnp.concatenate((decays.amplitude * origin, jnp.stack((fall, unknown)))),
        jnp.stack((unknown, *decays.constant[1:], last + fall * log_t[-1], mean)),
        deviance,
        _aicc_weights(deviance, loss.shape[0]),
        law - floor,
    )


def compare_models(
    context: Float[Array, " bin"],
    losses: Float[Array, "trajectory bin"],
    floors: Float[Array, "trajectory bin"] | Float[Array, ""] | float = 0.0,
) -> ModelComparison:
    """Leave one trajectory out: fit the mean of the others, score the law on the one left out, for each in turn.

    The score of a law m on a curve L is the mean over bins of L/m + ln m. Its expectation is least at the true mean
    whatever the noise (it is proper), so single noisy trajectories judge fairly where their relative squared errors
    would favour low laws. The held-out trajectory keeps its own floor, which is known.

    The laws are nested or nearly so, hence the winner is often a larger law that wins by nothing: report ``simplest``
    beside it. A law is beaten where its score exceeds two or three standard errors; those come from few trajectories
    themselves.

    Raises:
        ValueError: fewer than three trajectories (with two, a fit sees one curve only).
    """
    num = losses.shape[0]
    if num < 3:
        raise ValueError(
            f"compare_models: got {num} trajectories; expected at least 3; use fit_models and its weights for fewer"
        )
    floors = jnp.broadcast_to(jnp.asarray(floors, losses.dtype), losses.shape)
    total, total_floor = jnp.sum(losses, axis=0), jnp.sum(floors, axis=0)
    means = jnp.concatenate(((total - losses) / (num - 1), total[None] / num))
    mean_floors = jnp.concatenate(((total_floor - floors) / (num - 1), total_floor[None] / num))
    fits = jax.vmap(fit_models, in_axes=(None, 0, 0))(context, means, mean_floors)
    law = jnp.maximum(floors[:, None, :] + fits.excess[:-1], jnp.finfo(losses.dtype).eps * jnp.max(total))
    scores = jnp.mean(losses[:, None, :] / law + jnp.log(law), axis=-1)
    winner = jnp.argmin(jnp.mean(scores, axis=0)).astype(jnp.int32)
    differences = (scores - scores[:, winner][:, None]) * (jnp.arange(len(MODELS)) != winner)
    score, error = jnp.maximum(jnp.mean(differences, axis=0), 0), jnp.std(differences, axis=0, ddof=1) / np.sqrt(num)
    numbers = jnp.where(score <= error, jnp.asarray(NUM_PARAMETERS, score.dtype), jnp.inf)
    simplest = jnp.argmin(numbers + score / (1 + score)).astype(jnp.int32)  # equals are told apart by the score
    return ModelComparison(score, error, winner, simplest, jax.tree.map(lambda leaf: leaf[-1], fits))


def _aicc_weights(deviance: Float[Array, " model"], num_bins: int) -> Float[Array, " model"]:
    """NaN where there are too few bins for the largest law."""
    k = np.asarray(NUM_PARAMETERS) + 1
    room = num_bins - k - 1
    penalty = 2 * k + 2 * k * (k + 1) / np.where(room > 0, room, np.nan)
    floor = jnp.finfo(deviance.dtype).tiny
    aicc = num_bins * jnp.log(jnp.maximum(deviance, floor)) + jnp.asarray(penalty, deviance.dtype)
    return jax.nn.softmax(-0.5 * aicc)
