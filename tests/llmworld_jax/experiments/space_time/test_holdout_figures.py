"""Groups that were left out: the largest are shown, where they are and where they are put."""

import numpy as np
import pytest

from llmworld_jax.experiments.space_time import holdout_figures

pytestmark = pytest.mark.slow  # one interpreter is enough


@pytest.fixture(scope="module")
def places(made_up_study):
    return made_up_study("place")


@pytest.fixture(scope="module")
def times(made_up_study):
    return made_up_study("time")


def test_the_largest_come_first(places):
    blocks = places.blocks["country"]
    sizes = [len(block.rows) for block in holdout_figures.largest(blocks, 3)]
    assert sizes == sorted((len(block.rows) for block in blocks), reverse=True)[:3]


def test_each_map_has_true_and_predicted_places_and_the_mean(places, sketched):
    figure, _ = sketched(holdout_figures.holdout_figure, places, "country")
    blocks = holdout_figures.largest(places.blocks["country"])
    assert len(figure.axes) == len(blocks)
    for axis, block in zip(figure.axes, blocks, strict=True):
        behind, predicted, true = (c.get_offsets() for c in axis.collections)
        assert len(behind) == len(places.table)
        np.testing.assert_allclose(predicted, block.held_out)
        np.testing.assert_allclose(true, places.table.targets[block.rows])
        cross = next(line for line in axis.lines if line.get_marker() == "x")
        np.testing.assert_allclose(cross.get_xydata()[0], block.training_mean)
        assert f"({len(block.rows)})" in axis.get_title(loc="left")
        pe = f"PE {block.nominal_proximity:.2f} → {block.held_out_proximity:.2f}"
        assert pe in [text.get_text() for text in axis.texts]
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert any("a very long name…" in title for title in titles)


def test_strips_are_in_the_order_of_time(times, sketched):
    figure, _ = sketched(holdout_figures.holdout_figure, times, "century")
    (axis,) = figure.axes
    names = [label.get_text().split(" ")[0] for label in axis.get_yticklabels()]
    assert [int(name) for name in names] == sorted(int(name) for name in names)
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    medians = {round(float(line.get_xdata()[0]), 6) for line in dots}
    for block in times.blocks["century"]:
        assert round(float(np.median(block.held_out)), 6) in medians
        assert round(float(np.median(block.nominal)), 6) in medians
    low, high = axis.get_xlim()
    shown = np.concatenate([times.table.targets[block.rows, 0] for block in times.blocks["century"]])
    assert low <= shown.min()
    assert high >= shown.max()


def test_errors_with_and_without_the_group_are_joined(times, sketched):
    figure, _ = sketched(holdout_figures.holdout_error_figure, times, "century")
    (axis,) = figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    blocks = sorted(times.blocks["century"], key=lambda block: block.held_out_proximity)
    after = lines["whole group left out"].get_xdata()
    np.testing.assert_allclose(sorted(after), [block.held_out_proximity for block in blocks])
    before = lines["others of the group in training"].get_xdata()
    np.testing.assert_allclose(2 * before, after)
    assert set(lines["chance"].get_xdata()) == {0.5}
    assert axis.get_xlim()[0] == 0
    assert axis.get_xlim()[1] > 0.5


def test_a_group_of_one_can_be_drawn(places, times, sketched):
    for r, grouping in ((places, "country"), (times, "century")):
        block = r.blocks[grouping][0]
        one = block._replace(rows=block.rows[:1], nominal=block.nominal[:1], held_out=block.held_out[:1])
        figure, png = sketched(holdout_figures.holdout_figure, r._replace(blocks={grouping: (one,)}), grouping)
        assert len(figure.axes) == 1
        assert len(png) > 1000
