r"""The same entities under several prompts: what each prompt's own probes find, and what one prompt's probes find
under another.

A probe trained under prompt B reads the activations of prompt A as they are, or shifted by what sets the prompts
apart on average,

.. math:: \hat y_i = (x_i^A - \delta) W^B + b^B, \qquad
          \delta = \frac{1}{|T|} \sum_{j \in T} (x_j^A - x_j^B),

T the training rows of the fold (the original took all rows, those that it tested on too). A prompt that moves every
entity by one vector costs the shifted probe nothing. Source: the code of arXiv 2310.02207.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.ridge import fit_ridge, relative_penalties
from analyses.probes.scores import r_squared, spearman

from ...models.llama import Llama
from .results import Sweep
from .rows import Progress, residual_rows
from .study import Study
from .sweep import layer_sweep


class PromptComparison(NamedTuple):
    """Scores of test rows, means over targets. The first prompt is the main one; ``layer`` is what most of its folds
    chose, and the layer of everything that has two prompts."""

    dataset: str
    keys: tuple[str, ...]
    examples: tuple[str, ...]  # [prompt], what is read of the first entity
    layer: int
    r2: np.ndarray  # [prompt, fold, layer]
    rho: np.ndarray  # [prompt, fold, layer]
    chosen: np.ndarray  # [prompt, fold], the layer chosen on training rows
    raw_r2: np.ndarray  # [train prompt, test prompt, fold]
    raw_rho: np.ndarray
    centred_r2: np.ndarray  # [train prompt, test prompt, fold], the mean difference of the prompts taken away
    centred_rho: np.ndarray
    cosines: np.ndarray  # [prompt, prompt, target], of probe directions

    def at_chosen(self, scores: np.ndarray) -> np.ndarray:
        """``scores [prompt, fold, layer]`` at the layer that each prompt's fold chose, ``[prompt, fold]``."""
        return np.take_along_axis(scores, self.chosen[..., None], axis=2)[..., 0]


class _Crossed(NamedTuple):
    """One fold, one training prompt: ``[raw or centred, test prompt]``."""

    r2: jax.Array
    rho: jax.Array


def compare_prompts(
    model: Llama,
    study: Study,
    rows_of_first: np.ndarray,
    sweep_of_first: Sweep,
    penalties: int,
    progress: Progress,
    decode: Callable[[list[int]], str] | None = None,
) -> PromptComparison | None:
    """Read every prompt kind but the first, probe all its layers, and apply each prompt's probe to all others.

    Only one prompt's rows are held beside ``rows_of_first [layer, entity, width]`` at a time; of each, the rows of
    one layer are kept.

    Args:
        sweep_of_first: of ``rows_of_first``, with the same number of ``penalties``.
        decode: of the model's tokenizer; without it an example names random tokens, and leaves the start token out.

    Returns:
        None where ``study`` has one prompt kind only.
    """
    if len(study.prompts) < 2:
        return None
    layer = int(np.bincount(sweep_of_first.chosen).argmax())
    main, *others = study.prompts
    kept, found = [rows_of_first[layer]], [_summary(sweep_of_first, layer)]
    for key in others:
        read = residual_rows(model, study.prompts[key], progress, f"prompt “{key}”")
        progress(f"prompt “{key}”: probes of {len(read)} layers")
        kept.append(read[layer].copy())
        found.append(_summary(layer_sweep(read, study, penalties), layer))
        del read
    progress(f"probes of one prompt under another, layer {layer}")
    raw, centred = crossed(np.stack(kept), study, penalties)
    r2, rho, chosen, direction = (np.stack(parts) for parts in zip(*found, strict=True))
    return PromptComparison(
        study.table.key, (main, *others), tuple(_example(study, key, decode) for key in study.prompts), layer, r2, rho,
        chosen, raw[0], raw[1], centred[0], centred[1], _cosines(direction),
    )  # fmt: skip


def _summary(sweep: Sweep, layer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What is kept of a sweep: R² and ρ ``[fold, layer]``, chosen layers, the direction ``[width, target]``."""
    return sweep.r2.mean(axis=2), sweep.rho.mean(axis=2), sweep.chosen, sweep.directions[layer].copy()


def _cosines(directions: np.ndarray) -> np.ndarray:
    """Of ``[prompt, width, target]``; NaN for a direction of length 0."""
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    unit = np.where(length > 0, directions / np.where(length > 0, length, 1), np.nan)
    return np.einsum("pwt,qwt->pqt", unit, unit)


def _example(study: Study, key: str, decode: Callable[[list[int]], str] | None) -> str:
    if decode is not None:
        return decode(study.prompts[key].tokens[0].tolist())
    kind = study.kinds[key]
    noise = f"[{kind.random_tokens} random tokens]" if kind.random_tokens else ""
    return noise + kind.prefix + kind.written(study.table.texts[0])


def crossed(rows: np.ndarray, study: Study, penalties: int) -> tuple[np.ndarray, np.ndarray]:
    """Every prompt's probe on every prompt's test rows, ``rows [prompt, entity, width]``.

    Returns:
        Raw and centred scores, each ``[2, train prompt, test prompt, fold]``: R², then ρ, means over targets.
    """
    with jax.enable_x64(True):
        x, y = jnp.asarray(rows, jnp.float64), jnp.asarray(study.table.targets)
        found = _crossed(x, y, relative_penalties(penalties), jnp.asarray(study.train()))
        both = np.stack([np.asarray(found.r2), np.asarray(found.rho)])  # [score, train, fold, raw or centred, test]
    raw, centred = np.moveaxis(both, (3, 1, 4, 2), (0, 2, 3, 4))
    return raw, centred


@functools.partial(jax.jit)
def _crossed(x: jax.Array, y: jax.Array, ratios: jax.Array, train: jax.Array) -> _Crossed:
    # One fit after the other: a batch of eigendecompositions is several times slower on a CPU.
    def from_prompt(own: jax.Array) -> _Crossed:
        return jax.lax.map(lambda rows: _fold(own, x, y, ratios, rows), train)

    return jax.lax.map(from_prompt, x)


def _fold(own: jax.Array, x: jax.Array, y: jax.Array, ratios: jax.Array, train: jax.Array) -> _Crossed:
    fit = fit_ridge(own, y, ratios, train)
    share = train.astype(x.dtype) / jnp.sum(train)
    shift = jnp.einsum("n,pnw->pw", share, x - own, precision="highest")
    moved = jnp.einsum("pw,wt->pt", shift, fit.weights, precision="highest")
    raw = jnp.einsum("pnw,wt->pnt", x, fit.weights, precision="highest") + fit.intercept
    test = (~train).astype(x.dtype)
    score = jax.vmap(jax.vmap(lambda said: (r_squared(y, said, test).mean(), spearman(y, said, test).mean())))
    return _Crossed(*score(jnp.stack((raw, raw - moved[:, None]))))
