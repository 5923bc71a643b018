"""Worlds for the model to read: every series of a system sampled in one compiled call, then put into tokens."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from systems import ContinuousSystem, SymbolicSystem, System, Trajectory, bounded, system_named

from ..codec import NumberCodec
from ..errors import InputError
from ..models.catalogue import LoadedModel
from ..numerals import Numerals, rescaled
from .dynamics_config import DynamicsConfig
from .reading import check_context, checked_codec

ATTEMPTS = 100
BOUNDED = ("noisy_logistic_map",)


class Series(NamedTuple):
    """One simulated series, as numbers and as the model reads it."""

    name: str
    system: ContinuousSystem | SymbolicSystem
    path: Trajectory
    numerals: Numerals
    codec: NumberCodec
    codes: np.ndarray


class World(NamedTuple):
    """The series of one system, and the same as a batch: parameters and states with a leading ``seed`` axis."""

    name: str
    batch: ContinuousSystem | SymbolicSystem
    paths: Trajectory
    series: tuple[Series, ...]

    @property
    def symbolic(self) -> bool:
        return isinstance(self.batch, SymbolicSystem)

    @property
    def deterministic(self) -> bool:
        return isinstance(self.batch, ContinuousSystem) and self.batch.deterministic


Worlds = tuple[World, ...]


def prepare(config: DynamicsConfig, loaded: LoadedModel) -> Worlds:
    """Every series, simulated and put into tokens. What the model cannot read is refused here, before long work."""
    config.check()
    return tuple(simulate(config, name, loaded) for name in config.system)


def simulate(config: DynamicsConfig, name: str, loaded: LoadedModel) -> World:
    """The series of one system in float64, rescaled as published (chains: the symbols themselves), as tokens."""
    seeds = np.arange(config.seed, config.seed + config.seeds)
    batch, paths = _sampled(name, seeds, config.steps)
    if not isinstance(batch, ContinuousSystem | SymbolicSystem):
        raise TypeError(f"{name} is neither continuous nor symbolic")
    grids = [_grid(batch, observed, config.precision) for observed in paths.observed]
    codec = checked_codec(loaded, grids[0], config.separator, config.start_token)
    check_context(codec, config.steps, loaded)

    def one(k: int, numerals: Numerals) -> Series:
        system, path = (jax.tree.map(lambda leaf: leaf[k], tree) for tree in (batch, paths))
        # Digits and their tokens do not depend on the range of the grid: verified once, used for every series.
        own = dataclasses.replace(codec, numerals=numerals)
        return Series(name, system, path, numerals, own, numerals.encode(path.observed))

    return World(name, batch, paths, tuple(one(k, numerals) for k, numerals in enumerate(grids)))


def _grid(system: System, observed: np.ndarray, precision: int) -> Numerals:
    if isinstance(system, SymbolicSystem):
        n = system.num_symbols
        return Numerals(precision=1, low=0.0, high=float(n), base=n)
    return rescaled(observed, precision)


def _sampled(name: str, seeds: np.ndarray, steps: int) -> tuple[System, Trajectory]:
    """Systems and paths; a path that escapes to infinity is drawn again, as published."""
    with jax.enable_x64(True):
        keys = jax.vmap(jax.random.key)(jnp.asarray(seeds, jnp.uint32))
        batch, paths = _draw(name, steps, keys, jnp.zeros(len(seeds), jnp.uint32))
        if name in BOUNDED:
            attempt = jnp.zeros(len(seeds), jnp.uint32)
            for _ in range(ATTEMPTS):
                stays = jax.vmap(bounded)(paths)
                if bool(stays.all()):
                    break
                attempt = attempt + ~stays
                batch, paths = _draw(name, steps, keys, attempt)
            else:
                raise InputError(
                    f"{ATTEMPTS} paths of {name} that all leave its domain within {steps} steps",
                    "one that stays",
                    "Ask for fewer steps",
                )
        return jax.tree.map(np.asarray, (batch, paths))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _draw(name: str, steps: int, keys: jax.Array, attempt: jax.Array) -> tuple[System, Trajectory]:
    def one(key: jax.Array, attempt: jax.Array) -> tuple[System, Trajectory]:
        key_system, key_path = jax.random.split(key)
        system = system_named(name)(key_system)
        return system, system.sample(jax.random.fold_in(key_path, attempt), steps)

    return jax.vmap(one)(keys, attempt)
