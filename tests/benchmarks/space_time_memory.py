"""Peak memory beyond the weights of one side, in a process of its own: ``python space_time_memory.py SIDE NAMES.npz``.

The weights are loaded, eight names are read so that libraries are paged in, what was freed goes back to the system,
and the kernel's high-water mark is set back; then the side runs twice. ``first`` is its peak over the resident memory
before it, with the compilation of what the eight names did not need; ``again`` is the peak of the second run over
the memory before that. Linux only. Prints one JSON line.
"""

import argparse
import ctypes
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

OURS = ("rows", "sums", "large")


def status(field: str) -> int:
    """Bytes of ``VmRSS`` or ``VmHWM``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {field}. Expected Linux.")


def peak(call: Callable[[], Any]) -> tuple[Any, int, float]:
    """What ``call`` returns, its peak over the resident memory before it, and the wall seconds."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, began = status("VmRSS"), time.perf_counter()
    result = call()
    return result, status("VmHWM") - before, time.perf_counter() - began


def ours(what: str, path: Path) -> Callable[[int | None], Any]:
    """A call for the first few names, or for all."""
    import space_time_ours as ours

    model, names = ours.model().model, ours.read_names(path)
    side = {"rows": ours.residual_rows, "sums": ours.gram}[what]
    return lambda few: side(model, ours.first(names, few))


def theirs(what: str, path: Path, batch: int, threads: int, folder: Path) -> Callable[[int | None], Any]:
    """As ``ours``; jax is not imported."""
    import space_time_peers as peers

    file = np.load(path)
    tokens = np.split(file["ids"], np.cumsum(file["lengths"])[:-1])
    gather = peers.side(what, folder, threads)
    return lambda few: peers.residual_rows(gather, tokens[:few], batch)


def large(path: Path, penalties: int) -> dict[str, Any]:
    """The streamed sweep of the experiment, once: fits included, and the memory of what it returns."""
    import space_time_ours as ours

    from llmworld_jax.experiments.space_time.streaming import stream_sweeps

    model, names = ours.model().model, ours.read_names(path)
    study = ours.study(names)

    def run() -> Any:
        targets = {"targets": names.targets}
        return stream_sweeps(model, names.prompts, study, targets, penalties, lambda _: None, "")

    ours.residual_rows(model, ours.first(names, 8))
    (sweeps, _, facts), held, wall = peak(run)
    finite = bool(np.isfinite(sweeps["targets"].r2).all())
    return {"first": held, "wall_s": wall, "finite": finite, "entities": len(names.test), **facts._asdict()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", help=f"{', '.join(OURS)}, or a side of space_time_peers")
    parser.add_argument("names", type=Path)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--penalties", type=int, default=25)
    parser.add_argument("--folder", type=Path, help="the model's files, for a peer")
    args = parser.parse_args()
    if args.side == "large":
        print(json.dumps(large(args.names, args.penalties)))
        return
    if args.side in OURS:
        call = ours(args.side, args.names)
    else:
        call = theirs(args.side, args.names, args.batch, args.threads, args.folder)
    call(8)
    told = {}
    for run in ("first", "again"):
        result, told[run], told[f"{run}_s"] = peak(lambda: call(None))
        told["answer"] = result.nbytes
        del result
    print(json.dumps(told))


if __name__ == "__main__":
    main()
