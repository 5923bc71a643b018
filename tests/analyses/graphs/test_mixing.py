"""The word before as an explanation: anchors of the spec, and planted parts that come apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, ring, rows_of, walk_on


@pytest.mark.parametrize(("adjacency", "known"), [(grid(4), 0.568), (ring(10), 0.409)], ids=["grid", "ring"])
def test_one_round_of_mixing_draws_the_graph_as_the_spec_says(adjacency, known):
    keys = jax.random.split(jax.random.key(0), 20)
    mixed = jax.vmap(lambda k: graphs.dirichlet_ratio(graphs.neighbour_mixing(k, adjacency, 4096), adjacency))(keys)
    assert float(mixed.mean()) == pytest.approx(known, abs=0.004)
    plain = jax.vmap(
        lambda k: graphs.dirichlet_ratio(graphs.neighbour_mixing(k, adjacency, 4096, weight=0.0), adjacency)
    )(keys)
    assert float(plain.mean()) == pytest.approx(1, abs=0.01)


def test_more_rounds_are_smoother():
    a = grid(4)
    ratios = [
        float(graphs.dirichlet_ratio(graphs.neighbour_mixing(jax.random.key(1), a, 2000, rounds=n), a))
        for n in range(4)
    ]
    assert ratios == sorted(ratios, reverse=True)


def test_planted_parts_come_apart():
    a = grid(4)
    walk = np.asarray(walk_on(a, 4000))
    now, then = rows_of(0, 16, 6), rows_of(1, 16, 6)
    rows = now[walk[1:]] + then[walk[:-1]] + 0.01 * rows_of(2, len(walk) - 1, 6)
    found = graphs.additive_bigram(rows, jnp.asarray(walk[1:]), jnp.asarray(walk[:-1]), 16)
    # On a bipartite graph a constant may move between the parts, with opposite sign on the two colours.
    fitted = found.current[walk[1:]] + found.previous[walk[:-1]]
    np.testing.assert_allclose(fitted, rows, atol=0.06)
    assert float(found.explained) > 0.999
    assert float(found.explained_by_current) < 0.9
    shares = np.bincount(walk[:-1], minlength=16) / (len(walk) - 1)
    np.testing.assert_allclose(shares @ np.asarray(found.previous), 0, atol=1e-3)


def test_without_a_part_of_the_word_before_it_explains_nothing():
    walk = np.asarray(walk_on(ring(9), 3000))
    rows = rows_of(0, 9, 5)[walk[1:]] + 0.3 * rows_of(3, len(walk) - 1, 5)
    found = graphs.additive_bigram(rows, jnp.asarray(walk[1:]), jnp.asarray(walk[:-1]), 9)
    assert float(found.explained - found.explained_by_current) < 0.01
    assert float(jnp.abs(found.previous).max()) < 0.2


def test_words_that_never_stood_there_are_marked():
    current, previous = jnp.array([0, 1, 0, 1]), jnp.array([1, 2, 1, 2])
    found = graphs.additive_bigram(rows_of(0, 4, 3), current, previous, 4)
    np.testing.assert_array_equal(found.current_seen, [1, 1, 0, 0])
    np.testing.assert_array_equal(found.previous_seen, [0, 1, 1, 0])
    for part in (found.current, found.previous):
        assert np.isfinite(part).all()
    np.testing.assert_array_equal(found.current[2:], 0)
