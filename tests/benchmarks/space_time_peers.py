"""The peers of ``space_time.py``: Hugging Face torch, TransformerLens and scikit-learn, as a competent user runs them.

Names are sorted by length and padded on the right without a mask, which changes nothing for a causal model and lets
sdpa take its fast path; gradients and the key/value cache are off, the unembedding is not computed, and of each
batch only the rows at the last token are kept.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from transformers import LlamaForCausalLM, logging

logging.disable_progress_bar()

Tokens = Sequence[np.ndarray]
Gather = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From ids ``[row, position]`` and the position to read ``[row]`` to the residual stream ``[layer, row, width]``."""


def load(folder: Path, attention: str, threads: int) -> LlamaForCausalLM:
    """The model in float32."""
    torch.set_num_threads(threads)
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention).eval()


def residual_rows(gather: Gather, tokens: Tokens, batch: int) -> np.ndarray:
    """Residual stream at the last token of every name, ``[layer, name, width]``, in batches of ``batch`` names."""
    rows = np.empty((0, 0, 0), np.float32)
    for which, ids, last in _batches(tokens, batch):
        with torch.inference_mode():
            found = gather(ids, last).numpy()
        if not rows.size:
            rows = np.empty((found.shape[0], len(tokens), found.shape[2]), np.float32)
        rows[:, which] = found
    return rows


def _batches(tokens: Tokens, batch: int) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    lengths = np.array([len(ids) for ids in tokens])
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch):
        which = order[start : start + batch]
        ids = np.zeros((len(which), lengths[which].max()), np.int64)
        for row, k in enumerate(which):
            ids[row, : lengths[k]] = tokens[k]
        yield which, torch.from_numpy(ids), torch.from_numpy(lengths[which] - 1)


def hidden_states(model: LlamaForCausalLM) -> Gather:
    """By ``output_hidden_states=True``. Its last entry is behind the final norm; a hook has it before."""
    last_block: list[torch.Tensor] = []
    model.model.layers[-1].register_forward_hook(lambda module, inputs, out: last_block.append(_tensor(out)))

    def gather(ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        last_block.clear()
        states = model.model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        row = torch.arange(len(ids))
        return torch.stack([x[row, last] for x in (*states[:-1], last_block.pop())])

    return gather


def hooks(model: LlamaForCausalLM) -> Gather:
    """By a hook on the embedding and on every block that keeps the rows only: the leanest way."""
    kept: list[torch.Tensor] = []
    at: list[torch.Tensor] = []

    def keep(module: Any, inputs: Any, out: Any) -> None:
        x = _tensor(out)
        kept.append(x[torch.arange(len(x)), at[-1]])

    for module in (model.model.embed_tokens, *model.model.layers):
        module.register_forward_hook(keep)

    def gather(ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        kept.clear()
        at[:] = [last]
        model.model(input_ids=ids, use_cache=False)
        return torch.stack(kept)

    return gather


def _tensor(out: Any) -> torch.Tensor:
    return out[0] if isinstance(out, tuple) else out


def transformer_lens(folder: Path, threads: int) -> Gather:
    """By ``run_with_cache`` of TransformerLens 4's bridge (eager attention: it allows no other)."""
    from transformer_lens.model_bridge import TransformerBridge

    model = load(folder, "eager", threads)
    # A name in the place of the folder would be asked of the Hub.
    bridge = TransformerBridge.boot_transformers(str(folder), hf_model=model, device="cpu")
    blocks = [f"blocks.{k}.hook_resid_post" for k in range(model.config.num_hidden_layers)]
    sites = ["embed.hook_out", *blocks]

    def gather(ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        _, cache = bridge.run_with_cache(ids, return_type=None, names_filter=sites)
        row = torch.arange(len(ids))
        return torch.stack([cache[site][row, last] for site in sites])

    return gather


HOW: dict[str, Callable[[LlamaForCausalLM], Gather]] = {"hidden_states": hidden_states, "hooks": hooks}


def side(name: str, folder: Path, threads: int) -> Gather:
    """``"hooks, sdpa"``, ``"hidden_states, eager"``, ... or ``"transformer_lens"``."""
    if name == "transformer_lens":
        return transformer_lens(folder, threads)
    how, attention = name.split(", ")
    return HOW[how](load(folder, attention, threads))


def ridge(
    rows: np.ndarray, y: np.ndarray, train: np.ndarray, ratios: np.ndarray, mode: str
) -> tuple[np.ndarray, np.ndarray]:
    """``RidgeCV`` layer by layer in float64: predictions ``[layer, test, target]`` and the penalties chosen.

    The penalties are those of ``analyses.probes.ridge``: ratios times the mean eigenvalue of the training rows.
    """
    predictions, chosen = [], []
    for layer in rows:
        x = layer.astype(np.float64)
        variance = x[train].var(axis=0).sum() * train.sum() / x.shape[1]
        fit = RidgeCV(alphas=ratios * variance, alpha_per_target=False, gcv_mode=mode).fit(x[train], y[train])
        predictions.append(fit.predict(x[~train]))
        chosen.append(int(np.argmin(np.abs(ratios * variance - fit.alpha_))))
    return np.stack(predictions), np.array(chosen)
