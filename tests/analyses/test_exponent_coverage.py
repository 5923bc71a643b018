"""Do the intervals of a planted exponent hold it as often as they say, with as few series as experiments have?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import binned_log_log_slope, fit_plateau_law, geometric_bins, resampled_interval
from analyses.resampling import centre_and_resamples

CONTEXT = np.arange(10.0, 1000.0)
BINS = 14
SIMULATIONS = 160
RESAMPLES = 200
COVERAGE = 0.9
METHODS = ("percentile", "outer")
#: (exponent, plateau) of 2 t^α + c.
PLANTED = ((-0.5, 0.0), (-0.9, 0.0), (-0.5, 0.05), (-0.9, 0.02))


def trajectories(key, exponent, plateau, size, average):
    """Bin means [trajectory, bin] of losses with the right mean: an amplitude a trajectory (sd 15 %) and fluctuations
    (sd 40 %) whose correlation falls to 1/e over ten items."""
    amplitude_key, start_key, noise_key = jax.random.split(key, 3)
    amplitude = jnp.exp(0.15 * jax.random.normal(amplitude_key, (size, 1)) - 0.15**2 / 2)
    memory = np.exp(-0.1)

    def step(state, fresh):
        state = memory * state + np.sqrt(1 - memory**2) * fresh
        return state, state

    fresh = jax.random.normal(noise_key, (CONTEXT.size, size))
    _, noise = jax.lax.scan(step, jax.random.normal(start_key, (size,)), fresh)
    return (2 * CONTEXT**exponent + plateau) * amplitude * jnp.exp(0.4 * noise.T - 0.4**2 / 2) @ average.T


@functools.partial(jax.jit, static_argnames="size")
def covered(keys, planted, context, average, size):
    """[simulation, method, (plateau law's exponent, its plateau, log–log slope)]."""

    def fits(rows):
        loss = jnp.mean(rows, axis=0)
        law = fit_plateau_law(context, loss, clip=True)
        return jnp.stack((law.exponent, law.plateau, binned_log_log_slope(context, loss).exponent))

    def one(arguments):
        key, (exponent, plateau) = arguments
        sample_key, resample_key = jax.random.split(key)
        rows = trajectories(sample_key, exponent, plateau, size, average)
        centre, drawn = centre_and_resamples(
            resample_key, fits, rows, num_resamples=RESAMPLES, batch_size=RESAMPLES + 1
        )
        truth = jnp.stack((exponent, plateau, exponent))
        bands = [resampled_interval(centre, drawn, size, coverage=COVERAGE, method=m) for m in METHODS]
        return jnp.stack([(band.low <= truth) & (truth <= band.high) for band in bands])

    return jax.lax.map(one, (keys, planted))


@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 10])
def test_planted_exponents_are_covered_as_often_as_is_said(size):
    """Nominal 90 %; measured with 300 simulations a curve: 91 % with 5 and with 10 series (percentiles: 77 and 83 %).

    Of 160 simulations a right interval holds the truth 90 ± 2.4 % of the time; of all 640, ± 1.2 %.
    """
    with jax.enable_x64(True):
        bins = geometric_bins(CONTEXT, num_bins=BINS)
        planted = np.repeat(np.asarray(PLANTED), SIMULATIONS, axis=0)
        keys = jax.random.split(jax.random.key(7000 + size), len(planted))
        planted = (jnp.asarray(planted[:, 0]), jnp.asarray(planted[:, 1]))
        hits = np.asarray(covered(keys, planted, bins.context, bins.average, size))
    rates = hits.reshape(len(PLANTED), SIMULATIONS, len(METHODS), 3).mean(axis=1)
    (percentile, outer), truth = rates.transpose(1, 2, 0), COVERAGE
    exponent, plateau, slope = outer
    assert exponent == pytest.approx(truth, abs=3 * 0.024)
    assert exponent.mean() == pytest.approx(truth, abs=3 * 0.012)
    assert plateau.mean() == pytest.approx(truth, abs=0.05)
    assert slope[:2] == pytest.approx(truth, abs=3 * 0.024)  # where there is no plateau
    # Percentiles of the resamples promise the same and do not keep it.
    assert percentile[0].mean() < exponent.mean() - (0.1 if size == 5 else 0.05)
    assert percentile[0].mean() < (0.82 if size == 5 else 0.86)
    # An interval knows the noise, not the mistake: the slope of a curve with a plateau is another number.
    assert slope[2:].max() < 0.5
