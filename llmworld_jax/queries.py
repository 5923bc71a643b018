r"""The law of the number that would follow each of several numbers, after one and the same past.

One causal pass over the past gives a key/value cache; every query (a number and its separator) and the digit tree
below it are rows hung on that cache, so a query costs its own tokens only:

.. math:: m_q(d_1 \dots d_D) = \prod_k P(d_k \mid \text{past}, q, \text{separator}, d_1 \dots d_{k-1})
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .codec import NumberCodec
from .digit_tree import Tree, complete_tree, leaf_log_mass, level_sizes
from .laws import ROWS_PER_CHUNK, Levels, map_chunks, read_digits
from .models.forward import Branches, KVCache, forward, tree_forward
from .models.llama import Llama
from .models.mesh import jit_on_mesh
from .models.storage import Precision


def query_laws(
    model: Llama,
    codec: NumberCodec,
    past: Int[Array | np.ndarray, " time"],
    queries: Int[Array | np.ndarray, " query"],
    *,
    rows: int = ROWS_PER_CHUNK,
    precision: Precision = "highest",
) -> Float[Array, "query bin"]:
    """ln mass of the number after each query, complete to the last digit and normalised on the grid.

    Equal to ``number_laws`` of ``past + [query]`` with a forecast, query by query.

    Args:
        past: codes of the numbers already read, at least one.
        queries: codes, each put after ``past`` on its own.
        rows: rows evaluated together.

    Raises:
        InputError: codes that the codec does not write, or an empty past.
    """
    tokens = jnp.asarray(codec.prompt(np.asarray(past)).tokens)
    written = codec.prompt(np.asarray(queries))
    width = codec.depth + len(codec.separator_tokens)
    chains = jnp.asarray(written.tokens[len(codec.prefix_tokens) :].reshape(-1, width))
    return _query_laws(model, tokens, chains, codec.levels, rows, precision)


@functools.partial(jit_on_mesh, static_argnums=(3, 4, 5))
def _query_laws(
    model: Llama,
    tokens: Int[Array, " position"],
    chains: Int[Array, "query token"],
    levels: Levels,
    rows: int,
    precision: Precision,
) -> Float[Array, "query bin"]:
    cache = forward(model, tokens, precision=precision).cache
    tree = complete_tree(tuple(len(level) for level in levels))
    width = chains.shape[1]

    def expand(chunk: Int[Array, "some token"]) -> Float[Array, "some bin"]:
        branches = _branches(cache, chunk, tree, levels)
        hidden = tree_forward(model, cache, branches, precision=precision)
        hidden = hidden.reshape(chunk.shape[0], width + tree.level.size, -1)
        first = read_digits(model, hidden[:, width - 1], levels[0], whole=False, precision=precision)
        below = (
            jnp.split(hidden[:, width:], np.cumsum(level_sizes(tree.branch))[:-1], axis=1) if tree.level.size else []
        )
        nodes = tuple(
            read_digits(model, h, children, whole=False, precision=precision).law
            for h, children in zip(below, levels[1:], strict=True)
        )
        return jax.vmap(leaf_log_mass)(first.law, nodes)

    return map_chunks(expand, chains, max(1, rows // (width + tree.level.size)))


def _branches(cache: KVCache, chains: Int[Array, "query token"], tree: Tree, levels: Levels) -> Branches:
    """Rows of a query: its own tokens, each seeing those before it, then the tree's nodes, which see all of them."""
    queries, width = chains.shape
    nodes, length = tree.level.size, cache.k.shape[2]
    slots = tree.ancestors.shape[1] if nodes else 0
    ancestors = np.zeros((width + nodes, width + slots), np.int32)
    ancestors[:, :width] = np.arange(width)
    seen = np.zeros((width + nodes, width + slots), bool)
    seen[:width, :width] = np.tri(width, dtype=bool)
    seen[width:, :width] = True
    if nodes:
        ancestors[width:, width:] = width + tree.ancestors
        seen[width:, width:] = tree.seen
    digits = np.array([levels[lv - 1][d] for lv, d in zip(tree.level, tree.digit)], dtype=np.int32)
    place = np.concatenate((np.arange(width), width + tree.level - 1)).astype(np.int32)
    each = (width + nodes) * jnp.arange(queries, dtype=jnp.int32)[:, None, None]
    tokens = jnp.concatenate((chains, jnp.broadcast_to(jnp.asarray(digits), (queries, nodes))), axis=1)
    return Branches(
        tokens=tokens.reshape(-1),
        positions=jnp.tile(jnp.asarray(length + place, jnp.int32), queries),
        visible=jnp.full(queries * (width + nodes), length, jnp.int32),
        ancestors=(jnp.asarray(ancestors)[None] + each).reshape(-1, width + slots),
        seen=jnp.tile(jnp.asarray(seen), (queries, 1)),
    )
