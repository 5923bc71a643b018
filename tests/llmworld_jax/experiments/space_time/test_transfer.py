"""A probe on another dataset's entities: copies, strangers, shared names; and angles between directions."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytestmark = pytest.mark.slow  # one interpreter is enough

WIDTH, LAYERS, PENALTIES = 10, 3, 5


def study_of(words: tuple[str, ...], *, kind: str = "place", seed: int = 0):
    """A study of so many entities, in two folds; without prompts."""
    from llmworld_jax.entities.table import EntityTable
    from llmworld_jax.experiments.space_time.study import Study

    random, place = np.random.default_rng(seed), kind == "place"
    table = EntityTable(
        key="made_up", names=words, texts=words,
        targets=random.normal(size=(len(words), 2)) * (20, 9) if place else random.normal(1900, 50, (len(words), 1)),
        target_names=("longitude", "latitude") if place else ("year",),
        units=("degrees", "degrees") if place else ("years",), kind=kind,
        groups={"country": np.full(len(words), "A")}, held_out=None, rows=np.arange(len(words)), source="", licence="",
    )  # fmt: skip
    return Study(table, np.arange(len(words)) % 2, "country", np.zeros(len(words), np.int32), ("A",), {}, {})


def rows_of(study, seed: int = 3) -> np.ndarray:
    random, y = np.random.default_rng(seed), study.table.targets
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    mix = np.random.default_rng(77).normal(size=(LAYERS, y.shape[1], WIDTH))
    return (y @ mix + 0.4 * random.normal(size=(LAYERS, len(y), WIDTH))).astype(np.float32)


def words(stem: str, count: int = 70) -> tuple[str, ...]:
    return tuple(f"{stem} {i}" for i in range(count))


def test_a_copy_with_other_names_is_predicted_as_the_fit_predicts_its_own_rows():
    from analyses.probes.ridge import fit_ridge, predict, relative_penalties
    from llmworld_jax.experiments.space_time.scoring import score
    from llmworld_jax.experiments.space_time.transfer import transfer

    a = study_of(words("one"))
    b = a._replace(table=replace(a.table, names=words("other"), texts=words("other")))
    rows = rows_of(a)
    found = transfer("a", a, rows, "b", b, rows, 1, PENALTIES)
    with jax.enable_x64(True):
        x = jnp.asarray(rows[1], jnp.float64)
        fit = jax.jit(fit_ridge)(x, jnp.asarray(a.table.targets), relative_penalties(PENALTIES))
        said = np.asarray(predict(fit, x))
    wanted = score(a.table, said, np.ones((1, 70), bool))
    for one, other in zip(found.scores, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert found.scores.r2[0] > 0.8
    np.testing.assert_allclose(found.shift, 0, atol=1e-9)  # a fit with an intercept has no mean residual
    assert (found.tested, found.left_out, found.layer, found.unit) == (70, 0, 1, "km")


def test_targets_moved_by_a_constant_show_as_the_shift_and_leave_the_order():
    from llmworld_jax.experiments.space_time.transfer import transfer

    a = study_of(words("one"), kind="time")
    copy = replace(a.table, names=words("other"), texts=words("other"), target_names=("death_year",))
    late = a._replace(table=replace(copy, targets=a.table.targets + 500))
    rows = rows_of(a)
    near = transfer("a", a, rows, "b", a._replace(table=copy), rows, 0, PENALTIES)
    far = transfer("a", a, rows, "b", late, rows, 0, PENALTIES)
    np.testing.assert_allclose(far.shift, near.shift - 500)
    np.testing.assert_allclose(far.scores.rho, near.scores.rho)
    np.testing.assert_allclose(far.scores.slope, near.scores.slope)
    assert far.scores.r2[0] < 0 < near.scores.r2[0]
    assert far.target_names == ("death_year",)
    assert far.unit == "years"


def test_names_and_texts_that_a_holds_are_left_out_in_any_letter_case():
    from llmworld_jax.experiments.space_time.transfer import transfer, unseen

    a, b = study_of(words("one")), study_of((*words("new", 60), "ONE 3", "One 5", "one 9"), seed=4)
    written = (*b.table.texts[:58], "one 0", *b.table.texts[59:])
    b = b._replace(table=replace(b.table, texts=written))
    kept = unseen(a.table, b.table)
    assert np.flatnonzero(~kept).tolist() == [58, 60, 61, 62]
    rows, wrong = rows_of(b), rows_of(b)
    wrong[:, ~kept] = 1e6  # what is left out has no say
    both = [transfer("a", a, rows_of(a), "b", b, x, 2, PENALTIES) for x in (rows, wrong)]
    assert (both[0].tested, both[0].left_out) == (59, 4)
    for one, other in zip(both[0].scores, both[1].scores, strict=True):
        np.testing.assert_allclose(one, other)
    np.testing.assert_allclose(both[0].shift, both[1].shift)


def test_where_nothing_new_remains_there_is_no_score_and_no_warning(recwarn):
    from llmworld_jax.experiments.space_time.transfer import transfer

    a = study_of(words("one"))
    found = transfer("a", a, rows_of(a), "a again", a, rows_of(a), 0, PENALTIES)
    assert (found.tested, found.left_out) == (0, 70)
    assert all(np.isnan(part).all() for part in found.scores)
    assert found.scores.r2_each.shape == (1, 2)
    assert not recwarn.list


def test_b_may_have_entities_that_no_fold_tests():
    from llmworld_jax.experiments.space_time.transfer import transfer

    a, b = study_of(words("one")), study_of(words("two"), seed=4)
    found = [
        transfer("a", a, rows_of(a), "b", b._replace(fold=fold), rows_of(b), 0, PENALTIES)
        for fold in (b.fold, np.where(np.arange(70) < 40, -1, 0))
    ]
    np.testing.assert_array_equal(found[0].scores.r2, found[1].scores.r2)


def test_what_cannot_be_compared_is_refused():
    from llmworld_jax.errors import InputError
    from llmworld_jax.experiments.space_time.transfer import transfer, transferable

    place, time = study_of(words("one")), study_of(words("two"), kind="time")
    days = replace(time.table, units=("days",))
    people = replace(time.table, kind="number", units=("people",), target_names=("population",))
    assert transferable(time.table, replace(time.table, target_names=("death_year",)))
    assert not transferable(time.table, days)
    assert not transferable(people, replace(people, target_names=("visitors",)))
    with pytest.raises(InputError, match="longitude, latitude"):
        transfer("cities", place, rows_of(place), "films", time, rows_of(time), 0, PENALTIES)
    with pytest.raises(InputError, match="one model"):
        transfer("a", place, rows_of(place), "b", place, rows_of(place)[..., :5], 0, PENALTIES)


@pytest.fixture(scope="module")
def sweeps():
    from llmworld_jax.experiments.space_time.sweep import layer_sweep

    a, b = study_of(words("one")), study_of(words("two"), seed=4)
    return a, layer_sweep(rows_of(a), a, PENALTIES), b, layer_sweep(rows_of(b, 9), b, PENALTIES)


def test_equal_sweeps_have_cosine_one_and_opposite_ones_minus_one(sweeps):
    from llmworld_jax.experiments.space_time.transfer import direction_cosines

    _, one, _, _ = sweeps
    np.testing.assert_allclose(direction_cosines(one, one), np.ones((LAYERS, 2)))
    np.testing.assert_allclose(direction_cosines(one, one._replace(directions=-3 * one.directions)), -1)


def test_datasets_of_one_map_share_its_directions_target_by_target(sweeps):
    from llmworld_jax.experiments.space_time.transfer import direction_cosines, pair_cosines

    a, one, b, other = sweeps
    found = pair_cosines("a", a, one, "b", b, other)
    assert (found.cosine > 0.6).all()
    assert found.target_names == ("longitude", "latitude")
    by_hand = one.directions[2, :, 1] @ other.directions[2, :, 1]
    by_hand /= np.linalg.norm(one.directions[2, :, 1]) * np.linalg.norm(other.directions[2, :, 1])
    assert found.cosine[2, 1] == pytest.approx(by_hand)
    nothing = other._replace(directions=other.directions * np.array([1, 0]))
    assert np.isnan(direction_cosines(one, nothing)).tolist() == [[False, True]] * LAYERS


def test_the_null_is_the_root_mean_square_of_random_directions(sweeps):
    from llmworld_jax.experiments.space_time.transfer import direction_cosines, pair_cosines

    a, one, b, other = sweeps
    random = np.random.default_rng(0)
    many = [one._replace(directions=random.normal(size=(4000, WIDTH, 2))) for _ in range(2)]
    null = pair_cosines("a", a, one, "b", b, other).null
    assert np.sqrt((direction_cosines(*many) ** 2).mean()) == pytest.approx(null, rel=0.03)


def test_probes_of_two_widths_are_refused(sweeps):
    from llmworld_jax.errors import InputError
    from llmworld_jax.experiments.space_time.transfer import direction_cosines

    _, one, _, _ = sweeps
    with pytest.raises(InputError, match="one shape"):
        direction_cosines(one, one._replace(directions=one.directions[:, :4]))
