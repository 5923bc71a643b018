"""Bayesian linear regression, one observation at a time: the exact predictive law of a linear Gaussian system.

y_t = φ_t·β + s_t σ ε_t with ε_t ~ N(0, 1), features φ_t and relative noise scales s_t known, β and σ² unknown:

σ² ~ InverseGamma(a, b),   β | σ² ~ N(m, σ² V),   y | past ~ Student-t(φ·m, √[(b/a)(s² + φ·Vφ)], 2a).

The posterior stays in this family, so a belief is four arrays updated in a scan. Source: Bernardo and Smith,
*Bayesian Theory* (1994), section 5.2 and appendix A.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .student_masses import StudentT


class NormalInverseGamma(NamedTuple):
    """A belief about coefficients β and noise variance σ²; ``covariance`` is V, in units of σ²."""

    mean: Float[Array, " feature"]
    covariance: Float[Array, "feature feature"]
    shape: Float[Array, ""]
    rate: Float[Array, ""]


def weak_prior(num_features: int, *, spread: float, noise: float) -> NormalInverseGamma:
    """Each coefficient ~ N(0, (``spread`` σ)²) and σ² ~ InverseGamma(½, ½ ``noise``²): proper, worth one observation.

    The first predictive law is then Cauchy, of scale ``noise`` · √(s² + spread² |φ|²).

    Raises:
        ValueError: no features, or a spread or noise that is not positive.
    """
    if num_features < 1 or not (spread > 0 and noise > 0):
        raise ValueError(
            f"weak_prior: got {num_features} features, spread {spread}, noise {noise}; expected at least 1 feature and "
            "positive scales; use the size of a coefficient over the noise, and the noise in the units of y"
        )
    dtype = jnp.result_type(float)
    half = jnp.asarray(0.5, dtype)
    return NormalInverseGamma(
        jnp.zeros(num_features, dtype), spread**2 * jnp.eye(num_features, dtype=dtype), half, half * noise**2
    )


def regression_predictive(
    belief: NormalInverseGamma, features: Float[Array, " feature"], noise_scale: float | Float[Array, ""] = 1.0
) -> StudentT:
    """The law of y = φ·β + s σ ε under the belief."""
    variance = noise_scale**2 + features @ belief.covariance @ features
    return StudentT(features @ belief.mean, jnp.sqrt(belief.rate / belief.shape * variance), 2 * belief.shape)


def condition(
    belief: NormalInverseGamma,
    features: Float[Array, " feature"],
    value: Float[Array, ""],
    noise_scale: float | Float[Array, ""] = 1.0,
) -> NormalInverseGamma:
    """The belief after seeing y = ``value``: a rank-one update, with k = Vφ / (s² + φ·Vφ) and e = y − φ·m,

    m + k e,   (I − kφ)V(I − kφ)ᵀ + s² kkᵀ,   a + ½,   b + ½ e² / (s² + φ·Vφ).

    The covariance is written as a sum of two non-negative matrices, which loses least to rounding.
    """
    projected = belief.covariance @ features
    variance = noise_scale**2 + features @ projected
    gain = projected / variance
    error = value - features @ belief.mean
    shrink = jnp.eye(features.shape[0], dtype=features.dtype) - jnp.outer(gain, features)
    return NormalInverseGamma(
        belief.mean + gain * error,
        shrink @ belief.covariance @ shrink.T + noise_scale**2 * jnp.outer(gain, gain),
        belief.shape + 0.5,
        belief.rate + 0.5 * error**2 / variance,
    )


def running_regression(
    prior: NormalInverseGamma,
    features: Float[Array, "time feature"],
    values: Float[Array, " time"],
    noise_scales: Float[Array, " time"] | None = None,
) -> tuple[StudentT, NormalInverseGamma]:
    """Predictive laws [time], row t from the pairs before t, and the belief after all of them.

    ``features[t]`` may hold anything known before y_t; ``noise_scales`` are 1 by default.
    """
    scales = jnp.ones_like(values) if noise_scales is None else noise_scales

    def step(belief: NormalInverseGamma, row: tuple[Array, Array, Array]) -> tuple[NormalInverseGamma, StudentT]:
        phi, y, scale = row
        return condition(belief, phi, y, scale), regression_predictive(belief, phi, scale)

    belief, laws = jax.lax.scan(step, prior, (features, values, scales))
    return laws, belief
