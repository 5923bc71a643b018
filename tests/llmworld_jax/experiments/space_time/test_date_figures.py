"""Dates and numbers: true against predicted, whole and enlarged."""

import numpy as np
import pytest
from scipy import stats

from llmworld_jax.experiments.space_time import date_figures

pytestmark = pytest.mark.slow  # one interpreter is enough


@pytest.fixture(scope="module")
def drawn_dates(made_up_study, sketched):
    r = made_up_study("time")
    return r, sketched(date_figures.date_figure, r)[0]


def test_all_are_drawn_and_the_central_part_again(drawn_dates):
    r, figure = drawn_dates
    whole, zoomed = figure.axes
    pairs = np.column_stack((r.table.targets[:, 0], r.sweep.final[:, 0]))
    np.testing.assert_allclose(whole.collections[0].get_offsets(), pairs)
    low, high = zoomed.get_xlim()
    inside = (pairs[:, 0] >= low) & (pairs[:, 0] <= high)
    assert 0.9 < inside.mean() < 1
    np.testing.assert_allclose(zoomed.collections[0].get_offsets(), pairs[inside])
    low, high = whole.get_xlim()
    assert low < pairs.min()
    assert high > pairs.max()


def test_the_line_is_where_a_perfect_probe_would_be(drawn_dates):
    _, figure = drawn_dates
    for axis in figure.axes:
        line = next(line for line in axis.lines if line.get_label() == "predicted = true")
        np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
        assert axis.get_xlim() == axis.get_ylim() == tuple(line.get_xdata())


def test_rank_correlation_is_that_of_what_is_shown(drawn_dates):
    r, figure = drawn_dates
    whole, zoomed = (axis.texts[0].get_text() for axis in figure.axes)
    assert f"ρ {r.controls[0].scores.rho.mean():.2f} ± " in whole
    shown = figure.axes[1].collections[0].get_offsets()
    assert f"ρ {stats.spearmanr(*shown.T).statistic:.2f} among these" in zoomed


def test_years_before_christ_are_explained(drawn_dates, made_up_study, sketched):
    _, figure = drawn_dates
    assert figure.axes[0].get_xlabel() == "true death year (years, negative = BC)"
    numbers, _ = sketched(date_figures.date_figure, made_up_study("number"))
    assert numbers.axes[0].get_xlabel() == "true death year (people)"


def test_medians_of_a_monotone_map_lie_on_it():
    truth = np.random.default_rng(0).permutation(np.arange(120.0))
    x, y = date_figures.medians(truth, 2 * truth - 5)
    assert len(x) == 12
    np.testing.assert_allclose(y, 2 * x - 5)
    assert (np.diff(x) > 0).all()
    x, _ = date_figures.medians(truth[:5], truth[:5])
    np.testing.assert_allclose(x, np.sort(truth[:5]))


def test_the_central_range_drops_two_and_a_half_per_cent_a_side():
    values = np.arange(1001.0)
    low, high = date_figures.central_range(values)
    assert low == pytest.approx(25 - 0.02 * 950)
    assert high == pytest.approx(975 + 0.02 * 950)
    assert np.diff(date_figures.central_range(np.full(5, 7.0))) > 0
