r"""Paths as chains of tree nodes on one prompt: every path reads its own numbers, and none is read twice.

Keys and values of all chains lie in one buffer of fixed size, so that a step of a scan only fills its own part of
it; parts not filled yet, and places that a shorter separator leaves empty, are masked.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .digit_tree import complete_tree, leaf_log_mass, level_sizes
from .laws import Levels, map_chunks, read_digits
from .models.forward import Branches, KVCache, NodeCache, Output, tree_extend
from .models.llama import Llama
from .models.storage import Precision


class Steps(NamedTuple):
    """What every step reads, as static tables: the digits of its number and then its separator, padded."""

    separator: Int[np.ndarray, "step place"]
    start: Int[np.ndarray, " step"]  #: of the number's first token, counted from the end of the prompt
    real: Bool[np.ndarray, "step place"]


def steps_of(depth: int, separators: Levels) -> Steps:
    lengths = np.array([depth + len(s) for s in separators])
    width = int(lengths.max())
    separator = np.zeros((len(lengths), width), np.int32)
    for row, tokens in zip(separator, separators):
        row[depth : depth + len(tokens)] = tokens
    return Steps(separator, np.cumsum(lengths) - lengths, np.arange(width) < lengths[:, None])


class Paths(NamedTuple):
    """The chains so far. Row ``(step * width + place) * paths + path`` of ``kept`` is a token of a path."""

    kept: NodeCache
    hidden: Float[Array, "path d_model"]  #: at every path's last token


def begin(out: Output, steps: Steps, paths: int) -> Paths:
    """All paths at the end of the prompt."""
    layers, kv_heads, _, head_dim = out.cache.k.shape
    empty = jnp.zeros((layers, steps.real.size * paths, kv_heads, head_dim), out.cache.k.dtype)
    return Paths(NodeCache(empty, empty), jnp.broadcast_to(out.hidden[-1], (paths, out.hidden.shape[-1])))


def _chain(steps: Steps, k: Int[Array, ""]) -> tuple[Int[np.ndarray, " slot"], Bool[Array, " slot"]]:
    """Tokens of the numbers before the last one, and whether they are read at step ``k``."""
    horizon, width = steps.real.shape
    slot = np.arange((horizon - 1) * width, dtype=np.int32)
    return slot, jnp.asarray(steps.real[:-1].ravel()) & (slot < k * width)


def path_laws(
    model: Llama,
    cache: KVCache,
    state: Paths,
    steps: Steps,
    k: Int[Array, ""],
    levels: Levels,
    rows: int,
    precision: Precision,
) -> tuple[Float[Array, "path bin"], Float[Array, " path"]]:
    """Complete law of the next number of every path, and what leaks at its first digit."""
    root = read_digits(model, state.hidden, levels[0], whole=True, precision=precision)
    leak = jnp.clip(-jnp.expm1(jax.nn.logsumexp(root.legal_law, axis=-1)), 0.0, 1.0)
    tree, paths = complete_tree(tuple(len(level) for level in levels)), len(state.hidden)
    nodes, prefix = tree.level.size, cache.k.shape[2]
    if nodes == 0:
        return root.law, leak
    tokens = np.array([levels[lv - 1][d] for lv, d in zip(tree.level, tree.digit)], dtype=np.int32)
    slot, read = _chain(steps, k)
    seen = jnp.concatenate((jnp.broadcast_to(read, (nodes, len(slot))), jnp.asarray(tree.seen)), axis=1)
    position = prefix + jnp.asarray(steps.start, jnp.int32)[k] + jnp.asarray(tree.level - 1)

    def expand(chunk: tuple[Int[Array, " path"], Array]) -> Array:
        path, first = chunk
        here = len(path)
        own = state.kept.k.shape[1] + nodes * jnp.arange(here, dtype=jnp.int32)[:, None, None] + tree.ancestors
        chain = jnp.broadcast_to((slot * paths + path[:, None])[:, None], (here, nodes, len(slot)))
        branches = Branches(
            tokens=jnp.tile(jnp.asarray(tokens), here),
            positions=jnp.tile(position, here),
            visible=jnp.full(here * nodes, prefix, jnp.int32),
            ancestors=jnp.concatenate((chain, own), axis=-1).reshape(here * nodes, -1),
            seen=jnp.tile(seen, (here, 1)),
        )
        hidden, _ = tree_extend(model, cache, state.kept, branches, precision=precision)
        by_level = jnp.split(hidden.reshape(here, nodes, -1), np.cumsum(level_sizes(tree.branch))[:-1], axis=1)
        below = tuple(
            read_digits(model, h, children, whole=False, precision=precision).law
            for h, children in zip(by_level, levels[1:], strict=True)
        )
        return jax.vmap(leaf_log_mass)(first, below)

    return map_chunks(expand, (jnp.arange(paths, dtype=jnp.int32), root.law), max(1, rows // nodes)), leak


def read_number(
    model: Llama,
    cache: KVCache,
    state: Paths,
    steps: Steps,
    k: Int[Array, ""],
    levels: Levels,
    code: Int[Array, " path"],
    precision: Precision,
) -> Paths:
    """Every path reads the number it chose, and the separator."""
    (_, width), paths, depth = steps.real.shape, len(code), len(levels)
    prefix, held = cache.k.shape[2], state.kept.k.shape[1]
    chunks = jnp.unravel_index(code, tuple(len(level) for level in levels))
    digits = jnp.stack([jnp.asarray(level, jnp.int32)[c] for level, c in zip(levels, chunks)])
    separator = jnp.broadcast_to(jnp.asarray(steps.separator)[k, depth:, None], (width - depth, paths))
    path, place = jnp.arange(paths, dtype=jnp.int32), jnp.arange(width, dtype=jnp.int32)
    slot, read = _chain(steps, k)
    both = jnp.concatenate((jnp.asarray(slot), held // paths + place)) * paths + path[:, None]
    # places left empty come last, so that no other sees them
    seen = jnp.concatenate((jnp.broadcast_to(read, (width, len(slot))), place <= place[:, None]), axis=1)
    branches = Branches(
        tokens=jnp.concatenate((digits, separator)).reshape(-1),
        positions=jnp.repeat(prefix + jnp.asarray(steps.start, jnp.int32)[k] + place, paths),
        visible=jnp.full(width * paths, prefix, jnp.int32),
        ancestors=jnp.tile(both, (width, 1)),
        seen=jnp.repeat(seen, paths, axis=0),
    )
    hidden, new = tree_extend(model, cache, state.kept, branches, precision=precision)
    last = jnp.sum(jnp.asarray(steps.real)[k]) - 1
    kept = jax.tree.map(
        lambda old, x: jax.lax.dynamic_update_slice_in_dim(old, x, k * width * paths, axis=1), state.kept, new
    )
    return Paths(kept, hidden.reshape(width, paths, -1)[last])
