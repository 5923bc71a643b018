"""The nonlinear probe of arXiv 2310.02207, section 3.2: what a small network reads beyond a linear map.

width → 256 → target with one ReLU layer; AdamW (10⁻³) on the mean squared error of targets standardised over the
training rows; batches of 512, at most 20 epochs, stopped after 3 epochs without a better error on a validation
slice, a tenth of the training rows; the weight decay with the least validation error is chosen. It differs from the
published code in this:

* the weights of the best epoch are kept, not those at the stop three epochs later;
* initial weights, validation slice and batches all follow from a key; every weight decay gets the same draws;
* inputs lose the training mean and are divided by one number, the root mean square of what is left over all training
  rows and channels (``scaled=False``: neither). Residual streams grow with depth, and a few channels are large and
  nearly constant: were their mean left in, it would swallow the scale.

Steps, not epochs, train a network: the published probe took about 1,100 (31,668 rows); 2,400 rows give 100 in 20
epochs, and few validation rows stop it at random. Lower the batch for small sets before calling a linear probe the
better one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

HIDDEN = 256
LEARNING_RATE = 1e-3
DECAYS = (0.01, 0.03, 0.1, 0.3)


class MLPWeights(NamedTuple):
    """One hidden layer, in the units of scaled inputs and standardised targets."""

    inner: Float[Array, "width hidden"]
    inner_offset: Float[Array, " hidden"]
    outer: Float[Array, "hidden target"]
    outer_offset: Float[Array, " target"]


class MLPProbe(NamedTuple):
    """A trained network, what it says of every row, and how its training went."""

    predictions: Float[Array, "entity target"]  #: of all rows, in the targets' units
    validation_loss: Float[Array, " decay"]  #: least mean squared error of standardised targets
    best_epoch: Int[Array, " decay"]  #: the epoch, from 1, that reached it; its weights are kept
    epochs: Int[Array, " decay"]  #: epochs trained before the stop
    chosen: Int[Array, ""]  #: which weight decay the predictions are of


class _Training(NamedTuple):
    weights: MLPWeights
    optimiser: optax.OptState
    best: MLPWeights
    best_loss: Float[Array, ""]
    best_epoch: Int[Array, ""]
    epoch: Int[Array, ""]  # epochs trained


class _Data(NamedTuple):
    x: Float[Array, "row width"]
    y: Float[Array, "row target"]


def fit_mlp(
    key: Key[Array, ""],
    x: Float[Array, "entity width"],
    y: Float[Array, "entity target"],
    train: Int[Array, " row"],
    *,
    decays: tuple[float, ...] | Float[Array, " decay"] = DECAYS,
    epochs: int | Int[Array, ""] = 20,
    patience: int | Int[Array, ""] = 3,
    batch: int = 512,
    learning_rate: float | Float[Array, ""] = LEARNING_RATE,
    scaled: bool = True,
) -> MLPProbe:
    """Train on the rows ``train`` for every weight decay, and predict all rows by the best; see the module.

    Args:
        train: *indices* of training rows, so that their number is known to the compiler: ``jnp.flatnonzero`` of a
            mask, outside ``jit``. No row twice, or validation rows may be among those fitted. ``vmap`` over splits of
            one size.
        patience: epochs without a better validation error before the training stops. It, ``decays``, ``epochs`` and
            ``learning_rate`` may be traced, and are then not checked.

    Raises:
        ValueError: fewer than two training rows, no weight decay, or ``epochs``, ``patience`` or ``batch`` < 1.
    """
    count = train.shape[0]
    known = [number for number in (epochs, patience, batch) if isinstance(number, int)]
    if count < 2 or len(decays) == 0 or min(known) < 1:
        raise ValueError(
            f"fit_mlp: got {count} training rows, decays {decays}, epochs {epochs}, patience {patience} and batch "
            f"{batch}; expected at least two rows, one decay and 1 of each other; use the defaults"
        )
    for_split, for_weights, for_batches = jax.random.split(key, 3)
    rows_x, rows_y = x[train], y[train]
    if scaled:
        offset = jnp.mean(rows_x, axis=0)
        x = (x - offset) / _safe(jnp.sqrt(jnp.mean((rows_x - offset) ** 2)))
    centre, spread = jnp.mean(rows_y, axis=0), _safe(jnp.std(rows_y, axis=0))
    shuffled = jax.random.permutation(for_split, train)
    standard = _Data(x[shuffled], (y[shuffled] - centre) / spread)
    held = max(1, count // 10)
    validation, fitted = (jax.tree.map(lambda a, s=s: a[s], standard) for s in (slice(held), slice(held, None)))
    start = _draw(for_weights, x.shape[1], y.shape[1], x.dtype)

    def trained(decay: Float[Array, ""]) -> _Training:
        optimiser = optax.adamw(learning_rate, weight_decay=decay)
        return _train(for_batches, start, optimiser, (fitted, validation), epochs, patience, batch)

    runs = jax.vmap(trained)(jnp.asarray(decays, x.dtype))
    chosen = jnp.argmin(runs.best_loss).astype(jnp.int32)
    predicted = _read(jax.tree.map(lambda leaf: leaf[chosen], runs.best), x)
    return MLPProbe(centre + spread * predicted, runs.best_loss, runs.best_epoch, runs.epoch, chosen)


def _train(
    key: Key[Array, ""],
    start: MLPWeights,
    optimiser: optax.GradientTransformation,
    data: tuple[_Data, _Data],
    epochs: int | Int[Array, ""],
    patience: int | Int[Array, ""],
    batch: int,
) -> _Training:
    fitted, validation = data

    def epoch(state: _Training) -> _Training:
        number = state.epoch + 1
        weights, optimiser_state = _epoch(jax.random.fold_in(key, number), state, optimiser, fitted, batch)
        loss = jnp.mean((_read(weights, validation.x) - validation.y) ** 2)
        improved = loss < state.best_loss
        best = jax.tree.map(lambda new, old: jnp.where(improved, new, old), weights, state.best)
        best_epoch = jnp.where(improved, number, state.best_epoch)
        # A loss that is not a number improves nothing; fmin keeps the best one beside it.
        return _Training(weights, optimiser_state, best, jnp.fmin(loss, state.best_loss), best_epoch, number)

    def going_on(state: _Training) -> Bool[Array, ""]:
        return (state.epoch < epochs) & (state.epoch - state.best_epoch < patience)

    none, infinite = jnp.zeros((), jnp.int32), jnp.full((), jnp.inf, fitted.x.dtype)
    state = _Training(start, optimiser.init(start), start, infinite, none, none)
    return jax.lax.while_loop(going_on, epoch, state)


def _epoch(
    key: Key[Array, ""], state: _Training, optimiser: optax.GradientTransformation, fitted: _Data, batch: int
) -> tuple[MLPWeights, optax.OptState]:
    """All rows once in random order; the last batch holds what is left, as its mean is over its own rows."""
    count = fitted.x.shape[0]
    size = min(batch, count)
    steps = -(-count // size)
    order = jax.random.permutation(key, jnp.arange(count, dtype=jnp.int32))
    place = jnp.arange(steps * size, dtype=jnp.int32)
    batches = order[place % count].reshape(steps, size), (place < count).reshape(steps, size)

    def loss_of(weights: MLPWeights, rows: Array, real: Array) -> Array:
        error = jnp.mean((_read(weights, fitted.x[rows]) - fitted.y[rows]) ** 2, axis=1)
        return jnp.sum(jnp.where(real, error, 0)) / jnp.sum(real)

    def step(
        carried: tuple[MLPWeights, optax.OptState], some: tuple[Int[Array, " batch"], Bool[Array, " batch"]]
    ) -> tuple[tuple[MLPWeights, optax.OptState], None]:
        weights, optimiser_state = carried
        updates, optimiser_state = optimiser.update(jax.grad(loss_of)(weights, *some), optimiser_state, weights)
        return (optax.apply_updates(weights, updates), optimiser_state), None

    return jax.lax.scan(step, (state.weights, state.optimiser), batches)[0]


def _draw(key: Key[Array, ""], width: int, targets: int, dtype: jnp.dtype) -> MLPWeights:
    """Weights and offsets uniform on ±1/√inputs, the published network's default."""

    def uniform(layer: Key[Array, ""], shape: tuple[int, ...], inputs: int) -> Array:
        return jax.random.uniform(layer, shape, dtype, -(inputs**-0.5), inputs**-0.5)

    keys = jax.random.split(key, 4)
    return MLPWeights(
        uniform(keys[0], (width, HIDDEN), width),
        uniform(keys[1], (HIDDEN,), width),
        uniform(keys[2], (HIDDEN, targets), HIDDEN),
        uniform(keys[3], (targets,), HIDDEN),
    )


def _read(weights: MLPWeights, x: Float[Array, "row width"]) -> Float[Array, "row target"]:
    hidden = jax.nn.relu(jnp.matmul(x, weights.inner, precision="highest") + weights.inner_offset)
    return jnp.matmul(hidden, weights.outer, precision="highest") + weights.outer_offset


def _safe(scale: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A constant is left as it is rather than divided by 0."""
    return jnp.where(scale > 0, scale, 1)
