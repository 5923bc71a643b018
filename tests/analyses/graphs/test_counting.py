"""Counters against a loop over the walk, and the published memorisation curves against what they count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analyses.graphs import counting
from analyses.graphs.counting import bigram_laws, law_divergence, memorisation_curve, seen_before

NODES, LENGTH = 4, 12
WALK = st.lists(st.integers(0, NODES - 1), min_size=LENGTH, max_size=LENGTH)


def counted(walk, smoothing, directed, decay, second_order, back_off):
    """The same by a loop over every earlier step."""
    laws = []
    for t, x in enumerate(walk):
        row, triple = np.zeros(NODES), np.zeros(NODES)
        for s in range(1, t + 1):
            weight = np.exp(-decay * (t - s))
            row[walk[s]] += weight * (walk[s - 1] == x)
            if not directed:
                row[walk[s - 1]] += weight * (walk[s] == x)
            if s >= 2 and t >= 1 and (walk[s - 2], walk[s - 1]) == (walk[t - 1], x):
                triple[walk[s]] += weight
        law = (row + smoothing) / (row + smoothing).sum()
        laws.append((triple + back_off * law) / (triple.sum() + back_off) if second_order else law)
    return np.array(laws)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("second_order", [False, True])
@settings(max_examples=25, deadline=None)
@given(WALK, st.floats(0.01, 3), st.floats(0, 1), st.floats(0.05, 3))
def test_laws_are_those_of_a_loop(directed, second_order, walk, smoothing, decay, back_off):
    settings_ = dict(smoothing=smoothing, directed=directed, decay=decay, second_order=second_order, back_off=back_off)
    laws = bigram_laws(jnp.array(walk), NODES, **settings_)
    np.testing.assert_allclose(laws, counted(walk, **settings_), rtol=2e-5)
    np.testing.assert_allclose(laws.sum(axis=1), 1, rtol=1e-5)


def test_what_comes_later_changes_no_law_and_programs_are_shared():
    walk = jnp.array([0, 1, 2, 1, 0, 3, 0, 1, 2, 3])
    laws = bigram_laws(walk, NODES, second_order=True)
    programs = counting._bigram_laws._cache_size()
    changed = bigram_laws(walk.at[6:].set(2), NODES, second_order=True, smoothing=1.0)
    assert counting._bigram_laws._cache_size() == programs
    np.testing.assert_array_equal(laws[:6], changed[:6])
    assert (laws[6:] != changed[6:]).any()
    both = jax.vmap(lambda w: bigram_laws(w, NODES, second_order=True))(jnp.stack((walk, walk.at[6:].set(2))))
    np.testing.assert_allclose(both, jnp.stack((laws, changed)), rtol=1e-6)


def grid_walks(number=40, length=601):
    """Uniform random walks on the 4 x 4 grid, by numpy alone."""
    rng = np.random.default_rng(0)
    at = np.arange(16)
    beside = np.abs(at[:, None] // 4 - at // 4) + np.abs(at[:, None] % 4 - at % 4) == 1
    walks = [rng.integers(0, 16, number)]
    for _ in range(length - 1):
        walks.append(np.array([rng.choice(np.flatnonzero(beside[node])) for node in walks[-1]]))
    return jnp.asarray(np.stack(walks, axis=1)), jnp.asarray(beside, jnp.float32)


def test_counters_follow_the_grid_as_well_as_was_measured():
    """Share of probability on neighbours after 300 and 600 items, forty walks."""
    walks, adjacency = grid_walks()
    for options, expected in (
        (dict(smoothing=0.1, directed=True), (0.93, 0.97)),
        (dict(smoothing=1.0), (0.75, 0.86)),
    ):
        laws = jax.vmap(lambda walk, options=options: bigram_laws(walk, 16, **options))(walks)
        followed = jnp.sum(laws * adjacency[walks], axis=-1).mean(axis=0)
        np.testing.assert_allclose(followed[jnp.array([299, 599])], expected, atol=0.02)


@settings(max_examples=30, deadline=None)
@given(WALK, st.integers(1, 3))
def test_a_node_was_seen_as_often_as_it_stands_before(walk, times):
    expected = [walk[:t].count(x) >= times for t, x in enumerate(walk)]
    assert seen_before(jnp.array(walk), NODES, times).tolist() == expected


@pytest.mark.parametrize("nodes", [2, 16, 50])
def test_memorisation_is_the_published_formula_and_a_binomial_tail(nodes):
    length = np.array([[0, 1, 2, 3, 10], [20, 50, 100, 400, 1000]])
    contexts = jnp.asarray(length)
    once = 1 - ((nodes - 1) / nodes) ** length
    twice = once - length / nodes * ((nodes - 1) / nodes) ** np.maximum(length - 1, 0)
    np.testing.assert_allclose(memorisation_curve(nodes, contexts), once, atol=1e-4)
    np.testing.assert_allclose(memorisation_curve(nodes, contexts, 2), twice, atol=1e-4)
    for times in (1, 3, 5):
        tail = stats.binom.sf(times - 1, length, 1 / nodes)
        np.testing.assert_allclose(memorisation_curve(nodes, contexts, times), tail, atol=1e-4)


@pytest.mark.parametrize("times", [1, 2])
def test_independent_items_are_seen_before_as_often_as_the_curve_says(times):
    items = jnp.asarray(np.random.default_rng(1).integers(0, 9, (3000, 30)))
    share = jax.vmap(lambda walk: seen_before(walk, 9, times))(items).mean(axis=0)
    np.testing.assert_allclose(share, memorisation_curve(9, jnp.arange(30), times), atol=4 * 0.5 / np.sqrt(3000))


LAW = st.lists(st.lists(st.floats(0.01, 5), min_size=3, max_size=3), min_size=2, max_size=2)


@settings(max_examples=30, deadline=None)
@given(LAW, LAW)
def test_divergence_is_that_of_scipy_and_needs_no_sum_of_one(p, q):
    found = law_divergence(jnp.array(p), jnp.array(q))
    np.testing.assert_allclose(found, stats.entropy(np.array(p), np.array(q), axis=1), atol=2e-6)
    np.testing.assert_allclose(law_divergence(7 * jnp.array(p), jnp.array(q)), found, atol=2e-6)
    assert (found > -1e-6).all()


def test_divergence_at_the_edges_and_its_gradient():
    p, q = jnp.array([[0.0, 1.0], [0.5, 0.5]]), jnp.array([[0.0, 1.0], [0.0, 1.0]])
    assert law_divergence(p, q).tolist() == [0, np.inf]
    gradient = jax.grad(lambda p, q: law_divergence(p, q).sum(), argnums=(0, 1))(p[:1], q[:1])
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("bad", [dict(smoothing=0.0), dict(smoothing=-1.0), dict(back_off=0.0), dict(decay=-0.1)])
def test_what_leaves_no_law_is_refused(bad):
    with pytest.raises(ValueError, match=f"Got {next(iter(bad))}"):
        bigram_laws(jnp.array([0, 1]), 2, **bad)


def test_memorisation_needs_nodes_and_times():
    for nodes, times in ((1, 1), (4, 0)):
        with pytest.raises(ValueError, match=f"Got {nodes} nodes and {times} times"):
            memorisation_curve(nodes, jnp.arange(3), times)


def test_smoothing_may_be_traced():
    laws = jax.vmap(lambda a: bigram_laws(jnp.array([0, 1, 0]), 2, smoothing=a, decay=a))(jnp.array([0.1, 1.0]))
    assert laws[0, 2, 1] > laws[1, 2, 1] > 0.5
