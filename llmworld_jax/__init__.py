"""A language model as an exact, differentiable predictive distribution over numbers.

>>> import jax, numpy as np, llmworld_jax as lw
>>> series = np.sin(2 * np.pi * np.arange(60) / 6)
>>> loaded = lw.load()  # SmolLM2-135M, fetched once
>>> codec = lw.number_codec(loaded.tokenizer, lw.rescaled(series, precision=2))
>>> prompt = codec.prompt(codec.numerals.encode(series))
>>> laws = lw.number_laws(loaded.model, codec, lw.with_forecast(prompt))
>>> laws.log_mass.shape  # 60 values and the one to come, in 100 bins
(61, 100)
>>> mean = np.exp(laws.log_mass) @ codec.numerals.decode(np.arange(100))
>>> bool(abs(mean[60] - np.sin(2 * np.pi * 60 / 6)) < 0.05)
True

All of it is pure functions, so your own ``jit``, ``vmap`` and ``grad`` apply. Which tokens does the last law rest on?

>>> def surprise(embeddings):
...     last = prompt._replace(item_at=prompt.item_at[-1:])
...     law = lw.number_laws(loaded.model, codec, last, embeddings=embeddings, remat=True).log_mass[0]
...     return -law[int(codec.numerals.encode(series[-1]))]
>>> slope = jax.grad(surprise)(lw.embed(loaded.model, jax.numpy.asarray(prompt.tokens)))
>>> weight = np.linalg.norm(slope, axis=1)
>>> bool(weight[: prompt.item_at[-1]].min() > 0), float(weight[prompt.item_at[-1] :].max())
(True, 0.0)

Names are imported when they are first used: ``import llmworld_jax`` loads nothing, and starts no device.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .activation_store import read_layer
    from .activations import accumulate, collect, store_activations, stream
    from .codec import NumberCodec, number_codec
    from .digit_tree import coarse
    from .entities.prompts import EntityPrompts, entity_prompts, prompt_kinds
    from .entities.sources import load_entities
    from .entities.table import EntityTable
    from .errors import InputError
    from .expansion import ExpandedLaws, expanded_laws
    from .heads import HeadScores, head_scores
    from .interventions import SubspaceBases, positions_of, read_with_edits, subspace_bases, swap_subspace
    from .laws import Laws, number_laws, with_forecast
    from .models.attention_choice import with_attention
    from .models.capture import capture
    from .models.catalogue import MODELS, LoadedModel, load
    from .models.config import ModelConfig, RopeScaling
    from .models.edits import Edit
    from .models.forward import Branches, KVCache, Output, forward, tree_forward
    from .models.llama import Llama
    from .models.mesh import jit_on_mesh, make_mesh, parse_mesh, vmap_over_data
    from .models.readout import embed, logits
    from .models.sharding import place_model
    from .models.storage import quantise
    from .multivariate import InterleavedCodec, channel_laws, interleaved, separate
    from .numerals import Numerals, display_units, rescaled
    from .prompts import Prompt
    from .queries import query_laws
    from .rollouts import Rollout, rollout
    from .vocabulary import Tokenizer, WrappedTokenizer
    from .walk_prompts import GraphPrompts, graph_prompts
    from .walk_reading import WalkReadings, read_walk, read_walks
    from .window_sums import NodeMeans, NodeSums, node_means, node_sums
    from .word_laws import NodeLaws, node_laws
    from .words import placed_words, word_ids

    __version__: str

_NAMES = {
    "activation_store": ("read_layer",),
    "activations": (
        "accumulate",
        "collect",
        "store_activations",
        "stream",
    ),
    "entities.prompts": (
        "EntityPrompts",
        "entity_prompts",
        "prompt_kinds",
    ),
    "entities.sources": ("load_entities",),
    "entities.table": ("EntityTable",),
    "models.capture": ("capture",),
    "models.edits": ("Edit",),
    "codec": ("NumberCodec", "number_codec"),
    "digit_tree": ("coarse",),
    "errors": ("InputError",),
    "expansion": ("ExpandedLaws", "expanded_laws"),
    "walk_prompts": ("GraphPrompts", "graph_prompts"),
    "heads": ("HeadScores", "head_scores"),
    "interventions": ("SubspaceBases", "positions_of", "read_with_edits", "subspace_bases", "swap_subspace"),
    "laws": ("Laws", "number_laws", "with_forecast"),
    "models.catalogue": ("MODELS", "LoadedModel", "load"),
    "models.config": ("ModelConfig", "RopeScaling"),
    "models.attention_choice": ("with_attention",),
    "models.forward": ("Branches", "KVCache", "Output", "forward", "tree_forward"),
    "models.mesh": ("jit_on_mesh", "make_mesh", "parse_mesh", "vmap_over_data"),
    "models.readout": ("embed", "logits"),
    "models.sharding": ("place_model",),
    "models.storage": ("quantise",),
    "models.llama": ("Llama",),
    "multivariate": ("InterleavedCodec", "channel_laws", "interleaved", "separate"),
    "word_laws": ("NodeLaws", "node_laws"),
    "window_sums": ("NodeMeans", "NodeSums", "node_means", "node_sums"),
    "numerals": ("Numerals", "display_units", "rescaled"),
    "prompts": ("Prompt",),
    "queries": ("query_laws",),
    "rollouts": ("Rollout", "rollout"),
    "vocabulary": ("Tokenizer", "WrappedTokenizer"),
    "walk_reading": ("WalkReadings", "read_walk", "read_walks"),
    "words": ("placed_words", "word_ids"),
}

__all__ = [
    "MODELS",
    "Branches",
    "Edit",
    "EntityPrompts",
    "EntityTable",
    "ExpandedLaws",
    "GraphPrompts",
    "HeadScores",
    "InputError",
    "InterleavedCodec",
    "KVCache",
    "Laws",
    "Llama",
    "LoadedModel",
    "ModelConfig",
    "NodeLaws",
    "NodeMeans",
    "NodeSums",
    "NumberCodec",
    "Numerals",
    "Output",
    "Prompt",
    "Rollout",
    "RopeScaling",
    "SubspaceBases",
    "Tokenizer",
    "WalkReadings",
    "WrappedTokenizer",
    "__version__",
    "accumulate",
    "capture",
    "channel_laws",
    "coarse",
    "collect",
    "display_units",
    "embed",
    "entity_prompts",
    "expanded_laws",
    "forward",
    "graph_prompts",
    "head_scores",
    "interleaved",
    "jit_on_mesh",
    "load",
    "load_entities",
    "logits",
    "make_mesh",
    "node_laws",
    "node_means",
    "node_sums",
    "number_codec",
    "number_laws",
    "parse_mesh",
    "place_model",
    "placed_words",
    "positions_of",
    "prompt_kinds",
    "quantise",
    "query_laws",
    "read_layer",
    "read_walk",
    "read_walks",
    "read_with_edits",
    "rescaled",
    "rollout",
    "separate",
    "store_activations",
    "stream",
    "subspace_bases",
    "swap_subspace",
    "tree_forward",
    "vmap_over_data",
    "with_attention",
    "with_forecast",
    "word_ids",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # else a checker would let any name pass

    def __getattr__(name):
        from importlib import import_module, metadata

        if name == "__version__":
            return metadata.version(__name__)
        for module, names in _NAMES.items():
            if name in names:
                return getattr(import_module(f".{module}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
