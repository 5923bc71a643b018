"""Collectives counted in lines of compiled programs, and in one really compiled."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from llmworld_jax.models.collectives import KINDS, Collective, collectives
from llmworld_jax.models.mesh import make_mesh, parse_mesh

GROUPS = "channel_id=1, replica_groups={{0,1,2,3}}"
LOOP = 'metadata={op_name="jit(f)/while/body/closed_call/dot_general" stack_frame_id=3}'
OUTSIDE = 'metadata={op_name="jit(f)/dot_general" stack_frame_id=3}'


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_found(kind):
    line = f"  %{kind}.1 = f32[4,8]{{1,0}} {kind}(%dot.7), {GROUPS}, {OUTSIDE}"
    assert collectives(line) == (Collective(kind, 128, False),)


@pytest.mark.parametrize(
    ("shape", "num_bytes"),
    [
        ("f32[16,32]{1,0}", 2048),
        ("bf16[16,32]{1,0}", 1024),
        ("f64[3]{0}", 24),
        ("pred[5]{0}", 5),
        ("u8[7]{0}", 7),
        ("s32[]", 4),
        ("c64[2]{0}", 16),
        ("f8e4m3fn[6]{0}", 6),
        ("f32[0,4]{1,0}", 0),
        ("f32[16,128]{1,0:T(8,128)S(1)}", 8192),  # a TPU's tiles
    ],
)
def test_bytes_of_a_result(shape, num_bytes):
    assert collectives(f"  %all-reduce.1 = {shape} all-reduce(%x), {GROUPS}")[0].num_bytes == num_bytes


def test_several_results_of_one_instruction_are_added_up():
    shape = "(f32[48,10]{1,0}, bf16[2]{0}, /*index=2*/pred[3]{0})"
    found = collectives(f"  %all-reduce.5 = {shape} all-reduce(%a, %b, %c), {GROUPS}, {OUTSIDE}")
    assert found == (Collective("all-reduce", 1920 + 4 + 3, False),)


def test_a_pair_of_start_and_done_counts_once():
    lines = f"""
  %all-reduce-start.2 = f32[8]{{0}} all-reduce-start(%x), {GROUPS}, {LOOP}
  %fusion.1 = f32[8]{{0}} fusion(%y), kind=kLoop, calls=%computation
  ROOT %all-reduce-done.2 = f32[8]{{0}} all-reduce-done(%all-reduce-start.2), {LOOP}"""
    assert collectives(lines) == (Collective("all-reduce", 32, True),)


@pytest.mark.parametrize(
    ("kind", "shape", "num_bytes"),
    [
        ("all-gather", "(f32[8]{0}, f32[32]{0:T(256)})", 128),
        ("all-gather", "((f32[8]{0}, bf16[2]{0}), (f32[32]{0}, bf16[8]{0}))", 144),
        ("collective-permute", "(f32[8]{0}, f32[8]{0}, u32[], u32[])", 32),
        ("all-reduce", "(f32[8]{0}, f32[4]{0})", 48),
        ("all-gather", "f32[32]{0}", 128),
    ],
)
def test_what_goes_into_a_start_is_not_its_result(kind, shape, num_bytes):
    assert collectives(f"  %a.1 = {shape} {kind}-start(%x), {GROUPS}") == (Collective(kind, num_bytes, False),)


def test_loops_are_told_and_order_is_kept():
    lines = f"""
  %all-gather.3 = bf16[8,4]{{1,0}} all-gather(%x), {GROUPS}, dimensions={{0}}, {LOOP}
  ROOT %all-reduce.1 = f32[] all-reduce(%y), {GROUPS}, to_apply=%add, {OUTSIDE}"""
    assert collectives(lines) == (Collective("all-gather", 64, True), Collective("all-reduce", 4, False))


def test_what_only_mentions_one_does_not_count():
    lines = """
  %copy.1 = f32[8]{0} copy(%all-reduce.3), metadata={op_name="jit(f)/all-reduce"}
  %all-reduce.9 = f32[8]{0} fusion(%all-gather.2), kind=kLoop, calls=%fused_all-reduce
  %get-tuple-element.4 = f32[8]{0} get-tuple-element(%all-to-all.1), index=0
%add.1.clone (x.2: f32[], y.2: f32[]) -> f32[] {"""
    assert collectives(lines) == ()
    assert collectives("") == ()


def test_a_compiled_program():
    """A product over a divided dimension is one sum over devices; in a loop it stands in the loop."""
    mesh = make_mesh(parse_mesh("model=4"))

    def placed(shape, *spec):
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, PartitionSpec(*spec)))

    def product(x, w):
        return x @ w

    def many(x, weights):
        return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, weights)[0]

    once = jax.jit(product).lower(placed((4, 16), None, "model"), placed((16, 8), "model")).compile().as_text()
    assert collectives(once) == (Collective("all-reduce", 4 * 8 * 4, False),)
    stack = placed((5, 16, 16), None, "model")
    looped = jax.jit(many).lower(placed((4, 16)), stack).compile().as_text()
    assert collectives(looped) == (Collective("all-reduce", 4 * 16 * 4, True),)
    alone = jax.jit(product).lower(jnp.ones((4, 16)), jnp.ones((16, 8))).compile().as_text()
    assert collectives(alone) == ()
