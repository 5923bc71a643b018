"""Every control scores what it must on rows that hold nothing, the group only, or everything."""

import numpy as np
import pytest
from scipy import stats

from llmworld_jax.experiments.space_time import controls, curves, holdouts, neuron_study, scoring
from llmworld_jax.experiments.space_time.controls import Candidate
from llmworld_jax.experiments.space_time.results import Control
from llmworld_jax.experiments.space_time.study import Study, coded
from llmworld_jax.experiments.space_time.sweep import layer_sweep

from .conftest import table_of

pytestmark = pytest.mark.slow  # one interpreter is enough

PENALTIES = 9


def study_of(kind: str = "place", entities: int = 240, folds: int = 3) -> Study:
    random = np.random.default_rng(2)
    table = table_of(kind, entities, random)
    group = next(iter(table.groups))
    codes, labels = coded(table.groups[group])
    fold = random.permutation(np.arange(entities) % folds)
    return Study(table, fold, group, codes, labels, {}, {})


def rows_of(study: Study, noise: float = 0.3, width: int = 12) -> np.ndarray:
    """Two layers: noise alone, and the standardised targets turned into ``width`` channels with noise."""
    random = np.random.default_rng(5)
    y = study.table.targets
    signal = (y - y.mean(axis=0)) / y.std(axis=0) @ random.normal(size=(y.shape[1], width))
    return np.stack((random.normal(size=signal.shape), signal + noise * random.normal(size=signal.shape))).astype("f4")


@pytest.fixture(scope="module")
def probed(compiled_as_in_tests):
    with compiled_as_in_tests():
        study = study_of()
        rows = rows_of(study)
        return study, rows, layer_sweep(rows, study, PENALTIES)


def r2(study: Study, predicted: np.ndarray, true: np.ndarray | None = None) -> float:
    true = study.table.targets if true is None else true
    return float(np.mean(1 - ((true - predicted) ** 2).sum(axis=0) / ((true - true.mean(axis=0)) ** 2).sum(axis=0)))


def test_the_layer_that_knows_is_chosen_on_training_rows(probed):
    study, _, sweep = probed
    assert sweep.chosen.tolist() == [1] * study.num_folds
    assert sweep.r2[:, 1].min() > 0.8
    assert r2(study, sweep.final) > 0.8
    assert sweep.r2[:, 0].max() < 0.1


def test_test_rows_do_not_teach(probed):
    """Predictions of a fold's test rows stay when these rows' own targets become something else."""
    study, rows, sweep = probed
    changed = study.table.targets.copy()
    changed[study.fold == 0] = 77.0
    again = layer_sweep(rows, study, PENALTIES, changed)
    at = study.fold == 0
    np.testing.assert_allclose(again.predictions[:, at], sweep.predictions[:, at], rtol=1e-9, atol=1e-7)


def test_targets_of_others_cannot_be_read(probed):
    study, rows, sweep = probed
    targets = controls.shuffled_targets(study, 0)
    assert sorted(map(tuple, targets)) == sorted(map(tuple, study.table.targets))
    predicted = controls.at_chosen_layers(rows, sweep, study, PENALTIES, targets)
    assert r2(study, predicted, targets) < 0.1


def test_the_control_task_moves_whole_groups(probed):
    study, rows, sweep = probed
    targets = controls.task_targets(study, 0)
    for label in range(len(study.labels)):
        members = study.codes == label
        moved = (targets - study.table.targets)[members]
        np.testing.assert_allclose(moved - moved[0], 0, atol=1e-9)
    predicted = controls.at_chosen_layers(rows, sweep, study, PENALTIES, targets)
    assert r2(study, predicted, targets) < r2(study, sweep.final)


def test_the_groups_mean_is_that_of_training_rows(probed):
    study, _, _ = probed
    said = controls.group_oracle(study)
    some = int(np.flatnonzero(study.fold == 1)[0])
    train = (study.codes == study.codes[some]) & (study.fold != 1)
    np.testing.assert_allclose(said[some], study.table.targets[train].mean(axis=0))


def test_activations_that_hold_the_group_alone_hold_nothing_without_it(probed):
    study, rows, _ = probed
    label = np.eye(len(study.labels), 12, dtype=np.float32)[study.codes]
    only = np.stack((0 * rows[0], label + 1e-3 * rows[0]))  # without noise rounding would tell the groups apart
    only_sweep = layer_sweep(only, study, PENALTIES)
    assert r2(study, only_sweep.final) > 0.5
    assert r2(study, controls.without_groups(only, only_sweep, study, PENALTIES)) < 0.05
    inside = rows_of(study, noise=0.001)
    inside_sweep = layer_sweep(inside, study, PENALTIES)
    said = controls.without_groups(inside, inside_sweep, study, PENALTIES)
    centre = np.stack([study.table.targets[study.codes == code].mean(axis=0) for code in study.codes])
    off = study.table.targets - centre
    assert min(np.corrcoef(off[:, k], said[:, k])[0, 1] for k in (0, 1)) > 0.3, "what is inside groups stays"


def test_places_read_through_the_sphere_are_places(probed):
    study, rows, sweep = probed
    predicted = controls.sphere_predictions(rows, sweep, study, PENALTIES)
    assert np.abs(predicted[:, 0]).max() <= 180
    assert np.abs(predicted[:, 1]).max() <= 90
    assert r2(study, predicted) > 0.6


def test_no_gain_over_oneself_and_all_over_nothing(probed):
    study, _, sweep = probed
    mean = np.broadcast_to(study.table.targets.mean(axis=0), sweep.final.shape)
    same = Candidate("again", "control", "", sweep.final)
    nothing = Candidate("mean", "control", "", mean + 1e-9 * np.arange(len(mean))[:, None])
    unknown = Candidate("none", "control", "", None, missing="no file")
    own, again, flat, none = controls.control_rows(study, sweep.final, (same, nothing, unknown), 0)
    assert own.role == "model"
    assert (again.gain, again.gain_low, again.gain_high) == (0, 0, 0)
    np.testing.assert_allclose(flat.gain, own.scores.r2.mean(), atol=0.05)
    assert flat.gain_low < flat.gain < flat.gain_high
    assert none.missing == "no file"
    assert np.isnan(none.scores.r2).all()


@pytest.mark.parametrize(
    ("gains", "good", "begins"),
    [
        ({"n-grams": (0.2, 0.1, 0.3), "twin": (0.4, 0.3, 0.5)}, True, "Beats every control: by 0.20 [0.10, 0.30]"),
        ({"n-grams": (0.02, -0.1, 0.1), "twin": (0.4, 0.3, 0.5)}, False, "No better than n-grams: "),
        ({"n-grams": (-0.2, -0.3, -0.1), "twin": (0.4, 0.3, 0.5)}, False, "Below n-grams: "),
        ({"n-grams": None, "twin": (0.4, 0.3, 0.5)}, False, "Beats every control that was computed: "),
    ],
)
def test_the_verdict_is_what_the_intervals_say(probed, gains, good, begins):
    nan = float("nan")
    rows = [
        Control(name, "control", "", None, *(g or (nan, nan, nan)), missing="" if g else "not installed")  # type: ignore[arg-type]
        for name, g in gains.items()
    ]
    text, said = controls.verdict(tuple(rows))
    assert said is good
    assert text.startswith(begins)


def test_scores_inside_groups_are_those_of_their_rows(probed):
    study, _, sweep = probed
    found = controls.by_group(study, sweep.final)
    assert [count for _, count, _ in found] == sorted((c for _, c, _ in found), reverse=True)
    name, count, scores = found[0]
    members = study.codes == study.labels.index(name)
    assert count == members.sum()
    true, said = study.table.targets[members], sweep.final[members]
    expected = np.mean(1 - ((true - said) ** 2).sum(axis=0) / ((true - true.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(scores.r2, [expected], rtol=1e-6)


def test_a_left_out_group_is_predicted_by_a_fit_without_it(probed):
    """Against the normal equations of the other rows, at the same relative penalty."""
    study, rows, sweep = probed
    held = holdouts.hold_out(rows, sweep, study, study.group)
    blocks = holdouts.blocks_of(study, sweep, study.group, held)
    assert {block.name for block in blocks} == set(study.labels)
    block, ratio = blocks[0], float(np.median(sweep.ratio))
    others = study.table.groups[study.group] != block.name
    x, y = rows[held.layer].astype(np.float64), study.table.targets
    xc, yc = x[others] - x[others].mean(axis=0), y[others] - y[others].mean(axis=0)
    gram = xc.T @ xc
    weights = np.linalg.solve(gram + ratio * np.trace(gram) / len(gram) * np.eye(len(gram)), xc.T @ yc)
    expected = (x[block.rows] - x[others].mean(axis=0)) @ weights + y[others].mean(axis=0)
    np.testing.assert_allclose(block.held_out, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(block.training_mean, y[others].mean(axis=0))
    assert block.held_out_error >= 0
    assert 0 <= block.nominal_proximity <= 1


def test_displacements():
    assert holdouts.displacement(np.array([2.0, 0]), np.array([1.0, 0])) == (1.0, 0.5)
    assert holdouts.displacement(np.array([2.0, 0]), np.array([0.0, 3])) == (0.0, 0.0)
    assert np.isnan(holdouts.displacement(np.zeros(2), np.ones(2))[0])


def test_curves_end_at_the_whole_probe(probed):
    study, rows, sweep = probed
    pca, pls, fewer = curves.curves(rows, sweep, study, PENALTIES, 0)
    assert (pca.name, pls.name, fewer.name) == ("PCA", "PLS", "training rows")
    assert fewer.size[-1] == study.train().sum(axis=1).min()
    whole = sweep.r2[:, 1].mean(axis=1)
    np.testing.assert_allclose(fewer.r2[:, -1], whole, rtol=1e-6, err_msg="all rows")
    assert fewer.r2[:, 0].mean() <= fewer.r2[:, -1].mean() + 0.01
    np.testing.assert_allclose(pca.r2.mean(axis=0), whole.mean(), atol=0.02, err_msg="two directions hold the signal")
    assert pls.r2[:, 0].mean() < pls.r2[:, 1].mean() - 0.1, "one does not"
    np.testing.assert_allclose(pls.r2[:, 1:].mean(axis=0), whole.mean(), atol=0.02)


def test_a_planted_neuron_is_found_and_holds_on_other_rows(compiled_as_in_tests):
    study, random = study_of("time"), np.random.default_rng(0)
    rows = random.normal(size=(3, len(study.table), 20)).astype(np.float32)
    ranks = np.argsort(np.argsort(study.table.targets[:, 0]))
    rows[2, :, 7] = -(ranks / len(ranks)) + 0.1 * random.normal(size=len(ranks))
    rows[0, :, 3] = 4.0  # orders nothing
    found = neuron_study.neuron_study(rows, study, 0)
    assert found.top[0, 0].tolist() == [2, 7]
    assert found.rho[2, 7, 0] < -0.85
    assert found.rho[0, 3, 0] == 0
    assert (found.selected[:, 0] == (2, 7)).all()
    assert (found.validated[:, 0] > 0.8).all(), "positive: the sign is that of the training rows"
    others = np.delete(np.abs(found.rho[..., 0]).ravel(), 2 * 20 + 7)
    assert (others < found.band[0] * 1.3).all()
    assert 0.1 < found.band[0] < 0.4, "the best of sixty by chance among 240"
    assert (found.random[:, 0] < 0.2).all()
    np.testing.assert_array_equal(found.top_activation[0], rows[2, :, 7])


def test_neurons_are_scored_as_by_scipy_fold_by_fold():
    """Also where many entities share an activation, or all training rows of a fold do."""
    study, random = study_of("time", entities=90), np.random.default_rng(3)
    rows = random.normal(size=(2, 90, 6)).astype(np.float32)
    rows[0, :, 1] = rows[0, :, 1].round()
    rows[1, :, 2] = np.where(study.fold == 0, rows[1, :, 2], 5.0)
    ranks = neuron_study.average_ranks(rows[0].T)
    np.testing.assert_array_equal(ranks, stats.rankdata(rows[0].T, axis=1))
    found = neuron_study.neuron_study(rows, study, 0)
    y = study.table.targets[:, 0]
    for block, neuron in ((0, 0), (0, 1), (1, 5)):
        expected = stats.spearmanr(rows[block, :, neuron], y).statistic
        np.testing.assert_allclose(found.rho[block, neuron, 0], expected, atol=1e-6)
    given = neuron_study._Ranks(*(np.asarray(part, np.float32) for part in _ranked(study)))
    of_train = np.asarray(neuron_study._scan(neuron_study._centred(neuron_study.average_ranks(rows[1].T)), given)[2])
    whole = stats.rankdata(rows[1], axis=0)
    for k, train in enumerate(study.train()):
        expected = stats.pearsonr(whole[train, 5], stats.rankdata(y)[train]).statistic
        np.testing.assert_allclose(of_train[k, 5, 0], expected, atol=1e-5, err_msg="global ranks, training rows")
    assert of_train[0, 2, 0] == 0, "constant on the training rows"
    for k, test in enumerate(study.test()):
        block, neuron = found.selected[k, 0]
        expected = stats.spearmanr(rows[block, test, neuron], y[test]).statistic
        np.testing.assert_allclose(abs(found.validated[k, 0]), abs(expected), atol=1e-6)


def _ranked(study):
    ranked = neuron_study._centred(neuron_study.average_ranks(study.table.targets.T)).T
    return ranked, ranked, study.train()


def test_the_bootstrap_counts_rows_as_drawing_them_would():
    study, random = study_of(), np.random.default_rng(4)
    y, test = study.table.targets, study.test()
    model, other = y + random.normal(size=y.shape), y + 20 * random.normal(size=y.shape)
    gain, low, high = scoring.bootstrap_gain(y, model, other, test, repeats=400, seed=7)
    folds = [np.flatnonzero(rows) for rows in test]
    expected = np.mean([r2_of(y, model, at) - r2_of(y, other, at) for at in folds])
    assert gain == pytest.approx(expected, abs=1e-12)
    drawn_by = np.random.default_rng(7)
    drawn = [at[drawn_by.integers(0, len(at), (400, len(at)))] for at in folds]
    each = [[r2_of(y, model, at) - r2_of(y, other, at) for at in resamples] for resamples in drawn]
    np.testing.assert_allclose((low, high), np.quantile(np.mean(each, axis=0), (0.025, 0.975)), rtol=1e-9)


def r2_of(y: np.ndarray, said: np.ndarray, at: np.ndarray) -> float:
    true = y[at]
    return float(np.mean(1 - ((true - said[at]) ** 2).sum(axis=0) / ((true - true.mean(axis=0)) ** 2).sum(axis=0)))


def test_a_sweep_is_the_masked_fit_of_every_layer(probed):
    """Only the training rows are handed over; folds of different sizes are filled up, which must not count."""
    import jax
    import jax.numpy as jnp

    from analyses.probes import fit_ridge, relative_penalties

    study, rows, _ = probed
    uneven = study._replace(fold=np.where(np.arange(len(study.fold)) < 13, 0, study.fold))
    sweep = layer_sweep(rows, uneven, PENALTIES)
    with jax.enable_x64(True):
        x, y, ratios = (
            jnp.asarray(rows[1], jnp.float64),
            jnp.asarray(study.table.targets),
            relative_penalties(PENALTIES),
        )
        for k, train in enumerate(uneven.train()):
            fit = fit_ridge(x, y, ratios, jnp.asarray(train))
            np.testing.assert_allclose(sweep.predictions[1, ~train], fit.loo_predictions[~train], rtol=1e-9)
            assert sweep.loo_error[k, 1] == pytest.approx(float(fit.loo_error[fit.choice]), rel=1e-9)
        whole = fit_ridge(x, y, ratios)
        np.testing.assert_allclose(sweep.directions[1], whole.weights / jnp.std(y, axis=0), rtol=1e-9)
