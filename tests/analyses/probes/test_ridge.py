import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from analyses.probes import ridge
from analyses.probes.ridge import relative_penalties

pytestmark = pytest.mark.once

fit_ridge, predict = jax.jit(ridge.fit_ridge), jax.jit(ridge.predict)
RATIOS = 10.0 ** np.linspace(-6, 2, 9)
SHAPES = {"tall": (60, 12), "square": (30, 30), "wide": (25, 40)}


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def planted(num_rows, width, *, noise=0.3, power=0.5, seed=0):
    """Activations with a falling spectrum and an offset; two targets of very different units."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_rows, width)) * (1 + np.arange(width)) ** -power + rng.normal(size=width)
    y = x @ rng.normal(size=(width, 2)) / np.sqrt(width) + noise * rng.normal(size=(num_rows, 2))
    return x, y * np.array([1.0, 50.0]) + np.array([3.0, 1900.0])


def standardised(y):
    return (y - y.mean(axis=0)) / y.std(axis=0)


def penalties(x):
    return RATIOS * np.sum((x - x.mean(axis=0)) ** 2) / x.shape[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_scikit_learns_ridge_cv(shape):
    x, y = planted(*SHAPES[shape])
    fit = fit_ridge(x, y, RATIOS)
    theirs = RidgeCV(alphas=penalties(x), store_cv_results=True).fit(x, standardised(y))
    np.testing.assert_allclose(fit.loo_error, theirs.cv_results_.mean(axis=(0, 1)), rtol=1e-6)
    assert penalties(x)[fit.choice] == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(fit.penalty, theirs.alpha_, rtol=1e-10)
    np.testing.assert_allclose(fit.weights, theirs.coef_.T * y.std(axis=0), rtol=1e-6, atol=1e-9)
    expected = theirs.predict(x) * y.std(axis=0) + y.mean(axis=0)
    np.testing.assert_allclose(predict(fit, x), expected, rtol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_leaving_one_out_is_refitting_without_it(shape):
    num_rows, width = SHAPES[shape]
    x, y = planted(num_rows // 3, width // 3)
    fit = fit_ridge(x, y, RATIOS)
    for row in range(0, len(x), 3):
        rest = np.arange(len(x)) != row
        refit = Ridge(alpha=float(fit.penalty)).fit(x[rest], y[rest])
        np.testing.assert_allclose(fit.loo_predictions[row], refit.predict(x[row : row + 1])[0], rtol=1e-8)
    error = np.mean(((fit.loo_predictions - y) / y.std(axis=0)) ** 2)
    assert float(fit.loo_error[fit.choice]) == pytest.approx(error)
    assert int(fit.choice) == np.argmin(fit.loo_error)


@pytest.mark.parametrize(("num_rows", "width"), [(60, 12), (40, 35), (30, 45)])
def test_rows_outside_the_training_set_have_no_influence(num_rows, width):
    x, y = planted(num_rows, width)
    train = np.arange(num_rows) % 3 != 1  # fewer than the width in the second and third case
    alone = fit_ridge(x[train], y[train], RATIOS)
    others = np.where(train[:, None], x, 1e3 * x + 7), np.where(train[:, None], y, np.nan)
    for fit in (fit_ridge(x, y, RATIOS, train), fit_ridge(*others, RATIOS, train)):
        np.testing.assert_allclose(fit.loo_error, alone.loo_error, rtol=1e-6)
        np.testing.assert_allclose(fit.weights, alone.weights, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(fit.loo_predictions[train], alone.loo_predictions, rtol=1e-8)
    elsewhere = fit_ridge(x, y, RATIOS, train).loo_predictions[~train]
    np.testing.assert_allclose(elsewhere, predict(alone, x[~train]), rtol=1e-8)


def test_rows_that_are_nan_outside_the_training_set_spoil_only_their_own_predictions():
    x, y = planted(30, 8)
    train = np.arange(30) < 20
    fit = fit_ridge(np.where(train[:, None], x, np.nan), y, RATIOS, train)
    np.testing.assert_allclose(fit.weights, fit_ridge(x[:20], y[:20], RATIOS).weights, rtol=1e-9)
    assert np.isfinite(fit.loo_predictions[:20]).all()


@pytest.mark.parametrize("width", [6, 30])
def test_layers_and_splits_are_batched(width):
    layers = np.stack([planted(24, width, seed=seed)[0] for seed in range(3)])
    _, y = planted(24, width)
    splits = np.stack([np.arange(24) % 4 != fold for fold in range(2)])
    over_splits = jax.vmap(fit_ridge, in_axes=(None, None, None, 0))
    batched = jax.jit(jax.vmap(over_splits, in_axes=(0, None, None, None)))(layers, y, RATIOS, splits)
    for layer in range(3):
        for split in range(2):
            one = fit_ridge(layers[layer], y, RATIOS, splits[split])
            for many, single in zip(batched, one):
                np.testing.assert_allclose(many[layer, split], single, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [1e4, 1e-4])
def test_predictions_do_not_depend_on_the_unit_of_the_activations(shape, factor):
    x, y = planted(*SHAPES[shape])
    one, other = fit_ridge(x, y, RATIOS), fit_ridge(factor * x, y, RATIOS)
    np.testing.assert_allclose(other.loo_predictions, one.loo_predictions, rtol=1e-8)
    np.testing.assert_allclose(other.weights, one.weights / factor, rtol=1e-6, atol=1e-9 / factor)
    np.testing.assert_allclose(other.penalty, one.penalty * factor**2, rtol=1e-9)


def test_the_penalty_does_not_depend_on_the_units_of_the_targets():
    x, y = planted(40, 10)
    one, other = fit_ridge(x, y, RATIOS), fit_ridge(x, y * np.array([1e3, -1e-3]) + 5, RATIOS)
    assert int(one.choice) == int(other.choice)
    np.testing.assert_allclose(one.loo_error, other.loo_error, rtol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("value", [0.0, 1.1, 1949.7])
def test_a_constant_target_is_predicted_by_its_constant_and_leaves_the_choice_alone(shape, value):
    x, y = planted(*SHAPES[shape])
    x, y = x.astype(np.float32), y.astype(np.float32)
    fit = fit_ridge(x, np.stack([y[:, 0], np.full(len(x), value, np.float32)], axis=1), RATIOS)
    alone = fit_ridge(x, y[:, :1], RATIOS)
    np.testing.assert_allclose(fit.loo_predictions[:, 1], value, rtol=1e-6)
    np.testing.assert_allclose(predict(fit, 3 * x)[:, 1], value, rtol=1e-6)
    np.testing.assert_allclose(2 * fit.loo_error, alone.loo_error, rtol=5e-3)
    assert int(fit.choice) == int(alone.choice)


def test_activations_that_do_not_vary_predict_the_mean_of_the_other_rows():
    _, y = planted(20, 5)
    for width in (5, 30):
        fit = fit_ridge(np.full((20, width), 2.5), y, RATIOS)
        np.testing.assert_allclose(fit.loo_predictions, (y.sum(axis=0) - y) / 19, rtol=1e-9)
        np.testing.assert_array_equal(fit.weights, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num_train", [1, 2, 11, 12, 13])
def test_interpolation_is_finite_and_is_not_preferred_by_rounding(dtype, num_train):
    """About as many rows as columns and next to no penalty: 1 − h is rounding. Targets are noise: nothing beats 1."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 12)).astype(dtype), rng.normal(size=(20, 2)).astype(dtype)
    fit = fit_ridge(x, y, np.array([1e-13, 1e-9, 1e2], dtype), np.arange(20) < num_train)
    assert all(np.isfinite(leaf).all() for leaf in fit)
    if num_train > 2:
        assert np.all(fit.loo_error > 0.9)


def test_shuffled_targets_are_not_predicted_and_planted_ones_are():
    x, y = planted(400, 20, noise=0.1)
    train = np.arange(400) < 300

    def score(targets):
        fit = fit_ridge(x, targets, RATIOS, train)
        residual = (np.asarray(fit.loo_predictions) - targets)[~train]
        return 1 - np.mean(residual**2, axis=0) / np.var(targets[~train], axis=0)

    assert np.all(score(y) > 0.85)
    assert np.all(np.abs(score(np.random.default_rng(3).permutation(y))) < 0.05)


@pytest.mark.parametrize("shape", [(60, 12), (30, 40)])
def test_a_planted_linear_map_without_noise_is_recovered(shape):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(shape[0], 8)) @ rng.normal(size=(8, shape[1])) if shape[0] < shape[1] else planted(*shape)[0]
    truth = np.linalg.pinv(x - x.mean(axis=0)) @ (x - x.mean(axis=0)) @ rng.normal(size=(shape[1], 2))
    fit = fit_ridge(x, x @ truth + np.array([1.0, -7.0]), RATIOS * 1e-4)
    np.testing.assert_allclose(fit.weights, truth, atol=1e-7)
    np.testing.assert_allclose(fit.intercept, [1.0, -7.0], atol=1e-7)
    assert bool(fit.at_edge)
    assert int(fit.choice) == 0


def test_the_edge_of_the_grid_is_reported_at_both_ends_only():
    x, y = planted(60, 30, noise=1.0)
    best = int(fit_ridge(x, y, RATIOS).choice)
    assert 0 < best < 8
    assert not fit_ridge(x, y, RATIOS).at_edge
    assert fit_ridge(x, y, RATIOS[best:]).at_edge
    assert fit_ridge(x, y, RATIOS[: best + 1]).at_edge


@pytest.mark.parametrize("shape", [(40, 6), (12, 20)])
def test_the_derivative_by_a_target_is_a_finite_difference(shape):
    x, y = planted(*shape)
    ratio, push = np.array([0.1]), np.random.default_rng(5).normal(size=y.shape)

    def out_of_sample(targets):
        return fit_ridge(x, targets, ratio).loo_predictions

    _, slope = jax.jvp(out_of_sample, (jnp.asarray(y),), (jnp.asarray(push),))
    difference = (out_of_sample(y + 1e-5 * push) - out_of_sample(y - 1e-5 * push)) / 2e-5
    np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(out_of_sample(y + push), out_of_sample(y) + slope, rtol=1e-8)  # linear at a fixed λ


@pytest.mark.parametrize("outlier", [1.0, 100.0])
@pytest.mark.parametrize("shape", [(150, 40), (50, 40), (60, 90)])
def test_single_precision_agrees_with_double(shape, outlier):
    """Also with one feature of a hundred times the rest, 1e4 in its eigenvalue, on a steep spectrum."""
    x, y = planted(*shape, power=1.0)
    x, y = ((a - a.mean(axis=0)).astype(np.float32) for a in (x, y))
    x[:, 3] *= outlier
    train = np.arange(shape[0]) % 5 > 0
    double = fit_ridge(np.float64(x), np.float64(y), RATIOS, train)
    with jax.enable_x64(False):
        single = fit_ridge(x, y, np.float32(RATIOS), train)
        assert single.weights.dtype == np.float32
    assert int(single.choice) == int(double.choice)
    np.testing.assert_allclose(
        single.loo_predictions / y.std(axis=0), double.loo_predictions / y.std(axis=0), atol=1e-3
    )
    resolved = RATIOS > 1e-5
    np.testing.assert_allclose(single.loo_error[resolved], double.loo_error[resolved], rtol=5e-3)


def test_the_grid_is_relative_and_logarithmic():
    ratios = np.asarray(relative_penalties(9))
    np.testing.assert_allclose(ratios, RATIOS, rtol=1e-6)
    assert relative_penalties().shape == (25,)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="relative_penalties: got count 0"):
        relative_penalties(0)
    with pytest.raises(ValueError, match="low 2"):
        relative_penalties(3, low=2.0, high=2.0)
    x, y = planted(20, 5)
    with pytest.raises(Exception, match=r"rows of|Type-check"):  # the annotations may see it first
        fit_ridge(x, y[:-1], RATIOS)


def test_a_fit_is_a_linear_map():
    x, y = planted(20, 5)
    fit = fit_ridge(x, y, RATIOS)
    assert isinstance(fit, ridge.LinearMap)
    np.testing.assert_allclose(predict(fit, x[3:4]), x[3:4] @ fit.weights + fit.intercept, rtol=1e-12)
