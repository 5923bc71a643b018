"""The law of every item on the numeral grid: given the full-precision past, and given the past as it is written.

``latent`` conditions on the state itself. ``given_quantised_past`` conditions on the digits of the past values that the
state holds (``system.seen`` of them), each uniform inside its cell; coordinates that are never written stay known. The
distance between the two is the resolution floor: the loss, against the latent law, of an observer who knows the
system but reads digits. Against the law given the quantised past that observer loses nothing.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses
from systems import ContinuousSystem, SymbolicSystem

PIECES = 32
PIECES_OF_A_FLOW = 8
"""A flow is smooth across a cell, and every piece costs a solution of its equation."""
PIECES_OF_A_FINE_CELL = 8
"""Above ``FINE`` bins: eight midpoints miss 1/64 of the variance inside a cell."""
FINE = 1000
BINS_AT_ONCE = 64_000
NODES_BEHIND = 8


class Truth(NamedTuple):
    """The law of item t given what came before it, ``[seed, time, ...]``; item 0 is NaN: nothing precedes it.

    ``mass [.., bin]`` is the latent law, renormalised over the grid, and ``outside`` what lay beyond it;
    ``quantised_mass``, ``quantised_mean`` the law given the written past. ``mean`` and ``sd`` are in the series' own
    units. The floors, of the latent truth, are in nats and in display units (in which the grid spans 10).
    """

    mass: np.ndarray
    outside: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    quantised_mass: np.ndarray
    quantised_mean: np.ndarray
    bhattacharyya_floor: np.ndarray
    deviation_floor: np.ndarray


def truths_of(system: ContinuousSystem | SymbolicSystem, states: np.ndarray, edges: np.ndarray) -> Truth:
    """True laws of a batch of series, in float64.

    Args:
        system: with a leading ``seed`` axis on every parameter.
        states: ``[seed, time, dim]``.
        edges: of the numeral grids, ``[seed, bin+1]``.
    """
    with jax.enable_x64(True):
        before, grids = jnp.asarray(states)[:, :-1], jnp.asarray(edges)
        if isinstance(system, SymbolicSystem):
            rows = _symbol_truth(system, before, grids)
        elif system.deterministic:
            rows = _point_truth(*_images(system, before, *_cells(before, grids)), grids)
        else:
            rows = _law_truth(system, before, grids)
        return Truth(*(_after_first(np.asarray(row)) for row in rows))


def truths_on_grids(system: ContinuousSystem, states: np.ndarray, grids: list[np.ndarray]) -> list[Truth]:
    """``truths_of`` one series, ``states [1, time, dim]``, on several grids; a flow is solved for all at once."""
    if not system.deterministic:
        return [truths_of(system, states, edges[None]) for edges in grids]
    with jax.enable_x64(True):
        before = jnp.asarray(states)[:, :-1]
        edges = [jnp.asarray(grid)[None] for grid in grids]
        left, right = (jnp.concatenate(ends) for ends in zip(*(_cells(before, grid) for grid in edges)))
        several = jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf), len(grids), axis=0), system)
        means, images = _images(several, jnp.repeat(before, len(grids), axis=0), left, right)
        rows = [_point_truth(means[k : k + 1], images[k : k + 1], grid) for k, grid in enumerate(edges)]
        return [Truth(*(_after_first(np.asarray(field)) for field in one)) for one in rows]


def _after_first(rows: np.ndarray) -> np.ndarray:
    first = np.full((rows.shape[0], 1, *rows.shape[2:]), np.nan)
    return np.concatenate((first, rows), axis=1)


@jax.jit
@jax.vmap
def _law_truth(system: ContinuousSystem, states: jax.Array, edges: jax.Array) -> tuple[jax.Array, ...]:
    """A stochastic system: the law given the written past is the average over midpoints of the cells."""
    width, num_bins = (edges[-1] - edges[0]) / 10, edges.shape[0] - 1
    pieces = PIECES if num_bins <= FINE else PIECES_OF_A_FINE_CELL

    def row(state: jax.Array) -> tuple[jax.Array, ...]:
        law = _latent(system, state, edges)
        mean, sd = system.transition_mean(state), system.transition_sd(state)
        left, right = _cell(edges, state)
        nodes = _nodes(system, state, left, right, _middles(left[0], right[0], pieces))
        quantised = jax.vmap(lambda s: _latent(system, s, edges).mass)(nodes).mean(axis=0)
        quantised_mean = jax.vmap(system.transition_mean)(nodes).mean()
        return _row(law, mean, sd, quantised, quantised_mean, width)

    return jax.lax.map(row, states, batch_size=min(64, max(1, BINS_AT_ONCE // num_bins)))


def _row(
    law: analyses.BinMasses,
    mean: jax.Array,
    sd: jax.Array,
    quantised: jax.Array,
    quantised_mean: jax.Array,
    width: jax.Array,
) -> tuple[jax.Array, ...]:
    floor = jnp.maximum(analyses.bhattacharyya_distance(analyses.safe_log(quantised), law.mass), 0)  # rounding
    shift = analyses.absolute_deviation(quantised_mean, mean) / width
    return law.mass, law.outside, mean, sd, quantised, quantised_mean, floor, shift


@jax.jit
@jax.vmap
def _images(
    system: ContinuousSystem, states: jax.Array, left: jax.Array, right: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Where a deterministic system goes, ``[time]``, and where the cuts of the cell go, ``[time, node, cut]``.

    Apart from the grids, so that one compiled program (of a flow: an expensive one) serves all of them.
    """
    pieces = PIECES_OF_A_FLOW if states.shape[1] > system.seen else PIECES

    def row(xs: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        state, left, right = xs
        cuts = left[0] + (right[0] - left[0]) * jnp.arange(pieces + 1) / pieces
        nodes = _nodes(system, state, left, right, cuts).reshape(-1, pieces + 1, state.shape[0])
        return system.transition_mean(state), jax.vmap(jax.vmap(system.transition_mean))(nodes)

    return jax.lax.map(row, (states, left, right), batch_size=64)


@jax.jit
@jax.vmap
def _point_truth(means: jax.Array, images: jax.Array, edges: jax.Array) -> tuple[jax.Array, ...]:
    """A deterministic system: the law given the written past is the image of the uniform one, piece by piece."""
    width = (edges[-1] - edges[0]) / 10

    def row(mean: jax.Array, images: jax.Array) -> tuple[jax.Array, ...]:
        quantised = jax.vmap(lambda ends: analyses.pushforward_masses(ends, edges))(images).mean(axis=0)
        middle = jnp.mean((images[:, 1:] + images[:, :-1]) / 2)
        return _row(analyses.point_mass(mean, edges), mean, jnp.zeros_like(mean), quantised, middle, width)

    return jax.vmap(row)(means, images)


def _latent(system: ContinuousSystem, state: jax.Array, edges: jax.Array) -> analyses.BinMasses:
    return analyses.bin_masses(functools.partial(system.transition_cdf, state), edges)


def _nodes(
    system: ContinuousSystem, state: jax.Array, left: jax.Array, right: jax.Array, first: jax.Array
) -> jax.Array:
    """States ``[node, dim]``: ``first`` in the place of the newest written value, fastest, midpoints of the cells in
    the place of the others, and all other coordinates as they are."""
    nodes = state[None]
    for place in range(1, system.seen):
        middles = _middles(left[place], right[place], NODES_BEHIND)
        nodes = jax.vmap(lambda x, n=nodes, p=place: n.at[:, p].set(x))(middles).reshape(-1, state.shape[0])
    return jax.vmap(lambda node: jax.vmap(lambda x: node.at[0].set(x))(first))(nodes).reshape(-1, state.shape[0])


def _middles(left: jax.Array, right: jax.Array, count: int) -> jax.Array:
    return left + (right - left) * (jnp.arange(count) + 0.5) / count


def _cell(edges: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Ends of the cells that hold the coordinates of ``state``, ``[dim]`` each."""
    at = jnp.clip(jnp.searchsorted(edges, state, side="right") - 1, 0, edges.shape[0] - 2)
    return edges[at], edges[at + 1]


@jax.jit
def _cells(states: jax.Array, edges: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(lambda grid, rows: jax.vmap(functools.partial(_cell, grid))(rows))(edges, states)


@jax.jit
@jax.vmap
def _symbol_truth(system: SymbolicSystem, states: jax.Array, edges: jax.Array) -> tuple[jax.Array, ...]:
    centres = (edges[1:] + edges[:-1]) / 2

    def row(state: jax.Array) -> tuple[jax.Array, ...]:
        mass = system.transition_row(state)
        mean = mass @ centres
        sd = jnp.sqrt(mass @ (centres - mean) ** 2)
        none = jnp.zeros(())
        return mass, none, mean, sd, mass, mean, none, none

    return jax.vmap(row)(states)
