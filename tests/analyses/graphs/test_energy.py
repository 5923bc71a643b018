"""The Dirichlet energy and its ratio: identities, what they may not depend on, gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses import graphs

from .shapes import grid, hexagons, path, ring, rows_of, tree

RATIOS = (
    graphs.dirichlet_ratio,
    graphs.cosine_ratio,
    graphs.standardised_ratio,
    lambda h, a, s=None: graphs.component_ratio(h, a, 3, s),
    lambda h, a, s=None: graphs.complement_ratio(h, a, 2, s),
)


def plain_ratio(rows, adjacency):
    distances = [[np.sum((a - b) ** 2) for b in rows] for a in rows]
    pairs = list(itertools.combinations(range(len(rows)), 2))
    edges = [pair for pair in pairs if adjacency[pair]]
    return np.mean([distances[i][j] for i, j in edges]) / np.mean([distances[i][j] for i, j in pairs])


def test_the_energy_is_twice_the_trace_and_the_sum_over_ordered_pairs():
    rows, a = rows_of(0, 16), grid(4)
    by_trace = 2 * jnp.trace(rows.T @ graphs.laplacian(a) @ rows)
    np.testing.assert_allclose(graphs.dirichlet_energy(rows, a), by_trace, rtol=1e-4)
    np.testing.assert_allclose(graphs.energy_per_edge(rows, a), by_trace / 48, rtol=1e-4)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_the_ratio_is_its_definition(seed):
    rows, a = rows_of(seed, 15, 6), tree()
    assert float(graphs.dirichlet_ratio(rows, a)) == pytest.approx(
        plain_ratio(np.asarray(rows), np.asarray(a)), rel=1e-4
    )


def test_its_mean_over_all_relabellings_is_exactly_one():
    rows, a = rows_of(1, 4, 3), path(4)
    every = [graphs.dirichlet_ratio(rows[jnp.array(order)], a) for order in itertools.permutations(range(4))]
    assert np.mean(every) == pytest.approx(1, abs=1e-5)
    assert np.std(every) > 0.1


def test_neither_scale_nor_shift_nor_rotation_changes_it():
    rows, a = rows_of(2, 10, 6), ring(10)
    turn = jnp.linalg.qr(rows_of(3, 6, 6))[0]
    moved = 7 * rows @ turn + 100
    assert float(graphs.dirichlet_ratio(moved, a)) == pytest.approx(float(graphs.dirichlet_ratio(rows, a)), rel=1e-3)


def test_a_common_offset_of_a_thousand_costs_no_digits():
    rows = rows_of(2, 10, 6)
    np.testing.assert_allclose(
        graphs.squared_distances(rows + 1000.0), graphs.squared_distances(rows), rtol=0.01, atol=0.01
    )


@pytest.mark.parametrize(
    ("adjacency", "one", "two"),
    [(grid(4), 0.183, 0.183), (ring(10), 0.172, 0.172), (hexagons(), 0.065, 0.071)],
    ids=["grid", "ring", "hexagons"],
)
def test_the_least_values_are_those_of_the_spec_and_are_reached(adjacency, one, two):
    assert float(graphs.ratio_bound(adjacency)) == pytest.approx(one, abs=6e-4)
    assert float(graphs.ratio_bound(adjacency, 2)) == pytest.approx(two, abs=6e-4)
    best = graphs.spectral_embedding(adjacency, 1)
    assert float(graphs.dirichlet_ratio(best, adjacency)) == pytest.approx(
        float(graphs.ratio_bound(adjacency)), rel=1e-4
    )


@pytest.mark.parametrize("ratio", RATIOS)
def test_nodes_that_were_not_seen_do_not_count_whatever_stands_there(ratio):
    rows, a = rows_of(4, 16, 12), grid(4)
    seen = jnp.arange(16) < 12
    kept = float(ratio(rows[:12], a[:12, :12]))
    for junk in (0.0, 1e4, jnp.nan):
        assert float(ratio(jnp.where(seen[:, None], rows, junk), a, seen)) == pytest.approx(kept, rel=2e-3), junk


def test_what_cannot_be_said_is_nan():
    rows, a = rows_of(0, 4, 3), path(4)
    for seen in ([0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]):
        for of in (graphs.dirichlet_ratio, graphs.dirichlet_energy, graphs.energy_per_edge):
            assert np.isnan(of(rows, a, jnp.array(seen, bool)))
    assert np.isnan(graphs.dirichlet_ratio(jnp.ones((4, 3)), a))
    assert float(graphs.dirichlet_energy(jnp.ones((4, 3)), a)) == 0  # a collapse, not an absence
    assert np.isnan(graphs.complement_ratio(rows, a, 3))  # three components are all
    assert np.isnan(graphs.complement_ratio(rows, a, 2, jnp.array([True, True, True, False])))


def test_energies_leave_out_what_was_not_seen_and_rows_with_nan_spoil_only_their_own_distances():
    rows, a, seen = rows_of(4, 16), grid(4), jnp.arange(16) < 12
    junk = jnp.where(seen[:, None], rows, jnp.nan)
    for of in (graphs.dirichlet_energy, graphs.energy_per_edge):
        assert float(of(junk, a, seen)) == pytest.approx(float(of(rows[:12], a[:12, :12])), rel=1e-4)
    found = graphs.squared_distances(junk)
    np.testing.assert_allclose(found[:12, :12], graphs.squared_distances(rows)[:12, :12], rtol=1e-4, atol=1e-4)
    assert np.isnan(found[12:]).all()


@pytest.mark.parametrize("asked", [0, 5])
def test_more_directions_than_there_are_is_an_error(asked):
    rows, a = rows_of(0, 5), path(5)
    with pytest.raises(ValueError, match=rf"Got {asked}.*Expected 1 to 4"):
        graphs.ratio_bound(a, asked)
    for of in (graphs.component_ratio, graphs.complement_ratio):
        with pytest.raises(ValueError, match=f"Got {asked} components"):
            of(rows, a, asked)


def test_principal_components_part_the_energy():
    rows, a = rows_of(5, 16, 20), grid(4)
    left, values, right = np.linalg.svd(np.asarray(rows - rows.mean(axis=0)), full_matrices=False)
    first = jnp.asarray(left[:, :2] * values[:2] @ right[:2])
    rest = jnp.asarray(left[:, 2:] * values[2:] @ right[2:])
    assert float(graphs.component_ratio(rows, a, 2)) == pytest.approx(float(graphs.dirichlet_ratio(first, a)), rel=1e-3)
    assert float(graphs.complement_ratio(rows, a, 2)) == pytest.approx(float(graphs.dirichlet_ratio(rest, a)), rel=1e-3)


@pytest.mark.once
@pytest.mark.parametrize("ratio", RATIOS)
def test_gradients_are_finite_differences(ratio):
    with jax.enable_x64(True):
        rows, a = rows_of(6, 9, 5).astype(jnp.float64), grid(3).astype(jnp.float64)
        slope = jax.jit(jax.grad(ratio))(rows, a)
        way = rows_of(7, 9, 5).astype(jnp.float64)
        h = 1e-5
        numeric = (ratio(rows + h * way, a) - ratio(rows - h * way, a)) / (2 * h)
        assert float(jnp.sum(slope * way)) == pytest.approx(float(numeric), rel=1e-6)


def test_the_gradient_is_finite_where_rows_coincide():
    rows = jnp.zeros((4, 3)).at[0, 0].set(1.0)
    assert np.isfinite(jax.grad(graphs.dirichlet_ratio)(rows, path(4))).all()


def test_gradients_are_finite_with_a_row_of_zeros_and_a_constant_coordinate():
    rows = rows_of(8, 9, 5).at[0].set(0.0)
    assert np.isfinite(jax.grad(graphs.cosine_ratio)(rows, grid(3))).all()
    slope = jax.grad(graphs.standardised_ratio)(rows.at[:, 3].set(1.0), grid(3))
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0


def test_vmap_over_layers_is_a_loop():
    rows, a = jnp.stack([rows_of(k, 10) for k in range(3)]), ring(10)
    together = jax.vmap(graphs.dirichlet_ratio, in_axes=(0, None))(rows, a)
    np.testing.assert_allclose(together, [graphs.dirichlet_ratio(one, a) for one in rows], rtol=1e-5)
