"""How much the map takes, and which single neurons follow it."""

import numpy as np
import pytest

from llmworld_jax.experiments.space_time import curve_figures, neuron_figures

pytestmark = pytest.mark.slow  # one interpreter is enough


@pytest.fixture(scope="module")
def places(made_up_study):
    return made_up_study("place")


def test_curves_are_means_over_folds_on_a_logarithmic_axis(places, sketched):
    figure, _ = sketched(curve_figures.curve_figure, places)
    (directions, examples), below = figure.axes[:2], figure.axes[2:]
    lines = {line.get_label(): line for axis in (directions, examples) for line in axis.lines}
    ranks = {line.get_label(): line for axis in below for line in axis.lines}
    for curve in places.curves:
        np.testing.assert_allclose(lines[curve.name].get_xdata(), curve.size)
        np.testing.assert_allclose(lines[curve.name].get_ydata(), curve.r2.mean(axis=0))
        np.testing.assert_allclose(ranks[curve.name].get_ydata(), curve.rho.mean(axis=0))
    assert [axis.get_xscale() for axis in figure.axes] == ["log"] * 4
    assert [axis.get_xlabel() for axis in below] == ["components", "training rows"]
    whole = places.controls[0].scores
    for found, value in ((lines, whole.r2.mean()), (ranks, whole.rho.mean())):
        np.testing.assert_allclose(found["model: all directions, all training rows"].get_ydata(), value)


def test_one_kind_of_curve_fills_the_page(places, sketched):
    only = places._replace(curves=tuple(c for c in places.curves if not curve_figures.counts_rows(c)))
    figure, _ = sketched(curve_figures.curve_figure, only)
    assert len(figure.axes) == 2
    assert {curve.name for curve in only.curves} == {"PCA", "PLS"}


def test_the_best_neuron_is_drawn_against_its_target(places, sketched):
    figure, _ = sketched(neuron_figures.neuron_figure, places)
    n = places.neurons
    scatters, histograms = figure.axes[::2], figure.axes[1::2]
    targets = (*places.table.targets.T, np.abs(places.table.targets[:, 1]))
    for k, (axis, values) in enumerate(zip(scatters, targets, strict=True)):
        shown = axis.collections[0].get_offsets()
        np.testing.assert_allclose(shown, np.column_stack((n.top_activation[k], values)))
        block, neuron = n.top[k, 0]
        assert axis.get_title(loc="left") == f"Block {block}, neuron {neuron}"
        assert f"ρ {n.rho[block, neuron, k]:.2f}".replace("-", "−") in axis.texts[0].get_text()
        assert "|ρ| 0.62 on rows" in axis.texts[0].get_text()
    assert [axis.get_ylabel() for axis in scatters] == ["longitude (°E)", "latitude (°N)", "|latitude| (°N)"]
    for k, axis in enumerate(histograms):
        assert axis.patches[0].get_data().values.sum() == n.rho[..., k].size
        assert n.band[k] in [line.get_xdata()[0] for line in axis.lines]
        beyond = (np.abs(n.rho[..., k]) > n.band[k]).sum()
        assert f"{beyond} beyond the chance band" in axis.texts[0].get_text()


def test_a_run_without_neurons_draws_none(places):
    with pytest.raises(ValueError, match="Got no neurons"):
        neuron_figures.neuron_figure(places._replace(neurons=None))
