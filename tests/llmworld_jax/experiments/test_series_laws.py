"""The laws of a user's own series: what is written, what is said, and what the grid may know."""

import json
from pathlib import Path

import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.experiments import series_laws
from llmworld_jax.experiments.reading import check_context, checked_codec
from llmworld_jax.experiments.series_config import LawsConfig
from llmworld_jax.files import load_arrays
from llmworld_jax.numerals import Numerals, rescaled

LENGTH, BINS = 40, 100
VALUES = np.round(0.5 + 0.3 * np.sin(0.7 * np.arange(LENGTH)) + 0.02 * np.cos(5.0 * np.arange(LENGTH)), 4)
LEAK = "the grid knows the range of the future"


def csv_of(values: np.ndarray, name: str = "series.csv") -> Path:
    path = Path(name)
    path.write_text("\n".join(["level", *map(str, values)]))
    return path


@pytest.fixture
def laws_of(llmworld, model_folder):
    """``laws_of(values, *options) -> (arrays, stdout)`` through the command line."""

    def call(values: np.ndarray, *options) -> tuple[dict[str, np.ndarray], str]:
        code, out, err = llmworld("laws", csv_of(values), "--model", model_folder, *options)
        assert code == 0, err
        return load_arrays("laws.npz"), out

    return call


def test_arrays_picture_and_provenance_lie_side_by_side(laws_of, place_of_its_own):
    arrays, out = laws_of(VALUES)
    with np.load("laws.npz", allow_pickle=False) as archive:
        assert set(archive.files) == set(series_laws.SeriesLaws._fields)
    shapes = {
        **dict.fromkeys(("values", "codes", "off_grid", "item_at", "nll", "mean", "sd"), (LENGTH,)),
        **{"edges": (BINS + 1,), "log_mass": (LENGTH, BINS), "tokens": (3 * LENGTH,), "quantiles": (LENGTH, 5)},
        **{"levels": (5,), "forecast_log_mass": (BINS,), "forecast_quantiles": (5,)},
        **dict.fromkeys(("forecast_off_grid", "forecast_mean", "forecast_sd"), ()),
    }
    assert {name: array.shape for name, array in arrays.items()} == shapes
    assert Path("laws.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert {p.name for p in place_of_its_own.iterdir()} == {"series.csv", "laws.npz", "laws.png", "laws.json"}
    assert "written: laws.npz, laws.png, laws.json" in out


def test_what_made_them_is_on_record(laws_of, model_folder):
    from llmworld_jax.models.cache import file_sha256

    arrays, _ = laws_of(VALUES)
    record = json.loads(Path("laws.json").read_text())
    assert record["column"] == "level"
    assert record["config"]["series"] == "series.csv"
    assert record["config"]["low"] is None
    assert record["model"]["sha256"] == file_sha256(model_folder / "model.safetensors")
    assert [record["codec"][end] for end in ("low", "high")] == arrays["edges"][[0, -1]].tolist()
    assert record["codec"]["start_tokens"] == []
    assert record["matmul_precision"] == "highest"
    assert {"versions", "command", "device"} <= set(record)


def test_summaries_follow_from_the_laws(laws_of):
    arrays, out = laws_of(VALUES)
    mass, edges = np.exp(arrays["log_mass"].astype(np.float64)), arrays["edges"]
    assert np.isnan(mass[0]).all()
    for name in ("nll", "mean", "sd", "off_grid"):
        assert np.isnan(arrays[name][0])
    np.testing.assert_allclose(mass[1:].sum(axis=1), 1, atol=1e-5)
    assert ((arrays["off_grid"][1:] > 0) & (arrays["off_grid"][1:] < 1)).all()
    centres, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    mean = mass @ centres
    np.testing.assert_allclose(arrays["mean"][1:], mean[1:], rtol=1e-5)
    sd = np.sqrt((mass * (centres - mean[:, None]) ** 2).sum(axis=1) + width**2 / 12)
    np.testing.assert_allclose(arrays["sd"][1:], sd[1:], rtol=1e-5)
    np.testing.assert_allclose(arrays["nll"][1:], -np.log(mass[np.arange(1, LENGTH), arrays["codes"][1:]]), rtol=1e-5)
    np.testing.assert_array_equal(arrays["levels"], [0.05, 0.25, 0.5, 0.75, 0.95])
    below = np.array([np.interp(q, edges, np.append(0, np.cumsum(m))) for q, m in zip(arrays["quantiles"], mass)])
    np.testing.assert_allclose(below[1:], np.broadcast_to(arrays["levels"], (LENGTH - 1, 5)), atol=1e-5)
    assert f"mean {np.mean(arrays['nll'][1:]):.3f} nats (uniform law: {np.log(BINS):.3f})" in out
    assert f"{LENGTH} values of column level, {LENGTH - 1} with a law" in out
    assert f"next value: mean {arrays['forecast_mean']:.6g}" in out


def test_low_and_high_write_the_numbers_as_they_are(laws_of, loaded):
    arrays, out = laws_of(VALUES, "--low", 0, "--high", 1)
    written = "".join(f"{value:.4f}"[2:4] + "," for value in VALUES)
    assert loaded.tokenizer.decode(arrays["tokens"].tolist()) == written
    np.testing.assert_allclose(arrays["edges"], np.arange(BINS + 1) / BINS, atol=1e-12)
    np.testing.assert_array_equal(arrays["values"], VALUES)
    assert LEAK not in out


def test_whole_series_rescaling_leaks_and_says_so(laws_of):
    arrays, out = laws_of(VALUES)
    assert LEAK in out
    assert all(option in out for option in ("--low and --high", "--warmup"))
    higher = np.append(VALUES[:-1], 2.0)
    assert not np.array_equal(laws_of(higher)[0]["codes"][:-1], arrays["codes"][:-1])


def test_warmup_rescaling_is_causal(laws_of):
    """What comes after the warm-up, inside the range, changes neither the tokens nor the laws before it."""
    warmup, t = 12, 25
    arrays, out = laws_of(VALUES, "--warmup", warmup)
    assert LEAK not in out
    numerals = rescaled(VALUES[:warmup], 2)
    np.testing.assert_array_equal(arrays["edges"], numerals.edges())
    np.testing.assert_array_equal(arrays["codes"], numerals.encode(VALUES))
    changed = np.concatenate([VALUES[:t], VALUES[t:][::-1] + 0.05])
    other, _ = laws_of(changed, "--warmup", warmup)
    np.testing.assert_array_equal(other["tokens"][: 3 * t], arrays["tokens"][: 3 * t])
    np.testing.assert_allclose(other["log_mass"][: t + 1], arrays["log_mass"][: t + 1], atol=1e-5)
    assert not np.allclose(other["log_mass"][t + 1 :], arrays["log_mass"][t + 1 :], atol=1e-3)


def test_the_forecast_is_the_law_of_the_next_item(laws_of):
    """The next value itself, once it is appended, does not change the law that was made for it."""
    grid = ("--low", 0, "--high", 1)
    shorter, _ = laws_of(VALUES[:-1], *grid)
    longer, _ = laws_of(VALUES, *grid)
    for name in ("log_mass", "off_grid", "mean", "sd", "quantiles"):
        np.testing.assert_allclose(shorter[f"forecast_{name}"], longer[name][-1], atol=1e-4)
        assert np.isfinite(longer[f"forecast_{name}"]).all()


def test_a_start_token_gives_the_first_value_a_law(laws_of):
    arrays, out = laws_of(VALUES, "--start-token", "bos", "--precision", 1)
    assert arrays["tokens"][0] == 1
    np.testing.assert_array_equal(arrays["item_at"], 1 + 2 * np.arange(LENGTH))
    assert np.isfinite(arrays["log_mass"]).all()
    assert f"{LENGTH} values of column level, {LENGTH} with a law" in out


@pytest.mark.parametrize("start", ["none", "bos"])
def test_the_context_is_refused_from_the_first_token_too_many(loaded, start):
    codec = checked_codec(loaded, Numerals(2, 0.0, 1.0), ",", start)
    limit = loaded.config.max_positions
    fit = (limit - len(codec.prefix_tokens)) // 3
    check_context(codec, fit, loaded)
    with pytest.raises(InputError, match=f"Shorten the series to {fit} items"):
        check_context(codec, fit + 1, loaded)
    ahead = (limit - len(codec.prefix_tokens) - 1) // 3
    check_context(codec, ahead, loaded, forecast=True)
    with pytest.raises(InputError, match=f"Shorten the series to {ahead} items"):
        check_context(codec, ahead + 1, loaded, forecast=True)


def test_the_range_of_the_user_is_kept_exactly():
    config = LawsConfig(series=csv_of(VALUES), low=-1.0, high=3.0, precision=3)
    _, name, numerals, hidden = series_laws.prepare(config)
    assert hidden.size == 0
    assert (numerals.low, numerals.high, numerals.precision, name) == (-1.0, 3.0, 3, "level")


def test_a_place_that_cannot_be_written_is_found_before_the_model_is_loaded(llmworld, no_forward):
    csv_of(VALUES)
    Path("file").touch()
    Path("folder.npz").mkdir()
    for out in ("file/laws.npz", "folder.npz"):
        code, _, err = llmworld("laws", "series.csv", "--model", "no such model", "--out", out)
        assert code == 2
        assert f"--out {out}, blocked by " in err
        assert f"{out.removesuffix('/laws.npz')}. Expected a file in a folder that can be written" in err


@pytest.mark.once
def test_a_series_is_continued_and_what_was_hidden_scores_it(laws_of, place_of_its_own):
    _, out = laws_of(VALUES, "--horizon", 3, "--paths", 4, "--hold-out", "--precision", 1)
    arrays = load_arrays("laws.forecast.npz")
    assert arrays["paths"].shape == (4, 3)
    np.testing.assert_array_equal(arrays["values"], VALUES[:-3])
    np.testing.assert_array_equal(arrays["truth"], VALUES[-3:])
    # The grid was made without them.
    span = np.ptp(VALUES[:-3]) / 0.7
    np.testing.assert_allclose(np.ptp(arrays["edges"]), span)
    assert arrays["score_crps"].shape == (3,)
    assert "3 values ahead, 4 paths" in out
    assert "held out: CRPS" in out
    assert Path("laws.forecast.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert "written: laws.npz, laws.png, laws.json, laws.forecast.npz, laws.forecast.png" in out
