"""Two processes of four devices each run one command: equal results, one report, a clear end when one is gone."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from llmworld_jax.activation_store import read_layer
from llmworld_jax.errors import InputError
from llmworld_jax.models.catalogue import DEFAULT, locate
from llmworld_jax.processes import agreed, is_first, join, lost, several, wait_for_all

every = pytest.mark.every
DYNAMICS = ("--system", "noisy_logistic_map", "--steps", 60, "--no-sparse-nulls", "--name", "run")
#: Arrays in which rounding may decide: permutation p-values, chosen penalties and thresholds.
DECIDED = re.compile(r"p_value|penalt|threshold|null|relabel|ratio")
#: Chunks so small that there are several.
PROGRAM = "from llmworld_jax import activation_store, cli; activation_store.ROWS = 16; cli.main()"


def start(number: int, port: int, folder: Path, *arguments, devices: int = 4) -> subprocess.Popen:
    """One of two processes (of one alone without a port), its words in a file: a full pipe would stop it."""
    hosts = () if port == 0 else ("--hosts", f"127.0.0.1:{port},2,{number}")
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    with (folder / f"words-{number}").open("wb") as words:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, arguments), *hosts],
            cwd=folder, stdout=words, stderr=subprocess.STDOUT, env=environment,
        )  # fmt: skip


def words(folder: Path, number: int) -> str:
    return (folder / f"words-{number}").read_text()


@pytest.fixture
def commands(model_folder, word_model, tmp_path) -> dict[str, tuple]:
    """The smallest run of each experiment."""
    random = np.random.default_rng(0)
    lines = ["name,longitude,latitude,land"]
    for k in range(60):
        name = "".join(random.choice(list("abcdefgh"), 6))
        lines.append(f"{name},{random.uniform(-180, 180):.3f},{random.uniform(-80, 80):.3f},land {k % 4}")
    places = tmp_path / "places.csv"
    places.write_text("\n".join(lines) + "\n")
    return {
        "dynamics": ("dynamics", *DYNAMICS, "--seeds", 12, "--batch", 1, "--model", model_folder),
        "graph": ("graph", "--walks", 3, "--length", 64, "--window", 30, "--name", "run", "--model", word_model),
        "space-time": (
            "space-time", "--dataset", places, "--group-column", "land", "--start-token", "bos", "--folds", 2,
            "--penalties", 5, "--causal", "off", "--no-neurons", "--no-twin", "--name", "run", "--model", model_folder,
            "--store-activations", "kept",
        ),
        "energy": (
            "energy", "--start-text", " apple bird car", "--vectors", 3, "--steps", 2, "--length", 30, "--window", 20,
            "--test-length", 120, "--test-walks", 2, "--graph", "grid:2x3", "--held-out", "ring:6", "--random", 3,
            "--name", "run", "--model", word_model,
        ),
    }  # fmt: skip


@pytest.fixture(scope="session")
def default_folder() -> Path:
    """In the user's cache: asked for before a test has one of its own."""
    return locate(DEFAULT).folder


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def run_pair(port: int, folder: Path, *arguments) -> None:
    pair = [start(number, port, folder, *arguments) for number in (0, 1)]
    codes = [process.wait(300) for process in pair]
    assert codes == [0, 0], words(folder, 0)[-3000:] + words(folder, 1)[-3000:]


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "runs" / "run" / "arrays.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def same(alone: Path, other: Path) -> None:
    """Numbers that follow from a model within 1e-4 of their size; which rounding decides (choices, counts) aside."""
    one, two = map(arrays, (alone, other))
    assert one.keys() == two.keys()
    compared = 0
    for name, wanted in one.items():
        if wanted.dtype.kind != "f" or DECIDED.search(name):
            continue
        near = np.exp if name.endswith(("log_mass", "log_probability")) else np.asarray
        scale = max(1.0, float(np.nanmax(np.abs(near(wanted)), initial=0)))
        assert np.allclose(near(two[name]), near(wanted), atol=1e-4 * scale, rtol=0, equal_nan=True), name
        compared += 1
    assert compared > 3


def on_one_device(llmworld, monkeypatch, folder: Path, *arguments) -> Path:
    folder.mkdir()
    monkeypatch.chdir(folder)
    code, _, err = llmworld(*arguments)
    assert code == 0, err
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "mesh"),
    [
        ("graph", "data=8"),
        pytest.param("dynamics", "data=4,model=2", marks=every),
        pytest.param("space-time", "data=2,model=4", marks=every),
        pytest.param("energy", "data=4,model=2", marks=every),
    ],
)
def test_eight_devices_equal_one(experiment, mesh, commands, llmworld, monkeypatch, tmp_path):
    alone = on_one_device(llmworld, monkeypatch, tmp_path / "alone", *commands[experiment])
    eight = on_one_device(llmworld, monkeypatch, tmp_path / "mesh", *commands[experiment], "--mesh", mesh)
    same(alone, eight)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "mesh"),
    [
        ("space-time", "data=2,model=4"),
        pytest.param("dynamics", "data=4,model=2", marks=every),
        pytest.param("graph", "data=8", marks=every),
        pytest.param("energy", "data=4,model=2", marks=every),
    ],
)
def test_two_processes_of_four_devices_equal_one_of_one(
    experiment, mesh, commands, llmworld, monkeypatch, tmp_path, port
):
    alone = on_one_device(llmworld, monkeypatch, tmp_path / "alone", *commands[experiment])
    pair = tmp_path / "pair"
    pair.mkdir()
    run_pair(port, pair, *commands[experiment], "--mesh", mesh)
    assert (pair / "runs" / "run" / "report.html").exists()
    assert "report:" in words(pair, 0)
    assert "report:" not in words(pair, 1)
    same(alone, pair)
    if experiment == "space-time":
        (dataset,) = (alone / "kept").iterdir()
        one, two = (read_layer(folder / "kept" / dataset.name, "resid_post", 1) for folder in (alone, pair))
        np.testing.assert_allclose(two.rows, one.rows, atol=1e-4)
        np.testing.assert_array_equal(two.prompts, one.prompts)


@every
@pytest.mark.slow
@pytest.mark.model
def test_laws_of_the_default_model_are_those_of_one_device(default_folder, llmworld, monkeypatch, tmp_path, port):
    """Of a path that is not chaotic: the compiler's last bit would otherwise make it another series."""
    command = ("dynamics", "--system", "brownian_motion", *DYNAMICS[2:], "--seeds", 1, "--model", default_folder)
    alone = on_one_device(llmworld, monkeypatch, tmp_path / "alone", *command)
    pair = tmp_path / "pair"
    pair.mkdir()
    run_pair(port, pair, *command, "--mesh", "data=4,model=2")
    for name, wanted in arrays(alone).items():
        if name.endswith("log_mass"):
            got = np.exp(arrays(pair)[name])
            np.testing.assert_allclose(got, np.exp(wanted), atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_killed_process_is_named_by_the_other_and_the_run_goes_on(commands, llmworld, monkeypatch, tmp_path, port):
    killed = tmp_path / "killed"
    killed.mkdir()
    on_mesh = (*commands["dynamics"], "--mesh", "data=2,model=4")
    pair = [start(number, port, killed, *on_mesh) for number in (0, 1)]
    units = killed / "runs" / "run" / "units"
    for _ in range(1200):
        if units.is_dir() and len(list(units.glob("*.npz"))) >= 2:
            break
        time.sleep(0.1)
    pair[1].send_signal(signal.SIGKILL)
    assert pair[0].wait(120) == 3
    last = words(killed, 0).strip().splitlines()[-1]
    assert "process 0 of 2 lost another one" in last
    assert "start the same command on every host again" in last
    assert not (killed / "runs" / "run" / "report.html").exists()
    kept = {path: path.stat().st_mtime_ns for path in units.glob("*.npz")}
    assert len(kept) >= 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        again = free.getsockname()[1]
    run_pair(again, killed, *on_mesh)
    assert "series are already read" in words(killed, 0)
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    same(on_one_device(llmworld, monkeypatch, tmp_path / "alone", *commands["dynamics"]), killed)


@pytest.mark.parametrize(
    "hosts", ["", "auto,2", "127.0.0.1,2,0", "127.0.0.1:80,2,2", "127.0.0.1:80,0,0", "127.0.0.1:80,2,-1", "a b:1,2,0"]
)
def test_what_names_no_process_is_refused(hosts):
    with pytest.raises(InputError, match="address:port,count,id"):
        join(hosts)


def test_alone_there_is_nothing_to_agree_on():
    join(None)
    assert not several()
    assert is_first()
    assert agreed(True)
    assert not agreed(False)
    wait_for_all("nobody")
    assert lost(RuntimeError("anything")) is None


def test_a_cluster_that_is_not_there(llmworld, model_folder, monkeypatch):
    """Found out before a model is loaded."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_", "TPU_", "KUBERNETES_")):
            monkeypatch.delenv(name)
    code, out, err = llmworld("dynamics", "--model", model_folder, "--hosts", "auto")
    assert (code, out) == (2, "")
    assert "--hosts auto, which came to nothing" in err
