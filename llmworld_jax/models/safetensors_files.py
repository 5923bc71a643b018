"""The tensors of a Hugging Face folder: one safetensors file or several, headers checked, data read late.

Formats that are pickles (``.bin``, ``.pt``, ``.pth``, ``.pkl``) are never opened: opening one runs code.
"""

import json
import math
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from ..errors import InputError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


class Tensor(NamedTuple):
    """Header entry: safetensors dtype, shape, and where the bytes begin in the mapped file."""

    dtype: str
    shape: tuple[int, ...]
    data: mmap.mmap
    start: int


class Checkpoint:
    """The tensors of a folder by name, over one file or several; headers checked, data mapped.

    Attributes:
        files: the safetensors files, in the order of their names.
        tensors: name -> header entry.
    """

    def __init__(self, folder: Path) -> None:
        self.files, index = _files(folder)
        self.tensors: dict[str, Tensor] = {}
        wrong = []
        for path in self.files:
            for name, tensor in _header(path).items():
                if index is not None and index.get(name) != path.name:
                    wrong.append(f"{name} in {path.name}, placed in {index.get(name)} by the index")
                else:
                    self.tensors[name] = tensor
        if index is not None:
            wrong += [f"{name} not in {index[name]}" for name in index if name not in self.tensors]
        if wrong:
            raise InputError(
                f"{INDEX} in {folder} that does not fit its files: {listed(wrong)}",
                "each tensor in the file that the index names",
                "Download the folder again; its files are not of one revision",
            )

    def read(self, name: str) -> np.ndarray:
        """One tensor, as stored: a read-only view of the mapped file, for it would be copied anyway."""
        tensor = self.tensors[name]
        count = math.prod(tensor.shape)
        return np.frombuffer(tensor.data, FLOATS[tensor.dtype], count, tensor.start).reshape(tensor.shape)

    def equal(self, one: str, other: str) -> bool:
        """Whether two tensors hold the same numbers."""
        floats = self.tensors[one].dtype in FLOATS and self.tensors[other].dtype in FLOATS
        return floats and np.array_equal(self.read(one), self.read(other))


def listed(items: list[str], limit: int = 12) -> str:
    """``a; b; c; and 7 more``."""
    return "; ".join(items[:limit]) + (f"; and {len(items) - limit} more" if len(items) > limit else "")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, by name."""
    return _files(folder)[0]


def write_safetensors(path: Path, shapes: Mapping[str, tuple[int, ...]], read: Callable[[str], np.ndarray]) -> None:
    """Write float32 tensors one by one, so that only one is in memory (the format's header comes first)."""
    # Without this entry transformers refuses the file.
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            tensor = np.ascontiguousarray(read(name), dtype="<f4")
            if tensor.shape != tuple(shape):
                raise ValueError(f"tensor {name} has shape {tensor.shape}, announced as {tuple(shape)}")
            file.write(tensor.data)


def _files(folder: Path) -> tuple[list[Path], dict[str, str] | None]:
    """The safetensors files of a folder, and for a sharded one its index (tensor -> file name)."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE], None
    if (folder / INDEX).is_file():
        try:
            weight_map = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
            names = sorted(set(weight_map.values()))
            bad = [n for n in names if Path(n).name != n or not n.endswith(".safetensors")]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"an {INDEX} in {folder} that cannot be read ({error})",
                "a JSON object with a weight_map from tensor to file name",
                "Download it again",
            ) from error
        if bad or not names:
            raise InputError(f"file names {bad} in {INDEX}", "*.safetensors names in that folder", "Download it again")
        if absent := [n for n in names if not (folder / n).is_file()]:
            raise InputError(
                f"{folder} without {listed(absent)}",
                f"all {len(names)} files that {INDEX} names",
                "Download the missing files",
            )
        return [folder / n for n in names], weight_map
    there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    pickles = [n for n in there if n.endswith(_PICKLES)]
    raise InputError(
        f"{folder} with " + (f"pickle files only ({listed(pickles)})" if pickles else f"the files {listed(there)}"),
        f"{SINGLE}, or {INDEX} and its shards",
        "Pickle formats are not opened, because opening one runs code: convert the model to safetensors "
        "(transformers: save_pretrained), or get a safetensors revision"
        if pickles
        else "Give the folder that holds the weights",
    )


def _header(path: Path) -> dict[str, Tensor]:
    """Header of one file, after the safetensors package has checked lengths, offsets, overlaps and dtypes."""
    try:
        with safe_open(path, framework="numpy"), path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            entries = json.loads(file.read(size))
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (SafetensorError, OSError, ValueError) as error:
        found = f"{path.stat().st_size} bytes" if path.is_file() else "not a file"
        raise InputError(
            f"{path}, {found}, that is not a whole safetensors file ({error})",
            "an undamaged safetensors file",
            "Download or convert it again; the copy was cut short or changed",
        ) from error
    entries.pop("__metadata__", None)
    return {
        name: Tensor(e["dtype"], tuple(e["shape"]), data, 8 + size + e["data_offsets"][0])
        for name, e in entries.items()
    }
