"""Qwen3 (dense): Llama with every head's queries and keys normalised; windows as in Qwen2.

Source: Qwen3 technical report, 2505.09388.
"""

from typing import Any

from ..config_reader import Reader
from .base import Family
from .qwen2 import WINDOW_DEFAULTS, WINDOW_KEYS, windows_of


def _fields(read: Reader, num_layers: int) -> dict[str, Any]:
    return {"qk_norm": True, "windows": windows_of(read, num_layers)}


QWEN3 = Family(
    "qwen3",
    "Qwen3ForCausalLM",
    fields=_fields,
    reads=WINDOW_KEYS,
    defaults={"num_key_value_heads": 32, "head_dim": 128, "rms_norm_eps": 1e-6, **WINDOW_DEFAULTS},
)
