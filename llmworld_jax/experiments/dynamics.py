"""In-context dynamics: simulate, let the model read, compare its law of every next value with the true law.

Source: Liu, Boullé, Sarfati and Earls 2024, arXiv 2402.00795.
"""

import functools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

import jax
import numpy as np

from systems import SYSTEMS, ContinuousSystem, SymbolicSystem, Trajectory, bounded, describe

from ..codec import NumberCodec
from ..content import content_hash
from ..errors import InputError
from ..laws import number_laws
from ..models.catalogue import LoadedModel
from ..numerals import Numerals, display_units, rescaled
from ..store import RunStore
from .dynamics_config import DynamicsConfig
from .learning import Curve, Exponent, Verdict, learning_curve, log_log_exponent, published_exponent, verdict
from .reading import check_context, checked_codec
from .scoring import Scores, Truth, nulls_of, score, truth_of

MATMUL_PRECISION = "highest"
ATTEMPTS = 100
_BOUNDED = ("noisy_logistic_map",)


class Series(NamedTuple):
    """One simulated series, as numbers and as the model reads it."""

    name: str
    system: ContinuousSystem | SymbolicSystem
    path: Trajectory
    numerals: Numerals
    codec: NumberCodec
    codes: np.ndarray


class SystemResults(NamedTuple):
    """Everything about one system; arrays are ``[seed, time, ...]``, losses ``[seed, time]``."""

    name: str
    symbolic: bool
    deterministic: bool
    loss_name: str
    observed: np.ndarray
    display: np.ndarray
    edges: np.ndarray
    log_mass: np.ndarray
    off_grid: np.ndarray
    codes: np.ndarray
    tokens: np.ndarray
    item_at: np.ndarray
    truth: Truth
    scores: Scores
    loss: np.ndarray
    floor: np.ndarray
    nulls: dict[str, np.ndarray]
    curve: Curve
    null_curves: dict[str, Curve]
    published: Exponent
    log_log: Exponent
    verdict: Verdict


Worlds = tuple[tuple[Series, ...], ...]
"""The series of each system."""
Results = tuple[SystemResults, ...]
Progress = Callable[[str], None]


def prepare(config: DynamicsConfig, loaded: LoadedModel) -> Worlds:
    """Every series, simulated and put into tokens. What the model cannot read is refused here, before long work."""
    config.check()
    return tuple(
        tuple(simulate(config, name, config.seed + k, loaded) for k in range(config.seeds)) for name in config.system
    )


def bytes_needed(worlds: Worlds) -> int:
    """About what a run takes on disk: laws twice in float32, truths in float64, and the pictures."""
    return sum(16 * one.codes.size * one.numerals.num_bins for series in worlds for one in series) + 2**22


def run(config: DynamicsConfig, loaded: LoadedModel, worlds: Worlds, store: RunStore, progress: Progress) -> Results:
    """Read every series of ``prepare`` with the model (finished ones come from ``store``), and compare."""
    results = []
    for series in worlds:
        laws = []
        for k, one in enumerate(series):
            progress(f"{one.name}, series {k + 1} of {len(series)}")
            laws.append(store.unit(_unit_key(one, loaded), functools.partial(_read, one, loaded)))
        results.append(compare(config, series, laws))
    return tuple(results)


def simulate(config: DynamicsConfig, name: str, seed: int, loaded: LoadedModel) -> Series:
    """One series in float64, rescaled as published (chains: the symbols themselves) and put into tokens."""
    with jax.enable_x64(True):
        key_system, key_path = jax.random.split(jax.random.key(seed))
        system = SYSTEMS[name](key_system)
        if not isinstance(system, ContinuousSystem | SymbolicSystem):
            raise TypeError(f"{name} is neither continuous nor symbolic")
        path = _sample(name, system, key_path, config.steps)
    if isinstance(system, SymbolicSystem):
        n = system.num_symbols
        numerals = Numerals(precision=1, low=0.0, high=float(n), base=n)
    else:
        numerals = rescaled(np.asarray(path.observed), config.precision)
    codec = checked_codec(loaded, numerals, config.separator, config.start_token)
    check_context(codec, config.steps, loaded)
    return Series(name, system, path, numerals, codec, numerals.encode(path.observed))


def _sample(name: str, system: ContinuousSystem | SymbolicSystem, key: jax.Array, steps: int) -> Trajectory:
    """A path; one that escapes to infinity is drawn again, as published."""
    for attempt in range(ATTEMPTS):
        path = system.sample(jax.random.fold_in(key, attempt), steps)
        if name not in _BOUNDED or bool(bounded(path)):
            return jax.tree.map(np.asarray, path)
    raise InputError(
        f"{ATTEMPTS} paths of {name} that all leave its domain within {steps} steps",
        "one that stays",
        "Ask for fewer steps",
    )


def _unit_key(one: Series, loaded: LoadedModel) -> dict[str, Any]:
    prompt = one.codec.prompt(one.codes)
    return {
        "what": "laws",
        "model": {k: loaded.provenance[k] for k in ("id", "sha256", "fingerprint", "dtype")},
        "config": loaded.config,  # the same weights under another one (its rope_theta, say) are another model
        "levels": one.codec.levels,
        "tokens": content_hash({"tokens": prompt.tokens, "item_at": prompt.item_at}),
        "matmul_precision": MATMUL_PRECISION,
    }


def _read(one: Series, loaded: LoadedModel) -> dict[str, np.ndarray]:
    laws = number_laws(loaded.model, one.codec, one.codec.prompt(one.codes), precision=MATMUL_PRECISION)
    return {"log_mass": np.asarray(laws.log_mass), "off_grid": np.asarray(laws.off_grid)}


def compare(config: DynamicsConfig, series: tuple[Series, ...], laws: list[dict[str, np.ndarray]]) -> SystemResults:
    """Truth, scores, nulls, floors, curves and fits of one system."""
    first = series[0]
    symbolic = isinstance(first.system, SymbolicSystem)
    deterministic = isinstance(first.system, ContinuousSystem) and first.system.deterministic
    loss_name = "absolute_deviation" if deterministic else "bhattacharyya"
    truths = [truth_of(one.system, one.path, one.numerals) for one in series]
    scores = [
        score(law["log_mass"], truth, one.codes, one.numerals)
        for one, law, truth in zip(series, laws, truths, strict=True)
    ]
    null_losses: dict[str, list[np.ndarray]] = {}
    for one, truth in zip(series, truths, strict=True):
        for name, log_mass in nulls_of(one.codes, one.numerals, symbolic=symbolic).items():
            found = getattr(score(log_mass, truth, one.codes, one.numerals), loss_name)
            null_losses.setdefault(name, []).append(found)
    nulls = {name: np.stack(rows) for name, rows in null_losses.items()}
    truth, scored = _stack(truths), _stack(scores)
    loss = getattr(scored, loss_name)
    floor = truth.deviation_floor if deterministic else truth.bhattacharyya_floor
    window = config.window * (2 if symbolic else 1)
    curve = learning_curve(loss, window)
    prompts = [one.codec.prompt(one.codes) for one in series]
    observed = np.stack([one.path.observed for one in series])
    return SystemResults(
        name=first.name,
        symbolic=symbolic,
        deterministic=deterministic,
        loss_name=loss_name,
        observed=observed,
        display=np.stack([display_units(s.numerals, x) for s, x in zip(series, observed, strict=True)]),
        edges=np.stack([one.numerals.edges() for one in series]),
        log_mass=np.stack([law["log_mass"] for law in laws]),
        off_grid=np.stack([law["off_grid"] for law in laws]),
        codes=np.stack([one.codes for one in series]),
        tokens=np.stack([p.tokens for p in prompts]),
        item_at=np.stack([p.item_at for p in prompts]),
        truth=truth,
        scores=scored,
        loss=loss,
        floor=floor,
        nulls=nulls,
        curve=curve,
        null_curves={name: learning_curve(rows, window) for name, rows in nulls.items()},
        published=published_exponent(curve),
        log_log=log_log_exponent(curve),
        verdict=verdict(loss, nulls, floor),
    )


def _stack(rows: list[Any]) -> Any:
    return type(rows[0])(*(np.stack(column) for column in zip(*rows, strict=True)))


def arrays_of(results: Results) -> dict[str, np.ndarray]:
    """Every array of a run, named ``system.array``; losses of a null are ``system.null.name``."""
    arrays: dict[str, np.ndarray] = {}
    for r in results:
        plain = ("observed", "edges", "log_mass", "off_grid", "codes", "tokens", "item_at", "floor")
        arrays |= {f"{r.name}.{field}": getattr(r, field) for field in plain}
        arrays |= {f"{r.name}.{field}": value for field, value in r.scores._asdict().items()}
        for field in ("mass", "outside", "mean", "sd"):
            arrays[f"{r.name}.true_{field}"] = getattr(r.truth, field)
        arrays |= {f"{r.name}.null.{name}": rows for name, rows in r.nulls.items()}
    return arrays


def provenance_of(config: DynamicsConfig, loaded: LoadedModel, worlds: Worlds) -> dict[str, Any]:
    """What has to be known to make the numbers again."""
    return {
        "experiment": "dynamics",
        "config": asdict(config),
        "model": loaded.provenance,
        "matmul_precision": MATMUL_PRECISION,
        "systems": {series[0].name: _described(series) for series in worlds},
    }


def _described(series: tuple[Series, ...]) -> dict[str, Any]:
    """Parameters and grid of each series, and the codec, which differs in the grid only."""
    codec = series[0].codec.describe()
    return {
        "codec": {name: value for name, value in codec.items() if name not in ("low", "high")},
        "low": [one.numerals.low for one in series],
        "high": [one.numerals.high for one in series],
        "series": [describe(one.system) for one in series],
    }
