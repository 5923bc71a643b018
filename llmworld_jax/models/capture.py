"""Activations of one sequence, reduced where they are made: chosen sites and layers, and no layer after the last one.

Nothing but what ``reduce`` returns outlives a layer, so that device memory is what was asked for: a gather at one
position, a Gram matrix, a mean over nodes, a statistic of the attention pattern.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..axes import PATTERN, SITES, require_sites
from ..errors import InputError
from .attention import attention_pattern, sight_of
from .edits import Edit
from .forward import Reduce, causal_block
from .llama import Llama
from .readout import embed
from .rope import rotation
from .storage import Precision


def capture(
    model: Llama,
    inputs: Int[Array, " position"] | Float[Array, "position d_model"],
    *,
    sites: tuple[str, ...],
    layers: tuple[int, ...] | None = None,
    reduce: Reduce | None = None,
    edits: tuple[Edit, ...] = (),
    positions: Int[Array, " position"] | None = None,
    remat: bool = False,
    precision: Precision = "highest",
) -> Any:
    """Read one sequence causally and return what is asked for of its activations; batch with ``jax.vmap``.

    Args:
        inputs: token ids, or embeddings in their place.
        sites: names of ``axes.SITES`` and ``"pattern"``, the attention weights ``[head, query, key]``.
        layers: blocks to report, in any order; by default all. Blocks after the largest are not run.
        reduce: from ``{site: [position, width]}`` of one block to a pytree of arrays; by default the identity.
        edits: interventions on the way.
        positions: rotary positions; by default 0, 1, ...

    Returns:
        What ``reduce`` returns, with a leading axis ``layer`` in the order of ``layers``.

    Raises:
        InputError: an unknown site, or a layer that the model does not have.
    """
    layers = _checked(model, sites, layers)
    h = inputs if jnp.issubdtype(inputs.dtype, jnp.floating) else embed(model, inputs)
    if positions is None:
        positions = jnp.arange(h.shape[0], dtype=jnp.int32)
    angles = rotation(model.config, positions, h.dtype)

    def run(h: Array, layer: Array) -> tuple[Array, Any]:
        # Slicing the stack of weights here, in the loop, copies one block at a time; before it, all of them.
        block = jax.tree.map(lambda w: jax.lax.dynamic_index_in_dim(w, layer, keepdims=False), model.layers)
        post, values, (q, k, _) = causal_block(block, model, h, layer, angles, edits, precision)
        if PATTERN in sites:
            values[PATTERN] = attention_pattern(q, k, precision, sight=sight_of(model.config, layer))
        kept = {site: values[site] for site in sites}
        return post, kept if reduce is None else reduce(kept)

    step = jax.checkpoint(run, prevent_cse=False) if remat else run
    return _collect(step, h, layers)


def _collect(step: Any, h: Array, layers: tuple[int, ...]) -> Any:
    depth = max(layers) + 1
    if layers == tuple(range(depth)):
        return jax.lax.scan(step, h, jnp.arange(depth))[1]
    slot = jnp.full(depth, len(layers)).at[jnp.array(layers)].set(jnp.arange(len(layers)))
    shapes = jax.eval_shape(lambda h: step(h, jnp.int32(0))[1], h)
    buffer = jax.tree.map(lambda one: jnp.zeros((len(layers), *one.shape), one.dtype), shapes)

    def body(carry: tuple[Array, Any], layer: Array) -> tuple[tuple[Array, Any], None]:
        h, kept = carry
        h, new = step(h, layer)
        # The slot of a layer that was not asked for lies outside the buffer, and is dropped.
        put = jax.tree.map(lambda whole, one: whole.at[slot[layer]].set(one, mode="drop"), kept, new)
        return (h, put), None

    return jax.lax.scan(body, (h, buffer), jnp.arange(depth))[0][1]


def _checked(model: Llama, sites: tuple[str, ...], layers: tuple[int, ...] | None) -> tuple[int, ...]:
    require_sites(sites, (*SITES, PATTERN))
    if not sites:
        raise InputError("no activation sites", f"some of {', '.join((*SITES, PATTERN))}", "Name what is to be read")
    count = model.config.num_layers
    chosen = tuple(range(count)) if layers is None else layers
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= layer < count for layer in chosen):
        raise InputError(f"layers {chosen}", f"different ones from 0 to {count - 1}", "Choose among these")
    return chosen
