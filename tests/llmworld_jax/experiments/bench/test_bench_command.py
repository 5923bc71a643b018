"""``llmworld bench`` as a user meets it: its rows, its files, its peer, what it refuses. No test looks at a time."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from llmworld_jax.experiments.bench import bench, machine, peak
from llmworld_jax.experiments.bench.rows import Measured
from llmworld_jax.experiments.bench.table import Row, told
from llmworld_jax.experiments.bench.timing import Quantity
from llmworld_jax.models.public_configs import PUBLIC_CONFIGS

SMALL = ("--context", 48, "--states", 3, "--digits", 2)
ROWS = (
    "matrix product", "prefill", "laws", "tree", "tree alone", "forward pass", "capture", "capture over forward",
    "gradient", "gradient over the loss alone", "gradient over forward",
)  # fmt: skip
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(peak, "CPU_SIZES", (16, 32))
    monkeypatch.setattr(bench, "CPU_PAUSE", 0.0)


def starts(rows: list[dict]) -> tuple[str, ...]:
    """What stands before the particulars."""
    return tuple(re.split(r":", row["measurement"])[0] for row in rows)


def test_the_table_and_its_files(llmworld, model_folder):
    code, out, err = llmworld("bench", "--model", model_folder, *SMALL, "--batch", 2, "--no-peer", "--out", "speed")
    assert code == 0, err
    said = json.loads(Path("speed/bench.json").read_text())
    assert {path.name for path in Path("speed").iterdir()} == {"bench.json", "bench.md"}
    assert out.startswith(Path("speed/bench.md").read_text())
    assert starts(said["rows"]) == ROWS
    rows = dict(zip(ROWS, said["rows"], strict=True))
    assert "2 x 48 tokens" in rows["prefill"]["measurement"]
    assert "3 states x 2 digits behind 48 tokens" in rows["laws"]["measurement"]
    assert "30 nodes" in rows["tree"]["measurement"]
    assert all(rows[name]["mfu"] > 0 and rows[name]["compile_seconds"] > 0 for name in ("prefill", "laws"))
    assert rows["tree"]["ours"]["middle"] == pytest.approx(10 * rows["laws"]["ours"]["middle"])
    assert rows["capture over forward"]["unit"] == "ratio"
    assert all(row["peer"] is None and row["ratio"] is None for row in said["rows"])
    assert {len(each) for each in said["seconds"].values()} == {3}
    told_of = ("device", "cores", "jax", "model", "dtype", "attention kernel", "matmul precision")
    assert set(told_of) <= said["header"].keys()
    assert (said["header"]["dtype"], said["header"]["matmul precision"]) == ("float32", "highest")


@needs_torch
@pytest.mark.torch
@pytest.mark.slow
def test_the_peer_gives_the_same_answers(llmworld, model_folder):
    code, out, err = llmworld("bench", "--model", model_folder, *SMALL[:-1], 3, "--out", "speed")
    assert code == 0, err
    said = json.loads(Path("speed/bench.json").read_text())
    apart = dict(re.findall(r"- (\w+): ours and theirs differ by (\S+)\.", out))
    assert apart.keys() == {"prefill", "laws", "gradient"}
    assert max(map(float, apart.values())) < 1e-4
    beside = [start for start, row in zip(starts(said["rows"]), said["rows"], strict=True) if row["ratio"] is not None]
    assert beside == ["prefill", "laws", "tree", "gradient"]
    assert list(said["seconds"])[:2] == ["prefill", "torch prefill"]


@needs_torch
@pytest.mark.torch
@pytest.mark.slow
def test_a_peer_of_random_weights_that_runs_out_of_memory(llmworld, monkeypatch, tiny_llama):
    import torch

    from llmworld_jax.experiments.bench import peer

    def too_large(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setitem(PUBLIC_CONFIGS, "tiny", tiny_llama(tied=False).config)
    monkeypatch.setattr(peer, "gradient", too_large)
    code, out, err = llmworld("bench", "--shape", "tiny", "--dtype", "bfloat16", *SMALL, "--out", "speed")
    assert code == 0, err
    assert "The peer ran out of memory: gradient." in out
    assert "differ" not in out  # its random weights are its own
    rows = json.loads(Path("speed/bench.json").read_text())["rows"]
    assert [start for start, row in zip(starts(rows), rows, strict=True) if row["peer"]] == ["prefill", "laws", "tree"]


def test_random_weights_of_a_shape(llmworld, monkeypatch, tiny_llama):
    monkeypatch.setitem(PUBLIC_CONFIGS, "tiny", tiny_llama(tied=False).config)
    code, out, err = llmworld("bench", "--shape", "Tiny", *SMALL, "--no-peer")
    assert code == 0, err
    assert "model: tiny, random weights" in out
    assert "dtype: float32" in out
    assert len([line for line in out.splitlines() if line.startswith("|")]) == 2 + len(ROWS)


def test_no_torch_no_peer(llmworld, model_folder, monkeypatch):
    from llmworld_jax.experiments.bench import peer

    monkeypatch.setattr(peer, "find_spec", lambda name: None)
    code, out, _ = llmworld("bench", "--model", model_folder, *SMALL)
    assert code == 0
    assert "No peer: torch is not installed." in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--batch", 0), "--batch 0"),
        (("--states", 0), "--states 0"),
        (("--context", 8), "--context 8"),
        (("--digits", 1), "--digits 1"),
        (("--digits", 5), "--digits 5"),
        (("--rows", 0), "--rows 0"),
        (("--repeats", 2), "--repeats 2"),
        (("--shape", "llama-9"), "--shape llama-9"),
        (("--shape", "llama-2-7b", "--model", "x"), "--shape and --model"),
        (("--model", "never there"), "the model 'never there'"),
    ],
)
def test_flags_that_are_refused(refused, options, said):
    assert said in refused("bench", *options)


def test_what_the_model_cannot_hold(refused, model_folder):
    assert "--context 600" in refused("bench", "--model", model_folder, "--context", 600)
    assert "--states 40" in refused("bench", "--model", model_folder, "--context", 64, "--states", 40)


def test_out_that_is_a_file(refused):
    Path("speed").write_text("")
    assert "--out speed" in refused("bench", "--out", "speed")


def test_too_little_memory_before_anything_is_allocated(refused, monkeypatch):
    def fail(*_):
        pytest.fail("weights were made")

    monkeypatch.setattr(bench, "free_bytes", lambda: 2**34)
    monkeypatch.setattr(bench, "weights_of", fail)
    message = refused("bench", "--shape", "llama-2-70b", "--no-peer")
    assert "weights 257 GiB" in message
    assert "16 GiB" in message


def test_temporaries_count_too(refused, monkeypatch, tiny_llama):
    config = tiny_llama().config
    monkeypatch.setitem(PUBLIC_CONFIGS, "tiny", config)
    free = [2**40, 1]  # enough for weights, asked again when the programs are compiled
    monkeypatch.setattr(bench, "free_bytes", lambda: free.pop(0))
    assert "results and temporaries" in refused("bench", "--shape", "tiny", "--no-peer", *SMALL)


def test_ratios_are_taken_round_by_round():
    seconds = {"laws": np.array([1.0, 2.0, 4.0]), "torch laws": np.array([3.0, 4.0, 20.0])}
    run = Measured(None, None, {}, 0, 1.0, seconds)
    assert run.ratio("laws") == (3.0, 2.0, 5.0)
    assert run.ratio("prefill") is None
    assert run.rate("laws", 8) == (4.0, 2.0, 8.0)


def test_a_busy_machine_is_said_to_be_one(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 4)
    assert "warning" in machine.load_facts(2.0, 5.0)
    assert machine.load_facts(0.5, 5.0) == {"load average": "0.5 before, 5.0 at the end, this run included"}
    assert machine.load_facts(None, None) == {}


def test_cells():
    assert told(None) == "–"
    assert told(Quantity(2.0, 2.0, 2.0)) == "2"
    assert told(Quantity(12345.6, 0.5, 1e6)) == "12,346 [0.5, 1,000,000]"
    assert Row("a", "s", None, 0.756).cells()[3] == "76 %"
