"""Chains found by descent: closed forms of the literature, and a bound from below by linear programmes."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from systems.graph_names import parse_graph
from systems.mixing_chains import (
    fastest_degree_chain,
    fastest_symmetric_chain,
    reversible_chain,
)

TREES = ("path:4", "path:6", "tree:2x2", "star:5")
ALIKE = ("ring:5", "ring:6", "hypercube:3", "bipartite:3x4")  # every edge can be carried to every other
ROOM = ("grid:3x4", "grid:4x4", "circulant:9x2")


def adjacency_of(name):
    return jnp.asarray(parse_graph(name).adjacency)


def complete(number):
    return jnp.ones((number, number)) - jnp.eye(number)


def modulus(chain):
    """Second largest modulus of the eigenvalues, without the module's own decomposition."""
    return np.sort(abs(np.linalg.eigvals(np.asarray(chain.transition, np.float64))))[-2]


def least_by_planes(support, sums, ends, rounds=400):
    """Kelley's method: eigenvectors of every solution so far bound the eigenvalue from below, linearly in w."""
    support, sums = np.asarray(support, float), np.asarray(sums, float)
    i, j = np.nonzero(np.triu(support))
    scale, number = np.sqrt(sums), len(i)
    rows = np.zeros((len(support), number + 1))
    rows[i, np.arange(number)] = rows[j, np.arange(number)] = 1
    # The trivial eigenvector is left out by working in the space across it.
    across = np.linalg.svd(scale[None])[2][1:].T
    planes: list[np.ndarray] = []
    most = np.inf
    for _ in range(rounds):
        limits = {"A_ub": np.array(planes), "b_ub": np.zeros(len(planes))} if planes else {}
        solved = linprog(
            np.eye(number + 1)[-1], **limits, A_eq=rows, b_eq=sums, bounds=[(0, None)] * number + [(-1, 1)]
        )
        weights = np.zeros_like(support)
        weights[i, j] = weights[j, i] = solved.x[:-1]
        values, vectors = np.linalg.eigh(across.T @ (weights / scale[:, None] / scale) @ across)
        most = min(most, max(end * value for end in ends for value in values))
        if most - solved.x[-1] < 1e-4:
            break
        for end, (value, vector) in itertools.product(ends, zip(values, (across @ vectors).T / scale[None])):
            if end * value > solved.x[-1]:
                planes.append(np.append(end * vector[i] * vector[j] * np.where(i == j, 1, 2), -1))
    return solved.x[-1]


@pytest.mark.parametrize("name", [*TREES, *ALIKE, *ROOM])
@pytest.mark.parametrize("find", [fastest_degree_chain, fastest_symmetric_chain])
def test_a_chain_is_reversible_on_the_edges_and_has_its_law(name, find):
    graph = parse_graph(name)
    chain = find(jnp.asarray(graph.adjacency))
    flow = np.asarray(chain.stationary)[:, None] * np.asarray(chain.transition)
    np.testing.assert_allclose(chain.transition.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(flow, flow.T, atol=1e-6)
    degrees = graph.degrees if find is fastest_degree_chain else np.ones(graph.num_nodes)
    np.testing.assert_allclose(chain.stationary, degrees / degrees.sum(), rtol=1e-4)
    legal = graph.adjacency if find is fastest_degree_chain else graph.adjacency + np.eye(graph.num_nodes)
    assert (flow[legal == 0] == 0).all()
    assert (flow >= 0).all()
    values = np.sort(np.linalg.eigvals(np.asarray(chain.transition, np.float64)).real)
    assert float(chain.second_eigenvalue) == pytest.approx(values[-2], abs=1e-5)


@pytest.mark.parametrize("number", [3, 4, 6])
def test_on_a_path_the_modulus_is_that_of_boyd_diaconis_and_xiao(number):
    """cos(π/n), with 1/2 on every edge and at the loops of both ends."""
    chain = fastest_symmetric_chain(adjacency_of(f"path:{number}"))
    assert modulus(chain) == pytest.approx(np.cos(np.pi / number), abs=1e-3)
    np.testing.assert_allclose(np.diagonal(np.asarray(chain.transition), 1), 0.5, atol=0.02)


def test_on_a_complete_graph_one_step_forgets_all():
    chain = fastest_symmetric_chain(complete(5))
    assert modulus(chain) < 2e-3
    np.testing.assert_allclose(chain.transition, 0.2, atol=2e-3)


@pytest.mark.parametrize("name", [*ALIKE, "star:5"])
def test_where_edges_are_alike_they_share_one_weight(name):
    r"""P = I - pL; the problem is convex, so p is the same: min(1/d, 2/(μ_2 + μ_n)) of the Laplacian's eigenvalues."""
    graph = parse_graph(name)
    roots = np.linalg.eigvalsh(np.diag(graph.degrees) - graph.adjacency)
    p = min(1 / graph.degrees.max(), 2 / (roots[1] + roots[-1]))
    expected = max(1 - p * roots[1], p * roots[-1] - 1)
    adjacency = jnp.asarray(graph.adjacency)
    assert modulus(fastest_symmetric_chain(adjacency)) == pytest.approx(expected, abs=1e-3)
    uniform = reversible_chain(adjacency)
    np.testing.assert_allclose(fastest_degree_chain(adjacency).transition, uniform.transition, atol=1e-3)


@pytest.mark.parametrize("name", TREES)
def test_on_a_tree_no_weight_is_free(name):
    adjacency = adjacency_of(name)
    found, uniform = fastest_degree_chain(adjacency), reversible_chain(adjacency)
    np.testing.assert_allclose(found.transition, uniform.transition, atol=1e-4)


@pytest.mark.parametrize("name", ["grid:3x3", "grid:3x4", "grid:4x4"])
def test_no_chain_of_the_uniform_law_forgets_sooner(name):
    adjacency = adjacency_of(name)
    found = float(fastest_degree_chain(adjacency).second_eigenvalue)
    assert found <= float(reversible_chain(adjacency).second_eigenvalue) + 1e-5
    assert found == pytest.approx(least_by_planes(adjacency, adjacency.sum(axis=1), (1,)), abs=5e-4)


def test_a_grid_leaves_room_for_a_faster_chain():
    adjacency = adjacency_of("grid:4x4")
    found, uniform = fastest_degree_chain(adjacency), reversible_chain(adjacency)
    assert float(found.second_eigenvalue) < float(uniform.second_eigenvalue) - 5e-3


@pytest.mark.parametrize("name", ["grid:3x3", "tree:2x2", "path:5"])
def test_no_symmetric_chain_has_a_smaller_modulus(name):
    adjacency = adjacency_of(name)
    bound = least_by_planes(adjacency + jnp.eye(len(adjacency)), np.ones(len(adjacency)), (1, -1))
    assert modulus(fastest_symmetric_chain(adjacency)) == pytest.approx(bound, abs=1e-3)


def test_with_a_free_law_there_is_no_fastest_chain():
    """On P4 with weights 1, w, 1 the second eigenvalue is 1/(1 + w): its least is at no w."""
    for w in (1.0, 3.0, 50.0):
        weights = jnp.diag(jnp.array([1.0, w, 1.0]), 1)
        assert float(reversible_chain(weights + weights.T).second_eigenvalue) == pytest.approx(1 / (1 + w), abs=1e-5)
