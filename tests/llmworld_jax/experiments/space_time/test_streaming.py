"""Probing in one stream against all rows held at once and fitted in numpy, with the same inner folds."""

import functools

import numpy as np
import pytest

from llmworld_jax.activations import collect, stream
from llmworld_jax.entities.prompts import EntityPrompts
from llmworld_jax.errors import InputError
from llmworld_jax.experiments.space_time import streaming
from llmworld_jax.experiments.space_time.study import Study

from .conftest import correlations, r_squared, table_of

pytestmark = pytest.mark.slow  # one interpreter is enough

PENALTIES = 9
TOKENS = 60  # a batch: 20 rows of three tokens or 12 of five, the last of each width with a repeat
SHORT, LONG = 39, 35  # names, twice of which come in batches of the same shapes


def silent(_: str) -> None:
    pass


def study_of(times: int = 1, *, last: int | None = None) -> Study:
    """Names whose last token tells their targets, the first better than the second; 19 are test rows."""
    random = np.random.default_rng(7)
    lengths = random.permutation([3] * SHORT * times + [5] * LONG * times)
    tokens = [random.integers(1, 40, n).astype(np.int32) for n in lengths]
    for name in tokens if last is not None else ():
        name[-1] = last
    table = table_of("place", len(tokens), random)
    known = random.normal(size=(40, 2))[[name[-1] for name in tokens]]
    table.targets[:] = 20 * (known + random.normal(size=known.shape) * (0.3, 1.5)) + (60, 10)
    fold = np.where(np.arange(len(tokens)) % (4 * times) == 1, 0, -1)
    prompts = EntityPrompts(tuple(tokens), np.zeros(len(tokens), int), lengths - 1)
    return Study(table, fold, "country", np.zeros(len(tokens), np.int32), ("",), {}, {"empty": prompts})


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(streaming, "stream", functools.partial(stream, tokens=TOKENS))
    monkeypatch.setattr(streaming, "_SAMPLE", 20)


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


def rows_of(model, study) -> np.ndarray:
    """All rows, the embedding first, in float64."""
    prompts = study.prompts["empty"]
    after = collect(model, prompts.tokens, prompts.last, sites=("resid_post",), tokens=TOKENS)["resid_post"]
    embedded = np.asarray(model.embed[...])[[name[-1] for name in prompts.tokens]]
    return np.concatenate((embedded[None], after)).astype(np.float64)


def shuffled(study, seed=0) -> np.ndarray:
    """``[entity, 1]``, on another scale."""
    return 1e3 * study.table.targets[np.random.default_rng(seed).permutation(len(study.fold)), :1]


def swept(model, study, said=silent, **targets):
    """Of two sets, of one column and of two: whichever they are, nothing is compiled again."""
    targets = targets or {"shuffled": shuffled(study), "real": study.table.targets}
    return streaming.stream_sweeps(model, study.prompts["empty"], study, targets, PENALTIES, said, "names")


def ridge(x, y, ratio):
    """Weights and intercept, in the units of y."""
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    gram = (x - x_mean).T @ (x - x_mean)
    weights = np.linalg.solve(gram + ratio * np.trace(gram) / len(gram) * np.eye(len(gram)), (x - x_mean).T @ y)
    return weights, y_mean - x_mean @ weights


def held_at_once(x, y, train):
    """Inner error, ratio, weights of standardised targets, and predictions of one layer."""
    fold, ratios = streaming._inner_folds(train), np.logspace(-6, 2, PENALTIES)
    mean, spread = y[train].mean(axis=0), y[train].std(axis=0)
    z, errors = (y - mean) / spread, np.zeros(PENALTIES)
    for k in range(streaming.INNER_FOLDS):
        for i, ratio in enumerate(ratios):
            weights, intercept = ridge(x[train & (fold != k)], z[train & (fold != k)], ratio)
            errors[i] += np.square(z - intercept - x @ weights)[fold == k].mean(axis=1).sum() / train.sum()
    best = int(np.argmin(errors))
    weights, intercept = ridge(x[train], z[train], ratios[best])
    return errors[best], best, weights, mean + spread * (intercept + x @ weights)


def test_the_stream_finds_what_the_rows_held_at_once_give(model):
    study = study_of()
    test, rows = study.fold == 0, rows_of(model, study)
    sweeps, held, _ = swept(model, study)
    np.testing.assert_allclose(held, rows[:, test], atol=1e-6)
    assert held.dtype == np.float32
    assert list(sweeps) == ["shuffled", "real"]
    for y, sweep in ((shuffled(study), sweeps["shuffled"]), (study.table.targets, sweeps["real"])):
        expected = [held_at_once(x, y, ~test) for x in rows]
        chosen = int(np.argmin([error for error, *_ in expected]))
        assert sweep.chosen.tolist() == [chosen]
        np.testing.assert_allclose(sweep.ratio, np.logspace(-6, 2, PENALTIES)[[expected[chosen][1]]])
        for layer, (error, best, weights, predicted) in enumerate(expected):
            np.testing.assert_allclose(sweep.loo_error[0, layer], error, rtol=1e-6)
            np.testing.assert_allclose(sweep.directions[layer], weights, atol=1e-5 * np.abs(weights).max())
            np.testing.assert_allclose(sweep.predictions[layer, test], predicted[test], atol=1e-5 * y.std())
            np.testing.assert_allclose(sweep.r2[0, layer], r_squared(y[test], predicted[test]), atol=1e-5)
            np.testing.assert_allclose(
                sweep.rho[0, layer], correlations(y[test], sweep.predictions[layer, test]), atol=1e-6
            )
            assert sweep.at_edge[0, layer] == (best in (0, PENALTIES - 1))
        assert np.isnan(sweep.predictions[:, ~test]).all()
        np.testing.assert_array_equal(sweep.final[test], sweep.predictions[chosen, test])
    assert sweeps["real"].r2[0, sweeps["real"].chosen[0], 0] > 0.5, "the planted map must be found"
    assert sweeps["real"].ratio != sweeps["shuffled"].ratio, "each has its own penalty"


def test_sets_of_targets_do_not_touch_each_other(model):
    study = study_of()
    real, test = study.table.targets, study.fold == 0
    flat = np.full((len(real), 1), 0.1)
    expected = swept(model, study)[0]["real"]
    for others in ({"shuffled": shuffled(study, 1), "real": real}, {"real": real, "flat": flat}):
        found = swept(model, study, **others)[0]
        for field, one, other in zip(expected._fields, expected, found["real"]):
            np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6, err_msg=field)
    np.testing.assert_allclose(found["flat"].final[test], 0.1)


def test_targets_of_test_rows_have_no_influence(model):
    study = study_of()
    test, real = study.fold == 0, study.table.targets
    hidden = swept(model, study, shuffled=shuffled(study), real=np.where(test[:, None], np.nan, real))[0]["real"]
    np.testing.assert_array_equal(hidden.predictions, swept(model, study)[0]["real"].predictions)
    assert np.isfinite(hidden.final[test]).all()


def test_names_that_end_alike_are_all_one_in_the_embedding(model):
    """No rounding is taken for knowledge: layer 0 predicts the mean of the training rows."""
    study = study_of(last=5)
    train = study.fold < 0
    sweep = swept(model, study)[0]["real"]
    mean = study.table.targets[train].mean(axis=0)
    np.testing.assert_allclose(sweep.predictions[0, ~train], np.tile(mean, ((~train).sum(), 1)), rtol=1e-6)
    np.testing.assert_array_equal(sweep.directions[0], 0)


def test_twice_the_training_rows_take_no_more_memory_and_no_other_program(model):
    programs = streaming._counted_in, streaming._with_embedding, streaming._probe
    _, rows, facts = swept(model, study_of())
    before = [program._cache_size() for program in programs]
    _, more_rows, more = swept(model, study_of(2))
    assert [program._cache_size() for program in programs] == before
    assert rows.shape == more_rows.shape == (3, 19, 32)
    assert facts.bytes_of_test_rows == more.bytes_of_test_rows == rows.nbytes
    assert facts.bytes_of_sums == more.bytes_of_sums
    matrices = 3 * streaming.INNER_FOLDS * 32 * 32 * 8
    assert matrices < facts.bytes_of_sums < 1.2 * matrices
    assert 2 * facts.tokens == more.tokens == 2 * (3 * SHORT + 5 * LONG)
    assert facts.tokens_per_second == pytest.approx(facts.tokens / facts.seconds)


def test_progress_is_told_in_names(model):
    said: list[str] = []
    swept(model, study_of(), said.append)
    assert said[-1] == "names: 74 of 74 names read"
    assert 1 < len(said) <= 10


def test_only_one_split_with_rows_on_both_sides(model):
    study = study_of()
    index = np.arange(len(study.fold))
    for fold in (index % 2, np.full(len(index), -1), np.where(index < 9, -1, 0)):
        with pytest.raises(InputError, match="one test part and 10 training rows or more"):
            swept(model, study._replace(fold=fold))
