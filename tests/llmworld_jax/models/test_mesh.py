"""Meshes, the rules of who holds what, and every reading of a model equal on one device and on eight."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from llmworld_jax.errors import InputError
from llmworld_jax.laws import law_masses
from llmworld_jax.models.collectives import collectives
from llmworld_jax.models.families import FAMILIES
from llmworld_jax.models.forward import forward
from llmworld_jax.models.mesh import (
    data_devices,
    jit_on_mesh,
    make_mesh,
    mesh_of,
    on_host,
    over_data,
    parse_mesh,
    vmap_over_data,
)
from llmworld_jax.models.public_configs import PUBLIC_CONFIGS
from llmworld_jax.models.readout import logits
from llmworld_jax.models.sharding import RULES, held_whole, named_leaves, parameter_paths, partition_spec, place_model

SHAPES = ("data=8,model=1", "data=4,model=2", "data=2,model=4", "model=2")


def mesh(text: str):
    return make_mesh(parse_mesh(text))


@pytest.fixture(scope="module")
def wide(tiny_llama):
    """Eight heads, four key/value heads: what four devices can share."""
    return tiny_llama(num_heads=8, num_kv_heads=4, tied=False)


def test_parse():
    assert parse_mesh("data=4, model=2") == {"data": 4, "model": 2}
    assert parse_mesh("model=8") == {"data": 1, "model": 8}


@pytest.mark.parametrize("text", ["", "4,2", "data=0", "data=2,data=2", "rows=2", "data=-1", "data=2.5", "model="])
def test_what_is_no_mesh_is_refused(text):
    with pytest.raises(InputError, match="data=N,model=M"):
        parse_mesh(text)


def test_more_devices_than_there_are():
    with pytest.raises(InputError, match="at most the 8 cpu devices"):
        mesh("data=16")


@pytest.mark.parametrize("text", SHAPES)
def test_every_parameter_lies_as_its_rule_says(wide, text):
    placed = place_model(wide, mesh(text))
    devices = mesh(text).shape["model"]
    for one, other in zip(jax.tree.leaves(placed), jax.tree.leaves(wide), strict=True):
        np.testing.assert_array_equal(on_host(one), np.asarray(other))
    for path, leaf in named_leaves(placed).items():
        assert leaf.sharding.spec == partition_spec(path, wide.config, devices)
        split = devices if path in RULES else 1
        assert leaf.addressable_shards[0].data.size * split == leaf.size
    assert mesh_of(placed) == mesh(text)
    assert mesh_of(wide) is None


def test_what_does_not_divide_is_held_whole_and_named(tiny_llama):
    odd = tiny_llama(num_heads=9, num_kv_heads=3, d_mlp=48)
    assert held_whole(odd.config, 2) == {
        "layers.q": "9 heads over 2",
        "layers.k": "3 key/value heads over 2",
        "layers.v": "3 key/value heads over 2",
        "layers.o": "9 heads over 2",
    }
    assert held_whole(odd.config, 3) == {"embed": "40 tokens over 3"}
    placed = named_leaves(place_model(odd, mesh("model=2")))
    assert placed["layers.q"].sharding.is_fully_replicated
    assert not placed["layers.gate"].sharding.is_fully_replicated


def test_rules_are_of_parameters_that_exist(tiny_llama):
    known = set()
    for family in FAMILIES:
        known |= set(parameter_paths(tiny_llama(family=family, tied=False, qkv_bias=True).config))
    assert RULES.keys() <= known


@pytest.mark.parametrize("name", PUBLIC_CONFIGS)
def test_rules_fit_published_shapes(name):
    """A rule's dimension exists in its parameter, and its pieces divide it."""
    config = PUBLIC_CONFIGS[name]
    for path, leaf in parameter_paths(config).items():
        if path in RULES:
            assert leaf.shape[RULES[path].dimension] % RULES[path].pieces(config) == 0


def test_parts_of_a_quantised_weight_lie_as_the_weight(wide):
    config = wide.config
    assert partition_spec("layers.q.values", config, 2) == PartitionSpec(None, None, "model")
    assert partition_spec("layers.q.scale", config, 2) == PartitionSpec(None, "model")
    assert partition_spec("layers.down.values", config, 2) == PartitionSpec(None, "model")
    assert partition_spec("layers.down.scale", config, 2) == PartitionSpec()


@jit_on_mesh
def read(model, tokens):
    def one(row):
        out = forward(model, row, taps=("resid_post", "mlp_act"))
        return logits(model, out.hidden), out.taps

    return vmap_over_data(one)(tokens)


@pytest.mark.parametrize("text", SHAPES)
@pytest.mark.parametrize("rows", [8, 3])
def test_forward_is_the_same_on_every_mesh(wide, text, rows):
    tokens = np.random.default_rng(0).integers(0, 40, (rows, 13)).astype(np.int32)
    on_mesh = read(place_model(wide, mesh(text)), tokens)
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(on_mesh))
    chex.assert_trees_all_close(jax.device_get(on_mesh), jax.device_get(read(wide, tokens)), atol=1e-5, rtol=1e-5)


def test_every_family_is_the_same_on_a_mesh(tiny_llama):
    settings = {
        "mistral": {"windows": (5, 5)},
        "qwen2": {"qkv_bias": True},
        "qwen3": {"qk_norm": True},
        "gemma2": {"unit_offset": True, "post_norms": True, "embedding_scale": 5.0, "windows": (5, None)},
    }
    tokens = np.random.default_rng(0).integers(0, 40, (4, 11)).astype(np.int32)
    for family, changes in settings.items():
        model = tiny_llama(family=family, **changes)
        got, wanted = read(place_model(model, mesh("data=2,model=2")), tokens), read(model, tokens)
        for one, other in zip(*map(jax.tree.leaves, (got, wanted)), strict=True):
            assert np.abs(np.asarray(one) - np.asarray(other)).max() <= 1e-5 * np.abs(np.asarray(other)).max()


def test_gradients_are_the_same_on_a_mesh(wide):
    tokens = np.random.default_rng(1).integers(0, 40, 9).astype(np.int32)
    start = np.asarray(wide.embed[...])[tokens]

    @jit_on_mesh
    def slope(model, rows):
        return jax.grad(lambda r: logits(model, forward(model, r, remat=True).hidden[-1])[3])(rows)

    got = slope(place_model(wide, mesh("data=2,model=4")), start)
    chex.assert_trees_all_close(np.asarray(got), np.asarray(slope(wide, start)), atol=1e-5)


def test_one_sum_over_devices_ends_each_half_of_a_block(wide):
    """Megatron's count: one all-reduce for the embedding, and in the loop over blocks two."""
    placed = place_model(wide, mesh("model=4"))
    text = jax.jit(lambda m, t: forward(m, t).hidden).lower(placed, jnp.zeros(16, jnp.int32)).compile().as_text()
    reduces = [line for line in text.splitlines() if " all-reduce(" in line or " all-reduce-start(" in line]
    assert len(reduces) == 3
    assert "all-gather" not in text
    assert "all-to-all" not in text


def test_rows_are_dealt_out_without_a_word_between_devices(wide):
    placed = place_model(wide, mesh("data=8"))

    def hidden(model, tokens):
        with jax.sharding.use_abstract_mesh(mesh("data=8").abstract_mesh):
            return vmap_over_data(lambda row: forward(model, row).hidden)(tokens)

    tokens = jax.device_put(np.zeros((8, 16), np.int32), NamedSharding(mesh("data=8"), PartitionSpec("data")))
    compiled = jax.jit(hidden).lower(placed, tokens).compile()
    assert not [line for line in compiled.as_text().splitlines() if "all-" in line.split("=")[-1][:40]]
    alone = jax.jit(hidden).lower(wide, jnp.zeros((1, 16), jnp.int32)).compile()
    assert compiled.cost_analysis()["flops"] == pytest.approx(alone.cost_analysis()["flops"], rel=0.02)


@pytest.mark.parametrize("text", ["data=4", "data=2,model=2"])
def test_a_device_s_states_hear_nothing_of_another_s(wide, text):
    """In the loops over chunks and blocks nothing is said along ``data`` but how far the prefix is read."""
    placed, levels = place_model(wide, mesh(text)), (tuple(range(10)),) * 3
    tokens, item_at = jnp.zeros(300, jnp.int32), jnp.arange(0, 300, 25, dtype=jnp.int32)

    def gathers(model, tokens, item_at):
        return law_masses(model, tokens, item_at, levels, "tree", 110, False, "highest")

    with jax.sharding.use_abstract_mesh(mesh(text).abstract_mesh):
        found = collectives(jax.jit(gathers).lower(placed, tokens, item_at).compile().as_text())
    looped = [c for c in found if c.looped and c.num_bytes > 4]
    assert {c.kind for c in looped} <= ({"all-reduce"} if "model" in text else set())


def test_second_call_compiles_nothing(wide):
    placed, tokens = place_model(wide, mesh("data=2,model=2")), np.zeros((2, 7), np.int32)
    traced = []

    @functools.partial(jit_on_mesh, static_argnames="shift")
    def once(model, tokens, *, shift):
        traced.append(data_devices())
        return forward(model, over_data(tokens)[0] + shift).hidden

    for _ in range(2):
        once(placed, tokens, shift=0)
    assert traced == [2]
    once(wide, tokens, shift=0)
    assert traced == [2, 1]


def test_under_vmap_and_grad_of_the_caller(wide):
    placed = place_model(wide, mesh("data=2,model=2"))

    @jit_on_mesh
    def score(model, rows):
        return logits(model, forward(model, over_data(rows)).hidden[-1])[2]

    rows = jnp.asarray(np.asarray(wide.embed[...])[np.arange(24).reshape(3, 8)])
    for transform in (lambda f: jax.vmap(f), lambda f: jax.vmap(jax.grad(f))):
        got = transform(lambda r: score(placed, r))(rows)
        wanted = transform(lambda r: score(wide, r))(rows)
        chex.assert_trees_all_close(np.asarray(got), np.asarray(wanted), atol=1e-5)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_mesh_of_the_caller_is_left_alone(wide, kind):
    tokens = np.random.default_rng(0).integers(0, 40, (3, 9)).astype(np.int32)
    wanted = read(wide, tokens)
    with jax.set_mesh(jax.make_mesh((8,), ("rows",), axis_types=(kind,))):
        got = read(wide, tokens)
    chex.assert_trees_all_close(jax.device_get(got), jax.device_get(wanted), atol=1e-5)
