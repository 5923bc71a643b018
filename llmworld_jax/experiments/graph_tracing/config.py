"""What `llmworld graph` is asked for. Imports nothing heavy, so that the command line answers at once."""

from dataclasses import dataclass
from typing import Literal

from ...errors import InputError
from ...start import parse_start
from ..dtypes import check_dtype

DEFAULT_CONTEXTS = (25, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 1200, 1400, 2000, 3000, 4000)
LEAST_LENGTH = 60
_AT_LEAST = {"placements": 1, "window": 2, "seed": 0, "walks": 2, "length": LEAST_LENGTH}


@dataclass(frozen=True)
class GraphConfig:
    """Let a model read random walks over words, and see whether the graph appears, in what it is and what it says."""

    graph: tuple[str, ...] = ("grid:4x4",)
    """``grid:4x4``, ``ring:10``, ``hex``, ``days`` and others (a wrong name lists them), or a CSV file of edges."""
    model: str = "smollm2-135m-instruct"
    """A name of `llmworld models`, a folder, a GGUF file or a hub repository."""
    walks: int = 16
    """Sequences of each placement; they start at one node after the other."""
    length: int = 1400
    """Words of each sequence."""
    placements: int = 1
    """How many random placements of the words on the nodes."""
    sequence: Literal["walk", "pairs", "balanced"] = "walk"
    """``walk``; ``pairs``: independent pairs of neighbours; ``balanced``: a walk that prefers nodes it saw less."""
    restart: float = 0.0
    """walk: probability of going on from a random node."""
    words: tuple[str, ...] = ("auto",)
    """``auto``: days for days, else a random choice of a vetted list; ``labels``: those of the CSV; or the words."""
    prefix: str = "list"
    """Before the walk: ``list`` (the words once, in the chat form), ``words`` (the list alone), ``none``, or text."""
    start_token: str = "bos"
    """``bos`` (unless the prefix begins with it), ``none`` or a token id, before everything."""
    separator: str = ""
    """After each word; the law is read there."""
    contexts: tuple[int, ...] = ()
    """Context lengths (words read) at which the representations are looked at; by default twelve up to the length."""
    window: int = 50
    """A node's representation is the mean over so many last words."""
    normalise: bool = False
    """Divide every token's vector by its root mean square first."""
    controls: bool = True
    """Read independent words and shuffled edges with the same prefix too (days: a second graph as well)."""
    twin: bool = False
    """Read the walks with a randomly initialised twin too."""
    mechanism: Literal["off", "short", "thorough"] = "short"
    """Heads, their ablation, predecessors, a neutral probe, swaps of coordinates."""
    mixture: str | None = None
    """A second graph over the same words: each step of a walk follows either."""
    share: float = 0.5
    """Share of the steps that follow --graph in the mixture."""
    dtype: str = "float32"
    """Of weights and activations."""
    seed: int = 0

    def check(self) -> "GraphConfig":
        """The configuration itself. Raises InputError for what can be seen to be wrong without a file or a model."""
        parse_start(self.start_token)
        if not self.graph or len(set(self.graph)) < len(self.graph):
            raise InputError(f"--graph {' '.join(self.graph)}", "different graphs, at least one", "Name each once")
        for name, low in _AT_LEAST.items():
            if getattr(self, name) < low:
                raise InputError(f"--{name} {getattr(self, name)}", f"{low} or more", "Choose another number")
        for name in ("restart", "share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"--{name} {getattr(self, name)}", "from 0 to 1", "Choose another number")
        wrong = [c for c in self.contexts if not 2 <= c <= self.length]
        if wrong or len(set(self.contexts)) < len(self.contexts) or (self.contexts and len(self.contexts) < 2):
            raise InputError(
                f"--contexts {' '.join(map(str, self.contexts))}",
                f"at least two different ones from 2 to the length, {self.length}",
                "Choose others",
            )
        check_dtype(self.dtype)
        if not self.words or not all(self.words):
            raise InputError("--words without a word", "auto, labels, or a word for each node", "Name them")
        return self

    def looked_at(self) -> tuple[int, ...]:
        """Context lengths, ascending; the last is the whole sequence unless others were asked for."""
        if self.contexts:
            return tuple(sorted(self.contexts))
        return (*(c for c in DEFAULT_CONTEXTS if c < self.length), self.length)
