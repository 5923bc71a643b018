"""``parse_config``: both spellings mean the same, and nothing that is not understood gets through."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from llmworld_jax.errors import InputError
from llmworld_jax.models.config import ModelConfig, RopeScaling
from llmworld_jax.models.config_keys import parse_config

SMOL = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 576,
    "initializer_range": 0.041666666666666664,
    "intermediate_size": 1536,
    "is_llama_config": True,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "pad_token_id": 2,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_interleaved": False,
    "rope_scaling": None,
    "rope_theta": 100000,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}},
    "transformers_version": "4.42.3",
    "use_cache": True,
    "vocab_size": 49152,
}
LLAMA3 = {
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


def test_smollm2_as_published():
    config = parse_config(SMOL)
    assert (config.num_layers, config.d_model, config.num_heads, config.num_kv_heads) == (30, 576, 9, 3)
    assert (config.head_dim, config.rope_theta, config.rope_scaling, config.tied) == (64, 1e5, None, True)
    assert (config.bos_token, config.eos_token) == (1, 2)
    assert hash(config) == hash(parse_config(dict(SMOL)))


@pytest.mark.parametrize("kind", ["rope_type", "type"])
def test_version_4_and_5_spellings_are_equal(kind):
    scaling = {kind: LLAMA3["rope_type"]} | {k: v for k, v in LLAMA3.items() if k != "rope_type"}
    four = SMOL | {"rope_theta": 5e5, "rope_scaling": scaling}
    five = {k: v for k, v in SMOL.items() if k not in ("rope_theta", "rope_scaling", "torch_dtype")}
    five |= {"rope_parameters": scaling | {"rope_theta": 5e5}, "dtype": "bfloat16"}
    assert parse_config(four) == parse_config(five)
    assert parse_config(four).rope_scaling == RopeScaling(32.0, 1.0, 4.0, 8192)


def test_absent_keys_follow_hugging_face():
    absent = ("num_key_value_heads", "rope_theta", "tie_word_embeddings")
    raw = {k: v for k, v in SMOL.items() if k not in absent}
    config = parse_config(raw | {"eos_token_id": [2, 7]})
    assert (config.num_kv_heads, config.rope_theta, config.tied) == (9, 10000.0, False)
    assert config.eos_token == (2, 7)


@pytest.mark.parametrize("as_saved", [True, False])
def test_reads_what_the_installed_transformers_writes(as_saved):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.LlamaConfig(hidden_size=64, num_attention_heads=4, head_dim=32, vocab_size=50)
    config = parse_config(theirs.to_diff_dict() if as_saved else theirs.to_dict())
    assert (config.head_dim, config.num_kv_heads, config.rope_theta) == (32, 4, 10000.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"pretraining_tp": 2}, "pretraining_tp"),
        ({"sliding_window": 4096}, "sliding_window"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"architectures": ["MistralForCausalLM"]}, "architectures"),
        ({"model_type": "gemma3_text"}, "model_type"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        ({"rope_scaling": {**LLAMA3, "attention_factor": 2.0}}, "attention_factor"),
        ({"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}}, "low_freq_factor"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, "disagree"),
        ({"rope_interleaved": True}, "rope_interleaved"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types"),
        ({"num_key_value_heads": 2}, "multiple of 2 key/value heads"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7}, "no head_dim"),
        ({"head_dim": 63}, "odd"),
        ({"bos_token_id": 49152}, "bos_token_id"),
        ({"vocab_size": True}, "vocab_size"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
        ({"residual_multiplier": 0.2}, "residual_multiplier"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
    ],
)
def test_refuses(change, said):
    with pytest.raises(InputError, match=said):
        parse_config(SMOL | change)


def test_lists_everything_at_once():
    raw = {k: v for k, v in SMOL.items() if k not in ("hidden_size", "rms_norm_eps")}
    with pytest.raises(InputError) as caught:
        parse_config(raw | {"qk_norm": True, "mlp_bias": True})
    for word in ("hidden_size", "rms_norm_eps", "qk_norm", "mlp_bias"):
        assert word in str(caught.value)


def test_empty_is_refused():
    with pytest.raises(InputError, match="model_type = None"):
        parse_config({})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(LLAMA3)), inner, max_size=4),
    max_leaves=6,
)


@settings(deadline=None)
@given(key=st.sampled_from([*SMOL, "rope_parameters", "head_dim", "layer_types", "sliding_window"]), value=JSON)
def test_any_json_is_parsed_or_refused_with_a_message(key, value):
    try:
        config = parse_config(SMOL | {key: value})
    except InputError:
        return
    assert isinstance(config, ModelConfig)
    hash(config)
