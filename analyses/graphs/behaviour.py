r"""Does what comes next follow the edges? And does it follow edges that were never walked?

``probabilities[t]`` holds, for every node, the probability over the whole vocabulary that its word is item t + 1, read
after items 0 to t of ``walk``. Source: Park et al., arXiv 2501.00070, section 4; the split by exposure is ours.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Probabilities = Float[Array, "time node"]
Walk = Int[Array, " time"]
Adjacency = Float[Array, "node node"]
Curve = Float[Array, " time"]


class RuleFollowing(NamedTuple):
    """``[time]`` each. ``accuracy``: probability of all neighbours of the current node; ``node_mass``: of all nodes;
    ``renormalised``: their quotient; ``top_valid``: 1 where the most likely token is a neighbour; ``backtrack``:
    probability of the node before (NaN at the first item)."""

    accuracy: Curve
    node_mass: Curve
    renormalised: Curve
    top_valid: Curve
    backtrack: Curve


class ExposureSplit(NamedTuple):
    """Renormalised probability a node by class, NaN where the class is empty, and the nodes in it, ``[time]`` each.

    ``seen_edge``: neighbours whose edge was walked before, in either direction; ``unseen_edge``: the other neighbours;
    ``non_neighbour``: other nodes; ``non_neighbour_then``: the same at times at which there is an unseen edge, which is
    what ``unseen_edge`` has to be compared with. To pool, weigh by the counts.
    """

    seen_edge: Curve
    unseen_edge: Curve
    non_neighbour: Curve
    non_neighbour_then: Curve
    seen_edges: Curve
    unseen_edges: Curve
    non_neighbours: Curve
    non_neighbours_then: Curve


@jax.jit
def rule_following(
    probabilities: Probabilities, walk: Walk, adjacency: Adjacency, largest_other: Curve
) -> RuleFollowing:
    """``RuleFollowing``; ``largest_other[t]`` is the largest probability of a token that names no node."""
    legal = adjacency[walk]
    accuracy, mass = jnp.sum(probabilities * legal, axis=1), jnp.sum(probabilities, axis=1)
    best = jnp.argmax(probabilities, axis=1)
    first = jnp.max(probabilities, axis=1) > largest_other
    valid = first & (jnp.take_along_axis(legal, best[:, None], axis=1)[:, 0] > 0)
    before = jnp.take_along_axis(probabilities[1:], walk[:-1, None], axis=1)[:, 0]
    return RuleFollowing(
        accuracy,
        mass,
        accuracy / mass,
        valid.astype(probabilities.dtype),
        jnp.concatenate((jnp.full(1, jnp.nan), before)),
    )


@jax.jit
def chance(adjacency: Adjacency, walk: Walk | None = None) -> Float[Array, ""]:
    """Accuracy of an even law over the nodes: mean degree / n, over nodes or, with ``walk``, over its items."""
    share = adjacency.sum(axis=1) / adjacency.shape[0]
    return jnp.mean(share if walk is None else share[walk])


@functools.partial(jax.jit, static_argnames="num_nodes")
def walked_edges(walk: Walk, num_nodes: int) -> Bool[Array, "time node"]:
    """For each item t, the nodes to which the edge from it was walked before t, in either direction."""

    def step(known: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        before, now = pair
        after = known.at[before, now].set(True).at[now, before].set(True)
        return after, after[now]

    none = jnp.zeros((num_nodes, num_nodes), bool)
    _, rows = jax.lax.scan(step, none, (walk[:-1], walk[1:]))
    return jnp.concatenate((jnp.zeros((1, num_nodes), bool), rows))


@jax.jit
def exposure_split(probabilities: Probabilities, walk: Walk, adjacency: Adjacency) -> ExposureSplit:
    """``ExposureSplit``; the step that led to the current node counts as walked."""
    share = probabilities / jnp.sum(probabilities, axis=1, keepdims=True)
    number = adjacency.shape[0]
    known, near = walked_edges(walk, number), adjacency[walk] > 0
    other = ~near & (jnp.arange(number) != walk[:, None])
    fresh = near & ~known
    then = other & jnp.any(fresh, axis=1, keepdims=True)
    classes = (near & known, fresh, other, then)
    counts = [jnp.sum(c, axis=1).astype(share.dtype) for c in classes]
    values = [
        jnp.where(n > 0, jnp.sum(share * c, axis=1) / jnp.maximum(n, 1), jnp.nan) for c, n in zip(classes, counts)
    ]
    return ExposureSplit(*values, *counts)


@jax.jit
def pooled(values: Float[Array, "*batch"], counts: Float[Array, "*batch"]) -> Float[Array, ""]:
    """Mean of class means, weighed by counts."""
    return jnp.sum(jnp.where(counts > 0, values * counts, 0)) / jnp.sum(counts)


def moving_average(curve: Float[Array | np.ndarray, " time"], width: int) -> Curve:
    """Mean over ``width`` items about each, fewer at the ends; NaN items do not count. An even width starts one early.

    Raises:
        ValueError: ``width`` below 1 or longer than the curve.
    """
    x = jnp.asarray(curve)
    if not 1 <= width <= x.shape[0]:
        raise ValueError(f"Got width {width} for {x.shape[0]} items. Expected 1 to {x.shape[0]}. Average over fewer.")
    known = jnp.isfinite(x)
    window = jnp.ones(width, x.dtype)
    total = jnp.convolve(jnp.where(known, x, 0), window, mode="same", precision="highest")
    number = jnp.convolve(known.astype(x.dtype), window, mode="same", precision="highest")
    return jnp.where(number > 0, total / jnp.maximum(number, 1), jnp.nan)


def binned(curve: Float[Array | np.ndarray, "*batch time"], edges: Sequence[int]) -> Float[Array, "*batch bin"]:
    """Mean over items ``edges[b]`` to ``edges[b + 1]`` - 1, one bin fewer than edges; NaN items do not count.

    A bin without a known item, as beyond the end of the curve, is NaN.

    Raises:
        ValueError: fewer than two edges, a negative one, or edges that do not increase.
    """
    if len(edges) < 2 or edges[0] < 0 or any(a >= b for a, b in itertools.pairwise(edges)):
        raise ValueError(f"Got bin edges {tuple(edges)}. Expected two or more, from 0 up. Sort them, each once.")
    x = jnp.asarray(curve)
    # Differences of running sums would lose the small bins at the end of a long curve.
    item = np.arange(x.shape[-1])[:, None]
    inside = jnp.asarray((item >= np.asarray(edges[:-1])) & (item < np.asarray(edges[1:])), x.dtype)
    known = jnp.isfinite(x)
    total = jnp.matmul(jnp.where(known, x, 0), inside, precision="highest")
    number = jnp.matmul(known.astype(x.dtype), inside, precision="highest")
    return jnp.where(number > 0, total / jnp.maximum(number, 1), jnp.nan)
