"""Another graph's coordinates put into the words of a walk: do predictions move to that graph's edges?

The walks are of one graph; the target is the same graph with its nodes relabelled, so that both have as many edges and
one spectrum. An offset of rank two adds the target's smoothest coordinates after one block. Its directions are trained,
for the target's energy at a later layer or for its edges' probability, or taken from the means that the model makes of
walks on the target. Controls have the same length: random directions, and coordinates dealt to other nodes.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy import stats

from analyses import graphs
from systems.walks import random_walk

from ...models.catalogue import LoadedModel
from ...models.forward import forward
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import embed
from ...optimise.descent import State, Step, adam, begin, descend
from ...optimise.seen import Reader, Seen, WalkTask, seen_walk
from ...optimise.steering import steer
from ...store import RunStore
from ...window_sums import NodeSums, node_means
from .config import EnergyConfig
from .driving import Progress, drive
from .losses import relabelled
from .prompts import start_tokens
from .worlds import TestSet, Training, Worlds, draw_task

DOSES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
TRAINED_AT = 0.2
TRAINED, MEANS, RANDOM, SHUFFLED = "trained on {}", "difference of means", "random directions", "coordinates shuffled"
GOALS = ("energy", "edges")
RATE = 0.02


class Steering(NamedTuple):
    """``[direction, dose]`` each, means over test walks, and half 95 % intervals over them of the first two.

    ``to_target``: probability of the target's neighbours of the current word among the nodes' words, ``to_walked`` of
    the walked graph's; shared edges count to neither. ``target_ratio`` and ``walked_ratio``: R of both at ``layer``.
    """

    names: tuple[str, ...]
    doses: np.ndarray
    to_target: np.ndarray
    to_walked: np.ndarray
    to_target_half: np.ndarray
    to_walked_half: np.ndarray
    target_ratio: np.ndarray
    walked_ratio: np.ndarray
    loss: np.ndarray  # [goal, step]
    block: int
    layer: int


class Setting(NamedTuple):
    """What stays the same; hashable."""

    reader: Reader
    block: int  # after which offsets are added, 0 first
    layer: int  # whose R is looked at, 1 first
    length: int
    goal: str = ""


class Scene(NamedTuple):
    """Prompt, coordinates of the target, its edges, and the stream's typical length after the block."""

    prompt: Float[Array, "row d_model"]
    coordinates: Float[Array, "node 2"]
    target: Float[Array, "node node"]
    norm: Float[Array, ""]


def exclusive(one: Float[Array, "node node"], other: Float[Array, "node node"]) -> Float[Array, "node node"]:
    """Edges of one graph that the other does not have."""
    return one * (1 - other)


def share_of(log_probability: Array, nodes: Array, edges: Float[Array, "node node"]) -> Float[Array, ""]:
    """Mean probability of the current node's ``edges`` among the nodes' words."""
    return jnp.mean(jnp.sum(jax.nn.softmax(log_probability, axis=-1) * edges[nodes], axis=-1))


def _ratio(seen: Seen, layer: int, graph: Array) -> Array:
    means, known = seen.activations
    return graphs.dirichlet_ratio(means[layer, 0], graph, known[layer, 0])


def _read(model: Llama, setting: Setting, scene: Scene, directions: Array, dose: Array, task: WalkTask) -> Seen:
    rows = scene.prompt.shape[0]
    edit = steer(
        task, directions, scene.coordinates, layer=setting.block, dose=dose, norm=scene.norm, length=rows, rows=rows
    )
    return seen_walk(model, scene.prompt, rows, task, setting.reader, (edit,))


def _goal(
    model: Llama, setting: Setting, scene: Scene, training: Training, directions: Array, key: Key[Array, ""]
) -> Array:
    task = draw_task(key, training, jnp.asarray(0), setting.length)
    seen = _read(model, setting, scene, directions, jnp.asarray(TRAINED_AT), task)
    if setting.goal == "energy":
        return _ratio(seen, setting.layer, scene.target)
    last = task.nodes[-seen.hidden.shape[0] :]
    edges = exclusive(scene.target, task.adjacency)
    assert seen.laws is not None
    return -jnp.log(share_of(seen.laws.log_probability, last, edges))


@functools.partial(jit_on_mesh, static_argnames=("setting",))
def _step(model: Llama, setting: Setting, scene: Scene, training: Training, state: State) -> Step:
    return descend(state, functools.partial(_goal, model, setting, scene, training), adam(RATE))


@functools.partial(jit_on_mesh, static_argnames=("setting",))
def _tested(model: Llama, setting: Setting, scene: Scene, directions: Array, doses: Array, tasks: WalkTask):
    """``[dose, walk]`` shares of both graphs' own edges, and R of both at each dose, walks pooled."""

    def one(dose: Array):
        read = jax.lax.map(lambda task: _read(model, setting, scene, directions, dose, task), tasks)
        walked = tasks.adjacency[0]
        assert read.laws is not None
        nodes = tasks.nodes[:, -read.hidden.shape[1] :]
        own = [
            jax.vmap(share_of, in_axes=(0, 0, None))(read.laws.log_probability, nodes, edges)
            for edges in (exclusive(scene.target, walked), exclusive(walked, scene.target))
        ]
        return *own, *(_ratio(read, setting.layer, graph) for graph in (scene.target, walked))

    return jax.lax.map(one, doses)


def steering_of(
    config: EnergyConfig, loaded: LoadedModel, worlds: Worlds, layer: int, common: dict[str, Any], store: RunStore,
    progress: Progress,
) -> Steering:  # fmt: skip
    """``Steering`` on the first graph with words that were not trained on."""
    key = {"what": "steering", **common, "steps": config.steps, "test": [config.test_walks, config.test_length]}

    def compute() -> dict[str, Any]:
        return _computed(config, loaded, worlds, layer, key, store, progress)._asdict()

    found = store.unit(key, compute)
    arrays = {name: value for name, value in found.items() if name not in ("names", "block", "layer")}
    names = tuple(str(name) for name in found["names"])
    return Steering(names=names, block=int(found["block"]), layer=int(found["layer"]), **arrays)


def _computed(
    config: EnergyConfig, loaded: LoadedModel, worlds: Worlds, layer: int, key: dict[str, Any], store: RunStore,
    progress: Progress,
) -> Steering:  # fmt: skip
    model, block = loaded.model, max(0, round(0.6 * loaded.config.num_layers) - 1)
    test = worlds.tests[len(worlds.graphs)]
    prompt = embed(model, jnp.asarray(start_tokens(loaded, config.start_text)))
    number = worlds.graphs[0].num_nodes  # without what fills it up to the largest graph
    training = worlds.training._replace(
        adjacency=worlds.training.adjacency[:1, :number, :number], real=worlds.training.real[:1, :number]
    )
    target = relabelled(jax.random.key(config.seed + 11), jax.tree.map(lambda x: x[0], test.tasks))
    reader = Reader(config.window)
    scene = Scene(prompt, graphs.spectral_embedding(target, 2), target, jnp.ones(()))
    norm = _typical(model, prompt, test.tasks, block)
    scene = scene._replace(norm=norm)
    directions: dict[str, tuple[Array, Array]] = {}
    losses = []
    for goal in GOALS:
        read = reader if goal == "edges" else reader._replace(blocks=layer, laws=False)
        setting = Setting(read, block, layer, config.length, goal)
        start = jax.random.normal(jax.random.key(config.seed + 5), (2, loaded.config.d_model)) / 24
        state = begin(start, adam(RATE), jax.random.key(config.seed))
        step = functools.partial(_step, model, setting, scene, training)
        progress(f"steering for {goal}")
        driven = drive(step, state, config.steps, store, {**key, "goal": goal}, progress)
        losses.append(driven.loss[0])
        directions[TRAINED.format(goal)] = (driven.state.parameters, scene.coordinates)
    directions |= _others(model, config, test, scene, block, directions[TRAINED.format("edges")][0])
    rows = []
    for name, (rank_two, coordinates) in directions.items():
        progress(f"steering by {name}")
        at = Setting(reader, block, layer, config.test_length)
        rows.append(_tested(model, at, scene._replace(coordinates=coordinates), rank_two, jnp.array(DOSES), test.tasks))
    to_target, to_walked, target_ratio, walked_ratio = (np.stack(part) for part in zip(*rows))
    count = to_target.shape[-1]
    half = stats.t.ppf(0.975, count - 1) / np.sqrt(count)
    return Steering(
        tuple(directions), np.array(DOSES), to_target.mean(-1), to_walked.mean(-1), half * to_target.std(-1, ddof=1),
        half * to_walked.std(-1, ddof=1), target_ratio, walked_ratio, np.array(losses), block, layer,
    )  # fmt: skip


def _others(
    model: Llama, config: EnergyConfig, test: TestSet, scene: Scene, block: int, trained: Array
) -> dict[str, tuple[Array, Array]]:
    """Directions that were not trained, and the trained ones with coordinates of other nodes."""
    number = scene.target.shape[0]
    mixed = jax.random.permutation(jax.random.key(config.seed + 13), number)
    one = jax.tree.map(lambda x: x[0], test.tasks)

    def means(key: Array) -> NodeSums:
        nodes = random_walk(key, scene.target, config.test_length)
        reader = Reader(config.window, blocks=block + 1, laws=False, normalise=False)
        task = WalkTask(nodes, one.word_ids, scene.target, one.real)
        return seen_walk(model, scene.prompt, scene.prompt.shape[0], task, reader).sums

    sums = jax.lax.map(means, jax.random.split(jax.random.key(config.seed + 17), config.test_walks))
    rows = node_means(sums).means[-1, 0]
    by_means = jnp.matmul(scene.coordinates.T, rows - rows.mean(axis=0), precision="highest")
    random = jax.random.normal(jax.random.key(config.seed + 19), by_means.shape)
    return {
        MEANS: (by_means, scene.coordinates),
        RANDOM: (random, scene.coordinates),
        SHUFFLED: (trained, scene.coordinates[mixed]),
    }


@functools.partial(jit_on_mesh, static_argnames=("block",))
def _typical(model: Llama, prompt: Array, tasks: WalkTask, block: int) -> Float[Array, ""]:
    """Median length of the walk's vectors after ``block``."""
    inputs = jnp.concatenate((prompt, embed(model, tasks.word_ids[0][tasks.nodes[0]])))

    def lengths(sites: dict[str, Array]) -> Array:
        return jnp.median(jnp.linalg.norm(sites["resid_post"][prompt.shape[0] :], axis=-1))

    return forward(model, inputs, taps=("resid_post",), reduce=lengths, blocks=block + 1).taps[-1]
