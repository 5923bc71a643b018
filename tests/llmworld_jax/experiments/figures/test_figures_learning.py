"""Losses over context: what is drawn is what is stored, every predictor has one look, and no legend covers data."""

import numpy as np
import pytest

from llmworld_jax.experiments import figure_style, learning_figures

NAMES = ("noisy_logistic_map", "logistic_map", "markov_chain_low_entropy")


@pytest.fixture(scope="module")
def results(made_up):
    return made_up(*NAMES)


@pytest.fixture(scope="module")
def learning(results, drawn):
    (figure,), _ = drawn(learning_figures.learning_figure, results)
    return figure


def lines_of(axis) -> dict:
    return {line.get_label(): line for line in axis.lines}


def test_learning_curves_are_labelled_and_show_the_stored_losses(results, learning):
    for axis, r in zip(learning.axes, results, strict=True):
        assert axis.get_title(loc="left") == figure_style.title(r.name)
        assert axis.get_xlabel() == "context length (items read)"
        assert axis.get_ylabel() == figure_style.LOSS_LABEL[r.loss_name]
        assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
        lines = lines_of(axis)
        assert {"model", "ideal observer", "published fit", *r.nulls, *r.sparse_nulls} <= set(lines)
        assert ("resolution floor" in lines) == (not r.symbolic)
        for name, curve in {"model": r.curve, "ideal observer": r.observer_curve, **r.null_curves}.items():
            np.testing.assert_array_equal(lines[name].get_xdata(), curve.context)
            np.testing.assert_array_equal(lines[name].get_ydata(), curve.mean)
        np.testing.assert_allclose(
            lines["resolution floor"].get_ydata(), np.nanmean(r.floor)
        ) if not r.symbolic else None


def test_nulls_known_at_a_few_contexts_stand_at_the_middle_of_their_window(results, learning):
    for axis, r in zip(learning.axes, results, strict=True):
        for name, sparse in r.sparse_nulls.items():
            line = lines_of(axis)[name]
            np.testing.assert_allclose(line.get_xdata(), sparse.context + (sparse.window - 1) / 2)
            np.testing.assert_allclose(line.get_ydata(), sparse.loss.mean(axis=0))
            assert line.get_marker() not in ("", "None", None)


def test_the_published_power_law_is_the_fitted_one(results, learning):
    for axis, r in zip(learning.axes, results, strict=True):
        fit, line = r.fits.published, lines_of(axis)["published fit"]
        np.testing.assert_allclose(line.get_ydata(), line.get_xdata() ** fit.value / fit.scale)
        assert any(f"t$^{{{fit.value:.2f}}}$" in text.get_text() for text in axis.texts)


def test_one_predictor_has_one_look_and_no_two_share_one(results, learning):
    from matplotlib.colors import to_hex

    looks = [{name: to_hex(line.get_color()) for name, line in lines_of(axis).items()} for axis in learning.axes]
    shared = {name: color for look in looks for name, color in look.items()}
    assert all(shared[name] == color for look in looks for name, color in look.items())
    assert all(shared[name] == style.color for name, style in figure_style.NULLS.items())
    assert (shared["model"], shared["ideal observer"]) == (figure_style.MODEL, figure_style.OBSERVER)
    styles = [(style.color, style.dashes, style.marker) for style in figure_style.NULLS.values()]
    assert len({color for color, *_ in styles}) == len(styles)


def test_one_legend_names_everything_and_covers_no_panel(learning):
    (legend,) = learning.legends
    named = [text.get_text() for text in legend.get_texts()]
    drawn_names = {name for axis in learning.axes for name in lines_of(axis) if not name.startswith("_")}
    assert sorted(named) == sorted(drawn_names)
    assert named[0] == "model"
    renderer = learning.canvas.get_renderer()
    box = legend.get_window_extent(renderer)
    assert not any(axis.get_tightbbox(renderer).overlaps(box) for axis in learning.axes)
    assert box.width <= learning.bbox.width


def test_six_systems_a_picture(results):
    assert [len(page) for page in learning_figures.pages(results * 5)] == [6, 6, 3]
    assert sum(learning_figures.pages(results * 5), ()) == results * 5
    assert learning_figures.pages(()) == ()


def test_what_lies_far_below_the_model_does_not_flatten_it(results, drawn):
    low = results[0]._replace(floor=np.full_like(results[0].floor, 1e-9))
    (figure,), _ = drawn(learning_figures.learning_figure, (low,))
    (axis,) = figure.axes
    assert axis.get_ylim()[0] >= low.curve.mean.min() / learning_figures.DEPTH * 0.999
    assert "resolution floor" not in lines_of(axis)
    assert any("resolution floor 1e-9" in text.get_text() for text in axis.texts)


def test_regret_is_the_running_mean_and_its_total(results, drawn):
    (figure,), _ = drawn(learning_figures.regret_figure, results)
    for axis, r in zip(figure.axes, results, strict=True):
        regret = (r.scores.nll - r.observer.nll)[:, 1:]
        line = lines_of(axis)["model"]
        means = [regret[:, :n].mean() for n in range(1, regret.shape[1] + 1)]
        np.testing.assert_allclose(line.get_ydata(), means, atol=1e-12)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, regret.shape[1] + 1))
        assert any(f"in all {regret.sum(axis=1).mean():.3g} nats".replace("-", "−") in t.get_text() for t in axis.texts)


def test_mass_off_the_grid_is_named_by_system(results, drawn):
    (figure,), _ = drawn(learning_figures.off_grid_figure, results)
    lines = lines_of(figure.axes[0])
    for r in results:
        np.testing.assert_allclose(lines[figure_style.title(r.name)].get_ydata(), r.off_grid[:, 1:].mean(axis=0))


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("noisy_logistic_map", "Noisy logistic map"),
        ("brownian_motion", "Brownian motion"),
        ("iid_gaussian", "Independent Gaussian"),
        ("markov_chain_7", "Markov chain 7"),
        ("ar2", "AR(2)"),
        ("ornstein_uhlenbeck", "Ornstein–Uhlenbeck"),
    ],
)
def test_systems_are_spelled_as_in_a_text(name, spelled):
    assert figure_style.title(name) == spelled


def test_numbers_on_axes_are_plain():
    assert [figure_style.plain_number(x) for x in (0.001, 0.5, 20.0, 1000.0)] == ["0.001", "0.5", "20", "1000"]
    assert figure_style.plain_number(1e-5) == "$10^{-5}$"
    assert figure_style.plain_number(3e-4) == r"$3\cdot10^{-4}$"
