"""A whole dynamics run on a tiny model: what is stored, and that a stopped run equals one that was not."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from llmworld_jax.content import content_hash
from llmworld_jax.experiments import dynamics, many_laws
from llmworld_jax.experiments.dynamics_config import DynamicsConfig
from llmworld_jax.files import load_arrays
from llmworld_jax.store import RunStore

pytestmark = pytest.mark.once

STEPS, SEEDS = 60, 2
NUMBERS, CHAIN = "noisy_logistic_map", "markov_chain_low_entropy"
BINS = {NUMBERS: 100, CHAIN: 4}
ARGUMENTS = ("--system", NUMBERS, CHAIN, "--steps", STEPS, "--seeds", SEEDS, "--batch", 1, "--no-sparse-nulls")
NULLS = {
    NUMBERS: ("unigram", "bigram", "AR(1)", "quadratic AR(1)", "kernel", "parrot D=1", "parrot D=2"),
    CHAIN: ("unigram", "bigram"),
}


def config_for(model: Path, **changes) -> DynamicsConfig:
    fixed = {"system": (NUMBERS, CHAIN), "steps": STEPS, "seeds": SEEDS, "model": str(model), "batch": 1}
    return DynamicsConfig(**fixed | {"sparse_nulls": False} | changes)


@pytest.fixture(scope="module")
def run_folder(model_folder, compiled_as_in_tests, made_once) -> Path:
    """A finished run, made once through the command line's entry point."""
    from llmworld_jax.cli import main

    def run(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch, compiled_as_in_tests():
            patch.setenv("LLMWORLD_CACHE", str(folder / "cache"))
            patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))  # else the program would choose one
            patch.setattr("sys.argv", ["/somewhere/bin/llmworld", "dynamics", *map(str, ARGUMENTS)])
            main([*map(str, ("dynamics", "--model", model_folder, "--runs", folder, "--name", "run", *ARGUMENTS))])

    return made_once("dynamics", run) / "run"


@pytest.fixture(scope="module")
def arrays(run_folder) -> dict[str, np.ndarray]:
    return load_arrays(run_folder / "arrays.npz")


@pytest.fixture(scope="module")
def record(run_folder) -> dict:
    return json.loads((run_folder / "config.json").read_text())


def test_arrays_are_plain_and_have_the_shapes_of_seeds_items_and_bins(run_folder, arrays):
    with np.load(run_folder / "arrays.npz", allow_pickle=False) as archive:
        assert set(archive.files) == set(arrays)
    for system, bins in BINS.items():
        each = (SEEDS, STEPS)
        series = ("observed", "codes", "off_grid", "floor", "bhattacharyya", "kl", "total_variation", "nll", "mean")
        series += ("sd", "absolute_deviation", "squared_deviation", "crps", "kurtosis", "item_at", "pit")
        series += ("true_mean", "true_sd", "true_outside", "true_quantised_mean", "true_bhattacharyya_floor")
        series += ("observer_loss", "observer_nll", "observer_regret")
        for name in series:
            assert arrays[f"{system}.{name}"].shape == each, name
        for name in ("log_mass", "true_mass", "true_quantised_mass", "observer_log_mass"):
            assert arrays[f"{system}.{name}"].shape == (*each, bins)
        assert arrays[f"{system}.edges"].shape == (SEEDS, bins + 1)
        width = 2 if system == CHAIN else 3
        assert arrays[f"{system}.tokens"].shape == (SEEDS, STEPS * width)
    nulls = {name for name in arrays if ".null." in name}
    assert nulls == {f"{system}.null.{name}" for system, names in NULLS.items() for name in names}
    assert all(arrays[name].shape == (SEEDS, STEPS) for name in nulls)
    assert {name.split(".")[0] for name in arrays} == {NUMBERS, CHAIN}


def test_laws_are_normalised_and_begin_where_something_precedes(arrays):
    for system in BINS:
        mass = np.exp(arrays[f"{system}.log_mass"])
        assert np.isnan(mass[:, 0]).all()
        np.testing.assert_allclose(mass[:, 1:].sum(axis=-1), 1, atol=1e-5)
        np.testing.assert_allclose(arrays[f"{system}.true_mass"][:, 1:].sum(axis=-1), 1, atol=1e-9)
        leak = arrays[f"{system}.off_grid"][:, 1:]
        assert ((leak > 0) & (leak < 1)).all()
        losses = arrays[f"{system}.bhattacharyya"]
        assert np.isnan(losses[:, 0]).all()
        assert (losses[:, 1:] > 0).all()


def test_codes_name_the_bin_that_holds_what_was_observed(arrays):
    for system in BINS:
        edges, codes = arrays[f"{system}.edges"], arrays[f"{system}.codes"]
        low, high = (np.take_along_axis(edges, codes + shift, axis=1) for shift in (0, 1))
        observed = arrays[f"{system}.observed"]
        slack = 1e-6 * (high - low)  # the largest value lies on an edge, but for rounding
        assert ((low - slack <= observed) & (observed < high)).all()
        surprise = -np.take_along_axis(arrays[f"{system}.log_mass"], codes[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(arrays[f"{system}.nll"], surprise, rtol=1e-6)


def test_the_stored_law_is_the_law_of_the_stored_tokens(arrays, loaded):
    """Re-running the model on a prefix, with no tree and no codec, gives the mass of the first digit."""
    import jax
    import jax.numpy as jnp

    from llmworld_jax.models.forward import forward
    from llmworld_jax.models.readout import logits

    t = 17
    tokens = arrays[f"{NUMBERS}.tokens"][1, : arrays[f"{NUMBERS}.item_at"][1, t]]
    assert loaded.tokenizer.decode(tokens.tolist()).count(",") == t
    hidden = forward(loaded.model, jnp.asarray(tokens), precision="highest").hidden[-1:]
    ids = [loaded.tokenizer.encode(str(d))[0] for d in range(10)]
    digits = jax.nn.softmax(logits(loaded.model, hidden, precision="highest")[0, jnp.asarray(ids)])
    mass = np.exp(arrays[f"{NUMBERS}.log_mass"][1, t]).reshape(10, 10).sum(axis=1)
    np.testing.assert_allclose(mass, digits, atol=1e-5)


def test_seeds_are_other_series_and_other_chains(arrays):
    for system in BINS:
        assert not np.array_equal(*arrays[f"{system}.codes"])
    assert not np.allclose(*arrays[f"{CHAIN}.true_mass"][:, 1:].max(axis=1))


def test_the_page_asks_nobody_for_anything(run_folder):
    page = (run_folder / "report.html").read_text()
    pictures = sorted((run_folder / "figures").glob("*.png"))
    for figure in ("learning", "scaling", "regret", "off_grid", f"{NUMBERS}_band", f"{NUMBERS}_laws", f"{CHAIN}_band"):
        assert run_folder / "figures" / f"{figure}.png" in pictures
    assert all(picture.read_bytes().startswith(b"\x89PNG\r\n") for picture in pictures)
    assert page.count("data:image/png;base64,") == len(pictures)
    assert page.count("data:image/gif;base64,") == len(list((run_folder / "figures").glob("*.gif"))) > 0
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
    assert re.search("https?://", page) is None
    assert "<script" not in page
    assert "Noisy logistic map" in page


def test_what_made_the_numbers_is_on_record(record, model_folder):
    from llmworld_jax.models.cache import file_sha256

    asked, made = record["config"], record["provenance"]
    assert (asked["system"], asked["steps"], asked["seeds"]) == ([NUMBERS, CHAIN], STEPS, SEEDS)
    assert (asked["precision"], asked["start_token"], asked["separator"]) == (2, "none", ",")
    assert made["model"]["sha256"] == file_sha256(model_folder / "model.safetensors")
    assert made["model"]["id"] == model_folder.name
    assert made["model"]["dtype"] == "float32"
    assert made["matmul_precision"] == "highest"
    assert made["command"].startswith(f"llmworld dynamics --system {NUMBERS} {CHAIN}")
    assert {"python", "device", "versions", "date"} <= set(made)
    assert {"jax", "llmworld_jax", "tokenizers"} <= set(made["versions"])


def test_the_codec_on_record_writes_the_stored_tokens(record, arrays):
    for system in BINS:
        made = record["provenance"]["systems"][system]
        codec = made["codec"]
        base, precision = codec["base"], codec["precision"]
        assert codec["scheme"] == "single"
        assert codec["start_tokens"] == []
        assert codec["separator"] == ","
        assert [made["low"], made["high"]] == arrays[f"{system}.edges"][:, [0, -1]].T.tolist()
        for seed, codes in enumerate(arrays[f"{system}.codes"].tolist()):
            digits = [[code // base**p % base for p in range(precision - 1, -1, -1)] for code in codes]
            written = [
                [level[d] for level, d in zip(codec["levels"], row)] + codec["separator_tokens"] for row in digits
            ]
            np.testing.assert_array_equal(arrays[f"{system}.tokens"][seed], np.ravel(written))


def test_the_systems_on_record_are_those_that_were_simulated(record, arrays):
    chains = [one["parameters"]["transition"] for one in record["provenance"]["systems"][CHAIN]["series"]]
    for seed, rows in enumerate(chains):
        observed = arrays[f"{CHAIN}.observed"][seed]
        np.testing.assert_allclose(arrays[f"{CHAIN}.true_mass"][seed, 1:], np.array(rows)[observed[:-1]])
    assert record["provenance"]["systems"][NUMBERS]["series"][0]["parameters"]["r"] == 3.9


class Stopped(RuntimeError):
    pass


def counted(monkeypatch, stop_after: int | None = None) -> list:
    """Count readings of the model; end the process in the middle, as far as Python can tell."""
    read, laws_of = [], many_laws._laws_of

    def reading(*arguments, **options):
        if len(read) == stop_after:
            raise Stopped
        read.append(1)
        return laws_of(*arguments, **options)

    monkeypatch.setattr(many_laws, "_laws_of", reading)
    return read


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_equals_one_that_was_not(run_folder, model_folder, monkeypatch, no_report, llmworld):
    call = ("dynamics", "--model", model_folder, "--name", "stopped", *ARGUMENTS)
    with monkeypatch.context() as patch:
        counted(patch, stop_after=3)
        with pytest.raises(Stopped):
            llmworld(*call)
    folder = Path("runs/stopped")
    assert len(list((folder / "units").glob("*.npz"))) == 3
    assert not (folder / "arrays.npz").exists()
    assert not (folder / "manifest.json").exists()
    assert (folder / "config.json").exists()

    read = counted(monkeypatch)
    code, out, _ = llmworld(*call)
    assert code == 0
    assert len(read) == 1
    assert (folder / "arrays.npz").read_bytes() == (run_folder / "arrays.npz").read_bytes()
    names = [sorted(p.name for p in (f / "units").iterdir()) for f in (folder, run_folder)]
    assert names[0] == names[1]
    assert "runs/stopped/report.html" in out

    before = (folder / "config.json").read_bytes()
    assert llmworld(*call)[0] == 0
    assert len(read) == 1, "a finished run was read again"
    assert (folder / "arrays.npz").read_bytes() == (run_folder / "arrays.npz").read_bytes()
    assert (folder / "config.json").read_bytes() == before
    assert RunStore.open(folder, json.loads(before)["config"]).sealed()


@pytest.mark.slow
def test_a_damaged_unit_is_read_again(run_folder, loaded, model_folder, tmp_path, monkeypatch):
    import shutil

    from llmworld_jax.store import DamagedUnit

    folder = tmp_path / "copy"
    shutil.copytree(run_folder, folder)
    damaged = sorted((folder / "units").iterdir())[0]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-100])
    config, read = config_for(model_folder), counted(monkeypatch)
    store = RunStore.open(folder, dataclasses.asdict(config))
    with pytest.warns(DamagedUnit):
        dynamics.run(config, loaded, dynamics.prepare(config, loaded), store, lambda message: None)
    assert len(read) == 1
    assert damaged.read_bytes() == whole


def test_a_unit_answers_one_question(loaded, model_folder):
    """Whatever changes what the model computes or reads changes the unit's key; the range of the grid does not."""
    config = config_for(model_folder, system=(NUMBERS,), seeds=1)

    def key(loaded=loaded, config=config, **changes) -> str:
        (one,) = dynamics.prepare(config, loaded)[0].series
        return content_hash(many_laws.unit_key(one._replace(**changes), loaded))

    same = key()
    assert key() == same
    other = loaded._replace(config=dataclasses.replace(loaded.config, rope_theta=2e4))
    assert key(other) != same
    assert key(loaded._replace(provenance=loaded.provenance | {"sha256": "0" * 64})) != same
    for changes in ({"seed": 1}, {"start_token": "bos"}, {"separator": ";"}, {"precision": 1}, {"steps": 59}):
        assert key(config=config_for(model_folder, system=(NUMBERS,), seeds=1, **changes)) != same, changes


def test_bytes_needed_covers_what_a_run_wrote(run_folder, loaded, model_folder):
    written = sum(p.stat().st_size for p in run_folder.rglob("*") if p.is_file())
    needed = dynamics.bytes_needed(dynamics.prepare(config_for(model_folder), loaded))
    assert written < needed < 5 * written


def test_the_summary_is_stored_as_it_was_printed(run_folder):
    rows = (run_folder / "summary.md").read_text().splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["Noisy logistic map", "Markov chain low entropy"]
    assert rows[0].count("|") == rows[2].count("|")
    assert json.loads((run_folder / "manifest.json").read_text())["files"].keys() >= {"summary.md", "arrays.npz"}


def test_the_observer_and_the_truth_pay_less_than_a_model_of_random_weights(arrays):
    for system in BINS:
        late = slice(STEPS // 2, None)
        regret = arrays[f"{system}.observer_regret"][:, late]
        np.testing.assert_allclose(
            arrays[f"{system}.nll"][:, late] - arrays[f"{system}.observer_nll"][:, late], regret, atol=1e-9
        )
        assert regret.mean() > 0
        assert (
            arrays[f"{system}.observer_loss"][:, late].mean() < arrays[f"{system}.bhattacharyya"][:, late].mean()
        ).all()


@pytest.mark.slow
def test_the_dear_nulls_are_read_stored_and_compared(loaded, model_folder, tmp_path, monkeypatch):
    config = config_for(model_folder, seeds=2, sparse_nulls=True)
    worlds = dynamics.prepare(config, loaded)
    store = RunStore.open(tmp_path / "run", dataclasses.asdict(config))
    results = dynamics.run(config, loaded, worlds, store, lambda message: None)
    for r in results:
        names = {"shuffled context", "random weights"} | (set() if r.symbolic else {"neural AR(1)"})
        assert set(r.sparse_nulls) == names
        assert names < set(r.verdict.nulls)
        for one in r.sparse_nulls.values():
            assert one.loss.shape == (2, len(one.context))
            assert np.isfinite(one.loss).all()
            assert one.context[-1] == STEPS - one.window
    arrays = dynamics.arrays_of(results)
    np.testing.assert_array_equal(arrays[f"{CHAIN}.null_context"], results[1].sparse_nulls["random weights"].context)


@pytest.mark.slow
def test_against_the_law_given_the_written_past_there_is_no_floor(loaded, model_folder, tmp_path):
    config = config_for(model_folder, system=(NUMBERS,), truth="given_quantised_past")
    worlds = dynamics.prepare(config, loaded)
    store = RunStore.open(tmp_path / "run", dataclasses.asdict(config))
    (quantised,) = dynamics.run(config, loaded, worlds, store, lambda message: None)
    (latent,) = dynamics.run(dataclasses.replace(config, truth="latent"), loaded, worlds, store, lambda message: None)
    np.testing.assert_array_equal(quantised.floor, 0)
    assert np.nanmean(latent.floor) > 0
    np.testing.assert_array_equal(quantised.log_mass, latent.log_mass)
    # One who knows the system and reads digits is nearer to the truth of digits.
    assert np.nanmean(quantised.observer.loss) < np.nanmean(latent.observer.loss)
