"""The tables and the words of a run: every number that of the results."""

import numpy as np
import pytest

from llmworld_jax.experiments.space_time import describing, summary, tables


@pytest.fixture(scope="module")
def places(made_up_study):
    return made_up_study("place")


@pytest.fixture(scope="module")
def times(made_up_study):
    return made_up_study("time")


def test_the_summary_has_a_row_a_dataset_and_finds_each_control(places, times):
    table = summary.summary_table((places, times))
    assert [row[0] for row in table.rows] == ["Made up places (60)", "Made up times (60)"]
    row = dict(zip(table.columns, table.rows[0], strict=True))
    of = {control.name: control.scores for control in places.controls}
    model = of["model, best layer"]
    scores = f"({model.rho.mean():.2f}, {model.proximity.mean():.2f})"
    assert row["model R² (ρ, PE)"] == f"{describing.spread(model.r2)} {scores}"
    for column, name in (
        ("untrained twin R²", "untrained twin"),
        ("embedding layer R²", "embedding layer"),
        ("mean input embedding R²", "mean input embedding"),
        ("n-grams R²", "n-grams of the name"),
    ):
        assert row[column] == describing.spread(of[name].r2)
    assert row["selectivity"] == "0.25"  # as the control task was made
    assert row["r within groups"] == "0.11 / 0.11"
    assert row["verdict"] == "Beats every control"


def test_a_control_that_is_missing_is_a_dash(places):
    known = tuple(c for c in places.controls if "n-gram" not in c.name and "task" not in c.name)
    fewer = places._replace(controls=known)
    row = dict(zip(summary.COLUMNS, summary.summary_table((fewer,)).rows[0], strict=True))
    assert row["n-grams R²"] == row["selectivity"] == "–"


def test_markdown_has_as_many_cells_in_every_row(places, times):
    lines = summary.markdown(summary.summary_table((places, times))).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(summary.COLUMNS) + 1}


def test_headline_scores_name_the_unit_and_the_layers(places, times):
    table = tables.score_table(places)
    rows = dict(zip((row[0] for row in table.rows), (row[1:] for row in table.rows), strict=True))
    assert rows["R²"] == (describing.spread(places.controls[0].scores.r2), describing.spread(places.mlp.r2))
    assert rows["median error"][0].endswith(" km")
    assert {"R², longitude", "R², latitude"} <= rows.keys()
    assert "layers 2–3 of 3" in table.caption
    of_times = tables.score_table(times._replace(mlp=None))
    assert of_times.columns == ("score on test rows", "ridge probe")
    assert dict(of_times.rows)["median error"].endswith(" years")


def test_every_control_is_listed_with_its_gain(places):
    rows = {row[0]: row[1:] for row in tables.control_table(places).rows}
    assert len(rows) == len(places.controls)
    assert rows["n-grams of the name"][-1] == "0.12 [0.09, 0.15]"
    assert rows["model, best layer"][-1] is None
    assert rows["word vectors"] == ("Not computed: no file was given", None, None, None, None)
    assert rows["group mean (ceiling)"][-1] == "−0.30 [−0.33, −0.27]"


def test_small_groups_are_left_out_of_the_table_of_groups(made_up_study, places):
    assert tables.group_table(places) is None
    large = made_up_study("place", entities=300)
    table = tables.group_table(large)
    wanted = sorted((count for _, count, _ in large.by_group if count >= 30), reverse=True)
    assert [int(row[1]) for row in table.rows] == wanted
    assert table.columns[0] == "country"
    assert table.columns[-1] == "median error (km)"


def test_left_out_groups_end_in_the_mean_of_all(places, times):
    table = tables.holdout_table(places, "country")
    blocks = places.blocks["country"]
    assert len(table.rows) == len(blocks) + 1
    name, count, proximity, error, cosine, reach = table.rows[-1]
    assert (name, count) == (f"mean of all {len(blocks)}", str(sum(len(b.rows) for b in blocks)))
    before, after = (np.mean([getattr(b, f"{k}_proximity") for b in blocks]) for k in ("nominal", "held_out"))
    assert proximity == f"{before:.2f} → {after:.2f}"
    assert error.startswith("900 → 2,10")
    assert (cosine, reach) == ("0.90", "0.45")
    assert "cosine" not in tables.holdout_table(times, "century").columns


def test_unknown_numbers_do_not_spoil_a_mean(places):
    blocks = places.blocks["country"]
    holes = (blocks[0]._replace(cosine=np.nan), *blocks[1:])
    assert tables.mean_over(holes, "cosine") == pytest.approx(0.9)
    assert np.isnan(tables.mean_over(tuple(b._replace(cosine=np.nan) for b in blocks), "cosine"))


def test_neurons_are_listed_with_what_chance_gives(places):
    table = tables.neuron_table(places)
    assert [row[0] for row in table.rows] == ["longitude", "latitude", "|latitude|"]
    row = dict(zip(table.columns, table.rows[1], strict=True))
    assert row["best neuron"] == "block 1, neuron 7"
    assert row["ρ, all rows"] == f"{places.neurons.rho[1, 7, 1]:.2f}".replace("-", "−")
    assert row["best by chance"] == "0.40"
    assert row["ρ, chosen on training rows"] == "0.62 ± 0.00"
    assert row["chosen in folds"] == "3 of 3"


def test_controls_are_known_by_their_names(places):
    kinds = [describing.kind_of(control) for control in places.controls]
    assert kinds == [
        *("model", "twin", "embedding", "mean embedding", "ngrams", "shuffled", "task", "mlp", "ceiling", "control"),
    ]
    with pytest.raises(ValueError, match="role 'model'"):
        describing.model_of(places._replace(controls=places.controls[1:]))


def test_numbers_are_spelled_as_one_reads_them():
    assert describing.number(-0.126) == "−0.13"
    assert describing.number(-0.001) == "0.00"
    assert describing.number(12345.6, 0) == "12,346"
    assert describing.number(float("nan")) == "–"
    assert describing.spread(np.array([0.4, 0.6])) == "0.50 ± 0.14"
    assert describing.spread(np.array([0.5])) == "0.50"
    assert describing.spread(np.array([-664.0, -665.0])) == "−664 ± 1"
    assert describing.spread(np.array([np.nan, np.nan])) == "–"
    assert describing.listed([]) == "none"
    assert describing.listed(["a", "b", "c"]) == "a, b and c"
    assert describing.layers_text(np.array([4, 4])) == "layer 4"


def test_the_typical_layer_is_that_of_most_folds(places):
    chosen = places._replace(sweep=places.sweep._replace(chosen=np.array([3, 1, 3])))
    assert describing.typical_layer(chosen) == 3


def test_names_of_places_keep_their_capitals(places):
    from dataclasses import replace

    named = places._replace(table=replace(places.table, key="us_cities"))
    assert describing.dataset_title(named) == "US cities"
    assert describing.dataset_title(places) == "Made up places"
