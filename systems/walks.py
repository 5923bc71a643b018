"""Sequences of nodes: walks on a graph, and what takes something away from them. Pure; batch with ``jax.vmap``.

``adjacency`` is ``[node, node]``, 0 or 1, symmetric and connected. Source: Park et al., arXiv 2501.00070.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

Adjacency = Float[Array, "node node"]
Walk = Int[Array, " time"]


def _stationary(adjacency: Adjacency) -> Float[Array, " node"]:
    """ln of the walk's stationary law, degree / (2 edges)."""
    return jnp.log(adjacency.sum(axis=1))


@functools.partial(jax.jit, static_argnames=("length",))
def random_walk(
    key: Key[Array, ""],
    adjacency: Adjacency,
    length: int,
    *,
    start: int | Int[Array, ""] | None = None,
    restart: float | Float[Array, ""] = 0.0,
) -> Walk:
    """P(next = j | i) = A_ij / degree_i; with probability ``restart`` any node instead, all alike.

    ``start`` is uniform over the nodes by default.
    """
    count = adjacency.shape[0]
    first, rest = jax.random.split(key)
    begin = jax.random.randint(first, (), 0, count) if start is None else jnp.asarray(start, jnp.int32)
    steps = jnp.log(adjacency)

    def step(node: Array, key: Array) -> tuple[Array, Array]:
        move, whether, anew = jax.random.split(key, 3)
        legal = jax.random.categorical(move, steps[node])
        other = jax.random.randint(anew, (), 0, count)
        new = jnp.where(jax.random.uniform(whether) < restart, other, legal).astype(jnp.int32)
        return new, new

    return jnp.concatenate(
        (begin[None].astype(jnp.int32), jax.lax.scan(step, begin, jax.random.split(rest, length - 1))[1])
    )


def walk_per_start(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Int[Array, "node time"]:
    """One walk from every node."""
    count = adjacency.shape[0]
    keys = jax.random.split(key, count)
    return jax.vmap(lambda k, start: random_walk(k, adjacency, length, start=start))(keys, jnp.arange(count))


@functools.partial(jax.jit, static_argnames=("length",))
def neighbour_pairs(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Walk:
    """Independent edges, each all alike and in a random direction, both ends one after the other.

    Only the second of a pair (odd items) is lawful given the one before.
    """
    count = (length + 1) // 2
    first, second = jax.random.split(key)
    # An edge and direction drawn evenly is a node drawn by its degree and a neighbour drawn evenly.
    a = jax.random.categorical(first, _stationary(adjacency), shape=(count,))
    b = jax.random.categorical(second, jnp.log(adjacency)[a])
    return jnp.stack((a, b), axis=1).reshape(-1)[:length].astype(jnp.int32)


@functools.partial(jax.jit, static_argnames=("length",))
def independent(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Walk:
    """Independent nodes of the walk's stationary law: each as often as a walk visits it, and no edges."""
    return jax.random.categorical(key, _stationary(adjacency), shape=(length,)).astype(jnp.int32)


@jax.jit
def edge_shuffled(key: Key[Array, ""], walk: Walk) -> Walk:
    """The transitions of a walk as pairs in random order, cut to the walk's length.

    Who follows whom is kept as often as it occurred; the path, and with it every distance beyond one step, is not.
    """
    length = walk.shape[0]
    pairs = jnp.stack((walk[:-1], walk[1:]), axis=1)
    return jax.random.permutation(key, pairs)[: (length + 1) // 2].reshape(-1)[:length]


@functools.partial(jax.jit, static_argnames=("length",))
def mixture_walk(
    key: Key[Array, ""], first: Adjacency, second: Adjacency, share: float | Float[Array, ""], length: int
) -> Walk:
    """Each step follows the first graph with probability ``share``, else the second; starts at any node."""
    begin, rest = jax.random.split(key)
    node = jax.random.randint(begin, (), 0, first.shape[0])
    steps = jnp.log(jnp.stack((first, second)))

    def step(node: Array, key: Array) -> tuple[Array, Array]:
        whether, move = jax.random.split(key)
        graph = (jax.random.uniform(whether) >= share).astype(jnp.int32)
        new = jax.random.categorical(move, steps[graph, node]).astype(jnp.int32)
        return new, new

    node = node.astype(jnp.int32)
    return jnp.concatenate((node[None], jax.lax.scan(step, node, jax.random.split(rest, length - 1))[1]))


@functools.partial(jax.jit, static_argnames=("length",))
def balanced_walk(
    key: Key[Array, ""], adjacency: Adjacency, length: int, *, strength: float | Float[Array, ""] = 1.0
) -> Walk:
    """P(next = j | i) ∝ A_ij exp(-``strength`` visits_j): nodes that were seen less are preferred."""
    count = adjacency.shape[0]
    begin, rest = jax.random.split(key)
    node = jax.random.randint(begin, (), 0, count).astype(jnp.int32)
    steps = jnp.log(adjacency)

    def step(carry: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], Array]:
        node, visits = carry
        new = jax.random.categorical(key, steps[node] - strength * visits).astype(jnp.int32)
        return (new, visits.at[new].add(1.0)), new

    visits = jnp.zeros(count).at[node].add(1.0)
    return jnp.concatenate((node[None], jax.lax.scan(step, (node, visits), jax.random.split(rest, length - 1))[1]))
