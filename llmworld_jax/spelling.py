"""How a tokenizer spells numbers: where it cuts them, and what it puts before the first one."""

from collections.abc import Sequence
from itertools import product, takewhile
from typing import NamedTuple

from .errors import InputError
from .vocabulary import DigitTokens, Tokenizer

_SINGLE = 'scheme="single", which puts the ids of single digits together directly'
Levels = tuple[tuple[int, ...], ...]


class Written(NamedTuple):
    """Numbers as the tokenizer writes them between separators: ``tokens[i]`` spell ``numbers[i]``."""

    numbers: list[str]
    tokens: list[tuple[int, ...]]
    separator: str
    separator_tokens: tuple[int, ...]


def write_numbers(
    tokenizer: Tokenizer, digits: DigitTokens, numbers: Sequence[str], separator: str, at_once: int = 1000
) -> Written:
    """Encode separator + number + separator + ..., ``at_once`` numbers a text, and find each in the ids.

    Raises InputError naming the first number whose digits, or whose separator, are not tokens of their own.
    """
    texts = digits.texts
    first = tokenizer.encode(separator + numbers[0] + separator)
    separator_tokens = tuple(takewhile(lambda token: token not in texts, reversed(first)))[::-1]
    tokens = []
    for begin in range(0, len(numbers), at_once):
        block = numbers[begin : begin + at_once]
        ids = tokenizer.encode(separator + separator.join(block) + separator)
        at = next((i for i, token in enumerate(ids) if token in texts), 0)
        for number in block:
            stop, read = at, ""
            while len(read) < len(number) and stop < len(ids):
                read += texts.get(ids[stop], " " * len(number))
                stop += 1
            end = stop + len(separator_tokens)
            if read != number or tuple(ids[stop:end]) != separator_tokens:
                raise _misfit(tokenizer, digits, number, separator, ids[max(at - 1, 0) : end + 1])
            tokens.append(tuple(ids[at:stop]))
            at = end
        if at != len(ids):
            raise _misfit(tokenizer, digits, block[-1], separator, ids[max(at - 2, 0) :])
    return Written(list(numbers), tokens, separator, separator_tokens)


def cut(tokenizer: Tokenizer, digits: DigitTokens, written: Written) -> tuple[int, ...]:
    """Digits in each token of a number: (1, 1, 1) on SmolLM2, (3,) on Llama-3.

    Raises InputError when two numbers are cut at different places (GPT-2), naming them.
    """
    examples: dict[tuple[int, ...], int] = {}
    for i, tokens in enumerate(written.tokens):
        examples.setdefault(tuple(len(digits.texts[token]) for token in tokens), i)
    if len(examples) > 1:
        one, other = list(examples.values())[:2]
        raise InputError(
            " but ".join(f"{written.numbers[i]!r} as {spelt(tokenizer, written.tokens[i])}" for i in (one, other)),
            f"all numbers cut at the same places (the vocabulary's digit tokens are {digits.kind})",
            f"Choose another tokenizer, precision 1, or {_SINGLE}",
        )
    return next(iter(examples))


def trie_levels(digits: DigitTokens, written: Written, widths: tuple[int, ...], base: int) -> Levels:
    """levels[l][j]: the token of the j-th string of ``widths[l]`` digits at depth l, in whatever number.

    Raises InputError when the token depends on the rest of the number, or a string was never seen.
    """
    seen: dict[tuple[int, str], int] = {}
    for number, tokens in zip(written.numbers, written.tokens):
        for depth, token in enumerate(tokens):
            text = digits.texts[token]
            usual = seen.setdefault((depth, text), token)
            if usual != token:
                got = f"{text!r} as {token} in {number!r}, elsewhere as {usual}"
                raise InputError(got, "one token for each string of digits", "Choose another tokenizer")
    strings = [["".join(s) for s in product("0123456789"[:base], repeat=width)] for width in widths]
    unseen = [s for depth, level in enumerate(strings) for s in level if (depth, s) not in seen]
    if unseen:
        got = f"no token for {unseen[0]!r} among the numbers tried"
        raise InputError(got, "a token for every string of digits", "Choose another tokenizer or precision")
    return tuple(tuple(seen[depth, s] for s in level) for depth, level in enumerate(strings))


def lead_tokens(tokenizer: Tokenizer, written: Written) -> tuple[int, ...]:
    """What the tokenizer puts before the first number of a text, measured: () or SentencePiece's "▁".

    Raises InputError when a text's first number is not written as later ones are, or its lead varies.
    """
    leads = {}
    for number, tokens in {n[0]: (n, t) for n, t in zip(written.numbers, written.tokens)}.values():
        text = number + written.separator
        expected = [*tokens, *written.separator_tokens]
        ids = tokenizer.encode(text)
        lead, rest = ids[: -len(expected)], ids[-len(expected) :]
        if rest != expected or tokenizer.decode(lead).strip():
            raise InputError(
                f"{text!r} at the beginning of a text written as {spelt(tokenizer, ids)}",
                f"{spelt(tokenizer, expected)}, as after a separator, with at most a blank before it",
                "Choose another tokenizer, one that adds no special tokens",
            )
        leads[tuple(lead)] = text
    if len(leads) > 1:
        got = f"different tokens before the first number: {leads}"
        raise InputError(got, "the same before every number", "Choose another tokenizer")
    return next(iter(leads))


def spelt(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Ids with their texts, for messages."""
    return " ".join(f"{token}={tokenizer.decode([token])!r}" for token in ids)


def _misfit(tokenizer: Tokenizer, digits: DigitTokens, number: str, separator: str, ids: Sequence[int]) -> InputError:
    remedy = 'Choose a separator that joins with no digit, such as "," or ";"'
    if not separator:
        remedy = f'Give a separator such as ",", or choose {_SINGLE}'
    return InputError(
        f"{number!r} followed by the separator {separator!r} written as {spelt(tokenizer, ids)}",
        f"digits and separator as tokens of their own (the vocabulary's digit tokens are {digits.kind})",
        remedy,
    )
