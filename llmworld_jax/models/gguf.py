"""GGUF (llama.cpp) models converted into Hugging Face folders of float32 safetensors."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import require_room
from .cache import atomic_folder, file_sha256, write_manifest
from .checkpoint import tensor_shapes
from .config import ModelConfig, RopeScaling
from .config_keys import parse_config
from .gguf_file import GGUFFile
from .gguf_tokenizer import tokenizer_from_gguf
from .llama import CHECKPOINT_NAMES
from .rope import inverse_frequencies
from .safetensors_files import SINGLE, listed, write_safetensors

GGUF_NAMES = {
    "embed": "token_embd.weight",
    "layers.attn_norm": "blk.{layer}.attn_norm.weight",
    "layers.q": "blk.{layer}.attn_q.weight",
    "layers.k": "blk.{layer}.attn_k.weight",
    "layers.v": "blk.{layer}.attn_v.weight",
    "layers.o": "blk.{layer}.attn_output.weight",
    "layers.mlp_norm": "blk.{layer}.ffn_norm.weight",
    "layers.gate": "blk.{layer}.ffn_gate.weight",
    "layers.up": "blk.{layer}.ffn_up.weight",
    "layers.down": "blk.{layer}.ffn_down.weight",
    "final_norm": "output_norm.weight",
    "head": "output.weight",
}
"""Our path -> name in a GGUF file, as ``CHECKPOINT_NAMES`` does for Hugging Face files."""

_KEYS = {
    "llama.block_count": "num_hidden_layers",
    "llama.context_length": "max_position_embeddings",
    "llama.embedding_length": "hidden_size",
    "llama.feed_forward_length": "intermediate_size",
    "llama.attention.head_count": "num_attention_heads",
    "llama.attention.head_count_kv": "num_key_value_heads",
    "llama.attention.key_length": "head_dim",
    "llama.attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "llama.rope.freq_base": "rope_theta",
    "tokenizer.ggml.bos_token_id": "bos_token_id",
    "tokenizer.ggml.eos_token_id": "eos_token_id",
}
_CHECKED = {
    "llama.vocab_size": "vocab_size",
    "llama.rope.dimension_count": "head_dim",
    "llama.attention.value_length": "head_dim",
}
_NEUTRAL = {"llama.expert_count": 0, "llama.expert_used_count": 0, "llama.rope.scaling.type": "none"}
_ROPE_FACTORS = "rope_freqs.weight"
# Files carry the factors, not the parameters that made them; these are the parameters of every Llama-3.x.
_LLAMA3 = RopeScaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_positions=8192)


def convert_gguf(path: str | Path, out_folder: str | Path, *, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Convert a Llama-type GGUF file into a Hugging Face folder (float32), whole or not at all.

    Dequantisation is exact (every quantised value is a float32), llama.cpp's permutation of the query and key
    rows is undone, and the tokenizer is rebuilt. ``out_folder`` also gets a ``manifest.json`` with hashes.

    Args:
        facts: put into the manifest (id, licence ...).

    Returns:
        The manifest.

    Raises:
        InputError: damaged file, architecture, tensor or tokenizer not served, no room on the disk.
    """
    source, out_folder = GGUFFile(path), Path(out_folder)
    config, raw = _config(source)
    names = _names(source, config)
    tokenizer = tokenizer_from_gguf(source.metadata)
    shapes = tensor_shapes(config)
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise _unserved(source, [f"{tokenizer.get_vocab_size()} tokens for {config.vocab_size} embeddings"])
    require_room(out_folder.parent, 4 * sum(map(math.prod, shapes.values())) + 2**24)
    with atomic_folder(out_folder) as folder:
        write_safetensors(folder / SINGLE, shapes, lambda name: _tensor(source, names[name], config))
        _write_json(folder / "config.json", raw)
        _write_json(folder / "tokenizer_config.json", _tokenizer_config(source.metadata))
        (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
        origin = {
            "file": source.path.name,
            "bytes": source.path.stat().st_size,
            "sha256": file_sha256(source.path),
        }
        return write_manifest(folder, {**(facts or {}), "converted_from": origin})


def unpermute(weight: np.ndarray, num_heads: int) -> np.ndarray:
    """Rows of a query or key projection: from llama.cpp's order (rotary pairs adjacent) to halves."""
    rows, d_in = weight.shape
    return weight.reshape(num_heads, rows // num_heads // 2, 2, d_in).swapaxes(1, 2).reshape(rows, d_in)


def _config(source: GGUFFile) -> tuple[ModelConfig, dict[str, Any]]:
    """The config, also in Hugging Face's form."""
    meta = source.metadata
    problems = []
    for key in ("general.architecture", "general.type"):
        if meta.get(key, "model") not in ("llama", "model"):
            problems.append(f"{key} = {meta[key]!r}")
    for key, value in meta.items():
        known = key.startswith(("general.", "tokenizer.", "quantize.")) or key in _KEYS or key in _CHECKED
        if not known and (key not in _NEUTRAL or value != _NEUTRAL[key]):
            problems.append(f"{key} = {value!r}")
    embedding = source.tensors.get(GGUF_NAMES["embed"])
    if meta.get("general.architecture") != "llama" or embedding is None or problems:
        raise _unserved(source, problems or ["no architecture 'llama' or no token_embd.weight"])
    raw: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "vocab_size": embedding.shape[0],
        "tie_word_embeddings": GGUF_NAMES["head"] not in source.tensors,
        "torch_dtype": "float32",
    }
    # Floats are stored in 32 bits: 1e-5 must not become 9.999999747378752e-06.
    raw |= {ours: _decimal(meta[theirs]) for theirs, ours in _KEYS.items() if theirs in meta}
    config = parse_config(raw)
    if config.num_layers > len(source.tensors):
        problems.append(f"{config.num_layers} layers in {len(source.tensors)} tensors")
    for key, field in _CHECKED.items():
        if meta.get(key, want := getattr(config, field)) != want:
            problems.append(f"{key} = {meta[key]!r} instead of {want}")
    if problems:
        raise _unserved(source, problems)
    if _ROPE_FACTORS in source.tensors:
        raw["rope_scaling"] = _scaling(source, config)
        config = parse_config(raw)
    return config, raw


def _scaling(source: GGUFFile, config: ModelConfig) -> dict[str, Any]:
    """``llama3`` scaling parameters that reproduce the file's factors (what each frequency is divided by)."""
    factors = source.read(_ROPE_FACTORS)
    scaling = replace(_LLAMA3, factor=_decimal(float(factors.max())))
    plain, scaled = inverse_frequencies(config), inverse_frequencies(replace(config, rope_scaling=scaling))
    if factors.shape != plain.shape or not np.allclose(plain / scaled, factors, rtol=1e-4, atol=0.0):
        raise _unserved(source, [f"{_ROPE_FACTORS} other than Llama-3's (low 1, high 4, original 8192)"])
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_max_positions,
    }


def _names(source: GGUFFile, config: ModelConfig) -> dict[str, tuple[str, str]]:
    """Hugging Face name -> (our path, GGUF name); refuses unless they are exactly the file's tensors."""
    paths = [path for path in GGUF_NAMES if not (config.tied and path == "head")]
    names = {
        CHECKPOINT_NAMES[path][0].format(layer=i): (path, GGUF_NAMES[path].format(layer=i))
        for path in paths
        for i in (range(config.num_layers) if path.startswith("layers.") else [0])
    }
    wanted = {gguf_name for _, gguf_name in names.values()} | {_ROPE_FACTORS}
    problems = [f"unknown {name}" for name in source.tensors.keys() - wanted]
    for name, shape in tensor_shapes(config).items():
        info = source.tensors.get(names[name][1])
        if info is None or info.shape != shape:
            problems.append(f"{names[name][1]} {'missing' if info is None else info.shape} instead of {shape}")
    if problems:
        raise _unserved(source, sorted(problems))
    return names


def _tensor(source: GGUFFile, name: tuple[str, str], config: ModelConfig) -> np.ndarray:
    path, gguf_name = name
    weight = source.read(gguf_name)
    if path in ("layers.q", "layers.k"):
        return unpermute(weight, config.num_heads if path == "layers.q" else config.num_kv_heads)
    return weight


def _tokenizer_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    tokens = meta["tokenizer.ggml.tokens"]
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    for key in ("bos", "eos"):
        token = meta.get(f"tokenizer.ggml.{key}_token_id")
        if isinstance(token, int) and token < len(tokens):
            config[f"{key}_token"] = tokens[token]
    if "tokenizer.chat_template" in meta:
        config["chat_template"] = meta["tokenizer.chat_template"]
    return config


def _decimal(value: Any) -> Any:
    """The shortest decimal that is the same float32."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _unserved(source: GGUFFile, problems: list[str]) -> InputError:
    return InputError(
        f"{source.path.name} with {listed(problems, 40)}",
        "a GGUF file of a plain Llama (architecture 'llama', no experts, no adapters), its tensors complete",
        "Use a Hugging Face folder of the model, or another conversion",
    )
