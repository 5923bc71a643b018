"""Where converted models are kept: folders that appear whole or not at all, with a manifest of hashes."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError

MANIFEST = "llmworld_manifest.json"
_PARTIAL = ".partial-"
_DAY = 24 * 3600


def cache_root() -> Path:
    """``$LLMWORLD_CACHE``, else ``$XDG_CACHE_HOME/llmworld_jax``, else ``~/.cache/llmworld_jax``."""
    if chosen := os.environ.get("LLMWORLD_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "llmworld_jax"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder in ``parent``, removed at the end.

    Raises:
        InputError: in place of every ``OSError`` inside the block: the disk is full or not writable.
    """
    temporary = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        temporary = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=parent))
        yield temporary
    except OSError as error:
        raise InputError(
            f"'{error.strerror or error}' while writing into {parent}",
            "a folder with enough room that may be written to",
            "Free some space, or set LLMWORLD_CACHE to another folder; nothing half-written was left",
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside ``target`` that takes its name when the block ends without error.

    On any error it is removed. If another process finished ``target`` first, that result stays.

    Raises:
        InputError: the disk is full or not writable.
    """
    with scratch_folder(target.parent) as temporary:
        yield temporary
        for path in (*temporary.iterdir(), temporary):
            _sync(path)
        temporary.chmod(0o755)
        try:
            temporary.rename(target)
        except OSError:
            # A folder with files cannot be renamed over: someone else was faster.
            if not target.is_dir():
                raise


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Record the size and SHA-256 of every file of ``folder``, and ``facts``, in ``manifest.json``."""
    files = {p.name: {"bytes": p.stat().st_size, "sha256": file_sha256(p)} for p in sorted(folder.iterdir())}
    manifest = {**facts, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a converted model, ``None`` for a folder without one."""
    if not (folder / MANIFEST).is_file():
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, facts in manifest["files"].items():
            if Path(name).name != name or not isinstance(facts["bytes"], int) or len(facts["sha256"]) != 64:
                raise ValueError(f"entry {name!r}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _changed(folder, [f"{MANIFEST} ({error})"]) from error
    return manifest


def verify(folder: Path, *, whole: bool = True) -> dict[str, Any]:
    """Compare a converted model with its manifest; returns the manifest.

    Args:
        whole: hash every file. Otherwise files above 16 MiB are compared by size only.

    Raises:
        InputError: names every file that is missing or was changed.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise _changed(folder, [f"{MANIFEST} is missing"])
    wrong = []
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != facts["bytes"]:
            wrong.append(f"{name} is missing or has another size")
        elif (whole or facts["bytes"] < 2**24) and file_sha256(path) != facts["sha256"]:
            wrong.append(f"{name} has another SHA-256")
    if wrong:
        raise _changed(folder, wrong)
    return manifest


def _changed(folder: Path, wrong: list[str]) -> InputError:
    return InputError(
        f"a converted model in {folder} that was changed after it was written: {'; '.join(wrong)}",
        f"the files that its {MANIFEST} lists",
        f"Delete {folder} and load the model again",
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Remove what killed processes left behind more than a day ago."""
    for path in parent.glob(_PARTIAL + "*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _DAY:
                shutil.rmtree(path, ignore_errors=True)
