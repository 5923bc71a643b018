"""Scores of laws against a truth and against what was written."""

import numpy as np
import pytest

from llmworld_jax.experiments.calibrating import LEVELS, calibration_of
from llmworld_jax.experiments.scoring import Target, score, spread_out
from llmworld_jax.numerals import Numerals

SEEDS, STEPS, BINS = 2, 40, 25
RANDOM = np.random.default_rng(0)


def made_up_target(sharp: float = 1.0) -> tuple[np.ndarray, Target]:
    """Random laws, and values drawn from them on a grid of one's own range for every seed."""
    scores = sharp * RANDOM.normal(size=(SEEDS, STEPS, BINS))
    mass = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    grids = [Numerals(2, low, low + 3.0, base=5) for low in (-1.0, 2.0)]
    edges = np.stack([g.edges() for g in grids])
    codes = (RANDOM.uniform(size=(SEEDS, STEPS, 1)) > mass.cumsum(axis=-1)).sum(axis=-1)
    left, right = (np.take_along_axis(edges, codes + k, axis=1) for k in (0, 1))
    observed = left + (right - left) * RANDOM.uniform(size=codes.shape)
    centres = (edges[:, 1:] + edges[:, :-1]) / 2
    mean = (mass * centres[:, None]).sum(axis=-1)
    mass[:, 0], mean[:, 0] = np.nan, np.nan
    return np.log(mass), Target(mass, mean, codes, observed, edges)


def test_the_true_law_is_at_no_distance_from_the_truth():
    log_mass, target = made_up_target()
    found = score(log_mass, target, symbolic=False)
    for distance in (found.bhattacharyya, found.kl, found.total_variation, found.absolute_deviation):
        assert np.isnan(distance[:, 0]).all()
        np.testing.assert_allclose(distance[:, 1:], 0, atol=1e-10)


@pytest.mark.parametrize("symbolic", [False, True])
def test_nothing_is_scored_where_nothing_precedes(symbolic):
    _, target = made_up_target()
    law = np.full((SEEDS, STEPS, BINS), -np.log(BINS))
    found = score(law, target, symbolic=symbolic)
    for name, row in found._asdict().items():
        known = name in ("nll", "crps", "mean", "sd", "kurtosis")  # of the predictor alone: it did predict item 0
        assert np.isnan(row[:, 0]).all() != known, name
        assert np.isfinite(row[:, 1:]).all(), name
    law[:, 0] = np.nan
    assert all(np.isnan(row[:, 0]).all() for row in score(law, target, symbolic=symbolic))


def test_scores_of_a_made_up_law_by_hand():
    """Two bins on [0, 20): display units are half the own ones."""
    edges = np.array([[0.0, 10.0, 20.0]])
    mass = np.array([[[np.nan, np.nan], [0.5, 0.5]]])
    target = Target(mass, np.array([[np.nan, 9.0]]), np.array([[0, 1]]), np.array([[3.0, 14.0]]), edges)
    law = np.log([[[0.5, 0.5], [0.2, 0.8]]])
    found = score(law, target, symbolic=False)
    assert found.bhattacharyya[0, 1] == pytest.approx(-np.log(np.sqrt(0.1) + np.sqrt(0.4)))
    assert found.kl[0, 1] == pytest.approx(0.5 * np.log(0.5 / 0.2) + 0.5 * np.log(0.5 / 0.8))
    assert found.total_variation[0, 1] == pytest.approx(0.3)
    assert found.nll[0, 1] == pytest.approx(-np.log(0.8))
    assert found.mean[0, 1] == pytest.approx(0.2 * 5 + 0.8 * 15)
    assert found.absolute_deviation[0, 1] == pytest.approx((13 - 9) / 2)
    assert found.squared_deviation[0, 1] == pytest.approx(((13 - 9) / 2) ** 2)
    assert found.sd[0, 1] == pytest.approx(np.sqrt(0.2 * 0.8 * 100 + 100 / 12))
    x = np.linspace(0, 20, 200_001)
    cdf = np.where(x < 10, 0.02 * x, 0.2 + 0.08 * (x - 10))
    assert found.crps[0, 1] == pytest.approx(np.trapezoid((cdf - (x >= 14)) ** 2, x) / 2, rel=1e-3)
    assert score(law, target, symbolic=True).crps[0, 1] == pytest.approx(0.2**2 + 0.2**2)


def test_a_series_is_scored_alike_alone_and_in_a_batch():
    log_mass, target = made_up_target()
    both = score(log_mass, target, symbolic=False)
    alone = score(log_mass[1:], Target(*(a[1:] for a in target)), symbolic=False)
    for one, two in zip(alone, both, strict=True):
        np.testing.assert_allclose(one[0], two[1], atol=1e-12, equal_nan=True)


def test_sparse_laws_stand_at_their_items():
    laws = RANDOM.normal(size=(SEEDS, 2, 3, BINS))
    rows = spread_out(laws, np.array([5, 20]), STEPS)
    np.testing.assert_array_equal(rows[:, 5:8], laws[:, 0])
    np.testing.assert_array_equal(rows[:, 20:23], laws[:, 1])
    assert np.isnan(np.delete(rows, [5, 6, 7, 20, 21, 22], axis=1)).all()


def calibrated(temperature: float):
    """Values drawn from the law; the predictor states it at another temperature."""
    log_mass, target = made_up_target(sharp=2.0)
    tempered = log_mass / temperature
    tempered -= np.log(np.exp(tempered).sum(axis=-1, keepdims=True))
    return calibration_of(tempered, score(tempered, target, symbolic=False), target, (5, 5))


@pytest.mark.slow
def test_a_law_that_is_too_sure_is_found_out():
    """The second half is 40 values: the temperature is found within its sampling error, coverage falls short."""
    honest, sure = calibrated(1.0), calibrated(0.4)
    assert honest.ks < 1.3 * honest.ks_uniform
    assert 0.7 < honest.mass_temperature < 1.4
    assert 1.7 < sure.mass_temperature < 3.5
    assert sure.coverage[-1] < 0.85 < honest.coverage[-1]
    assert (sure.sharpness < honest.sharpness).all()
    assert honest.levels.tolist() == list(LEVELS)
    assert np.isnan(honest.pit[:, : STEPS // 2]).all()
    assert ((honest.pit[:, STEPS // 2 :] >= 0) & (honest.pit[:, STEPS // 2 :] <= 1)).all()
