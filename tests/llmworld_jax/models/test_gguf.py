"""GGUF conversion: files written with the ``gguf`` package come back as the model they were made from."""

import json
from dataclasses import replace

import gguf
import jax
import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.errors import InputError
from llmworld_jax.models.cache import verify
from llmworld_jax.models.checkpoint import load_parameters, tensor_shapes
from llmworld_jax.models.config import ModelConfig, RopeScaling
from llmworld_jax.models.config_keys import parse_config
from llmworld_jax.models.gguf import GGUF_NAMES, convert_gguf, unpermute
from llmworld_jax.models.gguf_file import GGUFFile
from llmworld_jax.models.gguf_tokenizer import tokenizer_from_gguf
from llmworld_jax.models.llama import CHECKPOINT_NAMES
from llmworld_jax.models.rope import inverse_frequencies

ALPHABET = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
TOKENS = ["<|end|>", "<|start|>", *ALPHABET, "Ġt", "he", "Ġthe", "12"]
MERGES = ["Ġ t", "h e", "Ġt he", "1 2"]
TINY = ModelConfig("llama", len(TOKENS), 64, 2, 4, 2, 16, 96, 1e-5, 1e5, None, True, 128, bos_token=1, eos_token=0)


def permute(weight, num_heads):
    """llama.cpp's order: the two halves of each head interleaved."""
    rows, d_in = weight.shape
    halves = weight.reshape(num_heads, 2, rows // num_heads // 2, d_in)
    return halves.swapaxes(1, 2).reshape(rows, d_in)


def random_tensors(config):
    rng = np.random.default_rng(0)
    return {n: rng.normal(size=shape).astype(np.float32) for n, shape in tensor_shapes(config).items()}


def write_gguf(path, config, tensors, *, kind=None, drop=(), keys=(), extra=()):
    """A GGUF file as llama.cpp's converter writes it; ``keys`` override the metadata."""
    writer = gguf.GGUFWriter(path, "llama")
    numbers = {
        "llama.block_count": config.num_layers,
        "llama.context_length": config.max_positions,
        "llama.embedding_length": config.d_model,
        "llama.feed_forward_length": config.d_mlp,
        "llama.attention.head_count": config.num_heads,
        "llama.attention.head_count_kv": config.num_kv_heads,
        "llama.rope.dimension_count": config.head_dim,
        "llama.vocab_size": config.vocab_size,
        "tokenizer.ggml.bos_token_id": config.bos_token,
        "tokenizer.ggml.eos_token_id": config.eos_token,
    }
    for key, value in (numbers | dict(keys)).items():
        writer.add_uint32(key, value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", config.norm_eps)
    writer.add_float32("llama.rope.freq_base", config.rope_theta)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3] + [1] * (len(TOKENS) - 2))
    writer.add_token_merges(MERGES)
    for path_, name in GGUF_NAMES.items():
        for i in range(config.num_layers) if path_.startswith("layers.") else [0]:
            their = CHECKPOINT_NAMES[path_][0].format(layer=i)
            if their not in tensors or their in drop:
                continue
            weight = tensors[their]
            if path_ in ("layers.q", "layers.k"):
                weight = permute(weight, config.num_heads if path_ == "layers.q" else config.num_kv_heads)
            if kind is not None and weight.ndim == 2:
                raw = gguf.quantize(weight, kind)
                writer.add_tensor(name.format(layer=i), raw, raw_dtype=kind)
            else:
                writer.add_tensor(name.format(layer=i), weight)
    for name, value in extra:
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", TINY, random_tensors(TINY))


def read_config(folder):
    return parse_config(json.loads((folder / "config.json").read_text()))


@pytest.mark.parametrize("tied", [True, False])
def test_round_trip(tmp_path, tied):
    config = replace(TINY, tied=tied)
    tensors = random_tensors(config)
    source = write_gguf(tmp_path / "model.gguf", config, tensors)
    manifest = convert_gguf(source, tmp_path / "out", facts={"id": "tiny"})
    assert read_config(tmp_path / "out") == config
    model = load_parameters(tmp_path / "out", config)
    for i in range(config.num_layers):
        for name in ("q", "k", "v", "o"):
            their = tensors[f"model.layers.{i}.self_attn.{name}_proj.weight"]
            np.testing.assert_array_equal(getattr(model.layers, name)[i], their.T)
    np.testing.assert_array_equal(model.embed[...], tensors["model.embed_tokens.weight"])
    assert manifest["id"] == "tiny"
    assert verify(tmp_path / "out") == manifest


@given(st.integers(1, 5), st.integers(1, 8), st.integers(1, 6))
def test_unpermute_inverts_permute(num_heads, half, d_in):
    weight = np.arange(num_heads * 2 * half * d_in).reshape(-1, d_in)
    np.testing.assert_array_equal(unpermute(permute(weight, num_heads), num_heads), weight)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "F16", "BF16"])
def test_quantised_tensors_equal_the_gguf_package(tmp_path, kind):
    kind = gguf.GGMLQuantizationType[kind]
    tensors = random_tensors(TINY)
    source = GGUFFile(write_gguf(tmp_path / "model.gguf", TINY, tensors, kind=kind))
    name = "model.layers.1.mlp.down_proj.weight"
    expected = gguf.dequantize(gguf.quantize(tensors[name], kind), kind)
    np.testing.assert_array_equal(source.read("blk.1.ffn_down.weight"), expected)


def test_header_equals_the_gguf_packages_reader(tiny_file):
    ours, theirs = GGUFFile(tiny_file), gguf.GGUFReader(tiny_file)
    fields = {k: f.contents() for k, f in theirs.fields.items() if not k.startswith("GGUF.")}
    assert ours.metadata == fields
    assert set(ours.tensors) == {t.name for t in theirs.tensors}
    for tensor in theirs.tensors:
        np.testing.assert_array_equal(ours.read(tensor.name), tensor.data)


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_llama3_scaling_is_recovered_from_its_factors(tmp_path, factor):
    config = replace(TINY, rope_theta=5e5, rope_scaling=RopeScaling(factor, 1.0, 4.0, 8192))
    plain = inverse_frequencies(replace(config, rope_scaling=None))
    factors = (plain / inverse_frequencies(config)).astype(np.float32)
    extra = [("rope_freqs.weight", factors)]
    source = write_gguf(tmp_path / "model.gguf", config, random_tensors(config), extra=extra)
    convert_gguf(source, tmp_path / "out")
    assert read_config(tmp_path / "out") == config
    extra = [("rope_freqs.weight", np.linspace(1, factor, 8, dtype=np.float32))]
    source = write_gguf(tmp_path / "other.gguf", config, random_tensors(config), extra=extra)
    with pytest.raises(InputError, match="rope_freqs"):
        convert_gguf(source, tmp_path / "other")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"drop": ["model.norm.weight", "model.layers.0.mlp.up_proj.weight"]}, "blk.0.ffn_up.*output_norm"),
        ({"extra": [("blk.0.attn_q.bias", np.zeros(64, np.float32))]}, "unknown blk.0.attn_q.bias"),
        ({"keys": {"llama.expert_count": 8}}, "expert_count"),
        ({"keys": {"llama.attention.sliding_window": 8}}, "sliding_window"),
        ({"keys": {"llama.block_count": 2**31 - 1}}, "more than 1000"),
        ({"keys": {"llama.block_count": 999}}, "layers in"),
        ({"keys": {"llama.embedding_length": 2**30, "llama.rope.dimension_count": 2**28}}, "token_embd"),
        ({"keys": {"llama.rope.dimension_count": 8}}, "dimension_count"),
        ({"keys": {"llama.vocab_size": 8}}, "vocab_size"),
        ({"keys": {"split.count": 2}}, "split.count"),
        ({"keys": {"tokenizer.ggml.bos_token_id": 10**6}}, "bos_token_id"),
    ],
)
def test_refuses_what_is_not_a_plain_llama(tmp_path, changes, said):
    source = write_gguf(tmp_path / "model.gguf", TINY, random_tensors(TINY), **changes)
    with pytest.raises(InputError, match=said):
        convert_gguf(source, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["model.gguf"]


def test_values_must_be_finite(tmp_path):
    tensors = random_tensors(TINY)
    tensors["model.layers.1.mlp.down_proj.weight"][3, 4] = np.nan
    source = write_gguf(tmp_path / "model.gguf", TINY, tensors)
    with pytest.raises(InputError, match="not finite"):
        convert_gguf(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.data())
def test_any_cut_is_refused(tiny_file, tmp_path_factory, data):
    whole = tiny_file.read_bytes()
    path = tmp_path_factory.mktemp("cut") / "cut.gguf"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 33))])
    with pytest.raises(InputError, match="not a whole GGUF file"):
        GGUFFile(path)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(st.data())
def test_damage_is_refused_or_harmless_but_never_a_traceback(tiny_file, tmp_path_factory, data):
    whole = bytearray(tiny_file.read_bytes())
    header = min(info.start for info in GGUFFile(tiny_file).tensors.values())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, header - 1))
        whole[at : at + 1] = data.draw(st.binary(min_size=1, max_size=8))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "x.gguf").write_bytes(whole)
    try:
        convert_gguf(folder / "x.gguf", folder / "out")
    except InputError:
        assert not (folder / "out").exists()


@pytest.mark.parametrize("count", [2**62, 2**64 - 1])
@pytest.mark.parametrize("at", [8, 16])
def test_forged_counts_end_at_once(tiny_file, tmp_path, count, at):
    whole = bytearray(tiny_file.read_bytes())
    whole[at : at + 8] = count.to_bytes(8, "little")
    (tmp_path / "x.gguf").write_bytes(whole)
    with pytest.raises(InputError):
        GGUFFile(tmp_path / "x.gguf")


@pytest.mark.parametrize("offset", [0, 1, 2**40, 2**64 - 32])
def test_tensors_must_not_overlap_nor_leave_the_file(tiny_file, tmp_path, offset):
    whole = bytearray(tiny_file.read_bytes())
    name = b"blk.1.attn_q.weight"
    at = whole.index(name) + len(name) + 4 + 2 * 8 + 4
    whole[at : at + 8] = offset.to_bytes(8, "little")
    (tmp_path / "x.gguf").write_bytes(whole)
    with pytest.raises(InputError, match="tensor"):
        GGUFFile(tmp_path / "x.gguf")


def tokenizer_metadata(**changes):
    metadata = {
        "model": "gpt2",
        "pre": "smollm",
        "tokens": TOKENS,
        "token_type": [3, 3] + [1] * (len(TOKENS) - 2),
        "merges": MERGES,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in (metadata | changes).items()}


@settings(deadline=None)
@given(st.text(max_size=40))
def test_tokenizer_round_trip(text):
    tokenizer = tokenizer_from_gguf(tokenizer_metadata())
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_tokenizer_digits_and_special_tokens():
    single = tokenizer_from_gguf(tokenizer_metadata())
    assert single.encode("<|start|> the 12").tokens == ["<|start|>", "Ġthe", "Ġ", "1", "2"]
    grouped = tokenizer_from_gguf(tokenizer_metadata(pre="llama-bpe"))
    assert grouped.encode(" the 1212").tokens == ["Ġthe", "Ġ", "12", "1", "2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "llama"},
        {"pre": "qwen2"},
        {"pre": ["smollm"]},
        {"tokens": TOKENS[:-1]},
        {"tokens": [*TOKENS[:-1], TOKENS[0]]},
        {"tokens": 3},
        {"token_type": [1]},
        {"merges": ["a"]},
        {"merges": ["Ġthe ĠĠĠ"]},
    ],
)
def test_tokenizer_refusals(changes):
    with pytest.raises(InputError):
        tokenizer_from_gguf(tokenizer_metadata(**changes))


def test_conversion_leaves_jax_alone(tmp_path, tiny_file):
    """Conversion is numpy work: it must give the same file under x64."""
    with jax.enable_x64(True):
        one = convert_gguf(tiny_file, tmp_path / "one")
    assert one["files"] == convert_gguf(tiny_file, tmp_path / "two")["files"]
