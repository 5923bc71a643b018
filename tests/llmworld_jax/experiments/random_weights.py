"""Random weights of a tiny model folder: such that neither its laws nor its attention are trivial.

llmworld_jax is imported inside the function, because jaxtyping's checker must be installed first.
"""

from pathlib import Path

import numpy as np


def write_weights(folder: Path, config: dict, seed: int) -> None:
    """``model.safetensors`` for ``config`` (as in config.json)."""
    from llmworld_jax.models.checkpoint import tensor_shapes
    from llmworld_jax.models.config_keys import parse_config
    from llmworld_jax.models.safetensors_files import write_safetensors

    shapes, random = tensor_shapes(parse_config(config)), np.random.default_rng(seed)

    def weights(name: str) -> np.ndarray:
        shape = shapes[name]
        if "norm" in name:
            return random.uniform(0.7, 1.3, shape)
        return random.normal(0, 0.3 if "embed" in name else 1.5 / np.sqrt(shape[-1]), shape)

    write_safetensors(folder / "model.safetensors", shapes, weights)
