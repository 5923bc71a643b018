"""The n-gram baseline against scikit-learn's ridge on the features themselves."""

import sys

import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.space_time.ngrams import RATIOS, kernel_ridge, ngram_features, ngram_kernel

from .conftest import names_of_words, targets_in_words


@pytest.fixture(scope="module")
def names() -> list[str]:
    return names_of_words(70)


@pytest.fixture(scope="module")
def targets(names) -> np.ndarray:
    return targets_in_words(names)


@pytest.fixture(scope="module")
def train(names) -> np.ndarray:
    return np.arange(len(names)) % 4 != 0


@pytest.fixture(autouse=True)
def _needs_scikit_learn(request):
    if "without" not in request.node.name:
        pytest.importorskip("sklearn")


def test_the_kernel_is_the_inner_products_of_unit_word_and_unit_character_vectors(names):
    kernel = ngram_kernel(names)
    assert kernel.dtype == np.float64
    np.testing.assert_allclose(np.diag(kernel), 2)
    np.testing.assert_allclose(kernel, kernel.T)
    features = ngram_features(names).toarray()
    np.testing.assert_allclose(kernel, features @ features.T, atol=1e-12)


def test_letter_case_aside_texts_without_a_bigram_in_common_are_orthogonal():
    kernel = ngram_kernel(["Paris", "PARIS", "Oslo"])
    np.testing.assert_allclose(kernel, [[2, 2, 0], [2, 2, 0], [0, 0, 2]], atol=1e-12)


def test_a_single_letter_is_a_word():
    """As in the names of stations; scikit-learn's own words have two letters at least."""
    kernel = ngram_kernel(["7 x", "x 7", "8 y"])
    assert kernel[0, 1] > 0.5  # no characters but the letters in common
    assert kernel[0, 2] == 0


@pytest.mark.parametrize("ratio", [1e-3, 0.1, 3.0])
def test_one_penalty_is_scikit_learns_ridge_on_the_features(names, targets, train, ratio):
    from sklearn.linear_model import Ridge

    features = ngram_features(names).toarray()
    centred = features[train] - features[train].mean(axis=0)
    ridge = Ridge(alpha=ratio * np.square(centred).sum() / train.sum(), solver="svd").fit(
        features[train], targets[train]
    )
    predictions = kernel_ridge(ngram_kernel(names), targets, train, np.array([ratio]))
    np.testing.assert_allclose(predictions, ridge.predict(features), rtol=1e-8, atol=1e-8)


def test_the_penalty_is_that_of_least_error_when_every_row_is_left_out_in_turn(names, targets, train):
    """Refitted by scikit-learn, row by row, at every penalty; the targets count alike though their scales differ."""
    from sklearn.linear_model import Ridge

    features = ngram_features(names).toarray()[train]
    y = (targets[train] - targets[train].mean(axis=0)) / targets[train].std(axis=0)
    centred = features - features.mean(axis=0)
    ratios = np.logspace(-3, 1, 5)
    errors = []
    for ratio in ratios:
        ridge = Ridge(alpha=ratio * np.square(centred).sum() / len(y))
        rest = [np.arange(len(y)) != i for i in range(len(y))]
        left_out = [ridge.fit(features[keep], y[keep]).predict(features[~keep])[0] for keep in rest]
        errors.append(np.mean((np.array(left_out) - y) ** 2))
    kernel = ngram_kernel(names)
    best = ratios[[int(np.argmin(errors))]]
    assert 0 < np.argmin(errors) < len(ratios) - 1
    np.testing.assert_allclose(
        kernel_ridge(kernel, targets, train, ratios), kernel_ridge(kernel, targets, train, best), rtol=1e-10
    )


def test_rows_outside_have_no_influence(names, targets, train):
    kernel = ngram_kernel(names)
    expected = kernel_ridge(kernel, targets, train)
    other = np.where(train[:, None], targets, np.nan)
    np.testing.assert_array_equal(kernel_ridge(kernel, other, train), expected)
    scrambled = kernel.copy()
    scrambled[np.ix_(~train, ~train)] = np.nan
    np.testing.assert_array_equal(kernel_ridge(scrambled, targets, train), expected)


def test_predictions_follow_the_units(names, targets, train):
    kernel = ngram_kernel(names)
    moved = kernel_ridge(kernel, 40 - 7 * targets, train)
    np.testing.assert_allclose(moved, 40 - 7 * kernel_ridge(kernel, targets, train), rtol=1e-8)


def test_a_constant_target_and_a_constant_kernel_give_the_mean(names, targets, train):
    constant = np.full_like(targets, 3.0)
    np.testing.assert_allclose(kernel_ridge(ngram_kernel(names), constant, train), 3)
    flat = kernel_ridge(np.ones((len(names),) * 2), targets, train)
    np.testing.assert_allclose(flat, np.tile(targets[train].mean(axis=0), (len(names), 1)), atol=1e-6)


def test_the_words_are_found_and_noise_is_not(names, targets, train):
    predictions = kernel_ridge(ngram_kernel(names), targets, train)
    residual = np.var((targets - predictions)[~train], axis=0) / np.var(targets[~train], axis=0)
    assert residual[0] < 0.6
    assert residual[1] > 0.8


def test_what_cannot_be_fitted(names, targets, train):
    kernel = np.eye(len(names))
    with pytest.raises(InputError, match="1 training rows"):
        kernel_ridge(kernel, targets, np.arange(len(names)) == 3)
    with pytest.raises(InputError, match="ratios from 0"):
        kernel_ridge(kernel, targets, train, np.array([0.0, 1.0]))
    assert RATIOS.min() > 0


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(InputError, match=r'pip install "llmworld_jax\[ngrams\]"'):
        ngram_kernel(["a", "b"])
