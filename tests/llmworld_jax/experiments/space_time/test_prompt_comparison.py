"""Probes of one prompt under another: a constant shift, a rotation, the same prompt twice, and the real reading."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

pytestmark = pytest.mark.slow  # one interpreter is enough

ENTITIES, WIDTH, FOLDS, PENALTIES = 90, 32, 3, 5  # the width of tiny_llama: one program for all tests
RANDOM = np.random.default_rng(5)


def study_of(prompts=("empty", "random")):
    """A study whose prompts are of three to five tokens, in a vocabulary of forty."""
    from llmworld_jax.entities.prompts import PROMPT_KINDS, EntityPrompts
    from llmworld_jax.entities.table import EntityTable
    from llmworld_jax.experiments.space_time.study import Study

    random = np.random.default_rng(1)
    names = tuple(f"Name {i}" for i in range(ENTITIES))
    table = EntityTable(
        key="made_up", names=names, texts=names, targets=random.normal(size=(ENTITIES, 2)) * (20, 9),
        target_names=("longitude", "latitude"), units=("degrees", "degrees"), kind="place",
        groups={"country": np.array(["A", "B"])[random.integers(2, size=ENTITIES)]}, held_out=None,
        rows=np.arange(ENTITIES), source="", licence="",
    )  # fmt: skip
    fold = np.arange(ENTITIES) % FOLDS
    lengths = random.integers(2, 5, ENTITIES)
    read = {}
    for n, key in enumerate(prompts):
        tokens = tuple(random.integers(0, 40, length + n).astype(np.int32) for length in lengths)
        read[key] = EntityPrompts(tokens, lengths * 0 + 1, lengths + n - 1)
    kinds = {key: PROMPT_KINDS["world"][key] for key in prompts}
    return Study(table, fold, "country", np.zeros(ENTITIES, np.int32), ("A",), kinds, read)


def knowing(targets: np.ndarray, noise: float = 1.0) -> np.ndarray:
    """Activations ``[entity, width]`` from which the targets can be read."""
    y = (targets - targets.mean(axis=0)) / targets.std(axis=0)
    mix = RANDOM.normal(size=(y.shape[1], WIDTH))
    return y @ mix + noise * RANDOM.normal(size=(len(y), WIDTH))


@pytest.fixture(scope="module")
def made_up():
    """A study, its activations, and how to cross these with those of another prompt: ``[score, train, test, fold]``."""
    from llmworld_jax.experiments.space_time.prompt_comparison import crossed

    study = study_of()
    own = knowing(study.table.targets)
    return study, own, lambda other: crossed(np.stack([own, other]), study, PENALTIES)


def test_the_same_rows_twice_give_the_same_cells(made_up):
    _, own, cross = made_up
    for found in cross(own):
        np.testing.assert_allclose(found, np.broadcast_to(found[:, :1, :1], found.shape))
        assert (found[0] > 0.6).all(), "the made-up rows know something"


def test_a_constant_shift_costs_nothing_once_it_is_undone_and_all_before(made_up):
    _, own, cross = made_up
    raw, centred = cross(own + 40 * np.random.default_rng(9).normal(size=WIDTH))
    for train, test in ((0, 1), (1, 0)):
        np.testing.assert_allclose(centred[:, train, test], raw[:, train, train], rtol=1e-9)
        assert (raw[0, train, test] < -1).all()
    np.testing.assert_allclose(raw[1], centred[1], rtol=1e-12, err_msg="ranks do not notice a shift")


def test_turned_activations_are_not_read_but_their_own_probe_reads_them(made_up):
    _, own, cross = made_up
    turn, _ = np.linalg.qr(np.random.default_rng(8).normal(size=(WIDTH, WIDTH)))
    raw, centred = cross((own - own.mean(axis=0)) @ turn)
    np.testing.assert_allclose(raw[:, 1, 1], raw[:, 0, 0], rtol=1e-6, err_msg="ridge has no favourite axes")
    for train, test in ((0, 1), (1, 0)):
        assert (centred[0, train, test] < 0.2).all()
        assert (np.abs(centred[1, train, test]) < 0.5 * centred[1, 0, 0]).all()


def test_cells_of_one_prompt_are_those_of_its_own_sweep(made_up):
    from llmworld_jax.experiments.space_time.sweep import layer_sweep

    study, own, cross = made_up
    rows = np.stack([own, own**3])
    sweep = layer_sweep(rows, study, PENALTIES)
    for found in cross(rows[1]):
        for k in range(len(rows)):
            np.testing.assert_allclose(found[0, k, k], sweep.r2[:, k].mean(axis=1), rtol=1e-6)
            np.testing.assert_allclose(found[1, k, k], sweep.rho[:, k].mean(axis=1), rtol=1e-6)


def test_the_shift_is_that_of_the_training_rows(made_up):
    """By scikit-learn, at the penalty that the fit chose; folds are moved apart, so that test rows have other means."""
    from analyses.probes.ridge import fit_ridge, relative_penalties

    study, b, cross = made_up
    a, y = b + 0.3 * study.fold[:, None], study.table.targets
    _, centred = cross(a)
    for k in range(FOLDS):
        train = study.fold != k
        with jax.enable_x64(True):
            ratios = relative_penalties(PENALTIES)
            penalty = float(jax.jit(fit_ridge)(jnp.asarray(b), jnp.asarray(y), ratios, jnp.asarray(train)).penalty)
        scaled = (y - y[train].mean(axis=0)) / y[train].std(axis=0)
        probe = Ridge(alpha=penalty).fit(b[train], scaled[train])
        said = probe.predict(a[~train] - (a[train] - b[train]).mean(axis=0))
        error = ((said - scaled[~train]) ** 2).sum(axis=0)
        wanted = 1 - error / ((scaled[~train] - scaled[~train].mean(axis=0)) ** 2).sum(axis=0)
        assert centred[0, 0, 1, k] == pytest.approx(wanted.mean(), rel=1e-6)


@pytest.fixture(scope="module")
def compared(tiny_llama):
    from llmworld_jax.experiments.space_time.prompt_comparison import compare_prompts
    from llmworld_jax.experiments.space_time.rows import residual_rows
    from llmworld_jax.experiments.space_time.sweep import layer_sweep

    model, study, said = tiny_llama(), study_of(("empty", "coords")), []
    # The second prompt is the first again: what is read must be the same.
    study = study._replace(prompts={"empty": study.prompts["empty"], "coords": study.prompts["empty"]})
    rows = residual_rows(model, study.prompts["empty"], lambda _: None, "")
    sweep = layer_sweep(rows, study, PENALTIES)
    found = compare_prompts(model, study, rows, sweep, PENALTIES, said.append, lambda ids: f"{len(ids)} tokens")
    return study, sweep, found, said, compare_prompts


def test_a_prompt_that_is_read_twice_agrees_with_itself(compared):
    study, sweep, found, said, _ = compared
    assert found.keys == ("empty", "coords")
    assert found.examples == (f"{len(study.prompts['empty'].tokens[0])} tokens",) * 2
    assert found.layer == np.bincount(sweep.chosen).argmax()
    np.testing.assert_allclose(found.r2[0], sweep.r2.mean(axis=2))
    for scores in (found.r2, found.rho, found.chosen):
        np.testing.assert_allclose(scores[0], scores[1])
    for cells, own in ((found.raw_r2, found.r2), (found.centred_rho, found.rho)):
        assert cells.shape == (2, 2, FOLDS)
        np.testing.assert_allclose(cells, np.broadcast_to(own[0, :, found.layer], cells.shape), rtol=1e-6)
    np.testing.assert_allclose(found.cosines, 1)
    assert any("coords" in line for line in said)


def test_scores_at_chosen_layers_are_looked_up_fold_by_fold(compared):
    _, _, found, _, _ = compared
    at = found.at_chosen(found.r2)
    for prompt in range(2):
        for fold in range(FOLDS):
            assert at[prompt, fold] == found.r2[prompt, fold, found.chosen[prompt, fold]]


def test_one_prompt_is_nothing_to_compare(compared, tiny_llama):
    study, sweep, _, _, compare = compared
    alone = study._replace(prompts={"empty": study.prompts["empty"]})
    assert compare(tiny_llama(), alone, np.zeros((3, ENTITIES, WIDTH)), sweep, PENALTIES, lambda _: None) is None


def test_examples_without_a_tokenizer_are_spelled_from_the_kinds():
    from llmworld_jax.experiments.space_time.prompt_comparison import _example

    study = study_of(("coords", "random", "empty_all_caps"))
    assert [_example(study, key, None) for key in study.prompts] == [
        "What are the lat/lon coordinates of Name 0", "[10 random tokens]Name 0", "NAME 0",
    ]  # fmt: skip
