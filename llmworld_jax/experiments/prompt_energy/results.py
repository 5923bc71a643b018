"""What an optimisation finds."""

from typing import NamedTuple

import numpy as np

from ...optimise.soft_prompt import NormRange
from .config import Objective
from .law_study import LawPrompts
from .prompts import Prompt
from .steering_study import Steering
from .testing import Scores
from .token_study import Found
from .training import Run, Trained
from .walk_study import WalkChoice
from .worlds import Worlds


class Trial(NamedTuple):
    """All runs of one objective; ``runs`` in the order of ``trained``'s leading axis."""

    objective: Objective
    runs: Run
    trained: Trained


class Readout(NamedTuple):
    """A trained prompt as tokens: the nearest ones, how far they are (1: as far as the next token from them), the
    vectors' lengths, and how far they moved."""

    texts: tuple[str, ...]
    distance: np.ndarray
    length: np.ndarray
    moved: np.ndarray


class Results(NamedTuple):
    """``scores[k][test]`` of ``prompts[k]``; ``nearest`` by objective; studies that were not asked for are ``None``."""

    worlds: Worlds
    layer: int
    trials: tuple[Trial, ...]
    prompts: tuple[Prompt, ...]
    scores: tuple[dict[str, Scores], ...]
    nearest: dict[str, Readout]
    norms: NormRange
    steering: Steering | None
    laws: LawPrompts | None
    tokens: tuple[Found, ...]
    walks: WalkChoice | None
