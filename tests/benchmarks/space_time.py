"""Where-and-when experiment, side by side in one run: ``python tests/benchmarks/space_time.py --threads 2``.

Parts (needs torch, transformers and scikit-learn; TransformerLens is measured where it is installed):

    activations   residual stream of every layer at the last token of 3,000 cities: seconds, and memory beyond weights
    overhead      what the capture adds to the plain forward pass
    ridge         31 layers x 25 penalties x 2 targets against scikit-learn's RidgeCV
    large         40,000 entities streamed: rate, and memory beyond weights against the sums and test rows it must hold

Both sides read the same token ids with the default model in float32, on the same cores (the process is pinned to
``--threads`` of them); every answer is compared before anything is timed; compilation is timed apart. Torch gets the
fastest of two attentions and of the ``--batches``, chosen on a part of the names. Memory is measured by
``space_time_memory.py``, each side in its own process. Prints a markdown table and writes the numbers as JSON.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from space_time_reading import activations, fresh, overhead, seconds
from speed import pin
from timing import PAUSE, Row, interleaved, once, table


def ridge(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """3. One split of the cities' activations: fit on four fifths, choose the penalty, predict the rest."""
    import space_time_ours as ours
    import space_time_peers as peers
    from threadpoolctl import threadpool_info, threadpool_limits

    rows, names = _random_rows(args.names) if args.random_rows else _city_rows(args.names)
    grid = ours.ratios(args.penalties)
    spread = names.targets[~names.test].std(axis=0)
    scaled = names.targets / spread
    sides: dict[str, Callable[[], Any]] = {
        "float64": lambda: ours.ridge(rows, names, grid, "float64"),
        "float32": lambda: ours.ridge(rows, names, grid, "float32"),
        "sweep": lambda: (ours.sweep(rows, names, args.penalties), None),
        "auto": lambda: peers.ridge(rows, scaled, ~names.test, grid, "auto"),
        "svd": lambda: peers.ridge(rows, scaled, ~names.test, grid, "svd"),
    }
    with threadpool_limits(args.threads):
        first = {name: once(side) for name, side in sides.items()}
        reference, choice = first["svd"][0]
        differences = {}
        for name, ((predictions, chosen), _, _) in first.items():
            units = 1 if name in ("auto", "svd") else spread
            differences[name] = float(np.abs(predictions / units - reference).max())
            if chosen is not None:
                differences[f"{name}, penalties that differ"] = int((chosen != choice).sum())
        if not max(differences["float64"], differences["auto"]) <= 1e-6:
            raise SystemExit(f"Predictions differ, in standard deviations: {differences}. Nothing was timed.")
        times = interleaved(sides, args.repeats)
    layers, (n, width) = len(rows), ((~names.test).sum(), rows.shape[2])
    out = []
    for mine, what in (("float64", "float64"), ("float32", "float32"), ("sweep", "layer_sweep, also fits all rows")):
        for theirs, said in (("auto", "RidgeCV"), ("svd", 'RidgeCV(gcv_mode="svd")')):
            ratio = times[theirs].least("wall") / times[mine].least("wall")
            bar = (">= 10", ratio >= 10) if (mine, theirs) == ("float64", "auto") else ("reported", None)
            title = f"ridge, {layers} layers x {args.penalties} penalties x 2 targets, {n} x {width}, {what}, wall"
            out.append(Row(title, seconds(times[mine]), f"{seconds(times[theirs])} ({said})", ratio, *bar))
    pools = [{k: pool.get(k) for k in ("internal_api", "num_threads", "architecture")} for pool in threadpool_info()]
    facts = {name: t.summary() | {"first_call_s": first[name][1]} for name, t in times.items()}
    return out, facts | {"differences": differences, "thread_pools": pools, "device": ours.device()}


def _city_rows(count: int) -> tuple[np.ndarray, Any]:
    import space_time_ours as ours

    loaded = ours.model()
    names = ours.cities(loaded, count)
    return ours.residual_rows(loaded.model, names), names


def _random_rows(count: int) -> tuple[np.ndarray, Any]:
    """As many and as wide as the default model's, of falling variance, for machines without the model."""
    import space_time_ours as ours

    random = np.random.default_rng(0)
    rows = random.normal(size=(31, count, 576)).astype(np.float32) * np.linspace(1, 0.01, 576, dtype=np.float32)
    targets = rows[0, :, :2].astype(np.float64) + random.normal(size=(count, 2))
    return rows, ours.Names(None, targets, np.arange(count) >= 4 * count // 5)


def large(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """4. A streamed sweep of many entities with random targets, in a process of its own."""
    import space_time_ours as ours

    path = args.scratch / "large.npz"
    ours.many(ours.model(), args.large).save(path)
    told = fresh("large", path, args)
    if not told["finite"]:
        raise SystemExit("The streamed sweep gave scores that are not finite.")
    must = told["bytes_of_sums"] + told["bytes_of_test_rows"]
    count, fits = told["entities"], told["wall_s"] - told["seconds"]
    title = f"{count} entities streamed, {told['tokens']} tokens, {fits:.0f} s of fits besides"
    speed = f"{told['tokens_per_second']:.0f} tokens/s, {told['seconds']:.0f} s"
    shares = [f"{told[key] / 1e6:.0f} MB of {key[9:].replace('_', ' ')}" for key in _BYTES]
    return [
        Row(title, speed, "", None, "reported", None),
        Row(
            f"peak memory beyond weights, {count} entities; ratio to what must be held",
            f"{told['first'] / 1e6:.0f} MB",
            " + ".join(shares),
            told["first"] / must,
            "reported",
            None,
        ),
    ], told


_BYTES = ("bytes_of_sums", "bytes_of_test_rows")
PARTS: dict[str, Callable[[argparse.Namespace], tuple[list[Row], dict[str, Any]]]] = {
    "activations": activations,
    "overhead": overhead,
    "ridge": ridge,
    "large": large,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--names", type=int, default=3000)
    parser.add_argument("--large", type=int, default=40_000)
    parser.add_argument("--penalties", type=int, default=25)
    parser.add_argument("--random-rows", action="store_true", help="ridge of made-up rows, without the model")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64, 128], help="of names, for torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("space_time.json"))
    args = parser.parse_args()
    pin(args.threads)
    rows, facts = [], {"threads": args.threads, "machine": platform.processor() or platform.machine()}
    with tempfile.TemporaryDirectory() as folder:
        args.scratch = Path(folder)
        for part in args.only:
            load = os.getloadavg()[0]
            if load > 1:
                print(f"{part}: the machine is busy (load {load:.1f}); wall seconds and spinning threads mislead.")
            found, told = PARTS[part](args)
            rows += found
            facts[part] = told | {"load_before": load}
            print(table(found), flush=True)
            args.out.write_text(json.dumps({**facts, "table": [row._asdict() for row in rows]}, indent=2) + "\n")
            time.sleep(PAUSE)
    print(f"\n{args.threads} threads, {platform.python_version()}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
