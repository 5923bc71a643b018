"""Pictures of made-up laws: that they are pictures, and that they say what they show."""

import struct

import numpy as np
import pytest

from llmworld_jax.experiments import dynamics, dynamics_figures, series_figures
from llmworld_jax.experiments.dynamics_config import DynamicsConfig
from llmworld_jax.experiments.series_laws import LEVELS, SeriesLaws

STEPS, SEEDS = 60, 2


@pytest.fixture(scope="module")
def results(loaded, compiled_as_in_tests) -> dynamics.Results:
    """A whole comparison in which a random number generator takes the place of the model."""
    config = DynamicsConfig(system=("noisy_logistic_map", "markov_chain_low_entropy"), steps=STEPS, seeds=SEEDS)
    random = np.random.default_rng(0)

    def laws_of(one: dynamics.Series) -> dict[str, np.ndarray]:
        scores = random.normal(size=(STEPS, one.numerals.num_bins))
        log_mass = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        off_grid = random.uniform(0, 0.1, STEPS)
        log_mass[0], off_grid[0] = np.nan, np.nan
        return {"log_mass": log_mass.astype(np.float32), "off_grid": off_grid.astype(np.float32)}

    with compiled_as_in_tests():
        worlds = dynamics.prepare(config, loaded)
        return tuple(dynamics.compare(config, series, [laws_of(one) for one in series]) for series in worlds)


@pytest.fixture(scope="module")
def series_laws_made_up() -> SeriesLaws:
    time, bins = 50, 10
    values = np.sin(np.arange(time))
    spread = np.array([-2, -0.7, 0, 0.7, 2])
    fields = dict.fromkeys(SeriesLaws._fields, np.zeros(time))
    return SeriesLaws(
        **fields | {
            "values": values, "edges": np.linspace(-2, 2, bins + 1), "nll": np.full(time, 1.5),
            "quantiles": values[:, None] + spread, "forecast_quantiles": spread, "levels": np.array(LEVELS),
        }
    )  # fmt: skip


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.rstrip(b"\0").endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", png[16:24])


def pictures_of(results: dynamics.Results) -> dict[str, bytes]:
    figures = {"learning": dynamics_figures.learning_figure(results), "off": dynamics_figures.off_grid_figure(results)}
    for r in results:
        figures |= {f"{r.name} band": dynamics_figures.band_figure(r), f"{r.name} laws": dynamics_figures.law_figure(r)}
    return figures


@pytest.fixture
def drawn(monkeypatch):
    """``drawn(function, *arguments) -> the figure`` that the function would have made bytes of."""
    import matplotlib.pyplot as plt

    figures = []

    def keep(figure) -> bytes:
        figures.append(figure)
        return b""

    for module in (dynamics_figures, series_figures):
        monkeypatch.setattr(module, "png", keep)

    def draw(function, *arguments, **options):
        function(*arguments, **options)
        return figures[-1]

    yield draw
    plt.close("all")


def test_pictures_are_png_files_of_a_plausible_size(results, series_laws_made_up):
    import matplotlib.pyplot as plt

    pictures = pictures_of(results) | {"series": series_figures.band_picture(series_laws_made_up, "level")}
    for name, png in pictures.items():
        width, height = size_of(png)
        assert 1000 < width < 1400, name  # 7 inches at 170 dots
        assert 300 < height < 1000, name
        assert 5_000 < len(png) < 500_000, name
    assert plt.get_fignums() == []


def test_equal_results_give_equal_bytes(results):
    assert dynamics_figures.law_figure(results[0]) == dynamics_figures.law_figure(results[0])


def test_learning_curves_are_labelled_and_show_the_stored_losses(results, drawn):
    axes = drawn(dynamics_figures.learning_figure, results).axes
    for axis, r in zip(axes, results, strict=True):
        assert axis.get_title(loc="left") == dynamics_figures.title(r.name)
        assert axis.get_xlabel() == "context length (items read)"
        assert axis.get_ylabel() == "Bhattacharyya distance (nats)"
        lines = {line.get_label(): line for line in axis.lines}
        assert {"model", *r.nulls} <= set(lines)
        assert ("resolution floor" in lines) == (not r.symbolic)
        np.testing.assert_array_equal(lines["model"].get_xdata(), r.curve.context)
        np.testing.assert_array_equal(lines["model"].get_ydata(), r.curve.mean)
        for name in r.nulls:
            np.testing.assert_array_equal(lines[name].get_ydata(), r.null_curves[name].mean)
        labels = [text.get_text() for text in axis.get_legend().get_texts()]
        assert "model" in labels
        assert all(name in labels for name in r.nulls)


def test_bands_show_the_last_items_on_their_own_axis(results, drawn):
    for r in results:
        axis, bar = drawn(dynamics_figures.band_figure, r, last=30).axes
        assert axis.get_xlabel() == "item"
        assert axis.get_ylabel() == ("symbol" if r.symbolic else "value")
        assert bar.get_ylabel() == "predicted mass per bin"
        shown = axis.lines[0].get_ydata() - (0.5 if r.symbolic else 0)
        np.testing.assert_allclose(shown, r.observed[0, -30:])
        mass = np.exp(r.log_mass[0, -30:]).T
        np.testing.assert_allclose(axis.collections[0].get_array().reshape(mass.shape), mass)


@pytest.mark.parametrize("deterministic", [False, True])
def test_laws_stand_beside_the_truth(results, drawn, deterministic):
    r = results[0]._replace(deterministic=deterministic)
    figure = drawn(dynamics_figures.law_figure, r)
    assert [axis.get_title(loc="left") for axis in figure.axes] == [f"after {t} items" for t in (5, 6, 20, 59)]
    assert {text.get_text() for text in figure.axes[0].get_legend().get_texts()} == {"model", "truth"}
    bars = [patch.get_height() for patch in figure.axes[-1].patches[: r.log_mass.shape[2]]]
    np.testing.assert_allclose(bars, np.exp(r.log_mass[0, -1]))
    truth = np.asarray(figure.axes[-1].lines[0].get_xdata())
    if deterministic:
        np.testing.assert_allclose(truth, r.truth.mean[0, -1])
    else:
        np.testing.assert_allclose(truth, r.edges[0])


def test_the_series_stands_in_its_band_with_the_next_value_behind_it(series_laws_made_up, drawn):
    laws = series_laws_made_up
    top, bottom = drawn(series_figures.band_picture, laws, "level").axes
    assert (top.get_ylabel(), bottom.get_xlabel()) == ("value", "item")
    labels = [text.get_text() for text in top.get_legend().get_texts()]
    assert set(labels) == {"90% of the law", "50% of the law", "median", "level", "next"}
    series = next(line for line in top.lines if line.get_label() == "level")
    np.testing.assert_array_equal(series.get_xdata(), np.arange(len(laws.values)))
    np.testing.assert_array_equal(series.get_ydata(), laws.values)
    median = next(line for line in top.lines if line.get_label() == "median")
    assert (median.get_xdata()[-1], median.get_ydata()[-1]) == (len(laws.values), laws.forecast_quantiles[2])
    np.testing.assert_array_equal(bottom.lines[0].get_ydata(), laws.nll)
    np.testing.assert_allclose(bottom.lines[1].get_ydata(), np.log(10))  # what the uniform law pays
