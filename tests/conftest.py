"""A small random Llama for identity tests.

llmworld_jax is imported inside the fixture, because jaxtyping's checker must be installed first.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import pytest


@pytest.fixture(scope="session")
def tiny_llama() -> Callable:
    """``tiny_llama(seed=0, dtype=float32, **changes of the config)``, with every weight made to matter."""
    from llmworld_jax.models.config import ModelConfig
    from llmworld_jax.models.llama import Llama

    def build(seed: int = 0, dtype=jnp.float32, **changes):
        settings = dict(
            family="llama", vocab_size=40, d_model=32, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8,
            d_mlp=48, norm_eps=1e-5, rope_theta=1e4, rope_scaling=None, tied=True, max_positions=1024,
        )  # fmt: skip
        model = Llama(ModelConfig(**settings | changes), key=jax.random.key(seed), dtype=dtype)
        leaves, treedef = jax.tree.flatten(model)
        keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
        # Norm weights of one would hide a norm whose weight is not used.
        leaves = [w * (1 + 0.3 * jax.random.normal(k, w.shape, dtype)) for k, w in zip(keys, leaves)]
        model = jax.tree.unflatten(treedef, leaves)
        model.embed[...] *= jnp.asarray(0.3, dtype)  # else tied models are nearly certain of the next token
        model.layers.q[...] *= jnp.asarray(3.0, dtype)  # else attention is nearly uniform
        return model

    return build
