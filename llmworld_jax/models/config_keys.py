"""``config.json`` of Hugging Face to hyperparameters, strictly.

Every key is either understood, or known not to change what the model computes; anything else is refused,
because a key that is silently ignored is a model that is silently wrong.
"""

from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from .config import ModelConfig
from .config_reader import Reader, rope_settings
from .families import FAMILIES, Family


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOST_LAYERS = 1000

UNDERSTOOD = _words(
    """vocab_size hidden_size num_hidden_layers num_attention_heads num_key_value_heads head_dim
    intermediate_size rms_norm_eps rope_theta rope_scaling rope_parameters tie_word_embeddings
    max_position_embeddings bos_token_id eos_token_id"""
)

# Training, generation and bookkeeping: the function from tokens to logits does not depend on these.
IRRELEVANT = _words(
    """use_cache initializer_range transformers_version _name_or_path torch_dtype dtype pad_token_id
    attention_dropout return_dict output_attentions output_hidden_states chunk_size_feed_forward id2label
    label2id problem_type max_length max_new_tokens do_sample temperature top_p top_k
    torchscript use_bfloat16 tf_legacy_loss prefix unsloth_fixed unsloth_version
    _attn_implementation _attn_implementation_autoset"""
)

REQUIRED_VALUES: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "pretraining_tp": (1, None),
    "rope_interleaved": (False, None),
    "quantization_config": (None,),
    "partial_rotary_factor": (1, None),
    "is_encoder_decoder": (False,),
    "is_decoder": (False, True),
    "add_cross_attention": (False,),
    "pruned_heads": ({}, None),
}


def parse_config(raw: Mapping[str, Any]) -> ModelConfig:
    """``ModelConfig`` from the contents of a ``config.json``, in the spelling of transformers 4 or 5.

    Raises:
        InputError: lists *all* keys that are missing, inconsistent, or not known to be served.
    """
    family = _family(raw)
    read = Reader({**family.defaults, **raw})
    read.problems += _refused(raw, family)
    common = _common(read)
    config = ModelConfig(family=family.model_type, **common, **_more(read, family, common["num_layers"]))
    if read.problems:
        raise InputError(
            "a model config with " + "; ".join(read.problems),
            f"a {family.architecture} config.json whose every key is understood",
            f"Use a model of a served family ({', '.join(FAMILIES)}), or correct these keys if the file was edited",
        )
    return config


def _family(raw: Mapping[str, Any]) -> Family:
    kind, architectures = raw.get("model_type"), raw.get("architectures")
    for family in FAMILIES.values():
        if kind == family.model_type or (kind is None and architectures == [family.architecture]):
            return family
    raise InputError(
        f"a model config with model_type = {kind!r} and architectures = {architectures!r}",
        f"a model_type that is served: {', '.join(FAMILIES)}",
        "Use a model of one of these families (Llama, SmolLM2, Mistral, Qwen2/2.5/3, Gemma-2)",
    )


def _common(read: Reader) -> dict[str, Any]:
    """The fields that every family has."""
    raw = read.raw
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
    theta, scaling = rope_settings(raw, read.problems)
    return dict(
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


def _more(read: Reader, family: Family, num_layers: int) -> dict[str, Any]:
    """The fields that this family sets, some of them one entry a block."""
    if num_layers > MOST_LAYERS:
        read.problems.append(f"num_hidden_layers = {num_layers}, more than {MOST_LAYERS}")
        num_layers = 1
    return family.fields(read, num_layers)


def _refused(raw: Mapping[str, Any], family: Family) -> list[str]:
    """Complaints about keys and values that are not served."""
    problems = []
    required = {**REQUIRED_VALUES, **family.required, "architectures": (None, [family.architecture])}
    known = UNDERSTOOD | IRRELEVANT | set(family.reads) | set(family.ignored) | {"model_type"}
    for key, value in raw.items():
        if key in family.reads:
            continue
        if key in required:
            # `1 == True` in Python, hence the type.
            served = required[key]
            if not any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in served):
                allowed = " or ".join(repr(v) for v in served)
                problems.append(f"{key} = {value!r} (served: {allowed})")
        elif key == "layer_types":
            if value is not None and (not isinstance(value, list) or any(v != "full_attention" for v in value)):
                problems.append("layer_types other than full_attention")
        elif key not in known:
            problems.append(f"the unknown key {key} = {value!r}")
    return problems
