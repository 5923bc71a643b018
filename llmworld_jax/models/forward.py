r"""The forward pass of a Llama, pure: tokens in, final hidden states and key/value cache out.

``forward`` reads one sequence causally. ``tree_forward`` hangs nodes (prefixes of possible continuations) on the
cache of a sequence. Both are unbatched: batch with ``jax.vmap``. The unembedding is separate (``readout.logits``), so
that only the rows and tokens that are read are computed, in float32.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..axes import require_sites
from ..errors import InputError
from .attention import cascade_attention, sight_of
from .blocks import causal_heads, finish_block, queries_keys_values
from .edits import Edit, apply_edits
from .llama import Block, Llama
from .readout import embed, final_hidden
from .rope import rotation
from .storage import OPENING, Precision


class KVCache(NamedTuple):
    """Rotated keys and values of every block, head-major."""

    k: Float[Array, "layer kv_head position head_dim"]
    v: Float[Array, "layer kv_head position head_dim"]


Reduce = Callable[[dict[str, Array]], Any]
"""What is kept of one layer: from ``{site: [position, width]}`` to arrays; traced into the loop over layers."""


class Output(NamedTuple):
    """What one pass returns. ``taps[site]`` is ``[layer, position, width]``, or what ``reduce`` made of a layer."""

    hidden: Float[Array, "position d_model"]
    cache: KVCache
    taps: Any


class NodeCache(NamedTuple):
    """Rotated keys and values of tree nodes in every block."""

    k: Float[Array, "layer row kv_head head_dim"]
    v: Float[Array, "layer row kv_head head_dim"]


class Branches(NamedTuple):
    """Nodes to hang on a prefix: ``row`` runs over every node of every state in a chunk.

    ``ancestors[row, slot]`` are indices of rows (itself in the last slot); unseen slots are masked.
    ``visible`` is how many tokens of the prefix the node sees, ``positions`` its own position.
    """

    tokens: Int[Array, " row"]
    positions: Int[Array, " row"]
    visible: Int[Array, " row"]
    ancestors: Int[Array, "row slot"]
    seen: Bool[Array, "row slot"]


def forward(
    model: Llama,
    inputs: Int[Array, " position"] | Float[Array, "position d_model"],
    *,
    cache: KVCache | None = None,
    positions: Int[Array, " position"] | None = None,
    taps: tuple[str, ...] = (),
    reduce: Reduce | None = None,
    edits: tuple[Edit, ...] = (),
    blocks: int | None = None,
    remat: bool = False,
    precision: Precision = "highest",
) -> Output:
    """Read one sequence causally.

    Args:
        inputs: token ids, or embeddings to put in their place (soft prompts, gradients).
        cache: what came before; the returned cache is the two together.
        positions: rotary positions; by default they continue the cache.
        taps: sites (``axes.SITES``) to return for every layer and position; ``capture`` returns less.
        reduce: what to keep of each layer's taps (a gather, a mean, a norm); by default everything.
        edits: interventions on the way (``edits.Edit``); their positions are rows of ``inputs``.
        blocks: stop after so many; ``hidden`` is then that residual stream, normalised. By default all.
        remat: recompute each block in the backward pass instead of keeping its intermediates.
        precision: of every matrix product (``jax.lax.Precision``); matters on TPU and GPU.

    Raises:
        InputError: an unknown site in ``taps``, or ``blocks`` that the model does not have.
    """
    require_sites(taps)
    config = model.config
    if blocks is not None and not 1 <= blocks <= config.num_layers:
        raise InputError(f"blocks {blocks}", f"1 to {config.num_layers}, as the model has", "Stop after one of these")
    h = inputs if jnp.issubdtype(inputs.dtype, jnp.floating) else embed(model, inputs)
    past = 0 if cache is None else cache.k.shape[2]
    if positions is None:
        positions = jnp.arange(past, past + h.shape[0], dtype=jnp.int32)
    angles = rotation(config, positions, h.dtype)

    def body(h, xs):
        block, old, layer = xs
        h, sites, (_, k, v) = causal_block(block, model, h, layer, angles, edits, precision, old)
        kept = {site: sites[site] for site in taps}
        return h, (KVCache(k, v), kept if reduce is None else reduce(kept))

    def indexed(h, layer):  # a slice of the stacked weights would be a copy of them
        block, old = jax.tree.map(
            lambda x: jax.lax.dynamic_index_in_dim(x, layer, keepdims=False), (model.layers, cache)
        )
        return body(h, (block, old, layer))

    layers = jnp.arange(config.num_layers if blocks is None else blocks)
    step, xs = (body, (model.layers, cache, layers)) if blocks is None else (indexed, layers)
    if remat or blocks is not None:
        step = jax.checkpoint(step, prevent_cse=False, policy=None if remat else _all_but_weights)
    h, (cache, tapped) = jax.lax.scan(step, h, xs)
    return Output(final_hidden(model, h), cache, tapped)


def _all_but_weights(primitive: Any, *_: Any, **__: Any) -> bool:
    """What is kept for the backward pass: not the weights that were indexed, which would be a copy of them."""
    return primitive.name not in {"dynamic_slice", "squeeze"} | OPENING


def causal_block(
    block: Block,
    model: Llama,
    h: Float[Array, "position d_model"],
    layer: Int[Array, ""],
    angles: tuple[Array, Array],
    edits: tuple[Edit, ...],
    precision: Precision,
    old: KVCache | None = None,
) -> tuple[Float[Array, "position d_model"], dict[str, Array], tuple[Array, Array, Array]]:
    """One block of a causal pass with its edits.

    Args:
        layer: its number, which the edits ask for.
        angles: cosine and sine of the rotary positions.
        old: what the block's cache holds of the tokens before, if anything.

    Returns:
        The residual stream that leaves it, every site's value, and queries, keys and values (those with ``old``).
    """

    def hook(site: str, x: Array) -> Array:
        return apply_edits(x, site, layer, edits)

    h = hook("resid_pre", h)
    q, k, v = queries_keys_values(block, model, h, *angles, precision)
    k, v = k.swapaxes(0, 1), v.swapaxes(0, 1)
    if old is not None:
        k, v = jnp.concatenate((old.k, k), axis=1), jnp.concatenate((old.v, v), axis=1)
    post, sites = finish_block(block, model, h, causal_heads(model, layer, q, k, v, precision), precision, hook)
    return post, sites, (q, k, v)


def tree_forward(
    model: Llama,
    cache: KVCache,
    branches: Branches,
    *,
    remat: bool = False,
    precision: Precision = "highest",
) -> Float[Array, "row d_model"]:
    """Final hidden state of every node, as if its prefix, ancestors and itself had been read as one sequence.

    Each node attends to ``visible`` prefix tokens and to its ancestors and itself: equal to re-running
    prefix + branch, at the cost of the branch tokens alone.
    """
    return _tree(model, cache, None, branches, remat, precision)[0]


def tree_extend(
    model: Llama,
    cache: KVCache,
    earlier: NodeCache,
    branches: Branches,
    *,
    remat: bool = False,
    precision: Precision = "highest",
) -> tuple[Float[Array, "row d_model"], NodeCache]:
    """As ``tree_forward``, in several calls: nodes may have ancestors that an earlier call evaluated.

    ``branches.ancestors`` counts the rows of ``earlier`` first, then this call's. Returns the hidden states and
    this call's keys and values, to be put into the next call's ``earlier``.
    """
    hidden, nodes = _tree(model, cache, earlier, branches, remat, precision)
    assert nodes is not None
    return hidden, nodes


def _tree(
    model: Llama,
    cache: KVCache,
    earlier: NodeCache | None,
    branches: Branches,
    remat: bool,
    precision: Precision,
) -> tuple[Float[Array, "row d_model"], NodeCache | None]:
    h = embed(model, branches.tokens)
    cos, sin = rotation(model.config, branches.positions, h.dtype)
    extent = _furthest(branches.visible)

    def body(h, xs):
        block, prefix, before, layer = xs
        q, k, v = queries_keys_values(block, model, h, cos, sin, precision)
        new = None if before is None else NodeCache(k, v)
        if before is not None:
            k, v = jnp.concatenate((before.k, k)), jnp.concatenate((before.v, v))
        attended = cascade_attention(
            q, prefix.k, prefix.v, branches.visible,
            k[branches.ancestors], v[branches.ancestors], branches.seen, extent, precision,
            sight=sight_of(model.config, layer),
        )  # fmt: skip
        return finish_block(block, model, h, attended, precision)[0], new

    step = jax.checkpoint(body, prevent_cse=False) if remat else body
    layers = jnp.arange(model.config.num_layers)
    h, nodes = jax.lax.scan(step, h, (model.layers, cache, earlier, layers))
    return final_hidden(model, h), nodes


@jax.custom_batching.custom_vmap
def _furthest(visible: Int[Array, "*row"]) -> Int[Array, ""]:
    return jnp.max(visible)


@_furthest.def_vmap
def _furthest_in_batch(_size, _batched, visible):
    """One answer for the whole batch: one for each would make every length of the prefix be computed and chosen from
    (``cascade_attention``)."""
    return _furthest(visible), False
