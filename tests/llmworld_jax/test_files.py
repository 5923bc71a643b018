"""A file is there whole or not at all."""

import errno
import os
import subprocess
import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmworld_jax import files
from llmworld_jax.errors import InputError

DTYPES = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes()
    | hnp.floating_dtypes()
    | hnp.complex_number_dtypes()
    | hnp.unicode_string_dtypes()
    | hnp.datetime64_dtypes()
)
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))
NAMES = st.sampled_from(["x", "x.npy", "file", "log mass", "überschrift", "a/b"])


@given(st.dictionaries(NAMES, ARRAYS, max_size=3))
@settings(deadline=None, max_examples=150)
def test_arrays_come_back_as_they_went(tmp_path_factory, arrays):
    path = files.save_arrays(tmp_path_factory.mktemp("arrays") / "x.npz", arrays)
    loaded = files.load_arrays(path)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (loaded[name].dtype, loaded[name].shape) == (array.dtype, array.shape)
        assert loaded[name].tobytes() == array.tobytes()


def test_numpy_reads_the_archive_and_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array("text")}
    first, second = (files.save_arrays(tmp_path / name, arrays) for name in ("1.npz", "2.npz"))
    assert first.read_bytes() == second.read_bytes()
    with np.load(first, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["a"], arrays["a"])
        assert archive["b"] == "text"


@pytest.mark.parametrize(
    "array",
    [
        np.array([None]),
        np.ones(2, ml_dtypes.bfloat16),
        np.ma.masked_array([1.0, 2.0], [False, True]),
        np.zeros(1, [("a", "f4")]),
    ],
)
def test_arrays_that_no_file_returns_are_refused_before_anything_is_written(tmp_path, array):
    with pytest.raises(InputError, match="'a' of kind"):
        files.save_arrays(tmp_path / "x.npz", {"a": array})
    assert not list(tmp_path.iterdir())


def test_every_truncation_and_every_flipped_byte_of_data_is_noticed(tmp_path):
    path = files.save_arrays(tmp_path / "x.npz", {"a": np.arange(16.0)})
    whole = path.read_bytes()
    data = whole.index(np.arange(16.0).tobytes())
    broken = [whole[:length] for length in range(0, len(whole), 7)]
    broken += [whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :] for k in range(data, data + 128, 5)]
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(InputError, match="which cannot be read"):
            files.load_arrays(path)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{"code": 1}], object))
    with pytest.raises(InputError, match=r"allow_pickle=False"):
        files.load_arrays(tmp_path / "x.npz")


def test_an_array_with_a_tail_and_a_doubled_name_are_refused(tmp_path):
    path = files.save_arrays(tmp_path / "x.npz", {"a": np.arange(3)})
    with zipfile.ZipFile(path) as archive:
        member = archive.read("a.npy")
    with zipfile.ZipFile(tmp_path / "tail.npz", "w") as archive:
        archive.writestr("a.npy", member + b"more")
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive:
        archive.writestr("a.npy", member)
        archive.writestr("a", member)
    for name in ("tail.npz", "twice.npz"):
        with pytest.raises(InputError, match="stray bytes"):
            files.load_arrays(tmp_path / name)


def test_missing_files_are_input_errors(tmp_path):
    for read in (files.load_arrays, files.read_json):
        with pytest.raises(InputError, match="which cannot be read"):
            read(tmp_path / "absent")


def test_json_is_strict_and_comes_back(tmp_path):
    content = {"z": [1, 2.5, None, "ü"], "a": {"b": True}}
    path = files.write_json(tmp_path / "new" / "folder" / "x.json", content)
    assert files.read_json(path) == content
    assert list(files.read_json(path)) == ["z", "a"]
    assert "NaN" not in files.write_json(path, {"x": float("nan")}).read_text()
    path.write_text('{"a": 1')
    with pytest.raises(InputError, match="which cannot be read"):
        files.read_json(path)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("no"), OSError(errno.EIO, "bad disk")])
def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = files.write_text(tmp_path / "x", "old")

    def write(stream):
        stream.write(b"half of it")
        raise failure

    expected = InputError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected):
        files.write_atomic(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_names_folder_and_bytes(tmp_path, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(files.Path, "replace", full)
    with pytest.raises(InputError, match=r"no room in the folder .*12,345 bytes and [\d,]+ are free") as caught:
        files.write_bytes(tmp_path / "x", bytes(12_345))
    assert str(tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())


FILL = """
import resource, signal, sys
import numpy as np
from llmworld_jax.errors import InputError
from llmworld_jax.files import save_arrays
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    save_arrays(sys.argv[1] + "/x.npz", {"small": np.zeros(9), "big": np.zeros(1 << 20)})
except InputError as error:
    print(error)
"""


def test_a_kernel_that_refuses_the_bytes_midway_leaves_nothing_half_written(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "no room in the folder" in answer.stdout
    assert "8,389," in answer.stdout
    assert not list(tmp_path.iterdir())


def test_room_is_asked_for_before_work(tmp_path):
    files.require_room(tmp_path / "not" / "yet" / "there", 1)
    with pytest.raises(InputError, match="no room in the folder"):
        files.require_room(tmp_path / "not" / "yet" / "there", 1 << 60)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(InputError, match="folder that can be written"):
        files.write_text(tmp_path / "x" / "y", "text")


def test_written_files_have_ordinary_permissions(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    assert files.write_text(tmp_path / "x", "").stat().st_mode == ordinary.stat().st_mode
