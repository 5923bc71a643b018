"""Nodes read once more after a filler, when all of them have the same predecessor.

A model that copies the word before into the current token draws a graph without knowing it, since neighbours share
predecessors. After ``context filler word`` the word before is the filler for every node, and that shortcut is closed.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from .models.attention import cascade_attention, sight_of
from .models.blocks import finish_block, queries_keys_values
from .models.forward import KVCache
from .models.llama import Llama
from .models.readout import embed
from .models.rope import rotation
from .models.storage import Precision


def probed_nodes(
    model: Llama,
    cache: KVCache,
    filler: Int[Array, " filler"],
    word_ids: Int[Array, " node"],
    *,
    visible: ArrayLike | None = None,
    remat: bool = False,
    precision: Precision = "highest",
) -> Float[Array, "layer node width"]:
    """Residual stream of every node's word after each block of ``cache`` (the context), read behind ``filler``.

    Every word is read on its own, on one copy of context and filler; pure, and differentiable in the cache.

    Args:
        visible: how many tokens of the cache are the context; by default all.
    """
    blocks, _, keys, _ = cache.k.shape
    count, number = filler.shape[0], word_ids.shape[0]
    end = jnp.asarray(keys if visible is None else visible, jnp.int32)
    ancestors, seen = (jnp.asarray(part) for part in _slots(count, number))
    positions = end + jnp.concatenate((jnp.arange(count), jnp.full(number, count))).astype(jnp.int32)
    sight = jnp.full(count + number, end)
    h = embed(model, jnp.concatenate((filler, word_ids)))
    angles = rotation(model.config, positions, h.dtype)

    def body(h: Array, layer: Array) -> tuple[Array, Array]:
        block, prefix = jax.tree.map(lambda stacked: stacked[layer], (model.layers, cache))
        q, k, v = queries_keys_values(block, model, h, *angles, precision)
        heads = cascade_attention(
            q, prefix.k, prefix.v, sight, k[ancestors], v[ancestors], seen, end, precision,
            sight=sight_of(model.config, layer),
        )  # fmt: skip
        post = finish_block(block, model, h, heads, precision)[0]
        return post, post[count:]

    step = jax.checkpoint(body, prevent_cse=False) if remat else body
    return jax.lax.scan(step, h, jnp.arange(blocks))[1]


def _slots(count: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """What each row sees beside the context: a filler token those before it, a word the whole filler; and itself."""
    rows = np.arange(count + number)
    ancestors = np.concatenate((np.tile(np.arange(count), (len(rows), 1)), rows[:, None]), axis=1)
    before = np.arange(count) < np.minimum(rows, count)[:, None]
    return ancestors.astype(np.int32), np.concatenate((before, np.ones((len(rows), 1), bool)), axis=1)
