"""Every system has an observer that reads only the past; observers approach the truth at the known rate."""

import dataclasses
import functools
from typing import ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from llmworld_jax.errors import InputError
from llmworld_jax.experiments import cell_observers
from llmworld_jax.experiments.observing import OBSERVERS, Observation, observer_of
from llmworld_jax.numerals import Numerals, rescaled
from systems import SYSTEMS, ContinuousSystem, LogisticMap, SymbolicSystem, bounded

FAST = ("logistic_map", "henon")
SLOW = (
    "markov_chain_8",
    "iid_uniform",
    "geometric_brownian_motion",
    "ar2",
    "double_well",
    "noisy_logistic_map",
    "lorenz",
)
#: Between them these use every way to observe.
NAMES = [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@dataclasses.dataclass(frozen=True)
class Written:
    system: ContinuousSystem | SymbolicSystem
    path: object
    numerals: Numerals
    codes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Seen(Written):
    observation: Observation


@functools.cache
def seen(name: str, seed: int, time: int, precision: int = 1) -> Seen:
    one = written(name, seed, time, precision)
    return Seen(**vars(one), observation=observer_of(one.system, one.codes, one.numerals, one.path))


def written(name: str, seed: int, time: int, precision: int) -> Written:
    with jax.enable_x64(True):
        for key in jax.random.split(jax.random.key(seed), 100):
            # Parameters are float64 arrays, as those of a simulated batch are: weak types would hide a wrong dtype.
            system = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), jax.jit(SYSTEMS[name])(key))
            path = system.sample(key, time)
            if name != "noisy_logistic_map" or bool(bounded(path)):
                break
    if isinstance(system, SymbolicSystem):
        numerals = Numerals(1, 0, system.num_symbols, system.num_symbols)
    else:
        numerals = rescaled(np.asarray(path.observed), precision)
    return Written(system, path, numerals, numerals.encode(path.observed))


def test_every_system_has_an_observer():
    for name, make in SYSTEMS.items():
        system = make(jax.random.key(0))
        if isinstance(system, ContinuousSystem):
            assert system.deterministic or type(system) in OBSERVERS, name


@pytest.mark.parametrize("name", NAMES)
def test_observers_read_only_the_past(name):
    one = seen(name, 0, 12)
    log_mass, num_bins = one.observation.log_mass, one.numerals.num_bins
    assert log_mass.shape == (12, num_bins)
    assert log_mass.dtype == np.float64
    assert one.observation.knows
    np.testing.assert_allclose(np.exp(log_mass).sum(axis=1), 1, rtol=1e-5)
    assert np.all(np.isfinite(log_mass[np.arange(12), one.codes]))
    changed = one.codes.copy()
    changed[6:] = (changed[6:] + 1) % num_bins
    states = np.array(one.path.states)
    states[6:] = states[:6]  # the oracle reads the digits of the states
    again = observer_of(one.system, changed, one.numerals, one.path._replace(states=states)).log_mass
    np.testing.assert_allclose(again[:7], log_mass[:7], rtol=1e-10)
    assert np.abs(np.exp(again[7:]) - np.exp(log_mass[7:])).max() > 1e-9


def test_the_oracle_is_the_law_given_the_cell():
    """Hénon: x' = 1 − a x² + b x_{t−1}, both values uniform in their cells; against draws."""
    one, rng = seen("henon", 0, 12), np.random.default_rng(0)
    edges = one.numerals.edges()
    x, behind = (rng.uniform(edges[one.codes[k]], edges[one.codes[k] + 1], 200_000) for k in (8, 7))
    counts, _ = np.histogram(1 - 1.4 * x**2 + 0.3 * behind, edges)
    np.testing.assert_allclose(np.exp(one.observation.log_mass[9]), counts / counts.sum(), atol=0.02)


def test_series_of_one_system_share_a_compilation():
    seen("logistic_map", 0, 12)
    before = cell_observers.logistic_map._cache_size()
    seen("logistic_map", 1, 12)
    assert cell_observers.logistic_map._cache_size() == before > 0


@final
class Unobserved(ContinuousSystem):
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def sample(self, key, num_steps, *, dtype=None):
        raise NotImplementedError

    def transition_cdf(self, state, x):
        return jnp.ones(())

    def transition_mean(self, state):
        return jnp.ones(())

    def transition_sd(self, state):
        return jnp.ones(())


def test_a_random_system_without_an_observer_is_refused():
    one = seen("logistic_map", 0, 12)
    with pytest.raises(InputError, match="Unobserved") as refused:
        observer_of(Unobserved(), one.codes, one.numerals, one.path)
    assert all(kind.__name__ in str(refused.value) for kind in OBSERVERS)


def truth(one: Seen) -> np.ndarray:
    """Masses given the full-precision state, renormalised over the grid."""
    with jax.enable_x64(True):
        states = jnp.asarray(one.path.states)[:-1]
        if isinstance(one.system, SymbolicSystem):
            return np.asarray(jax.vmap(one.system.transition_row)(states))
        edges = jnp.asarray(one.numerals.edges())
        below = jax.jit(jax.vmap(lambda s: jax.vmap(lambda x: one.system.transition_cdf(s, x))(edges)))(states)
    mass = np.maximum(np.diff(below), 0)
    return mass / mass.sum(axis=1, keepdims=True)


#: Late regret in nats an item with the whole past unwritten: what reading two digits costs an observer who knows the
#: parameters (cell filter with one hypothesis), and the number of parameters; MarkovChain: 4 rows of 3.
KNOWN_COST = {
    "iid_uniform": (0.0, 4),  # two ends, each worth two regular parameters
    "ornstein_uhlenbeck": (0.001, 3),
    "noisy_logistic_map": (0.034, 2),
    "markov_chain": (0.0, 12),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN_COST)
def test_regret_is_never_negative_and_falls_to_what_must_be_paid(name):
    """KL(truth ‖ observer) ≥ 0 by its nature; late it is the digits' cost and d/2t for d parameters, within chance."""
    cost, parameters = KNOWN_COST[name]
    late, surprise = [], []
    for seed in range(4):
        one = seen(name, seed, 400, 2)
        log_mass, mass = one.observation.log_mass[1:], truth(one)
        excess = np.log(np.where(mass > 0, mass, 1)) - np.where(mass > 0, log_mass, 0)
        late.append((mass * excess).sum(axis=1)[200:].mean())
        at = np.arange(399), one.codes[1:]
        surprise.append((np.log(mass[at]) - log_mass[at]).mean())
    expected = cost + parameters / 2 * np.log(400 / 200) / 200
    assert np.mean(late) < 1.6 * expected + 0.004
    assert min(late) > 0
    assert np.mean(surprise) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ornstein_uhlenbeck", "noisy_logistic_map"])
def test_late_observers_are_calibrated(name):
    rng, pits = np.random.default_rng(0), []
    for seed in range(4):
        one = seen(name, seed, 400, 2)
        mass, at = np.exp(one.observation.log_mass), (np.arange(400), one.codes)
        pits.append((np.cumsum(mass, axis=1)[at] - mass[at] * rng.uniform(size=400))[50:])
    assert stats.kstest(np.concatenate(pits), "uniform").pvalue > 1e-3


@pytest.mark.slow
def test_the_logistic_map_is_identified_and_its_entropy_reached():
    """r within two of the list's spacings, and a surprise near the Lyapunov exponent, 0.5 nats at r = 3.9."""
    spacing, surprise = 1 / 511, []
    for seed in range(4):
        one = written("logistic_map", seed, 400, 2)
        with jax.enable_x64(True):
            arguments = jnp.asarray(one.codes), jnp.asarray(one.numerals.edges()), jnp.asarray(one.path.states)
            found = cell_observers.logistic_map(LogisticMap(), *arguments)
        r = np.linspace(3, 4, 512)
        near = np.abs(r - 3.9) < 2 * spacing
        assert np.exp(np.asarray(found.log_weight[-1]))[near].sum() > 0.9
        assert np.exp(np.asarray(found.log_weight[0]))[near].sum() < 0.01
        surprise.append(-np.asarray(found.log_mass)[np.arange(400), one.codes][100:].mean())
    assert 0.45 < np.mean(surprise) < 0.62
