r"""Prompts of real tokens, searched coordinate by coordinate with the gradient as a guide, beside random search.

The gradient in the one-hot row of position p, :math:`\partial \ell / \partial e_p \cdot E^\top`, says to first order
what every token would do there. Candidates replace one token by one of the best of that list; their true losses
decide. Source: Zou et al., arXiv 2307.15043 (GCG).

The state after every round is a value: a search that is stored and taken up again goes on as it would have.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ..errors import InputError
from ..models.forward import KVCache, Output, forward
from ..models.llama import Llama
from ..models.mesh import jit_on_mesh
from ..models.readout import embed
from ..models.storage import Precision
from .seen import slopes_of_tokens

Loss = Callable[[Float[Array, "row d_model"]], Float[Array, ""]]
Score = Callable[[Int[Array, "candidate row"]], Float[Array, " candidate"]]
Progress = Callable[[str], None]
GRADIENT = 3
"""Forward passes that a gradient counts for."""


class Search(NamedTuple):
    """The best tokens so far, their loss, its course a round, and what was spent, in forward passes.

    ``skipped``: rounds in which no candidate survived being written down and read again.
    """

    tokens: np.ndarray
    loss: float
    history: np.ndarray
    spent: int
    skipped: int
    round: int


@functools.partial(jax.jit, static_argnames=("top", "count"))
def candidates(
    key: Key[Array, ""],
    tokens: Int[Array, " row"],
    slopes: Float[Array, "row vocabulary"],
    allowed: Bool[Array, " vocabulary"],
    *,
    top: int,
    count: int,
) -> Int[Array, "count row"]:
    """``count`` prompts that differ from ``tokens`` in one position (all come in turn, from one that is drawn), by one
    of the ``top`` allowed tokens of steepest descent there."""
    best = jax.lax.top_k(jnp.where(allowed, -slopes, -jnp.inf), top)[1]
    where = _in_turn(key, tokens.shape[0], count)
    pick = jax.random.randint(key, (count,), 0, top)
    return jnp.tile(tokens, (count, 1)).at[jnp.arange(count), where].set(best[where, pick])


def mutations(
    key: Key[Array, ""], tokens: Int[Array, " row"], pool: Int[Array, " token"], *, count: int
) -> Int[Array, "count row"]:
    """``count`` prompts that differ from ``tokens`` in one position (all come in turn, from one that is drawn), by any
    token of the pool."""
    where = _in_turn(key, tokens.shape[0], count)
    new = pool[jax.random.randint(key, (count,), 0, pool.shape[0])]
    return jnp.tile(tokens, (count, 1)).at[jnp.arange(count), where].set(new)


def _in_turn(key: Key[Array, ""], rows: int, count: int) -> Int[Array, " count"]:
    """Positions in turn. The first is drawn: from 0 in every round, fewer candidates than rows would leave rows out."""
    first = jax.random.randint(jax.random.fold_in(key, 1), (), 0, rows)
    return (first + jnp.arange(count)) % rows


def score_of(loss: Loss, model: Llama, *, at_once: int = 1) -> Score:
    """Losses of many prompts in one compiled call, ``at_once`` of them together."""

    @jit_on_mesh
    def score(model: Llama, tokens: Array) -> Array:
        return jax.lax.map(lambda row: loss(embed(model, row)), tokens, batch_size=min(at_once, tokens.shape[0]))

    return functools.partial(score, model)


def late_score(
    model: Llama,
    cache: KVCache,
    after: Int[Array, " position"],
    reduce: Callable[[Llama, Output], Float[Array, ""]],
    *,
    at_once: int = 1,
    precision: Precision = "highest",
) -> Score:
    """``Score`` of prompts that stand late: what comes before is in ``cache``, read once; only the prompt and ``after``
    are read for each candidate. ``reduce(model, pass over prompt and after)`` is the loss."""

    @jit_on_mesh
    def score(model: Llama, cache: KVCache, tokens: Array) -> Array:
        def one(row: Array) -> Array:
            return reduce(model, forward(model, jnp.concatenate((row, after)), cache=cache, precision=precision))

        return jax.lax.map(one, tokens, batch_size=min(at_once, tokens.shape[0]))

    return functools.partial(score, model, cache)


def begin_search(score: Score, tokens: Int[np.ndarray, " row"]) -> Search:
    """The state before the first round."""
    loss = float(score(jnp.asarray(tokens, jnp.int32)[None])[0])
    return Search(np.asarray(tokens, np.int32), loss, np.array([loss], np.float32), 1, 0, 0)


def coordinate_round(
    key: Key[Array, ""],
    state: Search,
    slope: Callable[[Float[Array, "row d_model"]], Float[Array, "row d_model"]],
    score: Score,
    model: Llama,
    allowed: Bool[np.ndarray, " vocabulary"],
    *,
    top: int,
    count: int,
    survives: Callable[[np.ndarray], bool] | None = None,
) -> Search:
    """One round: a gradient, ``count`` candidates, the best of them if it is better.

    Args:
        key: of the whole search; the round's own is folded in.
        slope: gradient of the loss in the prompt's embeddings.
        survives: whether a candidate is the same after being written down and read again; all do by default.

    Raises:
        InputError: fewer allowed tokens than ``top``.
    """
    if int(allowed.sum()) < top:
        raise InputError(f"{int(allowed.sum())} allowed tokens", f"{top} or more", "Allow more tokens or lower top")
    tokens = jnp.asarray(state.tokens)
    slopes = slopes_of_tokens(model, slope(embed(model, tokens)))
    drawn = candidates(jax.random.fold_in(key, state.round), tokens, slopes, jnp.asarray(allowed), top=top, count=count)
    return _taken(state, drawn, score, count + GRADIENT, survives)


def random_round(
    key: Key[Array, ""],
    state: Search,
    score: Score,
    pool: Int[np.ndarray, " token"],
    *,
    count: int,
    survives: Callable[[np.ndarray], bool] | None = None,
) -> Search:
    """One round without a gradient: ``count`` random replacements of one token, the best of them if it is better."""
    drawn = mutations(jax.random.fold_in(key, state.round), jnp.asarray(state.tokens), jnp.asarray(pool), count=count)
    return _taken(state, drawn, score, count, survives)


def _taken(
    state: Search, drawn: Array, score: Score, cost: int, survives: Callable[[np.ndarray], bool] | None
) -> Search:
    losses = np.asarray(score(drawn), np.float64)
    losses = np.where(np.isnan(losses), np.inf, losses)  # argmin would choose them
    rows = np.asarray(drawn)
    if survives is not None:
        losses = np.where([survives(row) for row in rows], losses, np.inf)
    best = int(np.argmin(losses))
    skipped = state.skipped + (not np.isfinite(losses).any())
    better = losses[best] < state.loss
    loss = float(losses[best]) if better else state.loss
    return Search(
        rows[best] if better else state.tokens, loss, np.append(state.history, np.float32(loss)), state.spent + cost,
        skipped, state.round + 1,
    )  # fmt: skip
