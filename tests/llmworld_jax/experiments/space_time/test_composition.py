"""Composition scores against the matrices written out, and their null."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.experiments.space_time.composition import compose, parts

pytestmark = pytest.mark.slow  # one interpreter is enough

RANDOM = np.random.default_rng(2)
WIDTH, HEAD_DIM, HEADS = 32, 8, 4


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama(tied=False)


@pytest.fixture(scope="module")
def found(model):
    v = RANDOM.normal(size=WIDTH)
    return v / np.linalg.norm(v), jax.device_get(jax.jit(compose)(model, jnp.asarray(3 * v, jnp.float32)))


def test_neurons_and_words_are_cosines_with_what_the_norm_lets_through(model, found):
    v, got = found
    gain = np.asarray(model.layers.mlp_norm[...])[:, :, None]
    reads = {"up": gain * model.layers.up[...], "gate": gain * model.layers.gate[...]}
    for name, weights in reads.items():
        np.testing.assert_allclose(getattr(got, name), unit(np.swapaxes(weights, 1, 2)) @ v, atol=1e-5)
    np.testing.assert_allclose(got.down, unit(np.asarray(model.layers.down[...])) @ v, atol=1e-5)
    np.testing.assert_allclose(got.embedding, unit(np.asarray(model.embed[...])) @ v, atol=1e-5)
    out = np.asarray(model.head[...]).T * np.asarray(model.final_norm[...])
    np.testing.assert_allclose(got.unembedding, unit(out) @ v, atol=1e-5)


@pytest.mark.parametrize("head", range(HEADS))
def test_heads_are_lengths_through_their_whole_matrices(model, found, head):
    v, got = found
    own, shared = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM), slice(head // 2 * HEAD_DIM, (head // 2 + 1) * HEAD_DIM)
    for layer in range(2):
        w = {n: np.asarray(getattr(model.layers, n)[...][layer], np.float64) for n in ("q", "k", "v", "o")}
        gain = np.asarray(model.layers.attn_norm[...][layer], np.float64)[:, None]
        ov = (gain * w["v"])[:, shared] @ w["o"][own]
        qk = (gain * w["q"])[:, own] @ (gain * w["k"])[:, shared].T
        ov, qk = ov / np.linalg.norm(ov), qk / np.linalg.norm(qk)
        wanted = [np.linalg.norm(x) for x in (v @ ov, ov @ v, v @ qk, qk @ v)]
        np.testing.assert_allclose([x[layer, head] for x in (got.v, got.o, got.q, got.k)], wanted, rtol=1e-4)


def test_a_tied_model_reads_out_with_its_embedding(tiny_llama):
    model = tiny_llama()
    v = jnp.asarray(RANDOM.normal(size=WIDTH), jnp.float32)
    got = compose(model, v)
    wanted = unit(np.asarray(model.embed[...]) * np.asarray(model.final_norm[...])) @ np.asarray(v / jnp.linalg.norm(v))
    np.testing.assert_allclose(got.unembedding, wanted, atol=1e-5)


def test_a_planted_reader_and_a_planted_writer_stand_out(tiny_llama):
    model = tiny_llama(num_layers=3)
    v = jnp.asarray(unit(RANDOM.normal(size=WIDTH)), jnp.float32)
    model.layers.up[...] = model.layers.up[...].at[2, :, 17].set(v / model.layers.mlp_norm[...][2])
    model.layers.down[...] = model.layers.down[...].at[0, 9].set(-2 * v)
    rows = {part.name: part for part in parts(model, v, 1, jax.random.key(0), 39)}
    assert (rows["up"].layer, rows["up"].unit, rows["up"].p_value) == (2, 17, 1 / 40)
    assert rows["up"].score == pytest.approx(1, abs=1e-5)
    assert (rows["down"].layer, rows["down"].unit, rows["down"].p_value) == (0, 9, 1 / 40)
    assert rows["down"].score == pytest.approx(-1, abs=1e-5)
    assert rows["gate"].p_value > 1 / 40 or rows["V"].p_value > 1 / 40, "what was not planted is as chance has it"


def test_only_later_blocks_read_and_only_earlier_ones_write(tiny_llama):
    model = tiny_llama(num_layers=3)
    v = jnp.asarray(unit(RANDOM.normal(size=WIDTH)), jnp.float32)
    model.layers.up[...] = model.layers.up[...].at[0, :, 17].set(v / model.layers.mlp_norm[...][0])
    at = {layer: {p.name: p for p in parts(model, v, layer, jax.random.key(0), 3)} for layer in (0, 1, 3)}
    assert at[0]["up"].score > 0.999
    assert at[1]["up"].layer > 0
    assert "down" not in at[0]
    assert "O" not in at[0]
    assert "up" not in at[3]
    assert {"down", "O", "embedding"} <= at[3].keys()


def test_the_null_can_be_held_to_a_span(tiny_llama):
    """Within the line of the direction itself every random direction is the direction."""
    model, v = tiny_llama(), jnp.asarray(unit(RANDOM.normal(size=WIDTH)), jnp.float32)
    for part in parts(model, v, 1, jax.random.key(0), 5, v[None]):
        assert part.null == pytest.approx(abs(part.score), rel=1e-4)
