"""Many systems at once against one by one: ``python tests/benchmarks/suite.py --threads 1``.

Two comparisons, each side on the same pinned cores, with the same systems, series and default model:

    commands   ``llmworld dynamics --suite`` in one process, against one process a system (both with the compiled
               programs of an earlier run at hand, which is what a user meets from the second run on)
    readings   inside one process, everything compiled: all series by ``read_many`` in batches, against the same
               readings one series at a time

The laws of both sides are compared (1e-4 in ln mass of the bins above 1e-6) before a ratio is printed.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from speed import pin
from timing import PAUSE, Row, interleaved, table


def commands(args: argparse.Namespace, folder: Path) -> Row:
    """One command for the suite, and one for each of its systems."""
    sizes = ("--steps", args.steps, "--seeds", args.seeds, *(() if args.sparse else ("--no-sparse-nulls",)))
    suite = [("--suite", args.suite)]
    alone = [("--system", name) for name in systems(args)]

    def run(calls: list[tuple], name: str) -> tuple[float, float]:
        began, before = time.perf_counter(), os.times()
        for k, call in enumerate(calls):
            where = ("--runs", folder / name, "--name", f"part{k}")
            command = [
                sys.executable,
                "-c",
                "from llmworld_jax.cli import main; main()",
                "dynamics",
                *call,
                *sizes,
                *where,
            ]
            subprocess.run([str(word) for word in command], check=True, capture_output=True)
        after = os.times()
        cpu = sum(getattr(after, f) - getattr(before, f) for f in ("children_user", "children_system"))
        return time.perf_counter() - began, cpu

    for calls, name in ((suite, "warm-suite"), (alone, "warm-alone")):
        run(calls, name)
    whole, parts = run(suite, "suite"), run(alone, "alone")
    agree(folder / "suite" / "part0", [folder / "alone" / f"part{k}" for k in range(len(alone))])
    title = f"{len(alone)} systems × {args.seeds} series × {args.steps} items, commands from start to report"
    cells = [f"{wall:.1f} s wall, {cpu:.1f} CPU s" for wall, cpu in (whole, parts)]
    ratio = parts[0] / whole[0]
    return Row(title, cells[0], cells[1] + " (one command a system)", ratio, ">= 3", ratio >= 3)


def agree(suite: Path, alone: list[Path]) -> None:
    """Stops unless both sides have the same laws."""
    together = np.load(suite / "arrays.npz")
    for folder in alone:
        own = np.load(folder / "arrays.npz")
        for name in (n for n in own.files if n.endswith(".log_mass") and "observer" not in n):
            a, b = own[name], together[name]
            seen = a > np.log(1e-6)
            worst = float(np.abs(a - b)[seen].max())
            if not worst <= 1e-4:
                raise SystemExit(f"{name}: the two sides differ by {worst:.1e} in ln mass.")


def readings(args: argparse.Namespace, folder: Path) -> Row:
    """Batches against single series, in one process."""
    from llmworld_jax.experiments.dynamics_config import DynamicsConfig
    from llmworld_jax.experiments.many_laws import read_many
    from llmworld_jax.experiments.simulation import prepare
    from llmworld_jax.models.catalogue import load
    from llmworld_jax.store import RunStore

    loaded = load()
    config = DynamicsConfig(system=systems(args), steps=args.steps, seeds=args.seeds)
    series = [one for world in prepare(config, loaded) for one in world.series]
    count = iter(range(10**6))

    def read(batch: int) -> None:
        store = RunStore.open(folder / f"reading{next(count)}", {})
        read_many(series, loaded, store, lambda message: None, batch=batch)

    sides = {"batches": lambda: read(args.batch), "single": lambda: read(1)}
    for side in sides.values():
        side()
    times = interleaved(sides, args.repeats)
    ratio = times["single"].middle("wall") / times["batches"].middle("wall")
    cells = [f"{t.middle('wall'):.2f} s wall, {t.middle():.2f} CPU s" for t in (times["batches"], times["single"])]
    title = f"reading {len(series)} series × {args.steps} items in batches of {args.batch} (medians of {args.repeats})"
    return Row(title, cells[0], cells[1] + " (one series at a time)", ratio, "reported", None)


def systems(args: argparse.Namespace) -> tuple[str, ...]:
    from llmworld_jax.experiments.dynamics_config import systems_of_suite

    return systems_of_suite(args.suite)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="paper")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sparse", action="store_true", help="also the dear nulls")
    parser.add_argument("--only", nargs="+", choices=("commands", "readings"), default=["commands", "readings"])
    args = parser.parse_args()
    pin(args.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for part in args.only:
            rows.append(globals()[part](args, Path(folder)))
            time.sleep(PAUSE)
    load = os.getloadavg()[0]
    print(f"{args.threads} threads, {platform.python_version()}, load {load:.1f} at the end\n\n{table(rows)}")


if __name__ == "__main__":
    main()
