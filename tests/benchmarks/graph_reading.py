"""Node means of all layers and contexts, side by side in one run: ``python tests/benchmarks/graph_reading.py``.

16 walks of 1,400 words on the 4x4 grid, 12 context lengths, every layer, the default model in float32; beside it
Hugging Face torch with ``output_hidden_states`` and the same sums by one matrix product a layer. Parts:

    means        node means alone: seconds, and memory beyond weights (each side in a process of its own)
    laws         the same with the next-word laws over the whole vocabulary, at every word
    placements   ``vmap`` over 8 placements of the words at once against one, seconds a placement

Answers are compared before anything is timed. Prints a markdown table and writes the numbers as JSON.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from speed import pin
from timing import Row, Times, interleaved, once, table

CONTEXTS = (25, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 1200, 1400)
WINDOW, ROWS = 50, 128
AGREEMENT = 1e-3
Sums = tuple[np.ndarray, np.ndarray | None]
"""``[layer, context, node, width]`` and, with laws, ``[walk, time, node]``."""


def make(path: Path, walks: int, length: int) -> None:
    """Token ids, nodes and positions, in a file that either side reads."""
    import jax

    from llmworld_jax.models.catalogue import DEFAULT, load
    from llmworld_jax.walk_prompts import graph_prompts
    from llmworld_jax.words import GRID_WORDS, word_ids
    from systems.lattices import grid
    from systems.walks import random_walk

    keys = jax.random.split(jax.random.key(0), walks)
    adjacency = jax.numpy.asarray(grid(4, 4).adjacency)
    nodes = np.asarray(jax.vmap(lambda key: random_walk(key, adjacency, length))(keys))
    tokenizer = load(DEFAULT).tokenizer
    prompts = graph_prompts(tokenizer, GRID_WORDS, nodes)
    contexts = [c for c in CONTEXTS if c <= length]
    np.savez(
        path,
        tokens=prompts.tokens,
        nodes=nodes,
        at=prompts.item_at,
        ids=word_ids(tokenizer, GRID_WORDS),
        contexts=contexts,
    )


def ours(path: Path, laws: bool, threads: int) -> Callable[[], Sums]:
    """A walk at a time, one compiled program."""
    import jax
    import jax.numpy as jnp

    from llmworld_jax.models.catalogue import DEFAULT, load
    from llmworld_jax.walk_reading import read_walk
    from llmworld_jax.window_sums import node_sums

    del threads  # the process is pinned
    model, file = load(DEFAULT).model, np.load(path)
    at, ids, contexts = (jnp.asarray(file[name], jnp.int32) for name in ("at", "ids", "contexts"))

    @functools.partial(jax.jit, donate_argnums=0)
    def add(total: jax.Array, model: Any, tokens: jax.Array, nodes: jax.Array) -> Any:
        if laws:
            read = read_walk(model, tokens, nodes, at, at, ids, contexts, window=WINDOW)
            return total + read.sums.sums, read.laws.log_probability
        return total + node_sums(model, tokens, nodes, at, contexts, num_nodes=len(ids), window=WINDOW).sums, None

    shape = (model.config.num_layers + 1, len(contexts), len(ids), model.config.d_model)

    def read() -> Sums:
        total, said = jnp.zeros(shape), []
        for tokens, nodes in zip(file["tokens"], file["nodes"]):
            total, law = add(total, model, jnp.asarray(tokens), jnp.asarray(nodes))
            said.append(None if law is None else np.asarray(law))
        return np.asarray(total), np.stack(said) if laws else None  # type: ignore[arg-type]

    return read


def theirs(path: Path, laws: bool, threads: int, folder: Path, batch: int) -> Callable[[], Sums]:
    """Hugging Face's hidden states, ``batch`` walks at a time; of the vocabulary 128 rows at a time."""
    import torch
    from transformers import LlamaForCausalLM, logging

    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    last: list[torch.Tensor] = []
    model.model.layers[-1].register_forward_hook(
        lambda module, inputs, out: last.append(out[0] if isinstance(out, tuple) else out)
    )
    file = np.load(path)
    at, ids = torch.from_numpy(file["at"].astype(np.int64)), torch.from_numpy(file["ids"].astype(np.int64))
    time, contexts = np.arange(file["nodes"].shape[1]), file["contexts"][:, None]
    inside = (time < contexts) & (time >= contexts - WINDOW)

    def windows(nodes: np.ndarray) -> torch.Tensor:
        hot = nodes[:, None] == np.arange(len(ids))[:, None]
        chosen = inside[None, :, None] & hot[:, None]
        return torch.from_numpy(chosen.reshape(len(nodes), -1, len(time)).astype(np.float32))

    def read() -> Sums:
        total, said = None, []
        for start in range(0, len(file["tokens"]), batch):
            rows = slice(start, start + batch)
            last.clear()
            with torch.inference_mode():
                out = model.model(
                    torch.from_numpy(file["tokens"][rows].astype(np.int64)), output_hidden_states=True, use_cache=False
                )
                chosen = windows(file["nodes"][rows])
                states = (*out.hidden_states[:-1], last.pop())
                new = torch.stack([torch.bmm(chosen, h[:, at]).sum(dim=0) for h in states])
                total = new if total is None else total + new
                if laws:
                    hidden = out.last_hidden_state[:, at].reshape(-1, model.config.hidden_size)
                    scores = (model.lm_head(part) for part in hidden.split(ROWS))
                    law = torch.cat([s[:, ids] - s.logsumexp(dim=-1, keepdim=True) for s in scores])
                    said.append(law.reshape(-1, len(time), len(ids)).numpy())
        assert total is not None
        return total.numpy().reshape(len(total), len(contexts), len(ids), -1), np.concatenate(said) if laws else None

    return read


def side(name: str, args: argparse.Namespace, path: Path, laws: bool) -> Callable[[], Sums]:
    """``ours`` or ``hf BATCH``."""
    if name == "ours":
        return ours(path, laws, args.threads)
    import ours as models  # the benchmark's module of that name

    folder = args.folder or models.folder()
    return theirs(path, laws, args.threads, folder, int(name.split()[1]))


def held(name: str, args: argparse.Namespace, path: Path, laws: bool) -> dict[str, Any]:
    """Peak memory beyond weights of a fresh process, first run and second."""
    import ours as models

    command = [sys.executable, __file__, "--memory", name, "--file", str(path), "--threads", str(args.threads)]
    command += ["--folder", str(models.folder())] + (["--laws"] if laws else [])
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def memory(args: argparse.Namespace) -> None:
    """What ``held`` runs."""
    from space_time_memory import peak

    read = side(args.memory, args, args.file, args.laws)
    told: dict[str, Any] = {}
    for run in ("first", "again"):
        result, told[run], told[f"{run}_s"] = peak(read)
        told["answer"] = result[0].nbytes
        del result
    print(json.dumps(told))


def reading(args: argparse.Namespace, laws: bool) -> tuple[list[Row], dict[str, Any]]:
    """Seconds of both sides, and memory in processes of their own."""
    what = "node means and laws" if laws else "node means"
    names = ["ours", *(f"hf {batch}" for batch in args.batches)]
    sides = {name: side(name, args, args.file, laws) for name in names}
    first = {name: once(call) for name, call in sides.items()}
    (mine, said), _, _ = first["ours"]
    worst = {}
    for name in names[1:]:
        (sums, law), _, _ = first[name]
        worst[name] = float(np.abs(sums - mine).max() / np.abs(mine).max())
        if laws:
            worst[f"{name}, laws"] = float(np.abs(law - said).max())
        if not max(worst.values()) < AGREEMENT:
            raise SystemExit(f"{what}: the sides differ by {worst}. Nothing was timed.")
    times = interleaved(sides, args.repeats)
    kept = {name: held(name, args, args.file, laws) for name in names}
    rows = []
    best = min(names[1:], key=lambda name: times[name].least("wall"))
    for name in names[1:]:
        ratio = times[name].least("wall") / times["ours"].least("wall")
        bar = (">= 1 (the fastest peer)", ratio >= 1) if name == best else ("reported", None)
        rows.append(
            Row(
                f"{what}, {args.walks} walks, wall",
                seconds(times["ours"]),
                f"{seconds(times[name])} ({name})",
                ratio,
                *bar,
            )
        )
    for name in names[1:]:
        ratio = kept["ours"]["first"] / kept[name]["first"]
        cells = (megabytes(kept["ours"]), f"{megabytes(kept[name])} ({name})")
        rows.append(Row(f"{what}, memory beyond weights; ratio ours / peer", *cells, ratio, "<= 0.1", ratio <= 0.1))
    facts = {name: t.summary() | {"first_call_s": first[name][1]} for name, t in times.items()}
    return rows, facts | {"differences": worst, "memory": kept}


def placements(args: argparse.Namespace, count: int = 8) -> tuple[list[Row], dict[str, Any]]:
    """``count`` placements at once against one at a time, one walk each."""
    import jax
    import jax.numpy as jnp

    from llmworld_jax.models.catalogue import DEFAULT, load
    from llmworld_jax.window_sums import node_sums

    model, file = load(DEFAULT).model, np.load(args.file)
    at, contexts = (jnp.asarray(file[name], jnp.int32) for name in ("at", "contexts"))
    number, before = len(file["ids"]), int(file["at"][0])
    random = np.random.default_rng(0)
    placed = np.stack([random.permutation(file["ids"]) for _ in range(count)])
    nodes = jnp.asarray(file["nodes"][0])
    tokens = np.tile(file["tokens"][0], (count, 1))
    tokens[:, before:] = placed[:, file["nodes"][0]]

    def one(model: Any, tokens: jax.Array) -> jax.Array:
        return node_sums(model, tokens, nodes, at, contexts, num_nodes=number, window=WINDOW).sums

    single, together = jax.jit(one), jax.jit(jax.vmap(one, in_axes=(None, 0)))
    given = jnp.asarray(tokens)
    sides = {
        "one": lambda: jax.block_until_ready([single(model, row) for row in given]),
        "together": lambda: jax.block_until_ready(together(model, given)),
    }
    answers = {name: np.asarray(jnp.stack(list(call()))) for name, call in sides.items()}
    worst = float(np.abs(answers["one"] - answers["together"]).max() / np.abs(answers["one"]).max())
    if not worst < AGREEMENT:
        raise SystemExit(f"placements differ by {worst}. Nothing was timed.")
    times = interleaved(sides, args.repeats)
    ratio = times["together"].least("wall") / times["one"].least("wall")
    together_s, one_s = (times[name].least("wall") / count for name in ("together", "one"))
    title = f"{count} placements by vmap, seconds a placement; ratio together / one"
    row = Row(title, f"{together_s:.3g} s", f"{one_s:.3g} s (ours, one by one)", ratio, "<= 1", ratio <= 1)
    facts: dict[str, Any] = {name: t.summary() for name, t in times.items()}
    return [row], facts | {"difference": worst, "device": jax.devices()[0].device_kind}


def seconds(times: Times) -> str:
    return f"{times.least('wall'):.3g} s"


def megabytes(told: dict[str, Any]) -> str:
    return f"{told['first'] / 1e6:.0f} MB (again {told['again'] / 1e6:.0f})"


PARTS = {
    "means": functools.partial(reading, laws=False),
    "laws": functools.partial(reading, laws=True),
    "placements": placements,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--walks", type=int, default=16)
    parser.add_argument("--length", type=int, default=1400)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16], help="of walks, for torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("graph_reading.json"))
    parser.add_argument("--memory", help="one side in this process: its peak memory (used by the script itself)")
    parser.add_argument("--laws", action="store_true", help="with --memory: the laws too")
    parser.add_argument("--file", type=Path, help="with --memory: the walks")
    parser.add_argument("--folder", type=Path, help="with --memory: the model's files, for the peer")
    args = parser.parse_args()
    pin(args.threads)
    if args.memory:
        memory(args)
        return
    rows, facts = [], {"threads": args.threads}
    with tempfile.TemporaryDirectory() as folder:
        args.file = Path(folder) / "walks.npz"
        make(args.file, args.walks, args.length)
        for part in args.only:
            found, told = PARTS[part](args)
            rows += found
            facts[part] = told
            print(table(found), flush=True)
            args.out.write_text(json.dumps({**facts, "table": [row._asdict() for row in rows]}, indent=2) + "\n")
    print(f"\n{args.threads} threads, {args.walks} walks of {args.length}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
