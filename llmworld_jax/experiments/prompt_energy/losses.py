"""What prompts are optimised against, as pure functions of what the model made of a walk.

Energies are of one layer's node means, tokens normalised to one root mean square, since raw energy falls by collapse or
by shrinking norms. The relabelled target of ``wrong`` has the same spectrum and size; it comes in as the task's graph.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from analyses import graphs

from ...optimise.seen import Loss, Reader, Seen, WalkTask
from .config import EnergyConfig, Objective

RELABELLINGS = 8
"""Over which the contrast is taken, the same at every step."""


class Target(NamedTuple):
    """A loss and how much has to be read for it. ``relabelled``: runs on a graph with the nodes' names mixed."""

    loss: Loss
    reader: Reader
    relabelled: bool = False


def neighbour_likelihood(seen: Seen, task: WalkTask) -> Float[Array, ""]:
    """Minus the mean log of the probability of all legal next words, nats."""
    assert seen.laws is not None
    last = task.nodes[-seen.hidden.shape[0] :]
    return legal_surprise(seen.laws.log_probability, task.adjacency[last] > 0)


def legal_surprise(log_probability: Float[Array, "item node"], legal: Bool[Array, "item node"]) -> Float[Array, ""]:
    """Minus the mean log of the probability of all ``legal`` words, nats."""
    return -jnp.mean(jax.nn.logsumexp(jnp.where(legal, log_probability, -jnp.inf), axis=1))


def next_likelihood(seen: Seen, task: WalkTask) -> Float[Array, ""]:
    """Minus the mean log probability of the word that came, nats."""
    assert seen.laws is not None
    coming = task.nodes[-seen.hidden.shape[0] + 1 :]
    return -jnp.mean(jnp.take_along_axis(seen.laws.log_probability[:-1], coming[:, None], axis=1))


def layer_energy(seen: Seen, task: WalkTask) -> Float[Array, ""]:
    """R at the last layer that was read."""
    means = seen.activations
    return graphs.dirichlet_ratio(means.means[-1, 0], task.adjacency, means.seen[-1, 0])


def layer_contrast(seen: Seen, task: WalkTask) -> Float[Array, ""]:
    """R less its mean over relabelled graphs: what is of this graph and no other."""
    means = seen.activations

    def other(key: Array) -> Array:
        mixed = relabelled(key, task)
        return graphs.dirichlet_ratio(means.means[-1, 0], mixed, means.seen[-1, 0])

    others = jax.vmap(other)(jax.random.split(jax.random.key(RELABELLINGS), RELABELLINGS))
    return layer_energy(seen, task) - jnp.mean(others)


def relabelled(key: Key[Array, ""], task: WalkTask) -> Float[Array, "node node"]:
    """The task's graph with the names of its real nodes mixed; those that only fill up stay at the end."""
    order = jnp.argsort(jnp.where(task.real, jax.random.uniform(key, task.real.shape), 2.0))
    return task.adjacency[order][:, order]


def probe_energy(seen: Seen, task: WalkTask) -> Float[Array, ""]:
    """R of the nodes read behind a filler, each vector normalised to one root mean square."""
    assert seen.probed is not None
    rows = seen.probed[-1]
    sized = rows / (jnp.linalg.norm(rows, axis=1, keepdims=True) / rows.shape[1] ** 0.5)
    return graphs.dirichlet_ratio(sized, task.adjacency, task.real)


def target_of(objective: Objective, config: EnergyConfig, layer: int, filler: tuple[int, ...]) -> Target:
    """The loss of ``objective`` and what is read for it; energies stop at ``layer``, laws read all blocks."""
    whole = Reader(config.window, remat=config.remat)
    short = whole._replace(blocks=layer, laws=False)
    targets = {
        "accuracy": Target(neighbour_likelihood, whole),
        "likelihood": Target(next_likelihood, whole),
        "energy": Target(layer_energy, short),
        "wrong": Target(layer_energy, short, relabelled=True),
        "contrast": Target(layer_contrast, short),
        "probe": Target(probe_energy, short._replace(filler=filler)),
    }
    return targets[objective]
