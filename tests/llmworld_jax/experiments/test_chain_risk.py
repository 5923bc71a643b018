"""Risk of a chain's predictors: smoothed distances, their slopes, and a picture of both."""

import numpy as np
import pytest

from llmworld_jax.experiments import chain_risk as module
from llmworld_jax.experiments.chain_risk import chain_risk, risk_figure


@pytest.fixture(scope="module")
def risk():
    time = np.maximum(np.arange(400), 1)
    wiggle = 1 + 0.02 * np.array([[-1.0], [0.5], [1.0]])
    rows = {"model": 0.2 * time**-0.1, "bigram": 0.8 * time**-0.5, "ideal observer": 0.7 * time**-0.5}
    losses = {name: row * wiggle for name, row in rows.items()}
    for row in losses.values():
        row[:, 0] = np.nan
    return chain_risk(losses, window=20)


def test_planted_slopes_are_found(risk):
    for name, slope in (("model", -0.1), ("bigram", -0.5), ("ideal observer", -0.5)):
        # Averaging over 20 items steepens the beginning of a steep curve a little.
        assert risk.slopes[name].value == pytest.approx(slope, abs=0.05), name
        assert risk.curves[name].each.shape == (3, 380)


def test_the_picture_shows_every_predictor_with_its_slope(risk, monkeypatch):
    import matplotlib.pyplot as plt

    assert risk_figure("markov_chain", risk).startswith(b"\x89PNG")
    figures = []
    monkeypatch.setattr(module, "png", lambda figure: figures.append(figure) or b"")
    risk_figure("markov_chain", risk)
    (axis,) = figures[0].axes
    plt.close(figures[0])
    labels = [line.get_label() for line in axis.lines]
    assert labels[-1] == "slope −1/2"
    for name, label in zip(risk.curves, labels):
        assert label == f"{name}, slope {risk.slopes[name].value:.2f}"
    np.testing.assert_array_equal(axis.lines[0].get_ydata(), risk.curves["model"].mean)
