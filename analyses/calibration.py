"""Whether predicted probabilities come true, and how much a law says when they do.

The probability integral transform (PIT) of a value is the predicted probability of a smaller one. On a grid only
its cell is known, so the position inside the cell is drawn: the *randomised* PIT is exactly uniform under the true
law (Brockwell 2007; Czado, Gneiting and Held 2009). If law t is the true law of item t given everything before it,
the PITs of a *dependent* series are independent and uniform (Rosenblatt 1952): that is the null hypothesis of every
test here. Laws that are right on average only may have uniform PITs that depend on each other; ``p_value`` is then
too small, and ``autocorrelation`` shows it.
"""

import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from .log_space import log_sum_exp, safe_log
from .quantiles import quantile

#: Shapes (a, b) of the Beta alternatives of :func:`log_e_value`: both small for laws that are too narrow, both large
#: for laws that are too wide, unequal for a biased one; (1, 1) is the null itself.
BETA_SHAPES = tuple(itertools.product((0.5, 0.7, 0.87, 1.0, 1.15, 1.4, 2.0), repeat=2))


class PitHistogram(NamedTuple):
    """Histogram of PITs; flat at 1 for a calibrated predictor, ∪ for a too narrow one, ∩ for a too wide one."""

    edges: Float[Array, " bin+1"]
    density: Float[Array, " bin"]  #: mean 1
    null_sd: Float[Array, ""]  #: standard deviation of each height under independent uniform PITs


class Uniformity(NamedTuple):
    """How far PITs are from independent and uniform."""

    distance: Float[Array, ""]  #: Kolmogorov–Smirnov D = max |empirical distribution − u|
    p_value: Float[Array, ""]  #: P(a distance at least this large), under independence
    autocorrelation: Float[Array, ""]  #: of neighbouring PITs; about N(0, 1/time) under independence


class EventReliability(NamedTuple):
    """Predicted probability against observed frequency, in equal stretches of predicted probability."""

    predicted: Float[Array, " bin"]  #: mean predicted probability; NaN where ``num_events`` is 0
    frequency: Float[Array, " bin"]  #: share of the events that happened; NaN where ``num_events`` is 0
    num_events: Float[Array, " bin"]
    expected_error: Float[Array, ""]  #: Σ num_events/total · |predicted − frequency|; above 0 by chance alone


class Sharpness(NamedTuple):
    """How much one law says, right or wrong."""

    width: Float[Array, " level"]  #: of the central intervals, in grid units
    entropy: Float[Array, ""]  #: −Σ m ln m of the cells, nats
    differential_entropy: Float[Array, ""]  #: −Σ m ln(m/w) of the density, nats; can be compared between grids


def randomised_pit(key: Key[Array, ""], log_mass: Float[Array, " bin"], code: Int[Array, ""]) -> Float[Array, ""]:
    """Σ_{i<b} m_i + U·m_b of the observed cell b = ``code``, U uniform on [0, 1); NaN for a code off the grid."""
    below, own = _cell(log_mass, code)
    return jnp.clip(below + own * jax.random.uniform(key, (), log_mass.dtype), 0, 1)


def conditional_pit(
    log_mass: Float[Array, " bin"], code: Int[Array, ""], levels: Float[Array, " level"]
) -> Float[Array, " level"]:
    """P(randomised PIT ≤ level | observed cell): clip((level − Σ_{i<b} m_i) / m_b, 0, 1).

    Its mean over items is the reliability curve without the noise of the randomisation (Czado et al. 2009).
    """
    below, own = _cell(log_mass, code)
    inside = jnp.clip((levels - below) / jnp.where(own > 0, own, 1), 0, 1)
    return jnp.where(own > 0, inside, jnp.where(jnp.isnan(own), jnp.nan, (levels >= below).astype(inside.dtype)))


def pit_histogram(pit: Float[Array, " time"], num_bins: int = 10) -> PitHistogram:
    """Share of the PITs in each of ``num_bins`` equal cells of [0, 1], times ``num_bins``; null sd √((bins − 1)/time).

    A NaN among the PITs makes the heights NaN: cut the items that have no law.

    Raises:
        ValueError: fewer than two bins.
    """
    _check_bins("pit_histogram", num_bins)
    missing = jnp.any(jnp.isnan(pit))
    cell = jnp.clip(jnp.floor(jnp.where(missing, 0, pit) * num_bins), 0, num_bins - 1).astype(jnp.int32)
    share = jax.ops.segment_sum(jnp.full_like(pit, num_bins / pit.shape[0]), cell, num_bins)
    null_sd = jnp.asarray(math.sqrt((num_bins - 1) / pit.shape[0]), pit.dtype)
    edges = jnp.asarray(np.linspace(0, 1, num_bins + 1), pit.dtype)
    return PitHistogram(edges, jnp.where(missing, jnp.nan, share), null_sd)


def uniformity(pit: Float[Array, " time"]) -> Uniformity:
    """Kolmogorov–Smirnov test of independent uniform PITs, with λ = D(√n + 0.12 + 0.11/√n) (Stephens 1970).

    Power at 5 %, on Gaussian laws sharpened to T = 0.7, 1.2 times too wide, or shifted by 0.15 sd: 97 % or more at
    n = 1000, 60 % or more at n = 500. :func:`log_e_value` needs half as many items for a wrong width and twice as many
    for a bias, and may be stopped at any time.
    """
    num = pit.shape[0]
    ordered = jnp.sort(pit)
    rank = jnp.arange(num, dtype=pit.dtype)
    distance = jnp.maximum(jnp.max((rank + 1) / num - ordered), jnp.max(ordered - rank / num))
    centred = pit - jnp.mean(pit)
    correlation = jnp.sum(centred[1:] * centred[:-1]) / jnp.sum(centred**2)
    root = math.sqrt(num)
    return Uniformity(distance, kolmogorov_survival(distance * (root + 0.12 + 0.11 / root)), correlation)


def kolmogorov_survival(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """P(K > x) = 2 Σ_{k≥1} (−1)^{k−1} exp(−2k²x²), the limit law of √n·D; 5 % at 1.358.

    Below 1 by the other theta series, 1 − (√(2π)/x) Σ_{k≥1} exp(−(2k−1)²π²/(8x²)); four terms reach 1e-13 on each side.
    """
    positive = jnp.where(x > 0, x, 1)
    tail = sum((-1) ** (k - 1) * jnp.exp(-2 * (k * positive) ** 2) for k in range(1, 5))
    body = sum(jnp.exp(-(((2 * k - 1) * math.pi / positive) ** 2) / 8) for k in range(1, 5))
    survival = jnp.where(positive < 1, 1 - math.sqrt(2 * math.pi) / positive * body, 2 * tail)
    return jnp.where(x <= 0, 1, jnp.where(jnp.isnan(x), jnp.nan, survival))


def reliability(pit: Float[Array, " time"], levels: Float[Array, " level"]) -> Float[Array, " level"]:
    """Observed frequency of PIT ≤ level: the diagonal for a calibrated predictor, within ±1.358/√time of it 19 times
    in 20 (everywhere at once, under independence)."""
    below = (pit[:, None] <= levels).astype(pit.dtype)
    return jnp.mean(jnp.where(jnp.isnan(pit)[:, None], jnp.nan, below), axis=0)


def event_reliability(
    probability: Float[Array, "*event"], happened: Bool[Array, "*event"], *, num_bins: int = 10
) -> EventReliability:
    """Predicted probabilities of events against how often they happened, in ``num_bins`` equal stretches of [0, 1].

    For symbols pass all pairs: ``exp(log_mass)`` [time, symbol] and ``symbols[:, None] == arange(n)``; for the
    confidence of the top symbol pass its probability and whether it came. NaN probabilities give NaN.

    Raises:
        ValueError: fewer than two bins.
    """
    _check_bins("event_reliability", num_bins)
    predicted = probability.reshape(-1)
    came = happened.reshape(-1).astype(predicted.dtype)
    missing = jnp.any(jnp.isnan(predicted))
    cell = jnp.clip(jnp.floor(jnp.where(missing, 0, predicted) * num_bins), 0, num_bins - 1).astype(jnp.int32)
    count, total, hits = (jax.ops.segment_sum(v, cell, num_bins) for v in (jnp.ones_like(came), predicted, came))
    error = jnp.sum(jnp.abs(total - hits)) / predicted.shape[0]
    mean, frequency = (jnp.where(count > 0, v / jnp.maximum(count, 1), jnp.nan) for v in (total, hits))
    return EventReliability(mean, jnp.where(missing, jnp.nan, frequency), count, error)


def coverage(
    log_mass: Float[Array, " bin"], code: Int[Array, ""], levels: Float[Array, " level"]
) -> Float[Array, " level"]:
    """P((1−c)/2 < randomised PIT ≤ (1+c)/2 | observed cell) for each level c; its mean over items is the coverage.

    A cell that straddles the end of an interval counts with the share of its mass inside, so under the true law the
    expectation is exactly c on any grid; a yes or no by cells would be too often yes.
    """
    return conditional_pit(log_mass, code, (1 + levels) / 2) - conditional_pit(log_mass, code, (1 - levels) / 2)


def sharpness(
    log_mass: Float[Array, " bin"], edges: Float[Array, " bin+1"], levels: Float[Array, " level"]
) -> Sharpness:
    """Widths of the central intervals of the piecewise-constant density at ``levels``, and its entropies."""
    at = jax.vmap(quantile, in_axes=(None, None, 0))
    width = at(log_mass, edges, (1 + levels) / 2) - at(log_mass, edges, (1 - levels) / 2)
    mass, occupied = jnp.exp(log_mass), ~jnp.isneginf(log_mass)
    entropy = -jnp.sum(mass * jnp.where(occupied, log_mass, 0))
    cells = jnp.where(occupied, jnp.diff(edges), 1)  # padded cells have neither width nor mass
    return Sharpness(width, entropy, entropy + jnp.sum(mass * safe_log(cells)))


def log_e_value(pit: Float[Array, " time"]) -> Float[Array, " time"]:
    """ln of the running capital of a bet against uniform PITs: E_t = mean over k of Π_{s≤t} Beta(u_s; a_k, b_k).

    Under the null E is a non-negative martingale that starts at 1, so P(E ever reaches 1/α) ≤ α at *any* stopping
    time (Ville): look as often as you like, and reject at ln E ≥ ln 20 ≈ 3.0 for 5 %. PITs must come in their order
    with a fresh draw each. Laws sharpened to T = 0.7 lose 0.036 nats an item: 99 % are noticed within 500 items.
    """
    tiny = jnp.finfo(pit.dtype).eps
    inside = jnp.clip(pit, tiny, 1 - tiny)  # a density that is infinite at the end must not break the sum
    shapes = np.asarray(BETA_SHAPES)
    log_beta = [math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) for a, b in BETA_SHAPES]
    power_low, power_high = jnp.asarray(shapes.T - 1, pit.dtype)
    odds = power_low * jnp.log(inside)[:, None] + power_high * jnp.log1p(-inside)[:, None]
    capital = jnp.cumsum(odds - jnp.asarray(log_beta, pit.dtype), axis=0)
    return log_sum_exp(capital) - math.log(len(BETA_SHAPES))


def _cell(log_mass: Float[Array, " bin"], code: Int[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mass below the observed cell, and its own; NaN for a code off the grid."""
    legal = (code >= 0) & (code < log_mass.shape[0])
    mass = jnp.exp(log_mass)
    index = jnp.arange(log_mass.shape[0], dtype=jnp.int32)
    below = jnp.sum(jnp.where(index < code, mass, 0))
    return jnp.where(legal, below, jnp.nan), jnp.where(legal, mass[jnp.where(legal, code, 0)], jnp.nan)


def _check_bins(name: str, num_bins: int) -> None:
    if num_bins < 2:
        raise ValueError(f"{name}: got num_bins {num_bins}; expected at least 2; use 10 to 20")
