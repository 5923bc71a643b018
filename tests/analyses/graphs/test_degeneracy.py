"""Collapse shows in the rank, in the spread, or in both, and shrinking in neither."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs


def test_orthogonal_rows_use_every_direction():
    found = graphs.collapse(jnp.eye(6))
    assert float(found.effective_rank) == pytest.approx(5, rel=1e-4)  # one direction goes with the mean
    assert float(found.spread) == pytest.approx((5 / 6) ** 0.5, rel=1e-5)


def test_a_line_has_rank_one_and_a_point_has_none():
    line = jnp.arange(5.0)[:, None] * jnp.ones(3)
    assert float(graphs.collapse(line).effective_rank) == pytest.approx(1, abs=1e-3)
    point = graphs.collapse(jnp.ones((5, 3)))
    assert np.isnan(point.effective_rank)
    assert float(point.spread) == 0


def test_an_offset_lowers_the_spread_alone_and_scale_changes_nothing():
    rows = jax.random.normal(jax.random.key(0), (8, 20))
    plain, scaled, moved = (graphs.collapse(r) for r in (rows, 7 * rows, rows + 3))
    np.testing.assert_allclose(scaled, plain, rtol=1e-4)
    np.testing.assert_allclose(moved.effective_rank, plain.effective_rank, rtol=1e-3)
    assert moved.spread < 0.5 * plain.spread


def test_nodes_that_were_not_seen_do_not_count():
    rows = jax.random.normal(jax.random.key(0), (8, 20))
    seen = jnp.arange(8) < 5
    np.testing.assert_allclose(graphs.collapse(rows.at[5:].set(jnp.nan), seen), graphs.collapse(rows[:5]), rtol=1e-4)


def test_two_planted_powers():
    powers = jnp.array([3.0, 1.0])
    rows = jnp.stack((jnp.sqrt(powers) * jnp.array([1, 1]), jnp.sqrt(powers) * jnp.array([-1, -1]),
                      jnp.sqrt(powers) * jnp.array([1, -1]), jnp.sqrt(powers) * jnp.array([-1, 1])))  # fmt: skip
    share = np.array([0.75, 0.25])
    wanted = np.exp(-(share * np.log(share)).sum())
    assert float(graphs.collapse(rows).effective_rank) == pytest.approx(wanted, rel=1e-5)
