"""Single neurons whose activation orders the entities by the target, against the best of as many by chance."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from .scores import rank, unit_columns
from .subsets import Weight, permutation_among, row_weights, varies

_PERMUTATIONS_AT_ONCE = 16


class TopNeurons(NamedTuple):
    """The neurons of largest |ρ| for each target, best first."""

    layer: Int[Array, "target top"]
    neuron: Int[Array, "target top"]
    correlation: Float[Array, "target top"]


def spearman_scan(
    activations: Float[Array, "entity neuron"], targets: Float[Array, "entity target"], weight: Weight = None
) -> Float[Array, "neuron target"]:
    r"""Spearman's ρ of every neuron with every target: each column is ranked once, the rest is one matrix product.

    Ties share their average rank. A neuron that is constant over the chosen rows has ρ = 0 (it orders nothing); a
    constant target gives NaN. Memory is about six times the activations: scan layer by layer.
    """
    found = jnp.matmul(_unit_ranks(activations, weight).T, _unit_ranks(targets, weight), precision="highest")
    return jnp.where(varies(targets, row_weights(weight, targets)), found, jnp.nan)


def permutation_band(
    key: Key[Array, ""],
    activations: Float[Array, "entity neuron"],
    targets: Float[Array, "entity target"],
    repeats: int,
    weight: Weight = None,
) -> Float[Array, "repeat target"]:
    r"""max over neurons of |ρ| with permuted targets: what the best of so many neurons reaches by chance.

    All targets of an entity move together, among the chosen rows (``weight`` 0 or 1). An observed maximum has
    p = (1 + #{null ≥ observed}) / (1 + repeats). For a network take the maximum over its layers under the same key:
    the permutations are the same.

    Raises:
        ValueError: ``repeats`` < 1.
    """
    if repeats < 1:
        raise ValueError(f"permutation_band: got {repeats} repeats; expected at least 1; use 100")
    w = row_weights(weight, targets)
    x, y = _unit_ranks(activations, weight).T, _unit_ranks(targets, weight)

    def of(drawn: Key[Array, ""]) -> Float[Array, " target"]:
        rho = jnp.matmul(x, y[permutation_among(drawn, w > 0)], precision="highest")
        return jnp.max(jnp.abs(rho), axis=0)

    size = min(repeats, _PERMUTATIONS_AT_ONCE)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(-(-repeats // size) * size, dtype=jnp.int32))
    band = jax.lax.map(jax.vmap(of), keys.reshape(-1, size)).reshape(-1, y.shape[1])[:repeats]
    return jnp.where(varies(targets, w), band, jnp.nan)


def top_neurons(correlation: Float[Array, "layer neuron target"], count: int) -> TopNeurons:
    """The ``count`` largest |ρ| of every target over all layers, with their signs; NaN comes last.

    Chosen and judged on the same entities, the best look better than they are: scan training rows and judge on others.

    Raises:
        ValueError: ``count`` not between 1 and the number of neurons.
    """
    layers, width, targets = correlation.shape
    if not 1 <= count <= layers * width:
        raise ValueError(f"top_neurons: got count {count}; expected 1 to {layers * width}; ask for fewer")
    flat = correlation.reshape(-1, targets).T
    size = jnp.abs(flat)
    _, best = jax.lax.top_k(jnp.where(jnp.isnan(size), -1, size), count)
    best = best.astype(jnp.int32)
    return TopNeurons(best // width, best % width, jnp.take_along_axis(flat, best, axis=1))


def _unit_ranks(columns: Float[Array, "entity column"], weight: Weight) -> Float[Array, "entity column"]:
    # Rows of the transposed array are contiguous; so they are sorted faster.
    ranks = jax.vmap(rank, in_axes=(0, None))(columns.T, weight).T
    return unit_columns(ranks, row_weights(weight, columns))
