"""How work divides over devices, by counts and not by the clock: ``python tests/benchmarks/scaling.py``.

Programs are compiled for a mesh of fake CPU devices and read, never run; no weight is allocated. FLOPs are those of
matrix products, with every loop as often as it runs (``hlo_counts``); collectives are counted the same way, in bytes
of their results on each device. Efficiency is the FLOPs of one device alone for the same work over (devices x FLOPs of
each of them); it says nothing of the time that communication takes. A TPU's or GPU's compiler may merge, split or hide
collectives, but starts from the same partition.
"""

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

DEVICES = 8
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={DEVICES}"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from hlo_counts import Work, counted  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: E402

from llmworld_jax.laws import ROWS_PER_CHUNK, law_masses  # noqa: E402
from llmworld_jax.models.config import ModelConfig  # noqa: E402
from llmworld_jax.models.forward import forward  # noqa: E402
from llmworld_jax.models.llama import Llama  # noqa: E402
from llmworld_jax.models.mesh import make_mesh, parse_mesh, vmap_over_data  # noqa: E402
from llmworld_jax.models.public_configs import PUBLIC_CONFIGS  # noqa: E402
from llmworld_jax.models.sharding import DATA, held_whole, partition_spec, path_name  # noqa: E402

MESHES = (
    "data=1", "data=2", "data=4", "data=8", "model=2", "model=4", "model=8",
    "data=2,model=2", "data=4,model=2", "data=2,model=4",
)  # fmt: skip
DIGIT_TOKENS = tuple(range(10, 20))  # ten different tokens; which ones they are changes no count
TOKENS_PER_NUMBER = 4
AGREEMENT = 0.03


class Counts(NamedTuple):
    """Of one device in one compiled program; ``whole`` is the FLOPs of one device alone for all of the work."""

    part: str
    mesh: str
    devices: int
    work: Work
    whole: int
    temporary: int
    weights: int
    seconds: float

    @property
    def efficiency(self) -> float:
        return self.whole / (self.devices * self.work.flops)


def prefill(args: argparse.Namespace, mesh: Mesh) -> tuple[Callable, list[Any], int]:
    """(i) One sequence, strong scaling; nothing in it lies along ``data``."""
    return lambda model, tokens: forward(model, tokens).hidden, [array(mesh, (args.tokens,))], 1


def batch(args: argparse.Namespace, mesh: Mesh) -> tuple[Callable, list[Any], int]:
    """(ii) As many sequences as the data axis has devices, weak scaling; what is read stays where it is."""
    rows = mesh.shape[DATA]
    run = vmap_over_data(lambda model, row: forward(model, row).hidden, in_axes=(None, 0))
    return run, [array(mesh, (rows, args.tokens), DATA)], rows


def tree(args: argparse.Namespace, mesh: Mesh) -> tuple[Callable, list[Any], int]:
    """(iii) The law of every number of one series, strong scaling: its states lie along ``data``."""
    levels = (DIGIT_TOKENS,) * args.digits
    fixed = (levels, "tree", args.rows, False, "highest")
    inputs = array(mesh, (TOKENS_PER_NUMBER * args.states,)), array(mesh, (args.states,))
    return lambda model, tokens, item_at: law_masses.__wrapped__(model, tokens, item_at, *fixed), list(inputs), 1


PARTS = {"prefill": prefill, "batch": batch, "tree": tree}


def array(mesh: Mesh, shape: tuple[int, ...], *axes: str) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32, sharding=NamedSharding(mesh, PartitionSpec(*axes)))


def abstract_model(config: ModelConfig, mesh: Mesh, dtype: Any) -> Llama:
    """Every parameter's shape where its rule puts it."""

    def placed(path: tuple, leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        spec = partition_spec(path_name(path), config, mesh.shape["model"])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, spec))

    bare = jax.eval_shape(lambda: Llama(config, key=jax.random.key(0), dtype=dtype))
    return jax.tree_util.tree_map_with_path(placed, bare)


def compiled(args: argparse.Namespace, config: ModelConfig, part: str, mesh: Mesh) -> tuple[Any, int, int]:
    """The program, how many times the work of one sequence it does, and bytes of weights on a device."""
    run, inputs, times = PARTS[part](args, mesh)
    model = abstract_model(config, mesh, jnp.dtype(args.dtype))
    weights = sum(
        leaf.dtype.itemsize * int(jnp.prod(jnp.array(leaf.sharding.shard_shape(leaf.shape), float)))
        for leaf in jax.tree.leaves(model)
    )
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        return jax.jit(run).lower(model, *inputs).compile(), times, weights


def count(args: argparse.Namespace, config: ModelConfig, part: str, alone: int | None, text: str) -> Counts:
    mesh = make_mesh(parse_mesh(text))
    began = time.perf_counter()
    program, times, weights = compiled(args, config, part, mesh)
    seconds, work = time.perf_counter() - began, counted(program.as_text())
    temporary = int(program.memory_analysis().temp_size_in_bytes)
    whole = times * (work.flops if alone is None else alone)
    return Counts(part, text, mesh.size, work, whole, temporary, weights, seconds)


def check(args: argparse.Namespace, config: ModelConfig) -> dict[str, float]:
    """Our count against XLA's where they must agree: one block, on one device, no loop over layers."""
    one, mesh = dataclasses.replace(config, num_layers=1), make_mesh(parse_mesh("data=1"))
    ratios = {}
    for part in ("prefill", "batch"):
        program = compiled(args, one, part, mesh)[0]
        ratios[part] = counted(program.as_text()).flops / program.cost_analysis()["flops"]
        if abs(ratios[part] - 1) > AGREEMENT:
            raise SystemExit(f"{part}: {ratios[part]:.3f} of the FLOPs that XLA counts in one block; nothing is told.")
    return ratios


def table(rows: list[Counts]) -> str:
    head = ["work", "mesh", "TFLOP a device", "efficiency", "collectives a pass", "MB a device", "temporary", "weights"]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for row in rows:
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(row.work.number.items())) or "none"
        megabytes = row.work.num_bytes.total() / 1e6
        memory = [f"{row.temporary / 1e9:.2f} GB", f"{row.weights / 1e9:.2f} GB"]
        cells = [f"{row.work.flops / 1e12:.3f}", f"{row.efficiency:.3f}", kinds, f"{megabytes:,.1f}"]
        lines.append([row.part, row.mesh, *cells, *memory])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def told(row: Counts) -> dict[str, Any]:
    work = {"flops": row.work.flops, "collectives": dict(row.work.number), "bytes": dict(row.work.num_bytes)}
    return {**row._asdict(), "work": work, "efficiency": row.efficiency}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=sorted(PUBLIC_CONFIGS), default="llama-2-7b")
    parser.add_argument("--layers", type=int, help="fewer blocks than the model has")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--meshes", nargs="+", default=list(MESHES), help=f"of up to {DEVICES} devices")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--states", type=int, default=48)
    parser.add_argument("--digits", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS_PER_CHUNK, help="tree nodes evaluated together on a device")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    args = parse()
    config = PUBLIC_CONFIGS[args.shape]
    if args.layers:
        config = dataclasses.replace(config, num_layers=args.layers)
    agreement, rows = check(args, config), []
    for part in args.only:
        alone = count(args, config, part, None, "data=1")
        rows += [
            alone if mesh == "data=1" else count(args, config, part, alone.work.flops, mesh) for mesh in args.meshes
        ]
        print(table([row for row in rows if row.part == part]), flush=True)
    whole = {mesh: held_whole(config, parse_mesh(mesh)["model"]) for mesh in args.meshes}
    print(f"\n{args.shape}, {config.num_layers} blocks, {args.dtype}, jax {jax.__version__}; held whole: {whole}")
    print(f"FLOPs over XLA's own count in one block: {agreement}")
    if args.out:
        facts = {"shape": args.shape, "layers": config.num_layers, "dtype": args.dtype, "tokens": args.tokens}
        facts |= {"states": args.states, "digits": args.digits, "rows": args.rows, "jax": jax.__version__}
        facts |= {"over_xla": agreement, "held_whole": whole, "rows_told": [told(row) for row in rows]}
        args.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
