"""One transformer block in two halves, with every activation site between them named and open to edits."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .attention import causal_attention, sight_of
from .config import REFERENCE
from .kernels import fused_attention
from .layers import gated_neurons, project_heads, rms_norm
from .llama import Block, Llama
from .rope import rotate
from .storage import Precision, dense

Hook = Callable[[str, Array], Array]
"""``hook(site, x)`` is what takes the place of ``x``."""


def untouched(_: str, x: Array) -> Array:
    """The hook that changes nothing."""
    return x


def queries_keys_values(
    block: Block,
    model: Llama,
    h: Float[Array, "row d_model"],
    cos: Array,
    sin: Array,
    precision: Precision,
) -> tuple[Array, Array, Array]:
    """Rotated, scaled queries and rotated keys and values, ``[row, heads, head_dim]``."""
    config = model.config
    x = rms_norm(h, block.attn_norm[...], config)
    q = project_heads(x, block.q, block.q_bias, config.head_dim, precision)
    k = project_heads(x, block.k, block.k_bias, config.head_dim, precision)
    if block.q_norm is not None and block.k_norm is not None:
        q, k = rms_norm(q, block.q_norm[...], config), rms_norm(k, block.k_norm[...], config)
    scale = config.head_dim**-0.5 if config.query_scale is None else config.query_scale
    v = project_heads(x, block.v, block.v_bias, config.head_dim, precision)
    return rotate(q, cos, sin) * jnp.asarray(scale, q.dtype), rotate(k, cos, sin), v


def causal_heads(
    model: Llama, layer: ArrayLike, q: Array, k: Array, v: Array, precision: Precision
) -> Float[Array, "row width"]:
    """What the heads read in one sequence; a whole one by the kernel that the model is set to.

    ``q`` is ``[row, head, head_dim]``; ``k`` and ``v`` head-major, ``[kv_head, position, head_dim]``.
    """
    sight, kernel = sight_of(model.config, layer), model.config.attention
    if kernel == REFERENCE or q.shape[0] < k.shape[1]:
        return causal_attention(q, k, v, precision, sight=sight)
    return fused_attention(kernel, q, k, v, precision, window=sight.window, softcap=sight.softcap)


def finish_block(
    block: Block,
    model: Llama,
    h: Float[Array, "row d_model"],
    heads: Float[Array, "row width"],
    precision: Precision,
    hook: Hook = untouched,
) -> tuple[Float[Array, "row d_model"], dict[str, Array]]:
    """From what the heads read to the end of the block; also the value of every site of ``axes.SITES``.

    ``h`` is the residual stream that entered the block (``resid_pre``, already edited).
    """
    config = model.config

    def added(x: Array, norm: Any) -> Array:
        return x if norm is None else rms_norm(x, norm[...], config)

    z = hook("z", heads)
    attn_out = hook("attn_out", added(dense(z, block.o, precision), block.attn_post_norm))
    mid = hook("resid_mid", h + attn_out)
    x = rms_norm(mid, block.mlp_norm[...], config)
    neurons = hook("mlp_act", gated_neurons(block, config, x, precision))
    mlp_out = hook("mlp_out", added(dense(neurons, block.down, precision), block.mlp_post_norm))
    post = hook("resid_post", mid + mlp_out)
    sites = {
        "resid_pre": h,
        "z": z,
        "attn_out": attn_out,
        "resid_mid": mid,
        "mlp_act": neurons,
        "mlp_out": mlp_out,
        "resid_post": post,
    }
    return post, sites
