"""Batches of series: equal to one by one, one program a layout, nothing finished read twice."""

from collections.abc import Sequence

import jax
import numpy as np
import pytest

from llmworld_jax.experiments import many_laws
from llmworld_jax.experiments.dynamics_config import DynamicsConfig
from llmworld_jax.experiments.many_laws import read_many
from llmworld_jax.experiments.simulation import Series, prepare
from llmworld_jax.laws import number_laws
from llmworld_jax.store import RunStore

pytestmark = pytest.mark.once

STEPS = 50
SYSTEMS = ("noisy_logistic_map", "markov_chain_low_entropy", "iid_uniform")


@pytest.fixture(scope="module")
def series(loaded) -> list[Series]:
    worlds = prepare(DynamicsConfig(system=SYSTEMS, steps=STEPS, seeds=2, precision=1), loaded)
    return [one for world in worlds for one in world.series]


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore.open(tmp_path / "run", {"x": 1})


@pytest.fixture
def groups(monkeypatch) -> list[list[str]]:
    """The names of the series of every batch that was read."""
    seen, read = [], many_laws._read

    def reading(chosen: Sequence[Series], loaded):
        seen.append([one.name for one in chosen])
        return read(chosen, loaded)

    monkeypatch.setattr(many_laws, "_read", reading)
    return seen


def test_a_batch_is_the_loop_and_series_of_one_layout_share_it(series, loaded, store, groups):
    laws = read_many(series, loaded, store, lambda m: None, batch=3)
    # Four series of numbers in two batches of two, across systems; the chains have another trie.
    assert sorted(map(len, groups)) == [2, 2, 2]
    assert [SYSTEMS[0], SYSTEMS[0]] in groups
    for one, found in zip(series, laws, strict=True):
        alone = number_laws(loaded.model, one.codec, one.codec.prompt(one.codes), precision="highest")
        np.testing.assert_allclose(found["log_mass"][1:], alone.log_mass[1:], atol=2e-5)
        np.testing.assert_allclose(found["off_grid"][1:], alone.off_grid[1:], atol=1e-5)
        assert np.isnan(found["log_mass"][0]).all()


def test_what_is_finished_is_not_read_again_and_a_stop_loses_one_batch(series, loaded, store, groups):
    said = []
    first = read_many(series[:2], loaded, store, said.append, batch=2)
    again = read_many(series, loaded, store, said.append, batch=2)
    assert groups.count([SYSTEMS[0], SYSTEMS[0]]) == 1
    assert len(groups) == 3
    assert "2 of 6 series are already read" in said
    np.testing.assert_array_equal(again[0]["log_mass"], first[0]["log_mass"])


def test_a_second_batch_compiles_nothing(series, loaded, store, caplog):
    """Another system, another range of the grid: the same program."""
    read_many(series[:2], loaded, store, lambda m: None, batch=2)
    with jax.log_compiles():
        read_many(series[4:], loaded, store, lambda m: None, batch=2)
        assert not [record for record in caplog.records if "Compiling" in record.getMessage()]
        read_many(series[2:4], loaded, store, lambda m: None, batch=1)  # and that compiling would have been seen
        assert [record for record in caplog.records if "Compiling" in record.getMessage()]
