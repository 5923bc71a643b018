import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.codec import NumberCodec
from llmworld_jax.errors import InputError
from llmworld_jax.expansion import ExpandedLaws, expanded_laws
from llmworld_jax.laws import number_laws, with_forecast
from llmworld_jax.models.config import ModelConfig
from llmworld_jax.models.llama import Llama
from llmworld_jax.numerals import Numerals

CONFIG = ModelConfig("llama", 44, 32, 2, 4, 2, 8, 48, 1e-5, 1e4, None, False, 512)


@functools.cache
def tiny(dtype="float32", sharpness=1.0):
    """A random model; scaled scores make its laws sharply peaked."""
    empty = jax.eval_shape(lambda: Llama(CONFIG, key=jax.random.key(0), dtype=jnp.dtype(dtype)))
    rng = np.random.default_rng(3)  # not Llama's own numbers: they take seconds to compile
    model = jax.tree.map(lambda a: jnp.asarray(rng.normal(0.0, 0.5, a.shape), a.dtype), empty)
    model.head[...] = model.head[...] * jnp.asarray(sharpness, jnp.dtype(dtype))
    return model


def codec(widths, base, start=(1,)):
    """A trie with chunks of ``widths`` digits, and tokens that differ from level to level."""
    tokens = iter(np.random.default_rng(0).permutation(np.arange(2, 44)).tolist() * 2)
    levels = tuple(tuple(itertools.islice(tokens, base**width)) for width in widths)
    numerals = Numerals(sum(widths), 0.0, 1.0, base)
    return NumberCodec(numerals, start, (), ",", (0,), levels, "chunk", (), "chunk")


DECIMAL = codec((1, 1, 1, 1), 10)
CODES = np.array([1234, 9, 9999, 5000, 1234])


def distance(a, b):
    return 0.5 * jnp.sum(jnp.abs(jnp.exp(a) - jnp.exp(b)), axis=-1)


@pytest.mark.once
def test_with_every_prefix_it_is_the_complete_law():
    c = codec((3, 2, 1, 1), 2)
    prompt = with_forecast(c.prompt(np.array([5, 0, 127, 77])))
    found = expanded_laws(tiny(), c, prompt, epsilon=0.0, max_nodes=10_000, batch=20)
    complete = number_laws(tiny(), c, prompt, off_grid="first")
    np.testing.assert_allclose(jnp.exp(found.log_mass), jnp.exp(complete.log_mass), atol=1e-6)
    np.testing.assert_allclose(found.log_mass, complete.log_mass, atol=2e-5)
    np.testing.assert_allclose(found.off_grid, complete.off_grid, atol=1e-6)
    np.testing.assert_array_equal(found.edges, complete.edges)
    assert found.nodes_used.tolist() == [8 + 32 + 64] * 5
    assert found.unexpanded.tolist() == [0.0] * 5


@pytest.mark.slow
def test_a_peaked_law_of_four_digits_takes_few_prefixes():
    prompt, model = DECIMAL.prompt(CODES), tiny(sharpness=6.0)
    found = expanded_laws(model, DECIMAL, prompt, epsilon=0.02, max_nodes=300)
    complete = number_laws(model, DECIMAL, prompt, off_grid="first")
    assert jnp.all(found.unexpanded <= 0.02)
    assert jnp.all(found.nodes_used <= 200), "of 1110"
    assert jnp.all(distance(found.log_mass, complete.log_mass) <= found.unexpanded + 1e-5)
    np.testing.assert_allclose(jax.nn.logsumexp(found.log_mass, axis=-1), 0.0, atol=1e-5)


def test_what_is_missing_for_want_of_prefixes_is_reported():
    prompt = DECIMAL.prompt(CODES)
    found = expanded_laws(tiny(), DECIMAL, prompt, epsilon=0.01, max_nodes=25)
    complete = number_laws(tiny(), DECIMAL, prompt, off_grid="first")
    off = distance(found.log_mass, complete.log_mass)
    assert found.nodes_used.tolist() == [25] * 5
    assert jnp.all(found.unexpanded > 0.01)
    assert jnp.all(off <= found.unexpanded + 1e-5)
    assert jnp.all(off > 0.01)


@pytest.mark.once
def test_chunks_do_not_matter_and_vmap_over_series_is_a_loop():
    model = tiny(sharpness=6.0)
    prompts = [DECIMAL.prompt(np.roll(CODES, shift) // (shift + 1)) for shift in range(2)]

    def laws(tokens, rows=512):
        prompt = prompts[0]._replace(tokens=tokens)
        return expanded_laws(model, DECIMAL, prompt, epsilon=0.02, max_nodes=300, rows=rows)

    axes = ExpandedLaws(None, 0, 0, 0, 0)
    together = jax.jit(jax.vmap(laws, out_axes=axes))(jnp.stack([p.tokens for p in prompts]))
    for i, prompt in enumerate(prompts):
        alone = laws(prompt.tokens, rows=20)
        np.testing.assert_array_equal(together.nodes_used[i], alone.nodes_used)
        np.testing.assert_allclose(together.unexpanded[i], alone.unexpanded, atol=1e-5)
        np.testing.assert_allclose(jnp.exp(together.log_mass[i]), jnp.exp(alone.log_mass), atol=1e-5)


@pytest.mark.slow
def test_gradient_is_the_finite_difference():
    with jax.enable_x64(True):
        model, c, codes = tiny("float64", 3.0), codec((1, 1, 1), 4), np.array([5, 0, 63])
        prompt = c.prompt(codes)
        start = model.embed[...][prompt.tokens]

        @jax.jit
        @functools.partial(jax.value_and_grad, has_aux=True)
        def loss(embeddings):
            found = expanded_laws(
                model, c, prompt, epsilon=0.05, max_nodes=14, batch=3, embeddings=embeddings, remat=True
            )
            score = jnp.sum(found.log_mass[jnp.arange(3), codes]) + jnp.sum(found.unexpanded)
            return score, found.nodes_used

        along = jax.random.normal(jax.random.key(1), start.shape, jnp.float64)
        (_, used), gradient = loss(start)
        (above, _), _ = loss(start + 1e-6 * along)
        (below, _), _ = loss(start - 1e-6 * along)
        assert jnp.any(used < 14), "some state stops early"
        assert math.isclose(float(jnp.vdot(gradient, along)), float(above - below) / 2e-6, rel_tol=1e-5)


def test_a_number_of_one_token_needs_no_prefix_and_the_first_item_may_have_no_law():
    c = codec((2,), 5, start=())
    prompt = c.prompt(np.array([3, 17, 24]))
    found = expanded_laws(tiny(), c, prompt, epsilon=0.0, max_nodes=5)
    complete = number_laws(tiny(), c, prompt, off_grid="first")
    np.testing.assert_allclose(found.log_mass, complete.log_mass, atol=1e-5)
    assert found.nodes_used.tolist() == [0, 0, 0]
    assert np.isnan(found.unexpanded[0])
    assert found.unexpanded[1:].tolist() == [0.0, 0.0]


def test_without_start_token_the_first_number_is_not_expanded():
    c = codec((1, 1), 3, start=())
    found = expanded_laws(tiny(), c, c.prompt(np.array([3, 7, 8])), epsilon=0.0, max_nodes=5)
    assert found.nodes_used.tolist() == [0, 3, 3]
    for field in (found.log_mass, found.off_grid, found.unexpanded):
        assert np.isnan(field[0]).all()
        assert np.isfinite(field[1:]).all()


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 1.0}, {"epsilon": -0.1}, {"epsilon": math.nan}, {"max_nodes": 0}, {"batch": 0}]
)
def test_what_cannot_be_answered_is_refused(wrong):
    good = {"epsilon": 0.1, "max_nodes": 10}
    with pytest.raises(InputError, match=next(iter(wrong))):
        expanded_laws(tiny(), DECIMAL, DECIMAL.prompt(CODES), **(good | wrong))
