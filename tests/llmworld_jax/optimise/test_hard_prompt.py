"""The search finds a planted prompt, keeps to what is allowed, and goes on where it stopped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import embed, logits
from llmworld_jax.optimise import hard_prompt as hp

HIDDEN = np.array([7, 21, 33, 12], np.int32)
ALLOWED = np.arange(40) >= 5


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


@pytest.fixture(scope="module")
def planted(model):
    """Distance to the embeddings of the hidden prompt: convex, and least at those tokens alone."""
    wanted = embed(model, jnp.asarray(HIDDEN))

    def loss(vectors):
        return jnp.sum((vectors - wanted) ** 2)

    return loss, hp.score_of(loss, model, at_once=8), jax.jit(jax.grad(loss))


def search(model, planted, state, rounds, key=0, **options):
    _, score, slope = planted
    options = {"top": 8, "count": 16} | options
    for _ in range(rounds):
        state = hp.coordinate_round(jax.random.key(key), state, slope, score, model, ALLOWED, **options)
    return state


def test_finds_a_planted_prompt_and_never_gets_worse(model, planted):
    start = hp.begin_search(planted[1], np.array([5, 6, 8, 9]))
    found = search(model, planted, start, 25)
    np.testing.assert_array_equal(found.tokens, HIDDEN)
    assert found.loss == pytest.approx(0, abs=1e-6)
    assert (np.diff(found.history) <= 0).all()
    assert found.spent == 1 + 25 * (16 + hp.GRADIENT)


def test_random_search_at_equal_budget_is_slower_here(model, planted):
    start = hp.begin_search(planted[1], np.array([5, 6, 8, 9]))
    guided, blind = search(model, planted, start, 6), start
    while blind.spent < guided.spent:
        blind = hp.random_round(jax.random.key(0), blind, planted[1], np.flatnonzero(ALLOWED), count=16)
    assert guided.loss < blind.loss < start.loss


def test_a_search_taken_up_again_is_the_same_search(model, planted):
    start = hp.begin_search(planted[1], np.array([5, 6, 8, 9]))
    whole = search(model, planted, start, 6)
    again = search(model, planted, search(model, planted, start, 3), 3)
    for one, other in zip(whole, again):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(search(model, planted, start, 3, key=1).history, search(model, planted, start, 3).history)


def test_candidates_change_one_position_each_in_turn_to_allowed_tokens():
    tokens = jnp.array([5, 6, 8, 9])
    slopes = jax.random.normal(jax.random.key(3), (4, 40))
    drawn = np.asarray(hp.candidates(jax.random.key(0), tokens, slopes, jnp.asarray(ALLOWED), top=3, count=12))
    first = next(np.flatnonzero(row != tokens)[0] - k for k, row in enumerate(drawn) if (row != tokens).any())
    for k, row in enumerate(drawn):
        at = (first + k) % 4
        assert set(np.flatnonzero(row != np.asarray(tokens))) <= {at}
        assert row[at] in np.argsort(np.where(ALLOWED, np.asarray(slopes[at]), np.inf))[:3]


def test_fewer_candidates_than_positions_still_reach_every_position(model, planted):
    """Every token of the start is wrong, so a search that reaches a position leaves it changed."""
    start = hp.begin_search(planted[1], np.array([5, 6, 8, 9]))
    assert (search(model, planted, start, 60, count=1).tokens != start.tokens).all()
    blind = start
    for _ in range(60):
        blind = hp.random_round(jax.random.key(0), blind, planted[1], HIDDEN, count=1)
    assert (blind.tokens != start.tokens).all()


def test_a_candidate_without_a_loss_does_not_spoil_its_round(model, planted):
    start = hp.begin_search(planted[1], np.array([5, 6, 8, 9]))

    def spoilt(rows):
        return planted[1](rows).at[0].set(jnp.nan)

    found = hp.random_round(jax.random.key(0), start, spoilt, HIDDEN, count=16)
    assert found.loss < start.loss
    none = hp.random_round(jax.random.key(0), start, lambda rows: jnp.full(len(rows), jnp.nan), HIDDEN, count=16)
    assert (none.loss, none.skipped) == (start.loss, 1)


def test_what_does_not_survive_is_never_taken(model, planted):
    start = hp.begin_search(planted[1], np.array([5, 6, 8, 9]))
    found = search(model, planted, start, 8, survives=lambda row: 21 not in row)
    assert 21 not in found.tokens
    assert found.loss < start.loss
    none = search(model, planted, start, 3, survives=lambda row: False)
    assert none.skipped == 3
    np.testing.assert_array_equal(none.tokens, start.tokens)
    with pytest.raises(InputError, match="35 allowed"):
        search(model, planted, start, 1, top=36)


def test_late_scores_are_those_of_the_whole_sequence(model):
    before, after = jnp.array([3, 9, 4, 30, 22]), jnp.array([17, 5])
    rows = jnp.array([[7, 8, 9], [10, 11, 12], [20, 7, 5]])

    def reduce(model, read):
        return -jax.nn.log_softmax(logits(model, read.hidden[-1]))[6]

    found = hp.late_score(model, forward(model, before).cache, after, reduce, at_once=2)(rows)
    wanted = [reduce(model, forward(model, jnp.concatenate((before, row, after)))) for row in rows]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
