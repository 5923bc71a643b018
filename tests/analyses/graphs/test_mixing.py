"""Mixed rows draw their graph as much as was measured; token vectors are taken apart into planted parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses.graphs.mixing import additive_bigram, neighbour_mixing


def ring(number):
    return np.roll(np.eye(number), 1, axis=1) + np.roll(np.eye(number), -1, axis=1)


def grid(side):
    at = np.arange(side * side)
    return 1.0 * (np.abs(at[:, None] // side - at // side) + np.abs(at[:, None] % side - at % side) == 1)


def ratio(gram, adjacency):
    """Mean squared distance over edges by that over pairs, from inner products."""
    squared = np.diag(gram)[:, None] + np.diag(gram) - 2 * gram
    number = len(gram)
    return (squared * adjacency).sum() / adjacency.sum() / (squared.sum() / number / (number - 1))


@pytest.mark.parametrize(("adjacency", "measured"), [(grid(4), 0.568), (ring(10), 0.409)], ids=["grid", "ring"])
@pytest.mark.parametrize(("rounds", "weight"), [(1, 1.0), (2, 0.5), (0, 1.0)])
def test_mixed_rows_have_the_ratio_of_their_expected_gram(adjacency, measured, rounds, weight):
    """E[H Hᵀ] = width M Mᵀ with M = (I + w D⁻¹ A)^rounds."""
    once = np.eye(len(adjacency)) + weight * adjacency / adjacency.sum(axis=1, keepdims=True)
    mixing = np.linalg.matrix_power(once, rounds)
    rows = neighbour_mixing(jax.random.key(0), jnp.asarray(adjacency, jnp.float32), 4096, rounds=rounds, weight=weight)
    rows = np.asarray(rows, float)
    expected = ratio(mixing @ mixing.T, adjacency)
    assert ratio(rows @ rows.T, adjacency) == pytest.approx(expected, abs=0.02)
    if rounds == 1:
        assert expected == pytest.approx(measured, abs=0.006)
    if rounds == 0:
        assert expected == pytest.approx(1)


def test_weights_may_be_batched_and_sizes_are_checked():
    key, adjacency = jax.random.key(1), jnp.asarray(ring(5), jnp.float32)
    batch = jax.vmap(lambda w: neighbour_mixing(key, adjacency, 3, weight=w))(jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(batch[1], neighbour_mixing(key, adjacency, 3), rtol=1e-5)
    np.testing.assert_allclose(batch[0], neighbour_mixing(key, adjacency, 3, rounds=0), rtol=1e-6)
    for bad in (dict(width=0), dict(width=3, rounds=-1)):
        with pytest.raises(ValueError, match="Expected 1 and 0 or more"):
            neighbour_mixing(key, adjacency, **bad)


def walked(adjacency, length, seed=0):
    rng, node, walk = np.random.default_rng(seed), 0, [0]
    for _ in range(length):
        node = rng.choice(np.flatnonzero(adjacency[node]))
        walk.append(node)
    return np.array(walk[1:]), np.array(walk[:-1])


def planted(adjacency, width=6, noise=0.0, seed=0, length=400):
    rng, number = np.random.default_rng(seed), len(adjacency)
    current, previous = walked(adjacency, length, seed)
    a, b = rng.normal(3, 1, (number, width)), rng.normal(size=(number, width))
    b -= b[previous].mean(axis=0)
    rows = a[current] + b[previous] + noise * rng.normal(size=(length, width))
    return (jnp.asarray(rows, jnp.float32), jnp.asarray(current), jnp.asarray(previous)), a, b


def test_planted_parts_are_recovered_where_both_can_be_told():
    """A ring of seven is not bipartite."""
    tokens, a, b = planted(ring(7))
    found = additive_bigram(*tokens, 7)
    np.testing.assert_allclose(found.current, a, atol=2e-3)
    np.testing.assert_allclose(found.previous, b, atol=2e-3)
    assert found.current_seen.all()
    assert found.previous_seen.all()
    assert float(found.explained) == pytest.approx(1, abs=1e-5)
    assert found.explained_by_current < 0.95


def test_shares_are_those_of_numpy():
    tokens, _, _ = planted(grid(3), noise=1.0, seed=1)
    rows, current, previous = (np.asarray(x, float) for x in tokens)
    found = additive_bigram(*tokens, 9)
    now, then = np.eye(9)[current.astype(int)], np.eye(9)[previous.astype(int)]
    total = ((rows - rows.mean(axis=0)) ** 2).sum()
    for design, share in ((np.hstack((now, then)), found.explained), (now, found.explained_by_current)):
        fitted = design @ np.linalg.lstsq(design, rows)[0]
        assert float(share) == pytest.approx(1 - ((rows - fitted) ** 2).sum() / total, abs=1e-5)
    fitted = np.asarray(found.current)[current.astype(int)] + np.asarray(found.previous)[previous.astype(int)]
    design = np.hstack((now, then))
    np.testing.assert_allclose(fitted, design @ np.linalg.lstsq(design, rows)[0], atol=1e-3)
    np.testing.assert_allclose(np.asarray(found.previous)[previous.astype(int)].mean(axis=0), 0, atol=1e-4)


def test_two_colours_leave_one_contrast_undetermined():
    """Within a colour the planted rows are found; between colours only the sum of both parts is."""
    tokens, a, b = planted(grid(3), seed=2)
    found = additive_bigram(*tokens, 9)
    colour = np.arange(9) % 2
    for part, truth in ((found.current, a), (found.previous, b)):
        left = np.asarray(part) - truth
        for side in (0, 1):
            np.testing.assert_allclose(left[colour == side], left[colour == side][:1].repeat(5 - side, 0), atol=5e-3)
    assert float(found.explained) == pytest.approx(1, abs=1e-5)


def test_nodes_that_never_stood_there_are_marked_and_move_nothing():
    tokens, _, _ = planted(ring(7), noise=0.3)
    found, wider = additive_bigram(*tokens, 7), additive_bigram(*tokens, 10)
    assert wider.current_seen.tolist() == wider.previous_seen.tolist() == [True] * 7 + [False] * 3
    for part in ("current", "previous"):
        assert not np.asarray(getattr(wider, part))[7:].any()
        np.testing.assert_allclose(getattr(wider, part)[:7], getattr(found, part), atol=1e-3)
    np.testing.assert_allclose(wider.explained, found.explained, atol=1e-5)
    one = additive_bigram(tokens[0][:4], jnp.array([0, 0, 1, 1]), jnp.array([2, 2, 2, 2]), 4)
    assert all(np.isfinite(leaf).all() for leaf in one)
    assert one.previous_seen.tolist() == [False, False, True, False]
    np.testing.assert_allclose(one.previous, 0, atol=1e-5)


def test_a_batch_of_layers_is_a_loop():
    tokens, _, _ = planted(grid(3), noise=0.5)
    layers = jnp.stack((tokens[0], 2 * tokens[0] + 1))
    batch = jax.vmap(lambda rows: additive_bigram(rows, *tokens[1:], 9))(layers)
    single = additive_bigram(layers[1], *tokens[1:], 9)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x[1], y, atol=2e-3), batch, single)
    np.testing.assert_allclose(batch.explained[0], batch.explained[1], rtol=1e-4)
