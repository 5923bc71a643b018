"""Whether a model uses what a probe reads in it, for one dataset: interventions of bounded cost."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from analyses.probes.directions import read_out_dose

from ...activations import collect
from ...entities.prompts import PromptKind, entity_prompts
from ...entities.table import EntityTable
from ...models.catalogue import LoadedModel
from .certificate import Certificate, certify, spearman
from .composition import Part, parts
from .contrast_prompts import ContrastPrompts, contrast_prompts
from .depth_profile import DepthProfile, depth_profile
from .interventions import Ablation, Pins, ablation_loss, pin_curve, random_neurons

#: Principal components that the harder random steps lie in.
COMPONENTS = 50
#: Values to which a neuron is pinned: its mean over names, plus so many of its standard deviations.
PINNED_AT = (-4.0, -2.0, 2.0, 4.0)
_NAMES_FOR_SPREAD = 100
_EMPTY = PromptKind("empty", "")


class Scale(NamedTuple):
    """How much is run."""

    entities: int
    random: int  # random directions
    doses: tuple[float, ...]
    every: int  # a certificate after every so many blocks; 0: at a third of the depth only
    targets: int  # at most
    points: int  # blocks of the depth profile
    neurons: int  # random ones beside the one in question
    pinned: int  # prompts in which they are pinned and silenced
    longest: int  # tokens of a prompt


SCALES: dict[str, Scale] = {
    "short": Scale(12, 19, (-3.0, -1.5, 0.0, 1.5, 3.0), 0, 1, 10, 9, 10, 13),
    "thorough": Scale(50, 20, (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0), 4, 2, 30, 19, 50, 24),
}


class Causal(NamedTuple):
    """What interventions on one dataset found. Without a neuron its fields are None."""

    table: EntityTable
    prompts: ContrastPrompts
    certificates: tuple[Certificate, ...]
    distance: tuple[float, ...]  # of each: root-mean-square distance of activations from their mean; NaN without rows
    profile: DepthProfile
    profile_dose: float
    neuron: tuple[int, int] | None  # block and index
    rho: float  # Spearman's ρ of the neuron with the first target, over the names that its values are taken from
    random: np.ndarray  # other neurons of its block, treated alike
    pins: Pins | None  # values in the order of PINNED_AT
    ablation: Ablation | None
    pieces: tuple[tuple[str, ...], ...]  # tokens of the ablated statements as text
    parts: tuple[Part, ...]  # after the block at a third of the depth, of the first target's direction
    words: tuple[tuple[str, str], ...]  # of every part of the vocabulary: its name and its token as text


class _Subject(NamedTuple):
    """What is intervened on."""

    loaded: LoadedModel
    table: EntityTable
    prompts: ContrastPrompts
    weights: np.ndarray  # [block, width, target]
    size: Scale
    seed: int
    say: Callable[[str], None]

    def step(self, block: int, target: int) -> jax.Array:
        """One standard deviation of the target, by the probe after ``block``."""
        return read_out_dose(jnp.asarray(self.weights[block, :, target]), 1.0)


def causal_of(
    loaded: LoadedModel,
    table: EntityTable,
    directions: Float[np.ndarray, "layer width target"],
    rows: Float[np.ndarray, "layer entity width"] | None = None,
    *,
    neuron: tuple[int, int] | None = None,
    start: str | int = "newline",
    scale: Literal["short", "thorough"] = "short",
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Causal:
    """Move entities along the probes' directions, pin and silence a neuron, and look where the weights point.

    "short" is twelve entities at one block, whatever the table. "thorough" is fifty entities, every fourth block and
    all targets, some hundred times as many tokens: for an accelerator.

    Args:
        directions: of ridge probes for standardised targets; layer 0 is the embedding, layer l after block l.
        rows: activations at the same layers, for random steps among them; without, all random steps are isotropic.
        neuron: (block, index) of the one to pin and to silence.
        start: token before every name; that with which ``directions`` were fitted.

    Raises:
        InputError: an unknown start token, or a table with no entity to ask for.
    """
    size = SCALES[scale]
    prompts = contrast_prompts(
        loaded.tokenizer, table, size.entities, start=start, seed=seed, longest=size.longest
    )  # fmt: skip
    weights = np.asarray(directions[1:], np.float32)
    s = _Subject(loaded, table, prompts, weights, size, seed, progress or (lambda _: None))
    early = len(weights) // 3
    blocks = tuple(range(early % size.every, len(weights), size.every)) if size.every else (early,)
    certificates, distance = _certificates(s, rows, blocks)
    dose = max(size.doses)
    of_neuron = _Neuron() if neuron is None else _neuron(s, neuron, start)
    key = jax.random.fold_in(jax.random.key(seed), 1)
    span = None if rows is None else leading_span(rows[early + 1])[0]
    composed = parts(loaded.model, jnp.asarray(weights[early, :, 0]), early + 1, key, size.random, span)
    words = tuple((p.name, loaded.tokenizer.decode([p.unit])) for p in composed if p.layer < 0)
    return Causal(
        table, prompts, certificates, distance, _profile(s, dose), dose, neuron, *of_neuron, composed, words
    )  # fmt: skip


def _certificates(
    s: _Subject, rows: np.ndarray | None, blocks: tuple[int, ...]
) -> tuple[tuple[Certificate, ...], tuple[float, ...]]:
    found, distance = [], []
    for block in blocks:
        span, far = (None, float("nan")) if rows is None else leading_span(rows[block + 1])
        for target in range(min(s.size.targets, s.weights.shape[2])):
            s.say(f"{s.table.key}: {s.table.target_names[target]} moved after block {block}")
            key = jax.random.fold_in(jax.random.key(s.seed), 2 + block * s.weights.shape[2] + target)
            found.append(
                certify(
                    s.loaded.model, s.prompts.contrast, s.step(block, target), block, s.size.doses, s.weights, key,
                    s.size.random, span=span, target=target, sd=float(s.table.targets[:, target].std()),
                )
            )  # fmt: skip
            distance.append(far)
    return tuple(found), tuple(distance)


def leading_span(rows: Float[np.ndarray, "entity width"]) -> tuple[jax.Array, float]:
    """Leading principal components of activations, as orthonormal rows, and their root-mean-square distance from the
    mean."""
    off = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    vectors = np.linalg.eigh(off.T @ off)[1]
    count = min(COMPONENTS, rows.shape[1], len(rows) - 1)
    return jnp.asarray(vectors[:, ::-1][:, :count].T, jnp.float32), float(np.sqrt(np.mean(np.sum(off**2, axis=1))))


def _profile(s: _Subject, dose: float) -> DepthProfile:
    s.say(f"{s.table.key}: {s.table.target_names[0]} moved at every depth")
    depth = len(s.weights)
    blocks = np.unique(np.linspace(0, depth - 1, min(s.size.points, depth)).round().astype(int))
    steps = np.stack([np.asarray(s.step(int(block), 0)) for block in blocks])
    sd = float(s.table.targets[:, 0].std())
    return depth_profile(s.loaded.model, s.prompts.contrast, steps, blocks, dose, s.weights, sd=sd)


class _Neuron(NamedTuple):
    rho: float = float("nan")
    random: np.ndarray = np.zeros(0, int)
    pins: Pins | None = None
    ablation: Ablation | None = None
    pieces: tuple[tuple[str, ...], ...] = ()


def _neuron(s: _Subject, neuron: tuple[int, int], start: str | int) -> _Neuron:
    """The neuron and random ones of its block; nothing is measured where there is nothing to say."""
    (block, index), model, table = neuron, s.loaded.model, s.table
    random = random_neurons(s.seed, s.loaded.config.d_mlp, s.size.neurons, index)
    if not s.prompts.statements:
        return _Neuron(random=random)
    s.say(f"{table.key}: neuron {index} of block {block} pinned and silenced")
    some = table.sample(_NAMES_FOR_SPREAD, s.seed)
    names = entity_prompts(s.loaded.tokenizer, some.texts, _EMPTY, start=start)
    seen = collect(model, names.tokens, names.last, sites=("mlp_act",), layers=(block,))["mlp_act"][0]
    all_of_them = np.concatenate(([index], random))
    seen = seen[:, all_of_them].astype(np.float64)
    values = seen.mean(axis=0)[:, None] + seen.std(axis=0)[:, None] * np.array(PINNED_AT)
    pins = pin_curve(model, s.prompts.contrast.first(s.size.pinned), block, all_of_them, values)
    told = s.prompts.statements[: s.size.pinned]
    ablation = ablation_loss(model, told, [(block, int(k)) for k in all_of_them])
    pieces = tuple(tuple(s.loaded.tokenizer.decode([int(token)]) for token in tokens) for tokens in told)
    return _Neuron(spearman(seen[:, 0], some.targets[:, 0]), random, pins, ablation, pieces)
