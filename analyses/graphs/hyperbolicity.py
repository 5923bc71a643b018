"""Is a set of distances tree-like? Gromov's four-point condition, and how well trees and planes hold them."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..log_space import safe_sqrt

Distances = Float[Array, "node node"]
RATE, SMALL = 0.05, 0.2


@functools.partial(jax.jit, static_argnames="relative")
def delta_hyperbolicity(distances: Distances, *, relative: bool = True) -> Float[Array, ""]:
    """Gromov's δ over all quadruples, divided by the diameter if ``relative``: 0 for a tree, then at most 1/2.

    For four points the three sums of opposite distances are sorted; δ is half the gap of the two largest. O(n⁴) time,
    O(n³) memory: for graphs of up to about a hundred nodes.
    """

    def of_base(d: Array) -> Array:
        """With one point fixed, Gromov products and their max-min product."""
        product = (d[:, None] + d[None] - distances) / 2
        best = jnp.max(jnp.minimum(product[:, :, None], product[None]), axis=1)
        return jnp.max(best - product)

    delta = jnp.max(jax.lax.map(of_base, distances))
    return delta / jnp.max(distances) if relative else delta


@jax.jit
def stress(distances: Distances, embedded: Distances) -> Float[Array, ""]:
    """Kruskal's stress-1 after the best scale: sqrt(Σ (d - s e)² / Σ d²), 0 for a perfect embedding."""
    scale = jnp.sum(distances * embedded) / jnp.sum(embedded**2)
    return safe_sqrt(jnp.sum((distances - scale * embedded) ** 2) / jnp.sum(distances**2))


@jax.jit
def plane_stress(distances: Distances) -> Float[Array, ""]:
    """Stress of classical scaling into the Euclidean plane."""
    number = distances.shape[0]
    centre = jnp.eye(number) - 1 / number
    inner = jnp.matmul(jnp.matmul(centre, distances**2, precision="highest"), centre, precision="highest")
    values, vectors = jnp.linalg.eigh(-inner / 2)
    return stress(distances, _euclidean(vectors[:, -2:] * jnp.sqrt(jnp.maximum(values[-2:], 0))))


@functools.partial(jax.jit, static_argnames=("steps", "starts"))
def euclidean_stress(
    key: Key[Array, ""], distances: Distances, *, steps: int = 600, starts: int = 8
) -> Float[Array, ""]:
    """Least stress that descent from ``starts`` random placements finds in the Euclidean plane.

    Raises:
        ValueError: no step or no start.
    """
    _check_search(steps, starts)
    return jnp.min(jax.vmap(lambda key: _descent(_placed(key, distances), distances, _euclidean, steps)[1])(
        jax.random.split(key, starts)
    ))  # fmt: skip


@functools.partial(jax.jit, static_argnames=("steps", "starts"))
def poincare_stress(
    key: Key[Array, ""], distances: Distances, *, steps: int = 600, starts: int = 8
) -> Float[Array, ""]:
    r"""The same in the hyperbolic plane, whose curvature is free as the placement may take any size.

    .. math:: d(u, v) = 2\,\mathrm{arsinh} \frac{|u - v|}{\sqrt{(1 - |u|^2)(1 - |v|^2)}}

    in the Poincaré disc, with u = tanh(\|x\|/2) x/\|x\| of free x. Each start is the Euclidean placement that descent
    finds from the same key, made small, where the disc is flat: the result is about :func:`euclidean_stress` or less.
    Trees gain much (Sarkar 2011), grids little.

    Raises:
        ValueError: no step or no start.
    """
    _check_search(steps, starts)

    def one(key: Array) -> Array:
        flat = _descent(_placed(key, distances), distances, _euclidean, steps)[0]
        centred = flat - jnp.mean(flat, axis=0)
        small = SMALL * centred / jnp.sqrt(jnp.mean(centred**2))
        return _descent(small, distances, _hyperbolic, steps)[1]

    return jnp.min(jax.vmap(one)(jax.random.split(key, starts)))


def _check_search(steps: int, starts: int) -> None:
    if steps < 1 or starts < 1:
        raise ValueError(f"Got {steps} steps and {starts} starts. Expected 1 or more of each. Use the defaults.")


def _placed(key: Array, distances: Distances) -> Float[Array, "node 2"]:
    return jax.random.normal(key, (distances.shape[0], 2), distances.dtype)


def _euclidean(points: Float[Array, "node 2"]) -> Distances:
    return safe_sqrt(jnp.sum((points[:, None] - points[None]) ** 2, axis=-1))


def _hyperbolic(points: Float[Array, "node 2"]) -> Distances:
    radius = safe_sqrt(jnp.sum(points**2, axis=-1))
    in_disc = points * jnp.where(radius > 0, jnp.tanh(radius / 2) / jnp.where(radius > 0, radius, 1), 0.5)[:, None]
    # 1 / sqrt(1 - |u|²) is cosh(|x|/2), which does not lose its digits at the rim.
    stretch = jnp.cosh(radius / 2)
    return 2 * jnp.arcsinh(_euclidean(in_disc) * stretch[:, None] * stretch)


def _descent(
    start: Array, distances: Distances, metric: Callable[[Array], Array], steps: int
) -> tuple[Float[Array, "node 2"], Float[Array, ""]]:
    """Points and their stress after Adam (Kingma and Ba 2015) on its square, the rate falling to 0."""
    slope = jax.grad(lambda points: stress(distances, metric(points)) ** 2)

    def step(carry: tuple[Array, Array, Array], time: Array) -> tuple[tuple[Array, Array, Array], None]:
        points, mean, square = carry
        g = slope(points)
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g**2
        move = mean / (1 - 0.9 ** (time + 1)) / (jnp.sqrt(square / (1 - 0.99 ** (time + 1))) + 1e-9)
        return (points - RATE * (1 - time / steps) * move, mean, square), None

    zero = jnp.zeros_like(start)
    (points, _, _), _ = jax.lax.scan(step, (start, zero, zero), jnp.arange(steps, dtype=distances.dtype))
    return points, stress(distances, metric(points))


def neighbour_joining(distances: Float[Array | np.ndarray, "node node"]) -> Float[np.ndarray, "node node"]:
    r"""Distances between the leaves of the tree that neighbour joining builds: the given ones if these are a tree's.

    Again and again the two clusters of least :math:`(m - 2) d_{ij} - \sum_k d_{ik} - \sum_k d_{jk}` of the m that are
    left become one (Saitou and Nei 1987). A negative branch becomes 0, its length its sibling's. O(n³), on the host.
    """
    d = np.array(distances, float)
    clusters = [np.array([leaf]) for leaf in range(len(d))]
    depths = [np.zeros(1) for _ in clusters]  # from the cluster's top to each of its leaves
    tree = np.zeros_like(d)
    while len(clusters) > 1:
        m, total = len(d), d.sum(axis=1)
        joined = (m - 2) * d - total[:, None] - total
        np.fill_diagonal(joined, np.inf)
        i, j = sorted(int(x) for x in np.unravel_index(np.argmin(joined), joined.shape))
        first = d[i, j] / 2 + ((total[i] - total[j]) / (2 * (m - 2)) if m > 2 else 0)
        first = np.clip(first, 0, d[i, j])
        down = depths[i] + first, depths[j] + d[i, j] - first
        between = down[0][:, None] + down[1]
        tree[np.ix_(clusters[i], clusters[j])], tree[np.ix_(clusters[j], clusters[i])] = between, between.T
        rest = [c for c in range(m) if c not in (i, j)]
        to_new = np.maximum((d[i, rest] + d[j, rest] - d[i, j]) / 2, 0)
        d = np.block([[d[np.ix_(rest, rest)], to_new[:, None]], [to_new[None], np.zeros((1, 1))]])
        clusters = [*(clusters[c] for c in rest), np.concatenate((clusters[i], clusters[j]))]
        depths = [*(depths[c] for c in rest), np.concatenate(down)]
    return tree


def tree_distortion(distances: Float[Array | np.ndarray, "node node"]) -> float:
    """Stress of the tree of :func:`neighbour_joining`, 0 if the distances are a tree's; on the host.

    Nodes are leaves: 2 n - 3 branches are free, where a plane has 2 n coordinates.
    """
    d = np.asarray(distances, float)
    tree = neighbour_joining(d)
    scale = np.sum(d * tree) / np.sum(tree**2)
    return float(np.sqrt(np.sum((d - scale * tree) ** 2) / np.sum(d**2)))
