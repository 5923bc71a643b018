"""Walks that a teacher would choose: without turning back, over every edge, over every node.

Every sequence is a legal walk, ``[time]`` int32, ``length`` items long; ``adjacency`` is ``[node, node]``, 0 or 1,
symmetric and connected. A ``length`` below 1 is a ValueError.
"""

import functools
import itertools
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from .walks import Adjacency, check_length

MOST_ODD = 16
"""Up to so many nodes of odd degree are paired exactly; beyond, the nearest pair is taken first."""


@functools.partial(jax.jit, static_argnames="length")
def non_backtracking_walk(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Int[Array, " time"]:
    """Each neighbour but the node before is as likely; only a dead end is left by the way it was entered."""
    check_length(length)
    count = adjacency.shape[0]
    first, rest = jax.random.split(key)
    begin = jax.random.randint(first, (), 0, count, jnp.int32)

    def step(carry: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], Array]:
        before, node = carry
        onward = adjacency[node] * (jnp.arange(count) != before)
        open_ = jnp.where(onward.sum() > 0, onward, adjacency[node])
        new = jax.random.categorical(key, jnp.log(open_)).astype(jnp.int32)
        return (node, new), new

    walked = jax.lax.scan(step, (jnp.int32(-1), begin), jax.random.split(rest, length - 1))[1]
    return jnp.concatenate((begin[None], walked))


def postman_walk(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Int[np.ndarray, " time"]:
    """A closed walk over every edge with the fewest repeats (Chinese postman), begun anywhere, as often as it fits.

    Nodes of odd degree are paired by shortest paths, whose edges are walked twice; the circuit is Hierholzer's, with
    edges taken in random order. Source: Edmonds and Johnson, Mathematical Programming 5 (1973).
    """
    check_length(length)
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    graph = np.asarray(adjacency) > 0
    paths = _shortest_paths(graph)
    odd = np.flatnonzero(graph.sum(axis=1) % 2)
    edges = graph.astype(int)
    for a, b in _paired(odd.tolist(), paths):
        for i, j in itertools.pairwise(paths[a][b]):
            edges[i, j] += 1
            edges[j, i] += 1
    circuit = _circuit(edges, int(random.integers(len(graph))), random)
    steps = np.array(circuit[:-1], np.int32)  # it ends where it began
    return np.resize(steps, length)


def sweep_walk(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Int[np.ndarray, " time"]:
    """Depth-first sweeps one after the other: each visits every node in random order and goes back along its tree."""
    check_length(length)
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    graph = np.asarray(adjacency) > 0
    walk = [int(random.integers(len(graph)))]
    while len(walk) < length:
        walk += _sweep(graph, walk[-1], random)
    return np.array(walk[:length], np.int32)


def _sweep(graph: np.ndarray, root: int, random: np.random.Generator) -> list[int]:
    """Steps of one sweep from ``root`` until all nodes were seen; the root itself is not repeated."""
    seen, stack, steps = {root}, [root], []
    while len(seen) < len(graph):
        fresh = [j for j in np.flatnonzero(graph[stack[-1]]).tolist() if j not in seen]
        if fresh:
            stack.append(int(random.choice(fresh)))
            seen.add(stack[-1])
        else:
            stack.pop()
        steps.append(stack[-1])
    return steps


def _shortest_paths(graph: np.ndarray) -> list[dict[int, list[int]]]:
    """A shortest path between every two nodes, as lists of nodes."""
    found: list[dict[int, list[int]]] = []
    for start in range(len(graph)):
        paths, queue = {start: [start]}, deque([start])
        while queue:
            node = queue.popleft()
            for other in np.flatnonzero(graph[node]).tolist():
                if other not in paths:
                    paths[other] = [*paths[node], other]
                    queue.append(other)
        found.append(paths)
    return found


def _paired(odd: list[int], paths: list[dict[int, list[int]]]) -> list[tuple[int, int]]:
    """Pairs of least total path length."""

    def cost(a: int, b: int) -> int:
        return len(paths[a][b]) - 1

    if len(odd) > MOST_ODD:
        left, pairs = set(odd), []
        for a, b in sorted(itertools.combinations(odd, 2), key=lambda pair: cost(*pair)):
            if a in left and b in left:
                pairs.append((a, b))
                left -= {a, b}
        return pairs

    @functools.cache
    def best(rest: tuple[int, ...]) -> tuple[int, tuple[tuple[int, int], ...]]:
        if not rest:
            return 0, ()
        first, found = rest[0], None
        for k in range(1, len(rest)):
            total, pairs = best(rest[1:k] + rest[k + 1 :])
            total += cost(first, rest[k])
            if found is None or total < found[0]:
                found = total, ((first, rest[k]), *pairs)
        assert found is not None
        return found

    return list(best(tuple(odd))[1])


def _circuit(edges: Int[np.ndarray, "node node"], start: int, random: np.random.Generator) -> list[int]:
    """Hierholzer: a closed walk over every edge as often as it is there."""
    left, stack, circuit = edges.copy(), [start], []
    while stack:
        onward = np.flatnonzero(left[stack[-1]])
        if len(onward):
            new = int(random.choice(onward))
            left[stack[-1], new] -= 1
            left[new, stack[-1]] -= 1
            stack.append(new)
        else:
            circuit.append(stack.pop())
    return circuit


Transition = Float[Array | np.ndarray, "node node"]


@functools.partial(jax.jit, static_argnames="length")
def chain_walk(key: Key[Array, ""], transition: Transition, length: int) -> Int[Array, " time"]:
    """A walk of the Markov chain ``transition[from, to]``, begun at any node."""
    check_length(length)
    begin, rest = jax.random.split(key)
    node = jax.random.randint(begin, (), 0, transition.shape[0], jnp.int32)
    steps = jnp.log(jnp.asarray(transition))

    def step(node: Array, key: Array) -> tuple[Array, Array]:
        new = jax.random.categorical(key, steps[node]).astype(jnp.int32)
        return new, new

    return jnp.concatenate((node[None], jax.lax.scan(step, node, jax.random.split(rest, length - 1))[1]))
