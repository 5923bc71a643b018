"""Planted breaks come back, with intervals that hold them; straight lines have none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

CONTEXT = jnp.asarray(np.geomspace(5, 1000, 40), jnp.float32)
U = np.log(np.asarray(CONTEXT))


def bent(at, before, after):
    return 0.1 + before * U + (after - before) * np.maximum(0, U - np.log(at))


@pytest.mark.parametrize(("at", "before", "after"), [(40, 0.02, 0.2), (200, 0.1, 0.3), (90, 0.2, 0.05)])
def test_a_planted_break_is_found_with_its_slopes(at, before, after):
    found = jax.jit(graphs.two_segments)(CONTEXT, jnp.asarray(bent(at, before, after), jnp.float32))
    assert float(found.break_at) == pytest.approx(at, rel=0.05)
    assert float(found.before) == pytest.approx(before, abs=5e-3)
    assert float(found.after) == pytest.approx(after, abs=5e-3)
    assert bool(found.is_transition) == (after > before)
    assert float(found.residual) < 1e-2
    assert float(found.gain) > 0.9


def test_the_best_of_the_grid_is_the_best_by_hand():
    curve = bent(70, 0.05, 0.2) + 0.02 * np.random.default_rng(0).normal(size=40)
    found = graphs.two_segments(CONTEXT, jnp.asarray(curve, jnp.float32))

    def squares(at):
        basis = np.column_stack((np.ones(40), U, np.maximum(0, U - np.log(at))))
        return np.linalg.lstsq(basis, curve, rcond=None)[1][0]

    least = min(squares(at) for at in np.geomspace(CONTEXT[2], CONTEXT[-3], 400))
    assert float(found.residual) ** 2 == pytest.approx(least, rel=0.01)


@pytest.mark.slow
def test_intervals_hold_the_planted_break_as_often_as_they_say():
    hits, size = [], 0.03
    step = jax.jit(lambda k, c: graphs.bootstrap_transition(k, CONTEXT, c, 150, 120))
    for seed in range(40):
        random = np.random.default_rng(seed)
        curves = bent(80, 0.02, 0.2) + size * random.normal(size=(16, 40))
        found = step(jax.random.key(seed), jnp.asarray(curves, jnp.float32))
        hits.append(bool(found.low <= 80 <= found.high))
        assert float(found.share_rising) > 0.95
    assert np.mean(hits) > 0.8  # percentile intervals of sixteen walks are somewhat short


def test_a_straight_line_gains_nothing_from_a_break():
    random = np.random.default_rng(1)
    noise = [jnp.asarray(0.1 * U + 0.02 * random.normal(size=40), jnp.float32) for _ in range(20)]
    gains = [float(graphs.two_segments(CONTEXT, curve).gain) for curve in noise]
    assert np.median(gains) < 0.15


def test_what_comes_before_saturation():
    curve = jnp.asarray(np.concatenate((np.linspace(0, 1, 20), np.ones(20))), jnp.float32)
    kept = np.asarray(graphs.pre_saturation(curve))
    assert kept[:18].all()
    assert not kept[20:].any()
    late = jnp.asarray(np.concatenate((np.full(5, 1.0), np.zeros(5), np.linspace(0, 1, 20))), jnp.float32)
    assert np.asarray(graphs.pre_saturation(late)).sum() > 25, "a high start is not saturation"
