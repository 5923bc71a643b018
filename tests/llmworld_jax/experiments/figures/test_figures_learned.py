"""What was learned of the noise, of a chain, and how far probabilities can be trusted: checked on known laws."""

import numpy as np
import pytest
from scipy import stats

from llmworld_jax.experiments import calibration_figures, state_figures, transition_figures

CHAIN, NUMBERS = "markov_chain_low_entropy", "noisy_logistic_map"


@pytest.fixture(scope="module")
def numbers(made_up):
    return made_up(NUMBERS)[0]


@pytest.fixture(scope="module")
def chain(made_up):
    return made_up(CHAIN)[0]


def test_who_knows_the_chain_has_learned_its_matrix(chain):
    knowing = chain._replace(log_mass=np.log(chain.truth.mass))
    learned, count = transition_figures.learned_matrix(knowing, 1)
    true = transition_figures.true_matrix(chain, 1)
    late = chain.codes[1, 29:-1]
    np.testing.assert_array_equal(count, [(late == s).sum() for s in range(4)])
    seen = count > 0
    np.testing.assert_allclose(learned[seen], true[seen], atol=1e-6)
    assert np.isnan(learned[~seen]).all()


def test_a_symbol_that_never_came_has_no_row(chain):
    codes = np.where(chain.codes == 3, 0, chain.codes)
    true = transition_figures.true_matrix(chain._replace(codes=codes), 0)
    assert np.isnan(true[3]).all()
    assert np.isfinite(true[:3]).any()


def test_matrices_are_written_out_with_the_misplaced_mass(chain, drawn):
    (figure,), _ = drawn(transition_figures.transition_figure, chain)
    learned, true, difference = figure.axes[:3]
    assert [a.get_title(loc="left") for a in (learned, true, difference)] == ["Learned", "True", "Learned − true"]
    matrix = transition_figures.learned_matrix(chain, 0)[0]
    for axis, shown in ((learned, matrix), (true, transition_figures.true_matrix(chain, 0))):
        np.testing.assert_allclose(axis.images[0].get_array(), shown)
        assert [t.get_text() for t in axis.texts] == [f"{x:.2f}" for x in shown.ravel()]
    misplaced = np.abs(matrix - transition_figures.true_matrix(chain, 0)).sum(axis=1) / 2
    (right,) = difference.child_axes
    assert [label.get_text() for label in right.get_yticklabels()] == [f"{d:.2f}" for d in misplaced]


def test_a_small_negative_difference_is_no_minus_zero():
    assert transition_figures._spelled(-0.004, signed=True) == "0.00"
    assert transition_figures._spelled(-0.016, signed=True) == "−0.02"
    assert transition_figures._spelled(0.016, signed=True) == "+0.02"
    assert transition_figures._spelled(float("nan"), signed=False) == "–"


def test_sigma_stands_against_the_value_before(numbers, drawn):
    (figure,), _ = drawn(state_figures.sigma_figure, numbers)
    (axis,) = figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    dots = lines["model, one item each"]
    np.testing.assert_allclose(dots.get_xdata(), numbers.observed[:, 29:-1].ravel())
    np.testing.assert_allclose(dots.get_ydata(), numbers.scores.sd[:, 30:].ravel())
    truth = lines["true law"]
    np.testing.assert_allclose(truth.get_ydata(), 0.0136 * 3.9 * np.abs(1 - 2 * truth.get_xdata()) + 2e-3)
    assert (np.diff(truth.get_xdata()) >= 0).all()
    assert (axis.get_xscale(), axis.get_yscale()) == ("linear", "linear")
    np.testing.assert_allclose(lines["a law inside one bin"].get_ydata(), np.diff(numbers.edges).mean() / np.sqrt(12))


def test_series_of_different_scales_are_drawn_in_units_of_their_own_range(made_up, drawn):
    r = made_up("geometric_brownian_motion")[0]
    before = np.concatenate((r.observed[:, :1], r.observed[:, :-1]), axis=1)
    unit = np.ptp(r.edges, axis=1)[:, None]
    r = r._replace(truth=r.truth._replace(sd=0.1 * before), scores=r.scores._replace(sd=0.2 * unit + 0 * before))
    (figure,), _ = drawn(state_figures.sigma_figure, r)
    (axis,) = figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    np.testing.assert_allclose(lines["model, one item each"].get_ydata(), 0.2)
    truth = lines["true law"]
    np.testing.assert_allclose(truth.get_ydata(), 0.1 * truth.get_xdata())
    assert axis.get_xlabel() == "value before / written range"


def test_noise_in_proportion_to_the_state_is_drawn_on_logarithmic_axes():
    x = np.geomspace(1, 10, 20)
    assert state_figures.scales_with_state(x, 0.3 * x)
    assert not state_figures.scales_with_state(x, np.full(20, 0.3))
    assert not state_figures.scales_with_state(-x, 0.3 * x)
    assert not state_figures.scales_with_state(np.full(20, 3.0), np.full(20, 0.9))


def test_kurtosis_of_known_laws():
    edges = np.linspace(-9, 9, 2001)
    gaussian, logistic = (np.diff(law.cdf(edges)) for law in (stats.norm, stats.logistic(scale=0.4)))
    one_bin = np.eye(2000)[700]
    mass = np.stack((gaussian, logistic / logistic.sum(), one_bin))[None]
    found = state_figures.law_kurtosis(mass, edges[None])[0]
    np.testing.assert_allclose(found, (3, 4.2, 1.8), rtol=2e-3)


def test_kurtosis_has_its_references(numbers, drawn):
    (figure,), _ = drawn(state_figures.kurtosis_figure, numbers)
    (axis,) = figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    assert set(lines["3, any Gaussian law"].get_ydata()) == {3.0}
    np.testing.assert_allclose(lines["model, one item"].get_ydata(), numbers.scores.kurtosis[:, 1:].ravel())
    medians = lines["model, median of 20 items"].get_ydata()
    np.testing.assert_allclose(medians[-1], np.median(numbers.scores.kurtosis[:, -20:]))
    assert "true law on the same bins" in lines


def test_calibration_shows_pit_values_and_coverage(numbers, drawn):
    (figure,), _ = drawn(calibration_figures.calibration_figure, numbers)
    histogram, curve, bars = figure.axes
    pit, c = calibration_figures.late_pit(numbers), numbers.calibration
    assert pit.size == 2 * 30
    heights = histogram.patches[0].get_data().values
    np.testing.assert_allclose(heights, np.histogram(pit, 20, (0, 1), density=True)[0])
    model = curve.lines[-1]
    np.testing.assert_allclose(model.get_ydata(), [(pit <= u).mean() for u in model.get_xdata()])
    assert [bar.get_height() for bar in bars.patches[:4]] == c.coverage.tolist()
    assert [label.get_text() for label in bars.get_xticklabels()] == ["50 %", "80 %", "90 %", "95 %"]


def test_the_band_of_a_histogram_holds_its_share_of_uniform_values():
    low, high = calibration_figures.uniform_band(600, 1 / 20)
    inside = stats.binom.cdf(high * 30, 600, 1 / 20) - stats.binom.cdf(low * 30, 600, 1 / 20)
    assert 0.93 < inside < 0.97
