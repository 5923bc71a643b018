"""Equal contents hash alike; different ones do not."""

import hashlib
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.content import canonical, canonical_json, content_hash
from llmworld_jax.errors import InputError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)


def typed(value):
    """A comparison in which 1, 1.0 and True differ, -0.0 and 0.0 too, key order not counting."""
    if isinstance(value, dict):
        return ("dict", frozenset((key, typed(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("list", tuple(map(typed, value)))
    return (type(value).__name__, repr(value))


@given(VALUES, VALUES)
@settings(deadline=None, max_examples=300)
def test_hashes_agree_exactly_when_contents_do(left, right):
    assert (content_hash(left) == content_hash(right)) == (typed(left) == typed(right))


@dataclass(frozen=True)
class Point:
    x: float


@dataclass(frozen=True)
class Place:
    x: float


def test_what_is_the_same_content():
    ones = np.ones((2, 3))
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash((1, 2)) == content_hash([1, 2])
    assert content_hash(np.float64(0.1)) == content_hash(0.1)
    assert content_hash(np.int8(3)) == content_hash(3)
    assert content_hash(ones) == content_hash(np.asfortranarray(ones)) == content_hash(ones.astype(">f8"))
    assert content_hash(jnp.ones(3, jnp.float32)) == content_hash(np.ones(3, np.float32))
    assert content_hash(ones[:, ::2]) == content_hash(ones[:, ::2].copy())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (np.zeros(6), np.zeros((2, 3))),
        (np.zeros(2), np.zeros(4, np.float32)),
        (np.zeros(4, np.float32), np.zeros(4, np.int32)),
        (np.zeros(0), np.zeros((0, 2))),
        (np.array("a"), np.array("b")),
        (np.array(1.0), 1.0),
        (jnp.zeros(2, jnp.bfloat16), jnp.zeros(2, jnp.float16)),
        (float("nan"), float("inf")),
        (float("inf"), -float("inf")),
        (float("nan"), "nan"),
        (b"a", b"b"),
        (Point(1.0), Place(1.0)),
        (Point(1.0), {"x": 1.0}),
    ],
)
def test_what_is_different_content(left, right):
    assert content_hash(left) != content_hash(right)


def test_the_spelling_is_pinned():
    # Stored units are found by this hash: changing the spelling orphans every run on disk.
    digest = hashlib.sha256(bytes([0, 0, 0, 0, 1, 0, 0, 0])).hexdigest()
    expected = f'{{"a":{{"__array__":["int32",[2],"{digest}"]}},"b":[1,2.5,null]}}'
    assert canonical_json({"b": (1, 2.5, None), "a": np.arange(2, dtype=np.int32)}) == expected
    assert content_hash({}) == hashlib.sha256(b"{}").hexdigest()


@pytest.mark.parametrize(
    "value",
    [{1, 2}, lambda: 0, object(), np.array([None]), {1: 2}, {"__array__": 1}, [{"a": {3}}]],
)
def test_what_has_no_content_is_refused(value):
    with pytest.raises(InputError, match=r"Got .* Expected .*\."):
        canonical(value)
