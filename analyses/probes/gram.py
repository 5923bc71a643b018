"""Eigenvectors of Gram matrices whose eigenvalues span more orders of magnitude than single precision holds.

Rounding drowns eigenvalues below eps of the largest: 1e-7 in single precision, where one outlying feature of a
language model holds nearly all variance and the penalties of interest lie below that. With the rows at hand the lost
digits are found again; from the matrix alone only those that differ between features. In double precision both are
``eigh``, and what is below 0 by rounding is 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def rows_eigh(
    a: Float[Array, "row rank"],
) -> tuple[Float[Array, " rank"], Float[Array, "rank rank"], Float[Array, "row rank"]]:
    """Eigenvalues of aᵀa, ascending, its eigenvectors Q, and aQ.

    In single precision the weak columns of aQ are made orthogonal to the strong ones and decomposed once more among
    themselves, by their own, far smaller Gram matrix.
    """
    # With the barrier XLA calls a library for the product also on a CPU in double precision: twice as fast.
    transposed = jax.lax.optimization_barrier(a.T)
    values, vectors = jnp.linalg.eigh(jnp.matmul(transposed, a, precision="highest"))
    scores = jnp.matmul(a, vectors, precision="highest")
    if a.dtype == jnp.float64:
        return jnp.maximum(values, 0), vectors, scores
    strong = values > jnp.finfo(a.dtype).eps ** 0.5 * values[-1]
    overlap = jnp.matmul(scores.T, scores, precision="highest")
    energy = jnp.where(strong, jnp.diagonal(overlap), 1)
    shared = jnp.where(strong[:, None] & ~strong, overlap / energy[:, None], 0)
    weak = jnp.where(strong, 0, scores - jnp.matmul(scores, shared, precision="highest"))
    gram = jnp.matmul(weak.T, weak, precision="highest")
    size = jnp.linalg.norm(gram)  # strong columns get an eigenvalue of about this size, which keeps them last
    _, turn = jnp.linalg.eigh(gram + jnp.diag(jnp.where(strong, jnp.where(size > 0, 2 * size, 1), 0)))
    turn = jnp.where(strong[:, None] | strong, jnp.eye(strong.shape[0], dtype=a.dtype), turn)
    scores = jnp.where(strong, scores, jnp.matmul(weak, turn, precision="highest"))
    return jnp.sum(scores**2, axis=0), jnp.matmul(vectors, turn, precision="highest"), scores


def gram_eigh(gram: Float[Array, "width width"]) -> tuple[Float[Array, " width"], Float[Array, "width width"]]:
    """Eigenvalues, ascending, and eigenvectors of a Gram matrix of which the rows are not known.

    In single precision they are those of a square root that is taken in standard deviations of each feature, where
    rounding counts for small features by their own size.
    """
    if gram.dtype == jnp.float64:
        values, vectors = jnp.linalg.eigh(gram)
        return jnp.maximum(values, 0), vectors
    scale = jnp.sqrt(jnp.maximum(jnp.diagonal(gram), 0))
    unit = jnp.where(scale > 0, 1 / jnp.where(scale > 0, scale, 1), 0)
    values, vectors = jnp.linalg.eigh(gram * unit[:, None] * unit)
    return rows_eigh(jnp.sqrt(jnp.maximum(values, 0))[:, None] * vectors.T * scale)[:2]
