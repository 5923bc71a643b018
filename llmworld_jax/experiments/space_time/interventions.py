"""Single neurons under the knife: pinned to a value, or silenced, beside random neurons of the same block.

Source: Gurnee and Tegmark, arXiv 2310.02207, appendix, who published no code and no average effect, and compare pinning
with nine neurons and silencing with none.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...errors import InputError
from ...models.edits import Edit, ablate_neuron, pin_neuron
from ...models.forward import forward
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import logits
from .certificate import student
from .responses import Contrast, Progress, responses

_PROMPTS_AT_ONCE = 16


class Pins(NamedTuple):
    """What the model says while a neuron is held at a value at every position; ``neuron`` 0 is the one in question."""

    values: np.ndarray  # [neuron, value]
    probability: np.ndarray  # [neuron, value, prompt, answer], in the whole next-token law
    score: np.ndarray  # [neuron, value, prompt, target], in the target's unit
    divergence: np.ndarray  # [neuron, value, prompt], nats
    clean_probability: np.ndarray  # [prompt, answer]
    clean_score: np.ndarray  # [prompt, target]


class Ablation(NamedTuple):
    """Next-token loss of every prompt with single neurons silenced everywhere; NaN where there is no next token."""

    clean: np.ndarray  # [prompt, position], nats
    increase: np.ndarray  # [neuron, prompt, position]

    @property
    def by_prompt(self) -> np.ndarray:
        """``[neuron, prompt]``: mean increase over the tokens of a prompt."""
        return np.nanmean(self.increase, axis=2)


class Context(NamedTuple):
    """A place where silencing a neuron costs much: ``position`` is that of the token which is then less expected."""

    prompt: int
    position: int
    increase: float


def random_neurons(seed: int, d_mlp: int, count: int, but: int) -> np.ndarray:
    """Different neurons of a block, none of them ``but``."""
    others = np.delete(np.arange(d_mlp), but)
    return np.random.default_rng(seed).choice(others, min(count, d_mlp - 1), replace=False)


def pin_curve(
    model: Llama,
    contrast: Contrast,
    block: int,
    neurons: Int[np.ndarray, " neuron"],
    values: Float[np.ndarray, "neuron value"],
    progress: Progress | None = None,
) -> Pins:
    """Hold one neuron of ``block`` at a value, at all positions of all prompts, and read the answers' probabilities.

    Each neuron has values of its own: neurons differ in how far they move, and a control must move as far in its own
    terms.
    """
    d_mlp, (count, points) = model.config.d_mlp, values.shape
    flat = jnp.asarray(values, jnp.float32).reshape(-1)
    which = jnp.repeat(jnp.asarray(neurons, jnp.int32), points)
    edits = jax.vmap(lambda n, v: pin_neuron(block, n, v, d_mlp))(which, flat)
    none = np.zeros((model.config.num_layers, model.config.d_model, 0), np.float32)
    clean, r = responses(model, contrast, edits, contrast.everywhere(), none, progress)
    answers, score, heard = (x.reshape(count, points, *x.shape[1:]) for x in (r.answers, r.score, r.divergence))
    return Pins(values, answers, score, heard, clean.answers[0], clean.score[0])


def ablation_loss(
    model: Llama, prompts: Sequence[np.ndarray], neurons: Sequence[tuple[int, int]], pad: int = 0
) -> Ablation:
    """Silence one neuron (block, index) at a time, and see how much worse every token of every prompt is expected.

    One program for all neurons of all blocks; prompts are padded on the right to the longest.

    Raises:
        InputError: a prompt of fewer than two tokens, or no neuron.
    """
    lengths = np.array([len(p) for p in prompts])
    if len(lengths) == 0 or lengths.min() < 2 or not neurons:
        raise InputError(
            f"{len(prompts)} prompts of {lengths.tolist()} tokens and {len(neurons)} neurons",
            "prompts of two tokens or more, and a neuron",
            "Leave out the short ones",
        )
    rows = np.full((len(prompts), lengths.max()), pad, np.int32)
    for row, tokens in zip(rows, prompts):
        row[: len(tokens)] = tokens
    at = np.asarray(neurons, np.int32)
    inside = np.arange(1, rows.shape[1]) < lengths[:, None]
    loss = np.where(inside, np.asarray(_losses(model, jnp.asarray(rows), jnp.asarray(at))), np.nan)
    return Ablation(loss[0], loss[1:] - loss[0])


@jit_on_mesh
def _losses(
    model: Llama, tokens: Int[Array, "prompt position"], neurons: Int[Array, "neuron 2"]
) -> Float[Array, "run prompt position-1"]:
    """Surprise of every token after the first, ``[run, prompt, position]``: as it is, then without each neuron."""
    blocks = jnp.concatenate((neurons[:1], neurons))
    strength = (jnp.arange(len(blocks)) > 0).astype(jnp.float32)

    def without(xs: tuple[Array, Array]) -> Array:
        (block, neuron), at = xs[0], xs[1]
        edit = ablate_neuron(block, neuron, model.config.d_mlp, at)
        return jax.lax.map(lambda row: _loss(model, row, edit), tokens, batch_size=_PROMPTS_AT_ONCE)

    return jax.lax.map(without, (blocks, strength))


def _loss(model: Llama, tokens: Array, edit: Edit) -> Array:
    law = jax.nn.log_softmax(logits(model, forward(model, tokens, edits=(edit,)).hidden[:-1]))
    return -jnp.take_along_axis(law, tokens[1:, None], axis=1)[:, 0]


def mean_increase(ablation: Ablation) -> Float[np.ndarray, "neuron 3"]:
    """Of every neuron: the mean over prompts of the loss increase, and the ends of its 95 % Student interval."""
    by_prompt = ablation.by_prompt
    ends = np.array([student(row) for row in by_prompt])
    return np.concatenate((by_prompt.mean(axis=1, keepdims=True), ends), axis=1)


def worst_contexts(ablation: Ablation, neuron: int, count: int = 10) -> tuple[Context, ...]:
    """Where silencing a neuron costs most, first; look at the mean too, for every neuron has a worst context."""
    rows = np.nan_to_num(ablation.increase[neuron], nan=-np.inf)
    order = np.argsort(-rows, axis=None)[: min(count, int(np.isfinite(ablation.increase[neuron]).sum()))]
    found = zip(*np.unravel_index(order, rows.shape))
    return tuple(Context(int(p), int(k) + 1, float(rows[p, k])) for p, k in found)
