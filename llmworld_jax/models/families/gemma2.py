r"""Gemma-2: four norms a block that multiply by ``1 + weight``, soft caps, every other block with a window.

Embeddings are multiplied by ``sqrt(d_model)``, queries by ``query_pre_attn_scalar ** -0.5``, and
:math:`c\tanh(x/c)` bounds attention scores and logits. Source: Gemma 2 report, 2408.00118.
"""

import math
from typing import Any

from ..config_reader import Reader
from .base import Family


def _fields(read: Reader, num_layers: int) -> dict[str, Any]:
    if read.raw.get("layer_types") is None and read.raw.get("sliding_window") is not None:
        window = read.whole("sliding_window")
        windows: Any = tuple(None if layer % 2 else window for layer in range(num_layers))
    else:
        windows = read.windows(num_layers)
    return {
        "activation": "gelu_tanh",
        "unit_offset": True,
        "post_norms": True,
        "embedding_scale": math.sqrt(read.whole("hidden_size")),
        "query_scale": read.real("query_pre_attn_scalar") ** -0.5,
        "attention_softcap": read.optional("attn_logit_softcapping"),
        "logit_softcap": read.optional("final_logit_softcapping"),
        "windows": windows,
    }


GEMMA2 = Family(
    "gemma2",
    "Gemma2ForCausalLM",
    fields=_fields,
    reads=(
        "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "sliding_window", "layer_types",
    ),
    required={
        # Hugging Face reads hidden_activation; hidden_act stands in the files for older readers.
        "hidden_act": ("gelu_pytorch_tanh", "gelu", None),
        "hidden_activation": ("gelu_pytorch_tanh", None),
        "use_bidirectional_attention": (False, None),
    },
    ignored=("cache_implementation", "sliding_window_size"),
    defaults={
        "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
        "query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        "sliding_window": 4096,
    },
    names={
        "layers.attn_post_norm": ("model.layers.{layer}.post_attention_layernorm.weight", False),
        "layers.mlp_norm": ("model.layers.{layer}.pre_feedforward_layernorm.weight", False),
        "layers.mlp_post_norm": ("model.layers.{layer}.post_feedforward_layernorm.weight", False),
    },
)  # fmt: skip
