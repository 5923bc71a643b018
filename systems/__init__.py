"""Worlds with known laws: systems to sample from, and the exact law of what comes next."""

from collections.abc import Callable

from jaxtyping import Array, Key

from .base import ContinuousSystem, SymbolicSystem, System, Trajectory, describe
from .chains import MarkovChain, dirichlet_rows, uniform_rows
from .diffusions import BrownianMotion, GeometricBrownianMotion, PublishedGeometricBrownianMotion
from .flows import Lorenz
from .maps import LogisticMap, NoisyLogisticMap, bounded

SYSTEMS: dict[str, Callable[[Key[Array, ""]], System]] = {
    "brownian_motion": lambda key: BrownianMotion(),
    "geometric_brownian_motion": lambda key: GeometricBrownianMotion(),
    "geometric_brownian_motion_published": lambda key: PublishedGeometricBrownianMotion(),
    "lorenz": lambda key: Lorenz(),
    "logistic_map": lambda key: LogisticMap(),
    "noisy_logistic_map": lambda key: NoisyLogisticMap(),
    "markov_chain": lambda key: MarkovChain(uniform_rows(key, 4)),
    "markov_chain_low_entropy": lambda key: MarkovChain(dirichlet_rows(key, 4, 0.3)),
}
"""Name -> the system with its default parameters; the key draws those that are random (a chain's rows)."""

__all__ = [
    "SYSTEMS",
    "BrownianMotion",
    "ContinuousSystem",
    "GeometricBrownianMotion",
    "LogisticMap",
    "Lorenz",
    "MarkovChain",
    "NoisyLogisticMap",
    "PublishedGeometricBrownianMotion",
    "SymbolicSystem",
    "System",
    "Trajectory",
    "bounded",
    "describe",
    "dirichlet_rows",
    "uniform_rows",
]
