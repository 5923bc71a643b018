"""A user's series continued: what the numbers are, how they are scored, and the picture."""

import struct

import numpy as np
import pytest

from llmworld_jax.codec import NumberCodec, number_codec
from llmworld_jax.errors import InputError
from llmworld_jax.experiments import forecast as module
from llmworld_jax.experiments import rollout_figures
from llmworld_jax.experiments.forecast import Forecast, forecast, score
from llmworld_jax.experiments.rollout_figures import forecast_figure
from llmworld_jax.laws import number_laws, with_forecast
from llmworld_jax.numerals import Numerals

VALUES = np.sin(np.arange(9)) * 2
HORIZON, PATHS = 3, 6


@pytest.fixture(scope="module")
def codec(loaded) -> NumberCodec:
    return number_codec(loaded.tokenizer, Numerals(1, -3.0, 3.0))


@pytest.fixture(scope="module")
def found(loaded, codec, compiled_as_in_tests) -> Forecast:
    with compiled_as_in_tests():
        return forecast(loaded, codec, VALUES, horizon=HORIZON, paths=PATHS)


def test_the_first_step_is_the_law_of_the_next_value(found: Forecast, loaded, codec: NumberCodec) -> None:
    prompt = codec.prompt(codec.numerals.encode(VALUES))
    law = np.exp(np.asarray(number_laws(loaded.model, codec, with_forecast(prompt)).log_mass[-1], np.float64))
    np.testing.assert_allclose(np.exp(found.log_mass[0]), law, atol=1e-5)
    centres = codec.numerals.decode(np.arange(10))
    np.testing.assert_allclose(found.mean[0], law @ centres, atol=1e-4)
    spread = np.sqrt(law @ centres**2 - (law @ centres) ** 2 + 0.6**2 / 12)
    np.testing.assert_allclose(found.sd[0], spread, atol=1e-4)
    assert found.mode_path[0] == centres[np.argmax(law)]
    assert found.mean_path[0] == centres[np.argmin(np.abs(centres - law @ centres))]


def test_later_steps_are_mixtures_of_the_paths_laws(found: Forecast, codec: NumberCodec) -> None:
    np.testing.assert_allclose(np.exp(found.log_mass).sum(1), 1, atol=1e-5)
    assert (np.diff(found.quantiles, axis=1) >= 0).all()
    assert found.codes.shape == found.paths.shape == found.log_prob.shape == found.off_grid.shape == (PATHS, HORIZON)
    np.testing.assert_array_equal(found.paths, codec.numerals.decode(found.codes))
    shares = np.add.accumulate(np.exp(found.log_mass), axis=1)
    for step, (median,) in enumerate(found.quantiles[:, 2:3]):
        np.testing.assert_allclose(np.interp(median, found.edges[1:], shares[step]), 0.5, atol=0.02)


def test_same_seed_same_paths_and_a_temperature_softens(found: Forecast, loaded, codec: NumberCodec) -> None:
    again, other, warm = (
        forecast(loaded, codec, VALUES, horizon=HORIZON, paths=PATHS, **options)
        for options in ({}, {"seed": 1}, {"temperature": 2.0})
    )
    np.testing.assert_array_equal(again.codes, found.codes)
    assert (other.codes != found.codes).any()
    np.testing.assert_array_equal(other.mode_path, found.mode_path)
    root = np.sqrt(np.exp(found.log_mass[0]))
    np.testing.assert_allclose(np.exp(warm.log_mass[0]), root / root.sum(), atol=1e-5)


def test_scores_are_what_they_say(found: Forecast) -> None:
    truth = np.array([0.5, -1.0, 2.5])
    scores = score(found, truth)
    for name, members in (("crps", found.paths), ("climatology_crps", np.tile(VALUES[:, None], 3))):
        n = len(members)
        between = np.abs(members[:, None] - members).sum((0, 1)) / (2 * n * (n - 1))
        np.testing.assert_allclose(getattr(scores, name), np.abs(members - truth).mean(0) - between, atol=1e-9)
    np.testing.assert_allclose(scores.persistence_error, np.abs(VALUES[-1] - truth))
    np.testing.assert_allclose(scores.mode_path_error, np.abs(found.mode_path - truth))
    wide = (found.quantiles[:, 0] <= truth) & (truth <= found.quantiles[:, 4])
    np.testing.assert_array_equal(scores.inside[1], wide)
    assert scores.energy > 0


def test_a_horizon_beyond_the_context_is_refused_before_the_model_is_run(loaded, codec, monkeypatch) -> None:
    from llmworld_jax import rollouts

    monkeypatch.setattr(rollouts, "_rollout", None)
    with pytest.raises(InputError, match="Lower the horizon to 248"):
        module.forecast(loaded, codec, VALUES, horizon=300)
    with pytest.raises(InputError, match="finite values in"):
        module.forecast(loaded, codec, VALUES * 2, horizon=3)


def test_the_picture_shows_what_was_found(found: Forecast, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    drawn = []
    monkeypatch.setattr(rollout_figures, "png", lambda figure: plt.close(figure) or drawn.append(figure) or b"")
    forecast_figure(found, "level", truth=np.zeros(HORIZON))
    (axis,) = drawn[0].axes
    lines = {line.get_label(): line.get_ydata() for line in axis.get_lines()}
    assert lines.keys() >= {"history", "median", "path of means", "path of modes", "sample paths", "what came"}
    np.testing.assert_array_equal(lines["median"][1:], found.quantiles[:, 2])
    np.testing.assert_array_equal(lines["history"], VALUES)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("item", "level")
    assert {c.get_label() for c in axis.collections} == {"50 % band (6 paths)", "90 % band (6 paths)"}


def test_the_picture_is_a_png(found: Forecast) -> None:
    picture = forecast_figure(found)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert 1000 < width < 1400
    assert 400 < height < 800
