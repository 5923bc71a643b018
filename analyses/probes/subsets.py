"""Which rows count: every score of this package takes the same ``weight`` [entity].

It is boolean or 0/1, or counts how often a row counts, as in a resample with replacement; ``None`` is every row once.
Its shape does not depend on how many rows it chooses, so that all groups and splits share one compiled program
(``vmap`` over [group, entity]). What stands in a row of weight 0 is never read: it may be NaN. Where the chosen rows
decide nothing (there is none, or they are all alike) the answer is NaN.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

Weight = Float[Array, " entity"] | Bool[Array, " entity"] | None


def row_weights(weight: Weight, rows: Float[Array, "entity *shape"]) -> Float[Array, " entity"]:
    """``weight`` as numbers of the dtype of ``rows``."""
    return jnp.ones(rows.shape[0], rows.dtype) if weight is None else weight.astype(rows.dtype)


def chosen_sum(rows: Float[Array, "entity *shape"], weight: Float[Array, " entity"]) -> Float[Array, "*shape"]:
    """Σ_i w_i x_i, without reading rows of weight 0."""
    each = _beside(weight, rows)
    return jnp.sum(jnp.where(each > 0, each * rows, 0), axis=0)


def chosen_mean(rows: Float[Array, "entity *shape"], weight: Float[Array, " entity"]) -> Float[Array, "*shape"]:
    """Σ_i w_i x_i / Σ_i w_i; NaN where no row is chosen."""
    return ratio(chosen_sum(rows, weight), jnp.sum(weight))


def varies(rows: Float[Array, "entity *shape"], weight: Float[Array, " entity"]) -> Bool[Array, "*shape"]:
    """Two chosen rows differ. Asked of the values themselves, as rounding leaves a constant with a small variance.

    NaN counts as a difference, so that it is not taken for a constant but goes on into the score.
    """
    chosen = _beside(weight, rows) > 0
    return ~(jnp.max(jnp.where(chosen, rows, -jnp.inf), axis=0) <= jnp.min(jnp.where(chosen, rows, jnp.inf), axis=0))


def ratio(numerator: Float[Array, "*shape"], denominator: Float[Array, "*#shape"]) -> Float[Array, "*shape"]:
    """Their quotient; NaN where the denominator is not positive."""
    positive = denominator > 0
    return jnp.where(positive, numerator / jnp.where(positive, denominator, 1), jnp.nan)


def permutation_among(key: Key[Array, ""], chosen: Bool[Array, " n"]) -> Int[Array, " n"]:
    """A uniformly random permutation of the chosen places; every other place keeps its own."""
    count = chosen.shape[0]
    shuffled = jax.random.permutation(key, jnp.arange(count, dtype=jnp.int32))
    # Both lists hold the chosen places first, one in their own order and one in the drawn order.
    places = jnp.argsort(~chosen, stable=True)
    images = shuffled[jnp.argsort(~chosen[shuffled], stable=True)]
    moved = jnp.zeros(count, jnp.int32).at[places].set(images, unique_indices=True)
    return jnp.where(chosen, moved, jnp.arange(count, dtype=jnp.int32))


def _beside(weight: Float[Array, " entity"], rows: Float[Array, "entity *shape"]) -> Float[Array, "entity *ones"]:
    return weight.reshape(-1, *[1] * (rows.ndim - 1))
