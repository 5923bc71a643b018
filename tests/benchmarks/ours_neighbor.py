"""The paper's mixed-resolution grids, on our tree: the same bins as ``sequential_torch``, all states at once.

The off-path prefixes of every state become nodes hung on one cache. Their layout is the same at every state
(where a neighbour is outside 0..9 some node is evaluated in its place and dropped), so one compilation serves
all of them.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmworld_jax.laws import map_chunks, read_digits
from llmworld_jax.models.forward import Branches, forward, tree_forward

ROWS = 512


class Node(NamedTuple):
    """One off-path prefix: ``level - 1`` true digits, then a sibling (by number), then free digits."""

    level: int
    sibling: int
    free: tuple[int, ...]


@functools.lru_cache
def layout(mode: str, depth: int) -> tuple[Node, ...]:
    """Nodes of every state, parents before children."""
    nodes = []
    for level in range(1, depth + 1):
        siblings = 2 if mode == "neighbor" and level == 1 else 9
        for sibling, below in itertools.product(range(siblings), range(depth - level + 1)):
            nodes += [Node(level, sibling, free) for free in itertools.product(range(10), repeat=below)]
    return tuple(nodes)


def sibling_digits(true: np.ndarray, mode: str, level: int) -> np.ndarray:
    """``[time, sibling]`` digits beside the true ones, ``-1`` where there is none."""
    if mode == "neighbor" and level == 1:
        beside = true[:, None] + np.array([-1, 1])
        return np.where((beside >= 0) & (beside <= 9), beside, -1)
    return np.array([[d for d in range(10) if d != t] for t in true])


def prefixes(digits: np.ndarray, mode: str, depth: int) -> list[list[tuple[int, ...] | None]]:
    """``[time][node]`` prefixes, ``None`` for a neighbour that does not exist."""
    beside = {level: sibling_digits(digits[:, level - 1], mode, level) for level in range(1, depth + 1)}
    return [
        [
            None if (d := int(beside[n.level][t, n.sibling])) < 0 else (*true[: n.level - 1], d, *n.free)
            for n in layout(mode, depth)
        ]
        for t, true in enumerate(digits.tolist())
    ]


def neighbour_laws(model, codec, prompt, digits: np.ndarray, mode: str, depth: int):
    """Next-digit laws at every needed prefix: one dict ``prefix -> [10]`` for each state.

    Args:
        digits: the true numbers, ``[time, precision]``.
    """
    names = prefixes(digits, mode, depth)
    ids = np.array(codec.levels)
    tokens = np.array([[0 if p is None else ids[len(p) - 1, p[-1]] for p in row] for row in names], np.int32)
    main, off = _evaluate(
        model,
        jnp.asarray(prompt.tokens),
        jnp.asarray(prompt.item_at),
        jnp.asarray(tokens),
        codec.levels,
        mode,
        depth,
    )
    main, off = np.asarray(main, np.float64), np.asarray(off, np.float64)
    return [
        {tuple(true[:k]): main[t, k] for k in range(len(true))}
        | {p: off[t, i] for i, p in enumerate(names[t]) if p is not None}
        for t, true in enumerate(digits.tolist())
    ]


@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def _evaluate(model, inputs, item_at, tokens, levels, mode: str, depth: int):
    """Main-path laws ``[time, digit, 10]`` and off-path laws ``[time, node, 10]``."""
    out = forward(model, inputs)
    at = item_at[:, None] - 1 + jnp.arange(len(levels), dtype=jnp.int32)
    main = jnp.exp(read_digits(model, out.hidden[at], levels[0], whole=False, precision="highest").law)
    nodes = layout(mode, depth)
    index = {node: i for i, node in enumerate(nodes)}
    ancestors = np.array([_path(node, index, depth) for node in nodes], np.int32)
    level = np.array([node.level for node in nodes], np.int32)
    place = level - 1 + np.array([len(node.free) for node in nodes], np.int32)
    slot = np.arange(depth)[None] <= np.array([len(node.free) for node in nodes])[:, None]

    def expand(chunk):
        first, ids = chunk
        states = first.shape[0]
        shift = len(nodes) * jnp.arange(states, dtype=jnp.int32)[:, None, None]
        branches = Branches(
            tokens=ids.reshape(-1),
            positions=(first[:, None] + place).reshape(-1),
            visible=(first[:, None] + level - 1).reshape(-1),
            ancestors=(jnp.asarray(ancestors)[None] + shift).reshape(-1, depth),
            seen=jnp.tile(jnp.asarray(slot), (states, 1)),
        )
        hidden = tree_forward(model, out.cache, branches).reshape(states, len(nodes), -1)
        return jnp.exp(read_digits(model, hidden, levels[0], whole=False, precision="highest").law)

    return main, map_chunks(expand, (item_at, tokens), max(1, ROWS // len(nodes)))


def _path(node: Node, index: dict[Node, int], depth: int) -> list[int]:
    """Nodes from the sibling down to the node itself, padded by itself."""
    path = [index[node._replace(free=node.free[:k])] for k in range(len(node.free) + 1)]
    return path + [index[node]] * (depth - len(path))
