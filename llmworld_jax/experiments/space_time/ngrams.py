r"""What the letters of a name alone say: ridge regression on TF-IDF weights of its n-grams, in its dual form.

With features :math:`\phi` of every text the kernel is :math:`K = \phi\phi^\top`, and on the training rows, with the
centring matrix C and :math:`CKC = U \Lambda U^\top`,

.. math:: \hat y_x = \bar y + k_c(x)^\top \alpha, \qquad \alpha = U (\Lambda + \lambda)^{-1} U^\top (y - \bar y),

the fit of ridge regression with an intercept that is not penalised. Leaving row i out changes its residual to
:math:`\lambda \alpha_i / (1 - h_i)` exactly, where :math:`1 - h_i = \sum_j U_{ij}^2 \lambda / (\Lambda_j + \lambda) -
1/n`: one decomposition serves every penalty. The features are far more than the texts, so that nothing smaller would.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ...errors import InputError

#: λ = ratio · tr(CKC) / n.
RATIOS = np.logspace(-4, 2, 25)
# one letter is a word too: "D Train", "88 St"
_WORD = r"(?u)\b\w+\b"


def ngram_features(texts: Sequence[str]) -> Any:
    """TF-IDF of word 1- and 2-grams and of character 2- to 5-grams, each of unit length, side by side.

    A ``scipy.sparse`` CSR array [entity, feature] in float64, letter case aside. Frequencies over texts (idf) are
    those of all rows, of the test too: they use no target, and one kernel then serves every split. Character n-grams
    span words.

    Raises:
        InputError: scikit-learn is not installed.
    """
    try:
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise InputError(
            "no scikit-learn for the n-gram baseline", "it installed", 'Run `pip install "llmworld_jax[ngrams]"`'
        ) from error
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=_WORD, dtype=np.float64)
    characters = TfidfVectorizer(analyzer="char", ngram_range=(2, 5), dtype=np.float64)
    return sparse.csr_array(sparse.hstack([words.fit_transform(texts), characters.fit_transform(texts)]))


def ngram_kernel(texts: Sequence[str]) -> Float[np.ndarray, "entity entity"]:
    """Inner products of :func:`ngram_features`, between 0 and 2; n² numbers of 8 bytes (200 MB for 5,000 texts).

    Raises:
        InputError: scikit-learn is not installed.
    """
    features = ngram_features(texts)
    return (features @ features.T).toarray()


def kernel_ridge(
    kernel: Float[np.ndarray, "entity entity"],
    y: Float[np.ndarray, "entity target"],
    train: Bool[np.ndarray, " entity"],
    ratios: Float[np.ndarray, " penalty"] = RATIOS,
) -> Float[np.ndarray, "entity target"]:
    r"""Predictions of every row from the training rows, at the penalty of least exact leave-one-out error.

    One penalty :math:`\lambda = r \, \mathrm{tr}(CKC) / n` is shared by the targets, each standardised over the
    training rows while it is chosen. Predictions have the units of ``y``; those of training rows are the fit itself.
    Time grows with the cube of the training rows: some seconds for 3,000.

    Raises:
        InputError: fewer than two training rows, or ratios that are not positive.
    """
    if train.sum() < 2 or not np.all(ratios > 0):
        got = f"{train.sum()} training rows and ratios from {np.min(ratios):g}"
        raise InputError(got, "two or more rows, and ratios above 0", "Give these")
    inner = kernel[np.ix_(train, train)].astype(np.float64)
    count, column_means = len(inner), inner.mean(axis=0)
    centred = inner - column_means - column_means[:, None] + column_means.mean()
    values, vectors = np.linalg.eigh(centred)
    values = np.maximum(values, 0)
    mean, spread = y[train].mean(axis=0), y[train].std(axis=0)
    standardised = (y[train] - mean) / np.where(spread > 0, spread, 1)
    cross = vectors.T @ standardised
    # texts that are all alike leave rounding alone, by which nothing can be measured
    total = values.sum() if values.sum() > np.finfo(np.float64).eps * count * np.trace(inner) else 1.0
    penalties = np.asarray(ratios) * total / count
    errors = _left_out_errors(vectors, values, cross, penalties)
    alpha = vectors @ (cross / (values + penalties[int(np.argmin(errors))])[:, None])
    # α sums to zero, so the kernel's row means need not be taken off
    return mean + ((kernel[:, train] - column_means) @ alpha) * spread


def _left_out_errors(
    vectors: np.ndarray, values: np.ndarray, cross: np.ndarray, penalties: np.ndarray
) -> Float[np.ndarray, " penalty"]:
    """Mean squared leave-one-out residual of the standardised targets."""
    kept = penalties / (values[:, None] + penalties)  # [component, penalty]
    one_minus_h = np.square(vectors) @ kept - 1 / len(vectors)
    parts = (kept[:, :, None] * cross[:, None]).reshape(len(values), -1)
    residual = (vectors @ parts).reshape(len(vectors), len(penalties), -1)
    residual /= np.maximum(one_minus_h, np.finfo(np.float64).eps)[..., None]
    return np.mean(np.square(residual), axis=(0, 2))
