"""In-context dynamics: simulate, let the model read, compare its law of every next value with the true law.

Source: Liu, Boullé, Sarfati and Earls 2024, arXiv 2402.00795.
"""

from dataclasses import asdict
from typing import Any

import numpy as np

from systems import describe

from ..models.catalogue import LoadedModel
from ..store import RunStore
from .calibrating import calibration_of
from .chain_risk import chain_risk
from .dynamics_config import DynamicsConfig
from .floors import floors_of
from .learning import learning_curve
from .many_laws import MATMUL_PRECISION, Laws, Progress, read_many
from .model_nulls import WINDOW, checkpoints
from .null_panel import null_laws
from .regret import regret_of
from .results import Results, SystemResults
from .scaling_fits import scaling_fits
from .scoring import Scores, Target, score, spread_out
from .simulation import World, Worlds, prepare
from .sparse_nulls import SparseLaws, read_sparse
from .truth import Truth, truths_of
from .verdict import SparseLoss, verdict

__all__ = ["arrays_of", "bytes_needed", "compare", "prepare", "provenance_of", "run"]


def bytes_needed(worlds: Worlds) -> int:
    """About what a run takes on disk: laws twice in float32, truths in float64, and the pictures."""
    each = sum(24 * one.codes.size * one.numerals.num_bins for world in worlds for one in world.series)
    return each + 2**21 * (1 + len(worlds))


def run(config: DynamicsConfig, loaded: LoadedModel, worlds: Worlds, store: RunStore, progress: Progress) -> Results:
    """Read every series of ``prepare`` with the model (finished ones come from ``store``), and compare."""
    every = [one for world in worlds for one in world.series]
    laws = iter(read_many(every, loaded, store, progress, batch=config.batch))
    read = [[next(laws) for _ in world.series] for world in worlds]
    sparse = read_sparse(config, worlds, loaded, store, progress)
    results = []
    for world, of_model, of_nulls in zip(worlds, read, sparse, strict=True):
        progress(f"comparing {world.name}")
        results.append(compare(config, world, of_model, of_nulls))
    return tuple(results)


def compare(config: DynamicsConfig, world: World, laws: list[Laws], sparse_laws: SparseLaws) -> SystemResults:
    """Truth, scores, nulls, observer, floors, curves, calibration and fits of one system."""
    target, truth = target_of(config, world)
    loss_name = "absolute_deviation" if world.deterministic else "bhattacharyya"

    def scores_of(log_mass: np.ndarray) -> Scores:
        return score(log_mass, target, symbolic=world.symbolic)

    log_mass = np.stack([law["log_mass"] for law in laws])
    scores = scores_of(log_mass)
    loss = getattr(scores, loss_name)
    panel = [null_laws(one.codes, one.numerals, symbolic=world.symbolic) for one in world.series]
    of_nulls = {name: scores_of(np.stack([p[name] for p in panel])) for name in panel[0]}
    nulls = {name: getattr(one, loss_name) for name, one in of_nulls.items()}
    contexts = checkpoints(config.steps)
    sparse = {
        name: _sparse_loss(getattr(scores_of(spread_out(law, contexts, config.steps)), loss_name), contexts)
        for name, law in sparse_laws.items()
    }
    observer = regret_of(world, target, truth.quantised_mass, loss_name, scores)
    floor = np.zeros_like(loss)
    if config.truth == "latent":
        floor = truth.deviation_floor if world.deterministic else truth.bhattacharyya_floor
    window = config.window * (2 if world.symbolic else 1)
    curve = learning_curve(loss, window)
    memoryless = not world.deterministic and bool(np.ptp(truth.mass[:, 1:], axis=1).max() < 1e-12)
    prompts = [one.codec.prompt(one.codes) for one in world.series]
    return SystemResults(
        name=world.name,
        symbolic=world.symbolic,
        deterministic=world.deterministic,
        loss_name=loss_name,
        truth_kind=config.truth,
        observed=target.observed,
        display=_display(target),
        edges=target.edges,
        log_mass=log_mass,
        off_grid=np.stack([law["off_grid"] for law in laws]),
        codes=target.codes,
        tokens=np.stack([p.tokens for p in prompts]),
        item_at=np.stack([p.item_at for p in prompts]),
        truth=truth,
        scores=scores,
        loss=loss,
        floor=floor,
        floors=floors_of(world),
        nulls=nulls,
        sparse_nulls=sparse,
        observer=observer,
        calibration=calibration_of(log_mass, scores, target, world.series[0].codec.branch),
        curve=curve,
        null_curves={name: learning_curve(rows, window) for name, rows in nulls.items()},
        observer_curve=learning_curve(observer.loss, window),
        fits=scaling_fits(loss, floor, window),
        risk=chain_risk(_distances(scores, of_nulls, observer.total_variation), window) if world.symbolic else None,
        verdict=verdict(loss, nulls, sparse, floor, memoryless=memoryless),
    )


def target_of(config: DynamicsConfig, world: World) -> tuple[Target, Truth]:
    """What the laws of a world are held against, and both truths."""
    edges = np.stack([one.numerals.edges() for one in world.series])
    truth = truths_of(world.batch, np.asarray(world.paths.states), edges)
    latent = config.truth == "latent"
    target = Target(
        mass=truth.mass if latent else truth.quantised_mass,
        mean=truth.mean if latent else truth.quantised_mean,
        codes=np.stack([one.codes for one in world.series]),
        observed=np.asarray(world.paths.observed),
        edges=edges,
    )
    return target, truth


def _distances(model: Scores, nulls: dict[str, Scores], observer: np.ndarray) -> dict[str, np.ndarray]:
    every = {"model": model.total_variation} | {name: one.total_variation for name, one in nulls.items()}
    return every | {"ideal observer": observer}


def _display(target: Target) -> np.ndarray:
    low, high = target.edges[:, :1], target.edges[:, -1:]
    return 10 * (target.observed - low) / (high - low)


def _sparse_loss(loss: np.ndarray, contexts: np.ndarray) -> SparseLoss:
    means = [loss[:, context : context + WINDOW].mean(axis=1) for context in contexts]
    return SparseLoss(contexts, np.stack(means, axis=1), WINDOW)


def arrays_of(results: Results) -> dict[str, np.ndarray]:
    """Every array of a run, named ``system.array``; losses of a null are ``system.null.name``."""
    arrays: dict[str, np.ndarray] = {}
    for r in results:
        plain = ("observed", "edges", "log_mass", "off_grid", "codes", "tokens", "item_at", "floor")
        arrays |= {f"{r.name}.{field}": getattr(r, field) for field in plain}
        arrays |= {f"{r.name}.{field}": value for field, value in r.scores._asdict().items()}
        arrays |= {f"{r.name}.true_{field}": value for field, value in r.truth._asdict().items()}
        arrays |= {f"{r.name}.null.{name}": rows for name, rows in r.nulls.items()}
        for name, one in r.sparse_nulls.items():
            arrays[f"{r.name}.null.{name}"] = one.loss
            arrays[f"{r.name}.null_context"] = one.context
        for field in ("log_mass", "loss", "nll", "regret"):
            arrays[f"{r.name}.observer_{field}"] = getattr(r.observer, field)
        arrays[f"{r.name}.pit"] = r.calibration.pit
    return arrays


def provenance_of(config: DynamicsConfig, loaded: LoadedModel, worlds: Worlds) -> dict[str, Any]:
    """What has to be known to make the numbers again."""
    return {
        "experiment": "dynamics",
        "config": asdict(config),
        "model": loaded.provenance,
        "matmul_precision": MATMUL_PRECISION,
        "systems": {world.name: _described(world) for world in worlds},
    }


def _described(world: World) -> dict[str, Any]:
    """Parameters and grid of each series, and the codec, which differs in the grid only."""
    codec = world.series[0].codec.describe()
    return {
        "codec": {name: value for name, value in codec.items() if name not in ("low", "high")},
        "low": [one.numerals.low for one in world.series],
        "high": [one.numerals.high for one in world.series],
        "series": [describe(one.system) for one in world.series],
    }
