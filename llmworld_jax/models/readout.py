r"""The two ends of a model: token embeddings in, scores of the tokens that come next out, in float32."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .layers import Precision, rms_norm, soft_cap
from .llama import Llama


def token_table(model: Llama) -> Float[Array, "vocab d_model"]:
    """What every token puts into the residual stream before the first block (for Gemma scaled)."""
    return _scaled(model, model.embed[...])


def embed(model: Llama, tokens: Int[Array, "*rows"]) -> Float[Array, "*rows d_model"]:
    """Token embeddings, as they enter the first block: rows of ``token_table``."""
    return _scaled(model, model.embed[...][tokens])


def _scaled(model: Llama, rows: Array) -> Array:
    scale = model.config.embedding_scale
    return rows if scale is None else rows * jnp.asarray(scale, rows.dtype)


def final_hidden(model: Llama, h: Float[Array, "*rows d_model"]) -> Float[Array, "*rows d_model"]:
    """The residual stream after the last norm: what ``logits`` reads."""
    return rms_norm(h, model.final_norm[...], model.config)


def logits(
    model: Llama,
    hidden: Float[Array, "*rows d_model"],
    tokens: Int[Array, " choice"] | None = None,
    *,
    precision: Precision = "highest",
) -> Float[Array, "*rows choice"]:
    """Scores of ``tokens`` (default: the whole vocabulary), in at least float32.

    Args:
        hidden: final hidden states, as ``forward`` returns them (already normalised).
    """
    if model.head is None:
        weight = model.embed[...] if tokens is None else model.embed[...][tokens]
    else:
        weight = model.head[...] if tokens is None else model.head[...][:, tokens]
    common = jnp.promote_types(hidden.dtype, weight.dtype)  # products of two bfloat16 are exact in float32
    hidden, weight, wide = hidden.astype(common), weight.astype(common), jnp.promote_types(common, jnp.float32)
    # Tied embeddings are contracted as they lie: transposed, bfloat16 loses the matrix units of a CPU (jax 0.10).
    product = "...d,vd->...v" if model.head is None else "...d,dv->...v"
    scores = jnp.einsum(product, hidden, weight, precision=precision, preferred_element_type=wide)
    return soft_cap(scores, model.config.logit_softcap)
