"""Is a set of distances tree-like? Gromov's four-point condition, and the price of flattening."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Distances = Float[Array, "node node"]


def delta_hyperbolicity(distances: Distances) -> Float[Array, ""]:
    """Gromov's δ over all quadruples, divided by the diameter: 0 for a tree, at most 1/2.

    For four points the three sums of opposite distances are sorted; δ is half the gap of the two largest. O(n⁴) time,
    O(n³) memory: for graphs of up to about a hundred nodes.
    """

    def of_base(d: Array) -> Array:
        """With one point fixed, Gromov products and their max-min product."""
        product = (d[:, None] + d[None] - distances) / 2
        best = jnp.max(jnp.minimum(product[:, :, None], product[None]), axis=1)
        return jnp.max(best - product)

    return jnp.max(jax.lax.map(of_base, distances)) / jnp.max(distances)


def stress(distances: Distances, embedded: Distances) -> Float[Array, ""]:
    """Kruskal's stress-1 after the best scale: sqrt(Σ (d - s e)² / Σ d²), 0 for a perfect embedding."""
    scale = jnp.sum(distances * embedded) / jnp.sum(embedded**2)
    return jnp.sqrt(jnp.sum((distances - scale * embedded) ** 2) / jnp.sum(distances**2))


def plane_stress(distances: Distances) -> Float[Array, ""]:
    """Stress of classical scaling into the Euclidean plane."""
    number = distances.shape[0]
    centre = jnp.eye(number) - 1 / number
    values, vectors = jnp.linalg.eigh(-centre @ distances**2 @ centre / 2)
    points = vectors[:, -2:] * jnp.sqrt(jnp.maximum(values[-2:], 0))
    gaps = points[:, None] - points[None]
    return stress(distances, jnp.sqrt(jnp.sum(gaps**2, axis=-1)))
