"""One step of a soft prompt, side by side in one run: ``python tests/benchmarks/prompt_step.py``.

Loss and gradient in 7 vectors before a walk on the 4x4 grid, the default model in float32, beside the same with torch
autograd on Hugging Face's model (weights without gradients). Parts:

    energy    R at layer 24, tokens normalised; both sides stop at that layer
    accuracy  minus mean log probability of the legal words over the last words; the whole model
    context   2,048 tokens, energy, ours with rematerialisation: seconds over those of the forward pass alone, and
              memory beyond weights by the compiled program's own figure

Losses and gradients are compared before anything is timed. Memory is the peak of a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from speed import pin
from timing import Row, interleaved, once, table

VECTORS, WINDOW, LAYER = 7, 150, 24
AGREEMENT = 2e-3
Stepped = tuple[float, np.ndarray]


def make(path: Path, length: int) -> None:
    """Prompt, word ids, walk and graph, in a file that either side reads."""
    import jax
    import jax.numpy as jnp

    from llmworld_jax.models.catalogue import DEFAULT, load
    from llmworld_jax.optimise.soft_prompt import prompt_of_tokens
    from llmworld_jax.words import GRID_WORDS, word_ids
    from systems.lattices import grid
    from systems.walks import random_walk

    loaded = load(DEFAULT)
    adjacency = np.asarray(grid(4, 4).adjacency, np.float32)
    start = np.array(loaded.tokenizer.encode("<|im_start|>user\nContinue the sequence."))
    np.savez(
        path,
        prompt=np.asarray(prompt_of_tokens(loaded.model, start, VECTORS)),
        nodes=np.asarray(random_walk(jax.random.key(0), jnp.asarray(adjacency), length)),
        ids=word_ids(loaded.tokenizer, GRID_WORDS),
        adjacency=adjacency,
    )


def _ours(path: Path, loss: str, remat: bool) -> tuple[Any, tuple[Any, ...]]:
    """The function of the prompt that is differentiated, and its arguments."""
    import jax.numpy as jnp

    from llmworld_jax.experiments.prompt_energy.config import EnergyConfig
    from llmworld_jax.experiments.prompt_energy.losses import target_of
    from llmworld_jax.models.catalogue import DEFAULT, load
    from llmworld_jax.optimise.seen import WalkTask, seen_walk

    file = np.load(path)
    target = target_of(loss, EnergyConfig(window=WINDOW, remat=remat, length=len(file["nodes"])), LAYER, ())  # type: ignore[arg-type]
    task = WalkTask(
        jnp.asarray(file["nodes"]), jnp.asarray(file["ids"]), jnp.asarray(file["adjacency"]), jnp.ones(16, bool)
    )

    def value(prompt: Any, model: Any, task: Any) -> Any:
        return target.loss(seen_walk(model, prompt, VECTORS, task, target.reader), task)

    return value, (jnp.asarray(file["prompt"]), load(DEFAULT).model, task)


def ours(path: Path, loss: str, remat: bool = False) -> Callable[[], Stepped]:
    """One compiled program."""
    import jax

    value, given = _ours(path, loss, remat)
    step = jax.jit(jax.value_and_grad(value))

    def call() -> Stepped:
        found, slope = step(*given)
        return float(found), np.asarray(slope)

    return call


def theirs(path: Path, loss: str, threads: int, folder: Path) -> Callable[[], Stepped]:
    """Autograd through Hugging Face's model, of which the energy needs 24 blocks."""
    import torch
    from transformers import LlamaForCausalLM, logging

    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    model.requires_grad_(False)
    if loss == "energy":
        model.model.layers = model.model.layers[:LAYER]
        model.model.norm = torch.nn.Identity()  # the last hidden state is then the residual stream
    file = np.load(path)
    ids, nodes = (torch.from_numpy(file[name].astype(np.int64)) for name in ("ids", "nodes"))
    graph = torch.from_numpy(file["adjacency"])
    walk = model.get_input_embeddings()(ids[nodes])
    number, last = len(ids), nodes[-WINDOW:]
    hot = torch.nn.functional.one_hot(last, number).float()

    def energy(hidden: Any) -> Any:
        sized = hidden / (hidden.norm(dim=-1, keepdim=True) / hidden.shape[-1] ** 0.5)
        counts = hot.sum(dim=0)
        rows = (hot.T @ sized) / counts.clamp(min=1)[:, None]
        rows, edges = rows[counts > 0], graph[counts > 0][:, counts > 0]
        distances = ((rows[:, None] - rows[None]) ** 2).sum(dim=-1)
        count = len(rows)
        return (edges * distances).sum() / edges.sum() / (distances.sum() / (count * (count - 1)))

    def accuracy(hidden: Any) -> Any:
        law = torch.log_softmax(model.lm_head(hidden), dim=-1)[:, ids]
        legal = torch.where(graph[last] > 0, law, torch.tensor(-torch.inf))
        return -legal.logsumexp(dim=-1).mean()

    def call() -> Stepped:
        prompt = torch.from_numpy(file["prompt"]).requires_grad_()
        inputs = torch.cat((prompt, walk))[None]
        hidden = model.model(inputs_embeds=inputs, use_cache=False).last_hidden_state[0, -WINDOW:]
        value = energy(hidden) if loss == "energy" else accuracy(hidden)
        value.backward()
        assert prompt.grad is not None
        return float(value.detach()), prompt.grad.numpy().copy()

    return call


def side(name: str, args: argparse.Namespace, loss: str) -> Callable[[], Stepped]:
    """``ours``, ``ours remat`` or ``torch``."""
    if name.startswith("ours"):
        return ours(args.file, loss, remat=name == "ours remat")
    import ours as models  # the benchmark's module of that name

    return theirs(args.file, loss, args.threads, args.folder or models.folder())


def held(name: str, args: argparse.Namespace, loss: str) -> dict[str, Any]:
    """Peak memory beyond weights of a fresh process, first step and second."""
    import ours as models

    command = [sys.executable, __file__, "--memory", name, "--file", str(args.file), "--threads", str(args.threads)]
    command += ["--folder", str(models.folder()), "--only", loss]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def memory(args: argparse.Namespace) -> None:
    """What ``held`` runs."""
    from space_time_memory import peak

    call, told = side(args.memory, args, args.only[0]), {}
    for run in ("first", "again"):
        _, told[run], told[f"{run}_s"] = peak(call)
    print(json.dumps(told))


def stepped(args: argparse.Namespace, loss: str) -> tuple[list[Row], dict[str, Any]]:
    """Seconds and memory of one step of both sides."""
    sides = {name: side(name, args, loss) for name in ("ours", "ours remat", "torch")}
    first = {name: once(call) for name, call in sides.items()}
    (value, slope), _, _ = first["torch"]
    for name in ("ours", "ours remat"):
        found, other = first[name][0]
        apart = max(abs(found - value) / abs(value), float(np.abs(other - slope).max() / np.abs(slope).max()))
        if not apart < AGREEMENT:
            raise SystemExit(f"{loss}: {name} differs from torch by {apart:.1e}. Nothing was timed.")
    times = interleaved(sides, args.repeats)
    kept = {name: held(name, args, loss) for name in sides}
    rows = []
    for name in ("ours", "ours remat"):
        ratio = times["torch"].least("wall") / times[name].least("wall")
        what = f"step on {loss}, {args.length} words" + (", rematerialised" if "remat" in name else "")
        cells = tuple(f"{times[k].least('wall'):.2f} s" for k in (name, "torch"))
        rows.append(Row(what, *cells, ratio, ">= 1" if name == "ours" else "reported", ratio >= 1))
        share = kept[name]["first"] / kept["torch"]["first"]
        cells = tuple(f"{kept[k]['first'] / 1e6:.0f} MB (again {kept[k]['again'] / 1e6:.0f})" for k in (name, "torch"))
        rows.append(Row(f"{what}: memory beyond weights, ours / peer", *cells, share, "< 1", share < 1))
    facts = {name: t.summary() | {"first_call_s": first[name][1]} for name, t in times.items()}
    return rows, facts | {"memory": kept}


def context(args: argparse.Namespace, tokens: int = 2048) -> tuple[list[Row], dict[str, Any]]:
    """The long context: gradient over forward, and the compiled program's memory."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.npz"
        make(path, tokens - VECTORS)
        value, given = _ours(path, "energy", remat=True)
    forward, step = jax.jit(value), jax.jit(jax.value_and_grad(value))
    held = step.lower(*given).compile().memory_analysis().temp_size_in_bytes
    sides = {
        "forward": lambda: jax.block_until_ready(forward(*given)),
        "step": lambda: jax.block_until_ready(step(*given)),
    }
    for call in sides.values():
        call()
    times = interleaved(sides, args.repeats)
    ratio = times["step"].least("wall") / times["forward"].least("wall")
    seconds = tuple(f"{times[name].least('wall'):.2f} s" for name in ("step", "forward"))
    what = f"gradient through {tokens} tokens, rematerialised"
    rows = [
        Row(f"{what}; peer: our forward pass; ratio ours / peer", *seconds, ratio, "<= 4", ratio <= 4),
        Row(f"{what}: memory beyond weights", f"{held / 1e6:.0f} MB", "", None, "< 1 GB", held < 1e9),
    ]
    return rows, {"temporary_bytes": held} | {name: t.summary() for name, t in times.items()}


PARTS: dict[str, Callable[[argparse.Namespace], tuple[list[Row], dict[str, Any]]]] = {
    "energy": lambda args: stepped(args, "energy"),
    "accuracy": lambda args: stepped(args, "accuracy"),
    "context": context,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--length", type=int, default=220)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("prompt_step.json"))
    parser.add_argument("--memory", help="one side in this process: its peak memory (used by the script itself)")
    parser.add_argument("--file", type=Path, help="with --memory: the walk")
    parser.add_argument("--folder", type=Path, help="with --memory: the model's files, for the peer")
    args = parser.parse_args()
    pin(args.threads)
    if args.memory:
        memory(args)
        return
    rows, facts = [], {"threads": args.threads}
    with tempfile.TemporaryDirectory() as folder:
        args.file = Path(folder) / "walk.npz"
        make(args.file, args.length)
        for part in args.only:
            found, told = PARTS[part](args)
            rows += found
            facts[part] = told
            print(table(found), flush=True)
            args.out.write_text(json.dumps({**facts, "table": [row._asdict() for row in rows]}, indent=2) + "\n")
    print(f"\n{args.threads} threads\n\n{table(rows)}")


if __name__ == "__main__":
    main()
