"""Whole files or none: atomic writes and pickle-free array archives.

Every write goes to a uniquely named hidden file in the target's own folder, is flushed to the disk, and only
then takes the target's name (``os.replace``). A reader sees the old file or the new one, never a part, and
two writers of one file cannot mix: the last to finish wins. A full disk is an ``InputError`` that names the
folder and the bytes, and leaves no temporary file behind.
"""

import errno
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np

from .content import canonical
from .errors import InputError

TEMPORARY_SUFFIX = ".tmp"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNREADABLE = (
    *(ValueError, OSError, EOFError, KeyError, MemoryError, OverflowError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


def _refusal(error: OSError, path: Path, size: int | None) -> InputError:
    if error.errno not in _NO_ROOM:
        return InputError(
            f"'{error.strerror or error}' writing {path}", "a folder that can be written", "Choose another"
        )
    needs = "more bytes than it can take" if size is None else f"about {size:,} bytes"
    with suppress(OSError):
        needs += f" and {shutil.disk_usage(path.parent).free:,} are free"
    return InputError(
        f"no room in the folder {path.parent}: {path.name} needs {needs}",
        "a disk (and a quota) with room for the results",
        "Free some space or choose another folder; finished files were kept, nothing half-written was left",
    )


def require_room(folder: str | os.PathLike, size: int) -> None:
    """Raise ``InputError`` when the disk of ``folder`` has fewer than ``size`` bytes free."""
    path = Path(folder)
    existing = next((parent for parent in (path, *path.parents) if parent.is_dir()), Path())
    if shutil.disk_usage(existing).free < size:
        raise _refusal(OSError(errno.ENOSPC, "no room"), existing / path.name, size)


def _sync_folder(folder: Path) -> None:
    # Some file systems (and Windows) cannot sync a folder; the file itself is already safe there.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_atomic(path: str | os.PathLike, writer: Callable[[BinaryIO], object], *, size: int | None = None) -> Path:
    """Let ``writer(stream)`` write a new file that takes the name ``path`` only when it is whole and on disk.

    Missing folders are made. ``size`` (bytes, if known) is for the message about a full disk. An ``OSError``
    on the way becomes an ``InputError``; on any exception the old file stays and the new one is removed.
    """
    path = Path(path)
    temporary = path.parent / f".{path.name}.{uuid4().hex}{TEMPORARY_SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            writer(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _refusal(error, path, size) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def write_bytes(path: str | os.PathLike, data: bytes) -> Path:
    """Write ``data`` atomically (see ``write_atomic``)."""
    return write_atomic(path, lambda stream: stream.write(data), size=len(data))


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write ``text`` atomically as UTF-8; newlines stay as they are."""
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike, obj: Any) -> Path:
    """Write ``canonical(obj)`` atomically as strict, indented JSON in the order given."""
    return write_text(path, json.dumps(canonical(obj), indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """The content of a JSON file; ``InputError`` when it is missing or not whole."""
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}, which cannot be read ({error})", "a whole JSON file", "Delete it and run again"
        ) from error


def storable(name: str, value: Any) -> np.ndarray:
    """``value`` as a C-contiguous array that survives a file; ``InputError`` for objects and masked arrays.

    bfloat16 and the other extension dtypes are refused too: the npy format would return them as raw bytes.
    """
    array = np.asarray(value, order="C")
    if array.dtype.kind not in "biufcSUmM" or isinstance(value, np.ma.MaskedArray):
        kind = "masked" if isinstance(value, np.ma.MaskedArray) else str(array.dtype)
        raise InputError(
            f"array {name!r} of kind {kind}",
            "arrays of booleans, integers, floats, complex numbers, dates or fixed-width strings",
            "Convert it first, for example with np.asarray(x, np.float32)",
        )
    return array


def save_arrays(path: str | os.PathLike, arrays: Mapping[str, Any]) -> Path:
    """Write named arrays atomically as an uncompressed ``.npz``: no pickle, equal arrays give equal bytes."""
    checked = {name: storable(name, value) for name, value in arrays.items()}

    def write(stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in checked.items():
                # A bare ZipInfo carries the date 1980-01-01, so that the bytes depend on the arrays alone.
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    return write_atomic(path, write, size=sum(array.nbytes + 512 for array in checked.values()))


def load_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz``; ``InputError`` when it is missing, truncated, damaged or holds objects."""
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as stream:
                    array = np.lib.format.read_array(stream, allow_pickle=False)
                    # Reading past the end is what makes zipfile compare the member's CRC.
                    if stream.read(1) or name in arrays:
                        raise ValueError(f"stray bytes or a second array under the name {name!r}")
                arrays[name] = array
    except _UNREADABLE as error:
        raise InputError(
            f"{path}, which cannot be read ({error or type(error).__name__})",
            "a whole .npz file of plain arrays",
            "Delete it and run again",
        ) from error
    return arrays
