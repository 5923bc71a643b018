"""What `llmworld energy` is asked for. Imports nothing heavy, so that the command line answers at once."""

from dataclasses import dataclass
from typing import Literal, get_args

from ...errors import InputError

Objective = Literal["accuracy", "energy", "likelihood", "wrong", "contrast", "probe"]
Study = Literal["prompts", "laws", "tokens", "walks", "steering"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
_AT_LEAST = {
    "seeds": 1, "steps": 1, "walks": 1, "length": 20, "window": 10, "rounds": 1, "candidates": 1, "test_walks": 2,
    "test_length": 100, "seed": 0,
}  # fmt: skip


@dataclass(frozen=True)
class EnergyConfig:
    """Optimise soft prompts against the energy of a graph or against what is predicted, and ask every sceptic."""

    study: tuple[Study, ...] = ("prompts",)
    """``prompts``: soft prompts before walks; ``laws``: before series of numbers; ``tokens``: prompts of real tokens;
    ``walks``: which walk shows the graph soonest; ``steering``: another graph's coordinates put into the words."""
    objective: tuple[Objective, ...] = ("accuracy", "energy")
    """``accuracy``: probability of legal words; ``energy``: R at --layer; ``likelihood``: of the next word; ``wrong``:
    R of relabelled nodes; ``contrast``: R less its mean over relabellings; ``probe``: R of nodes read behind a
    filler, where no word before tells of neighbours."""
    graph: tuple[str, ...] = ("grid:4x4",)
    """Trained on; each has runs of its own."""
    held_out: tuple[str, ...] = ("ring:10", "hex:2x2")
    """Graphs that no prompt was trained on."""
    model: str = "smollm2-135m-instruct"
    """A name of `llmworld models`, a folder, a GGUF file or a hub repository."""
    system: tuple[str, ...] = ("noisy_logistic_map", "brownian_motion")
    """laws: systems that are simulated; the first is trained on, the others are held out."""
    vectors: tuple[int, ...] = (7,)
    """Lengths of the prompts; each has runs of its own."""
    start_text: str = "<|im_start|>user\nContinue the sequence."
    """Vectors begin as the embeddings of this text."""
    seeds: int = 2
    """Runs of each objective, graph and length."""
    steps: int = 24
    """Adam steps of each run."""
    walks: int = 1
    """Walks of each step, each over a new placement of the words."""
    length: int = 220
    """Words of a training walk."""
    window: int = 150
    """Losses look at so many last words."""
    layer: int | None = None
    """Whose energy is minimised (1: after the first block); by default four fifths of the depth."""
    rounds: int = 10
    """tokens, walks: rounds of a search."""
    candidates: int = 16
    """tokens, walks: candidates of a round, scored in one call."""
    rate: float = 5e-3
    """Adam's step size."""
    test_walks: int = 2
    """Walks of each test, held out."""
    test_length: int = 400
    """Words of a test walk."""
    random: int | None = None
    """Random token prompts tried for the best of them; by default three times --steps, the compute of one run."""
    remat: bool = False
    """Recompute blocks in the backward pass: half of the memory, some 40 % more time."""
    seed: int = 0

    def check(self) -> "EnergyConfig":
        """The configuration itself. Raises InputError for what can be seen to be wrong without a file or a model."""
        for name, low in _AT_LEAST.items():
            if getattr(self, name) < low:
                raise InputError(f"--{name.replace('_', '-')} {getattr(self, name)}", f"{low} or more", "Raise it")
        for name in ("study", "objective", "graph", "vectors", "system"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise InputError(f"--{name} {' '.join(map(str, values))}", "at least one, each once", "Name others")
        if len(set(self.held_out)) < len(self.held_out):
            raise InputError(f"--held-out {' '.join(self.held_out)}", "each graph once", "Leave one out")
        if min(self.vectors) < 1:
            raise InputError(f"--vectors {min(self.vectors)}", "1 or more", "Choose another number")
        if self.window > self.length:
            raise InputError(f"--window {self.window}", f"at most the length, {self.length}", "Lower it")
        if self.random is not None and self.random < 0:
            raise InputError(f"--random {self.random}", "0 or more", "Raise it")
        if not self.rate > 0:
            raise InputError(f"--rate {self.rate}", "above 0", "Choose another step size")
        return self

    def random_prompts(self) -> int:
        """How many random prompts are tried: a gradient step counts as three forward passes."""
        return 3 * self.steps if self.random is None else self.random
