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
    assert found.slope == pytest.approx(0.5, abs=1e-6)
    assert found.true_slope == pytest.approx(1.0, abs=1e-6)
    assert found.rank_correlation == pytest.approx(1.0)
    late = before[:, 30:]
    assert found.ratio == pytest.approx(np.median(3 * late**-0.5))


def test_a_spread_against_the_state_is_seen_as_such(result):
    before = np.concatenate((result.observed[:, :1], result.observed[:, :-1]), axis=1)
    assert learned_spread(planted(result, 1 / before, 0.1 * before)).rank_correlation == pytest.approx(-1.0)


def test_where_the_true_spread_is_constant_there_is_a_ratio_only(result):
    found = learned_spread(planted(result, 0.2 + 0 * result.observed, 0.1 + 0 * result.observed))
    assert found.ratio == pytest.approx(2.0)
    assert np.isnan([found.rank_correlation, found.slope]).all()
