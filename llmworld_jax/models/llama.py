"""Llama as a container of parameters. The mathematics is in ``forward.py``.

Families served: Llama-1/2 (multi-head, untied), Llama-2-70B (grouped queries), Llama-3.x (``llama3`` frequency
scaling, tied or not), SmolLM2. Weights are stored ``[in, out]`` and every block's weights are stacked on a leading
``layer`` axis, so that one ``jax.lax.scan`` runs them and compile time does not grow with depth.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import PRNGKeyArray

from .config import ModelConfig


class Block(nnx.Module):
    """One transformer block: pre-norm attention, pre-norm gated MLP."""

    def __init__(self, config: ModelConfig, *, key: PRNGKeyArray, dtype: DTypeLike) -> None:
        d, m, hd = config.d_model, config.d_mlp, config.head_dim
        shapes = {
            "q": (d, config.num_heads * hd),
            "k": (d, config.num_kv_heads * hd),
            "v": (d, config.num_kv_heads * hd),
            "o": (config.num_heads * hd, d),
            "gate": (d, m),
            "up": (d, m),
            "down": (m, d),
        }
        keys = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))
        weights = {name: nnx.Param(_normal(keys[name], shape, dtype)) for name, shape in shapes.items()}
        self.attn_norm = nnx.Param(jnp.ones((d,), dtype))
        self.q, self.k, self.v, self.o = (weights[n] for n in ("q", "k", "v", "o"))
        self.mlp_norm = nnx.Param(jnp.ones((d,), dtype))
        self.gate, self.up, self.down = (weights[n] for n in ("gate", "up", "down"))


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
        self.final_norm = nnx.Param(jnp.ones((config.d_model,), dtype))
        shape = (config.d_model, config.vocab_size)
        self.head = None if config.tied else nnx.Param(_normal(k_head, shape, dtype))


def _normal(key: PRNGKeyArray, shape: tuple[int, int], dtype: DTypeLike) -> jax.Array:
    return jax.random.normal(key, shape, dtype) * jnp.asarray(shape[0] ** -0.5, dtype)


CHECKPOINT_NAMES: dict[str, tuple[str, bool]] = {
    "embed": ("model.embed_tokens.weight", False),
    "layers.attn_norm": ("model.layers.{layer}.input_layernorm.weight", False),
    "layers.q": ("model.layers.{layer}.self_attn.q_proj.weight", True),
    "layers.k": ("model.layers.{layer}.self_attn.k_proj.weight", True),
    "layers.v": ("model.layers.{layer}.self_attn.v_proj.weight", True),
    "layers.o": ("model.layers.{layer}.self_attn.o_proj.weight", True),
    "layers.mlp_norm": ("model.layers.{layer}.post_attention_layernorm.weight", False),
    "layers.gate": ("model.layers.{layer}.mlp.gate_proj.weight", True),
    "layers.up": ("model.layers.{layer}.mlp.up_proj.weight", True),
    "layers.down": ("model.layers.{layer}.mlp.down_proj.weight", True),
    "final_norm": ("model.norm.weight", False),
    "head": ("lm_head.weight", True),
}
"""Our path -> (name in a Hugging Face checkpoint, stored transposed there). ``head`` only when not tied."""
