"""The command line: flags to configuration, nothing else."""

import os
import shlex
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import tyro

from .commands import Bench, Command, Dynamics, Energy, Entities, Graph, Kept, Laws, Models, SpaceTime
from .errors import InputError
from .kept_commands import run_dynamics, run_energy, run_graph, run_space_time, say, timed
from .processes import join, lost

if TYPE_CHECKING:
    pass


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
    except Exception as error:
        if (told := lost(error)) is None:
            raise
        sys.stderr.write(f"llmworld: {told}\n")
        sys.stderr.flush()
        os._exit(3)  # an orderly end would wait for the process that is gone
    except KeyboardInterrupt:
        kept = "finished parts are kept, the same command goes on from there"
        resumes = isinstance(command, Kept)
        sys.stderr.write(f"\nllmworld: stopped; {kept if resumes else 'nothing was written'}\n")
        raise SystemExit(130) from None


def _run(command: Command) -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin while they wait for a busy core
    if isinstance(command, Kept):
        join(command.hosts)
    _keep_compiled_programs()
    actions = {
        Dynamics: run_dynamics,
        Laws: _laws,
        SpaceTime: run_space_time,
        Graph: run_graph,
        Energy: run_energy,
        Entities: _entities,
        Models: _models,
        Bench: _bench,
    }
    actions[type(command)](command)  # type: ignore[operator]


def _keep_compiled_programs() -> None:
    """Compilation is paid once a machine, not once a run; a cache the user has chosen is left alone."""
    import jax

    from .models.cache import cache_root

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_root() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


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
    say(f"reading {len(values)} values of {numerals.precision} digits with {loaded.provenance['id']}")
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

        say(f"continuing by {config.horizon} values, {config.paths} paths")
        found, scores = continue_series(config, loaded, series)
        written = (*written, *write_forecast(config, series, found, scores))
        print("\n".join(forecast_lines(found, scores)))
    print("written: " + ", ".join(shlex.quote(str(path)) for path in written))


def _entities(command: Entities) -> None:
    from .experiments.entities_command import listing

    print("\n".join(listing()))


def _models(command: Models) -> None:
    from .experiments import models_command, plan_command

    actions = {
        "list": models_command.listing,
        "fetch": lambda: models_command.fetch(command.model, command.source),
        "verify": lambda: models_command.verify(command.model),
        "plan": lambda: plan_command.plan(command.model, command.on, command.mesh, command.context, command.dtype),
    }
    if command.action not in actions:
        raise InputError(f"models {command.action}", f"one of {', '.join(actions)}", "Choose one of these")
    print("\n".join(actions[command.action]()))


def _bench(command: Bench) -> None:
    from .experiments.bench import bench
    from .experiments.bench.table import markdown

    began = time.monotonic()
    config = command.config()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # torch needs its part of the device's memory
    found = bench.run(config, timed(began))
    print(markdown(found), end="")
    if config.out is not None:
        print("written: " + ", ".join(shlex.quote(str(path)) for path in bench.write(config.out, found)))
