r"""The peer: the published sequential depth-first refinement of digit laws, in torch, one token at a time.

Written from its description (Liu et al. 2024, arXiv 2402.00795). One prefill gives the law of every digit
along the true number ("main path"). Refinement to depth r adds, for level l = 1..r, the siblings of the true
digit l under the true prefix, each expanded completely down to prefixes of length r: one pass of one token a
prefix, on the key/value cache of the tokens before the number. ``mode="all"`` refines all nine siblings at
every level, ``mode="neighbor"`` only the true digit plus and minus one at level 1, and all nine below.

It is made as fast as that algorithm allows: keys and values lie in buffers allocated once, nothing is copied
(states go from last to first and levels from deepest to first, so that a pass only overwrites what nobody
needs any more), only ten rows of the head are computed, no masks, ``inference_mode``, grouped-query sdpa.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import DynamicCache, LlamaForCausalLM

Prefix = tuple[int, ...]


class MixedLaw(NamedTuple):
    """Masses of one number on unequal bins, ascending; ``left`` and ``width`` in units of the last digit."""

    left: np.ndarray
    width: np.ndarray
    mass: np.ndarray


class Buffers:
    """A cache for Hugging Face's Llama that writes in place: the next token goes to slot ``length``."""

    is_compileable = False

    def __init__(self, prefilled: DynamicCache, spare: int) -> None:
        def grown(x: torch.Tensor) -> torch.Tensor:
            buffer = x.new_empty((*x.shape[:2], x.shape[2] + spare, x.shape[3]))
            buffer[:, :, : x.shape[2]] = x
            return buffer

        self.keys = [grown(layer.keys) for layer in prefilled.layers]
        self.values = [grown(layer.values) for layer in prefilled.layers]
        self.length = 0

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one token; views of everything up to it."""
        stop = self.length + 1
        self.keys[layer][:, :, self.length : stop] = keys
        self.values[layer][:, :, self.length : stop] = values
        return self.keys[layer][:, :, :stop], self.values[layer][:, :, :stop]

    def get_seq_length(self, layer: int = 0) -> int:
        return self.length

    def get_query_offset(self, layer: int = 0) -> int:
        return self.length

    def get_mask_sizes(self, query: Any, layer: int = 0) -> tuple[int, int]:
        return self.length + 1, 0


def load(folder: Path, threads: int) -> LlamaForCausalLM:
    """The model in float32 with sdpa attention."""
    torch.set_num_threads(threads)
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()


class Sequential:
    """Digit laws of a prompt's numbers by sequential refinement.

    Args:
        tokens: ids of the whole prompt; the number of state t has its first digit at ``item_at[t]``.
        digit_tokens: the ids of the ten digits.
    """

    def __init__(
        self,
        model: LlamaForCausalLM,
        tokens: Sequence[int],
        item_at: Sequence[int],
        digit_tokens: Sequence[int],
        precision: int,
    ) -> None:
        self.model, self.precision = model.model, precision
        self.tokens, self.item_at = np.asarray(tokens), np.asarray(item_at)
        self.digit_tokens = list(digit_tokens)
        self.head = model.lm_head.weight[torch.tensor(self.digit_tokens)].detach().T.contiguous()
        self.passes = 0
        self.true = np.array(
            [[self.digit_tokens.index(t) for t in self.tokens[a : a + precision]] for a in self.item_at]
        )

    @torch.inference_mode()
    def prefill(self) -> None:
        """One pass over the prompt: main-path laws ``[position, 10]`` and the cache."""
        out = self.model(input_ids=torch.from_numpy(self.tokens)[None].long().to(self.model.device), use_cache=True)
        self.main = self._law(out.last_hidden_state[0])
        self.cache = Buffers(out.past_key_values, spare=self.precision)

    @torch.inference_mode()
    def refine(self, states: Sequence[int], mode: str, depth: int) -> dict[int, MixedLaw]:
        """Laws of the chosen states (after ``prefill``, once: the cache is consumed from its end)."""
        return {t: self._state(t, mode, depth) for t in sorted(states, reverse=True)}

    def _state(self, t: int, mode: str, depth: int) -> MixedLaw:
        at, true = int(self.item_at[t]), tuple(self.true[t].tolist())
        laws: dict[Prefix, np.ndarray] = {true[:k]: self.main[at + k - 1] for k in range(self.precision)}
        for level in range(depth, 0, -1):  # deepest first: it still needs the true digits above it in the cache
            for digit in siblings(true[level - 1], mode if level == 1 else "all"):
                laws.update(self._expand((*true[: level - 1], digit), at, depth))
        return mixed_law(laws, self.precision)

    def _expand(self, prefix: Prefix, at: int, depth: int) -> Iterator[tuple[Prefix, np.ndarray]]:
        """Depth first: next-digit laws of ``prefix`` and of all prefixes below it, up to length ``depth``."""
        yield prefix, self._forward(self.digit_tokens[prefix[-1]], at + len(prefix) - 1)
        if len(prefix) < depth:
            for digit in range(10):
                yield from self._expand((*prefix, digit), at, depth)

    def _forward(self, token: int, position: int) -> np.ndarray:
        self.passes += 1
        self.cache.length = position
        out = self.model(
            input_ids=torch.tensor([[token]], device=self.model.device),
            position_ids=torch.tensor([[position]], device=self.model.device),
            past_key_values=self.cache,
            use_cache=True,
        )
        return self._law(out.last_hidden_state[0])[0]

    def _law(self, hidden: torch.Tensor) -> np.ndarray:
        return torch.softmax((hidden @ self.head).float(), dim=-1).cpu().numpy().astype(np.float64)


def siblings(digit: int, mode: str) -> list[int]:
    """Digits beside the true one that are refined."""
    if mode == "neighbor":
        return [d for d in (digit - 1, digit + 1) if 0 <= d <= 9]
    if mode == "all":
        return [d for d in range(10) if d != digit]
    raise ValueError(f"Got mode {mode!r}. Expected 'neighbor' or 'all'. Choose one of them.")


def mixed_law(laws: dict[Prefix, np.ndarray], precision: int) -> MixedLaw:
    """Chain rule: a prefix with a known next-digit law is split in ten, every other one is a bin."""
    bins: list[tuple[int, int, float]] = []

    def walk(prefix: Prefix, left: int, mass: float) -> None:
        width = 10 ** (precision - len(prefix))
        if prefix not in laws:
            bins.append((left, width, mass))
            return
        for digit, p in enumerate(laws[prefix]):
            walk((*prefix, digit), left + digit * width // 10, mass * float(p))

    walk((), 0, 1.0)
    left, width, mass = (np.array(column) for column in zip(*bins, strict=True))
    return MixedLaw(left, width, mass)


def on_grid(complete: np.ndarray, law: MixedLaw) -> np.ndarray:
    """A complete law ``[10**precision]`` summed over the bins of a mixed one."""
    cumulative = np.concatenate(([0.0], np.cumsum(complete)))
    return cumulative[law.left + law.width] - cumulative[law.left]
