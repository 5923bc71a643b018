"""Legal words and the split by exposure, against loops over time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, ring, walk_on

A = grid(3)
WALK = walk_on(A, 60)
COUNTS = {
    "seen_edge": "seen_edges",
    "unseen_edge": "unseen_edges",
    "non_neighbour": "non_neighbours",
    "non_neighbour_then": "non_neighbours_then",
}


def laws(seed, number=9, steps=60):
    return jnp.asarray(0.8 * np.random.default_rng(seed).dirichlet(np.ones(number), steps), jnp.float32)


def test_the_rules_by_a_loop():
    p, other = laws(0), jnp.linspace(0, 0.4, 60)
    found = graphs.rule_following(p, WALK, A, other)
    walk, a = np.asarray(WALK), np.asarray(A)
    for t in range(60):
        legal = [n for n in range(9) if a[walk[t], n]]
        assert float(found.accuracy[t]) == pytest.approx(sum(float(p[t, n]) for n in legal), rel=1e-5)
        assert float(found.node_mass[t]) == pytest.approx(0.8, rel=1e-4)
        best = int(np.argmax(p[t]))
        assert bool(found.top_valid[t]) == (best in legal and float(p[t, best]) > float(other[t]))
        if t:
            assert float(found.backtrack[t]) == pytest.approx(float(p[t, walk[t - 1]]))
    np.testing.assert_allclose(found.renormalised, found.accuracy / 0.8, rtol=1e-4)
    assert np.isnan(found.backtrack[0])


def test_an_even_law_scores_chance():
    even = jnp.full((60, 9), 0.05)
    found = graphs.rule_following(even, WALK, A, jnp.zeros(60))
    assert float(found.renormalised.mean()) == pytest.approx(float(graphs.chance(A, WALK)), rel=1e-5)
    assert float(graphs.chance(A)) == pytest.approx(24 / 81)
    assert float(graphs.chance(ring(10))) == pytest.approx(0.2)


def test_the_split_by_a_loop():
    p = laws(1)
    found = graphs.exposure_split(p, WALK, A)
    walk, a, share = np.asarray(WALK), np.asarray(A), np.asarray(p / p.sum(axis=1, keepdims=True))
    walked: set[tuple[int, int]] = set()
    for t in range(60):
        here = int(walk[t])
        if t:
            walked |= {(int(walk[t - 1]), here), (here, int(walk[t - 1]))}
        near = [n for n in range(9) if a[here, n]]
        known = [n for n in near if (here, n) in walked]
        fresh = [n for n in near if (here, n) not in walked]
        far = [n for n in range(9) if n != here and not a[here, n]]
        classes = {
            "seen_edge": known,
            "unseen_edge": fresh,
            "non_neighbour": far,
            "non_neighbour_then": far if fresh else [],
        }
        for name, nodes in classes.items():
            count = float(getattr(found, COUNTS[name])[t])
            assert count == len(nodes), (t, name)
            value = float(getattr(found, name)[t])
            assert np.isnan(value) if not nodes else value == pytest.approx(share[t, nodes].mean(), rel=1e-4)


def test_a_copier_and_a_mapmaker_are_told_apart():
    """The copier gives all to edges that it saw; the mapmaker the same to every neighbour."""
    walk, a = walk_on(grid(4), 80, 3), grid(4)
    known = graphs.walked_edges(walk, 16)
    copier = jnp.where(known, 1.0, 1e-3)
    mapmaker = jnp.where(a[walk] > 0, 1.0, 1e-3)
    for p, infers in ((copier, False), (mapmaker, True)):
        s = graphs.exposure_split(p, walk, a)
        fresh = graphs.pooled(s.unseen_edge[25:], s.unseen_edges[25:])
        none = graphs.pooled(s.non_neighbour_then[25:], s.non_neighbours_then[25:])
        assert (float(fresh) > 5 * float(none)) == infers


def test_pooling_weighs_by_counts_and_skips_empty_classes():
    assert float(graphs.pooled(jnp.array([1.0, jnp.nan, 4.0]), jnp.array([1.0, 0.0, 2.0]))) == pytest.approx(3)


def test_the_moving_average_skips_what_is_unknown_and_shortens_at_the_ends():
    found = graphs.moving_average(jnp.array([1.0, jnp.nan, 3.0, 5.0, 7.0]), 3)
    np.testing.assert_allclose(found, [1, 2, 4, 5, 6])


def test_vmap_over_walks():
    many = jnp.stack([walk_on(A, 30, k) for k in range(3)])
    p = jnp.stack([laws(k, steps=30) for k in range(3)])
    together = jax.vmap(graphs.exposure_split, in_axes=(0, 0, None))(p, many, A)
    alone = graphs.exposure_split(p[2], many[2], A)
    for one, all_ in zip(alone, together):
        np.testing.assert_allclose(one, all_[2], rtol=1e-5)


def test_bins_are_means_of_what_is_known():
    curve = jnp.array([[1.0, jnp.nan, 3.0, 5.0, 7.0, 9.0], [0.0, 2.0, 4.0, jnp.nan, jnp.nan, 1.0]])
    found = graphs.binned(curve, (0, 3, 5, 9, 12))
    np.testing.assert_allclose(found, [[2, 6, 9, np.nan], [2, np.nan, 1, np.nan]])
    np.testing.assert_allclose(graphs.binned(np.asarray(curve)[0], (1, 2)), [np.nan])


def test_windows_and_bins_that_make_no_sense_are_errors():
    for width in (0, 5):
        with pytest.raises(ValueError, match=f"Got width {width} for 4 items"):
            graphs.moving_average(jnp.arange(4.0), width)
    for edges in ((3,), (0, 0), (5, 2), (-1, 4)):
        with pytest.raises(ValueError, match="Got bin edges"):
            graphs.binned(jnp.arange(4.0), edges)
