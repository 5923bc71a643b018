"""Loading at scale: ``python tests/benchmarks/loading.py``. What each process reads, holds and needs meanwhile.

Loads the default model and a sharded bfloat16 checkpoint of some GB (written first, with random weights) on one
device, on eight of one process, and on two processes of four, and compares the final hidden state of 16 tokens, in
float32, with that of one device. The devices are fake: parts of the CPU. Devices that hold the same part hold copies,
counted in *devices hold*; *host memory* is what the buffers really take, for a CPU's devices may share one.
*Read* is counted where the loader fills a part from the files; *pages* are the file's pages that were mapped at the
peak, more than what is read of them where a part is a column of a stored matrix. *Peak* is anonymous memory above the
start, sampled; *allowed* is host memory and one stacked parameter. Linux only; disk and memory are checked first.
"""

import argparse
import dataclasses
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WORKER = Path(__file__).parent / "loading_worker.py"
AGREEMENT = 1e-5
SLACK = 64 * 2**20  # the interpreter's own
HEAD = ["checkpoint", "processes x devices", "mesh", "process", "devices hold", "each part once", "host memory", "read",
        "pages", "peak", "allowed", "s"]  # fmt: skip


class Layout(NamedTuple):
    """How a checkpoint is loaded; no mesh on one device."""

    processes: int
    devices: int
    mesh: str | None


LAYOUTS = (
    Layout(1, 1, None),
    Layout(1, 8, "data=1,model=8"),
    Layout(1, 8, "data=2,model=4"),
    Layout(2, 4, "data=1,model=8"),
    Layout(2, 4, "data=2,model=4"),
)


def load(layout: Layout, folder: Path, dtype: str, scratch: Path, timeout: float) -> tuple[list[dict], np.ndarray]:
    """What every process told, and the hidden state of the first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={layout.devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    outs = [scratch / f"process-{i}.json" for i in range(layout.processes)]
    running = []
    try:
        for i, out in enumerate(outs):
            command = [sys.executable, str(WORKER), str(folder), str(out), "--dtype", dtype]
            command += ["--mesh", layout.mesh] if layout.mesh else []
            command += ["--hosts", f"127.0.0.1:{port},{layout.processes},{i}"] if layout.processes > 1 else []
            with out.with_suffix(".log").open("wb") as log:
                running.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))
        codes = [process.wait(timeout) for process in running]
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
    if any(codes):
        words = "\n".join(out.with_suffix(".log").read_text()[-2000:] for out in outs)
        raise SystemExit(f"{layout}: exit codes {codes}.\n{words}")
    return [json.loads(out.read_text()) for out in outs], np.load(outs[0].with_suffix(".npy"))


def check(layout: Layout, told: list[dict], hidden: np.ndarray, alone: np.ndarray, elements: dict[str, int]) -> float:
    """Every number of the checkpoint was read by some process, none of a process's twice; the same hidden state."""
    together: dict[str, dict[str, int]] = {path: {} for path in elements}
    for one in told:
        if one["read"] != one["announced"][0] or one["announced"][0] != one["announced"][1]:
            raise SystemExit(f"{layout}: read {one['read']} bytes, announced {one['announced']}.")
        if len({(path, str(box)) for path, box, _ in one["parts"]}) < len(one["parts"]):
            raise SystemExit(f"{layout}: a process read a part twice.")
        for path, box, _ in one["parts"]:
            together[path][str(box)] = math.prod(end - start for start, end in box)
    # Parts of one grid are the same or apart, so that their sizes add up to what they cover.
    if wrong := [path for path, parts in together.items() if sum(parts.values()) != elements[path]]:
        raise SystemExit(f"{layout}: not every number of {wrong} was read.")
    difference = float(np.abs(hidden - alone).max() / np.abs(alone).max())
    if not difference <= AGREEMENT:
        raise SystemExit(f"{layout}: the hidden state differs by {difference:.1e} of the largest from one device's.")
    return difference


def measure(name: str, folder: Path, dtype: str, args: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    from llmworld_jax.models.catalogue import read_config
    from llmworld_jax.models.sharding import parameter_paths

    config = read_config(folder / "config.json")
    elements = {path: leaf.size for path, leaf in parameter_paths(config).items()}
    require_memory(sum(elements.values()) * (4 if dtype == "float32" else 2))
    alone, results = None, []
    for layout in LAYOUTS:
        told, hidden = load(layout, folder, dtype, scratch, args.timeout)
        alone = hidden if alone is None else alone
        difference = check(layout, told, hidden, alone, elements)
        for one in told:
            del one["parts"]
        results.append({"checkpoint": name, "dtype": dtype, **layout._asdict(), "difference": difference, "told": told})
        print(table(results[-1:], heading=len(results) == 1), flush=True)
    return results


def require_memory(weights: int) -> None:
    """Two processes that hold everything, one parameter each on top, and the interpreters."""
    needed = 2.5 * weights + 2e9
    fields = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    free = next(1024 * int(field[1]) for field in fields if field[0] == "MemAvailable:")
    if free < needed:
        raise SystemExit(
            f"Got {free / 1e9:.1f} GB of available memory. Expected {needed / 1e9:.1f} GB to load {weights / 1e9:.1f} "
            "GB of weights twice. Wait until there is more, or give fewer blocks with --layers."
        )


def table(results: list[dict[str, Any]], *, heading: bool = True) -> str:
    lines = [HEAD, ["---"] * 4 + ["---:"] * (len(HEAD) - 4)] if heading else []
    for result in results:
        for one in result["told"]:
            allowed = one["host_memory"] + one["one_parameter"]
            sizes = [one[field] for field in ("held", "distinct", "host_memory", "read")]
            sizes += [one["peak_file_pages"], one["peak_anonymous"], allowed]
            cells = [f"{result['checkpoint']}, {result['dtype']}", f"{result['processes']} x {result['devices']}"]
            cells += [result["mesh"] or "none", str(one["process"])]
            over = "" if one["peak_anonymous"] <= allowed + SLACK else " (more)"
            told = [f"{size / 1e9:.3f}" for size in sizes]
            lines.append([*cells, *told[:-2], told[-2] + over, told[-1], f"{one['seconds']:.1f}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=("default", "synthetic"), default=["default", "synthetic"])
    parser.add_argument("--shape", default="llama-3.2-1b", help="of the synthetic checkpoint, read out untied")
    parser.add_argument("--layers", type=int, help="fewer blocks than that shape has")
    parser.add_argument("--scratch", type=Path, help="where it is written; by default the system's temporary folder")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds of one load")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    args = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the checkpoint is removed and no worker is left
    import synthetic_checkpoint

    from llmworld_jax.models.catalogue import DEFAULT, locate, read_config
    from llmworld_jax.models.public_configs import PUBLIC_CONFIGS

    results = []
    with tempfile.TemporaryDirectory(dir=args.scratch) as name:
        scratch = Path(name)
        if "default" in args.only:
            results += measure(DEFAULT, locate(DEFAULT).folder, "float32", args, scratch)
        if "synthetic" in args.only:
            config = dataclasses.replace(PUBLIC_CONFIGS[args.shape], tied=False)
            config = dataclasses.replace(config, num_layers=args.layers or config.num_layers)
            folder = scratch / "checkpoint"
            folder.mkdir()
            files = synthetic_checkpoint.write(folder, config)
            assert read_config(folder / "config.json") == config
            size = synthetic_checkpoint.checkpoint_bytes(config)
            print(f"\nwrote {size / 1e9:.2f} GB in {len(files)} files\n")
            results += measure(f"{args.shape} untied, {config.num_layers} blocks", folder, "bfloat16", args, scratch)
    print(f"\nGB of 10**9 bytes\n\n{table(results)}")
    meshes = {(result["checkpoint"], result["mesh"]): result["told"][0]["mesh"] for result in results}
    for (checkpoint, mesh), facts in meshes.items():
        if facts and facts["held_whole"]:
            print(f"{checkpoint}, {mesh}: held whole by every device for want of a divisor: {facts['held_whole']}")
    print(f"hidden states differ by at most {max(r['difference'] for r in results):.1e} of the largest")
    if args.out:
        args.out.write_text(json.dumps({"load_average": os.getloadavg(), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
