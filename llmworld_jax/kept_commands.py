"""The commands that keep a run: a model on its devices, a folder, an experiment, a report by the first process."""

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from .commands import Dynamics, Energy, Graph, Kept, SpaceTime
from .processes import is_first

if TYPE_CHECKING:
    from .models.catalogue import LoadedModel
    from .store import RunStore


def run_dynamics(command: Dynamics) -> None:
    """``llmworld dynamics``."""
    from .experiments import dynamics
    from .experiments.closing import finished
    from .experiments.dynamics_report import write_report
    from .experiments.precision_floor import precision_floor
    from .experiments.summary import summary_table
    from .provenance import provenance

    began = time.monotonic()
    config = command.config()
    loaded = _loaded(command, config.model, config.dtype)
    worlds = dynamics.prepare(config, loaded)
    made_by = provenance(**dynamics.provenance_of(config, loaded, worlds))
    store = _run_folder(command, "dynamics", asdict(config), loaded, made_by, dynamics.bytes_needed(worlds))
    results = dynamics.run(config, loaded, worlds, store, timed(began))
    exact = functools.partial(_loaded, replace(command, attention="reference"), config.model, "float32")
    floor = precision_floor(loaded, worlds, store, timed(began), exact)
    if not is_first():
        return
    page = write_report(store.folder, config, results, made_by | {"precision_floor": floor})
    verdicts = [f"{r.name}: {r.verdict.text}" for r in results] + ([floor] if floor else [])
    print("\n".join(finished(store, dynamics.arrays_of(results), page, summary_table(results), verdicts)))


def run_space_time(command: SpaceTime) -> None:
    """``llmworld space-time``."""
    from .experiments.closing import finished
    from .experiments.space_time import space_time, study
    from .experiments.space_time.report import write_report
    from .experiments.space_time.summary import summary_table
    from .provenance import provenance

    began = time.monotonic()
    config = command.config()
    asked = space_time.plain_config(config)
    loaded = _loaded(command, config.model, config.dtype)
    studies = study.prepare(config, loaded)
    made_by = provenance(**space_time.provenance_of(config, loaded, studies))
    room = space_time.bytes_needed(config, loaded, studies)
    store = _run_folder(command, "space-time", asked, loaded, made_by, room)
    found = space_time.run(config, loaded, studies, store, timed(began))
    if not is_first():
        return
    page = write_report(store.folder, config, found, made_by)
    results = tuple(one.results for one in found.datasets)
    verdicts = [f"{r.table.key}: {r.verdict}" for r in results]
    print("\n".join(finished(store, space_time.arrays_of(found), page, summary_table(results), verdicts)))


def run_graph(command: Graph) -> None:
    """``llmworld graph``."""
    from .experiments.closing import finished
    from .experiments.graph_tracing import graph_tracing, study
    from .experiments.graph_tracing.report import write_report
    from .experiments.graph_tracing.summary import summary_table
    from .provenance import provenance

    began = time.monotonic()
    config = command.config()
    loaded = _loaded(command, config.model, config.dtype)
    studies = study.prepare(config, loaded)
    made_by = provenance(**graph_tracing.provenance_of(config, loaded, studies))
    room = graph_tracing.bytes_needed(config, loaded, studies)
    store = _run_folder(command, "graph", asdict(config), loaded, made_by, room)
    found = graph_tracing.run(config, loaded, studies, store, timed(began))
    if not is_first():
        return
    page = write_report(store.folder, config, found, made_by)
    verdicts = [f"{r.study.key}: {text}" for r in found for _, text in r.verdicts]
    print("\n".join(finished(store, graph_tracing.arrays_of(found), page, summary_table(found), verdicts)))


def run_energy(command: Energy) -> None:
    """``llmworld energy``."""
    from .experiments.closing import finished
    from .experiments.prompt_energy import prompt_energy
    from .experiments.prompt_energy.report import write_report
    from .experiments.prompt_energy.table import summary_table
    from .experiments.prompt_energy.verdicts import verdicts_of
    from .provenance import provenance

    began = time.monotonic()
    config = command.config()
    loaded = _loaded(command, config.model, "float32")
    world = prompt_energy.prepare(config, loaded)
    made_by = provenance(**prompt_energy.provenance_of(config, loaded, world))
    store = _run_folder(
        command, "energy", asdict(config), loaded, made_by, prompt_energy.bytes_needed(config, loaded, world)
    )
    found = prompt_energy.run(config, loaded, world, store, timed(began))
    if not is_first():
        return
    page = write_report(store.folder, config, found, made_by)
    verdicts = [text for _, text in verdicts_of(found)]
    print("\n".join(finished(store, prompt_energy.arrays_of(found), page, summary_table(found), verdicts)))


def _loaded(command: Kept, model: str, dtype: str) -> "LoadedModel":
    """The model on the devices that the command names."""
    from .experiments.placing import placed_model

    return placed_model(model, dtype, command.mesh, command.attention, say)


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
    say(f"run folder {folder}")
    return store


def timed(began: float) -> Callable[[str], None]:
    """``say`` with the seconds since ``began``."""
    return lambda message: say(f"{time.monotonic() - began:6.1f} s  {message}")


def say(message: str) -> None:
    """A line to the user, while the run goes on; of several processes the first speaks."""
    if is_first():
        sys.stderr.write(message + "\n")
        sys.stderr.flush()
