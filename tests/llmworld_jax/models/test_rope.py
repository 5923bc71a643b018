"""Rotary embedding: the identities it exists for. Parity with Hugging Face is in the parity tests."""

import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.models.config import ModelConfig, RopeScaling
from llmworld_jax.models.rope import rotate, rotation

HEAD_DIM = 8
CONFIG = ModelConfig(
    family="llama", vocab_size=40, d_model=32, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=HEAD_DIM,
    d_mlp=48, norm_eps=1e-5, rope_theta=1e4, rope_scaling=None, tied=True, max_positions=1024,
)  # fmt: skip
LLAMA31 = RopeScaling(8.0, 1.0, 4.0, 8192)
LLAMA32 = RopeScaling(32.0, 1.0, 4.0, 8192)


def frequencies(config: ModelConfig) -> np.ndarray:
    """The angle of one step in every plane, read off the rotation itself."""
    with jax.enable_x64(True):
        cos, sin = rotation(config, jnp.ones((1,), jnp.int32), jnp.dtype(jnp.float64))
        return np.arctan2(np.asarray(sin)[0], np.asarray(cos)[0])


def turned(x: np.ndarray, position: int, config: ModelConfig = CONFIG) -> np.ndarray:
    """One head at one position, in float64."""
    with jax.enable_x64(True):
        cos, sin = rotation(config, jnp.asarray([position], jnp.int32), jnp.dtype(jnp.float64))
        return np.asarray(rotate(jnp.asarray(x)[None, None], cos, sin))[0, 0]


def test_frequencies_are_powers_of_theta() -> None:
    config = dataclasses.replace(CONFIG, head_dim=64, rope_theta=5e5)
    np.testing.assert_allclose(frequencies(config), 5e5 ** (-np.arange(32) / 32), rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 3000), st.integers(0, 2**32 - 1))
def test_scores_depend_on_the_difference_of_positions_only(q_at: int, k_at: int, shift: int, seed: int) -> None:
    q, k = np.random.default_rng(seed).normal(size=(2, HEAD_DIM))
    here = turned(q, q_at) @ turned(k, k_at)
    np.testing.assert_allclose(turned(q, q_at + shift) @ turned(k, k_at + shift), here, atol=1e-10)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100_000))
def test_rotation_is_orthogonal_and_composes(position: int) -> None:
    matrix = np.stack([turned(e, position) for e in np.eye(HEAD_DIM)])
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(HEAD_DIM), atol=1e-12)
    step = np.stack([turned(e, 1) for e in np.eye(HEAD_DIM)])
    following = np.stack([turned(e, position + 1) for e in np.eye(HEAD_DIM)])
    np.testing.assert_allclose(matrix @ step, following, atol=1e-9)


def test_position_zero_is_the_identity_and_pairs_are_split_halves() -> None:
    x = np.arange(1.0, HEAD_DIM + 1)
    np.testing.assert_array_equal(turned(x, 0), x)
    fast = turned(np.eye(HEAD_DIM)[0], 1)
    np.testing.assert_allclose(fast[[0, HEAD_DIM // 2]], [np.cos(1.0), np.sin(1.0)], rtol=1e-12)
    assert np.count_nonzero(fast) == 2


def test_every_head_of_a_row_is_turned_alike() -> None:
    x = jax.random.normal(jax.random.key(0), (5, 3, HEAD_DIM))
    cos, sin = rotation(CONFIG, jnp.arange(5, dtype=jnp.int32), jnp.dtype(jnp.float32))
    together = rotate(x, cos, sin)
    for head in range(3):
        np.testing.assert_array_equal(together[:, head], rotate(x[:, head : head + 1], cos, sin)[:, 0])


def test_low_precision_angles_are_computed_in_float32() -> None:
    """bfloat16 cannot hold the positions 256..511 themselves, only every second one."""
    positions = jnp.arange(250, 520, dtype=jnp.int32)
    cos, sin = rotation(CONFIG, positions, jnp.dtype(jnp.bfloat16))
    exact_cos, exact_sin = rotation(CONFIG, positions, jnp.dtype(jnp.float32))
    assert cos.dtype == sin.dtype == jnp.bfloat16
    np.testing.assert_array_equal(cos, exact_cos.astype(jnp.bfloat16))
    np.testing.assert_array_equal(sin, exact_sin.astype(jnp.bfloat16))


@pytest.mark.parametrize("scaling", [LLAMA31, LLAMA32, RopeScaling(4.0, 2.0, 3.0, 512)])
def test_llama3_scaling_keeps_fast_divides_slow_and_is_monotone(scaling: RopeScaling) -> None:
    plain = dataclasses.replace(CONFIG, head_dim=128, rope_theta=5e5)
    omega = frequencies(plain)
    scaled = frequencies(dataclasses.replace(plain, rope_scaling=scaling))
    turns = scaling.original_max_positions * omega / (2 * np.pi)
    fast, slow = turns >= scaling.high_freq_factor, turns <= scaling.low_freq_factor
    assert fast.any()
    assert slow.any()
    between = ~fast & ~slow
    assert between.any()
    np.testing.assert_allclose(scaled[fast], omega[fast], rtol=1e-12)
    np.testing.assert_allclose(scaled[slow], omega[slow] / scaling.factor, rtol=1e-12)
    assert (np.diff(scaled) < 0).all()
    assert (scaled[between] < omega[between]).all()
    assert (scaled[between] > omega[between] / scaling.factor).all()


def test_llama3_scaling_by_one_changes_nothing() -> None:
    one = dataclasses.replace(CONFIG, rope_scaling=RopeScaling(1.0, 1.0, 4.0, 512))
    np.testing.assert_allclose(frequencies(one), frequencies(CONFIG), rtol=1e-12)


@pytest.mark.torch
@pytest.mark.skipif(
    not (importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")), reason="no torch"
)
@pytest.mark.parametrize(("scaling", "head_dim"), [(LLAMA31, 128), (LLAMA32, 64)])
def test_llama3_scaling_equals_the_formula_of_transformers(scaling: RopeScaling, head_dim: int) -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    theirs = LlamaConfig(
        hidden_size=4 * head_dim,
        num_attention_heads=4,
        head_dim=head_dim,
        max_position_embeddings=131072,
        rope_theta=5e5,
        rope_scaling={
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_max_positions,
        },
    )
    reference, attention_factor = ROPE_INIT_FUNCTIONS["llama3"](theirs, "cpu")
    assert attention_factor == 1.0
    ours = dataclasses.replace(CONFIG, head_dim=head_dim, rope_theta=5e5, rope_scaling=scaling)
    np.testing.assert_allclose(frequencies(ours), reference.numpy(), rtol=1e-6)
