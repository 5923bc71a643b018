"""Single neurons pinned and silenced: equal to one edited pass each; a neuron that matters is told from others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.space_time import interventions as module
from llmworld_jax.experiments.space_time.interventions import (
    Ablation,
    ablation_loss,
    mean_increase,
    pin_curve,
    random_neurons,
    worst_contexts,
)
from llmworld_jax.experiments.space_time.responses import Contrast
from llmworld_jax.models.edits import ablate_neuron, pin_neuron
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import logits

pytestmark = pytest.mark.slow  # one interpreter is enough

RANDOM = np.random.default_rng(11)
D_MLP = 48
PROMPTS = [RANDOM.integers(0, 40, n).astype(np.int32) for n in (6, 4, 6)]
NEURONS = [(0, 3), (1, 40), (1, 5)]


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


@jax.jit
def surprises(model, tokens, edit):
    law = jax.nn.log_softmax(logits(model, forward(model, tokens, edits=(edit,)).hidden))
    return law, -law[jnp.arange(len(tokens) - 1), tokens[1:]]


def test_loss_increase_is_the_difference_of_two_passes(model):
    found = ablation_loss(model, PROMPTS, NEURONS)
    assert found.increase.shape == (3, 3, 5)
    for row, (block, neuron) in zip(found.increase, NEURONS):
        for p, tokens in enumerate(PROMPTS):
            clean = surprises(model, jnp.asarray(tokens), ablate_neuron(0, 0, D_MLP, 0.0))[1]
            without = surprises(model, jnp.asarray(tokens), ablate_neuron(block, neuron, D_MLP))[1]
            np.testing.assert_allclose(found.clean[p, : len(tokens) - 1], clean, atol=1e-5)
            np.testing.assert_allclose(row[p, : len(tokens) - 1], without - clean, atol=1e-5)
            assert np.isnan(row[p, len(tokens) - 1 :]).all()
    np.testing.assert_allclose(found.by_prompt[0, 1], found.increase[0, 1, :3].mean())
    assert np.abs(found.by_prompt).max() > 1e-4


def test_a_neuron_that_writes_nothing_costs_nothing_and_needs_no_other_program(tiny_llama):
    model = tiny_llama()
    model.layers.down[...] = model.layers.down[...].at[1, 7].set(0)
    found = ablation_loss(model, PROMPTS, [(1, 7), (0, 7), (1, 8)])
    assert np.nanmax(np.abs(found.increase[0])) == 0
    assert np.nanmax(np.abs(found.increase[1])) > 0
    programs = module._losses._cache_size()
    ablation_loss(model, PROMPTS, [(0, 1), (1, 1), (1, 2)])
    assert module._losses._cache_size() == programs


@pytest.mark.parametrize(("prompts", "neurons"), [([], NEURONS), ([PROMPTS[0][:1]], NEURONS), (PROMPTS, [])])
def test_nothing_to_predict_is_refused(model, prompts, neurons):
    with pytest.raises(InputError, match="two tokens or more, and a neuron"):
        ablation_loss(model, prompts, neurons)


def test_pinned_values_are_those_of_single_passes(model):
    contrast = Contrast(
        np.stack((PROMPTS[0], PROMPTS[2])), np.array([1, 2], np.int32), np.array([5, 5], np.int32),
        np.array([3, 30], np.int32), np.array([[-1.0], [1.0]], np.float32),
    )  # fmt: skip
    values = np.array([[-4.0, 4.0], [0.0, 9.0]])
    pins = pin_curve(model, contrast, 1, np.array([6, 20]), values)
    assert pins.probability.shape == (2, 2, 2, 2)
    for n, neuron in enumerate((6, 20)):
        for v in range(2):
            for p, tokens in enumerate(contrast.tokens):
                law = surprises(model, jnp.asarray(tokens), pin_neuron(1, neuron, float(values[n, v]), D_MLP))[0]
                share = np.exp(law[-1, contrast.answers])
                np.testing.assert_allclose(pins.probability[n, v, p], share, rtol=1e-4)
                assert pins.score[n, v, p, 0] == pytest.approx((share[1] - share[0]) / share.sum(), abs=1e-5)
    assert np.abs(pins.score - pins.clean_score).max() > 1e-3


def test_random_neurons_are_others_and_differ():
    drawn = random_neurons(0, 10, 9, 4)
    assert sorted(drawn) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert len(random_neurons(1, 10, 30, 4)) == 9
    np.testing.assert_array_equal(random_neurons(2, 50, 5, 0), random_neurons(2, 50, 5, 0))


def test_worst_contexts_name_the_token_that_is_less_expected_and_no_padding():
    increase = np.array([[[0.1, 3.0, np.nan], [-5.0, 0.2, 0.3]], [[9.0, 9.0, np.nan], [9.0, 9.0, 9.0]]])
    made = Ablation(np.zeros((2, 3)), increase)
    worst = worst_contexts(made, 0, 3)
    assert [(c.prompt, c.position) for c in worst] == [(0, 2), (1, 3), (1, 2)]
    assert worst[0].increase == 3.0
    assert len(worst_contexts(made, 0, 50)) == 5
    mean, low, high = mean_increase(made)[0]
    assert mean == pytest.approx((1.55 - 1.5) / 2)
    assert low < mean < high
    np.testing.assert_allclose(mean_increase(made)[1], 9)
