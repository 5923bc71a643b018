"""Made-up results of a dynamics run, in numpy alone: figures are functions of stored arrays, whoever made them.

The "model" predicts the true law, blurred by an amount that falls as a power of the context length.
llmworld_jax is imported inside the functions, because jaxtyping's checker must be installed first.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

DENSE = ("unigram", "bigram", "AR(1)", "quadratic AR(1)", "kernel", "parrot D=1", "parrot D=2")
SPARSE = ("neural AR(1)", "shuffled context", "random weights")
LEVELS = np.array([0.5, 0.8, 0.9, 0.95])
CHAIN, POINT = "markov_chain_low_entropy", "logistic_map"


def simulated(name: str, steps: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Series, true mean and true standard deviation of every item given the one before; row 0 of both is NaN."""
    x = np.empty(steps)
    x[0] = {"geometric_brownian_motion": 10.0, "brownian_motion": 0.0, "iid_gaussian": 0.0}.get(name, 0.4)
    rules: dict[str, Callable] = {
        "noisy_logistic_map": lambda s: (3.9 * s * (1 - s), 0.0136 * 3.9 * abs(1 - 2 * s) + 2e-3),
        POINT: lambda s: (3.9 * s * (1 - s), 0.0),
        "geometric_brownian_motion": lambda s: (s * 1.001, 0.1 * s),
        "brownian_motion": lambda s: (s, 0.358),
        "iid_gaussian": lambda s: (0.0, 1.0),
    }
    mean, sd = np.full(steps, np.nan), np.full(steps, np.nan)
    for t in range(1, steps):
        mean[t], sd[t] = rules[name](x[t - 1])
        x[t] = mean[t] + sd[t] * random.normal()
        if "logistic" in name:
            x[t] = np.clip(x[t], 0.02, 0.975)
    return x, mean, sd


def gaussian_mass(mean: np.ndarray, sd: np.ndarray, edges: np.ndarray) -> np.ndarray:
    mass = np.diff(ndtr((edges - mean[:, None]) / sd[:, None]), axis=-1)
    return mass / mass.sum(axis=-1, keepdims=True)


def moments_of(mass: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    centre = (edges[1:] + edges[:-1]) / 2
    mean = mass @ centre
    delta = centre - mean[:, None]
    variance = (mass * delta**2).sum(axis=1) + np.diff(edges)[0] ** 2 / 12
    return mean, np.sqrt(variance), (mass * delta**4).sum(axis=1) / variance**2


def one_series(name: str, steps: int, precision: int, seed: int) -> dict[str, np.ndarray]:
    """Everything about one series, without its seed axis."""
    random, time = np.random.default_rng(seed), np.arange(steps)
    blur = 1 / np.maximum(time, 1) ** 0.6
    if name == CHAIN:
        rows = random.dirichlet(np.full(4, 0.5), 4)
        codes = np.zeros(steps, int)
        for t in range(1, steps):
            codes[t] = random.choice(4, p=rows[codes[t - 1]])
        x, edges = codes.astype(float), np.arange(5.0)
        truth = np.concatenate((np.full((1, 4), np.nan), rows[codes[:-1]]))
        model = truth * (1 - 0.8 * blur[:, None]) + 0.2 * blur[:, None]
        observer = truth * (1 - blur[:, None] ** 2 / 2) + blur[:, None] ** 2 / 8
        mean, sd, _ = moments_of(truth, edges)
    else:
        x, mean, sd = simulated(name, steps, random)
        span = x.max() - x.min()
        low, high = x.min() - 0.15 / 0.7 * span, x.max() + 0.15 / 0.7 * span
        edges = np.linspace(low, high, 10**precision + 1)
        codes = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
        width = edges[1] - edges[0]
        truth = gaussian_mass(mean, np.maximum(sd, 1e-9 * width), edges)
        wide = np.hypot(sd * 1.1, 0.25 * span * blur + 0.4 * width)
        model = gaussian_mass(mean + 0.2 * wide * random.normal(size=steps), wide, edges)
        smooth = np.convolve(random.dirichlet(np.full(len(edges) - 1, 0.3)), np.ones(3) / 3, "same")
        model = 0.99 * model + 0.01 * smooth / smooth.sum()
        observer = gaussian_mass(mean, np.hypot(sd, span * blur**2 / 8 + 0.4 * width), edges)
    model, observer = model / model.sum(axis=1, keepdims=True), observer / observer.sum(axis=1, keepdims=True)
    return dict(
        observed=x, codes=codes, edges=edges, mean=mean, sd=sd, truth=truth, log_mass=np.log(model + 1e-12),
        observer=np.log(observer + 1e-12),
        off_grid=0.1 * (1 + seed + len(name) % 5) * blur + 1e-4 * random.random(steps),
    )  # fmt: skip


def scores_of(s: dict[str, np.ndarray], law: str) -> Any:
    """Scores of the laws ``s[law]``."""
    from llmworld_jax.experiments.scoring import Scores

    mass, truth = np.exp(s[law]), s["truth"]
    mean, sd, kurtosis = moments_of(mass, s["edges"])
    deviation = np.abs(mean - s["mean"]) / (s["edges"][-1] - s["edges"][0]) * 10
    with np.errstate(divide="ignore", invalid="ignore"):
        found = dict(
            bhattacharyya=-np.log(np.sqrt(mass * truth).sum(axis=1)),
            kl=np.where(truth > 0, truth * np.log(truth / mass), 0).sum(axis=1),
            total_variation=np.abs(mass - truth).sum(axis=1) / 2,
            nll=-np.take_along_axis(s[law], s["codes"][:, None], axis=1)[:, 0],
            absolute_deviation=deviation, squared_deviation=deviation**2, crps=deviation,
            mean=mean, sd=sd, kurtosis=kurtosis,
        )  # fmt: skip
    return Scores(**{name: np.where(np.isnan(s["mean"]), np.nan, rows) for name, rows in found.items()})


def curve_of(losses: np.ndarray, window: int = 10) -> Any:
    from llmworld_jax.experiments.learning import Curve

    each = np.stack([np.convolve(row[1:], np.full(window, 1 / window), "valid") for row in losses])
    context = 1 + (window - 1) / 2 + np.arange(each.shape[1])
    return Curve(context, each, each.mean(axis=0), *np.quantile(each, (0.05, 0.95), axis=0))


def calibration_of(series: list[dict[str, np.ndarray]], first: int) -> Any:
    from llmworld_jax.experiments.calibrating import Calibration

    random, rows = np.random.default_rng(5), []
    for s in series:
        mass = np.exp(s["log_mass"])
        here = np.take_along_axis(mass, s["codes"][:, None], axis=1)[:, 0]
        pit = np.take_along_axis(mass.cumsum(axis=1), s["codes"][:, None], axis=1)[:, 0] - here * random.random(
            len(here)
        )
        rows.append(np.where(np.arange(len(pit)) >= first, np.clip(pit, 0, 1), np.nan))
    pit = np.stack(rows)
    late = pit[:, first:].ravel()
    inside = [float((np.abs(late - 0.5) <= level / 2).mean()) for level in LEVELS]
    return Calibration(
        first=first, pit=pit, levels=LEVELS, coverage=np.array(inside), sharpness=4 * LEVELS, ks=0.06,
        ks_uniform=1.36 / np.sqrt(late.size), crps=0.3, digit_temperature=0.9, mass_temperature=0.95,
    )  # fmt: skip


def stacked(rows: list[Any]) -> Any:
    return type(rows[0])(*(np.stack(column) for column in zip(*rows, strict=True)))


def one_system(name: str, seeds: int, steps: int, precision: int) -> Any:
    """``SystemResults`` of one made-up system."""
    from llmworld_jax.experiments.regret import Regret
    from llmworld_jax.experiments.results import SystemResults
    from llmworld_jax.experiments.verdict import SparseLoss

    series = [one_series(name, steps, precision, seed) for seed in range(seeds)]
    several = {key: np.stack([s[key] for s in series]) for key in series[0]}
    scores, watching = (stacked([scores_of(s, law) for s in series]) for law in ("log_mass", "observer"))
    loss_name = "absolute_deviation" if name == POINT else "bhattacharyya"
    loss, best = getattr(scores, loss_name), getattr(watching, loss_name)
    random, time = np.random.default_rng(1), np.maximum(np.arange(steps), 1)
    noise = 1 + 0.2 * random.normal(size=(len(DENSE), seeds, steps)) ** 2
    names = ("unigram", "bigram") if name == CHAIN else DENSE
    top = float(np.nanmean(loss[:, 1:10]))
    nulls = {n: top * (0.3 + 0.2 * k) * time ** (-0.1 * k) * noise[k] for k, n in enumerate(names)}
    contexts = np.unique(np.geomspace(5, steps - 10, 8).astype(int))
    sparse = {
        n: SparseLoss(contexts, top * (1 + k) * contexts ** (-0.15 * k) * np.ones((seeds, 1)), 10)
        for k, n in enumerate(SPARSE)
    }
    floor = np.full_like(loss, 0.0 if name == CHAIN else 0.02 * top)
    curve = curve_of(loss)
    return SystemResults(
        name=name, symbolic=name == CHAIN, deterministic=name == POINT, loss_name=loss_name, truth_kind="latent",
        observed=several["observed"], display=several["observed"], edges=several["edges"],
        log_mass=several["log_mass"], off_grid=several["off_grid"], codes=several["codes"],
        tokens=np.zeros((seeds, 3 * steps), int), item_at=np.tile(3 * np.arange(steps), (seeds, 1)),
        truth=truth_of(several, floor), scores=scores, loss=loss, floor=floor, floors=floors_of(name),
        nulls=nulls, sparse_nulls=sparse,
        observer=Regret(
            "grid posterior", "the map and its noise, not r", several["observer"], best, watching.nll,
            watching.total_variation, scores.nll - watching.nll, 17.0,
        ),
        calibration=calibration_of(series, steps // 2), curve=curve,
        null_curves={n: curve_of(rows) for n, rows in nulls.items()}, observer_curve=curve_of(best),
        fits=fits_of(curve, floor), risk=risk_of(scores, watching) if name == CHAIN else None,
        verdict=verdict_of(nulls, loss),
    )  # fmt: skip


def risk_of(scores: Any, watching: Any) -> Any:
    from llmworld_jax.experiments.chain_risk import ChainRisk
    from llmworld_jax.experiments.learning import Exponent

    own, best = curve_of(scores.total_variation), curve_of(watching.total_variation)
    counting = own._replace(mean=0.3 * own.context**-0.5)
    curves = {"model": own, "bigram": counting, "ideal observer": best}
    return ChainRisk(curves, {name: Exponent(-0.5, -0.6, -0.4, 1.0, 0.1) for name in curves})


def truth_of(several: dict[str, np.ndarray], floor: np.ndarray) -> Any:
    from llmworld_jax.experiments.truth import Truth

    mass, mean = several["truth"], several["mean"]
    return Truth(mass, 0 * mean, mean, several["sd"], mass, mean, floor, floor)


def floors_of(name: str) -> Any:
    from llmworld_jax.experiments.floors import Floors

    return Floors((1,), np.zeros(1), np.zeros(1)) if name == CHAIN else Floors((1, 2, 3), *(0.1 ** np.ones((2, 3))))


def fits_of(curve: Any, floor: np.ndarray) -> Any:
    """Power laws through the first and the last point, with bands of ten per cent (none for one series)."""
    from llmworld_jax.experiments.learning import Curve, Exponent
    from llmworld_jax.experiments.scaling_fits import ESTIMATORS, Estimate, FitBand, Fits, ModelRow

    parts = np.array_split(np.arange(len(curve.mean)), np.geomspace(1, len(curve.mean) - 1, 9).astype(int))
    parts = [part for part in parts if part.size]
    context, mean = (np.array([row[part].mean() for part in parts]) for row in (curve.context, curve.mean))
    known = 0.1 if len(curve.each) > 1 else np.nan
    each = np.stack([curve.each[:, part].mean(axis=1) for part in parts], axis=1)
    bins = Curve(context, each, mean, mean * (1 - known), mean * (1 + known))
    slope = np.log(mean[-1] / mean[0]) / np.log(context[-1] / context[0])
    exponents = [Exponent(k * slope, slope - known, slope + known, 1 / mean[0] * context[0] ** (k * slope), 0.1)
                 for k in (0.9, 1.0, 1.3)]  # fmt: skip
    lines = [context**e.value / e.scale for e in exponents]
    curves = {n: FitBand(context, y, y * (1 - known), y * (1 + known)) for n, y in zip(ESTIMATORS, lines, strict=True)}
    nan = float("nan")
    return Fits(
        bins, np.full(len(context), np.nanmean(floor)), *exponents, Estimate(0.01, nan, nan),
        (ModelRow("power", 0.0, 0.0, 1.0, slope, 1.0, nan),), "power", "power", curves,
    )  # fmt: skip


def verdict_of(nulls: dict[str, np.ndarray], loss: np.ndarray) -> Any:
    from llmworld_jax.experiments.verdict import Comparison, Verdict

    late = float(loss[:, -10:].mean())
    compared = {name: Comparison(float(rows[:, -10:].mean()), 0.5, 0.4, 0.6, "beaten") for name, rows in nulls.items()}
    return Verdict(
        "learns", "good", "Learns: below every null.", 4 * late, late, 0.9 * late, 1.1 * late, 4.0, 0.01, compared
    )


@functools.cache
def _results(names: tuple[str, ...], seeds: int, steps: int, precision: int) -> Any:
    return tuple(one_system(name, seeds, steps, precision) for name in names)


@pytest.fixture(scope="session")
def made_up() -> Callable[..., Any]:
    """``made_up(*names, seeds=2, steps=60, precision=2) -> Results``."""

    def make(*names: str, seeds: int = 2, steps: int = 60, precision: int = 2) -> Any:
        return _results(names, seeds, steps, precision)

    return make
