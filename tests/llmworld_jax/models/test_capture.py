"""Capture: equal to a full pass, nothing deeper than asked for is run, and memory is what was asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.axes import SITES
from llmworld_jax.errors import InputError
from llmworld_jax.models.capture import capture
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import embed

TOKENS = jnp.asarray(np.random.default_rng(2).integers(0, 40, 13), jnp.int32)


@pytest.fixture
def model(tiny_llama):
    return tiny_llama(num_layers=4)


@pytest.mark.parametrize("layers", [None, (0,), (0, 1), (3, 0, 2), (2,)])
def test_chosen_layers_equal_those_of_a_full_pass(model, layers):
    whole = forward(model, TOKENS, taps=SITES).taps
    got = capture(model, TOKENS, sites=SITES, layers=layers)
    for site in SITES:
        wanted = whole[site] if layers is None else whole[site][np.array(layers)]
        np.testing.assert_allclose(got[site], wanted, atol=2e-6, rtol=0)


def test_blocks_after_the_last_one_asked_for_are_not_run(model):
    """Weights that would make everything NaN are never met."""
    poisoned = jax.tree.map(lambda w: w.at[2:].set(jnp.nan), model.layers)
    clean = capture(model, TOKENS, sites=("resid_post",), layers=(1,))["resid_post"]
    model.layers = poisoned
    np.testing.assert_array_equal(capture(model, TOKENS, sites=("resid_post",), layers=(1,))["resid_post"], clean)
    assert np.isnan(capture(model, TOKENS, sites=("resid_post",), layers=(3,))["resid_post"]).all()


def test_work_grows_with_the_layers_asked_for(model):
    def steps(layers):
        text = str(jax.make_jaxpr(lambda t: capture(model, t, sites=("resid_post",), layers=layers))(TOKENS))
        return text.count("length=2") > 0, text.count("length=4") > 0

    assert steps((1,)) == (True, False)
    assert steps((3,)) == (False, True)


def test_the_pattern_is_a_causal_distribution_that_averages_to_z(model):
    def weigh(sites):
        return {"pattern": sites["pattern"], "z": sites["z"]}

    got = capture(model, TOKENS, sites=("pattern", "z"), reduce=weigh)
    pattern = np.asarray(got["pattern"])
    assert pattern.shape == (4, 4, 13, 13)
    np.testing.assert_allclose(pattern.sum(-1), 1, atol=1e-6)
    np.testing.assert_array_equal(pattern[..., *np.triu_indices(13, 1)], 0)
    cache = forward(model, TOKENS).cache
    values = np.repeat(np.asarray(cache.v), 2, axis=1)  # two query heads share a key/value head
    z = np.einsum("lhqk,lhkd->lqhd", pattern, values).reshape(4, 13, 32)
    np.testing.assert_allclose(z, got["z"], atol=1e-5)


def test_a_reduction_keeps_only_what_it_returns(model):
    """The Gram matrix of every layer: the program holds no array ``[layer, position, width]``."""

    def gram(sites):
        return sites["mlp_act"].T @ sites["mlp_act"]

    def run(tokens):
        return capture(model, tokens, sites=("mlp_act",), reduce=gram)

    got = run(TOKENS)
    x = forward(model, TOKENS, taps=("mlp_act",)).taps["mlp_act"]
    np.testing.assert_allclose(got, np.einsum("lpa,lpb->lab", x, x), atol=1e-4)
    long = jnp.resize(TOKENS, 700)
    full = jax.jit(lambda t: capture(model, t, sites=("mlp_act",))["mlp_act"])
    reduced = jax.jit(lambda t: capture(model, t, sites=("mlp_act",), reduce=lambda s: s["mlp_act"][-1]))
    sizes = [f.lower(long).compile().memory_analysis().output_size_in_bytes for f in (full, reduced)]
    assert sizes[0] >= 700 * sizes[1]


def test_vmap_over_prompts_equals_one_at_a_time(model):
    batch = jnp.stack((TOKENS, TOKENS[::-1]))
    got = jax.vmap(lambda t: capture(model, t, sites=("resid_mid",), layers=(1, 3))["resid_mid"])(batch)
    for one, tokens in zip(got, batch):
        alone = capture(model, tokens, sites=("resid_mid",), layers=(1, 3))["resid_mid"]
        np.testing.assert_allclose(one, alone, atol=2e-6)


def test_embeddings_take_the_place_of_tokens_and_gradients_reach_them(model):
    vectors = embed(model, jnp.asarray(TOKENS))
    want = capture(model, TOKENS, sites=("resid_post",), layers=(1,))["resid_post"]
    np.testing.assert_array_equal(capture(model, vectors, sites=("resid_post",), layers=(1,))["resid_post"], want)
    slope = jax.grad(
        lambda e: capture(model, e, sites=("resid_post",), layers=(1,), remat=True)["resid_post"][0, 4].sum()
    )
    weight = np.abs(slope(vectors)).sum(1)
    assert (weight[:5] > 0).all()
    assert (weight[5:] == 0).all()


@pytest.mark.parametrize(
    ("sites", "layers", "word"),
    [(("resid",), None, "resid"), ((), None, "sites"), *((("z",), some, "layers") for some in ((4,), (1, 1), ()))],
)
def test_unknown_sites_and_layers_are_refused(model, sites, layers, word):
    with pytest.raises(InputError, match=word):
        capture(model, TOKENS, sites=sites, layers=layers)
