"""Does the model use the plane in which the graph lies? Exchange a word's coordinates there for those of another node.

At one layer the last word's vector ``h`` becomes ``h + dose V Vᵀ (mean of node j - h)``: ``V`` spans the first
principal plane of the node means, the second, all of them, or a random plane among them. Only the last position is
changed, so a trial is one token read on the cache of its walk. A random direction of the same length as the change
within the first plane stands beside.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ...interventions import positions_of, read_with_edits, subspace_bases, swap_subspace
from ...models.edits import add
from ...models.forward import KVCache, forward
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import logits
from .results import Swap
from .study import Study

PLANES = ("PC 1–2", "PC 3–4", "all means", "random plane of the means", "random, as long as PC 1–2")
"""The first four in the order of ``interventions.SubspaceBases``."""
SPAN = PLANES.index("all means")
DOSES = (0.0, 0.5, 1.0, 2.0)
PRECISION = "highest"


def swap_of(
    model: Llama, study: Study, means: np.ndarray, layers: tuple[int, ...], walks: int, targets: int, seed: int
) -> Swap:
    """``Swap`` over ``walks`` sequences and as many as ``targets`` nodes put in for each.

    Args:
        means: ``[layer, node, width]`` at the whole length.
        layers: 1 first.
    """
    random = np.random.default_rng(seed)
    sequences = study.placements[0].sequences[study.main]
    adjacency, ids = np.asarray(study.graph.adjacency), jnp.asarray(study.placements[0].ids)
    keys = jax.random.split(jax.random.key(seed), len(layers))
    bases = np.stack([np.stack(subspace_bases(key, means[layer])) for key, layer in zip(keys, layers)])
    clean, changed, dosed, norms = [], [], [], []
    for tokens, walk in zip(sequences.prompts.tokens[:walks], sequences.walks[:walks], strict=True):
        here = int(walk[-1])
        chosen = _targets(adjacency, here, targets, random)
        at, end = int(sequences.prompts.item_at[-1]), int(sequences.prompts.read_at[-1]) + 1
        cache, rows, before = _clean(model, jnp.asarray(tokens[:end]), ids, end - at)
        read = np.asarray(rows)[[layer - 1 for layer in layers]]
        moves = np.stack([_moves(read[k], means[layer], bases[k], chosen, random) for k, layer in enumerate(layers)])
        norms.append(np.linalg.norm(moves, axis=-1).mean(axis=2) / np.linalg.norm(read, axis=-1)[:, None])
        blocks, last = jnp.asarray(layers) - 1, jnp.asarray(tokens[at:end])
        after = np.asarray(_moved(model, cache, last, jnp.asarray(moves), blocks, ids, jnp.ones(1)))[..., 0, :]
        changed.append(_scores(after, adjacency, here, chosen))
        clean.append(_scores(np.broadcast_to(np.asarray(before), (len(chosen), len(ids))), adjacency, here, chosen))
        best = len(layers) // 2
        doses = _moved(
            model, cache, last, jnp.asarray(moves[best : best + 1]), blocks[best : best + 1], ids, jnp.asarray(DOSES)
        )
        dosed.append(
            np.stack([_scores(np.asarray(doses)[0, ..., k, :], adjacency, here, chosen) for k in range(len(DOSES))])
        )
    return _summed(layers, np.concatenate(changed, axis=2), np.concatenate(clean), np.concatenate(dosed, axis=2), norms)


def _summed(layers: tuple[int, ...], changed: np.ndarray, clean: np.ndarray, dosed: np.ndarray, norms: list) -> Swap:
    """``changed [layer, plane, trial, 4]``, ``clean [trial, 4]``, ``dosed [dose, plane, trial, 4]``."""
    mean = changed.mean(axis=2)
    gain = changed[..., 0] - clean[:, 0]
    return Swap(
        layers=np.array(layers),
        planes=PLANES,
        towards=mean[..., 0],
        away=mean[..., 1],
        hit1=mean[..., 2],
        hit3=mean[..., 3],
        standard_error=gain.std(axis=2, ddof=1) / np.sqrt(gain.shape[2]),
        clean=clean.mean(axis=0),
        doses=np.array(DOSES),
        dosed=dosed[..., 0].mean(axis=2),
        norms=np.mean(norms, axis=0),
        trials=len(clean),
        everywhere=None,
    )


def _targets(adjacency: np.ndarray, here: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Nodes that are neither ``here`` nor next to it, at random; all others where there are none."""
    far = [n for n in range(len(adjacency)) if n != here and not adjacency[here, n]]
    far = far or [n for n in range(len(adjacency)) if n != here]
    return random.permutation(far)[:count]


def _moves(
    h: np.ndarray, means: np.ndarray, bases: np.ndarray, targets: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Changes ``[plane, target, width]`` of full dose."""
    away = means[targets] - h
    inside = [away @ basis.T @ basis for basis in bases]
    span = bases[SPAN]
    drawn = random.normal(size=(len(targets), len(span))) @ span
    drawn *= np.linalg.norm(inside[0], axis=1, keepdims=True) / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.stack((*inside, drawn)).astype(np.float32)


def _scores(laws: np.ndarray, adjacency: np.ndarray, here: int, targets: np.ndarray) -> np.ndarray:
    """``[..., target, 4]``: towards, away, hit 1, hit 3; ``laws [..., target, node]`` over the nodes alone."""
    near = adjacency[targets]
    order = np.argsort(-laws, axis=-1)
    hits = np.take_along_axis(np.broadcast_to(near, laws.shape), order, axis=-1)
    return np.stack(
        ((laws * near).sum(-1), (laws * adjacency[here]).sum(-1), hits[..., 0], hits[..., :3].max(-1)), axis=-1
    )


@functools.partial(jit_on_mesh, static_argnames="width")
def _clean(model: Llama, tokens: jax.Array, ids: jax.Array, width: int) -> tuple[KVCache, jax.Array, jax.Array]:
    """The cache without the last word (``width`` tokens with its separator), the word's vector after every block, and
    the law over the nodes that follows."""
    read = forward(
        model, tokens, taps=("resid_post",), reduce=lambda sites: sites["resid_post"][-width], precision=PRECISION
    )
    cache = KVCache(read.cache.k[:, :, :-width], read.cache.v[:, :, :-width])
    return cache, read.taps, jax.nn.softmax(logits(model, read.hidden[-1], ids))


@jit_on_mesh
def _moved(
    model: Llama, cache: KVCache, last: jax.Array, moves: jax.Array, blocks: jax.Array, ids: jax.Array, doses: jax.Array
) -> jax.Array:
    """Laws ``[layer, plane, target, dose, node]`` over the nodes after the changed word, its separator as it was."""
    word = jnp.arange(last.shape[0]) == 0

    def one(move: jax.Array, block: jax.Array, dose: jax.Array) -> jax.Array:
        edit = add("resid_post", block, dose * move, at=word.astype(jnp.float32))
        hidden = forward(model, last, cache=cache, edits=(edit,), precision=PRECISION).hidden[-1]
        return jax.nn.softmax(logits(model, hidden, ids))

    over = jax.vmap(one, in_axes=(None, None, 0))
    over = jax.vmap(jax.vmap(over, in_axes=(0, None, None)), in_axes=(0, None, None))
    return jax.lax.map(lambda given: over(given[0], given[1], doses), (moves, blocks))


def everywhere_of(
    model: Llama, study: Study, means: np.ndarray, layer: int, walks: int, targets: int, seed: int
) -> np.ndarray:
    """The same exchange at every occurrence of the last word's node, ``[plane, 2]``: mean of ``towards``, its error.

    Args:
        means: ``[node, width]`` at ``layer`` (1 first) and the whole length.
    """
    random = np.random.default_rng(seed)
    placement = study.placements[0]
    sequences, adjacency = placement.sequences[study.main], np.asarray(study.graph.adjacency)
    bases = jnp.stack(subspace_bases(jax.random.key(seed), means))
    found = []
    for tokens, walk in zip(sequences.prompts.tokens[:walks], sequences.walks[:walks], strict=True):
        here, end = int(walk[-1]), int(sequences.prompts.read_at[-1])
        chosen = _targets(adjacency, here, targets, random)
        at = positions_of(here, walk, sequences.prompts.item_at, end + 1)

        def edit(basis: jax.Array, target: jax.Array, at: jax.Array = at):
            return swap_subspace(means, basis, target, layer, at)

        trials = jax.vmap(jax.vmap(edit, in_axes=(None, 0)), in_axes=(0, None))(bases, jnp.asarray(chosen))
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), trials)
        laws = read_with_edits(
            model, jnp.asarray(tokens[: end + 1]), jnp.asarray([end]), jnp.asarray(placement.ids), (flat,), at_once=1
        )
        share = np.asarray(jax.nn.softmax(laws.log_probability[:, 0], axis=-1)).reshape(len(bases), len(chosen), -1)
        found.append(_scores(share, adjacency, here, chosen)[..., 0])
    towards = np.concatenate(found, axis=1)
    return np.stack((towards.mean(axis=1), towards.std(axis=1, ddof=1) / np.sqrt(towards.shape[1])), axis=1)
