import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses.probes.mlp import fit_mlp
from analyses.probes.scores import r_squared

pytestmark = pytest.mark.slow  # one interpreter is enough: compiling them is dear

fit = jax.jit(fit_mlp, static_argnames=("batch", "scaled"))
TRAIN = jnp.arange(0, 600, dtype=jnp.int32)
HELD = jnp.arange(700) >= 600


@functools.cache
def product():
    """Two targets that no line reads: x₁ x₂ and |x₃|. One channel is large and constant, as in residual streams."""
    x = jax.random.normal(jax.random.key(0), (700, 6)).at[:, 5].add(100.0)
    return x, 1900 + 50 * jnp.stack((x[:, 0] * x[:, 1], jnp.abs(x[:, 2])), axis=1)


def train(x=None, y=None, decays=(0.01, 0.3), epochs=12, patience=2, learning_rate=1e-3):
    """All of one shape and two decays: compiled once."""
    x, y = product()[0] if x is None else x, product()[1] if y is None else y
    return fit(
        jax.random.key(7), x, y, TRAIN,
        decays=jnp.asarray(decays), epochs=jnp.int32(epochs), patience=jnp.int32(patience), batch=64,
        learning_rate=jnp.float32(learning_rate),
    )  # fmt: skip


def test_it_reads_a_product_that_no_line_does():
    x, y = product()
    found = train(epochs=150, patience=20, learning_rate=3e-3)
    with_one = np.c_[x, np.ones(700)]
    line = with_one @ np.linalg.lstsq(with_one[:600], np.asarray(y)[:600], rcond=None)[0]
    assert (np.asarray(r_squared(y, found.predictions, HELD)) > 0.85).all()
    assert (np.asarray(r_squared(y, jnp.asarray(line, jnp.float32), HELD)) < 0.1).all()


def test_the_weights_are_those_of_the_best_epoch():
    """Training that ends there gives the same predictions; the later epochs were worse and left no trace."""
    long = train(learning_rate=0.05, epochs=60)
    best, end = int(long.best_epoch[long.chosen]), int(long.epochs[long.chosen])
    assert best + 2 == end < 60
    short = train(learning_rate=0.05, epochs=best, decays=(float((0.01, 0.3)[int(long.chosen)]),) * 2)
    np.testing.assert_array_equal(short.epochs, best)
    np.testing.assert_allclose(short.predictions, long.predictions, rtol=1e-5)
    np.testing.assert_allclose(short.validation_loss[0], jnp.min(long.validation_loss), rtol=1e-5)


def test_the_best_decay_predicts():
    one, other = train(decays=(30.0, 0.01)), train(decays=(0.01, 30.0))
    assert (int(one.chosen), int(other.chosen)) == (1, 0)
    np.testing.assert_allclose(one.validation_loss, other.validation_loss[::-1], rtol=1e-5)
    np.testing.assert_allclose(one.predictions, other.predictions, rtol=1e-5)


def test_a_decay_that_wipes_the_weights_predicts_the_training_mean():
    """w ← w − r (step + decay · w) leaves nothing of w at r · decay = 1, and a step is of size r."""
    _, y = product()
    found = train(decays=(1000.0, 1000.0), epochs=3)
    off = jnp.abs(found.predictions - jnp.mean(y[:600], axis=0)) / jnp.std(y[:600], axis=0)
    assert float(jnp.max(off)) < 0.02
    np.testing.assert_allclose(found.validation_loss, 1, atol=0.5)


def test_at_a_rate_of_zero_the_first_epoch_is_the_best():
    still = train(learning_rate=0.0, patience=3)
    np.testing.assert_array_equal(still.best_epoch, 1)
    np.testing.assert_array_equal(still.epochs, 4)
    np.testing.assert_array_equal(still.validation_loss[0], still.validation_loss[1])


def test_rows_outside_training_have_no_influence():
    x, y = product()
    spoilt = train(x.at[650:].set(jnp.nan), y.at[600:].set(jnp.nan))
    np.testing.assert_array_equal(spoilt.predictions[:650], train().predictions[:650])
    np.testing.assert_array_equal(spoilt.validation_loss, train().validation_loss)


def test_units_do_not_matter():
    """Scaled and shifted inputs and targets give the same network, unless the scaling is turned off."""
    x, y = product()
    moved = train(40 * (x - 3), 0.1 * y, epochs=3)
    np.testing.assert_allclose(moved.predictions, 0.1 * train(epochs=3).predictions, rtol=1e-3)
    raw = fit(jax.random.key(7), x, y, TRAIN, decays=jnp.ones(1), epochs=3, batch=64, scaled=False)
    assert float(jnp.max(jnp.abs(raw.predictions - train(epochs=3).predictions))) > 1


def test_constant_columns_and_a_loss_that_is_no_number():
    constant = train(jnp.ones((700, 6)), 5 * jnp.ones((700, 2)), epochs=2)
    assert np.isfinite(constant.predictions).all()
    lost = train(jnp.nan * jnp.ones((700, 6)), patience=3)
    assert np.isinf(lost.validation_loss).all()
    np.testing.assert_array_equal(lost.epochs, 3)


def test_splits_train_side_by_side_in_double_precision():
    """A batch larger than the set holds it once."""
    with jax.enable_x64(True):
        x, y = (jnp.asarray(array, jnp.float64)[:90] for array in product())
        run = jax.jit(jax.vmap(functools.partial(fit_mlp, jax.random.key(7), x, y, decays=(0.1,), epochs=2)))
        splits = jnp.stack((TRAIN[:60], 30 + TRAIN[:60]))
        both, twice = run(splits), run(splits[jnp.array([1, 1])])
        assert both.predictions.dtype == jnp.float64
    np.testing.assert_allclose(both.predictions[1], twice.predictions[0], rtol=1e-9)
    assert both.validation_loss.shape == (2, 1)
    assert np.abs(both.predictions[0] - both.predictions[1]).max() > 0.01


@pytest.mark.parametrize("wrong", [dict(epochs=0), dict(patience=0), dict(batch=0), dict(decays=())])
def test_settings_that_train_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="fit_mlp: got"):
        fit_mlp(jax.random.key(0), jnp.ones((9, 2)), jnp.ones((9, 1)), jnp.arange(9), **wrong)
    with pytest.raises(ValueError, match="got 1 training rows"):
        fit_mlp(jax.random.key(0), jnp.ones((9, 2)), jnp.ones((9, 1)), jnp.arange(1))
