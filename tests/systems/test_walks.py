"""Walks: legal moves, the laws that they say they have, and one program whatever the key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from systems import (
    balanced_walk,
    edge_shuffled,
    mixture_walk,
    neighbour_pairs,
    parse_graph,
    random_walk,
    walk_per_start,
    walks,
)

TREE = parse_graph("tree:2x2")
GRID = parse_graph("grid:3x3")
A = jnp.asarray(TREE.adjacency)
B = jnp.asarray(GRID.adjacency)
LEVEL = 1e-3


def transitions(made, number):
    counts = np.zeros((number, number))
    np.add.at(counts, (np.asarray(made)[:-1], np.asarray(made)[1:]), 1)
    return counts


def p_value(counts, law):
    """Chi-square of ``[row, node]`` counts, every row against its law; what cannot occur did not."""
    assert not counts[law == 0].any()
    expected = counts.sum(axis=1, keepdims=True) * law
    possible = law > 0
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    return stats.chi2.sf(statistic, possible.sum() - len(counts))


def rows(adjacency):
    adjacency = np.asarray(adjacency, float)
    return adjacency / adjacency.sum(axis=1, keepdims=True)


def stationary(adjacency):
    degrees = np.asarray(adjacency, float).sum(axis=1)
    return degrees / degrees.sum()


SEQUENCES = {
    "walk": lambda key, length: random_walk(key, A, length),
    "restart": lambda key, length: random_walk(key, A, length, restart=0.2),
    "pairs": lambda key, length: neighbour_pairs(key, A, length),
    "independent": lambda key, length: walks.independent(key, A, length),
    "mixture": lambda key, length: mixture_walk(key, A, parse_graph("ring:7").adjacency, 0.3, length),
    "balanced": lambda key, length: balanced_walk(key, A, length),
}


@pytest.mark.parametrize("make", SEQUENCES.values(), ids=SEQUENCES)
def test_a_batch_is_a_loop_and_a_length_is_exact(make):
    keys = jax.random.split(jax.random.key(0), 3)
    batch = jax.vmap(lambda key: make(key, 11))(keys)
    np.testing.assert_array_equal(batch, np.stack([make(key, 11) for key in keys]))
    assert ((batch >= 0) & (batch < 7)).all()
    for length in (1, 2, 11):
        abstract = jax.eval_shape(lambda key, n=length: make(key, n), keys[0])
        assert (abstract.shape, abstract.dtype) == ((length,), jnp.int32)


@pytest.mark.parametrize("make", SEQUENCES.values(), ids=SEQUENCES)
def test_the_same_shapes_are_compiled_once(make):
    programs = [value for name, value in vars(walks).items() if hasattr(value, "_cache_size")]
    make(jax.random.key(0), 11)
    before = [program._cache_size() for program in programs]
    make(jax.random.key(1), 11)
    assert sum(before) > 0
    assert [program._cache_size() for program in programs] == before


def test_a_walk_moves_to_any_neighbour_alike():
    made = random_walk(jax.random.key(0), A, 10_000)
    assert p_value(transitions(made, 7), rows(A)) > LEVEL
    # Time at a node against its degree; the walk's memory is short, so every fifth item is nearly independent.
    visits = np.bincount(made[::5], minlength=7)[None]
    assert p_value(visits, stationary(A)[None]) > LEVEL / 10


def test_restarts_go_anywhere():
    made = random_walk(jax.random.key(1), A, 10_000, restart=0.3)
    assert p_value(transitions(made, 7), 0.7 * rows(A) + 0.3 / 7) > LEVEL
    always = random_walk(jax.random.key(2), A, 10_000, restart=1.0)
    assert p_value(np.bincount(always, minlength=7)[None], np.full((1, 7), 1 / 7)) > LEVEL


def test_a_walk_starts_where_it_is_told_or_anywhere():
    keys = jax.random.split(jax.random.key(3), 3_500)
    first = jax.vmap(lambda key: random_walk(key, A, 1)[0])(keys)
    assert p_value(np.bincount(first, minlength=7)[None], np.full((1, 7), 1 / 7)) > LEVEL
    assert random_walk(keys[0], A, 5, start=4)[0] == 4


def test_walks_from_every_node_are_independent_of_each_other():
    """On a ring a step is +1 or -1, and no walk's tells another's."""
    ring = jnp.asarray(parse_graph("ring:9").adjacency)
    every = np.asarray(walk_per_start(jax.random.key(3), ring, 2_001))
    assert every[:, 0].tolist() == list(range(9))
    steps = np.diff(every, axis=1) % 9
    assert set(np.unique(steps)) == {1, 8}
    np.testing.assert_allclose(np.corrcoef(steps), np.eye(9), atol=4 / np.sqrt(2_000))
    np.testing.assert_array_equal(walk_per_start(jax.random.key(3), ring, 2_001), every)


def test_every_edge_and_direction_is_a_pair_as_often():
    made = np.asarray(neighbour_pairs(jax.random.key(4), A, 12_000)).reshape(-1, 2)
    counts = np.zeros((7, 7))
    np.add.at(counts, tuple(made.T), 1)
    assert p_value(counts.reshape(1, -1), (TREE.adjacency / TREE.adjacency.sum()).reshape(1, -1)) > LEVEL
    # The next pair does not know the last one.
    between = np.zeros((7, 7))
    np.add.at(between, (made[:-1, 1], made[1:, 0]), 1)
    assert p_value(between, np.tile(stationary(A), (7, 1))) > LEVEL


def test_independent_nodes_come_as_often_as_a_walk_visits_them():
    made = walks.independent(jax.random.key(5), A, 12_000)
    assert p_value(np.bincount(made, minlength=7)[None], stationary(A)[None]) > LEVEL
    assert p_value(transitions(made, 7), np.tile(stationary(A), (7, 1))) > LEVEL


@pytest.mark.parametrize("length", [2, 9])
def test_shuffled_edges_are_transitions_of_the_walk_each_used_once(length):
    made = np.asarray(random_walk(jax.random.key(6), B, length))
    shuffled = np.asarray(edge_shuffled(jax.random.key(7), made))
    assert shuffled.shape == made.shape
    assert shuffled.dtype == np.int32
    left = transitions(made, 9)
    for a, b in shuffled[: length // 2 * 2].reshape(-1, 2):
        left[a, b] -= 1
    assert (left >= 0).all()


def test_shuffled_edges_keep_every_transition_as_likely():
    """A walk of five distinct transitions: each comes first as often."""
    made = jnp.array([0, 1, 2, 5, 8, 7])
    keys = jax.random.split(jax.random.key(8), 2_000)
    first = np.asarray(jax.vmap(edge_shuffled, in_axes=(0, None))(keys, made))[:, 0]
    counts = np.bincount(first, minlength=9)[None]
    assert p_value(counts, np.isin(np.arange(9), made[:-1])[None] / 5) > LEVEL


def test_a_mixture_follows_each_graph_in_its_share():
    other = jnp.asarray(parse_graph("star:9").adjacency)
    made = mixture_walk(jax.random.key(9), B, other, 0.7, 10_000)
    assert p_value(transitions(made, 9), 0.7 * rows(B) + 0.3 * rows(other)) > LEVEL
    for share, graph in ((1.0, B), (0.0, other)):
        alone = np.asarray(mixture_walk(jax.random.key(10), B, other, share, 10_000))
        assert np.asarray(graph)[alone[:-1], alone[1:]].all()


def test_a_balanced_walk_prefers_what_was_seen_less():
    keys = jax.random.split(jax.random.key(11), 40)
    made, plain = (
        np.asarray(jax.vmap(lambda key, s=s: balanced_walk(key, B, 180, strength=s))(keys)) for s in (1.0, 0.0)
    )
    assert GRID.adjacency[made[:, :-1], made[:, 1:]].all()
    spread = [np.mean([np.bincount(walk, minlength=9).std() for walk in sort]) for sort in (made, plain)]
    assert spread[0] < spread[1] / 2
    # Strength 0 is the random walk, and a large one never returns while a fresh neighbour is there.
    free = balanced_walk(jax.random.key(12), A, 10_000, strength=0.0)
    assert p_value(transitions(free, 7), rows(A)) > LEVEL
    ring = jnp.asarray(parse_graph("ring:8").adjacency)
    around = np.asarray(balanced_walk(jax.random.key(13), ring, 8, strength=50.0))
    assert sorted(around) == list(range(8))


def test_the_law_of_a_balanced_step():
    """After a, b, a of a star with three leaves: the leaf b was seen once, the others never."""
    star = jnp.asarray(parse_graph("star:4").adjacency)
    keys = jax.random.split(jax.random.key(14), 6_000)
    made = np.asarray(jax.vmap(lambda key: balanced_walk(key, star, 4, strength=1.0))(keys))
    from_centre = made[made[:, 0] == 0]
    same = np.mean(from_centre[:, 1] == from_centre[:, 3])
    expected = np.exp(-1) / (np.exp(-1) + 2)
    assert same == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / len(from_centre)))


KEY = jax.random.key


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: random_walk(KEY(0), A, 0), "Got length 0"),
        (lambda: walk_per_start(KEY(0), A, -1), "Got length -1"),
        (lambda: neighbour_pairs(KEY(0), A, 0), "Got length 0"),
        (lambda: walks.independent(KEY(0), A, 0), "Got length 0"),
        (lambda: balanced_walk(KEY(0), A, 0), "Got length 0"),
        (lambda: random_walk(KEY(0), A, 5, restart=1.2), "Got restart 1.2"),
        (lambda: random_walk(KEY(0), A, 5, start=7), "Expected a node from 0 to 6"),
        (lambda: mixture_walk(KEY(0), B, B, -0.5, 5), "Got share -0.5"),
        (lambda: edge_shuffled(KEY(0), jnp.array([1])), "a walk of 1 items"),
    ],
)
def test_what_cannot_be_walked_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_mixture_is_of_graphs_of_one_size():
    with pytest.raises(ValueError, match="graphs of 7 and 9 nodes"):
        mixture_walk(KEY(0), A, B, 0.5, 5)


def test_shares_and_starts_may_be_traced():
    made = jax.jit(jax.vmap(lambda key, r, s: random_walk(key, A, 6, restart=r, start=s)))(
        jax.random.split(KEY(15), 7), jnp.linspace(0, 1, 7), jnp.arange(7)
    )
    assert made[:, 0].tolist() == list(range(7))
