"""Which attention a model reads whole sequences with: the one asked for, or the fastest that serves it."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ..errors import InputError
from .config import REFERENCE, ModelConfig
from .kernels import default_kernel, unsupported
from .llama import Llama

AUTO = "auto"
ALONE = ("splash",)
_LENGTH = 1024  # of no meaning: no kernel refuses a whole sequence for its length


def kernel_for(config: ModelConfig, name: str, dtype: Any, platform: str, devices: int = 1) -> str:
    """``name``, if it serves a model of ``config`` here; for ``"auto"`` a fused kernel that does, or the reference.

    Args:
        dtype: of queries, keys and values.
        platform: as ``jax.default_backend()`` names it.
        devices: of the model's mesh; a Pallas kernel (``"splash"``) is not cut up for several.

    Raises:
        InputError: no such kernel, or not for this model or platform.
    """
    chosen = default_kernel(platform, dtype) if name == AUTO else name
    if chosen == REFERENCE:
        return chosen
    windows = set(config.windows or (None,))
    reason = unsupported(
        chosen, rows=_LENGTH, keys=_LENGTH, heads=config.num_heads, kv_heads=config.num_kv_heads,
        head_dim=config.head_dim, dtype=dtype, softcap=config.attention_softcap, platform=platform,
        window=next(iter(windows)) if len(windows) == 1 else jnp.zeros((), jnp.int32),
    )  # fmt: skip
    if reason is None and devices > 1 and chosen in ALONE:
        reason = f"it runs on one device, not on a mesh of {devices}"
    if reason is None:
        return chosen
    if name == AUTO:
        return REFERENCE
    raise InputError(
        f"the attention {chosen!r} for a {config.family} model ({reason})",
        "an attention kernel that serves it",
        "Choose auto, or reference, which serves every model",
    )


def with_attention(model: Llama, name: str) -> Llama:
    """The same weights, read with the attention ``name`` (``"auto"`` as in ``kernel_for``)."""
    dtype = model.embed[...].dtype
    config = replace(model.config, attention=kernel_for(model.config, name, dtype, jax.default_backend()))
    copy = jax.tree.map(lambda x: x, model)  # of the tree, not of its arrays
    copy.config = config
    return copy
