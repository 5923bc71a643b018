import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA

from analyses.probes import components, ridge

RATIOS = 10.0 ** np.linspace(-6, 2, 9)
pca_curve = jax.jit(components.pca_curve, static_argnames="counts")
pls_curve = jax.jit(components.pls_curve, static_argnames="counts")
explained_variance, fit_ridge = jax.jit(components.explained_variance), jax.jit(ridge.fit_ridge)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def planted(num_rows, width, *, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    x = (rng.normal(size=(num_rows, width)) / np.sqrt(1 + np.arange(width))) @ turn + rng.normal(size=width)
    y = x @ rng.normal(size=(width, 2)) + noise * rng.normal(size=(num_rows, 2))
    return x, y * np.array([1.0, 50.0]) + np.array([3.0, 1900.0])


def mostly(num_rows):
    return np.arange(num_rows) % 4 != 2


@pytest.mark.parametrize("shape", [(50, 10), (16, 24)])
def test_k_components_are_a_ridge_on_the_scores_of_scikit_learns_pca(shape):
    x, y = planted(*shape)
    train = mostly(shape[0])
    counts = (1, 3, 8)
    curve = pca_curve(x, y, RATIOS, train, counts)
    pca = PCA(n_components=8, svd_solver="full").fit(x[train])
    for index, count in enumerate(counts):
        fit = fit_ridge(pca.transform(x)[:, :count], y, RATIOS, train)
        np.testing.assert_allclose(curve.predictions[index], fit.loo_predictions, rtol=1e-8)
        np.testing.assert_allclose(curve.loo_error[index], fit.loo_error[fit.choice], rtol=1e-8)
        assert int(curve.choice[index]) == int(fit.choice)


@pytest.mark.parametrize("shape", [(50, 10), (16, 24)])
def test_all_components_are_the_full_ridge(shape):
    x, y = planted(*shape)
    train = mostly(shape[0])
    curve, fit = pca_curve(x, y, RATIOS, train, (shape[1],)), fit_ridge(x, y, RATIOS, train)
    np.testing.assert_allclose(curve.predictions[0], fit.loo_predictions, rtol=1e-10)
    assert int(curve.choice[0]) == int(fit.choice)


def test_targets_along_three_strong_directions_need_three_components():
    rng = np.random.default_rng(1)
    latent = rng.normal(size=(200, 3))
    x = 5 * latent @ np.linalg.qr(rng.normal(size=(20, 3)))[0].T + 0.1 * rng.normal(size=(200, 20))
    y = latent @ rng.normal(size=(3, 2))
    error = pca_curve(x, y, RATIOS, None, (1, 2, 3, 10)).loo_error
    assert error[0] > 0.1
    assert error[1] > 0.05
    assert error[2] < 2e-3
    assert error[3] < 2e-3


CURVES = {
    "pca": lambda x, y, train: pca_curve(x, y, RATIOS, train, (2, 5)).predictions,
    "pls": lambda x, y, train: pls_curve(x, y, train, (2, 5)).predictions,
}


@pytest.mark.parametrize("shape", [(40, 10), (16, 24)])
@pytest.mark.parametrize("name", CURVES)
def test_rows_outside_the_training_set_have_no_influence(name, shape):
    x, y = planted(*shape)
    curve, train = CURVES[name], mostly(shape[0])
    one = curve(x, y, train)
    other = curve(np.where(train[:, None], x, 40 * x - 3), np.where(train[:, None], y, np.nan), train)
    np.testing.assert_allclose(one[:, train], other[:, train], rtol=1e-9)
    np.testing.assert_allclose(one[:, train], curve(x[train], y[train], None), rtol=1e-7)
    assert np.isfinite(other).all()


@pytest.mark.parametrize("shape", [(50, 10), (20, 30)])
@pytest.mark.parametrize("num_targets", [1, 2])
def test_it_is_scikit_learns_partial_least_squares(shape, num_targets):
    x, y = planted(*shape)
    y, train, counts = y[:, :num_targets], mostly(shape[0]), (1, 2, 4, 8)
    mean, spread = y[train].mean(axis=0), y[train].std(axis=0)
    curve = pls_curve(x, y, train, counts)
    for index, count in enumerate(counts):
        theirs = PLSRegression(count, scale=False, tol=1e-15, max_iter=20_000).fit(x[train], (y[train] - mean) / spread)
        expected = theirs.predict(x).reshape(y.shape) * spread + mean
        np.testing.assert_allclose(curve.predictions[index] / spread, expected / spread, rtol=1e-6, atol=1e-6)
        affine = x @ curve.weights[index] + curve.intercept[index]
        np.testing.assert_allclose(affine, curve.predictions[index], rtol=1e-9)


def test_all_latent_directions_are_least_squares():
    x, y = planted(60, 7)
    design = np.column_stack([x, np.ones(60)])
    expected = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(pls_curve(x, y, None, (7,)).predictions[0], expected, rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_after_the_last_add_nothing(dtype):
    """Five directions in the activations, or as many as training rows less one: more of them change nothing."""
    rng = np.random.default_rng(2)
    low_rank = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 12))
    for x, rank in ((low_rank, 5), (rng.normal(size=(9, 12)), 8)):
        y = rng.normal(size=(len(x), 2)).astype(dtype)
        curve = pls_curve(x.astype(dtype), y, None, (rank, rank + 1, 12))
        for extra in (1, 2):
            tolerance = 1e-8 if dtype == np.float64 else 1e-2
            np.testing.assert_allclose(curve.predictions[extra], curve.predictions[0], atol=tolerance)


def test_two_targets_along_weak_directions_need_two_latent_directions():
    """Partial least squares looks for the targets; principal components come in the order of the activations."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 12)) * np.concatenate([np.full(10, 1.5), np.ones(2)])
    y = x[:, 10:]
    latent = np.asarray(pls_curve(x, y, None, (2,)).predictions[0])
    principal = np.asarray(pca_curve(x, y, RATIOS, None, (2,)).predictions[0])
    assert np.mean((latent - y) ** 2) < 0.2
    assert np.mean((principal - y) ** 2) > 0.8


def test_a_constant_target_and_constant_activations_are_finite():
    x, y = planted(20, 6)
    y[:, 1] = 1.1
    for activations in (x, np.full_like(x, 2.5)):
        for curve in (pls_curve(activations, y, None, (1, 3)), pca_curve(activations, y, RATIOS, None, (1, 3))):
            assert all(np.isfinite(leaf).all() for leaf in curve)
            np.testing.assert_allclose(curve.predictions[..., 1], 1.1, rtol=1e-9)


@pytest.mark.parametrize("shape", [(50, 10), (12, 20)])
def test_explained_variance_is_that_of_scikit_learn(shape):
    x, _ = planted(*shape)
    train = mostly(shape[0])
    theirs = PCA(svd_solver="full").fit(x[train]).explained_variance_ratio_
    expected = np.zeros(shape[1])
    expected[: len(theirs)] = theirs
    np.testing.assert_allclose(explained_variance(x, train), expected, atol=1e-12)


def test_layers_are_batched():
    layers = np.stack([planted(20, 6, seed=seed)[0] for seed in range(2)])
    _, y = planted(20, 6)
    ratios = jnp.asarray(RATIOS)
    ridge_curves = jax.jit(jax.vmap(lambda x, y: components.pca_curve(x, y, ratios, None, (2, 6)), (0, None)))
    latent_curves = jax.jit(jax.vmap(lambda x, y: components.pls_curve(x, y, None, (2, 4)), (0, None)))
    for layer in range(2):
        one = pca_curve(layers[layer], y, RATIOS, None, (2, 6)), pls_curve(layers[layer], y, None, (2, 4))
        for many, single in zip((ridge_curves(layers, y), latent_curves(layers, y)), one):
            np.testing.assert_allclose(many.predictions[layer], single.predictions, rtol=1e-8)


@pytest.mark.parametrize("counts", [(), (0, 2), (2, 7)])
def test_counts_beyond_the_width_are_refused(counts):
    x, y = planted(20, 6)
    with pytest.raises(ValueError, match="components: got counts"):
        pca_curve(x, y, RATIOS, None, counts)
    with pytest.raises(ValueError, match="width 6"):
        pls_curve(x, y, None, counts)
