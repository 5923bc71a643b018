r"""The n-gram baseline for more names than a kernel of all pairs would fit: ridge regression on the sparse features.

The same features, intercept and relative penalty :math:`\lambda = r \, \mathrm{tr}(CKC) / n` as in
:mod:`~llmworld_jax.experiments.space_time.ngrams`, where the trace is :math:`\sum_i \lVert \phi_i - \bar\phi
\rVert^2`, solved by conjugate gradients. Leaving every row out in turn would need a decomposition, so the penalty is
chosen on a held-out tenth of the training rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ...errors import InputError
from .ngrams import ngram_features

#: λ = ratio · tr(CKC) / n.
RATIOS = np.logspace(-2, 2, 9)
_TOLERANCE = 1e-4  # of the residual of the normal equations: the choice of the penalty matters far more


def sparse_ridge(
    texts: Sequence[str],
    y: Float[np.ndarray, "entity target"],
    train: Bool[np.ndarray, " entity"],
    ratios: Float[np.ndarray, " penalty"] = RATIOS,
    *,
    tolerance: float = _TOLERANCE,
) -> Float[np.ndarray, "entity target"]:
    """Predictions of every row from the training rows, at the penalty of least error on a tenth of these.

    One penalty is shared by the targets, each standardised over the training rows. The tenth is drawn at random, the
    same in every run; with one ratio nothing is held out. Predictions have the units of ``y``.
    Time and memory grow with the characters of all texts.

    Raises:
        InputError: fewer than twenty training rows, ratios that are not positive, or scikit-learn is not installed.
    """
    if train.sum() < 20 or not np.all(ratios > 0):
        got = f"{train.sum()} training rows and ratios from {np.min(ratios):g}"
        raise InputError(got, "twenty rows or more, and ratios above 0", "Give these")
    features = ngram_features(texts)
    mean, spread = y[train].mean(axis=0), y[train].std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    standardised = (y - mean) / spread
    rows = np.random.default_rng(0).permutation(np.flatnonzero(train))
    held, rest = rows[: len(rows) // 10], rows[len(rows) // 10 :]
    ratio = ratios[0]
    if len(ratios) > 1:
        errors = []
        for trial in ratios:
            predicted = _fitted(features[rest], standardised[rest], trial, tolerance).predict(features[held])
            errors.append(np.mean(np.square(predicted.reshape(len(held), -1) - standardised[held])))
        ratio = ratios[int(np.argmin(errors))]
    rows = np.sort(rows)
    fit = _fitted(features[rows], standardised[rows], ratio, tolerance)
    return mean + fit.predict(features).reshape(y.shape) * spread


def _fitted(features: Any, y: np.ndarray, ratio: float, tolerance: float) -> Any:
    from sklearn.linear_model import Ridge

    square, mean = features.power(2).sum(), features.mean(axis=0)
    total = square - len(y) * np.square(mean).sum()
    # texts that are all alike leave rounding alone, by which nothing can be measured
    penalty = ratio * (total / len(y) if total > np.finfo(np.float64).eps * len(y) * square else 1.0)
    return Ridge(alpha=penalty, solver="sparse_cg", tol=tolerance).fit(features, y)
