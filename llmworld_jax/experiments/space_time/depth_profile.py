"""At which depth a direction is still used: the same step after every block, without controls."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ...models.llama import Llama
from .certificate import add_steps, student
from .responses import Contrast, Progress, responses


class DepthProfile(NamedTuple):
    """Effect of the probe's step at each of several blocks, ``[point]`` each.

    ``gain`` is the change of the score for one standard deviation of dose, in standard deviations; ``low`` and ``high``
    are its 95 % Student interval over prompts. ``kept`` is how far the read-out at the entity's token after the last
    block moves for the same dose, ``heard`` the one at the prompt's last token.
    """

    block: np.ndarray
    gain: np.ndarray
    low: np.ndarray
    high: np.ndarray
    divergence: np.ndarray
    kept: np.ndarray
    heard: np.ndarray


def depth_profile(
    model: Llama,
    contrast: Contrast,
    steps: Float[np.ndarray, "point width"],
    blocks: Int[np.ndarray, " point"],
    dose: float,
    weights: Float[np.ndarray, "layer width target"],
    *,
    target: int = 0,
    sd: float = 1.0,
    progress: Progress | None = None,
) -> DepthProfile:
    """Half the difference between a step of ``+dose`` and one of ``-dose`` after each block, a unit of dose.

    Args:
        steps: of each block, the step of one standard deviation by its own probe.
    """
    both = np.concatenate((dose * steps, -dose * steps)).astype(steps.dtype)
    edits = add_steps(np.concatenate((blocks, blocks)), both)
    _, r = responses(model, contrast, edits, contrast.at_entity(), weights, progress)
    half = len(blocks)
    each = (r.score[:half, :, target] - r.score[half:, :, target]) / (2 * dose * sd)
    low, high = np.array([student(row) for row in each]).T
    moved = (r.read_out[:half, -1, ..., target] - r.read_out[half:, -1, ..., target]).mean(axis=1) / (2 * dose)
    divergence = (r.divergence[:half] + r.divergence[half:]).mean(axis=1) / 2
    return DepthProfile(np.asarray(blocks), each.mean(axis=1), low, high, divergence, moved[:, 0], moved[:, 1])


def reach(profile: DepthProfile) -> int | None:
    """The last block after which the step still has a quarter of its largest effect; None where nothing was asked."""
    if not np.isfinite(profile.gain).all():
        return None
    return int(profile.block[np.flatnonzero(profile.gain >= profile.gain.max() / 4)[-1]])
