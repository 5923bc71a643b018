"""The ideal observer of each system: it knows the class and reads the same digits as the language model.

Its law of every next number is the exact posterior predictive under a stated prior over what it does not know, on the
same bins; a model's loss above it is what the model has failed to infer, not what could not be known. Deterministic
systems of several coordinates, one of them written, get an oracle instead, which knows equations, parameters and hidden
coordinates, and only reads.

Everything is in float64 but the filters of :mod:`.cell_observers`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses
from systems import (
    AutoRegressive2,
    BrownianMotion,
    ContinuousSystem,
    CorrelatedGaussian,
    DoubleWell,
    GeometricBrownianMotion,
    IIDGaussian,
    IIDUniform,
    LogisticMap,
    NoisyLogisticMap,
    OrnsteinUhlenbeck,
    PublishedGeometricBrownianMotion,
    SymbolicSystem,
    Trajectory,
)

from ..errors import InputError
from ..numerals import Numerals
from . import cell_observers
from .cell_observers import LEAK
from .truth import truths_of


class Observation(NamedTuple):
    """What an ideal observer predicts: ``log_mass [time, bin]``, row t from the items before t; row 0 is its prior."""

    name: str
    log_mass: np.ndarray
    knows: str


Law = Callable[[ContinuousSystem, jax.Array, jax.Array, jax.Array], jax.Array]
"""(system, codes, edges, states) -> ln masses ``[time, bin]``."""


class Observer(NamedTuple):
    """A way to observe: its name, what it knows beside the digits, and its law."""

    name: str
    knows: str
    law: Law


def observer_of(
    system: ContinuousSystem | SymbolicSystem,
    codes: np.ndarray,
    numerals: Numerals,
    path: Trajectory,
    *,
    concentration: float = 1.0,
    quantised: np.ndarray | None = None,
) -> Observation:
    """The ideal observer of this system's class, reading ``codes [time]``. Compiled once per class and shape.

    Args:
        system: its class says which observer; its parameters are used only by the oracle, and its sampling
            interval by the observer of the double well.
        path: its hidden coordinates are used only by the oracle.
        concentration: of the Dirichlet law of a chain's rows.
        quantised: the law given the written past (``truth.Truth``), if it is known already: what the oracle says.

    Raises:
        InputError: a random system of a class that has no observer.
    """
    with jax.enable_x64(True):
        symbols = jnp.asarray(codes)
        if isinstance(system, SymbolicSystem):
            rows = _dirichlet(symbols, numerals.num_bins, concentration)
            knows = f"a Markov chain of {numerals.num_bins} symbols; rows ~ Dirichlet({concentration:g})"
            return Observation("Dirichlet posterior", np.asarray(rows), knows)
        observer = _observer(system)
        if observer is ORACLE and quantised is not None:
            rows = _with_leak(quantised)
        else:
            rows = observer.law(system, symbols, jnp.asarray(numerals.edges()), jnp.asarray(path.states))
        return Observation(observer.name, np.asarray(rows, np.float64), observer.knows)


def _observer(system: ContinuousSystem) -> Observer:
    if type(system) in OBSERVERS:
        return OBSERVERS[type(system)]
    if system.deterministic:
        return ORACLE
    raise InputError(
        f"a {type(system).__name__}, for which no ideal observer is known",
        f"a deterministic system or one of {', '.join(kind.__name__ for kind in OBSERVERS)}",
        "Add its observer to OBSERVERS",
    )


@partial(jax.jit, static_argnums=(1, 2))
def _dirichlet(symbols: jax.Array, num_symbols: int, concentration: float) -> jax.Array:
    return analyses.dirichlet_predictive(symbols, num_symbols, concentration=concentration)


def _reading(predictive: Callable[..., jax.Array], *arguments: int) -> Law:
    """The law of an observer that needs codes and edges only."""
    compiled = jax.jit(lambda codes, edges: predictive(codes, edges, *arguments))
    return lambda system, codes, edges, states: compiled(codes, edges)


def _filtering(posterior: Callable[..., analyses.CellPosterior]) -> Law:
    return lambda system, codes, edges, states: posterior(system, codes, edges, states).log_mass


def _oracle(system: ContinuousSystem, codes: jax.Array, edges: jax.Array, states: jax.Array) -> jax.Array:
    alone = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], system)
    return _with_leak(truths_of(alone, np.asarray(states)[None], np.asarray(edges)[None]).quantised_mass[0])


def _with_leak(quantised: np.ndarray) -> jax.Array:
    """ln masses of the law given the written past; nothing is written before item 0. No bin is impossible."""
    mass = jnp.asarray(quantised)
    num_bins = mass.shape[1]
    even = jnp.full((1, num_bins), 1 / num_bins)
    return jnp.log((1 - LEAK) * jnp.concatenate((even, mass[1:])) + LEAK / num_bins)


_LINEAR = "coefficients and noise unknown"
OBSERVERS: dict[type, Observer] = {
    IIDGaussian: Observer(
        "Gaussian posterior",
        "independent Gaussian values; mean and variance unknown",
        _reading(analyses.linear_predictive, 0),
    ),
    IIDUniform: Observer(
        "interval posterior",
        "independent uniform values; one end in each half of the grid",
        _reading(analyses.uniform_interval_predictive),
    ),
    BrownianMotion: Observer(
        "random-walk posterior",
        "a Gaussian random walk; drift and noise unknown",
        _reading(analyses.random_walk_predictive),
    ),
    GeometricBrownianMotion: Observer(
        "cell filter",
        "a random walk in the logarithm; drift over noise ~ U(-1, 1), ln noise uniform on (0.02, 1), 21 by 30 values",
        _filtering(cell_observers.geometric_brownian_motion),
    ),
    PublishedGeometricBrownianMotion: Observer(
        "proportional-walk posterior",
        "steps of a constant mean and noise in proportion to the value; both unknown",
        _reading(analyses.proportional_walk_predictive),
    ),
    OrnsteinUhlenbeck: Observer(
        "AR(1) posterior", f"a first-order autoregression; {_LINEAR}", _reading(analyses.linear_predictive, 1)
    ),
    CorrelatedGaussian: Observer(
        "AR(1) posterior", f"a first-order autoregression; {_LINEAR}", _reading(analyses.linear_predictive, 1)
    ),
    AutoRegressive2: Observer(
        "AR(2) posterior", f"a second-order autoregression; {_LINEAR}", _reading(analyses.linear_predictive, 2)
    ),
    LogisticMap: Observer(
        "cell filter",
        "the logistic map; r ~ U(3, 4), on 512 intervals (2048 for fine numerals)",
        _filtering(cell_observers.logistic_map),
    ),
    NoisyLogisticMap: Observer(
        "cell filter",
        "the noisy logistic map; r ~ U(3.5, 4) and ln sigma uniform on (0.004, 0.05), 34 by 25 values",
        _filtering(cell_observers.noisy_logistic_map),
    ),
    DoubleWell: Observer(
        "cell filter",
        "the double well with wells at -1 and 1 and its interval; ln a uniform on (0.25, 2.5) and ln sigma on "
        "(0.2, 1.2), 10 by 18 values",
        _filtering(cell_observers.double_well),
    ),
}
"""Class of a system whose parameters are inferred -> its observer."""
ORACLE = Observer(
    "known-model oracle",
    "equations, parameters and the coordinates that are never written; the written ones by their digits",
    _oracle,
)
"""For every other deterministic system."""
