"""Sequences of nodes: walks on a graph, and what takes something away from them. Pure; batch with ``jax.vmap``.

``adjacency`` is ``[node, node]``, 0 or 1, symmetric and connected; every sequence is ``[time]`` int32 and ``length``
items long. Source: Park et al., arXiv 2501.00070, where grids are walked and rings are read as pairs.
"""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

Adjacency = Float[Array, "node node"] | Float[np.ndarray, "node node"]
Other = Float[Array, "other other"] | Float[np.ndarray, "other other"]
Walk = Int[Array, " time"] | Int[np.ndarray, " time"]
Sequence = Int[Array, " time"]
Share = float | Float[Array, ""]


def random_walk(
    key: Key[Array, ""],
    adjacency: Adjacency,
    length: int,
    *,
    start: int | Int[Array, ""] | None = None,
    restart: Share = 0.0,
) -> Sequence:
    r"""Each neighbour is as likely, and with probability ``restart`` r each node, the current one and neighbours too.

    .. math:: P(j \mid i) = (1 - r) A_{ij} / d_i + r / n

    Without restarts the stationary law is d_i / (2 edges). ``start`` is uniform over the nodes by default.

    Raises:
        ValueError: ``length`` below 1, no such ``start``, or ``restart`` not in [0, 1].
    """
    check_length(length, restart=restart)
    if isinstance(start, int | np.integer) and not 0 <= start < adjacency.shape[0]:
        raise ValueError(f"Got start {start}. Expected a node from 0 to {adjacency.shape[0] - 1}. Choose one of these.")
    return _random_walk(key, adjacency, start, restart, length=length)


def walk_per_start(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Int[Array, "node time"]:
    """One random walk from every node, independent of the others.

    Raises:
        ValueError: ``length`` below 1.
    """
    check_length(length)
    return _walk_per_start(key, adjacency, length=length)


def neighbour_pairs(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Sequence:
    """Independent edges, each as likely and in a random direction, both ends one after the other.

    Only the second of a pair (odd items) is lawful given the one before; an odd ``length`` cuts the last pair.

    Raises:
        ValueError: ``length`` below 1.
    """
    check_length(length)
    return _neighbour_pairs(key, adjacency, length=length)


def independent(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Sequence:
    """Independent nodes of the walk's stationary law, d_i / (2 edges): as often as a walk visits them, and no edges.

    Raises:
        ValueError: ``length`` below 1.
    """
    check_length(length)
    return _independent(key, adjacency, length=length)


def edge_shuffled(key: Key[Array, ""], walk: Walk) -> Sequence:
    """The transitions of a walk as pairs in random order, without replacement, cut to the walk's own length.

    Who follows whom within a pair is kept; the path, and with it every distance beyond one step, is not. About half of
    the transitions find a place.

    Raises:
        ValueError: fewer than two items, which have no transition.
    """
    if walk.shape[0] < 2:
        raise ValueError(f"Got a walk of {walk.shape[0]} items. Expected two or more. Make it longer.")
    return _edge_shuffled(key, walk)


def mixture_walk(key: Key[Array, ""], first: Adjacency, second: Other, share: Share, length: int) -> Sequence:
    r"""Each step follows the first graph with probability ``share`` ρ, else the second; it starts at any node.

    .. math:: P(j \mid i) = \rho A^1_{ij} / d^1_i + (1 - \rho) A^2_{ij} / d^2_i

    Source: Kowalyshyn et al., arXiv 2605.08405.

    Raises:
        ValueError: graphs of different size, ``share`` not in [0, 1], or ``length`` below 1.
    """
    if first.shape != second.shape:
        raise ValueError(
            f"Got graphs of {first.shape[0]} and {second.shape[0]} nodes. Expected as many. Choose two of one size."
        )
    check_length(length, share=share)
    return _mixture_walk(key, first, second, share, length=length)


def balanced_walk(key: Key[Array, ""], adjacency: Adjacency, length: int, *, strength: Share = 1.0) -> Sequence:
    r"""Neighbours that were seen less are preferred; ``strength`` s = 0 is the random walk.

    .. math:: P(j \mid i) \propto A_{ij} \exp(-s\,\text{visits}_j)

    Raises:
        ValueError: ``length`` below 1.
    """
    check_length(length)
    return _balanced_walk(key, adjacency, strength, length=length)


def check_length(length: int, **shares: Share) -> None:
    """Raises ValueError for a length below 1, or a share that is no probability."""
    if operator.index(length) < 1:
        raise ValueError(f"Got length {length}. Expected 1 or more. Make it longer.")
    for name, share in shares.items():
        if isinstance(share, jax.core.Tracer):
            continue
        if not 0 <= float(share) <= 1:
            raise ValueError(f"Got {name} {float(share):g}. Expected a probability, 0 to 1. Choose another.")


def _log_degrees(adjacency: Array) -> Array:
    """ln of the walk's stationary law, up to a constant."""
    return jnp.log(adjacency.sum(axis=1))


def _with_first(first: Array, others: Array) -> Array:
    return jnp.concatenate((first[None], others)).astype(jnp.int32)


@functools.partial(jax.jit, static_argnames="length")
def _random_walk(key: Array, adjacency: Array, start: Array | None, restart: Array, *, length: int) -> Array:
    count = adjacency.shape[0]
    first, rest = jax.random.split(key)
    begin = jax.random.randint(first, (), 0, count) if start is None else jnp.asarray(start)
    begin = begin.astype(jnp.int32)
    steps = jnp.log(adjacency)

    def step(node: Array, key: Array) -> tuple[Array, Array]:
        move, whether, anew = jax.random.split(key, 3)
        legal = jax.random.categorical(move, steps[node])
        other = jax.random.randint(anew, (), 0, count)
        new = jnp.where(jax.random.uniform(whether) < restart, other, legal).astype(jnp.int32)
        return new, new

    return _with_first(begin, jax.lax.scan(step, begin, jax.random.split(rest, length - 1))[1])


@functools.partial(jax.jit, static_argnames="length")
def _walk_per_start(key: Array, adjacency: Array, *, length: int) -> Array:
    count = adjacency.shape[0]
    keys = jax.random.split(key, count)
    return jax.vmap(lambda k, start: _random_walk(k, adjacency, start, 0.0, length=length))(keys, jnp.arange(count))


@functools.partial(jax.jit, static_argnames="length")
def _neighbour_pairs(key: Array, adjacency: Array, *, length: int) -> Array:
    count = (length + 1) // 2
    first, second = jax.random.split(key)
    # An edge and direction drawn evenly is a node drawn by its degree and a neighbour drawn evenly.
    a = jax.random.categorical(first, _log_degrees(adjacency), shape=(count,))
    b = jax.random.categorical(second, jnp.log(adjacency)[a])
    return jnp.stack((a, b), axis=1).reshape(-1)[:length].astype(jnp.int32)


@functools.partial(jax.jit, static_argnames="length")
def _independent(key: Array, adjacency: Array, *, length: int) -> Array:
    return jax.random.categorical(key, _log_degrees(adjacency), shape=(length,)).astype(jnp.int32)


@jax.jit
def _edge_shuffled(key: Array, walk: Array) -> Array:
    length = walk.shape[0]
    pairs = jnp.stack((walk[:-1], walk[1:]), axis=1)
    return jax.random.permutation(key, pairs)[: (length + 1) // 2].reshape(-1)[:length].astype(jnp.int32)


@functools.partial(jax.jit, static_argnames="length")
def _mixture_walk(key: Array, first: Array, second: Array, share: Array, *, length: int) -> Array:
    begin, rest = jax.random.split(key)
    node = jax.random.randint(begin, (), 0, first.shape[0], jnp.int32)
    steps = jnp.log(jnp.stack((first, second)))

    def step(node: Array, key: Array) -> tuple[Array, Array]:
        whether, move = jax.random.split(key)
        graph = (jax.random.uniform(whether) >= share).astype(jnp.int32)
        new = jax.random.categorical(move, steps[graph, node]).astype(jnp.int32)
        return new, new

    return _with_first(node, jax.lax.scan(step, node, jax.random.split(rest, length - 1))[1])


@functools.partial(jax.jit, static_argnames="length")
def _balanced_walk(key: Array, adjacency: Array, strength: Array, *, length: int) -> Array:
    begin, rest = jax.random.split(key)
    node = jax.random.randint(begin, (), 0, adjacency.shape[0], jnp.int32)
    steps = jnp.log(adjacency)

    def step(carry: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], Array]:
        node, visits = carry
        new = jax.random.categorical(key, steps[node] - strength * visits).astype(jnp.int32)
        return (new, visits.at[new].add(1.0)), new

    visits = jnp.zeros(adjacency.shape[0], adjacency.dtype).at[node].add(1.0)
    return _with_first(node, jax.lax.scan(step, (node, visits), jax.random.split(rest, length - 1))[1])
