import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from analyses.probes import ridge, sums

pytestmark = pytest.mark.once

RATIOS = 10.0 ** np.linspace(-6, 2, 9)
row_sums, error_from_sums = jax.jit(sums.row_sums), jax.jit(sums.error_from_sums)
grouped_row_sums = jax.jit(sums.grouped_row_sums, static_argnums=3)
fit_from_sums, path_from_sums = jax.jit(sums.fit_from_sums), jax.jit(sums.path_from_sums)
fold_choice, holdout_fits = jax.jit(sums.fold_choice), jax.jit(sums.holdout_fits)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def planted(num_rows=60, width=8, *, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_rows, width)) / (1 + np.arange(width)) + 3 * rng.normal(size=width)
    y = x @ rng.normal(size=(width, 2)) + noise * rng.normal(size=(num_rows, 2))
    return x, y * np.array([1.0, 50.0]) + np.array([3.0, 1900.0])


def centres(x, y):
    """Near the means and not the means: every formula has to hold about any point."""
    return x[:5].mean(axis=0), y[:5].mean(axis=0)


def groups(num_rows, num_groups=6, seed=3):
    return np.random.default_rng(seed).integers(0, num_groups, num_rows).astype(np.int32)


def explicit(x, y, ratio):
    penalty = ratio * np.sum((x - x.mean(axis=0)) ** 2) / x.shape[1]
    return Ridge(alpha=penalty, solver="cholesky").fit(x, y), penalty


def at_index(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def assert_same(ours, theirs, **tolerance):
    for name, one, other in zip(theirs._fields, ours, theirs):
        np.testing.assert_allclose(one, other, err_msg=name, **({"rtol": 1e-9, "atol": 1e-9} | tolerance))


@pytest.mark.parametrize("shape", [(60, 8), (9, 20)])
@pytest.mark.parametrize("ratio", [1e-6, 1e-2, 10.0])
def test_the_fit_of_sums_is_the_fit_of_their_rows(shape, ratio):
    x, y = planted(*shape)
    theirs, penalty = explicit(x, y, ratio)
    one = fit_from_sums(row_sums(x, y, None, *centres(x, y)), ratio)
    np.testing.assert_allclose(one.penalty, penalty, rtol=1e-10)
    np.testing.assert_allclose(one.weights, theirs.coef_.T, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(one.intercept, theirs.intercept_, rtol=1e-7)


@pytest.mark.parametrize("shape", [(60, 8), (9, 20)])
def test_a_path_is_its_fits_one_by_one(shape):
    x, y = planted(*shape)
    all_rows = row_sums(x, y, None, *centres(x, y))
    path = path_from_sums(all_rows, RATIOS)
    for index, ratio in enumerate(RATIOS):
        assert_same(at_index(path, index), fit_from_sums(all_rows, ratio), rtol=1e-6, atol=1e-7)


def test_the_ridge_with_one_penalty_is_that_of_the_sums():
    x, y = planted()
    fit = jax.jit(ridge.fit_ridge)(x, y, np.array([0.03]))
    of_sums = fit_from_sums(row_sums(x, y, None, *centres(x, y)), 0.03)
    np.testing.assert_allclose(fit.weights, of_sums.weights, rtol=1e-9)
    np.testing.assert_allclose(jax.jit(ridge.predict)(of_sums, x), jax.jit(ridge.predict)(fit, x), rtol=1e-10)


def test_sums_of_batches_add_and_a_block_is_taken_away_again():
    x, y = planted()
    at = centres(x, y)
    first, rest = row_sums(x[:25], y[:25], None, *at), row_sums(x[25:], y[25:], None, *at)
    everything = row_sums(x, y, None, *at)
    assert_same(sums.add(first, rest), everything)
    assert_same(sums.subtract(everything, first), rest)
    assert_same(sums.total(jax.tree.map(lambda *leaves: jnp.stack(leaves), first, rest)), everything)
    assert_same(fit_from_sums(sums.subtract(everything, first), 0.1), fit_from_sums(rest, 0.1))


def test_a_weight_counts_a_row_as_often_and_nothing_leaves_it_out():
    x, y = planted(20)
    at = centres(x, y)
    times = np.arange(20) % 3
    repeated = row_sums(np.repeat(x, times, axis=0), np.repeat(y, times, axis=0), None, *at)
    spoilt = np.where(times[:, None] > 0, x, np.nan)
    assert_same(row_sums(spoilt, y, times.astype(float), *at), repeated)
    assert_same(row_sums(spoilt, y, times > 0, *at), row_sums(x[times > 0], y[times > 0], None, *at))


@pytest.mark.parametrize("num_rows", [1, 31, 200])
def test_groups_are_summed_as_if_each_stood_alone(num_rows):
    """Groups shorter and longer than a chunk of rows, an empty one, and rows that belong to none."""
    x, y = planted(num_rows)
    at = centres(x, y)
    group = np.where(np.arange(num_rows) % 7 == 3, -1, np.minimum(groups(num_rows, 9), 4))
    group = np.where(group == 2, 9, group).astype(np.int32)
    found = grouped_row_sums(x, y, group, 5, *at)
    for label in range(5):
        alone = row_sums(x, y, group == label, *at)
        assert_same(at_index(found, label), alone)
    assert float(found.count[2]) == 0
    assert float(jnp.sum(found.count)) == np.sum((group >= 0) & (group < 5))


def test_layers_are_batched():
    layers = np.stack([planted(seed=seed)[0] for seed in range(2)])
    _, y = planted()
    group, at_y = groups(60), np.array([3.0, 1900.0])
    many = jax.vmap(lambda x, c: sums.grouped_row_sums(x, y_, group_, 6, c, at_))
    y_, group_, at_ = jnp.asarray(y), jnp.asarray(group), jnp.asarray(at_y)
    fits = jax.jit(lambda x, c: jax.vmap(lambda s: sums.holdout_fits(s, jnp.asarray(0.1)))(many(x, c)))
    batched = fits(layers, layers.mean(axis=1))
    for layer in range(2):
        one = holdout_fits(grouped_row_sums(layers[layer], y, group, 6, layers[layer].mean(axis=0), at_y), 0.1)
        assert_same(at_index(batched, layer), one)


def test_the_error_of_sums_is_the_error_on_their_rows():
    x, y = planted()
    weights, intercept = np.random.default_rng(1).normal(size=(8, 2)), np.array([-1.0, 1800.0])
    for rows in (slice(0, 60), slice(40, 60)):
        expected = np.mean((y[rows] - x[rows] @ weights - intercept) ** 2, axis=0)
        found = error_from_sums(weights, intercept, row_sums(x[rows], y[rows], None, *centres(x, y)))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert np.isnan(error_from_sums(weights, intercept, row_sums(x, y, np.zeros(60), *centres(x, y)))).all()


def test_a_hold_out_is_a_fit_without_its_rows():
    x, y = planted()
    group = groups(60)
    fits = holdout_fits(grouped_row_sums(x, y, group, 6, *centres(x, y)), 0.05)
    for label in range(6):
        theirs, penalty = explicit(x[group != label], y[group != label], 0.05)
        np.testing.assert_allclose(fits.penalty[label], penalty, rtol=1e-9)
        np.testing.assert_allclose(fits.weights[label], theirs.coef_.T, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(fits.intercept[label], theirs.intercept_, rtol=1e-8)


@pytest.mark.parametrize("shape", [(60, 8), (24, 30)])
def test_the_choice_of_folds_is_that_of_refitting(shape):
    x, y = planted(*shape, noise=2.0)
    fold = groups(shape[0], 4)
    fit = fold_choice(grouped_row_sums(x, y, fold, 4, *centres(x, y)), RATIOS)
    squares = np.zeros(len(RATIOS))
    for index, ratio in enumerate(RATIOS):
        for label in range(4):
            theirs, _ = explicit(x[fold != label], y[fold != label], ratio)
            residual = (y[fold == label] - theirs.predict(x[fold == label])) / y.std(axis=0)
            squares[index] += np.sum(residual**2)
    np.testing.assert_allclose(fit.fold_error, squares / y.size, rtol=1e-6)
    assert int(fit.choice) == np.argmin(squares)
    assert bool(fit.at_edge) == (int(fit.choice) in (0, len(RATIOS) - 1))
    best, penalty = explicit(x, y, RATIOS[fit.choice])
    np.testing.assert_allclose(fit.weights, best.coef_.T, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.intercept, best.intercept_, rtol=1e-8)
    np.testing.assert_allclose(fit.penalty, penalty, rtol=1e-10)


def test_folds_of_one_row_are_leaving_one_out():
    """Except that each λ is relative to the rows that are left: with λ the same the errors are those of fit_ridge."""
    x, y = planted(12, 4)
    fold = np.arange(12, dtype=np.int32)
    ours = fold_choice(grouped_row_sums(x, y, fold, 12, *centres(x, y)), np.array([1e-9]))
    exact = jax.jit(ridge.fit_ridge)(x, y, np.array([1e-9]))
    np.testing.assert_allclose(ours.fold_error, exact.loo_error, rtol=1e-5)


@pytest.mark.parametrize(("value", "dtype"), [(1949.7, np.float32), (1.1, np.float64)])
def test_a_constant_target_has_no_say_in_the_choice(value, dtype):
    x, y = planted()
    x, varying, ratios = x.astype(dtype), y[:, 0].astype(dtype), RATIOS.astype(dtype)

    def chosen(other):
        targets = np.stack([varying, other], axis=1)
        at = x.mean(axis=0), targets[:5].mean(axis=0) + np.array([0, 0.3], dtype)
        return fold_choice(grouped_row_sums(x, targets, groups(60, 4), 4, *at), ratios)

    one, two = chosen(varying), chosen(np.full(60, value, dtype))
    assert int(two.choice) == int(one.choice)
    np.testing.assert_allclose(2 * two.fold_error, one.fold_error, rtol=1e-3)
    np.testing.assert_allclose(two.intercept[1] + x @ two.weights[:, 1], value, rtol=1e-4)


def test_shuffled_targets_are_not_predicted():
    x, y = planted(400)
    shuffled = np.random.default_rng(2).permutation(y)
    fit = fold_choice(grouped_row_sums(x, shuffled, groups(400, 5), 5, *centres(x, y)), RATIOS)
    assert 0.95 < float(jnp.min(fit.fold_error)) < 1.1


@pytest.mark.parametrize("outlier", [1.0, 1e3])
def test_single_precision_keeps_small_features_beside_an_outlying_one(outlier):
    x, y = planted(150, 40, noise=0.2)
    x, y = ((a - a.mean(axis=0)).astype(np.float32) for a in (x, y))
    x[:, 3] *= outlier
    at = np.zeros(40, np.float32), np.zeros(2, np.float32)
    ratios = RATIOS[2:]
    double = path_from_sums(row_sums(np.float64(x), np.float64(y), None, *at), ratios)
    with jax.enable_x64(False):
        of_rows = row_sums(x, y, None, *at)
        path = path_from_sums(of_rows, np.float32(ratios))
        one = fit_from_sums(of_rows, np.float32(ratios[0]))
        assert path.weights.dtype == one.weights.dtype == np.float32
    spread = y.std(axis=0)
    for index in range(len(ratios)):
        np.testing.assert_allclose(x @ path.weights[index] / spread, x @ double.weights[index] / spread, atol=2e-3)
    np.testing.assert_allclose(x @ one.weights / spread, x @ double.weights[0] / spread, atol=1e-3)


@pytest.mark.parametrize("rank", [1, 12])
def test_singular_sums_have_a_finite_fit_in_single_precision(rank):
    """Rows of low rank, a constant feature and one that is 0: the Cholesky factor may not exist."""
    rng = np.random.default_rng(6)
    x = (rng.normal(size=(12, rank)) @ rng.normal(size=(rank, 120)) + 1).astype(np.float32)
    x[:, 0], x[:, 1] = 3.3, 0
    y = rng.normal(size=(12, 1)).astype(np.float32)
    with jax.enable_x64(False):
        of_rows = row_sums(x, y, None, x.mean(axis=0) / 2, y.mean(axis=0))
        one, path = fit_from_sums(of_rows, np.float32(1e-8)), path_from_sums(of_rows, np.float32(RATIOS))
        assert np.isnan(np.linalg.norm(jnp.linalg.cholesky(of_rows.xx - jnp.outer(of_rows.x, of_rows.x) / 12)))
    assert np.isfinite(one.weights).all()
    assert np.isfinite(path.weights).all()
    assert np.mean((y - x @ path.weights[4] - path.intercept[4]) ** 2) <= np.var(y)


def test_no_rows_have_no_fit():
    x, y = planted()
    nobody = row_sums(x, y, np.zeros(60), *centres(x, y))
    assert np.isnan(fit_from_sums(nobody, 0.1).intercept).all()
