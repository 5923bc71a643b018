"""A language model as an exact, differentiable predictive distribution over numbers.

>>> import jax, numpy as np, llmworld_jax as lw
>>> series = np.sin(0.5 * np.arange(60))
>>> loaded = lw.load()  # SmolLM2-135M, fetched once
>>> codec = lw.number_codec(loaded.tokenizer, lw.rescaled(series, precision=2))
>>> prompt = lw.with_forecast(codec.prompt(codec.numerals.encode(series)))
>>> laws = lw.number_laws(loaded.model, codec, prompt)
>>> laws.log_mass.shape  # 60 values and the one to come, in 100 bins
(61, 100)
>>> mean = np.exp(laws.log_mass) @ codec.numerals.decode(np.arange(100))
>>> bool(abs(mean[60] - np.sin(0.5 * 60)) < 0.2)
True

Everything is a pure function, so the same works under your own transforms, here the gradient of the surprise:

>>> def surprise(embeddings):
...     now = prompt._replace(item_at=prompt.item_at[59:60])  # the law of item 59 only
...     laws = lw.number_laws(loaded.model, codec, now, embeddings=embeddings, remat=True)
...     return -laws.log_mass[0, int(codec.numerals.encode(series[59]))]
>>> slope = jax.jit(jax.grad(surprise))(lw.embed(loaded.model, prompt.tokens))
>>> [bool(np.any(slope[at])) for at in (prompt.item_at[58], prompt.item_at[59])]  # the past matters, the item does not
[True, False]

Names are imported when they are first used: ``import llmworld_jax`` loads nothing, and starts no device.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .codec import NumberCodec, number_codec
    from .digit_tree import coarse
    from .errors import InputError
    from .expansion import ExpandedLaws, expanded_laws
    from .laws import Laws, number_laws, with_forecast
    from .models.catalogue import MODELS, LoadedModel, load
    from .models.config import ModelConfig, RopeScaling
    from .models.forward import Branches, KVCache, Output, embed, forward, logits, tree_forward
    from .models.llama import Llama
    from .numerals import Numerals, display_units, rescaled
    from .prompts import Prompt
    from .vocabulary import Tokenizer, WrappedTokenizer

    __version__: str

_NAMES = {
    "codec": ("NumberCodec", "number_codec"),
    "digit_tree": ("coarse",),
    "errors": ("InputError",),
    "expansion": ("ExpandedLaws", "expanded_laws"),
    "laws": ("Laws", "number_laws", "with_forecast"),
    "models.catalogue": ("MODELS", "LoadedModel", "load"),
    "models.config": ("ModelConfig", "RopeScaling"),
    "models.forward": ("Branches", "KVCache", "Output", "embed", "forward", "logits", "tree_forward"),
    "models.llama": ("Llama",),
    "numerals": ("Numerals", "display_units", "rescaled"),
    "prompts": ("Prompt",),
    "vocabulary": ("Tokenizer", "WrappedTokenizer"),
}

__all__ = [
    "MODELS",
    "Branches",
    "ExpandedLaws",
    "InputError",
    "KVCache",
    "Laws",
    "Llama",
    "LoadedModel",
    "ModelConfig",
    "NumberCodec",
    "Numerals",
    "Output",
    "Prompt",
    "RopeScaling",
    "Tokenizer",
    "WrappedTokenizer",
    "__version__",
    "coarse",
    "display_units",
    "embed",
    "expanded_laws",
    "forward",
    "load",
    "logits",
    "number_codec",
    "number_laws",
    "rescaled",
    "tree_forward",
    "with_forecast",
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
