"""Scaling fits: the bins, bands and exponents that are drawn are those that were fitted."""

import numpy as np
import pytest

from llmworld_jax.experiments import figure_style, scaling_figures
from llmworld_jax.experiments.learning import Exponent
from llmworld_jax.experiments.scaling_fits import ESTIMATORS

NAMES = ("noisy_logistic_map", "logistic_map", "markov_chain_low_entropy")


@pytest.fixture(scope="module")
def results(made_up):
    return made_up(*NAMES)


@pytest.fixture(scope="module")
def axes(results, drawn):
    (figure,), _ = drawn(scaling_figures.scaling_figure, results)
    return figure.axes


def test_means_stand_in_their_bins_with_their_intervals(results, axes):
    for axis, r in zip(axes, results, strict=True):
        assert axis.get_title(loc="left") == figure_style.title(r.name)
        assert (axis.get_xlabel(), axis.get_ylabel()) == (
            "context length (items read)",
            figure_style.LOSS_LABEL[r.loss_name],
        )
        dots, _, (bars,) = axis.containers[0]
        np.testing.assert_allclose(dots.get_xdata(), r.fits.bins.context)
        np.testing.assert_allclose(dots.get_ydata(), r.fits.bins.mean)
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends, np.stack((r.fits.bins.low, r.fits.bins.high), axis=1))
        low, high = axis.get_ylim()
        assert low < r.fits.bins.mean.min()
        assert high > r.fits.bins.mean.max()


def test_every_fit_has_its_line_band_and_exponent_in_its_colour(results, axes):
    from matplotlib.colors import to_hex

    for axis, r in zip(axes, results, strict=True):
        lines = {line.get_label(): line for line in axis.lines}
        assert len(axis.collections) == len(ESTIMATORS) + 1  # the bands, and the bars
        for name, exponent in zip(ESTIMATORS, (r.fits.published, r.fits.log_log, r.fits.plateau), strict=True):
            line = lines[f"{name} fit"]
            np.testing.assert_allclose(line.get_ydata(), r.fits.curves[name].median)
            (note,) = (t for t in axis.texts if t.get_text().startswith(f"{name}:"))
            assert f"{exponent.value:.2f}".replace("-", "−") in note.get_text()
            assert to_hex(note.get_color()) == to_hex(line.get_color()) == scaling_figures.FIT_COLORS[name]
        assert ("resolution floor" in lines) == (not r.symbolic)


def test_one_series_has_exponents_without_intervals_and_no_bands(made_up, drawn):
    (figure,), _ = drawn(scaling_figures.scaling_figure, made_up("noisy_logistic_map", seeds=1, steps=50))
    (axis,) = figure.axes
    assert len(axis.collections) == 1
    assert not any("[" in text.get_text() for text in axis.texts)


def test_exponents_are_spelled_with_their_intervals():
    nan = float("nan")
    assert scaling_figures.spelled(Exponent(-0.531, -0.6, -0.449, 1, 1)) == "α = −0.53 [−0.60, −0.45]"
    assert scaling_figures.spelled(Exponent(0.5, nan, nan, 1, 1)) == "α = 0.50"
    assert scaling_figures.spelled(Exponent(nan, nan, nan, 1, 1)) == "no exponent"
