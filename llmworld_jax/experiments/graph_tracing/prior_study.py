"""Words with an order of their own: does the context's ring appear beside the calendar's, or was it there before?

Seven points on a circle have three planes in all, one for each of the rings of step 1, 2 and 3, whatever was read: once
the first plane is the calendar, the second must look like another ring. So the power of each plane is compared between
sequences that follow the graph, sequences that follow another graph, and sequences that follow none.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from analyses import graphs
from systems.graphs import Graph

from .results import Prior, Reading


def circular_step(graph: Graph) -> int | None:
    """The step ``s`` when every node is joined to those ``s`` before and after it, and to no other."""
    number = graph.num_nodes
    for step in range(1, (number + 1) // 2):
        wanted = np.zeros((number, number))
        for node in range(number):
            wanted[node, (node + step) % number] = wanted[node, (node - step) % number] = 1
        if np.array_equal(wanted, np.asarray(graph.adjacency)):
            return step
    return None


def prior_of(readings: dict[str, Reading]) -> Prior:
    """Power of the plane of every ring for each kind of sequence; NaN where a node was not seen."""
    number = next(iter(readings.values())).means.shape[2]
    steps = [step for step in range(1, (number + 1) // 2) if math.gcd(step, number) == 1]
    planes = [graphs.ring_harmonic(number, step) - 1 for step in steps]
    powers = []
    for reading in readings.values():
        whole = np.all(reading.counts > 0, axis=-1, keepdims=True)
        powers.append(np.where(whole, np.asarray(_powers(jnp.asarray(reading.means)))[..., planes], np.nan))
    return Prior(tuple(readings), np.array(steps), np.stack(powers))


_powers = jax.jit(jax.vmap(jax.vmap(graphs.circulant_power)))


def gain_of_step(prior: Prior, kind: str, step: int, against: str) -> np.ndarray:
    """``[layer, context]``: share of the variance in the plane of ``step``, above what ``against`` has there."""
    at = int(np.flatnonzero(prior.steps == step)[0])
    return prior.power[prior.kinds.index(kind), ..., at] - prior.power[prior.kinds.index(against), ..., at]
