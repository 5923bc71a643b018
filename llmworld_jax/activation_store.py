"""Activations on disk: one zarr v3 group a run, one array a site, chunked so that one layer is read alone.

Rows lie in the order in which they were read (by length, see ``batches``); the array ``prompt`` says which prompt each
one is, so that xarray shows it as a coordinate. zarr-python, xarray and tensorstore read the folder. bfloat16 is
stored as float32, which holds it exactly and which every reader knows. Several processes take turns with the chunks:
each chunk is a file with one writer.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .content import canonical
from .errors import InputError
from .files import read_json, write_json
from .processes import agreed, place, wait_for_all

ROWS = 1024
"""Prompts in one chunk."""


class Stored(NamedTuple):
    """One layer as read back: ``rows [prompt, width]`` in the order of the prompts."""

    rows: np.ndarray
    prompts: np.ndarray


class ActivationStore:
    """Write batches with ``append``, then ``close``; nothing is there to be read before that.

    Each of several processes is given every batch, and writes its chunks of a folder that all can reach.

    Args:
        folder: must not exist yet.
        prompts: how many rows there will be.
        attributes: what made them (model, dataset, prompt); stored with the group, so checked to be JSON here.

    Raises:
        InputError: ``folder`` exists, ``attributes`` are not JSON; or, later, it cannot be written to.
    """

    def __init__(self, folder: str | Path, prompts: int, attributes: Mapping[str, Any]) -> None:
        self.folder, self.prompts, self.attributes = Path(folder), prompts, canonical(attributes)
        if agreed(self.folder.exists()):
            raise InputError(f"{folder}, which exists", "a new folder for activations", "Choose another, or delete it")
        self._partial = self.folder.with_name(f".{self.folder.name}.partial")
        self._this, self._writers = place()
        with _room(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self._this == 0:
            shutil.rmtree(self._partial, ignore_errors=True)  # what a killed process left
        wait_for_all("activations begun")
        self._arrays: dict[str, Any] = {}
        self._waiting: dict[str, list[np.ndarray]] = {}
        self._index: list[np.ndarray] = []
        self._written = 0

    def append(self, index: np.ndarray, taps: Mapping[str, Any]) -> None:
        """Add ``{site: [layer, row, width]}`` of the prompts ``index [row]``."""
        for site, rows in taps.items():
            rows = np.asarray(rows)
            self._waiting.setdefault(site, []).append(rows if rows.dtype.kind == "f" else rows.astype(np.float32))
        self._index.append(np.asarray(index, np.int64))
        if sum(map(len, self._index)) - self._written >= ROWS:
            self._flush(whole=True)

    def close(self) -> Path:
        """Write what is left and give the folder its name.

        Raises InputError when fewer rows came than were promised; the unfinished folder is then left unnamed.
        """
        self._flush(whole=False)
        if self._written != self.prompts:
            raise InputError(f"{self._written} rows", f"{self.prompts}", "Read every prompt before closing")
        wait_for_all("activations written")
        if self._this == 0:
            order = np.concatenate(self._index)
            with _room(self.folder):
                array = _create(self._partial / "prompt", (self.prompts,), (self.prompts,), order.dtype, ("row",))
                array.write(order).result()
            group = {"zarr_format": 3, "node_type": "group", "attributes": self.attributes}
            write_json(self._partial / "zarr.json", group)
            with _room(self.folder):
                self._partial.rename(self.folder)
        wait_for_all("activations named")
        return self.folder

    def _flush(self, *, whole: bool) -> None:
        ready = sum(map(len, self._index)) - self._written
        take = ready // ROWS * ROWS if whole else ready
        if not take:
            return
        for site, parts in self._waiting.items():
            rows = np.concatenate(parts, axis=1)
            if site not in self._arrays:
                shape, chunk = (rows.shape[0], self.prompts, rows.shape[2]), (1, ROWS, rows.shape[2])
                axes = ("layer", "row", "width")
                with _room(self.folder):
                    self._arrays[site] = _create(self._partial / site, shape, chunk, rows.dtype, axes)
            for begin in range(0, take, ROWS):  # ``_written`` is a multiple of ROWS: each piece is one chunk
                self._write(site, self._written + begin, rows[:, begin : min(begin + ROWS, take)])
            self._waiting[site] = [rows[:, take:]]
        self._written += take

    def _write(self, site: str, at: int, chunk: np.ndarray) -> None:
        if at // ROWS % self._writers == self._this:
            with _room(self.folder):
                self._arrays[site][:, at : at + chunk.shape[1]].write(chunk).result()


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Errors of the system, and tensorstore's, which are all of one kind, in our words."""
    try:
        yield
    except (ValueError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"no activations written to {folder} ({reason})",
            "a folder that can be written to, on a disk with room for them",
            "Free some space or choose another folder; what is unfinished has no name and is written over",
        ) from error


def stored_attributes(folder: str | Path) -> dict[str, Any]:
    """What made the activations in a folder; nothing if it holds none."""
    path = Path(folder) / "zarr.json"
    return read_json(path).get("attributes", {}) if path.is_file() else {}


def read_layer(folder: str | Path, site: str, layer: int) -> Stored:
    """One layer of one site, reading nothing else; rows are put into the order of the prompts.

    Raises:
        InputError: no such folder, site or layer.
    """
    import tensorstore

    folder = Path(folder)
    if not (folder / site / "zarr.json").is_file():
        raise InputError(f"no activations {site!r} in {folder}", "a folder that ActivationStore wrote", "Check both")
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder / site)}}
    array = tensorstore.open(spec).result()
    if not 0 <= layer < array.shape[0]:
        raise InputError(f"layer {layer}", f"0 to {array.shape[0] - 1}", "Choose one of these")
    spec["kvstore"] = {"driver": "file", "path": str(folder / "prompt")}
    order = np.asarray(tensorstore.open(spec).result().read().result())
    back = np.argsort(order)
    return Stored(np.asarray(array[layer].read().result())[back], order[back])


def _create(path: Path, shape: tuple, chunk: tuple, dtype: np.dtype, axes: tuple[str, ...]) -> Any:
    import tensorstore

    # The lowest level of zstd: activations hardly compress, and a higher one costs time.
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {"level": 1}}]
    return tensorstore.open(
        {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": str(path)},
            "metadata": {
                "shape": list(shape),
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
                "data_type": np.dtype(dtype).name,
                "codecs": codecs,
                "dimension_names": list(axes),
            },
        },
        create=True,
        open=True,  # another process may have been faster
    ).result()
