"""One transformer block in two halves, with every activation site between them named and open to edits."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from .layers import Precision, gated_neurons, matmul, project_heads, rms_norm
from .llama import Block, Llama
from .rope import rotate

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
    hd = model.config.head_dim
    x = rms_norm(h, block.attn_norm[...], model.config.norm_eps)
    q = rotate(project_heads(x, block.q[...], hd, precision), cos, sin)
    k = rotate(project_heads(x, block.k[...], hd, precision), cos, sin)
    return q * jnp.asarray(hd**-0.5, q.dtype), k, project_heads(x, block.v[...], hd, precision)


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
    z = hook("z", heads)
    attn_out = hook("attn_out", matmul(z, block.o[...], precision))
    mid = hook("resid_mid", h + attn_out)
    x = rms_norm(mid, block.mlp_norm[...], model.config.norm_eps)
    neurons = hook("mlp_act", gated_neurons(block, x, precision))
    mlp_out = hook("mlp_out", matmul(neurons, block.down[...], precision))
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
