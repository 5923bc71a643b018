"""Maps: what is drawn is what is stored, in one colour a group, on a frame that fits."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from llmworld_jax.experiments.space_time import map_figures, palette, world_outline

pytestmark = pytest.mark.slow  # one interpreter is enough


@pytest.fixture(scope="module")
def drawn_map(made_up_study, sketched):
    r = made_up_study("place")
    return r, sketched(map_figures.map_figure, r)[0]


def test_both_maps_show_every_place_in_the_colour_of_its_group(drawn_map):
    r, figure = drawn_map
    true, predicted = figure.axes
    groups = palette.colored_groups(r)
    behind, points = predicted.collections
    np.testing.assert_allclose(true.collections[0].get_offsets(), r.table.targets)
    np.testing.assert_allclose(behind.get_offsets(), r.table.targets)
    np.testing.assert_allclose(points.get_offsets(), r.sweep.final)
    for group in groups:
        colors = {to_hex(color) for color in points.get_facecolors()[group.members]}
        assert colors == {group.color}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [*(group.label for group in groups), "true positions"]


def test_large_dots_are_medians_of_groups(drawn_map):
    r, figure = drawn_map
    for axis, places in zip(figure.axes, (r.table.targets, r.sweep.final), strict=True):
        dots = [line.get_xydata()[0] for line in axis.lines if line.get_markersize() == 8]
        wanted = [np.median(places[g.members], axis=0) for g in palette.colored_groups(r) if g.members.sum() >= 10]
        np.testing.assert_allclose(dots, wanted)


def test_small_print_says_the_scores_and_what_is_off_the_map(drawn_map, made_up_study, sketched):
    r, figure = drawn_map
    notes = [text.get_text() for text in figure.axes[1].texts]
    mean = r.controls[0].scores.r2.mean()
    assert any(f"R² {mean:.2f}" in note and " km" in note for note in notes)
    far = r.sweep.final.copy()
    far[:3] = (400, 0)
    outside, _ = sketched(map_figures.map_figure, r._replace(sweep=r.sweep._replace(final=far)))
    assert any("3 predictions off the map" in text.get_text() for text in outside.axes[1].texts)


def test_continents_colour_a_map_where_they_are_known(made_up_study):
    from dataclasses import replace

    r = made_up_study("place")
    assert palette.shown_group(r) == "country"
    table = replace(r.table, groups=r.table.groups | {"continent": np.full(60, "Asia")})
    assert palette.shown_group(r._replace(table=table)) == "continent"


def test_beyond_eight_groups_the_smallest_share_grey(made_up_study):
    from dataclasses import replace

    r = made_up_study("place")
    labels = np.array(
        [f"g{k}" for k in (*range(10), *range(8), *range(8), *range(8), *range(8), *range(8), *range(8), 0, 0)]
    )
    groups = palette.colored_groups(r._replace(table=replace(r.table, groups={"country": labels})))
    assert [g.label for g in groups] == [*(f"g{k}" for k in range(8)), "2 others"]
    assert groups[-1].color == palette.OTHER
    assert len({g.color for g in groups}) == 9
    assert sum(g.members.astype(int) for g in groups).tolist() == [1] * 60


def test_the_world_is_shown_whole_and_a_city_as_wide_as_it_is_high():
    world = world_outline.extent_of(np.array([[-120.0, 40], [150, -35]]))
    assert (world.west, world.east, world.south, world.north, world.stretch) == (-180, 180, -60, 80, 1)
    assert world_outline.is_world(world)
    assert world_outline.extent_of(np.array([[-120.0, -80], [150, 85]])).south < -80
    # 0.2° of longitude at 60° N are as long as 0.1° of latitude.
    city = world_outline.extent_of(np.array([[24.9, 59.95], [25.1, 60.05]]))
    assert not world_outline.is_world(city)
    assert city.ratio == pytest.approx(1, rel=1e-3)
    assert city.outside(np.array([[25.0, 60.0], [26.0, 60.0], [25.0, 59.0]])) == 2


def test_one_place_has_a_frame_too():
    extent = world_outline.extent_of(np.array([[2.35, 48.86]]))
    assert extent.east > extent.west
    assert extent.north > extent.south


def test_the_world_has_a_line_each_thirty_degrees():
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots()
    world_outline.draw_frame(axis, world_outline.extent_of(np.array([[-120.0, 40], [150, -35]])))
    shown = [x for x in axis.get_xticks() if -180 <= x <= 180]
    assert shown == list(range(-180, 181, 30))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("longitude (°E)", "latitude (°N)")
    assert any(set(line.get_ydata()) == {0} for line in axis.lines)  # the equator
    plt.close(figure)
