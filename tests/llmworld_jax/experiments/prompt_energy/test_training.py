"""Runs of seeds, graphs and lengths in one step are runs alone; a killed training goes on as it would have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.prompt_energy import training, worlds
from llmworld_jax.experiments.prompt_energy.config import EnergyConfig
from llmworld_jax.experiments.prompt_energy.losses import target_of
from llmworld_jax.optimise.soft_prompt import norm_range, prompt_of_tokens
from llmworld_jax.store import RunStore

CONFIG = EnergyConfig(
    length=30, window=20, graph=("grid:2x3", "path:5"), held_out=(), test_length=100, test_walks=2, vectors=(3,)
)
KEY = {"what": "training in a test"}


@pytest.fixture(scope="module")
def world(word_loaded):
    return worlds.prepare(CONFIG, word_loaded)


@pytest.fixture(scope="module")
def plan():
    return training.Plan(target_of("energy", CONFIG, 2, ()), CONFIG.length, 1, 0.05)


def runs_of(*rows):
    return training.Run(*(jnp.asarray(part, jnp.int32) for part in zip(*rows)))


def trained(word_loaded, world, plan, runs, steps, store, progress=lambda text: None):
    start = jnp.tile(prompt_of_tokens(word_loaded.model, np.array([6, 7, 8]), 3), (len(runs.seed), 1, 1))
    allowed = norm_range(word_loaded.model)
    return training.train(word_loaded.model, plan, world.training, allowed, runs, start, steps, store, KEY, progress)


@pytest.mark.once
def test_runs_in_one_step_are_runs_alone(word_loaded, world, plan, tmp_path):
    rows = ((0, 0, 3), (1, 1, 2), (2, 0, 1))
    many = trained(word_loaded, world, plan, runs_of(*rows), 3, RunStore.open(tmp_path / "many", {}))
    for k, row in enumerate(rows):
        alone = trained(word_loaded, world, plan, runs_of(row), 3, RunStore.open(tmp_path / str(k), {}))
        np.testing.assert_allclose(many.loss[k], alone.loss[0], rtol=1e-4)
        np.testing.assert_allclose(many.vectors[k], alone.vectors[0], atol=2e-3)
    # Rows beyond a run's length are never seen, so they never move (but into the range of norms).
    before = prompt_of_tokens(word_loaded.model, np.array([6, 7, 8]), 3)
    kept = np.asarray(training.within_range(before, norm_range(word_loaded.model)))
    np.testing.assert_allclose(many.vectors[2, 1:], kept[1:], atol=1e-6)
    assert np.abs(many.vectors[2, 0] - kept[0]).max() > 1e-3


def test_a_killed_training_goes_on_with_the_same_random_stream(word_loaded, world, plan, tmp_path):
    runs = runs_of((0, 0, 3), (1, 1, 3))
    whole = trained(word_loaded, world, plan, runs, 4, RunStore.open(tmp_path / "whole", {}))

    def killed(text):
        if text.startswith("step 2"):
            raise KeyboardInterrupt

    store = RunStore.open(tmp_path / "killed", {})
    with pytest.raises(KeyboardInterrupt):
        trained(word_loaded, world, plan, runs, 4, store, killed)
    said = []
    again = trained(word_loaded, world, plan, runs, 4, store, said.append)
    assert said[0].startswith("step 3")
    assert len(said) == 2
    for found, wanted in zip(again, whole):
        np.testing.assert_array_equal(found, wanted)
    said.clear()
    finished = trained(word_loaded, world, plan, runs, 4, store, said.append)
    assert not said
    np.testing.assert_array_equal(finished.vectors, whole.vectors)
    assert len(list(store.units.iterdir())) == 1


def test_every_step_draws_words_placement_and_walk_anew(world):
    drawn = [worlds.draw_task(jax.random.key(k), world.training, jnp.asarray(0), 30) for k in range(4)]
    assert len({tuple(np.asarray(task.word_ids).tolist()) for task in drawn}) == 4
    assert len({tuple(np.asarray(task.nodes).tolist()) for task in drawn}) == 4
    for task in drawn:
        nodes = np.asarray(task.nodes)
        assert np.asarray(task.adjacency)[nodes[:-1], nodes[1:]].all()
    small = worlds.draw_task(jax.random.key(0), world.training, jnp.asarray(1), 200)
    assert set(np.asarray(small.nodes).tolist()) == set(range(5))  # never a node that only fills up


def test_half_of_the_papers_words_are_never_trained_on(word_loaded, world):
    pool = set(np.asarray(world.training.pool).tolist())
    kept_out = {word_loaded.tokenizer.encode(f" {word}")[0] for word in worlds.KEPT_OUT}
    assert len(kept_out) == 8
    assert not pool & kept_out


def test_a_loss_that_is_no_number_stops_and_keeps_the_state(word_loaded, world, plan, tmp_path, monkeypatch):
    runs, store = runs_of((0, 0, 3)), RunStore.open(tmp_path / "nan", {})
    real = training.step_runs

    def broken(*arguments):
        made = real(*arguments)
        return made._replace(loss=jnp.where(made.state.step == 2, jnp.nan, made.loss))

    monkeypatch.setattr(training, "step_runs", broken)
    with pytest.raises(InputError, match="at step 2"):
        trained(word_loaded, world, plan, runs, 3, store)
    monkeypatch.setattr(training, "step_runs", real)
    said = []
    trained(word_loaded, world, plan, runs, 3, store, said.append)
    assert said[0].startswith("step 2 of 3")
