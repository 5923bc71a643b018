"""Many interventions in one program: equal to single edited passes, exact where nothing is changed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.experiments.space_time import responses as module
from llmworld_jax.experiments.space_time.responses import CHUNK, Contrast, responses
from llmworld_jax.models.edits import Edit, add, pin_neuron, project_out
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import logits

pytestmark = pytest.mark.slow  # one interpreter is enough

RANDOM = np.random.default_rng(3)
LAYERS, WIDTH = 3, 32
CONTRAST = Contrast(
    tokens=RANDOM.integers(0, 40, (4, 7)).astype(np.int32),
    entity_at=np.array([1, 2, 3, 5], np.int32),
    last=np.array([4, 6, 4, 6], np.int32),
    answers=np.array([5, 9, 11], np.int32),
    values=RANDOM.normal(size=(3, 2)).astype(np.float32),
)
WEIGHTS = RANDOM.normal(size=(LAYERS, WIDTH, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama(num_layers=LAYERS)


def stacked(*edits: Edit) -> Edit:
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves]), *edits)


def steps(*blocks: int) -> Edit:
    vectors = jnp.asarray(RANDOM.normal(size=(len(blocks), WIDTH)), jnp.float32)
    return stacked(*(add("resid_post", b, v) for b, v in zip(blocks, vectors)))


@jax.jit
def alone(model, tokens, edit: Edit, entity):
    """Law and residual streams of one unpadded prompt, by the library's own pass."""
    out = forward(model, tokens, taps=("resid_post",), edits=(edit,))
    places = out.taps["resid_post"][:, jnp.stack((entity, jnp.asarray(len(tokens) - 1)))]
    return jax.nn.log_softmax(logits(model, out.hidden[-1])), places


def by_hand(model, edit: Edit, mask: np.ndarray):
    """One prompt at a time."""
    law, read_out = [], []
    for row, entity, last, at in zip(CONTRAST.tokens, CONTRAST.entity_at, CONTRAST.last, mask):
        local = Edit(edit.site, edit.layer, edit.at * at[: last + 1], edit.keep, edit.basis, edit.value)
        found, places = alone(model, jnp.asarray(row[: last + 1]), local, jnp.asarray(entity))
        law.append(found)
        read_out.append(np.einsum("lpw,lwt->lpt", places, WEIGHTS))
    return np.stack(law), np.stack(read_out, axis=1)


@pytest.mark.parametrize("kind", ["step", "pin", "projection"])
def test_every_row_is_the_pass_with_that_edit(model, kind):
    where = CONTRAST.everywhere() if kind == "pin" else CONTRAST.at_entity()
    basis = jnp.asarray(RANDOM.normal(size=(2, WIDTH)), jnp.float32)
    edits = {
        "step": [add("resid_post", b, 2 * basis[0]) for b in (1, 0)],
        "pin": [pin_neuron(b, 7, 3.0, 48) for b in (1, 2)],
        "projection": [project_out("resid_mid", b, basis) for b in (0, 1)],
    }[kind]
    clean_law, clean_read = by_hand(model, add("resid_post", 0, jnp.zeros(WIDTH)), where)
    clean, got = responses(model, CONTRAST, stacked(*edits), where, WEIGHTS)
    for k, edit in enumerate(edits):
        law, read_out = by_hand(model, edit, where)
        share = np.exp(law[:, CONTRAST.answers])
        np.testing.assert_allclose(got.answers[k], share, rtol=2e-4, atol=1e-7)
        score = share / share.sum(axis=1, keepdims=True) @ CONTRAST.values
        np.testing.assert_allclose(got.score[k], score, atol=2e-5)
        divergence = (np.exp(clean_law) * (clean_law - law)).sum(axis=1)
        np.testing.assert_allclose(got.divergence[k], divergence, atol=2e-5)
        np.testing.assert_allclose(got.read_out[k], read_out - clean_read, atol=3e-4)
        assert divergence.max() > 1e-3, "the edit under test must do something"
    np.testing.assert_allclose(clean.answers[0], np.exp(clean_law[:, CONTRAST.answers]), rtol=2e-4)


def test_a_strength_or_a_step_of_nothing_is_the_clean_run_to_the_last_bit(model):
    edits = stacked(
        add("resid_post", 1, jnp.ones(WIDTH), at=0.0),
        add("resid_post", 2, jnp.zeros(WIDTH)),
        add("resid_post", 0, jnp.ones(WIDTH)),
    )
    clean, got = responses(model, CONTRAST, edits, CONTRAST.at_entity(), WEIGHTS)
    for k in (0, 1):
        np.testing.assert_array_equal(got.score[k], clean.score[0])
        np.testing.assert_array_equal(got.answers[k], clean.answers[0])
        np.testing.assert_array_equal(got.divergence[k], 0)
        np.testing.assert_array_equal(got.read_out[k], 0)
    assert np.abs(got.score[2] - clean.score[0]).max() > 1e-3


def test_many_edits_are_a_loop_over_them(model):
    edits, seen = steps(*RANDOM.integers(0, LAYERS, CHUNK + 3)), []
    _, whole = responses(model, CONTRAST, edits, CONTRAST.at_entity(), WEIGHTS, lambda *now: seen.append(now))
    assert seen == [(CHUNK, CHUNK + 3), (CHUNK + 3, CHUNK + 3)]
    assert whole.score.shape == (CHUNK + 3, 4, 2)
    for k in (0, CHUNK - 1, CHUNK, CHUNK + 2):
        _, one = responses(model, CONTRAST, jax.tree.map(lambda x, k=k: x[k : k + 1], edits), CONTRAST.at_entity(),
                           WEIGHTS)  # fmt: skip
        for a, b in zip(whole, one):
            np.testing.assert_array_equal(a[k], b[0])


def test_other_blocks_directions_and_doses_need_no_other_program(model):
    responses(model, CONTRAST, steps(0), CONTRAST.at_entity(), WEIGHTS)
    programs = module._chunk._cache_size()
    responses(model, CONTRAST, steps(2, 1, 1), CONTRAST.at_entity(), 2 * WEIGHTS)
    assert module._chunk._cache_size() == programs


def test_only_what_comes_after_an_edit_can_move(model):
    _, got = responses(model, CONTRAST, steps(1), CONTRAST.at_entity(), WEIGHTS)
    np.testing.assert_array_equal(got.read_out[0, 0], 0)
    assert (got.read_out[0, 1:, :, 0] != 0).all()


def test_without_answers_there_is_no_score_but_all_else(model):
    bare = CONTRAST._replace(answers=np.zeros(0, np.int32), values=np.zeros((0, 2), np.float32))
    edits = steps(1)
    _, got = responses(model, bare, edits, bare.at_entity(), WEIGHTS)
    _, full = responses(model, CONTRAST, edits, bare.at_entity(), WEIGHTS)
    assert got.answers.shape == (1, 4, 0)
    assert np.isnan(got.score).all()
    np.testing.assert_allclose(got.divergence, full.divergence, atol=1e-6)
    np.testing.assert_allclose(got.read_out, full.read_out, atol=1e-5)


def test_weights_of_sixteen_bits_will_do(tiny_llama):
    model = tiny_llama(dtype=jnp.bfloat16, num_layers=LAYERS)
    clean, got = responses(model, CONTRAST, steps(0, 2), CONTRAST.at_entity(), WEIGHTS)
    assert clean.score.dtype == got.read_out.dtype == np.float32
    assert np.isfinite(got.score).all()
    assert got.divergence.min() > -1e-4
