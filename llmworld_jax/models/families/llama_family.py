"""Llama-1, 2, 3, 3.1, 3.2 and SmolLM2: the common core and nothing else."""

from .base import Family

LLAMA = Family(
    "llama",
    "LlamaForCausalLM",
    required={"sliding_window": (None,), "use_sliding_window": (False, None)},
    ignored=("is_llama_config", "transformers.js_config"),
)
