r"""What a language model says under each of many interventions, by one compiled program.

Of every intervention on every prompt: the score :math:`\sum_a \tilde p(a)\,v_a` of the answers at the last token
(:math:`\tilde p`: renormalised over them), the probability of each answer, the divergence
:math:`\mathrm{KL}(p_\text{clean} \,\|\, p)` of the whole next-token law, and how far the read-outs of linear probes
have moved after every block.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...models.blocks import causal_heads, finish_block, queries_keys_values
from ...models.edits import Edit, apply_edits
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import embed, final_hidden, logits
from ...models.rope import rotation

#: Interventions in one call: all calls have one shape, so that one program serves any number of them.
CHUNK = 20
Progress = Callable[[int, int], None]


class Contrast(NamedTuple):
    """Prompts that end where the model is about to say where or when an entity is, and what it may answer.

    There may be no answers at all: the score is then NaN, and read-outs and divergence are what is measured.
    """

    tokens: Int[np.ndarray, "prompt position"]  # padded on the right, where a causal model cannot see it
    entity_at: Int[np.ndarray, " prompt"]  # of the entity's last token
    last: Int[np.ndarray, " prompt"]  # of the prompt's last token
    answers: Int[np.ndarray, " answer"]  # token ids, all different
    values: Float[np.ndarray, "answer target"]  # of each answer, in the targets' units

    def first(self, count: int) -> "Contrast":
        """The first ``count`` prompts."""
        return self._replace(tokens=self.tokens[:count], entity_at=self.entity_at[:count], last=self.last[:count])

    def at_entity(self) -> Float[np.ndarray, "prompt position"]:
        """1 at the entity's last token, 0 elsewhere."""
        return (np.arange(self.tokens.shape[1]) == self.entity_at[:, None]).astype(np.float32)

    def everywhere(self) -> Float[np.ndarray, "prompt position"]:
        """1 at every token."""
        return np.ones(self.tokens.shape, np.float32)


class Responses(NamedTuple):
    """One row an intervention. ``place`` is the entity's last token, then the prompt's."""

    score: np.ndarray  # [step, prompt, target]
    answers: np.ndarray  # [step, prompt, answer], probability in the whole next-token law
    divergence: np.ndarray  # [step, prompt], nats
    read_out: np.ndarray  # [step, layer, prompt, place, target], change of x @ weights after every block


class _Rows(NamedTuple):
    """``Responses`` on the device."""

    score: Array
    answers: Array
    divergence: Array
    read_out: Array


class _Run(NamedTuple):
    """One run of all prompts."""

    log_law: Array  # [prompt, vocab]
    read_out: Array  # [layer, prompt, place, target]
    entering: Array  # [layer, prompt, position, width], the residual stream before every block


def responses(
    model: Llama,
    contrast: Contrast,
    edits: Edit,
    where: Float[np.ndarray, "prompt position"],
    weights: Float[np.ndarray, "layer width target"],
    progress: Progress | None = None,
) -> tuple[Responses, Responses]:
    r"""The model as it is (one row), and under every edit.

    Prompts are run together and edits one after another, each from its own block on, since nothing before it changes:
    memory is that of one batch of prompts and of its residual stream before every block, however many edits there are.
    All of an edit but its site is traced: other blocks, directions, doses or neurons need no other program. An edit of
    strength 0 gives the clean run to the last bit.

    Args:
        edits: of ``models.edits``, with a leading axis ``step`` on every field and one number for the strength.
        where: strength at every position of every prompt, which multiplies that of the edit.
        weights: of probes after every block of the model (not of the embedding).
        progress: called with the edits that are done and how many there are.
    """
    count = int(edits.at.shape[0])
    found = []
    for start in range(0, count, CHUNK):
        # The last call is filled with repeats.
        index = np.minimum(np.arange(start, start + CHUNK), count - 1)
        chosen = jax.tree.map(lambda x, at=index: x[at], edits)
        part = Responses(*jax.device_get(_chunk(model, contrast, chosen, where, weights)))
        done = min(start + CHUNK, count)
        clean = jax.tree.map(lambda x: x[:1], part)
        found.append(jax.tree.map(lambda x, size=done - start: x[1 : 1 + size], part))
        if progress is not None:
            progress(done, count)
    return clean, jax.tree.map(lambda *parts: np.concatenate(parts), *found)


@jit_on_mesh
def _chunk(model: Llama, contrast: Contrast, edits: Edit, where: Array, weights: Array) -> _Rows:
    """Rows of the clean run and of every edit."""

    def body(clean: _Run, xs: tuple[Edit, Array]) -> tuple[_Run, _Rows]:
        edit, is_first = xs
        now = _run(model, contrast, edit, where, weights, clean, jnp.where(is_first, 0, edit.layer))
        clean = jax.tree.map(lambda old, new: jnp.where(is_first, new, old), clean, now)
        return clean, _compared(contrast, clean, now)

    # The clean run is a round of the same loop: nothing is compiled twice, and it is rounded as the others are.
    rounds = jax.tree.map(lambda x: jnp.concatenate((x[:1], x)), edits)
    is_first = jnp.arange(len(rounds.at)) == 0
    rounds = _at_strength(rounds, jnp.where(is_first, 0, rounds.at))
    return jax.lax.scan(body, _before_any(model, contrast, weights), (rounds, is_first))[1]


def _at_strength(edit: Edit, at: Array) -> Edit:
    return Edit(edit.site, edit.layer, at, edit.keep, edit.basis, edit.value)


def _before_any(model: Llama, contrast: Contrast, weights: Array) -> _Run:
    """What is known before the clean run: the embeddings that enter the first block."""
    prompts, layers = len(contrast.tokens), model.config.num_layers
    h = embed(model, jnp.asarray(contrast.tokens))
    wide = jnp.promote_types(h.dtype, jnp.float32)
    entering = jnp.zeros((layers, *h.shape), h.dtype).at[0].set(h)
    read_out = jnp.zeros((layers, prompts, 2, weights.shape[2]), jnp.promote_types(wide, weights.dtype))
    return _Run(jnp.zeros((prompts, model.config.vocab_size), wide), read_out, entering)


def _run(
    model: Llama, contrast: Contrast, edit: Edit, where: Array, weights: Array, clean: _Run, first: Array
) -> _Run:  # fmt: skip
    """Blocks ``first`` .. of all prompts, from what the clean run had there."""
    c, precision = model.config, "highest"
    cos, sin = rotation(c, jnp.arange(contrast.tokens.shape[1]), clean.entering.dtype)
    places = jnp.stack((contrast.entity_at, contrast.last), axis=1)

    def one(h: Array, layer: Array, mask: Array) -> Array:
        # Sliced here, in the loop, one block at a time is copied; before it, all of them.
        block = jax.tree.map(lambda w: jax.lax.dynamic_index_in_dim(w, layer, keepdims=False), model.layers)

        def hook(site: str, x: Array) -> Array:
            return apply_edits(x, site, layer, (_at_strength(edit, edit.at * mask),))

        h = hook("resid_pre", h)
        q, k, v = queries_keys_values(block, model, h, cos, sin, precision)
        attended = causal_heads(model, layer, q, k.swapaxes(0, 1), v.swapaxes(0, 1), precision)
        return finish_block(block, model, h, attended, precision, hook)[0]

    def body(layer: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        h, read_out, entering = carry
        entering = entering.at[layer].set(h)
        h = jax.vmap(one, in_axes=(0, None, 0))(h, layer, where)
        rows = jnp.take_along_axis(h, places[..., None], axis=1).astype(read_out.dtype)
        new = jnp.einsum("bpw,wt->bpt", rows, weights[layer], precision=precision)
        return h, read_out.at[layer].set(new), entering

    start = (clean.entering[first], clean.read_out, clean.entering)
    h, read_out, entering = jax.lax.fori_loop(first, c.num_layers, body, start)
    last = jnp.take_along_axis(h, places[:, 1:, None], axis=1)[:, 0]
    law = jax.nn.log_softmax(logits(model, final_hidden(model, last)))
    return _Run(law, read_out, entering)


def _compared(contrast: Contrast, clean: _Run, now: _Run) -> _Rows:
    answers = now.log_law[:, contrast.answers]
    if contrast.answers.size:
        score = jnp.matmul(jax.nn.softmax(answers), contrast.values, precision="highest")
    else:
        score = jnp.full((len(answers), contrast.values.shape[1]), jnp.nan, answers.dtype)
    divergence = jnp.sum(jnp.exp(clean.log_law) * (clean.log_law - now.log_law), axis=-1)
    return _Rows(score, jnp.exp(answers), divergence, now.read_out - clean.read_out)
