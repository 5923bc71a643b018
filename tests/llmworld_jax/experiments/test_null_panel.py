"""The panel as the experiments call it: names, shapes, one call for several series, and what it refuses."""

import jax
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.null_panel import NUMBER_NULLS, SYMBOL_NULLS, neural_laws, null_laws
from llmworld_jax.numerals import Numerals

STEPS, SEEDS = 40, 3
GRIDS = {False: Numerals(2, -3.0, 5.0), True: Numerals(1, 0.0, 4.0, base=4)}


def codes_of(symbolic: bool) -> np.ndarray:
    return np.random.default_rng(0).integers(0, GRIDS[symbolic].num_bins, (SEEDS, STEPS))


@pytest.fixture(scope="module", params=[False, True], ids=["numbers", "symbols"])
def panel(request, compiled_as_in_tests):
    with compiled_as_in_tests():
        symbolic = request.param
        return symbolic, null_laws(codes_of(symbolic), GRIDS[symbolic], symbolic=symbolic)


def test_every_null_gives_laws_in_double_precision(panel):
    symbolic, laws = panel
    assert tuple(laws) == (SYMBOL_NULLS if symbolic else NUMBER_NULLS)
    bins = GRIDS[symbolic].num_bins
    for name, law in laws.items():
        assert law.dtype == np.float64, name
        assert law.shape == (SEEDS, STEPS, bins), name
        assert np.isfinite(law).all(), name
        np.testing.assert_allclose(np.exp(law).sum(axis=-1), 1, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(law[:, 0], -np.log(bins), rtol=1e-10, err_msg=name)


def test_series_do_not_touch_each_other(panel):
    symbolic, laws = panel
    order = np.array([2, 0, 1])
    for name, law in null_laws(codes_of(symbolic)[order], GRIDS[symbolic], symbolic=symbolic).items():
        np.testing.assert_array_equal(law, laws[name][order], err_msg=name)


@pytest.mark.parametrize("symbolic", [pytest.param(False, marks=pytest.mark.slow), True])
def test_several_series_are_one_after_another(symbolic):
    laws = null_laws(codes_of(symbolic), GRIDS[symbolic], symbolic=symbolic)
    for seed in range(SEEDS):
        for name, law in null_laws(codes_of(symbolic)[seed], GRIDS[symbolic], symbolic=symbolic).items():
            assert law.shape == laws[name].shape[1:]
            np.testing.assert_allclose(law, laws[name][seed], rtol=1e-10, atol=1e-10, err_msg=name)


def test_no_null_sees_its_own_item_or_the_future(panel):
    symbolic, laws = panel
    codes, t = codes_of(symbolic), STEPS // 2
    codes[:, t:] = (codes[:, t:] + 1 + np.arange(STEPS - t) % 2) % GRIDS[symbolic].num_bins
    for name, after in null_laws(codes, GRIDS[symbolic], symbolic=symbolic).items():
        np.testing.assert_array_equal(after[:, : t + 1], laws[name][:, : t + 1], err_msg=name)
        assert not np.allclose(after[:, t + 1 :], laws[name][:, t + 1 :]), name


@pytest.mark.slow
def test_neural_laws_at_checkpoints():
    """Series are apart, each with a key of its own; one series is the same with and without the axis of seeds."""
    key, codes, grid = jax.random.key(0), codes_of(False)[:1], GRIDS[False]
    (found,) = neural_laws(key, codes, grid, (5, 30), 10).values()
    assert found.shape == (1, 2, 10, 100)
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1, atol=1e-4)
    (alone,) = neural_laws(jax.random.split(key, 1)[0], codes[0], grid, (5, 30), 10).values()
    np.testing.assert_array_equal(alone, found[0])


@pytest.mark.slow
def test_neural_laws_of_several_series_are_trained_apart():
    key, codes, grid = jax.random.key(0), codes_of(False), GRIDS[False]
    (before,) = neural_laws(key, codes, grid, (5, 30), 10).values()
    (same,) = neural_laws(key, np.broadcast_to(codes[0], codes.shape), grid, (5, 30), 10).values()
    np.testing.assert_array_equal(same[0], before[0])
    assert not np.allclose(same[1], before[1])
    assert not np.allclose(same[0], same[1])  # another draw of the weights


@pytest.mark.parametrize("codes", [np.zeros((1, 1, 5), int), np.zeros(0, int), np.array([0, 100]), np.array([0.5])])
def test_codes_that_are_not_a_series_are_refused(codes):
    with pytest.raises(InputError):
        null_laws(codes, GRIDS[False], symbolic=False)


@pytest.mark.parametrize(("contexts", "window"), [((), 5), ((0,), 5), ((36,), 5), ((5,), 0)])
def test_windows_beyond_the_series_are_refused(contexts, window):
    with pytest.raises(InputError, match="Shorten the window"):
        neural_laws(jax.random.key(0), codes_of(False)[0], GRIDS[False], contexts, window)
