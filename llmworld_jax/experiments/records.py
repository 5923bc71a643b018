"""Results of any nesting as plain arrays, and back: what a run keeps of its finished parts, without pickling.

Named tuples, dataclasses, tuples, dicts with text keys, numbers, text, None and arrays are written as numbered arrays
and one JSON text that says how they were nested. Classes are found again by name among those the reader names, so that
a file can make nothing that its reader did not ask for.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from ..errors import InputError

_STRUCTURE = "structure"


def to_arrays(value: Any) -> dict[str, np.ndarray]:
    """Arrays by number, and the nesting as text under ``structure``.

    Raises:
        InputError: something that is none of the kinds above.
    """
    arrays: dict[str, np.ndarray] = {}
    structure = _nesting(value, arrays)
    return {_STRUCTURE: np.array(json.dumps(structure)), **arrays}


def from_arrays(arrays: Mapping[str, np.ndarray], classes: Iterable[type]) -> Any:
    """The value that ``to_arrays`` was given; jax arrays come back as numpy's.

    Raises:
        InputError: a class that is not among ``classes``.
    """
    known = {kind.__name__: kind for kind in classes}
    return _built(json.loads(str(arrays[_STRUCTURE])), arrays, known)


def _nesting(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        name = str(len(arrays))
        arrays[name] = np.asarray(value)
        return {"array": name}
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return {"tuple": [_nesting(part, arrays) for part in value]}
    if isinstance(value, Mapping):
        return {"dict": {str(key): _nesting(part, arrays) for key, part in value.items()}}
    fields = _fields(value)
    return {"class": type(value).__name__, "fields": {name: _nesting(part, arrays) for name, part in fields.items()}}


def _fields(value: Any) -> dict[str, Any]:
    if isinstance(value, tuple):
        return value._asdict()  # type: ignore[attr-defined]  # a named tuple
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise InputError(
        f"a {type(value).__name__} among results", "named tuples, dataclasses, arrays, numbers and text", "Convert it"
    )


def _built(node: Mapping[str, Any], arrays: Mapping[str, np.ndarray], known: Mapping[str, type]) -> Any:
    if "value" in node:
        return node["value"]
    if "array" in node:
        return arrays[node["array"]]
    if "tuple" in node:
        return tuple(_built(part, arrays, known) for part in node["tuple"])
    if "dict" in node:
        return {key: _built(part, arrays, known) for key, part in node["dict"].items()}
    if node["class"] not in known:
        raise InputError(f"a stored {node['class']}", f"one of {', '.join(sorted(known))}", "Delete the unit")
    return known[node["class"]](**{name: _built(part, arrays, known) for name, part in node["fields"].items()})
