"""Speed of real shapes with random weights on one device: ``python tests/benchmarks/accelerator.py llama-2-7b``.

bfloat16 weights; answers of prefill and laws are compared with Hugging Face torch, given the same weights on the same
device, before anything is timed. Rates are beside the device's measured peak: one jax matrix product of 8192³ in
bfloat16. Floating-point operations are those of the blocks' matrices and of attention; norms, rotation, softmax and
the head are not counted. Prints a markdown table and writes the numbers as JSON.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # torch needs its part of the memory

import jax
import jax.numpy as jnp
import numpy as np
import ours
from timing import Row, Times, interleaved, once, table

from llmworld_jax.codec import NumberCodec
from llmworld_jax.laws import number_laws
from llmworld_jax.models.config import ModelConfig
from llmworld_jax.models.llama import CHECKPOINT_NAMES, Llama
from llmworld_jax.models.public_configs import PUBLIC_CONFIGS
from llmworld_jax.numerals import Numerals
from llmworld_jax.prompts import Prompt

PEAK_SIZE = 8192
FIRST_DIGIT, SEPARATOR, START = 20, 40, 1
AGREEMENT = 0.05
"""Relative error of hidden states, total variation of laws: the two sides round bfloat16 at different places."""


def random_model(config: ModelConfig) -> Llama:
    """Random weights whose logits have a standard deviation of about one, so that no law is a point."""
    model = jax.jit(lambda key: Llama(config, key=key, dtype=jnp.bfloat16))(jax.random.key(0))
    if config.tied:
        model.final_norm[...] = model.final_norm[...] * jnp.bfloat16(config.d_model**-0.5)
    return model


def digits(states: int, precision: int) -> tuple[NumberCodec, Prompt]:
    """A single-digit codec and a prompt of random numbers."""
    levels = (tuple(range(FIRST_DIGIT, FIRST_DIGIT + 10)),) * precision
    numerals = Numerals(precision, 0.0, 1.0)
    codec = NumberCodec(numerals, (START,), (), ",", (SEPARATOR,), levels, "single", levels[0], "single")
    return codec, codec.prompt(np.random.default_rng(0).integers(10**precision, size=states))


def peak() -> float:
    """FLOP/s of one bfloat16 matrix product, chained so that launches do not count."""
    x, w = (jax.random.normal(jax.random.key(k), (PEAK_SIZE,) * 2, jnp.bfloat16) for k in (0, 1))
    chain = jax.jit(lambda x, w: jax.lax.fori_loop(0, 10, lambda _, y: (y @ w) * jnp.bfloat16(0.01), x))
    call = lambda: jax.block_until_ready(chain(x, w))  # noqa: E731
    call()
    return 10 * 2 * PEAK_SIZE**3 / interleaved({"peak": call}, 5)["peak"].middle("wall")


def torch_twin(model: Llama, config: ModelConfig) -> Any:
    """Hugging Face's Llama (sdpa) with these weights, on the same device."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    scaling = config.rope_scaling
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if scaling is not None:
        rope |= {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_max_positions,
        }
    theirs = LlamaConfig(
        vocab_size=config.vocab_size, hidden_size=config.d_model, intermediate_size=config.d_mlp,
        num_hidden_layers=config.num_layers, num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads, head_dim=config.head_dim, rms_norm_eps=config.norm_eps,
        rope_parameters=rope, tie_word_embeddings=config.tied, max_position_embeddings=config.max_positions,
        attn_implementation="sdpa",
    )  # fmt: skip
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        twin = LlamaForCausalLM(theirs).eval()
    torch.set_default_dtype(torch.float32)
    slots = dict(twin.named_parameters())
    with torch.no_grad():
        for path, (name, transposed) in CHECKPOINT_NAMES.items():
            if path == "head" and config.tied:
                continue
            parameter: Any = model
            for part in path.split("."):
                parameter = getattr(parameter, part)
            for layer in range(config.num_layers if "{layer}" in name else 1):
                value = parameter[...][layer] if "{layer}" in name else parameter[...]
                tensor = torch.from_dlpack(value)
                slots[name.format(layer=layer)].copy_(tensor.T if transposed else tensor)
    return twin


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def check(error: float, what: str) -> None:
    if not error <= AGREEMENT:
        raise SystemExit(f"{what}: the two sides differ by {error:.1e}, more than {AGREEMENT}. Nothing was timed.")


def torch_prefill(twin: Any, tokens: np.ndarray) -> Any:
    import torch

    ids = torch.as_tensor(tokens, dtype=torch.long, device=twin.device)[None]

    def call() -> Any:
        with torch.inference_mode():
            hidden = twin.model(input_ids=ids, use_cache=True).last_hidden_state[0]
        if twin.device.type == "cuda":
            torch.cuda.synchronize()
        return hidden

    return call


def measure(name: str, args: argparse.Namespace, top: float) -> tuple[list[Row], dict[str, Any]]:
    config = PUBLIC_CONFIGS[name]
    model = random_model(config)
    codec, prompt = digits(args.states, args.precision)
    length, nodes = len(prompt.tokens), args.states * sum(10**p for p in range(1, args.precision))
    prefill = ours.prefill(model, prompt.tokens)
    hidden, compile_prefill, _ = once(prefill)
    sides: dict[str, Any] = {"prefill": prefill}
    for rows in args.rows:
        for off_grid in args.off_grid:
            sides[f"laws, {rows} rows, {off_grid}"] = lambda r=rows, o=off_grid: (
                jax.block_until_ready(number_laws(model, codec, prompt, off_grid=o, rows=r)).log_mass
            )
    first = {side: once(call) for side, call in sides.items() if side != "prefill"}
    if not args.no_torch:
        twin = torch_twin(model, config)
        sides["torch prefill"] = torch_prefill(twin, prompt.tokens)
        theirs = sides["torch prefill"]().float().cpu().numpy()
        check(relative_error(np.asarray(hidden, np.float32), theirs), f"{name}, prefill")
        sequential = peer_laws(twin, codec, prompt, args, {k: v[0] for k, v in first.items()})
    times = interleaved(sides, args.repeats)
    flops = length * ours.flops_per_token(config, length / 2)
    tree_flops = nodes * ours.flops_per_token(config, float(np.mean(prompt.item_at)))
    beside = times.get("torch prefill")
    rows_out = [rate_row(f"{name}, prefill of {length} tokens", times["prefill"], 0.0, length, flops, top, beside, 0.5)]
    least = times["prefill"].middle("wall")
    for side in first:
        title = f"{name}, tree of {args.states} states x {args.precision} digits ({side})"
        row = rate_row(title, times[side], least, nodes, tree_flops, top, None, 0.45)
        if not args.no_torch:
            ratio = sequential * args.states / times[side].middle("wall")
            row = row._replace(peer=f"{sequential:.2f} s a state, sequential torch: laws {ratio:.0f} times as fast")
        rows_out.append(row)
    facts = {side: t.summary() for side, t in times.items()}
    return rows_out, facts | {"first_call_s": {"prefill": compile_prefill} | {k: v[1] for k, v in first.items()}}


def peer_laws(twin: Any, codec: NumberCodec, prompt: Prompt, args: argparse.Namespace, laws: dict) -> float:
    """Seconds a state of the published sequential refinement, its masses compared with ours first."""
    import sequential_torch as peer

    sequential = peer.Sequential(twin, prompt.tokens, prompt.item_at, codec.levels[0], args.precision)
    sequential.prefill()
    chosen = np.unique(np.linspace(1, args.states - 1, args.sequential).astype(int)).tolist()
    sequential.refine(chosen[-1:], "all", args.precision - 1)
    reference, wall, _ = once(lambda: sequential.refine(chosen[:-1], "all", args.precision - 1))
    for side, log_mass in laws.items():
        for t, law in reference.items():
            mine = peer.on_grid(np.exp(np.asarray(log_mass[t], np.float64)), law)
            check(float(np.abs(mine - law.mass).sum() / 2), side)
    return wall / len(reference)


def rate_row(
    title: str, times: Times, less: float, tokens: int, flops: float, top: float, beside: Times | None, bar: float
) -> Row:
    seconds = times.middle("wall") - less
    share = flops / seconds / top
    mine = f"{seconds:.3f} s, {tokens / seconds:,.0f} tokens/s, {flops / seconds / 1e12:.0f} TFLOP/s"
    peer = "" if beside is None else f"{beside.middle('wall'):.3f} s (torch sdpa)"
    return Row(f"{title}; ratio ours / peak", mine, peer, share, f">= {bar}", share >= bar)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="+", choices=sorted(PUBLIC_CONFIGS))
    parser.add_argument("--states", type=int, default=1000)
    parser.add_argument("--precision", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[8192])
    parser.add_argument("--off-grid", nargs="+", choices=("first", "tree"), default=["first", "tree"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sequential", type=int, default=4, help="states of the sequential peer")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("accelerator.json"))
    args = parser.parse_args()
    device, top = jax.devices()[0], peak()
    rows, facts = [], {"device": device.device_kind, "jax": jax.__version__, "peak_flops": top}
    print(f"{device.device_kind}, jax {jax.__version__}: {top / 1e12:.0f} TFLOP/s in bfloat16", flush=True)
    for name in args.shapes:
        found, told = measure(name, args, top)
        rows += found
        facts[name] = told
        print(table(found), flush=True)
        args.out.write_text(json.dumps({**facts, "table": [row._asdict() for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
