"""Whose float32 gradient is nearer the one in float64, ours or torch's: of the next-token loss, in the embeddings.

Default model, on the CPU. Prints norms of differences over the norm of torch's gradient in float64.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import torch

from llmworld_jax.experiments.bench import peer
from llmworld_jax.experiments.bench.config import BenchConfig
from llmworld_jax.experiments.bench.subject import subject_of, task_of
from llmworld_jax.experiments.bench.workloads import workloads
from llmworld_jax.models.catalogue import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--context", type=int, default=256)
    bench = BenchConfig(context=parser.parse_args().context)
    subject = subject_of(bench)
    task = task_of(bench, subject, "cpu")

    def ours(dtype: type) -> np.ndarray:
        gradient, given = workloads(task, subject.codec)["gradient"]
        return np.asarray(jax.jit(gradient)(load(subject.folder, dtype=dtype).model, *given)[1], np.float64)

    twin = peer.pretrained(subject.folder, "float32", "cpu")
    found = {"torch float32": peer.gradient(twin, task.tokens[0]).double().numpy(), "ours float32": ours(jnp.float32)}
    exact = peer.gradient(twin.double(), task.tokens[0]).numpy()
    with jax.enable_x64(True):
        found["ours float64"] = ours(jnp.float64)
    print(f"jax {jax.__version__}, torch {torch.__version__}, {bench.context} tokens")
    for name, gradient in found.items():
        print(f"{name}: {np.linalg.norm(gradient - exact) / np.linalg.norm(exact):.1e}")


if __name__ == "__main__":
    main()
