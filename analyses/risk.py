"""Total-variation risk of learned Markov chains, and what counting transitions achieves.

The risk of a predictor with n items of context is E TV(predicted row, true row) at the current state (Zekri et al.,
arXiv 2410.02724); for a chain that has mixed, the expectation over states is the stationary law. Counting falls as
n^{−1/2}, with the constant of :func:`counting_risk_limit`; a language model shows one row an item, so its risk is
the mean over trajectories of :func:`analyses.divergences.total_variation` at each item.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .divergences import total_variation
from .log_space import safe_log, safe_sqrt

#: Mixing times are sought up to 2**this steps.
DOUBLINGS = 20


class EmpiricalRows(NamedTuple):
    """The transition matrix that a predictor has learned."""

    rows: Float[Array, "symbol next"]  #: mean law of the items that follow each symbol; NaN where ``num_laws`` is 0
    standard_error: Float[Array, "symbol next"]  #: of that mean, for independent laws; NaN where ``num_laws`` < 2
    num_laws: Float[Array, " symbol"]


def markov_risk(
    log_rows: Float[Array, "symbol next"],
    transition: Float[Array, "symbol next"],
    weight: Float[Array, " symbol"],
) -> Float[Array, ""]:
    """Σ_s w_s TV(row_s, P_s), in [0, 1]; ``weight`` is the stationary law, or the empirical one (sums to 1)."""
    return jnp.sum(weight * jax.vmap(total_variation)(log_rows, transition))


def empirical_rows(
    log_mass: Float[Array, "time symbol"], symbols: Int[Array, " time"], *, start: int | Int[Array, ""] = 1
) -> EmpiricalRows:
    """Average, in probability, of the laws of items t ≥ ``start`` with the same symbol s_{t−1} before them.

    Late items only show what was learned; item 0 follows nothing and is never used. The spread inside a group is what
    the predictor does beyond the last symbol: for a bigram it shrinks, for a longer memory it stays.
    """
    num_symbols = log_mass.shape[1]
    time = jnp.arange(symbols.shape[0], dtype=jnp.int32)
    used = (time >= start) & (time > 0)
    group = jnp.where(used, jnp.roll(symbols, 1), num_symbols)  # the last segment collects what is not used
    law = jnp.where(used[:, None], jnp.exp(log_mass), 0)

    def total(x: Array) -> Array:
        return jax.ops.segment_sum(x, group, num_symbols + 1)[:num_symbols]

    count = total(used.astype(law.dtype))[:, None]
    rows = jnp.where(count > 0, total(law) / jnp.maximum(count, 1), jnp.nan)
    spread = total((law - rows[jnp.minimum(group, num_symbols - 1)]) ** 2 * used[:, None])
    error = jnp.where(count > 1, safe_sqrt(spread / jnp.maximum(count * (count - 1), 1)), jnp.nan)
    return EmpiricalRows(rows, error, count[:, 0])


def transition_counts(
    symbols: Int[Array, " time"], num_symbols: int, length: int | Int[Array, ""] | None = None
) -> Float[Array, "symbol next"]:
    """How often j followed i among the first ``length`` items (all of them by default)."""
    pair = symbols[:-1] * num_symbols + symbols[1:]
    index = jnp.arange(1, symbols.shape[0], dtype=jnp.int32)
    seen = jnp.ones_like(index) if length is None else (index < length)
    counts = jax.ops.segment_sum(seen.astype(jnp.result_type(float)), pair, num_symbols**2)
    return counts.reshape(num_symbols, num_symbols)


def counting_rows(counts: Float[Array, "symbol next"], *, smoothing: float = 0.0) -> Float[Array, "symbol next"]:
    """ln[(N_ij + s) / (N_i + s·n)]; a row without counts is uniform, and without ``smoothing`` what was not seen is −∞.

    Raises:
        ValueError: ``smoothing`` negative.
    """
    if not smoothing >= 0:
        raise ValueError(
            f"smoothing: got {smoothing}; expected 0 or a positive number; use 0 for frequencies, 1 for Laplace"
        )
    total = jnp.sum(counts, axis=1, keepdims=True) + smoothing * counts.shape[1]
    frequency = jnp.where(total > 0, (counts + smoothing) / jnp.where(total > 0, total, 1), 1 / counts.shape[1])
    return safe_log(frequency)


def counting_risk(
    symbols: Int[Array, " time"],
    transition: Float[Array, "symbol next"],
    lengths: Int[Array, " length"],
    *,
    smoothing: float = 0.0,
    weight: Float[Array, " symbol"] | None = None,
) -> Float[Array, " length"]:
    """Risk of :func:`counting_rows` of the first n items, for every n in ``lengths``: what the law of item n can use.

    ``weight`` is the stationary law of ``transition`` by default.

    Raises:
        ValueError: ``smoothing`` negative.
    """
    share = stationary_law(transition) if weight is None else weight

    def at(length: Int[Array, ""]) -> Float[Array, ""]:
        counts = transition_counts(symbols, transition.shape[0], length).astype(transition.dtype)
        return markov_risk(counting_rows(counts, smoothing=smoothing), transition, share)

    return jax.lax.map(at, lengths)


def counting_risk_limit(
    transition: Float[Array, "symbol next"], lengths: Int[Array, " length"]
) -> Float[Array, " length"]:
    """½ Σ_ij √(2 π_i P_ij (1 − P_ij) / (π n)): the risk of counting for large n (π_i stationary, π = 3.14…).

    Row i has about π_i·n counts, so its frequencies are normal around P_ij, and E|N(0, s²)| = s√(2/π).
    """
    spread = safe_sqrt(stationary_law(transition)[:, None] * transition * (1 - transition))
    return 0.5 * jnp.sum(spread) * jnp.sqrt(2 / (math.pi * lengths.astype(transition.dtype)))


def stationary_law(transition: Float[Array, "symbol next"]) -> Float[Array, " symbol"]:
    """π = πP, Σπ = 1, from (I − Pᵀ + 11ᵀ) π = 1; differentiable in P.

    The matrix is regular exactly when one class of states is recurrent; where it visibly is not, NaN.
    """
    num_symbols, dtype = transition.shape[0], transition.dtype
    matrix = jnp.eye(num_symbols, dtype=dtype) - transition.T + 1
    law = jnp.linalg.solve(matrix, jnp.ones(num_symbols, dtype))
    slack = float(np.sqrt(jnp.finfo(dtype).eps))
    return jnp.where(jnp.all((law > -slack) & (law < 1 + slack)), jnp.maximum(law, 0), jnp.nan)


def spectral_gap(transition: Float[Array, "symbol next"]) -> Float[Array, ""]:
    """1 − |λ₂|, the second largest modulus of an eigenvalue: 1 for independent symbols, 0 for periodic chains.

    |λ₂| is the spectral radius of P − 1π, by Gelfand's formula ‖Aᵐ‖^{1/m} with m = 2^30 from repeated squaring;
    eigenvalues of non-symmetric matrices are not available on every device.
    """
    deflated = transition - stationary_law(transition)

    def square(carry: tuple[Array, Array], share: Array) -> tuple[tuple[Array, Array], None]:
        matrix, log_radius = carry
        size = jnp.max(jnp.abs(matrix))
        scaled = matrix / jnp.where(size > 0, size, 1)
        return (scaled @ scaled, log_radius + share * safe_log(size)), None

    shares = jnp.asarray(0.5 ** np.arange(31), transition.dtype)
    (_, log_radius), _ = jax.lax.scan(square, (deflated, jnp.zeros((), transition.dtype)), shares)
    return 1 - jnp.exp(log_radius)


def mixing_time(transition: Float[Array, "symbol next"], *, threshold: float = 0.25) -> Float[Array, ""]:
    """The least t ≥ 1 with max_i TV(P^t(i, ·), π) ≤ ``threshold``; ∞ when there is none up to 2^20 (a periodic chain).

    The distance never rises with t, so the last t above the threshold is found bit by bit from the powers P^{2^k}.

    Raises:
        ValueError: ``threshold`` not in (0, 1).
    """
    if not 0 < threshold < 1:
        raise ValueError(f"mixing_time: got threshold {threshold}; expected a number in (0, 1); 0.25 is usual")
    law = stationary_law(transition)

    def double(power: Array, _: None) -> tuple[Array, Array]:
        squared = power @ power
        return squared / jnp.sum(squared, axis=1, keepdims=True), power  # rows stay laws under rounding

    def extend(carry: tuple[Array, Array], bit: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        reached, steps = carry
        power, size = bit
        candidate = reached @ power
        far = jnp.max(0.5 * jnp.sum(jnp.abs(candidate - law), axis=1)) > threshold
        return (jnp.where(far, candidate, reached), steps + jnp.where(far, size, 0)), None

    _, powers = jax.lax.scan(double, transition, None, length=DOUBLINGS)
    sizes = jnp.asarray(2.0 ** np.arange(DOUBLINGS), transition.dtype)
    start = jnp.eye(transition.shape[0], dtype=transition.dtype), jnp.zeros((), transition.dtype)
    (_, steps), _ = jax.lax.scan(extend, start, (powers, sizes), reverse=True)
    finite = jnp.where(steps >= 2**DOUBLINGS - 1, jnp.inf, steps + 1)
    return jnp.where(jnp.isnan(law[0]), jnp.nan, finite)
