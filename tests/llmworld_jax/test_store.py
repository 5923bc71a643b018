"""Runs survive being killed, shared, moved, damaged and asked another question."""

import os
import shutil
import signal
import subprocess
import sys
import time

import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.files import load_arrays, save_arrays, write_json
from llmworld_jax.provenance import provenance
from llmworld_jax.store import DamagedUnit, RunStore, load_unit

UNITS = 6

# Runs in a process of its own: argv = folder, "kill at this unit" (or -1), where in the unit, tally file.
RUN = """
import os, signal, sys
from pathlib import Path
import numpy as np
from llmworld_jax.files import save_arrays
from llmworld_jax.store import RunStore
folder, victim, place, tally = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
units = int(sys.argv[5])
die = lambda: os.kill(os.getpid(), signal.SIGKILL)

def compute(k):
    with tally.open("a") as stream:
        stream.write(f"{k} ")
    if k == victim and place == "compute":
        die()
    random = np.random.default_rng(k)
    return {"law": random.normal(size=(200, 10)), "count": np.int64(k)}

store = RunStore.open(folder, {"units": units})
if place == "write":
    replace = Path.replace
    finished = lambda: len(list(store.units.glob("*.npz")))
    Path.replace = lambda self, to: die() if finished() == victim else replace(self, to)
parts = [store.unit({"k": k}, lambda k=k: compute(k)) for k in range(units)]
save_arrays(Path(folder) / "arrays.npz", {n: np.stack([part[n] for part in parts]) for n in parts[0]})
store.seal(["arrays.npz", "config.json"])
"""


def run(folder, tally, victim=-1, place="none"):
    return subprocess.Popen([sys.executable, "-c", RUN, str(folder), str(victim), place, str(tally), str(UNITS)])


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".tmp")
    }


@pytest.mark.parametrize("place", ["compute", "write"])
def test_a_killed_run_continues_and_equals_an_uninterrupted_one_byte_for_byte(tmp_path, place):
    whole, killed, tally = tmp_path / "whole", tmp_path / "killed", tmp_path / "tally"
    assert run(whole, tmp_path / "other").wait(60) == 0

    assert run(killed, tally, victim=3, place=place).wait(60) == -signal.SIGKILL
    assert len(list((killed / "units").glob("*.npz"))) == 3
    assert not (killed / "manifest.json").exists()
    assert bool(list((killed / "units").glob(".*.tmp"))) == (place == "write")

    assert run(killed, tally).wait(60) == 0
    assert tally.read_text().split() == ["0", "1", "2", "3", "3", "4", "5"]
    assert contents(killed) == contents(whole)
    assert RunStore.open(killed, {"units": UNITS}).sealed()


def test_two_processes_in_one_folder_do_not_harm_each_other(tmp_path):
    processes = [run(tmp_path / "both", tmp_path / f"tally{k}") for k in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert run(tmp_path / "alone", tmp_path / "tally").wait(60) == 0
    assert contents(tmp_path / "both") == contents(tmp_path / "alone")


@pytest.fixture
def store(tmp_path):
    return RunStore.open(tmp_path / "run", {"system": "logistic"})


def never():
    raise AssertionError("computed although it was stored")


def test_a_unit_is_computed_once_and_answers_the_same_afterwards(store):
    key = {"series": np.arange(3.0), "seed": 1}
    assert store.completed([key]) == (False,)
    fresh = store.unit(key, lambda: {"x": jnp.arange(4, dtype=jnp.float32), "y": 2.5, "z": np.eye(3).T[::2]})
    again = store.unit({"seed": 1, "series": np.arange(3.0)}, never)
    assert fresh.keys() == again.keys()
    for name in fresh:
        assert (fresh[name].dtype, fresh[name].tobytes()) == (again[name].dtype, again[name].tobytes())
    assert store.completed([key, {**key, "seed": 2}]) == (True, False)


def test_another_key_or_version_is_another_unit(store):
    answers = [
        store.unit(key, lambda v=value: {"x": np.float64(v)}, version=version)["x"]
        for value, (key, version) in enumerate([({"k": 1}, 1), ({"k": 2}, 1), ({"k": 1}, 2), ({"k": 1.0}, 1)])
    ]
    assert answers == [0, 1, 2, 3]


def test_a_unit_says_what_it_answers(store):
    store.unit({"seed": 3, "codec": ["a", 0.5]}, lambda: {"x": np.ones(2)}, version=4)
    (path,) = store.units.iterdir()
    unit = load_unit(path)
    assert (unit.key, unit.version, list(unit.arrays)) == ({"seed": 3, "codec": ["a", 0.5]}, 4, ["x"])


def truncated(path):
    path.write_bytes(path.read_bytes()[:-40])


def emptied(path):
    path.write_bytes(b"")


def flipped(path):
    whole = bytearray(path.read_bytes())
    whole[whole.index(np.arange(64.0).tobytes()) + 11] ^= 1
    path.write_bytes(bytes(whole))


def rewritten(path):
    # A well-formed archive whose numbers were changed: only the checksum over key and arrays can tell.
    save_arrays(path, {**load_arrays(path), "x": np.arange(64.0) + 1})


def swapped(path):
    other = RunStore(path.parents[1], "").unit({"k": 2}, lambda: {"x": np.zeros(64)})
    assert other["x"].sum() == 0
    shutil.copy(next(file for file in path.parent.glob("*.npz") if file != path), path)


@pytest.mark.parametrize("damage", [truncated, emptied, flipped, rewritten, swapped])
def test_damaged_units_are_noticed_and_computed_again(store, damage):
    key, compute = {"k": 1}, lambda: {"x": np.arange(64.0)}
    store.unit(key, compute)
    damage(store.unit_path(key))
    with pytest.warns(DamagedUnit, match="Computing a unit again"):
        np.testing.assert_array_equal(store.unit(key, compute)["x"], np.arange(64.0))
    np.testing.assert_array_equal(store.unit(key, never)["x"], np.arange(64.0))


def test_a_failed_unit_leaves_nothing(store):
    def fail():
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        store.unit({"k": 1}, fail)
    for arrays in ({"x": np.array([None])}, {"__x": np.ones(1)}):
        with pytest.raises(InputError):
            store.unit({"k": 1}, lambda arrays=arrays: arrays)
    assert not list(store.units.iterdir())


def test_another_question_reuses_units_and_breaks_the_seal(store):
    store.unit({"k": 1}, lambda: {"x": np.ones(1)})
    (store.folder / "report.html").write_text("old")
    assert not store.sealed()
    store.seal(["report.html"])
    assert store.sealed()
    assert RunStore.open(store.folder, {"system": "logistic"}).sealed()

    other = RunStore.open(store.folder, {"system": "lorenz"})
    assert not other.sealed()
    assert not store.sealed()
    np.testing.assert_array_equal(other.unit({"k": 1}, never)["x"], np.ones(1))


@pytest.mark.parametrize("change", [lambda p: p.write_text("new"), lambda p: p.unlink()])
def test_a_seal_notices_changed_results(store, change):
    (store.folder / "report.html").write_text("old")
    store.seal(["report.html"])
    change(store.folder / "report.html")
    assert not store.sealed()
    write_json(store.folder / "manifest.json", {"config_sha256": store.config_sha256, "files": 3})
    assert not store.sealed()


def test_sealing_needs_the_results(store):
    with pytest.raises(InputError, match="no file"):
        store.seal(["report.html"])


def test_a_sealed_run_keeps_its_provenance_and_an_open_one_gets_the_new(tmp_path):
    def made_by(who):
        RunStore.open(tmp_path, {"a": 1}, {"who": who})
        return (tmp_path / "config.json").read_text()

    assert "first" in made_by("first")
    assert "second" in made_by("second")
    RunStore.open(tmp_path, {"a": 1}, {"who": "third"}).seal(["config.json"])
    assert "third" in made_by("fourth")


def test_only_old_leftovers_are_swept(store):
    old, new, foreign = (store.units / name for name in (".a.npz.0.tmp", ".b.npz.1.tmp", "c.npz"))
    for path in (old, new, foreign):
        path.write_bytes(b"")
    for path in (old, foreign):
        os.utime(path, (time.time() - 1e6,) * 2)
    RunStore.open(store.folder, {})
    assert sorted(store.units.iterdir()) == sorted([new, foreign])


def test_an_unusable_folder_or_config_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="writable folder"):
        RunStore.open(tmp_path / "file" / "run", {})
    with pytest.raises(InputError, match="type function"):
        RunStore.open(tmp_path / "run", {"f": lambda: 0})
    assert not (tmp_path / "run").exists()


def test_provenance_names_versions_and_leaks_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/home/somebody/bin/llmworld", "dynamics", "--name", "two words"])
    record = provenance(model="tiny")
    assert record["command"] == "llmworld dynamics --name 'two words'"
    assert record["versions"]["numpy"] == np.__version__
    assert record["model"] == "tiny"
    assert record["device"]["count"] >= 1
    assert "somebody" not in str(record)
    RunStore.open(tmp_path, {}, record)


def test_importing_the_store_starts_no_backend():
    code = "import sys, llmworld_jax.store, llmworld_jax.provenance; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
