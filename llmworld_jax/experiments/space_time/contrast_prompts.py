"""Prompts of a certificate for the entities of a table, by a given tokenizer: what is read where is known, not guessed.

An entity stands at the start of its prompt, after the start token alone, so that up to its last token the model reads
what it reads under the prompt kind ``empty``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...entities.prompts import PromptKind, entity_prompts
from ...entities.table import EntityTable
from ...errors import InputError
from ...vocabulary import WrappedTokenizer
from .questions import Question, questions
from .responses import Contrast

_EMPTY = PromptKind("empty", "")


class ContrastPrompts(NamedTuple):
    """A contrast and what it is made of. Without a question there are no answers and nothing follows the entities."""

    contrast: Contrast
    entities: np.ndarray  # [prompt], rows of the table
    suffix: str
    words: tuple[str, ...]  # of the answers
    statements: tuple[np.ndarray, ...]  # tokens of each prompt with its true answer; nothing without a question
    missing: str  # why there is no question, or nothing


def contrast_prompts(
    tokenizer: WrappedTokenizer,
    table: EntityTable,
    count: int,
    *,
    start: str | int = "newline",
    seed: int = 0,
    longest: int = 16,
    among: Sequence[int] | None = None,
) -> ContrastPrompts:
    """At most ``count`` entities of the table, drawn at random among those whose answer is known.

    Args:
        longest: tokens that a prompt may have. Entities with longer ones are not drawn (the shortest are, if all are
            longer), which favours names that the tokenizer knows.
        among: rows of the table to draw from; by default all.

    Raises:
        InputError: an unknown start token; no entity to draw from.
    """
    rows = np.arange(len(table)) if among is None else np.asarray(among, int)
    question, ids, missing = _first_that_works(tokenizer, table)
    if question is not None:
        rows = rows[question.known(table)[rows]]
    if not len(rows):
        raise InputError(f"no entity of {table.key} to ask for", "one whose answer is known", "Choose other entities")
    before = _start(tokenizer, table, start)
    suffix = "" if question is None else question.suffix
    random = np.random.default_rng(seed)
    found = _drawn(tokenizer, table, random.permutation(rows), suffix, longest - len(before), count)
    prompts = [(before + tokens, at + len(before)) for _, tokens, at in found]
    entities = np.array([row for row, _, _ in found])
    values = np.zeros((0, table.targets.shape[1])) if question is None else question.values(table)
    kept = np.asarray(np.isfinite(values).all(axis=1))
    contrast = _contrast(prompts, ids[kept], values[kept])
    words = () if question is None else tuple(word for word, keep in zip(question.words, kept) if keep)
    statements = () if question is None else _statements(tokenizer, table, entities, question, before)
    return ContrastPrompts(contrast, entities, suffix, words, statements, missing)


def _first_that_works(tokenizer: WrappedTokenizer, table: EntityTable) -> tuple[Question | None, np.ndarray, str]:
    asked = questions(table)
    why = [f"there is no question for {table.key}, whose answers are words of known value"] if not asked else []
    for question in asked:
        ids, problem = answer_tokens(tokenizer, table.texts[0] + question.suffix, question.words)
        if not problem:
            return question, ids, ""
        why.append(f"“…{question.suffix}”: {problem}")
    return None, np.zeros(0, np.int32), "; ".join(why)


def answer_tokens(tokenizer: WrappedTokenizer, lead: str, words: Sequence[str]) -> tuple[np.ndarray, str]:
    """The one token with which each word continues ``lead``, and what is wrong with them, if anything is.

    A word will do if it adds exactly one token and changes none before it; the tokens must be different.
    """
    before, ids, bad = tokenizer.encode(lead), [], []
    for word in words:
        after = tokenizer.encode(lead + word)
        if len(after) != len(before) + 1 or after[: len(before)] != before:
            bad.append(word)
        ids.append(after[-1])
    if bad:
        return np.array(ids, np.int32), f"not one token each: {', '.join(map(repr, bad[:10]))}"
    return np.array(ids, np.int32), "" if len(set(ids)) == len(ids) else "two words have one token"


def _start(tokenizer: WrappedTokenizer, table: EntityTable, start: str | int) -> list[int]:
    whole = entity_prompts(tokenizer, table.texts[:1], _EMPTY, start=start)
    return whole.tokens[0][: len(whole.tokens[0]) - len(tokenizer.encode(table.texts[0]))].tolist()


def _drawn(
    tokenizer: WrappedTokenizer, table: EntityTable, rows: np.ndarray, suffix: str, longest: int, count: int
) -> list[tuple[int, list[int], int]]:
    """(row, tokens, index of the entity's last token) of the first ``count`` rows that are short enough."""
    fits: list[tuple[int, list[int], int]] = []
    long: list[tuple[int, list[int], int]] = []
    for row in rows:
        text = table.texts[row]
        tokens, offsets = tokenizer.encode_with_offsets(text + suffix)
        inside = [k for k, (begin, end) in enumerate(offsets) if begin < len(text) and end > begin]
        if not inside or offsets[inside[-1]][1] > len(text):
            continue  # the last token of the name holds a letter of what follows
        (fits if len(tokens) <= longest else long).append((int(row), tokens, inside[-1]))
        if len(fits) == count:
            break
    found = fits or sorted(long, key=lambda one: len(one[1]))[:count]
    if not found:
        raise InputError(f"no name of {table.key} that ends with a token", "at least one", "Choose other entities")
    return found


def _contrast(prompts: list[tuple[list[int], int]], answers: np.ndarray, values: np.ndarray) -> Contrast:
    last = np.array([len(tokens) - 1 for tokens, _ in prompts], np.int32)
    rows = np.zeros((len(prompts), last.max() + 1), np.int32)
    for row, (tokens, _) in zip(rows, prompts):
        row[: len(tokens)] = tokens
    at = np.array([at for _, at in prompts], np.int32)
    return Contrast(rows, at, last, answers.astype(np.int32), values.astype(np.float32))


def _statements(
    tokenizer: WrappedTokenizer, table: EntityTable, entities: np.ndarray, question: Question, before: list[int]
) -> tuple[np.ndarray, ...]:
    texts = (table.texts[row] + question.suffix + question.truth(table, int(row)) for row in entities)
    return tuple(np.array([*before, *tokenizer.encode(text)], np.int32) for text in texts)
