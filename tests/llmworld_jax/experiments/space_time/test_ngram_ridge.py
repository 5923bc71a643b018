"""Ridge on the sparse n-grams against the exact one on their kernel."""

import sys

import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.space_time.ngram_ridge import RATIOS, sparse_ridge
from llmworld_jax.experiments.space_time.ngrams import kernel_ridge, ngram_kernel

from .conftest import names_of_words, targets_in_words


@pytest.fixture(scope="module")
def names() -> list[str]:
    return names_of_words(200)


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


@pytest.mark.parametrize("ratio", [0.01, 0.3, 30.0])
def test_at_one_penalty_it_is_the_ridge_of_the_kernel(names, targets, train, ratio):
    exact = kernel_ridge(ngram_kernel(names), targets, train, np.array([ratio]))
    np.testing.assert_allclose(
        sparse_ridge(names, targets, train, np.array([ratio]), tolerance=1e-10) / targets.std(axis=0),
        exact / targets.std(axis=0), atol=1e-7,
    )  # fmt: skip
    # The default tolerance costs no more than would be seen in a score.
    miss = (sparse_ridge(names, targets, train, np.array([ratio])) - exact) / targets.std(axis=0)
    assert np.abs(miss).max() < 1e-2


def test_the_penalty_is_that_of_least_error_on_the_tenth(names, targets, train):
    """Each ratio fitted to the other nine tenths by the kernel; the chosen one is then fitted to all of them."""
    rows = np.random.default_rng(0).permutation(np.flatnonzero(train))
    held = rows[: len(rows) // 10]
    rest = train.copy()
    rest[held] = False
    kernel, scale = ngram_kernel(names), targets[train].std(axis=0)
    errors = [
        np.mean(((kernel_ridge(kernel, targets, rest, np.array([ratio])) - targets)[held] / scale) ** 2)
        for ratio in RATIOS
    ]
    best = int(np.argmin(errors))
    assert 0 < best < len(RATIOS) - 1
    expected = kernel_ridge(kernel, targets, train, RATIOS[[best]])
    np.testing.assert_allclose(
        sparse_ridge(names, targets, train, tolerance=1e-10) / scale, expected / scale, atol=1e-7
    )


def test_it_learns_what_the_kernel_learns(names, targets, train):
    exact = kernel_ridge(ngram_kernel(names), targets, train)
    sparse = sparse_ridge(names, targets, train)
    assert sparse.shape == targets.shape
    for predicted in (exact, sparse):
        residual = np.var((targets - predicted)[~train], axis=0) / np.var(targets[~train], axis=0)
        assert residual[0] < 0.5
        assert residual[1] > 0.8


def test_rows_outside_have_no_influence_and_units_are_those_of_the_targets(names, targets, train):
    expected = sparse_ridge(names, targets, train)
    hidden = np.where(train[:, None], targets, np.nan)
    np.testing.assert_array_equal(sparse_ridge(names, hidden, train), expected)
    np.testing.assert_allclose(sparse_ridge(names, 40 - 7 * targets, train), 40 - 7 * expected, rtol=1e-6)


def test_one_target_alone_and_one_that_is_constant(names, targets, train):
    one = sparse_ridge(names, targets[:, :1], train, np.array([0.1]), tolerance=1e-10)
    both = sparse_ridge(names, targets, train, np.array([0.1]), tolerance=1e-10)
    np.testing.assert_allclose(one, both[:, :1], atol=1e-6)
    np.testing.assert_allclose(sparse_ridge(names, np.full((len(names), 1), 3.0), train), 3)
    alike = sparse_ridge(["Rome"] * len(names), targets, train)
    np.testing.assert_allclose(alike, np.tile(targets[train].mean(axis=0), (len(names), 1)), atol=1e-6)


def test_what_cannot_be_fitted(names, targets, train):
    with pytest.raises(InputError, match="3 training rows"):
        sparse_ridge(names, targets, np.arange(len(names)) < 3)
    with pytest.raises(InputError, match="ratios from 0"):
        sparse_ridge(names, targets, train, np.array([0.0, 1.0]))


def test_without_scikit_learn_it_says_what_to_install(names, targets, train, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(InputError, match=r'pip install "llmworld_jax\[ngrams\]"'):
        sparse_ridge(names, targets, train)
