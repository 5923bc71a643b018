"""Maps of laws: intensive principal component analysis (InPCA), geodesics and guides to read them by.

n laws with squared distances D² are embedded so that Σ_k ±(c_ik − c_jk)² ∝ D²_ij exactly, with a minus sign on
axes of negative eigenvalue ("imaginary" ones): classical scaling, without the demand that the distance be
Euclidean. The distance of :func:`hellinger_squared_matrix` is Euclidean and has no imaginary axis; that of
:func:`bhattacharyya_matrix` has, and keeps laws without overlap apart. Sources: arXiv 1810.02877 (InPCA),
arXiv 2410.05218 (trajectories of a language model's laws over its context).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from .histograms import gaussian_log_masses
from .log_space import safe_log, safe_sqrt
from .resampling import Band, bootstrap_band
from .smoothing import moving_average

#: Axes whose eigenvalue is below this share of the largest, times the number of laws and the rounding unit,
#: carry rounding errors only: nothing new is projected on them.
NEGLIGIBLE = 10.0

#: Entries within this share of the largest count as equally large when the sign of an axis is chosen.
SIGN_TIE = 1e-4


class InPCA(NamedTuple):
    """An embedding of n laws on k axes, the most important first, and what projecting new laws needs."""

    coordinates: Float[Array, "law axis"]  #: u√|λ|
    eigenvalues: Float[Array, " axis"]  #: λ, by falling |λ|
    imaginary: Bool[Array, " axis"]  #: λ < 0: squared distances along this axis are subtracted
    explained: Float[Array, " axis"]  #: |λ| / Σ|λ|, of all n eigenvalues
    mean_distance: Float[Array, " law"]  #: mean over the laws of D² to each law
    scale: Float[Array, ""]  #: Σ_k ±(c_ik − c_jk)² = 2·scale·D²_ij; 1, or ½ when halved


def hellinger_squared_matrix(
    log_masses: Float[Array, "law bin"], others: Float[Array, "other bin"] | None = None
) -> Float[Array, "law other"]:
    """D²_ij = Σ_b (√p_ib − √q_jb)² = 2 − 2Σ√(pq), in [0, 2]: twice the square of :func:`analyses.hellinger`.

    ``others`` are the laws themselves unless given. Absolute rounding error of a few units in the last place
    of 2, so distances below 1e-4 (float32) or 1e-8 (float64) are noise.
    """
    root, other = _roots(log_masses, others)
    norms = jnp.sum(root**2, axis=1)[:, None] + jnp.sum(other**2, axis=1)
    return jnp.maximum(norms - 2 * _overlap(root, other), 0)


def bhattacharyya_matrix(
    log_masses: Float[Array, "law bin"], others: Float[Array, "other bin"] | None = None
) -> Float[Array, "law other"]:
    """D²_ij = D_B = −ln Σ_b √(p_ib q_jb), in nats; +∞ for laws without a common cell, which cannot be embedded."""
    root, other = _roots(log_masses, others)
    return jnp.maximum(-safe_log(_overlap(root, other)), 0)


def inpca(distance_squared: Float[Array, "law law"], *, num_axes: int | None = None, halved: bool = False) -> InPCA:
    """Eigendecomposition of W = −P D² P, P = 1 − 11ᵀ/n: coordinates u√|λ|, axes by falling |λ|.

    This is the published convention; ``halved=True`` takes W = −½ P D² P, which makes W the Gram matrix of
    Euclidean laws (classical multidimensional scaling) and divides coordinates by √2. All n axes are kept
    unless ``num_axes`` is given. Signs are fixed by making the largest entry of each u positive. NaN or
    infinite distances make everything NaN. Gradients exist where the eigenvalues are distinct.

    Raises:
        ValueError: fewer than two laws, or ``num_axes`` not in 1..n.
    """
    num_laws = distance_squared.shape[0]
    kept = num_laws if num_axes is None else num_axes
    if num_laws < 2 or not 1 <= kept <= num_laws:
        raise ValueError(
            f"inpca: got {kept} axes for {num_laws} laws; expected at least 2 laws and 1 <= num_axes <= {num_laws}; "
            "use num_axes=2 for a map"
        )
    scale = jnp.asarray(0.5 if halved else 1.0, distance_squared.dtype)
    mean_distance = jnp.mean(distance_squared, axis=1)
    values, vectors = jnp.linalg.eigh(_centred(distance_squared, mean_distance, scale))
    order = jnp.argsort(-jnp.abs(values))[:kept]
    total = jnp.sum(jnp.abs(values))
    values, vectors = values[order], vectors[:, order]
    size = jnp.abs(values)
    return InPCA(
        coordinates=vectors * _signs(vectors) * safe_sqrt(size),
        eigenvalues=values,
        imaginary=values < 0,
        explained=size / total,
        mean_distance=mean_distance,
        scale=scale,
    )


def project(fit: InPCA, distance_squared: Float[Array, "new law"]) -> Float[Array, "new axis"]:
    """Coordinates of laws that the map was not made of, from their D² to the n laws it was made of.

    c_ak = Σ_i w_ai c_ik / λ_k with w_ai = −(D²_ai − mean_i D²_ai − mean_j D²_ij + mean D²), times the map's scale
    (Gower 1968). A law of the map lands on itself, and distances between a new law and the map's are kept as
    far as they lie in its space. Coordinates on axes without an eigenvalue are 0.
    """
    weight = _centred(distance_squared, jnp.mean(distance_squared, axis=1), fit.scale, fit.mean_distance)
    size = jnp.abs(fit.eigenvalues)
    least = NEGLIGIBLE * fit.coordinates.shape[0] * jnp.finfo(size.dtype).eps * jnp.max(size)
    real = size > least
    along = jnp.matmul(weight, fit.coordinates, precision="highest")
    return jnp.where(real, along / jnp.where(real, fit.eigenvalues, 1), 0)


def trajectory_band(
    key: Key[Array, ""],
    fit: InPCA,
    references: Float[Array, "law bin"],
    log_masses: Float[Array, "seed time bin"],
    *,
    distance: Callable[[Float[Array, "new bin"], Float[Array, "law bin"]], Float[Array, "new law"]] = (
        hellinger_squared_matrix
    ),
    coverage: float = 0.95,
    num_resamples: int = 1000,
) -> Band:
    """Mean path over seeds on an existing map, with its bootstrap interval over seeds: each [time, axis].

    ``references`` are the laws the map was made of and ``distance`` what it was made with. Every seed's law is
    projected on its own and the coordinates are averaged, so the mean is not blurred as a mean law would be.

    Raises:
        ValueError: fewer than two seeds, or ``coverage`` not in (0, 1).
    """
    paths = jax.vmap(lambda laws: project(fit, distance(laws, references)))(log_masses)
    return bootstrap_band(
        key, lambda some: jnp.mean(some, axis=0), paths, coverage=coverage, num_resamples=num_resamples
    )


def hellinger_geodesic(
    log_p: Float[Array, " bin"], log_q: Float[Array, " bin"], t: float | Float[Array, ""]
) -> Float[Array, " bin"]:
    """ln of the law at t ∈ [0, 1] on the great circle from √p to √q, at constant speed.

    √r = [sin((1 − t)θ) √p + sin(tθ) √q] / sin θ with cos θ = Σ√(pq): the shortest path between laws in the
    Fisher–Rao metric. θ comes from the chord, 2 arcsin(½‖√p − √q‖), which near laws do not cancel in.
    """
    p, q = jnp.exp(0.5 * log_p), jnp.exp(0.5 * log_q)
    angle = 2 * jnp.arcsin(jnp.minimum(0.5 * safe_sqrt(jnp.sum((p - q) ** 2)), 1))
    apart = angle > 0
    divisor = jnp.where(apart, jnp.sin(angle), 1)
    from_p = jnp.where(apart, jnp.sin((1 - t) * angle) / divisor, 1 - t)
    from_q = jnp.where(apart, jnp.sin(t * angle) / divisor, t)
    return 2 * safe_log(from_p * p + from_q * q)


def gaussian_guide(
    means: Float[Array, " law"], sds: Float[Array, " law"], edges: Float[Array, " edge"]
) -> Float[Array, "law edge-1"]:
    """ln masses of N(mean, sd²), one a row: a curve (or sheet) of the Gaussian submanifold, to draw on a map."""
    return jax.vmap(gaussian_log_masses, in_axes=(0, 0, None))(means, sds, edges)


def running_mean(log_masses: Float[Array, "time bin"], window: int) -> Float[Array, "smoothed bin"]:
    """ln of the mean law of every ``window`` consecutive rows, at the centres of :func:`window_centres`.

    Raises:
        ValueError: the window is empty or longer than the trajectory.
    """
    mean = jax.vmap(moving_average, in_axes=(1, None), out_axes=1)(jnp.exp(log_masses), window)
    return safe_log(mean)


def _roots(log_masses: Array, others: Array | None) -> tuple[Array, Array]:
    root = jnp.exp(0.5 * log_masses)
    return root, root if others is None else jnp.exp(0.5 * others)


def _overlap(root: Float[Array, "law bin"], other: Float[Array, "other bin"]) -> Float[Array, "law other"]:
    # Half-precision products, the default on some devices, would drown near laws.
    return jnp.matmul(root, other.T, precision="highest")


def _centred(distance_squared: Array, row_mean: Array, scale: Array, column_mean: Array | None = None) -> Array:
    """W, without the two matrix products of P D² P."""
    column_mean = row_mean if column_mean is None else column_mean
    return -scale * (distance_squared - row_mean[:, None] - column_mean + jnp.mean(column_mean))


def _signs(vectors: Float[Array, "law axis"]) -> Float[Array, " axis"]:
    """±1 that makes the (first of the) largest entries of each column positive."""
    size = jnp.abs(vectors)
    first = jnp.argmax(size >= (1 - SIGN_TIE) * jnp.max(size, axis=0), axis=0)
    chosen = jnp.take_along_axis(vectors, first[None], axis=0)[0]
    return jnp.where(chosen < 0, -1, 1).astype(vectors.dtype)
