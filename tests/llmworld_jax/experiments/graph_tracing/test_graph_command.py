"""`llmworld graph` as a user meets it, with a tiny random model: what it leaves, resumes and refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from llmworld_jax.experiments.graph_tracing import (
    accuracy_figures,
    energy_figures,
    map_figures,
    mechanism_figures,
    reading,
)
from llmworld_jax.files import load_arrays

from ..drawing import legends_are_clear

NAMES = ("apple", "bird", "car", "egg", "house", "milk", "plane")
SMALL = ("--walks", 3, "--length", 64, "--prefix", "words", "--name", "r", "--window", 30)


@pytest.fixture
def no_reading(monkeypatch):
    monkeypatch.setattr(reading, "read_walks", lambda *_, **__: pytest.fail("the model was run"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--graph", "grid:4x4", "grid:4x4"), "--graph grid:4x4 grid:4x4"),
        (("--walks", 1), "--walks 1"),
        (("--length", 10), "--length 10"),
        (("--placements", 0), "--placements 0"),
        (("--window", 1), "--window 1"),
        (("--restart", 1.5), "--restart 1.5"),
        (("--share", -1), "--share -1"),
        (("--contexts", 10), "--contexts 10"),
        (("--contexts", 10, 5000), "--contexts 10 5000"),
        (("--contexts", 10, 10), "--contexts 10 10"),
        (("--dtype", "float16"), "--dtype float16"),
        (("--start-token", "first"), "start token 'first'"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused_before_anything_is_read(refused, options, said):
    assert said in refused("graph", "--model", "never looked for", *options)


def edges(text: str) -> Path:
    Path("edges.csv").write_text(text)
    return Path("edges.csv")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--graph", "moon:3"), "moon:3"),
        (("--graph", "none.csv"), "No such file"),
        (("--graph", "grid:9x9"), "81 nodes"),
        (("--graph", "path:3"), "3 nodes"),
        (("--graph", "ring:5", "--words", "apple", "bird"), "2 words for 5 nodes"),
        (("--graph", "ring:4", "--words", "apple", "bird", "apple", "car"), "apple more than once"),
        (("--graph", "ring:4", "--words", "apple", "bird", "car", "two words"), "'two words' (2 tokens)"),
        (("--length", 600), "at most 512 tokens"),
        (("--graph", "grid:6x6", "--walks", 2, "--length", 60, "--window", 2), "0 edges"),
        (("--graph", "ring:6", "--mixture", "ring:7"), "--mixture ring:7 with 7 nodes"),
    ],
)
def test_what_cannot_be_walked_is_refused_before_the_model_reads(refused, no_reading, word_model, options, said):
    assert said in refused("graph", "--model", word_model, "--prefix", "words", *options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "without an edge"),
        ("apple,bird\nbird,bird\n", "line 2: bird"),
        ("apple,bird\ncar,egg\n", "2 parts"),
        ("apple;bird\n", "line 1"),
    ],
)
def test_a_table_of_edges_that_is_no_graph_is_refused(refused, no_reading, word_model, text, said):
    assert said in refused("graph", "--model", word_model, "--graph", edges(text))


@pytest.fixture
def no_page_again(monkeypatch):
    """Once called, an empty page stands in the place of the report, whose pictures take seconds."""
    from llmworld_jax.experiments.graph_tracing import report
    from llmworld_jax.files import write_text

    def written(folder, *rest):
        write_text(folder / "report.html", "")
        return folder / "report.html"

    return lambda: monkeypatch.setattr(report, "write_report", written)


def watched_pictures(monkeypatch) -> list[bool]:
    """Whether the legends of each picture stand outside its panels; filled as pictures are made."""
    found: list[bool] = []
    for module in (accuracy_figures, energy_figures, map_figures, mechanism_figures):

        def drawn(figure, png=module.png):
            figure.canvas.draw()
            found.append(legends_are_clear(figure))
            return png(figure)

        monkeypatch.setattr(module, "png", drawn)
    return found


@pytest.mark.slow
def test_a_whole_run_with_every_part_goes_on_where_it_was(llmworld, word_model, no_page_again, monkeypatch):
    pictures = watched_pictures(monkeypatch)
    command = (
        "graph",
        "--model",
        word_model,
        *SMALL,
        "--graph",
        "days",
        "--twin",
        "--placements",
        2,
        "--mechanism",
        "thorough",
    )
    code, out, err = llmworld(*command)
    assert code == 0, err
    assert "days:3 (7, 7)" in out
    assert "step-3 plane" in out
    folder = Path("runs/r")
    page = (folder / "report.html").read_text()
    for heading in ("The graph forms", "Energy and shape", "What it says next", "Transition", "How it is done"):
        assert heading in page
    assert "The order that the words bring along" in page
    assert (folder / "summary.md").read_text().count("days:3") == 1
    assert len(pictures) == 11
    assert all(pictures), "a legend covers a panel"
    config = json.loads((folder / "config.json").read_text())
    assert config["provenance"]["graphs"]["days:3"]["nodes"] == 7
    found = load_arrays(folder / "arrays.npz")
    layers, contexts = found["days:3.walk.ratio"].shape
    assert (layers, contexts) == (4, len(found["days:3.contexts"]))
    assert found["days:3.walk.accuracy"].shape == (3, 64)
    assert found["days:3.spread"].shape == (2, 4)
    assert found["days:3.words"].tolist()[0] == "Monday"
    for kind in ("walk", "independent words", "shuffled edges", "other graph", "untrained twin"):
        assert np.isfinite(found[f"days:3.{kind}.ratio"][1:, -1]).all(), kind
    np.testing.assert_allclose(np.nansum(found["days:3.prior.power"], axis=-1)[:, :, -1], 1, rtol=1e-3)
    # A model of random weights knows no graph.
    assert found["days:3.walk.renormalised"][:, 32:].mean() < 0.45
    assert len(found["days:3.ablation.renormalised"]) == 8
    assert found["days:3.swap.everywhere"].shape == (4, 2)
    monkeypatch.setattr(reading, "read_walks", lambda *_, **__: pytest.fail("what was read is read again"))
    no_page_again()
    code, again, err = llmworld(*command)
    assert code == 0, err
    assert again == out
    for name, value in load_arrays(folder / "arrays.npz").items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)


@pytest.mark.slow
def test_a_mixture_and_pairs_over_a_table_of_edges(llmworld, word_model, no_page_again):
    no_page_again()
    lines = "".join(f"{a},{b}\n" for a, b in zip(NAMES, (*NAMES[1:], NAMES[0])))
    named = ("--graph", edges(lines), "--words", "labels", "--mechanism", "off", "--no-controls")
    code, out, err = llmworld("graph", "--model", word_model, *SMALL, *named, "--mixture", "circulant:7x2")
    assert code == 0, err
    assert "edges (7, 7)" in out
    found = load_arrays("runs/r/arrays.npz")
    assert found["edges.two.overlap"].shape[0] == 4
    assert found["edges.words"].tolist() == list(NAMES)
    code, _, err = llmworld("graph", "--model", word_model, *SMALL, *named, "--sequence", "pairs", "--separator", ",")
    assert code == 0, err
    accuracy = load_arrays("runs/r/arrays.npz")["edges.pairs.accuracy"]
    assert np.isnan(accuracy[:, 1::2]).all(), "nothing is lawful after a pair"
    assert np.isfinite(accuracy[:, ::2]).all()
