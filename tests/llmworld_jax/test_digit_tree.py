"""The mathematics of the tree, with a known density and no model."""

import itertools
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.digit_tree import coarse, complete_tree, law_of, leaf_log_mass, level_sizes

BRANCHES = [(10,), (10, 10), (10, 10, 10), (1000, 10), (100, 10), (4,), (3, 5, 2), (2, 1, 3), (1,), (2, 2, 2, 2)]
any_branch = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)
every_branch = pytest.mark.parametrize("branch", BRANCHES, ids=str)

marginals = jax.jit(coarse, static_argnums=1)

Conditionals = dict[tuple[int, ...], np.ndarray]


def prefixes(branch: tuple[int, ...], length: int) -> list[tuple[int, ...]]:
    """All prefixes of a length, in numeric order."""
    return list(itertools.product(*map(range, branch[:length])))


def random_conditionals(branch: tuple[int, ...], seed: int = 0) -> Conditionals:
    """Next-digit probabilities at every prefix, from certain to even."""
    rng = np.random.default_rng(seed)
    return {
        prefix: rng.dirichlet(np.full(width, rng.choice([0.3, 1.0, 30.0])))
        for length, width in enumerate(branch)
        for prefix in prefixes(branch, length)
    }


def product_law(conditionals: Conditionals, branch: tuple[int, ...]) -> np.ndarray:
    """The probability of every number, one factor at a time."""
    return np.array(
        [prod(conditionals[n[:k]][n[k]] for k in range(len(branch))) for n in prefixes(branch, len(branch))]
    )


def tables(conditionals: Conditionals, branch: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """One table of log-probabilities a level, its rows in numeric order."""
    with np.errstate(divide="ignore"):
        return tuple(
            np.log(np.stack([conditionals[p] for p in prefixes(branch, k)])).astype(np.float32)
            for k in range(len(branch))
        )


def check_law(branch: tuple[int, ...], seed: int) -> None:
    conditionals = random_conditionals(branch, seed)
    exact = product_law(conditionals, branch)
    root, *levels = map(jnp.asarray, tables(conditionals, branch))
    fast = np.exp(leaf_log_mass(root[0], tuple(levels)))
    by_prefix = {p: row for k, t in enumerate((root, *levels)) for p, row in zip(prefixes(branch, k), np.asarray(t))}
    defined = np.exp(law_of(lambda prefix: jnp.asarray(by_prefix[prefix]), branch))
    assert fast.shape == defined.shape == (prod(branch),)
    np.testing.assert_allclose(fast, exact, atol=1e-6)
    np.testing.assert_allclose(defined, exact, atol=1e-6)
    np.testing.assert_allclose(fast.sum(dtype=np.float64), 1, atol=1e-5)


@every_branch
def test_law_is_the_product_of_the_conditionals(branch: tuple[int, ...]) -> None:
    check_law(branch, seed=1)


@settings(max_examples=15, deadline=None)
@given(any_branch, st.integers(0, 2**32 - 1))
def test_law_is_the_product_of_the_conditionals_for_any_tree(branch: tuple[int, ...], seed: int) -> None:
    check_law(branch, seed)


def check_tables(branch: tuple[int, ...]) -> None:
    """Nodes are the prefixes in order, and following ``ancestors`` spells a node's own prefix."""
    tree = complete_tree(branch)
    expected = [p for length in range(1, len(branch)) for p in prefixes(branch, length)]
    assert level_sizes(branch) == tuple(len(prefixes(branch, k)) for k in range(1, len(branch)))
    assert tree.branch == branch
    assert tree.level.tolist() == [len(p) for p in expected]
    assert tree.digit.tolist() == [p[-1] for p in expected]
    assert tree.ancestors.shape == tree.seen.shape == (len(expected), max(len(branch) - 1, 1))
    for node, prefix in enumerate(expected):
        real = tree.ancestors[node, tree.seen[node]]
        assert tuple(tree.digit[real].tolist()) == prefix
        assert tree.level[real].tolist() == list(range(1, len(prefix) + 1))
        assert real[-1] == node
        assert (tree.ancestors[node, ~tree.seen[node]] == node).all()


@every_branch
def test_tables_spell_every_prefix_once(branch: tuple[int, ...]) -> None:
    check_tables(branch)


@settings(max_examples=30, deadline=None)
@given(any_branch)
def test_tables_spell_every_prefix_once_for_any_tree(branch: tuple[int, ...]) -> None:
    check_tables(branch)


@pytest.mark.parametrize("branch", [(4,), (3, 5, 2), (10, 10)], ids=str)
def test_coarse_is_the_marginal_of_the_leading_digits(branch: tuple[int, ...]) -> None:
    fine = np.stack([product_law(random_conditionals(branch, seed), branch) for seed in (0, 1)])
    with np.errstate(divide="ignore"):
        log_mass = jnp.asarray(np.log(fine), jnp.float32)
    for places in range(len(branch) + 1):
        bins = prod(branch[:places])
        marginal = fine.reshape(2, *branch).sum(tuple(range(places + 1, len(branch) + 1))).reshape(2, bins)
        np.testing.assert_allclose(np.exp(marginals(log_mass, bins)), marginal, atol=1e-6)


def test_coarse_of_a_tree_is_the_law_of_the_shorter_tree() -> None:
    branch = (4, 3, 5)
    conditionals = random_conditionals(branch)
    root, *levels = map(jnp.asarray, tables(conditionals, branch))
    whole = leaf_log_mass(root[0], tuple(levels))
    np.testing.assert_allclose(np.exp(coarse(whole, 12)), np.exp(leaf_log_mass(root[0], tuple(levels[:1]))), atol=1e-6)
    np.testing.assert_allclose(np.exp(coarse(whole, 4)), np.exp(root[0]), atol=1e-6)


def test_coarse_keeps_what_is_impossible_impossible() -> None:
    log_mass = jnp.log(jnp.asarray([0.0, 0.0, 0.5, 0.5]))
    np.testing.assert_array_equal(coarse(log_mass, 2), [-np.inf, 0.0])
