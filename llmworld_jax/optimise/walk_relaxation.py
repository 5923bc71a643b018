r"""Walks relaxed and decoded, and walks drawn from a chain that is learned.

Relaxed: every item is a law :math:`\pi_t` over nodes; steps that are no edge cost
:math:`\sum_t \pi_t^\top (11^\top - A)\,\pi_{t+1}`, and entropy is first favoured, then punished. What counts is the
loss of the legal walk that is decoded at the end, not that of the relaxation.

Learned: a transition matrix on the edges, by the score function: walks are drawn, and the log-probability of each is
raised or lowered by its loss against the mean of the others.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from ..errors import InputError
from .descent import State, Step, adam, begin, descend
from .legal_walks import WalkLoss, best_walk


class Annealing(NamedTuple):
    """Weights of the edge penalty and, at the first and last step, of the entropy (above 0: even laws are favoured)."""

    penalty: float = 1.0
    first_entropy: float = 0.02
    last_entropy: float = -0.05
    steps: int = 100


def infeasibility(laws: Float[Array, "time node"], adjacency: Float[Array, "node node"]) -> Float[Array, ""]:
    """Mean probability of a step that is no edge, of independent neighbouring items."""
    wrong = jnp.matmul(laws[:-1], 1 - adjacency, precision="highest")
    return jnp.mean(jnp.sum(wrong * laws[1:], axis=1))


def relaxed_step(
    state: State,
    loss: WalkLoss,
    adjacency: Float[Array, "node node"],
    annealing: Annealing,
    optimiser: optax.GradientTransformation,
) -> Step:
    """One step of the logits ``[time, node]`` in ``state``; pure."""
    share = jnp.minimum(state.step / max(annealing.steps - 1, 1), 1.0)
    sharp = annealing.first_entropy + share * (annealing.last_entropy - annealing.first_entropy)

    def whole(logits: Array, _: Array) -> Array:
        laws = jax.nn.softmax(logits, axis=1)
        entropy = -jnp.mean(jnp.sum(laws * jax.nn.log_softmax(logits, axis=1), axis=1))
        return loss(laws) + annealing.penalty * infeasibility(laws, adjacency) - sharp * entropy

    return descend(state, whole, optimiser)


def decoded(logits: Float[Array, "time node"], adjacency: Float[Array, "node node"]) -> Int[Array, " time"]:
    """The legal walk that the laws find most likely, items taken as independent."""
    return best_walk(jax.nn.log_softmax(logits, axis=1), adjacency)


def chain_of(logits: Float[Array, "node node"], adjacency: Float[Array, "node node"]) -> Float[Array, "node node"]:
    """Transition matrix on the edges."""
    return jax.nn.softmax(jnp.where(adjacency > 0, logits, -jnp.inf), axis=1)


def policy_loss(
    logits: Float[Array, "node node"],
    adjacency: Float[Array, "node node"],
    walks: Int[Array, "sample time"],
    losses: Float[Array, " sample"],
) -> Float[Array, ""]:
    r"""Its gradient is the score-function estimate of the gradient of the expected loss, each walk against the mean of
    the others: :math:`\frac1S \sum_s (\ell_s - \bar\ell_{-s}) \nabla \ln P(x_s)`.

    Raises:
        InputError: a single walk, which has no others.
    """
    count = losses.shape[0]
    if count < 2:
        raise InputError(f"{count} walks a step", "2 or more: each is compared with the others", "Draw more walks")
    others = (jnp.sum(losses) - losses) / (count - 1)
    logs = jax.nn.log_softmax(jnp.where(adjacency > 0, logits, -jnp.inf), axis=1)  # ln of the chain has no slope at 0
    likelihood = jnp.sum(logs[walks[:, :-1], walks[:, 1:]], axis=1)
    return jnp.mean(jax.lax.stop_gradient(losses - others) * likelihood)


def policy_step(
    state: State,
    adjacency: Float[Array, "node node"],
    draw: Callable[[Key[Array, ""], Float[Array, "node node"]], Int[Array, " time"]],
    score: Callable[[Int[Array, "sample time"]], Float[Array, " sample"]],
    samples: int,
    optimiser: optax.GradientTransformation,
) -> Step:
    """One step of the logits ``[node, node]``: ``samples`` walks of ``draw(key, transition)``, their losses by
    ``score``; ``Step.loss`` is their mean. Pure where ``draw`` and ``score`` are."""
    key = jax.random.fold_in(state.key, state.step)
    transition = chain_of(state.parameters, adjacency)
    walks = jax.vmap(draw, in_axes=(0, None))(jax.random.split(key, samples), transition)
    losses = score(walks)
    made = descend(state, lambda logits, _: policy_loss(logits, adjacency, walks, losses), optimiser)
    return made._replace(loss=jnp.mean(losses))


def begin_relaxed(key: Key[Array, ""], length: int, num_nodes: int, rate: float = 0.3) -> State:
    """Nearly even laws."""
    return begin(0.1 * jax.random.normal(key, (length, num_nodes)), adam(rate), key)


def begin_chain(key: Key[Array, ""], num_nodes: int, rate: float = 0.1) -> State:
    """The uniform walk."""
    return begin(jnp.zeros((num_nodes, num_nodes)), adam(rate), key)
