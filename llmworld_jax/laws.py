r"""The law of the next number at every state of a series, read out of a language model.

One causal pass over the prompt gives the law of every first digit and a key/value cache; the prefixes of all other
numbers are then hung on that cache as tree nodes (``models.forward.tree_forward``), a chunk of states at a time.
The result is exact: equal to re-running the model on every prefix.
"""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .codec import NumberCodec
from .digit_tree import Tree, complete_tree, leaf_log_mass, level_sizes
from .models.forward import Branches, KVCache, forward, tree_forward
from .models.llama import Llama
from .models.mesh import data_devices, jit_on_mesh, over_data, vmap_over_data
from .models.readout import logits
from .models.storage import Precision
from .prompts import Prompt

ROWS_PER_CHUNK = 512
VOCABULARY_ROWS = 128

Levels = tuple[tuple[int, ...], ...]
OffGrid = Literal["tree", "first"]


class Laws(NamedTuple):
    """Predictive law of every item given the items before it.

    ``log_mass`` is normalised on the grid, digit by digit, as published: each digit's law is conditional on its
    being a digit. ``off_grid`` is the probability that the model writes something else than a number of the grid
    at that point. A row is NaN where nothing precedes the item (no start token).
    """

    edges: Float[Array | np.ndarray, " bin_edge"]
    log_mass: Float[Array, "time bin"]
    off_grid: Float[Array, " time"]


def number_laws(
    model: Llama,
    codec: NumberCodec,
    prompt: Prompt,
    *,
    embeddings: Float[Array, "position d_model"] | None = None,
    off_grid: OffGrid = "tree",
    rows: int = ROWS_PER_CHUNK,
    remat: bool = False,
    precision: Precision = "highest",
) -> Laws:
    r"""Exact law of every number of ``prompt``: complete to the last digit, at all states at once.

    .. math:: m_t(d_1 \dots d_D) = \prod_k P(d_k \mid \text{tokens before item } t,\, d_1 \dots d_{k-1})

    Pure: works under ``jit``, ``vmap`` (over prompts of one layout, over models) and ``grad``.

    Args:
        prompt: from ``codec.prompt``; ``item_at`` may also point one past the last token, to forecast.
        embeddings: to put in the place of the token embeddings of the prompt (gradients, soft prompts).
        off_grid: ``"tree"`` adds up what leaks at every digit (the whole vocabulary is scored at each node, about a
            quarter more work on the default model); ``"first"`` only what leaks at the first digit, a lower bound.
        rows: tree nodes evaluated together; raise it on accelerators.
        remat: recompute in the backward pass, to take gradients in little memory.
        precision: of every matrix product.

    Source: Liu et al. 2024, arXiv 2402.00795 (Hierarchy-PDF), here complete and in one pass.
    """
    inputs = jnp.asarray(prompt.tokens) if embeddings is None else embeddings
    log_mass, leak = law_masses(
        model, inputs, jnp.asarray(prompt.item_at), codec.levels, off_grid, rows, remat, precision
    )
    return Laws(codec.numerals.edges(), log_mass, leak)


def with_forecast(prompt: Prompt) -> Prompt:
    """The same prompt with one more item, after the last: the law of the value not yet seen."""
    return Prompt(prompt.tokens, np.append(np.asarray(prompt.item_at), len(prompt.tokens)).astype(np.int32))


@functools.partial(jit_on_mesh, static_argnums=(3, 4, 5, 6, 7))
def law_masses(
    model: Llama,
    inputs: Array,
    item_at: Int[Array, " time"],
    levels: Levels,
    off_grid: OffGrid,
    rows: int,
    remat: bool,
    precision: Precision,
) -> tuple[Float[Array, "time bin"], Float[Array, " time"]]:
    """What ``number_laws`` returns besides the edges: the numbers' range plays no part in it."""
    out = forward(model, inputs, remat=remat, precision=precision)
    before = out.hidden[jnp.maximum(item_at - 1, 0)]
    root = read_digits(model, before, levels[0], whole=True, precision=precision)
    tree = complete_tree(tuple(len(level) for level in levels))

    def expand(chunk: tuple[Int[Array, " state"], Digits]) -> tuple[Array, Array]:
        at, first = chunk
        nodes = _nodes(model, out.cache, tree, levels, at, off_grid == "tree", remat, precision)
        mass = jax.vmap(leaf_log_mass)(first.law, tuple(n.law for n in nodes))
        legal = jax.vmap(leaf_log_mass)(first.legal_law, tuple(n.legal_law for n in nodes))
        return mass, jax.nn.logsumexp(legal, axis=-1)

    if remat:
        expand = jax.checkpoint(expand)
    chunk = max(1, rows // max(1, tree.level.size))
    log_mass, legal = map_chunks(expand, (item_at, root), chunk)
    seen = item_at > 0
    leak = jnp.clip(-jnp.expm1(legal), 0.0, 1.0)
    return jnp.where(seen[:, None], log_mass, jnp.nan), jnp.where(seen, leak, jnp.nan)


class Digits(NamedTuple):
    """Next-digit log-probabilities: among the digits, and (``legal_law``) among the whole vocabulary."""

    law: Float[Array, "*rows child"]
    legal_law: Float[Array, "*rows child"]


def read_digits(
    model: Llama,
    hidden: Float[Array, "*rows d_model"],
    tokens: tuple[int, ...],
    *,
    whole: bool,
    precision: Precision,
) -> Digits:
    """Score ``tokens`` only. ``whole`` also scores the vocabulary, to know what is missed; else nothing is."""
    scores = logits(model, hidden, jnp.asarray(tokens, jnp.int32), precision=precision)
    law = jax.nn.log_softmax(scores, axis=-1)
    if not whole:
        return Digits(law, law)
    flat = hidden.reshape(-1, hidden.shape[-1])
    total = map_chunks(
        lambda h: jax.nn.logsumexp(logits(model, h, precision=precision), axis=-1), flat, VOCABULARY_ROWS
    )
    return Digits(law, scores - total.reshape(*scores.shape[:-1], 1))


def _nodes(
    model: Llama,
    cache: KVCache,
    tree: Tree,
    levels: Levels,
    item_at: Int[Array, " state"],
    whole: bool,
    remat: bool,
    precision: Precision,
) -> tuple[Digits, ...]:
    """Next-digit laws at every node of every state of a chunk, one ``[state, node, child]`` a level."""
    states, nodes = item_at.shape[0], tree.level.size
    if nodes == 0:
        return ()
    tokens = np.array([levels[lv - 1][d] for lv, d in zip(tree.level, tree.digit)], dtype=np.int32)
    shift = nodes * jnp.arange(states, dtype=jnp.int32)[:, None, None]
    slots = tree.ancestors.shape[1]
    branches = Branches(
        tokens=jnp.tile(jnp.asarray(tokens), states),
        positions=(item_at[:, None] + jnp.asarray(tree.level - 1)[None]).reshape(-1),
        visible=jnp.repeat(item_at, nodes),
        ancestors=(jnp.asarray(tree.ancestors)[None] + shift).reshape(-1, slots),
        seen=jnp.tile(jnp.asarray(tree.seen), (states, 1)),
    )
    hidden = tree_forward(model, cache, branches, remat=remat, precision=precision)
    by_level = jnp.split(hidden.reshape(states, nodes, -1), np.cumsum(level_sizes(tree.branch))[:-1], axis=1)
    return tuple(
        read_digits(model, h, children, whole=whole, precision=precision)
        for h, children in zip(by_level, levels[1:], strict=True)
    )


def map_chunks(function, arrays, size: int):
    """``function`` over leading-axis chunks of equal size (at most ``size``), one after the other.

    The last is padded by repetition. On a mesh every device of the ``data`` axis has a chunk of its own at a time, all
    of them next to one another; nothing in ``function`` reaches from one device's chunk into another's.
    """
    leaves = jax.tree.leaves(arrays)
    length, devices = leaves[0].shape[0], data_devices()
    chunks = -(-length // (size * devices))
    size = -(-length // (chunks * devices))
    shape = (size,) if devices == 1 else (devices, size)
    index = jnp.minimum(jnp.arange(chunks * devices * size, dtype=jnp.int32), length - 1)
    stacked = over_data(jax.tree.map(lambda a: a[index].reshape(chunks, *shape, *a.shape[1:]), arrays), axis=1)
    run = function if devices == 1 else vmap_over_data(function)
    if chunks == 1:
        mapped = jax.tree.map(lambda a: a[None], run(jax.tree.map(lambda a: a[0], stacked)))
    else:
        mapped = jax.lax.map(run, stacked)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[1 + len(shape) :])[:length], mapped)
