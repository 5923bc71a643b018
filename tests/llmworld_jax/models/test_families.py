"""Every served family: its published configs are read as they are meant, and every identity of Llama holds."""

import functools
from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.models import blocks
from llmworld_jax.models.capture import capture
from llmworld_jax.models.config import ModelConfig
from llmworld_jax.models.config_keys import parse_config
from llmworld_jax.models.families import FAMILIES
from llmworld_jax.models.forward import Branches, forward, tree_forward
from llmworld_jax.models.readout import embed, logits, token_table

COMMON = {"attention_dropout": 0.0, "initializer_range": 0.02, "torch_dtype": "bfloat16", "use_cache": True}

PUBLISHED = {
    "Mistral-7B-v0.1": COMMON | {
        "architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": False, "vocab_size": 32000,
    },
    "Qwen2.5-0.5B": COMMON | {
        "architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151643, "eos_token_id": 151643, "hidden_act": "silu",
        "hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 24,
        "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": True,
        "use_mrope": False, "use_sliding_window": False, "vocab_size": 151936,
    },
    "Qwen3-0.6B": COMMON | {
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "bos_token_id": 151643,
        "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024,
        "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
        "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
        "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True,
        "use_sliding_window": False, "vocab_size": 151936,
    },
    "gemma-2-2b": COMMON | {
        "architectures": ["Gemma2ForCausalLM"], "attention_bias": False, "attn_logit_softcapping": 50.0,
        "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": 1, "final_logit_softcapping": 30.0,
        "head_dim": 256, "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 2304, "intermediate_size": 9216, "max_position_embeddings": 8192, "model_type": "gemma2",
        "num_attention_heads": 8, "num_hidden_layers": 26, "num_key_value_heads": 4, "pad_token_id": 0,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096,
        "vocab_size": 256000,
    },
}  # fmt: skip

#: What a tiny model of each family has besides the shape of ``tiny_llama``; windows shorter than the sequences.
TINY = {
    "llama": {},
    "mistral": {"windows": (5, 5)},
    "qwen2": {"qkv_bias": True, "windows": (None, 5)},
    "qwen3": {"qk_norm": True},
    "gemma2": {
        "activation": "gelu_tanh", "unit_offset": True, "post_norms": True, "embedding_scale": 5.0,
        "query_scale": 0.3, "attention_softcap": 2.0, "logit_softcap": 3.0, "windows": (5, None), "head_dim": 12,
    },
}  # fmt: skip


@pytest.fixture(params=FAMILIES)
def model(request, tiny_llama):
    return tiny_llama(family=request.param, **TINY[request.param])


def tokens_of(count: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).integers(0, 40, count), jnp.int32)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs(name):
    raw = PUBLISHED[name]
    config = parse_config(raw)
    assert (config.family, config.num_layers, config.vocab_size) == (
        raw["model_type"], raw["num_hidden_layers"], raw["vocab_size"],
    )  # fmt: skip
    assert (
        config.windows
        == {
            "Mistral-7B-v0.1": (4096,) * 32,
            "Qwen2.5-0.5B": None,
            "Qwen3-0.6B": None,
            "gemma-2-2b": (4096, None) * 13,
        }[name]
    )
    if name == "gemma-2-2b":
        assert (config.tied, config.embedding_scale, config.query_scale) == (True, 48.0, 1 / 16)
        assert (config.attention_softcap, config.logit_softcap, config.head_dim) == (50.0, 30.0, 256)
    assert (config.qkv_bias, config.qk_norm) == (name.startswith("Qwen2"), name.startswith("Qwen3"))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("Mistral-7B-v0.1", {"sliding_window": 0}, "sliding_window"),
        ("Mistral-7B-v0.1", {"use_sliding_window": True}, "use_sliding_window"),
        ("Qwen2.5-0.5B", {"use_mrope": True}, "use_mrope"),
        ("Qwen2.5-0.5B", {"use_sliding_window": True, "max_window_layers": -1}, "max_window_layers"),
        ("Qwen2.5-0.5B", {"layer_types": ["sliding_attention"] * 24}, "use_sliding_window is false"),
        ("Qwen3-0.6B", {"attention_bias": True}, "attention_bias"),
        ("gemma-2-2b", {"layer_types": ["full_attention"]}, "layer_types"),
        ("gemma-2-2b", {"hidden_activation": "silu"}, "hidden_activation"),
        ("gemma-2-2b", {"query_pre_attn_scalar": None}, "query_pre_attn_scalar"),
        ("gemma-2-2b", {"use_bidirectional_attention": True}, "bidirectional"),
        ("gemma-2-2b", {"num_hidden_layers": 2**30}, "num_hidden_layers"),
    ],
)
def test_what_is_not_served_is_refused(name, change, said):
    with pytest.raises(InputError, match=said):
        parse_config(PUBLISHED[name] | change)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("as_saved", [True, False])
def test_reads_what_the_installed_transformers_writes(family, as_saved):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoConfig.for_model(
        family, hidden_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=32, num_hidden_layers=4,
        vocab_size=50, bos_token_id=1, eos_token_id=2, architectures=[FAMILIES[family].architecture],
    )  # fmt: skip
    config = parse_config(theirs.to_diff_dict() if as_saved else theirs.to_dict())
    assert isinstance(config, ModelConfig)
    kinds = getattr(theirs, "layer_types", None)
    if kinds is not None:
        assert (config.windows or (None,) * 4) == tuple(4096 if k.startswith("sliding") else None for k in kinds)


def test_a_window_of_everything_is_no_window(tiny_llama):
    plain, tokens = tiny_llama(), tokens_of(20)
    wide = tiny_llama(windows=(20, 20))
    chex.assert_trees_all_close(forward(plain, tokens).hidden, forward(wide, tokens).hidden, atol=1e-6)


def test_cached_equals_whole(model):
    tokens = tokens_of(23)
    whole = forward(model, tokens)
    cache = forward(model, tokens[:9]).cache
    chex.assert_trees_all_close(forward(model, tokens[9:], cache=cache).hidden, whole.hidden[9:], atol=2e-5)


def test_tree_equals_reading_each_branch(model):
    """Branches of three tokens at several places of a prefix, some of it out of the window."""
    tokens, branch = tokens_of(14), tokens_of(6, seed=1).reshape(2, 3)
    cache = forward(model, tokens).cache
    for visible in (1, 3, 9, 14):
        rows = np.arange(6)
        ancestors = np.stack([3 * (rows // 3) + np.maximum(rows % 3 - back, 0) for back in (2, 1, 0)], axis=1)
        seen = np.stack([rows % 3 >= back for back in (2, 1, 0)], axis=1)
        branches = Branches(
            branch.reshape(-1), jnp.asarray(visible + rows % 3, jnp.int32), jnp.full(6, visible, jnp.int32),
            jnp.asarray(ancestors, jnp.int32), jnp.asarray(seen),
        )  # fmt: skip
        got = tree_forward(model, cache, branches).reshape(2, 3, -1)
        for one, hidden in zip(branch, got, strict=True):
            wanted = forward(model, jnp.concatenate((tokens[:visible], one))).hidden[visible:]
            chex.assert_trees_all_close(hidden, wanted, atol=2e-5)


def test_blocks_of_queries_equal_one_block(model, monkeypatch):
    tokens = tokens_of(40)
    whole = forward(model, tokens).hidden
    monkeypatch.setattr(blocks, "causal_attention", functools.partial(blocks.causal_attention, block=7))
    chex.assert_trees_all_close(forward(model, tokens).hidden, whole, atol=2e-5)


def test_the_pattern_is_what_the_heads_average_with(model):
    tokens = tokens_of(17)
    found = capture(model, tokens, sites=("pattern",), layers=(0, 1))["pattern"]
    assert found.shape == (2, 4, 17, 17)
    chex.assert_trees_all_close(found.sum(-1), jnp.ones((2, 4, 17)), atol=1e-5)
    for layer, window in enumerate(model.config.windows or (None, None)):
        back = np.arange(17)[:, None] - np.arange(17)
        seen = (back >= 0) & (back < (window or 17))
        assert (np.asarray(found[layer])[:, ~seen] == 0).all()
        assert (np.asarray(found[layer])[:, seen] > 0).all()


def test_gradients_equal_finite_differences(model):
    tokens = tokens_of(12)

    def value(rows):
        return logits(model, forward(model, rows).hidden[-1])[3]

    with jax.enable_x64(True):
        model = jax.tree.map(lambda x: x.astype(jnp.float64), model)
        start = embed(model, tokens)
        step = jnp.asarray(np.random.default_rng(2).normal(size=start.shape))
        slope = jnp.vdot(jax.grad(value)(start), step)
        wanted = (value(start + 1e-6 * step) - value(start - 1e-6 * step)) / 2e-6
        np.testing.assert_allclose(slope, wanted, rtol=1e-6)


def test_the_table_is_what_enters_the_first_block(model):
    tokens = tokens_of(8)
    chex.assert_trees_all_equal(token_table(model)[tokens], embed(model, tokens))
    entering = forward(model, tokens, taps=("resid_pre",)).taps["resid_pre"][0]
    chex.assert_trees_all_equal(entering, embed(model, tokens))


def test_logits_stay_under_the_cap(tiny_llama):
    capped = tiny_llama(family="gemma2", **TINY["gemma2"])
    plain = tiny_llama(family="gemma2", **TINY["gemma2"] | {"logit_softcap": None})
    hidden = 50 * forward(capped, tokens_of(9)).hidden
    assert float(jnp.abs(logits(plain, hidden)).max()) > 3
    assert float(jnp.abs(logits(capped, hidden)).max()) <= 3


def test_config_is_static_and_hashable(model):
    assert hash(model.config) == hash(replace(model.config))
