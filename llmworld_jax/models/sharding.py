"""Which dimension of which parameter lies on the mesh's ``model`` axis: rules by path, outside the model.

Queries, keys and values are divided over their heads, neurons over themselves, the embedding over the vocabulary, and
what reads heads or neurons over the same. A matrix product then needs no communication before the sum over heads or
neurons that ends each half of a block (Shoeybi et al., 1909.08053). What does not divide evenly is held whole by every
device, and said so.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .config import ModelConfig
from .llama import Llama

DATA, MODEL = "data", "model"


class Rule(NamedTuple):
    """The dimension that is divided, and into how many pieces it can be cut."""

    dimension: int
    pieces: Callable[[ModelConfig], int]
    what: str


_HEADS = (lambda c: c.num_heads, "heads")
_KV_HEADS = (lambda c: c.num_kv_heads, "key/value heads")
_NEURONS = (lambda c: c.d_mlp, "neurons")
_VOCABULARY = (lambda c: c.vocab_size, "tokens")

RULES: dict[str, Rule] = {
    "embed": Rule(0, *_VOCABULARY),
    "layers.q": Rule(2, *_HEADS),
    "layers.k": Rule(2, *_KV_HEADS),
    "layers.v": Rule(2, *_KV_HEADS),
    "layers.q_bias": Rule(1, *_HEADS),
    "layers.k_bias": Rule(1, *_KV_HEADS),
    "layers.v_bias": Rule(1, *_KV_HEADS),
    "layers.o": Rule(1, *_HEADS),
    "layers.gate": Rule(2, *_NEURONS),
    "layers.up": Rule(2, *_NEURONS),
    "layers.down": Rule(1, *_NEURONS),
    "head": Rule(1, *_VOCABULARY),
}
"""Our path -> how it is divided; a path that is not here is held whole."""


def partition_spec(path: str, config: ModelConfig, devices: int) -> PartitionSpec:
    """Of one parameter, with ``devices`` on the model axis; also of the parts of a quantised one."""
    parent, _, part = path.rpartition(".")
    quantised = part in ("values", "scale")
    rule = RULES.get(parent if quantised else path)
    if rule is None or devices == 1 or rule.pieces(config) % devices:
        return PartitionSpec()
    if part == "scale":  # one number for each output: it has no input dimension
        return PartitionSpec(None, MODEL) if rule.dimension == 2 else PartitionSpec()
    return PartitionSpec(*[None] * rule.dimension, MODEL)


def held_whole(config: ModelConfig, devices: int) -> dict[str, str]:
    """Parameters that ``devices`` cannot share though there is a rule for them, and why: ``9 heads over 2``."""
    present = parameter_paths(config)
    return {
        path: f"{rule.pieces(config)} {rule.what} over {devices}"
        for path, rule in RULES.items()
        if path in present and rule.pieces(config) % devices
    }


def parameter_paths(config: ModelConfig) -> dict[str, jax.ShapeDtypeStruct]:
    """Our path -> shape of every parameter of a model of this config."""
    return named_leaves(jax.eval_shape(lambda: Llama(config, key=jax.random.key(0))))


def named_leaves(model: Any) -> dict[str, Any]:
    """Our path -> array (or its shape) of every parameter, in the order of ``jax.tree.leaves``."""
    leaves = jax.tree_util.tree_flatten_with_path(model)[0]
    return {path_name(path): leaf for path, leaf in leaves}


def path_name(path: tuple) -> str:
    """``layers.q`` for the key path of that parameter."""
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")


def place_model(model: Llama, mesh: Mesh) -> Llama:
    """The model with every parameter where its rule puts it on ``mesh`` (axes ``data`` and ``model``)."""
    devices = mesh.shape[MODEL]

    def put(path: tuple, leaf: jax.Array) -> jax.Array:
        return jax.device_put(leaf, NamedSharding(mesh, partition_spec(path_name(path), model.config, devices)))

    return jax.tree_util.tree_map_with_path(put, model)
