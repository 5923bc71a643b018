"""Surface rules: their own examples, and what none of them may do to a name."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.entities.surface import SURFACE_FORMS, single_spaced

NAMES = st.text(st.sampled_from("aBé ,()'.\t\n\u00a0Sx9"), max_size=20)


@pytest.mark.parametrize(
    ("rule", "name", "creator", "text"),
    [
        ("identity", " Saint  Louis ", "", "Saint Louis"),
        ("world", "Dallas County, Iowa", "", "Iowa's Dallas County"),
        ("world", "Springfield (Illinois)", "", "Illinois's Springfield"),
        ("world", "The Bridge (Oxford) House", "", "Oxford's The Bridge House"),
        ("world", "Aldwick, West Sussex, England", "", "England's Aldwick, West Sussex"),
        ("world", "Foo, Bar (Baz)", "", "Baz's Foo, Bar"),
        ("world", "Paris", "", "Paris"),
        ("world", "Somewhere,", "", "Somewhere,"),
        ("world", "Nowhere ()", "", "Nowhere ()"),
        ("nyc", "MUSEUM OF THE CITY OF NYC", "", "Museum of the City of NYC"),
        ("nyc", "fdny & ps 1 AT QUEENS", "", "FDNY & PS 1 at Queens"),
        ("art", "It", "Stephen King", "Stephen King's It"),
        ("art", "Help!", "The Beatles", "The Beatles' Help!"),
        ("art", "Metropolis", "", "Metropolis"),
        ("headline", "Voters Decide", "", "Voters Decide."),
        ("headline", "Voters Decide.", "", "Voters Decide."),
    ],
)
def test_the_rules_examples(rule, name, creator, text):
    assert SURFACE_FORMS[rule](name, creator) == text


@settings(max_examples=60, deadline=None)
@given(name=NAMES, creator=NAMES)
@pytest.mark.parametrize("rule", SURFACE_FORMS)
def test_white_space_is_single_and_does_not_matter(rule, name, creator):
    """The rule of a name with its white space doubled is the rule of the name, and has no blank to spare."""
    text = SURFACE_FORMS[rule](name, creator)
    assert text == single_spaced(text)
    assert SURFACE_FORMS[rule](re.sub(r"(\s)", r"\1 ", f" {name}\n"), creator) == text


@settings(max_examples=60, deadline=None)
@given(name=NAMES)
@pytest.mark.parametrize("rule", ["identity", "world", "nyc"])
def test_letters_are_neither_lost_nor_found(rule, name):
    """Up to order, letter case, and the possessive's own apostrophe and s."""

    def letters(text: str) -> list[str]:
        return sorted(c for c in text.casefold() if c.isalnum())

    text = SURFACE_FORMS[rule](name)
    moved = rule == "world" and text != single_spaced(name)
    assert letters(text) == sorted(letters(name) + ["s"] * moved)


@settings(max_examples=60, deadline=None)
@given(name=NAMES)
@pytest.mark.parametrize("rule", ["identity", "nyc", "headline"])
def test_a_rule_that_moves_nothing_can_be_used_twice(rule, name):
    once = SURFACE_FORMS[rule](name)
    assert SURFACE_FORMS[rule](once) == once


@settings(max_examples=60, deadline=None)
@given(name=NAMES)
@pytest.mark.parametrize("rule", SURFACE_FORMS)
def test_only_an_empty_name_becomes_an_empty_text(rule, name):
    assert bool(SURFACE_FORMS[rule](name)) == bool(single_spaced(name))
