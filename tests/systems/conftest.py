"""The entries of ``SYSTEMS`` as the contract tests see them: sampled once each, every path with its own parameters.

A test with the argument ``entry`` runs for every entry.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems import SYSTEMS, ContinuousSystem, SymbolicSystem

SEEDS, STEPS = 256, 65
# Compilation is most of these tests' time; unoptimised code compiles in two thirds of it and runs fast enough.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
# Where float32 can still resolve the law; the condition looks at the past only, so it does not tilt the law.
RESOLVED = {"noisy_logistic_map": lambda x: np.abs(x) <= 1}
# What these entries would compile is what Lorenz and Brownian motion have compiled: the same class of flow, the same
# solver of Euler steps. The samples of all that have noise are tested against their laws in the fast suite.
FLOWS_LIKE_LORENZ, COMPILED_ALIKE = ("rossler", "damped_pendulum"), ("rossler", "damped_pendulum", "double_well")
SLOW = {
    "test_samples_obey_the_stated_law": FLOWS_LIKE_LORENZ,
    "test_law_is_a_law_with_the_stated_moments": FLOWS_LIKE_LORENZ,
    "test_vmap_over_parameters_and_keys_is_the_loop": COMPILED_ALIKE,
    "test_both_precisions_and_float32_where_float64_is_enabled": COMPILED_ALIKE,
}


def keys(seed):
    return jax.random.split(jax.random.key(seed), SEEDS)


class Entry:
    """One entry: ``system`` with its default parameters, and ``paths`` [seed, time] of ``batch``."""

    def __init__(self, name):
        self.name, self.jit, self.keys, self.traces = name, jit, keys, []
        self.make = SYSTEMS[name]
        self.system = self.make(jax.random.key(7))
        self.symbolic = isinstance(self.system, SymbolicSystem)
        self.deterministic = isinstance(self.system, ContinuousSystem) and self.system.deterministic

    @functools.cached_property
    def batch(self):
        """A batch of systems with different parameters: random ones drawn anew, fixed ones scaled by 0.9 .. 1."""
        batch = jit(jax.vmap(self.make))(jax.random.split(jax.random.key(7), SEEDS))
        if self.symbolic:
            return batch
        scale = jnp.linspace(0.9, 1.0, SEEDS)
        return jax.tree.map(lambda leaf: (leaf.T * scale).T.astype(leaf.dtype), batch)

    @functools.cached_property
    def sample(self):
        """The jitted, vmapped sampler; ``traces`` grows by one whenever it is traced."""

        @jit
        @jax.vmap
        def sample(system, key):
            self.traces.append(self.name)
            return system.sample(key, STEPS)

        return sample

    @functools.cached_property
    def paths(self):
        return self.sample(self.batch, keys(11))

    @functools.cached_property
    def uniforms(self):
        """u [seed, time - 1], the states they are conditioned on [seed, time - 1], and where those are resolved."""
        states, observed = self.paths.states[:, :-1], self.paths.observed[:, 1:]
        if self.symbolic:
            rows = jit(jax.vmap(lambda system, s: jax.vmap(system.transition_row)(s)))(self.batch, states)
            upper = np.cumsum(np.asarray(rows, np.float64), axis=-1)
            at = np.asarray(observed)[..., None]
            mass = np.take_along_axis(np.asarray(rows, np.float64), at, -1)[..., 0]
            inside = np.random.default_rng(0).uniform(size=mass.shape)
            u = np.take_along_axis(upper, at, -1)[..., 0] - mass * inside
        else:
            law = jit(jax.vmap(lambda system, s, x: jax.vmap(system.transition_cdf)(s, x)))
            u = np.asarray(law(self.batch, states, observed), np.float64)
        x = np.asarray(states[..., 0])
        return u, x, RESOLVED.get(self.name, np.isfinite)(x)


@functools.cache
def sampled(name):
    return Entry(name)


def pytest_generate_tests(metafunc):
    if "entry" not in metafunc.fixturenames:
        return
    slow = SLOW.get(metafunc.function.__name__, ())
    params = [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in SYSTEMS]
    metafunc.parametrize("entry", params, indirect=True)


@pytest.fixture
def entry(request):
    return sampled(request.param)
