"""Worlds with known laws: systems to sample from, and the exact law of what comes next."""

from .base import ContinuousSystem, SymbolicSystem, System, Trajectory, describe
from .bistable import DoubleWell
from .chains import MarkovChain, dirichlet_rows, uniform_rows
from .diffusions import BrownianMotion, GeometricBrownianMotion, PublishedGeometricBrownianMotion
from .dysts_flows import DystsFlow, dysts_flow, dysts_names
from .edge_lists import read_edge_list
from .flows import DampedPendulum, Flow, Lorenz, Rossler
from .graph_names import GRAPHS, graph_examples, parse_graph
from .graphs import Graph, from_adjacency
from .independent import IIDGaussian, IIDUniform
from .lattices import (
    balanced_tree,
    circulant,
    complete_bipartite,
    cylinder,
    grid,
    honeycomb,
    hypercube,
    path,
    ring,
    star,
    torus,
)
from .maps import LogisticMap, NoisyLogisticMap, bounded
from .mean_reverting import CorrelatedGaussian, OrnsteinUhlenbeck
from .random_graphs import block_model, erdos_renyi, random_regular
from .registry import SYSTEMS, system_named
from .second_order import AutoRegressive2, Henon
from .walks import (
    balanced_walk,
    edge_shuffled,
    mixture_walk,
    neighbour_pairs,
    random_walk,
    walk_per_start,
)

__all__ = [
    "GRAPHS",
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
    "Graph",
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
    "balanced_tree",
    "balanced_walk",
    "block_model",
    "bounded",
    "circulant",
    "complete_bipartite",
    "cylinder",
    "describe",
    "dirichlet_rows",
    "dysts_flow",
    "dysts_names",
    "edge_shuffled",
    "erdos_renyi",
    "from_adjacency",
    "graph_examples",
    "grid",
    "honeycomb",
    "hypercube",
    "mixture_walk",
    "neighbour_pairs",
    "parse_graph",
    "path",
    "random_regular",
    "random_walk",
    "read_edge_list",
    "ring",
    "star",
    "system_named",
    "torus",
    "uniform_rows",
    "walk_per_start",
]
