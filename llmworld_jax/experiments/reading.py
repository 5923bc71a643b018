"""What every experiment that reads numbers shares: the codec, and checks before long work."""

from ..codec import NumberCodec, number_codec
from ..errors import InputError
from ..models.catalogue import LoadedModel
from ..numerals import Numerals
from ..start import parse_start


def checked_codec(
    loaded: LoadedModel, numerals: Numerals, separator: str, start: str, scheme: str = "auto"
) -> NumberCodec:
    """The codec of this model's tokenizer."""
    return number_codec(loaded.tokenizer, numerals, separator, scheme, parse_start(start))


def check_context(codec: NumberCodec, items: int, loaded: LoadedModel, *, forecast: bool = False) -> None:
    """Refuse a series, with ``forecast`` also one number more, that the model cannot hold. Raises InputError."""
    width = codec.depth + len(codec.separator_tokens)
    # The last digit of the number to come is predicted, never read.
    around = len(codec.prefix_tokens) + (codec.depth - 1 if forecast else 0)
    tokens = around + items * width
    limit = loaded.config.max_positions
    if tokens > limit:
        fit = max(0, (limit - around) // width)
        raise InputError(
            f"{items} items of {width} tokens, {tokens} in all",
            f"at most {limit} tokens, the context of {loaded.provenance['id']}",
            f"Shorten the series to {fit} items, or choose a smaller precision or another model",
        )
