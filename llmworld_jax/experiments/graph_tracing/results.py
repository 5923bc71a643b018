"""What a run about one graph finds, as arrays. Axes: layer, context, node, mode, time, walk, bin, head.

``layer`` 0 is the token embedding, ``layer`` l the residual stream after block l (1 first), before the final norm.
``context`` is a number of words read. Blocks and heads are counted from 0. NaN where nothing can be said: a node that
was not seen, a class of nodes that never came up.
"""

from typing import NamedTuple

import numpy as np

from .study import Study


class Reading(NamedTuple):
    """One kind of sequence over one placement, as the model read it."""

    means: np.ndarray  # [layer, context, node, width], pooled over walks
    counts: np.ndarray  # [layer, context, node], how many vectors a mean is of
    log_probability: np.ndarray  # [walk, time, node], of each node's word after item t, over the whole vocabulary
    largest_other: np.ndarray  # [walk, time], largest probability of a token that is no node's word
    sink: np.ndarray  # [layer], largest token norm over the median
    resampled: np.ndarray  # [resample, layer, context], energy ratio with walks drawn anew


class Geometry(NamedTuple):
    """``[layer, context]`` each, of the node means; see ``analyses.graphs`` for the equations."""

    ratio: np.ndarray  # Dirichlet energy ratio R: mean edge over mean pair of squared distances
    ratio_low: np.ndarray  # 95 % of walks drawn anew
    ratio_high: np.ndarray
    null_sd: np.ndarray  # of R under relabelled nodes, whose mean is 1
    z: np.ndarray
    p: np.ndarray
    plane_ratio: np.ndarray  # R of the first two principal components
    rest_ratio: np.ndarray  # R without them
    cosine_ratio: np.ndarray
    standardised_ratio: np.ndarray
    energy: np.ndarray  # per edge, in squared units of the residual stream
    auc: np.ndarray  # an edge is shorter than a non-edge
    spearman: np.ndarray  # of distances with path lengths
    resistance: np.ndarray  # Pearson, of distances with resistance distances
    dependence: np.ndarray  # distance correlation of Szekely with path lengths
    precision: np.ndarray  # of the closest pairs, as many as edges
    alignment: np.ndarray  # of the first plane with the Laplacian's
    disparity: np.ndarray  # Procrustes, of the first plane to the spectral layout
    plane_share: np.ndarray  # of the variance
    power: np.ndarray  # [layer, context, mode], graph Fourier spectrum


class Behaviour(NamedTuple):
    """What the model says next, ``[walk, time]`` each; see ``analyses.graphs.rule_following``."""

    accuracy: np.ndarray
    node_mass: np.ndarray
    renormalised: np.ndarray
    top_valid: np.ndarray
    backtrack: np.ndarray
    exposure: np.ndarray  # [class, 3], renormalised probability a node: pooled over t >= 25, low, high (walks anew)
    chance: float  # visit-weighted mean of degree / nodes


class Counters(NamedTuple):
    """Predictors that count what was read. ``accuracy`` and ``divergence`` are ``[counter, time]``, means of walks."""

    names: tuple[str, ...]
    accuracy: np.ndarray
    divergence: np.ndarray  # KL from the model's renormalised law to the counter's, nats
    seen: np.ndarray  # [2, time], share of walks whose current node occurred at least once, twice before
    formula: np.ndarray  # [2, time], the same for independent uniform nodes, in closed form
    coverage: np.ndarray  # [2, time], share of edges walked at least once, twice
    largest: np.ndarray  # [2, time], share of nodes in the largest part that those edges join


class Transition(NamedTuple):
    """Two straight pieces in ln(context) up to saturation; ``[3]`` are estimate, low, high over walks drawn anew."""

    fitted_to: int
    break_at: np.ndarray
    before: np.ndarray
    after: np.ndarray
    share_rising: float  # of resamples whose second piece is steeper
    energy_at: np.ndarray  # [3, layer], first context within 5 % of the fall of R; NaN where R does not fall
    lead: np.ndarray  # [3, layer], energy_at minus break_at, in words


class Swap(NamedTuple):
    """Coordinates of the last word exchanged for those of another node; ``[layer, plane]`` means over trials."""

    layers: np.ndarray
    planes: tuple[str, ...]
    towards: np.ndarray  # renormalised probability of the neighbours of the node put in
    away: np.ndarray  # of those of the node that was read
    hit1: np.ndarray  # the most likely node is a neighbour of the node put in
    hit3: np.ndarray  # one of the three most likely is
    standard_error: np.ndarray  # of ``towards`` minus the clean run's
    clean: np.ndarray  # [4], the same four figures without a change
    doses: np.ndarray
    dosed: np.ndarray  # [dose, plane], ``towards`` at the layer of largest effect of the span
    norms: np.ndarray  # [layer, plane], mean length of the change over the vector's own
    trials: int
    everywhere: np.ndarray | None  # [plane, 2], ``towards`` and its error with every occurrence of the node changed


class Ablation(NamedTuple):
    """Heads silenced; one row a condition."""

    names: tuple[str, ...]
    accuracy: np.ndarray  # [condition, bin]
    renormalised: np.ndarray  # [condition, bin]
    bins: np.ndarray  # [bin + 1]
    ratio: np.ndarray  # [condition], R at the layer that is looked at and the last context
    ratio_by_layer: np.ndarray  # [condition, layer]


class Predecessor(NamedTuple):
    """How much of the geometry is the word before: R, edge AUC and alignment of parts, at one layer."""

    names: tuple[str, ...]
    ratio: np.ndarray
    auc: np.ndarray
    alignment: np.ndarray
    explained: float  # of token vectors by current and previous word
    explained_by_current: float
    probe_contexts: np.ndarray
    probe_ratio: np.ndarray  # [context], nodes read after a neutral filler
    probe_auc: np.ndarray
    probe_alignment: np.ndarray


class Mechanism(NamedTuple):
    """Everything about how; at ``layer``."""

    layer: int
    previous: np.ndarray  # [block, head], previous-token score
    induction: np.ndarray  # [block, head]
    ablation: Ablation
    predecessor: Predecessor
    swap: Swap


class Prior(NamedTuple):
    """Nodes with an order of their own (days): share of the variance in the plane in which the ring of each step is a
    circle, ``[kind, layer, context, step]``."""

    kinds: tuple[str, ...]
    steps: np.ndarray
    power: np.ndarray


class Two(NamedTuple):
    """A mixture of two graphs: R of both, and the angle between the planes that carry them, by layer and context."""

    first: np.ndarray
    second: np.ndarray
    first_z: np.ndarray
    second_z: np.ndarray
    overlap: np.ndarray  # of the two leading Laplacian planes within the means: 0 orthogonal, 1 the same


class GraphResults(NamedTuple):
    """Everything about one graph; kinds of sequence by name, the first placement where there are several."""

    study: Study
    layer: int  # the layer that is looked at: where R is lowest at the last context
    plane_layer: int  # where the first principal plane aligns best with the Laplacian's at the last context
    planes: np.ndarray  # [context, node, 2], that plane, turned onto the layout
    geometry: dict[str, Geometry]
    behaviour: dict[str, Behaviour]
    counters: Counters
    transition: Transition
    sink: np.ndarray  # [layer]
    spread: np.ndarray  # [placement, 4], R and z at ``layer`` and the last context, late accuracy and renormalised
    mechanism: Mechanism | None
    prior: Prior | None
    two: Two | None
    verdicts: tuple[tuple[str, str], ...]  # kind ("good", "neutral", "negative") and text
