"""What a dynamics run gives: everything about one system, as arrays ``[seed, time, ...]``.

Row t of an array is about item t given the items before it, so t is also the context length; losses are NaN where
nothing was predicted (item 0, without a start token).
"""

from typing import Literal, NamedTuple

import numpy as np

from .calibrating import Calibration
from .chain_risk import ChainRisk
from .floors import Floors
from .learning import Curve
from .regret import Regret
from .scaling_fits import Fits
from .scoring import Scores
from .truth import Truth
from .verdict import SparseLoss, Verdict

TruthKind = Literal["latent", "given_quantised_past"]


class SystemResults(NamedTuple):
    """Everything about one system. ``nulls`` and ``floor`` are losses ``[seed, time]`` of the same kind as ``loss``.

    ``risk`` is of chains only.
    """

    name: str
    symbolic: bool
    deterministic: bool
    loss_name: str
    truth_kind: TruthKind
    observed: np.ndarray
    display: np.ndarray
    edges: np.ndarray
    log_mass: np.ndarray
    off_grid: np.ndarray
    codes: np.ndarray
    tokens: np.ndarray
    item_at: np.ndarray
    truth: Truth
    scores: Scores
    loss: np.ndarray
    floor: np.ndarray
    floors: Floors
    nulls: dict[str, np.ndarray]
    sparse_nulls: dict[str, SparseLoss]
    observer: Regret
    calibration: Calibration
    curve: Curve
    null_curves: dict[str, Curve]
    observer_curve: Curve
    fits: Fits
    risk: ChainRisk | None
    verdict: Verdict


Results = tuple[SystemResults, ...]
