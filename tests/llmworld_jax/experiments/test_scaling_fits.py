"""Three exponents, a plateau and a table of models from the losses of several series."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import fit_power_law
from analyses.model_comparison import MODELS
from llmworld_jax.errors import InputError
from llmworld_jax.experiments.learning import learning_curve
from llmworld_jax.experiments.scaling_fits import BURN_IN, ESTIMATORS, scaling_fits

STEPS, SEEDS, WINDOW = 300, 6, 10
TIME = np.arange(STEPS)
PLATEAU, FLOOR = 0.03, 0.02


def losses(seed: int = 0, seeds: int = SEEDS) -> tuple[np.ndarray, np.ndarray]:
    """floor + 2 t^-0.9 + plateau, an amplitude for every seed and noise for every item; nothing precedes item 0."""
    random = np.random.default_rng(seed)
    law = FLOOR + 2 * np.maximum(TIME, 1) ** -0.9 + PLATEAU
    rows = law * random.lognormal(0, 0.1, (seeds, 1)) * random.gamma(10, 0.1, (seeds, STEPS))
    floor = np.full((seeds, STEPS), FLOOR)
    rows[:, 0] = floor[:, 0] = np.nan
    return rows, floor


@pytest.fixture(scope="module")
def fits(compiled_as_in_tests):
    with compiled_as_in_tests():
        return scaling_fits(*losses(), WINDOW)


@pytest.mark.slow
def test_what_was_planted_lies_inside_the_intervals(fits):
    assert fits.plateau.low < -0.9 < fits.plateau.high
    assert fits.constant.low < PLATEAU < fits.constant.high
    assert fits.constant.low >= 0
    assert fits.best == fits.simplest == "power_plateau"
    for exponent in (fits.published, fits.log_log, fits.plateau):
        assert exponent.low < exponent.value < exponent.high < 0
    # The plateau and the floor flatten the estimators that do not know them; the last one weighs late items most.
    assert fits.plateau.value < fits.published.value < fits.log_log.value
    assert fits.log_log.low > -0.9


def test_published_is_the_published_fit_on_the_published_axis(fits):
    curve = learning_curve(losses()[0], WINDOW)
    with jax.enable_x64(True):
        expected = fit_power_law(jnp.asarray(curve.context + 0.5), jnp.asarray(curve.mean))
        np.testing.assert_allclose(fits.published.value, expected.exponent, rtol=1e-9)
        np.testing.assert_allclose(fits.published.scale, expected.scale, rtol=1e-9)


def test_bins_are_means_of_the_raw_losses_with_the_interval_of_their_mean(fits):
    rows, _ = losses()
    bins = fits.bins
    assert bins.each.shape == (SEEDS, bins.context.size)
    np.testing.assert_allclose(bins.mean, bins.each.mean(axis=0), rtol=1e-12)
    edges = np.geomspace(BURN_IN, STEPS - 1, 21)
    last = rows[:, BURN_IN:][:, edges[-2] * (1 + 1e-9) <= TIME[BURN_IN:]].mean(axis=1)
    np.testing.assert_allclose(bins.each[:, -1], last, rtol=1e-12)
    assert (bins.low < bins.mean).all()
    assert (bins.mean < bins.high).all()
    error = bins.each.std(axis=0, ddof=1) / np.sqrt(SEEDS)
    assert ((bins.high - bins.low) / (2 * error) > 1.9).all()  # Student's 2.02 at 90 %, give or take the resamples
    np.testing.assert_allclose(fits.floor, FLOOR)


def test_curves_are_the_fitted_laws_with_their_bands(fits):
    assert tuple(fits.curves) == ESTIMATORS
    for name, band in fits.curves.items():
        assert band.context[[0, -1]] == pytest.approx(fits.bins.context[[0, -1]])
        assert (band.low <= band.median).all(), name
        assert (band.median <= band.high).all(), name
    context = fits.curves["published"].context
    plateau = FLOOR + context**fits.plateau.value / fits.plateau.scale + fits.constant.value
    log_log = context**fits.log_log.value / fits.log_log.scale
    published = (context + 0.5) ** fits.published.value / fits.published.scale  # its axis is half a step late
    for name, law in zip(ESTIMATORS, (published, log_log, plateau)):
        np.testing.assert_allclose(fits.curves[name].median, law, rtol=0.05, err_msg=name)


def test_the_table_has_a_row_for_every_law(fits):
    assert [row.name for row in fits.models] == list(MODELS)
    assert sum(row.weight for row in fits.models) == pytest.approx(1)
    chosen = fits.models[MODELS.index(fits.best)]
    assert chosen.score == chosen.error == 0
    assert [chosen.rate, 1 / chosen.amplitude, chosen.constant] == pytest.approx(
        [fits.plateau.value, fits.plateau.scale, fits.constant.value]
    )
    constant = fits.models[MODELS.index("constant")]
    assert constant.score > 5 * constant.error > 0
    assert np.isnan([constant.rate, constant.amplitude]).all()


def test_the_same_losses_give_the_same_intervals_and_an_unknown_floor_is_none(fits):
    rows, floor = losses()
    for ours, again in zip(scaling_fits(rows, floor, WINDOW), fits):
        np.testing.assert_equal(ours, again)
    unknown = scaling_fits(rows, np.full_like(floor, np.inf), WINDOW)
    assert unknown.constant.value == pytest.approx(fits.constant.value + FLOOR, abs=1e-6)
    assert unknown.plateau.value == pytest.approx(fits.plateau.value, abs=1e-5)
    np.testing.assert_array_equal(unknown.floor, 0)


def test_a_loss_that_rises_has_no_plateau_law(fits):
    rows, floor = losses()
    rising = scaling_fits(np.concatenate((rows[:, :1], rows[:, :0:-1]), axis=1), 0 * floor, WINDOW)
    assert np.isnan([*rising.plateau[:4], *rising.constant]).all()
    assert np.isfinite(rising.plateau.residual_rms)
    assert rising.log_log.value > 0
    assert rising.best in MODELS


@pytest.mark.slow
def test_one_seed_has_values_and_no_interval():
    rows, floor = losses(seeds=1)
    fits = scaling_fits(rows, floor, WINDOW)
    for exponent in (fits.published, fits.log_log, fits.plateau):
        assert np.isfinite(exponent.value)
        assert np.isnan([exponent.low, exponent.high]).all()
    assert np.isfinite(fits.constant.value)
    assert np.isnan([fits.constant.low, *fits.bins.low, *(row.score for row in fits.models)]).all()
    assert fits.best == fits.simplest == max(fits.models, key=lambda row: row.weight).name
    for band in fits.curves.values():
        assert np.isfinite(band.median).all()
        assert np.isnan(band.low).all()


def test_too_little_to_fit_is_refused():
    rows, floor = losses()
    with pytest.raises(InputError, match=r"Got losses \(6, 300\) and floors \(6, 299\)\. Expected"):
        scaling_fits(rows, floor[:, 1:], WINDOW)
    with pytest.raises(InputError, match=r"Got 5 scored items .*\. Expected items for at least 6 bins\. Use longer"):
        scaling_fits(rows[:, :6], floor[:, :6], 2)
