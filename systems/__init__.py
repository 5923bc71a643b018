"""Worlds with known laws: systems to sample from, and the exact law of what comes next."""

from .base import ContinuousSystem, SymbolicSystem, System, Trajectory, describe
from .bistable import DoubleWell
from .chains import MarkovChain, dirichlet_rows, uniform_rows
from .diffusions import BrownianMotion, GeometricBrownianMotion, PublishedGeometricBrownianMotion
from .dysts_flows import DystsFlow, dysts_flow, dysts_names
from .flows import DampedPendulum, Flow, Lorenz, Rossler
from .independent import IIDGaussian, IIDUniform
from .maps import LogisticMap, NoisyLogisticMap, bounded
from .mean_reverting import CorrelatedGaussian, OrnsteinUhlenbeck
from .registry import SYSTEMS, system_named
from .second_order import AutoRegressive2, Henon

__all__ = [
    "SYSTEMS",
    "AutoRegressive2",
    "BrownianMotion",
    "ContinuousSystem",
    "CorrelatedGaussian",
    "DampedPendulum",
    "DoubleWell",
    "DystsFlow",
    "Flow",
    "GeometricBrownianMotion",
    "Henon",
    "IIDGaussian",
    "IIDUniform",
    "LogisticMap",
    "Lorenz",
    "MarkovChain",
    "NoisyLogisticMap",
    "OrnsteinUhlenbeck",
    "PublishedGeometricBrownianMotion",
    "Rossler",
    "SymbolicSystem",
    "System",
    "Trajectory",
    "bounded",
    "describe",
    "dirichlet_rows",
    "dysts_flow",
    "dysts_names",
    "system_named",
    "uniform_rows",
]
