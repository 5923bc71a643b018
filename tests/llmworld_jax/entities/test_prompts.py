"""Where an entity stands in its prompt, against decoding what stands there."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from llmworld_jax.entities.prompts import (
    PROMPT_KINDS,
    EntityPrompts,
    PromptKind,
    entity_prompts,
    parse_entity_start,
    prompt_kinds,
)
from llmworld_jax.entities.sources import ENTITIES, PAPER_FILES, load_entities
from llmworld_jax.errors import InputError
from llmworld_jax.vocabulary import WrappedTokenizer

TEXTS = ("Paris", "San José, the 2nd", "Zürich", "日本 12", "'s-Hertogenbosch", "O", "the the")
EMPTY = PromptKind("empty", "")
WHERE = PromptKind("where", "Where is ")
KINDS = (EMPTY, WHERE, PromptKind("caps", "the ", caps=True), PromptKind("full", "", period=True))


def span(tokenizer, prompts: EntityPrompts, i: int) -> str:
    return tokenizer.decode(prompts.tokens[i][prompts.first[i] : prompts.last[i] + 1].tolist())


def before(prompts: EntityPrompts, i: int) -> list[int]:
    return prompts.tokens[i][: prompts.first[i]].tolist()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_the_span_decodes_to_the_entity_and_what_is_before_it_to_the_prefix(regular_tokenizer, kind):
    prompts = entity_prompts(regular_tokenizer, TEXTS, kind, start="none")
    for i, text in enumerate(TEXTS):
        written = kind.written(text)
        assert span(regular_tokenizer, prompts, i).strip() == written
        assert regular_tokenizer.decode(before(prompts, i)).strip() == kind.prefix.strip()
        assert regular_tokenizer.decode(prompts.tokens[i].tolist()).strip() == kind.prefix + written
        assert prompts.last[i] == len(prompts.tokens[i]) - 1
        assert prompts.tokens[i].dtype == np.int32


def test_a_repeated_word_is_not_mistaken_for_the_entity(single_tokenizer):
    """The name is in the prefix too: a search for its tokens would find the wrong place."""
    prompts = entity_prompts(single_tokenizer, ["the"], PromptKind("the", "the the "), start="none")
    assert prompts.first.tolist() == prompts.last.tolist() == [4]


@pytest.mark.parametrize("start", ["newline", "bos", 7])
def test_a_start_token_moves_everything_by_one(chunk_tokenizer, start):
    kind = WHERE
    bare = entity_prompts(chunk_tokenizer, TEXTS, kind, start="none")
    started = entity_prompts(chunk_tokenizer, TEXTS, kind, start=start)
    first = {"newline": chunk_tokenizer.encode("\n")[-1], "bos": chunk_tokenizer.bos_token, 7: 7}[start]
    for plain, longer in zip(bare.tokens, started.tokens):
        assert longer.tolist() == [first, *plain.tolist()]
    np.testing.assert_array_equal(started.first, bare.first + 1)
    np.testing.assert_array_equal(started.last, bare.last + 1)


def test_newline_is_the_default_and_one_token(regular_tokenizer):
    prompts = entity_prompts(regular_tokenizer, ["Paris"], EMPTY)
    (newline,) = before(prompts, 0)[:1]
    assert regular_tokenizer.decode([newline]) == "\n"
    assert len(prompts.tokens[0]) == 1 + len(regular_tokenizer.encode("Paris"))


def test_random_tokens_stand_between_the_start_and_the_prefix(chunk_tokenizer):
    kind = PromptKind("noise", "Where is ", random_tokens=10)
    plain = entity_prompts(chunk_tokenizer, TEXTS, WHERE)
    noisy = entity_prompts(chunk_tokenizer, TEXTS, kind, seed=1)
    largest = max(int(tokens[1:].max()) for tokens in plain.tokens)
    drawn = np.stack([tokens[1:11] for tokens in noisy.tokens])
    for i in range(len(TEXTS)):
        assert noisy.tokens[i].tolist() == [plain.tokens[i][0], *drawn[i].tolist(), *plain.tokens[i][1:].tolist()]
    np.testing.assert_array_equal(noisy.first, plain.first + 10)
    np.testing.assert_array_equal(noisy.last, plain.last + 10)
    assert len(np.unique(drawn, axis=0)) == len(TEXTS)
    many = np.concatenate([tokens[1:11] for tokens in entity_prompts(chunk_tokenizer, TEXTS * 300, kind).tokens])
    assert (many.min(), many.max()) == (100, largest - 1)
    assert many.mean() == pytest.approx((99 + largest) / 2, rel=0.02)
    again = entity_prompts(chunk_tokenizer, TEXTS, kind, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(noisy.tokens, again.tokens))
    other = entity_prompts(chunk_tokenizer, TEXTS, kind, seed=2)
    assert not any(np.array_equal(a, b) for a, b in zip(noisy.tokens, other.tokens))


def test_a_vocabulary_below_one_hundred_has_random_tokens_too():
    letters = WrappedTokenizer(Tokenizer(models.BPE({"a": 0, "b": 1, "c": 2, "\n": 3}, [])))
    prompts = entity_prompts(letters, ["abc"] * 50, PromptKind("noise", "", random_tokens=4))
    assert {int(t) for tokens in prompts.tokens for t in tokens[1:5]} == {0, 1}


def test_a_token_that_holds_words_of_the_prefix_is_refused(merging_tokenizer):
    """ ",7" is one token: the entity has none of its own."""
    with pytest.raises(InputError, match=r"line 9: '7', whose first token holds ',' of the prompt ','"):
        entity_prompts(merging_tokenizer, ["7"], PromptKind("comma", ","), start="none", rows=[9])
    assert entity_prompts(merging_tokenizer, ["7"], PromptKind("comma", ", "), start="none").first.tolist() == [2]


def test_white_space_may_be_shared_with_the_prefix():
    """ "_a" is one token, as "Ġa" is in a byte-level vocabulary."""
    vocab = {"in": 0, " a": 1, "a": 2, "b": 3, " ": 4, "i": 5, "n": 6}
    tokenizer = WrappedTokenizer(Tokenizer(models.BPE(vocab, [("i", "n"), (" ", "a")])))
    prompts = entity_prompts(tokenizer, ["ab"], PromptKind("in", "in "), start="none")
    assert prompts.tokens[0].tolist() == [0, 1, 3]
    assert (prompts.first[0], prompts.last[0]) == (1, 2)


def test_a_text_that_is_nothing(single_tokenizer):
    with pytest.raises(InputError, match=r"2 empty entities: line 3: ' '; line 4: ''"):
        entity_prompts(single_tokenizer, ["A", " ", ""], EMPTY, rows=np.array([2, 3, 4]))
    with pytest.raises(InputError, match="1 empty entities: entity 0"):
        entity_prompts(single_tokenizer, ["."], PromptKind("bare", "", period=False))
    letters = WrappedTokenizer(Tokenizer(models.BPE({"a": 0}, [])))
    with pytest.raises(InputError, match="to which the tokenizer gives no token"):
        entity_prompts(letters, ["日"], EMPTY, start="none")


def test_names_longer_than_the_context_are_listed(single_tokenizer):
    texts = ["ab", "abcdef", "abcde", "abcdefg"]
    assert len(entity_prompts(single_tokenizer, texts, EMPTY, context=8).tokens[3]) == 8
    with pytest.raises(InputError, match=r"2 prompts that are too long: line 12 has 7: 'abcdef'; line 14 has 8"):
        entity_prompts(single_tokenizer, texts, EMPTY, context=6, rows=[11, 12, 13, 14])


@pytest.mark.parametrize("start", ["newlines", -1, 10**6])
def test_a_start_that_is_none(single_tokenizer, start):
    with pytest.raises(InputError, match="none, bos, newline or a token id in 0"):
        entity_prompts(single_tokenizer, ["A"], EMPTY, start=start)


def test_a_start_that_the_tokenizer_lacks(single_tokenizer):
    with pytest.raises(InputError, match="bos"):
        entity_prompts(single_tokenizer, ["A"], EMPTY, start="bos")
    letters = WrappedTokenizer(Tokenizer(models.BPE({"a": 0, "<unk>": 1}, [], unk_token="<unk>")))
    with pytest.raises(InputError, match="newline"):
        entity_prompts(letters, ["a"], EMPTY)


@pytest.mark.parametrize(("typed", "meant"), [("none", "none"), ("bos", "bos"), ("newline", "newline"), ("17", 17)])
def test_a_start_as_typed(typed, meant):
    assert parse_entity_start(typed) == meant


def test_a_start_mistyped():
    with pytest.raises(InputError, match="start token 'nl'"):
        parse_entity_start("nl")


@pytest.mark.parametrize(
    ("period", "text", "written"),
    [
        (None, "Done.", "Done."),
        (True, "Done", "Done."),
        (True, "Done.", "Done."),
        (False, "Done.", "Done"),
        (False, "A..", "A."),
    ],
)
def test_the_full_stop(period, text, written):
    assert PromptKind("x", "", period=period).written(text) == written


@pytest.mark.parametrize("key", PROMPT_KINDS)
def test_prompts_are_prefixes(key):
    """Every family has one without words; a prefix with words ends in a blank, so that no word grows into the name."""
    kinds = PROMPT_KINDS[key]
    assert all(name == kind.key for name, kind in kinds.items())
    assert all(kind.prefix == "" or kind.prefix.endswith(" ") for kind in kinds.values())
    assert kinds["empty"].prefix == ""
    assert len({(k.prefix, k.caps, k.random_tokens, k.period) for k in kinds.values()}) == len(kinds)


def test_every_table_has_prompts_of_its_own_and_any_other_those_of_its_kind():
    assert set(PROMPT_KINDS) >= {*ENTITIES, *PAPER_FILES, "place", "time", "number"}
    assert all(len(PROMPT_KINDS[name]) == 4 for name in (*ENTITIES, *PAPER_FILES))
    assert "where_us" in prompt_kinds("us_cities", "place")
    assert prompt_kinds("my towns", "place") is PROMPT_KINDS["place"]


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("name", ENTITIES)
def test_every_prompt_of_every_table_with_the_default_tokenizer(name):
    from llmworld_jax.models.catalogue import DEFAULT, load_tokenizer, locate, read_config

    folder = locate(DEFAULT).folder
    tokenizer = load_tokenizer(folder, read_config(folder / "config.json"))
    table = load_entities(name).sample(300)
    for kind in prompt_kinds(name, table.kind).values():
        prompts = entity_prompts(tokenizer, table.texts, kind, context=64, rows=table.rows)
        for i, text in enumerate(table.texts):
            assert span(tokenizer, prompts, i).strip() == kind.written(text)
            said = tokenizer.decode(before(prompts, i)[1 + kind.random_tokens :])
            assert said.strip() == kind.prefix.strip()
