"""Model hyperparameters, parsed strictly from a Hugging Face ``config.json``.

Every key is either understood, or known not to change what the model computes; anything else is refused,
because a key that is silently ignored is a model that is silently wrong.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError


@dataclass(frozen=True)
class RopeScaling:
    """``llama3`` frequency scaling (Llama-3.1 and later)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_positions: int


@dataclass(frozen=True)
class ModelConfig:
    """Hyperparameters of one Llama-type model; hashable, static under ``jit``."""

    family: str
    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    d_mlp: int
    norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling | None
    tied: bool
    max_positions: int
    bos_token: int | None = None
    eos_token: int | tuple[int, ...] | None = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNDERSTOOD = _words(
    """vocab_size hidden_size num_hidden_layers num_attention_heads num_key_value_heads head_dim
    intermediate_size rms_norm_eps rope_theta rope_scaling rope_parameters tie_word_embeddings
    max_position_embeddings bos_token_id eos_token_id"""
)

# Training, generation and bookkeeping: the function from tokens to logits does not depend on these.
IRRELEVANT = _words(
    """use_cache initializer_range transformers_version _name_or_path torch_dtype dtype pad_token_id
    attention_dropout return_dict output_attentions output_hidden_states chunk_size_feed_forward id2label
    label2id problem_type max_length max_new_tokens do_sample temperature top_p top_k is_llama_config
    transformers.js_config torchscript use_bfloat16 tf_legacy_loss prefix unsloth_fixed unsloth_version
    _attn_implementation _attn_implementation_autoset"""
)

REQUIRED_VALUES: dict[str, tuple[Any, ...]] = {
    "model_type": ("llama",),
    "architectures": (None, ["LlamaForCausalLM"]),
    "hidden_act": ("silu", "swish"),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "pretraining_tp": (1, None),
    "rope_interleaved": (False, None),
    "sliding_window": (None,),
    "use_sliding_window": (False, None),
    "quantization_config": (None,),
    "partial_rotary_factor": (1, None),
    "is_encoder_decoder": (False,),
    "is_decoder": (False, True),
    "add_cross_attention": (False,),
    "pruned_heads": ({}, None),
}

_ROPE_KEYS = {
    "default": _words("rope_type type rope_theta partial_rotary_factor"),
    "llama3": _words(
        """rope_type type rope_theta partial_rotary_factor factor low_freq_factor high_freq_factor
        original_max_position_embeddings"""
    ),
}


class _Reader:
    """Reads typed values out of a dict and keeps every complaint, so that all are reported at once."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw, self.problems = raw, list[str]()

    def whole(self, key: str, default: int | None = None) -> int:
        value = self.raw.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
            self.problems.append(f"{key} = {value!r}, not a whole number in [1, 2**31)")
            return 1
        return value

    def real(self, key: str, default: float | None = None) -> float:
        value = self.raw.get(key)
        if value is None and default is not None:
            return default
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None or not number or not 0 < value <= sys.float_info.max:
            self.problems.append(f"{key} = {value!r}, not a positive number")
            return 1.0
        return float(value)

    def token(self, key: str, vocab_size: int, *, several: bool = False) -> Any:
        value = self.raw.get(key)
        ids = value if several and isinstance(value, list) else [value]
        for i in ids if value is not None else []:
            if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < vocab_size:
                self.problems.append(f"{key} = {value!r}, not a token id below vocab_size {vocab_size}")
                return None
        return tuple(value) if isinstance(value, list) else value


def parse_config(raw: Mapping[str, Any]) -> ModelConfig:
    """``ModelConfig`` from the contents of a ``config.json``, in the spelling of transformers 4 or 5.

    Raises:
        InputError: lists *all* keys that are missing, inconsistent, or not known to be served.
    """
    read = _Reader(raw)
    read.problems += _refused(raw)
    vocab_size, d_model = read.whole("vocab_size"), read.whole("hidden_size")
    num_heads = read.whole("num_attention_heads")
    num_kv_heads = read.whole("num_key_value_heads", num_heads)
    if num_heads % num_kv_heads:
        read.problems.append(f"{num_heads} attention heads, not a multiple of {num_kv_heads} key/value heads")
    if raw.get("head_dim") is None and d_model % num_heads:
        read.problems.append(f"hidden_size {d_model}, not a multiple of {num_heads} heads, and no head_dim")
    head_dim = read.whole("head_dim", max(d_model // num_heads, 1))
    if head_dim % 2:
        read.problems.append(f"head_dim {head_dim}, odd: rotary pairs need an even one")
    tied = raw.get("tie_word_embeddings", False)
    if not isinstance(tied, bool):
        read.problems.append(f"tie_word_embeddings = {tied!r}, not true or false")
    theta, scaling = _rope(raw, read.problems)
    config = ModelConfig(
        family="llama",
        vocab_size=vocab_size,
        d_model=d_model,
        num_layers=read.whole("num_hidden_layers"),
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        d_mlp=read.whole("intermediate_size"),
        norm_eps=read.real("rms_norm_eps"),
        rope_theta=theta,
        rope_scaling=scaling,
        tied=bool(tied),
        max_positions=read.whole("max_position_embeddings"),
        bos_token=read.token("bos_token_id", vocab_size),
        eos_token=read.token("eos_token_id", vocab_size, several=True),
    )
    if read.problems:
        raise InputError(
            "a model config with " + "; ".join(read.problems),
            "a LlamaForCausalLM config.json (Llama-1/2/3, SmolLM2) whose every key is understood",
            "Use a model of a served family, or correct these keys if the file was edited by hand",
        )
    return config


def _refused(raw: Mapping[str, Any]) -> list[str]:
    """Complaints about keys and values that are not served."""
    problems = []
    if "model_type" not in raw and raw.get("architectures") != ["LlamaForCausalLM"]:
        problems.append("neither model_type nor architectures saying Llama")
    for key, value in raw.items():
        if key in REQUIRED_VALUES:
            # `1 == True` in Python, hence the type.
            served = REQUIRED_VALUES[key]
            if not any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in served):
                allowed = " or ".join(repr(v) for v in served)
                problems.append(f"{key} = {value!r} (served: {allowed})")
        elif key == "layer_types":
            if value is not None and (not isinstance(value, list) or any(v != "full_attention" for v in value)):
                problems.append("layer_types other than full_attention")
        elif key not in UNDERSTOOD and key not in IRRELEVANT:
            problems.append(f"the unknown key {key} = {value!r}")
    return problems


def _rope(raw: Mapping[str, Any], problems: list[str]) -> tuple[float, RopeScaling | None]:
    """Base and scaling, from v5's ``rope_parameters`` or v4's ``rope_theta`` and ``rope_scaling``."""
    blocks = {key: raw[key] for key in ("rope_parameters", "rope_scaling") if raw.get(key) is not None}
    thetas = [raw["rope_theta"]] if raw.get("rope_theta") is not None else []
    scalings = []
    for name, block in blocks.items():
        if not isinstance(block, Mapping):
            problems.append(f"{name} = {block!r}, not an object")
            continue
        if block.get("rope_theta") is not None:
            thetas.append(block["rope_theta"])
        scalings.append(_scaling(name, block, problems))
    if any(t != thetas[0] for t in thetas) or any(s != scalings[0] for s in scalings):
        problems.append("rope settings given twice that disagree")
    # Before rope_theta became a key (Llama-1, early Llama-2 files) the base was fixed.
    theta = _Reader({"rope_theta": thetas[0] if thetas else 10000.0})
    value = theta.real("rope_theta")
    problems += theta.problems
    return value, scalings[0] if scalings else None


def _scaling(name: str, block: Mapping[str, Any], problems: list[str]) -> RopeScaling | None:
    kind = block.get("rope_type", block.get("type", "default"))
    if not isinstance(kind, str) or kind not in _ROPE_KEYS:
        problems.append(f"{name}.rope_type = {kind!r} (served: default or llama3)")
        return None
    problems += [f"the unknown key {name}.{key}" for key in sorted(block.keys() - _ROPE_KEYS[kind])]
    if block.get("partial_rotary_factor") not in (None, 1):
        problems.append(f"{name}.partial_rotary_factor = {block['partial_rotary_factor']!r} (served: 1)")
    if kind == "default":
        return None
    read = _Reader(block)
    scaling = RopeScaling(
        factor=read.real("factor"),
        low_freq_factor=read.real("low_freq_factor"),
        high_freq_factor=read.real("high_freq_factor"),
        original_max_positions=read.whole("original_max_position_embeddings"),
    )
    if not read.problems and scaling.low_freq_factor >= scaling.high_freq_factor:
        read.problems.append("low_freq_factor not below high_freq_factor")
    problems += [f"{name}.{problem}" for problem in read.problems]
    return scaling
