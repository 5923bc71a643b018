"""Planted heads score one, even attention scores what it must."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.heads import head_scores, pattern_scores
from llmworld_jax.models.capture import capture

BLOCK, LENGTH = 6, 12


def test_planted_patterns():
    previous = jnp.eye(LENGTH, k=-1)
    induction = jnp.eye(LENGTH, k=-(BLOCK - 1))
    even = jnp.tril(jnp.ones((LENGTH, LENGTH))) / jnp.arange(1, LENGTH + 1)[:, None]
    found = pattern_scores(jnp.stack((previous, induction, even)), BLOCK)
    np.testing.assert_allclose(found.previous[:2], [1, 0])
    np.testing.assert_allclose(found.induction[:2], [0, 1])
    assert float(found.previous[2]) == pytest.approx(np.mean(1 / np.arange(2, LENGTH + 1)), rel=1e-5)
    assert float(found.induction[2]) == pytest.approx(np.mean(1 / np.arange(BLOCK + 1, LENGTH + 1)), rel=1e-5)


def test_scores_of_a_model_are_means_over_its_patterns(tiny_llama):
    model, key = tiny_llama(), jax.random.key(3)
    found = head_scores(model, key, block=BLOCK, count=3)
    assert found.previous.shape == found.induction.shape == (2, 4)
    each = []
    for one in jax.random.split(key, 3):
        tokens = jnp.tile(jax.random.randint(one, (BLOCK,), 0, 40), 2)
        patterns = capture(model, tokens, sites=("pattern",))["pattern"]
        each.append([pattern_scores(pattern, BLOCK) for pattern in patterns])
    previous = np.mean([[layer.previous for layer in walk] for walk in each], axis=0)
    induction = np.mean([[layer.induction for layer in walk] for walk in each], axis=0)
    np.testing.assert_allclose(found.previous, previous, atol=1e-4)
    np.testing.assert_allclose(found.induction, induction, atol=1e-4)


@pytest.mark.slow
@pytest.mark.model
def test_the_default_models_best_heads_are_those_of_the_spec():
    from llmworld_jax.models.catalogue import load

    found = head_scores(load().model, jax.random.key(0))
    for scores, best, known in ((found.previous, (16, 0), 0.91), (found.induction, (18, 6), 0.90)):
        assert np.unravel_index(int(scores.argmax()), scores.shape) == best
        assert float(scores.max()) == pytest.approx(known, abs=0.03)
