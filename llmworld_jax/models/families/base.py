"""What a model family adds to the common core: keys of its config, names in its checkpoints."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..config_reader import Reader

Names = Mapping[str, tuple[str, bool]]
"""Our path -> (name in a Hugging Face checkpoint, stored transposed there)."""


_NONE: Mapping[str, Any] = MappingProxyType({})


def nothing_more(_read: Reader, _num_layers: int) -> dict[str, Any]:
    """The fields of a family that adds none."""
    return {}


class Family(NamedTuple):
    """One family of models.

    Attributes:
        model_type, architecture: what ``config.json`` calls it.
        fields: from the config to the fields of ``ModelConfig`` that this family sets besides the common ones.
        reads: the keys that ``fields`` takes care of.
        required: keys with the only values that are served, besides or in place of the common ones.
        ignored: keys that do not change what the model computes.
        defaults: what Hugging Face takes for a key that is absent.
        names: paths whose name differs from Llama's.
    """

    model_type: str
    architecture: str
    fields: Callable[[Reader, int], dict[str, Any]] = nothing_more
    reads: tuple[str, ...] = ()
    required: Mapping[str, tuple[Any, ...]] = _NONE
    ignored: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = _NONE
    names: Names = _NONE
