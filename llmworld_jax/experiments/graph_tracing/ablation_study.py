"""Heads that look at the previous token or at what followed last time, and what is lost without them.

As many heads drawn at random are the control for the best; taking out the first plane of the node means, beside a
random plane among them, is the same for the geometry.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from analyses import graphs

from ...heads import head_scores
from ...interventions import subspace_bases
from ...models.edits import Edit, project_out, silence_heads
from ...models.llama import Llama
from ...walk_reading import read_walks
from .config import GraphConfig
from .reading import PRECISION
from .results import Ablation
from .study import Study

FEW, MANY = 4, 16
BINS = (0, 25, 50, 100, 200, 400, 800, 1400)


def scored_heads(model: Llama, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Previous-token and induction score of every head, ``[block, head]``."""
    found = head_scores(model, jax.random.key(seed))
    return np.asarray(found.previous), np.asarray(found.induction)


def silenced_sets(previous: np.ndarray, induction: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """``[block, head]`` True where a head is silenced, by the name of the condition."""
    drawn = np.random.default_rng(seed).permutation(previous.size)[:MANY]

    def best(score: np.ndarray, count: int) -> np.ndarray:
        return np.argsort(-score.ravel())[:count]

    chosen = {
        "nothing": np.array([], int),
        f"{FEW} previous-token heads": best(previous, FEW),
        f"{MANY} previous-token heads": best(previous, MANY),
        f"{FEW} induction heads": best(induction, FEW),
        f"{MANY} induction heads": best(induction, MANY),
        f"{MANY} random heads": drawn,
    }
    found = {}
    for name, flat in chosen.items():
        found[name] = np.zeros(previous.shape, bool)
        found[name].ravel()[flat] = True
    return found


def planes_taken_out(means: np.ndarray, layer: int, seed: int) -> dict[str, Edit]:
    """The first plane of ``means [node, width]``, and a random plane among them, projected out after ``layer``."""
    bases = subspace_bases(jax.random.key(seed), means)
    planes = {"PC 1–2 taken out": bases.first[:2], "random plane taken out": bases.random[:2]}
    return {name: project_out("resid_post", layer - 1, basis) for name, basis in planes.items()}


def ablation_of(
    config: GraphConfig,
    model: Llama,
    study: Study,
    scores: tuple[np.ndarray, np.ndarray],
    means: np.ndarray,
    layer: int,
    walks: int,
    length: int,
) -> Ablation:
    """Accuracy and energy of ``walks`` sequences of ``length`` words under every condition.

    Args:
        scores: see ``scored_heads``.
        means: ``[layer, node, width]`` at the last context.
        layer: 1 first; R is reported there.
    """
    none = silence_heads(jnp.zeros(scores[0].shape, bool), model.config.head_dim)
    edits: dict[str, tuple[Edit, ...]] = {
        name: (silence_heads(jnp.asarray(heads), model.config.head_dim),)
        for name, heads in silenced_sets(*scores, config.seed).items()
    }
    # The same number and kind of edits as every other condition of its sort: two programs in all.
    last = min(layer, model.config.num_layers - 1)  # after the last block it would act on the unembedding alone
    edits |= {name: (none, edit) for name, edit in planes_taken_out(means[last], last, config.seed).items()}
    bins = np.array([*(b for b in BINS if b < length), length])
    rows = [_condition(config, model, study, edit, walks, length, bins) for edit in edits.values()]
    accuracy, renormalised, ratio = (np.stack(part) for part in zip(*rows))
    return Ablation(tuple(edits), accuracy, renormalised, bins, ratio[:, layer], ratio)


def _condition(
    config: GraphConfig,
    model: Llama,
    study: Study,
    edits: tuple[Edit, ...],
    walks: int,
    length: int,
    bins: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Accuracy and its renormalised form by bin, R ``[layer]`` at the last context."""
    here = study.placements[0]
    sequences = here.sequences[study.main]
    items = sequences.walks[:walks, :length]
    end = sequences.prompts.read_at[length - 1] + 1
    prompts = sequences.prompts._replace(
        tokens=sequences.prompts.tokens[:walks, :end],
        item_at=sequences.prompts.item_at[:length],
        read_at=sequences.prompts.read_at[:length],
    )
    read = read_walks(
        model, prompts, items, here.ids, (length,), window=config.window, normalise=config.normalise, edits=edits,
        precision=PRECISION,
    )  # fmt: skip
    adjacency = jnp.asarray(study.graph.adjacency)
    probability = np.exp(read.log_probability)
    legal = (probability * np.asarray(study.graph.adjacency)[items]).sum(axis=-1)
    share = legal / probability.sum(axis=-1)
    scored = sequences.scored[:length]
    time = np.arange(length)
    cuts = [np.flatnonzero(scored & (time >= a) & (time < b)) for a, b in itertools.pairwise(bins)]
    means = jnp.asarray(read.sums[:, 0] / np.maximum(read.counts[:, 0], 1)[..., None])
    ratio = jax.vmap(graphs.dirichlet_ratio, in_axes=(0, None, 0))(means, adjacency, jnp.asarray(read.counts[:, 0] > 0))
    return (
        np.array([legal[:, cut].mean() for cut in cuts]),
        np.array([share[:, cut].mean() for cut in cuts]),
        np.asarray(ratio),
    )
