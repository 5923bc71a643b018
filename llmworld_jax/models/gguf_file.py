"""A GGUF file as metadata and tensors. Every length, count and offset in it is untrusted.

The ``gguf`` package dequantises; its reader is not used, because it believes the counts it reads (a forged
one makes it loop for ever) and takes seconds to open a file with 50 000 tokens.
"""

import math
import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_DIMS = 4


class TensorInfo(NamedTuple):
    """Where a tensor lies. ``shape`` is ``(out, in)`` as in Hugging Face files (GGUF writes it reversed)."""

    shape: tuple[int, ...]
    kind: int
    start: int
    size: int


class _DamagedError(ValueError):
    """Something in the file is impossible."""


class GGUFFile:
    """Parsed header of a GGUF file; ``read`` dequantises one tensor.

    Attributes:
        metadata: key -> number, string, bool or list of these.
        tensors: name -> ``TensorInfo``, checked to lie inside the file without overlaps.

    Raises:
        InputError: the file is not GGUF version 2 or 3, or is cut short or inconsistent.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            cursor = _Cursor(self._data)
            self.metadata, counts = _metadata(cursor)
            self.tensors = _tensors(cursor, counts, self.metadata.get("general.alignment", 32))
        except (_DamagedError, OSError, ValueError) as error:
            raise _refusal(self.path, str(error)) from error

    def read(self, name: str) -> np.ndarray:
        """One tensor as float32, ``[out, in]``.

        Raises:
            InputError: its quantisation is not known, or it holds NaN or infinity.
        """
        import gguf

        info = self.tensors[name]
        raw = np.frombuffer(self._data, np.uint8, info.size, info.start).reshape(*info.shape[:-1], -1)
        kind = gguf.GGMLQuantizationType(info.kind)
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(gguf.dequantize(raw, kind), np.float32).reshape(info.shape)
        except NotImplementedError as error:
            raise InputError(
                f"{self.path.name}, whose {name} is stored as {kind.name}",
                "a quantisation that the gguf package can decode",
                "Choose another quantisation of the model (Q4_1, Q8_0, F16 ...)",
            ) from error
        if not np.isfinite(values).all():
            raise _refusal(self.path, f"{name} holds values that are not finite")
        return values


def _refusal(path: Path, why: str) -> InputError:
    return InputError(
        f"{path}, which is not a whole GGUF file ({why})",
        "an undamaged little-endian GGUF file of version 2 or 3",
        "Download it again; the copy was cut short or changed",
    )


class _Cursor:
    """Reads forward; never past the end."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at, self.end = data, 0, len(data)

    def take(self, size: int) -> bytes:
        if size > self.end - self.at:
            raise _DamagedError(f"{size} bytes wanted at byte {self.at} of {self.end}")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8")

    def value(self) -> Any:
        kind = self.number("I")
        if kind == _ARRAY:
            kind, count = self.number("I"), self.number("Q")
            if kind == _STRING:
                # No reservation by the announced count: the loop ends with the file at the latest.
                return [self.text() for _ in range(count)]
            code = self._scalar(kind)
            return list(struct.unpack(f"<{count}{code}", self.take(count * struct.calcsize("<" + code))))
        return self.text() if kind == _STRING else self.number(self._scalar(kind))

    def _scalar(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise _DamagedError(f"unknown value type {kind} before byte {self.at}")
        return _SCALARS[kind]


def _metadata(cursor: _Cursor) -> tuple[dict[str, Any], int]:
    """Key-value section, and the number of tensors announced."""
    if cursor.take(4) != b"GGUF":
        raise _DamagedError("it does not begin with GGUF")
    version = cursor.number("I")
    if version not in (2, 3):
        raise _DamagedError(f"version {version}")
    num_tensors, num_keys = cursor.number("Q"), cursor.number("Q")
    metadata: dict[str, Any] = {}
    for _ in range(num_keys):
        key = cursor.text()
        if key in metadata:
            raise _DamagedError(f"key {key!r} twice")
        metadata[key] = cursor.value()
    return metadata, num_tensors


def _tensors(cursor: _Cursor, count: int, alignment: Any) -> dict[str, TensorInfo]:
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise _DamagedError(f"alignment {alignment!r}")
    announced: dict[str, TensorInfo] = {}
    for _ in range(count):
        name, dims = cursor.text(), cursor.number("I")
        if name in announced or not 1 <= dims <= _MAX_DIMS:
            raise _DamagedError(f"tensor {name!r} twice or with {dims} dimensions")
        shape = tuple(cursor.number("Q") for _ in range(dims))[::-1]
        kind, offset = cursor.number("I"), cursor.number("Q")
        announced[name] = TensorInfo(shape, kind, offset, _bytes(name, shape, kind))
    base = -(-cursor.at // alignment) * alignment
    placed, reached = {}, base
    for name, info in sorted(announced.items(), key=lambda item: item[1].start):
        start = base + info.start
        if info.start % alignment or start < reached or start + info.size > cursor.end:
            raise _DamagedError(f"tensor {name!r} of {info.size} bytes at {start}, in a file of {cursor.end}")
        reached = start + info.size
        placed[name] = info._replace(start=start)
    return placed


def _bytes(name: str, shape: tuple[int, ...], kind: int) -> int:
    import gguf

    try:
        block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        raise _DamagedError(f"tensor {name!r} of unknown type {kind}") from None
    if min(shape) < 1 or shape[-1] % block:
        raise _DamagedError(f"tensor {name!r} of shape {shape} in blocks of {block}")
    return math.prod(shape) // block * size
