"""A sharded checkpoint of a public shape with random weights, written with one tensor in memory at a time."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from llmworld_jax.models.checkpoint import tensor_shapes
from llmworld_jax.models.config import ModelConfig
from llmworld_jax.models.safetensors_files import INDEX

SHARD_BYTES = 10**9
ITEM_BYTES = 2  # bfloat16


def checkpoint_bytes(config: ModelConfig) -> int:
    return sum(ITEM_BYTES * math.prod(shape) for shape in tensor_shapes(config).values())


def require_room(folder: Path, config: ModelConfig) -> None:
    """Stop before anything is written if the disk is too small."""
    free, size = shutil.disk_usage(folder).free, checkpoint_bytes(config)
    if free < 1.1 * size:
        raise SystemExit(
            f"Got {folder} with {free / 1e9:.1f} GB free. Expected {1.1 * size / 1e9:.1f} GB for the checkpoint. "
            "Free some space, or give another folder with --scratch, or fewer blocks with --layers."
        )


def write(folder: Path, config: ModelConfig, shard_bytes: int = SHARD_BYTES) -> list[Path]:
    """``config.json``, bfloat16 shards of at most ``shard_bytes`` (or of one tensor) and their index."""
    require_room(folder, config)
    shards = list(_shards(tensor_shapes(config), shard_bytes))
    names = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    placed = {tensor: name for name, shard in zip(names, shards) for tensor in shard}
    rng = np.random.default_rng(0)
    for name, shard in zip(names, shards):
        _write_shard(folder / name, shard, rng)
    index = {"metadata": {"total_size": checkpoint_bytes(config)}, "weight_map": placed}
    (folder / INDEX).write_text(json.dumps(index, indent=1))
    (folder / "config.json").write_text(json.dumps(config_json(config), indent=1))
    return [folder / name for name in names]


def config_json(config: ModelConfig) -> dict[str, Any]:
    """A Llama's, as Hugging Face spells it."""
    scaling = config.rope_scaling
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.d_mlp,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": scaling
        and {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_max_positions,
        },
        "tie_word_embeddings": config.tied,
        "max_position_embeddings": config.max_positions,
        "bos_token_id": config.bos_token,
        "eos_token_id": config.eos_token,
    }


Shapes = dict[str, tuple[int, ...]]


def _shards(shapes: Shapes, most: int) -> Iterator[Shapes]:
    shard: Shapes = {}
    size = 0
    for name, shape in shapes.items():
        here = ITEM_BYTES * math.prod(shape)
        if shard and size + here > most:
            yield shard
            shard, size = {}, 0
        shard[name] = shape
        size += here
    yield shard


def _write_shard(path: Path, shapes: Shapes, rng: np.random.Generator) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        size = ITEM_BYTES * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            file.write(random_bits(name, shape, rng).data)


def random_bits(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Bits of bfloat16 numbers of the size of ``1/sqrt(fan in)`` (norms: from 1 to 2), signs and digits at random."""
    bits = rng.integers(0, 2**16, math.prod(shape), dtype=np.uint16)
    whole = len(shape) == 1 or "embed" in name
    exponent = 0 if whole else math.floor(-0.5 * math.log2(shape[1]))
    bits &= 0x007F if len(shape) == 1 else 0x807F
    bits |= (127 + exponent) << 7
    return bits
