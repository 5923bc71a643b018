"""The parts of a block as functions of its weights: norm, projections, gated neurons."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .config import ModelConfig
from .llama import Block
from .storage import Precision, dense


def norm_gain(weight: Float[Array, " width"], config: ModelConfig) -> Float[Array, " width"]:
    """What a norm multiplies by: its weight, or one more in a family with ``unit_offset``."""
    wide = jnp.promote_types(weight.dtype, jnp.float32)
    return 1 + weight.astype(wide) if config.unit_offset else weight


def rms_norm(
    x: Float[Array, "*rows width"], weight: Float[Array, " width"], config: ModelConfig
) -> Float[Array, "*rows width"]:
    r""":math:`x / \sqrt{\mathrm{mean}(x^2)+\epsilon}` times ``norm_gain``; the mean in at least float32.

    Rounded to the dtype of ``x`` before the gain, or after it with ``unit_offset``, as each family has it.
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean_square = jnp.mean(wide * wide, axis=-1, keepdims=True)
    unit = wide * jax.lax.rsqrt(mean_square + jnp.asarray(config.norm_eps, wide.dtype))
    gain = norm_gain(weight, config)
    return (unit * gain).astype(x.dtype) if config.unit_offset else unit.astype(x.dtype) * gain


def soft_cap(x: Array, cap: float | None) -> Array:
    r""":math:`c\tanh(x/c)`: near x while small, never beyond ``c``; x itself without a cap."""
    if cap is None:
        return x
    c = jnp.asarray(cap, x.dtype)
    return c * jnp.tanh(x / c)


def gated_neurons(
    block: Block, config: ModelConfig, x: Float[Array, "*rows d_model"], precision: Precision
) -> Float[Array, "*rows d_mlp"]:
    """The neurons of the gated MLP, ``activation(gate x) * up x``; ``down`` of them is what it adds."""
    gate = dense(x, block.gate, precision)
    gate = jax.nn.silu(gate) if config.activation == "silu" else jax.nn.gelu(gate, approximate=True)
    return gate * dense(x, block.up, precision)


def project_heads(
    x: Float[Array, "*rows d_model"], weight: Any, bias: Any, head_dim: int, precision: Precision
) -> Float[Array, "*rows heads head_dim"]:
    """Project, add the bias if there is one, and split into heads."""
    y = dense(x, weight, precision)
    if bias is not None:
        y = y + bias[...]
    return y.reshape(*y.shape[:-1], -1, head_dim)
