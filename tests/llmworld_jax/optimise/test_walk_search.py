"""Decoding is the best of all walks, moves stay legal, searches lower the loss, estimates of gradients are unbiased."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from llmworld_jax.errors import InputError
from llmworld_jax.optimise import legal_walks, walk_relaxation, walk_search
from llmworld_jax.optimise.descent import adam
from systems.covering_walks import chain_walk
from systems.graph_names import parse_graph
from systems.walks import random_walk

GRID = np.asarray(parse_graph("grid:3x3").adjacency, np.float32)
PATH = np.asarray(parse_graph("path:4").adjacency, np.float32)


def all_walks(adjacency, length):
    walks = itertools.product(range(len(adjacency)), repeat=length)
    return [w for w in walks if all(adjacency[a, b] for a, b in itertools.pairwise(w))]


@pytest.mark.parametrize("seed", range(4))
def test_decoded_walk_is_the_best_of_all_legal_ones(seed):
    scores = np.random.default_rng(seed).normal(size=(6, 4)).astype(np.float32)
    found = np.asarray(legal_walks.best_walk(jnp.asarray(scores), jnp.asarray(PATH)))
    values = {w: sum(scores[t, x] for t, x in enumerate(w)) for w in all_walks(PATH, 6)}
    assert tuple(found.tolist()) == max(values, key=values.get)


def test_walks_are_decoded_in_batches_as_alone():
    scores = jax.random.normal(jax.random.key(4), (5, 7, 9))
    together = jax.vmap(legal_walks.best_walk, in_axes=(0, None))(scores, jnp.asarray(GRID))
    alone = [legal_walks.best_walk(one, jnp.asarray(GRID)) for one in scores]
    np.testing.assert_array_equal(together, np.stack(alone))


def uncovered(choice):
    """Softly, how many nodes were not visited, and nodes of the left column twice as dear."""
    weight = jnp.array([2.0, 1, 1] * 3)
    return jnp.sum(weight * jnp.exp(-1.5 * choice.sum(axis=0)))


def test_first_order_scores_are_the_change_of_a_linear_loss():
    weight = jax.random.normal(jax.random.key(0), (10, 9))
    walk = random_walk(jax.random.key(1), jnp.asarray(GRID), 10)
    scores = legal_walks.swap_scores(lambda choice: jnp.sum(weight * choice), walk, 9)
    np.testing.assert_allclose(scores, weight - weight[jnp.arange(10), walk][:, None], atol=1e-6)


def test_legal_swaps_are_those_that_keep_both_edges():
    walk = np.asarray(random_walk(jax.random.key(2), jnp.asarray(GRID), 12))
    found = np.asarray(legal_walks.legal_swaps(jnp.asarray(walk), jnp.asarray(GRID)))
    for t, node in itertools.product(range(12), range(9)):
        changed = walk.copy()
        changed[t] = node
        assert found[t, node] == (node != walk[t] and legal_walks.is_legal(changed, GRID))


score = jax.jit(lambda walks: jax.vmap(uncovered)(legal_walks.one_hot(walks, 9)))
slope = jax.jit(lambda walk: legal_walks.swap_scores(uncovered, walk, 9))


def searched(rounds, state, key=0):
    for _ in range(rounds):
        state = walk_search.search_round(jax.random.key(key), state, score, slope, GRID, count=12)
    return state


@pytest.fixture
def start():
    walk = np.tile([4, 5], 10)[:20]
    return walk_search.begin_walk(score, walk)


def test_promising_changes_are_the_best_legal_ones_of_a_linear_loss():
    weight = np.random.default_rng(5).normal(size=(14, 9)).astype(np.float32)
    walk = np.asarray(random_walk(jax.random.key(5), jnp.asarray(GRID), 14))
    found = walk_search.promising(walk, weight - weight[np.arange(14), walk][:, None], GRID, 6)
    every = []
    for t, node in itertools.product(range(14), range(9)):
        changed = walk.copy()
        changed[t] = node
        if node != walk[t] and legal_walks.is_legal(changed, GRID):
            every.append(changed)
    every.sort(key=lambda other: weight[np.arange(14), other].sum())
    np.testing.assert_array_equal(found, every[:6])


def test_half_of_a_round_are_single_changes_and_the_rest_are_not():
    walk = np.asarray(random_walk(jax.random.key(6), jnp.asarray(GRID), 40))
    drawn = []

    def noted(walks):
        drawn.append(np.asarray(walks))
        return score(walks)

    walk_search.search_round(jax.random.key(6), walk_search.begin_walk(score, walk), noted, slope, GRID, count=24)
    changes = (drawn[0] != walk).sum(axis=1)
    assert drawn[0].shape == (24, 40)
    assert all(legal_walks.is_legal(other, GRID) for other in drawn[0])
    assert (changes[:12] == 1).all()
    assert (changes[12:] > 1).sum() > 4


def test_a_detour_is_drawn_evenly_from_all_of_its_length():
    walk = np.array([1, 0, 1, 0, 1, 0, 1])
    ways = {way: 0 for way in all_walks(PATH, 7) if way[0] == way[-1] == 1}
    assert walk_search.DETOUR == 6
    assert len(ways) == 13
    random, draws = np.random.default_rng(0), 2600
    for _ in range(draws):
        ways[tuple(walk_search._detoured(walk, PATH, random).tolist())] += 1
    assert chisquare(list(ways.values())).pvalue > 1e-4


def test_local_search_covers_the_graph_and_stays_legal(start):
    found = searched(60, start)
    assert legal_walks.is_legal(found.walk, GRID)
    assert found.loss < 0.55 * start.loss
    assert (np.diff(found.history) <= 0).all()
    assert found.spent == 1 + 60 * (12 + walk_search.GRADIENT)
    assert float(score(jnp.asarray(found.walk)[None])[0]) == pytest.approx(found.loss, rel=1e-6)


def test_a_search_taken_up_again_is_the_same(start):
    whole, again = searched(8, start), searched(4, searched(4, start))
    for one, other in zip(whole, again):
        np.testing.assert_array_equal(one, other)


def test_every_move_keeps_ends_and_edges():
    random = np.random.default_rng(0)
    walk = np.asarray(random_walk(jax.random.key(3), jnp.asarray(GRID), 30))
    changed = 0
    for _ in range(100):
        for move in (walk_search._reversed, walk_search._detoured):
            other = move(walk, GRID, random)
            assert legal_walks.is_legal(other, GRID)
            assert other.shape == walk.shape
            changed += not np.array_equal(other, walk)
    assert changed > 80


def test_a_walk_that_is_none_is_refused(start):
    broken = start._replace(walk=np.array([0, 8, 0, 8], np.int32))
    with pytest.raises(InputError, match="no edge"):
        walk_search.search_round(jax.random.key(0), broken, score, slope, GRID, count=4)


def test_random_search_keeps_the_best(start):
    state = start
    for _ in range(5):
        state = walk_search.draw_round(
            jax.random.key(1), state, score, lambda key: random_walk(key, jnp.asarray(GRID), 20), count=8
        )
    assert state.spent == 41
    assert state.loss == pytest.approx(float(state.history.min()))
    assert state.loss < start.loss


def test_relaxation_decodes_a_legal_walk_that_covers(start):
    annealing = walk_relaxation.Annealing(steps=150)
    step = jax.jit(
        functools.partial(
            walk_relaxation.relaxed_step, loss=uncovered, adjacency=jnp.asarray(GRID), annealing=annealing,
            optimiser=adam(0.3),
        )
    )  # fmt: skip
    state = walk_relaxation.begin_relaxed(jax.random.key(0), 20, 9)
    for _ in range(150):
        state = step(state).state
    walk = np.asarray(walk_relaxation.decoded(state.parameters, jnp.asarray(GRID)))
    assert legal_walks.is_legal(walk, GRID)
    assert float(score(jnp.asarray(walk)[None])[0]) < 0.6 * start.loss
    laws = jax.nn.softmax(state.parameters, axis=1)
    even = jnp.full((20, 9), 1 / 9)
    assert walk_relaxation.infeasibility(laws, jnp.asarray(GRID)) < walk_relaxation.infeasibility(
        even, jnp.asarray(GRID)
    )


def test_infeasibility_is_the_share_of_steps_that_are_no_edge():
    laws = jax.nn.softmax(jax.random.normal(jax.random.key(7), (5, 4)), axis=1)
    wrong = [
        laws[t, a] * laws[t + 1, b] for t in range(4) for a in range(4) for b in range(4) if not PATH[a, b]
    ]  # fmt: skip
    np.testing.assert_allclose(walk_relaxation.infeasibility(laws, jnp.asarray(PATH)), sum(wrong) / 4, rtol=1e-5)
    walk = jnp.asarray([0, 1, 2, 0, 1])
    assert walk_relaxation.infeasibility(legal_walks.one_hot(walk, 4), jnp.asarray(PATH)) == 0.25


def relaxed_without_loss(annealing):
    state = walk_relaxation.begin_relaxed(jax.random.key(8), 12, 9)
    step = jax.jit(
        lambda state: walk_relaxation.relaxed_step(
            state, lambda choice: 0.0 * choice.sum(), jnp.asarray(GRID), annealing, adam(0.1)
        )
    )
    for _ in range(annealing.steps):
        state = step(state).state
    return jax.nn.softmax(state.parameters, axis=1)


def spread(laws):
    return float(-jnp.mean(jnp.sum(laws * jnp.log(laws), axis=1)))


def test_the_penalty_alone_makes_steps_edges():
    free, bound = (relaxed_without_loss(walk_relaxation.Annealing(weight, 0.0, 0.0, steps=60)) for weight in (0.0, 1.0))
    assert walk_relaxation.infeasibility(bound, jnp.asarray(GRID)) < 0.5 * walk_relaxation.infeasibility(
        free, jnp.asarray(GRID)
    )


def test_entropy_is_favoured_first_and_punished_last():
    even, sharp = (
        spread(relaxed_without_loss(walk_relaxation.Annealing(0.0, *weights, steps=60)))
        for weights in ((0.1, 0.1), (0.1, -0.5))
    )
    assert even == pytest.approx(np.log(9), abs=1e-3)
    assert sharp < 1.0


def test_a_single_walk_has_no_others_to_be_compared_with():
    with pytest.raises(InputError, match="2 or more"):
        walk_relaxation.policy_loss(jnp.zeros((4, 4)), jnp.asarray(PATH), jnp.zeros((1, 3), int), jnp.zeros(1))


def test_score_function_is_unbiased_for_the_exact_gradient():
    adjacency = jnp.asarray(parse_graph("ring:4").adjacency, jnp.float32)
    walks = jnp.asarray(all_walks(np.asarray(adjacency), 4))
    cost = jnp.sum(walks == 2, axis=1).astype(jnp.float32) + 0.3 * walks[:, 1]
    logits = 0.3 * jax.random.normal(jax.random.key(0), (4, 4))

    def expected(logits):
        transition = walk_relaxation.chain_of(logits, adjacency)
        return jnp.sum(jnp.prod(transition[walks[:, :-1], walks[:, 1:]], axis=1) / 4 * cost)

    def estimate(key):
        drawn = jax.vmap(lambda k: chain_walk(k, walk_relaxation.chain_of(logits, adjacency), 4))(
            jax.random.split(key, 16)
        )
        losses = jnp.sum(drawn == 2, axis=1) + 0.3 * drawn[:, 1]
        return jax.grad(walk_relaxation.policy_loss)(logits, adjacency, drawn, losses)

    found = jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(1), 4000))
    error = found.std(axis=0) / 4000**0.5
    exact = jax.grad(expected)(logits)
    assert (jnp.abs(found.mean(axis=0) - exact) <= 4.5 * error + 1e-7).all()
    assert float(jnp.abs(exact).max()) > 0.05


def test_a_learned_chain_goes_where_the_loss_is_low():
    adjacency = jnp.asarray(GRID)

    def cost(walks):
        return -jnp.mean((walks == 0).astype(jnp.float32), axis=1)

    step = jax.jit(
        lambda state: walk_relaxation.policy_step(
            state, adjacency, lambda key, chain: chain_walk(key, chain, 25), cost, 32, adam(0.1)
        )
    )
    state, losses = walk_relaxation.begin_chain(jax.random.key(0), 9), []
    for _ in range(60):
        made = step(state)
        state = made.state
        losses.append(float(made.loss))
    assert np.mean(losses[-5:]) < 2 * np.mean(losses[:5])  # both negative: at least twice as often
