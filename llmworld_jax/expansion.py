r"""High precision at a price: laws whose heaviest prefixes are expanded first, until little mass is left.

``growth`` chooses the prefixes. Here a model evaluates them: keys and values of the expanded ones are kept, so that
those below attend to them and every prefix costs one token.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .codec import NumberCodec
from .digit_tree import Tree, complete_tree
from .errors import InputError
from .growth import grow, log_mass, unexpanded
from .laws import ROWS_PER_CHUNK, Levels, map_chunks, read_digits
from .models.forward import Branches, KVCache, NodeCache, forward, tree_extend
from .models.llama import Llama
from .models.mesh import jit_on_mesh
from .models.readout import logits
from .models.storage import Precision
from .prompts import Prompt


class ExpandedLaws(NamedTuple):
    """Laws on the complete grid, and what each of them left unexpanded.

    ``log_mass`` is normalised on the grid. ``off_grid`` is the probability that the model does not begin a number
    (a lower bound of what ``number_laws`` adds up over all digits). ``unexpanded`` is the mass that lies evenly
    below its prefix, for want of nodes or because it was below ``epsilon``: the total-variation distance between
    the row and the complete law is at most that. Rows are NaN, without nodes, where nothing precedes the item.
    """

    edges: Float[Array | np.ndarray, " bin_edge"]
    log_mass: Float[Array, "time bin"]
    off_grid: Float[Array, " time"]
    unexpanded: Float[Array, " time"]
    nodes_used: Int[Array, " time"]


def expanded_laws(
    model: Llama,
    codec: NumberCodec,
    prompt: Prompt,
    *,
    epsilon: float | Float[Array, ""],
    max_nodes: int,
    batch: int = 10,
    embeddings: Float[Array, "position d_model"] | None = None,
    rows: int = ROWS_PER_CHUNK,
    remat: bool = False,
    precision: Precision = "highest",
) -> ExpandedLaws:
    """Law of every number of ``prompt``, expanded where its mass is.

    A state stops when its unexpanded mass is at most ``epsilon`` or after ``max_nodes`` prefixes; a chunk of states
    stops computing when all of its states have. What a state expands depends on nothing but that state.

    Pure: works under ``jit``, ``vmap`` (over prompts of one layout) and ``grad``; differentiable almost everywhere:
    where the order of two masses flips, the choice of prefixes jumps.

    Args:
        epsilon: mass that may stay unexpanded, in [0, 1).
        max_nodes: prefixes expanded per state at most. All of them (1110 at 4 digits) give ``number_laws``.
        batch: prefixes of a state evaluated together; smaller wastes less, larger takes fewer rounds.
        rows: prefixes evaluated together over all states of a chunk. Each chunk keeps keys and values of up to
            ``max_nodes * rows / batch`` prefixes.
        embeddings, remat, precision: as ``number_laws``.

    Raises:
        InputError: ``epsilon`` (where it is not traced), ``max_nodes``, ``batch`` or ``rows`` out of range.
    """
    if not isinstance(epsilon, jax.core.Tracer) and not 0 <= float(epsilon) < 1:
        raise InputError(f"epsilon {epsilon}", "a mass in [0, 1)", "Choose another epsilon")
    for name, value in (("max_nodes", max_nodes), ("batch", batch), ("rows", rows)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} {value!r}", "a whole number of at least 1", f"Choose another {name}")
    inputs = jnp.asarray(prompt.tokens) if embeddings is None else embeddings
    found = _expanded_laws(
        model, inputs, jnp.asarray(prompt.item_at), jnp.asarray(epsilon),
        codec.levels, max_nodes, batch, rows, remat, precision,
    )  # fmt: skip
    return ExpandedLaws(codec.numerals.edges(), *found)


@functools.partial(jit_on_mesh, static_argnums=(4, 5, 6, 7, 8, 9))
def _expanded_laws(
    model: Llama,
    inputs: Array,
    item_at: Int[Array, " time"],
    epsilon: Float[Array, ""] | Int[Array, ""],
    levels: Levels,
    max_nodes: int,
    batch: int,
    rows: int,
    remat: bool,
    precision: Precision,
) -> tuple[Array, Array, Array, Array]:
    out = forward(model, inputs, remat=remat, precision=precision)
    before = out.hidden[jnp.maximum(item_at - 1, 0)]
    root = read_digits(model, before, levels[0], whole=True, precision=precision)
    tree = complete_tree(tuple(len(level) for level in levels))
    nodes = min(max_nodes, tree.level.size)

    def expand(chunk: tuple[Int[Array, " state"], Array]) -> tuple[Array, Array, Array]:
        at, first = chunk
        evaluate = functools.partial(_evaluate, model, out.cache, tree, levels, at, remat, precision)
        known = jnp.where(at[:, None] > 0, first, -jnp.inf)
        empty = _memory(out.cache, tree, at.shape[0], nodes)
        growth = grow(evaluate, empty, known, tree, epsilon=epsilon, max_nodes=nodes, batch=batch, remat=remat)
        return log_mass(growth, first, tree), unexpanded(growth), growth.used

    if nodes == 0:
        mass, left, used = root.law, jnp.zeros_like(root.law[:, 0]), jnp.zeros_like(item_at)
    else:
        mass, left, used = map_chunks(expand, (item_at, root.law), max(1, rows // min(batch, nodes)))
    leak = jnp.clip(-jnp.expm1(jax.nn.logsumexp(root.legal_law, axis=-1)), 0.0, 1.0)
    seen = item_at > 0
    mass = jnp.where(seen[:, None], mass, jnp.nan)
    return mass, jnp.where(seen, leak, jnp.nan), jnp.where(seen, left, jnp.nan), used


class _Memory(NamedTuple):
    """Keys and values of the expanded prefixes that can be ancestors of others: those above the last level."""

    kept: NodeCache
    slot: Int[Array, "state node"]
    """Where each is in ``kept``."""
    stored: Int[Array, " state"]
    """How many there are."""


def _memory(cache: KVCache, tree: Tree, states: int, max_nodes: int) -> _Memory:
    layers, kv_heads, _, head_dim = cache.k.shape
    slots = min(max_nodes, int(np.sum(tree.level < len(tree.branch) - 1)))
    empty = jnp.zeros((layers, states * slots, kv_heads, head_dim), cache.k.dtype)
    slot = jnp.zeros((states, tree.level.size), jnp.int32)
    return _Memory(NodeCache(empty, empty), slot, jnp.zeros(states, jnp.int32))


def _evaluate(
    model: Llama,
    cache: KVCache,
    tree: Tree,
    levels: Levels,
    item_at: Int[Array, " state"],
    remat: bool,
    precision: Precision,
    node: Int[Array, "state row"],
    real: Bool[Array, "state row"],
    memory: _Memory,
) -> tuple[Float[Array, "state row child"], _Memory]:
    """Next-digit laws of prefixes whose ancestors were evaluated before."""
    states, batch = node.shape
    each = jnp.arange(states, dtype=jnp.int32)[:, None]
    held = memory.kept.k.shape[1]
    last_tokens = np.array([levels[lv - 1][d] for lv, d in zip(tree.level, tree.digit)], dtype=np.int32)
    ancestors = jnp.asarray(tree.ancestors)[node]
    own = held + jnp.arange(states * batch, dtype=jnp.int32).reshape(states, batch, 1)
    earlier = memory.slot[each[..., None], ancestors]
    branches = Branches(
        tokens=jnp.asarray(last_tokens)[node].reshape(-1),
        positions=(item_at[:, None] + jnp.asarray(tree.level - 1)[node]).reshape(-1),
        visible=jnp.repeat(item_at, batch),
        ancestors=jnp.where(ancestors == node[..., None], own, earlier).reshape(states * batch, -1),
        seen=jnp.asarray(tree.seen)[node].reshape(states * batch, -1),
    )
    hidden, new = tree_extend(model, cache, memory.kept, branches, remat=remat, precision=precision)
    level = jnp.asarray(tree.level)[node]
    parent = real & (level < len(levels) - 1)
    place = memory.stored[:, None] + jnp.cumsum(parent, axis=1, dtype=jnp.int32) - 1
    slot = jnp.where(parent, each * (held // states) + place, held)
    kept = jax.tree.map(lambda old, x: old.at[:, slot.reshape(-1)].set(x, mode="drop"), memory.kept, new)
    at = jnp.where(parent, node, tree.level.size)
    slots = memory.slot.at[each, at].set(slot, mode="drop")
    stored = memory.stored + jnp.sum(parent, axis=1, dtype=jnp.int32)
    law = _children_law(model, levels, hidden.reshape(states, batch, -1), level, precision)
    return law, _Memory(kept, slots, stored)


def _children_law(
    model: Llama,
    levels: Levels,
    hidden: Float[Array, "state row d_model"],
    level: Int[Array, "state row"],
    precision: Precision,
) -> Float[Array, "state row child"]:
    """Laws of prefixes of mixed lengths: every token of any level is scored once, then each row's are picked."""
    choices = {token: i for i, token in enumerate(dict.fromkeys(itertools.chain(*levels[1:])))}
    picks = np.full((len(levels), max(len(below) for below in levels[1:])), -1, np.int32)
    for length, below in enumerate(levels[1:], start=1):
        picks[length, : len(below)] = [choices[token] for token in below]
    scores = logits(model, hidden, jnp.asarray(tuple(choices), jnp.int32), precision=precision)
    pick = jnp.asarray(picks)[level]
    picked = jnp.take_along_axis(scores, jnp.maximum(pick, 0), axis=-1)
    return jax.nn.log_softmax(jnp.where(pick < 0, -jnp.inf, picked), axis=-1)
