"""The parts of a block as functions of its weights: norm, projections, gated neurons."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .llama import Block

Precision = jax.lax.Precision | str | None


def matmul(x: Float[Array, "*rows d_in"], w: Float[Array, "d_in d_out"], precision: Precision) -> Array:
    """``x w`` accumulated in at least float32, returned in the dtype of ``x``."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.matmul(x, w, precision=precision, preferred_element_type=wide).astype(x.dtype)


def rms_norm(
    x: Float[Array, "*rows d_model"], weight: Float[Array, " d_model"], eps: float
) -> Float[Array, "*rows d_model"]:
    r""":math:`x / \sqrt{\mathrm{mean}(x^2)+\epsilon}` times ``weight``; the mean in at least float32."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean_square = jnp.mean(wide * wide, axis=-1, keepdims=True)
    return (wide * jax.lax.rsqrt(mean_square + jnp.asarray(eps, wide.dtype))).astype(x.dtype) * weight


def gated_neurons(block: Block, x: Float[Array, "*rows d_model"], precision: Precision) -> Float[Array, "*rows d_mlp"]:
    """The neurons of the gated MLP, ``silu(gate x) * up x``; ``down`` of them is what it adds."""
    return jax.nn.silu(matmul(x, block.gate[...], precision)) * matmul(x, block.up[...], precision)


def project_heads(
    x: Float[Array, "*rows d_model"], w: Float[Array, "d_model width"], head_dim: int, precision: Precision
) -> Float[Array, "*rows heads head_dim"]:
    """Project and split into heads."""
    y = matmul(x, w, precision)
    return y.reshape(*y.shape[:-1], -1, head_dim)
