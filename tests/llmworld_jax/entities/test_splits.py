"""Folds: nothing that belongs together is parted, and beyond that they are as even as can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.entities.splits import folds
from llmworld_jax.errors import InputError


def clusters_of(*labels) -> dict[int, set[int]]:
    """Connected parts by a search of the graph, row by row."""
    rows, parts, seen = range(len(labels[0])), {}, set()
    for start in rows:
        if start in seen:
            continue
        found, waiting = set(), [start]
        while waiting:
            row = waiting.pop()
            if row not in found:
                found.add(row)
                waiting += [other for other in rows if any(kind[other] == kind[row] for kind in labels)]
        parts[start] = found
        seen |= found
    return parts


@settings(max_examples=40, deadline=None)
@given(data=st.data(), count=st.integers(2, 4))
def test_folds_keep_clusters_whole_and_are_balanced(make_table_once, data, count):
    size = data.draw(st.integers(8, 40))
    texts = [f"Town {i}" for i in data.draw(st.lists(st.integers(0, 2 * size), min_size=size, max_size=size))]
    texts = [text.upper() if i % 3 else text for i, text in enumerate(texts)]
    lands = data.draw(st.lists(st.integers(0, size), min_size=size, max_size=size))
    by = data.draw(st.sampled_from([None, "land"]))
    table = make_table_once(texts, groups={"land": np.array(lands).astype(str)})
    same = [[text.casefold() for text in texts]] + ([lands] if by else [])
    parts = clusters_of(*same)
    if len(parts) < count:
        with pytest.raises(InputError, match="folds of"):
            folds(table, count, by=by)
        return
    fold = folds(table, count, seed=size, by=by)
    assert all(len({fold[i] for i in part}) == 1 for part in parts.values())
    sizes = np.bincount(fold, minlength=count)
    assert sizes.min() > 0
    assert sizes.max() - sizes.min() <= max(map(len, parts.values()))
    np.testing.assert_array_equal(fold, folds(table, count, seed=size, by=by))


@pytest.fixture(scope="module")
def make_table_once():
    """hypothesis asks for a fixture that outlives its examples."""
    from llmworld_jax.entities.table import EntityTable

    def make(texts, groups):
        count = len(texts)
        return EntityTable(
            "towns", tuple(texts), tuple(texts), np.zeros((count, 1)), ("x",), ("m",), "number", groups, None,
            np.arange(count), "made up", "none",
        )  # fmt: skip

    return make


def test_another_seed_gives_other_folds_of_the_same_sizes(make_table):
    table = make_table([f"Town {i}" for i in range(103)])
    first, second = folds(table, 5, seed=0), folds(table, 5, seed=1)
    assert sorted(np.bincount(first)) == sorted(np.bincount(second)) == [20, 20, 21, 21, 21]
    assert np.mean(first == second) < 0.4  # a fifth by chance


def test_a_text_joins_two_groups(make_table):
    """B and C share a town, so they are together though neither's label says so."""
    texts = ["a", "b", "c", "Same", "same", "d", "e", "f"]
    lands = np.array(["A", "A", "B", "B", "C", "C", "D", "D"])
    fold = folds(make_table(texts, groups={"land": lands}), 2, by="land")
    assert len(set(fold[2:6])) == 1
    assert np.bincount(fold).tolist() == [4, 4]


@pytest.mark.parametrize(("count", "by", "said"), [(1, None, "1 folds"), (3, "land", "3 folds of 2 clusters by land")])
def test_folds_that_cannot_be(make_table, count, by, said):
    table = make_table(list("abcdef"), groups={"land": np.array(list("XXXYYY"))})
    with pytest.raises(InputError, match=said):
        folds(table, count, by=by)


def test_a_group_that_is_not_there(make_table):
    with pytest.raises(InputError, match="one of land"):
        folds(make_table(list("abcdef"), groups={"land": np.array(list("XXXYYY"))}), by="country")
    with pytest.raises(InputError, match="the table has none"):
        folds(make_table(list("abcdef")), by="country")
