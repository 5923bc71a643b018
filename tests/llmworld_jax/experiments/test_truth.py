"""Truth on the numeral grid, given the state and given its digits, and the floor between them."""

import jax
import numpy as np
import pytest
from scipy.stats import norm

from llmworld_jax.experiments.floors import floors_of
from llmworld_jax.experiments.simulation import Series, World
from llmworld_jax.experiments.truth import truths_of
from llmworld_jax.numerals import Numerals, rescaled
from systems import SYSTEMS, AutoRegressive2, Henon, SymbolicSystem

STEPS, SEEDS = 40, 2


def batch_of(name: str):
    def one(seed):
        key_system, key_path = jax.random.split(jax.random.key(seed))
        system = SYSTEMS[name](key_system)
        return system, system.sample(key_path, STEPS)

    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(np.arange(SEEDS)))


def grids_of(batch, paths) -> list[Numerals]:
    if isinstance(batch, SymbolicSystem):
        return [Numerals(1, 0.0, float(batch.num_symbols), base=batch.num_symbols)] * SEEDS
    return [rescaled(observed, 2) for observed in paths.observed]


CASES = ("iid_gaussian", "brownian_motion", "noisy_logistic_map", "logistic_map", "henon", "ar2", "markov_chain")
SLOW_CASES = ("lorenz", "double_well")


@pytest.fixture(scope="module", params=[*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_CASES)])
def world(request, compiled_as_in_tests):
    with compiled_as_in_tests():
        batch, paths = batch_of(request.param)
        grids = grids_of(batch, paths)
        return batch, paths, grids, truths_of(batch, paths.states, np.stack([g.edges() for g in grids]))


def test_laws_are_laws_and_nothing_precedes_the_first_item(world):
    batch, paths, grids, truth = world
    for name, rows in truth._asdict().items():
        assert rows.shape[:2] == (SEEDS, STEPS), name
        assert np.isnan(rows[:, 0]).all(), name
        # A point just above all images of a cell (the top of a map) has no mass under it: an infinite distance.
        known = ~np.isnan(rows[:, 1:]) if name == "bhattacharyya_floor" else np.isfinite(rows[:, 1:])
        assert known.all(), name
    np.testing.assert_allclose(truth.mass[:, 1:].sum(axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(truth.quantised_mass[:, 1:].sum(axis=-1), 1, atol=1e-9)
    assert (truth.outside[:, 1:] >= -1e-12).all()
    if getattr(batch, "deterministic", False):
        assert (np.sort(truth.mass[:, 1:], axis=-1)[..., :-1] == 0).all()
        np.testing.assert_array_equal(truth.sd[:, 1:], 0)
        for observed, numerals, mass in zip(paths.observed, grids, truth.mass, strict=True):
            # The extremes of a rescaled series lie on edges, on whose sides rounding may put the law and the value.
            place = (observed[1:] - numerals.low) / numerals.bin_width
            off_edge = np.abs(place - np.round(place)) > 1e-6
            assert off_edge.sum() >= STEPS - 3
            expected = numerals.encode(observed)[1:]
            np.testing.assert_array_equal(mass[1:].argmax(axis=1)[off_edge], expected[off_edge])


def test_the_floor_is_the_distance_between_the_two_truths(world):
    batch, _, grids, truth = world
    overlap = np.sqrt(truth.mass * truth.quantised_mass)[:, 1:].sum(axis=-1)
    np.testing.assert_allclose(np.exp(-truth.bhattacharyya_floor[:, 1:]), overlap, atol=1e-9)
    assert (truth.bhattacharyya_floor[:, 1:] >= -1e-12).all()
    width = np.array([(g.high - g.low) / 10 for g in grids])[:, None]
    if isinstance(batch, SymbolicSystem):
        np.testing.assert_array_equal(truth.mass[:, 1:], truth.quantised_mass[:, 1:])
        np.testing.assert_array_equal(truth.deviation_floor[:, 1:], 0)
    else:
        shift = np.abs(truth.quantised_mean - truth.mean)[:, 1:] / width
        np.testing.assert_allclose(truth.deviation_floor[:, 1:], shift, atol=1e-12)


def test_a_series_in_a_batch_is_the_series_alone(world):
    batch, paths, grids, truth = world
    alone = jax.tree.map(lambda leaf: leaf[1:], batch)
    again = truths_of(alone, paths.states[1:], grids[1].edges()[None])
    for one, both in zip(again, truth, strict=True):
        np.testing.assert_allclose(one[0], both[1], atol=1e-12, equal_nan=True)


def test_brownian_motion_against_the_normal_law_written_again():
    batch, paths = batch_of("brownian_motion")
    numerals = rescaled(paths.observed[0], 2)
    alone = jax.tree.map(lambda leaf: leaf[:1], batch)
    truth = truths_of(alone, paths.states[:1], numerals.edges()[None])
    mean, sd = truth.mean[0, 1:], truth.sd[0, 1:]
    cdf = norm.cdf(numerals.edges()[None], mean[:, None], sd[:, None])
    inside = cdf[:, -1] - cdf[:, 0]
    np.testing.assert_allclose(truth.mass[0, 1:], np.diff(cdf) / inside[:, None], atol=1e-12)
    np.testing.assert_allclose(truth.outside[0, 1:], 1 - inside, atol=1e-12)
    # Two normal laws a shift d apart have D_B = d²/(8 s²), but for what the ends of the grid cut off.
    observed = paths.observed[0]
    shift = (numerals.decode(numerals.encode(observed)) - observed)[:-1]
    expected = shift**2 / (8 * sd**2)
    np.testing.assert_allclose(truth.bhattacharyya_floor[0, 1:], expected, rtol=0.08, atol=0.01 * expected.max())


def test_the_mean_given_the_cell_of_a_map_is_its_integral():
    """x' = r x (1 − x) over a cell of width h around c has the mean f(c) − r h²/12."""
    batch, paths = batch_of("logistic_map")
    grids = grids_of(batch, paths)
    truth = truths_of(batch, paths.states, np.stack([g.edges() for g in grids]))
    for k, numerals in enumerate(grids):
        r, h = float(batch.r[k]), numerals.bin_width
        centre = numerals.decode(numerals.encode(paths.observed[k, :-1]))
        expected = r * centre * (1 - centre) - r * h**2 / 12
        # 32 straight pieces in the place of the parabola: h²/12 is off by 2/32² of itself.
        np.testing.assert_allclose(truth.quantised_mean[k, 1:], expected, atol=r * h**2 / 12 / 400)


@pytest.mark.parametrize("name", ["henon", "ar2"])
def test_both_written_values_of_a_state_are_blurred(name, compiled_as_in_tests):
    """Monte Carlo over the two cells; blurring the newest value alone would be far off for AR(2)."""
    batch, paths = batch_of(name)
    numerals = rescaled(paths.observed[0], 1)
    alone = jax.tree.map(lambda leaf: leaf[:1], batch)
    truth = truths_of(alone, paths.states[:1, :6], numerals.edges()[None])
    random = np.random.default_rng(0)
    one = jax.tree.map(lambda leaf: float(leaf[0]), batch)
    for t in (2, 5):
        state = paths.states[0, t - 1]
        left = numerals.edges()[numerals.encode(state)]
        x, before = left[:, None] + numerals.bin_width * random.uniform(size=(2, 200_000))
        if name == "henon":
            assert isinstance(one, Henon)
            following = 1 - one.a * x**2 + one.b * before
        else:
            assert isinstance(one, AutoRegressive2)
            following = one.constant + one.phi_1 * x + one.phi_2 * before + one.sigma * random.normal(size=x.shape)
        counts = np.histogram(following, numerals.edges())[0]
        np.testing.assert_allclose(truth.quantised_mass[0, t], counts / counts.sum(), atol=0.012)


@pytest.mark.once
def test_floors_fall_with_every_digit_and_chains_have_none(compiled_as_in_tests):
    batch, paths = batch_of("brownian_motion")
    grids = grids_of(batch, paths)
    series = tuple(
        Series("x", batch, jax.tree.map(lambda a, k=k: a[k], paths), g, None, g.encode(paths.observed[k]))
        for k, g in enumerate(grids)
    )
    floors = floors_of(World("brownian_motion", batch, paths, series))
    assert floors.precision == (1, 2, 3, 4)
    # The shift within a cell is ten times smaller with every digit, and D_B goes with its square.
    assert (floors.deviation[:-1] / floors.deviation[1:] > 5).all()
    assert (floors.bhattacharyya[:-1] / floors.bhattacharyya[1:] > 30).all()
    chain, walks = batch_of("markov_chain")
    none = floors_of(World("markov_chain", chain, walks, ()))
    assert none.precision == (1,)
    assert none.bhattacharyya.tolist() == none.deviation.tolist() == [0.0]
