"""The command line: flags to configuration, nothing else."""

import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import tyro

from .commands import Command, Dynamics, Energy, Entities, Graph, Kept, Laws, Models, SpaceTime
from .errors import InputError

if TYPE_CHECKING:
    from .models.catalogue import LoadedModel
    from .store import RunStore


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
        sys.stdout.flush()
    except InputError as error:
        sys.stderr.write(f"llmworld: {error}\n")
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader, `head` say, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except KeyboardInterrupt:
        kept = "finished parts are kept, the same command goes on from there"
        resumes = isinstance(command, Kept)
        sys.stderr.write(f"\nllmworld: stopped; {kept if resumes else 'nothing was written'}\n")
        raise SystemExit(130) from None


def _run(command: Command) -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin while they wait for a busy core
    _keep_compiled_programs()
    actions = {
        Dynamics: _dynamics,
        Laws: _laws,
        SpaceTime: _space_time,
        Graph: _graph,
        Energy: _energy,
        Entities: _entities,
        Models: _models,
    }
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
    from .experiments import dynamics
    from .experiments.closing import finished
    from .experiments.dynamics_report import write_report
    from .experiments.summary import summary_table
    from .models.catalogue import load
    from .provenance import provenance

    began = time.monotonic()
    config = command.config()
    loaded = load(config.model)
    worlds = dynamics.prepare(config, loaded)
    made_by = provenance(**dynamics.provenance_of(config, loaded, worlds))
    store = _run_folder(command, "dynamics", asdict(config), loaded, made_by, dynamics.bytes_needed(worlds))
    results = dynamics.run(config, loaded, worlds, store, _timed(began))
    page = write_report(store.folder, config, results, made_by)
    verdicts = [f"{r.name}: {r.verdict.text}" for r in results]
    print("\n".join(finished(store, dynamics.arrays_of(results), page, summary_table(results), verdicts)))


def _run_folder(command: Kept, kind: str, asked: dict, loaded: "LoadedModel", made_by: dict, size: int) -> "RunStore":
    """The folder of the run that answers ``asked``, made or taken up again; ``size`` bytes must find room in it."""
    from .content import content_hash
    from .files import require_room
    from .store import RunStore

    folder = command.runs / (command.name or f"{kind}-{content_hash(asked)[:8]}")
    require_room(folder, size)
    # What a name or a folder of a model stands for can change; results of other weights answer another question.
    weights = loaded.weights
    store = RunStore.open(folder, asked | {"weights": weights}, made_by)
    _say(f"run folder {folder}")
    return store


def _timed(began: float) -> Callable[[str], None]:
    return lambda message: _say(f"{time.monotonic() - began:6.1f} s  {message}")


def _laws(command: Laws) -> None:
    from .experiments import series_laws
    from .experiments.series_config import LawsConfig
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
    from .experiments.closing import finished
    from .experiments.space_time import space_time, study
    from .experiments.space_time.report import write_report
    from .experiments.space_time.summary import summary_table
    from .models.catalogue import load
    from .provenance import provenance

    began = time.monotonic()
    config = command.config()
    asked = space_time.plain_config(config)
    loaded = load(config.model, dtype=config.dtype)
    studies = study.prepare(config, loaded)
    made_by = provenance(**space_time.provenance_of(config, loaded, studies))
    room = space_time.bytes_needed(config, loaded, studies)
    store = _run_folder(command, "space-time", asked, loaded, made_by, room)
    found = space_time.run(config, loaded, studies, store, _timed(began))
    page = write_report(store.folder, config, found, made_by)
    results = tuple(one.results for one in found.datasets)
    verdicts = [f"{r.table.key}: {r.verdict}" for r in results]
    print("\n".join(finished(store, space_time.arrays_of(found), page, summary_table(results), verdicts)))


def _graph(command: Graph) -> None:
    from .experiments.closing import finished
    from .experiments.graph_tracing import graph_tracing, study
    from .experiments.graph_tracing.report import write_report
    from .experiments.graph_tracing.summary import summary_table
    from .models.catalogue import load
    from .provenance import provenance

    began = time.monotonic()
    config = command.config()
    loaded = load(config.model, dtype=config.dtype)
    studies = study.prepare(config, loaded)
    made_by = provenance(**graph_tracing.provenance_of(config, loaded, studies))
    room = graph_tracing.bytes_needed(config, loaded, studies)
    store = _run_folder(command, "graph", asdict(config), loaded, made_by, room)
    found = graph_tracing.run(config, loaded, studies, store, _timed(began))
    page = write_report(store.folder, config, found, made_by)
    verdicts = [f"{r.study.key}: {text}" for r in found for _, text in r.verdicts]
    print("\n".join(finished(store, graph_tracing.arrays_of(found), page, summary_table(found), verdicts)))


def _energy(command: Energy) -> None:
    from .experiments.closing import finished
    from .experiments.prompt_energy import prompt_energy
    from .experiments.prompt_energy.report import write_report
    from .experiments.prompt_energy.table import summary_table
    from .experiments.prompt_energy.verdicts import verdicts_of
    from .models.catalogue import load
    from .provenance import provenance

    began = time.monotonic()
    config = command.config()
    loaded = load(config.model)
    world = prompt_energy.prepare(config, loaded)
    made_by = provenance(**prompt_energy.provenance_of(config, loaded, world))
    store = _run_folder(
        command, "energy", asdict(config), loaded, made_by, prompt_energy.bytes_needed(config, loaded, world)
    )
    found = prompt_energy.run(config, loaded, world, store, _timed(began))
    page = write_report(store.folder, config, found, made_by)
    verdicts = [text for _, text in verdicts_of(found)]
    print("\n".join(finished(store, prompt_energy.arrays_of(found), page, summary_table(found), verdicts)))


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
