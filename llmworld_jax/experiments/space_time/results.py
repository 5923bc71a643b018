"""What a space-and-time run finds, as arrays. Axes: entity, target, layer, fold, block, neuron.

``layer`` 0 is the token embedding, ``layer`` l the residual stream after block l (1 first), before the final norm.
Predictions are out of sample: each entity is predicted by the fit whose training rows do not hold it, in the target's
own units (degrees, years); NaN where no fold tests it.
"""

from typing import NamedTuple

import numpy as np

from ...entities.table import EntityTable


class Scores(NamedTuple):
    """``[fold]`` each, over the test rows of a fold; targets are averaged where there are two.

    ``r2`` and ``rho`` (Spearman) are means over targets, ``r2_each``/``rho_each`` ``[fold, target]`` are not.
    ``proximity`` is the proximity error (0 perfect, 1/2 chance), ``error`` the median great-circle distance in km or
    the median absolute error in the target's unit, ``slope`` the mean calibration slope (1 = calibrated).
    """

    r2: np.ndarray
    rho: np.ndarray
    r2_each: np.ndarray
    rho_each: np.ndarray
    proximity: np.ndarray
    error: np.ndarray
    slope: np.ndarray


class Sweep(NamedTuple):
    """Ridge probes of every layer of one representation; the layer of a fold is chosen on its training rows."""

    loo_error: np.ndarray  # [fold, layer], leave-one-out error of standardised targets on training rows, best penalty
    predictions: np.ndarray  # [layer, entity, target]
    r2: np.ndarray  # [fold, layer, target], test rows
    rho: np.ndarray  # [fold, layer, target], test rows
    at_edge: np.ndarray  # [fold, layer], whether the best penalty is the grid's first or last
    chosen: np.ndarray  # [fold], layer of least loo_error
    ratio: np.ndarray  # [fold], relative penalty at the chosen layer
    final: np.ndarray  # [entity, target], predictions at the chosen layer of the entity's fold
    directions: np.ndarray  # [layer, width, target], probes fitted on every row, standardised targets


class Control(NamedTuple):
    """One row of the control table.

    ``role`` is "model", "control" (a claim about the model must beat it), "ceiling" (what a label would give) or
    "note". ``gain`` is the model's R^2 minus this row's, with a 95 % bootstrap interval over entities (NaN for the
    model itself and where it makes no sense).
    """

    name: str
    role: str
    says: str
    scores: Scores
    gain: float
    gain_low: float
    gain_high: float
    missing: str = ""


class Block(NamedTuple):
    """One held-out block (a country, a century, a kind of entity)."""

    name: str
    rows: np.ndarray  # [n] indices of its entities
    nominal: np.ndarray  # [n, target], predicted with its other members in training
    held_out: np.ndarray  # [n, target], predicted with the whole block left out
    training_mean: np.ndarray  # [target]
    nominal_proximity: float
    held_out_proximity: float
    nominal_error: float
    held_out_error: float
    cosine: float  # of the true and predicted displacement of the block's centre from the training mean (places)
    shrinkage: float  # length of the predicted displacement as a share of the true one, along it


class Curve(NamedTuple):
    """Test R^2 and Spearman ``[fold, point]`` against ``size [point]`` components or training rows."""

    name: str
    size: np.ndarray
    r2: np.ndarray
    rho: np.ndarray


class Neurons(NamedTuple):
    """Spearman correlation of every gated neuron with every target, at the last token."""

    names: tuple[str, ...]  # of the columns below: the targets, for places also |latitude|
    rho: np.ndarray  # [block, neuron, column], all rows
    band: np.ndarray  # [column], 95 % quantile of max |rho| over all neurons under permuted targets
    top: np.ndarray  # [column, rank, 2] (block, neuron) by |rho| over all rows
    top_activation: np.ndarray  # [column, entity] of the best neuron
    selected: np.ndarray  # [fold, column, 2] best on the training rows of each fold
    validated: np.ndarray  # [fold, column] its rho on test rows, positive if of the sign that it has on training rows
    random: np.ndarray  # [fold, column] median |rho| on the test rows of the neurons of that block


class DatasetResults(NamedTuple):
    """Everything about one dataset."""

    table: EntityTable
    prompt: str  # key of the prompt kind
    example: tuple[str, ...]  # tokens of the first prompt as text
    fold: np.ndarray  # [entity], -1 where an entity is never tested
    group: str  # the group of the controls and hold-outs ("country", "century")
    sweep: Sweep
    twin: Sweep | None
    controls: tuple[Control, ...]
    by_group: tuple[tuple[str, int, Scores], ...]  # name, entities, scores of its rows over all folds (fold axis 1)
    within: np.ndarray  # [target], correlation within groups
    eta_squared: np.ndarray  # [target], share of the variance that the group label explains
    blocks: dict[str, tuple[Block, ...]]  # by name of the grouping
    curves: tuple[Curve, ...]
    mlp: Scores | None
    neurons: Neurons | None
    verdict: str
    good: bool
