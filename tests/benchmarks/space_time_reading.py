"""Parts 1 and 2 of ``space_time.py``: reading activations, beside the peers and beside the plain forward pass."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import Row, Times, interleaved, once

HERE = Path(__file__).parent
AGREEMENT = 1e-3
"""Relative error of a row of activations, in float32."""
PROBE = 1500
"""Most names on which a peer's batch size and attention are chosen; fewer pad large batches more than all would."""
LENS = "transformer_lens"


def activations(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """1. Seconds and memory of reading every layer at the last token."""
    import ours as models
    import space_time_ours as ours
    import space_time_peers as peers

    loaded = ours.model()
    names, path = ours.cities(loaded, args.names), args.scratch / "cities.npz"
    names.save(path)
    tokens, folder = names.prompts.tokens, models.folder()
    mine, compiled, _ = once(lambda: ours.residual_rows(loaded.model, names))
    agree(ours.gram(loaded.model, names), np.einsum("lni,lnj->lij", mine[1:], mine[1:]), "the sums of products")
    chosen, missing = fastest(peers, tokens[:: max(1, len(tokens) // PROBE)], folder, args)
    sides: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours.residual_rows(loaded.model, names),
        "ours, sums only": lambda: ours.gram(loaded.model, names),
    }
    worst = {}
    for name, (gather, batch, _) in chosen.items():
        sides[name] = lambda gather=gather, batch=batch: peers.residual_rows(gather, tokens, batch)
        worst[name] = agree(sides[name](), mine, name)
    times = interleaved(sides, args.repeats)
    best = min(chosen, key=lambda name: times[name].least("wall"))
    rows = []
    for name, (_, batch, _) in chosen.items():
        ratio = times[name].least("wall") / times["ours"].least("wall")
        title = f"residual stream of {len(tokens)} names, all layers, wall"
        bar = (">= 1 (the fastest peer)", ratio >= 1) if name == best else ("reported", None)
        rows.append(Row(title, seconds(times["ours"]), f"{seconds(times[name])} ({name}, batch {batch})", ratio, *bar))
    rows += missing
    held = {side: fresh(side, path) for side in ("rows", "sums")}
    held |= {name: fresh(name, path, args, batch, folder) for name, (_, batch, _) in chosen.items()}
    rows += memory_rows(held, list(chosen))
    facts: dict[str, Any] = {name: t.summary() for name, t in times.items()}
    tried = {name: trials for name, (_, _, trials) in chosen.items()}
    facts |= {"differences": worst, "memory": held, "first_call_s": compiled, "tried_wall_s": tried}
    return rows, facts | {"names": len(tokens), "tokens": sum(map(len, tokens)), "answer_bytes": mine.nbytes}


def fastest(peers: Any, tokens: Any, folder: Path, args: argparse.Namespace) -> tuple[dict[str, Any], list[Row]]:
    """By side its way to read, best batch size and all trials; and rows on what cannot run here."""
    found: dict[str, Any] = {}
    missing = []
    for kind in (("hidden_states, sdpa", "hidden_states, eager"), ("hooks, sdpa", "hooks, eager"), (LENS,)):
        trials: dict[str, float] = {}
        least: tuple[float, str, Any, int] | None = None
        for name in kind:
            try:
                gather = peers.side(name, folder, args.threads)
                peers.residual_rows(gather, tokens[:8], 8)
            except Exception as error:
                if name != LENS:
                    raise
                why = "not installed" if isinstance(error, ModuleNotFoundError) else "does not load the model"
                missing.append(Row("residual stream, TransformerLens", "", f"{why}: {error}"[:150], None, "", None))
                continue
            for batch in args.batches:
                took = once(lambda: peers.residual_rows(gather, tokens, batch))[1]  # noqa: B023
                trials[f"{name}, batch {batch}"] = took
                if least is None or took < least[0]:
                    least = took, name, gather, batch
        if least is not None:
            found[least[1]] = least[2], least[3], trials
    return found, missing


def memory_rows(held: dict[str, dict], peers: list[str]) -> list[Row]:
    """Ours against the peer of least memory, first runs; a tenth of it is the bar."""
    best = min(peers, key=lambda name: held[name]["first"])
    rows = []
    for side, what in (("rows", "rows kept"), ("sums", "only sums of products kept, on the device")):
        for name in peers:
            ratio = held[side]["first"] / held[name]["first"]
            bar = ("<= 0.1 (the leanest peer)", ratio <= 0.1) if name == best else ("reported", None)
            cells = [megabytes(held[side]), f"{megabytes(held[name])} ({name}, rows kept)"]
            rows.append(Row(f"peak memory beyond weights, {what}; ratio ours / peer", *cells, ratio, *bar))
    return rows


def overhead(args: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """2. Capture at all layers against the plain forward pass in the same batches."""
    import space_time_ours as ours

    from llmworld_jax.models.readout import final_hidden

    loaded = ours.model()
    model, names = loaded.model, ours.cities(loaded, args.names)
    sides = {
        "plain": lambda: ours.plain(model, names),
        "captured": lambda: ours.captured(model, names),
        "collected": lambda: ours.collected(model, names),
    }
    first = {name: once(side) for name, side in sides.items()}
    normed = final_hidden(model, first["captured"][0][-1])
    worst = agree(np.asarray(normed)[None], np.asarray(first["plain"][0])[None], "the last block behind its norm")
    times = interleaved(sides, args.repeats)
    rows = []
    for side, what, bar in (
        ("captured", "left on the device", 1.1),
        ("collected", "brought to host memory", None),
    ):
        ratio = times[side].least("wall") / times["plain"].least("wall")
        title = f"capture at all layers, {len(names.test)} names, {what}; ratio capture / plain, wall"
        said = ("reported", None) if bar is None else (f"<= {bar}", ratio <= bar)
        rows.append(Row(title, seconds(times[side]), f"{seconds(times['plain'])} (ours, no taps)", ratio, *said))
    facts = {name: t.summary() | {"first_call_s": first[name][1]} for name, t in times.items()}
    return rows, facts | {"difference": worst}


def agree(a: np.ndarray, b: np.ndarray, what: str) -> float:
    """Largest relative error of a row; stops where it is too large."""
    error = np.linalg.norm(a - b, axis=-1) / np.maximum(np.linalg.norm(b, axis=-1), np.finfo(b.dtype).tiny)
    if not error.max() <= AGREEMENT:
        raise SystemExit(f"{what}: rows differ by {error.max():.1e}, more than {AGREEMENT}. Nothing was timed.")
    return float(error.max())


def fresh(side: str, names: Path, args: Any = None, batch: int = 64, folder: Path | None = None) -> dict[str, Any]:
    """The report of ``space_time_memory.py`` in a new process on the same cores."""
    command = [sys.executable, str(HERE / "space_time_memory.py"), side, str(names), "--batch", str(batch)]
    if args is not None:
        command += ["--threads", str(args.threads), "--penalties", str(args.penalties)]
    if folder is not None:
        command += ["--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def seconds(times: Times) -> str:
    return f"{times.least('wall'):.2f} s wall, {times.least():.2f} CPU s"


def megabytes(held: dict[str, Any]) -> str:
    return f"{held['first'] / 1e6:.0f} MB (again {held['again'] / 1e6:.0f}; the answer {held['answer'] / 1e6:.0f})"
