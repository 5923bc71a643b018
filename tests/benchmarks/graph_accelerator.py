"""Node means of real shapes with random weights on one device: ``python tests/benchmarks/graph_accelerator.py SHAPE``.

16 walks of 1,400 words over 16 random tokens, 12 context lengths, every layer, bfloat16 weights; beside it Hugging Face
torch (sdpa, ``output_hidden_states``) with the same weights on the same device, and the same sums by one matrix product
a layer in float32. Answers are compared before anything is timed..
"""

import argparse
import functools
import json
from pathlib import Path
from typing import Any

import accelerator
import jax
import jax.numpy as jnp
import numpy as np
from graph_reading import CONTEXTS, WINDOW, seconds
from timing import Row, interleaved, once, table

from llmworld_jax.models.public_configs import PUBLIC_CONFIGS
from llmworld_jax.window_sums import node_sums, windows

NODES, PREFIX = 16, 35


def walks(vocabulary: int, count: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids ``[walk, position]``, nodes ``[walk, time]`` and the place of each item."""
    random = np.random.default_rng(0)
    ids = random.permutation(vocabulary)[: NODES + PREFIX]
    nodes = np.cumsum(random.choice((-1, 1), (count, length)), axis=1) % NODES
    tokens = np.concatenate((np.tile(ids[NODES:], (count, 1)), ids[nodes]), axis=1)
    return tokens.astype(np.int32), nodes.astype(np.int32), np.arange(PREFIX, PREFIX + length, dtype=np.int32)


def torch_sums(twin: Any, tokens: np.ndarray, chosen: np.ndarray, at: np.ndarray, batch: int) -> Any:
    """A call that gives ``[layer, context, node, width]``."""
    import torch

    kept: list[Any] = []
    twin.model.layers[-1].register_forward_hook(
        lambda module, inputs, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    ids, picked = (torch.as_tensor(x, device=twin.device) for x in (tokens.astype(np.int64), chosen))
    where = torch.as_tensor(at.astype(np.int64), device=twin.device)

    def call() -> Any:
        total = None
        for start in range(0, len(ids), batch):
            kept.clear()
            with torch.inference_mode():
                out = twin.model(ids[start : start + batch], output_hidden_states=True, use_cache=False)
                flat = picked[start : start + batch].flatten(1, 2)
                states = (*out.hidden_states[:-1], kept.pop())
                new = torch.stack([torch.bmm(flat, h[:, where].float()).sum(dim=0) for h in states])
                total = new if total is None else total + new
        if twin.device.type == "cuda":
            torch.cuda.synchronize()
        assert total is not None
        return total.unflatten(1, chosen.shape[1:3])

    return call


def measure(name: str, args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    config = PUBLIC_CONFIGS[name]
    model = accelerator.random_model(config)
    tokens, nodes, at = walks(config.vocab_size, args.walks, args.length)
    contexts, where = jnp.asarray([c for c in CONTEXTS if c <= args.length]), jnp.asarray(at)
    chosen = np.asarray(jax.vmap(lambda n: windows(n, contexts, WINDOW, NODES))(jnp.asarray(nodes)))

    @functools.partial(jax.jit, donate_argnums=0)
    def add(total: jax.Array, model: Any, tokens: jax.Array, nodes: jax.Array) -> jax.Array:
        def one(tokens: jax.Array, nodes: jax.Array) -> jax.Array:
            return node_sums(model, tokens, nodes, where, contexts, num_nodes=NODES, window=WINDOW).sums

        return total + jax.vmap(one)(tokens, nodes).sum(axis=0)

    def mine(batch: int) -> jax.Array:
        total = jnp.zeros((config.num_layers + 1, len(contexts), NODES, config.d_model))
        for start in range(0, len(tokens), batch):
            rows = slice(start, start + batch)
            total = add(total, model, jnp.asarray(tokens[rows]), jnp.asarray(nodes[rows]))
        return jax.block_until_ready(total)

    sides: dict[str, Any] = {f"ours, {batch} at once": functools.partial(mine, batch) for batch in args.batches}
    first = {side: once(call) for side, call in sides.items()}
    answer = np.asarray(next(iter(first.values()))[0])
    for side, (found, compiled, _) in first.items():
        print(f"{name}, {side}: first call {compiled:.1f} s", flush=True)
        accelerator.check(accelerator.relative_error(np.asarray(found), answer), side)
    held = jax.devices()[0].memory_stats() or {}
    twin = accelerator.torch_twin(model, config)
    for batch in args.batches:
        sides[f"torch, {batch} at once"] = torch_sums(twin, tokens, chosen, at, batch)
        theirs = sides[f"torch, {batch} at once"]().float().cpu().numpy()
        accelerator.check(accelerator.relative_error(answer, theirs), f"torch, {batch}")
    times = interleaved(sides, args.repeats)
    best = {
        who: min((s for s in sides if s.startswith(who)), key=lambda s: times[s].least("wall"))
        for who in ("ours", "torch")
    }
    rows = []
    for side in [s for s in sides if s.startswith("torch")]:
        ratio = times[side].least("wall") / times[best["ours"]].least("wall")
        cells = (f"{seconds(times[best['ours']])} ({best['ours']})", f"{seconds(times[side])} ({side})")
        bar = (">= 1", ratio >= 1) if side == best["torch"] else ("reported", None)
        rows.append(Row(f"{name}, node means of {len(tokens)} walks, wall", *cells, ratio, *bar))
    one, many = f"ours, {min(args.batches)} at once", f"ours, {max(args.batches)} at once"
    ratio = times[many].least("wall") / times[one].least("wall")
    rows.append(
        Row(f"{name}, {many} against {one}", seconds(times[many]), seconds(times[one]), ratio, "<= 1", ratio <= 1)
    )
    facts = {side: t.summary() for side, t in times.items()}
    return rows, facts | {"first_call_s": {k: v[1] for k, v in first.items()}, "jax_memory": held}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="+", choices=sorted(PUBLIC_CONFIGS))
    parser.add_argument("--walks", type=int, default=16)
    parser.add_argument("--length", type=int, default=1400)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="walks read together")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("graph_accelerator.json"))
    args = parser.parse_args()
    rows, facts = [], {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    print(facts, flush=True)
    for name in args.shapes:
        found, told = measure(name, args)
        rows += found
        facts[name] = told
        print(table(found), flush=True)
        args.out.write_text(json.dumps({**facts, "table": [row._asdict() for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
