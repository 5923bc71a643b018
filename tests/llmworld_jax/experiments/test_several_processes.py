"""Two processes of four devices each run one command: equal results, one report, a clear end when one is gone."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.processes import agreed, is_first, join, lost, several, wait_for_all

DYNAMICS = ("--system", "noisy_logistic_map", "--steps", 60, "--no-sparse-nulls", "--name", "run")
GRAPH = ("--length", 60, "--placements", 1, "--name", "run")
PROGRAM = "from llmworld_jax.cli import main; main()"


def start(number: int, port: int, folder: Path, *arguments, devices: int = 4) -> subprocess.Popen:
    """One of two processes (of one alone without a port), its words in a file: a full pipe would stop it."""
    hosts = () if port == 0 else ("--hosts", f"127.0.0.1:{port},2,{number}")
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }  # fmt: skip
    with (folder / f"words-{number}").open("wb") as words:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, arguments), *hosts],
            cwd=folder, stdout=words, stderr=subprocess.STDOUT, env=environment,
        )  # fmt: skip


def words(folder: Path, number: int) -> str:
    return (folder / f"words-{number}").read_text()


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "mesh"),
    [
        (("dynamics", *DYNAMICS, "--seeds", 2), "data=4,model=2"),
        (("graph", *GRAPH), "data=8"),
    ],
    ids=["dynamics", "graph"],
)
def test_two_processes_of_four_devices_equal_one_of_one(model_folder, word_model, tmp_path, port, command, mesh):
    folders = [tmp_path / name for name in ("alone", "pair")]
    for folder in folders:
        folder.mkdir()
    command = (*command, "--model", model_folder if command[0] == "dynamics" else word_model)
    alone = start(0, 0, folders[0], *command, devices=1)
    assert alone.wait(300) == 0, words(folders[0], 0)[-3000:]
    run_pair(port, folders[1], *command, "--mesh", mesh)
    assert (folders[1] / "runs" / "run" / "report.html").exists()
    assert "report:" in words(folders[1], 0)
    assert "report:" not in words(folders[1], 1)
    one, two = map(arrays, folders)
    assert one.keys() == two.keys()
    for name, wanted in one.items():
        if wanted.dtype.kind == "f" and not name.endswith("_p_value"):
            near = np.exp if name.endswith("log_mass") else np.asarray
            scale = max(1.0, float(np.nanmax(np.abs(near(wanted)), initial=0)))
            assert np.allclose(near(two[name]), near(wanted), atol=1e-4 * scale, rtol=0, equal_nan=True), name


@pytest.mark.slow
def test_a_killed_process_is_named_by_the_other_and_the_run_goes_on(model_folder, tmp_path, port):
    command = ("dynamics", *DYNAMICS, "--seeds", 16, "--batch", 1, "--model", model_folder, "--mesh", "data=2,model=4")
    pair = [start(number, port, tmp_path, *command) for number in (0, 1)]
    units = tmp_path / "runs" / "run" / "units"
    for _ in range(1200):
        if units.is_dir() and len(list(units.glob("*.npz"))) >= 2:
            break
        time.sleep(0.1)
    pair[1].send_signal(signal.SIGKILL)
    assert pair[0].wait(120) == 3
    last = words(tmp_path, 0).strip().splitlines()[-1]
    assert "process 0 of 2 lost another one" in last
    assert "start the same command on every host again" in last
    assert not (tmp_path / "runs" / "run" / "report.html").exists()
    kept = {path: path.stat().st_mtime_ns for path in units.glob("*.npz")}
    assert len(kept) >= 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        again = free.getsockname()[1]
    run_pair(again, tmp_path, *command)
    assert "series are already read" in words(tmp_path, 0)
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    assert (tmp_path / "runs" / "run" / "report.html").exists()


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
