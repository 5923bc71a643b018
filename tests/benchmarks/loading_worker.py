"""One process of ``loading.py``: loads a checkpoint, reads 16 tokens, and writes what it held, read and needed."""

import argparse
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from llmworld_jax import processes
from llmworld_jax.models import checkpoint
from llmworld_jax.models.catalogue import kept_as, read_config
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.mesh import described_mesh, jit_on_mesh, make_mesh, parse_mesh
from llmworld_jax.models.readout import embed
from llmworld_jax.models.sharding import named_leaves

TOKENS = 16
EVERY_SECONDS = 0.002
FIELDS = ("RssAnon", "RssFile")


def resident() -> dict[str, int]:
    """Bytes of anonymous memory and of mapped file pages in this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.startswith(FIELDS)}


@contextlib.contextmanager
def watched() -> Iterator[dict[str, int]]:
    """The peak of every field of ``resident`` above its value at the start, sampled; to be read at the end."""
    start, stop = resident(), threading.Event()
    peak = dict.fromkeys(start, 0)

    def sample() -> None:
        now = resident()
        for field, value in now.items():
            peak[field] = max(peak[field], value - start[field])

    def run() -> None:
        while not stop.wait(EVERY_SECONDS):
            sample()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
        sample()


@contextlib.contextmanager
def noted_parts() -> Iterator[list[tuple[str, list[list[int]], int]]]:
    """Every part of a parameter that the loader fills from the files: whose, which, how many bytes."""
    plain, parts = checkpoint._block, []

    def block(source: Any, path: str, config: Any, leaf: Any, index: checkpoint.Index) -> np.ndarray:
        part = plain(source, path, config, leaf, index)
        box = [[*piece.indices(size)[:2]] for piece, size in zip(index, leaf.shape, strict=True)]
        parts.append((path, box, part.nbytes))
        return part

    checkpoint._block = block
    try:
        yield parts
    finally:
        checkpoint._block = plain


def held(model: Llama) -> dict[str, int]:
    """Bytes on this process's devices: with every copy, each part once, and as host memory that is really there."""
    held, parts, buffers = 0, {}, {}
    for path, leaf in named_leaves(model).items():
        for shard in leaf.addressable_shards:
            held += shard.data.nbytes
            parts.setdefault(path, {})[str(shard.index)] = shard.data.nbytes
            buffers[shard.data.unsafe_buffer_pointer()] = shard.data.nbytes
    sizes = [sum(sizes.values()) for sizes in parts.values()]
    return {
        "held": held,
        "distinct": sum(sizes),
        "host_memory": sum(buffers.values()),
        "one_parameter": max(sizes),
    }


@jit_on_mesh
def final_hidden(model: Llama, tokens: jax.Array) -> jax.Array:
    """In float32, whatever the weights are kept in."""
    return forward(model, embed(model, tokens).astype(jnp.float32)).hidden


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--mesh")
    parser.add_argument("--hosts")
    args = parser.parse_args()
    processes.join(args.hosts)
    config = read_config(args.folder / "config.json")
    mesh = make_mesh(parse_mesh(args.mesh)) if args.mesh else None
    jax.block_until_ready(jnp.zeros(8) + 1)
    told: list[tuple[int, int]] = []
    began = time.perf_counter()
    with watched() as peak, noted_parts() as parts:
        model = checkpoint.load_parameters(
            args.folder, config, args.dtype, mesh=mesh, progress=lambda *told_now: told.append(told_now)
        )
        jax.block_until_ready(model)
    seconds = time.perf_counter() - began
    facts = {"process": jax.process_index(), "devices": len(jax.local_devices()), "seconds": seconds}
    facts |= {"announced": told[-1], "read": sum(size for *_, size in parts), "parts": parts}
    facts |= held(model) | {"peak_anonymous": peak["RssAnon"], "peak_file_pages": peak["RssFile"]}
    facts["mesh"] = None if mesh is None else described_mesh(mesh, config)
    model = kept_as(model, args.dtype, "cpu")
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, TOKENS).astype(np.int32)
    np.save(args.out.with_suffix(".npy"), np.asarray(final_hidden(model, tokens)))
    args.out.write_text(json.dumps(facts))
    processes.wait_for_all("written")


if __name__ == "__main__":
    main()
