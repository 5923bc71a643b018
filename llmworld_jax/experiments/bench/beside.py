"""The peer as calls, warmed up and compared with our answers before anything is timed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...digit_tree import leaf_log_mass, level_sizes
from . import peer, peer_tree
from .subject import Subject, Task
from .timing import Call


class Beside(NamedTuple):
    """``calls`` by the name of the workload that they are beside; ``notes`` for the reader of the table."""

    calls: dict[str, Call]
    notes: list[str]


def beside_of(subject: Subject, task: Task, dtype: str, ours: dict[str, Any]) -> Beside:
    """The peer with the same weights (random ones of its own for a shape). ``ours``: results of our calls."""
    platform = jax.devices()[0].platform
    why = peer.refusal(platform)
    if why is None and subject.folder is None and subject.config.family != "llama":
        why = f"a shape of the family {subject.config.family} is not built in torch"
    if why is not None:
        return Beside({}, [f"No peer: {why}."])
    import torch
    import transformers

    device = "cpu" if platform == "cpu" else "cuda"
    if subject.folder is None:
        twin = peer.random_twin(subject.config, dtype, device)
    else:
        twin = peer.pretrained(subject.folder, dtype, device)
    tokens, item_at, codec = task.tokens, task.item_at, subject.codec
    wanted: dict[str, Call] = {
        "prefill": lambda: peer.prefill(twin, tokens),
        "gradient": lambda: peer.gradient(twin, tokens[0]),
        "laws": lambda: peer_tree.laws(twin, codec, tokens[0], item_at),
    }
    notes = [
        f"Peer: Hugging Face transformers {transformers.__version__}, torch {torch.__version__} on {device}, sdpa, "
        f"the same dtype. Its tree: one pass over the prefix, then {peer_tree.states_a_pass(codec)} states' nodes a "
        "pass as one sequence with a tree mask on the prefix's cache. Its gradient recomputes blocks, as ours does."
    ]
    calls: dict[str, Call] = {}
    for name, call in wanted.items():
        try:
            theirs = call()
        except torch.OutOfMemoryError:
            notes.append(f"The peer ran out of memory: {name}.")
            continue
        calls[name] = call
        if subject.folder is not None:
            notes.append(f"{name}: ours and theirs differ by {_apart(name, ours[name], theirs, codec.branch):.1e}.")
    return Beside(calls, notes)


def _apart(name: str, ours: Any, theirs: Any, branch: tuple[int, ...]) -> float:
    """Largest total variation of two laws; of the other answers the norm of the difference over that of theirs."""
    if name == "laws":
        levels = np.split(_array(theirs.nodes), np.cumsum(level_sizes(branch))[:-1], axis=1)
        mass = jax.vmap(leaf_log_mass)(jnp.asarray(_array(theirs.root)), tuple(jnp.asarray(x) for x in levels))
        gaps = np.abs(np.exp(_array(ours[0])) - np.exp(_array(mass))).sum(axis=-1)
        return float(gaps.max() / 2)
    mine, other = _array(ours[0] if name == "prefill" else ours[1]), _array(theirs)
    return float(np.linalg.norm(mine - other) / np.linalg.norm(other))


def _array(x: Any) -> np.ndarray:
    """float64, from jax or torch of any float dtype."""
    if isinstance(x, jax.Array):
        return np.asarray(x.astype(jnp.float32), np.float64)
    return x.detach().float().cpu().numpy().astype(np.float64)
