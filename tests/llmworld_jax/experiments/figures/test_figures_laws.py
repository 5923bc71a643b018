"""Predicted laws: on their own axis, beside the truth and the ideal observer, and as a digit tree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.experiments import law_figures, tree_figure

CHAIN, NUMBERS, POINT = "markov_chain_low_entropy", "noisy_logistic_map", "logistic_map"


@pytest.fixture(scope="module")
def results(made_up):
    return {r.name: r for r in made_up(NUMBERS, POINT, CHAIN)}


@pytest.mark.parametrize("name", [NUMBERS, CHAIN])
def test_bands_show_the_last_items_on_their_own_axis(results, drawn, name):
    r = results[name]
    (figure,), _ = drawn(law_figures.band_figure, r, last=30)
    axis, bar = figure.axes
    assert axis.get_xlabel() == "item"
    assert axis.get_ylabel() == ("symbol" if r.symbolic else "value")
    assert bar.get_ylabel() == "predicted mass per bin"
    np.testing.assert_allclose(axis.lines[0].get_ydata() - (0.5 if r.symbolic else 0), r.observed[0, -30:])
    mass = np.exp(r.log_mass[0, -30:]).T
    np.testing.assert_allclose(axis.collections[0].get_array().reshape(mass.shape), mass)


def stairs_of(axis) -> dict[str, np.ndarray]:
    return {patch.get_label(): patch.get_data().values for patch in axis.patches}


@pytest.mark.parametrize("name", [NUMBERS, POINT, CHAIN])
def test_laws_stand_beside_the_truth_and_the_ideal_observer(results, drawn, name):
    r = results[name]
    (figure,), _ = drawn(law_figures.law_figure, r)
    shown = law_figures.shown_contexts(60)
    assert (shown[0], shown[-1]) == (5, 59)
    assert [axis.get_title(loc="left") for axis in figure.axes] == [f"after {t} items" for t in shown]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"model", "truth", "ideal observer"}
    for axis, t in zip(figure.axes, shown, strict=True):
        found = stairs_of(axis)
        np.testing.assert_allclose(found["model"], np.exp(r.log_mass[0, t]))
        np.testing.assert_allclose(found["ideal observer"], np.exp(r.observer.log_mass[0, t]))
        assert axis.get_ylim()[1] >= found["model"].max()
        if name == POINT:
            np.testing.assert_allclose(axis.lines[0].get_xdata(), r.truth.mean[0, t])
        else:
            np.testing.assert_allclose(found["truth"], r.truth.mass[0, t])


def test_the_truth_that_is_shown_is_the_one_that_is_scored_against(results):
    other = np.zeros_like(results[POINT].truth.mass)
    r = results[POINT]._replace(
        truth_kind="given_quantised_past", truth=results[POINT].truth._replace(quantised_mass=other)
    )
    assert law_figures.truth_mass(r) is other  # no point any more
    assert law_figures.truth_mass(results[POINT]) is None
    assert law_figures.truth_mass(results[NUMBERS]) is results[NUMBERS].truth.mass


@pytest.mark.parametrize("precision", [2, 3])
def test_the_tree_shows_one_law_at_every_number_of_digits(made_up, drawn, precision):
    (r,) = made_up(NUMBERS, precision=precision)
    (figure,), _ = drawn(tree_figure.tree_figure, r)
    t = tree_figure.typical_state(r)
    mass = np.exp(r.log_mass[0, t])
    panels = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert len(panels) == precision + 1
    for level, axis in enumerate(panels[:-1], start=1):
        model, truth = axis.patches[:2]
        assert len(model.get_data().values) == 10**level
        shown = model.get_data().values * np.diff(model.get_data().edges)
        np.testing.assert_allclose(shown, mass.reshape(10**level, -1).sum(axis=1))
        np.testing.assert_allclose(truth.get_data().values * np.diff(r.edges[0]), r.truth.mass[0, t])
    bars = panels[-1].patches[: 10 + 9 * (precision - 1)]
    np.testing.assert_allclose(sum(bar.get_width() * bar.get_height() for bar in bars), mass.sum())
    digits = " ".join(str(r.codes[0, t]).zfill(precision))
    assert f"written: {digits}" in {text.get_text() for text in figure.legends[0].get_texts()}


@settings(deadline=None, max_examples=15)
@given(st.sampled_from([1, 2, 3]), st.integers(0, 999), st.integers(0, 2**32 - 1))
def test_the_mixed_law_keeps_all_mass_and_is_finest_at_the_number(places, number, seed):
    size, code = 10**places, number % 10**places
    mass = np.random.default_rng(seed).dirichlet(np.ones(size))
    law = tree_figure.mixed_law(mass, np.linspace(-1, 1, size + 1), code)
    widths = np.diff(law.edges)
    np.testing.assert_allclose((law.density * widths).sum(), 1)
    assert len(law.density) == 10 + 9 * (places - 1)
    np.testing.assert_allclose(widths, 2 / 10.0**law.digits)
    at = np.searchsorted(law.edges, -1 + 2 * (code + 0.5) / size) - 1
    assert law.digits[at] == places
    np.testing.assert_allclose(law.density[at] * widths[at], mass[code])


def test_the_typical_state_is_late_and_neither_lucky_nor_unlucky(results):
    r = results[NUMBERS]
    t = tree_figure.typical_state(r, seed=1)
    late = r.loss[1, 30:]
    assert t >= 30
    assert np.abs(r.loss[1, t] - np.median(late)) == np.abs(late - np.median(late)).min()
