"""Learned against true spread: planted slopes are found, and systems whose spread is constant have none."""

import numpy as np
import pytest

from llmworld_jax.experiments.learned_spread import learned_spread

NAME = "geometric_brownian_motion"


@pytest.fixture(scope="module")
def result(made_up):
    (r,) = made_up(NAME, seeds=2, steps=60)
    return r


def planted(r, learned, true):
    return r._replace(scores=r.scores._replace(sd=learned), truth=r.truth._replace(sd=true))


def test_a_planted_slope_is_found(result):
    before = np.concatenate((result.observed[:, :1], result.observed[:, :-1]), axis=1)
    found = learned_spread(planted(result, 0.3 * before**0.5, 0.1 * before))
    assert float(found.slope.centre) == pytest.approx(0.5, abs=1e-6)
    assert found.true_slope == pytest.approx(1.0, abs=1e-6)
    assert float(found.rank_correlation.centre) == pytest.approx(1.0)
    late = before[:, 30:]
    assert found.ratio == pytest.approx(np.median(3 * late**-0.5))


def test_a_spread_against_the_state_is_seen_as_such(result):
    before = np.concatenate((result.observed[:, :1], result.observed[:, :-1]), axis=1)
    found = learned_spread(planted(result, 1 / before, 0.1 * before))
    assert float(found.rank_correlation.centre) == pytest.approx(-1.0)


def test_where_the_true_spread_is_constant_there_is_a_ratio_only(result):
    found = learned_spread(planted(result, 0.2 + 0 * result.observed, 0.1 + 0 * result.observed))
    assert found.ratio == pytest.approx(2.0)
    assert np.isnan([float(found.rank_correlation.centre), float(found.slope.centre)]).all()


def test_scales_of_series_are_no_slope(result):
    """Each series has a constant learned spread in proportion to its own scale: pooled, the slope would be near 1."""
    scale = np.array([[1.0], [1e4]])
    observed = result.observed * scale
    before = np.concatenate((observed[:, :1], observed[:, :-1]), axis=1)
    wiggle = 1 + 0.01 * np.random.default_rng(0).normal(size=before.shape)
    moved = planted(result._replace(observed=observed), 0.2 * scale * wiggle, 0.1 * before)
    found = learned_spread(moved)
    assert abs(float(found.slope.centre)) < 0.1
    assert float(found.slope.low) < 0 < float(found.slope.high)
    assert found.true_slope == pytest.approx(1.0, abs=1e-6)
    assert abs(float(found.rank_correlation.centre)) < 0.5
