"""The tables of a run: one row a system, every number that of the results."""

import numpy as np
import pytest

from llmworld_jax.experiments.figure_style import title
from llmworld_jax.experiments.summary import (
    COLUMNS,
    exponent_table,
    floor_table,
    markdown,
    null_table,
    spelled,
    summary_table,
)

NAMES = ("noisy_logistic_map", "logistic_map", "markov_chain_low_entropy")


@pytest.fixture(scope="module")
def results(made_up):
    return made_up(*NAMES)


def test_every_system_has_its_row(results):
    for table in (summary_table(results), exponent_table(results), floor_table(results)):
        assert [row[0] for row in table.rows] == [title(name) for name in NAMES]
        assert len(table.caption) > 100


def test_the_row_holds_what_the_issue_asks_for(results):
    row = dict(zip(COLUMNS, summary_table(results).rows[1], strict=True))
    r = results[1]
    late = round(0.8 * r.loss.shape[1])
    assert row["loss"] == "|Δ mean|"
    assert row["late [95 %]"] == spelled(r.verdict.late, r.verdict.late_low, r.verdict.late_high)
    assert row["exponent [90 %]"].startswith(f"{r.fits.log_log.value:.2g} [")
    best = min(r.verdict.nulls, key=lambda name: r.verdict.nulls[name].null)
    assert row["best null, late"] == f"{r.verdict.nulls[best].null:.3g} ({best})"
    assert row["regret, nats"] == f"{np.mean(r.observer.regret[:, late:]):.2f}"
    assert row["verdict"] == "learns"


def test_nulls_are_listed_with_the_ratio_and_its_interval(results):
    table = null_table(results[0])
    assert [row[0] for row in table.rows] == list(results[0].verdict.nulls)
    assert table.rows[0][2:] == ("0.5 [0.4, 0.6]", "beaten")


def test_floors_of_chains_stand_at_one_digit_only(results):
    table = floor_table(results)
    assert table.columns == ("system", "loss", "1 digit", "2 digits", "3 digits")
    assert table.rows[2][2:] == ("0", None, None)
    assert None not in table.rows[0]


def test_numbers_without_interval_or_fit_say_so():
    assert spelled(0.5) == "0.5"
    assert spelled(float("nan"), 0.1, 0.2) == "no fit"
    assert spelled(-0.333, -0.4, -0.2, 2) == "-0.33 [-0.4, -0.2]"


def test_markdown_has_as_many_cells_in_every_row(results):
    lines = markdown(summary_table(results)).splitlines()
    assert len(lines) == 2 + len(NAMES)
    assert {line.replace(r"\|", "").count("|") for line in lines} == {len(COLUMNS) + 1}
