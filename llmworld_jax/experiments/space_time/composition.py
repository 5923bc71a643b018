r"""How the weights meet a probe's direction: which neurons and words read or write it, which heads pass it on.

With the unit direction v, the cosine of v with what a neuron reads (rows of up and gate, times the gain of the norm
before them) and writes (down), with the embeddings and what the unembedding reads; and for every head, with
:math:`A = W_V W_O` and :math:`B = W_Q W_K^\top`, each of Frobenius norm 1,

.. math:: \lVert v A \rVert \text{ (V)}, \quad \lVert A v \rVert \text{ (O)}, \quad
          \lVert v B \rVert \text{ (Q)}, \quad \lVert B v \rVert \text{ (K)} :

how much of v a head carries on, puts out, and asks and is asked by. Rotary positions are left out of B (it is that of a
token looking at itself), and so are the biases of Qwen2, its norms of heads in Qwen3, and the norms that Gemma-2 puts
after a part.

Source: the code of Gurnee and Tegmark, arXiv 2310.02207, with what it lacks: a null of random directions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from analyses.probes.directions import composition, random_directions

from ...models.config import ModelConfig
from ...models.layers import norm_gain
from ...models.llama import Block, Llama
from ...models.mesh import jit_on_mesh
from ...models.storage import opened

#: Parts of a block that read the residual stream (so from the blocks after the probe), and that write to it (before).
READING, WRITING = ("up", "gate", "V", "Q", "K"), ("down", "O")
NULL_QUANTILE = 0.95


class Composition(NamedTuple):
    """Of one direction. Cosines have a sign; the scores of heads are lengths."""

    up: Float[Array, "layer neuron"]
    gate: Float[Array, "layer neuron"]
    down: Float[Array, "layer neuron"]
    v: Float[Array, "layer head"]
    o: Float[Array, "layer head"]
    q: Float[Array, "layer head"]
    k: Float[Array, "layer head"]
    embedding: Float[Array, " vocab"]
    unembedding: Float[Array, " vocab"]


class Part(NamedTuple):
    """The largest score of one kind of weights, against the largest of each of many random directions."""

    name: str
    score: float
    layer: int  # -1 for the two vocabularies
    unit: int  # the neuron, head or token
    null: float  # 95 % quantile of the random directions' largest
    p_value: float


def compose(model: Llama, direction: Float[Array, " width"]) -> Composition:
    """Everything about one direction; batch with ``jax.lax.map``, since each needs a pass over all weights."""
    v = direction / jnp.linalg.norm(direction)
    c = model.config

    def of_block(block: Block) -> tuple[Array, ...]:
        gain = norm_gain(block.mlp_norm[...], c)[:, None]
        up, gate, down = (opened(w) for w in (block.up, block.gate, block.down))
        neurons = (gain * up, gain * gate, down.T)
        return *(composition(v, w.T) for w in neurons), *_heads(block, v, c)

    of_layers = jax.lax.map(of_block, model.layers)
    head = model.embed[...] if model.head is None else model.head[...].T
    words = composition(v, model.embed[...]), composition(v, head * norm_gain(model.final_norm[...], c))
    return Composition(*(*of_layers, *words))


def _heads(block: Block, v: Array, c: ModelConfig) -> tuple[Array, ...]:
    """V, O, Q and K scores of every head; query head h shares key/value head h // group."""
    gain, group, head_dim = norm_gain(block.attn_norm[...], c)[:, None], c.num_heads // c.num_kv_heads, c.head_dim
    d = gain.shape[0]
    q, k, value = (
        (gain * opened(w)).reshape(d, -1, head_dim).swapaxes(0, 1) for w in (block.q, block.k, block.v)
    )  # [head, d, head_dim]
    k, value = jnp.repeat(k, group, axis=0), jnp.repeat(value, group, axis=0)
    out = opened(block.o).reshape(c.num_heads, head_dim, d).swapaxes(1, 2)  # [head, d, head_dim], its transpose
    carried, put = _both_sides(v, value, out)
    asking, asked = _both_sides(v, q, k)
    return carried, put, asking, asked


def _both_sides(v: Array, left: Array, right: Array) -> tuple[Array, Array]:
    """‖v A‖ and ‖A v‖ for A = left rightᵀ of Frobenius norm 1, by the small Gram matrices of its factors."""
    grams = [jnp.einsum("hdi,hdj->hij", x, x, precision="highest") for x in (left, right)]
    size = jnp.sqrt(jnp.sum(grams[0] * grams[1], axis=(1, 2)))
    inner = [jnp.einsum("d,hdi->hi", v, x, precision="highest") for x in (left, right)]
    squares = [jnp.einsum("hi,hij,hj->h", a, g, a, precision="highest") for a, g in zip(inner, reversed(grams))]
    through, into = (jnp.sqrt(jnp.maximum(s, 0)) / jnp.where(size > 0, size, 1) for s in squares)
    return through, into


def parts(
    model: Llama,
    direction: Float[Array, " width"],
    layer: int,
    key: Key[Array, ""],
    num_random: int = 19,
    span: Float[Array, "component width"] | None = None,
) -> tuple[Part, ...]:
    """The strongest composition of each kind with a probe's direction at ``layer`` (0: embedding, l: after block l).

    Blocks from ``layer`` on can read the direction, blocks before it can have written it; others do not count. The null
    is the largest |score| of each kind for random directions: within ``span``, or else among all, which is lenient,
    since weights and activations share the few directions that a model uses.
    """
    found = _composed(model, direction)
    random = random_directions(key, num_random, direction.shape[0] if span is None else span.shape[0])
    random = random if span is None else jnp.matmul(random, span, precision="highest")
    null = jax.device_get(_largest(model, random, jnp.asarray(layer)))
    return tuple(_part(name, *rest) for name, *rest in _with_null(found, null, layer))


_composed = jit_on_mesh(compose)


@jit_on_mesh
def _largest(model: Llama, directions: Array, layer: Array) -> dict[str, Array]:
    def one(direction: Array) -> dict[str, Array]:
        named = _named(compose(model, direction))
        return {name: jnp.max(jnp.where(_counts(name, x, layer), jnp.abs(x), 0)) for name, x in named.items()}

    return jax.lax.map(one, directions)


def _named(c: Composition) -> dict[str, Array]:
    return {
        "up": c.up, "gate": c.gate, "down": c.down, "V": c.v, "O": c.o, "Q": c.q, "K": c.k,
        "embedding": c.embedding[None], "unembedding": c.unembedding[None],
    }  # fmt: skip


def _counts(name: str, x: Array, layer: Array | int) -> Array:
    """Which blocks ``[layer, 1]`` can read or have written a direction there."""
    block = jnp.arange(x.shape[0])[:, None]
    if name in READING:
        return block >= layer
    return block < layer if name in WRITING else block >= 0


def _with_null(found: Composition, null: dict[str, np.ndarray], layer: int) -> list[tuple]:
    rows = []
    for name, x in _named(found).items():
        allowed, score = np.asarray(_counts(name, x, layer)), np.asarray(x)
        if allowed.any():
            rows.append((name, score, np.where(allowed, np.abs(score), -1.0), null[name]))
    return rows


def _part(name: str, x: np.ndarray, size: np.ndarray, null: np.ndarray) -> Part:
    block, unit = (int(i) for i in np.unravel_index(np.argmax(size), size.shape))
    p = float((1 + np.sum(null >= size[block, unit])) / (1 + len(null)))
    inside = -1 if "embedding" in name else block
    return Part(name, float(x[block, unit]), inside, unit, float(np.quantile(null, NULL_QUANTILE)), p)
