"""``load_parameters``: what is read is what was written, and nothing else is accepted."""

import json
import re
import struct

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding
from safetensors.numpy import load_file, save_file

from llmworld_jax.errors import InputError
from llmworld_jax.models import checkpoint
from llmworld_jax.models.checkpoint import load_parameters, tensor_shapes
from llmworld_jax.models.config import ModelConfig
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.mesh import make_mesh, parse_mesh
from llmworld_jax.models.safetensors_files import INDEX, SINGLE, write_safetensors
from llmworld_jax.models.sharding import named_leaves, partition_spec

TIED = ModelConfig("llama", 31, 16, 3, 4, 2, 6, 24, 1e-5, 1e4, None, True, 64)
UNTIED = ModelConfig("llama", 31, 16, 3, 4, 2, 6, 24, 1e-5, 1e4, None, False, 64)
ALIGNED = checkpoint._aligned
Q1 = "model.layers.1.self_attn.q_proj.weight"
EMBED = "model.embed_tokens.weight"


def random_tensors(config, dtype=np.float32):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in tensor_shapes(config).items()}


def save_sharded(folder, tensors, *, shards=3):
    names = sorted(tensors)
    files = {name: f"model-{i % shards + 1:05d}-of-{shards:05d}.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        save_file({n: tensors[n] for n in names if files[n] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return files


@pytest.mark.parametrize("config", [TIED, UNTIED])
@pytest.mark.parametrize("sharded", [False, True])
def test_every_tensor_is_in_its_place(tmp_path, config, sharded):
    tensors = random_tensors(config)
    save_sharded(tmp_path, tensors) if sharded else save_file(tensors, tmp_path / SINGLE)
    model = load_parameters(tmp_path, config)
    layers = {"self_attn.q_proj": model.layers.q, "self_attn.k_proj": model.layers.k}
    layers |= {"self_attn.v_proj": model.layers.v, "self_attn.o_proj": model.layers.o}
    layers |= {"mlp.gate_proj": model.layers.gate, "mlp.up_proj": model.layers.up}
    layers |= {"mlp.down_proj": model.layers.down}
    for i in range(config.num_layers):
        for name, param in layers.items():
            np.testing.assert_array_equal(param[i], tensors[f"model.layers.{i}.{name}.weight"].T)
        norms = (model.layers.attn_norm[i], model.layers.mlp_norm[i])
        np.testing.assert_array_equal(norms[0], tensors[f"model.layers.{i}.input_layernorm.weight"])
        np.testing.assert_array_equal(norms[1], tensors[f"model.layers.{i}.post_attention_layernorm.weight"])
    np.testing.assert_array_equal(model.embed[...], tensors[EMBED])
    np.testing.assert_array_equal(model.final_norm[...], tensors["model.norm.weight"])
    if config.tied:
        assert model.head is None
    else:
        np.testing.assert_array_equal(model.head[...], tensors["lm_head.weight"].T)


def test_same_tree_as_a_random_model(tmp_path):
    save_file(random_tensors(TIED), tmp_path / SINGLE)
    loaded = load_parameters(tmp_path, TIED, jnp.bfloat16)
    made = jax.eval_shape(lambda: Llama(TIED, key=jax.random.key(0), dtype=jnp.dtype("bfloat16")))
    assert jax.tree.structure(loaded) == jax.tree.structure(made)
    assert loaded.config == made.config
    for ours, theirs in zip(jax.tree.leaves(loaded), jax.tree.leaves(made), strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)


@pytest.mark.parametrize("stored", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_dtypes_are_rounded_once(tmp_path, stored, wanted):
    tensors = random_tensors(TIED, stored)
    save_file(tensors, tmp_path / SINGLE)
    model = load_parameters(tmp_path, TIED, wanted)
    np.testing.assert_array_equal(model.layers.q[1], tensors[Q1].T.astype(jnp.dtype(wanted)))


def test_float64_under_x64_only(tmp_path):
    tensors = random_tensors(TIED, np.float64)
    save_file(tensors, tmp_path / SINGLE)
    with pytest.raises(InputError, match="enable_x64"):
        load_parameters(tmp_path, TIED, np.float64)
    with jax.enable_x64(True):
        model = load_parameters(tmp_path, TIED, np.float64)
    np.testing.assert_array_equal(np.asarray(model.layers.q[1]), tensors[Q1].T)


@pytest.mark.parametrize("dtype", ["int8", "nonsense", np.int32])
def test_dtype_must_be_floating(tmp_path, dtype):
    with pytest.raises(InputError, match="bfloat16"):
        load_parameters(tmp_path, TIED, dtype)


@pytest.mark.parametrize("text", ["data=8", "data=2,model=4", "model=8", "model=2"])
@pytest.mark.parametrize("sharded", [False, True])
def test_on_a_mesh_the_same_numbers_and_only_the_parts_that_are_held(tmp_path, text, sharded, monkeypatch):
    tensors = random_tensors(UNTIED)
    save_sharded(tmp_path, tensors) if sharded else save_file(tensors, tmp_path / SINGLE)
    blocks = []
    monkeypatch.setattr(checkpoint, "_aligned", lambda *given: blocks.append(ALIGNED(*given)) or blocks[-1])
    mesh, said = make_mesh(parse_mesh(text)), []
    loaded = load_parameters(tmp_path, UNTIED, mesh=mesh, progress=lambda *now: said.append(now))
    whole = sum(tensor.nbytes for tensor in tensors.values())
    # All devices are this process's, so every part is read, and each once.
    assert sum(block.nbytes for block in blocks) == whole
    assert said[-1] == (whole, whole)
    assert [done for done, _ in said] == sorted(done for done, _ in said)
    for path, leaf in named_leaves(loaded).items():
        assert leaf.sharding == NamedSharding(mesh, partition_spec(path, UNTIED, mesh.shape["model"]))
    alone = load_parameters(tmp_path, UNTIED)
    for one, other in zip(jax.tree.leaves(loaded), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_every_number_can_be_checked(tmp_path):
    tensors = random_tensors(TIED)
    save_file(tensors, tmp_path / SINGLE)
    checkpoint.require_finite(tmp_path, TIED)
    with pytest.raises(InputError, match="missing lm_head"):
        checkpoint.require_finite(tmp_path, UNTIED)
    tensors[Q1][3, 2] = np.nan
    save_file(tensors, tmp_path / SINGLE)
    with pytest.raises(InputError, match=re.escape(Q1)):
        checkpoint.require_finite(tmp_path, TIED)


def test_all_differences_at_once(tmp_path):
    tensors = random_tensors(UNTIED)
    del tensors[EMBED], tensors["model.layers.2.mlp.up_proj.weight"]
    tensors[Q1] = tensors[Q1].T.copy()
    tensors["model.norm.weight"] = np.zeros(16, np.int32)
    tensors["model.layers.0.self_attn.q_proj.bias"] = np.zeros(24, np.float32)
    tensors["model.layers.3.mlp.up_proj.weight"] = np.zeros((24, 16), np.float32)
    save_file(tensors, tmp_path / SINGLE)
    with pytest.raises(InputError) as caught:
        load_parameters(tmp_path, UNTIED)
    said = str(caught.value)
    for part in (
        f"missing {EMBED}",
        "missing model.layers.2.mlp.up_proj.weight",
        f"{Q1} of shape [16, 24] instead of [24, 16]",
        "model.norm.weight of dtype I32",
        "unknown model.layers.0.self_attn.q_proj.bias",
        "unknown model.layers.3.mlp.up_proj.weight",
    ):
        assert part in said


def test_old_rotary_buffers_are_ignored(tmp_path):
    tensors = random_tensors(TIED) | {
        f"model.layers.{i}.self_attn.rotary_emb.inv_freq": np.ones(3, np.float32) for i in range(3)
    }
    save_file(tensors, tmp_path / SINGLE)
    load_parameters(tmp_path, TIED)


def test_tied_head_must_equal_the_embedding(tmp_path):
    tensors = random_tensors(TIED)
    save_file(tensors | {"lm_head.weight": tensors[EMBED].copy()}, tmp_path / SINGLE)
    assert load_parameters(tmp_path, TIED).head is None
    save_file(tensors | {"lm_head.weight": tensors[EMBED] + 1}, tmp_path / SINGLE)
    with pytest.raises(InputError, match=r"differs from model\.embed_tokens\.weight"):
        load_parameters(tmp_path, TIED)


def test_missing_shards_are_listed(tmp_path):
    files = sorted(set(save_sharded(tmp_path, random_tensors(TIED)).values()))
    for file in files[:2]:
        (tmp_path / file).unlink()
    with pytest.raises(InputError, match=f"{files[0]}; {files[1]}"):
        load_parameters(tmp_path, TIED)


def test_index_and_shards_must_agree(tmp_path):
    files = save_sharded(tmp_path, random_tensors(TIED))
    other = next(f for f in files.values() if f != files[Q1])
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": files | {Q1: other, "ghost": other}}))
    with pytest.raises(InputError) as caught:
        load_parameters(tmp_path, TIED)
    assert f"{Q1} in {files[Q1]}" in str(caught.value)
    assert "ghost not in" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"weight_map": {"a": 3}}', '{"weight_map": {}}', '{"weight_map": {"a": "../x"}}'],
)
def test_damaged_index(tmp_path, text):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(InputError):
        load_parameters(tmp_path, TIED)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated_file(tmp_path, keep):
    save_file(random_tensors(TIED), tmp_path / SINGLE)
    whole = (tmp_path / SINGLE).read_bytes()
    (tmp_path / SINGLE).write_bytes(whole[:keep])
    with pytest.raises(InputError, match=r"model.safetensors.*again"):
        load_parameters(tmp_path, TIED)


def test_no_flipped_header_byte_gets_through_unnoticed(tmp_path):
    """Either refused with a message, or (a name's whitespace, say) the very same parameters."""
    path = tmp_path / SINGLE
    save_file(random_tensors(TIED), path)
    whole = path.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    expected = load_parameters(tmp_path, TIED)
    for at in np.random.default_rng(1).choice(8 + size, 40, replace=False):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x04]) + whole[at + 1 :])
        try:
            model = load_parameters(tmp_path, TIED)
        except InputError:
            continue
        jax.tree.map(np.testing.assert_array_equal, model, expected)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "weights.pkl"])
def test_pickles_are_never_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(InputError, match="convert the model to safetensors"):
        load_parameters(tmp_path, TIED)


def test_no_weights(tmp_path):
    with pytest.raises(InputError, match="holds the weights"):
        load_parameters(tmp_path, TIED)
    with pytest.raises(InputError, match="holds the weights"):
        load_parameters(tmp_path / "absent", TIED)


def test_written_files_are_read_by_the_safetensors_package(tmp_path):
    tensors = random_tensors(TIED)
    write_safetensors(tmp_path / SINGLE, tensor_shapes(TIED), tensors.__getitem__)
    theirs = load_file(tmp_path / SINGLE)
    assert theirs.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(theirs[name], tensor)
