"""Runs on disk: the question that was asked, its finished parts under their content's name, and a seal.

A run folder holds ::

    config.json            what was asked (with its hash) and the provenance
    units/<sha256>.npz     finished pieces of work, each named after the hash of its key and carrying that key
    manifest.json          written last: the size and hash of every result file
    report.html ...        results

Nothing is locked. A unit's name follows from its key alone and files appear whole (``files.write_atomic``),
so a killed run continues where it was, a run with other settings reuses the units that it shares with an
earlier one, and two processes in one folder at worst compute the same thing twice. Processes that run one program
together (``processes.join``) share the folder: the first writes, and its word on what is there counts for all.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .content import canonical, canonical_json, content_hash
from .errors import InputError
from .files import TEMPORARY_SUFFIX, load_arrays, read_json, save_arrays, storable, write_json
from .processes import agreed, is_first, wait_for_all

_KEY, _CHECKSUM = "__key__", "__checksum__"
_STALE_SECONDS = 24 * 3600.0


class DamagedUnit(UserWarning):
    """A stored unit was truncated or altered; it is computed again."""


class Unit(NamedTuple):
    """A finished piece of work: ``arrays``, and the ``key`` and ``version`` that they answer."""

    key: dict
    version: int
    arrays: dict[str, np.ndarray]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _fingerprint(path: Path) -> dict:
    with path.open("rb") as stream:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _address_text(key: Mapping, version: int) -> str:
    return canonical_json({"key": key, "version": version})


def save_unit(path: Path, key: Mapping, version: int, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Store ``arrays`` with their key and a checksum over both; gives the arrays as a load will."""
    if reserved := [name for name in arrays if name.startswith("__")]:
        raise InputError(f"arrays named {reserved}", "names without leading underscores", "Rename them")
    plain = {name: storable(name, value) for name, value in arrays.items()}
    text = _address_text(key, version)
    checksum = content_hash({"text": text, "arrays": plain})
    save_arrays(path, {**plain, _KEY: np.array(text), _CHECKSUM: np.array(checksum)})
    return plain


def load_unit(path: str | Path) -> Unit:
    """Read a unit and verify it; ``InputError`` when bytes, key or name do not belong together."""
    arrays = load_arrays(path)
    text, checksum = (str(arrays.pop(name, "")) for name in (_KEY, _CHECKSUM))
    if checksum != content_hash({"text": text, "arrays": arrays}) or _sha256(text) != Path(path).stem:
        raise InputError(
            f"the unit {path}, whose content does not match its checksum or name",
            "a unit as this library wrote it",
            "Delete it; the next run computes it again",
        )
    stored = json.loads(text)
    return Unit(stored["key"], stored["version"], arrays)


def _load_if_whole(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    try:
        return load_unit(path).arrays
    except InputError as error:
        warnings.warn(f"Computing a unit again. {error}", DamagedUnit, stacklevel=3)
        return None


def _sweep(folder: Path) -> None:
    """Remove temporary files that a killed process left; a day old, so that no live writer loses its own."""
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


@dataclass(frozen=True)
class RunStore:
    """One run's folder. Make it with ``RunStore.open``; see the module for what lies where."""

    folder: Path
    config_sha256: str

    @staticmethod
    def open(folder: str | Path, config: Mapping, provenance: Mapping | None = None) -> "RunStore":
        """Make or reopen the folder of a run that is to answer ``config``; writes ``config.json`` at once.

        A folder that holds another configuration is taken over: its units stay usable and its seal is broken,
        so that old results never pass for answers to the new question. A sealed run of the same configuration
        keeps its ``config.json``, with the provenance of the results that lie there.

        Raises ``InputError`` when the folder cannot be written (found out here, before long work) or the
        configuration cannot be stored.
        """
        store = RunStore(Path(folder), content_hash(config))
        record = {"config": config, "config_sha256": store.config_sha256, "provenance": provenance or {}}
        canonical(record)
        if is_first():
            store._begin(record)
        wait_for_all("run folder")
        return store

    def _begin(self, record: dict) -> None:
        """The folder, empty of other answers, with ``record`` as its ``config.json``."""
        try:
            self.units.mkdir(parents=True, exist_ok=True)
            if self._manifest().get("config_sha256") != self.config_sha256:
                (self.folder / "manifest.json").unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"'{error.strerror}' for the run folder {self.folder}", "a writable folder", "Choose another"
            ) from error
        _sweep(self.folder)
        _sweep(self.units)
        path = self.folder / "config.json"
        if not (path.is_file() and self.sealed()):
            write_json(path, record)

    @property
    def units(self) -> Path:
        """The folder of the finished units."""
        return self.folder / "units"

    def unit_path(self, key: Mapping, version: int = 1) -> Path:
        """Where the unit of ``key`` lies, or will lie."""
        return self.units / f"{_sha256(_address_text(key, version))}.npz"

    def unit(
        self, key: Mapping, compute: Callable[[], Mapping[str, Any]], *, version: int = 1
    ) -> dict[str, np.ndarray]:
        """The arrays of ``key``: loaded when they are there and intact, else computed and stored.

        ``key`` must name everything that the result depends on (model hash, codec, series hash, precision):
        it is the unit's identity. Raise ``version`` when the computation's meaning changes. A damaged unit is
        computed again, with a ``DamagedUnit`` warning.
        """
        path = self.unit_path(key, version)
        found = _load_if_whole(path)
        if agreed(found is not None):
            return load_unit(path).arrays if found is None else found
        computed = compute()
        saved = save_unit(path, key, version, computed) if is_first() else None
        wait_for_all(path.stem)
        # Every process has computed it, and all go on with what the first one wrote.
        return load_unit(path).arrays if saved is None else saved

    def completed(self, keys: Iterable[Mapping], *, version: int = 1) -> tuple[bool, ...]:
        """Which of ``keys`` have a unit (for progress: their bytes are verified only when they are read)."""
        return tuple(agreed(self.unit_path(key, version).exists()) for key in keys)

    def _manifest(self) -> dict:
        path = self.folder / "manifest.json"
        with suppress(InputError):
            manifest = read_json(path)
            return manifest if isinstance(manifest, dict) else {}
        return {}

    def seal(self, names: Iterable[str]) -> None:
        """Say that the run is finished: record size and hash of the result files ``names`` (in the folder).

        Written last and atomically. Raises ``InputError`` when one of them is missing.
        """
        files = {}
        for name in names:
            path = self.folder / name
            if not path.is_file():
                raise InputError(f"no file {path}", "every result written before the seal", "Write it first")
            files[name] = _fingerprint(path)
        write_json(self.folder / "manifest.json", {"config_sha256": self.config_sha256, "files": files})

    def sealed(self) -> bool:
        """Whether the folder holds the finished results of this configuration, every file unaltered."""
        manifest = self._manifest()
        files = manifest.get("files")
        if manifest.get("config_sha256") != self.config_sha256 or not isinstance(files, dict):
            return False
        paths = {name: self.folder / name for name in files}
        return all(path.is_file() and _fingerprint(path) == files[name] for name, path in paths.items())
