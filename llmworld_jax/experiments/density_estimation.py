"""How a model estimates a density it reads samples of: its laws beside a histogram's and kernel estimators'.

For one iid system: the model's law after n samples, the laws of a Bayesian histogram, of Silverman's kernel
estimator and of the kernel estimator that resembles the model most, one map of them all (InPCA), and how the
resembling kernel narrows with n. Everything runs in float64, whatever the model ran in. Source: arXiv 2410.05218.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses
from analyses.kernel_density import KernelFit

from ..errors import InputError

HISTOGRAM_SMOOTHING = 1.0
GEODESIC_POINTS = 33
AXES = 4
MODEL_NAME, HISTOGRAM_NAME, SILVERMAN_NAME, KERNEL_NAME = "model", "histogram", "Silverman", "fitted kernel"


class Embedding(NamedTuple):
    """A map of laws: coordinates on the first axes, the more important first."""

    paths: dict[str, np.ndarray]
    """One ``[context, axis]`` for every estimator."""
    truth: np.ndarray
    uniform: np.ndarray
    geodesic: np.ndarray
    """``[point, axis]``: the shortest way from the uniform law to the truth."""
    explained: np.ndarray
    """Share of Σ|λ| of each axis."""
    imaginary: np.ndarray
    """Axes along which squared distances are subtracted."""


class DensityStory(NamedTuple):
    """What the samples of one system taught each estimator, at some context lengths n.

    Laws are ln masses ``[context, bin]`` of the item after n samples. Bandwidths are standard deviations of the
    kernel in display units (the grid spans 10). Divergences are in nats.
    """

    contexts: np.ndarray
    trajectories: dict[str, np.ndarray]
    truth: np.ndarray
    uniform: np.ndarray
    fit: KernelFit
    """``bandwidth``, ``shape``, ``divergence`` (model from the fitted kernel estimate) and ``at_bound``, each
    ``[context]``."""
    silverman_bandwidth: np.ndarray
    divergence: dict[str, np.ndarray]
    """KL(truth‖estimator) ``[context]``; infinite where an estimator forbids what the truth allows."""
    bandwidth_exponent: float
    """Slope of ln h on ln n over the fits inside the range; NaN with fewer than three. Silverman: −1/5."""
    embedding: Embedding


def density_story(
    log_mass: np.ndarray,
    codes: np.ndarray,
    truth_mass: np.ndarray,
    edges: np.ndarray,
    contexts: np.ndarray,
    *,
    window: int = 5,
    smoothing: float = HISTOGRAM_SMOOTHING,
) -> DensityStory:
    """Everything about one series ``codes [time]`` and the model's laws of its items ``log_mass [time, bin]``.

    ``truth_mass [bin]`` is the law the items come from, on the equal cells of ``edges``. The model's law at n is
    the mean over ``window`` rows around n, because single rows jitter with the last item read; the estimators
    that count do not, and are taken at n. Silverman's law is uniform at n = 1.

    Raises InputError where shapes disagree, cells are unequal, or a context length has no whole window of laws.
    """
    contexts = _checked(log_mass, codes, truth_mass, edges, np.asarray(contexts), window)
    with jax.enable_x64(True):
        smooth = analyses.running_mean(jnp.asarray(log_mass, jnp.float64), window)
        model, grid = np.asarray(smooth)[contexts - window // 2], jnp.asarray(edges, jnp.float64)
        laws, fit, bandwidth = jax.tree.map(
            np.asarray, _estimators(jnp.asarray(model), jnp.asarray(codes), jnp.asarray(contexts), grid, smoothing)
        )
        truth = np.asarray(analyses.safe_log(jnp.asarray(truth_mass, jnp.float64)))
    trajectories = dict(zip((MODEL_NAME, HISTOGRAM_NAME, SILVERMAN_NAME, KERNEL_NAME), laws, strict=True))
    uniform = np.full(len(truth), -np.log(len(truth)))
    unit = (edges[-1] - edges[0]) / 10
    return DensityStory(
        contexts=contexts,
        trajectories=trajectories,
        truth=truth,
        uniform=uniform,
        fit=fit._replace(bandwidth=fit.bandwidth / unit),
        silverman_bandwidth=bandwidth / unit,
        divergence={name: _divergence(law, truth) for name, law in trajectories.items()},
        bandwidth_exponent=_exponent(contexts, fit),
        embedding=embed(trajectories, truth, uniform),
    )


def embed(trajectories: dict[str, np.ndarray], truth: np.ndarray, uniform: np.ndarray) -> Embedding:
    """InPCA, with squared Hellinger distances, of all laws together with the geodesic from ``uniform`` to ``truth``.

    Every trajectory is ln masses ``[context, bin]``; they may differ in length. All share the axes.
    """
    lengths = [len(path) for path in trajectories.values()]
    with jax.enable_x64(True):
        paths = jnp.asarray(np.concatenate([np.asarray(path, np.float64) for path in trajectories.values()]))
        ends = (jnp.asarray(law, jnp.float64) for law in (uniform, truth))
        fit = jax.tree.map(np.asarray, _embedding(paths, *ends))
    *split, geodesic = np.split(fit.coordinates, np.cumsum(lengths))
    return Embedding(
        paths=dict(zip(trajectories, split, strict=True)),
        truth=geodesic[-1],
        uniform=geodesic[0],
        geodesic=geodesic,
        explained=fit.explained,
        imaginary=fit.imaginary,
    )


@jax.jit
def _embedding(paths: jax.Array, uniform: jax.Array, truth: jax.Array) -> analyses.InPCA:
    along = jnp.linspace(0, 1, GEODESIC_POINTS)
    geodesic = jax.vmap(lambda t: analyses.hellinger_geodesic(uniform, truth, t))(along)
    laws = jnp.concatenate([paths, geodesic])
    return analyses.inpca(analyses.hellinger_squared_matrix(laws), num_axes=min(AXES, laws.shape[0]))


@jax.jit
def _estimators(
    model: jax.Array, codes: jax.Array, contexts: jax.Array, edges: jax.Array, smoothing: float | jax.Array
) -> tuple[tuple[jax.Array, ...], KernelFit, jax.Array]:
    """Laws of model, histogram, Silverman and fitted kernel, each [context, bin]; the fit; Silverman's h."""
    bins = edges.shape[0] - 1
    counts = analyses.counts_before(codes, bins)[contexts]
    weight = counts + smoothing
    histogram = jnp.log(weight / jnp.sum(weight, axis=1, keepdims=True))
    bandwidth = jax.vmap(analyses.silverman_bandwidth, in_axes=(0, None))(counts, edges)
    fit = jax.vmap(analyses.fit_kernel, in_axes=(0, 0, None))(model, counts, edges)
    known = jnp.isfinite(bandwidth)
    widths = jnp.stack([jnp.where(known, bandwidth, 1), fit.bandwidth])
    shapes = jnp.stack([jnp.full_like(bandwidth, 2), fit.shape])
    estimate = jax.vmap(analyses.counts_density, in_axes=(0, None, 0, 0))
    gaussian, kernel = jax.vmap(estimate, in_axes=(None, None, 0, 0))(counts, edges, widths, shapes)
    silverman = jnp.where(known[:, None], gaussian, -jnp.log(jnp.asarray(bins, gaussian.dtype)))
    return (model, histogram, silverman, kernel), fit, bandwidth


def _divergence(law: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """KL(truth‖law) of each row."""
    mass = np.exp(truth)
    occupied = mass > 0
    return np.sum(mass[occupied] * (truth[occupied] - law[:, occupied]), axis=1)


def _exponent(contexts: np.ndarray, fit: KernelFit) -> float:
    inside = ~np.asarray(fit.at_bound)
    if inside.sum() < 3:
        return float("nan")
    return float(np.polyfit(np.log(contexts[inside]), np.log(fit.bandwidth[inside]), 1)[0])


def _checked(
    log_mass: np.ndarray, codes: np.ndarray, truth: np.ndarray, edges: np.ndarray, contexts: np.ndarray, window: int
) -> np.ndarray:
    """Context lengths as whole numbers. Raises InputError."""
    time, bins = np.shape(log_mass)
    if np.shape(codes) != (time,) or np.shape(truth) != (bins,) or np.shape(edges) != (bins + 1,):
        raise InputError(
            f"laws {np.shape(log_mass)}, codes {np.shape(codes)}, truth {np.shape(truth)}, edges {np.shape(edges)}",
            "[time, bin], [time], [bin] and [bin + 1]",
            "Give all of one series on one grid",
        )
    if not np.allclose(np.diff(edges), (edges[-1] - edges[0]) / bins, rtol=1e-6):
        raise InputError("cells of different widths", "equal cells", "Use the edges of the numerals")
    if window < 1 or window % 2 == 0:
        raise InputError(f"a window of {window}", "an odd number >= 1", "Use 5, or 1 for no smoothing")
    least, most = max(1, window // 2), time - 1 - window // 2
    whole = np.issubdtype(contexts.dtype, np.integer) and contexts.ndim == 1 and len(contexts) > 1
    if not whole or np.any(contexts < least) or np.any(contexts > most) or np.any(np.diff(contexts) <= 0):
        raise InputError(
            f"context lengths {contexts.tolist()} for {time} items and windows of {window}",
            f"at least two ascending whole numbers between {least} and {most}",
            "Leave the others out, or use a shorter window",
        )
    missing = np.isnan(log_mass[contexts[:, None] + np.arange(window) - window // 2]).any(axis=(1, 2))
    if missing.any():
        raise InputError(
            f"no law of some item near context length {contexts[missing][0]}",
            f"a law of every item in a window of {window}",
            "Nothing precedes item 0 unless there is a start token: begin later",
        )
    return contexts
