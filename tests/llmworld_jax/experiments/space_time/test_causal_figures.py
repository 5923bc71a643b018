"""Pictures of interventions show the numbers they are given."""

import numpy as np
import pytest

from llmworld_jax.experiments.space_time import causal_figures
from llmworld_jax.experiments.space_time.causal import PINNED_AT, Causal
from llmworld_jax.experiments.space_time.certificate import ISOTROPIC, SPANNED, TESTED, Certificate
from llmworld_jax.experiments.space_time.depth_profile import DepthProfile
from llmworld_jax.experiments.space_time.interventions import Ablation, Pins

pytestmark = pytest.mark.slow  # one interpreter is enough

RANDOM = np.random.default_rng(1)
DOSES = np.array([-2.0, 0.0, 2.0])
KINDS = (TESTED, ISOTROPIC, ISOTROPIC, SPANNED)


def made_up(measured: bool = True) -> Causal:
    from llmworld_jax.entities.table import EntityTable

    slope = np.array([5.0, 1.0, -1.0, 0.5]) if measured else np.full(4, np.nan)
    score = 1800 + slope[:, None, None] * DOSES[:, None] + np.zeros(6) + RANDOM.normal(size=6)
    divergence = np.abs(slope)[:, None, None] * (DOSES**2)[:, None] * np.ones(6)
    read_out = np.broadcast_to((np.arange(4.0, 0, -1)[:, None] * DOSES)[..., None, None], (4, 3, 9, 2)).copy()
    found = Certificate(
        3, 0, 450.0, DOSES, KINDS, 7.0, score, np.ones((4, 3, 6)), divergence, read_out, slope, 4.0, 6.0,
        float(slope[0] / 450), 0.25, np.ones(4), 0.5, 1.0, measured,
    )  # fmt: skip
    at = np.arange(3)
    profile = DepthProfile(at * 4, slope[0] / 450 * (at < 2), at * 0.0, at + 0.1, at + 1.0, at * 0.5, at * 0.2)
    pins = Pins(
        np.zeros((3, 4)), np.zeros((3, 4, 5, 2)), np.arange(12.0).reshape(3, 4, 1, 1) + np.full((1, 1, 5, 1), 1800),
        np.ones((3, 4, 5)), np.zeros((5, 2)), np.full((5, 1), 1799.0),
    )  # fmt: skip
    ablation = Ablation(np.zeros((4, 3)), RANDOM.normal(size=(3, 4, 3)) * 0.01)
    table = EntityTable(
        key="made_up", names=("a",), texts=("a",), targets=np.zeros((1, 1)), target_names=("death_year",),
        units=("years",), kind="time", groups={}, held_out=None, rows=np.array([2]), source="", licence="",
    )  # fmt: skip
    return Causal(
        table, None, (found,), (50.0,), profile, 2.0, (1, 7), 0.4, np.array([2, 5]), pins, ablation, (), (), ()
    )  # type: ignore[arg-type]


@pytest.fixture
def kept(sketched):
    """``kept(function, *arguments) -> the figure``, before it becomes bytes."""

    def draw(function, *arguments):
        figure, data = sketched(function, *arguments)
        assert data.startswith(b"\x89PNG")
        return figure

    return draw


def line_of(axis, label: str) -> np.ndarray:
    return next(line for line in axis.lines if line.get_label() == label).get_ydata()


def test_the_answer_is_the_change_from_the_clean_run(kept):
    c = made_up()
    figure = kept(causal_figures.certificate_figure, c)
    answer, heard, later, depth = figure.axes
    np.testing.assert_allclose(line_of(answer, "probe's direction"), 5 * DOSES)
    assert "death year (years)" in answer.get_ylabel()
    assert sum(len(line.get_xdata()) == 3 for line in answer.lines) == len(KINDS), "every direction is drawn"
    np.testing.assert_allclose(line_of(heard, "probe's direction"), [20, np.nan, 20])
    assert heard.get_yscale() == "log"
    np.testing.assert_allclose(line_of(later, "probe's direction"), 4 * DOSES)
    assert depth.lines[1].get_xdata().tolist() == [1, 5, 9], "layers: after block 0 is layer 1"
    np.testing.assert_allclose(depth.lines[1].get_ydata(), c.profile.gain)


def test_each_control_has_its_look_and_is_named_once(kept):
    figure = kept(causal_figures.certificate_figure, made_up())
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "probe's direction"
    assert {"random step", "random step among activations"} <= set(labels)
    assert "probe's direction, read at the last token" in labels
    assert len(labels) == len(set(labels))


def test_without_a_question_only_what_was_measured_is_drawn(kept):
    figure = kept(causal_figures.certificate_figure, made_up(measured=False))
    later, heard = figure.axes
    assert "read-out" in later.get_ylabel()
    assert "KL" in heard.get_ylabel()
    assert np.isfinite(line_of(later, "probe's direction")).all()
    assert not any("last token" in text.get_text() for text in figure.legends[0].get_texts())


def test_pins_and_ablations_are_those_given(kept):
    c = made_up()
    left, right = kept(causal_figures.pinning_figure, c).axes
    np.testing.assert_allclose(line_of(left, "block 1, neuron 7"), [1, 2, 3, 4])
    assert line_of(left, "random neurons of its block").tolist() == [5, 6, 7, 8]
    assert left.lines[-1].get_xdata() == pytest.approx(PINNED_AT)
    middles = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    wanted = c.ablation.by_prompt.mean(axis=1)
    assert middles[0] == pytest.approx(wanted[0]), "the neuron in question comes first"
    np.testing.assert_allclose(middles[1:], sorted(wanted[1:], reverse=True))


def test_without_a_neuron_there_is_none_to_draw():
    with pytest.raises(ValueError, match="no pinned neuron of made_up"):
        causal_figures.pinning_figure(made_up()._replace(pins=None))
