"""Counters against loops and against the anchors of the spec; memorisation against simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, walk_on

A = grid(4)


def by_loop(walk, number, smoothing, directed, decay):
    counts, rows = np.zeros((number, number)), []
    for t, x in enumerate(walk):
        counts *= np.exp(-decay)
        if t:
            counts[walk[t - 1], x] += 1
            if not directed:
                counts[x, walk[t - 1]] += 1
        rows.append((counts[x] + smoothing) / (counts[x] + smoothing).sum())
    return np.array(rows)


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_bigrams_by_a_loop(directed, decay):
    walk = walk_on(A, 50)
    found = graphs.bigram_laws(walk, 16, smoothing=0.3, directed=directed, decay=decay)
    np.testing.assert_allclose(found, by_loop(np.asarray(walk), 16, 0.3, directed, decay), rtol=1e-4)


def test_second_order_backs_off_to_the_first():
    walk = jnp.array([0, 1, 2, 0, 1, 3, 0, 1])
    first = graphs.bigram_laws(walk, 4, smoothing=0.5, directed=True)
    second = graphs.bigram_laws(walk, 4, smoothing=0.5, directed=True, second_order=True, back_off=2.0)
    # After 0, 1 came 2 once and 3 once.
    np.testing.assert_allclose(second[-1], (jnp.array([0, 0, 1, 1]) + 2 * first[-1]) / 4, rtol=1e-5)
    np.testing.assert_allclose(second[:2], first[:2], rtol=1e-5)


def test_every_row_is_a_law_that_knows_only_the_past():
    walk = walk_on(A, 60, 1)
    for options in ({}, {"directed": True}, {"decay": 0.05}, {"second_order": True}):
        laws = graphs.bigram_laws(walk, 16, **options)
        np.testing.assert_allclose(laws.sum(axis=1), 1, rtol=1e-4)
        other = walk.at[40:].set(walk_on(A, 20, 9))
        np.testing.assert_array_equal(graphs.bigram_laws(other, 16, **options)[:40], laws[:40])


@pytest.mark.slow
def test_the_anchors_of_the_grid():
    """Forty walks, 300 and 600 items: directed counts with 0.1 follow at .93 and .97, undirected with 1 at .75, .86."""
    walks = jnp.stack([walk_on(A, 640, seed) for seed in range(40)])

    def followed(**options):
        def one(walk):
            return jnp.sum(graphs.bigram_laws(walk, 16, **options) * A[walk], axis=1)

        return np.asarray(jax.vmap(one)(walks)).mean(axis=0)

    directed, undirected = followed(smoothing=0.1, directed=True), followed(smoothing=1.0)
    for curve, at, known in (
        (directed, 300, 0.93),
        (directed, 600, 0.97),
        (undirected, 300, 0.75),
        (undirected, 600, 0.86),
    ):
        assert abs(curve[at - 20 : at + 20].mean() - known) < 0.02


def test_what_was_seen_before():
    walk = jnp.array([2, 0, 2, 2, 1, 0])
    np.testing.assert_array_equal(graphs.seen_before(walk, 3), [0, 0, 1, 1, 0, 1])
    np.testing.assert_array_equal(graphs.seen_before(walk, 3, 2), [0, 0, 0, 1, 0, 0])


@pytest.mark.parametrize("times", [1, 2, 3])
def test_memorisation_in_closed_form_is_what_independent_nodes_do(times):
    random = np.random.default_rng(0)
    lengths = np.array([0, 1, 2, 5, 12, 40])
    known = np.array([(random.multinomial(n, np.full(8, 1 / 8), 4000)[:, 0] >= times).mean() for n in lengths])
    found = graphs.memorisation_curve(8, jnp.asarray(lengths), times)
    np.testing.assert_allclose(found, known, atol=0.03)
    if times == 1:
        np.testing.assert_allclose(found, 1 - (7 / 8) ** lengths, atol=1e-5)
    if times == 2:
        once = 1 - (7 / 8) ** lengths
        np.testing.assert_allclose(found, once - lengths / 8 * (7 / 8) ** np.maximum(lengths - 1, 0), atol=1e-5)


def test_divergence_is_zero_for_the_same_law_and_does_not_see_scale():
    p = jnp.array([[0.2, 0.3, 0.0], [0.1, 0.1, 0.2]])
    np.testing.assert_allclose(graphs.law_divergence(p, 3 * p + jnp.array([0, 0, 1e-30])), 0, atol=1e-6)
    q = jnp.array([[1.0, 1.0, 1.0]])
    np.testing.assert_allclose(
        graphs.law_divergence(p[:1], q), np.log(3) + 0.4 * np.log(0.4) + 0.6 * np.log(0.6), rtol=1e-4
    )
