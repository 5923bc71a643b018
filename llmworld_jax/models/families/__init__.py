"""The model families that are served, one file each: what their configs and checkpoints add to Llama's."""

from .base import Family, Names
from .gemma2 import GEMMA2
from .llama_family import LLAMA
from .mistral import MISTRAL
from .qwen2 import QWEN2
from .qwen3 import QWEN3

FAMILIES: dict[str, Family] = {
    "llama": LLAMA,
    "mistral": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "gemma2": GEMMA2,
}
"""By ``model_type``."""

__all__ = ["FAMILIES", "Family", "Names"]
