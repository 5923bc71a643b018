"""Mistral 7B and its like: Llama whose blocks see only a window of positions back (Jiang et al., 2310.06825)."""

from typing import Any

from ..config_reader import Reader
from .base import Family


def _fields(read: Reader, num_layers: int) -> dict[str, Any]:
    every = "full_attention" if read.raw.get("sliding_window") is None else "sliding_attention"
    return {"windows": read.windows(num_layers, every)}


MISTRAL = Family(
    "mistral",
    "MistralForCausalLM",
    fields=_fields,
    reads=("sliding_window", "layer_types"),
    defaults={"num_key_value_heads": 8, "sliding_window": 4096, "rms_norm_eps": 1e-6},
)
