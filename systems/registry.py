"""The systems by name: those of ``SYSTEMS``, chains of any size, and the flows of an installed ``dysts``."""

import re
from collections.abc import Callable

from jaxtyping import Array, Key

from .base import System
from .bistable import DoubleWell
from .chains import MarkovChain, dirichlet_rows, uniform_rows
from .diffusions import BrownianMotion, GeometricBrownianMotion, PublishedGeometricBrownianMotion
from .dysts_flows import dysts_flow
from .flows import DampedPendulum, Lorenz, Rossler
from .independent import IIDGaussian, IIDUniform
from .maps import LogisticMap, NoisyLogisticMap
from .mean_reverting import CorrelatedGaussian, OrnsteinUhlenbeck
from .names import nearest_first
from .second_order import AutoRegressive2, Henon

Factory = Callable[[Key[Array, ""]], System]

SYSTEMS: dict[str, Factory] = {
    "iid_gaussian": lambda key: IIDGaussian(),
    "iid_uniform": lambda key: IIDUniform(),
    "brownian_motion": lambda key: BrownianMotion(),
    "geometric_brownian_motion": lambda key: GeometricBrownianMotion(),
    "geometric_brownian_motion_published": lambda key: PublishedGeometricBrownianMotion(),
    "ornstein_uhlenbeck": lambda key: OrnsteinUhlenbeck(),
    "correlated_gaussian": lambda key: CorrelatedGaussian(),
    "ar2": lambda key: AutoRegressive2(),
    "double_well": lambda key: DoubleWell(),
    "logistic_map": lambda key: LogisticMap(),
    "noisy_logistic_map": lambda key: NoisyLogisticMap(),
    "henon": lambda key: Henon(),
    "lorenz": lambda key: Lorenz(),
    "rossler": lambda key: Rossler(),
    "damped_pendulum": lambda key: DampedPendulum(),
    "markov_chain": lambda key: MarkovChain(uniform_rows(key, 4)),
    "markov_chain_8": lambda key: MarkovChain(uniform_rows(key, 8)),
    "markov_chain_low_entropy": lambda key: MarkovChain(dirichlet_rows(key, 4, 0.3)),
}
"""Name -> the system with its default parameters; the key draws those that are random (a chain's rows)."""

_DYSTS = "dysts:"
_CHAIN = re.compile(r"(markov_chain|markov_chain_low_entropy)_([2-9]|[1-9][0-9]+)")


def system_named(name: str) -> Factory:
    """The factory of ``SYSTEMS[name]``, and of the names that ``SYSTEMS`` has no room for:

    ``markov_chain_N`` and ``markov_chain_low_entropy_N`` are the chains of ``SYSTEMS`` with N >= 2 symbols;
    ``dysts:Name`` is ``dysts_flow("Name")``, for which the ``dysts`` collection must be installed.

    Raises ValueError that names the choices, the nearest first.
    """
    if name in SYSTEMS:
        return SYSTEMS[name]
    if chain := _CHAIN.fullmatch(name):
        n = int(chain[2])
        if chain[1] == "markov_chain":
            return lambda key: MarkovChain(uniform_rows(key, n))
        return lambda key: MarkovChain(dirichlet_rows(key, n, 0.3))
    if name.startswith(_DYSTS):
        try:
            flow = dysts_flow(name.removeprefix(_DYSTS))
        except ModuleNotFoundError as error:
            raise ValueError(f"Got system {name!r} without its collection. {error}") from error
        return lambda key: flow
    choices = nearest_first(name, [*SYSTEMS, "markov_chain_N", "markov_chain_low_entropy_N", _DYSTS + "Name"])
    raise ValueError(f"Got system {name!r}. Expected one of {', '.join(choices)}. Use one of these names.")
