import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.geometric_bins import geometric_bins


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.integers(2, 400), st.integers(2, 40))
def test_every_context_is_averaged_once_inside_a_stretch_of_equal_ratio(start, length, num_bins):
    context = np.arange(start, start + length, dtype=float)
    bins = geometric_bins(context, num_bins=num_bins)
    inside = np.asarray(bins.average) > 0
    np.testing.assert_array_equal(inside.sum(axis=0), 1)
    np.testing.assert_allclose(bins.average.sum(axis=1), 1, rtol=1e-6)
    assert np.all(np.diff(bins.context) > 0)
    ratio = (context[-1] / context[0]) ** (1 / num_bins)
    for row, centre in zip(inside, np.asarray(bins.context)):
        members = context[row]
        assert members.max() / members.min() <= ratio * (1 + 1e-9)
        assert centre == pytest.approx(np.exp(np.log(members).mean()), rel=1e-5)


def test_means_are_means_and_commute_with_those_over_trajectories():
    context = np.arange(3.0, 200.0)
    losses = np.random.default_rng(0).gamma(2.0, size=(4, context.size)).astype(np.float32)
    bins = geometric_bins(context, num_bins=12)
    got = bins.means(jnp.asarray(losses))
    for k, row in enumerate(np.asarray(bins.average) > 0):
        np.testing.assert_allclose(got[:, k], losses[:, row].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(bins.means(jnp.asarray(losses.mean(axis=0))), got.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("exponent", [-1.0, -0.5])
def test_a_power_law_is_displaced_by_no_more_than_is_said(exponent):
    context = np.arange(100.0, 10_000.0)
    bins = geometric_bins(context, num_bins=20)
    factor = np.asarray(bins.means(jnp.asarray(context**exponent))) / np.asarray(bins.context) ** exponent
    width = np.log(100) / 20
    np.testing.assert_allclose(factor - 1, exponent**2 * width**2 / 24, rtol=0.15)


def test_bins_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"got num_bins 1; expected .*; use"):
        geometric_bins(np.arange(1.0, 9.0), num_bins=1)
    for context in (np.arange(4.0), np.ones(3), np.ones(1), np.array([np.nan, 1.0])):
        with pytest.raises(ValueError, match=r"got .*expected .*positive.*; use"):
            geometric_bins(context)
