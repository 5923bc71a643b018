"""The picture of a user's series: the series in its band, with the next value behind it."""

import numpy as np
import pytest

from llmworld_jax.experiments import series_figures
from llmworld_jax.experiments.series_laws import LEVELS, SeriesLaws


@pytest.fixture(scope="module")
def laws() -> SeriesLaws:
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


def test_the_series_stands_in_its_band_with_the_next_value_behind_it(laws, drawn):
    (figure,), (png,) = drawn(series_figures.band_picture, laws, "level")
    assert 5_000 < len(png) < 500_000
    top, bottom = figure.axes
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
