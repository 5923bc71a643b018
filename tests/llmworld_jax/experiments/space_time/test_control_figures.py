"""The control table as bars."""

import numpy as np
import pytest

from llmworld_jax.experiments.space_time import control_figures

pytestmark = pytest.mark.slow  # one interpreter is enough


@pytest.fixture(scope="module")
def drawn_bars(made_up_study, sketched):
    r = made_up_study("place")
    return r, sketched(control_figures.control_figure, r)[0].axes[0]


def test_rows_go_from_the_model_over_strong_controls_to_missing_ones(made_up_study):
    rows = control_figures.ordered(made_up_study("place"))
    assert rows[0].role == "model"
    controls = [row.scores.r2.mean() for row in rows if row.role == "control" and not row.missing]
    assert controls == sorted(controls, reverse=True)
    assert [row.role for row in rows[-3:]] == ["note", "ceiling", "control"]
    assert rows[-1].missing


def test_bars_are_means_and_dots_are_folds(drawn_bars):
    r, axis = drawn_bars
    rows = [row for row in control_figures.ordered(r) if not row.missing]
    assert len(axis.patches) == len(rows)
    for place, (bar, row) in enumerate(zip(axis.patches, rows, strict=True)):
        assert bar.get_width() == pytest.approx(row.scores.r2.mean())
        dots = [line for line in axis.lines if line.get_marker() == "o" and line.get_ydata()[0] == place - 0.2]
        np.testing.assert_allclose(dots[0].get_xdata(), row.scores.r2)


def test_what_was_not_computed_says_why(drawn_bars):
    _, axis = drawn_bars
    assert any(text.get_text() == "not computed: no file was given" for text in axis.texts)
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names[-1] == "word vectors"
    assert "group mean (ceiling)" in names
    assert "MLP probe (for comparison)" in names


def test_the_model_stands_out_and_its_line_crosses_all(drawn_bars):
    r, axis = drawn_bars
    weights = [label.get_fontweight() for label in axis.get_yticklabels()]
    assert weights == ["bold"] + ["normal"] * (len(weights) - 1)
    line = next(line for line in axis.lines if line.get_linestyle() == "--")
    assert line.get_xdata()[0] == pytest.approx(r.controls[0].scores.r2.mean())


def test_a_hopeless_row_is_cut_and_written(made_up_study, sketched):
    r = made_up_study("time")
    bad = r.controls[5]._replace(scores=r.controls[5].scores._replace(r2=np.array([-3.0, -3.5, -2.5])))
    axis = sketched(control_figures.control_figure, r._replace(controls=(r.controls[0], bad)))[0].axes[0]
    assert axis.patches[1].get_width() == control_figures.LOWEST
    assert axis.get_xlim()[0] >= control_figures.LOWEST
    assert any(text.get_text() == "−3.00 ± 0.50" for text in axis.texts)
