import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from analyses import kernel_density, log_log_slope
from analyses.kernel_density import (
    BANDWIDTH_RANGE,
    SHAPE_RANGE,
    START,
    counts_density,
    fit_kernel,
    log_kernel,
    running_kernel_density,
    silverman,
    silverman_bandwidth,
)

NUM_BINS, TIME = 40, 120
EDGES = np.linspace(-1, 3, NUM_BINS + 1)  # display unit 0.4, cells 0.1
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
SHAPES = st.floats(0.05, 10)

kernel = jax.jit(log_kernel)
estimate = jax.jit(kernel_density)
estimates = jax.jit(jax.vmap(counts_density, in_axes=(0, None, 0, 0)))
running = jax.jit(running_kernel_density)
silverman_laws = jax.jit(silverman)
silverman_bandwidths = jax.jit(jax.vmap(silverman_bandwidth, in_axes=(0, None)))
fit_kernels = jax.jit(jax.vmap(fit_kernel, in_axes=(0, 0, None)))
slope = jax.jit(log_log_slope)


@functools.cache
def codes(seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(1.1, 0.5, TIME)
    return np.clip(np.searchsorted(EDGES, values) - 1, 0, NUM_BINS - 1)


def counts_at(*contexts: int) -> np.ndarray:
    return np.stack([np.bincount(codes()[:n], minlength=NUM_BINS) for n in contexts]).astype(float)


def peer(shape: float, bandwidth: float = 1.0):
    """The kernel as SciPy's generalised normal law."""
    return stats.gennorm(shape, scale=bandwidth * np.sqrt(special.gamma(1 / shape) / special.gamma(3 / shape)))


def peer_masses(samples: np.ndarray, bandwidth: float, shape: float) -> np.ndarray:
    mass = np.diff(peer(shape, bandwidth).cdf(EDGES - samples[:, None]), axis=1).sum(axis=0)
    return mass / mass.sum()


@settings(deadline=None, max_examples=25)
@given(SHAPES)
def test_the_kernel_is_a_law_of_unit_variance(shape):
    with jax.enable_x64(True):
        # In y = ln x even the tails of s = 0.05 end, and the trapezoidal rule is exact to rounding.
        y = np.linspace(-90, 130, 40_001)
        density = np.exp(kernel(jnp.asarray(np.exp(y)), shape) + y)
        assert 2 * np.trapezoid(density, y) == pytest.approx(1, abs=1e-9)
        assert 2 * np.trapezoid(density * np.exp(2 * y), y) == pytest.approx(1, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(SHAPES)
def test_the_kernel_is_the_generalised_normal_law(shape):
    with jax.enable_x64(True):
        x = np.linspace(-3, 3, 13)
        np.testing.assert_allclose(np.exp(kernel(jnp.asarray(x), shape)), peer(shape).pdf(x), rtol=1e-9)


def test_shape_two_is_gaussian_and_shape_one_is_laplace():
    with jax.enable_x64(True):
        x = np.linspace(-3, 3, 13)
        np.testing.assert_allclose(kernel(jnp.asarray(x), 2.0), stats.norm.logpdf(x), atol=1e-12)
        np.testing.assert_allclose(kernel(jnp.asarray(x), 1.0), stats.laplace.logpdf(x, scale=np.sqrt(0.5)), atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.02, 5), st.floats(0.1, 10), st.integers(0, 100))
def test_cell_masses_are_differences_of_the_cumulative_law(bandwidth, shape, seed):
    """Samples anywhere, one of them on an edge, and beyond the grid."""
    with jax.enable_x64(True):
        samples = np.random.default_rng(seed).uniform(-2, 4, 6)
        samples[0] = EDGES[3]
        mass = np.exp(estimate(jnp.asarray(samples), jnp.asarray(EDGES), bandwidth, shape))
        np.testing.assert_allclose(mass, peer_masses(samples, bandwidth, shape), atol=1e-10)


CONTEXTS = (1, 3, 9, 20, 50, 119)
PLANTED = np.array([(0.3, 0.6), (0.25, 5.0), (0.12, 2.0), (0.9, 1.0), (0.4, 0.3), (0.2, 2.6)])


@pytest.mark.parametrize(("single", "close"), [(False, 1e-11), pytest.param(True, 2e-5, marks=pytest.mark.slow)])
def test_counts_are_samples_at_the_centres_of_their_cells(single, close):
    kernels = np.array([(0.02, 3.0), (0.3, 2.0), (0.5, 0.4), (20.0, 8.0), (0.1, 0.1), (1.0, 1.0)])
    with jax.enable_x64(not single):
        got = estimates(*(jnp.asarray(a, float) for a in (counts_at(*CONTEXTS), EDGES, *kernels.T)))
        assert got.dtype == (jnp.float32 if single else jnp.float64)
        for row, n, (bandwidth, shape) in zip(got, CONTEXTS, kernels, strict=True):
            mass = peer_masses(CENTRES[codes()[:n]], bandwidth, shape)
            np.testing.assert_allclose(np.exp(row), mass, atol=close)


def test_far_tails_keep_their_logarithm():
    """26 standard deviations away the cumulative law is 1 to the last bit, and the mass 1e-153."""
    with jax.enable_x64(True):
        counts = np.tile(np.eye(NUM_BINS)[0], (6, 1))
        got = estimates(*(jnp.asarray(a) for a in (counts, EDGES, np.full(6, 0.1), np.full(6, 2.0))))[0]
        tail = stats.norm.logsf(np.arange(28) - 0.5)  # cells are one standard deviation wide
        exact = tail[:-1] + np.log1p(-np.exp(np.diff(tail)))
        np.testing.assert_allclose(got[1:27] - got[1], exact[1:] - exact[1], rtol=1e-9)


def test_every_row_is_the_estimate_from_what_came_before():
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        bandwidth, shape = rng.uniform(0.1, 1, TIME), rng.uniform(0.5, 5, TIME)
        bandwidth[50] = np.nan
        args = [jnp.asarray(a) for a in (codes(), EDGES, bandwidth, shape)]
        laws = np.exp(running(*args))
        np.testing.assert_allclose(laws[[0, 50]], 1 / NUM_BINS)
        for t in (1, 2, 49, 51, TIME - 1):
            np.testing.assert_allclose(laws[t], peer_masses(CENTRES[codes()[:t]], bandwidth[t], shape[t]), atol=1e-11)
        changed = codes().copy()
        changed[60:] = 0
        np.testing.assert_array_equal(np.exp(running(jnp.asarray(changed), *args[1:]))[:61], laws[:61])


def test_silverman_is_the_gaussian_estimate_of_scipy():
    with jax.enable_x64(True):
        laws = np.exp(silverman_laws(jnp.asarray(codes()), jnp.asarray(EDGES)))
        np.testing.assert_allclose(laws[:2], 1 / NUM_BINS)
        for t in (3, 10, TIME - 1):
            peer_estimate = stats.gaussian_kde(CENTRES[codes()[:t]], bw_method="silverman")
            mass = np.array([peer_estimate.integrate_box_1d(*ends) for ends in itertools.pairwise(EDGES)])
            np.testing.assert_allclose(laws[t], mass / mass.sum(), atol=1e-10)


def test_silverman_bandwidths_never_fall_below_what_a_cell_resolves():
    with jax.enable_x64(True):
        counts = np.stack([np.eye(NUM_BINS)[3] * n for n in (1, 2, 32)])
        got = silverman_bandwidths(jnp.asarray(counts), jnp.asarray(EDGES))
        resolution = 0.1 / np.sqrt(12)
        np.testing.assert_allclose(got[1:], resolution * (4 / (3 * np.array([2, 32]))) ** 0.2)
        assert np.isnan(got[0])


@pytest.mark.slow
def test_a_planted_kernel_is_recovered():
    with jax.enable_x64(True):
        counts, edges = jnp.asarray(counts_at(*CONTEXTS)), jnp.asarray(EDGES)
        laws = estimates(counts, edges, *jnp.asarray(PLANTED.T))
        fit = fit_kernels(laws, counts, edges)
        np.testing.assert_allclose(np.stack([fit.bandwidth, fit.shape], axis=1), PLANTED, rtol=1e-5)
        np.testing.assert_allclose(fit.divergence, 0, atol=1e-12)
        assert not np.any(fit.at_bound)


def best_of_scipy(law: np.ndarray, n: int) -> float:
    """Least KL(law‖estimate) by L-BFGS-B as published, on SciPy's kernel, from several starts."""
    samples, unit = CENTRES[codes()[:n]], 0.4

    def divergence(position: np.ndarray) -> float:
        mass = np.maximum(peer_masses(samples, np.exp(position[0]) * unit, np.exp(position[1])), 1e-300)
        return float(np.sum(law * np.log(law / mass)))

    bounds = np.log([BANDWIDTH_RANGE, SHAPE_RANGE])
    starts = np.log([START, (1, 2), (3, 0.5)])
    return min(optimize.minimize(divergence, s, method="L-BFGS-B", bounds=bounds).fun for s in starts)


@pytest.mark.once
def test_a_law_that_no_kernel_gives_is_approached_as_far_as_scipy_can():
    with jax.enable_x64(True):
        counts, edges = counts_at(*CONTEXTS), jnp.asarray(EDGES)
        rng = np.random.default_rng(4)
        laws = rng.dirichlet(np.full(NUM_BINS, 2.0), len(CONTEXTS)) * (counts + 0.3)
        laws /= laws.sum(axis=1, keepdims=True)
        fit = fit_kernels(jnp.asarray(np.log(laws)), jnp.asarray(counts), edges)
        assert np.all(fit.divergence > 1e-3)
        for i in (1, 4):
            assert fit.divergence[i] <= best_of_scipy(laws[i], CONTEXTS[i]) + 1e-6


def test_a_search_that_ends_at_a_bound_says_so_and_a_missing_law_stays_missing():
    with jax.enable_x64(True):
        counts, edges = counts_at(*CONTEXTS), jnp.asarray(EDGES)
        kernels = np.tile([0.35, 40.0], (6, 1))  # squarer than the range allows
        laws = np.array(estimates(jnp.asarray(counts), edges, *jnp.asarray(kernels.T)))
        laws[1] = np.nan
        counts[2] = 0
        fit = fit_kernels(jnp.asarray(laws), jnp.asarray(counts), edges)
        np.testing.assert_array_equal(fit.at_bound[jnp.asarray([0, 3, 4, 5])], True)
        assert fit.shape[0] == pytest.approx(SHAPE_RANGE[1])
        for i in (1, 2):
            assert np.all(np.isnan([fit.bandwidth[i], fit.shape[i], fit.divergence[i]]))


def test_silvermans_kernels_are_found_again_and_narrow_as_the_fifth_root():
    """Fitted to Silverman's laws, h(n) and s(n) are his, and h/σ̂ is (4/3n)^{1/5} exactly."""
    with jax.enable_x64(True):
        contexts = (4, 12, 25, 50, 80, TIME)
        counts, edges = jnp.asarray(counts_at(*contexts)), jnp.asarray(EDGES)
        bandwidth = silverman_bandwidths(counts, edges)
        fit = fit_kernels(estimates(counts, edges, bandwidth, jnp.asarray(np.full(6, 2.0))), counts, edges)
        np.testing.assert_allclose(fit.bandwidth, bandwidth, rtol=1e-5)
        np.testing.assert_allclose(fit.shape, 2, rtol=1e-5)
        sd = np.array([np.std(CENTRES[codes()[:n]], ddof=1) for n in contexts])
        law = slope(jnp.asarray(contexts, float), fit.bandwidth / jnp.asarray(sd))
        assert float(law.exponent) == pytest.approx(-0.2, abs=1e-4)


def test_the_mean_bandwidth_over_gaussian_paths_falls_as_the_fifth_root():
    """One path's h(n) carries the noise of its σ̂; over 60 paths −1/5 comes out."""
    with jax.enable_x64(True):
        contexts = np.array([20, 50, 100, 200, 500, 1000])
        paths = np.random.default_rng(2).normal(1, 0.4, (60, 1000))
        cells = [np.histogram(path[:n], EDGES)[0] for path in paths for n in contexts]
        bandwidth = silverman_bandwidths(jnp.asarray(np.stack(cells), float), jnp.asarray(EDGES))
        mean = bandwidth.reshape(60, 6).mean(axis=0)
        assert float(slope(jnp.asarray(contexts, float), mean).exponent) == pytest.approx(-0.2, abs=0.01)


def test_masses_have_the_right_gradient_in_counts_bandwidth_and_shape():
    with jax.enable_x64(True):
        rng, step = np.random.default_rng(5), 1e-5
        counts, weight, way = rng.uniform(1, 3, NUM_BINS), rng.normal(size=NUM_BINS), rng.normal(size=NUM_BINS)
        moved = np.zeros((6, 3))
        moved[[0, 2, 4], [0, 1, 2]], moved[[1, 3, 5], [0, 1, 2]] = step, -step
        c, h, s = counts + moved[:, :1] * way, 0.3 + moved[:, 1], 1.4 + moved[:, 2]
        values = np.asarray(estimates(*(jnp.asarray(a) for a in (c, EDGES, h, s)))) @ weight
        of = jax.jit(jax.grad(lambda c, h, s: counts_density(c, jnp.asarray(EDGES), h, s) @ weight, (0, 1, 2)))
        by_counts, by_bandwidth, by_shape = of(jnp.asarray(counts), 0.3, 1.4)
        np.testing.assert_allclose(
            [by_counts @ way, by_bandwidth, by_shape], (values[::2] - values[1::2]) / (2 * step), rtol=1e-6
        )


@pytest.mark.slow
def test_gradients_stay_finite_with_samples_on_edges_and_underflowing_tails():
    with jax.enable_x64(True):
        samples, edges = jnp.asarray([EDGES[0], EDGES[4], 2.7]), jnp.asarray(EDGES)
        of = jax.jit(jax.grad(lambda x, h, s: jnp.sum(kernel_density(x, edges, h, s)[3:5]), (0, 1, 2)))
        for bandwidth, shape in ((1e-3, 9.0), (50.0, 0.05)):
            assert all(np.all(np.isfinite(g)) for g in of(samples, bandwidth, shape))


@pytest.mark.slow
def test_a_planted_kernel_is_recovered_in_single_precision():
    counts, edges = jnp.asarray(counts_at(*CONTEXTS), jnp.float32), jnp.asarray(EDGES, jnp.float32)
    laws = estimates(counts, edges, *jnp.asarray(PLANTED.T, jnp.float32))
    fit = fit_kernels(laws, counts, edges)
    np.testing.assert_allclose(np.stack([fit.bandwidth, fit.shape], axis=1), PLANTED, rtol=2e-2)
    np.testing.assert_allclose(fit.divergence, 0, atol=1e-5)
