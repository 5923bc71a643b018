"""Whether the late laws of a system mean what they say: probability integral transforms, coverage, sharpness."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

from .scoring import Scores, Target

LEVELS = (0.5, 0.8, 0.9, 0.95)
LATE_FROM = 0.5
KS_95 = 1.3581
"""95 % quantile of √n times the Kolmogorov–Smirnov distance, for many independent values."""


class Calibration(NamedTuple):
    """Of the late laws of one system, over seeds. ``pit [seed, time]`` is randomised and NaN before ``first``.

    ``coverage [level]`` is the share of values inside the central interval of each of ``levels``; ``sharpness
    [level]`` its mean width in display units; ``ks`` the Kolmogorov–Smirnov distance of the late PIT values from the
    uniform law, with ``ks_uniform`` the 95 % quantile it would have for independent uniform values; ``crps`` as in
    ``Scores``; the two best temperatures minimise the late negative log-likelihood (above 1: over-confident laws).
    """

    first: int
    pit: np.ndarray
    levels: np.ndarray
    coverage: np.ndarray
    sharpness: np.ndarray
    ks: float
    ks_uniform: float
    crps: float
    digit_temperature: float
    mass_temperature: float


def calibration_of(log_mass: np.ndarray, scores: Scores, target: Target, branch: tuple[int, ...]) -> Calibration:
    """Calibration of laws ``[seed, time, bin]`` in the second half of the series, in float64.

    ``branch`` is the digit trie of the numbers, for the temperature of single digits.
    """
    seeds, steps, bins = log_mass.shape
    first = round(LATE_FROM * steps)
    with jax.enable_x64(True):
        late = jnp.asarray(log_mass[:, first:], jnp.float64)
        rows = (late, jnp.asarray(target.codes[:, first:]), jnp.asarray(target.edges))
        pit, inside, width = (np.asarray(a) for a in _late(*rows))
        flat, codes = late.reshape(-1, bins), rows[1].reshape(-1)
        ks = float(analyses.uniformity(jnp.asarray(pit.ravel())).distance)
        digit, mass = (float(t) for t in _temperatures(flat, codes, branch))
    early = np.full((seeds, first), np.nan)
    return Calibration(
        first=first,
        pit=np.concatenate((early, pit), axis=1),
        levels=np.array(LEVELS),
        coverage=inside.mean(axis=(0, 1)),
        sharpness=width.mean(axis=(0, 1)),
        ks=ks,
        ks_uniform=KS_95 / np.sqrt(pit.size),
        crps=float(np.nanmean(scores.crps[:, first:])),
        digit_temperature=digit,
        mass_temperature=mass,
    )


@jax.jit
def _late(late: jax.Array, codes: jax.Array, edges: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    keys = jax.random.split(jax.random.key(0), codes.shape)
    levels = jnp.asarray(LEVELS)

    def row(edges: jax.Array, law: jax.Array, code: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        display = 10 * (edges - edges[0]) / (edges[-1] - edges[0])
        return (
            analyses.randomised_pit(key, law, code),
            analyses.coverage(law, code, levels),
            analyses.sharpness(law, display, levels).width,
        )

    def one(edges: jax.Array, *rows: jax.Array) -> tuple[jax.Array, ...]:
        return jax.vmap(functools.partial(row, edges))(*rows)

    pit, inside, width = jax.vmap(one)(edges, late, codes, keys)
    return pit, inside, width


@functools.partial(jax.jit, static_argnums=2)
def _temperatures(laws: jax.Array, codes: jax.Array, branch: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    def digits(law: jax.Array, temperature: jax.Array) -> jax.Array:
        return analyses.digit_temperature(law, branch, temperature)

    of_digits = analyses.best_temperature(laws, codes, digits)
    return of_digits.temperature, analyses.best_temperature(laws, codes, analyses.mass_temperature).temperature
