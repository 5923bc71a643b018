"""Speed, side by side in one run: ``python tests/benchmarks/speed.py --threads 2`` (needs torch, transformers).

Prints a markdown table and writes the numbers as JSON. Ours and the peer read the same token ids of the default
model, in float32, on the same cores (the process is pinned to ``--threads`` of them before anything is imported);
every answer is compared before anything is timed; compilation is timed apart. CPU seconds are those of all
threads of the process. The sequential peer is given one thread whatever ``--threads`` is: a pass of one token is
too short to share, and a second thread only adds CPU seconds spent waiting.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import PAUSE, Row, interleaved, once, table

HERE = Path(__file__).parent
PARTS = ("laws", "nodes", "prefill", "vmap", "memory", "start")
AGREEMENT = 1e-5


def laws(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """1. Partial grid (neighbor, depth 2) and complete laws, against sequential refinement."""
    import ours
    import sequential_torch as peer

    task = ours.job(args.states, args.precision)
    depth = args.precision - 1
    model = peer.load(ours.folder(), threads=1)
    sequential = peer.Sequential(model, task.prompt.tokens, task.prompt.item_at, task.codec.levels[0], args.precision)
    sides = {"neighbor": lambda: ours.partial(task, depth), "complete": lambda: ours.complete(task)}
    if args.tree:
        sides["complete with off-grid mass"] = lambda: ours.complete(task, "tree")
    first = {name: once(side) for name, side in sides.items()}
    chosen = np.unique(np.linspace(0, args.states - 1, args.sequential or args.states).astype(int)).tolist()
    _, _, prefill_cpu = once(sequential.prefill)
    reference, wall, cpu = once(lambda: sequential.refine(chosen, "neighbor", depth))
    for t, law in reference.items():
        worst = max(np.abs(peer.on_grid(first[side][0][t], law) - law.mass).max() for side in sides)
        if not worst <= AGREEMENT:
            raise SystemExit(f"State {t}: masses differ by {worst:.1e}, more than {AGREEMENT}. Nothing was timed.")
    times = interleaved(sides, args.repeats)
    scale = args.states / len(chosen)
    theirs = prefill_cpu + cpu * scale
    spent = f"{theirs:.1f} CPU s" + ("" if scale == 1 else f" ({len(chosen)} evenly spaced states, scaled)")
    bars = {"neighbor": 25.0, "complete": 8.0, "complete with off-grid mass": None}
    rows = []
    for name, bar in bars.items():
        if name in times:
            mine = times[name].least()
            ratio = theirs / mine
            said, met = ("", None) if bar is None else (f">= {bar:g}", ratio >= bar)
            title = f"{name} law, {args.states} states x {args.precision} digits; peer: neighbor, depth {depth}"
            rows.append(Row(title, f"{mine:.2f} CPU s", spent, ratio, said, met))
    facts = {name: t.summary() | {"first_call_s": first[name][1]} for name, t in times.items()}
    passes = {
        "passes": sequential.passes,
        "states": len(chosen),
        "wall_s": wall,
        "cpu_s": cpu,
        "scaled_cpu_s": theirs,
    }
    return rows, facts | {"sequential": passes}


def nodes(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """2. Rate of the tree nodes against plain matrix products of the model's own shapes."""
    import ours

    from llmworld_jax.digit_tree import complete_tree
    from llmworld_jax.laws import ROWS_PER_CHUNK

    task = ours.job(args.states, args.precision)
    config = task.loaded.config
    per_state = complete_tree(task.codec.branch).level.size
    states_per_chunk = min(args.states, max(1, ROWS_PER_CHUNK // per_state))
    rows_per_chunk = states_per_chunk * per_state
    products = ours.products(config, rows_per_chunk)
    prefill = ours.prefill(task.model, task.prompt.tokens)
    sides = {"laws": lambda: ours.complete(task), "prefill": prefill}
    for side in (*sides.values(), *(call for _, call in products)):
        side()
    layers: dict[str, Callable[[], Any]] = {"matmul": lambda: [call() for _, call in products for _ in range(20)]}
    times = interleaved(sides | layers, args.repeats)
    flops = args.states * per_state * ours.flops_per_token(config, float(np.mean(task.prompt.item_at)))
    rates = {}
    for clock in ("wall", "cpu"):
        seconds = times["laws"].least(clock) - times["prefill"].least(clock)
        tree = flops / seconds / 1e9
        peak = 20 * sum(f for f, _ in products) / times["matmul"].least(clock) / 1e9
        rates[clock] = {"tree_gflops": tree, "matmul_gflops": peak, "share": tree / peak, "tree_s": seconds}
    share = rates["cpu"]["share"]
    row = Row(
        f"tree nodes, {args.states} x {per_state} in chunks of {rows_per_chunk} rows; ratio ours / matmul",
        f"{rates['cpu']['tree_gflops']:.1f} GFLOP per CPU s",
        f"{rates['cpu']['matmul_gflops']:.1f} GFLOP per CPU s (jax matmul, the model's shapes)",
        share,
        ">= 0.70",
        share >= 0.7,
    )
    return [row], {"flops": flops, "nodes": args.states * per_state, "rates": rates}


def prefill(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """3. One pass over 1,000 and 4,000 tokens against Hugging Face torch with sdpa, A B A B."""
    import ours
    import sequential_torch as peer
    import torch

    model = peer.load(ours.folder(), args.threads).model
    rows, facts = [], {}
    for length in args.lengths:
        bar = 1.15 if length <= 1000 else 1.3
        task = ours.job(length // 4 + 1, 3)
        tokens = np.asarray(task.prompt.tokens)[:length]
        ids = torch.from_numpy(tokens)[None].long()

        def theirs(ids: Any = ids) -> Any:
            with torch.inference_mode():
                return model(input_ids=ids, use_cache=True).last_hidden_state[0].numpy()

        mine = ours.prefill(task.model, tokens)
        (ours_out, compile_wall, _), reference = once(mine), theirs()
        worst = np.abs(np.asarray(ours_out) - reference).max() / np.abs(reference).max()
        if not worst <= 1e-3:
            raise SystemExit(f"{length} tokens: hidden states differ by {worst:.1e} of the largest.")
        times = interleaved({"ours": mine, "torch": theirs}, args.repeats)
        ratio = times["ours"].middle("wall") / times["torch"].middle("wall")
        cells = [f"{t.middle('wall'):.2f} s wall, {t.middle():.2f} CPU s" for t in (times["ours"], times["torch"])]
        title = f"prefill of {length} tokens (medians of {args.repeats}); ratio ours / torch, wall"
        rows.append(Row(title, cells[0], cells[1] + " (HF torch sdpa)", ratio, f"<= {bar}", ratio <= bar))
        facts[str(length)] = {name: t.summary() for name, t in times.items()} | {
            "first_call_s": compile_wall,
            "difference": float(worst),
        }
    return rows, facts


def vmap(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """4. Sixteen series at once by ``vmap``: cost of each against one alone."""
    import ours

    task, seeds = ours.job(args.vmap_states, args.precision), 16
    many, one = ours.series_at_once(task, seeds)
    worst = float(np.abs(np.exp(np.asarray(many()[0])) - np.exp(np.asarray(one()))).max())
    if not worst <= AGREEMENT:
        raise SystemExit(f"vmap differs from one series alone by {worst:.1e}.")
    times = interleaved({"many": many, "one": one}, args.repeats)
    each, alone = times["many"].least() / seeds, times["one"].least()
    title = f"{seeds} series of {args.vmap_states} states by vmap; ratio each / alone"
    row = Row(title, f"{each:.2f} CPU s each", f"{alone:.2f} CPU s alone", each / alone, "<= 1", each <= alone)
    return [row], {name: t.summary() for name, t in times.items()}


def memory(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """5a. Peak resident memory of a fresh process, off-grid mass included."""
    _, told = fresh("memory", args.memory_states, args.precision)
    peak = told["peak_bytes"] / 1e9
    title = f"peak resident memory, {args.memory_states} states x {args.precision} digits"
    return [Row(title, f"{peak:.2f} GB", "", None, "< 2.5 GB", peak < 2.5)], told


def start(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """5b. From starting the interpreter to the laws of 20 states, first and second time."""
    with tempfile.TemporaryDirectory() as cache:
        kept = {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        walls = [fresh("start", 20, args.precision, kept)[0] for _ in range(2)]
    cells = f"{walls[1]:.1f} s wall", f"{walls[0]:.1f} s wall (empty compilation cache)"
    row = Row("second start to the first laws; ratio second / first", *cells, walls[1] / walls[0], "reported", None)
    return [row], {"first_s": walls[0], "second_s": walls[1]}


def fresh(what: str, states: int, precision: int, settings: dict[str, str] | None = None) -> tuple[float, dict]:
    """Wall seconds and the report of one measurement of ``ours.py`` in a new process on the same cores."""
    command = [
        sys.executable,
        str(HERE / "ours.py"),
        what,
        "--states",
        str(states),
        "--precision",
        str(precision),
    ]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | (settings or {}))
    return time.perf_counter() - began, json.loads(done.stdout.strip().splitlines()[-1])


def pin(threads: int) -> None:
    """Use ``threads`` cores. Both runtimes size their pools by this, so it comes before they are imported."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < threads:
            raise SystemExit(f"Got --threads {threads}. Expected at most the {len(cores)} cores there are.")
        os.sched_setaffinity(0, cores[:threads])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--states", type=int, default=200)
    parser.add_argument("--precision", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sequential", type=int, default=10, help="states run sequentially; 0 for all of them")
    parser.add_argument("--tree", action="store_true", help="also time laws with the whole off-grid mass")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--vmap-states", type=int, default=25)
    parser.add_argument("--memory-states", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("speed.json"))
    return parser.parse_args()


def main() -> None:
    args = parse()
    pin(args.threads)
    rows, facts = [], {"threads": args.threads, "machine": platform.processor() or platform.machine()}
    for part in args.only:
        load = os.getloadavg()[0]
        if load > 1:
            print(f"{part}: the machine is busy (load {load:.1f}); wall seconds and spinning threads mislead.")
        found, told = globals()[part](args)
        rows += found
        facts[part] = told | {"load_before": load}
        print(table(found), flush=True)
        time.sleep(PAUSE)
    print(f"\n{args.threads} threads, {platform.python_version()}\n\n{table(rows)}")
    args.out.write_text(json.dumps({**facts, "table": [row._asdict() for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
