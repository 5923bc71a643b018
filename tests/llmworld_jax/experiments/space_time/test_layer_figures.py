"""Scores against depth, controls as level lines, and the cosines of probe directions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from llmworld_jax.experiments.space_time import describing, layer_figures, margin_labels

pytestmark = pytest.mark.slow  # one interpreter is enough


@pytest.fixture(scope="module")
def drawn_layers(made_up_study, sketched):
    r = made_up_study("place")
    return r, sketched(layer_figures.layer_figure, r)[0]


def labels_of(axis):
    return [text.get_text() for text in axis.texts]


def test_curves_are_means_over_folds_and_targets(drawn_layers):
    r, figure = drawn_layers
    for axis, each in zip(figure.axes, (r.sweep.r2, r.sweep.rho), strict=True):
        thick = next(line for line in axis.lines if line.get_linewidth() == 2)
        np.testing.assert_allclose(thick.get_ydata(), each.mean(axis=(0, 2)))
        np.testing.assert_array_equal(thick.get_xdata(), np.arange(each.shape[1]))
        band = axis.collections[-1].get_paths()[0].vertices
        top = each.mean(axis=2).mean(axis=0) + each.mean(axis=2).std(axis=0, ddof=1)
        assert np.isclose(band[:, 1].max(), top.max())


def test_every_computed_control_is_a_line_with_its_name(drawn_layers):
    r, figure = drawn_layers
    text = labels_of(figure.axes[0])
    for control in r.controls:
        value = control.scores.r2.mean()
        if control.role == "model":
            assert not any(label.startswith(control.name) for label in text)
        elif control.missing:
            assert not any(control.name in label for label in text)
        elif "twin" in control.name:  # a curve of its own
            assert f"{control.name} {r.twin.r2[:, -1].mean():.2f}" in text
        elif value >= layer_figures.LOWEST:
            assert f"{control.name} {describing.number(value)}" in " ".join(text)
            assert any(np.allclose(line.get_ydata(), value) for line in figure.axes[0].lines)
        else:
            assert any("below" in label and control.name in label for label in text)


def test_without_a_twins_curve_it_is_a_level_line(made_up_study, sketched):
    r = made_up_study("time")._replace(twin=None)
    figure, _ = sketched(layer_figures.layer_figure, r)
    twin = next(c for c in r.controls if "twin" in c.name)
    assert f"{twin.name} {twin.scores.r2.mean():.2f}" in labels_of(figure.axes[0])


def test_chosen_layers_are_marked(drawn_layers):
    r, figure = drawn_layers
    for axis in figure.axes:
        marks = next(line for line in axis.lines if line.get_marker() == "^")
        np.testing.assert_array_equal(marks.get_xdata(), np.unique(r.sweep.chosen))
    assert any("layers 2–3" in label for label in labels_of(figure.axes[0]))


def test_names_beside_the_panel_do_not_meet(drawn_layers):
    _, figure = drawn_layers
    renderer = figure.canvas.get_renderer()
    for axis in figure.axes:
        beside = [text for text in axis.texts if text.get_position()[0] > 1]  # in axes fractions
        words = [Text.get_window_extent(text, renderer) for text in beside]  # without the line to the panel
        boxes = sorted(words, key=lambda box: box.y0)
        assert len(boxes) >= 8
        assert all(low.y1 <= high.y0 + 2 for low, high in itertools.pairwise(boxes))


def test_a_score_far_below_does_not_flatten_the_panel(made_up_study, sketched):
    r = made_up_study("time")
    scores = r.controls[0].scores._replace(r2=np.full(3, -40.0))
    worst = r.controls[-2]._replace(role="control", name="nonsense", scores=scores)
    figure, _ = sketched(layer_figures.layer_figure, r._replace(controls=(*r.controls, worst)))
    assert figure.axes[0].get_ylim()[0] >= layer_figures.LOWEST
    assert any("below" in label and "nonsense −40.00" in label for label in labels_of(figure.axes[0]))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_labels_move_apart_and_stay_in_order(heights):
    heights = np.array(heights)
    placed = margin_labels.apart(heights, 0.1, 0.0, 1.0)
    order = np.argsort(heights, kind="stable")
    assert (np.diff(placed[order]) >= 0.1 - 1e-9).all()
    assert placed.min() >= -1e-9
    assert placed.max() <= 1 + 1e-9


def test_labels_that_have_room_stay_where_they_are():
    heights = np.array([0.9, 0.1, 0.5])
    np.testing.assert_allclose(margin_labels.apart(heights, 0.1, 0.0, 1.0), heights)
    np.testing.assert_allclose(margin_labels.apart(np.array([0.5, 0.5]), 0.1, 0.0, 1.0), [0.45, 0.55])


def test_cosines_are_those_of_the_directions(made_up_study, sketched):
    r = made_up_study("place")
    cosines = layer_figures.direction_cosines(r.sweep.directions)
    a, b = r.sweep.directions[1, :, 0], r.sweep.directions[3, :, 0]
    assert cosines[0, 1, 3] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
    np.testing.assert_allclose(np.diagonal(cosines, axis1=1, axis2=2), 1)
    figure, _ = sketched(layer_figures.cosine_figure, r)
    for axis, matrix in zip(figure.axes, cosines, strict=False):
        np.testing.assert_allclose(axis.images[0].get_array(), matrix)
        assert axis.images[0].get_clim() == (-1, 1)
        assert f"{np.diagonal(matrix, 1).mean():.2f} on average" in axis.texts[0].get_text()


def test_a_probe_that_reads_nothing_has_no_direction():
    directions = np.ones((2, 3, 1))
    directions[1] = 0
    cosines = layer_figures.direction_cosines(directions)[0]
    assert cosines[0, 0] == pytest.approx(1)
    assert np.isnan(cosines[0, 1])
