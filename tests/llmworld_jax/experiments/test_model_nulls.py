"""The model with less to go on: what a shuffled context keeps and loses, and a twin that was never trained."""

import numpy as np
import pytest

from llmworld_jax.experiments import model_nulls
from llmworld_jax.experiments.dynamics_config import DynamicsConfig
from llmworld_jax.experiments.model_nulls import NAMES, WINDOW, checkpoints, model_null_laws, untrained_twin
from llmworld_jax.experiments.simulation import simulate
from llmworld_jax.laws import number_laws
from llmworld_jax.store import RunStore

pytestmark = pytest.mark.once

STEPS = 50
CHAIN = "markov_chain_low_entropy"


@pytest.fixture(scope="module")
def series(loaded):
    return simulate(DynamicsConfig(system=(CHAIN,), steps=STEPS, seeds=1), CHAIN, loaded).series[0]


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore.open(tmp_path / "run", {"x": 1})


@pytest.mark.parametrize("steps", [50, 60, 400, 1000, 1500])
def test_checkpoints_double_and_their_windows_do_not_meet(steps):
    found = checkpoints(steps)
    assert found[-1] == steps - WINDOW
    assert (np.diff(found) >= WINDOW).all()
    assert found[0] >= model_nulls.LEAST_CONTEXT
    np.testing.assert_allclose(found[1:] / found[:-1], 2, atol=0.1)


def test_without_a_permutation_the_shuffled_context_is_the_context(series, loaded, store, monkeypatch):
    """With the identity in the place of the permutation, item c is predicted from the past with x_{c-1} read twice."""

    class Identity:
        def permutation(self, x):
            return x

    monkeypatch.setattr(model_nulls.np.random, "default_rng", lambda seed: Identity())
    laws = model_null_laws(NAMES[0], series, loaded, loaded.model, store, 0)
    contexts = checkpoints(STEPS)
    context = int(contexts[0])
    for k in (0, 3):
        codes = np.append(series.codes[:context], series.codes[context - 1 + k])
        prompt = series.codec.prompt(np.append(codes, 0))
        whole = number_laws(loaded.model, series.codec, prompt, off_grid="first").log_mass[-1]
        np.testing.assert_allclose(laws[0, k], whole, atol=2e-5)


def test_a_shuffled_context_knows_no_order(series, loaded, store):
    """Reordering the past changes nothing but the permutation that is drawn; the last value still counts."""
    contexts = checkpoints(STEPS)
    laws = model_null_laws(NAMES[0], series, loaded, loaded.model, store, 0)
    assert laws.shape == (len(contexts), WINDOW, 4)
    np.testing.assert_allclose(np.exp(laws).sum(axis=-1), 1, atol=1e-5)
    queries = series.codes[contexts[0] - 1 : contexts[0] - 1 + WINDOW]
    for a in range(WINDOW):
        for b in range(a):
            if queries[a] == queries[b]:
                np.testing.assert_allclose(laws[0, a], laws[0, b], atol=1e-5)
            else:
                assert np.abs(laws[0, a] - laws[0, b]).max() > 1e-4


def test_a_null_is_kept_and_not_read_again(series, loaded, store, monkeypatch):
    first = model_null_laws(NAMES[0], series, loaded, loaded.model, store, 0)
    monkeypatch.setattr(model_nulls, "query_laws", None)
    np.testing.assert_array_equal(model_null_laws(NAMES[0], series, loaded, loaded.model, store, 0), first)


def test_the_twin_has_the_shape_and_none_of_the_training(series, loaded, store):
    twin = untrained_twin(loaded)
    assert twin.config == loaded.config
    embed = np.asarray(twin.embed[...])
    assert embed.shape == loaded.model.embed[...].shape
    assert embed.std() == pytest.approx(loaded.config.d_model**-0.5, rel=0.1)
    laws = model_null_laws(NAMES[1], series, loaded, twin, store, 0)
    context = int(checkpoints(STEPS)[1])
    whole = number_laws(twin, series.codec, series.codec.prompt(series.codes), off_grid="first").log_mass
    np.testing.assert_allclose(laws[1], np.asarray(whole)[context : context + WINDOW], atol=2e-5)
