"""`llmworld energy` as a user meets it, with a tiny random model: what it leaves, resumes and refuses."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.prompt_energy import (
    figures,
    law_section,
    law_study,
    report,
    steering_section,
    testing,
    token_section,
    training,
    walk_section,
)
from llmworld_jax.experiments.prompt_energy import prompt_energy as module
from llmworld_jax.experiments.prompt_energy.config import OBJECTIVES, EnergyConfig
from llmworld_jax.files import load_arrays, write_text
from llmworld_jax.store import RunStore

from ..drawing import legends_are_clear

SMALL = (
    "--start-text", " apple bird car", "--vectors", 3, "--steps", 3, "--length", 30, "--window", 20, "--test-length",
    120, "--test-walks", 2, "--graph", "grid:2x3", "--held-out", "ring:6", "--random", 3, "--rounds", 1,
    "--candidates", 4, "--name", "r",
)  # fmt: skip


@pytest.fixture
def no_steps(monkeypatch):
    monkeypatch.setattr(training, "step_runs", lambda *_: pytest.fail("a step was made"))
    monkeypatch.setattr(module, "read_behind", lambda *_: pytest.fail("the model was run"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seeds", 0), "--seeds 0"),
        (("--steps", 0), "--steps 0"),
        (("--window", 300), "--window 300"),
        (("--vectors", 0), "--vectors 0"),
        (("--vectors", 3, 3), "--vectors 3 3"),
        (("--rate", 0), "--rate 0"),
        (("--objective", "energy", "energy"), "--objective energy energy"),
        (("--test-length", 50), "--test-length 50"),
        (("--held-out", "ring:6", "ring:6"), "--held-out ring:6 ring:6"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused_before_anything_is_read(refused, options, said):
    assert said in refused("energy", "--model", "never looked for", *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--graph", "moon:3"), "moon:3"),
        (("--held-out", "grid:0x0"), "grid:0x0"),
        (("--graph", "grid:8x8"), "64 nodes"),
        (("--test-length", 600), "at most 512"),
        (("--study", "tokens", "--graph", "ring:41"), "at most 512"),
        (("--layer", 9), "--layer 9"),
        (("--layer", 0), "--layer 0"),
        (("--graph", "path:3"), "3 nodes"),
        (("--start-text", ""), "--start-text"),
        (("--study", "laws", "--system", "moon"), "moon"),
    ],
)
def test_what_the_model_cannot_read_is_refused_before_it_reads(refused, no_steps, word_model, options, said):
    assert said in refused("energy", "--model", word_model, "--start-text", " apple", *options)


@pytest.fixture
def pictures(monkeypatch) -> list[bool]:
    """Whether the legends of each picture stand outside its panels; filled as pictures are made."""
    found: list[bool] = []
    for drawing in (figures, steering_section, token_section, walk_section):

        def drawn(figure, png=drawing.png):
            figure.canvas.draw()
            found.append(legends_are_clear(figure))
            return png(figure)

        monkeypatch.setattr(drawing, "png", drawn)
    return found


@pytest.mark.slow
def test_a_whole_run_of_every_study_goes_on_where_it_was(llmworld, word_model, pictures, monkeypatch):
    command = (
        "energy", "--model", word_model, *SMALL, "--objective", "energy", "--study", "prompts",
        "tokens", "walks", "steering",
    )  # fmt: skip
    real, seen = training.step_runs, []

    def killed(*arguments):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training, "step_runs", killed)
    code, _, err = llmworld(*command)
    assert code == 130
    assert "goes on from there" in err
    monkeypatch.setattr(training, "step_runs", lambda *arguments: seen.append(1) or real(*arguments))
    code, out, err = llmworld(*command)
    assert code == 0, err
    assert len(seen) == 3 + 1, "a step that was stored is made again"
    assert pictures
    assert all(pictures), "a legend covers a panel"
    page = Path("runs/r/report.html").read_text()
    for heading in (
        "sceptic",
        "Prompts of real tokens",
        "Steering to another graph",
        "Which walk shows",
        "least energy",
    ):
        assert heading in page, heading
    for name in ("no prompt", "word list", "random tokens, best by energy", "energy", "tokens by gradient, energy"):
        assert name in out, name
    found = load_arrays("runs/r/arrays.npz")
    assert found["energy.loss"].shape == (2, 3)
    assert found["walks.ratio"].shape == (10, 6, 2)
    assert found["steering.to_target"].shape == (5, 6)
    np.testing.assert_allclose(found["steering.to_target"][:, 0], found["steering.to_target"][0, 0], atol=1e-5)
    scores = found["word list, seed 0.grid:2x3, new words.ratio"]
    assert scores.shape == (4, 3)
    monkeypatch.setattr(training, "step_runs", lambda *_: pytest.fail("what was trained is trained again"))
    monkeypatch.setattr(module, "read_behind", lambda *_: pytest.fail("what was tested is tested again"))
    page = Path("runs/r/report.html").resolve()
    monkeypatch.setattr(report, "write_report", lambda *_: write_text(page, "") or page)
    code, again, err = llmworld(*command)
    assert code == 0, err
    assert again.replace(str(page), "runs/r/report.html") == out


@pytest.mark.once
def test_scores_are_those_of_a_plain_pass(word_loaded):
    from llmworld_jax.experiments.prompt_energy import worlds

    config = EnergyConfig(graph=("grid:2x3",), held_out=(), test_length=120, test_walks=2, length=30, window=20)
    test = worlds.prepare(config, word_loaded).tests[0]
    none, lengths = map(jnp.asarray, testing.behind(np.zeros((0, 32), np.float32), 0, 2, 2))
    seen = testing.read_behind(word_loaded.model, none, lengths, test.tasks, testing.reader_of(120, 20, (3,)))
    scores = testing.scores_of(seen, test)
    from llmworld_jax.models.forward import forward
    from llmworld_jax.models.readout import logits

    nodes, ids = np.asarray(test.tasks.nodes), np.asarray(test.tasks.word_ids[0])
    adjacency = np.asarray(test.graph.adjacency)
    legal = np.zeros((2, 120))
    for k in range(2):
        law = np.asarray(logits(word_loaded.model, forward(word_loaded.model, jnp.asarray(ids[nodes[k]])).hidden))
        law = np.exp(law - law.max(axis=1, keepdims=True))
        law /= law.sum(axis=1, keepdims=True)
        legal[k] = [law[t][ids[adjacency[nodes[k, t]] > 0]].sum() for t in range(120)]
    np.testing.assert_allclose(scores.accuracy, legal.mean(axis=0), rtol=2e-3)
    assert scores.relabelled.shape == (4, testing.RELABELLINGS)
    assert abs(scores.relabelled.mean() - 1) < 0.15  # R of relabelled nodes is 1 on average
    assert np.isnan(scores.probe_ratio[0])


@pytest.mark.once
def test_systems_that_are_written_otherwise_are_refused(loaded):
    config = EnergyConfig(start_text="ab", system=("noisy_logistic_map", "markov_chain"))
    with pytest.raises(InputError, match="written alike"):
        law_study.law_series(config, loaded)


@pytest.mark.slow
def test_prompts_before_series_of_numbers(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(law_study, "STEPS", 60)
    config = EnergyConfig(start_text="ab", vectors=(2,), steps=2, system=("noisy_logistic_map", "brownian_motion"))
    store, said = RunStore.open(tmp_path / "r", {}), []
    found = law_study.law_prompts_of(config, loaded, {}, store, said.append)
    assert found.value.shape == (6, 2, 4)
    assert (found.value[..., 0] > 0).all()
    assert found.loss.shape == (4, 2)
    assert sum(text.startswith("step") for text in said) == 8
    said.clear()
    again = law_study.law_prompts_of(config, loaded, {}, store, said.append)
    assert not any(text.startswith("step") for text in said)
    np.testing.assert_allclose(again.value, found.value, rtol=1e-5)
    assert law_section.law_figure(found)


def test_every_objective_is_explained():
    for objective in OBJECTIVES:
        assert objective in figures.AXES
        assert objective in figures.COLORS
