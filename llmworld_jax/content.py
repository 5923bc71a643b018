"""The content of a value: one canonical JSON spelling, and its hash.

Units of work and runs are named after what they hold, so equal contents must hash alike on every machine and
different ones never: arrays count with dtype, shape and bytes, dataclasses with their name, 1 is not 1.0.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import InputError


def _contiguous_bytes(array: np.ndarray) -> memoryview | bytes:
    return np.asarray(array, order="C").reshape(-1).view(np.uint8).data if array.nbytes else b""


def _canonical_array(obj: Any) -> dict:
    array = np.asarray(obj)
    if array.dtype.hasobject:
        raise InputError("an array of Python objects", "numbers or strings", "Give it a fixed dtype")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(_contiguous_bytes(array)).hexdigest()
    return {"__array__": [str(array.dtype), list(array.shape), digest]}


def _canonical_mapping(obj: Mapping) -> dict:
    for key in obj:
        if not isinstance(key, str) or key.startswith("__"):
            raise InputError(f"the dictionary key {key!r}", "text not beginning with two underscores", "Rename the key")
    return {key: canonical(value) for key, value in obj.items()}


def canonical(obj: Any) -> Any:
    """``obj`` as plain JSON values, different contents staying different.

    Numpy scalars become numbers, tuples lists, arrays ``{"__array__": [dtype, shape, sha256 of the bytes]}``,
    dataclasses (equinox modules too) ``{"__class__": name, fields...}``, non-finite floats
    ``{"__float__": "nan"}``. Anything else (functions, sets, paths) is refused with an ``InputError``: it has
    no content that means the same on another machine.
    """
    if obj is None or isinstance(obj, bool | str):
        return obj
    if isinstance(obj, np.generic) and not isinstance(obj.item(), np.generic):
        return canonical(obj.item())
    if isinstance(obj, int):
        return int(obj)
    if isinstance(obj, float):
        return float(obj) if math.isfinite(obj) else {"__float__": repr(float(obj))}
    if isinstance(obj, Mapping):
        return _canonical_mapping(obj)
    if isinstance(obj, list | tuple):
        return [canonical(item) for item in obj]
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        fields = {field.name: canonical(getattr(obj, field.name)) for field in dataclasses.fields(obj)}
        return {"__class__": type(obj).__name__, **fields}
    if isinstance(obj, bytes):
        return {"__bytes__": hashlib.sha256(obj).hexdigest()}
    if hasattr(obj, "__array__") and hasattr(obj, "shape"):
        return _canonical_array(obj)
    raise InputError(
        f"a value of type {type(obj).__name__} in something to be stored or hashed",
        "None, booleans, numbers, text, lists, dictionaries, arrays or dataclasses of these",
        "Store what it stands for instead (a name, a number, the hash of a file)",
    )


def canonical_json(obj: Any) -> str:
    """One spelling per content: sorted keys, no spaces, ASCII, shortest round-trip floats."""
    return json.dumps(canonical(obj), sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(obj: Any) -> str:
    """SHA-256 (hexadecimal) of ``canonical_json(obj)``: equal for equal contents, on every machine."""
    return hashlib.sha256(canonical_json(obj).encode("ascii")).hexdigest()
