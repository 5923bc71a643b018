"""The least energy without a model: free vectors descend, and end as the Laplacian's own modes.

Theorem 5.1 of Park et al., arXiv 2501.00070: among centred vectors with given, different singular values the energy is
least where principal components are the smoothest modes. Unconstrained it falls to zero by collapse, which is shown
beside it: that is why prompts are trained on the ratio.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses import graphs
from systems.graphs import Graph

from ..figure_style import MODEL, RC, TRUTH, WIDTH, panel_title, png, pyplot

SINGULAR_VALUES = (2.0, 1.6, 1.2, 0.8)
STEPS = 1500
RATE = 0.02


class LeastEnergy(NamedTuple):
    """``energy`` before each step and its least; ``rows`` at the end; ``captured``: share of each row's direction in
    the modes up to its own eigenvalue's group; ``free`` and ``free_ratio``: energy and R of an unconstrained descent of
    E from the same rows."""

    energy: np.ndarray
    least: float
    rows: np.ndarray
    captured: np.ndarray
    free: np.ndarray
    free_ratio: np.ndarray


def least_energy(graph: Graph, seed: int) -> LeastEnergy:
    """``LeastEnergy`` of one graph."""
    adjacency = jnp.asarray(graph.adjacency, jnp.float32)
    sizes = jnp.asarray(SINGULAR_VALUES[: graph.num_nodes - 1])
    found = graphs.descend_energy(jax.random.key(seed), adjacency, sizes, STEPS)
    modes = graphs.laplacian_modes(adjacency)
    values, vectors = np.asarray(modes.values), np.asarray(modes.vectors)
    directions = np.asarray(found.rows) / np.asarray(sizes)
    captured = []
    for k in range(len(sizes)):  # equal eigenvalues share a plane: only that is determined
        group = np.isclose(values, values[k + 1], atol=1e-3)
        captured.append(float(np.sum((vectors[:, group].T @ directions[:, k]) ** 2)))
    free, ratio = _free(jax.random.key(seed), adjacency, len(sizes))
    return LeastEnergy(
        np.asarray(found.energy), float(graphs.minimal_energy(adjacency, sizes)), np.asarray(found.rows),
        np.array(captured), np.asarray(free), np.asarray(ratio),
    )  # fmt: skip


def _free(key: jax.Array, adjacency: jax.Array, rank: int) -> tuple[jax.Array, jax.Array]:
    def step(rows: jax.Array, _: None) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        energy, slope = jax.value_and_grad(graphs.dirichlet_energy)(rows, adjacency)
        return rows - RATE * slope, (energy, graphs.dirichlet_ratio(rows, adjacency))

    start = jax.random.normal(key, (adjacency.shape[0], rank))
    return jax.lax.scan(step, start, None, length=200)[1]


def theorem_figure(graph: Graph, found: LeastEnergy) -> bytes:
    """Energy of both descents, and the plane of the first two directions with the graph's edges."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.7), layout="constrained")
        axes[0].plot(np.arange(1, STEPS + 1), found.energy, color=MODEL, lw=1.6, label="descent")
        axes[0].axhline(found.least, color=TRUTH, lw=1, ls=(0, (4, 2)), label="least, in closed form")
        axes[0].set(xlabel="step", ylabel="Dirichlet energy", xscale="log", ylim=(0, None))
        axes[0].legend(loc="upper right")
        panel_title(axes[0], "Sizes held", graph.name)
        points = found.rows[:, :2]
        for i, j in graph.edges:
            axes[1].plot(*points[[i, j]].T, color="#c9ced4", lw=1.1, zorder=1)
        axes[1].scatter(*points.T, s=14, color=MODEL, lw=0, zorder=2)
        axes[1].set(xticks=(), yticks=(), xlabel="PC 1", ylabel="PC 2")
        axes[1].set_aspect("equal", adjustable="datalim")
        panel_title(axes[1], "Where it ends", "first two components")
        axes[2].plot(found.free / found.free[0], color=MODEL, lw=1.6, label="energy, of its start")
        axes[2].plot(found.free_ratio, color=TRUTH, lw=1.6, label="ratio R")
        axes[2].set(xlabel="step", ylabel="", ylim=(0, None))
        axes[2].legend(loc="center right")
        panel_title(axes[2], "Nothing held", "energy falls to 0 by collapse")
        return png(figure)
