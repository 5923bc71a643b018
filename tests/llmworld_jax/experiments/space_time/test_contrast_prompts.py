"""Prompts of a certificate: what stands where, which answers mean what, and what is said where there are none."""

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from llmworld_jax.entities.table import EntityTable
from llmworld_jax.errors import InputError
from llmworld_jax.experiments.space_time.contrast_prompts import answer_tokens, contrast_prompts
from llmworld_jax.experiments.space_time.questions import questions
from llmworld_jax.vocabulary import WrappedTokenizer

YEARS = np.array([1642.0, 1955.0, 999.0, 2001.0, 1000.0, 1999.9, -44.0, 1803.0])
NAMES = ("Galileo", "Einstein", "Otto", "Late", "Early", "Last", "Caesar", "A name of more words than the others")


def table_of(key: str, targets: np.ndarray, groups=None, names=NAMES, kind="time") -> EntityTable:
    place = kind == "place"
    return EntityTable(
        key=key, names=names, texts=names, targets=targets,
        target_names=("longitude", "latitude") if place else ("year",), units=("degrees",) * 2 if place else ("years",),
        kind=kind, groups=groups or {}, held_out=None, rows=np.arange(len(names)) + 2, source="", licence="",
    )  # fmt: skip


@pytest.fixture
def people():
    return table_of("historical_figures", YEARS[:, None])


@pytest.fixture(scope="module")
def words():
    """Whole words with the blank before them; what is not known is <unk>."""
    known = ["<unk>", "\n", "Lima", "Oslo", "Cairo", "Quito", " is", " located", " on", " the", " continent", " of"]
    known += [" Africa", " Asia", " Europe", " North", " South", " Australia"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(known)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s?[^\s]+|\s"), "isolated")
    return WrappedTokenizer(tokenizer)


@pytest.fixture
def cities():
    where = np.array([[-77.0, -12], [11, 60], [31, 30], [-78, 0]])
    continent = np.array(["South America", "Europe", "Africa", "South America"])
    return table_of("made_up", where, {"continent": continent}, ("Lima", "Oslo", "Cairo", "Quito"), "place")


def test_years_are_asked_for_by_their_next_digit(single_tokenizer, people):
    made = contrast_prompts(single_tokenizer, people, 20, longest=60)
    c, start = made.contrast, single_tokenizer.encode("\n")
    assert made.missing == ""
    assert made.suffix == " died in 1"
    assert sorted(people.names[k] for k in made.entities) == sorted(
        name for name, year in zip(NAMES, YEARS) if 1000 <= year < 2000
    )
    np.testing.assert_array_equal(c.values[:, 0], 1050 + 100 * np.arange(10))
    assert [single_tokenizer.decode([int(k)]) for k in c.answers] == list("0123456789")
    for row, at, last, entity, told in zip(c.tokens, c.entity_at, c.last, made.entities, made.statements):
        name, year = people.names[entity], int(np.floor(YEARS[entity]))
        assert single_tokenizer.decode(row[len(start) : at + 1].tolist()) == name
        assert single_tokenizer.decode(row[: last + 1].tolist()) == f"\n{name} died in 1"
        assert (row[last + 1 :] == 0).all()
        assert single_tokenizer.decode(told.tolist()) == f"\n{name} died in {year}"


def test_a_tokenizer_of_three_digits_is_asked_for_decades(chunk_tokenizer, people):
    made = contrast_prompts(chunk_tokenizer, people, 20, longest=60)
    assert made.suffix == " died in "
    assert made.contrast.values[[0, 55, 99], 0].tolist() == [1005, 1555, 1995]
    assert chunk_tokenizer.decode([int(made.contrast.answers[64])]) == "164"
    galileo = made.entities.tolist().index(0)
    assert chunk_tokenizer.decode(made.statements[galileo].tolist()) == "\nGalileo died in 1642"


def test_irregular_digits_are_not_asked_for_and_it_says_why(irregular_tokenizer, people):
    made = contrast_prompts(irregular_tokenizer, people, 3, longest=60)
    assert "not one token each: '2'" in made.missing
    assert made.contrast.answers.shape == (0,)
    assert made.contrast.values.shape == (0, 1)
    np.testing.assert_array_equal(made.contrast.entity_at, made.contrast.last)
    assert (made.words, made.statements, made.suffix) == ((), (), "")


def test_continents_mean_the_mean_of_their_places(words, cities):
    made = contrast_prompts(words, cities, 4, longest=60)
    assert made.words == (" Africa", " Europe", " South"), "others have no place in this table"
    np.testing.assert_allclose(made.contrast.values, [[31, 30], [11, 60], [-77.5, -6]])
    assert [words.decode([int(k)]).strip() for k in made.contrast.answers] == ["Africa", "Europe", "South"]
    for entity, told in zip(made.entities, made.statements):
        right = {0: "South", 1: "Europe", 2: "Africa", 3: "South"}[int(entity)]
        assert words.decode([int(told[-1])]).strip() == right


def test_other_tables_are_not_asked_for(single_tokenizer):
    table = table_of("mine", np.arange(8.0)[:, None], kind="number")
    assert questions(table) == ()
    made = contrast_prompts(single_tokenizer, table, 5, longest=60)
    assert "no question for mine" in made.missing
    assert len(made.entities) == 5


def test_long_names_are_left_out_while_there_are_shorter(single_tokenizer, people):
    made = contrast_prompts(single_tokenizer, people, 8, longest=20)
    assert NAMES.index(max(NAMES, key=len)) not in made.entities
    assert (made.contrast.last < 20).all()
    shortest = contrast_prompts(single_tokenizer, people, 2, longest=3)
    assert sorted(people.names[k] for k in shortest.entities) == ["Early", "Last"]


def test_the_draw_repeats_by_its_seed_and_keeps_to_what_is_allowed(single_tokenizer, people):
    def drawn(seed, **options):
        return contrast_prompts(single_tokenizer, people, 3, seed=seed, longest=60, **options).entities.tolist()

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(8)}) > 1
    assert sorted(drawn(0, among=[0, 1, 2])) == [0, 1]
    with pytest.raises(InputError, match="no entity of historical_figures"):
        drawn(0, among=[2, 6])


def test_answers_must_be_one_token_each_and_differ(single_tokenizer, merging_tokenizer, words):
    assert answer_tokens(single_tokenizer, "in 1", "79")[1] == ""
    assert answer_tokens(merging_tokenizer, "a,", ["7"])[1] == "not one token each: '7'"
    assert answer_tokens(words, "Lima", [" xx", " yy"])[1] == "two words have one token"
