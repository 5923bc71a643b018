"""`llmworld bench`: one model on one device, everything in turn, one table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from ...files import write_json, write_text
from ...models.config import ModelConfig
from ...models.plan import plan
from . import machine
from .beside import Beside, beside_of
from .config import BenchConfig
from .flops import matrix_parameters
from .memory import free_bytes, require_memory
from .peak import matmul_peak, sizes_of
from .peer import quiet, refusal
from .rows import THEIRS, Measured, rows_of
from .subject import Subject, Task, abstract_model, subject_of, task_of, weights_of
from .table import Bench, Row, markdown, plain
from .timing import CPU_PAUSE, interleaved, quantity
from .workloads import Program, compiled, workloads

Say = Callable[[str], None]


def run(config: BenchConfig, say: Say) -> Bench:
    """Check, compile, read weights, warm up, compare, time. Raises InputError before anything is allocated."""
    config.check()
    busy = machine.load_average()
    platform = jax.devices()[0].platform
    subject = subject_of(config)
    task = task_of(config, subject, platform)
    held = _require_weights(config, subject, task, platform)
    model = None if subject.folder is None else weights_of(subject, config.dtype)
    shapes = abstract_model(subject, config.dtype) if model is None else jax.eval_shape(lambda: model)
    programs = _compiled(task, subject, shapes, say)
    largest = max(program.num_bytes for program in programs.values())
    still = held if model is None else held | {"weights": 0}  # real ones are there already
    require_memory(still | {"results and temporaries": largest}, free_bytes())
    peaks = [matmul_peak(sizes_of(platform), config.dtype, task.precision)]
    say(f"matrix products: {max(peaks[0].values()) / 1e12:.3g} TFLOP/s")
    model = weights_of(subject, config.dtype) if model is None else model
    calls = {name: program.call(model) for name, program in programs.items()}
    answers = {name: call() for name, call in calls.items()}
    with quiet():
        beside = beside_of(subject, task, config.dtype, answers) if config.peer else Beside({}, ["No peer: --no-peer."])
        del answers
        say(f"timing {config.repeats} rounds of {len(calls) + len(beside.calls)} sides")
        seconds = interleaved(_in_turn(calls, beside), config.repeats, CPU_PAUSE if platform == "cpu" else 0.0)
    peaks.append(matmul_peak(sizes_of(platform), config.dtype, task.precision))
    best = {size: max(found[size] for found in peaks) for size in peaks[0]}
    found = Measured(subject, task, programs, matrix_parameters(shapes), max(best.values()), seconds)
    top = Row(
        f"matrix product: best of {' and '.join(f'{n}³' for n in best)}", "TFLOP/s", quantity([found.peak / 1e12])
    )
    header = _header(config, subject, task) | machine.load_facts(busy, machine.load_average())
    kept = {name: [float(s) for s in each] for name, each in seconds.items()}
    return Bench(header, (top, *rows_of(found)), (*_notes(config), *beside.notes), kept)


def write(folder: Path, bench: Bench) -> tuple[Path, Path]:
    """``bench.md`` and ``bench.json``, each whole or not at all."""
    return write_text(folder / "bench.md", markdown(bench)), write_json(folder / "bench.json", plain(bench))


def _require_weights(config: BenchConfig, subject: Subject, task: Task, platform: str) -> dict[str, int]:
    """Bytes that are held all the time. Raises InputError if not even they, and the caches, fit."""
    needs = plan(
        subject.config, context=task.context, states=len(task.item_at), precision=config.digits, dtype=config.dtype
    )
    both = {"weights": needs.weight_bytes, "the peer's": 0}
    if config.peer and refusal(platform) is None:
        both["the peer's"] = needs.weight_bytes
    require_memory(both | {"keys and values": config.batch * needs.cache_bytes}, free_bytes())
    return both


def _compiled(task: Task, subject: Subject, shapes: Any, say: Say) -> dict[str, Program]:
    programs = {}
    for name, workload in workloads(task, subject.codec).items():
        programs[name] = compiled(workload, shapes)
        say(f"compiled {name} in {programs[name].compile_seconds:.1f} s")
    return programs


def _in_turn(calls: dict[str, Any], beside: Beside) -> dict[str, Any]:
    """Ours and at once theirs."""
    sides = {}
    for name, call in calls.items():
        sides[name] = call
        if name in beside.calls:
            sides[THEIRS + name] = beside.calls[name]
    return sides


def _header(config: BenchConfig, subject: Subject, task: Task) -> dict[str, Any]:
    return machine.facts() | {
        "model": subject.name,
        "dtype": config.dtype,
        "attention kernel": _kernel(subject.config),
        "matmul precision": task.precision,
        "nodes evaluated together": "the library's default" if task.rows is None else task.rows,
    }


def _kernel(config: ModelConfig) -> str:
    return getattr(config, "attention", "reference")


def _notes(config: BenchConfig) -> list[str]:
    return [
        f"Medians of {config.repeats} rounds [least, greatest], wall seconds, everything once a round in turn; ratios "
        "are taken inside a round. Compilation is not in them; its seconds are those of loading where a compiled "
        "program was kept from before.",
        "MFU: operations that the answer needs (2 for each multiplied matrix parameter and token, without the "
        "embedding table, and 4 x layers x heads x head width x keys seen) over time and the measured matrix product.",
        "Laws are complete, with the mass off the grid at every digit (the whole vocabulary is scored at each node).",
    ]
