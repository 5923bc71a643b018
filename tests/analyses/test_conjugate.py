"""Sequential regression against its batch posterior, its marginal likelihood, and its own promises."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from analyses import conjugate
from analyses.conjugate import NormalInverseGamma, condition, regression_predictive, weak_prior

running = jax.jit(conjugate.running_regression)
many = jax.jit(jax.vmap(conjugate.running_regression, in_axes=(None, 0, 0)))

PRIOR = NormalInverseGamma(np.array([0.5, -1.0]), np.array([[2.0, 0.3], [0.3, 0.5]]), np.float64(3.0), np.float64(0.7))


class Pairs(NamedTuple):
    features: np.ndarray
    values: np.ndarray
    scales: np.ndarray


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    rng = np.random.default_rng(0)
    features = np.stack([np.ones(12), rng.normal(size=12)], axis=1)
    scales = rng.uniform(0.5, 2, 12)
    return Pairs(features, features @ [1.0, 2.0] + scales * rng.normal(size=12), scales)


@pytest.fixture(scope="module")
def found(pairs):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, running(*jax.tree.map(jnp.asarray, (PRIOR, *pairs))))


def test_one_at_a_time_is_all_at_once(pairs, found):
    _, belief = found
    weight = pairs.scales**-2.0
    precision = np.linalg.inv(PRIOR.covariance)
    posterior = precision + (pairs.features.T * weight) @ pairs.features
    mean = np.linalg.solve(posterior, precision @ PRIOR.mean + (pairs.features.T * weight) @ pairs.values)
    squares = (pairs.values**2 * weight).sum() + PRIOR.mean @ precision @ PRIOR.mean - mean @ posterior @ mean
    np.testing.assert_allclose(belief.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(belief.covariance, np.linalg.inv(posterior), rtol=1e-10)
    assert belief.shape == pytest.approx(3 + 12 / 2)
    assert belief.rate == pytest.approx(0.7 + squares / 2, rel=1e-10)


def test_predictions_multiply_to_the_marginal_likelihood(pairs, found):
    """All values together are multivariate Student: location Φm, shape (b/a)(S² + ΦVΦᵀ), 2a degrees of freedom."""
    laws, _ = found
    each = stats.t.logpdf(pairs.values, laws.dof, laws.location, laws.scale)
    shape = np.diag(pairs.scales**2) + pairs.features @ PRIOR.covariance @ pairs.features.T
    whole = stats.multivariate_t(pairs.features @ PRIOR.mean, 0.7 / 3 * shape, df=6).logpdf(pairs.values)
    assert each.sum() == pytest.approx(whole, rel=1e-10)


def test_the_first_law_of_a_weak_prior_is_a_cauchy():
    law = regression_predictive(weak_prior(2, spread=10.0, noise=0.2), jnp.array([1.0, 0.5]), 3.0)
    assert float(law.dof) == 1
    assert float(law.location) == 0
    assert float(law.scale) == pytest.approx(0.2 * np.sqrt(9 + 100 * 1.25), rel=1e-6)
    for arguments in ((0, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, -1.0)):
        with pytest.raises(ValueError, match=r"got .*expected .*use"):
            weak_prior(arguments[0], spread=arguments[1], noise=arguments[2])


def test_float32_predicts_as_float64_from_collinear_features():
    """Features (1, 1 + 10⁻²ε) and a vague prior: the worst of the covariance's rounding."""
    x = 1 + 1e-2 * np.random.default_rng(1).normal(size=300)
    features, y = np.stack([np.ones(300), x], axis=1), 2 * x + 0.01 * np.cos(np.arange(300))
    laws = {}
    for dtype in (jnp.float32, jnp.float64):
        with jax.enable_x64(dtype == jnp.float64):
            prior = weak_prior(2, spread=1e2, noise=0.1)
            laws[dtype], _ = running(prior, jnp.asarray(features, dtype), jnp.asarray(y, dtype), jnp.ones(300, dtype))
    single, double = (jax.tree.map(lambda rows: np.asarray(rows, np.float64)[10:], law) for law in laws.values())
    np.testing.assert_allclose(single.scale, double.scale, rtol=1e-2)
    assert np.abs((single.location - double.location) / double.scale).max() < 0.05


def test_a_noiseless_observation_pins_its_direction():
    belief = condition(weak_prior(2, spread=1.0, noise=1.0), jnp.array([3.0, 4.0]), jnp.asarray(5.0), 0.0)
    np.testing.assert_allclose(belief.mean @ jnp.array([3.0, 4.0]), 5, rtol=1e-5)
    np.testing.assert_allclose(belief.covariance @ jnp.array([3.0, 4.0]), 0, atol=1e-5)


def simulate(rng, coefficients, sd, time):
    """AR(1) paths (coefficients [series, 2], sd [series]) as a regression on (1, x)."""
    x = np.zeros((len(sd), time + 1))
    for t in range(time):
        x[:, t + 1] = coefficients[:, 0] + coefficients[:, 1] * x[:, t] + sd * rng.normal(size=len(sd))
    return np.stack([np.ones_like(x[:, :-1]), x[:, :-1]], axis=-1), x[:, 1:]


def test_an_observer_of_its_own_prior_is_calibrated():
    """Parameters drawn from the prior: P(Y ≤ y) is uniform at every t, jointly in t."""
    rng, num = np.random.default_rng(2), 1500
    prior = PRIOR._replace(mean=np.array([0.1, 0.5]), covariance=0.05 * np.eye(2))
    variance = stats.invgamma.rvs(prior.shape, scale=prior.rate, size=num, random_state=rng)
    spread = np.sqrt(0.05 * variance)[:, None] * rng.normal(size=(num, 2))
    features, values = simulate(rng, prior.mean + spread, np.sqrt(variance), 12)
    with jax.enable_x64(True):
        laws, _ = many(jax.tree.map(jnp.asarray, prior), jnp.asarray(features), jnp.asarray(values))
        laws = jax.tree.map(np.asarray, laws)
    pit = stats.t.cdf((values - laws.location) / laws.scale, laws.dof)
    for t in (0, 1, 11):
        assert stats.kstest(pit[:, t], "uniform").pvalue > 1e-3
    assert stats.kstest(pit.ravel(), "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(pit.T) - np.eye(12)).max() < 5 / np.sqrt(num)
    blind = stats.norm.cdf(values, prior.mean[0] + 0.5 * features[..., 1], 0.4)
    assert stats.kstest(blind[:, 11], "uniform").pvalue < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("coefficients", "free"), [((0.05, 0.0), 1), ((0.05, 0.7), 2)])
def test_three_parameters_cost_three_halves_of_a_logarithm(coefficients, free):
    """Total regret in nats grows as (d/2) ln T, d the coefficients and the noise (Rissanen 1986)."""
    rng, num, ends = np.random.default_rng(3), 3000, (50, 400)
    features, values = simulate(rng, np.tile(coefficients, (num, 1)), np.full(num, 0.3), ends[1])
    truth = stats.norm.logpdf(values, features @ np.array(coefficients), 0.3)
    with jax.enable_x64(True):
        prior = weak_prior(free, spread=10.0, noise=0.5)
        laws, _ = many(prior, jnp.asarray(features[..., :free]), jnp.asarray(values))
        laws = jax.tree.map(np.asarray, laws)
    own = stats.t.logpdf(values, laws.dof, laws.location, laws.scale)
    total = (truth - own)[:, ends[0] :].sum(axis=1)
    expected = (free + 1) / 2 * np.log(ends[1] / ends[0])
    assert total.mean() == pytest.approx(expected, abs=4 * total.std() / np.sqrt(num) + 0.03)
    assert 4 * total.std() / np.sqrt(num) < 0.15
