"""``plan``: published parameter counts, linear laws, and XLA's accounting without weights."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.models.catalogue import MODELS
from llmworld_jax.models.collectives import collectives
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.mesh import make_mesh
from llmworld_jax.models.plan import compiled_pass, plan
from llmworld_jax.models.public_configs import PUBLIC_CONFIGS
from llmworld_jax.models.sharding import place_model

PUBLISHED = {
    "smollm2-135m-instruct": 134_515_008,
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "smollm2-1.7b": 1_711_376_384,
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
}
TINY = replace(PUBLIC_CONFIGS["smollm2-135m"], vocab_size=50, num_layers=3, d_model=24, d_mlp=40, head_dim=4)


def abstract(config, dtype):
    return jax.eval_shape(lambda: Llama(config, key=jax.random.key(0), dtype=jnp.dtype(dtype)))


def num_bytes(tree):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", PUBLIC_CONFIGS)
def test_published_parameter_counts(name):
    assert plan(PUBLIC_CONFIGS[name], context=1).parameters == PUBLISHED[name]


def test_every_named_model_can_be_planned():
    assert PUBLIC_CONFIGS.keys() == MODELS.keys() == PUBLISHED.keys()


@pytest.mark.parametrize("tied", [True, False])
def test_bytes_are_those_of_a_real_model(tied):
    config = replace(TINY, tied=tied)
    real = num_bytes(abstract(config, "bfloat16"))
    assert plan(config, context=7, dtype="bfloat16").weight_bytes == real


@pytest.mark.parametrize("devices", [2, 4])
def test_bytes_of_each_device_are_those_of_a_placed_model(devices):
    config = replace(TINY, num_heads=4, num_kv_heads=2, tied=False)
    mesh = make_mesh({"data": 2, "model": devices})
    model = place_model(Llama(config, key=jax.random.key(0)), mesh)
    held = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(model))
    it = plan(config, context=7, axes=mesh.shape)
    assert it.weight_bytes == held
    cache = it.cache_bytes * (1 if config.num_kv_heads % devices else devices)
    assert cache == plan(config, context=7).cache_bytes


def test_bytes_of_eight_bit_matrices():
    config = PUBLIC_CONFIGS["llama-2-7b"]
    matrices = config.num_layers * (4 * config.d_model**2 + 3 * config.d_model * config.d_mlp)
    outputs = config.num_layers * (5 * config.d_model + 2 * config.d_mlp)
    rest = plan(config, context=1).parameters - matrices
    assert plan(config, context=1, dtype="int8").weight_bytes == matrices + 4 * outputs + 2 * rest
    eighth = plan(config, context=1, dtype="int8", axes={"data": 1, "model": 8}).weight_bytes
    assert matrices / 8 < eighth < matrices / 8 + 4 * outputs + 2 * rest / 8 + 2**21


def test_cache_bytes_are_those_of_a_real_pass():
    output = jax.eval_shape(forward, abstract(TINY, "float32"), jax.ShapeDtypeStruct((7,), jnp.int32))
    assert plan(TINY, context=7).cache_bytes == num_bytes(output.cache)


def test_tree_of_thousand_three_digit_numbers():
    it = plan(TINY, context=1000, states=1000, precision=3)
    assert it.tree_nodes == 1000 * (10 + 100)
    assert it.flops == 2 * it.parameters * (1000 + it.tree_nodes)
    assert plan(TINY, context=1000, states=1000, precision=1).tree_nodes == 0


def test_temporary_memory_needs_no_weights_and_grows_with_context():
    alone = make_mesh({"data": 1, "model": 1})
    one, two = (plan(PUBLIC_CONFIGS["llama-2-70b"], context=c, compiled_on=alone) for c in (64, 256))
    assert one.temporary_bytes is not None
    assert two.temporary_bytes is not None
    assert 0 < one.temporary_bytes < two.temporary_bytes
    assert plan(TINY, context=1).temporary_bytes is None


@pytest.mark.parametrize("axes", [{"data": 1, "model": 8}, {"data": 2, "model": 4}])
def test_a_pass_of_llama_2_7b_sums_twice_a_block_and_moves_nothing_else(axes):
    """The compiled program of the real shape: Megatron's two sums a block and one for the embedding."""
    config, context = PUBLIC_CONFIGS["llama-2-7b"], 512
    found = collectives(compiled_pass(config, context, jnp.float32, make_mesh(axes)).as_text())
    assert [(one.kind, one.looped) for one in found].count(("all-reduce", True)) == 2
    assert [(one.kind, one.looped) for one in found].count(("all-reduce", False)) == 1
    assert len(found) == 3
    assert {one.num_bytes for one in found} == {context * config.d_model * 4}


def test_bfloat16_on_a_cpu_is_not_widened_as_a_whole():
    """Spec: a plain stack of bfloat16 would be converted to float32 before the loop, and double the memory."""
    config, mesh = PUBLIC_CONFIGS["llama-2-7b"], make_mesh({"data": 1, "model": 1})
    it = plan(config, context=256, dtype="bfloat16", compiled_on=mesh)
    assert it.weight_bytes == 2 * it.parameters
    assert it.temporary_bytes < 0.1 * it.weight_bytes


@pytest.mark.parametrize(
    "wrong",
    [
        {"context": 0},
        {"states": -1},
        {"precision": 0},
        {"base": 1},
        {"axes": {"data": 0, "model": 1}},
        {"context": 8193},
    ],
)
def test_refuses(wrong):
    with pytest.raises(InputError):
        plan(TINY, **({"context": 5} | wrong))
