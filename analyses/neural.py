"""The neural autoregression of arXiv 2402.00795: a small network gives the next number's mean and spread.

A multilayer perceptron 1 → 64 → 32 → 16 → 2 with leaky rectifiers reads the last value and returns μ and ln σ of
the next; it is trained by Adam (10⁻³) on the Gaussian negative log-likelihood of all pairs at once, for at most
1000 epochs, and stops when the training loss has not improved for 30. That is the published baseline. It
differs in what follows, so that its curves are those of the context alone:

* every context length is trained from a fresh draw of the weights; the published network is warm-started from
  the previous length, so its curve depends on the order and the number of lengths visited;
* it reads the digits that the language model reads, not the full-precision series;
* values are standardised by the mean and standard deviation of the context, and never by what comes later;
* σ² has w²/12 added for the mean cell width w, in training as in the prediction: values known to one cell support
  no sharper law, and the likelihood of a few pairs has no bound otherwise;
* the weights of the epoch with the best training loss are kept;
* a context with no pair (fewer than two items) gives the uniform law, where the published loss is NaN;
* no series is dropped because it "did not converge".
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from .histograms import gaussian_log_masses

LAYERS = (1, 64, 32, 16, 2)
LEARNING_RATE = 1e-3
MAX_EPOCHS = 1000
PATIENCE = 30

Weights = list[tuple[Array, Array]]


class NeuralFit(NamedTuple):
    """A trained network with the units it was trained in."""

    weights: Weights  #: (matrix [in, out], offset [out]) of each layer
    centre: Float[Array, ""]  #: mean of the context, taken from a value before it is read
    scale: Float[Array, ""]  #: standard deviation of the context, at least w/√12
    resolution: Float[Array, ""]  #: w²/12 in units of scale², added to σ²


class _Training(NamedTuple):
    """State of the loop over epochs."""

    weights: Weights
    optimiser: optax.OptState
    best: Weights
    best_loss: Array
    epoch: Array
    stale: Array  # epochs since the training loss last improved


def neural_autoregression(
    key: Key[Array, ""],
    values: Float[Array, " time"],
    edges: Float[Array, " edge"],
    contexts: Sequence[int],
    window: int,
) -> Float[Array, "checkpoint window edge-1"]:
    """ln cell masses of items c .. c + window − 1 for every context length c, by a network trained on items before c.

    Each item is predicted from its own predecessor; neither it nor any item from c on was in the training. The
    context lengths are trained side by side (``vmap``), which takes as long as the one that stops last.

    Raises:
        ValueError: ``window`` < 1, no contexts, a context < 1, or a window that passes the end of the series.
    """
    time = values.shape[0]
    if window < 1 or not contexts or min(contexts) < 1 or max(contexts) + window > time:
        raise ValueError(
            f"neural_autoregression: got contexts {list(contexts)} and window {window} for {time} items; expected "
            f"at least one context >= 1 and windows >= 1 that end by {time}; use contexts up to {time - window}"
        )
    lengths = np.asarray(contexts, np.int32)
    fits = fit_neural_autoregression(key, values, edges, jnp.asarray(lengths))
    last = values[lengths[:, None] + np.arange(window) - 1]

    def law(fit: NeuralFit, x: Array) -> Array:
        return gaussian_log_masses(*neural_prediction(fit, x), edges)

    laws = jax.vmap(jax.vmap(law, in_axes=(None, 0)))(fits, last)
    uniform = jnp.log(jnp.diff(edges) / (edges[-1] - edges[0]))
    return jnp.where((lengths >= 2)[:, None, None], laws, uniform)


def fit_neural_autoregression(
    key: Key[Array, ""],
    values: Float[Array, " time"],
    edges: Float[Array, " edge"],
    contexts: Int[Array, " checkpoint"],
) -> NeuralFit:
    """One trained network per context length c (leading axis of every leaf): see the module for the recipe.

    Its draw of the weights is that of ``fold_in(key, c)``, whatever other contexts are asked for.
    """
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, contexts)
    return jax.vmap(_fit, in_axes=(0, None, None, 0))(keys, values, edges, contexts)


def neural_prediction(fit: NeuralFit, x: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation of the number after ``x``, both in the units of the series."""
    mean, variance = _read(fit.weights, (x - fit.centre) / fit.scale, fit.resolution)
    return fit.centre + fit.scale * mean, fit.scale * jnp.sqrt(variance)


def _fit(
    key: Key[Array, ""], values: Float[Array, " time"], edges: Float[Array, " edge"], context: Int[Array, ""]
) -> NeuralFit:
    cell_variance = jnp.mean(jnp.diff(edges)) ** 2 / 12
    index = jnp.arange(values.shape[0], dtype=jnp.int32)
    seen = index < context
    centre = jnp.sum(jnp.where(seen, values, 0)) / jnp.maximum(context, 1)
    spread = jnp.sum(jnp.where(seen, values - centre, 0) ** 2) / jnp.maximum(context, 1)
    scale = jnp.sqrt(jnp.maximum(spread, cell_variance))
    resolution = cell_variance / scale**2
    z = jnp.where(seen, (values - centre) / scale, 0)
    weights = _train(key, z[:-1], z[1:], seen[1:], resolution)
    return NeuralFit(weights, centre, scale, resolution)


def _train(
    key: Key[Array, ""],
    x: Float[Array, " pair"],
    y: Float[Array, " pair"],
    used: Array,
    resolution: Float[Array, ""],
) -> Weights:
    optimiser = optax.adam(LEARNING_RATE)
    count = jnp.maximum(jnp.sum(used), 1)

    def loss_of(weights: Weights) -> Array:
        mean, variance = jax.vmap(_read, in_axes=(None, 0, None))(weights, x, resolution)
        return jnp.sum(jnp.where(used, 0.5 * jnp.log(variance) + 0.5 * (y - mean) ** 2 / variance, 0)) / count

    def epoch(state: _Training) -> _Training:
        loss, gradient = jax.value_and_grad(loss_of)(state.weights)
        improved = loss < state.best_loss
        best = jax.tree.map(lambda new, old: jnp.where(improved, new, old), state.weights, state.best)
        updates, optimiser_state = optimiser.update(gradient, state.optimiser)
        return _Training(
            [(w + dw, b + db) for (w, b), (dw, db) in zip(state.weights, updates, strict=True)],
            optimiser_state,
            best,
            jnp.minimum(loss, state.best_loss),
            state.epoch + 1,
            jnp.where(improved, 0, state.stale + 1),
        )

    def going_on(state: _Training) -> Array:
        return (state.epoch < MAX_EPOCHS) & (state.stale < PATIENCE)

    start = _draw(key, x.dtype)
    none = jnp.zeros((), jnp.int32)
    infinite = jnp.full((), jnp.inf, x.dtype)
    return jax.lax.while_loop(
        going_on, epoch, _Training(start, optimiser.init(start), start, infinite, none, none)
    ).best


def _draw(key: Key[Array, ""], dtype: jnp.dtype) -> Weights:
    """Weights and offsets uniform on ±1/√inputs, the published network's default."""
    pairs = list(itertools.pairwise(LAYERS))
    weights = []
    for layer, (inputs, outputs) in zip(jax.random.split(key, len(pairs)), pairs, strict=True):
        for_matrix, for_offset = jax.random.split(layer)
        bound = inputs**-0.5
        matrix = jax.random.uniform(for_matrix, (inputs, outputs), dtype, -bound, bound)
        weights.append((matrix, jax.random.uniform(for_offset, (outputs,), dtype, -bound, bound)))
    return weights


def _read(weights: Weights, x: Float[Array, ""], resolution: Float[Array, ""]) -> tuple[Array, Array]:
    """μ and σ² + w²/12 in standardised units."""
    hidden = x[None]
    for matrix, offset in weights[:-1]:
        hidden = jax.nn.leaky_relu(hidden @ matrix + offset)
    matrix, offset = weights[-1]
    mean, log_sd = hidden @ matrix + offset
    return mean, jnp.exp(2 * log_sd) + resolution
