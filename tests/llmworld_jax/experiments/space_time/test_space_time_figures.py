"""All pictures of made-up results: that they are pictures, that they repeat, and that they fit the page."""

import numpy as np
import pytest
from matplotlib.text import Text

from llmworld_jax.experiments import figure_style
from llmworld_jax.experiments.space_time import (
    control_figures,
    curve_figures,
    date_figures,
    holdout_figures,
    layer_figures,
    map_figures,
    neuron_figures,
)

from ..drawing import DOTS_PER_INCH, legends_are_clear, size_of

pytestmark = pytest.mark.slow  # one interpreter is enough


@pytest.fixture(scope="module")
def everything(made_up_study, sketched):
    """Name of the figure -> (figure, PNG); the same drawings that the tests of single figures look at."""
    place, time = made_up_study("place"), made_up_study("time")
    calls = {
        "map": (map_figures.map_figure, place),
        "dates": (date_figures.date_figure, time),
        "layers": (layer_figures.layer_figure, place),
        "layers of one target": (layer_figures.layer_figure, time),
        "directions": (layer_figures.cosine_figure, place),
        "controls": (control_figures.control_figure, place),
        "left out places": (holdout_figures.holdout_figure, place, "country"),
        "left out times": (holdout_figures.holdout_figure, time, "century"),
        "left out, errors": (holdout_figures.holdout_error_figure, time, "century"),
        "curves": (curve_figures.curve_figure, place),
        "neurons": (neuron_figures.neuron_figure, place),
        "neurons of times": (neuron_figures.neuron_figure, time),
    }
    return {name: sketched(*call) for name, call in calls.items()}


def test_pictures_fit_the_page(everything):
    for name, (figure, png) in everything.items():
        assert size_of(png)[0] == figure_style.WIDTH * DOTS_PER_INCH, name
        drawn = figure.get_tightbbox()
        assert 6.0 < drawn.width < 1.03 * figure_style.WIDTH, name
        assert 2 < drawn.height < 9, name


def test_no_legend_covers_a_panel(everything):
    for name, (figure, _) in everything.items():
        assert legends_are_clear(figure), name


def test_every_panel_says_what_its_axes_are(everything):
    for name, (figure, _) in everything.items():
        whole = (figure.get_supxlabel(), figure.get_supylabel())
        panels = [axis for axis in figure.axes if axis.get_subplotspec() is not None]
        assert whole[0] or any(axis.get_xlabel() for axis in panels), name
        # Bars and strips are named one by one.
        named = any(len(label.get_text()) > 3 for axis in panels for label in axis.get_yticklabels())
        assert whole[1] or any(axis.get_ylabel() for axis in panels) or named, name


def test_no_title_meets_another_text(everything):
    """Headings of neighbouring panels are the first to run into each other."""
    for name, (figure, _) in everything.items():
        renderer = figure.canvas.get_renderer()
        headings = {axis.get_title(loc="left") for axis in figure.axes} - {""}
        words = [text for axis in figure.axes for text in axis.get_children() if isinstance(text, Text)]
        boxes = [text.get_window_extent(renderer) for text in words if text.get_text() in headings]
        assert len(boxes) >= len(headings)
        for k, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:k]), name


def test_equal_results_give_equal_bytes_and_leave_nothing_open(made_up_study, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.setattr(control_figures, "png", figure_style.png)
    before = plt.get_fignums()
    picture = control_figures.control_figure(made_up_study("place"))
    assert control_figures.control_figure(made_up_study("place")) == picture
    assert abs(size_of(picture)[0] - figure_style.WIDTH * figure_style.DOTS_PER_INCH) < 60
    assert plt.get_fignums() == before


def test_what_was_never_tested_is_not_drawn(made_up_study, sketched):
    """One split of the file's own: three quarters of the entities have no prediction."""
    r = made_up_study("place", folds=4)
    lone = np.where(r.fold == 0, 0, -1)
    final = np.where((lone == 0)[:, None], r.sweep.final, np.nan)
    one = r._replace(fold=lone, sweep=r.sweep._replace(
        final=final, r2=r.sweep.r2[:1], rho=r.sweep.rho[:1], chosen=r.sweep.chosen[:1],
        predictions=np.where((lone == 0)[:, None], r.sweep.predictions, np.nan),
    ))  # fmt: skip
    figure, _ = sketched(map_figures.map_figure, one)
    for axis, behind in zip(figure.axes, (0, 1), strict=True):
        assert len(axis.collections[behind].get_offsets()) == (lone == 0).sum()
    figure, _ = sketched(layer_figures.layer_figure, one)
    assert len(figure.axes) == 2


def test_a_representation_that_says_nothing_can_be_drawn(made_up_study, sketched):
    """The embedding of one and the same last token: constant predictions, which have no rank correlation."""
    r = made_up_study("time")
    rho = r.sweep.rho.copy()
    rho[:, 0] = np.nan
    scores = r.controls[1].scores
    constant = r.controls[2]._replace(scores=scores._replace(rho=np.full(3, np.nan)))
    silent = r._replace(sweep=r.sweep._replace(rho=rho), controls=(*r.controls[:2], constant, *r.controls[3:]))
    figure, png = sketched(layer_figures.layer_figure, silent)
    assert np.isfinite(figure.axes[1].get_ylim()).all()
    assert not any("nan" in text.get_text() for axis in figure.axes for text in axis.texts)
    assert size_of(png)[0] > 0
