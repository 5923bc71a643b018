"""Results of any nesting come back as they went, and nothing is made that was not asked for."""

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.content import canonical_json
from llmworld_jax.errors import InputError
from llmworld_jax.experiments.records import from_arrays, to_arrays
from llmworld_jax.store import load_unit, save_unit


class Inner(NamedTuple):
    values: np.ndarray
    words: tuple[str, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner | None
    by_name: dict[str, Any]
    number: float
    flag: bool


VALUE = (
    Outer(Inner(np.arange(6.0).reshape(2, 3), ("a", "ß")), {"x": np.array(["à", "b"]), "y": (1, None)}, 0.1, True),
    (),
    Outer(None, {}, float("nan"), False),
)


def test_what_comes_back_is_what_went(tmp_path):
    name = hashlib.sha256(canonical_json({"key": {"k": 1}, "version": 1}).encode()).hexdigest()
    save_unit(tmp_path / f"{name}.npz", {"k": 1}, 1, to_arrays(VALUE))
    first, nothing, last = from_arrays(load_unit(tmp_path / f"{name}.npz").arrays, (Inner, Outer))
    np.testing.assert_array_equal(first.inner.values, VALUE[0].inner.values)
    assert first.inner.words == ("a", "ß")
    assert first.by_name["x"].tolist() == ["à", "b"]
    assert first.by_name["y"] == (1, None)
    assert (first.number, first.flag, nothing) == (0.1, True, ())
    assert (last.inner, last.by_name) == (None, {})
    assert np.isnan(last.number)


def test_arrays_of_jax_come_back_as_numpys():
    back = from_arrays(to_arrays({"a": jnp.ones(3), "b": np.float64(2)}), ())
    assert isinstance(back["a"], np.ndarray)
    assert back["b"] == 2


def test_a_class_that_was_not_named_is_refused():
    with pytest.raises(InputError, match="a stored Inner"):
        from_arrays(to_arrays(VALUE[0].inner), (Outer,))


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(InputError, match="a set among results"):
        to_arrays({"a": {1, 2}})
