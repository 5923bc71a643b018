"""Worlds in one compiled call: the same series as one by one, and those that escape are drawn again."""

import jax
import numpy as np
import pytest

from llmworld_jax.experiments.dynamics_config import DEFAULT_SYSTEMS, SUITES, DynamicsConfig, systems_of_suite
from llmworld_jax.experiments.simulation import prepare, simulate
from systems import SYSTEMS

STEPS = 60


def config_for(*systems: str, **changes) -> DynamicsConfig:
    return DynamicsConfig(**{"system": systems, "steps": STEPS, "seeds": 3} | changes)


def test_a_batch_of_series_is_the_series_one_by_one(loaded):
    world = simulate(config_for("noisy_logistic_map"), "noisy_logistic_map", loaded)
    with jax.enable_x64(True):
        for k, one in enumerate(world.series):
            key_system, key_path = jax.random.split(jax.random.key(k))
            system = SYSTEMS["noisy_logistic_map"](key_system)
            path = system.sample(jax.random.fold_in(key_path, 0), STEPS)
            if np.abs(path.observed).max() <= 1:  # else it was drawn again
                np.testing.assert_allclose(one.path.observed[:20], path.observed[:20], rtol=1e-9)
    assert all(np.abs(one.path.observed).max() <= 1 for one in world.series)
    assert world.paths.observed.shape == (3, STEPS)


def test_every_series_has_its_own_grid_and_one_codec(loaded):
    world = simulate(config_for("brownian_motion"), "brownian_motion", loaded)
    for one in world.series:
        share = (one.path.observed - one.numerals.low) / (one.numerals.high - one.numerals.low)
        assert (share.min(), share.max()) == pytest.approx((0.15, 0.85))
        np.testing.assert_array_equal(one.codec.numerals.encode(one.path.observed), one.codes)
        assert one.codec.levels == world.series[0].codec.levels
    assert not np.array_equal(world.series[0].codes, world.series[1].codes)


def test_series_do_not_depend_on_the_other_systems_or_on_their_number(loaded):
    chain = "markov_chain_low_entropy"
    alone = prepare(config_for(chain, seeds=1, seed=1), loaded)
    among = prepare(config_for("noisy_logistic_map", chain), loaded)
    np.testing.assert_array_equal(alone[0].series[0].codes, among[1].series[1].codes)
    assert not np.allclose(among[1].batch.transition[0], among[1].batch.transition[1])
    assert (among[1].symbolic, among[1].deterministic) == (True, False)


def test_the_codes_of_a_seed_do_not_depend_on_how_many_are_drawn_again(loaded):
    """Redrawing one path must not change another."""
    few = simulate(config_for("noisy_logistic_map", seeds=2), "noisy_logistic_map", loaded)
    many = simulate(config_for("noisy_logistic_map", seeds=8), "noisy_logistic_map", loaded)
    for one, other in zip(few.series, many.series[:2], strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)


def test_suites_name_systems_that_exist():
    assert all(name in SYSTEMS for suite in SUITES.values() for name in suite)
    assert systems_of_suite("all") == tuple(SYSTEMS)
    assert set(DEFAULT_SYSTEMS) <= set(systems_of_suite("paper"))
