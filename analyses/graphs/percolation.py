"""What a walk has seen of a graph: edges, and the parts that they join.

The trace of a walk is connected from its first step, so "giant component" says something only of edges walked at least
twice, or of sequences of independent pairs; both can be asked for (``times``). Bond percolation on the infinite square
lattice has its threshold at one half of the edges, on the honeycomb at 1 - 2 sin(π/18) = 0.6527 (Sykes and Essam,
1964). Every step between neighbours counts, so of a sequence of pairs the chance neighbours between two pairs as well.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Walk = Int[Array, " time"]
Adjacency = Float[Array, "node node"]
Curve = Float[Array, " time"]


@jax.jit
def edge_coverage(walk: Walk, adjacency: Adjacency, times: int | Int[Array, ""] = 1) -> Curve:
    """Share of the edges walked at least ``times``, in either direction, after every item."""
    return _walked(walk, adjacency, times).sum(axis=(1, 2)) / adjacency.sum()


@jax.jit
def largest_component(walk: Walk, adjacency: Adjacency, times: int | Int[Array, ""] = 1) -> Curve:
    """Share of the nodes in the largest part that the edges walked at least ``times`` join, after every item.

    For ``times`` = 1 this is the share of nodes that a walk visited, whatever the graph.
    """
    return jax.lax.map(lambda e: jnp.max(component_sizes(e)), _walked(walk, adjacency, times)) / adjacency.shape[0]


@jax.jit
def susceptibility(walk: Walk, adjacency: Adjacency, times: int | Int[Array, ""] = 1) -> Curve:
    """Σ size² / Σ size over the parts but the largest: how large a part a node outside it is in; 0 with none left."""

    def one(edges: Array) -> Array:
        sizes = jnp.sort(component_sizes(edges))[:-1]
        total = jnp.sum(sizes)
        return jnp.where(total > 0, jnp.sum(sizes**2) / jnp.maximum(total, 1), 0.0)

    return jax.lax.map(one, _walked(walk, adjacency, times))


@jax.jit
def component_sizes(edges: Bool[Array, "node node"]) -> Float[Array, " node"]:
    """Nodes in the part that has each node as its smallest, 0 for the other nodes; ``edges`` is symmetric."""
    number = edges.shape[0]
    own = jnp.arange(number)

    def spread(labels: Array) -> Array:
        return jnp.minimum(labels, jnp.min(jnp.where(edges, labels[None], number), axis=1))

    def changing(state: tuple[Array, Array]) -> Array:
        return jnp.any(state[0] != state[1])

    _, labels = jax.lax.while_loop(changing, lambda s: (s[1], spread(s[1])), (own, spread(own)))
    return jnp.zeros(number).at[labels].add(1.0)


@jax.jit
def first_time(curve: Curve, level: float | Float[Array, ""]) -> Float[Array, ""]:
    """Items read when ``curve`` first reaches ``level`` (1 is the first item); NaN where it never does."""
    reached = curve >= level
    return jnp.where(jnp.any(reached), jnp.argmax(reached) + 1.0, jnp.nan)


def _walked(walk: Array, adjacency: Array, times: int | Array) -> Array:
    """``[time, node, node]``: edges of the graph walked at least ``times`` by each item, in either direction."""

    def step(counts: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = pair
        counts = counts.at[a, b].add(1).at[b, a].add(1)
        return counts, (counts >= times) & (adjacency > 0)

    none = jnp.zeros(adjacency.shape, jnp.int32)
    first = jnp.zeros((1, *adjacency.shape), bool)
    return jnp.concatenate((first, jax.lax.scan(step, none, (walk[:-1], walk[1:]))[1]))
