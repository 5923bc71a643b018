"""`llmworld space-time` as a user meets it, with a tiny random model: what it leaves, resumes and refuses."""

from pathlib import Path

import numpy as np
import pytest

from llmworld_jax.experiments.space_time import dataset, rows, space_time
from llmworld_jax.files import load_arrays

SMALL = ("--start-token", "bos", "--folds", 2, "--penalties", 5, "--causal", "off", "--name", "r")
GROUPED = ("--group-column", "land")


def places(count: int = 80, seed: int = 0, **changes: str) -> Path:
    """A CSV of places whose names are random letters, in four lands; ``changes`` replace a column's first value."""
    random = np.random.default_rng(seed)
    lines = ["name,longitude,latitude,land"]
    for i in range(count):
        name = "".join(random.choice(list("abcdefghijklmnopqrstuvw"), 5))
        row = {"name": name, "longitude": f"{10 * (i % 4) + random.normal():.3f}", "latitude": f"{random.normal():.3f}"}
        row |= {"land": "abcd"[i % 4]} | (changes if i == 0 else {})
        lines.append(",".join(row[column] for column in ("name", "longitude", "latitude", "land")))
    path = Path("places.csv" if seed == 0 else f"places_{seed}.csv")
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--folds", 1), "--folds 1"),
        (("--penalties", 2), "--penalties 2"),
        (("--entities", 10), "--entities 10"),
        (("--seed", -1), "--seed -1"),
        (("--dtype", "float16"), "--dtype float16"),
        (("--prompts", "empty", "empty"), "--prompts empty empty"),
        (("--start-token", "first"), "start token 'first'"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused_before_anything_is_read(refused, options, said):
    assert said in refused("space-time", "--model", "never looked for", "--dataset", "no file", *options)


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({"longitude": "east"}, GROUPED, "'east'"),
        ({"latitude": "95"}, GROUPED, "95"),
        ({"land": ""}, GROUPED, "land"),
        ({}, (), "the group None"),
        ({}, (*GROUPED, "--group", "country"), "the group 'country'"),
        ({}, (*GROUPED, "--holdout", "kind"), "the group 'kind'"),
        ({}, (*GROUPED, "--prompts", "empty", "shouted"), "the prompts shouted"),
        ({}, (*GROUPED, "--split", "file"), "--split file"),
        ({}, ("--group-column", "lands"), "lands"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_before_the_model_reads(
    refused, model_folder, monkeypatch, changes, options, said
):
    monkeypatch.setattr(rows, "_read", lambda *_, **__: pytest.fail("the model was run"))
    path = places(**changes)
    assert said in refused("space-time", "--dataset", path, "--model", model_folder, *SMALL[:2], *options)


def test_an_unknown_dataset(refused, model_folder):
    assert "atlantis" in refused("space-time", "--dataset", "atlantis", "--model", model_folder)


@pytest.fixture
def no_page(monkeypatch):
    """An empty page in the place of the report, whose pictures take seconds."""
    from llmworld_jax.experiments.space_time import report
    from llmworld_jax.files import write_text

    def written(folder, *rest):
        write_text(folder / "report.html", "")
        return folder / "report.html"

    monkeypatch.setattr(report, "write_report", written)


@pytest.mark.slow
def test_a_run_leaves_its_arrays_and_goes_on_where_it_was(llmworld, model_folder, no_page, monkeypatch):
    asked = ("space-time", "--dataset", places(), "--model", model_folder, *SMALL, *GROUPED)
    code, out, err = llmworld(*asked)
    assert code == 0, err
    assert "places: " in out
    first = load_arrays("runs/r/arrays.npz")
    assert first["places.sweep.predictions"].shape == (3, 80, 2)
    assert first["places.neurons.rho"].shape == (2, 48, 3)
    assert np.isfinite(first["places.sweep.final"]).all()
    assert Path("runs/r/summary.md").read_text().count("|") > 10
    monkeypatch.setattr(rows, "_read", lambda *_, **__: pytest.fail("names were read again"))
    code, out, err = llmworld(*asked)
    assert code == 0, err
    again = load_arrays("runs/r/arrays.npz")
    assert first.keys() == again.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name], err_msg=name)
    with pytest.raises(pytest.fail.Exception, match="read again"):
        llmworld(*asked, "--seed", 1)  # another question


@pytest.mark.slow
def test_activations_are_kept_once_and_are_those_that_were_probed(llmworld, model_folder, no_page):
    from llmworld_jax.activation_store import read_layer

    asked = ("space-time", "--dataset", places(), "--model", model_folder, *SMALL, *GROUPED, "--no-neurons")
    assert llmworld(*asked, "--no-twin", "--store-activations", "kept")[0] == 0
    stored = read_layer("kept/places", "resid_post", 1)
    assert stored.rows.shape == (80, 32)
    code, _, err = llmworld(*asked, "--no-twin", "--store-activations", "kept")
    assert code == 0, err
    code, _, err = llmworld(*asked, "--entities", 60, "--store-activations", "kept")
    assert code == 2
    assert "which holds something else" in err


@pytest.mark.slow
def test_a_table_too_large_to_hold_is_read_in_a_stream(llmworld, model_folder, no_page, monkeypatch):
    from llmworld_jax.experiments.space_time import study

    for module in (dataset, space_time, study):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 60)
    for owner, name in ((dataset, "residual_rows"), (rows.Reader, "residual"), (rows.Reader, "neurons")):
        monkeypatch.setattr(owner, name, lambda *_: pytest.fail("all rows were held"))
    code, _, err = llmworld("space-time", "--dataset", places(), "--model", model_folder, *SMALL, *GROUPED)
    assert code == 0, err
    found = load_arrays("runs/r/arrays.npz")
    assert np.isfinite(found["places.sweep.final"]).all(axis=1).sum() == (found["places.fold"] == 0).sum() == 40
    assert np.isfinite(found["places.control.n-grams of the name.r2"]).all()


@pytest.mark.slow
def test_sixteen_bits_two_tables_and_every_prompt(llmworld, model_folder, no_page):
    two = ("--dataset", places(), places(seed=1), "--dtype", "bfloat16", "--prompts", "all", "--no-twin")
    code, _, err = llmworld("space-time", *two, "--model", model_folder, *SMALL, *GROUPED)
    assert code == 0, err
    assert load_arrays("runs/r/arrays.npz")["places_1.neurons.top_activation"].dtype == np.float32


@pytest.mark.slow
@pytest.mark.model
def test_the_default_model_knows_where_cities_lie(llmworld, no_page):
    """Few cities, so that the scores are low; chance stays at chance."""
    few = ("--entities", 400, "--penalties", 9, "--no-neurons", "--no-twin", "--causal", "off", "--name", "cities")
    code, out, err = llmworld("space-time", "--dataset", "world_cities", *few)
    assert code == 0, err
    assert "World cities (400)" in out
    found = load_arrays("runs/cities/arrays.npz")
    r2 = {
        name: found[f"world_cities.control.{name}.r2"].mean() for name in ("model", "shuffled targets", "country mean")
    }
    assert r2["model"] > 0.3
    assert r2["shuffled targets"] < 0.05
    assert r2["model"] < r2["country mean"]
