"""Truth on the numeral grid, scores against it, and the nulls."""

import jax
import numpy as np
import pytest
from scipy.stats import norm

from llmworld_jax.experiments.scoring import Truth, nulls_of, score, truth_of
from llmworld_jax.numerals import Numerals, rescaled
from systems import SYSTEMS, BrownianMotion, LogisticMap, MarkovChain, Trajectory

STEPS = 40


def path_of(name: str, steps: int = STEPS, seed: int = 0):
    with jax.enable_x64(True):
        key_system, key_path = jax.random.split(jax.random.key(seed))
        system = SYSTEMS[name](key_system)
        return system, jax.tree.map(np.asarray, system.sample(key_path, steps))


def grid_of(path: Trajectory, precision: int = 2) -> Numerals:
    if path.observed.dtype.kind == "i":
        return Numerals(1, 0.0, 4.0, base=4)
    return rescaled(path.observed, precision)


def law_of(truth) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(truth.mass)


CASES = (
    *("brownian_motion", "noisy_logistic_map", "logistic_map", "markov_chain"),
    pytest.param("lorenz", marks=pytest.mark.slow),
)


@pytest.fixture(scope="module", params=CASES)
def world(request, compiled_as_in_tests):
    with compiled_as_in_tests():
        system, path = path_of(request.param)
        numerals = grid_of(path)
        return system, path, numerals, truth_of(system, path, numerals)


def test_the_true_law_is_at_no_distance_from_the_truth(world):
    _, path, numerals, truth = world
    found = score(law_of(truth), truth, numerals.encode(path.observed), numerals)
    for distance in (found.bhattacharyya, found.kl, found.total_variation):
        assert np.isnan(distance[0])
        np.testing.assert_allclose(distance[1:], 0, atol=1e-10)


def test_nothing_is_scored_where_nothing_precedes(world):
    _, path, numerals, truth = world
    for name, row in truth._asdict().items():
        assert np.isnan(row[0]).all(), name
        # A point just beyond all nodes of a cell has no mass under their average: an infinite distance, rightly.
        known = ~np.isnan(row[1:]) if name == "bhattacharyya_floor" else np.isfinite(row[1:])
        assert known.all(), name
    law = np.full(truth.mass.shape, -np.log(numerals.num_bins))
    found = score(law, truth, numerals.encode(path.observed), numerals)
    for name, row in found._asdict().items():
        known = name in ("nll", "mean", "sd")  # of the predictor alone: it did predict item 0
        assert np.isnan(row[0]) != known, name
        assert np.isfinite(row[1:]).all(), name
    law[0] = np.nan
    assert all(np.isnan(row[0]) for row in score(law, truth, numerals.encode(path.observed), numerals))


def test_laws_are_laws_and_the_mass_beyond_the_grid_is_kept(world):
    system, path, numerals, truth = world
    np.testing.assert_allclose(truth.mass[1:].sum(axis=1), 1, atol=1e-12)
    assert (truth.outside[1:] >= -1e-12).all()
    if getattr(system, "deterministic", False):
        assert (np.sort(truth.mass[1:], axis=1)[:, :-1] == 0).all()
        # The extremes of a rescaled series lie on edges, on whose sides rounding may put the law and the value.
        place = (path.observed[1:] - numerals.low) / numerals.bin_width
        off_edge = np.abs(place - np.round(place)) > 1e-6
        assert off_edge.sum() >= STEPS - 3
        expected = numerals.encode(path.observed)[1:]
        np.testing.assert_array_equal(truth.mass[1:].argmax(axis=1)[off_edge], expected[off_edge])
        np.testing.assert_array_equal(truth.sd[1:], 0)


def test_floors_are_losses_of_an_honest_observer(world):
    """Never negative; below what knowing nothing costs; nothing to lose where the state is what is read."""
    system, path, numerals, truth = world
    assert (truth.bhattacharyya_floor[1:] >= -1e-12).all()
    assert (truth.deviation_floor[1:] >= 0).all()
    if not getattr(system, "deterministic", False):
        uniform = np.full(truth.mass.shape, -np.log(numerals.num_bins))
        ignorant = score(uniform, truth, numerals.encode(path.observed), numerals).bhattacharyya
        assert (truth.bhattacharyya_floor[1:] < ignorant[1:]).all()
    if isinstance(system, MarkovChain):
        np.testing.assert_array_equal(truth.bhattacharyya_floor[1:], 0)


def test_brownian_motion_against_the_normal_law_written_again():
    system, path = path_of("brownian_motion")
    numerals = grid_of(path)
    truth = truth_of(system, path, numerals)
    mean, sd = truth.mean[1:], truth.sd[1:]
    cdf = norm.cdf(numerals.edges()[None], mean[:, None], sd[:, None])
    inside = cdf[:, -1] - cdf[:, 0]
    np.testing.assert_allclose(truth.mass[1:], np.diff(cdf) / inside[:, None], atol=1e-12)
    np.testing.assert_allclose(truth.outside[1:], 1 - inside, atol=1e-12)
    before = path.observed[:-1]
    np.testing.assert_allclose(mean, before + 0 * before + (mean - before).mean(), atol=1e-9)  # a constant drift
    assert isinstance(system, BrownianMotion)


def test_floor_of_brownian_motion_is_the_shift_to_the_cell_s_centre():
    """Two normal laws a shift d apart have D_B = d² / (8 s²), but for what the ends of the grid cut off."""
    system, path = path_of("brownian_motion")
    numerals = grid_of(path)
    truth = truth_of(system, path, numerals)
    shift = numerals.decode(numerals.encode(path.observed)) - path.observed
    expected = shift[:-1] ** 2 / (8 * truth.sd[1:] ** 2)
    np.testing.assert_allclose(truth.bhattacharyya_floor[1:], expected, rtol=0.08, atol=0.01 * expected.max())


def test_deviation_floor_of_a_straight_map_is_only_the_offset_in_the_cell():
    """x' = r x (1 - x), blurred over a cell of width h around c: the mean moves by |f(c) - r h²/12 - f(x)|."""
    system, path = path_of("logistic_map")
    numerals = grid_of(path)
    truth = truth_of(system, path, numerals)
    x, h = path.states[:-1, 0], numerals.bin_width
    centre = numerals.decode(numerals.encode(x))
    assert isinstance(system, LogisticMap)

    def f(x):
        return float(system.r) * x * (1 - x)

    units = 10 / (numerals.high - numerals.low)
    expected = units * np.abs(f(centre) - float(system.r) * h**2 / 12 - f(x))
    # 32 midpoints instead of the integral: h²/12 is h²/12 (1 - 1/32²).
    np.testing.assert_allclose(truth.deviation_floor[1:], expected, atol=units * float(system.r) * h**2 / 12 / 900)


def test_markov_truth_is_the_row_of_the_symbol_before():
    system, path = path_of("markov_chain")
    truth = truth_of(system, path, grid_of(path))
    rows = np.asarray(system.transition)[path.observed]
    np.testing.assert_allclose(truth.mass[1:], rows[:-1])
    np.testing.assert_allclose(truth.mean[1:], rows[:-1] @ (np.arange(4) + 0.5))


def test_scores_of_a_made_up_law_by_hand():
    """Two bins on [0, 20): display units are half the own ones."""
    numerals = Numerals(1, 0.0, 20.0, base=2)
    none = np.full(2, np.nan)
    truth = Truth(np.array([[np.nan, np.nan], [0.5, 0.5]]), none, np.array([np.nan, 9.0]), none, none, none)
    law = np.log([[0.5, 0.5], [0.2, 0.8]])
    found = score(law, truth, np.array([0, 1]), numerals)
    assert found.bhattacharyya[1] == pytest.approx(-np.log(np.sqrt(0.1) + np.sqrt(0.4)))
    assert found.kl[1] == pytest.approx(0.5 * np.log(0.5 / 0.2) + 0.5 * np.log(0.5 / 0.8))
    assert found.total_variation[1] == pytest.approx(0.3)
    assert found.nll[1] == pytest.approx(-np.log(0.8))
    assert found.mean[1] == pytest.approx(0.2 * 5 + 0.8 * 15)
    assert found.absolute_deviation[1] == pytest.approx((13 - 9) / 2)
    assert found.squared_deviation[1] == pytest.approx(((13 - 9) / 2) ** 2)
    assert found.sd[1] == pytest.approx(np.sqrt(0.2 * 0.8 * 100 + 100 / 12))


@pytest.mark.parametrize("symbolic", [False, True])
def test_nulls_are_causal_and_normalised(symbolic):
    """Row t is a law of item t and does not move when item t or a later one does."""
    random = np.random.default_rng(0)
    numerals = Numerals(1, 0.0, 4.0, base=4) if symbolic else Numerals(2, 0.0, 1.0)
    codes = random.integers(0, numerals.num_bins, STEPS)
    laws = nulls_of(codes, numerals, symbolic=symbolic)
    assert list(laws) == (["unigram", "bigram"] if symbolic else ["histogram", "AR(1)"])
    t = STEPS // 2
    changed = np.concatenate([codes[:t], (codes[t:] + 1 + np.arange(STEPS - t) % 2) % numerals.num_bins])
    for name, after in nulls_of(changed, numerals, symbolic=symbolic).items():
        np.testing.assert_allclose(np.exp(laws[name]).sum(axis=1), 1, atol=1e-12)
        np.testing.assert_array_equal(after[: t + 1], laws[name][: t + 1])
        assert not np.allclose(after[t + 1 :], laws[name][t + 1 :])
