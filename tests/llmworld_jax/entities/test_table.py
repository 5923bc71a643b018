"""A table says what can be used of it, and a part of it is the same entities."""

import numpy as np
import pytest

from llmworld_jax.content import content_hash
from llmworld_jax.entities.table import LEAST, EntityTable, listed
from llmworld_jax.errors import InputError

COUNT = 80


@pytest.fixture
def table(make_table) -> EntityTable:
    labels = np.array([f"land {i % 7}" for i in range(COUNT)])
    return make_table([f"Town {i}" for i in range(COUNT)], groups={"land": labels}, held_out=np.arange(COUNT) % 5 == 0)


def assert_rows_belong_together(part: EntityTable, whole: EntityTable) -> None:
    """Every field of an entity is that of the row with its line number."""
    at = part.rows - 2
    assert part.names == tuple(whole.names[i] for i in at)
    assert part.texts == tuple(whole.texts[i] for i in at)
    np.testing.assert_array_equal(part.targets, whole.targets[at])
    np.testing.assert_array_equal(part.held_out, whole.held_out[at])
    np.testing.assert_array_equal(part.groups["land"], whole.groups["land"][at])


def test_taking_moves_every_column_alike(table):
    order = np.random.default_rng(0).permutation(COUNT)
    assert_rows_belong_together(table.take(order), table)
    back = table.take(order).take(np.argsort(order))
    assert content_hash(back) == content_hash(table)


def test_a_sample_is_without_replacement_in_the_files_order_and_depends_on_the_seed_alone(table):
    sample = table.sample(30, seed=3)
    assert_rows_belong_together(sample, table)
    assert len(sample) == 30
    assert np.all(np.diff(sample.rows) > 0)
    assert content_hash(sample) == content_hash(table.sample(30, seed=3))
    assert content_hash(sample) != content_hash(table.sample(30, seed=4))


def test_every_entity_is_as_likely_in_a_sample(table):
    """Counts of 400 samples of half the table: the worst of 80 binomials lies within five standard deviations."""
    counts = np.zeros(COUNT)
    for seed in range(400):
        counts[table.sample(COUNT // 2, seed).rows - 2] += 1
    assert np.abs(counts - 200).max() < 5 * np.sqrt(400 * 0.25)


def test_asking_for_more_than_there_is_gives_the_table(table):
    assert table.sample(COUNT) is table
    assert table.sample(COUNT + 1) is table


def test_no_entities_cannot_be_asked_for(table):
    with pytest.raises(InputError, match="0 entities of towns"):
        table.sample(0)


def test_the_poles_and_the_date_line_are_on_the_globe(table):
    assert np.abs(table.targets).max(axis=0).tolist() == [180.0, 90.0]
    assert table.check() is table


def test_what_is_wrong_is_named_by_its_line(table):
    targets = table.targets.copy()
    targets[4], targets[9] = [0.0, 90.001], [np.nan, 0.0]
    names = (*table.names[:7], " ", *table.names[8:])
    bad = EntityTable(**vars(table) | {"targets": targets, "names": names})
    with pytest.raises(InputError) as caught:
        bad.check()
    message = str(caught.value)
    assert all(
        part in message for part in ("3 unusable", "line 6 ('Town 4') with latitude 90.001", "line 9", "line 11")
    )


def test_a_year_of_no_place_may_exceed_a_latitude(table):
    years = np.linspace(-1000.0, 2000.0, COUNT)[:, None]
    changes = {"targets": years, "target_names": ("year",), "units": ("years",), "kind": "time"}
    assert EntityTable(**vars(table) | changes).check()


def test_a_label_must_be_there(table):
    labels = table.groups["land"].copy()
    labels[0] = " "
    with pytest.raises(InputError, match=r"line 2 \('Town 0'\) without a land"):
        EntityTable(**vars(table) | {"groups": {"land": labels}}).check()


def test_places_are_longitude_then_latitude(table):
    swapped = EntityTable(**vars(table) | {"target_names": ("latitude", "longitude")})
    with pytest.raises(InputError, match="places as"):
        swapped.check()


def test_columns_of_other_lengths_are_refused(table):
    with pytest.raises(InputError, match=r"lengths \[79, 80\]"):
        EntityTable(**vars(table) | {"names": table.names[1:]}).check()


def test_too_few_to_learn_and_to_test_on(table):
    assert len(table.take(np.arange(LEAST)).check()) == LEAST
    with pytest.raises(InputError, match="49 entities"):
        table.take(np.arange(LEAST - 1)).check()


def test_a_list_stops_after_ten():
    assert listed(list("abc")) == "a; b; c"
    assert listed([str(i) for i in range(1010)]).endswith("9 and 1,000 more")
