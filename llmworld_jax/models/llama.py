"""Llama, and what is built like it, as a container of parameters. The mathematics is in ``forward.py``.

Families served: those of ``families.FAMILIES``. Weights are stored ``[in, out]`` and every block's weights are stacked
on a leading ``layer`` axis, so that one ``jax.lax.scan`` runs them and compile time does not grow with depth.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import PRNGKeyArray

from .config import ModelConfig
from .families import FAMILIES


class Block(nnx.Module):
    """One transformer block: pre-norm attention, pre-norm gated MLP. What a family does not have is ``None``."""

    def __init__(self, config: ModelConfig, *, key: PRNGKeyArray, dtype: DTypeLike) -> None:
        d, m, hd = config.d_model, config.d_mlp, config.head_dim
        queries, keys = config.num_heads * hd, config.num_kv_heads * hd
        shapes = {
            "q": (d, queries), "k": (d, keys), "v": (d, keys), "o": (queries, d),
            "gate": (d, m), "up": (d, m), "down": (m, d),
        }  # fmt: skip
        split = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))
        weights = {name: nnx.Param(_normal(split[name], shape, dtype)) for name, shape in shapes.items()}

        def norm(width: int, wanted: bool) -> nnx.Param | None:
            return _norm(config, width, dtype) if wanted else None

        def bias(width: int) -> nnx.Param | None:
            return nnx.Param(jnp.zeros((width,), dtype)) if config.qkv_bias else None

        self.attn_norm = _norm(config, d, dtype)
        self.q, self.k, self.v, self.o = (weights[n] for n in ("q", "k", "v", "o"))
        self.q_bias, self.k_bias, self.v_bias = bias(queries), bias(keys), bias(keys)
        self.q_norm, self.k_norm = norm(hd, config.qk_norm), norm(hd, config.qk_norm)
        self.attn_post_norm = norm(d, config.post_norms)
        self.mlp_norm = _norm(config, d, dtype)
        self.gate, self.up, self.down = (weights[n] for n in ("gate", "up", "down"))
        self.mlp_post_norm = norm(d, config.post_norms)


class Llama(nnx.Module):
    """Parameters of a whole model, randomly initialised (standard deviation ``1/sqrt(fan in)``).

    ``jax.eval_shape(lambda: Llama(config, key=key))`` gives the same tree without memory. A tied model has
    ``head is None`` and reads out with the transposed embedding.
    """

    def __init__(self, config: ModelConfig, *, key: PRNGKeyArray, dtype: DTypeLike = jnp.float32) -> None:
        k_embed, k_head, k_layers = jax.random.split(key, 3)
        self.config = config
        self.embed = nnx.Param(jax.random.normal(k_embed, (config.vocab_size, config.d_model), dtype))
        self.layers = jax.vmap(lambda k: Block(config, key=k, dtype=dtype))(
            jax.random.split(k_layers, config.num_layers)
        )
        self.final_norm = _norm(config, config.d_model, dtype)
        shape = (config.d_model, config.vocab_size)
        self.head = None if config.tied else nnx.Param(_normal(k_head, shape, dtype))


def _normal(key: PRNGKeyArray, shape: tuple[int, int], dtype: DTypeLike) -> jax.Array:
    return jax.random.normal(key, shape, dtype) * jnp.asarray(shape[0] ** -0.5, dtype)


def _norm(config: ModelConfig, width: int, dtype: DTypeLike) -> nnx.Param:
    """The weight of a norm that multiplies by one."""
    return nnx.Param(jnp.zeros((width,), dtype) if config.unit_offset else jnp.ones((width,), dtype))


CHECKPOINT_NAMES: dict[str, tuple[str, bool]] = {
    "embed": ("model.embed_tokens.weight", False),
    "layers.attn_norm": ("model.layers.{layer}.input_layernorm.weight", False),
    "layers.q": ("model.layers.{layer}.self_attn.q_proj.weight", True),
    "layers.k": ("model.layers.{layer}.self_attn.k_proj.weight", True),
    "layers.v": ("model.layers.{layer}.self_attn.v_proj.weight", True),
    "layers.q_bias": ("model.layers.{layer}.self_attn.q_proj.bias", False),
    "layers.k_bias": ("model.layers.{layer}.self_attn.k_proj.bias", False),
    "layers.v_bias": ("model.layers.{layer}.self_attn.v_proj.bias", False),
    "layers.q_norm": ("model.layers.{layer}.self_attn.q_norm.weight", False),
    "layers.k_norm": ("model.layers.{layer}.self_attn.k_norm.weight", False),
    "layers.o": ("model.layers.{layer}.self_attn.o_proj.weight", True),
    "layers.mlp_norm": ("model.layers.{layer}.post_attention_layernorm.weight", False),
    "layers.gate": ("model.layers.{layer}.mlp.gate_proj.weight", True),
    "layers.up": ("model.layers.{layer}.mlp.up_proj.weight", True),
    "layers.down": ("model.layers.{layer}.mlp.down_proj.weight", True),
    "final_norm": ("model.norm.weight", False),
    "head": ("lm_head.weight", True),
}
"""Our path -> (name in a Hugging Face checkpoint, stored transposed there), where the family has such a weight and
does not name it otherwise."""


def checkpoint_names(config: ModelConfig) -> dict[str, tuple[str, bool]]:
    """``CHECKPOINT_NAMES`` as the family of ``config`` has them."""
    return CHECKPOINT_NAMES | dict(FAMILIES[config.family].names)
