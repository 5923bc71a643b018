r"""Whether a model uses the direction that a probe reads: the causal certificate.

The residual stream x of an entity's last token after one block is moved by :math:`\alpha v`, where v is the step that
moves the probe's own read-out by one standard deviation of the target, :math:`v = w / \lVert w \rVert^2`. Does what the
model then says of the entity follow the dose :math:`\alpha`, more than under random steps of the same length?

Random steps are of two kinds. Isotropic ones are an easy control: activations fill few of the directions there are, and
a model may not heed the others. Those within the span of the activations' leading components are the harder one.

Source: the causal protocol of Heinzerling and Inui, arXiv 2403.10381, with controls.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy import stats

from analyses.probes.directions import random_directions

from ...models.edits import Edit, add
from ...models.llama import Llama
from .responses import Contrast, Progress, Responses, responses

#: Kinds of steps: the one that is tested, and its controls.
TESTED, ISOTROPIC, SPANNED = "tested", "random", "random among activations"
#: Share of the random steps whose effect has to be exceeded.
EXCEEDED = 0.95
#: Least rank correlation of dose and read-out.
MONOTONE = 0.9
_ENTITY, _LAST = 0, 1


class Certificate(NamedTuple):
    r"""The effect of one direction at one block and of its controls; ``direction`` 0 is the one that is tested.

    ``slope`` is the least-squares slope of the score, averaged over prompts, on the dose: units of the target for a
    step of one standard deviation; ``gain`` is the same in standard deviations, 1 if the answers moved as far as the
    read-out was moved. ``selectivity`` is |slope| over the root of the mean of KL / α² over doses and prompts: it does
    not depend on the length of the step, so it tells a direction that changes this answer from one that changes
    anything.
    """

    block: int  # 0 first; the step is made after it
    target: int
    sd: float  # of the target, in its unit
    doses: np.ndarray  # [dose], in standard deviations of the target
    kinds: tuple[str, ...]  # [direction]
    length: float  # of the step of one standard deviation
    score: np.ndarray  # [direction, dose, prompt]
    answered: np.ndarray  # [direction, dose, prompt], probability of all answers together
    divergence: np.ndarray  # [direction, dose, prompt], nats
    read_out: np.ndarray  # [direction, dose, layer, place], change in standard deviations, mean over prompts
    slope: np.ndarray  # [direction]
    slope_low: float  # 95 % Student interval of slope[0] over prompts
    slope_high: float
    gain: float
    p_value: float  # rank of |slope[0]| among the random steps
    selectivity: np.ndarray  # [direction]
    selectivity_p: float
    monotone: float  # Spearman's ρ of dose and read-out at the entity's token after the last block
    passes: bool

    @property
    def measured(self) -> bool:
        """Whether there were answers to score."""
        return bool(np.isfinite(self.slope[0]))


def certify(
    model: Llama,
    contrast: Contrast,
    step: Float[Array, " width"],
    block: int,
    doses: Sequence[float],
    weights: Float[np.ndarray, "layer width target"],
    key: Key[Array, ""],
    num_random: int,
    *,
    span: Float[Array, "component width"] | None = None,
    target: int = 0,
    sd: float = 1.0,
    progress: Progress | None = None,
) -> Certificate:
    """Move every entity along ``step`` and along random steps of its length, and compare.

    It passes if the score rises with the dose, by a slope that exceeds those of 95 % of the random steps (of all, if
    they are fewer than twenty) in size, and if the read-out after the last block rises with it (Spearman's ρ at least
    0.9). The step itself stays in the residual stream, so that the read-out alone proves little.

    Args:
        step: moves the probe's read-out by one standard deviation of the target (``read_out_dose``).
        doses: multiples of ``step``, two different ones or more.
        weights: of the probes after every block, for standardised targets.
        num_random: how many random steps; half of them, rounded down, within ``span`` if it is given.
        span: orthonormal rows, leading principal components of the activations at this block.
        target: the column of ``contrast.values`` and ``weights`` that is judged.
        sd: of that target, in its unit.
    """
    steps, kinds = _directions(key, step, num_random, span)
    dose = np.asarray(doses, np.float64)
    moved = np.flatnonzero(dose)
    vectors = (np.asarray(steps)[:, None] * dose[moved, None].astype(steps.dtype)).reshape(-1, steps.shape[1])
    clean, run = responses(model, contrast, add_steps(block, vectors), contrast.at_entity(), weights, progress)
    whole = jax.tree.map(lambda old, new: _with_clean(old, new, dose, moved), clean, run)
    return _judged(whole, contrast, block, target, sd, dose, kinds, float(jnp.linalg.norm(step)))


def add_steps(block: int | np.ndarray, vectors: Float[np.ndarray, "step width"]) -> Edit:
    """One edit a row: it is added to the residual stream after ``block`` (one for all, or one for each)."""
    blocks = np.broadcast_to(block, len(vectors))
    return jax.vmap(lambda b, v: add("resid_post", b, v))(jnp.asarray(blocks, jnp.int32), jnp.asarray(vectors))


def _directions(key: Key[Array, ""], step: Array, count: int, span: Array | None) -> tuple[Array, tuple[str, ...]]:
    spanned = 0 if span is None else count // 2
    length = jnp.linalg.norm(step)
    rows = [step[None]]
    kinds: tuple[str, ...] = (TESTED,)
    for one, size, kind in zip(jax.random.split(key), (count - spanned, spanned), (ISOTROPIC, SPANNED), strict=True):
        if size:
            inside = span if span is not None and kind == SPANNED else None
            drawn = random_directions(one, size, step.shape[0] if inside is None else inside.shape[0], length)
            rows.append(drawn if inside is None else jnp.matmul(drawn, inside, precision="highest"))
            kinds += (kind,) * size
    return jnp.concatenate(rows), kinds


def _with_clean(clean: np.ndarray, run: np.ndarray, dose: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """``[direction, dose, ...]``: the clean run stands for the dose 0 of every direction."""
    rows = run.reshape(len(run) // len(moved), len(moved), *run.shape[1:])
    whole = np.broadcast_to(clean, (len(rows), len(dose), *run.shape[1:])).copy()
    whole[:, moved] = rows
    return whole


def _judged(
    r: Responses, contrast: Contrast, block: int, target: int, sd: float, dose: np.ndarray, kinds: tuple[str, ...],
    length: float,
) -> Certificate:  # fmt: skip
    score = r.score[..., target].astype(np.float64)
    off = dose - dose.mean()
    each = np.einsum("kdp,d->kp", score, off) / (off @ off)
    slope = each.mean(axis=1)
    low, high = student(each[0])
    moved = dose != 0
    heard = (r.divergence[:, moved].mean(axis=2) / dose[moved] ** 2).mean(axis=1)
    selectivity = np.abs(slope) / np.sqrt(np.maximum(heard, np.finfo(np.float32).tiny))
    read_out = r.read_out[..., target].mean(axis=3)
    monotone = spearman(dose, read_out[0, :, -1, _ENTITY])
    beaten = np.mean(np.abs(slope[1:]) < np.abs(slope[0])) if len(slope) > 1 else 0.0
    return Certificate(
        block, target, sd, dose, kinds, length, score, r.answers.sum(axis=-1), r.divergence, read_out, slope, low, high,
        float(slope[0] / sd), rank_p(np.abs(slope)), selectivity, rank_p(selectivity), monotone,
        bool(slope[0] > 0 and beaten >= EXCEEDED and monotone >= MONOTONE),
    )  # fmt: skip


def rank_p(sizes: np.ndarray) -> float:
    """(1 + how many of the others are as large as the first) / (their number + 1); NaN for a NaN."""
    return float((1 + np.sum(sizes[1:] >= sizes[0])) / len(sizes)) if np.isfinite(sizes[0]) else float("nan")


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation; 0 where either side does not vary."""
    return float(stats.spearmanr(a, b).statistic) if np.ptp(a) > 0 and np.ptp(b) > 0 else 0.0


def student(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of independent values; NaN for fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)
