"""Maps of made-up laws: that they are pictures, and that they say what they show."""

import struct

import numpy as np
import pytest

from llmworld_jax.experiments import inpca_figures
from llmworld_jax.experiments.density_estimation import embed

BINS = 12
CONTEXTS = np.array([2, 5, 12, 30, 80])


def trajectories() -> dict[str, np.ndarray]:
    """Laws that come closer to the truth the more is read."""
    random = np.random.default_rng(0)
    found = {}
    for name in ("model", "histogram", "Silverman", "fitted kernel", "a parrot"):
        mass = np.stack([random.dirichlet(np.exp(truth()) * 3 * n + 0.5) for n in CONTEXTS])
        found[name] = np.log(mass + 1e-9) - np.log(1 + BINS * 1e-9)
    return found


def truth() -> np.ndarray:
    mass = np.exp(-0.5 * np.linspace(-2.5, 2.5, BINS) ** 2)
    return np.log(mass / mass.sum())


def uniform() -> np.ndarray:
    return np.full(BINS, -np.log(BINS))


def width_in_pixels(png: bytes) -> int:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])[0]


@pytest.fixture
def drawn(monkeypatch):
    """``drawn(function, *arguments) -> the figure`` that the function would have made bytes of."""
    import matplotlib.pyplot as plt

    figures = []
    monkeypatch.setattr(inpca_figures, "png", lambda figure: figures.append(figure) or b"")

    def draw(function, *arguments, **options):
        function(*arguments, **options)
        return figures[-1]

    yield draw
    for figure in figures:  # not those that other tests keep
        plt.close(figure)


FITS = dict(
    bandwidth=np.array([2.0, 1.5, 1.2, 0.9, 0.7]),
    shape=np.array([0.8, 1.2, 2.0, 9.999, 1.9]),
    residual=np.array([1e-2, 1e-3, 0.0, 1e-2, 1e-3]),
)


def test_pictures_are_png_files_as_wide_as_a_page_that_repeat():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    kernels = inpca_figures.bandwidth_figure(CONTEXTS, **FITS)
    for png in (kernels, inpca_figures.inpca_figure(trajectories(), truth(), uniform(), CONTEXTS)):
        assert 1000 < width_in_pixels(png) < 1400  # 7 inches at 170 dots
        assert 10_000 < len(png) < 500_000
    assert inpca_figures.bandwidth_figure(CONTEXTS, **FITS) == kernels
    assert plt.get_fignums() == before


def test_the_map_shows_every_law_where_it_lies_coloured_by_what_was_read(drawn):
    paths = trajectories()
    figure = drawn(inpca_figures.inpca_figure, paths, truth(), uniform(), CONTEXTS)
    axis, bar = figure.axes
    place = embed(paths, truth(), uniform())
    assert len(axis.collections) == len(paths)
    for points, name in zip(axis.collections, paths, strict=True):
        np.testing.assert_allclose(points.get_offsets(), place.paths[name][:, :2])
        np.testing.assert_array_equal(points.get_array(), CONTEXTS)
        assert (points.norm.vmin, points.norm.vmax) == (2, 80)
    ends = {line.get_label(): np.column_stack(line.get_data()) for line in axis.lines}
    np.testing.assert_allclose(ends["truth"][0], place.truth[:2])
    np.testing.assert_allclose(ends["uniform law (start)"][0], place.uniform[:2])
    np.testing.assert_allclose(ends["shortest way to the truth"], place.geodesic[:, :2])
    for label, share, number in (
        (axis.get_xlabel(), place.explained[0], 1),
        (axis.get_ylabel(), place.explained[1], 2),
    ):
        assert label == f"axis {number} ({share:.0%} of the spread)"
    assert bar.get_ylabel() == "samples read, n"
    assert axis.get_aspect() == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [*paths, "shortest way to the truth", "uniform law (start)", "truth"]
    # Estimators are told apart without colour too.
    markers = [line.get_marker() for line in axis.lines if line.get_label() in paths]
    assert len(set(markers)) == len(paths)


def test_imaginary_axes_are_called_so(drawn, monkeypatch):
    def second_imaginary(*arguments):
        return embed(*arguments)._replace(imaginary=np.array([False, True]), explained=np.array([0.6, 0.25]))

    monkeypatch.setattr(inpca_figures, "embed", second_imaginary)
    axis = drawn(inpca_figures.inpca_figure, trajectories(), truth(), uniform(), CONTEXTS).axes[0]
    assert axis.get_xlabel() == "axis 1 (60% of the spread)"
    assert axis.get_ylabel() == "axis 2, imaginary (25% of the spread)"


def test_fitted_kernels_stand_over_the_context_with_bounds_marked_and_a_guide(drawn):
    bound = np.array([False, False, False, True, False])
    silverman = 1.5 * CONTEXTS**-0.2
    figure = drawn(inpca_figures.bandwidth_figure, CONTEXTS, **FITS, at_bound=bound, silverman=silverman)
    assert [axis.get_ylabel().split("\n")[0] for axis in figure.axes] == [
        "bandwidth h",
        "kernel shape s",
        "KL left over",
    ]
    assert figure.axes[-1].get_xlabel() == "samples read, n"
    for axis, key in zip(figure.axes, FITS):
        assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
        np.testing.assert_allclose(axis.lines[0].get_ydata(), FITS[key], atol=1e-12)
        dots = {line.get_label(): line.get_xdata() for line in axis.lines}
        np.testing.assert_array_equal(dots["fit at its bound"], CONTEXTS[bound])
        np.testing.assert_array_equal(dots["kernel most like the model's law"], CONTEXTS[~bound])
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["Silverman's rule"], silverman)
    guide = lines[r"$\propto n^{-1/5}$"]
    np.testing.assert_allclose(np.diff(np.log(guide)) / np.diff(np.log(CONTEXTS)), -0.2)
    assert np.sum(np.log(guide / FITS["bandwidth"])[~bound]) == pytest.approx(0, abs=1e-9)
    assert {text.get_text() for text in figure.axes[1].texts} == {"Laplace", "Gaussian"}
