"""The ideal observer of a one-dimensional chain that is seen only through cells.

The chain x_t is a real number; what is written is the cell that holds it. The observer has a finite set of hypotheses θ
about the chain's law and, for each, a belief about where in the last cell the number lies: weights on K equal pieces
of it, uniform inside each (Ulam's method). Bayes' rule does the rest. Exact for the hypotheses on the list as K grows,
with an error of order 1/K² where the law is smooth across a piece; a deterministic map is blurred by one K-th of a
cell.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

#: Entries of the table [hypothesis, piece, edge] that are held at a time.
TABLE_SIZE = 2**19

Cdf = Callable[[PyTree, Float[Array, ""], Float[Array, ""], Float[Array, ""]], Float[Array, ""]]
"""``cdf(theta, left, right, x)`` = P(next < x | current uniform on [left, right])."""


class CellPosterior(NamedTuple):
    """What the observer knew before each item: row t from the cells before t."""

    log_mass: Float[Array, "time bin"]  #: ln P(item t in bin), given that it is on the grid
    log_weight: Float[Array, "time hypothesis"]  #: ln P(hypothesis)


class _Belief(NamedTuple):
    log_weight: Float[Array, " hypothesis"]
    pieces: Float[Array, "hypothesis piece"]


def cell_filter(
    cdf: Cdf,
    hypotheses: PyTree[Array],
    log_prior: Float[Array, " hypothesis"],
    codes: Int[Array, " time"],
    edges: Float[Array, " edge"],
    *,
    num_pieces: int = 8,
    leak: float = 1e-6,
) -> CellPosterior:
    """Posterior predictive P(next in b) = Σ_j π_j Σ_k w_jk P_j(b | x uniform on piece k), updated cell by cell:

    w_jk′ ∝ Σ_k w_jk P_j(piece k′ of the observed cell | piece k),   π_j ∝ π_j Σ_k w_jk P_j(observed cell | piece k).

    Row 0 is uniform over the grid and the first item uniform in its cell. Every law is mixed with a share ``leak`` of
    the uniform one, in the prediction and in the update, so that a surprise kills no hypothesis and no prediction is
    zero. Laws are restricted to the grid after mixing, not in the likelihood. Time is time · hypothesis · piece · edge
    evaluations of ``cdf``; memory is hypothesis · (bin + piece), beside a table of ``TABLE_SIZE``.

    Args:
        cdf: the law; it need not be normalised on the grid.
        hypotheses: array or tree of arrays with a leading hypothesis axis.
        log_prior: ln of the prior weights, up to a constant.

    Raises:
        ValueError: no pieces, a leak outside (0, 1), or a prior of another length than the hypotheses.
    """
    _check(hypotheses, log_prior, num_pieces, leak)
    num_bins, num_hypotheses = edges.shape[0] - 1, log_prior.shape[0]
    batch_size = max(1, min(num_hypotheses, TABLE_SIZE // (num_pieces * (num_bins + num_pieces))))
    ramp = jnp.arange(num_pieces + 1, dtype=edges.dtype) / num_pieces

    def cuts(cell: Array) -> Array:
        return edges[cell] + (edges[cell + 1] - edges[cell]) * ramp

    def step(belief: _Belief, pair: tuple[Array, Array]) -> tuple[_Belief, CellPosterior]:
        cell, following = pair
        now, at = cuts(cell), jnp.concatenate([edges, cuts(following)])

        def one(member: tuple[PyTree, Array]) -> tuple[Array, Array]:
            below = _below(cdf, *member, now, at)
            return jnp.diff(below[: num_bins + 1]), jnp.diff(below[num_bins + 1 :])

        masses, inside = jax.lax.map(one, (hypotheses, belief.pieces), batch_size=batch_size)
        masses, inside = jnp.maximum(masses, 0), jnp.maximum(inside, 0)
        mixed = jnp.exp(belief.log_weight) @ masses
        # A belief with nothing on the grid predicts the leak alone.
        law = (1 - leak) * mixed / jnp.maximum(jnp.sum(mixed), jnp.finfo(edges.dtype).tiny) + leak / num_bins
        pieces = (1 - leak) * inside + leak / (num_bins * num_pieces)
        likelihood = jnp.sum(pieces, axis=1)
        log_weight = jax.nn.log_softmax(belief.log_weight + jnp.log(likelihood))
        known = CellPosterior(jnp.log(law / jnp.sum(law)), belief.log_weight)
        return _Belief(log_weight, pieces / likelihood[:, None]), known

    log_weight = jax.nn.log_softmax(log_prior.astype(edges.dtype))
    start = _Belief(log_weight, jnp.full((num_hypotheses, num_pieces), 1 / num_pieces, edges.dtype))
    _, known = jax.lax.scan(step, start, (codes[:-1], codes[1:]))
    width = jnp.diff(edges)
    first = CellPosterior(jnp.log(width / jnp.sum(width)), log_weight)
    return jax.tree.map(lambda row, rows: jnp.concatenate([row[None], rows]), first, known)


def _below(
    cdf: Cdf, theta: PyTree[Array], weight: Float[Array, " piece"], now: Float[Array, " cut"], at: Float[Array, " x"]
) -> Float[Array, " x"]:
    """P(next < x), with ``weight`` on the pieces between the cuts ``now``."""
    table = jax.vmap(lambda left, right: jax.vmap(lambda x: cdf(theta, left, right, x))(at))(now[:-1], now[1:])
    return weight @ table


def averaged_cdf(cdf: Callable[[PyTree, Float[Array, ""], Float[Array, ""]], Float[Array, ""]], num_nodes: int) -> Cdf:
    """``cdf(theta, x, y)`` = P(next < y | current = x), averaged over x in [left, right] at Gauss–Legendre nodes.

    One node is the midpoint: enough when the law moves little across a piece.

    Raises:
        ValueError: ``num_nodes`` < 1.
    """
    if num_nodes < 1:
        raise ValueError(f"averaged_cdf: got num_nodes {num_nodes}; expected at least 1; 1 or 2 is usual")
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)

    def averaged(theta: PyTree, left: Array, right: Array, y: Array) -> Array:
        middle, half = 0.5 * (left + right), 0.5 * (right - left)
        values = [
            0.5 * float(weight) * cdf(theta, middle + float(node) * half, y) for node, weight in zip(nodes, weights)
        ]
        return jnp.sum(jnp.stack(values), axis=0)

    return averaged


def _check(hypotheses: PyTree[Array], log_prior: Array, num_pieces: int, leak: float) -> None:
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(hypotheses)}
    if counts != {log_prior.shape[0]}:
        raise ValueError(
            f"cell_filter: got {log_prior.shape[0]} prior weights for leading axes {sorted(counts)}; expected the same "
            "number in every array; use jnp.meshgrid(...) raveled for a product of grids"
        )
    if num_pieces < 1 or not 0 < leak < 1:
        raise ValueError(
            f"cell_filter: got num_pieces {num_pieces} and leak {leak}; expected at least 1 and a share in (0, 1); "
            "use 8 pieces and 1e-6"
        )
