"""All pictures of made-up results: that they are pictures, that they repeat, and that they fit the page."""

import pytest

from llmworld_jax.experiments import (
    calibration_figures,
    figure_style,
    law_figures,
    learning_figures,
    scaling_figures,
    state_figures,
    transition_figures,
    tree_figure,
)

from ..drawing import DOTS_PER_INCH, legends_are_clear, size_of

NUMBERS, CHAIN = "noisy_logistic_map", "markov_chain_low_entropy"


@pytest.fixture(scope="module")
def everything(made_up, drawn):
    """Name of the figure -> (figure, PNG); the same drawings that the tests of single figures look at."""
    three = made_up(NUMBERS, "logistic_map", CHAIN)
    numbers, point, chain = three
    (alone,), (lone_chain,), (fine,) = made_up(NUMBERS), made_up(CHAIN), made_up(NUMBERS, precision=3)
    calls = {
        "learning": (learning_figures.learning_figure, three),
        "regret": (learning_figures.regret_figure, three),
        "off_grid": (learning_figures.off_grid_figure, three),
        "scaling": (scaling_figures.scaling_figure, three),
        "laws": (law_figures.law_figure, numbers),
        "laws of a point": (law_figures.law_figure, point),
        "laws of a chain": (law_figures.law_figure, chain),
        "tree of three digits": (tree_figure.tree_figure, fine),
        "sigma": (state_figures.sigma_figure, alone),
        "kurtosis": (state_figures.kurtosis_figure, alone),
        "calibration": (calibration_figures.calibration_figure, alone),
        "transition": (transition_figures.transition_figure, lone_chain),
    }
    found = {}
    for name, (function, argument) in calls.items():
        figures, pngs = drawn(function, argument)
        found[name] = (figures[0], pngs[0])
    return found


def test_pictures_fit_the_page(everything):
    for name, (figure, png) in everything.items():
        assert size_of(png)[0] == figure_style.WIDTH * DOTS_PER_INCH, name
        drawn = figure.get_tightbbox()
        assert 6.5 < drawn.width < 1.03 * figure_style.WIDTH, name
        assert 2 < drawn.height < 10, name


def test_no_legend_covers_a_panel(everything):
    for name, (figure, _) in everything.items():
        assert legends_are_clear(figure), name


def test_every_panel_says_what_its_axes_are(everything):
    for name, (figure, _) in everything.items():
        whole = (figure.get_supxlabel(), figure.get_supylabel())
        columns = [axis for axis in figure.axes if axis.get_subplotspec() is not None]
        assert whole[0] or any(axis.get_xlabel() for axis in columns), name
        assert whole[1] or any(axis.get_ylabel() for axis in columns), name


def test_equal_results_give_equal_bytes_and_leave_nothing_open(made_up, monkeypatch):
    import matplotlib.pyplot as plt

    (r,) = made_up(NUMBERS)
    monkeypatch.setattr(law_figures, "png", figure_style.png)
    before = plt.get_fignums()
    picture = law_figures.band_figure(r, last=20)
    assert law_figures.band_figure(r, last=20) == picture
    assert 5_000 < len(picture) < 200_000
    assert abs(size_of(picture)[0] - figure_style.WIDTH * figure_style.DOTS_PER_INCH) < 60
    assert plt.get_fignums() == before


def test_a_single_short_series_can_be_drawn(made_up, drawn):
    """One seed has no band, five items no decade."""
    short = made_up(NUMBERS, seeds=1, steps=50)
    for function, argument in (
        (learning_figures.learning_figure, short),
        (scaling_figures.scaling_figure, short),
        (law_figures.law_figure, short[0]),
    ):
        _, (png,) = drawn(function, argument)
        assert size_of(png)[0] > 6 * DOTS_PER_INCH
    assert law_figures.shown_contexts(4) == (3,)
