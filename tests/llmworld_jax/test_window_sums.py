"""One pass over the longest sequence gives the means of every context length, as brute force does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import embed
from llmworld_jax.window_sums import NodeSums, node_means, node_sums, windows

NODES = jnp.array([0, 1, 2, 1, 0, 3, 0, 1, 2, 2])
AT = jnp.arange(3, 23, 2)  # two tokens of prefix and a separator after each word
CONTEXTS = jnp.array([2, 6, 10])
WINDOW = 4


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


@pytest.fixture(scope="module")
def tokens():
    return jnp.asarray(np.random.default_rng(0).integers(0, 40, 24))


def sums(model, tokens, nodes=NODES, contexts=CONTEXTS, **options):
    return node_sums(model, tokens, nodes, AT, contexts, num_nodes=4, window=WINDOW, **options)


def residual(model, tokens):
    taps = forward(model, tokens, taps=("resid_post",)).taps["resid_post"]
    return np.concatenate((np.asarray(embed(model, tokens))[None], np.asarray(taps)))


def by_hand(h, transform=lambda rows: rows, keep=lambda layer, t: True):
    found = np.zeros((len(h), len(CONTEXTS), 4, h.shape[-1]))
    counts = np.zeros(found.shape[:3])
    for layer in range(len(h)):
        for k, context in enumerate(np.asarray(CONTEXTS)):
            for t in range(max(0, context - WINDOW), context):
                if keep(layer, t):
                    found[layer, k, NODES[t]] += transform(h[layer, AT[t]])
                    counts[layer, k, NODES[t]] += 1
    return found, counts


def test_sums_over_windows_are_those_of_all_activations(model, tokens):
    found = jax.jit(sums)(model, tokens)
    wanted, counts = by_hand(residual(model, tokens))
    np.testing.assert_allclose(found.sums, wanted, atol=2e-4)
    np.testing.assert_array_equal(found.counts, counts)


def test_one_pass_gives_what_a_pass_over_each_context_gives(model, tokens):
    whole = sums(model, tokens)
    for k, context in enumerate(np.asarray(CONTEXTS)):
        end = int(AT[context - 1]) + 1
        short = node_sums(
            model, tokens[:end], NODES[:context], AT[:context], CONTEXTS[k : k + 1], num_nodes=4, window=WINDOW
        )
        np.testing.assert_allclose(short.sums[:, 0], whole.sums[:, k], atol=2e-4)


def test_what_comes_after_the_last_context_changes_nothing(model, tokens):
    end = int(AT[5]) + 1
    other = tokens.at[end:].set(tokens[::-1][: len(tokens) - end])
    np.testing.assert_allclose(sums(model, other).sums[:, :2], sums(model, tokens).sums[:, :2], atol=2e-4)


def test_means_pool_walks_and_mark_nodes_that_were_not_seen(model, tokens):
    nodes = jnp.stack((NODES, NODES[::-1]))
    many = jax.vmap(lambda n: sums(model, tokens, n))(nodes)
    one = [sums(model, tokens, n) for n in nodes]
    np.testing.assert_allclose(many.sums, np.stack([s.sums for s in one]), atol=2e-4)
    found = node_means(many)
    counts = sum(np.asarray(s.counts) for s in one)
    np.testing.assert_array_equal(found.seen, counts > 0)
    total = sum(np.asarray(s.sums) for s in one)
    np.testing.assert_allclose(
        np.asarray(found.means)[counts > 0], (total / np.maximum(counts, 1)[..., None])[counts > 0], atol=2e-4
    )
    assert not np.asarray(found.seen)[0, 0, 3]
    assert np.isfinite(found.means).all()


def test_normalised_tokens_count_by_direction(model, tokens):
    def unit(rows):
        return rows / np.sqrt(np.mean(rows**2))

    wanted, _ = by_hand(residual(model, tokens), unit)
    np.testing.assert_allclose(sums(model, tokens, normalise=True).sums, wanted, atol=2e-4)


def test_sinks_are_found_and_left_out_layer_by_layer(model, tokens):
    big = model.embed[...].at[tokens[AT[7]]].multiply(30.0)
    heavy = embed(model, tokens).at[AT[7]].set(big[tokens[AT[7]]])
    h = residual_of(model, heavy)
    norms = np.linalg.norm(h[:, np.asarray(AT)], axis=-1)
    limit = 5 * np.median(norms, axis=1)
    found = sums(model, heavy, drop_sinks=5.0)
    assert float(found.largest_over_median[0]) == pytest.approx((norms[0] / np.median(norms[0])).max(), rel=1e-3)
    assert float(found.largest_over_median[0]) > 5
    wanted, counts = by_hand(h, keep=lambda layer, t: norms[layer, t] <= limit[layer])
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_allclose(found.sums, wanted, atol=2e-3)
    assert counts[0].sum() < by_hand(h)[1][0].sum()


def residual_of(model, embeddings):
    taps = forward(model, embeddings, taps=("resid_post",)).taps["resid_post"]
    return np.concatenate((np.asarray(embeddings)[None], np.asarray(taps)))


def test_windows_hold_the_last_items_before_each_context():
    w = np.asarray(windows(jnp.array([0, 1, 1, 0]), jnp.array([1, 4]), 2, 2))
    np.testing.assert_array_equal(w, [[[1, 0, 0, 0], [0, 0, 0, 0]], [[0, 0, 0, 1], [0, 0, 1, 0]]])


def test_nothing_of_the_size_of_all_activations_leaves_the_program(model, tokens):
    shapes = jax.eval_shape(sums, model, tokens)
    assert isinstance(shapes, NodeSums)
    assert shapes.sums.shape == (3, 3, 4, 32)
    compiled = jax.jit(sums).lower(model, tokens).compile().memory_analysis()
    assert compiled.output_size_in_bytes < 3 * 24 * 32 * 4  # every layer at every token


@pytest.mark.once
def test_gradients_reach_the_embeddings_and_are_finite_differences(model, tokens):
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda w: w.astype(jnp.float64), model)
        start = embed(wide, tokens)
        way = jnp.asarray(np.random.default_rng(1).normal(size=start.shape))

        def loss(e):
            return jnp.sum(node_means(sums(wide, e, remat=True)).means ** 2)

        slope = jnp.sum(jax.jit(jax.grad(loss))(start) * way)
        numeric = (loss(start + 1e-5 * way) - loss(start - 1e-5 * way)) / 2e-5
        assert float(slope) == pytest.approx(float(numeric), rel=1e-6)
