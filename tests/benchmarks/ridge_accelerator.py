"""The ridge of ``space_time.py`` on an accelerator: ``python tests/benchmarks/ridge_accelerator.py``.

31 layers of random rows, 25 penalties, 2 targets, 2,400 training rows × 576, float64, on jax's default device, beside
scikit-learn's ``RidgeCV`` on all processors of the same machine. Predictions are compared before anything is timed.
"""

import argparse
import json
import os
from pathlib import Path

import jax
import numpy as np
import space_time_ours as ours
import space_time_peers as peers
from timing import Row, interleaved, table

LAYERS, WIDTH, TRAIN, ALL, PENALTIES = 31, 576, 2400, 3000, 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("ridge_accelerator.json"))
    args = parser.parse_args()
    random = np.random.default_rng(0)
    x = random.normal(size=(LAYERS, ALL, WIDTH)).astype(np.float32) * np.linspace(1, 0.01, WIDTH, dtype=np.float32)
    y = x[0, :, :2].astype(np.float64) + random.normal(size=(ALL, 2))
    train = np.arange(ALL) < TRAIN
    names, grid, spread = ours.Names(None, y, ~train), ours.ratios(PENALTIES), y[train].std(axis=0)
    sides = {
        "ours": lambda: ours.ridge(x, names, grid, "float64"),
        "auto": lambda: peers.ridge(x, y / spread, train, grid, "auto"),
        "svd": lambda: peers.ridge(x, y / spread, train, grid, "svd"),
    }
    first = {side: call() for side, call in sides.items()}
    error = float(np.abs(first["ours"][0] / spread - first["svd"][0]).max())
    if not error <= 1e-6:
        raise SystemExit(f"Predictions differ by {error:.1e} standard deviations. Nothing was timed.")
    times = interleaved(sides, args.repeats)
    mine, device = times["ours"].middle("wall"), jax.devices()[0].device_kind
    title = f"ridge, {LAYERS} layers × {PENALTIES} penalties × 2 targets, {TRAIN:,} × {WIDTH}, float64, wall"
    rows = [
        Row(title, f"{mine:.2f} s ({device})", f"{seconds:.2f} s (RidgeCV, {side}, {os.cpu_count()} CPUs)",
            seconds / mine, ">= 10", seconds >= 10 * mine)
        for side, seconds in ((side, times[side].middle("wall")) for side in ("auto", "svd"))
    ]  # fmt: skip
    print(table(rows))
    facts = {side: each.summary() for side, each in times.items()}
    facts |= {"device": device, "jax": jax.__version__, "difference": error}
    args.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
