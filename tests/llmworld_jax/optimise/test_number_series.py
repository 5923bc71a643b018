"""Laws behind a prompt are those of the tree, and gradients through relaxed digits those of finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.codec import NumberCodec
from llmworld_jax.laws import number_laws
from llmworld_jax.models.readout import embed
from llmworld_jax.numerals import Numerals
from llmworld_jax.optimise.number_series import laws_behind, relaxed_digits, relaxed_series
from llmworld_jax.prompts import Prompt

TEN = tuple(range(10, 20))
CODEC = NumberCodec(Numerals(2, 0.0, 1.0), (3,), (), ",", (4,), (TEN, TEN), "single", TEN, "single")
VALUES = jnp.array([0.314, 0.159, 0.265, 0.358, 0.979])


def codes(values):
    return CODEC.numerals.encode(np.asarray(values))


def test_without_temperature_it_is_what_the_codec_writes(tiny_llama):
    model = tiny_llama()
    written = embed(model, jnp.asarray(CODEC.prompt(codes(VALUES)).tokens))
    np.testing.assert_allclose(relaxed_series(model, CODEC, VALUES, 0.02), written, atol=1e-6)
    apart = float(jnp.abs(relaxed_series(model, CODEC, VALUES, 2.0) - written).max())
    assert apart > 0.05


def test_digits_are_marginals_of_one_law_over_the_bins():
    tens, units = relaxed_digits(CODEC, jnp.array([0.295]), 1.0)  # bins 28, 29, 30
    np.testing.assert_allclose([tens.sum(), units.sum()], 1, rtol=1e-5)
    weight = np.exp(-((29.5 - np.arange(100) - 0.5) ** 2) / 2)
    weight /= weight.sum()
    np.testing.assert_allclose(tens[0, 3], weight[30:40].sum(), rtol=1e-4)
    np.testing.assert_allclose(units[0, 9], weight[9::10].sum(), rtol=1e-4)


def test_laws_behind_a_prompt_are_those_of_the_whole_sequence(tiny_llama):
    model = tiny_llama()
    before = np.array([11, 25, 30])
    prompt = CODEC.prompt(codes(VALUES))
    whole = Prompt(np.concatenate((before, prompt.tokens)), prompt.item_at + 3)
    wanted = number_laws(model, CODEC, whole)
    rows = jnp.concatenate((embed(model, jnp.asarray(before)), jnp.full((2, 32), 7.0)))
    found = laws_behind(model, CODEC, rows, 3, embed(model, jnp.asarray(prompt.tokens)), jnp.asarray(prompt.item_at))
    np.testing.assert_allclose(found.log_mass, wanted.log_mass, atol=2e-5)


@pytest.mark.once
def test_gradient_in_prompt_and_simulation_is_that_of_finite_differences(tiny_llama):
    with jax.enable_x64(True):
        model = tiny_llama(dtype=jnp.float64)
        at = jnp.asarray(CODEC.prompt(codes(VALUES)).item_at)

        def simulated(rate):
            return jax.lax.scan(lambda x, _: (rate * x * (1 - x),) * 2, jnp.float64(0.31), None, length=5)[1]

        @jax.jit
        def surprise(rows, rate):
            series = relaxed_series(model, CODEC, simulated(rate), 1.5)
            return -jnp.mean(laws_behind(model, CODEC, rows, 2, series, at).log_mass[:, 31])

        rows, rate = embed(model, jnp.array([11, 25])), jnp.float64(3.3)
        slope = jax.grad(surprise, argnums=(0, 1))(rows, rate)
        way = jax.random.normal(jax.random.key(0), rows.shape, jnp.float64)
        for found, step in ((jnp.sum(slope[0] * way), (1e-5 * way, 0)), (slope[1], (0, 1e-5))):
            wanted = (surprise(rows + step[0], rate + step[1]) - surprise(rows - step[0], rate - step[1])) / 2e-5
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-10)
        assert abs(float(slope[1])) > 1e-4
