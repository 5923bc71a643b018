"""Qwen2 and Qwen2.5: Llama with biases on queries, keys and values; later blocks may see a window only.

Source: Qwen2.5 technical report, 2412.15115.
"""

from typing import Any

from ..config_reader import Reader
from .base import Family

WINDOW_KEYS = ("sliding_window", "use_sliding_window", "max_window_layers", "layer_types")
WINDOW_DEFAULTS = {"sliding_window": 4096, "use_sliding_window": False, "max_window_layers": 28}


def windows_of(read: Reader, num_layers: int) -> tuple[int | None, ...] | None:
    """Windows from block ``max_window_layers`` on, if ``use_sliding_window``; or what ``layer_types`` says."""
    if not read.raw.get("use_sliding_window"):
        # Hugging Face then drops the window, whatever number stands there.
        if "sliding_attention" in (read.raw.get("layer_types") or ()):
            read.problems.append("sliding blocks in layer_types though use_sliding_window is false")
        return None
    if read.raw.get("layer_types") is not None or read.raw.get("sliding_window") is None:
        return read.windows(num_layers)
    first, window = read.raw.get("max_window_layers"), read.whole("sliding_window")
    if isinstance(first, bool) or not isinstance(first, int) or first < 0:
        read.problems.append(f"max_window_layers = {first!r}, not a count of blocks")
        return None
    found = tuple(window if layer >= first else None for layer in range(num_layers))
    return found if any(found) else None


def _fields(read: Reader, num_layers: int) -> dict[str, Any]:
    return {"qkv_bias": True, "windows": windows_of(read, num_layers)}


QWEN2 = Family(
    "qwen2",
    "Qwen2ForCausalLM",
    fields=_fields,
    reads=WINDOW_KEYS,
    required={"use_mrope": (False, None)},
    defaults={"num_key_value_heads": 32, "rms_norm_eps": 1e-6, **WINDOW_DEFAULTS},
)
