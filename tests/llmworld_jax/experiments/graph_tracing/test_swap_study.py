"""Exchanged coordinates: nothing at dose zero, and read where the next word's law stands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.experiments.graph_tracing.config import GraphConfig
from llmworld_jax.experiments.graph_tracing.study import prepare
from llmworld_jax.experiments.graph_tracing.swap_study import PLANES, swap_of
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import logits


@pytest.mark.slow
@pytest.mark.parametrize("separator", ["", ","])
def test_dose_zero_is_the_law_after_the_last_separator(word_loaded, separator):
    config = GraphConfig(
        graph=("ring:6",), walks=2, length=60, prefix="none", separator=separator, controls=False
    ).check()
    (study,) = prepare(config, word_loaded)
    means = np.random.default_rng(0).normal(size=(4, 6, 32)).astype(np.float32)
    found = swap_of(word_loaded.model, study, means, (1, 2), 2, 2, 0)
    placement = study.placements[0]
    sequences = placement.sequences["walk"]
    laws = []
    for tokens in sequences.prompts.tokens:
        hidden = forward(word_loaded.model, jnp.asarray(tokens)).hidden[sequences.prompts.read_at[-1]]
        laws.append(np.asarray(jax.nn.softmax(logits(word_loaded.model, hidden, jnp.asarray(placement.ids)))))
    away = [law @ np.asarray(study.graph.adjacency)[walk[-1]] for law, walk in zip(laws, sequences.walks)]
    assert found.clean[1] == pytest.approx(np.mean(away), rel=1e-4)
    np.testing.assert_allclose(found.dosed[0], found.clean[0], rtol=1e-4)
    assert np.abs(found.dosed[-1, PLANES.index("all means")] - found.clean[0]) > 1e-3
    np.testing.assert_allclose(found.norms[:, 0], found.norms[:, -1], rtol=1e-4)
    assert found.trials == 4
