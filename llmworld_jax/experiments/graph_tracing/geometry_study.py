"""Every measure of how far the node means have taken the shape of the graph, for all layers and contexts at once."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from analyses import graphs
from systems.graphs import Graph

from .results import Geometry, Reading, Two

RELABELLINGS = 500


def geometry_of(reading: Reading, graph: Graph, seed: int) -> Geometry:
    """``Geometry`` of one reading."""
    means = jnp.asarray(reading.means)
    seen = jnp.asarray(reading.counts > 0)
    adjacency = jnp.asarray(graph.adjacency)
    found = {name: np.asarray(_measured(name, means, seen, adjacency)) for name in MEASURES}
    null = graphs.ratio_null(jax.random.key(seed), _distances(means), adjacency, seen, RELABELLINGS)
    low, high = _interval(reading.resampled)
    found |= {"null_sd": np.asarray(null.sd), "z": np.asarray(null.z), "p": np.asarray(null.p)}
    return Geometry(ratio_low=low, ratio_high=high, **found)


def _interval(resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    return low, high


@jax.jit
def _distances(means: jax.Array) -> jax.Array:
    return jax.vmap(jax.vmap(graphs.squared_distances))(means)


def _disparity(rows: jax.Array, adjacency: jax.Array, seen: jax.Array) -> jax.Array:
    scores = graphs.principal_components(rows, 2, seen).scores
    return graphs.procrustes(scores, graphs.spectral_embedding(adjacency, 2), seen).disparity


def _power(rows: jax.Array, adjacency: jax.Array, seen: jax.Array) -> jax.Array:
    # A spectrum over all nodes says nothing where some were not seen.
    return jnp.where(jnp.all(seen), graphs.graph_fourier_power(rows, adjacency), jnp.nan)


MEASURES: dict[str, Callable[[jax.Array, jax.Array, jax.Array], jax.Array]] = {
    "ratio": graphs.dirichlet_ratio,
    "plane_ratio": lambda rows, adjacency, seen: graphs.component_ratio(rows, adjacency, 2, seen),
    "rest_ratio": lambda rows, adjacency, seen: graphs.complement_ratio(rows, adjacency, 2, seen),
    "cosine_ratio": graphs.cosine_ratio,
    "standardised_ratio": graphs.standardised_ratio,
    "energy": graphs.energy_per_edge,
    "auc": graphs.edge_auc,
    "spearman": lambda rows, adjacency, seen: graphs.distance_correlations(rows, adjacency, seen).spearman,
    "resistance": lambda rows, adjacency, seen: graphs.distance_correlations(rows, adjacency, seen).resistance,
    "dependence": graphs.distance_dependence,
    "precision": graphs.reconstruction_precision,
    "alignment": lambda rows, adjacency, seen: graphs.subspace_alignment(rows, adjacency, 2, seen),
    "disparity": _disparity,
    "plane_share": lambda rows, adjacency, seen: jnp.sum(graphs.principal_components(rows, 2, seen).share),
    "power": _power,
}


# One program a measure: with all of them in one, XLA's CPU runtime (jaxlib 0.10) stopped with every thread waiting.
@functools.partial(jax.jit, static_argnames="name")
def _measured(name: str, means: jax.Array, seen: jax.Array, adjacency: jax.Array) -> jax.Array:
    """``MEASURES[name]`` at every layer and context."""

    def layer(given: tuple[jax.Array, jax.Array]) -> jax.Array:
        return jax.vmap(MEASURES[name], in_axes=(0, None, 0))(given[0], adjacency, given[1])

    return jax.lax.map(layer, (means, seen))


def planes_of(reading: Reading, graph: Graph, layer: int) -> np.ndarray:
    """Scores ``[context, node, 2]`` on the first principal plane of ``layer``, turned onto the layout.

    Scale and orientation of a principal plane are arbitrary: each is moved by its Procrustes map.
    """
    rows, seen = jnp.asarray(reading.means[layer]), jnp.asarray(reading.counts[layer] > 0)
    return np.asarray(_planes(rows, seen, jnp.asarray(graph.layout)))


@jax.jit
def _planes(rows: jax.Array, seen: jax.Array, layout: jax.Array) -> jax.Array:
    def one(rows: jax.Array, seen: jax.Array) -> jax.Array:
        return graphs.procrustes(graphs.principal_components(rows, 2, seen).scores, layout, seen).aligned

    return jax.vmap(one)(rows, seen)


def resampled_ratios(sums: np.ndarray, counts: np.ndarray, graph: Graph, weights: np.ndarray) -> np.ndarray:
    """R ``[resample, layer, context]`` of means pooled over walks with ``weights [resample, walk]``.

    Args:
        sums: ``[walk, layer, context, node, width]``.
        counts: ``[walk, layer, context, node]``.
    """
    adjacency, drawn = jnp.asarray(graph.adjacency), jnp.asarray(weights)
    # A layer at a time: all resamples of all layers would not fit.
    layers = [
        _resampled(jnp.asarray(sums[:, layer]), jnp.asarray(counts[:, layer]), drawn, adjacency)
        for layer in range(sums.shape[1])
    ]
    return np.stack([np.asarray(one) for one in layers], axis=1)


@jax.jit
def _resampled(sums: jax.Array, counts: jax.Array, drawn: jax.Array, adjacency: jax.Array) -> jax.Array:
    number = jnp.einsum("rw,wcn->rcn", drawn, counts)
    ratio = jax.vmap(functools.partial(graphs.dirichlet_ratio, adjacency=adjacency))

    def one(given: tuple[jax.Array, jax.Array]) -> jax.Array:
        weight, number = given
        pooled = jnp.einsum("w,wcnd->cnd", weight, sums, precision="highest")
        return ratio(pooled / jnp.maximum(number, 1)[..., None], seen=number > 0)

    return jax.lax.map(one, (drawn, number))


def two_graphs(reading: Reading, first: Graph, second: Graph, seed: int) -> Two:
    """Both graphs of a mixture in one set of means, and whether they lie in planes of their own.

    The overlap compares the two-dimensional subspaces of the residual stream that carry the leading Laplacian planes:
    ‖Q₁ᵀQ₂‖²/2 with Q an orthonormal basis of Hᵀ[z₂, z₃] of either graph.
    """
    means, seen = jnp.asarray(reading.means), jnp.asarray(reading.counts > 0)
    distances = _distances(means)
    one, two = (
        graphs.ratio_null(jax.random.key(seed), distances, jnp.asarray(g.adjacency), seen, RELABELLINGS)
        for g in (first, second)
    )
    planes = [graphs.spectral_embedding(jnp.asarray(g.adjacency), 2) for g in (first, second)]
    overlap = _overlaps(means, *planes)
    overlap = jnp.where(jnp.all(seen, axis=-1), overlap, jnp.nan)
    return Two(*(np.asarray(x) for x in (one.value, two.value, one.z, two.z, overlap)))


@jax.jit
def _overlaps(means: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    return jax.vmap(jax.vmap(lambda rows: _overlap(rows, first, second)))(means)


def _overlap(rows: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    centred = rows - rows.mean(axis=0)
    bases = [jnp.linalg.qr(centred.T @ plane)[0] for plane in (first, second)]
    return jnp.sum((bases[0].T @ bases[1]) ** 2) / 2
