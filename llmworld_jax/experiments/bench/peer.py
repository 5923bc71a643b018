"""The same work in Hugging Face torch: reading, and a gradient in the input embeddings. The tree is in `peer_tree`."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...models.config import ModelConfig
from .machine import cores


def refusal(platform: str) -> str | None:
    """Why there is no peer, or ``None``. Imports torch if it is installed."""
    if find_spec("torch") is None:
        return "torch is not installed"
    import torch

    if platform != "cpu" and not torch.cuda.is_available():
        return "this torch sees no accelerator"
    return None


def pretrained(folder: Path, dtype: str, device: str) -> Any:
    """Hugging Face's model of a folder, with scaled dot-product attention, on the same kind of device as ours."""
    import torch
    from transformers import AutoModelForCausalLM

    made: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation="sdpa")
    return _ready(made.to(device))


def random_twin(config: ModelConfig, dtype: str, device: str) -> Any:
    """Random weights of a Llama's shape. Rotary settings are left alone: they change no work."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    settings: dict[str, Any] = dict(
        vocab_size=config.vocab_size, hidden_size=config.d_model, intermediate_size=config.d_mlp,
        num_hidden_layers=config.num_layers, num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads, head_dim=config.head_dim, rms_norm_eps=config.norm_eps,
        tie_word_embeddings=config.tied, max_position_embeddings=config.max_positions, attn_implementation="sdpa",
    )  # fmt: skip
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            return _ready(LlamaForCausalLM(LlamaConfig(**settings)))
    finally:
        torch.set_default_dtype(before)


def prefill(twin: Any, tokens: np.ndarray) -> Any:
    """Scores of the last position of every sequence, and the cache: ``[batch, vocab]``."""
    import torch

    ids = torch.as_tensor(tokens, dtype=torch.long, device=twin.device)
    with torch.inference_mode():
        scores = twin(input_ids=ids, use_cache=True, logits_to_keep=1).logits[:, -1]
    return finished(scores)


def gradient(twin: Any, tokens: np.ndarray) -> Any:
    """Next-token loss and its gradient in the input embeddings, blocks recomputed as ours are."""
    import torch

    ids = torch.as_tensor(tokens, dtype=torch.long, device=twin.device)
    inputs = twin.get_input_embeddings()(ids)[None].detach().requires_grad_()
    twin.train()  # nothing drops out of a Llama; checkpoints are only taken in this mode
    scores = twin(inputs_embeds=inputs, use_cache=False).logits[0, :-1]
    wide = torch.promote_types(scores.dtype, torch.float32)
    torch.nn.functional.cross_entropy(scores.to(wide), ids[1:]).backward()
    twin.eval()
    return finished(inputs.grad[0])


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of torch and transformers about names to come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def finished(result: Any) -> Any:
    """``result`` once the device has it."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result


def _ready(twin: Any) -> Any:
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()  # newer versions deprecate names that older ones only know
    torch.set_num_threads(cores())
    twin.requires_grad_(False)
    twin.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return twin.eval()
